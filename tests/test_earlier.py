"""Campaigns that take over vantage points from earlier runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catchment import workflow
from catchment.errors import CatchmentError, InvalidRun, UnknownName
from catchment.model import INTERCEPTED, Verdict
from catchment.platforms.topology import host, make_world, write_topology
from catchment.services import bundled_service
from catchment.store import Run
from catchment.workflow.earlier import whom_asked
from catchment.workflow.planning import load_plan
from tests.campaigns import NOON

HOUR = 3600
HEAD = """
platform = "sandbox"
targets = [{ service = "demo-dns" }, { service = "demo-dns", af = 6 }]
queries = [{ kind = "dns" }]
resolve_names = false
"""


def campaign(folder: Path, name: str, text: str, **replaced: str) -> Path:
    head = HEAD
    for old, new in replaced.items():
        head = head.replace(old, new)
    file = folder / f"{name}.toml"
    file.write_text(f'name = "{name}"\n{head}{text}')
    return file


def run(file: Path, *, after_s: float = 0) -> Run:
    results = file.parent / "results"
    done = workflow.run_campaign(file, results, environ={}, clock=lambda: NOON + after_s)
    return Run.open(done.run)


def asked_by(measured: Run) -> dict[str, list[int]]:
    """Return whom a run asked, by target."""
    assert measured.accepted is not None
    return {one.target: sorted(one.probes or ()) for one in measured.accepted.measurements}


def verdicts(measured: Run) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for vantage, verdict in measured.assignments.project("vantage, verdict").fetchall():
        found.setdefault(int(vantage.removeprefix("atlas:")), set()).add(verdict)
    return found


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("earlier")
    return run(campaign(folder, "before", "vantage_points = { count = 300, seed = 4 }\n"))


def folder_of(measured: Run) -> Path:
    return measured.path.parent.parent.parent


def test_two_campaigns_of_one_seed_ask_the_same_vantage_points(before: Run) -> None:
    text = "vantage_points = { count = 300, seed = 4 }\n"
    again = run(campaign(folder_of(before), "again", text), after_s=HOUR)
    assert asked_by(again) == asked_by(before)
    assert len(asked_by(again)["198.51.100.53"]) == 300


def test_the_same_as_a_run_are_the_identical_set_in_each_family(before: Run) -> None:
    file = campaign(folder_of(before), "after", 'vantage_points = { same_as = "before" }\n')
    plan = workflow.plan_campaign(file, folder_of(before) / "results", now=NOON)
    after = run(file, after_s=HOUR)
    assert asked_by(after) == asked_by(before)
    assert len({len(ids) for ids in asked_by(after).values()}) == 2  # not everybody has IPv6
    assert plan["exact"]
    assert [one["probes"] for one in plan["measurements"]] == [len(ids) for ids in asked_by(before).values()]
    assert plan["probes"] == 300
    stored = after.header.plan
    assert stored is not None
    assert stored.vantage_points is not None
    assert stored.vantage_points.same_as == str(before.path)
    assert stored.vantage_points.asked == whom_asked(before.path)


@pytest.mark.parametrize("name", ["path", "before@2026-11-21T120000Z", "before[before]", "before[..2026-11-21T12:05Z]"])
def test_a_run_is_named_as_on_the_command_line(before: Run, name: str) -> None:
    same = str(before.path) if name == "path" else name
    file = campaign(folder_of(before), "named", f'vantage_points = {{ same_as = "{same}" }}\n')
    resolved, _, _ = load_plan(file, folder_of(before) / "results")
    assert resolved.vantage_points is not None
    assert resolved.vantage_points.asked == whom_asked(before.path)


def test_who_is_gone_is_asked_all_the_same_and_told(tmp_path: Path) -> None:
    world = host(make_world(3, vantage_points=80), bundled_service("demo-dns"), seed=3)
    here, gone = tmp_path / "here.toml", tmp_path / "gone.toml"
    write_topology(world, here)
    text = 'sandbox = {{ topology = "{}.toml" }}\nvantage_points = {}\n'
    first = run(campaign(tmp_path, "first", text.format("here", "{ count = 20 }")))
    asked = sorted({one for ids in asked_by(first).values() for one in ids})
    lost = asked[3]
    lines = here.read_text().splitlines()
    # Whoever is lost is in the topology still, but not connected.
    at = next(number for number, line in enumerate(lines) if f"id = {lost}," in line or line == f"id = {lost}")
    lines[at] = lines[at].replace(f"id = {lost}", f"id = {lost}, connected = false" if "," in lines[at] else lines[at])
    gone.write_text("\n".join(lines) + "\n")
    second = run(campaign(tmp_path, "second", text.format("gone", '{ same_as = "first" }')), after_s=HOUR)
    assert asked_by(second) == asked_by(first)
    assert second.accepted is not None
    assert any(
        f"1 of the 20 vantage points of {first.path} are not connected today, and are asked all the same: {lost}" in one
        for one in second.accepted.remarks
    )
    assert verdicts(second)[lost] == {Verdict.NO_RESULT}


def test_those_with_a_bad_verdict_are_left_out(before: Run) -> None:
    bad = {Verdict.MISLOCATED, Verdict.IMPOSSIBLE_RTT, *INTERCEPTED}
    blamed = {vantage for vantage, found in verdicts(before).items() if found & bad}
    assert len(blamed) > 3
    text = 'vantage_points = { count = 300, seed = 4, leave_out = { run = "before" } }\n'
    clean = run(campaign(folder_of(before), "clean", text), after_s=HOUR)
    asked = {one for ids in asked_by(clean).values() for one in ids}
    assert not asked & blamed
    # The others keep their places, and others yet take those of the blamed.
    assert {one for ids in asked_by(before).values() for one in ids} - blamed <= asked
    assert len(asked) == 300
    stored = clean.header.plan
    assert stored is not None
    assert stored.vantage_points is not None
    assert stored.vantage_points.leave_out is not None
    assert set(stored.vantage_points.leave_out.ids) == blamed


def test_which_verdicts_are_left_out_can_be_told(before: Run) -> None:
    leave_out = '{ run = "before", verdicts = ["ok", "repaired"], ids = [7] }'
    text = f"vantage_points = {{ count = 300, seed = 4, leave_out = {leave_out} }}\n"
    resolved, _, _ = load_plan(campaign(folder_of(before), "few", text), folder_of(before) / "results")
    assert resolved.vantage_points is not None
    assert resolved.vantage_points.leave_out is not None
    ok = {vantage for vantage, found in verdicts(before).items() if found & {"ok", "repaired"}}
    assert set(resolved.vantage_points.leave_out.ids) == ok | {7}


def test_without_the_results_nothing_is_looked_up(before: Run) -> None:
    file = campaign(folder_of(before), "unresolved", 'vantage_points = { same_as = "nobody" }\n')
    loaded, _, _ = load_plan(file)
    assert loaded.vantage_points is not None
    assert loaded.vantage_points.asked is None


@pytest.mark.parametrize(
    ("vantage_points", "error", "complaint"),
    [
        ('same_as = "bfore"', UnknownName, "key 'vantage_points.same_as': there is no run or campaign 'bfore' in .*"),
        ('same_as = "no/where"', InvalidRun, "key 'vantage_points.same_as': no/where: not a run"),
        ('leave_out = { run = "bfore" }', UnknownName, "key 'vantage_points.leave_out.run': .* did you mean 'before'"),
    ],
)
def test_a_run_that_is_not_there_is_told_with_the_key(
    before: Run, vantage_points: str, error: type[CatchmentError], complaint: str
) -> None:
    file = campaign(folder_of(before), "wrong", f"vantage_points = {{ {vantage_points} }}\n")
    with pytest.raises(error, match=complaint):
        workflow.plan_campaign(file, folder_of(before) / "results", now=NOON)


def test_the_sandbox_s_vantage_points_are_not_those_of_the_internet(before: Run) -> None:
    file = campaign(folder_of(before), "real", 'vantage_points = { same_as = "before" }\n', sandbox="atlas")
    with pytest.raises(InvalidRun, match="its vantage points are those of the sandbox, this campaign's are not"):
        load_plan(file, folder_of(before) / "results")


def test_an_imported_run_asked_all_whom_it_judged(sample: dict[str, Run]) -> None:
    judged: list[Any] = sample["before"].assignments.project("vantage").distinct().fetchall()
    asked = whom_asked(sample["before"].path)
    assert sorted(asked.v4) == sorted(int(vantage.removeprefix("atlas:")) for (vantage,) in judged)
    assert asked.v6 == ()
