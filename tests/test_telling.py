"""What is told of one vantage point: whether several answers differ by flow or over time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.workflow.here.telling import Answer, Spread, spread_of


def each_its_flow(answers: str) -> list[Answer]:
    return list(enumerate(answers))


@pytest.mark.parametrize(
    ("answers", "spread"),
    [
        ("a", Spread.ONE),
        ("aaaaaaaa", Spread.ONE),
        ("abababab", Spread.BY_FLOW),
        ("aaabaaaa", Spread.BY_FLOW),
        ("aba", Spread.BY_FLOW),
        ("aaaabbbb", Spread.UNCLEAR),  # chance, or a change: only a flow that was asked before can tell
        ("aabbcc", Spread.UNCLEAR),
        ("ab", Spread.UNCLEAR),
        ("aaaaaaab", Spread.UNCLEAR),
    ],
)
def test_answers_by_turns_are_balancing_and_two_blocks_may_be_anything(answers: str, spread: Spread) -> None:
    assert spread_of(each_its_flow(answers)) is spread


def test_where_nobody_answered_there_is_nothing_to_tell() -> None:
    assert spread_of([]) is None


@pytest.mark.parametrize(
    ("answers", "again", "spread"),
    [
        ("aaaabbbb", "a", Spread.BY_FLOW),
        ("aaaabbbb", "b", Spread.OVER_TIME),
        ("aaaabbbb", "c", Spread.OVER_TIME),
        ("aaaabbbb", "", Spread.UNCLEAR),  # nobody answered
        ("aabbcc", "a", Spread.BY_FLOW),
        ("aabbcc", "c", Spread.OVER_TIME),
        ("ab", "a", Spread.BY_FLOW),
        ("aaaaaaab", "b", Spread.OVER_TIME),
        ("aaaaaaaa", "a", Spread.ONE),
    ],
)
def test_the_first_flow_asked_again_tells_balancing_from_a_change(answers: str, again: str, spread: Spread) -> None:
    assert spread_of([*each_its_flow(answers), *((0, answer) for answer in again)]) is spread


def test_where_flows_are_not_known_nobody_can_tell() -> None:
    assert spread_of([(None, "a"), (None, "b"), (None, "b")]) is Spread.UNCLEAR


@pytest.mark.parametrize("queries", [6, 8, 64])
def test_balancing_by_flow_is_never_told_as_a_change(queries: int) -> None:
    chance, looks, two_blocks = random.Random(1), 4000, 0  # noqa: S311  (no secret)
    for _ in range(looks):
        server_of = [chance.choice("ab") for _ in range(queries)]
        answers = list(enumerate(server_of))
        if spread_of(answers) is Spread.UNCLEAR:
            two_blocks += 1
            answers.append((0, server_of[0]))
        assert spread_of(answers) in {Spread.ONE, Spread.BY_FLOW}
    # Of n flips of a coin 2 (n - 1) in 2^n come in two blocks: of 6 in 15.6 % of looks, of 8 in 5.5 %.
    assert two_blocks / looks == pytest.approx(2 * (queries - 1) / 2**queries, abs=0.02)


@given(st.text("ab", min_size=1, max_size=20))
def test_two_servers_are_told_apart_and_one_never(answers: str) -> None:
    spread = spread_of(each_its_flow(answers))
    assert (spread is Spread.ONE) == (len(set(answers)) == 1)
    assert spread is spread_of(each_its_flow(answers[::-1]))
