import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from catchment.assign.identity import identify
from catchment.campaign import load_service
from catchment.errors import InvalidFile, UnknownName
from catchment.geo import CONTINENT_OF, arc_km, nearest
from catchment.model import Outcome, Pattern, Service, Site
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.sandbox.internet.truth import truth
from catchment.platforms.topology import hosting
from catchment.platforms.topology.consistency import contradictions
from catchment.platforms.topology.elements import (
    AnycastService,
    Network,
    Place,
    Relation,
    Topology,
)
from catchment.platforms.topology.hosting import add_site, host
from catchment.platforms.topology.naming import made_identity
from catchment.platforms.topology.towns import airport_town, earth
from catchment.platforms.topology.world import make_world
from catchment.services import bundled_service, service_names
from tests.conftest import EXAMPLE_SERVICE
from tests.small_internets import PLACES

SERVICES = [*service_names(), str(EXAMPLE_SERVICE)]


@pytest.fixture(scope="module")
def world() -> Topology:
    return make_world(1)


def service_of(name: str) -> Service:
    return load_service(EXAMPLE_SERVICE) if name == str(EXAMPLE_SERVICE) else bundled_service(name)


def hosted(world: Topology, service: Service, seed: int = 1) -> AnycastService:
    return host(world, service, seed=seed).services[-1]


@pytest.mark.parametrize("name", SERVICES)
def test_every_site_that_is_active_and_placed_is_hosted(world: Topology, name: str) -> None:
    service = service_of(name)
    active = {site.code for site in service.sites if site.until is None and site.latitude is not None}
    topology = host(world, service)
    assert {site.code for site in topology.services[0].sites} == active
    assert topology.services[0].answers == service.answers
    assert list(contradictions(topology)) == []


def test_a_service_without_sites_gets_none(world: Topology) -> None:
    assert hosted(world, bundled_service("quad9")).sites == ()


@pytest.mark.parametrize("name", SERVICES)
def test_every_server_is_identified_as_one_of_its_site(world: Topology, name: str) -> None:
    service = service_of(name)
    for site in hosted(world, service).sites:
        for found in identify(service, site.identities):
            assert found.outcome is Outcome.IDENTIFIED
            assert found.site is not None
            assert found.site.code == site.code


def test_published_identities_are_used_as_they_are(world: Topology) -> None:
    fra = next(site for site in hosted(world, bundled_service("k-root")).sites if site.code == "de-fra")
    assert fra.identities == ("ns1.de-fra.k.ripe.net", "ns2.de-fra.k.ripe.net", "ns3.de-fra.k.ripe.net")


def test_some_sites_have_several_servers(world: Topology) -> None:
    sizes = {len(site.identities) for site in hosted(world, service_of(str(EXAMPLE_SERVICE))).sites}
    assert sizes <= {1, 2, 3}
    assert max(sizes) > 1


def test_only_current_addresses_are_announced(world: Topology) -> None:
    assert hosted(world, bundled_service("b-root")).addresses == ("170.247.170.2", "2801:1b8:10::b")


def test_a_site_stands_where_its_file_says_and_announces_through_networks_of_the_nearest_town(world: Topology) -> None:
    service = bundled_service("demo-dns")
    towns = {site.code: site.place for site in hosted(world, service).sites}
    assert (towns["fra"], towns["lhr"], towns["syd"], towns["nrt"], towns["mia"]) == ("FRA", "LHR", "SYD", "NRT", "MIA")
    fra = hosted(world, service).sites[0]
    assert (fra.latitude, fra.longitude) == (50.1109, 8.6821)
    assert fra.upstreams
    assert {upstream.place for upstream in fra.upstreams} == {"FRA"}


def test_sites_do_not_all_announce_through_the_same_networks(world: Topology) -> None:
    bought = [
        {upstream.asn for upstream in site.upstreams if upstream.relation is Relation.PROVIDER}
        for site in hosted(world, bundled_service("demo-dns")).sites
    ]
    assert len({frozenset(asns) for asns in bought}) > 5
    assert all(len(asns) <= 4 for asns in bought)


