"""Who measures: this host, or a namespace on it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from catchment.campaign.own_vantages import vantage_number

__all__ = ["OpenSocket", "Vantage", "vantage_number"]

OpenSocket = Callable[[int, int, int], socket.socket]
"""Opens a socket of a family, type and protocol where the vantage point is. Raises OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """A vantage point that measures by sockets: `name` is what tables call it (local:<host>, lab:7)."""

    name: str
    open_socket: OpenSocket = socket.socket

    @property
    def number(self) -> int:
        """Return the number by which its results know it (`prb_id`): the same wherever the name is the same."""
        return vantage_number(self.name)
