"""What RIPE Atlas says of a probe. Any of it may be missing, or wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from catchment.geo import on_earth

Probe = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WORKS = {4: "system-ipv4-works", 6: "system-ipv6-works"}
"""Tags that RIPE Atlas gives, every four hours, to probes whose IPv4 or IPv6 works."""

CONNECTED = 1
_STABLE = {af: frozenset(f"system-ipv{af}-stable-{span}" for span in ("30d", "90d")) for af in WORKS}


def slugs(probe: Probe) -> set[str]:
    """Return a probe's tags."""
    tags = probe.get("tags")
    return {str(tag.get("slug") if isinstance(tag, dict) else tag) for tag in tags} if isinstance(tags, list) else set()


def works(probe: Probe, af: int) -> bool:
    """Tell whether a probe can reach anything in an address family."""
    return WORKS[af] in slugs(probe)


def is_stable(probe: Probe, af: int) -> bool:
    """Tell whether an address family has worked all the time for a month, as RIPE Atlas judges by its tags.

    A day (`stable-1d`) says little of the next one; three months (`stable-90d`) would leave out all that are new.
    """
    return not _STABLE[af].isdisjoint(slugs(probe))


def is_connected(probe: Probe) -> bool:
    """Tell whether a probe is there now. Where nothing is said of it, the API was asked for those that are."""
    status = probe.get("status")
    return not isinstance(status, dict) or status.get("id") == CONNECTED


def asn(probe: Probe, af: int) -> int | None:
    """Return the AS that announces the probe's address of a family; None where nobody knows."""
    number = probe.get(f"asn_v{af}")
    return number if isinstance(number, int) else None


def country(probe: Probe) -> str | None:
    """Return the country's code; None where nobody knows (the API has null and the empty text)."""
    code = probe.get("country_code")
    return str(code).upper() if code else None


def place(probe: Probe) -> tuple[float, float] | None:
    """Return latitude and longitude; None where nobody knows."""
    geometry = probe.get("geometry")
    found = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if not isinstance(found, list) or len(found) < 2 or not all(isinstance(one, int | float) for one in found[:2]):
        return None
    longitude, latitude = found[:2]  # GeoJSON says longitude first
    return (latitude, longitude) if on_earth(latitude, longitude) else None


def is_within(probe: Probe, networks: Iterable[Network]) -> bool:
    """Tell whether a probe's address, or all of the prefix that it is announced in, lies in one of these networks."""
    held = [_network(probe.get(f"{what}_v{af}")) for what in ("address", "prefix") for af in WORKS]
    return any(_holds(outer, inner) for outer in networks for inner in held if inner is not None)


def _network(text: object) -> Network | None:
    try:
        return ipaddress.ip_network(str(text), strict=False) if text else None
    except ValueError:
        return None


def _holds(outer: Network, inner: Network) -> bool:
    return (
        outer.version == inner.version
        and int(outer.network_address) <= int(inner.network_address)
        and int(inner.broadcast_address) <= int(outer.broadcast_address)
    )
