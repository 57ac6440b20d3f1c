"""A small Internet for tests of the sandbox: it answers what it is told to answer, and remembers what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from catchment.platforms.sandbox.internet.replies import Hop, Lost, Reply
from catchment.platforms.topology.elements import AnycastService, Topology, Trouble, VantagePoint

V4, V6 = "192.0.2.53", "2001:db8:53::53"
START = 1_793_534_400  # 2026-11-01 12:00 UTC
KEY = "5b6c0f0e-0000-4000-8000-00000000cafe"
ANSWER = Reply(rtt_ms=12.3456, rcode="NOERROR", text="fra1.example-dns.net", nsid="fra1.example-dns.net")
HOPS = (
    Hop(number=1, address="10.0.0.1", rtts_ms=(1.0, 1.5, 1.25)),
    Hop(number=2, address=None, rtts_ms=()),
    Hop(number=3, address=V4, rtts_ms=(9.5, 9.25, 9.75)),
)


def vantage(number: int, **changes: Any) -> VantagePoint:
    """Return a vantage point in Frankfurt, as others differ from it."""
    usual: dict[str, Any] = {
        "asn": 64_500, "place": "FRA", "latitude": 50.11, "longitude": 8.68, "country": "DE", "last_mile_ms": 5.0,
    }  # fmt: skip
    return VantagePoint(id=number, **usual | changes)


POINTS = (
    vantage(6001, anchor=True, ipv6=True),
    vantage(101, ipv6=True, firmware=4790),
    vantage(102, country="NL", asn=64_501, latitude=52.37, longitude=4.89),
    vantage(103, country="US", asn=64_502, latitude=40.71, longitude=-74.01, firmware=4460),
    vantage(104, connected=False),
    vantage(105, trouble=Trouble.OFFLINE),
    vantage(106, trouble=Trouble.MISLOCATED, said_latitude=-33.87, said_longitude=151.21, said_country="AU"),
)


@dataclass
class FakeInternet:
    """Answers every DNS question with `answer`, every ping with `rtts_ms`, every traceroute with `hops`."""

    points: tuple[VantagePoint, ...] = POINTS
    answer: Reply | Lost = ANSWER
    rtts_ms: tuple[float | None, ...] | Lost = (10.5, None, 10.25)
    hops: tuple[Hop, ...] | Lost = HOPS
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        service = AnycastService(
            name="example-dns", asn=64_511, addresses=(V4, V6), answers=("hostname.bind", "nsid"), sites=()
        )
        self.topology = Topology(name="fake", services=(service,), vantage_points=self.points)

    def dns(
        self, vantage: VantagePoint, address: str, name: str | None, *, nsid: bool, after_s: float, turn: int
    ) -> Reply | Lost:
        self.asked.append((vantage.id, address, name, nsid, after_s, turn))
        return self.answer

    def ping(
        self, vantage: VantagePoint, address: str, packets: int, *, after_s: float, turn: int
    ) -> tuple[float | None, ...] | Lost:
        self.asked.append((vantage.id, address, packets, after_s, turn))
        return self.rtts_ms

    def traceroute(self, vantage: VantagePoint, address: str, *, after_s: float, turn: int) -> tuple[Hop, ...] | Lost:
        self.asked.append((vantage.id, address, after_s, turn))
        return self.hops

    def reports(self, vantage: VantagePoint) -> bool:
        return vantage.connected and vantage.trouble is not Trouble.OFFLINE


def dns_definition(**changes: Any) -> dict[str, Any]:
    """Return a definition as clients send it: hostname.bind with NSID."""
    return {
        "type": "dns", "af": 4, "target": V4, "description": "who answers?", "query_class": "CHAOS",
        "query_type": "TXT", "query_argument": "hostname.bind", "set_nsid_bit": True, "udp_payload_size": 1232,
    } | changes  # fmt: skip


def ping_definition(**changes: Any) -> dict[str, Any]:
    return {"type": "ping", "af": 4, "target": V4, "description": "how far?"} | changes


def traceroute_definition(**changes: Any) -> dict[str, Any]:
    return {"type": "traceroute", "af": 4, "target": V4, "description": "which way?", "protocol": "ICMP"} | changes


def everybody(**changes: Any) -> dict[str, Any]:
    """Return a source of probes: all of the world."""
    return {"type": "area", "value": "WW", "requested": -1} | changes


def post_body(*definitions: dict[str, Any], probes: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """Return the body of a POST; by default a one-off from everywhere."""
    sources = [everybody()] if probes is None else probes
    return {"definitions": list(definitions) or [dns_definition()], "probes": sources, "is_oneoff": True} | more
