"""Reverse names of the simulated routers, as operators give them: each network by a convention of its own, or none."""

from __future__ import annotations

import random
import re
import unicodedata

from catchment.platforms.sandbox.internet.addresses import Routers
from catchment.platforms.topology.elements import Network, Place, Topology

# Conventions as they are met in the wild, and how many of a hundred networks keep to each; the rest names no routers.
_CONVENTIONS = {
    "{line}.{role}{unit}.{iata}{number}": 36,
    "{line}.{role}{unit}.{town}{number}": 18,
    "{role}{unit}-{country}{iata}{number}": 10,
    "{line}-{role}{unit}.{iata}{number}.{country}": 9,
    "{line}.{role}{unit}.{clli}0{number}": 7,
}
_STALE = 0.02  # of routers: they were moved to another town of their network, or copied from there, and kept the name
_LINES = ("ae-{}", "be{}", "et-0-0-{}", "xe-1-{}-0", "hu0-{}-0-1", "te0-0-{}")
_ROLES = ("cr", "br", "edge", "core", "rtr", "pe")


class RouterNames:
    """The names of a topology's routers, drawn by seed from network and place. Both addresses of a router share one."""

    def __init__(self, topology: Topology, *, seed: int) -> None:
        self._seed = seed
        self._routers = Routers(topology)
        self._networks = {network.asn: network for network in topology.networks}
        self._places = {place.code: place for place in topology.places}

    def name(self, address: str) -> str | None:
        """Return the name of the router that has an address; None where it has no name, or nobody has the address."""
        router = self._routers.router(address)
        if router is None:
            return None
        asn, place = router
        convention = self._convention(asn)
        town = self._places[self._named_after(self._networks[asn], place)]
        return None if convention is None else self._written(convention, asn, place, town)

    def _convention(self, asn: int) -> str | None:
        luck = 100 * self._draw(asn).random()
        for convention, share in _CONVENTIONS.items():
            luck -= share
            if luck < 0:
                return convention
        return None

    def _named_after(self, network: Network, place: str) -> str:
        """Return the place in a router's name: mostly its own."""
        draw = self._draw(network.asn, place, "stale")
        others = [other for other in network.places if other != place]
        return draw.choice(others) if others and draw.random() < _STALE else place

    def _written(self, convention: str, asn: int, place: str, town: Place) -> str:
        own, each = self._draw(asn, "style"), self._draw(asn, place)
        line, role = own.choice(_LINES), own.choice(_ROLES)
        host = convention.format(
            line=line.format(each.randint(0, 9)),
            role=role,
            unit=each.randint(1, 3),
            number=each.randint(1, 4),
            iata=_letters(town.code),
            country=_letters(town.country),
            town=_letters(town.town.split(" am ")[0]),  # nobody writes the river of Frankfurt am Main
            clli=_clli(town),
        )
        return f"{host}.as{asn}.example"

    def _draw(self, *key: object) -> random.Random:
        return random.Random("/".join(map(str, (self._seed, "router name", *key))))  # noqa: S311  (no secret)


def _letters(text: str) -> str:
    """Return what of a text a host's name can hold: São Paulo becomes saopaulo."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def _clli(town: Place) -> str:
    """Return six letters in the manner of CLLI codes: four of the town, without vowels if they suffice, and two."""
    letters = _letters(town.town)
    short = letters[:1] + re.sub(r"[aeiou]", "", letters[1:])
    return (short if len(short) >= 4 else letters.ljust(4, "x"))[:4] + _letters(town.country)
