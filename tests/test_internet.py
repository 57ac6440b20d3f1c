from __future__ import annotations

import ipaddress
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catchment.campaign import Change, ChangeName, load_service
from catchment.errors import InvalidFile
from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, distance_km
from catchment.model import AddressFamily
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.internet.addresses import Routers
from catchment.platforms.sandbox.internet.replies import Hop, Lost, Reply
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology.elements import Interception, Interceptor, Topology, Trouble, VantagePoint
from catchment.platforms.topology.hosting import host
from catchment.platforms.topology.world import make_world
from tests.small_internets import ADDRESS, ADDRESS_6, PLACES, site_of, small_internet, vantage_point

# RFC 6598 and RFC 9637: nobody has these.
SHARED, DOCUMENTED = ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("3fff::/20")
FAMILIES: tuple[AddressFamily, ...] = (4, 6)
FAMILY_POOLS = tuple(zip(FAMILIES, (SHARED, DOCUMENTED), strict=True))
SERVICES = Path(__file__).parents[1] / "catchment" / "services"

# AS 1 has a site in Frankfurt and one in New York; AS 10 buys from it in Frankfurt, AS 20 in New York.
LINKS = "10@FRA>1@FRA=5 20@NYC>1@NYC=7"
FRANKFURT, NEW_YORK = ("ns1.fra.example.net", "ns2.fra.example.net"), ("ns1.nyc.example.net",)
SITES = site_of("fra", "1@FRA", identities=FRANKFURT), site_of("nyc", "1@NYC")
# Both ways: the link of 5 ms, a router at each end of it.
BASE_MS = 2 * (5 + 0.05 + 0.05)


def small(*changes: Change, seed: int = 1, **more: Any) -> Internet:
    return Internet(small_internet(LINKS, *SITES, **more), seed=seed, changes=changes)


def client(**more: Any) -> VantagePoint:
    return vantage_point(1, "10@FRA", **more)


def ask(
    internet: Internet,
    vantage: VantagePoint,
    turns: int = 100,
    *,
    address: str = ADDRESS,
    name: str | None = "hostname.bind",
    nsid: bool = True,
    after_s: float = 0.0,
) -> list[Reply | Lost]:
    return [internet.dns(vantage, address, name, nsid=nsid, after_s=after_s, turn=turn) for turn in range(turns)]


def replies(internet: Internet, vantage: VantagePoint, turns: int = 100, **more: Any) -> list[Reply]:
    found = [reply for reply in ask(internet, vantage, turns, **more) if isinstance(reply, Reply)]
    assert found
    return found


def pings(internet: Internet, vantage: VantagePoint, *, address: str = ADDRESS, after_s: float = 0) -> list[float]:
    found = []
    for turn in range(100):
        rtts_ms = internet.ping(vantage, address, 3, after_s=after_s, turn=turn)
        assert not isinstance(rtts_ms, Lost)
        found += [rtt_ms for rtt_ms in rtts_ms if rtt_ms is not None]
    return found


def trace(internet: Internet, vantage: VantagePoint, turn: int = 0, address: str = ADDRESS) -> tuple[Hop, ...]:
    hops = internet.traceroute(vantage, address, after_s=0, turn=turn)
    assert not isinstance(hops, Lost)
    return hops


def intercepted(answer: Interception, identity: str | None = None) -> Internet:
    return small(interceptors=(Interceptor(answer=answer, vantage_points=(1, 2), identity=identity),))


def test_the_server_that_is_reached_names_itself() -> None:
    for reply in replies(small(), client()):
        assert (reply.rcode, reply.answer_class, reply.garbled) == ("NOERROR", "CH", False)
        assert reply.text in FRANKFURT
        assert reply.nsid == reply.text


def test_a_load_balancer_shows_one_vantage_point_each_server_of_the_site() -> None:
    seen = Counter(reply.text for reply in replies(small(), client(), 400))
    assert set(seen) == set(FRANKFURT)
    assert min(seen.values()) > 120


