from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.hop_name_accuracy import hub_service, readings
from catchment.assign.hop_names import HopNameReader, sites_in_name
from catchment.model import Address, Service, Site

HUBS = hub_service()
NAMES = HopNameReader(HUBS)
PARTS = "fra fra1 frankfurt frnkge03 de us uk san jose new york 1 ix ae xn--fra é he net com cogentco atlas"
WORDS = PARTS.split()
WORDS += ["twelve99", "ip", "link", "b1", "-", "_", "level3", "defra2", "sitE", "0", "İ", "", "\x00", " "]


def service_of(*sites: Site) -> Service:
    return Service(name="some", operator="Example", addresses=(Address(address="192.0.2.53"),), sites=sites)


def site(code: str, town: str, country: str, latitude: float | None = None, longitude: float | None = None) -> Site:
    return Site(code=code, town=town, country=country, latitude=latitude, longitude=longitude)


FRANKFURT = site("fra", "Frankfurt", "DE", 50.11, 8.68)
WASHINGTON = site("wdc", "Washington", "US", 38.90, -77.04)


def towns(name: str, service: Service = HUBS) -> list[str]:
    return [named.site.town for named in sites_in_name(name, service)]


def test_the_list_is_as_long_and_as_mixed_as_it_says() -> None:
    read = readings(HUBS)
    placed = [reading for reading in read if reading.meant]
    assert len(placed) >= 230
    assert len(read) - len(placed) >= 60
    assert len({tuple(reading.name.lower().rstrip(".").split(".")[-2:]) for reading in placed}) >= 60
    assert len({reading.name.lower() for reading in read}) == len(read)


def test_a_name_without_a_place_names_none() -> None:
    assert [reading for reading in readings(HUBS) if reading.meant is None and reading.found] == []


def test_a_place_that_is_read_is_the_one_that_the_operator_means() -> None:
    assert [reading for reading in readings(HUBS) if reading.found and reading.found != (reading.meant,)] == []


def test_nearly_every_place_is_read() -> None:
    placed = [reading for reading in readings(HUBS) if reading.meant]
    assert sum(bool(reading.found) for reading in placed) >= 0.95 * len(placed)


@pytest.mark.parametrize(
    ("name", "convention", "token"),
    [
        ("core1.fra1.he.net", "carrier", "fra"),
        ("xe-0-0-0.frankfurt2.example.net", "city", "frankfurt2"),
        ("ae-1.r24.frnkge13.de.bb.gin.ntt.net", "clli", "frnkge13"),
        ("ae1.defra1.example.net", "unlocode", "defra1"),
        ("de-fra04d-rc1-ae-39-0.aorta.net", "unlocode", "de-fra04d"),
        ("ae1.fra3.example.net", "iata", "fra3"),
    ],
)
def test_the_convention_and_the_token_are_told(name: str, convention: str, token: str) -> None:
    (named,) = sites_in_name(name, HUBS)
    assert (named.site.town, named.convention, named.token) == ("Frankfurt", convention, token)


def test_a_code_of_the_service_counts_as_well() -> None:
    service = service_of(site("qqz", "Frankfurt", "DE", 50.11, 8.68), site("am-abo", "Abovyan", "AM", 40.27, 44.63))
    assert [(named.site.code, named.convention) for named in sites_in_name("r1.qqz2.example.net", service)] == [
        ("qqz", "own-code")
    ]
    assert towns("rt-am-abo-1.example.net", service) == ["Abovyan"]


def test_a_code_of_the_service_that_is_a_routers_role_is_none() -> None:
    service = service_of(site("cor", "Córdoba", "AR", -31.42, -64.18), site("edg", "Edgware", "GB", 51.61, -0.28))
    assert towns("cor1.example.net", service) == []
    assert towns("edg1.example.net", service) == []


def test_two_places_in_a_name_are_both_listed_in_its_order() -> None:
    assert towns("ae1.lon1-nyc2.example.net") == ["London", "New York"]


def test_a_towns_name_beats_the_code_of_another_airport() -> None:
    assert towns("ams1-link.frankfurt1.example.net") == ["Frankfurt"]


def test_two_tokens_of_one_site_name_it_once() -> None:
    assert towns("ae9.fra1.frankfurt3.example.net") == ["Frankfurt"]


def test_another_country_in_the_name_is_a_veto() -> None:
    assert towns("core1.fra1.de.example.net") == ["Frankfurt"]
    assert towns("core1.fra1.us.example.net") == []


def test_a_state_is_no_other_country() -> None:
    assert towns("cr1.chicago1.il.example.net") == ["Chicago"]  # not Israel
    assert towns("cr1.losangeles1.ca.example.net") == ["Los Angeles"]  # not Canada


def test_the_registered_domain_never_counts() -> None:
    assert towns("r1.frankfurt.com") == []
    assert towns("r1.fra1.net") == []
    assert towns("r1.london.co.uk") == []
    assert towns("r1.fra1.london.co.uk") == ["Frankfurt"]


