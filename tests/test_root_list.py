import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.campaign import corrected, service_to_toml
from catchment.errors import InvalidFile
from catchment.model import Address, Pattern, Service, Site, Source
from catchment.services.root_list import PublishedList, merge_list, place_codes, read_list
from tests.conftest import ROOT

ON = datetime.date(2025, 7, 1)
MADE = datetime.date(2025, 6, 30)
PATTERNS = (
    Pattern(regex=r"^(?P<server>ns\d)\.(?P<site>[a-z]{2}--?[a-z]{3})\.example$", codes="unlocode"),
    Pattern(regex=r"^old-(?P<site>[a-z]{5})-(?P<server>\d)$", codes="unlocode"),
)


def entry(town: str, country: str, *identities: str, **more: Any) -> dict[str, Any]:
    known = {"Town": town, "Country": country, "Latitude": 50.0, "Longitude": 8.0, "Type": "Global", "IPv4": True}
    return known | {"IPv6": True, "Status": "operational", "Identifiers": list(identities)} | more


def a_list(*entries: dict[str, Any], **more: Any) -> PublishedList:
    known = {"Operator": "we", "IPv4": "192.0.2.1", "IPv6": "2001:db8::1", "Updated": "2025-06-30T10:27:41Z"}
    return read_list(known | {"Sites": list(entries)} | more)


def service(*sites: Site, **parts: Any) -> Service:
    known = {"name": "x-root", "operator": "we", "addresses": (Address(address="192.0.2.1"),), "patterns": PATTERNS}
    return Service(**(known | {"sites": sites} | parts))


AMS = Site(code="nl-ams", town="Amsterdam", country="NL", latitude=52.37, longitude=4.89)


def test_a_list_is_read_with_its_entries() -> None:
    found = a_list(entry("Wien", "at", "ns1.at-vie.example", Type="Local", IPv6=False, Updated="2024-02-19T13:23:42Z"))
    assert (found.operator, found.addresses, found.updated) == ("we", ("192.0.2.1", "2001:db8::1"), MADE)
    (one,) = found.entries
    assert (one.town, one.country, one.latitude, one.longitude) == ("Wien", "AT", 50.0, 8.0)
    assert (one.scope, one.families, one.operational) == ("local", (4,), True)
    assert (one.updated, one.identities) == (datetime.date(2024, 2, 19), ("ns1.at-vie.example",))


def test_a_list_of_before_september_2020_is_read_too() -> None:
    assert [one.town for one in read_list({"Instances": [entry("Oslo", "NO")]}).entries] == ["Oslo"]


def test_a_site_without_coordinates_is_read() -> None:
    (one,) = a_list(entry("Oslo", "NO", Latitude=None, Longitude=None)).entries
    assert (one.latitude, one.longitude) == (None, None)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("Town", None, "site 2: key 'Town' is missing"),
        ("Town", "  ", "site 2: key 'Town' is empty"),
        ("Town", "x" * 300, "site 2: key 'Town' must be a text of at most 255 printable characters"),
        ("Town", "\x1b[31m", "site 2: key 'Town' must be a text"),
        ("Town", "a\u202eb", "site 2: key 'Town' must be a text"),
        ("Town", ["x"], "site 2: key 'Town' must be a text"),
        ("Country", "Netherlands", "site 2: key 'Country' must be a country code of two letters"),
        ("Latitude", "52", "site 2: key 'Latitude' must be a number of degrees"),
        ("Latitude", float("nan"), "site 2: key 'Latitude' must be a number of degrees"),
        ("Latitude", 10**400, "site 2: key 'Latitude' must be a number of degrees"),
        ("Latitude", 91, "site 2: key 'Latitude' names no place on Earth"),
        ("Longitude", None, "site 2: key 'Latitude' must come with 'Longitude'"),
        ("Type", "Universal", "site 2: key 'Type' must be Global or Local"),
        ("IPv4", "yes", "site 2: key 'IPv4' must be true or false"),
        ("Identifiers", "ns1", "site 2: key 'Identifiers' must be a list of texts"),
        ("Identifiers", ["ns1\x00"], "site 2: key 'Identifiers' must hold texts"),
        ("Identifiers", [{}], "site 2: key 'Identifiers' must hold texts"),
        ("Updated", "yesterday", "site 2: key 'Updated' must be a time"),
    ],
)
def test_a_malformed_entry_is_named_with_its_key_in_one_line(key: str, value: Any, complaint: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        a_list(entry("Oslo", "NO"), entry("Bergen", "NO", **{key: value}))
    assert str(caught.value).startswith(complaint)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "document",
    [[], None, "Sites", 3, {}, {"Sites": []}, {"Sites": {}}, {"Sites": [3]}, {"Sites": [None]}, {"Sites": [[]] * 6000}],
)
def test_what_is_no_list_is_refused_in_one_line(document: Any) -> None:
    with pytest.raises(InvalidFile) as caught:
        read_list(document)
    assert str(caught.value).isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("Town", "Country", "Latitude", "Longitude", "Identifiers", "Type", "Status", "IPv4", "IPv6", "Updated")
