"""Labs: the story of a run, what is up, and what a change did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.model import ASSIGNED
from catchment.terminal.cells import add_row, clip, harmless, many, ms, percent, table, target_title
from catchment.terminal.comparisons import show_comparison
from catchment.terminal.convergence import show_convergence

_LONGEST = 2000
_QUOTED = 40
_MOST_NAMED = 10
_NOWHERE = "–"


def show_story(story: Numbers) -> RenderableType:
    """Lay out a lab's run: what it is about, the catchments, the stream amid the changes, and what came of them."""
    parts: list[RenderableType] = [Text(clip(story["story"]["title"], _LONGEST), style="bold cyan")]
    for paragraph in story["story"]["text"]:
        parts += ["", Text(clip(paragraph, _LONGEST))]
    for target in story["targets"]:
        parts += ["", target_title(target)]
        parts += _catchments(story, target["target"])
        parts.append(_judged_table([row for row in story["vantage_points"] if row["target"] == target["target"]]))
    if story["convergence"] is not None:
        parts += ["", _heading("Amid the change"), show_convergence(story["convergence"])]
    if story["comparison"] is not None:
        parts += ["", _heading("Before and after"), show_comparison(story["comparison"])]
    if story["walk"] is not None:
        parts += ["", _heading("What the whole walk costs"), _walk_table(story["walk"])]
    parts += ["", _heading("What happened"), Text(clip(story["happened"], _LONGEST), style="bold")]
    return Group(*parts)


def _heading(text: str) -> Text:
    return Text(text, style="bold underline")


def _catchments(story: Numbers, target: str) -> Iterator[Text]:
    """Yield a line for each side with the share of every site, and one with the servers that answered at all."""
    for side in ("before", "after"):
        if story[side] is None:
            continue
        numbers = next(entry for entry in story[side]["targets"] if entry["target"] == target)
        shares = [f"{harmless(site['site'])} {percent(site['share'])}" for site in numbers["sites"]]
        others = numbers["vantage_points"]["verdicts"]
        shares += [f"{harmless(name)} {count}" for name, count in others.items() if name not in ASSIGNED]
        yield Text(f"{side:7} {', '.join(shares) or 'nobody reached a site'}", style="dim")
    servers = next(entry["servers"] for entry in story["targets"] if entry["target"] == target)
    names = [f"{clip(entry['text'], _QUOTED)} {entry['answers']:,}" for entry in servers[:_MOST_NAMED]]
    yield Text(f"answers {', '.join(names) or 'none'}", style="dim")


def _judged_table(rows: Sequence[Numbers]) -> Table:
    shown = table("Vantage point", "Place", "Before", ">ms", "After", ">ms", "AS path")
    for row in rows:
        before, after = row["before"], row["after"]
        add_row(
            shown,
            row["vantage"],
            row["place"],
            _outcome(before),
            ms(before and before["rtt_ms"]),
            _outcome(after, before),
            ms(after and after["rtt_ms"]),
            _paths(before, after),
        )
    return shown


def _outcome(judged: Numbers | None, earlier: Numbers | None = None) -> Text:
    """Name the site that was reached, or what was the matter; what changed stands out."""
    if judged is None:
        return Text(_NOWHERE)
    if judged["site"] is not None:
        return Text(harmless(judged["site"]), style="bold" if earlier and earlier["site"] != judged["site"] else "")
    heard = f"“{clip(judged['identity'], _QUOTED)}”" if judged["identity"] else harmless(judged["verdict"])
    return Text(heard, style="bold red")


def _paths(before: Numbers | None, after: Numbers | None) -> str:
    ways = list(dict.fromkeys(_path(side["as_path"]) for side in (before, after) if side is not None))
    return " → ".join(ways)


def _path(as_path: Sequence[int] | None) -> str:
    return " ".join(map(str, as_path)) if as_path else "no route"


