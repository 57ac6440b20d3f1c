"""Files somebody else measured: RIPE Atlas results, and the probe lists that say where the vantage points were."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import duckdb

from catchment.engine import parts, quote, quote_path
from catchment.errors import InvalidFile
from catchment.geo import on_earth
from catchment.observe import Rejected, ResultFile, sniff
from catchment.observe.reading import DAMAGED, open_bytes
from catchment.schemas import VANTAGE_POINTS, declared, selected
from catchment.store.headers import HEADER

_TAG_BREAK = "\x1f"  # ASCII's unit separator; no slug holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """A probe list as rows of schemas.VANTAGE_POINTS; `unusable` counts entries without an id."""

    rows: tuple[tuple[object, ...], ...] = ()
    unusable: int = 0


def find_files(given: Sequence[Path], taken: Collection[str] = ()) -> list[tuple[Path, str]]:
    """Return each file given, folders searched through, with the name that it shall have in tier 0, none of the taken.

    Raises InvalidFile where a name leads nowhere, or to a folder with a stored run: its tables are no results, and what
    it knows of its vantage points would be lost.
    """
    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            _refuse_runs(path)
            found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
            if not found:
                raise InvalidFile(f"{path}: an empty folder: name a file of results")
            paths += found
        elif path.exists():
            paths.append(path)
        else:
            raise InvalidFile(f"{path}: no such file: name a file of results")
    named: list[tuple[Path, str]] = []
    used = set(taken)
    for path in paths:
        name = free_name(path.name, used)
        used.add(name)
        named.append((path, name))
    return named


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name for a file in tier 0, numbered if its own is taken."""
    numbered = (f"{number}-{name}" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)


def _refuse_runs(folder: Path) -> None:
    run = next((header.parent for header in sorted(folder.rglob(HEADER))), None)
    if run is not None:
        there, raw = shlex.quote(str(run)), shlex.quote(str(run / "raw"))
        raise InvalidFile(
            f"{run}: a stored run in a folder of results: name {there} itself to merge it with others; to import only "
            f"its results as a new run, name {raw} with --probes FILE"
        )


def sniff_files(named: Sequence[tuple[Path, str]]) -> tuple[list[ResultFile], list[Rejected]]:
    """Tell what each file is; unusable ones are set aside if others remain. Raises InvalidFile where none does."""
    if not named:
        raise InvalidFile("there is no file of results: name at least one")
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
    try:
        with open_bytes(path, file.compression) as stream:
            text = stream.read().decode("utf-8-sig", errors="replace")
    except DAMAGED as error:
        raise InvalidFile(f"{path}: damaged {file.compression} file: fetch it again") from error
    probes = probes_in(_entries(text, path))
    if not probes.rows:
        raise InvalidFile(
            f"{path}: no probe in it has an id: name a probe list of RIPE Atlas (its archive, or the API's)"
        )
    return probes


def probes_in(entries: Iterable[Any]) -> Probes:
    """Return the probe objects of RIPE Atlas, in either shape, as rows of schemas.VANTAGE_POINTS."""
    rows: dict[int, tuple[object, ...]] = {}
    unusable = 0
    for entry in entries:
        row = _probe_row(entry)
        if row is None:
            unusable += 1
        else:
            rows[entry["id"]] = row
    return Probes(rows=tuple(rows.values()), unusable=unusable)


def point_row(
    vantage: str,
    latitude: float | None,
    longitude: float | None,
    country: str | None,
    asn_v4: int | None = None,
    asn_v6: int | None = None,
) -> tuple[object, ...]:
    """Return a vantage point of our own as a row of schemas.VANTAGE_POINTS; one without a place has neither degree."""
    if not _is_place(latitude, longitude):
        latitude = longitude = None
    return (vantage, latitude, longitude, country, asn_v4, asn_v6, [], False)


def _entries(text: str, path: Path) -> Iterator[Any]:
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise InvalidFile(f"{path}: not a probe list but JSON nested without end: fetch it again") from error
    except ValueError:
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise InvalidFile(f"{path}: not a probe list in JSON ({error}): fetch it again") from error
    if isinstance(found, dict):
        found = found.get("objects", found.get("results", [found]))
    yield from found if isinstance(found, list) else [found]


