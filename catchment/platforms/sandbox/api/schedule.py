"""When a vantage point measures, and when its result arrives: spread over the vantage points, and always the same."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import lru_cache

from catchment.model import Kind

_ONE_OFF_SPREAD_S = 10
_LONGEST_SPREAD_S = 400
# Most results arrive within seconds, some late; a traceroute waits for every silent router on its way.
_DELAYS_S = {Kind.DNS: (8, 60), Kind.PING: (8, 60), Kind.TRACEROUTE: (30, 141)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The rounds of a measurement: one at `start`, or one every `interval_s` seconds until `end` (None: for ever).

    A round's number is its *turn*, from 0. Each vantage point measures at its own offset of up to `spread_s` within a
    round. Nothing is measured from `end` on.
    """

    kind: Kind
    start: int
    interval_s: int | None
    spread_s: int | None = None
    end: float | None = None

    @property
    def spread(self) -> int:
        """Return over how many seconds the vantage points of a round are spread."""
        if self.spread_s is not None:
            return self.spread_s if self.interval_s is None else min(self.spread_s, self.interval_s - 1)
        return _ONE_OFF_SPREAD_S if self.interval_s is None else min(self.interval_s // 2, _LONGEST_SPREAD_S)

    def offset_s(self, vantage: int) -> int:
        """Return how long after a round's begin a vantage point measures."""
        return _share(f"offset {vantage}", self.spread + 1)

    def delay_s(self, vantage: int) -> int:
        """Return how long after its measurement a result of this vantage point arrives; mostly early, seldom late."""
        least, most = _DELAYS_S[self.kind]
        return least + int((most - least) * (_share(f"delay {vantage}", 1001) / 1000) ** 3)

    def measured_at(self, vantage: int, turn: int) -> int:
        """Return when a vantage point measures in a turn."""
        return self.start + turn * (self.interval_s or 0) + self.offset_s(vantage)

    def delivered(self, vantage: int, now: float) -> int:
        """Return how many results of a vantage point have arrived: those of the turns below this number."""
        latest = now - self.delay_s(vantage)
        if self.end is not None and latest >= self.end:
            latest = self.end - 1e-6
        since = latest - self.measured_at(vantage, 0)
        if since < 0:
            return 0
        return 1 if self.interval_s is None else int(since // self.interval_s) + 1

    def turns_before(self, vantage: int, time: float) -> int:
        """Return how many turns a vantage point has measured in before a time, if it takes part in all of them."""
        since = time - self.measured_at(vantage, 0)
        if since <= 0:
            return 0
        return 1 if self.interval_s is None else math.ceil(since / self.interval_s)

    def rounds_until(self, time: float) -> int:
        """Return how many rounds have begun by a time."""
        if time < self.start:
            return 0
        return 1 if self.interval_s is None else int((time - self.start) // self.interval_s) + 1

    @property
    def last_arrival(self) -> float | None:
        """Return by when the last result has arrived; None where there is no last one."""
        last = self.start + self.spread if self.interval_s is None else self.end
        return None if last is None else last + _DELAYS_S[self.kind][1]


@lru_cache(maxsize=262_144)
def _share(key: str, of: int) -> int:
    """Return a number from 0 to `of` - 1 that looks random and is the same for the same key."""
    return zlib.crc32(key.encode()) % of
