"""Labs: what is up, where packets go there, and what a change did."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.terminal.as_paths import as_path, as_paths, named
from catchment.terminal.cells import add_row, clip, harmless, ms, table
from catchment.terminal.columns import table_of
from catchment.terminal.convergence import show_convergence

_LONGEST = 2000
_QUOTED = 40
_FATES = {
    "moved": "to another site",
    "rerouted": "to the same site by other networks",
    "dead": "to dead servers",
    "nowhere": "to nowhere",
    "hijacked": "to a hijacker",
    "back": "to a site again",
}


def show_labs(numbers: Numbers) -> RenderableType:
    """List the labs that are up."""
    shown = table("Lab", "Topology", ">Networks", ">Vantage points", "Changed since")
    for lab in numbers["labs"]:
        add_row(
            shown,
            lab["lab"],
            lab["topology"],
            str(lab["networks"]),
            str(lab["vantage_points"]),
            "; ".join(lab["changes"]) or "nothing",
        )
    return shown


def show_lab(numbers: Numbers) -> RenderableType:
    """Lay out what there is in a lab, and where packets go."""
    head = f"{harmless(numbers['lab'])}: up for {numbers['up_s']:,.0f} s; {_size(numbers)}.{_end(numbers)}"
    parts: list[RenderableType] = [Text(head, style="bold")]
    parts += [Text(f"changed: {harmless(change)}") for change in numbers["changes"]]
    if numbers["unfinished"] is not None:
        parts.append(Text(_unfinished(numbers), style="bold red"))
    if numbers["died"]:
        died = harmless(", ".join(numbers["died"]))
        mend = f"`catchment lab change reset{_option(numbers)}`"
        parts.append(Text(f"ended by itself: {died}: {mend} starts it anew, as any other change does", "bold red"))
    if numbers["restarted"]:
        parts.append(Text(f"ended by itself, runs again: {harmless(', '.join(numbers['restarted']))}"))
    sites = table("Service", "Site", "Place", ">Servers", "Route", "Servers are")
    for service in numbers["services"]:
        for site in service["sites"]:
            names = service["service"], site["site"], site["place"], str(site["servers"])
            add_row(sites, *names, _route(site), _servers(site))
    rows = numbers["vantage_points"]
    parts += ["", sites, "", _routes_table(rows), Text(_nodes(numbers), style="dim")]
    if "idle_s" in numbers:
        parts.append(Text(_next(numbers)))
    return Group(*parts)


def _route(site: Numbers) -> Text:
    if site["router_died"]:
        return Text("its BIRD died", style="bold red")
    prepended = f", AS {site['prepend']} times more" if site["prepend"] else ""
    return Text(f"announced{prepended}" if site["announced"] else f"withdrawn{prepended}")


def _servers(site: Numbers) -> Text:
    if not site["servers_dead"]:
        return Text("up")
    number = f"{site['servers_dead']} of {site['servers']} " if site["alive"] else ""
    return Text(f"{number}dead", style="bold red")


def _option(numbers: Numbers) -> str:
    """Return what a command needs to be about this lab."""
    return "" if numbers["is_alone"] else f" --name {harmless(numbers['lab'])}"


def _size(numbers: Numbers) -> str:
    return f"{many(len(numbers['nodes']), 'node')}, {many(len(numbers['wires']), 'wire')}"


def _end(numbers: Numbers) -> str:
    """Say when a lab ends, as far as that is known."""
    ends = [] if numbers["left_s"] is None else [f"in {numbers['left_s']:,.0f} s"]
    ends += [f"when nobody has used it for {numbers['idle_s']:,.0f} s"] if numbers.get("idle_s") else []
    return f" It ends {', or '.join(ends)}." if ends else ""


def _unfinished(numbers: Numbers) -> str:
    found, option = numbers["unfinished"], _option(numbers)
    wanted = clip("; ".join(found["wanted"]) or "all changes taken back", _LONGEST)
    if found["at_work"]:
        return f"another process changes it just now, to: {wanted}"
    return (
        f"somebody who was killed left it amid a change ({wanted}): the routes below are not those noted; "
        f"`catchment lab change{option}` puts it back first, `catchment lab change reset{option}` all of it"
    )


def _nodes(numbers: Numbers) -> str:
    """List the nodes, those of networks with what these are called."""
    names = numbers["networks"]
    asns = {node: node.removeprefix("as") for node, role in numbers["nodes"].items() if role == "network"}
    told = [
        f"{node} ({clip(names[asns[node]], _QUOTED)})" if asns.get(node) in names else node for node in numbers["nodes"]
    ]
    return f"nodes: {harmless(', '.join(told))}"


def _next(numbers: Numbers) -> str:
    """Say what may be tried in a lab that is up since a moment ago."""
    site = numbers["services"][0]["sites"][0]["site"] if numbers["services"] else None
    vantage = next((node for node, role in numbers["nodes"].items() if role == "vantage-point"), None)
    option, name = _option(numbers), "" if numbers["is_alone"] else f" {numbers['lab']}"
    tries = [] if site is None else [f"catchment lab change withdraw --site {site} --stream 3{option}"]
    if vantage is not None and numbers["services"]:
        tries.append(f"catchment lab exec{option} {vantage} catchment here {numbers['services'][0]['addresses'][0]}")
    return f"Try: {harmless('; '.join([*tries, f'catchment lab down{name}']))}"


def _routes_table(rows: Sequence[Numbers]) -> Table:
    shown = table("Point", "Place", "Address", "Packets go to", ">ms", "AS path")
    for row in rows:
        path = as_path(row) if row["unread"] is None else ""
        add_row(shown, row["vantage"], row["place"], row["address"], _led(row), ms(row["rtt_ms"]), path)
    return shown


def _led(row: Numbers) -> Text:
    """Name the site where packets arrive, and what is wrong there."""
    if row.get("unread") is not None:
        return Text(f"unknown: {harmless(row['unread'])} does not answer", style="bold red")
    if row["site"] is None:
        return Text("nowhere", style="bold red")
    if row["hijacked"]:
        return Text(f"{harmless(row['site'])}, a hijacker", style="bold red")
    return Text(f"{harmless(row['site'])}{', dead' if row['failed'] else ''}", style="red" if row["failed"] else "")


def show_lab_change(numbers: Numbers) -> RenderableType:
    """Lay out whose packets go elsewhere since a change."""
    rows = numbers["vantage_points"]
    text = clip(numbers["change"], _LONGEST)
    told = f"{text}: {'that is so already, nothing was changed' if numbers['is_so_already'] else _fates(numbers)}."
    parts: list[RenderableType] = []
    if numbers["mended"]:
        parts.append(
            Text(f"Had ended by itself, and was started anew first: {harmless(', '.join(numbers['mended']))}.")
        )
    parts.append(Text(f"{told[:1].upper()}{told[1:]}", style="bold"))
    changed = [row for row in rows if row["before"] != row["after"]]
    if changed:
        parts.append(_changes_table(changed))
    networks = named(changed, numbers["networks"])
    if networks:
        parts.append(Text(networks, style="dim"))
    if numbers["convergence"] is not None:
        parts += ["", show_convergence(numbers["convergence"])]
    return Group(*parts)


def _changes_table(changed: Sequence[Numbers]) -> Table:
    """Lay out ways before and after a change; where no AS path changed there is no column for it."""
    return table_of(
        [
            ("Point", [row["vantage"] for row in changed]),
            ("Address", [row["address"] for row in changed]),
            ("Before", [_led(row["before"]) for row in changed]),
            (">ms", [ms(row["before"]["rtt_ms"]) for row in changed]),
            ("After", [_led(row["after"]) for row in changed]),
            (">ms", [ms(row["after"]["rtt_ms"]) for row in changed]),
            ("AS path", [as_paths(row["before"], row["after"]) for row in changed]),
        ]
    )


def _fates(numbers: Numbers) -> str:
    """Count the ways that a change changed, by what became of them."""
    told = [f"{numbers[fate]} {words}" for fate, words in _FATES.items() if numbers[fate]]
    ways = many(len(numbers["vantage_points"]), "way")
    return f"of {ways} now {', '.join(told)}" if told else f"none of {ways} leads elsewhere"


def show_ended_lab(numbers: Numbers) -> RenderableType:
    """Say that a lab is down."""
    return Text(f"{harmless(numbers['lab'])} is down.")
