from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catchment import workflow
from catchment.compare import pair_targets
from catchment.errors import UnknownName
from catchment.model import Grouping, Level, Target, Window
from catchment.store import Run
from tests.atlas_results import NOON, dns_error, dns_result, place
from tests.conftest import EXAMPLE_SERVICE

Import = Callable[..., Run]
FRA, BER, LON = (f"{code}1.example-dns.net" for code in ("fra", "ber", "lon"))


def compared(before: Run, after: Run, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = workflow.compare_runs((before, Window()), (after, Window()), **options)["targets"][0]
    return found


def sites_of(run: Run) -> dict[str, str]:
    return {entry["vantage"]: entry["site"] for entry in run.assignments.to_dicts() if entry["site"]}


def test_moves_are_counted_from_site_to_site(sample: dict[str, Run]) -> None:
    before, after = sites_of(sample["before"]), sites_of(sample["after"])
    both = before.keys() & after.keys()
    expected = Counter((before[who], after[who]) for who in both if before[who] != after[who])
    found = compared(sample["before"], sample["after"])
    assert found["paired"] == len(both)
    assert {(move["from"], move["to"]): move["vantage_points"] for move in found["moves"]} == expected
    assert found["moved"] == sum(expected.values())
    assert found["moved_share"] == pytest.approx(found["moved"] / found["paired"], abs=1e-6)


def test_a_site_that_burned_lost_all_and_its_heirs_are_named(sample: dict[str, Run]) -> None:
    found = compared(sample["before"], sample["after"])
    sites = {site["site"]: site for site in found["sites"]}
    assert sites["fra"]["after"] == 0
    assert sites["fra"]["left"] == sites["fra"]["before"] == found["moved"]
    assert sum(site["joined"] for site in found["sites"]) == found["moved"]
    assert all(move["from"] == "fra" for move in found["moves"])


def test_a_run_against_itself_moves_nobody(sample: dict[str, Run]) -> None:
    found = compared(sample["before"], sample["before"])
    assert (found["moved"], found["total_variation"], found["moves"]) == (0, 0.0, [])
    assert found["summary"] == f"None of {found['paired']} vantage points moved."


def test_a_swap_moves_vantage_points_but_not_shares(import_lines: Import) -> None:
    before = import_lines(dns_result(1, FRA), dns_result(2, BER))
    after = import_lines(dns_result(1, BER), dns_result(2, FRA))
    found = compared(before, after)
    assert (found["moved_share"], found["total_variation"]) == (1.0, 0.0)


def test_only_vantage_points_assigned_on_both_sides_are_compared_and_the_others_counted(import_lines: Import) -> None:
    before = import_lines(dns_result(1), dns_result(2), dns_result(3), dns_error(4), dns_error(6))
    after = import_lines(dns_result(1, BER), dns_error(2), dns_result(4), dns_result(5), dns_result(6, "isp.example"))
    found = compared(before, after)
    assert (found["paired"], found["moved"], found["only_before"], found["only_after"]) == (1, 1, 2, 2)
    assert found["excluded"] == {
        "after: no-result": 1,
        "after: timeout": 1,
        "before: no-result": 1,
        "before: timeout": 1,
        "before: timeout, after: intercepted-foreign-identity": 1,
    }
    assert found["paired"] + sum(found["excluded"].values()) == 6


def test_latency_is_told_apart_for_those_that_moved_and_those_that_stayed(import_lines: Import) -> None:
    before = import_lines(*(dns_result(n, FRA, rtt_ms=10.0 * n) for n in (1, 2, 3)))
    after = import_lines(
        dns_result(1, FRA, rtt_ms=11.0), dns_result(2, BER, rtt_ms=80.0), dns_result(3, BER, rtt_ms=50.0)
    )
    rtt = compared(before, after)["rtt_ms"]
    assert rtt["moved"] == {"vantage_points": 2, "before": 25.0, "after": 65.0, "change": 40.0}
    assert rtt["unmoved"] == {"vantage_points": 1, "before": 10.0, "after": 11.0, "change": 1.0}


def test_those_that_flap_anyway_are_counted_among_the_moved(import_lines: Import) -> None:
    flapping = [dns_result(1, text, timestamp=NOON + n) for n, text in enumerate((FRA, BER, FRA))]
    before = import_lines(*flapping, dns_result(2, FRA))
    after = import_lines(dns_result(1, BER), dns_result(2, BER))
    found = compared(before, after)
    assert (found["moved"], found["moved_flapping"]) == (2, 1)


def test_two_windows_of_one_run_can_be_compared(import_lines: Import) -> None:
    run = import_lines(
        dns_result(1), dns_result(2), dns_result(1, BER, timestamp=NOON + 600), dns_result(2, timestamp=NOON + 600)
    )
    middle = float(NOON + 300)
    numbers = workflow.compare_runs((run, Window(end=middle)), (run, Window(start=middle)))
    assert numbers["targets"][0]["moves"] == [
        {"from": "fra", "to": "ber", "vantage_points": 1, "rtt_ms_before": 20.0, "rtt_ms_after": 20.0}
    ]
    assert numbers["before"].endswith("[..2026-11-01T12:05:00Z]")


def test_groups_tell_where_the_moves_are(import_lines: Import) -> None:
    probes = [place(1), place(2, 51.5, -0.1, "GB"), place(3, 51.5, -0.1, "GB")]
    before = import_lines(*(dns_result(n, FRA) for n in (1, 2, 3)), probes=probes)
    after = import_lines(dns_result(1), dns_result(2, LON), dns_result(3, LON), probes=probes)
    groups = compared(before, after, by=Grouping.COUNTRY)["groups"]
    assert [(group["key"], group["paired"], group["moved"]) for group in groups] == [("GB", 2, 2), ("DE", 1, 0)]


def test_both_sides_are_assigned_with_one_version_of_the_service(sample: dict[str, Run]) -> None:
    before = sample["before"]
    service = before.header.services[0]
    renamed = tuple(replace(site, code="fft") if site.code == "fra" else site for site in service.sites)
    patterns = (replace(service.patterns[0], regex=service.patterns[0].regex.replace("[a-z]{3}", "(?!fra)[a-z]{3}")),)
    older = replace(
        before, header=replace(before.header, services=(replace(service, patterns=patterns, sites=renamed),))
    )
    numbers = workflow.compare_runs((older, Window()), (before, Window()))
    assert numbers["targets"][0]["moved"] == 0
    assert numbers["warnings"]


def test_statistics_are_absent_until_there_are_some(sample: dict[str, Run]) -> None:
    found = compared(sample["before"], sample["after"])
    assert found["floor"] is None
    assert all((site["p"], site["q"], site["ci"]) == (None, None, None) for site in found["sites"])


def test_when_everything_vanishes_the_summary_says_so_and_nobody_moved(import_lines: Import) -> None:
    found = compared(import_lines(dns_result(1), dns_result(2)), import_lines(dns_error(1), dns_error(2)))
    assert (found["paired"], found["moved"], found["moved_share"], found["total_variation"]) == (0, 0, None, None)
    assert (
        found["summary"]
        == "No vantage point reached a site both before and after. 2 reached a site only before (after: timeout 2)."
    )


def test_runs_without_a_common_target_are_refused(import_lines: Import) -> None:
    other = import_lines(dns_result(1, "ns1.nl-ams.k.ripe.net", dst_addr="193.0.14.129"), service="k-root")
    with pytest.raises(UnknownName, match="no target in common"):
        compared(import_lines(dns_result(1)), other)


def test_a_renumbered_service_is_compared_with_itself() -> None:
    old = [Target(service="b-root", address="199.9.14.201"), Target(service="b-root", address="2001:500:200::b")]
    new = [Target(service="b-root", address="170.247.170.2"), Target(service="b-root", address="2801:1b8:10::b")]
    assert pair_targets(old, new) == list(zip(old, new, strict=True))


def test_targets_that_cannot_be_told_apart_are_not_paired() -> None:
    old = [Target(service="x", address="192.0.2.1"), Target(service="x", address="192.0.2.2")]
    assert pair_targets(old, [Target(service="x", address="192.0.2.3")]) == []


def test_servers_of_one_site_are_one_place_unless_servers_are_compared(import_lines: Import) -> None:
    before = import_lines(dns_result(1, "fra1.example-dns.net"), dns_result(2, "fra1.example-dns.net"))
    after = import_lines(dns_result(1, "fra2.example-dns.net"), dns_result(2, "fra1.example-dns.net"))
    assert compared(before, after)["moved"] == 0
    found = compared(before, after, level=Level.SERVER)
    assert (found["moved"], found["moves"][0]["from"], found["moves"][0]["to"]) == (1, "fra/1", "fra/2")
    assert found["summary"].startswith("1 of 2 vantage points moved to another server (50.0 %): fra/1 → fra/2 1")


def test_sites_of_one_country_are_one_place_where_countries_are_compared(import_lines: Import) -> None:
    before = import_lines(dns_result(1, FRA), dns_result(2, FRA))
    after = import_lines(dns_result(1, BER), dns_result(2, LON))
    found = compared(before, after, level=Level.COUNTRY)
    assert [(move["from"], move["to"], move["vantage_points"]) for move in found["moves"]] == [("DE", "GB", 1)]
    assert found["summary"].startswith("1 of 2 vantage points moved to another country")


def test_where_identities_name_no_server_none_is_compared(import_lines: Import, tmp_path: Path) -> None:
    service = tmp_path / "nameless.toml"
    service.write_text(EXAMPLE_SERVICE.read_text().replace("(?P<server>\\d+)", "\\d+"))
    before = import_lines(dns_result(1, FRA), service=str(service))
    after = import_lines(dns_result(1, BER), service=str(service))
    found = compared(before, after, level=Level.SERVER)
    assert (found["paired"], found["excluded"]) == (0, {"its server has no name": 1})
    assert found["summary"] == "No identity names the server of 1 vantage point: compare with --level site."


def test_a_hijack_leads_the_summary_with_what_became_of_most(import_lines: Import) -> None:
    before = import_lines(*(dns_result(n) for n in range(1, 5)))
    after = import_lines(dns_result(1), *(dns_result(n, "ns1.hijacker.example") for n in range(2, 5)))
    assert compared(before, after)["summary"] == (
        "3 reached a site only before (after: intercepted-foreign-identity 3). "
        "None of 1 vantage point that did both times moved."
    )


def test_targets_to_compare_can_be_chosen(import_lines: Import) -> None:
    run = import_lines(dns_result(1))
    assert compared(run, run, af=4)["target"] == "192.0.2.53"
    with pytest.raises(UnknownName, match="no such target"):
        compared(run, run, af=6)


def test_a_vantage_point_behind_a_load_balancer_flaps_between_servers_and_not_between_sites(
    import_lines: Import,
) -> None:
    both = [dns_result(1, f"fra{turn % 2 + 1}.example-dns.net", timestamp=NOON + turn) for turn in range(4)]
    before = import_lines(*both, dns_result(1, "fra1.example-dns.net", timestamp=NOON + 9))
    after = import_lines(*both, dns_result(1, "fra2.example-dns.net", timestamp=NOON + 9))
    found = compared(before, after, level=Level.SERVER)
    assert (found["moved"], found["moved_flapping"]) == (1, 1)
    assert compared(before, after)["moved_flapping"] == 0


OPEN = """
name = "open"
operator = "us"
addresses = [{ address = "192.0.2.53" }]
answers = ["hostname.bind"]
patterns = [{ regex = '^(?P<site>[a-z]{3})\\d*$', codes = "iata" }]
open_list = true
"""


def test_sites_of_an_open_list_are_the_same_whichever_run_comes_first(import_lines: Import, tmp_path: Path) -> None:
    service = tmp_path / "open.toml"
    service.write_text(OPEN)
    # Vienna and Bratislava are 55 km apart.
    one = import_lines(dns_result(1, "vie"), dns_result(2, "vie"), service=str(service))
    two = import_lines(dns_result(1, "bts"), dns_result(2, "vie"), service=str(service))
    there, back = compared(one, two), compared(two, one)
    assert [(move["from"], move["to"]) for move in there["moves"]] == [("vie", "bts")]
    assert [(move["from"], move["to"]) for move in back["moves"]] == [("bts", "vie")]
