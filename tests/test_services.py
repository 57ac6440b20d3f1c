import datetime
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from catchment import terminal, workflow
from catchment.campaign import load_service
from catchment.errors import InvalidFile, UnknownName
from catchment.services import (
    bundled_file,
    bundled_service,
    find_service,
    known_names,
    service_names,
    usable_services,
)
from catchment.store import Run
from tests.atlas_results import dns_result
from tests.conftest import EXAMPLE_SERVICE, ROOT

Catchment = Callable[..., subprocess.CompletedProcess[str]]
TODAY = datetime.date(2026, 11, 22)


MINE = """
name = "mine"
operator = "we"
addresses = [{ address = "192.0.2.1" }]
sites = [
  { code = "fra", town = "Frankfurt", country = "DE", families = [6], codes = ["muc", "str"], scope = "local" },
  { code = "ber", town = "Berlin", country = "DE", latitude = 52.52, longitude = 13.40, until = 2026-11-22 },
  { code = "lon", town = "London", country = "GB", since = 2026-11-23 },
]
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the user's own versions: of this test, not of who runs it."""
    monkeypatch.setenv("CATCHMENT_SERVICES", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def put(folder: Path, name: str, **changes: str) -> Path:
    file = folder / f"{name}.toml"
    text = MINE.replace('"mine"', f'"{name}"')
    for key, value in changes.items():
        text = text.replace("\nsites = [", f"\n{key} = {value}\nsites = [")
    file.write_text(text)
    return file


def printed(renderable: Any, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(renderable)
    return console.export_text()


@pytest.mark.parametrize("name", service_names())
def test_every_bundled_service_loads_under_its_own_name(name: str) -> None:
    service = bundled_service(name)
    assert service.name == name
    assert service.sources


@pytest.mark.parametrize("name", service_names())
def test_every_published_fact_has_a_source_and_a_date(name: str) -> None:
    parts = " ".join(source.of for source in bundled_service(name).sources)
    assert "addresses" in parts
    assert not bundled_service(name).sites or "sites" in parts


def test_opendns_promises_no_identity() -> None:
    assert bundled_service("opendns").answers == ()


def test_b_root_keeps_its_former_addresses_with_the_day_they_ended() -> None:
    ended = {entry.address: entry.until for entry in bundled_service("b-root").addresses}
    assert ended["199.9.14.201"] is not None
    assert ended["170.247.170.2"] is None


def test_decommissioned_sites_of_k_root_stay_dated() -> None:
    assert any(site.until is not None for site in bundled_service("k-root").sites)


def test_the_lists_agree_with_those_published(recordings: Path) -> None:
    folder = recordings / "sites"
    cloudflare = json.loads((folder / "cloudflare-2026-08.json").read_text())
    assert {site.code for site in bundled_service("cloudflare-ns").sites} == {code.lower() for code in cloudflare}
    for letter in ("k", "b"):
        published = json.loads((folder / f"root-{letter}-2025.json").read_text())["Sites"]
        ours = {text for site in bundled_service(f"{letter}-root").sites for text in site.identities}
        assert ours == {text.lower() for site in published for text in site["Identifiers"]}


def test_a_misspelt_service_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'k-root'"):
        find_service("k-rot")


def test_an_unknown_service_lists_those_that_have_a_name(own: Path) -> None:
    put(own, "mine")
    with pytest.raises(UnknownName, match=r"known by name are a-root, .*, k-root, .*, mine, .*; or name a TOML file"):
        find_service("zzzzzz")


def test_a_service_may_be_a_file() -> None:
    assert find_service(str(EXAMPLE_SERVICE)) == load_service(EXAMPLE_SERVICE)


def test_an_own_file_is_found_by_name_before_the_bundled_one(own: Path) -> None:
    put(own, "k-root")
    assert find_service("k-root").operator == "we"
    assert bundled_service("k-root").operator == "RIPE NCC"
    assert known_names() == service_names()
    put(own, "mine")
    assert find_service("mine").operator == "we"
    assert "mine" in known_names()


def test_an_import_that_names_no_service_finds_the_own_version(own: Path, import_lines: Callable[..., Run]) -> None:
    put(own, "k-root", patterns="[{ regex = '^(?P<site>[a-z]{3})1$' }]", answers='["hostname.bind"]')
    run = import_lines(dns_result(1, "fra1", dst_addr="192.0.2.1"), service=None)
    assert [service.operator for service in run.header.services] == ["we"]
    assert run.assignments.project("site").fetchall() == [("fra",)]


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (lambda file: file.write_text("name = "), "not a TOML file"),
        (lambda file: file.write_text('name = "k-root"'), "is missing"),
        (lambda file: file.write_text(MINE), "key 'name' is 'mine'"),
        (lambda file: file.symlink_to("nowhere.toml"), "a link to 'nowhere.toml', where nothing is: mend the link"),
        (lambda file: file.symlink_to(file.name), "a link to 'k-root.toml', where nothing is"),
        (lambda file: file.mkdir(), "Is a directory"),
        (lambda file: file.write_bytes(b"\xff"), "not a TOML file"),
    ],
)
def test_an_own_file_that_cannot_be_used_stops_nobody_else(
    own: Path, import_lines: Callable[..., Run], break_it: Callable[[Path], None], complaint: str
) -> None:
    break_it(own / "k-root.toml")
    with pytest.raises(InvalidFile) as caught:
        find_service("k-root")
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(str(own / "k-root.toml"))
    short = {service["name"]: service for service in workflow.list_services(TODAY)}
    assert short["k-root"]["error"] == str(caught.value)
    assert (short["k-root"]["sites"], short["k-root"]["origin"]) == (None, str(own / "k-root.toml"))
    assert {name for name, service in short.items() if service["error"] is not None} == {"k-root"}
    assert set(short["k-root"]) == set(short["l-root"])
    text = " ".join(printed(terminal.show_services(list(short.values())), width=300).split())
    assert "k-root cannot be used" in text
    assert complaint in text
    assert "go back: catchment services update k-root --bundled" in text
    services, (warning,) = usable_services()
    assert bundled_service("k-root") in services
    assert warning == f"{caught.value}; until then it is the bundled version"
    run = import_lines(dns_result(1, "ns1.nl-ams.k.ripe.net", dst_addr="193.0.14.129"), service=None)
    assert run.assignments.project("site").fetchall() == [("nl-ams",)]


