"""The thirteen root letters as bundled, held against the published lists, each other, and strings seen in the wild."""

import json
from collections import defaultdict
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import airportsdata
import pytest

from catchment.assign.identity import Identified, identify
from catchment.campaign import load_uncorrected
from catchment.geo import arc_km
from catchment.model import Kind, Outcome, Service, Site
from catchment.places import iata_place, town_key
from catchment.services import bundled_service
from catchment.services.root_list import merge_list, place_codes, read_list
from tests.conftest import ROOT

LETTERS = "abcdefghijklm"

# Entries that share their site's code and not its town's name.
FOLDED = {
    ("a", "El Segundo"): "us-lax",  # at the coordinates of Los Angeles
    ("j", "El Segundo"): "us-lax",
    ("d", "Kuala"): "klmy",  # at those of Kuala Lumpur
    ("e", "Seoul, ZA"): "icn",  # the wrong country
}

# Towns of one name that lists put further apart than 60 km.
APART = {
    ("JP", "tokyo"): "Narita, the airport, is 60 km east of the town, and G-root's Yokota 35 km west",
}

# Places less than 5 km apart that bear different names.
NEIGHBOURS = {
    frozenset({"US ashburn", "US reston"}): "B-root's Reston is at Dulles airport, as others' Ashburn",
    frozenset({"US washington", "US arlington county"}): "across the river",
    frozenset({"AU sydney", "AU alexandria"}): "suburb",
    frozenset({"AU sydney", "AU mascot"}): "airport",
    frozenset({"AU alexandria", "AU mascot"}): "suburbs",
    frozenset({"NZ auckland", "NZ mangere"}): "airport",
    frozenset({"ES barcelona", "ES el prat de llobregat"}): "airport",
    frozenset({"RO bucharest", "RO otopeni"}): "airport",
    frozenset({"AR buenos aires", "AR ezeiza"}): "airport",
    frozenset({"US college park", "US riverdale"}): "suburbs of Washington",
    frozenset({"PE lima", "PE callao"}): "airport",
    frozenset({"PH manila", "PH makati"}): "one of the cities of Metro Manila",
    frozenset({"KR seoul", "KR incheon"}): "airport",
    frozenset({"GU tamuning", "GU hagatna"}): "Guam is small",
    frozenset({"GU tamuning", "GU harmon"}): "Guam is small",
    frozenset({"GU hagatna", "GU harmon"}): "Guam is small",
}

# Airports bear another country's code than the places beside them.
CODE_OF_AIRPORTS = {"PR": "US", "PS": "IL"}


@cache
def published(folder: Path, letter: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "sites" / f"root-{letter}-2025.json").read_text())
    return document


def as_published(letter: str) -> Service:
    return load_uncorrected(ROOT / "catchment" / "services" / f"{letter}-root.toml")


def one(letter: str, identity: str) -> Identified:
    return identify(bundled_service(f"{letter}-root"), [identity])[0]


def placed(letter: str) -> dict[tuple[str, str], Site]:
    return {town_key(site.town, site.country): site for site in bundled_service(f"{letter}-root").sites}


def apart_km(one: Site, other: Site) -> float:
    assert one.latitude is not None
    assert one.longitude is not None
    assert other.latitude is not None
    assert other.longitude is not None
    return arc_km(one.latitude, one.longitude, other.latitude, other.longitude)


@cache
def towns() -> dict[tuple[str, str], list[tuple[str, Site]]]:
    found = defaultdict(list)
    for letter in LETTERS:
        for key, site in placed(letter).items():
            found[key].append((letter, site))
    return dict(found)


def test_every_published_identity_names_the_site_of_its_town(recordings: Path) -> None:
    seen = set()
    for letter in LETTERS:
        service, raw = bundled_service(f"{letter}-root"), as_published(letter)
        towns_of = {site.code: town_key(site.town, site.country) for site in raw.sites}
        for entry in published(recordings, letter)["Sites"]:
            for found in identify(service, entry["Identifiers"]):
                assert (found.outcome, found.rule) == (Outcome.IDENTIFIED, "published-identity")
                assert found.site is not None
                if FOLDED.get((letter, entry["Town"])) != found.site.code:
                    assert towns_of[found.site.code] == town_key(entry["Town"], entry["Country"]), found.identity
            seen |= {(letter, identity.casefold()) for identity in entry["Identifiers"]}
    assert len(seen) == 1891


