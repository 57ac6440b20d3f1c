"""The tier of observations: staged results of every kind, decoded replies joined back, duplicates left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from catchment.engine import quote, quote_path
from catchment.errors import InvalidFile
from catchment.model import Service, Window
from catchment.observe.dictionaries import make_dictionaries
from catchment.observe.reading import Rejected, ResultFile, name_rejected, printable
from catchment.observe.staging import USABLE, Form, stage
from catchment.schemas import OBSERVATIONS, declared, selected

_NAMED_REJECTED = 1000

_NO_HOP = "NULL::VARCHAR AS hop, NULL::DOUBLE AS hop_rtt_ms, NULL::INTEGER AS hop_gap"
_DNS_ITEMS = f"""
    SELECT prb_id, msm_id, measured_at, af, destination, src_port AS flow, rtt_ms, replied, error::VARCHAR AS error,
        key, {_NO_HOP}, file, record, 0 AS item
    FROM staged WHERE NOT is_set
    UNION ALL
    SELECT prb_id, msm_id, CASE WHEN i.measured_at BETWEEN 0 AND 1e12 THEN i.measured_at ELSE measured_at END,
        coalesce(i.af, af), coalesce(i.destination, destination), coalesce(i.src_port, src_port), i.rtt_ms, i.replied,
        i.error::VARCHAR, i.key, {_NO_HOP}, file, record, item
    FROM (SELECT *, unnest(resultset) AS i, generate_subscripts(resultset, 1) AS item
        FROM staged WHERE is_set)"""


def _echo_items(flow: str, hop: str) -> str:
    return f"""
        SELECT prb_id, msm_id, measured_at, af, destination, {flow} AS flow, rtt_ms, replied, error,
            NULL::VARCHAR AS key, {hop}, file, record, 0 AS item
        FROM staged"""


# Every form yields these columns; `key` is the distinct part of a DNS reply, `error` what the result said of a failure.
_ITEMS = {
    Form.DNS: _DNS_ITEMS,
    Form.DNS_ANSWERS: _DNS_ITEMS,
    Form.PING: _echo_items("NULL::INTEGER", _NO_HOP),
    Form.TRACEROUTE: _echo_items("paris_id", "hop, hop_rtt_ms, hop_gap"),
}
_SAME = """prb_id, msm_id, kind, measured_at, destination, af, flow, rtt_ms, replied, error, key, hop, hop_rtt_ms,
    hop_gap, item"""
_OBSERVED = """
    SELECT i.prb_id,
        CASE WHEN d.address IS NULL AND i.measured_at >= coalesce(c.since, 0) THEN c.service
            WHEN i.measured_at >= coalesce(d.since, 0) THEN d.service END AS service,
        coalesce(d.address, c.address) AS target,
        CASE WHEN coalesce(d.af, c.af, i.af) IN (4, 6) THEN coalesce(d.af, c.af, i.af) END AS af,
        i.kind::kinds AS kind, i.measured_at,
        CASE WHEN i.rtt_ms BETWEEN 0 AND 1e9 THEN i.rtt_ms END AS rtt_ms,
        coalesce(r.query, c.query) AS query, r.identity, r.identity_source, r.second_identity,
        r.second_identity_source, r.rcode, r.class, r.question_class,
        CASE
            WHEN i.kind = 'dns' AND i.error IS NOT NULL AND NOT i.replied THEN e.failure
            WHEN i.kind = 'dns' AND (NOT i.replied OR NOT coalesce(r.readable, i.rtt_ms IS NOT NULL)) THEN 'malformed'
            WHEN i.kind = 'dns' OR i.rtt_ms IS NOT NULL THEN NULL
            WHEN NOT i.replied THEN 'malformed'
            WHEN i.error IS NOT NULL THEN 'probe-failed'
            WHEN i.kind = 'ping' THEN 'timeout'
            ELSE 'not-reached'
        END::failures AS failure,
        e.detail AS failure_detail, i.flow, h.address AS hop,
        CASE WHEN h.address IS NOT NULL THEN i.hop_rtt_ms END AS hop_rtt_ms,
        CASE WHEN h.address IS NOT NULL THEN i.hop_gap END AS hop_gap,
        i.msm_id AS measurement_id, f.name AS raw_file, i.record AS raw_record, i.item AS raw_item{own_name}
    FROM items AS i
    JOIN files AS f ON f.number = i.file
    LEFT JOIN contexts AS c ON c.msm_id = i.msm_id
    LEFT JOIN destinations AS d ON d.destination = i.destination
    LEFT JOIN replies AS r ON r.key = i.key
    LEFT JOIN errors AS e ON e.error = i.error
    LEFT JOIN hops AS h ON h.hop = i.hop AND i.rtt_ms BETWEEN 0 AND 1e9{own_join}"""
_ATLAS_NAME = "'atlas:' || prb_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of the records: every one is an observation or is counted here."""

    records: int
    rejected: int
    duplicates: int
    other_types: dict[str, int]
    outside_window: int
    observations: dict[str, int]
    off_target: int
    named: tuple[Rejected, ...] = field(default=())
    without_results: tuple[str, ...] = field(default=())
    """Files of which no record is usable."""