def _walk_table(walk: Sequence[Numbers]) -> Table:
    has_after = any(row["after"] is not None for row in walk)
    shown = table("Vantage point", "Place", "Before", ">ms", *(("After", ">ms") if has_after else ()))
    for row in walk:
        sides = [row["before"], row["after"]] if has_after else [row["before"]]
        cells = [cell for side in sides for cell in (_steps(side), ms(side and side["total_ms"]))]
        add_row(shown, row["vantage"], row["place"], *cells)
    return shown


def _steps(side: Numbers | None) -> str:
    if side is None:
        return _NOWHERE
    return " + ".join(f"{step['site'] or _NOWHERE} {ms(step['rtt_ms'])}" for step in side["steps"])


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
    until = "" if numbers["left_s"] is None else f", down in {numbers['left_s']:,.0f} s"
    size = f"{many(len(numbers['nodes']), 'node')}, {many(len(numbers['wires']), 'wire')}"
    head = f"{harmless(numbers['lab'])}: up for {numbers['up_s']:,.0f} s{until}; {size}"
    parts: list[RenderableType] = [Text(head, style="bold")]
    parts += [Text(f"changed: {harmless(change)}") for change in numbers["changes"]]
    if numbers["died"]:
        parts.append(Text(f"no longer running: {harmless(', '.join(numbers['died']))}", style="bold red"))
    sites = table("Service", "Site", "Place", ">Servers", "Route", "Servers are")
    for service in numbers["services"]:
        for site in service["sites"]:
            route = "announced" if site["announced"] else "withdrawn"
            prepended = f", AS {site['prepend']} times more" if site["prepend"] else ""
            alive = Text("up") if site["alive"] else Text("dead", style="bold red")
            add_row(
                sites, service["service"], site["site"], site["place"], str(site["servers"]), route + prepended, alive
            )
    parts += ["", sites, "", _routes_table(numbers["vantage_points"])]
    return Group(*parts)


def _routes_table(rows: Sequence[Numbers]) -> Table:
    shown = table("Vantage point", "Address", "Packets go to", ">ms", "AS path")
    for row in rows:
        add_row(shown, row["vantage"], row["address"], _led(row), ms(row["rtt_ms"]), _path(row["as_path"]))
    return shown


def _led(row: Numbers) -> Text:
    """Name the site where packets arrive, and what is wrong there."""
    if row["site"] is None:
        return Text("nowhere", style="bold red")
    if row["hijacked"]:
        return Text(f"{harmless(row['site'])}, a hijacker", style="bold red")
    return Text(f"{harmless(row['site'])}{', dead' if row['failed'] else ''}", style="red" if row["failed"] else "")


def show_lab_change(numbers: Numbers) -> RenderableType:
    """Lay out whose packets go elsewhere since a change."""
    rows = numbers["vantage_points"]
    told = f"{clip(numbers['change'], _LONGEST)}: {numbers['moved']} of {len(rows)} ways lead to another site now"
    told += f", {numbers['rerouted']} to the same one by other networks." if numbers["rerouted"] else "."
    parts: list[RenderableType] = [Text(f"{told[:1].upper()}{told[1:]}", style="bold")]
    shown = table("Vantage point", "Address", "Before", ">ms", "After", ">ms", "AS path")
    changed = [row for row in rows if row["before"] != row["after"]]
    for row in changed:
        before, after = row["before"], row["after"]
        add_row(
            shown,
            row["vantage"],
            row["address"],
            _led(before),
            ms(before["rtt_ms"]),
            _led(after),
            ms(after["rtt_ms"]),
            _paths(before, after),
        )
    parts += [shown] if changed else []
    if numbers["convergence"] is not None:
        parts += ["", show_convergence(numbers["convergence"])]
    return Group(*parts)


def show_ended_lab(numbers: Numbers) -> RenderableType:
    """Say that a lab is down."""
    return Text(f"{harmless(numbers['lab'])} is down.")
