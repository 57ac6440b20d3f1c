from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from catchment.platforms.atlas.client import Atlas
from catchment.platforms.atlas.clock import ServerClock, uptime
from catchment.platforms.connecting import CA_FILE, SERVER, connect_atlas
from tests.atlas_server import Bench, ok, serving

DAY = 86_400.0


class Host:
    """A host with a clock that may be set, and one that may not."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now, self.up, self.slept = now, 50.0, list[float]()

    def clock(self) -> float:
        return self.now

    def ticks(self) -> float:
        return self.up

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.up += seconds

    def server_clock(self, *, speed: float = 1.0) -> ServerClock:
        return ServerClock(clock=self.clock, ticks=self.ticks, sleep=self.slept.append, speed=speed)


def test_until_the_server_has_spoken_the_hosts_own_time_counts() -> None:
    assert ServerClock(clock=lambda: 1000.0, sleep=lambda _: None).now() == 1000.0


def test_who_wants_the_time_before_the_server_has_spoken_has_it_asked_once() -> None:
    asked = []

    def ask() -> None:
        asked.append("the time")
        clock.hear(1030.0)

    clock = ServerClock(clock=lambda: 1000.0, sleep=lambda _: None, ask=ask)
    assert [clock.now(), clock.now(), len(asked)] == [1030.0, 1030.0, 1]
    silent = ServerClock(clock=lambda: 1000.0, sleep=lambda _: None, ask=lambda: asked.append("in vain"))
    assert [silent.now(), silent.now(), len(asked)] == [1000.0, 1000.0, 2]


def test_a_server_far_from_the_hosts_time_is_asked_a_second_time() -> None:
    dates = iter([1300.0, 1301.0, 1302.0])
    clock = ServerClock(clock=lambda: 1000.0, sleep=lambda _: None, ask=lambda: clock.hear(next(dates)))
    assert [clock.now(), clock.now(), next(dates)] == [1301.0, 1301.0, 1302.0]


def test_a_host_whose_clock_is_slow_goes_by_the_server() -> None:
    host = Host()
    clock = host.server_clock()
    clock.hear(1300.0)
    clock.hear(1300.0)
    host.pass_by(10)
    assert clock.now() == 1310.0


def test_an_hour_at_a_server_that_runs_faster_is_a_minute_here() -> None:
    host = Host()
    clock = host.server_clock(speed=60.0)
    clock.hear(5000.0)
    clock.hear(5000.0)
    clock.sleep(3600)
    assert host.slept == [60.0]
    host.pass_by(2)
    assert clock.now() == 5120.0
    clock.hear(5240.0)  # it was two seconds on its way
    assert clock.now() == 5240.0


@pytest.mark.parametrize("step", [DAY, -DAY, 70.0])
def test_a_step_of_the_hosts_clock_does_not_move_the_servers_time(step: float) -> None:
    host = Host()
    clock = host.server_clock()
    clock.hear(1000.0)
    host.now += step
    host.pass_by(5)
    assert clock.now() == 1005.0
    clock.hear(1006.0)
    assert clock.now() == 1006.0


def test_with_one_clock_alone_what_it_has_moved_has_elapsed() -> None:
    host = Host()
    clock = ServerClock(clock=host.clock, sleep=host.slept.append)
    clock.hear(1010.0)
    host.now += 20
    assert clock.now() == 1030.0


@pytest.mark.parametrize("wrong", [DAY, -DAY, 61.0])
def test_a_wrong_date_is_not_believed_not_even_for_half_an_hour(wrong: float) -> None:
    host = Host()
    clock = host.server_clock()
    clock.hear(1000.0)
    for _ in range(30):
        clock.hear(host.now + wrong)
        assert clock.now() == host.now
        host.pass_by(60)
    clock.hear(host.now)
    # The next one is a doubt of its own: what was said before the good answer does not count.
    host.pass_by(3599)
    clock.hear(host.now + wrong)
    assert clock.now() == host.now


def test_a_server_that_was_set_is_believed_after_an_hour() -> None:
    host = Host()
    clock = host.server_clock()
    clock.hear(1000.0)
    for _ in range(60):
        clock.hear(host.now + DAY)
        host.pass_by(60)
    assert clock.now() == host.now
    clock.hear(host.now + DAY)
    assert clock.now() == host.now + DAY


def test_a_leap_that_the_hosts_clock_made_too_is_believed_at_once() -> None:
    # This host was suspended, and what counts its seconds with it.
    host = Host()
    clock = host.server_clock()
    clock.hear(1000.0)
    host.now += DAY
    clock.hear(host.now + 2)
    assert clock.now() == host.now + 2


def test_a_first_date_that_is_wrong_is_left_for_the_hosts_own_time() -> None:
    host = Host()
    clock = host.server_clock()
    clock.hear(1000.0 + DAY)
    assert clock.now() == 1000.0
    clock.hear(1001.0)
    assert clock.now() == 1001.0


def test_uptime_goes_on() -> None:
    before = uptime()
    assert 0 <= uptime() - before < 60


def test_a_real_clock_is_not_what_time_elapses_by(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # A host whose clock is set a day ahead after the first answer.
    real = time.time
    with serving(bench.authority, lambda _: ok({}, Date=formatdate(real(), usegmt=True))) as server:
        environ = {SERVER: server.address, CA_FILE: str(bench.ca_file)}
        moved = [0.0]

        def set_ahead() -> float:
            return real() + moved[0]

        monkeypatch.setattr(time, "time", set_ahead)
        with connect_atlas(environ=environ, clock=set_ahead) as platform:
            assert abs(platform.clock() - real()) < 30
            moved[0] = DAY
            assert abs(platform.clock() - real()) < 30


def test_the_time_comes_with_every_answer(bench: Bench) -> None:
    heard: list[float] = []
    answers = [ok({}, Date="Sat, 21 Nov 2026 12:00:00 GMT"), ok({}), ok({}, Date="some day")]
    with bench.atlas(answers, heard=heard.append) as (atlas, _):
        assert isinstance(atlas, Atlas)
        for _ in answers:
            atlas.get("/probes/1/")
    assert heard == [1_795_262_400.0]
