"""What a traceroute knows of the path so far, and which packet is to go next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from catchment.platforms.local.results import SILENT

_GAP = 5  # silent hops after which RIPE Atlas gives up
_LAST_TRY = 255  # with one packet that may go all the way
_MOST_HOPS = 32
_DIGITS_MS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for a packet: from whom, with what TTL left and how many bytes; `err` is why none get past there.

    `is_last` tells that packets which may go further get no further.
    """

    sender: str | None
    rtt_ms: float
    ttl: int | None
    size: int
    err: str | int | None = None
    is_last: bool = False


class Path:
    """The hops of a traceroute with so many packets for each; packets are numbered from 0 in the order of sending.

    As many hops beyond the last that answered are asked at once as may be silent before it is given up: so nothing is
    asked that a traceroute hop by hop would not have asked.
    """

    def __init__(self, packets: int) -> None:
        self._packets = packets
        self._hops: list[int] = []  # of each packet
        self._found: dict[int, Answer | str | None] = {}
        self._heard = 0
        self._end: int | None = None

    @property
    def under_way(self) -> list[int]:
        """Return the packets that are waited for."""
        return [
            number
            for number, hop in enumerate(self._hops)
            if number not in self._found and (self._end is None or hop <= self._end)
        ]

    def next_hop(self) -> int | None:
        """Return how far the next packet is to go; None: none is to be sent now."""
        if _LAST_TRY in self._hops:
            return None
        hop = self._hops[-1] if self._hops else 1
        if self._hops.count(hop) >= self._packets:
            hop += 1
        gap_ends = self._heard + _GAP
        if hop <= min(gap_ends, _MOST_HOPS if self._end is None else self._end):
            return hop
        is_given_up = self._end is None and hop > gap_ends and not self.under_way
        return _LAST_TRY if is_given_up else None

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing is to be sent or waited for."""
        return not self.under_way and self.next_hop() is None

    def send(self) -> int:
        """Return the number of the next packet, which leaves now."""
        hop = self.next_hop()
        if hop is None:
            raise ValueError("no packet is to be sent: ask next_hop first")
        self._hops.append(hop)
        return len(self._hops) - 1

    def hop_of(self, number: int) -> int:
        """Return how far a packet was to go."""
        return self._hops[number]

    def answered(self, number: int, answer: Answer) -> None:
        """Take what came back for a packet; what comes twice, or too late, changes nothing."""
        if number in self._found or number >= len(self._hops):
            return
        self._found[number] = answer
        hop = self._hops[number]
        if answer.is_last:
            self._end = hop if self._end is None else min(hop, self._end)
        if hop != _LAST_TRY:
            self._heard = max(self._heard, hop)

    def lost(self, number: int) -> None:
        """Take that nothing came back for a packet in time."""
        self._found.setdefault(number, None)

    def failed(self, number: int, reason: str) -> None:
        """Take that a packet could not be sent: so no other will be."""
        self._found[number] = reason
        self._end = self._hops[number] if self._end is None else min(self._hops[number], self._end)

    def printed(self) -> Iterator[dict[str, Any]]:
        """Yield the hops as RIPE Atlas prints them, as far as packets got."""
        for hop in dict.fromkeys(self._hops):
            if self._end is None or hop <= self._end:
                numbers = [number for number, of in enumerate(self._hops) if of == hop]
                yield {"hop": hop, "result": [_printed(self._found.get(number)) for number in numbers]}


def _printed(found: Answer | str | None) -> dict[str, Any]:
    if found is None:
        return dict(SILENT)
    if isinstance(found, str):
        return {"error": found}
    told = {"from": found.sender, "ttl": found.ttl, "size": found.size, "rtt": round(found.rtt_ms, _DIGITS_MS)}
    return {key: value for key, value in told.items() if value is not None} | (
        {} if found.err is None else {"err": found.err}
    )