def test_an_import_tells_of_an_own_file_that_cannot_be_used(own: Path, catchment: Catchment, tmp_path: Path) -> None:
    (own / "mine.toml").write_text("name = ")
    results = tmp_path / "results.ndjson"
    results.write_text(json.dumps(dns_result(1, "ns1.nl-ams.k.ripe.net", dst_addr="193.0.14.129")))
    done = catchment("import", results, "--out", tmp_path / "runs" / "one")
    assert done.returncode == 0
    assert f"warning: {own / 'mine.toml'}: not a TOML file" in done.stderr
    assert "until then it is left out" in done.stderr
    again = catchment("derive", tmp_path / "runs" / "one")
    assert (again.returncode, "mine.toml" in again.stderr) == (0, False)


def test_a_service_of_ones_own_is_found_by_its_address(own: Path, import_lines: Callable[..., Run]) -> None:
    put(own, "mine", patterns="[{ regex = '^(?P<site>[a-z]{3})1$' }]", answers='["hostname.bind"]')
    run = import_lines(dns_result(1, "fra1", dst_addr="192.0.2.1"), service=None)
    assert [service.name for service in run.header.services] == ["mine"]
    assert run.assignments.project("site").fetchall() == [("fra",)]


def test_an_address_that_a_bundled_service_has_is_that_ones(own: Path, import_lines: Callable[..., Run]) -> None:
    for name in ("aaa", "zzz"):
        file = put(own, name)
        file.write_text(file.read_text().replace("192.0.2.1", "193.0.14.129"))
    run = import_lines(dns_result(1, "ns1.nl-ams.k.ripe.net", dst_addr="193.0.14.129"), service=None)
    assert [service.name for service in run.header.services] == ["k-root"]


