"""Addresses of the routers on the way, from blocks that nobody has: no two routers of a topology share one."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from catchment.model import AddressFamily
from catchment.platforms.topology.elements import Topology, VantagePoint

# Shared address space (RFC 6598), which is routed nowhere, and the second block for documentation (RFC 9637). Probes
# and services have theirs elsewhere. Each network has a /48 of the latter.
_POOL_V4 = IPv4Network("100.64.0.0/10")
_POOL_V6 = IPv6Network("3fff::/20")
_PREFIX_V6 = 48
_FIRST_HOST = 10  # hosts of a network are counted from here, in the order of their ids, as the API counts probes
_HOME_SUBNETS = 4


class Routers:
    """The routers of a topology, numbered in the order of AS numbers and of each network's places."""

    def __init__(self, topology: Topology) -> None:
        self._addresses: dict[tuple[int, str], tuple[str, str]] = {}
        for block, network in enumerate(sorted(topology.networks, key=lambda network: network.asn)):
            for number, place in enumerate(network.places, start=1):
                v4 = _POOL_V4[len(self._addresses) + 1]
                v6 = _POOL_V6[(block << (128 - _PREFIX_V6)) + number]
                self._addresses[network.asn, place] = str(v4), str(v6)
        self._at = {address: router for router, pair in self._addresses.items() for address in pair}
        self._subnets: dict[int, int] = {}
        hosts: dict[int, int] = {}
        for vantage in sorted(topology.vantage_points, key=lambda vantage: vantage.id):
            hosts[vantage.asn] = hosts.get(vantage.asn, _FIRST_HOST - 1) + 1
            self._subnets[vantage.id] = hosts[vantage.asn] % _HOME_SUBNETS

    def address(self, asn: int, place: str, af: AddressFamily) -> str:
        """Return the address of a network's router at a place."""
        v4, v6 = self._addresses[asn, place]
        return v4 if af == 4 else v6

    def router(self, address: str) -> tuple[int, str] | None:
        """Return whose router has an address, as AS number and place; None where none has."""
        return self._at.get(address)

    def home(self, vantage: VantagePoint, af: AddressFamily) -> str | None:
        """Return the private address of the router of a vantage point's home (RFC 1918, RFC 4193).

        It is in the subnet of the vantage point's own address. Anchors stand in data centres and have none.
        """
        if vantage.anchor:
            return None
        subnet = self._subnets.get(vantage.id, 1)
        return f"192.168.{subnet}.1" if af == 4 else f"fd00:0:0:{subnet}::1"
