from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from catchment.campaign import Protocol, Query
from catchment.model import Kind, Target
from catchment.platforms.local.asking import Asking
from catchment.platforms.local.carriers import FLOWS, Carrier, Icmp, PlainUdp, RawTcp, RawUdp
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.local.vantages import Vantage

pytestmark = pytest.mark.xdist_group("packets")  # they tell time


class Recorder(socket.socket):
    """A datagram socket in the place of any other, which notes what is sent."""

    sent: list[bytes]

    def send(self, data: Any, _: int = 0) -> int:
        self.sent.append(bytes(data))
        return len(data)


class Lucky(Recorder):
    """One that gets each port it wants, whoever on this machine has it."""

    port = 0

    def bind(self, address: Any) -> None:
        _, self.port = address

    def getsockname(self) -> Any:
        host, *_ = super().getsockname()
        return host, self.port


def packets_of(
    carrier: Callable[[Asking, int], Carrier], flow: int, target: str = "127.0.0.1", line_of: type[Recorder] = Lucky
) -> list[bytes]:
    """Return what a carrier sends along a flow, from the transport's header on."""
    sent: list[bytes] = []

    def open_socket(family: int, kind: int, protocol: int) -> socket.socket:
        line = line_of(family, socket.SOCK_DGRAM)
        line.sent = sent
        return line

    query = Query(kind=Kind.TRACEROUTE, protocol=Protocol.ICMP)
    (measurement,), _ = own_measurements([query], [Target(service=None, address=target)], ["a"], 1.0, None, None)
    vantage = Vantage(name="a", open_socket=open_socket)
    opened = carrier(Asking(vantage=vantage, measurement=measurement, query=query, timeout_s=1.0), flow)
    try:
        for number in range(100):
            opened.send(number)
    finally:
        opened.close()
    return sent


def test_packets_of_icmp_differ_in_their_number_but_not_in_their_checksum() -> None:
    flows = [packets_of(Icmp, flow) for flow in (1, 2)]
    for packets in flows:
        assert [int.from_bytes(packet[6:8]) for packet in packets] == list(range(100))
        assert len({packet[:4] for packet in packets}) == 1  # type, code, checksum: what routers look at
    assert flows[0][0][2:4] != flows[1][0][2:4]  # another flow has another one
    assert packets_of(Icmp, 1)[0][2:4] == flows[0][0][2:4]  # the same again the same, whatever the identifier


@pytest.mark.parametrize(("carrier", "port"), [(RawUdp, 33434), (RawTcp, 53)])
def test_packets_of_udp_and_tcp_have_the_same_ports_and_can_be_told_apart_by_their_first_eight_bytes(
    carrier: Callable[[Asking, int], Carrier], port: int
) -> None:
    packets = packets_of(carrier, 1)
    assert {packet[2:4] for packet in packets} == {port.to_bytes(2)}
    assert len({packet[:2] for packet in packets}) == 1
    assert len({packet[:8] for packet in packets}) == 100
    assert packets_of(carrier, 2)[0][:2] != packets[0][:2]
    assert packets_of(carrier, 1)[0][:4] == packets[0][:4]


def test_targets_that_are_traced_at_once_have_other_source_ports() -> None:
    ports = [packets_of(RawUdp, 1, f"127.0.0.{last}")[0][:2] for last in range(1, 9)]
    assert len(set(ports)) == 8
    assert all(16_384 < int.from_bytes(port) <= 16_384 + 1000 * FLOWS for port in ports)


def test_a_source_port_that_is_taken_is_replaced_by_another() -> None:
    usual = packets_of(RawUdp, 1)[0][:2]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        with suppress(OSError):  # somebody has it already
            other.bind(("", int.from_bytes(usual)))
        assert packets_of(RawUdp, 1, line_of=Recorder)[0][:2] != usual


def test_an_ordinary_socket_says_in_the_data_which_packet_it_is() -> None:
    packets = packets_of(PlainUdp, 1)
    assert [int.from_bytes(packet[:2]) for packet in packets] == list(range(100))
    assert {len(packet) for packet in packets} == {48}
