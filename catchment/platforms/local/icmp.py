"""ICMP of both families: echoes that one socket sends and knows again, and what errors mean (RFC 792, 4443)."""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from catchment.model import AddressFamily
from catchment.platforms.local import packets
from catchment.platforms.local.asking import Asking
from catchment.platforms.local.sockets import Arrival, IcmpError, Packet

_UNREACHABLE = {4: 3, 6: 1}
_TOO_LATE = {4: 11, 6: 3}
_BAD = {4: 12, 6: 4}
_TOO_BIG = (4, 3, 4)  # family, type, code: the kernel sends it again in pieces. That of IPv6 has a type of its own
_PORT = {4: 3, 6: 4}  # codes of _UNREACHABLE
# As traceroutes of RIPE Atlas print them; other codes are printed as numbers.
_LETTERS = {4: {0: "N", 1: "H", 2: "P", 3: "p", 13: "A"}, 6: {0: "N", 1: "A", 2: "h", 3: "H", 4: "p"}}

_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_PROTOCOL = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number
_SOL_RAW = 255
_FILTER = 1  # ICMP_FILTER, ICMP6_FILTER: a set bit keeps a type away
_TYPES = {4: 32, 6: 256}


def is_final(af: AddressFamily, error: IcmpError) -> bool:
    """Tell whether an ICMP error means that a packet did not arrive, and no other will be sent in its place."""
    final = error.type in {_UNREACHABLE[af], _TOO_LATE[af], _BAD[af]}
    return final and (af, error.type, error.code) != _TOO_BIG


def told(error: IcmpError) -> str:
    """Return what an ICMP error says, in one line."""
    return f"{error.reason} (ICMP type {error.type}, code {error.code}, from {error.sender or 'an unknown address'})"


def is_of_a_hop(af: AddressFamily, error: IcmpError) -> bool:
    """Tell whether an ICMP error says no more than that a packet had gone as many hops as it might."""
    return error.type == _TOO_LATE[af]


def is_of_a_port(af: AddressFamily, error: IcmpError) -> bool:
    """Tell whether an ICMP error says that the packet arrived, and nobody listens there."""
    return (error.type, error.code) == (_UNREACHABLE[af], _PORT[af])


def letter(af: AddressFamily, error: IcmpError) -> str | int | None:
    """Return how a traceroute prints why a router lets nobody pass; None where that is not what it says."""
    return _LETTERS[af].get(error.code, error.code) if error.type == _UNREACHABLE[af] else None


class Echoes:
    """Echo requests to one target by a ping socket, or a raw one where this host's group may have none.

    `data` gives what the request of a sequence number carries, from the identifier and that number. Raises OSError
    where neither can be had, or there is no way to the target.
    """

    def __init__(self, asking: Asking, data: Callable[[int, int], bytes]) -> None:
        self._af, self._data = asking.af, data
        self._sent: dict[int, tuple[int, bytes]] = {}
        protocol = _PROTOCOL[asking.af]
        try:
            self.line = asking.open(socket.SOCK_DGRAM, protocol)
            self._is_raw = False
        except OSError:
            self.line = asking.open(socket.SOCK_RAW, protocol)
            self._is_raw = True
        try:
            self._identifier = self._prepare()
            self.line.connect(asking.target)
        except BaseException:
            self.line.close()
            raise

    def _prepare(self) -> int:
        if not self._is_raw:
            self.line.socket.bind(("", 0))
            return self.line.source[1]
        away = ((1 << _TYPES[self._af]) - 1) & ~(1 << _REPLY[self._af])
        words = [(away >> 32 * at) & 0xFFFFFFFF for at in range(_TYPES[self._af] // 32)]
        level = _SOL_RAW if self._af == 4 else _PROTOCOL[6]
        with suppress(OSError):  # without it more comes than is wanted
            self.line.socket.setsockopt(level, _FILTER, struct.pack(f"@{len(words)}I", *words))
        return secrets.randbits(16)

    def close(self) -> None:
        """Close the socket."""
        self.line.close()

    def send(self, number: int) -> int:
        """Send the request of a sequence number; return the packet's number. Raises OSError where this host cannot."""
        data = self._data(self._identifier, number)
        sent = self.line.send(packets.echo_request(self._af, self._identifier, number, data))
        self._sent[number] = sent, data
        return sent

    def read(self) -> Iterator[tuple[int, float, Arrival]]:
        """Yield the sequence number, RTT (ms), and reply or error of requests that were sent."""
        for arrival in self.line.receive():
            is_reply = isinstance(arrival, Packet)
            message = arrival.data if isinstance(arrival, Packet) else arrival.quoted
            if len(message) < _HEADER.size:
                continue
            kind, _, _, identifier, number = _HEADER.unpack_from(message)
            if kind != (_REPLY if is_reply else _REQUEST)[self._af] or identifier != self._identifier:
                continue
            sent, data = self._sent.get(number, (None, b""))
            if sent is not None and (not is_reply or message[_HEADER.size :] == data):
                yield number, self.line.sent_at(sent).ms_until(arrival.at), arrival
