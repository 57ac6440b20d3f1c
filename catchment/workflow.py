"""The verbs that the command line and the Python API share: import, derive, show, compare, map."""

from __future__ import annotations

import datetime
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

import catchment
from catchment import compare as comparing
from catchment import store
from catchment.assign import assign, identify
from catchment.campaign import digest, service_table
from catchment.engine import connection, parts, quote
from catchment.errors import InvalidFile, UnknownName
from catchment.importers import Probes, find_files, read_probes, sniff_files, write_vantage_points
from catchment.metrics import Numbers, measure
from catchment.model import Grouping, Service, SiteSet, Target, Verdict, Window
from catchment.observe import Reading, Rejected, ResultFile, observe, sniff
from catchment.services import bundled_service, find_service, service_names

if TYPE_CHECKING:
    from catchment.figures import Change, Dot

Progress = Callable[[str], None]
"""Told in a few words what is being done now."""

_MENTIONED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import brought: the run, what became of its records, and what the user should know."""

    run: Path
    reading: Reading
    targets: tuple[Target, ...]
    warnings: tuple[str, ...] = field(default=())


def import_results(
    given: Sequence[Path],
    out: Path,
    *,
    service: str | None = None,
    probes: Path | None = None,
    cut: Window = Window(),
    progress: Progress = lambda _: None,
) -> Imported:
    """Import files of results as a new run at `out`. Raises CatchmentError, and then leaves nothing behind."""
    named = find_files(given)
    services = [find_service(service)] if service is not None else []
    if probes is not None:
        sniff(probes)  # a name that leads nowhere is told at once; the rest is read while DuckDB reads the results
    with store.new_run(out) as folder, ThreadPoolExecutor(max_workers=1) as beside:
        raw = store.raw_folder(folder)
        raw.mkdir()
        listing = beside.submit(lambda: Probes() if probes is None else read_probes(probes))
        beside.submit(import_module, "pyproj")  # 0.2 s with NumPy, which pass while DuckDB reads
        copies = [beside.submit(shutil.copyfile, path, raw / name) for path, name in named]
        header = store.Header(
            campaign=out.absolute().parent.name,
            platform="import",
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            catchment=catchment.__version__,
            services=tuple(services),
            targets=(),
            cut=cut,
        )
        with _workbench() as (con, temporary):
            reading, unusable = _observe(con, temporary, named, folder, header, progress)
            observations = store.part_of(folder, store.OBSERVATIONS)
            header = _settle_targets(con, observations, header)
            listed = listing.result()
            lacking = write_vantage_points(con, listed, observations, store.part_of(folder, store.VANTAGE_POINTS))
            store.write_header(folder, header)
            for copy in copies:
                copy.result()
            _judge(con, folder, folder / store.VANTAGE_POINTS, header, reading, unusable, progress)
    warnings = _warnings(reading, unusable, header, listed, lacking)
    return Imported(run=out, reading=reading, targets=header.targets, warnings=tuple(warnings))


def derive(path: Path, *, service: str | None = None, progress: Progress = lambda _: None) -> Imported:
    """Rebuild every table of a stored run from its raw results, with its own services or another version of one."""
    header = store.read_header(path)
    if service is not None:
        other = find_service(service)
        known = [held.name for held in header.services]
        if known and other.name not in known:
            raise UnknownName(f"{path} did not measure '{other.name}' but {', '.join(known)}: name a version of that")
        kept = tuple(held for held in header.services if held.name != other.name)
        header = replace(header, services=(*kept, other))
    with _workbench() as (con, temporary), store.new_tiers(path) as folder:
        named = find_files([store.raw_folder(path)])
        reading, unusable = _observe(con, temporary, named, folder, header, progress)
        if service is not None:
            header = _settle_targets(con, store.part_of(folder, store.OBSERVATIONS), header)
        _judge(con, folder, path / store.VANTAGE_POINTS, header, reading, unusable, progress)
        if service is not None:
            store.write_header(path, header)
    warnings = _warnings(reading, unusable, header, None, 0)
    return Imported(run=path, reading=reading, targets=header.targets, warnings=tuple(warnings))


def show(
    run: store.Run,
    window: Window = Window(),
    *,
    by: Grouping | None = None,
    site_set: SiteSet = SiteSet.LISTED,
    af: int | None = None,
    target: str | None = None,
) -> Numbers:
    """Return the numbers of a run or of a window of it, as `show --json` prints them."""
    stored = run.metrics
    targets = _chosen(run.header.targets, af, target)
    if by is None and site_set is SiteSet.LISTED and window == Window():
        numbers = stored
        wanted = {chosen.address for chosen in targets}
        numbers["targets"] = [entry for entry in stored["targets"] if entry["target"] in wanted]
    else:
        with _workbench() as (con, _):
            inside = load(con, run, window, run.header.services, site_set=site_set)
            numbers = measure(con, run.header.services, targets, inside, by=by, site_set=site_set)
            numbers["input"] = stored["input"]
    return {"run": str(run.path), "platform": run.header.platform, **numbers}


def load(
    con: duckdb.DuckDBPyConnection,
    run: store.Run,
    window: Window,
    services: Sequence[Service],
    *,
    site_set: SiteSet = SiteSet.LISTED,
) -> Window:
    """Make the tables `observations`, `vantage_points` and `assignments` of a run; return the window, bounded."""
    _tables(con, parts(run.path / store.OBSERVATIONS), run.path / store.VANTAGE_POINTS)
    inside = _bounded(con, _intersection(window, run.header.cut))
    assign(con, services, run.header.targets, [inside], site_set=site_set)
    return inside


def compare_runs(
    before: tuple[store.Run, Window],
    after: tuple[store.Run, Window],
    *,
    by: Grouping | None = None,
) -> Numbers:
    """Return what moved between two runs or windows, both assigned with the newer run's version of each service."""
    services = {service.name: service for service in before[0].header.services}
    services |= {service.name: service for service in after[0].header.services}
    versions = list(services.values())
    pairs = comparing.pair_targets(before[0].header.targets, after[0].header.targets)
    if not pairs:
        raise UnknownName("the two runs have no target in common: compare runs of one service")
    with _workbench() as (con, _):
        _load_both(con, before, after, versions)
        found = comparing.compare(con, pairs, by=by)
    return {
        "before": _name(before),
        "after": _name(after),
        "service_digest": {service.name: digest(service) for service in versions},
        "warnings": tuple(
            f"the runs hold different versions of {service.name}; both were assigned with that of AFTER"
            for service in before[0].header.services
            if digest(services[service.name]) != digest(service)
        ),
        **found,
    }