def test_a_town_near_the_only_site_stands_for_it() -> None:
    assert towns("core1.ash1.he.net", service_of(WASHINGTON)) == ["Washington"]  # 48 km


def test_a_near_site_in_another_country_is_another_place() -> None:
    assert towns("core1.vie1.he.net", service_of(site("bts", "Bratislava", "SK", 48.15, 17.11))) == []  # 55 km
    assert towns("core1.hkg1.he.net", service_of(site("hkg", "Hongkong", "CN", 22.3, 114.2))) == ["Hongkong"]


def test_letters_that_happen_to_be_the_code_of_a_village_near_a_site_are_none() -> None:
    panama = service_of(site("pty", "Panama City", "PA", 8.98, -79.52))
    assert towns("et-13-0-0-0.pastr3.-.opentransit.net", panama) == []  # a router in Paris
    assert towns("rt1.papty2.example.net", panama) == ["Panama City"]


def test_a_town_near_two_sites_stands_for_neither() -> None:
    reston = site("rst", "Reston", "US", 38.96, -77.36)
    assert towns("core1.ash1.he.net", service_of(WASHINGTON, reston)) == []


def test_of_two_towns_of_one_name_the_hub_is_meant_unless_the_country_is_named() -> None:
    costa_rica = service_of(site("sjo", "San José", "CR", 9.93, -84.08))
    assert towns("ear1.sanjose1.level3.net", costa_rica) == []
    assert towns("ear1.sanjose1.level3.net") == ["San Jose"]
    assert towns("rt1.sanjose1.cr.example.net", costa_rica) == ["San José"]


def test_of_two_small_towns_of_one_name_neither_is_meant_without_the_country() -> None:
    service = service_of(site("vlc", "Valencia", "ES", 39.47, -0.38), site("vln", "Valencia", "VE", 10.16, -68.00))
    assert towns("rt1.valencia2.example.net", service) == []
    assert [named.site.code for named in sites_in_name("rt1.valencia2.ve.example.net", service)] == ["vln"]


def test_ash_is_where_operators_mean_it_and_not_nashua_near_boston() -> None:
    assert towns("core1.ash1.he.net", service_of(site("bos", "Boston", "US", 42.36, -71.06))) == []


def test_an_operators_own_codes_are_not_those_of_airports() -> None:
    vegas = service_of(site("las", "Las Vegas", "US", 36.17, -115.14))
    assert towns("las-b24-link.ip.twelve99.net", vegas) == []  # nobody tells what it stands for
    assert towns("core1.las1.he.net", vegas) == ["Las Vegas"]


def test_a_town_outside_the_service_is_none() -> None:
    assert towns("core1.ams1.he.net", service_of(FRANKFURT)) == []


def test_sites_without_coordinates_are_found_by_their_town() -> None:
    assert towns("core1.fra1.he.net", service_of(site("de-1", "Frankfurt am Main", "DE"))) == ["Frankfurt am Main"]


def test_letter_case_and_the_last_dot_do_not_count() -> None:
    assert towns("AE-1.CORE1.FRA1.HE.NET.") == ["Frankfurt"]


def test_a_changed_service_is_read_anew() -> None:
    assert towns("core1.fra1.he.net", HUBS) == ["Frankfurt"]
    assert towns("core1.fra1.he.net", dataclasses.replace(HUBS, sites=(WASHINGTON,))) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "-",
        "xn--",
        "\x00",
        "fra1." * 20_000 + "example.net",
        "\u202efra1.example.net\x1b[31m",
        "_._._",
        "a",
    ],
)
def test_what_is_no_name_gives_nothing(name: str) -> None:
    assert sites_in_name(name, HUBS) == ()


@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(
            st.sampled_from(WORDS),
            max_size=12,
        ).flatmap(lambda words: st.sampled_from([".", "-", "_", ""]).map(lambda mark: mark.join(words))),
    )
)
def test_any_text_gives_sites_of_the_service_each_once(name: str) -> None:
    found = NAMES.sites_in(name)
    assert all(named.site in HUBS.sites for named in found)
    assert len({named.site.code for named in found}) == len(found)


def test_a_town_of_which_the_service_has_two_is_read_as_neither() -> None:
    portlands = [
        Site(code="pdx", town="Portland", country="US", latitude=45.52, longitude=-122.68),
        Site(code="pwm", town="Portland", country="US", latitude=43.66, longitude=-70.26),
    ]
    service = Service(
        name="x", operator="x", addresses=(Address(address="192.0.2.1"),), sites=(*portlands,), answers=()
    )
    assert sites_in_name("ae1.core1.portland1.carrier.net", service) == ()
    assert [named.site.code for named in sites_in_name("ae1.core1.pdx1.carrier.net", service)] == ["pdx"]
