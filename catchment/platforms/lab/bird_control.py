"""Talk to a BIRD over its control socket: in a tenth of a millisecond, where a `birdc` process takes several."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from catchment.errors import PlatformFailed

_TIMEOUT_S = 5.0
_GREETING_TIMEOUT_S = 1.0
_PAUSE_S = 0.001
_UNDER_WAY = "Reconfiguration in progress"
_LAST_LINE = re.compile(rb"^(\d{4}) .*\n\Z", re.MULTILINE)
_CODE = re.compile(r"^(?:\d{4}[ -]| )", re.MULTILINE)
_FIRST_ERROR = 8000
_NO_ROUTE = 8001  # the answer of who was asked for a route and has none
_PROTOCOL = re.compile(r"^(?P<name>\S+)\s+BGP\s+\S+\s+(?P<state>\S+)\s+\S+(?:\s+(?P<info>\S.*?))?\s*$", re.MULTILINE)
_COUNTERS = re.compile(r"^\s+(?:Import|Export) (?:updates|withdraws):\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """BGP of one router: how many sessions are `established`, which are not yet, and how often its routes changed."""

    established: int
    pending: tuple[str, ...]
    changes: int


def ask(control: Path, command: str) -> str:
    """Give BIRD a command and return what it says. Raises PlatformFailed with its own words, OSError if none runs."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT_S)
        connection.connect(str(control))
        _reply(connection)  # a greeting
        connection.sendall(command.encode() + b"\n")
        code, text = _reply(connection)
    if code >= _FIRST_ERROR and code != _NO_ROUTE:
        raise PlatformFailed(f"BIRD says: {' '.join(text.split())}")
    return text


def is_listening(control: Path) -> bool:
    """Tell whether a BIRD can be asked: before it has read its configuration, it lets others in, and does not speak."""
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(_GREETING_TIMEOUT_S)
        connection.connect(str(control))
        return bool(connection.recv(1))
    return False


def check(control: Path, config: Path) -> None:
    """Have BIRD read a configuration that it does not take yet. Raises PlatformFailed where it cannot, OSError."""
    ask(control, f'configure check "{config}"')


def configure(control: Path) -> None:
    """Have BIRD read its configuration anew, and wait until it acts upon it. Raises PlatformFailed, OSError."""
    said = ask(control, "configure")
    end = time.monotonic() + _TIMEOUT_S
    while _UNDER_WAY in said:
        if time.monotonic() > end:
            raise PlatformFailed("BIRD does not come to an end of its reconfiguration: end the lab, and start it anew")
        time.sleep(_PAUSE_S)
        said = ask(control, "show status")


def _reply(connection: socket.socket) -> tuple[int, str]:
    """Return the last code of a reply, and its text. A line with a blank after its code is the last one."""
    got = b""
    while (last := _LAST_LINE.search(got)) is None:
        more = connection.recv(1 << 16)
        if not more:
            raise ConnectionError("BIRD hung up")
        got += more
    return int(last[1]), _CODE.sub("", got.decode(errors="replace"))


def sessions(protocols: str) -> Sessions:
    """Read what BIRD says to `show protocols all`. A protocol that is down was told to be so."""
    found = [(match["name"], match["state"], match["info"] or "") for match in _PROTOCOL.finditer(protocols)]
    return Sessions(
        established=sum(info.startswith("Established") for *_, info in found),
        pending=tuple(
            f"{name} ({info.strip() or state})"
            for name, state, info in found
            if state != "down" and not info.startswith("Established")
        ),
        changes=sum(
            int(number) for counters in _COUNTERS.findall(protocols) for number in counters.split() if number.isdigit()
        ),
    )
