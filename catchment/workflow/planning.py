"""What a campaign will ask for and cost: its services and targets, found and named, and the bill."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from catchment import store
from catchment.campaign import Campaign, CampaignTarget, PlatformName, VantagePoints, load_campaign
from catchment.campaign.own_checks import SENT_BY_THIS_HOST
from catchment.errors import InvalidFile, UnknownName
from catchment.metrics import Numbers, iso_time
from catchment.model import Service, Target, Window
from catchment.platforms.atlas.costs import rounds, times
from catchment.platforms.atlas.gathering import LATE_S
from catchment.platforms.atlas.limits import COUNT, IDS, Limit, Plan, Wish, advise, check_limits, estimate
from catchment.platforms.atlas.reusing import expand
from catchment.platforms.atlas.scheduling import START_AFTER_S
from catchment.platforms.atlas.selecting import Probe, asked, is_named, pick
from catchment.platforms.connecting import simulate
from catchment.services import find_service
from catchment.workflow.earlier import resolve
from catchment.workflow.estimating import (
    advise_own,
    check_own,
    estimate_lab,
    estimate_local,
    lab_vantage_points,
    words_of,
)

_REUSED_S = 900
_NOT_EVERYWHERE = 6  # the address family that does not work at every vantage point


def plan_campaign(file: Path, root: Path | None = None, *, now: float | None = None) -> Numbers:
    """Return what a run of a campaign would ask for and cost, as `plan --json` prints it. Needs no key, no network.

    Earlier runs that the campaign names are sought below `root`. `exact` tells whether the number of vantage points is
    known, as in the sandbox and with `same_as`; else it is the most there can be. Raises CatchmentError where a run
    could not even begin.
    """
    campaign, services, targets = load_plan(file, store.results_root(root))
    now = time.time() if now is None else now
    check_times(campaign, file, now)
    if campaign.platform in SENT_BY_THIS_HOST:
        return _own_plan(campaign, targets, now)
    probes, is_exact = _probes(campaign, services, targets, now)
    # Who is asked over IPv4 may have no IPv6, if the campaign does not say that they all have.
    is_open = not is_exact and not (campaign.vantage_points and campaign.vantage_points.every_family)
    plan = estimate_plan(campaign, targets, {} if campaign.reuse else probes, now)
    stated: Numbers = asdict(plan) | {
        "limits": [{**asdict(limit), "advice": None if limit.ok else advise([limit])} for limit in plan.limits],
        "measurements": [
            {"id": None, "at_most": is_open and one.af == _NOT_EVERYWHERE, **asdict(one)} for one in plan.measurements
        ],
        "summary": _summary(plan, is_open=is_open),
    }
    if campaign.reuse:
        window = reused_window(campaign, float(int(now)))
        span = f"from {iso_time(window.start)} to {iso_time(window.end)}"
        stated |= {
            "measurements": _reused(campaign, targets, services),
            "results": None,
            "results_per_day": None,
            "limits": [],
            "summary": f"reads what was measured {span}: no key, no credits",
        }
    return {
        "campaign": campaign.name,
        "platform": campaign.platform.value,
        "exact": is_exact,
        "schedule": {} if campaign.reuse else _schedule(campaign, now),
        **stated,
    }


def _own_plan(campaign: Campaign, targets: Sequence[Target], now: float) -> Numbers:
    """Return what a campaign comes to whose packets this host sends."""
    is_lab = campaign.platform is PlatformName.LAB
    estimate = (
        estimate_lab(campaign, targets, lab_vantage_points(campaign, targets))
        if is_lab
        else estimate_local(campaign, targets, now)
    )
    return {
        "campaign": campaign.name,
        "platform": campaign.platform.value,
        "exact": True,
        "schedule": {} if is_lab else _schedule(campaign, now),
        **asdict(estimate),
        "results_per_day": estimate.results_per_day,
        "limits": [{**asdict(limit), "advice": advise_own(limit)} for limit in estimate.limits],
        "measurements": [{"id": None, "at_most": False, **asdict(one)} for one in estimate.measurements],
        "summary": words_of(estimate, campaign.platform),
    }


def _reused(campaign: Campaign, targets: Sequence[Target], services: Sequence[Service]) -> list[Numbers]:
    """Return what is read, as far as the files of the services tell: how much that is, nobody knows before."""
    unknown: Numbers = dict.fromkeys(("protocol", "packets", "probes", "results", "results_per_day"))
    addresses = {(target.service, target.af): target.address for target in targets}
    known = {entry.id: (service, entry) for service in services for entry in service.measurements}
    rows = []
    for number in expand(campaign, targets, services):
        row: Numbers = {"id": number, "kind": None, "target": None, "af": None, "query": None}
        if number in known:
            service, entry = known[number]
            target = addresses.get((service.name, entry.af))
            row |= {"kind": entry.kind.value, "target": target, "af": entry.af, "query": entry.query}
        rows.append(row | unknown | {"at_most": False, "is_stream": False, "credits": 0, "credits_per_day": 0})
    return rows


def reused_window(campaign: Campaign, now: float) -> Window:
    """Return the window that is told, or a quarter of an hour that is long enough ago for its results to be there."""
    schedule = campaign.schedule
    if schedule.change_at is not None:
        change = schedule.change_at.timestamp()
        return Window(start=change - schedule.before_s, end=change + schedule.after_s)
    start, stop = schedule.start, schedule.stop
    end = now - LATE_S if stop is None else stop.timestamp()
    return Window(start=end - _REUSED_S if start is None else start.timestamp(), end=end)


def check_plan(stated: Numbers) -> None:
    """Raise InvalidFile where a plan, as it was stated, exceeds a limit or the campaign's own budget."""
    told = ({name: value for name, value in limit.items() if name != "advice"} for limit in stated["limits"])
    limits = [Limit(**limit) for limit in told]
    if stated["platform"] in SENT_BY_THIS_HOST:
        check_own(limits)
    check_limits(limits)


