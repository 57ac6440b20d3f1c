"""What a lab consists of: namespaces with addresses, routes and programs, and the wires between them.

A change of the lab is another blueprint: whoever runs the lab brings what is there to what the blueprint says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a namespace stands for."""

    NETWORK = "network"  # the router of an autonomous system
    SITE = "site"  # the router of an anycast site, and its server if it has only one
    SERVER = "server"  # one of several servers behind a site's load balancer
    VANTAGE_POINT = "vantage-point"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRoute:
    """A route of the kernel to a prefix; several gateways share its flows. `source` is the sender's own address."""

    prefix: str
    via: tuple[str, ...]
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A namespace: `addresses` (with prefix length) are on its loopback.

    `bird` is the configuration of its BIRD, `nsd` the files of its NSD by name (nsd.conf is the main one); None: it
    runs none.
    """

    name: str
    role: Role
    addresses: tuple[str, ...] = ()
    routes: tuple[StaticRoute, ...] = ()
    bird: str | None = None
    nsd: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A cable between two namespaces: the addresses of its ends (with prefix length), and the delay of one way in ms.

    Both ends are called `name` (at most 15 characters), each in its own namespace.
    """

    name: str
    near: str
    far: str
    near_addresses: tuple[str, ...]
    far_addresses: tuple[str, ...]
    delay_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A lab: its namespaces by name, and its wires, in order."""

    nodes: Mapping[str, Node]
    wires: tuple[Wire, ...]
    routers: Mapping[str, str] = field(default_factory=dict)
    """The namespace of each address that a router answers from, without prefix length."""
