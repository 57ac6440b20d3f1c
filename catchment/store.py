"""The files of a run: the only module that knows them.

    results/<campaign>/<run>/
      campaign.json       what was measured: services, targets, files, resolved and frozen
      raw/                tier 0, byte for byte as it came
      rejected.ndjson     records that nobody could read, named
      vantage_points/  observations/  assignments/     Parquet parts
      metrics.json        written last: a run that has it is complete

A run is built in a hidden folder beside its place and renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from catchment.campaign import service_from, service_table
from catchment.engine import parts
from catchment.errors import InvalidRun, UnknownName
from catchment.model import Service, Target, Window

FORMAT = 1
VANTAGE_POINTS, OBSERVATIONS, ASSIGNMENTS = "vantage_points", "observations", "assignments"
_PART = "part-0.parquet"
_METRICS, _HEADER, _REJECTED = "metrics.json", "campaign.json", "rejected.ndjson"
_DEFAULT_ROOT = "results"
_FIRST_YEAR, _LAST_YEAR = 1970, 9998


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a run set out to measure, resolved and frozen: the content of campaign.json."""

    campaign: str
    platform: str
    created: str
    catchment: str
    services: tuple[Service, ...]
    targets: tuple[Target, ...]
    cut: Window = field(default=Window())


@dataclass(frozen=True, kw_only=True)
class Run:
    """One stored run. Its tables are DuckDB relations on a connection of its own, made when first needed."""

    path: Path
    header: Header

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open the run in a folder. Raises InvalidRun where there is none, or it is not whole."""
        if not (path / _HEADER).is_file():
            raise InvalidRun(f"{path}: not a run (no {_HEADER}): `catchment runs` lists those stored")
        if not is_complete(path) or not all((path / tier).is_dir() for tier in (OBSERVATIONS, ASSIGNMENTS)):
            raise InvalidRun(f"{path}: not complete: `catchment derive {path}` rebuilds its tables")
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
    def metrics(self) -> dict[str, Any]:
        """Return the numbers of the run, as `catchment show --json` prints them."""
        return _read_metrics(self.path)

    def _tier(self, name: str) -> duckdb.DuckDBPyRelation:
        return self.connection.sql(f"SELECT * FROM {parts(self.path / name)}")


def is_complete(path: Path) -> bool:
    """Tell whether a folder holds a whole run."""
    return (path / _METRICS).is_file()


def read_header(path: Path) -> Header:
    """Read what a run set out to measure. Raises InvalidRun where it was damaged or made by a later version."""
    file = path / _HEADER
    if not file.is_file():
        raise InvalidRun(f"{path}: not a run (no {_HEADER}): `catchment runs` lists those stored")
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        if table["format"] != FORMAT:
            raise InvalidRun(
                f"{path}: stored in format {table['format']}; this version reads {FORMAT}: update catchment"
            )
        return Header(
            campaign=table["campaign"],
            platform=table["platform"],
            created=table["created"],
            catchment=table["catchment"],
            services=tuple(service_from(service, file) for service in table["services"]),
            targets=tuple(Target(**target) for target in table["targets"]),
            cut=Window(**table["cut"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidRun(f"{file}: damaged ({error}): import or measure the run anew") from error


def write_header(path: Path, header: Header) -> None:
    """Write what a run set out to measure."""
    table = {
        "format": FORMAT,
        "campaign": header.campaign,
        "platform": header.platform,
        "created": header.created,
        "catchment": header.catchment,
        "targets": [asdict(target) for target in header.targets],
        "cut": asdict(header.cut),
        "services": [service_table(service) for service in header.services],
    }
    write_json(path / _HEADER, table)


def write_json(file: Path, table: Any) -> None:
    """Write JSON that diffs well, by a temporary name."""
    temporary = file.with_name(f".{file.name}.partial")
    temporary.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(file)


@contextmanager
def new_run(path: Path) -> Iterator[Path]:
    """Yield a hidden folder in which to build the run; it takes its place at `path` when all went well.

    Raises InvalidRun where the place is taken. After an error nothing is left behind.
    """
    if path.exists():
        raise InvalidRun(f"{path}: exists already: choose another --out, or remove it")
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
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


@contextmanager
def new_tiers(run: Path) -> Iterator[Path]:
    """Yield a hidden folder in which to build the derived tiers anew; they replace the old ones when all went well."""
    building = run / f".{os.getpid()}.partial"
    try:
        for name in (OBSERVATIONS, ASSIGNMENTS):
            (building / name).mkdir(parents=True)
        yield building
        # A run without metrics is not whole; should this be interrupted here, `derive` is what mends it.
        (run / _METRICS).unlink(missing_ok=True)
        for name in (OBSERVATIONS, ASSIGNMENTS):
            shutil.rmtree(run / name, ignore_errors=True)
            (building / name).rename(run / name)
        for name in (_REJECTED, _HEADER, _METRICS):
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


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Write the numbers of a run: the last file, which makes it complete."""
    write_json(folder / _METRICS, metrics)


