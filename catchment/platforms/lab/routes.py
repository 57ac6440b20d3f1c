"""What is true in a lab, read from its routers: which way packets go, to which site, how long they take; and names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

from catchment.errors import CatchmentError
from catchment.model import AddressFamily
from catchment.platforms.lab.blueprint import Blueprint, Wire
from catchment.platforms.lab.numbering import network_name, single, site_name, vantage_name
from catchment.platforms.topology.elements import Topology, VantagePoint
from catchment.platforms.topology.epochs import Epoch, family_of

Read = Callable[[str, str], str | None]
"""Gives a command to the BIRD of a namespace, and returns its reply; None: it does not answer."""

# The line below a route, as BIRD writes it: by which gateway and interface it leads on.
_GATEWAY = re.compile(r"^\s*via \S+ on (\S+)", re.MULTILINE)
_AS_PATH = re.compile(r"BGP\.as_path:([ \d]*)$", re.MULTILINE)
_PRIMARY = " * ("  # marks the route that a router takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is true of a vantage point and an address of a service.

    `site` is where its packets arrive, a hijacker's if `hijacked`; None: nowhere. `servers` are the identities of those
    who answer there; `failed`: they are dead, though the address is there. `as_path` are the networks that the packets
    go through: it begins with the vantage point's and ends with who announces. `announced_path` is what the vantage
    point's network was told, after itself: with what anybody prepended, and also where packets do not arrive.
    `one_way_ms` is the delay of the cables to the site, `rtt_ms` that of those back in addition, which may be others;
    None: no reply finds back. `unread` is a router on the way that did not say where it sends them: then nothing else
    is known.
    """

    vantage: int
    service: str
    address: str
    site: str | None
    servers: tuple[str, ...] = ()
    hijacked: bool = False
    failed: bool = False
    as_path: tuple[int, ...] = ()
    announced_path: tuple[int, ...] = ()
    one_way_ms: float | None = None
    rtt_ms: float | None = None
    unread: str | None = None


class _Unread(CatchmentError):
    """A router does not answer; the argument is its name."""


def truth(read: Read, topology: Topology, blueprint: Blueprint, epochs: Mapping[str, Epoch]) -> list[Truth]:
    """Return a row for each address and vantage point, in the topology's order.

    `epochs` say by its name what each service is like now. Vantage points without IPv6 have no rows for IPv6 addresses.
    """
    walker = _Walker(read, blueprint)
    return [
        _row_if_read(walker, topology, vantage, epochs[service.name], address)
        for service in topology.services
        for address in service.addresses
        for vantage in topology.vantage_points
        if vantage.ipv6 or family_of(address) == 4
    ]


def next_wire(reply: str) -> str | None:
    """Return the interface through which a router sends, from its reply to `show route for ADDRESS primary all`.

    None where it has no route, or one that leads nowhere. The reply may have the codes of BIRD's socket in it.
    """
    found = _GATEWAY.search(reply)
    return None if found is None else found[1]


def path_of(reply: str, asn: int) -> tuple[int, ...]:
    """Return the AS path of a network's route, itself first, from the same reply; empty where it has no route."""
    found = _AS_PATH.search(reply)
    if found is not None:
        return (asn, *map(int, found[1].split()))
    return (asn,) if _PRIMARY in reply else ()  # its own


def router_names(topology: Topology, blueprint: Blueprint, epochs: Mapping[str, Epoch]) -> dict[str, str]:
    """Return the reverse names of the addresses of routers: each holds the code of the place and the AS number."""
    routers = {network_name(network.asn): (network.asn, network.places[0]) for network in topology.networks}
    for epoch in epochs.values():
        service = epoch.service
        routers |= {site_name(service, at): (service.asn, site.place) for at, site in enumerate(service.sites)}
    ends = {
        str(ip_interface(address).ip): wire.name
        for wire in blueprint.wires
        for address in (*wire.near_addresses, *wire.far_addresses)
    }
    names = {}
    for address, router in blueprint.routers.items():
        asn, place = routers[router]
        code = re.sub(r"[^a-z0-9]", "", place.lower())
        names[address] = f"{ends.get(address, 'lo0')}.{code or 'x'}1.as{asn}.example"
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """The namespaces that a packet meets, from the sender's to the receiver's, and how long it takes."""

    nodes: tuple[str, ...]
    one_way_ms: float


