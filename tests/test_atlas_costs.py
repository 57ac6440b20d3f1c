from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from catchment.campaign import Budget, Limits, Query, Schedule
from catchment.model import Kind, Target
from catchment.platforms.atlas.costs import Plan, credits_per_result, estimate, times

NOW = 1_700_000_000.0
FOUR, SIX = Target(service="a", address="198.51.100.53"), Target(service="a", address="2001:db8::53")
DNS, PING, TRACEROUTE = (Query(kind=kind) for kind in (Kind.DNS, Kind.PING, Kind.TRACEROUTE))


def plan(*queries: Query, targets: tuple[Target, ...] = (FOUR,), **options: Any) -> Plan:
    given: dict[str, Any] = {
        "schedule": Schedule(),
        "budget": Budget(),
        "probes": 1000,
        "now": NOW,
        "limits": Limits(),
    } | options
    return estimate(targets, queries, **given)


def exceeded(planned: Plan) -> list[str]:
    return [limit.name for limit in planned.limits if not limit.ok]


# RIPE Atlas documentation, "Credit system": what one result of each kind costs.
@pytest.mark.parametrize(
    ("kind", "options", "price"),
    [
        (Kind.DNS, {}, 10),
        (Kind.DNS, {"tcp": True}, 20),
        (Kind.PING, {}, 3),
        (Kind.PING, {"packets": 5, "size_bytes": 1500}, 10),
        (Kind.TRACEROUTE, {}, 30),
        (Kind.TRACEROUTE, {"packets": 1, "size_bytes": 3000}, 30),
    ],
)
def test_a_result_has_the_documented_price_and_a_one_off_costs_twice(
    kind: Kind, options: dict[str, Any], price: int
) -> None:
    assert credits_per_result(kind, one_off=False, **options) == price
    assert credits_per_result(kind, one_off=True, **options) == 2 * price


def test_one_round_of_everything_from_1000_probes_costs_86000_credits() -> None:
    planned = plan(DNS, PING, TRACEROUTE)
    assert [one.credits for one in planned.measurements] == [20_000, 6_000, 60_000]
    assert (planned.results, planned.credits) == (3_000, 86_000)
    assert (planned.results_per_day, planned.credits_per_day) == (3_000, 86_000)
    assert planned.probes == 1000
    assert exceeded(planned) == []


def test_dns_every_five_minutes_from_500_probes_exceeds_results_and_credits_of_a_day() -> None:
    planned = plan(DNS, schedule=Schedule(interval_s=300), probes=500)
    assert (planned.results_per_day, planned.credits_per_day) == (144_000, 1_440_000)
    assert exceeded(planned) == ["results per day", "credits per day"]


def test_what_never_ends_has_no_total_and_no_budget_is_enough_for_it() -> None:
    planned = plan(DNS, schedule=Schedule(interval_s=3600), probes=10, budget=Budget(credits=10**9))
    assert (planned.results, planned.credits) == (None, None)
    assert planned.results_per_day == 240
    assert exceeded(planned) == ["credits in the campaign's budget"]


def test_a_schedule_that_ends_is_counted_in_rounds() -> None:
    start, stop = datetime(2026, 11, 21, 19, tzinfo=UTC), datetime(2026, 11, 21, 20, tzinfo=UTC)
    planned = plan(DNS, PING, schedule=Schedule(interval_s=300, start=start, stop=stop), probes=100)
    # An hour holds 12 rounds of 5 minutes: 12 * 100 results of each kind, at 10 and at 3 credits.
    assert (planned.results, planned.credits) == (2_400, 15_600)
    assert (planned.results_per_day, planned.credits_per_day) == (2_400, 15_600)


def test_a_started_round_counts_and_a_long_schedule_has_its_rate_a_day() -> None:
    day = Schedule(interval_s=700, stop=datetime.fromtimestamp(NOW + 10 * 86_400, UTC))
    planned = plan(PING, schedule=day, probes=7)
    # 864,000 s / 700 s = 1234.28: 1235 rounds; 86,400 / 700 * 7 = 864 results a day.
    assert (planned.results, planned.results_per_day) == (1235 * 7, 864)


def test_rounds_say_when_a_schedule_ends() -> None:
    assert times(Schedule(interval_s=600, rounds=4), NOW) == (NOW, NOW + 2400)
    assert plan(PING, schedule=Schedule(interval_s=600, rounds=4), probes=5).results == 20


def test_a_one_off_starts_when_told_and_has_no_stop() -> None:
    assert times(Schedule(), NOW) == (NOW, None)
    start = datetime(2026, 11, 21, 19, tzinfo=UTC)
    assert times(Schedule(start=start), NOW) == (start.timestamp(), None)


def test_more_than_1000_probes_are_asked_in_parts() -> None:
    planned = plan(DNS, probes=2500)
    assert [one.probes for one in planned.measurements] == [1000, 1000, 500]
    assert planned.credits == 50_000
    assert exceeded(planned) == []


def test_each_address_family_may_have_its_own_number_of_probes() -> None:
    planned = plan(DNS, targets=(FOUR, SIX), probes={4: 100, 6: 40})
    assert [(one.af, one.results) for one in planned.measurements] == [(4, 100), (6, 40)]
    assert planned.probes == 100
    assert [one.query for one in planned.measurements] == ["hostname.bind"] * 2


def test_every_limit_is_checked_at_its_edge() -> None:
    limits = Limits(
        concurrent_measurements=2,
        probes_per_measurement=600,
        results_per_day=1200,
        results_per_second_per_measurement=10,
        credits_per_day=12_000 + 3_600,
        measurements_per_target=2,
    )
    assert exceeded(plan(DNS, PING, probes=600, limits=limits, budget=Budget(credits=15_600, results=1200))) == []
    assert exceeded(plan(DNS, PING, probes=601, limits=limits, budget=Budget(credits=15_600, results=1200))) == [
        "concurrent measurements",
        "measurements to one target",
        "results per day",
        "credits per day",
        "results in the campaign's budget",
        "credits in the campaign's budget",
    ]


def test_results_per_second_are_those_of_one_spread() -> None:
    # 1000 probes over half of 30 s.
    planned = plan(PING, schedule=Schedule(interval_s=30, rounds=1))
    (limit,) = [one for one in planned.limits if one.name == "results per second of a measurement"]
    assert (limit.value, limit.limit, limit.ok) == (66.7, 50, False)


def test_a_plan_is_plain_values() -> None:
    table = asdict(plan(PING, probes=1))
    assert set(table) == {
        "probes", "measurements", "results", "credits", "results_per_day", "credits_per_day", "limits",
    }  # fmt: skip
    assert set(table["limits"][0]) == {"name", "value", "limit", "ok"}
