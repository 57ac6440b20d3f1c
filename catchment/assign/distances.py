"""How far the sites are that were reached, and which would have been nearest. Reads `reached` and `vantage_points`."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

import duckdb

from catchment.engine import fill_from_arrays, fill_table
from catchment.geo import distance_km, nearest
from catchment.model import Service, Site, SiteSet, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def measure_distances(con: duckdb.DuckDBPyConnection, services: Sequence[Service]) -> None:
    """Leave the table `distances` (vantage, service, site, distance_km), from each to the sites it reached."""
    placed = [(service.name, site) for service in services for site in service.sites if site.latitude is not None]
    fill_table(
        con,
        "places (service VARCHAR, site VARCHAR, latitude DOUBLE, longitude DOUBLE)",
        [(name, site.code, site.latitude, site.longitude) for name, site in placed],
    )
    pairs = con.execute(
        """SELECT DISTINCT r.vantage, r.service, r.site, v.latitude, v.longitude, p.latitude AS site_latitude,
            p.longitude AS site_longitude
        FROM reached AS r JOIN vantage_points AS v USING (vantage) JOIN places AS p USING (service, site)
        WHERE v.latitude IS NOT NULL ORDER BY ALL"""
    ).fetchnumpy()
    found = {key: pairs[key] for key in ("vantage", "service", "site")}
    found["distance_km"] = distance_km(
        *(_floats(pairs[key]) for key in ("latitude", "longitude", "site_latitude", "site_longitude"))
    )
    fill_from_arrays(con, "distances (vantage VARCHAR, service VARCHAR, site VARCHAR, distance_km DOUBLE)", found)


def find_nearest(
    con: duckdb.DuckDBPyConnection, services: Sequence[Service], windows: Sequence[Window], site_set: SiteSet
) -> None:
    """Leave the table `nearest_sites` (vantage, service, window_start, nearest_site, nearest_km)."""
    table = "vantage VARCHAR, service VARCHAR, window_start DOUBLE, nearest_site VARCHAR, nearest_km DOUBLE"
    con.execute(f"CREATE OR REPLACE TEMP TABLE nearest_sites ({table})")
    for service in services:
        for window in windows:
            sites = [site for site in active_sites(service, window) if site.latitude is not None]
            if site_set is SiteSet.OBSERVED:
                rows = con.execute(
                    """SELECT DISTINCT c.site FROM candidates AS c
                    JOIN tallies AS t USING (vantage, target, window_start)
                    WHERE c.site IS NOT NULL AND t.service = ? AND window_start = ?""",
                    [service.name, window.start],
                ).fetchall()
                seen = {code for (code,) in rows}
                sites = [site for site in service.sites if site.code in seen and site.latitude is not None]
            here = con.execute(
                """SELECT DISTINCT r.vantage, v.latitude, v.longitude FROM reached AS r
                JOIN vantage_points AS v USING (vantage)
                WHERE r.service = ? AND r.window_start = ? AND v.latitude IS NOT NULL ORDER BY ALL""",
                [service.name, window.start],
            ).fetchnumpy()
            if not sites or len(here["vantage"]) == 0:
                continue
            latitudes, longitudes = _floats(here["latitude"]), _floats(here["longitude"])
            index, kilometres = nearest(
                latitudes,
                longitudes,
                _floats([site.latitude for site in sites]),
                _floats([site.longitude for site in sites]),
            )
            found = {"vantage": here["vantage"], "number": index, "nearest_km": kilometres}
            fill_from_arrays(con, "found (vantage VARCHAR, number BIGINT, nearest_km DOUBLE)", found)
            con.execute(
                "INSERT INTO nearest_sites SELECT vantage, ?, ?, (?)[number + 1], nearest_km FROM found",
                [service.name, window.start, [site.code for site in sites]],
            )


def active_sites(service: Service, window: Window) -> list[Site]:
    """Return the sites that the service lists as active at some time in the window."""
    first = None if window.start is None else datetime.datetime.fromtimestamp(window.start, datetime.UTC).date()
    # The end itself is left out: a window that ends at midnight does not touch the day that begins then.
    last = None if window.end is None else datetime.datetime.fromtimestamp(window.end - 0.001, datetime.UTC).date()
    return [
        site
        for site in service.sites
        if (site.since is None or last is None or site.since <= last)
        and (site.until is None or first is None or first < site.until)
    ]


def _floats(column: object) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415  (loaded while DuckDB reads, not before)

    return np.asarray(column, dtype=np.float64)
