"""Explanations of one vantage point: every verdict in words with its decisive facts, and all that a run holds of it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from catchment import workflow
from catchment.assign import RULES
from catchment.campaign import load_service
from catchment.campaign.own_vantages import vantage_number
from catchment.errors import UnknownName
from catchment.model import ASSIGNED, Outcome, Verdict, Window
from catchment.schemas import ASSIGNMENTS, EVIDENCE, OBSERVATIONS, VANTAGE_POINTS, Column
from catchment.store import Run
from catchment.workflow.explaining.cases import Case
from catchment.workflow.explaining.verdicts import explain
from tests.atlas_results import NOON, dns_error, dns_result, ping_result, place
from tests.conftest import EXAMPLE_SERVICE

FRA, BER = "fra1.example-dns.net", "ber1.example-dns.net"
FOREIGN = "resolver.isp.example"


def row(columns: tuple[Column, ...], **values: Any) -> dict[str, Any]:
    counts = {column.name: 0 for column in columns if column.type == "INTEGER"}
    return {column.name: None for column in columns} | counts | values


def asked(outcome: Outcome | None, times: int = 1, **values: Any) -> list[dict[str, Any]]:
    """Return equal DNS observations, as judged."""
    one = row(OBSERVATIONS) | {
        "kind": "dns",
        "query": "hostname.bind",
        "rcode": "NOERROR",
        "at": "2026-11-01T12:00:00Z",
    }
    judged = {"outcome": outcome, "site": None, "rule": None, "witnesses": None, "promised": True}
    return [one | judged | {"judged_identity": values.get("identity")} | values] * times


def told(
    verdict: Verdict, rule: str, observations: list[dict[str, Any]] | None = None, **values: Any
) -> tuple[str, list[str]]:
    """Return the explanation of a made-up case near Frankfurt, 10 km from there, as one text and as sentences."""
    beside = ("evidence", "flips", "elsewhere", "kilometres", "peers", "same_place", "traces")
    more = {key: values.pop(key) for key in beside if key in values}
    row_of_place = row(
        VANTAGE_POINTS,
        vantage="atlas:1",
        latitude=values.pop("latitude", 50.0),
        longitude=8.5,
        country="DE",
        asn_v4=64500,
        is_anchor=False,
    )
    assignment = row(ASSIGNMENTS, vantage="atlas:1", service="example-dns", target="192.0.2.53", af=4)
    case = Case(
        place=row_of_place,
        assignment=assignment | {"verdict": verdict.value, "rule": rule} | values,
        service=load_service(EXAMPLE_SERVICE),
        observations=observations or [],
        **{"kilometres": {"fra": 10.0, "ber": 430.0, "sin": 9861.6}, **more},
    )
    sentences = explain(case)
    return " ".join(sentences), sentences


# 9861.6 km: 100.0 ms at 98.616 km per ms; (9861.6 - 100) / 102.1 = 95.6 ms by the rule that judges.
FAR: dict[str, Any] = {
    "site": "sin",
    "distance_km": 9861.6,
    "nearest_site": "fra",
    "nearest_km": 10.0,
    "confidence": "low",
}
FROM_SIN = asked(Outcome.IDENTIFIED, 2, identity="sin1.example-dns.net", identity_source="hostname.bind", site="sin")
FROM_FRA = asked(Outcome.IDENTIFIED, 3, identity=FRA, identity_source="hostname.bind", site="fra")
NEAR: dict[str, Any] = {
    "site": "fra",
    "distance_km": 10.0,
    "nearest_site": "fra",
    "nearest_km": 10.0,
    "rtt_ms_min": 1.5,
}
IMPOSSIBLE = FAR | {
    "identified": 2,
    "rtt_ms_min": 1.5,
    "identity": "sin1.example-dns.net",
    "site_rule": "pattern-own-code",
}

EXPLAINED: dict[str, tuple[Verdict, str, dict[str, Any], list[str]]] = {
    "ok": (
        Verdict.OK,
        "pattern-own-code",
        NEAR
        | {"site_rule": "pattern-own-code", "identity": FRA, "identified": 3, "server": "1", "confidence": "high"}
        | {"observations": FROM_FRA, "rtt_ms_median": 2.0},
        ["reached fra (Frankfurt am Main, DE)", f"“{FRA}”", "server 1", "all 3 answers", "10 km away", "1.5 ms",
         "0.1 ms", "median 2.0 ms", "It is the nearest site", "1 of the 3 sites", "Confidence high"],
    ),
    "ok by other witnesses": (
        Verdict.OK,
        "hop-name",
        NEAR
        | {"pings_answered": 2, "confidence": "medium"}
        | {"evidence": [row(EVIDENCE, witness="hop-name", site="fra", said="10.1.1.1 r1.fra.example", observations=2)]},
        ["reached fra", "No server said so", "“10.1.1.1 r1.fra.example”", "2 times", "Confidence medium: one"],
    ),
    "repaired": (
        Verdict.REPAIRED,
        "repaired-identity",
        NEAR
        | {"site_rule": "repaired-identity", "identity": "fra1%example-dns.net", "identified": 1}
        | {"confidence": "medium"}
        | {"observations": asked(Outcome.IDENTIFIED, identity="fra1%example-dns.net", site="fra")},
        ["reached fra", "“fra1%example-dns.net”", "damaged", "the only answer", "few edits", "Confidence medium"],
    ),
    "impossible": (
        Verdict.IMPOSSIBLE_RTT,
        "light-own-packet",
        IMPOSSIBLE | {"observations": FROM_SIN},
        ["Both answers named sin (Singapore, SG), as “sin1.example-dns.net” (in hostname.bind)",
         "an answer came back in 1.5 ms", "9,862 km", "100 ms", "98.616 km per ms", "95.6 ms",
         "102.1 km per ms + 100 km", "replays", "not where it says", "Confidence low"],
    ),
    "faster than pings": (
        Verdict.IMPOSSIBLE_RTT,
        "faster-than-ping",
        IMPOSSIBLE | {"observations": FROM_SIN, "ping_ms_min": 180.4},
        ["an answer came back in 1.5 ms", "so a box on the way answered in the name of that site",
         "Pings to the same address take 180 ms at least, DNS answers 1.5 ms"],
    ),
    "impossible by a ping": (
        Verdict.IMPOSSIBLE_RTT,
        "light-ping",
        IMPOSSIBLE | {"observations": FROM_SIN, "rtt_ms_min": 96.0, "ping_ms_min": 50.0},
        ["a ping came back in 50.0 ms", "95.6 ms"],
    ),
    "mislocated": (
        Verdict.MISLOCATED,
        "impossible-on-two-targets",
        IMPOSSIBLE
        | {"observations": FROM_SIN}
        | {
            "elsewhere": [
                row(ASSIGNMENTS)
                | IMPOSSIBLE
                | {"verdict": "mislocated", "site": "hkg", "service": "c", "target": "10.9.9.9"}
            ]
        },
        ["Both answers named sin", "1.5 ms", "100 ms", "1 other target", "not where it says",
         "c at 10.9.9.9 named hkg, 9,862 km away, and an answer came back in 1.5 ms"],
    ),
    "a foreign identity": (
        Verdict.FOREIGN_IDENTITY,
        "no-pattern-matches",
        {"foreign_identity": 4, "errors": 1, "identity": FOREIGN, "rtt_ms_min": 0.04, "kilometres": {"fra": 1000.0}}
        | {"observations": asked(Outcome.FOREIGN, 4, identity=FOREIGN) + asked(Outcome.ERROR, rcode="REFUSED")},
        ["Somebody else answered", f"“{FOREIGN}”", "4 of 5 answers", "asked for hostname.bind", "1,000 km",
         "The fastest answer took less than 0.1 ms", "none of the 1 site of example-dns that has a place",
         "none of them gave this answer", "1 with an error (REFUSED 1)"],
    ),
    "another class": (
        Verdict.FOREIGN_IDENTITY,
        "class-mismatch",
        {"foreign_identity": 2, "identity": FOREIGN}
        | {
            "observations": asked(
                Outcome.FOREIGN, 2, identity=FOREIGN, rule="class-mismatch", question_class="CH", **{"class": "IN"}
            )
        },
        ["Somebody else answered", "asked in class CH", "answered in class IN", f"“{FOREIGN}”", "both answers"],
    ),
    "an unknown identity": (
        Verdict.UNKNOWN_IDENTITY,
        "code-not-listed",
        {"unknown_identity": 2, "identity": "xyz1.example-dns.net"},
        ["“xyz1.example-dns.net”", "both answers", "names no site", "the file is old"],
    ),
    "nothing known of identities": (
        Verdict.UNKNOWN_IDENTITY,
        "nothing-to-match",
        {"unknown_identity": 1, "identity": "x"},
        ["“x”", "the only answer", "tells no site"],
    ),
    "an error": (
        Verdict.INTERCEPTED_ERROR,
        "error-where-it-answers",
        {"errors": 3, "rtt_ms_min": 5.0}
        | {"observations": asked(Outcome.ERROR, 2, rcode="REFUSED") + asked(Outcome.ERROR, rcode="SERVFAIL")},
        ["Somebody else answered", "REFUSED 2, SERVFAIL 1", "all 3 answers", "hostname.bind", "always answers"],
    ),
    "nothing in it": (
        Verdict.INTERCEPTED_EMPTY,
        "empty-where-it-answers",
        {"empty": 2, "observations": asked(Outcome.EMPTY, 2)},
        ["Somebody else answered", "NOERROR 2", "both answers", "hostname.bind", "always gives one"],
    ),
    "no identity": (
        Verdict.NO_IDENTITY,
        "does-not-answer-this-query",
        {"errors": 2, "observations": asked(Outcome.ERROR, 2, rcode="NOTIMP", query="id.server")},
        ["No usable identity in both answers", "id.server", "NOTIMP 2", "does not promise one"],
    ),
    "no identity in replies to other questions": (
        Verdict.NO_IDENTITY,
        "does-not-answer-this-query",
        {"beside": 2, "observations": asked(Outcome.BESIDE, 2, query="SOA example")},
        ["2 replies came back (NOERROR 2) when asked for SOA example", "no query for an identity"],
    ),
    "no identity asked": (
        Verdict.NO_IDENTITY,
        "no-identity-asked",
        {"pings_answered": 3, "pings_lost": 1, "ping_ms_min": 5.0},
        ["3 of 4 pings and traceroutes", "nothing else tells which site", "The fastest ping took 5.0 ms", "3 sites"],
    ),
    "witnesses that disagree": (
        Verdict.NO_IDENTITY,
        "witnesses-disagree",
        {"pings_answered": 3}
        | {
            "evidence": [
                row(EVIDENCE, witness="hop-name", site="fra", said="r1.fra.example", observations=1, possible=True),
                row(EVIDENCE, witness="exchange", site="ber", said="198.51.100.9 BCIX", observations=4, possible=True),
                row(EVIDENCE, witness="neighbour", site="sin", said="198.51.100.8", observations=1, possible=False),
            ]
        },
        ["for ber (Berlin, DE) and for fra (Frankfurt am Main, DE).", "no site is assigned", "“r1.fra.example”",
         "“198.51.100.9 BCIX”", "4 times", "light rules that site out"],
    ),
    "unreachable": (
        Verdict.UNREACHABLE,
        "dns-and-ping-silent",
        {"timeouts": 4, "pings_lost": 1, "nearest_site": "fra", "nearest_km": 10.0}
        | {"observations": asked(None, 4, failure="timeout", failure_detail="timeout: 5000", rcode=None)},
        ["4 DNS queries and 1 ping or traceroute, no answer", "nearest site is fra", "10 km",
         "all 4 DNS results timed out (“timeout: 5000”)"],
    ),
    "unreachable by ping": (
        Verdict.UNREACHABLE, "ping-silent", {"pings_lost": 2},
        ["2 pings and traceroutes, no answer", "DNS was not asked"],
    ),
    "dns-dead": (
        Verdict.DNS_DEAD,
        "ping-answers-dns-silent",
        {"timeouts": 2, "network_failures": 1, "pings_answered": 3, "ping_ms_min": 7.25},
        ["answered all 3 pings and traceroutes", "the fastest ping in 7.2 ms", "3 DNS queries without an answer"],
    ),
    "timeout": (
        Verdict.TIMEOUT, "dns-silent", {"timeouts": 1},
        ["1 DNS query, no answer", "Nothing else was asked", "a ping would tell"],
    ),
    "timeout of DNS and a traceroute": (
        Verdict.TIMEOUT, "dns-and-traceroute-silent", {"timeouts": 2, "pings_lost": 1},
        ["2 DNS queries and 1 traceroute, no answer", "No ping was sent", "a ping would tell"],
    ),
    "timeout of a traceroute": (
        Verdict.TIMEOUT, "traceroute-silent", {"pings_lost": 2},
        ["Nothing came back: 2 traceroutes, no answer", "No ping was sent"],
    ),
    "probe-failed": (
        Verdict.PROBE_FAILED,
        "could-not-send",
        {"send_failures": 2}
        | {
            "observations": asked(None, failure="probe-failed", failure_detail="no socket")
            + asked(None, failure="probe-failed", failure_detail="no route")
        },
        ["could not send", "2 times", "nothing of the service", "could not be sent (no route 1, no socket 1)"],
    ),
    "malformed": (
        Verdict.MALFORMED, "unreadable", {"malformed": 2},
        ["read by nobody", "2 results, broken or cut off"],
    ),
    "no result": (Verdict.NO_RESULT, "asked-never-reported", {}, ["asked", "no result of it ever came"]),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_verdict_is_explained_with_its_decisive_facts(name: str) -> None:
    verdict, rule, values, facts = EXPLAINED[name]
    text, sentences = told(verdict, rule, **values)
    for fact in (*facts, f"Rule {rule}: {RULES[rule]}.", "atlas:1", "50.00° N 8.50° E", "DE, AS64500"):
        assert fact in text, (fact, text)
    assert all(sentence == sentence.strip() and sentence.endswith(".") for sentence in sentences)
    assert not {"None", "nan", "{", "}"} & set(text.replace(".", " ").split())


def test_no_verdict_lacks_an_explanation() -> None:
    assert {verdict for verdict, *_ in EXPLAINED.values()} == set(Verdict)


def test_only_assigned_verdicts_are_said_to_have_a_confidence() -> None:
    for verdict, rule, values, _ in EXPLAINED.values():
        assert ("Confidence " in told(verdict, rule, **values)[0]) == (verdict in ASSIGNED), verdict


def test_a_farther_site_is_told_with_kilometres_and_milliseconds() -> None:
    # 430 - 10 = 420 km, and 420 / 98.616 = 4.26 ms.
    text, _ = told(
        Verdict.OK,
        "pattern-own-code",
        asked(Outcome.IDENTIFIED, identity=BER, site="ber"),
        **NEAR
        | {"site": "ber", "distance_km": 430.0, "identified": 1, "site_rule": "pattern-own-code", "rtt_ms_min": 9.0}
        | {"identity": BER},
    )
    assert "The nearest site would be fra (Frankfurt am Main, DE), 10 km away" in text
    assert "420 km farther, which costs light 4.3 ms" in text
    # Light is back from 9.0 * 102.1 + 100 = 1018.9 km.
    assert "In that time it comes back from 2 of the 3 sites" in text


ALL_NAME_FRA: dict[str, Any] = {"site_rule": "pattern-own-code", "identity": FRA, "identified": 3, "confidence": "high"}


def test_a_time_is_told_with_the_packet_that_took_it_and_tenths_only_where_they_matter() -> None:
    by_pings = NEAR | {"pings_answered": 2, "confidence": "medium"}
    assert "The fastest ping took 1.5 ms" in told(Verdict.OK, "hop-name", **by_pings | {"ping_ms_min": 1.5})[0]
    assert "The fastest traceroute took 1.5 ms" in told(Verdict.OK, "hop-name", **by_pings)[0]
    for rtt_ms, words in ((99.94, "took 99.9 ms:"), (99.96, "took 100 ms:"), (1234.4, "took 1,234 ms:")):
        text, _ = told(Verdict.OK, "pattern-own-code", FROM_FRA, **NEAR | ALL_NAME_FRA | {"rtt_ms_min": rtt_ms})
        assert f"The fastest answer {words}" in text


def test_a_mislocated_vantage_point_may_be_accused_by_its_pings() -> None:
    # 96.0 ms of an answer allow 9,901.6 km; 50 ms of a ping do not.
    by_ping = IMPOSSIBLE | {"rtt_ms_min": 96.0, "ping_ms_min": 50.0}
    elsewhere = [by_ping | {"verdict": "mislocated", "service": "c", "target": "10.9.9.9"}]
    text, _ = told(Verdict.MISLOCATED, "impossible-on-two-targets", FROM_SIN, elsewhere=elsewhere, **by_ping)
    assert text.count("a ping came back in 50.0 ms") == 2
    assert "an answer came back" not in text


def test_light_says_nothing_of_who_was_just_accused_by_it() -> None:
    light = row(EVIDENCE, witness="light", site="fra", said="1.500 ms", observations=1, possible=True)
    for verdict, rule in (
        (Verdict.IMPOSSIBLE_RTT, "light-own-packet"),
        (Verdict.MISLOCATED, "impossible-on-two-targets"),
    ):
        text, _ = told(verdict, rule, FROM_SIN, evidence=[light], **IMPOSSIBLE)
        assert "comes back" not in text
        assert "no other site" not in text


def test_light_as_a_witness_names_its_packet_and_never_a_site_that_nobody_knows() -> None:
    light = row(EVIDENCE, witness="light", site="fra", said="2.746 ms", observations=1, possible=True)
    ping = row(OBSERVATIONS, kind="ping", rtt_ms=2.7461) | {"outcome": None, "witnesses": None, "promised": False}
    text, _ = told(Verdict.DNS_DEAD, "ping-answers-dns-silent", [ping], evidence=[light, light | {"site": None}])
    assert text.count("no other site") == 1
    assert "A ping of 2.7 ms: light comes back so fast from no other site than fra (Frankfurt am Main, DE)." in text
    assert "A packet of 2.7 ms" in told(Verdict.DNS_DEAD, "ping-answers-dns-silent", evidence=[light])[0]


def test_a_glitch_is_not_called_possible() -> None:
    far = FAR | {"site_rule": "pattern-own-code", "identified": 2, "identity": "sin1.example-dns.net"}
    text, _ = told(Verdict.OK, "pattern-own-code", FROM_SIN, **far | {"rtt_ms_min": 1.5, "confidence": "medium"})
    assert "light does not allow that" in text
    assert "Confidence medium: the server named the site, but some answers came too fast for light" in text


def test_a_place_that_looks_made_up_is_called_so() -> None:
    def where(**values: Any) -> str:
        return told(Verdict.TIMEOUT, "dns-silent", **values)[1][0]

    assert "default" not in where(same_place=1)
    assert "2 other vantage points say exactly the same: that looks like the default of a country" in where(
        same_place=2
    )
    whole = {"latitude": 50.0}
    assert "default" not in where(**whole)  # 8.5 degrees east


def test_the_name_met_most_often_needs_more_than_another() -> None:
    other = "fra2.example-dns.net"
    values = NEAR | ALL_NAME_FRA | {"identified": 4}
    both = [
        *asked(Outcome.IDENTIFIED, 2, identity=FRA, identity_source="hostname.bind", site="fra"),
        *asked(Outcome.IDENTIFIED, 2, identity=other, identity_source="hostname.bind", site="fra"),
    ]
    assert f"as “{FRA}” 2, “{other}” 2." in told(Verdict.OK, "pattern-own-code", both, **values)[0]
    assert f"most often as “{FRA}” (in hostname.bind)" in told(Verdict.OK, "pattern-own-code", both[:3], **values)[0]


def test_a_second_identity_that_agrees_takes_one_line() -> None:
    witness = row(EVIDENCE, witness="second-identity", site="fra", said=FRA, observations=3, possible=True)
    for second, words in ((FRA, "NSID said the same in all 3 replies."), ("fra9.x", "NSID named the same site in all")):
        agree = {"second_identity": second, "second_identity_source": "nsid", "witnesses": "agree"}
        text, sentences = told(
            Verdict.OK,
            "pattern-own-code",
            [one | agree for one in FROM_FRA],
            evidence=[witness],
            **NEAR | ALL_NAME_FRA,
        )
        assert words in text
        assert sum("NSID" in sentence or "second identity" in sentence for sentence in sentences) == 1


def test_all_sites_are_called_all() -> None:
    text, _ = told(Verdict.OK, "pattern-own-code", FROM_FRA, **NEAR | ALL_NAME_FRA | {"rtt_ms_min": 200.0})
    assert "In that time it comes back from all 3 sites of example-dns that have a place." in text


def test_one_change_is_no_flapping() -> None:
    change = {"at": "2026-11-01T12:01:00Z", "from": "ber", "to": "fra"}
    text, _ = told(Verdict.OK, "pattern-own-code", FROM_FRA, flips=[change], **NEAR | ALL_NAME_FRA)
    assert "It changed once, at 2026-11-01T12:01:00Z, from ber to fra, and stayed." in text
    assert "flapped" not in text


def test_how_the_others_fared_is_told_where_an_answer_is_in_doubt() -> None:
    peers = Counter({"REFUSED": 995, "NOERROR": 5})
    for rcode, words in (
        ("NOERROR", "Of 1,000 other vantage points 99.5 % got REFUSED here; this one got NOERROR."),
        ("REFUSED", "Of 1,000 other vantage points 99.5 % got REFUSED here; so did this one."),
    ):
        replies = asked(Outcome.ERROR if rcode == "REFUSED" else Outcome.EMPTY, rcode=rcode, promised=False)
        values = {"errors": 1, "peers": peers}
        assert words in told(Verdict.NO_IDENTITY, "does-not-answer-this-query", replies, **values)[0]
    alone = {"errors": 1, "peers": Counter({"an identity of the service": 1})}
    text, _ = told(Verdict.INTERCEPTED_ERROR, "error-where-it-answers", asked(Outcome.ERROR, rcode="REFUSED"), **alone)
    assert "The one other vantage point got an identity of the service here; this one got REFUSED." in text
    assert (
        "other vantage point"
        not in told(Verdict.OK, "pattern-own-code", FROM_FRA, **NEAR | ALL_NAME_FRA, peers=peers)[0]
    )


def test_pings_that_are_slower_than_answers_came_from_elsewhere() -> None:
    values: dict[str, Any] = {"foreign_identity": 1, "identity": FOREIGN, "rtt_ms_min": 2.0}
    slower, _ = told(Verdict.FOREIGN_IDENTITY, "no-pattern-matches", ping_ms_min=4.1, **values)
    as_slow, _ = told(Verdict.FOREIGN_IDENTITY, "no-pattern-matches", ping_ms_min=4.0, **values)
    assert "Pings to the same address take 4.1 ms at least, DNS answers 2.0 ms" in slower
    assert "Pings" not in as_slow


def test_hostile_words_are_quoted_harmless_and_short() -> None:
    text, _ = told(
        Verdict.FOREIGN_IDENTITY, "no-pattern-matches", foreign_identity=1, identity="\x1b[31m" + "x" * 60_000
    )
    assert "\x1b" not in text
    assert "“\\x1b[31mxxx" in text
    assert len(text) < 2_000


def only_target(numbers: dict[str, Any]) -> dict[str, Any]:
    assert len(numbers["targets"]) == 1
    found: dict[str, Any] = numbers["targets"][0]
    return found


def test_a_vantage_point_is_told_with_all_that_the_run_holds(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1, FRA, rtt_ms=3.0, timestamp=NOON),
        dns_result(1, BER, rtt_ms=9.0, timestamp=NOON + 60),
        dns_result(1, FRA, rtt_ms=4.0, timestamp=NOON + 120),
        dns_error(1, timestamp=NOON + 180),
        ping_result(1, 2.5, timestamp=NOON + 240),
        dns_result(2, timestamp=NOON),
        probes=[place(1, tags=["home"]), place(2)],
    )
    numbers = workflow.explain_vantage(run, "atlas:1")
    assert set(numbers) == {"run", "platform", "from", "to", "vantage", "place", "targets", "constants"}
    assert numbers["vantage"] == "atlas:1"
    assert numbers["place"] == {
        "vantage": "atlas:1", "latitude": 50.0, "longitude": 8.5, "country": "DE", "asn_v4": 64500, "asn_v6": None,
        "tags": ["home"], "is_anchor": False, "same_place": 1,
    }  # fmt: skip
    target = only_target(numbers)
    assert (target["service"], target["target"], target["af"]) == ("example-dns", "192.0.2.53", 4)
    assert set(target["assignment"]) == {column.name for column in ASSIGNMENTS}
    assert (target["assignment"]["site"], target["assignment"]["flips"]) == ("fra", 2)
    assert target["rule_meaning"] == target["site_rule_meaning"] == RULES["pattern-own-code"]
    assert target["flips"] == [
        {"at": "2026-11-01T12:01:00Z", "from": "fra", "to": "ber"},
        {"at": "2026-11-01T12:02:00Z", "from": "ber", "to": "fra"},
    ]
    observations = target["observations"]
    assert {column.name for column in OBSERVATIONS} | {"at", "site", "rule"} <= set(observations[0])
    assert [one["at"] for one in observations] == [f"2026-11-01T12:0{minute}:00Z" for minute in range(5)]
    assert [one["site"] for one in observations] == ["fra", "ber", "fra", None, None]
    assert [one["rule"] for one in observations] == ["pattern-own-code"] * 3 + [None] * 2
    text = " ".join(target["explanation"])
    assert "2 of 3 answers" in text
    assert "flapped between 2 sites, 2 times: 2026-11-01T12:01:00Z fra → ber, 2026-11-01T12:02:00Z ber → fra." in text
    assert "1 of 4 DNS results timed out" in text
    assert json.loads(json.dumps(numbers)) == numbers


def test_the_flips_told_are_as_many_as_were_counted(sample: dict[str, Run]) -> None:
    flapping = sample["before"].assignments.filter("flips > 0").fetchall()[:3]
    assert flapping
    for vantage, *_ in flapping:
        target = only_target(workflow.explain_vantage(sample["before"], vantage))
        assert len(target["flips"]) == target["assignment"]["flips"] > 0


def test_a_number_alone_is_one_of_atlas_and_else_one_of_a_lab(import_lines: Callable[..., Run]) -> None:
    of_lab = [dns_result(vantage_number(name), vantage=name) for name in ("lab:7", "lab:8", "local:9", "local:host")]
    run = import_lines(dns_result(7), *of_lab)
    asked = {"7": "atlas:7", "8": "lab:8", "9": "local:9", "lab:7": "lab:7", "host": "local:host"}
    assert {text: workflow.explain_vantage(run, text)["vantage"] for text in asked} == asked
    with pytest.raises(UnknownName, match=r"'local:hosts' is none of .*: did you mean 'local:host'\?"):
        workflow.explain_vantage(run, "local:hosts")
    with pytest.raises(UnknownName, match=r"'local:7' is none of .*: did you mean 'lab:7' or 'atlas:7'\?"):
        workflow.explain_vantage(run, "local:7")


def test_a_number_is_enough_of_an_id(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(6019), dns_result(601))
    assert workflow.explain_vantage(run, "6019")["vantage"] == "atlas:6019"
    assert workflow.explain_vantage(run, "atlas:601")["vantage"] == "atlas:601"


def test_an_unknown_vantage_point_is_told_with_the_nearest_name(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(6019), dns_result(7))
    with pytest.raises(
        UnknownName, match=r"'60199' is none of the run's 2 vantage points: did you mean 'atlas:6019'\?"
    ):
        workflow.explain_vantage(run, "60199")
    with pytest.raises(UnknownName, match="the first are atlas:7, atlas:6019"):
        workflow.explain_vantage(run, "zzz")


def test_a_window_holds_only_what_was_measured_in_it(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(1, FRA), dns_result(1, BER, timestamp=NOON + 600), dns_result(2))
    target = only_target(workflow.explain_vantage(run, "1", Window(start=float(NOON + 600))))
    assert [one["site"] for one in target["observations"]] == ["ber"]
    assert target["assignment"]["site"] == "ber"
    with pytest.raises(UnknownName, match="atlas:2 measured none of the run's targets"):
        workflow.explain_vantage(run, "2", Window(start=float(NOON + 600)))


def test_targets_are_chosen_by_family_and_address(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1, "ns1.nl-ams.k.ripe.net", dst_addr="193.0.14.129"),
        dns_result(1, "ns1.de-fra.k.ripe.net", dst_addr="2001:7fd::1", af=6),
        service="k-root",
        probes=[place(1, asn_v6=64_511)],
    )
    assert [one["af"] for one in workflow.explain_vantage(run, "1")["targets"]] == [4, 6]
    chosen = only_target(workflow.explain_vantage(run, "1", af=6))
    assert "DE, AS64511" in chosen["explanation"][0]
    assert only_target(workflow.explain_vantage(run, "1", target="193.0.14.129"))["af"] == 4


def test_a_vantage_point_without_a_place_is_told_without_distances(import_lines: Callable[..., Run]) -> None:
    target = only_target(workflow.explain_vantage(import_lines(dns_result(1)), "1"))
    text = " ".join(target["explanation"])
    assert "nobody knows where" in text
    assert "light" not in text


def test_who_else_answered_is_told_of_a_vantage_point_whose_site_is_known(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1, FRA),
        dns_result(1, FRA, timestamp=NOON + 1),
        dns_result(1, FRA, timestamp=NOON + 2),
        dns_result(1, FOREIGN, timestamp=NOON + 60),
        dns_result(1, None, rcode="REFUSED", timestamp=NOON + 120),
        dns_result(1, None, rcode="REFUSED", query="version.bind", timestamp=NOON + 180),
    )
    target = only_target(workflow.explain_vantage(run, "1"))
    text = " ".join(target["explanation"])
    assert target["assignment"]["verdict"] == "ok"
    assert "Confidence medium: the server named the site, but somebody else answered too." in text
    assert (
        "Somebody else answered too, 2 of 5 times, from 2026-11-01T12:01:00Z to 2026-11-01T12:02:00Z: "
        f"REFUSED 1, “{FOREIGN}” 1."
    ) in text
    assert "There were other answers" not in text
    assert "nothing contradicts" not in text


def test_the_others_are_counted_by_what_each_got_most_often(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1, None, rcode="REFUSED"),
        dns_result(2),
        dns_result(2, None, rcode="REFUSED", timestamp=NOON + 1),
        dns_result(2, timestamp=NOON + 2),
        dns_result(3),
        dns_result(4, FOREIGN),
        dns_error(5),
    )
    text = " ".join(only_target(workflow.explain_vantage(run, "1"))["explanation"])
    # Of vantage points 2, 3 and 4; who was not answered got nothing.
    assert "Of 3 other vantage points 66.7 % got an identity of the service here; this one got REFUSED." in text


def test_whole_degrees_and_shared_places_look_like_defaults(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1),
        dns_result(2),
        dns_result(3),
        dns_result(4),
        probes=[place(1, 51.0, 9.0), place(2), place(3), place(4)],
    )
    shared, whole = (workflow.explain_vantage(run, vantage)["targets"][0]["explanation"][0] for vantage in ("2", "1"))
    assert "These are whole degrees: that looks like the default of a country or town." in whole
    assert "2 other vantage points say exactly the same: that looks like the default" in shared


def test_two_identities_that_contradict_each_other_are_quoted(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(1, FRA, nsid=BER.encode()), probes=[place(1)])
    target = only_target(workflow.explain_vantage(run, "1"))
    text = " ".join(target["explanation"])
    assert f"contradict each other in 1 reply: “{FRA}” beside “{BER}” 1." in text
    assert "Confidence medium" in text
    assert [(one["witness"], one["site"]) for one in target["evidence"] if one["said"] == BER] == [
        ("second-identity", "ber")
    ]


def test_what_interception_gave_is_told_with_query_and_code(import_lines: Callable[..., Run]) -> None:
    run = import_lines(
        dns_result(1, None, rcode="REFUSED", rtt_ms=2.0), dns_result(1, None, rcode="REFUSED", timestamp=NOON + 1)
    )
    text = " ".join(only_target(workflow.explain_vantage(run, "1"))["explanation"])
    assert "an error (REFUSED 2) in both answers when asked for hostname.bind" in text


def test_of_several_servers_the_one_met_most_often_is_named(import_lines: Callable[..., Run]) -> None:
    other = "fra2.example-dns.net"
    run = import_lines(dns_result(1, other), *(dns_result(1, FRA, timestamp=NOON + second) for second in (1, 2)))
    text = " ".join(only_target(workflow.explain_vantage(run, "1"))["explanation"])
    assert f"all 3 answers named it, most often as “{FRA}” (in hostname.bind, server 1)." in text


def test_a_site_without_a_place_has_no_distance() -> None:
    text, _ = told(
        Verdict.OK,
        "published-identity",
        FROM_FRA,
        **NEAR | {"distance_km": None, "identified": 3, "site_rule": "published-identity", "nearest_site": "ber"},
        identity=FRA,
    )
    assert "Nobody knows where fra (Frankfurt am Main, DE) is" in text
    assert "farther" not in text


def test_the_command_line_explains_one_vantage_point(
    import_lines: Callable[..., Run], catchment: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    run = import_lines(dns_result(1), dns_result(2), probes=[place(1), place(2)])
    shown = catchment("show", run.path, "--vantage", "1")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"- It reached fra (Frankfurt am Main, DE): the only answer named it, as “{FRA}”" in shown.stdout
    told = json.loads(catchment("show", run.path, "--vantage", "atlas:1", "--json").stdout)
    assert (told["vantage"], told["targets"][0]["assignment"]["site"]) == ("atlas:1", "fra")
    unknown = catchment("show", run.path, "--vantage", "12")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "'12' is none of the run's 2 vantage points: did you mean '" in unknown.stderr
    assert catchment("show", run.path, "--vantage", "1", "--by", "site").returncode == 2
