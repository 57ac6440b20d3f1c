"""Measurements as the API describes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from catchment.errors import UnknownName
from catchment.model import Kind
from catchment.platforms.atlas.client import Atlas
from catchment.platforms.atlas.failures import clean
from catchment.store import Measurement

IDENTITY_QUERIES = ("hostname.bind", "id.server")
"""CHAOS TXT names that a server answers with its own name."""

_CHAOS = {"CHAOS", "CH"}


def read_measurement(atlas: Atlas, number: int, found: Any) -> Measurement:
    """Read the API's own description of a measurement. Raises UnknownName where it is of no kind that tells a site."""
    kind, af = (found.get("type"), found.get("af")) if isinstance(found, dict) else (None, None)
    if str(kind) not in set(Kind) or af not in {4, 6}:
        what = clean(kind, longest=40)
        raise UnknownName(f"{atlas.endpoint.server}: measurement {number} is '{what}', not dns, ping or traceroute")
    query_class = str(found.get("query_class")).upper()
    asks_identity = query_class in _CHAOS and str(found.get("query_type")).upper() == "TXT"
    name = str(found.get("query_argument") or "").rstrip(".").lower()
    interval, start, stop = found.get("interval"), found.get("start_time"), found.get("stop_time")
    addresses = addresses_of(found)
    return Measurement(
        id=number,
        kind=Kind(str(kind)),
        target=str(addresses[0]) if addresses else clean(found.get("target"), longest=80),
        af=af,
        query=name if kind == Kind.DNS and asks_identity and name in IDENTITY_QUERIES else None,
        nsid=bool(found.get("set_nsid_bit")) and query_class in {"IN", *_CHAOS},
        probes=None,
        start=float(start) if isinstance(start, int | float) else 0.0,
        stop=float(stop) if isinstance(stop, int | float) else None,
        interval_s=interval if isinstance(interval, int) and not found.get("is_oneoff") else None,
        reused=True,
    )


def addresses_of(found: Mapping[str, Any]) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the addresses that a measurement asks: `target` may be a name."""
    resolved = found.get("resolved_ips")
    addresses = []
    for text in [found.get("target_ip"), found.get("target"), *(resolved if isinstance(resolved, list) else [])]:
        try:
            addresses.append(ipaddress.ip_address(str(text)))
        except ValueError:
            continue
    return addresses
