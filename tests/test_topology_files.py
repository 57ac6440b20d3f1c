import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.errors import InvalidFile
from catchment.platforms.topology.elements import (
    AnycastService,
    AnycastSite,
    Interception,
    Interceptor,
    Link,
    Network,
    Place,
    Relation,
    TieBreak,
    Topology,
    Trouble,
    Upstream,
    VantagePoint,
)
from catchment.platforms.topology.files import load_topology, topology_text, write_topology
from catchment.platforms.topology.hosting import host
from catchment.platforms.topology.world import make_world
from catchment.services import bundled_service

# Two towns, a carrier, two of its customers, and a service behind one of them: as a person would write it.
BY_HAND = """
name = "by-hand"
tie_break = "lowest-id"
places = [
  { code = "FRA", town = "Frankfurt", country = "DE", latitude = 50, longitude = 8.5 },
  { code = "SYD", town = "Sydney", country = "AU", latitude = -33.9, longitude = 151.2 },
]
networks = [
  { asn = 1, name = "Carrier", places = ["FRA", "SYD"] },
  { asn = 2, name = "Access", places = ["FRA"] },
  { asn = 3, name = "Other", places = ["SYD"] },
]
links = [
  { near = 2, far = 1, relation = "provider", near_place = "FRA", far_place = "FRA" },
  { near = 3, far = 1, relation = "provider", near_place = "SYD", far_place = "SYD", delay_ms = 2.5 },
]
vantage_points = [
  { id = 1001, asn = 2, place = "FRA", latitude = 50.1, longitude = 8.6, country = "DE", last_mile_ms = 4.0 },
  { id = 1002, asn = 3, place = "SYD", latitude = -33.8, longitude = 151.1, country = "AU", last_mile_ms = 9.5, \
ipv6 = true, trouble = "flapping", second_asn = 1 },
]
interceptors = [{ answer = "refused", vantage_points = [1001] }]
[[services]]
name = "dns"
asn = 9
addresses = ["192.0.2.53"]
answers = ["hostname.bind"]
sites = [
  { code = "fra", place = "FRA", latitude = 50.11, longitude = 8.68, identities = ["fra1.example"], \
upstreams = [{ asn = 1, relation = "provider", place = "FRA", prepend = 2 }] },
]
"""


def loaded(folder: Path, text: str) -> Topology:
    path = folder / "topology.toml"
    path.write_text(text, encoding="utf-8")
    return load_topology(path)


def test_a_topology_written_by_hand_is_read_as_it_stands(tmp_path: Path) -> None:
    topology = loaded(tmp_path, BY_HAND)
    assert topology.tie_break is TieBreak.LOWEST_ID
    assert topology.places[0] == Place(code="FRA", town="Frankfurt", country="DE", latitude=50.0, longitude=8.5)
    assert topology.networks[0] == Network(asn=1, name="Carrier", places=("FRA", "SYD"))
    assert topology.links[1] == Link(
        near=3, far=1, relation=Relation.PROVIDER, near_place="SYD", far_place="SYD", delay_ms=2.5
    )
    assert topology.vantage_points[1] == VantagePoint(
        id=1002,
        asn=3,
        place="SYD",
        latitude=-33.8,
        longitude=151.1,
        country="AU",
        last_mile_ms=9.5,
        ipv6=True,
        second_asn=1,
        trouble=Trouble.FLAPPING,
    )
    assert topology.interceptors == (Interceptor(answer=Interception.REFUSED, vantage_points=(1001,)),)
    upstream = Upstream(asn=1, relation=Relation.PROVIDER, place="FRA", prepend=2)
    site = AnycastSite(
        code="fra", place="FRA", latitude=50.11, longitude=8.68, identities=("fra1.example",), upstreams=(upstream,)
    )
    assert topology.services == (
        AnycastService(name="dns", asn=9, addresses=("192.0.2.53",), answers=("hostname.bind",), sites=(site,)),
    )


def test_the_default_world_with_services_is_read_back_as_it_was(tmp_path: Path) -> None:
    world = make_world(3)
    for name in ("demo-dns", "k-root", "opendns"):
        world = host(world, bundled_service(name), seed=3)
    write_topology(world, tmp_path / "world.toml")
    assert load_topology(tmp_path / "world.toml") == world


def test_what_is_left_out_of_a_vantage_point_or_a_site_is_that_of_its_place(tmp_path: Path) -> None:
    short = BY_HAND.replace(', latitude = 50.1, longitude = 8.6, country = "DE", last_mile_ms = 4.0', "")
    topology = loaded(tmp_path, short.replace(", latitude = 50.11, longitude = 8.68", ""))
    assert topology.vantage_points[0] == VantagePoint(
        id=1001, asn=2, place="FRA", latitude=50.0, longitude=8.5, country="DE", last_mile_ms=5.0
    )
    (site,) = topology.services[0].sites
    assert (site.latitude, site.longitude) == (50.0, 8.5)
    written = topology_text(topology)
    assert '{ id = 1001, asn = 2, place = "FRA" },' in written
    assert '{ code = "fra", place = "FRA", identities =' in written
    assert 'id = 1002, asn = 3, place = "SYD", latitude = -33.8, longitude = 151.1, last_mile_ms = 9.5' in written
    assert loaded(tmp_path, written) == topology


