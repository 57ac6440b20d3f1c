"""Where a published list says that sites are, and which corrections that makes needless."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from catchment.campaign import corrected_site, doubled_towns
from catchment.model import Correction, Site
from catchment.places import town_key
from catchment.services.matching import SAME_PLACE_KM, Draft, is_within, rank
from catchment.services.published import Entry

KEYS = ("town", "country", "latitude", "longitude")
"""What a published list says of a place, and a correction corrects."""

_SAME_DEGREES = 0.01  # about a kilometre


def place(drafts: Sequence[Draft], corrections: Sequence[Correction]) -> list[Site]:
    """Return the sites with towns and coordinates of the list; new ones have no code yet.

    A site stays where it was if it would come into the town of another one.
    """
    sites = [_placed(draft, _of(draft, corrections)) for draft in drafts]
    stay = set[int]()
    while True:
        seen = []
        for number, (draft, site) in enumerate(zip(drafts, sites, strict=True)):
            due = [] if draft.was is None else [still_due(it, draft.was, site) for it in _of(draft, corrections)]
            seen.append(replace(corrected_site(site, due), code=str(number)))
        more = {int(site.code) for pair in doubled_towns(seen) for site in pair} - stay
        if not more:
            return sites
        stay |= more
        for number in more:
            sites[number] = drafts[number].was or sites[number]


def still_due(correction: Correction, was: Site, now: Site) -> Correction:
    """Return a correction of a site without what the list now has another value of than the one corrected.

    Coordinates that are corrected together are one value.
    """
    gone = {key for key in corrected_keys(correction) if _differs(getattr(was, key), getattr(now, key))}
    if gone & {"latitude", "longitude"}:
        gone |= {"latitude", "longitude"}
    return without(correction, gone)


def without(correction: Correction, keys: Iterable[str]) -> Correction:
    """Return a correction without some of its keys."""
    nothing: dict[str, Any] = dict.fromkeys(keys)
    return replace(correction, **nothing)


def corrected_keys(correction: Correction) -> list[str]:
    """Return what of a published place is corrected."""
    return [key for key in KEYS if getattr(correction, key) is not None]


def _differs(one: str | float | None, other: str | float | None) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) >= _SAME_DEGREES
    return one != other


def _of(draft: Draft, corrections: Iterable[Correction]) -> list[Correction]:
    return [it for it in corrections if draft.was is not None and it.site == draft.was.code]


def _placed(draft: Draft, corrections: Iterable[Correction]) -> Site:
    """Return a site with the town and coordinates that it had, where an entry still has them, else of its best entry.

    A misspelt town that is corrected has to be there as it was misspelt.
    """
    if not draft.entries:
        return draft.known[0]
    entries = sorted(draft.live or draft.entries, key=rank)
    site = draft.was or Site(code="", town=entries[0].town, country=entries[0].country)
    exactly = any(correction.town is not None for correction in corrections)
    named = _named(site, entries, exactly=exactly) or next((it for it in entries if _key(it) in draft.keys), entries[0])
    if _key(named) != _key(site) or (exactly and named.town != site.town):
        site = replace(site, town=named.town, country=named.country)
    placed = [entry for entry in entries if entry.latitude is not None]
    if placed and not is_within(SAME_PLACE_KM, site, placed):
        there = next((entry for entry in placed if _key(entry) == _key(site)), placed[0])
        site = replace(site, latitude=_rounded(there.latitude), longitude=_rounded(there.longitude))
    return site


def _named(site: Site, entries: Sequence[Entry], *, exactly: bool) -> Entry | None:
    """Return the best of the entries, ranked, that name a site as it was; or a better one with another country."""
    for entry in entries:
        if _key(entry) == _key(site) and (entry.town == site.town or not exactly):
            best = entries[0]
            return best if rank(best) < rank(entry) and _key(best)[1] == _key(site)[1] else entry
    return None


def _key(place: Site | Entry) -> tuple[str, str]:
    return town_key(place.town, place.country)


def _rounded(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, 4)
