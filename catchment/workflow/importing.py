"""Import and derive: from raw files, and from other runs, to a whole run."""

from __future__ import annotations

import datetime
import shlex
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path

import duckdb

import catchment
from catchment import store
from catchment.assign import assign
from catchment.campaign import PlatformName
from catchment.engine import parts, quote
from catchment.errors import InvalidFile, InvalidRun, UnknownName
from catchment.importers import Probes, find_files, read_probes, sniff_files, write_vantage_points
from catchment.metrics import measure
from catchment.model import Service, Target, Window
from catchment.observe import Reading, Rejected, ResultFile, is_blank, observe, sniff, write_nothing
from catchment.services import find_service
from catchment.workflow.leftovers import count_input, say_left_out, say_placeless
from catchment.workflow.loading import bounded, intersection, view_tables, workbench
from catchment.workflow.merging import find_given, merge, say_moved
from catchment.workflow.settling import candidates, settle_targets
from catchment.workflow.twins import say_twins

Progress = Callable[[str, float], None]
Say = Callable[[str], None]
"""Told in a few words what is being done now, and how much of the whole is done, from 0 to 1."""

_FETCHED_FROM_ELSEWHERE = (PlatformName.ATLAS, PlatformName.SANDBOX)
_READ = 0.8  # reading takes most of the time


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
    root: Path | None = None,
    service: str | None = None,
    probes: Path | None = None,
    cut: Window = Window(),
    progress: Progress = lambda *_: None,
) -> Imported:
    """Import files of results and whole runs as one new run at `out`; below `root` are runs that are given by name.

    What the runs know besides goes into the new one: where vantage points were, whom they asked, the names of routers.
    Raises CatchmentError, and then leaves nothing behind.
    """
    folders, paths = find_given(given, root)
    other = None if service is None else find_service(service)
    merged = merge(folders, out, other)
    along = find_files(paths, merged.files)
    named = [*((path, name) for name, (path, _) in merged.files.items()), *along]
    silent = {
        name for name, (path, run) in merged.files.items() if _is_silent(path, run.path, run.header, run.accepted)
    }
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
            platform=merged.platform(with_files=bool(along)),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            catchment=catchment.__version__,
            services=merged.services,
            targets=merged.targets,
            cut=intersection(merged.cut, cut),
            change=merged.change,
        )
        with workbench() as (con, temporary):
            services, remarks = candidates(header)
            speaking = [(path, name) for path, name in named if name not in silent]
            header, reading, unusable = _read(
                con, temporary, speaking, folder, header, merged.accepted, services, progress
            )
            observations = store.part_of(folder, store.OBSERVATIONS)
            header = settle_targets(con, observations, header, services, other)
            listed = listing.result()
            points = store.part_of(folder, store.VANTAGE_POINTS)
            lacking = write_vantage_points(con, listed, observations, points, merged.points)
            remarks = (*remarks, *merged.warnings, *say_moved(con, merged), *say_twins(con, merged))
            for copy in copies:
                copy.result()
            header = replace(header, imported={name: (raw / name).stat().st_size for _, name in named})
            store.write_header(folder, header)
            store.unite_hop_names((run.path for run in merged.runs), folder)
            if merged.accepted is not None:
                store.write_accepted(folder, merged.accepted)
            if merged.topology is not None:
                shutil.copyfile(merged.topology, store.topology_file(folder))
            _judge(con, folder, folder, header, reading, unusable, progress)
    warnings = (*remarks, *say_left_out(reading, unusable, header))
    warnings += tuple(say_placeless(listed, lacking, is_merged=bool(merged.runs)))
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
    raw = store.raw_folder(path)
    if header.plan is None or accepted is None:
        files = sorted(raw.iterdir())
    else:
        files = [raw / name for name in dict.fromkeys(store.result_files(accepted))]
    files = [file for file in files if not _is_silent(file, path, header, accepted)]
    services, about_services = candidates(header)
    with workbench() as (con, temporary), store.new_tiers(path) as folder:
        named = find_files(files)
        header, reading, unusable = _read(con, temporary, named, folder, header, accepted, services, progress)
        if settle:
            observations = store.part_of(folder, store.OBSERVATIONS)
            header = settle_targets(con, observations, replace(header, targets=()), services)
        _judge(con, folder, path, header, reading, unusable, progress)
        store.write_header(folder, header)
    remarks = () if accepted is None else accepted.remarks
    warnings = (*about_services, *remarks, *say_left_out(reading, unusable, header))
    return Imported(run=path, reading=reading, targets=header.targets, warnings=warnings)


def part_of_progress(progress: Progress, first: float, last: float) -> Progress:
    """Return a progress whose whole is a part of another's."""
    return lambda text, done: progress(text, first + (last - first) * done)


def _is_silent(file: Path, run: Path, header: store.Header, accepted: store.Accepted | None) -> bool:
    """Tell whether a file of a run is of a measurement in which nobody reported; what was imported holds something.

    Raises InvalidRun where it is damaged: results would be missing, and nobody would know.
    """
    if accepted is None or file.name not in store.result_files(accepted):
        return False
    try:
        return is_blank(file)
    except InvalidFile as error:
        if header.plan is None:
            do = "import the run anew"
        elif header.plan.platform in _FETCHED_FROM_ELSEWHERE:
            do = f"remove it, and `catchment resume {shlex.quote(str(run))}` fetches it again"
        else:
            do = "measure the run anew"
        raise InvalidRun(f"{error}: {do}") from error


def _read(
    con: duckdb.DuckDBPyConnection,
    temporary: Path,
    named: Sequence[tuple[Path, str]],
    folder: Path,
    header: store.Header,
    accepted: store.Accepted | None,
    services: Sequence[Service],
    progress: Progress,
) -> tuple[store.Header, Reading, list[Rejected]]:
    """Write the observations; return the header too, whose window is the time measured in where nobody reported."""
    if accepted is not None and not named:
        nothing = write_nothing(con, store.part_of(folder, store.OBSERVATIONS))
        return replace(header, cut=accepted.window()), nothing, []  # that is a result too
    reading, unusable = _observe(con, temporary, named, folder, header, services, progress)
    return header, reading, unusable


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


def _judge(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    run: Path,
    header: store.Header,
    reading: Reading,
    unusable: list[Rejected],
    progress: Progress,
) -> None:
    """Write the tiers above the observations that lie in `folder`, with what the run holds besides results."""
    progress("judging which site each vantage point reaches", _READ)
    view_tables(con, parts(folder / store.OBSERVATIONS), run / store.VANTAGE_POINTS)
    window = bounded(con, header.cut)
    accepted, hop_names = store.read_accepted(run), store.read_hop_names(run)
    asked = () if accepted is None else tuple(accepted.asked())
    services = assign(con, header.services, header.targets, [window], asked=asked, hop_names=hop_names)
    for tier in (store.ASSIGNMENTS, store.EVIDENCE):
        con.execute(f"COPY {tier} TO {quote(store.part_of(folder, tier))} (FORMAT parquet, COMPRESSION zstd)")
    progress("counting", 0.95)
    numbers = measure(con, services, header.targets, window)
    store.write_rejected(folder, [asdict(entry) for entry in (*unusable, *reading.named)])
    store.write_metrics(folder, {**numbers, "input": count_input(reading, unusable)})
