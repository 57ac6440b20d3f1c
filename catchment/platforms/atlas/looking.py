"""Looking for the answers of a one-off again and again: when all are there, or no more are to be expected."""

from __future__ import annotations

from catchment.platforms.atlas.client import Refused
from catchment.platforms.atlas.costs import ONE_OFF_SPREAD_S
from catchment.platforms.atlas.fetching import Unfinished, probe_of, read_again
from catchment.platforms.atlas.slices import Slice
from catchment.platforms.atlas.waiting import ENOUGH, Waiting
from catchment.platforms.atlas.watching import LATEST_RESULT_S, Steps

_FIRST_PAUSE_S, _PAUSE_GROWTH, _LONGEST_PAUSE_S = 5.0, 1.5, 60.0


class OneOff(Waiting):
    """Waits until each probe has answered once."""

    asks_who_takes_part = True

    @property
    def planned_end(self) -> float:
        """Return when even the last probe has had its time."""
        return self.measurement.start + ONE_OFF_SPREAD_S + LATEST_RESULT_S

    @property
    def share(self) -> float:
        """Return the share of the probes that have answered."""
        asked = self.measurement.probes
        return min(1.0, len(self.found.participants) / len(asked)) if asked else 0.0

    def steps(self) -> Steps:
        """Wait for the start, and look until enough have answered."""
        (piece,) = self.slices
        file = self.file(piece)
        found = read_again(file)
        if found is None:
            yield from self.watch.wait(self.measurement.start)
            self.watch.begin()
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
            was_past = self.watch.is_past(self.planned_end)
            before, refused = self.found.participants, None
            try:
                self._look(piece, out)
            except Refused as refusal:
                # Right after its creation, the results of a measurement are not there yet.
                if not refusal.is_missing:
                    raise
                refused = refusal
            # The answer told the time as well, and before it the clock may have been wrong.
            is_last = was_past and self.watch.is_past(self.planned_end)
            if refused is not None and is_last and not (self.watch.status is not None and self.watch.status.never_ran):
                raise self.missing() from refused
            self.found = out.found
            if self._is_enough(is_new=len(self.found.participants) > len(before)) or is_last:
                return
            self.watch.look()
            now = self.fetcher.clock()
            yield min(now + pause_s, max(now, self.ends))
            pause_s = min(_LONGEST_PAUSE_S, pause_s * _PAUSE_GROWTH)

    def _look(self, piece: Slice, out: Unfinished) -> None:
        asked, answered = self.measurement.probes, self.found.participants
        self.fetcher.fetch(
            self.measurement.id,
            piece,
            out,
            probes=[probe for probe in asked if probe not in answered] if asked and answered else None,
            leave_out=(lambda line: probe_of(line) in answered) if answered else None,
            told=lambda results: self.told("fetching", results),
        )

    def _is_enough(self, *, is_new: bool) -> bool:
        """Tell whether no more need be waited for: of those asked, some may not even have been there to ask."""
        asked, status = self.measurement.probes, self.watch.status
        if asked is None:
            return False
        answered = len(self.found.participants)
        if answered >= len(asked):
            return True
        taking_part = status.probes if status is not None else None
        expected = len(asked) if taking_part is None else min(len(asked), len(taking_part))
        return answered >= ENOUGH * expected and not is_new