def estimate_plan(campaign: Campaign, targets: Sequence[Target], probes: int | Mapping[int, int], now: float) -> Plan:
    """Return what a campaign asks of so many vantage points (or so many for each address family), and its limits."""
    plan = estimate(
        Wish(
            targets=targets,
            queries=campaign.queries,
            schedule=campaign.schedule,
            budget=campaign.budget,
            limits=campaign.limits,
            probes=probes if isinstance(probes, Mapping) else {target.af: probes for target in targets},
            earliest=now + START_AFTER_S,
        )
    )
    limits = (replace(limit, remedies=_possible(limit.remedies, campaign.vantage_points)) for limit in plan.limits)
    return replace(plan, limits=tuple(limits))


def _possible(remedies: Mapping[str, int], wanted: VantagePoints | None) -> dict[str, int]:
    """Return the remedies that this campaign has: `count` says nothing of vantage points that are named one by one."""
    wanted = wanted or VantagePoints()
    if wanted.same_as is None and not wanted.ids:
        return dict(remedies)
    found = {key: to for key, to in remedies.items() if key != COUNT}
    if COUNT in remedies and wanted.ids:
        fewest = len(set(wanted.ids))
        found = {(IDS if remedies[COUNT] < fewest else COUNT): remedies[COUNT], **found}
    return found


def _probes(
    campaign: Campaign, services: Sequence[Service], targets: Sequence[Target], now: float
) -> tuple[dict[int, int], bool]:
    """Return how many vantage points there are for each address family at most, and whether it is just as many."""
    wanted = campaign.vantage_points or VantagePoints()
    families = {target.af for target in targets}
    there = None
    if campaign.platform is PlatformName.SANDBOX:
        from catchment.platforms.sandbox.api.probes import Probes  # noqa: PLC0415  (only the sandbox needs it)

        internet = simulate(campaign.sandbox, services, targets)
        there = list(Probes(internet.topology, now).objects.values())
    if wanted.asked is not None:
        everybody = {*wanted.asked.v4, *wanted.asked.v6}
        same: list[Probe] = [{"id": number} for number in everybody]
        before = {af: len(asked(same, af, wanted)) for af in families}
        return {af: number or len(everybody) for af, number in before.items()}, all(before.values())
    if there is not None and not wanted.measurements:
        probes = pick(there, wanted, families, seed=wanted.seed).probes
        return {af: len(asked(probes, af, wanted)) for af in families}, True
    ids = len(set(wanted.ids))
    most = ids if ids and not is_named(replace(wanted, ids=())) else max(wanted.count, ids)
    return dict.fromkeys(families, most), False


