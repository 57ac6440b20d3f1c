import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catchment.assign.identity import SAME_TOWN_KM, Identified, identify, identify_by_source, with_discovered
from catchment.assign.rules import RULES
from catchment.campaign import service_table
from catchment.geo import arc_km
from catchment.model import Address, Outcome, Override, Pattern, Service, Site
from catchment.places import iata_place, is_hub, main_airport, town_key
from catchment.services import bundled_service, service_names


def one(service: Service, identity: str) -> Identified:
    return identify(service, [identity])[0]


def own_service(**parts: object) -> Service:
    sites = (Site(code="fra", town="Frankfurt", country="DE"), Site(code="ber", town="Berlin", country="DE"))
    known = {"name": "own", "operator": "we", "addresses": (Address(address="192.0.2.1"),), "sites": sites} | parts
    return Service(**known)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", service_names())
def test_every_published_identity_names_its_own_site(name: str) -> None:
    service = bundled_service(name)
    for site in service.sites:
        for found in identify(service, site.identities):
            assert found.site == site
            assert found.rule == "published-identity"


@pytest.mark.parametrize("name", ["k-root", "b-root"])
def test_published_identities_match_a_pattern_too(name: str) -> None:
    service = bundled_service(name)
    assert all(found.server for site in service.sites for found in identify(service, site.identities))


@pytest.mark.parametrize(
    ("service", "identity", "code", "server"),
    [
        ("k-root", "ns1.nl-ams.k.ripe.net", "nl-ams", "ns1"),
        ("k-root", "NS1.NL-AMS.K.RIPE.NET", "nl-ams", "ns1"),
        ("b-root", "b4-lax", "lax", "b4"),
        ("cloudflare-ns", "JNB", "jnb", None),
        ("cloudflare-ns", "fra08", "fra", "08"),
    ],
)
def test_an_identity_names_site_and_server(service: str, identity: str, code: str, server: str | None) -> None:
    found = one(bundled_service(service), identity)
    assert found.site is not None
    assert (found.site.code, found.server, found.outcome) == (code, server, Outcome.IDENTIFIED)


def test_a_new_server_of_a_known_site_is_identified_by_its_code() -> None:
    found = one(bundled_service("k-root"), "ns9.nl-ams.k.ripe.net")
    assert (found.site and found.site.code, found.rule) == ("nl-ams", "pattern-own-code")


def test_a_code_that_no_site_has_is_unknown_and_never_mended_into_another() -> None:
    # One letter from lax: no airport at all, and one of South Africa.
    for identity, rule in (("b1-lzx", "code-not-listed"), ("b1-lay", "place-not-listed")):
        found = one(bundled_service("b-root"), identity)
        assert (found.site, found.outcome, found.rule) == (None, Outcome.UNKNOWN, rule)


AIRPORTS = (Pattern(regex=r"^(?P<site>[a-z]{3})-(?P<server>\d)$", codes="iata"),)
UNLOCODES = (Pattern(regex=r"^(?P<site>[a-z]{2}-?[a-z]{3})-\d$", codes="unlocode"),)


def placed(code: str, town: str, country: str, latitude: float, longitude: float) -> Site:
    return Site(code=code, town=town, country=country, latitude=latitude, longitude=longitude)


TOKYO = placed("one", "Tokyo", "JP", 35.69, 139.69)
RESTON = placed("two", "Reston", "US", 38.97, -77.34)
OREGON = placed("three", "Portland", "US", 45.52, -122.68)


