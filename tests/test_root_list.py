import datetime
import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.campaign import corrected, load_uncorrected, service_to_toml
from catchment.errors import InvalidFile
from catchment.model import Address, Correction, Pattern, Service, Site, Source
from catchment.places import town_key
from catchment.services import bundled_file
from catchment.services.root_list import Merged, PublishedList, merge_list, place_codes, read_list
from catchment.workflow.updating import LISTS
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


ROT = Site(
    code="nl-rot",
    town="Rotterdam",
    country="NL",
    latitude=51.92,
    longitude=4.48,
    identities=("odd-1", "odd-2", "odd-3"),
)
DELFT = {"Latitude": 52.01, "Longitude": 4.36}  # 13 km from Rotterdam


def codes(merged: Merged) -> dict[str, tuple[str, ...]]:
    """Return the identities of the sites in service by code."""
    return {site.code: site.identities for site in merged.service.sites if site.until is None}


def test_most_identities_of_an_entry_tell_its_site_where_no_site_has_its_town() -> None:
    same = merge_list(service(AMS, ROT), a_list(entry("Delft", "NL", "odd-1", "odd-2", "fresh-1", **DELFT)), on=ON)
    assert codes(same) == {"nl-rot": ("fresh-1", "odd-1", "odd-2")}
    other = merge_list(service(AMS, ROT), a_list(entry("Delft", "NL", "odd-1", "fresh-1", "fresh-2", **DELFT)), on=ON)
    assert codes(other) == {"nl-delft": ("fresh-1", "fresh-2", "odd-1")}


def test_an_identity_claims_no_entry_from_afar() -> None:
    berlin = entry("Berlin", "DE", "odd-1", "odd-2", "odd-3", Latitude=52.5, Longitude=13.4)
    merged = merge_list(service(AMS, ROT), a_list(berlin), on=ON)
    assert codes(merged) == {"de-berlin": ("odd-1", "odd-2", "odd-3")}
    moved = entry("Rotterdam", "NL", "odd-1", "odd-2", Latitude=60.0, Longitude=5.0)
    assert codes(merge_list(service(AMS, ROT), a_list(moved), on=ON)) == {"nl-rot": ("odd-1", "odd-2")}


def test_the_town_says_more_than_identities() -> None:
    amsterdam = entry("Amsterdam", "NL", "odd-1", "odd-2", Latitude=52.37, Longitude=4.89)
    merged = merge_list(service(AMS, ROT), a_list(amsterdam), on=ON)
    assert codes(merged) == {"nl-ams": ("odd-1", "odd-2")}
    assert merged.service.sites[1].identities == ("odd-3",)


def test_one_stray_identity_takes_no_site_with_it() -> None:
    ams = entry("Amsterdam", "NL", "ns1.nl-ams.example", Latitude=52.37, Longitude=4.89)
    rot = entry("Rotterdam", "NL", "ns1.nl-ams.example", "odd-1", "odd-2", Latitude=51.92, Longitude=4.48)
    old = replace(AMS, identities=("ns1.nl-ams.example",))
    for order in ([ams, rot], [rot, ams]):
        merged = merge_list(service(old, ROT), a_list(*order), on=ON)
        assert codes(merged) == {"nl-ams": ("ns1.nl-ams.example",), "nl-rot": ("odd-1", "odd-2")}
        assert (merged.closed, merged.added) == ((), ())


def test_a_stray_identity_does_not_give_its_code_away() -> None:
    ams = entry("Amsterdam", "NL", "ns1.nl-ams.example", "ns1.nl-rtm.example", Latitude=52.37, Longitude=4.89)
    rtm = entry("Rotterdam", "NL", "ns2.nl-rtm.example", "ns3.nl-rtm.example", Latitude=51.92, Longitude=4.48)
    merged = merge_list(service(), a_list(ams, rtm), on=ON)
    assert [(site.code, site.codes) for site in merged.added] == [("nl-ams", ()), ("nl-rtm", ())]


OREGON = {"Latitude": 45.52, "Longitude": -122.68}
MAINE = {"Latitude": 43.66, "Longitude": -70.26}


def test_another_town_of_a_known_name_is_another_site() -> None:
    pdx = Site(code="us-portland", town="Portland", country="US", latitude=45.52, longitude=-122.68)
    published = a_list(entry("Portland, Maine", "US", **MAINE), entry("Portland", "US", **OREGON))
    merged = merge_list(service(pdx), published, on=ON)
    assert [(site.code, site.latitude) for site in merged.added] == [("us-portland-2", 43.66)]
    assert (merged.closed, merged.moved) == ((), ())
    assert corrected(merged.service, ROOT)
    assert merge_list(merged.service, published, on=ON).service == merged.service


