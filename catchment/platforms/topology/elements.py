"""What an Internet is made of: networks at places, links, anycast services, vantage points, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from catchment.model import AddressFamily

_FORBID_UNKNOWN = {"extra": "forbid"}


class Relation(StrEnum):
    """What the far network of a link is to the near one."""

    PROVIDER = "provider"
    PEER = "peer"


class TieBreak(StrEnum):
    """What decides between routes of one preference and length.

    `nearest-exit` (hot potato) leaves a network where the packet is now; `lowest-id` takes the neighbour with the
    lowest AS number, as routers of one place do. Sites behind one network at one place, equal in all else, are decided
    by their code, the first in the order of the alphabet: who numbers routers gives the lowest id to the first code.
    """

    NEAREST_EXIT = "nearest-exit"
    LOWEST_ID = "lowest-id"


class Trouble(StrEnum):
    """What is wrong with a vantage point, for all of a run."""

    MISLOCATED = "mislocated"  # it is not where it says
    FLAPPING = "flapping"  # its network swaps between two upstream networks
    DNS_BLOCKED = "dns-blocked"  # DNS is dropped, all else passes
    CUT_OFF = "cut-off"  # it can send, and nothing comes back
    CANNOT_SEND = "cannot-send"  # no route, no socket
    OFFLINE = "offline"  # accepts a measurement and never reports
    GARBLED = "garbled"  # replies arrive cut off
    DAMAGED = "damaged"  # a middlebox changes a character of the identity


class Interception(StrEnum):
    """What an interceptor answers in the service's place."""

    FOREIGN = "foreign"  # its own name
    REFUSED = "refused"
    EMPTY = "empty"
    REPLAY = "replay"  # a far site's genuine identity, out of a cache nearby


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A town, by the code of its airport."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    code: str
    town: str
    country: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """An autonomous system and the codes of the places where it has routers; the backbone between them is its own."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    asn: int
    name: str
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A cable between two networks: `relation` says what `far` is to `near`. Networks may have several.

    `delay_ms` is one way; None lets the distance between the two places decide. `af` is the address family for which
    the two speak BGP there; None is both.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    near: int
    far: int
    relation: Relation
    near_place: str
    far_place: str
    delay_ms: float | None = None
    af: AddressFamily | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A network through which a site announces the service, and how often the site prepends its AS there.

    `delay_ms` is one way, from the network's router to the site; None lets the distance decide. `af` is the address
    family that is announced there; None is both.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    asn: int
    relation: Relation
    place: str
    prepend: int = 0
    delay_ms: float | None = None
    af: AddressFamily | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnycastSite:
    """A site of an anycast service: one server for each of `identities`, behind a load balancer if there are several.

    `place` is the code of the nearest place of the topology; the site itself stands at `latitude`, `longitude`. A
    `local` site's announcement goes no further than its upstream networks (NO_EXPORT, RFC 1997).
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    code: str
    place: str
    latitude: float
    longitude: float
    identities: tuple[str, ...]
    upstreams: tuple[Upstream, ...]
    local: bool = False
    announced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnycastService:
    """An anycast service as it really is: who announces which addresses from where.

    `answers` lists the identity queries that its servers answer (hostname.bind, id.server, nsid); they refuse others.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    name: str
    asn: int
    addresses: tuple[str, ...]
    answers: tuple[str, ...]
    sites: tuple[AnycastSite, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interceptor:
    """A box that answers DNS queries of some vantage points in the place of whom they asked."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    answer: Interception
    vantage_points: tuple[int, ...]
    identity: str | None = None  # what it calls itself, for `foreign`


@dataclass(frozen=True, slots=True, kw_only=True)
class VantagePoint:
    """A probe: where it is, where it says it is, in which network, and what is wrong with it.

    A `placeless` one tells nobody where it is. `second_asn` is the other upstream of a flapping one. `last_mile_ms` is
    the whole round trip to its network's router at `place`: the line, and the distance to `latitude`, `longitude`. Only
    where the network has no router there, the cable to its nearest one is added.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    id: int
    asn: int
    place: str
    latitude: float
    longitude: float
    country: str
    last_mile_ms: float
    said_latitude: float | None = None
    said_longitude: float | None = None
    said_country: str | None = None
    second_asn: int | None = None
    ipv6: bool = False
    anchor: bool = False
    connected: bool = True
    public: bool = True
    placeless: bool = False
    firmware: int = 5120
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """An Internet. Sandbox and lab read the same one."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    name: str
    tie_break: TieBreak = TieBreak.NEAREST_EXIT
    places: tuple[Place, ...] = ()
    networks: tuple[Network, ...] = ()
    links: tuple[Link, ...] = ()
    services: tuple[AnycastService, ...] = field(default=())
    vantage_points: tuple[VantagePoint, ...] = ()
    interceptors: tuple[Interceptor, ...] = ()
