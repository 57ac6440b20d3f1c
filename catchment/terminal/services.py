"""What is known of services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from catchment.metrics import Numbers
from catchment.terminal.cells import add_row, harmless, table


def show_services(services: Sequence[dict[str, Any]]) -> RenderableType:
    """Lay out the bundled services."""
    rows = table("Service", "Operator", ">Sites", "Answers", "Addresses")
    for service in services:
        add_row(
            rows,
            service["name"],
            service["operator"],
            str(service["sites"]),
            ", ".join(service["answers"]) or "none",
            ", ".join(service["addresses"]),
        )
    return rows


def show_service(service: dict[str, Any]) -> RenderableType:
    """Lay out one service with its sites."""
    rows = table("Site", "Town", "Country", ">Latitude", ">Longitude", "Scope", "Since", "Until")
    for site in service.get("sites", []):
        place = [str(site[key]) if key in site else "?" for key in ("latitude", "longitude")]
        row = [site["code"], site["town"], site["country"], *place, site["scope"]]
        add_row(rows, *row, *(site.get(key, "") for key in ("since", "until")))
    head = Text(
        f"{harmless(service['name'])}: {harmless(service['operator'])}, version {service['digest']}", style="bold"
    )
    facts = [
        f"addresses  {', '.join(entry['address'] for entry in service['addresses'])}",
        f"answers    {', '.join(service.get('answers', [])) or 'no identity query'}",
        *(f"pattern    {pattern['regex']}" for pattern in service.get("patterns", [])),
        *(f"source     {source['of']}: {source['text']} ({source['date']})" for source in service.get("sources", [])),
    ]
    return Group(head, *(Text(harmless(fact)) for fact in facts), rows)


def show_identities(found: Numbers) -> RenderableType:
    """Lay out what identities say."""
    rows = table("Identity", "Site", "Town", "Country", "Server", "Rule")
    for entry in found["identities"]:
        keys = ("identity", "site", "town", "country", "server", "rule")
        add_row(rows, *(entry[key] if entry[key] is not None else "–" for key in keys))
    return rows
