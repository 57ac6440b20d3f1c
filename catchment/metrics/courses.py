"""What became of one vantage point around a change: where its answers came from before, on the way, and at last.

A vantage point behind a load balancer gets answers of several sites all the time. Whoever flapped before the change is
judged by the set of sites that it flaps between, so that it is not taken for one that never settles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import dropwhile
from math import exp, lgamma

from catchment.model import Outcome


class Fate(StrEnum):
    """What became of a vantage point."""

    UNAFFECTED = "unaffected"  # answered from where it was before, but for strays
    CHANGED = "changed"
    RETURNED = "returned"  # answered from elsewhere for a while, and then as before
    CAUGHT = "caught"  # answered at last by somebody else
    FOUND = "found"  # nobody answered before
    NEVER_SETTLED = "never-settled"
    SILENT = "silent"  # nobody answers any more
    NEVER_ANSWERED = "never-answered"  # nobody did before, nor since
    TOO_FEW = "too-few"  # queries to tell
    NOT_ASKED = "not-asked"  # it sent no query after the change


@dataclass(frozen=True, slots=True)
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
class Sent:
    """How many queries were sent before the change and after it, and how many in a row at the end got no answer."""

    before: int
    after: int
    lost_at_last: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The way of a vantage point: who answered before and at last (most often first), and who in between, in order.

    `strays` are single answers from elsewhere amid many that say the same. `settled_s` is when the first query was sent
    from which on all other answers say what they say at last; 0 where nothing changed, None where nothing settled.
    """

    fate: Fate
    before: tuple[Said, ...] = ()
    on_the_way: tuple[Stretch, ...] = ()
    after: tuple[Said, ...] = ()
    strays: tuple[Stretch, ...] = ()
    settled_s: float | None = None


# It has settled when it stays so many times as long as it stayed anywhere on the way: of two sites by turns, each with
# the chance of one half, one comes 20 times in a row once in a million times; of nine in ten, once in 200 times.
_QUIET = 10
# So many in a row are a state and no accident: of a hundred queries one is lost, or answered from elsewhere.
_SEVERAL = 3
# Of fewer queries on a side, those who always flap look like those who moved once in a while; and so do fewer answers
# of whoever had not settled when the queries ended.
_ENOUGH = 10
# Who answered before is gone when it would be chance once in so many times that it keeps silent for so long.
_CHANCE = 0.0001


def follow(before: Sequence[Stretch], after: Sequence[Stretch], sent: Sent) -> Course:
    """Return the course from the answers that came before the change and those that came later, each in order.

    Of few queries on a side there is a fate only where all answers of that side agree, and are several.
    """
    was = _was(before)
    after, strays = _without_strays(after)
    away = list(dropwhile(lambda stretch: stretch.said in was, after))
    found = Course(fate=Fate.TOO_FEW, before=was, on_the_way=_passed(away), strays=strays)
    if not sent.after or sent.lost_at_last >= _SEVERAL:
        silent = Fate.SILENT if was or after else Fate.NEVER_ANSWERED
        return replace(found, fate=silent if sent.after else Fate.NOT_ASKED)
    if after and not away and len(was) == 1:
        return replace(found, fate=Fate.UNAFFECTED, after=was, settled_s=0.0)
    if not (after and _is_clear(before, sent.before) and _is_clear(after, sent.after)):
        return found
    if len(was) > 1:
        return _among_several(was, _counts(before), after)
    *way, last = away
    if _is_quiet(way, last):
        fate, settled_s = _fate(was, (last.said,)), max(0.0, last.first_s)
        return replace(found, fate=fate, on_the_way=_passed(way), after=(last.said,), settled_s=settled_s)
    is_long = sum(stretch.answers for stretch in away) >= _ENOUGH
    return replace(found, fate=Fate.NEVER_SETTLED) if is_long else found


def _was(before: Sequence[Stretch]) -> tuple[Said, ...]:
    """Return who answered at the change: of several by turns all, after one move long before who came with it."""
    match before:
        case [first, last] if first.answers >= _SEVERAL and last.answers >= _SEVERAL:
            return (last.said,)
    counts, since = _counts(before), _since_last(before)
    whole = sum(counts.values())
    return tuple(said for said, count in counts.items() if not _is_gone(count, whole - since[said], since[said]))


def _is_clear(stretches: Sequence[Stretch], sent: int) -> bool:
    """Tell whether the queries of a side tell where the vantage point was: by their number, or because all agree."""
    if sent >= _ENOUGH:
        return True
    return sent >= _SEVERAL if not stretches else len(stretches) == 1 and stretches[0].answers >= _SEVERAL


