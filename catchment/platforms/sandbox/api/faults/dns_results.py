"""Faults in DNS results: no answers, wrong ones, and right ones in forms that surprise whoever reads them."""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Callable
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

from catchment.model import Kind
from catchment.platforms.sandbox.api.faults.fault import Result, ResultFault

_DNS = frozenset({Kind.DNS})
_TIMEOUT_MS = 5000
_BOX = "PowerDNS Recursor"  # what a real box on the way of A-root's queries said, in the wrong class
_BINARY = b"\x00\xc3(\xff\x80fra\x1b[31m"  # no UTF-8, and a colour for a careless terminal
_PAYLOAD_BYTES = 1232
_LOCAL_OPTION = dns.edns.OptionType.make(65_001)  # RFC 6891: from here on for whoever likes


def _error(**error: Any) -> Callable[[Result, random.Random], Result]:
    """Return a change by which no answer came, for a reason."""

    def change(result: Result, _: random.Random) -> Result:
        return {name: value for name, value in result.items() if name != "result"} | {"error": error}

    return change


def _unresolved(result: Result, draw: random.Random) -> Result:
    """Return a result whose probe did not even find an address to ask."""
    known = {name: value for name, value in result.items() if name not in {"dst_addr", "src_addr", "af"}}
    return _error(getaddrinfo="Temporary failure in name resolution")(known, draw)


def _message(change: Callable[[dns.message.Message], list[str] | None]) -> Callable[[Result, random.Random], Result]:
    """Return a change of the wire message: of a result that holds one that can be read.

    `change` returns the TXT strings that the firmware prints from then on; None leaves what it printed.
    """

    def remake(result: Result, _: random.Random) -> Result:
        answer = result.get("result") or {}
        try:
            wire = base64.b64decode(answer["abuf"] + "==")
            message = dns.message.from_wire(wire)
        except (KeyError, binascii.Error, dns.exception.DNSException):
            return result
        texts = change(message)
        wire = message.to_wire()
        counts = {"ANCOUNT": len(message.answer), "ARCOUNT": int(message.opt is not None)}
        made = {**answer, "abuf": base64.b64encode(wire).decode(), "size": len(wire), **counts}
        if texts is not None:
            made.pop("answers", None)
        if texts:
            name = str(message.question[0].name).rstrip(".")
            made["answers"] = [{"TYPE": "TXT", "NAME": name, "RDATA": texts}]
        return {**result, "result": made}

    return remake


def _refuse(message: dns.message.Message) -> list[str]:
    message.answer.clear()
    message.flags &= ~dns.flags.AA
    message.use_edns(None)
    message.set_rcode(dns.rcode.REFUSED)
    return []


def _empty(message: dns.message.Message) -> list[str]:
    message.answer.clear()
    message.use_edns(None)
    return []


def _wrong_class(message: dns.message.Message) -> list[str]:
    rdclass, rdtype = dns.rdataclass.IN, dns.rdatatype.TXT
    answer = dns.rrset.RRset(message.question[0].name, rdclass, rdtype)
    answer.add(TXT(rdclass, rdtype, (_BOX.encode(),)), ttl=5)
    message.answer[:] = [answer]
    message.flags = (message.flags & ~dns.flags.AA) | dns.flags.RA
    message.use_edns(None)
    return [_BOX]


def _binary_nsid(message: dns.message.Message) -> None:
    others = [option for option in message.options if option.otype != dns.edns.NSID]
    message.use_edns(0, payload=_PAYLOAD_BYTES, options=[dns.edns.NSIDOption(_BINARY), *others])


def _more_options(message: dns.message.Message) -> None:
    more = [
        dns.edns.EDEOption(dns.edns.EDECode.STALE_ANSWER, "from the cache"),
        dns.edns.ECSOption("192.0.2.0", 24, 0),
        dns.edns.GenericOption(_LOCAL_OPTION, b"\xff\x00"),
    ]
    message.use_edns(0, payload=_PAYLOAD_BYTES, options=[*message.options, *more])


def _texts(change: Callable[[Any], Any]) -> Callable[[Result, random.Random], Result]:
    """Return a change of what the firmware printed as TXT data."""

    def reprint(result: Result, _: random.Random) -> Result:
        answer = result.get("result") or {}
        if "answers" not in answer:
            return result
        printed = [{**one, "RDATA": change(one["RDATA"])} if "RDATA" in one else one for one in answer["answers"]]
        return {**result, "result": {**answer, "answers": printed}}

    return reprint


def _unpadded(result: Result, _: random.Random) -> Result:
    answer = result.get("result") or {}
    return {**result, "result": {**answer, "abuf": answer["abuf"].rstrip("=")}} if "abuf" in answer else result


def _resolvers(result: Result, _: random.Random) -> Result:
    """Return a result as of a probe that asks its own resolvers, of which only the first answers."""
    if "result" not in result and "error" not in result:
        return result
    own = ("dst_addr", "src_addr", "af", "proto", "result", "error")
    asked = {name: result[name] for name in own if name in result}
    silent = {name: value for name, value in asked.items() if name != "result"} | {"error": {"timeout": _TIMEOUT_MS}}
    times = {"time": result["timestamp"], "lts": result.get("lts", -1), "submax": 2, "dst_port": "53"}
    top = {name: value for name, value in result.items() if name not in own or name == "af"}
    return {**top, "resultset": [times | {"subid": 1} | asked, times | {"subid": 2} | silent]}


def _fault(name: str, about: str, change: Callable[[Result, random.Random], Result]) -> ResultFault:
    return ResultFault(name=name, about=f"one of ten DNS results: {about}", kinds=_DNS, change=change)


DNS_FAULTS = (
    _fault("dns-timeout", "no answer in time", _error(timeout=_TIMEOUT_MS)),
    _fault("dns-getaddrinfo", "the probe finds no address to ask, and tells none", _unresolved),
    _fault("dns-refused", "REFUSED, which only the wire message says", _message(_refuse)),
    _fault("dns-no-answers", "an answer without any record", _message(_empty)),
    _fault(
        "dns-string-rdata",
        "TXT data as a string",
        _texts(lambda data: data if isinstance(data, str) else "".join(data)),
    ),
    _fault(
        "dns-list-rdata",
        "TXT data as a list of strings",
        _texts(lambda data: [data] if isinstance(data, str) else data),
    ),
    _fault("dns-unpadded", "the wire message in Base64 without padding", _unpadded),
    _fault("dns-wrong-class", "a box on the way answers, in class IN", _message(_wrong_class)),
    _fault("dns-binary-nsid", "an NSID that is no text", _message(_binary_nsid)),
    _fault(
        "dns-more-options", "EDNS options beside the NSID: EDE, ECS and one that nobody knows", _message(_more_options)
    ),
    _fault("dns-resultset", "the results of two resolvers in one, one of them an error", _resolvers),
)