TOWNS = st.text(min_size=1, max_size=8) | st.sampled_from(["Amsterdam", "Wien", "Vienna"])
IDENTITIES = st.sampled_from(["ns1.nl-ams.example", "NS1.nl-ams.example", "ns2.at-vie.example", "ams", "vie", "=1+1"])
SOUND = st.builds(
    lambda town, country, here, identities, status: entry(
        town, country, *identities, Latitude=here, Longitude=here, Status=status
    ),
    TOWNS,
    st.sampled_from(["NL", "AT", "DE"]),
    st.none() | st.floats(-90, 90),
    st.lists(IDENTITIES, max_size=3),
    st.sampled_from(["", "operational", "decommissioned"]),
)


@given(JSON | st.fixed_dictionaries({"Sites": st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)))}))
def test_whatever_is_given_for_a_list_is_read_or_refused(document: Any) -> None:
    try:
        found = read_list(document)
    except InvalidFile as error:
        complaint = str(error)
    else:
        complaint = ""
        assert found.entries
    assert complaint.isprintable()


@given(st.lists(SOUND, min_size=1, max_size=8))
def test_a_list_of_any_towns_gives_sites_that_a_file_can_hold_and_changes_nothing_twice(
    entries: list[dict[str, Any]],
) -> None:
    try:
        published = read_list({"Sites": entries})
    except InvalidFile:
        return
    once = merge_list(service(AMS), published, on=ON)
    codes = [code for site in once.service.sites for code in (site.code, *site.codes)]
    assert len(codes) == len(set(codes))
    identities = [text.casefold() for site in once.service.sites for text in site.identities]
    assert len(identities) == len(set(identities))
    assert once.service.sites[0].code == "nl-ams"
    assert service_to_toml(once.service)
    twice = merge_list(once.service, published, on=ON)
    assert [site.code for site in twice.service.sites] == [site.code for site in once.service.sites]
    assert (twice.added, twice.identities_gone) == ((), ())


def test_entries_of_one_town_are_one_site() -> None:
    published = a_list(
        entry("Frankfurt am Main", "DE", "ns2.de-fra.example", Type="Local", Latitude=50.2, IPv4=True, IPv6=False),
        entry("Frankfurt", "DE", "ns1.de-fra.example", Latitude=50.1, IPv4=True, IPv6=False),
    )
    (site,) = merge_list(service(), published, on=ON).added
    assert (site.code, site.town, site.latitude) == ("de-fra", "Frankfurt", 50.1)  # the global one says where
    assert (site.scope, site.families) == ("global", (4,))
    assert site.identities == ("ns1.de-fra.example", "ns2.de-fra.example")


def test_families_of_one_site_are_those_of_all_its_entries() -> None:
    published = a_list(entry("Oslo", "NO", IPv6=False), entry("Oslo", "NO", IPv4=False))
    (site,) = merge_list(service(), published, on=ON).added
    assert site.families == (4, 6)


