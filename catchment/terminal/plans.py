"""Campaigns: what one will cost; the demo's last words; where the sandbox is."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from catchment.metrics import Numbers
from catchment.terminal.cells import add_row, harmless, table

_NOT_EVERYWHERE = 6  # the address family that does not work at every vantage point


def show_plan(plan: Numbers) -> RenderableType:
    """Lay out what a campaign will ask for and cost, and which limits it keeps."""
    asked = table("Measurement", "Target", ">Results", ">Credits")
    for one in plan["measurements"]:
        new = " ".join(filter(None, (one["kind"], one["query"])))
        name = new if one["id"] is None else f"{one['id']} (reused)"
        most = "at most " if one["af"] == _NOT_EVERYWHERE and one["results"] else ""
        add_row(asked, name, one["target"] or "", most + _count(one["results"]), most + _count(one["credits"]))
    limits = table("Limit", ">Of this campaign", ">Allowed", "")
    for limit in plan["limits"]:
        verdict = Text("ok", style="green") if limit["ok"] else Text("too much", style="bold red")
        add_row(limits, limit["name"], _count(limit["value"]), _count(limit["limit"]), verdict)
    head = Text(f"{harmless(plan['campaign'])} on {plan['platform']}: {harmless(plan['summary'])}", style="bold")
    return Group(head, "", asked, "", limits)


def show_next(found: Numbers) -> RenderableType:
    """Name the files of a demo and the commands to try next."""
    files, commands = table("File", ""), table("Command", "")
    for entry in found["files"]:
        add_row(files, entry["file"], Text(harmless(entry["what"]), style="dim"))
    for entry in found["next"]:
        add_row(commands, entry["command"], Text(harmless(entry["what"]), style="dim"))
    return Group(files, "", commands)


def show_served(served: Numbers) -> RenderableType:
    """Say how clients reach the sandbox."""
    lines = [f"export {name}={value}" for name, value in served["environment"].items()]
    return Group(
        Text(
            f"The API of RIPE Atlas is at https://{harmless(served['server'])}/api/v2/ until you press Ctrl-C.",
            style="bold",
        ),
        Text(f"Its time runs {served['speed']:g} times as fast as ours. To point catchment at it:"),
        *(Text(f"  {harmless(line)}") for line in lines),
    )


def _count(number: float | None) -> str:
    return "–" if number is None else f"{number:,.1f}" if isinstance(number, float) else f"{number:,}"
