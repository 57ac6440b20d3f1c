from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catchment import __version__
from tests.conftest import EXAMPLE_SERVICE, ROOT, SAMPLE

Catchment = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = [
    "demo",
    "plan",
    "run",
    "resume",
    "stop",
    "credits",
    "sandbox",
    "sandbox serve",
    "sandbox topology",
    "import",
    "derive",
    "runs",
    "show",
    "compare",
    "map",
    "services",
    "services list",
    "services show",
]
COMMANDS += ["services identify", "services update"]
BRING = ("--service", EXAMPLE_SERVICE, "--probes", SAMPLE / "probes.json")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(catchment: Catchment, command: str) -> None:
    done = catchment(*command.split(), "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in {"services", "sandbox"}])
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
    plainest = "import typer; app = typer.Typer(); app.command()(lambda: None); app()"
    ours = "from catchment.cli import main; main()"
    # By turns, and the least of several: other tests share the machine.
    times_s = [(_processor_time_s(plainest), _processor_time_s(ours)) for _ in range(7)]
    assert min(our_s for _, our_s in times_s) < 2 * min(plain_s for plain_s, _ in times_s)


def _processor_time_s(program: str) -> float:
    process = subprocess.Popen([sys.executable, "-c", program, "--help"], stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


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


def test_the_demo_is_one_object_too(catchment: Catchment) -> None:
    done = catchment("demo", "--json")
    assert done.returncode == 0
    shown = json.loads(done.stdout)
    assert set(shown) == {"before", "comparison", "next"}
    again = catchment("demo")
    assert (again.returncode, again.stdout) == (1, "")
    assert "an earlier demo is there" in again.stderr


def test_the_plan_has_every_key_of_the_contract(catchment: Catchment) -> None:
    plan = json.loads(catchment("plan", ROOT / "campaigns" / "own-service.toml", "--json").stdout)
    keys = {"probes", "measurements", "results", "credits", "results_per_day", "credits_per_day", "limits"}
    assert keys <= set(plan)
    assert {"name", "value", "limit", "ok"} <= set(plan["limits"][0])
    # 100 vantage points, 4 rounds: DNS at 10, ping at 3, traceroute at 30 credits.
    assert (plan["results"], plan["credits"]) == (1200, 4 * 100 * (10 + 3 + 30))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    program = "from catchment.cli import main; main()"
    words = ["sandbox", "serve", str(ROOT / "campaigns" / "k-root.toml"), "--port", "0", "--speed", "100", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n}\n") and (line := process.stdout.readline()):
            text += line
        yield process, json.loads(text)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (130, "catchment: interrupted\n")
    assert not (tmp_path / "sandbox").exists()


def test_a_served_sandbox_is_measured_without_a_key_and_keeps_its_port(
    catchment: Catchment, served: tuple[subprocess.Popen[str], dict[str, Any]], tmp_path: Path
) -> None:
    _, told = served
    environment = {name: value for name, value in told["environment"].items() if name.startswith("CATCHMENT_")}
    done = catchment("run", ROOT / "campaigns" / "k-root.toml", "--json", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["targets"][0]["vantage_points"]["assigned"] > 900
    key = (tmp_path / told["key_file"]).read_text().strip()
    assert key not in json.dumps(told)
    assert (tmp_path / told["key_file"]).stat().st_mode & 0o777 == 0o600
    busy = catchment("sandbox", "serve", "--port", told["server"].partition(":")[2], "--folder", "other")
    assert (busy.returncode, busy.stdout, len(busy.stderr.splitlines())) == (1, "", 1)
    assert "in use" in busy.stderr
    assert not (tmp_path / "other").exists()


def test_a_served_sandbox_takes_new_measurements_at_its_own_speed(
    catchment: Catchment, served: tuple[subprocess.Popen[str], dict[str, Any]], tmp_path: Path
) -> None:
    _, told = served
    key = (tmp_path / told["key_file"]).read_text().strip()
    (tmp_path / "new.toml").write_text(
        'name = "new"\nplatform = "atlas"\ntargets = [{ service = "k-root" }]\nvantage_points = { count = 20 }\n'
    )
    began = time.monotonic()
    done = catchment(
        "run", "new.toml", "--json", **told["environment"] | {"ATLAS_CREATE_KEY": key, "ATLAS_FETCH_KEY": key}
    )
    assert done.returncode == 0
    assert re.fullmatch(r"key: ATLAS_CREATE_KEY\n2 measurements accepted \(.*\), until .*Z; results .*\n", done.stderr)
    assert json.loads(done.stdout)["targets"][0]["vantage_points"]["total"] >= 18
    assert time.monotonic() - began < 100  # of two minutes at the server


def test_a_world_is_written_as_a_file(catchment: Catchment, tmp_path: Path) -> None:
    done = catchment("sandbox", "topology", ROOT / "campaigns" / "sandbox.toml", "-o", "world.toml")
    assert (done.returncode, done.stdout.strip()) == (0, "wrote world.toml")
    assert len(tomllib.loads((tmp_path / "world.toml").read_text())["networks"]) > 400


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
    assert {"vantage_points", "flapping", "flips", "changed_once", "changes"} <= set(target["flips"])


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
        (("run", "nothing.toml"), "No such file"),
        (("plan", "nothing.toml"), "No such file"),
        (("run", ROOT / "campaigns" / "own-service.toml"), "there is no API key"),
        (("resume", "./nothing"), "not a run"),
        (("sandbox", "topology", "-o", "world.json"), "end its name with .toml"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
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


def test_signals_that_come_at_once_do_not_lock_it_up(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from catchment.cli import main; main()", "demo", "--json"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(program, cwd=tmp_path, env=environ, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "demo" / "before").exists():
            assert process.poll() is None
            time.sleep(0.01)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        process.communicate(timeout=100)
    assert process.returncode in (130, -signal.SIGINT, -signal.SIGTERM)


def test_the_version_is_printed(catchment: Catchment) -> None:
    assert catchment("--version").stdout.strip() == __version__
