from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from catchment.campaign import Budget, Limits, Query, Schedule
from catchment.model import Kind, Target
from catchment.platforms.atlas.limits import COUNT, INTERVAL, QUERIES, ROUNDS, TARGETS, Limit, Plan, Wish, estimate

NOW = 1_700_000_000.0
FOUR, SIX = Target(service="a", address="198.51.100.53"), Target(service="a", address="2001:db8::53")
DNS, PING, TRACEROUTE = (Query(kind=kind) for kind in (Kind.DNS, Kind.PING, Kind.TRACEROUTE))


def wish(*queries: Query, probes: int = 1000, **options: Any) -> Wish:
    asked: dict[str, Any] = {
        "targets": (FOUR,),
        "schedule": Schedule(),
        "probes": {4: probes, 6: probes},
        "limits": Limits(),
        "budget": Budget(),
        "earliest": NOW,
    } | options
    return Wish(queries=queries, **asked)


def exceeded(plan: Plan) -> dict[str, Limit]:
    return {limit.name: limit for limit in plan.limits if not limit.ok}


def test_a_plan_adds_up_its_measurements() -> None:
    plan = estimate(wish(DNS, PING, TRACEROUTE))
    assert (plan.results, plan.credits) == (3_000, 86_000)
    assert (plan.results_per_day, plan.credits_per_day) == (3_000, 86_000)
    assert (plan.probes, plan.rounds) == (1000, 1)
    assert exceeded(plan) == {}


def test_dns_every_five_minutes_from_500_probes_exceeds_results_and_credits_of_a_day() -> None:
    found = exceeded(estimate(wish(DNS, probes=500, schedule=Schedule(interval_s=300, rounds=1000))))
    assert list(found) == ["results per day", "credits per day"]
    assert [limit.over for limit in found.values()] == [44_000, 440_000]
    # 100,000 / 288 rounds a day = 347.2; 500 * 86,400 / 100,000 = 432; 100,000 / 500 = 200 rounds.
    assert found["results per day"].remedies == {COUNT: 347, INTERVAL: 432, ROUNDS: 200}
    assert found["results per day"].key == "limits.results_per_day"


def test_what_never_ends_has_no_total_and_no_budget_is_enough_for_it() -> None:
    plan = estimate(wish(DNS, probes=10, schedule=Schedule(interval_s=3600), budget=Budget(credits=10**9)))
    assert (plan.results, plan.credits, plan.rounds) == (None, None, None)
    assert plan.results_per_day == 240
    (limit,) = exceeded(plan).values()
    assert (limit.name, limit.value, limit.over) == ("credits in the campaign's budget", None, None)


def test_every_limit_is_checked_at_its_edge() -> None:
    limits = Limits(
        concurrent_measurements=2,
        probes_per_measurement=600,
        results_per_day=1200,
        results_per_second_per_measurement=10,
        credits_per_day=12_000 + 3_600,
        measurements_per_target=2,
    )
    budget = Budget(credits=15_600, results=1200)
    assert exceeded(estimate(wish(DNS, PING, probes=600, limits=limits, budget=budget))) == {}
    assert list(exceeded(estimate(wish(DNS, PING, probes=601, limits=limits, budget=budget)))) == [
        "concurrent measurements",
        "measurements to one target",
        "results per day",
        "credits per day",
        "results in the campaign's budget",
        "credits in the campaign's budget",
    ]


def test_results_per_second_are_those_of_one_spread() -> None:
    # 4,000 probes at once, over half of 120 s.
    limits = Limits(probes_per_measurement=5000)
    plan = estimate(wish(PING, probes=4000, limits=limits, schedule=Schedule(interval_s=120, rounds=2)))
    limit = exceeded(plan)["results per second of a measurement"]
    assert (limit.value, limit.limit, limit.over) == (66.7, 50, 16.7)
    assert limit.remedies == {COUNT: 3000, INTERVAL: 160}


def test_measurements_that_run_at_once_are_of_all_targets_families_and_parts() -> None:
    targets = (FOUR, SIX, replace(FOUR, address="192.0.2.1"))
    plan = estimate(wish(DNS, PING, targets=targets, probes=1500, limits=Limits(concurrent_measurements=9)))
    # Three targets, two queries, two parts each.
    limit = exceeded(plan)["concurrent measurements"]
    assert (limit.value, limit.over) == (12, 3)
    assert limit.remedies == {COUNT: 1000, QUERIES: 1, TARGETS: 2}


def test_measurements_to_one_target_are_those_of_everybody() -> None:
    plan = estimate(wish(DNS, PING, probes=3000, limits=Limits(measurements_per_target=5)))
    limit = exceeded(plan)["measurements to one target"]
    assert (limit.value, limit.remedies) == (6, {COUNT: 2000, QUERIES: 1})
    assert limit.note == "RIPE Atlas counts those of all its users"


def test_too_much_around_a_change_is_mended_by_an_interval_that_fits_into_it() -> None:
    change = datetime(2026, 11, 21, 19, tzinfo=UTC)
    schedule = Schedule(interval_s=60, change_at=change, before_s=3600, after_s=3600)
    plan = estimate(wish(DNS, probes=500, schedule=schedule, budget=Budget(results=20_000)))
    limit = exceeded(plan)["results in the campaign's budget"]
    # 120 rounds of 500 probes. Of 166 probes they are 19,920 results; 40 rounds of 500 are 20,000, and 178 s is the
    # shortest interval of which 7,200 s hold no more than 40: what is left, 80 s, is too short for a spread of 89 s.
    assert (limit.value, limit.remedies) == (60_000, {COUNT: 166, INTERVAL: 178})
    small = estimate(wish(DNS, probes=500, schedule=schedule, budget=Budget(results=400)))
    assert exceeded(small)["results in the campaign's budget"].remedies == {COUNT: 3}


@pytest.mark.parametrize("schedule", [Schedule(interval_s=300, rounds=400), Schedule(interval_s=70, rounds=1000)])
@pytest.mark.parametrize("queries", [(DNS,), (DNS, PING, TRACEROUTE)])
def test_each_remedy_alone_keeps_the_limit_and_the_next_value_does_not(
    schedule: Schedule, queries: tuple[Query, ...]
) -> None:
    asked = wish(*queries, targets=(FOUR, SIX), probes=700, schedule=schedule, budget=Budget(credits=100_000))
    asked = replace(asked, probes={4: 700, 6: 300})
    plan = estimate(asked)
    assert exceeded(plan)
    for name, limit in exceeded(plan).items():
        assert {COUNT, ROUNDS} <= set(limit.remedies)
        for key, to in limit.remedies.items():
            step = -1 if key == INTERVAL else 1
            assert name not in exceeded(estimate(_changed(asked, key, to)))
            assert name in exceeded(estimate(_changed(asked, key, to + step)))


def _changed(asked: Wish, key: str, to: int) -> Wish:
    if key == COUNT:
        return replace(asked, probes={af: min(number, to) for af, number in asked.probes.items()})
    changed: dict[str, Any] = {key.removeprefix("schedule."): to}
    return replace(asked, schedule=replace(asked.schedule, **changed))


def test_a_plan_is_plain_values() -> None:
    table = asdict(estimate(wish(PING, probes=1)))
    assert {"probes", "measurements", "results", "credits", "results_per_day", "credits_per_day", "limits"} < set(table)
    assert {"name", "value", "limit", "ok"} < set(table["limits"][0])
