"""The bundled services of public resolvers and of operators of TLD name servers."""

import re
from collections import Counter
from functools import cache

import pytest

from catchment.assign.identity import Identified, identify
from catchment.geo import arc_km
from catchment.model import Outcome, Service
from catchment.places import town_key
from catchment.services import bundled_file, bundled_service, service_names

RESOLVERS = ["cleanbrowsing", "cloudflare-dns", "google-dns", "opendns", "quad9", "ultradns"]
AUTHORITIES = [
    *("afnic", "be-y", "cira", "cz-nic", "denic", "dns-belgium"),
    *("netnod-dnsnode", "nic-at", "pch", "rcodezero", "sidn"),
]
OPERATORS = [*RESOLVERS, *AUTHORITIES]

# Identities that were seen, and the town that each means: worked out by hand, not by this program.
SEEN = [
    ("cloudflare-dns", "LHR", "London", "GB"),
    ("cloudflare-dns", "yul01", "Montreal", "CA"),
    ("cloudflare-dns", "waw03", "Warsaw", "PL"),
    ("cloudflare-dns", "fra08", "Frankfurt", "DE"),
    ("quad9", "res100.ams.rrdns.pch.net", "Amsterdam", "NL"),
    ("quad9", "res200.vie.rrdns.pch.net", "Vienna", "AT"),
    ("quad9", "res700.fra.rrdns.pch.net", "Frankfurt", "DE"),
    ("quad9", "res860.qfra3.rrdns.pch.net", "Frankfurt", "DE"),
    ("quad9", "res100.qzrh2.rrdns.pch.net", "Zurich", "CH"),
    ("quad9", "res120.qyul1.on.quad9.net", "Montreal", "CA"),
    ("quad9", "res121.qdub1.on.quad9.net", "Dublin", "IE"),
    ("quad9", "res721.qyul1", "Montreal", "CA"),
    ("quad9", "res710.qbre1", "Bremen", "DE"),
    ("quad9", "res100.qpg.rrdns.pch.net", "Singapore", "SG"),
    ("quad9", "res100.qls.rrdns.pch.net", "Lausanne", "CH"),
    ("google-dns", "gpdns-ams", "Amsterdam", "NL"),
    ("google-dns", "gpdns-bud", "Budapest", "HU"),
    ("google-dns", "gpdns-prg", "Prague", "CZ"),
    ("google-dns", "gpdns-sea", "Seattle", "US"),
    ("google-dns", "gpdns-sfo", "San Francisco", "US"),
    ("google-dns", "gpdns-scl", "Santiago", "CL"),
    ("google-dns", "gpdns-yul", "Montreal", "CA"),
    ("google-dns", "gpdns-cbf", "Council Bluffs", "US"),
    ("opendns", "r8.mil1", "Milan", "IT"),
    ("opendns", "m41.fra", "Frankfurt", "DE"),
    ("opendns", "r3.yyz", "Toronto", "CA"),
    ("opendns", "server r3.yyz", "Toronto", "CA"),
    ("opendns", "m1.ash1", "Ashburn", "US"),  # IATA: Nashua
    ("opendns", "r2.wrw1", "Warsaw", "PL"),  # IATA: Warrawagine in Australia
    ("opendns", "r2.mum1", "Mumbai", "IN"),  # airportsdata: on the Maldives
    ("ultradns", "rcrsv4.cator1.ultradns", "Toronto", "CA"),
    ("cleanbrowsing", "CleanBrowsing v1.6a - dns-edge-canada-toronto3", "Toronto", "CA"),
    ("sidn", "eqx-am-ns01-128214", "Amsterdam", "NL"),
    ("sidn", "eqx-fr-ns02-129888", "Frankfurt", "DE"),
    ("sidn", "eqx-ny-ns03-129888", "New York", "US"),
    ("sidn", "eqx-pa-ns01-129888", "Paris", "FR"),
    ("sidn", "eqx-sk-ns11-128214", "Stockholm", "SE"),
    ("rcodezero", "tld-all-ams1@53036", "Amsterdam", "NL"),
    ("rcodezero", "tld-all-amx1@53024", "Amsterdam", "NL"),
    ("rcodezero", "tld-all-fam1@53036", "Frankfurt", "DE"),
    ("rcodezero", "tld-all-vnn1@53010", "Vienna", "AT"),
    ("rcodezero", "tld-all-gnf1@53036", "Geneva", "CH"),
    ("rcodezero", "tld-all-prs1@53036", "Paris", "FR"),
    ("rcodezero", "tld-all-buc1@53036", "Bucharest", "RO"),
    ("rcodezero", "tld-all-rig1", "Riga", "LV"),
    ("cira", "FRA2", "Frankfurt", "DE"),
    ("cira", "LHR4", "London", "GB"),
    ("cira", "CDG1", "Paris", "FR"),
    ("cira", "STO1", "Stockholm", "SE"),
    ("cira", "TYO2", "Tokyo", "JP"),
    ("cira", "ns01.mtl.ca-servers.ca", "Montreal", "CA"),
    ("cira", "ns02.yyz.d-zone.ca", "Toronto", "CA"),
    ("denic", "ns-1.de.nl1.knot", "Amsterdam", "NL"),
    ("denic", "ns-2.de.nl2.knot", "Amsterdam", "NL"),
    ("denic", "ns-1.de.at1.bind", "Vienna", "AT"),
    ("denic", "ns-2.de.se1.bind", "Stockholm", "SE"),
    ("denic", "ns-1.de.uk1.knot", "London", "GB"),
    ("denic", "ns-2.de.fr1.knot", "Paris", "FR"),
    ("afnic", "dns.ams.nic.fr", "Amsterdam", "NL"),
    ("afnic", "dns.th2.nic.fr", "Paris", "FR"),
    ("afnic", "dns.nyc.nic.fr", "New York", "US"),
    ("afnic", "dns.lil.nic.fr", "Lille", "FR"),
    ("pch", "1.ams.pch", "Amsterdam", "NL"),
    ("pch", "1.waw2.pch", "Warsaw", "PL"),
    ("pch", "2.bom2.pch", "Mumbai", "IN"),
    ("pch", "1.trn.pch", "Turin", "IT"),
    ("pch", "2.tmp.pch", "Tampere", "FI"),
    ("pch", "1.cdg.pch", "Paris", "FR"),
    ("pch", "3.arn.pch", "Stockholm", "SE"),
    ("netnod-dnsnode", "s2.amx", "Amsterdam", "NL"),
    ("netnod-dnsnode", "s3.wie", "Vienna", "AT"),
    ("netnod-dnsnode", "s3.lnx", "London", "GB"),
    ("netnod-dnsnode", "s2.dex", "Frankfurt", "DE"),
    ("netnod-dnsnode", "s2.rox", "Bucharest", "RO"),
    ("netnod-dnsnode", "s2.cmx", "Malmö", "SE"),
    ("netnod-dnsnode", "u1.sub", "Stockholm", "SE"),
    ("cz-nic", "dns-decix-dns03.nic.cz", "Frankfurt", "DE"),
    ("cz-nic", "dns-decix2-01.nic.cz", "Frankfurt", "DE"),
    ("cz-nic", "dns-jinx-02.nic.cz", "Johannesburg", "ZA"),
    ("cz-nic", "dns-cosmonova-01.nic.cz", "Kyiv", "UA"),
    ("cz-nic", "dns-sixusa-dns01.nic.cz", "Seattle", "US"),
    ("cz-nic", "dns-cecolo-dns10.nic.cz", "Prague", "CZ"),
    ("dns-belgium", "london1.ns.prodng.dc3.be", "London", "GB"),
    ("dns-belgium", "milano1.ns.prodng.dc3.be", "Milan", "IT"),
    ("dns-belgium", "zaventem3.ns.prodng.dc3.be", "Zaventem", "BE"),
    ("be-y", "dns1.defra1", "Frankfurt", "DE"),
    ("be-y", "dns4.frpar1", "Paris", "FR"),
    ("be-y", "dns3.indel1", "Delhi", "IN"),
    ("be-y", "dns1.usnyc1", "New York", "US"),
    ("nic-at", "id-02-FRA-05-at", "Frankfurt", "DE"),
    ("nic-at", "id-d-FRA-02-at", "Frankfurt", "DE"),
    ("nic-at", "id-n-AMS-02-at", "Amsterdam", "NL"),
    ("nic-at", "id-u-LON-02-at", "London", "GB"),
    ("nic-at", "id-02-STR-11-at", "Stuttgart", "DE"),
]

