"""Import and derive: from raw files to a whole run."""

from __future__ import annotations

import datetime
import gzip
import shlex
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb

import catchment
from catchment import store
from catchment.assign import Asked, assign
from catchment.engine import parts, quote, quote_path
from catchment.errors import InvalidFile, InvalidRun, UnknownName
from catchment.importers import Probes, find_files, read_probes, sniff_files, write_vantage_points
from catchment.metrics import measure
from catchment.model import Service, Target, Window
from catchment.observe import Reading, Rejected, ResultFile, observe, sniff, write_nothing
from catchment.services import find_service, usable_services
from catchment.workflow.loading import bounded, view_tables, workbench

Progress = Callable[[str, float], None]
Say = Callable[[str], None]
"""Told in a few words what is being done now, and how much of the whole is done, from 0 to 1."""

_MENTIONED = 3
_MOST_TYPES = 10
_BLOCK = 1 << 20
_READ = 0.8  # reading takes most of the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import brought: the run, what became of its records, and what the user should know."""

    run: Path
    reading: Reading
    targets: tuple[Target, ...]
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a run holds besides results: who was asked about which target, and the names of routers."""

    asked: Sequence[Asked] = ()
    hop_names: Sequence[tuple[str, str]] = ()


def import_results(
    given: Sequence[Path],
    out: Path,
    *,
    service: str | None = None,
    probes: Path | None = None,
    cut: Window = Window(),
    progress: Progress = lambda *_: None,
) -> Imported:
    """Import files of results as a new run at `out`. Raises CatchmentError, and then leaves nothing behind."""
    named = find_files(given)
    services = [find_service(service)] if service is not None else []
    if probes is not None:
        sniff(probes)  # a name that leads nowhere is told at once; the rest is read while DuckDB reads the results
    with store.new_run(out) as folder, ThreadPoolExecutor(max_workers=1) as beside:
        raw = store.raw_folder(folder)
        raw.mkdir()
        # Copying first: it leaves the interpreter free, and what does not comes when DuckDB is reading.
        copies = [beside.submit(shutil.copyfile, path, raw / name) for path, name in named]
        listing = beside.submit(lambda: Probes() if probes is None else read_probes(probes))
        beside.submit(import_module, "pyproj")  # 0.2 s with NumPy
        header = store.Header(
            campaign=out.absolute().parent.name,
            platform="import",
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            catchment=catchment.__version__,
            services=tuple(services),
            targets=(),
            cut=cut,
        )
        with workbench() as (con, temporary):
            candidates, remarks = _candidates(header)
            reading, unusable = _observe(con, temporary, named, folder, header, candidates, progress)
            observations = store.part_of(folder, store.OBSERVATIONS)
            header = _settle_targets(con, observations, header, candidates)
            listed = listing.result()
            lacking = write_vantage_points(con, listed, observations, store.part_of(folder, store.VANTAGE_POINTS))
            store.write_header(folder, header)
            for copy in copies:
                copy.result()
            _judge(con, folder, folder / store.VANTAGE_POINTS, header, reading, unusable, progress)
    warnings = (*remarks, *_warnings(reading, unusable, header, listed, lacking))
    return Imported(run=out, reading=reading, targets=header.targets, warnings=warnings)


def derive(path: Path, *, service: str | None = None, progress: Progress = lambda *_: None) -> Imported:
    """Rebuild every table of a stored run from its raw results, with its own services or another version of one."""
    header = store.read_header(path)
    with store.locked(path):
        store.check_collected(path)
        if service is None:
            return rebuild(path, header, progress)
        other = find_service(service)
        known = [held.name for held in header.services]
        if known and other.name not in known:
            raise UnknownName(f"{path} did not measure '{other.name}' but {', '.join(known)}: name a version of that")
        kept = tuple(held for held in header.services if held.name != other.name)
        return rebuild(path, replace(header, services=(*kept, other)), progress, settle=True)


def rebuild(path: Path, header: store.Header, progress: Progress, *, settle: bool = False) -> Imported:
    """Rebuild every table of a run whose lock is held; if asked to settle, its targets follow from its services."""
    accepted = store.read_accepted(path)
    raw, unusable = store.raw_folder(path), list[Rejected]()
    if accepted is None:
        files = sorted(raw.iterdir())
    else:
        files = [file for file in (raw / name for name in store.result_files(accepted)) if _holds_something(file)]
    candidates, about_services = _candidates(header)
    with workbench() as (con, temporary), store.new_tiers(path) as folder:
        if accepted is not None and not files:
            header = replace(header, cut=accepted.window())  # nobody reported: that is a result too
            reading = write_nothing(con, store.part_of(folder, store.OBSERVATIONS))
        else:
            reading, unusable = _observe(con, temporary, find_files(files), folder, header, candidates, progress)
        if settle:
            header = _settle_targets(con, store.part_of(folder, store.OBSERVATIONS), header, candidates)
        asked = () if accepted is None else tuple(accepted.asked())
        beside = Beside(asked=asked, hop_names=store.read_hop_names(path))
        _judge(con, folder, path / store.VANTAGE_POINTS, header, reading, unusable, progress, beside)
        store.write_header(folder, header)
    remarks = () if accepted is None else accepted.remarks
    warnings = (*about_services, *remarks, *_warnings(reading, unusable, header, None, 0))
    return Imported(run=path, reading=reading, targets=header.targets, warnings=warnings)


def part_of_progress(progress: Progress, first: float, last: float) -> Progress:
    """Return a progress whose whole is a part of another's."""
    return lambda text, done: progress(text, first + (last - first) * done)


