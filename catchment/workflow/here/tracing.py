"""The way to a target: its routers, with their names, networks and places where these are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from catchment.errors import CatchmentError
from catchment.metrics import Numbers, rounded
from catchment.metrics.paths import stands_at
from catchment.model import Service
from catchment.observe.traceroutes import Hop, read_trace
from catchment.places.exchanges import exchange_at
from catchment.platforms.local.places import HostPlace
from catchment.platforms.origins import Origin, find_origins
from catchment.platforms.reverse_names import is_public, nameserver_of, resolve_names

_PATIENCE_S = 2.0  # for a resolver that may be dead
_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRouters:
    """What the DNS tells of routers by address: names (None: it has none), networks; `problem` says why so little."""

    names: Mapping[str, str | None] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    problem: str | None = None


def ask_about(addresses: Iterable[str], environ: Mapping[str, str]) -> KnownRouters:
    """Ask the DNS for names and networks of routers: the resolver of the environment, or this host's own.

    Nobody is asked about addresses that are not public. A resolver that is dead costs two seconds.
    """
    public = [address for address in dict.fromkeys(addresses) if is_public(address)]
    if not public:
        return KnownRouters()
    try:
        server = nameserver_of(environ)
        where: dict[str, Any] = {} if server is None else {"nameservers": [server[0]], "port": server[1]}
        with ThreadPoolExecutor(max_workers=1) as beside:
            networks = beside.submit(find_origins, public, timeout_s=_PATIENCE_S, **where)
            names = resolve_names(public, timeout_s=_PATIENCE_S, at_once=_AT_ONCE, **where)
            origins = networks.result()
    except CatchmentError as error:
        return KnownRouters(problem=f"the routers on the way stay without names: {error}")
    silent = not names and not origins
    problem = f"the DNS told nothing of {len(public)} routers on the way within {_PATIENCE_S:g} s" if silent else None
    return KnownRouters(names=names, origins=origins, problem=problem)


def describe_path(
    result: Mapping[str, Any], known: KnownRouters, service: Service, target: str, place: HostPlace | None
) -> Numbers:
    """Return a traceroute with all that is known of its routers, for `here --json`.

    Places are read off names and exchanges' addresses; where this host's place is known, light must allow them.
    """
    trace = read_trace(result)
    return {
        "protocol": result.get("proto"),
        "reached": trace.reached_at is not None,
        "hops": [_told(hop, known, service, target, place) for hop in trace.hops],
    }


def _told(hop: Hop, known: KnownRouters, service: Service, target: str, place: HostPlace | None) -> Numbers:
    address = hop.address or ""
    own = {entry.address: entry.name for entry in service.hop_names}
    name = own.get(address) or known.names.get(address)
    origin = known.origins.get(address)
    exchange = exchange_at(address)
    start = None if place is None else (place.latitude, place.longitude)
    there = None if address == target else stands_at(address, name, hop.rtt_ms, start, service)
    return {
        "hop": hop.number,
        "address": hop.address,
        "others": list(hop.others),
        "rtt_ms": rounded(hop.rtt_ms),
        "error": hop.error,
        "name": name,
        "asn": None if origin is None else origin.asn,
        "as_name": None if origin is None else origin.name,
        "prefix": None if origin is None else origin.prefix,
        "exchange": None if exchange is None else exchange.name,
        "place": None if there is None else f"{there.town}, {there.country}",
    }
