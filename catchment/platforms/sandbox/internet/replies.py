"""What comes back to a vantage point of the simulated Internet: plain facts, before anything gives them a format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Nothing came back, or nothing could be sent."""

    reason: Literal["timeout", "cannot-send"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A DNS reply: `text` is the answer's TXT (None: no answer record), `nsid` the EDNS option (None: absent).

    `answer_class` is the class of the answer, which some boxes get wrong; `garbled` says that the message was cut off
    on the way; `authoritative` that the service's own server gave it, and nobody else in its place.
    """

    rtt_ms: float
    rcode: str
    text: str | None
    nsid: str | None
    answer_class: Literal["CH", "IN"] = "CH"
    garbled: bool = False
    authoritative: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One hop of a traceroute: the router's address (None: it keeps silent) and the round trip of each packet."""

    number: int
    address: str | None
    rtts_ms: tuple[float, ...]
