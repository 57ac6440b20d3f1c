"""A root letter brought up to the list of its sites that its operator publishes."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from catchment.geo import arc_km
from catchment.model import Pattern, Service, Site
from catchment.places import town_key
from catchment.services.published import MOST_ENTRIES, Entry, PublishedList, read_list

__all__ = ["Merged", "PublishedList", "merge_list", "place_codes", "read_list"]

_SAME_PLACE_KM = 1.0  # two geocoders put one place apart by less
_SAME_TOWN_KM = 50.0
_BARE_CODE = re.compile("[a-z]{3}")  # so Netnod publishes its servers, each of which answers `s1.amx`
_CODE = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A service brought up to a published list, and what that changed; identities stand beside the code of their site.

    `addresses` are those of the list that the service does not have: nobody but its operator can say since when.
    """

    service: Service
    added: tuple[Site, ...]
    closed: tuple[Site, ...]
    reopened: tuple[Site, ...]
    moved: tuple[tuple[Site, Site], ...]
    identities_added: tuple[tuple[str, str], ...]
    identities_gone: tuple[tuple[str, str], ...]
    addresses: tuple[str, ...]


@dataclass(slots=True)
class _Draft:
    """A site in the making: as it was (nothing where it is new), its codes, and its entries in the list."""

    was: Site | None
    codes: list[str]
    entries: list[Entry] = field(default_factory=list)


def merge_list(service: Service, published: PublishedList, *, on: datetime.date) -> Merged:
    """Bring a service (as published: its corrections not applied) up to a list that was read on the day `on`.

    Entries of one place are one site. An entry is of the site that has its identities, else the place code in them,
    else its town; the same name within 50 km is the same town, even if the list names another country. Codes of sites
    stay for ever, new sites come last. A site that is no longer listed, or not operational, stays with `until`, unless
    it opened after the list was made. Coordinates that differ by less than 1 km are left alone.
    """
    drafts, owners = _match(service, published)
    pairs = [(draft, _site(draft, owners, published, on)) for draft in drafts]
    old = [(draft.was, site) for draft, site in pairs if draft.was is not None]
    new = sorted((site for draft, site in pairs if draft.was is None), key=lambda site: site.code)
    sites = (*(site for _, site in old), *new)
    before = {(site.code, identity) for site in service.sites for identity in site.identities}
    after = {(site.code, identity) for site in sites for identity in site.identities}
    known = {str(ipaddress.ip_address(entry.address)) for entry in service.addresses}
    sources = tuple(
        replace(source, date=published.updated or on) if "root-servers.org/root/" in source.text else source
        for source in service.sources
    )
    return Merged(
        service=replace(service, sites=sites, sources=sources),
        added=tuple(new),
        closed=tuple(site for was, site in old if was.until is None and site.until is not None),
        reopened=tuple(site for was, site in old if was.until is not None and site.until is None),
        moved=tuple((was, site) for was, site in old if _place(was) != _place(site)),
        identities_added=tuple(sorted(after - before)),
        identities_gone=tuple(sorted(before - after)),
        addresses=tuple(address for address in published.addresses if address not in known),
    )


def place_codes(patterns: Iterable[Pattern], identity: str) -> tuple[str, ...]:
    """Return the operator's place code in an identity as sites have it, and then as it is spelled there if it differs.

    `a1.sa--ruh.root` holds `sa-ruh`, spelled `sa--ruh`. None where no pattern reads the identity.
    """
    text = identity.casefold()
    for pattern in patterns:
        match = re.fullmatch(pattern.regex, text, re.IGNORECASE)
        if match and match["site"]:
            code = re.sub("-+", "-", match["site"])
            if pattern.codes == "unlocode" and re.fullmatch("[a-z]{5}", code):
                code = f"{code[:2]}-{code[2:]}"
            return tuple(dict.fromkeys((code, match["site"]))) if _CODE.fullmatch(code) else ()
    return (text,) if _BARE_CODE.fullmatch(text) else ()


