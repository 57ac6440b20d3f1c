"""A sandbox that loses answers, and the folder of a user who measures there: what runs are killed on."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kill_children import Child, WrongClock
from benchmarks.kill_fronts import Losing, Stopwatch, Tripwire
from benchmarks.kill_points import Point
from benchmarks.kill_shapes import INTERVAL_S, PLANNED_AFTER_S, SHAPES, Shape, with_late_results
from catchment import store
from catchment.platforms.connecting import CA_FILE, SERVER, SPEED
from catchment.platforms.sandbox import Sandbox, open_sandbox
from catchment.platforms.sandbox.api.exchange import Request
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology import Topology, host, make_world
from catchment.services import bundled_service

RUN = Path("results/kills/run")
STAGES = ("no folder", "begun", "scheduling", "waiting", "fetching", "deriving", "complete")
LATE = "late-listing"

_SPEED = 300.0
_LOST = 0.25  # of the POSTs: something befalls it; the last one before anything happens
_WRONG_BY_S = 600.0  # how wrong the clock of this host may be
_AT_LEAST_S = 15  # before its start, a measurement has to stand at the API
_KEY = "5b1c8e52-3c43-4c1b-9f2e-7d0a5f0c2b11"
_SLICES = "from catchment.platforms.atlas import slices; slices._SLICE_BYTES = {}\n"


@dataclass(kw_only=True)
class Bench:
    """A sandbox, and the folder of a user that measures there.

    In the sandbox's time, `began` is when it did, and `scheduled_at` when a run was first seen whose measurements stand
    (None: not yet).
    """

    folder: Path
    shape: Shape
    sandbox: Sandbox
    tripwire: Tripwire
    watch: Stopwatch
    losing: Losing
    began: float
    scheduled_at: float | None = None

    @property
    def run(self) -> Path:
        return self.folder / RUN

    @property
    def planned(self) -> float:
        """Return when a campaign with a start of its own begins."""
        return self.began + PLANNED_AFTER_S

    @property
    def is_late(self) -> bool:
        """Tell whether measurements were asked for until the campaign's own schedule had no round left."""
        ends = self.planned + self.shape.rounds * INTERVAL_S
        return self.shape.is_planned and self.scheduled_at is not None and self.scheduled_at > ends - _AT_LEAST_S

    def look(self, _: Request) -> None:
        """See how far the run is, as a request comes."""
        if self.scheduled_at is None and STAGES.index(stage_of(self.run)) > STAGES.index("scheduling"):
            self.scheduled_at = self.sandbox.clock.now()

    def start(
        self,
        words: Sequence[str],
        point: Point | None = None,
        counted: Path | None = None,
        clock: WrongClock | None = None,
    ) -> Child:
        sandbox = self.sandbox
        environ = {SERVER: sandbox.server, CA_FILE: str(sandbox.ca_file), SPEED: f"{_SPEED:g}"}
        environ |= {"ATLAS_CREATE_KEY": _KEY, "HOME": str(self.folder)}
        child = Child(
            words,
            point,
            cwd=self.folder,
            environ=environ,
            below=self.run.parent,
            counted=counted,
            clock=clock,
            before="" if self.shape.slice_bytes is None else _SLICES.format(self.shape.slice_bytes),
        )
        self.tripwire.arm(child)
        return child

    def finish(self, child: Child) -> tuple[int, list[str]]:
        code, said = child.wait()
        self.watch.stop()
        return code, said.splitlines()


@contextmanager
def open_bench(world: Topology, shape: str, draw: random.Random, *, lost: float = _LOST) -> Iterator[Bench]:
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        began = float(int(time.time() + draw.uniform(-_WRONG_BY_S, _WRONG_BY_S)))
        (folder / "campaign.toml").write_text(SHAPES[shape].campaign(began))
        (folder / "sandbox").mkdir()
        with open_sandbox(
            Internet(world, seed=1, measured=["demo-dns"]),
            start=began,
            speed=_SPEED,
            services=[bundled_service("demo-dns")],
            folder=folder / "sandbox",
            key=_KEY,
            faults=[LATE],
            monotonic=watch,
        ) as sandbox:
            ledger = sandbox.api.ledger
            if SHAPES[shape].slices > 1:
                take_in = ledger.add
                ledger.add = lambda accepted: take_in([*map(with_late_results, accepted)])  # type: ignore[method-assign]
            losing = Losing(sandbox.api, draw, lost)
            count = SHAPES[shape].measurements
            tripwire = Tripwire(losing.respond, watch, sandbox.clock, all_stand=lambda: len(ledger.own()) >= count)
            sandbox.api.respond = tripwire.respond  # type: ignore[method-assign]
            bench = Bench(
                folder=folder,
                shape=SHAPES[shape],
                sandbox=sandbox,
                tripwire=tripwire,
                watch=watch,
                losing=losing,
                began=began,
            )
            if bench.shape.is_planned:
                tripwire.before_handling = bench.look
            yield bench


def small_world() -> Topology:
    """Make an Internet with one service and just enough vantage points."""
    return host(make_world(1, vantage_points=60), bundled_service("demo-dns"))


def command(name: str) -> list[str]:
    """Return the words of `run`, `resume` or `stop`."""
    return ["run", "campaign.toml", "--out", str(RUN)] if name == "run" else [name, str(RUN)]


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