def test_two_questions_of_one_turn_reach_the_same_server() -> None:
    internet = small(answers="hostname.bind id.server")
    pairs = zip(ask(internet, client()), ask(internet, client(), name="id.server"), strict=True)
    answered = [(one, two) for one, two in pairs if isinstance(one, Reply) and isinstance(two, Reply)]
    assert len(answered) > 90
    assert all(one.text == two.text for one, two in answered)


def test_the_round_trip_is_that_of_the_path_the_last_mile_and_a_little_jitter() -> None:
    rtts_ms = [reply.rtt_ms for reply in replies(small(), client(last_mile_ms=4.0), 1000)]
    base_ms = BASE_MS + 4
    assert base_ms < min(rtts_ms) < base_ms + 0.6
    assert np.mean(rtts_ms) == pytest.approx(base_ms + 0.3 + 1, abs=0.15)


def test_a_slow_last_mile_jitters_more() -> None:
    quick, slow = (np.std(pings(small(), client(last_mile_ms=last_mile_ms))) for last_mile_ms in (1.0, 80.0))
    assert slow > 5 * quick


def test_a_vantage_point_far_from_its_networks_place_waits_for_the_cable_between_them() -> None:
    # AS 10 is in Frankfurt only: 370 km, 1.3 times as far by cable, at 197.2 km a millisecond, both ways.
    away = vantage_point(1, "10@AMS")
    assert min(pings(small(), away)) - BASE_MS == pytest.approx(2 * 370 * 1.3 / 197.2, abs=0.15)


def test_the_last_mile_is_all_there_is_between_a_vantage_point_and_the_router_at_its_place() -> None:
    amsterdam = PLACES["AMS"]
    away = client(latitude=amsterdam.latitude, longitude=amsterdam.longitude, last_mile_ms=9.0)
    assert min(pings(small(), away)) == pytest.approx(BASE_MS + 9, abs=0.1)
    internet = small()
    way = internet.way(away, internet.epochs["example"][0], 4)
    assert way is not None
    assert way.round_trip_ms == pytest.approx(BASE_MS + 9)


def test_other_names_are_refused_and_other_questions_answered_without_an_identity() -> None:
    refused = replies(small(), client(), name="version.bind", nsid=False)
    assert {(reply.rcode, reply.text, reply.nsid) for reply in refused} == {("REFUSED", None, None)}
    other = replies(small(), client(), name=None, nsid=False)
    assert {(reply.rcode, reply.text, reply.nsid) for reply in other} == {("NOERROR", None, None)}
    assert {reply.nsid for reply in replies(small(), client(), name=None)} == set(FRANKFURT)


def test_a_service_without_nsid_gives_none() -> None:
    answered = replies(small(answers="id.server"), client(), name="ID.Server")  # letter case is nothing in DNS
    assert {reply.nsid for reply in answered} == {None}
    assert {reply.text for reply in answered} == set(FRANKFURT)


def test_about_one_query_in_a_hundred_is_lost_for_everybody() -> None:
    asked = [reply for number in range(100) for reply in ask(small(), vantage_point(number, "10@FRA"))]
    lost = sum(isinstance(reply, Lost) for reply in asked)
    assert 60 < lost < 140  # 100 expected, standard deviation 10
    packets = [rtt_ms for turn in range(1000) for rtt_ms in small().ping(client(), ADDRESS, 3, after_s=0, turn=turn)]  # type: ignore[union-attr]
    assert 10 < packets.count(None) < 55


def test_an_address_that_nobody_announces_is_silence() -> None:
    for address in ("192.0.2.1", "2001:db8::1"):
        assert set(ask(small(), client(ipv6=True), address=address)) == {Lost(reason="timeout")}
        assert small().ping(client(ipv6=True), address, 3, after_s=0, turn=0) == Lost(reason="timeout")
        assert small().traceroute(client(ipv6=True), address, after_s=0, turn=0) == Lost(reason="timeout")