def test_every_published_identity_tells_its_code_by_a_pattern_too(recordings: Path) -> None:
    for letter in LETTERS:
        service = bundled_service(f"{letter}-root")
        codes = {identity: {site.code, *site.codes} for site in service.sites for identity in site.identities}
        for identity, known in codes.items():
            read = place_codes(service.patterns, identity)
            assert read, identity
            assert set(read) <= known, identity


def test_every_published_entry_has_a_site(recordings: Path) -> None:
    entries = 0
    for letter in LETTERS:
        sites = {town_key(site.town, site.country) for site in as_published(letter).sites}
        for entry in published(recordings, letter)["Sites"]:
            entries += 1
            folded = {(letter, entry["Town"]), (letter, f"{entry['Town']}, {entry['Country']}")} & FOLDED.keys()
            assert folded or town_key(entry["Town"], entry["Country"]) in sites, (letter, entry["Town"])
    assert entries == 1531


def test_the_files_are_what_the_lists_make_of_them(recordings: Path) -> None:
    for letter in LETTERS:
        raw, document = as_published(letter), read_list(published(recordings, letter))
        assert document.updated is not None
        merged = merge_list(raw, document, on=document.updated)
        assert merged.service.sites == raw.sites
        assert merged.addresses == ()


@pytest.mark.parametrize(
    ("letter", "identity", "code"),
    [
        ("a", "nnn1-pao2", "us-pao"),
        ("a", "nnn1-usnyc-2c", "us-nyc"),
        ("a", "nnn1-nlams-4", "nl-ams"),
        ("a", "nnn1-jptyo-1b", "jp-tyo"),
        ("a", "nnn1-lon8", "gb-lon"),
        ("a", "a.r.lon8.gblon-0", "gb-lon"),
        ("a", "a21-a.us-qas.root", "us-iad"),
        ("a", "nnn1-cnbjs-1", "cn-bjs"),
        ("a", "nnn1-elpek3", "cn-bjs"),
        ("b", "b4-fra", "fra"),
        ("b", "b1-lax", "lax"),
        ("b", "b4", "lax"),
        ("c", "fra1b.c.root-servers.org", "fra"),
        ("c", "dca1b.c.root-servers.org", "dca"),
        ("c", "ord1a.c.root-servers.org", "ord"),
        ("c", "jfk1b.c.root%servers.org", "jfk"),
        ("c", "par1a.c.root-servdrs.org", "par"),
        ("d", "ffde5.droot.maxgigapop.net", "ffde"),
        ("e", "c01.AMS.eroot", "ams"),
        ("e", "p04.ber.eroot", "ber"),
        ("e", "p01.zrh2.eroot", "zrh"),
        ("e", "p04.qpg.eroot", "sin"),
        ("e", "n01.nuq.eroot", "nuq"),
        ("e", "1.1.e.qpg.pch.net", "sin"),
        ("f", "CDG.cf.f.root-servers.org", "cdg"),
        ("f", "sfo2b.f.root-servers.org", "sfo"),
        ("f", "ABJ.cf.f.root-servers.org", "abj"),
        ("g", "groot-eur1-3", "eur1"),
        ("g", "groot-con1-1", "con1"),
        ("g", "g.root-servers-con2-1.net", "con2"),
        ("h", "001.fra.h.root-servers.org", "fra"),
        ("h", "001.apg.h.root-servers.org", "apg"),
        ("i", "s1.poa", "poa"),
        ("i", "s1.chi", "chi"),
        ("i", "s1.amx", "amx"),
        ("i", "s2.sub", "sto"),
        ("j", "rootns-elpek3", "cn-bjs"),
        ("j", "rootns-gblon-1d", "gb-lon"),
        ("j", "rootns-lon8", "gb-lon"),
        ("j", "rootns-ams5", "nl-ams"),
        ("j", "rootns-usind-1", "us-ind"),  # the list calls the town Bloomington, the code Indianapolis
        ("j", "a1.sa--ruh.root", "sa-ruh"),
        ("k", "ns2.nl-ams.k.ripe.net", "nl-ams"),
        ("k", "ns1.fr-par.k.ripe.net", "fr-par"),
        ("k", "k3.ams-ix.k.ripe.net", "nl-ams"),
        ("k", "k1.ams-ix", "nl-ams"),
        ("l", "cz-xuy-aa", "cz-xuy"),
        ("l", "ci-abj-aa", "ci-abj"),
        ("l", "aa.cz-xuy.l.root", "cz-xuy"),
        ("m", "M-ORY-3", "cdg"),
        ("m", "M-CDG-2", "cdg"),
        ("m", "M-KTM", "ktm"),
        ("m", "M-CDG-", "cdg"),
    ],
)
def test_what_was_seen_in_the_wild_names_its_site(letter: str, identity: str, code: str) -> None:
    found = one(letter, identity)
    assert found.site is not None
    assert found.site.code == code


