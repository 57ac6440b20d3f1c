"""How far sites are: those reached, and the nearest ones of those in use. Reads `vantage_points`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import duckdb

from catchment.engine import fill_from_arrays, fill_table
from catchment.geo import distance_km, nearest
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
        *(floats(pairs[key]) for key in ("latitude", "longitude", "site_latitude", "site_longitude"))
    )
    fill_from_arrays(con, f"{to} (vantage VARCHAR, service VARCHAR, site VARCHAR, distance_km DOUBLE)", found)


def find_nearest(
    con: duckdb.DuckDBPyConnection, services: Sequence[Service], windows: Sequence[Window], site_set: SiteSet
) -> None:
    """Leave the table `nearest_sites` (vantage, service, af, window_start, nearest_site, nearest_km).

    A site that answers is active, whatever its list says. Reads `reached`.
    """
    columns = (
        "vantage VARCHAR, service VARCHAR, af TINYINT, window_start DOUBLE, nearest_site VARCHAR, nearest_km DOUBLE"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE nearest_sites ({columns})")
    for service, af, window in cases(services, windows):
        sites = [site for site in sites_in_use(con, service, window, af, site_set) if site.latitude is not None]
        here = con.execute(
            """SELECT DISTINCT r.vantage, v.latitude, v.longitude FROM reached AS r
            JOIN vantage_points AS v USING (vantage)
            WHERE r.service = ? AND r.af = ? AND r.window_start = ? AND v.latitude IS NOT NULL ORDER BY ALL""",
            [service.name, af, window.start],
        ).fetchnumpy()
        if not sites or len(here["vantage"]) == 0:
            continue
        index, kilometres = nearest(floats(here["latitude"]), floats(here["longitude"]), *places_of(sites))
        found = {"vantage": here["vantage"], "number": index, "nearest_km": kilometres}
        fill_from_arrays(con, "found (vantage VARCHAR, number BIGINT, nearest_km DOUBLE)", found)
        con.execute(
            "INSERT INTO nearest_sites SELECT vantage, ?, ?, ?, (?)[number + 1], nearest_km FROM found",
            [service.name, af, window.start, [site.code for site in sites]],
        )


def sites_in_use(
    con: duckdb.DuckDBPyConnection,
    service: Service,
    window: Window,
    af: AddressFamily,
    site_set: SiteSet,
    *,
    before_evidence: bool = False,
) -> list[Site]:
    """Return the sites of a service that are in use: those seen answering, and where listed ones count, the active.

    Of an open list only those seen count. Reads `tallies`, `candidates`, and unless `before_evidence`, `reached`.
    """
    # An answer that light contradicts opens no site again that is closed.
    judged = """
        ANTI JOIN (SELECT * FROM contradictions WHERE impossible IS NOT NULL) USING (vantage, target, window_start)
        UNION SELECT vantage, target, window_start, site FROM reached WHERE impossible IS NULL"""
    inferred = "" if before_evidence else judged
    rows = con.execute(
        f"""SELECT DISTINCT site FROM (
            SELECT vantage, target, window_start, site FROM (SELECT * FROM candidates WHERE outcome = 'identified')
            {inferred})
        JOIN tallies USING (vantage, target, window_start)
        WHERE site IS NOT NULL AND service = ? AND af = ? AND window_start = ?""",
        [service.name, af, window.start],
    ).fetchall()
    codes = {code for (code,) in rows}
    if site_set_of(service, site_set) is SiteSet.LISTED:
        codes |= {site.code for site in active_sites(service, window, af)}
    return [site for site in service.sites if site.code in codes]


def places_of(sites: Sequence[Site]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return latitudes and longitudes of sites that have them."""
    return floats([site.latitude for site in sites]), floats([site.longitude for site in sites])


def cases(services: Sequence[Service], windows: Sequence[Window]) -> Iterator[tuple[Service, AddressFamily, Window]]:
    """Return every service in each address family and window."""
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


def floats(column: object) -> NDArray[np.float64]:
    """Return a column as numbers; what is absent is no number."""
    import numpy as np  # noqa: PLC0415  (loaded while DuckDB reads, not before)

    return np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan)
