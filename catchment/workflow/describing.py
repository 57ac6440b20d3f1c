"""What is known of services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catchment.assign import identify
from catchment.campaign import digest, service_table
from catchment.metrics import Numbers
from catchment.services import bundled_service, find_service, service_names


def list_services() -> list[dict[str, Any]]:
    """Return the bundled services in short."""
    return [
        {
            "name": service.name,
            "operator": service.operator,
            "sites": len(service.sites),
            "answers": list(service.answers),
            "addresses": [entry.address for entry in service.addresses if entry.until is None],
            "digest": digest(service),
        }
        for service in map(bundled_service, service_names())
    ]


def describe_service(name: str) -> dict[str, Any]:
    """Return all facts of a service, and its version."""
    service = find_service(name)
    return {**service_table(service), "digest": digest(service)}


def identify_strings(name: str, identities: Sequence[str]) -> Numbers:
    """Return what each identity says under a service."""
    service = find_service(name)
    return {
        "service": service.name,
        "identities": [
            {
                "identity": found.identity,
                "site": None if found.site is None else found.site.code,
                "town": None if found.site is None else found.site.town,
                "country": None if found.site is None else found.site.country,
                "server": found.server,
                "rule": found.rule,
            }
            for found in identify(service, identities)
        ],
    }
