from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from catchment.campaign import Campaign, CampaignTarget, PlatformName, Query
from catchment.errors import PlatformFailed
from catchment.model import Kind, Window
from catchment.platforms.atlas import slices
from catchment.platforms.atlas.client import Refused, StreamBroken
from catchment.platforms.atlas.clock import ServerClock
from catchment.platforms.atlas.collecting import Collected, collect, in_words, why_incomplete
from catchment.platforms.atlas.gathering import LATE_S
from catchment.platforms.atlas.measurements import read_measurement
from catchment.platforms.atlas.waiting import Missing
from catchment.platforms.connecting import connect
from catchment.services import bundled_service
from catchment.store import Measurement
from tests.atlas_server import Answer, Bench, Fault, Request, Script, error, html, ndjson, ok

START = 1_700_006_460.0
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
BUILT_IN = replace(ONE_OFF, id=10301, probes=None, start=START - 899.5, stop=START, interval_s=240, reused=True)
PERIODIC = replace(ONE_OFF, probes=(1, 2, 3), stop=START + 3 * 3600, interval_s=600)
SLICES = [f"1000001-20231115T0{hour}0100Z-20231115T0{hour + 1}0100Z.ndjson.gz" for hour in (0, 1, 2)]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Store:
    """What RIPE Atlas would answer: of results that arrive by the clock, `status` what it says of the measurement.

    `found_from` is when results are found at all, `served` counts each result that was sent.
    """

    time: Time
    arrivals: Sequence[tuple[float, dict[str, Any]]]
    status: Callable[[float], dict[str, Any]] = lambda _: {"id": 2, "name": "Ongoing", "when": None}
    found_from: float = 0.0
    served: Counter[tuple[int, int]] = field(default_factory=Counter)

    def __call__(self, request: Request) -> Answer:
        if not request.path.endswith("/results/"):
            return ok({"status": self.status(self.time.now), "probes": [{"id": 1, "url": "https://…"}]})
        if self.time.now < self.found_from:
            return error(404, "Not found.")
        first, last = (float(request.params.get(name, end)) for name, end in (("start", "-inf"), ("stop", "inf")))
        asked = request.params.get("probe_ids")
        probes = None if asked is None else set(map(int, asked.split(",")))
        sent = [
            result
            for arrives, result in self.arrivals
            if arrives <= self.time.now
            and first <= result["timestamp"] <= last
            and (probes is None or result["prb_id"] in probes)
        ]
        self.served.update((result["prb_id"], result["timestamp"]) for result in sent)
        return ndjson(*sent)


def results(count: int, first: int = 1) -> list[dict[str, Any]]:
    return [{"fw": 5120, "prb_id": number, "timestamp": 1} for number in range(first, first + count)]


def rounds(measurement: Measurement, delay_s: float = 20, **odd: Any) -> list[tuple[float, dict[str, Any]]]:
    """Return when each result of a periodic measurement arrives: on the very edges of its rounds, so of slices too."""
    assert measurement.interval_s is not None
    assert measurement.stop is not None
    return [
        (at + delay_s, {"prb_id": probe, "timestamp": at, **odd})
        for begin in range(int(measurement.start), int(measurement.stop), measurement.interval_s)
        for probe in measurement.probes or ()
        for at in (begin, begin + measurement.interval_s - 1)
    ]


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


def names(bench: Bench) -> list[str]:
    return sorted(path.name for path in (bench.ca_file.parent / "raw").glob("*"))


