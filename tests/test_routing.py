from __future__ import annotations

import pathlib
import re
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from catchment.campaign import load_service
from catchment.errors import InvalidFile
from catchment.geo import LIGHT_KM_PER_MS, arc_km
from catchment.model import AddressFamily
from catchment.platforms.sandbox.internet.announcing import announcements
from catchment.platforms.sandbox.internet.routing import FORWARDING_MS, Announcement, Path, Routes, routes
from catchment.platforms.topology.elements import Relation, TieBreak, Topology, Upstream
from catchment.platforms.topology.epochs import Epoch
from catchment.platforms.topology.hosting import host
from catchment.platforms.topology.world import make_world
from tests.small_internets import ORIGIN, PLACES, links_of, site_of, small_internet

SERVICES = pathlib.Path(__file__).parents[1] / "catchment" / "services"


def settled(topology: Topology, leakers: frozenset[int] = frozenset(), af: AddressFamily = 4) -> Routes:
    epoch = Epoch(after_s=0, until_s=None, service=topology.services[0])
    return routes(topology, announcements(epoch), leakers, af=af)


def path(topology: Topology, asn: int, place: str = "FRA", leakers: frozenset[int] = frozenset()) -> Path:
    found = settled(topology, leakers).path(asn, place)
    assert found is not None
    return found


# The client's provider, AS 1, can go AS 2, AS 3 to New York or AS 6, AS 5, AS 4 to Amsterdam.
STORY = "10@FRA>1@FRA 1@FRA>2@FRA 3@NYC>2@NYC 1@FRA>6@FRA 5@FRA>6@FRA 4@AMS>5@AMS 20@NYC>2@NYC 30@FRA>6@FRA"


def story(prepend: int = 0) -> Topology:
    return small_internet(STORY, site_of("nyc", "3@NYC", prepend=prepend), site_of("ams", "4@AMS"))


def test_the_shorter_as_path_wins_although_the_other_site_is_nearer() -> None:
    found = path(story(), 10)
    frankfurt, amsterdam, new_york = PLACES["FRA"], PLACES["AMS"], PLACES["NYC"]
    assert arc_km(frankfurt.latitude, frankfurt.longitude, amsterdam.latitude, amsterdam.longitude) < 400
    assert arc_km(frankfurt.latitude, frankfurt.longitude, new_york.latitude, new_york.longitude) > 6000
    assert found.site == "nyc"
    assert found.as_path == (10, 1, 2, 3, ORIGIN)


def test_prepending_moves_those_who_had_a_choice_and_nobody_else() -> None:
    # New York is 3 ASes from AS 1, Amsterdam 4: one more makes a tie, two more decide it. AS 2 and its customer AS 20
    # stay: a customer's route is preferred however long it is.
    moved = settled(story(prepend=2))
    sites = {asn: found.site for asn in (10, 20, 30) if (found := moved.path(asn, "NYC" if asn == 20 else "FRA"))}
    assert sites == {10: "ams", 20: "nyc", 30: "ams"}


def test_a_tie_of_length_goes_to_the_lowest_neighbour_where_both_leave_from_one_place() -> None:
    assert path(story(prepend=1), 10).as_path == (10, 1, 2, 3, ORIGIN)


def test_a_customer_route_is_preferred_to_a_shorter_peer_route_and_that_to_a_provider_route() -> None:
    # AS 1 hears of the site from its customer 2 (over 3 and 4), from its peer 5 (over 6) and from its provider 7.
    links = "2@FRA>1@FRA 3@FRA>2@FRA 4@FRA>3@FRA 1@FRA-5@FRA 6@FRA>5@FRA 1@FRA>7@FRA"
    far, middle, near = site_of("customer", "4@FRA"), site_of("peer", "6@FRA"), site_of("provider", "7@FRA")
    assert path(small_internet(links, far, middle, near), 1).site == "customer"
    assert path(small_internet(links, middle, near), 1).site == "peer"
    assert path(small_internet(links, near), 1).site == "provider"


def test_a_route_from_a_peer_or_provider_is_told_to_customers_only() -> None:
    # The site hangs on AS 1. Its peer 2 tells its customer 3, but neither its peer 4 nor its provider 5.
    links = "1@FRA-2@FRA 3@FRA>2@FRA 2@FRA-4@FRA 2@FRA>5@FRA 6@FRA>1@FRA 6@FRA-7@FRA 6@FRA>8@FRA 9@FRA>6@FRA"
    known = settled(small_internet(links, site_of("fra", "1@FRA")))
    assert {asn for asn in range(1, 10) if known.path(asn, "FRA")} == {1, 2, 3, 6, 9}


