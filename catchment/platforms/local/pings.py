"""Pings: a few echo requests, one after the other."""

from __future__ import annotations

import math
import secrets
import time

from catchment.campaign import Protocol
from catchment.platforms.local.asking import Asking
from catchment.platforms.local.icmp import Echoes, is_final
from catchment.platforms.local.loop import Came, Exchange, Result, Wait
from catchment.platforms.local.results import Echo, echoes
from catchment.platforms.local.sockets import IcmpError, Moment

SIZE = 48  # bytes without headers
_APART_S = 0.2  # as close as ping lets users without privileges send


def ping(asking: Asking) -> Exchange:
    """Send the packets of a ping when their turn comes, and return the result."""
    yield Wait(turns=1)
    token = secrets.token_bytes(SIZE)  # who has not seen the request cannot make up a reply
    try:
        line = Echoes(asking, lambda *_: token)
    except OSError as error:
        return _result(asking, [Echo(error=f"socket failed: {error.strerror}")])
    try:
        return (yield from _ping(asking, line))
    finally:
        line.close()


def _ping(asking: Asking, line: Echoes) -> Exchange:
    found: dict[int, Echo] = {}
    more: list[Echo] = []
    pending: dict[int, float] = {}  # until when a reply is waited for
    first, next_at, came = None, 0.0, Came.TURN
    while True:
        now = time.monotonic()
        if came is Came.TURN:
            number, next_at = len(found) + 1, now + _APART_S
            found[number] = Echo()
            try:
                sent = line.send(number)
            except OSError as error:
                found[number] = Echo(error=f"sendto failed: {error.strerror}")
            else:
                first = sent if first is None else first
                pending[number] = now + asking.timeout_s
        for number, rtt_ms, arrival in line.read():
            if isinstance(arrival, IcmpError):
                if is_final(asking.af, arrival):
                    pending.pop(number, None)  # nothing else will come
            elif found[number].rtt_ms is not None:
                more.append(Echo(rtt_ms=rtt_ms, ttl=arrival.ttl, is_duplicate=True))
            elif not asking.is_late(rtt_ms) and pending.pop(number, None) is not None:
                found[number] = Echo(rtt_ms=rtt_ms, ttl=arrival.ttl)
        pending = {number: until for number, until in pending.items() if until > now}
        is_left = len(found) < asking.query.packets
        if not is_left and not pending:
            sent_at = None if first is None else line.line.sent_at(first)
            return _result(asking, [*found.values(), *more], sent_at, line.line.source[0])
        is_due = is_left and now >= next_at
        until = min([*pending.values(), next_at if is_left and not is_due else math.inf])
        came = yield Wait(line.line, until, turns=1 if is_due else 0)


def _result(asking: Asking, found: list[Echo], sent: Moment | None = None, source: str | None = None) -> Result:
    told = echoes(found, size=SIZE, step=asking.measurement.interval_s)
    return asking.result(Protocol.ICMP, told, sent, source)
