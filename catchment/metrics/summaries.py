"""How a target went through a change of routes, in a few sentences."""

from __future__ import annotations

from catchment.metrics.values import Numbers
from catchment.metrics.wording import many, seconds


def summary(found: Numbers) -> str:
    """Say in a few sentences how a target went through the change."""
    totals, times = found["totals"], found["converged_after_s"]
    asked = totals["vantage_points"] - totals["not_asked"]
    if not asked:
        return "No DNS query was sent after the change: nobody knows how it went."
    told = [
        f"{totals[key]} {words}"
        for key, words in (
            ("changed", "changed site"),
            ("caught", "ended with somebody else"),
            ("found", "found a site at last"),
            ("returned", "left and came back"),
            ("never_settled", "never settled"),
            ("silent", "got no answer any more"),
            ("never_answered", "never got an answer"),
            ("unaffected", "stayed where they were"),
            ("too_few", "had too few queries to tell"),
        )
        if totals[key]
    ]
    said = f"Of {many(asked, 'vantage point')} {', '.join(told)}."
    late = found["asked_late"]
    is_blind = late["vantage_points"] == asked and times["at_once"] == times["vantage_points"] > 0
    if is_blind:
        said += (
            f" Who settled had done so by the first query after the change, {_between(late)} s after it: nothing was "
            "asked until then."
        )
    elif times["vantage_points"]:
        said += f" {_settled(times, found['resolution_s'])}"
    if late["vantage_points"] and not is_blind:
        said += f" {_unasked(late, asked)}"
    if found["rerouted"]["vantage_points"]:
        said += f" {_other_ways(found['rerouted'])}"
    if not found["lost"]:
        return f"{said} None of {many(found['queries'], 'query', 'queries')} was lost."
    share = 100 * found["lost"] / found["queries"]
    worst = found["loss_window"]
    lasted = f"{seconds(worst['seconds'])} s at {worst['vantage']}"
    until = f"at least {lasted}, and no answer came any more" if worst["open"] else lasted
    return (
        f"{said} {found['lost']:,} of {many(found['queries'], 'query was', 'queries were')} lost ({share:.1f} %), "
        f"the longest gap {until}."
    )


def _settled(times: Numbers, resolution_s: float | None) -> str:
    """Say within what time those settled who had to; the first query after the change tells no more than its time."""
    every = f"a query every {seconds(resolution_s)} s" if resolution_s else "a single query"
    if times["at_once"] == times["vantage_points"]:
        return f"Who settled had done so by the first query after the change ({every})."
    half, whole = seconds(times["p50"]), seconds(times["max"])
    return f"Who settled had done so within {whole} s of the change (half within {half} s, with {every})."


def _unasked(late: Numbers, asked: int) -> str:
    """Say who was not asked for how long after the change."""
    if late["vantage_points"] == asked:
        return f"Nothing was asked until {_between(late)} s after the change."
    was = "was" if late["vantage_points"] == 1 else "were"
    return f"{many(late['vantage_points'], 'vantage point')} {was} not asked until {_between(late)} s after the change."


def _between(late: Numbers) -> str:
    first, last = seconds(late["min"]), seconds(late["max"])
    return first if first == last else f"{first} to {last}"


def _other_ways(rerouted: Numbers) -> str:
    """Say who stayed at its site and is answered in another time."""
    count, before, after = (rerouted[key] for key in ("vantage_points", "rtt_ms_before", "rtt_ms_after"))
    return (
        f"Of those that stayed {count:,} {'takes' if count == 1 else 'take'} another way: the median RTT went from "
        f"{before:.1f} to {after:.1f} ms within {seconds(rerouted['max'])} s of the change."
    )
