from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from catchment.campaign import Campaign, CampaignTarget, Limits, PlatformName, Query, Schedule
from catchment.errors import PlatformFailed
from catchment.model import Kind, Target
from catchment.platforms.atlas.adopting import find_part, find_run
from catchment.platforms.atlas.client import PlatformUnsure, Refused
from catchment.platforms.atlas.scheduling import definition, divide, schedule
from catchment.store import Accepted, Measurement, Stage
from tests.atlas_server import Answer, Bench, Fault, Request, Script, error, ok, probe

NOW = 1_700_000_000.0
FOUR = Target(service="k-root", address="193.0.14.129")
SIX = Target(service="k-root", address="2001:7fd::1")
V4, V6 = "system-ipv4-works", "system-ipv6-works"
BUILT_IN: dict[str, Any] = {
    "id": 10301, "type": "dns", "af": 4, "target": "k.root-servers.net", "target_ip": "193.0.14.129",
    "query_class": "CHAOS", "query_type": "TXT", "query_argument": "hostname.bind", "set_nsid_bit": False,
    "start_time": 1_289_000_000, "stop_time": None, "interval": 240, "is_oneoff": False, "tags": [],
    "status": {"id": 2, "name": "Ongoing"},
}  # fmt: skip


def campaign(*kinds: Kind, **options: Any) -> Campaign:
    given: dict[str, Any] = {
        "name": "before-move",
        "platform": PlatformName.ATLAS,
        "targets": (CampaignTarget(service="k-root"),),
        "queries": tuple(Query(kind=kind) for kind in kinds or (Kind.DNS, Kind.PING)),
    } | options
    return Campaign(**given)


class Api:
    """Accepts measurements, with ids from 1,000,001 on; lists them and tells what they are."""

    def __init__(self) -> None:
        self.accepted: dict[int, dict[str, Any]] = {}

    def __call__(self, request: Request) -> Answer | Fault:
        if request.method == "POST":
            ids = [1_000_001 + len(self.accepted) + number for number in range(len(request.body["definitions"]))]
            for number, given in zip(ids, request.body["definitions"], strict=True):
                times = {"start_time": request.body["start_time"], "stop_time": request.body.get("stop_time")}
                known = {"id": number, "target_ip": given["target"], "is_oneoff": request.body["is_oneoff"]}
                self.accepted[number] = given | times | known
            return Answer(status=201, body={"measurements": ids})
        if request.path in {"/api/v2/measurements/", "/api/v2/measurements/my/"}:
            tag, words = request.params.get("tags"), request.params.get("description__contains")
            found = [
                {"id": number}
                for number, one in self.accepted.items()
                if (tag is None or tag in one["tags"]) and (words is None or words in one["description"])
            ]
            return ok({"count": len(found), "next": None, "results": found})
        number = int(request.path.split("/")[-2])
        return ok(self.accepted[number]) if number in self.accepted else error(404, "Not found.")


def ask(bench: Bench, script: Script, probes: list[dict[str, Any]], **options: Any) -> list[Measurement]:
    return list(asked_for(bench, script, probes, **options).measurements)


def asked_for(
    bench: Bench,
    script: Script,
    probes: list[dict[str, Any]],
    *,
    unsure: dict[str, float] | None = None,
    measurements: Sequence[Measurement] = (),
    **options: Any,
) -> Accepted:
    passed = Passed()
    given: dict[str, Any] = {
        "campaign": campaign(),
        "targets": [FOUR],
        "clock": passed.now,
        "sleep": passed.sleep,
        "record": lambda _: None,
    } | options
    before = Accepted(
        tag="catchment-1a2b",
        stage=Stage.SCHEDULING,
        parts=divide(given["campaign"], given["targets"], probes),
        measurements=tuple(measurements),
        unsure=unsure or {},
    )
    with bench.atlas(script) as (atlas, server):
        try:
            return schedule(atlas, accepted=before, **given)
        finally:
            posts.extend(request for request in server.requests if request.method == "POST")


class Passed:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now(self) -> float:
        return NOW + self.slept_s

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept_s += seconds


posts: list[Request] = []


@pytest.fixture(autouse=True)
def _no_posts() -> None:
    posts.clear()


