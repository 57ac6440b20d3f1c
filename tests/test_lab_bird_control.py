"""What BIRD says of its sessions, as version 2.0.12 said it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from catchment.platforms.lab import bird_control
from catchment.platforms.lab.bird_control import Sessions, is_listening, sessions

PROTOCOLS = """\
Name       Proto      Table      State  Since         Info
device1    Device     ---        up     10:00:00.101
kernel_4   Kernel     master4    up     10:00:00.101
  Channel ipv4
    Route change stats:     received   rejected   filtered    ignored   accepted
      Import updates:              0          0          0          0          0
      Import withdraws:            0          0        ---          0          0
      Export updates:              4          1          2        ---          1
      Export withdraws:            0        ---        ---        ---          0
l0_4       BGP        ---        up     10:00:01.220  Established
  BGP state:          Established
    Route change stats:     received   rejected   filtered    ignored   accepted
      Import updates:              3          0          0          0          3
      Export updates:              5          2          0        ---          3
u1_4       BGP        ---        start  10:00:00.101  Active        Socket: Connection refused
u2_4       BGP        ---        start  10:00:00.101  Connect
off_4      BGP        ---        down   10:00:00.101
"""


def test_sessions_are_counted_and_those_that_are_not_established_named() -> None:
    assert sessions(PROTOCOLS) == Sessions(
        established=1,
        pending=("u1_4 (Active        Socket: Connection refused)", "u2_4 (Connect)"),
        changes=(4 + 1 + 2 + 1) + (3 + 3) + (5 + 2 + 3),
    )
    assert sessions("") == Sessions(established=0, pending=(), changes=0)


def test_a_router_that_lets_in_but_does_not_greet_yet_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # pytest's own folders are too deep for a socket
    monkeypatch.setattr(bird_control, "_GREETING_TIMEOUT_S", 0.05)
    control = Path("bird.ctl")
    assert not is_listening(control)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control))
        listener.listen()
        assert not is_listening(control)
        with socket.socket(socket.AF_UNIX) as before:
            before.connect(str(control))  # and nobody takes it
            assert not is_listening(control)
