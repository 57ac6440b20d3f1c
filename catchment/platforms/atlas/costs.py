"""What a plan asks for: results and credits, exactly, as far as all vantage points report.

Formulas: RIPE Atlas documentation, "Credit system". What the API says of a measurement is binding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from catchment.campaign import Protocol, Query, Schedule
from catchment.model import AddressFamily, Kind, Target

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
    protocol: Protocol | None
    packets: int | None
    probes: int
    results: int | None
    credits: int | None
    results_per_day: int
    credits_per_day: int
    is_stream: bool = False  # it goes on and on while routes change


def credits_per_result(query: Query, *, one_off: bool, size_bytes: int = SIZE_BYTES) -> int:
    """Return a result's price: DNS 10 (TCP 20), ping 1 and traceroute 10 per packet of 1500 bytes; one-off twice."""
    per_packet = query.packets * (size_bytes // _LARGEST_PACKET_BYTES + 1)
    dns = 20 if query.protocol is Protocol.TCP else 10
    cost = {Kind.DNS: dns, Kind.PING: per_packet, Kind.TRACEROUTE: 10 * per_packet}[query.kind]
    return cost * (2 if one_off else 1)


def times(schedule: Schedule, earliest: float) -> tuple[float, float | None]:
    """Return start and stop of a schedule, whole seconds since 1970 UTC; None: a one-off needs no stop.

    It stops so that its last round is whole, and every vantage point is asked equally often: never between the start of
    a round and the end of its spread. Where there is no time for even one round, it stops as it starts.
    """
    begin, end = schedule.start, schedule.stop
    start = float(math.ceil(earliest if begin is None else begin.timestamp()))
    stop = None if end is None else float(math.floor(end.timestamp()))
    if schedule.change_at is not None:
        changed = schedule.change_at.timestamp()
        start, stop = float(math.ceil(changed - schedule.before_s)), float(math.floor(changed + schedule.after_s))
    if schedule.interval_s is None:
        return start, None
    if schedule.rounds is not None:
        return start, start + schedule.rounds * schedule.interval_s
    if stop is None:
        return start, None
    return start, max(start, min(stop, start + _whole_rounds(schedule.interval_s, stop - start) * schedule.interval_s))


def rounds(schedule: Schedule, earliest: float) -> int | None:
    """Return how often each vantage point is asked; None where that never ends."""
    if schedule.interval_s is None:
        return 1
    start, stop = times(schedule, earliest)
    return None if stop is None else _whole_rounds(schedule.interval_s, stop - start)


def spread_s(schedule: Schedule) -> float:
    """Return over how many seconds the probes of a round spread: by default half the interval, at most 400 s."""
    return ONE_OFF_SPREAD_S if schedule.interval_s is None else min(_LONGEST_SPREAD_S, schedule.interval_s / 2)


def count(target: Target, query: Query, probes: int, schedule: Schedule, turns: int | None) -> PlannedMeasurement:
    """Return a measurement in which so many probes are asked in so many rounds (`turns`; None: it never ends).

    A day holds no more results than the whole measurement has.
    """
    price = credits_per_result(query, one_off=schedule.interval_s is None)
    results = None if turns is None else probes * turns
    # Whole numbers: 86,400 / 294 * 147 is 43,200, and a little more in floats, which would be a result too many.
    daily = probes if schedule.interval_s is None else -(-probes * _DAY_S // schedule.interval_s)
    daily = daily if results is None else min(daily, results)
    return PlannedMeasurement(
        kind=query.kind,
        target=target.address,
        af=target.af,
        query=query.name if query.kind is Kind.DNS else None,
        protocol=query.protocol,
        packets=None if query.kind is Kind.DNS else query.packets,
        probes=probes,
        results=results,
        credits=None if results is None else results * price,
        results_per_day=daily,
        credits_per_day=daily * price,
    )


def _whole_rounds(interval_s: int, lasts_s: float) -> int:
    """Return how many rounds there are whose last vantage point, too, is asked before the end."""
    spread = spread_s(Schedule(interval_s=interval_s))
    return max(0, math.ceil((lasts_s - spread) / interval_s))
