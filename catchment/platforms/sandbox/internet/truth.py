"""What really happens in the simulated Internet, for holding judgements against it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from catchment.geo import distance_km
from catchment.model import AddressFamily
from catchment.platforms.sandbox.internet.simulation import Internet, Way
from catchment.platforms.topology.elements import Interception, Trouble, VantagePoint
from catchment.platforms.topology.epochs import Epoch, family_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is true of one vantage point and address from `after_s` until `until_s` (left out; None: for ever).

    `sites` are those that its packets reach (of a flapping one: both, its usual one first; none: nobody has a route),
    `servers` the identities that may answer there; `failed` says that at one of the sites none does. AS path, round
    trip (without jitter; `last_mile_ms` is part of it) and distance (geodesic, from where it really is, at `latitude`
    and `longitude`) are those of the first site.
    """

    vantage: int
    service: str
    address: str
    after_s: float
    until_s: float | None
    sites: tuple[str, ...]
    servers: tuple[str, ...]
    hijacked: bool
    failed: bool
    as_path: tuple[int, ...]
    rtt_ms: float | None
    last_mile_ms: float
    distance_km: float | None
    trouble: Trouble | None
    interception: Interception | None
    latitude: float
    longitude: float


def truth(internet: Internet) -> list[Truth]:
    """Return a row for each vantage point, address and epoch.

    Vantage points without IPv6 have none for IPv6 addresses. What trouble or an interceptor makes of the replies is
    named and not worked in: `sites` are where packets go.
    """
    rows = []
    for service in internet.topology.services:
        for epoch in internet.epochs[service.name]:
            for address in service.addresses:
                af = family_of(address)
                asking = [vantage for vantage in internet.topology.vantage_points if vantage.ipv6 or af == 4]
                ways = [_ways(internet, vantage, epoch, af) for vantage in asking]
                rows += [
                    _row(internet, vantage, epoch, address, found, distance)
                    for vantage, found, distance in zip(asking, ways, _distances(asking, ways), strict=True)
                ]
    return rows


def write_truth(rows: Iterable[Truth], path: Path) -> None:
    """Write the truth as NDJSON: one JSON object a line, in the order given."""
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")


def _ways(internet: Internet, vantage: VantagePoint, epoch: Epoch, af: AddressFamily) -> list[Way]:
    choices = (False, True) if vantage.trouble is Trouble.FLAPPING else (False,)
    found = [internet.way(vantage, epoch, af, second=second) for second in choices]
    return [way for way in found if way is not None]


def _row(
    internet: Internet, vantage: VantagePoint, epoch: Epoch, address: str, ways: list[Way], distance: float | None
) -> Truth:
    alive = [way.site for way in ways if way.site.code not in epoch.failed]
    return Truth(
        vantage=vantage.id,
        service=epoch.service.name,
        address=address,
        after_s=epoch.after_s,
        until_s=epoch.until_s,
        sites=tuple(dict.fromkeys(way.site.code for way in ways)),
        servers=tuple(dict.fromkeys(identity for site in alive for identity in site.identities)),
        hijacked=any(epoch.is_hijacked(way.site.code) for way in ways),
        failed=len(alive) < len(ways),
        as_path=ways[0].path.as_path if ways else (),
        rtt_ms=round(ways[0].round_trip_ms, 6) if ways else None,
        last_mile_ms=vantage.last_mile_ms,
        distance_km=distance,
        trouble=vantage.trouble,
        interception=internet.interception(vantage),
        latitude=vantage.latitude,
        longitude=vantage.longitude,
    )


def _distances(vantage_points: Iterable[VantagePoint], ways: list[list[Way]]) -> list[float | None]:
    """Return the distance in km to the first site of each vantage point's ways, None where there is none."""
    pairs = [(vantage, found[0].site) for vantage, found in zip(vantage_points, ways, strict=True) if found]
    km = distance_km(
        np.array([vantage.latitude for vantage, _ in pairs]),
        np.array([vantage.longitude for vantage, _ in pairs]),
        np.array([site.latitude for _, site in pairs]),
        np.array([site.longitude for _, site in pairs]),
    )
    known = iter(km.tolist())
    return [round(next(known), 6) if found else None for found in ways]
