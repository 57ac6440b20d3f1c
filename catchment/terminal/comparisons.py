"""Two runs: who moved."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.terminal.cells import add_row, clip, harmless, ms, percent, table, target_title

_LONGEST = 500  # of a summary, in which sites may have names of any length


def show_comparison(numbers: Numbers) -> RenderableType:
    """Lay out what moved between two runs."""
    parts: list[RenderableType] = [
        Text(f"before  {harmless(numbers['before'])}"),
        Text(f"after   {harmless(numbers['after'])}"),
        Text("both assigned with " + ", ".join(f"{k} {v}" for k, v in numbers["service_digest"].items()), style="dim"),
    ]
    for target in numbers["targets"]:
        parts += ["", target_title(target), Text(clip(target["summary"], _LONGEST), style="bold")]
        if target["moves"]:
            parts.append(_moves_table(target))
        if not target["paired"]:
            parts += _excluded(target)
            continue
        parts.append(_balance_table(target, numbers["level"]))
        if "groups" in target:
            parts.append(_moved_groups_table(target))
        unmoved = target["rtt_ms"]["unmoved"]
        parts.append(
            Text(
                f"Total variation {percent(target['total_variation'])}. Of those that moved, "
                f"{target['moved_flapping']} flap within a run. Those that stayed: median RTT "
                f"{ms(unmoved['before'])} → {ms(unmoved['after'])} ms."
            )
        )
        parts += _excluded(target)
    return Group(*parts)


def _excluded(target: Numbers) -> list[Text]:
    reasons = ", ".join(f"{harmless(reason)} {count}" for reason, count in target["excluded"].items())
    return [Text(f"Not compared: {reasons}.")] if reasons else []


def _moves_table(target: Numbers) -> Table:
    rows = table("From", "To", ">Vantage points", ">RTT before", ">after ms")
    for move in target["moves"]:
        add_row(
            rows,
            move["from"],
            move["to"],
            str(move["vantage_points"]),
            ms(move["rtt_ms_before"]),
            ms(move["rtt_ms_after"]),
        )
    return rows


def _balance_table(target: Numbers, level: str) -> Table:
    rows = table(level.capitalize(), ">Before", ">After", ">Left", ">Joined")
    for site in target["sites"]:
        add_row(rows, site["site"], *(str(site[key]) for key in ("before", "after", "left", "joined")))
    return rows


def _moved_groups_table(target: Numbers) -> Table:
    rows = table(target["by"].capitalize(), ">Compared", ">Moved", ">Share", ">RTT before", ">after ms")
    for group in target["groups"]:
        add_row(
            rows,
            "unknown" if group["key"] is None else group["key"],
            str(group["paired"]),
            str(group["moved"]),
            percent(group["moved_share"]),
            ms(group["rtt_ms"]["before"]),
            ms(group["rtt_ms"]["after"]),
        )
    return rows
