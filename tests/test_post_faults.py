"""Faults of the request for new measurements, and of the account that asks for them."""

from __future__ import annotations

import json

import pytest

from catchment.platforms.sandbox.api.endings import Broken, Ending
from tests.fake_internet import (
    V4,
    dns_definition,
    ping_definition,
)
from tests.faulty_world import Row, World, created


@pytest.mark.parametrize(
    ("name", "ending", "sent"),
    [
        ("lost-answer", Ending.RESET, None),
        ("lost-answer-closed", Ending.CLOSE, None),
        ("lost-answer-stalled", Ending.STALL, None),
        ("lost-answer-half", Ending.CLOSE, 13),  # of {"measurements":[1000001]}
    ],
)
def test_two_posts_are_accepted_and_nobody_is_told(name: str, ending: Ending, sent: int | None) -> None:
    world = World(name)
    for posted in (1, 2):
        answer = world.post()
        assert isinstance(answer, Broken)
        assert answer.ending is ending
        assert answer.sent == sent
        assert created(world) == posted
    assert world.post().status == 201


@pytest.mark.parametrize("status", [500, 502, 504])
def test_two_posts_are_accepted_and_a_proxy_says_that_they_failed(status: int) -> None:
    world = World(f"lost-answer-{status}")
    answers = [world.post() for _ in range(3)]
    assert [answer.status for answer in answers] == [status, status, 201]
    assert answers[0].content().startswith(b"<html>")
    assert created(world) == 3


def test_two_posts_are_accepted_with_an_answer_that_nobody_can_read() -> None:
    world = World("lost-answer-unreadable")
    assert [world.post().content() for _ in range(2)] == [b"Created", b"Created"]
    assert created(world) == 2
    assert json.loads(world.post().content())["measurements"] == [1_000_003]


def test_two_posts_fail_before_anything_happens() -> None:
    world = World("post-reset")
    assert [isinstance(world.post(), Broken) for _ in range(2)] == [True, True]
    assert created(world) == 0
    assert world.post().status == 201
    world = World("post-503")
    assert [world.post().status for _ in range(3)] == [503, 503, 201]
    assert created(world) == 1


def test_posts_are_refused_in_ripe_atlas_s_own_words() -> None:
    def refusal(name: str) -> Row:
        world = World(name)
        probes = [{"requested": 20, "type": "area", "value": "WW"}]
        answers = [world.post(dns_definition(), ping_definition(), probes=probes) for _ in range(3)]
        assert created(world) == 0
        assert len({answer.content() for answer in answers}) == 1
        error: Row = json.loads(answers[0].content())["error"]
        assert error["status"] == answers[0].status
        return error

    day = refusal("daily-results-full")
    assert (day["status"], day["code"], day["detail"]) == (400, 102, "There was a problem with your request")
    assert day["errors"] == [
        {
            "source": {"pointer": ""},
            "detail": "Executing this measurement request will increase your current (0) number of results by 40.0 "
            "totalling 40.0 which is higher than your maximum daily results limit 0. Please stop some of "
            "your currently running measurements and try again.",
        }
    ]
    target = refusal("target-full")
    detail = f"We do not allow more than 0 concurrent measurements to the same target: {V4}."
    assert [target["status"], target["errors"][0]["detail"]] == [400, detail]
    assert refusal("credits-out")["status"] == 402


def test_whose_credits_are_gone_reads_so_in_the_account() -> None:
    assert World("credits-out").get("credits/")["current_balance"] == 0
