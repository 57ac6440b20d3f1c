"""A campaign against faults of the sandbox: run it, go on with it, and hold what came of it against the truth."""

from __future__ import annotations

import random
import re
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from benchmarks.proof import Tables, differences, doubled, line_of, question, stored_lines, tables_of
from catchment import store, workflow
from catchment.errors import CatchmentError
from catchment.platforms import connecting
from catchment.platforms.atlas.client import Atlas
from catchment.platforms.sandbox import FAULTS, Sandbox, open_sandbox
from catchment.platforms.sandbox.api.faults import ProbeFault, ResultFault
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology import host, make_world
from catchment.services import bundled_service
from catchment.workflow import measuring

NOON = 1_795_262_400.0  # 2026-11-21 12:00 UTC
KEY = "00000000-0000-4000-8000-00000000cafe"
_NEW = """
name = "faults"
platform = "atlas"
targets = [{ service = "demo-dns", af = 4 }, { service = "demo-dns", af = 6 }]
vantage_points = { count = 25 }
resolve_names = false
"""
CAMPAIGNS = {
    "once": _NEW,
    "rounds": _NEW
    + """
queries = [{ kind = "dns", name = "hostname.bind", nsid = true }, { kind = "ping" }, { kind = "traceroute" }]
schedule = { interval_s = 300, rounds = 3 }
""",
    "reused": """
name = "faults"
platform = "atlas"
targets = [{ service = "k-root" }]
reuse = [10301]
vantage_points = { count = 60 }
""",
}
REFUSED = frozenset({"captive-portal", "redirect", "daily-results-full", "target-full", "credits-out"})
"""With these nothing new is ever measured."""
_UNREADABLE = frozenset({"captive-portal", "redirect"})
LESS = frozenset({"no-suitable-probes", "failed", "denied", "forced-stop", "silent-probes"})
"""With these a run has less than it asked for."""

SERVICES = (bundled_service("demo-dns"), bundled_service("k-root"))
_TIMES_OUT_S = (2.0, 0.4)
_TRIES, _LATER_S = 6, 300.0
_PATIENCE_S = 30
_LONGEST_S = 2 * 86_400.0  # of the sandbox's time: who waits for longer waits for ever
_LONGEST_LINE = 1500
_ADVICE = re.compile(
    r"\b(again|ask|check|choose|get|give|goes on|log in|look|lower|make|mend|remove|report|set|stop|try|wait)\b",
    re.IGNORECASE,
)

Look = tuple[int, float, dict[str, Any]]


class End(StrEnum):
    """How a campaign ended."""

    RUN = "a run"
    LINE = "a line"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a campaign: how it ended, after how many tries, the last complaint, and all that is `wrong`."""

    campaign: str
    faults: tuple[str, ...]
    seed: int
    end: End
    tries: int
    line: str = ""
    wrong: tuple[str, ...] = ()
    took_s: float = 0.0


@dataclass(slots=True)
class Held:
    """What the runs of trials are held against: the simulated Internet, and each campaign's tables without faults."""

    internet: Internet
    folder: Path
    tables: dict[str, Tables] = field(default_factory=dict)


class _Hung(BaseException):
    """Nobody catches it."""


def prepare(folder: Path, campaigns: Sequence[str] = tuple(CAMPAIGNS)) -> Held:
    """Return what trials need; runs these campaigns without faults."""
    world = make_world(1, vantage_points=200)
    for service in SERVICES:
        world = host(world, service)
    held = Held(Internet(world), folder)
    for campaign in campaigns:
        outcome = hold(held, (), campaign=campaign)
        if outcome.wrong:
            raise RuntimeError(f"without any fault: {outcome}")
    return held


def hold(
    held: Held, names: Sequence[str], seed: int = 1, *, campaign: str = "once", is_derived: bool = True
) -> Outcome:
    """Run a campaign against some faults and return what became of it; without its tables where they are not wanted."""
    began = time.monotonic()
    outcome = Outcome(campaign=campaign, faults=tuple(names), seed=seed, end=End.NEITHER, tries=0)
    with tempfile.TemporaryDirectory(dir=held.folder) as name, _patience():
        folder = Path(name)
        sandbox_folder = folder / "sandbox"
        with (
            open_sandbox(
                held.internet,
                start=NOON,
                services=SERVICES,
                folder=sandbox_folder,
                key=KEY,
                faults=names,
                fault_seed=seed,
            ) as sandbox,
            patch.object(connecting, "Atlas", _impatient),
            nullcontext() if is_derived else patch.object(measuring, "rebuild", _leave_underived),
        ):
            looks = _record_looks(sandbox)
            try:
                outcome, path = _try(outcome, folder, sandbox)
            except _Hung as hung:
                return replace(outcome, wrong=(f"hangs: {hung}",), took_s=time.monotonic() - began)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is what we look for)
                where = traceback.extract_tb(error.__traceback__)[-1]
                wrong = (f"traceback: {error!r} in {Path(where.filename).name}:{where.lineno}",)
                return replace(outcome, wrong=wrong, took_s=time.monotonic() - began)
            found = [*outcome.wrong, *_doubled(sandbox)]
            if path is not None:
                found += _unaccounted(path, sandbox, names, looks)
                found += _other_tables(held, path, outcome) if is_derived else ()
                accepted = store.read_accepted(path)
                if LESS & set(names) and campaign != "reused" and "its status is" not in str(accepted):
                    found.append("has less than was asked for, and does not say so")
            if sandbox.failures:
                found.append(f"the sandbox failed: {sandbox.failures[0]!r}")
    hopeless = (_UNREADABLE if campaign == "reused" else REFUSED) & set(names)
    if hopeless and outcome.end is End.RUN:
        found.append("ended in a run")
    if not hopeless and not LESS & set(names) and outcome.end is not End.RUN:
        found.append("never ended in a run")
    return replace(outcome, wrong=tuple(found), took_s=time.monotonic() - began)


