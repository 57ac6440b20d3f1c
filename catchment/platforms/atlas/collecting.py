"""Waiting for results and fetching them: whole files, byte for byte as the server sent them, or none."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catchment.errors import PlatformFailed
from catchment.model import Window
from catchment.platforms.atlas.client import Atlas, Refused, StreamBroken
from catchment.platforms.atlas.costs import ONE_OFF_SPREAD_S
from catchment.platforms.atlas.failures import clean
from catchment.platforms.atlas.measurements import Measurement

LATEST_RESULT_S = 300
"""How long after its turn a probe's result is waited for. Most come within 10 s; a traceroute through silent routers
has taken 141 s; probes that were offline report when they are back, which nobody waits for."""

LATE_S = 120
"""How long after a window results still come in: RIPE Atlas has taken 72 s from the time of a result to its store."""

ENOUGH = 0.95
"""With this share of the probes, one more look that brings nothing new ends the waiting."""

_FIRST_PAUSE_S, _PAUSE_GROWTH, _LONGEST_PAUSE_S = 5.0, 1.5, 60.0
_TRIES = 3  # of a stream that breaks off; each begins anew
_PROBES_AT_ONCE = 500  # keeps the address of a request below 8 kB
# A quote inside a JSON string is always escaped, so that this can only be a key.
_PROBE = re.compile(rb'"prb_id"\s*:\s*(\d+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What came of one measurement: its file (NDJSON, gzip), how many results, and which probes sent them.

    Not `complete` is one whose deadline passed before enough had answered.
    """

    measurement: int
    file: Path
    results: int
    participants: frozenset[int]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    results: int = 0
    participants: frozenset[int] = frozenset()


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
    """Wait for each measurement and fetch its results to `folder`/<id>.ndjson.gz; of the window only, if one is given.

    A file that is there already is whole, and is not fetched again. Raises PlatformFailed; then the files of those
    before are there, whole, and of this one there is none.
    """
    collected = []
    for number, measurement in enumerate(measurements):

        def tell(text: str, share: float, measurement: Measurement = measurement, before: int = number) -> None:
            asked = f"{measurement.kind.value} {measurement.target}"
            progress(f"{asked}: {text}", (before + share) / len(measurements))

        waiting = _Waiting(
            atlas=atlas, measurement=measurement, window=window or Window(), clock=clock, sleep=sleep, tell=tell
        )
        file = folder / f"{measurement.id}.ndjson.gz"
        # Hidden, so that nobody takes for a result what is not whole.
        unfinished = folder / f".{file.name}.unfinished"
        try:
            look = _read_again(file)
            if look is None:
                look, complete = waiting.until_done(unfinished)
                unfinished.replace(file)
            else:
                complete = waiting.is_enough(look)
        finally:
            unfinished.unlink(missing_ok=True)
        collected.append(
            Collected(
                measurement=measurement.id,
                file=file,
                results=look.results,
                participants=look.participants,
                complete=complete,
            )
        )
        tell(f"{look.results} results of {len(look.participants)} probes", 1.0)
    return collected


