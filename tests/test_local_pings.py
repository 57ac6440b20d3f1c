from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from catchment.campaign import Query
from catchment.model import Kind, Target
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.local.pings import SIZE
from catchment.platforms.local.rounds import measure_round
from catchment.platforms.local.vantages import Vantage
from tests.busy_machines import once_of
from tests.veth_chain import ALL_GROUPS, NO_GROUP, NO_WAY_V6, PATIENCE_S, TARGET, TARGET_V6, measured

pytestmark = pytest.mark.xdist_group("packets")  # they tell time

Answer = Callable[[bytes], list[bytes]]
"""From the data of an echo request to the data of the replies to it."""


class Pinged(socket.socket):
    """A ping socket's stand-in: a datagram socket whose peer answers as a test wants it to."""

    answer: Answer

    def connect(self, _: Any) -> None:
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        super().connect(self.peer.getsockname())

    def send(self, data: Any, flags: int = 0) -> int:
        # As a ping socket does, it sends by its own identifier.
        sent = super().send(bytes(data[:4]) + self.getsockname()[1].to_bytes(2) + bytes(data[6:]), flags)
        request, sender = self.peer.recvfrom(999)
        for reply in self.answer(request):
            self.peer.sendto(reply, sender)
        return sent

    def close(self) -> None:
        if hasattr(self, "peer"):
            self.peer.close()
        super().close()


def ping(answer: Answer, packets: int = 2, timeout_s: float = 0.3) -> dict[str, Any]:
    """Ping something that answers as `answer` says."""

    def open_socket(family: int, kind: int, protocol: int) -> socket.socket:
        line = Pinged(family, socket.SOCK_DGRAM)
        line.answer = answer
        return line

    queries = [Query(kind=Kind.PING, packets=packets)]
    asked = own_measurements(queries, [Target(service=None, address="127.0.0.1")], ["a"], 1.0, 60, None)
    vantages = [Vantage(name="a", open_socket=open_socket)]
    (result,) = measure_round(vantages, *asked, rate_per_s=1000, timeout_s=timeout_s)
    return result


def echo(request: bytes) -> bytes:
    return b"\0" + request[1:]


def test_a_ping_tells_each_packet_and_the_whole() -> None:
    result = ping(lambda request: [echo(request)], packets=3)
    rtts = [packet["rtt"] for packet in result["result"]]
    assert (result["sent"], result["rcvd"], result["dup"], result["ttl"]) == (3, 3, 0, 64)
    assert (result["min"], result["max"]) == (min(rtts), max(rtts))
    assert result["avg"] == pytest.approx(sum(rtts) / 3, abs=1e-6)
    assert (result["size"], result["step"]) == (48, 60)


@once_of(5)
def test_packets_leave_a_fifth_of_a_second_apart() -> None:
    times: list[float] = []

    def answer(request: bytes) -> list[bytes]:
        times.append(time.monotonic())
        return [echo(request)]

    ping(answer, packets=3)
    assert all(0.18 < later - earlier < 0.4 for earlier, later in pairwise(times))


def test_a_lost_packet_is_lost_and_the_others_count() -> None:
    numbers: list[int] = []

    def answer(request: bytes) -> list[bytes]:
        numbers.append(int.from_bytes(request[6:8]))
        return [] if len(numbers) == 2 else [echo(request)]

    result = ping(answer, packets=3, timeout_s=0.1)
    assert numbers == [1, 2, 3]
    assert (result["sent"], result["rcvd"]) == (3, 2)
    assert ["rtt" in packet for packet in result["result"]] == [True, False, True]
    assert result["result"][1] == {"x": "*"}


def test_nobody_at_all_is_no_failure_of_the_vantage_point() -> None:
    result = ping(lambda _: [], timeout_s=0.05)
    assert result["result"] == [{"x": "*"}] * 2
    assert (result["min"], result["avg"], result["max"], result["rcvd"]) == (-1, -1, -1, 0)
    assert "ttl" not in result


def test_a_second_reply_to_the_same_packet_is_a_duplicate_and_counts_no_further() -> None:
    result = ping(lambda request: [echo(request)] * 2, packets=2)
    assert (result["sent"], result["rcvd"], result["dup"]) == (2, 2, 2)
    duplicates = [packet for packet in result["result"] if "dup" in packet]
    assert len(duplicates) == 2
    assert all(packet["dup"] == 1 and packet["ttl"] == 64 for packet in duplicates)
    assert result["max"] == max(packet["rtt"] for packet in result["result"] if "dup" not in packet)


