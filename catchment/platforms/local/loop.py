"""One loop for all that is under way: sockets that get something, times that come, and turns to send at a pace.

What is under way is a generator that yields what it waits for, and is told what came first. So each exchange of packets
reads from top to bottom, and closing it closes its sockets.
"""

from __future__ import annotations

import heapq
import math
import select
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from catchment.platforms.local.sockets import StampedSocket

Result = dict[str, Any]


class Came(Enum):
    """What a generator waited for and got."""

    PACKET = "packet"  # its socket has something to read, or may be written
    TIME = "time"
    TURN = "turn"  # a packet may leave


@dataclass(frozen=True, slots=True)
class Wait:
    """What a generator waits for: something on its `line`, the time `until` (monotonic, s), its turn; the first counts.

    `turns` is how many packets leave when its turn comes (0: none); `to_write` waits until the line connects.
    """

    line: StampedSocket | None = None
    until: float = math.inf
    turns: int = 0
    to_write: bool = False


Exchange = Generator[Wait, Came, Result]
Start = tuple[float, Callable[[], Exchange]]
"""When an exchange begins (monotonic, s), and how."""

_WATCHED_EVERY_S = 0.05  # how often it is asked whether it is over
_LONGEST_WAIT_S = 3600.0  # the kernel counts milliseconds, in 32 bits
_CATCH_UP_S = 0.01  # turns that were missed while nobody looked are made up for so far, and no further


@dataclass(slots=True, eq=False)
class _UnderWay:
    exchange: Exchange
    line: StampedSocket | None = None
    number: int = -1
    events: int = 0
    turns: int = 0
    round: int = 0  # of its waits; an older deadline counts no more


def run(
    starts: Iterator[Start], *, rate_per_s: float | None, most: int, is_over: Callable[[], bool] = lambda: False
) -> Iterator[Result]:
    """Yield the result of each exchange when it is complete; once `is_over`, no more begin.

    At most `most` are under way, and at most `rate_per_s` packets leave a second (None: as they come). Closing this
    iterator closes every socket.
    """
    with _stamping(), select.epoll() as poll:
        loop = _Loop(poll, rate_per_s, most)
        try:
            yield from loop.run(starts, is_over)
        finally:
            loop.close()


class _Loop:
    def __init__(self, poll: select.epoll, rate_per_s: float | None, most: int) -> None:
        self._poll = poll
        self._gap_s = 0.0 if rate_per_s is None else 1 / rate_per_s
        self._most = most
        self._next_turn = 0.0
        self._under_way: dict[_UnderWay, None] = {}
        self._in_line: dict[_UnderWay, None] = {}
        self._deadlines: list[tuple[float, int, int, _UnderWay]] = []
        self._count = 0
        self._listening: dict[int, _UnderWay] = {}
        self._done: list[Result] = []

    def close(self) -> None:
        for one in self._under_way:
            one.exchange.close()

    def run(self, starts: Iterator[Start], is_over: Callable[[], bool]) -> Iterator[Result]:
        upcoming = next(starts, None)
        while upcoming is not None or self._under_way:
            if upcoming is not None and is_over():
                upcoming = None
            now = time.monotonic()
            while upcoming is not None and upcoming[0] <= now and len(self._under_way) < self._most:
                self._begin(upcoming[1]())
                upcoming = next(starts, None)
            self._give_turns(now)
            yield from self._take_done()
            # What came while the results were written counts before what was late meanwhile.
            for number, _ in self._poll.poll(self._idle_s(upcoming)):
                if number in self._listening:
                    self._go_on(self._listening[number], Came.PACKET)
            self._expire()
            yield from self._take_done()

    def _take_done(self) -> Iterator[Result]:
        done, self._done = self._done, []
        yield from done

    def _idle_s(self, upcoming: Start | None) -> float | None:
        """Return how long nothing is to be done unless a packet comes; None: for ever."""
        while self._deadlines and self._deadlines[0][2] != self._deadlines[0][3].round:
            heapq.heappop(self._deadlines)
        now = time.monotonic()
        times = [self._deadlines[0][0]] if self._deadlines else []
        if self._in_line:
            times.append(self._next_turn)
        if upcoming is not None:
            times.append(now + _WATCHED_EVERY_S)
            if len(self._under_way) < self._most:
                times.append(upcoming[0])
        if upcoming is None and not self._under_way:
            times.append(now)
        return min(max(0.0, min(times) - now), _LONGEST_WAIT_S) if times else None

    def _begin(self, exchange: Exchange) -> None:
        one = _UnderWay(exchange)
        self._under_way[one] = None
        self._go_on(one, None)

    def _give_turns(self, now: float) -> None:
        while self._in_line and self._next_turn <= now:
            one = next(iter(self._in_line))
            del self._in_line[one]
            self._next_turn = max(self._next_turn, now - _CATCH_UP_S) + one.turns * self._gap_s
            self._go_on(one, Came.TURN)

    def _expire(self) -> None:
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, of_round, one = heapq.heappop(self._deadlines)
            if of_round == one.round:
                self._go_on(one, Came.TIME)

    def _go_on(self, one: _UnderWay, came: Came | None) -> None:
        """Tell an exchange what came, and see to what it waits for next."""
        one.round += 1
        try:
            wait = next(one.exchange) if came is None else one.exchange.send(came)
        except StopIteration as stop:
            wait = Wait()
            del self._under_way[one]
            self._done.append(stop.value)
        self._listen(one, wait)
        if wait.until < math.inf:
            self._count += 1
            heapq.heappush(self._deadlines, (wait.until, self._count, one.round, one))
        one.turns = wait.turns
        if wait.turns:
            self._in_line.setdefault(one)  # who stands in line keeps the place
        else:
            self._in_line.pop(one, None)

    def _listen(self, one: _UnderWay, wait: Wait) -> None:
        line, events = wait.line, select.EPOLLOUT if wait.to_write else select.EPOLLIN
        if (line, events) == (one.line, one.events):
            return
        if one.line is not None:
            del self._listening[one.number]
            if one.line.number >= 0:  # a closed one left the kernel's list by itself
                self._poll.unregister(one.number)
        one.line, one.events = line, events
        if line is not None:
            one.number = line.number
            self._listening[one.number] = one
            self._poll.register(one.number, events)


@contextmanager
def _stamping() -> Iterator[None]:
    """Hold a socket that wants stamps: the kernel begins to make them some time after the first one asks."""
    try:
        line = StampedSocket(socket.socket, 4, socket.SOCK_DGRAM)
    except OSError:
        yield
        return
    with line:
        yield
