"""What becomes of a POST: its body checked, its cost held against the limits, and measurements made of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from catchment.model import Kind
from catchment.platforms.sandbox.api.definitions import Definition, read_definition, read_time
from catchment.platforms.sandbox.api.exchange import Problem, Refusal, exceeded, invalid
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import ONGOING, SCHEDULED, Measurement
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.schedule import Schedule
from catchment.platforms.sandbox.api.sources import ALL, choose, read_sources, requested

_DAY_S = 86_400
_DEFAULT_INTERVAL_S = {Kind.DNS: 240, Kind.PING: 240, Kind.TRACEROUTE: 900}
_LATE_START_S = 300  # a start that has just gone by is meant as now


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account may do at most."""

    measurements_per_target: int = 25
    results_per_day: int = 100_000
    probes_per_measurement: int = 1000
    concurrent_measurements: int = 100
    credits_per_day: int = 1_000_000


USUAL_LIMITS = Limits()


def accept(body: Any, ledger: Ledger, probes: Probes, *, now: float, limits: Limits, balance: int) -> list[Measurement]:
    """Turn the body of a POST into running measurements, one for each definition. Raises Refusal, with all reasons."""
    if not isinstance(body, Mapping):
        raise invalid([Problem(detail="Invalid data. Expected a dictionary.")])
    definitions, problems = _definitions(body)
    sources, more = read_sources(body.get("probes"), probes, ledger.members)
    times, wrong_times = _times(body, now)
    problems += more + wrong_times
    if problems:
        raise invalid(problems)
    with ledger.lock:
        families = sorted({definition.af for definition in definitions})
        participants = choose(sources, families, probes, ledger.members, str(ledger.next_id()))
        wanted = requested(sources)
        new = []
        for number, definition in enumerate(definitions):
            schedule = _schedule(definition, f"/definitions/{number}", times, now, oneoff=bool(body.get("is_oneoff")))
            new.append(
                Measurement(
                    id=0,
                    group=0,
                    definition=definition,
                    schedule=schedule,
                    participants=participants,
                    requested=wanted,
                    created=now,
                    sources=tuple(body["probes"]),
                )
            )
        _check_limits(new, ledger, now, limits)
        cost = sum(results_in_a_day(entry) * entry.credits_per_result for entry in new)
        if cost > balance:
            detail = f"Your account does not have enough credits: this needs {cost:.0f}, you have {balance}."
            raise Refusal(HTTPStatus.PAYMENT_REQUIRED, detail)
        return ledger.add(new)


def results_in_a_day(measurement: Measurement) -> float:
    """Return how many results a measurement brings in its first day, as RIPE Atlas estimates it."""
    schedule = measurement.schedule
    if schedule.interval_s is None:
        return float(len(measurement.participants))
    lasts_s = _DAY_S if schedule.end is None else min(_DAY_S, max(0.0, schedule.end - schedule.start))
    return len(measurement.participants) * lasts_s / schedule.interval_s


def current_results_per_day(ledger: Ledger, now: float) -> float:
    """Return the results a day of all that runs, and of the one-offs of the last day."""
    return sum(
        results_in_a_day(found)
        for found in ledger.own()
        if (found.created > now - _DAY_S if found.is_oneoff else _runs(found, ledger, now))
    )


def _definitions(body: Mapping[str, Any]) -> tuple[list[Definition], list[Problem]]:
    given = body.get("definitions")
    if not isinstance(given, list) or not given:
        return [], [Problem(pointer="/definitions", detail="This field is required.")]
    definitions, problems = [], []
    for number, entry in enumerate(given):
        definition, found = read_definition(entry, f"/definitions/{number}")
        problems += found
        if definition is not None:
            definitions.append(definition)
    return definitions, problems


def _times(body: Mapping[str, Any], now: float) -> tuple[dict[str, int], list[Problem]]:
    times: dict[str, int] = {}
    problems = []
    for name in ("start_time", "stop_time"):
        if body.get(name) is not None:
            try:
                times[name] = read_time(body[name])
            except ValueError as error:
                problems.append(Problem(pointer=f"/{name}", detail=str(error)))
    if times.get("start_time", now) < now - _LATE_START_S:
        problems.append(Problem(pointer="/start_time", detail="The start time must not lie in the past."))
    if not isinstance(body.get("is_oneoff", False), bool):
        problems.append(Problem(pointer="/is_oneoff", detail="Must be a valid boolean."))
    return times, problems


def _schedule(definition: Definition, place: str, times: Mapping[str, int], now: float, *, oneoff: bool) -> Schedule:
    """Return when a definition is measured. Raises Refusal where it would end before it begins."""
    soonest = math.ceil(now)
    start = max(soonest, definition.start or times.get("start_time", soonest))
    if oneoff or definition.is_oneoff:
        return Schedule(kind=definition.kind, start=start, interval_s=None, spread_s=definition.spread_s)
    end = definition.stop if definition.stop is not None else times.get("stop_time")
    if end is not None and end <= start:
        pointer = "/stop_time" if definition.stop is None else f"{place}/stop_time"
        raise invalid([Problem(pointer=pointer, detail="The stop time must be later than the start time.")])
    interval_s = definition.interval_s or _DEFAULT_INTERVAL_S[definition.kind]
    return Schedule(kind=definition.kind, start=start, interval_s=interval_s, spread_s=definition.spread_s, end=end)


def _check_limits(new: Sequence[Measurement], ledger: Ledger, now: float, limits: Limits) -> None:
    probes = max(new[0].requested, len(new[0].participants) if new[0].requested == ALL else 0)
    if probes > limits.probes_per_measurement:
        raise exceeded(
            f"You requested {probes} probes, which is higher than your maximum of {limits.probes_per_measurement} "
            "probes per measurement."
        )
    running = [found for found in ledger.own() if _runs(found, ledger, now)]
    if len(running) + len(new) > limits.concurrent_measurements:
        raise exceeded(
            f"We do not allow more than {limits.concurrent_measurements} concurrent measurements. "
            "Please stop some of your currently running measurements and try again."
        )
    targets = Counter(found.definition.address for found in [*running, *new])
    for target in {found.definition.address: None for found in new}:
        if targets[target] > limits.measurements_per_target:
            raise exceeded(
                f"We do not allow more than {limits.measurements_per_target} concurrent measurements to the same "
                f"target: {target}."
            )
    current = current_results_per_day(ledger, now)
    more = sum(map(results_in_a_day, new))
    if current + more > limits.results_per_day:
        raise exceeded(
            f"Executing this measurement request will increase your current ({current:.0f}) number of results by "
            f"{more:.1f} totalling {current + more:.1f} which is higher than your maximum daily results limit "
            f"{limits.results_per_day}. Please stop some of your currently running measurements and try again."
        )


def _runs(measurement: Measurement, ledger: Ledger, now: float) -> bool:
    return measurement.status(now, ledger.lags) in (SCHEDULED, ONGOING)
