"""Sockets whose packets the kernel stamps with the time, when they leave and when they come (SO_TIMESTAMPING).

Everything is read without waiting. ICMP errors and the stamps of packets that left stand in the socket's error queue;
as long as something is there, poll() reports an error at once, so each call here empties it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from catchment.model import AddressFamily
from catchment.platforms.local.vantages import OpenSocket

# Numbers of Linux that Python 3.11 does not name.
_SO_TIMESTAMPING = 37
_SOFTWARE_STAMPS = 1 << 1 | 1 << 3 | 1 << 4  # of packets sent, of packets received, and: report them
_NUMBERED = 1 << 7  # which packet a stamp is of
_STAMP_ONLY = 1 << 11  # without the packet: only so may everybody have it
_MSG_ERRQUEUE = 0x2000
_FROM_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
_FROM_STAMPING = 4
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # errno, origin, type, code, -, info, data
_STAMP = struct.Struct("@ll")  # seconds, nanoseconds: the kernel's own words
_NUMBER = struct.Struct("@i")
_LONGEST = 65_535
_ANCILLARY = 512
_MOST_AT_ONCE = 64  # arrivals read in one go, so that a flood on one socket does not starve the others
_NS_PER_MS = 1e6
_TRANSIENT = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """The names that one address family has for what both can."""

    family: socket.AddressFamily
    level: int
    ttl: int
    take_errors: int
    take_ttl: int
    came_ttl: int
    address_at: slice  # where a sockaddr holds it


_FAMILIES: dict[int, _Family] = {
    4: _Family(family=socket.AF_INET, level=0, ttl=2, take_errors=11, take_ttl=12, came_ttl=2, address_at=slice(4, 8)),
    6: _Family(
        family=socket.AF_INET6, level=41, ttl=16, take_errors=25, take_ttl=51, came_ttl=52, address_at=slice(8, 24)
    ),
}


@dataclass(frozen=True, slots=True)
class Clocks:
    """What two clocks said at once (ns): the wall's, in which the kernel stamps, between two looks at a steady one."""

    before_ns: int
    wall_ns: int
    after_ns: int

    def set_until(self, later: Clocks) -> int:
        """Return by how much the wall's was set meanwhile, at the least; 0 where it may have been left alone."""
        least = (later.wall_ns - later.after_ns) - (self.wall_ns - self.before_ns)
        most = (later.wall_ns - later.before_ns) - (self.wall_ns - self.after_ns)
        return 0 if least <= 0 <= most else least


@dataclass(frozen=True, slots=True)
class Moment:
    """When a packet left or came by the wall's clock (ns); the clocks before this host sent it, or after it read it."""

    wall_ns: int
    clocks: Clocks

    def ms_until(self, later: Moment) -> float:
        """Return the time until a later moment; never too short where somebody sets the clock meanwhile."""
        by_stamps, at_most = later.wall_ns - self.wall_ns, later.clocks.after_ns - self.clocks.before_ns
        # Nobody knows whether the clock was set before the later packet came or after it. Of what the steady clock
        # allows the longer counts: a time that is too short makes an honest answer faster than light.
        either = by_stamps, by_stamps - self.clocks.set_until(later.clocks)
        return max((taken for taken in either if 0 <= taken <= at_most), default=at_most) / _NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What came to a socket: its bytes from the transport's header on (of UDP and TCP sockets: the data alone)."""

    data: bytes
    at: Moment
    ttl: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IcmpError:
    """An ICMP error about a packet that was sent: who says so, its type and code, and what it quotes of the packet."""

    sender: str | None
    type: int
    code: int
    reason: str
    quoted: bytes
    at: Moment
    ttl: int | None


Arrival = Packet | IcmpError


