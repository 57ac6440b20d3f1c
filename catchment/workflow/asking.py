"""Ask for the measurements of a campaign, or check those that it reuses; what came of it is on disk at every moment."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from catchment import store
from catchment.campaign import Campaign, VantagePoints
from catchment.engine import parts
from catchment.importers import probes_in, write_asked
from catchment.metrics import iso_time
from catchment.platforms.atlas.limits import check_limits
from catchment.platforms.atlas.reusing import remarks, reuse
from catchment.platforms.atlas.scheduling import divide, schedule
from catchment.platforms.atlas.selecting import asked, choose, describe, whom_not_asked
from catchment.platforms.connecting import Platform
from catchment.store import Accepted, Header, Stage
from catchment.workflow.importing import Progress, Say, part_of_progress
from catchment.workflow.loading import workbench
from catchment.workflow.planning import estimate_plan

_MOST_NAMED = 6
_CHOSEN = 0.6  # how much is done when the vantage points are known


def ask(path: Path, header: Header, plan: Campaign, platform: Platform, progress: Progress, say: Say) -> Accepted:
    """Bring a run, from wherever it is, to where all its measurements stand at the platform. Raises CatchmentError."""
    accepted = store.read_accepted(path)
    if accepted is not None and accepted.stage is not Stage.SCHEDULING:
        return accepted
    if plan.reuse:
        return _reuse(path, header, plan, platform, progress)
    return _schedule(path, header, plan, platform, accepted, progress, say)


def write_asked_points(path: Path, probes: list[dict[str, Any]]) -> None:
    """Store who is asked, and where they are by now."""
    with workbench() as (con, _):
        write_asked(con, probes_in(probes), store.part_of(path, store.VANTAGE_POINTS))


def asked_ids(path: Path) -> list[int]:
    """Return the numbers of those who are asked, ascending."""
    with workbench() as (con, _):
        rows = con.execute(f"SELECT vantage FROM {parts(path / store.VANTAGE_POINTS)} ORDER BY ALL").fetchall()
    return sorted(int(vantage.removeprefix("atlas:")) for (vantage,) in rows)


def _schedule(
    path: Path,
    header: Header,
    plan: Campaign,
    platform: Platform,
    accepted: Accepted | None,
    progress: Progress,
    say: Say,
) -> Accepted:
    families: set[int] = {target.af for target in header.targets}
    wanted = plan.vantage_points or VantagePoints()
    first = part_of_progress(progress, 0, _CHOSEN)
    if accepted is None:
        probes = choose(platform.atlas, wanted, families, seed=wanted.seed, progress=first)
        counts = {af: len(asked(probes, af, wanted)) for af in families}
        limits = estimate_plan(plan, header.targets, counts, platform.clock()).limits
        check_limits(limits)
        write_asked_points(path, probes)
        accepted = Accepted(
            tag=f"catchment-{secrets.token_hex(8)}",
            stage=Stage.SCHEDULING,
            parts=divide(plan, header.targets, probes),
            remarks=(*platform.atlas.warnings, *whom_not_asked(probes, header.targets, wanted)),
        )
        store.make_durable(path)  # else the tag may outlive a power failure, and what belongs to it not
        store.write_accepted(path, accepted)
    elif not accepted.parts:
        # Begun by an earlier version, which noted neither the parts nor what it was about to ask for.
        parts = divide(plan, header.targets, describe(platform.atlas, asked_ids(path), first))
        there = {one.part for one in accepted.measurements}
        accepted = replace(accepted, parts=parts, unsure=dict.fromkeys(parts.keys() - there, 0.0))
    accepted = schedule(
        platform.atlas,
        campaign=plan,
        targets=header.targets,
        accepted=accepted,
        clock=platform.clock,
        sleep=platform.sleep,
        record=lambda now: store.write_accepted(path, now),
        say=say,
        progress=part_of_progress(progress, _CHOSEN, 1),
    )
    remarks = dict.fromkeys([*accepted.remarks, *platform.atlas.warnings])
    accepted = replace(accepted, stage=Stage.SCHEDULED, remarks=tuple(remarks))
    store.write_accepted(path, accepted)
    say(_asked_for(accepted))
    return accepted


def _asked_for(accepted: Accepted) -> str:
    """Say which measurements were accepted, and when they are over."""
    numbers = [str(one.id) for one in accepted.measurements]
    listed = ", ".join(numbers[:_MOST_NAMED]) + (", …" if len(numbers) > _MOST_NAMED else "")
    end = iso_time(accepted.window().end)
    return f"{len(numbers)} measurements accepted ({listed}), until {end}; results come some minutes after"


def _reuse(path: Path, header: Header, plan: Campaign, platform: Platform, progress: Progress) -> Accepted:
    """Check the measurements that are there already, and choose among their vantage points if the campaign does."""
    measurements = reuse(platform.atlas, plan, header.targets, header.cut, header.services)
    told = remarks(measurements)
    if plan.vantage_points is not None:
        families: set[int] = {target.af for target in header.targets}
        wanted = plan.vantage_points
        probes = choose(platform.atlas, wanted, families, seed=wanted.seed, progress=progress)
        write_asked_points(path, probes)
        chosen = {af: tuple(asked(probes, af, wanted)) for af in families}
        measurements = [replace(one, probes=chosen[one.af]) for one in measurements]
        told += whom_not_asked(probes, header.targets, wanted)
    told += platform.atlas.warnings
    held = Accepted(tag="", stage=Stage.SCHEDULED, measurements=tuple(measurements), remarks=tuple(told))
    store.write_accepted(path, held)
    return held
