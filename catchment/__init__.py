"""Anycast measurement: which site does each vantage point reach, why, and is it the nearest?

From Python:

    import catchment
    run = catchment.open_run("results/cloudflare-africa/2015-03-21")
    run.assignments.filter("verdict = 'ok'").aggregate("site, count(*)").show()
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catchment.store import Run

__version__ = "0.1.0"


def open_run(path: str | Path) -> Run:
    """Open a stored run; its tables are DuckDB relations. Raises InvalidRun."""
    from catchment.store import Run  # noqa: PLC0415  (DuckDB costs 0.1 s that `--help` need not pay)

    return Run.open(Path(path))
