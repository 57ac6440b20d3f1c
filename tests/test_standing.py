"""How far a run is that is not whole: from its own files, and from what RIPE Atlas says."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from rich.console import Console

from catchment import store, terminal, workflow
from catchment.errors import InvalidRun, PlatformFailed, UnknownName
from catchment.model import Window
from catchment.platforms import connecting
from catchment.platforms.atlas.scheduling import START_AFTER_S
from catchment.platforms.sandbox import Sandbox
from catchment.store import Run
from tests.campaigns import CAMPAIGN, NOON, ON_ATLAS, copied, interrupted, run, sandbox_in, toward


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a campaign to its end."""
    return run(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interrupt a run on RIPE Atlas that waits for its results."""
    folder = tmp_path_factory.mktemp("cut")
    with sandbox_in(folder / "sandbox") as sandbox:
        return interrupted(folder, ON_ATLAS, **toward(sandbox))


def laid_out(numbers: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal.show_unfinished(numbers))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_unfinished_run_shows_what_was_asked_and_what_the_api_says_now(tmp_path: Path, sandbox: Sandbox) -> None:
    path = interrupted(tmp_path, ON_ATLAS, **toward(sandbox))
    options = toward(sandbox, key=None)
    sandbox.clock.advance(START_AFTER_S + 10)
    shown = workflow.show_unfinished(path, **options)
    assert shown["stage"] == "scheduled"
    assert [(one["kind"], one["query"], one["asked"]) for one in shown["measurements"]] == [
        ("dns", "hostname.bind", 60),
        ("ping", None, 60),
    ]
    assert {one["status"] for one in shown["measurements"]} == {"Ongoing"}
    sandbox.clock.advance(3600)
    later = workflow.show_unfinished(path, **options)
    assert {one["status"] for one in later["measurements"]} == {"Stopped"}
    assert "dns hostname.bind" in laid_out(later)
    assert f"To go on: catchment resume {path}" in laid_out(later).replace("\n", "")


def test_where_the_api_is_out_of_reach_the_rest_is_shown(cut_short: Path) -> None:
    environ = {connecting.SERVER: "127.0.0.1:1"}
    shown = workflow.show_unfinished(cut_short, environ=environ, clock=lambda: NOON, sleep=lambda _: None)
    assert "the connection was refused" in shown["trouble"]
    assert [one["status"] for one in shown["measurements"]] == [None, None]
    assert "Its present status is not known" in laid_out(shown)


def test_a_run_that_asked_and_does_not_know_says_so(tmp_path: Path, cut_short: Path) -> None:
    path = copied(cut_short, tmp_path)
    accepted = store.read_accepted(path)
    assert accepted is not None
    unsure = store.Accepted(tag=accepted.tag, stage=store.Stage.SCHEDULING, unsure={"v4-1": NOON})
    store.write_accepted(path, unsure)
    shown = workflow.show_unfinished(path, environ={})
    assert (shown["stage"], shown["unsure"], shown["measurements"]) == ("scheduling", ["v4-1"], [])
    assert "not known what came of it: part v4-1" in laid_out(shown)


def test_a_whole_run_tells_what_came_of_its_measurements(whole: Run) -> None:
    numbers = workflow.show(whole)
    assert [(one["kind"], one["asked"], one["reused"]) for one in numbers["measurements"]] == [
        ("dns", 60, False),
        ("ping", 60, False),
    ]
    for one in numbers["measurements"]:
        assert 50 < one["participants"] == one["results"] <= 60


def test_each_measurement_costs_by_what_it_asks(tmp_path: Path) -> None:
    queries = """
queries = [
  { kind = "dns" }, { kind = "dns", protocol = "TCP" }, { kind = "ping" }, { kind = "ping", packets = 5 },
]
"""
    measured = run(tmp_path, CAMPAIGN.replace("vantage_points", queries + "vantage_points"))
    shown = workflow.show(measured)["measurements"]
    # RIPE Atlas documentation, "Credit system": DNS 10, over TCP 20, ping 1 a packet; a one-off costs twice.
    assert [one["credits"] / one["results"] for one in shown] == [20, 40, 6, 10]


def test_an_import_is_not_measured_and_says_so(sample: dict[str, Run]) -> None:
    with pytest.raises(InvalidRun, match="was imported, not measured"):
        workflow.show_unfinished(sample["before"].path, environ={})
    assert workflow.show(sample["before"])["measurements"] == []


def test_show_names_a_run_by_its_path_or_as_the_only_one_of_its_campaign(
    tmp_path: Path, catchment: Callable[..., CompletedProcess[str]]
) -> None:
    path = interrupted(tmp_path)
    for name in (str(path), "small"):
        shown = catchment("show", name, "--json", "--results", str(tmp_path / "results"))
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["stage"] == "scheduled"
    workflow.resume_run(path, environ={}, clock=lambda: NOON)
    assert "stage" not in json.loads(catchment("show", str(path), "--json").stdout)


def test_the_windows_around_a_planned_change_have_names(tmp_path: Path) -> None:
    schedule = """
schedule = { interval_s = 240, change_at = 2026-11-21T12:30:00Z, before_s = 960, after_s = 960, settle_s = 240 }
sandbox = { seed = 10, changes = [{ change = "withdraw", site = "fra", after_s = 1800 }] }
"""
    measured = run(tmp_path, CAMPAIGN.replace("60", "300") + schedule)
    change = NOON + 1800
    root = tmp_path / "results"
    assert [store.find_run(f"{measured.path}[{side}]", root)[1] for side in ("before", "after")] == [
        Window(end=change),
        Window(start=change + 240),
    ]
    sides = [store.find_run(f"small[{side}]", root) for side in ("before", "after")]
    fra = next(one for one in workflow.compare_runs(*sides)["targets"][0]["sites"] if one["site"] == "fra")
    assert fra["before"] == fra["left"] > 30
    assert fra["after"] == 0


def test_a_run_without_a_planned_change_has_no_window_of_that_name(tmp_path: Path, whole: Run) -> None:
    with pytest.raises(UnknownName, match=r"has no `schedule.change_at`"):
        store.find_run(f"{whole.path}[before]", tmp_path)


def test_a_failure_after_something_was_asked_names_both_ways_on(tmp_path: Path, sandbox: Sandbox) -> None:
    def break_off(text: str, _: float) -> None:
        if "answered" in text:
            raise PlatformFailed("the network is gone")

    with pytest.raises(PlatformFailed, match=r"gone; the run is kept: `catchment resume .*`catchment stop .*` ends"):
        run(tmp_path, ON_ATLAS, progress=break_off, **toward(sandbox))