def test_one_post_asks_everything_of_one_family_from_the_same_probes(bench: Bench) -> None:
    measurements = ask(
        bench, Api(), [probe(9), probe(7)], campaign=campaign(Kind.DNS, Kind.PING, Kind.TRACEROUTE)
    )  # fmt: skip
    (post,) = posts
    assert [one["type"] for one in post.body["definitions"]] == ["dns", "ping", "traceroute"]
    assert post.body["probes"] == [{"type": "probes", "value": "7,9", "requested": 2}]
    assert post.body["is_oneoff"] is True
    assert post.body["start_time"] == NOW + 60
    assert "stop_time" not in post.body
    assert [(one.id, one.kind, one.query, one.nsid) for one in measurements] == [
        (1_000_001, Kind.DNS, "hostname.bind", True),
        (1_000_002, Kind.PING, None, False),
        (1_000_003, Kind.TRACEROUTE, None, False),
    ]
    assert {(one.target, one.af, one.probes, one.start, one.stop, one.reused) for one in measurements} == {
        ("193.0.14.129", 4, (7, 9), NOW + 60, None, False)
    }


def test_ipv6_is_asked_only_where_it_works(bench: Bench) -> None:
    probes = [probe(1, tags=[V4]), probe(2, tags=[V4, V6]), probe(3, tags=[V6])]
    measurements = ask(bench, Api(), probes, targets=[SIX, FOUR], campaign=campaign(Kind.DNS))
    assert [(one.af, one.probes) for one in measurements] == [(4, (1, 2)), (6, (2, 3))]
    assert [post.body["definitions"][0]["target"] for post in posts] == ["193.0.14.129", "2001:7fd::1"]


def test_a_family_that_works_nowhere_is_said_before_anything_is_posted(bench: Bench) -> None:
    with pytest.raises(PlatformFailed, match="IPv6 works at none of the 1 probes"):
        ask(bench, Api(), [probe(1)], targets=[FOUR, SIX])
    assert posts == []


def test_more_than_a_thousand_probes_are_asked_in_several_posts_that_start_together(bench: Bench) -> None:
    recorded: list[list[int]] = []
    measurements = ask(
        bench,
        Api(),
        [probe(number) for number in range(1, 2002)],
        record=lambda standing: recorded.append([one.id for one in standing.measurements]),
    )
    assert [post.body["probes"][0]["requested"] for post in posts] == [1000, 1000, 1]
    assert {post.body["start_time"] for post in posts} == {NOW + 60}
    assert [one.part for one in measurements] == ["v4-1", "v4-1", "v4-2", "v4-2", "v4-3", "v4-3"]
    ids = [one.id for one in measurements]
    assert recorded == [[], ids[:2], ids[:2], ids[:4], ids[:4], ids]  # before each POST, and after it


def test_what_was_accepted_is_recorded_before_a_later_post_fails(bench: Bench) -> None:
    api, answered = Api(), [0]
    recorded: list[Accepted] = []

    def script(request: Request) -> Answer | Fault:
        answered[0] += 1
        return api(request) if answered[0] == 1 else Fault.RESET

    with pytest.raises(PlatformFailed, match="the connection broke off"):
        ask(bench, script, [probe(number) for number in range(1, 1002)], record=recorded.append)
    assert [one.id for one in recorded[-1].measurements] == [1_000_001, 1_000_002]
    assert recorded[-1].unsure == {"v4-2": NOW}
    assert len(posts) == 2


def test_after_a_refusal_nothing_is_unsure(bench: Bench) -> None:
    recorded: list[Accepted] = []
    with pytest.raises(Refused, match="higher than your maximum daily results limit"):
        ask(
            bench,
            lambda _: error(400, "which is higher than your maximum daily results limit 100000."),
            [probe(1)],
            record=recorded.append,
        )
    assert (recorded[-1].measurements, recorded[-1].unsure) == ((), {})


def test_a_schedule_has_interval_start_and_stop(bench: Bench) -> None:
    start, stop = datetime(2026, 11, 21, 19, tzinfo=UTC), datetime(2026, 11, 21, 20, tzinfo=UTC)
    plan = campaign(Kind.PING, schedule=Schedule(interval_s=300, start=start, stop=stop))
    (measurement,) = ask(bench, Api(), [probe(1)], campaign=plan)
    (post,) = posts
    assert (post.body["start_time"], post.body["stop_time"]) == (1_795_287_600, 1_795_291_200)
    assert post.body["definitions"][0]["interval"] == 300
    assert post.body["is_oneoff"] is False
    assert (measurement.start, measurement.stop, measurement.interval_s) == (1_795_287_600, 1_795_291_200, 300)


