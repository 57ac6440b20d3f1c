"""What numbers are made of: rounded floats, rows, shares, times."""

from __future__ import annotations

import datetime
from typing import Any

import duckdb

Numbers = dict[str, Any]

QUARTILES = (("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p90", 0.9))
"""What is told of RTTs: names and shares."""


def rounded(value: Any) -> Any:
    """Round a float to 6 digits, so that parallel sums give the same text each time; leave all else as it is."""
    return round(value, 6) if isinstance(value, float) else value


def rows_of(result: duckdb.DuckDBPyConnection) -> list[Numbers]:
    """Return what a query found, each row by the names of its columns, its floats rounded."""
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, map(rounded, row), strict=True)) for row in result.fetchall()]


def share_of(part: int, whole: int) -> float | None:
    """Return a part of a whole, rounded; None of nothing."""
    return rounded(part / whole) if whole else None


def iso_time(time: float | None) -> str | None:
    """Return seconds since 1970 as UTC in ISO 8601."""
    if time is None:
        return None
    return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat().replace("+00:00", "Z")
