"""The part of the world that a map shows, and how it lies on paper.

The world is drawn in Equal Earth (B. Šavrič, T. Patterson, B. Jenny 2018), a part of it in Lambert's azimuthal
equal-area projection around its middle: on both, equal areas hold their share of the paper, so that no region looks
fuller than it is. Coordinates on paper are metres on a sphere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from pyproj import Proj

from catchment.errors import UnknownName
from catchment.geo import CONTINENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

EARTH_RADIUS_M = 6_371_008.8
"""Radius of the sphere that the map is drawn from."""

WORLD_LONGITUDE = 11.0
"""Middle of the world map: its edge then runs through the Bering Strait and cuts neither Asia nor America."""

_WORLD = "world"
_WIDEST_DEGREES = 150.0
_MARGIN = 1.12
_LEAST_EXTENT_M = 900_000.0
_ASPECT = 1.6
# Farther from the middle Lambert's projection bends shapes too much; its rim is at 2 radii.
_LARGEST_HALF_DIAGONAL_M = 1.5 * EARTH_RADIUS_M
_SOUTH_WITHOUT_ANTARCTICA = -57.0
_NORTH_OF_ALL_LAND = 83.7

_BOXES: dict[str, tuple[float, float, float, float]] = {
    "africa": (-19, -35, 52, 37.5),
    "antarctica": (-180, -90, 180, -62),
    "asia": (34, -9, 143, 52),
    "europe": (-11, 35.5, 41, 69),
    "north-america": (-152, 8, -53, 66),
    "oceania": (112, -47, 185, 18),
    "south-america": (-82, -55, -34, 13),
}
"""West, south, east and north of what a map of each continent shows, in degrees: where its vantage points are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A rectangle of paper: the middle of its projection in degrees, its edges in metres.

    `latitude` is None for the world in Equal Earth.
    """

    longitude: float
    latitude: float | None
    left: float
    bottom: float
    right: float
    top: float

    @property
    def is_world(self) -> bool:
        """Return whether this is the world in Equal Earth."""
        return self.latitude is None

    @property
    def aspect(self) -> float:
        """Return width / height."""
        return (self.right - self.left) / (self.top - self.bottom)

    def project(self, longitudes: NDArray[np.float64], latitudes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points in degrees lie on paper, (n, 2) in metres."""
        return self.project_relative((longitudes - self.longitude + 180) % 360 - 180, latitudes)

    def project_relative(
        self, degrees_east: NDArray[np.float64], latitudes: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the same from degrees east of the frame's middle, where -180 and 180 are the two edges of a world."""
        return _projected(self.latitude, degrees_east, latitudes)

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of the (n, 2) points on paper lie in the frame."""
        x, y = points[:, 0], points[:, 1]
        return np.asarray((x >= self.left) & (x <= self.right) & (y >= self.bottom) & (y <= self.top))

    def extent(self) -> tuple[float, float, float, float]:
        """Return a box around all that the frame shows: degrees east of its middle from, to, latitudes from, to."""
        if self.is_world:
            return -180.0, 180.0, -90.0, 90.0
        x, y = np.meshgrid(np.linspace(self.left, self.right, 81), np.linspace(self.bottom, self.top, 81))
        degrees_east, latitudes = _projection(self.latitude)(x.ravel(), y.ravel(), inverse=True)
        south, north = max(float(latitudes.min()) - 1, -90.0), min(float(latitudes.max()) + 1, 90.0)
        south_pole, north_pole = self.contains(self.project_relative(np.zeros(2), np.array([-90.0, 90.0])))
        if south_pole or north_pole:  # all meridians meet in the frame; the overlap hides the seam where its box closes
            return -180.02, 180.02, (-90.0 if south_pole else south), (90.0 if north_pole else north)
        return float(degrees_east.min()) - 2, float(degrees_east.max()) + 2, south, north


def frame_for(points: Iterable[tuple[float, float]]) -> Frame:
    """Return the smallest frame that shows all points, given as (latitude, longitude) in degrees.

    The world if there is no point, if they span more than 150 degrees of longitude, or if no smaller map shows them
    without bending the continents.
    """
    array = np.array(list(points), dtype=np.float64).reshape(-1, 2)
    if len(array) == 0:
        return _world(south=0.0, north=0.0)
    latitudes, longitudes = array[:, 0], array[:, 1]
    west, width = _smallest_interval(longitudes)
    if width <= _WIDEST_DEGREES:
        frame = _regional(west + width / 2, longitudes, latitudes)
        if frame is not None:
            return frame
    return _world(south=float(latitudes.min()), north=float(latitudes.max()))


def frame_of_region(region: str) -> Frame:
    """Return the frame of a continent (`africa`), of the `world`, or of a box `W,S,E,N` in degrees.

    A box may cross the antimeridian: `160,-50,-170,0`. Raises UnknownName for anything else.
    """
    name = region.strip().lower().replace("_", "-").replace(" ", "-")
    if name == _WORLD:
        return _world(south=-90.0, north=90.0)
    west, south, east, north = _BOXES[name] if name in _BOXES else _box(region)
    width = (east - west) % 360 or 360.0
    if width <= _WIDEST_DEGREES or south > 45 or north < -45:
        along, up = np.linspace(west, west + width, 61), np.linspace(south, north, 31)
        grid = np.meshgrid(along, up)
        frame = _regional(west + width / 2, grid[0].ravel(), grid[1].ravel(), margin=1.02, polar=width > 180)
        if frame is not None:
            return frame
    return _world(south=south, north=north)


def _box(region: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(part) for part in region.split(","))
    except ValueError:
        west = south = east = north = 0.0
    if not (-180 <= west <= 360 and -180 <= east <= 360 and -90 <= south < north <= 90 and west != east):
        known = ", ".join([_WORLD, *CONTINENTS])
        raise UnknownName(
            f"no region {region[:60]!r}: choose {known}, or give a box as W,S,E,N in degrees, such as -20,-36,55,38"
        )
    return west, south, east, north


def _smallest_interval(longitudes: NDArray[np.float64]) -> tuple[float, float]:
    """Return the west end and the width of the smallest interval that holds all longitudes, in degrees."""
    ordered = np.unique(longitudes % 360)
    gaps = np.diff(ordered, append=ordered[0] + 360)
    widest = int(np.argmax(gaps))
    return float(ordered[(widest + 1) % len(ordered)]), 360 - float(gaps[widest])


def _world(*, south: float, north: float) -> Frame:
    """Return the world without the ends where nobody is: the Arctic Ocean, and Antarctica, a sixth of the paper."""
    south = _SOUTH_WITHOUT_ANTARCTICA if south > _SOUTH_WITHOUT_ANTARCTICA + 1 else -90.0
    north = _NORTH_OF_ALL_LAND if north < _NORTH_OF_ALL_LAND - 1 else 90.0
    edge = _projected(None, np.array([180.0, 0, 0]), np.array([0, south, north]))
    x, bottom, top = float(edge[0, 0]), float(edge[1, 1]), float(edge[2, 1])
    return Frame(longitude=WORLD_LONGITUDE, latitude=None, left=-x, right=x, bottom=bottom, top=top)


def _regional(
    longitude: float,
    longitudes: NDArray[np.float64],
    latitudes: NDArray[np.float64],
    *,
    margin: float = _MARGIN,
    polar: bool = False,
) -> Frame | None:
    """Return the frame around points, widened to the shape of a slide as far as the projection bears it, or None."""
    longitude = (longitude + 180) % 360 - 180
    latitude = float(latitudes.min() + latitudes.max()) / 2
    if polar:
        latitude = 90.0 if latitude > 0 else -90.0
    points = _projected(latitude, longitudes - longitude, latitudes)
    (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
    height = max((top - bottom) * margin, _LEAST_EXTENT_M, (right - left) * margin / _ASPECT)
    least_width = max((right - left) * margin, min(height, _LEAST_EXTENT_M))
    half_diagonal = np.hypot(least_width, height) / 2 + np.hypot(left + right, top + bottom) / 2
    if half_diagonal > _LARGEST_HALF_DIAGONAL_M:
        return None
    bearable = np.sqrt(max(4 * _LARGEST_HALF_DIAGONAL_M**2 - height**2, 0.0))
    width = max(least_width, min(height * _ASPECT, bearable))
    x, y = float(left + right) / 2, float(bottom + top) / 2
    return Frame(
        longitude=longitude,
        latitude=latitude,
        left=x - width / 2,
        right=x + width / 2,
        bottom=y - height / 2,
        top=y + height / 2,
    )


def _projected(
    latitude: float | None, degrees_east: NDArray[np.float64], latitudes: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.column_stack(_projection(latitude)(degrees_east, latitudes))


@cache
def _projection(latitude: float | None) -> Proj:
    if latitude is None:
        return Proj(f"+proj=eqearth +R={EARTH_RADIUS_M} +over +no_defs")
    return Proj(f"+proj=laea +lat_0={latitude} +R={EARTH_RADIUS_M} +no_defs")
