"""measurements.json: what a platform was asked for and accepted for a run. Written before anything can cost credits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from catchment.campaign import check
from catchment.errors import InvalidFile, InvalidRun
from catchment.model import AddressFamily, Kind, Window
from catchment.store.headers import FORMAT, write_json

_ONE_OFF_S = 60
_DONE = "Stopped"


class Stage(StrEnum):
    """How far a measured run has come; a run that is derived has its metrics."""

    SCHEDULING = "scheduling"  # asked for measurements; an answer may have been lost on the way back
    SCHEDULED = "scheduled"
    COLLECTED = "collected"
    NAMED = "named"  # of traceroutes: the routers before the targets were asked for their names as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a platform accepted, or what was there already (`reused`): `kind` of query to `target`, an address.

    `probes` are those asked; None: those that the measurement has. Where they are none of RIPE Atlas, `vantage_points`
    holds their names (local:<host>, lab:7), and costs nothing. Times are seconds since 1970 UTC; of a reused one
    only what was measured between `start` and `stop` counts. `part` says which request of its run made it, and
    `credits_per_result` what it costs (None: nobody noted that). What came of it, once it is known: the names of its
    `files` in tier 0, `results`, how many `participants`, the last `status`.
    """

    id: int
    kind: Kind
    target: str
    af: AddressFamily
    query: str | None
    nsid: bool
    probes: tuple[int, ...] | None
    vantage_points: tuple[str, ...] | None = None
    start: float
    stop: float | None
    interval_s: int | None
    reused: bool
    part: str | None = None
    credits_per_result: int | None = None
    files: tuple[str, ...] | None = None
    results: int | None = None
    participants: int | None = None
    status: str | None = None

    def done(self, files: Mapping[int, tuple[str, int]]) -> Measurement:
        """Return it with what came of packets that this host sent; `files` is what ResultWriter.finish returns."""
        name, results = files.get(self.id, (None, 0))
        return replace(
            self,
            files=() if name is None else (name,),
            results=results,
            participants=0 if name is None else len(self.vantage_points or ()),
            status=_DONE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The measurements of a run, and the tag that marks them at their platform.

    `parts` are the requests that make them, by name, each with the probes that it asks. A part is in `unsure`, with the
    platform's time, from before it is asked for until it is known what came of that. `remarks` are what the user should
    know of how it went.
    """

    tag: str
    stage: Stage
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    unsure: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def may_cost(self) -> bool:
        """Tell whether something was asked for that stands at the platform, or may."""
        return bool(self.unsure) or any(not one.reused and one.vantage_points is None for one in self.measurements)

    def asking(self, part: str, now: float) -> Accepted:
        """Return it with a part that is about to be asked for."""
        return replace(self, unsure={**self.unsure, part: now})

    def settled(self, part: str, found: Sequence[Measurement] = (), remark: str | None = None) -> Accepted:
        """Return it with what came of a part: its measurements, or none, and what is to be said of that."""
        return replace(
            self,
            measurements=(*self.measurements, *found),
            unsure={name: at for name, at in self.unsure.items() if name != part},
            remarks=self.remarks if remark is None else (*self.remarks, remark),
        )

    def asked(self) -> Iterator[tuple[str, str]]:
        """Yield each vantage point that was asked, with the address that it was asked about."""
        pairs = {
            (vantage, measurement.target)
            for measurement in self.measurements
            for vantage in measurement.vantage_points or (f"atlas:{probe}" for probe in measurement.probes or ())
        }
        yield from sorted(pairs)

    def window(self) -> Window:
        """Return the span of time in which results were to be expected."""
        starts = [measurement.start for measurement in self.measurements]
        stops = [measurement.stop or measurement.start + _ONE_OFF_S for measurement in self.measurements]
        return Window(start=float(min(starts)), end=float(max(stops)))


def result_files(accepted: Accepted) -> list[str]:
    """Return the names of the files that the measurements of a run have in tier 0, once all are collected."""
    return [
        name
        for measurement in accepted.measurements
        for name in ((f"{measurement.id}.ndjson.gz",) if measurement.files is None else measurement.files)
    ]


def measurements_file(run: Path) -> Path:
    """Return the file that says what was asked for and accepted for a run."""
    return run / "measurements.json"


def read_accepted(run: Path) -> Accepted | None:
    """Read what a platform accepted for a run; None for a run that was not measured here. Raises InvalidRun."""
    file = measurements_file(run)
    if not file.is_file():
        return None
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        known = {key: table[key] for key in (one.name for one in fields(Accepted)) if key in table}
        accepted = check(Accepted, known, file)
        if accepted.stage is not Stage.SCHEDULING and not accepted.measurements:
            raise ValueError("no measurements")
        return accepted
    except (OSError, ValueError, TypeError) as error:
        raise InvalidRun(f"{file}: damaged ({error}): measure the run anew") from error
    except InvalidFile as error:
        raise InvalidRun(f"{error}: the file is damaged: measure the run anew") from error


def write_accepted(run: Path, accepted: Accepted) -> None:
    """Write what a platform accepted for a run; it is on the disk when this returns."""
    table = {"format": FORMAT, **_plain(accepted), "measurements": [_plain(one) for one in accepted.measurements]}
    write_json(measurements_file(run), table, durable=True, indent=None)


def _plain(value: Accepted | Measurement) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in fields(value)}