@pytest.mark.parametrize(
    ("identity", "rule", "code"),
    [
        ("NRT-1", "pattern-iata-town", "one"),  # 60 km from Tokyo, which it serves
        ("hnd-1", "pattern-iata-town", "one"),
        ("tyo-1", "pattern-iata-town", "one"),
        ("iad-1", "pattern-place-near", "two"),  # 10 km from Reston
        ("pdx-1", "pattern-iata-town", "three"),
        ("pwm-1", "place-not-listed", None),  # the Portland in Maine
        ("fra-1", "place-not-listed", None),
        ("xyz-1", "code-not-listed", None),
    ],
)
def test_an_airport_code_names_the_site_of_its_town_or_near_it(identity: str, rule: str, code: str | None) -> None:
    found = one(own_service(sites=(TOKYO, RESTON, OREGON), patterns=AIRPORTS), identity)
    assert (found.rule, found.site and found.site.code, found.server) == (rule, code, "1")
    assert found.outcome is (Outcome.UNKNOWN if code is None else Outcome.IDENTIFIED)
    assert (found.place is None) == (rule == "code-not-listed")


def test_a_unlocode_names_the_site_of_its_town() -> None:
    munich = placed("muc", "Munich", "DE", 48.14, 11.58)
    service = own_service(sites=(munich,), patterns=UNLOCODES)
    for identity in ("de-muc-1", "demuc-1", "DE-MUC-2"):  # UN/LOCODE writes München
        assert (one(service, identity).rule, one(service, identity).site) == ("pattern-unlocode-town", munich)
    assert one(service, "de-ham-1").rule == "place-not-listed"
    assert one(service, "de-xx9-1").rule == "no-pattern-matches"


def test_the_services_own_code_is_asked_before_the_code_system() -> None:
    moved = placed("fra", "Vienna", "AT", 48.21, 16.37)
    found = one(own_service(sites=(moved,), patterns=AIRPORTS), "fra-1")
    assert (found.rule, found.site, found.place) == ("pattern-own-code", moved, None)


@pytest.mark.parametrize("code", ["nl-ams", "nlams"])
def test_a_unlocode_of_a_site_is_its_own_with_a_hyphen_and_without(code: str) -> None:
    site = placed(code, "Badhoevedorp", "NL", 52.3, 4.8)  # another town than the code's
    service = own_service(sites=(site,), patterns=UNLOCODES)
    for text in ("nl-ams-1", "nlams-1", "NLAMS-2"):
        assert (one(service, text).site, one(service, text).rule) == (site, "pattern-own-code")


def test_a_unlocode_that_the_operator_made_up_is_read_in_any_spelling() -> None:
    service = own_service(sites=(Site(code="br-cfc", town="Caçador", country="BR"),), patterns=UNLOCODES)
    assert {one(service, text).rule for text in ("brcfc-1", "br-cfc-1")} == {"pattern-own-code"}


def test_a_further_code_of_a_site_is_its_own_in_any_spelling() -> None:
    site = Site(code="ams", town="Amsterdam", country="NL", codes=("nlams", "ehv"))
    service = own_service(sites=(site,), patterns=(*UNLOCODES, Pattern(regex=r"(?P<site>ehv)\d")))
    assert {one(service, text).rule for text in ("ehv1", "nlams-1", "nl-ams-1")} == {"pattern-own-code"}


def test_a_place_between_two_sites_names_neither() -> None:
    # Palo Alto's airport is 24 km from the centre of San Jose and 44 km from that of San Francisco.
    sites = (placed("a", "San Jose", "US", 37.34, -121.89), placed("b", "San Francisco", "US", 37.77, -122.42))
    assert one(own_service(sites=sites[:1], patterns=AIRPORTS), "pao-1").rule == "pattern-place-near"
    assert one(own_service(sites=sites, patterns=AIRPORTS), "pao-1").rule == "place-not-listed"


def test_a_site_without_coordinates_is_named_by_its_town_and_never_near() -> None:
    service = own_service(sites=(Site(code="x", town="Paris", country="FR"),), patterns=AIRPORTS)
    assert (one(service, "cdg-1").rule, one(service, "bva-1").rule) == ("pattern-iata-town", "place-not-listed")


def test_of_several_patterns_the_first_that_yields_a_site_wins() -> None:
    quad = (
        Pattern(regex=r"q(?P<site>[a-z]{3})\d?", codes="iata"),
        Pattern(regex=r"(?P<site>[a-z]{3})\d?", codes="iata"),
    )
    singapore, lausanne = placed("sin", "Singapore", "SG", 1.35, 103.99), placed("gva", "Lausanne", "CH", 46.52, 6.63)
    service = own_service(sites=(singapore, lausanne), patterns=quad)
    assert [one(service, text).site for text in ("qsin1", "sin", "qpg", "qls2")] == [
        singapore,
        singapore,
        singapore,
        lausanne,
    ]


