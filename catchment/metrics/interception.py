"""Where somebody else answered in the service's place: how many vantage points, in which networks, and who they are.

Some are answered by somebody else alone; others, whose site is known, now and then: so a hijack under way begins.
"""

from __future__ import annotations

import duckdb

from catchment.engine import quote
from catchment.metrics.values import Numbers, iso_time
from catchment.model import INTERCEPTED, PLACED, Target, Verdict, Window

_BOX = "faster-than-ping"  # the rule by which an answer too fast for light was a box's: pings do reach the service
_INTERCEPTED = ", ".join(f"'{verdict}'" for verdict in INTERCEPTED)
_PLACED = ", ".join(f"'{verdict}'" for verdict in PLACED)
_OTHERS_ALONE = f"(verdict IN ({_INTERCEPTED}) OR rule = '{_BOX}')"
_MOST_NETWORKS = 20
_MOST_IDENTITIES = 50
# The vantage points whose site is believed, and who got answers of somebody else as well.
_PARTLY = f"""
    SELECT vantage, target, window_start FROM joined
    SEMI JOIN (SELECT vantage, target, window_start FROM judged_equal WHERE by_other)
        USING (vantage, target, window_start)
    WHERE verdict IN ({_PLACED})"""
# Those answers, equal ones as one: a text, or else an rcode.
_OTHERS = """
    SELECT vantage, target, CASE WHEN outcome = 'foreign' THEN identity END AS text,
        CASE WHEN outcome <> 'foreign' THEN rcode END AS rcode,
        count(*) AS answers, min(measured_at) AS first_at, max(measured_at) AS last_at
    FROM judged SEMI JOIN partly USING (vantage, target, window_start)
    WHERE by_other GROUP BY ALL"""


def find_others(con: duckdb.DuckDBPyConnection) -> None:
    """Leave the tables `partly` (those of `joined` that somebody else answered now and then) and `others` (how)."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE partly AS {_PARTLY}")
    (count,) = con.execute("SELECT count(*) FROM partly").fetchall()[0]
    # Judging each observation for itself takes time, and mostly there is nothing to find.
    con.execute(f"CREATE OR REPLACE TEMP TABLE others AS {_OTHERS}{'' if count else ' LIMIT 0'}")


def count_intercepted(con: duckdb.DuckDBPyConnection, target: Target) -> Numbers:
    """Count those of `of_target` that somebody else answered: by rule, and by the countries and ASes with most of them.

    `partly` counts those who were answered by the service as well; `of` is how many vantage points with a result the
    country or AS has. What light alone contradicts is counted apart: it may be the place that is wrong.
    """
    by_rule = con.execute(
        f"SELECT rule, count(*) AS n FROM of_target WHERE {_OTHERS_ALONE} GROUP BY rule ORDER BY n DESC, rule"
    ).fetchall()
    (faster,) = con.execute(
        f"SELECT count(*) FROM of_target WHERE verdict = '{Verdict.IMPOSSIBLE_RTT}' AND NOT {_OTHERS_ALONE}"
    ).fetchall()[0]
    return {
        "vantage_points": sum(count for _, count in by_rule),
        "by_rule": dict(by_rule),
        **_networks(con, _OTHERS_ALONE),
        "partly": _partly(con, target),
        "faster_than_light": {"vantage_points": faster},
    }


def _partly(con: duckdb.DuckDBPyConnection, target: Target) -> Numbers:
    here = f"target = {quote(target.address)}"
    (count,) = con.execute(f"SELECT count(*) FROM partly WHERE {here}").fetchall()[0]
    rows = con.execute(
        f"""SELECT text, rcode, sum(answers)::BIGINT AS answers, count(*), min(first_at), max(last_at) FROM others
        WHERE {here} GROUP BY text, rcode ORDER BY answers DESC, text NULLS LAST, rcode LIMIT {_MOST_IDENTITIES}"""
    ).fetchall()
    return {
        "vantage_points": count,
        **_networks(con, f"vantage IN (SELECT vantage FROM partly WHERE {here})"),
        "identities": [
            {
                "text": text,
                "rcode": rcode,
                "answers": answers,
                "vantage_points": vantage_points,
                "first_at": iso_time(first_at),
                "last_at": iso_time(last_at),
            }
            for text, rcode, answers, vantage_points, first_at, last_at in rows
        ],
    }


def _networks(con: duckdb.DuckDBPyConnection, condition: str) -> Numbers:
    found: Numbers = {}
    for name, key in (("country", "country"), ("asn", "CAST(asn AS BIGINT)")):
        rows = con.execute(
            f"""SELECT {key} AS key, count(*) FILTER (WHERE {condition}) AS n, count(*) FROM of_target
            GROUP BY key HAVING n > 0 ORDER BY n DESC, key NULLS LAST LIMIT {_MOST_NETWORKS}"""
        ).fetchall()
        found[f"by_{name}"] = [{name: value, "vantage_points": count, "of": whole} for value, count, whole in rows]
    return found


def list_foreign(con: duckdb.DuckDBPyConnection, target: Target, window: Window) -> list[Numbers]:
    """List the identities most often given that are not the service's, whether or not they were a vantage point's all.

    One of the service's own is among them where it came in an answer of another class than the question's.
    """
    rows = con.execute(
        f"""SELECT identity, sum(observations)::BIGINT AS answers FROM judged_equal
        WHERE outcome = 'foreign' AND target = {quote(target.address)} AND window_start = {window.start!r}
        GROUP BY identity ORDER BY answers DESC, identity LIMIT {_MOST_IDENTITIES}"""
    ).fetchall()
    return [{"text": text, "answers": answers} for text, answers in rows]
