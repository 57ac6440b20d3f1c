"""Numbers held against an independent computation in plain Python."""

import json
import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from geopy.distance import geodesic

from catchment import workflow
from catchment.assign import assign
from catchment.campaign import load_service
from catchment.errors import InvalidRun
from catchment.geo import CONTINENT_OF
from catchment.metrics import measure
from catchment.model import Grouping, SiteSet, Window
from catchment.store import Run
from catchment.workflow.loading import load_run, workbench
from tests.atlas_results import NOON, TARGET, dns_error, dns_result, ping_result, place
from tests.conftest import EXAMPLE_SERVICE

LIGHT_KM_PER_MS = 299_792.458 / 1.52 / 2 / 1000
FRA, BER, LON = (f"{code}1.example-dns.net" for code in ("fra", "ber", "lon"))


def only_target(numbers: dict[str, Any]) -> dict[str, Any]:
    assert len(numbers["targets"]) == 1
    found: dict[str, Any] = numbers["targets"][0]
    return found


def percentile(values: list[float], share: float) -> float:
    """Interpolate linearly between the two nearest ranks."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


@pytest.fixture(scope="module")
def judged(sample: dict[str, Run]) -> list[dict[str, Any]]:
    run = sample["before"]
    places = {entry["vantage"]: entry for entry in run.vantage_points.to_dicts()}
    return [{**places[entry["vantage"]], **entry} for entry in run.assignments.to_dicts()]


def test_catchments_count_vantage_points(sample: dict[str, Run], judged: list[dict[str, Any]]) -> None:
    target = only_target(workflow.show(sample["before"]))
    counted = Counter(entry["site"] for entry in judged if entry["site"])
    assert {site["site"]: site["vantage_points"] for site in target["sites"]} == counted
    assert target["vantage_points"]["total"] == len(judged) == 400
    assert sum(target["vantage_points"]["verdicts"].values()) == 400
    assert target["vantage_points"]["assigned"] == sum(counted.values())


def test_shares_are_of_all_and_beside_them_of_the_assigned(
    sample: dict[str, Run], judged: list[dict[str, Any]]
) -> None:
    site = only_target(workflow.show(sample["before"]))["sites"][0]
    assigned = sum(entry["site"] is not None for entry in judged)
    assert site["share"] == pytest.approx(site["vantage_points"] / 400, abs=1e-6)
    assert site["share_assigned"] == pytest.approx(site["vantage_points"] / assigned, abs=1e-6)
    assert site["share"] < site["share_assigned"]


def test_distances_and_inflation_follow_their_formulas(sample: dict[str, Run], judged: list[dict[str, Any]]) -> None:
    sites = {site.code: (site.latitude, site.longitude) for site in load_service(EXAMPLE_SERVICE).sites}
    hits, geographic, latency = 0, [], []
    for entry in judged:
        if entry["verdict"] not in {"ok", "repaired"}:
            continue
        here = entry["latitude"], entry["longitude"]
        distances = {code: geodesic(here, there).km for code, there in sites.items()}
        nearest = min(distances, key=lambda code: distances[code])
        hits += entry["site"] == nearest
        geographic.append((distances[entry["site"]] - distances[nearest]) / LIGHT_KM_PER_MS)
        latency.append(entry["rtt_ms_median"] - 1.5 * distances[nearest] / LIGHT_KM_PER_MS)
    target = only_target(workflow.show(sample["before"]))
    assert target["distance_vantage_points"] == len(geographic)
    assert target["closest_hit"] == pytest.approx(hits / len(geographic), abs=1e-6)
    for name, values in (("geographic_inflation_ms", geographic), ("latency_inflation_ms", latency)):
        assert target[name]["mean"] == pytest.approx(statistics.fmean(values), abs=1e-5)
        for key, share in (("p50", 0.5), ("p75", 0.75), ("p90", 0.9)):
            assert target[name][key] == pytest.approx(percentile(values, share), abs=1e-5)


def test_the_impossible_leave_the_distances_but_not_the_catchment(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(1), dns_result(2, "sin1.example-dns.net", rtt_ms=1.0), probes=[place(1), place(2)])
    target = only_target(workflow.show(run))
    assert (target["vantage_points"]["assigned"], target["distance_vantage_points"]) == (2, 1)
    assert target["closest_hit"] == 1.0


def test_rtt_quantiles_are_of_each_vantage_points_median(sample: dict[str, Run], judged: list[dict[str, Any]]) -> None:
    target = only_target(workflow.show(sample["before"]))
    for site in target["sites"]:
        medians = [entry["rtt_ms_median"] for entry in judged if entry["site"] == site["site"]]
        for key, share in (("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p90", 0.9)):
            assert site["rtt_ms"][key] == pytest.approx(percentile(medians, share), abs=1e-5)


@pytest.mark.parametrize("by", list(Grouping))
def test_groups_add_up_to_all_vantage_points(
    sample: dict[str, Run], judged: list[dict[str, Any]], by: Grouping
) -> None:
    keys: dict[Grouping, Callable[[dict[str, Any]], Any]] = {
        Grouping.COUNTRY: lambda entry: entry["country"],
        Grouping.CONTINENT: lambda entry: CONTINENT_OF.get(entry["country"]),
        Grouping.ASN: lambda entry: str(entry["asn_v4"]),
        Grouping.SITE: lambda entry: entry["site"],
        Grouping.VERDICT: lambda entry: entry["verdict"],
    }
    counted = Counter(keys[by](entry) for entry in judged)
    groups = only_target(workflow.show(sample["before"], by=by))["groups"]
    assert {group["key"]: group["vantage_points"] for group in groups} == counted
    for group in groups:
        share = group["assigned"] / group["vantage_points"]
        assert sum(group["shares"].values()) == pytest.approx(share, abs=1e-4)
        assert sum(group["shares_assigned"].values()) == pytest.approx(1 if group["assigned"] else 0, abs=1e-4)


def test_outcomes_and_identities_count_every_answer(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1),
        dns_result(1, timestamp=NOON + 1),
        dns_result(2, ""),
        dns_result(3, None, rcode="REFUSED"),
        dns_error(4),
        dns_error(5, {"socket": "connect failed"}),
        ping_result(1, 5.0),
        ping_result(4),
    )
    target = only_target(workflow.show(run))
    assert target["outcomes"] == {"NOERROR": 3, "REFUSED": 1, "probe-failed": 1, "timeout": 1}
    assert target["pings"] == {"answered": 1, "timeout": 1}
    assert target["identities"] == [{"text": "fra1.example-dns.net", "answers": 2}, {"text": "", "answers": 1}]
    assert target["identity_totals"] == {"answers": 3, "distinct": 2}


def test_observed_sites_are_those_seen_answering(import_lines: Callable[..., Run]) -> None:
    # Near Frankfurt, but only Berlin and London answer.
    run = import_lines(dns_result(1, BER), dns_result(2, LON), probes=[place(1), place(2)])
    listed = only_target(workflow.show(run))
    observed = only_target(workflow.show(run, site_set=SiteSet.OBSERVED))
    unknown = {"as_of": None}
    assert (listed["site_set"], listed["closest_hit"]) == ({"kind": "listed", "sites": 5, "placed": 5} | unknown, 0.0)
    assert (observed["site_set"], observed["closest_hit"]) == (
        {"kind": "observed", "sites": 2, "placed": 2} | unknown,
        0.5,
    )


def test_sites_without_a_place_are_counted_apart_and_the_list_has_its_day(
    import_lines: Callable[..., Run], tmp_path: Path
) -> None:
    text = EXAMPLE_SERVICE.read_text()
    text = text.replace("sites = [", 'sites = [\n  { code = "xxx", town = "Nowhere", country = "DE" },')
    text += """