def test_an_entry_without_a_place_is_of_the_town_of_its_name() -> None:
    pdx = Site(code="pdx", town="Portland", country="US", latitude=45.52, longitude=-122.68)
    merged = merge_list(service(pdx), a_list(entry("Portland", "US", Latitude=None, Longitude=None)), on=ON)
    assert codes(merged) == {"pdx": ()}
    assert merged.service.sites[0].latitude == 45.52


def test_the_only_town_of_a_name_keeps_its_site_wherever_it_moves() -> None:
    pdx = Site(code="pdx", town="Portland", country="US", latitude=-45.52, longitude=-122.68)
    merged = merge_list(
        service(pdx), a_list(entry("Portland", "US", **OREGON), entry("Portland", "US", **OREGON)), on=ON
    )
    assert [(was.code, site.latitude) for was, site in merged.moved] == [("pdx", 45.52)]
    both = merge_list(service(pdx), a_list(entry("Portland", "US", **OREGON), entry("Portland", "US", **MAINE)), on=ON)
    assert [site.code for site in both.added] == ["us-portland", "us-portland-2"]


@pytest.mark.parametrize(
    ("town", "latitude"),
    [
        ("Juriquilla", 20.5881),  # another name at the same place
        ("Santiago de Querétaro", 20.4),  # a longer name, 21 km away
        ("Queretarro", 20.4),
    ],
)
def test_a_town_that_gets_another_name_is_the_same_site(town: str, latitude: float) -> None:
    qro = Site(code="qro", town="Queretaro", country="MX", latitude=20.5881, longitude=-100.389)
    published = a_list(entry(town, "MX", Latitude=latitude, Longitude=-100.389), entry("Mexico City", "MX"))
    merged = merge_list(service(qro), published, on=ON)
    assert [(was.code, site.town) for was, site in merged.moved] == [("qro", town)]
    assert ([site.code for site in merged.added], merged.closed) == (["mx-mexico"], ())
    assert merge_list(merged.service, published, on=ON).service == merged.service


@pytest.mark.parametrize(
    ("town", "country", "latitude"),
    [
        ("Juriquilla", "MX", 20.61),  # another name 2 km away
        ("Santiago de Querétaro", "MX", 21.1),  # 57 km away
        ("Juriquilla", "GT", 20.5881),
    ],
)
def test_another_town_close_by_is_another_site(town: str, country: str, latitude: float) -> None:
    qro = Site(code="qro", town="Queretaro", country="MX", latitude=20.5881, longitude=-100.389)
    merged = merge_list(service(qro), a_list(entry(town, country, Latitude=latitude, Longitude=-100.389)), on=ON)
    assert [site.town for site in merged.added] == [town]
    assert [site.code for site in merged.closed] == ["qro"]


def test_a_new_name_is_not_taken_for_one_of_two_sites_that_are_gone() -> None:
    one = Site(code="one", town="One", country="DE", latitude=50.0, longitude=8.0)
    two = Site(code="two", town="Two", country="DE", latitude=50.001, longitude=8.0)
    merged = merge_list(service(one, two), a_list(entry("Three", "DE")), on=ON)
    assert [site.code for site in merged.added] == ["de-three"]


def test_a_listed_site_is_not_taken_for_another_at_its_place() -> None:
    one = Site(code="one", town="One", country="DE", latitude=50.0, longitude=8.0)
    merged = merge_list(service(one), a_list(entry("Three", "DE"), entry("One", "DE")), on=ON)
    assert [site.code for site in merged.added] == ["de-three"]


def test_a_known_town_in_a_wrong_country_is_that_town() -> None:
    icn = Site(code="icn", town="Seoul", country="KR", latitude=37.47, longitude=126.45)
    wrong = entry("Seoul", "ZA", Latitude=37.57, Longitude=126.98, Type="Local")
    right = entry("Seoul", "KR", Latitude=37.47, Longitude=126.45)
    merged = merge_list(service(icn), a_list(wrong, right), on=ON)
    assert (merged.added, merged.closed, merged.moved) == ((), (), ())
    alone = merge_list(service(icn), a_list(wrong), on=ON)
    assert ([site.code for site in alone.service.sites], alone.closed) == (["icn"], ())
    again = merge_list(alone.service, a_list(wrong, right), on=ON)
    assert (again.service.sites[0].code, again.service.sites[0].country) == ("icn", "KR")


# Corrections.

NSI = Site(code="nsi", town="Cameroon", country="CM", latitude=3.87, longitude=11.52)


