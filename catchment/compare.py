"""Before and after: who moved where, what it did to their latency, and what merely flaps.

Only vantage points assigned on both sides are compared; the others are counted, with their verdicts as the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from catchment.engine import fill_table
from catchment.geo import CONTINENT_OF
from catchment.metrics import ASSIGNED_LIST, Numbers, rounded, share_of
from catchment.model import Grouping, Level, Service, Target

TargetPair = tuple[Target, Target]

_NAMED_MOVES = 3
_NAMELESS = "its server has no name"
# What is compared, of one side: a server has the name that its identity gives it, below its site's.
_PLACE = {
    Level.SERVER: "CASE WHEN server IS NOT NULL THEN site || '/' || server END",
    Level.SITE: "site",
    Level.COUNTRY: "site_country",
}
# Who sees several servers of a site in one run is behind a load balancer, and moves between them all the time.
_FLAPPING = {
    Level.SERVER: "flips > 0 OR servers_seen > 1",
    Level.SITE: "flips > 0",
    Level.COUNTRY: "flips > 0",
}
_SIDE = """(
    SELECT s.*, {place} AS place, {flapping} AS flapping
    FROM assignments_{side} AS s LEFT JOIN site_countries AS k USING (service, site) WHERE target = ${side})"""
# One row for each vantage point of either side. Reads `assignments_before`, `assignments_after`, `continents`,
# `site_countries`, and `vantage_points` (of both runs, the later place of each).
_BOTH = f"""
    SELECT coalesce(b.vantage, a.vantage) AS vantage, b.place AS "from", a.place AS "to",
        b.rtt_ms_median AS rtt_ms_before, a.rtt_ms_median AS rtt_ms_after,
        coalesce(b.verdict, 'no-result') AS verdict_before, coalesce(a.verdict, 'no-result') AS verdict_after,
        coalesce(b.verdict IN ({ASSIGNED_LIST}), FALSE) AS assigned_before,
        coalesce(a.verdict IN ({ASSIGNED_LIST}), FALSE) AS assigned_after,
        (b.site IS NOT NULL AND b.place IS NULL) OR (a.site IS NOT NULL AND a.place IS NULL) AS placeless,
        coalesce(b.flapping, FALSE) OR coalesce(a.flapping, FALSE) AS flapping,
        CAST(CASE WHEN coalesce(a.af, b.af) = 6 THEN v.asn_v6 ELSE v.asn_v4 END AS VARCHAR) AS asn,
        v.country, c.continent
    FROM {{before}} AS b
    FULL JOIN {{after}} AS a ON a.vantage = b.vantage
    LEFT JOIN vantage_points AS v ON v.vantage = coalesce(b.vantage, a.vantage)
    LEFT JOIN continents AS c ON c.country = v.country"""
_KEY = {"site": '"from"', "verdict": "verdict_before", "country": "country", "asn": "asn", "continent": "continent"}


def pair_targets(before: Sequence[Target], after: Sequence[Target]) -> list[TargetPair]:
    """Pair the targets of two runs: by address, else by service and address family where each side has one such.

    So a service that was renumbered between the runs is still compared with itself.
    """
    by_address = {target.address: target for target in after}
    pairs = [(target, by_address[target.address]) for target in before if target.address in by_address]
    paired = {target.address for target, _ in pairs}
    left = [target for target in before if target.address not in paired and target.service is not None]
    right = [target for target in after if target.address not in paired and target.service is not None]
    for target in left:
        mine = [other for other in left if (other.service, other.af) == (target.service, target.af)]
        theirs = [other for other in right if (other.service, other.af) == (target.service, target.af)]
        if len(mine) == len(theirs) == 1:
            pairs.append((target, theirs[0]))
    return pairs


def compare(
    con: duckdb.DuckDBPyConnection,
    pairs: Sequence[TargetPair],
    services: Sequence[Service],
    *,
    by: Grouping | None = None,
    level: Level = Level.SITE,
) -> Numbers:
    """Return what moved between the tables `assignments_before` and `assignments_after`, target by target.

    `level` says between what: servers, sites (one a town) or countries. Servers have names as far as identities tell.
    """
    fill_table(con, "continents (country VARCHAR, continent VARCHAR)", list(CONTINENT_OF.items()))
    countries = [(service.name, site.code, site.country) for service in services for site in service.sites]
    fill_table(con, "site_countries (service VARCHAR, site VARCHAR, site_country VARCHAR)", countries)
    return {"level": level.value, "targets": [_compare_target(con, pair, by, level) for pair in pairs]}


def _compare_target(con: duckdb.DuckDBPyConnection, pair: TargetPair, by: Grouping | None, level: Level) -> Numbers:
    before, after = pair
    sides = {
        side: _SIDE.format(place=_PLACE[level], flapping=_FLAPPING[level], side=side) for side in ("before", "after")
    }
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE both_sides AS {_BOTH.format(**sides)}",
        {"before": before.address, "after": after.address},
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE paired AS SELECT *, "from" <> "to" AS moved FROM both_sides
        WHERE assigned_before AND assigned_after AND NOT placeless"""
    )
    paired, moved, moved_flapping = con.execute(
        "SELECT count(*), count(*) FILTER (WHERE moved), count(*) FILTER (WHERE moved AND flapping) FROM paired"
    ).fetchall()[0]
    only_before, only_after = con.execute(
        """SELECT count(*) FILTER (WHERE assigned_before AND NOT assigned_after),
            count(*) FILTER (WHERE assigned_after AND NOT assigned_before) FROM both_sides"""
    ).fetchall()[0]
    found: Numbers = {
        "service": after.service,
        "target": after.address,
        "af": after.af,
        "target_before": before.address,
        "paired": paired,
        "only_before": only_before,
        "only_after": only_after,
        "moved": moved,
        "moved_share": share_of(moved, paired),
        "moved_flapping": moved_flapping,
        "total_variation": _total_variation(con),
        "moves": _moves(con),
        "sites": _sites(con),
        "rtt_ms": {"moved": _latency(con, "moved"), "unmoved": _latency(con, "NOT moved")},
        "floor": None,
        "excluded": _excluded(con),
    }
    found["summary"] = summary(found, level)
    if by is not None:
        found["by"] = by.value
        found["groups"] = _groups(con, by)
    return found


