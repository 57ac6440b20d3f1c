"""Run and resume campaigns: from a campaign file to a whole run.

A run goes through stages that its folder tells: begun (campaign.json), scheduling (a tag is stored, then measurements
are asked for), scheduled (what was accepted is stored), collected (all results are in raw/), derived (it is whole), and
where routes were traced, named (the last routers were asked about). Whatever stops it, `resume` goes on from the stage
that it finds.
"""

from __future__ import annotations

import datetime
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import catchment
from catchment import store
from catchment.campaign import Campaign, PlatformName, VantagePoints
from catchment.engine import parts
from catchment.errors import CatchmentError, Interrupted, InvalidRun, PlatformFailed, asked_to_stop
from catchment.importers import probes_in, write_asked
from catchment.metrics import iso_time
from catchment.model import Window
from catchment.platforms.atlas.client import PlatformUnsure
from catchment.platforms.atlas.collecting import LATE_S, collect, why_incomplete
from catchment.platforms.atlas.measurements import Measurement
from catchment.platforms.atlas.reusing import reuse
from catchment.platforms.atlas.scheduling import adopt, schedule
from catchment.platforms.atlas.selecting import choose, describe, whom_not_asked, works
from catchment.platforms.connecting import Platform, connect
from catchment.store import Accepted, Header, Stage
from catchment.workflow.importing import Imported, Progress, rebuild
from catchment.workflow.loading import workbench
from catchment.workflow.naming_hops import Say, is_naming_due, judge_by_names
from catchment.workflow.planning import check_limits, estimate_plan, load_plan

_SCHEDULED, _COLLECTED, _DERIVED = 0.15, 0.8, 0.85  # how much of the whole is done after each stage
_REUSED_S = 900


def run_campaign(
    file: Path,
    root: Path,
    out: Path | None = None,
    *,
    environ: Mapping[str, str],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
) -> Imported:
    """Measure a campaign as a new run: at `out`, or below `root` by the campaign's name and the time.

    `say` is told what the user waits for when RIPE Atlas does not answer at once, or the DNS is asked. Raises
    CatchmentError. What went wrong before anything was asked for leaves nothing behind; later the run stays, and the
    message says how to go on.
    """
    campaign, services, targets = load_plan(file)
    start = float(int(clock()))
    path = _free_place(root / campaign.name, start) if out is None else out
    header = Header(
        campaign=campaign.name,
        platform=campaign.platform,
        created=iso_time(start) or "",
        catchment=catchment.__version__,
        services=tuple(services),
        targets=tuple(targets),
        cut=_reused_window(campaign, start) if campaign.reuse else Window(),
        plan=campaign,
    )
    topology = None if campaign.sandbox.topology is None else Path(campaign.sandbox.topology)
    made = store.begin_run(path, header, topology)
    with store.locked(path), _kept_if_accepted(path, made):
        return _go_on(path, header, environ, clock, sleep, progress, say)


def resume_run(
    path: Path,
    *,
    environ: Mapping[str, str],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
) -> Imported:
    """Go on with a run where it stopped. Raises CatchmentError."""
    header = store.read_header(path)
    if header.plan is None:
        raise InvalidRun(f"{path}: was imported, not measured: `catchment derive {path}` rebuilds its tables")
    accepted = store.read_accepted(path)
    if store.is_complete(path) and store.is_collected(path, accepted) and not is_naming_due(header, accepted):
        raise InvalidRun(f"{path}: complete already: `catchment show {path}`")
    with store.locked(path), _kept_if_accepted(path):
        return _go_on(path, header, environ, clock, sleep, progress, say)


def _go_on(
    path: Path,
    header: Header,
    environ: Mapping[str, str],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    progress: Progress,
    say: Say,
) -> Imported:
    """Do what is left to do for a run whose lock is held."""
    assert header.plan is not None  # noqa: S101  (only runs with a plan are measured)
    accepted = store.read_accepted(path)
    if not store.is_collected(path, accepted):
        plan, journal = header.plan, store.journal_file(path)
        if plan.platform is PlatformName.SANDBOX and accepted and accepted.measurements and not journal.exists():
            raise InvalidRun(
                f"{path}: {journal.name} is lost, and with it the sandbox that was measured: remove the folder, and "
                "run the campaign anew"
            )
        if store.topology_file(path).exists():
            plan = replace(plan, sandbox=replace(plan.sandbox, topology=str(store.topology_file(path))))
        with connect(
            plan, header.services, environ=environ, clock=clock, sleep=sleep, journal=journal, say=say
        ) as platform:
            _measure(path, header, plan, platform, progress)
        accepted = store.read_accepted(path)
    if not is_naming_due(header, accepted):
        return rebuild(path, header, _part(progress, _COLLECTED, 1))
    done = rebuild(path, header, _part(progress, _COLLECTED, _DERIVED))
    done = judge_by_names(done, environ=environ, clock=clock, progress=_part(progress, _DERIVED, 1), say=say)
    if accepted is not None:
        store.write_accepted(path, replace(accepted, stage=Stage.NAMED))
    return done


