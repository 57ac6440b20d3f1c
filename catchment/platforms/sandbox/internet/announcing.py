"""What BGP hears of a service, and who, where nobody is named, would do most harm to its routes."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from catchment.campaign import Change, ChangeName
from catchment.errors import InvalidFile, UnknownName
from catchment.model import AddressFamily
from catchment.platforms.sandbox.internet.routing import Announcement, Routes, routes
from catchment.platforms.topology.elements import AnycastSite, Relation, Topology, Upstream
from catchment.platforms.topology.epochs import Epoch, misled

_TRIES = 8


def announcements(epoch: Epoch) -> list[Announcement]:
    """Return what BGP hears of a service in an epoch, from its sites and from hijackers."""
    genuine = [
        _announcement(epoch.service.asn, site, upstream)
        for site in epoch.service.sites
        if site.announced
        for upstream in site.upstreams
    ]
    false = [
        replace(_announcement(hijack.asn, hijack.site, upstream), more_specific=hijack.more_specific)
        for hijack in epoch.hijacks
        for upstream in hijack.site.upstreams
    ]
    return genuine + false


def choose_culprit(topology: Topology, change: Change, epoch: Epoch, *, seed: int) -> int:
    """Return who leaks or hijacks: of a few drawn by seed, the one that moves most others to another site or way.

    Only networks with at least two providers leak: what one hears from its only provider it can tell nobody above it.
    Raises UnknownName where none of those drawn moves anybody.
    """
    pairs = {(link.near, link.far) for link in topology.links if link.relation is Relation.PROVIDER}
    providers = Counter(near for near, _ in pairs)
    upstreams = {upstream.asn for site in epoch.service.sites for upstream in site.upstreams}
    least = 2 if change.change is ChangeName.LEAK else 1
    candidates = sorted(asn for asn, count in providers.items() if count >= least and asn not in upstreams)
    draw = random.Random(f"{seed}/{change.change}/{epoch.service.name}")  # noqa: S311  (no secret)
    before = _settled(topology, epoch)
    effects: dict[int, tuple[int, int]] = {}
    for asn in draw.sample(candidates, min(len(candidates), _TRIES)):
        try:
            after = _settled(topology, misled(epoch, change, asn, topology))
        except InvalidFile:
            continue  # a leak that never settles
        moved = [_moved(topology, asn, before[af], after[af]) for af in before]
        effects[asn] = (sum(sites for sites, _ in moved), sum(ways for _, ways in moved))
    chosen = max(effects, key=lambda asn: effects[asn], default=None)
    if chosen is None or effects[chosen] == (0, 0):
        raise UnknownName(
            f"change '{change.change}': found no network whose {change.change} matters: name one by `asn`"
        )
    return chosen


def _settled(topology: Topology, epoch: Epoch) -> dict[AddressFamily, Routes]:
    return {af: routes(topology, announcements(epoch), epoch.leakers, af=af) for af in epoch.families}


def _moved(topology: Topology, asn: int, before: Routes, after: Routes) -> tuple[int, int]:
    """Return how many senders outside of a network change their site, and how many their way."""
    senders = {(vantage.asn, vantage.place) for vantage in topology.vantage_points} or {
        (network.asn, place) for network in topology.networks for place in network.places
    }
    ways = [(before.path(*sender), after.path(*sender)) for sender in sorted(senders) if sender[0] != asn]
    sites = [(old and old.site, new and new.site) for old, new in ways]
    return sum(old != new for old, new in sites), sum(old != new for old, new in ways)


def _announcement(origin: int, site: AnycastSite, upstream: Upstream) -> Announcement:
    return Announcement(
        origin=origin,
        site=site.code,
        latitude=site.latitude,
        longitude=site.longitude,
        upstream=upstream,
        local=site.local,
    )
