"""Run and resume campaigns: from a campaign file to a whole run.

A run goes through stages that its folder tells: begun (campaign.json), scheduling (a tag is stored, then measurements
are asked for), scheduled (what was accepted is stored), collected (all results are in raw/), derived (it is whole), and
where routes were traced, named (the last routers were asked about). Whatever stops it, `resume` goes on from the stage
that it finds. What this host measures itself, `probing` and `labs` bring to where it is collected.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from catchment import store
from catchment.campaign import Campaign, PlatformName
from catchment.errors import CatchmentError, Interrupted, InvalidRun, PlatformFailed, asked_to_stop
from catchment.metrics import iso_time
from catchment.model import Window
from catchment.platforms.atlas.client import Refused
from catchment.platforms.atlas.collecting import collect, why_incomplete
from catchment.platforms.atlas.selecting import describe
from catchment.platforms.atlas.statuses import NOTHING_COMES
from catchment.platforms.connecting import Platform
from catchment.store import Accepted, Header, Measurement, Stage
from catchment.workflow.asking import ask, asked_ids, write_asked_points
from catchment.workflow.importing import Imported, Progress, Say, part_of_progress, rebuild
from catchment.workflow.naming_hops import is_naming_due, judge_by_names
from catchment.workflow.planning import load_plan, reused_window
from catchment.workflow.reaching import Means, reach

_SCHEDULED, _COLLECTED, _DERIVED = 0.15, 0.8, 0.85  # how much of the whole is done after each stage
_OUTAGE_S = 300
_NOTHING_ASKED = "interrupted before anything was asked for"


def run_campaign(  # noqa: PLR0913  (all but the first three have a usual value)
    file: Path,
    root: Path,
    out: Path | None = None,
    *,
    environ: Mapping[str, str],
    key: str | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
    trace: Say = lambda _: None,
) -> Imported:
    """Measure a campaign as a new run: at `out`, or below `root` by the campaign's name and the time.

    `key` goes before the keys of the environment and of files. `say` is told what the user waits for when RIPE Atlas
    does not answer at once, or the DNS is asked; `trace` gets a line for each request. Raises CatchmentError. What went
    wrong before anything was asked for leaves nothing behind; later the run stays, and the message says how to go on.
    """
    campaign, services, targets = load_plan(file, root)
    start = float(int(clock()))
    path = _free_place(root / campaign.name, start) if out is None else out
    cut = reused_window(campaign, start) if campaign.reuse else Window()
    header = Header.of_plan(campaign, services, targets, created=iso_time(start) or "", cut=cut)
    simulated = campaign.lab.topology if campaign.platform is PlatformName.LAB else campaign.sandbox.topology
    made = store.begin_run(path, header, None if simulated is None else Path(simulated))
    with store.locked(path), _kept_if_accepted(path, made):
        return _go_on(
            path,
            header,
            Means(environ=environ, key=key, clock=clock, sleep=sleep, progress=progress, say=say, trace=trace),
        )


def resume_run(
    path: Path,
    *,
    environ: Mapping[str, str],
    key: str | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
    trace: Say = lambda _: None,
) -> Imported:
    """Go on with a run where it stopped. Raises CatchmentError."""
    header = store.read_header(path)
    if header.plan is None:
        raise InvalidRun(f"{path}: was imported, not measured: `catchment derive {path}` rebuilds its tables")
    accepted = store.read_accepted(path)
    if store.is_complete(path) and store.is_collected(path, accepted) and not is_naming_due(header, accepted):
        raise InvalidRun(f"{path}: complete already: `catchment show {path}`")
    with store.locked(path), _kept_if_accepted(path):
        return _go_on(
            path,
            header,
            Means(environ=environ, key=key, clock=clock, sleep=sleep, progress=progress, say=say, trace=trace),
        )


def _go_on(path: Path, header: Header, means: Means) -> Imported:
    """Do what is left to do for a run whose lock is held."""
    assert header.plan is not None  # noqa: S101  (only runs with a plan are measured)
    accepted = store.read_accepted(path)
    if not store.is_collected(path, accepted):
        store.check_kept(path, header, accepted)
        accepted = _MEASURE.get(header.plan.platform, _measure_at_atlas)(path, header, means)
        header = store.read_header(path)  # a lab's says when its routes changed
    if not is_naming_due(header, accepted):
        return rebuild(path, header, means.part(_COLLECTED, 1))
    done = rebuild(path, header, means.part(_COLLECTED, _DERIVED))
    done = judge_by_names(
        done, environ=means.environ, clock=means.clock, progress=means.part(_DERIVED, 1), say=means.say
    )
    if accepted is not None:
        store.write_accepted(path, replace(accepted, stage=Stage.NAMED))
    return done


def _measure_at_atlas(path: Path, header: Header, means: Means) -> Accepted:
    """Ask RIPE Atlas or a sandbox for what the campaign wants, and fetch what came of it."""
    plan, accepted = header.plan, store.read_accepted(path)
    assert plan is not None  # noqa: S101  (as above)
    is_asking = accepted is None or accepted.stage is Stage.SCHEDULING
    with reach(path, header, means, is_read_only=not is_asking) as platform:
        accepted = ask(path, header, plan, platform, means.part(0, _SCHEDULED), means.say)
        return _collect(path, header, plan, platform, accepted, means.part(_SCHEDULED, _COLLECTED), means.say)


def _measure_here(path: Path, header: Header, means: Means) -> Accepted:
    from catchment.workflow.probing import measure_here  # noqa: PLC0415  (RIPE Atlas needs no sockets)

    return measure_here(path, header, replace(means, progress=means.part(0, _COLLECTED)))


def _measure_in_lab(path: Path, header: Header, means: Means) -> Accepted:
    from catchment.workflow.labs.measuring import run_lab  # noqa: PLC0415  (as above)

    return run_lab(path, header, replace(means, progress=means.part(0, _COLLECTED)))


_MEASURE = {PlatformName.LOCAL: _measure_here, PlatformName.LAB: _measure_in_lab}
"""What brings a run to where all of its results are there; of other platforms RIPE Atlas's own way does."""


