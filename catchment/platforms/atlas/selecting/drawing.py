"""Who is drawn of many: at random by a seed, no more than so many of a kind, evenly over the map on wish.

Each probe has a rank that looks random and depends on nothing but the seed and its id: whatever the order in which the
API lists them, and whoever else comes and goes, it stays the same.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from catchment.geo import MEAN_RADIUS_KM
from catchment.platforms.atlas.selecting.probes import Probe, place

Stratum = Callable[[Probe], Iterable[Hashable]]
"""Of which kinds a probe is, such as its AS in each address family."""

# The room around each of these distances is twice that around the next; no place is known better than the last of them.
_DISTANCES_KM = tuple(10_000 / 2 ** (step / 2) for step in range(25))
_ANYWHERE, _NOWHERE = 0.0, -1.0


@dataclass(slots=True)
class Quota:
    """At most `most` of each kind: `strata` finds the kinds of a probe, `taken` is how many there are by now."""

    most: int
    strata: Stratum
    taken: Counter[Hashable] = field(default_factory=Counter)

    def is_full(self, probe: Probe) -> bool:
        """Tell whether there are enough of this probe's kind."""
        return any(self.taken[stratum] >= self.most for stratum in self.strata(probe))

    def take(self, probe: Probe) -> None:
        """Count a probe that is taken."""
        self.taken.update(self.strata(probe))


def draw(
    probes: Iterable[Probe],
    number: int,
    *,
    seed: int,
    quotas: Sequence[Quota] = (),
    spread: bool = False,
    beside: Sequence[Probe] = (),
) -> list[Probe]:
    """Return so many of the probes, or as many as the quotas allow; `quotas` count them.

    In the order of their ranks whoever's kind is not full is taken. With `spread`, first those who are 10,000 km from
    all who are taken by then (and from those `beside`), then those who are 7,071 km from them, and so on in steps of
    half the area: the map fills evenly, no corner of it comes first, and a probe that goes moves but a few around it,
    as in any maximal independent set in random order (Censor-Hillel, Haramaty and Karnin, 2016). Who is on no map comes
    last. That takes time in proportion to all probes times those drawn.
    """
    ranked = sorted(probes, key=lambda probe: rank(seed, probe["id"]))
    globe = _Globe(ranked, beside) if spread else None
    chosen: list[Probe] = []
    waiting: Sequence[int] = range(len(ranked))
    for distance_km in (*_DISTANCES_KM, _ANYWHERE, _NOWHERE) if spread else (_NOWHERE,):
        too_near = []
        for index in waiting:
            if len(chosen) >= number:
                return chosen
            if globe is not None and not globe.is_clear(index, distance_km):
                too_near.append(index)
            elif not any(quota.is_full(ranked[index]) for quota in quotas):
                chosen.append(ranked[index])
                for quota in quotas:
                    quota.take(ranked[index])
                if globe is not None:
                    globe.take(index)
        waiting = too_near
    return chosen


def rank(seed: int, number: int) -> bytes:
    """Return what a probe is ordered by."""
    return hashlib.sha256(f"{seed} {number}".encode()).digest()


class _Globe:
    """How near each probe is to the nearest one taken: as cosines of arcs, which are quick to compare."""

    def __init__(self, probes: Sequence[Probe], taken: Sequence[Probe]) -> None:
        self._vectors = _vectors(probes)
        self._cosines = np.where(np.isnan(self._vectors[:, 0]), np.inf, -np.inf)  # who is on no map is never clear
        for vector in _vectors(taken):
            self._near(vector)

    def is_clear(self, index: int, distance_km: float) -> bool:
        """Tell whether a probe is at least so far from all that are taken (_ANYWHERE: if only its place is known)."""
        most = 2.0 if distance_km == _ANYWHERE else math.cos(distance_km / MEAN_RADIUS_KM)
        return distance_km == _NOWHERE or bool(self._cosines[index] <= most)

    def take(self, index: int) -> None:
        """Note that a probe is taken."""
        self._near(self._vectors[index])

    def _near(self, vector: NDArray[np.float64]) -> None:
        if not np.isnan(vector[0]):
            self._cosines = np.fmax(self._cosines, self._vectors @ vector)


def _vectors(probes: Sequence[Probe]) -> NDArray[np.float64]:
    """Return unit vectors (n, 3) to the probes; not a number where the place is not known."""
    places = [place(probe) or (math.nan, math.nan) for probe in probes]
    phi, lam = np.radians(np.array(places, dtype=np.float64).reshape(-1, 2)).T
    return np.column_stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)))
