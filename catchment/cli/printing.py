"""What commands print: numbers on stdout, messages and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import typer

from catchment.errors import asked_to_stop

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDE = 1000
_LONGEST_MESSAGE = 1000
_LONGEST_STEP = 120
_BAR = 40


def complain(problem: str) -> int:
    """Print a problem as one line on stderr; return the exit code that says so."""
    from catchment.terminal import clip  # noqa: PLC0415

    print(f"catchment: {clip(problem, _LONGEST_MESSAGE)}", file=sys.stderr)  # noqa: T201
    return 1


def print_numbers(numbers: dict[str, Any], layout: str, *, as_json: bool, part: str | None = None) -> None:
    """Print numbers as JSON, or as the terminal lays them out."""
    if as_json:
        typer.echo(json.dumps(numbers, indent=1))
        return
    from rich.console import Console  # noqa: PLC0415

    from catchment import terminal  # noqa: PLC0415

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every locale has the letters of every town
    lay_out: Callable[[Any], RenderableType] = getattr(terminal, layout)
    width = None if sys.stdout.isatty() else _WIDE  # a file or a pipe has no edge at which to cut columns off
    Console(highlight=False, width=width).print(lay_out(numbers[part] if part else numbers))


def say_numbers(numbers: dict[str, Any], layout: str) -> None:
    """Lay numbers out on stderr: stdout may be read by a script."""
    from rich.console import Console  # noqa: PLC0415

    from catchment import terminal  # noqa: PLC0415

    Console(highlight=False, stderr=True).print(getattr(terminal, layout)(numbers))


def report(warnings: tuple[str, ...]) -> None:
    """Print warnings on stderr, one a line."""
    from catchment.terminal import clip  # noqa: PLC0415

    for warning in warnings:
        typer.echo(f"warning: {clip(warning, _LONGEST_MESSAGE)}", err=True)


def say(text: str) -> None:
    """Print on stderr at once what the user waits for."""
    from catchment.terminal import clip  # noqa: PLC0415

    typer.echo(clip(text, _LONGEST_MESSAGE), err=True)


def tracing(*, on: bool) -> Callable[[str], None]:
    """Return what prints each step on stderr, or nothing where that is not wanted."""
    return say if on else lambda _: None


def ask_whether(question: str) -> bool:
    """Ask the user at the terminal; without one, or at another Ctrl-C, the answer is no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    asked_to_stop.clear()
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


@contextmanager
def show_progress() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that shows on the terminal's stderr what is being done, and how far it is."""
    if not sys.stderr.isatty():
        yield lambda *_: _heed_ctrl_c()
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415

    from catchment.terminal import clip  # noqa: PLC0415

    console = Console(stderr=True)
    # The words have what the others leave, and the time is never cut.
    words = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True))
    columns = SpinnerColumn(), BarColumn(min(_BAR, console.width // 4)), TimeElapsedColumn(), words
    with Progress(*columns, console=console, transient=True, expand=True) as bars:
        task = bars.add_task("starting", total=1)

        def update(text: str, done: float) -> None:
            _heed_ctrl_c()
            bars.update(task, description=clip(text, _LONGEST_STEP), completed=done)

        yield update


def _heed_ctrl_c() -> None:
    """Stop if the user asked for it at a moment when Python could not: an exception in a finalizer is lost."""
    if asked_to_stop.is_set():
        raise KeyboardInterrupt
