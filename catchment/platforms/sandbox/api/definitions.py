"""What a client asks for: the definitions of a POST, checked as RIPE Atlas checks them, field by field."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dns.exception
import dns.name

from catchment.model import AddressFamily, Kind
from catchment.platforms.sandbox.api.exchange import Problem
from catchment.platforms.sandbox.api.messages import Question

_REQUIRED = object()
_QUERY_TYPES = (
    "A", "AAAA", "ANY", "CNAME", "DNSKEY", "DS", "MX", "NS", "NSEC", "NSEC3", "NSEC3PARAM", "PTR", "RRSIG", "SOA",
    "TXT", "SRV", "NAPTR", "TLSA", "HINFO", "SSHFP",
)  # fmt: skip
_SHORTEST_INTERVAL_S = 60
_LONGEST_SPREAD_S = 400
_LONGEST_DESCRIPTION = 250
_PLAIN_PAYLOAD = 512

Check = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A measurement as asked for, checked. `options` holds the fields of its kind, with RIPE Atlas's defaults.

    `given` is what the client sent, from which `read_definition` makes the same again.
    """

    kind: Kind
    af: AddressFamily
    target: str
    address: str
    description: str
    interval_s: int | None
    spread_s: int | None
    tags: tuple[str, ...]
    is_public: bool
    is_oneoff: bool
    start: int | None
    stop: int | None
    options: Mapping[str, Any]
    question: Question | None
    given: Mapping[str, Any]


def read_definition(given: Any, place: str = "") -> tuple[Definition | None, list[Problem]]:
    """Check one definition, an element of the body at the JSON pointer `place`; return it, or all that is wrong."""
    if not isinstance(given, dict):
        return None, [Problem(pointer=place, detail="Invalid data. Expected a dictionary.")]
    kind, problems = _read(given, {"type": (_kind, _REQUIRED)}, place)
    fields = _COMMON | (_OF_KIND[Kind(kind["type"])] if "type" in kind else {})
    values, more = _read(given, fields, place)
    problems += more
    if not problems:
        problems = _not_simulated(values, place)
    address = None
    if not problems:
        address = _address(values["target"], values["af"])
        if address is None:
            problems.append(Problem(pointer=f"{place}/target", detail="This target cannot be resolved"))
    if address is None or problems:
        return None, problems
    kind_of = Kind(kind["type"])
    options = {name: values[name] for name in _OF_KIND[kind_of] if values[name] is not None}
    return (
        Definition(
            kind=kind_of,
            af=values["af"],
            target=values["target"],
            address=address,
            description=values["description"],
            interval_s=values["interval"],
            spread_s=values["spread"],
            tags=tuple(values["tags"]),
            is_public=values["is_public"],
            is_oneoff=values["is_oneoff"],
            start=values["start_time"],
            stop=values["stop_time"],
            options=options,
            question=_question(options) if kind_of is Kind.DNS else None,
            given=given,
        ),
        [],
    )


