"""What a campaign comes to whose packets this host sends, to the Internet or in a lab: results, packets, time.

It costs no credits, and the limits of RIPE Atlas are not its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catchment.campaign import Campaign, PlatformName, Protocol, Query
from catchment.campaign.own_checks import PACKETS_OF_TCP
from catchment.errors import InvalidFile
from catchment.model import Kind, Target
from catchment.platforms.atlas.costs import PlannedMeasurement, count, rounds
from catchment.platforms.atlas.limits import INTERVAL, Limit

MOST_HOPS = 32
"""As many routers a traceroute asks at most."""

TURNS_IN_LAB = 3
"""How often a round in a lab asks each DNS query: of one answer nobody knows whether this host was busy just then."""

_ONE_ROUND_S = 5  # waiting for the last replies, and naming what came
_A_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a campaign of our own packets comes to; `packets` is the most that are sent, `duration_s` about as long."""

    probes: int
    rounds: int | None
    measurements: tuple[PlannedMeasurement, ...]
    results: int
    packets: int
    duration_s: int
    limits: tuple[Limit, ...]
    credits: int = 0
    credits_per_day: int = 0

    @property
    def results_per_day(self) -> int:
        """Return how many results there are in a day, or in all where it takes less."""
        return sum(one.results_per_day for one in self.measurements)


def estimate_local(campaign: Campaign, targets: Sequence[Target], now: float) -> Estimate:
    """Return what a campaign from this host comes to. A round must be over before the next one begins."""
    turns = rounds(campaign.schedule, now) or 0
    asked = tuple(
        replace(count(target, query, 1, campaign.schedule, turns), credits=0, credits_per_day=0)
        for target in targets
        for query in campaign.queries
    )
    a_round = sum(map(most_packets, campaign.queries)) * len(targets)
    sending_s = a_round / campaign.local.rate_per_s
    interval_s = campaign.schedule.interval_s
    return Estimate(
        probes=1,
        rounds=turns,
        measurements=asked,
        results=turns * len(asked),
        packets=turns * a_round,
        duration_s=math.ceil(sending_s) + _ONE_ROUND_S if interval_s is None else turns * interval_s,
        limits=(*_of_pace(sending_s, interval_s), *_of_budget(campaign, turns * len(asked))),
    )


def estimate_lab(campaign: Campaign, targets: Sequence[Target], vantage_points: Mapping[int, int]) -> Estimate:
    """Return what a campaign in a lab comes to, of so many vantage points for each address family."""
    lab, turns = campaign.lab, 2 if campaign.lab.changes else 1

    def of(target: Target, query: Query, times: int) -> PlannedMeasurement:
        one = count(target, query, vantage_points[target.af], campaign.schedule, times)
        return replace(one, credits=0, credits_per_day=0, results_per_day=one.results or 0)

    asked = [
        of(target, query, turns * (TURNS_IN_LAB if query.kind is Kind.DNS else 1))
        for target in targets
        for query in campaign.queries
    ]
    queries = [query for _ in targets for query in campaign.queries]
    packets = sum(most_packets(query) * (one.results or 0) for query, one in zip(queries, asked, strict=True))
    streaming_s = 0.0
    if lab.changes:
        streaming_s = lab.before_s + max(change.after_s for change in lab.changes) + lab.settle_s
        changing = {change.service for change in lab.changes}
        streamed = next((target for target in targets if target.service in changing), targets[0])
        query = next((query for query in campaign.queries if query.kind is Kind.DNS), Query(kind=Kind.DNS))
        asked.append(replace(of(streamed, query, int(lab.stream_per_s * streaming_s)), is_stream=True))
        packets += asked[-1].results or 0
    results = sum(one.results or 0 for one in asked)
    return Estimate(
        probes=max(vantage_points.values(), default=0),
        rounds=turns,
        measurements=tuple(asked),
        results=results,
        packets=packets,
        duration_s=math.ceil(streaming_s) + turns * _ONE_ROUND_S,
        limits=tuple(_of_budget(campaign, results)),
    )


def lab_vantage_points(campaign: Campaign, targets: Sequence[Target]) -> dict[int, int]:
    """Return how many vantage points of its lab a campaign asks, for each address family. Raises InvalidFile."""
    from catchment.platforms.topology import load_topology  # noqa: PLC0415  (only a lab has one)

    there = load_topology(Path(campaign.lab.topology or "")).vantage_points
    wanted = set(campaign.vantage_points.ids) if campaign.vantage_points else set()
    strange = wanted - {point.id for point in there}
    if strange:
        raise InvalidFile(
            f"campaign '{campaign.name}': key 'vantage_points.ids': the topology has no vantage point {min(strange)}: "
            f"name some of {', '.join(str(point.id) for point in there[:6])}, …"
        )
    asked = [point for point in there if not wanted or point.id in wanted]
    return {target.af: sum(point.ipv6 or target.af == 4 for point in asked) for target in targets}


def most_packets(query: Query) -> int:
    """Return how many packets a query sends at most, unless a server wants to be asked again over TCP."""
    match query.kind:
        case Kind.DNS:
            return PACKETS_OF_TCP if query.protocol is Protocol.TCP else 1
        case Kind.PING:
            return query.packets
        case Kind.TRACEROUTE:
            return MOST_HOPS * query.packets


def check_own(limits: Sequence[Limit]) -> None:
    """Raise InvalidFile where a campaign of our own packets comes to more than it may."""
    for limit in limits:
        if not limit.ok:
            raise InvalidFile(
                f"the campaign comes to {limit.value:,.1f} {limit.name}, {limit.limit:,} are allowed: "
                f"{advise_own(limit)}; nothing was sent"
            )


def advise_own(limit: Limit) -> str | None:
    """Return what to do so that a limit is kept; None where it is."""
    if limit.ok:
        return None
    if limit.key == INTERVAL:
        return f"raise {INTERVAL} to {limit.remedies[INTERVAL]}, raise local.rate_per_s, or ask less"
    return f"ask less, or raise {limit.key}"


def words_of(estimate: Estimate, platform: PlatformName) -> str:
    """Say in a line what it comes to."""
    who = "from this host" if platform is PlatformName.LOCAL else f"{estimate.probes:,} vantage points of a lab"
    return (
        f"{who}, {estimate.results:,} results, {estimate.packets:,} packets at most, {_time(estimate.duration_s)}, "
        "no credits"
    )


def _time(seconds: int) -> str:
    if seconds < 120:
        return f"about {seconds} s"
    if seconds < 7200:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.0f} hours" if seconds < 2 * _A_DAY_S else f"about {seconds / _A_DAY_S:.0f} days"


def _of_pace(sending_s: float, interval_s: int | None) -> Iterator[Limit]:
    if interval_s is not None:
        yield _limit("seconds to send a round", sending_s, interval_s, INTERVAL, {INTERVAL: math.ceil(sending_s)})


def _of_budget(campaign: Campaign, results: int) -> Iterator[Limit]:
    if campaign.budget.results is not None:
        yield _limit("results in the campaign's budget", results, campaign.budget.results, "budget.results", {})


def _limit(name: str, value: float, limit: int, key: str, remedies: dict[str, int]) -> Limit:
    ok = value <= limit
    over = None if ok else round(value - limit, 1)
    return Limit(name=name, value=value, limit=limit, ok=ok, key=key, over=over, remedies={} if ok else remedies)
