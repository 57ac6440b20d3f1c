from __future__ import annotations

import json

from catchment.campaign import Query
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


def test_ids_tell_the_start_and_are_unlike_any_other() -> None:
    queries, targets = [Query(kind=Kind.DNS)] * 3, [Target(service=None, address="192.0.2.53")]
    first, _ = own_measurements(queries, targets, ["a"], START, None, None)
    other, _ = own_measurements(queries, targets, ["a"], START + 0.001, None, None)
    assert [one.id for one in first] == [1_795_341_855_713_000, 1_795_341_855_713_001, 1_795_341_855_713_002]
    ids = [one.id for one in (*first, *other)]
    assert len(set(ids)) == 6
    assert all(1_000_000_000 < number < 1 << 53 for number in ids)
    assert json.loads(json.dumps(ids)) == ids