def test_local_sites_are_told_to_access_networks_of_their_country_only(world: Topology) -> None:
    places = {place.code: place for place in world.places}
    networks = {network.asn: network for network in world.networks}
    sellers = {link.far for link in world.links if link.relation is Relation.PROVIDER}
    sites = {site.code: site for site in hosted(world, bundled_service("k-root")).sites}
    local = {site.code for site in bundled_service("k-root").sites if site.scope == "local" and site.until is None}
    assert {code for code, site in sites.items() if site.local} == local
    for code in ("ir-thr", "ir-mhd", "ru-ovb", "tj-dyu"):
        for upstream in sites[code].upstreams:
            assert upstream.asn not in sellers
            assert places[networks[upstream.asn].places[0]].country == code[:2].upper()


def test_the_same_seed_and_name_give_the_same_hosting_whatever_else_is_hosted(world: Topology) -> None:
    service = bundled_service("demo-dns")
    alone = hosted(world, service)
    beside = hosted(host(world, bundled_service("demo-cdn")), service)
    assert alone == beside == hosted(world, service)
    assert alone != hosted(world, service, seed=2)


def test_services_have_private_as_numbers_of_their_own(world: Topology) -> None:
    topology = world
    for name in SERVICES:
        topology = host(topology, service_of(name))
    asns = [service.asn for service in topology.services]
    assert all(4_200_000_000 <= asn <= 4_294_967_294 for asn in asns)
    assert len(set(asns)) == len(asns)


def test_a_service_is_hosted_once(world: Topology) -> None:
    service = bundled_service("demo-dns")
    with pytest.raises(InvalidFile, match=r"'world-1' holds a service 'demo-dns' already: rename"):
        host(host(world, service), service)


def test_a_topology_without_networks_cannot_host() -> None:
    with pytest.raises(InvalidFile, match="'empty' has no networks to host a service in: add some"):
        host(Topology(name="empty"), bundled_service("demo-dns"))


def test_a_site_that_no_name_can_be_made_for_asks_for_its_identities(world: Topology) -> None:
    service = replace(
        bundled_service("demo-dns"),
        patterns=(Pattern(regex=r"^(?P<site>[0-9]{4})$"),),
        sites=(Site(code="fra", town="Frankfurt", country="DE", latitude=50.1, longitude=8.7),),
    )
    with pytest.raises(
        InvalidFile, match="'demo-dns': no identity for site 'fra' follows from 'patterns': publish its"
    ):
        host(world, service)


@pytest.mark.parametrize(
    ("regex", "server", "name"),
    [
        (r"^(?P<site>[a-z]{3})(?P<server>\d+)\.demo-dns\.example$", 2, "fra2.demo-dns.example"),
        (r"^edge(?P<server>\d{2})\.(?P<site>[a-z]{3})\.example$", 3, "edge03.fra.example"),
        (r"^(?P<server>ns\d+)\.(?P<site>[a-z]{3})\.example$", 1, "ns1.fra.example"),
        (r"^(?P<server>[a-z])-(?P<site>\w+)$", 2, "b-fra"),
        (r"^(?P<site>[a-z]{3})(?P<server>\d{2})?$", 3, "fra"),
        (r"^(?:dns|ns)\d{2}\.(?P<site>[a-z]+)(?:\.v[46])?\.x+y*[0-9]$", 1, "dns11.fra.x1"),
        (r"^r(?P<server>[0-9]+)\.(?:(?P<site>[a-z]{3})\.)?net$", 12, "r12.fra.net"),
        (r"^(?!x)(?P<site>[a-z]{3})$", 1, "FRA"),
        (r"^(?P<site>[a-z]{4})$", 1, None),
        (r"^(?P<site>[a-z]{3})\b$", 1, "FRA"),
        (r"^(?=f)(?P<site>[a-z]{3})\.example$", 1, None),
    ],
)
def test_a_name_is_made_from_the_form_of_identities(regex: str, server: int, name: str | None) -> None:
    assert made_identity([Pattern(regex=regex)], ["fra"], server) == name


def test_a_further_code_of_the_site_is_taken_where_the_first_does_not_fit() -> None:
    assert made_identity([Pattern(regex=r"^(?P<site>[a-z]{3})$")], ["de-fra", "fra"], 1) == "fra"


