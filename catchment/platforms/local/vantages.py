"""Who measures: this host, or a namespace on it."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from dataclasses import dataclass

OpenSocket = Callable[[int, int, int], socket.socket]
"""Opens a socket of a family, type and protocol where the vantage point is. Raises OSError."""

_FIRST_NUMBER = 1 << 47  # far above every probe of RIPE Atlas, and still a whole number to JavaScript


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """A vantage point that measures by sockets: `name` is what tables call it (local:<host>, lab:7)."""

    name: str
    open_socket: OpenSocket = socket.socket

    @property
    def number(self) -> int:
        """Return the number by which its results know it (`prb_id`): the same wherever the name is the same."""
        return vantage_number(self.name)


def vantage_number(name: str) -> int:
    """Return the number that stands for a vantage point's name in results."""
    return _FIRST_NUMBER + int.from_bytes(hashlib.sha256(name.encode()).digest()[:5])