def test_a_withdrawn_site_leaves_its_clients_to_the_other_and_all_withdrawn_is_silence() -> None:
    internet = small(
        Change(change=ChangeName.WITHDRAW, site="fra", after_s=60),
        Change(change=ChangeName.WITHDRAW, site="nyc", after_s=120),
        Change(change=ChangeName.ANNOUNCE, site="fra", after_s=180),
    )
    seen = [{reply.text for reply in replies(internet, client(), after_s=after_s)} for after_s in (0, 59.9, 60, 180)]
    assert seen == [set(FRANKFURT), set(FRANKFURT), set(NEW_YORK), set(FRANKFURT)]
    assert set(ask(internet, client(), after_s=120)) == {Lost(reason="timeout")}


def test_a_failed_site_answers_pings_and_traceroutes_and_no_query_until_it_recovers() -> None:
    internet = small(
        Change(change=ChangeName.FAIL, site="fra", after_s=60),
        Change(change=ChangeName.RECOVER, site="fra", after_s=120),
    )
    here, there = client(), vantage_point(2, "20@NYC")
    assert set(ask(internet, here, after_s=60)) == {Lost(reason="timeout")}
    assert pings(internet, here, after_s=60) == pings(internet, here, after_s=0)
    assert [internet.traceroute(here, ADDRESS, after_s=after_s, turn=0) for after_s in (60, 0)] == [
        trace(internet, here)
    ] * 2
    assert ask(internet, here, after_s=120) == ask(internet, here, after_s=0)
    assert ask(internet, there, after_s=60) == ask(internet, there, after_s=0)


def test_a_cache_on_the_way_goes_on_answering_for_a_failed_site() -> None:
    box = Interceptor(answer=Interception.REPLAY, vantage_points=(1,))
    replayed = replies(small(Change(change=ChangeName.FAIL, site="fra"), interceptors=(box,)), client())
    assert {reply.text for reply in replayed} == set(NEW_YORK)


def test_the_same_seed_gives_equal_replies_whatever_the_time_and_another_seed_others() -> None:
    one, again, other = small(seed=7), small(seed=7), small(seed=8)
    assert ask(one, client()) == ask(again, client(), after_s=3600)
    assert pings(one, client()) == pings(again, client(), after_s=3600)
    assert trace(one, client()) == trace(again, client())
    assert ask(one, client()) != ask(other, client())


def test_the_order_of_the_questions_does_not_matter() -> None:
    backward, internet = [], small()
    for turn in reversed(range(100)):
        internet.ping(client(), ADDRESS, 3, after_s=0, turn=turn)
        backward.append(internet.dns(client(), ADDRESS, "hostname.bind", nsid=True, after_s=0, turn=turn))
    assert backward[::-1] == ask(small(), client())


def test_a_flapping_vantage_point_is_at_either_site_in_about_half_of_the_turns_by_dns_and_ping_alike() -> None:
    flapping = client(trouble=Trouble.FLAPPING, second_asn=20)
    internet, far = small(), []
    for turn in range(200):
        reply = internet.dns(flapping, ADDRESS, "hostname.bind", nsid=False, after_s=0, turn=turn)
        rtts_ms = internet.ping(flapping, ADDRESS, 1, after_s=0, turn=turn)
        if isinstance(reply, Reply) and not isinstance(rtts_ms, Lost) and rtts_ms[0] is not None:
            far.append(reply.text in NEW_YORK)
            assert (rtts_ms[0] > 50) == far[-1]
    assert 70 < sum(far) < 130


def test_where_dns_is_blocked_pings_pass() -> None:
    blocked = client(trouble=Trouble.DNS_BLOCKED)
    assert set(ask(small(), blocked)) == {Lost(reason="timeout")}
    assert min(pings(small(), blocked)) < BASE_MS + 1
    assert trace(small(), blocked)[-1].number == 4


def test_to_one_cut_off_nothing_comes_back() -> None:
    cut_off = client(trouble=Trouble.CUT_OFF)
    assert set(ask(small(), cut_off)) == {Lost(reason="timeout")}
    assert small().ping(cut_off, ADDRESS, 3, after_s=0, turn=0) == Lost(reason="timeout")
    assert small().traceroute(cut_off, ADDRESS, after_s=0, turn=0) == Lost(reason="timeout")


