"""Count what `show --convergence` makes of vantage points whose course is known.

    python -m benchmarks.false_fates [--vantage-points N]

Every vantage point sends as many queries before the change as after it. One answer in a hundred is a stray, from one of
three other sites, and one query in a hundred is lost. Prints, for each number of queries a side, how many of N are told
something else than what was: where nothing changed (there with more queries lost too, and one vantage point in ten is
behind a load balancer that gives 2 to 50 % of its flows to another site), where all move to another site, where one of
two balanced sites is replaced by a third, where one flow in ten goes to another site since, and where nobody answers
any more. "Ghosts" are told to be at last at sites of which one has given no answer since.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

from catchment.metrics.courses import Course, Fate, Said, Sent, Stretch, follow

QUERIES = (1, 2, 5, 10, 15, 30, 60, 100)
FRA, BER, LON, *ELSEWHERE = (Said("identified", code) for code in ("fra", "ber", "lon", "sin", "iad", "syd"))
_STRAY = 0.01
_LOST = 0.01
_FLAPPING = 0.1

Side = Callable[[random.Random], Said | None]
"""Draws who answers the next query of a side; nobody is None."""
Sides = Callable[[random.Random], tuple[Side, Side]]
"""Draws what a vantage point has before the change and after it."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--vantage-points", type=int, default=1000)
    count = parser.parse_args().vantage_points
    for lost in (_LOST, 0.1, 0.3, 0.5):
        print(f"nothing changed, {100 * lost:.0f} % of queries lost")
        _print_each(count, Fate.UNAFFECTED, usual(lost))
    print("moved to another site")
    _print_each(count, Fate.CHANGED, always(sites(FRA), sites(BER)))
    print("balanced by halves, one of the two sites replaced by a third")
    _print_each(count, Fate.CHANGED, always(sites(FRA, BER), sites(FRA, LON)))
    print("one in ten flows goes to another site since")
    _print_each(count, Fate.CHANGED, always(sites(FRA), sites(FRA, BER, share=0.1)))
    print("nobody answers any more")
    _print_each(count, Fate.SILENT, always(sites(FRA), sites(FRA, lost=1.0)))


def _print_each(count: int, right: Fate, sides: Sides) -> None:
    for queries in QUERIES:
        fates, ghosts = count_fates(count, queries, sides)
        wrong = sum(number for fate, number in fates.items() if fate not in {right, Fate.TOO_FEW})
        others = ", ".join(f"{number} {fate}" for fate, number in sorted(fates.items()) if fate is not right)
        print(f"{queries:5} queries a side: {wrong:4} wrong, {ghosts:4} ghosts ({others or 'all told'})", flush=True)


def count_fates(count: int, queries: int, sides: Sides) -> tuple[Counter[Fate], int]:
    """Return the fates of so many vantage points, and of how many a site at last has given no answer since."""
    fates: Counter[Fate] = Counter()
    ghosts = 0
    for number in range(count):
        rng = random.Random(f"{queries}/{number}")
        found, heard = _course(rng, queries, *sides(rng))
        fates[found.fate] += 1
        ghosts += found.fate is Fate.CHANGED and any(said not in heard for said in found.after)
    return fates, ghosts


def usual(lost: float) -> Sides:
    """Return sides between which nothing changes; one in ten is balanced between two sites."""

    def draw(rng: random.Random) -> tuple[Side, Side]:
        share = rng.uniform(0.02, 0.5) if rng.random() < _FLAPPING else 0.0
        side = sites(FRA, BER, share=share, lost=lost)
        return side, side

    return draw


def always(was: Side, now: Side) -> Sides:
    """Return the same two sides for all."""
    return lambda _: (was, now)


def sites(one: Said, other: Said | None = None, *, share: float = 0.5, lost: float = _LOST) -> Side:
    """Return a side on which one site answers, and the other a share of the queries; some are strays or lost."""

    def draw(rng: random.Random) -> Said | None:
        if rng.random() < lost:
            return None
        if rng.random() < _STRAY:
            return rng.choice(ELSEWHERE)
        return other if other is not None and rng.random() < share else one

    return draw


def _course(rng: random.Random, queries: int, was: Side, now: Side) -> tuple[Course, set[Said | None]]:
    before, after = ([side(rng) for _ in range(queries)] for side in (was, now))
    at_last = next((at for at, said in enumerate(reversed(after)) if said is not None), queries)
    sent = Sent(before=queries, after=queries, lost_before=before.count(None), lost_at_last=at_last)
    return follow(_stretches(before, -queries), _stretches(after, 0), sent), set(after)


def _stretches(heard: Sequence[Said | None], start: int) -> list[Stretch]:
    answers = [(said, float(second)) for second, said in enumerate(heard, start=start) if said is not None]
    found: list[Stretch] = []
    for said, group in groupby(answers, key=lambda answer: answer[0]):
        times = [second for _, second in group]
        found.append(Stretch(said=said, first_s=times[0], last_s=times[-1], answers=len(times)))
    return found


if __name__ == "__main__":
    main()
