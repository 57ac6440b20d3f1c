import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.false_alarms import Noise, alarms, compare_noise, count_alarms
from benchmarks.two_sides import Seen, compare_sides, lost
from catchment import terminal, workflow
from catchment.compare import pair_targets
from catchment.compare.surplus import are_lost_together, is_news
from catchment.errors import UnknownName
from catchment.model import Grouping, Level, Target, Verdict, Window
from catchment.services import find_service
from catchment.store import Run
from tests.atlas_results import NOON, dns_error, dns_result, ping_result, traceroute_result
from tests.conftest import EXAMPLE_SERVICE

Import = Callable[..., Run]
FRA, BER, LON = (f"{code}1.example-dns.net" for code in ("fra", "ber", "lon"))


def compared(before: Run, after: Run, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = workflow.compare_runs((before, Window()), (after, Window()), **options)["targets"][0]
    return found


def at(site: str, *numbers: int, **more: Any) -> list[Seen]:
    """Return vantage points that reached a site."""
    return [Seen(vantage=f"atlas:{number}", site=site, **more) for number in numbers]


def none(verdict: Verdict, *numbers: int, **more: Any) -> list[Seen]:
    """Return vantage points that reached no site."""
    return [lost(f"atlas:{number}", verdict, **more) for number in numbers]


def shown(found: dict[str, Any]) -> str:
    """Return what the terminal shows of the comparison of a target."""
    numbers = {"before": "b", "after": "a", "service_digest": {}, "level": "site", "targets": [found]}
    out = io.StringIO()
    Console(file=out, width=250, highlight=False).print(terminal.show_comparison(numbers))
    return out.getvalue()


def sites_of(run: Run) -> dict[str, str]:
    return {entry["vantage"]: entry["site"] for entry in run.assignments.to_dicts() if entry["site"]}


@pytest.fixture(scope="module")
def fire(sample: dict[str, Run]) -> dict[str, Any]:
    """Return the comparison of the sample, in which Frankfurt burns."""
    return compared(sample["before"], sample["after"])


def test_moves_are_counted_from_site_to_site(sample: dict[str, Run], fire: dict[str, Any]) -> None:
    before, after = sites_of(sample["before"]), sites_of(sample["after"])
    both = before.keys() & after.keys()
    expected = Counter((before[who], after[who]) for who in both if before[who] != after[who])
    assert fire["paired"] == len(both)
    assert {(move["from"], move["to"]): move["vantage_points"] for move in fire["moves"]} == expected
    assert fire["moved"] == sum(expected.values())
    assert fire["moved_share"] == pytest.approx(fire["moved"] / fire["paired"], abs=1e-6)


def test_a_site_that_burned_lost_all_and_its_heirs_are_named(fire: dict[str, Any]) -> None:
    sites = {site["site"]: site for site in fire["sites"]}
    assert sites["fra"]["after"] == 0
    assert sites["fra"]["left"] == sites["fra"]["before"] == fire["moved"]
    assert sum(site["joined"] for site in fire["sites"]) == fire["moved"]
    assert all(move["from"] == "fra" for move in fire["moves"])


def test_a_run_against_itself_moves_nobody(sample: dict[str, Run]) -> None:
    found = compared(sample["before"], sample["before"])
    assert (found["moved"], found["total_variation"], found["moves"]) == (0, 0.0, [])
    assert found["summary"] == f"None of {found['paired']} vantage points moved."


def test_a_swap_moves_vantage_points_but_not_shares() -> None:
    found = compare_sides([*at("fra", 1), *at("ber", 2)], [*at("ber", 1), *at("fra", 2)])
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


def test_latency_is_told_apart_for_those_that_moved_and_those_that_stayed() -> None:
    before = [one for n in (1, 2, 3) for one in at("fra", n, rtts_ms=[10.0 * n])]
    after = [*at("fra", 1, rtts_ms=[11.0]), *at("ber", 2, rtts_ms=[80.0]), *at("ber", 3, rtts_ms=[50.0])]
    rtt = compare_sides(before, after)["rtt_ms"]
    assert rtt["moved"] == {"vantage_points": 2, "before": 25.0, "after": 65.0, "change": 40.0}
    assert rtt["unmoved"] == {"vantage_points": 1, "before": 10.0, "after": 11.0, "change": 1.0}


def test_those_that_flap_anyway_are_counted_among_the_moved() -> None:
    found = compare_sides([*at("fra", 1, flips=2), *at("fra", 2)], at("ber", 1, 2))
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


def test_groups_tell_where_the_moves_are() -> None:
    after = [*at("fra", 1, country="DE"), *at("lon", 2, 3, country="GB")]
    before = [*at("fra", 1, country="DE"), *at("fra", 2, 3, country="GB")]
    groups = compare_sides(before, after, by=Grouping.COUNTRY)["groups"]
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


def test_statistics_are_absent_until_there_are_some(fire: dict[str, Any]) -> None:
    assert fire["floor"] is None
    assert all((site["p"], site["q"], site["ci"]) == (None, None, None) for site in fire["sites"])


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


def test_without_pings_nobody_knows_whether_the_route_is_gone_or_the_servers() -> None:
    assert compare_sides(at("fra", 1, 2), none(Verdict.TIMEOUT, 1, 2))["summary"] == (
        "2 of 2 vantage points that reached a site reach none now (2 timeout): "
        "the address seems to be withdrawn, or its servers are dead; a ping would tell."
    )


def test_one_vantage_point_alone_withdraws_no_address() -> None:
    assert compare_sides(at("fra", 1), none(Verdict.UNREACHABLE, 1))["summary"] == (
        "1 of 1 vantage point that reached a site reaches none now (1 unreachable)."
    )


def test_where_those_of_one_site_vanish_it_is_named_and_keeps_its_row() -> None:
    before = [*at("fra", *range(1, 6)), *at("ber", *range(6, 10))]
    found = compare_sides(before, [*none(Verdict.UNREACHABLE, *range(1, 6)), *at("ber", *range(6, 10))])
    assert found["summary"] == (
        "5 of 9 vantage points that reached a site reach none now (5 unreachable): all that were at fra. "
        "None of 4 vantage points that reached a site both times moved."
    )
    sites = {site["site"]: site for site in found["sites"]}
    assert (sites["fra"]["before"], sites["fra"]["after"]) == (0, 0)
    assert (sites["fra"]["all_before"], sites["fra"]["all_after"]) == (5, 0)
    rows = [line.split() for line in shown(found).splitlines()]
    assert ["fra", "5", "0", "0", "0", "5", "→", "0"] in rows
    assert ["ber", "4", "4", "0", "0"] in rows


def test_where_all_vanish_their_sites_are_shown_all_the_same() -> None:
    found = compare_sides(at("fra", 1, 2), none(Verdict.UNREACHABLE, 1, 2))
    assert ["fra", "2", "0", "0", "0", "2", "→", "0"] in [line.split() for line in shown(found).splitlines()]


def test_who_is_lost_and_who_came_back_stand_side_by_side() -> None:
    before = [*at("fra", *range(1, 97)), *none(Verdict.TIMEOUT, *range(97, 102))]
    after = [*at("fra", *range(5, 102)), *none(Verdict.TIMEOUT, *range(1, 5))]
    assert compare_sides(before, after)["summary"] == (
        "None of 92 vantage points moved. 4 of 96 vantage points that reached a site reach none now (4 timeout); "
        "5 that reached none before do now (5 timeout)."
    )


def test_who_never_reported_has_not_lost_the_service() -> None:
    found = compare_sides(at("fra", 1, 2), at("fra", 1))
    assert (found["lost"], found["reached"]) == ([{"verdict": "no-result", "vantage_points": 1}], 1)
    assert found["summary"] == "None of 1 vantage point moved. 1 reached a site only before (after: no-result 1)."


def test_what_is_found_again_is_told_the_other_way_round() -> None:
    found = compare_sides(none(Verdict.TIMEOUT, 1, 2), at("fra", 1, 2))
    assert (found["found"], found["lost"]) == ([{"verdict": "timeout", "vantage_points": 2}], [])
    assert found["summary"] == "2 vantage points reach a site now, and none did before (2 timeout)."


def test_servers_that_died_behind_a_route_that_stays_are_named_by_their_site() -> None:
    before = [*at("fra", *range(1, 6)), *at("ber", *range(6, 10))]
    found = compare_sides(before, [*none(Verdict.DNS_DEAD, *range(1, 6)), *at("ber", *range(6, 10))])
    assert found["dead"] == [{"site": "fra", "vantage_points": 5, "of": 5}]
    assert found["summary"] == (
        "5 vantage points: pings are answered, DNS is not: the servers at fra seem dead while its route stays. "
        "None of 4 vantage points that reached a site both times moved."
    )


def test_a_site_that_still_answers_others_is_not_dead() -> None:
    found = compare_sides(at("fra", 1, 2), [*none(Verdict.DNS_DEAD, 1), *at("fra", 2)])
    assert found["dead"] == [{"site": "fra", "vantage_points": 1, "of": 2}]
    assert found["summary"] == "None of 1 vantage point moved. 1 reached a site only before (after: dns-dead 1)."


def test_a_lost_query_of_the_only_vantage_point_at_a_site_kills_no_server() -> None:
    before = [*at("fra", *range(1, 299)), *at("lon", 299), *at("ber", 300)]
    found = compare_sides(before, [*at("fra", *range(1, 299)), *none(Verdict.DNS_DEAD, 299, 300)])
    assert found["dead"] == [
        {"site": "ber", "vantage_points": 1, "of": 1},
        {"site": "lon", "vantage_points": 1, "of": 1},
    ]
    assert found["summary"] == "None of 298 vantage points moved. 2 reached a site only before (after: dns-dead 2)."


def test_of_several_sites_only_those_with_several_vantage_points_can_be_dead() -> None:
    before = [*at("fra", *range(1, 9)), *at("lon", 9, 10, 11), *at("ber", 12)]
    found = compare_sides(before, [*at("fra", *range(1, 9)), *none(Verdict.DNS_DEAD, 9, 10, 11, 12)])
    assert found["summary"] == (
        "3 vantage points: pings are answered, DNS is not: the servers at lon seem dead while its route stays. "
        "None of 8 vantage points moved. 1 reached a site only before (after: dns-dead 1)."
    )


def test_two_lost_queries_at_a_small_site_kill_no_server_where_others_lose_some_too() -> None:
    # 5 of the 198 others lost theirs: at one of 51 sites with two, both do in 3 comparisons of a hundred.
    pairs = [one for n in range(50) for one in at(f"s{n}", 2 * n, 2 * n + 1)]
    before = [*pairs, *at("fra", *range(100, 200))]
    after = [*none(Verdict.DNS_DEAD, 0, 1, *range(100, 105)), *pairs[2:], *at("fra", *range(105, 200))]
    found = compare_sides(before, after)
    assert found["dead_beside"] == {"vantage_points": 5, "of": 198, "sites": 51}
    assert found["summary"] == "None of 193 vantage points moved. 7 reached a site only before (after: dns-dead 7)."
    # Four of four do not.
    before, after = [*before, *at("s0", 200, 201)], [*after, *none(Verdict.DNS_DEAD, 200, 201)]
    assert compare_sides(before, after)["summary"] == (
        "None of 193 vantage points moved. 4 vantage points: pings are answered, DNS is not: the servers at s0 seem "
        "dead while its route stays. 5 reached a site only before (after: dns-dead 5)."
    )


def test_where_all_sites_are_dead_they_are_told() -> None:
    found = compare_sides([*at("fra", 1, 2), *at("ber", 3, 4)], none(Verdict.DNS_DEAD, 1, 2, 3, 4))
    assert found["summary"] == (
        "4 vantage points: pings are answered, DNS is not: the servers at ber and fra seem dead while their routes "
        "stay."
    )


def test_who_was_never_heard_of_before_has_not_found_the_service() -> None:
    before, after = none(Verdict.TIMEOUT, 1, 2), at("fra", 3, 4, 5)
    assert compare_sides(before, after)["summary"] == (
        "No vantage point reached a site both before and after. 3 reached a site only after (before: no-result 3)."
    )
    assert compare_sides(before, [*after, *at("fra", 1, 2)])["summary"] == (
        "2 vantage points reach a site now, and none did before (2 timeout). "
        "3 reached a site only after (before: no-result 3)."
    )


def test_targets_that_only_one_run_has_are_named(import_lines: Import, tmp_path: Path) -> None:
    service = tmp_path / "both.toml"
    text, four, six = EXAMPLE_SERVICE.read_text(), '{ address = "192.0.2.53" }', '{ address = "2001:db8::53" }'
    assert four in text
    service.write_text(text.replace(four, f"{four}, {six}"))
    over_six = dns_result(1, dst_addr="2001:db8::53", dst_name="2001:db8::53", af=6, msm_id=90_000_010)
    both = import_lines(dns_result(1), over_six, service=str(service))
    one = import_lines(dns_result(1), service=str(service))

    def warnings(before: Run, after: Run, **options: Any) -> tuple[str, ...]:
        found: tuple[str, ...] = workflow.compare_runs((before, Window()), (after, Window()), **options)["warnings"]
        return found

    said = "2001:db8::53 (example-dns) was measured in {} only, and is not compared"
    assert warnings(both, one) == warnings(both, one, target="example-dns") == (said.format("BEFORE"),)
    assert warnings(one, both) == (said.format("AFTER"),)
    assert warnings(both, one, af=4) == warnings(both, one, target="192.0.2.53") == warnings(both, both) == ()


def test_traceroutes_that_cannot_be_read_any_more_are_counted(import_lines: Import) -> None:
    def through(router: str) -> Run:
        return import_lines(*(one for n in (1, 2) for one in (dns_result(n), traceroute_result(n, router, 9))))

    def told() -> tuple[int, tuple[str, ...]]:
        found = workflow.compare_runs((before, Window()), (after, Window()))
        return found["targets"][0]["paths"]["compared"], found["warnings"]

    before, after = through("198.51.100.1"), through("198.51.100.2")
    assert told() == (2, ())
    (raw,) = (after.path / "raw").iterdir()
    raw.write_bytes(b"".join(raw.read_bytes().splitlines(keepends=True)[:2]))  # the first vantage point's
    lack = "of its traceroutes cannot be read any more, and paths were compared without them"
    assert told() == (1, (f"{raw}: 1 {lack}",))
    raw.unlink()
    assert told() == (0, (f"{raw}: 2 {lack}",))


def test_runs_without_a_common_target_are_refused(sample: dict[str, Run], import_lines: Import) -> None:
    other = import_lines(dns_result(1, "ns1.nl-ams.k.ripe.net", dst_addr="193.0.14.129"), service="k-root")
    with pytest.raises(UnknownName, match="no target in common"):
        compared(sample["before"], other)


def test_a_renumbered_service_is_compared_with_itself() -> None:
    old = [Target(service="b-root", address="199.9.14.201"), Target(service="b-root", address="2001:500:200::b")]
    new = [Target(service="b-root", address="170.247.170.2"), Target(service="b-root", address="2801:1b8:10::b")]
    assert pair_targets(old, new) == list(zip(old, new, strict=True))


def test_targets_that_cannot_be_told_apart_are_not_paired() -> None:
    old = [Target(service="x", address="192.0.2.1"), Target(service="x", address="192.0.2.2")]
    assert pair_targets(old, [Target(service="x", address="192.0.2.3")]) == []


def test_servers_of_one_site_are_one_place_unless_servers_are_compared() -> None:
    before, after = at("fra", 1, 2), [*at("fra", 1, server="2"), *at("fra", 2)]
    assert compare_sides(before, after)["moved"] == 0
    found = compare_sides(before, after, level=Level.SERVER)
    assert (found["moved"], found["moves"][0]["from"], found["moves"][0]["to"]) == (1, "fra/1", "fra/2")
    assert found["summary"].startswith("1 of 2 vantage points moved to another server (50.0 %): fra/1 → fra/2 1")


def test_sites_of_one_country_are_one_place_where_countries_are_compared() -> None:
    after = [*at("ber", 1), *at("lon", 2)]
    found = compare_sides(at("fra", 1, 2), after, [find_service(str(EXAMPLE_SERVICE))], level=Level.COUNTRY)
    assert [(move["from"], move["to"], move["vantage_points"]) for move in found["moves"]] == [("DE", "GB", 1)]
    assert found["summary"].startswith("1 of 2 vantage points moved to another country")


def test_where_identities_name_no_server_none_is_compared() -> None:
    found = compare_sides(at("fra", 1, server=None), at("ber", 1, server=None), level=Level.SERVER)
    assert (found["paired"], found["excluded"]) == (0, {"its server has no name": 1})
    assert found["summary"] == "No identity names the server of 1 vantage point: compare with --level site."


EVIL = "ns1.hijacker.example"


def caught(*numbers: int, text: str = EVIL, **more: Any) -> list[Seen]:
    return none(Verdict.FOREIGN_IDENTITY, *numbers, foreign={text: 1}, **more)


def test_a_hijack_leads_the_summary_with_what_became_of_most() -> None:
    assert compare_sides(at("fra", 1, 2, 3, 4), [*at("fra", 1), *caught(2, 3, 4)])["summary"] == (
        "3 of 4 vantage points now hear 'ns1.hijacker.example', which is none of the service's. "
        "None of 1 vantage point that reached a site both times moved."
    )


def test_the_end_of_a_hijack_is_told_as_well() -> None:
    found = compare_sides([*at("fra", 1), *caught(2, 3, 4)], at("fra", 1, 2, 3, 4))
    assert (found["caught"]["vantage_points"], found["freed"]["vantage_points"], found["freed"]["alone"]) == (0, 3, 3)
    assert found["freed"]["identities"] == [{"text": EVIL, "vantage_points": 3, "alone": 3}]
    assert found["summary"] == (
        "3 of 4 vantage points no longer hear 'ns1.hijacker.example', which is none of the service's. "
        "None of 1 vantage point that reached a site both times moved."
    )
    assert "No longer answered by somebody else: “ns1.hijacker.example” 3." in shown(found)


def test_a_hijack_names_who_is_caught_where_and_by_whom() -> None:
    places = [{"country": "DE" if n < 3 else "GB", "asn": 64_500 + n % 2} for n in range(1, 31)]
    before = [one for n, place in enumerate(places, 1) for one in at("fra", n, **place)]
    after = [
        one for n, place in enumerate(places, 1) for one in caught(n, text=EVIL if n < 30 else "other.example", **place)
    ]
    found = compare_sides(before, after)
    who = found["caught"]
    assert (who["vantage_points"], who["alone"], who["of"]) == (30, 30, 30)
    assert who["identities"] == [
        {"text": EVIL, "vantage_points": 29, "alone": 29},
        {"text": "other.example", "vantage_points": 1, "alone": 1},
    ]
    assert who["countries"] == {"GB": 28, "DE": 2}
    assert who["asns"] == {"64500": 15, "64501": 15}
    assert [one["vantage"] for one in who["listed"]] == [f"atlas:{n}" for n in range(1, 21)]
    assert who["listed"][0]["site_before"] == "fra"
    assert found["moved"] == 0
    assert found["summary"] == (
        "30 of 30 vantage points now hear identities that are none of the service's: "
        "'ns1.hijacker.example', 'other.example'."
    )


def test_who_heard_somebody_else_before_or_was_silent_is_not_caught() -> None:
    found = compare_sides([*caught(1, text="isp.example"), *at("fra", 2)], [*caught(1, 3), *at("fra", 2)])
    assert (found["caught"]["vantage_points"], found["caught"]["listed"]) == (0, [])
    assert found["freed"]["vantage_points"] == 0
    assert found["summary"] == "None of 1 vantage point moved."


def test_who_hears_somebody_else_now_and_then_is_caught_and_keeps_its_site() -> None:
    after = [*at("fra", 1, foreign={EVIL: 1}, rtts_ms=[20.0]), *at("fra", 2)]
    found = compare_sides(at("fra", 1, 2), after)
    assert (found["caught"]["vantage_points"], found["caught"]["alone"], found["paired"]) == (1, 0, 2)
    assert found["summary"] == (
        "1 of 2 vantage points now and then hears 'ns1.hijacker.example', which is none of the service's. "
        "None of 2 vantage points moved."
    )


def test_one_caught_of_many_does_not_go_before_what_became_of_the_others() -> None:
    after = [*at("fra", *range(1, 40)), *caught(40, text="box.isp.example")]
    assert compare_sides(at("fra", *range(1, 41)), after)["summary"] == (
        "None of 39 vantage points moved. "
        "1 of 40 vantage points now hears 'box.isp.example', which is none of the service's."
    )


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


def test_a_longer_way_to_the_same_site_is_told_from_jitter() -> None:
    before = [Seen(vantage=f"atlas:{n}", rtts_ms=was) for n, (was, _, _) in enumerate(WAYS)]
    after = [Seen(vantage=f"atlas:{n}", rtts_ms=now) for n, (_, now, _) in enumerate(WAYS)]
    found = compare_sides(before, after)
    for change in ("slower", "faster"):
        expected = {f"atlas:{n}" for n, (_, _, what) in enumerate(WAYS) if what == change}
        assert {one["vantage"] for one in found[change]["listed"]} == expected
        assert (found[change]["vantage_points"], found[change]["of"]) == (len(expected), len(WAYS))


def test_the_fastest_of_many_packets_is_no_measure_for_one() -> None:
    # One of five answers queues for 100 ms; the one after does.
    before = [Seen(vantage=f"atlas:{n}", rtts_ms=[120.0, 20.0, 20.0, 20.0, 20.0]) for n in range(9)]
    assert compare_sides(before, at("fra", *range(9), rtts_ms=[120.0]))["slower"]["vantage_points"] == 0


def test_who_is_slower_at_the_same_site_is_listed_and_the_summary_says_so() -> None:
    found = compare_sides(at("fra", 1, 2, 3, 4), [*at("fra", 1, 2, 3, rtts_ms=[200.0]), *at("fra", 4)])
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


def test_pings_tell_that_a_single_slow_answer_was_chance() -> None:
    found = compare_sides(at("fra", 1, pings_ms=[19.0]), at("fra", 1, rtts_ms=[200.0], pings_ms=[19.0]))
    assert found["slower"]["vantage_points"] == 0


def test_as_many_slower_as_faster_is_noise_and_no_news() -> None:
    slow, fast = range(1, 6), range(6, 11)
    before = [*at("fra", *slow), *at("fra", *fast, rtts_ms=[200.0])]
    found = compare_sides(before, [*at("fra", *slow, rtts_ms=[200.0]), *at("fra", *fast)])
    assert (found["slower"]["vantage_points"], found["faster"]["vantage_points"]) == (5, 5)
    assert found["summary"] == "None of 10 vantage points moved."


def test_one_in_twenty_is_told_where_they_are_many_and_none_is_faster() -> None:
    everybody = range(1, 1001)
    after = [*at("fra", *everybody[:49], rtts_ms=[220.0]), *at("fra", *everybody[49:])]
    assert "49 of 1000 that stayed are slower now" in compare_sides(at("fra", *everybody), after)["summary"]


@pytest.mark.parametrize(
    ("more", "less", "of", "news"),
    [
        (1, 0, 1, False),
        (2, 0, 2, False),
        (3, 0, 4, True),
        (3, 0, 9, True),
        (3, 0, 10, False),
        (3, 1, 4, False),
        (6, 0, 120, True),
        (6, 1, 120, False),
        (6, 0, 121, False),
        (5, 0, 100, False),
        (9, 0, 1000, True),  # 3 standard deviations of 9
        (8, 0, 1000, False),
        (20, 6, 100, False),  # 2.7
        (22, 6, 100, True),
        (300, 200, 1000, False),  # 4.5, and not twice as many
        (49, 0, 1000, True),
        (0, 49, 1000, False),
    ],
)
def test_news_is_a_surplus_beyond_chance(more: int, less: int, of: int, news: bool) -> None:
    assert is_news(more, less, of) is news


@pytest.mark.parametrize(
    ("count", "lost", "elsewhere", "groups", "together"),
    [
        (2, 0, 7, 1, True),  # nobody else lost anything
        (2, 0, 0, 2, True),  # there is nobody else
        (2, 5, 100, 3, True),  # 3 of 400
        (2, 5, 100, 5, False),
        (3, 5, 100, 79, True),  # 79 of 8,000
        (3, 5, 100, 81, False),
        (9, 50, 100, 6, False),
        (10, 50, 100, 6, True),  # 6 of 1,024
    ],
)
def test_a_group_is_lost_together_if_chance_takes_one_in_a_hundred_comparisons_at_most(
    count: int, lost: int, elsewhere: int, groups: int, together: bool
) -> None:
    assert are_lost_together(count, lost_elsewhere=lost, elsewhere=elsewhere, groups=groups) is together


@pytest.mark.parametrize(
    ("size", "noise"),
    [
        (10, Noise(answers=(1, 1))),
        (30, Noise(answers=(4, 4))),
        (100, Noise(answers=(20, 1))),
        (100, Noise(answers=(1, 1), traces=(1, 3))),
        (100, Noise(answers=(3, 60), whole_ms=True)),
        (100, Noise(answers=(1, 20), boxed=0.1)),
        (100, Noise(answers=(20, 1), boxed=0.1)),
    ],
)
def test_noise_alone_raises_no_alarm(size: int, noise: Noise) -> None:
    assert count_alarms(size, noise, range(4)).total() == 0


def test_amid_the_noise_a_tenth_that_is_slower_is_noticed() -> None:
    assert alarms(compare_noise(150, Noise(answers=(20, 20)), 0, slower=15)) & {"slower", "leak"}


@pytest.mark.parametrize("answers", [(1, 1), (20, 20), (1, 20), (20, 1)])
def test_amid_boxes_that_answer_now_and_then_a_hijack_leads_the_summary(answers: tuple[int, int]) -> None:
    found = compare_noise(100, Noise(answers=answers, boxed=0.1), 0, hijacked=30, share=0.9)
    assert "caught" in alarms(found)
    assert found["summary"].index("ns1.hijacker.example") < found["summary"].index("moved")


def by(way: str) -> bytes:
    """Return a traceroute by a way that takes 20, 90 or 200 ms."""
    router, rtt_ms = {"fast": ("203.0.113.1", 20), "slow": ("203.0.113.2", 90), "leaked": ("203.0.113.3", 200)}[way]
    return json.dumps(traceroute_result(1, router, rtt_ms)).encode()


def test_a_slower_way_that_earlier_rounds_took_is_no_leak() -> None:
    before = at("fra", *range(1, 13), traces=[by("fast"), by("slow"), by("slow")])
    found = compare_sides(before, at("fra", *range(1, 13), traces=[by("slow")]))
    assert (found["paths"]["changed"], found["paths"]["slower"], found["paths"]["listed"]) == (0, 0, [])
    assert found["summary"] == "None of 12 vantage points moved."


def test_who_takes_a_slower_way_is_told_without_those_who_took_it_before() -> None:
    before = at("fra", *range(1, 25), traces=[by("fast"), by("slow"), by("slow")])
    after = [*at("fra", *range(1, 13), traces=[by("slow")]), *at("fra", *range(13, 25), traces=[by("leaked")])]
    found = compare_sides(before, after)
    assert (found["paths"]["changed"], found["paths"]["slower"], found["paths"]["rise_ms"]) == (12, 12, 180.0)
    assert [one["vantage"] for one in found["paths"]["listed"]] == [f"atlas:{n}" for n in range(13, 23)]
    assert "The path of 12 of 24 unmoved vantage points is another, and slower (+180 ms)" in found["summary"]


def test_those_whose_way_is_slower_are_listed_before_those_whose_way_is_another() -> None:
    # Of the first eleven the round before took as long, by another way.
    before = [
        *at("fra", *range(1, 12), traces=[by("fast"), by("leaked").replace(b"203.0.113.3", b"203.0.113.4")]),
        *at("fra", 12, traces=[by("fast")] * 2),
    ]
    after = [*at("fra", *range(1, 12), traces=[by("leaked")] * 2), *at("fra", 12, traces=[by("slow")] * 2)]
    paths = compare_sides(before, after)["paths"]
    assert (paths["changed"], paths["slower"], paths["listed"][0]["vantage"]) == (12, 1, "atlas:12")


@pytest.mark.parametrize(
    ("counts", "slower", "alike"),
    [
        ((1, 1), 2, 2),  # fast and then slow: two times one of three times three
        ((1, 3), 18, 18),  # fast, and slow at last: the two before that are any
        ((3, 1), 8, 18),  # three times fast, and then slow; and fast at last
        ((2, 3), 36, 36),
        ((3, 2), 24, 36),
        ((3, 3), 72, 72),
    ],
)
def test_of_ways_drawn_alike_as_many_are_slower_as_faster(counts: tuple[int, int], slower: int, alike: int) -> None:
    # Two of three traceroutes are fast; each vantage point is one of all the ways to draw them.
    draws = list(product(("fast", "fast", "slow"), repeat=sum(counts)))
    before = [at("fra", n, traces=[by(way) for way in draw[: counts[0]]])[0] for n, draw in enumerate(draws)]
    after = [at("fra", n, traces=[by(way) for way in draw[counts[0] :]])[0] for n, draw in enumerate(draws)]
    paths = compare_sides(before, after)["paths"]
    assert (paths["slower"], paths["faster"]) == (slower, slower)
    assert paths["alike"] == {"slower": alike, "faster": alike}


@pytest.mark.parametrize("counts", [(1, 1), (1, 3), (3, 1), (3, 3)])
def test_where_as_many_ways_change_for_the_better_as_for_the_worse_none_leaked(counts: tuple[int, int]) -> None:
    worse, better = range(1, 13), range(13, 25)
    before, after = (
        [*at("fra", *worse, traces=[by(was)] * count), *at("fra", *better, traces=[by(now)] * count)]
        for count, was, now in zip(counts, ("fast", "slow"), ("slow", "fast"), strict=True)
    )
    found = compare_sides(before, after)
    assert (found["paths"]["slower"], found["paths"]["alike"]) == (12, {"slower": 12, "faster": 12})
    assert found["summary"] == "None of 24 vantage points moved."


@pytest.mark.parametrize("traces", [(1, 3), (3, 1), (3, 3), (20, 1)])
def test_amid_ways_that_change_all_the_time_a_leak_of_a_tenth_is_told(traces: tuple[int, int]) -> None:
    noise = Noise(answers=(1, 1), traces=traces)
    assert alarms(compare_noise(200, noise, 0)) == set()
    assert alarms(compare_noise(200, noise, 0, slower=20, by="203.0.113.1")) == {"leak"}


def test_of_equal_round_trips_as_many_are_drawn_as_chance_has_it() -> None:
    # Every fifth of 60 answers takes 30 ms. That two of three do comes to one vantage point in ten, to 6 of 60 with a
    # deviation of 2.3.
    rtts_ms = [30.0] * 12 + [10.0] * 48
    before = at("fra", *range(1, 61), rtts_ms=[10.0, 10.0, 30.0])
    found = compare_sides(before, at("fra", *range(1, 61), rtts_ms=rtts_ms), drawn=True)
    assert 1 <= found["slower"]["vantage_points"] <= 15
    again = compare_sides(before, at("fra", *range(1, 61), rtts_ms=rtts_ms[::-1]), drawn=True)
    assert again["slower"] == found["slower"]


def test_who_is_asked_more_often_sooner_hears_a_box_and_that_is_no_news() -> None:
    before, boxed = at("fra", *range(1, 61)), range(1, 13)
    after = [
        *at("fra", *boxed, rtts_ms=[20.0] * 18, foreign={EVIL: 2}),
        *at("fra", *range(13, 61), rtts_ms=[20.0] * 20),
    ]
    found = compare_sides(before, after)
    assert (found["caught"]["vantage_points"], found["caught"]["news"]) == (12, False)
    assert found["caught"]["alike"]["vantage_points"] < 6  # 12 times one of ten
    assert found["summary"] == "None of 60 vantage points moved."
    found = compare_sides(after, before)
    assert (found["freed"]["vantage_points"], found["freed"]["news"]) == (12, False)
    assert found["summary"] == "None of 60 vantage points moved."


def test_as_many_caught_as_freed_are_no_news() -> None:
    one, other, rest = range(1, 9), range(9, 17), range(17, 101)
    box: dict[str, Any] = {"rtts_ms": [20.0] * 3, "foreign": {EVIL: 1}}
    clean: dict[str, Any] = {"rtts_ms": [20.0] * 4}
    before = [*at("fra", *one, **box), *at("fra", *other, *rest, **clean)]
    after = [*at("fra", *other, **box), *at("fra", *one, *rest, **clean)]
    found = compare_sides(before, after)
    assert (found["caught"]["vantage_points"], found["freed"]["vantage_points"]) == (8, 8)
    assert found["summary"] == "None of 100 vantage points moved."


def test_whom_they_hear_is_named_by_how_many_hear_nobody_else() -> None:
    # Five of 2,000 are no news. The first of them hears another name, and many hear a third one now and then.
    before, now_and_then = at("fra", *range(1, 2001)), {"rtts_ms": [20.0] * 9, "foreign": {"box.example": 1}}
    after = [
        *caught(1, text="rare.example"),
        *caught(*range(2, 6), text="proxy.example"),
        *at("fra", *range(6, 12), **now_and_then),
        *at("fra", *range(12, 2001)),
    ]
    found = compare_sides(before, after)
    assert (found["caught"]["news"], found["caught"]["identities"][0]["text"]) == (False, "box.example")
    assert (
        "5 of 2,000 vantage points now hear identities that are none of the service's: "
        "'proxy.example', 'rare.example'." in found["summary"]
    )


def test_all_different_names_are_counted_where_not_all_are_kept() -> None:
    after = [one for n in range(1, 101) for one in caught(n, text=f"box{n:03}.example")]
    assert (
        "100 of 100 vantage points now hear identities that are none of the service's: "
        "'box001.example', 'box002.example', 'box003.example' and 97 more."
        in compare_sides(at("fra", *range(1, 101)), after)["summary"]
    )


def test_a_name_that_one_hears_alone_is_told_though_many_hear_others_now_and_then() -> None:
    often: dict[str, Any] = {"rtts_ms": [20.0] * 9}
    after = [
        *(one for n in range(120) for one in at("fra", n, foreign={f"box{n // 2}.example": 1}, **often)),
        *caught(200, text="proxy.example"),
        *at("fra", *range(201, 4001)),
    ]
    caught_now = compare_sides(at("fra", *range(120), *range(200, 4001)), after)["caught"]
    assert len(caught_now["identities"]) == 50
    assert caught_now["identities"][-1] == {"text": "proxy.example", "vantage_points": 1, "alone": 1}
    assert caught_now["different"] == {"vantage_points": 61, "alone": 1}


def test_asked_once_as_many_caught_as_freed_are_no_news_and_counted_by_their_verdict() -> None:
    one, other, rest = range(1, 4), range(4, 7), range(7, 101)
    before, after = [*caught(*one), *at("fra", *other, *rest)], [*caught(*other), *at("fra", *one, *rest)]
    assert compare_sides(before, after)["summary"] == (
        "None of 94 vantage points moved. 3 reached a site only before (after: intercepted-foreign-identity 3), "
        "3 reached a site only after (before: intercepted-foreign-identity 3)."
    )


def test_a_hijack_of_a_part_of_the_queries_is_told_of_many() -> None:
    everybody, hit = range(1, 101), range(1, 31)
    after = [
        *at("fra", *hit, rtts_ms=[20.0] * 6, foreign={EVIL: 4}),
        *at("fra", *everybody[30:], rtts_ms=[20.0] * 10),
    ]
    assert compare_sides(at("fra", *everybody, rtts_ms=[20.0] * 10), after)["summary"] == (
        "30 of 100 vantage points now and then hear 'ns1.hijacker.example', which is none of the service's. "
        "None of 100 vantage points moved."
    )


def test_who_got_no_answer_before_and_hears_somebody_else_now_is_told_first() -> None:
    assert compare_sides(none(Verdict.TIMEOUT, *range(1, 11)), caught(*range(1, 11)))["summary"] == (
        "10 of 10 vantage points now hear 'ns1.hijacker.example', which is none of the service's."
    )


def test_the_alarm_colour_is_for_news() -> None:
    def colours(found: dict[str, Any]) -> bool:
        numbers = {"before": "b", "after": "a", "service_digest": {}, "level": "site", "targets": [found]}
        out = io.StringIO()
        Console(file=out, width=250, highlight=False, color_system="standard", force_terminal=True).print(
            terminal.show_comparison(numbers)
        )
        (line,) = (line for line in out.getvalue().splitlines() if "Answered by somebody else now" in line)
        return "\x1b[1;31m" in line

    assert colours(compare_sides(at("fra", 1, 2, 3), caught(1, 2, 3)))
    assert not colours(compare_sides(at("fra", *range(1, 41)), [*at("fra", *range(1, 40)), *caught(40)]))


def test_who_moved_is_not_slower_at_the_same_site() -> None:
    found = compare_sides(at("fra", 1), at("ber", 1, rtts_ms=[500.0]))
    assert (found["slower"]["vantage_points"], found["slower"]["of"]) == (0, 0)


def test_the_terminal_shows_who_is_caught_and_slower_and_no_escape_sequence() -> None:
    text = shown(
        compare_sides(at("fra", 1, 2), [*caught(1, text="\x1b[31mevil.example"), *at("fra", 2, rtts_ms=[200.0])])
    )
    assert "\x1b" not in text
    assert "Answered by somebody else now: “\\x1b[31mevil.example” 1." in text
    assert "Slower at the same site: 1 of 1, median 20.0 → 200.0 ms: atlas:2 (fra) 20.0 → 200.0." in text


def test_targets_to_compare_can_be_chosen(sample: dict[str, Run]) -> None:
    run = sample["before"]
    assert compared(run, run, af=4)["target"] == "192.0.2.53"
    with pytest.raises(UnknownName, match="no such target"):
        compared(run, run, af=6)


def test_a_vantage_point_behind_a_load_balancer_flaps_between_servers_and_not_between_sites() -> None:
    before, after = at("fra", 1, servers_seen=2), at("fra", 1, server="2", servers_seen=2)
    found = compare_sides(before, after, level=Level.SERVER)
    assert (found["moved"], found["moved_flapping"]) == (1, 1)
    assert compare_sides(before, after)["moved_flapping"] == 0


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
