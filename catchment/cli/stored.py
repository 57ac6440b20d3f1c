"""Commands on stored runs, and on files of results: import, derive, runs, show, compare, map."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import typer

from catchment.cli.arguments import RUN_HELP, From, Json, OnlyFamily, OnlyTarget, Root, RunName, ServiceName, To
from catchment.cli.printing import print_numbers, report, say, show_progress
from catchment.model import Grouping, Level, SiteSet

app = typer.Typer()


@app.command("import")
def import_(
    given: Annotated[
        list[Path], typer.Argument(metavar="FILE|RUN…", help="Files or folders of RIPE Atlas results, and stored runs.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder of the new run: results/CAMPAIGN/RUN.")],
    service: ServiceName = None,
    probes: Annotated[Path | None, typer.Option("--probes", metavar="FILE", help="Probe list: where they are.")] = None,
    start: From = None,
    end: To = None,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Store results that somebody measured, and work out which site each vantage point reached.

    NDJSON or an array; plain, gz, zst or bz2. Without --service the address measured tells a bundled service.
    Several runs, of this host, of others, of RIPE Atlas, become one; they bring their places and services with them.

        catchment import results.json.gz --service k-root --probes probes.json --out results/k-root/2026-11-21
        catchment import k-root results/here/2026-11-21T190000Z --out results/k-root/all
    """
    from catchment import store, workflow  # noqa: PLC0415

    Thread(target=import_module, args=("catchment.terminal",)).start()  # passes while DuckDB reads
    with show_progress() as progress:
        cut, root = store.window_between(start, end), store.results_root(results)
        done = workflow.import_results(
            given, out, root=root, service=service, probes=probes, cut=cut, progress=progress
        )
    report(done.warnings)
    print_numbers(workflow.show(store.Run.open(out)), "show_run", as_json=as_json)


