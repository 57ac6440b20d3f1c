"""Peering LANs of Internet exchanges: where an address in one stands."""

from __future__ import annotations

import ipaddress
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from catchment.errors import InvalidFile
from catchment.geo import on_earth

_TABLE = Path(__file__).parent / "exchanges.toml"
_LONGEST_ADDRESS = 64  # an IPv6 address with a scope
_SPREAD = "spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An Internet exchange whose peering LAN stands in one town; coordinates in degrees."""

    name: str
    town: str
    country: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """The addresses from `first` to `last`, as numbers; `exchange` is None where the LAN is spread over towns."""

    prefix: str
    version: int
    first: int
    last: int
    exchange: Exchange | None


def exchange_at(address: str) -> Exchange | None:
    """Return the exchange in whose peering LAN an address stands.

    None where no LAN that is known holds it, where the LAN is spread over several towns, and for what is no address.
    """
    if len(address) > _LONGEST_ADDRESS:
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    firsts, lans = _known()[parsed.version]
    number = int(parsed)
    at = bisect_right(firsts, number) - 1
    return lans[at].exchange if at >= 0 and number <= lans[at].last else None


def load_lans(path: Path = _TABLE) -> tuple[Lan, ...]:
    """Read a table of peering LANs, in the order of their addresses. Raises InvalidFile where two overlap."""
    table: dict[str, dict[str, dict[str, Any]]] = tomllib.loads(path.read_text(encoding="utf-8"))
    lans = [_lan(prefix, None, path) for prefixes in table.pop(_SPREAD, {}).values() for prefix in prefixes]
    for country, towns in table.items():
        for town, exchanges in towns.items():
            latitude, longitude = exchanges.pop("at", (None, None))
            if latitude is None or longitude is None or not on_earth(latitude, longitude):
                raise InvalidFile(f"{path}: '{town}, {country}' needs a place on Earth: at = [latitude, longitude]")
            for name, prefixes in exchanges.items():
                exchange = Exchange(name=name, town=town, country=country, latitude=latitude, longitude=longitude)
                lans += [_lan(prefix, exchange, path) for prefix in prefixes]
    lans.sort(key=lambda lan: (lan.version, lan.first))
    for lan, after in pairwise(lans):
        if lan.version == after.version and lan.last >= after.first:
            raise InvalidFile(f"{path}: '{lan.prefix}' and '{after.prefix}' overlap: an address has one LAN")
    return tuple(lans)


def _lan(prefix: str, exchange: Exchange | None, path: Path) -> Lan:
    try:
        network = ipaddress.ip_network(prefix)
    except ValueError as error:
        raise InvalidFile(f"{path}: '{prefix}' is no prefix: {error}") from error
    return Lan(
        prefix=prefix,
        version=network.version,
        first=int(network.network_address),
        last=int(network.broadcast_address),
        exchange=exchange,
    )


@cache
def _known() -> dict[int, tuple[list[int], list[Lan]]]:
    """Return for each IP version the first addresses of the LANs, in order, and the LANs."""
    families = {version: [lan for lan in load_lans() if lan.version == version] for version in (4, 6)}
    return {version: ([lan.first for lan in lans], lans) for version, lans in families.items()}
