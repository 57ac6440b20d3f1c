"""Answers that are not one response: what goes on between the API and a client as long as both like."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from catchment.platforms.sandbox.api.exchange import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation(Response):
    """An answer that `converse` gives by itself, head and all, on a connection that is closed when it returns."""

    converse: Callable[[socket.socket], None]
