"""The command line: parse arguments, one call into the workflow, print."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catchment.errors import CatchmentError
from catchment.model import Grouping, SiteSet

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(
    help="Anycast measurement: which site does each vantage point reach, why, and is it the nearest?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
services_app = typer.Typer(
    help="The services that catchment knows: sites, addresses, identities.", no_args_is_help=True
)
app.add_typer(services_app, name="services")


class Family(StrEnum):
    """An address family."""

    V4 = "4"
    V6 = "6"


_WIDE = 1000
_OBJECTS_PER_COLLECTION = 100_000  # modules make many objects and no garbage: looking for it cost 0.1 s of each start
_RUN_HELP = "A run: path, campaign, campaign~1, campaign@run; a window of it: RUN[2026-11-21T19:00Z..20:00Z]."
RunName = Annotated[str, typer.Argument(metavar="RUN", help=_RUN_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Root = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Folder of stored runs [CATCHMENT_RESULTS or ./results]."),
]
ServiceName = Annotated[str | None, typer.Option("--service", metavar="S", help="A bundled service, or a TOML file.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only what was measured from this time on.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only what was measured before this time.")]


@app.callback(invoke_without_command=True)
def version(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Anycast measurement: which site does each vantage point reach, why, and is it the nearest?"""
    if version:
        from catchment import __version__  # noqa: PLC0415

        typer.echo(__version__)
        raise typer.Exit


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files or folders of RIPE Atlas results.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder of the new run: results/CAMPAIGN/RUN.")],
    service: ServiceName = None,
    probes: Annotated[Path | None, typer.Option("--probes", metavar="FILE", help="Probe list: where they are.")] = None,
    start: From = None,
    end: To = None,
    as_json: Json = False,
) -> None:
    """Store results that somebody measured, and work out which site each vantage point reached.

    NDJSON or an array; plain, gz, zst or bz2. Without --service the address measured tells a bundled service.

        catchment import results.json.gz --service k-root --probes probes.json --out results/k-root/2026-11-21
    """
    from catchment import store, workflow  # noqa: PLC0415

    Thread(target=import_module, args=("catchment.terminal",)).start()  # passes while DuckDB reads
    with _progress() as progress:
        cut = store.window_between(start, end)
        done = workflow.import_results(files, out, service=service, probes=probes, cut=cut, progress=progress)
    _report(done.warnings)
    _print(workflow.show(store.Run.open(out)), "show_run", as_json=as_json)


@app.command()
def derive(path: RunName, *, service: ServiceName = None, results: Root = None, as_json: Json = False) -> None:
    """Rebuild every table of a run from its raw results; with --service, by another version of the service.

    catchment derive k-root
    catchment derive results/mine/2026-11-21 --service mine.toml
    """
    from catchment import store, workflow  # noqa: PLC0415

    with _progress() as progress:
        folder = store.find_folder(path, store.results_root(results))
        done = workflow.derive(folder, service=service, progress=progress)
    _report(done.warnings)
    _print(workflow.show(store.Run.open(folder)), "show_run", as_json=as_json)


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

    found = workflow.list_runs(store.results_root(results), campaign)
    _report(tuple(found["damaged"]))
    _print(found, "show_runs", as_json=as_json, part="runs")