def draw_map(
    sides: Sequence[tuple[store.Run, Window]],
    out: Path | None = None,
    *,
    region: str | None = None,
    target: str | None = None,
    progress: Progress = lambda _: None,
) -> list[Path]:
    """Draw the catchments of one run, or who moved between two, one file for each target; return the files."""
    from catchment import figures  # noqa: PLC0415  (Matplotlib costs 0.4 s that other commands need not pay)

    *earlier, (run, window) = sides
    chosen = _chosen(run.header.targets, None, target)
    to = out or run.path / ("moves.png" if earlier else "map.png")
    files = []
    with _workbench() as (con, _):
        for goal in chosen:
            file = to if len(chosen) == 1 else to.with_stem(f"{to.stem}-{goal.address.replace(':', '-')}")
            progress(f"drawing {file.name}")
            service = next((known for known in run.header.services if known.name == goal.service), None)
            sites = () if service is None else service.sites
            title = f"{goal.service or 'no service'}, {goal.address}"
            if earlier:
                changes = _changes(con, earlier[0], (run, window), goal)
                subtitle = f"who moved between {_label(earlier[0])} and {_label((run, window))}"
                figure = figures.moves_map(changes, sites, title=title, subtitle=subtitle, region=region)
            else:
                inside = load(con, run, window, run.header.services)
                subtitle = f"catchment of each site, {_iso(inside.start)} to {_iso(inside.end)}"
                figure = figures.catchment_map(_dots(con, goal), sites, title=title, subtitle=subtitle, region=region)
            figures.save(figure, file)
            files.append(file)
    return files


