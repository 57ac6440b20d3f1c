"""What the terminal shows: tables of numbers. Values in, renderables out; every text from outside is made harmless."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.model import ASSIGNED

_BAR = 24
_MOST_IDENTITIES = 10
_MOST_SITES = 40  # a screen; `--json` and `--by site` have them all


def harmless(text: object) -> str:
    r"""Return text in which control, bidirectional and other invisible characters are written \uXXXX."""
    return "".join(
        character if unicodedata.category(character)[0] not in "CZ" or character == " " else _escaped(character)
        for character in str(text)
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def show_run(numbers: Numbers) -> RenderableType:
    """Lay out the numbers of one run: for each target its sites, what was left out, and how far from the best it is."""
    heading = Text(f"{harmless(numbers['run'])}  {numbers['from']} to {numbers['to']}", style="bold")
    parts: list[RenderableType] = [heading]
    for target in numbers["targets"]:
        parts += ["", _target_title(target), _groups_table(target) if "groups" in target else _sites_table(target)]
        parts += _notes(target)
    constants = numbers["constants"]
    parts.append(
        Text(
            f"Light in fibre: {constants['light_km_per_ms']} km per ms of RTT; an answer is impossible beyond "
            f"{constants['impossible_km_per_ms']} km per ms + {constants['impossible_slack_km']:.0f} km.",
            style="dim",
        )
    )
    return Group(*parts)


def show_comparison(numbers: Numbers) -> RenderableType:
    """Lay out what moved between two runs."""
    parts: list[RenderableType] = [
        Text(f"before  {harmless(numbers['before'])}"),
        Text(f"after   {harmless(numbers['after'])}"),
        Text("both assigned with " + ", ".join(f"{k} {v}" for k, v in numbers["service_digest"].items()), style="dim"),
    ]
    for target in numbers["targets"]:
        parts += ["", _target_title(target), Text(harmless(target["summary"]), style="bold")]
        if target["moves"]:
            parts.append(_moves_table(target))
        parts.append(_balance_table(target))
        if "groups" in target:
            parts.append(_moved_groups_table(target))
        unmoved = target["rtt_ms"]["unmoved"]
        parts.append(
            Text(
                f"Total variation {_percent(target['total_variation'])}. Of those that moved, "
                f"{target['moved_flapping']} flap within a run. Those that stayed: median RTT "
                f"{_ms(unmoved['before'])} → {_ms(unmoved['after'])} ms."
            )
        )
        if target["excluded"]:
            reasons = ", ".join(f"{harmless(reason)} {count}" for reason, count in target["excluded"].items())
            parts.append(Text(f"Not compared: {reasons}."))
    return Group(*parts)


def show_runs(runs: Sequence[dict[str, Any]]) -> RenderableType:
    """Lay out the stored runs."""
    table = _table("Campaign", "Run", "From", "To", ">Vantage points", ">Assigned", "Targets")
    for run in runs:
        _add_row(
            table,
            *(run[key] for key in ("campaign", "run", "from", "to", "vantage_points", "assigned")),
            ", ".join(run["targets"]),
        )
    return table


def show_services(services: Sequence[dict[str, Any]]) -> RenderableType:
    """Lay out the bundled services."""
    table = _table("Service", "Operator", ">Sites", "Answers", "Addresses")
    for service in services:
        _add_row(
            table,
            service["name"],
            service["operator"],
            str(service["sites"]),
            ", ".join(service["answers"]) or "none",
            ", ".join(service["addresses"]),
        )
    return table


def show_service(service: dict[str, Any]) -> RenderableType:
    """Lay out one service with its sites."""
    table = _table("Site", "Town", "Country", ">Latitude", ">Longitude", "Scope", "Since", "Until")
    for site in service.get("sites", []):
        place = [str(site[key]) if key in site else "?" for key in ("latitude", "longitude")]
        row = [site["code"], site["town"], site["country"], *place, site["scope"]]
        _add_row(table, *row, *(site.get(key, "") for key in ("since", "until")))
    head = Text(
        f"{harmless(service['name'])}: {harmless(service['operator'])}, version {service['digest']}", style="bold"
    )
    facts = [
        f"addresses  {', '.join(entry['address'] for entry in service['addresses'])}",
        f"answers    {', '.join(service.get('answers', [])) or 'no identity query'}",
        *(f"pattern    {pattern['regex']}" for pattern in service.get("patterns", [])),
        *(f"source     {source['of']}: {source['text']} ({source['date']})" for source in service.get("sources", [])),
    ]
    return Group(head, *(Text(harmless(fact)) for fact in facts), table)


def show_identities(found: Numbers) -> RenderableType:
    """Lay out what identities say."""
    table = _table("Identity", "Site", "Town", "Country", "Server", "Rule")
    for entry in found["identities"]:
        keys = ("identity", "site", "town", "country", "server", "rule")
        _add_row(table, *(entry[key] if entry[key] is not None else "–" for key in keys))
    return table


def show_files(found: Numbers) -> RenderableType:
    """Name the files written."""
    return Text("\n".join(f"wrote {harmless(file)}" for file in found["files"]))


def _target_title(target: Numbers) -> Text:
    service = target["service"] or "no service"
    return Text(f"{harmless(service)} at {harmless(target['target'])} (IPv{target['af']})", style="bold cyan")


def _sites_table(target: Numbers) -> Table:
    counts = target["vantage_points"]
    table = _table("Site", "Town", ">Vantage points", ">Share", "", ">RTT p50", ">p90 ms")
    for site in target["sites"][:_MOST_SITES]:
        town = f"{site['town']}, {site['country']}" if site["town"] else ""
        rtt = site["rtt_ms"]
        _add_row(
            table,
            site["site"],
            town,
            str(site["vantage_points"]),
            _percent(site["share"]),
            _bar(site["share"]),
            _ms(rtt["p50"]),
            _ms(rtt["p90"]),
        )
    more = target["sites"][_MOST_SITES:]
    if more:
        count = sum(site["vantage_points"] for site in more)
        share = count / counts["total"]
        _add_row(table, "…", f"{len(more)} more sites", str(count), _percent(share), _bar(share))
    for verdict, count in counts["verdicts"].items():
        if verdict not in ASSIGNED:
            share = count / counts["total"]
            _add_row(
                table, Text("–", style="dim"), Text(verdict, style="yellow"), str(count), _percent(share), _bar(share)
            )
    return table


def _groups_table(target: Numbers) -> Table:
    table = _table(target["by"].capitalize(), ">Vantage points", ">Assigned", "Sites", ">RTT p50", ">p90 ms")
    for group in target["groups"]:
        top = list(group["shares"].items())
        sites = ", ".join(f"{site} {_percent(share)}" for site, share in top[:4])
        more = f" + {len(top) - 4} more" if len(top) > 4 else ""
        _add_row(
            table,
            "unknown" if group["key"] is None else group["key"],
            str(group["vantage_points"]),
            str(group["assigned"]),
            sites + more,
            _ms(group["rtt_ms"]["p50"]),
            _ms(group["rtt_ms"]["p90"]),
        )
    return table


def _notes(target: Numbers) -> Iterable[Text]:
    counts, sites = target["vantage_points"], target["site_set"]
    verdicts = ", ".join(f"{verdict} {count}" for verdict, count in counts["verdicts"].items())
    yield Text(f"{counts['assigned']} of {counts['total']} vantage points assigned ({verdicts}).")
    if target["closest_hit"] is not None:
        rtt, inflation, latency = (target[key] for key in ("rtt_ms", "geographic_inflation_ms", "latency_inflation_ms"))
        yield Text(f"RTT p50 {_ms(rtt['p50'])}, p90 {_ms(rtt['p90'])} ms. ", end="")
        yield Text(
            f"{_percent(target['closest_hit'])} reach the nearest of {sites['sites']} {sites['kind']} sites "
            f"({target['distance_vantage_points']} vantage points with a place)."
        )
        yield Text(
            f"Beyond the nearest site: p50 {_ms(inflation['p50'])}, p90 {_ms(inflation['p90'])} ms of fibre; RTT above "
            f"1.5 times the nearest site's: p50 {_ms(latency['p50'])}, p90 {_ms(latency['p90'])} ms."
        )
    flips = target["flips"]
    if flips["flips"]:
        yield Text(f"{flips['flapping']} vantage points flap between sites, {flips['flips']} times in all.")
    for kind, name in (("outcomes", "DNS"), ("pings", "Ping"), ("traceroutes", "Traceroute")):
        if target[kind]:
            yield Text(
                f"{name} results: " + ", ".join(f"{harmless(key)} {count}" for key, count in target[kind].items()) + "."
            )
    known = {site["site"] for site in target["sites"]}
    strange = [entry for entry in target["identities"] if entry["text"].lower() not in known] if not known else []
    if strange:
        listed = ", ".join(f"“{harmless(entry['text'])}” {entry['answers']}" for entry in strange[:_MOST_IDENTITIES])
        more = ", …" if len(strange) > _MOST_IDENTITIES else ""
        yield Text(f"Identities ({target['identity_totals']['distinct']} different): {listed}{more}.", style="dim")


def _moves_table(target: Numbers) -> Table:
    table = _table("From", "To", ">Vantage points", ">RTT before", ">after ms")
    for move in target["moves"]:
        _add_row(
            table,
            move["from"],
            move["to"],
            str(move["vantage_points"]),
            _ms(move["rtt_ms_before"]),
            _ms(move["rtt_ms_after"]),
        )
    return table


def _balance_table(target: Numbers) -> Table:
    table = _table("Site", ">Before", ">After", ">Left", ">Joined")
    for site in target["sites"]:
        _add_row(table, site["site"], *(str(site[key]) for key in ("before", "after", "left", "joined")))
    return table


def _moved_groups_table(target: Numbers) -> Table:
    table = _table(target["by"].capitalize(), ">Compared", ">Moved", ">Share", ">RTT before", ">after ms")
    for group in target["groups"]:
        _add_row(
            table,
            "unknown" if group["key"] is None else group["key"],
            str(group["paired"]),
            str(group["moved"]),
            _percent(group["moved_share"]),
            _ms(group["rtt_ms"]["before"]),
            _ms(group["rtt_ms"]["after"]),
        )
    return table


def _table(*headings: str) -> Table:
    """Make a table; a heading that begins with > is of a column of numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        number = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if number else "left", overflow="fold")
    return table


def _add_row(table: Table, *cells: object) -> None:
    """Add a row; what is no Text yet is made harmless, and its brackets are not read as markup."""
    table.add_row(*(cell if isinstance(cell, Text) else Text(harmless(cell)) for cell in cells))


def _bar(share: float) -> Text:
    eighths = round(share * _BAR * 8)
    return Text("█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else ""), style="cyan")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
