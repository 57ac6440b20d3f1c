"""Rounds: every vantage point measures once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from catchment.campaign import Query
from catchment.model import Kind
from catchment.platforms.local.asking import DNS_PORT, Asking
from catchment.platforms.local.loop import Exchange, Start, run
from catchment.platforms.local.pings import ping
from catchment.platforms.local.questions import ask
from catchment.platforms.local.traces import trace
from catchment.platforms.local.vantages import Vantage
from catchment.store import Measurement

MOST_AT_ONCE = 128
"""Exchanges under way; none has more than two sockets open."""


def measure_round(
    vantages: Sequence[Vantage],
    measurements: Sequence[Measurement],
    queries: Mapping[int, Query],
    *,
    rate_per_s: float,
    timeout_s: float = 2.0,
    clock: Callable[[], float] = time.time,
    port: int = DNS_PORT,
    source_ports: Mapping[int, int] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the result of each measurement from each of its vantage points, once, when it is complete.

    `queries` tells what each measurement asks, by its id, and `source_ports` from which port, of DNS over UDP where one
    is wanted. At most `rate_per_s` packets leave a second, of all together;
    the reply to each is waited for `timeout_s`. What cannot be sent is a result too. Closing the iterator closes every
    socket.
    """

    def starts() -> Iterator[Start]:
        for measurement in measurements:
            for vantage in vantages:
                if measurement.vantage_points is None or vantage.name in measurement.vantage_points:
                    asking = Asking(
                        vantage=vantage,
                        measurement=measurement,
                        query=queries[measurement.id],
                        timeout_s=timeout_s,
                        clock=clock,
                        port=port,
                        source_port=(source_ports or {}).get(measurement.id),
                    )
                    yield 0.0, partial(_exchange, asking)

    return run(starts(), rate_per_s=rate_per_s, most=MOST_AT_ONCE)


def _exchange(asking: Asking) -> Exchange:
    match asking.measurement.kind:
        case Kind.DNS:
            return ask(asking)
        case Kind.PING:
            return ping(asking)
        case Kind.TRACEROUTE:
            return trace(asking)
