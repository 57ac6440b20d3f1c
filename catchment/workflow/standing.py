"""How the measurements of a run stand: what was asked, how far it is, what the platform says of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from catchment import store
from catchment.campaign import PlatformName
from catchment.errors import InvalidRun, PlatformFailed
from catchment.metrics import Numbers
from catchment.platforms.atlas.statuses import ask_status
from catchment.workflow.reaching import Means, reach
from catchment.workflow.showing import list_measurements


def show_unfinished(
    path: Path,
    *,
    environ: Mapping[str, str],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Numbers:
    """Return how far a run is that is not whole, as `show --json` prints it.

    RIPE Atlas is asked for the status of each measurement; where it cannot be reached, that is said, and nothing is
    lost. Raises InvalidRun.
    """
    header, accepted = store.read_header(path), store.read_accepted(path)
    if header.plan is None:
        raise InvalidRun(f"{path}: was imported, not measured: `catchment derive {shlex.quote(str(path))}` rebuilds it")
    measurements = [] if accepted is None else list_measurements(accepted)
    trouble = None
    if header.platform == PlatformName.ATLAS and measurements:
        try:
            means = Means(environ=environ, clock=clock, sleep=sleep)
            with reach(path, header, means, is_read_only=True) as platform:
                for one in measurements:
                    one["status"] = ask_status(platform.atlas, one["id"]).name
        except PlatformFailed as failure:
            trouble = str(failure)
    return {
        "run": str(path),
        "campaign": header.campaign,
        "platform": header.platform,
        "created": header.created,
        "stage": "begun" if accepted is None else accepted.stage.value,
        "unsure": [] if accepted is None else sorted(accepted.unsure),
        "measurements": measurements,
        "trouble": trouble,
        "next": f"catchment resume {shlex.quote(str(path))}",
    }


def what_next(run: store.Run) -> str:
    """Return the commands that show most of a run that was just measured."""
    name = str(run.path)
    plan = run.header.plan
    if plan is not None and plan.schedule.change_at is not None:
        sides = (shlex.quote(f"{name}[{side}]") for side in ("before", "after"))
        return f"who moved: catchment compare {' '.join(sides)}"
    quoted = shlex.quote(name)
    return f"more of it: catchment map {quoted}; catchment show {quoted} --by country; --by verdict"
