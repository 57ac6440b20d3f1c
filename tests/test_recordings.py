"""Real recordings through the whole chain, held against what their README knows of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from catchment import workflow
from catchment.model import Grouping, Window
from catchment.store import Run

GOOGLE = """
name = "google-dns"
operator = "Google"
addresses = [{ address = "8.8.8.8" }]
"""


@pytest.fixture(scope="module")
def cloudflare(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    root = tmp_path_factory.mktemp("results") / "cloudflare-africa"
    for day in ("21", "27"):
        workflow.import_results(
            [recordings / "atlas" / f"cloudflare-ns-id-server-africa-2015-03-{day}.ndjson.gz"],
            root / f"2015-03-{day}",
            service="cloudflare-ns",
            probes=recordings / "probes" / "africa-2015.json",
        )
    return {day: Run.open(root / f"2015-03-{day}") for day in ("21", "27")}


@pytest.fixture(scope="module")
def opendns(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("results") / "opendns" / "2017-06-26"
    workflow.import_results(
        [recordings / "atlas" / "opendns-hostname-bind-2017-06-26.ndjson.gz"],
        out,
        service="opendns",
        probes=recordings / "probes" / "2018-12-11.json.gz",
    )
    return Run.open(out)


def counts(run: Run) -> dict[str, int]:
    target = workflow.show(run)["targets"][0]
    return {site["site"]: site["vantage_points"] for site in target["sites"]}


def test_cloudflare_in_africa_on_the_first_day(cloudflare: dict[str, Run]) -> None:
    assert counts(cloudflare["21"]) == {"jnb": 78, "lhr": 30, "cdg": 4, "fra": 3, "sin": 2, "ams": 1, "ewr": 1}
    numbers = workflow.show(cloudflare["21"])
    assert numbers["input"]["records"] == 2684
    assert numbers["targets"][0]["vantage_points"]["total"] == 119
    assert numbers["targets"][0]["flips"].items() >= {"vantage_points": 119, "flapping": 4, "flips": 7}.items()


def test_cloudflare_in_africa_on_the_last_day(cloudflare: dict[str, Run]) -> None:
    assert counts(cloudflare["27"]) == {"lhr": 79, "hkg": 17, "ams": 10, "cdg": 5, "waw": 3, "fra": 3, "ewr": 1}
    numbers = workflow.show(cloudflare["27"])
    assert numbers["input"]["records"] == 2726
    assert numbers["targets"][0]["vantage_points"]["total"] == 118
    assert numbers["targets"][0]["flips"].items() >= {"vantage_points": 118, "flapping": 3, "flips": 6}.items()


def test_johannesburg_lost_africa_in_between(cloudflare: dict[str, Run]) -> None:
    numbers = workflow.compare_runs((cloudflare["21"], Window()), (cloudflare["27"], Window()))
    found = numbers["targets"][0]
    assert {(move["from"], move["to"]): move["vantage_points"] for move in found["moves"]} == {
        ("jnb", "lhr"): 44,
        ("jnb", "hkg"): 17,
        ("jnb", "ams"): 8,
        ("jnb", "waw"): 3,
        ("sin", "lhr"): 2,
    }
    assert (found["paired"], found["moved"]) == (112, 74)


def test_a_probe_in_the_middle_of_nowhere_is_found_out(cloudflare: dict[str, Run]) -> None:
    # Probe 16421 says 29° S 24° E, a geocoder's "South Africa", and hears from Johannesburg in 3.6 ms.
    found = cloudflare["21"].assignments.filter("verdict <> 'ok'").to_dicts()
    assert [(entry["vantage"], entry["verdict"], entry["site"]) for entry in found] == [
        ("atlas:16421", "impossible-rtt", "jnb")
    ]


def test_opendns_keeps_a_row_for_every_vantage_point(opendns: Run) -> None:
    assert workflow.show(opendns)["input"]["records"] == 9244
    assert workflow.show(opendns)["targets"][0]["vantage_points"]["total"] == 9244
    assert len(opendns.assignments.fetchall()) == len(opendns.vantage_points.fetchall()) == 9244


def test_opendns_outcomes_are_counted_exactly(opendns: Run) -> None:
    assert workflow.show(opendns)["targets"][0]["outcomes"] == {
        "REFUSED": 8986,
        "timeout": 181,
        "NOERROR": 47,
        "NOTIMP": 22,
        "SERVFAIL": 7,
        "FORMERR": 1,
    }


def test_every_text_in_the_name_of_opendns_is_listed(opendns: Run) -> None:
    target = workflow.show(opendns)["targets"][0]
    assert len(target["identities"]) == 29
    assert sum(entry["answers"] for entry in target["identities"]) == 31
    assert {"text": "", "answers": 2} in target["identities"]
    assert target["identity_totals"] == {"answers": 31, "distinct": 29}


def test_nobody_reaches_a_site_of_opendns_by_hostname_bind(opendns: Run) -> None:
    # 29 texts that are not empty were given by somebody else; the empty ones say nothing, as do errors and silence.
    verdicts = workflow.show(opendns)["targets"][0]["vantage_points"]["verdicts"]
    assert verdicts == {"intercepted-foreign-identity": 29, "no-identity": 9244 - 29 - 181, "timeout": 181}


def test_who_answers_in_the_name_of_opendns_is_told_by_reason_country_and_network(opendns: Run) -> None:
    found = workflow.show(opendns, by=Grouping.VERDICT)["targets"][0]
    intercepted = found["interception"]
    assert (intercepted["vantage_points"], intercepted["by_rule"]) == (29, {"no-pattern-matches": 29})
    assert sum(entry["vantage_points"] for entry in intercepted["by_country"]) == 29
    assert all(entry["country"] is not None and entry["of"] > 0 for entry in intercepted["by_country"])
    listed = next(group["listed"] for group in found["groups"] if group["key"] == "intercepted-foreign-identity")
    texts = [entry["text"] for entry in found["identities"] if entry["text"]]
    assert len(listed) == 29
    assert {entry["identity"] for entry in listed} == set(texts)


def test_the_probe_archive_gives_all_but_a_few_vantage_points_a_country(opendns: Run) -> None:
    groups = workflow.show(opendns, by=Grouping.COUNTRY)["targets"][0]["groups"]
    assert sum(group["vantage_points"] for group in groups) == 9244
    assert {group["key"]: group["vantage_points"] for group in groups}.get(None, 0) < 10


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("google-ping-2017-06-26.ndjson.gz", {"pings": 9232}),
        ("google-traceroute-2017-06-26.ndjson.gz", {"traceroutes": 9263}),
    ],
)
def test_pings_and_traceroutes_need_no_service(
    recordings: Path, tmp_path: Path, file: str, expected: dict[str, int]
) -> None:
    workflow.import_results([recordings / "atlas" / file], tmp_path / "run")
    numbers = workflow.show(Run.open(tmp_path / "run"))
    target = numbers["targets"][0]
    assert (target["service"], target["target"]) == ("google-dns", "8.8.8.8")
    assert {kind: sum(target[kind].values()) for kind in expected} == expected
    assert numbers["input"]["records"] == sum(expected.values())


def test_google_answers_traceroutes_from_all_but_82(recordings: Path, tmp_path: Path) -> None:
    service = tmp_path / "google.toml"
    service.write_text(GOOGLE)
    file = recordings / "atlas" / "google-traceroute-2017-06-26.ndjson.gz"
    workflow.import_results([file], tmp_path / "run", service=str(service))
    target = workflow.show(Run.open(tmp_path / "run"))["targets"][0]
    assert target["traceroutes"] == {"answered": 9181, "not-reached": 80, "probe-failed": 2}


def test_the_probes_own_resolvers_are_accounted_for(recordings: Path, tmp_path: Path) -> None:
    file = recordings / "atlas" / "local-resolvers-id-server-2017-07-10.ndjson.gz"
    workflow.import_results([file], tmp_path / "run", service="opendns")
    run = Run.open(tmp_path / "run")
    numbers = workflow.show(run)
    everything = run.observations.aggregate("count(*), count(DISTINCT raw_record)").fetchall()[0]
    assert everything == (16855, 9026)
    assert numbers["input"]["records"] == 9026
    off, on = numbers["input"]["off_target"], sum(sum(target["outcomes"].values()) for target in numbers["targets"])
    assert off + on == 16855


def test_homes_that_ask_public_resolvers_are_found_by_the_addresses_of_that_time(
    recordings: Path, tmp_path: Path
) -> None:
    file = recordings / "atlas" / "local-resolvers-id-server-2017-07-10.ndjson.gz"
    workflow.import_results([file], tmp_path / "run")
    assert {target.service for target in Run.open(tmp_path / "run").header.targets} == {
        "opendns",
        "google-dns",
        "ultradns",
    }  # 1.1.1.1 and 64.6.64.6 are asked as well, but belonged to others in 2017


def test_the_address_alone_tells_a_bundled_service(recordings: Path, tmp_path: Path) -> None:
    file = recordings / "atlas" / "cloudflare-ns-id-server-africa-2015-03-21.ndjson.gz"
    workflow.import_results([file], tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert [service.name for service in run.header.services] == ["cloudflare-ns"]
    assert counts(run)["jnb"] == 78
