"""Probes as RIPE Atlas describes them: where they say they are, in which network, and what their tags tell.

Nothing here shows what is wrong with a vantage point; that is for the measurements to find out.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from catchment.model import AddressFamily
from catchment.platforms.topology.elements import Topology, VantagePoint

# Reserved for ever (RFC 1112) and for documentation (RFC 3849): nobody can take these for somebody's real addresses.
_POOL_V4 = IPv4Network("240.0.0.0/4")
_POOL_V6 = IPv6Network("2001:db8::/32")
_PREFIX_V4, _PREFIX_V6 = 20, 48
_NETWORKS = 1 << (_PREFIX_V4 - _POOL_V4.prefixlen)

_DAY_S = 86_400
_CONNECTED, _DISCONNECTED = (1, "Connected"), (2, "Disconnected")
_NAMES = {
    "system-ipv4-works": "IPv4 Works",
    "system-ipv6-works": "IPv6 Works",
    "system-ipv4-stable-1d": "IPv4 Stable 1d",
    "system-ipv4-stable-30d": "IPv4 Stable 30d",
    "system-ipv4-stable-90d": "IPv4 Stable 90d",
    "system-ipv6-stable-1d": "IPv6 Stable 1d",
    "system-ipv6-stable-30d": "IPv6 Stable 30d",
    "system-ipv6-stable-90d": "IPv6 Stable 90d",
    "system-resolves-a-correctly": "Resolves A Correctly",
    "system-anchor": "system: Anchor",
    "nat": "NAT",
}
_USER_TAGS = ("home", "nat", "fibre", "cable", "dsl", "office", "datacentre", "mobile")
_NULL_PER_CENT = 3  # of prefixes that RIPE Atlas does not know, and of AS numbers for IPv6


class Probes:
    """The vantage points of a topology as probes, in the order of their ids; `start` is when the sandbox began."""

    def __init__(self, topology: Topology, start: float) -> None:
        self.topology = topology
        points = sorted(topology.vantage_points, key=lambda point: point.id)
        self.vantage_points = {point.id: point for point in points}
        numbers = {asn: number % _NETWORKS for number, asn in enumerate(sorted({point.asn for point in points}))}
        hosts: dict[int, int] = {}
        self._addresses: dict[int, dict[AddressFamily, str]] = {}
        self._local: dict[int, str] = {}
        self.objects: dict[int, dict[str, Any]] = {}
        for point in points:
            host = hosts[point.asn] = hosts.get(point.asn, 9) + 1
            v4 = _POOL_V4[(numbers[point.asn] << (32 - _PREFIX_V4)) + host % (1 << (32 - _PREFIX_V4))]
            v6 = _POOL_V6[(numbers[point.asn] << (128 - _PREFIX_V6)) + host]
            self._addresses[point.id] = {4: str(v4), 6: str(v6)}
            # Most probes sit behind a box that translates addresses; anchors never do.
            self._local[point.id] = str(v4) if point.anchor else f"192.168.{host % 4}.{10 + point.id % 240}"
            self.objects[point.id] = _probe(point, str(v4), str(v6), start)

    def available(self, families: Collection[AddressFamily]) -> tuple[int, ...]:
        """Return the ids of those that measurements may use: connected, public, and speaking all these families."""
        return tuple(
            point.id
            for point in self.vantage_points.values()
            if point.connected and point.public and (point.ipv6 or 6 not in families)
        )

    def public_address(self, vantage: int, af: AddressFamily) -> str:
        """Return the address under which the world sees a probe."""
        return self._addresses[vantage][af]

    def source_address(self, vantage: int, af: AddressFamily) -> str:
        """Return the address that a probe itself sends from."""
        return self._local[vantage] if af == 4 else self._addresses[vantage][6]

    def tags(self, vantage: int) -> set[str]:
        """Return the slugs of a probe's tags."""
        return {tag["slug"] for tag in self.objects[vantage]["tags"]}


