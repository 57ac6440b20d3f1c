import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.assign.identity import Identified, edit_distance, identify
from catchment.assign.rules import RULES
from catchment.model import Address, Outcome, Pattern, Service, Site
from catchment.services import bundled_service, service_names


def one(service: Service, identity: str) -> Identified:
    return identify(service, [identity])[0]


def own_service(**parts: object) -> Service:
    sites = (Site(code="fra", town="Frankfurt", country="DE"), Site(code="ber", town="Berlin", country="DE"))
    known = {"name": "own", "operator": "we", "addresses": (Address(address="192.0.2.1"),), "sites": sites} | parts
    return Service(**known)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["k-root", "b-root"])
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
    found = one(bundled_service("b-root"), "b1-lay")
    assert (found.site, found.outcome, found.rule) == (None, Outcome.UNKNOWN, "code-not-listed")


def test_an_airport_code_names_the_site_of_its_town() -> None:
    service = own_service(patterns=(Pattern(regex=r"^(?P<site>[a-z]{3})-\d$", codes="iata"),))
    assert one(service, "BER-1").rule == "pattern-own-code"
    found = one(service, "TXL-1")  # Berlin's airport until 2020
    assert found.rule in {"pattern-iata-town", "code-not-listed"}
    service = own_service(
        patterns=service.patterns,
        sites=(Site(code="tokyo", town="Tokyo", country="JP", latitude=35.7, longitude=139.7),),
    )
    found = one(service, "nrt-2")
    assert (found.site and found.site.code, found.rule) == ("tokyo", "pattern-iata-town")


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


@given(st.lists(st.text(max_size=300), max_size=5), st.sampled_from(service_names()))
def test_any_strings_are_decided_without_an_error_and_by_a_known_rule(texts: list[str], name: str) -> None:
    found = identify(bundled_service(name), texts)
    assert [entry.identity for entry in found] == texts
    assert all(entry.rule in RULES for entry in found)
    assert all((entry.site is not None) == (entry.outcome is Outcome.IDENTIFIED) for entry in found)


@given(st.text(alphabet="abc", max_size=6), st.text(alphabet="abc", max_size=6))
def test_edit_distance_is_what_the_definition_says(left: str, right: str) -> None:
    def distance(one: str, other: str) -> int:
        if not one or not other:
            return len(one) + len(other)
        if one[0] == other[0]:
            return distance(one[1:], other[1:])
        return 1 + min(distance(one[1:], other), distance(one, other[1:]), distance(one[1:], other[1:]))

    expected = distance(left, right)
    assert edit_distance(left, right, 3) == (expected if expected <= 3 else None)
