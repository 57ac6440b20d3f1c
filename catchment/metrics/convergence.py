"""How a change of routes took hold, from a stream of DNS queries: who answered when, and what was lost on the way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import duckdb

from catchment.engine import quote
from catchment.metrics.settling import Course, Fate, Said, Stretch, follow
from catchment.metrics.values import Numbers, iso_time, rounded
from catchment.model import Target, Window

# Every query of the target, with its time from the change on, and what its answer says. What asks for no identity is
# left out; an answer that nobody can read is one all the same. What could not be sent is no query.
_QUERIES = """
    SELECT vantage, measured_at - {change_at} AS sent_s, rtt_ms, raw_file, raw_record, raw_item,
        coalesce(failure IN ('timeout', 'network'), FALSE) AS lost,
        CASE WHEN failure IS NULL THEN outcome END AS outcome,
        CASE WHEN failure IS NULL THEN coalesce(site, nullif(identity, ''), rcode, 'no code') END AS said
    FROM judged
    WHERE kind = 'dns' AND target = {target} AND window_start = {start} AND outcome IS DISTINCT FROM 'beside'
        AND failure IS DISTINCT FROM 'probe-failed'"""
_IN_ORDER = "PARTITION BY vantage ORDER BY sent_s, raw_file, raw_record, raw_item"

# Answers in a row that say the same. An answer that was under way at the change may come from either side of it: to
# what was before belong only those that had come by then.
_STRETCHES = f"""
    SELECT vantage, is_before, outcome, said, min(sent_s), max(sent_s), count(*) FROM (
        SELECT *, sum(is_new::INTEGER) OVER ({_IN_ORDER}) AS stretch FROM (
            SELECT *, sent_s + coalesce(rtt_ms, 0) / 1000 <= 0 AS is_before,
                coalesce((is_before, outcome, said) <> lag((is_before, outcome, said)) OVER ({_IN_ORDER}), TRUE)
                    AS is_new
            FROM queries WHERE said IS NOT NULL))
    GROUP BY vantage, is_before, outcome, said, stretch ORDER BY vantage, min(sent_s), stretch"""

# Queries in a row without an answer: those that have the same next answer; NULL is none.
_GAPS = f"""
    SELECT vantage, answered_s, min(sent_s) AS first_s, max(sent_s) AS last_s, count(*) AS queries FROM (
        SELECT vantage, sent_s, lost, min(sent_s) FILTER (WHERE NOT lost) OVER ({_IN_ORDER}
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS answered_s
        FROM queries WHERE sent_s >= 0)
    WHERE lost GROUP BY vantage, answered_s ORDER BY vantage, first_s"""

# Those of one second, of several measurements, are one for the spacing.
_SENT = f"""
    SELECT vantage, count(*) FILTER (WHERE sent_s >= 0) AS queries,
        count(*) FILTER (WHERE sent_s >= 0 AND NOT lost) AS answered,
        coalesce(median(spacing_s) FILTER (WHERE sent_s >= 0 AND spacing_s > 0),
            median(spacing_s) FILTER (WHERE spacing_s > 0)) AS resolution_s
    FROM (SELECT *, sent_s - lag(sent_s) OVER ({_IN_ORDER}) AS spacing_s FROM queries)
    GROUP BY vantage ORDER BY length(vantage), vantage"""

# A last query without an answer, or two, may be chance.
_SILENT = 3
_MOST_ON_THE_WAY = 20
_MOST_MOVES = 20

Gap = tuple[float | None, float, float, int]
"""When the next query was sent that was answered, when the first and the last were sent that were not, how many."""


def convergence(con: duckdb.DuckDBPyConnection, target: Target, window: Window, change_at: float) -> Numbers:
    """Return how each vantage point of a target went through the change at `change_at` (seconds since 1970 UTC).

    Reads the view `judged` that assigning leaves, in the (bounded) window. Times are those of sending, in seconds from
    the change on; they are no more exact than `resolution_s`, the spacing of a vantage point's queries. A loss window
    lasts from the first lost query to the next one that was answered; an open one to the last query sent, at least.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE queries AS "
        + _QUERIES.format(change_at=repr(change_at), target=quote(target.address), start=repr(window.start))
    )
    before, after = defaultdict[str, list[Stretch]](list), defaultdict[str, list[Stretch]](list)
    for vantage, is_before, outcome, text, first_s, last_s, answers in con.execute(_STRETCHES).fetchall():
        stretch = Stretch(said=Said(outcome, text), first_s=first_s, last_s=last_s, answers=answers)
        (before if is_before else after)[vantage].append(stretch)
    gaps = defaultdict[str, list[Gap]](list)
    for vantage, *gap in con.execute(_GAPS).fetchall():
        gaps[vantage].append((gap[0], gap[1], gap[2], gap[3]))
    points = []
    for vantage, queries, answered, resolution_s in con.execute(_SENT).fetchall():
        lost = gaps[vantage]
        last_lost = sum(count for answered_s, _, _, count in lost if answered_s is None)
        is_silent = queries > 0 and (answered == 0 or last_lost >= _SILENT)
        course = follow(before[vantage], after[vantage], is_silent=is_silent)
        sent = {"queries": queries, "lost": sum(gap[3] for gap in lost), **_longest(lost)}
        points.append(_told(vantage, course) | sent | {"resolution_s": rounded(resolution_s)})
    found: Numbers = {"service": target.service, "target": target.address, "af": target.af, **_totals(points)}
    found["change_at"] = iso_time(change_at)
    found["summary"] = summary(found)
    found["vantage_points"] = points
    return found


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
        "on_the_way": [
            _said(one.said) | {"first_s": rounded(one.first_s), "last_s": rounded(one.last_s), "answers": one.answers}
            for one in course.on_the_way[:_MOST_ON_THE_WAY]
        ],
        "after": [_said(said) for said in course.after[:_MOST_ON_THE_WAY]],
        "converged_after_s": rounded(course.settled_s),
    }


