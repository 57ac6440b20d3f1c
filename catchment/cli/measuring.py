"""Commands that measure: demo, plan, run, resume."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from catchment.cli.arguments import Json, Root, RunName
from catchment.cli.printing import print_numbers, report, say, show_progress

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
def plan(campaign: CampaignFile, *, as_json: Json = False) -> None:
    """State what a run would ask for and cost, checked against the limits. Needs no key and no network.

    Exits with 1 where `run` would refuse.

        catchment plan campaigns/k-root.toml
    """
    from catchment import workflow  # noqa: PLC0415

    stated = workflow.plan_campaign(campaign)
    print_numbers(stated, "show_plan", as_json=as_json)
    workflow.check_limits(stated["limits"])


@app.command()
def run(
    campaign: CampaignFile,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="Folder of the new run; results/CAMPAIGN/TIME if not given."),
    ] = None,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Measure a campaign, and work out which site each vantage point reaches. Safe to interrupt.

    Reading public measurements needs no key; new ones do: ATLAS_CREATE_KEY in the environment.

        catchment run campaigns/k-root.toml
        catchment run campaigns/sandbox.toml --out results/sandbox/before
    """
    from catchment import store, workflow  # noqa: PLC0415

    with show_progress() as progress:
        root = store.results_root(results)
        done = workflow.run_campaign(campaign, root, out, environ=os.environ, progress=progress, say=say)
    report(done.warnings)
    print_numbers(workflow.show(store.Run.open(done.run)), "show_run", as_json=as_json)


@app.command()
def resume(path: RunName, *, results: Root = None, as_json: Json = False) -> None:
    """Go on with a run where it stopped. Nothing is scheduled twice. A campaign's name is its latest unfinished run.

    catchment resume k-root
    catchment resume results/k-root/2026-11-21T190000Z
    """
    from catchment import store, workflow  # noqa: PLC0415

    with show_progress() as progress:
        folder = store.find_unfinished(path, store.results_root(results))
        done = workflow.resume_run(folder, environ=os.environ, progress=progress, say=say)
    report(done.warnings)
    print_numbers(workflow.show(store.Run.open(done.run)), "show_run", as_json=as_json)
