from __future__ import annotations

import os
import resource
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from catchment.campaign import Protocol, Query
from catchment.model import Kind, Target
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.local.streams import stream
from catchment.platforms.local.vantages import Vantage
from tests.busy_machines import once_of
from tests.chaos_server import naming

pytestmark = pytest.mark.xdist_group("packets")  # they tell time

DNS = Query(kind=Kind.DNS)


def streamed(
    names: list[str], per_s: float, is_over: Callable[[], bool], port: int, query: Query = DNS, timeout_s: float = 2.0
) -> Iterator[dict[str, Any]]:
    target = Target(service=None, address="127.0.0.1")
    (measurement,), _ = own_measurements([query], [target], names, 1.0, None, None)
    vantages = [Vantage(name=name) for name in names]
    return stream(vantages, measurement, query, per_s=per_s, is_over=is_over, timeout_s=timeout_s, port=port)


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@pytest.fixture
def silent() -> Iterator[int]:
    """Return a port where everything is received and nothing answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        yield line.getsockname()[1]


@once_of(5)
def test_every_vantage_point_asks_so_often_evenly_and_from_other_ports() -> None:
    with naming() as port:
        results = list(streamed(["a", "b", "c", "d"], 50, after(0.6), port))
    assert all(result["result"]["answers"][0]["RDATA"] == ["b1-fra"] for result in results)
    times = defaultdict(list)
    for result in results:
        times[result["vantage"]].append(result["timestamp"])
    assert set(times) == {"a", "b", "c", "d"}
    for of_one in times.values():
        assert 20 <= len(of_one) <= 31  # 0.6 s, 50 a second
        gaps = sorted(later - earlier for earlier, later in pairwise(sorted(of_one)))
        assert gaps[len(gaps) // 2] == pytest.approx(0.02, abs=0.003)
    every = sorted(result["timestamp"] for result in results)
    gaps = sorted(later - earlier for earlier, later in pairwise(every))
    assert gaps[len(gaps) // 2] == pytest.approx(0.005, abs=0.002)  # one vantage point after the other
    assert Counter(result["src_port"] for result in results).most_common(1)[0][1] <= 2


def test_results_are_yielded_while_it_goes_on() -> None:
    with naming() as port:
        is_over = after(30)
        results = streamed(["a"], 100, is_over, port)
        for _ in range(5):
            next(results)
        assert not is_over()
        results.close()  # type: ignore[attr-defined]


@once_of(5)
def test_once_it_is_over_only_what_is_under_way_is_waited_for(silent: int) -> None:
    began = time.monotonic()
    results = list(streamed(["a", "b"], 50, after(0.2), silent, timeout_s=0.3))
    assert 0.4 < time.monotonic() - began < 1.5
    assert len(results) in range(10, 23)
    assert all(result["error"] == {"timeout": 300} for result in results)
    assert max(result["timestamp"] for result in results) - min(result["timestamp"] for result in results) < 0.4


@once_of(5)
def test_nobody_answering_does_not_slow_it_down(silent: int) -> None:
    results = list(streamed(["a", "b"], 500, after(0.5), silent, timeout_s=1.0))
    assert 300 <= len(results) <= 520  # although 500 are under way at once


def test_a_stream_of_tcp_connects_each_time() -> None:
    results: list[dict[str, Any]] = []
    over_tcp = Query(kind=Kind.DNS, protocol=Protocol.TCP)
    with naming() as port:
        for result in streamed(["a"], 50, lambda: len(results) >= 5, port, over_tcp):
            results.append(result)  # noqa: PERF402  (when it is over depends on it)
    assert len(results) >= 5
    assert all(result["proto"] == "TCP" and result["result"]["qt"] > 0 for result in results)


@once_of(5)
def test_a_consumer_that_halts_gets_true_times_and_no_burst_afterwards() -> None:
    with naming() as port:
        results = streamed(["a"], 100, after(0.6), port)
        found = [next(results)]
        time.sleep(0.3)
        found += results
    assert all("result" in result for result in found)
    assert max(result["result"]["rt"] for result in found) < 200  # not the 300 ms until somebody looked
    assert len(found) <= 45  # what could not be sent meanwhile is left out


@pytest.mark.parametrize(("names", "per_s"), [([], 50.0), (["a"], 0.0)])
def test_a_stream_of_nothing_ends_at_once(names: list[str], per_s: float) -> None:
    assert list(streamed(names, per_s, lambda: False, 9)) == []


def test_leaving_a_stream_early_leaves_no_socket_open(silent: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    results = streamed(["a", "b"], 200, after(5), silent, timeout_s=0.05)
    next(results)
    assert len(os.listdir("/proc/self/fd")) > before
    results.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


@once_of(5)
def test_with_little_room_for_sockets_it_asks_for_more_and_goes_on_with_what_there_is(silent: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
    try:
        results = list(streamed(["a"], 1000, after(0.3), silent, timeout_s=0.5))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(results) >= 200
    assert {tuple(result["error"]) for result in results} == {("timeout",)}


@once_of(5)
def test_twelve_vantage_points_ask_a_hundred_times_a_second_each() -> None:
    names = [f"lab:{number}" for number in range(12)]
    with naming() as port:
        began = time.thread_time()
        results = list(streamed(names, 100, after(1.0), port, timeout_s=1.0))
        busy_s = time.thread_time() - began
    assert len(results) >= 1000
    assert all("result" in result for result in results)
    assert busy_s < 0.8  # of one core for one second; it takes a quarter of that on an idle machine
