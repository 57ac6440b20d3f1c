"""Campaigns run, stop, and go on: on the sandbox, and against servers that misbehave."""

from __future__ import annotations

import io
import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from catchment import store, terminal, workflow
from catchment.errors import CatchmentError, Interrupted, InvalidFile, InvalidRun, PlatformFailed
from catchment.model import Grouping, Verdict, Window
from catchment.platforms import connecting
from catchment.platforms.atlas.client import Atlas, Endpoint, PlatformUnsure, Refused, StreamBroken
from catchment.platforms.atlas.collecting import collect
from catchment.platforms.sandbox import Sandbox
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology import make_world
from catchment.platforms.topology.elements import Trouble
from catchment.store import Run, Stage
from catchment.workflow import measuring
from catchment.workflow.importing import Imported
from tests.atlas_server import KEY, PATIENCE_S, Answer, Bench, Fault, error, html, serving
from tests.campaigns import CAMPAIGN, NOON, ON_ATLAS, copied, interrupted, run, toward
from tests.conftest import ROOT


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "campaign.toml")


def tables(measured: Run, *, without: str = "") -> list[Any]:
    """Return all rows of the derived tables, without some columns."""
    left_out = {name.strip() for name in without.split(",")}
    return [
        relation.select(*(name for name in relation.columns if name not in left_out)).fetchall()
        for relation in (measured.observations, measured.assignments)
    ]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """Run a campaign undisturbed; who damages the run or goes on with it takes a copy."""
    file = tmp_path_factory.mktemp("whole") / "campaign.toml"
    file.write_text(CAMPAIGN)
    return workflow.run_campaign(file, file.parent / "results", environ={}, clock=lambda: NOON)


@pytest.fixture
def whole(done: Imported) -> Run:
    """Return the run of the undisturbed campaign."""
    return Run.open(done.run)


def test_a_run_on_the_sandbox_holds_everything_that_was_asked(whole: Run) -> None:
    measured = whole
    assert measured.header.platform == "sandbox"
    accepted = measured.accepted
    assert accepted is not None
    assert [(one.kind, len(one.probes or ())) for one in accepted.measurements] == [("dns", 60), ("ping", 60)]
    counts = measured.metrics["targets"][0]["vantage_points"]
    assert counts["total"] + counts["verdicts"].get(Verdict.NO_RESULT, 0) == 60
    assert measured.vantage_points.aggregate("count(*)").fetchall() == [(60,)]
    truth = [json.loads(line) for line in store.truth_file(measured.path).read_text().splitlines()]
    assert {f"atlas:{row['vantage']}" for row in truth} == {
        vantage for (vantage,) in measured.vantage_points.select("vantage").fetchall()
    }


def test_the_same_seed_gives_the_same_tables(tmp_path: Path, whole: Run) -> None:
    second = run(tmp_path)
    assert tables(second) == tables(whole)
    assert (second.path / "assignments/part-0.parquet").read_bytes() == (
        whole.path / "assignments/part-0.parquet"
    ).read_bytes()


def test_the_same_seed_at_another_time_gives_the_same_tables_but_for_the_times(tmp_path: Path, whole: Run) -> None:
    later = run(tmp_path, clock=lambda: NOON + 86_400 * 3 + 17)
    without = "window_start, window_end, measured_at, raw_record"  # lines come in the order of their times
    assert tables(whole, without=without) == tables(later, without=without)


def test_another_seed_gives_another_internet(tmp_path: Path, whole: Run) -> None:
    other = run(tmp_path, CAMPAIGN + "sandbox = { seed = 2 }\n")
    assert whole.vantage_points.fetchall() != other.vantage_points.fetchall()


def test_a_periodic_campaign_asks_every_round(tmp_path: Path) -> None:
    measured = run(tmp_path, CAMPAIGN + "schedule = { interval_s = 600, rounds = 3 }\n")
    most = measured.observations.filter("kind = 'dns'").aggregate("vantage, count(*) AS n").aggregate("max(n)")
    assert most.fetchall() == [(3,)]


