"""Tables that are made column by column: those that hold nothing are left out, and what has no room stands below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.text import Text

from catchment.terminal.cells import UNBOUNDED, Name, Rows, add_row, table

_NARROW = 24

Column = tuple[str, Sequence[str | Text | Name]]
"""A heading, as `table` takes it, and a cell for each row."""


def table_of(columns: Sequence[Column], whole: str = "") -> Rows:
    """Make a table of the columns that hold anything; the one headed `whole` breaks only where a name of it is long."""
    told = [(heading, cells) for heading, cells in columns if any(map(str, cells))]
    shown = table(*(heading for heading, _ in told))
    for column, (heading, cells) in zip(shown.columns, told, strict=True):
        column.no_wrap = heading == whole and max(map(len, map(str, cells))) <= _NARROW
    for row in zip(*(cells for _, cells in told), strict=True):
        add_row(shown, *row)
    return shown


def width_of(shown: Rows, console: Console, options: ConsoleOptions) -> Measurement:
    """Return the width below which words of a table break, and that above which nothing does."""
    return Measurement.get(console, options.update(width=UNBOUNDED), shown)


@dataclass(frozen=True, slots=True)
class Beside:
    """Columns beside others: where words would break for them, they are a table below, of the rows that have any.

    Of what has no room in one table even so, the last columns are in one more. All have the first columns, so many as
    are the `names` of a row.
    """

    columns: Sequence[Column]
    others: Sequence[Column]
    whole: str = ""
    names: int = 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield one table, or several with the names in each."""

        def has_room(columns: Sequence[Column]) -> bool:
            return width_of(table_of(columns, self.whole), console, options).minimum <= options.max_width

        if has_room([*self.columns, *self.others]):
            yield table_of([*self.columns, *self.others], self.whole)
            return
        yield from self._tables(self.columns, has_room)
        kept = [at for at in range(len(self.columns[0][1])) if any(str(cells[at]) for _, cells in self.others)]
        if kept:
            below = (*self.columns[: self.names], *self.others)
            yield from self._tables([(heading, [cells[at] for at in kept]) for heading, cells in below], has_room)

    def _tables(self, columns: Sequence[Column], has_room: Callable[[Sequence[Column]], bool]) -> Iterator[Rows]:
        """Yield the columns in as few tables as there is room for."""
        names = list(columns[: self.names])
        held = list(names)
        for column in columns[self.names :]:
            if len(held) > len(names) and not has_room([*held, column]):
                yield table_of(held, self.whole)
                held = list(names)
            held.append(column)
        yield table_of(held, self.whole)