def observe(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[ResultFile],
    services: Sequence[Service],
    to: Path,
    folder: Path,
    *,
    window: Window = Window(),
    done: Callable[[ResultFile], None] = lambda _: None,
) -> Reading:
    """Read files of RIPE Atlas results and write the tier of observations as the Parquet file `to`.

    `folder` is for temporary tables; `done` is told of each file read. Rows are in the order of service, target, kind,
    vantage, time and place in the raw files, so the same files give the same bytes.
    """
    records, rejected, other_types, own_names = 0, 0, Counter[str](), dict[int, str]()
    without_results: list[str] = []
    tables: dict[Form, list[Path]] = {}
    with ThreadPoolExecutor(max_workers=1) as beside:  # naming bad records reads the file again, while DuckDB goes on
        naming: list[Future[list[Rejected]]] = []
        for number, file in enumerate(files):
            staged = stage(con, file, number, folder)
            naming.append(beside.submit(name_rejected, file, staged.rejected[: max(0, _NAMED_REJECTED - rejected)]))
            records += staged.records
            rejected += len(staged.rejected)
            if 0 < len(staged.rejected) == staged.records:
                without_results.append(file.name)
            other_types.update(staged.other_types)
            own_names.update(staged.own_names)
            for form, table in staged.tables.items():
                tables.setdefault(form, []).append(table)
            done(file)
        if tables:
            duplicates, outside = _write(con, files, services, tables, own_names, window, to)
        named = [entry for names in naming for entry in names.result()]
    if not tables:
        raise InvalidFile(_nothing_usable(files, records, named, other_types))
    counted = con.execute(
        f"""SELECT kind, count(*), count(*) FILTER (service IS NULL) FROM read_parquet({quote_path(to)})
        GROUP BY kind ORDER BY kind"""
    ).fetchall()
    return Reading(
        records=records,
        rejected=rejected,
        duplicates=duplicates,
        other_types=dict(sorted(other_types.items())),
        outside_window=outside,
        observations={kind: count for kind, count, _ in counted},
        off_target=sum(off for _, _, off in counted),
        named=tuple(named),
        without_results=tuple(without_results),
    )


