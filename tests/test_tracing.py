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


def test_the_origin_of_the_target_itself_is_told() -> None:
    known = KnownRouters(origins={TARGET: Origin(asn=64_500, prefix="198.51.100.0/24")})
    (hop,) = describe_path(trace((TARGET, 9.0)), known, SERVICE, TARGET, None)["hops"]
    assert (hop["asn"], hop["as_name"], hop["place"]) == (64_500, None, None)
