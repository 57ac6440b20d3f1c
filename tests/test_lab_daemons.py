"""Programs that a lab starts and ends: none is ended twice, and none is waited for without an end."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from catchment.errors import PlatformFailed
from catchment.platforms.lab import namespaces, orders
from catchment.platforms.lab.daemons import Daemon, Program
from tests.small_labs import is_alive, until

SLEEP = ["sleep", "60"]


@dataclass
class Reaped:
    """A process that ended and was waited for, whose number the kernel may have given to another one."""

    pid: int

    def poll(self) -> int:
        return 0

    def wait(self, _: float | None = None) -> int:
        return 0

    def terminate(self) -> None:
        pass


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP, start_new_session=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("program", Program)
def test_whoever_has_the_number_of_a_program_that_died_is_left_alone(
    program: Program, other: subprocess.Popen[bytes]
) -> None:
    dead = cast("Any", Reaped(pid=other.pid))
    Daemon(program=program, node="a", folder=Path("gone"), given="", process=dead).stop()
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(0.1)


def test_the_children_of_a_program_that_died_are_ended() -> None:
    words = ["sh", "-c", "sleep 60 & echo $!"]
    with subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait()
        dead = cast("Any", Reaped(pid=process.pid))
        Daemon(program=Program.NSD, node="a", folder=Path("gone"), given={}, process=dead).stop()
    assert until(lambda: not is_alive(child))


def test_ip_is_not_waited_for_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "_IP_TIMEOUT_S", 0.05)
    with (
        subprocess.Popen(SLEEP, stderr=subprocess.PIPE, text=True) as stuck,
        pytest.raises(PlatformFailed, match=r"ip is not done after 0.05 s: have a smaller lab"),
    ):
        namespaces.batch(stuck)
    assert stuck.returncode is not None


def test_an_order_that_nobody_takes_leaves_no_file_open(
    monkeypatch: pytest.MonkeyPatch, other: subprocess.Popen[bytes]
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    monkeypatch.setattr(orders, "_start", lambda: (other, ours))
    with socket.socket(socket.AF_UNIX) as user, ours:
        given = orders.Orders()
        before = os.listdir("/proc/self/fd")
        with pytest.raises(PlatformFailed, match="the lab's prober does not answer: measure again"):
            given.measure(b"{}", user)
        assert os.listdir("/proc/self/fd") == before
