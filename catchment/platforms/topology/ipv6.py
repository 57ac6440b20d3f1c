"""Which links of the generated world carry one family only: fewer networks peer over IPv6, and some buy less of it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from catchment.platforms.topology.elements import Link, Network, Relation

_PEERINGS_WITHOUT = 0.2  # the share of pairs of networks that peer over IPv4 only
_CUSTOMERS_WITHOUT = 0.35  # the share of networks with several providers of which one sells them no IPv6


def with_families(draw: random.Random, links: Sequence[Link], networks: Sequence[Network]) -> list[Link]:
    """Return the links, those of some pairs of networks for IPv4 only, and a few for IPv6 only.

    Two of the networks that buy from nobody do not peer over IPv6, as Cogent and Hurricane Electric do not since 2009.
    Every network that buys keeps a provider for IPv6, and its customers' traffic a way to all others: who would have
    only one of the two above it buys IPv6 of a third. (That is how the one of the real two wins its customers.)
    """
    bought, peered = _pairs(links, Relation.PROVIDER), _pairs(links, Relation.PEER)
    providers: defaultdict[int, list[int]] = defaultdict(list)
    for near, far in bought:
        providers[near].append(far)
    tier_1 = [network for network in networks if network.asn not in providers]
    among = [pair for pair in peered if not providers.keys() & set(pair)]
    apart = draw.choice(among) if among else ()
    without = {pair for pair in peered if pair not in among and draw.random() < _PEERINGS_WITHOUT} | {apart}
    for near, sellers in providers.items():
        if len(sellers) > 1 and draw.random() < _CUSTOMERS_WITHOUT:
            without.add((near, draw.choice(sellers)))
    found = [replace(link, af=4) if (link.near, link.far) in without else link for link in links]
    above = {near: [far for far in sellers if (near, far) not in without] for near, sellers in providers.items()}
    for network in networks:
        top = _top(network.asn, above)
        if network.asn in providers and len(top) == 1 and top < set(apart):
            third = _from_a_third(draw, network, [net for net in tier_1 if net.asn not in apart])
            found.append(third)
            above[network.asn].append(third.far)
    return found


def _pairs(links: Iterable[Link], relation: Relation) -> list[tuple[int, int]]:
    return list(dict.fromkeys((link.near, link.far) for link in links if link.relation is relation))


def _top(asn: int, above: dict[int, list[int]]) -> set[int]:
    """Return the networks without providers to which a network's providers lead."""
    if asn not in above:
        return {asn}
    return set().union(*(_top(provider, above) for provider in above[asn]))


def _from_a_third(draw: random.Random, network: Network, sellers: Sequence[Network]) -> Link:
    seller = draw.choice([net for net in sellers if set(net.places) & set(network.places)] or sellers)
    here = next((town for town in network.places if town in seller.places), None)
    near, far = (network.places[0], seller.places[0]) if here is None else (here, here)
    return Link(near=network.asn, far=seller.asn, relation=Relation.PROVIDER, near_place=near, far_place=far, af=6)
