import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from catchment.campaign import (
    Asked,
    VantagePoints,
    campaign_from,
    campaign_table,
    corrected,
    digest,
    load_campaign,
    load_service,
    load_uncorrected,
    service_from,
    service_table,
)
from catchment.errors import InvalidFile
from catchment.model import Address, Correction, Kind, Service, Site, Source
from tests.conftest import EXAMPLE_SERVICE, ROOT

SERVICE = """
name = "own"
operator = "we"
addresses = [{ address = "192.0.2.1" }]
"""


def write(path: Path, text: str) -> Path:
    file = path / "file.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("file", sorted((ROOT / "campaigns").glob("*.toml")), ids=lambda file: file.name)
def test_every_example_campaign_loads(file: Path) -> None:
    campaign = load_campaign(file)
    assert campaign.targets
    assert campaign.queries


@pytest.mark.parametrize("file", sorted((ROOT / "campaigns" / "services").glob("*.toml")), ids=lambda file: file.name)
def test_every_example_service_loads(file: Path) -> None:
    assert load_service(file).sites


def test_an_own_service_takes_twenty_lines() -> None:
    lines = [line for line in EXAMPLE_SERVICE.read_text().splitlines() if line.strip()]
    assert len(lines) <= 20


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('name = "own"\nadresses = []', "unknown key 'adresses': did you mean 'addresses'?"),
        (SERVICE + '[[sites]]\ncode = "a"\ntown = "A"\ncountry = "DE"\nlatitud = 1', "unknown key 'sites.1.latitud'"),
        (SERVICE + '[[sites]]\ncode = "a"\ntown = "A"\ncountry = "DE"\nlatitud = 1', "did you mean 'latitude'?"),
        (SERVICE + "zzz = 1", "known are name, operator"),
        ('name = "own"\noperator = "we"', "key 'addresses' is missing"),
        (SERVICE.replace("192.0.2.1", "192.0.2"), "'192.0.2' is not an IPv4 or IPv6 address"),
        (SERVICE + '[[sites]]\ncode = "A"\ntown = "A"\ncountry = "DE"', "'A' must be in lower case"),
        (
            SERVICE + '[[sites]]\ncode = "a"\ntown = "A"\ncountry = "DE"\nlatitude = 1.0',
            "one coordinate without the other",
        ),
        (
            SERVICE + '[[sites]]\ncode = "a"\ntown = "A"\ncountry = "DE"\nlatitude = 91.0\nlongitude = 1.0',
            "'a' is not on Earth",
        ),
        (
            SERVICE
            + 'sites = [{ code = "a", town = "A", country = "DE" }, { code = "b", town = "A", country = "DE" }]',
            "the town 'A, DE' is there twice",
        ),
        (
            SERVICE
            + 'sites = [{ code = "a", town = "A", country = "DE" }, { code = "a", town = "B", country = "DE" }]',
            "the site code 'a' is there twice",
        ),
        (SERVICE + "[[patterns]]\nregex = '('", "is no regular expression"),
        (SERVICE + "[[patterns]]\nregex = 'x'", "needs a group named 'site'"),
        (SERVICE + "[[patterns]]\nregex = '(?P<site>x)'\ncodes = 'icao'", "key 'patterns.1.codes'"),
        (SERVICE + '[[corrections]]\nsite = "zzz"\nreason = "r"', "key 'corrections': there is no site 'zzz'"),
        (
            SERVICE + '[[overrides]]\nregex = "x"\nsite = "zzz"\nreason = "r"',
            "key 'overrides': there is no site 'zzz'",
        ),
        (SERVICE + '[[overrides]]\nregex = "("\nsite = "a"\nreason = "r"', "key 'overrides': '(' is no regular"),
        (
            SERVICE + '[[neighbours]]\nprefix = "192.0.2.0/24"\nsite = "zzz"',
            "key 'neighbours': there is no site 'zzz'",
        ),
        (
            SERVICE + '[[neighbours]]\nprefix = "192.0.2.129/25"\nsite = "a"',
            "'192.0.2.129/25' has bits of a host: did you mean '192.0.2.128/25'?",
        ),
        (
            SERVICE + '[[neighbours]]\nprefix = "2001:db8::1/32"\nsite = "a"',
            "did you mean '2001:db8::/32'?",
        ),
        (SERVICE + '[[neighbours]]\nprefix = "192.0.2.0/33"\nsite = "a"', "is not an IPv4 or IPv6 prefix"),
        (
            SERVICE + 'neighbours = [{ prefix = "192.0.2.1", site = "a" }, { prefix = "192.0.2.1/32", site = "b" }]',
            "the prefix '192.0.2.1/32' is there twice",
        ),
        (
            SERVICE + '[[hop_names]]\naddress = "r1"\nname = "r1"',
            "key 'hop_names': 'r1' is not an IPv4 or IPv6 address",
        ),
        (SERVICE + '[[sites]]\ncode = "a"\ntown = "A"\ncountry = "DE"\nfamilies = []', "must be [4], [6] or [4, 6]"),
        (SERVICE + '[[sites]]\ncode = "a"\ntown = "A"\ncountry = "DE"\nfamilies = [5]', "key 'sites.1.families.1'"),
        (SERVICE + '[[sites]]\ncode = ""\ntown = "A"\ncountry = "DE"', "and not empty"),
        (
            SERVICE
            + 'sites = [{ code = "a", town = "Zürich", country = "CH" }, '
            + '{ code = "b", town = "ZURICH", country = "CH" }]',
            "the town 'ZURICH, CH' is there twice, once as 'Zürich', in 'a' and 'b'",
        ),
        (
            SERVICE
            + 'sites = [{ code = "a", town = "A", country = "DE", codes = ["B"] }, '
            + '{ code = "b", town = "B", country = "DE" }]',
            "the site code 'b' is there twice",
        ),
        (SERVICE + 'sites_of = "k-root"', "key 'sites_of': nobody here knows 'k-root'"),
        (SERVICE.replace('"own"', '"Own Service"'), "must be lower-case letters"),
        ("name = ", "not a TOML file"),
    ],
)
def test_a_bad_service_file_is_one_line_that_names_the_file_and_the_key(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(InvalidFile) as caught:
        load_service(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert complaint in message
    assert "\n" not in message


def test_a_misspelt_key_of_a_campaign_names_the_nearest(tmp_path: Path) -> None:
    text = 'name = "x"\nplatform = "atlas"\ntargets = [{ service = "k-root" }]\n[vantage_points]\ncoutries = ["DE"]'
    with pytest.raises(InvalidFile, match=r"unknown key 'vantage_points\.coutries': did you mean 'countries'\?"):
        load_campaign(write(tmp_path, text))


def test_a_campaign_without_targets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="key 'targets': is empty"):
        load_campaign(write(tmp_path, 'name = "x"\nplatform = "atlas"\ntargets = []'))


CAMPAIGN = 'name = "x"\nplatform = "atlas"\ntargets = [{ service = "k-root" }]\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (CAMPAIGN.replace('"x"', '"../x"'), "key 'name': '../x' names a folder"),
        (CAMPAIGN.replace("atlas", "moon"), "key 'platform': input should be 'atlas', 'sandbox', 'local' or 'lab'"),
        (CAMPAIGN + "queries = []", "key 'queries': is empty"),
        (CAMPAIGN + "schedule = { interval_s = 10 }", "10 s is too short: 60 or more"),
        (CAMPAIGN + "schedule = { interval_s = 300 }", "say when to end, by 'rounds', 'stop' or 'change_at'"),
        (CAMPAIGN + "schedule = { rounds = 3 }", "'schedule.rounds': needs 'interval_s'"),
        (
            CAMPAIGN + "schedule = { start = 2026-11-21T20:00:00Z, stop = 2026-11-21T19:00:00Z }",
            "'schedule.stop': it does not come after 'start'",
        ),
        (CAMPAIGN + "reuse = [10301]\nschedule = { interval_s = 240 }", "what is reused runs already"),
        (CAMPAIGN + "vantage_points = { count = 0 }", "key 'vantage_points.count': at least one"),
        (
            CAMPAIGN + 'vantage_points = { area = "Mars" }',
            "'Mars' is none of WW, West, North-Central, South-Central, North-East, South-East, africa",
        ),
        (CAMPAIGN + 'vantage_points = { countries = ["Germany"] }', "'Germany' is no ISO 3166-1 code"),
        (CAMPAIGN + 'sandbox = { changes = [{ change = "withdraw" }] }', "'withdraw' needs the code of a 'site'"),
        (
            CAMPAIGN + 'sandbox = { changes = [{ change = "leak", after_s = -1 }] }',
            "'after_s' is a number of seconds, not negative",
        ),
        (CAMPAIGN + 'sandbox = { changes = [{ change = "leak", after_s = nan }] }', "'after_s' is a number of seconds"),
        (CAMPAIGN + 'sandbox = { changes = [{ change = "leak", prepend = 999 }] }', "'prepend' is a number from 0 to"),
        (CAMPAIGN + "reuse = [10301, 10301]", "key 'reuse': the same is there twice"),
        (CAMPAIGN + "schedule = { start = 0001-01-01T00:00:00+10:00 }", "was before there was anything to measure"),
        (CAMPAIGN + "vantage_points = { count = 1_000_000_000 }", "at least one, at most 100,000"),
        (CAMPAIGN + 'sandbox = { changes = [{ chnge = "leak" }] }', "did you mean 'change'?"),
        (CAMPAIGN + 'queries = [{ kind = "dns", protocol = "ICMP" }]', "there is no dns over ICMP: choose UDP or TCP"),
        (CAMPAIGN + 'queries = [{ kind = "ping", protocol = "TCP" }]', "there is no ping over TCP: leave it out"),
        (CAMPAIGN + 'queries = [{ kind = "ping", packets = 17 }]', "'queries.packets': 17 is not from 1 to 16"),
        (CAMPAIGN + 'queries = [{ kind = "traceroute", packets = 0 }]', "'queries.packets': 0 is not from 1 to 16"),
        (CAMPAIGN + 'queries = [{ kind = "dns", packets = 5 }]', "a DNS query is one packet: leave it out"),
        (CAMPAIGN + 'reuse = ["dns"]\nqueries = [{ kind = "ping" }]', "key 'queries': what is reused asks already"),
        (
            CAMPAIGN + 'vantage_points = { area = "africa", countries = ["DE"] }',
            "key 'vantage_points.area': 'countries' is named as well, and would count alone",
        ),
        (CAMPAIGN + "reuse = [0]", "key 'reuse': '0' is no measurement's number"),
        (CAMPAIGN + 'reuse = ["http"]', "key 'reuse.1"),
        (
            CAMPAIGN + "schedule = { change_at = 2026-11-21T19:00:00Z }",
            "'schedule.change_at': needs 'interval_s': how often to measure before and after",
        ),
        (
            CAMPAIGN + "schedule = { interval_s = 300, change_at = 2026-11-21T19:00:00Z, rounds = 3 }",
            "'schedule.rounds': 'change_at' says when to measure already",
        ),
        (
            CAMPAIGN
            + "schedule = { interval_s = 300, change_at = 2026-11-21T19:00:00Z, start = 2026-11-21T18:00:00Z }",
            "'schedule.start': 'change_at' says when to measure already",
        ),
        (
            CAMPAIGN + "schedule = { interval_s = 300, change_at = 2026-11-21T19:00:00Z, before_s = 299 }",
            "'schedule.before_s': leaves no time for a round of 300 s",
        ),
        (
            CAMPAIGN
            + "schedule = { interval_s = 300, change_at = 2026-11-21T19:00:00Z, after_s = 900, settle_s = 601 }",
            "'schedule.after_s': leaves no time for a round of 300 s beyond 'settle_s'",
        ),
        (
            CAMPAIGN + "schedule = { interval_s = 300, change_at = 2026-11-21T19:00:00Z, settle_s = -1 }",
            "'schedule.settle_s': a number of seconds, not negative",
        ),
        (
            CAMPAIGN + "schedule = { stop = 2026-11-21T19:00:00Z }",
            "'schedule.stop': what asks only once has no end",
        ),
        (CAMPAIGN + 'vantage_points = { area = "north-central" }', "did you mean 'North-Central'?"),
        (CAMPAIGN + 'vantage_points = { regions = ["west_europe"] }', "did you mean 'western_europe'?"),
        (CAMPAIGN + 'vantage_points = { countries = ["UK"] }', "'UK' is no ISO 3166-1 code"),
        (CAMPAIGN + "vantage_points = { asns = [0] }", "'vantage_points.asns': '0' is no AS number"),
        (CAMPAIGN + "vantage_points = { asns = [4294967296] }", "'4294967296' is no AS number"),
        (CAMPAIGN + 'vantage_points = { prefixes = ["193.0.0.1/21"] }', "'193.0.0.1/21' is no IPv4 or IPv6 prefix"),
        (CAMPAIGN + "vantage_points = { ids = [-5] }", "'vantage_points.ids': '-5' is no probe's number"),
        (CAMPAIGN + "vantage_points = { measurements = [0] }", "'0' is no measurement's number"),
        (CAMPAIGN + 'vantage_points = { include_tags = ["IPv4 works"] }', "'IPv4 works' is no tag"),
        (
            CAMPAIGN + 'vantage_points = { include_tags = ["nat"], exclude_tags = ["nat"] }',
            "'nat' is in 'include_tags' too",
        ),
        (CAMPAIGN + 'vantage_points = { anchors = "yes" }', "input should be 'in', 'out' or 'only'"),
        (CAMPAIGN + "vantage_points = { most_per_asn = 0 }", "'vantage_points.most_per_asn': at least 1"),
        (CAMPAIGN + "vantage_points = { most_per_country = -1 }", "'vantage_points.most_per_country': at least 1"),
        (CAMPAIGN + "vantage_points = { leave_out = {} }", "'vantage_points.leave_out': name the 'run'"),
        (CAMPAIGN + 'vantage_points = { leave_out = { run = "x", verdicts = [] } }', "leave_out.verdicts': is empty"),
        (CAMPAIGN + 'vantage_points = { leave_out = { run = "x", verdicts = ["bad"] } }', "leave_out.verdicts.1'"),
        (
            CAMPAIGN + 'vantage_points = { same_as = "x", count = 20 }',
            "'vantage_points.count': 'same_as' takes the very",
        ),
        (CAMPAIGN + 'vantage_points = { same_as = "x", ids = [1] }', "'vantage_points.ids': 'same_as' takes the very"),
        (CAMPAIGN + 'vantage_points = { same_as = "x", spread = true }', "'vantage_points.spread': 'same_as' takes"),
        (CAMPAIGN + "vantage_points = { asked = { v4 = [1] } }", "is filled in where 'same_as' names a run"),
        (CAMPAIGN + "budget = { credits = -1 }", "'budget.credits': -1 is less than nothing"),
        (CAMPAIGN + "limits = { results_per_day = 0 }", "'limits.results_per_day': at least 1"),
        (CAMPAIGN + "limits = { result_per_day = 5 }", "did you mean 'results_per_day'?"),
    ],
)
def test_a_bad_campaign_file_is_one_line_that_names_the_file_and_the_key(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(InvalidFile) as caught:
        load_campaign(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert complaint in message
    assert "\n" not in message


def test_a_campaign_finds_its_files_beside_itself(tmp_path: Path) -> None:
    text = CAMPAIGN.replace('"k-root"', '"services/mine.toml"') + 'sandbox = { topology = "world.toml" }'
    campaign = load_campaign(write(tmp_path, text))
    assert campaign.targets[0].service == str(tmp_path / "services" / "mine.toml")
    assert campaign.sandbox.topology == str(tmp_path / "world.toml")


def test_times_without_a_zone_are_utc(tmp_path: Path) -> None:
    campaign = load_campaign(write(tmp_path, CAMPAIGN + "schedule = { start = 2026-11-21T20:00:00 }"))
    assert campaign.schedule.start == datetime(2026, 11, 21, 20, tzinfo=UTC)


def test_a_campaign_survives_being_frozen_into_a_run() -> None:
    for file in (ROOT / "campaigns").glob("*.toml"):
        campaign = load_campaign(file)
        assert campaign_from(json.loads(json.dumps(campaign_table(campaign))), file) == campaign


EVERYTHING = """
queries = [{ kind = "dns", protocol = "TCP" }, { kind = "traceroute", protocol = "UDP", packets = 1 }]
[vantage_points]
count = 7
regions = ["eu27", "apnic"]
countries = ["DE"]
asns = [3333]
prefixes = ["193.0.0.0/21", "2001:67c::/32"]
ids = [6019]
measurements = [1000001]
include_tags = ["home"]
anchors = "out"
unstable = false
every_family = true
most_per_asn = 1
most_per_country = 2
spread = true
leave_out = { run = "before", verdicts = ["mislocated"], ids = [5] }
[limits]
results_per_day = 200_000
[budget]
credits = 0
"""
AROUND = """
[schedule]
interval_s = 300
change_at = 2026-11-21T19:00:00
before_s = 7200
settle_s = 900
"""


@pytest.mark.parametrize(
    "text", [EVERYTHING, AROUND, 'reuse = [10301, "ping"]', 'vantage_points = { same_as = "before" }']
)
def test_a_campaign_with_everything_survives_being_frozen_into_a_run(tmp_path: Path, text: str) -> None:
    campaign = load_campaign(write(tmp_path, CAMPAIGN + text))
    assert campaign_from(json.loads(json.dumps(campaign_table(campaign))), tmp_path) == campaign


def test_a_frozen_campaign_is_not_held_against_rules_that_came_later(tmp_path: Path) -> None:
    table = campaign_table(load_campaign(write(tmp_path, CAMPAIGN))) | {"reuse": [10301, 10301]}
    assert campaign_from(table, tmp_path, is_frozen=True).reuse == (10301, 10301)
    with pytest.raises(InvalidFile, match="the same is there twice"):
        campaign_from(table, tmp_path)


def test_whom_a_run_asked_is_frozen_with_the_campaign_that_asks_them_again(tmp_path: Path) -> None:
    campaign = load_campaign(write(tmp_path, CAMPAIGN + 'vantage_points = { same_as = "before" }'))
    same = VantagePoints(same_as="results/x/before", asked=Asked(v4=(1, 2, 3), v6=(2,)))
    resolved = replace(campaign, vantage_points=same)
    assert campaign_from(json.loads(json.dumps(campaign_table(resolved))), tmp_path) == resolved


def test_the_time_of_a_change_without_a_zone_is_utc(tmp_path: Path) -> None:
    schedule = load_campaign(write(tmp_path, CAMPAIGN + AROUND)).schedule
    assert schedule.change_at == datetime(2026, 11, 21, 19, tzinfo=UTC)
    assert (schedule.before_s, schedule.after_s, schedule.settle_s) == (7200, 3600, 900)


def test_a_campaign_asks_dns_and_ping_unless_told(tmp_path: Path) -> None:
    campaign = load_campaign(write(tmp_path, 'name = "x"\nplatform = "atlas"\ntargets = [{ service = "k-root" }]'))
    assert [query.kind for query in campaign.queries] == [Kind.DNS, Kind.PING]


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="No such file"):
        load_service(tmp_path / "nowhere.toml")


def test_corrections_are_applied_over_the_published_list(tmp_path: Path) -> None:
    sites = 'sites = [{ code = "was", town = "Washington", country = "US", latitude = 38.9, longitude = 77.0 }]\n'
    corrections = '[[corrections]]\nsite = "was"\nlongitude = -77.0\nreason = "a longitude\'s sign"\n'
    site = load_service(write(tmp_path, SERVICE + sites + corrections)).sites[0]
    assert (site.latitude, site.longitude, site.town) == (38.9, -77.0, "Washington")


def test_addresses_are_kept_in_their_canonical_form(tmp_path: Path) -> None:
    service = load_service(write(tmp_path, SERVICE.replace("192.0.2.1", "2001:DB8:0:0::1")))
    assert service.addresses[0].address == "2001:db8::1"


def test_a_service_survives_being_frozen_into_a_run() -> None:
    service = load_service(EXAMPLE_SERVICE)
    assert service_from(service_table(service), EXAMPLE_SERVICE) == service


WHOLE = """
open_list = true
patterns = [{ regex = '^(?P<site>[a-z]{3})$', until = 2020-01-01 }]
overrides = [{ regex = "lab", site = "was", reason = "it is there" }]
neighbours = [{ prefix = "2001:DB8:0::/48", site = "was" }]
hop_names = [{ address = "2001:DB8:0::1", name = "r1.was" }]
corrections = [{ site = "was", longitude = -77.0, reason = "a sign" }]
sites = [{ code = "was", town = "Washington", country = "US", latitude = 38.9, longitude = 77.0, families = [6] }]
sources = [{ of = "sites", text = "our list", date = 2026-11-22 }]
"""


def test_a_service_with_everything_survives_being_frozen_into_a_run(tmp_path: Path) -> None:
    service = load_service(write(tmp_path, SERVICE + WHOLE))
    assert service_from(json.loads(json.dumps(service_table(service))), tmp_path) == service
    assert service.corrections[0].reason == "a sign"


def test_neighbours_and_routers_are_kept_in_their_canonical_form(tmp_path: Path) -> None:
    service = load_service(write(tmp_path, SERVICE + WHOLE))
    assert (service.neighbours[0].prefix, service.hop_names[0].address) == ("2001:db8::/48", "2001:db8::1")


def test_what_was_published_can_be_read_beside_its_corrections(tmp_path: Path) -> None:
    file = write(tmp_path, SERVICE + WHOLE)
    published = load_uncorrected(file)
    assert published.sites[0].longitude == 77.0
    assert corrected(published, file) == load_service(file)
    assert corrected(load_service(file), file) == load_service(file)


def test_a_correction_may_make_one_town_of_what_the_list_calls_two(tmp_path: Path) -> None:
    sites = 'sites = [{ code = "a", town = "A", country = "DE" }, { code = "b", town = "A", country = "DE" }]\n'
    mended = 'corrections = [{ site = "b", town = "B", reason = "copied from the line above" }]'
    assert load_service(write(tmp_path, SERVICE + sites + mended)).sites[1].town == "B"


def test_towns_of_one_name_in_two_countries_are_two_sites(tmp_path: Path) -> None:
    sites = 'sites = [{ code = "a", town = "Boston", country = "US" }, { code = "b", town = "Boston", country = "GB" }]'
    assert len(load_service(write(tmp_path, SERVICE + sites)).sites) == 2


def lend(name: str) -> Service:
    sites = (Site(code="was", town="Washington", country="US", latitude=38.9, longitude=77.0),)
    corrections = (Correction(site="was", longitude=-77.0, reason="a sign"),)
    sources = tuple(Source(of=of, text=name, date=date(2025, 1, 1)) for of in ("sites", "addresses"))
    where = {"lender": None, "chain": "other", "own": "own", "circle": "own"}[name]
    return Service(
        name=name,
        operator="they",
        addresses=(Address(address="192.0.2.9"),),
        sites=sites,
        corrections=corrections,
        sources=sources,
        sites_of=where,
    )


def test_sites_of_another_service_come_with_their_corrections_and_sources(tmp_path: Path) -> None:
    own = """sites_of = "lender"
    sites = [{ code = "fra", town = "Frankfurt", country = "DE" }]
    overrides = [{ regex = "lab", site = "was", reason = "it is there" }]
    corrections = [{ site = "was", town = "Ashburn", reason = "ours stands there" }]
    sources = [{ of = "addresses", text = "us", date = 2026-11-22 }]"""
    file = write(tmp_path, SERVICE + own)
    service = load_service(file, lend)
    assert [(site.code, site.town, site.longitude) for site in service.sites] == [
        ("was", "Ashburn", -77.0),
        ("fra", "Frankfurt", None),
    ]
    assert service.sites_of is None
    assert [source.text for source in service.sources] == ["us", "lender"]
    assert service_from(service_table(service), file) == service
    assert load_uncorrected(file).sites_of == "lender"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("chain", "'chain' has its own sites elsewhere, in 'other'"),
        ("circle", "'circle' goes round in a circle, in 'own'"),
        ("own", "'own' goes round in a circle, in 'own'"),
    ],
)
def test_sites_are_those_of_a_service_that_lists_them_itself(tmp_path: Path, name: str, complaint: str) -> None:
    with pytest.raises(InvalidFile, match=f"key 'sites_of': {complaint}"):
        load_service(write(tmp_path, f'{SERVICE}sites_of = "{name}"'), lend)


def test_a_site_that_both_services_list_is_there_twice(tmp_path: Path) -> None:
    own = 'sites_of = "lender"\nsites = [{ code = "iad", town = "Washington", country = "US" }]'
    with pytest.raises(InvalidFile, match="the town 'Washington, US' is there twice, in 'was' and 'iad'"):
        load_service(write(tmp_path, SERVICE + own), lend)


def test_the_digest_of_a_service_changes_with_its_facts(tmp_path: Path) -> None:
    first = load_service(write(tmp_path, SERVICE))
    assert digest(first) == digest(load_service(write(tmp_path, "# a remark\n" + SERVICE)))
    assert digest(first) != digest(load_service(write(tmp_path, SERVICE.replace("192.0.2.1", "192.0.2.2"))))


def test_the_digest_of_a_service_is_of_what_is_known_not_of_whence(tmp_path: Path) -> None:
    service = load_service(write(tmp_path, SERVICE + WHOLE))
    assert digest(replace(service, sources=(), corrections=())) == digest(service)
    assert digest(replace(service, open_list=False)) != digest(service)