def write_nothing(con: duckdb.DuckDBPyConnection, to: Path) -> Reading:
    """Write the tier of observations of a run in which nobody reported."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE nothing ({declared(OBSERVATIONS)})")
    con.execute(f"COPY nothing TO {quote(to)} (FORMAT parquet, COMPRESSION zstd)")
    return Reading(records=0, rejected=0, duplicates=0, other_types={}, outside_window=0, observations={}, off_target=0)


def _write(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[ResultFile],
    services: Sequence[Service],
    tables: dict[Form, list[Path]],
    own_names: Mapping[int, str],
    window: Window,
    to: Path,
) -> tuple[int, int]:
    """Write the tier from the staged tables; return how many duplicates and items outside the window are left out."""
    _view_items(con, tables)
    duplicates = _leave_out_duplicates(con)
    make_dictionaries(con, files, services, own_names)
    if own_names:
        join = " LEFT JOIN own_vantages AS v ON v.number = i.prb_id"
        observed = _OBSERVED.format(own_name=", v.name AS own_name", own_join=join)
    else:
        observed = _OBSERVED.format(own_name="", own_join="")  # not even a column of NULLs: it would be sorted along
    vantage = f"coalesce(own_name, {_ATLAS_NAME})" if own_names else _ATLAS_NAME
    con.execute(
        f"""COPY (
            SELECT {selected(OBSERVATIONS)} FROM (
                SELECT *, {vantage} AS vantage FROM ({observed} WHERE {_inside(window)}
                    ORDER BY service, target, kind, prb_id, measured_at, raw_file, raw_record, raw_item))
        ) TO {quote(to)} (FORMAT parquet, COMPRESSION zstd)"""
    )
    outside = 0
    if window != Window():
        (outside,) = con.execute(f"SELECT count(*) FROM items WHERE NOT ({_inside(window)})").fetchall()[0]
    return duplicates, int(outside)


def _nothing_usable(
    files: Sequence[ResultFile], records: int, named: Sequence[Rejected], other_types: Counter[str]
) -> str:
    where = str(files[0].path) if len(files) == 1 else f"{len(files)} files"
    if other_types:
        held = ", ".join(f"{count} {printable(kind.encode())}" for kind, count in sorted(other_types.items()))
        return f"{where}: no DNS, ping or traceroute result among {records} records ({held}): name another file"
    first = f"; the first, record {named[0].record}: {named[0].reason}: {named[0].excerpt[:60]}" if named else ""
    return f"{where}: none of {records} records is a RIPE Atlas result{first}"


def _inside(window: Window) -> str:
    """Return the SQL condition that a time lies in the window."""
    conditions = ["TRUE"]
    if window.start is not None:
        conditions.append(f"measured_at >= {window.start!r}")
    if window.end is not None:
        conditions.append(f"measured_at < {window.end!r}")
    return " AND ".join(conditions)


def _view_items(con: duckdb.DuckDBPyConnection, tables: dict[Form, list[Path]]) -> None:
    """Define the views `items`, a row for each item of the staged results, and `records`, a row for each result."""
    items, records = [], []
    for number, (form, paths) in enumerate(tables.items()):
        listed = ", ".join(quote_path(path) for path in paths)
        con.execute(
            f"""CREATE TEMP VIEW staged{number} AS SELECT *, file_row_number + 1 AS record
            FROM read_parquet([{listed}], file_row_number = true) WHERE {USABLE} AND kind = '{form.kind}'"""
        )
        of_form = _ITEMS[form].replace("FROM staged", f"FROM staged{number}")
        items.append(f"SELECT *, '{form.kind}' AS kind FROM ({of_form})")
        records.append(f"SELECT prb_id, msm_id, measured_at, kind FROM staged{number}")
    con.execute(f"CREATE TEMP VIEW records AS {' UNION ALL '.join(records)}")
    con.execute(f"CREATE TEMP VIEW every_item AS {' UNION ALL '.join(items)}")
    con.execute("CREATE TEMP VIEW items AS SELECT * FROM every_item")


def _leave_out_duplicates(con: duckdb.DuckDBPyConnection) -> int:
    """Keep the first of results that are equal in all but where they stand; return how many went."""
    every, different = con.execute(
        "SELECT count(*), count(DISTINCT hash(prb_id, msm_id, measured_at, kind)) FROM records"
    ).fetchall()[0]
    if every == different:
        return 0
    con.execute(
        f"""CREATE TEMP TABLE repeated AS SELECT file, record, item FROM (
            SELECT file, record, item, row_number() OVER (PARTITION BY {_SAME} ORDER BY file, record) AS place
            FROM every_item) WHERE place > 1"""
    )
    con.execute(
        "CREATE OR REPLACE TEMP VIEW items AS SELECT * FROM every_item ANTI JOIN repeated USING (file, record, item)"
    )
    (count,) = con.execute("SELECT count(DISTINCT (file, record)) FROM repeated").fetchall()[0]
    return int(count)
