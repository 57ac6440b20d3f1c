"""One run: the catchment of each site, and how far from the best it is; and the runs stored."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.model import ASSIGNED, Confidence, Grouping, SiteSet, Verdict
from catchment.terminal.cells import Bar, Name, add_row, clip, harmless, ms, percent, table, target_title, with_counts
from catchment.terminal.columns import Beside
from catchment.terminal.interception import tell_interception
from catchment.terminal.measurements import tell_measurements
from catchment.terminal.vantage_points import list_vantage_points

_MOST_IDENTITIES = 10
_MOST_CASES = 3
_MOST_CHANGES = 5
_QUOTED = 60
_MOST_TARGETS = 30
_MOST_SITES = 40  # a screen; `--json` and `--by site` have them all


def show_run(numbers: Numbers) -> RenderableType:
    """Lay out the numbers of one run: for each target its sites, what was left out, and how far from the best it is."""
    start, end = harmless(numbers["from"]), harmless(numbers["to"])
    parts: list[RenderableType] = [*_change(numbers, "these numbers mix both sides")]
    parts.append(Text(f"{harmless(numbers['run'])}  {start} to {end}", style="bold"))
    for target in numbers["targets"]:
        parts += ["", target_title(target), _groups_table(target) if "groups" in target else _sites_table(target)]
        parts += _notes(target, numbers["to"])
        if target.get("by") == Grouping.VERDICT:
            parts += list_vantage_points(target)
    if numbers["measurements"]:
        parts += ["", *tell_measurements(numbers["measurements"])]
    constants = {name: harmless(value) for name, value in numbers["constants"].items()}
    parts.append(
        Text(
            f"Light in fibre: {constants['light_km_per_ms']} km per ms of RTT; an answer is impossible beyond "
            f"{constants['impossible_km_per_ms']} km per ms + {constants['impossible_slack_km']} km.",
            style="dim",
        )
    )
    return Group(*parts)


def show_runs(runs: Sequence[dict[str, Any]]) -> RenderableType:
    """Lay out the stored runs."""
    return Beside(
        [
            ("Campaign", [clip(run["campaign"], _QUOTED) for run in runs]),
            ("Run", [clip(run["run"], _QUOTED) for run in runs]),
            *((heading, [_time(run[heading.lower()]) for run in runs]) for heading in ("From", "To")),
            (">Vantage points", [str(run["vantage_points"]) for run in runs]),
            (">Assigned", [str(run["assigned"]) for run in runs]),
        ],
        [("Targets", [_listed(run["targets"]) for run in runs])],
        names=2,
    )


def _time(text: str) -> str:
    """Return a time of ISO 8601 so that it can break between its day and its hour."""
    return harmless(text).replace("T", " ", 1)


def _listed(targets: Sequence[str]) -> Text:
    more = [f"… {len(targets) - _MOST_TARGETS:,} more"] if len(targets) > _MOST_TARGETS else []
    return Text("\n".join([*(clip(target, _QUOTED) for target in targets[:_MOST_TARGETS]), *more]))


def show_files(found: Numbers) -> RenderableType:
    """Name the files written."""
    files = Text("\n".join(f"wrote {harmless(file)}" for file in found["files"]))
    return Group(*_change(found, "this map mixes both sides"), files)


def _change(found: Numbers, mixes: str) -> Iterator[Text]:
    """Yield where to look instead, if there is a planned change of routes amid the time shown."""
    change = found.get("change")
    if change is not None:
        yield Text(
            f"It holds a change at {harmless(change['from'])}, so {mixes}: see RUN[before], RUN[after], and "
            "show --convergence.",
            style="yellow",
        )


def _sites_table(target: Numbers) -> Table:
    lines = list(_site_lines(target))
    greatest = max((share or 0.0 for *_, share, _ in lines), default=0.0)
    rows = table("Site", "Town", ">Vantage points", ">Share", "", ">RTT p50", ">p90 ms")
    for site, town, count, share, rtt_ms in lines:
        add_row(rows, site, town, str(count), percent(share), Bar(share or 0.0, greatest), *rtt_ms)
    return rows


def _site_lines(target: Numbers) -> Iterator[tuple[str | Text, str | Name, int, float | None, list[str]]]:
    """Yield a site and its town, how many vantage points reach it, their share, their RTTs; then who reaches none."""
    counts = target["vantage_points"]
    for site in target["sites"][:_MOST_SITES]:
        town = f"{site['town']}, {site['country']}" if site["town"] else ""
        rtts_ms = [ms(site["rtt_ms"][name]) for name in ("p50", "p90")]
        yield site["site"], town, site["vantage_points"], site["share"], rtts_ms
    more = target["sites"][_MOST_SITES:]
    if more:
        count = sum(site["vantage_points"] for site in more)
        yield "…", many(len(more), "more site"), count, count / counts["total"], []
    for verdict, count in counts["verdicts"].items():
        if verdict not in ASSIGNED:
            # Shares are of those with a result, so who never reported has none.
            share = None if verdict == Verdict.NO_RESULT else count / counts["total"]
            yield Text("–", style="dim"), Name(verdict, style="yellow"), count, share, []


def _groups_table(target: Numbers) -> Table:
    rows = table(target["by"].capitalize(), ">Vantage points", ">Assigned", "Sites", ">RTT p50", ">p90 ms")
    for group in target["groups"]:
        top = list(group["shares"].items())
        sites = ", ".join(f"{site} {percent(share)}" for site, share in top[:4])
        more = f" + {len(top) - 4} more" if len(top) > 4 else ""
        add_row(
            rows,
            _key(target, group),
            str(group["vantage_points"]),
            str(group["assigned"]),
            sites + more,
            ms(group["rtt_ms"]["p50"]),
            ms(group["rtt_ms"]["p90"]),
        )
    return rows


def _key(target: Numbers, group: Numbers) -> str | Name:
    if group["key"] is None:
        return "unknown"
    return Name(group["key"]) if target["by"] == Grouping.VERDICT else str(group["key"])


def _notes(target: Numbers, run_end: str) -> Iterator[Text]:
    counts = target["vantage_points"]
    yield Text(
        f"{counts['assigned']:,} of {many(counts['total'], 'vantage point')} assigned "
        f"({with_counts(counts['verdicts'])})."
    )
    yield from tell_interception(target, with_networks=target.get("by") == Grouping.VERDICT)
    if target["closest_hit"] is not None:
        yield from _distances(target, run_end)
    yield from _trust(target)
    yield from _changes(target["flips"])
    for kind, name in (("outcomes", "DNS"), ("pings", "Ping"), ("traceroutes", "Traceroute")):
        if target[kind]:
            yield Text(f"{name} results: {with_counts(target[kind])}.")
    if target["identities"] and not target["sites"]:
        listed = ", ".join(
            f"“{clip(entry['text'], _QUOTED)}” {entry['answers']:,}"
            for entry in target["identities"][:_MOST_IDENTITIES]
        )
        more = ", …" if len(target["identities"]) > _MOST_IDENTITIES else ""
        distinct = target["identity_totals"]["distinct"]
        yield Text(f"Identities ({distinct:,} different): {listed}{more}.", style="dim")


def _distances(target: Numbers, run_end: str) -> Iterator[Text]:
    rtt, inflation, latency = (target[key] for key in ("rtt_ms", "geographic_inflation_ms", "latency_inflation_ms"))
    sites = target["site_set"]
    is_listed = sites["kind"] == SiteSet.LISTED and sites["as_of"] is not None
    of = f"{many(sites['placed'], clip(sites['kind'], _QUOTED) + ' site')}"
    as_of = f"; sites as of {harmless(sites['as_of'])}" if is_listed else ""
    yield Text(
        f"RTT p50 {ms(rtt['p50'])}, p90 {ms(rtt['p90'])} ms. {percent(target['closest_hit'])} reach the nearest of "
        f"{of} ({many(target['distance_vantage_points'], 'vantage point')} with a place{as_of})."
    )
    years = _years_between(run_end, sites["as_of"]) if is_listed else 0
    if years:
        yield Text(
            f"The list of sites is newer than the run by {many(years, 'year')}: `--sites observed` counts those seen.",
            style="yellow",
        )
    yield Text(
        f"Beyond the nearest site: p50 {ms(inflation['p50'])}, p90 {ms(inflation['p90'])} ms of fibre; RTT above "
        f"1.5 times the nearest site's: p50 {ms(latency['p50'])}, p90 {ms(latency['p90'])} ms."
    )


def _years_between(earlier: str, later: str) -> int:
    """Return the whole years from one day to another, each as ISO 8601 begins; none where the second comes first."""
    try:
        first, last = (datetime.date.fromisoformat(text[:10]) for text in (earlier, later))
    except ValueError:  # a file that somebody else wrote
        return 0
    return max(0, last.year - first.year - ((last.month, last.day) < (first.month, first.day)))


def _changes(flips: Numbers) -> Iterator[Text]:
    once, times = flips["changed_once"], flips["flips"] - flips["changed_once"]
    others = flips["flapping"] - once
    told = []
    if once:
        moves = [
            f"{clip(one['from'], _QUOTED)} → {clip(one['to'], _QUOTED)} {one['vantage_points']:,}"
            for one in flips["changes"]
        ]
        more = ", …" if len(moves) > _MOST_CHANGES else ""
        told.append(f"{many(once, 'vantage point')} changed site once ({', '.join(moves[:_MOST_CHANGES])}{more})")
    if others:
        who = f"{others:,}" if once else many(others, "vantage point")
        told.append(f"{who} {'flaps' if others == 1 else 'flap'} between sites, {many(times, 'time')} in all")
    if told:
        yield Text(f"{', '.join(told)}.")


def _trust(target: Numbers) -> Iterator[Text]:
    confidence, witnesses = target["vantage_points"]["confidence"], target["witnesses"]
    if confidence[Confidence.MEDIUM] or confidence[Confidence.LOW]:
        yield Text(f"Confidence in the site: {with_counts(confidence)}.")
    if witnesses["disagree"]:
        cases = ", ".join(_case(case) for case in witnesses["cases"][:_MOST_CASES])
        more = ", …" if len(witnesses["cases"]) > _MOST_CASES else ""
        yield Text(
            f"Two identities in one reply agree in {many(witnesses['agree'], 'answer')} and disagree in "
            f"{witnesses['disagree']:,}: {cases}{more}."
        )


def _case(case: Numbers) -> str:
    said = (
        f"“{clip(case[key], _QUOTED)}” ({'no site' if case[site] is None else clip(case[site], _QUOTED)})"
        for key, site in (("identity", "site"), ("second_identity", "second_site"))
    )
    return f"{' beside '.join(said)} {case['answers']:,}"
