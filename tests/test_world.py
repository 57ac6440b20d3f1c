import gzip
import json
import os
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import airportsdata
import numpy as np
import pytest

from catchment.geo import CONTINENT_OF, distance_km
from catchment.platforms.topology.consistency import contradictions
from catchment.platforms.topology.elements import Interception, Relation, Topology, Trouble, VantagePoint
from catchment.platforms.topology.towns import airport_town, earth
from catchment.platforms.topology.world import make_world


@pytest.fixture(scope="module")
def world() -> Topology:
    return make_world(1)


def km(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(distance_km(*(np.array([value]) for value in (*one, *other)))[0])


def providers(world: Topology) -> dict[int, set[int]]:
    found = defaultdict(set)
    for link in world.links:
        if link.relation is Relation.PROVIDER:
            found[link.near].add(link.far)
    return found


def reaching(above: Mapping[int, set[int]], asn: int) -> set[int]:
    """Return a network and all above it, by its providers and theirs."""
    reached, waiting = set(), [asn]
    while waiting:
        asn = waiting.pop()
        if asn not in reached:
            reached.add(asn)
            waiting += above[asn]
    return reached


def tiers(world: Topology) -> tuple[set[int], set[int], set[int]]:
    """Return the AS numbers of those that buy from nobody, of those that buy and sell, and of those that only buy."""
    above = providers(world)
    sellers = {asn for far in above.values() for asn in far}
    everybody = {network.asn for network in world.networks}
    return everybody - above.keys(), sellers & above.keys(), above.keys() - sellers


def test_the_same_seed_makes_the_same_world_and_another_one_does_not() -> None:
    assert make_world(7) == make_world(7)
    assert make_world(7) != make_world(8)


def test_a_process_that_hashes_otherwise_makes_the_same_world() -> None:
    program = (
        "from catchment.platforms.topology import host, make_world, topology_text;"
        "from catchment.services import bundled_service;"
        "print(topology_text(host(make_world(5, vantage_points=300), bundled_service('demo-dns'))))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_the_world_has_a_few_tier_1_dozens_of_transit_and_hundreds_of_access_networks(world: Topology) -> None:
    tier_1, transit, access = tiers(world)
    assert len(tier_1) >= 12
    assert 60 <= len(transit) <= 80
    assert len(access) >= 330
    assert len(world.vantage_points) == 1100


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_in_a_generated_world_contradicts_itself(seed: int) -> None:
    assert list(contradictions(make_world(seed))) == []


def test_all_tier_1_networks_peer_with_each_other_in_several_towns(world: Topology) -> None:
    tier_1 = tiers(world)[0]
    towns = Counter(
        frozenset((link.near, link.far))
        for link in world.links
        if link.relation is Relation.PEER and link.far in tier_1
    )
    for one, other in combinations(sorted(tier_1), 2):
        assert towns[frozenset((one, other))] >= 3


def test_every_network_reaches_a_tier_1_by_its_providers(world: Topology) -> None:
    above, tier_1 = providers(world), tiers(world)[0]
    for network in world.networks:
        reached = reaching(above, network.asn)
        assert reached & tier_1


def test_some_access_networks_buy_transit_on_another_continent_only(world: Topology) -> None:
    places = {place.code: place for place in world.places}
    ways = defaultdict(list)
    for link in world.links:
        if link.relation is Relation.PROVIDER:
            here, there = places[link.near_place], places[link.far_place]
            ways[link.near].append(CONTINENT_OF[here.country] != CONTINENT_OF[there.country])
    abroad = {asn for asn, far in ways.items() if all(far)}
    assert 10 <= len(abroad) <= 60
    homes = {CONTINENT_OF[places[net.places[0]].country] for net in world.networks if net.asn in abroad}
    assert {"africa", "south-america", "asia"} <= homes


def test_only_as_numbers_for_documentation_and_private_use_are_given(world: Topology) -> None:
    for network in world.networks:
        assert 64496 <= network.asn <= 64511 or 64512 <= network.asn <= 65534 or 65536 <= network.asn <= 65551


def test_every_town_stands_where_its_airport_does(world: Topology) -> None:
    airports = airportsdata.load("IATA")
    for place in world.places:
        airport = airports[place.code]
        assert place.country == airport["country"]
        assert (place.latitude, place.longitude) == pytest.approx((airport["lat"], airport["lon"]), abs=1e-4)


def test_every_country_has_a_transit_network_in_its_first_town(world: Topology) -> None:
    served = {town for net in world.networks if net.asn in tiers(world)[1] for town in net.places}
    assert {country.towns[0] for region in earth().regions for country in region.countries} <= served


def test_an_airport_that_does_not_exist_has_no_town() -> None:
    assert airport_town("QQQ") is None
    town = airport_town("yyz")
    assert town is not None
    assert (town.code, town.town, town.country) == ("YYZ", "Toronto", "CA")


def test_countries_have_as_many_probes_as_in_the_archive(recordings: Path) -> None:
    with gzip.open(recordings / "probes" / "2018-12-11.json.gz") as archive:
        connected = Counter(probe["country_code"] for probe in json.load(archive)["objects"] if probe["status"] == 1)
    for region in earth().regions:
        for country in region.countries:
            assert country.probes == connected[country.code]


def test_countries_have_vantage_points_by_their_share_of_probes(world: Topology) -> None:
    countries = {country.code: country.probes for region in earth().regions for country in region.countries}
    found = Counter(vantage.country for vantage in world.vantage_points)
    for code, probes in countries.items():
        assert abs(found[code] - 1100 * probes / sum(countries.values())) < 1
    assert found["DE"] == max(found.values())


def test_any_number_of_vantage_points_may_be_asked_for() -> None:
    for count in (0, 1, 60):
        assert len(make_world(2, vantage_points=count).vantage_points) == count


def test_many_networks_have_several_vantage_points(world: Topology) -> None:
    each = Counter(vantage.asn for vantage in world.vantage_points)
    assert sum(count >= 3 for count in each.values()) >= 100


def test_vantage_points_are_near_the_town_of_their_network(world: Topology) -> None:
    places = {place.code: place for place in world.places}
    networks = {network.asn: network for network in world.networks}
    away = []
    for vantage in world.vantage_points:
        town = places[vantage.place]
        assert vantage.place in networks[vantage.asn].places
        away.append(km((vantage.latitude, vantage.longitude), (town.latitude, town.longitude)))
    assert 10 < statistics.median(away) < 40
    assert max(away) < 300


def test_identifiers_look_like_those_of_probes(world: Topology) -> None:
    ids = [vantage.id for vantage in world.vantage_points]
    assert len(set(ids)) == len(ids)
    software = [vantage for vantage in world.vantage_points if vantage.id > 1_000_000]
    assert 0.1 < len(software) / 1100 < 0.2
    assert all(vantage.firmware >= 5000 and not vantage.anchor for vantage in software)
    assert all(1000 <= number < 63_000 for number in ids if number <= 1_000_000)
    assert any(vantage.firmware < 5000 for vantage in world.vantage_points)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_a_few_sound_vantage_points_tell_nobody_where_they_are_or_that_they_are(seed: int) -> None:
    world = make_world(seed)
    caught = {number for box in world.interceptors for number in box.vantage_points}
    placeless = [vantage for vantage in world.vantage_points if vantage.placeless]
    hidden = [vantage for vantage in world.vantage_points if not vantage.public]
    for found in (placeless, hidden):
        assert 0.005 <= len(found) / 1100 <= 0.02
        assert all(vantage.trouble is None and vantage.id not in caught for vantage in found)
    assert not {vantage.id for vantage in placeless} & {vantage.id for vantage in hidden}


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_fewer_networks_peer_over_ipv6_and_every_one_keeps_a_provider_there(seed: int) -> None:
    world = make_world(seed)
    tier_1 = tiers(world)[0]
    families: defaultdict[tuple[int, int, Relation], set[int]] = defaultdict(set)
    for link in world.links:
        families[link.near, link.far, link.relation].update({4, 6} if link.af is None else {link.af})
    peerings = {(near, far): found for (near, far, relation), found in families.items() if relation is Relation.PEER}
    among = [found for pair, found in peerings.items() if tier_1.issuperset(pair)]
    others = [found for pair, found in peerings.items() if not tier_1.issuperset(pair)]
    assert among.count({4}) == 1
    assert 0.12 < others.count({4}) / len(others) < 0.28
    bought = {(near, far): found for (near, far, relation), found in families.items() if relation is Relation.PROVIDER}
    buyers = {near for near, _ in bought}
    for af in (4, 6):
        assert {near for (near, _), found in bought.items() if af in found} == buyers
    assert 0.02 < list(bought.values()).count({4}) / len(bought) < 0.3


@pytest.mark.parametrize("seed", range(1, 9))
def test_nobody_is_behind_only_one_of_the_two_that_do_not_peer_over_ipv6(seed: int) -> None:
    world = make_world(seed)
    tier_1, above = tiers(world)[0], defaultdict(set)
    for link in world.links:
        if link.relation is Relation.PROVIDER and link.af in {None, 6}:
            above[link.near].add(link.far)
    apart = {
        asn
        for link in world.links
        if link.relation is Relation.PEER and link.af == 4 and tier_1.issuperset({link.near, link.far})
        for asn in (link.near, link.far)
    }
    assert len(apart) == 2
    for network in world.networks:
        reached = reaching(above, network.asn)
        top = reached & tier_1
        assert network.asn in tier_1 or len(top) > 1 or not top <= apart


def test_lines_are_as_fast_as_real_ones(world: Topology) -> None:
    lines = [vantage.last_mile_ms for vantage in world.vantage_points]
    assert 0.3 < sum(line <= 5 for line in lines) / 1100 < 0.6  # fibre
    assert 0.3 < sum(5 < line <= 30 for line in lines) / 1100 < 0.6  # DSL and cable
    assert 0.02 < sum(line > 30 for line in lines) / 1100 < 0.12  # mobile and satellite
    anchors = [vantage for vantage in world.vantage_points if vantage.anchor]
    assert 0.03 < len(anchors) / 1100 < 0.09
    assert all(vantage.last_mile_ms < 1 and vantage.ipv6 and vantage.place in earth().exchanges for vantage in anchors)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_about_half_of_the_vantage_points_have_ipv6_and_nearly_all_are_connected(seed: int) -> None:
    vantage_points = make_world(seed).vantage_points
    assert 0.35 < sum(vantage.ipv6 for vantage in vantage_points) / 1100 < 0.55
    assert 0.01 < sum(not vantage.connected for vantage in vantage_points) / 1100 < 0.06
    firmwares = Counter(vantage.firmware for vantage in vantage_points)
    assert {5120, 5080, 5020, 5010, 4790, 4670, 4570, 4480} <= firmwares.keys()
    assert sum(count for firmware, count in firmwares.items() if 5080 <= firmware <= 5120) > 0.8 * 1100


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_every_trouble_and_every_interception_befalls_a_few(seed: int) -> None:
    world = make_world(seed)
    troubles = Counter(vantage.trouble for vantage in world.vantage_points)
    assert set(troubles) == {None, *Trouble}
    assert all(4 <= troubles[trouble] <= 22 for trouble in Trouble)
    caught: Counter[Interception] = Counter()
    for box in world.interceptors:
        caught[box.answer] += len(box.vantage_points)
    assert all(caught[answer] >= 4 for answer in Interception)
    assert 0.02 <= caught.total() / 1100 <= 0.03


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_interceptor_serves_a_handful_of_healthy_vantage_points_of_one_network(seed: int) -> None:
    world = make_world(seed)
    vantage_points = {vantage.id: vantage for vantage in world.vantage_points}
    for box in world.interceptors:
        found = [vantage_points[number] for number in box.vantage_points]
        assert 1 <= len(found) <= 6
        assert len({vantage.asn for vantage in found}) == 1
        assert all(vantage.trouble is None and vantage.connected for vantage in found)
        assert (box.identity is not None) == (box.answer is Interception.FOREIGN)
        # Behind a slower line a far site might have answered in that time.
        assert box.answer is not Interception.REPLAY or all(vantage.last_mile_ms <= 15 for vantage in found)
    assert len({number for box in world.interceptors for number in box.vantage_points}) == sum(
        len(box.vantage_points) for box in world.interceptors
    )


def said(vantage: VantagePoint) -> tuple[float, float]:
    assert vantage.said_latitude is not None
    assert vantage.said_longitude is not None
    return vantage.said_latitude, vantage.said_longitude


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_a_mislocated_vantage_point_is_5000_km_from_where_it_says(seed: int) -> None:
    for vantage in make_world(seed).vantage_points:
        if vantage.trouble is Trouble.MISLOCATED:
            assert km((vantage.latitude, vantage.longitude), said(vantage)) >= 5000
            assert vantage.said_country not in {None, vantage.country}
        else:
            assert (vantage.said_latitude, vantage.said_longitude, vantage.said_country) == (None, None, None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_other_network_of_a_flapping_vantage_point_has_a_router_nearby(seed: int) -> None:
    world = make_world(seed)
    places = {place.code: place for place in world.places}
    networks = {network.asn: network for network in world.networks}
    for vantage in world.vantage_points:
        assert (vantage.second_asn is not None) == (vantage.trouble is Trouble.FLAPPING)
        if vantage.second_asn is not None:
            assert vantage.second_asn != vantage.asn
            town = places[vantage.place]
            others = [places[code] for code in networks[vantage.second_asn].places]
            distances = [km((town.latitude, town.longitude), (other.latitude, other.longitude)) for other in others]
            assert min(distances) < 70