def correction(site: str, **keys: Any) -> Correction:
    return Correction(site=site, reason="published so", **keys)


def test_a_correction_stays_as_long_as_the_list_errs() -> None:
    known = service(NSI, corrections=(correction("nsi", town="Yaounde"),))
    merged = merge_list(known, a_list(entry("Cameroon", "CM", Latitude=3.87, Longitude=11.52)), on=ON)
    assert (merged.service.corrections, merged.corrections_dropped) == (known.corrections, ())


@pytest.mark.parametrize("town", ["Yaounde", "Yaoundé", "YAOUNDE"])
def test_a_town_as_it_is_corrected_is_the_site_that_was_published_wrong(town: str) -> None:
    known = service(NSI, corrections=(correction("nsi", town="Yaounde"),))
    merged = merge_list(known, a_list(entry(town, "CM", Latitude=3.9, Longitude=11.5)), on=ON)
    assert (merged.added, merged.closed) == ((), ())
    assert merged.corrections_dropped == known.corrections
    assert merged.service.corrections == ()
    (site,) = corrected(merged.service, ROOT).sites
    assert (site.code, site.town, site.latitude) == ("nsi", town, 3.9)


def test_only_what_is_mended_of_a_correction_is_dropped() -> None:
    bzv = Site(code="bzv", town="Brazzaville", country="CD", latitude=0.4, longitude=9.4)
    known = service(bzv, corrections=(correction("bzv", country="CG", latitude=-4.25, longitude=15.25),))
    merged = merge_list(known, a_list(entry("Brazzaville", "CG", Latitude=0.4, Longitude=9.4)), on=ON)
    assert merged.service.corrections == (correction("bzv", latitude=-4.25, longitude=15.25),)
    assert merged.corrections_dropped == (correction("bzv", country="CG"),)
    merged = merge_list(known, a_list(entry("Brazzaville", "CD", Latitude=-4.3, Longitude=15.3)), on=ON)
    assert merged.service.corrections == (correction("bzv", country="CG"),)
    assert merged.corrections_dropped == (correction("bzv", latitude=-4.25, longitude=15.25),)
    assert [site.latitude for site in corrected(merged.service, ROOT).sites] == [-4.3]


def test_a_town_that_moves_keeps_the_correction_of_its_other_coordinate() -> None:
    dca = Site(code="dca", town="Washington", country="US", latitude=38.9, longitude=77.04)
    known = service(dca, corrections=(correction("dca", longitude=-77.04),))
    north = merge_list(known, a_list(entry("Washington", "US", Latitude=38.95, Longitude=77.04)), on=ON)
    assert (north.service.corrections, north.service.sites[0].latitude) == (known.corrections, 38.95)
    east = merge_list(known, a_list(entry("Washington", "US", Latitude=38.9, Longitude=-77.03)), on=ON)
    assert (east.service.corrections, east.service.sites[0].longitude) == ((), -77.03)


def test_a_misspelling_that_is_one_of_the_towns_names_is_still_an_error_to_mend() -> None:
    qgl = Site(code="qgl", town="Saint Gallen", country="CH", latitude=47.4, longitude=9.4)
    known = service(qgl, corrections=(correction("qgl", town="St. Gallen"),))
    assert town_key("Saint Gallen", "CH") == town_key("St. Gallen", "CH")
    here = {"Latitude": 47.4, "Longitude": 9.4}
    assert merge_list(known, a_list(entry("Saint Gallen", "CH", **here)), on=ON).corrections_dropped == ()
    assert merge_list(known, a_list(entry("St. Gallen", "CH", **here)), on=ON).corrections_dropped != ()


def test_a_correction_without_a_published_value_stays() -> None:
    known = service(NSI, corrections=(correction("nsi", until=MADE),))
    merged = merge_list(known, a_list(entry("Yaounde", "CM", Latitude=3.87, Longitude=11.52)), on=ON)
    assert merged.service.corrections == known.corrections


# The real lists.


def bundled(name: str) -> Service:
    return load_uncorrected(bundled_file(name))


