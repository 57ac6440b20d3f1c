from __future__ import annotations

import base64
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import dns.message
import pytest

from catchment.campaign import Protocol, Query
from catchment.model import Kind, Target
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.local.rounds import measure_round
from catchment.platforms.local.vantages import OpenSocket, Vantage
from tests.chaos_server import LOOPBACK, naming, nobody_at, reply

pytestmark = pytest.mark.xdist_group("packets")  # they tell time

UDP = Query(kind=Kind.DNS)
TCP = Query(kind=Kind.DNS, protocol=Protocol.TCP)


def ask(
    *queries: Query,
    port: int,
    af: int = 4,
    timeout_s: float = 2.0,
    rate_per_s: float = 1000.0,
    open_socket: OpenSocket = socket.socket,
    **rest: Any,
) -> list[dict[str, Any]]:
    """Ask each query once of a server on loopback."""
    target = Target(service=None, address=rest.pop("address", LOOPBACK[af]))
    asked = own_measurements(queries, [target], ["local:test"], time.time(), None, None)
    vantages = [Vantage(name="local:test", open_socket=open_socket)]
    found = list(measure_round(vantages, *asked, rate_per_s=rate_per_s, timeout_s=timeout_s, port=port, **rest))
    assert len(found) == len(queries)
    order = [one.id for one in asked[0]]
    return sorted(found, key=lambda result: order.index(result["msm_id"]))


def cut_short(query: bytes) -> bytes:
    """Return a reply without an answer, of which there is more over TCP (TC, RFC 1035)."""
    return query[:2] + bytes([0x84 | 0x02, 0]) + query[4:6] + bytes(6) + query[12 : query.index(0, 12) + 5]


@pytest.mark.parametrize("af", [4, 6])
@pytest.mark.parametrize("query", [UDP, TCP])
def test_a_reply_is_kept_as_it_came_with_the_time_it_took(af: int, query: Query) -> None:
    sent: list[bytes] = []

    def respond(asked: bytes) -> Sequence[bytes]:
        time.sleep(0.02)
        sent.append(reply(asked))
        return sent

    with naming(respond, af=af) as port:
        before = time.time()
        (result,) = ask(query, port=port, af=af)
    found = result["result"]
    assert base64.b64decode(found["abuf"]) == sent[0]
    assert found["size"] == len(sent[0])
    assert found["answers"] == [{"TYPE": "TXT", "NAME": "hostname.bind", "RDATA": ["b1-fra"]}]
    message = dns.message.from_wire(sent[0])
    assert (found["ID"], found["QDCOUNT"], found["ANCOUNT"], found["ARCOUNT"]) == (message.id, 1, 1, 1)
    query_ms = found["qt"] if query is TCP else found["rt"]
    assert 20 <= query_ms < 1000
    assert found["rt"] >= query_ms
    assert before < result["timestamp"] < time.time()
    assert (result["af"], result["dst_addr"], result["src_addr"]) == (af, LOOPBACK[af], LOOPBACK[af])
    assert result["proto"] == ("TCP" if query is TCP else "UDP")


def test_every_query_has_a_port_and_an_id_of_its_own() -> None:
    with naming() as port:
        results = ask(*[UDP] * 30, port=port)
    assert len({result["src_port"] for result in results}) == 30
    assert len({result["result"]["ID"] for result in results}) > 25  # of 65,536: two may well be the same


def test_without_nsid_none_is_asked_for() -> None:
    with naming() as port:
        with_it, without = ask(UDP, Query(kind=Kind.DNS, name="id.server", nsid=False), port=port)
    assert with_it["result"]["ARCOUNT"] == 1
    assert without["result"]["ARCOUNT"] == 0
    assert without["result"]["answers"][0]["NAME"] == "id.server"


@pytest.mark.parametrize("query", [UDP, TCP])
def test_silence_is_a_timeout(query: Query) -> None:
    with naming(lambda _: []) as port:
        (result,) = ask(query, port=port, timeout_s=0.1)
    # Over TCP this server hangs up when it has nothing to say.
    assert result["error"] == ({"TCPREAD": "read failed: connection closed"} if query is TCP else {"timeout": 100})
    assert "result" not in result
    assert result["src_port"] > 0


def test_a_server_that_accepts_and_keeps_silent_is_a_timeout_too() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        (result,) = ask(TCP, port=listener.getsockname()[1], timeout_s=0.1)
    assert result["error"] == {"timeout": 100}


