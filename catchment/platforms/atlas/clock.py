"""The time at the server: measurements start and stop by its clock, not by that of this host."""

from __future__ import annotations

from collections.abc import Callable


class ServerClock:
    """Tells the server's time, as it was last `heard` and gone on since, `speed` times as fast as this host's `clock`.

    Whoever wants to know it before anything was heard has the server asked (`ask`); where that tells nothing, it is
    this host's. `sleep` lets so many of the server's seconds pass.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        speed: float = 1.0,
        ask: Callable[[], object] | None = None,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._speed = speed
        self._ask = ask
        self._heard: tuple[float, float] | None = None

    def hear(self, server_time: float) -> None:
        """Take the server's time, in seconds since 1970 UTC, from one of its answers."""
        self._heard = server_time, self._clock()

    def now(self) -> float:
        """Return the server's time in seconds since 1970 UTC. Raises what asking for it does."""
        if self._heard is None and self._ask is not None:
            ask, self._ask = self._ask, None
            ask()
        if self._heard is None:
            return self._clock()
        server_time, heard_at = self._heard
        return server_time + self._speed * (self._clock() - heard_at)

    def sleep(self, seconds: float) -> None:
        """Wait until so many seconds have passed at the server."""
        self._sleep(seconds / self._speed)
