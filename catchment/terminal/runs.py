"""One run: the catchment of each site, and how far from the best it is; and the runs stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.model import ASSIGNED, Confidence, Grouping, Verdict
from catchment.terminal.cells import add_row, bar, clip, harmless, ms, percent, table, target_title
from catchment.terminal.vantage_points import list_vantage_points

_MOST_IDENTITIES = 10
_MOST_CASES = 3
_MOST_NETWORKS = 10
_QUOTED = 60
_MOST_SITES = 40  # a screen; `--json` and `--by site` have them all


def show_run(numbers: Numbers) -> RenderableType:
    """Lay out the numbers of one run: for each target its sites, what was left out, and how far from the best it is."""
    heading = Text(f"{harmless(numbers['run'])}  {numbers['from']} to {numbers['to']}", style="bold")
    parts: list[RenderableType] = [heading]
    for target in numbers["targets"]:
        parts += ["", target_title(target), _groups_table(target) if "groups" in target else _sites_table(target)]
        parts += _notes(target)
        if target.get("by") == Grouping.VERDICT:
            parts += _interception(target)
            parts += list_vantage_points(target)
    constants = numbers["constants"]
    parts.append(
        Text(
            f"Light in fibre: {constants['light_km_per_ms']} km per ms of RTT; an answer is impossible beyond "
            f"{constants['impossible_km_per_ms']} km per ms + {constants['impossible_slack_km']:.0f} km.",
            style="dim",
        )
    )
    return Group(*parts)


def show_runs(runs: Sequence[dict[str, Any]]) -> RenderableType:
    """Lay out the stored runs."""
    rows = table("Campaign", "Run", "From", "To", ">Vantage points", ">Assigned", "Targets")
    for run in runs:
        add_row(
            rows,
            *(run[key] for key in ("campaign", "run", "from", "to", "vantage_points", "assigned")),
            ", ".join(run["targets"]),
        )
    return rows


def show_files(found: Numbers) -> RenderableType:
    """Name the files written."""
    return Text("\n".join(f"wrote {harmless(file)}" for file in found["files"]))


def _sites_table(target: Numbers) -> Table:
    counts = target["vantage_points"]
    rows = table("Site", "Town", ">Vantage points", ">Share", "", ">RTT p50", ">p90 ms")
    for site in target["sites"][:_MOST_SITES]:
        town = f"{site['town']}, {site['country']}" if site["town"] else ""
        rtt = site["rtt_ms"]
        add_row(
            rows,
            site["site"],
            town,
            str(site["vantage_points"]),
            percent(site["share"]),
            bar(site["share"]),
            ms(rtt["p50"]),
            ms(rtt["p90"]),
        )
    more = target["sites"][_MOST_SITES:]
    if more:
        count = sum(site["vantage_points"] for site in more)
        share = count / counts["total"]
        add_row(rows, "…", f"{len(more)} more sites", str(count), percent(share), bar(share))
    for verdict, count in counts["verdicts"].items():
        if verdict not in ASSIGNED:
            # Shares are of those with a result, so who never reported has none.
            share = None if verdict == Verdict.NO_RESULT else count / counts["total"]
            name = Text(verdict, style="yellow")
            add_row(rows, Text("–", style="dim"), name, str(count), percent(share), bar(share or 0))
    return rows


def _groups_table(target: Numbers) -> Table:
    rows = table(target["by"].capitalize(), ">Vantage points", ">Assigned", "Sites", ">RTT p50", ">p90 ms")
    for group in target["groups"]:
        top = list(group["shares"].items())
        sites = ", ".join(f"{site} {percent(share)}" for site, share in top[:4])
        more = f" + {len(top) - 4} more" if len(top) > 4 else ""
        add_row(
            rows,
            "unknown" if group["key"] is None else group["key"],
            str(group["vantage_points"]),
            str(group["assigned"]),
            sites + more,
            ms(group["rtt_ms"]["p50"]),
            ms(group["rtt_ms"]["p90"]),
        )
    return rows


def _notes(target: Numbers) -> Iterable[Text]:
    counts, sites = target["vantage_points"], target["site_set"]
    verdicts = ", ".join(f"{verdict} {count}" for verdict, count in counts["verdicts"].items())
    yield Text(f"{counts['assigned']} of {counts['total']} vantage points assigned ({verdicts}).")
    if target["closest_hit"] is not None:
        rtt, inflation, latency = (target[key] for key in ("rtt_ms", "geographic_inflation_ms", "latency_inflation_ms"))
        yield Text(
            f"RTT p50 {ms(rtt['p50'])}, p90 {ms(rtt['p90'])} ms. {percent(target['closest_hit'])} reach the nearest of "
            f"{sites['sites']} {sites['kind']} sites ({target['distance_vantage_points']} vantage points with a place)."
        )
        yield Text(
            f"Beyond the nearest site: p50 {ms(inflation['p50'])}, p90 {ms(inflation['p90'])} ms of fibre; RTT above "
            f"1.5 times the nearest site's: p50 {ms(latency['p50'])}, p90 {ms(latency['p90'])} ms."
        )
    yield from _trust(target)
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
        listed = ", ".join(
            f"“{clip(entry['text'], _QUOTED)}” {entry['answers']}" for entry in strange[:_MOST_IDENTITIES]
        )
        more = ", …" if len(strange) > _MOST_IDENTITIES else ""
        yield Text(f"Identities ({target['identity_totals']['distinct']} different): {listed}{more}.", style="dim")


def _trust(target: Numbers) -> Iterable[Text]:
    confidence, witnesses = target["vantage_points"]["confidence"], target["witnesses"]
    if confidence[Confidence.MEDIUM] or confidence[Confidence.LOW]:
        yield Text("Confidence in the site: " + ", ".join(f"{name} {n}" for name, n in confidence.items()) + ".")
    if witnesses["disagree"]:
        cases = ", ".join(_case(case) for case in witnesses["cases"][:_MOST_CASES])
        more = ", …" if len(witnesses["cases"]) > _MOST_CASES else ""
        yield Text(
            f"Two identities in one reply agree in {witnesses['agree']} answers and disagree in "
            f"{witnesses['disagree']}: {cases}{more}."
        )


def _case(case: Numbers) -> str:
    said = (
        f"“{clip(case[key], _QUOTED)}” ({'no site' if case[site] is None else clip(case[site], _QUOTED)})"
        for key, site in (("identity", "site"), ("second_identity", "second_site"))
    )
    return f"{' beside '.join(said)} {case['answers']}"


def _interception(target: Numbers) -> Iterable[Text]:
    found = target["interception"]
    count, total = found["vantage_points"], target["vantage_points"]["total"]
    if not count:
        yield Text("Nobody else answered in the service's place.")
        return
    rules = ", ".join(f"{rule} {n}" for rule, n in found["by_rule"].items())
    yield Text(f"Somebody else answered {count} of {total} vantage points ({percent(count / total)}): {rules}.")
    countries = [_part(one, one["country"] or "unknown") for one in found["by_country"]]
    networks = [_part(one, "unknown" if one["asn"] is None else f"AS{one['asn']}") for one in found["by_asn"]]
    for name, parts in (("By country", countries), ("By AS", networks)):
        more = ", …" if len(parts) > _MOST_NETWORKS else ""
        yield Text(f"{name}: {', '.join(parts[:_MOST_NETWORKS])}{more}.")


def _part(one: Numbers, name: str) -> str:
    return f"{clip(name, _QUOTED)} {one['vantage_points']} of {one['of']}"
