"""Where this host is, as users write it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from geopy.exc import GeocoderServiceError, GeocoderUnavailable
from geopy.geocoders import Nominatim
from hypothesis import given
from hypothesis import strategies as st

from catchment.errors import CatchmentError, PlatformFailed, UnknownName
from catchment.platforms.local.places import HostPlace, find_online, find_place


@pytest.mark.parametrize(
    ("text", "latitude", "longitude"),
    [("52.52,13.40", 52.52, 13.40), (" -33.9 , 18.4 ", -33.9, 18.4), ("+1;-2", 1, -2), ("0,0", 0, 0)],
)
def test_degrees_are_taken_as_they_are(text: str, latitude: float, longitude: float) -> None:
    place = find_place(text)
    assert (place.latitude, place.longitude, place.country) == (latitude, longitude, None)


@pytest.mark.parametrize("text", ["91,0", "0,181", "-90.1,0"])
def test_what_is_not_on_earth_is_no_place(text: str) -> None:
    with pytest.raises(UnknownName, match="is not on Earth"):
        find_place(text)


# Towns are kilometres wide, and airports outside them: half a degree is near enough to be the right one.
@pytest.mark.parametrize(
    ("text", "latitude", "longitude", "name"),
    [
        ("London, GB", 51.5, -0.1, "London, GB"),
        ("Tokyo", 35.8, 140.0, "Tokyo, JP"),
        ("tokyo", 35.8, 140.0, "Tokyo, JP"),
        ("Berlin, DE", 52.5, 13.4, "Berlin, DE"),
        ("Berlin, us", 44.6, -71.2, "Berlin, US"),
        ("München", 48.1, 11.6, "Munich, DE"),
        ("Frankfurt", 50.1, 8.7, "Frankfurt am Main, DE"),
        ("Portland, Oregon", 45.5, -122.7, "Portland, Oregon, US"),
        ("Portland, Maine, US", 43.7, -70.3, "Portland, Maine, US"),
        ("Washington, US", 38.9, -77.0, "Washington, US"),
        ("BER", 52.5, 13.4, "Berlin, DE"),
        ("ber", 52.5, 13.4, "Berlin, DE"),
        ("PAU", 21.4, 94.5, "Pauk, MM"),
    ],
)
def test_a_town_or_its_code_is_found_offline(text: str, latitude: float, longitude: float, name: str) -> None:
    place = find_place(text)
    assert (place.latitude, place.longitude) == pytest.approx((latitude, longitude), abs=0.5)
    assert place.name == name


def test_letters_that_are_a_town_and_a_code_are_the_code_in_capitals_only() -> None:
    # Pau is a town in France, and PAU the airfield of Pauk in Myanmar.
    assert find_place("PAU").country == "MM"
    assert find_place("Pau").country == find_place("pau").country == "FR"


def test_a_name_of_two_towns_names_neither() -> None:
    with pytest.raises(UnknownName, match=r"^'Berlin' may be 'Berlin, DE' or 'Berlin, US': say which$"):
        find_place("Berlin")


def test_every_candidate_can_be_given_as_it_is_told() -> None:
    with pytest.raises(UnknownName) as raised:
        find_place("Portland")
    told = str(raised.value).split("'")[3::2]
    assert told == ["Portland, AU", "Portland, Maine, US", "Portland, Oregon, US"]
    assert [find_place(one).name for one in told] == told


def test_a_town_without_an_airport_is_not_guessed() -> None:
    with pytest.raises(UnknownName, match="no airport is in a town called 'Delft': name a larger one near it"):
        find_place("Delft")


@given(st.text(max_size=40))
def test_any_text_is_a_place_or_a_problem_that_is_told(text: str) -> None:
    with suppress(CatchmentError):
        place = find_place(text)
        assert -90 <= place.latitude <= 90


def test_a_geocoder_is_believed() -> None:
    there = HostPlace(name="Delft, Netherlands", latitude=52.01, longitude=4.36, country="NL")
    assert find_online("Delft", lambda text: there if text == "Delft" else None) == there


def test_what_a_geocoder_does_not_know_is_said() -> None:
    with pytest.raises(UnknownName, match="the geocoder knows no place 'Atlantis'"):
        find_online("Atlantis", lambda _: None)


class _Found:
    address = "Delft, South Holland, Netherlands"
    latitude, longitude = 52.01, 4.36
    raw = {"address": {"country_code": "nl"}}  # noqa: RUF012  (as geopy has it)


def test_nominatim_is_asked_once_with_our_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def geocode(self: Nominatim, text: str, **_: object) -> _Found:
        asked.append((self.headers["User-Agent"].partition("/")[0], text))
        return _Found()

    monkeypatch.setattr(Nominatim, "geocode", geocode)
    place = find_online("Delft")
    assert (place.name, place.latitude, place.country) == (_Found.address, 52.01, "NL")
    assert asked == [("catchment", "Delft")]


@pytest.mark.parametrize("error", [GeocoderUnavailable("no\nnetwork"), GeocoderServiceError("403"), OSError("down")])
def test_a_geocoder_that_cannot_be_asked_is_told_in_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Nominatim, "geocode", fail)
    with pytest.raises(PlatformFailed, match=r"^the geocoder could not be asked \([^\n]+\): name a town") as raised:
        find_online("Delft")
    assert "\n" not in str(raised.value)
