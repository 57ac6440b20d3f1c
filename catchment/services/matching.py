"""Which entries of a published list are which site of a service."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import partial

from catchment.campaign import SAME_NAME_KM, apart_km, corrected_site
from catchment.model import Pattern, Service, Site
from catchment.places import town_key
from catchment.services.published import Entry

SAME_PLACE_KM = 1.0
"""Two geocoders put one place apart by less."""

_SAME_TOWN_KM = 50.0
_ALIKE = 0.8  # of difflib's ratio: Posadus is Posadas, Rotterdam is not Amsterdam (0.67)
_MOST_PAIRS = 250_000  # of entries and sites: all of the longest list have new names; comparing those takes seconds
_KM_PER_DEGREE = 111.0  # of latitude, a little less than anywhere
_BARE_CODE = re.compile("[a-z]{3}")  # so Netnod publishes its servers, each of which answers `s1.amx`
_CODE = re.compile("[a-z0-9]+(-[a-z0-9]+)*")

Placed = Site | Entry
CodesOf = Callable[[str], tuple[str, ...]]
"""Returns the place codes in an identity (in lower case)."""


@dataclass(slots=True, eq=False)
class Draft:
    """A site in the making: as published so far and as corrected (nothing where it is new), and its entries."""

    known: tuple[Site, ...]
    entries: list[Entry] = field(default_factory=list)

    @property
    def was(self) -> Site | None:
        """Return the site as published so far."""
        return self.known[0] if self.known else None

    @property
    def live(self) -> list[Entry]:
        """Return the entries that are in service."""
        return [entry for entry in self.entries if entry.operational]

    @property
    def places(self) -> Sequence[Placed]:
        """Return what says where the site is."""
        return self.known or self.entries[:1]

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Return the town's names, folded."""
        return {town_key(place.town, place.country) for place in self.places}


def match(service: Service, entries: Iterable[Entry], codes_of: CodesOf) -> list[Draft]:
    """Return the sites of a service (as published: its corrections not applied) and the new ones, with their entries.

    An entry is of the site of its town, as published or as corrected: of the same name within 150 km, or the nearest of
    several. Else it is of the site that most of its identities name (they are known there, or hold its code), if that
    is within 50 km or has this name; else of the one with this name in another country within 50 km. Towns get new
    names and coordinates too: so at last it is of the one site of the country that nothing else is of and that is
    within 1 km, or has a similar name within 50 km, or the same name anywhere where list and service have just one.
    """
    drafts = [
        Draft(known=tuple(dict.fromkeys((site, corrected_site(site, service.corrections))))) for site in service.sites
    ]
    known = _Known(drafts, codes_of)
    # What is in service, and global, says best where the site is.
    waiting = _put(known, sorted(entries, key=rank), lambda *_: None)
    if len(waiting) * len(drafts) <= _MOST_PAIRS:
        waiting = _put(known, waiting, _at_the_place)
        waiting = _put(known, waiting, _alike)
        waiting = _put(known, waiting, partial(_only_one_of_the_name, single=_single_towns(waiting)))
    for entry in waiting:
        known.add(known.find(entry) or Draft(known=()), entry)
    return known.drafts


def _put(
    known: _Known, entries: Iterable[Entry], last_resort: Callable[[Entry, list[Draft]], Draft | None]
) -> list[Entry]:
    """Put entries to their sites; return those that have none."""
    left = list[Entry]()
    for entry in entries:
        found = known.find(entry) or last_resort(entry, known.in_country(entry.country))
        if found is None:
            left.append(entry)
        else:
            known.add(found, entry)
    return left


def rank(entry: Entry) -> tuple[bool, bool]:
    """Return how well an entry says what the site is: the lower, the better."""
    return not entry.operational, entry.scope == "local"


def is_within(limit_km: float, one: Placed, others: Iterable[Placed]) -> bool:
    """Tell whether any of the others is nearer than that; what has no coordinates is not."""
    return any((distance_km := apart_km(one, other)) is not None and distance_km < limit_km for other in others)


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