def write_rejected(folder: Path, rejected: list[dict[str, Any]]) -> None:
    """Write the records that nobody could read, one JSON object a line."""
    lines = "".join(json.dumps(entry) + "\n" for entry in rejected)
    (folder / _REJECTED).write_text(lines, encoding="utf-8")


def results_root(given: Path | None) -> Path:
    """Return the folder of stored runs: as given, or CATCHMENT_RESULTS, or ./results."""
    return given or Path(os.environ.get("CATCHMENT_RESULTS") or _DEFAULT_ROOT)


def stored_runs(root: Path, campaign: str | None = None) -> list[Path]:
    """Return the complete runs below the root, each campaign's in the order in which they were measured."""
    folders = [file.parent for file in root.glob(f"{campaign or '*'}/*/{_METRICS}")]
    whole = [folder for folder in folders if not folder.name.startswith(".")]  # hidden ones are still being built
    return sorted(whole, key=lambda path: (path.parent.name, _measured_until(path), path.name))


def _measured_until(path: Path) -> str:
    try:
        return str(_read_metrics(path).get("to"))
    except InvalidRun:
        return ""  # listed first; opening it says what is wrong


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        found = json.loads((path / _METRICS).read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise InvalidRun(f"{path / _METRICS}: damaged ({error}): `catchment derive {path}` rebuilds it") from error
    return found


def find_run(name: str, root: Path, start: str | None = None, end: str | None = None) -> tuple[Run, Window]:
    """Open a run by its path or name, cut to the window in brackets behind it or between two times.

    Raises UnknownName and InvalidRun.
    """
    text, window = split_window(name)
    if start is not None or end is not None:
        if window != Window():
            raise UnknownName(f"'{name}' has a window already: give it in brackets, or by --from and --to")
        window = window_between(start, end)
    return Run.open(find_folder(text, root)), window


def find_folder(text: str, root: Path) -> Path:
    """Return the folder of a run: a path (it has a slash, or is a run) or a name below the root.

    A name is `campaign` (its latest run), `campaign~1` (the one before), or `campaign@run`. Raises UnknownName.
    """
    path = Path(text)
    if "/" in text or (path / _HEADER).exists():
        return path
    campaign, _, run = text.partition("@")
    if run:
        return root / campaign / run
    campaign, _, back = text.partition("~")
    runs = stored_runs(root, campaign) if re.fullmatch(r"[^/*?\[]+", campaign) else []
    if not runs:
        raise UnknownName(f"there is no run or campaign '{text}' in {root}: `catchment runs` lists those stored")
    if (back and not back.isdigit()) or int(back or 0) >= len(runs):
        raise UnknownName(f"campaign '{campaign}' has {len(runs)} runs, so '{text}' names none")
    return runs[-1 - int(back or 0)]


def split_window(name: str) -> tuple[str, Window]:
    """Split `RUN[FROM..TO]` into the run and the window; without brackets the window is open."""
    match = re.fullmatch(r"(?P<run>.+?)\[(?P<start>[^\]\[]*)\.\.(?P<end>[^\]\[]*)\]", name)
    if match is None:
        return name, Window()
    return match["run"], window_between(match["start"] or None, match["end"] or None)


def window_between(start: str | None, end: str | None) -> Window:
    """Return the window between two times as a user writes them; a time alone is on the day of the start."""
    first = None if start is None else parse_time(start, None)
    last = None if end is None else parse_time(end, first)
    if first is not None and last is not None and last <= first:
        raise UnknownName(f"the window {start}..{end} ends before it starts: give FROM..TO")
    return Window(start=None if first is None else first.timestamp(), end=None if last is None else last.timestamp())


def parse_time(text: str, day_of: datetime | None) -> datetime:
    """Read a time: ISO 8601 (UTC unless it says else), seconds since 1970, or a time of day."""
    try:
        if re.fullmatch(r"\d{9,}(\.\d+)?", text):
            found = datetime.fromtimestamp(float(text), UTC)
        elif day_of is not None and re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?Z?", text):
            time = datetime.fromisoformat(f"{day_of.date()}T{text.rstrip('Z').zfill(5)}").replace(tzinfo=UTC)
            found = time if time > day_of else time + timedelta(days=1)
        else:
            found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
        if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
            raise ValueError(f"year {found.year}")
    except (ValueError, OverflowError, OSError) as error:
        raise UnknownName(f"'{text}' is not a time: write it like 2026-11-21T19:00Z") from error
    return found
