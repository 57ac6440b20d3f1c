from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import catchment
from catchment import store
from catchment.campaign import Campaign, load_campaign
from catchment.errors import InvalidRun, UnknownName
from catchment.model import Kind, Window
from catchment.store import (
    Accepted,
    Measurement,
    Run,
    Stage,
    find_folder,
    new_run,
    split_window,
    stored_campaigns,
    stored_runs,
    window_between,
)
from tests.conftest import ROOT


def complete(path: Path, until: str) -> Path:
    path.mkdir(parents=True)
    (path / "metrics.json").write_text(json.dumps({"to": until}))
    (path / "campaign.json").write_text("{}")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    complete(tmp_path / "roots" / "zzz-first", "2026-11-01T00:00:00Z")
    complete(tmp_path / "roots" / "aaa-last", "2026-11-03T00:00:00Z")
    complete(tmp_path / "roots" / "middle", "2026-11-02T00:00:00Z")
    complete(tmp_path / "other" / "one", "2026-11-02T00:00:00Z")
    complete(tmp_path / "roots" / ".half.123.partial", "2026-11-09T00:00:00Z")
    (tmp_path / "roots" / "half").mkdir()
    return tmp_path


def test_runs_are_in_the_order_in_which_they_were_measured(root: Path) -> None:
    assert [path.name for path in stored_runs(root, "roots")] == ["zzz-first", "middle", "aaa-last"]
    assert [path.parent.name for path in stored_runs(root)] == ["other", "roots", "roots", "roots"]


@pytest.mark.parametrize(
    ("name", "run"),
    [("roots", "aaa-last"), ("roots~1", "middle"), ("roots~2", "zzz-first"), ("roots@middle", "middle")],
)
def test_a_name_leads_to_a_run(root: Path, name: str, run: str) -> None:
    assert find_folder(name, root) == root / "roots" / run


