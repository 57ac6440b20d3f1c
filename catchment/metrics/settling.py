"""What became of one vantage point around a change: where its answers came from before, on the way, and at last.

A vantage point behind a load balancer gets answers of several sites all the time. Whoever flapped before the change is
judged by the set of sites that it flaps between, so that it is not taken for one that never settles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import dropwhile

from catchment.model import Outcome


class Fate(StrEnum):
    """What became of a vantage point."""

    UNAFFECTED = "unaffected"  # answered from where it was before, all the time
    CHANGED = "changed"
    RETURNED = "returned"  # answered from elsewhere for a while, and then as before
    CAUGHT = "caught"  # answered at last by somebody else
    FOUND = "found"  # nobody answered before
    NEVER_SETTLED = "never-settled"
    SILENT = "silent"  # nobody answers any more
    NEVER_ANSWERED = "never-answered"  # nobody did before, nor since
    NOT_ASKED = "not-asked"  # it sent no query after the change


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """What an answer says of who gave it: the code of a site, or else an identity or an rcode."""

    outcome: str
    text: str

    @property
    def site(self) -> str | None:
        """Return the site, if it names one."""
        return self.text if self.outcome == Outcome.IDENTIFIED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Answers in a row that say the same; their queries were sent from `first_s` to `last_s` after the change."""

    said: Said
    first_s: float
    last_s: float
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The way of a vantage point: who answered before and at last (most often first), and who in between, in order.

    `settled_s` is when the first query was sent from which on all answers say what they say at last; 0 where nothing
    changed, None where nothing settled.
    """

    fate: Fate
    before: tuple[Said, ...] = ()
    on_the_way: tuple[Stretch, ...] = ()
    after: tuple[Said, ...] = ()
    settled_s: float | None = None


# It has settled when it stays so many times as long as it stayed anywhere on the way: of two sites by turns, each with
# the chance of one half, one comes 20 times in a row once in a million times; of nine in ten, once in 200 times.
_QUIET = 10
# After a single other stretch on the way, so many answers are enough: what goes there and back is no flapping yet.
_BACK = 3
# A share of the flows that was there before is gone when its absence would be chance once in so many times.
_CHANCE = 0.01
# Fewer stretches are a move from one site to another, which may be another change, long before.
_FLAPPING = 3


def follow(before: Sequence[Stretch], after: Sequence[Stretch], *, is_silent: bool) -> Course:
    """Return the course from the answers that came before the change and those that came later, each in order.

    `is_silent` tells that no answer came any more at the end.
    """
    shares = _shares(before)
    was = tuple(shares) if len(before) >= _FLAPPING else tuple(shares)[:1]
    if not after and not is_silent:
        return Course(fate=Fate.NOT_ASKED, before=was)
    away = list(dropwhile(lambda stretch: stretch.said in was, after))
    if is_silent:
        fate = Fate.SILENT if was or after else Fate.NEVER_ANSWERED
        return Course(fate=fate, before=was, on_the_way=_passed(away))
    if not away and len(was) == 1:
        return Course(fate=Fate.UNAFFECTED, before=was, after=was, settled_s=0.0)
    if len(was) > 1:
        return _among_several(was, {said: shares[said] for said in was}, after)
    *way, last = away
    if not _is_quiet(way, last):
        return Course(fate=Fate.NEVER_SETTLED, before=was, on_the_way=_passed(away))
    at_last = (last.said,)
    return Course(
        fate=_fate(was, at_last), before=was, on_the_way=_passed(way), after=at_last, settled_s=max(0.0, last.first_s)
    )


def _is_quiet(way: Sequence[Stretch], last: Stretch) -> bool:
    if not way:
        return True
    mean = sum(stretch.answers for stretch in way) / len(way)
    return last.answers >= _QUIET * mean or (len(way) == 1 and last.answers >= _BACK)


def _among_several(was: tuple[Said, ...], shares: dict[Said, float], after: Sequence[Stretch]) -> Course:
    """Follow one that flapped before: at last it is among those that answer in the second half, or may still do."""
    half, count = sum(stretch.answers for stretch in after) / 2, 0
    since: dict[Said, int] = {}  # how many answers came after the last of each
    for stretch in reversed(after):
        since.setdefault(stretch.said, count)
        count += stretch.answers
    now = {said for said, later in since.items() if later < half}
    now |= {said for said, share in shares.items() if (1 - share) ** since.get(said, count) >= _CHANCE}
    start = next((at for at in range(len(after), 0, -1) if after[at - 1].said not in now), 0)
    found = _shares(after[start:])
    at_last = (*found, *(said for said in was if said in now and said not in found))
    if set(at_last) == set(was):
        at_last = was
    is_untouched = start == 0 and at_last == was
    return Course(
        fate=Fate.UNAFFECTED if is_untouched else _fate(was, at_last),
        before=was,
        on_the_way=_passed(stretch for stretch in after[:start] if stretch.said not in was),
        after=at_last,
        settled_s=0.0 if is_untouched else max(0.0, after[start].first_s),
    )


def _fate(was: tuple[Said, ...], at_last: tuple[Said, ...]) -> Fate:
    if any(said.outcome == Outcome.FOREIGN and said not in was for said in at_last):
        return Fate.CAUGHT
    if not was:
        return Fate.FOUND
    return Fate.RETURNED if set(was) == set(at_last) else Fate.CHANGED


def _shares(stretches: Sequence[Stretch]) -> dict[Said, float]:
    """Return what part of the answers says what; most of them first, and of as many the later."""
    counts: dict[Said, int] = {}
    for stretch in reversed(stretches):
        counts[stretch.said] = counts.get(stretch.said, 0) + stretch.answers
    whole = sum(counts.values())
    return {said: count / whole for said, count in sorted(counts.items(), key=lambda entry: -entry[1])}


def _passed(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return one stretch for each that answered, from the first to the last time, in the order of the first."""
    found: dict[Said, Stretch] = {}
    for one in stretches:
        first = found.get(one.said, one)
        answers = one.answers if first is one else first.answers + one.answers
        found[one.said] = Stretch(said=one.said, first_s=first.first_s, last_s=one.last_s, answers=answers)
    return tuple(found.values())
