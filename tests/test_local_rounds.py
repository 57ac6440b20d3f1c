from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ripe.atlas import sagan

from catchment.campaign import Protocol, Query
from catchment.engine import quote_path
from catchment.model import Kind, Target
from catchment.observe import observe
from catchment.observe.reading import sniff
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.local.rounds import measure_round
from catchment.platforms.local.vantages import Vantage, vantage_number
from tests.busy_machines import once_of
from tests.chaos_server import LOOPBACK, naming

pytestmark = pytest.mark.xdist_group("packets")  # they tell time

DNS, DNS_TCP, PING, TRACE = (
    Query(kind=Kind.DNS),
    Query(kind=Kind.DNS, protocol=Protocol.TCP),
    Query(kind=Kind.PING, packets=2),
    Query(kind=Kind.TRACEROUTE, protocol=Protocol.UDP, packets=2),
)


def here(name: str = "local:test") -> Vantage:
    return Vantage(name=name)


def refuse(*_: int) -> socket.socket:
    raise OSError(1, "Operation not permitted")


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    """Return a round of everything over both families; the second vantage point can send nothing."""
    vantages = [here(), Vantage(name="lab:7", open_socket=refuse)]
    names = [vantage.name for vantage in vantages]
    found: list[dict[str, Any]] = []
    for af in (4, 6):
        with naming(af=af) as port:
            target = Target(service=None, address=LOOPBACK[af])
            asked = own_measurements([DNS, DNS_TCP, PING, TRACE], [target], names, time.time() + af, 300, None)
            found += measure_round(vantages, *asked, rate_per_s=500, timeout_s=5.0, port=port)
    return found


def test_every_vantage_point_measures_everything_once(results: list[dict[str, Any]]) -> None:
    assert len(results) == 16
    assert len({(result["prb_id"], result["msm_id"]) for result in results}) == 16
    assert {(result["vantage"], result["prb_id"]) for result in results} == {
        (name, vantage_number(name)) for name in ("local:test", "lab:7")
    }
    assert {(result["type"], result["msm_name"], result["proto"]) for result in results} == {
        ("dns", "Tdig", "UDP"),
        ("dns", "Tdig", "TCP"),
        ("ping", "Ping", "ICMP"),
        ("traceroute", "Traceroute", "UDP"),
    }


def test_what_it_measured_on_loopback_can_only_be_that(results: list[dict[str, Any]]) -> None:
    for result in results:
        if result["vantage"] == "lab:7":
            continue
        address = LOOPBACK[result["af"]]
        assert (result["dst_addr"], result["src_addr"]) == (address, address)
        match result["type"]:
            case "dns":
                assert result["result"]["answers"][0]["RDATA"] == ["b1-fra"]
            case "traceroute":
                assert [hop["hop"] for hop in result["result"]] == [1]
                assert [packet["from"] for packet in result["result"][0]["result"]] == [address] * 2


