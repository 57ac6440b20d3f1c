"""Which filters RIPE Atlas's lists of measurements and of probes know, and by what they can be sorted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import numpy as np

from catchment.geo import distance_km
from catchment.platforms.sandbox.api.exchange import Problem, Request, invalid
from catchment.platforms.sandbox.api.parameters import Read, decimal, flag, listed, not_simulated, whole
from catchment.platforms.sandbox.api.probes import in_prefix

SORTABLE_MEASUREMENTS = (
    "id", "start_time", "stop_time", "is_oneoff", "interval", "type", "af", "status.name", "status.id",
)  # fmt: skip
SORTABLE_PROBES = ("id", "country_code", "asn_v4", "asn_v6", "status_since")
_NOT_FILTERS = {"page", "page_size", "sort", "fields", "optional_fields", "after", "key", "format", "format[datetime]"}

Entry = Mapping[str, Any]
Test = Callable[[Any, Any], bool]
Held = Callable[[Entry], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One filter: how its parameter is read (ValueError: it cannot be), and whether an entry passes."""

    read: Read[Any]
    passes: Test


def ignored(parameter: str) -> dict[str, Any]:
    """Return the warning that a parameter filters nothing."""
    detail = "Filtering by this field is not implemented, this parameter has been ignored."
    return {"source": {"parameter": parameter}, "detail": [detail]}


def select(
    entries: Sequence[Entry], filters: Mapping[str, Filter], request: Request
) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Return the entries that pass all filters of a request, and a warning for each parameter that is none of them.

    Raises Refusal where a filter cannot be read.
    """
    found, warnings, problems = list(entries), [], []
    for name, value in request.parameters.items():
        if name in _NOT_FILTERS:
            continue
        if name not in filters:
            warnings.append(ignored(name))
            continue
        try:
            wanted = filters[name].read(value)
        except ValueError as error:
            problems.append(Problem(parameter=name, detail=str(error)))
            continue
        found = [entry for entry in found if filters[name].passes(entry, wanted)]
    if problems:
        raise invalid(problems)
    return found, warnings


_ORDERINGS: dict[str, Test] = {
    "gt": lambda held, wanted: held > wanted,
    "gte": lambda held, wanted: held >= wanted,
    "lt": lambda held, wanted: held < wanted,
    "lte": lambda held, wanted: held <= wanted,
}
_PARTS: dict[str, Test] = {
    "contains": lambda held, wanted: wanted in held,
    "startswith": lambda held, wanted: held.startswith(wanted),
    "endswith": lambda held, wanted: held.endswith(wanted),
}


def _comparable(name: str, read: Read[Any], tests: Mapping[str, Test], held: Held | None = None) -> dict[str, Filter]:
    """Return the filters of a field: itself, `__in`, and tests, which nothing passes whose value is not known."""
    value = held or (lambda entry: entry.get(name))

    def where_known(test: Test) -> Test:
        return lambda entry, wanted: value(entry) is not None and test(value(entry), wanted)

    return {
        name: Filter(read=read, passes=lambda entry, wanted: value(entry) == wanted),
        f"{name}__in": Filter(read=listed(read), passes=lambda entry, wanted: value(entry) in wanted),
        **{f"{name}__{operator}": Filter(read=read, passes=where_known(test)) for operator, test in tests.items()},
    }


def _number(name: str, held: Held | None = None, read: Read[Any] | None = None) -> dict[str, Filter]:
    return _comparable(name, read or whole(), _ORDERINGS, held)


def _text(name: str) -> dict[str, Filter]:
    """Return the filters of a text. Letter case counts."""
    return _comparable(name, str, _PARTS)


def _flag(name: str) -> dict[str, Filter]:
    return {name: Filter(read=flag, passes=lambda entry, wanted: entry[name] is wanted)}


def _every_tag(slugs: Callable[[Entry], set[str]]) -> dict[str, Filter]:
    return {"tags": Filter(read=listed(str), passes=lambda entry, wanted: slugs(entry).issuperset(wanted))}


def _refused(*names: str) -> dict[str, Filter]:
    return {name: Filter(read=not_simulated, passes=lambda *_: False) for name in names}


def _coordinate(axis: int) -> Held:
    return lambda entry: None if entry["geometry"] is None else entry["geometry"]["coordinates"][axis]


def _prefix(text: str) -> str:
    try:
        in_prefix(None, text)
    except ValueError as error:
        raise ValueError("Enter a valid prefix.") from error
    return text


def _circle(text: str) -> tuple[float, float, float]:
    """Read `latitude,longitude:km`."""
    place, _, km = text.partition(":")
    latitude, _, longitude = place.partition(",")
    try:
        return decimal(-90, 90)(latitude), decimal(-180, 180)(longitude), decimal(0)(km)
    except ValueError as error:
        raise ValueError("Enter a place and a distance in km: latitude,longitude:km") from error


def _in_circle(entry: Entry, circle: tuple[float, float, float]) -> bool:
    latitude, longitude, km = circle
    if entry["geometry"] is None:
        return False
    here = entry["geometry"]["coordinates"]
    pair = (np.array([here[1]]), np.array([here[0]]), np.array([latitude]), np.array([longitude]))
    return bool(distance_km(*pair)[0] <= km)


def _network(text: str) -> Any:
    """Read an address, a prefix, or whole parts of an address's beginning: 193.0.14 is 193.0.14.0/24."""
    mark, most, bits = (":", 8, 16) if ":" in text else (".", 4, 8)
    parts = text.removesuffix(mark).split(mark)
    if "/" not in text and "::" not in text and len(parts) < most:
        text = mark.join(parts + ["0"] * (most - len(parts))) + f"/{bits * len(parts)}"
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError("Enter an address, its beginning, or a prefix.") from error


