"""A traceroute read off its raw result: who answered at which hop, and where the target stands."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from catchment.observe.addresses import canonical_address
from catchment.observe.refusals import Reason, Refusal, code_of, mark_of, reason_of

FAR_BEYOND = 255
"""After five silent hops Paris traceroute sends one packet with this TTL: how far that went nobody knows."""

_LONGEST_RTT_MS = 1e9
_LONGEST_ADDRESS = 64
_parsed = lru_cache(maxsize=65_536)(canonical_address)

_FULL_TTLS = (64, 128, 255)  # with which hosts and routers send


class _Heard(NamedTuple):  # quicker made than a dataclass, of which a comparison would need millions
    """Who answered a packet, its RTT in ms, its code where it lets nobody pass, and whether its TTL is full."""

    who: str
    rtt_ms: float
    code: int | None
    has_full_ttl: bool

    @property
    def af(self) -> int:
        return 6 if ":" in self.who else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """How far out, which address answered there most often, and in what time at least; None where nobody did.

    `error` marks who lets nobody pass, as traceroute(8) does: !N, !H, !P, !X.
    """

    number: int
    address: str | None = None
    rtt_ms: float | None = None
    others: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The hops in order, as many as the result has, the silent ones too; addresses are in canonical form.

    `reached_at` is the first hop at which the target answered, `rtt_ms` its least RTT from any. `refusals` are what
    was said by who lets nobody pass, each once; `first_routers` are those nearest to the `source` that asked: they
    answered at the first hop, or before all others with a TTL that is still full.
    """

    hops: tuple[Hop, ...] = ()
    reached_at: int | None = None
    rtt_ms: float | None = None
    refusals: tuple[Refusal, ...] = ()
    first_routers: frozenset[str] = frozenset()
    source: str | None = None


def read_trace(result: Any) -> Trace:
    """Read a raw result, decoded from JSON, which may be anything at all; what is no traceroute has no hops."""
    if not isinstance(result, dict) or not isinstance(result.get("result"), list):
        return Trace()
    target = _canonical(result.get("dst_addr") or result.get("addr"))
    heard = defaultdict[int, list[_Heard]](list)
    for entry in result["result"]:
        number = entry.get("hop") if isinstance(entry, dict) else None
        packets = entry.get("result") if isinstance(entry, dict) else None
        if isinstance(number, int) and 0 < number <= FAR_BEYOND and isinstance(packets, list):
            heard[number] = [told for packet in packets if (told := _heard(packet, target)) is not None]
    if not heard.get(FAR_BEYOND, True):
        del heard[FAR_BEYOND]
    numbers = sorted(heard)
    first = next((number for number in numbers if heard[number]), FAR_BEYOND)
    every = [(number, one) for number in numbers for one in heard[number]]
    reached = [(number, one.rtt_ms) for number, one in every if one.who == target]
    refused = (Refusal(reason=reason_of(one.code, one.af), sender=one.who) for _, one in every if one.code is not None)
    return Trace(
        hops=tuple(_hop(number, heard[number]) for number in numbers),
        reached_at=min((number for number, _ in reached), default=None),
        rtt_ms=min((ms for _, ms in reached), default=None),
        refusals=tuple(dict.fromkeys(refused)),
        first_routers=frozenset(one.who for one in heard[first] if first == 1 or one.has_full_ttl),
        source=_canonical(result.get("src_addr")),
    )


def _heard(packet: Any, target: str | None) -> _Heard | None:
    """Return who answered a packet, and when; None for what tells neither, or belongs to an earlier hop."""
    if not isinstance(packet, dict) or "late" in packet:
        return None
    address, rtt_ms = _canonical(packet.get("from")), packet.get("rtt")
    if address is None or not isinstance(rtt_ms, int | float) or not 0 <= rtt_ms <= _LONGEST_RTT_MS:
        return None
    code = None
    if "err" in packet:
        af = 6 if ":" in address else 4
        code = code_of(packet["err"], af)
        if address == target and code is not None and reason_of(code, af) is Reason.PORT:
            code = None  # so it says that a packet arrived
    return _Heard(address, float(rtt_ms), code, packet.get("ttl") in _FULL_TTLS)


def _canonical(text: Any) -> str | None:
    return _parsed(text) if isinstance(text, str) and len(text) <= _LONGEST_ADDRESS else None


def _hop(number: int, packets: Sequence[_Heard]) -> Hop:
    """Return a hop with the router that answered most of its packets, of several the first."""
    if not packets:
        return Hop(number=number)
    counts = Counter(one.who for one in packets)
    address = packets[0].who if len(counts) == 1 else counts.most_common(1)[0][0]
    theirs = [one for one in packets if one.who == address]
    return Hop(
        number=number,
        address=address,
        rtt_ms=min(one.rtt_ms for one in theirs),
        others=tuple(sorted(counts.keys() - {address})),
        error=next((mark_of(one.code, one.af) for one in theirs if one.code is not None), None),
    )