def _moves(con: duckdb.DuckDBPyConnection) -> list[Numbers]:
    rows = con.execute(
        """SELECT "from", "to", count(*) AS n, median(rtt_ms_before), median(rtt_ms_after)
        FROM paired WHERE moved GROUP BY "from", "to" ORDER BY n DESC, "from", "to" """
    ).fetchall()
    keys = ("from", "to", "vantage_points", "rtt_ms_before", "rtt_ms_after")
    return [dict(zip(keys, map(rounded, row), strict=True)) for row in rows]


def _sites(con: duckdb.DuckDBPyConnection) -> list[Numbers]:
    """Count each site's vantage points among the paired; p, q and ci stay empty until there are statistics."""
    rows = con.execute(
        """SELECT site, sum(b) AS before, sum(a) AS after, sum(b * m) AS gone, sum(a * m) AS came FROM (
            SELECT "from" AS site, 1 AS b, 0 AS a, CAST(moved AS INTEGER) AS m FROM paired
            UNION ALL SELECT "to", 0, 1, CAST(moved AS INTEGER) FROM paired)
        GROUP BY site ORDER BY greatest(sum(b), sum(a)) DESC, site"""
    ).fetchall()
    return [
        {"site": site, "before": int(before), "after": int(after), "left": int(gone), "joined": int(came)}
        | {"p": None, "q": None, "ci": None}
        for site, before, after, gone, came in rows
    ]


def _total_variation(con: duckdb.DuckDBPyConnection) -> float | None:
    """Return half the sum of what shares changed by: less than the share that moved, because swaps cancel in it."""
    (half,) = con.execute(
        """SELECT sum(abs(balance)) / 2 FROM (
            SELECT site, sum(w) AS balance FROM (
                SELECT "from" AS site, -1 AS w FROM paired UNION ALL SELECT "to", 1 FROM paired)
            GROUP BY site)"""
    ).fetchall()[0]
    (paired,) = con.execute("SELECT count(*) FROM paired").fetchall()[0]
    return None if half is None else rounded(half / paired)


