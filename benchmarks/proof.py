"""The proof: what runs have on disk, held against what the API of a sandbox accepted and delivered."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from catchment import store
from catchment.platforms.sandbox import Sandbox
from catchment.platforms.sandbox.api.measurements import Measurement

Tables = Mapping[str, Counter[str]]

# What depends on the moment of a measurement, or on when else somebody looked.
_OF_TIMES = {"window_start", "window_end", "measured_at", "raw_record", "raw_file", "measurement_id"}


def question(measurement: Measurement) -> tuple[str, str, str]:
    """Return what a measurement asks, and whom: kind, name and address."""
    definition = measurement.definition
    name = "" if definition.question is None else definition.question.name
    return definition.kind.value, name, definition.address


def doubled(sandbox: Sandbox) -> list[Measurement]:
    """Return the measurements that ask of a vantage point what an earlier one asks of it already."""
    asked: set[Any] = set()
    found = []
    for one in sandbox.api.ledger.own():
        # Where nobody takes part, its tags tell it from others.
        own = {(question(one), vantage) for vantage in one.participants or (one.definition.tags,)}
        if own & asked:
            found.append(one)
        asked |= own
    return found


def stored_lines(run: Path) -> Counter[bytes]:
    """Return all results that a run has, as they came."""
    return Counter(
        line
        for file in sorted(store.raw_folder(run).glob("*.ndjson.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    )


def line_of(result: Mapping[str, Any]) -> bytes:
    """Return a result as the API sends it."""
    return json.dumps(result, separators=(",", ":")).encode()


def tables_of(run: Path) -> Tables:
    """Return who was asked and all that was derived, without ids and times: each row, and how often it is there."""
    opened = store.Run.open(run)
    relations = {
        "vantage points": opened.vantage_points,
        "observations": opened.observations,
        "assignments": opened.assignments,
    }
    return {
        what: Counter(
            repr(row)
            for row in relation.select(*(f'"{name}"' for name in relation.columns if name not in _OF_TIMES)).fetchall()
        )
        for what, relation in relations.items()
    }


def differences(tables: Tables, plain: Tables) -> Iterator[str]:
    """Yield what is different from the tables of a run that nothing disturbed."""
    for what, rows in plain.items():
        less, more = (rows - tables[what]).total(), (tables[what] - rows).total()
        if less or more:
            yield f"of {rows.total()} {what}, {less} are lost or others, and {more} are new"
