import datetime
import ipaddress
import re
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.campaign import load_service, load_uncorrected, service_to_toml
from catchment.model import (
    Address,
    BuiltIn,
    Correction,
    HopName,
    Kind,
    Neighbour,
    Override,
    Pattern,
    Service,
    Site,
    Source,
)
from catchment.services import bundled_file, bundled_service, service_names

DAY = datetime.date(2026, 11, 22)
SERVICE = Service(
    name="own",
    operator="we",
    answers=("nsid", "id.server"),
    answers_since=DAY,
    open_list=True,
    addresses=(Address(address="192.0.2.1"), Address(address="192.0.2.2", until=DAY)),
    patterns=(
        Pattern(regex=r"^(?P<site>[a-z]{3})\d+$", codes="iata", of=("nsid",)),
        Pattern(regex="^(?P<site>[a-z]+)$", until=DAY),
    ),
    overrides=(Override(regex="^lab$", site="fra", reason="it's our lab"),),
    measurements=(BuiltIn(id=10301, kind=Kind.DNS, af=4, query="hostname.bind"),),
    sources=(Source(of="sites", text='our "list"', date=DAY),),
    neighbours=(Neighbour(prefix="198.51.100.0/24", site="fra"),),
    hop_names=(HopName(address="198.51.100.1", name="r1.fra"),),
    corrections=(Correction(site="fra", reason="a sign", longitude=8.68),),
    sites=(
        Site(code="fra", town="Frankfurt", country="DE", latitude=50.11, longitude=-8.68),
        Site(code="ham", town="Hamburg", country="DE", scope="local", families=(6,), since=DAY, identities=("a", "b")),
    ),
)
TEXT = r"""# Our service.
#
# Two sites.
name = "own"
operator = "we"
answers = ["nsid", "id.server"]
answers_since = 2026-11-22
open_list = true
addresses = [
  { address = "192.0.2.1" },
  { address = "192.0.2.2", until = 2026-11-22 },
]
patterns = [
  { regex = '^(?P<site>[a-z]{3})\d+$', codes = "iata", of = ["nsid"] },
  { regex = "^(?P<site>[a-z]+)$", until = 2026-11-22 },
]
overrides = [
  { regex = "^lab$", site = "fra", reason = "it's our lab" },
]
measurements = [
  { id = 10301, kind = "dns", af = 4, query = "hostname.bind" },
]
sources = [
  { of = "sites", text = 'our "list"', date = 2026-11-22 },
]
neighbours = [
  { prefix = "198.51.100.0/24", site = "fra" },
]
hop_names = [
  { address = "198.51.100.1", name = "r1.fra" },
]
corrections = [
  { site = "fra", reason = "a sign", longitude = 8.68 },
]
sites = [
  { code = "fra", town = "Frankfurt", country = "DE", latitude = 50.11, longitude = -8.68 },
  { code = "ham", town = "Hamburg", country = "DE", scope = "local", families = [6], since = 2026-11-22, """
TEXT += """identities = ["a", "b"] },
]
"""


def read_back(text: str) -> Service:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "own.toml"
        file.write_text(text, encoding="utf-8")
        return load_uncorrected(file)


def test_a_service_is_written_as_the_bundled_ones_look() -> None:
    assert service_to_toml(SERVICE, "Our service.\n\nTwo sites.") == TEXT


def test_every_part_of_a_service_is_written() -> None:
    whole = replace(SERVICE, sites_of="k-root")
    assert all(f"\n{field.name} = " in f"\n{service_to_toml(whole)}" for field in fields(Service))
    assert read_back(service_to_toml(whole)) == whole


@pytest.mark.parametrize("name", service_names())
def test_a_bundled_service_read_back_is_the_same(name: str, tmp_path: Path) -> None:
    known = load_uncorrected(bundled_file(name))
    assert read_back(service_to_toml(known)) == known
    file = tmp_path / "loaded.toml"
    file.write_text(service_to_toml(bundled_service(name)), encoding="utf-8")
    assert load_service(file) == bundled_service(name)


def test_a_heading_is_nothing_but_comment() -> None:
    hostile = 'one\r\nname = "evil"\x0bthree\x00\u2028operator = "evil"\x1b[31m'
    text = service_to_toml(SERVICE, hostile)
    assert text.splitlines()[:4] == ["# one", '# name = "evil"', "# three\\u0000", '# operator = "evil"\\u001b[31m']
    assert read_back(text) == SERVICE


def test_no_invisible_character_stands_in_a_file() -> None:
    text = service_to_toml(replace(SERVICE, operator="a\u202eb\x7f\u200b\U000e0001 São"))
    assert r'operator = "a\u202eb\u007f\u200b\U000e0001 São"' in text


def test_a_text_that_no_file_can_hold_is_not_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        service_to_toml(replace(SERVICE, operator="\ud800"))


texts = st.one_of(st.text(max_size=30), st.text(alphabet="'\"\\\n\r\t#[]{}=,u0\x00\x7f\u2028 ", max_size=12))
degrees = st.none() | st.floats(allow_nan=False, allow_infinity=False)
days = st.none() | st.dates()
several = st.lists(texts, max_size=3).map(tuple)
addresses = st.ip_addresses().map(str)
sites = st.builds(
    Site,
    code=texts,
    town=texts,
    country=texts,
    latitude=degrees,
    longitude=degrees,
    scope=st.sampled_from(["global", "local"]),
    families=st.sampled_from([(4, 6), (4,), (6,)]),
    since=days,
    until=days,
    codes=several,
    identities=several,
)
corrections = st.builds(
    Correction,
    site=texts,
    reason=texts,
    town=st.none() | texts,
    country=st.none() | texts,
    latitude=degrees,
    longitude=degrees,
    until=days,
)
patterns = st.builds(
    Pattern,
    regex=texts.map(lambda text: f"{re.escape(text)}(?P<site>x)"),
    codes=st.sampled_from(["own", "iata", "unlocode"]),
    of=several,
    until=days,
)
services = st.builds(
    Service,
    name=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,9}", fullmatch=True),
    operator=texts,
    addresses=st.lists(st.builds(Address, address=addresses, since=days, until=days), min_size=1, max_size=3).map(
        tuple
    ),
    answers=several,
    answers_since=days,
    patterns=st.lists(patterns, max_size=3).map(tuple),
    overrides=st.lists(st.builds(Override, regex=texts.map(re.escape), site=texts, reason=texts), max_size=2).map(
        tuple
    ),
    sites=st.lists(sites, max_size=4).map(tuple),
    sites_of=st.none() | texts,
    open_list=st.booleans(),
    neighbours=st.lists(
        st.builds(
            Neighbour, prefix=st.ip_addresses().map(lambda address: str(ipaddress.ip_network(address))), site=texts
        ),
        max_size=3,
        unique_by=lambda neighbour: neighbour.prefix,
    ).map(tuple),
    hop_names=st.lists(
        st.builds(HopName, address=addresses, name=texts), max_size=3, unique_by=lambda hop: hop.address
    ).map(tuple),
    measurements=st.lists(
        st.builds(BuiltIn, id=st.integers(0, 2**40), kind=st.sampled_from(Kind), af=st.sampled_from([4, 6])), max_size=2
    ).map(tuple),
    corrections=st.lists(corrections, max_size=3).map(tuple),
    sources=st.lists(st.builds(Source, of=texts, text=texts, date=st.dates()), max_size=3).map(tuple),
)


@given(services, texts)
def test_any_service_read_back_is_the_same(service: Service, heading: str) -> None:
    assert read_back(service_to_toml(service, heading)) == service