def _dots(con: duckdb.DuckDBPyConnection, target: Target) -> list[Dot]:
    from catchment.figures import Dot  # noqa: PLC0415

    rows = con.execute(
        """SELECT v.latitude, v.longitude, a.site, a.verdict
        FROM assignments AS a JOIN vantage_points AS v USING (vantage)
        WHERE a.target = ? AND v.latitude IS NOT NULL ORDER BY a.vantage""",
        [target.address],
    ).fetchall()
    if not rows:
        raise UnknownName("no vantage point has a place to draw: import the results again with --probes FILE")
    return [Dot(latitude=lat, longitude=lon, site=site, verdict=Verdict(verdict)) for lat, lon, site, verdict in rows]


def _changes(
    con: duckdb.DuckDBPyConnection, before: tuple[store.Run, Window], after: tuple[store.Run, Window], target: Target
) -> list[Change]:
    from catchment.figures import Change  # noqa: PLC0415

    pairs = comparing.pair_targets(before[0].header.targets, after[0].header.targets)
    pair = next((pair for pair in pairs if pair[1] == target), None)
    if pair is None:
        raise UnknownName(f"the run before did not measure {target.address}: choose a target of both with --target")
    _load_both(con, before, after, after[0].header.services)
    rows = con.execute(
        """SELECT v.latitude, v.longitude, b.site, a.site
        FROM (SELECT * FROM assignments_before WHERE target = $before AND site IS NOT NULL) AS b
        FULL JOIN (SELECT * FROM assignments_after WHERE target = $after AND site IS NOT NULL) AS a USING (vantage)
        JOIN vantage_points AS v USING (vantage) WHERE v.latitude IS NOT NULL ORDER BY vantage""",
        {"before": pair[0].address, "after": pair[1].address},
    ).fetchall()
    if not rows:
        raise UnknownName("no vantage point that reached a site has a place to draw: import with --probes FILE")
    return [Change(latitude=lat, longitude=lon, before=old, after=new) for lat, lon, old, new in rows]


def list_runs(root: Path, campaign: str | None = None) -> list[dict[str, Any]]:
    """Return the stored runs, each campaign's in the order in which they were measured."""
    found = []
    for path in store.stored_runs(root, campaign):
        run = store.Run.open(path)
        counts = [target["vantage_points"] for target in run.metrics["targets"]]
        found.append(
            {
                "campaign": path.parent.name,
                "run": path.name,
                "path": str(path),
                "platform": run.header.platform,
                "from": run.metrics["from"],
                "to": run.metrics["to"],
                "vantage_points": max((count["total"] for count in counts), default=0),
                "assigned": max((count["assigned"] for count in counts), default=0),
                "targets": [f"{target.service or 'no service'} {target.address}" for target in run.header.targets],
            }
        )
    return found


def list_services() -> list[dict[str, Any]]:
    """Return the bundled services in short."""
    return [
        {
            "name": service.name,
            "operator": service.operator,
            "sites": len(service.sites),
            "answers": list(service.answers),
            "addresses": [entry.address for entry in service.addresses if entry.until is None],
            "digest": digest(service),
        }
        for service in map(bundled_service, service_names())
    ]


def describe_service(name: str) -> dict[str, Any]:
    """Return all facts of a service, and its version."""
    service = find_service(name)
    return {**service_table(service), "digest": digest(service)}


def identify_strings(name: str, identities: Sequence[str]) -> Numbers:
    """Return what each identity says under a service."""
    service = find_service(name)
    return {
        "service": service.name,
        "identities": [
            {
                "identity": found.identity,
                "site": None if found.site is None else found.site.code,
                "town": None if found.site is None else found.site.town,
                "country": None if found.site is None else found.site.country,
                "server": found.server,
                "rule": found.rule,
            }
            for found in identify(service, identities)
        ],
    }


