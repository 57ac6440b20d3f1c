from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from catchment.importers import read_probes
from catchment.platforms.sandbox.api.probes import Probes, in_prefix
from catchment.platforms.topology.elements import Topology, Trouble
from tests.fake_internet import POINTS, START, vantage


def probes(*points: object) -> Probes:
    return Probes(Topology(name="test", vantage_points=points or POINTS), START)  # type: ignore[arg-type]


def test_a_mislocated_probe_is_where_it_says_and_nothing_tells_that_it_is_not() -> None:
    honest = probes(vantage(1)).objects[1]
    liar = probes(
        vantage(1, trouble=Trouble.MISLOCATED, said_latitude=-33.87, said_longitude=151.21, said_country="AU")
    ).objects[1]
    assert liar["geometry"] == {"type": "Point", "coordinates": [151.21, -33.87]}  # GeoJSON: longitude first
    assert liar["country_code"] == "AU"
    assert {key for key in liar if liar[key] != honest[key]} == {"geometry", "country_code"}


@pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble is not Trouble.MISLOCATED])
def test_no_trouble_shows_in_a_probe(trouble: Trouble) -> None:
    assert probes(vantage(1, trouble=trouble, second_asn=64_777)).objects == probes(vantage(1)).objects


def test_a_probe_is_described_as_ripe_atlas_describes_it() -> None:
    probe = probes().objects[6001]
    assert set(probe) >= {
        "id", "type", "address_v4", "address_v6", "asn_v4", "asn_v6", "prefix_v4", "prefix_v6", "country_code",
        "description", "firmware_version", "first_connected", "last_connected", "geometry", "is_anchor", "is_public",
        "status", "status_since", "tags", "total_uptime",
    }  # fmt: skip
    assert (probe["id"], probe["type"], probe["is_anchor"], probe["firmware_version"]) == (6001, "Probe", True, 5120)
    assert (probe["asn_v4"], probe["asn_v6"], probe["country_code"]) == (64_500, 64_500, "DE")
    assert (probe["status"]["id"], probe["status"]["name"]) == (1, "Connected")
    assert probe["geometry"] == {"type": "Point", "coordinates": [8.68, 50.11]}
    assert json.loads(json.dumps(probe)) == probe


def test_tags_tell_what_works() -> None:
    found = probes()
    assert {"system-ipv4-works", "system-ipv6-works", "system-anchor"} <= found.tags(6001)
    assert {"system-ipv4-works", "system-ipv6-works", "system-v1"} <= found.tags(101)
    assert "system-anchor" not in found.tags(101)
    assert not {tag for tag in found.tags(102) if "ipv6" in tag}
    assert all({"name", "slug"} <= set(tag) for tag in found.objects[101]["tags"])


def test_a_probe_without_ipv6_has_no_address_of_it() -> None:
    probe = probes().objects[102]
    assert (probe["address_v6"], probe["prefix_v6"], probe["asn_v6"]) == (None, None, None)


def test_a_probe_that_tells_nobody_where_it_is_has_no_geometry_and_no_country_in_either_form() -> None:
    found = probes(*(vantage(number, placeless=True) for number in (10, 11))).objects
    assert [(entry["geometry"], entry["country_code"]) for entry in found.values()] == [(None, None), (None, "")]


def test_a_mislocated_probe_without_a_place_says_none() -> None:
    entry = probes(vantage(1, placeless=True, said_latitude=1.0, said_longitude=2.0, said_country="AU")).objects[1]
    assert (entry["geometry"], entry["country_code"]) == (None, "")


def test_a_private_probe_says_so_and_keeps_its_addresses_to_itself() -> None:
    entry = probes(vantage(1, public=False, ipv6=True)).objects[1]
    assert (entry["is_public"], entry["address_v4"], entry["address_v6"]) == (False, None, None)


def test_available_are_connected_public_probes_that_speak_every_family() -> None:
    found = probes(
        vantage(1), vantage(2, ipv6=True), vantage(3, ipv6=True, connected=False), vantage(4, ipv6=True, public=False)
    )
    assert (found.available([4]), found.available([6]), found.available([4, 6])) == ((1, 2), (2,), (2,))


