"""When a time is clearly longer than another, and when in a series of round trips it became so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# A way counts as longer where its time rose by more than both. Queues and busy hosts add some milliseconds now and then
# (5 ms is where Quad9DNS/ripe-atlas-dns-tools begin as well); of a long way, jitter and other flows make a fifth.
RISE_MS = 5.0
RISE_SHARE = 0.2

# Of fewer round trips on either side a median says little.
_SAMPLES = 10
# Of round trips that jitter about one median as many are above the middle as below it. Where the way itself is another,
# all are on their side of it, but for some that queued.
_ASTRAY = 0.1

Timed = tuple[float, float]
"""When a query was sent, in seconds after the change, and its round trip in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """The median round trip before and after a change, and from when on the later was the usual one (None: never)."""

    before_ms: float | None
    after_ms: float | None
    since_s: float | None = None


def is_slower(before_ms: float | None, after_ms: float | None) -> bool:
    """Tell whether a time rose by more than chance, for the least of several packets or a median."""
    if before_ms is None or after_ms is None:
        return False
    return after_ms > before_ms + RISE_MS and after_ms > before_ms * (1 + RISE_SHARE)


def find_rise(before_ms: Sequence[float], after: Sequence[Timed]) -> Rise:
    """Return how round trips to one site changed for good, up or down, and when; `after` is in order.

    The later median is of those since the change; where none is found, of all after it.
    """
    was = median(before_ms) if before_ms else None
    whole = median(ms for _, ms in after) if after else None
    if was is None or whole is None or len(before_ms) < _SAMPLES or len(after) < _SAMPLES:
        return Rise(before_ms=was, after_ms=whole)
    last = median(ms for _, ms in after[len(after) // 2 :])
    if not (is_slower(was, last) or is_slower(last, was)):
        return Rise(before_ms=was, after_ms=whole)
    middle, is_up = (was + last) / 2, last > was
    start, astray = _step([(ms > middle) is is_up for _, ms in after])
    astray += sum((ms > middle) is is_up for ms in before_ms)
    if astray > _ASTRAY * (len(before_ms) + len(after)):
        return Rise(before_ms=was, after_ms=whole)
    return Rise(before_ms=was, after_ms=median(ms for _, ms in after[start:]), since_s=after[start][0])


def _step(is_new: Sequence[bool]) -> tuple[int, int]:
    """Return where a series turns from old to new with the fewest on the wrong side, and how many these are."""
    wrong = len(is_new) - sum(is_new)  # all of them being new
    best = (wrong, 0)
    for at, new in enumerate(is_new[:-1], start=1):
        wrong += 1 if new else -1
        best = min(best, (wrong, at))
    return best[1], best[0]