def test_a_new_site_is_named_as_the_others_are(world: Topology) -> None:
    topology = host(world, bundled_service("demo-dns"))
    site = add_site(topology, "demo-dns", "MAD", seed=1)
    assert (site.code, site.place) == ("mad", "MAD")
    assert all(re.fullmatch(r"mad\d\.demo-dns\.example", identity) for identity in site.identities)
    assert add_site(topology, "demo-dns", "mad", seed=1) == site
    service = topology.services[0]
    extended = replace(topology, services=(replace(service, sites=(*service.sites, site)),))
    assert list(contradictions(extended)) == []


def test_a_new_site_buys_where_the_service_buys_already(world: Topology) -> None:
    topology = host(world, bundled_service("demo-dns"))
    known = {
        upstream.asn
        for site in topology.services[0].sites
        for upstream in site.upstreams
        if upstream.relation is Relation.PROVIDER
    }
    bought = [up.asn for up in add_site(topology, "demo-dns", "CDG").upstreams if up.relation is Relation.PROVIDER]
    assert bought
    assert set(bought) <= known


def test_a_new_site_of_an_operator_with_countries_in_its_codes_has_one_in_its_names(world: Topology) -> None:
    site = add_site(host(world, bundled_service("k-root")), "k-root", "HEL")
    assert site.code == "hel"
    assert site.identities[0] == "ns1.fi-hel.k.ripe.net"


def test_a_new_site_in_no_known_town_or_of_no_known_service_is_refused(world: Topology) -> None:
    topology = host(world, bundled_service("demo-dns"))
    with pytest.raises(UnknownName, match="there is no town 'qqq': name one by the IATA code"):
        add_site(topology, "demo-dns", "qqq")
    with pytest.raises(UnknownName, match="has no service 'demo': there are demo-dns"):
        add_site(topology, "demo", "FRA")


def test_a_new_site_may_stand_in_a_town_that_only_the_topology_knows(world: Topology) -> None:
    village = Place(code="QQQ", town="Hausen", country="DE", latitude=50.1, longitude=8.3)
    topology = host(replace(world, places=(*world.places, village)), bundled_service("demo-dns"))
    site = add_site(topology, "demo-dns", "qqq")
    assert (site.latitude, site.longitude, site.place) == (50.1, 8.3, "FRA")


@pytest.mark.parametrize(
    ("town", "code"), [("VIE", "at-vie"), ("vie", "at-vie"), ("LGW", "gb-lon"), ("NRT", "jp-tyo"), ("YXE", "ca-sak")]
)
def test_a_new_site_in_a_town_that_has_one_is_refused(world: Topology, town: str, code: str) -> None:
    topology = host(world, bundled_service("k-root"))
    with pytest.raises(InvalidFile, match=f"'k-root' has a site in .* already: '{code}': announce that one") as caught:
        add_site(topology, "k-root", town)
    assert "\n" not in str(caught.value)


def two_towns() -> Topology:
    """Return eight carriers that are both in Frankfurt and in Amsterdam, 370 km apart."""
    networks = tuple(Network(asn=asn, name=f"Carrier {asn}", places=("FRA", "AMS")) for asn in range(1, 9))
    return Topology(name="two-towns", places=(PLACES["FRA"], PLACES["AMS"]), networks=networks)


def placed(*codes: str) -> Service:
    """Return a service with sites in places of the small Internets."""
    homes = [(code, PLACES[code.upper()]) for code in codes]
    sites = tuple(
        Site(code=code, town=home.town, country=home.country, latitude=home.latitude, longitude=home.longitude)
        for code, home in homes
    )
    return replace(bundled_service("demo-dns"), sites=sites)


def test_a_site_buys_first_where_no_site_around_buys_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of six house carriers, all ready to sell, the first site takes four; the second takes the other two before these.
    monkeypatch.setattr(hosting, "_CONTRACT", 1.0)
    for seed in range(20):
        first, second = (
            {upstream.asn for upstream in site.upstreams if upstream.relation is Relation.PROVIDER}
            for site in hosted(two_towns(), placed("fra", "ams"), seed).sites
        )
        assert (len(first), len(second), len(first | second)) == (4, 4, 6)


