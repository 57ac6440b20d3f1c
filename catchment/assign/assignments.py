"""The tier of assignments: which site each vantage point reached at each target in each window, and how we know.

Answers beat failures. Among answers the outcome with most of them wins (ties: an identified one first); among
identified ones the modal site (ties: lower median RTT, then code). Every outcome is counted in the row.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from catchment.assign.distances import find_nearest, measure_distances
from catchment.assign.identity import identify
from catchment.engine import fill_table
from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, MEAN_RADIUS_KM
from catchment.model import Service, SiteSet, Target, Window
from catchment.observe.message import IDENTITY_SOURCES
from catchment.schemas import ASSIGNMENTS, selected

Asked = tuple[str, str]
"""A vantage point and the address of a target."""

_INSIDE = """
    SELECT o.*, w.window_start, w.window_end
    FROM observations AS o
    JOIN windows AS w ON o.measured_at >= w.window_start AND o.measured_at < w.window_end"""

# A vantage point says the same again and again: what needs no more than counts is judged once for all that are equal.
_EQUAL = """
    SELECT vantage, target, window_start, window_end, kind, failure, query, identity, identity_source, rcode,
        count(*) AS observations, min(rtt_ms) AS rtt_ms
    FROM inside
    GROUP BY vantage, target, window_start, window_end, kind, failure, query, identity, identity_source, rcode"""

# Observations in their window, each DNS answer with its outcome. Reads `targets`, `identities` and `promises`.
_JUDGED = """
    SELECT o.vantage, t.service, t.target, t.af, o.window_start, o.window_end, o.kind, o.rtt_ms, o.failure, {more},
        o.identity, i.site, i.server, i.rule, coalesce(i.repaired, FALSE) AS repaired,
        CASE WHEN o.kind <> 'dns' OR o.failure IS NOT NULL THEN NULL
            WHEN i.outcome IS NOT NULL THEN i.outcome
            WHEN o.rcode <> 'NOERROR' THEN 'error' ELSE 'empty' END AS outcome,
        q.query IS NOT NULL AS promised
    FROM {source} AS o
    JOIN targets AS t ON t.target = o.target
    LEFT JOIN identities AS i
        ON i.service = t.service AND i.identity = o.identity AND i.identity_source = o.identity_source
    LEFT JOIN promises AS q ON q.service = t.service AND q.query = o.query"""


def _count(condition: str) -> str:
    return f"coalesce(sum(observations) FILTER (WHERE {condition}), 0)"


# Who was asked and never reported has nothing to count, but a row. Reads `asked`.
_TALLIED = """
    SELECT vantage, service, target, af, window_start, window_end, kind, failure, outcome, site, rtt_ms, observations
    FROM judged_equal
    UNION ALL SELECT a.vantage, t.service, t.target, t.af, w.window_start, w.window_end, NULL, NULL, NULL, NULL, NULL, 0
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
        {_count("kind = 'dns' AND failure = 'timeout'")} AS timeouts,
        {_count("failure = 'probe-failed'")} AS send_failures,
        {_count("failure = 'network'")} AS network_failures,
        {_count("failure = 'malformed'")} AS malformed,
        {_count("kind <> 'dns' AND failure IS NULL")} AS pings_answered,
        {_count("kind <> 'dns' AND failure IN ('timeout', 'not-reached')")} AS pings_lost,
        count(DISTINCT site) AS sites_seen,
        min(rtt_ms) FILTER (WHERE kind = 'ping') AS ping_ms_min
    FROM ({_TALLIED}) GROUP BY vantage, target, window_start"""

# One row for each outcome and site of a vantage point, target and window; `place` 1 is the one that wins.
_CANDIDATES = """
    SELECT *, row_number() OVER (
            PARTITION BY vantage, target, window_start
            ORDER BY outcome_answers DESC, standing, answers DESC, rtt_ms_median, site) AS place
    FROM (
        SELECT *, sum(answers) OVER (PARTITION BY vantage, target, window_start, outcome) AS outcome_answers,
            CASE outcome WHEN 'identified' THEN 1 WHEN 'unknown' THEN 2 WHEN 'foreign' THEN 3 WHEN 'error' THEN 4
                ELSE 5 END AS standing
        FROM (
            SELECT vantage, target, window_start, outcome, site, count(*) AS answers, min(rtt_ms) AS rtt_ms_min,
                median(rtt_ms) AS rtt_ms_median, bool_and(repaired) AS repaired, bool_or(promised) AS promised
            FROM judged WHERE outcome IS NOT NULL GROUP BY vantage, target, window_start, outcome, site))"""

# The identity most often given for each outcome and site, with the server in it and the rule that named the site.
_NAMES = """
    SELECT * FROM (
        SELECT *, row_number() OVER (
            PARTITION BY vantage, target, window_start, outcome, site
            ORDER BY repaired, answers DESC, identity) AS place
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

_REACHED = """
    SELECT t.*, c.outcome, c.site, c.rtt_ms_min, c.rtt_ms_median, c.repaired, c.promised, n.identity, n.server,
        n.rule AS site_rule, coalesce(f.flips, 0) AS flips
    FROM tallies AS t
    LEFT JOIN (SELECT * FROM candidates WHERE place = 1) AS c USING (vantage, target, window_start)
    LEFT JOIN names AS n
        ON n.vantage = t.vantage AND n.target = t.target AND n.window_start = t.window_start
        AND n.outcome = c.outcome AND (n.site = c.site OR (n.site IS NULL AND c.site IS NULL))
    LEFT JOIN flips AS f
        ON f.vantage = t.vantage AND f.target = t.target AND f.window_start = t.window_start"""

# A ping is of use only if it went where the answers came from: to the one site that they all name, and about as fast.
# Of a vantage point that flaps, the answers of one site may be lost, and its pings not.
_VERDICTS = f"""
    SELECT *,
        CASE WHEN outcome <> 'identified' THEN NULL
            WHEN distance_km > rtt_ms_min * {IMPOSSIBLE_KM_PER_MS} + {IMPOSSIBLE_SLACK_KM} THEN 'light-own-packet'
            WHEN sites_seen = 1 AND rtt_ms_min < 2 * ping_ms_min
                AND distance_km > ping_ms_min * {IMPOSSIBLE_KM_PER_MS} + {IMPOSSIBLE_SLACK_KM}
            THEN 'light-ping' END AS impossible
    FROM reached
    LEFT JOIN distances USING (vantage, service, site)
    LEFT JOIN nearest_sites USING (vantage, service, window_start)"""

# A vantage point is not where it says if two targets contradict that, and there is one place that they could both be
# reached from in their times. Else the answers are what is wrong: a box on the way gave them out of a cache. So it did
# where an answer took less than half as long as pings to the same address.
_ACCUSED = """
    SELECT v.vantage, v.target, v.window_start, v.rtt_ms_min, radians(p.latitude) AS phi, radians(p.longitude) AS lam
    FROM verdicts AS v JOIN places AS p ON p.service = v.service AND p.site = v.site
    WHERE v.impossible IS NOT NULL AND (v.ping_ms_min IS NULL OR v.rtt_ms_min >= v.ping_ms_min / 2)"""

_MISPLACED = f"""
    SELECT DISTINCT a.vantage, a.target, a.window_start
    FROM accused AS a JOIN accused AS b
        ON a.vantage = b.vantage AND a.window_start = b.window_start AND a.target <> b.target
    WHERE 2 * {MEAN_RADIUS_KM} * asin(sqrt(least(1, pow(sin((a.phi - b.phi) / 2), 2)
            + cos(a.phi) * cos(b.phi) * pow(sin((a.lam - b.lam) / 2), 2))))
        <= (a.rtt_ms_min + b.rtt_ms_min) * {IMPOSSIBLE_KM_PER_MS} + {IMPOSSIBLE_SLACK_KM}"""

_RULED = """
    SELECT *,
        CASE outcome
            WHEN 'identified' THEN
                CASE WHEN misplaced THEN 'impossible-on-two-targets'
                    WHEN impossible IS NOT NULL THEN impossible ELSE site_rule END
            WHEN 'unknown' THEN site_rule
            WHEN 'foreign' THEN site_rule
            WHEN 'error' THEN CASE WHEN promised THEN 'error-where-it-answers' ELSE 'does-not-answer-this-query' END
            WHEN 'empty' THEN CASE WHEN promised THEN 'empty-where-it-answers' ELSE 'does-not-answer-this-query' END
            ELSE CASE
                WHEN observations = 0 THEN 'asked-never-reported'
                WHEN asked = 0 AND pings_answered > 0 THEN 'no-identity-asked'
                WHEN asked = 0 AND pings_lost > 0 THEN 'ping-silent'
                WHEN malformed > 0 AND malformed >= timeouts + network_failures THEN 'unreadable'
                WHEN timeouts + network_failures > 0 AND pings_answered > 0 THEN 'ping-answers-dns-silent'
                WHEN timeouts + network_failures > 0 AND pings_lost > 0 THEN 'dns-and-ping-silent'
                WHEN timeouts + network_failures > 0 THEN 'dns-silent'
                ELSE 'could-not-send' END
        END AS rule
    FROM (
        SELECT v.*, m.vantage IS NOT NULL AS misplaced FROM verdicts AS v
        LEFT JOIN misplaced AS m
            ON m.vantage = v.vantage AND m.target = v.target AND m.window_start = v.window_start)"""

_ASSIGNED = """
    SELECT * EXCLUDE (site_rule),
        CASE WHEN outcome = 'identified' THEN site_rule END AS site_rule,
        CASE
            WHEN outcome = 'identified' AND rule = 'impossible-on-two-targets' THEN 'mislocated'
            WHEN outcome = 'identified' AND impossible IS NOT NULL THEN 'impossible-rtt'
            WHEN outcome = 'identified' AND repaired THEN 'repaired'
            WHEN outcome = 'identified' THEN 'ok'
            WHEN outcome = 'foreign' THEN 'intercepted-foreign-identity'
            WHEN outcome = 'unknown' THEN 'unknown-identity'
            WHEN rule = 'error-where-it-answers' THEN 'intercepted-error'
            WHEN rule = 'empty-where-it-answers' THEN 'intercepted-empty'
            WHEN rule IN ('does-not-answer-this-query', 'no-identity-asked') THEN 'no-identity'
            WHEN rule IN ('dns-and-ping-silent', 'ping-silent') THEN 'unreachable'
            WHEN rule = 'ping-answers-dns-silent' THEN 'dns-dead'
            WHEN rule = 'dns-silent' THEN 'timeout'
            WHEN rule = 'unreadable' THEN 'malformed'
            WHEN rule = 'asked-never-reported' THEN 'no-result'
            ELSE 'probe-failed' END AS verdict
    FROM ruled"""


def assign(
    con: duckdb.DuckDBPyConnection,
    services: Sequence[Service],
    targets: Sequence[Target],
    windows: Sequence[Window],
    *,
    site_set: SiteSet = SiteSet.LISTED,
    asked: Sequence[Asked] = (),
) -> None:
    """Judge the tables `observations` and `vantage_points` of the connection, and leave the table `assignments`.

    `asked` lists who was asked about which target, where a platform knows: those who never reported get a row as well.
    Its rows are in the order of service, target, window and vantage. Windows must be bounded on both sides.
    """
    _tables_of_the_plan(con, services, targets, windows)
    fill_table(con, "asked (vantage VARCHAR, target VARCHAR)", asked)
    con.execute(f"CREATE OR REPLACE TEMP VIEW inside AS {_INSIDE}")
    each = _JUDGED.format(source="inside", more="o.measured_at, o.raw_file, o.raw_record, o.raw_item")
    con.execute(f"CREATE OR REPLACE TEMP VIEW judged AS {each}")
    for table, query in (
        ("judged_equal", _JUDGED.format(source=f"({_EQUAL})", more="o.observations")),
        ("tallies", _TALLIES),
        ("candidates", _CANDIDATES),
        ("names", _NAMES),
        ("flips", _FLIPS),
        ("reached", _REACHED),
    ):
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}")
    measure_distances(con, services)
    find_nearest(con, services, windows, site_set)
    con.execute(f"CREATE OR REPLACE TEMP VIEW verdicts AS {_VERDICTS}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE accused AS {_ACCUSED}")
    for view, query in (("misplaced", _MISPLACED), ("ruled", _RULED), ("assigned", _ASSIGNED)):
        con.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {query}")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE assignments AS SELECT {selected(ASSIGNMENTS)} FROM assigned
        ORDER BY service, target, window_start, vantage"""
    )


def _tables_of_the_plan(
    con: duckdb.DuckDBPyConnection, services: Sequence[Service], targets: Sequence[Target], windows: Sequence[Window]
) -> None:
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
        "promises (service VARCHAR, query VARCHAR)",
        [(service.name, query) for service in services for query in service.answers],
    )
    rows: list[tuple[object, ...]] = []
    for service in services:
        sources = sorted({*IDENTITY_SOURCES, *service.answers})
        seen = con.execute(
            """SELECT DISTINCT o.identity, o.identity_source FROM observations AS o JOIN targets AS t USING (target)
            WHERE t.service = ? AND o.identity <> '' AND list_contains(?, o.identity_source) ORDER BY ALL""",
            [service.name, sources],
        ).fetchall()
        for found, (_, source) in zip(identify(service, (text for text, _ in seen)), seen, strict=True):
            site = None if found.site is None else found.site.code
            rows.append(
                (service.name, found.identity, source, found.outcome, site, found.server, found.rule, found.repaired)
            )
    fill_table(
        con,
        """identities (service VARCHAR, identity VARCHAR, identity_source VARCHAR, outcome VARCHAR, site VARCHAR,
            server VARCHAR, rule VARCHAR, repaired BOOLEAN)""",
        rows,
    )
