"""How a change of routes took hold, from a stream of DNS queries: who answered when, and what was lost on the way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any

import duckdb

from catchment.engine import quote
from catchment.metrics.courses import Course, Fate, Said, Sent, Stretch, follow
from catchment.metrics.rises import Timed, find_rise
from catchment.metrics.summaries import summary
from catchment.metrics.values import Numbers, iso_time, rounded
from catchment.model import Outcome, Target, Window

# Every query of the target, with its time from the change on, and what its answer says. What asks for no identity is
# left out; an answer that nobody can read is one all the same. What could not be sent is no query. An answer that was
# under way at the change may come from either side of it: to what was before belong only those that had come by then.
_EVERY = """
    SELECT vantage, measured_at - {change_at} AS sent_s, rtt_ms, raw_file, raw_record, raw_item,
        sent_s + coalesce(rtt_ms, 0) / 1000 <= 0 AS is_before,
        coalesce(failure IN ('timeout', 'network'), FALSE) AS lost,
        CASE WHEN failure IS NULL THEN outcome END AS outcome,
        CASE WHEN failure IS NULL THEN coalesce(site, nullif(identity, ''), rcode, 'no code') END AS said,
        coalesce(outcome IN ('error', 'empty') AND NOT promised, FALSE) AS is_refused
    FROM judged
    WHERE kind = 'dns' AND target = {target} AND window_start = {start} AND outcome IS DISTINCT FROM 'beside'
        AND failure IS DISTINCT FROM 'probe-failed' AND measured_at < {until}"""
_BY_TIME = "ORDER BY sent_s, raw_file, raw_record, raw_item"
_IN_ORDER = f"PARTITION BY vantage {_BY_TIME}"

# An error or an empty answer to a query that the service does not promise to answer tells nothing where others tell who
# answered (as for assignments), unless so many come in a row, with none of the others between them.
_MANY_REFUSED = 10
_QUERIES = f"""
    SELECT * EXCLUDE (is_refused, others, all_others), is_refused AND all_others > 0
        AND count(*) FILTER (WHERE is_refused) OVER (PARTITION BY vantage, is_before, others) < {_MANY_REFUSED}
            AS is_aside
    FROM (
        SELECT *, count(*) FILTER (WHERE said IS NOT NULL AND NOT is_refused) OVER (
                PARTITION BY vantage, is_before {_BY_TIME}) AS others,
            count(*) FILTER (WHERE said IS NOT NULL AND NOT is_refused) OVER (
                PARTITION BY vantage, is_before) AS all_others
        FROM ({_EVERY}))"""

# Answers in a row that say the same.
_STRETCHES = f"""
    SELECT vantage, is_before, outcome, said, min(sent_s), max(sent_s), count(*) FROM (
        SELECT *, sum(is_new::INTEGER) OVER ({_IN_ORDER}) AS stretch FROM (
            SELECT *,
                coalesce((is_before, outcome, said) <> lag((is_before, outcome, said)) OVER ({_IN_ORDER}), TRUE)
                    AS is_new
            FROM queries WHERE said IS NOT NULL AND NOT is_aside))
    GROUP BY vantage, is_before, outcome, said, stretch ORDER BY vantage, min(sent_s), stretch"""

# Queries in a row without an answer: those that have the same next answer; NULL is none.
_GAPS = f"""
    SELECT vantage, answered_s, min(sent_s) AS first_s, max(sent_s) AS last_s, count(*) AS queries FROM (
        SELECT vantage, sent_s, lost, min(sent_s) FILTER (WHERE NOT lost) OVER ({_IN_ORDER}
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS answered_s
        FROM queries WHERE sent_s >= 0)
    WHERE lost GROUP BY vantage, answered_s ORDER BY vantage, first_s"""

# Those of one second, of several measurements, are one for the spacing. What lies across the change is the time until
# the first query after it, and no spacing of theirs.
_SENT = f"""
    SELECT vantage, count(*) FILTER (WHERE sent_s < 0 AND NOT is_aside) AS telling_before,
        count(*) FILTER (WHERE sent_s >= 0 AND NOT is_aside) AS telling_after,
        count(*) FILTER (WHERE sent_s < 0 AND lost) AS lost_before, count(*) FILTER (WHERE sent_s >= 0) AS queries,
        min(sent_s) FILTER (WHERE sent_s >= 0 AND NOT is_aside) AS first_s,
        coalesce(median(spacing_s) FILTER (WHERE sent_s - spacing_s >= 0 AND spacing_s > 0),
            median(spacing_s) FILTER (WHERE spacing_s > 0)) AS resolution_s
    FROM (SELECT *, sent_s - lag(sent_s) OVER ({_IN_ORDER}) AS spacing_s FROM queries)
    GROUP BY vantage ORDER BY length(vantage), vantage"""

# The round trips of answers that name a site; those of one that was under way at the change are neither's.
_TIMES = f"""
    SELECT vantage, list(rtt_ms ORDER BY sent_s) FILTER (WHERE is_before),
        list((sent_s, rtt_ms) ORDER BY sent_s) FILTER (WHERE sent_s >= 0)
    FROM queries WHERE rtt_ms IS NOT NULL AND outcome = '{Outcome.IDENTIFIED}'
    GROUP BY vantage"""

_MOST_ON_THE_WAY = 20
_MOST_MOVES = 20

Gap = tuple[float | None, float, float, int]
"""When the next query was sent that was answered, when the first and the last were sent that were not, how many."""


def convergence(
    con: duckdb.DuckDBPyConnection, target: Target, window: Window, change_at: float, until: float | None = None
) -> Numbers:
    """Return how each vantage point of a target went through the change at `change_at` (seconds since 1970 UTC).

    Reads the view `judged` that assigning leaves, in the (bounded) window, of queries that were sent before `until`.
    Times are those of sending, in seconds from the change on; they are no more exact than `resolution_s`, the spacing
    of a vantage point's queries, and nothing is known of the time before its first one (`asked_late` where that came
    much later than the spacing). A loss window lasts from the first lost query to the next one that was answered; an
    open one to the last query sent, at least.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE queries AS "
        + _QUERIES.format(
            change_at=repr(change_at),
            target=quote(target.address),
            start=repr(window.start),
            until=repr(window.end if until is None else until),
        )
    )
    before, after = defaultdict[str, list[Stretch]](list), defaultdict[str, list[Stretch]](list)
    for vantage, is_before, outcome, text, first_s, last_s, answers in con.execute(_STRETCHES).fetchall():
        stretch = Stretch(said=Said(outcome, text), first_s=first_s, last_s=last_s, answers=answers)
        (before if is_before else after)[vantage].append(stretch)
    gaps = defaultdict[str, list[Gap]](list)
    for vantage, *gap in con.execute(_GAPS).fetchall():
        gaps[vantage].append((gap[0], gap[1], gap[2], gap[3]))
    times = {vantage: (was or [], now or []) for vantage, was, now in con.execute(_TIMES).fetchall()}
    points = []
    for vantage, earlier, later, lost_before, queries, first_s, resolution_s in con.execute(_SENT).fetchall():
        lost = gaps[vantage]
        at_last = sum(count for answered_s, _, _, count in lost if answered_s is None)
        sent = Sent(before=earlier, after=later, lost_before=lost_before, lost_at_last=at_last)
        course = follow(before[vantage], after[vantage], sent)
        point = _told(vantage, course) | _timed(course, *times.get(vantage, ([], [])))
        is_settled = course.fate is not Fate.UNAFFECTED and course.settled_s is not None
        point["settled_at_once"] = is_settled and first_s is not None and course.settled_s <= first_s
        point |= {"queries": queries, "lost": sum(gap[3] for gap in lost), **_longest(lost)}
        point |= {"resolution_s": rounded(resolution_s), "first_query_s": rounded(first_s)}
        points.append(point | {"asked_late": _is_late(first_s, resolution_s)})
    found: Numbers = {"service": target.service, "target": target.address, "af": target.af, **_totals(points)}
    found["change_at"] = iso_time(change_at)
    found["summary"] = summary(found)
    found["vantage_points"] = points
    return found