def _match(service: Service, published: PublishedList) -> tuple[list[_Draft], dict[str, _Draft]]:
    """Return the service's sites and the new ones, each with its entries, and whose each published identity is."""
    drafts = [_Draft(was=site, codes=[site.code, *site.codes]) for site in service.sites]
    towns: dict[tuple[str, str], _Draft] = {}
    identities: dict[str, _Draft] = {}
    codes: dict[str, _Draft] = {}
    owners: dict[str, _Draft] = {}
    names: defaultdict[str, list[_Draft]] = defaultdict(list)
    for draft, site in zip(drafts, service.sites, strict=True):
        towns.setdefault(town_key(site.town, site.country), draft)
        identities.update({identity.casefold(): draft for identity in site.identities})
        codes.update({code.casefold(): draft for code in draft.codes})
    # What is in service, and global, says best where the site is.
    for entry in sorted(published.entries, key=lambda entry: (not entry.operational, entry.scope == "local")):
        texts = [identity.casefold() for identity in entry.identities]
        spelled = [place_codes(service.patterns, text) for text in texts]
        own = list(dict.fromkeys(code for found in spelled for code in found))
        key = town_key(entry.town, entry.country)
        found = next((identities[text] for text in texts if text in identities), None)
        found = found or next((codes[code] for code in own if code in codes), None)
        found = found or towns.get(key) or _namesake(entry, names[key[1]])
        draft = found or _Draft(was=None, codes=[] if own else [_invented(entry, codes)])
        if found is None:
            drafts.append(draft)
        draft.entries.append(entry)
        names[key[1]].append(draft)
        draft.codes += [code for code in own if code not in codes]
        towns.setdefault(key, draft)
        for code in draft.codes:
            codes.setdefault(code.casefold(), draft)
        for text in texts:
            identities.setdefault(text, draft)
            owners.setdefault(text, draft)
    return drafts, owners


def _namesake(entry: Entry, drafts: Iterable[_Draft]) -> _Draft | None:
    """Return which of some sites with a town of the entry's name is within 50 km: the list mistakes its country."""
    for draft in drafts:
        for other in draft.entries:
            apart_km = _apart_km(entry, other)
            if apart_km is not None and apart_km < _SAME_TOWN_KM:
                return draft
    return None


def _invented(entry: Entry, taken: Mapping[str, _Draft]) -> str:
    """Return a code for a place of which the identities tell none: its country and town."""
    name = re.sub("[^a-z0-9]+", "-", town_key(entry.town, entry.country)[1]).strip("-") or "site"
    code = f"{entry.country.lower()}-{name}"
    numbered = (f"{code}-{number}" for number in range(2, MOST_ENTRIES + 2))
    return code if code not in taken else next(other for other in numbered if other not in taken)


def _site(draft: _Draft, owners: Mapping[str, _Draft], published: PublishedList, on: datetime.date) -> Site:
    """Return what a site is after the list."""
    live = [entry for entry in draft.entries if entry.operational]
    entries = live or draft.entries
    if not entries:
        return _unlisted(draft, owners, published, on)
    first = entries[0]
    was = draft.was or Site(code=draft.codes[0], town=first.town, country=first.country)
    texts = {identity.casefold(): identity for entry in draft.entries for identity in entry.identities}
    known = {town_key(entry.town, entry.country) for entry in entries}
    near = any((apart_km := _apart_km(was, entry)) is not None and apart_km < _SAME_PLACE_KM for entry in entries)
    if not near:
        was = replace(was, latitude=_rounded(first.latitude), longitude=_rounded(first.longitude))
    if town_key(was.town, was.country) not in known:
        was = replace(was, town=first.town, country=first.country)
    dates = [entry.updated for entry in draft.entries if entry.updated is not None]
    return replace(
        was,
        scope="global" if any(entry.scope == "global" for entry in entries) else "local",
        families=tuple(af for af in (4, 6) if any(af in entry.families for entry in entries)),
        until=None if live else was.until or max(dates, default=on),
        codes=tuple(code for code in draft.codes if code != was.code),
        # A list that names no servers of a place says nothing of those known.
        identities=tuple(sorted(identity for text, identity in texts.items() if owners[text] is draft))
        if texts
        else _unclaimed(was.identities, owners),
    )


def _unlisted(draft: _Draft, owners: Mapping[str, _Draft], published: PublishedList, on: datetime.date) -> Site:
    """Return a site that the list does not name; it keeps its identities but those that stand elsewhere now."""
    assert draft.was is not None  # noqa: S101  (a new site has an entry)
    is_newer = draft.was.since is not None and draft.was.since > (published.updated or on)
    until = draft.was.until if is_newer else draft.was.until or on
    return replace(draft.was, until=until, identities=_unclaimed(draft.was.identities, owners))


def _unclaimed(identities: Iterable[str], owners: Mapping[str, _Draft]) -> tuple[str, ...]:
    return tuple(identity for identity in identities if identity.casefold() not in owners)


def _place(site: Site) -> tuple[str, str, float | None, float | None]:
    return site.town, site.country, site.latitude, site.longitude


def _apart_km(one: Site | Entry, other: Site | Entry) -> float | None:
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return None
    return arc_km(one.latitude, one.longitude, other.latitude, other.longitude)


def _rounded(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, 4)
