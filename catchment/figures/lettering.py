"""Text that comes from outside: made printable, measured, and cut to the room there is."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

FAMILY = "DejaVu Sans"
"""The font of all figures; it comes with Matplotlib, so that a figure is the same on every machine."""

_LONGEST = 300
_MARKS = 2  # on one letter; with hundreds of them it is a stain


def printable(text: str) -> str:
    """Return the text on one line, without control characters or heaps of marks, and with � for what the font lacks."""
    glyphs = _glyphs()
    letters, marks = [], 0
    for letter in text[: 4 * _LONGEST]:
        kind = unicodedata.category(letter)[0]
        if kind == "C" and not letter.isspace():
            continue
        marks = marks + 1 if kind == "M" else 0
        if letter.isspace():
            letters.append(" ")
        elif marks <= _MARKS:
            letters.append(letter if ord(letter) in glyphs else "\N{REPLACEMENT CHARACTER}")
    return " ".join("".join(letters).split())[:_LONGEST]


def fitted(text: str, width_pt: float, size: float, *, bold: bool = False) -> str:
    """Return the printable text, its end cut off with … where it is wider than so many points at a font size."""
    text = printable(text)
    if width_of(text, size, bold=bold) <= width_pt:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width_of(text[:middle].rstrip() + "…", size, bold=bold) <= width_pt:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


@lru_cache(maxsize=4096)
def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width in points of printable text at a font size."""
    if not text:
        return 0.0
    font = FontProperties(family=FAMILY, size=size, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


@cache
def _glyphs() -> frozenset[int]:
    faces = [findfont(FontProperties(family=FAMILY, weight=weight)) for weight in ("normal", "bold")]
    return frozenset.intersection(*(frozenset(get_font(face).get_charmap()) for face in faces))