def test_families_and_delays_are_read_and_written_where_they_are_set_only(tmp_path: Path) -> None:
    topology = loaded(
        tmp_path,
        BY_HAND.replace("delay_ms = 2.5", "delay_ms = 2.5, af = 6").replace(
            "prepend = 2", "prepend = 2, delay_ms = 0.5, af = 4"
        ),
    )
    assert [link.af for link in topology.links] == [None, 6]
    (upstream,) = topology.services[0].sites[0].upstreams
    assert (upstream.delay_ms, upstream.af) == (0.5, 4)
    written = topology_text(topology)
    assert (written.count("af = 6 }"), written.count("af = 4 }")) == (1, 1)
    assert "af = " not in topology_text(loaded(tmp_path, BY_HAND))
    assert loaded(tmp_path, written) == topology


def test_a_site_that_announces_nothing_needs_no_upstreams(tmp_path: Path) -> None:
    upstreams = '[{ asn = 1, relation = "provider", place = "FRA", prepend = 2 }]'
    assert upstreams in BY_HAND
    silent = loaded(tmp_path, BY_HAND.replace(upstreams, "[], announced = false"))
    assert silent.services[0].sites[0].upstreams == ()
    with pytest.raises(InvalidFile, match=r"site 'fra' has no upstreams: name a network .* or set announced = false"):
        loaded(tmp_path, BY_HAND.replace(upstreams, "[]"))


def test_two_networks_may_be_each_others_providers_in_different_families(tmp_path: Path) -> None:
    further = (
        '  { near = 1, far = 2, relation = "provider", near_place = "FRA", far_place = "FRA", af = 6 },\n]\nvantage'
    )
    both = BY_HAND.replace("]\nvantage", further, 1)
    with pytest.raises(InvalidFile, match=r"AS 1 → AS 2 → AS 1|AS 2 → AS 1 → AS 2"):
        loaded(tmp_path, both)
    one = both.replace('near_place = "FRA", far_place = "FRA" }', 'near_place = "FRA", far_place = "FRA", af = 4 }')
    assert [link.af for link in loaded(tmp_path, one).links] == [4, None, 6]


def test_an_empty_topology_is_read_back_as_it_was(tmp_path: Path) -> None:
    assert loaded(tmp_path, topology_text(Topology(name="empty"))) == Topology(name="empty")


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    name=text,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    delay_ms=st.none() | st.floats(0, allow_infinity=False),
    announced=st.booleans(),
)
def test_any_text_and_number_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    latitude: float,
    longitude: float,
    delay_ms: float | None,
    announced: bool,
) -> None:
    folder = tmp_path_factory.mktemp("topology")
    topology = loaded(folder, BY_HAND)
    service = topology.services[0]
    changed = replace(
        topology,
        name=name,
        places=(
            *topology.places,
            Place(code=f"x{name}", town=name, country="", latitude=latitude, longitude=longitude),
        ),
        links=tuple(replace(link, delay_ms=delay_ms) for link in topology.links),
        services=(replace(service, sites=tuple(replace(site, announced=announced) for site in service.sites)),),
    )
    assert loaded(folder, topology_text(changed)) == changed


