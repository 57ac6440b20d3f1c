"""Small Internets in one line of text, for tests whose expectations are worked out by hand."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

from catchment.model import AddressFamily
from catchment.platforms.topology.elements import (
    AnycastService,
    AnycastSite,
    Link,
    Network,
    Place,
    Relation,
    Topology,
    Upstream,
    VantagePoint,
)

PLACES = {
    code: Place(code=code, town=town, country=country, latitude=latitude, longitude=longitude)
    for code, town, country, latitude, longitude in [
        ("AMS", "Amsterdam", "NL", 52.31, 4.76),
        ("FRA", "Frankfurt", "DE", 50.03, 8.57),
        ("LON", "London", "GB", 51.47, -0.45),
        ("NYC", "New York", "US", 40.64, -73.78),
        ("SYD", "Sydney", "AU", -33.95, 151.18),
        ("TYO", "Tokyo", "JP", 35.76, 140.39),
    ]
}

FAMILIES: dict[str, AddressFamily] = {"4": 4, "6": 6}
ADDRESS, ADDRESS_6, ORIGIN = "192.0.2.53", "2001:db8:53::53", 64500


def links_of(text: str) -> tuple[Link, ...]:
    """Read links: `1@FRA>2@LON` (2 is a provider of 1), `1@FRA-2@FRA` (peers).

    `=5` behind one is its delay in ms, `/4` or `/6` the only address family that it carries.
    """
    found = []
    for near, near_place, sign, far, far_place, delay, af in re.findall(
        r"(\d+)@(\w+)([>-])(\d+)@(\w+)(?:=([\d.]+))?(?:/([46]))?", text
    ):
        relation = Relation.PROVIDER if sign == ">" else Relation.PEER
        found.append(
            Link(
                near=int(near),
                far=int(far),
                relation=relation,
                near_place=near_place,
                far_place=far_place,
                delay_ms=float(delay) if delay else None,
                af=FAMILIES.get(af),
            )
        )
    return tuple(found)


def site_of(code: str, upstreams: str, *, prepend: int = 0, **more: Any) -> AnycastSite:
    """Make a site behind upstream networks, such as `3@NYC -4@NYC/6`: 3 sells it transit, 4 is a peer for IPv6."""
    found = [
        Upstream(asn=int(asn), relation=Relation.PEER if sign else Relation.PROVIDER, place=place, af=FAMILIES.get(af))
        for sign, asn, place, af in re.findall(r"(-?)(\d+)@(\w+)(?:/([46]))?", upstreams)
    ]
    home = PLACES[found[0].place]
    given: dict[str, Any] = {
        "place": home.code,
        "latitude": home.latitude,
        "longitude": home.longitude,
        "identities": (f"ns1.{code}.example.net",),
        **more,
    }
    return AnycastSite(code=code, upstreams=tuple(replace(upstream, prepend=prepend) for upstream in found), **given)


def vantage_point(number: int, at: str, **more: Any) -> VantagePoint:
    """Make a vantage point in a network at a place, such as `7@FRA`, without any last mile."""
    asn, code = at.split("@")
    home = PLACES[code]
    given: dict[str, Any] = {
        "latitude": home.latitude,
        "longitude": home.longitude,
        "country": home.country,
        "last_mile_ms": 0.0,
        **more,
    }
    return VantagePoint(id=number, asn=int(asn), place=code, **given)


def small_internet(links: str, *sites: AnycastSite, answers: str = "hostname.bind nsid", **more: Any) -> Topology:
    """Make a topology of links and one service; a network is at every place that a link or site names with it."""
    places: defaultdict[int, set[str]] = defaultdict(set)
    for link in links_of(links):
        places[link.near].add(link.near_place)
        places[link.far].add(link.far_place)
    for site in sites:
        for upstream in site.upstreams:
            places[upstream.asn].add(upstream.place)
    service = AnycastService(
        name="example", asn=ORIGIN, addresses=(ADDRESS, ADDRESS_6), answers=tuple(answers.split()), sites=sites
    )
    return Topology(
        name="small",
        places=tuple(PLACES.values()),
        networks=tuple(Network(asn=asn, name=f"AS {asn}", places=tuple(sorted(places[asn]))) for asn in sorted(places)),
        links=links_of(links),
        services=(service,),
        **more,
    )
