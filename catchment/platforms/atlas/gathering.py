"""Gathering what is measured for long, slice by slice, each once its results have had time to come."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator
from pathlib import Path

from catchment.errors import PlatformFailed
from catchment.platforms.atlas.client import Refused
from catchment.platforms.atlas.fetching import Found, Unfinished, read_again, turn_of, turns_in
from catchment.platforms.atlas.slices import Slice
from catchment.platforms.atlas.waiting import Waiting
from catchment.platforms.atlas.watching import LATEST_RESULT_S, Steps

LATE_S = 120
"""How long after a window results still come in: RIPE Atlas has taken 72 s from the time of a result to its store."""

_PAUSE_S = 60.0


class Sliced(Waiting):
    """Waits until the results of each slice have had time to come."""

    asks_who_takes_part = False
    _last_had_some = True
    _early: list[Slice]

    @property
    def planned_end(self) -> float:
        """Return when the last slice is due."""
        due = self._due(self.slices[-1])
        return self.begun if due is None else due

    @property
    def share(self) -> float:
        """Return the share of the time that has passed, or of the slices that are there."""
        waited = min(0.95, (self.fetcher.clock() - self.begun) / max(1.0, self.ends - self.begun))
        fetched = len(self.files) / len(self.slices)
        return min(1.0, fetched if self.ends <= self.begun else max(fetched, waited))

    def steps(self) -> Steps:
        """Fetch each slice when it is due, and at the end what came late."""
        if self.slices[-1].end is None and not self.measurement.reused:
            raise PlatformFailed(f"measurement {self.measurement.id} has no end, and so no last result: stop it")
        self._early = []  # what came late may be missing there
        for number, piece in enumerate(self.slices, start=1):
            found = read_again(self.file(piece))
            if found is None:
                found = yield from self._slice(number, piece)
                if found is None:
                    break
            else:
                self._early.append(piece)  # nobody knows when
            self.found += found
            self.files.append(self.file(piece))
            yield self.fetcher.clock()
        if not self.measurement.reused:
            self._late()

    def _slice(self, number: int, piece: Slice) -> Generator[float, None, Found | None]:
        """Fetch a slice once its results have had time to come; none where the measurement ended before it."""
        what = "fetching" if len(self.slices) == 1 else f"fetching part {number} of {len(self.slices)}"
        before, due, patient_until = self.found.results, self._due(piece), math.inf
        expects_some = self._last_had_some  # else all of a long silence would be asked for several times
        while True:
            yield from self.watch.wait(due)
            if self.watch.ended is not None and piece.begin > self.watch.ended:
                return None
            asked_at = self.fetcher.clock()
            patient_until = min(patient_until, asked_at + LATEST_RESULT_S)
            try:
                with Unfinished(self.file(piece)) as out:
                    self.fetcher.fetch(
                        self.measurement.id,
                        piece,
                        out,
                        probes=self.measurement.probes if self.measurement.reused else None,
                        told=lambda results: self.told(what, before + results),
                        expects_some=expects_some,
                    )
                    # The answer told the time as well. If the clock was wrong before it, there is more to come.
                    if self.watch.is_past(due):
                        if min(asked_at, self.fetcher.clock()) < self.ends:
                            self._early.append(piece)
                        self._late_file.unlink(missing_ok=True)  # it lacks what the slice had, and that is new
                        out.finish()
                        self._last_had_some = out.found.results > 0
                        return out.found
            except Refused as refusal:
                if not refusal.is_missing or self.measurement.reused:
                    raise
                if self.fetcher.clock() >= patient_until:
                    raise self.missing() from refusal
                yield self.fetcher.clock() + _PAUSE_S

    def _late(self) -> None:
        """Fetch what came late: probes that were offline report when they are back.

        This is done once, when all has ended, for slices that were fetched before: each is asked for the probes that
        had fewer results than rounds, and what is there already is left out. What came is one file more.
        """
        file = self._late_file
        found = read_again(file)
        if found is None:
            with Unfinished(file) as out:
                for piece in self._early if len(self.slices) > 1 else []:
                    self._fetch_late(piece, out)
                if out.found.results == 0:
                    return
                out.finish()
            found = out.found
        self.found += found
        self.files.append(file)

    def _fetch_late(self, piece: Slice, out: Unfinished) -> None:
        known = set(turns_in(self.file(piece)))
        answered = Counter(probe for probe, _ in known)
        rounds = 1 if piece.end is None else max(1, (piece.end - piece.begin) // (self.measurement.interval_s or 1))
        self.fetcher.fetch(
            self.measurement.id,
            piece,
            out,
            probes=[probe for probe in self.measurement.probes or () if answered[probe] < rounds],
            leave_out=lambda line: turn_of(line) in known,
            told=lambda results: self.told("fetching what came late", results),
        )

    @property
    def _late_file(self) -> Path:
        return self.folder / f"{self.measurement.id}-late.ndjson.gz"

    def _due(self, piece: Slice) -> float | None:
        late_s = LATE_S if self.measurement.reused else LATEST_RESULT_S
        return None if piece.end is None else float(piece.end + late_s)
