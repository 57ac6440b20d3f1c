from __future__ import annotations

import threading

import pytest

from catchment.platforms.sandbox.clock import Clock


class Monotonic:
    def __init__(self) -> None:
        self.seconds = 500.0

    def __call__(self) -> float:
        return self.seconds


def test_a_clock_of_speed_zero_stands_still_until_time_is_advanced() -> None:
    real = Monotonic()
    clock = Clock(1000.0, monotonic=real)
    real.seconds += 60
    assert clock.now() == 1000.0
    clock.advance(2.5)
    assert clock.now() == 1002.5


def test_a_fast_clock_passes_an_hour_in_six_seconds() -> None:
    real = Monotonic()
    clock = Clock(1000.0, speed=600, monotonic=real)
    real.seconds += 6
    assert clock.now() == 1000.0 + 3600


def test_what_was_advanced_comes_on_top_of_what_has_passed() -> None:
    real = Monotonic()
    clock = Clock(0.0, speed=2, monotonic=real)
    clock.advance(10)
    real.seconds += 4
    assert clock.now() == 18.0


@pytest.mark.parametrize("seconds", [-0.001, float("nan")])
def test_time_never_goes_back(seconds: float) -> None:
    clock = Clock(0.0, monotonic=Monotonic())
    with pytest.raises(ValueError, match="time cannot go back"):
        clock.advance(seconds)
    assert clock.now() == 0.0


def test_no_second_is_lost_when_many_threads_advance_at_once() -> None:
    clock = Clock(0.0, monotonic=Monotonic())

    def advance() -> None:
        for _ in range(500):
            clock.advance(1)

    threads = [threading.Thread(target=advance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == 4000.0
