"""What is stored, and how a campaign that is not there is answered."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from catchment import terminal, workflow
from catchment.errors import UnknownName
from catchment.model import Kind, Window
from catchment.store import Accepted, Measurement, Run, Stage
from catchment.workflow.showing import list_measurements
from tests.atlas_results import NOON, dns_result

Catchment = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(sample: dict[str, Run], tmp_path: Path) -> Path:
    """Return results with one run of `frankfurt`, and one that is not whole of `zurich`."""
    shutil.copytree(sample["before"].path, tmp_path / "results" / "frankfurt" / "before")
    shutil.copytree(sample["before"].path, tmp_path / "results" / "zurich" / "begun")
    (tmp_path / "results" / "zurich" / "begun" / "metrics.json").unlink()
    return tmp_path / "results"


def test_the_runs_of_a_campaign_are_listed(root: Path) -> None:
    assert [run["run"] for run in workflow.list_runs(root, "frankfurt")["runs"]] == ["before"]
    assert [run["campaign"] for run in workflow.list_runs(root)["runs"]] == ["frankfurt"]


def test_a_campaign_without_a_whole_run_is_known_and_its_damage_told(root: Path) -> None:
    listed = workflow.list_runs(root, "zurich")
    assert listed["runs"] == []
    assert "not complete: `catchment derive" in listed["damaged"][0]


@pytest.mark.parametrize("name", ["nope", "", "*", "..", "/", "frank*", "[f]rankfurt", "**", "a/b"])
def test_a_campaign_that_is_not_there_is_no_empty_list(root: Path, name: str) -> None:
    with pytest.raises(UnknownName, match="there is no campaign") as caught:
        workflow.list_runs(root, name)
    assert "\n" not in str(caught.value)


def test_the_nearest_campaign_is_named(root: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'frankfurt'"):
        workflow.list_runs(root, "frankfort")


def test_on_the_command_line_too(catchment: Catchment, root: Path) -> None:
    done = catchment("runs", "frankfort", "--results", root)
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean 'frankfurt'?" in done.stderr


def test_where_nothing_is_stored_the_command_line_says_how_to_begin(catchment: Catchment) -> None:
    done = catchment("runs")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no run is stored in results yet" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    in_json = catchment("runs", "--json")
    assert (in_json.returncode, json.loads(in_json.stdout)) == (0, {"runs": [], "damaged": []})


def test_a_run_in_a_folder_with_a_backslash_is_derived_and_listed(sample: dict[str, Run], tmp_path: Path) -> None:
    path = tmp_path / "back\\slash" / "ru\\n"
    shutil.copytree(sample["before"].path, path)
    workflow.derive(path)
    (listed,) = workflow.list_runs(tmp_path)["runs"]
    assert (listed["campaign"], listed["run"], listed["vantage_points"]) == ("back\\slash", "ru\\n", 400)
    assert Run.open(path).assignments.fetchall() == sample["before"].assignments.fetchall()


def first_line(layout: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=250, highlight=False).print(layout)
    return out.getvalue().splitlines()[0]


def test_a_run_with_a_change_in_it_begins_with_where_to_look(import_lines: Callable[..., Run]) -> None:
    run = import_lines(*(dns_result(n, timestamp=NOON + 60 * turn) for turn in range(10) for n in (1, 2)))
    assert workflow.show(run)["change"] is None
    assert first_line(terminal.show_run(workflow.show(run))).startswith(str(run.path))
    changed = replace(run, header=replace(run.header, change=Window(start=NOON + 120.0, end=NOON + 300.0)))
    told = workflow.show(changed)
    assert told["change"] == {"from": "2026-11-01T12:02:00Z", "to": "2026-11-01T12:05:00Z"}
    assert first_line(terminal.show_run(told)) == (
        "It holds a change at 2026-11-01T12:02:00Z, so these numbers mix both sides: see RUN[before], RUN[after], and "
        "show --convergence."
    )
    for window in (Window(end=NOON + 120.0), Window(start=NOON + 300.0)):
        assert workflow.show(changed, window)["change"] is None
    assert workflow.show(changed, Window(start=NOON + 200.0))["change"] is not None


def test_a_map_with_a_change_in_it_says_so_too() -> None:
    change = {"from": "2026-11-01T12:02:00Z", "to": "2026-11-01T12:05:00Z"}
    shown = first_line(terminal.show_files({"files": ["map.png"], "change": change}))
    assert shown.startswith("It holds a change at 2026-11-01T12:02:00Z, so this map mixes both sides: see RUN[before]")
    assert first_line(terminal.show_files({"files": ["map.png"], "change": None})) == "wrote map.png"


def test_own_vantage_points_are_asked_although_none_is_a_probe() -> None:
    own = Measurement(
        id=1, kind=Kind.DNS, target="192.0.2.53", af=4, query="hostname.bind", nsid=False, probes=None,
        vantage_points=("lab:1", "lab:2", "local:host"), start=0.0, stop=None, interval_s=None, reused=False,
    )  # fmt: skip
    others = replace(own, probes=(1, 2), vantage_points=None), replace(own, vantage_points=None)
    accepted = Accepted(tag="t", stage=Stage.NAMED, measurements=(own, *others))
    assert [one["asked"] for one in list_measurements(accepted)] == [3, 2, None]
