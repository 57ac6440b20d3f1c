"""Commands that measure: demo, plan, run, resume."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catchment.cli.arguments import Json, Key, NewRun, Root, RunName, Verbose
from catchment.cli.printing import ask_whether, print_numbers, report, say, say_numbers, show_progress, tracing
from catchment.errors import Interrupted

if TYPE_CHECKING:
    from catchment.workflow import Imported

app = typer.Typer()
CampaignFile = Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="A campaign file: campaigns/k-root.toml.")]


@app.command()
def demo(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for its runs and maps.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """See it all on a simulated Internet: a campaign, a fire in Frankfurt, a second campaign, who moved.

    Needs no key, no network and no root.

        catchment demo
        catchment demo --out elsewhere
    """
    from catchment import workflow  # noqa: PLC0415

    shown: dict[str, Any] = {}
    for step in workflow.demo_steps(out):
        typer.echo(f"\n{step.title}\n", err=True)
        with show_progress() as progress:
            shown[step.name] = step.work(progress)
        if not as_json:
            print_numbers(shown[step.name], step.layout, as_json=False)
    if as_json:
        print_numbers(shown, "show_next", as_json=True)


@app.command()
def plan(campaign: CampaignFile, *, results: Root = None, as_json: Json = False) -> None:
    """State what a run would ask for and cost, checked against the limits. Needs no key and no network.

    Exits with 1 where `run` would refuse.

        catchment plan campaigns/k-root.toml
    """
    from catchment import workflow  # noqa: PLC0415

    stated = workflow.plan_campaign(campaign, results)
    print_numbers(stated, "show_plan", as_json=as_json)
    workflow.check_plan(stated)


@app.command()
def run(
    campaign: CampaignFile,
    *,
    out: NewRun = None,
    results: Root = None,
    key: Key = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Measure a campaign, and work out which site each vantage point reaches. Safe to interrupt.

    Reading public measurements needs no key; new ones do: ATLAS_CREATE_KEY in the environment, or a key where
    ripe-atlas-tools, Blaeu or goat keep theirs.

        catchment run campaigns/k-root.toml
        catchment run campaigns/sandbox.toml --out results/sandbox/before
    """
    from catchment import store, workflow  # noqa: PLC0415

    root = store.results_root(results)
    with _stopping_if_wished(key), show_progress() as progress:
        done = workflow.run_campaign(
            campaign, root, out, environ=os.environ, key=key, progress=progress, say=say, trace=tracing(on=verbose)
        )
    _print_run(done, as_json=as_json)


@app.command()
def resume(
    path: RunName, *, results: Root = None, key: Key = None, verbose: Verbose = False, as_json: Json = False
) -> None:
    """Go on with a run where it stopped. Nothing is scheduled twice. A campaign's name is its latest unfinished run.

    catchment resume k-root
    catchment resume results/k-root/2026-11-21T190000Z
    """
    from catchment import store, workflow  # noqa: PLC0415

    folder = store.find_unfinished(path, store.results_root(results))
    with _stopping_if_wished(key), show_progress() as progress:
        done = workflow.resume_run(
            folder, environ=os.environ, key=key, progress=progress, say=say, trace=tracing(on=verbose)
        )
    _print_run(done, as_json=as_json)


def _print_run(done: Imported, *, as_json: bool) -> None:
    from catchment import store, workflow  # noqa: PLC0415

    measured = store.Run.open(done.run)
    report(done.warnings)
    print_numbers(workflow.show(measured), "show_run", as_json=as_json)
    if sys.stderr.isatty():
        say(workflow.what_next(measured))


@contextmanager
def _stopping_if_wished(key: str | None) -> Iterator[None]:
    """Offer to stop the measurements of a run that is interrupted: they go on, and cost, without it."""
    try:
        yield
    except Interrupted as interrupted:
        if interrupted.run is not None and ask_whether(
            "Interrupted. Its measurements go on at RIPE Atlas, and their results can be fetched later. Stop them"
        ):
            from catchment import workflow  # noqa: PLC0415

            stopped = workflow.stop_run(interrupted.run, environ=os.environ, key=key, say=say)
            say_numbers(stopped, "show_stopped")
            raise Interrupted(f"interrupted; {stopped['next']} fetches what was measured") from interrupted
        raise
