from __future__ import annotations

import itertools
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from catchment.platforms.local import loop
from catchment.platforms.local.loop import Came, Exchange, Start, Wait, run
from catchment.platforms.local.sockets import StampedSocket

pytestmark = pytest.mark.xdist_group("packets")  # they tell time


class Watch:
    """A clock that goes on only while the loop waits, and what it waits with: so no machine is too busy for a test."""

    def __init__(self) -> None:
        self.s = 1000.0

    def monotonic(self) -> float:
        return self.s

    def epoll(self) -> Watch:
        return self

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def poll(self, for_s: float | None) -> list[tuple[int, int]]:
        assert for_s is not None  # else it would wait for ever
        self.s += for_s
        return []


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Return the clock by which the loop goes, for exchanges that wait for no packet."""
    found = Watch()
    monkeypatch.setattr(loop, "time", found)
    names = SimpleNamespace(epoll=found.epoll, EPOLLIN=select.EPOLLIN, EPOLLOUT=select.EPOLLOUT)
    monkeypatch.setattr(loop, "select", names)
    return found


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def at_once(*exchanges: Callable[[], Exchange]) -> Iterator[Start]:
    return ((0.0, exchange) for exchange in exchanges)


def sleeping(name: str, for_s: float, clock: Callable[[], float] = time.monotonic) -> Callable[[], Exchange]:
    def exchange() -> Exchange:
        came = yield Wait(until=clock() + for_s)
        return {"name": name, "came": came}

    return exchange


def nothing() -> Exchange:
    """Be complete as soon as it begins."""
    return {}
    yield


def listening(closed: list[str], name: str = "listener") -> Callable[[], Exchange]:
    """Return an exchange that waits for a packet that never comes, and tells when it is closed."""

    def exchange() -> Exchange:
        try:
            with StampedSocket(socket.socket, 4, socket.SOCK_DGRAM) as line:
                line.connect("127.0.0.1", 9)
                yield Wait(line)
            return {}
        finally:
            closed.append(name)

    return exchange


def test_results_come_in_the_order_in_which_they_are_complete(watch: Watch) -> None:
    both = at_once(sleeping("late", 0.06, watch.monotonic), sleeping("soon", 0.01, watch.monotonic))
    found = run(both, rate_per_s=None, most=2)
    assert [(result["name"], result["came"]) for result in found] == [("soon", Came.TIME), ("late", Came.TIME)]


def test_no_more_are_under_way_than_may_be(watch: Watch) -> None:
    under_way = most = 0

    def exchange() -> Exchange:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        yield Wait(until=watch.s + 0.005)
        under_way -= 1
        return {}

    assert len(list(run(at_once(*[exchange] * 20), rate_per_s=None, most=3))) == 20
    assert most == 3


def turns(watch: Watch, each: list[int]) -> tuple[Callable[[], Exchange], list[float]]:
    """Return an exchange that asks for so many turns one after another, and where it notes when each comes (s)."""
    began, times = watch.s, list[float]()

    def exchange() -> Exchange:
        for number in each:
            yield Wait(turns=number)
            times.append(watch.s - began)
        return {}

    return exchange, times


def test_packets_leave_at_the_pace_all_together(watch: Watch) -> None:
    exchange, times = turns(watch, [1, 1, 1])
    list(run(at_once(*[exchange] * 4), rate_per_s=100, most=10))
    # 12 packets at 100 a second, of which the first two may leave at once.
    assert times == pytest.approx([0.0, *(number / 100 for number in range(11))])


def test_who_sends_many_packets_in_a_turn_pays_for_all_of_them(watch: Watch) -> None:
    exchange, times = turns(watch, [10])
    list(run(at_once(exchange, exchange), rate_per_s=100, most=2))
    assert times == pytest.approx([0.0, 0.09])


def test_turns_that_were_missed_are_not_made_up_for_in_a_burst(watch: Watch) -> None:
    exchange, times = turns(watch, [1] * 5)
    results = run(at_once(nothing, exchange), rate_per_s=100, most=2)
    assert next(results) == {}
    watch.s += 1.0  # while the result is written
    list(results)
    assert times == pytest.approx([0.0, 0.0, 1.0, 1.0, 1.01])  # two at once, as at the beginning, and no hundred


def test_a_pace_of_one_packet_in_a_year_is_waited_for() -> None:
    def exchange() -> Exchange:
        yield Wait(turns=1)
        return {}

    results = run(at_once(exchange, exchange), rate_per_s=1e-9, most=2, is_over=lambda: False)
    assert next(results) == {}

    def ring(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(InterruptedError):  # and no error of numbers that are too great
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            next(results)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_turns_are_given_in_the_order_in_which_they_were_asked_for(watch: Watch) -> None:
    order: list[str] = []

    def exchange(name: str) -> Callable[[], Exchange]:
        def waiting() -> Exchange:
            came = Came.TIME
            while came is not Came.TURN:  # its place is kept although other things come meanwhile
                came = yield Wait(until=watch.s + 0.002, turns=1)
            order.append(name)
            return {}

        return waiting

    list(run(at_once(*map(exchange, "abcd")), rate_per_s=100, most=4))
    assert order == list("abcd")


def test_a_packet_that_came_while_a_result_was_written_is_not_late() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))

        def exchange() -> Exchange:
            with StampedSocket(socket.socket, 4, socket.SOCK_DGRAM) as line:
                line.connect(*peer.getsockname())
                line.send(b"?")
                peer.sendto(b"!", line.source)
                return {"came": (yield Wait(line, time.monotonic() + 0.02))}

        results = run(at_once(nothing, exchange), rate_per_s=None, most=2)
        assert next(results) == {}
        time.sleep(0.05)  # longer than the reply is waited for
        assert list(results) == [{"came": Came.PACKET}]


def test_when_it_is_over_nothing_begins_and_what_is_under_way_is_waited_for(watch: Watch) -> None:
    begun = 0
    began = watch.s

    def exchange() -> Exchange:
        nonlocal begun
        begun += 1
        yield Wait(until=watch.s + 0.05)
        return {}

    starts = ((began + number * 0.01, exchange) for number in itertools.count())
    found = list(run(starts, rate_per_s=None, most=100, is_over=lambda: watch.s > began + 0.105))
    assert len(found) == begun == 11
    assert watch.s - began == pytest.approx(0.15)  # the last one began after 0.1 s


def test_it_ends_at_once_when_it_is_over_from_the_start() -> None:
    assert list(run(at_once(sleeping("x", 9)), rate_per_s=1, most=1, is_over=lambda: True)) == []


def test_it_notices_soon_that_it_is_over_although_the_next_is_far_off(watch: Watch) -> None:
    began = watch.s
    starts: Iterator[Start] = iter([(began + 30, sleeping("x", 0))])
    assert list(run(starts, rate_per_s=1, most=1, is_over=lambda: watch.s > began + 0.02)) == []
    assert watch.s - began < 0.2


def test_closing_it_early_closes_every_socket() -> None:
    before, closed = open_files(), list[str]()
    results = run(at_once(listening(closed), sleeping("soon", 0.0), listening(closed)), rate_per_s=None, most=9)
    assert next(results)["name"] == "soon"
    assert open_files() > before
    results.close()  # type: ignore[attr-defined]
    assert closed == ["listener"] * 2
    assert open_files() == before


@pytest.mark.parametrize("problem", [KeyboardInterrupt, ValueError])
def test_an_error_or_an_interrupt_closes_every_socket(problem: type[BaseException]) -> None:
    def failing() -> Exchange:
        yield Wait(turns=1)
        raise problem

    before, closed = open_files(), list[str]()
    with pytest.raises(problem):
        list(run(at_once(listening(closed), failing), rate_per_s=None, most=9))
    assert closed == ["listener"]
    assert open_files() == before


def test_a_loop_that_was_never_begun_opens_nothing() -> None:
    before = open_files()
    results = run(at_once(sleeping("x", 0)), rate_per_s=None, most=1)
    assert open_files() == before
    results.close()  # type: ignore[attr-defined]
