"""What a campaign will ask for and cost: its services and targets, found and named, and the bill."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from catchment.campaign import Campaign, CampaignTarget, PlatformName, VantagePoints, load_campaign
from catchment.errors import InvalidFile, UnknownName
from catchment.metrics import Numbers
from catchment.model import Service, Target
from catchment.platforms.atlas.costs import Plan, estimate
from catchment.platforms.connecting import simulate
from catchment.services import find_service


def plan_campaign(file: Path, *, now: float | None = None) -> Numbers:
    """Return what a run of a campaign would ask for and cost, as `plan --json` prints it. Needs no key, no network.

    Raises CatchmentError where a run could not even begin.
    """
    campaign, services, targets = load_plan(file)
    if campaign.platform is PlatformName.SANDBOX:
        simulate(campaign.sandbox, services, targets)
    now = time.time() if now is None else now
    if campaign.schedule.start is not None and not campaign.reuse and campaign.schedule.start.timestamp() < now:
        raise InvalidFile(f"{file}: key 'schedule.start': {campaign.schedule.start} is past: choose a time to come")
    probes = 0 if campaign.reuse else _most_probes(campaign)
    plan = asdict(estimate_plan(campaign, targets, probes, now))
    summary = _summary(plan)
    if campaign.reuse:
        nothing = dict.fromkeys(("kind", "target", "af", "query", "probes", "results"))
        free = {"credits": 0, "results_per_day": 0, "credits_per_day": 0}
        plan["measurements"] = [{"id": number, **nothing, **free} for number in campaign.reuse]
        summary = "reads what runs already: no key, no credits"
    else:
        plan["measurements"] = [{"id": None, **measurement} for measurement in plan["measurements"]]
    return {"campaign": campaign.name, "platform": campaign.platform.value, **plan, "summary": summary}


def estimate_plan(campaign: Campaign, targets: Sequence[Target], probes: int | Mapping[int, int], now: float) -> Plan:
    """Return what a campaign asks of so many vantage points (or so many for each address family), and its limits."""
    return estimate(
        targets,
        campaign.queries,
        campaign.schedule,
        budget=campaign.budget,
        limits=campaign.limits,
        probes=probes,
        now=now,
    )


def check_limits(limits: Sequence[Numbers]) -> None:
    """Raise InvalidFile where a limit or the campaign's own budget is exceeded, by how much and what to lower."""
    for limit in limits:
        if not limit["ok"]:
            much = "without end" if limit["value"] is None else f"{limit['value']:,.0f}"
            raise InvalidFile(
                f"the campaign comes to {much} {limit['name']}, of which {limit['limit']:,} are allowed: lower the "
                "count of vantage points, the queries or the schedule, or raise the budget; nothing was asked for"
            )


def _most_probes(campaign: Campaign) -> int:
    wanted = campaign.vantage_points or VantagePoints()
    only_ids = wanted.ids and not wanted.countries and not wanted.asns
    return len(wanted.ids) if only_ids else max(wanted.count, len(wanted.ids))


def _summary(plan: Numbers) -> str:
    told = f"{plan['results']:,} results, {plan['credits']:,} credits"
    if any(measurement["af"] == 6 for measurement in plan["measurements"]):
        told = f"at most {told} (not every vantage point has IPv6)"
    return f"{plan['probes']:,} vantage points, {told}"


def load_plan(file: Path) -> tuple[Campaign, list[Service], list[Target]]:
    """Read a campaign; return it with its targets resolved, its services and its targets. Raises CatchmentError."""
    campaign = load_campaign(file)
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