def check_times(campaign: Campaign, file: object, now: float) -> None:
    """Raise InvalidFile, which names the file, where the time of a campaign has come already, or is too short."""
    schedule = campaign.schedule
    if campaign.reuse:
        return
    earliest = _earliest(campaign, now)
    start, _ = times(schedule, earliest)
    if schedule.change_at is not None and start < now:
        raise InvalidFile(
            f"{file}: key 'schedule.change_at': to measure {schedule.before_s} s before {schedule.change_at} it is too "
            "late: choose a later time, or a shorter 'before_s'"
        )
    if schedule.start is not None and start < now:
        raise InvalidFile(f"{file}: key 'schedule.start': {schedule.start} is past: choose a time to come")
    if rounds(schedule, earliest) == 0:
        raise InvalidFile(
            f"{file}: key 'schedule.stop': there is no time for one whole round of {schedule.interval_s} s: end later"
        )


def _earliest(campaign: Campaign, now: float) -> float:
    """Return when a campaign can begin: RIPE Atlas has to tell its probes first."""
    return now if campaign.platform in SENT_BY_THIS_HOST else now + START_AFTER_S


def _schedule(campaign: Campaign, now: float) -> Numbers:
    schedule = campaign.schedule
    start, stop = times(schedule, _earliest(campaign, now))
    is_told = schedule.start is not None or schedule.change_at is not None
    changed = schedule.change_at
    return {
        "interval_s": schedule.interval_s,
        "from": iso_time(start) if is_told else None,
        "change_at": None if changed is None else iso_time(changed.timestamp()),
        "to": iso_time(stop) if is_told or schedule.stop is not None else None,
    }


def _summary(plan: Plan, *, is_open: bool) -> str:
    told = f"{plan.results:,} results, {plan.credits:,} credits"
    if is_open and any(measurement.af == _NOT_EVERYWHERE for measurement in plan.measurements):
        told = f"at most {told} (not every vantage point has IPv6)"
    return f"{plan.probes:,} vantage points, {told}"


def load_plan(file: Path, root: Path | None = None) -> tuple[Campaign, list[Service], list[Target]]:
    """Read a campaign; return it with its targets resolved, its services and its targets. Raises CatchmentError.

    Given the `root` of stored runs, the vantage points that it takes over from earlier ones are looked up as well.
    """
    campaign = load_campaign(file)
    if root is not None:
        campaign = resolve(campaign, root, file)
    found = [(wanted, find_service(wanted.service)) for wanted in campaign.targets]
    targets = [Target(service=service.name, address=_address(wanted, service, file)) for wanted, service in found]
    resolved = tuple(
        CampaignTarget(service=target.service or "", af=target.af, address=target.address) for target in targets
    )
    services: dict[str, Service] = {}
    for _, service in found:
        if services.setdefault(service.name, service) != service:
            raise InvalidFile(f"{file}: two different services are called '{service.name}': rename one of them")
    owners: dict[str, str | None] = {}
    for target in targets:
        if owners.setdefault(target.address, target.service) != target.service:
            raise InvalidFile(
                f"{file}: '{owners[target.address]}' and '{target.service}' have the address {target.address} both: "
                "measure it under one of them"
            )
    return replace(campaign, targets=resolved), list(services.values()), list(dict.fromkeys(targets))


def _address(wanted: CampaignTarget, service: Service, file: Path) -> str:
    current = [entry.address for entry in service.addresses if entry.until is None and entry.af == wanted.af]
    if wanted.address is None:
        if not current:
            raise UnknownName(f"{file}: '{service.name}' has no IPv{wanted.af} address today: name one as 'address'")
        return current[0]
    try:
        address = str(ipaddress.ip_address(wanted.address))
    except ValueError as error:
        raise InvalidFile(f"{file}: key 'targets': '{wanted.address}' is not an IPv4 or IPv6 address") from error
    if Target(service=None, address=address).af != wanted.af:
        raise InvalidFile(f"{file}: key 'targets': {address} is no IPv{wanted.af} address: mend `af` or `address`")
    if address not in [entry.address for entry in service.addresses]:
        known = ", ".join(entry.address for entry in service.addresses)
        raise UnknownName(f"{file}: {wanted.address} is no address of '{service.name}', which has {known}")
    return address
