"""Service files: what is known of an anycast service, checked, with corrections applied over published lists."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

from catchment.campaign.tables import check, plain, read_toml
from catchment.errors import InvalidFile, UnknownName
from catchment.geo import arc_km, on_earth
from catchment.model import Correction, Service, Site
from catchment.places import town_key

Lend = Callable[[str], Service]
"""Returns the service of a name as published, corrections not applied: whose sites another one has as well."""


class Placed(Protocol):
    """What may have coordinates."""

    @property
    def latitude(self) -> float | None:
        """Return degrees, north is positive."""

    @property
    def longitude(self) -> float | None:
        """Return degrees, east is positive."""


SAME_NAME_KM = 150.0
"""Towns of one name and country are one within this distance: Portland in Oregon is not Portland in Maine."""

_NO_FACTS = {"sources", "corrections"}  # whence the facts are; what is corrected shows in the sites


def load_service(path: Path, lend: Lend | None = None) -> Service:
    """Read a service file and apply its corrections. Raises InvalidFile, which names the file and the key.

    `lend` is asked for the service that `sites_of` names; its sites and corrections then stand in the one returned.
    """
    return service_from(read_toml(path), path, lend)


def load_uncorrected(path: Path) -> Service:
    """Read a service file as it is: the values published, beside the corrections. Raises InvalidFile."""
    return _service(read_toml(path), path)


def service_from(table: dict[str, Any], path: Path, lend: Lend | None = None) -> Service:
    """Check a service given as a table (of TOML or JSON) that was read from `path`, and apply its corrections."""
    service = _service(table, path)
    if service.sites_of is not None:
        service = _with_sites_of(service, service.sites_of, lend, path)
    return corrected(service, path)


def corrected(service: Service, path: Path) -> Service:
    """Apply a service's corrections, which it keeps, and check what comes of it. Raises InvalidFile.

    Doing so again changes nothing.
    """
    service = replace(service, sites=tuple(corrected_site(site, service.corrections) for site in service.sites))
    _check_sites(service, path)
    codes = {site.code for site in service.sites}
    for key, named in {
        "corrections": [correction.site for correction in service.corrections],
        "overrides": [override.site for override in service.overrides],
        "neighbours": [neighbour.site for neighbour in service.neighbours],
    }.items():
        strange = [code for code in named if code not in codes]
        if strange:
            raise InvalidFile(f"{path}: key '{key}': there is no site '{strange[0]}': name the code of one of 'sites'")
    return service


def corrected_site(site: Site, corrections: Iterable[Correction]) -> Site:
    """Return a site with those of the corrections applied that are of it."""
    for correction in corrections:
        if correction.site == site.code:
            known = asdict(correction)
            changes = {key: known[key] for key in known if key not in {"site", "reason"} and known[key] is not None}
            site = replace(site, **changes)
    return site


def doubled_towns(sites: Iterable[Site]) -> list[tuple[Site, Site]]:
    """Return the pairs of sites that are in one town: of one name within 150 km, or anywhere without coordinates."""
    namesakes: defaultdict[tuple[str, str], list[Site]] = defaultdict(list)
    for site in sites:
        namesakes[town_key(site.town, site.country)].append(site)
    return [
        (one, other)
        for same in namesakes.values()
        if len(same) > 1
        for one, other in combinations(same, 2)
        if (distance_km := apart_km(one, other)) is None or distance_km < SAME_NAME_KM
    ]


def apart_km(one: Placed, other: Placed) -> float | None:
    """Return the great-circle distance in km, where both have coordinates."""
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return None
    return arc_km(one.latitude, one.longitude, other.latitude, other.longitude)


def service_table(service: Service) -> dict[str, Any]:
    """Return a service as plain JSON values, without what is absent; `service_from` reads it back."""
    table: dict[str, Any] = plain(asdict(service))
    return table


def digest(service: Service) -> str:
    """Return the version of a service: 12 hexadecimal digits that change with any of its facts.

    Where the facts come from, and on what day they were read, is none of them.
    """
    facts = {key: value for key, value in service_table(service).items() if key not in _NO_FACTS}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def _service(table: dict[str, Any], path: Path) -> Service:
    """Return a service as published, all checked but the sites and what names them."""
    service = check(Service, table, path)
    service = replace(
        service,
        addresses=tuple(
            replace(entry, address=_address(entry.address, "addresses", path)) for entry in service.addresses
        ),
        neighbours=tuple(replace(entry, prefix=_network(entry.prefix, path)) for entry in service.neighbours),
        hop_names=tuple(
            replace(entry, address=_address(entry.address, "hop_names", path)) for entry in service.hop_names
        ),
    )
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", service.name):
        raise InvalidFile(f"{path}: key 'name': '{service.name}' must be lower-case letters, digits, '-' and '.'")
    if not service.addresses:
        raise InvalidFile(f"{path}: key 'addresses' is empty: name at least one address of the service")
    for pattern in service.patterns:
        if "site" not in _compiled(pattern.regex, "patterns", path).groupindex:
            raise InvalidFile(f"{path}: key 'patterns': '{pattern.regex}' needs a group named 'site': (?P<site>…)")
    for override in service.overrides:
        _compiled(override.regex, "overrides", path)
    _refuse_twice("neighbours", "prefix", (entry.prefix for entry in service.neighbours), "it is of one site", path)
    _refuse_twice("hop_names", "address", (entry.address for entry in service.hop_names), "give it one name", path)
    return service


def _address(address: str, key: str, path: Path) -> str:
    try:
        if "%" in address:
            raise ValueError("a zone (fe80::1%eth0) is of one host alone, and may be any text")
        return str(ipaddress.ip_address(address))
    except ValueError as error:
        raise InvalidFile(f"{path}: key '{key}': '{address}' is not an IPv4 or IPv6 address") from error


def _network(prefix: str, path: Path) -> str:
    try:
        if "%" in prefix:
            raise ValueError("a zone")
        network = ipaddress.ip_network(prefix, strict=False)
    except ValueError as error:
        raise InvalidFile(
            f"{path}: key 'neighbours': '{prefix}' is not an IPv4 or IPv6 prefix: write it as 192.0.2.0/24"
        ) from error
    if ipaddress.ip_address(prefix.partition("/")[0]) != network.network_address:
        raise InvalidFile(f"{path}: key 'neighbours': '{prefix}' has bits of a host: did you mean '{network}'?")
    return str(network)


def _compiled(regex: str, key: str, path: Path) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidFile(f"{path}: key '{key}': '{regex}' is no regular expression: {error}") from error


def _with_sites_of(service: Service, name: str, lend: Lend | None, path: Path) -> Service:
    """Return a service with the sites and corrections of another one before its own, and the sources of those."""
    if lend is None:
        raise InvalidFile(f"{path}: key 'sites_of': nobody here knows '{name}': find it with catchment.services")
    try:
        lender = lend(name)
    except UnknownName as error:
        raise InvalidFile(f"{path}: key 'sites_of': {error}") from error
    if lender.sites_of is not None:
        what = "goes round in a circle" if lender.sites_of in {service.name, name} else "has its own sites elsewhere"
        raise InvalidFile(
            f"{path}: key 'sites_of': '{name}' {what}, in '{lender.sites_of}': name a service that lists its sites"
        )
    sources = (source for source in lender.sources if "sites" in source.of and source not in service.sources)
    return replace(
        service,
        sites_of=None,
        sites=(*lender.sites, *service.sites),
        corrections=(*lender.corrections, *service.corrections),
        sources=(*service.sources, *sources),
    )


def _check_sites(service: Service, path: Path) -> None:
    """Raise InvalidFile where sites contradict themselves or each other."""
    for site in service.sites:
        _check_site(site, path)
    codes = (code for site in service.sites for code in {code.casefold() for code in (site.code, *site.codes)})
    _refuse_twice("sites", "site code", codes, "a site is one town", path)
    identities = (text.casefold() for site in service.sites for text in site.identities)
    _refuse_twice("sites", "identity", identities, "it is of one site", path)
    for one, other in doubled_towns(service.sites):
        same = "" if one.town == other.town else f", once as '{one.town}'"
        raise InvalidFile(
            f"{path}: key 'sites': the town '{other.town}, {other.country}' is there twice{same}, in '{one.code}' "
            f"and '{other.code}': a site is one town"
        )


def _check_site(site: Site, path: Path) -> None:
    if not site.code or site.code != site.code.lower():
        raise InvalidFile(f"{path}: key 'sites': the site code '{site.code}' must be in lower case, and not empty")
    if not site.families or len(set(site.families)) != len(site.families):
        raise InvalidFile(f"{path}: key 'sites': 'families' of '{site.code}' must be [4], [6] or [4, 6]")
    if (site.latitude is None) != (site.longitude is None):
        raise InvalidFile(f"{path}: key 'sites': '{site.code}' has one coordinate without the other")
    if site.latitude is not None and site.longitude is not None and not on_earth(site.latitude, site.longitude):
        raise InvalidFile(f"{path}: key 'sites': '{site.code}' is not on Earth: {site.latitude}, {site.longitude}")


def _refuse_twice(key: str, what: str, names: Iterable[str], why: str, path: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidFile(f"{path}: key '{key}': the {what} '{twice[0]}' is there twice: {why}")
