"""What the API says of how a measurement is: its status lags behind, but knows of what no results tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catchment.platforms.atlas.client import Atlas
from catchment.platforms.atlas.failures import clean

# RIPE Atlas's numbers; 3 is unused, and 6, No suitable probes, may still become Ongoing.
# 8 is Denied, or Archived, whose results are kept: only its name tells.
_TO_COME = {0, 1}
_RUNS = {2}
_ENDED = {4, 5}
_NEVER_RAN = {7, 8, 9}
_ARCHIVED = "archived"
_BY_NAME = {
    "specified": 0,
    "scheduled": 1,
    "ongoing": 2,
    "stopped": 4,
    "forcedtostop": 5,
    "forcedstop": 5,
    "failed": 7,
    "denied": 8,
    "canceled": 9,
    "cancelled": 9,
}
_LONGEST_NAME = 40

NOTHING_COMES = {"Failed", "Denied", "Canceled", "Cancelled", "No suitable probes"}
"""Names of statuses of measurements that have no results, and will have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The status of a measurement: the API's name for it, and since when (seconds since 1970 UTC; None: not told).

    `is_to_come`: it has not begun; `is_over`: there will be no more than what is under way; `never_ran`: because it
    failed, was denied or cancelled. `probes` are those that take part, maybe fewer than were asked for (None: not
    told).
    """

    name: str
    since: float | None = None
    is_to_come: bool = False
    is_over: bool = False
    never_ran: bool = False
    probes: frozenset[int] | None = None


def ask_status(atlas: Atlas, measurement: int, *, probes: bool = False) -> Status:
    """Return the status of a measurement, and (if asked) which `probes` take part. Raises PlatformFailed."""
    fields = ("status", "probes") if probes else ("status",)
    return read_status(atlas.get(f"/measurements/{measurement}/", fields=fields))


def read_status(found: Any) -> Status:
    """Read the status out of the API's description of a measurement, whatever that holds."""
    table = found if isinstance(found, dict) else {}
    given = table.get("status")
    status = given if isinstance(given, dict) else {"name": given}
    name, number, when = status.get("name"), status.get("id"), status.get("when")
    word = "".join(str(name).lower().split())
    if not isinstance(number, int):
        number = _BY_NAME.get(word)
    is_archived = word == _ARCHIVED
    listed = table.get("probes")
    probes = frozenset(
        probe["id"]
        for probe in (listed if isinstance(listed, list) else [])
        if isinstance(probe, dict) and isinstance(probe.get("id"), int)
    )
    return Status(
        name=clean("unknown" if name is None else name, longest=_LONGEST_NAME),
        since=float(when) if isinstance(when, int | float) else None,
        is_to_come=number in _TO_COME,
        is_over=is_archived or number in _ENDED | _NEVER_RAN,
        never_ran=not is_archived and number in _NEVER_RAN,
        # Before it runs, not all of them may have been found.
        probes=probes if probes and number in _RUNS | _ENDED else None,
    )
