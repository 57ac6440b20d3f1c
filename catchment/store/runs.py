"""A stored run and its tables; how a run is built."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from catchment.campaign import PlatformName
from catchment.engine import parts
from catchment.errors import InvalidRun
from catchment.store.headers import HEADER, Header, read_header, sync, write_header, write_json
from catchment.store.measurements import Accepted, Stage, measurements_file, read_accepted, result_files

VANTAGE_POINTS, OBSERVATIONS, ASSIGNMENTS, EVIDENCE = "vantage_points", "observations", "assignments", "evidence"
_DERIVED = (OBSERVATIONS, ASSIGNMENTS, EVIDENCE)
METRICS = "metrics.json"
_REJECTED = "rejected.ndjson"
_PART = "part-0.parquet"
_OWN = frozenset({PlatformName.LOCAL, PlatformName.LAB})  # nobody else has what these brought
_DONE = frozenset({Stage.COLLECTED, Stage.NAMED})


@dataclass(frozen=True, kw_only=True)
class Run:
    """One stored run. Its tables are DuckDB relations on a connection of its own, made when first needed."""

    path: Path
    header: Header

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open the run in a folder. Raises InvalidRun where there is none, or it is not whole."""
        if not (path / HEADER).is_file():
            raise InvalidRun(f"{path}: not a run (no {HEADER}): `catchment runs` lists those stored")
        if not is_complete(path) or not all((path / tier).is_dir() for tier in _DERIVED):
            check_collected(path)
            raise InvalidRun(f"{path}: not complete: `catchment derive {shlex.quote(str(path))}` rebuilds its tables")
        return cls(path=path, header=read_header(path))

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return the connection on which the tables are."""
        return duckdb.connect()

    @property
    def vantage_points(self) -> duckdb.DuckDBPyRelation:
        """Return where the vantage points were in this run (schemas.VANTAGE_POINTS)."""
        return self._tier(VANTAGE_POINTS)

    @property
    def observations(self) -> duckdb.DuckDBPyRelation:
        """Return the facts: a row for each vantage point, target, kind and time (schemas.OBSERVATIONS)."""
        return self._tier(OBSERVATIONS)

    @property
    def assignments(self) -> duckdb.DuckDBPyRelation:
        """Return the judgements: a row for each vantage point, target and window (schemas.ASSIGNMENTS)."""
        return self._tier(ASSIGNMENTS)

    @property
    def evidence(self) -> duckdb.DuckDBPyRelation:
        """Return what other witnesses than identities said (schemas.EVIDENCE)."""
        return self._tier(EVIDENCE)

    @cached_property
    def accepted(self) -> Accepted | None:
        """Return what a platform accepted for the run; None where it was imported."""
        return read_accepted(self.path)

    @property
    def metrics(self) -> dict[str, Any]:
        """Return the numbers of the run, as `catchment show --json` prints them."""
        return read_metrics(self.path)

    def _tier(self, name: str) -> duckdb.DuckDBPyRelation:
        return self.connection.sql(f"SELECT * FROM {parts(self.path / name)}")


def is_collected(path: Path, accepted: Accepted | None) -> bool:
    """Tell whether all results of a measured run are there."""
    return accepted is not None and accepted.stage in _DONE and not _lacking(path, accepted)


def check_kept(path: Path, header: Header, accepted: Accepted | None) -> None:
    """Raise InvalidRun where what was measured is gone for good: only a platform's server could give it again."""
    gone: list[Path] = []
    if accepted is None and header.plan is not None and is_complete(path):
        gone = [measurements_file(path)]
    elif accepted is not None and accepted.stage in _DONE and header.plan is not None and header.plan.platform in _OWN:
        grows = header.plan.platform is PlatformName.LOCAL  # anew, where a look asks once more
        gone = [file for file in _lacking(path, accepted) if not (grows and file.with_suffix("").is_file())]
    if gone:
        raise InvalidRun(f"{gone[0]}: gone since it was measured: put it back, or measure anew")


def _lacking(path: Path, accepted: Accepted) -> list[Path]:
    return [file for name in result_files(accepted) if not (file := raw_folder(path) / name).is_file()]


def check_collected(path: Path) -> None:
    """Raise InvalidRun where not all results of a run are there: of a measured one they may still come."""
    header, accepted = read_header(path), read_accepted(path)
    for name, size in header.imported.items():
        file = raw_folder(path) / name
        if not file.is_file():
            raise InvalidRun(f"{file}: gone since it was imported: put it back, or import the run anew")
        if file.stat().st_size != size:
            raise InvalidRun(
                f"{file}: {file.stat().st_size} bytes, and {size} when it was imported: put the right one back, or "
                f"import the run anew"
            )
    if is_collected(path, accepted) or (header.plan is None and accepted is None):
        return
    if header.plan is None:
        raise InvalidRun(f"{path}: some of its results are gone from {raw_folder(path)}: merge the runs anew")
    check_kept(path, header, accepted)
    raise InvalidRun(f"{path}: not all results are here yet: {ways_on(path, accepted)}")