@pytest.mark.parametrize(
    ("letter", "identity"),
    [
        ("a", "a5.de-ham.root"),  # a site that is listed no more
        ("g", "X.groot"),
        ("j", "jns1-igtld.j.root-servers.net"),
        ("l", "cjr01.l.root-servers.org"),
        ("m", "M-d1"),
    ],
)
def test_a_name_without_a_place_is_the_letters_own_and_unknown(letter: str, identity: str) -> None:
    assert one(letter, identity).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("identity", ["dns1", "localhost.localdomain", "17m397", "gpdns-muc", "r3.lon", "dnvr-cns11"])
def test_a_resolver_is_no_root_server(letter: str, identity: str) -> None:
    assert one(letter, identity).outcome is Outcome.FOREIGN


def test_one_town_is_at_one_place_for_all_letters() -> None:
    far = {
        key
        for key, sites in towns().items()
        for (_, one), (_, other) in combinations(sites, 2)
        if apart_km(one, other) > 60
    }
    assert far == APART.keys()


def test_one_place_has_one_name_for_all_letters() -> None:
    near = {
        frozenset({" ".join(key), " ".join(other)})
        for (key, sites), (other, others) in combinations(towns().items(), 2)
        if min(apart_km(one, two) for _, one in sites for _, two in others) < 5
    }
    assert near == NEIGHBOURS.keys()


def test_towns_of_one_name_in_two_countries_are_far_apart() -> None:
    by_name = defaultdict(list)
    for (country, name), sites in towns().items():
        by_name[name].append((country, sites[0][1]))
    for name, places in by_name.items():
        assert all(apart_km(one, other) > 600 for (_, one), (_, other) in combinations(places, 2)), name


def in_a_strange_country(service: Service) -> set[str]:
    """Return the codes of sites that have no airport of their country within about two degrees."""
    return {site.code for site in service.sites if CODE_OF_AIRPORTS.get(site.country, site.country) not in around(site)}


@cache
def airports() -> dict[tuple[int, int], set[str]]:
    cells = defaultdict(set)
    for airport in airportsdata.load("IATA").values():
        cells[round(airport["lat"]), round(airport["lon"])].add(airport["country"])
    return dict(cells)


def around(site: Site) -> set[str]:
    assert site.latitude is not None
    assert site.longitude is not None
    rows = range(round(site.latitude) - 2, round(site.latitude) + 3)
    columns = range(round(site.longitude) - 2, round(site.longitude) + 3)
    return set().union(*(airports().get((row, column), set()) for row in rows for column in columns))


def test_a_site_is_in_the_country_of_an_airport_near_it() -> None:
    published = {letter: in_a_strange_country(as_published(letter)) for letter in LETTERS}
    assert {letter: codes for letter, codes in published.items() if codes} == {
        "c": {"dca"},
        "d": {"ljsk"},
        "e": {"hoh", "bzv"},
    }
    assert not any(in_a_strange_country(bundled_service(f"{letter}-root")) for letter in LETTERS)


def test_where_a_code_is_an_airport_s_the_site_is_near_it() -> None:
    for letter in "befhm":
        for site in bundled_service(f"{letter}-root").sites:
            place = iata_place(site.code)
            if place is not None:
                at = Site(code="x", town="", country="", latitude=place.latitude, longitude=place.longitude)
                assert apart_km(site, at) < 65, (letter, site)  # Tokyo and Narita


def test_known_errors_of_the_lists_are_corrected() -> None:
    washington = next(site for site in bundled_service("c-root").sites if site.code == "dca")
    assert washington.longitude == pytest.approx(-77.04, abs=0.01)
    sites = placed("e")
    assert apart_km(sites["NO", "trondheim"], sites["NO", "oslo"]) > 350
    assert ("ZA", "seoul") not in sites
    assert sites["AT", "feldkirch"].code == "hoh"
    assert placed("d")["SI", "ljubljana"].country == "SI"
    assert placed("j")["US", "climax"].latitude == pytest.approx(42.2, abs=0.1)  # in Michigan


