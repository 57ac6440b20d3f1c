"""What tables are made of: harmless text, rows, bars and numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import cut

UNBOUNDED = 1_000_000
"""A width in which everything has room."""

_BAR = 24
_CELL = 1000  # lists of targets are long; whoever shows identities clips them closer
_MARKS = 2
_BETWEEN = 2  # columns
_LONGEST_NAME = 28
_SHORTEST = 8  # to which words are broken before numbers are
_UNUSUAL = re.compile(r"[^ -~]+")
# Letters, signs and marks that show nothing, although Unicode does not count them among its format characters.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | frozenset(
    map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)


def harmless(text: object) -> str:
    r"""Return text in which control, bidirectional and other invisible characters are written \uXXXX.

    So are the marks on a letter from the third on: heaps of them would cover the lines around it.
    """
    text = str(text)
    return text if text.isascii() and text.isprintable() else _UNUSUAL.sub(_written_out, text)


def clip(text: object, width: int) -> str:
    """Return harmless text that keeps so many characters; of longer ones it says how many were left out."""
    return cut(harmless(text), width)


def _written_out(found: re.Match[str]) -> str:
    shown, marks = [], 0
    for character in found[0]:
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        is_seen = character.isprintable() and character not in _BLANK and marks <= _MARKS
        shown.append(character if is_seen else _escaped(character))
    return "".join(shown)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class Rows(Table):
    """A table that gives way between words where it is too wide, the widest columns first.

    Only where words have no room long ones are broken, and last of all numbers and the names of the rows.
    """

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width below which words break, and that above which nothing does."""
        extents = self._extents(console, options)
        least, whole = (sum(extent[at] for extent in extents) + self._between for at in (0, 1))
        return Measurement(least, whole)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, at the most as wide as there is room."""
        extents = self._extents(console, options)
        is_firm = [
            extent.minimum <= _LONGEST_NAME and (at == 0 or column.no_wrap or column.justify == "right")
            for at, (column, extent) in enumerate(zip(self.columns, extents, strict=True))
        ]
        for column, width in zip(self.columns, _fit(extents, is_firm, options.max_width - self._between), strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)
        for column in self.columns:
            column.width = None

    @property
    def _between(self) -> int:
        return _BETWEEN * (len(self.columns) - 1)

    def _extents(self, console: Console, options: ConsoleOptions) -> list[Measurement]:
        """Return of each column the width of its longest word or number, and that of its longest cell."""
        return [self._extent(console, options.update(width=UNBOUNDED), column) for column in self.columns]

    def _extent(self, console: Console, options: ConsoleOptions, column: Column) -> Measurement:
        heading, *cells = (Measurement.get(console, options, cell) for cell in (column.header, *column.cells))
        longest = max((cell.maximum for cell in cells), default=0)
        if column.no_wrap:
            word = longest
        elif column.justify == "right":
            word = max((_longest_number(cell) for cell in column.cells), default=0)
        else:
            word = max((cell.minimum for cell in cells), default=0)
        return Measurement(max(heading.minimum, word), max(heading.maximum, longest))


def _longest_number(cell: object) -> int:
    """Return the width of the longest number of a cell, with its sign and unit: there may be one before, one after."""
    return max(cell_len(number) for number in re.split("(?<=→) ", str(cell)))


def _fit(extents: Sequence[Measurement], is_firm: Sequence[bool], room: int) -> list[int]:
    """Return how wide each column is, of so many characters in all: none gives way to a wider one."""
    words = [extent.minimum for extent in extents]
    broken = [word if firm else min(word, _SHORTEST) for word, firm in zip(words, is_firm, strict=True)]
    floors = next((floors for floors in (words, broken) if sum(floors) <= room), [1] * len(words))
    for level in range(max(room, 1), -1, -1):
        widths = [min(extent.maximum, max(floor, level)) for extent, floor in zip(extents, floors, strict=True)]
        if sum(widths) <= room:
            wider = [at for at, extent in enumerate(extents) if widths[at] == level < extent.maximum]
            for at in wider[: room - sum(widths)]:
                widths[at] += 1
            break
    return widths


def table(*headings: str) -> Rows:
    """Make a table; a heading that begins with > is of a column of numbers."""
    rows = Rows(box=None, pad_edge=False, padding=(0, _BETWEEN // 2), header_style="dim")
    for heading in headings:
        number = heading.startswith(">")
        name = clip(heading.removeprefix(">"), _CELL)
        rows.add_column(
            Name(name) if "-" in name else Text(name), justify="right" if number else "left", overflow="fold"
        )
    return rows


@dataclass(frozen=True, slots=True)
class Name:
    """A name with hyphens, `intercepted-foreign-identity`: where it is too long for its column it breaks there."""

    text: str
    style: str = ""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width of the longest part, and that of the whole."""
        text = clip(self.text, _CELL)
        longest = max(len(part.rstrip()) for part in _parts(text))
        return Measurement(longest, len(text)).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines."""
        line = ""
        for part in _parts(clip(self.text, _CELL)):
            if line and len((line + part).rstrip()) > options.max_width:
                yield Text(line, style=self.style, overflow="fold")
                line = ""
            line += part
        yield Text(line, style=self.style, overflow="fold")


def _parts(name: str) -> list[str]:
    return re.findall(r"[^- ]*[- ]|[^- ]+", name) or [name]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar as long as a share is great; where the bar of the greatest share has no room all are as much shorter."""

    share: float
    greatest: float

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return a single character, and the width where there is room."""
        return Measurement(1, max(1, ceil(self.share * _BAR))).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the bar."""
        whole = min(_BAR, options.max_width / self.greatest) if self.greatest else _BAR
        eighths = round(self.share * whole * 8)
        yield Text("█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else ""), style="cyan")


def add_row(table: Table, *cells: object) -> None:
    """Add a row; what is no Text yet is made harmless and not too long, and its brackets are not read as markup."""
    table.add_row(*(cell if isinstance(cell, Text | Name | Bar) else Text(clip(cell, _CELL)) for cell in cells))


def with_counts(counts: dict[str, int]) -> str:
    """Name things with how many there are of each."""
    return ", ".join(f"{clip(name, _CELL)} {count:,}" for name, count in counts.items())


def percent(share: float | None) -> str:
    """Return a share as text."""
    return "–" if share is None else f"{100 * share:.1f} %"


def ms(value: float | None) -> str:
    """Return milliseconds as text."""
    return "–" if value is None else f"{value:.1f}"


def target_title(target: Numbers) -> Text:
    """Name a target."""
    service = target["service"] or "no service"
    return Text(
        f"{clip(service, _CELL)} at {harmless(target['target'])} (IPv{harmless(target['af'])})", style="bold cyan"
    )
