"""What was left out of a run's tables: counted, and said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from catchment import store
from catchment.importers import Probes
from catchment.observe import Reading, Rejected

_MENTIONED = 3
_MOST_TYPES = 10


def count_input(reading: Reading, unusable: Sequence[Rejected]) -> dict[str, Any]:
    """Return what became of the records, as `show --json` prints it."""
    return {
        "records": reading.records,
        "rejected": reading.rejected,
        "unusable_files": len(unusable),
        "duplicates": reading.duplicates,
        "other_types": reading.other_types,
        "outside_window": reading.outside_window,
        "off_target": reading.off_target,
        "observations": reading.observations,
    }


def say_left_out(reading: Reading, unusable: Sequence[Rejected], header: store.Header) -> Iterator[str]:
    """Say what was left out, and where to look."""
    for entry in unusable[:_MENTIONED]:
        yield f"{entry.file}: set aside: {entry.reason}"
    void = reading.without_results
    if void:
        others = f" and {len(void) - _MENTIONED} more" if len(void) > _MENTIONED else ""
        them = "it" if len(void) == 1 else "them"
        yield f"{', '.join(void[:_MENTIONED])}{others}: not one record is usable, so nothing in {them} is a result"
    if reading.rejected:
        first = reading.named[0]
        yield (
            f"{reading.rejected} of {reading.records} records are unusable and counted apart, the first in {first.file}"
            f" record {first.record}: {first.reason}; rejected.ndjson in the run names them"
        )
    if reading.duplicates:
        yield f"{reading.duplicates} results were there twice; one of each counts"
    if reading.off_target and header.services:
        names = ", ".join(service.name for service in header.services)
        yield f"{reading.off_target} results are toward addresses that are not of {names}; they count nowhere"
    if reading.outside_window:
        yield f"{reading.outside_window} results lie outside the window"
    kinds = list(reading.other_types.items())
    for kind, count in kinds[:_MOST_TYPES]:
        yield f"{count} results of type {kind} are kept, but nothing is made of them"
    if more := kinds[_MOST_TYPES:]:
        yield f"{sum(count for _, count in more)} results of {len(more)} more types are kept likewise"


def say_placeless(listed: Probes, lacking: int, *, is_merged: bool) -> Iterator[str]:
    """Say how many vantage points have no place, by a probe list and, if runs are merged, by what those know."""
    if not listed.rows and not is_merged:
        yield "without --probes the vantage points have no place: no distances, no map"
    elif lacking:
        where = "the probe list" if listed.rows else "the runs that are merged, and no --probes names them"
        who = "vantage point is" if lacking == 1 else "vantage points are"
        it_has = "it has" if lacking == 1 else "they have"
        yield f"{lacking} {who} not in {where}: {it_has} no place, so no distance"
    if listed.unusable:
        yield f"{listed.unusable} entries of the probe list have no id"
