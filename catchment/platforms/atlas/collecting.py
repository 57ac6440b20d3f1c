"""Collecting: all measurements of a run are waited for at the same time, and their results fetched as they come.

`slices` cuts long measurements, `fetching` makes files of results, `looking` waits for a one-off and `gathering` for
what is longer, and `watching` knows how they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from catchment.errors import PlatformFailed
from catchment.model import Window
from catchment.platforms.atlas.client import Atlas
from catchment.platforms.atlas.fetching import UNFINISHED, Fetcher
from catchment.platforms.atlas.gathering import Sliced
from catchment.platforms.atlas.looking import OneOff
from catchment.platforms.atlas.slices import cut
from catchment.platforms.atlas.statuses import ask_status
from catchment.platforms.atlas.waiting import Missing, Waiting, expected_results
from catchment.store import Measurement

_TOLD_EVERY_S, _TOLD_AT_LAST_EVERY_S = 60.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What came of one measurement: its files (NDJSON, gzip), how many results, and which probes sent them.

    Not `complete` is one of which too few had answered, or in too few of its rounds, when its deadline passed, or that
    ended early. `status` is the last that the API said of it; None where it was not asked, because enough had come.
    """

    measurement: int
    files: tuple[Path, ...]
    results: int
    participants: frozenset[int]
    complete: bool
    status: str | None


def collect(
    atlas: Atlas,
    measurements: Sequence[Measurement],
    folder: Path,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    progress: Callable[[str, float], None] = lambda *_: None,
    window: Window | None = None,
) -> list[Collected]:
    """Wait for all measurements and fetch their results into `folder`; of the window only, if one is given.

    A measurement is one file, <id>.ndjson.gz, or where it is long one for each slice, <id>-<begin>-<end>.ndjson.gz,
    and <id>-late.ndjson.gz for what came late. A file that is there already is whole, and not fetched again, unless it
    is damaged. Whatever stops this, only whole files are left, and calling it again goes on.

    Raises PlatformFailed: at once, but where the results of one measurement are not found, the others come first.
    """
    for stale in folder.glob(f".*{UNFINISHED}"):  # of a process that was killed
        stale.unlink(missing_ok=True)
    fetcher = Fetcher(atlas=atlas, clock=clock, sleep=sleep)
    board = _Board(clock=clock, progress=progress)
    missing: list[Missing] = []
    with ExitStack() as stack:
        due = []
        for measurement in measurements:
            slices = cut(measurement, window or Window())
            kind = OneOff if measurement.interval_s is None and not measurement.reused else Sliced
            waiting = kind(measurement, slices, folder, fetcher, partial(board.tell_fetching, measurement))
            board.all.append(waiting)
            due.append((-math.inf, waiting, stack.enter_context(closing(waiting.steps()))))
        while due:
            due.sort(key=lambda entry: entry[0])
            time, waiting, steps = due.pop(0)
            board.open = [waiting, *(other for _, other, _ in due)]
            while (left_s := time - clock()) > 0:
                board.tell_waiting(time)
                sleep(min(left_s, _TOLD_EVERY_S if left_s > 2 * _TOLD_EVERY_S else _TOLD_AT_LAST_EVERY_S))
            try:
                due.append((next(steps), waiting, steps))
            except StopIteration:
                board.tell_done(waiting)
            except Missing as failure:
                missing.append(failure)
    if missing:
        raise missing[0]
    return [_collected(waiting) for waiting in board.all]


def why_incomplete(measurement: Measurement, collected: Collected) -> str:
    """Say of a measurement that is not complete what came of it, and what the API says of it."""
    about = f"measurement {measurement.id} ({_name(measurement)})"
    if measurement.reused:
        return f"{about} has no results in the window"
    asked = "" if measurement.probes is None else f" of {len(measurement.probes)}"
    answered = f"{len(collected.participants)}{asked} vantage points"
    status = f"its status is '{collected.status}'"
    if measurement.interval_s is None:
        return f"{about}: {answered} answered, and no more were waited for; {status}"
    expected = expected_results(measurement)
    results = "" if expected is None or collected.results > expected else f" of {expected}"
    return f"{about}: {collected.results}{results} results, of {answered}; {status}"