PORTLANDS = """
name = "mine"
operator = "we"
addresses = [{{ address = "192.0.2.1" }}]
sites = [
  {{ code = "pdx", town = "Portland", country = "US", latitude = 45.52, longitude = -122.68 }},
  {{ code = "other", town = "Portland, {town}", country = "US"{place} }},
]
"""


def test_two_towns_of_one_name_are_two_sites_if_they_are_far_from_each_other(own: Path) -> None:
    file = own / "mine.toml"
    file.write_text(PORTLANDS.format(town="Maine", place=", latitude = 43.66, longitude = -70.26"))
    assert [site.code for site in find_service("mine").sites] == ["pdx", "other"]
    for place in ("", ", latitude = 46.80, longitude = -122.68"):  # 142 km
        file.write_text(PORTLANDS.format(town="OR", place=place))
        with pytest.raises(
            InvalidFile, match="the town 'Portland, OR, US' is there twice, once as 'Portland', in 'pdx'"
        ):
            find_service("mine")
    file.write_text(PORTLANDS.format(town="OR", place=", latitude = 46.90, longitude = -122.68"))  # 153 km
    assert len(find_service("mine").sites) == 2


def test_an_own_file_is_called_as_the_service(own: Path) -> None:
    put(own, "mine").rename(own / "k-root.toml")
    with pytest.raises(InvalidFile, match=r"k-root\.toml: key 'name' is 'mine'"):
        find_service("k-root")