class _Known:
    """Sites by all that an entry can tell of them; each entry that is put to one tells more of it."""

    def __init__(self, drafts: list[Draft], codes_of: CodesOf) -> None:
        self.drafts = drafts
        self._codes_of = codes_of
        self._towns: defaultdict[tuple[str, str], list[tuple[Draft, Placed]]] = defaultdict(list)
        self._names: defaultdict[str, list[tuple[Draft, Placed]]] = defaultdict(list)
        self._countries: defaultdict[str, list[Draft]] = defaultdict(list)
        self._seen: set[tuple[Draft, tuple[str, str], int | None, int | None]] = set()
        self._identities: dict[str, Draft] = {}
        self._codes: dict[str, Draft] = {}
        for draft in drafts:
            for site in draft.known:
                self._identities.update(dict.fromkeys(map(str.casefold, site.identities), draft))
                self._codes.update(dict.fromkeys(map(str.casefold, (site.code, *site.codes)), draft))
                for key in draft.keys:
                    self._learn(draft, key, site)
            for country in {site.country for site in draft.known}:
                self._countries[country].append(draft)

    def in_country(self, country: str) -> list[Draft]:
        """Return the sites of the service, no new ones, that are in a country: as published, or as corrected."""
        return self._countries[country]

    def add(self, draft: Draft, entry: Entry) -> None:
        """Put an entry to a site."""
        if not draft.places:
            self.drafts.append(draft)
        draft.entries.append(entry)
        self._learn(draft, town_key(entry.town, entry.country), entry)
        for text in map(str.casefold, entry.identities):
            self._identities.setdefault(text, draft)
            for code in self._codes_of(text):
                self._codes.setdefault(code, draft)

    def find(self, entry: Entry) -> Draft | None:
        """Return the site of an entry's town, or else of its identities, or else of its town in another country."""
        key = town_key(entry.town, entry.country)
        return (
            _nearest(entry, self._towns[key], SAME_NAME_KM, unplaced=True)
            or self._of_identities(entry, key)
            or _nearest(entry, self._names[key[1]], _SAME_TOWN_KM, unplaced=False)
        )

    def _of_identities(self, entry: Entry, key: tuple[str, str]) -> Draft | None:
        votes = Counter(draft for text in entry.identities if (draft := self._of_identity(text.casefold())) is not None)
        for draft, count in votes.most_common(1):
            if 2 * count > len(entry.identities) and (
                key in draft.keys or is_within(_SAME_TOWN_KM, entry, draft.places)
            ):
                return draft
        return None

    def _of_identity(self, text: str) -> Draft | None:
        if text in self._identities:
            return self._identities[text]
        return next((self._codes[code] for code in self._codes_of(text) if code in self._codes), None)

    def _learn(self, draft: Draft, key: tuple[str, str], place: Placed) -> None:
        about = (None if degrees is None else round(degrees * 10) for degrees in (place.latitude, place.longitude))
        seen = (draft, key, next(about), next(about))
        if seen not in self._seen:  # a list may have thousands of entries in one town
            self._seen.add(seen)
            self._towns[key].append((draft, place))
            self._names[key[1]].append((draft, place))


def _nearest(
    entry: Entry, candidates: Iterable[tuple[Draft, Placed]], limit_km: float, *, unplaced: bool
) -> Draft | None:
    """Return the nearest site within a limit; if asked for, else the first of which the distance is not known."""
    best: Draft | None = None
    best_km: float | None = None
    for draft, place in candidates:
        if (
            entry.latitude is not None
            and place.latitude is not None
            and abs(entry.latitude - place.latitude) * _KM_PER_DEGREE > limit_km
        ):
            continue
        distance_km = apart_km(entry, place)
        if distance_km is None:
            best = draft if best is None and unplaced else best
        elif distance_km < limit_km and (best_km is None or distance_km < best_km):
            best, best_km = draft, distance_km
    return best


def _at_the_place(entry: Entry, drafts: Iterable[Draft]) -> Draft | None:
    return _only(draft for draft in _unmatched(drafts) if is_within(SAME_PLACE_KM, entry, draft.places))


def _alike(entry: Entry, drafts: Iterable[Draft]) -> Draft | None:
    _, name = town_key(entry.town, entry.country)
    return _only(
        draft
        for draft in _unmatched(drafts)
        if is_within(_SAME_TOWN_KM, entry, draft.places) and any(_are_alike(name, other) for _, other in draft.keys)
    )


def _are_alike(one: str, other: str) -> bool:
    words, others = set(one.split()), set(other.split())
    return (
        bool(words and words <= others)
        or bool(others and others <= words)
        or SequenceMatcher(None, one, other).ratio() >= _ALIKE
    )


def _only_one_of_the_name(entry: Entry, drafts: Iterable[Draft], single: set[tuple[str, str]]) -> Draft | None:
    key = town_key(entry.town, entry.country)
    found = _only(draft for draft in drafts if key in draft.keys) if key in single else None
    return None if found is None or found.entries else found


def _single_towns(entries: Iterable[Entry]) -> set[tuple[str, str]]:
    """Return the names that only one town among the entries has."""
    first: dict[tuple[str, str], Entry] = {}
    several = set()
    for entry in entries:
        key = town_key(entry.town, entry.country)
        distance_km = apart_km(first.setdefault(key, entry), entry)
        if distance_km is None or distance_km >= SAME_NAME_KM:
            several.add(key)
    return first.keys() - several


def _unmatched(drafts: Iterable[Draft]) -> Iterator[Draft]:
    return (draft for draft in drafts if not draft.entries)


def _only(drafts: Iterator[Draft]) -> Draft | None:
    """Return the one there is; None where there are none or several."""
    found = next(drafts, None)
    return found if next(drafts, None) is None else None
