"""The coast and the borders of the world.

Source: Natural Earth 1:50m, public domain (naturalearthdata.com), in the TopoJSON of the npm package world-atlas 2.0.2
(land-50m.json and countries-50m.json, packaged by M. Bostock under the ISC licence). `benchmarks/convert_coastline.py`
made `coastline.npz` from it: whole numbers of 1/200 degree (0.6 km), the steps from point to point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNITS_PER_DEGREE = 200
"""How many of the file's units make a degree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coastline:
    """Lines of (n, 2) longitudes and latitudes in degrees; longitudes may run past 180, so that no line jumps.

    `land` holds closed rings, the outer ones clockwise and holes (the Caspian Sea) the other way; `borders` holds open
    lines between two countries.
    """

    land: tuple[NDArray[np.float64], ...]
    borders: tuple[NDArray[np.float64], ...]


@cache
def coastline() -> Coastline:
    """Return the coast and the borders that come with the package."""
    with (files("catchment.figures") / "coastline.npz").open("rb") as file, np.load(file) as arrays:
        return Coastline(
            land=_lines(arrays["land_starts"], arrays["land_lengths"], arrays["land_steps"]),
            borders=_lines(arrays["borders_starts"], arrays["borders_lengths"], arrays["borders_steps"]),
        )


def _lines(
    starts: NDArray[np.int32], lengths: NDArray[np.int32], steps: NDArray[np.int32]
) -> tuple[NDArray[np.float64], ...]:
    ends = np.cumsum(lengths)[:-1]
    return tuple(
        np.vstack((start, start + np.cumsum(part, axis=0))) / UNITS_PER_DEGREE
        for start, part in zip(starts, np.split(steps.T, ends), strict=True)
    )