def test_sites_of_a_bundled_service_are_found_by_its_name(own: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\noperator = "we"\naddresses = [{ address = "192.0.2.1" }]\nsites_of = "b-root"')
    service = find_service(str(file))
    assert service.sites == bundled_service("b-root").sites
    assert service.sites_of is None
    put(own, "b-root")
    assert [site.code for site in find_service(str(file)).sites] == ["fra", "ber", "lon"]


@pytest.mark.parametrize(
    ("sites_of", "complaint"),
    [
        ("b-rot", "key 'sites_of': there is no service 'b-rot': did you mean 'b-root'?"),
        ("chain", "key 'sites_of': 'chain' has its own sites elsewhere, in 'b-root'"),
        ("mine", "key 'sites_of': 'mine' goes round in a circle, in 'mine'"),
        ("back", "key 'sites_of': 'back' goes round in a circle, in 'mine'"),
    ],
)
def test_sites_of_nobody_or_of_one_that_has_none_itself_is_one_line(own: Path, sites_of: str, complaint: str) -> None:
    put(own, "chain", sites_of='"b-root"')
    put(own, "back", sites_of='"mine"')
    file = put(own, "mine", sites_of=f'"{sites_of}"')
    with pytest.raises(InvalidFile) as caught:
        find_service("mine")
    assert str(caught.value).startswith(f"{file}: {complaint}")
    assert "\n" not in str(caught.value)


def test_a_list_says_how_many_sites_serve_and_of_what_day_they_are(own: Path) -> None:
    put(own, "mine", sources='[{ of = "addresses", text = "we", date = 2026-01-01 }]')
    put(own, "undated")
    short = {service["name"]: service for service in workflow.list_services(TODAY)}
    # Berlin closed today, London opens tomorrow.
    assert (short["mine"]["sites"], short["mine"]["active_sites"], short["mine"]["source_date"]) == (3, 1, "2026-01-01")
    assert short["undated"]["source_date"] is None
    sites = next(source.date for source in bundled_service("k-root").sources if "sites" in source.of)
    assert short["k-root"]["source_date"] == sites.isoformat()
    text = printed(terminal.show_services(list(short.values())), width=160)
    assert f"mine is the version in {own / 'mine.toml'}" in text.replace("\n", "")
    assert "mine we 3 1 2026-01-01 none 192.0.2.1" in " ".join(text.split())


def test_a_newer_bundled_version_is_told(own: Path) -> None:
    put(own, "k-root", sources='[{ of = "sites", text = "we", date = 2020-01-01 }]')
    text = " ".join(printed(terminal.show_services(workflow.list_services(TODAY))).split())
    assert "the bundled one is newer" in text
    assert "catchment services update k-root --bundled" in text


def test_a_service_is_shown_with_all_that_it_says(own: Path) -> None:
    put(
        own,
        "mine",
        patterns="[{ regex = '^(?P<site>[a-z]{5})$', codes = \"unlocode\", until = 2020-01-01 }]",
        overrides='[{ regex = "lab", site = "fra", reason = "our lab" }]',
        neighbours='[{ prefix = "198.51.100.0/24", site = "ber" }]',
        hop_names='[{ address = "198.51.100.1", name = "r1.\\u001b[31mber" }]',
        corrections='[{ site = "ber", country = "DE", reason = "said [bold]AT[/bold]" }]',
        measurements='[{ id = 1, kind = "dns", af = 6, query = "id.server" }]',
        sources='[{ of = "sites", text = "our list", date = 2026-01-01 }]',
        open_list="true",
    )
    text = printed(terminal.show_service(workflow.describe_service("mine")))
    for words in (
        "mine is the version in",
        str(own / "mine.toml"),
        "addresses    192.0.2.1",
        "answers      no identity query",
        "pattern      ^(?P<site>[a-z]{5})$  (UN/LOCODE, until 2020-01-01)",
        "override     lab is fra: our lab",
        "measurement  1: dns id.server, IPv6",
        "neighbour    198.51.100.0/24 is at ber",
        "router       198.51.100.1 is r1.\\x1b[31mber",
        "source       sites: our list (2026-01-01)",
        "correction   ber: country DE: said [bold]AT[/bold]",
        "sites        not all are published",
        "local, IPv6 only, also muc str",
        "until 2026-11-22",
    ):
        assert words in text
    assert "52.5200" in text


@pytest.mark.parametrize("name", ["k-root", "d-root", "f-root"])
def test_sites_take_one_line_each_on_a_hundred_columns(name: str) -> None:
    described = workflow.describe_service(name)
    lines = printed(terminal.show_service(described)).rstrip().splitlines()
    sites = [line for line in lines[-len(described["sites"]) :] if line.strip()]
    assert [line.split()[0] for line in sites] == [site["code"] for site in described["sites"]]


def test_a_code_of_a_town_without_a_site_tells_the_town() -> None:
    found = workflow.identify_strings("k-root", ["ns1.de-muc.k.ripe.net", "ns1.nl-ams.k.ripe.net", "\x1b[31mfoo"])
    munich, amsterdam, foreign = found["identities"]
    assert (munich["site"], munich["town"], munich["country"], munich["outcome"]) == (None, None, None, "unknown")
    assert (munich["place"]["country"], round(munich["place"]["latitude"])) == ("DE", 48)
    assert (amsterdam["site"], amsterdam["town"], amsterdam["outcome"]) == ("nl-ams", "Amsterdam", "identified")
    assert (foreign["outcome"], foreign["place"]) == ("foreign", None)
    lines = printed(terminal.show_identities(found)).splitlines()
    assert munich["place"]["town"] in lines[1]
    assert "Amsterdam" in lines[2]
    assert "\\x1b[31mfoo" in lines[3]


def test_identities_may_come_from_a_pipe() -> None:
    sent = b"ns1.nl-ams.k.ripe.net\r\n\nb\xff\xc3\xa9\n" + b"ns2.nl-ams.k.ripe.net\n" * 5000 + b"last"
    words = ("services", "identify", "k-root", "first", "-", "--json")
    done = subprocess.run(
        [sys.executable, "-c", "from catchment.cli import main; main()", *words],
        input=sent,
        capture_output=True,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    told = [entry["identity"] for entry in json.loads(done.stdout)["identities"]]
    assert told[:3] == ["first", "ns1.nl-ams.k.ripe.net", "b\\xffé"]
    assert told[3:] == ["ns2.nl-ams.k.ripe.net"] * 5000 + ["last"]


def test_the_bundled_file_of_a_service_is_known() -> None:
    assert load_service(bundled_file("k-root")) == bundled_service("k-root")
