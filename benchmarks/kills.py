"""Kill runs anywhere, go on with them, and hold what they have against what the API accepted and delivered.

    python -m benchmarks.kills [CASES] [--seed SEED] [--jobs JOBS] [--only CASE]

Each case is a campaign in processes of its own (`catchment run`, then `catchment resume` as its messages say), against
a sandbox that this process serves: new measurements stand in its lists late, of one POST in four the answer, or the
whole of it, is lost, and in the longest campaign the results of some come late. SIGKILL comes at a request, amid an
answer, at a file operation, amid a file, or at any time; often the process that goes on is killed as well, the host's
clock is wrong and steps on the way, or the run is stopped before it is gone on with. In the end the API must hold what
the campaign asks for, once, and the run every result, once. Some more runs are interrupted (Ctrl-C) instead. Exit code
1 where anything is doubled or lost, or where that was not to be seen.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from benchmarks.kill_bench import LATE, RUN, STAGES, Bench, command, open_bench, small_world, stage_of
from benchmarks.kill_children import WrongClock
from benchmarks.kill_points import KILLED, Usual, Way, draw_point
from benchmarks.kill_proof import Outcome, Undisturbed, as_it_is, describe, prove
from benchmarks.kill_shapes import SHAPES
from catchment import store
from catchment.platforms.sandbox import FAULTS
from catchment.platforms.topology import Topology

_KILLED_AGAIN, _KILLS = 0.4, 4
_INTERRUPTS = 5  # one run is interrupted for so many that are killed
_PAUSES_S = (0.0, 0.0, 0.0, 20.0, 60.0, 100.0, 600.0, 3000.0)  # between an end and going on, in the sandbox's time
_STOPPED = 0.15  # of the runs that were ended, before anybody goes on
_WRONG_CLOCK, _WRONG_BY_S, _STEP_S = 0.3, 3600.0, 120.0  # of the processes; at first, and on the way
_TRIES = 15


def measure_undisturbed(world: Topology, shape: str) -> Undisturbed:
    """Measure a shape of campaign where nothing goes wrong."""
    with open_bench(world, shape, random.Random(shape), lost=0.0) as bench:
        counted = bench.folder / "counted"
        begun = time.monotonic()
        code, said = bench.finish(bench.start(command("run"), counted=counted))
        if code != 0:
            raise SystemExit(f"the undisturbed run ended with {code}: {' | '.join(said[-3:])}")
        usual = Usual(
            requests=bench.tripwire.requests,
            posts=bench.tripwire.posts,
            operations=int(counted.read_text()),
            seconds=time.monotonic() - begun,
        )
        found = as_it_is(bench, usual)
        outcome = Outcome(case=0, shape=shape)
        prove(bench, found, outcome)
        if not outcome.is_good:
            raise SystemExit(f"the undisturbed run is wrong: {describe(outcome)}")
        if bench.shape.slices > 1 and outcome.late == 0:
            raise SystemExit("nothing comes late in the undisturbed run: its slices prove too little")
        return found


def run_case(
    world: Topology, measured: Mapping[str, Future[Undisturbed]], seed: int, case: int, *, number: signal.Signals
) -> Outcome:
    """End a run at a point and go on, until it is whole; then prove that nothing is doubled or lost."""
    begun = time.monotonic()
    draw = random.Random(f"{seed} {case} {number.name}")
    shape = draw.choice(list(SHAPES))
    outcome = Outcome(case=case, shape=shape, number=number)
    undisturbed = measured[shape].result()
    for _ in range(_TRIES):
        with open_bench(world, shape, draw) as bench:
            outcome = Outcome(case=case, shape=shape, number=number)
            _live_through(bench, undisturbed.usual, draw, outcome, number)
            prove(bench, undisturbed, outcome)
        if outcome.points or not outcome.is_good:  # a point that was not reached is none: the next is drawn
            break
    outcome.seconds = time.monotonic() - begun
    return outcome


def _live_through(bench: Bench, usual: Usual, draw: random.Random, outcome: Outcome, number: signal.Signals) -> None:
    """Do as the messages say, until a command ends well."""
    words: list[str] | None = command("run")
    for _ in range(_TRIES):
        assert words is not None
        again = draw.random() < _KILLED_AGAIN and len(outcome.points) < _KILLS
        point = draw_point(draw, usual, number=number) if again or not outcome.points else None
        clock = _wrong_clock(draw, usual)
        outcome.clocks += clock is not None
        code, said = bench.finish(bench.start(words, point, clock=clock))
        if code == 0:
            return
        if point is not None and (code in KILLED or (code == 130 and number is signal.SIGINT)):
            outcome.points.append((point, stage_of(bench.run)))
            outcome.at_posts += bench.tripwire.is_at_post
            bench.sandbox.clock.advance(draw.choice(_PAUSES_S))
            if draw.random() < _STOPPED and bench.run.exists():
                outcome.stops += 1
                outcome.troubles += _stop(bench)
                bench.sandbox.clock.advance(draw.choice(_PAUSES_S))
        elif code in KILLED:
            outcome.troubles.append(f"hung: {' | '.join(said[-2:])}")
            return
        elif _is_refused(bench, said):
            outcome.refused = True
            return
        if code == 130:
            outcome.troubles += _not_one_line(bench.run, said)
        if code not in KILLED and (words := _as_told(bench.run, said)) is not None and not words:
            return
        if code in KILLED:
            words = command("resume") if bench.run.exists() else command("run")
        if words is None:
            outcome.troubles.append(f"ended with {code} and no way to go on: {' | '.join(said[-2:])}")
            return
        outcome.resumed += words[0] == "resume"
    outcome.troubles.append(f"not whole after {_TRIES} tries: {' | '.join(said[-2:])}")


def _wrong_clock(draw: random.Random, usual: Usual) -> WrongClock | None:
    first_s, step_s = draw.uniform(-_WRONG_BY_S, _WRONG_BY_S), draw.uniform(-_STEP_S, _STEP_S)
    after_s, is_wrong = draw.uniform(0, usual.seconds), draw.random() < _WRONG_CLOCK
    return WrongClock(first_s=first_s, then_s=first_s + step_s, after_s=after_s) if is_wrong else None


def _stop(bench: Bench) -> Iterator[str]:
    """Stop the run's measurements; yield what is wrong with that. What stands at the API must not go on."""
    code, said = bench.finish(bench.start(command("stop")))
    if code != 0:
        yield f"stop ended with {code}: {' | '.join(said[-2:])}"
    now = bench.sandbox.clock.now()
    for one in bench.sandbox.api.ledger.own():
        if one.over_at is None or one.over_at > now:
            yield f"measurement {one.id} goes on after it was stopped"


