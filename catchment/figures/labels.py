"""Where the names of sites go: beside their marks, not on each other, and covering few vantage points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ANGLES = (0, 180, 45, -45, 135, -135, 90, -90, 22, -22, 158, -158, 67, -67, 113, -113)
_DISTANCES = (3.0, 8.0, 14.0, 21.0, 29.0, 38.0, 48.0, 60.0, 75.0)
_COST_PER_DOT = 0.25
_COST_PER_CROSSED_MARK = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle on paper, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Return whether the two rectangles share any paper."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the rectangle that is nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)

    def holds(self, x: float, y: float) -> bool:
        """Return whether a point lies in the rectangle."""
        return self.left <= x <= self.right and self.bottom <= y <= self.top


def box_around(x: float, y: float, half_width: float, half_height: float) -> Box:
    """Return the rectangle around a middle, in points."""
    return Box(left=x - half_width, bottom=y - half_height, right=x + half_width, top=y + half_height)


def place_labels(
    anchors: Sequence[tuple[float, float, float]],
    sizes: Sequence[tuple[float, float]],
    marks: Sequence[Box],
    taken: Sequence[Box],
    dots: NDArray[np.float64],
    paper: Box,
    *,
    far: int,
) -> list[Box | None]:
    """Return the box of each label, the first one choosing first; None where no place is free.

    `anchors` are the middles and radii of the marks, `sizes` the widths and heights of the labels; only the first `far`
    labels may stand off with a line to their mark. No label may touch `marks` or `taken`, and no line to a label the
    latter; `dots` (n, 2) are what a label had better not cover. All in points.
    """
    occupied = [*marks, *taken]
    names = list(taken)
    leaders: list[tuple[float, float]] = []
    chosen: list[Box | None] = []
    for number, ((x, y, radius), (width, height)) in enumerate(zip(anchors, sizes, strict=True)):
        best: tuple[float, Box] | None = None
        near = dots[np.all(np.abs(dots - (x, y)) < _DISTANCES[-1] + radius + width, axis=1)]
        for distance in _DISTANCES if number < far else _DISTANCES[:1]:
            # No dot can make a nearer place as bad as a place that far off.
            if best is not None and best[0] <= distance:
                break
            for preference, angle in enumerate(_ANGLES):
                box = _candidate(x, y, radius + distance, angle, (width, height))
                if not _free(box, occupied, leaders, paper) or _crossed(x, y, box, names, 0):
                    continue
                covered = near[(near[:, 0] > box.left) & (near[:, 0] < box.right)]
                covered = covered[(covered[:, 1] > box.bottom) & (covered[:, 1] < box.top)]
                cost = distance + preference * 0.12 + len(covered) * _COST_PER_DOT
                cost += _COST_PER_CROSSED_MARK * _crossed(x, y, box, marks, radius + 1)
                if best is None or cost < best[0]:
                    best = cost, box
        if best is None:
            chosen.append(None)
            continue
        chosen.append(best[1])
        occupied.append(best[1])
        names.append(best[1])
        leaders.extend(_leader(x, y, best[1]))
    return chosen


def _candidate(x: float, y: float, distance: float, angle: float, size: tuple[float, float]) -> Box:
    width, height = size
    east, north = cos(radians(angle)), sin(radians(angle))
    return box_around(x + east * (distance + width / 2), y + north * (distance + height / 2), width / 2, height / 2)


def _free(box: Box, occupied: list[Box], leaders: list[tuple[float, float]], paper: Box) -> bool:
    inside = paper.left < box.left and box.right < paper.right and paper.bottom < box.bottom and box.top < paper.top
    return (
        inside
        and not any(box.overlaps(other) for other in occupied)
        and not any(box.holds(*point) for point in leaders)
    )


def _leader(x: float, y: float, box: Box) -> list[tuple[float, float]]:
    """Return points along the line from a mark to its label."""
    end_x, end_y = box.nearest(x, y)
    return [(x + (end_x - x) * share, y + (end_y - y) * share) for share in np.linspace(0.15, 0.95, 9).tolist()]


def _crossed(x: float, y: float, box: Box, others: Sequence[Box], own_radius: float) -> int:
    """Return how many of the other boxes the line from a mark to its label runs through."""
    own = box_around(x, y, own_radius, own_radius)
    points = [point for point in _leader(x, y, box) if not own.holds(*point)]
    return sum(any(other.holds(*point) for point in points) for other in others)
