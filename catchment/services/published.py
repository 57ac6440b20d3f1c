"""Lists of sites as the operators of the root servers publish them at root-servers.org.

Such a list is JSON, fetched from https://root-servers.org/root/K/json/: `Sites` (`Instances` until September 2020),
each with town, country, coordinates, scope, state and the identities of its servers.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catchment.errors import InvalidFile
from catchment.geo import on_earth
from catchment.model import AddressFamily, Scope

MOST_ENTRIES = 5000
_LONGEST = 255
_OPERATIONAL = {"", "operational"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a published list: a facility in a town, with the identities of its servers."""

    town: str
    country: str
    latitude: float | None
    longitude: float | None
    scope: Scope
    families: tuple[AddressFamily, ...]
    operational: bool
    updated: datetime.date | None
    identities: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """A published list: its operator, the service's addresses, the day of its last change, and its entries."""

    operator: str
    addresses: tuple[str, ...]
    updated: datetime.date | None
    entries: tuple[Entry, ...]


def read_list(document: Mapping[str, Any]) -> PublishedList:
    """Return a published list given as decoded JSON. Raises InvalidFile, which names the entry (from 1) and the key."""
    whole = _Table(document, "the published list")
    entries = whole.value("Sites", whole.value("Instances", None))
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_ENTRIES:
        raise whole.wrong("Sites", f"must be a list of 1 to {MOST_ENTRIES} sites")
    return PublishedList(
        operator=whole.text("Operator", ""),
        addresses=tuple(whole.address(key) for key in ("IPv4", "IPv6") if whole.value(key, "")),
        updated=whole.day("Updated"),
        entries=tuple(_entry(_Table(entry, f"site {number}")) for number, entry in enumerate(entries, start=1)),
    )


def _entry(table: _Table) -> Entry:
    country = table.text("Country").upper()
    if not re.fullmatch("[A-Z]{2}", country):
        raise table.wrong("Country", "must be a country code of two letters")
    latitude, longitude = table.number("Latitude"), table.number("Longitude")
    if (latitude is None) != (longitude is None):
        raise table.wrong("Latitude", "must come with 'Longitude'")
    if latitude is not None and longitude is not None and not on_earth(latitude, longitude):
        raise table.wrong("Latitude", f"names no place on Earth with 'Longitude': {latitude:.6g}, {longitude:.6g}")
    scope = table.text("Type", "Global").lower()
    if scope not in {"global", "local"}:
        raise table.wrong("Type", "must be Global or Local")
    announced = {4: table.flag("IPv4"), 6: table.flag("IPv6")}
    families: tuple[AddressFamily, ...] = tuple(af for af in (4, 6) if announced[af])
    return Entry(
        town=table.text("Town"),
        country=country,
        latitude=latitude,
        longitude=longitude,
        scope="local" if scope == "local" else "global",
        families=families or (4, 6),
        operational=table.text("Status", "").lower() in _OPERATIONAL,
        updated=table.day("Updated"),
        identities=table.texts("Identifiers"),
    )


class _Table:
    """A table of somebody else's making, read key by key; each complaint names the table and the key."""

    def __init__(self, table: object, name: str) -> None:
        self._name = name
        if not isinstance(table, Mapping):
            raise InvalidFile(f"{name} is no table: name a list in the form that root-servers.org publishes")
        self._table = table

    def wrong(self, key: str, what: str) -> InvalidFile:
        return InvalidFile(f"{self._name}: key '{key}' {what}: name a list in the form that root-servers.org publishes")

    def value(self, key: str, default: object) -> object:
        value = self._table.get(key)
        return default if value is None else value

    def text(self, key: str, default: str | None = None) -> str:
        value = self.value(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
            raise self.wrong(key, f"must be a text of at most {_LONGEST} printable characters")
        if not value.strip() and default is None:
            raise self.wrong(key, "is empty")
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.value(key, [])
        if not isinstance(values, list) or len(values) > MOST_ENTRIES:
            raise self.wrong(key, "must be a list of texts")
        for value in values:
            if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
                raise self.wrong(key, f"must hold texts of 1 to {_LONGEST} printable characters")
        return tuple(dict.fromkeys(value.strip() for value in values if value.strip()))

    def number(self, key: str) -> float | None:
        value = self.value(key, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 360:  # NaN is neither
            raise self.wrong(key, "must be a number of degrees")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self.value(key, True)  # noqa: FBT003
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def day(self, key: str) -> datetime.date | None:
        value = self.text(key, "")
        try:
            return datetime.date.fromisoformat(value[:10]) if value else None
        except ValueError as error:
            raise self.wrong(key, "must be a time such as 2025-04-17T20:23:27Z") from error

    def address(self, key: str) -> str:
        try:
            return str(ipaddress.ip_address(self.text(key)))
        except ValueError as error:
            raise self.wrong(key, "must be an IP address") from error
