"""Campaigns: what one will cost; the demo's last words; where the sandbox is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from catchment.campaign.own_checks import SENT_BY_THIS_HOST
from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.terminal.cells import add_row, harmless, table


def show_plan(plan: Numbers) -> RenderableType:
    """Lay out what a campaign will ask for and cost, and which limits it keeps."""
    is_ours = plan["platform"] in SENT_BY_THIS_HOST
    counted = {"Vantage points": "probes", "Results": "results"} | ({} if is_ours else {"Credits": "credits"})
    asked = table("Measurement", "Target", *(f">{heading}" for heading in counted))
    for name, parts in _alike(plan["measurements"]):
        one = parts[0]
        most = "at most " if one["at_most"] else ""
        numbers = [_sum(parts, key) for key in counted.values()]
        add_row(asked, name, one["target"] or "", *(most + _count(number) for number in numbers))
    limits = table("Limit", ">Of this campaign", ">Allowed", "")
    for limit in plan["limits"]:
        verdict = Text("ok", style="green") if limit["ok"] else Text("too much", style="bold red")
        if limit["ok"] and limit["note"]:
            verdict.append(f"  {limit['note']}", style="dim")
        elif limit["over"] is not None:
            verdict.append(f" by {_count(limit['over'])}")
        add_row(limits, limit["name"], _count(limit["value"]), _count(limit["limit"]), verdict)
    head = [Text(f"{harmless(plan['campaign'])} on {plan['platform']}: {harmless(plan['summary'])}", style="bold")]
    if plan["schedule"]:
        head.append(Text(_schedule(plan["schedule"], plan["rounds"]), style="dim"))
    shown: list[RenderableType] = [*head, "", asked]
    if plan["limits"]:
        shown += ["", limits]
    exceeded = [limit for limit in plan["limits"] if not limit["ok"]]
    if exceeded:
        shown += ["", Text("Any one of these would keep the limit:", style="dim")]
        shown += [Text(f"{limit['name']}: {limit['advice']}") for limit in exceeded]
    return Group(*shown)


def _alike(measurements: Sequence[Numbers]) -> list[tuple[str, list[Numbers]]]:
    """Return the measurements by what they ask of whom: those that differ in their vantage points alone are one."""
    groups: dict[tuple[str, str | None], list[Numbers]] = {}
    for one in measurements:
        packets = one["packets"] and many(one["packets"], "packet")
        stream = "a stream of" if one["is_stream"] else None
        new = " ".join(filter(None, (stream, one["kind"], one["query"], one["protocol"], packets)))
        name = new if one["id"] is None else f"{one['id']} {new}".rstrip() + " (reused)"
        groups.setdefault((name, one["target"]), []).append(one)
    return [
        (name if len(parts) == 1 else f"{name}, in {len(parts)} parts", parts) for (name, _), parts in groups.items()
    ]


def _sum(parts: Sequence[Numbers], key: str) -> int | None:
    values = [one[key] for one in parts]
    return None if None in values else sum(values)


def _schedule(schedule: Numbers, rounds: int | None) -> str:
    if schedule["interval_s"] is None:
        return "each is asked once" + (f", at {schedule['from']}" if schedule["from"] else "")
    told = f"{'rounds' if rounds is None else many(rounds, 'round')}, one every {schedule['interval_s']} s"
    told += f", from {schedule['from']}" if schedule["from"] else ", from the start of the run"
    told += f" to {schedule['to']}" if schedule["to"] else ""
    return told + (f", around the change at {schedule['change_at']}" if schedule["change_at"] else "")


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
        Text(f"Results are pushed as they arrive at wss://{harmless(served['stream_server'])}/stream/."),
    )


def _count(number: float | None) -> str:
    return "–" if number is None else f"{number:,.1f}" if isinstance(number, float) else f"{number:,}"
