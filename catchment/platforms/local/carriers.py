"""What carries a traceroute: ICMP, UDP or TCP packets that all take one flow (Paris traceroute, IMC 2006).

Routers share packets out by the first bytes behind the IP header: ports, or the checksum of ICMP. These stay the same
within a traceroute; other bytes tell the packets apart.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

from catchment import campaign
from catchment.platforms.local import packets
from catchment.platforms.local.asking import Asking
from catchment.platforms.local.icmp import Echoes
from catchment.platforms.local.sockets import Arrival, IcmpError, StampedSocket

FLOWS = 16
"""Flows from 1 on, to be taken in turn."""

SIZE = 48  # bytes of ICMP and UDP packets without headers
_FIRST_PORT = 16_384  # of the source: below those that the kernel gives away
_TARGETS = 1000  # that have source ports of their own, so that several are traced at once
_UDP_PORT = 33_434  # where hardly anybody listens
_TCP_PORT = 53
_ONES = 0xFFFF
_QUOTED = 8  # bytes of a packet that every ICMP error quotes (RFC 792), with the ports in front
_FIRST_NUMBER = 1 << 16  # TCP's sequence number of packet 0
_NONE = (None, None)


class Carrier(Protocol):
    """Sends numbered packets, and knows what comes back for each: its number, RTT (ms), and what came.

    At most `most` packets may be under way, so that errors which quote little of them can be told apart.
    """

    protocol: campaign.Protocol
    line: StampedSocket
    most: int
    size: int

    def send(self, number: int) -> int: ...  # noqa: D102

    def read(self) -> Iterator[tuple[int, float, Arrival]]: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


def open_carrier(asking: Asking, flow: int) -> Carrier:
    """Open what carries a traceroute along a flow. Raises OSError where there is no way, or no privilege."""
    match asking.query.protocol:
        case campaign.Protocol.TCP:
            return RawTcp(asking, flow)
        case campaign.Protocol.UDP:
            try:
                return RawUdp(asking, flow)
            except PermissionError:
                return PlainUdp(asking, flow)
        case campaign.Protocol.ICMP:
            return Icmp(asking, flow)
        case None:
            try:
                return Icmp(asking, flow)
            except PermissionError:
                return PlainUdp(asking, flow)


class Icmp(Echoes):
    """Echo requests whose first two bytes of data make up for their number in the checksum."""

    protocol = campaign.Protocol.ICMP
    most = 1 << 16
    size = SIZE

    def __init__(self, asking: Asking, flow: int) -> None:
        def data(identifier: int, number: int) -> bytes:
            return (((flow << 8) - identifier - number) % _ONES).to_bytes(2) + bytes(SIZE - 2)

        super().__init__(asking, data)


class PlainUdp:
    """Datagrams of an ordinary socket. What errors tell of a packet is its data at best, so one goes at a time."""

    protocol = campaign.Protocol.UDP
    most = 1
    size = SIZE

    def __init__(self, asking: Asking, flow: int) -> None:
        self._last: tuple[int, int] | None = None
        self.line = asking.open(socket.SOCK_DGRAM)
        try:
            _bind(self.line.socket, asking.target, flow)
            self.line.connect(asking.target, _UDP_PORT)
        except BaseException:
            self.line.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        self.line.close()

    def send(self, number: int) -> int:
        """Send a packet, and return its number on the line. Raises OSError."""
        sent = self.line.send(_data(number))
        self._last = number, sent
        return sent

    def read(self) -> Iterator[tuple[int, float, Arrival]]:
        """Yield what came back."""
        for arrival in self.line.receive():
            if self._last is None:
                continue
            number, sent = self._last
            if (
                isinstance(arrival, IcmpError)
                and arrival.quoted
                and not _data(number).startswith(arrival.quoted[:SIZE])
            ):
                continue  # it is about one that was given up
            yield number, self.line.sent_at(sent).ms_until(arrival.at), arrival


class _Raw:
    """Packets built here from the transport's header on, so that what tells them apart may stand in that.

    Needs cap_net_raw. A socket of the ordinary kind holds the source port, lest somebody else gets it.
    """

    most = 1 << 16
    protocol: campaign.Protocol
    size: int

    def __init__(self, asking: Asking, flow: int, kind: int, number: int, port: int) -> None:
        self._sent: dict[int, tuple[int, int]] = {}
        with ExitStack() as opened:
            self.line = opened.enter_context(asking.open(socket.SOCK_RAW, number))
            self.line.connect(asking.target)
            holder = opened.enter_context(asking.vantage.open_socket(self.line.socket.family, kind, 0))
            _bind(holder, asking.target, flow)
            self._ends = self.line.source[0], asking.target
            self._ports = holder.getsockname()[1], port
            self.close = opened.pop_all().close

    def send(self, number: int) -> int:
        """Send a packet, and return its number on the line. Raises OSError."""
        packet = self._build(number)
        sent = self.line.send(packet)
        self._sent[self._mark_of_quoted(packet)] = number, sent
        return sent

    def read(self) -> Iterator[tuple[int, float, Arrival]]:
        """Yield what came back."""
        for arrival in self.line.receive():
            is_quoted = isinstance(arrival, IcmpError)
            packet = arrival.quoted if isinstance(arrival, IcmpError) else arrival.data
            if len(packet) < _QUOTED:
                continue
            ports = int.from_bytes(packet[:2]), int.from_bytes(packet[2:4])
            if (ports if is_quoted else ports[::-1]) == self._ports:
                number, sent = self._sent.get(
                    (self._mark_of_quoted if is_quoted else self._mark_of_reply)(packet), _NONE
                )
                if number is not None and sent is not None:
                    yield number, self.line.sent_at(sent).ms_until(arrival.at), arrival

    def _build(self, number: int) -> bytes:
        raise NotImplementedError

    def _mark_of_quoted(self, packet: bytes) -> int:
        raise NotImplementedError

    def _mark_of_reply(self, packet: bytes) -> int:
        raise NotImplementedError


class RawUdp(_Raw):
    """Datagrams told apart by their checksum, which every error quotes."""

    protocol = campaign.Protocol.UDP
    size = SIZE

    def __init__(self, asking: Asking, flow: int) -> None:
        super().__init__(asking, flow, socket.SOCK_DGRAM, socket.IPPROTO_UDP, _UDP_PORT)

    def _build(self, number: int) -> bytes:
        return packets.udp_probe(*self._ends, self._ports, _data(number))

    def _mark_of_quoted(self, packet: bytes) -> int:
        return int.from_bytes(packet[6:8])

    def _mark_of_reply(self, packet: bytes) -> int:  # noqa: ARG002
        return -1  # who answers there does not say which packet


class RawTcp(_Raw):
    """Wishes for a connection, told apart by their sequence number; the kernel takes back each that is granted."""

    protocol = campaign.Protocol.TCP
    size = 0

    def __init__(self, asking: Asking, flow: int) -> None:
        super().__init__(asking, flow, socket.SOCK_STREAM, socket.IPPROTO_TCP, _TCP_PORT)

    def _build(self, number: int) -> bytes:
        return packets.tcp_syn(*self._ends, self._ports, _FIRST_NUMBER + number)

    def _mark_of_quoted(self, packet: bytes) -> int:
        return int.from_bytes(packet[4:8])

    def _mark_of_reply(self, packet: bytes) -> int:
        return int.from_bytes(packet[8:12]) - 1  # what is acknowledged


def _data(number: int) -> bytes:
    return number.to_bytes(2) + bytes(SIZE - 2)


def _bind(line: socket.socket, target: str, flow: int) -> None:
    """Give a socket the source port of a flow to a target, or any other where that is taken."""
    try:
        line.bind(("", _FIRST_PORT + zlib.crc32(target.encode()) % _TARGETS * FLOWS + flow))
    except OSError:
        line.bind(("", 0))
