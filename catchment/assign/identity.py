"""From the string by which a server names itself to the site that it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from catchment.model import Outcome, Service, Site

_MAXIMUM_EDITS = 3
_CHARACTERS_PER_EDIT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """What one identity says: an outcome, the site if there is one, the server in it, and the rule that spoke."""

    identity: str
    outcome: Outcome
    rule: str
    site: Site | None = None
    server: str | None = None

    @property
    def repaired(self) -> bool:
        """Tell whether the site was found by mending the identity."""
        return self.rule == "repaired-identity"


def identify(service: Service, identities: Iterable[str]) -> list[Identified]:
    """Decide each identity once: published, then by pattern and code, then repaired; letter case does not count."""
    published = {text.casefold(): site for site in service.sites for text in site.identities}
    by_code = {code.casefold(): site for site in service.sites for code in (site.code, *site.codes)}
    by_town = {(site.country, site.town.casefold()): site for site in service.sites}
    patterns = [(re.compile(pattern.regex, re.IGNORECASE), pattern.codes) for pattern in service.patterns]

    def decide(identity: str) -> Identified:
        text = identity.casefold()
        matches = ((expression.fullmatch(text), codes) for expression, codes in patterns)
        match, codes = next(((found, codes) for found, codes in matches if found and found["site"]), (None, None))
        server = match.groupdict().get("server") if match else None
        site = published.get(text)
        if site is not None:
            return Identified(
                identity=identity, outcome=Outcome.IDENTIFIED, rule="published-identity", site=site, server=server
            )
        if match is not None:
            rule, site = "pattern-own-code", by_code.get(match["site"])
            if site is None and codes == "iata":
                rule, site = "pattern-iata-town", by_town.get(_towns_of_airports().get(match["site"].upper(), ("", "")))
            if site is None:
                return Identified(identity=identity, outcome=Outcome.UNKNOWN, rule="code-not-listed", server=server)
            return Identified(identity=identity, outcome=Outcome.IDENTIFIED, rule=rule, site=site, server=server)
        if not patterns and not published:
            return Identified(identity=identity, outcome=Outcome.UNKNOWN, rule="nothing-to-match")
        site = _repair(text, published)
        if site is None:
            return Identified(identity=identity, outcome=Outcome.FOREIGN, rule="no-pattern-matches")
        return Identified(identity=identity, outcome=Outcome.IDENTIFIED, rule="repaired-identity", site=site)

    return [decide(identity) for identity in identities]


def _repair(text: str, published: dict[str, Site]) -> Site | None:
    """Return the site whose published identities are nearest to a damaged one, if no other site is as near.

    Some middleboxes swap bytes in replies: `jfk1b.c.root%servers.org`. Only strings that match no pattern come here, so
    the code of a new site is never mended into that of an old one.
    """
    limit = min(_MAXIMUM_EDITS, len(text) // _CHARACTERS_PER_EDIT)
    found: dict[str, int] = {}
    for identity, site in published.items():
        edits = edit_distance(text, identity, limit)
        if edits is not None:
            found[site.code] = min(edits, found.get(site.code, edits))
    nearest = [code for code, edits in found.items() if edits == min(found.values())]
    if len(nearest) != 1:
        return None
    return next(site for site in published.values() if site.code == nearest[0])


def edit_distance(left: str, right: str, limit: int) -> int | None:
    """Return the least number of characters inserted, deleted or replaced between two texts; None if above `limit`."""
    if abs(len(left) - len(right)) > limit:
        return None
    row = list(range(len(right) + 1))
    for number, character in enumerate(left, start=1):
        before, row = row, [number]
        for column, other in enumerate(right, start=1):
            row.append(min(before[column] + 1, row[-1] + 1, before[column - 1] + (character != other)))
        if min(row) > limit:
            return None
    return row[-1] if row[-1] <= limit else None


@cache
def _towns_of_airports() -> dict[str, tuple[str, str]]:
    import airportsdata  # noqa: PLC0415  (0.1 s, and only codes that a service does not list need it)

    airports = airportsdata.load("IATA")
    return {code: (airport["country"], airport["city"].casefold()) for code, airport in airports.items()}
