"""The vocabulary of anycast measurement: read this first.

A *service* is an anycast address and its *sites*. A *vantage point* sends queries to a *target* (one service at one
address); what comes back is a *result* (raw), from which *observations* (facts) are read. An *assignment* is the
judgement of which site a vantage point reached in a *window* of time, with a *verdict* and the *rule* that gave it. The
*catchment* of a site is all vantage points assigned to it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Literal

AddressFamily = Literal[4, 6]
CodeSystem = Literal["own", "iata", "unlocode"]
Scope = Literal["global", "local"]


class Kind(StrEnum):
    """What was asked of the target."""

    DNS = "dns"
    PING = "ping"
    TRACEROUTE = "traceroute"


class Failure(StrEnum):
    """Why an observation holds no answer."""

    TIMEOUT = "timeout"
    PROBE_FAILED = "probe-failed"  # the vantage point could not send: no route, no socket, no name
    NETWORK = "network"  # something on the way refused or reset: an ICMP error, a closed connection
    MALFORMED = "malformed"  # a reply or result that nobody can read
    NOT_REACHED = "not-reached"  # a traceroute that ended before the target


class Grouping(StrEnum):
    """By what vantage points are put into groups."""

    SITE = "site"
    COUNTRY = "country"
    ASN = "asn"
    CONTINENT = "continent"
    VERDICT = "verdict"


class SiteSet(StrEnum):
    """Among which sites the nearest is sought: those listed as active in the window, or those seen answering in it."""

    LISTED = "listed"
    OBSERVED = "observed"


class Outcome(StrEnum):
    """What one DNS answer says of the site that gave it."""

    IDENTIFIED = "identified"
    FOREIGN = "foreign"  # the identity matches none of the service's patterns
    UNKNOWN = "unknown"  # it matches a pattern, but names no site of the service
    ERROR = "error"  # an error rcode and no identity
    EMPTY = "empty"  # no error and no identity
    BESIDE = "beside"  # a reply to a question that asks for no identity, or one of which nothing is kept


class Verdict(StrEnum):
    """The judgement on one vantage point, target and window. The first four keep their site."""

    OK = "ok"
    REPAIRED = "repaired"
    IMPOSSIBLE_RTT = "impossible-rtt"
    MISLOCATED = "mislocated"
    FOREIGN_IDENTITY = "intercepted-foreign-identity"
    UNKNOWN_IDENTITY = "unknown-identity"
    INTERCEPTED_ERROR = "intercepted-error"
    INTERCEPTED_EMPTY = "intercepted-empty"
    NO_IDENTITY = "no-identity"
    UNREACHABLE = "unreachable"
    DNS_DEAD = "dns-dead"
    TIMEOUT = "timeout"
    PROBE_FAILED = "probe-failed"
    MALFORMED = "malformed"
    NO_RESULT = "no-result"


class Confidence(StrEnum):
    """How far an assigned site can be trusted."""

    HIGH = "high"  # the server named it and nothing contradicts, or the last router and light agree
    MEDIUM = "medium"  # the router or light alone; or the server, and its name is damaged, or something contradicts
    LOW = "low"  # light contradicts it


class Witness(StrEnum):
    """What says which site answered, besides the identity that names it."""

    SECOND_IDENTITY = "second-identity"  # another identity in the same reply
    NEIGHBOUR = "neighbour"  # the last router before the target is one that the service's file knows
    HOP_NAME = "hop-name"  # its name holds a place
    EXCHANGE = "exchange"  # its address is in the peering LAN of an Internet exchange
    LIGHT = "light"  # no other site of the service could have answered so fast


class Level(StrEnum):
    """As what places are compared: servers, sites (one a town), or countries."""

    SERVER = "server"
    SITE = "site"
    COUNTRY = "country"


ASSIGNED = (Verdict.OK, Verdict.REPAIRED, Verdict.IMPOSSIBLE_RTT, Verdict.MISLOCATED)
"""Verdicts whose site counts in catchments."""

PLACED = (Verdict.OK, Verdict.REPAIRED)
"""Verdicts that also count in distances: the vantage point is where it says, and so is the site."""

INTERCEPTED = (Verdict.FOREIGN_IDENTITY, Verdict.INTERCEPTED_ERROR, Verdict.INTERCEPTED_EMPTY)
"""Verdicts by which somebody else answered in the service's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a service's facts come from: `of` names the part, `text` the publication, `date` its day."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    of: str
    text: str
    date: datetime.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address of a service; old ones stay, with the day they ended."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    address: str
    since: datetime.date | None = None
    until: datetime.date | None = None

    @property
    def af(self) -> AddressFamily:
        """Return the address family."""
        return 6 if ":" in self.address else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    r"""A form of the service's identities; the group `site` holds a code, `server` (if any) the server's name.

    `codes` says which code system the group `site` is in: `own` (the codes of this file's sites), `iata` or `unlocode`
    (those, then the town that the code stands for; UN/LOCODE as `nlams` or `nl-ams`). Letter case does not count.
    `until` dates a scheme that servers have left; their old names are still read. `of` names the queries that bring
    such identities (`nsid`, `hostname.bind`, …), where the service gives them to no other; empty is any.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    regex: str
    codes: CodeSystem = "own"
    of: tuple[str, ...] = ()
    until: datetime.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Identities that name a site by no rule: those that `regex` matches in full stand for `site`, for a `reason`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    regex: str
    site: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place of the service, one per (country, town). Several servers, facilities and codes may hang below it.

    `code` is the operator's own code in lower case, unique in the service and stable for ever; `codes` holds further
    codes of the same place, `identities` those that the operator publishes. `families` are the address families that
    the site announces.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    code: str
    town: str
    country: str
    latitude: float | None = None
    longitude: float | None = None
    scope: Scope = "global"
    families: tuple[AddressFamily, ...] = (4, 6)
    since: datetime.date | None = None
    until: datetime.date | None = None
    codes: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What is wrong in the published list, and why: applied over the site `site` when the file is loaded."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    site: str
    reason: str
    town: str | None = None
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    until: datetime.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A router or network next to a site: packets that enter the service from an address in `prefix` reach `site`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    prefix: str
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HopName:
    """The name of a router, where its operator tells it and the reverse DNS does not."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    address: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """A public measurement that RIPE Atlas runs all the time toward the service."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    id: int
    kind: Kind
    af: AddressFamily
    query: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An anycast service: its addresses, its sites, and how its servers say where they are.

    `answers` lists the identity queries that the service itself always answers (`hostname.bind`, `id.server`, `nsid`):
    an error in place of such an answer was given by somebody else. (A reply without `nsid` accuses nobody: it does not
    tell whether that was asked.) That is known from the day `answers_since`; None is ever. `sites_of` names a bundled
    service whose sites these are as well. Where nobody publishes all sites, `open_list` lets a code that names a town
    where operators are known to have servers stand for a site there.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    name: str
    operator: str
    addresses: tuple[Address, ...]
    answers: tuple[str, ...] = ()
    answers_since: datetime.date | None = None
    patterns: tuple[Pattern, ...] = ()
    overrides: tuple[Override, ...] = ()
    sites: tuple[Site, ...] = ()
    sites_of: str | None = None
    open_list: bool = False
    neighbours: tuple[Neighbour, ...] = ()
    hop_names: tuple[HopName, ...] = ()
    measurements: tuple[BuiltIn, ...] = ()
    corrections: tuple[Correction, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One service at one address; `service` is None where only the address is known."""

    service: str | None
    address: str

    @property
    def af(self) -> AddressFamily:
        """Return the address family."""
        return 6 if ":" in self.address else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of time, from `start` (included) to `end` (left out), in seconds since 1970 UTC; None is open."""

    start: float | None = None
    end: float | None = None
