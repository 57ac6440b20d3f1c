"""Watching one measurement while its results are waited for: it may have been stopped, or have failed."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import suppress

from catchment.errors import PlatformFailed
from catchment.platforms.atlas.fetching import Fetcher
from catchment.platforms.atlas.statuses import Status, ask_status
from catchment.store import Measurement

LATEST_RESULT_S = 300
"""How long after its turn a probe's result is waited for. Most come within 10 s; a traceroute through silent routers
has taken 141 s; probes that were offline report when they are back, which nobody waits for."""

_FIRST_S, _RUNNING_S, _GROWTH, _LONGEST_S = 60.0, 30.0, 2.0, 900.0
_MOST = 100

Steps = Generator[float, None, None]


class Watch:
    """Asks how a measurement is, with pauses that grow, until it is over.

    `status` is the last that was told, `ended` since when nothing more is measured; None: not that anybody knows.
    Before its `end` there are few looks even where that is months away. `probes`: whether to ask who takes part.
    """

    def __init__(self, measurement: Measurement, fetcher: Fetcher, *, end: float, probes: bool) -> None:
        self.status: Status | None = None
        self.ended: float | None = None
        self._measurement = measurement
        self._fetcher = fetcher
        self._probes = probes
        now = fetcher.clock()
        self._longest_s = max(_LONGEST_S, (end - now) / _MOST)
        self._next, self._pause_s = now + _FIRST_S, _FIRST_S

    def at_latest(self, time: float) -> float:
        """Return a time, or an earlier one if the measurement ended so that nothing more comes until then."""
        return time if self.ended is None else min(time, self.ended + LATEST_RESULT_S)

    def is_past(self, time: float | None) -> bool:
        """Tell whether nothing is to be waited for until a time, by the clock as it is now; None: no time."""
        return time is None or self._fetcher.clock() >= self.at_latest(time)

    def wait(self, time: float | None) -> Steps:
        """Wait until a time, if one is given and it has not passed; less if the measurement ends before."""
        while time is not None and not self.is_past(time):
            latest = self.at_latest(time)
            # Once there is no more to wait for than results need anyway, its status changes nothing.
            if self._next > latest - LATEST_RESULT_S:
                yield latest
            elif self._fetcher.clock() < self._next:
                yield self._next
            else:
                self._ask()

    def begin(self) -> None:
        """Look more closely from now on: the measurement begins."""
        self._next, self._pause_s = self._fetcher.clock() + _RUNNING_S, _RUNNING_S

    def look(self) -> None:
        """Ask for the status if it is time to."""
        if self._fetcher.clock() >= self._next:
            self._ask()

    def _ask(self) -> None:
        # Where it is not told: whether there are results is what counts, and they are asked for anyway.
        with suppress(PlatformFailed):
            self.status = ask_status(self._fetcher.atlas, self._measurement.id, probes=self._probes)
        now = self._fetcher.clock()
        if self.status is not None and self.status.is_over:
            since = self.status.since
            self.ended = now if since is None else min(now, max(since, self._measurement.start))
        self._next = math.inf if self.ended is not None else now + self._pause_s
        self._pause_s = min(self._longest_s, self._pause_s * _GROWTH)
