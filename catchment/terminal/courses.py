"""How a vantage point went through a change, in few words: who answered on the way, when it settled, its gap."""

from __future__ import annotations

from collections.abc import Sequence

from catchment.metrics import Numbers
from catchment.metrics.courses import Fate
from catchment.metrics.wording import seconds
from catchment.terminal.cells import clip

_QUOTED = 40
_NEVER = (Fate.NEVER_SETTLED, Fate.SILENT)


def who(said: Numbers) -> str:
    """Name the site that an answer is from, or quote what the answer says where it names none."""
    return f"“{clip(said['text'], _QUOTED)}”" if said["site"] is None else clip(said["site"], _QUOTED)


def few(texts: Sequence[str], most: int) -> str:
    """List so many texts at the most, and count the others."""
    more = f", {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def settled(course: Numbers) -> str:
    """Say how many seconds after the first change answers were as they are at last; nothing of who did not notice.

    Of who stayed, and is answered in another time since, it is how long that took. Who was not asked before may have
    settled long before.
    """
    if course["fate"] in _NEVER:
        return "never"
    is_unaffected = course["fate"] == Fate.UNAFFECTED
    after_s = course["rtt_changed_after_s" if is_unaffected else "converged_after_s"]
    if after_s is None:
        return ""
    if course.get("asked_late") and after_s <= course["first_query_s"]:
        return f"≤ {seconds(after_s)}"
    return "first query" if course["settled_at_once"] else seconds(after_s)


def gap(course: Numbers) -> str:
    """Say for how many seconds on end nothing was answered; nothing where no query was lost."""
    if course["loss_window_s"] is None:
        return ""
    return f"{'≥ ' if course['loss_window_open'] else ''}{seconds(course['loss_window_s'])}"
