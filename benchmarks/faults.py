"""Run campaigns against a sandbox in which things go wrong: each fault by itself, then random mixtures of two to four.

    python -m benchmarks.faults [MIXTURES [SEED]] [--only NAME,NAME,…]

Three campaigns meet each fault: measured once, in rounds, and read from measurements that are there already. A run that
fails is gone on with, or begun again where nothing was left of it, a few times and some minutes later each.
It must end whole, with every result that RIPE Atlas delivered, each once, and where the fault spoils no result with the
tables of a run without faults; or in one line that says what to do. Never in a traceback or a hang; and no measurement
may have been created twice. Prints a line a trial, and at the end how many ended how, and what went wrong.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.fault_trials import CAMPAIGNS, End, Outcome, hold, mixtures, prepare
from catchment.platforms.sandbox import FAULTS


def _show(outcome: Outcome) -> None:
    verdict = "ok" if not outcome.wrong else "WRONG"
    ended = f"{outcome.end} at try {outcome.tries}, {outcome.took_s:.1f} s"
    print(f"{verdict:5} {outcome.campaign}: {' + '.join(outcome.faults)} (seed {outcome.seed}): {ended}")
    if outcome.line and (outcome.end is End.LINE or outcome.wrong):
        print(f"        {outcome.line}")
    for wrong in outcome.wrong:
        print(f"      - {wrong}")
    sys.stdout.flush()


def _trials(words: Sequence[str]) -> Iterator[tuple[tuple[str, ...], int, str]]:
    numbers = [int(word) for word in words if word.isdecimal()]
    count, seed = (*numbers, *(100, 1)[len(numbers) :])
    if "--only" in words:
        names = tuple(words[words.index("--only") + 1].split(","))
        yield from ((names, seed, campaign) for campaign in CAMPAIGNS)
        return
    yield from (((name,), 1, campaign) for name in FAULTS for campaign in CAMPAIGNS)
    draw = random.Random(seed)
    yield from ((names, draw.randrange(1000), draw.choice([*CAMPAIGNS])) for names in mixtures(count, seed))


def main(words: Sequence[str]) -> int:
    ends: Counter[End] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="catchment-faults-") as folder:
        held = prepare(Path(folder))
        for names, seed, campaign in _trials(words):
            outcome = hold(held, names, seed, campaign=campaign)
            _show(outcome)
            ends[outcome.end] += 1
            wrong += bool(outcome.wrong)
    print(f"{ends.total()} trials: {', '.join(f'{end}: {ends[end]}' for end in End)}; {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
