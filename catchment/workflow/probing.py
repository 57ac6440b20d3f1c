"""Measure a campaign from this host: rounds on a schedule, each of them on the disk before the next one begins.

A run that was interrupted goes on with the rounds that are still to come. Those that passed meanwhile are counted as
missed, and nothing is measured twice.
"""

from __future__ import annotations

import re
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from catchment import store
from catchment.campaign import Campaign, Query
from catchment.errors import InvalidRun
from catchment.importers import Probes, point_row, write_asked
from catchment.metrics import iso_time
from catchment.platforms.atlas.costs import times
from catchment.platforms.local.places import HostPlace, find_place
from catchment.platforms.local.vantages import Vantage
from catchment.store import Accepted, Header, Measurement, Stage
from catchment.workflow.estimating import check_own, estimate_local
from catchment.workflow.loading import workbench
from catchment.workflow.planning import check_times
from catchment.workflow.reaching import Means

TIMEOUT_S = 2.0
_PATIENCE = 0.8  # of an interval that is shorter: the next round is not kept waiting
_NAP_S = 1.0  # so often is it told how far a long wait is
_LONGEST_NAME = 63
_LATE_S = 1.0  # a round that begins so much later than it should is told
_ROUND = "round"  # in a result: in which round it was asked, however long that took
_MENTIONED = 3

Seen = defaultdict[int, dict[int, float]]
"""Of each round when each of its measurements was first made, in seconds since 1970 UTC, by the measurement's id."""

Result = dict[str, Any]


