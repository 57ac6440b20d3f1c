"""Maps of a catchment, and of what moved between two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catchment.figures.marks import (
    INTERCEPTED,
    Mark,
    assigned_mark,
    dot_area,
    draw_marks,
    gained_mark,
    lost_mark,
    moved_mark,
    site_mark,
    stayed_mark,
    unassigned_mark,
    unused_site_mark,
)
from catchment.figures.palette import Style, site_styles
from catchment.figures.places import draw_sites
from catchment.figures.projection import Frame, frame_for, frame_of_region
from catchment.figures.sheet import Entry, Sheet, draw_legend, new_sheet
from catchment.figures.spread import MOST, spread
from catchment.model import ASSIGNED, PLACED, Site, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_MOST_ROWS = 14
_SYMBOL_AREA = 40.0
_ANY_SITE = Style(colour="#a4aab0", marker="o")
_FARTHEST_PT = 20.0
_SIDE_BY_SIDE = "vantage points at one place stand side by side"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A vantage point on a map: its place in degrees, its site's code if it has one, and the verdict."""

    latitude: float
    longitude: float
    site: str | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A vantage point in two runs: its place in degrees, and the codes of its sites before and after, if any."""

    latitude: float
    longitude: float
    before: str | None
    after: str | None


def catchment_map(
    dots: Sequence[Dot], sites: Sequence[Site], *, title: str, subtitle: str = "", region: str | None = None
) -> Figure:
    """Return the map of which site each vantage point reached, on a slide of 13.3 inches.

    `sites` are all sites of the service: the colours depend on them, in their order. Without a `region` the map shows
    the vantage points and little else; with one, the legend counts those inside and says how many are not. Shares are
    of the vantage points with a result. Raises UnknownName for a region that does not exist.
    """
    frame = _frame(dots, region)
    points, inside = _places(dots, frame)
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
    sections = [_site_entries(counts, sites, styles, results), _verdict_entries(shown, results)]
    draw_legend(sheet, [section for section in (*sections, _notes(len(dots) - len(shown), has_ticks)) if section])
    return sheet.figure


def moves_map(
    changes: Sequence[Change], sites: Sequence[Site], *, title: str, subtitle: str = "", region: str | None = None
) -> Figure:
    """Return the map of which vantage points changed their site between two runs, on a slide of 13.3 inches.

    A ring has the colour of the site before, its core that of the site after. Shares are of the vantage points that had
    a site both times. The rest is as in `catchment_map`.
    """
    frame = _frame(changes, region)
    points, inside = _places(changes, frame)
    shown = [change for change, is_inside in zip(changes, inside.tolist(), strict=True) if is_inside]
    styles = _styles(sites, [code for change in shown for code in (change.before, change.after)])
    area = dot_area(len(shown))
    marks = [_change_mark(change, styles, area) for change in shown]
    sheet = new_sheet(frame, title=title, subtitle=subtitle, footnote=_SIDE_BY_SIDE if len(shown) <= MOST else "")
    points = _side_by_side(sheet, points, area * 3.8)
    stands_out = np.array([change.before != change.after for change in shown], dtype=np.bool_)
    for zorder, group in ((2.0, ~stands_out), (3.0, stands_out)):
        draw_marks(sheet.map_axes, points[group], [marks[i] for i in np.flatnonzero(group)], zorder)
    counts = Counter(code for change in shown for code in (change.before, change.after) if code is not None)
    has_ticks = draw_sites(sheet, sites, counts, styles, points[stands_out])
    sections = [_move_entries(shown, styles), _change_entries(shown, styles)]
    draw_legend(sheet, [section for section in (*sections, _notes(len(changes) - len(shown), has_ticks)) if section])
    return sheet.figure


def _frame(places: Sequence[Dot] | Sequence[Change], region: str | None) -> Frame:
    if region is None:
        return frame_for((place.latitude, place.longitude) for place in places)
    return frame_of_region(region)


def _places(places: Sequence[Dot] | Sequence[Change], frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return where those in the frame lie, (m, 2) in metres, and which of all are in it, (n,)."""
    longitudes = np.array([place.longitude for place in places], dtype=np.float64)
    latitudes = np.array([place.latitude for place in places], dtype=np.float64)
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
        return unassigned_mark(Verdict.NO_RESULT, area) if after is None else gained_mark(styles[after], area)
    if after is None:
        return lost_mark(styles[before], area)
    return stayed_mark(styles[before], area) if before == after else moved_mark(styles[before], styles[after], area)


