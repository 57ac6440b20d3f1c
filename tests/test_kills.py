"""Runs killed and interrupted anywhere: nothing is asked for twice, no result is lost or doubled (see benchmarks)."""

from __future__ import annotations

import gzip
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kill_bench import Bench, command, open_bench, small_world, stage_of
from benchmarks.kill_fronts import Stopwatch
from benchmarks.kill_points import Usual
from benchmarks.kill_proof import Outcome, as_it_is, describe, prove
from benchmarks.kills import compares_enough, run_all
from catchment import store
from catchment.platforms.sandbox.api.exchange import Request

KILLED, INTERRUPTED = range(13), range(3)


def test_runs_that_are_killed_or_interrupted_anywhere_double_and_lose_nothing() -> None:
    cases = [(case, signal.SIGKILL) for case in KILLED] + [(case, signal.SIGINT) for case in INTERRUPTED]
    outcomes = run_all(cases, seed=5, jobs=6)  # most of the time they wait
    assert [describe(outcome) for outcome in outcomes if not outcome.is_good] == []
    points = [(point.way, stage) for outcome in outcomes for point, stage in outcome.points]
    assert len(points) >= 16
    assert {"scheduling", "fetching"} <= {stage for _, stage in points}
    assert len({way for way, _ in points}) >= 4
    assert sum(outcome.resumed for outcome in outcomes) >= 10
    assert len({outcome.shape for outcome in outcomes}) == 5
    assert sum(outcome.late for outcome in outcomes) >= 3
    assert sum(outcome.stops for outcome in outcomes) >= 1
    assert sum(outcome.clocks for outcome in outcomes) >= 3
    assert compares_enough(outcomes)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Serve a sandbox that loses nothing, for one-off campaigns."""
    with open_bench(small_world(), "one-off", random.Random(1), lost=0.0) as opened:  # noqa: S311
        yield opened


def test_a_second_process_on_a_run_is_refused_with_one_line(bench: Bench) -> None:
    refused: dict[str, tuple[int, str]] = {}

    def begin_others(request: Request) -> None:
        if request.method == "POST" and not refused:
            for name in ("run", "resume"):
                refused[name] = bench.start(command(name)).wait()

    bench.tripwire.before_handling = begin_others
    assert bench.start(command("run")).wait()[0] == 0
    path = "results/kills/run"
    code, said = refused["run"]
    assert code == 1
    assert said.startswith(f"catchment: {path}: exists already: ")
    assert said.count("\n") == 1
    assert refused["resume"] == (
        1,
        f"catchment: {path}: another process is at work on it: wait until it is done, or end it\n",
    )
    assert len(bench.sandbox.api.ledger.own()) == 6  # 50 vantage points, 20 at once, two queries


def test_what_is_doubled_or_lost_does_not_go_unseen(bench: Bench) -> None:
    code, _ = bench.finish(bench.start(command("run")))
    assert code == 0
    undisturbed = as_it_is(bench, Usual(requests=0, posts=0, operations=0, seconds=0.0))
    untouched = Outcome(case=0, shape="one-off")
    prove(bench, undisturbed, untouched)
    assert untouched.is_good
    assert untouched.compared
    file = sorted(store.raw_folder(bench.run).glob("*.gz"))[0]
    _, second, *others = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzip.compress(b"".join([second, second, *others])))
    (bench.run.parent / ".run.1.partial").mkdir()
    first = bench.sandbox.api.ledger.own()[0]
    bench.sandbox.api.ledger.add([first])
    outcome = Outcome(case=0, shape="one-off")
    prove(bench, undisturbed, outcome)
    assert (outcome.doubled, outcome.lacking, outcome.lost, outcome.twice) == (1, 0, 1, 1)
    assert outcome.unseen == 20  # nobody fetched the one that was added
    assert outcome.troubles == ["of 118 results 20 came after the last look", "left behind: .run.1.partial"]


def test_time_stands_still_while_nobody_runs() -> None:
    watch = Stopwatch()
    assert watch() == watch() == 0.0
    watch.go()
    while watch() == 0.0:
        pass
    watch.stop()
    assert watch() == watch() > 0.0


@pytest.mark.parametrize(
    ("file", "content", "stage"),
    [
        (None, "", "begun"),
        ("measurements.json", '{"stage": "scheduling"}', "scheduling"),
        ("measurements.json", '{"stage": "scheduled"}', "waiting"),
        ("measurements.json", '{"stage": "collected"}', "deriving"),
        ("metrics.json", "{}", "complete"),
    ],
)
def test_the_stage_of_a_run_is_read_from_its_files(tmp_path: Path, file: str | None, content: str, stage: str) -> None:
    assert stage_of(tmp_path / "none") == "no folder"
    (tmp_path / "raw").mkdir()
    if file is not None:
        (tmp_path / file).write_text(content)
    assert stage_of(tmp_path) == stage
