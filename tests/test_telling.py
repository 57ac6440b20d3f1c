"""What is told of one vantage point: whether several answers differ by flow or over time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.workflow.telling import Spread, spread_of


@pytest.mark.parametrize(
    ("answers", "spread"),
    [
        ("", Spread.ONE),
        ("a", Spread.ONE),
        ("aaaaaaaa", Spread.ONE),
        ("abababab", Spread.BY_FLOW),
        ("aaabaaaa", Spread.BY_FLOW),
        ("aba", Spread.BY_FLOW),
        ("aaaabbbb", Spread.OVER_TIME),
        ("aabbbb", Spread.OVER_TIME),
        ("aabbcc", Spread.OVER_TIME),
        ("ab", Spread.UNCLEAR),
        ("aabb", Spread.UNCLEAR),  # too few
        ("aaaaaaab", Spread.UNCLEAR),  # the last one may be one of many to come, or the only one
        ("baaaaaaa", Spread.UNCLEAR),
    ],
)
def test_the_order_of_answers_tells_balancing_from_a_change(answers: str, spread: Spread) -> None:
    assert spread_of(answers) is spread


@given(st.text("ab", max_size=20))
def test_two_servers_are_told_apart_and_one_never(answers: str) -> None:
    assert (spread_of(answers) is Spread.ONE) == (len(set(answers)) <= 1)
    assert spread_of(answers) is spread_of(answers[::-1])
