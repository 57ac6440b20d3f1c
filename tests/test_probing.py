"""Campaigns that this host measures itself: rounds, what an interruption keeps, and what the run can be asked then."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catchment import store, workflow
from catchment.errors import Interrupted, InvalidFile, InvalidRun, UnknownName
from catchment.model import Kind, Window
from catchment.store import Run
from catchment.workflow import probing
from catchment.workflow.probing import vantage_name
from tests.campaigns import NOON
from tests.pretended_packets import FakeClock, PretendedPackets

CAMPAIGN = """
name = "here"
platform = "local"
targets = [{ service = "demo-dns" }]
resolve_names = false
local = { name = "desk", place = "Berlin, DE" }
"""
EVERY_MINUTE = CAMPAIGN + "schedule = { interval_s = 60, rounds = 4 }\n"


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> PretendedPackets:
    """Let campaigns measure with packets that nobody sends."""
    pretended = PretendedPackets()
    monkeypatch.setattr(probing, "measure_round_here", pretended)
    return pretended


def run(folder: Path, text: str, packets: PretendedPackets, **options: Any) -> Run:
    """Run a campaign to its end, as `results/here/run` below a folder."""
    file = folder / "campaign.toml"
    file.write_text(text)
    out = folder / "results" / "here" / "run"
    options = {"environ": {}, "clock": packets.clock.now, "sleep": packets.clock.sleep, **options}
    return Run.open(workflow.run_campaign(file, folder / "results", out, **options).run)


def resumed(path: Path, packets: PretendedPackets) -> Run:
    clock = packets.clock
    return Run.open(workflow.resume_run(path, environ={}, clock=clock.now, sleep=clock.sleep).run)


def interrupted_at(folder: Path, text: str, packets: PretendedPackets, time: float) -> Path:
    """Run a campaign, and press Ctrl-C when it is so late."""

    def press_ctrl_c(_: str, __: float) -> None:
        if packets.clock.time >= time:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"^interrupted; the run is kept: `catchment resume .*` goes on; or remove"):
        run(folder, text, packets, progress=press_ctrl_c)
    return folder / "results" / "here" / "run"


def rounds_of(run: Run) -> dict[int, Counter[str]]:
    """Return how many observations of each kind there are, by the minute in which they were measured."""
    rows = run.observations.project("kind, measured_at").fetchall()
    found: dict[int, Counter[str]] = {}
    for kind, at in rows:
        found.setdefault(int((at - NOON) // 60), Counter())[kind] += 1
    return found


def remarks_of(run: Run) -> tuple[str, ...]:
    assert run.accepted is not None
    return run.accepted.remarks


def test_a_campaign_from_this_host_tells_its_site_and_how_far_that_is(
    tmp_path: Path, packets: PretendedPackets
) -> None:
    measured = run(tmp_path, CAMPAIGN, packets)
    (row,) = measured.assignments.project("vantage, verdict, site, nearest_site, rtt_ms_min, ping_ms_min").fetchall()
    assert row == ("local:desk", "ok", "fra", "fra", 12.0, 11.5)
    (point,) = measured.vantage_points.fetchall()
    assert point[0] == "local:desk"
    assert point[1:3] == pytest.approx((52.3622, 13.5007), abs=0.01)  # of the airport that the town has since 2020
    assert point[3] == "DE"
    assert measured.header.platform == "local"
    assert not packets.clock.time > NOON + 1  # who asks once need not wait


def test_rounds_begin_when_they_are_due(tmp_path: Path, packets: PretendedPackets) -> None:
    measured = run(tmp_path, EVERY_MINUTE, packets)
    begun = [at - NOON for kind, _, at in packets.sent if kind is Kind.DNS]
    assert begun == pytest.approx([0, 60, 120, 180])
    assert rounds_of(measured) == {minute: {"dns": 1, "ping": 1} for minute in range(4)}
    assert remarks_of(measured) == ()


def test_a_start_to_come_is_waited_for(tmp_path: Path, packets: PretendedPackets) -> None:
    schedule = "schedule = { interval_s = 60, rounds = 2, start = 2026-11-21T12:10:00Z }\n"
    run(tmp_path, CAMPAIGN + schedule, packets)
    assert [at - NOON for kind, _, at in packets.sent if kind is Kind.DNS] == pytest.approx([600, 660])


def test_around_a_change_the_two_sides_can_be_compared(tmp_path: Path, packets: PretendedPackets) -> None:
    change = NOON + 240
    packets.identify = lambda _, __: f"{'ams' if packets.clock.time > change else 'fra'}1.demo-dns.example"
    schedule = "change_at = 2026-11-21T12:04:00Z, interval_s = 60, before_s = 120, after_s = 120"
    measured = run(tmp_path, f"{CAMPAIGN}schedule = {{ {schedule} }}\n", packets)
    sides = [store.find_run(f"{measured.path}[{side}]", tmp_path) for side in ("before", "after")]
    (target,) = workflow.compare_runs(*sides)["targets"]
    assert [(move["from"], move["to"]) for move in target["moves"]] == [("fra", "ams")]


def test_what_was_measured_survives_an_interruption_and_the_rest_is_measured_then(
    tmp_path: Path, packets: PretendedPackets
) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 90)
    files = sorted((path / "raw").iterdir())
    assert [len(file.read_text().splitlines()) for file in files] == [2, 2]
    packets.clock.time = NOON + 110
    measured = resumed(path, packets)
    assert rounds_of(measured) == {minute: {"dns": 1, "ping": 1} for minute in range(4)}
    assert remarks_of(measured) == ()


def test_rounds_that_pass_meanwhile_are_counted_and_not_made_up_for(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 30)
    packets.clock.time = NOON + 181
    measured = resumed(path, packets)
    assert sorted(rounds_of(measured)) == [0, 3]
    assert remarks_of(measured) == ("2 of 4 rounds were missed: nothing was measured while their time passed",)


def test_a_round_that_was_broken_off_goes_on_with_what_it_lacks(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 60)  # with the answer of the second round
    assert sorted(len(file.read_text().splitlines()) for file in (path / "raw").iterdir()) == [1, 2]
    packets.clock.time = NOON + 100
    assert rounds_of(resumed(path, packets)) == {minute: {"dns": 1, "ping": 1} for minute in range(4)}


def test_a_round_that_is_not_whole_when_its_time_has_passed_is_told(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 60)
    packets.clock.time = NOON + 150
    measured = resumed(path, packets)
    assert rounds_of(measured) == {
        0: {"dns": 1, "ping": 1},
        1: {"dns": 1},
        2: {"dns": 1, "ping": 1},
        3: {"dns": 1, "ping": 1},
    }
    assert remarks_of(measured) == (
        "1 of 4 rounds are incomplete: they were broken off, and their time passed",
        "1 of 4 rounds began late, by up to 30 s",
    )


def test_rounds_that_take_too_long_make_others_late_and_it_is_told(tmp_path: Path, packets: PretendedPackets) -> None:
    packets.per_packet_s = 35.0  # two measurements: 70 s, of 60
    measured = run(tmp_path, EVERY_MINUTE, packets)
    begun = [at - NOON for kind, _, at in packets.sent if kind is Kind.DNS]
    assert begun == [0, 70, 140, 210]
    assert remarks_of(measured) == ("3 of 4 rounds began late, by up to 30 s",)


def test_a_result_is_of_the_round_in_which_it_was_asked_for_however_long_that_takes(
    tmp_path: Path, packets: PretendedPackets
) -> None:
    packets.per_packet_s = 70.0  # the ping of the first round leaves when the second one should begin
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 70)
    assert [kind for kind, *_ in packets.sent] == [Kind.DNS, Kind.PING]
    packets.per_packet_s, packets.clock.time = 0.001, NOON + 80
    resumed(path, packets)
    later = [(kind, int((at - NOON) // 60)) for kind, _, at in packets.sent[2:]]
    assert later == [(kind, number) for number in (1, 2, 3) for kind in (Kind.DNS, Kind.PING)]


def test_results_that_do_not_say_of_which_round_they_are_tell_it_by_their_time(
    tmp_path: Path, packets: PretendedPackets
) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 90)
    for file in (path / "raw").iterdir():
        results = [json.loads(line) for line in file.read_text().splitlines()]
        assert [result.pop("round") for result in results] == [0, 1]
        file.write_text("".join(json.dumps(result) + "\n" for result in results))
    assert rounds_of(resumed(path, packets)) == {minute: {"dns": 1, "ping": 1} for minute in range(4)}


@pytest.mark.parametrize("damage", [b"no JSON\n", b"{}\n", b'{"timestamp": []}\n'])
def test_a_damaged_file_is_told_in_a_line(tmp_path: Path, packets: PretendedPackets, damage: bytes) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 30)
    file = next((path / "raw").iterdir())
    file.write_bytes(file.read_bytes() + damage)
    with pytest.raises(InvalidRun, match="measure the run anew") as raised:
        resumed(path, packets)
    assert "\n" not in str(raised.value)


def test_lines_of_zeros_after_a_loss_of_power_are_no_results(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 30)
    for file in (path / "raw").iterdir():
        file.write_bytes(file.read_bytes() + bytes(40) + b"\n")
    assert rounds_of(resumed(path, packets)) == {minute: {"dns": 1, "ping": 1} for minute in range(4)}


def test_what_was_asked_once_is_asked_again_however_late(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, CAMPAIGN, packets, NOON)  # with the first answer
    packets.clock.time = NOON + 86_400
    assert rounds_of(resumed(path, packets)) == {0: {"dns": 1}, 1440: {"ping": 1}}


def test_half_a_line_that_a_crash_left_is_measured_anew(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 30)
    for file in (path / "raw").iterdir():
        file.write_bytes(file.read_bytes()[:-20])
    packets.clock.time = NOON + 40
    assert rounds_of(resumed(path, packets)) == {minute: {"dns": 1, "ping": 1} for minute in range(4)}


def test_a_run_whose_time_is_over_is_whole_with_what_it_has(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 30)
    packets.clock.time = NOON + 86_400
    measured = resumed(path, packets)
    assert rounds_of(measured) == {0: {"dns": 1, "ping": 1}}
    with pytest.raises(InvalidRun, match="complete already"):
        resumed(path, packets)


def test_a_run_that_was_finished_and_not_noted_measures_nothing_again(
    tmp_path: Path, packets: PretendedPackets
) -> None:
    measured = run(tmp_path, EVERY_MINUTE, packets)
    assert measured.accepted is not None
    sent = len(packets.sent)
    store.write_accepted(measured.path, replace(measured.accepted, stage=store.Stage.SCHEDULED))
    (measured.path / "metrics.json").unlink()
    again = resumed(measured.path, packets)
    assert len(packets.sent) == sent
    assert rounds_of(again) == {minute: {"dns": 1, "ping": 1} for minute in range(4)}


def test_only_one_process_works_on_a_run(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 30)
    with store.locked(path), pytest.raises(InvalidRun, match="another process is at work on it"):
        resumed(path, packets)


def test_each_round_is_on_the_disk_before_the_next_is_waited_for(tmp_path: Path, packets: PretendedPackets) -> None:
    path = tmp_path / "results" / "here" / "run"
    lines: list[int] = []

    def count(text: str, _: float) -> None:
        if "begins at" in text:
            lines.append(sum(len(file.read_text().splitlines()) for file in (path / "raw").glob("*.ndjson")))

    run(tmp_path, EVERY_MINUTE, packets, progress=count)
    assert sorted(set(lines)) == [2, 4, 6]


def test_the_pace_of_the_campaign_is_kept(tmp_path: Path, packets: PretendedPackets) -> None:
    run(tmp_path, CAMPAIGN.replace('name = "desk"', 'name = "desk", rate_per_s = 2.5'), packets)
    assert packets.rates == [2.5]


@pytest.mark.parametrize(
    ("given", "name"),
    [("Desk", "local:desk"), ("a b/c", "local:a-b-c"), ("..", "local:host"), ("x" * 99, "local:" + "x" * 63)],
)
def test_a_host_has_a_name_that_fits_into_commands(given: str, name: str) -> None:
    assert vantage_name(given) == name


def test_a_host_without_a_name_is_called_as_the_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Büro.Example")
    assert vantage_name(None) == "local:b-ro.example"


def test_a_host_without_a_place_has_no_distances(tmp_path: Path, packets: PretendedPackets) -> None:
    measured = run(tmp_path, CAMPAIGN.replace(', place = "Berlin, DE"', ""), packets)
    assert measured.assignments.project("site, distance_km, nearest_km").fetchall() == [("fra", None, None)]


def test_a_place_of_which_there_are_several_leaves_no_run(tmp_path: Path, packets: PretendedPackets) -> None:
    with pytest.raises(UnknownName, match="'Berlin' may be 'Berlin, DE' or 'Berlin, US': say which"):
        run(tmp_path, CAMPAIGN.replace("Berlin, DE", "Berlin"), packets)
    assert not (tmp_path / "results").exists()
    assert packets.sent == []


def test_rounds_that_take_longer_than_their_interval_are_refused(tmp_path: Path, packets: PretendedPackets) -> None:
    # A traceroute of three packets to each of 32 routers, 10 a second: 9.6 s.
    text = CAMPAIGN + 'queries = [{ kind = "traceroute" }]\nschedule = { interval_s = 5, rounds = 4 }\n'
    with pytest.raises(
        InvalidFile, match=r"9\.6 seconds to send a round, 5 are allowed: raise schedule.interval_s to 10"
    ):
        run(tmp_path, text, packets)
    assert not (tmp_path / "results").exists()
    stated = workflow.plan_campaign(tmp_path / "campaign.toml", now=NOON)
    with pytest.raises(InvalidFile, match=r"raise schedule\.interval_s to 10"):
        workflow.check_plan(stated)


def test_a_start_that_is_past_is_refused(tmp_path: Path, packets: PretendedPackets) -> None:
    schedule = "schedule = { interval_s = 60, rounds = 2, start = 2026-11-21T11:59:00Z }\n"
    with pytest.raises(InvalidFile, match="is past: choose a time to come"):
        run(tmp_path, CAMPAIGN + schedule, packets)
    assert not (tmp_path / "results").exists()


def test_a_run_of_this_host_is_shown_explained_and_drawn_like_any_other(
    tmp_path: Path, packets: PretendedPackets
) -> None:
    measured = run(tmp_path, EVERY_MINUTE, packets)
    shown = workflow.show(measured)
    assert [(one["results"], one["participants"], one["status"]) for one in shown["measurements"]] == [
        (4, 1, "Stopped"),
        (4, 1, "Stopped"),
    ]
    for name in ("local:desk", "desk"):
        told = workflow.explain_vantage(measured, name)
        assert told["vantage"] == "local:desk"
        assert told["targets"][0]["assignment"]["site"] == "fra"
    files = workflow.draw_map([(measured, Window())], tmp_path / "map.svg")
    assert files[0].stat().st_size > 1000


def test_the_results_name_their_vantage_point(tmp_path: Path, packets: PretendedPackets) -> None:
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 30)
    found = [json.loads(line) for file in (path / "raw").iterdir() for line in file.read_text().splitlines()]
    assert {one["vantage"] for one in found} == {"local:desk"}
    assert FakeClock().time == NOON


# --- What is gone, and who goes on


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("text", [CAMPAIGN, EVERY_MINUTE], ids=["once", "on a schedule"])
@pytest.mark.parametrize("stage", [store.Stage.COLLECTED, store.Stage.NAMED])
@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "not derived"])
def test_what_is_gone_of_a_finished_run_is_told_and_never_measured_anew(
    tmp_path: Path, packets: PretendedPackets, text: str, stage: store.Stage, is_whole: bool
) -> None:
    measured = run(tmp_path, text, packets)
    path, accepted = measured.path, measured.accepted
    assert accepted is not None
    store.write_accepted(path, replace(accepted, stage=stage))
    if not is_whole:
        (path / "metrics.json").unlink()
    file = min((path / "raw").iterdir())
    file.unlink()
    before, sent = contents(path), len(packets.sent)
    for work in (
        lambda: resumed(path, packets),
        lambda: workflow.derive(path),
        lambda: workflow.import_results([path], tmp_path / "results" / "all" / "one", root=tmp_path / "results"),
    ):
        with pytest.raises(InvalidRun) as raised:
            work()
        assert str(raised.value) == f"{file}: gone since it was measured: put it back, or measure anew"
    assert (contents(path), len(packets.sent)) == (before, sent)


def test_a_whole_run_that_lost_what_it_asked_is_not_measured_anew(tmp_path: Path, packets: PretendedPackets) -> None:
    path = run(tmp_path, CAMPAIGN, packets).path
    (path / "measurements.json").unlink()
    before, sent = contents(path), len(packets.sent)
    for work in (lambda: resumed(path, packets), lambda: workflow.derive(path)):
        with pytest.raises(InvalidRun, match=r"measurements\.json: gone since it was measured: put it back, or measur"):
            work()
    assert (contents(path), len(packets.sent)) == (before, sent)


def test_a_file_that_was_growing_anew_at_a_kill_is_not_gone(tmp_path: Path, packets: PretendedPackets) -> None:
    measured = run(tmp_path, CAMPAIGN, packets)
    file = min((measured.path / "raw").iterdir())
    whole = file.read_bytes()
    file.with_suffix("").write_bytes(gzip.decompress(whole))
    file.unlink()
    (measured.path / "metrics.json").unlink()
    sent = len(packets.sent)
    with pytest.raises(InvalidRun, match="not all results are here yet: `catchment resume"):
        workflow.derive(measured.path)
    assert rounds_of(resumed(measured.path, packets)) == {0: {"dns": 1, "ping": 1}}
    assert (file.read_bytes(), len(packets.sent)) == (whole, sent)


UNNAMED = EVERY_MINUTE.replace('name = "desk", ', "")


def test_no_other_host_goes_on_with_a_run_as_the_first(
    tmp_path: Path, packets: PretendedPackets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "vp4")
    path = interrupted_at(tmp_path, UNNAMED, packets, NOON + 30)
    packets.clock.time = NOON + 40
    monkeypatch.setattr("socket.gethostname", lambda: "vp6")
    sent = len(packets.sent)
    with pytest.raises(InvalidRun, match=r"local:vp4 began it, and this host is local:vp6: resume it on vp4, or set l"):
        resumed(path, packets)
    assert len(packets.sent) == sent
    monkeypatch.setattr("socket.gethostname", lambda: "vp4")
    assert rounds_of(resumed(path, packets)) == {minute: {"dns": 1, "ping": 1} for minute in range(4)}


def test_a_host_that_has_another_name_now_goes_on_when_it_is_told_the_old_one(
    tmp_path: Path, packets: PretendedPackets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "vp4")
    path = interrupted_at(tmp_path, UNNAMED, packets, NOON + 30)
    packets.clock.time = NOON + 40
    monkeypatch.setattr("socket.gethostname", lambda: "dhcp-17")
    header = json.loads((path / "campaign.json").read_text())
    header["plan"]["local"]["name"] = "vp4"
    (path / "campaign.json").write_text(json.dumps(header))
    measured = resumed(path, packets)
    assert {vantage for (vantage,) in measured.observations.project("vantage").fetchall()} == {"local:vp4"}


def test_any_host_may_finish_a_run_in_which_nothing_is_left_to_measure(
    tmp_path: Path, packets: PretendedPackets, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = interrupted_at(tmp_path, UNNAMED, packets, NOON + 30)
    packets.clock.time = NOON + 86_400
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere.example")
    assert rounds_of(resumed(path, packets)) == {0: {"dns": 1, "ping": 1}}


@pytest.mark.parametrize(
    ("later", "remarks"),
    [
        ("192.0.2.1", ()),
        (
            "192.0.2.9",
            (
                "local:desk measured from several addresses (192.0.2.1, 192.0.2.9), and is taken for one host: where "
                "it is not, measure under a name of its own on each: local.name in a campaign",
            ),
        ),
    ],
)
def test_a_run_that_went_on_from_another_address_says_so(
    tmp_path: Path,
    packets: PretendedPackets,
    monkeypatch: pytest.MonkeyPatch,
    later: str,
    remarks: tuple[str, ...],
) -> None:
    address = "192.0.2.1"

    def sent_from(*args: Any, **options: Any) -> Iterator[dict[str, Any]]:
        for result in packets(*args, **options):
            yield {**result, "src_addr": address}

    monkeypatch.setattr(probing, "measure_round_here", sent_from)
    path = interrupted_at(tmp_path, EVERY_MINUTE, packets, NOON + 30)
    packets.clock.time, address = NOON + 40, later
    assert remarks_of(resumed(path, packets)) == remarks
