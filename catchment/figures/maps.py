"""Maps of a catchment, and of what moved between two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from catchment.figures.dots import Change, Dot
from catchment.figures.legends import change_entries, move_entries, notes, site_entries, verdict_entries
from catchment.figures.marks import (
    Mark,
    assigned_mark,
    dot_area,
    draw_marks,
    gained_mark,
    lost_mark,
    moved_mark,
    stayed_mark,
    unassigned_mark,
)
from catchment.figures.palette import Style, site_styles
from catchment.figures.places import draw_sites
from catchment.figures.projection import Frame, frame_for, frame_of_region
from catchment.figures.sheet import Sheet, draw_legend, new_sheet
from catchment.figures.spread import MOST, spread
from catchment.model import ASSIGNED, INTERCEPTED, PLACED, Site, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_FARTHEST_PT = 20.0
_SIDE_BY_SIDE = "vantage points at one place stand side by side"


def catchment_map(
    dots: Sequence[Dot], sites: Sequence[Site], *, title: str, subtitle: str = "", region: str | None = None
) -> Figure:
    """Return the map of which site each vantage point reached, on a slide of 13.3 inches.

    `sites` are all sites of the service: the colours depend on them, in their order. Without a `region` the map shows
    the vantage points and little else; with one, the legend counts those inside and says how many are not. Shares are
    of the vantage points with a result. Raises UnknownName for a region that does not exist.
    """
    places = [(dot.latitude, dot.longitude) for dot in dots]
    frame = _frame(places, region)
    points, inside = _project(places, frame)
    shown = [dot for dot, is_inside in zip(dots, inside.tolist(), strict=True) if is_inside]
    reached = [dot.site if dot.verdict in ASSIGNED else None for dot in shown]
    styles = _styles(sites, reached)
    area = dot_area(len(shown))
    marks = [_dot_mark(dot, styles, area) for dot in shown]
    sheet = new_sheet(frame, title=title, subtitle=subtitle, footnote=_SIDE_BY_SIDE if len(shown) <= MOST else "")
    points = _side_by_side(sheet, points, area * 1.1)
    is_assigned = np.array([site is not None for site in reached], dtype=np.bool_)
    is_doubtful = np.array([dot.verdict not in PLACED for dot in shown], dtype=np.bool_)
    is_intercepted = np.array([dot.verdict in INTERCEPTED for dot in shown], dtype=np.bool_)
    for zorder, group in (
        (2.0, is_assigned & ~is_doubtful),
        (3.0, is_assigned & is_doubtful),
        (4.0, ~is_assigned & ~is_intercepted),
        (4.5, is_intercepted),
    ):
        draw_marks(sheet.map_axes, points[group], [marks[i] for i in np.flatnonzero(group)], zorder)
    counts = Counter(site for site in reached if site is not None)
    has_ticks = draw_sites(sheet, sites, counts, styles, points)
    results = sum(dot.verdict is not Verdict.NO_RESULT for dot in shown)
    others = notes("outside this map", len(dots) - len(shown), has_ticks)
    sections = [site_entries(counts, sites, styles, results), verdict_entries(shown, results), others]
    draw_legend(sheet, [section for section in sections if section])
    return sheet.figure


def moves_map(
    changes: Sequence[Change], sites: Sequence[Site], *, title: str, subtitle: str = "", region: str | None = None
) -> Figure:
    """Return the map of which vantage points changed their site between two runs, on a slide of 13.3 inches.

    A ring has the colour of the site before, its core that of the site after. Who lost its site has the mark that the
    catchment map has for the verdict, in the colour of the site before. The legend counts all, as a comparison does,
    also those outside the map; shares are of those that had a site both times. The rest is as in `catchment_map`.
    """
    placed = [change for change in changes if change.place is not None]
    places = [change.place for change in placed if change.place is not None]
    frame = _frame(places, region)
    points, inside = _project(places, frame)
    shown = [change for change, is_inside in zip(placed, inside.tolist(), strict=True) if is_inside]
    styles = _styles(sites, [code for change in changes for code in (change.before, change.after)])
    area = dot_area(len(shown))
    marks = [_change_mark(change, styles, area) for change in shown]
    sheet = new_sheet(frame, title=title, subtitle=subtitle, footnote=_SIDE_BY_SIDE if len(shown) <= MOST else "")
    points = _side_by_side(sheet, points, area * 3.8)
    stands_out = np.array([change.before != change.after for change in shown], dtype=np.bool_)
    is_intercepted = stands_out & np.array([change.verdict_after in INTERCEPTED for change in shown], dtype=np.bool_)
    for zorder, group in ((2.0, ~stands_out), (3.0, stands_out & ~is_intercepted), (4.0, is_intercepted)):
        draw_marks(sheet.map_axes, points[group], [marks[i] for i in np.flatnonzero(group)], zorder)
    counts = Counter(code for change in shown for code in (change.before, change.after) if code is not None)
    has_ticks = draw_sites(sheet, sites, counts, styles, points[stands_out])
    others = notes("of these outside this map", len(placed) - len(shown), has_ticks)
    sections = [move_entries(changes, styles), change_entries(changes, styles), others]
    draw_legend(sheet, [section for section in sections if section])
    return sheet.figure


def _frame(places: Sequence[tuple[float, float]], region: str | None) -> Frame:
    return frame_for(places) if region is None else frame_of_region(region)


def _project(places: Sequence[tuple[float, float]], frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return where those in the frame lie, (m, 2) in metres, and which of all are in it, (n,)."""
    latitudes, longitudes = np.array(places, dtype=np.float64).reshape(-1, 2).T
    points = frame.project(longitudes, latitudes)
    inside = frame.contains(points)
    return points[inside], inside


def _side_by_side(sheet: Sheet, points: NDArray[np.float64], area: float) -> NDArray[np.float64]:
    """Return the places in metres, those of marks of an area in square points moved apart."""
    corner, scale = np.array([sheet.frame.left, sheet.frame.bottom]), sheet.points_per_metre
    moved = spread((points - corner) * scale, area**0.5, _FARTHEST_PT)
    inset = area**0.5 / 2
    inside = np.clip(moved, inset, np.array([sheet.paper.right, sheet.paper.top]) - inset)
    # Where nothing was moved, nothing may be pushed off the edge of the frame either.
    return np.where(moved == (points - corner) * scale, points, inside / scale + corner)


def _styles(sites: Sequence[Site], reached: Sequence[str | None]) -> dict[str, Style]:
    """Return the styles of the listed sites and, after them, of reached ones that the list does not have."""
    strangers = {code for code in reached if code is not None} - {site.code for site in sites}
    return site_styles([*sites, *(Site(code=code, town="", country="") for code in sorted(strangers))])


def _dot_mark(dot: Dot, styles: Mapping[str, Style], area: float) -> Mark:
    if dot.site is None or dot.verdict not in ASSIGNED:
        return unassigned_mark(dot.verdict, area)
    return assigned_mark(styles[dot.site], dot.verdict, area)


def _change_mark(change: Change, styles: Mapping[str, Style], area: float) -> Mark:
    before, after = change.before, change.after
    if before is None:
        return unassigned_mark(change.verdict_after, area) if after is None else gained_mark(styles[after], area)
    if after is None:
        return lost_mark(styles[before], change.verdict_after, area)
    return stayed_mark(styles[before], area) if before == after else moved_mark(styles[before], styles[after], area)