def _holds_something(file: Path) -> bool:
    """Tell whether a file of a measured run holds a result: a measurement that nobody answers has none.

    Raises InvalidRun where it is damaged: results would be missing, and nobody would know.
    """
    try:
        if file.stat().st_size == 0:  # nothing, compressed, takes 20 bytes
            raise EOFError("it is empty")
        with gzip.open(file) as stream:
            first = stream.read(1)
            while stream.read(_BLOCK):
                pass
    except (OSError, EOFError, zlib.error) as error:
        run = shlex.quote(str(file.parent.parent))
        raise InvalidRun(
            f"{file}: damaged ({error}): remove it, and `catchment resume {run}` fetches it again"
        ) from error
    return first != b""


def _candidates(header: store.Header) -> tuple[Sequence[Service], Sequence[str]]:
    """Return the services of which the addresses can be, with warnings: all that have a name, where none was named."""
    return (header.services, ()) if header.services else usable_services()


def _observe(
    con: duckdb.DuckDBPyConnection,
    temporary: Path,
    named: Sequence[tuple[Path, str]],
    folder: Path,
    header: store.Header,
    services: Sequence[Service],
    progress: Progress,
) -> tuple[Reading, list[Rejected]]:
    files, unusable = sniff_files(named)
    sizes = {file.name: file.path.stat().st_size for file in files}
    read = 0

    def done(file: ResultFile) -> None:
        nonlocal read
        read += sizes[file.name]
        progress(f"read {file.name}", _READ * read / max(1, sum(sizes.values())))

    progress(f"reading {len(files)} file{'s' if len(files) > 1 else ''} of results", 0)

    to = store.part_of(folder, store.OBSERVATIONS)
    return observe(con, files, services, to, temporary, window=header.cut, done=done), unusable


def _settle_targets(
    con: duckdb.DuckDBPyConnection, observations: Path, header: store.Header, candidates: Sequence[Service]
) -> store.Header:
    """Name the targets that were measured: the addresses of the services, or any, where no identity needs a service."""
    found = con.execute(
        f"""SELECT service, target, count(*), count(*) FILTER (WHERE identity IS NOT NULL)
        FROM read_parquet({quote_path(observations)}) WHERE target IS NOT NULL GROUP BY ALL ORDER BY 3 DESC, 2"""
    ).fetchall()
    ours = sorted((service, address) for service, address, _, _ in found if service is not None)
    if ours:
        names = {name for name, _ in ours}
        services = tuple(sorted((known for known in candidates if known.name in names), key=lambda known: known.name))
        targets = tuple(Target(service=service, address=address) for service, address in ours)
        return replace(header, services=services, targets=targets)
    if not found:
        raise InvalidFile("no result lies in the window, or none tells its target: widen --from and --to")
    most = ", ".join(f"{address} ({count} results)" for _, address, count, _ in found[:_MENTIONED])
    if header.services:
        name = header.services[0].name
        raise InvalidFile(
            f"no result is toward an address of '{name}', but toward {most}: add it to a copy of the service"
        )
    if any(identities for _, _, _, identities in found):
        raise InvalidFile(
            f"no service that has a name has the address measured, {most}: describe yours with --service FILE.toml"
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
    beside: Beside = Beside(),
) -> None:
    """Write the tiers above the observations that lie in `folder`."""
    progress("judging which site each vantage point reaches", _READ)
    view_tables(con, parts(folder / store.OBSERVATIONS), vantage_points)
    window = bounded(con, header.cut)
    services = assign(con, header.services, header.targets, [window], asked=beside.asked, hop_names=beside.hop_names)
    for tier in (store.ASSIGNMENTS, store.EVIDENCE):
        con.execute(f"COPY {tier} TO {quote(store.part_of(folder, tier))} (FORMAT parquet, COMPRESSION zstd)")
    progress("counting", 0.95)
    numbers = measure(con, services, header.targets, window)
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
    kinds = list(reading.other_types.items())
    for kind, count in kinds[:_MOST_TYPES]:
        yield f"{count} results of type {kind} are kept, but nothing is made of them"
    if more := kinds[_MOST_TYPES:]:
        yield f"{sum(count for _, count in more)} results of {len(more)} more types are kept likewise"
    if listed is not None and not listed.rows:
        yield "without --probes the vantage points have no place: no distances, no map"
    elif lacking:
        yield f"{lacking} vantage points are not in the probe list: they have no place, so no distance"
    if listed is not None and listed.unusable:
        yield f"{listed.unusable} entries of the probe list have no id"
