"""Measure a campaign in a lab: a round of queries, a stream while its routes change, and another round."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from catchment import store
from catchment.campaign import Campaign, Change, Schedule
from catchment.campaign.own_vantages import lab_name
from catchment.errors import InvalidFile, UnknownName
from catchment.importers import Probes, point_row, write_asked
from catchment.metrics import iso_time
from catchment.platforms.lab.routes import router_names
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology import Topology, load_topology
from catchment.platforms.topology.consistency import check_targets
from catchment.platforms.topology.elements import VantagePoint
from catchment.store import Accepted, Header, ResultWriter
from catchment.workflow.labs.keeping import lab_for
from catchment.workflow.labs.routing import epochs_after, routes_now, write_routes, write_times
from catchment.workflow.labs.streaming import Step, make_bench
from catchment.workflow.loading import workbench
from catchment.workflow.reaching import Means

_RAISED, _FIRST_ROUND, _STREAMED = 0.2, 0.4, 0.8  # how much of the whole is done after each stage


def run_lab(path: Path, header: Header, means: Means) -> Accepted:
    """Measure the campaign of a run whose lock is held in a lab; store what came, and what its routes really were.

    A lab of the same topology that is up and unchanged is used, and left so. Raises CatchmentError; then, and after
    an interruption, nothing is accepted and no lab is left behind.
    """
    plan = header.plan
    assert plan is not None  # noqa: S101  (only campaigns run in a lab)
    topology = load_topology(store.topology_file(path))
    asked = _asked(plan, topology)
    check_targets(topology, header.targets)
    for stale in store.raw_folder(path).iterdir():  # of an attempt that was killed; what was finished never comes here
        stale.unlink()
    measured = [service.name for service in header.services]
    epochs_after(topology, plan.lab.changes, measured)  # a change that names what is not there: told before it is up
    means.progress("raising the lab", 0)
    with lab_for(topology, plan.lab.changes, means.say) as lab, ResultWriter(path) as writer:
        steps = _steps(topology, plan.lab.changes, measured)
        bench = make_bench(lab, topology, plan, header.targets, asked, writer, means.clock())
        bench.round(means.part(_RAISED, _FIRST_ROUND))
        start = epochs_after(topology, ())
        rows = [{"when": "before", **row} for row in routes_now(lab, topology, start) if bench.asks(row)]
        times: dict[float, float] = {}
        if steps:
            bench, times = bench.change(plan.lab, steps, means.part(_FIRST_ROUND, _STREAMED))
            changed_at = times[steps[0].after_s]
            rows += [{"when": "after", **row} for row in routes_now(lab, topology, steps[-1].epochs) if bench.asks(row)]
            settle_s = _wait_for_whole_second(changed_at)
            bench.round(means.part(_STREAMED, 1))
            around = Schedule(change_at=datetime.fromtimestamp(changed_at, UTC), settle_s=settle_s)
            header = replace(header, plan=replace(plan, schedule=around))
        accepted = bench.finish()
    write_routes(store.truth_file(path), rows)
    write_times(path, times)
    _write_down(path, header, topology, asked)
    store.write_accepted(path, accepted)
    return accepted


def _steps(topology: Topology, changes: Sequence[Change], measured: Sequence[str]) -> list[Step]:
    return [
        Step(
            after_s=after_s,
            epochs=epochs_after(topology, [one for one in changes if one.after_s <= after_s], measured),
        )
        for after_s in sorted({change.after_s for change in changes})
    ]


def _asked(plan: Campaign, topology: Topology) -> list[VantagePoint]:
    """Return the vantage points that a campaign asks: those that it names, or all. Raises UnknownName."""
    wanted = () if plan.vantage_points is None else plan.vantage_points.ids
    known = {vantage.id: vantage for vantage in topology.vantage_points}
    for number in wanted:
        if number not in known:
            listed = ", ".join(map(str, sorted(known)))
            raise UnknownName(f"topology '{topology.name}' has no vantage point {number}: there are {listed}")
    if not known:
        raise InvalidFile(f"topology '{topology.name}' has no vantage points: add one to 'vantage_points'")
    return [known[number] for number in dict.fromkeys(wanted or sorted(known))]


def _wait_for_whole_second(changed_at: float) -> int:
    """Wait until a whole number of seconds has passed since the change, and return it: the last round begins then."""
    settle_s = math.ceil(time.time() - changed_at)
    time.sleep(max(0.0, changed_at + settle_s - time.time()))
    return settle_s


def _write_down(path: Path, header: Header, topology: Topology, asked: Sequence[VantagePoint]) -> None:
    """Store what a run holds besides results and routes: where vantage points are, names of routers, the plan."""
    write_points(path, asked)
    start = epochs_after(topology, ())
    names = router_names(topology, blueprint(topology, start), start)
    store.write_hop_names(path, names, resolved_at=iso_time(int(time.time())) or "")
    store.write_header(path, header)


def write_points(path: Path, asked: Sequence[VantagePoint]) -> None:
    """Store where the vantage points of a run say they are."""
    with workbench() as (con, _):
        write_asked(con, Probes(rows=tuple(map(_point, asked))), store.part_of(path, store.VANTAGE_POINTS))


def _point(vantage: VantagePoint) -> tuple[object, ...]:
    """Return where a vantage point says it is."""
    latitude, longitude = vantage.said_latitude, vantage.said_longitude
    country = vantage.said_country or vantage.country
    if vantage.placeless:
        return point_row(lab_name(vantage.id), None, None, None, vantage.asn, vantage.asn)
    if latitude is None or longitude is None:
        latitude, longitude = vantage.latitude, vantage.longitude
    return point_row(
        lab_name(vantage.id), latitude, longitude, country, vantage.asn, vantage.asn if vantage.ipv6 else None
    )
