"""How tables put the way of a vantage point through a change."""

from __future__ import annotations

from typing import Any

import pytest

from catchment.terminal.courses import few, gap, settled, who


def course(**of: Any) -> dict[str, Any]:
    usual = {"fate": "changed", "converged_after_s": 1.25, "settled_at_once": False, "rtt_changed_after_s": None}
    usual |= {"first_query_s": 0.5, "asked_late": False}
    return usual | {"loss_window_s": None, "loss_window_open": False} | of


@pytest.mark.parametrize(
    ("of", "told"),
    [
        ({}, "1.25"),
        ({"settled_at_once": True}, "first query"),
        ({"settled_at_once": True, "asked_late": True, "first_query_s": 1.25}, "≤ 1.25"),
        ({"asked_late": True, "first_query_s": 1.0}, "1.25"),
        ({"fate": "unaffected", "rtt_changed_after_s": 4.5, "asked_late": True, "first_query_s": 4.5}, "≤ 4.5"),
        ({"converged_after_s": 1234.5}, "1,234"),
        ({"fate": "never-settled", "converged_after_s": None}, "never"),
        ({"fate": "silent", "converged_after_s": None}, "never"),
        ({"fate": "too-few", "converged_after_s": None}, ""),
        ({"fate": "unaffected", "converged_after_s": 0.0}, ""),
        ({"fate": "unaffected", "converged_after_s": 0.0, "rtt_changed_after_s": 0.5}, "0.5"),
    ],
)
def test_settled_is_when_all_became_as_it_stays_and_nothing_of_whom_nobody_can_tell(
    of: dict[str, Any], told: str
) -> None:
    assert settled(course(**of)) == told


def test_a_gap_that_nothing_ended_is_at_least_so_long() -> None:
    assert gap(course()) == ""
    assert gap(course(loss_window_s=2.5)) == "2.5"
    assert gap(course(loss_window_s=2.5, loss_window_open=True)) == "≥ 2.5"


def test_an_answer_that_names_no_site_is_quoted_and_harmless() -> None:
    assert who({"site": "fra", "text": "fra"}) == "fra"
    assert who({"site": None, "text": "\x1bx"}) == "“\\x1bx”"


def test_of_many_the_first_are_listed_and_the_others_counted() -> None:
    assert few([], 2) == ""
    assert few(["a", "b"], 2) == "a, b"
    assert few(["a", "b", "c"], 2) == "a, b, 1 more"
