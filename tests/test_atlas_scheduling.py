from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from catchment.campaign import Campaign, CampaignTarget, PlatformName, Query, Schedule
from catchment.errors import PlatformFailed, UnknownName
from catchment.model import Kind, Target, Window
from catchment.platforms.atlas.client import PlatformUnsure, Refused
from catchment.platforms.atlas.measurements import Measurement
from catchment.platforms.atlas.reusing import reuse
from catchment.platforms.atlas.scheduling import adopt, definition, schedule
from catchment.services import bundled_service
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
        if request.path == "/api/v2/measurements/":
            found = [{"id": number} for number, one in self.accepted.items() if request.params["tags"] in one["tags"]]
            return ok({"count": len(found), "next": None, "results": found})
        number = int(request.path.split("/")[-2])
        return ok(self.accepted[number]) if number in self.accepted else error(404, "Not found.")


def ask(bench: Bench, script: Script, probes: list[dict[str, Any]], **options: Any) -> list[Measurement]:
    given: dict[str, Any] = {
        "campaign": campaign(),
        "targets": [FOUR],
        "run_tag": "catchment-1a2b",
        "now": NOW,
        "record": lambda _: None,
    } | options
    with bench.atlas(script) as (atlas, server):
        try:
            return schedule(atlas, probes=probes, **given)
        finally:
            posts.extend(request for request in server.requests if request.method == "POST")


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
        record=lambda accepted: recorded.append([one.id for one in accepted]),
    )
    assert [post.body["probes"][0]["requested"] for post in posts] == [1000, 1000, 1]
    assert {post.body["start_time"] for post in posts} == {NOW + 60}
    assert [one.part for one in measurements] == ["v4-1", "v4-1", "v4-2", "v4-2", "v4-3", "v4-3"]
    ids = [one.id for one in measurements]
    assert recorded == [ids[:2], ids[:4], ids[:6]]


def test_what_was_accepted_is_recorded_before_a_later_post_fails(bench: Bench) -> None:
    api, answered = Api(), [0]
    recorded: list[list[Measurement]] = []

    def script(request: Request) -> Answer | Fault:
        answered[0] += 1
        return api(request) if answered[0] == 1 else Fault.RESET

    with pytest.raises(PlatformUnsure, match="catchment-1a2b"):
        ask(bench, script, [probe(number) for number in range(1, 1002)], record=recorded.append)
    assert [[one.id for one in accepted] for accepted in recorded] == [[1_000_001, 1_000_002]]
    assert len(posts) == 2


def test_a_refusal_leaves_nothing_recorded(bench: Bench) -> None:
    recorded: list[Any] = []
    with pytest.raises(Refused, match="higher than your maximum daily results limit"):
        ask(
            bench,
            lambda _: error(400, "which is higher than your maximum daily results limit 100000."),
            [probe(1)],
            record=recorded.append,
        )
    assert recorded == []


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
    [(NOW - 1, None, "would start at 2023-11-14T22:13:19Z"), (None, NOW + 30, "would stop at 2023-11-14T22:13:50Z")],
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
        "description": "catchment before-move: dns id.server of k-root (run-1-v4-1)",
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


def test_measurements_come_back_from_json_as_they_were(bench: Bench) -> None:
    measurements = ask(bench, Api(), [probe(1)])
    tables = json.loads(json.dumps([one.to_table() for one in measurements]))
    assert [Measurement.from_table(table) for table in tables] == measurements


def test_what_an_earlier_process_posted_is_found_again_and_not_posted_twice(bench: Bench) -> None:
    api, probes = Api(), [probe(number) for number in range(1, 1002)]
    before = ask(bench, api, probes)
    api.accepted = {number: one for number, one in api.accepted.items() if number <= 1_000_002}
    api.accepted[1_000_009] = BUILT_IN | {"tags": ["catchment", "somebody-else"]}
    with bench.atlas(api) as (atlas, _):
        known = adopt(atlas, "catchment-1a2b", sleep=bench.slept.append)
    assert bench.slept == [120]
    posts.clear()
    recorded: list[list[Measurement]] = []
    after = ask(bench, api, probes, known=known, record=recorded.append)
    assert [post.body["probes"][0]["value"] for post in posts] == ["1001"]
    assert after[:2] == before[:2]
    assert recorded[0] == before[:2]


def test_a_part_that_is_listed_by_half_is_waited_for(bench: Bench) -> None:
    known = ask(bench, Api(), [probe(1)])[:1]
    posts.clear()
    with pytest.raises(PlatformFailed, match="lists 1 of the 2 measurements of part v4-1"):
        ask(bench, Api(), [probe(1)], known=known)
    assert posts == []


