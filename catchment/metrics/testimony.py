"""How far the sites can be trusted: confidence, the rules that decided, and identities that contradict each other."""

from __future__ import annotations

import duckdb

from catchment.engine import quote
from catchment.metrics.values import Numbers
from catchment.model import Confidence, Target, Window

_MOST_CASES = 50


def count_confidence(con: duckdb.DuckDBPyConnection) -> Numbers:
    """Count the assigned vantage points of `of_target` by how far their site can be trusted."""
    found = dict(
        con.execute("SELECT confidence, count(*) FROM of_target WHERE confidence IS NOT NULL GROUP BY ALL").fetchall()
    )
    return {confidence.value: found.get(confidence.value, 0) for confidence in Confidence}


def hear_witnesses(con: duckdb.DuckDBPyConnection, target: Target, window: Window) -> Numbers:
    """Count the DNS answers whose two identities agree and disagree, and list the contradictions met most often."""
    agree, disagree = con.execute(
        "SELECT coalesce(sum(witnesses_agree), 0), coalesce(sum(witnesses_disagree), 0) FROM of_target"
    ).fetchall()[0]
    cases = con.execute(
        f"""SELECT first_identity, second_identity, first_site, second_site, sum(observations)::BIGINT AS answers
        FROM judged_equal
        WHERE witnesses = 'disagree' AND target = {quote(target.address)} AND window_start = {window.start!r}
        GROUP BY ALL ORDER BY answers DESC, first_identity, second_identity, first_site LIMIT {_MOST_CASES}"""
    ).fetchall()
    names = ("identity", "second_identity", "site", "second_site", "answers")
    return {
        "agree": int(agree),
        "disagree": int(disagree),
        "cases": [dict(zip(names, case, strict=True)) for case in cases],
    }
