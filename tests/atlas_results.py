"""RIPE Atlas results as tests need them: one call, one result, in the shape of current firmware."""

from __future__ import annotations

import base64
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

TARGET = "192.0.2.53"
NOON = 1_793_534_400


def message(
    identity: str | bytes | None = None,
    *,
    rcode: str = "NOERROR",
    nsid: bytes | None = None,
    query: str = "hostname.bind",
    answer_class: str = "CH",
    message_id: int = 1234,
) -> bytes:
    """Return the wire form of a reply to a CHAOS TXT query."""
    question = dns.message.make_query(f"{query}.", "TXT", "CH", id=message_id)
    question.flags = 0
    if nsid is not None:
        question.use_edns(0)
    reply = dns.message.make_response(question)
    reply.set_rcode(dns.rcode.from_text(rcode))
    if identity is not None:
        text = identity.encode() if isinstance(identity, str) else identity
        escaped = "".join(f"\\{byte:03d}" for byte in text)
        reply.answer.append(dns.rrset.from_text(f"{query}.", 0, answer_class, "TXT", f'"{escaped}"'))
    if nsid is not None:
        reply.use_edns(0, options=[dns.edns.NSIDOption(nsid)])
    return reply.to_wire()


def dns_result(probe: int, identity: str | None = "fra1.example-dns.net", **changes: Any) -> dict[str, Any]:
    """Return a DNS result; `rcode`, `nsid` and `query` shape its message, other keywords replace keys of the result."""
    shape = {key: changes.pop(key) for key in ("rcode", "nsid", "query", "answer_class") if key in changes}
    rtt_ms = changes.pop("rtt_ms", 20.0)
    wire = message(identity, **shape)
    result = head(probe, "dns", 90_000_001) | {"msm_name": "Tdig", "proto": "UDP"}
    result["result"] = {"rt": rtt_ms, "size": len(wire), "abuf": base64.b64encode(wire).decode()}
    return result | changes


def dns_error(probe: int, error: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a DNS result without a reply; by default a timeout."""
    error = {"timeout": 5000} if error is None else error
    return head(probe, "dns", 90_000_001) | {"msm_name": "Tdig", "error": error} | changes


def ping_result(probe: int, *rtts_ms: float, **changes: Any) -> dict[str, Any]:
    """Return a ping with these replies; without any, all packets are lost."""
    packets: list[dict[str, Any]] = [{"rtt": rtt_ms} for rtt_ms in rtts_ms] or [{"x": "*"}] * 3
    least = min(rtts_ms, default=-1)
    result = head(probe, "ping", 90_000_002) | {"msm_name": "Ping", "result": packets, "min": least}
    return result | {"sent": len(packets), "rcvd": len(rtts_ms)} | changes


def traceroute_result(
    probe: int, router: str, rtt_ms: float, *, hop_ms: float | None = None, gap: int = 0, **changes: Any
) -> dict[str, Any]:
    """Return a traceroute that reaches the target behind `router`, whose RTT is `hop_ms`, and `gap` silent hops."""
    seen: list[tuple[str | None, float]] = [("192.168.1.1", 0.5), (router, rtt_ms if hop_ms is None else hop_ms)]
    seen += [(None, 0.0)] * gap + [(TARGET, rtt_ms)]
    hops = [
        {"hop": number, "result": [{"x": "*"} if address is None else {"from": address, "rtt": ms, "ttl": 60}] * 3}
        for number, (address, ms) in enumerate(seen, start=1)
    ]
    result = head(probe, "traceroute", 90_000_003) | {"msm_name": "Traceroute", "result": hops, "paris_id": 1}
    return result | {"endtime": NOON + 5, "proto": "ICMP"} | changes


def head(probe: int, kind: str, measurement: int) -> dict[str, Any]:
    return {
        "fw": 5120,
        "af": 4,
        "prb_id": probe,
        "msm_id": measurement,
        "timestamp": NOON,
        "type": kind,
        "from": "198.51.100.7",
        "dst_addr": TARGET,
        "dst_name": TARGET,
    }


def place(
    probe: int, latitude: float = 50.0, longitude: float = 8.5, country: str = "DE", **more: Any
) -> dict[str, Any]:
    """Return an entry of a probe list; by default near Frankfurt."""
    entry = {"id": probe, "latitude": latitude, "longitude": longitude, "country_code": country, "asn_v4": 64_500}
    return entry | {"asn_v6": None, "is_anchor": False, "tags": []} | more
