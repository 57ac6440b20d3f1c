"""What a campaign file says: which targets, from where, by which queries, when, on which platform, and for how much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from catchment.model import AddressFamily, Kind, Verdict

_FORBID_UNKNOWN = {"extra": "forbid"}


class PlatformName(StrEnum):
    """Where a campaign's measurements come from."""

    ATLAS = "atlas"
    SANDBOX = "sandbox"
    LOCAL = "local"  # this host
    LAB = "lab"  # real routers and servers in network namespaces of this host


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignTarget:
    """A service to measure, at its current address of one family or at one named address."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    service: str
    af: AddressFamily = 4
    address: str | None = None


class Anchors(StrEnum):
    """Whether RIPE Atlas's anchors, servers in data centres, may be asked."""

    IN = "in"
    OUT = "out"
    ONLY = "only"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOut:
    """Vantage points that an earlier run (a name or a path) gave one of these verdicts: none of them is asked.

    Nor is any of `ids`; when a campaign begins, those that its run names are put there.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    run: str | None = None
    verdicts: tuple[Verdict, ...] = (
        Verdict.MISLOCATED,
        Verdict.IMPOSSIBLE_RTT,
        Verdict.FOREIGN_IDENTITY,
        Verdict.INTERCEPTED_ERROR,
        Verdict.INTERCEPTED_EMPTY,
    )
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whom a run asked, over IPv4 and over IPv6."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    v4: tuple[int, ...] = ()
    v6: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VantagePoints:
    """Which vantage points to ask, `count` of them, chosen by `seed`.

    The sources add up: regions, countries, asns, prefixes, ids, those of other `measurements`; without any of them,
    `area` counts (WW, a part of the world such as North-Central, or a continent). `same_as` takes the very ones of a
    run, by its name or path, and nothing else; when a campaign begins, they are put into `asked`. What follows narrows
    the choice: tags; anchors; `unstable` ones or none; `every_family` takes only those that work in each address family
    of the targets, so that the families can be held against each other; at most so many of an AS and of a country;
    `spread` evens them out over the map.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    count: int = 50
    seed: int = 1
    area: str = "WW"
    regions: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    asns: tuple[int, ...] = ()
    prefixes: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    measurements: tuple[int, ...] = ()
    same_as: str | None = None
    asked: Asked | None = None
    include_tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    anchors: Anchors = Anchors.IN
    unstable: bool = True
    every_family: bool = False
    most_per_asn: int | None = None
    most_per_country: int | None = None
    spread: bool = False
    leave_out: LeaveOut | None = None


class Protocol(StrEnum):
    """What carries a query."""

    UDP = "UDP"
    TCP = "TCP"
    ICMP = "ICMP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of each target: a DNS identity query (with NSID in the same packet), a ping or a traceroute.

    `protocol` is UDP or TCP of a DNS query (None: UDP), ICMP, UDP or TCP of a traceroute (None: ICMP); `packets` is how
    many a ping sends, and a traceroute for each hop.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    kind: Kind
    name: str = "hostname.bind"
    nsid: bool = True
    protocol: Protocol | None = None
    packets: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When to measure: once, or every `interval_s` seconds from `start` for `rounds` or to `stop`.

    Around a planned change it is from `before_s` before `change_at` to `after_s` after it; what is measured within
    `settle_s` after the change, while routes still move, belongs neither to the window before nor to that after. Of
    measurements that are reused, what was measured from `start` to `stop` is read: by default the last 15 minutes.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    interval_s: int | None = None
    rounds: int | None = None
    start: datetime | None = None
    stop: datetime | None = None
    change_at: datetime | None = None
    before_s: int = 3600
    after_s: int = 3600
    settle_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the campaign may cost at most."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    credits: int | None = None
    results: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What RIPE Atlas allows one account, unless more was asked for and granted."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    concurrent_measurements: int = 100
    probes_per_measurement: int = 1000
    results_per_day: int = 100_000
    results_per_second_per_measurement: int = 50
    credits_per_day: int = 1_000_000
    measurements_per_target: int = 25


class ChangeName(StrEnum):
    """What may happen to the routes and servers of a service in the sandbox or in a lab."""

    WITHDRAW = "withdraw"  # a site announces no more
    ANNOUNCE = "announce"  # a site that was withdrawn announces again
    PREPEND = "prepend"  # a site makes its AS paths longer
    NEW_SITE = "new-site"  # a site at a new place
    LEAK = "leak"  # a network tells its providers and peers what it heard from others of them
    HIJACK = "hijack"  # a network announces the service's prefix as its own
    FAIL = "fail"  # the servers of a site die; its route stays, and its address still answers pings
    RECOVER = "recover"  # they are back


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One route change, `after_s` seconds from the start of the sandbox; in a lab, from when its routes may change.

    `site` is a site's code (of `new-site`: the IATA code of its town), `asn` who leaks or hijacks (None: one that the
    sandbox chooses by its seed), `prepend` how often a site repeats its AS, `more_specific` whether the hijacked prefix
    is longer, so that it catches everybody. `service` may be left out where only one is measured.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    change: ChangeName
    after_s: float = 0.0
    service: str | None = None
    site: str | None = None
    asn: int | None = None
    prepend: int = 3
    more_specific: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The simulated Internet of a campaign: generated from `seed`, or read from the file `topology`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    seed: int = 1
    topology: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """This host as a vantage point: `name` it (else it is called as the host is), and say where it is.

    `place` is a town, the IATA code of one, or "LATITUDE,LONGITUDE". At most `rate_per_s` packets leave a second.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    name: str | None = None
    place: str | None = None
    rate_per_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab: the file of its `topology`, and what happens there.

    All vantage points measure; then, if there are `changes`, each sends `stream_per_s` queries a second for `before_s`
    until the first change and for `settle_s` from then on; then all measure again. So `RUN[before]` is all until the
    change, `RUN[after]` all from `settle_s` after it.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    topology: str | None = None
    changes: tuple[Change, ...] = ()
    stream_per_s: float = 50.0
    before_s: float = 1.0
    settle_s: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """The plan of a measurement: which targets, from where, by which queries, when, and for how much.

    `reuse` names measurements that run already, to read instead of asking anew: no key, no credits; a kind (dns, ping,
    traceroute) names those of RIPE Atlas's own that the service's file knows for the targets. Without
    `vantage_points` all of theirs count; a new measurement then asks 50 anywhere. Where routes are traced,
    `resolve_names` has the DNS asked for the names of the last routers before the targets: they often hold the town.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    name: str
    platform: PlatformName
    targets: tuple[CampaignTarget, ...]
    queries: tuple[Query, ...] = (Query(kind=Kind.DNS), Query(kind=Kind.PING))
    reuse: tuple[int | Kind, ...] = ()
    vantage_points: VantagePoints | None = None
    schedule: Schedule = Schedule()
    budget: Budget = Budget()
    limits: Limits = Limits()
    resolve_names: bool = True
    sandbox: Sandbox = Sandbox()
    local: Local = Local()
    lab: Lab = Lab()
