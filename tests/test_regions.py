from __future__ import annotations

import itertools

import pytest

from catchment.campaign.regions import AREAS, BANDS, REGIONS
from catchment.geo import CONTINENT_OF, CONTINENTS

REGISTRIES = ("afrinic", "apnic", "arin", "lacnic", "ripencc")
WORLD = ("africa", "americas", "antarctica", "asia", "europe", "oceania")
# Where M49 and our continents differ: islands on which nobody has a probe.
ISLANDS = {"BV", "CC", "CX", "GS", "HM", "IO", "TF"}


def test_there_is_every_region_that_ripe_atlas_documents() -> None:
    assert set(REGIONS) == {
        "africa", "northern_africa", "sub_saharan_africa", "eastern_africa", "middle_africa", "southern_africa",
        "western_africa", "americas", "latin_america_and_caribbean", "caribbean", "central_america", "south_america",
        "northern_america", "antarctica", "asia", "central_asia", "eastern_asia", "south_eastern_asia", "southern_asia",
        "western_asia", "europe", "eastern_europe", "northern_europe", "southern_europe", "western_europe", "oceania",
        "australia_and_new_zealand", "melanesia", "micronesia", "polynesia", "eu27", *REGISTRIES,
    }  # fmt: skip


@pytest.mark.parametrize("parts", [WORLD, REGISTRIES])
def test_each_country_is_in_one_part_of_the_world_and_belongs_to_one_registry(parts: tuple[str, ...]) -> None:
    countries = [country for part in parts for country in REGIONS[part]]
    assert len(countries) == len(set(countries))
    assert set(countries) == set(CONTINENT_OF)


@pytest.mark.parametrize(
    ("region", "continents"),
    [
        ("africa", ["africa"]),
        ("americas", ["north-america", "south-america"]),
        ("asia", ["asia"]),
        ("europe", ["europe"]),
        ("oceania", ["oceania"]),
    ],
)
def test_a_region_of_the_un_is_the_continent_but_for_a_few_islands(region: str, continents: list[str]) -> None:
    countries = {country for continent in continents for country in CONTINENTS[continent].split()}
    assert countries ^ set(REGIONS[region]) <= ISLANDS


# How many the registries and the European Union themselves say they serve; Kosovo has no code of ISO 3166.
@pytest.mark.parametrize(("region", "number"), [("arin", 29), ("apnic", 56), ("ripencc", 76 + 1), ("eu27", 27)])
def test_a_region_has_as_many_countries_as_it_says(region: str, number: int) -> None:
    assert len(set(REGIONS[region])) == number


@pytest.mark.parametrize(
    ("country", "regions"),
    [
        ("IR", {"asia", "southern_asia", "ripencc"}),
        ("TT", {"americas", "latin_america_and_caribbean", "caribbean", "lacnic"}),
        ("GL", {"americas", "northern_america", "ripencc"}),
        ("EG", {"africa", "northern_africa", "afrinic"}),
        ("CY", {"asia", "western_asia", "eu27", "ripencc"}),
        ("MU", {"africa", "sub_saharan_africa", "eastern_africa", "afrinic"}),
        ("AQ", {"antarctica", "arin"}),
    ],
)
def test_a_country_is_in_the_regions_where_it_is_known_to_be(country: str, regions: set[str]) -> None:
    assert {name for name, countries in REGIONS.items() if country in countries} == regions


@pytest.mark.parametrize(
    ("latitude", "longitude", "area"),
    [
        (40.7, -74.0, "West"),  # New York
        (-34.6, -58.4, "West"),  # Buenos Aires
        (64.1, -21.9, "North-Central"),  # Reykjavik
        (41.9, 12.5, "North-Central"),  # Rome
        (-26.2, 28.0, "South-Central"),  # Johannesburg
        (25.2, 55.3, "South-Central"),  # Dubai
        (35.7, 139.7, "North-East"),  # Tokyo
        (28.6, 77.2, "North-East"),  # Delhi
        (1.3, 103.8, "South-East"),  # Singapore
        (-36.8, 174.8, "South-East"),  # Auckland
        (90.0, 180.0, "North-East"),  # the ends of the map belong to somebody
        (-90.0, -180.0, "West"),
    ],
)
def test_a_place_is_in_one_area(latitude: float, longitude: float, area: str) -> None:
    assert [name for name, band in BANDS.items() if band.holds(latitude, longitude)] == [area]


def test_the_areas_leave_no_gap_and_do_not_overlap() -> None:
    for latitude, longitude in itertools.product(range(-90, 91, 3), range(-180, 181, 5)):
        assert sum(band.holds(latitude, longitude) for band in BANDS.values()) == 1


def test_an_area_is_everywhere_a_part_of_the_globe_or_a_continent() -> None:
    assert AREAS[0] == "WW"
    assert set(AREAS) == {"WW", *BANDS, *CONTINENTS}
