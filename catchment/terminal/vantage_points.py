"""Vantage points one by one: one of them explained, and those with a verdict other than ok listed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from catchment.assign import RULES
from catchment.metrics import INTERCEPTED, Numbers
from catchment.model import Kind
from catchment.terminal.cells import add_row, clip, harmless, ms, table, target_title

_QUOTED = 60
_ASKED = 24
_MOST_OBSERVATIONS = 40  # a screen; `--json` has them all
_SHOWN_AT_EITHER_END = 15
_MOST_LISTED = 20
_NOTHING = "–"
_LISTED = ("Vantage point", "Country", ">AS", "Came back", "Site", ">km away", ">RTT min ms")


def show_vantage_point(told: Numbers) -> RenderableType:
    """Lay out what a run holds of one vantage point: for each target what was judged and why, and what it saw."""
    parts: list[RenderableType] = [
        Text(
            f"{clip(told['vantage'], _QUOTED)} in {harmless(told['run'])}  {told['from']} to {told['to']}", style="bold"
        )
    ]
    for target in told["targets"]:
        row = target["assignment"]
        verdict = row["verdict"] if row["site"] is None else f"{row['verdict']}, {clip(row['site'], _QUOTED)}"
        parts += ["", target_title(target).append(f": {verdict}", style="bold yellow")]
        parts += [Text(f"- {harmless(sentence)}") for sentence in target["explanation"]]
        if target["observations"]:
            parts += ["", _observations_table(target["observations"])]
    return Group(*parts)


def _observations_table(observations: list[Numbers]) -> Table:
    rows = table("Time (UTC)", "Asked", "Came back", ">RTT ms")
    for number in (0, 1, 3):
        rows.columns[number].no_wrap = True
    count = len(observations)
    shown = _SHOWN_AT_EITHER_END if count > _MOST_OBSERVATIONS else count
    for number, one in enumerate(observations):
        if number == shown:
            left_out = Text(f"{count - 2 * shown:,} more: --json has them", style="dim")
            add_row(rows, Text("…", style="dim"), "", left_out, "")
        if number < shown or number >= count - shown:
            add_row(rows, *_cells(one))
    return rows


def _cells(one: Numbers) -> Iterator[str | Text]:
    yield one["at"].removesuffix("Z")
    yield clip(one["query"] or one["kind"], _ASKED)
    judged = [] if one["rule"] is None else [f"{clip(one['site'] or 'no site', _QUOTED)} by {one['rule']}"]
    item = f".{one['raw_item']}" if one["raw_item"] else ""
    source = f"{clip(one['raw_file'], _QUOTED)}:{one['raw_record']}{item}, measurement {one['measurement_id']}"
    told = Text(clip(_came_back(one), 3 * _QUOTED))
    yield told.append("\n" + harmless(", ".join([*judged, source])), style="dim")
    yield ms(one["rtt_ms"])


def _came_back(one: Numbers) -> str:
    if one["failure"] is not None:
        failure, detail = one["failure"], clip(one["failure_detail"] or "", _QUOTED)
        return detail if detail.startswith(failure) else f"{failure}: {detail}" if detail else str(failure)
    if one["kind"] != Kind.DNS:
        return "answered" if one["hop"] is None else f"answered, behind {one['hop']}"
    first, second = one["identity"], one["second_identity"]
    said = "" if first is None else f"“{clip(first, _QUOTED)}”"
    if second is not None:
        said += " twice" if second == first else f" and “{clip(second, _QUOTED)}”"
    code = one["rcode"] or "no message"
    return said if said and code == "NOERROR" else f"{code} {said}".rstrip()


def list_vantage_points(target: Numbers) -> Iterator[RenderableType]:
    """Yield the vantage points of each verdict but ok, the first of each with the reason in words.

    Those whom somebody else answered come before those who were not answered.
    """
    for group in sorted(target["groups"], key=lambda group: group["key"] not in INTERCEPTED):
        listed = group.get("listed", [])
        if not listed:
            continue
        yield Text(
            f"\n{harmless(group['key'])}: {len(listed):,} vantage point{'' if len(listed) == 1 else 's'}",
            style="bold yellow",
        )
        for rule, those in groupby(listed[:_MOST_LISTED], key=lambda one: one["rule"]):
            yield Text(f"{rule}: {RULES.get(rule, 'a rule that this version does not know')}.")
            yield Padding(_listed_table(list(those)), (0, 0, 0, 2), expand=False)
        if len(listed) > _MOST_LISTED:
            yield Text(f"  … {len(listed) - _MOST_LISTED:,} more: --json lists them all", style="dim")


def _listed_table(listed: list[Numbers]) -> Table:
    lines = [_listed_cells(one) for one in listed]
    filled = [heading for heading in _LISTED if any(line[heading] != _NOTHING for line in lines)]
    rows = table(*filled)
    for line in lines:
        add_row(rows, *(line[heading] for heading in filled))
    return rows


def _listed_cells(one: Numbers) -> dict[str, str]:
    identity = None if one["identity"] is None else f"“{clip(one['identity'], _QUOTED)}”"
    asn, distance_km = one["asn"], one["distance_km"]
    cells = (
        one["vantage"],
        one["country"] or _NOTHING,
        _NOTHING if asn is None else str(asn),
        identity or one["rcode"] or _NOTHING,
        one["site"] or _NOTHING,
        _NOTHING if distance_km is None else f"{distance_km:,.0f}",
        ms(one["rtt_ms_min"]),
    )
    return dict(zip(_LISTED, cells, strict=True))