def test_a_site_that_peers_is_heard_by_the_customers_of_its_peer_only() -> None:
    known = settled(small_internet("2@FRA>1@FRA 1@FRA>3@FRA 1@FRA-4@FRA", site_of("fra", "-1@FRA")))
    assert {asn for asn in range(1, 5) if known.path(asn, "FRA")} == {1, 2}


def test_hot_potato_splits_one_network_by_place() -> None:
    topology = small_internet("2@LON-1@LON 3@NYC-1@NYC", site_of("lon", "2@LON"), site_of("nyc", "3@NYC"))
    assert path(topology, 1, "LON").site == "lon"
    assert path(topology, 1, "NYC").site == "nyc"
    assert path(topology, 1, "AMS").site == "lon"


def test_with_lowest_id_all_of_a_network_takes_the_neighbour_of_the_lowest_number() -> None:
    sites = site_of("lon", "2@LON"), site_of("nyc", "3@NYC")
    topology = small_internet("2@LON-1@LON 3@NYC-1@NYC", *sites, tie_break=TieBreak.LOWEST_ID)
    assert path(topology, 1, "NYC").as_path == (1, 2, ORIGIN)


def test_with_lowest_id_the_link_to_the_chosen_neighbour_is_still_the_nearest_one() -> None:
    links = "1@LON>2@LON 1@NYC>2@NYC 1@NYC>3@NYC"
    topology = small_internet(links, site_of("lon", "2@LON 3@NYC"), tie_break=TieBreak.LOWEST_ID)
    assert path(topology, 1, "NYC").hops == ((1, "NYC"), (2, "NYC"), (2, "LON"))
    assert path(topology, 1, "AMS").hops == ((1, "AMS"), (1, "LON"), (2, "LON"))


def test_a_local_site_is_seen_by_the_upstreams_own_places_around_it_only() -> None:
    # AS 1 has the local site in Frankfurt and a global one in New York. Its customer 2 in Frankfurt is told of neither,
    # its customer 3 in New York of the global one.
    links = "2@FRA>1@FRA 3@NYC>1@NYC"
    topology = small_internet(links, site_of("fra", "1@FRA", local=True), site_of("nyc", "1@NYC"))
    assert path(topology, 1, "FRA").site == "fra"
    assert path(topology, 1, "NYC").site == "nyc"
    assert path(topology, 3, "NYC").site == "nyc"
    assert settled(topology).path(2, "FRA") is None


def test_a_network_whose_best_route_is_local_hides_the_global_one_from_its_customers() -> None:
    # AS 1 prefers its own customer, the local site, to what its provider 9 tells; its customer 2 goes another way.
    links = "1@FRA>9@FRA 2@FRA>1@FRA 2@FRA>8@FRA 8@FRA>9@FRA"
    topology = small_internet(links, site_of("fra", "1@FRA", local=True), site_of("lon", "9@LON"))
    assert path(topology, 1).site == "fra"
    assert path(topology, 2).as_path == (2, 8, 9, ORIGIN)


def test_without_an_announcement_there_is_no_way() -> None:
    topology = small_internet("2@FRA>1@FRA", site_of("fra", "1@FRA", announced=False))
    assert settled(topology).path(2, "FRA") is None


def test_a_network_apart_has_no_way() -> None:
    topology = small_internet("2@FRA>1@FRA 3@FRA>4@FRA", site_of("fra", "1@FRA"))
    assert settled(topology).path(3, "FRA") is None


def test_a_leaked_route_draws_the_provider_of_the_leaker_and_its_customers() -> None:
    # Tier 1s 1 and 2 peer; the site hangs on 1. AS 5 buys from both: 2 hears its leak as a customer's route. AS 3 is a
    # customer of 2.
    topology = small_internet("1@FRA-2@FRA 5@FRA>1@FRA 5@FRA>2@FRA 3@FRA>2@FRA", site_of("fra", "1@FRA"))
    assert path(topology, 3).as_path == (3, 2, 1, ORIGIN)
    assert path(topology, 3, leakers=frozenset({5})).as_path == (3, 2, 5, 1, ORIGIN)
    assert path(topology, 1, leakers=frozenset({5})).as_path == (1, ORIGIN)


def test_a_leak_also_goes_from_one_peer_to_the_other() -> None:
    topology = small_internet("1@FRA-2@FRA 2@FRA-3@FRA", site_of("fra", "1@FRA"))
    assert settled(topology).path(3, "FRA") is None
    assert path(topology, 3, leakers=frozenset({2})).as_path == (3, 2, 1, ORIGIN)


