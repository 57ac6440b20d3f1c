"""What is known of services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.terminal.cells import add_row, clip, table

_LONGEST = 1000
_MOST_ADDRESSES = 2
_MOST_IDENTITIES = 40
_CODES = {"own": "codes of the sites", "iata": "IATA codes", "unlocode": "UN/LOCODE"}


def show_services(services: Sequence[dict[str, Any]]) -> RenderableType:
    """Lay out the services that have a name."""
    rows = table("Service", "Operator", ">Sites", ">Active", "As of", "Answers", "Addresses")
    for service in services:
        if service["error"] is not None:
            add_row(rows, service["name"], "cannot be used", *"–––––")
            continue
        addresses = service["addresses"][:_MOST_ADDRESSES]
        more = len(service["addresses"]) - len(addresses)
        add_row(
            rows,
            service["name"],
            service["operator"],
            service["sites"],
            service["active_sites"],
            service["source_date"] or "?",
            ", ".join(service["answers"]) or "none",
            ", ".join(addresses) + (f" and {more} more" if more else ""),
        )
    return Group(rows, *(note for service in services if (note := _own_note(service)) is not None))


def show_service(service: dict[str, Any]) -> RenderableType:
    """Lay out one service with its sites."""
    title = f"{service['name']}: {service['operator']}, version {service['digest']}"
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    for name, fact in _facts(service):
        facts.add_row(name, Text(clip(fact, _LONGEST)))
    note = _own_note(service)
    return Group(Text(clip(title, _LONGEST), style="bold"), *([] if note is None else [note]), facts, _sites(service))


def show_identities(found: Numbers) -> RenderableType:
    """Lay out what identities say; a code that names a place without a listed site shows that place."""
    rows = table("Identity", "Site", "Town", "Country", "Server", "Rule")
    for entry in found["identities"]:
        place = entry if entry["site"] is not None else entry.get("place") or entry
        cells = (
            clip(entry["identity"], _LONGEST),
            entry["site"],
            place["town"],
            place["country"],
            entry["server"],
            entry["rule"],
        )
        add_row(rows, *("–" if cell is None else cell for cell in cells))
    return rows


def show_update(update: Numbers) -> RenderableType:
    """Lay out what a published list changed in a service, and where the new version lies."""
    changes = list(_changes(update))
    identities = list(_identity_changes(update))
    file = update["file"]
    rows = table("Change", "Site", "Town", "Country", "")
    for row in (*changes, *identities[:_MOST_IDENTITIES]):
        add_row(rows, *row)
    notes = [f"… and {len(identities) - _MOST_IDENTITIES} more identities (--json lists all)"]
    notes = notes if len(identities) > _MOST_IDENTITIES else []
    notes += [
        f"{update['service']} lacks an address of the list: {address}. Add it with the day since when it serves."
        for address in update["addresses_unknown"]
    ]
    of = f"the list at {update['url']}" + (f" of {update['list_date']}" if update["list_date"] else "")
    if changes or identities:
        head = f"{update['service']} after {of}: version {update['digest_before']} → {update['digest_after']}"
    else:
        head = f"{update['service']}: {of} says nothing new"
    notes.append("The version in use stays as it is." if file is None else f"Written: {file}")
    body = [rows] if changes or identities else []
    return Group(Text(clip(head, _LONGEST), style="bold"), *body, *(Text(clip(note, _LONGEST)) for note in notes))


def show_restored(restored: Numbers) -> RenderableType:
    """Say that a service is the bundled one again."""
    removed = restored["removed"]
    what = "there was no version of your own" if removed is None else f"{removed} is removed"
    return Text(
        clip(f"{restored['service']}: {what}; in use is the bundled version {restored['digest_after']}", _LONGEST)
    )


def _own_note(service: dict[str, Any]) -> Text | None:
    """Say where a version lies that did not come with catchment, and whether the one that did is newer."""
    if service["origin"] == "bundled":
        return None
    if service.get("error") is not None:
        note = f"{service['name']}: {service['error']}"
        if service["bundled_date"] is not None:
            note += f"; or go back: catchment services update {service['name']} --bundled"
        return Text(clip(note, _LONGEST), style="yellow")
    note = f"{service['name']} is the version in {service['origin']}"
    if service["bundled_date"] is not None and service["bundled_date"] > (service["source_date"] or ""):
        note += (
            f"; the bundled one is newer ({service['bundled_date']}): "
            f"catchment services update {service['name']} --bundled"
        )
    return Text(clip(note, _LONGEST), style="yellow")


def _facts(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    undated = [entry["address"] for entry in service["addresses"] if not _dated(entry)]
    if undated:
        yield "addresses", ", ".join(undated)
    for entry in service["addresses"]:
        if dates := _dated(entry):
            yield "address", f"{entry['address']} {dates}"
    yield "answers", ", ".join(service.get("answers", [])) or "no identity query"
    for pattern in service.get("patterns", []):
        yield "pattern", f"{pattern['regex']}  ({', '.join(filter(None, (_CODES[pattern['codes']], _dated(pattern))))})"
    for override in service.get("overrides", []):
        yield "override", f"{override['regex']} is {override['site']}: {override['reason']}"
    for entry in service.get("measurements", []):
        query = f" {entry['query']}" if "query" in entry else ""
        yield "measurement", f"{entry['id']}: {entry['kind']}{query}, IPv{entry['af']}"
    for neighbour in service.get("neighbours", []):
        yield "neighbour", f"{neighbour['prefix']} is at {neighbour['site']}"
    for hop in service.get("hop_names", []):
        yield "router", f"{hop['address']} is {hop['name']}"
    for source in service.get("sources", []):
        yield "source", f"{source['of']}: {source['text']} ({source['date']})"
    for entry in service.get("corrections", []):
        changed = [f"{key} {value}" for key, value in entry.items() if key not in {"site", "reason"}]
        yield "correction", f"{entry['site']}: {', '.join(changed)}: {entry['reason']}"
    if service["open_list"]:
        systems = {pattern["codes"] for pattern in service.get("patterns", [])} - {"own"}
        rest = ": a code of any other town stands for a site there" if systems else ""
        yield "sites", f"not all are published{rest}"


def _sites(service: dict[str, Any]) -> Table:
    rows = table("Site", "Town", "Country", ">Latitude", ">Longitude", "Notes")
    for site in service.get("sites", []):
        place = [f"{site[key]:.4f}" if key in site else "?" for key in ("latitude", "longitude")]
        add_row(rows, site["code"], site["town"], site["country"], *place, ", ".join(_notes(site)))
    return rows


def _notes(site: dict[str, Any]) -> Iterator[str]:
    if site["scope"] != "global":
        yield site["scope"]
    if len(site["families"]) == 1:
        yield f"IPv{site['families'][0]} only"
    if dates := _dated(site):
        yield dates
    if "codes" in site:
        yield "also " + " ".join(site["codes"])


def _dated(entry: dict[str, Any]) -> str:
    return " ".join(f"{key} {entry[key]}" for key in ("since", "until") if key in entry)


def _changes(update: Numbers) -> Iterator[tuple[str, ...]]:
    for kind in ("added", "reopened", "closed"):
        for site in update[kind]:
            yield kind, site["site"], site["town"], site["country"], _dated(site)
    for move in update["moved"]:
        here, there = move["from"], move["to"]
        apart = "" if move["distance_km"] is None else f", {move['distance_km']:,.0f} km away"
        yield "moved", move["site"], there["town"], there["country"], f"was {here['town']}, {here['country']}{apart}"

    for entry in update["corrections_dropped"]:
        told = f"{entry['key']} {entry['corrected']}, the list now has {entry['published']}"
        yield "correction dropped", entry["site"], "", "", told


def _identity_changes(update: Numbers) -> Iterator[tuple[str, ...]]:
    for kind, key in (("identity added", "identities_added"), ("identity gone", "identities_gone")):
        for entry in update[key]:
            yield kind, entry["site"], "", "", entry["identity"]
