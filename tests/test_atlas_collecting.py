from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catchment.campaign import Campaign, CampaignTarget, Limits, PlatformName, Query, VantagePoints
from catchment.errors import PlatformFailed
from catchment.model import Kind, Target, Window
from catchment.platforms.atlas.client import Refused, StreamBroken
from catchment.platforms.atlas.collecting import LATE_S, Collected, collect
from catchment.platforms.atlas.costs import estimate
from catchment.platforms.atlas.measurements import Measurement
from catchment.platforms.atlas.scheduling import adopt, schedule
from catchment.platforms.atlas.selecting import choose
from catchment.platforms.connecting import connect
from catchment.services import bundled_service
from tests.atlas_server import Answer, Bench, Fault, Request, Script, error, html, ndjson, ok

START = 1_700_000_060.0
ONE_OFF = Measurement(
    id=1_000_001,
    kind=Kind.DNS,
    target="198.51.100.53",
    af=4,
    query="hostname.bind",
    nsid=True,
    probes=tuple(range(1, 101)),
    start=START,
    stop=None,
    interval_s=None,
    reused=False,
)
BUILT_IN = replace(ONE_OFF, id=10301, probes=None, start=START - 900.5, stop=START, interval_s=240, reused=True)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def results(count: int, first: int = 1) -> list[dict[str, Any]]:
    return [{"fw": 5120, "prb_id": number, "timestamp": 1} for number in range(first, first + count)]


def run(
    bench: Bench,
    script: Script | Sequence[Answer | Fault],
    *measurements: Measurement,
    time: Time | None = None,
    **options: Any,
) -> tuple[list[Collected], list[Request]]:
    time = time or Time(START)
    with bench.atlas(script, sleep=time.sleep) as (atlas, server):
        got = collect(
            atlas, measurements, bench.ca_file.parent / "raw", clock=lambda: time.now, sleep=time.sleep, **options
        )
        return got, server.requests


def files(bench: Bench) -> list[str]:
    return sorted(path.name for path in (bench.ca_file.parent / "raw").glob("*"))


def test_a_one_off_is_done_when_all_have_answered(bench: Bench) -> None:
    time = Time(START - 60)
    (got,), requests = run(bench, [ndjson(*results(40)), ndjson(*results(100))], ONE_OFF, time=time)
    assert (got.measurement, got.results, got.complete) == (1_000_001, 100, True)
    assert got.participants == frozenset(range(1, 101))
    assert time.slept == [60, 5]
    assert [request.path for request in requests] == ["/api/v2/measurements/1000001/results/"] * 2
    assert [request.params["format"] for request in requests] == ["txt", "txt"]
    assert "start" not in requests[0].params
    # Answers come out of a cache unless the address is a new one.
    assert requests[0].params["defeatcaching"] != requests[1].params["defeatcaching"]


def test_nearly_all_are_enough_once_a_look_brings_nothing_new(bench: Bench) -> None:
    script = [ndjson(*results(94)), ndjson(*results(94)), ndjson(*results(95)), ndjson(*results(96))]
    (got,), requests = run(bench, [*script, ndjson(*results(96))], ONE_OFF)
    assert (got.results, got.complete, len(requests)) == (96, True, 5)


def test_a_one_off_that_stays_short_ends_at_its_deadline(bench: Bench) -> None:
    time = Time(START)
    (got,), _ = run(bench, lambda _: ndjson(*results(50)), ONE_OFF, time=time)
    assert (got.results, len(got.participants), got.complete) == (50, 50, False)
    assert time.now == START + 60 + 300
    assert max(time.slept) <= 60
    assert time.slept[:-1] == sorted(time.slept[:-1])


def test_several_results_of_one_probe_are_one_participant(bench: Bench) -> None:
    script = [ndjson(*results(60), *results(60)), ndjson(*results(60), *results(60), *results(40, first=61))]
    (got,), _ = run(bench, script, ONE_OFF)
    assert (got.results, len(got.participants), got.complete) == (160, 100, True)


def test_results_that_are_not_there_yet_are_waited_for(bench: Bench) -> None:
    script = [error(404, "Not found."), Answer(body=b""), ndjson(*results(100))]
    (got,), _ = run(bench, script, ONE_OFF)
    assert (got.results, got.complete) == (100, True)


