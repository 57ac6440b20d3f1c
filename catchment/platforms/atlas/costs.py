"""What a plan asks for: results and credits, held against the limits of an account and the campaign's own budget.

Formulas: RIPE Atlas documentation, "Credit system". They are estimates: what the API says of a measurement is binding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from catchment.campaign import Budget, Limits, Query, Schedule
from catchment.model import AddressFamily, Kind, Target

PACKETS = 3
SIZE_BYTES = 48
ONE_OFF_SPREAD_S = 60
"""Over how many seconds the probes of a one-off are taken to spread; RIPE Atlas documents no figure."""

_LARGEST_PACKET_BYTES = 1500
_LONGEST_SPREAD_S = 400
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMeasurement:
    """One measurement that a plan asks for; `results` and `credits` are None where it never ends."""

    kind: Kind
    target: str
    af: AddressFamily
    query: str | None
    probes: int
    results: int | None
    credits: int | None
    results_per_day: int
    credits_per_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit and what the plan comes to; `value` is None where the plan has no end."""

    name: str
    value: float | None
    limit: int
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a campaign asks for; totals are None where it never ends. `dataclasses.asdict` makes it JSON."""

    probes: int
    measurements: tuple[PlannedMeasurement, ...]
    results: int | None
    credits: int | None
    results_per_day: int
    credits_per_day: int
    limits: tuple[Limit, ...]


def credits_per_result(
    kind: Kind, *, one_off: bool, packets: int = PACKETS, size_bytes: int = SIZE_BYTES, tcp: bool = False
) -> int:
    """Return a result's price: DNS 10 (TCP 20), ping 1 and traceroute 10 per packet of 1500 bytes; one-off twice."""
    per_packet = packets * (size_bytes // _LARGEST_PACKET_BYTES + 1)
    cost = {Kind.DNS: 20 if tcp else 10, Kind.PING: per_packet, Kind.TRACEROUTE: 10 * per_packet}[kind]
    return cost * (2 if one_off else 1)


def times(schedule: Schedule, earliest: float) -> tuple[float, float | None]:
    """Return start and stop of a schedule, seconds since 1970 UTC; None: it never stops, or (a one-off) need not."""
    start = earliest if schedule.start is None else schedule.start.timestamp()
    if schedule.interval_s is None:
        return start, None
    if schedule.rounds is not None:
        return start, start + schedule.rounds * schedule.interval_s
    return start, None if schedule.stop is None else schedule.stop.timestamp()


def estimate(
    targets: Sequence[Target],
    queries: Sequence[Query],
    schedule: Schedule,
    *,
    budget: Budget,
    probes: int | Mapping[int, int],
    now: float,
    limits: Limits,
) -> Plan:
    """Return what it takes to ask each target each query from so many probes (a number, or one per address family)."""
    per_family = probes if isinstance(probes, Mapping) else {target.af: probes for target in targets}
    measurements = tuple(
        _planned(target, query, part, schedule, now)
        for target in targets
        for part in _parts(per_family.get(target.af, 0), limits.probes_per_measurement)
        for query in queries
    )
    endless = any(one.results is None for one in measurements)
    results = None if endless else sum(one.results or 0 for one in measurements)
    cost = None if endless else sum(one.credits or 0 for one in measurements)
    results_per_day = sum(one.results_per_day for one in measurements)
    credits_per_day = sum(one.credits_per_day for one in measurements)
    largest = max((one.probes for one in measurements), default=0)
    per_target = Counter(one.target for one in measurements)
    checks: list[tuple[str, float | None, int | None]] = [
        ("concurrent measurements", len(measurements), limits.concurrent_measurements),
        ("measurements to one target", max(per_target.values(), default=0), limits.measurements_per_target),
        ("probes per measurement", largest, limits.probes_per_measurement),
        (
            "results per second of a measurement",
            round(largest / _spread_s(schedule), 1),
            limits.results_per_second_per_measurement,
        ),
        ("results per day", results_per_day, limits.results_per_day),
        ("credits per day", credits_per_day, limits.credits_per_day),
        ("results in the campaign's budget", results, budget.results),
        ("credits in the campaign's budget", cost, budget.credits),
    ]
    return Plan(
        probes=max(per_family.values(), default=0),
        measurements=measurements,
        results=results,
        credits=cost,
        results_per_day=results_per_day,
        credits_per_day=credits_per_day,
        limits=tuple(
            Limit(name=name, value=value, limit=limit, ok=value is not None and value <= limit)
            for name, value, limit in checks
            if limit is not None
        ),
    )


def _planned(target: Target, query: Query, probes: int, schedule: Schedule, now: float) -> PlannedMeasurement:
    """Count one measurement. A day holds no more results than the whole measurement has."""
    price = credits_per_result(query.kind, one_off=schedule.interval_s is None)
    start, stop = times(schedule, now)
    rounds: int | None = 1
    a_day = 1.0
    if schedule.interval_s is not None:
        rounds = None if stop is None else max(0, math.ceil((stop - start) / schedule.interval_s))
        a_day = _DAY_S / schedule.interval_s if rounds is None else min(_DAY_S / schedule.interval_s, rounds)
    results, daily = None if rounds is None else probes * rounds, math.ceil(probes * a_day)
    return PlannedMeasurement(
        kind=query.kind,
        target=target.address,
        af=target.af,
        query=query.name if query.kind is Kind.DNS else None,
        probes=probes,
        results=results,
        credits=None if results is None else results * price,
        results_per_day=daily,
        credits_per_day=daily * price,
    )


def _parts(probes: int, largest: int) -> list[int]:
    return [min(largest, probes - start) for start in range(0, probes, largest)]


def _spread_s(schedule: Schedule) -> float:
    """Return over how many seconds the probes of a round spread: by default half the interval, at most 400 s."""
    return ONE_OFF_SPREAD_S if schedule.interval_s is None else max(1, min(_LONGEST_SPREAD_S, schedule.interval_s / 2))
