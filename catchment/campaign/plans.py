"""What a campaign file says: which targets, from where, by which queries, when, on which platform, and for how much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from catchment.model import AddressFamily, Kind

_FORBID_UNKNOWN = {"extra": "forbid"}


class PlatformName(StrEnum):
    """Where a campaign's measurements come from."""

    ATLAS = "atlas"
    SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignTarget:
    """A service to measure, at its current address of one family or at one named address."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    service: str
    af: AddressFamily = 4
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VantagePoints:
    """Which vantage points to ask, chosen by `seed`; the sources add up, `include_tags` and `exclude_tags` narrow them.

    `area` is WW or a continent (europe, north-america, …); it counts where no countries, asns or ids are given.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    count: int = 50
    seed: int = 1
    area: str = "WW"
    countries: tuple[str, ...] = ()
    asns: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    include_tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of each target: a DNS identity query (with NSID in the same packet), a ping or a traceroute."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    kind: Kind
    name: str = "hostname.bind"
    nsid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When to measure: once, or every `interval_s` seconds from `start` for `rounds` or to `stop`.

    Of measurements that are reused, what was measured from `start` to `stop` is read: by default the last 15 minutes.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    interval_s: int | None = None
    rounds: int | None = None
    start: datetime | None = None
    stop: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the campaign may cost at most."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    credits: int | None = None
    results: int | None = None


class ChangeName(StrEnum):
    """What may happen to the routes of a simulated service."""

    WITHDRAW = "withdraw"  # a site announces no more
    ANNOUNCE = "announce"  # a site that was withdrawn announces again
    PREPEND = "prepend"  # a site makes its AS paths longer
    NEW_SITE = "new-site"  # a site at a new place
    LEAK = "leak"  # a network tells its providers and peers what it heard from others of them
    HIJACK = "hijack"  # a network announces the service's prefix as its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One route change, `after_s` seconds from the start of the sandbox.

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
class Campaign:
    """The plan of a measurement: which targets, from where, by which queries, when, and for how much.

    `reuse` names measurements that run already, to read instead of asking anew: no key, no credits. Without
    `vantage_points` all of theirs count; a new measurement then asks 50 anywhere. Where routes are traced,
    `resolve_names` has the DNS asked for the names of the last routers before the targets: they often hold the town.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    name: str
    platform: PlatformName
    targets: tuple[CampaignTarget, ...]
    queries: tuple[Query, ...] = (Query(kind=Kind.DNS), Query(kind=Kind.PING))
    reuse: tuple[int, ...] = ()
    vantage_points: VantagePoints | None = None
    schedule: Schedule = Schedule()
    budget: Budget = Budget()
    resolve_names: bool = True
    sandbox: Sandbox = Sandbox()