# Identities that are the service's own, in places that nobody knows; read as IATA codes some would name a wrong one.
OWN_BUT_NOWHERE = [
    ("cloudflare-dns", "17m397"),
    ("rcodezero", "tld-all-tam1@53036"),  # IATA: Tampico in Mexico, which Finland cannot reach in 21 ms
    ("rcodezero", "tld-all-dns1@53036"),  # IATA: Denison in Iowa
    ("denic", "ns-1.de.de8.knot"),
    ("denic", "ns-2.de.us4.bind"),
    ("denic", "ns.de.anx-uk2.nsd"),
    ("cz-nic", "dns-b-dns01.nic.cz"),
    ("cz-nic", "dns-icann-01.nic.cz"),
    ("nic-at", "id-02-BRA-06-at"),  # IATA: Barreiras in Brazil
    ("nic-at", "ns2e"),
    ("nic-at", "d2"),
    ("cira", "PDC1"),
    *(("opendns", f"r1.{word}") for word in ("lan", "dns", "isp", "box", "kna1", "nas", "www")),
    *(("be-y", f"dns1.{word}1") for word in ("cache", "delta", "basic", "delhi")),
    ("google-dns", "gpdns-lan"),
    ("ultradns", "rcrsv1.usash1.ultradns"),  # UN/LOCODE: Nashua, though Ashburn is as likely
    ("cleanbrowsing", "CleanBrowsing v1.6a - dns-edge-atlantis-poseidonis1"),
]

