"""Faults in the course of a measurement, and a ledger that knows them: statuses, forced stops, spoilt results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from catchment.platforms.sandbox.api.faults.fault import CourseFault, Fault, Result, ResultFault, chance
from catchment.platforms.sandbox.api.journal import Journal
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import (
    NO_SUITABLE_PROBES,
    SCHEDULED,
    SPECIFIED,
    USUAL_LAGS,
    BuiltInTarget,
    Lags,
    Measurement,
    Status,
    stopped,
)
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.results import SimulatedInternet
from catchment.platforms.sandbox.clock import Clock

FORCED: Status = (5, "Forced to stop")
FAILED: Status = (7, "Failed")
DENIED: Status = (8, "Denied")

_LISTED_AFTER_S = 100
_SPECIFIED_S, _SCHEDULED_S = 90, 180
_LATE_PROBES_S = 90


class SpoiltLedger(Ledger):
    """A ledger whose own measurements some faults befall."""

    def __init__(  # noqa: PLR0913  (those of a ledger, and what befalls it)
        self,
        internet: SimulatedInternet,
        clock: Clock,
        probes: Probes,
        *,
        faults: Sequence[Fault],
        seed: int,
        start: float,
        built_ins: Sequence[BuiltInTarget] = (),
        lags: Lags = USUAL_LAGS,
        journal: Journal | None = None,
    ) -> None:
        self._courses = [fault for fault in faults if isinstance(fault, CourseFault)]
        self._spoiling = [fault for fault in faults if isinstance(fault, ResultFault)]
        self._unlisted_s = max((fault.unlisted_s for fault in self._courses), default=0.0)
        self._seed = seed
        self._forced: set[int] = set()
        super().__init__(internet, clock, probes, start=start, built_ins=built_ins, lags=lags, journal=journal)

    def add(self, accepted: Sequence[Measurement]) -> list[Measurement]:
        """Take measurements of one POST in, as faults leave them."""
        for fault in self._courses:
            accepted = [fault.accepted(measurement) for measurement in accepted]
        return super().add(accepted)

    def get(self, measurement: int) -> Measurement | None:
        """Return a measurement; None where there is none of this id."""
        self._force_to_stop()
        return super().get(measurement)

    def own(self) -> list[Measurement]:
        """Return all accepted measurements, in the order of their ids."""
        self._force_to_stop()
        return super().own()

    def listed(self) -> list[Measurement]:
        """Return the measurements that lists show by now, in the order of their ids."""
        self._force_to_stop()
        latest = self._clock.now() - self._unlisted_s
        return [found for found in super().listed() if found.is_built_in or found.created <= latest]

    def status(self, measurement: Measurement) -> Status:
        """Return the present status of a measurement."""
        status, now = super().status(measurement), self._clock.now()
        if measurement.is_built_in:
            return status
        for fault in self._courses:
            status = fault.told(measurement, now, status)
        return FORCED if measurement.id in self._forced else status

    def _force_to_stop(self) -> None:
        """Stop whatever a fault stops by now; at its own time, however much later anybody looks."""
        now = self._clock.now()
        with self.lock:
            for fault in self._courses:
                for found in super().own():
                    at = fault.forced_at(found) if found.stopped_at is None else None
                    if at is not None and at <= now:
                        self._measurements[found.id] = stopped(found, at)
                        self._forced.add(found.id)

    def _result(self, measurement: Measurement, vantage: int, turn: int, at: int) -> Result:
        result = super()._result(measurement, vantage, turn, at)
        for fault in self._spoiling:
            if measurement.definition.kind in fault.kinds:
                draw = chance(self._seed, fault.name, measurement.id, vantage, turn)
                if draw.random() < fault.share:
                    result = fault.change(result, draw)
        return result


def _middle(measurement: Measurement) -> float | None:
    """Return the middle of a measurement; one without an end is in its middle after ten rounds."""
    schedule = measurement.schedule
    if schedule.interval_s is None:
        return schedule.start + schedule.spread / 2
    return schedule.start + 10 * schedule.interval_s if schedule.end is None else (schedule.start + schedule.end) / 2


def _nobody(measurement: Measurement) -> Measurement:
    return replace(measurement, participants=())


def _later(measurement: Measurement) -> Measurement:
    schedule = measurement.schedule
    return replace(measurement, schedule=replace(schedule, start=schedule.start + _LATE_PROBES_S))


def _unsuitable_at_first(measurement: Measurement, now: float, status: Status) -> Status:
    return NO_SUITABLE_PROBES if now < measurement.schedule.start else status


def _slow(measurement: Measurement, now: float, status: Status) -> Status:
    for state, until_s in ((SPECIFIED, _SPECIFIED_S), (SCHEDULED, _SCHEDULED_S)):
        if now < measurement.created + until_s:
            return state
    return status


COURSE_FAULTS = (
    CourseFault(
        name="late-listing",
        about=f"new measurements stand in lists only after {_LISTED_AFTER_S} s",
        unlisted_s=_LISTED_AFTER_S,
    ),
    CourseFault(
        name="slow-start",
        about=f"the status is 0 Specified for {_SPECIFIED_S} s, then 1 Scheduled, whatever has come by then",
        told=_slow,
    ),
    CourseFault(
        name="no-suitable-probes", about="status 6 No suitable probes, for ever and without results", accepted=_nobody
    ),
    CourseFault(
        name="no-suitable-probes-yet",
        about=f"status 6 No suitable probes until {_LATE_PROBES_S} s late, when it begins after all",
        accepted=_later,
        told=_unsuitable_at_first,
    ),
    CourseFault(name="forced-stop", about="status 5 Forced to stop in the middle", forced_at=_middle),
    CourseFault(name="failed", about="status 7 Failed, without results", accepted=_nobody, told=lambda *_: FAILED),
    CourseFault(name="denied", about="status 8 Denied, without results", accepted=_nobody, told=lambda *_: DENIED),
)
