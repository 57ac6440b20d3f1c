"""Whom somebody else answers now and did not before, or no more: who hears what is none of the service's."""

from __future__ import annotations

import duckdb

from catchment.compare.pairing import TargetPair
from catchment.compare.sides import NOTHING_HEARD
from catchment.engine import quote
from catchment.metrics import Numbers, rows_of
from catchment.model import Verdict

_MOST_IDENTITIES = 50
_MOST_NETWORKS = 20
_MOST_LISTED = 20

# Somebody who answers in the service's place gives each vantage point mostly one name: the one given most often counts.
# Where nothing was heard of a vantage point on the other side, nobody knows what it heard then.
_CAUGHT = f"""
    SELECT f.vantage, f.text, f.answers, b.verdict_{{there}} = '{Verdict.FOREIGN_IDENTITY}' AS alone, b.country, b.asn,
        b.site_before, b.site_after
    FROM (
        SELECT *, row_number() OVER (PARTITION BY vantage ORDER BY answers DESC, text) AS place
        FROM foreign_{{there}} WHERE target = {{target}}) AS f
    JOIN both_sides AS b USING (vantage)
    ANTI JOIN (SELECT vantage FROM foreign_{{absent}} WHERE target = {{elsewhere}}) AS e ON e.vantage = f.vantage
    WHERE f.place = 1 AND b.verdict_{{absent}} NOT IN {NOTHING_HEARD}"""


def find_caught(con: duckdb.DuckDBPyConnection, pair: TargetPair) -> Numbers:
    """Count those of `both_sides` that somebody else answers after the change and did not before it, and `freed` ones.

    These somebody else answered before the change and does not after it. `alone` are answered by nobody else on that
    side, the others now and then; `of` is all who were heard of on that side. Reads `foreign_before` and
    `foreign_after`.
    """
    return {"caught": _find(con, pair, "after", "before"), "freed": _find(con, pair, "before", "after")}


def _find(con: duckdb.DuckDBPyConnection, pair: TargetPair, there: str, absent: str) -> Numbers:
    targets = dict(zip(("before", "after"), (quote(target.address) for target in pair), strict=True))
    found = _CAUGHT.format(there=there, absent=absent, target=targets[there], elsewhere=targets[absent])
    con.execute(f"CREATE OR REPLACE TEMP TABLE caught AS {found}")
    count, alone = con.execute("SELECT count(*), count(*) FILTER (WHERE alone) FROM caught").fetchall()[0]
    (heard,) = con.execute(f"SELECT count(*) FROM both_sides WHERE verdict_{there} NOT IN {NOTHING_HEARD}").fetchall()[
        0
    ]
    identities = rows_of(
        con.execute(
            f"""SELECT text, count(*) AS vantage_points FROM caught GROUP BY text
            ORDER BY vantage_points DESC, text LIMIT {_MOST_IDENTITIES}"""
        )
    )
    listed = rows_of(
        con.execute(
            f"""SELECT vantage, country, asn, site_before, site_after, text, answers, alone FROM caught
            ORDER BY NOT alone, length(vantage), vantage LIMIT {_MOST_LISTED}"""
        )
    )
    return {
        "vantage_points": count,
        "alone": alone,
        "of": heard,
        "identities": identities,
        "countries": _networks(con, "country"),
        "asns": _networks(con, "asn"),
        "listed": listed,
    }


def _networks(con: duckdb.DuckDBPyConnection, key: str) -> dict[str, int]:
    rows = con.execute(
        f"""SELECT coalesce({key}, 'unknown') AS key, count(*) AS n FROM caught
        GROUP BY 1 ORDER BY n DESC, 1 LIMIT {_MOST_NETWORKS}"""
    ).fetchall()
    return dict(rows)
