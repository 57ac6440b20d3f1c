"""What a look from this host asks: in which order, and once more where only the same flow can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catchment import store
from catchment.campaign import Query
from catchment.errors import PlatformFailed
from catchment.metrics import iso_time
from catchment.model import Kind
from catchment.observe.traceroutes import read_trace
from catchment.platforms.local.vantages import Vantage
from catchment.store import Accepted, Measurement, Stage
from catchment.workflow.here.tracing import KnownRouters, ask_about
from catchment.workflow.probing import TIMEOUT_S, Measure, Result, settle
from catchment.workflow.reaching import Means

_MEASURED = 0.75  # of the work when all results are there


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What a vantage point asks for a run that has begun, and how: the first DNS query to each target `flows` times."""

    path: Path
    name: str
    accepted: Accepted
    queries: Mapping[int, Query]
    means: Means
    measure: Measure
    rate_per_s: float
    flows: int
    with_names: bool

    def ask(self) -> tuple[dict[str, Result], KnownRouters]:
        """Bring the run to where all of its results are there.

        Return the traceroute to each target, and what is known of the routers on the way. Raises PlatformFailed where
        nothing could be sent.
        """
        results = self._send(_in_order(self.accepted.measurements, self.flows))
        if not any(map(_was_sent, results)):
            raise PlatformFailed(
                f"nothing could be sent: {_complaint(results)}: connect this host, or name another address"
            )
        traces = {result["dst_addr"]: result for result in results if result["type"] == Kind.TRACEROUTE}
        routers = KnownRouters()
        if self.with_names:
            self.means.progress("asking the DNS for names", _MEASURED)
            hops = (hop.address for trace in traces.values() for hop in read_trace(trace).hops)
            routers = ask_about((address for address in hops if address is not None), self.means.environ)
            if routers.names:
                resolved_at = iso_time(int(self.means.clock())) or ""
                store.write_hop_names(self.path, routers.names, resolved_at=resolved_at)
        return traces, routers

    def ask_again(self, ports: Mapping[int, int]) -> None:
        """Make measurements once more, by id, each from a port from which it was made before."""
        self._send([one for one in self.accepted.measurements if one.id in ports], ports)

    def _send(self, order: Sequence[Measurement], ports: Mapping[int, int] | None = None) -> list[Result]:
        results: list[Result] = []
        with store.ResultWriter(self.path) as writer:
            for result in self.measure(
                [Vantage(name=self.name)],
                order,
                self.queries,
                rate_per_s=self.rate_per_s,
                timeout_s=TIMEOUT_S,
                clock=self.means.clock,
                source_ports=ports,
            ):
                writer.write(result)
                results.append(result)
                self.means.progress("asking", _MEASURED * len(results) / len(order))
        store.write_accepted(self.path, replace(settle(self.path, self.accepted), stage=Stage.NAMED))
        return results


def _in_order(measurements: Sequence[Measurement], flows: int) -> list[Measurement]:
    """Return what to send: the first identity query of each target so many times, half before all else, half after.

    So what changes with time shows in the order of the answers, and what differs by flow all the time.
    """
    repeated = list({one.target: one for one in reversed(measurements) if one.kind is Kind.DNS}.values())[::-1]
    others = [one for one in measurements if one not in repeated]
    return [*repeated * (flows - flows // 2), *others, *repeated * (flows // 2)]


def _was_sent(result: Mapping[str, Any]) -> bool:
    """Tell whether a packet left: something came back, or was waited for."""
    if result["type"] == Kind.DNS:
        return "result" in result or "timeout" in result.get("error", {})
    packets = result.get("result", [])
    if result["type"] == Kind.TRACEROUTE:
        packets = [packet for hop in packets for packet in hop.get("result", [])]
    return any("error" not in packet for packet in packets)


def _complaint(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the first reason that results give why a packet could not be sent."""
    for result in results:
        reasons = [result.get("error"), *(one.get("error") for one in result.get("result", []) if "error" in one)]
        for reason in reasons:
            if reason:
                return str(next(iter(reason.values())) if isinstance(reason, dict) else reason)
    return "this host gives no reason"
