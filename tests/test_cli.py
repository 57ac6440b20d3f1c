from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from catchment import __version__
from tests.conftest import EXAMPLE_SERVICE, ROOT, SAMPLE

Catchment = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = ["import", "derive", "runs", "show", "compare", "map", "services", "services list", "services show"]
COMMANDS += ["services identify"]
BRING = ("--service", EXAMPLE_SERVICE, "--probes", SAMPLE / "probes.json")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(catchment: Catchment, command: str) -> None:
    done = catchment(*command.split(), "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout


@pytest.mark.parametrize("command", ["import", "derive", "runs", "show", "compare", "map", "services identify"])
def test_help_has_an_example(catchment: Catchment, command: str) -> None:
    assert f"catchment {command} " in catchment(*command.split(), "--help").stdout


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom catchment.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'scapy', 'matplotlib', 'scipy', 'duckdb', 'numpy', 'pyproj', 'dns', 'pydantic'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_help_comes_at_once() -> None:
    program = [sys.executable, "-c", "from catchment.cli import main; main()", "--help"]
    seconds = []
    for _ in range(7):
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(usage.ru_utime + usage.ru_stime)
    # Processor time, the least of several: other tests share the machine.
    assert min(seconds) < 0.25


def test_from_import_to_comparison(catchment: Catchment, tmp_path: Path) -> None:
    for moment in ("before", "after"):
        done = catchment("import", SAMPLE / f"{moment}.ndjson.gz", *BRING, "--out", f"results/frankfurt/{moment}")
        assert (done.returncode, done.stderr) == (0, "")
        assert "400 vantage points assigned" in done.stdout
    assert "frankfurt" in catchment("runs").stdout
    compared = json.loads(catchment("compare", "frankfurt~1", "frankfurt", "--json").stdout)
    assert compared["targets"][0]["sites"][0]["site"] in {"ber", "lon"}
    shown = catchment("show", "frankfurt@before[2026-11-01T10:04Z..10:08]", "--by", "country")
    assert (shown.returncode, "Country" in shown.stdout) == (0, True)
    drawn = catchment("map", "frankfurt~1", "frankfurt", "-o", "moves.png")
    assert (drawn.returncode, drawn.stdout.strip()) == (0, "wrote moves.png")
    assert (tmp_path / "moves.png").stat().st_size > 10_000
    derived = catchment("derive", "frankfurt", "--json")
    assert json.loads(derived.stdout)["run"] == "results/frankfurt/after"


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "--json"),
        ("services", "list", "--json"),
        ("services", "show", "k-root", "--json"),
        ("services", "identify", "k-root", "ns1.nl-ams.k.ripe.net", "\x1b[31m", "--json"),
    ],
    ids=" ".join,
)
def test_json_is_one_object_and_nothing_else(catchment: Catchment, words: tuple[str, ...]) -> None:
    done = catchment(*words)
    assert isinstance(json.loads(done.stdout), dict)
    assert done.stdout.isascii()


def test_show_has_every_key_of_the_contract(catchment: Catchment) -> None:
    words = ("--out", "results/frankfurt/before", "--json")
    numbers = json.loads(catchment("import", SAMPLE / "before.ndjson.gz", *BRING, *words).stdout)
    assert {"run", "platform", "from", "to", "constants", "targets"} <= set(numbers)
    target = numbers["targets"][0]
    assert {
        "service",
        "target",
        "af",
        "site_set",
        "vantage_points",
        "outcomes",
        "identities",
        "sites",
        "closest_hit",
    } <= set(target)
    assert {"rtt_ms", "geographic_inflation_ms", "latency_inflation_ms", "flips"} <= set(target)
    assert set(target["sites"][0]) == {"site", "town", "country", "vantage_points", "share", "share_assigned", "rtt_ms"}
    assert set(target["geographic_inflation_ms"]) >= {"p50", "p75", "p90", "mean"}
    assert set(target["flips"]) == {"vantage_points", "flapping", "flips"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("show", "nothing"), "there is no run or campaign 'nothing'"),
        (("show", "./nothing"), "not a run"),
        (("derive", "./nothing"), "not a run"),
        (("compare", "a", "b"), "there is no run or campaign 'a'"),
        (("import", "nothing.json", "--out", "x/y"), "no such file"),
        (("services", "show", "k-rot"), "did you mean 'k-root'?"),
        (("services", "show", "nothing.toml"), "No such file"),
        (("show", "x[2026-11-21..2026-11-20]"), "ends before it starts"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_problem_is_one_line_on_stderr_and_exit_code_1(
    catchment: Catchment, words: tuple[str, ...], complaint: str
) -> None:
    done = catchment(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("catchment: ")


def test_wrong_usage_is_exit_code_2(catchment: Catchment) -> None:
    assert catchment("show").returncode == 2
    assert catchment("show", "x", "--by", "colour").returncode == 2


def test_a_map_in_an_unknown_format_names_those_known(catchment: Catchment) -> None:
    catchment("import", SAMPLE / "before.ndjson.gz", *BRING, "--out", "results/frankfurt/before")
    done = catchment("map", "frankfurt", "-o", "map.bmp")
    assert done.returncode == 1
    assert all(suffix in done.stderr for suffix in (".png", ".svg", ".pdf"))


def test_warnings_go_to_stderr(catchment: Catchment, tmp_path: Path) -> None:
    good = gzip.decompress((SAMPLE / "before.ndjson.gz").read_bytes())
    (tmp_path / "r.json").write_bytes(good + b"broken\n")
    done = catchment("import", "r.json", *BRING, "--out", "results/x/y", "--json")
    assert json.loads(done.stdout)["input"]["rejected"] == 1
    assert "1 of 1601 records are unusable" in done.stderr


def test_the_version_is_printed(catchment: Catchment) -> None:
    assert catchment("--version").stdout.strip() == __version__