@pytest.mark.parametrize(("after_s", "told"), [(0.02, "rtt"), (0.9, "x")])
def test_a_reply_counts_by_when_it_came_and_not_by_when_it_was_read(after_s: float, told: str) -> None:
    delays_s = [after_s, 0.0]

    class Late(Pinged):
        """What answers the first of two pings late."""

        def send(self, data: Any, flags: int = 0) -> int:
            self.answer = lambda _: []
            sent = super().send(data, flags)
            request = b"\0" + bytes(data[1:4]) + self.getsockname()[1].to_bytes(2) + bytes(data[6:])
            later = threading.Timer(delays_s.pop(0), self.peer.sendto, (request, self.getsockname()))
            later.start()
            timers.append(later)
            return sent

    timers: list[threading.Timer] = []
    pings = [Query(kind=Kind.PING, packets=1)] * 2
    asked = own_measurements(pings, [Target(service=None, address="127.0.0.1")], ["a"], 1.0, 60, None)
    here = Vantage(name="a", open_socket=lambda family, *_: Late(family, socket.SOCK_DGRAM))
    results = measure_round([here], *asked, rate_per_s=1000, timeout_s=0.6)
    assert next(results)["rcvd"] == 1
    for timer in timers:
        timer.join()  # whoever takes the results is busy meanwhile
    time.sleep(0.7)
    (other,) = results
    assert [list(packet) for packet in other["result"]] == [[told]]


@pytest.mark.parametrize(
    "forge",
    [
        lambda request: request,  # our own request
        lambda request: echo(request)[:-1] + bytes([request[-1] ^ 1]),  # other data: somebody who has not seen it
        lambda request: echo(request)[:7] + bytes([request[7] ^ 0x80]) + request[8:],  # a number never sent
        lambda request: echo(request)[:4] + bytes([request[4] ^ 1]) + request[5:],  # another's identifier
        lambda _: b"\0\0\0",
        lambda _: b"",
    ],
)
def test_what_is_no_reply_is_not_taken_for_one(forge: Callable[[bytes], bytes]) -> None:
    result = ping(lambda request: [forge(request)], packets=1, timeout_s=0.05)
    assert result["result"] == [{"x": "*"}]


@pytest.mark.parametrize(
    ("groups", "as_nobody"),
    [(ALL_GROUPS, False), (NO_GROUP, False), (ALL_GROUPS, True)],
    ids=["ping-socket", "raw-socket", "nobody"],
)
def test_pings_go_through_ping_sockets_where_the_group_may_and_else_through_raw_ones(
    groups: str, as_nobody: bool
) -> None:
    found = measured(groups, as_nobody=as_nobody)
    pings = found.of("ping")
    assert found.missing is None
    for target in (TARGET, TARGET_V6):
        assert (pings[target]["sent"], pings[target]["rcvd"], pings[target]["dup"]) == (3, 3, 0)
        assert pings[target]["ttl"] == 62  # 64 where it was sent, less two routers
        assert pings[target]["size"] == SIZE


def test_without_any_privilege_pings_say_so_and_dns_goes_on() -> None:
    found = measured(NO_GROUP, as_nobody=True)
    for target, kind, code in ((TARGET, 3, 3), (TARGET_V6, 1, 4)):
        result = found.of("ping")[target]
        assert result["result"] == [{"error": "socket failed: Operation not permitted"}]
        assert (result["sent"], result["rcvd"]) == (0, 0)
        told = f"Connection refused (ICMP type {kind}, code {code}, from {target})"
        assert found.of("dns")[target]["error"] == {"err": told}
    assert found.missing is not None
    assert "ping_group_range='65534 65534'" in found.missing
    assert "setcap cap_net_raw+ep" in found.missing


def test_a_packet_that_a_router_cannot_pass_on_is_lost_at_once() -> None:
    found = measured(ALL_GROUPS)
    assert found.of("ping")[NO_WAY_V6]["result"] == [{"x": "*"}]
    assert found.pinging_no_way_s < PATIENCE_S  # so long replies are waited for
