"""Replies as DNS wire messages: what a RIPE Atlas probe keeps as `abuf`, and what its firmware reads out of them.

A campaign sees a few thousand different replies a million times, so each is put together once; only its two-byte id
differs from one result to the next.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from functools import lru_cache

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

from catchment.platforms.sandbox.internet.replies import Reply

_HEADER_BYTES = 12
_LONGEST_STRING = 255  # RFC 1035, 3.3
_PRINTABLE = range(0x20, 0x7F)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: `edns_payload` is the size that EDNS offers (None: no EDNS in the query)."""

    name: str
    rdtype: str = "TXT"
    rdclass: str = "CH"
    recursion_desired: bool = False
    edns_payload: int | None = None

    @property
    def chaos_name(self) -> str | None:
        """Return the name of a CHAOS TXT query; None for any other question."""
        return self.name if (self.rdclass, self.rdtype) == ("CH", "TXT") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WireMessage:
    r"""A reply on the wire, all but its id: the length in bytes, the header's counts, and the TXT strings as printed.

    `texts` holds the strings of each TXT answer that can be read, bytes outside of printable ASCII written as \DDD.
    """

    size: int
    answer_count: int
    additional_count: int
    texts: tuple[tuple[str, ...], ...]
    first_flags: int
    base64_rest: str

    def abuf(self, message_id: int) -> str:
        """Return the whole message in Base64 with this id (0 to 65535)."""
        # Three bytes, the id and the first of the flags, make exactly four characters.
        return base64.b64encode(message_id.to_bytes(2) + bytes((self.first_flags,))).decode() + self.base64_rest


def reply_message(question: Question, reply: Reply) -> WireMessage:
    """Return a reply of the simulated Internet to a question as a wire message.

    A garbled one ends in the middle of its last record (or of its question).
    """
    return _wire_message(question, replace(reply, rtt_ms=0.0))


@lru_cache(maxsize=65_536)
def _wire_message(question: Question, reply: Reply) -> WireMessage:
    name = dns.name.from_text(question.name)
    query = dns.message.make_query(name, question.rdtype, question.rdclass, id=0)
    query.flags = dns.flags.RD if question.recursion_desired else dns.flags.Flag(0)
    if question.edns_payload is not None:
        query.use_edns(0, payload=question.edns_payload)
    message = dns.message.make_response(query)
    if not reply.authoritative:
        message.flags |= dns.flags.RA  # a resolver, or a box that plays one
    elif reply.rcode == "NOERROR":
        message.flags |= dns.flags.AA  # who refuses has no authority over what was asked
    message.set_rcode(dns.rcode.from_text(reply.rcode))
    strings = () if reply.text is None else _strings(reply.text.encode())
    if reply.text is not None:
        rdclass = dns.rdataclass.from_text(reply.answer_class)
        rrset = dns.rrset.RRset(name, rdclass, dns.rdatatype.TXT)
        rrset.add(TXT(rdclass, dns.rdatatype.TXT, strings), ttl=0)
        message.answer.append(rrset)
    options: list[dns.edns.Option] = [] if reply.nsid is None else [dns.edns.NSIDOption(reply.nsid.encode())]
    if question.edns_payload is not None:
        message.use_edns(0, payload=1232, options=options)
    wire = message.to_wire()
    if reply.garbled:
        wire = _cut(wire, name, strings)
    return WireMessage(
        size=len(wire),
        answer_count=len(message.answer),
        additional_count=int(message.opt is not None),
        texts=() if reply.garbled or reply.text is None else (tuple(map(_printed, strings)),),
        first_flags=wire[2],
        base64_rest=base64.b64encode(wire[3:]).decode(),
    )


def _strings(text: bytes) -> tuple[bytes, ...]:
    """Cut a text into strings of at most 255 bytes; an empty one is one empty string."""
    return tuple(text[at : at + _LONGEST_STRING] for at in range(0, max(1, len(text)), _LONGEST_STRING))


def _cut(wire: bytes, name: dns.name.Name, strings: tuple[bytes, ...]) -> bytes:
    """Cut a message off in the middle of its TXT data; without any, in the middle of the question's name."""
    question_end = _HEADER_BYTES + sum(len(label) + 1 for label in name.labels) + 4
    if not strings:
        return wire[: (_HEADER_BYTES + question_end) // 2]
    data_start = question_end + 2 + 10  # a pointer to the name; type, class, TTL and length (RFC 1035, 3.2.1)
    return wire[: data_start + (sum(map(len, strings)) + 1) // 2]


def _printed(string: bytes) -> str:
    return "".join(chr(byte) if byte in _PRINTABLE else f"\\{byte:03d}" for byte in string)
