"""RIPE Atlas JSON to typed columns: one row per record of the file, in the file's order, nothing judged.

DuckDB reads with declared columns, so a leaf of the wrong type or an unknown key never costs the row. A record that it
cannot read at all becomes a row of NULLs, which keeps its place and is named afterwards. Firmware quirks absorbed here:
keys renamed at 4460 (addr, name, pf), TXT data as string or list, numbers as strings, `type` missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from catchment.engine import MEMORY_LIMIT, READING_MEMORY_LIMIT, quote
from catchment.model import Kind
from catchment.observe.reading import LONGEST_RECORD, ResultFile, rewrite_as_lines

# Small row groups keep the ordered write within memory; larger ones are no faster.
_ROW_GROUP = 10_240

_REPLY = "STRUCT(rt DOUBLE, qt DOUBLE, abuf VARCHAR, answers JSON)"
_ITEM = (
    f'STRUCT("time" DOUBLE, dst_addr VARCHAR, dst_name VARCHAR, af INTEGER, src_port INTEGER, error JSON, result {_REPLY})'
)
_PACKET = 'STRUCT("from" VARCHAR, rtt DOUBLE, dup VARCHAR, error VARCHAR)'
_EVERY_KIND = {
    "prb_id": "BIGINT",
    "msm_id": "BIGINT",
    "timestamp": "DOUBLE",
    "type": "VARCHAR",
    "msm_name": "VARCHAR",
    "af": "INTEGER",
    "pf": "INTEGER",
    "dst_addr": "VARCHAR",
    "addr": "VARCHAR",
    "dst_name": "VARCHAR",
    "name": "VARCHAR",
    "sent": "INTEGER",
    "endtime": "BIGINT",
}
_OWN_COLUMNS = {
    Kind.DNS: {"error": "JSON", "src_port": "INTEGER", "result": _REPLY, "resultset": f"{_ITEM}[]"},
    Kind.PING: {"min": "DOUBLE", "rcvd": "INTEGER", "result": f"{_PACKET}[]"},
    Kind.TRACEROUTE: {"paris_id": "INTEGER", "result": f"STRUCT(error VARCHAR, result {_PACKET}[])[]"},
}
_OWN_SELECTION = {
    Kind.DNS: """error, src_port, coalesce(result.qt, result.rt) AS rtt_ms, nullif(result.abuf, '') AS abuf,
        result IS NOT NULL AS replied, CASE WHEN nullif(result.abuf, '') IS NULL THEN result.answers END AS answers,
        resultset""",
    # Lists of packets shrink to what is asked of them: the least RTT, and what went wrong.
    Kind.PING: """coalesce(list_min(list_transform(list_filter(result, lambda p: p.dup IS NULL), lambda p: p.rtt)),
            CASE WHEN rcvd > 0 THEN min END) AS rtt_ms,
        list_filter(list_transform(result, lambda p: p.error), lambda e: e IS NOT NULL)[1] AS error,
        result IS NOT NULL OR rcvd IS NOT NULL AS replied""",
    Kind.TRACEROUTE: """paris_id, result IS NOT NULL AS replied,
        list_min(list_transform(list_filter(flatten(list_transform(list_filter(result, lambda h: h.result IS NOT NULL),
            lambda h: h.result)), lambda p: p."from" = coalesce(dst_addr, addr, dst_name)), lambda p: p.rtt)) AS rtt_ms,
        list_filter(list_concat(list_transform(result, lambda h: h.error),
            flatten(list_transform(list_filter(result, lambda h: h.result IS NOT NULL),
                lambda h: list_transform(h.result, lambda p: p.error)))), lambda e: e IS NOT NULL)[1] AS error""",
}
# Results of firmware before 4460 have no `type`.
_KIND_OF_RECORD = """CASE WHEN type IS NOT NULL THEN lower(type) WHEN msm_name = 'Tdig' THEN 'dns'
    WHEN msm_name IS NOT NULL THEN lower(msm_name) WHEN endtime IS NOT NULL THEN 'traceroute'
    WHEN sent IS NOT NULL THEN 'ping' WHEN prb_id IS NOT NULL THEN 'dns' END"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One file, staged for each kind that it holds; `rejected` are the ordinals (from 1) of unusable records."""

    tables: dict[Kind, Path]
    records: int
    rejected: tuple[int, ...]
    other_types: dict[str, int]


def stage(con: duckdb.DuckDBPyConnection, file: ResultFile, number: int, folder: Path) -> Staged:
    """Stage one file of results, the run's `number`th, into Parquet tables in `folder`, one for each kind in it."""
    rewritten = folder / f"{number}.ndjson.zst"
    if file.compression == "bzip2":
        file = rewrite_as_lines(file, rewritten)
    first = Kind.DNS
    table = folder / f"{number}-{first}.parquet"
    try:
        _read(con, file, first, table, number)
    except duckdb.Error:  # a damaged array, an early end, a record longer than any result: take what there is
        file = rewrite_as_lines(file, rewritten)
        _read(con, file, first, table, number)
    counted = con.execute(
        f"SELECT kind, usable, count(*) FROM read_parquet({quote(table)}) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    usable = {kind: count for kind, good, count in counted if good}
    kinds = [kind for kind in Kind if kind.value in usable]
    tables = {first: table} if first in kinds else {}
    for kind in kinds:
        if kind is not first:
            tables[kind] = folder / f"{number}-{kind}.parquet"
            _read(con, file, kind, tables[kind], number)
    rejected: list[tuple[int]] = []
    if any(not good for _, good, _ in counted):
        rejected = con.execute(
            f"SELECT file_row_number + 1 FROM read_parquet({quote(table)}, file_row_number = true) WHERE NOT usable ORDER BY 1"
        ).fetchall()
    rewritten.unlink(missing_ok=True)
    return Staged(
        tables=tables,
        records=sum(count for _, _, count in counted),
        rejected=tuple(ordinal for (ordinal,) in rejected),
        other_types={kind: count for kind, count in usable.items() if kind not in set(Kind)},
    )


def _read(con: duckdb.DuckDBPyConnection, file: ResultFile, kind: Kind, table: Path, number: int) -> None:
    columns = _EVERY_KIND | _OWN_COLUMNS[kind]
    declared = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    lines = file.layout == "ndjson"
    reader = f"""read_json({quote(file.path)}, format = '{"newline_delimited" if lines else "array"}',
        compression = '{"auto_detect" if file.compression == "bzip2" else file.compression}', columns = {{{declared}}},
        maximum_object_size = {LONGEST_RECORD}{", ignore_errors = true" if lines else ""})"""
    con.execute(f"SET memory_limit = '{READING_MEMORY_LIMIT}'")
    try:
        con.execute(
            f"""COPY (
                SELECT {number} AS file, prb_id, msm_id, timestamp AS measured_at, {_KIND_OF_RECORD} AS kind, coalesce(af, pf) AS af,
                    coalesce(dst_addr, addr, dst_name, name) AS destination,
                    prb_id IS NOT NULL AND timestamp IS NOT NULL AS usable, {_OWN_SELECTION[kind]}
                FROM {reader}
            ) TO {quote(table)} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {_ROW_GROUP})"""
        )
    finally:
        con.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
