"""The way to a target, read off a traceroute, with what servers on loopback tell of its routers."""

from __future__ import annotations

import time
from typing import Any

import dns.message
import pytest

from catchment.observe.traceroutes import Hop, read_trace
from catchment.platforms.local.places import HostPlace
from catchment.platforms.origins import Origin
from catchment.platforms.reverse_names import RESOLVER
from catchment.services import bundled_service
from catchment.workflow.here.tracing import KnownRouters, ask_about, describe_path
from tests.dns_server import Respond, answering, pointers
from tests.test_origins import texts

ROUTER = "193.0.0.1"
BERLIN = HostPlace(name="Berlin, DE", latitude=52.52, longitude=13.40, country="DE")
SERVICE = bundled_service("demo-dns")
TARGET = "198.51.100.53"
TOLD = {
    "1.0.0.193.origin.asn.cymru.com.": ["3333 | 193.0.0.0/21 | NL | ripencc | 1993-09-01"],
    "AS3333.asn.cymru.com.": ["3333 | NL | ripencc | 1993-09-01 | RIPE-NCC-AS, NL"],
}


def trace(*hops: tuple[str | None, float]) -> dict[str, Any]:
    """Return a traceroute whose routers have these addresses and RTTs in ms."""
    packets = [{"x": "*"} if address is None else {"from": address, "rtt": rtt_ms} for address, rtt_ms in hops]
    return {
        "proto": "ICMP",
        "dst_addr": TARGET,
        "result": [{"hop": n, "result": [one] * 2} for n, one in enumerate(packets, start=1)],
    }


def both(names: Respond, networks: Respond) -> Respond:
    """Return a respond for a resolver that knows names of addresses, and networks."""

    def respond(query: dns.message.Message) -> dns.message.Message | bytes | None:
        is_name = query.question[0].name.to_text().endswith("arpa.")
        return (names if is_name else networks)(query)

    return respond


def test_a_hop_is_who_answered_most_often_in_the_least_time() -> None:
    one, other = "1.1.1.1", "2.2.2.2"
    packets = [{"from": one, "rtt": 2.0}, {"from": other, "rtt": 1.0}, {"from": other, "rtt": 3.0}, {"x": "*"}]
    result = {"result": [{"hop": 1, "result": packets}, {"hop": 2, "result": [{"x": "*"}]}]}
    assert read_trace(result).hops == (Hop(number=1, address=other, rtt_ms=1.0, others=(one,)), Hop(number=2))


@pytest.mark.parametrize(
    ("router", "err", "mark"),
    [
        ("1.1.1.1", "N", "!N"),
        ("1.1.1.1", "H", "!H"),
        ("1.1.1.1", "P", "!P"),
        ("1.1.1.1", "A", "!X"),
        ("1.1.1.1", 13, "!X"),
        ("1.1.1.1", 10, "!X"),
        ("1.1.1.1", 5, "!<5>"),
        ("1.1.1.1", "p", "!<3>"),
        ("2001:db8::1", "N", "!N"),
        ("2001:db8::1", "A", "!X"),
        ("2001:db8::1", "H", "!H"),
        ("2001:db8::1", "p", "!<4>"),
        ("1.1.1.1", None, None),
        ("1.1.1.1", "\x1b[2J", None),
        ("1.1.1.1", True, None),
        ("1.1.1.1", -1, None),
        ("1.1.1.1", 10**30, None),
        ("1.1.1.1", ["N"], None),
        (TARGET, "p", None),  # so the target says that a packet arrived
        (TARGET, "H", "!H"),
    ],
)
def test_who_lets_nobody_pass_is_marked_as_traceroute_does(router: str, err: Any, mark: str | None) -> None:
    packets = [{"from": router, "rtt": 2.0}, {"from": router, "rtt": 1.0, "err": err}]
    found = read_trace({"dst_addr": TARGET, "result": [{"hop": 1, "result": packets}]})
    assert [hop.error for hop in found.hops] == [mark]
    assert [refusal.sender for refusal in found.refusals] == ([] if mark is None else [router])


@pytest.mark.parametrize(
    ("before", "number", "ttl", "is_first"),
    [("*", 1, 250, True), ("*", 4, 64, True), ("*", 4, 255, True), ("*", 4, 62, False), ("9.9.9.9", 4, 64, False)],
)
def test_the_first_router_is_known_by_its_hop_or_its_full_ttl(
    before: str, number: int, ttl: int, is_first: bool
) -> None:
    silent = [{"hop": hop, "result": [{"x": "*"}]} for hop in range(1, number)]
    if before != "*":
        silent[0] = {"hop": 1, "result": [{"from": before, "rtt": 1.0, "ttl": 255}]}
    packet = {"from": "1.1.1.1", "rtt": 3.0, "ttl": ttl, "err": "N"}
    found = read_trace({"dst_addr": TARGET, "result": [*silent, {"hop": number, "result": [packet]}]})
    assert ("1.1.1.1" in found.first_routers) is is_first


