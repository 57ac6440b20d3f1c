from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from catchment.campaign import Protocol, Query
from catchment.model import Kind, Target
from catchment.platforms.local import traces
from catchment.platforms.local.asking import Asking
from catchment.platforms.local.loop import Came
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.local.sockets import Packet, now
from catchment.platforms.local.vantages import Vantage
from tests.veth_chain import ALL_GROUPS, HOPS, HOPS_V6, NO_GROUP, TARGET, TARGET_V6, Measured, measured

pytestmark = pytest.mark.xdist_group("packets")  # they tell time

NEEDS = "socket failed: Operation not permitted: a traceroute over {} needs cap_net_raw"


def senders(result: dict[str, Any]) -> list[tuple[int, tuple[str, ...]]]:
    return [(hop["hop"], tuple(packet.get("from", "*") for packet in hop["result"])) for hop in result["result"]]


def whole_path(target: str) -> list[tuple[int, tuple[str, ...]]]:
    return [(number, (hop, hop)) for number, hop in enumerate(HOPS if target == TARGET else HOPS_V6, start=1)]


def traced(found: Measured, protocol: str) -> None:
    """Hold the traceroutes over a protocol against the way that there is."""
    for target in (TARGET, TARGET_V6):
        result = found.of("traceroute", protocol)[target]
        assert senders(result) == whole_path(target)
        assert result["paris_id"] == 1
        for hop in result["result"]:
            for packet in hop["result"]:
                assert packet["ttl"] == 65 - hop["hop"]  # 64 where it was sent
                assert 0 < packet["rtt"] < 1000
                assert "err" not in packet


@pytest.mark.parametrize("protocol", ["ICMP", "UDP", "TCP", "any"])
@pytest.mark.parametrize("groups", [ALL_GROUPS, NO_GROUP], ids=["ping-sockets", "raw-sockets"])
def test_every_protocol_finds_the_way_in_both_families(groups: str, protocol: str) -> None:
    traced(measured(groups), protocol)


@pytest.mark.parametrize("protocol", ["ICMP", "UDP", "any"])
def test_a_user_without_privileges_traces_over_icmp_and_udp(protocol: str) -> None:
    traced(measured(ALL_GROUPS, as_nobody=True), protocol)


@pytest.mark.parametrize("groups", [ALL_GROUPS, NO_GROUP])
def test_over_tcp_such_a_user_is_told_what_it_needs(groups: str) -> None:
    for target in (TARGET, TARGET_V6):
        result = measured(groups, as_nobody=True).of("traceroute", "TCP")[target]
        assert result["result"] == [{"hop": 1, "error": NEEDS.format("TCP")}]


def test_without_any_privilege_a_traceroute_goes_over_udp_unless_icmp_was_asked_for() -> None:
    found = measured(NO_GROUP, as_nobody=True)
    traced(found, "any")
    traced(found, "UDP")
    assert {result["proto"] for result in found.of("traceroute").values()} == {"UDP"}
    result = found.of("traceroute", "ICMP")[TARGET]
    assert result["result"] == [{"hop": 1, "error": NEEDS.format("ICMP")}]


@pytest.mark.parametrize("groups", [ALL_GROUPS, NO_GROUP])
@pytest.mark.parametrize(
    ("target", "protocol", "hops", "letter"),
    [
        ("192.0.2.101", "ICMP", HOPS, "H"),
        ("192.0.2.102", "UDP", HOPS, "A"),
        *(("2001:db8:53::101", protocol, HOPS_V6, "N") for protocol in ("ICMP", "UDP", "TCP")),  # so says Linux
        *(("2001:db8:53::102", protocol, HOPS_V6, "A") for protocol in ("ICMP", "UDP", "TCP")),
        *(("2001:db8:53::103", protocol, HOPS_V6, "N") for protocol in ("ICMP", "UDP", "TCP")),
    ],
)
def test_a_router_that_lets_nobody_pass_is_the_last_hop_and_says_why(
    groups: str, target: str, protocol: str, hops: tuple[str, ...], letter: str
) -> None:
    result = measured(groups).of("traceroute", protocol)[target]
    assert [(number, found[0]) for number, found in senders(result)] == [(1, hops[0]), (2, hops[1])]
    first, last = result["result"]
    assert last["result"][0]["err"] == letter
    assert "err" not in first["result"][0]


@pytest.mark.parametrize(("protocol", "as_nobody"), [("ICMP", False), ("UDP", False), ("ICMP", True), ("UDP", True)])
def test_where_packets_vanish_five_hops_are_silent_and_then_it_gives_up(protocol: str, as_nobody: bool) -> None:
    found = measured(ALL_GROUPS, as_nobody=as_nobody).of("traceroute", protocol)
    for target, first in (("192.0.2.100", HOPS[0]), ("2001:db8:53::100", HOPS_V6[0])):
        silent = [(hop, ("*", "*")) for hop in range(2, 7)]
        assert senders(found[target]) == [(1, (first, first)), *silent, (255, ("*",))]


@pytest.mark.parametrize("protocol", ["ICMP", "UDP", "TCP"])
def test_a_target_to_which_nothing_can_be_sent_is_a_failure_of_the_vantage_point(protocol: str) -> None:
    (hop,) = measured(ALL_GROUPS).of("traceroute", protocol)["255.255.255.255"]["result"]
    assert set(hop) == {"hop", "error"}


class Slow:
    """A carrier's stand-in: the target answers the first packet after 1.5 s, all others after 10 ms."""

    protocol, most, size = Protocol.UDP, 1, 48
    line = SimpleNamespace(set_ttl=lambda _: None, sent_at=lambda _: now(), source=("127.0.0.1", 1))
    number = -1

    def send(self, number: int) -> int:
        self.number = number
        return number

    def read(self) -> Iterator[tuple[int, float, Packet]]:
        yield self.number, 10.0 if self.number else 1500.0, Packet(data=b"", at=now(), ttl=64)

    def close(self) -> None:
        pass


def test_a_reply_counts_by_when_it_came_and_not_by_when_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "open_carrier", lambda *_: Slow())
    query = Query(kind=Kind.TRACEROUTE, packets=1)
    (one,), _ = own_measurements([query], [Target(service=None, address=TARGET)], ["a"], 1.0, None, None)
    exchange = traces.trace(Asking(vantage=Vantage(name="a"), measurement=one, query=query, timeout_s=0.05))
    wait = next(exchange)
    with pytest.raises(StopIteration) as stopped:
        while True:
            if wait.turns == 0:
                time.sleep(max(0.0, wait.until - time.monotonic()))
            wait = exchange.send(Came.TURN if wait.turns else Came.TIME)
    first, second = stopped.value.value["result"]
    assert (first["hop"], first["result"]) == (1, [{"x": "*"}])
    assert (second["hop"], second["result"][0]["rtt"]) == (2, 10.0)
