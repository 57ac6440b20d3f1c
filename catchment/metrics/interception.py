"""Where somebody else answered in the service's place: how many vantage points, in which networks, and who they are."""

from __future__ import annotations

import duckdb

from catchment.metrics.values import Numbers, rounded
from catchment.model import Verdict

INTERCEPTED = (
    Verdict.IMPOSSIBLE_RTT,
    Verdict.FOREIGN_IDENTITY,
    Verdict.INTERCEPTED_ERROR,
    Verdict.INTERCEPTED_EMPTY,
)
"""Verdicts on answers that the service did not give: no server of it says so, or none could have been so fast."""

_LIST = ", ".join(f"'{verdict}'" for verdict in INTERCEPTED)
_MOST_NETWORKS = 20
# The error that a vantage point got most often. `of_target` are the vantage points of one target, `{within}` cuts the
# observations to it and to its window.
_LISTED = """
    SELECT t.verdict, t.vantage, t.country, CAST(t.asn AS BIGINT) AS asn, t.rule, t.identity, e.rcode, t.site,
        t.distance_km, t.rtt_ms_min
    FROM of_target AS t
    LEFT JOIN (
        SELECT vantage, rcode FROM (
            SELECT vantage, rcode, row_number() OVER (PARTITION BY vantage ORDER BY count(*) DESC, rcode) AS place
            FROM observations WHERE {within} AND kind = 'dns' AND failure IS NULL AND rcode <> 'NOERROR'
            GROUP BY vantage, rcode)
        WHERE place = 1) AS e ON e.vantage = t.vantage
    WHERE t.verdict <> 'ok'
    ORDER BY t.rule, t.country NULLS LAST, asn NULLS LAST, length(t.vantage), t.vantage"""


def count_intercepted(con: duckdb.DuckDBPyConnection) -> Numbers:
    """Count those of `of_target` that somebody else answered: by rule, and by the countries and ASes with most of them.

    `of` is how many vantage points with a result the country or AS has.
    """
    (total,) = con.execute(f"SELECT count(*) FROM of_target WHERE verdict IN ({_LIST})").fetchall()[0]
    by_rule = con.execute(
        f"""SELECT rule, count(*) AS n FROM of_target WHERE verdict IN ({_LIST})
        GROUP BY rule ORDER BY n DESC, rule"""
    ).fetchall()
    return {
        "vantage_points": total,
        "by_rule": dict(by_rule),
        "by_country": _by(con, "country", "country"),
        "by_asn": _by(con, "asn", "CAST(asn AS BIGINT)"),
    }


def _by(con: duckdb.DuckDBPyConnection, name: str, key: str) -> list[Numbers]:
    rows = con.execute(
        f"""SELECT {key} AS key, count(*) FILTER (WHERE verdict IN ({_LIST})) AS n, count(*) FROM of_target
        GROUP BY key HAVING n > 0 ORDER BY n DESC, key NULLS LAST LIMIT {_MOST_NETWORKS}"""
    ).fetchall()
    return [{name: value, "vantage_points": count, "of": whole} for value, count, whole in rows]


def list_by_verdict(con: duckdb.DuckDBPyConnection, within: str) -> dict[str, list[Numbers]]:
    """List the vantage points of `of_target` by verdict, other than `ok`, with what came back instead.

    `within` is the SQL condition that an observation is of the target and in the window.
    """
    found: dict[str, list[Numbers]] = {}
    rows = con.execute(_LISTED.format(within=within))
    names = [column[0] for column in rows.description or ()][1:]
    for verdict, *values in rows.fetchall():
        found.setdefault(verdict, []).append(dict(zip(names, map(rounded, values), strict=True)))
    return found
