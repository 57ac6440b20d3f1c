"""What the answers and failures of each vantage point come to: every outcome counted, and the one that wins.

Answers beat failures. Among answers the outcome with most of them wins (ties: an identified one first); among
identified ones the modal site (ties: lower median RTT, then code). An error or an empty answer to a query that the
service does not promise to answer comes after those, a reply to another question last.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import duckdb

from catchment.assign.identity import Identified, identify_by_source, with_discovered
from catchment.engine import fill_table
from catchment.model import Service, Target, Window
from catchment.observe.message import IDENTITY_SOURCES

Asked = tuple[str, str]
"""A vantage point and the address of a target."""

_INSIDE = """
    SELECT o.*, w.window_start, w.window_end
    FROM observations AS o
    JOIN windows AS w ON o.measured_at >= w.window_start AND o.measured_at < w.window_end"""

# A vantage point says the same again and again: what needs no more than counts is judged once for all that are equal.
# A CHAOS answer in another class than the question's was given by somebody else, who cannot tell the two apart.
_MISCLASSED = "coalesce(class <> question_class AND identity_source <> 'nsid', FALSE)"
_SAME = """vantage, service, target, window_start, window_end, kind, failure, query, identity, identity_source,
    second_identity, second_identity_source, rcode"""
_EQUAL = f"""
    SELECT {_SAME}, {_MISCLASSED} AS misclassed, count(*) AS observations, min(rtt_ms) AS rtt_ms,
        min(measured_at) AS first_at,
        list(rtt_ms) FILTER (WHERE kind <> 'traceroute' AND failure IS NULL AND rtt_ms IS NOT NULL) AS rtts_ms
    FROM inside GROUP BY {_SAME}, misclassed"""
_EACH = f"SELECT *, {_MISCLASSED} AS misclassed, measured_at AS first_at FROM inside"

# Observations in their window, each DNS answer with its outcome. Of two identities in one reply the one that names a
# site speaks; they are two witnesses, who may disagree. `by_other` is what nobody but somebody else says: an identity
# that is not the service's, or none where the service always gives one. Reads `targets`, `identities` and `promises`.
_JUDGED = """
    SELECT * EXCLUDE (first_outcome, second_outcome, by_second, known, query),
        CASE WHEN by_second THEN second_site ELSE first_site END AS site,
        CASE WHEN kind <> 'dns' OR failure IS NOT NULL THEN NULL
            WHEN by_second THEN second_outcome
            WHEN known THEN first_outcome
            WHEN rcode IS NULL OR NOT (promised OR query IN ('hostname.bind', 'id.server')) THEN 'beside'
            WHEN rcode <> 'NOERROR' THEN 'error' ELSE 'empty' END AS outcome,
        CASE WHEN first_site = second_site THEN 'agree'
            WHEN first_site IS NOT NULL AND second_site IS NOT NULL
                OR [first_outcome, second_outcome] IN (['identified', 'foreign'], ['foreign', 'identified'])
            THEN 'disagree' END AS witnesses,
        coalesce(outcome = 'foreign' OR (outcome IN ('error', 'empty') AND promised), FALSE) AS by_other
    FROM (
        SELECT o.vantage, t.service, t.target, t.af, o.window_start, o.window_end, o.kind, o.rtt_ms, o.failure,
            o.rcode, coalesce(o.query, 'id.server') AS query, {more}, i.outcome IS NOT NULL AS known,
            CASE WHEN o.misclassed THEN 'foreign' ELSE i.outcome END AS first_outcome,
            CASE WHEN NOT o.misclassed THEN i.site END AS first_site,
            s.outcome AS second_outcome, s.site AS second_site,
            coalesce(s.outcome = 'identified' AND first_outcome IS DISTINCT FROM 'identified', FALSE) AS by_second,
            o.identity AS first_identity, o.second_identity,
            CASE WHEN by_second THEN o.second_identity ELSE o.identity END AS identity,
            CASE WHEN by_second THEN s.server WHEN NOT o.misclassed THEN i.server END AS server,
            CASE WHEN by_second THEN s.rule WHEN o.misclassed THEN 'class-mismatch' ELSE i.rule END AS rule,
            coalesce(CASE WHEN by_second THEN s.repaired ELSE i.repaired END, FALSE) AS repaired,
            q.query IS NOT NULL AS promised
        FROM ({source}) AS o
        JOIN targets AS t ON t.target = o.target AND t.service IS NOT DISTINCT FROM o.service
        LEFT JOIN identities AS i
            ON i.service = t.service AND i.identity = o.identity AND i.identity_source = o.identity_source
        LEFT JOIN identities AS s
            ON s.service = t.service AND s.identity = o.second_identity AND s.identity_source = o.second_identity_source
        LEFT JOIN promises AS q ON q.service = t.service AND q.query = o.query
            AND (q.since IS NULL OR o.first_at >= q.since))"""


def _count(condition: str) -> str:
    return f"coalesce(sum(observations) FILTER (WHERE {condition}), 0)"


# Who was asked and never reported has nothing to count, but a row. Reads `asked`.
_TALLIED = """
    SELECT vantage, service, target, af, window_start, window_end, kind, failure, outcome, site, rtt_ms, observations,
        witnesses, CASE WHEN kind = 'ping' THEN rtts_ms END AS pings_ms
    FROM judged_equal
    UNION ALL SELECT a.vantage, t.service, t.target, t.af, w.window_start, w.window_end, NULL, NULL, NULL, NULL, NULL,
        0, NULL, NULL
    FROM asked AS a JOIN targets AS t ON t.target = a.target CROSS JOIN windows AS w"""

_TALLIES = f"""
    SELECT vantage, target, window_start, min(service) AS service, min(af) AS af, min(window_end) AS window_end,
        sum(observations) AS observations,
        {_count("kind = 'dns'")} AS asked,
        {_count("outcome = 'identified'")} AS identified,
        {_count("outcome = 'foreign'")} AS foreign_identity,
        {_count("outcome = 'unknown'")} AS unknown_identity,
        {_count("outcome = 'error'")} AS errors,
        {_count("outcome = 'empty'")} AS empty,
        {_count("outcome = 'beside'")} AS beside,
        {_count("kind = 'dns' AND failure = 'timeout'")} AS timeouts,
        {_count("failure = 'probe-failed'")} AS send_failures,
        {_count("failure = 'network'")} AS network_failures,
        {_count("failure = 'malformed'")} AS malformed,
        {_count("failure = 'malformed' AND kind = 'dns'")} AS dns_malformed,
        {_count("witnesses = 'agree'")} AS witnesses_agree,
        {_count("witnesses = 'disagree'")} AS witnesses_disagree,
        {_count("kind <> 'dns' AND failure IS NULL")} AS pings_answered,
        {_count("kind <> 'dns' AND failure IN ('timeout', 'not-reached')")} AS pings_lost,
        {_count("kind = 'ping' AND failure = 'timeout'")} AS echoes_lost,
        count(DISTINCT site) AS sites_seen,
        min(rtt_ms) FILTER (WHERE kind = 'ping') AS ping_ms_min,
        list_sort(flatten(list(pings_ms) FILTER (WHERE pings_ms IS NOT NULL))) AS pings_ms
    FROM ({_TALLIED}) GROUP BY vantage, target, window_start"""

# One row for each outcome and site of a vantage point, target and window; `place` 1 is the one that wins.
_CANDIDATES = """
    SELECT *, row_number() OVER (
            PARTITION BY vantage, target, window_start
            ORDER BY aside, outcome_answers DESC, standing, answers DESC, rtt_ms_median, site) AS place
    FROM (
        SELECT *, list_median(rtts_ms) AS rtt_ms_median,
            sum(answers) OVER (PARTITION BY vantage, target, window_start, outcome, promise) AS outcome_answers,
            CASE WHEN outcome = 'beside' THEN 2 WHEN promise = FALSE THEN 1 ELSE 0 END AS aside,
            CASE outcome WHEN 'identified' THEN 1 WHEN 'unknown' THEN 2 WHEN 'foreign' THEN 3 WHEN 'error' THEN 4
                ELSE 5 END AS standing
        FROM (
            SELECT vantage, target, window_start, outcome, site, sum(observations) AS answers,
                min(rtt_ms) AS rtt_ms_min, flatten(list(rtts_ms)) AS rtts_ms,
                bool_and(repaired) AS repaired, count(DISTINCT server) AS servers_seen,
                CASE WHEN outcome IN ('error', 'empty') THEN promised END AS promise
            FROM judged_equal WHERE outcome IS NOT NULL
            GROUP BY vantage, target, window_start, outcome, promise, site))"""

# The identity most often given for each outcome and site, with the server in it and the rule that named the site.
_NAMES = """
    SELECT * FROM (
        SELECT *, row_number() OVER (
            PARTITION BY vantage, target, window_start, outcome, site
            ORDER BY repaired, answers DESC, identity, rule, server) AS place
        FROM (
            SELECT vantage, target, window_start, outcome, site, identity, server, rule, repaired,
                sum(observations) AS answers
            FROM judged_equal WHERE outcome IN ('identified', 'unknown', 'foreign')
            GROUP BY vantage, target, window_start, outcome, site, identity, server, rule, repaired))
    WHERE place = 1"""

# Only vantage points that saw two sites can flip, so only their answers are put in order.
_FLIPS = """
    SELECT vantage, target, window_start, count(*) FILTER (WHERE site <> site_before) AS flips
    FROM (
        SELECT vantage, target, window_start, site, lag(site) OVER (
            PARTITION BY vantage, target, window_start
            ORDER BY measured_at, raw_file, raw_record, raw_item) AS site_before
        FROM judged JOIN (SELECT vantage, target, window_start FROM tallies WHERE sites_seen > 1)
            USING (vantage, target, window_start)
        WHERE outcome = 'identified')
    GROUP BY vantage, target, window_start"""


def tally_outcomes(
    con: duckdb.DuckDBPyConnection,
    services: Sequence[Service],
    targets: Sequence[Target],
    windows: Sequence[Window],
    asked: Sequence[Asked],
) -> list[Service]:
    """Leave the tables `tallies`, `candidates`, `names` and `flips`, of which the first has a row for each judgement.

    Return the services, those with an open list with the sites that identities named.
    """
    complete = _tables_of_the_plan(con, services, targets, windows)
    fill_table(con, "asked (vantage VARCHAR, target VARCHAR)", asked)
    con.execute(f"CREATE OR REPLACE TEMP VIEW inside AS {_INSIDE}")
    each = _JUDGED.format(source=_EACH, more="o.measured_at, o.raw_file, o.raw_record, o.raw_item")
    con.execute(f"CREATE OR REPLACE TEMP VIEW judged AS {each}")
    for table, query in (
        ("judged_equal", _JUDGED.format(source=_EQUAL, more="o.observations, o.rtts_ms")),
        ("tallies", _TALLIES),
        ("candidates", _CANDIDATES),
        ("names", _NAMES),
        ("flips", _FLIPS),
    ):
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}")
    return complete


def _tables_of_the_plan(
    con: duckdb.DuckDBPyConnection, services: Sequence[Service], targets: Sequence[Target], windows: Sequence[Window]
) -> list[Service]:
    fill_table(
        con,
        "targets (service VARCHAR, target VARCHAR, af TINYINT)",
        [(target.service, target.address, target.af) for target in targets],
    )
    fill_table(
        con,
        "windows (window_start DOUBLE, window_end DOUBLE)",
        [(window.start, window.end) for window in windows],
    )
    fill_table(
        con,
        "promises (service VARCHAR, query VARCHAR, since DOUBLE)",
        [(service.name, query, _promised_since(service)) for service in services for query in service.answers],
    )
    found = [_identities(con, service) for service in services]
    fill_table(
        con,
        """identities (service VARCHAR, identity VARCHAR, identity_source VARCHAR, outcome VARCHAR, site VARCHAR,
            server VARCHAR, rule VARCHAR, repaired BOOLEAN)""",
        [
            (
                service.name,
                one.identity,
                source,
                one.outcome,
                one.site and one.site.code,
                one.server,
                one.rule,
                one.repaired,
            )
            for service, identified in zip(services, found, strict=True)
            for one, source in identified
        ],
    )
    return [
        with_discovered(service, [one for one, _ in identified])
        for service, identified in zip(services, found, strict=True)
    ]


def _identities(con: duckdb.DuckDBPyConnection, service: Service) -> list[tuple[Identified, str]]:
    """Decide once what each distinct identity says that the service's targets gave, by where it stood."""
    sources = sorted({*IDENTITY_SOURCES, *service.answers, *(of for pattern in service.patterns for of in pattern.of)})
    seen = con.execute(
        """SELECT DISTINCT identity, source FROM (
            SELECT target, identity, identity_source AS source FROM observations
            UNION ALL SELECT target, second_identity, second_identity_source FROM observations)
        JOIN targets USING (target)
        WHERE service = ? AND identity <> '' AND list_contains(?, source) ORDER BY ALL""",
        [service.name, sources],
    ).fetchall()
    return list(zip(identify_by_source(service, seen), (source for _, source in seen), strict=True))


def _promised_since(service: Service) -> float | None:
    """Return when the day begins from which the service's promise is known, in seconds since 1970 UTC."""
    day = service.answers_since
    return None if day is None else datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
