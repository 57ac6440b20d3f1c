"""From a topology, and from what its services are like now, to the namespaces and cables of a lab.

Each network is a router, each site another one, behind it its servers if there are several. Each vantage point is a
host behind its network's router. Routers speak BGP over every cable, once for each family that it carries. Networks
also announce the addresses of their vantage points: replies find back by BGP, not always on the way of the query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from catchment.model import AddressFamily
from catchment.platforms.lab.bird import Router, Session, bird_config
from catchment.platforms.lab.blueprint import Blueprint, Node, Role, StaticRoute
from catchment.platforms.lab.cables import Cable, cables, sessions
from catchment.platforms.lab.limits import check_lab
from catchment.platforms.lab.nsd import nsd_files, zone_name
from catchment.platforms.lab.numbering import (
    FAMILIES,
    Numbering,
    announced,
    network_name,
    server_name,
    single,
    site_name,
    vantage_name,
)
from catchment.platforms.topology.elements import AnycastSite, Topology, Trouble, VantagePoint
from catchment.platforms.topology.epochs import Epoch, Hijack, family_of

__all__ = ["blueprint", "check_lab"]

_ROUTERS = frozenset({Role.NETWORK, Role.SITE})
_EVERYWHERE: dict[AddressFamily, str] = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What the namespaces of a lab are made of: `lines` are the cables without BGP, by the names of both ends."""

    topology: Topology
    epochs: tuple[Epoch, ...]
    numbering: Numbering
    lines: Mapping[tuple[str, str], Cable]
    sessions: Mapping[str, tuple[Session, ...]]


def blueprint(topology: Topology, epochs: Mapping[str, Epoch]) -> Blueprint:
    """Return the lab of a topology; `epochs` says, by its name, what each service is like now.

    Raises InvalidFile where a lab cannot play it: see check_lab.
    """
    present = tuple(epochs[service.name] for service in topology.services)
    check_lab(replace(topology, services=tuple(epoch.service for epoch in present)))
    numbering = Numbering(topology)
    laid = tuple(cables(topology, present, numbering))
    plan = _Plan(
        topology=topology,
        epochs=present,
        numbering=numbering,
        lines={(cable.near, cable.far): cable for cable in laid if cable.talk is None},
        sessions=sessions(laid),
    )
    listed = [
        *(_network(plan, network.asn) for network in topology.networks),
        *(node for epoch in present for node in _sites(plan, epoch)),
        *(_vantage_point(plan, vantage) for vantage in topology.vantage_points),
    ]
    nodes = {node.name: node for node in listed}
    return Blueprint(nodes=nodes, wires=tuple(cable.wire for cable in laid), routers=_routers(plan, nodes, laid))


def _network(plan: _Plan, asn: int) -> Node:
    """Return a network's router; if it hijacks, it is the server as well."""
    name = network_name(asn)
    hijacks = [(epoch, hijack) for epoch in plan.epochs for hijack in epoch.hijacks if hijack.asn == asn]
    taken = dict.fromkeys(address for epoch, _ in hijacks for address in epoch.service.addresses)
    hosts = _hosts(plan, asn)
    own = [plan.numbering.block(asn, af) for af, there in hosts.items() if there]
    own += [
        announced(address, more_specific=hijack.more_specific)
        for epoch, hijack in hijacks
        for address in epoch.service.addresses
    ]
    router = Router(
        asn=asn,
        router_id=plan.numbering.router_id(asn),
        addresses={af: plan.numbering.router(asn, af) for af in FAMILIES},
        sessions=plan.sessions.get(name, ()),
        own=_by_family(own),
        hosts=hosts,
        leaks=any(asn in epoch.leakers for epoch in plan.epochs),
        unleaked=_by_family(
            announced(address)
            for epoch in plan.epochs
            if asn not in epoch.leakers
            for address in epoch.service.addresses
        ),
    )
    return Node(
        name=name,
        role=Role.NETWORK,
        addresses=tuple(single(address) for address in (*router.addresses.values(), *taken)),
        bird=bird_config(router),
        nsd=_false_server(hijacks) if hijacks else None,
    )


def _hosts(plan: _Plan, asn: int) -> dict[AddressFamily, tuple[tuple[str, str], ...]]:
    """Return the addresses of a network's vantage points, and the gateway to each."""
    lines = [
        (vantage, plan.lines[vantage_name(vantage.id), network_name(asn)])
        for vantage in plan.topology.vantage_points
        if vantage.asn == asn
    ]
    return {
        af: tuple(
            (single(plan.numbering.vantage_point(vantage, af)), line.near_address(af))
            for vantage, line in lines
            if af in line.families
        )
        for af in FAMILIES
    }


