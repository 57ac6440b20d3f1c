"""What several test files share: the real recordings, a small lab, ways to import results and to run commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from catchment import workflow
from catchment.platforms.atlas.key_sources import VARIABLES
from catchment.platforms.lab.client import Lab, open_lab
from catchment.platforms.sandbox import Sandbox
from catchment.store import Run
from tests.atlas_server import Bench, make_bench
from tests.campaigns import sandbox_in
from tests.namespaces import needs_namespaces
from tests.small_labs import anycast, home_of_labs

# How long an example takes says more of the machine than of the code. The same code gets the same examples, so that a
# change is judged by what it changes; `pytest --hypothesis-profile explore` looks for new ones.
hypothesis.settings.register_profile("catchment", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("catchment")

ROOT = Path(__file__).parent.parent
# Own versions of services that lie where the developer keeps them are not what is tested.
os.environ["CATCHMENT_SERVICES"] = str(ROOT / "tests" / "data" / "no-own-services")
for variable in VARIABLES:  # nor are the developer's keys for tests
    os.environ.pop(variable, None)
# Nor is the terminal, the language or the network of whoever runs the tests.
for variable in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE"):
    os.environ.pop(variable, None)
for variable in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(variable, None)
    os.environ.pop(variable.upper(), None)
os.environ["LC_ALL"] = "C.UTF-8"
SAMPLE = ROOT / "tests" / "data" / "frankfurt"
EXAMPLE_SERVICE = ROOT / "campaigns" / "services" / "example-dns.toml"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder of real recordings; without it the tests that need it are skipped by name, in CI they fail."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI must have the real recordings beside the checkout: {folder}")
        pytest.skip("the real recordings (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Return the committed sample, imported: the runs `before` and `after` of the campaign `frankfurt`."""
    root = tmp_path_factory.mktemp("results") / "frankfurt"
    for name in ("before", "after"):
        workflow.import_results(
            [SAMPLE / f"{name}.ndjson.gz"],
            root / name,
            service=str(EXAMPLE_SERVICE),
            probes=SAMPLE / "probes.json",
        )
    return {name: Run.open(root / name) for name in ("before", "after")}


@pytest.fixture
def import_lines(tmp_path: Path) -> Callable[..., Run]:
    """Return a function that imports results given as dictionaries, by default under the example service."""

    def import_them(*results: dict[str, Any], probes: list[dict[str, Any]] | None = None, **options: Any) -> Run:
        number = len(list(tmp_path.glob("*.ndjson")))
        file = tmp_path / f"{number}.ndjson"
        file.write_text("".join(json.dumps(result) + "\n" for result in results))
        if probes is not None:
            options["probes"] = tmp_path / f"{number}-probes.json"
            options["probes"].write_text(json.dumps({"objects": probes}))
        options.setdefault("service", str(EXAMPLE_SERVICE))
        out = tmp_path / "results" / "test" / str(number)
        workflow.import_results([file], out, **options)
        return Run.open(out)

    return import_them


@pytest.fixture
def catchment(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command line in a process of its own, in an empty folder."""

    def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from catchment.cli import main; main()", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **environment},
            check=False,
            timeout=300,  # only to end at all, however busy the machine is
        )

    return run


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return what tests against servers on loopback need."""
    return make_bench(tmp_path)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Serve a sandbox for campaigns that think it is RIPE Atlas."""
    with sandbox_in(tmp_path / "sandbox") as opened:
        yield opened


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Return where the labs of a test file have their folders: apart from all others, and empty at the end."""
    needs_namespaces()
    with home_of_labs() as folder:
        yield folder


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[Lab]:
    """Return a small lab that is up: a vantage point behind a router with two sites."""
    with open_lab(anycast(), name="anycast") as opened:
        yield opened
