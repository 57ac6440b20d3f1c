"""A vantage point, two routers and a target, each in a network namespace, in a row: made by a test, gone with it.

    vp 10.0.1.1 ── 10.0.1.2 r1 10.0.2.1 ── 10.0.2.2 r2 10.0.3.1 ── 10.0.3.2 target 192.0.2.53

and the same over IPv6, with 2001:db8:N::. At r2 packets to .100 vanish, of .101 it says that the host is unreachable,
of .102 that it is prohibited to go there, and to .103 it has no route.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TARGET, TARGET_V6 = "192.0.2.53", "2001:db8:53::53"
HOPS = ("10.0.1.2", "10.0.2.2", TARGET)
HOPS_V6 = ("2001:db8:1::2", "2001:db8:2::2", TARGET_V6)
NO_WAY_V6 = "2001:db8:53::103"
PATIENCE_S = 20.0  # longer than anything here takes, unless it waits for what never comes
ALL_GROUPS, NO_GROUP = "0 2147483647", "1 0"
"""Which groups may have ping sockets there."""

_NOBODY = 65_534
_NODES = ("vp", "r1", "r2", "target")
_PROTOCOLS = tuple({"protocol": name} for name in ("ICMP", "UDP", "TCP"))
_ISOLATED = ("--pid", "--fork", "--kill-child", "--mount-proc")

# Not icmp_ratelimit=0: that also empties the bucket from which a router says that it has no route.
_SETTINGS = """
for setting in net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1 net/ipv4/icmp_ratemask=0 \\
    net/ipv6/icmp/ratelimit=0 net/ipv6/neigh/default/retrans_time_ms=20 net/ipv6/conf/all/accept_dad=0 \\
    net/ipv6/conf/default/accept_dad=0 "net/ipv4/ping_group_range=$1"; do
    printf '%s' "${setting#*=}" > "/proc/sys/${setting%%=*}"