def test_without_a_key_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(PlatformFailed, match=r"there is no API key.*set ATLAS_CREATE_KEY"):
        run(tmp_path, ON_ATLAS)
    assert left(tmp_path) == []


def test_a_wrong_key_is_one_line_and_leaves_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(PlatformFailed, match=r"401.*the key of ATLAS_CREATE_KEY must exist") as caught:
        run(tmp_path, ON_ATLAS, **toward(sandbox, key="a-wrong-key"))
    assert "a-wrong-key" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == ["sandbox"]


def test_the_key_is_stored_nowhere(tmp_path: Path, sandbox: Sandbox) -> None:
    measured = run(tmp_path, ON_ATLAS, **toward(sandbox))
    for file in measured.path.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes()


def test_a_budget_that_is_too_small_stops_the_run_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidFile,
        match=r"1,560 credits .*, 1 more than the 1,559 allowed: lower vantage_points.count to 59",
    ):
        run(tmp_path, CAMPAIGN + "budget = { credits = 1_559 }\n")
    assert left(tmp_path) == []


def test_a_place_that_is_taken_is_left_alone(tmp_path: Path, whole: Run) -> None:
    path = copied(whole.path, tmp_path)
    with pytest.raises(InvalidRun, match="exists already"):
        run(tmp_path)
    assert (path / "metrics.json").read_bytes() == (whole.path / "metrics.json").read_bytes()


def test_runs_are_named_by_campaign_and_time(tmp_path: Path, whole: Run) -> None:
    assert (whole.path.parent.name, whole.path.name) == ("small", "2026-11-21T120000Z")
    (tmp_path / "results" / "small" / whole.path.name).mkdir(parents=True)
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    second = workflow.run_campaign(tmp_path / "campaign.toml", tmp_path / "results", environ={}, clock=lambda: NOON)
    assert second.run.name == "2026-11-21T120000Z-2"


def test_a_campaign_with_a_typo_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="unknown key 'vantage_point': did you mean 'vantage_points'"):
        run(tmp_path, CAMPAIGN.replace("vantage_points", "vantage_point"))
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Fault.HANG, "no answer in time"),
        (Fault.RESET, "the connection broke off"),
        (html(), "web page"),
        (error(500, "Something is wrong"), "500"),
        (Answer(body=b"{", content_type="application/json"), "JSON"),
    ],
    ids=["hangs", "resets", "HTML", "500", "half an answer"],
)
def test_a_server_that_misbehaves_is_one_line_and_leaves_nothing(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: Answer | Fault, words: str
) -> None:

    def impatient(*words: Any, **options: Any) -> Atlas:
        return Atlas(*words, **{**options, "timeout_s": (PATIENCE_S, 0.1 if answer is Fault.HANG else PATIENCE_S)})

    monkeypatch.setattr(connecting, "Atlas", impatient)
    with serving(bench.authority, lambda _: answer) as server:
        environ = {connecting.SERVER: server.address, connecting.CA_FILE: str(bench.ca_file), "ATLASAUTH": "some-key"}
        (tmp_path / "empty").mkdir()
        with pytest.raises(PlatformFailed, match=words) as caught:
            run(tmp_path / "empty", ON_ATLAS, environ=environ, sleep=lambda _: None)
    assert "\n" not in str(caught.value)
    assert left(tmp_path / "empty") == []


def measurements_at(sandbox: Sandbox, tag: str) -> int:
    """Return how many measurements of a run the API has."""
    sandbox.clock.advance(3600)
    endpoint = Endpoint(server=sandbox.server, verify=str(sandbox.ca_file))
    with Atlas(endpoint, sleep=sandbox.clock.advance) as atlas:
        count = atlas.get("/measurements/", tags=tag)["count"]
    assert isinstance(count, int)
    return count


