"""Which probes may be asked: the sources that add up, and the conditions that narrow them.

The API filters as far as it can, which saves pages; everything is tested again here, because it ignores some filters
with no more than a warning, and because what it finds for a prefix is not documented.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

from catchment.campaign import Anchors, VantagePoints
from catchment.campaign.regions import AREAS, BANDS, EVERYWHERE, REGIONS, Band
from catchment.errors import UnknownName, hint
from catchment.geo import CONTINENT_OF, CONTINENTS
from catchment.platforms.atlas.selecting.probes import (
    CONNECTED,
    WORKS,
    Network,
    Probe,
    asn,
    country,
    is_connected,
    is_stable,
    is_within,
    place,
    slugs,
    works,
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What each probe has to be, wherever it is: connected, public, working, and what the campaign says."""

    wanted: VantagePoints
    families: Set[int]

    def filters(self) -> dict[str, Any]:
        """Return those that the API can test."""
        filters: dict[str, Any] = {"status": CONNECTED, "is_public": True}
        if self.wanted.anchors is not Anchors.IN:
            filters["is_anchor"] = self.wanted.anchors is Anchors.ONLY
        return filters

    def met_by(self, probe: Probe) -> bool:
        """Tell whether a probe meets all of them."""
        wanted, tags = self.wanted, slugs(probe)
        usable = [af for af in self.families if works(probe, af)]
        return (
            is_connected(probe)
            and probe.get("is_public") is not False
            and len(usable) >= (len(self.families) if wanted.every_family else 1)
            and tags.issuperset(wanted.include_tags)
            and tags.isdisjoint(wanted.exclude_tags)
            and (wanted.anchors is Anchors.IN or bool(probe.get("is_anchor")) is (wanted.anchors is Anchors.ONLY))
            and (wanted.unstable or all(is_stable(probe, af) for af in usable))
        )


@dataclass(frozen=True, slots=True)
class Sources:
    """Whence probes may come. `members` are those of the measurements that the campaign names."""

    countries: frozenset[str]
    asns: frozenset[int]
    networks: tuple[Network, ...]
    members: frozenset[int]
    band: Band | None
    everywhere: bool

    @classmethod
    def of(cls, wanted: VantagePoints, members: frozenset[int] = frozenset()) -> Sources:
        """Read them out of a campaign; the area counts only where nothing else is named. Raises UnknownName."""
        codes = {_country(code) for code in wanted.countries}
        codes.update(code for region in wanted.regions for code in REGIONS[_known(region, tuple(REGIONS), "region")])
        area = None if is_named(wanted) else _area(wanted.area)
        if area in CONTINENTS:
            codes.update(CONTINENTS[area].split())
        return cls(
            countries=frozenset(codes),
            asns=frozenset(wanted.asns),
            networks=tuple(ipaddress.ip_network(prefix, strict=False) for prefix in wanted.prefixes),
            members=members,
            band=BANDS.get(area or ""),
            everywhere=area == EVERYWHERE,
        )

    def filters(self, af: int) -> Iterator[dict[str, Any]]:
        """Yield what to ask the API for, in an address family; the members are asked for by their ids instead."""
        if self.everywhere or self.networks:
            yield {}
            return
        if self.band is not None:
            yield _edges(self.band)
        if self.countries:
            yield {"country_code__in": sorted(self.countries)}
        if self.asns:
            yield {f"asn_v{af}__in": sorted(self.asns)}

    def describe(self, probe: Probe, families: Set[int]) -> bool:
        """Tell whether a probe comes from one of them. Its AS is that of a family in which it is asked."""
        return (
            self.everywhere
            or country(probe) in self.countries
            or probe["id"] in self.members
            or any(asn(probe, af) in self.asns for af in families if works(probe, af))
            or is_within(probe, self.networks)
            or self._lies_in_band(probe)
        )

    def _lies_in_band(self, probe: Probe) -> bool:
        where = place(probe)
        return self.band is not None and where is not None and self.band.holds(*where)


def is_named(wanted: VantagePoints) -> bool:
    """Tell whether any source is named, so that the area does not count."""
    others = (wanted.regions, wanted.countries, wanted.asns, wanted.prefixes, wanted.ids, wanted.measurements)
    return any(others)


def tags_for(wanted: VantagePoints, af: int) -> list[str]:
    """Return the tags that a probe needs to be asked in an address family."""
    return [WORKS[af], *wanted.include_tags]


def _edges(band: Band) -> dict[str, float]:
    edges = {
        "longitude__gte": band.west,
        "longitude__lt": band.east,
        "latitude__gte": band.south,
        "latitude__lt": band.north,
    }
    ends = (180, 180, 90, 90)
    return {name: edge for (name, edge), end in zip(edges.items(), ends, strict=True) if abs(edge) < end}


def _area(name: str) -> str:
    same = next((area for area in AREAS if area.lower() == name.lower()), None)
    return _known(name, AREAS, "area") if same is None else same


def _known(name: str, known: tuple[str, ...], what: str) -> str:
    if name not in known:
        there_are = f"there are {', '.join(known)}"
        raise UnknownName(f"there is no {what} '{name}': {hint(name, known, there_are)}")
    return name


def _country(code: str) -> str:
    if code.upper() not in CONTINENT_OF:
        raise UnknownName(f"there is no country '{code}': give the two letters of ISO 3166, such as NL")
    return code.upper()
