"""All measurements of a sandbox, and what has arrived of each by now."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from catchment.platforms.sandbox.api.journal import Journal
from catchment.platforms.sandbox.api.measurements import (
    USUAL_LAGS,
    BuiltInTarget,
    Lags,
    Measurement,
    Status,
    altered,
    built_in,
    from_entry,
    rejoined,
    stopped,
)
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.results import Sending, SimulatedInternet, make_result
from catchment.platforms.sandbox.clock import Clock

_FIRST_ID = 1_000_001


class Ledger:
    """All measurements of a sandbox that began at `start`: the built-in ones, and those that were accepted.

    Results are made when they are read, the same ones each time.
    """

    def __init__(
        self,
        internet: SimulatedInternet,
        clock: Clock,
        probes: Probes,
        *,
        start: float,
        built_ins: Sequence[BuiltInTarget] = (),
        lags: Lags = USUAL_LAGS,
        journal: Journal | None = None,
    ) -> None:
        self._internet = internet
        self._clock = clock
        self._probes = probes
        self.start = start
        self._journal = journal
        self.lags = lags
        self.lock = threading.RLock()
        self._measurements = {target.id: built_in(target, probes, start) for target in built_ins}
        self._is_noted = journal is not None and bool(journal.entries)
        for entry in () if journal is None else journal.entries:
            self._take_up(entry)

    def begin(self) -> None:
        """Write into a new journal when the sandbox began: once it does serve, and before anything else."""
        with self.lock:
            if self._journal is not None and not self._is_noted:
                self._journal.append("start", self.start, {})
                self._is_noted = True

    def get(self, measurement: int) -> Measurement | None:
        """Return a measurement; None where there is none of this id."""
        return self._measurements.get(measurement)

    def members(self, measurement: int) -> tuple[int, ...] | None:
        """Return the probes of a measurement; None where there is none of this id."""
        found = self.get(measurement)
        return None if found is None else found.participants

    def listed(self) -> list[Measurement]:
        """Return the measurements that lists show by now, in the order of their ids."""
        latest = self._clock.now() - self.lags.listing_s
        with self.lock:
            return [
                self._measurements[id_]
                for id_ in sorted(self._measurements)
                if self._measurements[id_].created <= latest
            ]

    def own(self) -> list[Measurement]:
        """Return all accepted measurements, in the order of their ids."""
        with self.lock:
            return [found for found in self._measurements.values() if not found.is_built_in]

    def status(self, measurement: Measurement) -> Status:
        """Return the present status of a measurement."""
        return measurement.status(self._clock.now(), self.lags)

    def add(self, accepted: Sequence[Measurement]) -> list[Measurement]:
        """Take measurements of one POST in and give them ids; when this returns they are in the journal."""
        with self.lock:
            first = self.next_id()
            numbered = [
                replace(measurement, id=id_, group=first) for id_, measurement in enumerate(accepted, start=first)
            ]
            self._note("accepted", {"measurements": [measurement.entry() for measurement in numbered]})
            self._measurements |= {measurement.id: measurement for measurement in numbered}
            return numbered

    def next_id(self) -> int:
        """Return the id that the next accepted measurement gets."""
        with self.lock:
            return max([_FIRST_ID - 1, *self._measurements]) + 1

    def stop(self, measurement: Measurement) -> None:
        """Stop a measurement now: what is under way still arrives. One that was stopped before stays as it is."""
        with self.lock:
            now = self._clock.now()
            found = self._measurements[measurement.id]
            if found.stopped_at is None:
                self._note("stopped", {"id": found.id}, now)
                self._measurements[found.id] = stopped(found, now)

    def alter(self, measurement: Measurement, **changes: Any) -> Measurement:
        """Give a measurement another `description`, `tags` or `is_public`."""
        with self.lock:
            changed = altered(self._measurements[measurement.id], changes)
            self._note("altered", {"id": changed.id, "changes": changes})
            self._measurements[changed.id] = changed
            return changed

    def participate(
        self,
        measurement: Measurement,
        requests: Sequence[Mapping[str, Any]],
        *,
        added: Sequence[int] = (),
        removed: Sequence[int] = (),
    ) -> None:
        """Let probes join a measurement and leave it now, as participation requests asked for."""
        with self.lock:
            content: dict[str, Any] = {"added": [*added], "removed": [*removed], "requests": [*requests]}
            now = self._clock.now()
            changed = rejoined(self._measurements[measurement.id], now, **content)
            self._note("participating", {"id": changed.id, **content}, now)
            self._measurements[changed.id] = changed

    def requests(self) -> dict[int, Mapping[str, Any]]:
        """Return all participation requests by their ids."""
        with self.lock:
            return {entry["id"]: entry for found in self._measurements.values() for entry in found.requests}

    def results(
        self,
        measurement: Measurement,
        *,
        now: float,
        since: float | None = None,
        until: float | None = None,
        vantage_points: frozenset[int] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the results that have arrived by `now`, measured from `since` to `until`, both included."""
        schedule = measurement.schedule
        order = [(schedule.offset_s(vantage), vantage) for vantage in self.reporting(measurement, vantage_points)]
        arrived = {vantage: measurement.turns(vantage, now) for _, vantage in order}
        last_round = max((turns[-1].stop for turns in arrived.values()), default=0)
        first_round = 0
        if since is not None and schedule.interval_s is not None:
            first_round = max(0, int((since - schedule.start - schedule.spread) // schedule.interval_s))
        if until is not None:
            last_round = min(last_round, schedule.rounds_until(until))
        order.sort()
        for turn in range(first_round, last_round):
            for _, vantage in order:
                at = schedule.measured_at(vantage, turn)
                if (since is not None and at < since) or (until is not None and at > until):
                    continue
                if any(turn in turns for turns in arrived[vantage]):
                    yield self._result(measurement, vantage, turn, at)

    def latest(
        self,
        measurement: Measurement,
        *,
        now: float,
        since: float | None,
        versions: int,
        vantage_points: frozenset[int] | None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the last results of each vantage point, newest first: at most `versions`, none before `since`."""
        for vantage in self.reporting(measurement, vantage_points):
            newest_first = (turn for turns in reversed(measurement.turns(vantage, now)) for turn in reversed(turns))
            for turn in islice(newest_first, versions):
                at = measurement.schedule.measured_at(vantage, turn)
                if since is None or at >= since:
                    yield self._result(measurement, vantage, turn, at)

    def arriving(
        self, measurement: Measurement, since: float, now: float, vantage_points: frozenset[int] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the results that arrived later than `since` and by `now`, in the order in which they did."""
        schedule = measurement.schedule
        came = sorted(
            (schedule.measured_at(vantage, turn) + schedule.delay_s(vantage), vantage, turn)
            for vantage in self.reporting(measurement, vantage_points)
            for turns in measurement.turns(vantage, now)
            for turn in range(max(turns.start, schedule.delivered(vantage, since)), turns.stop)
        )
        for _, vantage, turn in came:
            yield self._result(measurement, vantage, turn, schedule.measured_at(vantage, turn))

    def delivered(self, measurement: Measurement, now: float) -> int:
        """Return how many results of a measurement have arrived by a time."""
        reporting = self.reporting(measurement)
        return sum(len(turns) for vantage in reporting for turns in measurement.turns(vantage, now))

    def reporting(self, measurement: Measurement, among: frozenset[int] | None = None) -> list[int]:
        """Return the probes that take part, or did, and that report at all, by their ids."""
        points = self._probes.vantage_points
        wanted = (vantage for vantage in measurement.ever_participants if among is None or vantage in among)
        return [vantage for vantage in wanted if self._internet.reports(points[vantage])]

    def _result(self, measurement: Measurement, vantage: int, turn: int, at: int) -> dict[str, Any]:
        af = measurement.definition.af
        sending = Sending(
            measurement=measurement.id,
            group=measurement.group,
            definition=measurement.definition,
            interval_s=measurement.schedule.interval_s,
            vantage=self._probes.vantage_points[vantage],
            source=self._probes.source_address(vantage, af),
            public=self._probes.public_address(vantage, af),
            turn=turn,
            at=at,
            stored_at=at + measurement.schedule.delay_s(vantage),
        )
        return make_result(self._internet, sending, at - self.start)

    def _note(self, what: str, content: Mapping[str, Any], at: float | None = None) -> None:
        self.begin()
        if self._journal is not None:
            self._journal.append(what, self._clock.now() if at is None else at, content)

    def _take_up(self, entry: Mapping[str, Any]) -> None:
        """Repeat a change that the journal holds."""
        if entry.get("what") == "accepted":
            taken = map(from_entry, entry["measurements"])
            self._measurements |= {measurement.id: measurement for measurement in taken}
        elif "id" in entry:
            self._measurements[entry["id"]] = _changed(self._measurements[entry["id"]], entry)


def _changed(measurement: Measurement, entry: Mapping[str, Any]) -> Measurement:
    match entry["what"]:
        case "stopped":
            return stopped(measurement, entry["at"])
        case "altered":
            return altered(measurement, entry["changes"])
        case "participating":
            content = {name: entry[name] for name in ("added", "removed", "requests")}
            return rejoined(measurement, entry["at"], **content)
        case _:
            return measurement
