"""What measures from this host without sending anything: packets whose fate a test decides, and their clock."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catchment.campaign import Query
from catchment.model import Kind
from catchment.platforms.local.vantages import Vantage
from catchment.store import Measurement
from tests.atlas_results import message
from tests.campaigns import NOON

Identify = Callable[[Measurement, int], str | None]
"""Says who answers a query, given its measurement and how many of it came before; None: nobody does."""

BY_IPV4 = ("10.0.0.1", "193.0.0.1", "193.0.0.2")
FRANKFURT = "fra1.demo-dns.example"
_FIRST_PORT = 40_000


@dataclass
class FakeClock:
    """Time that passes only where somebody sleeps or measures."""

    time: float = NOON

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class PretendedPackets:
    """Measures as `measure_round` does; `sent` is what was asked for: kind, target, time."""

    clock: FakeClock = field(default_factory=FakeClock)
    identify: Identify = lambda *_: FRANKFURT
    rtt_ms: float = 12.0
    ping_ms: float | None = 11.5
    hops: Sequence[str] = BY_IPV4
    is_traced: bool = True
    error: Mapping[str, Any] | None = None
    ping_error: str | None = None
    dns_error: Mapping[str, Any] = field(default_factory=lambda: {"timeout": 2000})
    refusing_hop: Mapping[str, Any] | None = None
    per_packet_s: float = 0.001
    sent: list[tuple[Kind, str, float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def __call__(
        self,
        vantages: Sequence[Vantage],
        measurements: Sequence[Measurement],
        queries: Mapping[int, Query],
        *,
        rate_per_s: float,
        timeout_s: float,
        clock: Callable[[], float],
        source_ports: Mapping[int, int] | None = None,
    ) -> Iterator[dict[str, Any]]:
        assert timeout_s > 0
        self.rates.append(rate_per_s)
        for vantage in vantages:
            for measurement in measurements:
                number = sum(kind is measurement.kind for kind, *_ in self.sent)
                self.sent.append((measurement.kind, measurement.target, clock()))
                port = (source_ports or {}).get(measurement.id, _FIRST_PORT + number)
                yield self._result(vantage, measurement, queries[measurement.id], number, port, clock())
                self.clock.time += self.per_packet_s

    def _result(
        self, vantage: Vantage, measurement: Measurement, query: Query, number: int, port: int, now: float
    ) -> dict[str, Any]:
        assert measurement.kind is query.kind
        head: dict[str, Any] = {
            "fw": 5080,
            "prb_id": vantage.number,
            "vantage": vantage.name,
            "msm_id": measurement.id,
            "type": measurement.kind.value,
            "timestamp": now,
            "af": measurement.af,
            "dst_addr": measurement.target,
            "proto": "UDP" if measurement.kind is Kind.DNS else "ICMP",
        }
        if measurement.kind is Kind.DNS:
            return head | {"src_port": port} | self._answer(measurement, query, number)
        if measurement.kind is Kind.PING:
            return head | self._ping(query)
        return head | {"size": 48, "paris_id": 1, "endtime": int(now) + 1, "result": self._hops(measurement.target)}

    def _answer(self, measurement: Measurement, query: Query, number: int) -> dict[str, Any]:
        if self.error is not None:
            return {"error": dict(self.error)}
        identity = self.identify(measurement, number)
        if identity is None:
            return {"error": dict(self.dns_error)}
        wire = message(identity, query=query.name)
        return {"result": {"rt": self.rtt_ms, "size": len(wire), "abuf": base64.b64encode(wire).decode()}}

    def _ping(self, query: Query) -> dict[str, Any]:
        what: dict[str, Any] = {"x": "*"} if self.ping_ms is None else {"rtt": self.ping_ms}
        error = self.ping_error if self.error is None else "sendto failed: Network is unreachable"
        what = what if error is None else {"error": error}
        told = -1 if "rtt" not in what else self.ping_ms
        packets = [what] * query.packets
        return {"sent": query.packets, "rcvd": query.packets * ("rtt" in what), "dup": 0, "size": 48, "ttl": 60,
                "min": told, "avg": told, "max": told, "result": packets}  # fmt: skip

    def _hops(self, target: str) -> list[dict[str, Any]]:
        if self.error is not None:
            return [{"hop": 1, "error": "sendto failed: Network is unreachable"}]
        if self.refusing_hop is not None:
            return [{"hop": 1, "result": [dict(self.refusing_hop)]}]
        if not self.is_traced:
            return [{"hop": number, "result": [{"x": "*"}]} for number in (1, 2, 3, 4, 5, 255)]
        return [
            {"hop": number, "result": [{"from": address, "rtt": number * 2.0, "ttl": 64, "size": 48}]}
            for number, address in enumerate((*self.hops, target), start=1)
        ]
