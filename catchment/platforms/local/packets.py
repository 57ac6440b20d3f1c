"""Packets as bytes, built and read by scapy. It opens no socket here and asks no routing table."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from scapy.layers.dns import DNS, DNSQR, DNSRROPT, EDNS0TLV
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6

from catchment.model import AddressFamily

_NSID = 3  # RFC 5001
_PAYLOAD = 1232  # bytes that EDNS offers: the reply fits in a frame everywhere
_CHAOS = 3
_HEADER = 12
_IS_REPLY = 0x80
_IS_TRUNCATED = 0x02
_PRINTED_ANSWERS = 2  # as many as a probe of RIPE Atlas prints
_PRINTABLE = range(0x20, 0x7F)


@lru_cache(maxsize=64)
def identity_query(name: str, *, nsid: bool) -> bytes:
    """Return the DNS message that asks for a CHAOS TXT record, and for NSID by EDNS; its id is 0."""
    question = DNSQR(qname=name, qtype="TXT", qclass=_CHAOS)
    options = [DNSRROPT(rclass=_PAYLOAD, z=0, rdata=[EDNS0TLV(optcode=_NSID, optdata=b"")])] if nsid else []
    return bytes(DNS(id=0, rd=0, qd=[question], ar=options))


def with_id(query: bytes, number: int) -> bytes:
    """Return a DNS message with another id."""
    return number.to_bytes(2) + query[2:]


def answers_query(message: bytes, query: bytes) -> bool:
    """Tell whether a DNS message is a reply to a query: its id, and its question.

    The question may be missing where nothing is answered: some servers send no more than a header with an error.
    """
    if len(message) < _HEADER or message[:2] != query[:2] or not message[2] & _IS_REPLY:
        return False
    if message[4:8] == bytes(4):
        return True
    question = query[_HEADER : _question_end(query)]
    return message[4:6] == b"\0\1" and message[_HEADER:].lower().startswith(question.lower())


def is_truncated(message: bytes) -> bool:
    """Tell whether a DNS message was cut short: over TCP there is more."""
    return bool(message[2] & _IS_TRUNCATED)


def _question_end(query: bytes) -> int:
    return query.index(0, _HEADER) + 5  # the root label, type and class


def counts(message: bytes) -> dict[str, int]:
    """Return the numbers in the header of a DNS message, under their names in results."""
    names = ("ID", "", "QDCOUNT", "ANCOUNT", "NSCOUNT", "ARCOUNT")
    return {name: int.from_bytes(message[2 * at : 2 * at + 2]) for at, name in enumerate(names) if name}


def printed_answers(message: bytes) -> list[dict[str, Any]]:
    r"""Return the TXT records among the first two answers as RIPE Atlas prints them.

    Bytes outside of printable ASCII are written \DDD. What cannot be read is left out: the message itself is kept.
    """
    shown = min(int.from_bytes(message[6:8]), _PRINTED_ANSWERS)
    # A message may claim 65,535 records; only those that are printed need be read.
    return list(_read_answers(message[2:6] + shown.to_bytes(2) + bytes(4) + message[_HEADER:])) if shown else []


@lru_cache(maxsize=256)  # servers say the same again and again
def _read_answers(rest: bytes) -> tuple[dict[str, Any], ...]:
    try:
        records = DNS(bytes(2) + rest).an or ()
        return tuple(
            {"TYPE": "TXT", "NAME": _text(record.rrname.removesuffix(b".")), "RDATA": list(map(_text, record.rdata))}
            for record in records
            if record.type == 16
        )
    except Exception:  # noqa: BLE001  (whatever scapy raises about bytes from the network)
        return ()


def _text(raw: bytes) -> str:
    return "".join(chr(byte) if byte in _PRINTABLE else f"\\{byte:03d}" for byte in raw)


def echo_request(af: AddressFamily, identifier: int, number: int, data: bytes) -> bytes:
    """Return an ICMP echo request; the checksum of ICMPv6 is left to the kernel, which knows the addresses."""
    if af == 6:
        return bytes(ICMPv6EchoRequest(id=identifier, seq=number, data=data, cksum=0))
    return bytes(ICMP(type="echo-request", id=identifier, seq=number) / data)


def udp_probe(source: str, target: str, ports: tuple[int, int], data: bytes) -> bytes:
    """Return a UDP packet, its header and data, between the ports of two addresses of one family."""
    return _transport(source, target, UDP(sport=ports[0], dport=ports[1]) / data)


def tcp_syn(source: str, target: str, ports: tuple[int, int], number: int) -> bytes:
    """Return the TCP packet that asks for a connection, with a sequence number."""
    return _transport(source, target, TCP(sport=ports[0], dport=ports[1], seq=number, flags="S"))


def _transport(source: str, target: str, packet: Any) -> bytes:
    """Return a packet without its IP header, over which its checksum goes as well."""
    if ":" in target:
        return bytes(IPv6(src=source, dst=target) / packet)[40:]
    return bytes(IP(src=source, dst=target) / packet)[20:]