def _load_both(
    con: duckdb.DuckDBPyConnection,
    before: tuple[store.Run, Window],
    after: tuple[store.Run, Window],
    services: Sequence[Service],
) -> None:
    """Make `assignments_before` and `assignments_after`, and `vantage_points` with the later place of each."""
    for (run, window), side in ((before, "before"), (after, "after")):
        load(con, run, window, services)
        con.execute(f"CREATE OR REPLACE TEMP TABLE assignments_{side} AS SELECT * FROM assignments")
        con.execute(f"CREATE OR REPLACE TEMP TABLE vantage_points_{side} AS SELECT * FROM vantage_points")
    con.execute(
        """CREATE OR REPLACE TEMP VIEW vantage_points AS SELECT * FROM vantage_points_after
        UNION ALL SELECT * FROM vantage_points_before ANTI JOIN vantage_points_after USING (vantage)"""
    )


def _name(side: tuple[store.Run, Window]) -> str:
    run, window = side
    return str(run.path) + ("" if window == Window() else f"[{_iso(window.start)}..{_iso(window.end)}]")


def _label(side: tuple[store.Run, Window]) -> str:
    """Name a run on a picture, which leaves its machine: without the folders above its campaign."""
    run, _ = side
    place = run.path.absolute()
    return _name(side).replace(str(run.path), f"{place.parent.name} {place.name}", 1)


def _iso(time: float | None) -> str:
    if time is None:
        return ""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat().replace("+00:00", "Z")


@contextmanager
def _workbench() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Yield a connection and a folder for temporary tables, both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="catchment-") as name, connection(Path(name) / "spill") as con:
        yield con, Path(name)


def _observe(
    con: duckdb.DuckDBPyConnection,
    temporary: Path,
    named: Sequence[tuple[Path, str]],
    folder: Path,
    header: store.Header,
    progress: Progress,
) -> tuple[Reading, list[Rejected]]:
    files, unusable = sniff_files(named)
    # Where no service was named, the address tells which of the bundled ones it is.
    services = header.services or [bundled_service(name) for name in service_names()]
    progress(f"reading {len(files)} file{'s' if len(files) > 1 else ''} of results")

    def done(file: ResultFile) -> None:
        progress(f"read {file.name}")

    to = store.part_of(folder, store.OBSERVATIONS)
    return observe(con, files, services, to, temporary, window=header.cut, done=done), unusable


def _settle_targets(con: duckdb.DuckDBPyConnection, observations: Path, header: store.Header) -> store.Header:
    """Name the targets that were measured: the addresses of the services, or any, where no identity needs a service."""
    found = con.execute(
        f"""SELECT service, target, count(*), count(*) FILTER (WHERE identity IS NOT NULL)
        FROM read_parquet({quote(observations)}) WHERE target IS NOT NULL GROUP BY ALL ORDER BY 3 DESC, 2"""
    ).fetchall()
    ours = sorted((service, address) for service, address, _, _ in found if service is not None)
    if ours:
        known = {service.name: service for service in header.services}
        services = tuple(known.get(name) or bundled_service(name) for name in sorted({name for name, _ in ours}))
        targets = tuple(Target(service=service, address=address) for service, address in ours)
        return replace(header, services=services, targets=targets)
    most = ", ".join(f"{address} ({count} results)" for _, address, count, _ in found[:_MENTIONED])
    if header.services:
        name = header.services[0].name
        raise InvalidFile(
            f"no result is toward an address of '{name}', but toward {most}: add it to a copy of the service"
        )
    if any(identities for _, _, _, identities in found):
        raise InvalidFile(
            f"no bundled service has the address measured, {most}: describe yours with --service FILE.toml"
        )
    return replace(
        header, targets=tuple(sorted((Target(service=None, address=row[1]) for row in found), key=lambda t: t.address))
    )