@pytest.mark.parametrize(
    ("vantage", "address"), [(client(trouble=Trouble.CANNOT_SEND), ADDRESS), (client(ipv6=False), ADDRESS_6)]
)
def test_what_cannot_be_sent_is_said_at_once(vantage: VantagePoint, address: str) -> None:
    assert set(ask(small(), vantage, address=address)) == {Lost(reason="cannot-send")}
    assert small().ping(vantage, address, 3, after_s=0, turn=0) == Lost(reason="cannot-send")
    assert small().traceroute(vantage, address, after_s=0, turn=0) == Lost(reason="cannot-send")


def test_only_who_is_connected_and_not_offline_reports() -> None:
    vantage_points = [
        client(),
        client(trouble=Trouble.OFFLINE),
        client(connected=False),
        client(trouble=Trouble.CUT_OFF),
    ]
    assert [small().reports(vantage) for vantage in vantage_points] == [True, False, False, True]


def test_garbled_replies_are_marked() -> None:
    assert all(reply.garbled for reply in replies(small(), client(trouble=Trouble.GARBLED)))


def test_of_a_damaged_identity_one_character_is_another_that_no_identity_has() -> None:
    internet = small()
    for number in range(50):
        for reply in replies(internet, vantage_point(number, "10@FRA", trouble=Trouble.DAMAGED), 3):
            assert reply.text == reply.nsid
            assert reply.text is not None
            near = [sum(one != other for one, other in zip(reply.text, whole, strict=True)) for whole in FRANKFURT]
            assert min(near) == 1
            assert reply.text.count("%") == 1
            assert reply.text.count(".") == 2


def test_a_damaged_identity_without_a_dot_loses_its_hyphen() -> None:
    site = site_of("fra", "1@FRA", identities=("b1-lax",))
    internet = Internet(small_internet(LINKS, site))
    assert {reply.text for reply in replies(internet, client(trouble=Trouble.DAMAGED))} == {"b1%lax"}


def test_a_mislocated_vantage_point_is_as_far_away_as_it_really_is() -> None:
    new_york = PLACES["NYC"]
    said = {"said_latitude": new_york.latitude, "said_longitude": new_york.longitude, "said_country": "US"}
    mislocated = client(trouble=Trouble.MISLOCATED, **said)
    assert pings(small(), mislocated) == pings(small(), client())


def test_an_interceptor_with_a_name_gives_it_without_nsid_some_in_the_wrong_class() -> None:
    internet = intercepted(Interception.FOREIGN, identity="resolver7.isp.example")
    odd, even = replies(internet, client()), replies(internet, vantage_point(2, "10@FRA"))
    assert {(reply.rcode, reply.text, reply.nsid) for reply in odd + even} == {
        ("NOERROR", "resolver7.isp.example", None)
    }
    assert ({reply.answer_class for reply in odd}, {reply.answer_class for reply in even}) == ({"IN"}, {"CH"})


def test_an_interceptor_may_refuse_or_answer_nothing() -> None:
    refused, empty = (replies(intercepted(answer), client()) for answer in (Interception.REFUSED, Interception.EMPTY))
    assert {(reply.rcode, reply.text, reply.nsid) for reply in refused} == {("REFUSED", None, None)}
    assert {(reply.rcode, reply.text, reply.nsid) for reply in empty} == {("NOERROR", None, None)}


def test_a_replay_is_the_farthest_sites_identity_from_nearby() -> None:
    replayed = replies(intercepted(Interception.REPLAY), client(last_mile_ms=2.0))
    assert {reply.text for reply in replayed} == set(NEW_YORK)
    assert all(reply.rtt_ms >= 3 for reply in replayed)
    assert np.mean([reply.rtt_ms for reply in replayed]) == pytest.approx(2 + 4.5 + 1, abs=0.7)


@pytest.mark.parametrize("answer", Interception)
def test_an_interceptor_answers_dns_at_every_address_and_lets_all_else_pass(answer: Interception) -> None:
    internet = intercepted(answer)
    assert len(replies(internet, client(), address="192.0.2.1")) > 90
    assert pings(internet, client()) == pings(small(), client())
    assert trace(internet, client()) == trace(small(), client())