def test_further_codes_of_a_town_stand_beside_the_first() -> None:
    published = a_list(entry("Ashburn", "US", "ns1.us-iad.example"), entry("Ashburn", "US", "ns1.us-qas.example"))
    (site,) = merge_list(service(), published, on=ON).added
    assert (site.code, site.codes) == ("us-iad", ("us-qas",))


def test_a_town_spelled_in_two_ways_is_one_by_its_code() -> None:
    published = a_list(entry("Somewhere", "NL", "ns9.nl-ams.example", Latitude=52.37, Longitude=4.89))
    merged = merge_list(service(AMS), published, on=ON)
    assert merged.added == ()
    assert merged.identities_added == (("nl-ams", "ns9.nl-ams.example"),)


def test_a_published_identity_says_more_than_the_town() -> None:
    rot = Site(code="nl-rot", town="Rotterdam", country="NL", identities=("odd-name",))
    merged = merge_list(service(AMS, rot), a_list(entry("Amsterdam", "NL", "odd-name")), on=ON)
    assert [site.code for site in merged.service.sites if site.until is None] == ["nl-rot"]


def test_the_same_name_close_by_is_the_same_town_in_whatever_country() -> None:
    published = a_list(
        entry("Seoul", "ZA", Latitude=37.57, Longitude=126.98, Type="Local"),
        entry("Seoul", "KR", Latitude=37.47, Longitude=126.45),
        entry("San Jose", "US", Latitude=37.34, Longitude=-121.89),
        entry("San Jose", "CR", Latitude=9.93, Longitude=-84.08),
    )
    added = merge_list(service(), published, on=ON).added
    assert [site.code for site in added] == ["cr-san-jose", "kr-seoul", "us-san-jose"]


def test_new_sites_come_last_and_old_codes_stay() -> None:
    old = Site(code="ams1", town="Amsterdam", country="NL", latitude=50.0, longitude=8.0)
    published = a_list(
        entry("Zürich", "CH"), entry("Amsterdam", "NL", "ns1.nl-ams.example"), entry("St. George's", "GD")
    )
    merged = merge_list(service(old), published, on=ON)
    assert [site.code for site in merged.service.sites] == ["ams1", "ch-zurich", "gd-saint-georges"]
    assert merged.service.sites[0].codes == ("nl-ams",)
    assert all(site.since is None for site in merged.added)


def test_a_site_that_is_listed_no_more_stays_closed() -> None:
    paris = Site(code="fr-par", town="Paris", country="FR", identities=("ns1.fr-par.example",))
    merged = merge_list(service(AMS, paris), a_list(entry("Amsterdam", "NL")), on=ON)
    (closed,) = merged.closed
    assert (closed.code, closed.until, closed.identities) == ("fr-par", ON, ("ns1.fr-par.example",))
    again = merge_list(merged.service, a_list(entry("Amsterdam", "NL")), on=datetime.date(2026, 1, 1))
    assert (again.closed, again.service.sites[1].until) == ((), ON)


def test_a_site_out_of_service_ended_when_its_entry_last_changed() -> None:
    published = a_list(entry("Amsterdam", "NL", Status="decommissioned", Updated="2025-04-15T09:00:00Z"))
    (closed,) = merge_list(service(AMS), published, on=ON).closed
    assert closed.until == datetime.date(2025, 4, 15)


def test_a_site_with_one_facility_out_of_service_is_open() -> None:
    published = a_list(
        entry("Amsterdam", "NL", "ns2.nl-ams.example", Status="decommissioned"),
        entry("Amsterdam", "NL", "ns1.nl-ams.example"),
    )
    merged = merge_list(service(AMS), published, on=ON)
    assert merged.closed == ()
    assert merged.service.sites[0].identities == ("ns1.nl-ams.example", "ns2.nl-ams.example")