@pytest.mark.parametrize(
    ("number", "tag"),
    [(1_000_001, "software"), (999_999, "v4"), (60_000, "v4"), (20_000, "v3"), (5000, "v2"), (7, "v1")],
)
def test_the_hardware_of_a_probe_follows_from_its_id(number: int, tag: str) -> None:
    versions = {"system-software", "system-v1", "system-v2", "system-v3", "system-v4"}
    assert probes(vantage(number)).tags(number) & versions == {f"system-{tag}"}


def test_what_hosts_and_registries_say_is_as_patchy_as_in_reality() -> None:
    entries = list(probes(*(vantage(number, ipv6=True) for number in range(1, 2001))).objects.values())
    for name in ("prefix_v4", "prefix_v6", "asn_v6"):
        assert 20 <= sum(entry[name] is None for entry in entries) <= 120
    assert all(entry["asn_v4"] is not None for entry in entries)
    tagged = [{tag["slug"] for tag in entry["tags"] if not tag["slug"].startswith("system-")} for entry in entries]
    assert 600 <= sum(map(bool, tagged)) <= 1400
    assert {"home", "nat", "datacentre", "mobile"} <= set[str]().union(*tagged)
    assert entries == list(probes(*(vantage(number, ipv6=True) for number in range(1, 2001))).objects.values())


def test_a_probe_that_is_away_is_disconnected_and_nothing_of_it_works() -> None:
    found = probes()
    assert (found.objects[104]["status"]["id"], found.objects[104]["status"]["name"]) == (2, "Disconnected")
    assert {tag for tag in found.tags(104) if tag.startswith("system-")} == {"system-v1"}


def test_addresses_are_unique_within_their_network_s_prefix_and_belong_to_nobody() -> None:
    found = probes(*(vantage(number, asn=64_500 + number % 7, ipv6=True) for number in range(1, 300)))
    for af, pool in ((4, "240.0.0.0/4"), (6, "2001:db8::/32")):
        addresses = [ipaddress.ip_address(entry[f"address_v{af}"]) for entry in found.objects.values()]
        assert len(set(addresses)) == 299
        assert all(address in ipaddress.ip_network(pool) for address in addresses)
        prefixes = {(entry["asn_v4"], entry[f"prefix_v{af}"]) for entry in found.objects.values()}
        assert len({prefix for _, prefix in prefixes if prefix is not None}) == 7
        for entry in found.objects.values():
            assert entry[f"prefix_v{af}"] is None or in_prefix(entry[f"prefix_v{af}"], entry[f"address_v{af}"])


def test_a_probe_sends_from_behind_a_translating_box_but_an_anchor_does_not() -> None:
    found = probes()
    assert found.source_address(6001, 4) == found.public_address(6001, 4)
    assert ipaddress.ip_address(found.source_address(101, 4)) in ipaddress.ip_network("192.168.0.0/16")
    assert found.source_address(101, 6) == found.public_address(101, 6)


@pytest.mark.parametrize(
    ("prefix", "wanted", "within"),
    [
        ("240.0.16.0/20", "240.0.16.0/20", True),
        ("240.0.16.0/20", "240.0.0.0/12", True),
        ("240.0.16.0/20", "240.0.17.3", True),
        ("240.0.16.0/20", "240.0.16.0/24", False),
        ("240.0.16.0/20", "240.1.0.0/16", False),
        ("240.0.16.0/20", "2001:db8::/32", False),
        ("2001:db8:7::/48", "2001:db8::/32", True),
        (None, "240.0.0.0/4", False),
    ],
)
def test_a_prefix_lies_within_another(prefix: str | None, wanted: str, within: bool) -> None:
    assert in_prefix(prefix, wanted) is within


def test_the_project_s_own_reader_of_probe_lists_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "probes.json"
    file.write_text(json.dumps({"results": list(probes().objects.values())}))
    rows = {row[0]: row for row in read_probes(file).rows}
    assert rows["atlas:103"][1:6] == (40.71, -74.01, "US", 64_502, None)
    assert rows["atlas:106"][1:4] == (-33.87, 151.21, "AU")
    assert rows["atlas:6001"][7] is True
