"""What a lab can play of a topology, and what is to be changed where it cannot."""

from __future__ import annotations

from collections.abc import Iterator

from catchment.errors import InvalidFile
from catchment.platforms.lab.nsd import is_writable
from catchment.platforms.lab.numbering import (
    MOST_HOSTS,
    MOST_NETWORKS,
    MOST_WIRES,
    announced,
    is_taken,
    is_usable,
)
from catchment.platforms.topology.elements import AnycastService, TieBreak, Topology, Trouble, VantagePoint

_MOST_PREPENDED = 100  # a message of BGP has room for some more; hardly a network on the Internet accepts so many
_LONGEST_MS = 1000.0  # one way; with much more, BGP takes its neighbour for dead
_PLAYED = {None, Trouble.MISLOCATED, Trouble.CANNOT_SEND}
_LAST_ASN = (1 << 32) - 2
_LONGEST_ID = 10**13  # a cable is called after it, and the kernel allows 15 characters


def check_lab(topology: Topology) -> None:
    """Make sure that a lab can play a topology. Raises InvalidFile, which names the first thing that it cannot."""
    problem = next(_problems(topology), None)
    if problem is not None:
        raise InvalidFile(f"topology '{topology.name}' is not for a lab: {problem}")


def _problems(topology: Topology) -> Iterator[str]:
    if topology.tie_break is not TieBreak.LOWEST_ID:
        yield f'real routers know no tie_break "{topology.tie_break}": set tie_break = "lowest-id"'
    for network in topology.networks:
        if len(network.places) != 1:
            yield f"AS {network.asn} has {len(network.places)} places: keep one, or make several networks of it"
    asns = [*(network.asn for network in topology.networks), *(service.asn for service in topology.services)]
    for asn in asns:
        if not 0 < asn <= _LAST_ASN:
            yield f"BGP has no AS {asn}: choose a number from 1 to {_LAST_ASN}"
    yield from _sizes(topology, len(asns))
    for vantage in topology.vantage_points:
        yield from _of_vantage_point(vantage)
    for here, delay_ms in _delays(topology):
        if not 0 <= delay_ms <= _LONGEST_MS:
            yield f"{here} takes {delay_ms} ms one way: {_LONGEST_MS:.0f} is the most"
    if topology.interceptors:
        yield "it has no boxes that answer in others' place: remove 'interceptors'"
    for service in topology.services:
        yield from _of_service(service)
    yield from _shared_prefixes(topology)


def _sizes(topology: Topology, networks: int) -> Iterator[str]:
    if networks > MOST_NETWORKS:
        yield f"it has {networks} networks and services: keep {MOST_NETWORKS} at most"
    vantage_points: dict[int, int] = {}
    for vantage in topology.vantage_points:
        vantage_points[vantage.asn] = vantage_points.get(vantage.asn, 0) + 1
    for asn, count in vantage_points.items():
        if count > MOST_HOSTS:
            yield f"AS {asn} has {count} vantage points: keep {MOST_HOSTS} at most"
    for service in topology.services:
        if len(service.sites) > MOST_HOSTS:
            yield f"{service.name} has {len(service.sites)} sites: keep {MOST_HOSTS} at most"
    most = max((_cables_of(service) for service in topology.services), default=0)
    cables = len(topology.links) + len(topology.vantage_points) + len(topology.services) * most
    if cables > MOST_WIRES:
        yield f"it needs {cables} cables: remove links, vantage points or sites until there are {MOST_WIRES} at most"


def _cables_of(service: AnycastService) -> int:
    """Return how many cables a service needs: to the upstream networks of its sites, and to servers of large ones."""
    return sum(len(site.upstreams) + (len(site.identities) > 1) * len(site.identities) for site in service.sites)


def _delays(topology: Topology) -> Iterator[tuple[str, float]]:
    """Yield what the file says of delays: of what, and ms one way."""
    for link in topology.links:
        if link.delay_ms is not None:
            yield f"the link from AS {link.near} to AS {link.far}", link.delay_ms
    for vantage in topology.vantage_points:
        yield f"the last mile of vantage point {vantage.id}", vantage.last_mile_ms / 2
    for service in topology.services:
        for site in service.sites:
            for upstream in site.upstreams:
                if upstream.delay_ms is not None:
                    yield f"{service.name}: the cable from '{site.code}' to AS {upstream.asn}", upstream.delay_ms


def _of_vantage_point(vantage: VantagePoint) -> Iterator[str]:
    here = f"vantage point {vantage.id}"
    if vantage.trouble not in _PLAYED:
        yield f"{here} has the trouble '{vantage.trouble}': leave out trouble, or the vantage point"
    if not vantage.connected:
        yield f"{here} is not connected: remove it"
    if not 0 <= vantage.id < _LONGEST_ID:
        yield f"{here} has an id of too many digits: number vantage points from 1"


def _of_service(service: AnycastService) -> Iterator[str]:
    for address in service.addresses:
        if not is_usable(address):
            yield f"{service.name}: no host can have the address {address}: choose another, as 192.0.2.53"
        elif is_taken(address):
            yield f"{service.name}: {address} is among the addresses of the lab's own routers: choose 192.0.2.53 or so"
    for site in service.sites:
        here = f"{service.name}: site '{site.code}'"
        for identity in site.identities:
            if not is_writable(identity):
                yield f"{here}: NSD cannot answer {identity[:40]!r}: use letters, digits and dots, 255 at most"
        for upstream in site.upstreams:
            if upstream.prepend > _MOST_PREPENDED:
                yield f"{here} prepends {upstream.prepend} times: {_MOST_PREPENDED} is the most"


def _shared_prefixes(topology: Topology) -> Iterator[str]:
    holders: dict[str, str] = {}
    for service in topology.services:
        for address in service.addresses:
            prefix = announced(address)
            holder = holders.setdefault(prefix, service.name)
            if holder != service.name:
                yield f"{holder} and {service.name} are both in {prefix}, one route: move one of them to another prefix"