def in_words(seconds: float) -> str:
    """Return a time as people say it: 45 s, 3 min, 2 h 10 min, 3 days 4 h."""
    minutes, hours = math.ceil(seconds / 60), math.ceil(seconds / 3600)
    if seconds <= 90:
        return f"{math.ceil(seconds)} s"
    if minutes <= 90:
        return f"{minutes} min"
    if hours <= 48:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{hours // 24} days {hours % 24} h" if hours % 24 else f"{hours // 24} days"


class _Board:
    """Tells how far everything is; the share never goes back."""

    def __init__(self, *, clock: Callable[[], float], progress: Callable[[str, float], None]) -> None:
        self.all: list[Waiting] = []
        self.open: list[Waiting] = []
        self._clock = clock
        self._progress = progress
        self._share = 0.0

    def tell_waiting(self, until: float) -> None:
        """Tell what is waited for, at least until a time: how many have answered, and for how long at most."""
        now = self._clock()
        starts = min(waiting.measurement.start for waiting in self.open)
        left = in_words(max(until, *(waiting.ends for waiting in self.open)) - now)
        what = _name(self.all[0].measurement) if len(self.all) == 1 else f"{len(self.all)} measurements"
        state = f"starts in {in_words(starts - now)}" if starts > now else f"{self._state()}, {left} left"
        self._tell(f"{what}: {state}")

    def tell_fetching(self, measurement: Measurement, what: str, results: int) -> None:
        """Tell how many results of one measurement there are, while they come."""
        self._tell(f"{_name(measurement)}: {what}, {results:,} results")

    def tell_done(self, waiting: Waiting) -> None:
        """Tell what came of a measurement."""
        found = waiting.found
        self.open.remove(waiting)
        self._tell(
            f"{_name(waiting.measurement)}: {found.results:,} results of {len(found.participants):,} vantage points"
        )

    def _state(self) -> str:
        asked = [waiting.measurement.probes for waiting in self.all]
        if all(isinstance(waiting, OneOff) for waiting in self.all) and None not in asked:
            answered = sum(len(waiting.found.participants) for waiting in self.all)
            return f"{answered:,} of {sum(len(probes or ()) for probes in asked):,} answered"
        results = sum(waiting.found.results for waiting in self.all)
        if results == 0:
            return "measuring, nothing is fetched yet"
        participants = len(frozenset[int]().union(*(waiting.found.participants for waiting in self.all)))
        everybody = "" if None in asked else f" of {len(frozenset(chain.from_iterable(filter(None, asked)))):,}"
        return f"{results:,} results of {participants:,}{everybody} vantage points"

    def _tell(self, text: str) -> None:
        open_now = {id(waiting) for waiting in self.open}
        done = sum(waiting.share if id(waiting) in open_now else 1.0 for waiting in self.all)
        self._share = max(self._share, done / len(self.all))
        self._progress(text, self._share)


def _name(measurement: Measurement) -> str:
    return f"{measurement.kind.value} {measurement.target}"


def _collected(waiting: Waiting) -> Collected:
    complete = waiting.is_complete
    told = waiting.watch.status
    status = None if told is None else told.name
    if not complete:
        try:
            status = ask_status(waiting.fetcher.atlas, waiting.measurement.id).name
        except PlatformFailed:
            status = status or "unknown"  # all results that there are have been fetched: no reason to fail now
    return Collected(
        measurement=waiting.measurement.id,
        files=tuple(waiting.files),
        results=waiting.found.results,
        participants=waiting.found.participants,
        complete=complete,
        status=status,
    )
