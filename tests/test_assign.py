"""Every verdict, from results made for it."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import catchment.assign
from catchment.assign import RULES
from catchment.model import Verdict
from catchment.store import Run
from tests.atlas_results import NOON, dns_error, dns_result, message, ping_result, place, traceroute_result
from tests.conftest import EXAMPLE_SERVICE

Import = Callable[..., Run]
FRA, BER, SIN = "fra1.example-dns.net", "ber1.example-dns.net", "sin1.example-dns.net"
FOREIGN = "resolver.isp.example"
UNANSWERED = traceroute_result(1, "192.0.2.1", 9.0, result=[{"hop": 1, "result": [{"x": "*"}] * 3}], proto="UDP")


def row(run: Run, vantage: str = "atlas:1") -> dict[str, Any]:
    found = run.assignments.filter(f"vantage = '{vantage}'").to_dicts()
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("results", "verdict", "rule"),
    [
        ([dns_result(1)], "ok", "pattern-own-code"),
        ([dns_result(1, FOREIGN)], "intercepted-foreign-identity", "no-pattern-matches"),
        ([dns_result(1, "muc1.example-dns.net")], "unknown-identity", "code-not-listed"),
        ([dns_result(1, None, rcode="REFUSED")], "intercepted-error", "error-where-it-answers"),
        ([dns_result(1, None)], "intercepted-empty", "empty-where-it-answers"),
        ([dns_result(1, "")], "intercepted-empty", "empty-where-it-answers"),
        ([dns_result(1, None, query="version.bind", rcode="REFUSED")], "no-identity", "does-not-answer-this-query"),
        ([dns_result(1, "NSD 4.8", query="version.bind")], "no-identity", "does-not-answer-this-query"),
        ([dns_error(1)], "timeout", "dns-silent"),
        ([dns_error(1), ping_result(1)], "unreachable", "dns-and-ping-silent"),
        ([ping_result(1)], "unreachable", "ping-silent"),
        ([dns_error(1), UNANSWERED], "timeout", "dns-and-traceroute-silent"),
        ([dns_error(1), UNANSWERED, ping_result(1)], "unreachable", "dns-and-ping-silent"),
        ([UNANSWERED], "timeout", "traceroute-silent"),
        ([UNANSWERED, ping_result(1)], "unreachable", "ping-silent"),
        ([dns_error(1), ping_result(1, 9.0)], "dns-dead", "ping-answers-dns-silent"),
        ([dns_error(1), traceroute_result(1, "192.0.2.1", 9.0)], "dns-dead", "ping-answers-dns-silent"),
        ([ping_result(1, 9.0)], "no-identity", "no-identity-asked"),
        ([dns_error(1, {"getaddrinfo": "no name"})], "probe-failed", "could-not-send"),
        ([dns_error(1, {"idmismatch": "1"})], "malformed", "unreadable"),
        ([dns_result(1, result={"rt": 1.0, "abuf": "AAAA"})], "malformed", "unreadable"),
        ([dns_result(1, rtt_ms=0.5)], "ok", "pattern-own-code"),
        ([dns_result(1, SIN, rtt_ms=20.0)], "impossible-rtt", "light-own-packet"),
        ([dns_result(1, SIN, rtt_ms=20.0), ping_result(1, 45.0)], "impossible-rtt", "faster-than-ping"),
        ([dns_result(1, SIN, rtt_ms=20.0), ping_result(1, 41.5)], "impossible-rtt", "light-own-packet"),
        # Pings in 95 ms may have gone to Ashburn: DNS and pings may be balanced to different sites.
        ([dns_result(1, SIN, rtt_ms=180.0), ping_result(1, 95.0)], "ok", "pattern-own-code"),
        # Pings that are so much faster went elsewhere: it flaps, and the other answers were lost.
        ([dns_result(1, SIN, rtt_ms=180.0), ping_result(1, 20.0)], "ok", "pattern-own-code"),
    ],
)
def test_each_verdict_by_its_rule(import_lines: Import, results: list[dict[str, Any]], verdict: str, rule: str) -> None:
    found = row(import_lines(*results, probes=[place(1)]))
    assert (found["verdict"], found["rule"]) == (verdict, rule)


def test_the_first_four_verdicts_keep_their_site_and_no_other_has_one(import_lines: Import) -> None:
    run = import_lines(
        dns_result(1), dns_result(2, FOREIGN), dns_error(3), dns_result(4, SIN, rtt_ms=1.0), probes=[place(4)]
    )
    sites = {entry["vantage"]: entry["site"] for entry in run.assignments.to_dicts()}
    assert sites == {"atlas:1": "fra", "atlas:2": None, "atlas:3": None, "atlas:4": "sin"}


def test_a_mended_identity_is_flagged(import_lines: Import) -> None:
    result = dns_result(1, "ns1.nl-ams.k.rip.net", dst_addr="193.0.14.129")
    found = row(import_lines(result, service="k-root"))
    assert (found["verdict"], found["site"], found["site_rule"]) == ("repaired", "nl-ams", "repaired-identity")


def test_one_clean_answer_beside_a_mended_one_needs_no_flag(import_lines: Import) -> None:
    at = {"dst_addr": "193.0.14.129"}
    run = import_lines(
        dns_result(1, "ns1.nl-ams.k.rip.net", **at),
        dns_result(1, "ns1.nl-ams.k.ripe.net", timestamp=NOON + 1, **at),
        service="k-root",
    )
    assert row(run)["verdict"] == "ok"


def test_the_verdict_and_the_rule_speak_of_the_same_answer(import_lines: Import) -> None:
    at = {"dst_addr": "193.0.14.129"}
    damaged = [dns_result(1, "ns1.nl-ams.k.rip.net", timestamp=NOON + n, **at) for n in range(2)]
    run = import_lines(*damaged, dns_result(1, "ns1.nl-ams.k.ripe.net", timestamp=NOON + 9, **at), service="k-root")
    found = row(run)
    assert (found["verdict"], found["rule"], found["identity"]) == ("ok", "published-identity", "ns1.nl-ams.k.ripe.net")


def test_answers_beat_failures(import_lines: Import) -> None:
    errors = [dns_error(1, timestamp=NOON + second) for second in range(5)]
    found = row(import_lines(*errors, dns_result(1, timestamp=NOON + 9)))
    assert (found["verdict"], found["timeouts"], found["identified"]) == ("ok", 5, 1)


def test_the_outcome_with_most_answers_wins(import_lines: Import) -> None:
    run = import_lines(
        dns_result(1), dns_result(1, FOREIGN, timestamp=NOON + 1), dns_result(1, FOREIGN, timestamp=NOON + 2)
    )
    found = row(run)
    assert (found["verdict"], found["site"], found["identity"]) == ("intercepted-foreign-identity", None, FOREIGN)
    assert (found["identified"], found["foreign_identity"]) == (1, 2)


def test_an_identified_outcome_wins_a_tie(import_lines: Import) -> None:
    assert row(import_lines(dns_result(1, FOREIGN), dns_result(1, timestamp=NOON + 1)))["site"] == "fra"


def test_different_foreign_strings_count_together(import_lines: Import) -> None:
    strings = [dns_result(1, f"resolver-{letter}", timestamp=NOON + ord(letter)) for letter in "abc"]
    run = import_lines(dns_result(1), dns_result(1, timestamp=NOON + 1), *strings)
    assert row(run)["verdict"] == "intercepted-foreign-identity"


def test_the_modal_site_wins(import_lines: Import) -> None:
    run = import_lines(
        dns_result(1, FRA), dns_result(1, BER, timestamp=NOON + 1), dns_result(1, BER, timestamp=NOON + 2)
    )
    found = row(run)
    assert (found["site"], found["sites_seen"], found["identified"]) == ("ber", 2, 3)


def test_sites_that_tie_are_told_apart_by_median_rtt_then_by_code(import_lines: Import) -> None:
    faster = import_lines(dns_result(1, FRA, rtt_ms=9.0), dns_result(1, BER, rtt_ms=10.0, timestamp=NOON + 1))
    assert row(faster)["site"] == "fra"
    same = import_lines(dns_result(1, FRA, rtt_ms=9.0), dns_result(1, BER, rtt_ms=9.0, timestamp=NOON + 1))
    assert row(same)["site"] == "ber"


def test_several_servers_of_one_site_are_one_site(import_lines: Import) -> None:
    servers = enumerate((1, 2, 3, 3))
    run = import_lines(*(dns_result(1, f"fra{n}.example-dns.net", timestamp=NOON + at) for at, n in servers))
    found = row(run)
    assert (found["site"], found["server"], found["sites_seen"], found["flips"]) == ("fra", "3", 1, 0)


def test_flips_count_changes_between_identified_answers_in_time(import_lines: Import) -> None:
    order = [FRA, BER, None, BER, FRA, FOREIGN, FRA]
    results = [
        dns_error(1, timestamp=NOON + n) if text is None else dns_result(1, text, timestamp=NOON + n)
        for n, text in enumerate(order)
    ]
    assert row(import_lines(*reversed(results)))["flips"] == 2


def test_rtts_are_of_the_answers_that_name_the_site(import_lines: Import) -> None:
    rtts = [(FRA, 10.0), (FRA, 30.0), (FRA, 20.0), (BER, 1.0)]
    run = import_lines(*(dns_result(1, text, rtt_ms=rtt, timestamp=NOON + n) for n, (text, rtt) in enumerate(rtts)))
    found = row(run)
    assert (found["rtt_ms_min"], found["rtt_ms_median"]) == (10.0, 20.0)


def test_a_ping_accuses_nobody_who_saw_two_sites(import_lines: Import) -> None:
    run = import_lines(
        dns_result(1, SIN, rtt_ms=180.0),
        dns_result(1, SIN, rtt_ms=180.0, timestamp=NOON + 2),
        dns_result(1, FRA, rtt_ms=9.0, timestamp=NOON + 1),
        ping_result(1, 9.0),
        probes=[place(1)],
    )
    assert row(run)["verdict"] == "ok"


def test_a_doubtful_distance_is_given_to_the_vantage_point(import_lines: Import) -> None:
    # Berlin lies 424 km from Frankfurt: 100 km of slack and 102.1 km per ms leave 3.17 ms.
    at_frankfurt = place(1, 50.11, 8.68)
    assert row(import_lines(dns_result(1, BER, rtt_ms=3.25), probes=[at_frankfurt]))["verdict"] == "ok"
    assert row(import_lines(dns_result(1, BER, rtt_ms=3.0), probes=[at_frankfurt]))["verdict"] == "impossible-rtt"


def test_zero_milliseconds_are_an_rtt(import_lines: Import) -> None:
    found = row(import_lines(dns_result(1, BER, rtt_ms=0.0), probes=[place(1, 50.11, 8.68)]))
    assert (found["verdict"], found["rtt_ms_min"]) == ("impossible-rtt", 0.0)


def test_a_vantage_point_without_a_place_is_assigned_but_has_no_distance(import_lines: Import) -> None:
    found = row(import_lines(dns_result(1, SIN, rtt_ms=0.1), probes=[place(2)]))
    assert (found["verdict"], found["site"], found["distance_km"], found["nearest_site"]) == ("ok", "sin", None, None)


def test_impossible_on_two_targets_means_mislocated(import_lines: Import, tmp_path: Any) -> None:
    service = tmp_path / "two.toml"
    service.write_text(
        'name = "two"\noperator = "we"\nanswers = ["hostname.bind"]\n'
        'addresses = [{ address = "192.0.2.53" }, { address = "192.0.2.54" }]\n'
        "patterns = [{ regex = '^(?P<site>[a-z]{3})\\d\\.example-dns\\.net$' }]\n"
        'sites = [{ code = "sin", town = "Singapore", country = "SG", latitude = 1.35, longitude = 103.8 }]\n'
    )
    other = {"dst_addr": "192.0.2.54"}
    run = import_lines(
        dns_result(1, SIN, rtt_ms=5.0),
        dns_result(1, SIN, rtt_ms=5.0, **other),
        dns_result(2, SIN, rtt_ms=5.0),
        dns_result(2, SIN, rtt_ms=200.0, **other),
        probes=[place(1), place(2)],
        service=str(service),
    )
    verdicts = sorted((entry["vantage"], entry["target"], entry["verdict"]) for entry in run.assignments.to_dicts())
    assert verdicts == [
        ("atlas:1", "192.0.2.53", "mislocated"),
        ("atlas:1", "192.0.2.54", "mislocated"),
        ("atlas:2", "192.0.2.53", "impossible-rtt"),
        ("atlas:2", "192.0.2.54", "ok"),
    ]


def test_an_answer_out_of_a_cache_nearby_accuses_the_answer_and_not_the_place(
    import_lines: Import, tmp_path: Any
) -> None:
    service = tmp_path / "two.toml"
    service.write_text(
        EXAMPLE_SERVICE.read_text().replace(
            'addresses = [{ address = "192.0.2.53" }]',
            'addresses = [{ address = "192.0.2.53" }, { address = "192.0.2.54" }]',
        )
    )
    other = {"dst_addr": "192.0.2.54"}
    run = import_lines(
        *(
            result
            for at in ({}, other)
            for result in (dns_result(1, SIN, rtt_ms=5.0, **at), ping_result(1, 13.0, **at))
        ),
        *(result for at in ({}, other) for result in (dns_result(2, SIN, rtt_ms=5.0, **at), ping_result(2, 4.5, **at))),
        probes=[place(1), place(2)],
        service=str(service),
    )
    verdicts = sorted({(entry["vantage"], entry["verdict"]) for entry in run.assignments.to_dicts()})
    assert verdicts == [("atlas:1", "impossible-rtt"), ("atlas:2", "mislocated")]


def test_the_nearest_site_is_one_that_was_active(import_lines: Import, tmp_path: Any) -> None:
    service = tmp_path / "moved.toml"
    service.write_text(
        'name = "moved"\noperator = "we"\naddresses = [{ address = "192.0.2.53" }]\n'
        "patterns = [{ regex = '^(?P<site>[a-z]{3})\\d\\.example-dns\\.net$' }]\nsites = [\n"
        '{ code = "old", town = "Mainz", country = "DE", latitude = 50.0, longitude = 8.27, until = 2026-10-31 },\n'
        '{ code = "new", town = "Hanau", country = "DE", latitude = 50.13, longitude = 8.92, since = 2026-11-02 },\n'
        '{ code = "ber", town = "Berlin", country = "DE", latitude = 52.52, longitude = 13.4 },\n'
        '{ code = "nil", town = "Nowhere", country = "DE" },\n]\n'
    )
    found = row(import_lines(dns_result(1, BER), probes=[place(1)], service=str(service)))
    assert found["nearest_site"] == "ber"  # measured on 2026-11-01


def test_a_site_without_a_place_can_be_reached(import_lines: Import, tmp_path: Any) -> None:
    service = tmp_path / "nowhere.toml"
    service.write_text(
        'name = "nowhere"\noperator = "we"\naddresses = [{ address = "192.0.2.53" }]\n'
        "patterns = [{ regex = '^(?P<site>[a-z]{3})\\d\\.example-dns\\.net$' }]\n"
        'sites = [{ code = "ber", town = "Berlin", country = "DE" }]\n'
    )
    found = row(import_lines(dns_result(1, BER), probes=[place(1)], service=str(service)))
    assert (found["site"], found["verdict"], found["distance_km"], found["nearest_site"]) == ("ber", "ok", None, None)


def test_every_vantage_point_has_one_row_for_each_target(sample: dict[str, Run]) -> None:
    run = sample["before"]
    pairs = run.observations.aggregate("vantage, target").filter("target IS NOT NULL")
    assert len(run.assignments.fetchall()) == len(pairs.fetchall())


def test_every_rule_that_a_judgement_may_store_has_a_meaning() -> None:
    sources = "".join(file.read_text() for file in Path(catchment.assign.__file__).parent.glob("*.py"))
    # What SQL gives behind THEN and ELSE, with a hyphen in it, is a rule or a verdict.
    given = set(re.findall(r"(?:THEN|ELSE) '([a-z]+(?:-[a-z]+)+)'", sources))
    assert len(given) > 20
    assert given <= {*RULES, *Verdict}


def test_every_rule_and_verdict_stored_is_a_known_one(sample: dict[str, Run]) -> None:
    for entry in sample["before"].assignments.to_dicts():
        assert entry["rule"] in RULES
        assert entry["verdict"] in set(Verdict)
        assert entry["site_rule"] is None or entry["site_rule"] in RULES


def test_the_ping_of_somebody_else_accuses_nobody(import_lines: Import) -> None:
    # While the prefix was hijacked, pings went to the hijacker; the own answers of Singapore were slow enough.
    answers = [dns_result(1, SIN, rtt_ms=180.0, timestamp=NOON + turn) for turn in range(2)]
    hijacked = [dns_result(1, FOREIGN, rtt_ms=95.0, timestamp=NOON + 9), ping_result(1, 95.0, timestamp=NOON + 9)]
    found = row(import_lines(*answers, *hijacked, probes=[place(1)]))
    assert (found["verdict"], found["site"]) == ("ok", "sin")


@pytest.mark.parametrize(
    ("other", "confidence"),
    [
        (dns_result(1, FOREIGN, timestamp=NOON + 9), "medium"),
        (dns_result(1, None, rcode="REFUSED", timestamp=NOON + 9), "medium"),
        (dns_result(1, None, timestamp=NOON + 9), "medium"),
        # The service promises no answer to this one, and a lost packet says nothing.
        (dns_result(1, None, query="version.bind", rcode="REFUSED", timestamp=NOON + 9), "high"),
        (dns_error(1, timestamp=NOON + 9), "high"),
        (dns_result(1, "muc1.example-dns.net", timestamp=NOON + 9), "high"),
    ],
)
def test_an_answer_of_somebody_else_takes_something_off_the_confidence(
    import_lines: Import, other: dict[str, Any], confidence: str
) -> None:
    answers = [dns_result(1, timestamp=NOON + turn) for turn in range(2)]
    found = row(import_lines(*answers, other, probes=[place(1)]))
    assert (found["verdict"], found["confidence"]) == ("ok", confidence)


HONOLULU = (21.3, -157.9, "US")


def test_a_ping_that_can_come_from_no_site_at_all_contradicts_the_answers(import_lines: Import) -> None:
    # From Honolulu, Ashburn is the nearest site, 7,700 km away; 61 ms are 6,300 km.
    run = import_lines(dns_result(1, SIN, rtt_ms=120.0), ping_result(1, 61.0), probes=[place(1, *HONOLULU)])
    assert (row(run)["verdict"], row(run)["rule"]) == ("impossible-rtt", "light-ping")


def test_the_pings_of_a_flapping_vantage_point_accuse_nobody(import_lines: Import) -> None:
    answers = [dns_result(1, SIN, rtt_ms=120.0, timestamp=NOON + turn) for turn in range(2)]
    other = dns_result(1, FRA, rtt_ms=200.0, timestamp=NOON + 9)
    run = import_lines(*answers, other, ping_result(1, 61.0), probes=[place(1, *HONOLULU)])
    assert (row(run)["verdict"], row(run)["feasible_sites"]) == ("ok", None)


def test_one_answer_in_a_hundred_that_is_too_fast_accuses_nobody_but_takes_something_off(import_lines: Import) -> None:
    answers = [dns_result(1, SIN, rtt_ms=150.0, timestamp=NOON + turn) for turn in range(99)]
    run = import_lines(*answers, dns_result(1, SIN, rtt_ms=2.0, timestamp=NOON + 100), probes=[place(1)])
    assert (row(run)["verdict"], row(run)["confidence"]) == ("ok", "medium")


def test_replies_to_other_questions_do_not_outvote_an_identity(import_lines: Import) -> None:
    others = [
        dns_result(1, "NSD 4.8", query="version.bind", timestamp=NOON + 1),
        dns_result(1, None, query="version.bind", rcode="REFUSED", timestamp=NOON + 2),
    ]
    for answer, verdict in ((dns_result(1), "ok"), (dns_result(1, FOREIGN), "intercepted-foreign-identity")):
        found = row(import_lines(answer, *others))
        assert (found["verdict"], found["beside"], found["errors"], found["empty"]) == (verdict, 2, 0, 0)


def test_a_broken_promise_weighs_no_more_than_its_own_answers(import_lines: Import) -> None:
    named = [dns_result(1, timestamp=NOON + turn) for turn in range(3)]
    empty = dns_result(1, None, timestamp=NOON + 9)
    others = [dns_result(1, "NSD", query="version.bind", timestamp=NOON + 20 + turn) for turn in range(9)]
    assert row(import_lines(*named, empty, *others))["verdict"] == "ok"


def test_an_error_to_what_the_service_does_not_promise_comes_after_what_it_does(import_lines: Import) -> None:
    refused = [dns_result(1, None, query="id.server", rcode="REFUSED", timestamp=NOON + turn) for turn in range(3)]
    assert row(import_lines(dns_result(1, FOREIGN), *refused))["verdict"] == "intercepted-foreign-identity"


def test_a_reply_of_which_nothing_is_kept_accuses_nobody(import_lines: Import) -> None:
    found = row(import_lines(dns_result(1, result={"rt": 20.0, "size": 40}), dns_result(2)))
    assert found["verdict"] == "no-identity"


def test_a_truncated_reply_without_an_answer_is_no_empty_one(import_lines: Import) -> None:
    # What servers send that limit the rate of their responses: TC, and nothing else.
    wire = bytearray(message())
    wire[2] |= 0x02
    found = row(import_lines(dns_result(1, result={"rt": 20.0, "abuf": base64.b64encode(bytes(wire)).decode()})))
    assert found["verdict"] == "malformed"


def test_an_unreadable_ping_does_not_make_silent_dns_malformed(import_lines: Import) -> None:
    found = row(import_lines(dns_error(1), ping_result(1, result=None, rcvd=None)))
    assert found["verdict"] == "timeout"


def test_a_site_that_answers_is_active_whatever_its_list_says(import_lines: Import, tmp_path: Path) -> None:
    service = tmp_path / "closed.toml"
    text = EXAMPLE_SERVICE.read_text().replace('code = "fra",', 'code = "fra", until = 2020-01-01,')
    service.write_text(text)
    found = row(import_lines(dns_result(1), service=str(service), probes=[place(1)]))
    assert (found["site"], found["nearest_site"], found["distance_km"]) == ("fra", "fra", found["nearest_km"])
    found = row(import_lines(dns_result(1, BER), service=str(service), probes=[place(1)]))
    assert found["nearest_site"] == "ber"  # nobody saw Frankfurt


def test_results_before_an_address_was_the_service_s_are_judged_nowhere(import_lines: Import, tmp_path: Path) -> None:
    service = tmp_path / "moved.toml"
    text = EXAMPLE_SERVICE.read_text().replace('"192.0.2.53"', '"192.0.2.53", since = 2026-11-01')
    service.write_text(text)
    before = dns_result(1, FOREIGN, timestamp=NOON - 86_400 * 2)
    run = import_lines(before, dns_result(2), service=str(service))
    assert [entry["vantage"] for entry in run.assignments.to_dicts()] == ["atlas:2"]


def test_servers_of_a_site_are_counted(import_lines: Import) -> None:
    names = ["fra1", "fra2", "fra1", "ber1"]
    answers = [dns_result(1, f"{name}.example-dns.net", timestamp=NOON + turn) for turn, name in enumerate(names)]
    assert row(import_lines(*answers))["servers_seen"] == 2


def test_a_vantage_point_beside_the_site_that_says_another_place_is_no_case_of_interception(
    import_lines: Import, tmp_path: Path
) -> None:
    # It says Singapore and stands in Frankfurt: answers and pings differ by no more than their jitter.
    service = tmp_path / "two.toml"
    addresses = '{ address = "192.0.2.53" }, { address = "192.0.2.54" }'
    service.write_text(EXAMPLE_SERVICE.read_text().replace('{ address = "192.0.2.53" }', addresses))
    results = [
        result
        for last in (53, 54)
        for result in (
            dns_result(1, rtt_ms=1.0, dst_addr=f"192.0.2.{last}"),
            ping_result(1, 2.1, dst_addr=f"192.0.2.{last}"),
        )
    ]
    run = import_lines(*results, service=str(service), probes=[place(1, 1.3, 103.8, "SG")])
    assert {entry["verdict"] for entry in run.assignments.to_dicts()} == {"mislocated"}


def test_one_ping_of_many_that_is_too_fast_accuses_nobody(import_lines: Import) -> None:
    answers = [dns_result(1, SIN, rtt_ms=120.0, timestamp=NOON + turn) for turn in range(5)]
    pings = [ping_result(1, 119.0, timestamp=NOON + turn) for turn in range(20)]
    run = import_lines(*answers, *pings, ping_result(1, 61.0, timestamp=NOON + 60), probes=[place(1, *HONOLULU)])
    assert row(run)["verdict"] == "ok"


def test_the_rule_of_an_identity_given_in_two_classes_as_often_is_the_same_each_time(import_lines: Import) -> None:
    answers = [
        dns_result(probe, FOREIGN, answer_class=name, timestamp=NOON + turn)
        for probe in range(1, 60)
        for turn, name in enumerate(("CH", "IN"))
    ]
    assert {entry["rule"] for entry in import_lines(*answers).assignments.to_dicts()} == {"class-mismatch"}


def test_an_answer_that_light_contradicts_opens_no_closed_site_again(import_lines: Import, tmp_path: Path) -> None:
    service = tmp_path / "closed.toml"
    service.write_text(EXAMPLE_SERVICE.read_text().replace('code = "sin",', 'code = "sin", until = 2020-01-01,'))
    liar = dns_result(1, SIN, rtt_ms=1.0)
    run = import_lines(liar, dns_result(2, rtt_ms=250.0), service=str(service), probes=[place(1), place(2, 1.3, 103.8)])
    found = {entry["vantage"]: entry for entry in run.assignments.to_dicts()}
    assert (found["atlas:1"]["verdict"], found["atlas:2"]["nearest_site"]) == ("impossible-rtt", "ber")
