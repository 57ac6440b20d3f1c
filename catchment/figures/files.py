"""Figures to files, the same bytes each time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from catchment.errors import CatchmentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 200
# What would put the time of day into the file, and so make each one different.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": "catchment"},
    "svg": {"Date": None, "Creator": "catchment"},
    "pdf": {"CreationDate": None, "Creator": "catchment"},
}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as .png (200 dots per inch), .svg or .pdf, whichever the name ends in; an old file is replaced.

    Raises CatchmentError for any other ending, and where the file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in _METADATA:
        endings = ", ".join(f".{ending}" for ending in _METADATA)
        raise CatchmentError(f"cannot write a figure as {path.name!r}: use a name that ends in {endings}")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with mpl.rc_context({"svg.hashsalt": "catchment", "svg.fonttype": "path", "pdf.fonttype": 42}):
            figure.savefig(temporary, format=kind, dpi=_DPI, metadata=_METADATA[kind], bbox_inches=None)
        temporary.replace(path)
    except OSError as error:
        raise CatchmentError(f"cannot write {path}: {error.strerror or error}; name another file with -o") from error
    finally:
        temporary.unlink(missing_ok=True)
