"""The cables of a lab: every packet of every wire waits in one process, as long as light takes.

The halves of all wires that are in the hub send to one AF_PACKET socket. A packet goes on `delay` after the kernel had
it, in the order in which its direction's packets came. Ran as a program it takes what the wires are, and their changes,
as lines of JSON over the socket that is its standard input, and answers each with one.
"""

from __future__ import annotations

import ctypes
import gc
import heapq
import os
import random
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from catchment.platforms.lab.conversation import line, message

FORWARDER_BIAS_MS = 0.02
"""How much later than its delay a wire hands on a packet, at the median.

Measured with the kernel's time stamps at both ends of a wire (AF_PACKET, SO_TIMESTAMPNS), 600 echo requests and replies
at 100 a second, several times: 0.014 to 0.024 ms with a delay of 4 ms, 0.007 to 0.012 with 0.5 ms; as an ordinary user,
without SCHED_FIFO, on a machine more than twice as busy as it has cores, 0.010 to 0.019.
"""

UNDELAYED_BIAS_MS = 0.1
"""The same of a wire without delay, for which nobody can be awake early: the mean of both ways, 0.055 on an idle
machine (0.09 there, and 0.02 back while all is awake), and 0.11 on a busy one."""

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 15, 23
_SO_RCVBUFFORCE, _BUFFER_BYTES = 33, 16 << 20
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_STAMP.size)
_PR_SET_TIMERSLACK = 29
_TFD_TIMER_ABSTIME = 1
_LARGEST = 65_600  # a packet that the sender's kernel has not cut into frames yet, and its header
_BATCH = 64  # then see what is due
_EARLY_NS = 80_000  # waking up takes most of that; the rest is spent waiting awake, for precision

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True, kw_only=True)
class Direction:
    """One way through a wire: packets come out of the interface `out`. `last_ns` is when the last of them is due."""

    out: tuple[str, int]
    delay_ns: int
    loss: float = 0.0
    is_cut: bool = False
    last_ns: int = 0


class Line:
    """The packets that are under way, in the order in which they are due."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._heap: list[tuple[int, int, tuple[str, int], bytes]] = []
        self._number = count()

    def take(self, direction: Direction, packet: bytes, came_ns: int) -> None:
        """Take a packet that came into a wire, unless it is lost there; none of a direction overtakes another."""
        if direction.is_cut or (direction.loss and self._chance.random() < direction.loss):
            return
        direction.last_ns = due = max(came_ns + direction.delay_ns, direction.last_ns)
        heapq.heappush(self._heap, (due, next(self._number), direction.out, packet))

    def due(self, now_ns: int) -> Iterator[tuple[int, tuple[str, int], bytes]]:
        """Yield what is to leave until then: when, from where, and the packet."""
        while self._heap and self._heap[0][0] <= now_ns:
            at_ns, _, out, packet = heapq.heappop(self._heap)
            yield at_ns, out, packet

    def next_ns(self) -> int | None:
        """Return when the next packet is due."""
        return self._heap[0][0] if self._heap else None


class Timer:
    """A descriptor that becomes readable at a time of the monotonic clock, to the nanosecond."""

    def __init__(self) -> None:
        self.descriptor = int(_libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._at_ns: int | None = None

    def set(self, at_ns: int | None) -> None:
        """Set the time; None: never."""
        if at_ns != self._at_ns:
            self._at_ns = at_ns
            when = struct.pack("@qqqq", 0, 0, *divmod(0 if at_ns is None else max(at_ns, 1), 1_000_000_000))
            _libc.timerfd_settime(self.descriptor, _TFD_TIMER_ABSTIME, when, None)

    def clear(self) -> None:
        """Take note that the time has come."""
        with suppress(BlockingIOError):
            os.read(self.descriptor, 8)
        self._at_ns = None


def open_packets() -> socket.socket:
    """Open the socket on which the packets of all interfaces here come, and by which they leave."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(_ETH_P_ALL))
    # Carries packets through that their sender's kernel has yet to cut or to sum: TCP needs no ethtool then.
    packets.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    packets.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)  # else what we send comes back to us
    packets.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    try:
        packets.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    except PermissionError:
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    return packets


def received(packets: socket.socket) -> Iterator[tuple[str, bytes, int]]:
    """Yield the packets that are there: the interface each came by, its bytes, and the monotonic time at which."""
    while True:
        try:
            packet, ancillary, _, address = packets.recvmsg(_LARGEST, _ANCILLARY_BYTES)
        except OSError:  # none is there; or an interface went away, which is told here once
            return
        waited_ns = 0
        if ancillary:  # the kernel's time of it: before it woke us
            seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
            waited_ns = time.time_ns() - seconds * 1_000_000_000 - nanoseconds
            if not 0 < waited_ns < 1_000_000_000:  # somebody set the clock
                waited_ns = 0
        # Last: who is interrupted in between is to find the packet younger than it is. None may leave early.
        came_ns = time.monotonic_ns() - waited_ns
        yield address[0], packet, came_ns


def run(control: socket.socket, packets: socket.socket) -> None:
    """Forward packets until nobody holds the other end of `control`."""
    directions: dict[str, Direction] = {}
    under_way = Line(random.Random(1))  # noqa: S311  (decides which packets are lost)
    timer = Timer()
    poll = select.epoll()
    for each in (control.fileno(), packets.fileno(), timer.descriptor):
        poll.register(each, select.EPOLLIN)
    said = b""
    while True:
        for ready, _ in poll.poll():
            if ready == packets.fileno():
                for name, packet, came_ns in islice(received(packets), _BATCH):
                    if name in directions:
                        under_way.take(directions[name], packet, came_ns)
            elif ready == timer.descriptor:
                timer.clear()
            else:
                more = control.recv(1 << 16)
                if not more:
                    return
                *whole, said = (said + more).split(b"\n")
                for text in whole:
                    change(directions, message(text))
                    control.sendall(line({}))
        for at_ns, out, packet in under_way.due(time.monotonic_ns() + _EARLY_NS):
            while time.monotonic_ns() < at_ns:
                pass
            with suppress(OSError):  # as on a cable: what does not fit is lost
                packets.sendto(packet, out)
        next_ns = under_way.next_ns()
        timer.set(None if next_ns is None else next_ns - _EARLY_NS)


def change(directions: dict[str, Direction], wire: dict[str, Any]) -> None:
    """Make a wire between two interfaces of the hub (`ends`), or change what is said of it."""
    for come_in, out in (wire["ends"], reversed(wire["ends"])):
        direction = directions.setdefault(come_in, Direction(out=(out, 0), delay_ns=0))
        direction.delay_ns = round(wire["delay_ms"] * 1e6)
        direction.loss = wire["loss"]
        direction.is_cut = wire["is_cut"]


def main() -> None:
    """Be the forwarder: of the network namespace that this is in, on behalf of who holds the standard input."""
    gc.disable()  # nothing here makes cycles, and a pause is a delay
    _libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    with socket.socket(fileno=os.dup(0)) as control, open_packets() as packets:
        run(control, packets)


if __name__ == "__main__":
    main()
