"""Probes, and the members of measurements, read from the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from catchment.errors import UnknownName
from catchment.platforms.atlas.client import Atlas, Refused
from catchment.platforms.atlas.selecting.probes import Probe

Progress = Callable[[str, float], None]

_PAGE = 500  # the API refuses larger ones
_IDS_AT_ONCE = 500  # keeps the address of a request below 8 kB, commas encoded


def describe(atlas: Atlas, ids: Iterable[int], progress: Progress = lambda *_: None) -> list[Probe]:
    """Return the probes of these ids, connected or not, ordered by id; the API may not know all of them."""
    return sorted(by_id(atlas, ids, {}, progress), key=lambda probe: int(probe["id"]))


def by_id(atlas: Atlas, ids: Iterable[int], filters: Mapping[str, Any], progress: Progress) -> Iterator[Probe]:
    """Yield the probes of these ids that pass the filters."""
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        progress(f"{start} of {len(wanted)} probes looked up", start / len(wanted))
        chunk = {"id__in": wanted[start : start + _IDS_AT_ONCE]}
        yield from listed(atlas, {**filters, **chunk}, lambda *_: None)


def listed(atlas: Atlas, filters: Mapping[str, Any], progress: Progress) -> Iterator[Probe]:
    """Yield all probes that pass the filters."""
    seen = 0
    for probes, count in atlas.batches("/probes/", page_size=_PAGE, **filters):
        yield from (probe for probe in probes if isinstance(probe, dict) and isinstance(probe.get("id"), int))
        seen += len(probes)
        progress(f"{seen} of {count} probes looked at", min(1.0, seen / max(count, 1)))


def members(atlas: Atlas, measurements: Iterable[int]) -> frozenset[int]:
    """Return the ids of the probes that take part in any of these measurements. Raises UnknownName."""
    found: set[int] = set()
    for number in measurements:
        try:
            told = atlas.get(f"/measurements/{number}/", optional_fields="probes")
        except Refused as refusal:
            if refusal.status != 404:
                raise
            raise UnknownName(
                f"{atlas.endpoint.server}: there is no measurement {number}: mend `vantage_points.measurements`"
            ) from refusal
        probes = told.get("probes") if isinstance(told, dict) else None
        ids = {probe.get("id") for probe in probes if isinstance(probe, dict)} if isinstance(probes, list) else set()
        if not ids:
            raise UnknownName(
                f"{atlas.endpoint.server}: does not tell the probes of measurement {number}: name others in "
                "`vantage_points.measurements`"
            )
        found |= {number for number in ids if isinstance(number, int)}
    return frozenset(found)
