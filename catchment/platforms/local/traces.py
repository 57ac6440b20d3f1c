"""Traceroutes: packets that may go one hop, two hops and so on, and the routers that say where each ended."""

from __future__ import annotations

import math
import time

from catchment.campaign import Protocol
from catchment.model import AddressFamily
from catchment.platforms.local.asking import Asking
from catchment.platforms.local.carriers import FLOWS, SIZE, Carrier, open_carrier
from catchment.platforms.local.icmp import is_final, is_of_a_hop, is_of_a_port, letter
from catchment.platforms.local.loop import Came, Exchange, Result, Wait
from catchment.platforms.local.paths import Answer, Path
from catchment.platforms.local.sockets import Arrival, IcmpError, Moment

_HEADER = {4: 20, 6: 40}
_ICMP_HEADER = 8


def trace(asking: Asking) -> Exchange:
    """Trace the route to a target when its turn comes, and return the result."""
    yield Wait(turns=1)
    flow = _flow(asking)
    try:
        carrier = open_carrier(asking, flow)
    except OSError as error:
        reason = f"connect failed: {error.strerror}"
        if isinstance(error, PermissionError):
            reason = f"socket failed: {error.strerror}: a traceroute over {_wanted(asking)} needs cap_net_raw"
        return _result(asking, flow, [{"hop": 1, "error": reason}], _wanted(asking))
    try:
        return (yield from _trace(asking, carrier, flow))
    finally:
        carrier.close()


def _trace(asking: Asking, carrier: Carrier, flow: int) -> Exchange:
    path = Path(asking.query.packets)
    until: dict[int, float] = {}
    first, came = None, Came.TURN
    while True:
        now = time.monotonic()
        if came is Came.TURN and path.next_hop() is not None:
            number = path.send()
            until[number] = now + asking.timeout_s
            try:
                carrier.line.set_ttl(path.hop_of(number))
                sent = carrier.send(number)
                first = sent if first is None else first
            except OSError as error:
                path.failed(number, f"sendto failed: {error.strerror}")
        for number, rtt_ms, arrival in carrier.read():
            answer = _answer(asking.af, carrier, asking.target, rtt_ms, arrival)
            if answer is not None and not asking.is_late(rtt_ms):
                path.answered(number, answer)
        for number in path.under_way:
            if until[number] <= now:
                path.lost(number)
        if path.is_complete:
            sent_at = None if first is None else carrier.line.sent_at(first)
            printed = list(path.printed())
            return _result(asking, flow, printed, carrier.protocol, carrier.size, sent_at, carrier.line.source[0])
        may_send = path.next_hop() is not None and len(path.under_way) < carrier.most
        deadline = min((until[number] for number in path.under_way), default=math.inf)
        came = yield Wait(carrier.line, deadline, turns=1 if may_send else 0)


def _answer(af: AddressFamily, carrier: Carrier, target: str, rtt_ms: float, arrival: Arrival) -> Answer | None:
    if not isinstance(arrival, IcmpError):  # sockets are connected: this is from the target
        size = max(0, len(arrival.data) - (_ICMP_HEADER if carrier.protocol is Protocol.ICMP else 0))
        return Answer(sender=target, rtt_ms=rtt_ms, ttl=arrival.ttl, size=size, is_last=True)
    if not is_final(af, arrival):
        return None
    has_arrived = is_of_a_port(af, arrival) and arrival.sender == target
    return Answer(
        sender=arrival.sender,
        rtt_ms=rtt_ms,
        ttl=arrival.ttl,
        size=_HEADER[af] + len(arrival.quoted),
        err=None if has_arrived else letter(af, arrival),
        is_last=not is_of_a_hop(af, arrival),
    )


def _flow(asking: Asking) -> int:
    """Return the number of the flow, from 1: another one in each round of a measurement."""
    interval_s = asking.measurement.interval_s
    turn = 0 if interval_s is None else int(max(0.0, asking.clock() - asking.measurement.start) / interval_s)
    return turn % FLOWS + 1


def _wanted(asking: Asking) -> Protocol:
    return asking.query.protocol or Protocol.ICMP


def _result(
    asking: Asking,
    flow: int,
    printed: list[dict[str, object]],
    protocol: Protocol,
    size: int = SIZE,
    sent: Moment | None = None,
    source: str | None = None,
) -> Result:
    found = {"paris_id": flow, "size": size, "endtime": int(asking.clock()), "result": printed}
    return asking.result(protocol, found, sent, source)
