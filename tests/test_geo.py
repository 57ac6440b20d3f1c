from __future__ import annotations

import csv
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from geopy.distance import geodesic
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from catchment import geo
from catchment.geo import CONTINENT_OF, CONTINENTS, LIGHT_KM_PER_MS, distance_km, nearest

Place = tuple[float, float]
Array = NDArray[np.float64]

latitudes = st.floats(-90, 90) | st.sampled_from([-90.0, 0.0, 90.0])
longitudes = st.floats(-180, 180) | st.sampled_from([-180.0, 0.0, 180.0])
places = st.tuples(latitudes, longitudes)
# Places that compete: corners of a coarse grid coincide, and lie opposite to one another.
grid = st.tuples(st.sampled_from([-90.0, -45.0, 0.0, 45.0, 90.0]), st.sampled_from([-180.0, -90.0, 0.0, 90.0, 180.0]))


def columns(of: list[Place]) -> tuple[Array, Array]:
    return np.array([latitude for latitude, _ in of]), np.array([longitude for _, longitude in of])


def nearest_of(points: list[Place], sites: list[Place]) -> tuple[list[int], list[float]]:
    index, distances = nearest(*columns(points), *columns(sites))
    return index.tolist(), distances.tolist()


def check_against_brute_force(points: list[Place], sites: list[Place]) -> None:
    for point, index, distance in zip(points, *nearest_of(points, sites), strict=True):
        every = [geodesic(point, site).km for site in sites]
        assert every[index] <= min(every) + 1e-6
        assert distance == pytest.approx(every[index], abs=1e-6)


@given(places, places)
@example((0.0, 0.0), (0.0, 180.0))
@example((90.0, 0.0), (-90.0, 0.0))
@example((0.5, 0.0), (-0.5, 179.7))
@example((12.0, 180.0), (12.0, -180.0))
def test_distances_are_geodesics_on_the_ellipsoid(one: Place, other: Place) -> None:
    (found,) = distance_km(*columns([one]), *columns([other]))
    assert found == pytest.approx(geodesic(one, other).km, abs=1e-6)


def test_distances_are_taken_pair_by_pair() -> None:
    one, other = [(50.0, 8.0), (1.0, 103.0), (0.0, 0.0)], [(51.0, 0.0), (1.0, 103.0), (0.0, 1.0)]
    found = distance_km(*columns(one), *columns(other))
    assert found == pytest.approx([geodesic(a, b).km for a, b in zip(one, other, strict=True)], abs=1e-6)


def test_a_degree_on_the_equator_is_as_long_as_wgs_84_says() -> None:
    (found,) = distance_km(*columns([(0.0, 10.0)]), *columns([(0.0, 11.0)]))
    assert found == pytest.approx(2 * math.pi * 6378.137 / 360, abs=1e-6)


@given(st.lists(places, min_size=1, max_size=4), st.lists(places, min_size=1, max_size=8))
def test_the_nearest_site_is_that_of_brute_force(points: list[Place], sites: list[Place]) -> None:
    check_against_brute_force(points, sites)


@given(st.lists(grid, min_size=1, max_size=6), st.lists(grid | places, min_size=1, max_size=8))
def test_the_nearest_site_is_right_at_poles_and_antimeridian(points: list[Place], sites: list[Place]) -> None:
    check_against_brute_force(points, sites)


@settings(max_examples=60)
@given(places, st.floats(100, 19_000), st.lists(st.floats(0, 360), min_size=2, max_size=6), st.integers(0, 2**32))
def test_the_nearest_of_sites_at_nearly_one_distance_is_right(
    point: Place, away_km: float, bearings: list[float], seed: int
) -> None:
    # On the sphere these sites are equally far: only the ellipsoid, up to 0.56 %, tells them apart.
    shift = np.random.default_rng(seed).uniform(-4e-3, 4e-3, len(bearings))
    sites = []
    for bearing, offset in zip(bearings, shift, strict=True):
        arc, phi = away_km / 6371.0088 * (1 + offset), math.radians(point[0])
        theta = math.radians(bearing)
        lat = math.asin(
            max(-1.0, min(1.0, math.sin(phi) * math.cos(arc) + math.cos(phi) * math.sin(arc) * math.cos(theta)))
        )
        lon = math.atan2(math.sin(theta) * math.sin(arc) * math.cos(phi), math.cos(arc) - math.sin(phi) * math.sin(lat))
        sites.append((math.degrees(lat), (point[1] + math.degrees(lon) + 180) % 360 - 180))
    check_against_brute_force([point], sites)


