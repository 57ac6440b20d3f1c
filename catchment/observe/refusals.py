"""What was said instead of an answer: ICMP errors that results tell of, and who sent them (RFC 792, 1812, 4443)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from catchment.observe.addresses import canonical_address


class Reason(StrEnum):
    """Why a packet got no further, as whoever refused it says."""

    PORT = "port"  # it arrived, and nobody listens there
    PROTOCOL = "protocol"  # the same of a whole protocol
    NO_ROUTE = "no-route"
    HOST = "host"  # a router is next to it, and finds nobody
    PROHIBITED = "prohibited"
    LOOP = "loop"  # it had gone as many hops as it might
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal, and who sent it, in canonical form; None where nobody knows."""

    reason: Reason
    sender: str | None = None


_UNREACHABLE = {4: 3, 6: 1}  # the ICMP type of which these are the codes
_REASONS = {
    4: {
        0: Reason.NO_ROUTE, 1: Reason.HOST, 2: Reason.PROTOCOL, 3: Reason.PORT, 6: Reason.NO_ROUTE, 7: Reason.HOST,
        9: Reason.PROHIBITED, 10: Reason.PROHIBITED, 13: Reason.PROHIBITED,
    },
    6: {
        0: Reason.NO_ROUTE, 1: Reason.PROHIBITED, 3: Reason.HOST, 4: Reason.PORT, 5: Reason.PROHIBITED,
        6: Reason.PROHIBITED,
    },
}  # fmt: skip
_TOO_MANY_HOPS = {4: (11, 0), 6: (3, 0)}
# As traceroutes of RIPE Atlas print codes; others are numbers.
_LETTERS: dict[int, dict[Any, int]] = {
    4: {"N": 0, "H": 1, "P": 2, "p": 3, "A": 13},
    6: {"N": 0, "A": 1, "h": 2, "H": 3, "p": 4},
}
_MARKS = {
    Reason.NO_ROUTE: "!N",
    Reason.HOST: "!H",
    Reason.PROTOCOL: "!P",
    Reason.PROHIBITED: "!X",
}
_HIGHEST_CODE = 255
_TOLD = re.compile(r"\(ICMP type (\d{1,3}), code (\d{1,3}), from ([0-9A-Fa-f:.]{2,45})\)$")
# What operating systems call it where nobody tells the ICMP error itself.
_CALLED = (
    ("connection refused", Reason.PORT),
    ("network is unreachable", Reason.NO_ROUTE),
    ("no route to host", Reason.HOST),
)


def read_error(text: str, af: int) -> Refusal:
    """Read what a DNS query got for an answer, as its observation tells it: `err: … (ICMP type 3, code 3, from …)`."""
    found = _TOLD.search(text)
    if found is None:
        return Refusal(reason=next((reason for name, reason in _CALLED if name in text.lower()), Reason.OTHER))
    kind, code = int(found[1]), int(found[2])
    reason = _REASONS[af].get(code, Reason.OTHER) if kind == _UNREACHABLE[af] else Reason.OTHER
    if (kind, code) == _TOO_MANY_HOPS[af]:
        reason = Reason.LOOP
    return Refusal(reason=reason, sender=canonical_address(found[3]))


def code_of(err: Any, af: int) -> int | None:
    """Return the ICMP code that a traceroute prints as `err`, which may be anything; None where it is none."""
    if isinstance(err, str):
        return _LETTERS[af].get(err)
    is_code = isinstance(err, int) and not isinstance(err, bool) and 0 <= err <= _HIGHEST_CODE
    return err if is_code else None


def reason_of(code: int, af: int) -> Reason:
    """Return what the code of an ICMP error of a traceroute means."""
    return _REASONS[af].get(code, Reason.OTHER)


def mark_of(code: int, af: int) -> str:
    """Return how traceroute(8) marks a hop that says so: `!N`, `!H`, `!P`, `!X`, or `!<code>`."""
    return _MARKS.get(reason_of(code, af), f"!<{code}>")
