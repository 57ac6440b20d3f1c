"""How far RTTs are from those of the kernel: ours, fping's and ping's, packet by packet, in one run.

    python benchmarks/rtt_bias.py [--packets 200] [--delay-ms 0 0.5]

Needs root (for two network namespaces, and to see every packet), Linux, iproute2, fping and ping. The reference are the
kernel's own time stamps (ns) of each request and reply as they pass the sender's interface, where tcpdump has them
from. A packet's bias is the tool's RTT less that. The target answers at once, or after a delay as a path would have it;
all RTTs stay below 1 ms, where fping and ping print microseconds. Fails if our median is not nearer to 0 than fping's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NEAR, FAR = "198.18.0.0", "198.18.0.1"
APART_MS = 20
TURNS = 5  # that each tool has, so that a busy moment of the machine is everybody's
_SO_TIMESTAMPNS = 35
_ALL_PROTOCOLS = 3
_ETHERNET, _IP = 14, 20
_REQUEST, _REPLY = 8, 0
# fping asks for the numbers of protocols by their names, and a small machine has no list of them.
_PROTOCOLS = Path("/etc/protocols")
_WITH_PROTOCOLS = r"""mount -t tmpfs none /etc && printf 'icmp 1\nipv6-icmp 58\n' > /etc/protocols && exec "$@" """
_ISOLATED = ("unshare", "-nm", "--pid", "--fork", "--kill-child", "--mount-proc")

Rtts = dict[int, float]
"""RTTs in ms by the place of their packet in the order of sending, from 0."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=200, help="of each tool, at each delay")
    parser.add_argument("--delay-ms", type=float, nargs="+", default=[0.0, 0.5], help="until the target answers")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    wish = parser.parse_args()
    if wish.answer:
        answer_late(wish.delay_ms[0])
    elif wish.ours:
        print(json.dumps(our_rtts(wish.packets)))
    elif wish.inside:
        make_link()
        sys.exit(compare(wish.packets, wish.delay_ms, as_json=wish.json))
    else:
        check_means()
        os.execvp(_ISOLATED[0], [*_ISOLATED, *_myself("--inside"), *sys.argv[1:]])


def _myself(*words: str) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), *words]


def check_means() -> None:
    if os.geteuid() != 0:
        sys.exit(
            "needs root: for network namespaces, and to see every packet (run it by sudo, or in a virtual machine)"
        )
    missing = [tool for tool in ("ip", "unshare", "fping", "ping") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"needs {', '.join(missing)}: install iproute2, util-linux, fping, iputils-ping")


def make_link() -> None:
    """Give this namespace, and another one called far, an end of a cable each."""
    for command in (
        "mount -t tmpfs none /run",
        "ip netns add far",
        "ip link add wire type veth peer name wire netns far",
        f"ip addr add {NEAR}/31 dev wire",
        f"ip -n far addr add {FAR}/31 dev wire",
        "ip link set wire up",
        "ip -n far link set wire up",
        "ip link set lo up",
    ):
        subprocess.run(command.split(), check=True)
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")  # the least privilege: for all three tools
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")


def compare(packets: int, delays_ms: Sequence[float], *, as_json: bool) -> int:
    """Measure and print; return the exit code."""
    found = {delay_ms: biases_us(packets, delay_ms) for delay_ms in delays_ms}
    rows = [
        {"delay_ms": delay_ms, "tool": tool, "packets": len(biases)} | quantiles(biases)
        for delay_ms, of_tools in found.items()
        for tool, biases in of_tools.items()
    ]
    if as_json:
        print(json.dumps(rows))
    else:
        print(f"{'delay ms':>8}  {'tool':8} {'packets':>7} {'p5':>8} {'median':>8} {'p95':>8}   (bias in microseconds)")
        for row in rows:
            numbers = " ".join(f"{row[key]:8.1f}" for key in ("p5", "p50", "p95"))
            print(f"{row['delay_ms']:8g}  {row['tool']:8} {row['packets']:7} {numbers}")
    median = {(row["delay_ms"], row["tool"]): abs(float(str(row["p50"]))) for row in rows}
    if all(median[delay_ms, "ours"] < median[delay_ms, "fping"] for delay_ms in delays_ms):
        return 0
    print("our median bias is not smaller than fping's", file=sys.stderr)
    return 1


def quantiles(values: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"p5": cuts[0], "p50": statistics.median(values), "p95": cuts[-1]}