def odd_sites(service: AnycastService, world: Topology) -> set[str]:
    """Return the codes of the sites that are far from all towns where networks peer, but for local ones."""
    codes = {link.near_place for link in world.links if link.relation is Relation.PEER}
    towns = [place for place in world.places if place.code in codes]
    return {
        site.code
        for site in service.sites
        if not site.local
        and all(arc_km(site.latitude, site.longitude, town.latitude, town.longitude) > 250 for town in towns)
    }


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_a_site_in_an_odd_town_buys_from_no_worldwide_carrier(seed: int) -> None:
    world = make_world(seed)
    sellers = {link.far for link in world.links if link.relation is Relation.PROVIDER}
    worldwide = sellers - {link.near for link in world.links if link.relation is Relation.PROVIDER}
    homes = {net.asn: Counter(CONTINENT_OF[earth().places[at].country] for at in net.places) for net in world.networks}
    odd = 0
    for name in ("k-root", "cloudflare-ns"):
        service = hosted(world, bundled_service(name), seed)
        codes = odd_sites(service, world)
        odd += len(codes)
        for upstream in (told for site in service.sites if site.code in codes for told in site.upstreams):
            assert upstream.asn not in worldwide
            home = CONTINENT_OF[earth().places[upstream.place].country]
            assert upstream.relation is Relation.PEER or homes[upstream.asn].most_common(1)[0][0] == home
    assert odd > 20


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_few_are_drawn_to_an_odd_town_of_another_continent(seed: int) -> None:
    world = make_world(seed)
    topology = host(world, bundled_service("k-root"), seed=seed)
    sites = {site.code: site for site in topology.services[0].sites}
    healthy = {vantage.id: vantage for vantage in topology.vantage_points if vantage.trouble is None}
    odd = odd_sites(topology.services[0], world)
    drawn: Counter[str] = Counter()
    for row in truth(Internet(topology, seed=seed)):
        if row.vantage in healthy and row.address == "193.0.14.129":
            site, here = sites[row.sites[0]], CONTINENT_OF[healthy[row.vantage].country]
            drawn[site.code] += here != CONTINENT_OF[earth().places[site.place].country] and site.code in odd
    assert drawn.total() / len(healthy) < 0.05
    assert max(drawn.values()) / len(healthy) < 0.04


@pytest.mark.parametrize("town", ["fra", "syd", "YXE", "OVB"])
def test_a_service_of_one_site_is_reached_by_everybody_over_both_families(world: Topology, town: str) -> None:
    home = airport_town(town)
    assert home is not None
    site = Site(
        code=town.lower(), town=home.town, country=home.country, latitude=home.latitude, longitude=home.longitude
    )
    service = replace(bundled_service("demo-dns"), sites=(site,))
    for seed in range(3):
        rows = truth(Internet(host(world, service, seed=seed)))
        assert {":" in row.address for row in rows} == {False, True}
        assert [row.vantage for row in rows if not row.sites] == []


def test_some_peers_of_sites_are_peers_for_ipv4_only(world: Topology) -> None:
    upstreams = [told for site in hosted(world, bundled_service("k-root")).sites for told in site.upstreams]
    peers = [told.af for told in upstreams if told.relation is Relation.PEER]
    assert 0.1 < peers.count(4) / len(peers) < 0.3
    assert {told.af for told in upstreams if told.relation is Relation.PROVIDER} == {None}


@pytest.mark.parametrize("name", ["demo-dns", "demo-cdn", "k-root", "cloudflare-ns"])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_catchments_are_as_odd_as_those_of_root_letters(name: str, seed: int) -> None:
    topology = host(make_world(seed), bundled_service(name), seed=seed)
    service = topology.services[0]
    healthy = {vantage.id: vantage for vantage in topology.vantage_points if vantage.trouble is None}
    rows = [
        row
        for row in truth(Internet(topology, seed=seed))
        if row.address == service.addresses[0] and row.vantage in healthy and row.sites
    ]
    assert len(rows) == len(healthy)
    index, nearest_km = nearest(
        np.array([healthy[row.vantage].latitude for row in rows]),
        np.array([healthy[row.vantage].longitude for row in rows]),
        np.array([site.latitude for site in service.sites]),
        np.array([site.longitude for site in service.sites]),
    )
    hits = np.array([row.sites[0] == service.sites[at].code for row, at in zip(rows, index, strict=True)])
    beyond_km = np.array([row.distance_km for row in rows], dtype=np.float64) - nearest_km
    rtts_ms = np.array([row.rtt_ms for row in rows], dtype=np.float64)
    assert 10 <= np.median(rtts_ms) <= 60
    assert 0.20 <= hits.mean() <= 0.60
    assert 0.03 <= (beyond_km > 2000).mean() <= 0.35
