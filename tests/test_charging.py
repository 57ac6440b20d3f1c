"""What a plan says before anything is asked for, held against what the sandbox then delivers and charges."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catchment.campaign import Campaign, CampaignTarget, Limits, PlatformName, Protocol, Query, Schedule, VantagePoints
from catchment.model import AddressFamily, Kind, Target
from catchment.platforms import sandbox as sandboxes
from catchment.platforms.atlas.client import Atlas, Endpoint
from catchment.platforms.atlas.limits import Plan
from catchment.platforms.atlas.scheduling import divide, schedule
from catchment.platforms.atlas.selecting import asked, choose
from catchment.platforms.sandbox import Sandbox, open_sandbox
from catchment.store import Accepted, Measurement, Stage
from catchment.workflow.planning import estimate_plan
from tests.atlas_server import keys_of
from tests.fake_internet import KEY, START, V4, V6, FakeInternet, vantage

TARGETS: dict[AddressFamily, Target] = {
    4: Target(service="example-dns", address=V4),
    6: Target(service="example-dns", address=V6),
}
# All of them report; every third one has IPv6.
POINTS = tuple(vantage(number, ipv6=number % 3 == 0) for number in range(1, 14))
QUERIES = (
    Query(kind=Kind.DNS),
    Query(kind=Kind.DNS, name="id.server", protocol=Protocol.UDP),
    Query(kind=Kind.DNS, protocol=Protocol.TCP),
    *(Query(kind=Kind.PING, packets=packets) for packets in (1, 3, 16)),
    Query(kind=Kind.TRACEROUTE),
    *(Query(kind=Kind.TRACEROUTE, protocol=protocol, packets=2) for protocol in Protocol),
)
# What a result of each of them costs by RIPE Atlas's documentation, if it is none of a one-off.
PRICES = [10, 10, 20, 1, 3, 16, 30, 20, 20, 20]
LATEST_S = 200  # by then the last result has arrived
NO_LIMITS = sandboxes.Limits(results_per_day=10**9, measurements_per_target=10**6, concurrent_measurements=10**6)


def in_s(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


SCHEDULES = {
    "once": Schedule(),
    "once, later": Schedule(start=in_s(900)),
    "in rounds": Schedule(interval_s=300, rounds=3),
    "in many short rounds": Schedule(interval_s=60, rounds=25, start=in_s(120)),
    "until a whole round": Schedule(interval_s=240, start=in_s(100), stop=in_s(100 + 3 * 240)),
    "until amid a round": Schedule(interval_s=240, start=in_s(100), stop=in_s(100 + 3 * 240 + 60)),
    "until the end of a spread": Schedule(interval_s=240, start=in_s(100), stop=in_s(100 + 3 * 240 + 120)),
    "until just after a spread": Schedule(interval_s=240, start=in_s(100), stop=in_s(100 + 3 * 240 + 121)),
    "until some time": Schedule(interval_s=1000, stop=in_s(4321)),
    "around a change": Schedule(interval_s=300, change_at=in_s(2000), before_s=900, after_s=1000, settle_s=300),
}


@contextmanager
def atlas_of(folder: Path) -> Iterator[tuple[Sandbox, Atlas]]:
    with open_sandbox(
        FakeInternet(points=POINTS), start=START, folder=folder, key=KEY, balance=10**9, limits=NO_LIMITS
    ) as sandbox:
        endpoint = Endpoint(server=sandbox.server, verify=str(sandbox.ca_file), keys=keys_of(KEY))
        with Atlas(endpoint, sleep=sandbox.clock.advance) as atlas:
            yield sandbox, atlas
            assert sandbox.failures == []


def ask(
    sandbox: Sandbox, atlas: Atlas, when: Schedule, families: tuple[AddressFamily, ...], **options: Any
) -> tuple[Plan, tuple[Measurement, ...]]:
    """Plan a campaign and schedule it; return the plan and what was accepted."""
    targets = [TARGETS[af] for af in families]
    campaign = Campaign(
        name="charged",
        platform=PlatformName.ATLAS,
        targets=tuple(CampaignTarget(service="example-dns", af=target.af) for target in targets),
        schedule=when,
        **{"queries": QUERIES, **options},
    )
    wanted = campaign.vantage_points or VantagePoints()
    probes = choose(atlas, wanted, {*families}, seed=1)
    counts: dict[int, int] = {af: len(asked(probes, af, wanted)) for af in families}
    plan = estimate_plan(campaign, targets, counts, sandbox.clock.now())
    parts = divide(campaign, targets, probes)
    accepted = schedule(
        atlas,
        campaign=campaign,
        targets=targets,
        accepted=Accepted(tag="catchment-1a2b", stage=Stage.SCHEDULING, parts=parts),
        clock=sandbox.clock.now,
        sleep=sandbox.clock.advance,
        record=lambda _: None,
    )
    return plan, accepted.measurements


def delivered(atlas: Atlas, measurement: Measurement) -> int:
    return sum(1 for line in atlas.lines(f"/measurements/{measurement.id}/results/", format="txt") if line.strip())


def wait(sandbox: Sandbox, accepted: tuple[Measurement, ...]) -> None:
    last = max(one.stop or one.start for one in accepted)
    sandbox.clock.advance(last + LATEST_S - sandbox.clock.now())


@pytest.mark.parametrize("families", [(4,), (6,), (4, 6)], ids=str)
@pytest.mark.parametrize("when", SCHEDULES.values(), ids=SCHEDULES)
def test_plan_s_figures_equal_what_the_sandbox_delivers_and_charges(
    tmp_path: Path, when: Schedule, families: tuple[AddressFamily, ...]
) -> None:
    with atlas_of(tmp_path) as (sandbox, atlas):
        before = atlas.get("/credits/")["current_balance"]
        plan, accepted = ask(sandbox, atlas, when, families)
        wait(sandbox, accepted)
        came = [delivered(atlas, one) for one in accepted]
        credit = atlas.get("/credits/")
        prices = [atlas.get(f"/measurements/{one.id}/")["credits_per_result"] for one in accepted]
    times = 2 if when.interval_s is None else 1
    assert prices == [price * times for price in PRICES] * len(families)
    assert came == [one.results for one in plan.measurements]
    assert [number * price for number, price in zip(came, prices, strict=True)] == [
        one.credits for one in plan.measurements
    ]
    assert sum(came) == plan.results == credit["past_day_measurement_results"]
    assert before - credit["current_balance"] == plan.credits == credit["past_day_credits_spent"]
    # Thirteen vantage points, of which four have IPv6; each is asked equally often.
    points = sum({4: 13, 6: 4}[af] for af in families)
    assert plan.rounds is not None
    assert plan.results == points * plan.rounds * len(QUERIES) > 0


def test_in_parts_it_is_the_same(tmp_path: Path) -> None:
    with atlas_of(tmp_path) as (sandbox, atlas):
        limits = Limits(probes_per_measurement=5)
        plan, accepted = ask(sandbox, atlas, Schedule(interval_s=300, rounds=2), (4, 6), limits=limits)
        wait(sandbox, accepted)
        came = sorted(delivered(atlas, one) for one in accepted)
        credit = atlas.get("/credits/")
    # 13 vantage points in parts of 5, 5 and 3, and 4 in one; twice each.
    assert came == sorted([10, 10, 6, 8] * len(QUERIES)) == sorted(one.results or 0 for one in plan.measurements)
    assert plan.credits == 2 * 17 * sum(PRICES) == credit["past_day_credits_spent"]


def test_whatever_the_interval_and_the_end_every_vantage_point_is_asked_equally_often(tmp_path: Path) -> None:
    dice = random.Random(20261121)  # noqa: S311  (not for keys)
    plans: list[Plan] = []
    measurements: list[Measurement] = []
    with atlas_of(tmp_path) as (sandbox, atlas):
        for _ in range(40):
            interval_s = dice.randint(60, 1200)
            begin_s = dice.uniform(100, 500)
            stop = in_s(begin_s + interval_s + dice.uniform(0, 6000))
            when = Schedule(interval_s=interval_s, start=in_s(begin_s), stop=stop)
            plan, accepted = ask(sandbox, atlas, when, (4,), queries=(Query(kind=Kind.PING),))
            plans.append(plan)
            measurements += accepted
        wait(sandbox, tuple(measurements))
        came = [delivered(atlas, one) for one in measurements]
        spent = atlas.get("/credits/")["past_day_credits_spent"]
    assert came == [plan.results for plan in plans]
    assert all(number % len(POINTS) == 0 for number in came)
    assert spent == sum(plan.credits or 0 for plan in plans) == 3 * sum(came)