def test_a_network_refuses_a_route_that_has_been_through_it() -> None:
    # AS 5 hears of the site from its provider 1 only, and leaks that to 1 again: 1 is on it, and stays with its peer.
    topology = small_internet("5@FRA>1@FRA 1@FRA-2@FRA", site_of("fra", "2@FRA"))
    assert path(topology, 1, leakers=frozenset({5})).as_path == (1, 2, ORIGIN)


def test_a_leak_that_never_settles_is_one_line_that_says_what_to_do() -> None:
    # Everybody in a ring prefers the next one's way to its own, and has it only while the next one is not so lucky:
    # BAD GADGET (T. Griffin, F. Shepherd, G. Wilfong: The Stable Paths Problem, 2002).
    links = "11@FRA-1@FRA 12@FRA-1@FRA 13@FRA-1@FRA 12@FRA>11@FRA 13@FRA>12@FRA 11@FRA>13@FRA"
    ring = small_internet(links, site_of("fra", "1@FRA"))
    assert path(ring, 11).as_path == (11, 1, ORIGIN)
    with pytest.raises(InvalidFile, match=r"never settle.*name another `asn`"):
        settled(ring, leakers=frozenset({11, 12, 13}))


def test_a_longer_prefix_catches_everybody_who_hears_of_it() -> None:
    # AS 3 sits under tier 1 number 2, the site under 1; AS 4, under 1, prefers the longer prefix far away.
    topology = small_internet("1@FRA-2@FRA 3@FRA>2@FRA 4@FRA>1@FRA", site_of("fra", "1@FRA"))
    upstream = Upstream(asn=3, relation=Relation.PROVIDER, place="FRA")
    genuine = announcements(Epoch(after_s=0, until_s=None, service=topology.services[0]))
    false = Announcement(origin=3, site="as3", latitude=50, longitude=8, upstream=upstream)
    longer = Announcement(origin=3, site="as3", latitude=50, longitude=8, upstream=upstream, more_specific=True)
    same, better = (routes(topology, [*genuine, told], af=4) for told in (false, longer))
    reached = [
        [found and found.site for asn in (1, 2, 3, 4) if (found := known.path(asn, "FRA"))] for known in (same, better)
    ]
    assert reached == [["fra", "as3", "as3", "fra"], ["as3"] * 4]
    found = better.path(4, "FRA")
    assert found is not None
    assert found.as_path == (4, 1, 2, 3)


def test_what_a_network_announces_as_its_own_is_one_as_shorter_than_what_it_tells_of_a_site() -> None:
    # AS 1 hears of the prefix from the site, a peer, and from AS 3, another one: both ways are one AS long, and the
    # lower number decides.
    topology = small_internet("1@FRA-3@FRA", site_of("fra", "-1@FRA"))
    upstream = Upstream(asn=3, relation=Relation.PROVIDER, place="FRA")
    genuine = announcements(Epoch(after_s=0, until_s=None, service=topology.services[0]))
    false = Announcement(origin=3, site="as3", latitude=50, longitude=8, upstream=upstream)
    found = routes(topology, [*genuine, false], af=4).path(1, "FRA")
    assert found is not None
    assert found.as_path == (1, 3)


def test_a_packet_to_the_service_is_diverted_where_the_longer_prefix_becomes_known() -> None:
    # The hijacker 3 and AS 4 both are peers of 1: 4 hears nothing of the longer prefix, but 1, on its way, does.
    topology = small_internet("4@FRA-1@FRA 1@FRA-3@FRA", site_of("fra", "1@FRA"))
    upstream = Upstream(asn=3, relation=Relation.PROVIDER, place="FRA")
    genuine = announcements(Epoch(after_s=0, until_s=None, service=topology.services[0]))
    longer = Announcement(origin=3, site="as3", latitude=50, longitude=8, upstream=upstream, more_specific=True)
    found = routes(topology, [*genuine, longer], af=4).path(4, "FRA")
    assert found is not None
    assert found.as_path == (4, 1, 3)


