"""Who takes part: the sources of a POST, checked, and the probes that they choose."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catchment.campaign.regions import BANDS, EVERYWHERE, REGIONS
from catchment.model import AddressFamily
from catchment.platforms.sandbox.api.exchange import Problem
from catchment.platforms.sandbox.api.parameters import listed, whole
from catchment.platforms.sandbox.api.probes import Probes, in_prefix

ALL = -1
"""What `requested` says where every matching probe is wanted."""

SOURCE_FIELDS = frozenset({"type", "value", "requested", "tags"})
"""All that a source may hold."""

_TYPES = ("area", "country", "countries", "region", "prefix", "asn", "probes", "msm")
_FIRST_USER_DEFINED = 1_000_000
_UNKNOWN_ASN = "Your selected ASN is not covered by our network."
_COUNTRY = re.compile("[A-Za-z]{2}")
Members = Callable[[int], Sequence[int] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSource:
    """A source of probes, checked: `requested` of those that `type` and `value` describe and whose tags fit."""

    type: str
    value: str
    requested: int
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()


def read_sources(given: Any, probes: Probes, members: Members) -> tuple[list[ProbeSource], list[Problem]]:
    """Check the `probes` of a POST; return its sources and all that is wrong.

    `members` gives the probes of a measurement, None where there is no such one.
    """
    if not isinstance(given, list) or not given:
        return [], [Problem(pointer="/probes", detail="This field is required.")]
    sources: list[ProbeSource] = []
    problems: list[Problem] = []
    for number, entry in enumerate(given):
        source, found = read_source(entry, f"/probes/{number}", probes, members)
        problems += found
        if source is not None:
            sources.append(source)
    return sources, problems


def read_source(given: Any, place: str, probes: Probes, members: Members) -> tuple[ProbeSource | None, list[Problem]]:
    """Check one source, an element of the body at the JSON pointer `place`; return it and all that is wrong."""
    source, problems = _read_source(given, place)
    return source, problems if source is None else _unknown(source, place, probes, members)


def choose(
    sources: Sequence[ProbeSource],
    families: Sequence[AddressFamily],
    probes: Probes,
    members: Members,
    key: str,
    *,
    without: Collection[int] = (),
) -> tuple[int, ...]:
    """Return the ids of the probes that take part, rising: available ones that speak all address families asked for.

    The sources add up; none of the probes `without` which it shall be is taken. Which of many probes are taken looks
    random, and is the same for the same `key`.
    """
    available = [vantage for vantage in probes.available(families) if vantage not in without]
    chosen: set[int] = set()
    for source in sources:
        fitting = _fitting(source, probes, members)
        found = [vantage for vantage in available if vantage not in chosen and fitting(vantage)]
        found.sort(key=lambda vantage: hashlib.blake2b(f"{key} {vantage}".encode(), digest_size=8).digest())
        chosen.update(found if source.requested == ALL else found[: source.requested])
    return tuple(sorted(chosen))


def requested(sources: Sequence[ProbeSource]) -> int:
    """Return how many probes are asked for; ALL where one source asks for all."""
    numbers = [source.requested for source in sources]
    return ALL if ALL in numbers else sum(numbers)


def _read_source(given: Any, place: str) -> tuple[ProbeSource | None, list[Problem]]:
    if not isinstance(given, Mapping):
        return None, [Problem(pointer=place, detail="Invalid data. Expected a dictionary.")]
    problems = [
        Problem(pointer=f"{place}/{name}", detail="This field is required.")
        for name in ("type", "value", "requested")
        if given.get(name) is None
    ]
    if problems:
        return None, problems
    kind, value, number, tags = given["type"], given["value"], given["requested"], given.get("tags") or {}
    if kind not in _TYPES:
        problems.append(Problem(pointer=f"{place}/type", detail=f'"{kind}" is not a valid choice.'))
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        problems.append(Problem(pointer=f"{place}/value", detail="Not a valid string."))
    if not isinstance(number, int) or isinstance(number, bool):
        problems.append(Problem(pointer=f"{place}/requested", detail="A valid integer is required."))
    elif number < 1 and number != ALL:
        detail = "Ensure this value is greater than or equal to 1."
        problems.append(Problem(pointer=f"{place}/requested", detail=detail))
    slugs: dict[str, frozenset[str]] = {}
    for name in ("include", "exclude"):
        listed = tags.get(name) or [] if isinstance(tags, Mapping) else None
        if not isinstance(listed, list) or not all(isinstance(slug, str) for slug in listed):
            problems.append(Problem(pointer=f"{place}/tags/{name}", detail="Expected a list of tags."))
        else:
            slugs[name] = frozenset(listed)
    if problems:
        return None, problems
    return ProbeSource(type=kind, value=str(value).strip(), requested=number, **slugs), []


def _unknown(source: ProbeSource, place: str, probes: Probes, members: Members) -> list[Problem]:
    """Say what is wrong with a source's value."""
    detail = None
    match source.type:
        case "area" if source.value not in {EVERYWHERE, *BANDS}:
            detail = f'"{source.value}" is not a valid choice.'
        case "region" if source.value not in REGIONS:
            detail = f'"{source.value}" is not a valid choice.'
        case "country" | "countries" if not all(_COUNTRY.fullmatch(code) for code in listed(str)(source.value)):
            detail = "Enter two-letter country codes (ISO 3166-1), separated by commas."
        case "asn" if _number(source.value.upper().removeprefix("AS")) is None:
            detail = "A valid integer is required."
        case "asn" if not any(map(_described(source, probes, members), probes.vantage_points)):
            detail = _UNKNOWN_ASN
        case "msm" if (_number(source.value) or 0) <= _FIRST_USER_DEFINED or members(int(source.value)) is None:
            detail = f"There is no user-defined measurement {source.value}."
        case "probes" if None in map(_number, listed(str)(source.value)):
            detail = "Enter a list of probe ids, separated by commas."
        case "prefix":
            try:
                in_prefix(None, source.value)
            except ValueError:
                detail = "Enter a valid prefix."
    return [] if detail is None else [Problem(pointer=f"{place}/value", detail=detail)]


