"""The town in the reverse name of any router, wherever the service has its sites: for the ways that packets take."""

from __future__ import annotations

from functools import cache, lru_cache

from catchment.assign.hop_names.codes import hubs
from catchment.assign.hop_names.reading import HopNameReader
from catchment.model import Service, Site
from catchment.places import Place, iata_place, main_airport, town_key
from catchment.places.airports import iata_hubs


@lru_cache(maxsize=65_536)
def town_in_name(name: str) -> Place | None:
    """Return the town that a router's name points to; None where it points to none, or to several.

    Known are the towns where networks meet. That is less sure than to look for the sites of a service only: what is
    told of it should hold for the time that the router took as well.
    """
    found = _reader().sites_in(name)
    if len(found) != 1:
        return None
    site = found[0].site
    if site.latitude is None or site.longitude is None:
        return None
    return Place(
        code=found[0].token, town=site.town, country=site.country, latitude=site.latitude, longitude=site.longitude
    )


@cache
def _reader() -> HopNameReader:
    places = [
        Place(code="", town=hub.town, country=hub.country, latitude=hub.latitude, longitude=hub.longitude)
        for hub in hubs()
    ]
    codes = sorted(iata_hubs(), key=lambda code: (main_airport(code) != code.lower(), code))
    places += [place for place in map(iata_place, codes) if place is not None]
    towns = {town_key(place.town, place.country): place for place in reversed(places)}
    sites = tuple(
        Site(
            code=f"{place.country} {place.town}",  # with a space, so that it is no word of a name
            town=place.town,
            country=place.country,
            latitude=place.latitude,
            longitude=place.longitude,
        )
        for place in towns.values()
    )
    return HopNameReader(Service(name="all towns", operator="", addresses=(), sites=sites))
