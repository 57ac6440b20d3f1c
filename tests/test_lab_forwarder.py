"""The cables of a lab: what they do to packets, first in thought, then with real ones."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from catchment.platforms.lab.client import Lab, open_lab
from catchment.platforms.lab.forwarder import FORWARDER_BIAS_MS, UNDELAYED_BIAS_MS, Direction, Line, change
from tests.busy_machines import once_of
from tests.namespaces import needs_namespaces
from tests.small_labs import is_silent, pings, two_ends

ROOT = Path(__file__).parent.parent
MS = 1_000_000  # ns
OUT = ("h0b", 0)
CHANCE = random.Random(1)  # noqa: S311  (of losing a packet)


def leaving(line: Line, until_ms: float) -> list[tuple[float, str]]:
    return [(at / MS, packet.decode()) for at, _, packet in line.due(round(until_ms * MS))]


def test_a_packet_leaves_its_delay_after_it_came_and_not_before() -> None:
    line, direction = Line(CHANCE), Direction(out=OUT, delay_ns=4 * MS)
    line.take(direction, b"one", 10 * MS)
    line.take(direction, b"two", 11 * MS)
    assert line.next_ns() == 14 * MS
    assert leaving(line, 13.9) == []
    assert leaving(line, 14.5) == [(14.0, "one")]
    assert line.next_ns() == 15 * MS
    assert leaving(line, 99) == [(15.0, "two")]
    assert line.next_ns() is None


def test_no_packet_overtakes_another_of_its_direction_when_the_delay_shrinks() -> None:
    line, direction = Line(CHANCE), Direction(out=OUT, delay_ns=40 * MS)
    line.take(direction, b"one", 0)
    direction.delay_ns = 1 * MS
    line.take(direction, b"two", 2 * MS)
    line.take(Direction(out=("h0a", 0), delay_ns=1 * MS), b"way back", 2 * MS)
    assert leaving(line, 99) == [(3.0, "way back"), (40.0, "one"), (40.0, "two")]


def test_a_cut_direction_takes_nothing_and_a_lossy_one_its_share() -> None:
    line = Line(CHANCE)
    line.take(Direction(out=OUT, delay_ns=0, is_cut=True), b"", 0)
    line.take(Direction(out=OUT, delay_ns=0, loss=1.0), b"", 0)
    assert line.next_ns() is None
    lossy = Direction(out=OUT, delay_ns=0, loss=0.25)
    for _ in range(10_000):
        line.take(lossy, b"", 0)
    assert len(list(line.due(0))) == pytest.approx(7500, abs=5 * (10_000 * 0.25 * 0.75) ** 0.5)


def test_a_change_of_a_wire_is_one_of_both_its_directions() -> None:
    directions: dict[str, Direction] = {}
    change(directions, {"ends": ["h0a", "h0b"], "delay_ms": 2.5, "loss": 0.0, "is_cut": False})
    change(directions, {"ends": ["h0a", "h0b"], "delay_ms": 0.5, "loss": 0.1, "is_cut": True})
    assert directions == {
        "h0a": Direction(out=("h0b", 0), delay_ns=MS // 2, loss=0.1, is_cut=True),
        "h0b": Direction(out=("h0a", 0), delay_ns=MS // 2, loss=0.1, is_cut=True),
    }


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    needs_namespaces()
    with open_lab(two_ends(4.0), name=f"wire-{os.getpid()}") as opened:
        yield opened


@pytest.mark.parametrize("address", ["198.18.0.1", "2001:db8:ffff::11"])
@pytest.mark.parametrize("delay_ms", [0.0, 4.0, 12.0])
@once_of(5)
def test_a_round_trip_takes_the_delays_of_both_ways_and_hardly_more(lab: Lab, delay_ms: float, address: str) -> None:
    lab.wire("w", delay_ms=delay_ms)
    rtts = pings(lab, address)
    assert len(rtts) == 15
    assert min(rtts) >= 2 * delay_ms - 0.02
    # On a busy machine most packets are late, by no fault of the wire.
    assert min(rtts) < 2 * delay_ms + 2 * (FORWARDER_BIAS_MS if delay_ms else UNDELAYED_BIAS_MS) + 3


@once_of(3)
def test_the_first_packet_does_not_wait_for_arp() -> None:
    needs_namespaces()
    with open_lab(two_ends(0.0), name=f"arp-{os.getpid()}") as fresh:
        fresh.wire("w", delay_ms=250.0)
        (rtt,) = pings(fresh, "198.18.0.1", 1)
    assert 500 <= rtt < 950  # ARP would have taken another 500


def test_a_wire_is_cut_and_mended_and_loses_packets_while_it_runs(lab: Lab) -> None:
    lab.wire("w", delay_ms=1.0)
    (name,) = lab.wires_between("b", "vp7")
    lab.wire(name, is_cut=True)
    assert is_silent(lab, "198.18.0.1")
    lab.wire("w", is_cut=False, loss=1.0)
    assert is_silent(lab, "198.18.0.1")
    lab.wire("w", loss=0.0)
    assert len(pings(lab, "198.18.0.1", 3)) == 3
    wire = {"near": "vp7", "far": "b", "delay_ms": 1.0, "loss": 0.0, "is_cut": False}
    assert lab.wires() == lab.status()["wires"] == {"w": wire}


def test_long_streams_arrive_whole_and_packets_in_order_though_the_wire_becomes_faster() -> None:
    needs_namespaces()
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable]
    done = subprocess.run(
        [*command, "-m", "tests.wire_trial"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"bulk": True, "numbers": list(range(200))}
