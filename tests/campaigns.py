"""A small campaign, and a sandbox that it takes for RIPE Atlas: for tests of runs that break off and go on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from catchment import store, workflow
from catchment.errors import Interrupted
from catchment.platforms import connecting
from catchment.platforms.sandbox import Sandbox, open_sandbox
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology import Topology, host, make_world
from catchment.services import bundled_service
from catchment.store import Run, Stage
from tests.atlas_server import KEY

NOON = 1_795_262_400.0  # 2026-11-21 12:00 UTC
CAMPAIGN = """
name = "small"
platform = "sandbox"
targets = [{ service = "demo-dns" }]
vantage_points = { count = 60 }
resolve_names = false
"""
ON_ATLAS = CAMPAIGN.replace("sandbox", "atlas")


def run(folder: Path, text: str = CAMPAIGN, *, name: str = "run", **options: Any) -> Run:
    """Run a campaign to its end, in `results/small` below a folder."""
    file = folder / "campaign.toml"
    file.write_text(text)
    options = {"environ": {}, "clock": lambda: NOON, **options}
    return Run.open(workflow.run_campaign(file, folder / "results", folder / "results" / "small" / name, **options).run)


def interrupted(folder: Path, text: str = CAMPAIGN, *, name: str = "run", **options: Any) -> Path:
    """Run a campaign until its results are waited for, and press Ctrl-C."""
    path = folder / "results" / "small" / name

    def press_ctrl_c(_: str, __: float) -> None:
        accepted = store.read_accepted(path)
        if accepted is not None and accepted.stage is Stage.SCHEDULED:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"interrupted; the run is kept: `catchment resume .*` goes on"):
        run(folder, text, name=name, progress=press_ctrl_c, **options)
    return path


def copied(run: Path, folder: Path) -> Path:
    """Return a copy of a run, to be damaged or gone on with, as `results/small/run` below a folder."""
    return shutil.copytree(run, folder / "results" / "small" / "run")


@cache
def _world() -> Topology:
    return host(host(make_world(1, vantage_points=300), bundled_service("k-root")), bundled_service("demo-dns"))


@contextmanager
def sandbox_in(folder: Path, **options: Any) -> Iterator[Sandbox]:
    """Serve a sandbox with K-root and its built-in measurements, for campaigns that think it is RIPE Atlas."""
    folder.mkdir()
    services = [bundled_service("k-root"), bundled_service("demo-dns")]
    with open_sandbox(Internet(_world()), start=NOON, services=services, folder=folder, key=KEY, **options) as opened:
        yield opened


def environment(server: str, ca_file: Path, key: str | None = KEY) -> dict[str, str]:
    """Return the environment that names a server in RIPE Atlas's place."""
    environ = {connecting.SERVER: server, connecting.CA_FILE: str(ca_file)}
    return environ | ({} if key is None else {"ATLAS_CREATE_KEY": key})


def toward(sandbox: Sandbox, key: str | None = KEY) -> dict[str, Any]:
    """Return the options by which a campaign on RIPE Atlas goes to a sandbox instead."""
    environ = environment(sandbox.server, sandbox.ca_file, key)
    return {"environ": environ, "clock": sandbox.clock.now, "sleep": sandbox.clock.advance}