@pytest.mark.parametrize(
    ("letter", "code", "town", "country"),
    [
        ("a", "cn-bjs", "Beijing", "CN"),
        ("d", "avch", "Altenrhein", "CH"),
        ("e", "kye", "Tripoli", "LB"),
        ("e", "sge", "Siegen", "DE"),
        ("f", "lca", "Larnaca", "CY"),
        ("f", "llk", "Lankaran", "AZ"),
    ],
)
def test_a_town_that_the_list_mistakes_is_corrected(letter: str, code: str, town: str, country: str) -> None:
    raw = {site.code: site for site in as_published(letter).sites}
    assert placed(letter)[town_key(town, country)].code == code
    assert town_key(raw[code].town, country) != town_key(town, country)


def test_a_and_j_root_have_one_beijing() -> None:
    assert apart_km(placed("a")["CN", "beijing"], placed("j")["CN", "beijing"]) < 1


def test_six_letters_have_ipv6_addresses_since_the_day_the_root_zone_had_them() -> None:
    dates = {
        letter: {str(entry.since) for entry in bundled_service(f"{letter}-root").addresses if entry.af == 6}
        for letter in "afhjkm"
    }
    assert all("2008-02-04" in found for found in dates.values()), dates


@pytest.mark.parametrize("identity", ["b0", "b5", "b9"])
def test_a_number_that_no_server_of_b_root_had_is_none_of_its(identity: str) -> None:
    assert one("b", identity).outcome is Outcome.FOREIGN


@pytest.mark.parametrize("letter", LETTERS)
def test_every_correction_gives_a_reason_and_changes_something(letter: str) -> None:
    raw = {site.code: site for site in as_published(letter).sites}
    done = {site.code: site for site in bundled_service(f"{letter}-root").sites}
    for correction in bundled_service(f"{letter}-root").corrections:
        assert correction.reason
        assert raw[correction.site] != done[correction.site]


def test_closed_sites_stay_and_new_ones_came() -> None:
    palo_alto = one("a", "nnn1-pao2").site
    assert palo_alto is not None
    assert palo_alto.until is not None
    frankfurt = one("b", "b4-fra").site
    assert frankfurt is not None
    assert frankfurt.since is not None
    assert sum(site.until is not None for site in bundled_service("k-root").sites) == 9


@pytest.mark.parametrize(
    ("letter", "address", "until"),
    [
        ("b", "199.9.14.201", "2023-11-27"),
        ("d", "128.8.10.90", "2013-01-03"),
        ("h", "128.63.2.53", "2015-12-01"),
        ("h", "2001:500:1::803f:235", "2015-12-01"),
        ("j", "198.41.0.10", "2002-11-05"),
        ("l", "198.32.64.12", "2007-11-01"),
        ("l", "2001:500:3::42", "2016-03-23"),
    ],
)
def test_former_addresses_stay_with_the_day_they_ended(letter: str, address: str, until: str) -> None:
    ended = {entry.address: str(entry.until) for entry in bundled_service(f"{letter}-root").addresses}
    assert ended[address] == until


def test_each_letter_has_its_current_addresses(recordings: Path) -> None:
    for letter in LETTERS:
        current = {entry.address for entry in bundled_service(f"{letter}-root").addresses if entry.until is None}
        assert current == {published(recordings, letter)[key] for key in ("IPv4", "IPv6")}


def test_the_built_in_measurements_are_those_that_ripe_atlas_numbers_by_letter() -> None:
    numbers = {
        "a": 9,
        "b": 10,
        "c": 11,
        "d": 12,
        "e": 13,
        "f": 4,
        "g": 14,
        "h": 15,
        "i": 5,
        "j": 16,
        "k": 1,
        "l": 8,
        "m": 6,
    }
    for letter, number in numbers.items():
        asked = {entry.id for entry in bundled_service(f"{letter}-root").measurements if entry.kind is Kind.DNS}
        assert asked == {10300 + number, 11300 + number}


def test_codes_and_their_order_stay_because_colours_key_on_them() -> None:
    assert [site.code for site in bundled_service("b-root").sites][:6] == ["ams", "iad", "lax", "mia", "scl", "sin"]
    first = [site.code for site in bundled_service("k-root").sites][:9]
    assert first == ["nl-ams", "gb-lon", "de-fra", "us-mia", "jp-tyo", "us-rno", "in-bom", "za-jnb", "au-bne"]
    for letter in LETTERS:
        codes = [site.code for site in bundled_service(f"{letter}-root").sites]
        assert len(codes) == len(set(codes))
