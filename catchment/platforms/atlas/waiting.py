"""Waiting for one measurement: when to look, when that is enough, and when nothing more is to be expected."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catchment.errors import PlatformFailed
from catchment.platforms.atlas.client import Refused
from catchment.platforms.atlas.costs import ONE_OFF_SPREAD_S
from catchment.platforms.atlas.fetching import Found, Source, Unfinished, key_of, keys_in, probe_of, read_again
from catchment.platforms.atlas.measurements import Measurement
from catchment.platforms.atlas.slices import Slice, file_name
from catchment.platforms.atlas.statuses import Status, ask_status

LATEST_RESULT_S = 300
"""How long after its turn a probe's result is waited for. Most come within 10 s; a traceroute through silent routers
has taken 141 s; probes that were offline report when they are back, which nobody waits for."""

LATE_S = 120
"""How long after a window results still come in: RIPE Atlas has taken 72 s from the time of a result to its store."""

ENOUGH = 0.95
"""With this share of the probes, one more look that brings nothing new ends the waiting."""

_FIRST_PAUSE_S, _PAUSE_GROWTH, _LONGEST_PAUSE_S = 5.0, 1.5, 60.0
_FIRST_STATUS_S, _RUNNING_STATUS_S, _STATUS_GROWTH, _LONGEST_STATUS_S = 60.0, 30.0, 2.0, 900.0
_MOST_STATUSES = 100
_NOT_FOUND = 404

Steps = Generator[float, None, None]


class Missing(PlatformFailed):
    """The results of a measurement are not found, long after they should be."""


@dataclass(slots=True, kw_only=True)
class Waiting:
    """One measurement that is waited for: what was found of it so far, in which files, and its last known status.

    `steps` does all there is to do, bit by bit; it yields when it wants to go on (seconds since 1970 UTC), and others
    have their turn. `told` hears, while results come, what is fetched and how many there are.
    """

    measurement: Measurement
    slices: Sequence[Slice]
    folder: Path
    source: Source
    told: Callable[[str, int], None]
    found: Found = field(default_factory=Found)
    files: list[Path] = field(default_factory=list)
    status: Status | None = None
    _begun: float = field(init=False)
    _ended: float | None = field(init=False, default=None)
    _next_status: float = field(init=False)
    _status_pause_s: float = field(init=False, default=_FIRST_STATUS_S)
    _last_had_some: bool = field(init=False, default=True)
    _fetched_early: list[Slice] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._begun = self.source.clock()
        self._next_status = self._begun + _FIRST_STATUS_S

    @property
    def is_one_off(self) -> bool:
        """Tell whether each probe is waited for to answer once."""
        return self.measurement.interval_s is None and not self.measurement.reused

    @property
    def ends(self) -> float:
        """Return when the waiting is over at the latest."""
        if self.is_one_off:
            return self._at_latest(self.measurement.start + ONE_OFF_SPREAD_S + LATEST_RESULT_S)
        end = self.slices[-1].end
        return self._begun if end is None else self._due(end)

    @property
    def share(self) -> float:
        """Return how much of the waiting and fetching is done, 0 to 1."""
        if self.is_one_off:
            asked = self.measurement.probes
            return min(1.0, len(self.found.participants) / len(asked)) if asked else 0.0
        waited = min(0.95, (self.source.clock() - self._begun) / max(1.0, self.ends - self._begun))
        fetched = len(self.files) / len(self.slices)
        return min(1.0, fetched if self.ends <= self._begun else max(fetched, waited))

    @property
    def is_complete(self) -> bool:
        """Tell whether enough probes have answered, and no round was lost because the measurement ended early."""
        asked, measurement = self.measurement.probes, self.measurement
        if measurement.reused or asked is None:
            return True
        if len(self.found.participants) < ENOUGH * len(asked):
            return False
        stop, interval_s = measurement.stop, measurement.interval_s
        return interval_s is None or self._ended is None or stop is None or self._ended > stop - interval_s

    def steps(self) -> Steps:
        """Wait, and fetch everything. Raises PlatformFailed; then this has left whole files only."""
        if self.is_one_off:
            yield from self._one_off()
            return
        if self.slices[-1].end is None and not self.measurement.reused:
            raise PlatformFailed(f"measurement {self.measurement.id} has no end, and so no last result: stop it")
        yield from self._sliced()
        if not self.measurement.reused:
            self._late()

    def _one_off(self) -> Steps:
        (piece,) = self.slices
        file = self._file(piece)
        found = read_again(file)
        if found is None:
            yield from self._until(self.measurement.start)
            self._status_pause_s = _RUNNING_STATUS_S
            self._next_status = self.source.clock() + _RUNNING_STATUS_S
            with Unfinished(file) as out:
                yield from self._looks(piece, out)
                out.finish()
        else:
            self.found = found
        self.files.append(file)

    def _looks(self, piece: Slice, out: Unfinished) -> Steps:
        """Look with growing pauses until all have answered, or nearly all and no more come; ask only who has not."""
        pause_s = _FIRST_PAUSE_S
        while True:
            is_last = self.source.clock() >= self.ends
            before = self.found.participants
            try:
                self._look(piece, out)
            except Refused as refusal:
                # Right after its creation, the results of a measurement are not there yet.
                if refusal.status != _NOT_FOUND:
                    raise
                if is_last and not (self.status is not None and self.status.never_ran):
                    raise self._missing() from refusal
            self.found = out.found
            if self._is_enough(is_new=len(self.found.participants) > len(before)) or is_last:
                return
            if self.source.clock() >= self._next_status:
                self._ask_status()
            yield min(self.source.clock() + pause_s, self.ends)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * _PAUSE_GROWTH)

    def _look(self, piece: Slice, out: Unfinished) -> None:
        asked, answered = self.measurement.probes, self.found.participants
        self.source.fetch(
            self.measurement.id,
            piece,
            out,
            probes=[probe for probe in asked if probe not in answered] if asked and answered else None,
            leave_out=(lambda line: probe_of(line) in answered) if answered else None,
            told=lambda results: self.told("fetching", results),
        )

    def _is_enough(self, *, is_new: bool) -> bool:
        """Tell whether no more need be waited for: of those asked, some may not even have been there to ask."""
        asked = self.measurement.probes
        if asked is None:
            return False
        answered = len(self.found.participants)
        if answered >= len(asked):
            return True
        taking_part = self.status.probes if self.status is not None else None
        expected = len(asked) if taking_part is None else min(len(asked), len(taking_part))
        return answered >= ENOUGH * expected and not is_new

    def _sliced(self) -> Steps:
        """Fetch each slice once its results have had time to come."""
        for number, piece in enumerate(self.slices, start=1):
            file = self._file(piece)
            found = read_again(file)
            if found is None:
                yield from self._until(None if piece.end is None else self._due(piece.end))
                if self._ended is not None and piece.begin > self._ended:
                    return  # nothing was measured from then on
                if self.source.clock() < self.ends:
                    self._fetched_early.append(piece)
                found = yield from self._fetched(piece, file, number)
            else:
                self._fetched_early.append(piece)  # nobody knows when
            self.found += found
            self.files.append(file)
            yield self.source.clock()

    def _fetched(self, piece: Slice, file: Path, number: int) -> Generator[float, None, Found]:
        what = "fetching" if len(self.slices) == 1 else f"fetching part {number} of {len(self.slices)}"
        before, patient_until = self.found.results, self.source.clock() + LATEST_RESULT_S
        expects_some = self._last_had_some  # else all of a long silence would be asked for several times
        while True:
            try:
                with Unfinished(file) as out:
                    self.source.fetch(
                        self.measurement.id,
                        piece,
                        out,
                        probes=self.measurement.probes if self.measurement.reused else None,
                        told=lambda results: self.told(what, before + results),
                        expects_some=expects_some,
                    )
                    out.finish()
                self._last_had_some = out.found.results > 0
                return out.found
            except Refused as refusal:
                if refusal.status != _NOT_FOUND or self.measurement.reused:
                    raise
                if self.source.clock() >= patient_until:
                    raise self._missing() from refusal
            yield self.source.clock() + _LONGEST_PAUSE_S

    def _late(self) -> None:
        """Fetch what came late: probes that were offline report when they are back.

        This is done once, when all has ended, for slices that were fetched before: each is asked for the probes that
        had fewer results than rounds, and what is there already is left out. What came is one file more.
        """
        file = self.folder / f"{self.measurement.id}-late.ndjson.gz"
        found = read_again(file)
        if found is None:
            with Unfinished(file) as out:
                for piece in self._fetched_early if len(self.slices) > 1 else []:
                    self._fetch_late(piece, out)
                if out.found.results == 0:
                    return
                out.finish()
            found = out.found
        self.found += found
        self.files.append(file)

    def _fetch_late(self, piece: Slice, out: Unfinished) -> None:
        known, turns = set(keys_in(self._file(piece))), defaultdict[int | None, int](int)
        for probe, _ in known:
            turns[probe] += 1
        rounds = 1 if piece.end is None else max(1, (piece.end - piece.begin) // (self.measurement.interval_s or 1))
        short = [probe for probe in self.measurement.probes or () if turns[probe] < rounds]
        self.source.fetch(
            self.measurement.id,
            piece,
            out,
            probes=short,
            leave_out=lambda line: key_of(line) in known,
            told=lambda results: self.told("fetching what came late", results),
        )

    def _until(self, time: float | None) -> Steps:
        """Wait until a time, if one is given and it has not passed; less if the measurement ends before."""
        while time is not None and (now := self.source.clock()) < (latest := self._at_latest(time)):
            # Once there is no more to wait for than results need anyway, its status changes nothing.
            if self._next_status > latest - LATEST_RESULT_S:
                yield latest
            elif now < self._next_status:
                yield self._next_status
            else:
                self._ask_status()

    def _due(self, end: int) -> float:
        return self._at_latest(end + (LATE_S if self.measurement.reused else LATEST_RESULT_S))

    def _at_latest(self, time: float) -> float:
        return time if self._ended is None else min(time, self._ended + LATEST_RESULT_S)

    def _ask_status(self) -> None:
        """Ask how the measurement is, with pauses that grow: it may have been stopped, or have failed."""
        now = self.source.clock()
        try:
            self.status = ask_status(self.source.atlas, self.measurement.id, probes=self.is_one_off)
        except PlatformFailed:
            pass  # whether there are results is what counts, and they are asked for anyway
        else:
            if self.status.is_over:
                since = self.status.since
                self._ended = now if since is None else min(now, max(since, self.measurement.start))
        longest_s = max(_LONGEST_STATUS_S, (self.ends - self._begun) / _MOST_STATUSES)
        self._next_status = math.inf if self._ended is not None else now + self._status_pause_s
        self._status_pause_s = min(longest_s, self._status_pause_s * _STATUS_GROWTH)

    def _missing(self) -> Missing:
        number, server = self.measurement.id, self.source.atlas.endpoint.server
        return Missing(
            f"{server}: the results of measurement {number} are not found (404), long after they should be: look at "
            f"https://{server}/measurements/{number}/, and try again later"
        )

    def _file(self, piece: Slice) -> Path:
        return self.folder / file_name(self.measurement, piece, alone=len(self.slices) == 1)
