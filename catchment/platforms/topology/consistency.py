"""What contradicts itself in a topology that a person wrote, or what is asked of it."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence

from catchment.errors import InvalidFile
from catchment.geo import on_earth
from catchment.model import AddressFamily, Target
from catchment.platforms.topology.elements import (
    AnycastService,
    AnycastSite,
    Network,
    Relation,
    Topology,
    Trouble,
    VantagePoint,
)


def contradictions(topology: Topology) -> Iterator[str]:
    """Yield what is wrong in a topology, one line each: the key, the entry, and what to do."""
    codes = {place.code for place in topology.places}
    networks = {network.asn: network for network in topology.networks}
    yield from _twice("places", "place", (place.code for place in topology.places))
    yield from _twice("networks", "AS", (network.asn for network in topology.networks))
    yield from _twice("vantage_points", "id", (vantage.id for vantage in topology.vantage_points))
    yield from _twice("services", "name", (service.name for service in topology.services))
    yield from _twice("services", "AS", [*networks, *(service.asn for service in topology.services)])
    yield from _twice("services", "address", _addresses(topology))
    for place in topology.places:
        if not on_earth(place.latitude, place.longitude):
            yield f"key 'places': {place.code} is not on Earth: mend its latitude or longitude"
    yield from _of_networks(topology, codes)
    yield from _of_links(topology, networks)
    for service in topology.services:
        yield from _of_service(service, codes, networks)
    for vantage in topology.vantage_points:
        yield from _of_vantage_point(vantage, codes, networks)
    yield from _of_interceptors(topology)
    # One may sell the other IPv4 and buy IPv6 of it: only within a family is that a circle.
    circle = _circle_of_providers(topology, 4) or _circle_of_providers(topology, 6)
    if circle:
        names = " → ".join(f"AS {asn}" for asn in circle)
        yield f"key 'links': {names} are each other's providers in a circle: turn one of these links round"


def check_targets(topology: Topology, targets: Sequence[Target]) -> None:
    """Raise InvalidFile where a target is no address of the service of its name in the topology."""
    addresses = {service.name: service.addresses for service in topology.services}
    for target in targets:
        known = addresses.get(target.service or "", ())
        if target.address not in known:
            raise InvalidFile(
                f"in the topology '{topology.name}' {target.address} is no address of '{target.service}', which has "
                f"{', '.join(known) or 'none'}: mend the topology or the service"
            )


def _twice(key: str, what: str, values: Iterable[Hashable]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"key '{key}': the {what} {value} is there {count} times: keep one, or give the other a new one"


def _of_networks(topology: Topology, codes: set[str]) -> Iterator[str]:
    for network in topology.networks:
        if not network.places:
            yield f"key 'networks': AS {network.asn} has no places: name at least one"
        for code in network.places:
            if code not in codes:
                yield f"key 'networks': AS {network.asn}: there is no place '{code}': add it to 'places'"


def _of_links(topology: Topology, networks: dict[int, Network]) -> Iterator[str]:
    for number, link in enumerate(topology.links, start=1):
        here = f"key 'links': number {number} (AS {link.near} to AS {link.far})"
        if link.near == link.far:
            yield f"{here} ends where it begins: name two networks"
        yield from _delay(here, link.delay_ms)
        for asn, code in ((link.near, link.near_place), (link.far, link.far_place)):
            yield from _router(here, asn, code, networks)


def _delay(here: str, delay_ms: float | None) -> Iterator[str]:
    if delay_ms is not None and delay_ms < 0:
        yield f"{here} has a negative delay_ms: leave it out, and the distance decides"


def _router(here: str, asn: int, code: str, networks: dict[int, Network]) -> Iterator[str]:
    """Yield what is wrong where something is connected to a network at a place."""
    if asn not in networks:
        yield f"{here}: there is no AS {asn}: add it to 'networks'"
    elif code not in networks[asn].places:
        yield f"{here}: AS {asn} has no router in '{code}': add the place to the network, or name one of its places"


def _of_service(service: AnycastService, codes: set[str], networks: dict[int, Network]) -> Iterator[str]:
    here = f"key 'services': {service.name}"
    for address in service.addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield f"{here}: '{address}' is not an IPv4 or IPv6 address"
    for code, count in Counter(site.code for site in service.sites).items():
        if count > 1:
            yield f"{here}: the site '{code}' is there {count} times: give each its own code"
    for site in service.sites:
        yield from _of_site(f"{here}: site '{site.code}'", site, codes, networks)


def _of_site(here: str, site: AnycastSite, codes: set[str], networks: dict[int, Network]) -> Iterator[str]:
    if site.place not in codes:
        yield f"{here}: there is no place '{site.place}': add it to 'places'"
    if not on_earth(site.latitude, site.longitude):
        yield f"{here} is not on Earth: mend its latitude or longitude"
    if not site.identities:
        yield f"{here} has no servers: name at least one in 'identities'"
    if site.announced and not site.upstreams:
        yield f"{here} has no upstreams: name a network through which it announces, or set announced = false"
    for upstream in site.upstreams:
        yield from _router(here, upstream.asn, upstream.place, networks)
        yield from _delay(here, upstream.delay_ms)
        if upstream.prepend < 0:
            yield f"{here}: 'prepend' is negative: 0 is the shortest"


def _of_vantage_point(vantage: VantagePoint, codes: set[str], networks: dict[int, Network]) -> Iterator[str]:
    here = f"key 'vantage_points': {vantage.id}"
    if vantage.place not in codes:
        yield f"{here}: there is no place '{vantage.place}': add it to 'places'"
    for asn in (vantage.asn, vantage.second_asn):
        if asn is not None and asn not in networks:
            yield f"{here}: there is no AS {asn}: add it to 'networks'"
    if not on_earth(vantage.latitude, vantage.longitude):
        yield f"{here} is not on Earth: mend its latitude or longitude"
    if vantage.last_mile_ms < 0:
        yield f"{here} has a negative last_mile_ms: 0 is the shortest"
    said = vantage.said_latitude, vantage.said_longitude
    if (said[0] is None) != (said[1] is None):
        yield f"{here}: said_latitude and said_longitude go together: give both or none"
    if said[0] is not None and said[1] is not None and not on_earth(said[0], said[1]):
        yield f"{here} says that it is not on Earth: mend said_latitude or said_longitude"
    if vantage.placeless and (*said, vantage.said_country) != (None, None, None):
        yield f"{here} is placeless, and yet says where it is: leave out placeless or what begins with said_"
    if vantage.trouble is Trouble.MISLOCATED and said[0] is None:
        yield f"{here} is mislocated: give said_latitude and said_longitude, where it says it is"
    if vantage.trouble is Trouble.FLAPPING and vantage.second_asn is None:
        yield f"{here} is flapping: give second_asn, its other upstream network"


def _of_interceptors(topology: Topology) -> Iterator[str]:
    ids = {vantage.id for vantage in topology.vantage_points}
    caught = [vantage for box in topology.interceptors for vantage in box.vantage_points]
    for vantage in caught:
        if vantage not in ids:
            yield f"key 'interceptors': there is no vantage point {vantage}: add it to 'vantage_points'"
    yield from _twice("interceptors", "vantage point", caught)


def _circle_of_providers(topology: Topology, af: AddressFamily) -> list[int]:
    """Return networks of which each is a customer of the next, the first again at the end; empty if there are none."""
    providers: dict[int, list[int]] = {}
    for link in topology.links:
        if link.relation is Relation.PROVIDER and link.af in {None, af}:
            providers.setdefault(link.near, []).append(link.far)
    finished: set[int] = set()
    for start, bought in providers.items():
        # Up from each network, by hand: a chain may be longer than Python likes to recurse.
        way, waiting = [start], [iter(bought)]
        while way:
            above = next((asn for asn in waiting[-1] if asn not in finished), None)
            if above is None:
                finished.add(way.pop())
                waiting.pop()
            elif above in way:
                return [*way[way.index(above) :], above]
            else:
                way.append(above)
                waiting.append(iter(providers.get(above, ())))
    return []


def _addresses(topology: Topology) -> Iterator[str]:
    for service in topology.services:
        for address in service.addresses:
            try:
                yield str(ipaddress.ip_address(address))
            except ValueError:
                yield address
