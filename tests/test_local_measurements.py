from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from catchment.campaign import Protocol, Query
from catchment.model import Kind, Target
from catchment.platforms.local.measurements import own_measurements
from catchment.store import Measurement

START = 1_795_341_855.713


def test_each_target_and_query_makes_a_measurement_of_all_vantage_points() -> None:
    queries = [Query(kind=Kind.DNS, name="id.server", nsid=False), Query(kind=Kind.PING, nsid=True)]
    targets = [Target(service="a", address="192.0.2.53"), Target(service="a", address="2001:db8::53")]
    measurements, query_of = own_measurements(queries, targets, ["lab:1", "lab:2"], START, 60, START + 600)
    asked = [(one.kind, one.target, one.af, one.query, one.nsid) for one in measurements]
    assert asked == [
        (Kind.DNS, "192.0.2.53", 4, "id.server", False),
        (Kind.PING, "192.0.2.53", 4, None, False),
        (Kind.DNS, "2001:db8::53", 6, "id.server", False),
        (Kind.PING, "2001:db8::53", 6, None, False),
    ]
    assert [query_of[one.id] for one in measurements] == queries * 2
    for one in measurements:
        assert isinstance(one, Measurement)
        assert (one.start, one.stop, one.interval_s) == (START, START + 600, 60)
        assert (one.vantage_points, one.probes, one.reused) == (("lab:1", "lab:2"), None, False)


def test_ids_are_the_same_whenever_they_are_made_and_unlike_any_other() -> None:
    once, thrice = Query(kind=Kind.DNS), [Query(kind=Kind.DNS)] * 3
    targets = [Target(service=None, address="192.0.2.53"), Target(service=None, address="192.0.2.54")]

    def ids(queries: Sequence[Query], names: Sequence[str], start: float) -> list[int]:
        return [one.id for one in own_measurements(queries, targets, names, start, None, None)[0]]

    assert ids(thrice, ["local:a"], START) == ids(thrice, ["local:a"], START)
    assert ids([once], ["local:a"], 1_795_341_855) == ids([once], ["local:a"], 1_795_341_855.0)  # as JSON may have it
    # Two hosts may well be told to begin at the same time, and to ask different things.
    every = [
        *ids(thrice, ["local:a"], START),
        *ids(thrice, ["local:b"], START),
        *ids(thrice, ["local:a"], START + 1),
        *ids([replace(once, name="id.server")], ["local:a"], START),
        *ids([replace(once, protocol=Protocol.TCP)], ["local:a"], START),
        *ids([Query(kind=Kind.PING)], ["local:a"], START),
        *ids([Query(kind=Kind.PING, packets=5)], ["local:a"], START),
    ]
    assert len(set(every)) == len(every) == 26
    assert all(1 << 52 <= number < 1 << 53 for number in every)
    assert all(int(float(number)) == number for number in every)  # as JavaScript reads it
