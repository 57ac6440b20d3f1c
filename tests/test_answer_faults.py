"""Faults of any answer: too many requests, errors, silence, other networks, warnings, short pages."""

from __future__ import annotations

import email.utils
import json
from collections import Counter

import pytest

from catchment.platforms.sandbox.api.endings import Broken, Ending
from tests.fake_internet import (
    START,
    dns_definition,
    vantage,
)
from tests.faulty_world import World, created


@pytest.mark.parametrize("name", ["rate-limited", "rate-limited-seconds", "rate-limited-date"])
def test_one_of_three_requests_is_too_many(name: str) -> None:
    world = World(name)
    answers = [world.ask("GET", "probes/") for _ in range(9)]
    assert Counter(answer.status for answer in answers) == {200: 6, 429: 3}
    refused = next(answer for answer in answers if answer.status == 429)
    later = email.utils.formatdate(START + 20, usegmt=True)
    asked = {"rate-limited": None, "rate-limited-seconds": "20", "rate-limited-date": later}
    assert refused.headers.get("Retry-After") == asked[name]
    posts = [world.post().status for _ in range(3)]
    assert sorted(posts) == [201, 201, 429]
    assert created(world) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_one_of_three_requests_is_an_error_but_no_post(status: int) -> None:
    world = World(f"error-{status}")
    assert [world.post().status for _ in range(3)] == [201] * 3
    assert Counter(world.ask("GET", "probes/").status for _ in range(9)) == {200: 6, status: 3}


@pytest.mark.parametrize(("name", "ending"), [("reset", Ending.RESET), ("closed", Ending.CLOSE)])
def test_one_of_three_requests_is_not_answered(name: str, ending: Ending) -> None:
    world = World(name)
    answers = [world.ask("GET", "probes/") for _ in range(9)]
    broken = [answer for answer in answers if isinstance(answer, Broken)]
    assert [(answer.ending, answer.sent) for answer in broken] == [(ending, None)] * 3


def test_the_first_two_requests_meet_silence() -> None:
    world = World("stall")
    first, second, third = (world.ask("GET", "probes/") for _ in range(3))
    assert [isinstance(answer, Broken) and answer.ending for answer in (first, second)] == [Ending.STALL] * 2
    assert not isinstance(third, Broken)


def test_answers_are_halves_or_none() -> None:
    world = World("half-answer")
    answers = [world.ask("GET", "credits/") for _ in range(3)]
    (half,) = (answer for answer in answers if isinstance(answer, Broken))
    assert half.sent == len(answers[0].content()) // 2
    for name, body in (("not-json", b'upstream connect error {"results": ['), ("empty-body", b"")):
        world = World(name)
        bodies = [world.ask("GET", "credits/").content() for _ in range(3)]
        assert bodies.count(body) == 1


def test_a_network_wants_a_login_first() -> None:
    world = World("captive-portal")
    for answer in (world.post(), world.ask("GET", "probes/")):
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
        assert b"log in" in answer.content()
    assert created(world) == 0
    later = World("captive-portal-later")
    pages = [later.ask("GET", "probes/").content().startswith(b"<!DOCTYPE") for _ in range(8)]
    assert pages == [False, False, False, True, True, True, False, False]
    answer = World("redirect").ask("GET", "probes/")
    assert (answer.status, answer.headers["Location"][:26]) == (302, "https://login.example.net/")


def test_lists_may_be_forbidden_or_heed_no_tags() -> None:
    world = World("list-forbidden")
    assert world.ask("GET", "measurements/my/").status == 403
    assert world.get("measurements/")["count"] == 1
    world = World("tags-ignored")
    world.measure(dns_definition(tags=["mine"]))
    assert World().get("measurements/", tags="mine")["count"] == 0
    for path in ("measurements/", "measurements/my/"):
        page = world.get(path, tags="other", page_size=1)
        assert page["count"] > 0
        assert page["warnings"][0]["source"] == {"parameter": "tags"}
        assert "tags=" not in (page["next"] or "")
    assert "warnings" not in world.get("measurements/", type="dns")


def test_answers_come_with_warnings() -> None:
    world = World("list-warnings")
    assert world.get("probes/")["warnings"][0]["detail"] == ["This version of the API will change next month."]
    assert "warnings" not in world.get("probes/201/")
    world = World("post-warnings")
    answer = json.loads(world.post().content())
    assert answer["measurements"] == [1_000_001]
    assert len(answer["warnings"]) == 1
    assert "warnings" not in json.loads(world.ask("POST", "measurements/", {}).content())


def test_a_page_may_hold_less_than_was_asked_for() -> None:
    many = [vantage(number) for number in range(1, 122)]
    assert len(World(points=many).get("probes/", page_size=500)["results"]) == 121
    world = World("pages-capped", points=many)
    assert len(world.get("probes/", page_size=500)["results"]) == 100
    assert len(world.get("probes/", page_size=7)["results"]) == 7
    assert world.ask("GET", "probes/", page_size="many").status == 400
