"""BGP as a crowd of routers that act in any order: which stable outcomes there are. Small, slow, and plain.

Where everybody follows Gao and Rexford's rules there is one. A leak breaks them, and then there may be two, and which
one comes about depends on what was there before and on who is quicker (RFC 4264).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from catchment.model import AddressFamily
from catchment.platforms.sandbox.internet.routing import Announcement
from catchment.platforms.topology.elements import Relation, Topology

Held = tuple[int, int, tuple[int, ...], str, bool]
"""From whom (0: a customer, 1: a peer, 2: a provider), length, AS path, site, and whether it must not be told on."""
Outcome = dict[int, Held]

_MOST_ACTS = 200  # for each network


def outcome(
    topology: Topology,
    told: Sequence[Announcement],
    leakers: frozenset[int],
    *,
    af: AddressFamily,
    draw: random.Random,
    start: Outcome,
) -> Outcome | None:
    """Let networks act in an order drawn by chance until nobody changes any more; None: they never come to rest."""
    held = dict(start)
    neighbours = _neighbours(topology, af)
    asns = [network.asn for network in topology.networks]
    for _ in range(_MOST_ACTS):
        is_at_rest = True
        for asn in draw.sample(asns, len(asns)):
            heard = [*_announced(asn, told, af), *_heard(asn, neighbours[asn], held, leakers)]
            best = min(heard, key=lambda route: (route[0], route[1], route[2][:1], route[3]), default=None)
            if best == held.get(asn):
                continue
            is_at_rest = False
            held.pop(asn, None)
            if best is not None:
                held[asn] = best
        if is_at_rest:
            return held
    return None


def _neighbours(topology: Topology, af: AddressFamily) -> dict[int, list[tuple[int, int]]]:
    """Return for each network whom it hears, and what they are to it."""
    found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for link in topology.links:
        if link.af in {None, af}:
            is_peer = link.relation is Relation.PEER
            found[link.near].append((link.far, 1 if is_peer else 2))
            found[link.far].append((link.near, 1 if is_peer else 0))
    return found


def _announced(asn: int, told: Sequence[Announcement], af: AddressFamily) -> list[Held]:
    here = [one for one in told if one.upstream.asn == asn and one.upstream.af in {None, af}]
    return [
        (0, 0, (), one.site, one.local)
        if one.origin == asn
        else (
            1 if one.upstream.relation is Relation.PEER else 0,
            1 + one.upstream.prepend,
            (one.origin,),
            one.site,
            one.local,
        )
        for one in here
    ]


def _heard(asn: int, neighbours: list[tuple[int, int]], held: Outcome, leakers: frozenset[int]) -> list[Held]:
    heard = []
    for other, rank in neighbours:
        if other not in held:
            continue
        whence, length, path, site, is_silent = held[other]
        if is_silent or asn in path or (whence != 0 and rank != 2 and other not in leakers):
            continue
        heard.append((rank, length + 1, (other, *path), site, False))
    return heard
