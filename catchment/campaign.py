"""Campaign and service files: TOML in, frozen values out. Unknown keys are errors that name the nearest known key."""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import json
import re
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from catchment.errors import InvalidFile
from catchment.model import AddressFamily, Correction, Kind, Pattern, Service, Site

Checked = TypeVar("Checked")
_FORBID_UNKNOWN = {"extra": "forbid"}


class PlatformName(StrEnum):
    """Where a campaign's measurements come from."""

    ATLAS = "atlas"
    LOCAL = "local"
    SANDBOX = "sandbox"
    LAB = "lab"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignTarget:
    """A service to measure, at its current address of one family or at one named address."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    service: str
    af: AddressFamily = 4
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VantagePoints:
    """Which vantage points to ask; the sources add up, `include_tags` and `exclude_tags` narrow them."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    count: int = 50
    area: str = "WW"
    countries: tuple[str, ...] = ()
    asns: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    include_tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of each target: a DNS identity query (with NSID in the same packet), a ping or a traceroute."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    kind: Kind
    name: str = "hostname.bind"
    nsid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When to measure: once, or every `interval_s` seconds from `start` to `stop`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    interval_s: int | None = None
    start: datetime | None = None
    stop: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the campaign may cost at most."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    credits: int | None = None
    results: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """The plan of a measurement: which targets, from where, by which queries, when, and for how much."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN

    name: str
    platform: PlatformName
    targets: tuple[CampaignTarget, ...]
    queries: tuple[Query, ...] = (Query(kind=Kind.DNS), Query(kind=Kind.PING))
    vantage_points: VantagePoints = VantagePoints()
    schedule: Schedule = Schedule()
    budget: Budget = Budget()


def load_campaign(path: Path) -> Campaign:
    """Read a campaign file. Raises InvalidFile, which names the file, the key and what is possible."""
    campaign = _check(Campaign, _read_toml(path), path)
    if not campaign.targets:
        raise InvalidFile(f"{path}: 'targets' is empty: name at least one service to measure")
    return campaign


def load_service(path: Path) -> Service:
    """Read a service file and apply its corrections. Raises InvalidFile, which names the file and the key."""
    return service_from(_read_toml(path), path)


def service_from(table: dict[str, Any], path: Path) -> Service:
    """Check a service given as a table (of TOML or JSON) that was read from `path`, and apply its corrections."""
    service = _check(Service, table, path)
    service = replace(
        service,
        addresses=tuple(replace(entry, address=_canonical(entry.address, path)) for entry in service.addresses),
        sites=tuple(_corrected(site, service.corrections) for site in service.sites),
    )
    _check_service(service, path)
    return service


def service_table(service: Service) -> dict[str, Any]:
    """Return a service as plain JSON values, without what is absent; `service_from` reads it back."""
    return {key: value for key, value in _plain(asdict(service)).items() if key != "corrections"}


def digest(service: Service) -> str:
    """Return the version of a service: 12 hexadecimal digits that change with any of its facts."""
    text = json.dumps(service_table(service), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidFile(f"{path}: {error.strerror}: name a file that can be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path}: not a TOML file: {error}") from error


def _check(form: type[Checked], table: dict[str, Any], path: Path) -> Checked:
    try:
        checked: Checked = _adapter(form.__name__).validate_python(table)
    except ValidationError as error:
        # A misspelt key shows up twice, as unknown and as missing: the unknown one is what the user wrote.
        first = min(error.errors(), key=lambda found: found["type"] != "unexpected_keyword_argument")
        raise InvalidFile(f"{path}: {_complaint(form, first['loc'], first['type'], first['msg'])}") from error
    return checked


@cache
def _adapter(form: str) -> TypeAdapter[Any]:
    return TypeAdapter({"Service": Service, "Campaign": Campaign}[form])


def _complaint(form: type, where: tuple[str | int, ...], kind: str, message: str) -> str:
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in where)
    if kind == "unexpected_keyword_argument":
        known = _keys_at(form, where[:-1])
        near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
        return f"unknown key '{key}': " + (f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}")
    if kind in {"missing_argument", "missing"}:
        return f"key '{key}' is missing"
    return f"key '{key}': {message[0].lower()}{message[1:]}"


def _keys_at(form: type, where: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the table at `where` inside `form` may hold."""
    here: Any = form
    for part in where:
        if isinstance(part, int):
            continue
        here = get_type_hints(here)[part]
        while not is_dataclass(here):
            here = next(inner for inner in get_args(here) if is_dataclass(inner) or get_args(inner))
    return [field.name for field in fields(here)]


def _canonical(address: str, path: Path) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError as error:
        raise InvalidFile(f"{path}: key 'addresses': '{address}' is not an IPv4 or IPv6 address") from error


def _corrected(site: Site, corrections: tuple[Correction, ...]) -> Site:
    for correction in corrections:
        if correction.site == site.code:
            known = asdict(correction)
            changes = {key: known[key] for key in known if key not in {"site", "reason"} and known[key] is not None}
            site = replace(site, **changes)
    return site


def _check_service(service: Service, path: Path) -> None:
    """Raise InvalidFile where a service contradicts itself."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", service.name):
        raise InvalidFile(f"{path}: key 'name': '{service.name}' must be lower-case letters, digits, '-' and '.'")
    if not service.addresses:
        raise InvalidFile(f"{path}: key 'addresses' is empty: name at least one address of the service")
    for what, names in {
        "site code": [code for site in service.sites for code in {site.code, *site.codes}],
        "town": [f"{site.town}, {site.country}" for site in service.sites],
        "identity": [text.casefold() for site in service.sites for text in site.identities],
    }.items():
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise InvalidFile(f"{path}: key 'sites': the {what} '{twice[0]}' is there twice: a site is one town")
    for site in service.sites:
        _check_site(site, path)
    codes = {site.code for site in service.sites}
    for correction in service.corrections:
        if correction.site not in codes:
            raise InvalidFile(f"{path}: key 'corrections': there is no site '{correction.site}'")
    for pattern in service.patterns:
        _check_pattern(pattern, path)


def _check_site(site: Site, path: Path) -> None:
    if site.code != site.code.lower():
        raise InvalidFile(f"{path}: key 'sites': the site code '{site.code}' must be in lower case")
    if (site.latitude is None) != (site.longitude is None):
        raise InvalidFile(f"{path}: key 'sites': '{site.code}' has one coordinate without the other")
    if site.latitude is not None and site.longitude is not None and not _on_earth(site.latitude, site.longitude):
        raise InvalidFile(f"{path}: key 'sites': '{site.code}' is not on Earth: {site.latitude}, {site.longitude}")


def _check_pattern(pattern: Pattern, path: Path) -> None:
    try:
        groups = re.compile(pattern.regex).groupindex
    except re.error as error:
        raise InvalidFile(f"{path}: key 'patterns': '{pattern.regex}' is no regular expression: {error}") from error
    if "site" not in groups:
        raise InvalidFile(f"{path}: key 'patterns': '{pattern.regex}' needs a group named 'site': (?P<site>…)")


def _on_earth(latitude: float, longitude: float) -> bool:
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items() if inner is not None and inner != ()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case date():
            return value.isoformat()
        case _:
            return value
