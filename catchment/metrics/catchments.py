"""The catchment of each site: who reaches it, how fast, and how far beyond the nearest one.

Formulas and their sources: closest hit (Schmidt et al., PAM 2017); geographic and latency inflation (Koch et al.,
SIGCOMM 2021, equations 1 and 2, with one sample a vantage point). Distances count only vantage points whose place and
site are both believed (verdicts `ok` and `repaired`); everything else counts in catchments as its verdict says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from catchment.engine import fill_table, quote
from catchment.geo import CONTINENT_OF, IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, LIGHT_KM_PER_MS
from catchment.metrics.changes import count_changes, find_changes
from catchment.metrics.interception import count_intercepted, find_others, list_foreign
from catchment.metrics.site_sets import describe_site_set
from catchment.metrics.testimony import count_confidence, hear_witnesses
from catchment.metrics.values import QUARTILES, Numbers, iso_time, rounded, share_of
from catchment.metrics.verdicts import list_by_verdict, with_listed
from catchment.model import ASSIGNED, PLACED, Grouping, Kind, Service, SiteSet, Target, Verdict, Window

_TOP_IDENTITIES = 50
ASSIGNED_LIST = ", ".join(f"'{verdict}'" for verdict in ASSIGNED)
"""The verdicts whose site counts, as SQL lists them."""
_PLACED = ", ".join(f"'{verdict}'" for verdict in PLACED)
# One row for each vantage point of the target and window, with what groups are made by. Reads `assignments`,
# `vantage_points` and `continents`.
_JOINED = f"""
    SELECT a.*, a.verdict IN ({ASSIGNED_LIST}) AS assigned,
        a.verdict IN ({_PLACED}) AND a.nearest_km IS NOT NULL AND a.distance_km IS NOT NULL AND m.vantage IS NULL
            AS placed,
        v.country, CAST(CASE WHEN a.af = 6 THEN v.asn_v6 ELSE v.asn_v4 END AS VARCHAR) AS asn, c.continent
    FROM assignments AS a
    LEFT JOIN vantage_points AS v USING (vantage)
    LEFT JOIN continents AS c ON c.country = v.country
    LEFT JOIN misplaced_anywhere AS m ON m.vantage = a.vantage AND m.window_start = a.window_start"""
_GEOGRAPHIC = f"(distance_km - nearest_km) / {LIGHT_KM_PER_MS!r}"
_LATENCY = f"rtt_ms_median - 1.5 * nearest_km / {LIGHT_KM_PER_MS!r}"

CONSTANTS = {
    "light_km_per_ms": round(LIGHT_KM_PER_MS, 3),
    "impossible_km_per_ms": IMPOSSIBLE_KM_PER_MS,
    "impossible_slack_km": IMPOSSIBLE_SLACK_KM,
}
"""What distances were turned into times with; printed with every result that uses them."""


def measure(
    con: duckdb.DuckDBPyConnection,
    services: Sequence[Service],
    targets: Sequence[Target],
    window: Window,
    *,
    by: Grouping | None = None,
    site_set: SiteSet = SiteSet.LISTED,
) -> Numbers:
    """Return the numbers of `observations`, `assignments` and `vantage_points` in one window, target by target.

    Totals never add targets up. Shares are of all vantage points with at least one result; `share_assigned` of those
    assigned. Floats are rounded to 6 digits, so that the same tables give the same text.
    """
    fill_table(con, "continents (country VARCHAR, continent VARCHAR)", list(CONTINENT_OF.items()))
    con.execute(f"CREATE OR REPLACE TEMP TABLE joined AS {_JOINED} WHERE a.window_start = {window.start!r}")
    find_others(con)
    find_changes(con)
    by_name = {service.name: service for service in services}
    return {
        "from": iso_time(window.start),
        "to": iso_time(window.end),
        "constants": CONSTANTS,
        "targets": [
            _target(con, target, by_name.get(target.service or ""), window, by=by, site_set=site_set)
            for target in targets
        ],
    }


def _target(
    con: duckdb.DuckDBPyConnection,
    target: Target,
    service: Service | None,
    window: Window,
    *,
    by: Grouping | None,
    site_set: SiteSet,
) -> Numbers:
    # Shares are of those with a result; who never reported is counted among the verdicts only.
    con.execute(
        f"""CREATE OR REPLACE TEMP VIEW of_target AS
        SELECT * FROM joined WHERE target = {quote(target.address)} AND verdict <> '{Verdict.NO_RESULT}'"""
    )
    total, assigned, placed, hits = _row(
        con,
        """SELECT count(*), count(*) FILTER (WHERE assigned), count(*) FILTER (WHERE placed),
            count(*) FILTER (WHERE placed AND site = nearest_site) FROM of_target""",
    )
    verdicts, rules = (
        dict(
            con.execute(
                f"""SELECT {column}, count(*) AS n FROM joined WHERE target = {quote(target.address)}
                GROUP BY {column} ORDER BY n DESC, {column}"""
            ).fetchall()
        )
        for column in ("verdict", "rule")
    )
    found: Numbers = {
        "service": target.service,
        "target": target.address,
        "af": target.af,
        "site_set": describe_site_set(con, service, target, window, site_set),
        "vantage_points": {
            "total": total,
            "assigned": assigned,
            "verdicts": {verdict.value: verdicts[verdict] for verdict in Verdict if verdict in verdicts},
            "confidence": count_confidence(con),
        },
        "rules": rules,
        "witnesses": hear_witnesses(con, target, window),
        "interception": count_intercepted(con, target),
        **_outcomes(con, target, window),
        **_identities(con, target, window),
        "foreign_identities": list_foreign(con, target, window),
        "sites": _sites(con, service, total, assigned),
        "closest_hit": share_of(hits, placed),
        "rtt_ms": _spread(con, "rtt_ms_median", "assigned"),
        "distance_vantage_points": placed,
        "geographic_inflation_ms": _spread(con, _GEOGRAPHIC, "placed", mean=True),
        "latency_inflation_ms": _spread(con, _LATENCY, "placed", mean=True),
        "flips": count_changes(con, target),
    }
    if by is not None:
        found["by"] = by.value
        found["groups"] = _groups(con, by)
    if by is Grouping.VERDICT:
        found["groups"] = with_listed(found["groups"], list_by_verdict(con, target, _within(target, window)))
    return found


def _outcomes(con: duckdb.DuckDBPyConnection, target: Target, window: Window) -> Numbers:
    """Count DNS replies by rcode and failures by kind; pings and traceroutes by whether the target answered."""
    counted = con.execute(
        f"""SELECT kind,
            coalesce(failure, CASE WHEN kind = 'dns' THEN coalesce(rcode, 'no-message') ELSE 'answered' END), count(*)
        FROM observations WHERE {_within(target, window)} GROUP BY ALL ORDER BY 3 DESC, 2"""
    ).fetchall()
    of_kind = {kind.value: {name: count for found, name, count in counted if found == kind} for kind in Kind}
    return {"outcomes": of_kind["dns"], "pings": of_kind["ping"], "traceroutes": of_kind["traceroute"]}


def _identities(con: duckdb.DuckDBPyConnection, target: Target, window: Window) -> Numbers:
    """List the identities most often given, whoever gave them; an empty text is one."""
    where = f"{_within(target, window)} AND identity IS NOT NULL"
    answers, distinct = _row(con, f"SELECT count(*), count(DISTINCT identity) FROM observations WHERE {where}")
    top = con.execute(
        f"""SELECT identity, count(*) AS answers FROM observations WHERE {where}
        GROUP BY identity ORDER BY answers DESC, identity LIMIT {_TOP_IDENTITIES}"""
    ).fetchall()
    return {
        "identities": [{"text": text, "answers": count} for text, count in top],
        "identity_totals": {"answers": answers, "distinct": distinct},
    }


def _within(target: Target, window: Window) -> str:
    return f"target = {quote(target.address)} AND measured_at >= {window.start!r} AND measured_at < {window.end!r}"


def _sites(con: duckdb.DuckDBPyConnection, service: Service | None, total: int, assigned: int) -> list[Numbers]:
    known = {site.code: site for site in service.sites} if service is not None else {}
    rows = con.execute(
        f"""SELECT site, count(*) AS n, {_quantiles("rtt_ms_median")} FROM of_target WHERE assigned
        GROUP BY site ORDER BY n DESC, site"""
    ).fetchall()
    return [
        {
            "site": code,
            "town": known[code].town if code in known else None,
            "country": known[code].country if code in known else None,
            "vantage_points": count,
            "share": share_of(count, total),
            "share_assigned": share_of(count, assigned),
            "rtt_ms": _named(quantiles),
        }
        for code, count, *quantiles in rows
    ]


def _groups(con: duckdb.DuckDBPyConnection, by: Grouping) -> list[Numbers]:
    rows = con.execute(
        f"""SELECT {by} AS key, count(*) AS n, count(*) FILTER (WHERE assigned),
            {_quantiles("rtt_ms_median", "assigned")}
        FROM of_target GROUP BY key ORDER BY n DESC, key"""
    ).fetchall()
    totals = {key: (count, assigned) for key, count, assigned, *_ in rows}
    shares: dict[str | None, Numbers] = {key: {} for key in totals}
    shares_assigned: dict[str | None, Numbers] = {key: {} for key in totals}
    for key, site, count in con.execute(
        f"""SELECT {by} AS key, site, count(*) AS n FROM of_target WHERE assigned GROUP BY ALL ORDER BY n DESC, site"""
    ).fetchall():
        shares[key][site] = share_of(count, totals[key][0])
        shares_assigned[key][site] = share_of(count, totals[key][1])
    return [
        {
            "key": key,
            "vantage_points": count,
            "assigned": assigned,
            "shares": shares[key],
            "shares_assigned": shares_assigned[key],
            "rtt_ms": _named(quantiles),
        }
        for key, count, assigned, *quantiles in rows
    ]


def _spread(con: duckdb.DuckDBPyConnection, value: str, condition: str, *, mean: bool = False) -> Numbers:
    found = list(_row(con, f"SELECT {_quantiles(value)}, avg({value}) FROM of_target WHERE {condition}"))
    average = found.pop()
    return _named(found) | ({"mean": rounded(average)} if mean else {})


def _quantiles(value: str, condition: str = "TRUE") -> str:
    return ", ".join(
        f"percentile_cont({share}) WITHIN GROUP (ORDER BY {value}) FILTER (WHERE {condition})" for _, share in QUARTILES
    )


def _named(quantiles: Sequence[float | None]) -> Numbers:
    return {name: rounded(value) for (name, _), value in zip(QUARTILES, quantiles, strict=True)}


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] = con.execute(query).fetchall()[0]
    return found
