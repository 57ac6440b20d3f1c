"""Show, compare, and list what is stored: numbers for the terminal and for scripts."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from catchment import compare as comparing
from catchment import store
from catchment.campaign import digest
from catchment.errors import InvalidRun, UnknownName, hint
from catchment.metrics import Numbers, iso_time, measure
from catchment.model import Grouping, Level, Service, SiteSet, Window
from catchment.workflow.loading import Side, chosen_targets, load_both, load_run, name_of, workbench
from catchment.workflow.rereading import read_records


def show(
    run: store.Run,
    window: Window = Window(),
    *,
    by: Grouping | None = None,
    site_set: SiteSet = SiteSet.LISTED,
    af: int | None = None,
    target: str | None = None,
) -> Numbers:
    """Return the numbers of a run or of a window of it, as `show --json` prints them."""
    stored = run.metrics
    targets = chosen_targets(run.header.targets, af, target)
    if by is None and site_set is SiteSet.LISTED and window == Window():
        _check_version(run, stored)
        numbers = stored
        wanted = {chosen.address for chosen in targets}
        numbers["targets"] = [entry for entry in stored["targets"] if entry["target"] in wanted]
    else:
        with workbench() as (con, _):
            inside, services = load_run(con, run, window, run.header.services, site_set=site_set)
            numbers = measure(con, services, targets, inside, by=by, site_set=site_set)
            numbers["input"] = stored["input"]
    is_whole = window == Window()  # what came of a measurement is known of all of it only
    measurements = list_measurements(run.accepted) if run.accepted and is_whole else []
    told = {"run": str(run.path), "platform": run.header.platform, "change": change_in(run, window)}
    return {**told, **numbers, "measurements": measurements}


def list_measurements(accepted: store.Accepted) -> list[Numbers]:
    """Return of each measurement of a run what it asks, of how many, and what came of it (None: not known).

    `credits` are those of the results that came, by the documented prices.
    """
    return [
        {
            "id": one.id,
            "kind": one.kind.value,
            "query": one.query,
            "target": one.target,
            "start": iso_time(one.start),
            "stop": iso_time(one.stop),
            "interval_s": one.interval_s,
            "reused": one.reused,
            "asked": _asked(one),
            "participants": one.participants,
            "results": one.results,
            "status": one.status,
            "credits": _credits(one),
        }
        for one in accepted.measurements
    ]


def _asked(measurement: store.Measurement) -> int | None:
    asked = measurement.probes if measurement.vantage_points is None else measurement.vantage_points
    return None if asked is None else len(asked)


def change_in(run: store.Run, window: Window = Window()) -> Numbers | None:
    """Return from when to when routes move in a window of a run that was planned around a change; None in all others.

    What is counted over such a window mixes what was before the change with what came of it.
    """
    moving = run.header.moving()
    if moving is None or moving.start is None:
        return None
    end = moving.start if moving.end is None else moving.end
    is_beside = (window.start is not None and window.start >= end) or (
        window.end is not None and window.end <= moving.start
    )
    return None if is_beside else {"from": iso_time(moving.start), "to": iso_time(end)}


def _credits(measurement: store.Measurement) -> int | None:
    if measurement.reused:
        return 0
    price, results = measurement.credits_per_result, measurement.results
    return None if price is None or results is None else price * results


def _check_version(run: store.Run, stored: Numbers) -> None:
    """Raise InvalidRun where an earlier version of catchment stored the numbers, with less than today's to show."""
    if not all("foreign_identities" in entry for entry in stored.get("targets", [{}])):
        raise InvalidRun(
            f"{run.path}: written by an earlier version: `catchment derive {shlex.quote(str(run.path))}` rebuilds it"
        )


def compare_runs(
    before: Side,
    after: Side,
    *,
    by: Grouping | None = None,
    level: Level = Level.SITE,
    af: int | None = None,
    target: str | None = None,
) -> Numbers:
    """Return what moved between two runs or windows, both assigned with the newer run's version of each service.

    `warnings` names the targets that only one of them has: nobody knows what became of these.
    """
    services = {service.name: service for service in before[0].header.services}
    services |= {service.name: service for service in after[0].header.services}
    versions = list(services.values())
    pairs = comparing.pair_targets(before[0].header.targets, after[0].header.targets)
    if not pairs:
        raise UnknownName("the two runs have no target in common: compare runs of one service")
    chosen = chosen_targets([target_after for _, target_after in pairs], af, target)
    lonely = tuple(
        f"{one.address} ({one.service or 'no service'}) was measured in {side} only, and is not compared"
        for side, (run, _) in (("BEFORE", before), ("AFTER", after))
        for one in comparing.unpaired_targets(pairs, run.header.targets)
        if af in (None, one.af) and target in (None, one.address, one.service)
    )
    pairs = [pair for pair in pairs if pair[1] in chosen]
    lacking = Counter[Path]()
    with workbench() as (con, _):
        seen = load_both(con, before, after, versions, comparing.keep_side)
        tracing = _tracing(before, after, versions, lacking)
        found = comparing.compare(con, pairs, seen, by=by, level=level, tracing=tracing)
    return {
        "before": name_of(before),
        "after": name_of(after),
        "service_digest": {service.name: digest(service) for service in versions},
        "warnings": tuple(
            f"the runs hold different versions of {service.name}; both were assigned with that of AFTER"
            for service in before[0].header.services
            if digest(services[service.name]) != digest(service)
        )
        + lonely
        + tuple(
            f"{file}: {count} of its traceroutes cannot be read any more, and paths were compared without them"
            for file, count in lacking.items()
        ),
        **found,
    }


def _tracing(before: Side, after: Side, services: Sequence[Service], lacking: Counter[Path]) -> comparing.Tracing:
    """Return how the traceroutes of two runs are read again, and what is known of the names of their routers.

    How many cannot be read is counted in `lacking`, by their files.
    """
    runs = {"before": before[0], "after": after[0]}

    def count(file: Path, records: int) -> None:
        lacking[file] += records

    @cache
    def names() -> dict[str, str]:
        told = {entry.address: entry.name for service in services for entry in service.hop_names}
        return dict(pair for run in runs.values() for pair in store.read_hop_names(run.path)) | told

    return comparing.Tracing(read=lambda side, wanted: read_records(runs[side], wanted, count), names=names)


def list_runs(root: Path, campaign: str | None = None) -> Numbers:
    """Return the stored runs, each campaign's in the order in which they were measured.

    `damaged` says of those that are not whole what the matter is, and what to do. Raises UnknownName where nothing is
    stored of the campaign.
    """
    if campaign is not None and campaign not in (known := store.stored_campaigns(root)):
        nearest = hint(campaign, known, "`catchment runs` lists all that is stored")
        raise UnknownName(f"there is no campaign '{campaign}' in {root}: {nearest}")
    found: list[dict[str, Any]] = []
    damaged: list[str] = []
    for path in [*store.stored_runs(root, campaign), *store.unfinished_runs(root, campaign)]:
        try:
            run = store.Run.open(path)
            metrics = run.metrics
        except InvalidRun as error:
            damaged.append(str(error))
            continue
        counts = [target["vantage_points"] for target in metrics["targets"]]
        found.append(
            {
                "campaign": path.parent.name,
                "run": path.name,
                "path": str(path),
                "platform": run.header.platform,
                "from": metrics["from"],
                "to": metrics["to"],
                "vantage_points": max((count["total"] for count in counts), default=0),
                "assigned": max((count["assigned"] for count in counts), default=0),
                "targets": [f"{target.service or 'no service'} {target.address}" for target in run.header.targets],
            }
        )
    return {"runs": found, "damaged": damaged}
