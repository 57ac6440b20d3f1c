"""What the routers of a lab are told; BIRD itself says whether it understands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from catchment.campaign import Change, ChangeName
from catchment.platforms.lab.bird import Rank, Router, Session, bird_config
from catchment.platforms.lab.blueprint import Blueprint
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology.elements import TieBreak, Topology
from catchment.platforms.topology.epochs import epochs
from tests.lab_programs import told_by
from tests.namespaces import needs_namespaces
from tests.small_internets import site_of, small_internet, vantage_point

CUSTOMER = Session(wire="l1", af=4, address="198.18.0.0", neighbour="198.18.0.1", asn=7, rank=Rank.CUSTOMER)
PEER = Session(wire="l2", af=6, address="3fff:fff::2", neighbour="3fff:fff::3", asn=8, rank=Rank.PEER)
PROVIDER = Session(wire="l3", af=4, address="198.18.0.4", neighbour="198.18.0.5", asn=9, rank=Rank.PROVIDER)
ROUTER = Router(
    asn=64500,
    router_id="0.1.0.0",
    addresses={4: "100.64.0.1", 6: "3fff::1"},
    sessions=(CUSTOMER, PEER, PROVIDER),
    own={4: ("192.0.2.0/24",), 6: ("2001:db8:53::/48",)},
    hosts={4: (("100.64.0.10/32", "198.18.0.6"),)},
)
HEARD_OF_CUSTOMERS = "if source = RTS_BGP && bgp_local_pref = 300 then accept;"
HEARD = "if source = RTS_BGP then accept;"

# Much of what a lab can have: families, prepending, a local site, several servers, two services of one upstream.
RICH = small_internet(
    "1@FRA>3@FRA 2@NYC>3@FRA/4 1@FRA-2@NYC/6 1@FRA-2@NYC 4294967294@LON>1@FRA",
    site_of("fra", "1@FRA", prepend=2, local=True),
    site_of("nyc", "2@NYC -1@FRA/6", identities=("a.nyc", "b.nyc")),
    site_of("b-1", "1@FRA 3@FRA", announced=False),
    tie_break=TieBreak.LOWEST_ID,
    vantage_points=(vantage_point(7, "1@FRA", ipv6=True), vantage_point(8, "2@NYC")),
)
RICH = replace(
    RICH,
    services=(
        *RICH.services,
        replace(RICH.services[0], name="Ö 2", asn=64501, addresses=("198.51.100.1", "198.51.100.2", "2001:db8:54::1")),
    ),
)


def built(topology: Topology, *changes: Change) -> Blueprint:
    return blueprint(topology, {name: past[-1] for name, past in epochs(topology, changes, seed=1).items()})


def section(config: str, name: str) -> str:
    """Return a protocol of a configuration, by its name."""
    return next(part for part in config.split("\nprotocol ") if part.split()[1] == name)


def ids(lab: Blueprint) -> dict[str, int]:
    """Return the router ids as numbers, as BIRD compares them, by namespace."""
    found = {}
    for node in lab.nodes.values():
        if node.bird is not None:
            text = node.bird.split("router id ")[1].split(";")[0]
            found[node.name] = int.from_bytes(bytes(map(int, text.split("."))))
    return found


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (
            Change(change=ChangeName.WITHDRAW, site="fra", service="example"),
            Change(change=ChangeName.PREPEND, site="nyc", prepend=5),
            Change(change=ChangeName.LEAK, asn=1, service="example"),
            Change(change=ChangeName.LEAK, asn=2),
            Change(change=ChangeName.HIJACK, asn=3),
            Change(change=ChangeName.HIJACK, asn=2, more_specific=True),
        ),
    ],
)
def test_bird_understands_every_router(changes: tuple[Change, ...], tmp_path: Path) -> None:
    needs_namespaces()
    for node in built(RICH, *changes).nodes.values():
        if node.bird is not None:
            assert complaint(node.bird, tmp_path) == ""


def test_bird_would_say_what_it_does_not_understand(tmp_path: Path) -> None:
    needs_namespaces()
    assert "syntax error" in complaint(
        bird_config(ROUTER).replace("template bgp neighbour", "template bgp ebgp"), tmp_path
    )


def complaint(config: str, folder: Path) -> str:
    (folder / "bird.conf").write_text(config)
    return told_by(folder, "bird", "-p", "-c", "bird.conf")


def test_customers_are_told_everything_and_others_what_customers_said() -> None:
    config = bird_config(ROUTER)
    assert HEARD in section(config, "l1_4")
    for name in ("l2_6", "l3_4"):
        assert HEARD_OF_CUSTOMERS in section(config, name)
        assert HEARD not in section(config, name)


def test_who_leaks_tells_everybody_all_but_what_it_keeps() -> None:
    config = bird_config(replace(ROUTER, leaks=True, unleaked={4: ("198.51.100.0/24", "203.0.113.0/24")}))
    said = section(config, "l3_4")
    kept = "if net ~ [ 198.51.100.0/24+, 203.0.113.0/24+ ] then reject;"
    assert said.index(HEARD_OF_CUSTOMERS) < said.index(kept) < said.index(HEARD)
    assert HEARD in section(config, "l2_6")
    assert "net ~" not in section(config, "l2_6")


def test_a_site_tells_nobody_what_it_hears() -> None:
    config = bird_config(replace(ROUTER, is_transit=False))
    assert "source = RTS_BGP" not in section(config, "l1_4") + section(config, "l2_6") + section(config, "l3_4")


def test_customers_are_preferred_to_peers_and_these_to_providers() -> None:
    config = bird_config(ROUTER)
    prefs = [
        int(section(config, name).split("bgp_local_pref = ")[1].split(";")[0]) for name in ("l1_4", "l2_6", "l3_4")
    ]
    assert prefs == sorted(prefs, reverse=True)
    assert len(set(prefs)) == 3


def test_a_site_prepends_to_the_upstream_that_the_file_says() -> None:
    config = bird_config(replace(ROUTER, sessions=(replace(CUSTOMER, prepend=3), PEER)))
    assert section(config, "l1_4").count("bgp_path.prepend(64500);") == 3
    assert "prepend" not in section(config, "l2_6")


def test_a_local_site_forbids_its_upstreams_to_pass_it_on() -> None:
    # RFC 1997: NO_EXPORT is 0xFFFFFF01.
    assert (65535 << 16) + 65281 == 0xFFFFFF01
    assert "bgp_community.add((65535, 65281));" in section(bird_config(replace(ROUTER, is_local=True)), "l3_4")
    assert "bgp_community" not in bird_config(ROUTER)


def test_hosts_are_for_the_kernel_alone_and_blackholes_for_others() -> None:
    config = bird_config(ROUTER)
    assert "route 100.64.0.10/32 via 198.18.0.6;" in section(config, "hosts_4")
    assert "route 192.0.2.0/24 blackhole;" in section(config, "own_4")
    assert 'proto = "own_4"' in section(config, "l1_4")
    assert "hosts_4" not in section(config, "l1_4")
    assert 'if source != RTS_BGP && proto != "hosts_4" then reject;' in section(config, "kernel_4")
    assert "krt_prefsrc = 100.64.0.1;" in section(config, "kernel_4")


def test_a_neighbour_that_falls_silent_is_given_up_within_ten_seconds() -> None:
    assert "hold time 9;" in bird_config(ROUTER)


def test_router_ids_are_in_the_order_of_as_numbers_then_of_the_codes_of_sites() -> None:
    found = ids(built(RICH))
    order = ["as1", "as2", "as3", "as64500-b-1", "as64500-fra", "as64500-nyc"]
    order += ["as64501-b-1", "as64501-fra", "as64501-nyc", "as4294967294"]
    assert sorted(found, key=lambda name: found[name]) == order
    assert len(set(found.values())) == len(found)
    assert min(found.values()) > 0  # 0.0.0.0 is no router id (RFC 6286)


def test_a_new_site_gets_a_router_id_at_its_place_and_the_others_keep_theirs() -> None:
    past = {name: epochs_of[-1] for name, epochs_of in epochs(RICH, [], seed=1).items()}
    before = ids(blueprint(RICH, past))
    service = past["example"].service
    added = tuple(site_of(code, "3@FRA") for code in ("zrh", "lon", "ams", "mil"))
    past["example"] = replace(past["example"], service=replace(service, sites=(*service.sites, *added)))
    after = ids(blueprint(RICH, past))
    assert before.items() < after.items()
    codes = [name.removeprefix("as64500-") for name in sorted(after, key=lambda name: after[name]) if "64500-" in name]
    assert codes == ["ams", "b-1", "fra", "lon", "mil", "nyc", "zrh"]


def test_of_two_links_between_the_same_networks_the_first_has_the_lower_addresses_at_both_ends() -> None:
    lab = built(
        small_internet("1@FRA>2@FRA 2@FRA-1@FRA 1@FRA>2@FRA", site_of("fra", "1@FRA"), tie_break=TieBreak.LOWEST_ID)
    )
    config = {name: lab.nodes[name].bird or "" for name in ("as1", "as2")}
    for text in config.values():
        neighbours = [section(text, f"l{at}_4").split("neighbor ")[1].split()[0] for at in range(3)]
        assert neighbours == sorted(neighbours, key=lambda address: bytes(map(int, address.split("."))))