@app.command()
def show(
    run: RunName,
    *,
    by: Annotated[Grouping | None, typer.Option("--by", help="Group the vantage points.")] = None,
    sites: Annotated[SiteSet, typer.Option("--sites", help="The nearest of which sites?")] = SiteSet.LISTED,
    af: Annotated[Family | None, typer.Option("--af", help="Only this address family.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="T", help="Only this address or service.")] = None,
    start: From = None,
    end: To = None,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Show the catchment of each site, and how far it is from the best.

    catchment show k-root
    catchment show k-root --by country --af 6
    catchment show 'k-root[2026-11-21T19:00Z..20:00Z]' --json
    """
    from catchment import store, workflow  # noqa: PLC0415

    found, window = store.find_run(run, store.results_root(results), start, end)
    af_number = None if af is None else int(af)
    numbers = workflow.show(found, window, by=by, site_set=sites, af=af_number, target=target)
    _print(numbers, "show_run", as_json=as_json)


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=_RUN_HELP)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help=_RUN_HELP)],
    *,
    by: Annotated[Grouping | None, typer.Option("--by", help="Count the moves by group as well.")] = None,
    start: From = None,
    end: To = None,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Say who moved between two runs, or two windows of one run.

    catchment compare k-root~1 k-root
    catchment compare 'k-root[..2026-11-21T19:00Z]' 'k-root[2026-11-21T20:00Z..]' --by country
    """
    from catchment import store, workflow  # noqa: PLC0415

    root = store.results_root(results)
    sides = [store.find_run(name, root, start, end) for name in (before, after)]
    numbers = workflow.compare_runs(*sides, by=by)
    _report(numbers.pop("warnings"))
    _print(numbers, "show_comparison", as_json=as_json)


@app.command("map")
def map_(
    run: RunName,
    after: Annotated[str | None, typer.Argument(metavar="AFTER", help="A later run: the map shows who moved.")] = None,
    *,
    out: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="FILE.png, .svg or .pdf.")] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="world, a continent (africa, north-america, …) or W,S,E,N.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="T", help="Only this address or service.")] = None,
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
    with _progress() as progress:
        files = workflow.draw_map(sides, out, region=region, target=target, progress=progress)
    _print({"files": [str(file) for file in files]}, "show_files", as_json=as_json)


@services_app.command("list")
def list_services(*, as_json: Json = False) -> None:
    """List the bundled services."""
    from catchment import workflow  # noqa: PLC0415

    _print({"services": workflow.list_services()}, "show_services", as_json=as_json, part="services")


@services_app.command("show")
def show_service(
    service: Annotated[str, typer.Argument(metavar="S", help="A bundled service, or a TOML file.")],
    *,
    as_json: Json = False,
) -> None:
    """Show a service: its addresses, patterns, sources and sites."""
    from catchment import workflow  # noqa: PLC0415

    _print(workflow.describe_service(service), "show_service", as_json=as_json)


@services_app.command("identify")
def identify(
    service: Annotated[str, typer.Argument(metavar="S", help="A bundled service, or a TOML file.")],
    identities: Annotated[list[str], typer.Argument(metavar="STRING…", help="What servers gave as their names.")],
    *,
    as_json: Json = False,
) -> None:
    """Say which site each identity names, and by which rule.

    catchment services identify k-root ns1.nl-ams.k.ripe.net
    """
    from catchment import workflow  # noqa: PLC0415

    _print(workflow.identify_strings(service, identities), "show_identities", as_json=as_json)


def main() -> None:
    """Run the command line: a problem that the user can act on is one line on stderr, and exit code 1."""
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    try:
        app()
    except CatchmentError as error:
        sys.exit(_complain(str(error)))
    except OSError as error:
        sys.exit(_complain(f"{error.filename or 'file'}: {error.strerror}: choose another place"))
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(problem: str) -> int:
    from catchment.terminal import harmless  # noqa: PLC0415

    print(f"catchment: {harmless(problem)}", file=sys.stderr)  # noqa: T201
    return 1


def _print(numbers: dict[str, Any], layout: str, *, as_json: bool, part: str | None = None) -> None:
    """Print numbers as JSON, or as the terminal lays them out."""
    if as_json:
        typer.echo(json.dumps(numbers, indent=1))
        return
    from rich.console import Console  # noqa: PLC0415

    from catchment import terminal  # noqa: PLC0415

    lay_out: Callable[[Any], RenderableType] = getattr(terminal, layout)
    width = None if sys.stdout.isatty() else _WIDE  # a file or a pipe has no edge at which to cut columns off
    Console(highlight=False, width=width).print(lay_out(numbers[part] if part else numbers))


def _report(warnings: tuple[str, ...]) -> None:
    from catchment.terminal import harmless  # noqa: PLC0415

    for warning in warnings:
        typer.echo(f"warning: {harmless(warning)}", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that shows on the terminal's stderr what is being done, and how far it is."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from catchment.terminal import harmless  # noqa: PLC0415

    words = TextColumn("{task.description}", markup=False)
    columns = SpinnerColumn(), BarColumn(), TimeElapsedColumn(), words
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=1)
        yield lambda text, done: bars.update(task, description=harmless(text), completed=done)
