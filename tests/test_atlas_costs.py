from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catchment.campaign import Budget, Limits, Protocol, Query, Schedule
from catchment.model import Kind, Target
from catchment.platforms.atlas.costs import PlannedMeasurement, credits_per_result, rounds, spread_s, times
from catchment.platforms.atlas.limits import Wish

NOW = 1_700_000_000.0
FOUR, SIX = Target(service="a", address="198.51.100.53"), Target(service="a", address="2001:db8::53")
DNS, PING, TRACEROUTE = (Query(kind=kind) for kind in (Kind.DNS, Kind.PING, Kind.TRACEROUTE))
CHANGE = datetime(2026, 11, 21, 19, tzinfo=UTC)


def counted(*queries: Query, targets: tuple[Target, ...] = (FOUR,), **options: Any) -> tuple[PlannedMeasurement, ...]:
    asked: dict[str, Any] = {"schedule": Schedule(), "probes": {4: 1000}, "earliest": NOW, "limits": Limits()} | options
    return Wish(targets=targets, queries=queries, budget=Budget(), **asked).measurements()


def later(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


# RIPE Atlas documentation, "Credit system": what one result of each kind costs.
@pytest.mark.parametrize(
    ("query", "size_bytes", "price"),
    [
        (DNS, 48, 10),
        (Query(kind=Kind.DNS, protocol=Protocol.UDP), 48, 10),
        (Query(kind=Kind.DNS, protocol=Protocol.TCP), 48, 20),
        (PING, 48, 3),
        (Query(kind=Kind.PING, packets=1), 48, 1),
        (Query(kind=Kind.PING, packets=5), 1500, 10),
        (TRACEROUTE, 48, 30),
        (Query(kind=Kind.TRACEROUTE, protocol=Protocol.TCP), 48, 30),
        (Query(kind=Kind.TRACEROUTE, protocol=Protocol.UDP, packets=1), 48, 10),
        (Query(kind=Kind.TRACEROUTE, packets=1), 3000, 30),
    ],
)
def test_a_result_has_the_documented_price_and_a_one_off_costs_twice(query: Query, size_bytes: int, price: int) -> None:
    assert credits_per_result(query, one_off=False, size_bytes=size_bytes) == price
    assert credits_per_result(query, one_off=True, size_bytes=size_bytes) == 2 * price


# The sizes that were worked out by hand in the reference on RIPE Atlas.
def test_one_round_of_everything_from_1000_probes_costs_86000_credits() -> None:
    planned = counted(DNS, PING, TRACEROUTE)
    assert [one.credits for one in planned] == [20_000, 6_000, 60_000]
    assert [one.results for one in planned] == [1_000, 1_000, 1_000]
    assert [one.credits_per_day for one in planned] == [20_000, 6_000, 60_000]


def test_dns_every_five_minutes_from_500_probes_is_144000_results_and_1440000_credits_a_day() -> None:
    (planned,) = counted(DNS, schedule=Schedule(interval_s=300), probes={4: 500})
    assert (planned.results_per_day, planned.credits_per_day) == (144_000, 1_440_000)
    assert (planned.results, planned.credits) == (None, None)


def test_a_schedule_that_ends_is_counted_in_rounds() -> None:
    schedule = Schedule(interval_s=300, start=later(0), stop=later(3600))
    planned = counted(DNS, PING, schedule=schedule, probes={4: 100})
    # An hour holds 12 rounds of 5 minutes: 12 * 100 results of each kind, at 10 and at 3 credits.
    assert [(one.results, one.credits) for one in planned] == [(1_200, 12_000), (1_200, 3_600)]
    assert [(one.results_per_day, one.credits_per_day) for one in planned] == [(1_200, 12_000), (1_200, 3_600)]


def test_a_long_schedule_has_its_rate_a_day() -> None:
    (planned,) = counted(PING, schedule=Schedule(interval_s=700, stop=later(10 * 86_400)), probes={4: 7})
    # 864,000 s hold 1,234 times 700 s and 200 s more, too little for a spread of 350 s; 86,400 / 700 * 7 = 864 a day.
    assert (planned.results, planned.results_per_day) == (1234 * 7, 864)


@pytest.mark.parametrize(
    ("interval_s", "lasts_s", "number", "ends_s"),
    [
        (900, 3600, 4, 3600),  # four whole quarters of an hour
        (900, 3601, 4, 3600),  # nothing begins that would not be whole
        (900, 4000, 4, 3600),  # the fifth round's spread, 400 s, ends just then: the last of them would be too late
        (900, 4001, 5, 4001),  # now the fifth round is whole, though the fifth quarter is not over
        (240, 120, 0, 0),
        (240, 121, 1, 121),
        (61, 31, 1, 31),  # spread over 30.5 s
        (61, 30, 0, 0),
    ],
)
def test_a_stop_is_put_where_the_last_round_is_whole(interval_s: int, lasts_s: int, number: int, ends_s: int) -> None:
    schedule = Schedule(interval_s=interval_s, stop=later(lasts_s))
    assert rounds(schedule, NOW) == number
    assert times(schedule, NOW) == (NOW, NOW + ends_s)


def test_rounds_say_when_a_schedule_ends() -> None:
    schedule = Schedule(interval_s=600, rounds=4)
    assert times(schedule, NOW) == (NOW, NOW + 2400)
    assert rounds(schedule, NOW) == 4


def test_around_a_change_is_from_before_it_to_after_it() -> None:
    schedule = Schedule(interval_s=300, change_at=CHANGE, before_s=1800, after_s=3600)
    assert times(schedule, NOW) == (CHANGE.timestamp() - 1800, CHANGE.timestamp() + 3600)
    assert rounds(schedule, NOW) == 18
    uneven = Schedule(interval_s=300, change_at=CHANGE, before_s=1800, after_s=1000)
    # 2,800 s: nine rounds, and 100 s, too little for the 150 s of a tenth one.
    assert times(uneven, NOW) == (CHANGE.timestamp() - 1800, CHANGE.timestamp() + 900)


def test_a_one_off_starts_when_told_and_has_no_stop() -> None:
    assert times(Schedule(), NOW) == (NOW, None)
    assert times(Schedule(start=CHANGE), NOW) == (CHANGE.timestamp(), None)
    assert rounds(Schedule(), NOW) == 1


def test_times_are_whole_seconds_within_those_given() -> None:
    schedule = Schedule(interval_s=60, start=later(0.25), stop=later(600.75))
    assert times(schedule, NOW) == (NOW + 1, NOW + 600)


SECONDS = st.integers(0, 400_000)


@given(st.integers(60, 7200), SECONDS, st.integers(1, 300), st.integers(1, 20))
def test_results_are_probes_times_rounds_and_no_round_is_cut(
    interval_s: int, lasts_s: int, probes: int, packets: int
) -> None:
    schedule = Schedule(interval_s=interval_s, stop=later(lasts_s))
    start, stop = times(schedule, NOW)
    assert stop is not None
    number, query = rounds(schedule, NOW), Query(kind=Kind.PING, packets=packets)
    assert number is not None
    (planned,) = counted(query, schedule=schedule, probes={4: probes})
    assert (planned.results, planned.credits) == (probes * number, probes * number * packets)
    assert start == NOW
    assert start <= stop <= NOW + lasts_s
    # When in a round the first and the last probe measure; nothing is measured from the end on.
    for offset_s in (0, spread_s(schedule)):
        assert sum(start + turn * interval_s + offset_s < stop for turn in range(number + 2)) == number
    # And there is no room for one round more.
    assert start + number * interval_s + spread_s(schedule) >= NOW + lasts_s


@given(st.integers(60, 7200), st.integers(1, 500), st.integers(1, 300))
@example(294, 294, 147)
def test_rounds_that_are_told_are_as_many_as_told(interval_s: int, number: int, probes: int) -> None:
    schedule = Schedule(interval_s=interval_s, rounds=number)
    (planned,) = counted(PING, schedule=schedule, probes={4: probes})
    assert planned.results == probes * number
    assert planned.results_per_day == -(-min(86_400 * probes, number * probes * interval_s) // interval_s)


@given(st.integers(60, 3600), st.integers(3600, 90_000), st.integers(3600, 90_000))
def test_around_a_change_nothing_is_asked_outside_of_what_is_told(interval_s: int, before_s: int, after_s: int) -> None:
    schedule = Schedule(interval_s=interval_s, change_at=CHANGE, before_s=before_s, after_s=after_s)
    start, stop = times(schedule, NOW)
    assert stop is not None
    assert datetime.fromtimestamp(start, UTC) == CHANGE - timedelta(seconds=before_s)
    assert CHANGE < datetime.fromtimestamp(stop, UTC) <= CHANGE + timedelta(seconds=after_s)


def test_more_than_1000_probes_are_asked_in_parts() -> None:
    planned = counted(DNS, probes={4: 2500})
    assert [one.probes for one in planned] == [1000, 1000, 500]
    assert sum(one.credits or 0 for one in planned) == 50_000
    assert [one.probes for one in counted(DNS, limits=Limits(probes_per_measurement=400))] == [400, 400, 200]


def test_each_address_family_has_its_own_number_of_probes() -> None:
    planned = counted(DNS, targets=(FOUR, SIX), probes={4: 100, 6: 40})
    assert [(one.af, one.results) for one in planned] == [(4, 100), (6, 40)]
    assert [one.query for one in planned] == ["hostname.bind"] * 2
    assert counted(DNS, targets=(FOUR, SIX), probes={4: 5}) == counted(DNS, probes={4: 5})


def test_results_spread_over_half_the_interval_and_at_most_400_s() -> None:
    assert spread_s(Schedule(interval_s=60)) == 30
    assert spread_s(Schedule(interval_s=801)) == 400
    assert spread_s(Schedule()) == 60
