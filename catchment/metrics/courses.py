"""What became of one vantage point around a change: where its answers came from before, on the way, and at last.

A vantage point behind a load balancer gets answers of several sites all the time. Whoever flapped before the change is
judged by the set of sites that it flaps between, so that it is not taken for one that never settles.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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
    """How many queries were sent before the change (and lost of these) and after it, and lost in a row at the end."""

    before: int
    after: int
    lost_before: int = 0
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
# Several of the same site that are so large a share of the answers are no strays, but its share of the flows.
_SHARE = 0.03
# Of fewer queries on a side, those who always flap look like those who moved once in a while; and so do fewer answers
# of whoever had not settled when the queries ended.
_ENOUGH = 10
# Who answered before is gone when it would be chance once in so many times that it keeps silent for so long: less
# suffices where somebody else answers in its place, since that itself shows a change, or where nobody does.
_CHANCE = 0.0001
_CHANCE_IF_REPLACED = 0.05
_CHANCE_IF_NOBODY = 0.001


def follow(before: Sequence[Stretch], after: Sequence[Stretch], sent: Sent) -> Course:
    """Return the course from the answers that came before the change and those that came later, each in order.

    Of few queries on a side there is a fate only where all answers of that side agree, and are several.
    """
    was = _was(before, after)
    after, strays = _without_strays(after, balanced=was if len(was) > 1 else ())
    away = list(dropwhile(lambda stretch: stretch.said in was, after))
    found = Course(fate=Fate.TOO_FEW, before=was, on_the_way=_passed(away), strays=strays)
    if not sent.after or _is_silent(sent, has_answered=bool(was)):
        silent = Fate.SILENT if was or after else Fate.NEVER_ANSWERED
        return replace(found, fate=silent if sent.after else Fate.NOT_ASKED)
    if after and not away and len(was) == 1:
        return replace(found, fate=Fate.UNAFFECTED, after=was, settled_s=0.0)
    if not (after and _is_clear(before, sent.before) and _is_clear(after, sent.after)):
        return found
    if len(was) > 1:
        return _among_several(was, before, after)
    if _is_quiet(away):
        *way, last = away
        fate, settled_s = _fate(was, (last.said,)), max(0.0, last.first_s)
        return replace(found, fate=fate, on_the_way=_passed(way), after=(last.said,), settled_s=settled_s)
    # Of whoever was quiet but for its last few answers nobody knows whether they are strays, or more would come.
    is_long = sum(stretch.answers for stretch in away) >= _ENOUGH and not _is_quiet(_without_last(away, _SEVERAL))
    return replace(found, fate=Fate.NEVER_SETTLED) if is_long else found


def _is_silent(sent: Sent, *, has_answered: bool) -> bool:
    """Tell whether those lost at last are several, and more in a row than the loss before makes likely."""
    lost_share = sent.lost_before / max(1, sent.before) if has_answered else 0.0
    return sent.lost_at_last >= _SEVERAL and lost_share**sent.lost_at_last < _CHANCE_IF_NOBODY


def _was(before: Sequence[Stretch], after: Sequence[Stretch]) -> tuple[Said, ...]:
    """Return who answered at the change: of several by turns all, after one move long before who came with it.

    Of an answer or two nobody knows whether they were strays, but where one who gave more is gone they are left out.
    """
    match before:
        case [first, last] if first.answers >= _SEVERAL and last.answers >= _SEVERAL:
            return (last.said,)
    counts, since = _counts(before), _since_last(before)
    whole = sum(counts.values())
    was = tuple(
        said for said, count in counts.items() if _chance_of_silence(count, whole - since[said], since[said]) >= _CHANCE
    )
    usual = _usual(was, before)
    return usual if _gone(usual, before, after) else was


def _usual(was: Iterable[Said], before: Sequence[Stretch]) -> tuple[Said, ...]:
    counts = _counts(before)
    few = min(_SEVERAL, sum(counts.values()) / 5)  # two of ten are no strays, two of a hundred may be
    return tuple(said for said in was if counts[said] >= few)


def _is_clear(stretches: Sequence[Stretch], sent: int) -> bool:
    """Tell whether the queries of a side tell where the vantage point was: by their number, or because all agree."""
    if sent >= _ENOUGH:
        return True
    return sent >= _SEVERAL if not stretches else len(stretches) == 1 and stretches[0].answers >= _SEVERAL


def _is_quiet(stretches: Sequence[Stretch]) -> bool:
    if not stretches or stretches[-1].answers < _SEVERAL:
        return False
    *way, last = stretches
    mean = sum(stretch.answers for stretch in way) / len(way) if way else 0.0
    return last.answers >= _QUIET * mean or len(way) == 1


def _without_last(stretches: Sequence[Stretch], answers: int) -> list[Stretch]:
    kept = list(stretches)
    while kept and kept[-1].answers <= answers:
        answers -= kept.pop().answers
    if kept:
        kept[-1] = replace(kept[-1], answers=kept[-1].answers - answers)
    return kept


def _without_strays(
    stretches: Sequence[Stretch], balanced: Collection[Said]
) -> tuple[list[Stretch], tuple[Stretch, ...]]:
    """Take out the single answers between several that say the same, many of them on one side at least.

    No strays are those of the `balanced`, who answer by turns, and many of the same site.
    """
    single = [
        one
        for last, one, following in zip(stretches, stretches[1:], stretches[2:], strict=False)
        if one.answers == 1 and one.said not in balanced and _are_one(last, following)
    ]
    counts, most = _counts(single), max(_SEVERAL, _SHARE * sum(stretch.answers for stretch in stretches))
    strays = {one: None for one in single if counts[one.said] < most}
    kept: list[Stretch] = []
    for one in stretches:
        if one in strays:
            continue
        if kept and kept[-1].said == one.said:
            kept[-1] = _joined(kept[-1], one)  # the two are one without the stray between them
        else:
            kept.append(one)
    return kept, tuple(strays)


def _are_one(last: Stretch, following: Stretch) -> bool:
    fewer, more = sorted((last.answers, following.answers))
    return last.said == following.said and fewer >= _SEVERAL and more >= _QUIET


def _among_several(was: tuple[Said, ...], before: Sequence[Stretch], after: Sequence[Stretch]) -> Course:
    """Follow one that flapped before: at last it is among those that answer in the second half, or may still do."""
    later = _counts(after)
    new = _new(was, after)
    stay = set(_usual(was, before) if new else was) - _gone(was, before, after)
    now = stay | new | {said for said in _later_on(after) if said in was}
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


def _gone(was: Collection[Said], before: Sequence[Stretch], after: Sequence[Stretch]) -> set[Said]:
    """Return who answered before, and will hardly do so again."""
    counts, since = _counts(before), _since_last(after)
    earlier, later = (sum(stretch.answers for stretch in side) for side in (before, after))
    chance = _CHANCE_IF_REPLACED if _new(was, after) else _CHANCE
    return {said for said in was if _chance_of_silence(counts[said], earlier, since.get(said, later)) < chance}


def _new(was: Collection[Said], after: Sequence[Stretch]) -> set[Said]:
    return {said for said, count in _later_on(after).items() if said not in was and count >= _SEVERAL}


def _later_on(after: Sequence[Stretch]) -> dict[Said, int]:
    """Return how many answers say what of those that anybody still says in the second half."""
    since, half = _since_last(after), sum(stretch.answers for stretch in after) / 2
    return {said: count for said, count in _counts(after).items() if since[said] < half}


def _chance_of_silence(count: int, of: int, silent: int) -> float:
    """Return how likely all `count` are among the first `of` answers, and none of `silent` more.

    Of all ways to deal them among the answers, this is the share that does (Fisher's exact test). A few are no silence.
    """
    if silent < _SEVERAL:
        return 1.0
    return exp(lgamma(of + 1) - lgamma(of - count + 1) - lgamma(of + silent + 1) + lgamma(of + silent - count + 1))


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
