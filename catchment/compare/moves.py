"""Who moved from where to where, and what it did to their latency."""

from __future__ import annotations

import duckdb

from catchment.metrics import Numbers, rounded, share_of
from catchment.model import Grouping

NAMELESS = "its server has no name"
"""Why a vantage point with a site on both sides is not compared."""

_KEY = {"site": '"from"', "verdict": "verdict_before", "country": "country", "asn": "asn", "continent": "continent"}


def count_moves(con: duckdb.DuckDBPyConnection) -> Numbers:
    """Count the moves of `paired`, and why the others of `both_sides` are not among them."""
    paired, moved, moved_flapping = con.execute(
        "SELECT count(*), count(*) FILTER (WHERE moved), count(*) FILTER (WHERE moved AND flapping) FROM paired"
    ).fetchall()[0]
    only_before, only_after = con.execute(
        """SELECT count(*) FILTER (WHERE assigned_before AND NOT assigned_after),
            count(*) FILTER (WHERE assigned_after AND NOT assigned_before) FROM both_sides"""
    ).fetchall()[0]
    return {
        "paired": paired,
        "only_before": only_before,
        "only_after": only_after,
        "moved": moved,
        "moved_share": share_of(moved, paired),
        "moved_flapping": moved_flapping,
        "total_variation": _total_variation(con),
        "moves": _moves(con),
        "sites": _sites(con),
        "rtt_ms": {"moved": _latency(con, "moved"), "unmoved": _latency(con, "NOT moved")},
        "floor": None,
        "excluded": _excluded(con),
    }


def _moves(con: duckdb.DuckDBPyConnection) -> list[Numbers]:
    rows = con.execute(
        """SELECT "from", "to", count(*) AS n, median(rtt_ms_before), median(rtt_ms_after)
        FROM paired WHERE moved GROUP BY "from", "to" ORDER BY n DESC, "from", "to" """
    ).fetchall()
    keys = ("from", "to", "vantage_points", "rtt_ms_before", "rtt_ms_after")
    return [dict(zip(keys, map(rounded, row), strict=True)) for row in rows]


def _sites(con: duckdb.DuckDBPyConnection) -> list[Numbers]:
    """Count each site's vantage points among the paired, and beside them all who were or are there.

    p, q and ci stay empty until there are statistics.
    """
    rows = con.execute(
        """SELECT site, sum(b) AS before, sum(a) AS after, sum(b * m) AS gone, sum(a * m) AS came,
            sum(all_b) AS all_before, sum(all_a) AS all_after FROM (
            SELECT "from" AS site, 1 AS b, 0 AS a, CAST(moved AS INTEGER) AS m, 0 AS all_b, 0 AS all_a FROM paired
            UNION ALL SELECT "to", 0, 1, CAST(moved AS INTEGER), 0, 0 FROM paired
            UNION ALL SELECT "from", 0, 0, 0, 1, 0 FROM both_sides WHERE assigned_before AND "from" IS NOT NULL
            UNION ALL SELECT "to", 0, 0, 0, 0, 1 FROM both_sides WHERE assigned_after AND "to" IS NOT NULL)
        GROUP BY site ORDER BY greatest(sum(b), sum(a)) DESC, greatest(sum(all_b), sum(all_a)) DESC, site"""
    ).fetchall()
    keys = ("site", "before", "after", "left", "joined", "all_before", "all_after")
    return [
        dict(zip(keys, (site, *map(int, counts)), strict=True)) | {"p": None, "q": None, "ci": None}
        for site, *counts in rows
    ]


def _total_variation(con: duckdb.DuckDBPyConnection) -> float | None:
    """Return half the sum of what shares changed by: less than the share that moved, because swaps cancel in it."""
    (half,) = con.execute(
        """SELECT sum(abs(balance)) / 2 FROM (
            SELECT site, sum(w) AS balance FROM (
                SELECT "from" AS site, -1 AS w FROM paired UNION ALL SELECT "to", 1 FROM paired)
            GROUP BY site)"""
    ).fetchall()[0]
    (paired,) = con.execute("SELECT count(*) FROM paired").fetchall()[0]
    return None if half is None else rounded(half / paired)


def _latency(con: duckdb.DuckDBPyConnection, condition: str) -> Numbers:
    """Return the median RTT before and after, and the median of each vantage point's own change."""
    count, before, after, change = con.execute(
        f"""SELECT count(*), median(rtt_ms_before), median(rtt_ms_after), median(rtt_ms_after - rtt_ms_before)
        FROM paired WHERE {condition}"""
    ).fetchall()[0]
    return {
        "vantage_points": count,
        "before": rounded(before),
        "after": rounded(after),
        "change": rounded(change),
    }


def _excluded(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Count the vantage points that could not be compared, by what was the matter on which side."""
    rows = con.execute(
        f"""SELECT CASE WHEN assigned_before AND assigned_after THEN '{NAMELESS}'
                WHEN assigned_before THEN 'after: ' || verdict_after
                WHEN assigned_after THEN 'before: ' || verdict_before
                WHEN verdict_before = verdict_after THEN 'both: ' || verdict_before
                ELSE 'before: ' || verdict_before || ', after: ' || verdict_after END AS reason, count(*) AS n
        FROM both_sides ANTI JOIN paired USING (vantage) GROUP BY reason ORDER BY n DESC, reason"""
    ).fetchall()
    return dict(rows)


def group_moves(con: duckdb.DuckDBPyConnection, by: Grouping) -> list[Numbers]:
    """Count the moves of `paired` by group."""
    rows = con.execute(
        f"""SELECT {_KEY[by]} AS key, count(*) AS n, count(*) FILTER (WHERE moved), median(rtt_ms_before),
            median(rtt_ms_after)
        FROM paired GROUP BY key ORDER BY n DESC, key"""
    ).fetchall()
    return [
        {
            "key": key,
            "paired": paired,
            "moved": moved,
            "moved_share": share_of(moved, paired),
            "rtt_ms": {"before": rounded(before), "after": rounded(after)},
        }
        for key, paired, moved, before, after in rows
    ]