@pytest.mark.parametrize(
    ("start", "stop", "said"),
    [(NOW - 1, None, "would start at 2023-11-14T22:13:19Z, which is past"), (None, NOW + 30, "no whole round is left")],
)
def test_a_schedule_that_is_over_is_refused(bench: Bench, start: float | None, stop: float | None, said: str) -> None:
    begin, end = (None if at is None else datetime.fromtimestamp(at, UTC) for at in (start, stop))
    plan = campaign(schedule=Schedule(interval_s=300, start=begin, stop=end))
    with pytest.raises(PlatformFailed, match=said):
        ask(bench, Api(), [probe(1)], campaign=plan)
    assert posts == []


def test_definitions_hold_what_identifies_a_site_and_what_finds_them_again() -> None:
    dns, ping, traceroute = (
        definition(campaign(), FOUR, Query(kind=kind, name="id.server", nsid=False), "run-1", "v4-1")
        for kind in (Kind.DNS, Kind.PING, Kind.TRACEROUTE)
    )
    assert dns == {
        "type": "dns",
        "af": 4,
        "target": "193.0.14.129",
        "description": "run-1-v4-1 before-move: dns id.server of k-root",
        "tags": ["catchment", "run-1", "run-1-v4-1"],
        "resolve_on_probe": False,
        "query_class": "CHAOS",
        "query_type": "TXT",
        "query_argument": "id.server",
        "set_nsid_bit": False,
        "set_rd_bit": False,
        "udp_payload_size": 1232,
        "include_abuf": True,
        "retry": 0,
        "use_probe_resolver": False,
        "protocol": "UDP",
    }
    assert (ping["packets"], ping["size"]) == (3, 48)
    assert [traceroute[name] for name in ("protocol", "packets", "paris", "max_hops")] == ["ICMP", 3, 16, 32]


def test_what_an_earlier_process_posted_is_found_again_and_not_posted_twice(bench: Bench) -> None:
    api, probes = Api(), [probe(number) for number in range(1, 1002)]
    before = ask(bench, api, probes)
    api.accepted = {number: one for number, one in api.accepted.items() if number <= 1_000_002}
    api.accepted[1_000_009] = BUILT_IN | {"tags": ["catchment", "somebody-else"], "description": "other"}
    posts.clear()
    recorded: list[Accepted] = []
    after = ask(bench, api, probes, unsure={"v4-1": NOW - 10}, record=recorded.append)
    assert [post.body["probes"][0]["value"] for post in posts] == ["1001"]
    assert after[:2] == before[:2]
    assert (recorded[0].measurements, recorded[0].unsure) == (tuple(before[:2]), {})


def test_what_is_recorded_is_neither_looked_for_nor_asked_for(bench: Bench) -> None:
    before = ask(bench, Api(), [probe(1)])
    posts.clear()
    assert ask(bench, Api(), [probe(1)], measurements=before) == before
    assert posts == []


def test_what_is_recorded_stands_also_when_its_time_is_over(bench: Bench) -> None:
    plan = campaign(Kind.PING, schedule=Schedule(interval_s=300, rounds=2, start=datetime.fromtimestamp(NOW + 60, UTC)))
    before = ask(bench, Api(), [probe(1)], campaign=plan)
    late = NOW + 86_400
    assert ask(bench, Api(), [probe(1)], campaign=plan, measurements=before, clock=lambda: late) == before


def test_a_part_whose_time_is_over_is_left_out_and_said(bench: Bench) -> None:
    plan = campaign(Kind.PING, schedule=Schedule(interval_s=300, rounds=2, start=datetime.fromtimestamp(NOW + 60, UTC)))
    both = [probe(1, tags=[V4, V6]), probe(2, tags=[V4, V6])]
    first = ask(bench, Api(), both, campaign=plan)
    posts.clear()
    after = asked_for(
        bench, Api(), both, campaign=plan, targets=[FOUR, SIX], measurements=first, unsure={"v6-1": NOW},
        clock=lambda: NOW + 86_400,
    )  # fmt: skip
    assert (list(after.measurements), after.unsure, posts) == (first, {}, [])
    (remark,) = after.remarks
    assert "part v6-1, 2 vantage points, was not asked for: " in remark
    assert "no whole round is left" in remark