def test_an_override_speaks_after_patterns_and_before_repair() -> None:
    overrides = (
        Override(regex=r"(?P<server>k\d)\.linx", site="fra", reason="the name of 2004"),
        Override(regex=r".*", site="ber", reason="for this test"),
    )
    service = own_service(patterns=AIRPORTS, overrides=overrides)
    assert [
        (found.rule, found.site and found.site.code, found.server)
        for found in identify(service, ["K1.linx", "fra-1", "xyz-1", "other"])
    ] == [
        ("override", "fra", "k1"),
        ("pattern-own-code", "fra", "1"),
        ("override", "ber", None),
        ("override", "ber", None),
    ]


OPEN = own_service(sites=(), patterns=(*AIRPORTS, *UNLOCODES), open_list=True)


def test_a_code_opens_a_site_where_nobody_publishes_all_sites() -> None:
    found = one(OPEN, "AMS-1")
    assert (found.outcome, found.rule, found.server) == (Outcome.IDENTIFIED, "open-list-place", "1")
    assert found.site is not None
    assert (found.site.code, found.site.town, found.site.country) == ("ams", "Amsterdam", "NL")
    assert found.site.latitude == pytest.approx(52.31, abs=0.05)
    assert one(OPEN, "xyz-1").rule == "code-not-listed"


def test_the_codes_of_one_town_open_one_site_whatever_their_order() -> None:
    texts = ["lcy-1", "lhr-2", "lon-1", "ams-1", "cdg-1", "ory-3", "nl-ams-1"]
    expected = {text: one.site for text, one in zip(texts, identify(OPEN, texts), strict=True)}
    codes = {text: site and site.code for text, site in expected.items()}
    assert codes["lcy-1"] == codes["lhr-2"] == codes["lon-1"] == "lhr"
    assert codes["cdg-1"] == codes["ory-3"] == "cdg"
    assert codes["ams-1"] == codes["nl-ams-1"] == "ams"
    for order in itertools.islice(itertools.permutations(texts), 0, None, 500):
        assert {found.identity: found.site for found in identify(OPEN, order)} == expected
    assert one(OPEN, "lcy-1").site == expected["lcy-1"]  # alone it opens the same site


def test_two_towns_of_one_name_open_two_sites() -> None:
    found = identify(OPEN, ["us-pdx-1", "us-pwm-1"])  # in Oregon and in Maine
    assert [one.site and one.site.town for one in found] == ["Portland", "Portland (USPWM)"]
    assert [one.site and round(one.site.longitude or 0) for one in found] == [-123, -70]


@pytest.mark.parametrize("word", ["lan-1", "dns-1", "isp-1", "box-1", "nas-1", "ca-che-1", "de-lta-1"])
def test_a_word_that_is_a_code_opens_no_site(word: str) -> None:
    found = one(OPEN, word)
    assert found.place is not None  # Lansing, Denison, Islip, Borroloola, Nassau, Cherryville, Liederbach
    assert (found.site, found.outcome, found.rule) == (None, Outcome.UNKNOWN, "code-of-no-hub")


def test_an_open_list_takes_no_word_for_a_town_that_it_lists() -> None:
    new_york = placed("nyc", "New York", "US", 40.71, -74.01)
    service = own_service(sites=(new_york,), patterns=AIRPORTS, open_list=True)
    assert one(service, "isp-1").site is None  # the package's town of Long Island MacArthur
    assert one(service, "jfk-1").site == new_york


def test_an_open_list_takes_no_place_for_the_site_near_it() -> None:
    palo_alto = placed("pao", "Palo Alto", "US", 37.44, -122.14)
    found = one(own_service(sites=(palo_alto,), patterns=AIRPORTS, open_list=True), "sfo-1")
    assert (found.rule, found.site and found.site.town) == ("open-list-place", "San Francisco")


