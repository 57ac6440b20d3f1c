"""The account at RIPE Atlas: what became of a run's measurements, and the credits that are left."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.terminal.cells import add_row, harmless, table

_DAY_S = 86_400
_HAPPENED = {
    "stopped": "stopped",
    "over": "was over already",
    "gone": "is not there any more",
    "not stopped": "could not be stopped",
}


def show_stopped(stopped: Numbers) -> RenderableType:
    """Lay out what happened to each measurement of a run, and what to do next."""
    rows = table(">Measurement", "")
    for one in stopped["measurements"]:
        status = "" if one["status"] is None else f" ({one['status']})"
        add_row(rows, str(one["id"]), _HAPPENED.get(one["what"], one["what"]) + status)
    parts: list[RenderableType] = [Text(harmless(stopped["run"]), style="bold")]
    parts += [rows] if stopped["measurements"] else []
    parts += [Text(harmless(note)) for note in stopped["notes"]]
    if stopped["next"] is not None:
        parts.append(Text(f"To fetch what was measured: {harmless(stopped['next'])}"))
    return Group(*parts)


def show_account(account: Numbers) -> RenderableType:
    """Lay out the credits of an account."""
    rows = table("", ">Credits")
    for name, value in (
        ("Balance", account["balance"]),
        ("At most in a day", account["credits_per_day"]),
        ("Income in a day, estimated", account["estimated_daily_income"]),
        ("Expenditure in a day, estimated", account["estimated_daily_expenditure"]),
        ("Spent in the past day", account["past_day"]["credits"]),
    ):
        add_row(rows, name, "–" if value is None else f"{value:,}")
    parts: list[RenderableType] = [_heading(account), rows]
    if account["past_day"]["results"] is not None:
        parts.append(Text(f"Results in the past day: {account['past_day']['results']:,}."))
    if account["runs_out_in_s"] is not None:
        when = "" if account["runs_out_at"] is None else f", at {harmless(account['runs_out_at'])}"
        days = many(round(account["runs_out_in_s"] / _DAY_S), "day")
        parts.append(Text(f"At this rate they run out in about {days}{when}."))
    return Group(*parts)


def _heading(account: Numbers) -> Text:
    as_of = "" if account["as_of"] is None else f", as of {harmless(account['as_of'])}"
    return Text(f"Credits at {harmless(account['server'])}{as_of}", style="bold")