def stored(got: Collected) -> Counter[tuple[int, int]]:
    """Count each result in the files of a measurement."""
    lines = [json.loads(line) for file in got.files for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert len(lines) == got.results
    return Counter((line["prb_id"], line["timestamp"]) for line in lines)


def asked_for_results(requests: Sequence[Request]) -> list[Request]:
    return [request for request in requests if request.path.endswith("/results/")]


# One-offs


def test_a_one_off_is_done_when_all_have_answered(bench: Bench) -> None:
    time = Time(START - 60)
    (got,), requests = run(bench, [ndjson(*results(40)), ndjson(*results(60, first=41))], ONE_OFF, time=time)
    assert (got.measurement, got.results, got.complete) == (1_000_001, 100, True)
    assert got.participants == frozenset(range(1, 101))
    assert sum(time.slept) == 60 + 5
    assert [request.path for request in requests] == ["/api/v2/measurements/1000001/results/"] * 2
    assert [request.params["format"] for request in requests] == ["txt", "txt"]
    assert "start" not in requests[0].params
    # Answers come out of a cache unless the address is a new one.
    assert requests[0].params["defeatcaching"] != requests[1].params["defeatcaching"]


def test_a_later_look_asks_only_for_those_who_have_not_answered(bench: Bench) -> None:
    time = Time(START)
    asked = replace(ONE_OFF, probes=tuple(range(1, 1001)))
    store = Store(time, [(START + number / 10, {"prb_id": number, "timestamp": 7}) for number in range(1, 1001)])
    (got,), requests = run(bench, store, asked, time=time)
    assert got.complete
    assert set(store.served.values()) == {1}
    assert stored(got) == store.served
    looks = [request.params.get("probe_ids", "").count(",") + 1 for request in asked_for_results(requests)]
    # At once nobody has answered, 5 s later 50: then 950 are asked for, 500 at most in one request.
    assert looks[:4] == [1, 1, 500, 450]
    assert "probe_ids" not in requests[1].params


def test_a_server_that_heeds_no_list_of_probes_doubles_nothing(bench: Bench) -> None:
    (got,), _ = run(bench, [ndjson(*results(50)), ndjson(*results(100))], ONE_OFF)
    assert set(stored(got).values()) == {1}
    assert got.results == 100


def test_nearly_all_are_enough_once_a_look_brings_nothing_new(bench: Bench) -> None:
    script = [ndjson(*results(94)), ndjson(), ndjson(*results(1, first=95)), ndjson(*results(1, first=96)), ndjson()]
    (got,), requests = run(bench, script, ONE_OFF)
    assert (got.results, got.complete, len(requests)) == (96, True, 5)


def test_a_one_off_that_stays_short_ends_at_its_deadline(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, [(START, result) for result in results(50)], found_from=START + 3)
    store.status = lambda _: {"id": 1, "name": "Scheduled"}
    (got,), requests = run(bench, store, ONE_OFF, time=time)
    assert (got.results, len(got.participants), got.complete, got.status) == (50, 50, False, "Scheduled")
    assert time.now == START + 60 + 300
    assert max(time.slept) <= 60
    assert len(requests) - len(asked_for_results(requests)) <= 6
    assert why_incomplete(ONE_OFF, got) == (
        "measurement 1000001 (dns 198.51.100.53): 50 of 100 vantage points answered, and no more were "
        "waited for; its status is 'Scheduled'"
    )


def test_probes_that_take_no_part_are_not_waited_for(bench: Bench) -> None:
    time = Time(START)
    # The API says that of the hundred only probe 1 takes part.
    (got,), _ = run(bench, Store(time, [(START, results(1)[0])]), ONE_OFF, time=time)
    assert (got.results, got.complete, got.status) == (1, False, "Ongoing")
    assert START + 30 <= time.now < START + 120


def test_several_results_of_one_probe_in_one_answer_stay_as_they_came(bench: Bench) -> None:
    script = [ndjson(*results(60), *results(60)), ndjson(*results(40, first=61))]
    (got,), _ = run(bench, script, ONE_OFF)
    assert (got.results, len(got.participants), got.complete) == (160, 100, True)


def test_results_that_are_not_there_yet_are_waited_for(bench: Bench) -> None:
    script = [error(404, "Not found."), Answer(body=b""), ndjson(*results(100))]
    (got,), _ = run(bench, script, ONE_OFF)
    assert (got.results, got.complete) == (100, True)


def test_a_look_that_is_refused_halfway_doubles_nothing(bench: Bench) -> None:
    many = replace(ONE_OFF, probes=tuple(range(1, 702)))
    script = [ndjson(*results(1)), ndjson(*results(500, first=2)), error(404, "Not found."), ndjson(*results(200, 502))]
    (got,), _ = run(bench, script, many)
    assert got.results == len(stored(got)) == 701


@pytest.mark.parametrize("asked", [ONE_OFF, PERIODIC])
def test_results_that_are_never_found_are_one_line_and_the_others_come_first(bench: Bench, asked: Measurement) -> None:
    def script(request: Request) -> Answer:
        if request.path.startswith("/api/v2/measurements/1000001/"):
            return error(404, "Not found.")
        return ndjson(*results(100))

    with pytest.raises(Missing) as caught:
        run(bench, script, asked, replace(ONE_OFF, id=1_000_002, start=START + 86_400))
    assert "the results of measurement 1000001 are not found (404)" in str(caught.value)
    assert "look at https://127.0.0.1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(bench) == ["1000002.ndjson.gz"]


@pytest.mark.parametrize(
    ("number", "name"), [(4, "Stopped"), (5, "Forced to stop"), (7, "Failed"), (8, "Denied"), (9, "Canceled")]
)
@pytest.mark.parametrize("given", ["id", "name alone", "text"])
def test_a_measurement_that_is_over_is_not_waited_for_any_longer(
    bench: Bench, number: int, name: str, given: str
) -> None:
    start = START + 3600
    time = Time(START)
    status: Any = {
        "id": {"id": number, "name": name, "when": int(START) + 100},
        "name alone": {"name": name, "when": int(START) + 100},
        "text": name,
    }[given]
    store = Store(time, [], status=lambda now: status if now >= START + 100 else {"id": 0, "name": "Specified"})
    store.found_from = math.inf if number >= 7 else 0.0
    asked = [replace(ONE_OFF, start=start), replace(PERIODIC, id=2, start=start, stop=start + 7200)]
    got, _ = run(bench, store, *asked, time=time)
    assert [(one.results, one.complete, one.status) for one in got] == [(0, False, name)] * 2
    # What was under way gets its 300 s.
    assert time.now <= start + 300


def test_no_suitable_probes_may_still_become_suitable(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, [(START + 200, result) for result in results(100)])
    store.status = lambda _: {"id": 6, "name": "No suitable probes"}
    (got,), _ = run(bench, store, ONE_OFF, time=time)
    assert (got.results, got.complete, got.status) == (100, True, "No suitable probes")


def test_a_status_that_cannot_be_had_stops_nobody(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, [(START, result) for result in results(50)])

    def script(request: Request) -> Answer:
        return store(request) if request.path.endswith("/results/") else error(403, "No.")

    (got,), _ = run(bench, script, ONE_OFF, time=time)
    assert (got.results, got.status) == (50, "unknown")


# Reused measurements


def test_results_are_stored_byte_for_byte_and_the_same_each_time(bench: Bench) -> None:
    text = b'{"prb_id":1, "x" : 1.50}\n{ "n": "\xc3\xa9\\u00e9", "prb_id" :2}\n{"prb_id":3}'
    (got,), _ = run(bench, [Answer(body=text)], BUILT_IN)
    (file,) = got.files
    first = file.read_bytes()
    assert file.name == "10301.ndjson.gz"
    assert gzip.decompress(first) == text + b"\n"
    assert got.participants == {1, 2, 3}
    file.unlink()
    (again,), _ = run(bench, [Answer(body=text)], BUILT_IN, time=Time(START + 1000))
    assert again.files[0].read_bytes() == first


def test_a_reused_measurement_is_fetched_when_its_window_can_have_no_more(bench: Bench) -> None:
    time = Time(START + LATE_S - 7)
    run(bench, [ndjson(*results(3))], BUILT_IN, time=time)
    assert sum(time.slept) == 7.0


def test_a_reused_measurement_of_the_past_is_fetched_at_once_for_its_window(bench: Bench) -> None:
    time = Time(START + LATE_S)
    (got,), (request,) = run(bench, [ndjson(*results(3))], BUILT_IN, time=time)
    assert time.slept == []
    assert (got.results, got.complete, got.status) == (3, True, None)
    # The window leaves its end out, the API counts both ends in.
    assert (request.params["start"], request.params["stop"]) == (f"{START - 899:.0f}", f"{START - 1:.0f}")


def test_a_window_given_goes_before_that_of_the_measurement(bench: Bench) -> None:
    window = Window(start=START - 60, end=START - 30)
    _, (request,) = run(bench, [ndjson(*results(1))], BUILT_IN, window=window)
    assert (request.params["start"], request.params["stop"]) == (f"{START - 60:.0f}", f"{START - 31:.0f}")


def test_chosen_probes_of_a_reused_measurement_are_asked_for_some_hundred_at_once(bench: Bench) -> None:
    chosen = replace(BUILT_IN, probes=tuple(range(1_000_001, 1_001_102)))
    script = [ndjson(*results(2)), ndjson(*results(1, first=600)), ndjson(*results(1, first=1001))]
    (got,), requests = run(bench, script, chosen)
    assert [len(request.params["probe_ids"].split(",")) for request in requests] == [500, 500, 101]
    assert got.participants == {1, 2, 600, 1001}


def test_some_hundred_probes_that_are_all_dead_are_asked_for_once_while_others_answer(bench: Bench) -> None:
    chosen = replace(BUILT_IN, probes=tuple(range(1, 1201)))
    (got,), requests = run(bench, [ndjson(*results(2)), ndjson(), ndjson(*results(1, first=1001))], chosen)
    assert (len(requests), got.results) == (3, 3)
    (got,), requests = run(bench, lambda _: ndjson(), replace(chosen, id=10302))
    assert [request.params["probe_ids"].count(",") + 1 for request in requests] == [500, 500, 200] * 3
    assert len({request.params["defeatcaching"] for request in requests}) == 3


def test_an_empty_answer_is_asked_for_again_before_it_is_believed(bench: Bench) -> None:
    (got,), requests = run(bench, [ndjson(), ndjson(*results(2))], BUILT_IN)
    assert (len(requests), got.results) == (2, 2)
    (got,), requests = run(bench, [ndjson(), ndjson(), ndjson()], replace(BUILT_IN, id=10302))
    assert (len(requests), got.results) == (3, 0)
    assert why_incomplete(replace(BUILT_IN, id=10302), got).endswith("has no results in the window")


def test_a_reused_measurement_without_results_is_a_failure(bench: Bench) -> None:
    with pytest.raises(Refused, match=r"Not found\."):
        run(bench, [error(404, "Not found.")], BUILT_IN)
    assert names(bench) == []


def test_hours_of_a_root_letter_are_a_file_for_each_quarter(bench: Bench) -> None:
    time = Time(START)
    window = Window(start=START - 7200, end=START + 900)
    store = Store(time, [(at, {"prb_id": 1, "timestamp": at}) for at in range(int(START) - 8000, int(START) + 2000)])
    (got,), _ = run(bench, store, BUILT_IN, window=window, time=time)
    assert len(got.files) == 9
    assert got.files[0].name == "10301-20231114T220100Z-20231114T221600Z.ndjson.gz"
    assert stored(got) == {(1, at): 1 for at in range(int(START) - 7200, int(START) + 900)}
    assert time.now == START + 900 + LATE_S


# Periodic measurements


def test_a_periodic_measurement_is_fetched_slice_by_slice_while_it_runs(bench: Bench) -> None:
    time = Time(START - 60)
    store = Store(time, rounds(PERIODIC))
    seen: list[tuple[float, list[str]]] = []
    (got,), _ = run(
        bench,
        store,
        PERIODIC,
        time=time,
        progress=lambda *_: seen.append((time.now, names(bench) if (bench.ca_file.parent / "raw").exists() else [])),
    )
    for number in (0, 1, 2):
        due = START + (number + 1) * 3600 + 300
        assert max(at for at, there in seen if len(there) == number) <= due
    assert [file.name for file in got.files] == SLICES
    assert stored(got) == store.served == {(r["prb_id"], r["timestamp"]): 1 for _, r in store.arrivals}
    assert (got.complete, got.participants) == (True, frozenset({1, 2, 3}))
    assert time.now == START + 3 * 3600 + 300


def test_clocks_that_are_wrong_lose_no_result(bench: Bench) -> None:
    time = Time(START)
    wrong = [(START + 100, {"prb_id": 2, "timestamp": at}) for at in (5, int(START) - 1, int(START) + 10**7)]
    (got,), _ = run(bench, store := Store(time, [*rounds(PERIODIC), *wrong]), PERIODIC, time=time)
    assert stored(got) == {(r["prb_id"], r["timestamp"]): 1 for _, r in store.arrivals}


def test_what_came_late_is_fetched_once_at_the_end_and_only_of_those_who_lacked_it(bench: Bench) -> None:
    time = Time(START)
    once_a_round = [(at, r) for at, r in rounds(PERIODIC) if r["timestamp"] % 600 == START % 600]
    offline = range(int(START) + 1800, int(START) + 5400)
    arrivals = [(START + 9000 if r["prb_id"] == 2 and r["timestamp"] in offline else at, r) for at, r in once_a_round]
    store = Store(time, arrivals)
    (got,), requests = run(bench, store, PERIODIC, time=time)
    assert [file.name for file in got.files] == [*SLICES, "1000001-late.ndjson.gz"]
    assert stored(got) == {(r["prb_id"], r["timestamp"]): 1 for _, r in arrivals}
    late = asked_for_results(requests)[3:]
    # The last slice was fetched just now.
    assert [(r.params.get("start"), r.params["stop"], r.params["probe_ids"]) for r in late] == [
        (None, f"{START + 3599:.0f}", "2"),
        (f"{START + 3600:.0f}", f"{START + 7199:.0f}", "2"),
    ]
    again, requests = run(bench, store, PERIODIC, time=time)
    assert (again, requests) == ([replace(got, status=None)], [])


def test_a_probe_that_never_reports_costs_no_file(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, [(at, r) for at, r in rounds(PERIODIC) if r["prb_id"] != 3])
    (got,), requests = run(bench, store, PERIODIC, time=time)
    assert [file.name for file in got.files] == SLICES
    # Three slices, and two of them once more; the last was fetched just now.
    assert [request.params.get("probe_ids") for request in asked_for_results(requests)] == [None, None, None, "3", "3"]
    assert (got.complete, got.status) == (False, "Ongoing")  # 2 of 3 are not enough


ROUNDS = replace(ONE_OFF, probes=tuple(range(1, 61)), stop=START + 3600, interval_s=300)


def some_of_12_rounds(count: int) -> list[tuple[float, dict[str, Any]]]:
    """Return the first results of 60 probes, round after round."""
    every = [(START + 300 * turn, probe) for turn in range(12) for probe in range(1, 61)]
    return [(at + 5, {"prb_id": probe, "timestamp": int(at)}) for at, probe in every[:count]]


@pytest.mark.parametrize(("results", "complete", "status"), [(684, True, None), (683, False, "Ongoing")])
def test_a_periodic_measurement_is_complete_with_95_of_100_results(
    bench: Bench, results: int, complete: bool, status: str | None
) -> None:
    time = Time(START + 3600 + 300)
    (got,), requests = run(bench, Store(time, some_of_12_rounds(results)), ROUNDS, time=time)
    assert (got.results, len(got.participants), got.complete, got.status) == (results, 60, complete, status)
    assert [request.path for request in requests if not request.path.endswith("/results/")] == (
        [] if complete else ["/api/v2/measurements/1000001/"]
    )


def test_of_rounds_that_are_lost_it_is_said_how_many_results_there_are_and_the_status(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, some_of_12_rounds(189))
    # That it was stopped is not known before all is over.
    store.status = lambda now: {"name": "Stopped" if now >= START + 3600 + 300 else "Ongoing"}
    (got,), _ = run(bench, store, ROUNDS, time=time)
    assert why_incomplete(ROUNDS, got) == (
        "measurement 1000001 (dns 198.51.100.53): 189 of 720 results, of 60 of 60 vantage points; its status is "
        "'Stopped'"
    )
    more = replace(got, results=721, participants=frozenset(range(1, 31)))
    assert why_incomplete(ROUNDS, more) == (
        "measurement 1000001 (dns 198.51.100.53): 721 results, of 30 of 60 vantage points; its status is 'Stopped'"
    )


def test_a_measurement_that_is_stopped_ends_the_waiting(bench: Bench) -> None:
    time = Time(START)
    stopped_at = START + 4000
    store = Store(time, [(at, r) for at, r in rounds(PERIODIC) if r["timestamp"] < stopped_at])
    store.status = lambda now: (
        {"id": 4, "name": "Stopped", "when": int(stopped_at)} if now >= stopped_at else {"id": 2, "name": "Ongoing"}
    )
    (got,), _ = run(bench, store, PERIODIC, time=time)
    assert [file.name for file in got.files] == SLICES[:2]
    assert stored(got) == {(r["prb_id"], r["timestamp"]): 1 for _, r in store.arrivals}
    assert (got.complete, got.status) == (False, "Stopped")
    assert time.now <= stopped_at + 900 + 300


def test_one_that_was_stopped_long_ago_is_not_waited_for(bench: Bench) -> None:
    time = Time(START + 2000)
    stopped = {"id": 4, "name": "Stopped", "when": int(START) + 600}
    store = Store(time, [(at, r) for at, r in rounds(PERIODIC) if r["timestamp"] < START + 600], lambda _: stopped)
    shares: list[float] = []
    (got,), _ = run(bench, store, PERIODIC, time=time, progress=lambda _, share: shares.append(share))
    assert (got.results, got.complete) == (6, False)
    assert time.now == START + 2060
    assert shares == sorted(shares)


def test_the_status_of_days_is_not_asked_for_all_the_time(bench: Bench) -> None:
    time = Time(START)
    days = replace(PERIODIC, stop=START + 5 * 86_400)
    (got,), requests = run(bench, Store(time, []), days, time=time)
    looks = len(requests) - len(asked_for_results(requests))
    assert 50 <= looks <= 120
    assert 100 <= len(got.files) <= 110


def test_a_measurement_without_an_end_is_one_line(bench: Bench) -> None:
    with pytest.raises(PlatformFailed, match="measurement 1000001 has no end"):
        run(bench, [], replace(PERIODIC, stop=None))


# A clock that is wrong


def collect_with_one_wrong_date(
    bench: Bench, store: Store, measurement: Measurement, time: Time, wrong_at: float
) -> Collected:
    """Collect by a clock that is a day ahead from a moment on, until the next answer tells it the time."""
    ahead, wrong = [0.0], [wrong_at]

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if wrong and time.now >= wrong[0]:
            del wrong[0]
            ahead[0] = 86_400.0

    def script(request: Request) -> Answer:
        ahead[0] = 0.0
        return store(request)

    with bench.atlas(script, sleep=sleep) as (atlas, _):
        raw = bench.ca_file.parent / "raw"
        (got,) = collect(atlas, [measurement], raw, clock=lambda: time.now + ahead[0], sleep=sleep)
    assert wrong == []
    return got


@pytest.mark.parametrize("measurement", [PERIODIC, ROUNDS])
@pytest.mark.parametrize("first_wrong_s", [1000, 3900])  # at the latter the first slice of three is due
def test_one_wrong_date_ends_no_periodic_run_early(bench: Bench, measurement: Measurement, first_wrong_s: int) -> None:
    time = Time(START)
    late = {1000: 20, 3900: 5000}[first_wrong_s] if measurement is PERIODIC else 20
    store = Store(time, [(at - 20 + late if r["timestamp"] < START + 3600 else at, r) for at, r in rounds(measurement)])

    got = collect_with_one_wrong_date(bench, store, measurement, time, START + first_wrong_s)
    assert stored(got) == {(r["prb_id"], r["timestamp"]): 1 for _, r in store.arrivals}
    assert got.complete
    assert time.now == (measurement.stop or 0) + 300


def test_one_wrong_date_ends_no_one_off_early(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, [(START + 2 * number, result) for number, result in enumerate(results(100))])

    got = collect_with_one_wrong_date(bench, store, ONE_OFF, time, START + 20)
    assert (got.results >= 95, got.complete) == (True, True)


def test_dates_that_are_wrong_for_half_an_hour_change_nothing(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, rounds(PERIODIC))
    told: list[float] = []

    def script(request: Request) -> Answer:
        ahead_s = 86_400 if START + 600 <= time.now < START + 2400 else 0
        told.append(ahead_s)
        answer = store(request)
        return replace(answer, headers={**answer.headers, "Date": formatdate(time.now + ahead_s, usegmt=True)})

    there = ServerClock(clock=lambda: time.now - 5000, ticks=lambda: time.now, sleep=time.sleep)
    there.hear(START)
    there.hear(START)
    with bench.atlas(script, sleep=time.sleep, heard=there.hear) as (atlas, _):
        (got,) = collect(atlas, [PERIODIC], bench.ca_file.parent / "raw", clock=there.now, sleep=there.sleep)
    assert 86_400 in told
    assert stored(got) == {(r["prb_id"], r["timestamp"]): 1 for _, r in store.arrivals}
    assert got.complete


def test_a_run_that_a_wrong_clock_did_end_is_not_called_complete(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, rounds(PERIODIC))

    def clock() -> float:
        return time.now + (86_400 if START + 600 <= time.now < START + 2400 else 0)

    with bench.atlas(store, sleep=time.sleep) as (atlas, _):
        (got,) = collect(atlas, [PERIODIC], bench.ca_file.parent / "raw", clock=clock, sleep=time.sleep)
    assert (got.complete, got.status) == (False, "Ongoing")


# All at once


def test_all_are_waited_for_at_the_same_time(bench: Bench) -> None:
    time = Time(START)
    asked = [replace(ONE_OFF, id=1_000_001 + number, probes=(1, 2, 3)) for number in range(8)]
    asked += [replace(PERIODIC, id=2_000_000 + number) for number in range(3)]
    one_offs_there_by: list[float] = []

    def note(*_: object) -> None:
        if not one_offs_there_by and sum(name.startswith("100000") for name in names(bench)) == 8:
            one_offs_there_by.append(time.now)

    got, _ = run(bench, Store(time, rounds(PERIODIC)), *reversed(asked), time=time, progress=note)
    assert [one.measurement for one in reversed(got)] == [one.id for one in asked]
    assert one_offs_there_by[0] <= START + 30
    assert all(one.complete for one in got)
    assert time.now == START + 3 * 3600 + 300


def test_progress_tells_what_is_waited_for_and_never_goes_back(bench: Bench) -> None:
    told: list[tuple[str, float]] = []
    run(
        bench,
        [ndjson(*results(81)), ndjson(*results(19, first=82))],
        ONE_OFF,
        time=Time(START - 150),
        progress=lambda text, share: told.append((text, share)),
    )
    assert told[0] == ("dns 198.51.100.53: starts in 3 min", 0.0)
    assert told[-2:] == [
        ("dns 198.51.100.53: 81 of 100 answered, 6 min left", 0.81),
        ("dns 198.51.100.53: 100 results of 100 vantage points", 1.0),
    ]
    told.clear()
    time = Time(START)
    asked = (replace(ONE_OFF, id=7), replace(PERIODIC, id=8))
    run(
        bench,
        Store(time, rounds(PERIODIC)),
        *asked,
        time=time,
        progress=lambda text, share: told.append((text, share)),
    )
    assert ("2 measurements: measuring, nothing is fetched yet, 3 h 5 min left", 0.0) in told
    assert told[-1] == ("dns 198.51.100.53: 108 results of 3 vantage points", 1.0)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert any("39 results of 3 of 100 vantage points" in text for text, _ in told)


def test_long_answers_are_told_while_they_come(bench: Bench) -> None:
    told: list[str] = []
    run(bench, [ndjson(*results(12_000))], BUILT_IN, progress=lambda text, _: told.append(text), time=Time(START + 500))
    assert told == [
        "dns 198.51.100.53: fetching, 5,000 results",
        "dns 198.51.100.53: fetching, 10,000 results",
        "dns 198.51.100.53: 12,000 results of 12,000 vantage points",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (90, "90 s"),
        (91, "2 min"),
        (150, "3 min"),
        (5400, "90 min"),
        (5401, "1 h 31 min"),
        (7200, "2 h"),
        (7800, "2 h 10 min"),
        (172_800, "48 h"),
        (172_801, "2 days 1 h"),
        (86_400 * 3, "3 days"),
    ],
)
def test_times_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


