"""How a change went that a run was measured around: the stream of its answers, vantage point by vantage point."""

from __future__ import annotations

from catchment import store
from catchment.campaign import PlatformName
from catchment.errors import UnknownName
from catchment.metrics import Numbers, iso_time
from catchment.metrics.convergence import convergence
from catchment.model import Target, Window
from catchment.workflow.loading import chosen_targets, load_run, workbench


def show_convergence(
    run: store.Run, window: Window = Window(), *, af: int | None = None, target: str | None = None
) -> Numbers:
    """Return how each target of a run, or of several merged into one, went through the change that it was planned for.

    Of the target that was asked all the time in a lab the stream counts, and not the round that came when it was over:
    gaps would last until then. Raises UnknownName where the campaign has no `schedule.change_at`, or nothing was
    measured around it.
    """
    moving = run.header.moving()
    if moving is None or moving.start is None:
        raise UnknownName(
            f"{run.path}: its campaign has no `schedule.change_at`, so nobody knows when the change was: give it one "
            "before measuring, or compare two windows"
        )
    targets = chosen_targets(run.header.targets, af, target)
    with workbench() as (con, _):
        inside, _ = load_run(con, run, window, run.header.services)
        found = [convergence(con, one, inside, moving.start, _end_of_stream(run, one)) for one in targets]
    return {
        "run": str(run.path),
        "platform": run.header.platform,
        "from": iso_time(inside.start),
        "to": iso_time(inside.end),
        "change_at": iso_time(moving.start),
        "targets": found,
    }


def _end_of_stream(run: store.Run, target: Target) -> float | None:
    """Return when a lab's stream of queries to a target was over at the latest; None where it was not asked so."""
    moving, measurements = run.header.moving(), () if run.accepted is None else run.accepted.measurements
    if run.header.platform != PlatformName.LAB or moving is None:
        return None
    # A lab's rounds have no end that is known beforehand.
    is_streamed = any(one.stop is not None and one.target == target.address for one in measurements)
    return moving.end if is_streamed else None
