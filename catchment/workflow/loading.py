"""A run's tables on a connection, cut to a window and judged: what show, compare and map begin with."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from catchment import store
from catchment.assign import assign
from catchment.engine import connection, parts
from catchment.errors import InvalidRun, UnknownName
from catchment.metrics import iso_time
from catchment.model import Service, Site, SiteSet, Target, Window
from catchment.schemas import OBSERVATIONS
from catchment.workflow.topologies import check_labs

Side = tuple[store.Run, Window]
"""A run, cut to a window."""


@contextmanager
def workbench() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Yield a connection and a folder for temporary tables, both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="catchment-") as name, connection(Path(name) / "spill") as con:
        yield con, Path(name)


def load_run(
    con: duckdb.DuckDBPyConnection,
    run: store.Run,
    window: Window,
    services: Sequence[Service],
    *,
    site_set: SiteSet = SiteSet.LISTED,
) -> tuple[Window, list[Service]]:
    """Make the tables `observations`, `vantage_points`, `assignments` and `evidence` of a run.

    Return the window, bounded, and the services with the sites of open lists that were seen.
    """
    _check_version(con, run)
    view_tables(con, parts(run.path / store.OBSERVATIONS), run.path / store.VANTAGE_POINTS)
    inside = bounded(con, intersection(window, run.header.cut))
    asked = () if run.accepted is None else tuple(run.accepted.asked())
    named = store.read_hop_names(run.path)
    seen = assign(con, services, run.header.targets, [inside], site_set=site_set, asked=asked, hop_names=named)
    return inside, seen


def _check_version(con: duckdb.DuckDBPyConnection, run: store.Run) -> None:
    """Raise InvalidRun where an earlier version of catchment wrote a table that lacks columns of today's."""
    described = con.execute(f"DESCRIBE SELECT * FROM {parts(run.path / store.OBSERVATIONS)}").fetchall()
    if {column.name for column in OBSERVATIONS} - {name for name, *_ in described}:
        raise InvalidRun(
            f"{run.path}: written by an earlier version: `catchment derive {shlex.quote(str(run.path))}` rebuilds it"
        )


def load_both(
    con: duckdb.DuckDBPyConnection,
    before: Side,
    after: Side,
    services: Sequence[Service],
    keep: Callable[[duckdb.DuckDBPyConnection, str], None] = lambda *_: None,
) -> list[Service]:
    """Make `assignments_before` and `assignments_after`, and `vantage_points` with the later place of each.

    `keep` is called when a side (`before`, `after`) is judged, to keep what else is needed of it. Return the services
    with the sites of open lists that were seen on either side. Raises InvalidRun where they are of different labs.
    """
    check_labs((before[0], after[0]))
    seen: dict[tuple[str, str], Site] = {}
    for (run, window), side in ((before, "before"), (after, "after")):
        _, judged = load_run(con, run, window, services)
        seen |= {(service.name, site.code): site for service in judged for site in service.sites}
        con.execute(f"CREATE OR REPLACE TEMP TABLE assignments_{side} AS SELECT * FROM assignments")
        con.execute(f"CREATE OR REPLACE TEMP TABLE vantage_points_{side} AS SELECT * FROM vantage_points")
        keep(con, side)
    con.execute(
        """CREATE OR REPLACE TEMP VIEW vantage_points AS SELECT * FROM vantage_points_after
        UNION ALL SELECT * FROM vantage_points_before ANTI JOIN vantage_points_after USING (vantage)"""
    )
    return [
        replace(service, sites=tuple(site for (name, _), site in seen.items() if name == service.name))
        for service in services
    ]


def view_tables(con: duckdb.DuckDBPyConnection, observations: str, vantage_points: Path) -> None:
    """Make the views `observations` and `vantage_points`."""
    con.execute(f"CREATE OR REPLACE TEMP VIEW observations AS SELECT * FROM {observations}")
    con.execute(f"CREATE OR REPLACE TEMP VIEW vantage_points AS SELECT * FROM {parts(vantage_points)}")


def bounded(con: duckdb.DuckDBPyConnection, window: Window) -> Window:
    """Return a window bounded on both sides: where it is open, by the first and last second measured."""
    first, last = con.execute(
        "SELECT floor(min(measured_at)), floor(max(measured_at)) + 1 FROM observations"
    ).fetchall()[0]
    if first is None and window.start is not None and window.end is not None:
        return window  # of a run in which nobody reported
    if first is None:
        raise UnknownName("no observation lies in the window: give one that overlaps the run")
    start = first if window.start is None else window.start
    end = last if window.end is None else window.end
    if end <= first or start >= last:
        raise UnknownName(
            f"no observation lies in the window: the run was measured {iso_time(first)}..{iso_time(last)}"
        )
    return Window(start=float(start), end=float(end))


def chosen_targets(targets: Sequence[Target], af: int | None, address: str | None) -> list[Target]:
    """Return the targets of one address family, and of one address or service. Raises UnknownName if none is left."""
    chosen = [
        target for target in targets if af in (None, target.af) and address in (None, target.address, target.service)
    ]
    if not chosen:
        known = ", ".join(f"{target.address} ({target.service or 'no service'})" for target in targets[:10])
        raise UnknownName(f"the run has no such target; it has {known}")
    return chosen


def name_of(side: Side) -> str:
    """Name a run as the command line takes it, with its window."""
    run, window = side
    if window == Window():
        return str(run.path)
    return f"{run.path}[{iso_time(window.start) or ''}..{iso_time(window.end) or ''}]"


def label_of(side: Side) -> str:
    """Name a run on a picture, which leaves its machine: without the folders above its campaign."""
    run, _ = side
    place = run.path.absolute()
    return name_of(side).replace(str(run.path), f"{place.parent.name} {place.name}", 1)


def intersection(left: Window, right: Window) -> Window:
    """Return what two windows share."""
    starts = [start for start in (left.start, right.start) if start is not None]
    ends = [end for end in (left.end, right.end) if end is not None]
    return Window(start=max(starts, default=None), end=min(ends, default=None))