def test_results_that_never_come_are_an_empty_file(bench: Bench) -> None:
    (got,), _ = run(bench, lambda _: error(404, "Not found."), ONE_OFF)
    assert (got.results, got.participants, got.complete) == (0, frozenset(), False)
    assert gzip.decompress(got.file.read_bytes()) == b""


def test_results_are_stored_byte_for_byte_and_the_same_each_time(bench: Bench) -> None:
    text = b'{"prb_id":1, "x" : 1.50}\n{ "n": "\xc3\xa9\\u00e9", "prb_id" :2}\n{"prb_id":3}'
    (got,), _ = run(bench, [Answer(body=text)], BUILT_IN)
    first = got.file.read_bytes()
    assert got.file.name == "10301.ndjson.gz"
    assert gzip.decompress(first) == text + b"\n"
    assert got.participants == {1, 2, 3}
    (again,), _ = run(bench, [Answer(body=text)], BUILT_IN, time=Time(START + 1000))
    assert again.file.read_bytes() == first


def test_a_probe_is_read_from_the_key_and_never_from_a_text(bench: Bench) -> None:
    line = {"answers": [{"RDATA": ['"prb_id": 7, \\"prb_id\\": 8']}], "prb_id": 42}
    (got,), _ = run(bench, [ndjson(line, {"msm_id": 10301})], BUILT_IN)
    assert got.results == 2
    assert got.participants == {42}


def test_a_reused_measurement_is_fetched_when_its_window_can_have_no_more(bench: Bench) -> None:
    time = Time(START + LATE_S - 7)
    run(bench, [ndjson(*results(3))], BUILT_IN, time=time)
    assert time.slept == [7.0]


def test_a_reused_measurement_of_the_past_is_fetched_at_once_for_its_window(bench: Bench) -> None:
    time = Time(START + LATE_S)
    (got,), (request,) = run(bench, [ndjson(*results(3))], BUILT_IN, time=time)
    assert time.slept == []
    assert (got.results, got.complete) == (3, True)
    # The window leaves its end out, the API counts both ends in.
    assert (request.params["start"], request.params["stop"]) == (f"{START - 900:.0f}", f"{START - 1:.0f}")


def test_a_window_given_goes_before_that_of_the_measurement(bench: Bench) -> None:
    window = Window(start=START - 60, end=START - 30)
    _, (request,) = run(bench, [ndjson()], BUILT_IN, window=window)
    assert (request.params["start"], request.params["stop"]) == (f"{START - 60:.0f}", f"{START - 31:.0f}")


def test_chosen_probes_of_a_reused_measurement_are_asked_for_some_hundred_at_once(bench: Bench) -> None:
    chosen = replace(BUILT_IN, probes=tuple(range(1, 1102)))
    script = [ndjson(*results(2)), ndjson(*results(1, first=600)), ndjson()]
    (got,), requests = run(bench, script, chosen)
    assert [len(request.params["probe_ids"].split(",")) for request in requests] == [500, 500, 101]
    assert got.participants == {1, 2, 600}


def test_a_periodic_measurement_is_fetched_when_its_last_results_had_time(bench: Bench) -> None:
    time = Time(START)
    told: list[tuple[str, float]] = []
    periodic = replace(ONE_OFF, interval_s=60, stop=START + 200)
    (got,), requests = run(
        bench, [ndjson(*results(5))], periodic, time=time, progress=lambda text, share: told.append((text, share))
    )
    assert time.now == START + 200 + 300
    assert (len(requests), got.complete) == (1, True)
    assert told[0] == ("dns 198.51.100.53: it ends in 500 s", 0.0)


def test_progress_counts_answers_and_never_goes_back(bench: Bench) -> None:
    told: list[tuple[str, float]] = []
    other = replace(ONE_OFF, id=1_000_002, kind=Kind.PING, query=None, nsid=False)
    script = [ndjson(*results(81)), ndjson(*results(100)), ndjson(*results(100))]
    run(bench, script, ONE_OFF, other, progress=lambda text, share: told.append((text, share)))
    assert told == [
        ("dns 198.51.100.53: 81 of 100 answered", 0.405),
        ("dns 198.51.100.53: 100 results of 100 probes", 0.5),
        ("ping 198.51.100.53: 100 results of 100 probes", 1.0),
    ]


