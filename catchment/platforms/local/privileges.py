"""What this process may not do that measuring asks for, and the least that lets it."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

_PING_GROUPS = Path("/proc/sys/net/ipv4/ping_group_range")
_MOST_GROUPS = 1 << 31


def missing_privileges() -> str | None:
    """Return in one line what pings and traceroutes lack here and how to grant just that; None where nothing lacks.

    DNS queries, and traceroutes over UDP, need no privilege.
    """
    if any(_can_open(kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW)):
        return None
    return (
        f"no pings and no ICMP traceroutes: group {os.getegid()} is not in net.ipv4.ping_group_range, and the "
        f"interpreter has no cap_net_raw: have one granted, by `sysctl -w net.ipv4.ping_group_range='{_wider()}'` "
        f"or by `setcap cap_net_raw+ep {os.path.realpath(sys.executable)}`"
    )


def _can_open(kind: int) -> bool:
    try:
        socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True


def _wider() -> str:
    """Return the range of groups that may ping, with this process's own in it."""
    own = os.getegid()
    try:
        first, last = map(int, _PING_GROUPS.read_text(encoding="utf-8").split())
    except (OSError, ValueError):
        first, last = 1, 0
    if first > last or not 0 <= last < _MOST_GROUPS:  # usual: "1 0", nobody
        return f"{own} {own}"
    return f"{min(first, own)} {max(last, own)}"