def test_a_site_that_opened_after_the_list_was_made_is_not_closed() -> None:
    new = Site(code="de-fra", town="Frankfurt", country="DE", since=datetime.date(2025, 6, 30 - 29))
    newer = Site(code="de-ber", town="Berlin", country="DE", since=datetime.date(2025, 12, 3))
    merged = merge_list(service(AMS, new, newer), a_list(entry("Amsterdam", "NL")), on=ON)
    assert [site.code for site in merged.closed] == ["de-fra"]


def test_a_closed_site_that_is_listed_again_is_open() -> None:
    closed = Site(code="nl-ams", town="Amsterdam", country="NL", until=datetime.date(2024, 1, 1))
    merged = merge_list(service(closed), a_list(entry("Amsterdam", "NL")), on=ON)
    assert [(site.code, site.until) for site in merged.reopened] == [("nl-ams", None)]


def test_a_site_moves_only_by_a_kilometre_or_more() -> None:
    near = a_list(entry("Amsterdam", "NL", "ns1.nl-ams.example", Latitude=52.375, Longitude=4.89))
    assert merge_list(service(AMS), near, on=ON).moved == ()
    far = a_list(entry("Haarlem", "NL", "ns1.nl-ams.example", Latitude=52.38, Longitude=4.63))
    ((was, now),) = merge_list(service(AMS), far, on=ON).moved
    assert (was, now.code, now.town, now.longitude) == (AMS, "nl-ams", "Haarlem", 4.63)


def test_identities_that_went_are_told() -> None:
    old = Site(code="nl-ams", town="Amsterdam", country="NL", identities=("ns1.nl-ams.example",))
    merged = merge_list(service(old), a_list(entry("Amsterdam", "NL", "ns2.nl-ams.example")), on=ON)
    assert merged.identities_gone == (("nl-ams", "ns1.nl-ams.example"),)
    assert merged.identities_added == (("nl-ams", "ns2.nl-ams.example"),)


def test_a_list_without_identities_takes_none_away() -> None:
    old = Site(code="nl-ams", town="Amsterdam", country="NL", identities=("ns1.nl-ams.example",))
    merged = merge_list(service(old), a_list(entry("Amsterdam", "NL")), on=ON)
    assert (merged.identities_gone, merged.service.sites[0].identities) == ((), ("ns1.nl-ams.example",))


def test_an_address_that_the_service_lacks_is_told_and_not_taken_over() -> None:
    merged = merge_list(service(), a_list(entry("Oslo", "NO")), on=ON)
    assert merged.addresses == ("2001:db8::1",)
    assert [known.address for known in merged.service.addresses] == ["192.0.2.1"]


def test_the_source_of_the_sites_gets_the_day_of_the_list() -> None:
    text = "https://root-servers.org/root/X/json/"
    old = service(sources=(Source(of="sites", text=text, date=ON), Source(of="name", text="we", date=ON)))
    sources = merge_list(old, a_list(entry("Oslo", "NO")), on=ON).service.sources
    assert [source.date for source in sources] == [MADE, ON]


@pytest.mark.parametrize(
    ("identity", "codes"),
    [
        ("ns1.nl-ams.example", ("nl-ams",)),
        ("NS1.SA--RUH.example", ("sa-ruh", "sa--ruh")),
        ("old-gblon-1", ("gb-lon", "gblon")),
        ("amx", ("amx",)),
        ("unread", ()),
        ("", ()),
    ],
)
def test_an_identity_tells_its_place_code(identity: str, codes: tuple[str, ...]) -> None:
    assert place_codes(PATTERNS, identity) == codes


def test_a_merged_service_passes_the_checks_of_a_service_file() -> None:
    published = a_list(entry("Wien", "AT", "ns1.at-vie.example"), entry("Vienna", "AT", "ns2.at-vie.example"))
    merged = merge_list(service(AMS), published, on=ON)
    assert json.dumps([site.code for site in corrected(merged.service, ROOT).sites]) == '["nl-ams", "at-vie"]'
