"""The proof: what a run has, held against what the API accepted and delivered."""

from __future__ import annotations

import gzip
import json
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kill_bench import Bench
from benchmarks.kill_points import Point, Usual
from catchment import store
from catchment.errors import CatchmentError
from catchment.platforms.sandbox import Sandbox

STAGES = ("no folder", "begun", "scheduling", "waiting", "fetching", "deriving", "complete")

_NEVER = float("inf")
_TIMES = {"measured_at", "window_start", "window_end", "raw_record", "raw_file", "measurement_id"}


@dataclass(kw_only=True)
class Outcome:
    """What came of a case: the points at which it was ended, in which stage of the run, and what was wrong then."""

    case: int
    shape: str
    number: signal.Signals = signal.SIGKILL
    points: list[tuple[Point, str]] = field(default_factory=list)
    at_posts: int = 0
    resumed: int = 0
    doubled: int = 0
    lacking: int = 0
    lost: int = 0
    twice: int = 0
    unseen: int = 0
    accepted: int = 0
    delivered: int = 0
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
    accepted: Counter[Any]
    delivered: Counter[Any]
    tables: list[Any]


def as_it_is(bench: Bench, usual: Usual) -> Undisturbed:
    """Return what a run that is whole has."""
    sandbox = bench.sandbox
    delivered = _by_question(sandbox)
    return Undisturbed(usual=usual, accepted=_accepted(sandbox), delivered=delivered, tables=_tables(bench.run))


def stage_of(run: Path) -> str:
    """Return how far a run has come, by its files (see store)."""
    if not run.exists():
        return "no folder"
    if store.is_complete(run):
        return "complete"
    try:
        stage = json.loads((run / "measurements.json").read_text(encoding="utf-8"))["stage"]
    except FileNotFoundError:
        return "begun"
    if stage == "scheduled":
        return "fetching" if any(store.raw_folder(run).iterdir()) else "waiting"
    return "scheduling" if stage == "scheduling" else "deriving"


def describe(outcome: Outcome) -> str:
    """Return what came of a case as lines: where it was ended, and what was wrong."""
    points = "; ".join(f"{stage}: {point}" for point, stage in outcome.points)
    wrong = (
        f"  measurements doubled {outcome.doubled}, lacking {outcome.lacking}; results lost {outcome.lost}, "
        f"doubled {outcome.twice}"
    )
    return "\n".join(
        [f"case {outcome.name} ({outcome.shape}): {points}", wrong, *(f"  {it}" for it in outcome.troubles)]
    )


def prove(bench: Bench, undisturbed: Undisturbed, outcome: Outcome) -> None:
    """Hold a run that is whole against what the API accepted and delivered."""
    sandbox, ledger = bench.sandbox, bench.sandbox.api.ledger
    accepted, own = _accepted(sandbox), ledger.own()
    outcome.doubled = (accepted - undisturbed.accepted).total()
    outcome.lacking = (undisturbed.accepted - accepted).total()
    outcome.accepted, outcome.lost_answers = len(own), bench.losing.lost
    outcome.troubles += [f"the sandbox failed: {failure!r}" for failure in sandbox.failures]
    try:
        run = store.Run.open(bench.run)
    except CatchmentError as error:
        outcome.troubles.append(f"the run is not whole: {error}")
        return
    tag = "" if run.accepted is None else run.accepted.tag
    outcome.troubles += [
        f"measurement {one.id} is of nobody that knows it" for one in own if tag not in one.definition.given["tags"]
    ]
    delivered = {_key(result): result for one in own for result in ledger.results(one, now=_NEVER)}
    # Of a one-off, nearly all are enough: what comes after the last look is nobody's loss.
    looked = bench.tripwire.looked
    by = {one.id: looked.get(one.id, -_NEVER) if one.is_oneoff else _NEVER for one in own}
    due = {_key(result) for one in own for result in ledger.results(one, now=by[one.id])}
    outcome.delivered = len(delivered)
    outcome.unseen = len(delivered) - len(due)
    files = sorted(store.raw_folder(bench.run).glob("*.gz"))
    stored = [json.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    raw = Counter(map(_key, stored))
    observed = Counter(
        run.observations.select("measurement_id, CAST(split_part(vantage, ':', 2) AS BIGINT), measured_at").fetchall()
    )
    for found in (raw, observed):
        outcome.lost += len(due - set(found))
        outcome.twice += sum(count - 1 for count in found.values()) + len(set(found) - set(delivered))
    if any(result != delivered.get(_key(result)) for result in stored):
        outcome.troubles.append("a result is not what was delivered")
    left = [path.name for path in (bench.folder / "results").rglob("*") if path.name.startswith(".")]
    if left and not any(stage == "complete" for _, stage in outcome.points):  # nobody comes back to a whole run
        outcome.troubles.append(f"left behind: {', '.join(left)}")
    if len(due) == len(delivered) and _by_question(sandbox) == undisturbed.delivered:
        outcome.compared = True
        if _tables(bench.run) != undisturbed.tables:
            outcome.troubles.append("the tables are not those of the undisturbed run")


def _key(result: dict[str, Any]) -> tuple[int, int, float]:
    return result["msm_id"], result["prb_id"], float(result["timestamp"])


def _accepted(sandbox: Sandbox) -> Counter[Any]:
    """Return how often the API has accepted each question to the same target from the same probes."""
    return Counter((one.definition.kind, one.definition.address, one.participants) for one in sandbox.api.ledger.own())


def _by_question(sandbox: Sandbox) -> Counter[Any]:
    """Return how many results of each question the API delivers of each probe."""
    ledger = sandbox.api.ledger
    return Counter(
        (one.definition.kind, one.definition.address, result["prb_id"])
        for one in ledger.own()
        for result in ledger.results(one, now=_NEVER)
    )


def _tables(path: Path) -> list[Any]:
    """Return the derived rows, without ids and times."""
    run = store.Run.open(path)
    rows: list[Any] = []
    for relation in (run.observations, run.assignments):
        columns = ", ".join(f'"{name}"' for name in relation.columns if name not in _TIMES)
        rows += [repr(row) for row in relation.select(columns).order("ALL").fetchall()]
    return rows