# What goes wrong


def test_a_stream_that_breaks_off_is_fetched_anew_and_whole(bench: Bench) -> None:
    script: list[Answer | Fault] = [ndjson(*results(100), cut=1000), Fault.RESET, ndjson(*results(100))]
    (got,), _ = run(bench, script, BUILT_IN)
    assert gzip.decompress(got.files[0].read_bytes()) == b"".join(
        json.dumps(result).encode() + b"\n" for result in results(100)
    )
    assert names(bench) == ["10301.ndjson.gz"]


def test_every_answer_may_fail_once(bench: Bench) -> None:
    time = Time(START)
    store = Store(time, rounds(PERIODIC))
    faults: list[Answer | Fault | str] = [
        error(429, "Slow down."),
        error(503, "Busy."),
        Fault.RESET,
        Fault.CLOSE,
        "cut",
        "half a line",
    ]
    asked: Counter[str] = Counter()

    def script(request: Request) -> Answer | Fault:
        if not request.path.endswith("/results/"):
            return store(request)
        about = str(request.params.get("start"))
        asked[about] += 1
        if asked[about] > len(faults):
            return store(request)
        fault = faults[(asked[about] + len(asked)) % len(faults)]
        if not isinstance(fault, str):
            return fault
        answer = ndjson(*[result for _, result in store.arrivals])
        return replace(answer, cut=3000) if fault == "cut" else Answer(body=answer.body[:-20])

    (got,), _ = run(bench, script, PERIODIC, time=time)
    assert stored(got) == {(r["prb_id"], r["timestamp"]): 1 for _, r in store.arrivals}


