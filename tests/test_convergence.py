"""How a change took hold: the course of one vantage point, and whole runs of a stream around a change."""

from __future__ import annotations

import io
import json
import random
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.false_fates import always, count_fates, sites, usual
from catchment import terminal, workflow
from catchment.campaign import Campaign, CampaignTarget, PlatformName, Schedule
from catchment.errors import UnknownName
from catchment.metrics.courses import Course, Fate, Said, Sent, Stretch, follow
from catchment.metrics.rises import find_rise
from catchment.metrics.wording import seconds
from catchment.model import Kind, Window
from catchment.store import Accepted, Measurement, Run, Stage, find_run, write_accepted, write_header
from tests.atlas_results import NOON, dns_error, dns_result

Import = Callable[..., Run]
Catchment = Callable[..., subprocess.CompletedProcess[str]]
CHANGE = NOON + 100.0
STEP_S = 0.5
FRA, BER, LON = (Said("identified", code) for code in ("fra", "ber", "lon"))
EVIL = Said("foreign", "ns1.hijacker.example")


def stretches(sequence: Sequence[Said], start: int = 0) -> list[Stretch]:
    """Return the answers, one a second from `start` on, as stretches."""
    found: list[Stretch] = []
    for second, said in enumerate(sequence, start=start):
        if found and found[-1].said == said:
            found[-1] = replace(found[-1], last_s=float(second), answers=found[-1].answers + 1)
        else:
            found.append(Stretch(said=said, first_s=float(second), last_s=float(second), answers=1))
    return found


def course(before: Sequence[Said], after: Sequence[Said], *, lost_at_last: int = 0) -> Course:
    sent = Sent(before=len(before), after=len(after) + lost_at_last, lost_at_last=lost_at_last)
    return follow(stretches(before, -len(before)), stretches(after), sent)


def test_who_is_answered_from_the_same_site_all_the_time_is_unaffected() -> None:
    found = course([FRA] * 5, [FRA] * 5)
    assert (found.fate, found.before, found.after, found.settled_s) == (Fate.UNAFFECTED, (FRA,), (FRA,), 0.0)


def test_who_goes_to_another_site_has_settled_with_its_first_answer() -> None:
    found = course([FRA] * 5, [FRA, FRA, *[BER] * 8])
    assert (found.fate, found.after, found.settled_s, found.on_the_way) == (Fate.CHANGED, (BER,), 2.0, ())


def test_sites_on_the_way_are_told_in_order_with_their_times() -> None:
    found = course([FRA] * 5, [FRA, BER, BER, LON, BER, *[LON] * 40])
    assert (found.fate, found.after, found.settled_s) == (Fate.CHANGED, (LON,), 5.0)
    assert [(one.said, one.first_s, one.last_s, one.answers) for one in found.on_the_way] == [
        (BER, 1.0, 4.0, 3),
        (LON, 3.0, 3.0, 1),
    ]


def test_who_goes_away_and_comes_back_returned() -> None:
    found = course([FRA] * 5, [FRA, BER, *[FRA] * 8])
    assert (found.fate, found.after, found.settled_s) == (Fate.RETURNED, (FRA,), 2.0)
    assert [one.said for one in found.on_the_way] == [BER]


def test_who_goes_on_between_two_sites_never_settled() -> None:
    found = course([FRA] * 20, [FRA, BER] * 20)
    assert (found.fate, found.after, found.settled_s) == (Fate.NEVER_SETTLED, (), None)
    assert {one.said for one in found.on_the_way} == {FRA, BER}


def test_who_flapped_before_as_well_is_unaffected() -> None:
    found = course([FRA, BER] * 10, [BER, FRA, FRA, BER, FRA, BER] * 5)
    assert (found.fate, set(found.before), found.settled_s) == (Fate.UNAFFECTED, {FRA, BER}, 0.0)
    assert found.before == found.after


def test_who_flapped_and_lost_one_of_its_sites_changed() -> None:
    # Had half of its flows still gone to ber, 30 answers of fra in a row would be one chance in a billion.
    found = course([FRA, BER] * 10, [BER, FRA, BER, *[FRA] * 30])
    assert (found.fate, found.after, found.settled_s) == (Fate.CHANGED, (FRA,), 3.0)


def test_a_site_with_few_of_the_flows_may_be_silent_for_a_while() -> None:
    # ber answers one of 21 queries: 30 without it are chance in (20/21)^30 = 23 % of cases.
    found = course([*[FRA] * 10, BER, *[FRA] * 10], [FRA] * 30)
    assert (found.fate, found.after) == (Fate.UNAFFECTED, (FRA, BER))


def test_who_flapped_and_gets_a_third_site_instead_of_one_changed() -> None:
    found = course([FRA, BER] * 20, [FRA, BER, *[FRA, LON] * 20])
    assert (found.fate, set(found.after), found.settled_s) == (Fate.CHANGED, {FRA, LON}, 2.0)