def _probe_row(entry: Any) -> tuple[object, ...] | None:
    """Return one probe as a row of schemas.VANTAGE_POINTS; None where it has no id."""
    if not isinstance(entry, dict) or _number(entry.get("id")) is None:
        return None
    latitude, longitude = entry.get("latitude"), entry.get("longitude")
    geometry = entry.get("geometry")
    if latitude is None and isinstance(geometry, dict) and isinstance(geometry.get("coordinates"), list):
        longitude, latitude = (*geometry["coordinates"], None, None)[:2]  # GeoJSON says longitude first
    if not _is_place(latitude, longitude):
        latitude = longitude = None
    tags = entry["tags"] if isinstance(entry.get("tags"), list) else []
    slugs = [tag.get("slug") if isinstance(tag, dict) else tag for tag in tags]
    country = entry.get("country_code")
    country = _text(country) if country and isinstance(country, str) else None
    return (
        f"atlas:{entry['id']}", latitude, longitude, country,
        _number(entry.get("asn_v4")), _number(entry.get("asn_v6")), [_text(str(slug)) for slug in slugs if slug],
        bool(entry.get("is_anchor", False)),
    )  # fmt: skip


def _text(value: str) -> str:
    """Return a text without lone surrogates, which JSON may hold and no table can."""
    return value.encode("utf-8", "replace").decode()


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


def _is_place(latitude: object, longitude: object) -> bool:
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return False
    return on_earth(latitude, longitude)


def _fill_listed(con: duckdb.DuckDBPyConnection, probes: Probes) -> None:
    """Insert a probe list as arrays, seven times as fast as bound lists; tags, lists themselves, go as one text."""
    import numpy as np  # noqa: PLC0415  (loaded while DuckDB reads, not before)

    columns = dict(zip((column.name for column in VANTAGE_POINTS), zip(*probes.rows, strict=True), strict=True))
    columns["tags"] = tuple(_TAG_BREAK.join(tags) for tags in columns["tags"])
    con.register("arrays", {name: np.array(values, dtype=object) for name, values in columns.items()})
    con.execute(
        f"INSERT INTO listed SELECT * REPLACE (string_split(nullif(tags, ''), '{_TAG_BREAK}') AS tags) FROM arrays"
    )
    con.unregister("arrays")


def write_asked(con: duckdb.DuckDBPyConnection, probes: Probes, to: Path) -> None:
    """Write where the vantage points are that a campaign asks."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE listed ({declared(VANTAGE_POINTS)})")
    if probes.rows:
        _fill_listed(con, probes)
    con.execute(
        f"""COPY (SELECT {selected(VANTAGE_POINTS)} FROM listed ORDER BY vantage)
        TO {quote(to)} (FORMAT parquet, COMPRESSION zstd)"""
    )


def write_vantage_points(
    con: duckdb.DuckDBPyConnection, probes: Probes, observations: Path, to: Path, known: Sequence[Path] = ()
) -> int:
    """Write where the vantage points of these observations were; return how many nobody knows.

    `known` are the folders of vantage points of runs, the one first that counts first; theirs are written all, whether
    they were observed or not. The probe list counts last.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE listed ({declared(VANTAGE_POINTS)})")
    if probes.rows:
        _fill_listed(con, probes)
    tables = [f"SELECT {selected(VANTAGE_POINTS)}, {rank} AS rank FROM {parts(run)}" for rank, run in enumerate(known)]
    tables.append(f"SELECT *, {len(known)} AS rank FROM listed")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE described AS SELECT * FROM ({" UNION ALL ".join(tables)})
        QUALIFY row_number() OVER (PARTITION BY vantage ORDER BY latitude IS NULL, rank) = 1"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE there AS SELECT DISTINCT vantage FROM read_parquet({quote_path(observations)})
        {" ".join(f"UNION SELECT vantage FROM {parts(run)}" for run in known)}"""
    )
    con.execute(
        f"""COPY (SELECT {selected(VANTAGE_POINTS)} FROM there LEFT JOIN described USING (vantage) ORDER BY vantage)
        TO {quote(to)} (FORMAT parquet, COMPRESSION zstd)"""
    )
    found = con.execute("SELECT count(*) FROM there ANTI JOIN described USING (vantage)").fetchall()
    return int(found[0][0])