def _is_late(first_s: float | None, resolution_s: float | None) -> bool:
    """Tell whether the first query after the change left open for much longer than the others do how it went."""
    return first_s is not None and resolution_s is not None and first_s - resolution_s > resolution_s


def _longest(gaps: Sequence[Gap]) -> Numbers:
    """Return the longest of the gaps: for how long nothing was answered, and whether anything has been since."""
    if not gaps:
        return {"loss_window_s": None, "loss_window_open": False}
    lengths = [(last_s if answered_s is None else answered_s) - first_s for answered_s, first_s, last_s, _ in gaps]
    longest = max(range(len(gaps)), key=lambda at: (lengths[at], gaps[at][0] is None))
    return {"loss_window_s": rounded(lengths[longest]), "loss_window_open": gaps[longest][0] is None}


def _told(vantage: str, course: Course) -> Numbers:
    return {
        "vantage": vantage,
        "fate": course.fate.value,
        "site_before": course.before[0].site if course.before else None,
        "site_after": course.after[0].site if course.after else None,
        "before": [_said(said) for said in course.before[:_MOST_ON_THE_WAY]],
        "on_the_way": [_stretch(one) for one in course.on_the_way[:_MOST_ON_THE_WAY]],
        "strays": [_stretch(one) for one in course.strays[:_MOST_ON_THE_WAY]],
        "after": [_said(said) for said in course.after[:_MOST_ON_THE_WAY]],
        "converged_after_s": rounded(course.settled_s),
    }