def test_one_move_long_before_the_change_is_no_flapping() -> None:
    found = course([*[FRA] * 3, *[BER] * 10], [FRA, BER] * 20)
    assert (found.before, found.fate) == ((BER,), Fate.NEVER_SETTLED)


def test_somebody_else_at_last_is_told_by_its_text() -> None:
    found = course([FRA] * 5, [FRA, *[EVIL] * 9])
    assert (found.fate, found.after, found.after[0].site, found.settled_s) == (Fate.CAUGHT, (EVIL,), None, 1.0)


def test_somebody_else_on_the_way_is_told_by_its_text() -> None:
    found = course([FRA] * 5, [EVIL, EVIL, *[FRA] * 8])
    assert (found.fate, [one.said.text for one in found.on_the_way]) == (Fate.RETURNED, ["ns1.hijacker.example"])


def test_silence_has_no_site_after_but_those_on_the_way() -> None:
    found = course([FRA] * 5, [FRA, BER, BER], lost_at_last=3)
    assert (found.fate, found.before, found.after, found.settled_s) == (Fate.SILENT, (FRA,), (), None)
    assert [one.said for one in found.on_the_way] == [BER]


def test_the_fates_of_those_whom_nobody_answered_before() -> None:
    assert course([], [], lost_at_last=3).fate == Fate.NEVER_ANSWERED
    assert course([], []).fate == Fate.NOT_ASKED
    found = follow([], stretches([BER] * 3), Sent(before=3, after=3))
    assert (found.fate, found.before, found.settled_s) == (Fate.FOUND, (), 0.0)
    # Nobody knows who would have answered before.
    assert course([], [BER] * 3).fate == Fate.TOO_FEW


def test_who_moved_long_before_the_change_was_not_moved_by_it() -> None:
    assert course([*[FRA] * 100, *[BER] * 20], [BER] * 50).fate == Fate.UNAFFECTED
    # Nor was one that went there and back on its way.
    found = course([*[FRA] * 100, BER, FRA, FRA, *[BER] * 60], [BER] * 50)
    assert (found.fate, found.before) == (Fate.UNAFFECTED, (BER,))


def test_a_last_answer_from_elsewhere_is_too_little_to_tell() -> None:
    found = course([FRA] * 50, [*[FRA] * 49, BER])
    assert (found.fate, found.after, found.settled_s) == (Fate.TOO_FEW, (), None)
    assert [one.said for one in found.on_the_way] == [BER]


def test_one_stray_answer_among_many_unsettles_nobody() -> None:
    found = course([FRA] * 50, [*[BER] * 40, FRA, *[BER] * 20])
    assert (found.fate, found.after, found.settled_s) == (Fate.CHANGED, (BER,), 0.0)
    assert [(one.said, one.first_s) for one in found.strays] == [(FRA, 40.0)]
    stayed = course([FRA] * 50, [*[FRA] * 20, BER, *[FRA] * 20])
    assert (stayed.fate, len(stayed.strays)) == (Fate.UNAFFECTED, 1)


def test_one_stray_answer_of_a_third_moves_no_load_balancer() -> None:
    found = course([FRA, BER] * 20, [*[FRA, BER] * 10, LON, *[BER, FRA] * 5])
    assert (found.fate, [one.said for one in found.strays]) == (Fate.UNAFFECTED, [LON])


@pytest.mark.parametrize("stray", [LON, EVIL])
def test_a_stray_before_is_nowhere_at_last(stray: Said) -> None:
    found = course([*[FRA] * 50, stray, *[FRA] * 49], [BER] * 200)
    assert (found.fate, found.before, found.after) == (Fate.CHANGED, (FRA,), (BER,))


