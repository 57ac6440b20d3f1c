"""RIPE Atlas JSON to typed columns: one row per record of the file, in the file's order, nothing judged.

DuckDB reads with declared columns, so a leaf of the wrong type or an unknown key never costs the row. A record that it
cannot read at all becomes a row of NULLs, which keeps its place and is named afterwards. Firmware quirks absorbed here:
keys renamed at 4460 (addr, name, pf), TXT data as string or list, numbers as strings, `type` missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb

from catchment.campaign.own_vantages import FIRST_NUMBER, LONGEST_NAME, is_own_name, vantage_number
from catchment.engine import MEMORY_LIMIT, READING_MEMORY_LIMIT, quote, quote_path
from catchment.model import Kind
from catchment.observe.addresses import canonical_address
from catchment.observe.message import KEY_START
from catchment.observe.reading import LONGEST_RECORD, ResultFile, mentions, rewrite_as_lines

# Small row groups keep the ordered write within memory; larger ones are no faster.
_ROW_GROUP = 10_240


class Form(StrEnum):
    """The forms in which results are staged: one for each kind, and one for DNS replies stored without their message.

    Such a reply has only the probe's own reading of it, `answers`. Reading that costs half as much again, and it is
    rare, so it is done for the files that need it.
    """

    DNS = "dns"
    DNS_ANSWERS = "dns-answers"
    PING = "ping"
    TRACEROUTE = "traceroute"

    @property
    def kind(self) -> Kind:
        """Return the kind of measurement."""
        return Kind(self.value.partition("-")[0])


def _dns_columns(answers: str) -> dict[str, str]:
    reply = f"STRUCT(rt DOUBLE, qt DOUBLE, abuf VARCHAR{answers})"
    item = '"time" DOUBLE, dst_addr VARCHAR, dst_name VARCHAR, af INTEGER, src_port INTEGER, error JSON'
    return {"error": "JSON", "src_port": "INTEGER", "result": reply, "resultset": f"STRUCT({item}, result {reply})[]"}


_PACKET = 'STRUCT("from" VARCHAR, rtt DOUBLE, dup VARCHAR, error VARCHAR)'
_HOP_PACKET = 'STRUCT("from" VARCHAR, rtt DOUBLE, err VARCHAR, late VARCHAR, error VARCHAR)'
_WITHOUT_MESSAGE = """(replied AND key IS NULL) OR list_contains(
    list_transform(resultset, lambda i: i.replied AND i.key IS NULL), TRUE)"""
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
    Form.DNS: _dns_columns(""),
    Form.DNS_ANSWERS: _dns_columns(", answers JSON"),
    Form.PING: {"min": "DOUBLE", "rcvd": "INTEGER", "result": f"{_PACKET}[]"},
    Form.TRACEROUTE: {"paris_id": "INTEGER", "result": f"STRUCT(hop INTEGER, error VARCHAR, result {_HOP_PACKET}[])[]"},
}


def _dns_selection(key: str) -> str:
    """Select what a reply is told by: its `key` is a text that recurs, unlike its message, so it takes little room.

    With these the table has 14 columns. One more, and the ordered write no longer fits its memory and takes half as
    long again: what can be told from others is not staged.
    """
    return f"""error, src_port, coalesce(result.qt, result.rt) AS rtt_ms, {key.format("")} AS key,
        result IS NOT NULL AS replied, list_transform(resultset, lambda i: struct_pack(
            measured_at := i."time", af := i.af, destination := coalesce(i.dst_addr, i.dst_name),
            src_port := i.src_port, error := i.error, rtt_ms := coalesce(i.result.qt, i.result.rt),
            key := {key.format("i.")}, replied := i.result IS NOT NULL)) AS resultset,
        coalesce(len(resultset) > 0, FALSE) AS is_set"""


_MESSAGE_KEY = f"substr(nullif({{0}}result.abuf, ''), {KEY_START})"
# Paris traceroute gives up after five silent hops in a row, and then sends one packet that may go all the way: should
# the target answer that, nobody knows how many hops it is away.
_PARIS_LAST = 255
# What is worked out of traceroutes step by step: their packets, when the target answered, and who did last before it.
# Hops are numbered backwards, so that the least of the structs is the last router, and of its replies the fastest. An
# error (`err`: !H, !N) tells that a router lets nobody pass; a `late` reply is to a packet of an earlier hop.
_STEPS_OF_TRACEROUTE = (
    """{target} AS goal,
        flatten(list_transform(list_filter(result, lambda h: h.result IS NOT NULL), lambda h: list_transform(
            list_filter(h.result, lambda p: p.rtt IS NOT NULL), lambda p: struct_pack(
                back := CASE WHEN h.hop BETWEEN 1 AND 255 THEN -h.hop END, rtt := p.rtt, address := p."from",
                passed := p.rtt BETWEEN 0 AND 1e9 AND p.err IS NULL AND p.late IS NULL)))) AS packets""",
    """list_filter(packets, lambda p: p.address = goal) AS answers""",
    """-list_max(list_transform(answers, lambda p: p.back)) AS reached,
        list_min(list_transform(answers, lambda p: p.rtt)) AS rtt_ms""",
    """list_min(list_filter(packets, lambda p: p.passed AND p.address IS NOT NULL AND p.back > -reached)) AS last""",
)
_OWN_SELECTION = {
    Form.DNS: _dns_selection(_MESSAGE_KEY),
    Form.DNS_ANSWERS: _dns_selection(f"coalesce({_MESSAGE_KEY}, {{0}}result.answers::VARCHAR)"),
    # Lists of packets shrink to what is asked of them: the least RTT, and what went wrong.
    Form.PING: """coalesce(list_min(list_transform(list_filter(result, lambda p: p.dup IS NULL), lambda p: p.rtt)),
            CASE WHEN rcvd > 0 THEN min END) AS rtt_ms,
        list_filter(list_transform(result, lambda p: p.error), lambda e: e IS NOT NULL)[1] AS error,
        result IS NOT NULL OR rcvd IS NOT NULL AS replied""",
    Form.TRACEROUTE: f"""paris_id, result IS NOT NULL AS replied, rtt_ms, last.address AS hop, last.rtt AS hop_rtt_ms,
        CASE WHEN reached < {_PARIS_LAST} THEN reached + last.back - 1 END AS hop_gap,
        list_filter(list_concat(list_transform(result, lambda h: h.error),
            flatten(list_transform(list_filter(result, lambda h: h.result IS NOT NULL),
                lambda h: list_transform(h.result, lambda p: p.error)))), lambda e: e IS NOT NULL)[1] AS error""",
}
_DESTINATION = "coalesce(dst_addr, addr, dst_name, name)"
# A time that is no number, infinite or absurd places a result nowhere.
USABLE = "coalesce(prb_id IS NOT NULL AND measured_at BETWEEN 0 AND 1e12, FALSE)"
# Results of firmware before 4460 have no `type`.
_KIND_OF_RECORD = """CASE WHEN type IS NOT NULL THEN lower(type) WHEN msm_name = 'Tdig' THEN 'dns'
    WHEN msm_name IS NOT NULL THEN lower(msm_name) WHEN endtime IS NOT NULL THEN 'traceroute'
    WHEN sent IS NOT NULL THEN 'ping' WHEN prb_id IS NOT NULL THEN 'dns' END"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One file, staged in each form that it needs; `rejected` are the ordinals (from 1) of unusable records.

    `own_names` are the names of its vantage points that are none of RIPE Atlas, by their number.
    """

    tables: dict[Form, Path]
    records: int
    rejected: tuple[int, ...]
    other_types: dict[str, int]
    own_names: dict[int, str]


def stage(con: duckdb.DuckDBPyConnection, file: ResultFile, number: int, folder: Path) -> Staged:
    """Stage one file of results, the run's `number`th, into Parquet tables in `folder`."""
    rewritten = folder / f"{number}.ndjson.zst"
    if file.compression != "bzip2" and not file.has_mark:
        with suppress(duckdb.InvalidInputException, duckdb.IOException):  # a damaged element, a stream that ends early
            staged = _stage(con, file, number, folder)
            # DuckDB reads an array up to its end, and is silent about what follows.
            if file.layout == "ndjson" or mentions(file, b'"prb_id"') == staged.records:
                return staged
    try:
        return _stage(con, rewrite_as_lines(file, rewritten), number, folder)
    finally:
        rewritten.unlink(missing_ok=True)


