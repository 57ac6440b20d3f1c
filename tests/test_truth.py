from __future__ import annotations

import json
from pathlib import Path

import pytest

from catchment.campaign import Change, ChangeName
from catchment.platforms.sandbox.internet.replies import Reply
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.sandbox.internet.truth import Truth, truth, write_truth
from catchment.platforms.topology.elements import Interception, Interceptor, Topology, Trouble
from tests.small_internets import ADDRESS, ADDRESS_6, ORIGIN, PLACES, site_of, small_internet, vantage_point

LINKS = "10@FRA>1@FRA=5 20@NYC>1@NYC=7 30@SYD>31@SYD"
FRANKFURT = ("ns1.fra.example.net", "ns2.fra.example.net")
SITES = site_of("fra", "1@FRA", identities=FRANKFURT), site_of("nyc", "1@NYC")
VANTAGE_POINTS = (
    vantage_point(1, "10@FRA", ipv6=True, last_mile_ms=3.0),
    vantage_point(2, "20@NYC", trouble=Trouble.DNS_BLOCKED),
    vantage_point(3, "10@FRA", trouble=Trouble.FLAPPING, second_asn=20),
    vantage_point(4, "30@SYD"),
    vantage_point(5, "10@FRA", trouble=Trouble.MISLOCATED, said_latitude=0.0, said_longitude=0.0),
)


def world() -> Topology:
    box = Interceptor(answer=Interception.REFUSED, vantage_points=(5,))
    return small_internet(LINKS, *SITES, vantage_points=VANTAGE_POINTS, interceptors=(box,))


def rows(*changes: Change) -> dict[tuple[int, str, float], Truth]:
    return {(row.vantage, row.address, row.after_s): row for row in truth(Internet(world(), changes=changes))}


def test_there_is_a_row_for_each_vantage_point_address_and_epoch() -> None:
    found = rows(Change(change=ChangeName.WITHDRAW, site="fra", after_s=60))
    assert {key for key in found if key[2] == 0} == {(number, ADDRESS, 0) for number in range(1, 6)} | {
        (1, ADDRESS_6, 0)
    }
    assert len(found) == 12
    assert {row.until_s for row in found.values() if row.after_s == 0} == {60}
    assert {row.until_s for row in found.values() if row.after_s == 60} == {None}


def test_a_row_says_where_packets_go_and_how_long_that_takes() -> None:
    row = rows()[1, ADDRESS, 0]
    assert (row.sites, row.servers, row.as_path) == (("fra",), FRANKFURT, (10, 1, ORIGIN))
    assert row.rtt_ms == pytest.approx(3 + 2 * (5 + 0.05 + 0.05))
    assert row.distance_km == 0
    assert (row.trouble, row.interception, row.hijacked, row.failed) == (None, None, False, False)


def test_each_family_has_a_truth_of_its_own() -> None:
    # Over IPv6 AS 10 has its provider in New York only.
    sites = site_of("fra", "1@FRA"), site_of("nyc", "2@NYC")
    here = vantage_point(1, "10@FRA", ipv6=True)
    topology = small_internet("10@FRA>1@FRA=5/4 10@FRA>2@NYC=40", *sites, vantage_points=(here,))
    four, six = truth(Internet(topology))
    assert (four.address, four.sites, four.as_path) == (ADDRESS, ("fra",), (10, 1, ORIGIN))
    assert (six.address, six.sites, six.as_path) == (ADDRESS_6, ("nyc",), (10, 2, ORIGIN))
    assert four.rtt_ms == pytest.approx(2 * (5 + 0.1))
    assert six.rtt_ms == pytest.approx(2 * (40 + 0.1))
    assert four.distance_km == 0
    assert six.distance_km == pytest.approx(6205, rel=0.002)


def test_the_distance_is_a_geodesic_one() -> None:
    row = rows(Change(change=ChangeName.WITHDRAW, site="fra"))[1, ADDRESS, 0]
    assert row.distance_km == pytest.approx(6205, rel=0.002)  # Frankfurt to New York JFK as airlines give it


def test_a_withdrawn_site_has_heirs() -> None:
    found = rows(Change(change=ChangeName.WITHDRAW, site="fra", after_s=60))
    assert [found[1, ADDRESS, after_s].sites for after_s in (0, 60)] == [("fra",), ("nyc",)]
    assert [found[2, ADDRESS, after_s].sites for after_s in (0, 60)] == [("nyc",), ("nyc",)]


def test_a_flapping_vantage_point_is_at_both_sites_its_usual_one_first() -> None:
    row = rows()[3, ADDRESS, 0]
    assert (row.sites, row.servers) == (("fra", "nyc"), (*FRANKFURT, "ns1.nyc.example.net"))
    assert row.trouble is Trouble.FLAPPING


def test_who_has_no_route_is_nowhere() -> None:
    row = rows()[4, ADDRESS, 0]
    assert (row.sites, row.servers, row.as_path, row.rtt_ms, row.distance_km) == ((), (), (), None, None)


def test_trouble_and_interception_are_named_and_the_real_position_given() -> None:
    row = rows()[5, ADDRESS, 0]
    assert (row.trouble, row.interception) == (Trouble.MISLOCATED, Interception.REFUSED)
    assert (row.latitude, row.longitude) == (PLACES["FRA"].latitude, PLACES["FRA"].longitude)
    assert row.sites == ("fra",)


def test_a_hijacked_vantage_point_is_told_apart() -> None:
    found = rows(Change(change=ChangeName.HIJACK, asn=20))
    assert [(found[number, ADDRESS, 0].hijacked, found[number, ADDRESS, 0].sites) for number in (1, 2)] == [
        (False, ("fra",)),
        (True, ("as20",)),
    ]


def test_where_the_servers_failed_packets_go_there_all_the_same() -> None:
    found = rows(Change(change=ChangeName.FAIL, site="fra"))
    seen = {number: found[number, ADDRESS, 0] for number in (1, 2, 3)}
    assert {number: (row.sites, row.servers, row.failed) for number, row in seen.items()} == {
        1: (("fra",), (), True),
        2: (("nyc",), ("ns1.nyc.example.net",), False),
        3: (("fra", "nyc"), ("ns1.nyc.example.net",), True),
    }
    assert seen[1].rtt_ms == rows()[1, ADDRESS, 0].rtt_ms


def test_replies_come_from_the_servers_that_the_truth_names() -> None:
    internet = Internet(world(), changes=[Change(change=ChangeName.WITHDRAW, site="fra", after_s=60)])
    known = {(row.vantage, row.after_s): row for row in truth(internet) if row.address == ADDRESS}
    for vantage in VANTAGE_POINTS[:4]:
        for after_s in (0.0, 60.0):
            row = known[vantage.id, after_s]
            for turn in range(50):
                reply = internet.dns(vantage, ADDRESS, "hostname.bind", nsid=True, after_s=after_s, turn=turn)
                assert not isinstance(reply, Reply) or reply.text in row.servers


def test_the_truth_is_written_one_object_a_line(tmp_path: Path) -> None:
    found = truth(Internet(world()))
    write_truth(found, tmp_path / "truth.ndjson")
    lines = [json.loads(line) for line in (tmp_path / "truth.ndjson").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len(found) == 6
    assert lines[2]["sites"] == ["fra", "nyc"]
    assert lines[2]["trouble"] == "flapping"
    assert list(lines[0]) == list(Truth.__dataclass_fields__)