def test_every_element_stands_on_a_line_of_its_own_without_its_defaults() -> None:
    world = host(make_world(1, vantage_points=40), bundled_service("demo-cdn"))
    written = topology_text(world)
    rows = [line for line in written.splitlines() if line.startswith("  { ")]
    parts = (world.places, world.networks, world.links, world.vantage_points, world.interceptors)
    assert len(rows) == sum(map(len, parts)) + len(world.services[0].sites)
    assert "firmware = 5120" not in written
    assert "anchor = false" not in written
    assert "connected = true" not in written
    assert "prepend = 0" not in written


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('town = "Sydney"', 'twon = "Sydney"', "unknown key 'places.2.twon': did you mean 'town'"),
        (
            "prepend = 2",
            "prepended = 2",
            r"unknown key 'services.1.sites.1.upstreams.1.prepended': did you mean 'prepend'",
        ),
        ('name = "by-hand"', 'name = "by-hand"\ncolour = 1', "unknown key 'colour': known are name, tie_break, places"),
        ("asn = 2, name", "name", "key 'networks.2.asn' is missing"),
        ('"lowest-id"', '"dice"', "key 'tie_break': input should be 'nearest-exit' or 'lowest-id'"),
        ('near = 2, far = 1, relation = "provider"', 'near = 2, far = 1, relation = "friend"', "'links.1.relation'"),
        ("near = 2, far = 1", "near = 7, far = 1", r"'links': number 1 \(AS 7 to AS 1\): there is no AS 7: add it"),
        ('far_place = "FRA"', 'far_place = "BER"', "'links': number 1 .*: AS 1 has no router in 'BER': add the place"),
        ("near = 2, far = 1", "near = 1, far = 1", "'links': number 1 .* ends where it begins"),
        ("delay_ms = 2.5", "delay_ms = -1.0", "'links': number 2 .* has a negative delay_ms"),
        ('["FRA", "SYD"]', '["FRA", "SYD", "BER"]', "'networks': AS 1: there is no place 'BER': add it to 'places'"),
        ('places = ["SYD"]', "places = []", "'networks': AS 3 has no places"),
        ("asn = 3, name", "asn = 2, name", "'networks': the AS 2 is there 2 times"),
        ('code = "SYD"', 'code = "FRA"', "'places': the place FRA is there 2 times"),
        ("latitude = 50,", "latitude = 500,", "'places': FRA is not on Earth"),
        ("id = 1002", "id = 1001", "'vantage_points': the id 1001 is there 2 times"),
        ("id = 1001, asn = 2", "id = 1001, asn = 5", "'vantage_points': 1001: there is no AS 5"),
        ('asn = 2, place = "FRA"', 'asn = 2, place = "BER"', "'vantage_points': 1001: there is no place 'BER'"),
        ("second_asn = 1", "second_asn = 8", "'vantage_points': 1002: there is no AS 8"),
        (", second_asn = 1", "", "'vantage_points': 1002 is flapping: give second_asn"),
        ('"flapping"', '"mislocated"', "'vantage_points': 1002 is mislocated: give said_latitude and said_longitude"),
        ("last_mile_ms = 4.0", "last_mile_ms = -4.0", "'vantage_points': 1001 has a negative last_mile_ms"),
        ("delay_ms = 2.5", "af = 5", "'links.2.af': input should be 4 or 6"),
        ("prepend = 2", "delay_ms = -1", "site 'fra' has a negative delay_ms"),
        (", longitude = 8.6", "", "'vantage_points.1.longitude' is missing"),
        (
            'place = "FRA", latitude = 50.1, longitude = 8.6, country = "DE"',
            'place = "BER"',
            "'vantage_points': 1001: there is no place 'BER'",
        ),
        (
            'code = "FRA", town = "Frankfurt", country = "DE", latitude = 50,',
            'code = "FRA", town = "F", country = "DE",',
            "'places.1.latitude' is missing",
        ),
        (
            "ipv6 = true",
            'placeless = true, said_country = "DE"',
            "1002 is placeless, and yet says where it is: leave out",
        ),
        ("ipv6 = true", "said_latitude = 1.0", "1002: said_latitude and said_longitude go together"),
        ("vantage_points = [1001]", "vantage_points = [1]", "'interceptors': there is no vantage point 1: add it"),
        (
            "vantage_points = [1001]",
            "vantage_points = [1001, 1001]",
            "'interceptors': the vantage point 1001 is there 2",
        ),
        ("asn = 9", "asn = 1", "'services': the AS 1 is there 2 times"),
        ('"192.0.2.53"', '"192.0.2"', "'services': dns: '192.0.2' is not an IPv4 or IPv6 address"),
        ('["fra1.example"]', "[]", "'services': dns: site 'fra' has no servers"),
        ('code = "fra", place = "FRA"', 'code = "fra", place = "BER"', "site 'fra': there is no place 'BER'"),
        (
            '{ asn = 1, relation = "provider", place = "FRA"',
            '{ asn = 2, relation = "provider", place = "SYD"',
            "AS 2 has no",
        ),
        ("prepend = 2", "prepend = -2", "site 'fra': 'prepend' is negative"),
        ("= [", "= [[", "not a TOML file"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_file_key_and_remedy(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in BY_HAND
    with pytest.raises(InvalidFile, match=complaint) as caught:
        loaded(tmp_path, BY_HAND.replace(old, new, 1))
    assert str(caught.value).startswith(str(tmp_path / "topology.toml"))
    assert "\n" not in str(caught.value)


def test_networks_that_are_each_others_providers_in_a_circle_are_named(tmp_path: Path) -> None:
    further = (
        '  { near = 1, far = 3, relation = "provider", near_place = "SYD", far_place = "SYD" },\n]\nvantage_points = ['
    )
    with pytest.raises(InvalidFile, match="AS 1 → AS 3 → AS 1 are each other's providers in a circle"):
        loaded(
            tmp_path,
            BY_HAND.replace("]\nvantage_points = [", further).replace("near = 2, far = 1", "near = 1, far = 2"),
        )


def test_a_chain_of_a_thousand_providers_is_no_circle(tmp_path: Path) -> None:
    chain = Topology(
        name="chain",
        places=(Place(code="FRA", town="Frankfurt", country="DE", latitude=50.0, longitude=8.5),),
        networks=tuple(Network(asn=asn, name="", places=("FRA",)) for asn in range(1, 3001)),
        links=tuple(
            Link(near=asn, far=asn + 1, relation=Relation.PROVIDER, near_place="FRA", far_place="FRA")
            for asn in range(1, 3000)
        ),
    )
    assert loaded(tmp_path, topology_text(chain)) == chain


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=re.escape(str(tmp_path / "none.toml")) + ": No such file"):
        load_topology(tmp_path / "none.toml")