def _is_refused(bench: Bench, said: Sequence[str]) -> bool:
    """Tell whether a campaign is refused as it should be: its own start has passed, and nothing stands at the API."""
    line = said[-1] if said else ""
    return (
        bench.shape.is_planned
        and ("which is past" in line or "no whole round is left" in line)
        and bench.sandbox.clock.now() > bench.planned
        and not bench.sandbox.api.ledger.own()
    )


def _as_told(run: Path, said: Sequence[str]) -> list[str] | None:
    """Return the command that the last line names, nothing where all is done, None where nobody knows what to do."""
    line = said[-1] if said else ""
    if not line.startswith("catchment: "):
        return None
    if store.is_complete(run) and "complete already" in line:
        return []
    if f"catchment resume {RUN}" in line:
        return command("resume") if run.exists() else None
    if "remove the folder" in line:
        shutil.rmtree(run, ignore_errors=True)
        return command("run")
    return None if run.exists() else command("run")


def _not_one_line(run: Path, said: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with how an interrupted command took its leave."""
    lines = [line for line in said if line.startswith("catchment: ")]
    if len(lines) != 1 or not lines[0].startswith("catchment: interrupted") or said[-1] != lines[0]:
        yield f"a Ctrl-C said {' | '.join(said[-3:])}"
    elif run.exists() and "resume" not in lines[0]:
        yield f"a Ctrl-C left a run and said {lines[0]}"


def run_all(
    cases: Sequence[tuple[int, signal.Signals]],
    seed: int,
    jobs: int,
    tell: Callable[[Sequence[Outcome]], None] = lambda _: None,
) -> list[Outcome]:
    world = small_world()
    with ThreadPoolExecutor(jobs) as pool:
        measured = {shape: pool.submit(measure_undisturbed, world, shape) for shape in SHAPES}
        waiting = [pool.submit(run_case, world, measured, seed, case, number=number) for case, number in cases]
        outcomes: list[Outcome] = []
        for done in as_completed(waiting):
            outcomes.append(done.result())
            tell(outcomes)
    return outcomes


def compares_enough(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether more than half of the runs had all results, so that their tables were compared."""
    return 2 * sum(outcome.compared for outcome in outcomes) > len(outcomes)


def figures(outcomes: Sequence[Outcome], seconds: float) -> Iterator[str]:
    """Yield the figures of all cases, a line each."""
    for number, what in ((signal.SIGKILL, "killed"), (signal.SIGINT, "interrupted")):
        of_kind = [outcome for outcome in outcomes if outcome.number is number]
        if not of_kind:
            continue
        points = [point for outcome in of_kind for point in outcome.points]
        yield f"{len(of_kind)} runs {what}, at {len(points)} points:"
        yield f"{'':26}" + "".join(f"{stage:>12}" for stage in STAGES) + f"{'all':>8}"
        at = Counter((point.way, stage) for point, stage in points)
        for way in Way:
            row = [at[way, stage] for stage in STAGES]
            yield f"{way:26}" + "".join(f"{count:12}" for count in row) + f"{sum(row):8}"
        row = [sum(at[way, stage] for way in Way) for stage in STAGES]
        yield f"{'all':26}" + "".join(f"{count:12}" for count in row) + f"{sum(row):8}"
        yield f"  of them at a POST: {sum(outcome.at_posts for outcome in of_kind)}"
        yield f"  campaigns: {', '.join(f'{n} {shape}' for shape, n in Counter(it.shape for it in of_kind).items())}"
    answers = sum(outcome.lost_answers for outcome in outcomes)
    yield f"POSTs or their answers lost on the way: {answers}; lists late: {FAULTS[LATE].about}"
    yield f"resumed {sum(it.resumed for it in outcomes)} times, at most {max(it.resumed for it in outcomes)} in a run"
    yield f"measurements accepted: {sum(it.accepted for it in outcomes)}, results delivered: " + str(
        sum(it.delivered for it in outcomes)
    )
    yield f"measurements doubled: {sum(it.doubled for it in outcomes)}"
    yield f"measurements lacking: {sum(it.lacking for it in outcomes)}"
    yield f"results lost: {sum(it.lost for it in outcomes)}"
    yield f"results doubled: {sum(it.twice for it in outcomes)}"
    yield f"  that came after the last look, and are not in a run: {sum(it.unseen for it in outcomes)}"
    yield f"tables as of an undisturbed run: {sum(it.compared for it in outcomes)} of {len(outcomes)} compared"
    yield f"files of results that came late: {sum(it.late for it in outcomes)}"
    yield (
        f"stopped in between: {sum(it.stops for it in outcomes)}; processes with a wrong clock: "
        f"{sum(it.clocks for it in outcomes)}; come too late for their own start: "
        f"{sum(it.refused for it in outcomes)} refused, {sum(it.left_out for it in outcomes)} with parts left out"
    )
    yield f"other troubles: {sum(len(it.troubles) for it in outcomes)}"
    yield f"{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="?", type=int, default=200, help="how many runs are killed (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=4, help="how many at once (4)")
    parser.add_argument("--only", metavar="CASE", help="this case alone, as it is named where it is wrong: 17, or 17i")
    given = parser.parse_args()
    if given.only is None:
        cases = [(case, signal.SIGKILL) for case in range(given.cases)]
        cases += [(case, signal.SIGINT) for case in range(given.cases // _INTERRUPTS)]
    else:
        cases = [(int(given.only.rstrip("i")), signal.SIGINT if given.only.endswith("i") else signal.SIGKILL)]
    begun = time.monotonic()

    def tell(outcomes: Sequence[Outcome]) -> None:
        last = outcomes[-1]
        if not last.is_good or given.only is not None:
            print(
                f"\r{describe(last)}\n  python -m benchmarks.kills --seed {given.seed} --only {last.name}", flush=True
            )
        print(f"\r{len(outcomes)} of {len(cases)} cases", end="", file=sys.stderr, flush=True)

    outcomes = run_all(cases, given.seed, given.jobs, tell)
    print(file=sys.stderr)
    print("\n".join(figures(outcomes, time.monotonic() - begun)))
    is_enough = given.only is not None or compares_enough(outcomes)
    if not is_enough:
        print("too few tables were compared for this to prove anything")
    sys.exit(0 if is_enough and all(outcome.is_good for outcome in outcomes) else 1)


if __name__ == "__main__":
    main()
