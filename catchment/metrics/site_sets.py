"""Among which sites the nearest is sought: how many, how many of them have a place, and as of which day."""

from __future__ import annotations

import duckdb

from catchment.assign.distances import site_set_of, sites_in_use
from catchment.metrics.values import Numbers
from catchment.model import Service, SiteSet, Target, Window


def describe_site_set(
    con: duckdb.DuckDBPyConnection, service: Service | None, target: Target, window: Window, kind: SiteSet
) -> Numbers:
    """Count the sites listed or observed, and those of them that can be nearest: whose place is known.

    `as_of` is the day of the newest source of the service's sites; None where no source says that it is of sites.
    """
    if service is None:
        return {"kind": kind.value, "sites": 0, "placed": 0, "as_of": None}
    sites = sites_in_use(con, service, window, target.af, kind)
    dates = [source.date for source in service.sources if "sites" in source.of]
    return {
        "kind": site_set_of(service, kind).value,
        "sites": len(sites),
        "placed": sum(site.latitude is not None for site in sites),
        "as_of": max(dates).isoformat() if dates else None,
    }