def ways_on(path: Path, accepted: Accepted | None) -> str:
    """Return what to do with a run that is not whole. Who removes its folder loses the measurements, and they go on."""
    quoted = shlex.quote(str(path))
    end = f"`catchment stop {quoted}` ends its measurements" if may_cost(path, accepted) else "or remove the folder"
    return f"`catchment resume {quoted}` goes on; {end}"


def may_cost(path: Path, accepted: Accepted | None) -> bool:
    """Tell whether measurements of a run may be under way, and cost; in a sandbox, time stands still meanwhile."""
    is_simulated = journal_file(path).exists()
    return accepted is not None and accepted.may_cost and not is_collected(path, accepted) and not is_simulated


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from working on a run. Raises InvalidRun where one does already."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidRun(f"{path}: another process is at work on it: wait until it is done, or end it") from error
        yield
    finally:
        os.close(descriptor)


def begin_run(path: Path, header: Header, topology: Path | None = None) -> list[Path]:
    """Begin a run that is measured: its folder, in its place from the start, because credits are spent for it.

    It keeps a copy of its topology file. Returns the folders made for it, innermost first. Without metrics.json it does
    not look whole. Raises InvalidRun where the place is taken.
    """
    made = [path, *(parent for parent in path.parents if not parent.exists())]
    with new_run(path) as folder:
        raw_folder(folder).mkdir()
        if topology is not None:
            shutil.copyfile(topology, topology_file(folder))
        write_header(folder, header)
    return made


def make_durable(path: Path) -> None:
    """Have all that a run holds by now on the disk, and its name in the folders above, when this returns."""
    for place in (*path.rglob("*"), path, *path.parents[:2]):
        sync(place)


def discard_run(made: Sequence[Path]) -> None:
    """Remove a run for which nothing was measured, by the folders that `begin_run` made, where others hold nothing."""
    shutil.rmtree(made[0])
    for parent in made[1:]:
        with suppress(OSError):
            parent.rmdir()


def is_complete(path: Path) -> bool:
    """Tell whether a folder holds a whole run."""
    return (path / METRICS).is_file()


@contextmanager
def new_run(path: Path) -> Iterator[Path]:
    """Yield a hidden folder in which to build the run; it takes its place at `path` when all went well.

    Raises InvalidRun where the place is taken. After an error nothing is left behind.
    """
    if path.exists():
        is_begun = (path / HEADER).is_file() and not is_complete(path)
        do = ways_on(path, read_accepted(path)) if is_begun else "choose another --out, or remove it"
        raise InvalidRun(f"{path}: exists already: {do}")
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.iterdir():
        match = re.fullmatch(rf"\.{re.escape(path.name)}\.(\d+)\.partial", stale.name)
        if match and not _is_alive(int(match[1])):  # of a process that was killed
            shutil.rmtree(stale, ignore_errors=True)
    building = path.parent / f".{path.name}.{os.getpid()}.partial"
    try:
        building.mkdir()
        yield building
        building.rename(path)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        for parent in made:  # after a failure, the folders made for the run are empty
            with suppress(OSError):
                parent.rmdir()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


@contextmanager
def new_tiers(run: Path) -> Iterator[Path]:
    """Yield a hidden folder in which to build the derived tiers anew; they replace the old ones when all went well."""
    for stale in run.glob(".*.partial"):  # of a process that was killed: whoever is here has the lock
        shutil.rmtree(stale, ignore_errors=True)
    building = run / f".{os.getpid()}.partial"
    try:
        for name in _DERIVED:
            (building / name).mkdir(parents=True)
        yield building
        # A run without metrics is not whole; should this be interrupted here, `derive` is what mends it.
        (run / METRICS).unlink(missing_ok=True)
        for name in _DERIVED:
            shutil.rmtree(run / name, ignore_errors=True)
            (building / name).rename(run / name)
        for name in (_REJECTED, HEADER, METRICS):
            (building / name).replace(run / name)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def part_of(folder: Path, tier: str) -> Path:
    """Return the file of a tier's only part, and make its folder."""
    (folder / tier).mkdir(exist_ok=True)
    return folder / tier / _PART


def raw_folder(run: Path) -> Path:
    """Return the folder of tier 0."""
    return run / "raw"


def truth_file(run: Path) -> Path:
    """Return the file in which a sandbox says what really happened."""
    return run / "truth.ndjson"


def journal_file(run: Path) -> Path:
    """Return the file in which a run's sandbox keeps what it accepted, so that it can be gone on with."""
    return run / "sandbox.ndjson"


def topology_file(run: Path) -> Path:
    """Return the file that holds a run's own copy of its topology, if the campaign named one."""
    return run / "topology.toml"


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Write the numbers of a run: the last file, which makes it complete."""
    write_json(folder / METRICS, metrics)


def write_rejected(folder: Path, rejected: list[dict[str, Any]]) -> None:
    """Write the records that nobody could read, one JSON object a line."""
    lines = "".join(json.dumps(entry) + "\n" for entry in rejected)
    (folder / _REJECTED).write_text(lines, encoding="utf-8")


def read_metrics(path: Path) -> dict[str, Any]:
    """Read the numbers of a run. Raises InvalidRun where they are damaged."""
    try:
        found = json.loads((path / METRICS).read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise InvalidRun(f"{path / METRICS}: damaged ({error}): `catchment derive {path}` rebuilds it") from error
    return found
