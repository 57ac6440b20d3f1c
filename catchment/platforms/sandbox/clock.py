"""The sandbox's own clock: hours of a schedule pass in seconds, or only when somebody says that time has passed."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Clock:
    """Tells seconds since 1970 UTC, from `start` on, `speed` times as fast as `monotonic` (0: it stands still).

    `advance` moves it on at once; a client in the same process may use it as its sleep. Any thread may call either.
    """

    def __init__(self, start: float, *, speed: float = 0.0, monotonic: Callable[[], float]) -> None:
        self._start = start
        self._speed = speed
        self._monotonic = monotonic
        self._began = monotonic()
        self._advanced_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the time of the sandbox."""
        with self._lock:
            return self._start + self._advanced_s + self._speed * (self._monotonic() - self._began)

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass at once. Raises ValueError where they are less than 0: time never goes back."""
        if not seconds >= 0:
            raise ValueError(f"time cannot go back by {-seconds} s: advance by 0 or more")
        with self._lock:
            self._advanced_s += seconds
