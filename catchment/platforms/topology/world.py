"""The default world, from a seed: tier-1, transit and access networks at real towns, linked as real ones are.

Tier-1 networks are everywhere and peer with each other in a few towns only; transit networks serve a region and reach
out to a hub elsewhere; access networks buy from one to three of these, some only far away. Routes that prefer
customers, then peers, then short AS paths know nothing of kilometres, so catchments come out as odd as real ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import combinations

from catchment.platforms.topology.elements import Link, Network, Relation, Topology
from catchment.platforms.topology.ipv6 import with_families
from catchment.platforms.topology.towns import Country, Region, between_km, earth, weighted_sample
from catchment.platforms.topology.vantage_points import interceptors_of, populate

# Documentation (RFC 5398) and private (RFC 6996) AS numbers only, so that no real network is blamed for anything.
_TIER_1_ASN = 64496
_TRANSIT_ASN = 64512
_ACCESS_ASN = 64700
_TIER_1_NETWORKS = 12
_ACCESS_NETWORKS = 340

_PEERING_AT_HOME = 0.35  # the share of pairs of transit networks of one region that peer
_PEERING_ABROAD = 0.12
_AT_EXCHANGE = 0.35  # the share of access networks that take part in an exchange of their town
_PEERING_OF_ACCESS = 0.15  # with each of the transit networks there
_TIER_1_ATTRACTION = 0.8  # a transit network of the own region in a common town has 4
_FOREIGN_ATTRACTION = 0.15


def make_world(seed: int = 1, *, vantage_points: int = 1100) -> Topology:
    """Return an Internet without services: more than 400 networks and as many vantage points as asked for.

    The same seed gives the same world. All towns are real, all networks invented.
    """
    draw = random.Random(seed)  # noqa: S311  (a world that can be made again, no secret)
    tier_1 = _tier_1_networks(draw)
    transits = _transit_networks(draw)
    access = _access_networks(draw)
    carriers = [*tier_1, *(network for _, network in transits)]
    links = [
        *_mesh(draw, tier_1),
        *(link for _, network in transits for link in _uplinks_of_transit(draw, network, tier_1)),
        *_peerings(draw, transits),
        *(link for region, network in access for link in _uplinks_of_access(draw, region, network, carriers)),
    ]
    bought = {(link.near, link.far) for link in links}
    links += [link for _, network in access for link in _exchange_peerings(draw, network, transits, bought)]
    networks = (*carriers, *(network for _, network in access))
    links = with_families(draw, links, networks)
    populated = populate(draw, [network for _, network in access], networks, vantage_points)
    return Topology(
        name=f"world-{seed}",
        places=tuple(earth().places.values()),
        networks=networks,
        links=tuple(links),
        vantage_points=populated,
        interceptors=interceptors_of(draw, populated),
    )


def _tier_1_networks(draw: random.Random) -> list[Network]:
    networks = []
    for number in range(_TIER_1_NETWORKS):
        towns = tuple(town for town, share in earth().exchanges.items() if draw.random() < share)
        networks.append(Network(asn=_TIER_1_ASN + number, name=f"Tier-1 {number + 1:02}", places=towns))
    return networks


def _transit_networks(draw: random.Random) -> list[tuple[Region, Network]]:
    """Return the transit networks; each country's first town has a router of one at least."""
    found: list[tuple[Region, list[str]]] = []
    for region in earth().regions:
        homes = [_transit_towns(draw, region) for _ in range(region.transits)]
        for country in region.countries:
            if not any(country.towns[0] in towns for towns in homes):
                draw.choice(homes).append(country.towns[0])
        found += [(region, towns) for towns in homes]
    return [
        (region, Network(asn=_TRANSIT_ASN + at, name=f"Transit {at + 1:02} ({region.name})", places=tuple(towns)))
        for at, (region, towns) in enumerate(found)
    ]


def _transit_towns(draw: random.Random, region: Region) -> list[str]:
    home = weighted_sample(draw, region.countries, [math.sqrt(country.probes) for country in region.countries], 1)[0]
    nearness = [math.exp(-between_km(home.towns[0], town) / 800) for town in region.towns]
    near = weighted_sample(draw, region.towns, nearness, draw.randint(3, 8))
    towns = dict.fromkeys((home.towns[0], *near, *draw.sample(region.far, draw.randint(1, 2))))
    return list(towns)


def _access_networks(draw: random.Random) -> list[tuple[Region, Network]]:
    """Return the access networks: many in countries with many vantage points, one at least in each."""
    homes = [(region, country) for region in earth().regions for country in region.countries]
    sizes = [math.sqrt(country.probes) for _, country in homes]
    counts = [max(1, round(_ACCESS_NETWORKS * size / sum(sizes))) for size in sizes]
    networks: list[tuple[Region, Network]] = []
    for (region, country), count in zip(homes, counts, strict=True):
        for number in range(count):
            name = f"{country.code} Access {number + 1}"
            towns = _access_towns(draw, country)
            networks.append((region, Network(asn=_ACCESS_ASN + len(networks), name=name, places=towns)))
    return networks


