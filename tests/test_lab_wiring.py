"""From a topology to the namespaces, cables and addresses of a lab."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest

from catchment.campaign import Change, ChangeName
from catchment.platforms.lab.blueprint import Blueprint, Node, Role, StaticRoute, Wire
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology.elements import (
    AnycastService,
    TieBreak,
    Topology,
    Trouble,
)
from catchment.platforms.topology.epochs import epochs
from tests.small_internets import site_of, small_internet, vantage_point

FRA, NYC = site_of("fra", "1@FRA"), site_of("nyc", "2@NYC -1@FRA")
PLAIN = small_internet(
    "1@FRA>3@LON=2 2@NYC>3@LON=30 1@FRA-2@NYC/4",
    FRA,
    NYC,
    tie_break=TieBreak.LOWEST_ID,
    vantage_points=(
        vantage_point(7, "1@FRA", last_mile_ms=5.0, ipv6=True),
        vantage_point(8, "1@FRA", last_mile_ms=0.0),
        vantage_point(9, "2@NYC", last_mile_ms=1.0, ipv6=True),
    ),
)


def built(topology: Topology, *changes: Change) -> Blueprint:
    return blueprint(topology, {name: past[-1] for name, past in epochs(topology, changes, seed=1).items()})


def wires(lab: Blueprint) -> dict[tuple[str, str], Wire]:
    return {(wire.near, wire.far): wire for wire in lab.wires}


def with_site(topology: Topology, **more: Any) -> Topology:
    """Give the first site of the first service other values."""
    service = topology.services[0]
    sites = (replace(service.sites[0], **more), *service.sites[1:])
    return replace(topology, services=(replace(service, sites=sites), *topology.services[1:]))


def second_service(*addresses: str) -> AnycastService:
    return AnycastService(name="other", asn=64600, addresses=addresses, answers=("id.server",), sites=(FRA,))


def test_each_network_site_and_vantage_point_is_a_namespace() -> None:
    roles = {node.name: node.role for node in built(PLAIN).nodes.values()}
    assert roles == {
        "as1": Role.NETWORK,
        "as2": Role.NETWORK,
        "as3": Role.NETWORK,
        "as64500-fra": Role.SITE,
        "as64500-nyc": Role.SITE,
        "vp7": Role.VANTAGE_POINT,
        "vp8": Role.VANTAGE_POINT,
        "vp9": Role.VANTAGE_POINT,
    }


def test_each_link_upstream_and_last_mile_is_a_cable_with_its_delay_one_way() -> None:
    delays = {ends: wire.delay_ms for ends, wire in wires(built(PLAIN)).items()}
    assert delays.pop(("as1", "as2")) == pytest.approx(6193 * 1.3 / 197.232, rel=0.005)  # Frankfurt to New York
    assert delays.pop(("as64500-nyc", "as1")) == pytest.approx(6193 * 1.3 / 197.232, rel=0.005)
    assert delays == {
        ("as1", "as3"): 2.0,
        ("as2", "as3"): 30.0,
        ("vp7", "as1"): 2.5,
        ("vp8", "as1"): 0.0,
        ("vp9", "as2"): 0.5,
        ("as64500-fra", "as1"): 0.0,
        ("as64500-nyc", "as2"): 0.0,
    }


def test_a_delay_that_the_file_gives_to_an_upstream_is_kept() -> None:
    topology = with_site(PLAIN, upstreams=(replace(FRA.upstreams[0], delay_ms=4.25),))
    assert wires(built(topology))["as64500-fra", "as1"].delay_ms == 4.25


def test_a_vantage_point_away_from_its_network_has_the_cable_there_as_well() -> None:
    far = small_internet(
        "1@FRA>3@LON", FRA, tie_break=TieBreak.LOWEST_ID, vantage_points=(vantage_point(7, "1@NYC", last_mile_ms=5.0),)
    )
    far = replace(far, networks=tuple(replace(network, places=network.places[:1]) for network in far.networks))
    assert wires(built(far))["vp7", "as1"].delay_ms == pytest.approx(2.5 + 6193 * 1.3 / 197.232, rel=0.005)


def test_a_cable_has_addresses_of_the_families_that_it_carries() -> None:
    laid = wires(built(PLAIN))
    for ends, families in {
        ("as1", "as3"): [4, 6],
        ("as1", "as2"): [4],
        ("vp7", "as1"): [4, 6],
        ("vp8", "as1"): [4],
    }.items():
        for addresses in (laid[ends].near_addresses, laid[ends].far_addresses):
            assert [ip_interface(address).version for address in addresses] == families


def test_both_ends_of_a_cable_are_in_one_network_of_two_and_nobody_shares_an_address() -> None:
    lab = built(PLAIN)
    seen: list[str] = []
    for wire in lab.wires:
        for near, far in zip(wire.near_addresses, wire.far_addresses, strict=True):
            assert ip_interface(near).network == ip_interface(far).network
            assert ip_interface(near).network.num_addresses == 2
            seen += [near.split("/")[0], far.split("/")[0]]
    for node in lab.nodes.values():
        seen += [
            address.split("/")[0] for address in node.addresses if not address.startswith(("192.0.2", "2001:db8:53"))
        ]
    assert len(seen) == len(set(seen))
    assert all(len(wire.name) <= 15 for wire in lab.wires)
    assert len({wire.name for wire in lab.wires}) == len(lab.wires)


def test_a_site_with_one_server_has_the_addresses_of_the_service_and_the_server_itself() -> None:
    site = built(PLAIN).nodes["as64500-fra"]
    assert {"192.0.2.53/32", "2001:db8:53::53/128"} < set(site.addresses)
    assert site.nsd is not None
    assert 'identity: "ns1.fra.example.net"' in site.nsd["nsd.conf"]


def test_a_site_with_several_servers_shares_flows_among_them() -> None:
    lab = built(with_site(PLAIN, identities=("a.fra", "b.fra")))
    site, servers = lab.nodes["as64500-fra"], [lab.nodes["as64500-fra.1"], lab.nodes["as64500-fra.2"]]
    cables = [wires(lab)["as64500-fra", server.name] for server in servers]
    assert site.nsd is None
    assert "192.0.2.53/32" not in site.addresses
    assert site.routes == tuple(
        StaticRoute(prefix=prefix, via=tuple(wire.far_addresses[at].split("/")[0] for wire in cables))
        for at, prefix in enumerate(["192.0.2.53/32", "2001:db8:53::53/128"])
    )
    for server, wire, identity in zip(servers, cables, ["a.fra", "b.fra"], strict=True):
        assert server.role is Role.SERVER
        assert server.bird is None
        assert server.addresses == ("192.0.2.53/32", "2001:db8:53::53/128")
        assert server.routes == tuple(
            StaticRoute(prefix=prefix, via=(wire.near_addresses[at].split("/")[0],))
            for at, prefix in enumerate(["0.0.0.0/0", "::/0"])
        )
        assert server.nsd is not None
        assert f'identity: "{identity}"' in server.nsd["nsd.conf"]


def test_a_vantage_point_sends_everything_to_its_network_from_its_own_address() -> None:
    lab = built(PLAIN)
    host, wire = lab.nodes["vp7"], wires(lab)["vp7", "as1"]
    assert [route.prefix for route in host.routes] == ["0.0.0.0/0", "::/0"]
    assert [route.via for route in host.routes] == [(end.split("/")[0],) for end in wire.far_addresses]
    assert [f"{route.source}" for route in host.routes] == [address.split("/")[0] for address in host.addresses]
    assert host.nsd is None
    assert host.bird is None


def test_a_vantage_point_without_ipv6_has_no_address_to_send_from() -> None:
    host = built(PLAIN).nodes["vp8"]
    assert [ip_interface(address).version for address in host.addresses] == [4]
    assert [route.prefix for route in host.routes] == ["0.0.0.0/0"]


def test_a_vantage_point_that_cannot_send_has_no_route() -> None:
    cut = tuple(replace(vantage, trouble=Trouble.CANNOT_SEND) for vantage in PLAIN.vantage_points)
    assert built(replace(PLAIN, vantage_points=cut)).nodes["vp7"].routes == ()


def test_every_address_of_a_router_is_known_to_be_its_own() -> None:
    lab = built(with_site(PLAIN, identities=("a.fra", "b.fra")))
    expected: dict[str, str] = {}
    for node in lab.nodes.values():
        if node.role in {Role.NETWORK, Role.SITE}:
            ends = [wire.near_addresses for wire in lab.wires if wire.near == node.name]
            ends += [wire.far_addresses for wire in lab.wires if wire.far == node.name]
            own = [address for address in node.addresses if not address.startswith(("192.0.2.", "2001:db8:53:"))]
            expected |= {address.split("/")[0]: node.name for addresses in (*ends, own) for address in addresses}
    assert lab.routers == expected


def test_a_failed_site_keeps_everything_but_its_server() -> None:
    before, after = built(PLAIN), built(PLAIN, Change(change=ChangeName.FAIL, site="fra"))
    assert after.nodes["as64500-fra"] == replace(before.nodes["as64500-fra"], nsd=None)
    assert others(after, "as64500-fra") == others(before, "as64500-fra")


def test_all_servers_of_a_failed_site_are_dead_and_keep_their_addresses() -> None:
    large = with_site(PLAIN, identities=("a.fra", "b.fra"))
    before, after = built(large), built(large, Change(change=ChangeName.FAIL, site="fra"))
    for name in ("as64500-fra.1", "as64500-fra.2"):
        assert after.nodes[name] == replace(before.nodes[name], nsd=None)


def test_a_site_that_withdraws_keeps_its_cables_and_says_nothing_of_the_service() -> None:
    before, after = built(PLAIN), built(PLAIN, Change(change=ChangeName.WITHDRAW, site="fra"))
    assert after.wires == before.wires
    assert others(after, "as64500-fra") == others(before, "as64500-fra")
    assert "192.0.2.0/24" in said(before.nodes["as64500-fra"])
    assert "2001:db8:53::/48" in said(before.nodes["as64500-fra"])
    assert "192.0.2.0/24" not in said(after.nodes["as64500-fra"])
    assert "2001:db8:53::/48" not in said(after.nodes["as64500-fra"])


@pytest.mark.parametrize(
    ("more_specific", "prefixes"),
    [(False, {"192.0.2.0/24", "2001:db8:53::/48"}), (True, {"192.0.2.0/25", "2001:db8:53::/49"})],
)
def test_a_hijacker_has_the_address_a_server_and_a_route(more_specific: bool, prefixes: set[str]) -> None:
    before = built(PLAIN)
    after = built(PLAIN, Change(change=ChangeName.HIJACK, asn=3, more_specific=more_specific))
    hijacker = after.nodes["as3"]
    assert set(hijacker.addresses) - set(before.nodes["as3"].addresses) == {"192.0.2.53/32", "2001:db8:53::53/128"}
    assert said(hijacker) - said(before.nodes["as3"]) == prefixes
    assert hijacker.nsd is not None
    assert 'identity: "ns1.hijacker.example"' in hijacker.nsd["nsd.conf"]
    assert others(after, "as3") == others(before, "as3")


def test_who_hijacks_two_services_answers_for_both() -> None:
    topology = replace(PLAIN, services=(*PLAIN.services, second_service("198.51.100.53")))
    hijacks = [Change(change=ChangeName.HIJACK, asn=3, service=name) for name in ("example", "other")]
    node = built(topology, *hijacks).nodes["as3"]
    assert {"192.0.2.53/32", "198.51.100.53/32"} < set(node.addresses)
    assert node.nsd is not None
    assert {"example.example.zone", "other.example.zone"} < set(node.nsd)


def test_a_leak_changes_what_the_leaker_alone_says() -> None:
    before, after = built(PLAIN), built(PLAIN, Change(change=ChangeName.LEAK, asn=1))
    assert after.nodes["as1"].bird != before.nodes["as1"].bird
    assert others(after, "as1") == others(before, "as1")


def test_a_new_site_leaves_all_others_and_their_cables_as_they_are() -> None:
    topology = replace(PLAIN, services=(*PLAIN.services, second_service("198.51.100.53")))
    start = {name: past[0] for name, past in epochs(topology, [], seed=1).items()}
    grown = replace(start["example"].service, sites=(*start["example"].service.sites, site_of("lon", "3@LON")))
    before, after = (
        blueprint(topology, start),
        blueprint(topology, start | {"example": replace(start["example"], service=grown)}),
    )
    assert [wire for wire in after.wires if wire not in before.wires] == [wires(after)["as64500-lon", "as3"]]
    assert set(before.wires) < set(after.wires)
    assert others(after, "as64500-lon", "as3") == others(before, "as3")


def test_several_services_may_be_behind_one_network() -> None:
    lab = built(replace(PLAIN, services=(*PLAIN.services, second_service("198.51.100.53"))))
    config = lab.nodes["as1"].bird
    assert config is not None
    assert "as 64500;" in config
    assert "as 64600;" in config


def test_a_site_that_announces_nowhere_stands_alone() -> None:
    lab = built(with_site(PLAIN, upstreams=(), announced=False))
    assert not [wire for wire in lab.wires if "as64500-fra" in (wire.near, wire.far)]


def test_a_site_whose_code_is_no_name_is_counted() -> None:
    assert "as64500-_0" in built(with_site(PLAIN, code="Frankfurt/../Main")).nodes


def others(lab: Blueprint, *names: str) -> dict[str, Node]:
    return {name: node for name, node in lab.nodes.items() if name not in names}


def said(node: Node) -> set[str]:
    """Return the prefixes that a router announces as its own."""
    assert node.bird is not None
    return {line.split()[1] for line in node.bird.splitlines() if line.endswith("blackhole;")}