def test_an_answer_that_is_lost_is_found_again_and_the_run_goes_on(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, said = Atlas.create, list[str]()

    def lose(self: Atlas, *words: Any, **options: Any) -> list[int]:
        real(self, *words, **options)
        raise PlatformUnsure("the answer was lost")

    monkeypatch.setattr(Atlas, "create", lose)
    measured = run(tmp_path, ON_ATLAS, **toward(sandbox), say=said.append)
    assert any("the answer was lost: looking whether it was done" in line for line in said)
    assert measured.accepted is not None
    assert len(measured.accepted.measurements) == measurements_at(sandbox, measured.accepted.tag) == 2
    assert measured.metrics["targets"][0]["vantage_points"]["assigned"] > 40


def test_an_answer_lost_with_the_process_is_found_again_by_resume(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Atlas.create

    def die(self: Atlas, *words: Any, **options: Any) -> list[int]:
        real(self, *words, **options)
        raise KeyboardInterrupt

    options = toward(sandbox)
    with monkeypatch.context() as patched:
        patched.setattr(Atlas, "create", die)
        with pytest.raises(Interrupted, match=r"`catchment resume .*` goes on; `catchment stop .*` ends") as caught:
            run(tmp_path, ON_ATLAS, **options)
    path = tmp_path / "results" / "small" / "run"
    assert caught.value.run == path
    accepted = store.read_accepted(path)
    assert accepted is not None
    assert (len(accepted.unsure), accepted.measurements) == (1, ())
    done = workflow.resume_run(path, **options)
    assert measurements_at(sandbox, accepted.tag) == 2
    assert Run.open(done.run).metrics["targets"][0]["vantage_points"]["assigned"] > 40


def test_an_interrupted_run_does_not_look_whole_and_goes_on(tmp_path: Path, whole: Run) -> None:
    path = interrupted(tmp_path)
    for look in (Run.open, workflow.derive):
        with pytest.raises(InvalidRun, match="not all results are here yet: `catchment resume"):
            look(path)
    assert any("not all results are here yet" in line for line in workflow.list_runs(tmp_path / "results")["damaged"])
    workflow.resume_run(path, environ={}, clock=lambda: NOON + 5)
    assert tables(Run.open(path)) == tables(whole)


def test_a_run_stopped_while_it_was_judged_is_derived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("catchment.workflow.importing.measure", fail)
        with pytest.raises(Interrupted, match="the run is kept: `catchment resume"):
            run(tmp_path)
    path = tmp_path / "results" / "small" / "run"
    with pytest.raises(InvalidRun, match="`catchment derive"):
        Run.open(path)
    workflow.resume_run(path, environ={})
    assert Run.open(path).metrics["targets"]


@pytest.mark.parametrize("progress_of", ["complete", "imported"])
def test_what_cannot_be_gone_on_with_says_so(whole: Run, progress_of: str, sample: dict[str, Run]) -> None:
    path = whole.path if progress_of == "complete" else sample["before"].path
    with pytest.raises(InvalidRun, match="complete already" if progress_of == "complete" else "was imported"):
        workflow.resume_run(path, environ={})


def test_two_processes_never_work_on_one_run(tmp_path: Path, whole: Run) -> None:
    path = copied(whole.path, tmp_path)
    (path / "metrics.json").unlink()
    with store.locked(path):
        for work in (workflow.derive, lambda path: workflow.resume_run(path, environ={})):
            with pytest.raises(InvalidRun, match="another process is at work on it"):
                work(path)
    workflow.resume_run(path, environ={})
    assert Run.open(path).metrics["targets"]


def test_a_run_in_which_nobody_reports_is_a_run(tmp_path: Path) -> None:
    offline = [one.id for one in make_world(1).vantage_points if one.trouble is Trouble.OFFLINE and one.connected][:3]
    measured = run(tmp_path, CAMPAIGN.replace("count = 60", f"ids = {offline}, count = 3"))
    counts = measured.metrics["targets"][0]["vantage_points"]
    nobody = {"high": 0, "medium": 0, "low": 0}
    assert counts == {"total": 0, "assigned": 0, "verdicts": {Verdict.NO_RESULT: 3}, "confidence": nobody}
    (group,) = workflow.show(measured, by=Grouping.VERDICT)["targets"][0]["groups"]
    assert (group["key"], group["vantage_points"], group["shares"]) == (Verdict.NO_RESULT, 3, {})
    assert workflow.show(measured, by=Grouping.COUNTRY)["targets"][0]["groups"] == []
    console = Console(file=io.StringIO())
    console.print(terminal.show_run(workflow.show(measured)))


def test_a_file_of_results_that_got_lost_is_fetched_again(tmp_path: Path, whole: Run) -> None:
    path = copied(whole.path, tmp_path)
    (path / "metrics.json").unlink()
    (path / "raw" / "1000001.ndjson.gz").unlink()
    with pytest.raises(InvalidRun, match="not all results are here yet"):
        workflow.derive(path)
    workflow.resume_run(path, environ={}, clock=lambda: NOON)
    assert tables(Run.open(path)) == tables(whole)


def test_a_file_of_results_that_was_damaged_is_named_and_can_be_fetched_again(tmp_path: Path, whole: Run) -> None:
    path = copied(whole.path, tmp_path)
    file = path / "raw" / "1000001.ndjson.gz"
    for damage in (b"", b"hello", file.read_bytes()[:500]):
        file.write_bytes(damage)
        with pytest.raises(InvalidRun, match=r"1000001\.ndjson\.gz: damaged .*: remove it, and `catchment resume"):
            workflow.derive(path)
    file.unlink()
    workflow.resume_run(path, environ={}, clock=lambda: NOON)
    assert tables(Run.open(path)) == tables(whole)


def test_vantage_points_that_are_left_out_are_named(tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(CAMPAIGN.replace("count = 60", 'count = 10, ids = [99999999], countries = ["DE"]'))
    done = workflow.run_campaign(file, tmp_path, environ={}, clock=lambda: NOON)
    assert any("99999999" in warning for warning in done.warnings)
    assert any("99999999" in warning for warning in workflow.derive(done.run).warnings)


def test_whom_a_family_does_not_reach_is_told_and_stays_told(tmp_path: Path) -> None:
    world = {one.id: one.ipv6 for one in make_world(1).vantage_points}
    both = CAMPAIGN.replace('"demo-dns" }', '"demo-dns" }, { service = "demo-dns", af = 6 }')
    file = tmp_path / "campaign.toml"
    file.write_text(both)
    done = workflow.run_campaign(file, tmp_path, environ={}, clock=lambda: NOON)
    asked = [
        int(vantage.removeprefix("atlas:")) for (vantage,) in Run.open(done.run).vantage_points["vantage"].fetchall()
    ]
    lacking = sum(not world[number] for number in asked)
    said = f"{lacking} of 60 vantage points have no working IPv6 and were not asked about 2001:db8:53::53"
    assert lacking > 10
    assert said in done.warnings
    assert said in workflow.derive(done.run).warnings


def test_a_campaign_of_ipv4_alone_leaves_nobody_out(done: Imported) -> None:
    assert not any("not asked" in warning for warning in done.warnings)


def test_a_one_off_that_few_answered_says_so(tmp_path: Path) -> None:
    world = make_world(1).vantage_points
    offline = [one.id for one in world if one.trouble is Trouble.OFFLINE and one.connected][:3]
    file = tmp_path / "campaign.toml"
    file.write_text(CAMPAIGN.replace("count = 60", f'count = 5, ids = {offline}, countries = ["DE"]'))
    done = workflow.run_campaign(file, tmp_path, environ={}, clock=lambda: NOON)
    few = "2 of 5 vantage points answered, and no more were waited for; its status is"
    assert sum(few in line for line in done.warnings) == 2
    # Also where the files were there already.
    (done.run / "metrics.json").unlink()
    accepted = store.read_accepted(done.run)
    assert accepted is not None
    store.write_accepted(done.run, replace(accepted, stage=Stage.SCHEDULED, remarks=()))
    again = workflow.resume_run(done.run, environ={}, clock=lambda: NOON + 1000)
    assert sum(few in line for line in again.warnings) == 2


def test_a_run_goes_on_with_the_topology_of_the_file_that_it_began_with(tmp_path: Path, whole: Run) -> None:
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    workflow.save_topology(tmp_path / "campaign.toml", tmp_path / "world.toml")
    path = interrupted(tmp_path, CAMPAIGN + 'sandbox = { topology = "world.toml" }')
    (tmp_path / "world.toml").write_text("")
    workflow.resume_run(path, environ={}, clock=lambda: NOON + 5)
    assert tables(Run.open(path)) == tables(whole)


def test_a_topology_and_a_service_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    workflow.save_topology(tmp_path / "campaign.toml", tmp_path / "world.toml")
    text = (tmp_path / "world.toml").read_text().replace("198.51.100.53", "198.51.100.54")
    (tmp_path / "world.toml").write_text(text)
    with pytest.raises(InvalidFile, match=r"198\.51\.100\.53 is no address of 'demo-dns', which has 198\.51\.100\.54"):
        run(tmp_path, CAMPAIGN + 'sandbox = { topology = "world.toml" }')


def test_a_sandbox_whose_journal_is_lost_is_not_gone_on_with(tmp_path: Path, whole: Run) -> None:
    path = copied(whole.path, tmp_path)
    for lost in (path / "metrics.json", path / "raw" / "1000001.ndjson.gz", store.journal_file(path)):
        lost.unlink()
    with pytest.raises(InvalidRun, match=r"sandbox\.ndjson is lost.*: remove the folder, and run the campaign anew$"):
        workflow.resume_run(path, environ={})


def test_interrupted_before_anything_was_asked_leaves_nothing(tmp_path: Path) -> None:
    def press_ctrl_c(_: str, __: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="nothing is left behind"):
        run(tmp_path, progress=press_ctrl_c)
    assert left(tmp_path) == []


def test_a_process_that_is_ended_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(
        CAMPAIGN.replace("60", "300") + "schedule = { interval_s = 60, rounds = 9 }"
    )
    words = ["run", "campaign.toml", "--out", "results/small/run"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-c", "from catchment.cli import main; main()", *words]
    path = tmp_path / "results" / "small" / "run"
    with subprocess.Popen(program, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as process:
        file = path / "measurements.json"
        while not (file.exists() and '"part": "v4-1"' in file.read_text()):
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        _, said = process.communicate(timeout=100)
    assert (process.returncode, len(said.splitlines())) == (130, 1)
    assert "interrupted; the run is kept: `catchment resume results/small/run` goes on" in said
    assert not (path / "metrics.json").exists()
    workflow.resume_run(path, environ={})
    accepted = [line for line in store.journal_file(path).read_text().splitlines() if '"accepted"' in line]
    assert len(accepted) == 1
    # 9 rounds of two measurements from all that report, each counted once.
    counted = Run.open(path).observations.aggregate("vantage, kind, count(*) AS n").aggregate("min(n), max(n)")
    assert counted.fetchall() == [(9, 9)]


def test_an_outage_is_waited_out_while_the_measurements_go_on(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, said = list[float](), list[str]()

    def break_off(*words: Any, **options: Any) -> Any:
        if len(failed) < 3:
            failed.append(sandbox.clock.now())
            raise StreamBroken("the network is gone")
        return collect(*words, **options)

    monkeypatch.setattr(measuring, "collect", break_off)
    text = ON_ATLAS + "schedule = { interval_s = 600, rounds = 4 }\n"
    measured = run(tmp_path, text, **toward(sandbox), say=said.append)
    assert [after - before for before, after in itertools.pairwise(failed)] == [300, 300]
    assert (
        sum("the network is gone; the measurements go on: looking again every 5 minutes" in line for line in said) == 1
    )
    assert measured.metrics["targets"][0]["vantage_points"]["assigned"] > 40


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_not_waited_out(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Refused("no", status)

    monkeypatch.setattr(measuring, "collect", refuse)
    text = ON_ATLAS + "schedule = { interval_s = 600, rounds = 4 }\n"
    with pytest.raises(PlatformFailed, match="no; the run is kept"):
        run(tmp_path, text, **toward(sandbox))


REUSE = """
name = "small"
platform = "atlas"
targets = [{ service = "k-root" }]
reuse = [10301, 1001]
"""


def test_public_measurements_are_read_without_a_key(tmp_path: Path, sandbox: Sandbox) -> None:
    measured = run(tmp_path, REUSE, **toward(sandbox))
    # A quarter of an hour, and the time that results take to be there.
    assert (measured.metrics["from"], measured.metrics["to"]) == ("2026-11-21T11:43:00Z", "2026-11-21T11:58:00Z")
    target = measured.metrics["targets"][0]
    assert target["vantage_points"]["assigned"] > 200
    assert Verdict.NO_RESULT not in target["vantage_points"]["verdicts"]
    assert target["pings"]["answered"] > target["vantage_points"]["assigned"]
    placed = measured.vantage_points.filter("latitude IS NOT NULL").aggregate("count(*)").fetchall()
    # Where they are is looked up; a few tell nobody.
    assert 0.97 < placed[0][0] / target["vantage_points"]["total"] <= 1


def test_public_measurements_are_read_from_some_vantage_points_only(tmp_path: Path, sandbox: Sandbox) -> None:
    measured = run(tmp_path, REUSE + 'vantage_points = { count = 20, countries = ["DE", "US"] }', **toward(sandbox))
    counts = measured.metrics["targets"][0]["vantage_points"]
    assert counts["total"] + counts["verdicts"].get(Verdict.NO_RESULT, 0) == 20
    countries = {country for (country,) in measured.vantage_points.select("country").fetchall()}
    assert countries == {"DE", "US"}


def test_a_measurement_of_something_else_is_not_trusted(tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(CatchmentError, match=r"10301 asks 193\.0\.14\.129 over IPv4, no target"):
        run(tmp_path, REUSE.replace('"k-root"', '"b-root"'), **toward(sandbox))
    assert left(tmp_path) == ["sandbox"]


def test_a_sandbox_in_which_a_site_is_unknown_is_one_line(tmp_path: Path) -> None:
    changes = 'sandbox = { changes = [{ change = "withdraw", site = "fr" }] }'
    with pytest.raises(CatchmentError, match=r"'fr'.*fra"):
        run(tmp_path, CAMPAIGN + changes)
    assert left(tmp_path) == []


def test_a_map_counts_whom_it_cannot_draw(tmp_path: Path) -> None:
    world = make_world(1).vantage_points
    placeless = [one.id for one in world if one.placeless and one.connected and one.public][:3]
    text = CAMPAIGN.replace("count = 60", f'count = 20, ids = {placeless}, countries = ["DE"]')
    measured = run(tmp_path, text)
    for sides in ([(measured, Window())], [(measured, Window()), (measured, Window())]):
        (file,) = workflow.draw_map(sides, tmp_path / "map.svg")
        assert "(3 vantage points without a place are not drawn)" in file.read_text()


def test_a_sandbox_that_fails_says_that_it_is_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by mistake")

    monkeypatch.setattr(Internet, "dns", fail)
    with pytest.raises(PlatformFailed, match=r"the sandbox itself failed \(ZeroDivisionError\('by mistake'\)\)"):
        run(tmp_path)


def test_the_windows_before_and_after_a_change_in_one_run_are_compared(tmp_path: Path) -> None:
    changes = 'sandbox = { seed = 10, changes = [{ change = "withdraw", site = "fra", after_s = 480 }] }'
    text = CAMPAIGN.replace("60", "300") + "schedule = { interval_s = 240, rounds = 4 }\n" + changes
    measured = run(tmp_path, text)
    sides = (measured, Window(end=NOON + 480)), (measured, Window(start=NOON + 480))
    target = workflow.compare_runs(*sides)["targets"][0]
    fra = next(site for site in target["sites"] if site["site"] == "fra")
    assert fra["before"] == fra["left"] > 30
    assert fra["after"] == 0
