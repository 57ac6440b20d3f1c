"""What can go wrong in a sandbox, on wish."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from catchment.terminal.cells import add_row, table


def show_faults(found: dict[str, Any]) -> RenderableType:
    """List the faults: names, each with what goes wrong."""
    faults = table("Fault", "What goes wrong")
    for fault in found["faults"]:
        add_row(faults, fault["name"], Text(fault["about"], style="dim"))
    return faults