def _collect(
    path: Path, header: Header, plan: Campaign, platform: Platform, accepted: Accepted, progress: Progress, say: Say
) -> Accepted:
    """Wait for the results, fetch them, and store what is known of who was asked and what came."""
    measurements = accepted.measurements
    outage = False
    while True:
        try:
            collected = collect(
                platform.atlas,
                measurements,
                store.raw_folder(path),
                clock=platform.clock,
                sleep=platform.sleep,
                progress=progress,
                window=header.cut,
            )
            break
        except PlatformFailed as failure:
            if not _may_pass(failure, measurements, platform.clock()):
                raise
            if not outage:
                say(f"{failure}; the measurements go on: looking again every {_OUTAGE_S // 60} minutes")
            outage = True
            progress("out of reach; the measurements go on", 0)
            platform.sleep(_OUTAGE_S)
    if plan.reuse and plan.vantage_points is None:
        answered = sorted({probe for one in collected for probe in one.participants})
        write_asked_points(path, describe(platform.atlas, answered, part_of_progress(progress, 1, 1)))
    if platform.write_truth is not None:
        addresses = {target.address for target in header.targets}
        platform.write_truth(store.truth_file(path), set(asked_ids(path)), addresses)
    if not any(one.results for one in collected) and all(one.status in NOTHING_COMES for one in collected):
        said = ", ".join(sorted({f"{one.status}" for one in collected}))
        raise PlatformFailed(
            f"nothing was measured: the status of all measurements is {said}: look at them on the server's web pages, "
            "then run the campaign anew"
        )
    late = [
        why_incomplete(measurement, one)
        for measurement, one in zip(measurements, collected, strict=True)
        if not one.complete or one.results == 0
    ]
    came = tuple(
        replace(
            measurement,
            files=tuple(file.name for file in one.files),
            results=one.results,
            participants=len(one.participants),
            status=one.status,
        )
        for measurement, one in zip(measurements, collected, strict=True)
    )
    remarks = tuple(dict.fromkeys([*accepted.remarks, *platform.atlas.warnings, *late]))
    accepted = replace(accepted, stage=Stage.COLLECTED, measurements=came, remarks=remarks)
    store.write_accepted(path, accepted)
    return accepted


def _may_pass(failure: PlatformFailed, measurements: Sequence[Measurement], now: float) -> bool:
    """Tell whether a failure is worth waiting for: the network or the server has it, and there is more to come."""
    may_pass = not isinstance(failure, Refused) or failure.may_pass
    return may_pass and any(not one.reused and one.stop is not None and now < one.stop for one in measurements)


@contextmanager
def _kept_if_accepted(path: Path, made: Sequence[Path] = ()) -> Iterator[None]:
    """Remove a run that was `made` just now, if nothing was asked for it; of any other, say how to go on."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) or asked_to_stop.is_set()
        accepted = store.read_accepted(path)
        if made and (accepted is None or not (accepted.may_cost or accepted.measurements)):
            has_begun = any(store.raw_folder(path).glob("*"))
            store.discard_run(made)
            if stopped:
                what = "interrupted, what was measured is thrown away" if has_begun else _NOTHING_ASKED
                raise Interrupted(f"{what}: nothing is left behind") from error
            raise
        note = f"the run is kept: {store.ways_on(path, accepted)}"
        if stopped:
            raise Interrupted(f"interrupted; {note}", run=path if store.may_cost(path, accepted) else None) from error
        if isinstance(error, InvalidRun):
            raise
        if isinstance(error, CatchmentError | OSError):
            raise PlatformFailed(f"{error}; {note}") from error
        raise


def _free_place(campaign: Path, now: float) -> Path:
    name = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%dT%H%M%SZ")
    return next(
        path for path in chain([campaign / name], (campaign / f"{name}-{n}" for n in count(2))) if not path.exists()
    )
