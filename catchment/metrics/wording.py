"""How sentences and tables put counts, times and long texts."""

from __future__ import annotations


def many(count: int, one: str, more: str | None = None) -> str:
    """Count things: `1 answer`, `2 answers`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def cut(text: str, width: int) -> str:
    """Return text that keeps so many characters: of longer ones the middle is left out, and its length told.

    The end is kept because there messages say what to do, and names of servers whose they are.
    """
    if len(text) <= width:
        return text
    tail = width // 3
    return f"{text[: width - tail]}…({len(text) - width:,} more characters)…{text[len(text) - tail :]}"


def seconds(time_s: float) -> str:
    """Return a time in seconds as a number: to the millisecond, from 100 s on to the second; never a negative zero."""
    if abs(time_s) >= 100:
        return f"{time_s:,.0f}"
    text = f"{time_s:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
