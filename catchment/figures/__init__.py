"""Figures of a catchment: values in, a figure out; `save` writes it to a file."""

from catchment.figures.dots import Change, Dot
from catchment.figures.files import save
from catchment.figures.maps import catchment_map, moves_map
from catchment.figures.palette import Style, site_styles
from catchment.figures.projection import Frame, frame_for, frame_of_region

__all__ = [
    "Change",
    "Dot",
    "Frame",
    "Style",
    "catchment_map",
    "frame_for",
    "frame_of_region",
    "moves_map",
    "save",
    "site_styles",
]