@pytest.mark.parametrize("queries", [10, 100])
def test_a_stray_of_a_hijacker_before_hides_no_hijack(queries: int) -> None:
    half = [FRA] * (queries // 2)
    found = course([*half, EVIL, *half[1:]], [EVIL] * queries)
    assert (found.fate, found.before, found.after) == (Fate.CAUGHT, (FRA,), (EVIL,))


def test_where_a_third_answers_instead_of_one_few_answers_tell_that_it_is_gone() -> None:
    # All five of ber among the first 10 of 20 answers are chance in C(10,5) / C(20,5) = 1.6 % of cases.
    found = course([FRA, BER] * 5, [FRA, LON] * 5)
    assert (found.fate, set(found.after)) == (Fate.CHANGED, {FRA, LON})


@pytest.mark.parametrize(("site", "fate"), [(FRA, Fate.UNAFFECTED), (BER, Fate.CHANGED)])
def test_a_stray_between_several_that_say_the_same_is_one_wherever_it_comes(site: Said, fate: Fate) -> None:
    for earlier in range(3, 97):
        found = course([FRA] * 100, [*[site] * earlier, LON, *[site] * (99 - earlier)])
        assert (found.fate, found.after, len(found.strays)) == (fate, (site,), 1), earlier


@pytest.mark.parametrize("last", [[LON], [LON, BER], [LON, BER, BER], [LON, LON]])
def test_of_whoever_was_quiet_but_for_its_last_few_answers_nobody_knows(last: list[Said]) -> None:
    assert course([FRA] * 50, [*[BER] * 97, *last]).fate == Fate.TOO_FEW


def test_several_single_answers_of_the_same_site_are_its_share_of_the_flows_and_no_strays() -> None:
    # Five of 85; of 1 % strays from one of three other sites there would be 0.3.
    found = course([FRA] * 85, [*([FRA] * 12 + [BER]) * 5, *[FRA] * 20])
    assert found.strays == ()
    assert found.fate != Fate.UNAFFECTED
    strayed = course([FRA] * 85, [*[FRA] * 12, BER, *[FRA] * 12, LON, *[FRA] * 12, EVIL, *[FRA] * 20])
    assert (strayed.fate, len(strayed.strays)) == (Fate.UNAFFECTED, 3)


@pytest.mark.parametrize(
    ("lost_before", "lost_at_last", "fate"),
    [
        (0, 3, Fate.SILENT),
        (10, 3, Fate.UNAFFECTED),
        (10, 9, Fate.UNAFFECTED),  # of two queries one is lost: nine in a row once in 512 times
        (10, 10, Fate.SILENT),  # once in 1,024 times
        (1, 3, Fate.SILENT),  # of 20 one: once in 8,000 times
        (20, 3, Fate.UNAFFECTED),
    ],
)
def test_so_many_lost_at_last_are_silence_as_the_loss_before_does_not_make_likely(
    lost_before: int, lost_at_last: int, fate: Fate
) -> None:
    asked = 20 if lost_before < 20 else 40
    sent = Sent(before=asked, after=20 + lost_at_last, lost_before=lost_before, lost_at_last=lost_at_last)
    assert follow(stretches([FRA] * (asked - lost_before), -asked), stretches([FRA] * 20), sent).fate == fate


def test_whoever_never_answered_before_is_silent_as_ever() -> None:
    lost = Sent(before=10, after=10, lost_before=10, lost_at_last=10)
    assert follow([], [], lost).fate == Fate.NEVER_ANSWERED
    assert follow([], stretches([BER] * 5), replace(lost, lost_at_last=5)).fate == Fate.SILENT


@pytest.mark.parametrize(
    ("before", "after", "lost", "fate"),
    [
        ([FRA], [], 1, Fate.TOO_FEW),
        ([FRA] * 50, [], 2, Fate.TOO_FEW),
        ([FRA] * 50, [], 3, Fate.SILENT),
        ([FRA], [FRA], 0, Fate.UNAFFECTED),
        ([FRA], [BER], 0, Fate.TOO_FEW),
        ([FRA] * 50, [BER] * 2, 0, Fate.TOO_FEW),
        ([FRA] * 3, [BER] * 3, 0, Fate.CHANGED),
        ([FRA] * 3, [FRA, BER, BER], 0, Fate.TOO_FEW),
        ([FRA, BER, FRA], [BER] * 50, 0, Fate.TOO_FEW),
    ],
)
def test_few_queries_tell_only_where_all_agree(before: list[Said], after: list[Said], lost: int, fate: Fate) -> None:
    assert course(before, after, lost_at_last=lost).fate == fate


def test_a_query_sent_just_before_the_change_can_meet_the_new_site() -> None:
    found = follow(stretches([FRA] * 5, -10), stretches([BER] * 5, -1), Sent(before=6, after=4))
    assert (found.fate, found.settled_s) == (Fate.CHANGED, 0.0)


def test_load_balancers_of_any_shares_are_no_change() -> None:
    rng, fates = random.Random(7), []  # noqa: S311  (no secret)
    for _ in range(300):
        share = rng.choice([0.2, 0.5, 0.8])
        flows = [FRA if rng.random() < share else BER for _ in range(200)]
        fates.append(course(flows[:100], flows[100:]).fate)
    assert fates.count(Fate.UNAFFECTED) == 300


@pytest.mark.parametrize(("queries", "most"), [(1, 0), (2, 0), (5, 1), (10, 4), (15, 4), (30, 2), (60, 1)])
def test_loss_and_flapping_without_a_change_hardly_ever_look_like_one(queries: int, most: int) -> None:
    # One of a hundred queries is lost; one of ten vantage points has between 2 and 50 % of its flows elsewhere.
    rng, fates = random.Random(queries), list[Fate]()  # noqa: S311  (no secret)
    for _ in range(400):
        share = rng.uniform(0.02, 0.5) if rng.random() < 0.1 else 0.0
        heard = [None if rng.random() < 0.01 else BER if rng.random() < share else FRA for _ in range(2 * queries)]
        sides = heard[:queries], heard[queries:]
        before, after = ([said for said in side if said is not None] for side in sides)
        silent = next((at for at, said in enumerate(reversed(sides[1])) if said is not None), queries)
        sent = Sent(before=queries, after=queries, lost_at_last=silent)
        fates.append(follow(stretches(before, -queries), stretches(after), sent).fate)
    told = [fate for fate in fates if fate not in {Fate.UNAFFECTED, Fate.TOO_FEW}]
    assert len(told) <= most
    assert fates.count(Fate.UNAFFECTED) > 360


SAID = st.lists(st.sampled_from([FRA, BER, LON, EVIL]), max_size=40)


@settings(max_examples=50)
@given(SAID, SAID)
def test_from_when_it_settled_on_all_answers_but_strays_are_of_the_sites_at_last(
    before: list[Said], after: list[Said]
) -> None:
    found = course(before, after)
    if found.settled_s is not None:
        strays = {one.first_s for one in found.strays}
        later = [said for second, said in enumerate(after) if second >= found.settled_s and second not in strays]
        assert set(later) <= set(found.after)
        if found.fate not in {Fate.UNAFFECTED, Fate.CHANGED} and found.settled_s > 0 and len(found.after) == 1:
            assert after[int(found.settled_s) - 1] != found.after[0]
    assert all(one.said != other.said for one, other in pairwise(found.on_the_way))


def test_a_rise_for_good_is_found_with_its_time_and_jitter_is_none() -> None:
    rng = random.Random(3)  # noqa: S311  (no secret)
    jitter = [rng.expovariate(1 / 15) for _ in range(400)]
    was = [20.0 + ms for ms in jitter[:100]]
    same = [(float(n), 20.0 + ms) for n, ms in enumerate(jitter[100:])]
    assert find_rise(was, same).since_s is None
    longer = [(second, ms + (250.0 if second >= 7 else 0.0)) for second, ms in same]
    found = find_rise(was, longer)
    assert found.since_s == 7.0
    assert found.before_ms == pytest.approx(30.0, abs=3.0)
    assert found.after_ms == pytest.approx(280.0, abs=3.0)
    nearer = find_rise([ms for _, ms in longer[10:]], same)
    assert nearer.since_s == 0.0
    assert nearer.after_ms == pytest.approx(30.0, abs=3.0)


@pytest.mark.parametrize("queries", [30, 60])
def test_strays_hardly_ever_hide_a_move_and_are_nowhere_at_last(queries: int) -> None:
    # Of 60 answers 1 % strays: two or more in one vantage point of eight, close to each other in few of these.
    fates, ghosts = count_fates(300, queries, always(sites(FRA), sites(BER)))
    assert fates[Fate.CHANGED] >= 0.95 * 300
    assert ghosts <= 1
    assert set(fates) <= {Fate.CHANGED, Fate.TOO_FEW, Fate.NEVER_SETTLED}


def test_heavy_loss_as_before_is_hardly_ever_silence_and_silence_is_always_told() -> None:
    assert count_fates(300, 30, usual(0.5))[0][Fate.SILENT] <= 3
    assert count_fates(300, 30, always(sites(FRA, lost=0.3), sites(FRA, lost=1.0)))[0] == {Fate.SILENT: 300}


def test_few_round_trips_or_a_passing_queue_are_no_other_way() -> None:
    assert find_rise([20.0] * 5, [(float(n), 300.0) for n in range(5)]).since_s is None
    assert find_rise([], []).before_ms is None
    passing = [(float(n), 300.0 if n < 8 else 20.0) for n in range(40)]
    assert find_rise([20.0] * 20, passing).since_s is None


def test_times_in_seconds_are_short_and_never_a_negative_zero() -> None:
    assert [seconds(time_s) for time_s in (-0.0004, 0.0, 0.5, 2.0, 12.3456, 1234.5)] == [
        "0", "0", "0.5", "2", "12.346", "1,234",
    ]  # fmt: skip


def stream(probe: int, *answers: str | None, start_s: float = -5.0) -> list[dict[str, Any]]:
    """Return results of a query every half a second, by default from 5 s before the change on: None is lost."""
    return [
        dns_error(probe, timestamp=CHANGE + start_s + turn * STEP_S)
        if code is None
        else dns_result(
            probe,
            code if "." in code else f"{code}1.example-dns.net",
            rtt_ms=10.0,
            timestamp=CHANGE + start_s + turn * STEP_S,
        )
        for turn, code in enumerate(answers)
    ]


def planned(run: Run, **schedule: Any) -> Run:
    """Return the run as one of a campaign with this schedule, by default around the change."""
    schedule.setdefault("change_at", datetime.fromtimestamp(CHANGE, UTC))
    plan = Campaign(
        name="change",
        platform=PlatformName.LAB,
        targets=(CampaignTarget(service="example-dns"),),
        schedule=Schedule(**schedule),
    )
    return replace(run, header=replace(run.header, plan=plan))


def told(run: Run) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the only target, and its vantage points by name."""
    (target,) = workflow.show_convergence(planned(run))["targets"]
    return target, {point["vantage"]: point for point in target["vantage_points"]}


BEFORE = ("fra",) * 10


def test_a_run_tells_who_went_where_when_and_what_was_lost(import_lines: Import) -> None:
    run = import_lines(
        *stream(1, *BEFORE, *("fra",) * 20),
        *stream(2, *BEFORE, "fra", "lon", *("ber",) * 18),
        *stream(3, *BEFORE, None, None, None, None, *("ber",) * 16),
        *stream(4, *BEFORE, *(None,) * 20),
        *stream(5, *BEFORE, *("ns1.hijacker.example",) * 20),
    )
    target, points = told(run)
    assert {name: point["fate"] for name, point in points.items()} == {
        "atlas:1": "unaffected",
        "atlas:2": "changed",
        "atlas:3": "changed",
        "atlas:4": "silent",
        "atlas:5": "caught",
    }
    second = points["atlas:2"]
    assert (second["site_before"], second["site_after"], second["converged_after_s"]) == ("fra", "ber", 1.0)
    assert second["on_the_way"] == [
        {"site": "lon", "text": None, "outcome": "identified", "first_s": 0.5, "last_s": 0.5, "answers": 1}
    ]
    assert points["atlas:3"]["converged_after_s"] == 2.0
    assert [points[name]["lost"] for name in points] == [0, 0, 4, 20, 0]
    assert all(point["queries"] == 20 and point["resolution_s"] == STEP_S for point in points.values())
    assert points["atlas:5"]["after"] == [{"site": None, "text": "ns1.hijacker.example", "outcome": "foreign"}]
    assert (target["queries"], target["lost"], target["resolution_s"]) == (100, 24, STEP_S)
    assert target["converged_after_s"] == {"vantage_points": 3, "at_once": 1, "p50": 1.0, "p90": 2.0, "max": 2.0}
    assert [(move["from"], move["to"], move["vantage_points"]) for move in target["moves"]] == [
        ("fra", "ber", 2),
        ("fra", "ns1.hijacker.example", 1),
    ]
    assert target["summary"] == (
        "Of 5 vantage points 2 changed site, 1 ended with somebody else, 1 got no answer any more, 1 stayed where they "
        "were. Who settled had done so within 2 s of the change (half within 1 s, with a query every 0.5 s). "
        "24 of 100 queries were lost (24.0 %), the longest gap at least 9.5 s at atlas:4, and no answer came any more."
    )


def test_a_leak_in_the_stream_is_told_although_nobody_changes_site(import_lines: Import) -> None:
    def asked(probe: int, *rtts_ms: float) -> list[dict[str, Any]]:
        return [dns_result(probe, rtt_ms=ms, timestamp=CHANGE - 5 + STEP_S * n) for n, ms in enumerate(rtts_ms)]

    run = import_lines(
        *asked(1, *[12.0] * 12, *[282.0] * 20), *asked(2, *[14.0] * 13, *[284.0] * 19), *asked(3, *[12.0] * 32)
    )
    target, points = told(run)
    assert {name: one["rtt_changed_after_s"] for name, one in points.items()} == {
        "atlas:1": 1.0,
        "atlas:2": 1.5,
        "atlas:3": None,
    }
    assert (points["atlas:1"]["rtt_ms_before"], points["atlas:1"]["rtt_ms_after"]) == (12.0, 282.0)
    assert (target["totals"]["unaffected"], target["rerouted"]["vantage_points"]) == (3, 2)
    assert target["summary"] == (
        "Of 3 vantage points 3 stayed where they were. Of those that stayed 2 take another way: the median RTT went "
        "from 13.0 to 283.0 ms within 1.5 s of the change. None of 66 queries was lost."
    )
    out = io.StringIO()
    Console(file=out, width=200, highlight=False).print(
        terminal.show_convergence(workflow.show_convergence(planned(run)))
    )
    assert "RTT 12.0 → 282.0 ms from 1 on" in out.getvalue()
    assert "atlas:3" not in out.getvalue()


def test_a_merged_run_knows_its_change_without_a_plan(import_lines: Import) -> None:
    run = import_lines(*stream(1, *BEFORE, *("ber",) * 10))
    merged = replace(run, header=replace(run.header, change=Window(start=CHANGE, end=CHANGE + 1)))
    numbers = workflow.show_convergence(merged)
    assert numbers["targets"][0]["totals"]["changed"] == 1
    assert numbers["change_at"] == "2026-11-01T12:01:40Z"


def test_the_loss_window_lasts_to_the_next_answer_and_the_longest_counts(import_lines: Import) -> None:
    run = import_lines(*stream(1, *BEFORE, None, "fra", None, None, None, "ber", *("ber",) * 10, None))
    _, points = told(run)
    point = points["atlas:1"]
    # Lost at 0.0, at 1.0 to 2.0 and at 8.0; answered at 0.5 and 2.5.
    assert (point["lost"], point["loss_window_s"], point["loss_window_open"]) == (5, 1.5, False)
    assert point["fate"] == "changed"


def test_a_silence_to_the_end_is_open(import_lines: Import) -> None:
    _, points = told(import_lines(*stream(1, *BEFORE, None, "ber", *(None,) * 4)))
    point = points["atlas:1"]
    assert (point["fate"], point["loss_window_s"], point["loss_window_open"]) == ("silent", 1.5, True)
    assert point["site_after"] is None


def test_a_last_lost_query_or_two_is_no_silence(import_lines: Import) -> None:
    _, points = told(import_lines(*stream(1, *BEFORE, *("ber",) * 10, None, None)))
    assert (points["atlas:1"]["fate"], points["atlas:1"]["site_after"]) == ("changed", "ber")


def test_what_was_lost_before_the_change_does_not_count(import_lines: Import) -> None:
    target, points = told(import_lines(*stream(1, "fra", None, None, *("fra",) * 7, *("ber",) * 10)))
    assert (target["lost"], points["atlas:1"]["loss_window_s"]) == (0, None)
    assert target["summary"].endswith("None of 10 queries was lost.")


def test_an_answer_that_was_under_way_at_the_change_is_not_from_before_it(import_lines: Import) -> None:
    # Sent 5 ms before the change and answered 5 ms after it, from where the route leads by then.
    late = stream(1, *("ber",) * 10, start_s=-0.005)
    _, points = told(import_lines(*stream(1, *("fra",) * 9), *late))
    assert (points["atlas:1"]["before"][0]["site"], points["atlas:1"]["converged_after_s"]) == ("fra", 0.0)


def test_what_could_not_be_sent_is_no_query(import_lines: Import) -> None:
    unsent = dns_error(1, {"socket": "no route"}, timestamp=CHANGE + 1)
    target, _ = told(import_lines(*stream(1, *BEFORE, *("fra",) * 4), unsent))
    assert (target["queries"], target["lost"]) == (4, 0)


def test_flows_that_are_balanced_before_and_after_are_unaffected(import_lines: Import) -> None:
    target, points = told(import_lines(*stream(1, *("fra", "ber") * 5, *("ber", "fra", "fra") * 8)))
    assert points["atlas:1"]["fate"] == "unaffected"
    assert {one["site"] for one in points["atlas:1"]["after"]} == {"fra", "ber"}
    assert target["totals"]["never_settled"] == 0


def test_a_campaign_of_a_query_a_minute_is_that_exact_and_no_more(import_lines: Import) -> None:
    run = import_lines(
        *(dns_result(1, "fra1.example-dns.net", timestamp=CHANGE - 60 * turn) for turn in range(1, 11)),
        *(dns_result(1, "ber1.example-dns.net", timestamp=CHANGE + 30 + 60 * turn) for turn in range(10)),
    )
    target, points = told(run)
    assert (target["resolution_s"], points["atlas:1"]["converged_after_s"]) == (60.0, 30.0)
    assert points["atlas:1"]["settled_at_once"]
    assert target["summary"] == (
        "Of 1 vantage point 1 changed site. Who settled had done so by the first query after the change (a query every "
        "60 s). None of 10 queries was lost."
    )


def rounds(probe: int, *answers: str, after_s: float) -> list[dict[str, Any]]:
    """Return results of three queries before the change, and of the others from `after_s` after it on."""
    return [*stream(probe, "fra", "fra", "fra"), *stream(probe, *answers, start_s=after_s)]


def test_who_was_not_asked_until_long_after_the_change_is_not_said_to_have_gone_through_it_at_once(
    import_lines: Import,
) -> None:
    run = import_lines(*rounds(1, "ber", "ber", "ber", after_s=4.0), *rounds(2, "fra", "fra", "fra", after_s=4.5))
    target, points = told(run)
    assert {name: (one["first_query_s"], one["asked_late"]) for name, one in points.items()} == {
        "atlas:1": (4.0, True),
        "atlas:2": (4.5, True),
    }
    assert target["resolution_s"] == STEP_S
    assert target["asked_late"] == {"vantage_points": 2, "min": 4.0, "max": 4.5}
    assert target["summary"] == (
        "Of 2 vantage points 1 changed site, 1 stayed where they were. Who settled had done so by the first query "
        "after the change, 4 to 4.5 s after it: nothing was asked until then. None of 6 queries was lost."
    )
    out = io.StringIO()
    Console(file=out, width=200, highlight=False).print(
        terminal.show_convergence(workflow.show_convergence(planned(run)))
    )
    assert "≤ 4 " in out.getvalue()
    assert "first query " not in out.getvalue().replace("by the first query after", "")
    assert "0.5 s; ≤: by the first query, and nothing was asked before." in out.getvalue()


def test_where_nobody_moved_too_it_is_said_until_when_nothing_was_asked(import_lines: Import) -> None:
    target, _ = told(import_lines(*rounds(1, "fra", "fra", "fra", after_s=4.0)))
    assert target["summary"] == (
        "Of 1 vantage point 1 stayed where they were. Nothing was asked until 4 s after the change. "
        "None of 3 queries was lost."
    )


def test_one_that_was_asked_late_among_others_is_counted(import_lines: Import) -> None:
    run = import_lines(*stream(1, *BEFORE, *("ber",) * 20), *rounds(2, "ber", "ber", "ber", after_s=4.0))
    target, points = told(run)
    assert [one["asked_late"] for one in points.values()] == [False, True]
    assert "1 vantage point was not asked until 4 s after the change." in target["summary"]


@pytest.mark.parametrize(("after_s", "is_late"), [(0.9, False), (1.1, True)])
def test_a_first_query_is_late_from_twice_the_spacing_on(import_lines: Import, after_s: float, is_late: bool) -> None:
    target, _ = told(import_lines(*rounds(1, "ber", after_s=after_s)))
    # A single query after it has no spacing but that of those before; the time across the change is none.
    assert (target["resolution_s"], target["vantage_points"][0]["asked_late"]) == (STEP_S, is_late)


def by_id_server(probe: int, *answers: str, start_s: float = -5.0) -> list[dict[str, Any]]:
    """Return results of id.server, which the service does not promise to answer, every half a second."""
    told = [(None if code == "REFUSED" else f"{code}1.example-dns.net") for code in answers]
    return [
        dns_result(
            probe,
            identity,
            rcode="REFUSED" if identity is None else "NOERROR",
            query="id.server",
            rtt_ms=10.0,
            timestamp=CHANGE + start_s + STEP_S * turn,
            msm_id=90_000_009,
        )
        for turn, identity in enumerate(told)
    ]


def test_what_is_refused_and_was_never_promised_is_nowhere_that_anybody_was(import_lines: Import) -> None:
    refused = ("REFUSED",) * 30
    slower = [
        dns_result(2, rtt_ms=10.0 if turn < 12 else 280.0, timestamp=CHANGE - 5 + STEP_S * turn) for turn in range(30)
    ]
    run = import_lines(
        *(*stream(1, *BEFORE, *("ber",) * 20), *by_id_server(1, *refused, start_s=-4.9)),
        *(*slower, *by_id_server(2, *refused, start_s=-4.9)),
    )
    target, points = told(run)
    one, other = points["atlas:1"], points["atlas:2"]
    assert (one["fate"], one["site_before"], one["site_after"]) == ("changed", "fra", "ber")
    assert [(move["from"], move["to"]) for move in target["moves"]] == [("fra", "ber")]
    assert (other["fate"], other["site_after"], other["rtt_changed_after_s"]) == ("unaffected", "fra", 1.0)
    assert (one["queries"], one["lost"]) == (40, 0)


@pytest.mark.parametrize("named", [0, 2])
def test_whoever_is_refused_all_the_time_since_changed(import_lines: Import, named: int) -> None:
    _, points = told(import_lines(*by_id_server(1, *BEFORE, *("fra",) * named, *("REFUSED",) * 18)))
    point = points["atlas:1"]
    assert (point["fate"], point["site_before"], point["converged_after_s"]) == ("changed", "fra", named * STEP_S)
    assert [one["text"] for one in point["after"]] == ["REFUSED"]


def test_loss_before_the_change_is_held_against_the_loss_at_last(import_lines: Import) -> None:
    lossy = ("fra", None) * 10
    run = import_lines(
        *stream(1, *lossy, *("fra",) * 10, None, None, None, start_s=-10.0),
        *stream(2, *lossy, *(None,) * 13, start_s=-10.0),
    )
    _, points = told(run)
    assert {name: point["fate"] for name, point in points.items()} == {"atlas:1": "unaffected", "atlas:2": "silent"}


def test_what_was_under_way_at_the_change_is_of_neither_side(import_lines: Import, tmp_path: Path) -> None:
    def asked(start_s: float, code: str, rtt_ms: float) -> dict[str, Any]:
        return dns_result(1, f"{code}1.example-dns.net", rtt_ms=rtt_ms, timestamp=CHANGE + start_s)

    # Sent 5 ms before the change and back 35 ms after it: from ber, where the route leads by then. What took longer
    # had come by then, or is of long ago.
    run = import_lines(
        asked(-30, "fra", 4000), asked(-2, "fra", 15), asked(-0.3, "fra", 40), asked(-0.005, "ber", 40),
        *(asked(turn, "ber", 40) for turn in (1, 2, 3)),
    )  # fmt: skip
    write_header(run.path, planned(run, settle_s=1).header)
    before, after = (find_run(f"{run.path}[{side}]", tmp_path) for side in ("before", "after"))
    assert (before[1], after[1]) == (Window(end=CHANGE - 0.04), Window(start=CHANGE + 1))
    found = workflow.compare_runs(before, after)["targets"][0]
    assert ([(move["from"], move["to"]) for move in found["moves"]], found["moved_flapping"]) == ([("fra", "ber")], 0)
    assert workflow.show(*before)["targets"][0]["flips"]["changed_once"] == 0


def test_an_answer_that_took_for_ever_takes_no_more_than_a_second_from_what_was_before(
    import_lines: Import, tmp_path: Path
) -> None:
    late = dns_result(1, "fra1.example-dns.net", rtt_ms=60_000.0, timestamp=CHANGE - 0.5)
    run = import_lines(*stream(1, *BEFORE, "fra"), late)
    write_header(run.path, planned(run).header)
    assert find_run(f"{run.path}[before]", tmp_path)[1] == Window(end=CHANGE - 1)


def test_in_a_lab_a_gap_ends_with_the_stream_and_not_with_the_round_that_comes_later(import_lines: Import) -> None:
    lost_later = dns_error(1, timestamp=CHANGE + 7)
    run = import_lines(*stream(1, *BEFORE, "fra", None, None, None), lost_later)
    run = planned(replace(run, header=replace(run.header, platform="lab")), settle_s=3)
    asked = Measurement(
        id=1, kind=Kind.DNS, target="192.0.2.53", af=4, query="hostname.bind", nsid=True, probes=None,
        vantage_points=("atlas:1",), start=CHANGE - 5, stop=None, interval_s=None, reused=False,
    )  # fmt: skip
    streamed = replace(asked, id=2, stop=CHANGE + 2)
    for measurements, gap_s, lost in (((asked, streamed), 1.0, 3), ((asked,), 6.5, 4)):
        write_accepted(run.path, Accepted(tag="", stage=Stage.NAMED, measurements=measurements))
        (point,) = workflow.show_convergence(replace(run))["targets"][0]["vantage_points"]
        # Lost at 0.5, 1 and 1.5 s, and by the round at 7 s.
        assert (point["loss_window_s"], point["loss_window_open"], point["lost"]) == (gap_s, True, lost)


def test_on_a_narrow_terminal_no_number_of_a_convergence_is_broken(import_lines: Import) -> None:
    run = import_lines(*stream(1, *BEFORE, "ber", *("lon",) * 6, *(None,) * 23), *stream(100_000, *BEFORE, None, None))
    numbers = workflow.show_convergence(planned(run))
    for width in (60, 80):
        out = io.StringIO()
        Console(file=out, width=width, highlight=False).print(terminal.show_convergence(numbers))
        words = out.getvalue().split()
        for word in ("Vantage", "Settled", "Before", "atlas:100000", "silent", "never", "11", "0.5–3", "23", "30"):
            assert word in words, (word, width)


def test_a_run_without_a_planned_change_says_so(import_lines: Import) -> None:
    run = import_lines(*stream(1, *BEFORE))
    for one in (run, planned(run, change_at=None)):
        with pytest.raises(UnknownName, match=r"no `schedule\.change_at`") as caught:
            workflow.show_convergence(one)
        assert "\n" not in str(caught.value)


def test_a_run_that_ended_before_the_change_says_that_nobody_knows(import_lines: Import) -> None:
    target, points = told(import_lines(*stream(1, *BEFORE)))
    assert points["atlas:1"]["fate"] == "not-asked"
    assert target["summary"] == "No DNS query was sent after the change: nobody knows how it went."


def test_hostile_identities_reach_no_terminal(import_lines: Import) -> None:
    run = import_lines(*stream(1, *BEFORE, *("\x1b[31mevil.example",) * 5))
    numbers = workflow.show_convergence(planned(run))
    out = io.StringIO()
    Console(file=out, width=200, highlight=False).print(terminal.show_convergence(numbers))
    assert "\x1b" not in out.getvalue()
    assert "evil.example" in out.getvalue()


def test_the_command_line_shows_it_and_names_options_that_do_not_go_together(
    import_lines: Import, catchment: Catchment
) -> None:
    run = import_lines(*stream(1, *BEFORE, *("ber",) * 10), *stream(2, *BEFORE, *("fra",) * 10))
    refused = catchment("show", run.path, "--convergence")
    assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (1, "", 1)
    write_header(run.path, planned(run).header)
    shown = json.loads(catchment("show", run.path, "--convergence", "--json").stdout)
    assert shown["targets"][0]["totals"]["changed"] == 1
    rows = [line.split() for line in catchment("show", run.path, "--convergence").stdout.splitlines()]
    assert ["atlas:1", "changed", "fra", "–", "ber", "first", "query", "0", "10", "–"] in rows
    assert catchment("show", run.path, "--convergence", "--by", "site").returncode == 2
