"""The measurements of a run: what was asked of whom, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.terminal.cells import add_row, harmless, table

_MOST_TOLD = 6
_USUAL = {"Scheduled", "Ongoing", "Stopped"}  # it lags behind the results
_STAGES = {
    "begun": "nothing was asked for yet",
    "scheduling": "measurements are being asked for",
    "scheduled": "measurements are under way, or their results not all fetched",
    "collected": "all results are here; its tables are not built yet",
    "named": "all results are here; its tables are not built yet",
}


def show_unfinished(found: Numbers) -> RenderableType:
    """Lay out how far a run is that is not whole."""
    parts: list[RenderableType] = [
        Text(f"{harmless(found['run'])}: not whole: {_STAGES[found['stage']]}", style="bold")
    ]
    if found["unsure"]:
        lost = ", ".join(map(str, found["unsure"]))
        parts.append(Text(f"Asked for, and not known what came of it: part {harmless(lost)}."))
    if found["measurements"]:
        parts += ["", list_measurements(found["measurements"])]
    if found["trouble"] is not None:
        parts += ["", Text(f"Its present status is not known: {harmless(found['trouble'])}")]
    return Group(*parts, "", Text(f"To go on: {harmless(found['next'])}"))


def tell_measurements(measurements: Sequence[Numbers]) -> list[Text]:
    """Say in a line of each measurement what came of it; of many, of the first ones."""
    lines = []
    for one in measurements[:_MOST_TOLD]:
        asks = " ".join(filter(None, (one["kind"], one["query"])))
        of = "" if one["asked"] is None else f" of {one['asked']:,}"
        came = "" if one["results"] is None else f": {one['participants']:,}{of} answered, {one['results']:,} results"
        status = "reused" if one["reused"] else None if one["status"] in _USUAL else one["status"]
        said = "" if status is None else f" ({harmless(status)})"
        lines.append(
            Text(f"Measurement {one['id']}, {harmless(asks)} {harmless(one['target'])}{came}{said}", style="dim")
        )
    spent = [one["credits"] for one in measurements]
    if any(spent) and None not in spent:
        lines.append(Text(f"Credits, by the results that came: {sum(spent):,}", style="dim"))
    if len(measurements) > _MOST_TOLD:
        lines.append(Text(f"and {len(measurements) - _MOST_TOLD} more measurements: --json has them", style="dim"))
    return lines


def list_measurements(measurements: Sequence[Numbers]) -> Table:
    """Lay out measurements, one a row."""
    rows = table("Measurement", "Asks", "Target", ">Asked", ">Answered", ">Results", "From", "To", "Status")
    for one in measurements:
        asks = " ".join(filter(None, (one["kind"], one["query"])))
        if one["interval_s"] is not None:
            asks += f" every {one['interval_s']} s"
        counts = ("–" if one[name] is None else f"{one[name]:,}" for name in ("asked", "participants", "results"))
        status = "reused" if one["reused"] else one["status"] or "–"
        add_row(rows, str(one["id"]), asks, one["target"], *counts, one["start"] or "", one["stop"] or "", status)
    return rows
