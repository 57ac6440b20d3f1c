"""What is true in a lab, as its routers say; the replies are as BIRD 2.0.12 gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.assign.hop_names import sites_in_name
from catchment.campaign import Change, ChangeName
from catchment.model import Address, Service, Site
from catchment.platforms.lab.blueprint import Blueprint
from catchment.platforms.lab.routes import Truth, next_wire, path_of, router_names, truth
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology.elements import TieBreak, Topology
from catchment.platforms.topology.epochs import Epoch, epochs
from tests.small_internets import ADDRESS, ADDRESS_6, site_of, small_internet, vantage_point

# Recorded from the socket of BIRD, with its codes, and from birdc, without.
RECORDED = (
    "1007-Table master4:\n"
    " 192.0.2.0/24         unicast [l0_4 09:55:18.434] * (100) [AS64500i]\n"
    " \tvia 198.18.0.0 on l0\n"
    "1008-\tType: BGP univ\n"
    "1012-\tBGP.origin: IGP\n"
    " \tBGP.as_path: 1 64500\n"
    " \tBGP.next_hop: 198.18.0.0\n"
    " \tBGP.local_pref: 300\n"
    "0000 \n"
)
OF_BIRDC = (
    "BIRD 2.0.12 ready.\n"
    "Table master6:\n"
    "2001:db8:53::/48     unicast [u8_6 09:54:58.394] * (100) [AS64500i]\n"
    "\tvia fe80::6069:b7ff:fe9b:7779 on u8\n"
)
OF_A_HOST = (
    "1007-Table master4:\n"
    " 100.64.0.10/32       unicast [hosts_4 09:54:57.445] * (200)\n"
    " \tvia 198.18.0.14 on v9\n"
    "0000 \n"
)

# Site fra is behind AS 1, nyc behind AS 2; AS 3 buys of both.
LINE = small_internet(
    "3@LON>1@FRA=2 3@LON>2@NYC=30 1@FRA-2@NYC=40",
    site_of("fra", "1@FRA"),
    site_of("nyc", "2@NYC", identities=("a.nyc", "b.nyc")),
    tie_break=TieBreak.LOWEST_ID,
    vantage_points=(vantage_point(7, "3@LON", last_mile_ms=5.0, ipv6=True), vantage_point(8, "2@NYC")),
)
PREPENDED = "1 64500 64500"  # what is told to whoever is asked
FRA, NYC = "as64500-fra", "as64500-nyc"
OF_7, OF_8 = "100.64.16.10", "100.64.8.10"  # the third and the second network's first vantage points
TO_FRA = {("as3", ADDRESS): "as1", ("as1", ADDRESS): FRA, ("as2", ADDRESS): NYC}
BACK_TO_7 = {(FRA, OF_7): "as1", ("as1", OF_7): "as3", ("as3", OF_7): "vp7", (NYC, OF_7): "as2", ("as2", OF_7): "as3"}
BACK_TO_8 = {(NYC, OF_8): "as2", ("as2", OF_8): "vp8"}


def now(topology: Topology, *changes: Change) -> dict[str, Epoch]:
    return {name: past[-1] for name, past in epochs(topology, changes, seed=1).items()}


def routers(lab: Blueprint, hops: dict[tuple[str, str], str]) -> Callable[[str, str], str]:
    """Return routers that send to whom `hops` says, by router and address; they drop all else."""

    def read(node: str, command: str) -> str:
        words = command.split()
        assert words[:3] == ["show", "route", "for"]
        assert words[4:] == ["primary", "all"]
        hop = hops.get((node, words[3]))
        if hop is None:
            return "8001 Network not found\n"
        wire = next(wire.name for wire in lab.wires if {wire.near, wire.far} == {node, hop})
        return RECORDED.replace("l0", wire).replace("1 64500", PREPENDED)

    return read


def rows(topology: Topology, hops: dict[tuple[str, str], str], *changes: Change) -> dict[tuple[int, str], Truth]:
    present = now(topology, *changes)
    lab = blueprint(topology, present)
    return {(row.vantage, row.address): row for row in truth(routers(lab, hops), topology, lab, present)}


@pytest.mark.parametrize(("reply", "wire"), [(RECORDED, "l0"), (OF_BIRDC, "u8"), (OF_A_HOST, "v9")])
def test_the_way_out_of_a_router_is_read_from_its_reply(reply: str, wire: str) -> None:
    assert next_wire(reply) == wire


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "8001 Network not found\n",
        "9001 syntax error, unexpected CF_SYM_UNDEFINED\n",
        "1007-Table master4:\n 192.0.2.0/24         blackhole [own_4 09:55:18.434] * (200)\n0000 \n",
        "1007-Table master4:\n 192.0.2.0/24         unreachable [own_4 09:55:18.434] * (200)\n0000 \n",
    ],
)
def test_a_reply_without_a_gateway_leads_nowhere(reply: str) -> None:
    assert next_wire(reply) is None


@given(st.text(max_size=200))
def test_no_reply_is_too_odd_to_be_read(reply: str) -> None:
    found = next_wire(reply)
    assert found is None or found in reply


def test_queries_are_followed_to_the_site_and_replies_back() -> None:
    found = rows(LINE, TO_FRA | BACK_TO_7 | BACK_TO_8)
    assert found[7, ADDRESS] == Truth(
        vantage=7,
        service="example",
        address=ADDRESS,
        site="fra",
        servers=("ns1.fra.example.net",),
        as_path=(3, 1, 64500),
        announced_path=(3, 1, 64500, 64500),
        one_way_ms=2.5 + 2.0,
        rtt_ms=2 * (2.5 + 2.0),
    )
    assert found[8, ADDRESS] == Truth(
        vantage=8,
        service="example",
        address=ADDRESS,
        site="nyc",
        servers=("a.nyc", "b.nyc"),
        as_path=(2, 64500),
        announced_path=(2, 1, 64500, 64500),
        one_way_ms=0.0,
        rtt_ms=0.0,
    )


def test_replies_may_take_another_way_than_queries() -> None:
    by_2 = TO_FRA | BACK_TO_7 | {("as1", OF_7): "as2"}
    assert rows(LINE, by_2)[7, ADDRESS].rtt_ms == (2.5 + 2.0) + (40.0 + 30.0 + 2.5)


def test_a_reply_that_does_not_find_back_has_no_round_trip() -> None:
    found = rows(LINE, TO_FRA)[7, ADDRESS]
    assert (found.site, found.one_way_ms, found.rtt_ms) == ("fra", 4.5, None)


def test_a_vantage_point_has_rows_for_the_families_that_it_has() -> None:
    assert set(rows(LINE, {})) == {(7, ADDRESS), (7, ADDRESS_6), (8, ADDRESS)}


def test_where_a_router_knows_no_way_nothing_is_reached() -> None:
    lost = rows(LINE, {("as3", ADDRESS): "as1"})[7, ADDRESS]
    told = (3, 1, 64500, 64500)  # though nothing arrives
    assert lost == Truth(vantage=7, service="example", address=ADDRESS, site=None, announced_path=told)
    unknown = rows(LINE, {})[7, ADDRESS]
    assert unknown == Truth(vantage=7, service="example", address=ADDRESS, site=None)


def test_the_path_that_a_network_was_told_begins_with_itself_and_keeps_what_was_prepended() -> None:
    assert path_of(RECORDED, 3) == (3, 1, 64500)
    assert path_of(RECORDED.replace("1 64500", "1 64500 64500 64500"), 3) == (3, 1, 64500, 64500, 64500)
    hijack = "1007-Table master4:\n 192.0.2.0/25         blackhole [own_4 09:55:18.434] * (200)\n0000 \n"
    assert path_of(hijack, 64510) == (64510,)
    assert path_of("8001 Network not found\n", 3) == ()


def test_behind_a_router_that_does_not_answer_nothing_is_known_and_all_else_is() -> None:
    present = now(LINE)
    lab = blueprint(LINE, present)
    told = routers(lab, TO_FRA | BACK_TO_7 | BACK_TO_8)
    found = truth(lambda node, command: None if node == "as1" else told(node, command), LINE, lab, present)
    of_7, of_8 = (row for row in found if row.address == ADDRESS)
    assert of_7 == Truth(vantage=7, service="example", address=ADDRESS, site=None, unread="as1")
    assert (of_8.site, of_8.unread) == ("nyc", None)


def test_packets_that_go_round_in_a_circle_reach_nothing() -> None:
    circle = {("as3", ADDRESS): "as1", ("as1", ADDRESS): "as2", ("as2", ADDRESS): "as3"}
    assert rows(LINE, circle)[7, ADDRESS].site is None


def test_a_hijacker_on_the_way_is_where_packets_end() -> None:
    found = rows(LINE, TO_FRA | BACK_TO_7, Change(change=ChangeName.HIJACK, asn=1))[7, ADDRESS]
    assert (found.site, found.hijacked, found.as_path) == ("as1", True, (3, 1))
    assert found.servers == ("ns1.hijacker.example",)


def test_a_failed_site_is_reached_and_dead() -> None:
    found = rows(LINE, TO_FRA | BACK_TO_7, Change(change=ChangeName.FAIL, site="fra"))
    assert (found[7, ADDRESS].site, found[7, ADDRESS].failed) == ("fra", True)
    assert found[7, ADDRESS].rtt_ms == 9.0
    assert not found[8, ADDRESS].failed


def test_the_routers_of_a_site_with_several_servers_are_asked_for_the_way_back() -> None:
    found = rows(LINE, TO_FRA | {("as3", ADDRESS): "as2"} | BACK_TO_7)[7, ADDRESS]
    assert (found.site, found.rtt_ms) == ("nyc", 2 * (2.5 + 30.0))


def test_names_of_routers_hold_their_as_and_the_code_of_their_town() -> None:
    present = now(LINE)
    lab = blueprint(LINE, present)
    names = router_names(LINE, lab, present)
    assert set(names) == set(lab.routers)
    for address, router in lab.routers.items():
        town = {"as1": "fra1", "as2": "nyc1", "as3": "lon1", FRA: "fra1", NYC: "nyc1"}[router]
        assert names[address].endswith(f".{town}.as{64500 if router in {FRA, NYC} else router[2:]}.example")


def test_the_towns_in_names_of_routers_can_be_read() -> None:
    towns = [
        ("fra", "Frankfurt", "DE", 50.11, 8.68),
        ("nyc", "New York", "US", 40.71, -74.01),
        ("lon", "London", "GB", 51.5, -0.1),
    ]
    sites = tuple(
        Site(code=f"site-{code}", town=town, country=country, latitude=latitude, longitude=longitude)
        for code, town, country, latitude, longitude in towns
    )
    service = Service(name="example", operator="Example", addresses=(Address(address=ADDRESS),), sites=sites)
    present = now(LINE)
    lab = blueprint(LINE, present)
    for address, name in router_names(LINE, lab, present).items():
        home = {"as1": "fra", "as2": "nyc", "as3": "lon", FRA: "fra", NYC: "nyc"}[lab.routers[address]]
        assert [found.site.code for found in sites_in_name(name, service)] == [f"site-{home}"]


def test_a_place_of_any_code_makes_a_name() -> None:
    places = tuple(replace(place, code=f"{place.code} é.") for place in LINE.places)
    networks = tuple(replace(network, places=(f"{network.places[0]} é.",)) for network in LINE.networks)
    present = now(LINE)
    names = router_names(replace(LINE, places=places, networks=networks), blueprint(LINE, present), present)
    assert "lo0.fra1.as1.example" in names.values()