def _said(said: Said) -> Numbers:
    return {"site": said.site, "text": None if said.site is not None else said.text, "outcome": said.outcome}


def _totals(points: Sequence[Numbers]) -> Numbers:
    fates = Counter(point["fate"] for point in points)
    times = sorted(
        point["converged_after_s"]
        for point in points
        if point["fate"] != Fate.UNAFFECTED and point["converged_after_s"] is not None
    )
    resolutions = sorted(point["resolution_s"] for point in points if point["resolution_s"] is not None)
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
            **{name: _quantile(times, share) for name, share in (("p50", 0.5), ("p90", 0.9), ("max", 1.0))},
        },
        "queries": sum(point["queries"] for point in points),
        "lost": sum(point["lost"] for point in points),
        "loss_window": worst
        and {"vantage": worst["vantage"], "seconds": worst["loss_window_s"], "open": worst["loss_window_open"]},
        "resolution_s": _quantile(resolutions, 0.5),
    }


_MOVED = (Fate.CHANGED, Fate.CAUGHT)


def _label(said: Sequence[Numbers]) -> str:
    return "+".join(one["text"] if one["site"] is None else one["site"] for one in said)


def _quantile(ordered: Sequence[float], share: float) -> Any:
    """Return the least value that this share of them does not exceed."""
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)] if ordered else None


def summary(found: Numbers) -> str:
    """Say in a few sentences how a target went through the change."""
    totals, times = found["totals"], found["converged_after_s"]
    asked = totals["vantage_points"] - totals["not_asked"]
    if not asked:
        return "No DNS query was sent after the change: nobody knows how it went."
    told = [
        f"{totals[key]} {words}"
        for key, words in (
            ("changed", "changed site"),
            ("caught", "ended with somebody else"),
            ("found", "found a site at last"),
            ("returned", "left and came back"),
            ("never_settled", "never settled"),
            ("silent", "got no answer any more"),
            ("never_answered", "never got an answer"),
            ("unaffected", "stayed where they were"),
        )
        if totals[key]
    ]
    said = f"Of {asked} vantage point{'' if asked == 1 else 's'} {', '.join(told)}."
    if times["vantage_points"]:
        said += f" {_settled(times, found['resolution_s'])}"
    if not found["lost"]:
        return f"{said} None of {found['queries']:,} queries was lost."
    share = 100 * found["lost"] / found["queries"]
    worst = found["loss_window"]
    lasted = f"{_seconds(worst['seconds'])} at {worst['vantage']}"
    until = f"at least {lasted}, and no answer came any more" if worst["open"] else lasted
    return (
        f"{said} {found['lost']:,} of {found['queries']:,} queries were lost ({share:.1f} %), the longest gap {until}."
    )


def _settled(times: Numbers, resolution_s: float | None) -> str:
    """Say within what time those settled who had to; the first query after the change tells no more than its time."""
    every = f"a query every {_seconds(resolution_s, 2)}" if resolution_s else "a single query"
    if resolution_s is None or times["max"] <= resolution_s:
        return f"Who settled had done so by the first query after the change ({every})."
    half, whole = _seconds(times["p50"]), _seconds(times["max"])
    return f"Who settled had done so within {whole} of the change (half within {half}, with {every})."


def _seconds(time_s: float, digits: int = 3) -> str:
    return f"{time_s:.{digits}g} s" if time_s < 10 else f"{time_s:,.0f} s"