def _probe(point: VantagePoint, v4: str, v6: str, start: float) -> dict[str, Any]:
    first_connected = int(start) - (30 + point.id * 7919 % 3000) * _DAY_S
    since = int(start) - (3600 + point.id * 104_729 % (20 * _DAY_S))
    status_id, status = _CONNECTED if point.connected else _DISCONNECTED
    known = {
        name: _per_cent(point, name) >= _NULL_PER_CENT and (point.ipv6 or name == "prefix_v4")
        for name in ("prefix_v4", "prefix_v6", "asn_v6")
    }
    return {
        "id": point.id,
        "type": "Probe",
        "address_v4": v4 if point.public else None,
        "address_v6": v6 if point.public and point.ipv6 else None,
        "asn_v4": point.asn,
        "asn_v6": point.asn if known["asn_v6"] else None,
        "prefix_v4": str(IPv4Network((v4, _PREFIX_V4), strict=False)) if known["prefix_v4"] else None,
        "prefix_v6": str(IPv6Network((v6, _PREFIX_V6), strict=False)) if known["prefix_v6"] else None,
        "country_code": _country(point),
        "description": None,
        "firmware_version": point.firmware,
        "first_connected": first_connected,
        "last_connected": int(start) if point.connected else since,
        "geometry": _geometry(point),
        "is_anchor": point.anchor,
        "is_public": point.public,
        "status": {"id": status_id, "name": status, "since": datetime.fromtimestamp(since, UTC).strftime("%FT%TZ")},
        "status_since": since,
        "tags": [{"name": _NAMES.get(slug, slug), "slug": slug} for slug in _slugs(point)],
        "total_uptime": int((start - first_connected) * 0.97),
    }


def _country(point: VantagePoint) -> str | None:
    if point.placeless:
        return None if point.id % 2 == 0 else ""  # RIPE Atlas has both
    return point.said_country or point.country


def _geometry(point: VantagePoint) -> dict[str, Any] | None:
    if point.placeless:
        return None
    latitude, longitude = point.latitude, point.longitude
    if point.said_latitude is not None and point.said_longitude is not None:
        latitude, longitude = point.said_latitude, point.said_longitude
    return {"type": "Point", "coordinates": [round(longitude, 4), round(latitude, 4)]}


def _per_cent(point: VantagePoint, what: str) -> int:
    """Return a number from 0 to 99 that looks random and is the same for the same vantage point."""
    return zlib.crc32(f"{what} {point.id}".encode()) % 100


def _slugs(point: VantagePoint) -> list[str]:
    slugs = [f"system-{_hardware(point)}"]
    if point.anchor:
        slugs.append("system-anchor")
    if point.connected:
        # Reassessed every few hours; a probe that is away has neither.
        stable = _per_cent(point, "stable")
        spans = [span for span, share in (("1d", 97), ("30d", 88), ("90d", 75)) if stable < share]
        for family in ("ipv4", "ipv6") if point.ipv6 else ("ipv4",):
            slugs += [f"system-{family}-works", *(f"system-{family}-stable-{span}" for span in spans)]
        slugs.append("system-resolves-a-correctly")
    return slugs + _user_tags(point)


def _user_tags(point: VantagePoint) -> list[str]:
    """Return what its host says of a probe: nothing at about half of them."""
    if point.anchor:
        return ["datacentre"]
    said = _per_cent(point, "tags")
    return [slug for number, slug in enumerate(_USER_TAGS) if said < 50 and said % 8 in (number, number + 3)]


def _hardware(point: VantagePoint) -> str:
    """Return the hardware's version, which RIPE Atlas's ids follow."""
    if point.id >= 1_000_000:
        return "software"
    if point.anchor:
        return "v2" if point.firmware < 4900 else "v3"
    return next(
        version for version, end in (("v1", 2000), ("v2", 10_000), ("v3", 50_000), ("v4", 1_000_000)) if point.id < end
    )


def anchor_object(probe: dict[str, Any]) -> dict[str, Any]:
    """Return the anchor that a probe is, as GET /anchors/ describes it."""
    country = (probe["country_code"] or "").lower()
    return {
        "id": probe["id"],
        "type": "Anchor",
        "probe": probe["id"],
        "fqdn": f"{country or 'zz'}-{probe['id']}-as{probe['asn_v4']}.anchors.atlas.ripe.net",
        "country": probe["country_code"],
        "city": None,
        "company": None,
        "ip_v4": probe["address_v4"],
        "ip_v6": probe["address_v6"],
        "as_v4": probe["asn_v4"],
        "as_v6": probe["asn_v6"],
        "geometry": probe["geometry"],
        "is_disabled": False,
        "is_ipv4_only": probe["address_v6"] is None,
        "tlsa_record": None,
        "date_live": probe["first_connected"],
    }


def in_prefix(prefix: str | None, wanted: str) -> bool:
    """Tell whether a probe's prefix lies within `wanted`, or holds that address. Raises ValueError where it is none."""
    outer: IPv4Network | IPv6Network
    outer = (IPv6Network if ":" in wanted else IPv4Network)(wanted)
    if prefix is None:
        return False
    inner = (IPv6Network if ":" in prefix else IPv4Network)(prefix)
    if inner.version != outer.version:
        return False
    first, last = (ip_address(inner[0]), ip_address(inner[-1]))
    return (first in outer and last in outer) or (outer.num_addresses == 1 and outer[0] in inner)
