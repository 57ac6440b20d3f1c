from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from catchment.campaign import Protocol, Query
from catchment.model import Kind
from catchment.platforms.local import privileges
from catchment.platforms.local.privileges import missing_privileges

DNS, PING, TRACE = Query(kind=Kind.DNS), Query(kind=Kind.PING), Query(kind=Kind.TRACEROUTE)
OVER_UDP, OVER_TCP = (
    Query(kind=Kind.TRACEROUTE, protocol=Protocol.UDP),
    Query(kind=Kind.TRACEROUTE, protocol=Protocol.TCP),
)


def allow(monkeypatch: pytest.MonkeyPatch, *kinds: int) -> None:
    """Let sockets of these kinds be opened, and no others."""
    opened = socket.socket

    def open_socket(*wished: int) -> socket.socket:
        if wished[1] not in kinds:
            raise PermissionError(1, "Operation not permitted")
        return opened(socket.AF_INET, socket.SOCK_DGRAM)

    monkeypatch.setattr(socket, "socket", open_socket)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_RAW])
def test_one_way_to_ping_is_enough(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    allow(monkeypatch, kind)
    assert missing_privileges([DNS, PING, TRACE, OVER_UDP]) is None


def test_what_needs_no_privilege_lacks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch)
    assert missing_privileges([DNS, OVER_UDP, Query(kind=Kind.DNS, protocol=Protocol.TCP)]) is None
    told = missing_privileges([DNS, PING])
    assert told is not None
    assert told.startswith("no pings: group ")


def test_who_may_ping_may_still_not_trace_over_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, socket.SOCK_DGRAM)
    told = missing_privileges([DNS, PING, TRACE, OVER_TCP])
    assert told is not None
    assert told.startswith("no TCP traceroutes: the interpreter has no cap_net_raw: ")
    assert "setcap cap_net_raw+ep" in told
    assert "ping_group_range" not in told  # that would not help
    allow(monkeypatch, socket.SOCK_RAW)
    assert missing_privileges([DNS, PING, TRACE, OVER_TCP]) is None


@pytest.mark.parametrize(
    ("groups", "gid", "wider"),
    [
        ("1\t0\n", 1000, "1000 1000"),  # nobody, as usual
        ("100\t200\n", 1000, "100 1000"),  # those who may keep it
        ("2000\t3000\n", 1000, "1000 3000"),
        ("", 1000, "1000 1000"),
        (None, 1000, "1000 1000"),
    ],
)
def test_it_says_in_one_line_what_is_missing_and_how_to_grant_just_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: str | None, gid: int, wider: str
) -> None:
    allow(monkeypatch)
    file = tmp_path / "ping_group_range"
    if groups is not None:
        file.write_text(groups)
    monkeypatch.setattr(privileges, "_PING_GROUPS", file)
    monkeypatch.setattr(os, "getegid", lambda: gid)
    told = missing_privileges([DNS, PING, TRACE])
    assert told is not None
    assert told.startswith("no pings and no ICMP traceroutes: group ")
    assert "\n" not in told
    assert f"sysctl -w net.ipv4.ping_group_range='{wider}'" in told
    assert f"setcap cap_net_raw+ep {Path(sys.executable).resolve()}" in told
    assert "root" not in told.replace(str(Path(sys.executable).resolve()), "")
    assert "sudo" not in told