class Measure(Protocol):
    """Sends what measurements ask, once each, and yields Atlas-shaped results as they come."""

    def __call__(
        self,
        vantages: Sequence[Vantage],
        measurements: Sequence[Measurement],
        queries: Mapping[int, Query],
        *,
        rate_per_s: float,
        timeout_s: float,
        clock: Callable[[], float],
        source_ports: Mapping[int, int] | None = None,
    ) -> Iterator[Result]:
        """Yield the results; at most `rate_per_s` packets leave a second, DNS from a port by its measurement's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rounds:
    """When rounds begin: `count` of them from `start`, in seconds since 1970 UTC; without an interval it has no end."""

    start: float
    interval_s: int | None
    count: int

    @classmethod
    def of(cls, measurement: Measurement) -> _Rounds:
        """Return the rounds that a measurement was planned with."""
        interval_s, stop = measurement.interval_s, measurement.stop
        if interval_s is None or stop is None:
            return cls(start=measurement.start, interval_s=None, count=1)
        count = round((stop - measurement.start) / interval_s)
        return cls(start=measurement.start, interval_s=interval_s, count=count)

    def begins(self, number: int) -> float:
        """Return when a round begins."""
        return self.start + number * (self.interval_s or 0)

    def is_over(self, number: int, now: float) -> bool:
        """Tell whether a round's time has passed: the next one would begin."""
        return self.interval_s is not None and now >= self.begins(number + 1)

    def of_result(self, result: Result) -> int:
        """Return the round in which something was asked."""
        if self.interval_s is None:
            return 0
        return int(result.get(_ROUND, (float(result["timestamp"]) - self.start) // self.interval_s))


def measure_here(path: Path, header: Header, means: Means, *, measure: Measure | None = None) -> Accepted:
    """Bring a run whose lock is held, from wherever it is, to where all of its results are there.

    `measure` sends the packets (None: from this host). Raises CatchmentError; what was measured until then is kept.
    """
    plan = header.plan
    assert plan is not None  # noqa: S101  (only runs with a plan are measured)
    from catchment.platforms.local.privileges import missing_privileges  # noqa: PLC0415  (sockets are for who sends)

    held = store.read_accepted(path)
    accepted = held or begin(path, header, plan, means.clock())
    missing = missing_privileges(plan.queries)
    if missing is not None:
        means.say(missing)
    vantage = Vantage(name=(accepted.measurements[0].vantage_points or ("",))[0])
    seen = _measure_rounds(path, header, plan, accepted, vantage, means, measure or measure_round_here)
    rounds = _Rounds.of(accepted.measurements[0])
    told = [*_remarks(rounds, seen, len(accepted.measurements))]
    if held is not None:
        told += _twins(path, accepted, vantage)
    return settle(path, replace(accepted, remarks=(*accepted.remarks, *told)))


def begin(path: Path, header: Header, plan: Campaign, now: float) -> Accepted:
    """Note who will measure, where it is, and what. Raises CatchmentError where the campaign asks too much."""
    from catchment.platforms.local.measurements import own_measurements  # noqa: PLC0415

    check_times(plan, f"campaign '{plan.name}'", now)
    check_own(estimate_local(plan, header.targets, now).limits)
    place = None if plan.local.place is None else find_place(plan.local.place)
    name = vantage_name(plan.local.name)
    start, stop = times(plan.schedule, now)
    is_planned = plan.schedule.start is not None or plan.schedule.change_at is not None
    start, shift = (start, 0.0) if is_planned else (now, now - start)  # a second is no reason to wait
    stop = None if stop is None else stop + shift
    measurements, _ = own_measurements(plan.queries, header.targets, (name,), start, plan.schedule.interval_s, stop)
    return note(path, measurements, name, place)


def note(path: Path, measurements: Sequence[Measurement], name: str, place: HostPlace | None) -> Accepted:
    """Store what will be measured, and where the vantage point is."""
    where = (None, None, None) if place is None else (place.latitude, place.longitude, place.country)
    with workbench() as (con, _):
        write_asked(con, Probes(rows=(point_row(name, *where),)), store.part_of(path, store.VANTAGE_POINTS))
    accepted = Accepted(tag="", stage=Stage.SCHEDULED, measurements=tuple(measurements))
    store.make_durable(path)
    store.write_accepted(path, accepted)
    return accepted


def settle(path: Path, accepted: Accepted) -> Accepted:
    """Note that all results are there, and what came of each measurement."""
    with store.ResultWriter(path) as writer:
        files = writer.finish()
    came = tuple(one.done(files) for one in accepted.measurements)
    accepted = replace(accepted, stage=Stage.COLLECTED, measurements=came)
    store.write_accepted(path, accepted)
    return accepted


def measure_round_here(
    vantages: Sequence[Vantage],
    measurements: Sequence[Measurement],
    queries: Mapping[int, Query],
    *,
    rate_per_s: float,
    timeout_s: float,
    clock: Callable[[], float],
    source_ports: Mapping[int, int] | None = None,
) -> Iterator[Result]:
    """Measure by packets that leave this host."""
    from catchment.platforms.local.rounds import measure_round  # noqa: PLC0415  (brings scapy: 0.2 s)

    yield from measure_round(
        vantages,
        measurements,
        queries,
        rate_per_s=rate_per_s,
        timeout_s=timeout_s,
        clock=clock,
        source_ports=source_ports,
    )


def vantage_name(given: str | None) -> str:
    """Return what tables call this host: local:<name>, of lower-case letters, digits, dots and hyphens."""
    name = re.sub("[^a-z0-9.-]+", "-", (given or socket.gethostname()).lower()).strip("-.")
    return f"local:{name[:_LONGEST_NAME] or 'host'}"


def _check_host(path: Path, plan: Campaign, vantage: Vantage) -> None:
    """Raise InvalidRun where another host began a run, by its own name: results of two would go by that."""
    own, host = vantage_name(None), vantage.name.partition(":")[2]
    if plan.local.name is None and vantage.name != own:
        raise InvalidRun(
            f"{path}: {vantage.name} began it, and this host is {own}: resume it on {host}, or set local.name to "
            f'"{host}" in its {store.HEADER} where only the name of the host has changed'
        )


def _measure_rounds(
    path: Path, header: Header, plan: Campaign, accepted: Accepted, vantage: Vantage, means: Means, measure: Measure
) -> Seen:
    """Measure the rounds that are to come; return what was measured in each, now and before."""
    from catchment.platforms.local.measurements import own_measurements  # noqa: PLC0415

    first = accepted.measurements[0]
    rounds = _Rounds.of(first)
    same, queries = own_measurements(
        plan.queries, header.targets, (vantage.name,), first.start, first.interval_s, first.stop
    )
    if [one.id for one in same] != [one.id for one in accepted.measurements]:
        raise InvalidRun(f"{path}: what it asked does not fit its campaign: measure the run anew")
    timeout_s = min(TIMEOUT_S, (first.interval_s or TIMEOUT_S) * _PATIENCE)
    with store.ResultWriter(path) as writer:
        seen = _seen(path, accepted.measurements, rounds)
        whole, now = len(accepted.measurements), means.clock()
        if any(len(seen[number]) < whole and not rounds.is_over(number, now) for number in range(rounds.count)):
            _check_host(path, plan, vantage)
        for number in range(rounds.count):
            left = [one for one in accepted.measurements if one.id not in seen[number]]
            if not left or rounds.is_over(number, means.clock()):
                continue
            _wait(rounds, number, means)
            try:
                for result in measure(
                    [vantage],
                    left,
                    queries,
                    rate_per_s=plan.local.rate_per_s,
                    timeout_s=timeout_s,
                    clock=means.clock,
                ):
                    writer.write(result if rounds.interval_s is None else {**result, _ROUND: number})
                    seen[number].setdefault(result["msm_id"], float(result["timestamp"]))
                    means.progress(_told(rounds, number), (number + 0.5) / rounds.count)
            finally:
                writer.flush()
            means.progress(_told(rounds, number), (number + 1) / rounds.count)
    return seen


def _remarks(rounds: _Rounds, seen: Seen, whole: int) -> Iterator[str]:
    """Say what became of rounds of so many measurements that went other than planned."""
    made = [seen[number] for number in range(rounds.count)]
    late_s = [min(one.values()) - rounds.begins(number) for number, one in enumerate(made) if one]
    late_s = [late for late in late_s if late > _LATE_S and rounds.interval_s is not None]
    missed, broken = sum(not one for one in made), sum(0 < len(one) < whole for one in made)
    if missed:
        yield f"{missed} of {rounds.count} rounds were missed: nothing was measured while their time passed"
    if broken:
        yield f"{broken} of {rounds.count} rounds are incomplete: they were broken off, and their time passed"
    if late_s:
        yield f"{len(late_s)} of {rounds.count} rounds began late, by up to {max(late_s):.0f} s"


def _twins(path: Path, accepted: Accepted, vantage: Vantage) -> Iterator[str]:
    """Say if a run that was gone on with may be of several hosts: packets to one target left from several addresses."""
    sources: dict[str, set[Any]] = defaultdict(set)
    for one in accepted.measurements:
        sources[one.target] |= {result.get("src_addr") for result in store.read_results(path, one.id)} - {None}
    several = sorted({str(source) for found in sources.values() if len(found) > 1 for source in found})
    if several:
        some = ", ".join(several[:_MENTIONED]) + (", …" if len(several) > _MENTIONED else "")
        yield (
            f"{vantage.name} measured from several addresses ({some}), and is taken for one host: where it is not, "
            "measure under a name of its own on each: local.name in a campaign"
        )


def _wait(rounds: _Rounds, number: int, means: Means) -> None:
    due = rounds.begins(number)
    while (left_s := due - means.clock()) > 0:
        means.progress(f"{_told(rounds, number)} begins at {iso_time(round(due))}", number / rounds.count)
        means.sleep(min(left_s, _NAP_S))


def _told(rounds: _Rounds, number: int) -> str:
    return "measuring" if rounds.interval_s is None else f"round {number + 1} of {rounds.count}"


def _seen(path: Path, measurements: Sequence[Measurement], rounds: _Rounds) -> Seen:
    seen: Seen = defaultdict(dict)
    for one in measurements:
        for result in store.read_results(path, one.id):
            try:
                number, at = rounds.of_result(result), float(result["timestamp"])
            except (KeyError, TypeError, ValueError) as error:
                raise InvalidRun(f"{path}: a result tells no time: measure the run anew") from error
            seen[number].setdefault(one.id, at)
    return seen
