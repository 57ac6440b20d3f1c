"""Which filters RIPE Atlas's lists of measurements and of probes know, and by what they can be sorted."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import numpy as np

from catchment.geo import distance_km
from catchment.platforms.sandbox.api.listing import Entry, Filter, every_tag, flag, text, whole_number
from catchment.platforms.sandbox.api.probes import in_prefix

SORTABLE_MEASUREMENTS = (
    "id", "start_time", "stop_time", "is_oneoff", "interval", "type", "af", "status.name", "status.id",
)  # fmt: skip
SORTABLE_PROBES = ("id", "country_code", "asn_v4", "asn_v6", "status_since")


def _prefix(text: str) -> str:
    in_prefix(None, text)
    return text


def _circle(text: str) -> tuple[float, float, float]:
    """Read `latitude,longitude:km`."""
    place, _, km = text.partition(":")
    latitude, _, longitude = place.partition(",")
    try:
        return float(latitude), float(longitude), float(km)
    except ValueError as error:
        raise ValueError("Enter a place and a distance in km: latitude,longitude:km") from error


def _in_circle(entry: Entry, circle: tuple[float, float, float]) -> bool:
    latitude, longitude, km = circle
    if entry["geometry"] is None:
        return False
    here = entry["geometry"]["coordinates"]
    pair = (np.array([here[1]]), np.array([here[0]]), np.array([latitude]), np.array([longitude]))
    return bool(distance_km(*pair)[0] <= km)


def _in_network(entry: Entry, wanted: Any) -> bool:
    return ip_address(entry["target_ip"]) in wanted


def _probe_tags(entry: Entry) -> set[str]:
    return {tag["slug"] for tag in entry["tags"]}


MEASUREMENT_FILTERS: dict[str, Filter] = {
    **whole_number("id"),
    **whole_number("target_asn"),
    **whole_number("af"),
    **whole_number("interval"),
    **whole_number("start_time"),
    **whole_number("stop_time"),
    **whole_number("status", lambda entry: entry["status"]["id"]),
    **text("type"),
    **text("target"),
    **text("description"),
    **text("protocol"),
    **flag("is_oneoff"),
    **every_tag(lambda entry: set(entry["tags"])),
    "target_ip": Filter(read=lambda given: ip_network(given, strict=False), passes=_in_network),
    "search": Filter(
        read=str, passes=lambda entry, wanted: wanted in entry["description"] or wanted in entry["target"]
    ),
}

PROBE_FILTERS: dict[str, Filter] = {
    **whole_number("id"),
    **whole_number("asn_v4"),
    **whole_number("asn_v6"),
    **whole_number("firmware_version"),
    **whole_number("status", lambda entry: entry["status"]["id"]),
    **whole_number("latitude", lambda entry: entry["geometry"]["coordinates"][1]),
    **whole_number("longitude", lambda entry: entry["geometry"]["coordinates"][0]),
    **text("country_code"),
    **flag("is_anchor"),
    **flag("is_public"),
    **every_tag(_probe_tags),
    "asn": Filter(read=int, passes=lambda entry, wanted: wanted in (entry["asn_v4"], entry["asn_v6"])),
    "status_name": Filter(read=str, passes=lambda entry, wanted: entry["status"]["name"] == wanted),
    "prefix_v4": Filter(read=_prefix, passes=lambda entry, wanted: in_prefix(entry["prefix_v4"], wanted)),
    "prefix_v6": Filter(read=_prefix, passes=lambda entry, wanted: in_prefix(entry["prefix_v6"], wanted)),
    "radius": Filter(read=_circle, passes=_in_circle),
}
