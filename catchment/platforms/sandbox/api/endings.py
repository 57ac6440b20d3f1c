"""Answers that do not arrive whole: what a network, a proxy or a server in trouble leaves of a response."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from catchment.platforms.sandbox.api.exchange import Response


class Ending(Enum):
    """How a connection ends, or does not, where the rest of an answer was to come."""

    RESET = "reset"
    CLOSE = "close"
    STALL = "stall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken(Response):
    """A response of which only the head and the first `sent` bytes of the body are sent; None: nothing at all."""

    ending: Ending
    sent: int | None = None
