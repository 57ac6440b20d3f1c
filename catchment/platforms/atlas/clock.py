"""The time at the server: measurements start and stop by its clock, not by that of this host."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

_LEAP_S = 60.0  # an answer may be this long on its way, with all that stands between
_DOUBTED_S = 3600.0


def in_iso(server_time: float) -> str:
    """Return seconds since 1970 UTC as messages show them: to the second, in ISO 8601."""
    return datetime.fromtimestamp(server_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def uptime() -> float:
    """Return seconds by a clock that nobody sets; it goes on while this host is suspended, where there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class ServerClock:
    """Tells the server's time, as it was last `heard` and gone on since, `speed` times as fast as `ticks` go here.

    `ticks` say what has elapsed: best by a clock that nobody sets, and this host's `clock` where none is given. Whoever
    wants to know the time before it was heard has the server asked (`ask`); where that tells nothing, it is this
    host's. `sleep` lets so many of the server's seconds pass.

    An answer may bear a wrong date. It is believed at once if it is within a minute of what is expected, or of this
    host's own clock; else it is doubted: the first, until another one agrees, and a leap, until all answers have agreed
    with it for an hour.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        speed: float = 1.0,
        ask: Callable[[], object] | None = None,
        ticks: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._ticks = clock if ticks is None else ticks
        self._sleep = sleep
        self._speed = speed
        self._ask = ask
        self._heard: tuple[float, float] | None = None
        self._doubted: tuple[float, float] | None = None

    def hear(self, server_time: float) -> None:
        """Take the server's time, in seconds since 1970 UTC, from one of its answers."""
        told, doubted = (server_time, self._ticks()), self._doubted
        if self._agree(self._heard, told) or abs(self._clock() - server_time) <= _LEAP_S:
            self._heard, self._doubted = told, None
        elif doubted is None or not self._agree(doubted, told):
            self._doubted = told
        elif self._heard is None or told[1] - doubted[1] >= _DOUBTED_S / self._speed:
            self._heard, self._doubted = told, None

    def now(self) -> float:
        """Return the server's time in seconds since 1970 UTC. Raises what asking for it does."""
        if self._heard is None and self._ask is not None:
            ask, self._ask = self._ask, None
            ask()
            if self._heard is None and self._doubted is not None:
                ask()
        return self._clock() if self._heard is None else self._expected(self._heard, self._ticks())

    def sleep(self, seconds: float) -> None:
        """Wait until so many seconds have passed at the server."""
        self._sleep(seconds / self._speed)

    def _expected(self, told: tuple[float, float], ticks: float) -> float:
        server_time, told_at = told
        return server_time + self._speed * (ticks - told_at)

    def _agree(self, before: tuple[float, float] | None, told: tuple[float, float]) -> bool:
        return before is not None and abs(self._expected(before, told[1]) - told[0]) <= _LEAP_S * max(1.0, self._speed)
