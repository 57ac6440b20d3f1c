"""Two sides of a comparison written down by hand: what was judged of each vantage point, without runs behind it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import median
from typing import Any

import duckdb

from catchment.compare import Record, Tracing, compare, keep_side
from catchment.engine import fill_table
from catchment.model import Grouping, Level, Service, Target, Verdict

TARGET = Target(service="example-dns", address="192.0.2.53")

_ASSIGNMENTS = """(vantage VARCHAR, service VARCHAR, target VARCHAR, af TINYINT, site VARCHAR, server VARCHAR,
    verdict VARCHAR, identified INTEGER, foreign_identity INTEGER, unknown_identity INTEGER, errors INTEGER,
    empty INTEGER, servers_seen INTEGER, flips INTEGER, rtt_ms_min DOUBLE, rtt_ms_median DOUBLE,
    ping_ms_min DOUBLE)"""
_INSIDE = """(vantage VARCHAR, target VARCHAR, kind VARCHAR, failure VARCHAR, raw_file VARCHAR, raw_record INTEGER,
    measured_at DOUBLE)"""
_VANTAGE_POINTS = """(vantage VARCHAR, latitude DOUBLE, longitude DOUBLE, country VARCHAR, asn_v4 BIGINT,
    asn_v6 BIGINT)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was judged of a vantage point on one side: round trips of its answers and pings, identities of others.

    `traces` are raw results, the latest first.
    """

    vantage: str
    site: str | None = "fra"
    server: str | None = "1"
    verdict: Verdict = Verdict.OK
    rtts_ms: Sequence[float] = (20.0,)
    pings_ms: Sequence[float] = ()
    flips: int = 0
    servers_seen: int = 1
    foreign: Mapping[str, int] = field(default_factory=dict)
    traces: Sequence[bytes] = ()
    place: tuple[float, float] | None = None
    country: str | None = None
    asn: int | None = None


def lost(vantage: str, verdict: Verdict, **more: Any) -> Seen:
    """Return one that reached no site."""
    return Seen(vantage=vantage, site=None, server=None, verdict=verdict, rtts_ms=(), **more)


def compare_sides(
    before: Sequence[Seen],
    after: Sequence[Seen],
    services: Sequence[Service] = (),
    *,
    by: Grouping | None = None,
    level: Level = Level.SITE,
    names: Mapping[str, str] | None = None,
    drawn: bool = False,
) -> dict[str, Any]:
    """Return what a comparison of the sides finds about their target; `names` are those of routers.

    Round trips are held against each other in the order given, or as they are `drawn` of a run.
    """
    sides = {"before": before, "after": after}

    def read(side: str, wanted: Collection[Record]) -> Iterator[tuple[Record, bytes]]:
        for one in sides[side]:
            for number, raw in enumerate(one.traces, start=1):
                if (one.vantage, number) in wanted:
                    yield (one.vantage, number), raw

    con = _bench()
    for side, seen in sides.items():
        _fill(con, side, seen, drawn)
    places = {one.vantage: one for one in (*before, *after)}
    rows = [(one.vantage, *(one.place or (None, None)), one.country, one.asn, None) for one in places.values()]
    fill_table(con, f"vantage_points {_VANTAGE_POINTS}", rows)
    tracing = Tracing(read=read, names=lambda: names or {})
    pairs = [(TARGET, TARGET)]
    found: dict[str, Any] = compare(con, pairs, services, by=by, level=level, tracing=tracing)["targets"][0]
    return found


@cache
def _bench() -> duckdb.DuckDBPyConnection:
    """Return the one connection for all comparisons: opening it takes longer than they do."""
    con = duckdb.connect()
    con.execute("SET threads = 1")
    return con


def _fill(con: duckdb.DuckDBPyConnection, side: str, seen: Sequence[Seen], drawn: bool) -> None:
    judged = [
        (
            *(one.vantage, TARGET.service, TARGET.address, TARGET.af, one.site, one.server, one.verdict.value),
            *(len(one.rtts_ms), sum(one.foreign.values()), 0, 0, 0, one.servers_seen, one.flips),
            *(min(one.rtts_ms, default=None), median(one.rtts_ms) if one.rtts_ms else None),
            min(one.pings_ms, default=None),
        )
        for one in seen
    ]
    fill_table(con, f"assignments_{side} {_ASSIGNMENTS}", judged)
    times = [
        (one.vantage, TARGET.address, kind, list(rtts_ms))
        for one in seen
        for kind, rtts_ms in (("dns", one.rtts_ms), ("ping", one.pings_ms))
        if rtts_ms
    ]
    columns = "vantage VARCHAR, target VARCHAR, kind VARCHAR, rtts_ms DOUBLE[]"
    if drawn:
        rows = [(*row, "identified", None, len(row[-1])) for row in times]
        fill_table(con, f"judged_equal ({columns}, outcome VARCHAR, identity VARCHAR, observations BIGINT)", rows)
        fill_table(con, f"inside {_INSIDE}", [])
        keep_side(con, side)  # its other tables are written below
    else:
        fill_table(con, f"times_{side} ({columns})", times)
    foreign = [(one.vantage, TARGET.address, text, count) for one in seen for text, count in one.foreign.items()]
    fill_table(con, f"foreign_{side} (vantage VARCHAR, target VARCHAR, text VARCHAR, answers BIGINT)", foreign)
    traces = [
        (one.vantage, TARGET.address, one.vantage, number, number)
        for one in seen
        for number in range(1, len(one.traces) + 1)
    ]
    columns = "(vantage VARCHAR, target VARCHAR, raw_file VARCHAR, raw_record INTEGER, age INTEGER)"
    fill_table(con, f"traces_{side} {columns}", traces)
