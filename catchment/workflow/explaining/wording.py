"""Words for numbers, places and quotations. What came from the network is quoted, harmless and not too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, LIGHT_KM_PER_MS
from catchment.metrics.wording import many
from catchment.terminal.cells import clip

_QUOTED = 80
_MOST = 5
_NO_DECIMAL_MS = 99.95
_LEAST_MS = 0.05
_BOTH = 2


def plain(text: object) -> str:
    """Return a name as it stands, harmless and not too long."""
    return clip(text, _QUOTED)


def said(text: object) -> str:
    """Return what somebody said, in quotation marks."""
    return "nothing" if text is None else f"“{plain(text)}”"


def km(distance_km: float) -> str:
    """Return a distance in words."""
    return f"{distance_km:,.0f} km"


def ms(time_ms: float) -> str:
    """Return a time in words: nobody needs tenths of a hundred milliseconds."""
    if 0 < time_ms < _LEAST_MS:
        return "less than 0.1 ms"
    return f"{time_ms:.1f} ms" if time_ms < _NO_DECIMAL_MS else f"{time_ms:,.0f} ms"


def ms_number(text: str) -> float | None:
    """Read a time as evidence has it: `8.146 ms`."""
    number, _, unit = text.partition(" ")
    try:
        return float(number) if unit == "ms" else None
    except ValueError:
        return None


def part_of(count: int, whole: int, one: str, more: str | None = None) -> str:
    """Count some of all things: `2 of 3 answers`, `the only answer`, `both answers`, `all 3 answers`."""
    if count != whole:
        return f"{count:,} of {many(whole, one, more)}"
    if whole == _BOTH:
        return f"both {more or one + 's'}"
    return f"the only {one}" if whole == 1 else f"all {many(whole, one, more)}"


def listed(texts: Sequence[str], separator: str = ", ") -> str:
    """Name the first few things, and say how many more there are."""
    rest = [f"{len(texts) - _MOST:,} more"] if len(texts) > _MOST else []
    return separator.join([*texts[:_MOST], *rest])


def counted(values: Iterable[object]) -> str:
    """Name the different values, the most frequent first, with how often each comes."""
    found = Counter("without a code" if value is None else plain(value) for value in values)
    return listed([f"{value} {count:,}" for value, count in sorted(found.items(), key=lambda one: (-one[1], one[0]))])


def least_time(distance_km: float) -> str:
    """Say how long light takes there and back, by the field's constant and by the kinder rule that judges."""
    kindly_ms = (distance_km - IMPOSSIBLE_SLACK_KM) / IMPOSSIBLE_KM_PER_MS
    kindly = ms(kindly_ms) if kindly_ms > 0 else "no time"
    return (
        f"light in fibre needs {ms(distance_km / LIGHT_KM_PER_MS)} there and back at {LIGHT_KM_PER_MS:.3f} km per ms, "
        f"and {kindly} by the kinder rule that judges ({IMPOSSIBLE_KM_PER_MS} km per ms + {IMPOSSIBLE_SLACK_KM:.0f} km)"
    )
