"""The tier of assignments: which site each vantage point reached at each target in each window, and how we know."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from catchment.assign.distances import find_nearest, measure_distances, table_of_places
from catchment.assign.evidence import gather_evidence
from catchment.assign.feasible import find_feasible
from catchment.assign.outcomes import Asked, tally_outcomes
from catchment.geo import MEAN_RADIUS_KM, reach_sql
from catchment.model import Service, SiteSet, Target, Window
from catchment.schemas import ASSIGNMENTS, selected

# How many of a site's answers, or of pings, may be too fast before the vantage point is accused: a tenth, and of three
# or more always one. Once in a while some box may have given one.
_GLITCHES = 0.1
# By how much twice the RTT of an answer must fall short of a ping's, to be called a box's: either has some jitter.
_JITTER_MS = 2.0

# What light says of the site that answers name. A ping is of use only if it went where the answers came from: to the
# one site that they all name, and about as fast; and only if it can have come from no other site, since pings and DNS
# may be balanced to different ones. An answer that comes in less than half the time of pings to the same address was
# given by a box on the way, out of a cache.
_CONTRADICTIONS = f"""
    SELECT * EXCLUDE (rtts_ms), too_fast > 0 OR ping_too_fast AS doubtful,
        CASE WHEN too_fast > {_GLITCHES} * len(rtts_ms) AND (too_fast > 1 OR len(rtts_ms) < 3)
            THEN CASE WHEN 2 * rtt_ms_min + {_JITTER_MS} < ping_ms AND ping_sites IS DISTINCT FROM 0
                THEN 'faster-than-ping' ELSE 'light-own-packet' END
            WHEN ping_too_fast AND ping_sites = 0 THEN 'light-ping' END AS impossible,
        CASE WHEN impossible = 'light-ping' THEN ping_ms ELSE rtt_ms_min END AS within_ms
    FROM (
        SELECT n.vantage, n.target, n.window_start, n.service, n.site, n.rtt_ms_min, n.rtts_ms, n.ping_ms,
            n.ping_sites, d.distance_km, len(list_filter(n.rtts_ms, lambda rtt_ms:
                d.distance_km > {reach_sql("rtt_ms")})) AS too_fast,
            coalesce(n.only_this AND n.rtt_ms_min < 2 * n.ping_ms
                AND d.distance_km > {reach_sql("n.ping_ms")}, FALSE)
                AS ping_too_fast
        FROM named AS n JOIN named_distances AS d USING (vantage, service, site))"""

_NAMED = """
    SELECT t.vantage, t.target, t.window_start, t.service, c.site, c.rtt_ms_min, c.rtts_ms, f.ping_ms, f.ping_sites,
        t.sites_seen = 1 AND t.foreign_identity + t.unknown_identity + t.errors + t.empty = 0 AS only_this
    FROM tallies AS t
    JOIN candidates AS c USING (vantage, target, window_start)
    LEFT JOIN feasible AS f ON f.vantage = t.vantage AND f.target = t.target AND f.window_start = t.window_start
    WHERE c.place = 1 AND c.outcome = 'identified'"""

# A vantage point is not where it says if two targets contradict that, and there is one place that they could both be
# reached from in their times. Else the answers are what is wrong.
_ACCUSED = """
    SELECT v.vantage, v.target, v.window_start, v.within_ms, radians(p.latitude) AS phi, radians(p.longitude) AS lam
    FROM contradictions AS v JOIN places AS p ON p.service = v.service AND p.site = v.site
    WHERE v.impossible <> 'faster-than-ping'"""

_MISPLACED = f"""
    SELECT DISTINCT a.vantage, a.target, a.window_start
    FROM accused AS a JOIN accused AS b
        ON a.vantage = b.vantage AND a.window_start = b.window_start AND a.target <> b.target
    WHERE 2 * {MEAN_RADIUS_KM} * asin(sqrt(least(1, pow(sin((a.phi - b.phi) / 2), 2)
            + cos(a.phi) * cos(b.phi) * pow(sin((a.lam - b.lam) / 2), 2))))
        <= {reach_sql("(a.within_ms + b.within_ms)")}"""

# Whose place some target contradicts: light has nothing to say of what else they reach.
_IN_DOUBT = """
    SELECT DISTINCT vantage, window_start FROM contradictions WHERE impossible <> 'faster-than-ping'"""

# Evidence speaks where nobody was asked for an identity, or where the service's file promises none. Its latency is that
# of pings, and where there are none of traceroutes.
_REACHED = """
    SELECT * EXCLUDE (named_site, inferred_site, answer_ms_min, answer_ms_median, echo_ms_min, echo_ms_median,
            inferred_rule),
        coalesce(named_site, CASE WHEN silent THEN inferred_site END) AS site,
        CASE WHEN silent THEN inferred_rule END AS inferred_rule,
        CASE WHEN silent AND inferred_site IS NOT NULL THEN echo_ms_min ELSE answer_ms_min END AS rtt_ms_min,
        CASE WHEN silent AND inferred_site IS NOT NULL THEN echo_ms_median ELSE answer_ms_median END AS rtt_ms_median
    FROM (
        SELECT t.*, c.outcome, c.site AS named_site, c.rtt_ms_min AS answer_ms_min,
            c.rtt_ms_median AS answer_ms_median, c.repaired, c.promise, c.servers_seen, n.identity, n.server,
            n.rule AS site_rule, coalesce(f.flips, 0) AS flips, i.inferred_site, i.inferred_rule, i.router_site,
            e.echo_ms_min, e.echo_ms_median, l.feasible_sites, x.impossible, coalesce(x.doubtful, FALSE) AS doubtful,
            m.vantage IS NOT NULL AS misplaced,
            t.pings_answered > 0
                AND (t.asked = 0 OR (c.outcome IN ('error', 'empty', 'beside') AND NOT coalesce(c.promise, FALSE)))
                AS silent
        FROM tallies AS t
        LEFT JOIN (SELECT * FROM candidates WHERE place = 1) AS c USING (vantage, target, window_start)
        LEFT JOIN names AS n
            ON n.vantage = t.vantage AND n.target = t.target AND n.window_start = t.window_start
            AND n.outcome = c.outcome AND (n.site = c.site OR (n.site IS NULL AND c.site IS NULL))
        LEFT JOIN flips AS f
            ON f.vantage = t.vantage AND f.target = t.target AND f.window_start = t.window_start
        LEFT JOIN inferred AS i
            ON i.vantage = t.vantage AND i.target = t.target AND i.window_start = t.window_start
        LEFT JOIN echoes AS e
            ON e.vantage = t.vantage AND e.target = t.target AND e.window_start = t.window_start
        LEFT JOIN feasible AS l
            ON l.vantage = t.vantage AND l.target = t.target AND l.window_start = t.window_start
        LEFT JOIN contradictions AS x
            ON x.vantage = t.vantage AND x.target = t.target AND x.window_start = t.window_start
        LEFT JOIN misplaced AS m
            ON m.vantage = t.vantage AND m.target = t.target AND m.window_start = t.window_start)"""

# Few hosts answer packets to a port where nobody listens: a traceroute that gets no answer of its target is no lost
# ping.
_RULED = """
    SELECT *, coalesce(inferred_rule, plain_rule) AS rule
    FROM (SELECT *,
        CASE outcome
            WHEN 'identified' THEN
                CASE WHEN misplaced THEN 'impossible-on-two-targets'
                    WHEN impossible IS NOT NULL THEN impossible ELSE site_rule END
            WHEN 'unknown' THEN site_rule
            WHEN 'foreign' THEN site_rule
            WHEN 'beside' THEN 'does-not-answer-this-query'
            WHEN 'error' THEN CASE WHEN promise THEN 'error-where-it-answers' ELSE 'does-not-answer-this-query' END
            WHEN 'empty' THEN CASE WHEN promise THEN 'empty-where-it-answers' ELSE 'does-not-answer-this-query' END
            ELSE CASE
                WHEN observations = 0 THEN 'asked-never-reported'
                WHEN asked = 0 AND pings_answered > 0 THEN 'no-identity-asked'
                WHEN asked = 0 AND echoes_lost > 0 THEN 'ping-silent'
                WHEN asked = 0 AND pings_lost > 0 THEN 'traceroute-silent'
                WHEN unreadable > 0 AND unreadable >= timeouts + network_failures THEN 'unreadable'
                WHEN timeouts + network_failures > 0 AND pings_answered > 0 THEN 'ping-answers-dns-silent'
                WHEN timeouts + network_failures > 0 AND echoes_lost > 0 THEN 'dns-and-ping-silent'
                WHEN timeouts + network_failures > 0 AND pings_lost > 0 THEN 'dns-and-traceroute-silent'
                WHEN timeouts + network_failures > 0 THEN 'dns-silent'
                ELSE 'could-not-send' END
        END AS plain_rule
    FROM (
        SELECT *, CASE WHEN asked > 0 THEN dns_malformed ELSE malformed END AS unreadable
        FROM reached
        LEFT JOIN distances USING (vantage, service, site)
        LEFT JOIN nearest_sites USING (vantage, service, af, window_start)))"""

_ASSIGNED = """
    SELECT * EXCLUDE (site_rule),
        CASE WHEN outcome = 'identified' THEN site_rule END AS site_rule,
        CASE
            WHEN outcome = 'identified' AND rule = 'impossible-on-two-targets' THEN 'mislocated'
            WHEN outcome = 'identified' AND impossible IS NOT NULL THEN 'impossible-rtt'
            WHEN outcome = 'identified' AND repaired THEN 'repaired'
            WHEN outcome = 'identified' THEN 'ok'
            WHEN site IS NOT NULL THEN 'ok'
            WHEN outcome = 'foreign' THEN 'intercepted-foreign-identity'
            WHEN outcome = 'unknown' THEN 'unknown-identity'
            WHEN rule = 'error-where-it-answers' THEN 'intercepted-error'
            WHEN rule = 'empty-where-it-answers' THEN 'intercepted-empty'
            WHEN rule IN ('does-not-answer-this-query', 'no-identity-asked', 'witnesses-disagree') THEN 'no-identity'
            WHEN rule IN ('dns-and-ping-silent', 'ping-silent') THEN 'unreachable'
            WHEN rule = 'ping-answers-dns-silent' THEN 'dns-dead'
            WHEN rule IN ('dns-silent', 'dns-and-traceroute-silent', 'traceroute-silent') THEN 'timeout'
            WHEN rule = 'unreadable' THEN 'malformed'
            WHEN rule = 'asked-never-reported' THEN 'no-result'
            ELSE 'probe-failed' END AS verdict
    FROM ruled"""

# The server's own word is believed; another witness may take something off, as does somebody else who answers now and
# then. A router's site is no contradiction to a vantage point that flaps between it and the site named.
_CONFIDENCE = """
    SELECT a.*, CASE
        WHEN site IS NULL THEN NULL
        WHEN impossible IS NOT NULL THEN 'low'
        WHEN outcome = 'identified'
            AND (repaired OR doubtful OR witnesses_disagree > 0 OR contradicted OR disturbed) THEN 'medium'
        WHEN outcome = 'identified' OR rule = 'witnesses-agree' THEN 'high'
        ELSE 'medium' END AS confidence
    FROM (
        SELECT a.*, a.router_site IS NOT NULL AND c.site IS NULL AS contradicted, d.vantage IS NOT NULL AS disturbed
        FROM assigned AS a
        LEFT JOIN (SELECT DISTINCT vantage, target, window_start FROM judged_equal WHERE by_other) AS d
            ON d.vantage = a.vantage AND d.target = a.target AND d.window_start = a.window_start
        LEFT JOIN candidates AS c
            ON c.vantage = a.vantage AND c.target = a.target AND c.window_start = a.window_start
            AND c.outcome = 'identified' AND c.site = a.router_site) AS a"""


def assign(
    con: duckdb.DuckDBPyConnection,
    services: Sequence[Service],
    targets: Sequence[Target],
    windows: Sequence[Window],
    *,
    site_set: SiteSet = SiteSet.LISTED,
    asked: Sequence[Asked] = (),
    hop_names: Sequence[tuple[str, str]] = (),
) -> list[Service]:
    """Judge the tables `observations` and `vantage_points` of the connection; leave `assignments` and `evidence`.

    `asked` lists who was asked about which target, where a platform knows: those who never reported get a row as well.
    `hop_names` are addresses of routers with their names. Rows are in the order of service, target, window and vantage.
    Windows must be bounded on both sides. Return the services as judged by: an open list has the sites that were seen.
    """
    services = tally_outcomes(con, services, targets, windows, asked)
    table_of_places(con, services)
    find_feasible(con, services, windows)
    _table(con, "named", _NAMED)
    measure_distances(con, "named", "named_distances")
    _table(con, "contradictions", _CONTRADICTIONS)
    _table(con, "accused", _ACCUSED)
    _table(con, "misplaced", _MISPLACED)
    _table(con, "misplaced_anywhere", "SELECT DISTINCT vantage, window_start FROM misplaced")
    _table(con, "places_in_doubt", _IN_DOUBT)
    gather_evidence(con, services, hop_names)
    _table(con, "reached", _REACHED)
    _table(con, "inferred_only", "SELECT * FROM reached ANTI JOIN named USING (vantage, service, site)")
    measure_distances(con, "inferred_only", "inferred_distances")
    _table(con, "distances", "SELECT * FROM named_distances UNION ALL SELECT * FROM inferred_distances")
    find_nearest(con, services, windows, site_set)
    for view, query in (("ruled", _RULED), ("assigned", _ASSIGNED), ("trusted", _CONFIDENCE)):
        con.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {query}")
    ordered = f"SELECT {selected(ASSIGNMENTS)} FROM trusted ORDER BY service, target, window_start, vantage"
    _table(con, "assignments", ordered)
    return services


def _table(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
