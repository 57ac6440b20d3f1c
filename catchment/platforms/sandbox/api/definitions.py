"""What a client asks for: the definitions of a POST, checked as RIPE Atlas checks them, field by field."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catchment.model import AddressFamily, Kind
from catchment.platforms.sandbox.api.exchange import Problem
from catchment.platforms.sandbox.api.fields import (
    REQUIRED,
    Check,
    one_of,
    read_description,
    read_fields,
    read_flag,
    read_name,
    read_tags,
    read_text,
    read_time,
    whole,
)
from catchment.platforms.sandbox.api.messages import Question

_QUERY_TYPES = (
    "A", "AAAA", "ANY", "CNAME", "DNSKEY", "DS", "MX", "NS", "NSEC", "NSEC3", "NSEC3PARAM", "PTR", "RRSIG", "SOA",
    "TXT", "SRV", "NAPTR", "TLSA", "HINFO", "SSHFP",
)  # fmt: skip
_SHORTEST_INTERVAL_S = 60
_LONGEST_SPREAD_S = 400
_PLAIN_PAYLOAD = 512


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
    kind, problems = read_fields(given, {"type": (_kind, REQUIRED)}, place)
    fields = _COMMON | (_OF_KIND[Kind(kind["type"])] if "type" in kind else {})
    values, more = read_fields(given, fields, place)
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


def known_fields(given: Any) -> frozenset[str]:
    """Return the fields that a definition of this kind may hold; those of all kinds where its kind is unknown."""
    kind = given.get("type") if isinstance(given, Mapping) else None
    own = [fields for of, fields in _OF_KIND.items() if of == kind] or _OF_KIND.values()
    return frozenset({"type", *_COMMON}.union(*own))


def _kind(value: Any) -> str:
    text = read_text(value)
    if text not in set(Kind):
        raise ValueError(f'"{text}" is not a valid choice.')  # sslcert, ntp and http say nothing of anycast
    return text


def _family(value: Any) -> int:
    if value not in (4, 6) or isinstance(value, bool | float):
        raise ValueError(f'"{value}" is not a valid choice.')
    return int(value)


_COMMON: dict[str, tuple[Check, Any]] = {
    "description": (read_description, REQUIRED),
    "af": (_family, REQUIRED),
    "target": (read_text, REQUIRED),
    "interval": (whole(_SHORTEST_INTERVAL_S, 86_400 * 30), None),
    "spread": (whole(0, _LONGEST_SPREAD_S), None),
    "tags": (read_tags, ()),
    "is_public": (read_flag, True),
    "is_oneoff": (read_flag, False),
    "resolve_on_probe": (read_flag, False),
    "skip_dns_check": (read_flag, False),
    "start_time": (read_time, None),
    "stop_time": (read_time, None),
}
_OF_KIND: dict[Kind, dict[str, tuple[Check, Any]]] = {
    Kind.DNS: {
        "query_class": (one_of("IN", "CHAOS"), REQUIRED),
        "query_type": (one_of(*_QUERY_TYPES), REQUIRED),
        "query_argument": (read_name, REQUIRED),
        "protocol": (one_of("UDP", "TCP"), "UDP"),
        "port": (whole(1, 65_535), 53),
        "retry": (whole(0, 10), 0),
        "timeout": (whole(100, 30_000), 5000),
        "udp_payload_size": (whole(_PLAIN_PAYLOAD, 4096), _PLAIN_PAYLOAD),
        "set_nsid_bit": (read_flag, False),
        "set_rd_bit": (read_flag, False),
        "set_do_bit": (read_flag, False),
        "set_cd_bit": (read_flag, False),
        "set_ad_bit": (read_flag, False),
        "include_abuf": (read_flag, True),
        "include_qbuf": (read_flag, False),
        "prepend_probe_id": (read_flag, False),
        "use_probe_resolver": (read_flag, False),
        "use_macros": (read_flag, False),
        "tls": (read_flag, False),
    },
    Kind.PING: {
        "packets": (whole(1, 16), 3),
        "size": (whole(1, 2048), 48),
        "packet_interval": (whole(2, 300_000), 1000),
        "include_probe_id": (read_flag, False),
    },
    Kind.TRACEROUTE: {
        "protocol": (one_of("ICMP", "UDP", "TCP"), REQUIRED),
        "packets": (whole(1, 16), 3),
        "size": (whole(0, 2048), 48),
        "paris": (whole(0, 64), 16),
        "first_hop": (whole(1, 255), 1),
        "max_hops": (whole(1, 255), 32),
        "port": (whole(1, 65_535), 80),
        "timeout": (whole(1, 60_000), 4000),
        "response_timeout": (whole(1, 60_000), 20_000),
        "duplicate_timeout": (whole(1, 60_000), 10),
        "dont_fragment": (read_flag, False),
        "destination_option_size": (whole(0, 1024), None),
        "hop_by_hop_option_size": (whole(0, 2048), None),
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
