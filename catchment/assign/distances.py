"""How far sites are: those reached, the nearest ones, and those that light allows. Reads `vantage_points`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import duckdb

from catchment.engine import fill_from_arrays, fill_table
from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, distance_km, nearest, sites_within
from catchment.model import AddressFamily, Service, Site, SiteSet, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def table_of_places(con: duckdb.DuckDBPyConnection, services: Sequence[Service]) -> None:
    """Leave the table `places` (service, site, latitude, longitude) of the sites whose place is known."""
    fill_table(
        con,
        "places (service VARCHAR, site VARCHAR, latitude DOUBLE, longitude DOUBLE)",
        [
            (service.name, site.code, site.latitude, site.longitude)
            for service in services
            for site in service.sites
            if site.latitude is not None
        ],
    )


def measure_distances(con: duckdb.DuckDBPyConnection, source: str, to: str) -> None:
    """Leave the table `to` (vantage, service, site, distance_km) for the pairs of the table `source`."""
    pairs = con.execute(
        f"""SELECT DISTINCT r.vantage, r.service, r.site, v.latitude, v.longitude, p.latitude AS site_latitude,
            p.longitude AS site_longitude
        FROM {source} AS r JOIN vantage_points AS v USING (vantage) JOIN places AS p USING (service, site)
        WHERE v.latitude IS NOT NULL ORDER BY ALL"""
    ).fetchnumpy()
    found = {key: pairs[key] for key in ("vantage", "service", "site")}
    found["distance_km"] = distance_km(
        *(_floats(pairs[key]) for key in ("latitude", "longitude", "site_latitude", "site_longitude"))
    )
    fill_from_arrays(con, f"{to} (vantage VARCHAR, service VARCHAR, site VARCHAR, distance_km DOUBLE)", found)


def find_nearest(
    con: duckdb.DuckDBPyConnection, services: Sequence[Service], windows: Sequence[Window], site_set: SiteSet
) -> None:
    """Leave the table `nearest_sites` (vantage, service, af, window_start, nearest_site, nearest_km)."""
    columns = (
        "vantage VARCHAR, service VARCHAR, af TINYINT, window_start DOUBLE, nearest_site VARCHAR, nearest_km DOUBLE"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE nearest_sites ({columns})")
    for service, af, window in _cases(services, windows):
        sites = [site for site in active_sites(service, window, af) if site.latitude is not None]
        if site_set_of(service, site_set) is SiteSet.OBSERVED:
            rows = con.execute(
                """SELECT DISTINCT site FROM reached
                WHERE site IS NOT NULL AND service = ? AND af = ? AND window_start = ?
                UNION SELECT c.site FROM candidates AS c JOIN tallies AS t USING (vantage, target, window_start)
                WHERE c.site IS NOT NULL AND t.service = ? AND t.af = ? AND window_start = ?""",
                [service.name, af, window.start] * 2,
            ).fetchall()
            seen = {code for (code,) in rows}
            sites = [site for site in service.sites if site.code in seen and site.latitude is not None]
        here = con.execute(
            """SELECT DISTINCT r.vantage, v.latitude, v.longitude FROM reached AS r
            JOIN vantage_points AS v USING (vantage)
            WHERE r.service = ? AND r.af = ? AND r.window_start = ? AND v.latitude IS NOT NULL ORDER BY ALL""",
            [service.name, af, window.start],
        ).fetchnumpy()
        if not sites or len(here["vantage"]) == 0:
            continue
        index, kilometres = nearest(
            _floats(here["latitude"]),
            _floats(here["longitude"]),
            _floats([site.latitude for site in sites]),
            _floats([site.longitude for site in sites]),
        )
        found = {"vantage": here["vantage"], "number": index, "nearest_km": kilometres}
        fill_from_arrays(con, "found (vantage VARCHAR, number BIGINT, nearest_km DOUBLE)", found)
        con.execute(
            "INSERT INTO nearest_sites SELECT vantage, ?, ?, ?, (?)[number + 1], nearest_km FROM found",
            [service.name, af, window.start, [site.code for site in sites]],
        )


# The least time in which the one site that answered can be reached: of a vantage point that saw several it is nobody's.
# A ping that is twice as fast as the answers went elsewhere. Who gives no identity is reached by pings alone.
_LEAST = """
    SELECT t.vantage, t.target, t.window_start, v.latitude, v.longitude,
        CASE WHEN c.outcome IS DISTINCT FROM 'identified' THEN t.echo_ms_min
            WHEN t.sites_seen > 1 OR t.foreign_identity + t.unknown_identity + t.errors + t.empty > 0 THEN NULL
            WHEN c.rtt_ms_min < 2 * t.ping_ms_min THEN least(c.rtt_ms_min, t.ping_ms_min)
            ELSE c.rtt_ms_min END AS least_ms
    FROM tallies AS t
    JOIN vantage_points AS v USING (vantage)
    LEFT JOIN (SELECT * FROM candidates WHERE place = 1) AS c
        ON c.vantage = t.vantage AND c.target = t.target AND c.window_start = t.window_start
    WHERE t.service = ? AND t.af = ? AND t.window_start = ? AND v.latitude IS NOT NULL AND least_ms IS NOT NULL
    ORDER BY ALL"""


def find_feasible(con: duckdb.DuckDBPyConnection, services: Sequence[Service], windows: Sequence[Window]) -> None:
    """Leave the table `feasible` (vantage, service, target, window_start, least_ms, feasible_sites, feasible_site).

    `feasible_sites` counts the active sites that light could have come back from in the least RTT. One of which nobody
    knows the place may always be it; so may, where a list is open, one that is not on it. Reads `tallies`.
    """
    con.execute(
        """CREATE OR REPLACE TEMP TABLE feasible (vantage VARCHAR, service VARCHAR, target VARCHAR, window_start DOUBLE,
        least_ms DOUBLE, feasible_sites INTEGER, feasible_site VARCHAR)"""
    )
    for service, af, window in _cases(services, windows):
        sites = active_sites(service, window, af)
        placed = [site for site in sites if site.latitude is not None]
        here = con.execute(_LEAST, [service.name, af, window.start]).fetchnumpy()
        if not placed or service.open_list or len(here["vantage"]) == 0:
            continue
        count, first = sites_within(
            _floats(here["latitude"]),
            _floats(here["longitude"]),
            _floats(here["least_ms"]) * IMPOSSIBLE_KM_PER_MS + IMPOSSIBLE_SLACK_KM,
            _floats([site.latitude for site in placed]),
            _floats([site.longitude for site in placed]),
        )
        found = {key: here[key] for key in ("vantage", "target", "least_ms")}
        # A site that nobody can place is not ruled out; where it is the only one left, it is not `first`.
        found |= {"sites": count + len(sites) - len(placed), "placed": count, "number": first}
        fill_from_arrays(
            con,
            "found (vantage VARCHAR, target VARCHAR, least_ms DOUBLE, sites BIGINT, placed BIGINT, number BIGINT)",
            found,
        )
        con.execute(
            """INSERT INTO feasible SELECT vantage, ?, target, ?, least_ms, sites,
            CASE WHEN sites = 1 AND placed = 1 THEN (?)[number + 1] END FROM found""",
            [service.name, window.start, [site.code for site in placed]],
        )


def _cases(services: Sequence[Service], windows: Sequence[Window]) -> Iterator[tuple[Service, AddressFamily, Window]]:
    families: tuple[AddressFamily, ...] = (4, 6)
    return ((service, af, window) for service in services for af in families for window in windows)


def site_set_of(service: Service, asked: SiteSet) -> SiteSet:
    """Return among which sites of a service the nearest is sought: of an open list, those that were seen."""
    return SiteSet.OBSERVED if service.open_list else asked


def active_sites(service: Service, window: Window, af: AddressFamily) -> list[Site]:
    """Return the sites that the service lists as active in an address family at some time in the window."""
    first = None if window.start is None else datetime.datetime.fromtimestamp(window.start, datetime.UTC).date()
    # The end itself is left out: a window that ends at midnight does not touch the day that begins then.
    last = None if window.end is None else datetime.datetime.fromtimestamp(window.end - 0.001, datetime.UTC).date()
    return [
        site
        for site in service.sites
        if af in site.families
        and (site.since is None or last is None or site.since <= last)
        and (site.until is None or first is None or first < site.until)
    ]


def _floats(column: object) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415  (loaded while DuckDB reads, not before)

    return np.asarray(column, dtype=np.float64)