def test_who_hijacks_with_a_server_of_its_own_sends_nothing_on_to_another_hijacker_with_a_longer_prefix() -> None:
    # All buy from 1 in turn: 5 of 3, 3 of 1. AS 3 and 4 are hijackers; all hear of the longer prefix of 4, behind 1.
    topology = small_internet("5@FRA>3@FRA 3@FRA>1@FRA 4@FRA>1@FRA 6@FRA>1@FRA", site_of("fra", "1@FRA"))
    genuine = announcements(Epoch(after_s=0, until_s=None, service=topology.services[0]))
    false = [
        Announcement(
            origin=asn,
            site=f"as{asn}",
            latitude=50,
            longitude=8,
            upstream=Upstream(asn=asn, relation=Relation.PROVIDER, place="FRA"),
            more_specific=asn == 4,
        )
        for asn in (3, 4)
    ]
    found_by = routes(topology, [*genuine, *false], af=4)
    ways = {asn: found.as_path for asn in (1, 3, 5, 6) if (found := found_by.path(asn, "FRA")) is not None}
    assert ways == {1: (1, 4), 3: (3,), 5: (5, 3), 6: (6, 1, 4)}


def test_the_delay_is_that_of_the_links_the_backbone_and_the_routers() -> None:
    # 10 ms and 20 ms as given; AS 1 carries the packet from Frankfurt to London itself; the site stands in London.
    topology = small_internet("2@FRA>1@FRA=10 1@LON>3@LON=20", site_of("lon", "3@LON"))
    frankfurt, london = PLACES["FRA"], PLACES["LON"]
    ground_km = arc_km(frankfurt.latitude, frankfurt.longitude, london.latitude, london.longitude)
    found = path(topology, 2)
    assert found.hops == ((2, "FRA"), (1, "FRA"), (1, "LON"), (3, "LON"))
    assert found.one_way_ms == pytest.approx(10 + ground_km * 1.3 / 197.232 + 20, abs=5 * FORWARDING_MS)
    assert found.delays_ms[1] == pytest.approx(10 + FORWARDING_MS)
    assert list(found.delays_ms) == sorted(found.delays_ms)


def test_a_cable_is_never_faster_than_light_in_fibre() -> None:
    topology = small_internet("2@SYD>1@LON", site_of("lon", "1@LON"))
    sydney, london = PLACES["SYD"], PLACES["LON"]
    ground_km = arc_km(sydney.latitude, sydney.longitude, london.latitude, london.longitude)
    assert 2 * path(topology, 2, "SYD").one_way_ms > 1.15 * ground_km / LIGHT_KM_PER_MS


def test_the_order_of_the_links_in_the_file_does_not_matter() -> None:
    links = STORY.split()
    forward, backward = (small_internet(" ".join(order), *story().services[0].sites) for order in (links, links[::-1]))
    for network in forward.networks:
        for place in network.places:
            assert settled(forward).path(network.asn, place) == settled(backward).path(network.asn, place)


def test_links_read_as_they_are_meant() -> None:
    link, other = links_of("1@FRA>2@LON=5 2@LON-3@LON/6")
    assert (link.near, link.far, link.relation, link.delay_ms, link.af) == (1, 2, Relation.PROVIDER, 5.0, None)
    assert (other.near, other.far, other.relation, other.delay_ms, other.af) == (2, 3, Relation.PEER, None, 6)


def sites_by_family(topology: Topology, asn: int) -> list[str | None]:
    found = [settled(topology, af=af).path(asn, "FRA") for af in (4, 6)]
    return [None if way is None else way.site for way in found]


def test_a_link_for_one_family_carries_no_other() -> None:
    # AS 3 would take its peer 1 to Frankfurt; over IPv6 there is but its provider 2, to New York.
    sites = site_of("fra", "1@FRA"), site_of("nyc", "2@NYC")
    assert sites_by_family(small_internet("3@FRA-1@FRA 3@FRA>2@FRA", *sites), 3) == ["fra", "fra"]
    assert sites_by_family(small_internet("3@FRA-1@FRA/4 3@FRA>2@FRA", *sites), 3) == ["fra", "nyc"]
    assert sites_by_family(small_internet("3@FRA-1@FRA/6 3@FRA>2@FRA", *sites), 3) == ["nyc", "fra"]
    assert sites_by_family(small_internet("3@FRA-1@FRA/4", *sites), 3) == ["fra", None]


def test_a_site_is_announced_to_an_upstream_in_the_families_of_that_one_only() -> None:
    topology = small_internet("3@FRA-1@FRA 3@FRA>2@FRA", site_of("fra", "1@FRA/4 2@FRA/6"), site_of("nyc", "2@NYC/4"))
    assert sites_by_family(topology, 2) == ["nyc", "fra"]
    assert [settled(topology, af=af).path(1, "FRA") is None for af in (4, 6)] == [False, True]


