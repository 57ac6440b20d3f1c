"""Labs of two to four nodes, written by hand, for tests with real packets; and what of a lab is left on the host.

python -m tests.small_labs brings one up, uses it and prints what came of that: for tests as another user.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from catchment.campaign import Query
from catchment.model import Kind, Target
from catchment.platforms.lab.blueprint import Blueprint, Node, Role, StaticRoute, Wire
from catchment.platforms.lab.client import Lab, open_lab, running_labs
from catchment.platforms.local.measurements import own_measurements
from catchment.store import Measurement

SERVICE, SERVICE6, CLIENT = "192.0.2.53", "2001:db8:53::53", "10.0.7.1"
VANTAGE = {"lab:7": "vp7"}
PATIENCE_S, SILENCE_S = 2.0, 0.3  # for an answer that is to come, on a machine that may be busy; for one that is not
_WAIT_S = 60


def two_ends(delay_ms: float = 4.0) -> Blueprint:
    """Return a wire from `vp7` to `b`."""
    nodes = {"vp7": Node(name="vp7", role=Role.VANTAGE_POINT), "b": Node(name="b", role=Role.NETWORK)}
    return Blueprint(nodes=nodes, wires=(wire("w", "vp7", "b", 0, delay_ms),))


def wire(name: str, near: str, far: str, number: int, delay_ms: float) -> Wire:
    first = 2 * number
    return Wire(
        name=name,
        near=near,
        far=far,
        near_addresses=(f"198.18.0.{first}/31", f"2001:db8:ffff::{16 + first:x}/127"),
        far_addresses=(f"198.18.0.{first + 1}/31", f"2001:db8:ffff::{17 + first:x}/127"),
        delay_ms=delay_ms,
    )


def anycast(*, withdrawn: Iterable[str] = (), dead: Iterable[str] = ()) -> Blueprint:
    """Return a vantage point behind a router with two sites, fra (RTT 6 ms, preferred by its id) and ber (10 ms)."""
    router = Node(
        name="as64500",
        role=Role.NETWORK,
        addresses=("10.255.0.1/32",),
        bird=_bird(
            "10.255.0.9",
            64500,
            [(1, "198.18.0.2", "198.18.0.3", 64496), (2, "198.18.0.4", "198.18.0.5", 64496)],
            "",
            "route 10.0.7.1/32 via 198.18.0.0;",
        ),
    )
    vantage = Node(
        name="vp7",
        role=Role.VANTAGE_POINT,
        addresses=(f"{CLIENT}/32",),
        routes=(StaticRoute(prefix="0.0.0.0/0", via=("198.18.0.1",), source=CLIENT),),
    )
    sites = [
        Node(
            name=name,
            role=Role.SITE,
            addresses=(f"{SERVICE}/32",),
            bird=_bird(
                f"10.255.0.{number}",
                64496,
                [(number, f"198.18.0.{2 * number + 1}", f"198.18.0.{2 * number}", 64500)],
                "" if name in withdrawn else "route 192.0.2.0/24 blackhole;",
                "",
            ),
            nsd=None if name in dead else _nsd(name),
        )
        for number, name in ((1, "fra"), (2, "ber"))
    ]
    return Blueprint(
        nodes={node.name: node for node in (vantage, router, *sites)},
        wires=(
            wire("w0", "vp7", "as64500", 0, 1.0),
            wire("w1", "as64500", "fra", 1, 2.0),
            wire("w2", "as64500", "ber", 2, 4.0),
        ),
    )


def _bird(router_id: str, asn: int, sessions: list[tuple[int, str, str, int]], own: str, hosts: str) -> str:
    lines = [
        f"router id {router_id};",
        "protocol device { scan time 3600; }",
        'protocol kernel { scan time 3600; ipv4 { import none; export where source = RTS_BGP || proto = "hosts"; }; }',
        f"protocol static own {{ ipv4; {own} }}",
        f"protocol static hosts {{ ipv4; {hosts} }}",
    ]
    for number, ours, theirs, other in sessions:
        lines += [
            f"protocol bgp b{number} {{ local as {asn}; neighbor {theirs} as {other}; source address {ours}; direct;",
            "  hold time 9; keepalive time 3; connect delay time 0; connect retry time 1; error wait time 1, 2;",
            "  ipv4 { import all; export all; }; }",
        ]
    # Hosts and own prefixes are told to neighbours, so that answers find their way.
    return "\n".join(lines) + "\n"


def _nsd(identity: str) -> dict[str, str]:
    options = {
        "ip-address": SERVICE,
        "server-count": "1",
        "username": '""',
        "chroot": '""',
        "database": '""',
        "xfrdfile": '""',
        "zonesdir": '"."',
        "xfrdir": '"."',
        "pidfile": '"nsd.pid"',
        "zonelistfile": '"zone.list"',
        "identity": f'"{identity}"',
        "nsid": f'"ascii_{identity}"',
        "rrl-ratelimit": "0",
    }
    server = "".join(f"  {key}: {value}\n" for key, value in options.items())
    return {"nsd.conf": f"server:\n{server}remote-control:\n  control-enable: no\n"}


def with_bird(blueprint: Blueprint, node: str, config: str) -> Blueprint:
    """Give a node another configuration of BIRD."""
    return replace(blueprint, nodes={**blueprint.nodes, node: replace(blueprint.nodes[node], bird=config)})


def pings(lab: Lab, address: str, number: int = 15, *, timeout_s: float = PATIENCE_S) -> list[float]:
    """Return the round trips of those of so many pings from vp7 that were answered, in ms."""
    replies = [
        reply
        for result in _measure(lab, Query(kind=Kind.PING, packets=1), address, number, timeout_s)
        for reply in result["result"]
    ]
    return [reply["rtt"] for reply in replies if "rtt" in reply]


def is_silent(lab: Lab, address: str) -> bool:
    """Tell whether no ping from vp7 to an address is answered."""
    return not pings(lab, address, 3, timeout_s=SILENCE_S)


def identity(lab: Lab, *, timeout_s: float = PATIENCE_S) -> str | None:
    """Return who answers vp7 at the service's address; None: nobody."""
    (result,) = _measure(lab, Query(kind=Kind.DNS), SERVICE, 1, timeout_s)
    return who(result)


