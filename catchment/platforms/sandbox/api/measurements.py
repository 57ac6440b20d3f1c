"""Measurements: what was asked, who takes part, when it runs, and how far it is."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from catchment.model import AddressFamily, Kind
from catchment.platforms.sandbox.api.definitions import Definition, read_definition
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.schedule import Schedule

_DAY_S = 86_400
_BUILT_IN_INTERVAL_S = {Kind.DNS: 240, Kind.PING: 240, Kind.TRACEROUTE: 1800}
_BUILT_IN_HISTORY_S = _DAY_S
_LARGEST_PACKET_BYTES = 1500

Status = tuple[int, str]
SPECIFIED: Status = (0, "Specified")
SCHEDULED: Status = (1, "Scheduled")
ONGOING: Status = (2, "Ongoing")
STOPPED: Status = (4, "Stopped")
NO_SUITABLE_PROBES: Status = (6, "No suitable probes")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltInTarget:
    """A measurement that runs all the time from everywhere: `query` is a CHAOS name, or a type and a name (`SOA .`)."""

    id: int
    kind: Kind
    af: AddressFamily
    query: str | None
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lags:
    """How far the API is behind what really is, in seconds of the sandbox.

    After its creation, a measurement has no probes for `probes_s`, its results are not found at all for `results_s`,
    and lists lack it for `listing_s`; its status lags behind its start and its end.
    """

    probes_s: float = 2.0
    results_s: float = 5.0
    listing_s: float = 20.0
    start_s: float = 5.0
    end_s: float = 60.0


USUAL_LAGS = Lags()


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A time in which a probe takes part: from `start`, and before `end` (None: as long as the measurement runs)."""

    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A measurement that runs, ran or will run; `group` is the first one of its POST (None: a built-in).

    `requested` is how many probes were asked for (-1: all), `participants` those that take part now, `stopped_at` when
    somebody stopped it. `terms` are the times of the probes that joined or left later than the measurement began, in
    their order, and `requests` the participation requests that made them do so.
    """

    id: int
    group: int | None
    definition: Definition
    schedule: Schedule
    participants: tuple[int, ...]
    requested: int
    created: float
    sources: tuple[Mapping[str, Any], ...] = ()
    stopped_at: float | None = None
    terms: Mapping[int, tuple[Term, ...]] = field(default_factory=dict)
    requests: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_oneoff(self) -> bool:
        """Tell whether it has one round only."""
        return self.schedule.interval_s is None

    @property
    def is_built_in(self) -> bool:
        """Tell whether it belongs to RIPE Atlas itself: public, and free."""
        return self.group is None

    @property
    def credits_per_result(self) -> int:
        """Return what each result costs."""
        return 0 if self.is_built_in else credits_per_result(self.definition, is_oneoff=self.is_oneoff)

    @property
    def results_in_a_day(self) -> float:
        """Return how many results it brings in its first day, as RIPE Atlas estimates it."""
        schedule = self.schedule
        if schedule.interval_s is None:
            return float(len(self.participants))
        lasts_s = _DAY_S if schedule.end is None else min(_DAY_S, max(0.0, schedule.end - schedule.start))
        return len(self.participants) * lasts_s / schedule.interval_s

    @property
    def over_at(self) -> float | None:
        """Return when it is over: stopped by somebody, or with its last result. None where neither is to come."""
        ends = [at for at in (self.stopped_at, self.schedule.last_arrival) if at is not None]
        return min(ends, default=None)

    @property
    def ever_participants(self) -> tuple[int, ...]:
        """Return the probes that take part or once did, rising."""
        return tuple(sorted({*self.participants, *self.terms})) if self.terms else self.participants

    def turns(self, vantage: int, now: float) -> tuple[range, ...]:
        """Return the turns of which the results of a probe have arrived by a time, if it reports at all."""
        arrived = self.schedule.delivered(vantage, now)
        if vantage not in self.terms:
            return (range(arrived),)
        before = self.schedule.turns_before
        return tuple(
            range(before(vantage, term.start), arrived if term.end is None else min(arrived, before(vantage, term.end)))
            for term in self.terms[vantage]
        )

    def status(self, now: float, lags: Lags) -> Status:
        """Return its status as the API tells it, some time behind the truth."""
        if now < self.created + lags.probes_s:
            return SPECIFIED
        if not self.participants:
            return NO_SUITABLE_PROBES
        over = self.over_at
        if over is not None and now >= over + lags.end_s:
            return STOPPED
        return SCHEDULED if now < self.schedule.start + lags.start_s else ONGOING

    def entry(self) -> dict[str, Any]:
        """Return the measurement as JSON values, for the journal."""
        return {
            "id": self.id, "group": self.group, "definition": dict(self.definition.given), "start": self.schedule.start,
            "interval_s": self.schedule.interval_s, "spread_s": self.schedule.spread_s, "end": self.schedule.end,
            "participants": self.participants, "requested": self.requested, "created": self.created,
            "sources": self.sources,
        }  # fmt: skip


def credits_per_result(definition: Definition, *, is_oneoff: bool) -> int:
    """Return the credits that one result costs its owner (RIPE Atlas's page "Credit system"); a one-off's cost twice.

    What clients estimate before they ask is worked out elsewhere, on purpose: here is what they are charged.
    """
    options = definition.options
    match definition.kind:
        case Kind.DNS:
            cost = 20 if options["protocol"] == "TCP" else 10
        case Kind.PING:
            cost = options["packets"] * (options["size"] // _LARGEST_PACKET_BYTES + 1)
        case Kind.TRACEROUTE:
            cost = 10 * options["packets"] * (options["size"] // _LARGEST_PACKET_BYTES + 1)
    return int(cost) * (2 if is_oneoff else 1)


def stopped(measurement: Measurement, at: float) -> Measurement:
    """Return a measurement as it is once somebody stopped it."""
    end = measurement.schedule.end
    schedule = replace(measurement.schedule, end=at if end is None else min(at, end))
    return replace(measurement, schedule=schedule, stopped_at=at)


def altered(measurement: Measurement, changes: Mapping[str, Any]) -> Measurement:
    """Return a measurement of which some of `description`, `tags` and `is_public` are others."""
    values: dict[str, Any] = {name: tuple(value) if name == "tags" else value for name, value in changes.items()}
    return replace(measurement, definition=replace(measurement.definition, **values))


def rejoined(
    measurement: Measurement,
    at: float,
    *,
    added: Collection[int],
    removed: Collection[int],
    requests: Sequence[Mapping[str, Any]],
) -> Measurement:
    """Return a measurement as it is once its participants are others, from a time on."""
    terms = dict(measurement.terms)
    for vantage in removed:
        *past, last = terms.get(vantage, (Term(start=measurement.schedule.start),))
        terms[vantage] = (*past, replace(last, end=at))
    for vantage in added:
        terms[vantage] = (*terms.get(vantage, ()), Term(start=at))
    participants = tuple(sorted({*measurement.participants} - {*removed} | {*added}))
    held = (*measurement.requests, *requests)
    return replace(measurement, participants=participants, terms=terms, requests=held)


def from_entry(fields: Mapping[str, Any]) -> Measurement:
    """Return the measurement that an entry of the journal holds."""
    definition, problems = read_definition(fields["definition"])
    if definition is None:
        raise ValueError(f"a journal holds a definition that is refused today: {problems}")
    schedule = Schedule(
        kind=definition.kind, **{name: fields[name] for name in ("start", "interval_s", "spread_s", "end")}
    )
    same = {name: fields[name] for name in ("id", "group", "requested", "created")}
    participants, sources = tuple(fields["participants"]), tuple(fields["sources"])
    return Measurement(definition=definition, schedule=schedule, participants=participants, sources=sources, **same)


def built_in(target: BuiltInTarget, probes: Probes, start: float) -> Measurement:
    """Return a built-in measurement, which ran for a day when the sandbox began at `start`."""
    interval_s = _BUILT_IN_INTERVAL_S[target.kind]
    query = target.query or "hostname.bind"
    asked: dict[str, Any] = {}
    if target.kind is Kind.DNS:
        rdtype, _, name = query.rpartition(" ")
        asked = {
            "query_class": "IN" if rdtype else "CHAOS", "query_type": rdtype or "TXT", "query_argument": name,
        }  # fmt: skip
    elif target.kind is Kind.TRACEROUTE:
        asked = {"protocol": "UDP"}
    given = asked | {
        "type": target.kind.value, "af": target.af, "target": target.address, "interval": interval_s,
        "description": f"Built-in {target.kind} measurement of {target.address}",
    }  # fmt: skip
    definition, problems = read_definition(given)
    if definition is None:
        raise ValueError(f"built-in measurement {target.id}: {problems}")
    began = math.floor(start) - _BUILT_IN_HISTORY_S
    return Measurement(
        id=target.id,
        group=None,
        definition=definition,
        schedule=Schedule(kind=target.kind, start=began, interval_s=interval_s),
        participants=probes.available([target.af]),
        requested=-1,
        created=began - _DAY_S,
    )