class _Walker:
    """Follows packets from one namespace to the next; every router is asked once for every address."""

    def __init__(self, read: Read, blueprint: Blueprint) -> None:
        self._read = read
        self._nodes = blueprint.nodes
        self._wires = {wire.name: wire for wire in blueprint.wires}
        self._ends = {
            str(ip_interface(address).ip): wire
            for wire in blueprint.wires
            for address in (*wire.near_addresses, *wire.far_addresses)
        }
        self._replies: dict[tuple[str, str], str] = {}

    def own_address(self, node: str, af: AddressFamily) -> str:
        """Return the address from which a namespace sends."""
        prefixes = (prefix for prefix in self._nodes[node].addresses if family_of(prefix) == af)
        return str(ip_interface(next(prefixes)).ip)

    def walk(self, node: str, address: str) -> _Way | None:
        """Return the way of a packet to an address; None where it gets nowhere, or round in a circle."""
        nodes, delay_ms = [node], 0.0
        while single(address) not in self._nodes[node].addresses:
            wire = self._out(node, address)
            if wire is None:
                return None
            node = wire.far if wire.near == node else wire.near
            if node in nodes:
                return None
            nodes.append(node)
            delay_ms += wire.delay_ms
        return _Way(nodes=tuple(nodes), one_way_ms=delay_ms)

    def route(self, node: str, address: str) -> str:
        """Return what a router says of its route to an address; it is asked once."""
        if (node, address) not in self._replies:
            reply = self._read(node, f"show route for {address} primary all")
            if reply is None:
                raise _Unread(node)
            self._replies[node, address] = reply
        return self._replies[node, address]

    def _out(self, node: str, address: str) -> Wire | None:
        """Return the cable through which a namespace sends a packet to an address; None where it drops it."""
        # The kernel's own routes: the default of who speaks no BGP, or to a single address, which beats all of BGP's.
        for route in self._nodes[node].routes:
            if ip_address(address) in ip_network(route.prefix):
                return self._ends[route.via[0]]
        if self._nodes[node].bird is None:
            return None
        wire = next_wire(self.route(node, address))
        return None if wire is None else self._wires.get(wire)


def _row_if_read(walker: _Walker, topology: Topology, vantage: VantagePoint, epoch: Epoch, address: str) -> Truth:
    try:
        return _row(walker, topology, vantage, epoch, address)
    except _Unread as unread:
        (node,) = unread.args
        return Truth(vantage=vantage.id, service=epoch.service.name, address=address, site=None, unread=node)


def _row(walker: _Walker, topology: Topology, vantage: VantagePoint, epoch: Epoch, address: str) -> Truth:
    asker, service = vantage_name(vantage.id), epoch.service
    told = path_of(walker.route(network_name(vantage.asn), address), vantage.asn)
    way = walker.walk(asker, address)
    if way is None:
        return Truth(vantage=vantage.id, service=service.name, address=address, site=None, announced_path=told)
    back = walker.walk(way.nodes[-1], walker.own_address(asker, family_of(address)))
    asns = {network_name(network.asn): network.asn for network in topology.networks}
    sites = {network_name(hijack.asn): hijack.site for hijack in epoch.hijacks}
    for position, site in enumerate(service.sites):
        name = site_name(service, position)
        asns[name], sites[name] = service.asn, site
    reached = next(sites[node] for node in reversed(way.nodes) if node in sites)  # a server stands behind its site
    return Truth(
        vantage=vantage.id,
        service=service.name,
        address=address,
        site=reached.code,
        servers=reached.identities,
        hijacked=epoch.is_hijacked(reached.code),
        failed=reached.code in epoch.failed,
        as_path=tuple(asns[node] for node in way.nodes if node in asns),
        announced_path=told,
        one_way_ms=way.one_way_ms,
        rtt_ms=None if back is None else way.one_way_ms + back.one_way_ms,
    )
