import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from catchment import terminal, workflow
from catchment.compare import pair_targets
from catchment.errors import UnknownName
from catchment.model import Grouping, Level, Target, Window
from catchment.store import Run
from tests.atlas_results import NOON, dns_error, dns_result, ping_result, place
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
    before = import_lines(*(dns_result(n) for n in range(1, 10)))
    after = import_lines(*(dns_error(n) for n in range(1, 10)), *(ping_result(n) for n in range(1, 10)))
    found = compared(before, after)
    assert (found["paired"], found["moved"], found["moved_share"], found["total_variation"]) == (0, 0, None, None)
    assert found["lost"] == [{"verdict": "unreachable", "vantage_points": 9}]
    assert found["lost_at"] == [{"site": "fra", "vantage_points": 9, "of": 9}]
    assert found["summary"] == (
        "9 of 9 vantage points that reached a site reach none now (9 unreachable): the address seems to be withdrawn."
    )


def test_without_pings_nobody_knows_whether_the_route_is_gone_or_the_servers(import_lines: Import) -> None:
    found = compared(import_lines(dns_result(1), dns_result(2)), import_lines(dns_error(1), dns_error(2)))
    assert found["summary"] == (
        "2 of 2 vantage points that reached a site reach none now (2 timeout): "
        "the address seems to be withdrawn, or its servers are dead; a ping would tell."
    )


def test_one_vantage_point_alone_withdraws_no_address(import_lines: Import) -> None:
    after = import_lines(dns_error(1), ping_result(1))
    assert compared(import_lines(dns_result(1)), after)["summary"] == (
        "1 of 1 vantage point that reached a site reaches none now (1 unreachable)."
    )


def test_where_those_of_one_site_vanish_it_is_named(import_lines: Import) -> None:
    before = import_lines(*(dns_result(n, FRA if n < 6 else BER) for n in range(1, 10)))
    after = import_lines(
        *(dns_error(n) for n in range(1, 6)),
        *(ping_result(n) for n in range(1, 6)),
        *(dns_result(n, BER) for n in range(6, 10)),
    )
    assert compared(before, after)["summary"] == (
        "5 of 9 vantage points that reached a site reach none now (5 unreachable): all that were at fra. "
        "None of 4 vantage points that did both times moved."
    )


def test_who_never_reported_has_not_lost_the_service(import_lines: Import) -> None:
    found = compared(import_lines(dns_result(1), dns_result(2)), import_lines(dns_result(1)))
    assert (found["lost"], found["reached"]) == ([{"verdict": "no-result", "vantage_points": 1}], 1)
    assert found["summary"] == "None of 1 vantage point moved. 1 reached a site only before (after: no-result 1)."


def test_what_is_found_again_is_told_the_other_way_round(import_lines: Import) -> None:
    there, gone = import_lines(dns_result(1), dns_result(2)), import_lines(dns_error(1), dns_error(2))
    found = compared(gone, there)
    assert (found["found"], found["lost"]) == ([{"verdict": "timeout", "vantage_points": 2}], [])
    assert found["summary"] == "2 vantage points reach a site now, and none did before (2 timeout)."


def test_servers_that_died_behind_a_route_that_stays_are_named_by_their_site(import_lines: Import) -> None:
    before = import_lines(*(dns_result(n, FRA if n < 6 else BER) for n in range(1, 10)))
    after = import_lines(
        *(dns_error(n) for n in range(1, 6)),
        *(ping_result(n, 5.0) for n in range(1, 6)),
        *(dns_result(n, BER) for n in range(6, 10)),
    )
    found = compared(before, after)
    assert found["dead"] == [{"site": "fra", "vantage_points": 5, "of": 5}]
    assert found["summary"] == (
        "5 vantage points: pings are answered, DNS is not: the servers at fra seem dead while its route stays. "
        "None of 4 vantage points that did both times moved."
    )


def test_a_site_that_still_answers_others_is_not_dead(import_lines: Import) -> None:
    before = import_lines(dns_result(1), dns_result(2))
    after = import_lines(dns_error(1), ping_result(1, 5.0), dns_result(2))
    found = compared(before, after)
    assert found["dead"] == [{"site": "fra", "vantage_points": 1, "of": 2}]
    assert found["summary"] == "None of 1 vantage point moved. 1 reached a site only before (after: dns-dead 1)."


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


