"""Where this host is: coordinates, a code, a town; read offline, or asked of a geocoder on wish."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from catchment.errors import PlatformFailed, UnknownName
from catchment.geo import CONTINENT_OF, on_earth
from catchment.places import Place, iata_place, towns_called

_DEGREES = re.compile(r"\s*(?P<latitude>[-+]?\d{1,3}(?:\.\d+)?)\s*[,;]\s*(?P<longitude>[-+]?\d{1,3}(?:\.\d+)?)\s*")
_CODE_LETTERS = 3
_COUNTRY_LETTERS = 2
_LONGEST = 200
_MOST_NAMED = 6
_GEOCODER_S = 10
_OTHERWISE = "write LATITUDE,LONGITUDE, or have it looked up online by `catchment here --geocode`"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlace:
    """Where this host is, in degrees; `name` is for the eye, `country` an ISO 3166-1 code or nobody knows."""

    name: str
    latitude: float
    longitude: float
    country: str | None = None


Geocode = Callable[[str], HostPlace | None]
"""Looks a place up online; None where it finds nothing. Raises PlatformFailed."""


def find_place(text: str) -> HostPlace:
    """Return the place that a text names: `52.52,13.40`, an IATA code (`BER`), a town (`Berlin, DE`).

    Towns are those with an airport, at its coordinates. What is in capitals is first sought among the codes, all else
    among the towns. Raises UnknownName, which names the candidates where there are several.
    """
    text = text.strip()
    match = _DEGREES.fullmatch(text)
    if match is not None:
        latitude, longitude = float(match["latitude"]), float(match["longitude"])
        if not on_earth(latitude, longitude):
            raise UnknownName(f"{text} is not on Earth: write LATITUDE,LONGITUDE, like 52.52,13.40")
        return HostPlace(name=f"{latitude:g},{longitude:g}", latitude=latitude, longitude=longitude)
    coded = iata_place(text) if len(text) == _CODE_LETTERS else None
    if coded is not None and text.isupper():
        return _at(coded)
    towns = _towns(text)
    if len(towns) == 1:
        return _at(towns[0])
    if towns:
        named = [f"'{place.town}, {place.country}'" for place in towns[:_MOST_NAMED]]
        more = f", or {len(towns) - _MOST_NAMED} more" if len(towns) > _MOST_NAMED else ""
        raise UnknownName(f"'{text}' may be {' or '.join(named)}{more}: say which")
    if coded is not None:
        return _at(coded)
    raise UnknownName(f"no airport is in a town called '{text[:_LONGEST]}': name a larger one near it, {_OTHERWISE}")


def find_online(text: str, geocode: Geocode | None = None) -> HostPlace:
    """Return the place that a geocoder finds (None: OpenStreetMap's Nominatim), asked over the Internet.

    Raises PlatformFailed where it cannot be asked, UnknownName where it knows no such place.
    """
    found = (geocode or _nominatim)(text[:_LONGEST])
    if found is None or not on_earth(found.latitude, found.longitude):
        raise UnknownName(f"the geocoder knows no place '{text[:_LONGEST]}': write LATITUDE,LONGITUDE")
    return found


def _towns(text: str) -> list[Place]:
    name, _, end = (part.strip() for part in text.rpartition(","))
    is_country = name and len(end) == _COUNTRY_LETTERS and end.upper() in CONTINENT_OF
    if not is_country:
        return towns_called(text)
    found = towns_called(name, end)
    exactly = [place for place in found if place.town.casefold() == name.casefold()]
    return exactly if len(exactly) == 1 else found  # Washington, US is the one that needs no region


def _at(place: Place) -> HostPlace:
    return HostPlace(
        name=f"{place.town}, {place.country}",
        latitude=place.latitude,
        longitude=place.longitude,
        country=place.country,
    )


def _nominatim(text: str) -> HostPlace | None:
    """Ask Nominatim, once: its rules allow a request a second, by who says what program he is."""
    from geopy.exc import GeopyError  # noqa: PLC0415  (only who wishes it waits for it)
    from geopy.geocoders import Nominatim  # noqa: PLC0415

    import catchment  # noqa: PLC0415

    geocoder = Nominatim(user_agent=f"catchment/{catchment.__version__}", timeout=_GEOCODER_S)
    try:
        found = geocoder.geocode(text, language="en", addressdetails=True)
    except (GeopyError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
        raise PlatformFailed(
            f"the geocoder could not be asked ({reason}): name a town without --geocode, or write LATITUDE,LONGITUDE"
        ) from error
    if found is None:
        return None
    country = str(found.raw.get("address", {}).get("country_code", "")).upper()
    return HostPlace(
        name=str(found.address)[:_LONGEST],
        latitude=float(found.latitude),
        longitude=float(found.longitude),
        country=country if country in CONTINENT_OF else None,
    )