class StampedSocket:
    """A socket of a vantage point, to be closed, which knows when each of its packets left.

    Raises OSError where it cannot be had, and from `connect` and `send`.
    """

    def __init__(self, open_socket: OpenSocket, af: AddressFamily, kind: int, protocol: int = 0) -> None:
        self._of = _FAMILIES[af]
        self._is_stream = kind == socket.SOCK_STREAM
        self._has_ip_header = kind == socket.SOCK_RAW and af == 4
        self._sent: list[Moment] = []
        self._errors: list[IcmpError] = []
        self.socket = open_socket(self._of.family, kind, protocol)
        try:
            self.socket.settimeout(0)
            if not self._is_stream:
                self.socket.setsockopt(self._of.level, self._of.take_errors, 1)
                self.socket.setsockopt(self._of.level, self._of.take_ttl, 1)
                self.stamp()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> StampedSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def stamp(self) -> None:
        """Ask for stamps from now on, where the kernel can; of TCP this is possible once it connects."""
        with suppress(OSError):
            flags = _SOFTWARE_STAMPS | _NUMBERED | _STAMP_ONLY
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, flags)

    def connect(self, address: str, port: int = 0) -> None:
        """Have packets go to and come from this address alone; a TCP connection begins."""
        with suppress(BlockingIOError):
            self.socket.connect((address, port))

    def check_connected(self) -> None:
        """Raise the OSError of a TCP connection that failed."""
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))

    @property
    def number(self) -> int:
        """Return the socket's file descriptor; -1 once it is closed."""
        return self.socket.fileno()

    @property
    def source(self) -> tuple[str, int]:
        """Return the socket's own address and port (of ping sockets: the identifier)."""
        name = self.socket.getsockname()
        return name[0], name[1]

    def set_ttl(self, ttl: int) -> None:
        """Let the packets that follow go at most so many hops."""
        self.socket.setsockopt(self._of.level, self._of.ttl, ttl)

    def send(self, data: bytes) -> int:
        """Send a packet, and return its number, from 0. Raises OSError where this host cannot."""
        number = len(self._sent)
        self._sent.append(now())
        try:
            self.socket.send(data)
        except OSError:
            # It may be what an ICMP error said of an earlier packet, which is told only once.
            del self._sent[number:]
            self._empty_error_queue()
            self._sent.append(now())
            try:
                self.socket.send(data)
            except OSError:
                del self._sent[number:]
                raise
        self._empty_error_queue()
        return number

    def sent_at(self, number: int) -> Moment:
        """Return when a packet left: by the kernel's stamp if there is one, else when it was given to the kernel."""
        return self._sent[number]

    def receive(self) -> Iterator[Arrival]:
        """Yield what has come. Raises OSError where a TCP connection is broken."""
        self._empty_error_queue()
        while self._errors:
            yield self._errors.pop(0)
        for _ in range(_MOST_AT_ONCE):
            try:
                data, ancillary, _, _ = self.socket.recvmsg(_LONGEST, _ANCILLARY)
            except OSError as error:
                if error.errno in _TRANSIENT:
                    return
                self._empty_error_queue()
                if self._is_stream:
                    raise
                if not self._errors:
                    return  # an interface that went down: what was sent is lost
                yield self._errors.pop(0)
                continue
            at, ttl, _, _ = self._read_ancillary(ancillary)
            yield Packet(data=self._without_ip_header(data), at=at, ttl=ttl)
            if not data:
                return  # the end of a connection comes again and again

    def _without_ip_header(self, data: bytes) -> bytes:
        return data[(data[0] & 15) * 4 :] if self._has_ip_header and data else data

    def _empty_error_queue(self) -> None:
        """Take the stamps of packets that left, and keep ICMP errors for later."""
        for _ in range(_MOST_AT_ONCE):
            try:
                data, ancillary, _, _ = self.socket.recvmsg(_LONGEST, _ANCILLARY, _MSG_ERRQUEUE)
            except OSError:
                return
            at, ttl, error, sender = self._read_ancillary(ancillary)
            if error is None:
                continue
            number, origin, kind, code, _, _, packet = error
            if origin == _FROM_STAMPING:
                packet = -1 if self._is_stream else packet  # a stream counts bytes
                if packet < len(self._sent):
                    self._sent[packet] = Moment(at.wall_ns, self._sent[packet].clocks)
            elif origin in _FROM_ICMP:
                reason = os.strerror(number)
                self._errors.append(
                    IcmpError(sender=sender, type=kind, code=code, reason=reason, quoted=data, at=at, ttl=ttl)
                )

    def _read_ancillary(
        self, ancillary: list[tuple[int, int, bytes]]
    ) -> tuple[Moment, int | None, tuple[int, ...] | None, str | None]:
        """Return when something came, by its stamp if it has one, its TTL, and what the error queue says of it."""
        at, of = now(), self._of
        ttl, error, sender = None, None, None
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPING and len(value) >= _STAMP.size:
                seconds, rest = _STAMP.unpack_from(value)
                if seconds:
                    at = Moment(seconds * 1_000_000_000 + rest, at.clocks)
            elif level == of.level and kind == of.came_ttl and len(value) >= _NUMBER.size:
                (ttl,) = _NUMBER.unpack_from(value)
            elif level == of.level and kind == of.take_errors and len(value) >= _EXTENDED_ERROR.size:
                error = _EXTENDED_ERROR.unpack_from(value)
                sender = self._address_in(value[_EXTENDED_ERROR.size :])
        return at, ttl, error, sender

    def _address_in(self, sockaddr: bytes) -> str | None:
        (family,) = struct.unpack_from("@H", sockaddr) if len(sockaddr) >= 2 else (0,)
        address = sockaddr[self._of.address_at]
        return socket.inet_ntop(self._of.family, address) if family == self._of.family else None


def now() -> Moment:
    """Return this moment."""
    clocks = Clocks(time.monotonic_ns(), time.time_ns(), time.monotonic_ns())
    return Moment(clocks.wall_ns, clocks)