STRANGERS = [
    *("dns1", "DNS1", "ns1", "eero", "localhost.localdomain", "cadmium.la.net.ua", "nomi83.percipientnetworks.com"),
    *("unbound 1.19.2", "dnsmasq-2.89", "resolver.lan", "Ficora", "NORM 001999-20D893", "b4-lax", "s1.invalid", "web1"),
    *("lima", "sofa", "mars", "resolver1", "pdns", "fw1.fra", "r1.gw1", "r1.home", "ns.ams.example"),
    *(
        "LHR\n",
        "evil.lhr",
        "gpdns-ams\n",
        "\x1b[31mLHR",
        "<script>LHR</script>",
        "=LHR",
        "L\0HR",
        "../LHR",
        "\u202eLHR",
    ),
    *("l" * 65_536, "1" * 65_536, "res1.ams." * 8_192, "dns-" * 16_384),
]


@cache
def service(name: str) -> Service:
    return bundled_service(name)


def one(name: str, identity: str) -> Identified:
    return identify(service(name), [identity])[0]


def test_every_operator_has_a_sample_and_a_file() -> None:
    assert {name for name, *_ in SEEN} == set(OPERATORS)
    assert set(OPERATORS) <= set(service_names())


@pytest.mark.parametrize(("name", "identity", "town", "country"), SEEN)
def test_a_seen_identity_names_the_town_that_it_means(name: str, identity: str, town: str, country: str) -> None:
    found = one(name, identity)
    assert found.outcome is Outcome.IDENTIFIED
    assert found.site is not None
    assert town_key(found.site.town, found.site.country) == town_key(town, country)


@pytest.mark.parametrize(("name", "identity"), OWN_BUT_NOWHERE)
def test_what_names_no_known_place_is_neither_guessed_nor_accused(name: str, identity: str) -> None:
    found = one(name, identity)
    assert (found.outcome, found.site) == (Outcome.UNKNOWN, None)


@pytest.mark.parametrize("name", OPERATORS)
def test_no_service_swallows_what_others_say(name: str) -> None:
    swallowed = [found.identity[:80] for found in identify(service(name), STRANGERS) if found.outcome != "foreign"]
    assert swallowed == []


@pytest.mark.parametrize(("name", "identity"), [(name, identity) for name, identity, *_ in SEEN])
def test_an_identity_with_anything_before_or_behind_it_is_foreign(name: str, identity: str) -> None:
    dressed = [
        f"{identity}\n",
        f" {identity}",
        f"evil.{identity}",
        f"{identity}.evil.example",
        f"{'a' * 65_536}{identity}",
    ]
    assert [found.outcome for found in identify(service(name), dressed)] == [Outcome.FOREIGN] * len(dressed)


def test_one_operators_identities_are_foreign_to_the_others() -> None:
    for owner, identity, *_ in SEEN:
        for name in OPERATORS:
            if name != owner:
                assert one(name, identity).outcome is Outcome.FOREIGN, (owner, identity, name)


def test_no_two_bundled_services_share_an_address() -> None:
    everybody = Counter(entry.address for name in service_names() for entry in service(name).addresses)
    assert [address for address, services in everybody.items() if services > 1] == []


def test_four_letters_with_a_q_are_quad9s_own_and_three_are_an_airport() -> None:
    airport, own = one("quad9", "res1.qpg.rrdns.pch.net").site, one("quad9", "res1.qprg1.rrdns.pch.net").site
    assert airport is not None
    assert own is not None
    assert (airport.country, own.country) == ("SG", "CZ")  # QPG is Paya Lebar, PRG Prague


