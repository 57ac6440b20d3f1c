from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.platforms.atlas.statuses import Status, read_status

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("number", "name", "is_over", "never_ran"),
    [
        (0, "Specified", False, False),
        (1, "Scheduled", False, False),
        (2, "Ongoing", False, False),
        (4, "Stopped", True, False),
        (5, "Forced to stop", True, False),
        (6, "No suitable probes", False, False),
        (7, "Failed", True, True),
        (8, "Denied", True, True),
        (9, "Canceled", True, True),
    ],
)
def test_a_status_is_told_by_its_number_and_else_by_its_name(
    number: int, name: str, is_over: bool, never_ran: bool
) -> None:
    for given_status in ({"id": number, "name": name}, {"id": number, "name": "?"}, {"name": name}, name):
        status = read_status({"status": given_status})
        assert (status.is_over, status.never_ran) == (is_over, never_ran)


def test_what_is_archived_has_the_number_of_what_was_denied_but_did_run() -> None:
    for given_status in ({"id": 8, "name": "Archived"}, {"name": "archived"}, "Archived"):
        status = read_status({"status": given_status})
        assert (status.is_over, status.never_ran) == (True, False)


def test_time_and_probes_are_read_where_they_are_told() -> None:
    listed = [{"id": 7, "url": "https://…"}, {"id": None}, 5]
    found = {"status": {"id": 2, "name": "Ongoing", "when": 17}, "probes": listed}
    assert read_status(found) == Status(name="Ongoing", since=17.0, probes=frozenset({7}))
    # Before it runs, those that take part may not all have been found.
    assert read_status({"status": {"id": 1, "name": "Scheduled"}, "probes": listed}).probes is None


@given(JSON | st.fixed_dictionaries({"status": JSON | st.fixed_dictionaries({"id": JSON, "name": JSON, "when": JSON})}))
def test_whatever_comes_is_a_status_of_one_short_line(found: Any) -> None:
    name = read_status(found).name
    assert len(name) <= 40
    assert name.isprintable()
