"""Sum up a lab's run: in sentences, by what a walk through several services costs, by what IPv6 does as IPv4 does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from catchment.metrics import Numbers, rounded
from catchment.metrics.wording import many
from catchment.model import Target

SIDES = ("before", "after")
_BUSY_MS = 2.0  # a median; the programs of a lab themselves add some tenths

Timed = tuple[str, float | None, float | None]
"""What was asked by whom and when, in words; its median round trip and that of the cables, both in ms."""


def likeness(vantage_points: Sequence[Numbers], target: Numbers) -> Numbers | None:
    """Return how the outcomes of a target are like those of the same service's first one; None for that itself.

    `differing` are the vantage points with another site, verdict, identity or AS path on one of the sides;
    `rtt_differs_ms` is by how much the round trips of all others differ at most.
    """
    of_service = [row for row in vantage_points if row["service"] == target["service"]]
    first = next((row["target"] for row in of_service), target["target"])
    if first == target["target"]:
        return None
    others = {row["vantage"]: row for row in of_service if row["target"] == first}
    differing, differences = [], [0.0]
    for row in of_service:
        if row["target"] != target["target"]:
            continue
        other = others.get(row["vantage"])
        if other is None or any(_outcome(row[side]) != _outcome(other[side]) for side in SIDES):
            differing.append(row["vantage"])
            continue
        times = [(row[side], other[side]) for side in SIDES if row[side] is not None]
        differences += [abs(a["rtt_ms"] - b["rtt_ms"]) for a, b in times if a["rtt_ms"] is not None and b["rtt_ms"]]
    lacking = [
        vantage
        for vantage in others
        if vantage not in {row["vantage"] for row in of_service if row["target"] == target["target"]}
    ]
    return {"to": first, "differing": differing, "lacking": lacking, "rtt_differs_ms": rounded(max(differences))}


def _outcome(side: Numbers | None) -> tuple[object, ...] | None:
    if side is None:
        return None
    heard = None if side["site"] is not None else side["identity"]
    return side["site"], side["verdict"], heard, tuple(side["as_path"] or ())


def walk(vantage_points: Sequence[Numbers], targets: Sequence[Target]) -> list[Numbers] | None:
    """Return what asking all services in turn costs each vantage point: the sum of its medians; None of one service.

    Each address family is a walk of its own. The total is None where a step has no answer.
    """
    if len({target.service for target in targets}) < 2:
        return None
    steps: dict[tuple[str, int], list[Numbers]] = {}
    for row in vantage_points:
        steps.setdefault((row["vantage"], row["af"]), []).append(row)
    return [
        {"vantage": vantage, "place": rows[0]["place"], "af": af, **{side: _cost(rows, side) for side in SIDES}}
        for (vantage, af), rows in steps.items()
    ]


def _cost(rows: Sequence[Numbers], side: str) -> Numbers | None:
    if any(row[side] is None for row in rows):
        return None
    steps = [
        {"service": row["service"], "target": row["target"]} | {key: row[side][key] for key in ("site", "rtt_ms")}
        for row in rows
    ]
    times_ms = [step["rtt_ms"] for step in steps]
    return {"steps": steps, "total_ms": None if None in times_ms else rounded(sum(times_ms))}


def busy(times: Sequence[Timed]) -> list[str]:
    """Return what to say where round trips were longer than cables alone make them: the host adds what is its own."""
    known = [(was - should, name, was, should) for name, was, should in times if was is not None and should is not None]
    longer = [one for one in known if one[0] >= _BUSY_MS]
    if not longer:
        return []
    most_ms, name, was_ms, should_ms = max(longer)
    return [
        f"{len(longer)} of {many(len(known), 'median round trip')} took {_BUSY_MS:g} ms or more longer than the cables "
        f"do, {name} {was_ms:.1f} instead of {should_ms:.1f} ms (+{most_ms:.1f} ms): this host is busy: run it again "
        "when less runs beside it"
    ]


def happened(told: Numbers) -> Iterator[str]:
    """Yield sentences: what was done, how it went, and what came of it."""
    if told["comparison"] is None:
        yield "Nothing was changed."
        return
    done = [
        f"{change['later_s']:.3g} s later {change['text']}" if change["later_s"] > 0 else change["text"]
        for change in told["changes"]
    ]
    text = "; ".join(done)
    yield f"{text[:1].upper()}{text[1:]}."
    targets = told["comparison"]["targets"]
    for target in told["convergence"]["targets"] if told["convergence"] is not None else ():
        yield f"The stream of queries{_of(target, targets, ' to ')}: {target['summary']}"
    alike = {entry["target"] for entry in told["targets"] if entry["likeness"] and not entry["likeness"]["differing"]}
    names: dict[str, list[str]] = {}
    for target in targets:
        if target["target"] not in alike:
            names.setdefault(target["summary"], []).append(_of(target, targets))
    for summary, those in names.items():
        who = " and ".join(those)
        yield f"{who[:1].upper()}{who[1:]}: {summary}" if len(names) > 1 else summary
    for entry in told["targets"]:
        if entry["target"] in alike:
            yield f"The same {_of(entry, targets)}."
    costs = [[row[side]["total_ms"] for row in told["walk"] or () if row[side] is not None] for side in SIDES]
    if all(costs) and None not in (*costs[0], *costs[1]):
        yield (
            f"The whole walk costs the median vantage point {median(costs[0]):.1f} ms before and "
            f"{median(costs[1]):.1f} ms after."
        )


def _of(target: Numbers, among: Sequence[Numbers], before: str = "") -> str:
    """Name a target by what tells it from the others."""
    service = target["service"] if len({one["service"] for one in among}) > 1 else ""
    family = f"over IPv{target['af']}" if len({one["af"] for one in among}) > 1 else ""
    name = " ".join(filter(None, (service, family)))
    return f"{before if service else ' '}{name}" if before and name else name
