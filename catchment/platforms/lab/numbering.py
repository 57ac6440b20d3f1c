"""How a lab's namespaces and cables are called, and who has which address and router id.

What is there keeps its name, address and id when a site is added, so that nothing else has to be taken down for it.
Addresses are from blocks that nobody has: those for benchmarks (RFC 2544), the shared ones (RFC 6598), and the second
ones for documentation (RFC 9637).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

from catchment.model import AddressFamily
from catchment.platforms.topology.elements import AnycastService, Topology, VantagePoint
from catchment.platforms.topology.epochs import family_of

WIRES: dict[AddressFamily, IPv4Network | IPv6Network] = {
    4: IPv4Network("198.18.0.0/15"),
    6: IPv6Network("3fff:fff::/48"),
}
HOSTS: dict[AddressFamily, IPv4Network | IPv6Network] = {
    4: IPv4Network("100.64.0.0/10"),
    6: IPv6Network("3fff::/32"),
}
FAMILIES: tuple[AddressFamily, ...] = (4, 6)
MOST_NETWORKS = 2048
MOST_HOSTS = 2000
"""Vantage points of a network, or sites of a service."""
MOST_WIRES = 1 << 16

_LENGTH: dict[AddressFamily, int] = {4: 32, 6: 128}
_BLOCK: dict[AddressFamily, int] = {4: 21, 6: 48}  # of a network's or service's hosts
_WIRE: dict[AddressFamily, int] = {4: 31, 6: 127}
_ANNOUNCED: dict[AddressFamily, int] = {4: 24, 6: 48}  # the longest that is accepted everywhere
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_ROUTER = 1
_FIRST_VANTAGE_POINT = 10
_PLAIN = re.compile(r"[a-z0-9-]{1,60}")


def network_name(asn: int) -> str:
    """Return the name of a network's namespace."""
    return f"as{asn}"


def vantage_name(vantage: int) -> str:
    """Return the name of a vantage point's namespace."""
    return f"vp{vantage}"


def site_name(service: AnycastService, position: int) -> str:
    """Return the name of a site's namespace; `position` counts the sites of the service from 0."""
    code = service.sites[position].code
    return f"as{service.asn}-{code if _PLAIN.fullmatch(code) else f'_{position}'}"


def server_name(site: str, position: int) -> str:
    """Return the name of the namespace of a site's server; `position` counts them from 0."""
    return f"{site}.{position + 1}"


def single(address: str) -> str:
    """Return the prefix that holds an address alone."""
    return str(ip_network(address))


def announced(address: str, *, more_specific: bool = False) -> str:
    """Return the prefix in which a service announces its address, or the longer one of a hijacker."""
    return str(ip_network((address, _ANNOUNCED[family_of(address)] + more_specific), strict=False))


def end_of_wire(number: int, af: AddressFamily, *, far: bool) -> str:
    """Return the address of an end of a cable.

    Of two cables between the same routers, the first has the lower address at either end: BGP's last tie-break.
    """
    return str(WIRES[af].network_address + (2 * number + far))


def with_length(address: str, af: AddressFamily) -> str:
    """Return the address of an end of a cable with its prefix length (RFC 3021, RFC 6164)."""
    return f"{address}/{_WIRE[af]}"


class Numbering:
    """The numbers of a topology: a block of addresses for each network and service, a pair for each cable."""

    def __init__(self, topology: Topology) -> None:
        asns = [*(network.asn for network in topology.networks), *(service.asn for service in topology.services)]
        self._rank = {asn: rank for rank, asn in enumerate(sorted(asns))}
        self._hosts: dict[int, int] = {}
        hosts: dict[int, int] = {}
        for vantage in sorted(topology.vantage_points, key=lambda vantage: vantage.id):
            hosts[vantage.asn] = hosts.get(vantage.asn, _FIRST_VANTAGE_POINT - 1) + 1
            self._hosts[vantage.id] = hosts[vantage.asn]
        self._services = {service.asn: number for number, service in enumerate(topology.services)}
        self._fixed = len(topology.links) + len(topology.vantage_points)
        self._known = {service.asn: [site.code for site in service.sites] for service in topology.services}

    def block(self, asn: int, af: AddressFamily) -> str:
        """Return the prefix of a network's vantage points."""
        return str(self._block(asn, af))

    def router(self, asn: int, af: AddressFamily, *, position: int = 0) -> str:
        """Return the address from which a router answers: a network's, or that of a service's site at a position."""
        return str(self._block(asn, af)[_ROUTER + position])

    def vantage_point(self, vantage: VantagePoint, af: AddressFamily) -> str:
        """Return the address of a vantage point, in the block of its network."""
        return str(self._block(vantage.asn, af)[self._hosts[vantage.id]])

    def cable_of_service(self, asn: int, number: int) -> int:
        """Return the number of a service's cable among all; `number` counts those of the service from 0.

        Links come first, then vantage points, then the services in turn, so that each may get more of them.
        """
        return self._fixed + number * len(self._services) + self._services[asn]

    def router_id(self, asn: int) -> str:
        """Return the router id of a network: in the order of AS numbers, for they decide between equal routes."""
        return str(IPv4Address((self._rank[asn] + 1) << 16))

    def router_ids(self, service: AnycastService) -> dict[str, str]:
        """Return the router ids of a service's sites, by code, in the order of the codes.

        The topology's own are far apart; each later one stands in the middle of the gap where it belongs.
        """
        known = sorted(self._known[service.asn])
        places = {code: (at + 1) * ((1 << 16) // (len(known) + 1)) for at, code in enumerate(known)}
        for site in service.sites:
            if site.code not in places:
                below = max((place for code, place in places.items() if code < site.code), default=0)
                above = min((place for code, place in places.items() if code > site.code), default=1 << 16)
                places[site.code] = (below + above) // 2
        first = (self._rank[service.asn] + 1) << 16
        return {site.code: str(IPv4Address(first + places[site.code])) for site in service.sites}

    def _block(self, asn: int, af: AddressFamily) -> IPv4Network | IPv6Network:
        start = int(HOSTS[af].network_address) + (self._rank[asn] << (_LENGTH[af] - _BLOCK[af]))
        return ip_network((start, _BLOCK[af]))


def is_taken(address: str) -> bool:
    """Tell whether the prefix of a service's address meets those of routers, cables and vantage points."""
    prefix = ip_network(announced(address))
    blocks = (block for pool in (WIRES, HOSTS) for block in pool.values())
    # No comparison between families: `overlaps` is for networks of one alone.
    return any(prefix.version == block.version and prefix.overlaps(block) for block in blocks)


def is_usable(address: str) -> bool:
    """Tell whether a host can have an address for others to send to."""
    found = ip_address(address)
    if found.is_multicast or found.is_loopback or found.is_unspecified or found.is_link_local:
        return False
    return found.version == 6 or not (found.is_reserved or found in _THIS_NETWORK)