[[sources]]
of = "sites"
text = "an older list"
date = 2024-02-01
[[sources]]
of = "addresses, sites"
text = "our list"
date = 2025-03-04
[[sources]]
of = "patterns"
text = "our servers"
date = 2026-01-01
"""
    (tmp_path / "own.toml").write_text(text)
    run = import_lines(dns_result(1), service=str(tmp_path / "own.toml"), probes=[place(1)])
    assert only_target(workflow.show(run))["site_set"] == {
        "kind": "listed", "sites": 6, "placed": 5, "as_of": "2025-03-04",
    }  # fmt: skip


def test_a_window_counts_only_what_lies_in_it(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(1), dns_result(1, BER, timestamp=NOON + 600), dns_result(2, timestamp=NOON + 600))
    first = only_target(workflow.show(run, Window(end=float(NOON + 600))))
    second = only_target(workflow.show(run, Window(start=float(NOON + 600))))
    assert [(site["site"], site["vantage_points"]) for site in first["sites"]] == [("fra", 1)]
    assert [(site["site"], site["vantage_points"]) for site in second["sites"]] == [("ber", 1), ("fra", 1)]


def test_each_target_has_its_own_numbers(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1, "ns1.nl-ams.k.ripe.net", dst_addr="193.0.14.129"),
        dns_result(1, "ns1.de-fra.k.ripe.net", dst_addr="2001:07fd:0::1", af=6),
        service="k-root",
    )
    numbers = workflow.show(run)
    assert [(entry["target"], entry["af"], entry["sites"][0]["site"]) for entry in numbers["targets"]] == [
        ("193.0.14.129", 4, "nl-ams"),
        ("2001:7fd::1", 6, "de-fra"),
    ]
    assert [entry["target"] for entry in workflow.show(run, af=6)["targets"]] == ["2001:7fd::1"]


def test_the_constants_stand_with_every_result(sample: dict[str, Run]) -> None:
    assert workflow.show(sample["before"])["constants"] == {
        "light_km_per_ms": 98.616,
        "impossible_km_per_ms": 102.1,
        "impossible_slack_km": 100.0,
    }


def test_confidence_and_rules_count_every_row(sample: dict[str, Run], judged: list[dict[str, Any]]) -> None:
    target = only_target(workflow.show(sample["before"]))
    confidence = Counter(entry["confidence"] for entry in judged)
    del confidence[None]
    assert target["vantage_points"]["confidence"] == {key: confidence[key] for key in ("high", "medium", "low")}
    assert sum(confidence.values()) == target["vantage_points"]["assigned"]
    assert target["rules"] == Counter(entry["rule"] for entry in judged)


def test_identities_of_one_reply_are_two_witnesses(import_lines: Callable[..., Run]) -> None:
    fra, ber = "fra1.example-dns.net", "ber1.example-dns.net"
    run = import_lines(
        dns_result(1, fra, nsid=b"fra2.example-dns.net"),
        dns_result(2, fra, nsid=ber.encode()),
        dns_result(2, fra, nsid=ber.encode(), timestamp=NOON + 1),
        dns_result(3, fra, nsid=b"resolver.isp.example"),
        dns_result(4, "resolver.isp.example", nsid=b"dns1"),
        dns_result(5, fra),
    )
    assert only_target(workflow.show(run))["witnesses"] == {
        "agree": 1,
        "disagree": 3,
        "cases": [
            {"identity": fra, "second_identity": ber, "site": "fra", "second_site": "ber", "answers": 2},
            {
                "identity": fra, "second_identity": "resolver.isp.example", "site": "fra", "second_site": None,
                "answers": 1,
            },
        ],
    }  # fmt: skip


def test_cases_are_as_many_answers_as_disagree(import_lines: Callable[..., Run]) -> None:
    strange = "resolver.isp.example"
    run = import_lines(
        dns_result(1, strange, nsid=BER.encode()),
        dns_result(2, BER, nsid=LON.encode(), answer_class="IN"),
        dns_result(3, BER, nsid=strange.encode(), answer_class="IN"),
        dns_result(4, BER, nsid=b"xyz1.example-dns.net"),
        dns_result(5, "", nsid=BER.encode()),
    )
    witnesses = only_target(workflow.show(run))["witnesses"]
    assert sum(case["answers"] for case in witnesses["cases"]) == witnesses["disagree"]
    assert {(case["identity"], case["second_identity"]) for case in witnesses["cases"]} == {(strange, BER), (BER, LON)}


@pytest.fixture
def intercepted(import_lines: Callable[..., Run]) -> Run:
    """Return a run in which somebody else answered four of seven vantage points, in two countries and three ASes."""
    return import_lines(
        dns_result(1, "dns1", rtt_ms=2.0),
        dns_result(2, None, rcode="SERVFAIL"),
        dns_result(2, None, rcode="REFUSED", timestamp=NOON + 1),
        dns_result(2, None, rcode="REFUSED", timestamp=NOON + 2, rtt_ms=7.0),
        dns_result(3, ""),
        dns_result(4, "sin1.example-dns.net", rtt_ms=1.0),
        dns_result(5),
        dns_result(6),
        dns_error(7),
        probes=[
            place(1),
            place(2, country="NL", asn_v4=64_502),
            place(3, country="NL", asn_v4=64_501),
            place(4, country="NL", asn_v4=64_501),
            place(5),
            place(6, country="FR"),
        ],
    )


NOBODY: dict[str, Any] = {"vantage_points": 0, "by_country": [], "by_asn": [], "identities": []}


def test_interception_is_counted_by_rule_and_network(intercepted: Run) -> None:
    # Vantage point 4, in AS64501, heard of Singapore too early: perhaps it is not where it says.
    assert only_target(workflow.show(intercepted))["interception"] == {
        "vantage_points": 3,
        "by_rule": {"empty-where-it-answers": 1, "error-where-it-answers": 1, "no-pattern-matches": 1},
        "by_country": [
            {"country": "NL", "vantage_points": 2, "of": 3},
            {"country": "DE", "vantage_points": 1, "of": 2},
        ],
        "by_asn": [
            {"asn": 64_500, "vantage_points": 1, "of": 3},
            {"asn": 64_501, "vantage_points": 1, "of": 2},
            {"asn": 64_502, "vantage_points": 1, "of": 1},
        ],
        "partly": NOBODY,
        "faster_than_light": {"vantage_points": 1},
    }


def test_a_box_that_is_faster_than_pings_intercepts(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(1, "sin1.example-dns.net", rtt_ms=5.0), ping_result(1, 170.0), probes=[place(1)])
    found = only_target(workflow.show(run))["interception"]
    assert found["by_rule"] == {"faster-than-ping": 1}
    assert (found["vantage_points"], found["faster_than_light"]) == (1, {"vantage_points": 0})


@pytest.fixture
def hijacked(import_lines: Callable[..., Run]) -> Run:
    """Return a run in which somebody else answers three of five vantage points now and then, and one alone."""
    hijacker, also = "ns1.hijacker.example", "ns2.hijacker.example"
    return import_lines(
        *(dns_result(probe, timestamp=NOON + second) for probe in (1, 2, 3, 4) for second in range(3)),
        dns_result(1, hijacker, timestamp=NOON + 60),
        dns_result(1, hijacker, timestamp=NOON + 120),
        dns_result(1, also, timestamp=NOON + 90),
        dns_result(2, hijacker, timestamp=NOON + 30),
        dns_result(3, None, rcode="REFUSED", timestamp=NOON + 45),
        # The service promises no answer to this one, so it is nobody's fault.
        dns_result(4, None, rcode="REFUSED", query="id.server", timestamp=NOON + 50),
        dns_result(5, hijacker, timestamp=NOON + 10),
        probes=[place(1), place(2), place(3, country="NL", asn_v4=64_501), place(4), place(5)],
    )


def test_who_is_answered_by_somebody_else_now_and_then_is_counted_apart(hijacked: Run) -> None:
    target = only_target(workflow.show(hijacked))
    assert target["vantage_points"]["verdicts"] == {"ok": 4, "intercepted-foreign-identity": 1}
    assert target["interception"]["vantage_points"] == 1
    assert target["interception"]["partly"] == {
        "vantage_points": 3,
        "by_country": [
            {"country": "DE", "vantage_points": 2, "of": 4},
            {"country": "NL", "vantage_points": 1, "of": 1},
        ],
        "by_asn": [
            {"asn": 64_500, "vantage_points": 2, "of": 4},
            {"asn": 64_501, "vantage_points": 1, "of": 1},
        ],
        "identities": [
            {
                "text": "ns1.hijacker.example", "rcode": None, "answers": 3, "vantage_points": 2,
                "first_at": "2026-11-01T12:00:30Z", "last_at": "2026-11-01T12:02:00Z",
            },
            {
                "text": "ns2.hijacker.example", "rcode": None, "answers": 1, "vantage_points": 1,
                "first_at": "2026-11-01T12:01:30Z", "last_at": "2026-11-01T12:01:30Z",
            },
            {
                "text": None, "rcode": "REFUSED", "answers": 1, "vantage_points": 1,
                "first_at": "2026-11-01T12:00:45Z", "last_at": "2026-11-01T12:00:45Z",
            },
        ],
    }  # fmt: skip
    # Whoever got them: vantage point 5 as well.
    assert target["foreign_identities"] == [
        {"text": "ns1.hijacker.example", "answers": 4},
        {"text": "ns2.hijacker.example", "answers": 1},
    ]


def test_a_window_before_the_hijack_knows_nothing_of_it(hijacked: Run) -> None:
    target = only_target(workflow.show(hijacked, Window(end=float(NOON + 5))))
    assert (target["interception"]["partly"], target["foreign_identities"]) == (NOBODY, [])


def test_who_is_answered_by_somebody_else_now_and_then_is_listed_among_the_ok(hijacked: Run) -> None:
    groups = {group["key"]: group for group in only_target(workflow.show(hijacked, by=Grouping.VERDICT))["groups"]}
    assert groups["ok"]["vantage_points"] == 4
    assert [(entry["vantage"], entry["identity"], entry["others"]) for entry in groups["ok"]["listed"]] == [
        (
            "atlas:1", FRA,
            {"text": "ns1.hijacker.example", "rcode": None, "answers": 3, "first_at": "2026-11-01T12:01:00Z"},
        ),
        (
            "atlas:2", FRA,
            {"text": "ns1.hijacker.example", "rcode": None, "answers": 1, "first_at": "2026-11-01T12:00:30Z"},
        ),
        ("atlas:3", FRA, {"text": None, "rcode": "REFUSED", "answers": 1, "first_at": "2026-11-01T12:00:45Z"}),
    ]  # fmt: skip
    assert groups["intercepted-foreign-identity"]["listed"][0]["others"] is None


def test_one_change_is_counted_apart_from_flapping(import_lines: Callable[..., Run]) -> None:
    def seen(probe: int, *names: str) -> list[dict[str, Any]]:
        return [dns_result(probe, name, timestamp=NOON + second) for second, name in enumerate(names)]

    run = import_lines(
        *seen(1, FRA, FRA, BER, BER),
        *seen(2, LON, BER, BER),
        *seen(3, FRA, BER, FRA),
        *seen(4, FRA, BER, BER, BER),
        *seen(5, FRA, FRA),
    )
    assert only_target(workflow.show(run))["flips"] == {
        "vantage_points": 5,
        "flapping": 4,
        "flips": 5,
        "changed_once": 3,
        "changes": [
            {"from": "fra", "to": "ber", "vantage_points": 2},
            {"from": "lon", "to": "ber", "vantage_points": 1},
        ],
    }


def by_verdict(run: Run, window: Window, *asked: str) -> dict[str, Any]:
    """Return the numbers of a run whose platform knows who was asked."""
    services, targets = run.header.services, run.header.targets
    with workbench() as (con, _):
        load_run(con, run, Window(), services)
        assign(con, services, targets, [window], asked=[(vantage, TARGET) for vantage in asked])
        return only_target(measure(con, services, targets, window, by=Grouping.VERDICT))


def test_who_never_reported_is_a_group_without_shares(import_lines: Callable[..., Run]) -> None:
    later = dns_result(7, timestamp=NOON + 600)
    run = import_lines(dns_result(1), later, probes=[place(1), place(7, country="NL", asn_v4=64_501)])
    target = by_verdict(run, Window(start=float(NOON), end=float(NOON + 300)), "atlas:1", "atlas:7")
    assert target["vantage_points"]["total"] == 1
    ok, silent = target["groups"]
    assert (ok["key"], ok["vantage_points"], ok["listed"]) == ("ok", 1, [])
    listed = silent.pop("listed")
    assert silent == {
        "key": "no-result",
        "vantage_points": 1,
        "assigned": 0,
        "shares": {},
        "shares_assigned": {},
        "rtt_ms": {"p25": None, "p50": None, "p75": None, "p90": None},
    }
    assert [(entry["vantage"], entry["country"], entry["asn"], entry["rule"]) for entry in listed] == [
        ("atlas:7", "NL", 64_501, "asked-never-reported")
    ]


def test_nobody_may_have_reported(import_lines: Callable[..., Run]) -> None:
    target = by_verdict(import_lines(dns_result(1)), Window(start=NOON - 60.0, end=NOON - 30.0), "atlas:1")
    assert [(group["key"], len(group["listed"])) for group in target["groups"]] == [("no-result", 1)]


def test_what_came_most_often_without_an_identity_is_listed(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1, None),
        dns_result(1, None, timestamp=NOON + 1),
        dns_result(1, None, rcode="REFUSED", timestamp=NOON + 2),
        dns_result(2, ""),
    )
    (group,) = only_target(workflow.show(run, by=Grouping.VERDICT))["groups"]
    assert group["key"] == "intercepted-empty"
    assert [(entry["vantage"], entry["rcode"]) for entry in group["listed"]] == [
        ("atlas:1", "NOERROR"),
        ("atlas:2", "NOERROR"),
    ]


def test_who_has_another_verdict_than_ok_is_listed(intercepted: Run) -> None:
    groups = {group["key"]: group for group in only_target(workflow.show(intercepted, by=Grouping.VERDICT))["groups"]}
    assert groups["ok"]["listed"] == []
    assert groups["intercepted-error"]["listed"] == [
        {
            "vantage": "atlas:2", "country": "NL", "asn": 64_502, "rule": "error-where-it-answers", "identity": None,
            "rcode": "REFUSED", "site": None, "distance_km": None, "rtt_ms_min": 7.0, "others": None,
        }
    ]  # fmt: skip
    (foreign,) = groups["intercepted-foreign-identity"]["listed"]
    assert (foreign["vantage"], foreign["identity"], foreign["rcode"]) == ("atlas:1", "dns1", None)
    (impossible,) = groups["impossible-rtt"]["listed"]
    # Frankfurt's probe to Singapore: 10,250 km by geopy.
    here, there = (50.0, 8.5), (1.35, 103.82)
    assert impossible["distance_km"] == pytest.approx(geodesic(here, there).km, abs=0.01)
    assert (impossible["site"], impossible["rtt_ms_min"]) == ("sin", 1.0)
    (lost,) = groups["timeout"]["listed"]
    assert (lost["vantage"], lost["country"], lost["asn"]) == ("atlas:7", None, None)


def test_listed_are_as_many_as_the_group_has(sample: dict[str, Run]) -> None:
    target = only_target(workflow.show(sample["before"], by=Grouping.VERDICT))
    assert len(target["groups"]) > 3
    for group in target["groups"]:
        partly = sum(entry["others"] is not None for entry in group["listed"])
        assert len(group["listed"]) == (partly if group["key"] == "ok" else group["vantage_points"])
    listed = [entry for group in target["groups"] for entry in group["listed"]]
    placed = target["interception"]["partly"]["vantage_points"]
    assert sum(entry["others"] is not None for entry in listed) == placed


def test_numbers_of_an_earlier_version_are_named_and_not_shown(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(1))
    stored = json.loads((run.path / "metrics.json").read_text())
    del stored["targets"][0]["foreign_identities"]
    (run.path / "metrics.json").write_text(json.dumps(stored))
    with pytest.raises(InvalidRun, match=r"written by an earlier version: `catchment derive .*` rebuilds it"):
        workflow.show(run)
