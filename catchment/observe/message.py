"""What one DNS reply says: who answered, to which question, with which rcode.

A campaign sees a few thousand different replies a million times, so each is decoded once (the reply without its
two-byte id) and joined back.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from catchment.observe.reading import printable

# The first three characters of the Base64 text hold the id and the top two bits of the flags; these stand for id 0 and
# a response (QR = 1). What follows them tells one reply from another.
_RESTORED = "AAC"
KEY_START = len(_RESTORED) + 1

IDENTITY_SOURCES = ("hostname.bind", "id.server", "nsid")
"""Where servers name themselves (RFC 4892, RFC 5001); version.bind and the like name software."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One distinct reply, decoded; `readable` is False where it was cut off before what it has to say."""

    query: str | None = None
    identity: str | None = None
    identity_source: str | None = None
    second_identity: str | None = None
    second_identity_source: str | None = None
    rcode: str | None = None
    answer_class: str | None = None
    question_class: str | None = None
    readable: bool = True


UNREADABLE = Reply(readable=False)


def decode_key(key: str) -> Reply:
    """Decode the distinct part of a reply: the Base64 text of its message from the fourth character on.

    A key that begins with '[' holds the probe's own `answers` as JSON, where the message itself was not kept.
    """
    if key.startswith("["):
        return _from_answers(key)
    try:
        wire = base64.b64decode(_RESTORED + key + "==")
    except (binascii.Error, ValueError):
        return UNREADABLE
    return from_wire(wire)


def from_wire(wire: bytes) -> Reply:
    """Decode a DNS message. Real replies are cut off, have trailing bytes or a foreign class: what is there is used."""
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True, continue_on_error=True)
    except (dns.exception.DNSException, ValueError, AssertionError):
        return UNREADABLE
    texts = [
        (printable(b" ".join(record.strings)), record.rdclass)
        for rrset in message.answer
        for record in rrset
        if record.rdtype == dns.rdatatype.TXT
    ]
    nsid = next((printable(option.nsid) for option in message.options if isinstance(option, dns.edns.NSIDOption)), None)
    question = message.question[0] if message.question else None
    query = None if question is None else _query(question.name.to_text(), question.rdtype)
    identities = [(text, _source(query, message)) for text, _ in texts[:1]]
    if nsid:
        identities.append((nsid, "nsid"))
    # An empty text or a software version beside an NSID names nobody; on its own it is still what the server gave.
    identities.sort(key=lambda found: found[0] == "" or found[1] not in IDENTITY_SOURCES)
    first, second = (*identities, (None, None), (None, None))[:2]
    # A reply that was cut before its answer is not one without an answer: nobody is accused of what a middlebox tore,
    # or of the truncated replies by which servers limit the rate of their responses.
    silent = not identities and message.rcode() == dns.rcode.NOERROR
    torn = silent and ((bool(message.errors) and _answers_announced(wire) > 0) or bool(message.flags & dns.flags.TC))
    answer_class = texts[0][1] if texts else None if question is None else question.rdclass
    return Reply(
        query=query,
        identity=first[0],
        identity_source=first[1],
        second_identity=second[0],
        second_identity_source=second[1],
        rcode=dns.rcode.to_text(message.rcode()),
        answer_class=None if answer_class is None else dns.rdataclass.to_text(answer_class),
        question_class=None if question is None else dns.rdataclass.to_text(question.rdclass),
        readable=not torn,
    )


def _answers_announced(wire: bytes) -> int:
    """Return ANCOUNT of a message's header (RFC 1035, 4.1.1)."""
    return int.from_bytes(wire[6:8])


def _query(name: str, rdtype: dns.rdatatype.RdataType) -> str:
    """Name an identity query by its name alone, any other by its type as well."""
    name = printable(name.rstrip(".").lower().encode()) or "."
    return name if rdtype == dns.rdatatype.TXT else f"{dns.rdatatype.to_text(rdtype)} {name}"


def _source(query: str | None, message: dns.message.Message) -> str:
    """Name the query that a TXT answer belongs to; some replies have no question section."""
    return query or _query(message.answer[0].name.to_text(), dns.rdatatype.TXT)


def _from_answers(text: str) -> Reply:
    """Decode what the probe itself printed: TXT data as a string (firmware up to 4720) or a list of strings."""
    try:
        answers = json.loads(text)
    except ValueError:
        return UNREADABLE
    for answer in answers:
        if not isinstance(answer, dict) or answer.get("TYPE") != "TXT":
            continue
        data = answer.get("RDATA")
        strings = data if isinstance(data, list) else [data]
        name = answer.get("NAME")
        source = printable(name.rstrip(".").lower().encode()) if isinstance(name, str) else ""
        identity = printable(" ".join(str(part) for part in strings if part is not None).encode())
        return Reply(query=source or None, identity=identity, identity_source=source or None, rcode="NOERROR")
    return Reply(rcode="NOERROR")
