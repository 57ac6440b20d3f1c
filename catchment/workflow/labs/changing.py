"""Change a lab that is up: by BIRD's tables who is led elsewhere, and if asked for, a stream of queries amid it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from catchment import store
from catchment.campaign import Campaign, CampaignTarget, Change, PlatformName, Query, Schedule
from catchment.campaign import Lab as LabPlan
from catchment.errors import Interrupted, InvalidFile
from catchment.metrics import Numbers, iso_time
from catchment.metrics.courses import Fate
from catchment.model import Address, Kind, Service, Site, Target
from catchment.platforms.lab.client import Lab
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology import Topology
from catchment.platforms.topology.elements import AnycastService
from catchment.platforms.topology.epochs import Epoch, family_of
from catchment.store import Header, ResultWriter, Stage
from catchment.workflow.converging import show_convergence
from catchment.workflow.importing import Progress, rebuild
from catchment.workflow.labs.happenings import in_words, names_of
from catchment.workflow.labs.keeping import Standing, changing, find_lab_alone
from catchment.workflow.labs.measuring import write_points
from catchment.workflow.labs.routing import Row, epochs_after, routes_now
from catchment.workflow.labs.streaming import Step, make_bench
from catchment.workflow.labs.summing_up import Timed, busy
from catchment.workflow.throwaway import throwaway_folder

# What a change may do to a way: it leads to another site, to the same by other networks, to dead servers, nowhere, to a
# hijacker, or to a site again where it led to none of the service's.
FATES = ("moved", "rerouted", "dead", "nowhere", "hijacked", "back")
_TOLD = ("site", "as_path", "bgp_path", "rtt_ms", "hijacked", "failed")
_BEFORE_S = 1.0
_MEASURED = 0.8  # of the whole; the rest is judging


def change_lab(
    name: str | None,
    change: Change | None,
    *,
    stream_s: float | None = None,
    per_s: float = 50.0,
    progress: Progress = lambda *_: None,
) -> Numbers:
    """Change the routes or servers of a lab (None: take all changes back); return whose packets go elsewhere now.

    What died there is started anew before that, and named as `mended`. The name may be left out where one lab is up.
    With `stream_s` every vantage point sends `per_s` queries a second from just before the change until so long after
    it, and `convergence` tells what came of them. Raises CatchmentError; then nothing has changed, and Interrupted says
    what has.
    """
    try:
        with find_lab_alone(name) as (standing, lab, died):
            return _change(lab, standing, change, stream_s, per_s, progress) | {"mended": died}
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted: nothing was changed") from error


def _change(
    lab: Lab, standing: Standing, change: Change | None, stream_s: float | None, per_s: float, progress: Progress
) -> Numbers:
    topology, before = standing.topology, epochs_after(standing.topology, standing.changes)
    changes = () if change is None else (*standing.changes, replace(change, after_s=0.0))
    present = epochs_after(topology, changes)
    rows, convergence = routes_now(lab, topology, before), None
    is_so = blueprint(topology, before) == blueprint(topology, present)
    if is_so and change is not None:
        changes = standing.changes
    with changing(standing, lab, changes):
        if stream_s is None:
            lab.apply(blueprint(topology, present))
        else:
            convergence = _stream(lab, standing, before, present, stream_s, per_s, progress)
        lab.settle()
        after = routes_now(lab, topology, present)
        return {
            "lab": standing.name,
            "change": "all changes are taken back" if change is None else in_words(change, topology),
            "is_so_already": is_so,
            "changes": [in_words(one, topology) for one in changes],
            **_moved(rows, after),
            "networks": names_of(topology),
            "convergence": convergence,
            "warnings": [] if convergence is None else busy(list(_times(convergence, rows, after))),
        }


def _times(convergence: Numbers, before: Sequence[Row], after: Sequence[Row]) -> Iterator[Timed]:
    """Yield the round trips of who stayed in a stream, beside those of the cables by BIRD's tables."""
    for side, rows in (("before", before), ("after", after)):
        routed_ms = {(row["vantage"], row["address"]): row["rtt_ms"] for row in rows}
        for target in convergence["targets"]:
            for one in target["vantage_points"]:
                if one["fate"] == Fate.UNAFFECTED:
                    name = one["vantage"], target["target"]
                    yield f"{' at '.join(name)} {side}", one[f"rtt_ms_{side}"], routed_ms.get(name)


