"""Witnesses other than identities: the last router before the target, and light."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catchment.store import Run
from tests.atlas_results import NOON, dns_error, dns_result, ping_result, place, traceroute_result
from tests.conftest import EXAMPLE_SERVICE

Import = Callable[..., Run]
ROUTER, OTHER = "203.0.113.1", "203.0.113.2"
AT_DE_CIX, AT_LINX = "80.81.192.7", "195.66.224.7"


@pytest.fixture
def trace(import_lines: Import, tmp_path: Path) -> Callable[..., Run]:
    """Return a function that imports results under the example service, with neighbours and names of routers."""

    def run(*results: dict[str, Any], neighbours: str = "", hop_names: str = "", probe: Any = None) -> Run:
        file = tmp_path / "service.toml"
        file.write_text(
            f"neighbours = [{neighbours}]\nhop_names = [{hop_names}]\n" + EXAMPLE_SERVICE.read_text(encoding="utf-8")
        )
        return import_lines(*results, service=str(file), probes=[probe or place(1)])

    return run


def row(run: Run) -> dict[str, Any]:
    (found,) = run.assignments.to_dicts()
    return dict(found)


def judged(run: Run) -> tuple[str, str | None, str, str | None]:
    found = row(run)
    return found["verdict"], found["site"], found["rule"], found["confidence"]


def named(name: str, address: str = ROUTER) -> str:
    return f'{{ address = "{address}", name = "{name}" }}'


def test_the_place_in_the_name_of_the_last_router_names_the_site(trace: Callable[..., Run]) -> None:
    run = trace(traceroute_result(1, ROUTER, 20.0), hop_names=named("ae1.core1.fra3.carrier.net"))
    assert judged(run) == ("ok", "fra", "hop-name", "medium")


def test_a_router_that_the_service_knows_names_the_site_beside_it(trace: Callable[..., Run]) -> None:
    run = trace(
        traceroute_result(1, ROUTER, 20.0),
        neighbours='{ prefix = "203.0.113.0/24", site = "fra" }, { prefix = "203.0.113.1/32", site = "ber" }',
    )
    assert judged(run) == ("ok", "ber", "neighbour-of-site", "medium")


def test_the_peering_lan_of_an_exchange_names_the_site_in_its_town(trace: Callable[..., Run]) -> None:
    assert judged(trace(traceroute_result(1, AT_DE_CIX, 20.0))) == ("ok", "fra", "exchange-of-site", "medium")


def test_where_light_leaves_one_site_that_is_it(trace: Callable[..., Run]) -> None:
    run = trace(ping_result(1, 2.0), probe=place(1, 1.3, 103.8, "SG"))
    assert judged(run) == ("ok", "sin", "only-feasible-site", "medium")
    assert row(run)["feasible_sites"] == 1
    assert row(run)["rtt_ms_median"] == 2.0


def test_where_light_leaves_several_sites_it_names_none(trace: Callable[..., Run]) -> None:
    run = trace(ping_result(1, 9.0))
    assert judged(run) == ("no-identity", None, "no-identity-asked", None)
    # Berlin and London are 424 and 638 km away, within 9 · 102.1 + 100 km; Ashburn and Singapore are not.
    assert row(run)["feasible_sites"] == 3


def test_a_router_and_light_that_agree_are_trusted(trace: Callable[..., Run]) -> None:
    run = trace(
        traceroute_result(1, ROUTER, 2.0),
        hop_names=named("core1.sin3.carrier.net"),
        probe=place(1, 1.3, 103.8, "SG"),
    )
    assert judged(run) == ("ok", "sin", "witnesses-agree", "high")


def test_light_does_not_make_good_what_readings_of_the_router_dispute(trace: Callable[..., Run]) -> None:
    run = trace(
        traceroute_result(1, AT_DE_CIX, 20.0),
        neighbours='{ prefix = "80.81.192.7/32", site = "ber" }',
        hop_names=named("core1.ber3.carrier.net", AT_DE_CIX),
    )
    assert judged(run) == ("ok", "ber", "neighbour-of-site", "medium")


def test_two_readings_of_one_router_are_one_witness(trace: Callable[..., Run]) -> None:
    run = trace(traceroute_result(1, AT_DE_CIX, 20.0), hop_names=named("core1.fra3.carrier.net", AT_DE_CIX))
    assert judged(run) == ("ok", "fra", "hop-name", "medium")


def test_witnesses_that_disagree_name_no_site_and_are_listed(trace: Callable[..., Run]) -> None:
    run = trace(traceroute_result(1, AT_DE_CIX, 20.0), hop_names=named("core1.lhr3.carrier.net", AT_DE_CIX))
    assert judged(run) == ("no-identity", None, "witnesses-disagree", None)
    assert {(entry["witness"], entry["site"]) for entry in run.evidence.to_dicts()} == {
        ("exchange", "fra"),
        ("hop-name", "lon"),
    }


def test_the_service_s_word_on_its_neighbours_stands_against_a_name(trace: Callable[..., Run]) -> None:
    run = trace(
        traceroute_result(1, ROUTER, 20.0),
        neighbours='{ prefix = "203.0.113.1/32", site = "ber" }',
        hop_names=named("core1.fra3.carrier.net"),
    )
    assert judged(run) == ("ok", "ber", "neighbour-of-site", "medium")


def test_a_site_that_light_rules_out_is_kept_as_evidence_and_has_no_vote(trace: Callable[..., Run]) -> None:
    run = trace(traceroute_result(1, ROUTER, 20.0), hop_names=named("core1.sin2.carrier.net"))
    assert judged(run)[:2] == ("no-identity", None)
    (entry,) = run.evidence.to_dicts()
    assert (entry["site"], entry["possible"], entry["said"]) == ("sin", False, f"{ROUTER} core1.sin2.carrier.net")


@pytest.mark.parametrize("change", [{"hop_ms": 15.0}, {"hop_ms": 300.0}, {"gap": 1}])
def test_a_router_that_is_not_next_door_is_no_witness(trace: Callable[..., Run], change: dict[str, Any]) -> None:
    run = trace(traceroute_result(1, ROUTER, 20.0, **change), hop_names=named("core1.fra3.carrier.net"))
    assert judged(run)[:2] == ("no-identity", None)
    assert run.evidence.to_dicts() == []


def test_the_site_named_most_often_is_that_of_the_window(trace: Callable[..., Run]) -> None:
    results = [traceroute_result(1, ROUTER, 20.0, timestamp=NOON + turn) for turn in range(2)]
    run = trace(
        *results,
        traceroute_result(1, OTHER, 20.0, timestamp=NOON + 9),
        hop_names=f"{named('fra3.carrier.net')}, {named('ber1.carrier.net', OTHER)}",
    )
    assert judged(run)[:2] == ("ok", "fra")


def test_a_name_given_as_often_as_another_decides_nothing(trace: Callable[..., Run]) -> None:
    run = trace(
        traceroute_result(1, ROUTER, 20.0),
        traceroute_result(1, OTHER, 20.0, timestamp=NOON + 9),
        hop_names=f"{named('fra3.carrier.net')}, {named('ber1.carrier.net', OTHER)}",
    )
    assert judged(run)[:2] == ("no-identity", None)


def test_the_server_s_own_word_is_believed_and_a_router_elsewhere_takes_a_little_off(trace: Callable[..., Run]) -> None:
    run = trace(dns_result(1), traceroute_result(1, ROUTER, 20.0), hop_names=named("core1.ber1.carrier.net"))
    assert judged(run) == ("ok", "fra", "pattern-own-code", "medium")
    run = trace(dns_result(1), traceroute_result(1, ROUTER, 20.0), hop_names=named("core1.fra1.carrier.net"))
    assert judged(run) == ("ok", "fra", "pattern-own-code", "high")


def test_a_router_before_the_other_site_of_a_flapping_vantage_point_contradicts_nothing(
    trace: Callable[..., Run],
) -> None:
    answers = [dns_result(1), dns_result(1, timestamp=NOON + 1)]
    run = trace(
        *answers,
        dns_result(1, "ber1.example-dns.net", timestamp=NOON + 2),
        traceroute_result(1, ROUTER, 20.0),
        hop_names=named("core1.ber1.carrier.net"),
    )
    assert judged(run) == ("ok", "fra", "pattern-own-code", "high")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (dns_result(1, "resolver.isp.example"), "intercepted-foreign-identity"),
        (dns_result(1, None, rcode="REFUSED"), "intercepted-error"),
        (dns_error(1), "dns-dead"),
    ],
)
def test_evidence_clears_nobody_s_dns(trace: Callable[..., Run], answer: dict[str, Any], verdict: str) -> None:
    run = trace(answer, traceroute_result(1, ROUTER, 20.0), hop_names=named("core1.fra1.carrier.net"))
    assert judged(run)[:2] == (verdict, None)


def test_a_service_that_promises_no_identity_is_assigned_by_evidence(trace: Callable[..., Run]) -> None:
    run = trace(
        dns_result(1, None, query="version.bind", rcode="REFUSED"),
        traceroute_result(1, ROUTER, 20.0),
        hop_names=named("core1.fra1.carrier.net"),
    )
    assert judged(run) == ("ok", "fra", "hop-name", "medium")


def test_pings_tell_the_latency_of_a_site_that_a_router_named(trace: Callable[..., Run]) -> None:
    run = trace(
        traceroute_result(1, ROUTER, 20.0),
        ping_result(1, 17.0),
        ping_result(1, 19.0, timestamp=NOON + 1),
        hop_names=named("core1.fra1.carrier.net"),
    )
    assert (row(run)["rtt_ms_min"], row(run)["rtt_ms_median"]) == (17.0, 18.0)


def test_a_minority_of_traceroutes_names_no_site(trace: Callable[..., Run]) -> None:
    known = [traceroute_result(1, ROUTER, 20.0, timestamp=NOON + turn) for turn in range(3)]
    unknown = [traceroute_result(1, OTHER, 90.0, timestamp=NOON + 10 + turn) for turn in range(9)]
    run = trace(*known, *unknown, hop_names=named("core1.lhr1.carrier.net"))
    assert judged(run)[:2] == ("no-identity", None)


def test_light_does_not_speak_where_most_echoes_took_far_longer(trace: Callable[..., Run]) -> None:
    slow = [ping_result(1, 180.0, timestamp=NOON + turn) for turn in range(9)]
    run = trace(ping_result(1, 2.0, timestamp=NOON + 10), *slow, probe=place(1, 1.3, 103.8, "SG"))
    assert judged(run)[:2] == ("no-identity", None)


def test_light_does_not_speak_where_answers_took_far_longer_than_pings(trace: Callable[..., Run]) -> None:
    answer = dns_result(1, None, query="id.server", rcode="REFUSED", rtt_ms=180.0)
    run = trace(answer, ping_result(1, 2.0), probe=place(1, 1.3, 103.8, "SG"))
    assert judged(run)[:2] == ("no-identity", None)


def test_light_does_not_overrule_the_server_s_own_word(trace: Callable[..., Run]) -> None:
    others = [dns_result(1, "NSD", query="version.bind", timestamp=NOON + turn) for turn in range(2)]
    answer = dns_result(1, "ber1.example-dns.net", rtt_ms=150.0)
    run = trace(answer, *others, ping_result(1, 2.0), probe=place(1, 1.3, 103.8, "SG"))
    assert judged(run)[:2] == ("ok", "ber")


def test_light_says_nothing_of_a_vantage_point_that_is_not_where_it_says(import_lines: Import, tmp_path: Path) -> None:
    service = tmp_path / "three.toml"
    addresses = ", ".join(f'{{ address = "192.0.2.{last}" }}' for last in (53, 54, 55))
    service.write_text(EXAMPLE_SERVICE.read_text().replace('{ address = "192.0.2.53" }', addresses))
    fra = [dns_result(1, rtt_ms=3.0, dst_addr=f"192.0.2.{last}") for last in (53, 54)]
    run = import_lines(
        *fra,
        ping_result(1, 3.0, dst_addr="192.0.2.55"),
        service=str(service),
        probes=[place(1, 1.3, 103.8, "SG")],
    )
    found = {entry["target"]: (entry["verdict"], entry["site"]) for entry in run.assignments.to_dicts()}
    assert found == {
        "192.0.2.53": ("mislocated", "fra"),
        "192.0.2.54": ("mislocated", "fra"),
        "192.0.2.55": ("no-identity", None),
    }
    assert run.evidence.to_dicts() == []


def test_light_names_no_site_of_a_list_that_is_open(import_lines: Import, tmp_path: Path) -> None:
    service = tmp_path / "open.toml"
    service.write_text("open_list = true\n" + EXAMPLE_SERVICE.read_text())
    run = import_lines(ping_result(1, 2.0), service=str(service), probes=[place(1, 1.3, 103.8, "SG")])
    assert judged(run)[:2] == ("no-identity", None)


def test_a_router_whose_name_holds_two_towns_names_no_site(trace: Callable[..., Run]) -> None:
    run = trace(traceroute_result(1, ROUTER, 20.0), hop_names=named("xe-0.fra1.lhr1.carrier.net"))
    assert judged(run)[:3] == ("no-identity", None, "witnesses-disagree")


def test_traceroutes_with_a_silent_router_count_as_well(trace: Callable[..., Run]) -> None:
    silent = [traceroute_result(1, OTHER, 180.0, gap=1, timestamp=NOON + 10 + turn) for turn in range(9)]
    run = trace(traceroute_result(1, ROUTER, 20.0), *silent, hop_names=named("core1.lhr1.carrier.net"))
    assert judged(run)[:2] == ("no-identity", None)
