"""Which sites light allows: those from which an answer could have come back as fast as it did. Reads `vantage_points`.

A set of one names the site; an empty one says that somebody else answered, or that the vantage point is elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from catchment.assign.distances import cases, floats, places_of, sites_in_use
from catchment.engine import fill_from_arrays
from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, sites_within
from catchment.model import Service, SiteSet, Window

# Pings and traceroutes tell the latency where no answer has an identity: of pings where there are any, and of all.
_ECHOES = """
    SELECT vantage, target, window_start,
        coalesce(min(rtt_ms) FILTER (WHERE kind = 'ping'), min(rtt_ms)) AS echo_ms_min,
        coalesce(median(rtt_ms) FILTER (WHERE kind = 'ping'), median(rtt_ms)) AS echo_ms_median,
        min(rtt_ms) AS least_ms, median(rtt_ms) AS middle_ms
    FROM inside
    SEMI JOIN (
        SELECT vantage, target, window_start FROM tallies
        WHERE identified + foreign_identity + unknown_identity = 0 AND pings_answered > 0)
    USING (vantage, target, window_start)
    WHERE kind <> 'dns' AND rtt_ms IS NOT NULL GROUP BY vantage, target, window_start"""

# The least ping but for a tenth of them, and of three or more always one: a box may have answered that.
_PING = """CASE WHEN len(t.pings_ms) > 0
            THEN t.pings_ms[1 + greatest(len(t.pings_ms) // 10, CASE WHEN len(t.pings_ms) < 3 THEN 0 ELSE 1 END)] END"""

# The least time in which the one site that answered can be reached, and that of pings alone. Of a vantage point that
# saw several sites, or heard somebody else, the least is nobody's. A ping that is twice as fast as the answers went
# elsewhere. Who gives no identity is reached by echoes alone: if half of them take more than twice the least, or the
# answers do, some went elsewhere.
_LEAST = f"""
    SELECT t.vantage, t.target, t.window_start, v.latitude, v.longitude, {_PING} AS ping_ms,
        CASE WHEN e.least_ms IS NOT NULL
            THEN CASE WHEN e.middle_ms <= 2 * e.least_ms + 2 AND NOT coalesce(c.rtt_ms_min >= 2 * e.least_ms + 2, FALSE)
                THEN e.least_ms END
            WHEN c.outcome IS DISTINCT FROM 'identified' THEN NULL
            WHEN t.sites_seen > 1 OR t.foreign_identity + t.unknown_identity + t.errors + t.empty > 0 THEN NULL
            WHEN c.rtt_ms_min < 2 * t.ping_ms_min THEN least(c.rtt_ms_min, t.ping_ms_min)
            ELSE c.rtt_ms_min END AS least_ms
    FROM tallies AS t
    JOIN vantage_points AS v USING (vantage)
    LEFT JOIN echoes AS e ON e.vantage = t.vantage AND e.target = t.target AND e.window_start = t.window_start
    LEFT JOIN (SELECT * FROM candidates WHERE place = 1) AS c
        ON c.vantage = t.vantage AND c.target = t.target AND c.window_start = t.window_start
    WHERE t.service = ? AND t.af = ? AND t.window_start = ? AND v.latitude IS NOT NULL
        AND (least_ms IS NOT NULL OR ping_ms IS NOT NULL)
    ORDER BY ALL"""


def find_feasible(con: duckdb.DuckDBPyConnection, services: Sequence[Service], windows: Sequence[Window]) -> None:
    """Leave the tables `echoes` and `feasible`, a row each for a vantage point, target and window.

    `feasible_sites` counts the sites that light could have come back from in the least RTT, `ping_sites` in that of the
    pings; absent where there is no such RTT. A site of which nobody knows the place may always be it; so may, where a
    list is open, one that is not on it. Reads `inside`, `tallies` and `candidates`.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE echoes AS {_ECHOES}")
    con.execute(
        """CREATE OR REPLACE TEMP TABLE feasible (vantage VARCHAR, target VARCHAR, window_start DOUBLE, service VARCHAR,
        least_ms DOUBLE, feasible_sites INTEGER, feasible_site VARCHAR, ping_ms DOUBLE, ping_sites INTEGER)"""
    )
    for service, af, window in cases(services, windows):
        sites = sites_in_use(con, service, window, af, SiteSet.LISTED, before_evidence=True)
        placed = [site for site in sites if site.latitude is not None]
        here = con.execute(_LEAST, [service.name, af, window.start]).fetchnumpy()
        if not placed or service.open_list or len(here["vantage"]) == 0:
            continue
        found = {key: here[key] for key in ("vantage", "target")}
        for name, column in (("least", "least_ms"), ("ping", "ping_ms")):
            ms = floats(here[column])
            limits_km = ms * IMPOSSIBLE_KM_PER_MS + IMPOSSIBLE_SLACK_KM
            count, first = sites_within(
                floats(here["latitude"]), floats(here["longitude"]), limits_km, *places_of(placed)
            )
            found |= {f"{name}_ms": ms, f"{name}_count": count, f"{name}_first": first}
        fill_from_arrays(
            con,
            """found (vantage VARCHAR, target VARCHAR, least_ms DOUBLE, least_count INTEGER, least_first INTEGER,
            ping_ms DOUBLE, ping_count INTEGER, ping_first INTEGER)""",
            found,
        )
        con.execute(
            """INSERT INTO feasible SELECT vantage, target, $start, $service,
                CASE WHEN NOT isnan(least_ms) THEN least_ms END,
                CASE WHEN NOT isnan(least_ms) THEN least_count + $unplaced END,
                CASE WHEN least_count = 1 AND $unplaced = 0 THEN ($codes)[least_first + 1] END,
                CASE WHEN NOT isnan(ping_ms) THEN ping_ms END,
                CASE WHEN NOT isnan(ping_ms) THEN ping_count + $unplaced END
            FROM found""",
            {
                "start": window.start,
                "service": service.name,
                "unplaced": len(sites) - len(placed),
                "codes": [site.code for site in placed],
            },
        )
