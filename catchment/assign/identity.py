"""From the string by which a server names itself to the site that it stands in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from catchment.geo import arc_km
from catchment.model import CodeSystem, Outcome, Service, Site
from catchment.places import Place, iata_place, is_hub, main_airport, town_key, unlocode_place

NEAR_KM = 60.0
"""How far from the place of a code a site in another town may be, where no other site is nearly as near.

Root letters and Cloudflare (lists of 2025-01 and 2026-08) call the town of 41 sites otherwise than the code in their
names does. 32 of these sites are within 45 km of the code's place; of the other 9, code or list is wrong. Of 3 codes,
another site is the nearest and within 60 km; it always has a rival that is less than 1.5 times as far.
"""

SAME_TOWN_KM = 150.0
"""How far apart two places of one name may be and still be one town, as lists are inexact. There are two Portlands."""

_RIVAL_RATIO = 2.0
_RIVAL_KM = 10.0
_MAXIMUM_LENGTH = 255  # of a domain name and of a character string in a TXT record
_MAXIMUM_EDITS = 3
_CHARACTERS_PER_EDIT = 8
_LEAST_MENDED = 4  # characters: a name as short as Netnod's `lim` cannot be damaged and still be known
_LONG = 12  # characters: shorter names have too few orders, and too few letters, to tell damage from another name
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?")  # RFC 1123, 2.1

_PLACES: dict[CodeSystem, Callable[[str], Place | None]] = {"iata": iata_place, "unlocode": unlocode_place}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """What one identity says: an outcome, the site if there is one, the server in it, and the rule that spoke.

    `place` is what the code in the identity stands for, where a code system had to be asked.
    """

    identity: str
    outcome: Outcome
    rule: str
    site: Site | None = None
    server: str | None = None
    place: Place | None = None

    @property
    def repaired(self) -> bool:
        """Tell whether the site was found by mending the identity."""
        return self.rule in {"repaired-identity", "reordered-identity"}


def identify(service: Service, identities: Iterable[str], source: str | None = None) -> list[Identified]:
    """Decide each identity, in the order given, by the first rule that speaks; letter case does not count.

    Published identity, pattern and code, override, repair. Then, a code that names no listed site opens one at its
    place if the list of the service is open and operators are known to have servers there. Which sites these are hangs
    on the set of identities, not on their order. `source` is the query that brought them (`nsid`, `hostname.bind`, …):
    patterns of other sources are left out; None is any.
    """
    return identify_by_source(service, ((identity, source) for identity in identities))


def identify_by_source(service: Service, given: Iterable[tuple[str, str | None]]) -> list[Identified]:
    """Decide identities as `identify` does, each beside the query that brought it; together they open one set of sites.

    A text may be the service's own in one source and somebody else's in another.
    """
    decider = _Decider(service)
    found = [decider.decide(identity, source) for identity, source in given]
    if not service.open_list:
        return found
    opened = _opened(service, {entry.place for entry in found if entry.place is not None and _opens(entry)})
    return [
        replace(entry, outcome=Outcome.IDENTIFIED, rule="open-list-place", site=opened[entry.place])
        if entry.place is not None and _opens(entry)
        else entry
        for entry in found
    ]


def with_discovered(service: Service, found: Iterable[Identified]) -> Service:
    """Return the service with the sites that `found` opened, in order of code after those that it lists."""
    listed = {site.code for site in service.sites}
    opened = {entry.site.code: entry.site for entry in found if entry.rule == "open-list-place" and entry.site}
    return replace(service, sites=(*service.sites, *(opened[code] for code in sorted(opened.keys() - listed))))


class _Decider:
    """The rules of one service, ready for many identities."""

    def __init__(self, service: Service) -> None:
        self.published = {text.casefold(): site for site in service.sites for text in site.identities}
        self.by_code = {code.casefold(): site for site in service.sites for code in (site.code, *site.codes)}
        self.by_town: dict[tuple[str, str], list[Site]] = defaultdict(list)
        for site in service.sites:
            self.by_town[town_key(site.town, site.country)].append(site)
        self.texts = [text for text in self.published if len(text) >= _LEAST_MENDED]
        self.by_letters: dict[str, list[str]] = defaultdict(list)
        for text in self.texts:
            self.by_letters["".join(sorted(text))].append(text)
        self.sites = service.sites
        self.open_list = service.open_list
        self.patterns = [(re.compile(entry.regex, re.IGNORECASE), entry) for entry in service.patterns]
        self.overrides = [(re.compile(entry.regex, re.IGNORECASE), entry.site) for entry in service.overrides]
        self.decided: dict[tuple[str, CodeSystem], tuple[str, Site | None, Place | None]] = {}

    def decide(self, identity: str, source: str | None) -> Identified:
        """Decide one identity by the rules that need to know no other identity."""
        if len(identity) > _MAXIMUM_LENGTH:
            return self.unmatched(identity)
        text = identity.casefold()
        matches = [
            (match, pattern.codes)
            for regex, pattern in self.patterns
            if (source is None or not pattern.of or source in pattern.of)
            and (match := regex.fullmatch(text))
            and match["site"]
        ]
        read = [(match.groupdict().get("server"), *self.decide_code(match["site"], codes)) for match, codes in matches]
        if text in self.published:
            server = read[0][0] if read else None
            return _named(identity, "published-identity", self.published[text], server)
        for server, rule, site, place in read:
            if site is not None:
                return _named(identity, rule, site, server, place)
        for regex, code in self.overrides:
            if match := regex.fullmatch(text):
                return _named(identity, "override", self.by_code[code], match.groupdict().get("server"))
        if not read:
            return self.mended(identity)
        server, rule, _, place = next((entry for entry in read if entry[3] is not None), read[0])
        return Identified(identity=identity, outcome=Outcome.UNKNOWN, rule=rule, server=server, place=place)

    def mended(self, identity: str) -> Identified:
        """Decide an identity that matches no pattern: somebody else's, unless it is a damaged one of the service."""
        text = identity.casefold()
        for rule, mend in (("repaired-identity", self.mend), ("reordered-identity", self.reorder)):
            site = mend(text)
            if site is not None:
                return _named(identity, rule, site)
        return self.unmatched(identity)

    def unmatched(self, identity: str) -> Identified:
        """Say that no rule knows an identity."""
        if not self.patterns and not self.published:
            return Identified(identity=identity, outcome=Outcome.UNKNOWN, rule="nothing-to-match")
        return Identified(identity=identity, outcome=Outcome.FOREIGN, rule="no-pattern-matches")

    def decide_code(self, code: str, codes: CodeSystem) -> tuple[str, Site | None, Place | None]:
        """Return the rule that spoke of a code, the site that it names, and its place if a code system was asked."""
        if (code, codes) not in self.decided:
            self.decided[code, codes] = self.look_up(code, codes)
        return self.decided[code, codes]

    def look_up(self, code: str, codes: CodeSystem) -> tuple[str, Site | None, Place | None]:
        for spelling in _spellings(code, codes):
            if spelling in self.by_code:
                return "pattern-own-code", self.by_code[spelling], None
        place = _PLACES[codes](code) if codes in _PLACES else None
        if place is None:
            return "code-not-listed", None, None
        if self.open_list and not is_hub(place.code):  # more likely a word, `isp`, than an airport on Long Island
            return "code-of-no-hub", None, place
        site = self.in_town(place)
        if site is not None:
            return f"pattern-{codes}-town", site, place
        # What an open list lacks is not what it calls otherwise.
        site = None if self.open_list else self.near(place)
        return ("place-not-listed" if site is None else "pattern-place-near"), site, place

    def in_town(self, place: Place) -> Site | None:
        """Return the site in the town of a place: the nearest, where there are several of the name."""
        namesakes = self.by_town.get(town_key(place.town, place.country), [])
        placed = [site for away_km, site in _by_distance(place, namesakes) if away_km <= SAME_TOWN_KM]
        return next(iter([*placed, *(site for site in namesakes if site.latitude is None)]), None)

    def near(self, place: Place) -> Site | None:
        """Return the one site near a place, None where there is none or another is nearly as near."""
        ranked = _by_distance(place, self.sites)
        if not ranked or ranked[0][0] > NEAR_KM:
            return None
        rival_km = max(_RIVAL_RATIO * ranked[0][0], ranked[0][0] + _RIVAL_KM)
        return None if len(ranked) > 1 and ranked[1][0] <= rival_km else ranked[0][1]

    def mend(self, text: str) -> Site | None:
        """Return the site whose published identities are nearest to a damaged one, if no other site is as near.

        Some middleboxes swap bytes in replies: `jfk1b.c.root%servers.org`. Only strings that match no pattern come
        here, and the code of the place must be whole, so that the code of a new site is never mended into that of an
        old one. An eighth of the characters may be damaged. Below 12 characters that is one, changed or lost, and what
        is left must be no host's name: `M-CDG-` is none, while `us-lax-a1` or `r1-lax` may well be what somebody calls
        his own machine.
        """
        if len(text) < _LONG and _HOST.fullmatch(text):
            return None
        limit = max(1, min(_MAXIMUM_EDITS, len(text) // _CHARACTERS_PER_EDIT))
        if not self.texts:
            return None
        from rapidfuzz.distance import Levenshtein  # noqa: PLC0415  (few runs hold identities that match nothing)
        from rapidfuzz.process import extract  # noqa: PLC0415

        near = extract(text, self.texts, scorer=Levenshtein.distance, score_cutoff=limit, limit=None)
        near = [
            entry
            for entry in near
            if (len(text) >= _LONG or len(entry[0]) >= len(text)) and self.may_be_damaged(text, entry[0])
        ]
        sites = {self.published[other].code: self.published[other] for other, edits, _ in near if edits == near[0][1]}
        return sites.popitem()[1] if len(sites) == 1 else None

    def may_be_damaged(self, text: str, published: str) -> bool:
        """Tell whether the code of the place in a published identity is whole in a text.

        Where no pattern tells which part the code is, what is still a host's name of the same length may be another's.
        """
        matches = (regex.fullmatch(published) for regex, _ in self.patterns)
        code = next((match["site"] for match in matches if match and match["site"]), None)
        if code is None:
            return len(text) < len(published) or _HOST.fullmatch(text) is None
        return code in text

    def reorder(self, text: str) -> Site | None:
        """Return the site whose published identity begins as a damaged one and has its end in another order.

        So middleboxes swap whole words: `ns1.at-vie.k.rnet.ipe`. What begins alike holds the code of the place.
        """
        alike = [other for other in self.by_letters.get("".join(sorted(text)), []) if _begin_alike(text, other)]
        sites = {self.published[other].code: self.published[other] for other in alike}
        return sites.popitem()[1] if len(sites) == 1 else None


def _begin_alike(text: str, other: str) -> bool:
    half = (len(text) + 1) // 2
    return len(text) >= _LONG and text[:half] == other[:half]


def _spellings(code: str, codes: CodeSystem) -> tuple[str, ...]:
    """Return a code and how else it is written: `nlams` and `nl-ams`."""
    bare = code.replace("-", "")
    return (code, bare, f"{bare[:2]}-{bare[2:]}") if codes == "unlocode" else (code,)


def _opens(found: Identified) -> bool:
    return found.rule == "place-not-listed" and found.place is not None


def _opened(service: Service, places: set[Place]) -> dict[Place, Site]:
    """Return a site for each place, one for all places of a town, with the code that stands for the town."""
    codes = {code for site in service.sites for code in (site.code, *site.codes)}
    names = {(site.town, site.country) for site in service.sites}
    sites: dict[tuple[str, str], list[Site]] = defaultdict(list)
    opened = {}
    for place in sorted(places, key=lambda place: (place.code, place.town)):
        namesakes = sites[town_key(place.town, place.country)]
        site = next((site for away_km, site in _by_distance(place, namesakes) if away_km <= SAME_TOWN_KM), None)
        if site is None:
            main = iata_place(main_airport(place.code))
            seat = place if main is None or main.code in codes else main
            named_before = (seat.town, seat.country) in names
            site = Site(
                code=seat.code,
                town=f"{seat.town} ({seat.code.upper()})" if named_before else seat.town,
                country=seat.country,
                latitude=seat.latitude,
                longitude=seat.longitude,
            )
            namesakes.append(site)
            codes.add(site.code)
            names.add((site.town, site.country))
        opened[place] = site
    return opened


def _named(identity: str, rule: str, site: Site, server: str | None = None, place: Place | None = None) -> Identified:
    outcome = Outcome.IDENTIFIED
    return Identified(identity=identity, outcome=outcome, rule=rule, site=site, server=server, place=place)


def _by_distance(place: Place, sites: Iterable[Site]) -> list[tuple[float, Site]]:
    """Rank the sites that have coordinates by their distance in km from a place."""
    ranked = [
        (arc_km(place.latitude, place.longitude, site.latitude, site.longitude), site)
        for site in sites
        if site.latitude is not None and site.longitude is not None
    ]
    return sorted(ranked, key=lambda entry: entry[0])