@pytest.mark.parametrize(
    "forge",
    [
        lambda query: (int.from_bytes(query[:2]) ^ 1).to_bytes(2) + reply(query, "evil")[2:],
        lambda query: reply(query, "evil").replace(b"\x08hostname", b"\x08hostnama"),
        lambda query: query,
        lambda _: b"",
        lambda _: b"\xff" * 500,
    ],
)
def test_what_is_no_reply_to_the_query_is_not_taken_for_one(forge: Callable[[bytes], bytes]) -> None:
    with naming(lambda asked: [forge(asked), reply(asked)]) as port:
        over_udp, over_tcp = ask(UDP, TCP, port=port)
    assert over_udp["result"]["answers"][0]["RDATA"] == ["b1-fra"]
    # Into a connection nobody else can put anything, so whoever says this first is not listened to any longer.
    assert over_tcp["error"] == {"TCPREAD": "read failed: no reply to the query"}


def test_a_reply_that_was_cut_short_is_asked_for_again_over_tcp() -> None:
    heard: list[bytes] = []

    def respond(asked: bytes) -> Sequence[bytes]:
        heard.append(asked)
        return [cut_short(asked) if len(heard) == 1 else reply(asked)]

    with naming(respond) as port:
        (result,) = ask(UDP, port=port)
    assert heard[0] == heard[1]
    assert result["proto"] == "TCP"
    assert result["result"]["answers"][0]["RDATA"] == ["b1-fra"]
    assert result["result"]["qt"] <= result["result"]["rt"]


def test_what_stays_cut_short_is_no_answer_without_an_identity() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:  # where nobody listens over TCP
        line.bind(("127.0.0.1", 0))
        line.settimeout(5)

        def once() -> None:
            query, sender = line.recvfrom(4096)
            line.sendto(cut_short(query), sender)

        with ThreadPoolExecutor(max_workers=1) as beside:
            beside.submit(once)
            (result,) = ask(UDP, port=line.getsockname()[1])
    assert (result["proto"], result["error"]) == ("TCP", {"TUCONNECT": "connect failed: Connection refused"})


def test_both_goes_together_take_no_longer_than_one_may() -> None:
    first_s, timeout_s = 0.8, 1.5

    def respond(asked: bytes) -> Sequence[bytes]:
        time.sleep(first_s)
        return [cut_short(asked)]

    with naming(respond) as port, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        to_silent = silent.getsockname()[1]

        class Elsewhere(socket.socket):
            """Connections that come to the server that says nothing."""

            def connect(self, to: Any) -> None:
                super().connect((to[0], to_silent if self.type & socket.SOCK_STREAM else to[1]))

        began = time.monotonic()
        (result,) = ask(UDP, port=port, timeout_s=timeout_s, open_socket=Elsewhere)
        took_s = time.monotonic() - began
    assert (result["proto"], result["error"]) == ("TCP", {"timeout": 1500})
    assert timeout_s <= took_s < first_s + timeout_s


def test_who_stands_in_line_for_the_second_go_is_not_late() -> None:
    # Five packets a connection and one a query, 50 ms apart: the last connection begins 1.8 s after its query.
    with naming(lambda asked: [cut_short(asked)]) as udp_port, naming() as tcp_port:

        class Elsewhere(socket.socket):
            """Connections that come to the server that answers."""

            def connect(self, to: Any) -> None:
                super().connect((to[0], tcp_port if self.type & socket.SOCK_STREAM else udp_port))

        results = ask(*[UDP] * 6, port=udp_port, timeout_s=1.0, rate_per_s=20.0, open_socket=Elsewhere)
    assert [result.get("error") for result in results] == [None] * 6
    assert {result["proto"] for result in results} == {"TCP"}


@pytest.mark.parametrize(("after_s", "is_late"), [(0.02, False), (0.9, True)])
def test_a_reply_counts_by_when_it_came_and_not_by_when_it_was_read(after_s: float, is_late: bool) -> None:
    def serve(line: socket.socket) -> None:
        (first, asker), (second, other) = line.recvfrom(999), line.recvfrom(999)
        line.sendto(reply(second), other)
        time.sleep(after_s)
        line.sendto(reply(first), asker)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line, ThreadPoolExecutor(max_workers=1) as beside:
        line.bind(("127.0.0.1", 0))
        line.settimeout(5)
        served = beside.submit(serve, line)
        target = Target(service=None, address="127.0.0.1")
        asked = own_measurements([UDP, UDP], [target], ["local:test"], 1.0, None, None)
        port = line.getsockname()[1]
        results = measure_round([Vantage(name="local:test")], *asked, rate_per_s=1000, timeout_s=0.6, port=port)
        assert "result" in next(results)
        served.result()  # whoever takes the results is busy meanwhile
        time.sleep(0.7)
        (other,) = results
    assert other.get("error") == ({"timeout": 600} if is_late else None)


