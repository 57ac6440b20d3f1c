"""Faults in results of ping and traceroute, and in what probes say of themselves."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from catchment.model import Kind
from catchment.platforms.sandbox.api.faults.fault import Result, ResultFault

_PING, _TRACEROUTE = frozenset({Kind.PING}), frozenset({Kind.TRACEROUTE})
_GAP, _LAST_HOP, _PACKETS = 5, 255, 3
_ERRORS = ("N", "H", "A", "P", "p", "h", 13)
_SEND_FAILED = {"error": "sendto failed: Network is unreachable"}

Packets = list[dict[str, Any]]


def _silent_hop(number: int) -> dict[str, Any]:
    return {"hop": number, "result": [{"x": "*"} for _ in range(_PACKETS)]}


def _gap(result: Result, draw: random.Random) -> Result:
    """Return a trace that ends in five silent hops, and a last packet sent as far as it goes."""
    seen = [hop for hop in result["result"] if hop.get("hop") != _LAST_HOP]
    seen = seen[: draw.randint(1, len(seen))] if seen else []
    last = seen[-1].get("hop", 0) if seen else 0
    gap = [_silent_hop(number) for number in range(last + 1, last + 1 + _GAP)]
    return {**result, "result": [*seen, *gap, _silent_hop(_LAST_HOP)]}


def _in_a_hop(change: Callable[[dict[str, Any], random.Random], Packets]) -> Callable[[Result, random.Random], Result]:
    """Return a change of one packet of a trace that came back into what stands in its place."""

    def change_one(result: Result, draw: random.Random) -> Result:
        came = [
            (hop_at, packet_at)
            for hop_at, hop in enumerate(result["result"])
            for packet_at, packet in enumerate(hop.get("result", ()))
            if "rtt" in packet
        ]
        if not came:
            return result
        hop_at, packet_at = draw.choice(came)
        hops = list(result["result"])
        packets = list(hops[hop_at]["result"])
        packets[packet_at : packet_at + 1] = change(packets[packet_at], draw)
        hops[hop_at] = {**hops[hop_at], "result": packets}
        return {**result, "result": hops}

    return change_one


def _late(packet: dict[str, Any], draw: random.Random) -> Packets:
    without = {name: value for name, value in packet.items() if name != "rtt"}
    return [{"x": "*"}, {**without, "late": draw.randint(1, 3)}]


def _twice(packet: dict[str, Any], _: random.Random) -> Packets:
    return [packet, {**packet, "rtt": round(packet["rtt"] + 0.5, 3), "dup": True}]


def _with_error(packet: dict[str, Any], draw: random.Random) -> Packets:
    return [{**packet, "err": draw.choice(_ERRORS)}]


def _pinged(result: Result, packets: Packets) -> Result:
    """Return a ping of these packets, with its summary: duplicates do not count, and without replies it is -1."""
    rtts_ms = [packet["rtt"] for packet in packets if "rtt" in packet and "dup" not in packet]
    summary = {"min": -1, "avg": -1, "max": -1}
    if rtts_ms:
        summary = {"min": min(rtts_ms), "avg": round(sum(rtts_ms) / len(rtts_ms), 6), "max": max(rtts_ms)}
    duplicates = sum("dup" in packet for packet in packets)
    kept = {name: value for name, value in result.items() if rtts_ms or name != "ttl"}
    return {**kept, "result": packets, "rcvd": len(rtts_ms), "dup": duplicates, **summary}


def _ping_lost(result: Result, _: random.Random) -> Result:
    return _pinged(result, [{"x": "*"} for _ in result["result"]])


def _ping_twice(result: Result, _: random.Random) -> Result:
    doubled = [{**packet, "rtt": packet["rtt"] + 0.5, "dup": 1} for packet in result["result"] if "rtt" in packet]
    return _pinged(result, [*result["result"], *doubled[:1]])


def _ping_error(result: Result, _: random.Random) -> Result:
    return _pinged(result, [dict(_SEND_FAILED), *result["result"][1:]])


def _fault(
    name: str, about: str, change: Callable[[Result, random.Random], Result], kinds: frozenset[Kind] = _TRACEROUTE
) -> ResultFault:
    kind = "" if len(kinds) > 1 else f"{next(iter(kinds))} "
    return ResultFault(name=name, about=f"one of ten {kind}results: {about}", kinds=kinds, change=change)


PACKET_FAULTS = (
    _fault("hop-255", "ends in five silent hops and a hop 255", _gap),
    _fault("hop-late", "a packet comes late, and without its time", _in_a_hop(_late)),
    _fault("hop-twice", "a packet comes twice", _in_a_hop(_twice)),
    _fault("hop-error", "a router returns an error (N, H, A, P, p, h or a number)", _in_a_hop(_with_error)),
    _fault("ping-lost", "nothing comes back, and the average is -1", _ping_lost, _PING),
    _fault("ping-twice", "a reply comes twice", _ping_twice, _PING),
    _fault("ping-error", "a packet cannot be sent", _ping_error, _PING),
    _fault(
        "fw-text", "the firmware is a string", lambda result, _: {**result, "fw": str(result["fw"])}, frozenset(Kind)
    ),
    _fault(
        "lts-unknown",
        "the probe never set its clock (lts -1)",
        lambda result, _: {**result, "lts": -1},
        frozenset(Kind),
    ),
)
