"""Vantage points of the generated world: where they are, how they are connected, and what is wrong with some."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from catchment.geo import CONTINENT_OF, arc_km
from catchment.platforms.topology.elements import (
    Interception,
    Interceptor,
    Network,
    Place,
    Trouble,
    VantagePoint,
)
from catchment.platforms.topology.towns import between_km, earth

_ANCHORS = 0.06
_DISCONNECTED = 0.03
_IPV6 = (0.1, 0.4, 0.75)  # a network has it for few, some or most of its customers; anchors always have it
_SOFTWARE = 0.15
_HARDWARE_IDS = range(1000, 63_000)
_SOFTWARE_IDS = range(1_000_001, 1_010_000)
_SOFTWARE_FIRMWARE = 5000  # there was none for software before it
_FIRMWARES = {5120: 52, 5110: 14, 5100: 9, 5080: 13, 5020: 3, 5010: 2, 4790: 4, 4670: 1, 4570: 1, 4480: 1}
_MISLOCATED_KM = 5_100.0  # by great circle, so that the ellipsoid's distance is above 5,000, too
_QUICK_MS = 15.0
_NEARBY_KM = 60.0

_TROUBLES = {
    Trouble.MISLOCATED: 0.010,
    Trouble.FLAPPING: 0.015,
    Trouble.DNS_BLOCKED: 0.008,
    Trouble.CUT_OFF: 0.007,
    Trouble.CANNOT_SEND: 0.007,
    Trouble.OFFLINE: 0.015,
    Trouble.GARBLED: 0.006,
    Trouble.DAMAGED: 0.006,
}
_INTERCEPTED = {
    Interception.FOREIGN: 0.0108,
    Interception.REFUSED: 0.0054,
    Interception.EMPTY: 0.0054,
    Interception.REPLAY: 0.0054,
}
_PER_INTERCEPTOR = 6
_PLACELESS = 0.01
_NOT_PUBLIC = 0.01


def populate(
    draw: random.Random, access: Sequence[Network], networks: Sequence[Network], count: int
) -> tuple[VantagePoint, ...]:
    """Return `count` vantage points in the access networks, by the countries' shares of RIPE Atlas's probes.

    A vantage point has one trouble at most; `networks` are all there are, of which a flapping one needs a second.
    """
    probes = {country.code: country.probes for region in earth().regions for country in region.countries}
    at_home: dict[str, list[Network]] = {code: [] for code in probes}
    for network in access:
        at_home[earth().places[network.places[0]].country].append(network)
    ipv6 = {network.asn: draw.choice(_IPV6) for network in access}
    homes = [
        network
        for country, share in _shares(probes, count).items()
        for network in _spread(draw, at_home[country], share)
    ]
    found = [_vantage_point(draw, home, ipv6[home.asn]) for home in homes]
    found = _troubled(draw, _withdrawn(draw, _numbered(draw, found)), networks)
    return tuple(sorted(found, key=lambda vantage: vantage.id))


def interceptors_of(draw: random.Random, vantage_points: Sequence[VantagePoint]) -> tuple[Interceptor, ...]:
    """Return boxes of all four kinds; each answers for a handful of healthy vantage points of one network."""
    healthy: dict[int, list[VantagePoint]] = {}
    for vantage in vantage_points:
        if _is_healthy(vantage):
            healthy.setdefault(vantage.asn, []).append(vantage)
    asns = sorted(healthy)
    draw.shuffle(asns)
    asns.sort(key=lambda asn: min(len(healthy[asn]), _PER_INTERCEPTOR))
    boxes = []
    for answer, share in _INTERCEPTED.items():
        wanted = math.ceil(share * len(vantage_points))
        while wanted > 0 and asns:
            asn = asns.pop()
            # Behind a slow line a far site may have answered: nobody could find out about a replay.
            ids = [one.id for one in healthy[asn] if answer is not Interception.REPLAY or one.last_mile_ms <= _QUICK_MS]
            caught = tuple(sorted(draw.sample(ids, min(wanted, _PER_INTERCEPTOR, len(ids)))))
            if not caught:
                continue
            identity = f"resolver{draw.randint(1, 4)}.as{asn}.example" if answer is Interception.FOREIGN else None
            boxes.append(Interceptor(answer=answer, vantage_points=caught, identity=identity))
            wanted -= len(caught)
    return tuple(boxes)


def _shares(weights: dict[str, int], count: int) -> dict[str, int]:
    """Return `count` shared out by weights; what is left after rounding down goes to the largest remainders."""
    exact = {key: count * weight / sum(weights.values()) for key, weight in weights.items()}
    shares = {key: int(value) for key, value in exact.items()}
    remainders = sorted(exact, key=lambda key: shares[key] - exact[key])
    for key in remainders[: count - sum(shares.values())]:
        shares[key] += 1
    return shares


def _spread(draw: random.Random, networks: Sequence[Network], count: int) -> list[Network]:
    """Return the networks of a country's vantage points: the first ones have most."""
    return draw.choices(networks, [1 / math.sqrt(1 + rank) for rank in range(len(networks))], k=count)


def _vantage_point(draw: random.Random, network: Network, ipv6: float) -> VantagePoint:
    """Return a vantage point without a number."""
    hubs = [town for town in network.places if town in earth().exchanges]
    anchor = bool(hubs) and draw.random() < _ANCHORS * 1.3  # more than six in ten networks have a hub
    town = earth().places[hubs[0] if anchor else draw.choice(network.places)]
    away_km = draw.uniform(1, 15) if anchor else min(250.0, draw.lognormvariate(math.log(18), 0.9))
    latitude, longitude = _around(draw, town, away_km)
    access_ms = draw.uniform(0.2, 0.7) if anchor else _access_ms(draw)
    return VantagePoint(
        id=0,
        asn=network.asn,
        place=town.code,
        latitude=latitude,
        longitude=longitude,
        country=town.country,
        # Fibre runs half as long again as the crow flies: 1.5 ms of round trip for 100 km.
        last_mile_ms=round(access_ms + away_km * 0.015, 2),
        ipv6=anchor or draw.random() < ipv6,
        anchor=anchor,
        connected=draw.random() >= _DISCONNECTED,
        firmware=draw.choices(list(_FIRMWARES), list(_FIRMWARES.values()))[0],
    )


