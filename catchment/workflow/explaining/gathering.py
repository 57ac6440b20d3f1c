"""All that a run holds of one vantage point, and what it comes to."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import duckdb

from catchment import store
from catchment.assign import RULES
from catchment.assign.distances import sites_in_use
from catchment.errors import UnknownName
from catchment.geo import distance_km
from catchment.metrics import CONSTANTS, Numbers, iso_time, rows_of
from catchment.model import Failure, Kind, Outcome, Service, SiteSet, Target, Verdict, Window
from catchment.observe.traceroutes import Trace, read_trace
from catchment.workflow.explaining.cases import Case
from catchment.workflow.explaining.circumstances import lost
from catchment.workflow.explaining.refusing import refusals
from catchment.workflow.explaining.verdicts import explain
from catchment.workflow.loading import chosen_targets, load_run, workbench
from catchment.workflow.rereading import read_records

_EXAMPLES = 3
_MOST_TRACES = 20  # read again of one target
_SILENT = (Verdict.UNREACHABLE, Verdict.DNS_DEAD, Verdict.TIMEOUT)
_FIRST_MEANT = ("atlas:", "lab:")
# Every observation, with what it was judged to say. Reads the views `inside` and `judged`, which assigning leaves.
_OBSERVATIONS = """
    SELECT o.* EXCLUDE (window_start, window_end), j.outcome, j.site, j.rule, j.witnesses, j.promised,
        j.identity AS judged_identity
    FROM (SELECT * FROM inside WHERE vantage = $vantage AND target = $target) AS o
    LEFT JOIN (
        SELECT raw_file, raw_record, raw_item, outcome, site, rule, witnesses, promised, identity
        FROM judged WHERE vantage = $vantage AND target = $target) AS j
        ON j.raw_file = o.raw_file AND j.raw_record = o.raw_record AND j.raw_item = o.raw_item
    ORDER BY o.measured_at, o.raw_file, o.raw_record, o.raw_item"""

# What each of the other vantage points got most often: an identity of the service or of somebody else, or an rcode.
_PEERS = """
    SELECT got, count(*) FROM (
        SELECT vantage, CASE outcome WHEN 'identified' THEN 'an identity of the service'
                WHEN 'error' THEN coalesce(rcode, 'no code') WHEN 'empty' THEN coalesce(rcode, 'no code')
                ELSE 'another identity' END AS got,
            row_number() OVER (PARTITION BY vantage ORDER BY sum(observations) DESC, got) AS place
        FROM judged_equal WHERE outcome IN ('identified', 'unknown', 'foreign', 'error', 'empty')
            AND vantage <> $vantage AND target = $target
        GROUP BY vantage, got)
    WHERE place = 1 GROUP BY got"""


def explain_vantage(
    run: store.Run,
    vantage: str,
    window: Window = Window(),
    *,
    site_set: SiteSet = SiteSet.LISTED,
    af: int | None = None,
    target: str | None = None,
) -> Numbers:
    """Return what a run, or a window of it, holds of one vantage point and why it was judged so, target by target.

    `vantage` is an id as the run has it, or what follows its colon. Raises UnknownName.
    """
    targets = chosen_targets(run.header.targets, af, target)
    with workbench() as (con, _):
        inside, services = load_run(con, run, window, run.header.services, site_set=site_set)
        name = _find_vantage(con, vantage)
        rows = {row["target"]: row for row in _rows(con, "SELECT * FROM assignments WHERE vantage = $vantage", name)}
        measured = [goal for goal in targets if goal.address in rows]
        if not measured:
            asked = ", ".join(rows) or "none of the run's targets"
            raise UnknownName(f"{name} measured {asked}: choose another target, or a wider window")
        place = _place(con, name)
        by_name = {service.name: service for service in services}
        same_place = _count_at(con, place)
        cases = [
            _case(con, run, goal, by_name.get(goal.service or ""), inside, place, same_place, rows) for goal in measured
        ]
    return {
        "run": str(run.path),
        "platform": run.header.platform,
        "from": iso_time(inside.start),
        "to": iso_time(inside.end),
        "vantage": name,
        "place": place | {"same_place": same_place},
        "targets": [_told(case) for case in cases],
        "constants": CONSTANTS,
    }


def _find_vantage(con: duckdb.DuckDBPyConnection, given: str) -> str:
    """Return the id that was meant: a number alone is one of RIPE Atlas, or else of a lab.

    Raises UnknownName where there is none, or more than one.
    """
    known = [
        name
        for (name,) in con.execute(
            """SELECT vantage FROM assignments UNION SELECT vantage FROM vantage_points
            ORDER BY length(vantage), vantage"""
        ).fetchall()
    ]
    for name in (given, *(platform + given for platform in _FIRST_MEANT)):
        if name in known:
            return name
    found = [name for name in known if name.partition(":")[2] == given]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise UnknownName(f"'{given}' may be {' or '.join(found)}: give the whole id")
    raise UnknownName(f"'{given}' is none of the run's {len(known):,} vantage points: {_near(given, known)}")


def _near(given: str, known: Sequence[str]) -> str:
    """Say which ids come near. What stands before the colon is shared by many: it would make all look alike."""
    platform, colon, number = given.rpartition(":")
    of_number: dict[str, list[str]] = {}
    for name in sorted(known, key=lambda name: not name.startswith(f"{platform}{colon}")):
        of_number.setdefault(name.partition(":")[2], []).append(name)
    near = [name for one in difflib.get_close_matches(number, of_number, n=_EXAMPLES) for name in of_number[one]]
    if not near:
        return f"the first are {', '.join(known[:_EXAMPLES])}"
    quoted = [f"'{name}'" for name in near[:_EXAMPLES]]
    return f"did you mean {' or '.join(quoted)}?"


def _place(con: duckdb.DuckDBPyConnection, vantage: str) -> Numbers:
    described = con.execute("DESCRIBE vantage_points").fetchall()
    found = _rows(con, "SELECT * FROM vantage_points WHERE vantage = $vantage", vantage)
    return found[0] if found else {name: None for name, *_ in described} | {"vantage": vantage}


def _count_at(con: duckdb.DuckDBPyConnection, place: Numbers) -> int:
    """Count the other vantage points with exactly the same coordinates."""
    (count,) = con.execute(
        "SELECT count(*) FROM vantage_points WHERE latitude = ? AND longitude = ? AND vantage <> ?",
        [place["latitude"], place["longitude"], place["vantage"]],
    ).fetchall()[0]
    return int(count)


def _case(
    con: duckdb.DuckDBPyConnection,
    run: store.Run,
    target: Target,
    service: Service | None,
    window: Window,
    place: Numbers,
    same_place: int,
    assignments: dict[str, Numbers],
) -> Case:
    vantage = place["vantage"]
    observations = _rows(con, _OBSERVATIONS, vantage, target=target.address)
    evidence = _rows(
        con,
        "SELECT * FROM evidence WHERE vantage = $vantage AND target = $target ORDER BY ALL",
        vantage,
        target=target.address,
    )
    return Case(
        place=place,
        assignment=assignments[target.address],
        service=service,
        observations=[{"at": iso_time(one["measured_at"]), **one} for one in observations],
        evidence=evidence,
        flips=_flips(observations),
        kilometres=_kilometres(con, service, window, target, place),
        peers=Counter(dict(con.execute(_PEERS, {"vantage": vantage, "target": target.address}).fetchall())),
        same_place=same_place,
        elsewhere=[row for address, row in assignments.items() if address != target.address],
        traces=list(_traces(run, observations)) if assignments[target.address]["verdict"] in _SILENT else (),
    )


def _traces(run: store.Run, observations: Sequence[Numbers]) -> Iterator[Trace]:
    """Yield the last traceroutes, as their raw results have them: tables do not hold what routers said of failures."""
    sent = [one for one in observations if one["kind"] == Kind.TRACEROUTE and one["failure"] != Failure.PROBE_FAILED]
    wanted = {(one["raw_file"], one["raw_record"]) for one in sent[-_MOST_TRACES:]}
    for _, raw in read_records(run, wanted):
        try:
            yield read_trace(json.loads(raw))
        except (ValueError, RecursionError):
            continue


def _rows(con: duckdb.DuckDBPyConnection, query: str, vantage: str, **more: str) -> list[Numbers]:
    return rows_of(con.execute(query, {"vantage": vantage, **more}))


def _flips(observations: Sequence[Numbers]) -> list[Numbers]:
    """Return when the identified answers, in the order of time, went from one site to another."""
    identified = [one for one in observations if one["outcome"] == Outcome.IDENTIFIED]
    return [
        {"at": iso_time(after["measured_at"]), "from": before["site"], "to": after["site"]}
        for before, after in pairwise(identified)
        if before["site"] != after["site"]
    ]


def _kilometres(
    con: duckdb.DuckDBPyConnection, service: Service | None, window: Window, target: Target, place: Numbers
) -> dict[str, float]:
    """Return how far the sites in use are whose place is known, by code."""
    if service is None or place["latitude"] is None or place["longitude"] is None:
        return {}
    import numpy as np  # noqa: PLC0415  (loaded when DuckDB has read, not before)

    in_use = sites_in_use(con, service, window, target.af, SiteSet.LISTED)
    sites = [site for site in in_use if site.latitude is not None]

    def column(values: Sequence[Any]) -> Any:
        return np.array(values, dtype=np.float64)

    found = distance_km(
        column([place["latitude"]] * len(sites)),
        column([place["longitude"]] * len(sites)),
        column([site.latitude for site in sites]),
        column([site.longitude for site in sites]),
    )
    return {site.code: float(distance) for site, distance in zip(sites, found, strict=True)}


def _told(case: Case) -> Numbers:
    row = case.assignment
    return {
        "service": row["service"],
        "target": row["target"],
        "af": row["af"],
        "assignment": row,
        "rule_meaning": RULES.get(row["rule"]),
        "site_rule_meaning": RULES.get(row["site_rule"]),
        "explanation": explain(case),
        "refusals": [one.told() for one in refusals(case)],
        "lost": lost(case),
        "evidence": list(case.evidence),
        "flips": list(case.flips),
        "observations": list(case.observations),
    }
