"""Put an anycast service of a service file into an Internet: at each site's town, behind networks that are there."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

from catchment.errors import InvalidFile, UnknownName
from catchment.geo import CONTINENT_OF, arc_km
from catchment.model import AddressFamily, Service, Site
from catchment.platforms.topology.elements import (
    AnycastService,
    AnycastSite,
    Network,
    Place,
    Relation,
    Topology,
    Upstream,
)
from catchment.platforms.topology.naming import made_identity
from catchment.platforms.topology.towns import airport_town, weighted_sample

# RFC 6996 keeps 4200000000 to 4294967294 for private use.
_FIRST_ASN = 4_200_000_000
_ASNS = 94_967_295

_HOUSE_CARRIERS = 6  # the networks from which an operator likes to buy, where they are
_CONTRACT = 0.85  # how often it has a contract with one of them that is there
_MOST_BOUGHT = 4
_FROM_ANOTHER = 0.1  # a site without any of them buys from another, or it peers only
_MOST_PEERS = 4
_AROUND_KM = 2000
_AT_EXCHANGE_KM = 250  # from where a site is brought to an exchange by a cable of its own
_TOWN_KM = 100  # an airport is no farther from its town
_REGIONAL = 0.5  # how often a site elsewhere buys from a regional carrier that knows the service already
_PEERS_WITHOUT_IPV6 = 0.2


def host(topology: Topology, service: Service, *, seed: int = 1) -> Topology:
    """Return the topology with the service in it: every site of its file that is active now and has coordinates.

    The same seed and service name give the same hosting. Raises InvalidFile where the topology holds the service
    already or nothing to host it in, and where a site has no identity and none can be made.
    """
    if any(hosted.name == service.name for hosted in topology.services):
        raise InvalidFile(f"topology '{topology.name}' holds a service '{service.name}' already: rename one of the two")
    draw = _draw(seed, service.name)
    operator = _Operator(topology, draw)
    placed = [
        (site, site.latitude, site.longitude)
        for site in service.sites
        if site.until is None and site.latitude is not None and site.longitude is not None
    ]
    # Those at exchanges come first: the others buy from whom the service buys already.
    order = sorted(placed, key=lambda entry: not operator.is_at_exchange(*entry[1:]))
    sites = {site.code: _hosted(operator, draw, service, site, *where) for site, *where in order}
    hosted = AnycastService(
        name=service.name,
        asn=_free_asn(topology, service.name),
        addresses=tuple(entry.address for entry in service.addresses if entry.until is None),
        answers=service.answers,
        sites=tuple(sites[site.code] for site, _, _ in placed),
    )
    return replace(topology, services=(*topology.services, hosted))


def add_site(topology: Topology, service_name: str, town_code: str, *, seed: int = 1) -> AnycastSite:
    """Return a further site for a hosted service, in a town named by its IATA code; the topology stays as it is.

    It is behind networks from which the service buys elsewhere, and its servers are named as the others are. Raises
    UnknownName where there is no such service or town, and InvalidFile where the service has a site in that town.
    """
    service = next((hosted for hosted in topology.services if hosted.name == service_name), None)
    if service is None:
        known = ", ".join(hosted.name for hosted in topology.services) or "none"
        raise UnknownName(f"topology '{topology.name}' has no service '{service_name}': there are {known}")
    places = {place.code.upper(): place for place in topology.places}
    town = places.get(town_code.upper()) or airport_town(town_code)
    if town is None:
        raise UnknownName(f"there is no town '{town_code}': name one by the IATA code of its airport, such as FRA")
    for site in service.sites:
        if _town_of(site, (*topology.places, town)) == (town.country, town.town):
            raise InvalidFile(
                f"service '{service_name}' has a site in {town.town} already: '{site.code}': announce that one, "
                "or name another town"
            )
    operator = _Operator(topology, _draw(seed, f"{service_name} {town_code.lower()}"), service)
    place, upstreams = operator.upstreams(town.latitude, town.longitude)
    return AnycastSite(
        code=town_code.lower(),
        place=place,
        latitude=town.latitude,
        longitude=town.longitude,
        identities=_renamed(service, town, town_code.lower()),
        upstreams=upstreams,
    )


class _Operator:
    """Who runs a service and chooses, site by site, through which networks of a topology it announces."""

    def __init__(self, topology: Topology, draw: random.Random, service: AnycastService | None = None) -> None:
        if not any(network.places for network in topology.networks):
            raise InvalidFile(f"topology '{topology.name}' has no networks to host a service in: add some")
        sellers = {link.far for link in topology.links if link.relation is Relation.PROVIDER}
        buyers = {link.near for link in topology.links if link.relation is Relation.PROVIDER}
        self._draw = draw
        self._places = {place.code: place for place in topology.places}
        self._carriers = [net for net in topology.networks if net.asn in sellers or net.asn not in buyers]
        self._buyers = [net for net in topology.networks if net.asn in buyers]
        self._access = [net for net in self._buyers if net.asn not in sellers] or list(topology.networks)
        meetings = [link for link in topology.links if link.relation is Relation.PEER]
        self._exchanges = {place for link in meetings for place in (link.near_place, link.far_place)} or {*self._places}
        self._contracts = [
            (upstream.asn, upstream.place)
            for site in (() if service is None else service.sites)
            for upstream in site.upstreams
            if upstream.relation is Relation.PROVIDER and not site.local
        ]
        if service is None:
            wide = sorted(self._carriers, key=lambda net: -len(net.places))[: 2 * _HOUSE_CARRIERS]
            self._house = {net.asn for net in draw.sample(wide, min(len(wide), _HOUSE_CARRIERS))}
        else:
            self._house = {asn for asn, _ in self._contracts}

    def upstreams(self, latitude: float, longitude: float) -> tuple[str, tuple[Upstream, ...]]:
        """Return a place near a site, and networks there: providers and peers.

        Only at an exchange a site buys from the house carriers, which are worldwide: one in an odd town would draw
        their customers there from all the world. Elsewhere it peers, or buys from a carrier of its region.
        """
        at_exchange = self.is_at_exchange(latitude, longitude)
        needed = self._carriers if at_exchange or not self._contracts else self._access
        place = self._nearest(needed, latitude, longitude)
        there = [net for net in self._carriers if place in net.places]
        if at_exchange:
            bought = self._bought_from_house(there, place)
            if not bought and self._draw.random() < _FROM_ANOTHER:
                bought = self._some_around(there, place, 1)
            meeting = self._buyers
        else:
            bought = self._bought_around(there, place)
            meeting = self._access
        peers = [net for net in meeting if place in net.places and net not in bought]
        met = self._some_around(peers, place, self._draw.randint(0 if bought else 1, _MOST_PEERS))
        if not bought and not (met and self._contracts):  # who only peers is heard of by few: one site at least buys
            bought = self._some_around(there, place, 1)
            met = [net for net in met if net not in bought]
        self._contracts += [(net.asn, place) for net in bought]
        sold = [Upstream(asn=net.asn, relation=Relation.PROVIDER, place=place) for net in bought]
        peered = [Upstream(asn=net.asn, relation=Relation.PEER, place=place, af=self._family()) for net in met]
        return place, (*sold, *peered)

    def local_upstreams(self, country: str, latitude: float, longitude: float) -> tuple[str, tuple[Upstream, ...]]:
        """Return the place nearest to a local site with access networks of its country, and one or two of them."""
        at_home = [net for net in self._access if self._places[net.places[0]].country == country] or self._access
        place = self._nearest(at_home, latitude, longitude)
        there = [net for net in at_home if place in net.places]
        chosen = self._draw.sample(there, min(len(there), self._draw.randint(1, 2)))
        return place, tuple(Upstream(asn=net.asn, relation=Relation.PROVIDER, place=place) for net in chosen)

    def _bought_from_house(self, there: Sequence[Network], place: str) -> list[Network]:
        """Return the preferred carriers at a place, those first from which no site around buys yet.

        A carrier that knew the service in one town only would bring customers from all the world there.
        """
        offers = [net for net in there if net.asn in self._house and self._draw.random() < _CONTRACT]
        self._draw.shuffle(offers)
        offers.sort(key=lambda net: sum(asn == net.asn and self._is_around(place, at) for asn, at in self._contracts))
        return offers[:_MOST_BOUGHT]

    def _family(self) -> AddressFamily | None:
        """Draw whether a peer is one for IPv4 only."""
        return 4 if self._draw.random() < _PEERS_WITHOUT_IPV6 else None

    def _bought_around(self, there: Sequence[Network], place: str) -> list[Network]:
        """Return one of the regional carriers at a place from which a site around buys, or none."""
        known = {asn for asn, at in self._contracts if self._is_around(place, at)}
        offers = [net for net in there if net.asn in known and self._is_regional(net, place)]
        return [self._draw.choice(offers)] if offers and self._draw.random() < _REGIONAL else []

    def _is_regional(self, network: Network, place: str) -> bool:
        """Tell whether most of a carrier's routers are on the continent of a place."""
        home = CONTINENT_OF.get(self._places[place].country)
        return network in self._buyers and 2 * sum(
            CONTINENT_OF.get(self._places[at].country) == home for at in network.places
        ) > len(network.places)

    def is_at_exchange(self, latitude: float, longitude: float) -> bool:
        """Tell whether a site is brought to an exchange: to a place, not far away, where networks peer."""
        place = self._places[self._nearest(self._carriers, latitude, longitude)]
        return (
            place.code in self._exchanges
            and arc_km(latitude, longitude, place.latitude, place.longitude) < _AT_EXCHANGE_KM
        )

    def _some_around(self, networks: Sequence[Network], place: str, count: int) -> list[Network]:
        """Draw some of the networks: rather those with most of their routers around a place."""
        weights = [0.02 + sum(self._is_around(place, at) for at in net.places) / len(net.places) for net in networks]
        return weighted_sample(self._draw, networks, weights, count)

    def _is_around(self, place: str, other: str) -> bool:
        here, there = self._places[place], self._places[other]
        return arc_km(here.latitude, here.longitude, there.latitude, there.longitude) < _AROUND_KM

    def _nearest(self, networks: Sequence[Network], latitude: float, longitude: float) -> str:
        def distance_km(code: str) -> float:
            return arc_km(latitude, longitude, self._places[code].latitude, self._places[code].longitude)

        return min(sorted({code for net in networks for code in net.places}), key=distance_km)


