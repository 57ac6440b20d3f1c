"""Sites on the map: marked and named where they are, or pointed at from the edge of the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import FancyArrowPatch
from matplotlib.patheffects import withStroke

from catchment.figures.labels import Box, box_around, place_labels
from catchment.figures.lettering import FAMILY, printable, width_of
from catchment.figures.marks import INK, PAPER, draw_mark, site_mark, unused_site_mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from catchment.figures.palette import Style
    from catchment.figures.sheet import Sheet
    from catchment.model import Site

_MOST_LABELS = 40
_MOST_FAR_LABELS_OF_A_WORLD = 22
_MOST_ARROWS = 14
_MOST_TICKS = 120
_LABEL_SIZE = 9.0
_INSET_PT = 8.0
_ARROW_PT = 26.0


def draw_sites(
    sheet: Sheet,
    sites: Sequence[Site],
    counts: Mapping[str, int],
    styles: Mapping[str, Style],
    dots: NDArray[np.float64],
) -> bool:
    """Draw the sites that `counts` names, and faintly those listed ones that it does not; return if some are faint.

    `counts` holds vantage points by code, `dots` (n, 2) their places on paper in metres, which names avoid. The biggest
    sites are named, in a world fewer where they crowd. Of the sites outside the frame, the biggest have an arrow.
    """
    placed = [site for site in sites if site.latitude is not None and site.longitude is not None]
    if not placed:
        return False
    frame = sheet.frame
    places = frame.project(
        np.array([site.longitude for site in placed], dtype=np.float64),
        np.array([site.latitude for site in placed], dtype=np.float64),
    )
    points = _points(sheet, places)
    # A mark on the very edge would be cut in half by it.
    inside = frame.contains(places) & np.all((points > _INSET_PT) & (points < _corner(sheet) - _INSET_PT), axis=1)
    rank = sorted(range(len(placed)), key=lambda i: (-counts.get(placed[i].code, 0), placed[i].code))
    used = [i for i in rank if counts.get(placed[i].code, 0) > 0]
    ticks = [i for i in rank if counts.get(placed[i].code, 0) == 0 and inside[i]]
    ticks = ticks if len(ticks) <= _MOST_TICKS else []
    for i in ticks:
        draw_mark(sheet.map_axes, (places[i, 0], places[i, 1]), unused_site_mark(), zorder=2.5)
    outside = [(placed[i].code, points[i]) for i in used if not inside[i] and np.isfinite(points[i]).all()]
    here = [i for i in used if inside[i]]
    far = _MOST_FAR_LABELS_OF_A_WORLD if frame.is_world else _MOST_LABELS
    named = here[: _MOST_LABELS + far]
    area = {i: (88.0 if len(here) <= 20 else 62.0) if i in here[:far] else 30.0 for i in here}
    for i in reversed(here):
        mark = site_mark(styles[placed[i].code], area[i])
        draw_mark(sheet.map_axes, (places[i, 0], places[i, 1]), mark, zorder=5)
    radius = {i: (area[i] ** 0.5) / 2 + 1.5 for i in here}
    marks = [box_around(points[i, 0], points[i, 1], radius[i], radius[i]) for i in here]
    names = [printable(placed[i].code)[:16] for i in named]
    boxes = place_labels(
        [(float(points[i, 0]), float(points[i, 1]), radius[i]) for i in named],
        [(width_of(name, _LABEL_SIZE, bold=True) + 2, _LABEL_SIZE + 1) for name in names],
        marks,
        _draw_arrows(sheet, outside[:_MOST_ARROWS], styles, marks),
        _points(sheet, dots),
        sheet.paper,
        far=far,
    )
    for i, name, box in zip(named, names, boxes, strict=True):
        if box is not None:
            x, y = points[i].tolist()
            _draw_label(sheet, name, box, (x, y, radius[i]), styles[placed[i].code].colour)
    return bool(ticks)


def _points(sheet: Sheet, places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((places - (sheet.frame.left, sheet.frame.bottom)) * sheet.points_per_metre)


def _metres(sheet: Sheet, x: float, y: float) -> tuple[float, float]:
    scale = sheet.points_per_metre
    return sheet.frame.left + x / scale, sheet.frame.bottom + y / scale


def _draw_label(sheet: Sheet, name: str, box: Box, anchor: tuple[float, float, float], colour: str) -> None:
    """Draw the name in its box, with a line to the middle of its mark (x, y, radius in points) where it is far off."""
    x, y, radius = anchor
    end = box.nearest(x, y)
    if np.hypot(end[0] - x, end[1] - y) > radius + 6:
        (start_x, start_y), (end_x, end_y) = _metres(sheet, x, y), _metres(sheet, *end)
        halo = withStroke(linewidth=3.0, foreground=PAPER)
        sheet.map_axes.plot([start_x, end_x], [start_y, end_y], color=colour, lw=1.3, zorder=4.5, path_effects=[halo])
    _write_name(sheet, name, ((box.left + box.right) / 2, (box.bottom + box.top) / 2))


def _write_name(sheet: Sheet, name: str, middle: tuple[float, float]) -> None:
    sheet.map_axes.text(
        *_metres(sheet, *middle),
        name,
        fontsize=_LABEL_SIZE,
        family=FAMILY,
        weight="bold",
        color=INK,
        ha="center",
        va="center_baseline",
        parse_math=False,
        zorder=6,
        path_effects=[withStroke(linewidth=2.6, foreground=PAPER)],
    )


def _draw_arrows(
    sheet: Sheet, sites: Sequence[tuple[str, NDArray[np.float64]]], styles: Mapping[str, Style], marks: Sequence[Box]
) -> list[Box]:
    """Draw a mark with an arrow and a name at the edge for each site outside the frame; return the paper they take.

    Each stands where the straight line from the middle of the map to the site leaves the paper, or as near to that as
    the marks of sites in the frame and the arrows before it allow; one that finds no room is left out.
    """
    middle = _corner(sheet) / 2
    taken: list[Box] = []
    for code, point in sites:
        away = (point - middle) / np.hypot(*(point - middle))
        shares = middle / np.maximum(np.abs(away), 1e-9)
        upright = bool(shares[0] < shares[1])
        along, across = (1, 0) if upright else (0, 1)
        at_edge = (middle + away * float(shares.min())).tolist()
        inward = -1.0 if away[across] > 0 else 1.0
        name = printable(code)[:16]
        half_width = width_of(name, _LABEL_SIZE, bold=True) / 2
        depth = _ARROW_PT + 13 + (half_width if upright else 0.0)
        half = (depth / 2 + half_width / 2 + 2, 9.0) if upright else (max(half_width, 10.0) + 3, depth / 2 + 4)
        for shift in sorted(range(-240, 241, 4), key=lambda shift: (abs(shift), shift)):
            spots = [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
            for spot, inset in zip(spots, (_ARROW_PT, depth, depth / 2), strict=True):
                spot[along], spot[across] = at_edge[along] + shift, at_edge[across] + inward * inset
            mark, label, centre = ((x, y) for x, y in spots)
            box = box_around(*centre, *half)
            if half[along] < centre[along] < 2 * middle[along] - half[along] and not any(
                box.overlaps(other) for other in (*marks, *taken)
            ):
                _draw_arrow(sheet, mark, (float(away[0]), float(away[1])), styles[code].colour)
                draw_mark(sheet.map_axes, _metres(sheet, *mark), site_mark(styles[code], 56), zorder=5)
                _write_name(sheet, name, label)
                taken.append(box)
                break
    return taken


def _draw_arrow(sheet: Sheet, start: tuple[float, float], away: tuple[float, float], colour: str) -> None:
    """Draw an arrow from a mark near the edge on toward what lies outside; `away` is of length 1."""
    end = (start[0] + away[0] * (_ARROW_PT - 2), start[1] + away[1] * (_ARROW_PT - 2))
    arrow = FancyArrowPatch(
        _metres(sheet, *start),
        _metres(sheet, *end),
        arrowstyle="-|>",
        mutation_scale=11,
        shrinkA=0,
        shrinkB=0,
        color=colour,
        linewidth=1.8,
        zorder=4.9,
        joinstyle="miter",
        path_effects=[withStroke(linewidth=3.6, foreground=PAPER)],
    )
    sheet.map_axes.add_patch(arrow)


def _corner(sheet: Sheet) -> NDArray[np.float64]:
    return np.array([sheet.paper.right, sheet.paper.top])