def test_a_stream_that_breaks_off_each_time_leaves_no_file(bench: Bench) -> None:
    time = Time(START)
    with pytest.raises(StreamBroken, match=r"/measurements/10301/results/.*try 6") as caught:
        run(bench, lambda _: ndjson(*results(100), cut=1000), BUILT_IN, time=time)
    assert "\n" not in str(caught.value)
    assert names(bench) == []
    assert time.slept[-5:] == [2, 4, 8, 16, 32]  # random is 0.5, so these are neither shortened nor prolonged


def test_tries_are_spread_as_the_client_spreads_them(bench: Bench) -> None:
    time = Time(START + LATE_S)
    with bench.atlas(lambda _: ndjson(*results(100), cut=1000), sleep=time.sleep) as (atlas, _):
        atlas.random = lambda: 0.0
        with pytest.raises(StreamBroken):
            collect(atlas, [BUILT_IN], bench.ca_file.parent / "raw", clock=lambda: time.now, sleep=time.sleep)
    assert time.slept == [1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    "answer", [ok([{"prb_id": 1}]), Answer(body=b"no json\n" * 50), ok({"error": {"status": 500, "detail": "Oh."}})]
)
def test_what_is_no_result_is_one_line_that_names_the_measurement(bench: Bench, answer: Answer) -> None:
    with pytest.raises(PlatformFailed, match=r"/measurements/10301/results/") as caught:
        run(bench, lambda _: answer, BUILT_IN)
    assert "\n" not in str(caught.value)
    assert names(bench) == []