MEASUREMENT_FILTERS: dict[str, Filter] = {
    **_number("id"),
    **_number("target_asn"),
    **_number("af"),
    **_number("interval"),
    **_number("start_time"),
    **_number("stop_time"),
    **_number("status", lambda entry: entry["status"]["id"]),
    **_text("type"),
    **_text("target"),
    **_text("description"),
    **_text("protocol"),
    **_flag("is_oneoff"),
    **_every_tag(lambda entry: set(entry["tags"])),
    **_refused("current_probes"),
    "target_ip": Filter(read=_network, passes=lambda entry, wanted: ip_address(entry["target_ip"]) in wanted),
    "search": Filter(
        read=str, passes=lambda entry, wanted: wanted in entry["description"] or wanted in entry["target"]
    ),
}

PROBE_FILTERS: dict[str, Filter] = {
    **_number("id"),
    **_number("asn_v4"),
    **_number("asn_v6"),
    **_number("firmware_version"),
    **_number("status", lambda entry: entry["status"]["id"]),
    **_number("latitude", _coordinate(1), decimal()),
    **_number("longitude", _coordinate(0), decimal()),
    **_text("country_code"),
    **_flag("is_anchor"),
    **_flag("is_public"),
    **_every_tag(lambda entry: {tag["slug"] for tag in entry["tags"]}),
    **_refused("favourite", "include"),
    "asn": Filter(read=whole(), passes=lambda entry, wanted: wanted in (entry["asn_v4"], entry["asn_v6"])),
    "status_name": Filter(read=str, passes=lambda entry, wanted: entry["status"]["name"] == wanted),
    "asn46diff": Filter(
        read=flag,
        passes=lambda entry, wanted: (
            None not in (entry["asn_v4"], entry["asn_v6"]) and (entry["asn_v4"] != entry["asn_v6"]) is wanted
        ),
    ),
    "prefix": Filter(
        read=_prefix,
        passes=lambda entry, wanted: in_prefix(entry["prefix_v6" if ":" in wanted else "prefix_v4"], wanted),
    ),
    "prefix_v4": Filter(read=_prefix, passes=lambda entry, wanted: in_prefix(entry["prefix_v4"], wanted)),
    "prefix_v6": Filter(read=_prefix, passes=lambda entry, wanted: in_prefix(entry["prefix_v6"], wanted)),
    "radius": Filter(read=_circle, passes=_in_circle),
}
