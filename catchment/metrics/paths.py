"""The paths that packets took, out of raw traceroutes: which routers answered, their names, where they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from catchment.assign.hop_names import sites_in_name
from catchment.assign.hop_names.gazetteer import town_in_name
from catchment.geo import arc_km, light_allows
from catchment.model import Service, Site
from catchment.observe.traceroutes import FAR_BEYOND, read_trace
from catchment.places import Place
from catchment.places.exchanges import Exchange, exchange_at

_SILENT = "*"
_exchange_at = lru_cache(maxsize=65_536)(exchange_at)

Degrees = tuple[float, float]
"""Latitude and longitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
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

    routers: tuple[Router, ...]
    rtt_ms: float | None
    is_whole: bool

    @property
    def countries(self) -> frozenset[str]:
        """Return the countries that it is known to lead through."""
        return frozenset(router.country for router in self.routers if router.country is not None)


def read_route(raw: bytes) -> Route | None:
    """Read the path out of a raw result, its routers without names; None where it is none that reached its target."""
    try:
        trace = read_trace(json.loads(raw))
    except (ValueError, RecursionError):
        return None
    if trace.reached_at is None:
        return None
    is_whole = trace.reached_at < FAR_BEYOND
    on_the_way = {hop.number: hop for hop in trace.hops if hop.number < trace.reached_at}
    known = [number for number, hop in on_the_way.items() if hop.address is not None]
    end = trace.reached_at if is_whole else max(known, default=0) + 1
    routers = (on_the_way.get(number) for number in range(1, end))
    return Route(
        routers=tuple(Router() if hop is None else Router(address=hop.address, rtt_ms=hop.rtt_ms) for hop in routers),
        rtt_ms=trace.rtt_ms,
        is_whole=is_whole,
    )


def named(route: Route, names: Mapping[str, str], start: Degrees | None = None) -> Route:
    """Return the path with the names of its routers, and their towns where these or an exchange tell them.

    A town is believed only if light can have come back from there to the vantage point, which is at `start`, in the
    time that the router took.
    """
    routers = (
        router if router.address is None else _with_name(router, names.get(router.address), start)
        for router in route.routers
    )
    return replace(route, routers=tuple(routers))


def stands_at(
    address: str, name: str | None, rtt_ms: float | None, start: Degrees | None, service: Service | None = None
) -> Exchange | Site | Place | None:
    """Return where a router stands: the first place it points to that light allows; None where there is none.

    That is the exchange which has its address, else the site of `service`, else the town that its name tells. Networks
    reach exchanges from afar too, so an exchange's place is no more certain than a name's. Light must have come back
    from there to `start` in the time that the router took (None: nobody knows).
    """
    return next((found for found in _pointed_to(address, name, service) if _is_in_reach(found, rtt_ms, start)), None)


def is_same_way(one: Route, other: Route) -> bool:
    """Tell whether two paths may be the same: a router that kept silent may be any."""
    if one.is_whole and other.is_whole and len(one.routers) != len(other.routers):
        return False
    return all(
        here.address == there.address
        for here, there in zip(one.routers, other.routers, strict=False)
        if here.address is not None and there.address is not None
    )


def _with_name(router: Router, name: str | None, start: Degrees | None) -> Router:
    found = stands_at(router.address or "", name, router.rtt_ms, start)
    if found is None:
        return replace(router, name=name)
    return replace(router, name=name, town=found.town, country=found.country)


def _pointed_to(address: str, name: str | None, service: Service | None) -> Iterator[Exchange | Site | Place]:
    """Yield the places where a router may stand, the likeliest first."""
    exchange = _exchange_at(address)
    if exchange is not None:
        yield exchange
    if name is None:
        return
    sites = () if service is None else sites_in_name(name, service)
    if len(sites) == 1:
        yield sites[0].site
    town = town_in_name(name)
    if town is not None:
        yield town


def _is_in_reach(found: Exchange | Site | Place, rtt_ms: float | None, start: Degrees | None) -> bool:
    if start is None or found.latitude is None or found.longitude is None:
        return True
    return light_allows(arc_km(*start, found.latitude, found.longitude), rtt_ms)