def test_the_ellipsoid_turns_the_order_of_two_sites_round() -> None:
    # Degrees along the meridian are shorter here than along the equator: 0.9055 of them are less than 0.9.
    point, east, north = (0.0, 0.0), (0.0, 0.9), (0.9055, 0.0)
    assert geodesic(point, north).km < geodesic(point, east).km
    assert nearest_of([point], [east, north])[0] == [1]


@given(places, st.integers(2, 5), st.lists(places, max_size=2))
def test_of_sites_at_one_place_the_first_wins(site: Place, copies: int, others: list[Place]) -> None:
    sites = [*others, *[site] * copies]
    ((index,), (distance,)) = nearest_of([site], sites)
    assert index <= len(others)
    assert distance == pytest.approx(geodesic(site, sites[index]).km, abs=1e-6)
    assert nearest_of([(10.0, 20.0)], [site] * copies)[0] == [0]


def test_no_distance_is_missing_even_at_the_site_and_opposite_to_it() -> None:
    points = [(0.0, 0.0), (90.0, 0.0), (-90.0, 33.0), (0.0, 180.0), (0.0, -180.0), (51.5, -0.1), (-51.5, 179.9)]
    for site in points:
        assert not any(map(math.isnan, nearest_of(points, [site])[1]))
    assert nearest_of(points, points)[1] == pytest.approx([0.0] * len(points), abs=1e-6)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 8, 100])
def test_points_are_worked_off_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    numbers = np.random.default_rng(7)
    points = list(zip(numbers.uniform(-90, 90, 8).tolist(), numbers.uniform(-180, 180, 8).tolist(), strict=True))
    sites = list(zip(numbers.uniform(-90, 90, 30).tolist(), numbers.uniform(-180, 180, 30).tolist(), strict=True))
    monkeypatch.setattr(geo, "_CHUNK", chunk)
    check_against_brute_force(points, sites)


def test_without_points_nothing_is_nearest() -> None:
    assert nearest_of([], [(1.0, 1.0)]) == ([], [])


def test_without_sites_nothing_can_be_nearest() -> None:
    with pytest.raises(ValueError, match="no site"):
        nearest_of([(1.0, 1.0)], [])


def test_light_in_fibre_covers_the_fields_constant() -> None:
    assert round(LIGHT_KM_PER_MS, 3) == 98.616


def test_distances_agree_with_those_published_for_the_recording(recordings: Path) -> None:
    listed = json.loads((recordings / "probes" / "africa-2015.json").read_text())["objects"]
    probes = {probe["id"]: (probe["latitude"], probe["longitude"]) for probe in listed}
    with (recordings / "atlas" / "cloudflare-ns-id-server-africa.expected.csv").open() as table:
        rows = list(csv.DictReader(table))
    found = distance_km(
        *columns([probes[int(row["prb_id"])] for row in rows]),
        *columns([(float(row["site_lat"]), float(row["site_lon"])) for row in rows]),
    )
    assert len(rows) == 5410
    # Theirs are great circles, which the ellipsoid makes up to 0.56 % longer or shorter.
    assert found == pytest.approx([float(row["distance_km"]) for row in rows], rel=0.006)


def test_a_country_is_in_one_continent() -> None:
    every = [country for countries in CONTINENTS.values() for country in countries.split()]
    assert len(every) == len(set(every)) == len(CONTINENT_OF)


def test_country_codes_are_two_capital_letters() -> None:
    assert all(len(code) == 2 and code.isascii() and code.isalpha() and code.isupper() for code in CONTINENT_OF)


@pytest.mark.parametrize(
    ("country", "continent"),
    [("ZA", "africa"), ("AQ", "antarctica"), ("CY", "asia"), ("RU", "europe"), ("MX", "north-america"),
     ("NZ", "oceania"), ("BR", "south-america"), ("XK", "europe")],
)  # fmt: skip
def test_a_country_lies_where_the_united_nations_put_it(country: str, continent: str) -> None:
    assert CONTINENT_OF[country] == continent


def test_every_country_of_the_probe_archive_has_a_continent(recordings: Path) -> None:
    listed = json.loads(gzip.decompress((recordings / "probes" / "2018-12-11.json.gz").read_bytes()))
    probes = listed["objects"] if isinstance(listed, dict) else listed
    countries = {probe.get("country_code") for probe in probes} - {None, ""}
    assert len(countries) > 150
    assert countries <= set(CONTINENT_OF)