def biases_us(packets: int, delay_ms: float) -> dict[str, list[float]]:
    """Return the biases of each tool's packets."""
    tools: dict[str, Callable[[int], Rtts]] = {"ours": run_ours, "fping": run_fping, "ping": run_ping}
    biases: dict[str, list[float]] = {tool: [] for tool in tools}
    with answering_after(delay_ms):
        for _ in range(TURNS):
            for tool, run in tools.items():
                with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS)) as tap:
                    tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
                    tap.bind(("wire", _ALL_PROTOCOLS))
                    told = run(-(-packets // TURNS))
                    true = kernel_rtts(tap)
                biases[tool] += [(told[place] - true[place]) * 1000 for place in told.keys() & true.keys()]
    return biases


def kernel_rtts(tap: socket.socket) -> Rtts:
    """Return the RTTs of the echo requests that a tap saw, by its own stamps; it has kept them all meanwhile."""
    tap.setblocking(False)
    left: dict[tuple[int, int], tuple[int, int]] = {}
    rtts: Rtts = {}
    for at_ns, frame in _frames(tap):
        packet = frame[_ETHERNET + _IP :]
        if len(packet) < 8 or frame[12:14] != b"\x08\x00" or frame[_ETHERNET + 9] != socket.IPPROTO_ICMP:
            continue
        kind, _, _, identifier, number = struct.unpack_from("!BBHHH", packet)
        key = identifier, number
        if kind == _REQUEST:
            left[key] = len(left), at_ns
        elif kind == _REPLY and key in left:
            place, left_ns = left[key]
            rtts.setdefault(place, (at_ns - left_ns) / 1e6)
    return rtts


def _frames(tap: socket.socket) -> Iterator[tuple[int, bytes]]:
    while True:
        try:
            frame, ancillary, _, _ = tap.recvmsg(2048, 128)
        except BlockingIOError:
            return
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, rest = struct.unpack("@ll", value)
                yield seconds * 1_000_000_000 + rest, frame


def run_ours(packets: int) -> Rtts:
    told = told_by(_myself("--ours", "--packets", str(packets)))
    return {int(place): rtt_ms for place, rtt_ms in json.loads(told).items()}


def told_by(words: Sequence[str]) -> str:
    """Run a tool, and return what it prints; end with what it complains of where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: exit status {done.returncode}: {done.stderr.strip() or 'no reason given'}")
    return done.stdout


def our_rtts(packets: int) -> Rtts:
    """Ping as a campaign does: each of the pings here has one packet."""
    from catchment.campaign import Query  # noqa: PLC0415  (the other children need not wait for it)
    from catchment.model import Kind, Target  # noqa: PLC0415
    from catchment.platforms.local.measurements import own_measurements  # noqa: PLC0415
    from catchment.platforms.local.rounds import measure_round  # noqa: PLC0415
    from catchment.platforms.local.vantages import Vantage  # noqa: PLC0415

    pings = [Query(kind=Kind.PING, packets=1)] * packets
    asked = own_measurements(pings, [Target(service=None, address=FAR)], ["local:bench"], time.time(), None, None)
    results = measure_round([Vantage(name="local:bench")], *asked, rate_per_s=1000 / APART_MS)
    in_order = sorted(results, key=lambda result: result["timestamp"])
    return {place: result["result"][0]["rtt"] for place, result in enumerate(in_order) if result["rcvd"]}


def run_fping(packets: int) -> Rtts:
    words = ["fping", "-c", str(packets), "-p", str(APART_MS), "-t", "1000", FAR]
    if not _PROTOCOLS.exists():
        words = ["unshare", "-m", "sh", "-c", _WITH_PROTOCOLS, "sh", *words]
    told = re.findall(r"\[(\d+)\], .* bytes, ([\d.]+) ms", told_by(words))
    return {int(place): float(rtt_ms) for place, rtt_ms in told}


def run_ping(packets: int) -> Rtts:
    words = ("ping", "-n", "-c", str(packets), "-i", str(APART_MS / 1000), FAR)
    told = re.findall(r"icmp_seq=(\d+) .*time=([\d.]+) ms", told_by(words))
    return {int(number) - 1: float(rtt_ms) for number, rtt_ms in told}


@contextmanager
def answering_after(delay_ms: float) -> Iterator[None]:
    """While this lasts, the far end answers after a delay; without one its kernel does at once."""
    if delay_ms == 0:
        yield
        return
    words = ["ip", "netns", "exec", "far", *_myself("--answer", "--delay-ms", str(delay_ms))]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            yield
        finally:
            child.kill()


def answer_late(delay_ms: float) -> None:
    """Answer echo requests in the place of the kernel, which would do so at once."""
    Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as line:
        print("ready", flush=True)
        while True:
            packet, sender = line.recvfrom(2048)
            due = time.perf_counter() + delay_ms / 1000
            message = packet[(packet[0] & 15) * 4 :]
            if message[0] != _REQUEST:
                continue
            # A reply differs in its type alone, so its checksum is greater by as much (RFC 1624).
            checksum = int.from_bytes(message[2:4]) + (_REQUEST << 8)
            checksum = (checksum & 0xFFFF) + (checksum >> 16)
            while time.perf_counter() < due:
                pass
            line.sendto(bytes([_REPLY, 0]) + checksum.to_bytes(2) + message[4:], sender)


if __name__ == "__main__":
    main()
