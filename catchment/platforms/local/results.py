"""Results in RIPE Atlas's JSON, as its firmware 5080 writes them, with the name of the vantage point beside them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catchment.model import Kind
from catchment.platforms.local import packets
from catchment.platforms.local.vantages import Vantage
from catchment.store import Measurement

FIRMWARE = 5080
SILENT: dict[str, Any] = {"x": "*"}
_NAMES = {Kind.DNS: "Tdig", Kind.PING: "Ping", Kind.TRACEROUTE: "Traceroute"}
_DIGITS_MS = 3
_PING_DIGITS_MS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsReply:
    """A DNS message that came: `rtt_ms` from its query on, `whole_ms` from the connection on (None: there was none)."""

    message: bytes
    rtt_ms: float
    whole_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """What became of one packet of a ping: its RTT (None: lost), and the TTL that its reply had left.

    A duplicate is another reply to a packet that was answered; `error` says why one could not be sent.
    """

    rtt_ms: float | None = None
    ttl: int | None = None
    is_duplicate: bool = False
    error: str | None = None


def head(vantage: Vantage, measurement: Measurement, *, at: float, source: str | None, protocol: str) -> dict[str, Any]:
    """Return what every result says: `at` is when it was sent (s since 1970), `source` the address it left from."""
    found: dict[str, Any] = {
        "fw": FIRMWARE,
        "msm_id": measurement.id,
        "prb_id": vantage.number,
        "vantage": vantage.name,
        "type": measurement.kind.value,
        "msm_name": _NAMES[measurement.kind],
        "timestamp": round(at, 6),
        "af": measurement.af,
        "dst_addr": measurement.target,
        "proto": protocol,
    }
    if measurement.kind is not Kind.DNS:
        found["dst_name"] = measurement.target
    return found if source is None else found | {"src_addr": source, "from": source}


def dns_reply(reply: DnsReply) -> dict[str, Any]:
    """Return what a result says of a DNS message."""
    times = {"rt": _ms(reply.rtt_ms)}
    if reply.whole_ms is not None:
        times = {"rt": _ms(reply.whole_ms), "qt": _ms(reply.rtt_ms)}
    abuf = base64.b64encode(reply.message).decode()
    found: dict[str, Any] = {**times, "size": len(reply.message), "abuf": abuf, **packets.counts(reply.message)}
    answers = packets.printed_answers(reply.message)
    return {"result": found | ({"answers": answers} if answers else {})}


def echoes(found: Sequence[Echo], *, size: int, step: int | None) -> dict[str, Any]:
    """Return what a result says of a ping whose packets had `size` bytes; `step` is the measurement's interval in s."""
    firsts = [echo for echo in found if not echo.is_duplicate]
    rtts_ms = [round(echo.rtt_ms, _PING_DIGITS_MS) for echo in firsts if echo.rtt_ms is not None]
    told: dict[str, Any] = {
        "sent": sum(echo.error is None for echo in firsts),
        "rcvd": len(rtts_ms),
        "dup": len(found) - len(firsts),
        "min": min(rtts_ms) if rtts_ms else -1,
        "avg": round(sum(rtts_ms) / len(rtts_ms), _PING_DIGITS_MS) if rtts_ms else -1,
        "max": max(rtts_ms) if rtts_ms else -1,
        "size": size,
        "step": step,
        "result": [_echo(echo) for echo in found],
    }
    ttl = next((echo.ttl for echo in firsts if echo.ttl is not None), None)
    return told if ttl is None else told | {"ttl": ttl}


def _echo(echo: Echo) -> dict[str, Any]:
    if echo.error is not None:
        return {"error": echo.error}
    if echo.rtt_ms is None:
        return dict(SILENT)
    return {"rtt": round(echo.rtt_ms, _PING_DIGITS_MS)} | ({"ttl": echo.ttl, "dup": 1} if echo.is_duplicate else {})


def _ms(value: float) -> float:
    return round(value, _DIGITS_MS)