def _measure(path: Path, header: Header, plan: Campaign, platform: Platform, progress: Progress) -> None:
    accepted = store.read_accepted(path)
    if accepted is None or accepted.stage is Stage.SCHEDULING:
        ask = _reuse if plan.reuse else _schedule
        accepted = ask(path, header, plan, platform, accepted, _part(progress, 0, _SCHEDULED))
    measurements = [Measurement.from_table(table) for table in accepted.measurements]
    collected = collect(
        platform.atlas,
        measurements,
        store.raw_folder(path),
        clock=platform.clock,
        sleep=platform.sleep,
        progress=_part(progress, _SCHEDULED, _COLLECTED),
        window=header.cut,
    )
    if plan.reuse and plan.vantage_points is None:
        answered = sorted({probe for one in collected for probe in one.participants})
        _write_asked(path, describe(platform.atlas, answered, _part(progress, _COLLECTED, _COLLECTED)))
    if platform.write_truth is not None:
        addresses = {target.address for target in header.targets}
        platform.write_truth(store.truth_file(path), set(_asked_ids(path)), addresses)
    late = [
        why_incomplete(platform.atlas, measurement, len(one.participants))
        for measurement, one in zip(measurements, collected, strict=True)
        if not one.complete
    ]
    remarks = tuple(dict.fromkeys([*accepted.remarks, *platform.atlas.warnings, *late]))
    store.write_accepted(path, replace(accepted, stage=Stage.COLLECTED, remarks=remarks))


def _schedule(
    path: Path, header: Header, plan: Campaign, platform: Platform, accepted: Accepted | None, progress: Progress
) -> Accepted:
    """Choose the vantage points, ask for the measurements, and store what was accepted, before anything else."""
    families: set[int] = {target.af for target in header.targets}
    wanted = plan.vantage_points or VantagePoints()
    if accepted is None:
        probes = choose(platform.atlas, wanted, families, seed=wanted.seed, progress=_part(progress, 0, 0.6))
        asked = {af: sum(works(probe, af) for probe in probes) for af in families}
        limits = estimate_plan(plan, header.targets, asked, platform.clock()).limits
        check_limits([asdict(limit) for limit in limits])
        _write_asked(path, probes)
        accepted = Accepted(tag=f"catchment-{secrets.token_hex(8)}", stage=Stage.SCHEDULING)
        store.write_accepted(path, accepted)
        known: list[Measurement] = []
    else:
        probes = describe(platform.atlas, _asked_ids(path), _part(progress, 0, 0.6))
        known = adopt(platform.atlas, accepted.tag, sleep=platform.sleep)
    held = accepted

    def record(measurements: list[Measurement]) -> None:
        nonlocal held
        held = replace(held, measurements=tuple(one.to_table() for one in measurements))
        store.write_accepted(path, held)

    schedule(
        platform.atlas,
        campaign=plan,
        targets=header.targets,
        probes=probes,
        run_tag=held.tag,
        now=platform.clock(),
        record=record,
        known=known,
        progress=_part(progress, 0.6, 1),
    )
    remarks = (*platform.atlas.warnings, *whom_not_asked(probes, header.targets))
    held = replace(held, stage=Stage.SCHEDULED, remarks=remarks)
    store.write_accepted(path, held)
    return held


def _reuse(
    path: Path, header: Header, plan: Campaign, platform: Platform, accepted: Accepted | None, progress: Progress
) -> Accepted:
    """Check the measurements that are there already, and choose among their vantage points if the campaign does."""
    measurements = reuse(platform.atlas, plan, header.targets, header.cut, header.services)
    if plan.vantage_points is not None:
        families: set[int] = {target.af for target in header.targets}
        wanted = plan.vantage_points
        probes = choose(platform.atlas, wanted, families, seed=wanted.seed, progress=progress)
        _write_asked(path, probes)
        chosen = tuple(probe["id"] for probe in probes)
        measurements = [replace(one, probes=chosen) for one in measurements]
    held = Accepted(
        tag="" if accepted is None else accepted.tag,
        stage=Stage.SCHEDULED,
        measurements=tuple(one.to_table() for one in measurements),
        remarks=tuple(platform.atlas.warnings),
    )
    store.write_accepted(path, held)
    return held


def _write_asked(path: Path, probes: list[dict[str, Any]]) -> None:
    with workbench() as (con, _):
        write_asked(con, probes_in(probes), store.part_of(path, store.VANTAGE_POINTS))


def _asked_ids(path: Path) -> list[int]:
    with workbench() as (con, _):
        rows = con.execute(f"SELECT vantage FROM {parts(path / store.VANTAGE_POINTS)} ORDER BY ALL").fetchall()
    return sorted(int(vantage.removeprefix("atlas:")) for (vantage,) in rows)


@contextmanager
def _kept_if_accepted(path: Path, made: Sequence[Path] = ()) -> Iterator[None]:
    """Remove a run that was `made` just now, if nothing was asked for it; of any other, say how to go on."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) or asked_to_stop.is_set()
        accepted = store.read_accepted(path)
        unsure = accepted is not None and (stopped or isinstance(error, PlatformUnsure))
        if made and not unsure and (accepted is None or not accepted.measurements):
            store.discard_run(made)
            if stopped:
                raise Interrupted("interrupted before anything was asked for: nothing is left behind") from error
            raise
        note = f"the run is kept: `catchment resume {shlex.quote(str(path))}` goes on; or remove the folder"
        if stopped:
            raise Interrupted(f"interrupted; {note}") from error
        if isinstance(error, InvalidRun):
            raise
        if isinstance(error, CatchmentError | OSError):
            raise PlatformFailed(f"{error}; {note}") from error
        raise


def _part(progress: Progress, first: float, last: float) -> Progress:
    """Return a progress whose whole is a part of another's."""
    return lambda text, done: progress(text, first + (last - first) * done)


def _free_place(campaign: Path, now: float) -> Path:
    name = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%dT%H%M%SZ")
    return next(
        path for path in chain([campaign / name], (campaign / f"{name}-{n}" for n in count(2))) if not path.exists()
    )


def _reused_window(campaign: Campaign, now: float) -> Window:
    """Return the window that is told, or a quarter of an hour that is long enough ago for its results to be there."""
    start, stop = campaign.schedule.start, campaign.schedule.stop
    end = now - LATE_S if stop is None else stop.timestamp()
    return Window(start=end - _REUSED_S if start is None else start.timestamp(), end=end)
