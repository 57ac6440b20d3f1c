"""What is known of services."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from catchment.assign import Identified, identify
from catchment.campaign import digest, service_table
from catchment.errors import CatchmentError
from catchment.metrics import Numbers
from catchment.model import Service
from catchment.services import (
    bundled_service,
    find_service,
    is_bundled,
    is_path,
    known_names,
    service_file,
    service_names,
)


def list_services(today: datetime.date) -> list[dict[str, Any]]:
    """Return the services that have a name, in short; sites are active that serve on the day `today`.

    Of one whose file cannot be used, `error` says why.
    """
    return [_in_short(name, today) for name in known_names()]


def describe_service(name: str) -> dict[str, Any]:
    """Return all facts of a service, its version, and where that lies."""
    service = find_service(name)
    return {**service_table(service), **_version(name, service)}


def identify_strings(name: str, identities: Sequence[str]) -> Numbers:
    """Return what each identity says under a service."""
    service = find_service(name)
    return {"service": service.name, "identities": [_told(found) for found in identify(service, identities)]}


def _in_short(name: str, today: datetime.date) -> dict[str, Any]:
    try:
        service = find_service(name)
    except CatchmentError as error:
        unknown = dict.fromkeys(("operator", "sites", "active_sites", "digest", "source_date"))
        return {
            "name": name,
            **unknown,
            "answers": [],
            "addresses": [],
            "origin": str(service_file(name)),
            "bundled_date": _bundled_date(name),
            "error": str(error),
        }
    active = [
        site
        for site in service.sites
        if (site.since is None or site.since <= today) and (site.until is None or today < site.until)
    ]
    return {
        "name": service.name,
        "operator": service.operator,
        "sites": len(service.sites),
        "active_sites": len(active),
        "answers": list(service.answers),
        "addresses": [entry.address for entry in service.addresses if entry.until is None],
        **_version(name, service),
        "error": None,
    }


def _version(name: str, service: Service) -> dict[str, Any]:
    """Return which version of a service this is, and the date of the bundled one that an own version stands before."""
    file = Path(name) if is_path(name) else service_file(name)
    return {
        "digest": digest(service),
        "origin": "bundled" if is_bundled(file) else str(file),
        "source_date": _source_date(service),
        "bundled_date": None if is_bundled(file) else _bundled_date(name),
    }


def _bundled_date(name: str) -> str | None:
    return _source_date(bundled_service(name)) if name in service_names() else None


def _source_date(service: Service) -> str | None:
    """Return the day of the newest source of the sites; of anything, where no source says that it is of sites."""
    of_sites = [source.date for source in service.sources if "sites" in source.of]
    dates = of_sites or [source.date for source in service.sources]
    return max(dates).isoformat() if dates else None


def _told(found: Identified) -> dict[str, Any]:
    return {
        "identity": found.identity,
        "site": None if found.site is None else found.site.code,
        "town": None if found.site is None else found.site.town,
        "country": None if found.site is None else found.site.country,
        "server": found.server,
        "rule": found.rule,
        "outcome": found.outcome.value,
        "place": None if found.place is None else asdict(found.place),
    }
