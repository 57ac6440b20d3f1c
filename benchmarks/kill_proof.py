"""What is held against each other in a case: what the campaign owes, what the API has, and what the run has."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.kill_bench import Bench
from benchmarks.kill_points import Point, Usual
from benchmarks.kill_shapes import INTERVAL_S
from benchmarks.proof import Tables, differences, doubled, line_of, question, stored_lines, tables_of
from catchment import store
from catchment.errors import CatchmentError
from catchment.platforms.sandbox import Sandbox
from catchment.platforms.sandbox.api.measurements import Measurement

_NEVER = float("inf")
_MOST_UNSEEN = 0.05  # of the results of a one-off: who comes last of 20 may come after the last look
_WAITED_FOR_S = 300  # after the end of a measurement; whoever is back later is nobody's loss
_AT_ONCE_S = 2
_SOON_S = 15  # what is asked for so shortly before its start begins later


@dataclass(kw_only=True)
class Outcome:
    """What came of a case: the points at which it was ended, in which stage of the run, and what was wrong then."""

    case: int
    shape: str
    number: signal.Signals = signal.SIGKILL
    points: list[tuple[Point, str]] = field(default_factory=list)
    at_posts: int = 0
    resumed: int = 0
    stops: int = 0
    clocks: int = 0
    refused: bool = False
    left_out: bool = False
    doubled: int = 0
    lacking: int = 0
    lost: int = 0
    twice: int = 0
    unseen: int = 0
    accepted: int = 0
    delivered: int = 0
    late: int = 0
    lost_answers: int = 0
    compared: bool = False
    troubles: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.case}{'i' if self.number is signal.SIGINT else ''}"

    @property
    def is_good(self) -> bool:
        return not (self.doubled or self.lacking or self.lost or self.twice or self.troubles)


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What a campaign has where nobody disturbs it."""

    usual: Usual
    asked: Counter[tuple[object, ...]]
    delivered: Counter[tuple[object, ...]]
    tables: Tables


def as_it_is(bench: Bench, usual: Usual) -> Undisturbed:
    """Return what a run that is whole has."""
    sandbox = bench.sandbox
    return Undisturbed(usual=usual, asked=_asked(sandbox), delivered=_by_question(sandbox), tables=tables_of(bench.run))


def describe(outcome: Outcome) -> str:
    """Return what came of a case as lines: where it was ended, and what was wrong."""
    points = "; ".join(f"{stage}: {point}" for point, stage in outcome.points)
    also = (
        f", stopped {outcome.stops} times, with {outcome.clocks} wrong clocks" if outcome.stops + outcome.clocks else ""
    )
    wrong = (
        f"  measurements doubled {outcome.doubled}, lacking {outcome.lacking}; results lost {outcome.lost}, "
        f"doubled {outcome.twice}"
    )
    return "\n".join(
        [f"case {outcome.name} ({outcome.shape}{also}): {points}", wrong, *(f"  {it}" for it in outcome.troubles)]
    )


def prove(bench: Bench, undisturbed: Undisturbed, outcome: Outcome) -> None:
    """Hold a run that is whole, or was refused as it should be, against what the API accepted and delivered."""
    sandbox, own = bench.sandbox, bench.sandbox.api.ledger.own()
    asked = _asked(sandbox)
    outcome.doubled = len(doubled(sandbox))
    outcome.left_out = not outcome.refused and bench.is_late and len(own) < bench.shape.measurements
    outcome.lacking = 0 if outcome.refused or outcome.left_out else (undisturbed.asked - asked).total()
    outcome.accepted, outcome.lost_answers = len(own), bench.losing.lost
    if asked - undisturbed.asked and not outcome.doubled:
        outcome.troubles.append("others are asked, or other things, than in the undisturbed run")
    outcome.troubles += [f"the sandbox failed: {failure!r}" for failure in sandbox.failures]
    if outcome.refused:
        return
    if not outcome.doubled:
        outcome.troubles += () if outcome.left_out else _not_asked(bench, own)
        outcome.troubles += _not_owed(bench, own)
    try:
        run = store.Run.open(bench.run)
    except CatchmentError as error:
        outcome.troubles.append(f"the run is not whole: {error}")
        return
    _prove_results(bench, run, own, outcome)
    left = [path.name for path in (bench.folder / "results").rglob("*") if path.name.startswith(".")]
    if left and not any(stage == "complete" for _, stage in outcome.points):  # nobody comes back to a whole run
        outcome.troubles.append(f"left behind: {', '.join(left)}")
    if outcome.unseen == 0 and outcome.lost == 0 and _by_question(sandbox) == undisturbed.delivered:
        outcome.compared = True
        outcome.troubles += differences(tables_of(bench.run), undisturbed.tables)


