"""Results in RIPE Atlas's JSON, as the firmware of each vantage point writes them.

What changed from firmware to firmware: keys got their present names and results a `type` (4460), `lts` in pings
(4540), `msm_name` (4550), sizes without headers (4570), `group_id` (4610), `lts` everywhere (4650), TXT data as a list
of strings (4720), `ttr` (4910), `mver` (5000), the connection in `rt` over TCP, with `qt` for the query alone (5010).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from catchment.model import Kind
from catchment.platforms.sandbox.api.definitions import Definition
from catchment.platforms.sandbox.api.messages import Question, WireMessage, reply_message
from catchment.platforms.sandbox.internet.replies import Hop, Lost, Reply
from catchment.platforms.topology.elements import Topology, VantagePoint

_GAP_LIMIT = 5
_LAST_HOP = 255
_TARGET_TTL, _ROUTER_TTL = 64, 255  # with which servers and routers send
_UNREACHABLE = "Network is unreachable"
_SILENT = {"x": "*"}


class SimulatedInternet(Protocol):
    """What answers: `after_s` is the time since the sandbox's start, `turn` the round of the measurement."""

    topology: Topology

    def dns(  # noqa: D102
        self, vantage: VantagePoint, address: str, name: str | None, *, nsid: bool, after_s: float, turn: int
    ) -> Reply | Lost: ...

    def ping(  # noqa: D102
        self, vantage: VantagePoint, address: str, packets: int, *, after_s: float, turn: int
    ) -> tuple[float | None, ...] | Lost: ...

    def traceroute(  # noqa: D102
        self, vantage: VantagePoint, address: str, *, after_s: float, turn: int
    ) -> tuple[Hop, ...] | Lost: ...

    def reports(self, vantage: VantagePoint) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One vantage point's part in one round: `source` is its own address, `public` the one the world sees.

    `group` is the first measurement of its POST (None: a built-in), `interval_s` None where it is a one-off.
    """

    measurement: int
    group: int | None
    definition: Definition
    interval_s: int | None
    vantage: VantagePoint
    source: str
    public: str
    turn: int
    at: int
    stored_at: int


def make_result(internet: SimulatedInternet, sending: Sending, after_s: float) -> dict[str, Any]:
    """Measure in the simulated Internet and return the result. The same sending gives the same one."""
    asked, definition = (sending.vantage, sending.definition.address), sending.definition
    match definition.kind:
        case Kind.DNS:
            question = definition.question
            if question is None:
                raise ValueError("a DNS definition without a question: read it with read_definition")
            nsid = definition.options["set_nsid_bit"]
            reply = internet.dns(*asked, question.chaos_name, nsid=nsid, after_s=after_s, turn=sending.turn)
            return _head(sending, "Tdig") | _dns(sending, question, reply)
        case Kind.PING:
            packets = definition.options["packets"]
            rtts_ms = internet.ping(*asked, packets, after_s=after_s, turn=sending.turn)
            # People watch the TTL for changes of the way, so it has to come from the way.
            hops = internet.traceroute(*asked, after_s=after_s, turn=sending.turn)
            return _head(sending, "Ping") | _ping(sending, rtts_ms, () if isinstance(hops, Lost) else hops)
        case Kind.TRACEROUTE:
            hops = internet.traceroute(*asked, after_s=after_s, turn=sending.turn)
            return _head(sending, "Traceroute") | _traceroute(sending, hops)


def _head(sending: Sending, name: str) -> dict[str, Any]:
    """Return what all kinds have in common: the probe's own keys, then those that the controller adds."""
    firmware, definition = sending.vantage.firmware, sending.definition
    kind = definition.kind
    head: dict[str, Any] = {
        # Firmware 4560 and 4570 wrote a string, in DNS results only.
        "fw": str(firmware) if kind is Kind.DNS and 4560 <= firmware <= 4570 else firmware
    }
    if firmware >= 5000:
        head["mver"] = f"2.{(firmware - 5000) // 20}.0"
    if firmware >= 4650 or (kind is Kind.PING and firmware >= 4540):
        head["lts"] = _share(sending, "lts") % 240
    protocol = definition.options.get("protocol", "ICMP")
    if firmware >= 4460:
        head |= {"af": definition.af, "dst_addr": definition.address, "src_addr": sending.source, "proto": protocol}
        if kind is not Kind.DNS:
            head["dst_name"] = definition.target
        if kind is Kind.PING and firmware < 4550:  # both names stood there for a while
            head |= {"addr": definition.address, "name": definition.target}
    else:
        head |= {"addr": definition.address, "srcaddr": sending.source, "name": definition.target}
        head |= {"pf": definition.af, "proto": protocol} if kind is Kind.DNS else {"mode": f"{protocol}{definition.af}"}
    if firmware >= 4910 and kind is not Kind.DNS:
        head["ttr"] = round(0.2 + _share(sending, "ttr") % 4000 / 1000, 3)
    if firmware >= 4460:
        head["type"] = kind.value
    if firmware >= 4550:
        head["msm_name"] = name
    if firmware >= 4610 and sending.group is not None:
        head["group_id"] = sending.group
    return head | {
        "msm_id": sending.measurement,
        "prb_id": sending.vantage.id,
        "timestamp": sending.at,
        "stored_timestamp": sending.stored_at,
        "from": sending.public,
    }


