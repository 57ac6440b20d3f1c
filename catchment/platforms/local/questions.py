"""DNS identity queries over UDP and TCP, each from a socket and so a port of its own."""

from __future__ import annotations

import secrets
import socket
import time
from typing import Any

from catchment.campaign import Protocol
from catchment.platforms.local import packets, results
from catchment.platforms.local.asking import Asking
from catchment.platforms.local.icmp import is_final, told
from catchment.platforms.local.loop import Came, Exchange, Result, Wait
from catchment.platforms.local.sockets import IcmpError, Moment, Packet, StampedSocket, now

_PACKETS_OF_TCP = 5  # those of ours from the handshake to the end
_LENGTH = 2  # bytes before a message over TCP (RFC 1035, 4.2.2)


def ask(asking: Asking) -> Exchange:
    """Send a DNS query when its turn comes, and return the result."""
    message = packets.identity_query(asking.query.name, nsid=asking.query.nsid)
    message = packets.with_id(message, secrets.randbits(16))
    over_tcp = _protocol(asking) is Protocol.TCP
    yield Wait(turns=_PACKETS_OF_TCP if over_tcp else 1)
    try:
        kind = socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM
        line = asking.open(kind)
    except OSError as error:
        return _failure(asking, "socket", f"socket failed: {error.strerror}")
    with line:
        return (yield from (_over_tcp if over_tcp else _over_udp)(asking, line, message))


def _over_udp(asking: Asking, line: StampedSocket, query: bytes) -> Exchange:
    try:
        line.connect(asking.target, asking.port)
        number = line.send(query)
    except OSError as error:
        return _failure(asking, "senderror", f"sendto failed: {error.strerror}")
    until = time.monotonic() + asking.timeout_s
    came = Came.PACKET
    while came is not Came.TIME:
        for arrival in line.receive():
            sent = line.sent_at(number)
            if isinstance(arrival, IcmpError):
                if is_final(asking.af, arrival):
                    return _failure(asking, "err", told(arrival), sent, line)
            elif packets.answers_query(arrival.data, query):
                reply = results.DnsReply(message=arrival.data, rtt_ms=sent.ms_until(arrival.at))
                return _answer(asking, reply, sent, line)
        came = yield Wait(line, until)
    return _failure(asking, "timeout", round(asking.timeout_s * 1000), line.sent_at(number), line)


def _over_tcp(asking: Asking, line: StampedSocket, query: bytes) -> Exchange:
    until, began = time.monotonic() + asking.timeout_s, now()
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
    got = b""
    while came is not Came.TIME:
        try:
            for arrival in line.receive():
                if not isinstance(arrival, Packet):
                    continue  # TCP sees to ICMP errors itself
                if not arrival.data:
                    raise ConnectionError(0, "connection closed")
                messages, got = _messages_in(got + arrival.data)
                for message in messages:
                    if packets.answers_query(message, query):
                        took_ms, whole_ms = line.sent_at(number).ms_until(arrival.at), began.ms_until(arrival.at)
                        reply = results.DnsReply(message=message, rtt_ms=took_ms, whole_ms=whole_ms)
                        return _answer(asking, reply, began, line)
        except OSError as error:
            return _failure(asking, "TCPREAD", f"read failed: {error.strerror}", began, line)
        came = yield Wait(line, until)
    return _failure(asking, "timeout", round(asking.timeout_s * 1000), began, line)


def _messages_in(got: bytes) -> tuple[list[bytes], bytes]:
    """Return the messages of a stream that are whole, and what follows them."""
    messages = []
    while len(got) >= _LENGTH and len(got) >= (end := _LENGTH + int.from_bytes(got[:_LENGTH])):
        messages.append(got[_LENGTH:end])
        got = got[end:]
    return messages, got


def _answer(asking: Asking, reply: results.DnsReply, sent: Moment, line: StampedSocket) -> Result:
    return _result(asking, results.dns_reply(reply), sent, line)


def _failure(
    asking: Asking, key: str, reason: object, sent: Moment | None = None, line: StampedSocket | None = None
) -> Result:
    """Return the result of a failure, under the key that RIPE Atlas has for it."""
    return _result(asking, {"error": {key: reason}}, sent, line)


def _result(asking: Asking, found: dict[str, Any], sent: Moment | None, line: StampedSocket | None) -> Result:
    source, port = (None, None) if line is None else line.source
    return asking.result(_protocol(asking), ({} if port is None else {"src_port": port}) | found, sent, source)


def _protocol(asking: Asking) -> Protocol:
    return Protocol.TCP if asking.query.protocol is Protocol.TCP else Protocol.UDP
