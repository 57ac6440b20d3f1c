"""The real towns, countries and regions of which the generated world is made."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from catchment.geo import arc_km
from catchment.platforms.topology.elements import Place

Item = TypeVar("Item")

_TABLE = Path(__file__).parent / "countries.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country, its count of RIPE Atlas probes, and the codes of its towns, the largest hub first."""

    code: str
    probes: int
    towns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Countries with transit networks in common.

    `transits` is the number of these, `far` the towns elsewhere to which they reach out, `abroad` the share of access
    networks that buy transit only there.
    """

    name: str
    transits: int
    abroad: float
    far: tuple[str, ...]
    countries: tuple[Country, ...]

    @property
    def towns(self) -> tuple[str, ...]:
        """Return the codes of all towns of the region."""
        return tuple(town for country in self.countries for town in country.towns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earth:
    """All regions, all towns by code, and for each town with an exchange the share of tier-1 networks in it."""

    regions: tuple[Region, ...]
    places: dict[str, Place]
    exchanges: dict[str, float]


@cache
def earth() -> Earth:
    """Return the towns of the world: the table beside this module, with the coordinates of the towns' airports."""
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    countries = {
        entry["code"]: Country(code=entry["code"], probes=entry["probes"], towns=tuple(entry["towns"]))
        for entry in table["countries"]
    }
    regions = tuple(
        Region(
            name=entry["name"],
            transits=entry["transits"],
            abroad=entry["abroad"],
            far=tuple(entry["far"]),
            countries=tuple(countries[code] for code in entry["countries"]),
        )
        for entry in table["regions"]
    )
    places = {code: airport_town(code) for country in countries.values() for code in country.towns}
    return Earth(
        regions=regions, places={code: place for code, place in places.items() if place}, exchanges=table["exchanges"]
    )


def airport_town(code: str) -> Place | None:
    """Return the town of an airport by its IATA code, None where there is no such airport."""
    airport = _airports().get(code.upper())
    if airport is None:
        return None
    town = _names().get(code.upper()) or str(airport["city"] or airport["name"]).split("/")[0].strip()
    return Place(
        code=code.upper(),
        town=town,
        country=str(airport["country"]),
        latitude=round(float(airport["lat"]), 4),
        longitude=round(float(airport["lon"]), 4),
    )


@cache
def between_km(town: str, other: str) -> float:
    """Return the distance in km between two towns of the world."""
    here, there = earth().places[town], earth().places[other]
    return arc_km(here.latitude, here.longitude, there.latitude, there.longitude)


def weighted_sample(draw: random.Random, items: Sequence[Item], weights: Sequence[float], count: int) -> list[Item]:
    """Draw up to `count` different items, each by its weight; those of weight 0 never."""
    # Efraimidis and Spirakis (2006): the largest of u ** (1 / w) are a weighted sample without replacement.
    keys = [(draw.random() ** (1 / weight), at) for at, weight in enumerate(weights) if weight > 0]
    return [items[at] for _, at in sorted(keys, reverse=True)[:count]]


@cache
def _airports() -> Mapping[str, Mapping[str, Any]]:
    import airportsdata  # noqa: PLC0415  (0.1 s, and a world read from a file needs none)

    return airportsdata.load("IATA")


@cache
def _names() -> dict[str, str]:
    names: dict[str, str] = tomllib.loads(_TABLE.read_text(encoding="utf-8"))["names"]
    return names
