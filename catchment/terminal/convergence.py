"""How a change took hold: who answered whom before, on the way, and at last."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.courses import Fate
from catchment.metrics.wording import seconds
from catchment.terminal.cells import Name, clip, harmless, ms, target_title
from catchment.terminal.columns import Beside
from catchment.terminal.courses import few, gap, settled, who

_LONGEST = 500  # of a summary, in which identities may have any length
_QUOTED = 40
_MOST_LISTED = 25
_MOST_STEPS = 4
_NOTHING = "–"


def show_convergence(numbers: Numbers) -> RenderableType:
    """Lay out for each target what became of the vantage points around the change; who noticed nothing is counted."""
    parts: list[RenderableType] = [
        Text(f"{harmless(numbers['run'])}  change at {harmless(numbers['change_at'])}", style="bold")
    ]
    for target in numbers["targets"]:
        parts += ["", target_title(target), Text(clip(target["summary"], _LONGEST), style="bold")]
        touched = [one for one in target["vantage_points"] if _is_touched(one)]
        touched.sort(key=lambda one: (-one["lost"], -(one["converged_after_s"] or 0)))
        if touched:
            parts.append(_table(touched[:_MOST_LISTED]))
        if len(touched) > _MOST_LISTED:
            parts.append(Text(f"… {len(touched) - _MOST_LISTED:,} more: --json lists them all", style="dim"))
        if touched and target["resolution_s"]:
            parts.append(Text(_foot(touched, target["resolution_s"]), style="dim"))
    return Group(*parts)


def _foot(touched: Sequence[Numbers], resolution_s: float) -> str:
    is_blind = any(settled(one).startswith("≤") for one in touched[:_MOST_LISTED])
    unasked = "; ≤: by the first query, and nothing was asked before" if is_blind else ""
    return (
        "Seconds from the change to when the query was sent (gap: without an answer); no more exact than the spacing "
        f"of the queries, {seconds(resolution_s)} s{unasked}."
    )


def _is_touched(one: Numbers) -> bool:
    return bool(one["fate"] != Fate.UNAFFECTED or one["lost"] or one["rtt_changed_after_s"] is not None)


def _table(listed: Sequence[Numbers]) -> Beside:
    return Beside(
        [
            ("Vantage point", [clip(one["vantage"], _QUOTED) for one in listed]),
            ("Fate", [Name(one["fate"]) for one in listed]),
            ("Before", [_all(one["before"]) for one in listed]),
            ("On the way", [few(_steps(one), _MOST_STEPS) or _NOTHING for one in listed]),
            ("At last", [_all(one["after"]) for one in listed]),
        ],
        [
            (">Settled s", [settled(one) or _NOTHING for one in listed]),
            (">Lost", [str(one["lost"]) for one in listed]),
            (">of", [str(one["queries"]) for one in listed]),
            (">Gap s", [gap(one) or _NOTHING for one in listed]),
        ],
    )


def _steps(one: Numbers) -> list[str]:
    """Return who answered on the way and when, then what was odd of who answered at last: other ways, and strays."""
    steps = [f"{who(step)} {seconds(step['first_s'])}–{seconds(step['last_s'])}" for step in one["on_the_way"]]
    if one["rtt_changed_after_s"] is not None:
        rtts = f"{ms(one['rtt_ms_before'])} → {ms(one['rtt_ms_after'])} ms"
        steps.append(f"RTT {rtts} from {seconds(one['rtt_changed_after_s'])} on")
    return steps + [f"once {who(stray)} {seconds(stray['first_s'])}" for stray in one["strays"]]


def _all(said: Sequence[Numbers]) -> str:
    return " + ".join(who(one) for one in said[:_MOST_STEPS]) or _NOTHING
