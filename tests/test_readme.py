"""What the README promises is there, and does what it says."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from catchment.campaign import load_service
from catchment.model import Verdict
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
INDENTED = re.findall(r"(?:^    .*\n)+", README, re.MULTILINE)


def commands() -> list[str]:
    joined = README.replace("\\\n", " ")
    return sorted(set(re.findall(r"^    (catchment .+)$", joined, re.MULTILINE)))


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_two_commands_are_there(command: str) -> None:
    assert f"    scripts/{command} " in README
    assert (ROOT / "scripts" / command).stat().st_mode & 0o111


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_readme_exists_with_its_options(
    catchment: Callable[..., subprocess.CompletedProcess[str]], command: str
) -> None:
    words = re.sub(r"'[^']*'", "X", command).split("#")[0].split()[1:]
    verb = words[:2] if words[0] in {"services", "sandbox", "lab"} else words[:1]
    shown = catchment(*verb, "--help").stdout
    for option in (word for word in words if word.startswith("-")):
        assert option in shown, option


def test_the_sample_runs_as_the_readme_says(
    catchment: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "campaigns").symlink_to(ROOT / "campaigns")
    block = next(block for block in INDENTED if "before.ndjson.gz" in block).replace("\\\n", " ")
    for line in block.splitlines():
        done = catchment(*line.split()[1:])
        assert (done.returncode, done.stderr) == (0, ""), line
    assert (tmp_path / "moves.png").exists()


def test_the_service_of_the_readme_loads(tmp_path: Path) -> None:
    text = next(block for block in INDENTED if 'name = "example-dns"' in block)
    lines = [line.removeprefix("    ") for line in text.splitlines()]
    assert len(lines) <= 20
    file = tmp_path / "mine.toml"
    file.write_text("\n".join(lines))
    assert [site.code for site in load_service(file).sites] == ["fra", "ber"]


def test_every_module_stands_in_the_table_in_the_order_of_imports() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    table = README[README.index("| module |") : README.index("A new bundled service")]
    rows = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    ordered = [name.strip() for layer in layers for name in layer.split("|")]
    assert named == ordered


def test_every_verdict_that_can_be_given_is_explained() -> None:
    for verdict in Verdict:
        assert f"`{verdict}`" in README


def test_the_readme_names_no_machine() -> None:
    assert not re.search(r"/(?:root|home|work|tmp)/", README)