def _fitting(source: ProbeSource, probes: Probes, members: Members) -> Callable[[int], bool]:
    """Return the test whether a source describes a probe."""
    described = _described(source, probes, members)

    def fits(vantage: int) -> bool:
        if not described(vantage):
            return False
        slugs = probes.tags(vantage)
        return source.include <= slugs and not source.exclude & slugs

    return fits


def _described(source: ProbeSource, probes: Probes, members: Members) -> Callable[[int], bool]:
    objects, value = probes.objects, source.value
    match source.type:
        case "area":
            return lambda vantage: value == EVERYWHERE or _lies_in(value, objects[vantage]["geometry"])
        case "country" | "countries" | "region":
            countries = REGIONS[value] if source.type == "region" else {code.upper() for code in listed(str)(value)}
            return lambda vantage: objects[vantage]["country_code"] in countries
        case "asn":
            asn = int(value.upper().removeprefix("AS"))
            return lambda vantage: asn in (objects[vantage]["asn_v4"], objects[vantage]["asn_v6"])
        case "prefix":
            name = "prefix_v6" if ":" in value else "prefix_v4"
            return lambda vantage: in_prefix(objects[vantage][name], value)
        case "msm":
            return frozenset(members(int(value)) or ()).__contains__
        case _:
            return frozenset(int(text) for text in listed(str)(value)).__contains__


def _lies_in(area: str, geometry: Mapping[str, Any] | None) -> bool:
    """Tell whether a place is in an area; one that nobody knows is in none but the whole world."""
    if geometry is None:
        return False
    longitude, latitude = geometry["coordinates"]
    return BANDS[area].holds(latitude, longitude)


def _number(text: str) -> int | None:
    try:
        return whole(0)(text)
    except ValueError:
        return None
