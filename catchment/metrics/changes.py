"""Who did not stay at one site: those that changed once, and those that flap."""

from __future__ import annotations

import duckdb

from catchment.engine import quote
from catchment.metrics.values import Numbers
from catchment.model import Target

# From where to where those went who changed once. Reads `joined` and `judged`.
_CHANGED = """
    SELECT target, vantage, first(site ORDER BY measured_at, raw_file, raw_record, raw_item) AS site_before,
        last(site ORDER BY measured_at, raw_file, raw_record, raw_item) AS site_after
    FROM judged SEMI JOIN (SELECT vantage, target, window_start FROM joined WHERE flips = 1)
        USING (vantage, target, window_start)
    WHERE outcome = 'identified' GROUP BY target, vantage"""


def find_changes(con: duckdb.DuckDBPyConnection) -> None:
    """Leave the table `changed`: those of `joined` that went from one site to another, and stayed there."""
    (once,) = con.execute("SELECT count(*) FROM joined WHERE flips = 1").fetchall()[0]
    # Judging each observation for itself takes time, and often nobody moves.
    con.execute(f"CREATE OR REPLACE TEMP TABLE changed AS {_CHANGED}{'' if once else ' LIMIT 0'}")


def count_changes(con: duckdb.DuckDBPyConnection, target: Target) -> Numbers:
    """Count those of `of_target` whose answers did not all name one site, and how often those changed.

    `flapping` are all of them; `changed_once` are those that went from one site to another and stayed there, which
    `changes` counts by these two sites.
    """
    assigned, flapping, once, flips = con.execute(
        """SELECT count(*) FILTER (WHERE assigned), count(*) FILTER (WHERE flips > 0),
            count(*) FILTER (WHERE flips = 1), coalesce(sum(flips), 0) FROM of_target"""
    ).fetchall()[0]
    changes = con.execute(
        f"""SELECT site_before, site_after, count(*) AS n FROM changed WHERE target = {quote(target.address)}
        GROUP BY ALL ORDER BY n DESC, site_before, site_after"""
    ).fetchall()
    return {
        "vantage_points": assigned,
        "flapping": flapping,
        "flips": int(flips),
        "changed_once": once,
        "changes": [{"from": before, "to": after, "vantage_points": count} for before, after, count in changes],
    }