def who(result: dict[str, Any]) -> str | None:
    """Return which of the two sites a DNS result is from; None: from none."""
    answer = base64.b64decode(result.get("result", {}).get("abuf", ""))
    return next((site for site in ("fra", "ber") if site.encode() in answer), None)


def asked(query: Query, address: str, number: int = 1) -> tuple[list[Measurement], dict[int, Query]]:
    """Return so many measurements that vp7 is to make, and the query of each."""
    return own_measurements(
        [query] * number, [Target(service=None, address=address)], [*VANTAGE], time.time(), None, None
    )


def _measure(lab: Lab, query: Query, address: str, number: int, timeout_s: float) -> list[dict[str, Any]]:
    measurements, queries = asked(query, address, number)
    return list(lab.measure(measurements, queries, VANTAGE, rate_per_s=500, timeout_s=timeout_s))


@contextmanager
def home_of_labs() -> Iterator[Path]:
    """Keep the folders of labs apart from all others, in a place with a short path; at the end it must be empty."""
    folder = Path(tempfile.mkdtemp(prefix="labs-"))
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        left = [str(path) for path in folder.rglob("*")]
        shutil.rmtree(folder)
    assert left == []


def until(is_so: Callable[[], bool]) -> bool:
    """Wait for something to become so."""
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.01)
    return is_so()


def process_of(lab: Lab, *words: str) -> int:
    """Return the first process of a lab with such words in its command."""
    return min(each for each in processes_of(lab.pid) if all(word in _read(f"/proc/{each}/cmdline") for word in words))


def workers(lab: Lab) -> set[int]:
    """Return the processes that measure: forked from the prober, which came first."""
    probers = {each for each in processes_of(lab.pid) if "lab.prober" in _read(f"/proc/{each}/cmdline")}
    return probers - {min(probers, default=0)}


def all_gone(processes: set[int], namespaces: set[str]) -> bool:
    """Tell whether neither the processes of a lab nor its namespaces are on the host any more."""
    return not any(is_alive(each) for each in processes) and not namespaces & all_namespaces()


def processes_of(pid: int) -> set[int]:
    """Return a process of this host and all that it started, directly or not."""
    found, new = set(), {pid}
    while new:
        found |= new
        new = {int(child) for each in new for child in _read(f"/proc/{each}/task/{each}/children").split()} - found
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process runs: one that ended may wait for long until this host's first process takes note."""
    state = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"


def namespaces_of(processes: Iterable[int]) -> set[str]:
    """Return the namespaces that processes are in, but for those that this one is in too."""
    kinds = ("net", "mnt", "pid")
    return {_link(f"/proc/{each}/ns/{kind}") for each in processes for kind in kinds} - {
        "",
        *(_link(f"/proc/self/ns/{kind}") for kind in kinds),
    }


def all_namespaces() -> set[str]:
    """Return the namespaces of all processes of this host."""
    return namespaces_of(int(name) for name in os.listdir("/proc") if name.isdigit())


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def main() -> None:
    begun = time.monotonic()
    with open_lab(anycast(), name="trial") as lab:
        up_s = time.monotonic() - begun
        before = identity(lab)
        began = lab.apply(anycast(withdrawn=["fra"]))
        lab.settle()
        found = {"before": before, "after": identity(lab), "began": began, "rtts": pings(lab, SERVICE), "up_s": up_s}
        found["died"] = lab.status()["died"]
    sys.stdout.write(json.dumps({**found, "user": os.getuid(), "left": running_labs()}))


if __name__ == "__main__":
    main()