def _judge(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    vantage_points: Path,
    header: store.Header,
    reading: Reading,
    unusable: list[Rejected],
    progress: Progress,
) -> None:
    """Write the tiers above the observations that lie in `folder`."""
    progress("judging which site each vantage point reaches")
    _tables(con, parts(folder / store.OBSERVATIONS), vantage_points)
    window = _bounded(con, header.cut)
    assign(con, header.services, header.targets, [window])
    to = store.part_of(folder, store.ASSIGNMENTS)
    con.execute(f"COPY assignments TO {quote(to)} (FORMAT parquet, COMPRESSION zstd)")
    progress("measuring")
    numbers = measure(con, header.services, header.targets, window)
    store.write_rejected(folder, [asdict(entry) for entry in (*unusable, *reading.named)])
    store.write_metrics(folder, {**numbers, "input": _input(reading, unusable)})


def _input(reading: Reading, unusable: list[Rejected]) -> dict[str, Any]:
    return {
        "records": reading.records,
        "rejected": reading.rejected,
        "unusable_files": len(unusable),
        "duplicates": reading.duplicates,
        "other_types": reading.other_types,
        "outside_window": reading.outside_window,
        "off_target": reading.off_target,
        "observations": reading.observations,
    }


def _tables(con: duckdb.DuckDBPyConnection, observations: str, vantage_points: Path) -> None:
    con.execute(f"CREATE OR REPLACE TEMP VIEW observations AS SELECT * FROM {observations}")
    con.execute(f"CREATE OR REPLACE TEMP VIEW vantage_points AS SELECT * FROM {parts(vantage_points)}")


def _bounded(con: duckdb.DuckDBPyConnection, window: Window) -> Window:
    """Return a window bounded on both sides: where it is open, by the first and last second measured."""
    first, last = con.execute(
        "SELECT floor(min(measured_at)), floor(max(measured_at)) + 1 FROM observations"
    ).fetchall()[0]
    if first is None:
        raise UnknownName("no observation lies in the window: give one that overlaps the run")
    start = first if window.start is None else window.start
    end = last if window.end is None else window.end
    if end <= first or start >= last:
        raise UnknownName(f"no observation lies in the window: the run was measured {_iso(first)}..{_iso(last)}")
    return Window(start=float(start), end=float(end))


def _intersection(left: Window, right: Window) -> Window:
    starts = [start for start in (left.start, right.start) if start is not None]
    ends = [end for end in (left.end, right.end) if end is not None]
    return Window(start=max(starts, default=None), end=min(ends, default=None))


def _chosen(targets: Sequence[Target], af: int | None, address: str | None) -> list[Target]:
    chosen = [
        target for target in targets if af in (None, target.af) and address in (None, target.address, target.service)
    ]
    if not chosen:
        known = ", ".join(f"{target.address} ({target.service or 'no service'})" for target in targets[:10])
        raise UnknownName(f"the run has no such target; it has {known}")
    return chosen


def _warnings(
    reading: Reading, unusable: list[Rejected], header: store.Header, listed: Probes | None, lacking: int
) -> Iterator[str]:
    """Say what was left out, and where to look."""
    for entry in unusable[:_MENTIONED]:
        yield f"{entry.file}: set aside: {entry.reason}"
    if reading.rejected:
        first = reading.named[0]
        yield (
            f"{reading.rejected} of {reading.records} records are unusable and counted apart, the first in {first.file}"
            f" record {first.record}: {first.reason}; rejected.ndjson in the run names them"
        )
    if reading.duplicates:
        yield f"{reading.duplicates} results were there twice; one of each counts"
    if reading.off_target and header.services:
        names = ", ".join(service.name for service in header.services)
        yield f"{reading.off_target} results are toward addresses that are not of {names}; they count nowhere"
    if reading.outside_window:
        yield f"{reading.outside_window} results lie outside the window"
    for kind, count in reading.other_types.items():
        yield f"{count} results of type {kind} are kept, but nothing is made of them"
    if listed is not None and not listed.rows:
        yield "without --probes the vantage points have no place: no distances, no map"
    elif lacking:
        yield f"{lacking} vantage points are not in the probe list: they have no place, so no distance"
    if listed is not None and listed.unusable:
        yield f"{listed.unusable} entries of the probe list have no id"
