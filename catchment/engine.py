"""DuckDB, the one engine: connections with bounded memory, and text put safely into SQL."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from catchment.errors import CatchmentError

MEMORY_LIMIT = "500MB"
"""What sorting, joining and grouping may use; beyond it they spill to the temporary folder."""

READING_MEMORY_LIMIT = "600MB"
"""The same while JSON is read. The reader's buffers count in full although few are touched: with less it idles."""

MAXIMUM_THREADS = 8


@contextmanager
def connection(temporary: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB that spills into the folder `temporary`, and close it at the end."""
    con = duckdb.connect()
    try:
        # Not every core may be ours (taskset, Slurm), and threads in excess of them cost time.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        con.execute(f"SET threads = {min(cores, MAXIMUM_THREADS)}")
        con.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        con.execute(f"SET temp_directory = {quote(temporary)}")
        con.execute("SET enable_progress_bar = false")
        yield con
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        reason = str(error).splitlines()[0]
        advice = f"free some room, or set TMPDIR to a place with more than {temporary.parent}"
        raise CatchmentError(f"{reason}: a file is missing or damaged, or there is no room: {advice}") from error
    finally:
        con.close()


def quote(text: str | Path) -> str:
    """Return text as an SQL literal. Raises CatchmentError for a name that is not UTF-8, which DuckDB cannot take."""
    try:
        str(text).encode()
    except UnicodeEncodeError as error:
        raise CatchmentError(f"{text}: this name is not UTF-8: rename the file or folder, or choose another") from error
    return "'" + str(text).replace("'", "''") + "'"


def quote_path(path: Path) -> str:
    """Return a path as an SQL literal for reading: DuckDB would take `run[2]` for a pattern, and read `run2`."""
    return quote(_literally(path))


def _literally(path: Path) -> str:
    literal = re.sub(r"([*?\[])", r"[\1]", str(path))
    if "\\" in literal and literal != str(path):  # DuckDB takes the backslash of a pattern for a slash
        raise CatchmentError(f"{path}: a name with a backslash and one of *?[ cannot be read: rename file or folder")
    return literal


def parts(folder: Path) -> str:
    """Return the SQL that reads all Parquet parts of a tier, which are there already.

    They are named one by one: a pattern cannot hold a backslash. A folder `seed=5` above them is no column. Raises
    CatchmentError where there is none.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise CatchmentError(f"{folder}: no Parquet file is in it: `catchment derive` rebuilds a run's tables")
    return f"read_parquet([{', '.join(map(quote_path, files))}], hive_partitioning = false)"


def fill_table(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Make a temporary table, given as `name (column TYPE, …)`, of a few rows."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {table}")
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        bound = ", ".join("unnest(?)" for _ in columns)
        con.execute(f"INSERT INTO {table.split(maxsplit=1)[0]} SELECT {bound}", columns)


def fill_from_arrays(con: duckdb.DuckDBPyConnection, table: str, arrays: dict[str, Any]) -> None:
    """Make a temporary table, given as `name (column TYPE, …)`, of NumPy arrays of one length: fast for many rows."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {table}")
    con.register("arrays", arrays)
    con.execute(f"INSERT INTO {table.split(maxsplit=1)[0]} SELECT * FROM arrays")
    con.unregister("arrays")
