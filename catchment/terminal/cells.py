"""What tables are made of: harmless text, rows, bars and numbers."""

from __future__ import annotations

import unicodedata

from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers

_BAR = 24


def harmless(text: object) -> str:
    r"""Return text in which control, bidirectional and other invisible characters are written \uXXXX."""
    return "".join(
        character if unicodedata.category(character)[0] not in "CZ" or character == " " else _escaped(character)
        for character in str(text)
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def table(*headings: str) -> Table:
    """Make a table; a heading that begins with > is of a column of numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        number = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if number else "left", overflow="fold")
    return table


def add_row(table: Table, *cells: object) -> None:
    """Add a row; what is no Text yet is made harmless, and its brackets are not read as markup."""
    table.add_row(*(cell if isinstance(cell, Text) else Text(harmless(cell)) for cell in cells))


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
    return Text(f"{harmless(service)} at {harmless(target['target'])} (IPv{target['af']})", style="bold cyan")