def read_time(value: Any) -> int:
    """Return a time given as unix seconds or in ISO 8601 (UTC unless it says else). Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1 << 40:
        return int(value)
    if isinstance(value, str):
        if value.isascii() and value.isdigit():
            return int(value[:13])
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
    raise ValueError("Enter a valid unix timestamp or ISO 8601 date and time.")


def read_description(value: Any) -> str:
    """Return a description. Raises ValueError where it is none, or too long."""
    text = _text(value)
    if len(text) > _LONGEST_DESCRIPTION:
        raise ValueError(f"Ensure this field has no more than {_LONGEST_DESCRIPTION} characters.")
    return text


def known_fields(given: Any) -> frozenset[str]:
    """Return the fields that a definition of this kind may hold; those of all kinds where its kind is unknown."""
    kind = given.get("type") if isinstance(given, Mapping) else None
    own = [fields for of, fields in _OF_KIND.items() if of == kind] or _OF_KIND.values()
    return frozenset({"type", *_COMMON}.union(*own))


def _read(
    given: Mapping[str, Any], fields: Mapping[str, tuple[Check, Any]], place: str
) -> tuple[dict[str, Any], list[Problem]]:
    values: dict[str, Any] = {}
    problems = []
    for name, (check, default) in fields.items():
        if name not in given:
            if default is _REQUIRED:
                problems.append(Problem(pointer=f"{place}/{name}", detail="This field is required."))
            else:
                values[name] = default
        elif given[name] is None:
            problems.append(Problem(pointer=f"{place}/{name}", detail="This field may not be null."))
        else:
            try:
                values[name] = check(given[name])
            except ValueError as error:
                problems.append(Problem(pointer=f"{place}/{name}", detail=str(error)))
    return values, problems


def _kind(value: Any) -> str:
    text = _text(value)
    if text not in set(Kind):
        raise ValueError(f'"{text}" is not a valid choice.')  # sslcert, ntp and http say nothing of anycast
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Not a valid string.")
    if not value.strip():
        raise ValueError("This field may not be blank.")
    return value


def _name(value: Any) -> str:
    text = _text(value)
    try:
        dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(f'"{text}" is not a valid DNS name.') from error
    return text


def _slugs(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f'Expected a list of items but got type "{type(value).__name__}".')
    for entry in value:
        if not re.fullmatch("[a-z0-9-]+", _text(entry)):
            raise ValueError(f'"{entry}" is not a valid tag: use the letters a to z, digits and hyphens.')
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be a valid boolean.")
    return value


def _family(value: Any) -> int:
    if value not in (4, 6) or isinstance(value, bool | float):
        raise ValueError(f'"{value}" is not a valid choice.')
    return int(value)


def _whole(least: int, most: int) -> Check:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("A valid integer is required.")
        if value < least:
            raise ValueError(f"Ensure this value is greater than or equal to {least}.")
        if value > most:
            raise ValueError(f"Ensure this value is less than or equal to {most}.")
        return value

    return check


def _one_of(*choices: str) -> Check:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f'"{value}" is not a valid choice.')
        return str(value)

    return check


_COMMON: dict[str, tuple[Check, Any]] = {
    "description": (read_description, _REQUIRED),
    "af": (_family, _REQUIRED),
    "target": (_text, _REQUIRED),
    "interval": (_whole(_SHORTEST_INTERVAL_S, 86_400 * 30), None),
    "spread": (_whole(0, _LONGEST_SPREAD_S), None),
    "tags": (_slugs, ()),
    "is_public": (_flag, True),
    "is_oneoff": (_flag, False),
    "resolve_on_probe": (_flag, False),
    "skip_dns_check": (_flag, False),
    "start_time": (read_time, None),
    "stop_time": (read_time, None),
}
_OF_KIND: dict[Kind, dict[str, tuple[Check, Any]]] = {
    Kind.DNS: {
        "query_class": (_one_of("IN", "CHAOS"), _REQUIRED),
        "query_type": (_one_of(*_QUERY_TYPES), _REQUIRED),
        "query_argument": (_name, _REQUIRED),
        "protocol": (_one_of("UDP", "TCP"), "UDP"),
        "port": (_whole(1, 65_535), 53),
        "retry": (_whole(0, 10), 0),
        "timeout": (_whole(100, 30_000), 5000),
        "udp_payload_size": (_whole(_PLAIN_PAYLOAD, 4096), _PLAIN_PAYLOAD),
        "set_nsid_bit": (_flag, False),
        "set_rd_bit": (_flag, False),
        "set_do_bit": (_flag, False),
        "set_cd_bit": (_flag, False),
        "set_ad_bit": (_flag, False),
        "include_abuf": (_flag, True),
        "include_qbuf": (_flag, False),
        "prepend_probe_id": (_flag, False),
        "use_probe_resolver": (_flag, False),
        "use_macros": (_flag, False),
        "tls": (_flag, False),
    },
    Kind.PING: {
        "packets": (_whole(1, 16), 3),
        "size": (_whole(1, 2048), 48),
        "packet_interval": (_whole(2, 300_000), 1000),
        "include_probe_id": (_flag, False),
    },
    Kind.TRACEROUTE: {
        "protocol": (_one_of("ICMP", "UDP", "TCP"), _REQUIRED),
        "packets": (_whole(1, 16), 3),
        "size": (_whole(0, 2048), 48),
        "paris": (_whole(0, 64), 16),
        "first_hop": (_whole(1, 255), 1),
        "max_hops": (_whole(1, 255), 32),
        "port": (_whole(1, 65_535), 80),
        "timeout": (_whole(1, 60_000), 4000),
        "response_timeout": (_whole(1, 60_000), 20_000),
        "duplicate_timeout": (_whole(1, 60_000), 10),
        "dont_fragment": (_flag, False),
    },
}


def _not_simulated(values: Mapping[str, Any], place: str) -> list[Problem]:
    """Refuse what the sandbox has no answer for, rather than measure something else than what was asked."""
    wanted = [name for name in ("use_probe_resolver", "tls") if values.get(name)]
    return [Problem(pointer=f"{place}/{name}", detail="The sandbox does not simulate this.") for name in wanted]


def _question(options: Mapping[str, Any]) -> Question:
    size = options["udp_payload_size"]
    with_edns = options["set_nsid_bit"] or options["set_do_bit"] or size > _PLAIN_PAYLOAD
    return Question(
        name=options["query_argument"],
        rdtype=options["query_type"],
        rdclass="CH" if options["query_class"] == "CHAOS" else "IN",
        recursion_desired=options["set_rd_bit"],
        edns_payload=size if with_edns else None,
    )


def _address(target: str, af: int) -> str | None:
    try:
        address = ipaddress.ip_address(target.strip())
    except ValueError:
        return None
    return str(address) if address.version == af else None
