"""What stands for a vantage point or a site, on the map and in its legend alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.markers import MarkerStyle

from catchment.figures.palette import UNASSIGNED_COLOUR, Style
from catchment.model import INTERCEPTED, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

INK = "#1d2327"
PAPER = "#ffffff"
SILENT = (Verdict.UNREACHABLE, Verdict.DNS_DEAD, Verdict.TIMEOUT, Verdict.PROBE_FAILED, Verdict.NO_RESULT)
"""Verdicts of vantage points from which no answer came: a cross. The other unassigned ones are hollow."""

# So that marks of one area look equally big.
_SCALE = {"s": 0.82, "D": 0.66, "o": 1.0, "^": 1.05, "v": 1.05, "<": 1.05, ">": 1.05}
_SHUFFLE_SEED = 20_150_321
_LAYERS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One layer of a mark: Matplotlib's marker, its area in square points, its colours, its edge's width in points."""

    marker: str
    area: float
    face: str
    edge: str = "none"
    width: float = 0.0


Mark = tuple[Shape, ...]
"""Shapes drawn on top of each other, the lowest first."""


def dot_area(count: int) -> float:
    """Return the area in square points of one of so many dots: smaller where there are more."""
    return float(np.clip(46 * (150 / max(count, 1)) ** 0.45, 7, 46))


def assigned_mark(style: Style, verdict: Verdict, area: float) -> Mark:
    """Return the mark of a vantage point at a site: a doubtful one is bigger with a cross or, if mislocated, a plus."""
    if verdict is Verdict.IMPOSSIBLE_RTT:
        return (_body(style, area * 1.7), _stroke("x", area * 0.8))
    if verdict is Verdict.MISLOCATED:
        return (_body(style, area * 1.7), _stroke("+", area * 1.2))
    return (_body(style, area),)


def unassigned_mark(verdict: Verdict, area: float) -> Mark:
    """Return the mark of a vantage point without a site.

    A cross if nothing answered, a dark triangle if somebody else did, else a grey ring.
    """
    area = max(area, 14)
    if verdict in INTERCEPTED:
        return (Shape(marker="v", area=area * 2.4, face=INK, edge=PAPER, width=0.7),)
    if verdict in SILENT:
        return (
            Shape(marker="x", area=area * 0.8, face=PAPER, edge=PAPER, width=2.4),
            Shape(marker="x", area=area * 0.7, face=UNASSIGNED_COLOUR, edge=UNASSIGNED_COLOUR, width=1.1),
        )
    return (Shape(marker="o", area=area * 0.9, face=PAPER, edge=UNASSIGNED_COLOUR, width=1.1),)


def stayed_mark(style: Style, area: float) -> Mark:
    """Return the pale mark of a vantage point that stayed at its site."""
    area *= _SCALE[style.marker]
    return (Shape(marker=style.marker, area=area, face=_pale(style.colour), edge=PAPER, width=0.3),)


def moved_mark(before: Style, after: Style, area: float) -> Mark:
    """Return the mark of a vantage point that moved: a ring for the site before, a core for the site after."""
    area = max(area, 16)
    return (
        Shape(marker="o", area=area * 3.8, face=before.colour, edge=PAPER, width=0.6),
        Shape(marker="o", area=area * 2.0, face=PAPER),
        Shape(marker=after.marker, area=round(area * 1.15 * _SCALE[after.marker], 3), face=after.colour),
    )


def lost_mark(before: Style, verdict: Verdict, area: float) -> Mark:
    """Return the mark of a vantage point that has no site any more, in the colour of the site before.

    A bold cross if nothing answers, a dark triangle if somebody else does, else a ring.
    """
    area = max(area, 16)
    if verdict in INTERCEPTED:
        return (
            Shape(marker="v", area=area * 3, face=PAPER, edge=PAPER, width=2.6),
            Shape(marker="v", area=area * 3, face=INK, edge=before.colour, width=1.3),
        )
    if verdict in SILENT:
        return (Shape(marker="X", area=area * 2.2, face=before.colour, edge=INK, width=0.7),)
    return (Shape(marker="o", area=area * 1.6, face=PAPER, edge=before.colour, width=2.2),)


def gained_mark(after: Style, area: float) -> Mark:
    """Return the mark of a vantage point that had no site before: a bold plus in the colour of the site after."""
    return (Shape(marker="P", area=max(area, 16) * 2.2, face=after.colour, edge=INK, width=0.7),)


def site_mark(style: Style, area: float) -> Mark:
    """Return the mark of a site: its colour and shape, a dark edge and a white halo."""
    area *= _SCALE[style.marker]
    return (
        Shape(marker=style.marker, area=area, face=PAPER, edge=PAPER, width=4.2),
        Shape(marker=style.marker, area=area, face=style.colour, edge=INK, width=1.1),
    )


def unused_site_mark() -> Mark:
    """Return the faint tick of a listed site that served no vantage point."""
    return (Shape(marker="|", area=22, face="#7d858b", edge="#7d858b", width=0.9),)


def draw_mark(axes: Axes, place: tuple[float, float], mark: Mark, zorder: float) -> None:
    """Draw one mark at a place in the units of the axes."""
    for shape in mark:
        draw_marks(axes, np.array([place]), [(shape,)], zorder)


def draw_marks(axes: Axes, points: NDArray[np.float64], marks: Sequence[Mark], zorder: float) -> None:
    """Draw marks at (n, 2) points in an order that favours no site, the same each time.

    Shuffled and drawn in layers: in one go per site, the last one would cover all others where they are dense.
    """
    order = np.random.default_rng(_SHUFFLE_SEED).permutation(len(marks))
    for number, layer in enumerate(np.array_split(order, min(_LAYERS, max(len(order), 1)))):
        groups: defaultdict[tuple[tuple[str, float, float], ...], list[int]] = defaultdict(list)
        for index in layer:
            groups[tuple((shape.marker, shape.area, shape.width) for shape in marks[index])].append(int(index))
        keys = sorted(groups)
        for turn in range(len(keys)):
            key = keys[(turn + number) % len(keys)]
            members = groups[key]
            for level, (marker, area, width) in enumerate(key):
                shapes = [marks[index][level] for index in members]
                strokes = marker in ("x", "+", "|")
                axes.scatter(
                    points[members, 0],
                    points[members, 1],
                    s=area,
                    marker=MarkerStyle(marker),
                    linewidths=width,
                    zorder=zorder,
                    clip_on=False,
                    **({"c": [shape.edge for shape in shapes]} if strokes else _colours(shapes)),
                )


def _colours(shapes: list[Shape]) -> dict[str, list[str] | str]:
    edges = {shape.edge for shape in shapes}
    edge: list[str] | str = edges.pop() if len(edges) == 1 else [shape.edge for shape in shapes]
    return {"facecolors": [shape.face for shape in shapes], "edgecolors": edge}


def _body(style: Style, area: float) -> Shape:
    return Shape(
        marker=style.marker,
        area=round(area * _SCALE[style.marker], 3),
        face=style.colour,
        edge=PAPER,
        width=0.4 if area > 15 else 0.2,
    )


def _stroke(marker: str, area: float) -> Shape:
    return Shape(marker=marker, area=area, face=INK, edge=INK, width=1.0)


def _pale(colour: str) -> str:
    red, green, blue = to_rgb(colour)
    return to_hex((0.55 + 0.45 * red, 0.55 + 0.45 * green, 0.55 + 0.45 * blue))
