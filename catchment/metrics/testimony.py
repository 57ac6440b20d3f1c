"""How far the sites can be trusted: confidence, the rules that decided, and identities that contradict each other."""

from __future__ import annotations

from typing import Any

import duckdb

from catchment.metrics.values import Numbers
from catchment.model import Confidence

_MOST_CASES = 50
# Two identities of one reply disagree where they name two sites, or one names a site and the other none that the
# service could have given; an answer in another class than the question's is none of the service's either.
_CASES = """
    SELECT o.identity, o.second_identity, i.site, s.site AS second_site, sum(o.answers)::BIGINT AS answers
    FROM (
        SELECT service, identity, identity_source, second_identity, second_identity_source,
            coalesce(class <> question_class AND identity_source <> 'nsid', FALSE) AS misclassed, count(*) AS answers
        FROM observations
        WHERE {within} AND kind = 'dns' AND failure IS NULL AND second_identity IS NOT NULL
        GROUP BY ALL) AS o
    LEFT JOIN identities AS i
        ON i.service = o.service AND i.identity = o.identity AND i.identity_source = o.identity_source
        AND NOT o.misclassed
    LEFT JOIN identities AS s
        ON s.service = o.service AND s.identity = o.second_identity AND s.identity_source = o.second_identity_source
    WHERE i.site <> s.site
        OR i.site IS NOT NULL AND s.outcome = 'foreign'
        OR s.site IS NOT NULL AND (i.outcome = 'foreign' OR o.misclassed)
    GROUP BY ALL
    ORDER BY answers DESC, o.identity, o.second_identity, i.site LIMIT {most}"""


def count_confidence(con: duckdb.DuckDBPyConnection) -> Numbers:
    """Count the assigned vantage points of `of_target` by how far their site can be trusted."""
    found = dict(
        con.execute("SELECT confidence, count(*) FROM of_target WHERE confidence IS NOT NULL GROUP BY ALL").fetchall()
    )
    return {confidence.value: found.get(confidence.value, 0) for confidence in Confidence}


def hear_witnesses(con: duckdb.DuckDBPyConnection, within: str) -> Numbers:
    """Count the DNS answers whose two identities agree and disagree, and list the contradictions met most often.

    `within` is the SQL condition that an observation is of the target and in the window.
    """
    agree, disagree = con.execute(
        "SELECT coalesce(sum(witnesses_agree), 0), coalesce(sum(witnesses_disagree), 0) FROM of_target"
    ).fetchall()[0]
    cases: list[tuple[Any, ...]] = []
    if disagree:
        cases = con.execute(_CASES.format(within=within, most=_MOST_CASES)).fetchall()
    names = ("identity", "second_identity", "site", "second_site", "answers")
    return {
        "agree": int(agree),
        "disagree": int(disagree),
        "cases": [dict(zip(names, case, strict=True)) for case in cases],
    }
