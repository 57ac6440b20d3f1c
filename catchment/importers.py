"""Files somebody else measured: RIPE Atlas results, and the probe lists that say where the vantage points were."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from catchment.engine import quote
from catchment.errors import InvalidFile
from catchment.observe import Rejected, ResultFile, sniff
from catchment.observe.reading import open_bytes
from catchment.schemas import VANTAGE_POINTS, declared, selected


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """A probe list as rows of schemas.VANTAGE_POINTS; `unusable` counts entries without an id."""

    rows: tuple[tuple[object, ...], ...] = ()
    unusable: int = 0


def find_files(given: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return each file given, folders searched through, with the name that it shall have in tier 0.

    Raises InvalidFile where a name leads nowhere.
    """
    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
            if not found:
                raise InvalidFile(f"{path}: an empty folder: name a file of results")
            paths += found
        elif path.exists():
            paths.append(path)
        else:
            raise InvalidFile(f"{path}: no such file: name a file of results")
    seen: Counter[str] = Counter()
    named = []
    for path in paths:
        seen[path.name] += 1
        named.append((path, path.name if seen[path.name] == 1 else f"{seen[path.name]}-{path.name}"))
    return named


def sniff_files(named: Sequence[tuple[Path, str]]) -> tuple[list[ResultFile], list[Rejected]]:
    """Tell what each file is; unusable ones are set aside if others remain. Raises InvalidFile where none does."""
    files: list[ResultFile] = []
    unusable: list[Rejected] = []
    for path, name in sorted(named, key=lambda pair: pair[1]):
        try:
            files.append(sniff(path, name))
        except InvalidFile as error:
            if len(named) == 1:
                raise
            unusable.append(Rejected(file=name, record=0, reason=str(error).removeprefix(f"{path}: "), excerpt=""))
    if not files:
        raise InvalidFile(f"none of the {len(named)} files holds results; {unusable[0].file}: {unusable[0].reason}")
    return files, unusable


def read_probes(path: Path) -> Probes:
    """Read a probe list: the archive's shape (flat), the API's (geometry), an array, or one object a line.

    Raises InvalidFile where it is none of them.
    """
    file = sniff(path)
    with open_bytes(path, file.compression) as stream:
        text = stream.read().decode("utf-8", errors="replace")
    rows: dict[int, tuple[object, ...]] = {}
    unusable = 0
    for entry in _entries(text, path):
        row = _probe_row(entry)
        if row is None:
            unusable += 1
        else:
            rows[entry["id"]] = row
    if not rows:
        raise InvalidFile(
            f"{path}: no probe in it has an id: name a probe list of RIPE Atlas (its archive, or the API's)"
        )
    return Probes(rows=tuple(rows.values()), unusable=unusable)


def _entries(text: str, path: Path) -> Iterator[Any]:
    try:
        found = json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            yield from [json.loads(line) for line in lines]
        except ValueError as error:
            raise InvalidFile(f"{path}: not a probe list in JSON ({error}): fetch it again") from error
        return
    if isinstance(found, dict):
        found = found.get("objects", found.get("results", [found]))
    yield from found if isinstance(found, list) else [found]


def _probe_row(entry: Any) -> tuple[object, ...] | None:
    """Return one probe as a row of schemas.VANTAGE_POINTS; None where it has no id."""
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
        return None
    latitude, longitude = entry.get("latitude"), entry.get("longitude")
    geometry = entry.get("geometry")
    if latitude is None and isinstance(geometry, dict) and isinstance(geometry.get("coordinates"), list):
        longitude, latitude = (*geometry["coordinates"], None, None)[:2]  # GeoJSON says longitude first
    if not _is_place(latitude, longitude):
        latitude = longitude = None
    tags = [tag.get("slug") if isinstance(tag, dict) else tag for tag in entry.get("tags") or []]
    return (
        f"atlas:{entry['id']}", latitude, longitude, entry.get("country_code") or None, entry.get("asn_v4"),
        entry.get("asn_v6"), [str(tag) for tag in tags if tag], bool(entry.get("is_anchor", False)),
    )  # fmt: skip


def _is_place(latitude: object, longitude: object) -> bool:
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return False
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def write_vantage_points(con: duckdb.DuckDBPyConnection, probes: Probes, observations: Path, to: Path) -> int:
    """Write where the vantage points of these observations were; return how many the probe list lacks."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE listed ({declared(VANTAGE_POINTS)})")
    if probes.rows:
        columns = [list(column) for column in zip(*probes.rows, strict=True)]
        con.execute(f"INSERT INTO listed SELECT {', '.join('unnest(?)' for _ in columns)}", columns)
    con.execute(
        f"""COPY (SELECT {selected(VANTAGE_POINTS)}
            FROM (SELECT DISTINCT vantage FROM read_parquet({quote(observations)})) LEFT JOIN listed USING (vantage)
            ORDER BY vantage)
        TO {quote(to)} (FORMAT parquet, COMPRESSION zstd)"""
    )
    found = con.execute(
        f"""SELECT count(*) FROM read_parquet({quote(to)}) AS v ANTI JOIN listed USING (vantage)"""
    ).fetchall()
    return int(found[0][0])
