"""Vantage points of one town side by side, instead of one hiding all others."""

from __future__ import annotations

from collections import defaultdict
from math import cos, sin, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 2_000
"""With more dots than this, each stays where it is: full of dots, a map reads as areas anyway."""

_GOLDEN_ANGLE = 2.399963229728653


def spread(points: NDArray[np.float64], diameter: float, limit: float) -> NDArray[np.float64]:
    """Return the points (n, 2) moved apart until dots of a diameter hardly touch, none by more than `limit`.

    Each takes the first free seat on a spiral around its place; without a free one it stays. All in points of paper.
    """
    moved = points.copy()
    if len(points) > MOST:
        return moved
    seats = [(0.0, 0.0)]
    while True:
        turn = len(seats)
        radius = 0.35 * diameter * sqrt(turn)
        if radius > limit:
            break
        seats.append((radius * cos(turn * _GOLDEN_ANGLE), radius * sin(turn * _GOLDEN_ANGLE)))
    cells: defaultdict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for index in np.random.default_rng(0).permutation(len(points)):
        x, y = points[index].tolist()
        seat = next(((x + dx, y + dy) for dx, dy in seats if _is_free(cells, x + dx, y + dy, diameter)), (x, y))
        moved[index] = seat
        cells[int(seat[0] // diameter), int(seat[1] // diameter)].append(seat)
    return moved


def _is_free(
    cells: defaultdict[tuple[int, int], list[tuple[float, float]]], x: float, y: float, diameter: float
) -> bool:
    column, row = int(x // diameter), int(y // diameter)
    return not any(
        (x - other_x) ** 2 + (y - other_y) ** 2 < (0.92 * diameter) ** 2
        for i in (column - 1, column, column + 1)
        for j in (row - 1, row, row + 1)
        for other_x, other_y in cells.get((i, j), ())
    )