def test_a_part_that_is_late_begins_later_and_that_is_said(bench: Bench) -> None:
    plan = campaign(Kind.PING, schedule=Schedule(interval_s=300, rounds=9, start=datetime.fromtimestamp(NOW + 60, UTC)))
    after = asked_for(bench, Api(), [probe(1)], campaign=plan, unsure={"v4-1": NOW}, clock=lambda: NOW + 1245)
    (measurement,) = after.measurements
    assert measurement.start == NOW + 1260
    assert after.remarks == ("part v4-1, 1 vantage points, begins 20 minutes late",)


def test_a_part_without_a_round_before_the_planned_change_is_not_asked_for(bench: Bench) -> None:
    change = datetime.fromtimestamp(NOW + 3660, UTC)
    plan = campaign(Kind.PING, schedule=Schedule(interval_s=300, change_at=change))
    with pytest.raises(PlatformFailed, match="when its change is over"):
        ask(bench, Api(), [probe(1)], campaign=plan, unsure={"v4-1": NOW - 9999}, clock=lambda: NOW + 3700)
    assert posts == []


def test_the_probes_of_a_part_are_those_that_were_noted(bench: Bench) -> None:
    tags = [probe(1), probe(2), probe(3, tags=[V6])]
    assert divide(campaign(), [FOUR], tags) == {"v4-1": (1, 2)}
    small = campaign(limits=Limits(probes_per_measurement=1))
    assert divide(small, [FOUR], tags) == {"v4-1": (1,), "v4-2": (2,)}


@pytest.mark.parametrize("asked_s", [None, 90], ids=["as it likes", "Retry-After"])
def test_a_post_that_was_throttled_is_sent_again_with_a_start_in_the_time_to_come(
    bench: Bench, asked_s: int | None
) -> None:
    api, passed, refused = Api(), Passed(), [0]
    headers = {} if asked_s is None else {"Retry-After": str(asked_s)}

    def throttle(request: Request) -> Answer | Fault:
        refused[0] += 1
        return Answer(status=429, body={"detail": "slow down"}, headers=headers) if refused[0] <= 3 else api(request)

    recorded: list[Accepted] = []
    found = ask(bench, throttle, [probe(1)], clock=passed.now, sleep=passed.sleep, record=recorded.append)
    assert passed.slept_s == (28 if asked_s is None else 270)
    assert len(posts) == 4
    assert {one.start for one in found} == {posts[-1].body["start_time"]}
    assert posts[-1].body["start_time"] >= passed.now() + 15
    assert recorded[1].unsure == {}


def test_that_a_part_is_asked_for_is_recorded_before_the_post(bench: Bench) -> None:
    recorded: list[Accepted] = []
    (dns, ping) = ask(bench, Api(), [probe(1)], record=recorded.append)
    assert [(one.unsure, one.measurements) for one in recorded] == [({"v4-1": NOW}, ()), ({}, (dns, ping))]


class Forgetful(Api):
    """Accepts the first POSTs, and loses its answers; its lists show what is new after some time."""

    def __init__(self, passed: Passed, *, loses: int, listed_after_s: float, accepts: bool = True) -> None:
        super().__init__()
        self.passed = passed
        self.loses = loses
        self.accepts = accepts
        self.listed_after_s = listed_after_s
        self.shown: list[dict[int, dict[str, Any]]] = []
        self.posted_at: list[float] = []

    def __call__(self, request: Request) -> Answer | Fault:
        if request.method == "POST":
            self.posted_at.append(self.passed.now())
            if self.loses:
                self.loses -= 1
                if self.accepts:
                    super().__call__(request)
                return Fault.RESET
        hidden = self.posted_at and self.passed.now() < self.posted_at[-1] + self.listed_after_s
        if hidden and request.path in {"/api/v2/measurements/", "/api/v2/measurements/my/"}:
            return ok({"count": 0, "next": None, "results": []})
        return super().__call__(request)


@pytest.mark.parametrize("listed_after_s", [0, 30, 299])
def test_an_answer_that_got_lost_is_looked_for_and_nothing_is_asked_twice(bench: Bench, listed_after_s: float) -> None:
    passed, said = Passed(), list[str]()
    api = Forgetful(passed, loses=1, listed_after_s=listed_after_s)
    found = ask(bench, api, [probe(1)], clock=passed.now, sleep=passed.sleep, say=said.append)
    assert [one.id for one in found] == sorted(api.accepted) == [1_000_001, 1_000_002]
    assert len(posts) == 1
    assert listed_after_s <= passed.slept_s <= 300
    (line,) = said
    assert "looking whether it was done" in line