def _access_towns(draw: random.Random, country: Country) -> tuple[str, ...]:
    """Return one to six towns, the larger ones more often; the order is the country's."""
    sizes = [1 / (1 + rank) for rank in range(len(country.towns))]
    chosen = weighted_sample(draw, country.towns, sizes, min(len(country.towns), draw.choice((1, 1, 2, 2, 3, 4, 6))))
    return tuple(town for town in country.towns if town in chosen)


def _mesh(draw: random.Random, tier_1: Sequence[Network]) -> list[Link]:
    """Return the peerings of all tier-1 networks with each other, in a few of the towns that two have in common."""
    links = []
    for one, other in combinations(tier_1, 2):
        common = [town for town in one.places if town in other.places]
        towns = sorted(draw.sample(common, min(len(common), draw.randint(4, 9))))
        links += [_link(one, other, Relation.PEER, town, town) for town in towns]
    return links


def _uplinks_of_transit(draw: random.Random, network: Network, tier_1: Sequence[Network]) -> list[Link]:
    wanted = [0.1 + sum(town in network.places for town in provider.places) for provider in tier_1]
    return [
        link
        for provider in weighted_sample(draw, tier_1, wanted, draw.choice((2, 2, 3)))
        for link in _cables(draw, network, provider, Relation.PROVIDER, at_most=3)
    ]


def _peerings(draw: random.Random, transits: Sequence[tuple[Region, Network]]) -> list[Link]:
    links = []
    for (region, one), (other_region, other) in combinations(transits, 2):
        common = [town for town in one.places if town in other.places and town in earth().exchanges]
        share = _PEERING_AT_HOME if region is other_region else _PEERING_ABROAD
        if common and draw.random() < share:
            links += [_link(one, other, Relation.PEER, town, town) for town in common[:3]]
    return links


def _uplinks_of_access(
    draw: random.Random, region: Region, network: Network, carriers: Sequence[Network]
) -> list[Link]:
    if draw.random() < region.abroad:
        return _uplinks_abroad(draw, region, network, carriers)
    wanted = [_attraction(network, provider, region) for provider in carriers]
    return [
        link
        for provider in weighted_sample(draw, carriers, wanted, draw.choice((1, 1, 1, 2, 2, 2, 3)))
        for link in _cables(draw, network, provider, Relation.PROVIDER, at_most=3)
    ]


def _attraction(network: Network, provider: Network, region: Region) -> float:
    """Return how likely an access network buys from a carrier: rather one of its region, in its own towns."""
    common = sum(town in network.places for town in provider.places)
    if region.name in provider.name:
        return 3.0 + common if common else 0.02
    return 0.0 if common == 0 else _TIER_1_ATTRACTION if provider.asn < _TRANSIT_ASN else _FOREIGN_ATTRACTION


def _uplinks_abroad(draw: random.Random, region: Region, network: Network, carriers: Sequence[Network]) -> list[Link]:
    hub = draw.choice(region.far)
    sellers = [carrier for carrier in carriers if hub in carrier.places and region.name not in carrier.name]
    return [
        _link(network, provider, Relation.PROVIDER, network.places[0], hub)
        for provider in draw.sample(sellers, min(len(sellers), draw.choice((1, 1, 2))))
    ]


def _exchange_peerings(
    draw: random.Random,
    network: Network,
    transits: Sequence[tuple[Region, Network]],
    bought: set[tuple[int, int]],
) -> list[Link]:
    links = []
    for town in network.places:
        if town in earth().exchanges and draw.random() < _AT_EXCHANGE:
            for _, transit in transits:
                there = town in transit.places and (network.asn, transit.asn) not in bought
                if there and draw.random() < _PEERING_OF_ACCESS:
                    links.append(_link(network, transit, Relation.PEER, town, town))
    return links


def _cables(draw: random.Random, near: Network, far: Network, relation: Relation, *, at_most: int) -> list[Link]:
    """Return links in towns that both networks have in common, the near one's first of them included.

    Where there is none, it is one link between their nearest towns.
    """
    common = [town for town in near.places if town in far.places]
    if not common:
        pairs = [(here, there) for here in near.places for there in far.places]
        here, there = min(pairs, key=lambda pair: between_km(*pair))
        return [_link(near, far, relation, here, there)]
    further = draw.sample(common[1:], min(len(common) - 1, draw.randint(0, at_most - 1)))
    return [_link(near, far, relation, town, town) for town in (common[0], *further)]


def _link(near: Network, far: Network, relation: Relation, near_place: str, far_place: str) -> Link:
    return Link(near=near.asn, far=far.asn, relation=relation, near_place=near_place, far_place=far_place)
