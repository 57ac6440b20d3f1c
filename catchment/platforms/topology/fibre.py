"""How far places are apart on the ground, and how long light takes through the cables between them."""

from __future__ import annotations

from collections.abc import Iterable

from catchment.geo import LIGHT_KM_PER_MS, arc_km
from catchment.platforms.topology.elements import Place

STRETCH = 1.3
"""Kilometres of cable for each kilometre of great circle: cables follow roads, railways and coasts.

Light never comes out too fast: in the fastest fibre (geo.IMPOSSIBLE_KM_PER_MS) it gains 3.5 % on LIGHT_KM_PER_MS, and a
sphere for the Earth is wrong by 0.6 %.
"""


def one_way_ms(distance_km: float) -> float:
    """Return how long a packet takes one way through the cable between two points so far apart on the ground."""
    return distance_km * STRETCH / (2 * LIGHT_KM_PER_MS)


class Ground:
    """The places of a topology, by code. Each distance is worked out once: routes ask for the same ones again."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._points = {place.code: (place.latitude, place.longitude) for place in places}
        self._distances: dict[tuple[str, str], float] = {}

    def km(self, place: str, other: str) -> float:
        """Return the distance between two places."""
        if place == other:
            return 0.0
        known = self._distances.get((place, other))
        if known is None:
            known = arc_km(*self._points[place], *self._points[other])
            self._distances[place, other] = self._distances[other, place] = known
        return known

    def km_to(self, place: str, latitude: float, longitude: float) -> float:
        """Return the distance from a place to a point."""
        return arc_km(*self._points[place], latitude, longitude)

    def nearest(self, places: Iterable[str], place: str) -> str:
        """Return which of some places is nearest to a place; ties go to the first code."""
        return min(places, key=lambda code: (self.km(code, place), code))
