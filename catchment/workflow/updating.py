"""Own versions of services, brought up to the lists that operators publish."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from catchment.campaign import apart_km, corrected, digest, load_uncorrected, service_to_toml
from catchment.errors import InvalidFile, UnknownName, hint
from catchment.metrics import Numbers
from catchment.model import Correction, Service, Site
from catchment.services import bundled_file, bundled_service, find_service, is_bundled, own_folder, service_file
from catchment.services.fetching import fetch_list
from catchment.services.matching import SAME_PLACE_KM
from catchment.services.placing import corrected_keys
from catchment.services.root_list import Merged, PublishedList, merge_list, read_list

PUBLIC_SERVER = "https://root-servers.org"
LISTS = {f"{letter}-root": letter.upper() for letter in "abcdefghijklm"}
"""Services whose operators publish a list of their sites, and under which letter."""

_MOST_CLOSED = 0.5  # of the active sites; more are rather missing from a list than gone


def update_service(
    name: str, *, now: datetime.datetime, out: Path | None = None, server: str | None = None, force: bool = False
) -> Numbers:
    """Bring a root letter up to its published list; store it at `out`, else as the user's own version.

    Without `out` nothing is stored where the list says nothing new, but for its date in an own version. `now` is UTC.
    Raises UnknownName, ListUnavailable where the list cannot be fetched, and InvalidFile, also (unless forced) where
    the list would close more than half of the active sites.
    """
    if out is not None and not out.name:
        raise InvalidFile(f"'{out}' is a folder: name a file with -o")
    if name not in LISTS:
        otherwise = f"those of {', '.join(LISTS)} do"
        raise UnknownName(f"the sites of '{name}' stand in no published list: {hint(name, list(LISTS), otherwise)}")
    file = service_file(name)
    before, known = find_service(name), load_uncorrected(file)
    if known.sites_of is not None:
        raise InvalidFile(f"{file}: key 'sites_of': the sites are those of '{known.sites_of}': update that one")
    url = f"{(server or PUBLIC_SERVER).rstrip('/')}/root/{LISTS[name]}/json/"
    merged, listed = _merge(known, url, now.date())
    to = own_folder() / f"{name}.toml" if out is None else out
    after = _checked(known, merged, url, force=force)
    changed = replace(merged.service, sources=()) != replace(known, sources=())
    stored = out is not None or changed or (not is_bundled(file) and merged.service != known)
    if stored:
        _write(to, service_to_toml(merged.service, _heading(name, url, now, is_own=out is None)))
    return {
        "service": name,
        "file": str(to) if stored else None,
        "url": url,
        "fetched": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "list_date": None if listed.updated is None else listed.updated.isoformat(),
        "digest_before": digest(before),
        "digest_after": digest(after),
        **_changes(merged, before, after),
    }


def restore_bundled(name: str) -> Numbers:
    """Remove the user's own version of a bundled service, if there is one. Raises UnknownName."""
    bundled_file(name)  # what is nowhere else is not removed
    own = service_file(name)
    if not is_bundled(own):
        try:
            own.unlink()
        except OSError as error:
            raise InvalidFile(f"{own}: {error.strerror}: remove it by hand") from error
    return {
        "service": name,
        "removed": None if is_bundled(own) else str(own),
        "digest_after": digest(bundled_service(name)),
    }


def _merge(known: Service, url: str, on: datetime.date) -> tuple[Merged, PublishedList]:
    document = fetch_list(url)
    try:
        published = read_list(document)
    except InvalidFile as error:
        raise InvalidFile(f"{url}: {error}") from error
    merged = merge_list(known, published, on=on)
    if published.addresses and set(published.addresses) == set(merged.addresses):
        raise InvalidFile(
            f"{url}: the list is of {', '.join(published.addresses)}, none of which {known.name} has: name another "
            "server, or add them to a file of your own if the service was renumbered"
        )
    return merged, published


def _checked(known: Service, merged: Merged, url: str, *, force: bool) -> Service:
    """Return the service with its corrections applied. Raises InvalidFile where the list cannot be meant."""
    active = sum(site.until is None for site in known.sites)
    if len(merged.closed) > active * _MOST_CLOSED and not force:
        raise InvalidFile(
            f"{url}: the list would close {len(merged.closed)} of {active} active sites: try again later, "
            "or say --force if it is right"
        )
    try:
        return corrected(merged.service, Path(f"{merged.service.name}.toml"))
    except InvalidFile as error:
        raise InvalidFile(f"{url}: with this list, {error}") from error


def _changes(merged: Merged, before: Service, after: Service) -> Numbers:
    """Return what a list changed; corrections count: a place that they had right already has not moved."""
    was, now = ({site.code: site for site in service.sites} for service in (before, after))
    moves = [(was[site.code], now[site.code]) for site, _ in merged.moved]
    return {
        "added": [_site(now[site.code]) for site in merged.added],
        "closed": [{**_site(now[site.code]), "until": _day(now[site.code].until)} for site in merged.closed],
        "reopened": [_site(now[site.code]) for site in merged.reopened],
        "moved": [
            {
                "site": there.code,
                "from": _place(here),
                "to": _place(there),
                "distance_km": _rounded(apart_km(here, there)),
            }
            for here, there in moves
            if _is_elsewhere(here, there)
        ],
        "identities_added": [{"site": code, "identity": identity} for code, identity in merged.identities_added],
        "identities_gone": [{"site": code, "identity": identity} for code, identity in merged.identities_gone],
        "corrections_dropped": [
            row for correction in merged.corrections_dropped for row in _dropped(correction, merged.service)
        ],
        "addresses_unknown": list(merged.addresses),
    }


def _dropped(correction: Correction, published: Service) -> Iterator[dict[str, Any]]:
    site = next(site for site in published.sites if site.code == correction.site)
    for key in corrected_keys(correction):
        yield {
            "site": site.code,
            "key": key,
            "corrected": getattr(correction, key),
            "published": getattr(site, key),
            "reason": correction.reason,
        }


def _site(site: Site) -> dict[str, Any]:
    return {"site": site.code, **_place(site)}


def _place(site: Site) -> dict[str, Any]:
    return {"town": site.town, "country": site.country, "latitude": site.latitude, "longitude": site.longitude}


def _day(day: datetime.date | None) -> str | None:
    return None if day is None else day.isoformat()


def _is_elsewhere(here: Site, there: Site) -> bool:
    """Tell whether a place has another name, or is a kilometre or more away."""
    if (here.town, here.country) != (there.town, there.country):
        return True
    if (here.latitude is None) != (there.latitude is None):
        return True
    return (apart_km(here, there) or 0.0) >= SAME_PLACE_KM


def _rounded(distance_km: float | None) -> float | None:
    return None if distance_km is None else round(distance_km, 1)


def _heading(name: str, url: str, now: datetime.datetime, *, is_own: bool) -> str:
    lines = [f"{name}, brought up to {url} by `catchment services update` on {now.date()}."]
    if is_own:
        lines.append(
            f"The name {name} finds this file before the version that came with catchment: remove it to go back."
        )
    return "\n".join(lines)


def _write(file: Path, text: str) -> None:
    """Write a file as a whole or not at all. Raises InvalidFile where that is not possible."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidFile(f"{file}: {error.strerror}: name another place with -o, or in CATCHMENT_SERVICES") from error