OF_NSID = own_service(patterns=(Pattern(regex=r"^(?P<site>[a-z]{3})-(?P<server>\d)$", codes="iata", of=("nsid",)),))


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        (None, "pattern-own-code"),
        ("nsid", "pattern-own-code"),
        ("hostname.bind", "no-pattern-matches"),
        ("id.server", "no-pattern-matches"),
    ],
)
def test_a_pattern_is_read_only_in_the_answers_that_it_stands_in(source: str | None, rule: str) -> None:
    (found,) = identify(OF_NSID, ["fra-1"], source)
    assert found.rule == rule
    assert found.outcome is (Outcome.IDENTIFIED if found.site else Outcome.FOREIGN)


def test_a_service_with_no_pattern_for_a_source_calls_all_in_it_foreign() -> None:
    (found,) = identify(OF_NSID, ["anything"], "hostname.bind")
    assert (found.outcome, found.rule) == (Outcome.FOREIGN, "no-pattern-matches")


def test_a_pattern_without_a_source_is_read_in_all_answers() -> None:
    service = own_service(patterns=AIRPORTS)
    assert {identify(service, ["fra-1"], source)[0].rule for source in (None, "nsid", "x")} == {"pattern-own-code"}


def test_identities_of_several_sources_open_one_site_for_a_town() -> None:
    found = identify_by_source(OPEN, [("us-den-1", "id.server"), ("den-1", "nsid")])
    assert [one.site and one.site.code for one in found] == ["den", "den"]


def test_discovered_sites_are_added_in_order_and_only_once() -> None:
    service = own_service(patterns=AIRPORTS, open_list=True)
    found = identify(service, ["lhr-1", "ams-1", "fra-1", "lcy-1", "xyz-1"])
    known = with_discovered(service, found)
    assert [site.code for site in known.sites] == ["fra", "ber", "ams", "lhr"]
    assert with_discovered(known, found) == known
    assert {one.rule for one in identify(known, ["lhr-1", "ams-1"])} == {"pattern-own-code"}
    assert one(known, "lcy-1").rule == "pattern-iata-town"
    assert service_table(known)["sites"][2]["town"] == "Amsterdam"


@pytest.mark.parametrize("identity", ["dns1", "eero", "localhost.localdomain", "cadmium.la.net.ua", "", "ns1"])
def test_a_string_of_somebody_else_is_foreign(identity: str) -> None:
    assert one(bundled_service("k-root"), identity).outcome is Outcome.FOREIGN


@pytest.mark.parametrize("identity", ["ns1.nl-ams.k.ripe.nte", "ns1.nl-ams.k.rip.net", "ns1.nl-ams.k_ripe.net"])
def test_a_few_damaged_characters_are_mended(identity: str) -> None:
    found = one(bundled_service("k-root"), identity)
    assert (found.site and found.site.code, found.rule) == ("nl-ams", "repaired-identity")
    assert found.repaired


def test_a_damaged_identity_as_near_to_two_sites_is_not_mended() -> None:
    sites = (
        Site(code="aaa", town="A", country="DE", identities=("server-aaa",)),
        Site(code="bbb", town="B", country="DE", identities=("server-aab",)),
    )
    assert one(own_service(sites=sites), "server-aac").outcome is Outcome.FOREIGN


def test_a_service_without_patterns_and_identities_accuses_nobody() -> None:
    found = one(own_service(), "anything")
    assert (found.outcome, found.rule) == (Outcome.UNKNOWN, "nothing-to-match")


HOSTILE = (
    "\0" * 300,
    "\x1b[31mns1.nl-ams.k.ripe.net",
    "<script>alert(1)</script>",
    "\u202ens1.nl-ams.k.ripe.net",
    "(((((((((((((((((((((",
    ".*" * 50,
    "[a-z]{2,99999}\\1",
    "../../../etc/passwd",
    "=cmd|' /C calc'!A0",
    "ns1.nl-ams.k.ripe.net\n",
    "ﬃ" * 85,
    "\ud800",
    "İ" * 255,
)


