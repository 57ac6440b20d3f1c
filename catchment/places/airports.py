"""IATA location codes: airports, and towns with several of them."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from catchment.geo import arc_km
from catchment.places.towns import Place, town_key

_TABLE = Path(__file__).parent / "airports.toml"
_KIND_OF_AIRFIELD = re.compile(r"( International| Regional| Municipal)? (Airport|Airstrip|Airfield|Air Base|Heliport)$")
# The package counts these to the United States, which the lists of operators and ISO 3166 do not.
_TERRITORIES = {"Puerto Rico": "PR", "Virgin Islands": "VI"}
_REMARK = re.compile(r"[/,(]")
_ANOTHER_TOWN_KM = 150.0

Airport = Mapping[str, Any]


@lru_cache(maxsize=16_384)
def iata_place(code: str) -> Place | None:
    """Return the place of an IATA location code, None where there is none; letter case does not count.

    The coordinates are the airport's, those of a town with several airports its centre's. The town is the one that the
    airport serves, which may be another than the one that it stands in, with its region where the country has two of
    that name (`Portland, Maine`). Closed airports and former codes count. Facts from the package airportsdata, and for
    what it lacks from `airports.toml` beside this module.
    """
    code = code.upper()
    if len(code) != 3:
        return None
    table = _table()
    known = table["metropolitan"].get(code) or table["airports"].get(code)
    if known is not None:
        return Place(code=code.lower(), **known)
    now = table["renamed"].get(code, code)
    airport = _airports().get(now)
    if airport is None:
        return None
    country = str(airport["country"])
    return Place(
        code=code.lower(),
        town=table["towns"].get(now) or _town(airport),
        country=_TERRITORIES.get(airport["subd"], country) if country == "US" else country,
        latitude=round(float(airport["lat"]), 4),
        longitude=round(float(airport["lon"]), 4),
    )


def main_airport(code: str) -> str:
    """Return the IATA code, in lower case, that stands for the town of this one: `lhr` for London's `LCY` and `LON`.

    Only towns in the table have one; any other code stands for itself.
    """
    return _mains().get(code.upper(), code).lower()


def towns_called(name: str, country: str | None = None) -> list[Place]:
    """Return the towns with an airport that have this name, in any spelling that is known, in order of their countries.

    Each is there once: its centre, where a table has that, else its main airport. Airports of one name and country that
    are farther apart than 150 km are of different towns: these carry their region (`Portland, Maine`), which the name
    may tell as well.
    """
    there = _airports_by_town()
    keys = {town_key(name, each) for each in ({key[0] for key in there} if country is None else {country.upper()})}
    found = [place for key in sorted(keys) for place in _apart(there.get(key, ()))]
    exactly = [place for place in found if place.town.casefold() == name.casefold()]
    return exactly if "," in name else found


@cache
def iata_hubs() -> frozenset[str]:
    """Return the IATA codes, in upper case, of the places where operators of anycast services have servers."""
    return frozenset(str(_table()["hubs"]["codes"]).split())


def is_iata_hub(code: str) -> bool:
    """Tell whether operators of anycast services are known to have servers at the place of an IATA code."""
    return code.upper() in iata_hubs()


def _town(airport: Airport) -> str:
    town = _cut(airport)
    if not town:
        return _KIND_OF_AIRFIELD.sub("", str(airport["name"]))
    # Las Vegas in New Mexico does not take its plain name away from the one with the international airport.
    rivals = [
        other
        for other in _namesakes()[airport["country"], town]
        if other["subd"] != airport["subd"] and (_is_international(other) or not _is_international(airport))
    ]
    if any(arc_km(airport["lat"], airport["lon"], other["lat"], other["lon"]) > _ANOTHER_TOWN_KM for other in rivals):
        return f"{town}, {airport['subd']}"
    return town


def _cut(airport: Airport) -> str:
    """Return the first of the towns that an airport names: `Columbus/W Point/Starkville`."""
    return _REMARK.split(str(airport["city"]), maxsplit=1)[0].strip()


def _is_international(airport: Airport) -> bool:
    return "International" in airport["name"]


@cache
def _airports() -> Mapping[str, Airport]:
    import airportsdata  # noqa: PLC0415  (0.1 s, and only codes that a service does not list need it)

    return airportsdata.load("IATA")


@cache
def _namesakes() -> Mapping[tuple[str, str], list[Airport]]:
    airports: dict[tuple[str, str], list[Airport]] = defaultdict(list)
    for airport in _airports().values():
        airports[airport["country"], _cut(airport)].append(airport)
    return airports


@cache
def _airports_by_town() -> Mapping[tuple[str, str], list[Place]]:
    towns: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for code in (*_table()["metropolitan"], *_airports()):
        place = iata_place(code)
        if place is not None:
            towns[town_key(place.town, place.country)].append(place)
    return towns


def _apart(places: Iterable[Place]) -> list[Place]:
    """Return one of the places for each group of those that are near each other."""

    def importance(place: Place) -> tuple[bool, bool, bool, str]:
        code = place.code
        return code.upper() not in _table()["metropolitan"], main_airport(code) != code, not is_iata_hub(code), code

    chosen: list[Place] = []
    for place in sorted(places, key=importance):
        here = (place.latitude, place.longitude)
        if all(arc_km(*here, other.latitude, other.longitude) > _ANOTHER_TOWN_KM for other in chosen):
            chosen.append(place)
    return sorted(chosen, key=lambda one: one.town)


@cache
def _mains() -> dict[str, str]:
    return {other: main for main, others in _table()["main"].items() for other in others}


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))