def test_a_service_promises_no_query_that_it_refuses() -> None:
    assert {name: service(name).answers for name in ("google-dns", "opendns")} == {
        "google-dns": ("nsid",),
        "opendns": (),
    }
    assert set(service("cz-nic").answers) == {"nsid"}
    assert all(set(service(name).answers) <= {"nsid", "id.server", "hostname.bind"} for name in OPERATORS)


@pytest.mark.parametrize(
    ("name", "identity"), [("opendns", "r1.fra"), ("google-dns", "gpdns-ams"), ("be-y", "dns1.defra1")]
)
def test_a_resolver_that_refuses_chaos_queries_names_itself_in_nsid_alone(name: str, identity: str) -> None:
    outcomes = {source: identify(service(name), [identity], source)[0].outcome for source in ("nsid", "hostname.bind")}
    assert outcomes == {"nsid": Outcome.IDENTIFIED, "hostname.bind": Outcome.FOREIGN}
    assert identify(service(name), [identity], "id.server")[0].outcome is Outcome.FOREIGN


def test_promises_known_from_recent_sources_are_dated() -> None:
    undated = {name for name in OPERATORS if service(name).answers and service(name).answers_since is None}
    assert undated == set()
    assert str(service("quad9").answers_since) == "2017-11-16"  # their launch
    assert str(service("cloudflare-dns").answers_since) == "2018-04-01"
    assert {service(f"{letter}-root").answers_since for letter in "abcdefghijklm"} == {None}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_head_promises_no_sites_that_own_codes_cannot_open(name: str) -> None:
    head = bundled_file(name).read_text(encoding="utf-8").partition("name =")[0].replace("\n# ", " ")
    if service(name).open_list and {pattern.codes for pattern in service(name).patterns} == {"own"}:
        assert re.search("stays? unknown", head)


@pytest.mark.parametrize(
    ("code", "town", "latitude", "longitude"),
    [
        # Towns whose code is that of another town's airport; places of towns by GeoNames.
        ("xiy", "Baoji", 34.37, 107.24),
        ("khn", "Xinyu", 27.80, 114.93),
        ("sjw", "Hengshui", 37.73, 115.70),
        ("tyn", "Yangquan", 37.86, 113.56),
        ("jxg", "Jiaxing", 30.75, 120.75),
    ],
)
def test_cloudflare_s_chinese_sites_are_where_their_towns_are(
    code: str, town: str, latitude: float, longitude: float
) -> None:
    site = one("cloudflare-ns", code).site
    assert site is not None
    assert site.town == town
    assert site.latitude is not None
    assert site.longitude is not None
    assert arc_km(site.latitude, site.longitude, latitude, longitude) < 15


def test_xi_an_is_not_baoji() -> None:
    assert one("cloudflare-ns", "SIA").site is None


@pytest.mark.parametrize("name", ["cloudflare-ns", "cloudflare-dns"])
@pytest.mark.parametrize("identity", ["dns", "DNS", "dns01"])
def test_dns_is_no_airport_of_cloudflare_s(name: str, identity: str) -> None:
    assert one(name, identity).outcome is Outcome.FOREIGN


def test_a_list_that_nobody_publishes_in_full_is_open() -> None:
    assert [name for name in OPERATORS if not service(name).open_list] == ["cloudflare-dns"]


def test_cloudflares_resolver_stands_where_its_name_servers_do() -> None:
    def places(name: str) -> set[tuple[str, float | None]]:
        return {(site.code, site.latitude) for site in service(name).sites}

    assert places("cloudflare-dns") == places("cloudflare-ns")


def test_operators_agree_where_a_town_is() -> None:
    towns: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name in {*OPERATORS, "k-root"} - {"cloudflare-dns", "netnod-dnsnode"}:  # an airport's place, and I-root's own
        for site in service(name).sites:
            if site.latitude is not None and site.longitude is not None:
                towns.setdefault(town_key(site.town, site.country), []).append((site.latitude, site.longitude))
    apart = {town: max(arc_km(*one, *other) for one in at for other in at) for town, at in towns.items()}
    assert {town: km for town, km in apart.items() if km > 30} == {}


@pytest.mark.parametrize("name", OPERATORS)
def test_addresses_and_patterns_have_a_source(name: str) -> None:
    parts = " ".join(source.of for source in service(name).sources)
    assert "addresses" in parts
    assert "patterns" in parts