def _impatient(*words: Any, **options: Any) -> Atlas:
    """Return a client whose patience with a silent server is a fraction of the usual."""
    return Atlas(*words, **{**options, "timeout_s": _TIMES_OUT_S, "random": lambda: 0.5})


def _leave_underived(path: Path, *_: object) -> Any:
    return path


def mixtures(count: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yield random mixtures of two to four faults, none of which refuses everything."""
    draw = random.Random(seed)
    names = sorted(set(FAULTS) - REFUSED)
    for _ in range(count):
        yield tuple(draw.sample(names, draw.randint(2, 4)))


def _try(outcome: Outcome, folder: Path, sandbox: Sandbox) -> tuple[Outcome, Path | None]:
    """Run the campaign, and go on with it or begin anew while it fails. Returns the run, if there is one at last."""
    file, path = folder / "campaign.toml", folder / "results" / "run"
    file.write_text(CAMPAIGNS[outcome.campaign])
    environ = {
        connecting.SERVER: sandbox.server,
        connecting.CA_FILE: str(sandbox.ca_file),
        "ATLAS_CREATE_KEY": KEY,
    }
    options: dict[str, Any] = {"environ": environ, "clock": sandbox.clock.now, "sleep": _sleeping(sandbox)}
    for tries in range(1, _TRIES + 1):
        try:
            if path.exists():
                workflow.resume_run(path, **options)
            else:
                workflow.run_campaign(file, folder / "results", path, **options)
        except CatchmentError as error:
            wrong = {*outcome.wrong, *_unclear(str(error))}
            outcome = replace(outcome, end=End.LINE, tries=tries, line=str(error), wrong=tuple(sorted(wrong)))
            sandbox.clock.advance(_LATER_S)
        else:
            return replace(outcome, end=End.RUN, tries=tries), path
    return outcome, None


def _unclear(line: str) -> Iterator[str]:
    if "\n" in line or len(line) > _LONGEST_LINE or not line.isprintable():
        yield f"no line: {line!r}"
    if KEY in line:
        yield f"shows the key: {line}"
    if not _ADVICE.search(line):
        yield f"says nothing of what to do: {line}"


def _record_looks(sandbox: Sandbox) -> list[Look]:
    """Remember all looks at results: what came later, or was not asked for, cannot be in the run."""
    looks: list[Look] = []
    real = sandbox.api.ledger.results

    def results(measurement: Any, *, now: float, **options: Any) -> Iterator[dict[str, Any]]:
        looks.append((measurement.id, now, options))
        return real(measurement, now=now, **options)

    sandbox.api.ledger.results = results  # type: ignore[method-assign]
    return looks


def _doubled(sandbox: Sandbox) -> Iterator[str]:
    for one in doubled(sandbox):
        yield f"{' '.join(question(one))} was created again: {', '.join(sorted(one.definition.tags))}"


def _unaccounted(path: Path, sandbox: Sandbox, names: Sequence[str], looks: Sequence[Look]) -> Iterator[str]:
    """Hold what is stored against what was delivered: the same results byte for byte, each once.

    What came twice in one answer is kept so; it is the tables that must have it once.
    """
    stored, ledger = stored_lines(path), sandbox.api.ledger
    latest = {number: now for number, now, _ in looks}
    asked = {(number, *sorted(options.items())): (number, options) for number, _, options in looks}
    delivered = Counter(
        {
            line_of(result)
            for number, options in asked.values()
            if (found := ledger.get(number)) is not None
            for result in ledger.results(found, now=latest[number], **options)
        }
    )
    if "results-twice" in names:
        stored = Counter(set(stored))
    for what, which in (("lost", delivered - stored), ("too many", stored - delivered)):
        if which:
            yield f"{which.total()} results are {what}, of {delivered.total()}: {next(iter(which))[-150:]!r}"


def _other_tables(held: Held, path: Path, outcome: Outcome) -> Iterator[str]:
    tables = tables_of(path)
    if not outcome.faults:
        held.tables[outcome.campaign] = tables
    if any(isinstance(FAULTS[name], ProbeFault | ResultFault) or name in LESS for name in outcome.faults):
        return
    if outcome.campaign == "rounds" and "no-suitable-probes-yet" in outcome.faults:
        return  # what begins late may have a round less
    yield from differences(tables, held.tables[outcome.campaign])


def _sleeping(sandbox: Sandbox) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        sandbox.clock.advance(seconds)
        if sandbox.clock.now() > NOON + _LONGEST_S:
            raise _Hung("it waits and waits")

    return sleep


@contextmanager
def _patience() -> Iterator[None]:
    """Raise _Hung in whoever takes too long."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise _Hung(f"no end after {_PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