def test_the_same_parser_reads_them_that_reads_results_of_ripe_atlas(
    results: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "1.ndjson"
    file.write_text("".join(json.dumps(result) + "\n" for result in results))
    with duckdb.connect() as con:
        reading = observe(con, [sniff(file)], [], tmp_path / "observations.parquet", tmp_path)
        rows = con.execute(
            f"""SELECT kind, af, target, identity, second_identity, failure, rtt_ms > 0, flow
            FROM read_parquet({quote_path(tmp_path / "observations.parquet")})"""
        ).fetchall()
    assert (reading.records, reading.rejected) == (16, 0)
    failed = [row for row in rows if row[5] is not None]
    assert {(kind, failure) for kind, *_, failure, _, _ in failed} == {
        (kind, "probe-failed") for kind in ("dns", "ping", "traceroute")
    }
    assert len(failed) == 8
    ports = {result["src_port"] for result in results if "src_port" in result}
    for kind, af, target, identity, second, failure, has_rtt, flow in rows:
        if failure is None:
            assert target == LOOPBACK[af]
            assert has_rtt
            assert (identity, second) == (("b1-fra", "b1-fra") if kind == "dns" else (None, None))
            assert {"dns": flow in ports, "ping": flow is None, "traceroute": flow == 1}[kind]


def test_an_independent_reader_finds_the_same_in_them(results: list[dict[str, Any]]) -> None:
    for result in results:
        parsed = sagan.Result.get(result)
        assert not parsed.is_malformed
        assert (parsed.measurement_id, parsed.probe_id) == (result["msm_id"], result["prb_id"])
        if result["vantage"] == "lab:7":
            assert parsed.is_error or result["type"] != "dns"
            continue
        assert not parsed.is_error
        assert parsed.created.timestamp() == pytest.approx(result["timestamp"], abs=1)
        match result["type"]:
            case "dns":
                (response,) = parsed.responses
                assert response.abuf.answers[0].data == ["b1-fra"]
                assert response.abuf.edns0.options[0].nsid == "b1-fra"
                assert response.response_time == result["result"]["rt"]
                assert response.response_size == result["result"]["size"]
            case "ping":
                assert (parsed.packets_sent, parsed.packets_received, parsed.duplicates) == (2, 2, 0)
                assert parsed.rtt_min == pytest.approx(min(packet["rtt"] for packet in result["result"]), abs=0.001)
            case "traceroute":
                assert parsed.destination_ip_responded
                assert parsed.total_hops == 1
                assert parsed.paris_id == 1


def test_only_those_measure_who_were_asked() -> None:
    queries = [DNS, DNS]
    with naming() as port:
        target = Target(service=None, address="127.0.0.1")
        (one, other), query_of = own_measurements(queries, [target], ["local:a"], 1.0, None, None)
        (third,), third_query = own_measurements([DNS], [target], ["local:b", "local:a"], 2.0, None, None)
        found = list(
            measure_round(
                [here("local:a"), here("local:b")],
                [one, other, third],
                query_of | third_query,
                rate_per_s=500,
                port=port,
            )
        )
    pairs = {(result["vantage"], result["msm_id"]) for result in found}
    assert pairs == {("local:a", one.id), ("local:a", other.id), ("local:a", third.id), ("local:b", third.id)}


@once_of(5)
def test_the_pace_is_that_of_all_packets_together() -> None:
    with naming() as port:
        asked = own_measurements([DNS] * 5, [Target(service=None, address="127.0.0.1")], ["a", "b"], 1.0, None, None)
        found = list(measure_round([here("a"), here("b")], *asked, rate_per_s=50, port=port))
    times = sorted(result["timestamp"] for result in found)
    assert times[-1] - times[0] >= 0.16  # 10 packets, 20 ms apart but for the first two
    assert all(later - earlier >= 0.015 for earlier, later in pairwise(times[2:]))


def test_a_round_that_is_left_early_leaves_no_socket_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, naming() as port:
        silent.bind(("127.0.0.1", 0))
        target = Target(service=None, address="127.0.0.1")
        (fast, *slow), query_of = own_measurements([DNS, PING, TRACE, *[DNS] * 20], [target], ["a"], 1.0, None, None)
        found = measure_round([here("a")], [*slow, fast], query_of, rate_per_s=1000, timeout_s=5, port=port)
        next(found)
        found.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


def test_few_sockets_are_open_although_much_is_to_be_measured() -> None:
    opened = most = 0

    class Counted(socket.socket):
        def close(self) -> None:
            nonlocal opened
            opened -= self.fileno() >= 0
            super().close()

    def open_socket(*kind: int) -> socket.socket:
        nonlocal opened, most
        opened += 1
        most = max(most, opened)
        return Counted(*kind)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        asked = own_measurements([DNS] * 400, [Target(service=None, address="127.0.0.1")], ["a"], 1.0, None, None)
        vantages = [Vantage(name="a", open_socket=open_socket)]
        port = silent.getsockname()[1]
        found = list(measure_round(vantages, *asked, rate_per_s=1e6, timeout_s=0.4, port=port))
    assert len(found) == 400
    assert all(result["error"] == {"timeout": 400} for result in found)
    assert 100 < most <= 256
    assert opened == 0


def test_importing_a_round_loads_no_more_of_scapy_than_it_needs() -> None:
    code = (
        "import sys, catchment.platforms.local.rounds;"
        "print(*(name for name in sys.modules if name.startswith('scapy.all') or name.startswith('scapy.layers')))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "scapy.layers.dns" in done.stdout
    assert "scapy.all" not in done.stdout
    assert "scapy.layers.dot11" not in done.stdout
