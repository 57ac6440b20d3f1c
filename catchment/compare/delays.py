"""Whose answers take longer or less than before, although they come from the same site: the way is another one."""

from __future__ import annotations

import duckdb

from catchment.compare.pairing import TargetPair
from catchment.engine import quote
from catchment.metrics import Numbers, rounded, rows_of
from catchment.metrics.rises import RISE_MS, RISE_SHARE
from catchment.model import Kind

# From so many answers on either side on, one late packet cannot move their median.
_SAMPLES = 3
# With fewer, the fastest packets (of answers and pings) are held against each other, and only a jump counts: 20 ms are
# 2,000 km of fibre there and back.
_JUMP_MS = 20.0
_JUMP_SHARE = 0.5
_MOST_LISTED = 20


def _rose(before: str, after: str, by_ms: float, by_share: float) -> str:
    return f"({after} > {before} + {by_ms} AND {after} > {before} * {1 + by_share})"


def _is_longer(before: str, after: str) -> str:
    rose, jumped = _rose(before, after, RISE_MS, RISE_SHARE), _rose(before, after, _JUMP_MS, _JUMP_SHARE)
    return f"CASE WHEN sampled THEN {rose} ELSE {jumped} END"


# Of many packets the least is less than of few, and their median strays less: only as many of the one side are held
# against as many of the other.
_TIMED = f"""
    SELECT *, CASE WHEN {_is_longer("was_ms", "now_ms")} THEN 'slower'
        WHEN {_is_longer("now_ms", "was_ms")} THEN 'faster' END AS change
    FROM (
        SELECT vantage, country, site_after AS site, d.count >= {_SAMPLES} AS sampled,
            CASE WHEN sampled THEN list_median(d.before) ELSE least(list_min(d.before), list_min(e.before)) END
                AS was_ms,
            CASE WHEN sampled THEN list_median(d.after) ELSE least(list_min(d.after), list_min(e.after)) END AS now_ms
        FROM stayed
        LEFT JOIN (SELECT * FROM matched WHERE kind = '{Kind.DNS}') AS d USING (vantage)
        LEFT JOIN (SELECT * FROM matched WHERE kind = '{Kind.PING}') AS e USING (vantage))
    WHERE was_ms IS NOT NULL AND now_ms IS NOT NULL"""
_MATCHED = """
    SELECT vantage, kind, least(len(b.rtts_ms), len(a.rtts_ms)) AS count, b.rtts_ms[:count] AS before,
        a.rtts_ms[:count] AS after
    FROM (SELECT * FROM times_before WHERE target = {before}) AS b
    JOIN (SELECT * FROM times_after WHERE target = {after}) AS a USING (vantage, kind)"""


def find_delays(con: duckdb.DuckDBPyConnection, pair: TargetPair) -> Numbers:
    """Count who of those that `stayed` at their site takes clearly longer (`slower`), or less (`faster`).

    RTTs are medians over these vantage points, of the medians of each (of its least RTT where it has few answers); `of`
    is all of them with an RTT on both sides. Reads `times_before` and `times_after`.
    """
    before, after = (quote(target.address) for target in pair)
    con.execute(f"CREATE OR REPLACE TEMP TABLE matched AS {_MATCHED.format(before=before, after=after)}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE timed AS {_TIMED}")
    return {change: _count(con, change) for change in ("slower", "faster")}


def _count(con: duckdb.DuckDBPyConnection, change: str) -> Numbers:
    (of,) = con.execute("SELECT count(*) FROM timed").fetchall()[0]
    count, before, after, by = con.execute(
        f"""SELECT count(*), median(was_ms), median(now_ms), median(now_ms - was_ms) FROM timed
        WHERE change = '{change}'"""
    ).fetchall()[0]
    listed = rows_of(
        con.execute(
            f"""SELECT vantage, country, site, was_ms AS rtt_ms_before, now_ms AS rtt_ms_after FROM timed
            WHERE change = '{change}'
            ORDER BY abs(now_ms - was_ms) DESC, length(vantage), vantage LIMIT {_MOST_LISTED}"""
        )
    )
    return {
        "vantage_points": count,
        "of": of,
        "rtt_ms_before": rounded(before),
        "rtt_ms_after": rounded(after),
        "change_ms": rounded(by),
        "listed": listed,
    }
