"""Slices: the spans of time in which long measurements are fetched, one file each.

They follow from the measurement and the window alone, so that a run that is gone on with cuts where it cut before; one
that a later version cuts elsewhere is fetched anew. No second is in two of them, none in none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from catchment.model import Kind, Window
from catchment.store import Measurement

_SLICE_BYTES = 64_000_000
"""What a slice comes to, about: some seconds to fetch, and no great loss where it breaks off."""

_SHORTEST_S, _LONGEST_S = 60, 3600
_MOST_BY_LENGTH = 100
"""More slices than this are only cut where they would be too large otherwise: each costs a request and is a file."""

# Means of results as they come: a DNS result with its message, a ping of 3 packets, a traceroute of 8 to 20 hops.
_RESULT_BYTES = {Kind.DNS: 1100, Kind.PING: 600, Kind.TRACEROUTE: 4000}
_FIRST_OWN_ID = 1_000_000  # below are the measurements that RIPE Atlas itself runs, from everywhere
_EVERYWHERE, _PROBES_OF_ONE = 15_000, 1000  # probes connected in 2026; most that one measurement may have


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What was measured from `begin` until before `end` (None: no end), in seconds since 1970 UTC.

    `first` and `last` are the seconds to ask for, both counted in. The outer ones of a whole measurement are None: its
    probes' clocks may be wrong, and then their results lie outside of its times.
    """

    begin: int
    end: int | None
    first: int | None
    last: int | None


def cut(measurement: Measurement, window: Window) -> list[Slice]:
    """Return the slices of a measurement, of the window only if that has ends, in the order of time.

    A one-off is one slice. A slice of one's own periodic measurement holds whole rounds.
    """
    start, stop = window.start, window.end
    starts, stops = [start, measurement.start], [stop, measurement.stop]
    if measurement.reused:  # it goes on for years: only what lies within counts
        start = measurement.start if start is None else start
        stop = measurement.stop if stop is None else stop
        starts, stops = [start], [stop]
    first = None if start is None else math.ceil(start)
    last = None if stop is None else math.ceil(stop) - 1
    begin = max(math.ceil(time) for time in starts if time is not None)
    end = min((math.ceil(time) for time in stops if time is not None), default=None)
    if end is None or measurement.interval_s is None:
        return [Slice(begin=begin, end=end, first=first, last=last)]
    length_s = _length_s(measurement, measurement.interval_s, end - begin)
    begins = range(begin, end, length_s) or [begin]
    return [
        Slice(
            begin=here,
            end=end if here == begins[-1] else here + length_s,
            first=first if here == begin else here,
            last=last if here == begins[-1] else here + length_s - 1,
        )
        for here in begins
    ]


def file_name(measurement: Measurement, piece: Slice, *, alone: bool) -> str:
    """Return the name of a slice's file: by the measurement, and where it is not `alone` by its begin and end.

    With both, no file is taken for a slice that is cut elsewhere, as another version may do.
    """
    ends = [] if alone else [piece.begin, piece.end]
    times = [f"-{datetime.fromtimestamp(time, UTC):%Y%m%dT%H%M%SZ}" for time in ends if time is not None]
    return f"{measurement.id}{''.join(times)}.ndjson.gz"


def _length_s(measurement: Measurement, interval_s: int, span_s: int) -> int:
    """Return how long the slices of a periodic measurement are: in whole rounds, or of a reused one whole minutes."""
    everybody = _EVERYWHERE if measurement.id < _FIRST_OWN_ID else _PROBES_OF_ONE
    probes = everybody if measurement.probes is None else max(1, len(measurement.probes))
    interval_s = max(1, interval_s)
    step_s = _SHORTEST_S if measurement.reused else interval_s
    by_size_s = _SLICE_BYTES * interval_s // (probes * _RESULT_BYTES[measurement.kind])
    return max(1, min(by_size_s, max(_LONGEST_S, span_s // _MOST_BY_LENGTH)) // step_s) * step_s