@given(st.lists(st.text(max_size=300), max_size=5), st.sampled_from(service_names()))
@example(list(HOSTILE), "k-root")
@example(list(HOSTILE), "google-dns")
@example(list(HOSTILE), "quad9")
def test_any_strings_are_decided_without_an_error_and_by_a_known_rule(texts: list[str], name: str) -> None:
    found = identify(bundled_service(name), texts)
    assert [entry.identity for entry in found] == texts
    assert all(entry.rule in RULES for entry in found)
    assert all((entry.site is not None) == (entry.outcome is Outcome.IDENTIFIED) for entry in found)


@pytest.mark.parametrize("name", service_names())
def test_long_strings_cost_nothing(name: str) -> None:
    service = bundled_service(name)
    identify(service, ["fra", "dns1"])
    for piece in ("a", "1", "a1.", "-", "ns1.", "\0", "x.y-"):
        for length in (255, 2**16, 2**20):
            text = (piece * length)[:length]
            start = time.process_time()
            found = one(service, text)
            assert time.process_time() - start < 2  # were it quadratic, a megabyte would take minutes
            assert found.site is None


def test_a_foreign_string_takes_well_under_a_millisecond() -> None:
    service = bundled_service("d-root")  # publishes 606 identities
    texts = [f"resolver{number}.pop{number % 7}.example.net" for number in range(1000)]
    taken = []
    for _ in range(3):
        start = time.process_time()
        assert {found.outcome for found in identify(service, texts)} == {Outcome.FOREIGN}
        taken.append(time.process_time() - start)
    assert min(taken) < 0.5


def edits(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, start=1):
        before, row = row, [number]
        for column, letter in enumerate(other, start=1):
            row.append(min(before[column] + 1, row[-1] + 1, before[column - 1] + (character != letter)))
    return row[-1]