def _latency(con: duckdb.DuckDBPyConnection, condition: str) -> Numbers:
    """Return the median RTT before and after, and the median of each vantage point's own change."""
    count, before, after, change = con.execute(
        f"""SELECT count(*), median(rtt_ms_before), median(rtt_ms_after), median(rtt_ms_after - rtt_ms_before)
        FROM paired WHERE {condition}"""
    ).fetchall()[0]
    return {
        "vantage_points": count,
        "before": rounded(before),
        "after": rounded(after),
        "change": rounded(change),
    }


def _excluded(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Count the vantage points that could not be compared, by what was the matter on which side."""
    rows = con.execute(
        f"""SELECT CASE WHEN assigned_before AND assigned_after THEN '{_NAMELESS}'
                WHEN assigned_before THEN 'after: ' || verdict_after
                WHEN assigned_after THEN 'before: ' || verdict_before
                WHEN verdict_before = verdict_after THEN 'both: ' || verdict_before
                ELSE 'before: ' || verdict_before || ', after: ' || verdict_after END AS reason, count(*) AS n
        FROM both_sides ANTI JOIN paired USING (vantage) GROUP BY reason ORDER BY n DESC, reason"""
    ).fetchall()
    return dict(rows)


def _groups(con: duckdb.DuckDBPyConnection, by: Grouping) -> list[Numbers]:
    rows = con.execute(
        f"""SELECT {_KEY[by]} AS key, count(*) AS n, count(*) FILTER (WHERE moved), median(rtt_ms_before),
            median(rtt_ms_after)
        FROM paired GROUP BY key ORDER BY n DESC, key"""
    ).fetchall()
    return [
        {
            "key": key,
            "paired": paired,
            "moved": moved,
            "moved_share": share_of(moved, paired),
            "rtt_ms": {"before": rounded(before), "after": rounded(after)},
        }
        for key, paired, moved, before, after in rows
    ]


def summary(found: Numbers, level: Level = Level.SITE) -> str:
    """Say in one or two sentences what the comparison of one target found: first what concerns most vantage points."""
    paired, moved = found["paired"], found["moved"]
    where = "" if level is Level.SITE else f" to another {level}"
    nameless = found["excluded"].get(_NAMELESS, 0)
    if paired == 0:
        if nameless:
            return f"No identity names the server of {_vantage_points(nameless)}: compare with --level site."
        return f"No vantage point reached a site both before and after.{_unpaired(found)}"
    if moved == 0:
        said = f"None of {_vantage_points(paired)}{' that did both times' if _outweighed(found) else ''} moved{where}."
    else:
        said = (
            f"{moved} of {_vantage_points(paired)} moved{where} ({100 * moved / paired:.1f} %): {_named_moves(found)}."
        )
    if _outweighed(found):
        return f"{_unpaired(found).strip()} {said}"
    return said + _unpaired(found)


def _vantage_points(count: int) -> str:
    return f"{count} vantage point{'' if count == 1 else 's'}"


def _outweighed(found: Numbers) -> bool:
    """Tell whether more vantage points lost or found a site altogether than can be compared."""
    return bool(max(found["only_before"], found["only_after"]) > found["paired"])


def _unpaired(found: Numbers) -> str:
    """Say how many reached a site on one side only, and what was the matter on the other."""
    sides = []
    for side, other in (("before", "after"), ("after", "before")):
        count = found[f"only_{side}"]
        if count:
            reasons = [
                f"{key.removeprefix(f'{other}: ')} {n}"
                for key, n in found["excluded"].items()
                if key.startswith(f"{other}: ") and "," not in key
            ]
            sides.append(f"{count} reached a site only {side} ({other}: {', '.join(reasons[:_NAMED_MOVES])})")
    return f" {', '.join(sides)}." if sides else ""


def _named_moves(found: Numbers) -> str:
    top = ", ".join(f"{move['from']} → {move['to']} {move['vantage_points']}" for move in found["moves"][:_NAMED_MOVES])
    more = len(found["moves"]) - _NAMED_MOVES
    others = f" and {more} other moves" if more > 1 else " and one other move" if more == 1 else ""
    latency = found["rtt_ms"]["moved"]
    if latency["before"] is None or latency["after"] is None:
        return top + others
    return f"{top}{others}; their median RTT went from {latency['before']:.1f} to {latency['after']:.1f} ms"