@pytest.mark.parametrize("answer", Interception)
def test_only_the_services_own_server_is_authoritative(answer: Interception) -> None:
    hijacked = small(Change(change=ChangeName.HIJACK, asn=20, more_specific=True))
    assert {reply.authoritative for reply in replies(small(), client())} == {True}
    assert {reply.authoritative for reply in replies(small(), client(), name="version.bind")} == {True}
    assert {reply.authoritative for reply in replies(intercepted(answer), client())} == {False}
    assert {reply.authoritative for reply in replies(hijacked, client())} == {False}


def by_family(internet: Internet, vantage: VantagePoint) -> list[set[str | None]]:
    return [{reply.text for reply in replies(internet, vantage, address=to)} for to in (ADDRESS, ADDRESS_6)]


def test_the_way_to_an_ipv6_address_is_that_of_ipv6_for_dns_ping_and_traceroute() -> None:
    # AS 10 peers with 2 for IPv6 and buys from 1, where the site of Frankfurt is: 2 has the one of New York.
    links = "10@FRA>1@FRA 10@FRA-2@FRA/6 1@FRA-2@FRA"
    internet = Internet(small_internet(links, site_of("fra", "1@FRA"), site_of("nyc", "2@NYC")))
    dual = client(ipv6=True)
    assert by_family(internet, dual) == [{"ns1.fra.example.net"}, set(NEW_YORK)]
    assert max(pings(internet, dual)) < 20
    assert min(pings(internet, dual, address=ADDRESS_6)) > 80
    # Over IPv6 there is one more hop, from Frankfurt to New York.
    assert [len(trace(internet, dual, address=to)) for to in (ADDRESS, ADDRESS_6)] == [4, 5]


def test_a_leak_that_settles_over_ipv4_but_not_over_ipv6_is_told_before_anything_is_measured() -> None:
    links = "11@FRA-1@FRA 12@FRA-1@FRA 13@FRA-1@FRA 12@FRA>11@FRA 13@FRA>12@FRA/6 11@FRA>13@FRA/6"
    changes = [Change(change=ChangeName.LEAK, asn=asn, after_s=60) for asn in (11, 12, 13)]
    with pytest.raises(InvalidFile, match="name another `asn`"):
        Internet(small_internet(links, site_of("fra", "1@FRA")), changes=changes)
    Internet(small_internet(links.replace("/6", "/4", 1), site_of("fra", "1@FRA")), changes=changes)


def test_a_hijacker_answers_for_all_whom_its_announcement_reaches() -> None:
    internet = small(Change(change=ChangeName.HIJACK, asn=20, more_specific=True, after_s=60))
    assert {reply.text for reply in replies(internet, client())} == set(FRANKFURT)
    assert {reply.text for reply in replies(internet, client(), after_s=60)} == {"ns1.hijacker.example"}
    assert min(pings(internet, client(), after_s=60)) > 60 > max(pings(internet, client()))
    hops = internet.traceroute(client(), ADDRESS, after_s=60, turn=0)
    assert not isinstance(hops, Lost)
    assert len(hops) == 6  # the home, AS 10 and AS 1 in Frankfurt, AS 1 and AS 20 in New York, the target


def test_the_same_prefix_hijacked_catches_those_who_are_nearer_to_the_hijacker() -> None:
    internet = small(Change(change=ChangeName.HIJACK, asn=20))
    neighbour = vantage_point(2, "20@NYC")
    assert {reply.text for reply in replies(internet, client())} == set(FRANKFURT)
    assert {reply.text for reply in replies(internet, neighbour)} == {"ns1.hijacker.example"}


