"""The autonomous systems that announce addresses, by the DNS zones of Team Cymru (origin.asn.cymru.com, TXT)."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import dns.exception
import dns.resolver

from catchment.platforms.reverse_names import is_public, make_resolver

_ZONES = {4: "origin.asn.cymru.com.", 6: "origin6.asn.cymru.com."}
_NAMES = "asn.cymru.com."
_ASN = re.compile(r"\d{1,10}")
_LONGEST_NAME = 80
_PORT = 53
_LEAST_S = 0.05

_Key = TypeVar("_Key", str, int)
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who announces an address: the AS, its most specific prefix, and the name of the AS where that is told."""

    asn: int
    prefix: str
    name: str | None = None


def find_origins(
    addresses: Iterable[str],
    *,
    nameservers: Sequence[str] | None = None,
    port: int = _PORT,
    timeout_s: float = 2.0,
    ticks: Callable[[], float] = time.monotonic,
) -> dict[str, Origin]:
    """Ask resolvers (None: this host's own) for the AS of each public address; who has none, or no answer, is left out.

    All of it takes `timeout_s` at most: names of ASes are asked for in the time that is left. Of several ASes that
    announce one prefix the first counts. Raises PlatformFailed where this host has no resolver.
    """
    resolver = make_resolver(nameservers, port, timeout_s)
    end = ticks() + timeout_s
    asked = list(dict.fromkeys(address for address in addresses if is_public(address)))
    origins = _ask_all(asked, lambda address: _origin(_texts(resolver, _question(address), end - ticks())))
    numbers = sorted({origin.asn for origin in origins.values()})
    names = _ask_all(numbers, lambda asn: _name(_texts(resolver, f"AS{asn}.{_NAMES}", end - ticks())))
    return {address: replace(origin, name=names.get(origin.asn)) for address, origin in origins.items()}


def _ask_all(keys: Sequence[_Key], ask: Callable[[_Key], _Found | None]) -> Mapping[_Key, _Found]:
    if not keys:
        return {}
    with ThreadPoolExecutor(max_workers=len(keys)) as pool:
        found = list(pool.map(ask, keys))
    return {key: one for key, one in zip(keys, found, strict=True) if one is not None}


def _question(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    labels = parsed.exploded.replace(":", "") if parsed.version == 6 else parsed.exploded.split(".")
    return f"{'.'.join(reversed(labels))}.{_ZONES[parsed.version]}"


def _texts(resolver: dns.resolver.Resolver, question: str, left_s: float) -> list[str]:
    """Return the texts of a name; none where nobody tells."""
    if left_s < _LEAST_S:
        return []
    try:
        answer = resolver.resolve(question, "TXT", search=False, lifetime=left_s)
    except (dns.exception.DNSException, OSError, ValueError):
        return []
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


def _origin(texts: Iterable[str]) -> Origin | None:
    """Read `23028 | 216.90.108.0/24 | US | arin | 1998-09-25`; of several prefixes the most specific counts."""
    found = []
    for text in texts:
        numbers, _, rest = text.partition("|")
        number = _ASN.match(numbers.strip())
        try:
            prefix = ipaddress.ip_network(rest.partition("|")[0].strip())
        except ValueError:
            continue
        if number is not None and 0 < int(number[0]) < 1 << 32:
            found.append((prefix.prefixlen, Origin(asn=int(number[0]), prefix=str(prefix))))
    return max(found, key=lambda one: one[0])[1] if found else None


def _name(texts: Iterable[str]) -> str | None:
    """Read the last part of `23028 | US | arin | 2002-01-04 | TEAM-CYMRU, US`."""
    for text in texts:
        parts = text.split("|", 4)
        if len(parts) == 5 and parts[4].strip():
            return parts[4].strip()[:_LONGEST_NAME]
    return None