@pytest.mark.parametrize(
    "name", ["nothing", "roots~3", "roots~x", "roots~²", "ro*ts", "[a-z]oots", "~1", "", "..", ".half.123.partial"]
)
def test_a_name_that_leads_nowhere_is_one_line(root: Path, name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        find_folder(name, root)
    assert "\n" not in str(caught.value)


def test_a_run_too_far_back_is_answered_with_how_many_there_are(root: Path) -> None:
    with pytest.raises(UnknownName, match=r"'roots' has 3 complete runs, so 'roots~3' .*`catchment runs roots` lists"):
        find_folder("roots~3", root)
    with pytest.raises(UnknownName, match=r"'other' has 1 complete run, so 'other~1' names none"):
        find_folder("other~1", root)


def test_a_campaign_whose_runs_are_all_unfinished_has_none_to_name(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(UnknownName, match=r"has 0 complete runs, .*`catchment runs campaign` lists what is there"):
        find_folder("campaign", tmp_path)


def test_a_misspelt_campaign_is_answered_with_the_nearest(root: Path) -> None:
    with pytest.raises(UnknownName, match=r"no run or campaign 'rots' in .*: did you mean 'roots'\?$"):
        find_folder("rots", root)


@given(st.text(max_size=12) | st.from_regex(r"(roots|other|\.\.|\*)[~@]?.{0,3}", fullmatch=True))
def test_whatever_is_named_it_is_a_folder_or_one_problem(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        complete(Path(folder) / "results" / "roots" / "one", "2026-11-01T00:00:00Z")
        complete(Path(folder) / "outside" / "one", "2026-11-01T00:00:00Z")
        with suppress(UnknownName):
            found = find_folder(name, Path(folder) / "results")
            assert found.name == "one" or set(name) & set("/@")  # a path, or the run is named itself
        assert stored_campaigns(Path(folder) / "results") == ["roots"]


def test_campaigns_are_those_with_a_run_whole_or_not(root: Path) -> None:
    begun(root)
    assert stored_campaigns(root) == ["campaign", "other", "roots"]
    assert stored_campaigns(root / "nowhere") == []


def test_a_campaign_whose_name_looks_like_a_pattern_is_found_by_it(root: Path) -> None:
    path = complete(root / "ro[o]ts*" / "one", "2026-11-01T00:00:00Z")
    assert stored_runs(root, "ro[o]ts*") == [path]
    assert find_folder("ro[o]ts*", root) == path


def test_a_name_with_a_slash_is_a_path(root: Path) -> None:
    assert find_folder("./roots", root) == Path("./roots")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match="not a run"):
        Run.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 99}'])
def test_a_damaged_header_is_one_line(tmp_path: Path, text: str) -> None:
    path = complete(tmp_path / "run", "")
    (path / "campaign.json").write_text(text)
    with pytest.raises(InvalidRun) as caught:
        Run.open(path)
    assert "\n" not in str(caught.value)


def test_a_new_run_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "campaign" / "run"
    with new_run(place) as folder:
        (folder / "file").write_text("x")
        assert not place.exists()
    assert (place / "file").read_text() == "x"
    assert [path.name for path in place.parent.iterdir()] == ["run"]


def test_a_new_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="halfway"), new_run(tmp_path / "campaign" / "run") as folder:
        (folder / "file").write_text("x")
        raise RuntimeError("halfway")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T19:00Z", datetime(2026, 11, 21, 19, tzinfo=UTC)),
        ("2026-11-21T19:00", datetime(2026, 11, 21, 19, tzinfo=UTC)),
        ("2026-11-21 19:00:30", datetime(2026, 11, 21, 19, 0, 30, tzinfo=UTC)),
        ("2026-11-21T20:00+01:00", datetime(2026, 11, 21, 19, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("1426896503", datetime(2015, 3, 21, 0, 8, 23, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_they_say_else(text: str, expected: datetime) -> None:
    assert store.parse_time(text, None) == expected


def test_a_window_stands_in_brackets_behind_the_run() -> None:
    name, window = split_window("k-root[2026-11-21T19:00Z..2026-11-21T20:00Z]")
    assert name == "k-root"
    assert window == window_between("2026-11-21T19:00Z", "20:00")
    assert window.end is not None
    assert window.start is not None
    assert window.end - window.start == 3600


def test_a_window_may_be_open_on_a_side() -> None:
    assert split_window("a/b[..2026-11-21]")[1].start is None
    assert split_window("a/b[2026-11-21..]")[1].end is None
    assert split_window("a/b") == ("a/b", Window())


@pytest.mark.parametrize("name", ["leak[during]", "results/leak/run[]", "a/b[2026-11-21]"])
def test_what_is_no_window_is_told_what_may_stand_in_brackets(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"in brackets stands before, after, or FROM\.\.TO$"):
        store.find_run(name, tmp_path)


def test_a_time_of_day_is_after_the_start() -> None:
    window = window_between("2026-11-21T23:00Z", "01:00")
    assert window.start is not None
    assert window.end == window.start + 7200


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-21", "2026-11-20"),
        ("yesterday", None),
        (None, "25:00"),
        ("9" * 20, None),
        ("0001-01-01", None),
    ],
)
def test_a_window_that_makes_no_sense_is_one_line(start: str | None, end: str | None) -> None:
    with pytest.raises(UnknownName) as caught:
        window_between(start, end)
    assert "\n" not in str(caught.value)


def test_the_root_of_results_is_given_or_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATCHMENT_RESULTS", raising=False)
    assert store.results_root(None) == Path("results")
    monkeypatch.setenv("CATCHMENT_RESULTS", "/somewhere")
    assert store.results_root(None) == Path("/somewhere")
    assert store.results_root(Path("given")) == Path("given")


def test_from_python_a_run_is_tables(sample: dict[str, Run]) -> None:
    run = catchment.open_run(sample["before"].path)
    assert run.assignments.filter("verdict = 'ok'").aggregate("count(*)").fetchall()[0][0] > 300
    assert {"vantage", "target", "measured_at", "rtt_ms", "identity"} <= set(run.observations.columns)
    assert len(run.vantage_points.fetchall()) == 400
    assert run.metrics["targets"][0]["service"] == "example-dns"


def test_a_run_that_is_measured_stays_in_its_place_and_does_not_look_whole(tmp_path: Path) -> None:
    path = begun(tmp_path)
    with pytest.raises(InvalidRun, match=f"not all results are here yet: `catchment resume {path}` goes on"):
        Run.open(path)
    assert store.unfinished_runs(tmp_path) == [path]
    assert stored_runs(tmp_path) == []


def test_what_was_accepted_is_read_back(tmp_path: Path) -> None:
    path = begun(tmp_path)
    one = Measurement(
        id=1_000_001, kind=Kind.DNS, target="192.0.2.53", af=4, query="id.server", nsid=True, probes=(7, 8),
        start=1000.0, stop=None, interval_s=None, reused=False, part="v4-1",
    )  # fmt: skip
    other = replace(one, id=10301, target="192.0.2.54", probes=None, part=None, files=("10301.ndjson.gz",), results=0)
    accepted = Accepted(
        tag="t",
        stage=Stage.SCHEDULING,
        parts={"v4-1": (7, 8), "v6-1": (8,)},
        measurements=(one, other),
        unsure={"v6-1": 1234.5},
        remarks=("it rained",),
    )
    store.write_accepted(path, accepted)
    assert store.read_accepted(path) == accepted
    assert list(accepted.asked()) == [("atlas:7", "192.0.2.53"), ("atlas:8", "192.0.2.53")]


def test_a_damaged_list_of_measurements_is_one_line(tmp_path: Path) -> None:
    path = begun(tmp_path)
    head = '{"tag": "t", "stage": "collected", "measurements": '
    for text in ('{"stage": "dreaming"}', head + '[{"id": 1}]}', head + "[7]}", head + "[]}", head + "{}}", "[]", ""):
        (path / "measurements.json").write_text(text)
        with pytest.raises(InvalidRun, match=r"measurements\.json: .*damaged.*: measure the run anew"):
            store.read_accepted(path)


def test_a_discarded_run_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    path = begun(tmp_path / "results")
    store.discard_run([path, path.parent])
    assert list(tmp_path.rglob("*")) == [tmp_path / "results"]


def test_a_plan_survives_being_frozen_into_a_run(tmp_path: Path) -> None:
    plan = load_campaign(ROOT / "campaigns" / "sandbox.toml")
    assert store.read_header(begun(tmp_path, plan)).plan == plan


def test_what_a_killed_process_left_is_cleared_away_and_what_a_live_one_builds_is_not(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as alive:
        living, dead = tmp_path / f".run.{alive.pid}.partial", tmp_path / ".run.4194400.partial"
        for folder in (living, dead):
            folder.mkdir()
        with new_run(tmp_path / "run"):
            pass
        assert (living.exists(), dead.exists()) == (True, False)
        alive.kill()


def test_a_campaigns_name_is_its_latest_unfinished_run_to_go_on_with(root: Path) -> None:
    for name in ("begun-1", "begun-2"):
        (root / "roots" / name).mkdir()
        (root / "roots" / name / "campaign.json").write_text("{}")
    assert store.find_unfinished("roots", root) == root / "roots" / "begun-2"
    assert store.find_unfinished("other", root) == root / "other" / "one"
    assert store.find_unfinished("roots@middle", root) == root / "roots" / "middle"


def begun(root: Path, plan: Campaign | None = None) -> Path:
    path = root / "campaign" / "run"
    plan = plan or load_campaign(ROOT / "campaigns" / "k-root.toml")
    header = store.Header(
        campaign="campaign",
        platform="atlas",
        created="2026-11-21T19:00:00Z",
        catchment="0",
        services=(),
        targets=(),
        plan=plan,
    )
    store.begin_run(path, header)
    return path


# --- Names of routers


def test_names_of_routers_are_read_as_they_were_written(tmp_path: Path) -> None:
    store.write_hop_names(tmp_path, {"193.0.0.2": "b.example", "193.0.0.1": None}, resolved_at="2026-11-21T12:00:00Z")
    store.write_hop_names(tmp_path, {"2001:67c::1": "a.example"}, resolved_at="2026-11-22T12:00:00Z")
    assert store.read_hop_names(tmp_path) == [("193.0.0.2", "b.example"), ("2001:67c::1", "a.example")]
    assert store.load_hop_names(tmp_path) == store.HopNames(
        names={"193.0.0.1": None, "193.0.0.2": "b.example", "2001:67c::1": "a.example"}
    )
    assert [json.loads(line) for line in (tmp_path / "hop_names.ndjson").read_text().splitlines()] == [
        {"address": "193.0.0.1", "name": None, "resolved_at": "2026-11-21T12:00:00Z"},
        {"address": "193.0.0.2", "name": "b.example", "resolved_at": "2026-11-21T12:00:00Z"},
        {"address": "2001:67c::1", "name": "a.example", "resolved_at": "2026-11-22T12:00:00Z"},
    ]


def test_a_run_without_the_file_has_no_names_of_routers(tmp_path: Path) -> None:
    assert store.read_hop_names(tmp_path) == []


def test_of_two_names_the_later_counts(tmp_path: Path) -> None:
    for name in ("old.example", "new.example"):
        store.write_hop_names(tmp_path, {"193.0.0.1": name}, resolved_at="2026-11-21T12:00:00Z")
    assert store.read_hop_names(tmp_path) == [("193.0.0.1", "new.example")]


@pytest.mark.parametrize(
    "line",
    [b"{", b"null", b"5", b"[]", b"{}", b"\xff\xfe", b"\x00", b"[" * 4000, b"x" * 100_000, b'{"address": "193.0.0.9"}',
     b'{"name": "a.example"}', b'{"address": "nobody", "name": "a.example"}', b'{"address": 5.5, "name": "a.example"}',
     b'{"address": "193.0.0.9", "name": 5}', b'{"address": "193.0.0.9", "name": ""}',
     b'{"address": "193.0.0.9", "name": "\\u001b[31m"}', b'{"address": "193.0.0.9", "name": "\\u202e"}',
     b'{"address": "193.0.0.9", "name": "' + b"a" * 254 + b'"}'],
)  # fmt: skip
def test_a_damaged_line_of_names_is_told_and_costs_only_itself(tmp_path: Path, line: bytes) -> None:
    good = b'{"address": "193.0.0.1", "name": "a.example"}\n'
    (tmp_path / "hop_names.ndjson").write_bytes(good + b"\n" + line + b"\n" + good.replace(b".1", b".2"))
    found = store.load_hop_names(tmp_path)
    assert found.names == {"193.0.0.1": "a.example", "193.0.0.2": "a.example"}
    assert len(found.damaged) == 1
    assert found.damaged[0].startswith("line 3 is ")
    assert found.damaged[0].isprintable()


def test_after_a_line_that_was_cut_off_the_next_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "hop_names.ndjson"
    file.write_text('{"address": "193.0.0.1", "na')
    store.write_hop_names(tmp_path, {"193.0.0.2": "b.example"}, resolved_at="2026-11-21T12:00:00Z")
    assert store.read_hop_names(tmp_path) == [("193.0.0.2", "b.example")]


def test_names_that_cannot_be_opened_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "hop_names.ndjson").mkdir()
    with pytest.raises(InvalidRun, match="make it readable, or remove it"):
        store.read_hop_names(tmp_path)


def test_a_run_whose_routers_have_names_is_collected(tmp_path: Path) -> None:
    one = Measurement(
        id=7, kind=Kind.TRACEROUTE, target="192.0.2.53", af=4, query=None, nsid=False, probes=(7,), start=1000.0,
        stop=None, interval_s=None, reused=False, files=(),
    )  # fmt: skip
    store.write_accepted(tmp_path, Accepted(tag="t", stage=Stage.NAMED, measurements=(one,)))
    assert store.is_collected(tmp_path, store.read_accepted(tmp_path))