def test_a_traceroute_shows_a_router_for_each_network_and_place_then_the_target() -> None:
    internet = Internet(small_internet(LINKS, SITES[1], site_of("fra", "1@FRA", announced=False)))
    hops = trace(internet, client(last_mile_ms=3.0, anchor=True))
    assert [hop.number for hop in hops] == [1, 2, 3, 4]
    assert hops[-1].address == ADDRESS
    # The last mile; the link of 5 ms; the Atlantic, 6,200 km.
    floors_ms = (3, 13, 13 + 62, 13 + 62)
    slower = [min(hop.rtts_ms) - floor_ms for hop, floor_ms in zip(hops, floors_ms, strict=True) if hop.rtts_ms]
    assert len(slower) > 2
    assert min(slower) > 0
    assert slower[0] < 10


def test_routers_keep_their_addresses_and_some_are_always_silent() -> None:
    links = " ".join(f"{asn}@FRA>1@FRA" for asn in range(100, 300))
    topology = small_internet(links, site_of("fra", "1@FRA"))
    one, other = Internet(topology), Internet(topology)
    first = {asn: trace(one, vantage_point(asn, f"{asn}@FRA"))[1] for asn in range(100, 300)}
    again = {asn: trace(other, vantage_point(1, f"{asn}@FRA"), 5)[1] for asn in range(100, 300)}
    addresses = [hop.address for hop in first.values()]
    assert addresses == [hop.address for hop in again.values()]
    known = [address for address in addresses if address is not None]
    assert 5 < addresses.count(None) < 35
    assert len(set(known)) == len(known)
    assert all(ipaddress.ip_address(address) in SHARED for address in known)
    assert all(hop.rtts_ms == () for hop in first.values() if hop.address is None)


def test_no_two_routers_share_an_address_however_long_their_as_numbers_are() -> None:
    # 70000 is 4464 more than 65536.
    links = "4464@FRA>1@FRA 70000@FRA>1@FRA 4464@AMS>1@AMS 70000@AMS>1@AMS 4200000000@FRA>70000@FRA"
    topology = small_internet(links, site_of("fra", "1@FRA"))
    routers = Routers(topology)
    for af, pool in FAMILY_POOLS:
        found = [routers.address(network.asn, place, af) for network in topology.networks for place in network.places]
        assert len(set(found)) == len(found) == 7
        assert all(ipaddress.ip_address(address) in pool for address in found)


def test_routers_of_the_generated_world_have_addresses_that_nobody_else_has(world: Topology) -> None:
    routers, probes = Routers(world), Probes(world, 0.0)
    taken = {address for service in world.services for address in service.addresses}
    for vantage in world.vantage_points:
        taken |= {probes.public_address(vantage.id, 4), probes.public_address(vantage.id, 6)}
    for af, _ in FAMILY_POOLS:
        found = [routers.address(network.asn, place, af) for network in world.networks for place in network.places]
        assert len(set(found)) == len(found)
        assert not taken & set(found)


def test_the_first_hop_is_the_router_of_the_home_beside_the_vantage_points_own_address(world: Topology) -> None:
    routers, probes = Routers(world), Probes(world, 0.0)
    for vantage in world.vantage_points:
        home = routers.home(vantage, 4)
        assert (home is None) == vantage.anchor
        if home is not None:
            subnet = ipaddress.ip_network(f"{probes.source_address(vantage.id, 4)}/24", strict=False)
            assert ipaddress.ip_address(home) == subnet[1]
            assert ipaddress.ip_address(routers.home(vantage, 6) or "") in ipaddress.ip_network("fd00::/8")


def test_a_home_is_near_and_an_anchor_has_none() -> None:
    far = client(last_mile_ms=600.0)
    first = [trace(small(vantage_points=(far,)), far, turn)[0] for turn in range(50)]
    assert {hop.address for hop in first} == {"192.168.2.1"}
    assert max(rtt_ms for hop in first for rtt_ms in hop.rtts_ms) < 10
    numbers = [[hop.number for hop in trace(small(), client(anchor=anchor))] for anchor in (False, True)]
    assert numbers == [[1, 2, 3, 4], [1, 2, 3]]


def test_routers_on_the_way_to_an_ipv6_address_have_ipv6_addresses() -> None:
    hops = trace(small(), client(ipv6=True, anchor=True), address=ADDRESS_6)
    assert hops[-1].address == ADDRESS_6
    for hop in hops[:-1]:
        assert hop.address is None or ipaddress.ip_address(hop.address) in DOCUMENTED