def reused(bench: Bench, *described: dict[str, Any], window: Window | None = None) -> list[Measurement]:
    api = Api()
    api.accepted = {one["id"]: one for one in described}
    plan = campaign(reuse=tuple(one["id"] for one in described))
    with bench.atlas(api, key=None) as (atlas, _):
        return reuse(atlas, plan, [SIX, FOUR], window or Window(start=NOW - 900, end=NOW))


def test_a_built_in_measurement_is_reused_for_a_window(bench: Bench) -> None:
    assert reused(bench, BUILT_IN) == [
        Measurement(
            id=10301,
            kind=Kind.DNS,
            target="193.0.14.129",
            af=4,
            query="hostname.bind",
            nsid=False,
            probes=None,
            start=NOW - 900,
            stop=NOW,
            interval_s=240,
            reused=True,
        )
    ]


def test_an_address_is_the_same_however_it_is_written(bench: Bench) -> None:
    ping = {"id": 2001, "type": "ping", "af": 6, "target": "k.root-servers.net", "target_ip": "2001:07FD:0:0::1"}
    (measurement,) = reused(bench, ping)
    assert (measurement.kind, measurement.target, measurement.query) == (Kind.PING, "2001:7fd::1", None)


@pytest.mark.parametrize("name", ["CHAOS", "CH", "chaos"])
def test_the_class_is_the_same_however_it_is_written(bench: Bench, name: str) -> None:
    assert reused(bench, BUILT_IN | {"query_class": name})[0].query == "hostname.bind"


def test_a_built_in_that_tells_a_name_only_is_known_from_its_service(bench: Bench) -> None:
    api = Api()
    api.accepted = {10301: BUILT_IN | {"target": "k.root-servers.net", "target_ip": None, "resolved_ips": None}}
    plan, window = campaign(reuse=(10301,)), Window(start=NOW - 900, end=NOW)
    with bench.atlas(api, key=None) as (atlas, _):
        with pytest.raises(UnknownName, match=r"asks k\.root-servers\.net, no target"):
            reuse(atlas, plan, [FOUR], window)
        (measurement,) = reuse(atlas, plan, [FOUR], window, [bundled_service("k-root")])
    assert measurement.target == FOUR.address


def test_an_api_that_heeds_no_tag_is_not_paged_through(bench: Bench) -> None:
    everything = {"count": 195_000_000, "next": None, "previous": None, "results": [{"id": 1}]}
    with bench.atlas([ok(everything)]) as (atlas, server):
        with pytest.raises(PlatformFailed, match="it heeds no tag"):
            adopt(atlas, "catchment-1a2b", sleep=lambda _: None)
        assert len(server.requests) == 1


def test_nsid_identifies_in_any_class(bench: Bench) -> None:
    soa = {"query_class": "IN", "query_type": "SOA", "query_argument": ".", "set_nsid_bit": True}
    (measurement,) = reused(bench, BUILT_IN | soa)
    assert (measurement.query, measurement.nsid) == (None, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target_ip": "192.0.2.1"}, "measurement 10301 asks 192.0.2.1, no target of this campaign"),
        ({"query_argument": "version.bind"}, "asks for version.bind, which tells no identity"),
        ({"query_class": "IN"}, "tells no identity"),
        ({"type": "sslcert"}, "measurement 10301 is 'sslcert', not dns, ping or traceroute"),
        ({"type": ["dns"]}, "not dns, ping or traceroute"),
        ({"af": None}, "not dns, ping or traceroute"),
        ({"stop_time": NOW - 86_400}, "ended at 2023-11-13T22:13:20Z, before the window"),
    ],
)
def test_a_measurement_that_does_not_fit_is_not_trusted(bench: Bench, change: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownName) as failure:
        reused(bench, BUILT_IN | change)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_measurement_that_is_not_there_is_named(bench: Bench) -> None:
    with bench.atlas(Api()) as (atlas, _), pytest.raises(UnknownName, match="there is no measurement 77"):
        reuse(atlas, campaign(reuse=(77,)), [FOUR], Window())


def test_a_description_that_is_no_measurement_is_refused(bench: Bench) -> None:
    with bench.atlas([ok(["what?"])]) as (atlas, _), pytest.raises(UnknownName, match="not dns, ping or traceroute"):
        reuse(atlas, campaign(reuse=(77,)), [FOUR], Window())