def test_a_packet_far_beyond_silent_routers_is_no_hop() -> None:
    assert read_trace({"result": [{"hop": 255, "result": [{"x": "*"}]}]}).hops == ()


@pytest.mark.parametrize("result", [{}, {"result": []}, {"result": [{"error": "no route"}]}])
def test_a_traceroute_that_went_nowhere_has_no_hops(result: dict[str, Any]) -> None:
    assert read_trace(result).hops == ()


def test_a_router_is_told_with_its_name_network_and_place() -> None:
    respond = both(pointers({ROUTER: ["ae1.cr2.fra3.example.net."]}), texts(TOLD))
    with answering(respond) as server:
        known = ask_about(["10.0.0.1", ROUTER, TARGET], {RESOLVER: server.address})
    path = describe_path(trace(("10.0.0.1", 0.5), (ROUTER, 6.0), (TARGET, 7.0)), known, SERVICE, TARGET, BERLIN)
    first, second, last = path["hops"]
    assert (first["name"], first["asn"], first["place"]) == (None, None, None)
    assert second["name"] == "ae1.cr2.fra3.example.net"
    assert (second["asn"], second["as_name"], second["prefix"]) == (3333, "RIPE-NCC-AS, NL", "193.0.0.0/21")
    assert second["place"] == "Frankfurt am Main, DE"
    assert path["reached"]
    assert last["address"] == TARGET


def test_nobody_is_asked_about_addresses_at_home() -> None:
    with answering(lambda _: None) as server:
        assert ask_about(["10.0.0.1", "192.168.1.1", "fe80::1", TARGET], {RESOLVER: server.address}) == KnownRouters()
    assert server.asked == []


def test_a_dead_resolver_costs_about_two_seconds_and_is_told() -> None:
    with answering(lambda _: None) as server:
        began = time.monotonic()
        known = ask_about([f"193.0.{number}.1" for number in range(20)], {RESOLVER: server.address})
        took_s = time.monotonic() - began
    assert known == KnownRouters(problem="the DNS told nothing of 20 routers on the way within 2 s")
    assert took_s < 4  # names and networks one after the other take four seconds, the routers forty


def test_a_resolver_that_is_none_is_a_remark_and_no_failure() -> None:
    known = ask_about([ROUTER], {RESOLVER: "nonsense:"})
    assert known.problem is not None
    assert known.problem.startswith("the routers on the way stay without names: CATCHMENT_RESOLVER='nonsense:' is no")


@pytest.mark.parametrize(
    ("name", "rtt_ms", "place"),
    [
        ("be4.syd2.example.net", 300.0, "Sydney, AU"),
        ("be4.syd2.example.net", 5.0, None),  # light needs 160 ms to Sydney and back
        ("core1.prg.example.net", 9.0, "Prague, CZ"),  # where the service has no site
        ("static-9-1.example.net", 9.0, None),
    ],
)
def test_a_place_that_light_rules_out_is_not_told(name: str, rtt_ms: float, place: str | None) -> None:
    known = KnownRouters(names={ROUTER: name})
    (hop,) = describe_path(trace((ROUTER, rtt_ms)), known, SERVICE, TARGET, BERLIN)["hops"]
    assert hop["place"] == place


def test_where_nobody_knows_where_this_host_is_names_are_believed() -> None:
    known = KnownRouters(names={ROUTER: "be4.syd2.example.net"})
    (hop,) = describe_path(trace((ROUTER, 5.0)), known, SERVICE, TARGET, None)["hops"]
    assert hop["place"] == "Sydney, AU"


def test_an_address_at_an_exchange_stands_in_its_town() -> None:
    # The peering LAN of DE-CIX Frankfurt.
    (hop,) = describe_path(trace(("80.81.192.1", 9.0)), KnownRouters(), SERVICE, TARGET, BERLIN)["hops"]
    assert (hop["exchange"], hop["place"]) == ("DE-CIX", "Frankfurt, DE")


@pytest.mark.parametrize(("name", "place"), [(None, None), ("ae1.cr1.nrt3.example.net", "Tokyo, JP")])
def test_a_router_that_reaches_an_exchange_from_afar_stands_where_its_name_says(
    name: str | None, place: str | None
) -> None:
    # An address of AMS-IX, 1 ms from Tokyo: light needs more than 90 ms to Amsterdam and back.
    at_ams_ix = "80.249.208.1"
    tokyo = HostPlace(name="Tokyo, JP", latitude=35.68, longitude=139.69, country="JP")
    known = KnownRouters(names={at_ams_ix: name})
    (hop,) = describe_path(trace((at_ams_ix, 1.0)), known, SERVICE, TARGET, tokyo)["hops"]
    assert (hop["exchange"], hop["place"]) == ("AMS-IX", place)


def test_the_origin_of_the_target_itself_is_told() -> None:
    known = KnownRouters(origins={TARGET: Origin(asn=64_500, prefix="198.51.100.0/24")})
    (hop,) = describe_path(trace((TARGET, 9.0)), known, SERVICE, TARGET, None)["hops"]
    assert (hop["asn"], hop["as_name"], hop["place"]) == (64_500, None, None)