def test_those_before_a_failure_are_there_and_whole(bench: Bench) -> None:
    with pytest.raises(PlatformFailed, match="a web page came in place of an answer"):
        run(bench, [ndjson(*results(100)), html()], ONE_OFF, replace(ONE_OFF, id=2))
    assert names(bench) == ["1000001.ndjson.gz"]


@pytest.mark.parametrize("measurement", [ONE_OFF, BUILT_IN])
def test_a_file_that_is_there_is_whole_and_not_fetched_again(bench: Bench, measurement: Measurement) -> None:
    (first,), _ = run(bench, [ndjson(*results(100))], measurement)
    before = first.files[0].read_bytes()
    (again,), requests = run(bench, lambda _: ok([{"prb_id": 1}]), measurement)
    assert requests == []
    assert again == first
    assert first.files[0].read_bytes() == before


@pytest.mark.parametrize("size", [0, 5, 30, -1])
def test_a_damaged_file_is_fetched_anew(bench: Bench, size: int) -> None:
    time = Time(START)
    store = Store(time, rounds(PERIODIC))
    (first,), _ = run(bench, store, PERIODIC, time=time)
    before = [file.read_bytes() for file in first.files]
    first.files[1].write_bytes(before[1][:size])
    (again,), requests = run(bench, store, PERIODIC, time=time)
    assert len(asked_for_results(requests)) == 1
    assert again == replace(first, status=None)
    assert [file.read_bytes() for file in again.files] == before