def _stage(con: duckdb.DuckDBPyConnection, file: ResultFile, number: int, folder: Path) -> Staged:
    table = folder / f"{number}-{Form.DNS}.parquet"
    _read(con, file, Form.DNS, table, number)
    counted = con.execute(
        f"""SELECT kind, {USABLE} AS usable, count(*), count(*) FILTER (WHERE kind = 'dns' AND ({_WITHOUT_MESSAGE})),
            max(prb_id)
        FROM read_parquet({quote_path(table)}) GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    usable = {kind: count for kind, good, count, *_ in counted if good}
    has_own = any(good and highest >= FIRST_NUMBER for _, good, _, _, highest in counted)
    tables: dict[Form, Path] = {}
    for kind in (kind for kind in Kind if kind in usable):
        form = Form.DNS_ANSWERS if any(row[3] for row in counted if row[0] == kind) else Form(kind)
        tables[form] = table if form is Form.DNS else folder / f"{number}-{form}.parquet"
        if form is not Form.DNS:
            target = _canonical_target(con, table) if form is Form.TRACEROUTE else ""
            _read(con, file, form, tables[form], number, target)
    rejected: list[tuple[int]] = []
    if any(not good for _, good, *_ in counted):
        rejected = con.execute(
            f"""SELECT file_row_number + 1 FROM read_parquet({quote_path(table)}, file_row_number = true)
            WHERE NOT ({USABLE}) ORDER BY 1"""
        ).fetchall()
    return Staged(
        tables=tables,
        records=sum(row[2] for row in counted),
        rejected=tuple(ordinal for (ordinal,) in rejected),
        other_types={kind: count for kind, count in usable.items() if kind not in set(Kind)},
        own_names=_own_names(con, file) if has_own else {},
    )


def _own_names(con: duckdb.DuckDBPyConnection, file: ResultFile) -> dict[int, str]:
    """Read the names that vantage points of ours give in their results, where the number is that of the name.

    The file is read once more for that, because the staged tables have no room for another column.
    """
    with _room_for_reading(con):
        found = con.execute(
            f"""SELECT DISTINCT prb_id, vantage FROM {_reader(file, {"prb_id": "BIGINT", "vantage": "VARCHAR"})}
            WHERE prb_id >= {FIRST_NUMBER} AND length(vantage) <= {LONGEST_NAME} ORDER BY ALL"""
        ).fetchall()
    return {number: name for number, name in found if is_own_name(name) and vantage_number(name) == number}


def _canonical_target(con: duckdb.DuckDBPyConnection, table: Path) -> str:
    """Return the SQL for a traceroute's target in the form in which hops are written.

    Hops come in canonical form; the target may stand as somebody typed it, 2001:DB8:0:0::1.
    """
    found = con.execute(
        f"SELECT DISTINCT destination FROM read_parquet({quote_path(table)}) WHERE kind = 'traceroute' ORDER BY 1"
    ).fetchall()
    forms = {text: canonical_address(text) or text for (text,) in found if text is not None}
    cases = [f"WHEN {quote(text)} THEN {quote(form)}" for text, form in forms.items() if text != form]
    return f"CASE {_DESTINATION} {' '.join(cases)} ELSE {_DESTINATION} END" if cases else _DESTINATION


def _read(
    con: duckdb.DuckDBPyConnection, file: ResultFile, form: Form, table: Path, number: int, target: str = ""
) -> None:
    source = _reader(file, _EVERY_KIND | _OWN_COLUMNS[form])
    for step in _STEPS_OF_TRACEROUTE if form is Form.TRACEROUTE else ():
        source = f"(SELECT *, {step.replace('{target}', target)} FROM {source})"
    with _room_for_reading(con):
        con.execute(
            f"""COPY (
                SELECT {number} AS file, prb_id, msm_id, timestamp AS measured_at, {_KIND_OF_RECORD} AS kind,
                    coalesce(af, pf) AS af, {_DESTINATION} AS destination, {_OWN_SELECTION[form]}
                FROM {source}
            ) TO {quote(table)} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {_ROW_GROUP})"""
        )


@contextmanager
def _room_for_reading(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    con.execute(f"SET memory_limit = '{READING_MEMORY_LIMIT}'")
    try:
        yield
    finally:
        con.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")


def _reader(file: ResultFile, columns: Mapping[str, str]) -> str:
    declared = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    lines = file.layout == "ndjson"
    return f"""read_json({quote_path(file.path)}, format = '{"newline_delimited" if lines else "array"}',
        compression = '{file.compression}', columns = {{{declared}}}, maximum_object_size = {LONGEST_RECORD}
        {", ignore_errors = true" if lines else ""})"""
