"""The sheet of a slide: title, map, legend and footer, each in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from catchment.figures.basemap import draw_basemap
from catchment.figures.labels import Box
from catchment.figures.lettering import FAMILY, fitted, printable, width_of
from catchment.figures.marks import INK, PAPER, Mark, draw_mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from catchment.figures.projection import Frame

_WIDTH_IN, _HEIGHT_IN = 40 / 3, 7.5
_EDGE_IN, _HEAD_IN, _FOOT_IN = 0.2, 0.82, 0.28
_SIDE_LEGEND_IN, _BELOW_LEGEND_IN = 2.6, 1.12
_GREY = "#5a6268"
_SYMBOL_PT = 18.0
_GAP_PT = 14.0
_SMALL = 8.8
_ROWS = 5
_SHARE_EM = 4.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of a legend: a mark, what it means, how many, and their share."""

    text: str
    mark: Mark | None = None
    count: str = ""
    share: str = ""
    is_heading: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A figure with its map and legend; the axes of the legend count points from its lower left corner."""

    figure: Figure
    frame: Frame
    map_axes: Axes
    legend_axes: Axes
    points_per_metre: float

    @property
    def paper(self) -> Box:
        """Return the rectangle of the map in points, from its own lower left corner."""
        frame, scale = self.frame, self.points_per_metre
        return Box(left=0, bottom=0, right=(frame.right - frame.left) * scale, top=(frame.top - frame.bottom) * scale)


def new_sheet(frame: Frame, *, title: str, subtitle: str, footnote: str = "") -> Sheet:
    """Return a sheet as wide as a slide with the frame's empty map; the legend is below a world and beside the rest."""
    room = _HEIGHT_IN - _HEAD_IN - _FOOT_IN
    if frame.is_world:
        width = _WIDTH_IN
        map_width = min(width - 2 * _EDGE_IN, (room - _BELOW_LEGEND_IN) * frame.aspect)
        map_box = ((width - map_width) / 2, _FOOT_IN + _BELOW_LEGEND_IN, map_width, map_width / frame.aspect)
        legend_box = (_EDGE_IN + 0.1, _FOOT_IN, width - 2 * _EDGE_IN - 0.2, _BELOW_LEGEND_IN - 0.06)
    else:
        map_width = min(_WIDTH_IN - 3 * _EDGE_IN - _SIDE_LEGEND_IN, room * frame.aspect)
        width = map_width + 3 * _EDGE_IN + _SIDE_LEGEND_IN
        map_box = (_EDGE_IN, _FOOT_IN, map_width, map_width / frame.aspect)
        legend_box = (2 * _EDGE_IN + map_width, _FOOT_IN, _SIDE_LEGEND_IN, map_box[3])
    height = map_box[1] + map_box[3] + _HEAD_IN
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    map_axes, legend_axes = (
        figure.add_axes((x / width, y / height, w / width, h / height)) for x, y, w, h in (map_box, legend_box)
    )
    draw_basemap(map_axes, frame)
    legend_axes.set_axis_off()
    legend_axes.set_xlim(0, legend_box[2] * 72)
    legend_axes.set_ylim(0, legend_box[3] * 72)
    left, text_width = _EDGE_IN / width, (width - 2 * _EDGE_IN) * 72
    for text, size, down, colour, bold in ((title, 19, 0.42, INK, True), (subtitle, 11.5, 0.68, _GREY, False)):
        fit = fitted(text, text_width, size, bold=bold)
        _write(figure, (left, 1 - down / height), fit, bold=bold, size=size, color=colour)
    projection = "Equal Earth projection" if frame.is_world else "Lambert azimuthal equal-area projection"
    footer = f"{projection} · coast and borders: Natural Earth{footnote and f' · {footnote}'}"
    _write(figure, (left, 0.1 / height), footer, size=7, color="#757d83")
    points_per_metre = map_box[2] * 72 / (frame.right - frame.left)
    return Sheet(
        figure=figure, frame=frame, map_axes=map_axes, legend_axes=legend_axes, points_per_metre=points_per_metre
    )


