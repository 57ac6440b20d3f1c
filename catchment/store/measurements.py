"""measurements.json: what a platform accepted for a run. Written before waiting, because credits are spent by then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from catchment.errors import InvalidRun
from catchment.model import Window
from catchment.store.headers import FORMAT, write_json

_FILE = "measurements.json"
_ONE_OFF_S = 60


class Stage(StrEnum):
    """How far a measured run has come; a run that is derived has its metrics."""

    SCHEDULING = "scheduling"  # asked for measurements; an answer may have been lost on the way back
    SCHEDULED = "scheduled"
    COLLECTED = "collected"
    NAMED = "named"  # of traceroutes: the routers before the targets were asked for their names as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The measurements of a run as its platform describes them, and the tag that marks them there.

    `unsure` are parts of them that were asked for at a time (seconds since 1970 UTC, by the platform's clock), and of
    which nobody knows yet what came. `remarks` are what the user should know of how it went.
    """

    tag: str
    stage: Stage
    measurements: tuple[dict[str, Any], ...] = ()
    unsure: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def may_cost(self) -> bool:
        """Tell whether something was asked for that stands at the platform, or may."""
        return bool(self.unsure) or any(not measurement["reused"] for measurement in self.measurements)

    def asked(self) -> Iterator[tuple[str, str]]:
        """Yield each vantage point that was asked, with the address that it was asked about."""
        pairs = {
            (f"atlas:{probe}", measurement["target"])
            for measurement in self.measurements
            for probe in measurement["probes"] or ()
        }
        yield from sorted(pairs)

    def window(self) -> Window:
        """Return the span of time in which results were to be expected."""
        starts = [measurement["start"] for measurement in self.measurements]
        stops = [measurement["stop"] or measurement["start"] + _ONE_OFF_S for measurement in self.measurements]
        return Window(start=float(min(starts)), end=float(max(stops)))


def read_accepted(run: Path) -> Accepted | None:
    """Read what a platform accepted for a run; None for a run that was not measured here. Raises InvalidRun."""
    file = run / _FILE
    if not file.is_file():
        return None
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        for entry in table["measurements"]:
            lacking = {"id", "kind", "target", "probes", "start", "stop", "reused"} - set(entry)
            if lacking:
                raise ValueError(f"a measurement without {', '.join(sorted(lacking))}")
        return Accepted(
            tag=table["tag"],
            stage=Stage(table["stage"]),
            measurements=tuple(table["measurements"]),
            unsure=dict(table.get("unsure", {})),
            remarks=tuple(table.get("remarks", ())),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidRun(f"{file}: damaged ({error}): measure the run anew") from error


def write_accepted(run: Path, accepted: Accepted) -> None:
    """Write what a platform accepted for a run; it is on the disk when this returns."""
    table: dict[str, Any] = {
        "format": FORMAT,
        "tag": accepted.tag,
        "stage": accepted.stage,
        "measurements": accepted.measurements,
    }
    table |= {"unsure": dict(accepted.unsure), "remarks": accepted.remarks}
    write_json(run / _FILE, table, durable=True, indent=None)
