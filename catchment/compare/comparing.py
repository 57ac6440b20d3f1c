"""All that is found out about the targets of two runs."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from catchment.compare.captures import find_caught
from catchment.compare.delays import find_delays
from catchment.compare.detours import Tracing, find_detours
from catchment.compare.losses import find_losses
from catchment.compare.moves import count_moves, group_moves
from catchment.compare.pairing import TargetPair
from catchment.compare.sides import join_sides, table_of_places
from catchment.compare.wording import summary
from catchment.metrics import Numbers
from catchment.model import Grouping, Level, Service


def compare(
    con: duckdb.DuckDBPyConnection,
    pairs: Sequence[TargetPair],
    services: Sequence[Service],
    *,
    by: Grouping | None = None,
    level: Level = Level.SITE,
    tracing: Tracing | None = None,
) -> Numbers:
    """Return what changed between the tables `assignments_before` and `assignments_after`, target by target.

    `level` says between what vantage points move: servers, sites (one a town) or countries. Servers have names as far
    as identities tell. `tracing` reads raw traceroutes; without it no paths are compared. Reads what `keep_side` left.
    """
    table_of_places(con, services)
    return {"level": level.value, "targets": [_compare_target(con, pair, by, level, tracing) for pair in pairs]}


def _compare_target(
    con: duckdb.DuckDBPyConnection, pair: TargetPair, by: Grouping | None, level: Level, tracing: Tracing | None
) -> Numbers:
    before, after = pair
    join_sides(con, pair, level)
    found: Numbers = {
        "service": after.service,
        "target": after.address,
        "af": after.af,
        "target_before": before.address,
        **count_moves(con),
        **find_losses(con),
        **find_caught(con, pair),
        **find_delays(con, pair),
        "paths": None if tracing is None else find_detours(con, pair, tracing),
    }
    found["summary"] = summary(found, level)
    if by is not None:
        found["by"] = by.value
        found["groups"] = group_moves(con, by)
    return found