def _prove_results(bench: Bench, run: store.Run, own: list[Measurement], outcome: Outcome) -> None:
    """Count results that are lost, doubled and unseen."""
    ledger, path = bench.sandbox.api.ledger, bench.run
    tag = "" if run.accepted is None else run.accepted.tag
    outcome.troubles += [
        f"measurement {one.id} is of nobody that knows it" for one in own if tag not in one.definition.given["tags"]
    ]
    delivered = {line_of(result): _key(result) for one in own for result in ledger.results(one, now=_NEVER)}
    due = {line_of(result): _key(result) for one in own for result in ledger.results(one, now=_awaited(bench, one))}
    stored = stored_lines(path)
    outcome.delivered, outcome.unseen = len(delivered), len(delivered) - len(due)
    once = {one.id for one in own if one.is_oneoff}
    unseen = sum(number in once for line, (number, *_) in delivered.items() if line not in due)
    if unseen > _MOST_UNSEEN * len(delivered):
        outcome.troubles.append(f"of {len(delivered)} results {unseen} came after the last look")
    outcome.lost = sum(line not in stored for line in due)
    outcome.twice = sum(count - (line in delivered) for line, count in stored.items())
    observed = Counter(
        run.observations.select("measurement_id, CAST(split_part(vantage, ':', 2) AS BIGINT), measured_at").fetchall()
    )
    outcome.lost += len(set(due.values()) - set(observed))
    outcome.twice += sum(count - 1 for count in observed.values()) + len(set(observed) - set(delivered.values()))
    for one in own if bench.shape.slices > 1 else []:
        names = [file.name for file in store.raw_folder(path).glob(f"{one.id}-*.ndjson.gz")]
        late = sum("late" in name for name in names)
        outcome.late += late
        if one.stopped_at is None and len(names) - late < bench.shape.slices:
            outcome.troubles.append(f"measurement {one.id} has {len(names) - late} slices: {', '.join(names)}")


def _awaited(bench: Bench, one: Measurement) -> float:
    """Return by when results of a measurement have to arrive to be in the run.

    Nearly all of a one-off are enough, so that what comes after the last look is no loss. Of one in rounds all are due,
    but where somebody stopped it, those who were offline may be back too late.
    """
    if one.is_oneoff:
        return bench.tripwire.looked.get(one.id, -_NEVER)
    return _NEVER if one.stopped_at is None else one.stopped_at + _WAITED_FOR_S


def _not_asked(bench: Bench, own: list[Measurement]) -> Iterator[str]:
    """Yield where the API was asked for something else than is written down of the campaign's shape."""
    shape = bench.shape
    if len(own) != shape.measurements:
        yield f"{len(own)} measurements, not {shape.measurements}"
    times = Counter((one.definition.af, vantage) for one in own for vantage in one.participants)
    found = Counter(af for af, _ in times)
    if found != Counter(shape.asked):
        yield f"so many vantage points are asked in each family: {dict(found)}, not {dict(shape.asked)}"
    if {*times.values()} != {2}:
        yield "not everybody is asked both questions"


def _not_owed(bench: Bench, own: list[Measurement]) -> Iterator[str]:
    """Yield where the API has other results than is written down: fewer only where somebody stopped, or came late."""
    shape, ledger, planned = bench.shape, bench.sandbox.api.ledger, bench.planned
    ends = planned + shape.rounds * INTERVAL_S
    late = {one.id for one in own if shape.is_planned and one.created > planned - _SOON_S}
    if bench.tripwire.has_sought:  # who looks for what was lost may ask again so late that it begins at once
        late |= {one.id for one in own if one.created > one.schedule.start - _AT_ONCE_S}
    for one in own:
        if shape.is_planned and one.id not in late and one.schedule.start != planned:
            yield f"measurement {one.id} begins at {one.schedule.start:.0f}, not {planned:.0f}"
        if shape.is_planned and one.stopped_at is None and one.schedule.end != ends:
            yield f"measurement {one.id} ends at {one.schedule.end}, not {ends:.0f}"
    whole = [one for one in own if one.stopped_at is None and one.id not in late]
    for one in whole:
        reporting, results = len(ledger.reporting(one)), ledger.delivered(one, _NEVER)
        if results != reporting * shape.rounds:
            yield f"measurement {one.id} has {results} results, not {shape.rounds} of each of {reporting}"
    results = sum(ledger.delivered(one, _NEVER) for one in own)
    if len(whole) == shape.measurements and results != shape.results:
        yield f"{results} results, not {shape.results}"


def _key(result: dict[str, object]) -> tuple[int, int, float]:
    return result["msm_id"], result["prb_id"], float(result["timestamp"])  # type: ignore[return-value,arg-type]


def _asked(sandbox: Sandbox) -> Counter[tuple[object, ...]]:
    """Return how often the API has accepted each question to the same target from the same probes."""
    return Counter((*question(one), one.participants) for one in sandbox.api.ledger.own())


def _by_question(sandbox: Sandbox) -> Counter[tuple[object, ...]]:
    """Return how many results of each question the API delivers of each probe."""
    ledger = sandbox.api.ledger
    return Counter(
        (*question(one), vantage)
        for one in ledger.own()
        for vantage in ledger.reporting(one)
        for turns in one.turns(vantage, _NEVER)
        for _ in turns
    )
