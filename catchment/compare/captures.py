"""Whom somebody else answers now: who hears identities that are none of the service's, and heard none before."""

from __future__ import annotations

import duckdb

from catchment.compare.pairing import TargetPair
from catchment.compare.sides import NOTHING_HEARD
from catchment.engine import quote
from catchment.metrics import Numbers
from catchment.model import Verdict

_MOST_IDENTITIES = 50
_MOST_NETWORKS = 20
_MOST_LISTED = 20

# Somebody who answers in the service's place gives each vantage point mostly one name: the one given most often counts.
# Where nothing was heard of a vantage point before, nobody knows what it heard.
_CAUGHT = f"""
    SELECT f.vantage, f.text, f.answers, b.verdict_after = '{Verdict.FOREIGN_IDENTITY}' AS alone, b.country, b.asn,
        b.site_before, b.site_after
    FROM (
        SELECT *, row_number() OVER (PARTITION BY vantage ORDER BY answers DESC, text) AS place
        FROM foreign_after WHERE target = {{after}}) AS f
    JOIN both_sides AS b USING (vantage)
    ANTI JOIN (SELECT vantage FROM foreign_before WHERE target = {{before}}) AS e ON e.vantage = f.vantage
    WHERE f.place = 1 AND b.verdict_before NOT IN {NOTHING_HEARD}"""


def find_caught(con: duckdb.DuckDBPyConnection, pair: TargetPair) -> Numbers:
    """Count those of `both_sides` that somebody else answers after the change and did not before it.

    `alone` are answered by nobody else any more, the others now and then; `of` is all who were heard of after.
    Reads `foreign_before` and `foreign_after`.
    """
    before, after = (quote(target.address) for target in pair)
    con.execute(f"CREATE OR REPLACE TEMP TABLE caught AS {_CAUGHT.format(before=before, after=after)}")
    count, alone = con.execute("SELECT count(*), count(*) FILTER (WHERE alone) FROM caught").fetchall()[0]
    (heard,) = con.execute(f"SELECT count(*) FROM both_sides WHERE verdict_after NOT IN {NOTHING_HEARD}").fetchall()[0]
    identities = con.execute(
        f"SELECT text, count(*) AS n FROM caught GROUP BY text ORDER BY n DESC, text LIMIT {_MOST_IDENTITIES}"
    ).fetchall()
    listed = con.execute(
        f"""SELECT vantage, country, asn, site_before, site_after, text, answers, alone FROM caught
        ORDER BY NOT alone, length(vantage), vantage LIMIT {_MOST_LISTED}"""
    )
    names = [column[0] for column in listed.description or ()]
    entries = [dict(zip(names, row, strict=True)) for row in listed.fetchall()]
    return {
        "vantage_points": count,
        "alone": alone,
        "of": heard,
        "identities": [{"text": text, "vantage_points": number} for text, number in identities],
        "countries": _networks(con, "country"),
        "asns": _networks(con, "asn"),
        "listed": entries,
    }


def _networks(con: duckdb.DuckDBPyConnection, key: str) -> dict[str, int]:
    rows = con.execute(
        f"""SELECT coalesce({key}, 'unknown') AS key, count(*) AS n FROM caught
        GROUP BY 1 ORDER BY n DESC, 1 LIMIT {_MOST_NETWORKS}"""
    ).fetchall()
    return dict(rows)
