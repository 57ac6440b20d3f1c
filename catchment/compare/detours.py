"""Whose packets take another way to the same site: a route leak moves nobody, and makes the way longer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import duckdb

from catchment.compare.pairing import TargetPair
from catchment.engine import quote
from catchment.metrics import Numbers, rounded
from catchment.metrics.paths import Route, is_same_way, named, read_route
from catchment.metrics.rises import is_slower

_MOST_COMPARED = 3_000  # at most six traceroutes each, of which a thousand take a third of a second
_MOST_LISTED = 10
_MOST_HOPS = 40

Record = tuple[str, int]
"""A raw file of a run, and which record of it, from 1."""

# One row for each of those who stayed at their site and have traceroutes on both sides, the latest first.
_TRACED = f"""
    SELECT p.vantage, p.site_after, p.country, k.country AS site_country, p.latitude, p.longitude, b.traces, a.traces
    FROM stayed AS p
    JOIN (SELECT vantage, list((raw_file, raw_record) ORDER BY age) AS traces FROM traces_before
        WHERE target = {{before}} GROUP BY vantage) AS b USING (vantage)
    JOIN (SELECT vantage, list((raw_file, raw_record) ORDER BY age) AS traces FROM traces_after
        WHERE target = {{after}} GROUP BY vantage) AS a USING (vantage)
    LEFT JOIN (SELECT site, min(site_country) AS country FROM site_countries WHERE service = {{service}} GROUP BY site)
        AS k ON k.site = p.site_after
    ORDER BY md5(vantage) LIMIT {_MOST_COMPARED}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """How raw traceroutes are had: `read` takes a side and records of it, and yields what it finds, with the bytes.

    `names` gives those of routers, by address.
    """

    read: Callable[[str, Collection[Record]], Iterable[tuple[Record, bytes]]]
    names: Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The last way of a vantage point before and after, and whether it took the later one before.

    `is_slower` holds the last way after against as many of those before as there are after, at most: it is none of them
    and slower than all. `was_known` and `was_slower` are what `is_known` and `is_slower` would be if these traceroutes
    changed sides, and those further back before stayed.
    """

    vantage: str
    site: str
    own: frozenset[str]
    before: Route
    after: Route
    is_known: bool
    was_known: bool
    is_slower: bool
    was_slower: bool

    @property
    def rise_ms(self) -> float:
        return (self.after.rtt_ms or 0.0) - (self.before.rtt_ms or 0.0)

    @property
    def is_longer(self) -> bool:
        is_more = self.before.is_whole and self.after.is_whole and len(self.after.routers) > len(self.before.routers)
        return self.is_slower or is_more

    @property
    def joined(self) -> frozenset[str]:
        return self.after.countries - self.before.countries - self.own

    @property
    def left(self) -> frozenset[str]:
        return self.before.countries - self.after.countries - self.own


def find_detours(con: duckdb.DuckDBPyConnection, pair: TargetPair, tracing: Tracing) -> Numbers | None:
    """Hold the last path after against the last few before, for those who `stayed` at their site.

    None where one of the sides has no traceroute. A path that was taken before is not changed; a changed one is longer
    if it has more routers or is slower, which takes clearly more time than any of the last before, of which no more
    count than there are after. `faster` counts what is slower when as many of the last on either side change places:
    without a change there are as many. `alike` counts both by these traceroutes alone: those further back before know
    the old way of a path that changed for good, which is therefore never `faster`, and not the new one. Countries are
    those of routers whose place is known, but for the vantage point's own and the site's; it `leads_through` those that
    at least half of the slower paths have joined. Those are listed first. Reads `traces_before` and `traces_after`.
    """
    before, after = (quote(target.address) for target in pair)
    for side, target in (("before", before), ("after", after)):
        if not con.execute(f"SELECT 1 FROM traces_{side} WHERE target = {target} LIMIT 1").fetchall():
            return None
    rows = con.execute(_TRACED.format(before=before, after=after, service=quote(pair[1].service or ""))).fetchall()
    found = _pairs(rows, tracing)
    changed = [one for one in found if not one.is_known]
    slower = [one for one in changed if one.is_slower]
    listed = sorted(changed, key=lambda one: (not one.is_slower, -one.rise_ms))[:_MOST_LISTED]
    return {
        "compared": len(found),
        "changed": len(changed),
        "longer": sum(one.is_longer for one in changed),
        "slower": len(slower),
        "faster": sum(one.was_slower and not one.was_known for one in found),
        "alike": {"slower": sum(one.is_slower for one in found), "faster": sum(one.was_slower for one in found)},
        "rise_ms": rounded(median([one.rise_ms for one in slower])) if slower else None,
        "leads_through": _shared(slower),
        "countries_joined": _count(one.joined for one in changed),
        "countries_left": _count(one.left for one in changed),
        "listed": [_told(one) for one in listed],
    }


def _pairs(rows: Sequence[tuple[Any, ...]], tracing: Tracing) -> list[_Pair]:
    earlier = _routes("before", {one for row in rows for one in row[6]}, tracing)
    later = _routes("after", {one for row in rows for one in row[7]}, tracing)
    ways = [
        (row, [earlier[one] for one in row[6] if one in earlier], [later[one] for one in row[7] if one in later])
        for row in sorted(rows, key=lambda row: (len(row[0]), row[0]))
    ]
    ways = [(row, known, since) for row, known, since in ways if known and since]
    names = tracing.names() if ways else {}
    return [_pair(row, known, since, names) for row, known, since in ways]


def _routes(side: str, wanted: Collection[Record], tracing: Tracing) -> dict[Record, Route]:
    found = ((one, read_route(raw)) for one, raw in tracing.read(side, wanted))
    return {one: route for one, route in found if route is not None}


def _pair(row: tuple[Any, ...], known: Sequence[Route], since: Sequence[Route], names: Mapping[str, str]) -> _Pair:
    vantage, site, country, site_country, *place = row[:6]
    start = None if None in place else (place[0], place[1])
    alike = min(len(known), len(since))  # the least of three is less than that of one
    is_known = _is_among(since[0], known)
    before, after = (known[0], since[0]) if is_known else (named(one, names, start) for one in (known[0], since[0]))
    return _Pair(
        vantage=vantage,
        site=site,
        own=frozenset({country, site_country}),
        before=before,
        after=after,
        is_known=is_known,
        was_known=_is_among(known[0], [*since[:alike], *known[alike:]]),
        is_slower=_is_new_and_slow(since[0], known[:alike]),
        was_slower=_is_new_and_slow(known[0], since[:alike]),
    )


def _is_among(route: Route, others: Sequence[Route]) -> bool:
    return any(is_same_way(one, route) for one in others)


def _is_new_and_slow(route: Route, others: Sequence[Route]) -> bool:
    slowest = max((one.rtt_ms for one in others if one.rtt_ms is not None), default=None)
    return not _is_among(route, others) and is_slower(slowest, route.rtt_ms)


def _shared(slower: Sequence[_Pair]) -> list[str]:
    """Return the countries that at least half of the slower paths lead through now and did not before."""
    joined = _count(one.joined for one in slower)
    return [country for country, count in joined.items() if 2 * count >= len(slower)]


def _count(sets: Iterable[frozenset[str]]) -> dict[str, int]:
    counts = Counter(country for countries in sets for country in countries)
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _told(one: _Pair) -> Numbers:
    return {
        "vantage": one.vantage,
        "site": one.site,
        "rtt_ms_before": rounded(one.before.rtt_ms),
        "rtt_ms_after": rounded(one.after.rtt_ms),
        "joined": sorted(one.joined),
        "left": sorted(one.left),
        "before": [str(hop) for hop in one.before.routers[:_MOST_HOPS]],
        "after": [str(hop) for hop in one.after.routers[:_MOST_HOPS]],
    }
