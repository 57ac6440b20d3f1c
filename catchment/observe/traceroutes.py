"""A traceroute read off its raw result: who answered at which hop, and where the target stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from catchment.observe.addresses import canonical_address

FAR_BEYOND = 255
"""After five silent hops Paris traceroute sends one packet with this TTL: how far that went nobody knows."""

_LONGEST_RTT_MS = 1e9
_LONGEST_ADDRESS = 64
_parsed = lru_cache(maxsize=65_536)(canonical_address)

Heard = tuple[str, float]
"""Who answered a packet, and its RTT in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """How far out, which address answered there most often, and in what time at least; None where nobody did."""

    number: int
    address: str | None = None
    rtt_ms: float | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The hops in order, as many as the result has, the silent ones too; addresses are in canonical form.

    `reached_at` is the first hop at which the target answered, `rtt_ms` its least RTT from any.
    """

    hops: tuple[Hop, ...] = ()
    reached_at: int | None = None
    rtt_ms: float | None = None


def read_trace(result: Any) -> Trace:
    """Read a raw result, decoded from JSON, which may be anything at all; what is no traceroute has no hops."""
    if not isinstance(result, dict) or not isinstance(result.get("result"), list):
        return Trace()
    target = _canonical(result.get("dst_addr") or result.get("addr"))
    heard = dict[int, list[Heard]]()
    for entry in result["result"]:
        number = entry.get("hop") if isinstance(entry, dict) else None
        packets = entry.get("result") if isinstance(entry, dict) else None
        if isinstance(number, int) and 0 < number <= FAR_BEYOND and isinstance(packets, list):
            heard[number] = [told for told in map(_heard, packets) if told is not None]
    if not heard.get(FAR_BEYOND, True):
        del heard[FAR_BEYOND]
    numbers = sorted(heard)
    reached = [(number, ms) for number in numbers for who, ms in heard[number] if who == target]
    return Trace(
        hops=tuple(_hop(number, heard[number]) for number in numbers),
        reached_at=min((number for number, _ in reached), default=None),
        rtt_ms=min((ms for _, ms in reached), default=None),
    )


def _heard(packet: Any) -> Heard | None:
    """Return who answered a packet, and when; None for what tells neither, or belongs to an earlier hop."""
    if not isinstance(packet, dict) or "late" in packet:
        return None
    address, rtt_ms = _canonical(packet.get("from")), packet.get("rtt")
    if address is None or not isinstance(rtt_ms, int | float) or not 0 <= rtt_ms <= _LONGEST_RTT_MS:
        return None
    return address, float(rtt_ms)


def _canonical(text: Any) -> str | None:
    return _parsed(text) if isinstance(text, str) and len(text) <= _LONGEST_ADDRESS else None


def _hop(number: int, packets: Sequence[Heard]) -> Hop:
    """Return a hop with the router that answered most of its packets, of several the first."""
    if not packets:
        return Hop(number=number)
    counts = Counter(who for who, _ in packets)
    address = packets[0][0] if len(counts) == 1 else counts.most_common(1)[0][0]
    times = (ms for who, ms in packets if who == address)
    return Hop(number=number, address=address, rtt_ms=min(times), others=tuple(sorted(counts.keys() - {address})))
