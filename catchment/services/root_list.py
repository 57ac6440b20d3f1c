"""A root letter brought up to the list of its sites that its operator publishes."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from catchment.model import Correction, Service, Site
from catchment.places import town_key
from catchment.services.matching import CodesOf, Draft, match, place_codes
from catchment.services.placing import corrected_keys, place, still_due, without
from catchment.services.published import MOST_ENTRIES, PublishedList, read_list

__all__ = ["Merged", "PublishedList", "merge_list", "place_codes", "read_list"]

_MOST_PASSES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A service brought up to a published list, and what that changed; identities stand beside the code of their site.

    `corrections_dropped` hold what is dropped of each. `addresses` are those of the list that the service does not
    have: nobody but its operator can say since when.
    """

    service: Service
    added: tuple[Site, ...]
    closed: tuple[Site, ...]
    reopened: tuple[Site, ...]
    moved: tuple[tuple[Site, Site], ...]
    identities_added: tuple[tuple[str, str], ...]
    identities_gone: tuple[tuple[str, str], ...]
    corrections_dropped: tuple[Correction, ...]
    addresses: tuple[str, ...]


def merge_list(service: Service, published: PublishedList, *, on: datetime.date) -> Merged:
    """Bring a service (as published: its corrections not applied) up to a list that was read on the day `on`.

    Which entries are of which site, `matching` tells; an identity that two sites publish stays where it was. Codes of
    sites stay for ever, new sites come last. A site that is no longer listed, or not operational, stays with `until`,
    unless it opened after the list was made. Coordinates that differ by less than 1 km are left alone. A correction of
    what the list says no more is dropped. Doing so again with the same list changes nothing.
    """
    after = service
    codes_of = cache(lambda text: place_codes(service.patterns, text))
    # A site that moved or got identities may be nearer to another entry than before.
    for _ in range(_MOST_PASSES):
        before, after = after, _brought_up(after, published, on, len(service.sites), codes_of)
        if after == before:
            break
    pairs = list(zip(service.sites, after.sites, strict=False))
    was = {(site.code, identity) for site in service.sites for identity in site.identities}
    now = {(site.code, identity) for site in after.sites for identity in site.identities}
    known = {str(ipaddress.ip_address(entry.address)) for entry in service.addresses}
    sources = tuple(
        replace(source, date=published.updated or on) if "root-servers.org/root/" in source.text else source
        for source in service.sources
    )
    corrections = list(zip(service.corrections, after.corrections, strict=True))
    return Merged(
        service=replace(
            after,
            corrections=tuple(left for _, left in corrections if corrected_keys(left) or left.until is not None),
            sources=sources,
        ),
        added=after.sites[len(pairs) :],
        closed=tuple(site for was, site in pairs if was.until is None and site.until is not None),
        reopened=tuple(site for was, site in pairs if was.until is not None and site.until is None),
        moved=tuple((was, site) for was, site in pairs if _where(was) != _where(site)),
        identities_added=tuple(sorted(now - was)),
        identities_gone=tuple(sorted(was - now)),
        corrections_dropped=tuple(
            without(correction, corrected_keys(left)) for correction, left in corrections if correction != left
        ),
        addresses=tuple(address for address in published.addresses if address not in known),
    )


def _brought_up(
    service: Service, published: PublishedList, on: datetime.date, first_new: int, codes_of: CodesOf
) -> Service:
    """Return a service after a list; its sites from `first_new` on are not known yet, and go where nothing lists them.

    A correction of which nothing is left stays in its place.
    """
    drafts = match(service, published.entries, codes_of)
    drafts = [draft for number, draft in enumerate(drafts) if number < first_new or draft.entries]
    places = place(drafts, service.corrections)
    owners = _owners(drafts)
    codes = _codes(drafts, owners, codes_of)
    sites = [
        _listed(draft, there, owners, codes[draft], on) if draft.entries else _unlisted(there, owners, published, on)
        for draft, there in zip(drafts, places, strict=True)
    ]
    was, now = ({site.code: site for site in each} for each in (service.sites, sites))
    return replace(
        service,
        sites=(*sites[:first_new], *sorted(sites[first_new:], key=lambda site: site.code)),
        corrections=tuple(still_due(it, was[it.site], now[it.site]) for it in service.corrections),
    )


def _owners(drafts: Iterable[Draft]) -> dict[str, Draft]:
    """Return whose each published identity is: of those that publish it the one that had it, else the first."""
    owners: dict[str, Draft] = {}
    for draft in drafts:
        had = {text.casefold() for site in draft.known for text in site.identities}
        for text in (identity.casefold() for entry in draft.entries for identity in entry.identities):
            if text in had:
                owners[text] = draft
            else:
                owners.setdefault(text, draft)
    return owners


def _codes(drafts: Sequence[Draft], owners: Mapping[str, Draft], codes_of: CodesOf) -> dict[Draft, list[str]]:
    """Return the codes of each site; a code that is new is of the site of which most identities have it."""
    codes = {draft: [code for site in draft.known[:1] for code in (site.code, *site.codes)] for draft in drafts}
    taken = {code.casefold() for known in codes.values() for code in known}
    votes: defaultdict[str, Counter[Draft]] = defaultdict(Counter)
    for text, draft in owners.items():
        for code in codes_of(text):
            if code not in taken:
                votes[code][draft] += 1
    for code, counts in votes.items():
        codes[counts.most_common(1)[0][0]].append(code)
        taken.add(code)
    for draft in drafts:
        if not codes[draft]:
            codes[draft].append(_invented(draft, taken))
            taken.add(codes[draft][0])
    return codes


def _invented(draft: Draft, taken: Container[str]) -> str:
    """Return a code for a place of which the identities tell none: its country and town."""
    entry = draft.entries[0]
    name = re.sub("[^a-z0-9]+", "-", town_key(entry.town, entry.country)[1]).strip("-") or "site"
    code = f"{entry.country.lower()}-{name}"
    numbered = (f"{code}-{number}" for number in range(2, MOST_ENTRIES + 2))
    return code if code not in taken else next(other for other in numbered if other not in taken)


def _listed(draft: Draft, there: Site, owners: Mapping[str, Draft], codes: list[str], on: datetime.date) -> Site:
    """Return what a site is after the list."""
    entries = draft.live or draft.entries
    texts = {identity.casefold(): identity for entry in draft.entries for identity in entry.identities}
    dates = [entry.updated for entry in draft.entries if entry.updated is not None]
    return replace(
        there,
        code=codes[0],
        scope="global" if any(entry.scope == "global" for entry in entries) else "local",
        families=tuple(af for af in (4, 6) if any(af in entry.families for entry in entries)),
        until=None if draft.live else there.until or max(dates, default=on),
        codes=tuple(codes[1:]),
        # A list that names no servers of a place says nothing of those known.
        identities=tuple(sorted(identity for text, identity in texts.items() if owners[text] is draft))
        if texts
        else _unclaimed(there.identities, owners),
    )


def _unlisted(site: Site, owners: Mapping[str, Draft], published: PublishedList, on: datetime.date) -> Site:
    """Return a site that the list does not name; it keeps its identities but those that stand elsewhere now."""
    is_newer = site.since is not None and site.since > (published.updated or on)
    until = site.until if is_newer else site.until or on
    return replace(site, until=until, identities=_unclaimed(site.identities, owners))


def _unclaimed(identities: Iterable[str], owners: Mapping[str, Draft]) -> tuple[str, ...]:
    return tuple(identity for identity in identities if identity.casefold() not in owners)


def _where(site: Site) -> tuple[str, str, float | None, float | None]:
    return site.town, site.country, site.latitude, site.longitude