EVIL = "ns1.hijacker.example"


def test_a_hijack_leads_the_summary_with_what_became_of_most(import_lines: Import) -> None:
    before = import_lines(*(dns_result(n) for n in range(1, 5)))
    after = import_lines(dns_result(1), *(dns_result(n, EVIL) for n in range(2, 5)))
    assert compared(before, after)["summary"] == (
        "3 of 4 vantage points now hear 'ns1.hijacker.example', which is none of the service's. "
        "None of 1 vantage point that did both times moved."
    )


def test_a_hijack_names_who_is_caught_where_and_by_whom(import_lines: Import) -> None:
    probes = [place(n, country="DE" if n < 3 else "GB", asn_v4=64_500 + n % 2) for n in range(1, 31)]
    before = import_lines(*(dns_result(n) for n in range(1, 31)), probes=probes)
    after = import_lines(*(dns_result(n, EVIL if n < 30 else "other.example") for n in range(1, 31)), probes=probes)
    found = compared(before, after)
    caught = found["caught"]
    assert (caught["vantage_points"], caught["alone"], caught["of"]) == (30, 30, 30)
    assert caught["identities"] == [
        {"text": EVIL, "vantage_points": 29},
        {"text": "other.example", "vantage_points": 1},
    ]
    assert caught["countries"] == {"GB": 28, "DE": 2}
    assert caught["asns"] == {"64500": 15, "64501": 15}
    assert [one["vantage"] for one in caught["listed"]] == [f"atlas:{n}" for n in range(1, 21)]
    assert caught["listed"][0]["site_before"] == "fra"
    assert found["moved"] == 0
    assert found["summary"] == (
        "30 of 30 vantage points now hear identities that are none of the service's: "
        "'ns1.hijacker.example', 'other.example'."
    )


def test_who_heard_somebody_else_before_or_was_silent_is_not_caught(import_lines: Import) -> None:
    before = import_lines(dns_result(1, "isp.example"), dns_result(2))
    after = import_lines(dns_result(1, EVIL), dns_result(2), dns_result(3, EVIL))
    found = compared(before, after)
    assert (found["caught"]["vantage_points"], found["caught"]["listed"]) == (0, [])
    assert found["summary"] == "None of 1 vantage point moved."


def test_who_hears_somebody_else_now_and_then_is_caught_and_keeps_its_site(import_lines: Import) -> None:
    before = import_lines(dns_result(1), dns_result(2))
    answers = [dns_result(1, text, timestamp=NOON + n) for n, text in enumerate((FRA, FRA, EVIL))]
    found = compared(before, import_lines(*answers, dns_result(2)))
    assert (found["caught"]["vantage_points"], found["caught"]["alone"], found["paired"]) == (1, 0, 2)
    assert found["summary"] == (
        "1 of 2 vantage points now and then hears 'ns1.hijacker.example', which is none of the service's. "
        "None of 2 vantage points moved."
    )


def test_one_caught_of_many_does_not_go_before_what_became_of_the_others(import_lines: Import) -> None:
    before = import_lines(*(dns_result(n) for n in range(1, 41)))
    after = import_lines(*(dns_result(n) for n in range(1, 40)), dns_result(40, "box.isp.example"))
    assert compared(before, after)["summary"] == (
        "None of 39 vantage points moved. "
        "1 of 40 vantage points now hears 'box.isp.example', which is none of the service's."
    )


def three(probe: int, *rtts_ms: float) -> list[dict[str, Any]]:
    return [dns_result(probe, rtt_ms=rtt_ms, timestamp=NOON + n) for n, rtt_ms in enumerate(rtts_ms)]


