"""The campaigns that are killed, and what each of them has to come to, written down by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from catchment.platforms.sandbox.api.measurements import Measurement
from catchment.platforms.sandbox.api.schedule import Schedule

INTERVAL_S = 60
BACK_AFTER_S = 600
"""So long after a measurement began in rounds, those of its vantage points are back that were offline till then."""

PLANNED_AFTER_S = 600
"""A campaign with a start of its own begins so long after the sandbox."""

_CAMPAIGN = """
name = "kills"
platform = "atlas"
vantage_points = { count = 50 }
limits = { probes_per_measurement = 20 }
"""
_ONE = 'targets = [{ service = "demo-dns" }]\n'
_BOTH = 'targets = [{ service = "demo-dns" }, { service = "demo-dns", af = 6 }]\n'
_BACK_OF = 4  # one of so many vantage points is offline at first


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A campaign, and what it comes to.

    `asked` is how many vantage points are asked, by address family, of which `silent` never report; the others owe
    `rounds` results in each measurement that asks them. At most 20 are asked at once, two questions each, so that 50
    take 6 measurements. The results of each are in `slices` or more files, and if those are several, what came late is
    in one more. `slice_bytes` is how large slices are (None: as ever).
    """

    text: str
    asked: Mapping[int, int]
    silent: Mapping[int, int]
    measurements: int
    rounds: int = 1
    slices: int = 1
    slice_bytes: int | None = None
    is_planned: bool = False

    def campaign(self, start: float) -> str:
        """Return the text of the campaign file, for a sandbox that begins at `start`."""
        planned = datetime.fromtimestamp(int(start) + PLANNED_AFTER_S, UTC)
        return self.text.replace("PLANNED", f"{planned:%Y-%m-%dT%H:%M:%SZ}")

    @property
    def results(self) -> int:
        """Return how many results there are in the end: of each question, each round and all who report."""
        return 2 * self.rounds * sum(self.asked[af] - self.silent[af] for af in self.asked)


SHAPES = {
    "one-off": Shape(text=_CAMPAIGN + _ONE, asked={4: 50}, silent={4: 1}, measurements=6),
    "both families": Shape(text=_CAMPAIGN + _BOTH, asked={4: 50, 6: 18}, silent={4: 1, 6: 0}, measurements=8),
    "periodic": Shape(
        text=_CAMPAIGN + _ONE + f"schedule = {{ interval_s = {INTERVAL_S}, rounds = 3 }}\n",
        asked={4: 50},
        silent={4: 1},
        measurements=6,
        rounds=3,
    ),
    # A DNS result is taken for 1100 bytes, a ping for 600: a round of 20 results is a slice, and two of 10; of pings
    # two rounds, and four. So there are 12 slices of a measurement, or 6, or of the pings of 10 vantage points 3.
    "in slices": Shape(
        text=_CAMPAIGN + _ONE + f"schedule = {{ interval_s = {INTERVAL_S}, rounds = 12 }}\n",
        asked={4: 50},
        silent={4: 1},
        measurements=6,
        rounds=12,
        slices=3,
        slice_bytes=24_000,
    ),
    "planned": Shape(
        text=_CAMPAIGN + _ONE + f"schedule = {{ interval_s = {INTERVAL_S}, rounds = 3, start = PLANNED }}\n",
        asked={4: 50},
        silent={4: 1},
        measurements=6,
        rounds=3,
        is_planned=True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineAtFirst(Schedule):
    """A schedule of whose vantage points one of four measures from the start, and reports when it is back."""

    def delivered(self, vantage: int, now: float) -> int:
        """Return how many results of a vantage point have arrived."""
        if is_offline_at_first(vantage) and now < self.start + BACK_AFTER_S:
            return 0
        return Schedule.delivered(self, vantage, now)


def is_offline_at_first(vantage: int) -> bool:
    """Tell whether a vantage point is offline while a measurement in rounds begins."""
    return vantage % _BACK_OF == 0


def with_late_results(measurement: Measurement) -> Measurement:
    """Return a measurement as it is where some are offline at first; a one-off as it was."""
    if measurement.is_oneoff:
        return measurement
    same = {field.name: getattr(measurement.schedule, field.name) for field in fields(Schedule)}
    return replace(measurement, schedule=OfflineAtFirst(**same))