def _dns(sending: Sending, question: Question, reply: Reply | Lost) -> dict[str, Any]:
    options, firmware = sending.definition.options, sending.vantage.firmware
    if isinstance(reply, Lost):
        if reply.reason == "timeout":
            return {"error": {"timeout": options["timeout"]}}
        # Which call fails depends on the system below the firmware.
        return {"error": {"socket": _UNREACHABLE} if sending.vantage.id % 2 else {"senderror": _UNREACHABLE}}
    message = reply_message(question, reply)
    message_id = _share(sending, "id") % 65_536
    answer: dict[str, Any] = {"rt": round(reply.rtt_ms, 3)}
    if options["protocol"] == "TCP" and firmware >= 5010:
        answer |= {"rt": round(2 * reply.rtt_ms, 3), "qt": round(reply.rtt_ms, 3)}
    answer["size"] = message.size
    if options["include_abuf"]:
        answer["abuf"] = message.abuf(message_id)
    answer |= {"ID": message_id, "ANCOUNT": message.answer_count, "QDCOUNT": 1, "NSCOUNT": 0}
    answer["ARCOUNT"] = message.additional_count
    if message.texts:
        answer["answers"] = _answers(question, message, firmware)
    return {"result": answer}


def _answers(question: Question, message: WireMessage, firmware: int) -> list[dict[str, Any]]:
    name = question.name.rstrip(".")
    return [
        {"TYPE": "TXT", "NAME": name, "RDATA": list(texts) if firmware >= 4720 else "".join(texts)}
        for texts in message.texts
    ]


def _ping(sending: Sending, rtts_ms: Sequence[float | None] | Lost, hops: Sequence[Hop]) -> dict[str, Any]:
    options, firmware = sending.definition.options, sending.vantage.firmware
    packets: list[dict[str, Any]]
    received: list[float] = []
    if isinstance(rtts_ms, Lost):
        lost = _SILENT if rtts_ms.reason == "timeout" else {"error": f"sendto failed: {_UNREACHABLE}"}
        packets = [dict(lost) for _ in range(options["packets"])]
    else:
        packets = [dict(_SILENT) if rtt_ms is None else {"rtt": round(rtt_ms, 6)} for rtt_ms in rtts_ms]
        received = [packet["rtt"] for packet in packets if "rtt" in packet]
    summary: dict[str, Any] = {"min": -1, "avg": -1, "max": -1}
    if received:
        mean = round(sum(received) / len(received), 6)
        ttl = _ttl(_TARGET_TTL, hops[-1]) if hops else _TARGET_TTL
        summary = {"min": min(received), "avg": mean, "max": max(received), "ttl": ttl}
    if firmware >= 4550:
        summary["step"] = sending.interval_s
    size = options["size"] + (8 if firmware < 4570 else 0)
    return {"sent": len(packets), "rcvd": len(received), "dup": 0, "size": size, "result": packets} | summary


def _traceroute(sending: Sending, hops: Sequence[Hop] | Lost) -> dict[str, Any]:
    options, firmware = sending.definition.options, sending.vantage.firmware
    paris = options["paris"]
    printed: list[dict[str, Any]]
    if isinstance(hops, Lost) and hops.reason == "cannot-send":
        printed = [{"hop": options["first_hop"], "error": f"connect failed: {_UNREACHABLE}"}]
    else:
        printed = list(_hops(sending, () if isinstance(hops, Lost) else hops))
    silent = sum("x" in packet for hop in printed for packet in hop.get("result", ()))
    return {
        "paris_id" if firmware >= 4460 else "paris-id": sending.turn % paris + 1 if paris else 0,
        "size": options["size"],
        "endtime": sending.at + min(silent + len(printed) // 8, sending.stored_at - sending.at),
        "result": printed,
    }


def _hops(sending: Sending, hops: Sequence[Hop]) -> Iterator[dict[str, Any]]:
    """Print hops until the target answers or five in a row are silent; then one packet goes with TTL 255."""
    options, target = sending.definition.options, sending.definition.address
    silent = 0
    answering = {hop.number: hop for hop in hops if hop.address is not None}
    for number in range(options["first_hop"], options["max_hops"] + 1):
        hop = answering.get(number)
        silent = silent + 1 if hop is None else 0
        yield {"hop": number, "result": _packets(sending, hop)}
        if hop is not None and hop.address == target:
            return
        if silent == _GAP_LIMIT:
            # This one goes as far as it can: the target itself answers, if it can be reached at all.
            reached = next((hop for hop in answering.values() if hop.address == target), None)
            yield {"hop": _LAST_HOP, "result": _packets(sending, reached)}
            return


def _packets(sending: Sending, hop: Hop | None) -> list[dict[str, Any]]:
    packets = sending.definition.options["packets"]
    if hop is None:
        return [dict(_SILENT) for _ in range(packets)]
    is_target = hop.address == sending.definition.address
    # A router returns the first bytes of what it got, an echo all of it.
    size = (sending.definition.options["size"] if is_target else 0) + (28 if sending.vantage.firmware >= 4570 else 56)
    ttl = _ttl(_TARGET_TTL if is_target else _ROUTER_TTL, hop)
    came = [
        {"from": hop.address, "ttl": ttl, "size": size, "rtt": round(rtt_ms, 3)} for rtt_ms in hop.rtts_ms[:packets]
    ]
    return came + [dict(_SILENT) for _ in range(packets - len(came))]


def _ttl(first: int, hop: Hop) -> int:
    """Return what is left of a reply's TTL: each router between takes 1 away, and the way back is the way there."""
    return first - (hop.number - 1)


def _share(sending: Sending, what: str) -> int:
    """Return a number that looks random and is the same for the same sending."""
    return zlib.crc32(f"{what} {sending.vantage.id} {sending.measurement} {sending.turn}".encode())