done
ip link set lo up
"""


def _links() -> str:
    lines = ["mount -t tmpfs none /run", *(f"ip netns add {node}" for node in _NODES)]
    lines += [f'ip netns exec {node} sh -c "$SETTINGS" - "$PING_GROUPS"' for node in _NODES]
    for number, (near, far) in enumerate(pairwise(_NODES), start=1):
        lines.append(f"ip link add w{number} netns {near} type veth peer name w{number} netns {far}")
        for end, node in enumerate((near, far), start=1):
            lines += [
                f"ip -n {node} addr add 10.0.{number}.{end}/24 dev w{number}",
                f"ip -n {node} addr add 2001:db8:{number}::{end}/64 dev w{number} nodad",
                f"ip -n {node} link set w{number} up",
            ]
    lines += [
        f"ip -n target addr add {TARGET}/32 dev lo",
        f"ip -n target addr add {TARGET_V6}/128 dev lo nodad",
        "ip -n vp route add default via 10.0.1.2",
        "ip -n vp route add default via 2001:db8:1::2",
        "ip -n r1 route add 192.0.2.0/24 via 10.0.2.2",
        "ip -n r1 route add 10.0.3.0/24 via 10.0.2.2",
        "ip -n r1 route add 2001:db8:53::/64 via 2001:db8:2::2",
        "ip -n r1 route add 2001:db8:3::/64 via 2001:db8:2::2",
        f"ip -n r2 route add {TARGET}/32 via 10.0.3.2",
        f"ip -n r2 route add {TARGET_V6}/128 via 2001:db8:3::2",
        "ip -n r2 route add 10.0.1.0/24 via 10.0.2.1",
        "ip -n r2 route add 2001:db8:1::/64 via 2001:db8:2::1",
        "ip -n target route add default via 10.0.3.1",
        "ip -n target route add default via 2001:db8:3::1",
    ]
    for last, kind in ((100, "blackhole"), (101, "unreachable"), (102, "prohibit")):
        lines.append(f"ip -n r2 route add {kind} 192.0.2.{last}/32")
        lines.append(f"ip -n r2 route add {kind} 2001:db8:53::{last}/128")
    return "\n".join(["set -e", *lines])


@cache
def _how() -> tuple[str, ...] | None:
    """Return the command that makes namespaces here; None where they cannot be had."""
    command = ("unshare", "-nm" if os.geteuid() == 0 else "-Urnm", *_ISOLATED)
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return command if done.returncode == 0 else None


def in_chain(*words: str, ping_groups: str = ALL_GROUPS) -> list[dict[str, Any]]:
    """Run `python -m` with these words at the vantage point; return the objects that it prints, one a line.

    Where namespaces cannot be had the test is skipped by name; in CI it fails.
    """
    how = _how()
    if how is None:
        if os.environ.get("CI"):
            pytest.fail("CI must be able to make network namespaces: root, or user namespaces for all")
        pytest.skip("network namespaces cannot be had here (unshare)")
    script = _links() + '\nexec ip netns exec vp "$@"'
    done = subprocess.run(
        [*how, "sh", "-c", script, "-", sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "SETTINGS": _SETTINGS, "PING_GROUPS": ping_groups, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


Key = tuple[str, str, str]
"""A target, the kind and the protocol of a query to it (any: it names none)."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in the chain: the result of each target and query, and what privileges pings lacked.

    And how long it took to ping the target to which there is no way, in s.
    """

    results: dict[Key, dict[str, Any]]
    missing: str | None
    pinging_no_way_s: float

    def of(self, kind: str, protocol: str = "any") -> dict[str, dict[str, Any]]:
        """Return the result of each target."""
        return {key[0]: result for key, result in self.results.items() if key[1:] == (kind, protocol)}


def measured(ping_groups: str, *, as_nobody: bool = False) -> Measured:
    """Measure every way that there is, as root or as a user without privileges. Skips the test where that cannot be."""
    if as_nobody and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return _measured(ping_groups, as_nobody)  # once: however it is called


@cache
def _measured(ping_groups: str, as_nobody: bool) -> Measured:
    traces = [{"kind": "traceroute", "packets": 2} | over for over in (*_PROTOCOLS, {})]
    to_nowhere = {"targets": [NO_WAY_V6], "queries": [{"kind": "ping", "packets": 1}], "timeout_s": PATIENCE_S}
    rounds: list[dict[str, Any]] = [
        # Of IPv4 a router tells five times only that there is no way, and then once a second.
        {"targets": ["192.0.2.101"], "queries": [{"kind": "traceroute", "packets": 1} | _PROTOCOLS[0]]},
        {"targets": ["192.0.2.102"], "queries": [{"kind": "traceroute", "packets": 1} | _PROTOCOLS[1]]},
        {"targets": ["2001:db8:53::101", "2001:db8:53::102", NO_WAY_V6], "queries": traces[:3]},
        to_nowhere,
        {"targets": [TARGET, TARGET_V6], "queries": [*traces, {"kind": "ping"}, {"kind": "dns"}]},
        {"targets": ["192.0.2.100", "2001:db8:53::100"], "queries": traces[:2], "timeout_s": 0.3},
        {"targets": ["255.255.255.255"], "queries": traces[:3]},
    ]
    wish = {"rounds": rounds, "wait_for": [TARGET, TARGET_V6]} | ({"user": _NOBODY} if as_nobody else {})
    *told, last = in_chain("tests.local_measuring", json.dumps(wish), ping_groups=ping_groups)
    found: dict[Key, dict[str, Any]] = {}
    for number, of_round in enumerate(rounds):
        of_this = sorted((one for one in told if one["round"] == number), key=lambda one: int(one["place"]))
        results = [one["result"] for one in of_this]
        keys = [
            (str(target), query["kind"], query.get("protocol", "any"))
            for target in of_round["targets"]
            for query in of_round["queries"]
        ]
        found |= dict(zip(keys, results, strict=True))
    return Measured(found, last["missing"], last["took_s"][rounds.index(to_nowhere)])