def real_list(recordings: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((recordings / "sites" / f"root-{name[0]}-2025.json").read_text())
    return document


def mend(document: dict[str, Any], site: Site, correction: Correction) -> None:
    """Mend in a list what is corrected of a site."""
    keys = {
        f"{key[0].upper()}{key[1:]}": value
        for key in ("town", "country", "latitude", "longitude")
        if (value := getattr(correction, key)) is not None
    }
    assert site.latitude is not None
    for wrong in document["Sites"]:
        is_there = abs(wrong["Latitude"] - site.latitude) < 0.005
        if (wrong["Town"], wrong["Country"]) == (site.town, site.country) and ("Latitude" not in keys or is_there):
            wrong.update(keys)


CORRECTIONS = [(name, number) for name in LISTS for number in range(len(bundled(name).corrections))]


@pytest.mark.parametrize(("name", "number"), CORRECTIONS)
def test_a_list_with_one_error_mended_drops_that_correction_and_nothing_else(
    recordings: Path, name: str, number: int
) -> None:
    known, document = bundled(name), real_list(recordings, name)
    mended = known.corrections[number]
    mend(document, next(site for site in known.sites if site.code == mended.site), mended)
    merged = merge_list(known, read_list(document), on=ON)
    assert (merged.added, merged.closed, merged.identities_gone) == ((), (), ())
    assert merged.corrections_dropped == (mended,)
    assert merged.service.corrections == (*known.corrections[:number], *known.corrections[number + 1 :])
    before, after = corrected(known, ROOT), corrected(merged.service, ROOT)
    assert [(site.code, site.town, site.country) for site in after.sites] == [
        (site.code, site.town, site.country) for site in before.sites
    ]
    assert merge_list(merged.service, read_list(document), on=ON).service == merged.service


@pytest.mark.parametrize("name", LISTS)
def test_a_list_with_all_errors_mended_needs_no_correction(recordings: Path, name: str) -> None:
    known, document = bundled(name), real_list(recordings, name)
    sites = {site.code: site for site in known.sites}
    for entry in known.corrections:
        mend(document, sites[entry.site], entry)
    merged = merge_list(known, read_list(document), on=ON)
    assert (merged.added, merged.closed, merged.service.corrections) == ((), (), ())
    assert corrected(merged.service, ROOT)


def disturb(document: dict[str, Any], chance: random.Random) -> None:
    """Do to a list once what operators have done to theirs, and worse."""
    sites = document["Sites"]
    one, other = chance.choice(sites), chance.choice(sites)
    match chance.randrange(9):
        case 0 if len(sites) > 1:
            sites.remove(one)
        case 1:
            one["Town"], other["Town"] = other["Town"], one["Town"]
        case 2:
            one["Town"], one["Country"] = (
                chance.choice(["Portland", "Saint X", "St. X", "!!!", "東京"]),
                other["Country"],
            )
        case 3:
            one["Latitude"], one["Longitude"] = chance.choice([(other["Latitude"], other["Longitude"]), (None, None)])
        case 4 if one["Latitude"] is not None:
            one["Latitude"] = max(-90, min(90, one["Latitude"] + chance.choice([0.02, 0.4, -1.3, 3])))
        case 5:
            one["Identifiers"], other["Identifiers"] = other["Identifiers"], one["Identifiers"]
        case 6:
            one["Identifiers"] = [*(one["Identifiers"] or []), *(other["Identifiers"] or [])[:2], "M-CDG-1", "amx"]
        case 7:
            one["Status"] = "decommissioned"
        case _:
            sites.append({**one, "Latitude": chance.choice([None, 10.0]), "Longitude": 20.0, "Identifiers": []})
            sites[-1]["Longitude"] = None if sites[-1]["Latitude"] is None else 20.0


@pytest.mark.parametrize("name", LISTS)
def test_a_disturbed_list_loses_no_identity_and_no_code_and_changes_nothing_twice(recordings: Path, name: str) -> None:
    chance = random.Random(name)  # noqa: S311
    known, document = bundled(name), real_list(recordings, name)
    codes = [site.code for site in known.sites]
    for _ in range(12):
        for _ in range(chance.randint(1, 5)):
            disturb(document, chance)
        published = read_list(document)
        merged = merge_list(known, published, on=ON)
        service = corrected(merged.service, ROOT)
        assert [site.code for site in service.sites][: len(codes)] == codes
        listed = {text.casefold() for entry in published.entries for text in entry.identities}
        assert listed <= {text.casefold() for site in service.sites for text in site.identities}
        assert merge_list(merged.service, published, on=ON).service == merged.service
        known, codes = merged.service, [site.code for site in service.sites]


def test_a_town_with_very_many_identities_is_merged_in_seconds() -> None:
    patterns = (Pattern(regex=r"^s(?P<site>\d+-\d+)$"),)
    entries = [entry("Amsterdam", "NL", *(f"s{n}-{m}" for m in range(30))) for n in range(2000)]
    began = time.process_time()
    merged = merge_list(service(AMS, patterns=patterns), a_list(*entries), on=ON)
    assert time.process_time() - began < 6
    assert [len(site.codes) for site in merged.service.sites] == [60_000]


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
