"""What a run's measurements and the account need besides measuring: to be stopped, and to be looked at."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

from catchment import store
from catchment.campaign import PlatformName
from catchment.errors import InvalidRun, PlatformFailed
from catchment.metrics import Numbers, iso_time
from catchment.platforms.atlas.adopting import find_run, listed_by
from catchment.platforms.atlas.client import Atlas, Refused
from catchment.platforms.atlas.failures import clean
from catchment.platforms.atlas.statuses import ask_status
from catchment.platforms.connecting import Platform, connect_atlas
from catchment.store import Accepted, Stage
from catchment.workflow.importing import Say
from catchment.workflow.reaching import Means, reach

_LOOK_EVERY_S = 15
_LATEST = 253_402_300_799  # the last second of the year 9999, after which there are no dates
_LONGEST_TIME = 40
_LARGEST = 1e15  # more is no number of credits or seconds, but somebody's joke


def stop_run(
    path: Path,
    *,
    environ: Mapping[str, str],
    key: str | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    say: Say = lambda _: None,
    trace: Say = lambda _: None,
) -> Numbers:
    """Stop the measurements that a run has asked for; what they measured stays. Return what happened to each.

    Measurements that the run reuses are others' and left alone; those whose ids were lost on the way are sought by the
    run's tag. The run itself is not touched, so that another process may be at work on it. Raises InvalidRun, and
    PlatformFailed where nothing can be asked; `check_stopped` tells of single ones that were not stopped.
    """
    header, accepted = store.read_header(path), store.read_accepted(path)
    if header.plan is None:
        raise InvalidRun(f"{path}: was imported, not measured, so that there is nothing to stop: name another run")
    told: dict[int, Numbers] = {}
    notes: list[str] = []
    if accepted is not None and (accepted.may_cost or accepted.stage is Stage.SCHEDULING):
        # A sandbox lives in the process that measures; the real platform can be told from anywhere.
        alone = store.locked(path) if header.platform == PlatformName.SANDBOX else nullcontext()
        means = Means(environ=environ, key=key, clock=clock, sleep=sleep, say=say, trace=trace)
        with alone, reach(path, header, means, is_read_only=True) as platform:
            for number in (one.id for one in accepted.measurements if not one.reused):
                told[number] = _stop(platform.atlas, number)
            for number in _lost(platform, accepted, say):
                if number not in told:
                    told[number] = _stop(platform.atlas, number)
        if accepted.stage is Stage.SCHEDULING:
            notes.append(_of_the_rest(path))
    if not told and accepted is not None and accepted.unsure:
        notes.append("an answer was lost, and no list shows measurements of it: look again in some minutes")
    elif not told:
        notes.append("the run has asked for no measurements of its own: there is nothing to stop")
    return {
        "run": str(path),
        "measurements": [told[number] for number in sorted(told)],
        "notes": notes,
        "next": None if not told or store.is_complete(path) else f"catchment resume {shlex.quote(str(path))}",
    }


def check_stopped(stopped: Numbers) -> None:
    """Raise PlatformFailed where some of the measurements could not be stopped."""
    problems = [one["problem"] for one in stopped["measurements"] if one["problem"] is not None]
    if problems:
        raise PlatformFailed(
            f"{len(problems)} of {len(stopped['measurements'])} measurements are not stopped: {problems[0]}; "
            f"`catchment stop {shlex.quote(stopped['run'])}` tries again"
        )


def read_account(
    *,
    environ: Mapping[str, str],
    key: str | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    say: Say = lambda _: None,
    trace: Say = lambda _: None,
) -> Numbers:
    """Return the credits of the account that a key belongs to; None for what the API does not tell as a number.

    Raises PlatformFailed.
    """
    with connect_atlas(environ=environ, key=key, clock=clock, sleep=sleep, say=say, trace=trace) as platform:
        found = platform.atlas.get("/credits/")
        server = platform.atlas.endpoint.server
    if not isinstance(found, dict):
        raise PlatformFailed(f"{server}: reading /credits/: the answer is no account: check the server's address")
    number = {name: _number(value) for name, value in found.items()}
    runs_out_s = number.get("estimated_runout_seconds")
    calculated_at = number.get("calculation_time")
    as_of = clock() if calculated_at is None else calculated_at
    return {
        "server": server,
        "as_of": _time(found.get("calculation_time")),
        "balance": number.get("current_balance"),
        "credits_per_day": number.get("max_daily_credits"),
        "estimated_daily_income": number.get("estimated_daily_income"),
        "estimated_daily_expenditure": number.get("estimated_daily_expenditure"),
        "runs_out_in_s": runs_out_s,
        "runs_out_at": None if runs_out_s is None else _time(math.floor(as_of + runs_out_s)),
        "past_day": {
            "results": number.get("past_day_measurement_results"),
            "credits": number.get("past_day_credits_spent"),
        },
    }


def _lost(platform: Platform, accepted: Accepted, say: Say) -> Iterator[int]:
    """Yield measurements of the run that it may not know, as they turn up in the API's lists, which lag behind."""
    if accepted.stage is not Stage.SCHEDULING:
        return
    listed_at = listed_by(max(accepted.unsure.values(), default=-math.inf), platform.clock())
    if platform.clock() < listed_at:
        say(
            f"an answer of {platform.atlas.endpoint.server} was lost: looking for five minutes whether measurements "
            "came of that"
        )
    while True:
        left_s = listed_at - platform.clock()
        yield from (one.id for one in find_run(platform.atlas, accepted.tag))
        if left_s <= 0:
            return
        platform.sleep(min(left_s, _LOOK_EVERY_S))


def _of_the_rest(path: Path) -> str:
    """Say what becomes of the measurements that a run has not asked for yet."""
    try:
        with store.locked(path):
            return "the run has not asked for all of its measurements yet: going on with it would ask for the rest"
    except InvalidRun:
        return (
            "another process is at work on the run, and asks for the rest of its measurements: end it, then stop the "
            "run again"
        )


def _stop(atlas: Atlas, number: int) -> Numbers:
    """Stop a measurement unless it is over; return what happened, also if the API refuses."""
    told: Numbers = {"id": number, "what": "stopped", "status": None, "problem": None}
    try:
        over = _over(atlas, number)
        if over is None:
            atlas.stop(number)
        return told if over is None else told | {"what": "over", "status": over}
    except Refused as refusal:
        if refusal.is_missing:
            return told | {"what": "gone"}
        if refusal.may_pass:
            raise
        over = _over(atlas, number)  # it may have ended just now, or its end was not known everywhere
        if over is not None:
            return told | {"what": "over", "status": over}
        return told | {"what": "not stopped", "problem": str(refusal)}


def _over(atlas: Atlas, number: int) -> str | None:
    """Return the status of a measurement that is over; None of one that is not, or that is not found here (yet)."""
    try:
        status = ask_status(atlas, number)
    except Refused as refusal:
        if refusal.is_forbidden or refusal.is_missing:
            return None
        raise
    return status.name if status.is_over else None


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_LARGEST < value < _LARGEST else None  # NaN is in no order


def _time(value: object) -> str | None:
    """Return a time as text: the API gives seconds, or a text already."""
    number = _number(value)
    if number is not None:
        return iso_time(number) if 0 <= number <= _LATEST else None
    return clean(value, longest=_LONGEST_TIME) if isinstance(value, str) else None
