"""A plan held against the limits of an account and a campaign's own budget: what is too much, and what to lower."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from catchment.campaign import Budget, Limits, Query, Schedule
from catchment.errors import InvalidFile
from catchment.model import Target
from catchment.platforms.atlas.costs import PlannedMeasurement, count, rounds, spread_s, times

COUNT, IDS = "vantage_points.count", "vantage_points.ids"
INTERVAL, ROUNDS = "schedule.interval_s", "schedule.rounds"
QUERIES, TARGETS = "queries", "targets"
"""Keys of a campaign that make its plan smaller: the interval when it is raised, count and rounds when they are
lowered, the others when there are fewer."""

_LONGEST_INTERVAL_S = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit and what the plan comes to; `value` is None where the plan has no end.

    `key` sets the limit. Where it is exceeded, `over` says by how much, and `remedies` to what each of some keys would
    have to be changed, alone, to keep it. `note` is what else there is to know.
    """

    name: str
    value: float | None
    limit: int
    ok: bool
    key: str
    over: float | None = None
    remedies: dict[str, int] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a campaign asks for; totals are None where it never ends. `dataclasses.asdict` makes it JSON."""

    probes: int
    rounds: int | None
    measurements: tuple[PlannedMeasurement, ...]
    results: int | None
    credits: int | None
    results_per_day: int
    credits_per_day: int
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be asked: each target each query, of so many probes in each address family.

    It begins at `earliest` (seconds since 1970 UTC), if the schedule says nothing else.
    """

    targets: Sequence[Target]
    queries: Sequence[Query]
    schedule: Schedule
    probes: Mapping[int, int]
    limits: Limits
    budget: Budget
    earliest: float

    def measurements(self) -> tuple[PlannedMeasurement, ...]:
        """Return the measurements that it takes, each of as many probes as one may have."""
        turns, largest = rounds(self.schedule, self.earliest), self.limits.probes_per_measurement
        return tuple(
            count(target, query, min(largest, probes - first), self.schedule, turns)
            for target in self.targets
            for probes in (self.probes.get(target.af, 0),)
            for first in range(0, probes, largest)
            for query in self.queries
        )