def test_a_post_that_never_arrived_is_sent_again_once_lists_would_show_it(bench: Bench) -> None:
    passed = Passed()
    api = Forgetful(passed, loses=1, listed_after_s=0, accepts=False)
    found = ask(bench, api, [probe(1)], clock=passed.now, sleep=passed.sleep)
    assert [one.id for one in found] == sorted(api.accepted) == [1_000_001, 1_000_002]
    assert api.posted_at == [NOW, NOW + 300]
    assert {one.start for one in found} == {NOW + 360}


def test_an_answer_that_is_lost_each_time_is_given_up_and_stays_unsure(bench: Bench) -> None:
    passed, recorded = Passed(), list[Accepted]()
    api = Forgetful(passed, loses=9, listed_after_s=0, accepts=False)
    with pytest.raises(PlatformUnsure):
        ask(bench, api, [probe(1)], clock=passed.now, sleep=passed.sleep, record=recorded.append)
    assert len(posts) == 3
    assert (recorded[-1].unsure, recorded[-1].measurements) == ({"v4-1": api.posted_at[-1]}, ())


@pytest.mark.parametrize("kept", [1, 3], ids=["half", "too many"])
def test_a_part_that_is_listed_by_half_or_doubled_is_not_posted_again(bench: Bench, kept: int) -> None:
    api = Api()
    ask(bench, api, [probe(1)])
    for number in range(4):
        api.accepted[1_000_001 + number] = dict(api.accepted[1_000_001 + number % 2], id=1_000_001 + number)
    api.accepted = {number: one for number, one in api.accepted.items() if number < 1_000_001 + kept}
    posts.clear()
    with pytest.raises(PlatformFailed, match=f"lists {kept} of the 2 measurements of part v4-1"):
        ask(bench, api, [probe(1)], unsure={"v4-1": NOW})
    assert posts == []


def test_what_was_asked_for_long_ago_needs_one_look_only(bench: Bench) -> None:
    with bench.atlas(Api()) as (atlas, server):
        found = find_part(
            atlas, "catchment-1a2b", "v4-1", 2, since=NOW - 3600, clock=lambda: NOW, sleep=bench.slept.append
        )
        assert len(server.requests) == 3  # one for each list
    assert (found, bench.slept) == ([], [])


def test_a_post_that_was_tried_for_minutes_gets_the_whole_time_to_be_listed(bench: Bench) -> None:
    passed = Passed()
    with bench.atlas(Api()) as (atlas, _):
        find_part(atlas, "catchment-1a2b", "v4-1", 2, since=NOW - 600, clock=passed.now, sleep=passed.sleep)
    assert passed.slept_s == 300


def test_a_key_that_may_not_list_finds_by_tag_and_description(bench: Bench) -> None:
    api = Api()
    posted = ask(bench, api, [probe(1)])

    def forbid(request: Request) -> Answer | Fault:
        if request.path == "/api/v2/measurements/my/" or "tags" in request.params:
            return error(403, "You do not have permission to perform this action.")
        if request.path == "/api/v2/measurements/":
            wanted = request.params["description__contains"]
            found = [{"id": number} for number, one in api.accepted.items() if wanted in one["description"]]
            return ok({"count": len(found), "next": None, "results": found})
        described = api.accepted[int(request.path.split("/")[-2])]
        return ok({**described, "tags": []})

    with bench.atlas(forbid) as (atlas, _):
        found = find_run(atlas, "catchment-1a2b")
    assert [(one.id, one.part) for one in found] == [(one.id, "v4-1") for one in posted]


def test_an_api_that_heeds_no_tag_is_not_paged_through(bench: Bench) -> None:
    everything = ok({"count": 195_000_000, "next": "https://elsewhere/", "previous": None, "results": [{"id": 1}]})
    with bench.atlas([everything, everything, everything]) as (atlas, server):
        with pytest.raises(PlatformFailed, match="its lists heed neither the tag"):
            find_run(atlas, "catchment-1a2b")
        assert len(server.requests) == 3