WAYS: tuple[tuple[tuple[float, ...], tuple[float, ...], str | None], ...] = (
    ((20.0, 21.0, 22.0), (30.0, 31.0, 32.0), "slower"),
    ((30.0, 31.0, 32.0), (20.0, 21.0, 22.0), "faster"),
    ((20.0, 20.0, 20.0), (24.9, 24.9, 24.9), None),  # less than 5 ms
    ((200.0, 200.0, 200.0), (230.0, 230.0, 230.0), None),  # less than 20 %
    ((20.0, 20.0, 20.0), (20.0, 20.0, 300.0), None),  # one late packet
    ((20.0,), (39.0,), None),  # too few answers for that
    ((20.0,), (200.0,), "slower"),
    ((100.0,), (140.0,), None),
    ((20.0, 20.0, 20.0), (200.0,), "slower"),
)


def test_a_longer_way_to_the_same_site_is_told_from_jitter(import_lines: Import) -> None:
    before = import_lines(*(one for n, (was, _, _) in enumerate(WAYS) for one in three(n, *was)))
    after = import_lines(*(one for n, (_, now, _) in enumerate(WAYS) for one in three(n, *now)))
    found = compared(before, after)
    for change in ("slower", "faster"):
        expected = {f"atlas:{n}" for n, (_, _, what) in enumerate(WAYS) if what == change}
        assert {one["vantage"] for one in found[change]["listed"]} == expected
        assert (found[change]["vantage_points"], found[change]["of"]) == (len(expected), len(WAYS))


def test_who_is_slower_at_the_same_site_is_listed_and_the_summary_says_so(import_lines: Import) -> None:
    before = import_lines(*(dns_result(n, rtt_ms=20.0) for n in range(1, 5)))
    after = import_lines(*(dns_result(n, rtt_ms=200.0) for n in range(1, 4)), dns_result(4, rtt_ms=20.0))
    found = compared(before, after)
    slower = found["slower"]
    assert (slower["vantage_points"], slower["of"], slower["rtt_ms_before"], slower["rtt_ms_after"]) == (3, 4, 20, 200)
    assert slower["listed"][0] == {
        "vantage": "atlas:1",
        "country": None,
        "site": "fra",
        "rtt_ms_before": 20.0,
        "rtt_ms_after": 200.0,
    }
    assert found["summary"] == (
        "None of 4 vantage points moved. 3 of 4 that stayed are slower now (median 20.0 → 200.0 ms): "
        "the same site, by a longer way or over a busier one; a traceroute would tell."
    )


def test_pings_tell_that_a_single_slow_answer_was_chance(import_lines: Import) -> None:
    before = import_lines(dns_result(1, rtt_ms=20.0), ping_result(1, 19.0))
    after = import_lines(dns_result(1, rtt_ms=200.0), ping_result(1, 19.0))
    assert compared(before, after)["slower"]["vantage_points"] == 0


def test_as_many_slower_as_faster_is_noise_and_no_news(import_lines: Import) -> None:
    slow, fast = dns_result(1, rtt_ms=20.0), dns_result(2, rtt_ms=200.0)
    found = compared(import_lines(slow, fast), import_lines(dns_result(1, rtt_ms=200.0), dns_result(2, rtt_ms=20.0)))
    assert (found["slower"]["vantage_points"], found["faster"]["vantage_points"]) == (1, 1)
    assert found["summary"] == "None of 2 vantage points moved."


def test_who_moved_is_not_slower_at_the_same_site(import_lines: Import) -> None:
    found = compared(import_lines(dns_result(1, FRA)), import_lines(dns_result(1, BER, rtt_ms=500.0)))
    assert (found["slower"]["vantage_points"], found["slower"]["of"]) == (0, 0)


def test_the_terminal_shows_who_is_caught_and_slower_and_no_escape_sequence(import_lines: Import) -> None:
    before = import_lines(*(dns_result(n, rtt_ms=20.0) for n in (1, 2)))
    after = import_lines(dns_result(1, "\x1b[31mevil.example"), dns_result(2, rtt_ms=200.0))
    numbers = workflow.compare_runs((before, Window()), (after, Window()))
    out = io.StringIO()
    Console(file=out, width=250, highlight=False).print(terminal.show_comparison(numbers))
    shown = out.getvalue()
    assert "\x1b" not in shown
    assert "Answered by somebody else now: “\\x1b[31mevil.example” 1." in shown
    assert "Slower at the same site: 1 of 1, median 20.0 → 200.0 ms: atlas:2 (fra) 20.0 → 200.0." in shown


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