def test_a_damaged_file_that_is_fetched_anew_doubles_nothing_of_what_came_late(bench: Bench) -> None:
    time = Time(START)
    late = [(START + 9000, r) if r["prb_id"] == 2 else (at, r) for at, r in rounds(PERIODIC)]
    store = Store(time, late)
    (first,), _ = run(bench, store, PERIODIC, time=time)
    assert first.files[-1].name == "1000001-late.ndjson.gz"
    before = {file: file.read_bytes() for file in first.files}
    for damaged in before:
        for file, held in before.items():
            file.write_bytes(held[:-9] if file == damaged else held)
        (again,), _ = run(bench, store, PERIODIC, time=time)
        assert stored(again) == {(r["prb_id"], r["timestamp"]): 1 for _, r in late}


@pytest.mark.parametrize("others_s", [1800, 7200])
def test_a_version_that_cuts_elsewhere_takes_no_file_of_another_for_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, others_s: int
) -> None:
    time = Time(START)
    late = [(START + 9000, r) if r["prb_id"] == 2 else (at, r) for at, r in rounds(PERIODIC)]
    store = Store(time, late)
    with monkeypatch.context() as earlier:
        earlier.setattr(slices, "_LONGEST_S", others_s)
        (other,), _ = run(bench, store, PERIODIC, time=time)
    (got,), _ = run(bench, store, PERIODIC, time=time)
    assert [file.name for file in got.files] == SLICES  # now nothing is late
    assert len(other.files) == {1800: 7, 7200: 3}[others_s]
    assert stored(got) == {(r["prb_id"], r["timestamp"]): 1 for _, r in late}