def test_a_stream_that_breaks_off_is_fetched_anew_and_whole(bench: Bench) -> None:
    script: list[Answer | Fault] = [ndjson(*results(100), cut=1000), Fault.RESET, ndjson(*results(100))]
    (got,), _ = run(bench, script, BUILT_IN)
    assert gzip.decompress(got.file.read_bytes()) == b"".join(
        json.dumps(result).encode() + b"\n" for result in results(100)
    )
    assert files(bench) == ["10301.ndjson.gz"]


def test_a_stream_that_breaks_off_each_time_leaves_no_file(bench: Bench) -> None:
    with pytest.raises(StreamBroken):
        run(bench, lambda _: ndjson(*results(100), cut=1000), BUILT_IN)
    assert files(bench) == []


def test_those_before_a_failure_are_there_and_whole(bench: Bench) -> None:
    with pytest.raises(PlatformFailed, match="a web page came in place of an answer"):
        run(bench, [ndjson(*results(100)), html()], ONE_OFF, replace(ONE_OFF, id=2))
    assert files(bench) == ["1000001.ndjson.gz"]


def test_a_reused_measurement_without_results_is_a_failure(bench: Bench) -> None:
    with pytest.raises(Refused, match=r"Not found\."):
        run(bench, [error(404, "Not found.")], BUILT_IN)
    assert files(bench) == []


def test_a_file_that_is_there_is_whole_and_not_fetched_again(bench: Bench) -> None:
    (first,), _ = run(bench, [ndjson(*results(3))], BUILT_IN)
    before = first.file.read_bytes()
    (again,), requests = run(bench, lambda _: ok([{"prb_id": 1}]), BUILT_IN)
    assert requests == []
    assert again == first
    assert first.file.read_bytes() == before


def test_a_campaign_goes_through_the_sandbox_from_choice_to_files(tmp_path: Path) -> None:
    service = bundled_service("k-root")
    targets = [Target(service="k-root", address=address) for address in ("193.0.14.129", "2001:7fd::1")]
    queries = tuple(Query(kind=kind) for kind in Kind)
    campaign = Campaign(
        name="chain",
        platform=PlatformName.SANDBOX,
        targets=(CampaignTarget(service="k-root"), CampaignTarget(service="k-root", af=6)),
        queries=queries,
    )
    with connect(campaign, [service], environ={}, clock=lambda: START) as platform:
        atlas = platform.atlas
        probes = choose(atlas, VantagePoints(count=60), {4, 6}, seed=1)
        measurements = schedule(
            atlas,
            campaign=campaign,
            targets=targets,
            probes=probes,
            run_tag="catchment-1a2b",
            now=platform.clock(),
            record=lambda _: None,
        )
        adopted = adopt(atlas, "catchment-1a2b", sleep=platform.sleep)
        collected = collect(atlas, measurements, tmp_path, clock=platform.clock, sleep=platform.sleep)
        platform.sleep(3600)
        spent = atlas.get("/credits/")["past_day_credits_spent"]
    ids = frozenset(probe["id"] for probe in probes)
    assert len(ids) == 60
    assert [(one.id, one.part, one.query, one.start) for one in adopted] == [
        (one.id, one.part, one.query, one.start) for one in measurements
    ]
    assert len(collected) == len(targets) * len(queries)
    asked = {one.id: len(one.probes or ()) for one in measurements}
    for one in collected:
        assert one.participants <= ids
        assert one.results == len(one.participants) == len(gzip.decompress(one.file.read_bytes()).splitlines())
        assert one.complete == (one.results >= 0.95 * asked[one.measurement])
    plan = estimate(targets, queries, campaign.schedule, budget=campaign.budget, limits=Limits(), probes=60, now=START)
    prices = [one.credits / one.probes for one in plan.measurements if one.credits is not None]
    # Late results cost too, and probes that never report cost nothing.
    assert sum(price * one.results for price, one in zip(prices, collected, strict=True)) <= spent
    assert plan.credits is not None
    assert spent <= plan.credits