def draw_legend(sheet: Sheet, sections: Sequence[Sequence[Entry]]) -> None:
    """Draw the sections of the legend one below the other, or below a world map in columns."""
    if not sheet.frame.is_world:
        rows = sum(map(len, sections)) + len(sections) - 1
        top, right = sheet.legend_axes.get_ylim()[1], sheet.legend_axes.get_xlim()[1]
        pitch = min(18.0, top / max(rows, 1))
        y = top - pitch / 2
        for section in sections:
            for entry in section:
                _draw_entry(sheet.legend_axes, entry, (0, right), y, size=min(10.0, pitch * 0.62))
                y -= pitch
            y -= pitch * 0.6
        return
    columns = _columns(sections)
    if not columns:
        return
    height, width = sheet.legend_axes.get_ylim()[1], sheet.legend_axes.get_xlim()[1]
    pitch = min(15.0, height / max(map(len, columns)))
    widths = _column_widths(columns, width - _GAP_PT * (len(columns) - 1))
    gap = min((width - sum(widths)) / max(len(columns) - 1, 1), 3 * _GAP_PT)
    left = 0.0
    for column, column_width in zip(columns, widths, strict=True):
        for row, entry in enumerate(column):
            y = height - pitch * (row + 0.5)
            _draw_entry(sheet.legend_axes, entry, (left, left + column_width), y, size=_SMALL)
        left += column_width + gap


def _columns(sections: Sequence[Sequence[Entry]]) -> list[list[Entry]]:
    """Return the entries in columns of five; each section but the last begins a new column.

    Headings are left out: there is no room, and marks and names speak for themselves.
    """
    columns: list[list[Entry]] = []
    for section in sections:
        body = [entry for entry in section if not entry.is_heading]
        if columns and len(columns[-1]) + len(body) <= _ROWS and section is sections[-1]:
            columns[-1].extend(body)
        else:
            columns.extend(body[start : start + _ROWS] for start in range(0, len(body), _ROWS))
    return columns


def _column_widths(columns: Sequence[Sequence[Entry]], room: float) -> list[float]:
    """Return the width of each column in points: its widest entry's, the widest cut where all need more than `room`."""
    natural = [max(_entry_width(entry, _SMALL) for entry in column) for column in columns]
    low, high = 0.0, max(natural)
    if sum(natural) <= room:
        return natural
    for _ in range(30):
        cap = (low + high) / 2
        low, high = (cap, high) if sum(min(width, cap) for width in natural) <= room else (low, cap)
    return [min(width, low) for width in natural]


def _entry_width(entry: Entry, size: float) -> float:
    share = _SHARE_EM * size if entry.share else 0.0
    return _SYMBOL_PT + width_of(printable(entry.text), size) + 10 + width_of(entry.count, size) + share


def _draw_entry(axes: Axes, entry: Entry, span: tuple[float, float], y: float, *, size: float) -> None:
    left, right = span
    colour, name_left = (_GREY, left) if entry.is_heading else (INK, left + _SYMBOL_PT)
    if entry.mark is not None:
        draw_mark(axes, (left + _SYMBOL_PT / 2 - 1, y), entry.mark, zorder=3)
    share_width = _SHARE_EM * size if entry.share else 0.0
    count_width = width_of(entry.count, size)
    for text, x in ((entry.share, right), (entry.count, right - share_width)):
        if text:
            _write(axes, (x, y), text, size=size, color=colour, ha="right", va="center_baseline")
    room = right - share_width - count_width - 8 - name_left
    name = fitted(entry.text, room, size)
    _write(axes, (name_left, y), name, size=size, color=colour, va="center_baseline")


def _write(where: Axes | Figure, place: tuple[float, float], text: str, *, bold: bool = False, **style: Any) -> None:
    # No text of a figure is ours alone, and a dollar sign would turn the rest into formulas.
    weight = "bold" if bold else "normal"
    where.text(*place, text, parse_math=False, usetex=False, family=FAMILY, weight=weight, **style)
