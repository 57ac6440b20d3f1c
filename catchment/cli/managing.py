"""Commands on what is at RIPE Atlas already: stop, credits."""

from __future__ import annotations

import os

import typer

from catchment.cli.arguments import Json, Key, Root, RunName, Verbose
from catchment.cli.printing import print_numbers, say, tracing

app = typer.Typer()


@app.command()
def stop(
    path: RunName, *, results: Root = None, key: Key = None, verbose: Verbose = False, as_json: Json = False
) -> None:
    """Stop the measurements that a run has asked for. What they measured stays, and can be fetched.

    Measurements that the run only reads go on. A campaign's name is its latest unfinished run. Twice does no harm.

        catchment stop example-dns
        catchment stop results/example-dns/2026-11-21T190000Z
    """
    from catchment import store, workflow  # noqa: PLC0415

    folder = store.find_unfinished(path, store.results_root(results))
    stopped = workflow.stop_run(folder, environ=os.environ, key=key, say=say, trace=tracing(on=verbose))
    print_numbers(stopped, "show_stopped", as_json=as_json)
    workflow.check_stopped(stopped)


@app.command()
def credits(*, key: Key = None, verbose: Verbose = False, as_json: Json = False) -> None:  # noqa: A001
    """Show the credits of your account at RIPE Atlas: what is left, what comes in, what is spent.

    catchment credits
    catchment credits --json
    """
    from catchment import workflow  # noqa: PLC0415

    account = workflow.read_account(environ=os.environ, key=key, say=say, trace=tracing(on=verbose))
    print_numbers(account, "show_account", as_json=as_json)
