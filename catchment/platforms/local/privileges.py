"""What this process may not do that measuring asks for, and the least that lets it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from catchment.campaign import Protocol, Query
from catchment.model import Kind

_PING_GROUPS = Path("/proc/sys/net/ipv4/ping_group_range")
_MOST_GROUPS = 1 << 31
_PINGS, _OVER_ICMP, _OVER_TCP = "pings", "ICMP traceroutes", "TCP traceroutes"
_WAYS = {  # sockets of which one is enough
    _PINGS: (socket.SOCK_DGRAM, socket.SOCK_RAW),
    _OVER_ICMP: (socket.SOCK_DGRAM, socket.SOCK_RAW),
    _OVER_TCP: (socket.SOCK_RAW,),
}


def missing_privileges(queries: Sequence[Query]) -> str | None:
    """Return in one line what queries lack here and how to grant just that; None where nothing lacks.

    DNS queries, and traceroutes over UDP, need no privilege; those over TCP need more than pings.
    """
    asked = set(map(_named, queries))
    lacking = [what for what, ways in _WAYS.items() if what in asked and not any(map(_can_open, ways))]
    if not lacking:
        return None
    without = " and ".join(f"no {what}" for what in lacking)
    grant = f"by `setcap cap_net_raw+ep {os.path.realpath(sys.executable)}`"
    if _OVER_TCP in lacking:
        return f"{without}: the interpreter has no cap_net_raw: have it granted, {grant}"
    return (
        f"{without}: group {os.getegid()} is not in net.ipv4.ping_group_range, and the interpreter has no cap_net_raw: "
        f"have one granted, by `sysctl -w net.ipv4.ping_group_range='{_wider()}'` or {grant}"
    )


def _named(query: Query) -> str | None:
    """Return what a query is called that may need a privilege."""
    if query.kind is Kind.PING:
        return _PINGS
    if query.kind is not Kind.TRACEROUTE or query.protocol is Protocol.UDP:
        return None
    return _OVER_TCP if query.protocol is Protocol.TCP else _OVER_ICMP


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
