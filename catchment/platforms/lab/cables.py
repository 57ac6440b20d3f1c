"""The cables of a lab, and what is spoken over each.

There is one for every link, vantage point and upstream of a site, and one to each server behind a load balancer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from catchment.model import AddressFamily
from catchment.platforms.lab.bird import Rank, Session
from catchment.platforms.lab.blueprint import Wire
from catchment.platforms.lab.numbering import (
    FAMILIES,
    Numbering,
    end_of_wire,
    network_name,
    server_name,
    site_name,
    vantage_name,
    with_length,
)
from catchment.platforms.topology.elements import Relation, Topology
from catchment.platforms.topology.epochs import Epoch
from catchment.platforms.topology.fibre import Ground, one_way_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """BGP between the ends of a cable: `relation` says what the far one is to the near one.

    `prepend` is how often the near one adds its AS number to what it announces.
    """

    near_asn: int
    far_asn: int
    relation: Relation
    prepend: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cable:
    """A cable between two namespaces; its number gives it its addresses."""

    name: str
    number: int
    near: str
    far: str
    delay_ms: float
    families: tuple[AddressFamily, ...]
    talk: Talk | None = None

    def near_address(self, af: AddressFamily) -> str:
        """Return the address of the near end."""
        return end_of_wire(self.number, af, far=False)

    def far_address(self, af: AddressFamily) -> str:
        """Return the address of the far end."""
        return end_of_wire(self.number, af, far=True)

    @property
    def wire(self) -> Wire:
        """Return the cable as a blueprint knows it."""
        return Wire(
            name=self.name,
            near=self.near,
            far=self.far,
            near_addresses=tuple(with_length(self.near_address(af), af) for af in self.families),
            far_addresses=tuple(with_length(self.far_address(af), af) for af in self.families),
            delay_ms=self.delay_ms,
        )


def cables(topology: Topology, epochs: Iterable[Epoch], numbering: Numbering) -> Iterator[Cable]:
    """Yield the cables of a topology whose services are now as `epochs` say."""
    ground = Ground(topology.places)
    yield from _links(topology, ground)
    yield from _last_miles(topology, ground)
    for epoch in epochs:
        yield from _of_service(epoch, ground, numbering)


def sessions(laid: Iterable[Cable]) -> dict[str, tuple[Session, ...]]:
    """Return the BGP sessions of every router, by its namespace, in the order of its cables."""
    found: dict[str, tuple[Session, ...]] = {}
    for cable in laid:
        if cable.talk is None:
            continue
        for af in cable.families:
            near, far = _sessions(cable, cable.talk, af)
            found[cable.near] = (*found.get(cable.near, ()), near)
            found[cable.far] = (*found.get(cable.far, ()), far)
    return found


def _links(topology: Topology, ground: Ground) -> Iterator[Cable]:
    for number, link in enumerate(topology.links):
        by_distance_ms = one_way_ms(ground.km(link.near_place, link.far_place))
        yield Cable(
            name=f"l{number}",
            number=number,
            near=network_name(link.near),
            far=network_name(link.far),
            delay_ms=by_distance_ms if link.delay_ms is None else link.delay_ms,
            families=FAMILIES if link.af is None else (link.af,),
            talk=Talk(near_asn=link.near, far_asn=link.far, relation=link.relation),
        )


def _last_miles(topology: Topology, ground: Ground) -> Iterator[Cable]:
    places = {network.asn: network.places[0] for network in topology.networks}
    for number, vantage in enumerate(topology.vantage_points, start=len(topology.links)):
        away_ms = one_way_ms(ground.km(vantage.place, places[vantage.asn]))
        yield Cable(
            name=f"v{vantage.id}",
            number=number,
            near=vantage_name(vantage.id),
            far=network_name(vantage.asn),
            delay_ms=vantage.last_mile_ms / 2 + away_ms,
            families=FAMILIES if vantage.ipv6 else (4,),
        )


def _of_service(epoch: Epoch, ground: Ground, numbering: Numbering) -> Iterator[Cable]:
    service, numbers = epoch.service, count()
    for position, site in enumerate(service.sites):
        name = site_name(service, position)
        for upstream in site.upstreams:
            number = numbering.cable_of_service(service.asn, next(numbers))
            by_distance_ms = one_way_ms(ground.km_to(upstream.place, site.latitude, site.longitude))
            yield Cable(
                name=f"u{number}",
                number=number,
                near=name,
                far=network_name(upstream.asn),
                delay_ms=by_distance_ms if upstream.delay_ms is None else upstream.delay_ms,
                families=FAMILIES if upstream.af is None else (upstream.af,),
                talk=Talk(
                    near_asn=service.asn,
                    far_asn=upstream.asn,
                    relation=upstream.relation,
                    prepend=upstream.prepend,
                ),
            )
        for at in range(len(site.identities) if len(site.identities) > 1 else 0):
            number = numbering.cable_of_service(service.asn, next(numbers))
            yield Cable(
                name=f"s{number}",
                number=number,
                near=name,
                far=server_name(name, at),
                delay_ms=0.0,
                families=FAMILIES,
            )


def _sessions(cable: Cable, talk: Talk, af: AddressFamily) -> tuple[Session, Session]:
    """Return what the near and the far end speak."""
    is_peering = talk.relation is Relation.PEER
    near, far = cable.near_address(af), cable.far_address(af)
    return (
        Session(
            wire=cable.name,
            af=af,
            address=near,
            neighbour=far,
            asn=talk.far_asn,
            rank=Rank.PEER if is_peering else Rank.PROVIDER,
            prepend=talk.prepend,
        ),
        Session(
            wire=cable.name,
            af=af,
            address=far,
            neighbour=near,
            asn=talk.near_asn,
            rank=Rank.PEER if is_peering else Rank.CUSTOMER,
        ),
    )