def test_the_delay_to_a_site_is_that_of_its_upstream_where_it_has_one() -> None:
    site = site_of("fra", "1@FRA", latitude=51.0)
    (upstream,) = site.upstreams
    given = replace(site, upstreams=(replace(upstream, delay_ms=3.0),))
    by_distance, by_hand = (path(small_internet("2@FRA>1@FRA=5", found), 2) for found in (site, given))
    assert by_hand.one_way_ms == pytest.approx(5 + 3 + 2 * FORWARDING_MS)
    assert by_distance.one_way_ms == pytest.approx(5 + 108 * 1.3 / 197.232 + 2 * FORWARDING_MS, abs=0.01)


@pytest.mark.parametrize("tie_break", TieBreak)
def test_of_two_equal_sites_behind_one_network_at_one_place_the_first_code_is_reached(tie_break: TieBreak) -> None:
    sites = site_of("b", "1@FRA"), site_of("a", "1@FRA"), site_of("c", "1@FRA")
    assert path(small_internet("2@FRA>1@FRA", *sites, tie_break=tie_break), 2).site == "a"


@pytest.fixture(scope="module", params=[1, 2])
def world(request: pytest.FixtureRequest) -> Topology:
    return host(make_world(request.param), load_service(SERVICES / "b-root.toml"), seed=request.param)


@pytest.mark.parametrize("af", [4, 6])
def test_every_path_of_the_generated_world_is_valley_free(world: Topology, af: AddressFamily) -> None:
    known, up, across = settled(world, af=af), set(), set()
    for link in (link for link in world.links if link.af in {None, af}):
        if link.relation is Relation.PROVIDER:
            up.add((link.near, link.far))
        else:
            across.update({(link.near, link.far), (link.far, link.near)})
    down = {(far, near) for near, far in up}
    to_site = {(told.asn, ORIGIN): told.relation for site in world.services[0].sites for told in site.upstreams}
    for network in world.networks:
        for place in network.places:
            found = known.path(network.asn, place)
            assert found is not None
            way = ""
            for pair in pairwise(found.as_path[:-1]):
                way += "u" if pair in up else "p" if pair in across else "d" if pair in down else "?"
            way += "p" if to_site[found.as_path[-2], ORIGIN] is Relation.PEER else "d"
            assert re.fullmatch("u*p?d*", way), (way, found)


@pytest.mark.parametrize("af", [4, 6])
def test_every_network_of_the_generated_world_has_the_class_and_length_of_the_textbook(
    world: Topology, af: AddressFamily
) -> None:
    # The same by another method: customer routes breadth first up from the sites, one step across, then down.
    providers, peers, customers = defaultdict(set), defaultdict(set), defaultdict(set)
    for link in (link for link in world.links if link.af in {None, af}):
        if link.relation is Relation.PROVIDER:
            providers[link.near].add(link.far)
            customers[link.far].add(link.near)
        else:
            peers[link.near].add(link.far)
            peers[link.far].add(link.near)
    told = [upstream for site in world.services[0].sites for upstream in site.upstreams if upstream.af in {None, af}]
    length: dict[int, int] = {}
    rising = [upstream.asn for upstream in told if upstream.relation is Relation.PROVIDER]
    for steps in range(1, 30):
        fresh = {asn for asn in rising if asn not in length}
        length |= dict.fromkeys(fresh, steps)
        rising = [provider for asn in fresh for provider in providers[asn]]
    across = {upstream.asn: 1 for upstream in told if upstream.relation is Relation.PEER and upstream.asn not in length}
    for network in world.networks:
        heard = [length[peer] + 1 for peer in peers[network.asn] if peer in length]
        if network.asn not in length and (heard or network.asn in across):
            across[network.asn] = min([*heard, *([1] if network.asn in across else [])])
    length |= across
    for steps in range(1, 30):
        sellers = [asn for asn, found in length.items() if found == steps]
        for customer in {customer for asn in sellers for customer in customers[asn]}:
            length.setdefault(customer, steps + 1)
    known = settled(world, af=af)
    for network in world.networks:
        found = known.path(network.asn, network.places[0])
        assert found is not None
        assert len(found.as_path) - 1 == length[network.asn]


def test_a_chosen_way_never_meets_a_network_twice(world: Topology) -> None:
    known = settled(world, leakers=frozenset(network.asn for network in world.networks[::40]))
    for network in world.networks:
        found = known.path(network.asn, network.places[0])
        assert found is not None
        assert len(set(found.as_path)) == len(found.as_path)
