"""Faults of a request for results: none yet, some, in no order, twice, cut off."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from catchment.platforms.sandbox.api.endings import Broken, Ending
from tests.faulty_world import World


def test_results_are_not_found_or_none_or_few_at_first() -> None:
    world = World("results-404")
    number = json.loads(world.post().content())["measurements"][0]
    world.clock.advance(100)
    statuses = [world.ask("GET", f"measurements/{number}/results/").status for _ in range(8)]
    assert statuses == [404] * 6 + [200] * 2
    assert world.ask("GET", "measurements/10301/results/").status == 200
    world = World("results-late")
    number = json.loads(world.post().content())["measurements"][0]
    world.clock.advance(100)
    assert [len(world.lines(number)) for _ in range(4)] == [0, 0, 0, 100]
    world = World("results-growing")
    number = json.loads(world.post().content())["measurements"][0]
    world.clock.advance(100)
    assert [len(world.lines(number)) for _ in range(6)] == [20, 40, 60, 80, 100, 100]


def test_who_looks_late_finds_all_at_once() -> None:
    for name in ("results-404", "results-late", "results-growing"):
        assert len(World(name).results()) == 100


def test_results_come_in_no_order_or_twice_or_among_what_is_none() -> None:
    plain = World()
    expected = plain.lines(plain.measure())
    mixed = World("results-out-of-order")
    number = mixed.measure()
    assert mixed.lines(number) != expected
    assert sorted(mixed.lines(number)) == sorted(expected)
    assert sorted(mixed.get(f"measurements/{number}/results/"), key=str) == sorted(map(json.loads, expected), key=str)
    world = World("results-twice")
    number = world.measure()
    twice = Counter(world.lines(number))
    assert set(twice) == set(expected)
    assert 3 <= list(twice.values()).count(2) <= 25
    world = World("results-spoilt")
    number = world.measure()
    for spoilt in (world.lines(number), world.lines(number)):
        assert [line for line in spoilt if line in expected] == expected
        assert len(spoilt) > len(expected)
    assert world.lines(number) == expected


def test_a_stream_ends_well_but_amid_a_line() -> None:
    plain, world = World(), World("stream-half-line")
    expected, number = plain.lines(plain.measure()), world.measure()
    for _ in range(2):
        *whole, half = world.lines(number)
        assert whole == expected[: len(whole)]
        assert half == expected[len(whole)][: len(half)] != expected[len(whole)]
    assert world.lines(number) == expected


@pytest.mark.parametrize(
    ("name", "ending", "times"),
    [("stream-cut", Ending.CLOSE, 2), ("stream-reset", Ending.RESET, 2), ("stream-stall", Ending.STALL, 1)],
)
def test_a_stream_breaks_off(name: str, ending: Ending, times: int) -> None:
    world = World(name)
    number = world.measure()
    answers = [world.ask("GET", f"measurements/{number}/results/") for _ in range(3)]
    assert [isinstance(answer, Broken) for answer in answers] == [True] * times + [False] * (3 - times)
    for answer in answers[:times]:
        assert isinstance(answer, Broken)
        assert answer.ending is ending
        assert answer.sent is not None
