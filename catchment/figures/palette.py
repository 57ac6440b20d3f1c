"""The colour and the mark of every site of a service, the same in every figure.

Colours are from Okabe and Ito (2008), Paul Tol's schemes and (violet) IBM's, chosen so that any two stay at least 17
apart in CIELAB to normal eyes and to those without red or green cones (simulation: Machado, Oliveira, Fernandes 2009),
and each has a contrast of at least 2 on white.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import cos, dist, exp, radians, sin
from typing import TYPE_CHECKING

from catchment.geo import MEAN_RADIUS_KM

if TYPE_CHECKING:
    from catchment.model import Site

COLOURS = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # bluish green
    "#E69F00",  # orange
    "#332288",  # indigo
    "#CC79A7",  # pink
    "#661100",  # brown
    "#56B4E9",  # sky blue
    "#117733",  # dark green
    "#882255",  # wine
    "#785EF0",  # violet
)
MARKERS = ("o", "s", "^", "D", "v", "<", ">")
"""Marks of sites, in Matplotlib's letters; plus and cross are left for what has no site."""

UNASSIGNED_COLOUR = "#5f6468"
"""Colour of vantage points without a site: a grey, told from all sites by its hollow marks too."""

_NEAR_KM = 1_500.0
_SAME_COLOUR_ANYWHERE = 0.02
_UNPLACED_CLOSENESS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a site looks: `colour` as #rrggbb, `marker` as Matplotlib's letter."""

    colour: str
    marker: str


def site_styles(sites: Sequence[Site]) -> dict[str, Style]:
    """Return the style of each site by code, decided in the order of the list.

    Each site takes the style that clashes least with the sites before it: the same colour nearby is worst, and a style
    comes back only when all are used. A site added at the end therefore changes no other; one put in between may.
    """
    styles: dict[str, Style] = {}
    placed: list[tuple[Site, Style]] = []
    pairs: Counter[Style] = Counter()
    order = [Style(colour=colour, marker=marker) for marker, colour in product(MARKERS, COLOURS)]
    for site in sites:
        if site.code in styles:
            continue
        colour_clash = dict.fromkeys(COLOURS, 0.0)
        style_clash = dict.fromkeys(order, 0.0)
        for other, style in placed:
            closeness = _closeness(site, other)
            colour_clash[style.colour] += closeness + _SAME_COLOUR_ANYWHERE
            style_clash[style] += closeness
        fewest = min(pairs[style] for style in order)
        free = [style for style in order if pairs[style] == fewest]
        # Of equals min takes the first, so that all colours come as circles before any square.
        clash = {style: round(colour_clash[style.colour] + style_clash[style], 9) for style in free}
        chosen = min(free, key=clash.__getitem__)
        styles[site.code] = chosen
        placed.append((site, chosen))
        pairs[chosen] += 1
    return styles


def _closeness(site: Site, other: Site) -> float:
    """Return 1 for two sites at one place, falling to 0 with their distance."""
    if site.latitude is None or site.longitude is None or other.latitude is None or other.longitude is None:
        return _UNPLACED_CLOSENESS
    # Chords of a sphere do: this is no measurement, and a service of 300 sites has 45,000 pairs.
    chord = dist(_vector(site.latitude, site.longitude), _vector(other.latitude, other.longitude))
    return exp(-chord * MEAN_RADIUS_KM / _NEAR_KM)


@cache
def _vector(latitude: float, longitude: float) -> tuple[float, float, float]:
    phi, lam = radians(latitude), radians(longitude)
    return cos(phi) * cos(lam), cos(phi) * sin(lam), sin(phi)
