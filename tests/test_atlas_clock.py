from __future__ import annotations

from catchment.platforms.atlas.client import Atlas
from catchment.platforms.atlas.clock import ServerClock
from tests.atlas_server import Bench, ok


def test_until_the_server_has_spoken_the_hosts_own_time_counts() -> None:
    assert ServerClock(clock=lambda: 1000.0, sleep=lambda _: None).now() == 1000.0


def test_who_wants_the_time_before_the_server_has_spoken_has_it_asked_once() -> None:
    asked = []

    def ask() -> None:
        asked.append("the time")
        clock.hear(1300.0)

    clock = ServerClock(clock=lambda: 1000.0, sleep=lambda _: None, ask=ask)
    assert [clock.now(), clock.now(), len(asked)] == [1300.0, 1300.0, 1]
    silent = ServerClock(clock=lambda: 1000.0, sleep=lambda _: None, ask=lambda: asked.append("in vain"))
    assert [silent.now(), silent.now(), len(asked)] == [1000.0, 1000.0, 2]


def test_a_host_whose_clock_is_slow_goes_by_the_server() -> None:
    here = iter([1000.0, 1010.0])
    clock = ServerClock(clock=lambda: next(here), sleep=lambda _: None)
    clock.hear(1300.0)
    assert clock.now() == 1310.0


def test_an_hour_at_a_server_that_runs_faster_is_a_minute_here() -> None:
    slept: list[float] = []
    here = iter([1000.0, 1002.0])
    clock = ServerClock(clock=lambda: next(here), sleep=slept.append, speed=60.0)
    clock.hear(5000.0)
    clock.sleep(3600)
    assert slept == [60.0]
    assert clock.now() == 5120.0


def test_the_time_comes_with_every_answer(bench: Bench) -> None:
    heard: list[float] = []
    answers = [ok({}, Date="Sat, 21 Nov 2026 12:00:00 GMT"), ok({}), ok({}, Date="some day")]
    with bench.atlas(answers, heard=heard.append) as (atlas, _):
        assert isinstance(atlas, Atlas)
        for _ in answers:
            atlas.get("/probes/1/")
    assert heard == [1_795_262_400.0]
