"""What is stored, and how a campaign that is not there is answered."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from catchment import workflow
from catchment.errors import UnknownName
from catchment.store import Run

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
