"""Several runs as one: what they know together. Their results stay byte for byte as they are."""

from __future__ import annotations

import filecmp
import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import duckdb

from catchment import store
from catchment.campaign import digest
from catchment.engine import parts
from catchment.errors import InvalidFile, InvalidRun, UnknownName
from catchment.importers import free_name
from catchment.model import Service, Target, Window
from catchment.store import Accepted, Measurement, Run, Stage
from catchment.workflow.topologies import check_labs, lab_topology

_IMPORT = "import"
_MENTIONED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What several runs know together, of which the oldest is first; of none it is nothing.

    `topology` is that of the labs among them, as the latest has it. `files` are their raw files, each with its name in
    the run that comes of it, and the run that it is from.
    """

    runs: tuple[Run, ...] = ()
    services: tuple[Service, ...] = ()
    targets: tuple[Target, ...] = ()
    cut: Window = Window()
    change: Window | None = None
    topology: Path | None = None
    files: Mapping[str, tuple[Path, Run]] = field(default_factory=dict)
    accepted: Accepted | None = None
    warnings: tuple[str, ...] = ()

    def platform(self, *, with_files: bool) -> str:
        """Return where the results come from; `with_files` others than those of the runs are among them."""
        found = {name for run in self.runs for name in run.header.platforms}
        return store.AND.join(sorted(found | ({_IMPORT} if with_files else set())))

    @property
    def points(self) -> tuple[Path, ...]:
        """Return the folders that say where the vantage points were, those of the latest run first."""
        return tuple(run.path / store.VANTAGE_POINTS for run in reversed(self.runs))


def find_given(given: Sequence[Path], root: Path | None) -> tuple[list[Path], list[Path]]:
    """Tell apart what is to be imported: the folders of runs, and files or folders of results.

    What is no file may be the name of a run below `root`. Raises CatchmentError where it is neither.
    """
    runs: dict[Path, Path] = {}
    files: list[Path] = []
    for path in given:
        text = str(path)
        if (path / store.HEADER).is_file():
            runs.setdefault(path.resolve(), path)
        elif path.exists():
            files.append(path)
        elif re.fullmatch(r".+\[[^\[\]]*\]", text):
            raise InvalidFile(f"{text}: a run is merged whole: leave the window out, and cut with --from and --to")
        elif "/" in text or root is None:
            files.append(path)
        else:
            try:
                found = store.find_folder(text, root)
            except UnknownName as error:
                raise UnknownName(f"{text}: no such file, and {error}") from error
            runs.setdefault(found.resolve(), found)
    return list(runs.values()), files


def merge(folders: Sequence[Path], out: Path, other: Service | None = None) -> Merged:
    """Put together what the runs in some folders know, for a run at `out`; `other` goes before their version of it.

    Raises InvalidRun where one is not whole, where a name or an address means one thing here and another there.
    """
    runs = sorted((Run.open(folder) for folder in folders), key=lambda run: (run.header.created, run.path.resolve()))
    if not runs:
        return Merged(services=() if other is None else (other,))
    for run in runs:
        store.check_collected(run.path)
    check_labs(runs)
    services, warnings = _services(runs, out, other)
    files, names = _files(runs)
    cut = _hull([run.header.cut for run in runs])
    return Merged(
        runs=tuple(runs),
        services=services,
        targets=_targets(runs, services),
        cut=cut,
        change=_change([run.header.moving() for run in runs]),
        topology=lab_topology(runs),
        files=files,
        accepted=_accepted(runs, names),
        warnings=(*warnings, *_cut_before(runs, cut)),
    )


def say_moved(con: duckdb.DuckDBPyConnection, merged: Merged) -> list[str]:
    """Say which vantage points the runs have at different places."""
    if not merged.points:
        return []
    tables = " UNION ALL ".join(f"SELECT vantage, latitude, longitude FROM {parts(folder)}" for folder in merged.points)
    found = con.execute(
        f"""SELECT vantage FROM ({tables}) WHERE latitude IS NOT NULL
        GROUP BY vantage HAVING count(DISTINCT (latitude, longitude)) > 1 ORDER BY length(vantage), vantage"""
    ).fetchall()
    if not found:
        return []
    some = ", ".join(vantage for (vantage,) in found[:_MENTIONED]) + (", …" if len(found) > _MENTIONED else "")
    what = "vantage point is" if len(found) == 1 else "vantage points are"
    return [f"{len(found)} {what} at different places in the runs ({some}); those of the later run count"]


def _services(runs: Sequence[Run], out: Path, other: Service | None) -> tuple[tuple[Service, ...], list[str]]:
    """Return the services of all runs, of several versions the latest run's, and say where there are several.

    `other` stands in for its other versions, and owns its addresses, also where they went by another name. Raises
    InvalidRun where two services have one address: nobody could say whose results those are.
    """
    latest: dict[str, tuple[Service, Run]] = {}
    versions: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for service in run.header.services:
            latest[service.name] = service, run
            versions[service.name].add(digest(service))
    warnings = []
    if other is not None:
        latest.pop(other.name, None)
        for name, (service, run) in list(latest.items()):
            if shared := _shared(service, other):
                warnings.append(f"{other.name} has {', '.join(shared)} now, and {name} not any more")
                rest = tuple(entry for entry in service.addresses if entry.address not in shared)
                latest[name] = replace(service, addresses=rest), run
    for (one, here), (two, there) in combinations((latest[name] for name in sorted(latest)), 2):
        if shared := _shared(one, two):
            raise InvalidRun(
                f"{shared[0]} is {one.name} in {here.path} and {two.name} in {there.path}: choose one with --service "
                "FILE, or merge runs of one of them"
            )
    warnings += [
        f"the runs hold different versions of {name}; that of {run.path}, the latest, counts: "
        f"`catchment derive {shlex.quote(str(out))} --service FILE` judges by another"
        for name, (_, run) in sorted(latest.items())
        if len(versions[name]) > 1
    ]
    chosen = [service for service, _ in latest.values() if service.addresses] + ([] if other is None else [other])
    return tuple(sorted(chosen, key=lambda service: service.name)), warnings


def _shared(one: Service, two: Service) -> list[str]:
    """Return the addresses that two services have in common."""
    return sorted({entry.address for entry in one.addresses} & {entry.address for entry in two.addresses})


def _targets(runs: Sequence[Run], services: Sequence[Service]) -> tuple[Target, ...]:
    """Return the targets of all runs, each of the service that has its address; one that has none any more is gone."""
    owners = {entry.address: service.name for service in services for entry in service.addresses}
    every = dict.fromkeys(target for run in runs for target in run.header.targets)
    owned = (replace(target, service=owners.get(target.address)) for target in every)
    return tuple(dict.fromkeys(new for new, old in zip(owned, every, strict=True) if new.service or not old.service))


def _files(runs: Sequence[Run]) -> tuple[dict[str, tuple[Path, Run]], dict[Path, str]]:
    """Return the raw files of all runs by their new names, and the new name of each; equal files are one."""
    files: dict[str, tuple[Path, Run]] = {}
    names: dict[Path, str] = {}
    of_size: dict[int, list[str]] = defaultdict(list)
    for run in runs:
        for path in _raw_files(run):
            size = path.stat().st_size
            same = (name for name in of_size[size] if filecmp.cmp(files[name][0], path, shallow=False))
            name = next(same, None)
            if name is None:
                name = free_name(path.name, files)
                files[name] = path, run
                of_size[size].append(name)
            names[path] = name
    return files, names


def _raw_files(run: Run) -> list[Path]:
    """Return the files that count in a run: what its measurements brought, or whatever was imported."""
    raw = store.raw_folder(run.path)
    if run.header.plan is not None and run.accepted is not None:
        return [raw / name for name in dict.fromkeys(store.result_files(run.accepted))]
    try:
        return sorted(file for file in raw.iterdir() if not file.name.startswith("."))
    except OSError as error:
        raise InvalidRun(f"{raw}: {error.strerror}: import the run anew") from error


def _accepted(runs: Sequence[Run], names: Mapping[Path, str]) -> Accepted | None:
    """Return the measurements of all runs, with the new names of their files; None where all were imported."""
    held = [(run, run.accepted) for run in runs if run.accepted is not None]
    measurements = dict.fromkeys(
        _renamed(measurement, store.raw_folder(run.path), names)
        for run, accepted in held
        for measurement in accepted.measurements
    )
    if not measurements:
        return None
    remarks = dict.fromkeys(remark for _, accepted in held for remark in accepted.remarks)
    return Accepted(tag="", stage=Stage.COLLECTED, measurements=tuple(measurements), remarks=tuple(remarks))


def _renamed(measurement: Measurement, raw: Path, names: Mapping[Path, str]) -> Measurement:
    alone = Accepted(tag="", stage=Stage.COLLECTED, measurements=(measurement,))
    return replace(measurement, files=tuple(names[raw / name] for name in store.result_files(alone)))


def _hull(windows: Sequence[Window]) -> Window:
    """Return the least window that holds all."""
    starts = [window.start for window in windows if window.start is not None]
    ends = [window.end for window in windows if window.end is not None]
    return Window(
        start=min(starts) if len(starts) == len(windows) else None,
        end=max(ends) if len(ends) == len(windows) else None,
    )


def _change(moving: Sequence[Window | None]) -> Window | None:
    """Return the change that all runs were planned around, until routes had settled in the slowest; else None."""
    known = [window for window in moving if window is not None]
    if len(known) < len(moving) or len({window.start for window in known}) > 1:
        return None
    return max(known, key=lambda window: window.end or 0.0)


def _cut_before(runs: Sequence[Run], cut: Window) -> list[str]:
    """Say which imports were cut to a window that is not the new run's: of their files more counts now."""
    return [
        f"{run.path} was cut to a window, and the merged run is not cut so; --from and --to cut it"
        for run in runs
        if run.accepted is None and run.header.cut != cut
    ]