def _hosted(
    operator: _Operator, draw: random.Random, service: Service, site: Site, latitude: float, longitude: float
) -> AnycastSite:
    local = site.scope == "local"
    place, upstreams = (
        operator.local_upstreams(site.country, latitude, longitude)
        if local
        else operator.upstreams(latitude, longitude)
    )
    return AnycastSite(
        code=site.code,
        place=place,
        latitude=latitude,
        longitude=longitude,
        identities=site.identities or _made_identities(draw, service, site),
        upstreams=upstreams,
        local=local,
    )


def _draw(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}/{name}")  # noqa: S311  (a hosting that can be made again, no secret)


def _town_of(site: AnycastSite, places: Sequence[Place]) -> tuple[str, str] | None:
    """Return the country and name of the town in which a site stands, None where it is far from all known ones."""

    def distance_km(place: Place) -> float:
        return arc_km(site.latitude, site.longitude, place.latitude, place.longitude)

    nearest = min(places, key=distance_km)
    return (nearest.country, nearest.town) if distance_km(nearest) < _TOWN_KM else None


def _free_asn(topology: Topology, name: str) -> int:
    taken = {network.asn for network in topology.networks} | {service.asn for service in topology.services}
    offset = zlib.crc32(name.encode())
    return next(asn for step in range(_ASNS) if (asn := _FIRST_ASN + (offset + step) % _ASNS) not in taken)


def _made_identities(draw: random.Random, service: Service, site: Site) -> tuple[str, ...]:
    servers = range(1, draw.choice((1, 2, 2, 3)) + 1)
    made = [made_identity(service.patterns, (site.code, *site.codes), server) for server in servers]
    known = tuple(dict.fromkeys(text for text in made if text is not None))
    if not known:
        raise InvalidFile(
            f"service '{service.name}': no identity for site '{site.code}' follows from 'patterns': "
            "publish its 'identities' in the service file"
        )
    return known


def _renamed(service: AnycastService, town: Place, code: str) -> tuple[str, ...]:
    """Return the names of a new site's servers: another site's, with the new code in the place of its own."""
    for site in service.sites:
        own = re.compile(rf"(?<![a-z]){re.escape(site.code)}(?![a-z])", re.IGNORECASE)
        # Some operators' codes hold the country before the town: de-fra.
        new = f"{town.country.lower()}-{code}" if re.fullmatch(r"[a-z]{2}-[a-z]{3}", site.code) else code
        if all(own.search(identity) for identity in site.identities):
            return tuple(own.sub(new, identity, count=1) for identity in site.identities)
    return (f"{service.name}-{code}",)