def _sites(plan: _Plan, epoch: Epoch) -> Iterator[Node]:
    """Yield the routers of a service's sites, each followed by its servers if there are several."""
    service = epoch.service
    router_ids = plan.numbering.router_ids(service)
    served = tuple(single(address) for address in service.addresses)
    for position, site in enumerate(service.sites):
        name = site_name(service, position)
        router = Router(
            asn=service.asn,
            router_id=router_ids[site.code],
            addresses={af: plan.numbering.router(service.asn, af, position=position) for af in FAMILIES},
            sessions=plan.sessions.get(name, ()),
            own=_by_family(map(announced, service.addresses)) if site.announced else {},
            is_transit=False,
            is_local=site.local,
        )
        servers = _servers(plan, epoch, site, name) if len(site.identities) > 1 else []
        own = tuple(map(single, router.addresses.values()))
        yield Node(
            name=name,
            role=Role.SITE,
            addresses=own if servers else (*own, *served),
            routes=tuple(_shared(plan, name, address, servers) for address in service.addresses) if servers else (),
            bird=bird_config(router),
            nsd=None if servers else _server(epoch, site, site.identities[0]),
        )
        yield from servers


def _servers(plan: _Plan, epoch: Epoch, site: AnycastSite, name: str) -> list[Node]:
    nodes = []
    for position, identity in enumerate(site.identities):
        server = server_name(name, position)
        line = plan.lines[name, server]
        node = Node(
            name=server,
            role=Role.SERVER,
            addresses=tuple(map(single, epoch.service.addresses)),
            routes=tuple(StaticRoute(prefix=_EVERYWHERE[af], via=(line.near_address(af),)) for af in FAMILIES),
            nsd=_server(epoch, site, identity),
        )
        nodes.append(node)
    return nodes


def _shared(plan: _Plan, site: str, address: str, servers: Iterable[Node]) -> StaticRoute:
    """Return the route by which a load balancer shares the flows to an address among its servers."""
    af = family_of(address)
    gateways = (plan.lines[site, server.name].far_address(af) for server in servers)
    return StaticRoute(prefix=single(address), via=tuple(gateways))


def _server(epoch: Epoch, site: AnycastSite, identity: str) -> dict[str, str] | None:
    """Return the files of a server's NSD; None where it is dead."""
    if site.code in epoch.failed:
        return None
    service = epoch.service
    return nsd_files(identity, service.answers, {zone_name(service.name): service.addresses}, service.addresses)


def _false_server(hijacks: Iterable[tuple[Epoch, Hijack]]) -> dict[str, str]:
    """Return the files of a hijacker's NSD, which answers whatever the services answer that it caught."""
    found = list(hijacks)
    services = {epoch.service.name: epoch.service for epoch, _ in found}.values()
    return nsd_files(
        found[0][1].site.identities[0],
        {name for service in services for name in service.answers},
        {zone_name(service.name): service.addresses for service in services},
        [address for service in services for address in service.addresses],
    )


def _vantage_point(plan: _Plan, vantage: VantagePoint) -> Node:
    name = vantage_name(vantage.id)
    line = plan.lines[name, network_name(vantage.asn)]
    addresses = {af: plan.numbering.vantage_point(vantage, af) for af in line.families}
    routes = tuple(
        StaticRoute(prefix=_EVERYWHERE[af], via=(line.far_address(af),), source=address)
        for af, address in addresses.items()
    )
    return Node(
        name=name,
        role=Role.VANTAGE_POINT,
        addresses=tuple(map(single, addresses.values())),
        routes=() if vantage.trouble is Trouble.CANNOT_SEND else routes,
    )


def _routers(plan: _Plan, nodes: Mapping[str, Node], laid: Iterable[Cable]) -> dict[str, str]:
    """Return whose the addresses are from which routers answer: those of their own, and those of their cables' ends."""
    own = [(network_name(network.asn), network.asn, 0) for network in plan.topology.networks]
    for service in (epoch.service for epoch in plan.epochs):
        own += [(site_name(service, at), service.asn, at) for at in range(len(service.sites))]
    found = {plan.numbering.router(asn, af, position=at): name for name, asn, at in own for af in FAMILIES}
    for cable in laid:
        for af in cable.families:
            ends = {cable.near_address(af): cable.near, cable.far_address(af): cable.far}
            found |= {address: name for address, name in ends.items() if nodes[name].role in _ROUTERS}
    return found


def _by_family(addresses: Iterable[str]) -> dict[AddressFamily, tuple[str, ...]]:
    """Return addresses or prefixes by their family, each once."""
    each = list(dict.fromkeys(addresses))
    return {af: tuple(address for address in each if family_of(address) == af) for af in FAMILIES}
