"""What tables are made of: harmless text, rows, bars and numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import cut

_BAR = 24
_CELL = 1000  # lists of targets are long; whoever shows identities clips them closer
_MARKS = 2
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


def table(*headings: str) -> Table:
    """Make a table; a heading that begins with > is of a column of numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        number = heading.startswith(">")
        name = Text(clip(heading.removeprefix(">"), _CELL))
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    return table


@dataclass(frozen=True, slots=True)
class Name:
    """A name with hyphens, `intercepted-foreign-identity`: where it is too long for its column it breaks at these."""

    text: str
    style: str = ""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width of the longest part, and that of the whole."""
        text = clip(self.text, _CELL)
        return Measurement(max(map(len, _parts(text))), len(text)).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines."""
        line = ""
        for part in _parts(clip(self.text, _CELL)):
            if line and len(line + part) > options.max_width:
                yield Text(line, style=self.style, overflow="fold")
                line = ""
            line += part
        yield Text(line, style=self.style, overflow="fold")


def _parts(name: str) -> list[str]:
    return re.findall(r"[^-]*-|[^-]+", name) or [name]


def add_row(table: Table, *cells: object) -> None:
    """Add a row; what is no Text yet is made harmless and not too long, and its brackets are not read as markup."""
    table.add_row(*(cell if isinstance(cell, Text | Name) else Text(clip(cell, _CELL)) for cell in cells))


def with_counts(counts: dict[str, int]) -> str:
    """Name things with how many there are of each."""
    return ", ".join(f"{clip(name, _CELL)} {count:,}" for name, count in counts.items())


def bar(share: float) -> Text:
    """Return a bar as long as the share is great."""
    eighths = round(share * _BAR * 8)
    return Text("█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else ""), style="cyan")


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