def _site_entries(
    counts: Counter[str], sites: Sequence[Site], styles: Mapping[str, Style], results: int
) -> list[Entry]:
    towns = {site.code: site.town for site in sites}
    ranked = sorted(counts, key=lambda code: (-counts[code], code))
    entries = [Entry(text="site", count="vantage points", share="share", is_heading=True)] if ranked else []
    entries += [
        Entry(
            text=f"{code} {towns.get(code, '')}",
            mark=site_mark(styles[code], _SYMBOL_AREA),
            count=f"{counts[code]:,}",
            share=_share(counts[code], results),
        )
        for code in ranked[: _rows(ranked)]
    ]
    rest = ranked[_rows(ranked) :]
    if rest:
        total = sum(counts[code] for code in rest)
        entries.append(Entry(text=f"+ {len(rest)} more sites", count=f"{total:,}", share=_share(total, results)))
    return entries


def _verdict_entries(shown: Sequence[Dot], results: int) -> list[Entry]:
    """Return what the marks mean that are not simply a site's, each with how many there are."""
    verdicts = Counter(dot.verdict for dot in shown if dot.verdict not in PLACED)
    entries = []
    for verdict in Verdict:
        if verdicts[verdict] == 0:
            continue
        if verdict in ASSIGNED:
            mark = assigned_mark(_ANY_SITE, verdict, _SYMBOL_AREA)
        else:
            mark = unassigned_mark(verdict, _SYMBOL_AREA)
        entries.append(Entry(text=str(verdict), mark=mark, count=f"{verdicts[verdict]:,}"))
    without = sum(dot.verdict not in (*ASSIGNED, Verdict.NO_RESULT) for dot in shown)
    if without:
        entries.append(Entry(text="without a site", count=f"{without:,}", share=_share(without, results)))
    heading = [Entry(text="doubtful or unassigned", is_heading=True)]
    return heading + entries if entries else []


def _move_entries(shown: Sequence[Change], styles: Mapping[str, Style]) -> list[Entry]:
    paired = [(c.before, c.after) for c in shown if c.before is not None and c.after is not None]
    moves = Counter(pair for pair in paired if pair[0] != pair[1])
    ranked = sorted(moves, key=lambda move: (-moves[move], move))
    entries = [Entry(text="move", count="vantage points", share="share", is_heading=True)] if ranked else []
    entries += [
        Entry(
            text=f"{move[0]} → {move[1]}",
            mark=moved_mark(styles[move[0]], styles[move[1]], _SYMBOL_AREA * 0.55),
            count=f"{moves[move]:,}",
            share=_share(moves[move], len(paired)),
        )
        for move in ranked[: _rows(ranked)]
    ]
    rest = ranked[_rows(ranked) :]
    if rest:
        total = sum(moves[move] for move in rest)
        entries.append(Entry(text=f"+ {len(rest)} more moves", count=f"{total:,}", share=_share(total, len(paired))))
    return entries


def _change_entries(shown: Sequence[Change], styles: Mapping[str, Style]) -> list[Entry]:
    """Return how many vantage points moved, stayed, were lost, were gained, or never had a site."""
    first = next(iter(styles.values()), _ANY_SITE)
    grey, dark = _ANY_SITE, Style(colour="#5f6468", marker="o")
    paired = [change for change in shown if change.before is not None and change.after is not None]
    moved = sum(change.before != change.after for change in paired)
    lost = sum(change.before is not None and change.after is None for change in shown)
    gained = sum(change.before is None and change.after is not None for change in shown)
    neither = len(shown) - len(paired) - lost - gained
    entries = [
        Entry(
            text="moved: ring → dot",
            mark=moved_mark(grey, dark, _SYMBOL_AREA * 0.55),
            count=f"{moved:,}",
            share=_share(moved, len(paired)),
        ),
        Entry(
            text="stayed",
            mark=stayed_mark(first, _SYMBOL_AREA),
            count=f"{len(paired) - moved:,}",
            share=_share(len(paired) - moved, len(paired)),
        ),
        Entry(text="lost: no site after", mark=lost_mark(grey, _SYMBOL_AREA * 0.7), count=f"{lost:,}"),
        Entry(text="gained: no site before", mark=gained_mark(grey, _SYMBOL_AREA * 0.7), count=f"{gained:,}"),
    ]
    if neither:
        mark = unassigned_mark(Verdict.NO_RESULT, _SYMBOL_AREA)
        entries.append(Entry(text="no site before or after", mark=mark, count=f"{neither:,}"))
    return entries


def _notes(outside: int, has_ticks: bool) -> list[Entry]:  # noqa: FBT001
    notes = [Entry(text="listed, served nobody here", mark=unused_site_mark())] if has_ticks else []
    return [*notes, Entry(text="outside this map", count=f"{outside:,}")] if outside else notes


def _rows(ranked: Sequence[object]) -> int:
    """Return how many get a row of their own; a row that says "+ 1 more" takes as much room as the one itself."""
    return len(ranked) if len(ranked) <= _MOST_ROWS + 1 else _MOST_ROWS


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else ""
