"""From the name of a router to the sites that words in it stand for."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from catchment.assign.hop_names.codes import DOUBTFUL, PLAIN_WORDS, ROLES, Carrier, carriers, hubs
from catchment.geo import CONTINENT_OF, arc_km
from catchment.model import Service, Site
from catchment.places import Place, iata_place, town_key, unlocode_place

_LONGEST_NAME = 255  # RFC 1035: a longer one is no name
_NEAR_KM = 60.0
_SHORTEST_TOWN = 4
_SECOND_LEVEL = frozenset({"ac", "ad", "co", "com", "edu", "go", "gob", "gov", "ne", "net", "or", "org"})
_LABEL = re.compile(r"[a-z0-9_-]+")
_PART = re.compile(r"(?P<letters>[a-z]+)(?P<number>\d{1,3}(?:[a-z]{1,2}\d{0,3}[a-z]?)?)?")
_CLLI_END = re.compile(r"(?:[a-z]{0,4}\d.*)?")  # `nycmny837aw`, `dllatxl301r`
# Two letters that are a role in a router's name far more often than the country whose code they are.
_ROLES_OF_TWO = frozenset({"ar", "as", "bb", "br", "cc", "cr", "gw", "io", "ip", "pe", "sr", "tv"})
_ALL_COUNTRIES = {code.lower(): code for code in CONTINENT_OF} | {"uk": "GB"}
_COUNTRIES = {label: code for label, code in _ALL_COUNTRIES.items() if label not in _ROLES_OF_TWO}
# States and provinces that stand where elsewhere a country stands (`chicago.il`), and look like one.
_REGIONS = {
    country: frozenset(regions.split())
    for country, regions in {
        "US": "al ak az ar ca co ct dc de fl ga hi ia id il in ks ky la ma md me mi mn mo ms mt nc nd ne nh nj nm nv "
        "ny oh ok or pa ri sc sd tn tx ut va vt wa wi wv wy",
        "CA": "ab bc mb nb nl ns nt on pe qc sk yt",
        "AU": "nt sa wa",
    }.items()
}
_SPECIFIC = frozenset({"carrier", "city", "clli", "unlocode"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSite:
    """A site that a router's name points to, the token that says so, and by which convention it was read.

    Conventions: `carrier` (the operator's own position of the place), `city` (a town's name), `clli`, `unlocode` (a
    code with its country), `iata`, `own-code` (a code of the service's own).
    """

    site: Site
    token: str
    convention: str


def sites_in_name(name: str, service: Service) -> tuple[NamedSite, ...]:
    """Return the sites of the service that the reverse name of a router points to; see HopNameReader.sites_in."""
    return _reader(_Same(service)).sites_in(name)


class HopNameReader:
    """Reads places in routers' names for one service; built once, it takes some microseconds a name."""

    def __init__(self, service: Service) -> None:
        # Of two towns of one name, as the Portlands are, a name tells neither.
        namesakes = Counter(town_key(site.town, site.country) for site in service.sites)
        self._sites = {key: site for site in service.sites if namesakes[key := town_key(site.town, site.country)] == 1}
        self._placed = [
            (site, site.latitude, site.longitude)
            for site in service.sites
            if site.latitude is not None and site.longitude is not None
        ]
        self._own = {code.lower(): site for site in service.sites for code in (site.code, *site.codes)}
        self._countries = {site.country for site in service.sites}
        self._towns: defaultdict[str, dict[str, Site | None]] = defaultdict(dict)  # by spelling, then country
        self._hub_countries: dict[str, str] = {}
        self._clli: dict[str, Site] = {}
        self._codes: dict[str, Site | None] = {}
        for hub in hubs():
            site = self._site_at(hub.country, hub.town, hub.latitude, hub.longitude)
            for spelling in (letters_of(hub.town), *hub.spellings):
                self._towns[spelling][hub.country] = site
                self._hub_countries[spelling] = hub.country
            self._codes |= dict.fromkeys(hub.codes, site)
            if site is not None:
                self._clli |= dict.fromkeys(hub.clli, site)
        for site in service.sites:
            key = town_key(site.town, site.country)
            for town in {site.town, key[1]}:
                self._towns[letters_of(town)][site.country] = self._sites.get(key)
        self._locodes: dict[str, Site | None] = {}

    def sites_in(self, name: str) -> tuple[NamedSite, ...]:
        """Return the sites that the name points to, one entry each, in the order in which it names them.

        Names and codes of towns with their country beat bare codes of airports. The operator's domain never counts, nor
        does a place in another country than the name gives. Whatever is no name of a host gives nothing.
        """
        if len(name) > _LONGEST_NAME:
            return ()
        labels, domain = _split(name.lower())
        carrier = carriers().get(domain)
        if carrier is not None:
            found = list(self._at_position(carrier, labels))
        else:
            found = [named for at in range(len(labels)) for named in self._in_label(labels, at)]
        if any(named.convention in _SPECIFIC for named in found):
            found = [named for named in found if named.convention in _SPECIFIC]
        return tuple({named.site.code: named for named in reversed(found)}.values())[::-1]

    def _at_position(self, carrier: Carrier, labels: list[str]) -> Iterator[NamedSite]:
        text = ".".join(labels)
        match = carrier.position.search(text)
        if match is None:
            return
        token = match["code"]
        code = carrier.own.get(token, None if carrier.only_own else token)
        if code is None:
            return
        countries = text[match.end("code") :].split(".")
        site = self._site_of_code(code) if len(code) == 3 else self._site_of_town(code.replace("-", ""), countries)
        if site is not None and not _contradicted(site, countries):
            yield NamedSite(site=site, token=token, convention="carrier")

    def _in_label(self, labels: list[str], at: int) -> Iterator[NamedSite]:
        label, right = labels[at], labels[at + 1 :]
        if not _LABEL.fullmatch(label) or label.startswith("xn--"):
            return
        parts = re.split("[-_]", label)
        part = 0
        while part < len(parts):
            used, named = self._read(parts, part, right)
            if named is not None and not _contradicted(named.site, right):
                yield named
            part += used

    def _read(self, parts: list[str], at: int, right: list[str]) -> tuple[int, NamedSite | None]:
        """Return how many parts of a label were read from `at` on, and the site that they name."""
        part, after = parts[at], parts[at + 1] if at + 1 < len(parts) else ""
        if after == "ix":  # `ams-ix` is an exchange, wherever its member's router stands
            return 2, None
        for count in (3, 2):
            words = parts[at : at + count]
            site = self._site_of_words(words, right) if len(words) == count else None
            if site is not None:
                return count, NamedSite(site=site, token="-".join(words), convention="city")
        if part in _COUNTRIES:
            match = _PART.fullmatch(after)
            site = self._site_of_locode(part, match["letters"]) if match else None
            if site is not None:
                return 2, NamedSite(site=site, token=f"{part}-{after}", convention="unlocode")
        if f"{part}-{after}" in self._own:
            return 2, NamedSite(site=self._own[f"{part}-{after}"], token=f"{part}-{after}", convention="own-code")
        found = self._specific(part, after, right) or self._general(part)
        return 1, found and NamedSite(site=found[0], token=part, convention=found[1])

    def _specific(self, part: str, after: str, right: list[str]) -> tuple[Site, str] | None:
        """Return the site that one part names by a town's name or by a code with its country, and the convention."""
        match = _PART.fullmatch(part)
        letters, number = (match["letters"], match["number"]) if match else (part, None)
        region = after or (right[0] if right else "")
        site: Site | None = None
        if letters not in PLAIN_WORDS or number is not None:
            site = self._site_of_town(letters, right)
        if site is not None:
            return site, "city"
        if _CLLI_END.fullmatch(part[6:]):
            site = self._clli.get(part[:6])
        if site is None and len(letters) == 4:  # `asbn01-va`
            site = self._clli.get(letters + region)
        if site is not None:
            return site, "clli"
        site = self._site_of_locode(letters[:2], letters[2:])
        return None if site is None else (site, "unlocode")

    def _general(self, part: str) -> tuple[Site, str] | None:
        """Return the site that one part names by a code that may be something else, and the convention."""
        match = _PART.fullmatch(part)
        if match is None or match["letters"] in ROLES or (match["number"] is None and part in DOUBTFUL):
            return None
        letters = match["letters"]
        site = self._site_of_code(letters) if len(letters) == 3 else None
        if site is not None:
            return site, "iata"
        own = self._own.get(part) or self._own.get(letters) if len(letters) >= 3 else None
        return None if own is None else (own, "own-code")

    def _site_of_words(self, words: list[str], right: list[str]) -> Site | None:
        """Return the site of a town whose name is several parts of a label, as `new-york`."""
        match = _PART.fullmatch(words[-1])
        if match is None or not all(word.isalpha() for word in words[:-1]):
            return None
        return self._site_of_town("".join(words[:-1]) + match["letters"], right)

    def _site_of_town(self, spelling: str, countries: list[str]) -> Site | None:
        """Return the site of a town by its name; of several of that name, the one in a country named, else the hub."""
        if len(spelling) < _SHORTEST_TOWN:
            return None
        towns = self._towns.get(spelling)
        if towns is None:  # `manchesteruk`
            country = _COUNTRIES.get(spelling[-2:])
            return self._towns.get(spelling[:-2], {}).get(country) if country and len(spelling) > 5 else None
        named = (_ALL_COUNTRIES.get(label) for label in countries)
        country = next((country for country in named if country in towns), self._hub_countries.get(spelling))
        if country is None and len(towns) == 1:
            return next(iter(towns.values()))
        return None if country is None else towns[country]

    def _site_of_code(self, code: str) -> Site | None:
        """Return the site of a code of three letters: what operators mean by it, else the IATA place."""
        if code not in self._codes:
            self._codes[code] = self._site_of_place(iata_place(code))
        return self._codes[code]

    def _site_of_locode(self, prefix: str, code: str) -> Site | None:
        """Return the site of a country and a code of three letters: UN/LOCODE, or an airport of that country."""
        country = _COUNTRIES.get(prefix)
        if country is None or country not in self._countries or len(code) != 3:
            return None
        whole = country.lower() + code
        if whole not in self._locodes:
            # Only the town itself: five letters of some word are too often the code of a village near a site.
            place = unlocode_place(whole)
            site = None if place is None else self._sites.get(town_key(place.town, place.country))
            if site is None and code not in ROLES:
                site = self._site_of_code(code)
            self._locodes[whole] = site if site is not None and site.country == country else None
        return self._locodes[whole]

    def _site_of_place(self, place: Place | None) -> Site | None:
        return None if place is None else self._site_at(place.country, place.town, place.latitude, place.longitude)

    def _site_at(self, country: str, town: str, latitude: float, longitude: float) -> Site | None:
        """Return the site in a town, or else the only one of that country near it: Bratislava is not Vienna."""
        site = self._sites.get(town_key(town, country))
        if site is not None:
            return site
        near = [site for site, *there in self._placed if arc_km(latitude, longitude, *there) <= _NEAR_KM]
        near = [site for site in near if _state(site.country) == _state(country)]
        return near[0] if len(near) == 1 else None


def _state(country: str) -> str:
    # Some lists have Hong Kong and Macao under their own codes, some under China's.
    return "CN" if country in {"HK", "MO"} else country


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """A service that equals itself alone: to hash all of its sites for every name would take longer than to read it."""

    service: Service

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.service is self.service

    def __hash__(self) -> int:
        return id(self.service)


@lru_cache(maxsize=16)
def _reader(same: _Same) -> HopNameReader:
    return HopNameReader(same.service)


def letters_of(town: str) -> str:
    """Return the letters of a town's name, without marks, in lower case, as router names spell it."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", town.lower()) if "a" <= letter <= "z")


def _split(name: str) -> tuple[list[str], str]:
    """Return the labels on the left of the registered domain, and that domain."""
    labels = name.rstrip(".").split(".")
    length = 3 if len(labels[-1]) == 2 and len(labels) > 2 and labels[-2] in _SECOND_LEVEL else 2
    return labels[:-length], ".".join(labels[-length:])


def _contradicted(site: Site, labels: list[str]) -> bool:
    """Tell whether labels on the right of a token name another country than that of the site."""
    return any(
        label in _COUNTRIES and _COUNTRIES[label] != site.country and label not in _REGIONS.get(site.country, ())
        for label in labels
    )
