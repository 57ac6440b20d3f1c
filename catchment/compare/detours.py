"""Whose packets take another way to the same site: a route leak moves nobody, and makes the way longer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import duckdb

from catchment.compare.delays import is_slower
from catchment.compare.pairing import TargetPair
from catchment.engine import quote
from catchment.metrics import Numbers, rounded
from catchment.metrics.paths import Route, is_same_way, named, read_route

_MOST_COMPARED = 5_000  # at most four traceroutes each, of which a thousand take a third of a second
_MOST_LISTED = 10
_MOST_HOPS = 40

Record = tuple[str, int]
"""A raw file of a run, and which record of it."""

# One row for each traceroute of those who reach the same site on both sides, and have some on both.
_TRACED = f"""
    SELECT p.vantage, p.site_after, p.country, k.country AS site_country, p.latitude, p.longitude,
        b.raw_file, b.raw_record, a.raw_file, a.raw_record
    FROM (
        SELECT * FROM paired
        SEMI JOIN (SELECT vantage FROM traces_before WHERE target = {{before}}) AS t USING (vantage)
        SEMI JOIN (SELECT vantage FROM traces_after WHERE target = {{after}}) AS u USING (vantage)
        WHERE NOT moved ORDER BY md5(vantage) LIMIT {_MOST_COMPARED}) AS p
    JOIN traces_before AS b ON b.vantage = p.vantage AND b.target = {{before}}
    JOIN traces_after AS a ON a.vantage = p.vantage AND a.target = {{after}} AND a.age = 1
    LEFT JOIN (SELECT site, min(site_country) AS country FROM site_countries WHERE service = {{service}} GROUP BY site)
        AS k ON k.site = p.site_after
    ORDER BY length(p.vantage), p.vantage, b.age"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """How raw traceroutes are had: `read` takes a side and records of it, and yields what it finds, with the bytes.

    `names` gives those of routers, by address.
    """

    read: Callable[[str, Collection[Record]], Iterable[tuple[Record, bytes]]]
    names: Callable[[], Mapping[str, str]] = dict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The last way of a vantage point before and after, and whether it took the later one before."""

    vantage: str
    site: str
    own: frozenset[str]
    before: Route
    after: Route
    is_known: bool

    @property
    def rise_ms(self) -> float:
        return (self.after.rtt_ms or 0.0) - (self.before.rtt_ms or 0.0)

    @property
    def is_longer(self) -> bool:
        is_more = self.before.is_whole and self.after.is_whole and len(self.after.hops) > len(self.before.hops)
        return not self.is_known and (is_more or is_slower(self.before.rtt_ms, self.after.rtt_ms))

    @property
    def joined(self) -> frozenset[str]:
        return self.after.countries - self.before.countries - self.own

    @property
    def left(self) -> frozenset[str]:
        return self.before.countries - self.after.countries - self.own


def find_detours(con: duckdb.DuckDBPyConnection, pair: TargetPair, tracing: Tracing) -> Numbers | None:
    """Hold the last path after against the last few before, for those of `paired` who stayed at their site.

    None where one of the sides has no traceroute that reached the target. A path that was taken before is not changed;
    a changed one is longer if it has more routers or is slower, which takes clearly more time. Countries are those of
    routers whose place is known, but for the vantage point's own and the site's; it `leads_through` those that at least
    half of the slower paths have joined. Reads `traces_before` and `traces_after`.
    """
    before, after = (quote(target.address) for target in pair)
    for side, target in (("before", before), ("after", after)):
        if not con.execute(f"SELECT 1 FROM traces_{side} WHERE target = {target} LIMIT 1").fetchall():
            return None
    rows = con.execute(_TRACED.format(before=before, after=after, service=quote(pair[1].service or ""))).fetchall()
    found = _pairs(rows, tracing)
    changed = [one for one in found if not one.is_known]
    longer = [one for one in changed if one.is_longer]
    slower = [one for one in longer if is_slower(one.before.rtt_ms, one.after.rtt_ms)]
    listed = sorted(changed, key=lambda one: -one.rise_ms)[:_MOST_LISTED]
    return {
        "compared": len(found),
        "changed": len(changed),
        "longer": len(longer),
        "slower": len(slower),
        "rise_ms": rounded(median([one.rise_ms for one in slower])) if slower else None,
        "leads_through": _shared(slower),
        "countries_joined": _count(one.joined for one in changed),
        "countries_left": _count(one.left for one in changed),
        "listed": [_told(one) for one in listed],
    }


def _pairs(rows: Sequence[tuple[Any, ...]], tracing: Tracing) -> list[_Pair]:
    earlier = _routes("before", {row[6:8] for row in rows}, tracing)
    later = _routes("after", {row[8:10] for row in rows}, tracing)
    ways: dict[str, tuple[tuple[Any, ...], list[Route]]] = {}
    for row in rows:
        if row[6:8] in earlier and row[8:10] in later:
            ways.setdefault(row[0], (row, []))[1].append(earlier[row[6:8]])
    names = tracing.names() if ways else {}
    return [_pair(row, known, later[row[8:10]], names) for row, known in ways.values()]


def _routes(side: str, wanted: Collection[Record], tracing: Tracing) -> dict[Record, Route]:
    found = ((one, read_route(raw)) for one, raw in tracing.read(side, wanted))
    return {one: route for one, route in found if route is not None}


def _pair(row: tuple[Any, ...], known: Sequence[Route], later: Route, names: Mapping[str, str]) -> _Pair:
    vantage, site, country, site_country, *place = row[:6]
    start = None if None in place else (place[0], place[1])
    is_known = any(is_same_way(one, later) for one in known)
    before, after = (known[0], later) if is_known else (named(one, names, start) for one in (known[0], later))
    own = frozenset({country, site_country})
    return _Pair(vantage=vantage, site=site, own=own, before=before, after=after, is_known=is_known)


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
        "before": [str(hop) for hop in one.before.hops[:_MOST_HOPS]],
        "after": [str(hop) for hop in one.after.hops[:_MOST_HOPS]],
    }
