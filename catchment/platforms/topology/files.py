"""Topology files: TOML that a person can read and change, one line for each place, network, link and vantage point.

The position of a vantage point or a site (`latitude` and `longitude`) and a vantage point's `country` may be left out:
they are those of its place. A `last_mile_ms` that is left out is 5 ms.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from catchment.campaign import check, read_toml
from catchment.campaign.toml_text import toml_value
from catchment.errors import InvalidFile
from catchment.platforms.topology.consistency import contradictions
from catchment.platforms.topology.elements import AnycastService, AnycastSite, Place, Topology, VantagePoint

_POSITION = ("latitude", "longitude")
_LAST_MILE_MS = 5.0
# Of a place that is not there, the complaint is better than one that a latitude is missing.
_NOWHERE = {"latitude": 0.0, "longitude": 0.0, "country": ""}
_COMMENTS = {
    "places": "Towns, by the code of their airport.",
    "networks": "Autonomous systems, and the places where they have routers.",
    "links": "Cables. relation: what `far` is to `near`. delay_ms: one way, else by distance. af: 4 or 6, else both.",
    "vantage_points": "Probes, at their place or near it. said_*: where one says it is. trouble: what is wrong.",
    "interceptors": "Boxes that answer DNS queries in the service's place.",
    "services": "Anycast services: which site announces through which networks.",
}


def load_topology(path: Path) -> Topology:
    """Read a topology file; addresses come out in their usual form, however they are written.

    Raises InvalidFile, which names the file, the key and what to do.
    """
    table = read_toml(path)
    _fill_in(table)
    topology = check(Topology, table, path)
    wrong = next(contradictions(topology), None)
    if wrong is not None:
        raise InvalidFile(f"{path}: {wrong}")
    return replace(topology, services=tuple(map(_with_usual_addresses, topology.services)))


def _with_usual_addresses(service: AnycastService) -> AnycastService:
    return replace(service, addresses=tuple(str(ipaddress.ip_address(address)) for address in service.addresses))


def _fill_in(table: dict[str, Any]) -> None:
    """Fill in what a file leaves to the places. Tables that are none of the right form are left as they are."""
    places = {str(place.get("code")): place for place in _tables(table, "places")}
    sites = [site for service in _tables(table, "services") for site in _tables(service, "sites")]
    vantage_points = _tables(table, "vantage_points")

    def place_of(entry: dict[str, Any]) -> dict[str, Any]:
        return _NOWHERE | places.get(str(entry.get("place")), {})

    for entry in (*sites, *vantage_points):
        if not entry.keys() & {*_POSITION}:
            entry |= {key: place_of(entry)[key] for key in _POSITION}
    for entry in vantage_points:
        entry.setdefault("country", place_of(entry)["country"])
        entry.setdefault("last_mile_ms", _LAST_MILE_MS)


def _tables(table: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = table.get(key, [])
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def write_topology(topology: Topology, path: Path) -> None:
    """Write a topology file that `load_topology` reads back as it was."""
    path.write_text(topology_text(topology), encoding="utf-8", newline="\n")


def topology_text(topology: Topology) -> str:
    """Return a topology as TOML: arrays of one-line tables, defaults left out, the services last."""
    places = {place.code: place for place in topology.places}
    lines = [f"name = {toml_value(topology.name)}", f"tie_break = {toml_value(topology.tie_break)}"]
    for key in ("places", "networks", "links", "vantage_points", "interceptors"):
        lines += ["", f"# {_COMMENTS[key]}", *_array(key, getattr(topology, key), places)]
    for number, service in enumerate(topology.services):
        lines += ["", *([f"# {_COMMENTS['services']}"] if number == 0 else []), *_service(service, places)]
    return "\n".join(lines) + "\n"


def _service(service: AnycastService, places: dict[str, Place]) -> Iterator[str]:
    yield "[[services]]"
    for key in ("name", "asn", "addresses", "answers"):
        yield f"{key} = {toml_value(getattr(service, key))}"
    yield from _array("sites", service.sites, places)


def _array(key: str, elements: Iterable[Any], places: dict[str, Place]) -> Iterator[str]:
    rows = [f"  {toml_value(element, _follows(element, places))}," for element in elements]
    yield from [f"{key} = [", *rows, "]"] if rows else [f"{key} = []"]


def _follows(element: Any, places: dict[str, Place]) -> set[str]:
    """Return the keys of an element that follow from its place."""
    if not isinstance(element, (AnycastSite, VantagePoint)) or element.place not in places:
        return set()
    place, found = places[element.place], set[str]()
    if (element.latitude, element.longitude) == (place.latitude, place.longitude):
        found |= {*_POSITION}
    if isinstance(element, VantagePoint):
        found |= {"country"} if element.country == place.country else set()
        found |= {"last_mile_ms"} if element.last_mile_ms == _LAST_MILE_MS else set()
    return found