def _numbered(draw: random.Random, vantage_points: Sequence[VantagePoint]) -> list[VantagePoint]:
    """Return the vantage points with ids as RIPE Atlas gives them: those of software begin at a million."""
    late = [firmware for firmware in _FIRMWARES if firmware >= _SOFTWARE_FIRMWARE]
    hardware, software = (
        iter(draw.sample(range(ids.start, max(ids.stop, ids.start + len(vantage_points))), len(vantage_points)))
        for ids in (_HARDWARE_IDS, _SOFTWARE_IDS)
    )
    found = []
    for vantage in vantage_points:
        if not vantage.anchor and draw.random() < _SOFTWARE:
            firmware = draw.choices(late, [_FIRMWARES[firmware] for firmware in late])[0]
            found.append(replace(vantage, id=next(software), firmware=firmware))
        else:
            found.append(replace(vantage, id=next(hardware)))
    return found


def _withdrawn(draw: random.Random, vantage_points: Sequence[VantagePoint]) -> list[VantagePoint]:
    """Return the vantage points, of which a few healthy ones tell nobody where they are, or that they are."""
    found = list(vantage_points)
    healthy = [at for at, vantage in enumerate(found) if _is_healthy(vantage)]
    placeless, hidden = round(_PLACELESS * len(found)), round(_NOT_PUBLIC * len(found))
    chosen = draw.sample(healthy, min(len(healthy), placeless + hidden))
    for at in chosen[:placeless]:
        found[at] = replace(found[at], placeless=True)
    for at in chosen[placeless:]:
        found[at] = replace(found[at], public=False)
    return found


def _access_ms(draw: random.Random) -> float:
    """Return the round trip of an access line: fibre, Ethernet in a data centre, DSL or cable, mobile, satellite."""
    kind = draw.random()
    if kind < 0.45:
        return draw.uniform(0.8, 4)
    if kind < 0.94:
        return min(25.0, 6 + draw.expovariate(1 / 6))
    if kind < 0.99:
        return draw.uniform(30, 70)
    return draw.uniform(550, 650)


def _around(draw: random.Random, town: Place, away_km: float) -> tuple[float, float]:
    """Return a point that far from a town, in any direction; degrees are good enough for these few kilometres."""
    angle = draw.uniform(0, 2 * math.pi)
    latitude = town.latitude + away_km * math.cos(angle) / 111.2
    longitude = town.longitude + away_km * math.sin(angle) / (111.2 * math.cos(math.radians(town.latitude)))
    return round(latitude, 4), round((longitude + 180) % 360 - 180, 4)


def _is_healthy(vantage: VantagePoint) -> bool:
    return (
        vantage.trouble is None
        and vantage.connected
        and vantage.public
        and not vantage.placeless
        and not vantage.anchor
    )


def _troubled(
    draw: random.Random, vantage_points: list[VantagePoint], networks: Sequence[Network]
) -> list[VantagePoint]:
    """Return the vantage points, a few of them with a trouble each; anchors have none."""
    found = list(vantage_points)
    order = [at for at, vantage in enumerate(found) if _is_healthy(vantage)]
    draw.shuffle(order)
    for trouble, share in _TROUBLES.items():
        wanted = math.ceil(share * len(found))
        for at in list(order):
            if wanted == 0:
                break
            troubled = _with_trouble(draw, found[at], trouble, networks)
            if troubled is not None:
                found[at] = troubled
                order.remove(at)
                wanted -= 1
    return found


def _with_trouble(
    draw: random.Random, vantage: VantagePoint, trouble: Trouble, networks: Sequence[Network]
) -> VantagePoint | None:
    """Return a vantage point with a trouble, None where it cannot have this one."""
    match trouble:
        case Trouble.MISLOCATED:
            return _mislocated(draw, vantage)
        case Trouble.FLAPPING:
            others = _networks_nearby(vantage, networks)
            return replace(vantage, trouble=trouble, second_asn=draw.choice(others).asn) if others else None
        case _:
            return replace(vantage, trouble=trouble)


def _mislocated(draw: random.Random, vantage: VantagePoint) -> VantagePoint | None:
    """Return a vantage point that says another continent; None where nobody could find out."""
    # Far from all sites every round trip is so long that a wrong place contradicts nothing: nobody could find it.
    if CONTINENT_OF[vantage.country] not in {"europe", "north-america"} or vantage.last_mile_ms > _QUICK_MS:
        return None
    town = draw.choice([place for code, place in earth().places.items() if between_km(vantage.place, code) > 7_500])
    latitude, longitude = _around(draw, town, draw.uniform(2, 40))
    if arc_km(vantage.latitude, vantage.longitude, latitude, longitude) < _MISLOCATED_KM:
        return None
    return replace(
        vantage,
        trouble=Trouble.MISLOCATED,
        said_latitude=latitude,
        said_longitude=longitude,
        said_country=town.country,
    )


def _networks_nearby(vantage: VantagePoint, networks: Sequence[Network]) -> list[Network]:
    return [
        network
        for network in networks
        if network.asn != vantage.asn and any(between_km(vantage.place, town) < _NEARBY_KM for town in network.places)
    ]