def test_a_query_leaves_from_the_port_that_is_wished() -> None:
    target = Target(service=None, address="127.0.0.1")
    (one,), queries = own_measurements([UDP], [target], ["local:test"], 1.0, None, None)

    def ask_from(wished: int, port: int) -> dict[str, Any]:
        here = [Vantage(name="local:test")]
        (result,) = measure_round(here, [one], queries, rate_per_s=100, port=port, source_ports={one.id: wished})
        return result

    taken_error = {"senderror": "sendto failed: Address already in use"}
    with naming() as port:
        for _ in range(5):  # whoever else is on this machine may take it before we do
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
                taken.bind(("", 0))
                wished = taken.getsockname()[1]
                assert ask_from(wished, port)["error"] == taken_error
            result = ask_from(wished, port)
            if result.get("error") != taken_error:
                break
    assert result["src_port"] == wished
    assert result["result"]["answers"][0]["RDATA"] == ["b1-fra"]


def test_a_server_that_floods_a_connection_keeps_nobody_else_waiting() -> None:
    stopping = threading.Event()

    def flood(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            while not stopping.is_set():
                connection.sendall(bytes(1 << 20))  # half a million messages of no bytes

    with naming() as port, socket.socket() as listener, ThreadPoolExecutor(max_workers=1) as beside:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        to_flood = listener.getsockname()[1]
        beside.submit(flood, listener)

        class Flooded(socket.socket):
            """Connections that come to the server that floods."""

            def connect(self, to: Any) -> None:
                super().connect((to[0], to_flood if self.type & socket.SOCK_STREAM else to[1]))

        began = time.monotonic()
        over_tcp, *over_udp = ask(TCP, UDP, UDP, port=port, timeout_s=10.0, open_socket=Flooded)
        took_s = time.monotonic() - began
        stopping.set()
    assert over_tcp["error"] == {"TCPREAD": "read failed: no reply to the query"}
    assert all("result" in one for one in over_udp)
    assert took_s < 7


def test_a_forged_reply_alone_is_a_timeout() -> None:
    with naming(lambda asked: [b"\0\0" + reply(asked)[2:]] if asked[:2] != b"\0\0" else []) as port:
        (result,) = ask(UDP, port=port, timeout_s=0.1)
    assert result["error"] == {"timeout": 100}


def test_a_reply_from_another_address_is_not_heard() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", 0))
        asker: list[int] = []

        class Noted(socket.socket):
            def send(self, data: Any, flags: int = 0) -> int:
                asker.append(self.getsockname()[1])
                other.sendto(reply(bytes(data), "evil"), ("127.0.0.1", asker[-1]))
                return super().send(data, flags)

        with naming(lambda _: []) as port:
            (result,) = ask(UDP, port=port, timeout_s=0.1, open_socket=Noted)
    assert asker == [result["src_port"]]
    assert result["error"] == {"timeout": 100}


@pytest.mark.parametrize("af", [4, 6])
def test_a_port_where_nobody_listens_is_a_failure_of_the_network(af: int) -> None:
    with nobody_at(af) as port:
        over_udp, over_tcp = ask(UDP, TCP, port=port, af=af)
    kind, code = {4: (3, 3), 6: (1, 4)}[af]
    told = f"Connection refused (ICMP type {kind}, code {code}, from {LOOPBACK[af]})"
    assert over_udp["error"] == {"err": told}
    assert over_tcp["error"] == {"TUCONNECT": "connect failed: Connection refused"}


def test_a_connection_that_is_cut_in_the_middle_of_the_reply_says_so() -> None:
    def respond(asked: bytes) -> Sequence[bytes]:
        raise ConnectionError  # after the query was read

    with naming(respond) as port:
        (result,) = ask(TCP, port=port)
    assert set(result["error"]) == {"TCPREAD"}


def test_a_socket_that_cannot_be_had_is_a_failure_of_the_vantage_point() -> None:
    def refuse(*_: int) -> socket.socket:
        raise PermissionError(1, os.strerror(1))

    (result,) = ask(UDP, port=53, open_socket=refuse)
    assert result["error"] == {"socket": "socket failed: Operation not permitted"}
    assert "src_addr" not in result


def test_no_way_to_the_target_is_a_failure_of_the_vantage_point() -> None:
    # To the broadcast address a socket may not connect without asking for that.
    for result in ask(UDP, TCP, port=53, address="255.255.255.255"):
        assert set(result["error"]) == {"senderror"}


def test_times_are_told_by_the_clock_that_is_given() -> None:
    with naming() as port:
        (result,) = ask(UDP, port=port, clock=lambda: 1_000_000.0)
    assert 999_999 < result["timestamp"] <= 1_000_000
