"""Vantage points one by one: one of them explained, and those with a verdict other than ok listed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from catchment.assign import RULES
from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.model import INTERCEPTED, Kind, Verdict
from catchment.terminal.cells import add_row, clip, harmless, ms, table, target_title
from catchment.terminal.interception import what_came

_QUOTED = 60
_ASKED = 24
_MOST_OBSERVATIONS = 40  # a screen; `--json` has them all
_SHOWN_AT_EITHER_END = 15
_MOST_LISTED = 20
_NOTHING = "–"
_MOST_OF_A_CODE = 5
_FEW = 2
_FIRST = "First (UTC)"
_LISTED = (
    "Vantage point",
    "Country",
    ">AS",
    "Came back",
    "Site",
    ">km away",
    ">RTT min ms",
    "Somebody else",
    ">Times",
    _FIRST,
)
_LISTED_OK = ("Vantage point", "Country", ">AS", "Site", "Somebody else", ">Times", _FIRST)


def show_vantage_point(told: Numbers) -> RenderableType:
    """Lay out what a run holds of one vantage point: for each target what was judged and why, and what it saw."""
    parts: list[RenderableType] = [
        Text(
            f"{clip(told['vantage'], _QUOTED)} in {harmless(told['run'])}  {harmless(told['from'])} to "
            f"{harmless(told['to'])}",
            style="bold",
        )
    ]
    for target in told["targets"]:
        row = target["assignment"]
        verdict = harmless(row["verdict"])
        verdict += "" if row["site"] is None else f", {clip(row['site'], _QUOTED)}"
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
    told = Text(clip(_came_back(one), 3 * _QUOTED))
    judged = [] if one["rule"] is None else [f"{clip(one['site'] or 'no site', _QUOTED)} by {one['rule']}"]
    yield told.append("\n" + harmless(", ".join([*judged, *_source(one)])), style="dim")
    yield ms(one["rtt_ms"])


def _source(one: Numbers) -> Iterator[str]:
    """Yield where the observation comes from; the file of a run measured here is named as its measurement is."""
    item = f".{one['raw_item']}" if one["raw_item"] else ""
    yield f"{clip(one['raw_file'], _QUOTED)}:{one['raw_record']}{item}"
    if not str(one["raw_file"]).startswith(f"{one['measurement_id']}."):
        yield f"measurement {one['measurement_id']}"


def _came_back(one: Numbers) -> str:
    if one["failure"] is not None:
        failure, detail = one["failure"], clip(one["failure_detail"] or "", 2 * _QUOTED)
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
    """Yield the vantage points of each verdict, of `ok` those whom somebody else answered as well.

    The first of each are listed with the reason in words. Those whom somebody else answered come before those who were
    not answered.
    """
    for group in sorted(target["groups"], key=lambda group: group["key"] not in {*INTERCEPTED, Verdict.OK}):
        listed = group["listed"]
        if not listed:
            continue
        is_ok = group["key"] == Verdict.OK
        but = ", but now and then answered by somebody else" if is_ok else ""
        title = f"\n{harmless(group['key'])}{but}: {many(len(listed), 'vantage point')}"
        yield Text(title, style="bold yellow")
        codes = _codes_table(listed)
        if codes is not None:
            yield Padding(codes, (0, 0, 0, 2), expand=False)
        for rule, those in groupby(listed[:_MOST_LISTED], key=lambda one: None if is_ok else one["rule"]):
            if rule is not None:
                yield Text(f"{harmless(rule)}: {RULES.get(rule, 'a rule that this version does not know')}.")
            yield Padding(_listed_table(list(those), _LISTED_OK if is_ok else _LISTED), (0, 0, 0, 2), expand=False)
        if len(listed) > _MOST_LISTED:
            yield Text(f"  … {len(listed) - _MOST_LISTED:,} more: --json lists them all", style="dim")


def _codes_table(listed: list[Numbers]) -> Table | None:
    """Count what came back without an identity, the rarest first: it is what one looks for among thousands."""
    by_code: dict[str, list[str]] = {}
    for one in listed:
        if one["identity"] is None and one["rcode"] is not None:
            by_code.setdefault(one["rcode"], []).append(one["vantage"])
    if len(by_code) < _FEW:
        return None
    rows = table("Came back", ">Vantage points", "Which")
    for code, vantages in sorted(by_code.items(), key=lambda entry: (len(entry[1]), entry[0])):
        first = ", ".join(clip(vantage, _QUOTED) for vantage in vantages[:_MOST_OF_A_CODE])
        add_row(rows, code, f"{len(vantages):,}", first + (", …" if len(vantages) > _MOST_OF_A_CODE else ""))
    return rows


def _listed_table(listed: list[Numbers], headings: tuple[str, ...]) -> Table:
    lines = [_listed_cells(one) for one in listed]
    filled = [heading for heading in headings if any(line[heading] != _NOTHING for line in lines)]
    rows = table(*filled)
    rows.columns[-1].no_wrap = filled[-1] == _FIRST
    for line in lines:
        add_row(rows, *(line[heading] for heading in filled))
    return rows


def _listed_cells(one: Numbers) -> dict[str, str]:
    identity = None if one["identity"] is None else f"“{clip(one['identity'], _QUOTED)}”"
    asn, distance_km, others = one["asn"], one["distance_km"], one["others"]
    cells = (
        one["vantage"],
        one["country"] or _NOTHING,
        _NOTHING if asn is None else str(asn),
        identity or one["rcode"] or _NOTHING,
        one["site"] or _NOTHING,
        _NOTHING if distance_km is None else f"{distance_km:,.0f}",
        ms(one["rtt_ms_min"]),
        _NOTHING if others is None else what_came(others),
        _NOTHING if others is None else f"{others['answers']:,}",
        _NOTHING if others is None else others["first_at"].removesuffix("Z"),
    )
    return dict(zip(_LISTED, cells, strict=True))