def _timed(course: Course, was_ms: Sequence[float], now: Sequence[Timed]) -> Numbers:
    """Return how round trips changed; only of who stayed at one site does that tell that the way is another."""
    rise = find_rise(was_ms, now)
    stayed = course.fate is Fate.UNAFFECTED and len(course.after) == 1
    return {
        "rtt_ms_before": rounded(rise.before_ms),
        "rtt_ms_after": rounded(rise.after_ms),
        "rtt_changed_after_s": rounded(rise.since_s) if stayed else None,
    }


def _stretch(one: Stretch) -> Numbers:
    times = {"first_s": rounded(one.first_s), "last_s": rounded(one.last_s)}
    return _said(one.said) | times | {"answers": one.answers}


def _said(said: Said) -> Numbers:
    return {"site": said.site, "text": None if said.site is not None else said.text, "outcome": said.outcome}


def _totals(points: Sequence[Numbers]) -> Numbers:
    fates = Counter(point["fate"] for point in points)
    settled = [point for point in points if point["fate"] != Fate.UNAFFECTED and point["converged_after_s"] is not None]
    times = sorted(point["converged_after_s"] for point in settled)
    resolutions = sorted(point["resolution_s"] for point in points if point["resolution_s"] is not None)
    late = sorted(point["first_query_s"] for point in points if point["asked_late"])
    worst = max(
        (point for point in points if point["loss_window_s"] is not None),
        key=lambda point: (point["loss_window_s"], point["loss_window_open"]),
        default=None,
    )
    moves = Counter(
        (_label(point["before"]), _label(point["after"])) for point in points if point["fate"] in _MOVED
    ).most_common(_MOST_MOVES)
    return {
        "totals": {"vantage_points": len(points)} | {fate.value.replace("-", "_"): fates[fate.value] for fate in Fate},
        "moves": [{"from": before, "to": after, "vantage_points": count} for (before, after), count in moves],
        "converged_after_s": {
            "vantage_points": len(times),
            "at_once": sum(point["settled_at_once"] for point in settled),
            **{name: _quantile(times, share) for name, share in (("p50", 0.5), ("p90", 0.9), ("max", 1.0))},
        },
        "rerouted": _rerouted([point for point in points if point["rtt_changed_after_s"] is not None]),
        "queries": sum(point["queries"] for point in points),
        "lost": sum(point["lost"] for point in points),
        "loss_window": worst
        and {"vantage": worst["vantage"], "seconds": worst["loss_window_s"], "open": worst["loss_window_open"]},
        "resolution_s": _quantile(resolutions, 0.5),
        "asked_late": {"vantage_points": len(late), "min": late[0] if late else None, "max": _quantile(late, 1.0)},
    }


def _rerouted(points: Sequence[Numbers]) -> Numbers:
    """Count who stayed and is answered in another time since; RTTs are medians of theirs."""
    since = sorted(point["rtt_changed_after_s"] for point in points)
    times = {
        key: rounded(median(point[key] for point in points)) if points else None
        for key in ("rtt_ms_before", "rtt_ms_after")
    }
    return {"vantage_points": len(points), **times, "p50": _quantile(since, 0.5), "max": _quantile(since, 1.0)}


_MOVED = (Fate.CHANGED, Fate.CAUGHT)


def _label(said: Sequence[Numbers]) -> str:
    return "+".join(one["text"] if one["site"] is None else one["site"] for one in said)


def _quantile(ordered: Sequence[float], share: float) -> Any:
    """Return the least value that this share of them does not exceed."""
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)] if ordered else None
