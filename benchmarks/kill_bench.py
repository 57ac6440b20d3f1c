"""A sandbox that loses answers, and the folder of a user who measures there: what runs are killed on."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from benchmarks.kill_points import Child, Point, Stopwatch, Tripwire
from catchment.platforms.connecting import CA_FILE, SERVER, SPEED
from catchment.platforms.sandbox import Sandbox, find_faults, open_sandbox
from catchment.platforms.sandbox.api.endpoints import Api
from catchment.platforms.sandbox.api.faults import Front, FrontFault
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology import Topology, host, make_world
from catchment.services import bundled_service

CAMPAIGN = """
name = "kills"
platform = "atlas"
vantage_points = { count = 50 }
limits = { probes_per_measurement = 20 }
"""
ONE = 'targets = [{ service = "demo-dns" }]\n'
BOTH = 'targets = [{ service = "demo-dns" }, { service = "demo-dns", af = 6 }]\n'
ROUNDS = "schedule = { interval_s = 60, rounds = 3 }\n"
SHAPES = {"one-off": CAMPAIGN + ONE, "both families": CAMPAIGN + BOTH, "periodic": CAMPAIGN + ONE + ROUNDS}
RUN = Path("results/kills/run")
LATE = "late-listing"

_SPEED = 300.0
_POST_FAULTS = ("lost-answer", "lost-answer-closed", "lost-answer-half", "lost-answer-504", "post-reset")
_LOST = 0.25  # of the POSTs: one of these befalls it; the last one before anything happens
_WRONG_BY_S = 600.0  # how wrong the clock of this host may be
_KEY = "5b1c8e52-3c43-4c1b-9f2e-7d0a5f0c2b11"


class Losing:
    """Faults of POSTs, each of which strikes a share of them that the seed chooses; `lost` counts them."""

    def __init__(self, api: Api, draw: random.Random, share: float) -> None:
        self.lost = 0
        self._seed = draw.getrandbits(32)
        self._share = share / len(_POST_FAULTS)
        named = {fault.name: fault for fault in find_faults(_POST_FAULTS) if isinstance(fault, FrontFault)}
        faults = [replace(fault, strikes=partial(self._strikes, name)) for name, fault in named.items()]
        behind = SimpleNamespace(respond=api.respond, ledger=api.ledger)
        self.respond = Front(cast(Api, behind), faults, seed=self._seed, now=lambda: 0.0).respond

    def _strikes(self, name: str, number: int, seed: int) -> bool:
        struck = random.Random(f"{seed} {name} {number}").random() < self._share
        self.lost += struck
        return struck


@dataclass(kw_only=True)
class Bench:
    """A sandbox, and the folder of a user that measures there."""

    folder: Path
    sandbox: Sandbox
    tripwire: Tripwire
    watch: Stopwatch
    losing: Losing

    @property
    def run(self) -> Path:
        return self.folder / RUN

    def start(self, words: Sequence[str], point: Point | None = None, counted: Path | None = None) -> Child:
        sandbox = self.sandbox
        environ = {SERVER: sandbox.server, CA_FILE: str(sandbox.ca_file), SPEED: f"{_SPEED:g}"}
        below = self.run.parent
        environ |= {"ATLAS_CREATE_KEY": _KEY, "HOME": str(self.folder)}
        child = Child(words, point, cwd=self.folder, environ=environ, below=below, counted=counted)
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
        (folder / "campaign.toml").write_text(SHAPES[shape])
        (folder / "sandbox").mkdir()
        with open_sandbox(
            Internet(world, seed=1, measured=["demo-dns"]),
            start=time.time() + draw.uniform(-_WRONG_BY_S, _WRONG_BY_S),
            speed=_SPEED,
            services=[bundled_service("demo-dns")],
            folder=folder / "sandbox",
            key=_KEY,
            faults=[LATE],
            monotonic=watch,
        ) as sandbox:
            losing = Losing(sandbox.api, draw, lost)
            tripwire = Tripwire(losing.respond, watch, sandbox.clock)
            sandbox.api.respond = tripwire.respond  # type: ignore[method-assign]
            yield Bench(folder=folder, sandbox=sandbox, tripwire=tripwire, watch=watch, losing=losing)


def small_world() -> Topology:
    """Make an Internet with one service and just enough vantage points."""
    return host(make_world(1, vantage_points=60), bundled_service("demo-dns"))


def command(name: str) -> list[str]:
    """Return the words of `run` or `resume`."""
    return ["run", "campaign.toml", "--out", str(RUN)] if name == "run" else [name, str(RUN)]
