"""The paths that packets took, out of raw traceroutes: which routers answered, their names, where they stand."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from catchment.assign.hop_names.gazetteer import town_in_name
from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, arc_km
from catchment.places import Place
from catchment.places.exchanges import exchange_at

_LAST_HOP = 254  # after five silent hops Paris traceroute sends one packet with 255: how far that went nobody knows
_LONGEST_RTT_MS = 1e9
_LONGEST_ADDRESS = 64
_SILENT = "*"

Degrees = tuple[float, float]
"""Latitude and longitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A router on the way: its address (None: it kept silent), its name, its least RTT, and its town where known."""

    address: str | None = None
    name: str | None = None
    rtt_ms: float | None = None
    town: str | None = None
    country: str | None = None

    def __str__(self) -> str:
        """Return it as a short text: its name or else its address, its town, its RTT."""
        if self.address is None:
            return _SILENT
        town = "" if self.town is None else f" ({self.town}, {self.country})"
        time = "" if self.rtt_ms is None else f" {self.rtt_ms:.1f} ms"
        return f"{self.name or self.address}{town}{time}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The routers in order, the first hop first, and the least RTT of the target behind them.

    `is_whole` tells that the target is known to stand right behind the last of them.
    """

    hops: tuple[Hop, ...]
    rtt_ms: float | None
    is_whole: bool

    @property
    def countries(self) -> frozenset[str]:
        """Return the countries that it is known to lead through."""
        return frozenset(hop.country for hop in self.hops if hop.country is not None)


def read_route(raw: bytes) -> Route | None:
    """Read the path out of a raw result, its routers without names; None where it is none that reached its target."""
    try:
        result = json.loads(raw)
        entries = result["result"]
        target = _canonical(result.get("dst_addr") or result.get("addr"))
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None
    if target is None or not isinstance(entries, list):
        return None
    heard = dict[int, list[tuple[str, float]]]()
    for entry in entries:
        number = entry.get("hop") if isinstance(entry, dict) else None
        packets = entry.get("result") if isinstance(entry, dict) else None
        if isinstance(number, int) and 0 < number <= _LAST_HOP + 1 and isinstance(packets, list):
            heard[number] = [told for told in map(_heard, packets) if told is not None]
    reached = {
        number: ms for number, packets in heard.items() for who, ms in sorted(packets, reverse=True) if who == target
    }
    if not reached:
        return None
    last = min(reached)
    is_whole = last <= _LAST_HOP
    routers = [number for number, packets in heard.items() if packets and number < last]
    end = last if is_whole else max(routers, default=0) + 1
    hops = tuple(_hop(heard.get(number, ())) for number in range(1, end))
    return Route(hops=hops, rtt_ms=min(reached.values()), is_whole=is_whole)


def named(route: Route, names: Mapping[str, str], start: Degrees | None = None) -> Route:
    """Return the path with the names of its routers, and their towns where these or an exchange tell them.

    A town is believed only if light can have come back from there to the vantage point, which is at `start`, in the
    time that the router took.
    """
    hops = (hop if hop.address is None else _with_name(hop, names.get(hop.address), start) for hop in route.hops)
    return replace(route, hops=tuple(hops))


def is_same_way(one: Route, other: Route) -> bool:
    """Tell whether two paths may be the same: a router that kept silent may be any."""
    if one.is_whole and other.is_whole and len(one.hops) != len(other.hops):
        return False
    return all(
        here.address == there.address
        for here, there in zip(one.hops, other.hops, strict=False)
        if here.address is not None and there.address is not None
    )


def _heard(packet: Any) -> tuple[str, float] | None:
    """Return who answered a packet, and when; None for what tells neither, or belongs to an earlier hop."""
    if not isinstance(packet, dict) or "late" in packet:
        return None
    address, rtt_ms = _canonical(packet.get("from")), packet.get("rtt")
    if address is None or not isinstance(rtt_ms, int | float) or not 0 <= rtt_ms <= _LONGEST_RTT_MS:
        return None
    return address, float(rtt_ms)


def _canonical(text: Any) -> str | None:
    return _parsed(text) if isinstance(text, str) and len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=65_536)
def _parsed(text: str) -> str | None:
    try:
        return None if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _hop(packets: Sequence[tuple[str, float]]) -> Hop:
    """Return the router that answered most of a hop's packets, of several the first."""
    if not packets:
        return Hop()
    address = packets[0][0]
    if any(who != address for who, _ in packets):
        address = Counter(who for who, _ in packets).most_common(1)[0][0]
    return Hop(address=address, rtt_ms=min(ms for who, ms in packets if who == address))


def _with_name(hop: Hop, name: str | None, start: Degrees | None) -> Hop:
    found = _place(hop.address or "", name)
    if found is not None and start is not None and hop.rtt_ms is not None:
        reach_km = hop.rtt_ms * IMPOSSIBLE_KM_PER_MS + IMPOSSIBLE_SLACK_KM
        if arc_km(*start, found.latitude, found.longitude) > reach_km:
            found = None
    if found is None:
        return replace(hop, name=name)
    return replace(hop, name=name, town=found.town, country=found.country)


@lru_cache(maxsize=65_536)
def _place(address: str, name: str | None) -> Place | None:
    """Return where a router stands: at the exchange that has its address, else where its name says."""
    exchange = exchange_at(address)
    if exchange is not None:
        return Place(
            code="",
            town=exchange.town,
            country=exchange.country,
            latitude=exchange.latitude,
            longitude=exchange.longitude,
        )
    return None if name is None else town_in_name(name)
