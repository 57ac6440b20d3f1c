"""The command line: parse arguments, one call into the workflow, print."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from catchment.cli import here, lab, managing, measuring, sandbox, services, stored
from catchment.cli.printing import complain
from catchment.errors import CatchmentError, Interrupted, asked_to_stop

_OBJECTS_PER_COLLECTION = 100_000  # modules make many objects and no garbage: looking for it cost 0.1 s of each start

_INTERRUPTED = 130


class _Commands(TyperGroup):
    """The commands. Ctrl-C ends them with a message: typer would end without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted") from error


app = typer.Typer(
    cls=_Commands,
    help="Anycast measurement: which site does each vantage point reach, why, and is it the nearest?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(measuring.app)
app.add_typer(here.app)
app.add_typer(managing.app)
app.add_typer(stored.app)
app.add_typer(services.app, name="services")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(lab.app, name="lab")


@app.callback(invoke_without_command=True)
def version(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Anycast measurement: which site does each vantage point reach, why, and is it the nearest?"""
    if version:
        from catchment import __version__  # noqa: PLC0415

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line: a problem that the user can act on is one line on stderr, and exit code 1."""
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    _at_signals(_stop)
    sys.unraisablehook = _lose_interrupts
    try:
        app()
    except Interrupted as error:
        sys.exit(_interrupted(str(error)))
    except KeyboardInterrupt:
        sys.exit(_interrupted())
    except Exception as error:
        if asked_to_stop.is_set():
            sys.exit(_interrupted())
        if isinstance(error, CatchmentError):
            sys.exit(complain(str(error)))
        if isinstance(error, OSError):
            sys.exit(complain(f"{error.filename or 'file'}: {error.strerror}: choose another place"))
        raise


def _at_signals(then: Callable[..., None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # under nohup it goes on
            signal.signal(number, then)


def _interrupted(message: str = "interrupted") -> int:
    """Print what an interruption left, which another one does not cut short; from then on one ends us at once."""
    _at_signals(signal.SIG_IGN)
    complain(message)
    _at_signals(signal.SIG_DFL)
    return _INTERRUPTED


def _stop(*_: object) -> None:
    asked_to_stop.set()
    raise KeyboardInterrupt


def _lose_interrupts(unraisable: sys.UnraisableHookArgs) -> None:
    """Say nothing of a Ctrl-C that came in a finalizer, where it cannot be raised: it is heeded a moment later."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
