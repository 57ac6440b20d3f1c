"""Whose answers take longer or less than before, although they come from the same site: the way is another one."""

from __future__ import annotations

import duckdb

from catchment.metrics import Numbers, rounded

# A way counts as longer where its time rose by more than both. Queues and busy hosts add some milliseconds now and then
# (5 ms is where Quad9DNS/ripe-atlas-dns-tools begin as well); of a long way, jitter and other flows make a fifth.
_RISE_MS = 5.0
_RISE_SHARE = 0.2
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
    rose, jumped = _rose(before, after, _RISE_MS, _RISE_SHARE), _rose(before, after, _JUMP_MS, _JUMP_SHARE)
    return f"CASE WHEN sampled THEN {rose} ELSE {jumped} END"


# Who flaps between sites has a median that is of neither.
_TIMED = f"""
    SELECT *, CASE WHEN {_is_longer("was_ms", "now_ms")} THEN 'slower'
        WHEN {_is_longer("now_ms", "was_ms")} THEN 'faster' END AS change
    FROM (
        SELECT vantage, country, site_after AS site, least(answers_before, answers_after) >= {_SAMPLES} AS sampled,
            CASE WHEN sampled THEN rtt_ms_before ELSE least_ms_before END AS was_ms,
            CASE WHEN sampled THEN rtt_ms_after ELSE least_ms_after END AS now_ms
        FROM paired WHERE site_before = site_after AND NOT moved AND flips_before = 0 AND flips_after = 0)
    WHERE was_ms IS NOT NULL AND now_ms IS NOT NULL"""


def is_slower(before_ms: float | None, after_ms: float | None) -> bool:
    """Tell whether a time rose by more than chance, for the least of several packets."""
    if before_ms is None or after_ms is None:
        return False
    return after_ms > before_ms + _RISE_MS and after_ms > before_ms * (1 + _RISE_SHARE)


def find_delays(con: duckdb.DuckDBPyConnection) -> Numbers:
    """Count who of `paired` reaches the same site and takes clearly longer (`slower`), or less (`faster`).

    RTTs are medians over these vantage points, of the medians of each (of its least RTT where it has few answers); `of`
    is all with an RTT on both sides who stayed at their site.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE timed AS {_TIMED}")
    return {change: _count(con, change) for change in ("slower", "faster")}


def _count(con: duckdb.DuckDBPyConnection, change: str) -> Numbers:
    (of,) = con.execute("SELECT count(*) FROM timed").fetchall()[0]
    count, before, after, by = con.execute(
        f"""SELECT count(*), median(was_ms), median(now_ms), median(now_ms - was_ms) FROM timed
        WHERE change = '{change}'"""
    ).fetchall()[0]
    listed = con.execute(
        f"""SELECT vantage, country, site, was_ms AS rtt_ms_before, now_ms AS rtt_ms_after FROM timed
        WHERE change = '{change}' ORDER BY abs(now_ms - was_ms) DESC, length(vantage), vantage LIMIT {_MOST_LISTED}"""
    )
    names = [column[0] for column in listed.description or ()]
    return {
        "vantage_points": count,
        "of": of,
        "rtt_ms_before": rounded(before),
        "rtt_ms_after": rounded(after),
        "change_ms": rounded(by),
        "listed": [dict(zip(names, map(rounded, row), strict=True)) for row in listed.fetchall()],
    }
