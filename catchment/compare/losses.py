"""Who reached a site before and reaches none now, and the other way round."""

from __future__ import annotations

import duckdb

from catchment.compare.sides import NOTHING_HEARD
from catchment.metrics import Numbers
from catchment.model import Verdict

_MOST_SITES = 50
SEVERAL = 2
"""A site may be dead where all of so many get no answer; one alone may have lost a query."""

_IS_DEAD = f"verdict_after = '{Verdict.DNS_DEAD}'"
_REACHED = f"assigned_before AND verdict_after NOT IN {NOTHING_HEARD}"


def find_losses(con: duckdb.DuckDBPyConnection) -> Numbers:
    """Count by verdict who of `both_sides` lost its site and who found one; and where only the servers seem to be dead.

    `reached` counts those who reached a site before and were heard of after. `lost_at` counts those of them without any
    answer now, by the site that they were at, `dead` those who still get pings answered; `of` is all who were there.
    `dead_beside` counts these at all sites but those where several were and all are dead; `sites` had several.
    """
    (reached,) = con.execute(f"SELECT count(*) FROM both_sides WHERE {_REACHED}").fetchall()[0]
    return {
        "reached": reached,
        "lost": _by_verdict(con, "verdict_after", "assigned_before AND NOT assigned_after"),
        "found": _by_verdict(con, "verdict_before", "assigned_after AND NOT assigned_before"),
        "lost_at": _by_site(con, f"verdict_after IN ('{Verdict.UNREACHABLE}', '{Verdict.TIMEOUT}')"),
        "dead": _by_site(con, _IS_DEAD),
        "dead_beside": _dead_beside(con),
    }


def _by_verdict(con: duckdb.DuckDBPyConnection, verdict: str, condition: str) -> list[Numbers]:
    rows = con.execute(
        f"SELECT {verdict} AS verdict, count(*) AS n FROM both_sides WHERE {condition} GROUP BY ALL ORDER BY n DESC, 1"
    ).fetchall()
    return [{"verdict": name, "vantage_points": count} for name, count in rows]


def _by_site(con: duckdb.DuckDBPyConnection, condition: str) -> list[Numbers]:
    rows = con.execute(
        f"""SELECT site_before, count(*) FILTER (WHERE {condition}) AS n, count(*) FROM both_sides WHERE {_REACHED}
        GROUP BY site_before HAVING n > 0 ORDER BY n DESC, site_before LIMIT {_MOST_SITES}"""
    ).fetchall()
    return [{"site": site, "vantage_points": count, "of": whole} for site, count, whole in rows]


def _dead_beside(con: duckdb.DuckDBPyConnection) -> Numbers:
    count, of, sites = con.execute(
        f"""SELECT coalesce(sum(dead) FILTER (WHERE NOT whole), 0)::BIGINT,
            coalesce(sum(n) FILTER (WHERE NOT whole), 0)::BIGINT, count(*) FILTER (WHERE n >= {SEVERAL})
        FROM (
            SELECT count(*) AS n, count(*) FILTER (WHERE {_IS_DEAD}) AS dead, n >= {SEVERAL} AND dead = n AS whole
            FROM both_sides WHERE {_REACHED} GROUP BY site_before)"""
    ).fetchall()[0]
    return {"vantage_points": count, "of": of, "sites": sites}