PUBLISHED = {
    "a": ("aaaa.bbbb", "abca.cc", "aaaa.bbbb.cccc.aaaa"),
    "b": ("aaab.bbbc", "cccc.cccc", "aabb.bbcc.cccc.aaaa"),
}


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Return a published identity with up to four characters changed, lost or added."""
    text = draw(st.sampled_from([identity for identities in PUBLISHED.values() for identity in identities]))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(text) - 1)))
        text = text[:at] + draw(st.sampled_from(["", "a", "c", ".", "%", "-%"])) + text[at + draw(st.integers(0, 1)) :]
    return text


@given(damaged() | st.text(alphabet="abc.%", min_size=1, max_size=22))
@example("aaaa.bbb%")  # short, and no host's name
@example("aaaa.bbba")  # short, and one
@example("aaaa.bbbb%")  # short, and longer than what is published
@example("aaaa.bbb")  # short and lost, and a host's name
@example("aaaaa.bbbb.cccc.aaaa")  # a host's name, and longer: somebody else's
@example("aaaa%bbbb%cccc.aaaa")  # 19 characters, 2 edits
@example("aaaa%bbbb%cccc%aaaa")  # 19 characters, 3 edits
def test_a_damaged_identity_is_mended_as_the_definition_says(text: str) -> None:
    def is_host(text: str) -> bool:
        labels = text.removesuffix(".").split(".")
        return all(label and label[0].isalnum() and label[-1].isalnum() and "%" not in label for label in labels)

    service = own_service(
        sites=tuple(Site(code=code, town=code, country="DE", identities=texts) for code, texts in PUBLISHED.items())
    )
    if text in {identity for identities in PUBLISHED.values() for identity in identities}:
        return
    if len(text) < 12 and is_host(text):
        near = {}
    else:
        limit = max(1, min(3, len(text) // 8))
        near = {
            code: min(counts)
            for code, texts in PUBLISHED.items()
            if (
                counts := [
                    count
                    for other in texts
                    if (count := edits(text, other)) <= limit
                    and (len(text) >= 12 or len(other) >= len(text))
                    and (not is_host(text) or len(text) < len(other))
                ]
            )
        }
    nearest = [code for code, count in near.items() if count == min(near.values())]
    found = one(service, text)
    if found.rule != "reordered-identity":
        assert (found.site and found.site.code) == (nearest[0] if len(nearest) == 1 else None)


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        *(("l-root", host) for host in ("fr-par-1", "us-lax-1", "es-mad-1", "ca-tor-1", "us-lax-a", "us-lax-a1")),
        *(("b-root", host) for host in ("b-lax", "1-lax", "r1-lax", "b1-lax.", "web1-lax")),
        *(("a-root", host) for host in ("a1.nl-ams.net", "fw.nl-ams.root", "a1.nl-ams.rout.es")),
        *(("m-root", host) for host in ("m-cd", "m-sfo-a1", "m-ktm.")),
    ],
)
def test_what_may_well_be_another_s_host_is_not_mended(name: str, identity: str) -> None:
    assert one(bundled_service(name), identity).site is None


@pytest.mark.parametrize(
    ("name", "identity", "site"),
    [
        # As seen from RIPE Atlas.
        ("c-root", "jfk1b.c.root%servers.org", "jfk"),
        ("c-root", "par1a.c.root-servdrs.org", "par"),
        ("m-root", "M-CDG-", "cdg"),
        # As they may be.
        ("b-root", "b1%lax", "lax"),
        ("l-root", "us-lax%aa", "us-lax"),
    ],
)
def test_damage_that_no_host_is_called_by_is_mended(name: str, identity: str, site: str) -> None:
    found = one(bundled_service(name), identity)
    assert (found.site and found.site.code, found.rule) == (site, "repaired-identity")


@pytest.mark.parametrize(
    ("name", "identity", "site"),
    [
        # As seen from RIPE Atlas: whole words of the name swapped, more edits apart than a slip of bytes.
        ("c-root", "bts1a.c.root-servorg.ers", "bts"),
        ("k-root", "ns1.at-vie.k.rnet.ipe", "at-vie"),
    ],
)
def test_an_identity_whose_end_is_in_another_order_is_mended(name: str, identity: str, site: str) -> None:
    found = one(bundled_service(name), identity)
    assert found.site is not None
    assert (found.site.code, found.rule, found.repaired) == (site, "reordered-identity", True)


@pytest.mark.parametrize(
    "identity",
    [
        "k.ripe.net.at-vie.ns1",  # the code is not where it belongs
        "ns1.vi-ate.k.rnet.ipe",  # nor here: this may be another site
        "ns1.at-vie.k.rnet.ipx",
    ],
)
def test_an_identity_whose_beginning_is_damaged_too_stays_foreign(identity: str) -> None:
    assert one(bundled_service("k-root"), identity).rule == "no-pattern-matches"


@pytest.mark.parametrize(
    ("name", "identity"), [("d-root", "abz3.droot.maxgigapop.net"), ("k-root", "ns1.xx-xxx.k.ripe.net")]
)
def test_a_code_is_never_mended_into_another(name: str, identity: str) -> None:
    assert one(bundled_service(name), identity).site is None


def test_no_two_codes_that_open_sites_are_of_one_town_and_each_its_own() -> None:
    # Else the code of a site would hang on which of the two was seen.
    hubs = [code for code in map("".join, itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=3)) if is_hub(code)]
    towns: dict[tuple[str, str], set[str]] = {}
    for code in hubs:
        place = iata_place(main_airport(code))
        assert place is not None
        towns.setdefault(town_key(place.town, place.country), set()).add(main_airport(code))
    shared = {town: codes for town, codes in towns.items() if len(codes) > 1}
    for codes in shared.values():
        for one_code, other in itertools.combinations(sorted(codes), 2):
            here, there = iata_place(one_code), iata_place(other)
            assert here is not None
            assert there is not None
            assert arc_km(here.latitude, here.longitude, there.latitude, there.longitude) > SAME_TOWN_KM
