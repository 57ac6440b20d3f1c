"""DNS identity queries over UDP and TCP, each from a socket and so a port of its own."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from catchment.campaign import Protocol
from catchment.campaign.own_checks import PACKETS_OF_TCP
from catchment.platforms.local import packets, results
from catchment.platforms.local.asking import Asking
from catchment.platforms.local.icmp import is_final, told
from catchment.platforms.local.loop import Came, Exchange, Result, Wait
from catchment.platforms.local.sockets import IcmpError, Moment, Packet, StampedSocket, now

_MS_PER_S = 1000
_LENGTH = 2  # bytes before a message over TCP (RFC 1035, 4.2.2)


def ask(asking: Asking) -> Exchange:
    """Send a DNS query when its turn comes, and return the result.

    Where the reply over UDP was cut short, as servers do that limit their rate, it is asked for again over TCP when the
    turn for that comes; the result is that of TCP then. The server has `timeout_s` for both together, and the wait for
    a turn is no part of that: this host's own pace is not held against the server.
    """
    message = packets.identity_query(asking.query.name, nsid=asking.query.nsid)
    message = packets.with_id(message, secrets.randbits(16))
    spent_ms = 0.0
    while True:
        yield Wait(turns=PACKETS_OF_TCP if _is_over_tcp(asking) else 1)
        found = yield from _ask(asking, message, spent_ms)
        if not isinstance(found, float):
            return found
        spent_ms += found
        asking = replace(asking, query=replace(asking.query, protocol=Protocol.TCP))


def _ask(asking: Asking, query: bytes, spent_ms: float) -> Generator[Wait, Came, Result | float]:
    """Return the result; where the reply was cut short, how long that took (ms)."""
    over_tcp = _is_over_tcp(asking)
    try:
        line = asking.open(socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM)
    except OSError as error:
        return _failure(asking, "socket", f"socket failed: {error.strerror}")
    with line:
        return (yield from _over_tcp(asking, line, query, spent_ms) if over_tcp else _over_udp(asking, line, query))


def _over_udp(asking: Asking, line: StampedSocket, query: bytes) -> Generator[Wait, Came, Result | float]:
    try:
        if asking.source_port is not None:
            line.socket.bind(("", asking.source_port))
        line.connect(asking.target, asking.port)
        number = line.send(query)
    except OSError as error:
        return _failure(asking, "senderror", f"sendto failed: {error.strerror}")
    until, came = time.monotonic() + asking.timeout_s, Came.PACKET
    while came is not Came.TIME:
        for arrival in line.receive():
            sent = line.sent_at(number)
            rtt_ms = sent.ms_until(arrival.at)
            if asking.is_late(rtt_ms):
                continue
            if isinstance(arrival, IcmpError):
                if is_final(asking.af, arrival):
                    return _failure(asking, "err", told(arrival), sent, line)
            elif packets.answers_query(arrival.data, query):
                if packets.is_truncated(arrival.data):
                    return rtt_ms
                reply = results.DnsReply(message=arrival.data, rtt_ms=rtt_ms)
                return _answer(asking, reply, sent, line)
        came = yield Wait(line, until)
    return _late(asking, line.sent_at(number), line)


def _over_tcp(asking: Asking, line: StampedSocket, query: bytes, spent_ms: float) -> Exchange:
    began, until = now(), time.monotonic() + asking.timeout_s - spent_ms / _MS_PER_S
    try:
        line.connect(asking.target, asking.port)
    except OSError as error:
        return _failure(asking, "senderror", f"connect failed: {error.strerror}")
    came = yield Wait(line, until, to_write=True)
    try:
        if came is not Came.TIME:
            line.check_connected()
            line.stamp()
            number = line.send(len(query).to_bytes(_LENGTH) + query)
    except OSError as error:
        return _failure(asking, "TUCONNECT", f"connect failed: {error.strerror}", began, line)
    got = bytearray()
    while came is not Came.TIME:
        try:
            arrival = _read_some(line, got)
        except OSError as error:
            return _failure(asking, "TCPREAD", f"read failed: {error.strerror}", began, line)
        message = _first_message(got)
        if arrival is not None and message is not None:
            # Nobody else can put bytes into a connection: a server that says something else first is no use.
            if not packets.answers_query(message, query):
                return _failure(asking, "TCPREAD", "read failed: no reply to the query", began, line)
            took_ms, whole_ms = line.sent_at(number).ms_until(arrival.at), began.ms_until(arrival.at)
            if asking.is_late(spent_ms + whole_ms):
                break
            reply = results.DnsReply(message=message, rtt_ms=took_ms, whole_ms=whole_ms)
            return _answer(asking, reply, began, line)
        came = yield Wait(line, until)
    return _late(asking, began, line)


def _read_some(line: StampedSocket, got: bytearray) -> Packet | None:
    """Add to `got` what has come, until a message is whole; return what came last. Raises OSError at the end."""
    for arrival in line.receive():
        if isinstance(arrival, Packet):  # TCP sees to ICMP errors itself
            if not arrival.data:
                raise ConnectionError(0, "connection closed")
            got += arrival.data
            if _first_message(got) is not None:
                return arrival
    return None


def _first_message(got: bytearray) -> bytes | None:
    """Return the first message of a stream; None as long as it is not whole."""
    end = _LENGTH + int.from_bytes(got[:_LENGTH])
    return bytes(got[_LENGTH:end]) if len(got) >= max(end, _LENGTH) else None


def _answer(asking: Asking, reply: results.DnsReply, sent: Moment, line: StampedSocket) -> Result:
    return _result(asking, results.dns_reply(reply), sent, line)


def _late(asking: Asking, sent: Moment, line: StampedSocket) -> Result:
    return _failure(asking, "timeout", round(asking.timeout_s * 1000), sent, line)


def _failure(
    asking: Asking, key: str, reason: object, sent: Moment | None = None, line: StampedSocket | None = None
) -> Result:
    """Return the result of a failure, under the key that RIPE Atlas has for it."""
    return _result(asking, {"error": {key: reason}}, sent, line)


def _result(asking: Asking, found: dict[str, Any], sent: Moment | None, line: StampedSocket | None) -> Result:
    source, port = (None, None) if line is None else line.source
    protocol = Protocol.TCP if _is_over_tcp(asking) else Protocol.UDP
    return asking.result(protocol, ({} if port is None else {"src_port": port}) | found, sent, source)


def _is_over_tcp(asking: Asking) -> bool:
    return asking.query.protocol is Protocol.TCP