def _is_quiet(way: Sequence[Stretch], last: Stretch) -> bool:
    if last.answers < _SEVERAL:
        return False
    mean = sum(stretch.answers for stretch in way) / len(way) if way else 0.0
    return last.answers >= _QUIET * mean or len(way) == 1


def _without_strays(stretches: Sequence[Stretch]) -> tuple[list[Stretch], tuple[Stretch, ...]]:
    """Take out the single answers amid many on either side that say the same as each other."""
    kept: list[Stretch] = []
    strays: list[Stretch] = []
    for at, one in enumerate(stretches):
        if kept and one.answers == 1 and at + 1 < len(stretches):
            last, following = kept[-1], stretches[at + 1]
            if last.said == following.said and min(last.answers, following.answers) >= _QUIET:
                strays.append(one)
                continue
        if kept and kept[-1].said == one.said:
            kept[-1] = _joined(kept[-1], one)  # the two are one without the stray between them
        else:
            kept.append(one)
    return kept, tuple(strays)


def _among_several(was: tuple[Said, ...], counts: Mapping[Said, int], after: Sequence[Stretch]) -> Course:
    """Follow one that flapped before: at last it is among those that answer in the second half, or may still do."""
    half, whole = sum(stretch.answers for stretch in after) / 2, sum(counts.values())
    later, since = _counts(after), _since_last(after)
    now = {said for said, count in later.items() if since[said] < half and (said in was or count >= _SEVERAL)}
    now |= {said for said in was if not _is_gone(counts[said], whole, since.get(said, sum(later.values())))}
    others = [stretch for stretch in after if stretch.said not in now and later[stretch.said] < _SEVERAL]
    strays = tuple(stretch for stretch in others if stretch.said not in was)
    after = [stretch for stretch in after if stretch not in strays]
    start = next((at for at in range(len(after), 0, -1) if after[at - 1].said not in now), 0)
    found = _counts(after[start:])
    at_last = (*found, *(said for said in was if said in now and said not in found))
    if set(at_last) == set(was):
        at_last = was
    is_untouched = start == 0 and at_last == was
    return Course(
        fate=Fate.UNAFFECTED if is_untouched else _fate(was, at_last),
        before=was,
        on_the_way=_passed(stretch for stretch in after[:start] if stretch.said not in was),
        after=at_last,
        strays=strays,
        settled_s=0.0 if is_untouched else max(0.0, after[start].first_s) if start < len(after) else 0.0,
    )


def _is_gone(count: int, of: int, silent: int) -> bool:
    """Tell whether it is hardly chance that all `count` are among the first `of` answers, and none of `silent` more.

    Of all ways to deal them among the answers, this is the share that does (Fisher's exact test).
    """
    if silent < _SEVERAL:
        return False
    logarithm = lgamma(of + 1) - lgamma(of - count + 1) - lgamma(of + silent + 1) + lgamma(of + silent - count + 1)
    return exp(logarithm) < _CHANCE


def _fate(was: tuple[Said, ...], at_last: tuple[Said, ...]) -> Fate:
    if any(said.outcome == Outcome.FOREIGN and said not in was for said in at_last):
        return Fate.CAUGHT
    if not was:
        return Fate.FOUND
    return Fate.RETURNED if set(was) == set(at_last) else Fate.CHANGED


def _counts(stretches: Sequence[Stretch]) -> dict[Said, int]:
    """Return how many answers say what; most of them first, and of as many the later."""
    counts: dict[Said, int] = {}
    for stretch in reversed(stretches):
        counts[stretch.said] = counts.get(stretch.said, 0) + stretch.answers
    return dict(sorted(counts.items(), key=lambda entry: -entry[1]))


def _since_last(stretches: Sequence[Stretch]) -> dict[Said, int]:
    """Return how many answers came after the last one that says this."""
    since: dict[Said, int] = {}
    count = 0
    for stretch in reversed(stretches):
        since.setdefault(stretch.said, count)
        count += stretch.answers
    return since


def _passed(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return one stretch for each that answered, from the first to the last time, in the order of the first."""
    found: dict[Said, Stretch] = {}
    for one in stretches:
        found[one.said] = _joined(found[one.said], one) if one.said in found else one
    return tuple(found.values())


def _joined(first: Stretch, last: Stretch) -> Stretch:
    return replace(first, last_s=last.last_s, answers=first.answers + last.answers)
