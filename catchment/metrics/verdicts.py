"""The vantage points of each verdict one by one, with what came back instead."""

from __future__ import annotations

import duckdb

from catchment.engine import quote
from catchment.metrics.values import QUARTILES, Numbers, iso_time, rows_of
from catchment.model import Target, Verdict

# The rcode that came most often where no identity did, and who else answered those whose site is known. `{within}` cuts
# the observations to the target and its window.
_LISTED = """
    SELECT t.verdict, t.vantage, t.country, CAST(t.asn AS BIGINT) AS asn, t.rule, t.identity, e.rcode, t.site,
        t.distance_km, t.rtt_ms_min, o.text, o.other_rcode, o.answers, o.first_at
    FROM (SELECT * FROM joined WHERE target = {target}) AS t
    LEFT JOIN (
        SELECT vantage, rcode FROM (
            SELECT vantage, rcode, row_number() OVER (PARTITION BY vantage ORDER BY count(*) DESC, rcode) AS place
            FROM observations
            WHERE {within} AND kind = 'dns' AND failure IS NULL AND coalesce(identity, '') = '' AND rcode IS NOT NULL
            GROUP BY vantage, rcode)
        WHERE place = 1) AS e ON e.vantage = t.vantage
    LEFT JOIN (
        SELECT vantage, text, rcode AS other_rcode, sum(answers) OVER (PARTITION BY vantage)::BIGINT AS answers,
            min(first_at) OVER (PARTITION BY vantage) AS first_at,
            row_number() OVER (PARTITION BY vantage ORDER BY others.answers DESC, text NULLS LAST, rcode) AS place
        FROM others WHERE target = {target}) AS o ON o.vantage = t.vantage AND o.place = 1
    WHERE t.verdict <> 'ok' OR o.vantage IS NOT NULL
    ORDER BY CASE WHEN t.verdict = 'ok' THEN -o.answers ELSE 0 END, t.rule, t.country NULLS LAST, asn NULLS LAST,
        length(t.vantage), t.vantage"""


def list_by_verdict(con: duckdb.DuckDBPyConnection, target: Target, within: str) -> dict[str, list[Numbers]]:
    """List the vantage points of a target by verdict, of those with `ok` the ones that somebody else answered as well.

    `within` is the SQL condition that an observation is of the target and in the window. Reads `joined` and `others`.
    """
    found: dict[str, list[Numbers]] = {}
    for entry in rows_of(con.execute(_LISTED.format(target=quote(target.address), within=within))):
        text, rcode, answers, first_at = (entry.pop(key) for key in ("text", "other_rcode", "answers", "first_at"))
        others = {"text": text, "rcode": rcode, "answers": answers, "first_at": iso_time(first_at)}
        entry["others"] = None if answers is None else others
        found.setdefault(entry.pop("verdict"), []).append(entry)
    return found


def with_listed(groups: list[Numbers], listed: dict[str, list[Numbers]]) -> list[Numbers]:
    """Return the groups of verdicts with their vantage points; those who never reported are a group without shares."""
    silent = listed.get(Verdict.NO_RESULT, [])
    if silent:
        nothing: Numbers = {"shares": {}, "shares_assigned": {}, "rtt_ms": {name: None for name, _ in QUARTILES}}
        groups = [*groups, {"key": Verdict.NO_RESULT.value, "vantage_points": len(silent), "assigned": 0, **nothing}]
    return [{**group, "listed": listed.get(group["key"], [])} for group in groups]
