"""Service files: what is known of an anycast service, checked, with corrections applied over published lists."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from catchment.campaign.tables import check, plain, read_toml
from catchment.errors import InvalidFile
from catchment.geo import on_earth
from catchment.model import Correction, Pattern, Service, Site


def load_service(path: Path) -> Service:
    """Read a service file and apply its corrections. Raises InvalidFile, which names the file and the key."""
    return service_from(read_toml(path), path)


def service_from(table: dict[str, Any], path: Path) -> Service:
    """Check a service given as a table (of TOML or JSON) that was read from `path`, and apply its corrections."""
    service = check(Service, table, path)
    service = replace(
        service,
        addresses=tuple(replace(entry, address=_canonical(entry.address, path)) for entry in service.addresses),
        sites=tuple(_corrected(site, service.corrections) for site in service.sites),
    )
    _check_service(service, path)
    return service


def service_table(service: Service) -> dict[str, Any]:
    """Return a service as plain JSON values, without what is absent; `service_from` reads it back."""
    return {key: value for key, value in plain(asdict(service)).items() if key != "corrections"}


def digest(service: Service) -> str:
    """Return the version of a service: 12 hexadecimal digits that change with any of its facts."""
    text = json.dumps(service_table(service), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
    if site.latitude is not None and site.longitude is not None and not on_earth(site.latitude, site.longitude):
        raise InvalidFile(f"{path}: key 'sites': '{site.code}' is not on Earth: {site.latitude}, {site.longitude}")


def _check_pattern(pattern: Pattern, path: Path) -> None:
    try:
        groups = re.compile(pattern.regex).groupindex
    except re.error as error:
        raise InvalidFile(f"{path}: key 'patterns': '{pattern.regex}' is no regular expression: {error}") from error
    if "site" not in groups:
        raise InvalidFile(f"{path}: key 'patterns': '{pattern.regex}' needs a group named 'site': (?P<site>…)")