def test_now_and_then_the_target_does_not_answer_a_traceroute() -> None:
    ends = [trace(small(), client(), turn)[-1].address for turn in range(500)]
    assert set(ends) == {ADDRESS, None}
    assert ends.count(None) < 20


def test_a_leak_that_never_settles_is_told_before_anything_is_measured() -> None:
    links = "11@FRA-1@FRA 12@FRA-1@FRA 13@FRA-1@FRA 12@FRA>11@FRA 13@FRA>12@FRA 11@FRA>13@FRA"
    changes = [Change(change=ChangeName.LEAK, asn=asn, after_s=60) for asn in (11, 12, 13)]
    with pytest.raises(InvalidFile, match="name another `asn`"):
        Internet(small_internet(links, site_of("fra", "1@FRA")), changes=changes)


@pytest.fixture(scope="module")
def world() -> Topology:
    hosted = make_world(1)
    for name in ("b-root", "k-root"):
        hosted = host(hosted, load_service(SERVICES / f"{name}.toml"))
    return hosted


def test_in_the_generated_world_no_sound_vantage_point_looks_impossible(world: Topology) -> None:
    internet = Internet(world)
    troubled = {vantage for interceptor in world.interceptors for vantage in interceptor.vantage_points}
    for service in world.services:
        places = {identity: site for site in service.sites for identity in site.identities}
        answers = [
            (vantage, places[reply.text], reply.rtt_ms)
            for vantage in world.vantage_points
            if vantage.trouble is None and vantage.id not in troubled
            for reply in ask(internet, vantage, 2, address=service.addresses[0])
            if isinstance(reply, Reply) and reply.text is not None
        ]
        assert len(answers) > 1500
        km = distance_km(
            np.array([vantage.latitude for vantage, _, _ in answers]),
            np.array([vantage.longitude for vantage, _, _ in answers]),
            np.array([site.latitude for _, site, _ in answers]),
            np.array([site.longitude for _, site, _ in answers]),
        )
        limit_km = np.array([rtt_ms for _, _, rtt_ms in answers]) * IMPOSSIBLE_KM_PER_MS
        assert (km < 0.85 * limit_km).all()
        assert (km < limit_km + IMPOSSIBLE_SLACK_KM).all()


def test_everybody_in_the_generated_world_reaches_every_service(world: Topology) -> None:
    internet = Internet(world)
    for service in world.services:
        (epoch,) = internet.epochs[service.name]
        for af in FAMILIES:
            lost = [vantage.id for vantage in world.vantage_points if internet.way(vantage, epoch, af) is None]
            assert lost == []


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["demo-dns", "k-root"])
def test_some_but_not_many_reach_another_site_over_ipv6_nobody_none_and_light_is_never_beaten(
    name: str, seed: int
) -> None:
    internet = Internet(host(make_world(seed), load_service(SERVICES / f"{name}.toml"), seed=seed), seed=seed)
    (epoch,) = internet.epochs[name]
    dual = [vantage for vantage in internet.topology.vantage_points if vantage.ipv6]
    ways = {af: [internet.way(vantage, epoch, af) for vantage in dual] for af in FAMILIES}
    differing = 0
    for four, six in zip(ways[4], ways[6], strict=True):
        assert four is not None
        assert six is not None
        differing += four.site.code != six.site.code
    assert 0.05 <= differing / len(dual) <= 0.25
    for found in ways.values():
        pairs = [(vantage, way) for vantage, way in zip(dual, found, strict=True) if way is not None]
        km = distance_km(
            np.array([vantage.latitude for vantage, _ in pairs]),
            np.array([vantage.longitude for vantage, _ in pairs]),
            np.array([way.site.latitude for _, way in pairs]),
            np.array([way.site.longitude for _, way in pairs]),
        )
        assert (km < 0.85 * IMPOSSIBLE_KM_PER_MS * np.array([way.round_trip_ms for _, way in pairs])).all()