def why_incomplete(atlas: Atlas, measurement: Measurement, answered: int) -> str:
    """Say of a measurement whose deadline has passed how many answered, and what the API says of it."""
    status = atlas.get(f"/measurements/{measurement.id}/").get("status")
    name = clean(status.get("name") if isinstance(status, dict) else status, longest=40)
    asked = "" if measurement.probes is None else f" of {len(measurement.probes)}"
    return (
        f"measurement {measurement.id} ({measurement.kind.value} {measurement.target}): {answered}{asked} vantage "
        f"points answered before the deadline; its status is '{name}'"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """One measurement and the means to wait for it."""

    atlas: Atlas
    measurement: Measurement
    window: Window
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[str, float], None]

    def until_done(self, file: Path) -> tuple[_Look, bool]:
        """Wait, fetch everything into `file`, and tell whether that is all that was to be expected.

        The API's own status is not asked: it lags behind the results, and says nothing of how many came.
        """
        stop = self.measurement.stop
        if self.measurement.reused:
            self.until(None if stop is None else stop + LATE_S, "the window ends")
            return self.fetch(file), True
        if self.measurement.interval_s is None:
            return self.until_answered(file)
        if stop is None:
            raise PlatformFailed(f"measurement {self.measurement.id} has no end, and so no last result: stop it")
        self.until(stop + LATEST_RESULT_S, "it ends")
        return self.fetch(file), True

    def is_enough(self, look: _Look) -> bool:
        """Tell whether enough probes have answered a one-off; whatever has a last second was waited for."""
        asked = self.measurement.probes
        if self.measurement.reused or self.measurement.interval_s is not None or asked is None:
            return True
        return len(look.participants) >= ENOUGH * len(asked)

    def until(self, time: float | None, what: str, most: float = 1.0) -> None:
        """Wait until a time, if one is given and it has not passed; by then the share `most` is done."""
        begun = self.clock()
        while time is not None and (left_s := time - self.clock()) > 0:
            self.tell(f"{what} in {math.ceil(left_s)} s", most * max(0.0, 1 - left_s / (time - begun)))
            self.sleep(min(left_s, _LONGEST_PAUSE_S))

    def until_answered(self, file: Path) -> tuple[_Look, bool]:
        """Look at a one-off with growing pauses until all have answered, or nearly all and no more come."""
        asked = None if self.measurement.probes is None else len(self.measurement.probes)
        deadline = self.measurement.start + ONE_OFF_SPREAD_S + LATEST_RESULT_S
        pause_s, before = _FIRST_PAUSE_S, -1
        self.until(self.measurement.start, "it starts", most=0.0)
        while True:
            over = self.clock() >= deadline
            look = self.fetch(file, may_be_missing=True)
            answered = len(look.participants)
            if asked is not None and (answered >= asked or (answered >= ENOUGH * asked and answered == before)):
                return look, True
            if over:
                return look, False
            of_asked = "" if asked is None else f" of {asked}"
            self.tell(f"{answered}{of_asked} answered", 0.0 if asked is None else answered / asked)
            before = answered
            self.sleep(max(0.0, min(pause_s, deadline - self.clock())))
            pause_s = min(_LONGEST_PAUSE_S, pause_s * _PAUSE_GROWTH)

    def fetch(self, file: Path, *, may_be_missing: bool = False) -> _Look:
        """Write all results there are into `file`; a stream that breaks off is begun anew, a few times."""
        for attempt in range(_TRIES):
            try:
                return self._write(file)
            except StreamBroken:
                if attempt == _TRIES - 1:
                    raise
                self.sleep(_FIRST_PAUSE_S * 2**attempt)
            except Refused as refusal:
                # Right after its creation, the results of a measurement are not there yet.
                if not may_be_missing or refusal.status != 404:
                    raise
                _write_lines(file, iter(()))
                return _Look()
        raise AssertionError("the last try returns or raises")

    def _write(self, file: Path) -> _Look:
        with closing(self._lines()) as lines:
            return _write_lines(file, lines)

    def _lines(self) -> Generator[bytes, None, None]:
        path = f"/measurements/{self.measurement.id}/results/"
        for params in self._requests():
            yield from self.atlas.lines(path, format="txt", **params)

    def _requests(self) -> Iterator[dict[str, Any]]:
        """Yield the parameters of each request that it takes: chosen probes are asked for some hundred at once."""
        start, stop = self._span()
        # Answers may come out of a cache that heeds no header; Blaeu's way around it.
        params = {"start": start, "stop": stop, "defeatcaching": f"dc{self.clock():.0f}"}
        chosen = self.measurement.probes if self.measurement.reused else None
        if chosen is None:
            yield params
            return
        for first in range(0, len(chosen), _PROBES_AT_ONCE):
            yield params | {"probe_ids": chosen[first : first + _PROBES_AT_ONCE]}

    def _span(self) -> tuple[int | None, int | None]:
        """Return the first and last second to ask for; the API counts both in, a window leaves its end out."""
        own = Window(start=self.measurement.start, end=self.measurement.stop) if self.measurement.reused else Window()
        start = own.start if self.window.start is None else self.window.start
        end = own.end if self.window.end is None else self.window.end
        return None if start is None else math.ceil(start), None if end is None else math.ceil(end) - 1


def _read_again(file: Path) -> _Look | None:
    """Count what a file holds that was fetched before; None where there is none, or it is damaged."""
    try:
        with gzip.open(file) as lines:
            found = [_PROBE.search(line) for line in lines]
    except (OSError, EOFError, zlib.error):
        return None
    return _Look(results=len(found), participants=frozenset(int(probe[1]) for probe in found if probe is not None))


def _write_lines(file: Path, lines: Iterator[bytes]) -> _Look:
    """Write lines into a gzip file that is the same whenever it is written (no time, no name in it)."""
    results, participants = 0, set()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=6, mtime=0) as packed:
            for line in lines:
                packed.write(line + b"\n")
                results += 1
                probe = _PROBE.search(line)
                if probe is not None:
                    participants.add(int(probe[1]))
        out.flush()
        os.fsync(out.fileno())
    return _Look(results=results, participants=frozenset(participants))