def test_what_a_killed_process_left_is_cleared_away(bench: Bench) -> None:
    raw = bench.ca_file.parent / "raw"
    raw.mkdir()
    (raw / ".10301.ndjson.gz.unfinished").write_bytes(b"half")
    run(bench, [ndjson(*results(3))], replace(BUILT_IN, id=10302))
    assert names(bench) == ["10302.ndjson.gz"]


@pytest.mark.parametrize("where", ["sleep", "progress", "status", "results"])
def test_ctrl_c_at_any_place_leaves_whole_files_and_nothing_is_lost_or_doubled(bench: Bench, where: str) -> None:
    raw = bench.ca_file.parent / "raw"
    raw.mkdir()
    one_off = replace(ONE_OFF, id=7, start=START + 3000, probes=(1, 2, 3))
    once = [
        (START + 3000 + 11 * number, {"prb_id": number, "timestamp": int(START) + 3000 + number})
        for number in (1, 2, 3)
    ]
    time = Time(START)
    stores = {"1000001": Store(time, rounds(PERIODIC)), "7": Store(time, once)}
    count, interrupts = 0, 0

    def sometimes(place: str) -> None:
        nonlocal count, interrupts
        if place == where:
            count += 1
            if count % 3 == 0 and interrupts < 40:
                interrupts += 1
                raise KeyboardInterrupt

    def clock() -> float:
        return time.now

    def sleep(seconds: float) -> None:
        sometimes("sleep")
        time.sleep(seconds)

    def script(request: Request) -> Answer | Fault:
        return stores[request.path.split("/")[4]](request)

    with bench.atlas(script, sleep=time.sleep) as (atlas, _):
        real_get, real_lines = atlas.get, atlas.lines

        def get(*args: Any, **params: Any) -> Any:
            sometimes("status")
            return real_get(*args, **params)

        def lines(*args: Any, **params: Any) -> Any:
            for line in real_lines(*args, **params):
                sometimes("results")
                yield line

        atlas.get, atlas.lines = get, lines  # type: ignore[method-assign]
        while True:
            try:
                got = collect(
                    atlas,
                    [PERIODIC, one_off],
                    raw,
                    clock=clock,
                    sleep=sleep,
                    progress=lambda *_: sometimes("progress"),
                )
                break
            except KeyboardInterrupt:
                assert list(raw.glob(".*")) == []
                assert {file.name for file in raw.iterdir()} <= {*SLICES, "7.ndjson.gz"}
                for file in raw.iterdir():
                    gzip.decompress(file.read_bytes())
                time.now += 7
    assert interrupts >= 5
    for one, arrivals in zip(got, (rounds(PERIODIC), once), strict=True):
        assert stored(one) == {(result["prb_id"], result["timestamp"]): 1 for _, result in arrivals}


# The sandbox


def test_a_window_of_a_built_in_measurement_of_the_sandbox_is_whole_at_its_edges(tmp_path: Path) -> None:
    campaign = Campaign(
        name="chain",
        platform=PlatformName.SANDBOX,
        targets=(CampaignTarget(service="k-root"),),
        queries=(Query(kind=Kind.DNS),),
    )
    number = 10301
    with connect(campaign, [bundled_service("k-root")], environ={}, clock=lambda: START) as platform:
        atlas = platform.atlas
        found = read_measurement(atlas, number, atlas.get(f"/measurements/{number}/"))
        window = Window(start=START - 2700, end=START - 60)
        (got,) = collect(atlas, [found], tmp_path, clock=platform.clock, sleep=platform.sleep, window=window)
        every = [
            json.loads(line)
            for line in atlas.lines(
                f"/measurements/{number}/results/", format="txt", start=int(START) - 2700, stop=int(START) - 61
            )
        ]
    assert len(got.files) == 3
    assert stored(got) == Counter((result["prb_id"], result["timestamp"]) for result in every)
    assert got.results > 2000
