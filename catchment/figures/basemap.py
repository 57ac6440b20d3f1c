"""Sea, land, coast and borders of a frame.

Land is cut in degrees before it is projected: a ring that meets the far side of the Earth would turn inside out on
paper, and one that crosses the edge of the world would be drawn right across it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from catchment.figures.coastline import coastline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from catchment.figures.projection import Frame

SEA = "#eef3f7"
LAND = "#dedfdb"
_COAST = "#a9adae"
_BORDER = "#ffffff"
_EDGE = "#c3cad0"
# Points closer together than this share of the frame's width fall on one spot of the paper.
_FINEST = 1 / 4000


@lru_cache(maxsize=8)
def land_path(frame: Frame) -> Path:
    """Return the land that a frame shows as one path in its metres, each ring closed, holes running the other way."""
    west, east, south, north = frame.extent()
    box = Bbox.from_extents(west, south, east, north)
    parts: list[NDArray[np.float64]] = []
    for ring in coastline().land:
        for copy in _copies(ring, frame, west, east):
            if copy[:, 1].max() < south or copy[:, 1].min() > north:
                continue
            for polygon in _cut(copy, box):
                paper = _thinned(frame.project_relative(*_densified(polygon).T), frame)
                if len(paper) > 3:
                    parts.append(paper)
    return _path(parts, closed=True)


@lru_cache(maxsize=16)
def line_path(frame: Frame, kind: str) -> Path:
    """Return the `coast` or the `borders` that a frame shows as one path of open lines in its metres."""
    west, east, south, north = frame.extent()
    lines = coastline().borders if kind == "borders" else coastline().land
    parts: list[NDArray[np.float64]] = []
    for line in lines:
        for copy in _copies(line, frame, west, east):
            x, y = copy.T
            # The ring of Antarctica runs along the pole, which is no coast.
            inside = (x >= west) & (x <= east) & (y >= max(south, -89.9)) & (y <= north)
            for run in np.split(np.arange(len(copy)), np.flatnonzero(np.diff(inside)) + 1):
                if inside[run[0]] and len(run) > 1:
                    paper = _thinned(frame.project_relative(*copy[run].T), frame)
                    if len(paper) > 1:
                        parts.append(paper)
    return _path(parts, closed=False)


def draw_basemap(axes: Axes, frame: Frame) -> None:
    """Draw the frame's sea, land and borders, and set the limits of the axes to the frame's."""
    axes.set_xlim(frame.left, frame.right)
    axes.set_ylim(frame.bottom, frame.top)
    axes.set_aspect("equal")
    axes.set_axis_off()
    globe = _globe(frame)
    layers = (
        (globe, SEA, "none", 0.0),
        (land_path(frame), LAND, "none", 0.0),
        (line_path(frame, "borders"), "none", _BORDER, 0.7),
        (line_path(frame, "coast"), "none", _COAST, 0.35),
        (globe, "none", _EDGE, 1.0),
    )
    for order, (path, face, edge, width) in enumerate(layers):
        layer = PathCollection([path], facecolors=face, edgecolors=edge, linewidths=width, zorder=order / 10)
        axes.add_collection(layer, autolim=False)


def _globe(frame: Frame) -> Path:
    """Return the outline of all that the frame shows: its edges, with a world's round sides."""
    if not frame.is_world:
        left, bottom, right, top = frame.left, frame.bottom, frame.right, frame.top
        corners = np.array([[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]])
        return _path([corners], closed=True)
    up = np.linspace(-90, 90, 181)
    degrees_east = np.concatenate((np.full(181, 180.0), np.full(181, -180.0)))
    edge = frame.project_relative(degrees_east, np.concatenate((up, up[::-1])))
    edge = edge[(edge[:, 1] >= frame.bottom) & (edge[:, 1] <= frame.top)]
    return _path([np.vstack((edge, edge[:1]))], closed=True)


def _copies(line: NDArray[np.float64], frame: Frame, west: float, east: float) -> list[NDArray[np.float64]]:
    """Return the line in degrees east of the frame's middle, once for each turn of the Earth that meets the box."""
    moved = line - (frame.longitude, 0.0)
    least, most = float(moved[:, 0].min()), float(moved[:, 0].max())
    turns = [turn for turn in (-360.0, 0.0, 360.0) if least + turn <= east and most + turn >= west]
    return [moved + np.array([turn, 0.0]) for turn in turns]


def _cut(ring: NDArray[np.float64], box: Bbox) -> list[NDArray[np.float64]]:
    """Return the closed rings that are left of a ring inside the box."""
    if np.all(ring.min(axis=0) >= box.min) and np.all(ring.max(axis=0) <= box.max):
        return [ring]
    clipped = Path(ring, closed=True).clip_to_bbox(box)
    vertices, codes = np.asarray(clipped.vertices, dtype=np.float64), np.asarray(clipped.codes)
    rings = []
    for start, end in pairwise([*np.flatnonzero(codes == Path.MOVETO).tolist(), len(vertices)]):
        points = vertices[start:end][codes[start:end] != Path.CLOSEPOLY]
        rings.append(np.vstack((points, points[:1])))
    return rings


def _densified(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ring with a point at least at every degree, so that long edges bend as the projection bends them."""
    steps = np.maximum(np.ceil(np.abs(np.diff(ring, axis=0)).max(axis=1)), 1).astype(np.int64)
    if np.all(steps == 1):
        return ring
    edge = np.repeat(np.arange(len(steps)), steps)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[edge]
    return np.vstack((ring[edge] + share[:, None] * (ring[edge + 1] - ring[edge]), ring[-1:]))


def _thinned(line: NDArray[np.float64], frame: Frame) -> NDArray[np.float64]:
    """Return the line without points that fall on the same spot of the paper as the one before; both ends stay."""
    spots = np.floor(line / ((frame.right - frame.left) * _FINEST))
    keep = np.append(True, np.any(np.diff(spots, axis=0) != 0, axis=1))
    keep[-1] = True
    return np.asarray(line[keep])


def _path(parts: list[NDArray[np.float64]], *, closed: bool) -> Path:
    """Return one path of many lines; of closed ones the last point repeats the first."""
    if not parts:
        return Path(np.empty((0, 2)))
    codes = np.full(sum(map(len, parts)), Path.LINETO, dtype=np.uint8)
    ends = np.cumsum([len(part) for part in parts])
    codes[0] = Path.MOVETO
    codes[ends[:-1]] = Path.MOVETO
    if closed:
        codes[ends - 1] = Path.CLOSEPOLY
    return Path(np.concatenate(parts), codes)
