from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.errors import InvalidFile
from catchment.geo import arc_km
from catchment.places import exchanges, iata_place
from catchment.places.exchanges import exchange_at, load_lans

TABLE = Path(exchanges.__file__).with_suffix(".toml")


def sources(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from sources(value)
        elif isinstance(value, str):
            yield key, value


# Ports of networks at these exchanges, as public traceroutes and PeeringDB show them.
@pytest.mark.parametrize(
    ("address", "name", "town", "country"),
    [
        ("80.81.194.26", "DE-CIX", "Frankfurt", "DE"),  # decix-ae3.mpr1.fra4.de.zip.zayo.com
        ("2001:7f8::1b1b:0:1", "DE-CIX", "Frankfurt", "DE"),  # AS6939
        ("80.249.209.150", "AMS-IX", "Amsterdam", "NL"),
        ("195.66.224.21", "LINX LON1", "London", "GB"),
        ("195.66.236.140", "LINX LON2", "London", "GB"),
        ("194.68.123.157", "Netnod", "Stockholm", "SE"),  # netnod-a.stk.retn.net
        ("206.126.236.17", "Equinix", "Ashburn", "US"),
        ("206.81.80.30", "SIX", "Seattle", "US"),
        ("187.16.218.139", "IX.br", "São Paulo", "BR"),
        ("196.60.9.133", "NAPAfrica", "Johannesburg", "ZA"),
        ("2001:de8:4::8075:1", "Equinix", "Singapore", "SG"),
        ("210.171.224.116", "JPIX", "Tokyo", "JP"),
        ("218.100.52.4", "NSW-IX", "Sydney", "AU"),
    ],
)
def test_an_address_in_a_peering_lan_tells_the_exchange(address: str, name: str, town: str, country: str) -> None:
    exchange = exchange_at(address)
    assert exchange is not None
    assert (exchange.name, exchange.town, exchange.country) == (name, town, country)


@pytest.mark.parametrize(
    "address", ["193.239.117.16", "91.206.52.152", "2001:7f8:13::a500:8075:1", "103.231.152.101", "206.72.210.143"]
)
def test_a_lan_that_is_spread_over_towns_tells_nothing(address: str) -> None:
    assert exchange_at(address) is None


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "0.0.0.1", "255.255.255.255", "::", "ffff::1", "2001:db8::1", "80.81.191.255"]
)
def test_an_address_elsewhere_has_no_exchange(address: str) -> None:
    assert exchange_at(address) is None


def test_the_first_and_the_last_address_of_a_lan_are_in_it() -> None:
    for lan in load_lans():
        for number in (lan.first, lan.last):
            address = ipaddress.IPv4Address(number) if lan.version == 4 else ipaddress.IPv6Address(number)
            assert exchange_at(str(address)) == lan.exchange


def test_the_great_exchanges_of_the_world_are_there() -> None:
    known = {(lan.exchange.name, lan.exchange.town) for lan in load_lans() if lan.exchange}
    assert len(known) >= 200
    assert len({town for _, town in known}) >= 120
    assert {
        ("NIX.CZ", "Prague"),
        ("VIX", "Vienna"),
        ("MIX", "Milan"),
        ("HKIX", "Hong Kong"),
        ("TorIX", "Toronto"),
    } <= known


def test_every_prefix_has_a_source() -> None:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    assert {prefix for prefix, _ in sources(table)} == {lan.prefix for lan in load_lans()}
    assert all(letters and set(letters) <= set("MPDG") for _, letters in sources(table))
    assert all(letters != "P" for _, letters in sources(table))  # that list may not be used for every purpose
    assert all("D" not in letters for prefix, letters in sources(table) if ":" in prefix)  # that list has none


def test_towns_stand_where_their_airports_are() -> None:
    airports = {"Frankfurt": "fra", "São Paulo": "gru", "Sydney": "syd", "Seattle": "sea", "Auckland": "akl"}
    airports |= {"Cape Town": "cpt", "Honolulu": "hnl", "Osaka": "kix", "Warsaw": "waw"}
    found = {lan.exchange.town: lan.exchange for lan in load_lans() if lan.exchange}
    for town, code in airports.items():
        place = iata_place(code)
        assert place is not None
        there = found[town]
        assert arc_km(there.latitude, there.longitude, place.latitude, place.longitude) < 60


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[DE.Frankfurt]\nat = [50, 8]\nX = { "192.0.2.0/24" = "P" }\nY = { "192.0.2.128/25" = "P" }', "overlap"),
        ('[DE.Frankfurt]\nat = [50, 8]\nX = { "192.0.2.1/24" = "P" }', "'192.0.2.1/24' is no prefix"),
        ('[DE.Frankfurt]\nX = { "192.0.2.0/24" = "P" }', "needs a place on Earth"),
        ('[DE.Frankfurt]\nat = [91, 8]\nX = { "192.0.2.0/24" = "P" }', "needs a place on Earth"),
        ('[spread]\nX = { "2001:db8::/32" = "P" }\n[DE.F]\nat = [1, 1]\nY = { "2001:db8:1::/48" = "P" }', "overlap"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "exchanges.toml"
    path.write_text(text)
    with pytest.raises(InvalidFile, match=said):
        load_lans(path)


@pytest.mark.parametrize("text", ["", "fra", "80.81.194", "80.81.194.26/32", "1" * 65_536, "\x00", "80.81.194.26\n"])
def test_what_is_no_address_has_no_exchange(text: str) -> None:
    assert exchange_at(text) is None


@given(st.one_of(st.text(), st.ip_addresses().map(str)))
def test_any_text_gives_an_exchange_whose_lan_holds_it_or_none(text: str) -> None:
    exchange = exchange_at(text)
    if exchange is not None:
        number = int(ipaddress.ip_address(text))
        assert any(lan.first <= number <= lan.last and lan.exchange == exchange for lan in load_lans())
