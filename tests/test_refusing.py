"""Explanations of silence that is none: somebody said no, and each refusal is another one's business."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from catchment import workflow
from catchment.model import Verdict
from catchment.observe.traceroutes import Trace, read_trace
from catchment.store import Run
from tests.atlas_results import dns_error, dns_result, head, place
from tests.test_explaining import asked, told

TARGET, GATEWAY, ROUTER = "192.0.2.53", "10.0.0.1", "203.0.113.7"
SILENT: dict[str, Any] = {"x": "*"}


def error(kind: int, code: int, sender: str) -> str:
    return f"err: whatever it is called (ICMP type {kind}, code {code}, from {sender})"


def trace(*hops: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"dst_addr": TARGET, "result": [{"hop": at, "result": [one]} for at, one in enumerate(hops, 1)], **more}


def by(sender: str, **more: Any) -> dict[str, Any]:
    return {"from": sender, "rtt": 3.0, "ttl": 60, **more}


def sentence(
    verdict: Verdict, rule: str, *details: str | None, traces: list[Trace] | None = None, **values: Any
) -> str:
    """Return what is said of a silent target: of each DNS query, what came instead of an answer."""
    observations = [
        one
        for detail in details
        for one in asked(
            None,
            rcode=None,
            failure="timeout" if detail is None else "network",
            failure_detail="timeout: 5000" if detail is None else detail,
        )
    ]
    lost = details.count(None)
    counts = {"timeouts": lost, "network_failures": len(details) - lost}
    return told(verdict, rule, observations, traces=traces or [], **counts | values)[1][1]


def dead(*details: str | None, traces: list[Trace] | None = None) -> str:
    pings = {"pings_answered": 3, "ping_ms_min": 7.0}
    return sentence(Verdict.DNS_DEAD, "ping-answers-dns-silent", *details, traces=traces, **pings)


def unreachable(*details: str | None, traces: list[Trace] | None = None) -> str:
    return sentence(Verdict.UNREACHABLE, "dns-and-ping-silent", *details, traces=traces, pings_lost=2)


def test_a_port_without_a_server_is_refused_by_the_target_itself() -> None:
    text = dead(error(3, 3, TARGET), error(3, 3, TARGET), None)
    assert f"{TARGET} itself refuses DNS: no server listens there. It said so to 2 of 3 DNS queries." in text
    assert "1 DNS query had no answer at all." in text
    assert "filtered" not in text


def test_a_port_that_somebody_else_refuses_is_no_dead_server() -> None:
    text = dead(error(3, 3, ROUTER))
    assert f"{ROUTER} refuses DNS in the target's place: something on the way rejects it." in text
    assert "listens" not in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "has no route to it"),
        (1, "cannot find its host"),
        (13, "forbids it: this is filtered there"),
        (200, "sent “err: whatever it is called (ICMP type 3, code 200, from 203.0.113.7)”"),
    ],
)
def test_what_a_router_says_is_told_with_its_address(code: int, words: str) -> None:
    text = unreachable(error(3, code, ROUTER), error(3, code, ROUTER))
    assert text.startswith(f"{ROUTER} {words}")
    assert "It said so to both DNS queries." in text
    assert "Nothing came back" not in text
    assert ("filtered" in text) == (code == 13)


def test_packets_that_go_round_are_told_from_those_without_a_route() -> None:
    assert "they go round in a loop" in unreachable(error(11, 0, ROUTER))


def test_how_far_out_a_router_is_comes_from_traceroutes() -> None:
    said, hop = error(3, 0, ROUTER), by(ROUTER, err="N")
    first = unreachable(said, traces=[read_trace(trace(hop))])
    assert f"{ROUTER}, the first router, has no route to it." in first
    assert "It said so to the only DNS query and the only traceroute." in first
    second = unreachable(said, traces=[read_trace(trace(by(GATEWAY), hop))])
    assert f"{ROUTER}, router 2 on the way, has no route to it." in second
    third = unreachable(said, traces=[read_trace(trace(SILENT, SILENT, hop))])
    assert f"{ROUTER}, at most router 3 on the way, has no route to it." in third
    fourth = trace(by(GATEWAY), hop)
    fourth["result"][1]["hop"] = 4  # nobody knows of hops 2 and 3
    assert f"{ROUTER}, at most router 4 on the way," in unreachable(said, traces=[read_trace(fourth)])
    alone = trace(hop)
    alone["result"][0]["hop"] = 4  # the first of all that is told
    assert f"{ROUTER}, at most router 4 on the way," in unreachable(said, traces=[read_trace(alone)])
    near = unreachable(said, traces=[read_trace(trace(SILENT, SILENT, by(ROUTER, err="N", ttl=64)))])
    assert f"{ROUTER}, the first router, has no route to it." in near


def test_a_host_that_finds_no_neighbour_says_so_itself() -> None:
    text = unreachable(error(3, 1, "10.0.0.9"), traces=[read_trace(trace(SILENT, src_addr="10.0.0.9"))])
    assert "10.0.0.9, the vantage point itself, cannot find its host" in text


def test_a_traceroute_alone_is_refused_too() -> None:
    found = [read_trace(trace(by(GATEWAY), by(ROUTER, err="A")))]
    text = sentence(Verdict.UNREACHABLE, "ping-silent", traces=found, pings_lost=2)
    assert text == (
        f"{ROUTER}, router 2 on the way, forbids it: this is filtered there. It said so to the only traceroute. "
        "DNS was not asked."
    )


def test_without_pings_a_refusal_of_the_target_still_shows_that_it_is_there() -> None:
    text = sentence(Verdict.TIMEOUT, "dns-silent", error(3, 3, TARGET))
    assert f"{TARGET} itself refuses DNS" in text
    assert "So its host can be reached." in text
    assert "can be reached" not in sentence(Verdict.TIMEOUT, "dns-silent", error(3, 0, ROUTER))


def test_where_nobody_knows_who_said_it_the_words_are_quoted() -> None:
    text = sentence(Verdict.TIMEOUT, "dns-silent", "TUCONNECT: connect failed: Connection refused", None)
    assert "Somebody refuses DNS (“TUCONNECT: connect failed: Connection refused”)" in text
    assert "That came for 1 of 2 DNS queries." in text
    assert "Instead of an answer came “TCPREAD: closed”." in unreachable("TCPREAD: closed")


def test_hostile_refusals_are_few_short_and_harmless() -> None:
    evil = "\x1b[2J" + "x" * 60_000
    text = unreachable(evil, *(error(3, 0, f"203.0.113.{number}") for number in range(200)))
    assert "\x1b" not in text
    assert len(text) < 1_500
    assert "So did 198 more" in text  # of 201, the first three are told


def test_atlas_results_are_told_in_the_same_words(import_lines: Callable[..., Run]) -> None:
    def traced(*hops: dict[str, Any]) -> dict[str, Any]:
        return head(1, "traceroute", 90_000_003) | {"msm_name": "Traceroute", "proto": "ICMP"} | trace(*hops)

    ping = head(1, "ping", 90_000_002) | {"msm_name": "Ping", "result": [SILENT] * 3, "rcvd": 0, "sent": 3}
    run = import_lines(
        dns_error(1), ping, traced(by(GATEWAY), by(ROUTER, err="H")), dns_result(2), probes=[place(1), place(2)]
    )
    (target,) = workflow.explain_vantage(run, "atlas:1")["targets"]
    assert target["assignment"]["verdict"] == "unreachable"
    assert target["explanation"][1].startswith(f"{ROUTER}, router 2 on the way, cannot find its host")
    assert target["refusals"] == [{"reason": "host", "by": ROUTER, "hop": 2, "queries": 0, "traceroutes": 1}]
    assert json.loads(json.dumps(target["refusals"])) == target["refusals"]
