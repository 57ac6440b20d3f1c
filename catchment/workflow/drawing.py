"""Maps of runs, written to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from catchment import compare as comparing
from catchment.errors import UnknownName
from catchment.metrics import iso_time
from catchment.model import Target, Verdict
from catchment.workflow.importing import Progress
from catchment.workflow.loading import (
    Side,
    chosen_targets,
    label_of,
    load_both,
    load_run,
    workbench,
)

if TYPE_CHECKING:
    from catchment.figures import Change, Dot


def draw_map(
    sides: Sequence[Side],
    out: Path | None = None,
    *,
    region: str | None = None,
    target: str | None = None,
    progress: Progress = lambda *_: None,
) -> list[Path]:
    """Draw the catchments of one run, or who moved between two, one file for each target; return the files."""
    from catchment import figures  # noqa: PLC0415  (Matplotlib costs 0.4 s that other commands need not pay)

    *earlier, (run, window) = sides
    chosen = chosen_targets(run.header.targets, None, target)
    to = out or run.path / ("moves.png" if earlier else "map.png")
    files: list[Path] = []
    with workbench() as (con, _):
        progress("judging which site each vantage point reaches", 0)
        if earlier:
            services = load_both(con, earlier[0], (run, window), run.header.services)
            subject = f"who moved between {label_of(earlier[0])} and {label_of((run, window))}"
        else:
            inside, services = load_run(con, run, window, run.header.services)
            subject = f"catchment of each site, {iso_time(inside.start)} to {iso_time(inside.end)}"
        for goal in chosen:
            file = to if len(chosen) == 1 else to.with_stem(f"{to.stem}-{goal.address.replace(':', '-')}")
            progress(f"drawing {file.name}", len(files) / len(chosen))
            service = next((known for known in services if known.name == goal.service), None)
            sites = () if service is None else service.sites
            title = f"{goal.service or 'no service'}, {goal.address}"
            if earlier:
                changes, unplaced = _changes(con, earlier[0], (run, window), goal)
                subtitle = subject + _left_out(unplaced)
                figure = figures.moves_map(changes, sites, title=title, subtitle=subtitle, region=region)
            else:
                dots, unplaced = _dots(con, goal)
                subtitle = subject + _left_out(unplaced)
                figure = figures.catchment_map(dots, sites, title=title, subtitle=subtitle, region=region)
            figures.save(figure, file)
            files.append(file)
    return files


def _left_out(unplaced: int) -> str:
    """Say how many vantage points cannot be drawn, so that nobody wonders why the tables count more."""
    return f" ({unplaced} vantage points without a place are not drawn)" if unplaced else ""


def _dots(con: duckdb.DuckDBPyConnection, target: Target) -> tuple[list[Dot], int]:
    """Return what to draw of one target, and how many vantage points have no place."""
    from catchment.figures import Dot  # noqa: PLC0415

    rows = con.execute(
        """SELECT v.latitude, v.longitude, a.site, a.verdict
        FROM assignments AS a JOIN vantage_points AS v USING (vantage) WHERE a.target = ? ORDER BY a.vantage""",
        [target.address],
    ).fetchall()
    dots = [
        Dot(latitude=lat, longitude=lon, site=site, verdict=Verdict(verdict))
        for lat, lon, site, verdict in rows
        if lat is not None
    ]
    if not dots:
        raise UnknownName("no vantage point has a place to draw: import the results again with --probes FILE")
    return dots, len(rows) - len(dots)


def _changes(con: duckdb.DuckDBPyConnection, before: Side, after: Side, target: Target) -> tuple[list[Change], int]:
    """Return what became of those that reached a site on either side, and how many of them have no place."""
    from catchment.figures import Change  # noqa: PLC0415

    pairs = comparing.pair_targets(before[0].header.targets, after[0].header.targets)
    pair = next((pair for pair in pairs if pair[1] == target), None)
    if pair is None:
        raise UnknownName(f"the run before did not measure {target.address}: choose a target of both with --target")
    rows = con.execute(
        """SELECT v.latitude, v.longitude, b.site, a.site, coalesce(b.verdict, $absent), coalesce(a.verdict, $absent)
        FROM (SELECT * FROM assignments_before WHERE target = $before) AS b
        FULL JOIN (SELECT * FROM assignments_after WHERE target = $after) AS a USING (vantage)
        LEFT JOIN vantage_points AS v USING (vantage)
        WHERE b.site IS NOT NULL OR a.site IS NOT NULL ORDER BY vantage""",
        {"before": pair[0].address, "after": pair[1].address, "absent": Verdict.NO_RESULT.value},
    ).fetchall()
    changes = [
        Change(
            latitude=latitude, longitude=longitude, before=old, after=new,
            verdict_before=Verdict(verdict_before), verdict_after=Verdict(verdict_after),
        )
        for latitude, longitude, old, new, verdict_before, verdict_after in rows
    ]  # fmt: skip
    unplaced = sum(change.place is None for change in changes)
    if unplaced == len(changes):
        raise UnknownName("no vantage point that reached a site has a place to draw: import with --probes FILE")
    return changes, unplaced
