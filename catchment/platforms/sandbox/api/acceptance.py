"""What becomes of a POST: its body checked, its cost held against the limits, and measurements made of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from catchment.model import Kind
from catchment.platforms.sandbox.api.definitions import Definition, known_fields, read_definition
from catchment.platforms.sandbox.api.exchange import Problem, Refusal, exceeded, invalid
from catchment.platforms.sandbox.api.fields import read_time
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import ONGOING, SCHEDULED, SPECIFIED, Measurement
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.schedule import Schedule
from catchment.platforms.sandbox.api.sources import ALL, SOURCE_FIELDS, choose, read_sources, requested

_DAY_S = 86_400
_DEFAULT_INTERVAL_S = {Kind.DNS: 240, Kind.PING: 240, Kind.TRACEROUTE: 900}
_LATE_START_S = 300  # a start that has just gone by is meant as now
_FIELDS = frozenset({"definitions", "probes", "is_oneoff", "start_time", "stop_time", "bill_to"})
_IGNORED = "This field is not implemented, it has been ignored."


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
        cost = sum(entry.results_in_a_day * entry.credits_per_result for entry in new)
        if cost > balance:
            detail = f"Your account does not have enough credits: this needs {cost:.0f}, you have {balance}."
            raise Refusal(HTTPStatus.PAYMENT_REQUIRED, detail)
        return ledger.add(new)


def ignored(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a warning for each field of an accepted body that nothing reads, as RIPE Atlas words its warnings."""
    places = [("", body, _FIELDS)]
    places += [(f"/definitions/{at}", given, known_fields(given)) for at, given in enumerate(body["definitions"])]
    places += [(f"/probes/{at}", given, SOURCE_FIELDS) for at, given in enumerate(body["probes"])]
    return [
        {"source": {"pointer": f"{place}/{_escaped(name)}"}, "detail": [_IGNORED]}
        for place, given, known in places
        for name in given
        if name not in known
    ]


def check_participants(probes: int, limits: Limits) -> None:
    """Raise Refusal where these are too many for one measurement."""
    if probes > limits.probes_per_measurement:
        raise exceeded(
            f"You requested {probes} probes, which is higher than your maximum of {limits.probes_per_measurement} "
            "probes per measurement."
        )


def current_results_per_day(ledger: Ledger, now: float) -> float:
    """Return the results a day of all that runs, and of the one-offs of the last day."""
    return sum(
        found.results_in_a_day
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
            if definition.interval_s is not None and (definition.is_oneoff or body.get("is_oneoff") is True):
                pointer = f"/definitions/{number}/interval"
                problems.append(Problem(pointer=pointer, detail="A one-off measurement has no interval."))
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
    check_participants(max(new[0].requested, len(new[0].participants) if new[0].requested == ALL else 0), limits)
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
    more = sum(entry.results_in_a_day for entry in new)
    if current + more > limits.results_per_day:
        raise exceeded(
            f"Executing this measurement request will increase your current ({current:.0f}) number of results by "
            f"{more:.1f} totalling {current + more:.1f} which is higher than your maximum daily results limit "
            f"{limits.results_per_day}. Please stop some of your currently running measurements and try again."
        )


def _runs(measurement: Measurement, ledger: Ledger, now: float) -> bool:
    return measurement.status(now, ledger.lags) in (SPECIFIED, SCHEDULED, ONGOING)


def _escaped(name: str) -> str:
    """Return a name as a part of a JSON pointer (RFC 6901, 3)."""
    return name.replace("~", "~0").replace("/", "~1")