Value = Callable[[Wish, Sequence[PlannedMeasurement]], float | None]


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a limit is told, where it stands, and what it limits."""

    name: str
    key: str
    value: Value
    note: str | None = None


def _total(field_name: str) -> Value:
    def total(_: Wish, measurements: Sequence[PlannedMeasurement]) -> float | None:
        values = [getattr(one, field_name) for one in measurements]
        return None if None in values else sum(values)

    return total


def _number(_: Wish, measurements: Sequence[PlannedMeasurement]) -> int:
    return len(measurements)


def _largest(_: Wish, measurements: Sequence[PlannedMeasurement]) -> int:
    return max((one.probes for one in measurements), default=0)


def _to_one_target(_: Wish, measurements: Sequence[PlannedMeasurement]) -> int:
    return max(Counter(one.target for one in measurements).values(), default=0)


def _a_second(wish: Wish, measurements: Sequence[PlannedMeasurement]) -> float:
    return math.ceil(10 * _largest(wish, measurements) / spread_s(wish.schedule)) / 10  # rounded up: 50.01 is too much


_RULES = (
    _Rule("concurrent measurements", "limits.concurrent_measurements", _number),
    _Rule(
        "measurements to one target",
        "limits.measurements_per_target",
        _to_one_target,
        "RIPE Atlas counts those of all its users",
    ),
    _Rule("probes per measurement", "limits.probes_per_measurement", _largest),
    _Rule("results per second of a measurement", "limits.results_per_second_per_measurement", _a_second),
    _Rule("results per day", "limits.results_per_day", _total("results_per_day")),
    _Rule("credits per day", "limits.credits_per_day", _total("credits_per_day")),
    _Rule("results in the campaign's budget", "budget.results", _total("results")),
    _Rule("credits in the campaign's budget", "budget.credits", _total("credits")),
)


def estimate(wish: Wish) -> Plan:
    """Return what a wish comes to, and whether it keeps the limits."""
    measurements = wish.measurements()
    results, cost, a_day, cost_a_day = (
        _total(name)(wish, measurements) for name in ("results", "credits", "results_per_day", "credits_per_day")
    )
    return Plan(
        probes=max(wish.probes.values(), default=0),
        rounds=rounds(wish.schedule, wish.earliest),
        measurements=measurements,
        results=None if results is None else int(results),
        credits=None if cost is None else int(cost),
        results_per_day=int(a_day or 0),
        credits_per_day=int(cost_a_day or 0),
        limits=tuple(_hold(wish, measurements, rule) for rule in _RULES if _allowed(wish, rule) is not None),
    )


def _allowed(wish: Wish, rule: _Rule) -> int | None:
    part, _, name = rule.key.partition(".")
    allowed: int | None = getattr(wish.limits if part == "limits" else wish.budget, name)
    return allowed


def _hold(wish: Wish, measurements: Sequence[PlannedMeasurement], rule: _Rule) -> Limit:
    value, allowed = rule.value(wish, measurements), _allowed(wish, rule) or 0
    ok = value is not None and value <= allowed
    return Limit(
        name=rule.name,
        value=value,
        limit=allowed,
        ok=ok,
        key=rule.key,
        over=None if ok or value is None else round(value - allowed, 1),
        remedies={} if ok else dict(_remedies(wish, rule, allowed)),
        note=rule.note,
    )


def _remedies(wish: Wish, rule: _Rule, allowed: int) -> Iterator[tuple[str, int]]:
    """Yield each key that alone can make the plan keep a limit, and the nearest value that does."""

    def keeps(**changed: Any) -> bool:
        smaller = replace(wish, **changed)
        value = rule.value(smaller, smaller.measurements())
        return value is not None and value <= allowed

    def with_most_probes(most: int) -> bool:
        return keeps(probes={af: min(number, most) for af, number in wish.probes.items()})

    schedule, measurements = wish.schedule, wish.measurements()
    found: dict[str, int | None] = {COUNT: _most(max(wish.probes.values(), default=0), with_most_probes)}
    if rule.value in (_number, _to_one_target):
        found[QUERIES] = int(allowed * len(wish.queries) // (rule.value(wish, measurements) or 1))
        found[TARGETS] = allowed // _to_one_target(wish, measurements) if rule.value is _number else None
    elif schedule.interval_s is not None:
        found[INTERVAL] = _least(
            schedule.interval_s, _longest_s(wish), lambda most: keeps(schedule=replace(schedule, interval_s=most))
        )
        if schedule.rounds is not None:
            found[ROUNDS] = _most(schedule.rounds, lambda most: keeps(schedule=replace(schedule, rounds=most)))
    yield from ((key, to) for key, to in found.items() if to)


def _longest_s(wish: Wish) -> int:
    """Return the longest interval that leaves the campaign a round in each of its windows."""
    schedule = wish.schedule
    if schedule.change_at is not None:
        return min(schedule.before_s, schedule.after_s - schedule.settle_s)
    start, stop = times(schedule, wish.earliest)
    return _LONGEST_INTERVAL_S if schedule.rounds is not None or stop is None else int(stop - start)


def _most(above: int, fits: Callable[[int], bool]) -> int | None:
    """Return the most below a number that fits; None where not even 1 does. What fits, fits with less as well."""
    return bisect_right(range(1, above), 0, key=lambda number: not fits(number)) or None


def _least(below: int, most: int, fits: Callable[[int], bool]) -> int | None:
    """Return the least above a number that fits; None where not even the `most` does."""
    numbers = range(below + 1, most + 1)
    return next(iter(numbers[bisect_left(numbers, 1, key=fits) :]), None)


def check_limits(limits: Iterable[Limit]) -> None:
    """Raise InvalidFile where a limit or the campaign's own budget is exceeded, by how much and what to lower."""
    exceeded = [limit for limit in limits if not limit.ok]
    if exceeded:
        told = ", and to ".join(map(_excess, exceeded))
        raise InvalidFile(f"the campaign comes to {told}: {advise(exceeded)}; nothing was asked for")


def advise(exceeded: Sequence[Limit]) -> str:
    """Return what to lower or raise, any one of them, so that all these limits are kept."""
    ways = []
    for key in exceeded[0].remedies:
        values = [limit.remedies[key] for limit in exceeded if key in limit.remedies]
        if len(values) < len(exceeded):
            continue
        if key == INTERVAL:
            ways.append(f"raise {key} to {max(values)}")
        elif key in {IDS, QUERIES, TARGETS}:
            ways.append(f"name only {min(values)} of the {key}")
        else:
            ways.append(f"lower {key} to {min(values)}")
    if not ways:
        ways = ["ask fewer targets or queries, of fewer vantage points, or less often"]
    own = [limit.key for limit in exceeded if limit.key.startswith("budget.")]
    granted = [limit.key for limit in exceeded if limit.key not in own]
    if own:
        ways.append(f"raise {' and '.join(own)}")
    if granted:
        ways.append(f"raise {' and '.join(granted)} where RIPE Atlas grants you more")
    return ", or ".join(ways) if not (own and granted) else f"{', or '.join(ways[:-1])}, and {ways[-1]}"


def _excess(limit: Limit) -> str:
    if limit.value is None:
        return f"{limit.name} without end, of which {limit.limit:,} are allowed"
    return f"{limit.value:,} {limit.name}, {limit.over:,} more than the {limit.limit:,} allowed"
