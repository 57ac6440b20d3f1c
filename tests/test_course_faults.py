"""Faults in the course of a measurement, and of the probes that take part."""

from __future__ import annotations

import json

import pytest

from tests.fake_internet import (
    START,
    dns_definition,
)
from tests.faulty_world import World


def test_a_measurement_stands_in_lists_only_after_long() -> None:
    world = World("late-listing")
    world.post()
    world.clock.advance(99)
    assert world.get("measurements/my/")["count"] == 0
    assert world.get("measurements/1000001/")["id"] == 1_000_001
    world.clock.advance(1)
    assert world.get("measurements/my/")["count"] == 1


def test_a_status_stays_behind() -> None:
    world = World("slow-start")
    world.post()
    seen = []
    for _ in range(4):
        seen.append(world.status(1_000_001)[0])
        world.clock.advance(89)
    assert seen == [0, 0, 1, 4]  # after 0, 89, 178 and 267 s
    assert world.status(10301) == (2, "Ongoing")


@pytest.mark.parametrize(
    ("name", "status"),
    [("no-suitable-probes", (6, "No suitable probes")), ("failed", (7, "Failed")), ("denied", (8, "Denied"))],
)
def test_a_measurement_comes_to_nothing(name: str, status: tuple[int, str]) -> None:
    world = World(name)
    number = world.measure()
    assert world.status(number) == status
    assert world.lines(number) == []
    assert world.get("credits/")["current_balance"] == 10_000_000
    assert world.get("measurements/10301/")["status"]["id"] == 2


def test_probes_are_found_after_all() -> None:
    world = World("no-suitable-probes-yet")
    number = json.loads(world.post().content())["measurements"][0]
    world.clock.advance(89)
    assert world.status(number) == (6, "No suitable probes")
    assert world.lines(number) == []
    world.clock.advance(16)
    assert world.status(number) == (2, "Ongoing")
    world.clock.advance(60)
    assert len(world.lines(number)) == 100


def test_a_measurement_is_forced_to_stop_in_the_middle() -> None:
    world = World("forced-stop")
    number = world.measure(dns_definition(interval=300), is_oneoff=False, start_time=START, stop_time=START + 3600)
    assert world.status(number)[0] == 2
    world.clock.advance(3600)
    assert world.status(number) == (5, "Forced to stop")
    assert {json.loads(line)["timestamp"] < START + 1800 for line in world.lines(number)} == {True}
    assert len(world.lines(number)) == 600
    one_off = World("forced-stop")
    number = one_off.measure()
    assert one_off.status(number) == (5, "Forced to stop")
    assert 30 <= len(one_off.lines(number)) <= 70


def test_some_probes_never_answer() -> None:
    world = World("silent-probes")
    number = world.measure()
    assert 65 <= len(world.lines(number)) <= 92
    assert world.get(f"measurements/{number}/")["participant_count"] == 100
    assert world.get("credits/")["past_day_measurement_results"] == len(world.lines(number))


def test_some_probes_tell_no_place() -> None:
    probes = World("placeless-probes").get("probes/", page_size=500)["results"]
    placeless = [probe for probe in probes if probe["geometry"] is None]
    assert 3 <= len(placeless) <= 25
    assert {probe["country_code"] for probe in placeless} == {"", None}