def _moved(before: Sequence[Row], after: Sequence[Row]) -> Numbers:
    """Return of each vantage point and address where its packets went and go, and how many have which fate."""
    earlier = {(row["vantage"], row["address"]): row for row in before}
    rows = [
        {key: row[key] for key in ("vantage", "service", "address")}
        | {side: {key: of[key] for key in _TOLD} for side, of in (("before", was), ("after", row))}
        | {"fate": _fate(was, row)}
        for row in after
        for was in (earlier[row["vantage"], row["address"]],)
    ]
    fates = Counter(row["fate"] for row in rows)
    return {**{fate: fates[fate] for fate in FATES}, "vantage_points": rows}


def _fate(was: Row, now: Row) -> str | None:
    """Name what a change did to a way; None: nothing."""
    if _end(was) == _end(now):
        if was["site"] != now["site"]:
            return "moved"
        return "rerouted" if was["as_path"] != now["as_path"] else None
    return _end(now)


def _end(row: Row) -> str:
    """Name what a way ends at."""
    if row["site"] is None:
        return "nowhere"
    return "hijacked" if row["hijacked"] else "dead" if row["failed"] else "back"


def _stream(
    lab: Lab,
    standing: Standing,
    before: Mapping[str, Epoch],
    present: Mapping[str, Epoch],
    stream_s: float,
    per_s: float,
    progress: Progress,
) -> Numbers:
    """Change a lab amid a stream of queries to the first service that changes; return how it went, and keep no run."""
    topology = standing.topology
    if not topology.vantage_points:
        raise InvalidFile(f"topology '{topology.name}' has no vantage points to ask: leave out the stream, or add one")
    service = next((one for one in topology.services if before[one.name] != present[one.name]), topology.services[0])
    target = Target(service=service.name, address=service.addresses[0])
    plan = Campaign(
        name="change",
        platform=PlatformName.LAB,
        targets=(CampaignTarget(service=service.name, af=target.af, address=target.address),),
        queries=(Query(kind=Kind.DNS),),
        lab=LabPlan(stream_per_s=per_s, before_s=_BEFORE_S, settle_s=max(1, math.ceil(stream_s))),
    )
    created = iso_time(int(time.time())) or ""
    header = Header.of_plan(plan, (_as_service(service, topology),), (target,), created=created)
    with throwaway_folder() as folder:
        path = folder / plan.name / "run"
        store.begin_run(path, header)
        with ResultWriter(path) as writer:
            bench = make_bench(lab, topology, plan, (target,), topology.vantage_points, writer, time.time())
            steps = [Step(after_s=0.0, epochs=present)]
            bench, times = bench.change(plan.lab, steps, lambda text, share: progress(text, _MEASURED * share))
            accepted = replace(bench, measurements=()).finish()
        around = Schedule(change_at=datetime.fromtimestamp(min(times.values()), UTC), settle_s=plan.lab.settle_s)
        write_points(path, topology.vantage_points)
        store.write_accepted(path, replace(accepted, stage=Stage.NAMED))
        rebuild(path, replace(header, plan=replace(plan, schedule=around)), lambda *_: None)
        progress("judging what came", 1)
        found = show_convergence(store.Run.open(path))
    return found | {"run": standing.name}


def _as_service(service: AnycastService, topology: Topology) -> Service:
    """Return what the operator of a topology's service knows of it: the very names of its servers."""
    places = {place.code: place for place in topology.places}
    towns = [places[site.place].town for site in service.sites]
    return Service(
        name=service.name,
        operator=topology.name,
        addresses=tuple(Address(address=address) for address in service.addresses),
        answers=service.answers,
        sites=tuple(
            Site(
                code=site.code.lower(),
                town=town if towns.count(town) == 1 else f"{town} {site.code}",
                country=places[site.place].country,
                latitude=site.latitude,
                longitude=site.longitude,
                families=tuple(sorted({family_of(address) for address in service.addresses})),
                identities=site.identities,
            )
            for site, town in zip(service.sites, towns, strict=True)
        ),
    )
