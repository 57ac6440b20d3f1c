"""Streams: each vantage point asks the same again and again, so often that no change of its catchment escapes."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from catchment.campaign import Query
from catchment.platforms.local.asking import DNS_PORT, Asking
from catchment.platforms.local.loop import Start, run
from catchment.platforms.local.questions import ask
from catchment.platforms.local.vantages import Vantage
from catchment.store import Measurement

_AT_ONCE = 256
_FILES_BESIDE = 64  # that this process has open already, or may want to
_LATE_S = 0.1  # queries that could not leave for so long are left out, so that the others do not leave in a burst


def stream(
    vantages: Sequence[Vantage],
    measurement: Measurement,
    query: Query,
    *,
    per_s: float,
    is_over: Callable[[], bool],
    timeout_s: float = 1.0,
    clock: Callable[[], float] = time.time,
    port: int = DNS_PORT,
) -> Iterator[dict[str, Any]]:
    """Yield the results of DNS queries, each from a port of its own, `per_s` a second from every vantage point.

    They leave evenly spaced, the vantage points one after the other. When `is_over`, those under way are waited for.
    Closing the iterator closes every socket.
    """

    def asking(vantage: Vantage) -> Asking:
        return Asking(
            vantage=vantage, measurement=measurement, query=query, timeout_s=timeout_s, clock=clock, port=port
        )

    def starts() -> Iterator[Start]:
        gap_s = 1 / (per_s * len(vantages))
        due = time.monotonic()
        while True:
            for vantage in vantages:
                yield due, partial(ask, asking(vantage))
                due += gap_s
            if due < time.monotonic() - _LATE_S:
                due = time.monotonic()

    if vantages and per_s > 0:
        wanted = math.ceil(per_s * len(vantages) * (timeout_s + 1))  # if nobody answers
        yield from run(starts(), rate_per_s=None, most=_room_for(max(wanted, _AT_ONCE)), is_over=is_over)


def _room_for(wanted: int) -> int:
    """Return how many sockets, at most those wanted, may be open at once; ask for more room if there may be more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _FILES_BESIDE))