@app.command()
def derive(
    path: RunName,
    *,
    service: ServiceName = None,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Ask the DNS for the names of routers that are not known yet.")
    ] = False,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Rebuild every table of a run from its raw results; with --service, by another version of the service.

    catchment derive k-root
    catchment derive results/mine/2026-11-21 --service mine.toml
    catchment derive results/mine/2026-11-21 --resolve
    """
    from catchment import store, workflow  # noqa: PLC0415

    with show_progress() as progress:
        folder = store.find_folder(path, store.results_root(results))
        if resolve:
            done = workflow.derive_with_names(folder, service=service, environ=os.environ, progress=progress, say=say)
        else:
            done = workflow.derive(folder, service=service, progress=progress)
    report(done.warnings)
    print_numbers(workflow.show(store.Run.open(folder)), "show_run", as_json=as_json)


@app.command()
def runs(
    campaign: Annotated[str | None, typer.Argument(metavar="CAMPAIGN", help="Only the runs of this one.")] = None,
    *,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """List the stored runs.

    catchment runs
    catchment runs k-root --json
    """
    from catchment import store, workflow  # noqa: PLC0415

    root = store.results_root(results)
    found = workflow.list_runs(root, campaign)
    report(tuple(found["damaged"]))
    if not found["runs"] and not found["damaged"]:
        typer.echo(
            f"no run is stored in {root} yet: `catchment run CAMPAIGN` or `catchment import` makes one", err=True
        )
    if found["runs"] or as_json:
        print_numbers(found, "show_runs", as_json=as_json, part="runs")


@app.command()
def show(
    run: RunName,
    *,
    by: Annotated[Grouping | None, typer.Option("--by", help="Group the vantage points.")] = None,
    vantage: Annotated[
        str | None, typer.Option("--vantage", metavar="ID", help="Explain it: atlas:6019 (or 6019), lab:7, local:HOST.")
    ] = None,
    convergence: Annotated[
        bool, typer.Option("--convergence", help="How did the planned change take hold, query by query?")
    ] = False,
    sites: Annotated[SiteSet, typer.Option("--sites", help="The nearest of which sites?")] = SiteSet.LISTED,
    af: OnlyFamily = None,
    target: OnlyTarget = None,
    start: From = None,
    end: To = None,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Show the catchment of each site, and how far it is from the best.

    With --by verdict: who was intercepted, in which networks, and how we know.
    With --vantage: which site that one reached, and why we say so.
    With --convergence: of a run around a planned change, who went where when, and what was lost.
    Of a run that is not whole: its measurements, and what RIPE Atlas says of each.

        catchment show k-root
        catchment show k-root --by country --af 6
        catchment show k-root --by verdict
        catchment show k-root --vantage 6019
        catchment show route-change --convergence
        catchment show 'k-root[2026-11-21T19:00Z..20:00Z]' --json
    """
    from catchment import store, workflow  # noqa: PLC0415

    root = store.results_root(results)
    begun = store.find_begun(run, root)
    if begun is not None:
        print_numbers(workflow.show_unfinished(begun, environ=os.environ), "show_unfinished", as_json=as_json)
        return
    found, window = store.find_run(run, root, start, end)
    chosen: dict[str, Any] = {"af": None if af is None else int(af), "target": target}
    if sum((by is not None, vantage is not None, convergence)) > 1:
        raise typer.BadParameter("--by, --vantage and --convergence are views of their own: choose one of them")
    if convergence:
        print_numbers(workflow.show_convergence(found, window, **chosen), "show_convergence", as_json=as_json)
    elif vantage is None:
        print_numbers(workflow.show(found, window, by=by, site_set=sites, **chosen), "show_run", as_json=as_json)
    else:
        told = workflow.explain_vantage(found, vantage, window, site_set=sites, **chosen)
        print_numbers(told, "show_vantage_point", as_json=as_json)


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=RUN_HELP)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help=RUN_HELP)],
    *,
    by: Annotated[Grouping | None, typer.Option("--by", help="Count the moves by group as well.")] = None,
    level: Annotated[Level, typer.Option("--level", help="Moves between what?")] = Level.SITE,
    af: OnlyFamily = None,
    target: OnlyTarget = None,
    start: From = None,
    end: To = None,
    results: Root = None,
    as_json: Json = False,
) -> None:
    r"""Say who moved between two runs, or two windows of one run.

    catchment compare k-root~1 k-root
    catchment compare 'k-root[..2026-11-21T19:00Z]' 'k-root[2026-11-21T20:00Z..]' --by country
    catchment compare k-root~1 k-root --level server
    catchment compare 'move\[before]' 'move\[after]'
    """
    from catchment import store, workflow  # noqa: PLC0415

    root = store.results_root(results)
    sides = [store.find_run(name, root, start, end) for name in (before, after)]
    af_number = None if af is None else int(af)
    numbers = workflow.compare_runs(*sides, by=by, level=level, af=af_number, target=target)
    report(numbers["warnings"])
    print_numbers(numbers, "show_comparison", as_json=as_json)


@app.command("map")
def map_(
    run: RunName,
    after: Annotated[str | None, typer.Argument(metavar="AFTER", help="A later run: the map shows who moved.")] = None,
    *,
    out: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="FILE.png, .svg or .pdf.")] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="world, a continent (africa, north-america, …) or W,S,E,N.")
    ] = None,
    target: OnlyTarget = None,
    start: From = None,
    end: To = None,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Draw the catchments of a run, or who moved between two, on a map.

    catchment map k-root
    catchment map k-root~1 k-root -o moves.svg --region europe
    """
    from catchment import store, workflow  # noqa: PLC0415

    root = store.results_root(results)
    sides = [store.find_run(name, root, start, end) for name in (run, after) if name is not None]
    with show_progress() as progress:
        files = workflow.draw_map(sides, out, region=region, target=target, progress=progress)
    change = workflow.change_in(*sides[0]) if after is None else None
    print_numbers({"files": [str(file) for file in files], "change": change}, "show_files", as_json=as_json)
