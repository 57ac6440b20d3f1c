from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catchment import workflow
from catchment.campaign import Campaign, CampaignTarget, PlatformName, campaign_from
from catchment.errors import InvalidFile, PlatformFailed, UnknownName
from catchment.model import Address, BuiltIn, Kind, Service, Target, Window
from catchment.platforms.atlas.reusing import expand, remarks, reuse
from catchment.services import bundled_service
from catchment.store import Measurement, Run
from tests.atlas_server import Answer, Bench, Request, error, ok

NOW = 1_700_000_000.0
QUARTER = Window(start=NOW - 900, end=NOW)
FOUR = Target(service="k-root", address="193.0.14.129")
SIX = Target(service="k-root", address="2001:7fd::1")
K_ROOT = bundled_service("k-root")
# Every field of an object as the API shows it, with values like those of a measurement that runs all the time.
BUILT_IN: dict[str, Any] = {
    "id": 10301, "type": "dns", "af": 4, "target": "k.root-servers.net", "target_ip": "193.0.14.129",
    "target_asn": 25152, "target_prefix": "193.0.14.0/24", "resolved_ips": ["193.0.14.129"],
    "description": "DNS CHAOS TXT hostname.bind k.root-servers.net", "creation_time": 1_288_990_000,
    "start_time": 1_289_000_000, "stop_time": None, "status": {"id": 2, "name": "Ongoing", "when": None},
    "interval": 240, "spread": None, "is_oneoff": False, "is_public": True, "is_all_scheduled": True,
    "in_wifi_group": False, "resolve_on_probe": False, "participant_count": None, "probes_requested": -1,
    "probes_scheduled": 15_073, "group": None, "group_id": None,
    "result": "https://atlas.ripe.net/api/v2/measurements/10301/results/", "credits_per_result": 10,
    "estimated_results_per_day": -360, "tags": [], "auto_topup": False, "auto_topup_prb_days_off": 7,
    "auto_topup_prb_similarity": 0.5, "bill_to_user_id": None, "user_id": None, "is_readonly": True,
    "target_update_hours": None, "query_class": "CHAOS", "query_type": "TXT", "query_argument": "hostname.bind",
    "set_rd_bit": False, "set_do_bit": False, "set_cd_bit": False, "set_ad_bit": False, "set_nsid_bit": False,
    "udp_payload_size": 512, "include_abuf": True, "include_qbuf": False, "prepend_probe_id": False,
    "use_probe_resolver": False, "use_macros": False, "retry": 0, "timeout": 5000, "tls": False, "port": 53,
    "protocol": "UDP", "default_client_subnet": False, "cookies": False, "ttl": False,
}  # fmt: skip
PING_6 = {"id": 2001, "type": "ping", "af": 6, "target_ip": "2001:7fd::1", "resolved_ips": ["2001:7fd::1"]}
SOA = {"query_class": "IN", "query_type": "SOA", "query_argument": "."}


def campaign(*reused: int | Kind) -> Campaign:
    targets = (CampaignTarget(service="k-root"),)
    return Campaign(name="k-root", platform=PlatformName.ATLAS, targets=targets, reuse=reused)


def reused(
    bench: Bench,
    *described: dict[str, Any],
    by: tuple[int | Kind, ...] = (),
    targets: tuple[Target, ...] = (FOUR,),
    window: Window = QUARTER,
    services: tuple[Service, ...] = (K_ROOT,),
) -> list[Measurement]:
    """Return what comes of an API that describes these measurements, named `by` those (by default their own ids)."""
    there = {f"/api/v2/measurements/{one['id']}/": one for one in described}

    def answer(request: Request) -> Answer:
        assert "authorization" not in request.headers
        return ok(there[request.path]) if request.path in there else error(404, "Not found.")

    plan = campaign(*(by or [one["id"] for one in described]))
    with bench.atlas(answer, key=None) as (atlas, _):
        return reuse(atlas, plan, targets, window, services)


def refusal(bench: Bench, *described: dict[str, Any], **options: Any) -> str:
    with pytest.raises(UnknownName) as failure:
        reused(bench, *described, **options)
    text = str(failure.value)
    assert "\n" not in text
    return text


def test_a_built_in_measurement_is_reused_for_a_window_without_a_key(bench: Bench) -> None:
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


def test_without_a_window_it_is_reused_from_its_start(bench: Bench) -> None:
    (measurement,) = reused(bench, BUILT_IN, window=Window())
    assert (measurement.start, measurement.stop) == (1_289_000_000, None)


def test_an_address_is_the_same_however_it_is_written(bench: Bench) -> None:
    ping = {"id": 2001, "type": "ping", "af": 6, "target": "k.root-servers.net", "target_ip": "2001:07FD:0:0::1"}
    (measurement,) = reused(bench, ping, targets=(SIX,))
    assert (measurement.kind, measurement.target, measurement.query) == (Kind.PING, "2001:7fd::1", None)


@pytest.mark.parametrize("name", ["CHAOS", "CH", "chaos"])
def test_the_class_is_the_same_however_it_is_written(bench: Bench, name: str) -> None:
    assert reused(bench, BUILT_IN | {"query_class": name})[0].query == "hostname.bind"


def test_a_measurement_whose_metadata_hold_a_name_only_is_known_from_its_service(bench: Bench) -> None:
    named = BUILT_IN | {"target_ip": None, "resolved_ips": None}
    assert "asks k.root-servers.net over IPv4, no target" in refusal(bench, named, services=())
    assert "asks k.root-servers.net over IPv4, no target" in refusal(bench, named | {"id": 10302})
    (measurement,) = reused(bench, named)
    assert measurement.target == "193.0.14.129"


def test_a_name_alone_is_no_target_of_a_campaign_without_services(bench: Bench) -> None:
    named = BUILT_IN | {"target_ip": None, "resolved_ips": None}
    nameless = Target(service=None, address="193.0.14.129")
    assert "no target of this campaign" in refusal(bench, named, targets=(nameless,), services=())


def test_nsid_identifies_in_any_class(bench: Bench) -> None:
    (measurement,) = reused(bench, BUILT_IN | SOA | {"set_nsid_bit": True})
    assert (measurement.query, measurement.nsid) == (None, True)


def test_a_measurement_over_tcp_is_as_good(bench: Bench) -> None:
    (measurement,) = reused(bench, BUILT_IN | {"protocol": "TCP", "tls": True, "port": 853})
    assert measurement.query == "hostname.bind"


def test_a_measurement_with_its_archived_results_is_as_good(bench: Bench) -> None:
    over = {"stop_time": NOW - 60, "status": {"id": 8, "name": "Archived", "when": NOW - 60}}
    assert [one.id for one in reused(bench, BUILT_IN | over)] == [10301]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target_ip": "192.0.2.1", "resolved_ips": None}, "asks 192.0.2.1 over IPv4, no target of this campaign"),
        ({"af": 6}, "asks 193.0.14.129 over IPv6, no target of this campaign (193.0.14.129)"),
        ({"query_argument": "version.bind"}, "asks for CHAOS TXT version.bind, and keeps no answer that tells"),
        ({"query_class": "IN"}, "asks for IN TXT hostname.bind, and"),
        ({"query_type": "SOA"}, "asks for CHAOS SOA hostname.bind, and"),
        ({"prepend_probe_id": True}, "tells an identity"),
        (SOA | {"set_nsid_bit": True, "include_abuf": False}, "tells an identity"),
        ({"type": "sslcert"}, "measurement 10301 is 'sslcert', not dns, ping or traceroute"),
        ({"type": ["dns"]}, "not dns, ping or traceroute"),
        ({"af": None}, "not dns, ping or traceroute"),
        ({"use_probe_resolver": True, "target": None, "target_ip": None}, "asks the resolver of each vantage point"),
        ({"is_public": False}, "measurement 10301 is not public"),
        ({"status": {"id": 7, "name": "Failed", "when": 1}}, "has no results: its status is 'Failed'"),
        ({"status": {"id": 8, "name": "Denied", "when": 1}}, "has no results: its status is 'Denied'"),
    ],
)
def test_a_measurement_that_cannot_serve_is_not_trusted(bench: Bench, change: dict[str, Any], said: str) -> None:
    text = refusal(bench, BUILT_IN | change)
    assert said in text
    assert text.endswith(": mend `reuse`")


# 1,700,000,000 is 2023-11-14T22:13:20Z.
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"stop_time": NOW - 86_400},
            "ended at 2023-11-13T22:13:20Z (it began at 2010-11-05T23:33:20Z), before the window, which begins at "
            "2023-11-14T21:58:20Z",
        ),
        ({"stop_time": NOW - 900, "start_time": None}, "ended at 2023-11-14T21:58:20Z, before the window"),
        (
            {"start_time": NOW},
            "begins at 2023-11-14T22:13:20Z, after the window, which ends at 2023-11-14T22:13:20Z",
        ),
    ],
)
def test_a_measurement_of_another_time_says_when_it_ran(bench: Bench, change: dict[str, Any], said: str) -> None:
    text = refusal(bench, BUILT_IN | change)
    assert said in text
    assert text.endswith("set `schedule.start` and `schedule.stop` to a time when it ran")


def test_a_window_that_would_begin_after_its_end_is_refused(bench: Bench) -> None:
    text = refusal(bench, BUILT_IN, window=Window(start=NOW, end=NOW - 120))
    assert "the window would begin at 2023-11-14T22:13:20Z, after its end at 2023-11-14T22:11:20Z: set `sch" in text


def test_a_measurement_that_has_not_begun_is_said_to(bench: Bench) -> None:
    change = {"start_time": None, "status": {"id": 1, "name": "Scheduled", "when": None}}
    assert "has not begun (its status is 'Scheduled')" in refusal(bench, BUILT_IN | change)


def test_a_measurement_that_ended_within_the_window_serves(bench: Bench) -> None:
    assert [one.id for one in reused(bench, BUILT_IN | {"stop_time": NOW - 899})] == [10301]


@pytest.mark.parametrize("hostile", [1e300, -1, "2023", [], float("inf")])
def test_times_that_are_none_say_nothing(bench: Bench, hostile: Any) -> None:
    assert [one.id for one in reused(bench, BUILT_IN | {"stop_time": hostile})] == [10301]


@pytest.mark.parametrize("hostile", [None, [], "?", {"id": None}, {"id": "7", "name": 7}, {}])
def test_a_status_that_is_none_says_nothing(bench: Bench, hostile: Any) -> None:
    assert [one.id for one in reused(bench, BUILT_IN | {"status": hostile})] == [10301]


def test_a_measurement_that_is_not_there_is_named(bench: Bench) -> None:
    assert "there is no measurement 77: mend `reuse`" in refusal(bench, by=(77,))


@pytest.mark.parametrize("status", [401, 403])
def test_a_measurement_that_the_api_keeps_to_itself_is_not_public(bench: Bench, status: int) -> None:
    with bench.atlas([error(status, "No.")], key=None) as (atlas, _), pytest.raises(UnknownName) as failure:
        reuse(atlas, campaign(77), [FOUR], QUARTER)
    assert str(failure.value) == "measurement 77 is not public: mend `reuse`"


def test_an_api_that_fails_is_no_fault_of_the_campaign(bench: Bench) -> None:
    with bench.atlas([error(400, "No.")], key=None) as (atlas, _), pytest.raises(PlatformFailed, match="No"):
        reuse(atlas, campaign(77), [FOUR], QUARTER)


@pytest.mark.parametrize("body", [["what?"], 1, None])
def test_a_description_that_is_no_measurement_is_refused(bench: Bench, body: Any) -> None:
    answer = Answer(body=json.dumps(body).encode())
    with bench.atlas([answer]) as (atlas, _), pytest.raises(UnknownName, match="not dns, ping or traceroute"):
        reuse(atlas, campaign(77), [FOUR], Window())


def test_a_description_of_another_measurement_is_refused(bench: Bench) -> None:
    with bench.atlas([ok(BUILT_IN)]) as (atlas, _), pytest.raises(UnknownName, match="77 is 10301 in its own metadata"):
        reuse(atlas, campaign(77), [FOUR], QUARTER)


def test_what_a_server_says_stays_one_short_line(bench: Bench) -> None:
    long = "\x1b[2J\n" + "x" * 10_000
    for change in ({"target": long, "target_ip": None, "resolved_ips": None}, {"query_argument": long}, {"type": long}):
        text = refusal(bench, BUILT_IN | change, services=())
        assert text.isprintable()
        assert len(text) < 400


def test_each_target_needs_a_measurement(bench: Bench) -> None:
    text = refusal(bench, BUILT_IN, targets=(FOUR, SIX))
    assert "nothing in `reuse` asks 2001:7fd::1" in text
    assert len(reused(bench, BUILT_IN, BUILT_IN | PING_6, targets=(FOUR, SIX))) == 2


def test_a_kind_stands_for_what_the_services_know_for_the_family_of_each_target() -> None:
    def ids(*kinds: int | Kind, targets: tuple[Target, ...]) -> list[int]:
        return expand(campaign(*kinds), targets, [K_ROOT, bundled_service("b-root")])

    assert ids(Kind.DNS, targets=(FOUR,)) == [10301]
    assert ids(Kind.DNS, Kind.PING, targets=(FOUR, SIX)) == [10301, 11301, 1001, 2001]
    assert ids(Kind.TRACEROUTE, targets=(SIX,)) == [6001]
    b_root = Target(service="b-root", address="170.247.170.2")
    assert ids(Kind.PING, targets=(FOUR, b_root)) == [1001, 1010]


def test_a_measurement_that_is_named_twice_is_reused_once(bench: Bench) -> None:
    assert expand(campaign(1001, 10301, Kind.DNS, 77, Kind.PING), [FOUR], [K_ROOT]) == [1001, 10301, 77]
    assert [one.id for one in reused(bench, BUILT_IN, by=(10301, Kind.DNS))] == [10301]


def test_a_kind_of_dns_stands_for_queries_that_tell_a_site_only() -> None:
    service = Service(
        name="own",
        operator="us",
        addresses=(Address(address="192.0.2.1"),),
        measurements=(
            BuiltIn(id=1, kind=Kind.DNS, af=4, query="version.bind"),
            BuiltIn(id=2, kind=Kind.DNS, af=4, query="id.server"),
            BuiltIn(id=3, kind=Kind.DNS, af=4, query="SOA ."),
            BuiltIn(id=4, kind=Kind.DNS, af=4),
        ),
    )
    assert expand(campaign(Kind.DNS), [Target(service="own", address="192.0.2.1")], [service]) == [2, 4]


def test_a_service_that_knows_none_of_a_kind_says_what_to_do() -> None:
    target = Target(service="quad9", address="2620:fe::fe")
    with pytest.raises(UnknownName) as failure:
        expand(campaign(Kind.PING), [target], [bundled_service("quad9")])
    assert str(failure.value) == (
        "the file of 'quad9' knows no ping measurement over IPv6 that RIPE Atlas runs all the time: name the id of one "
        "in `reuse`, or leave `reuse` out to measure anew"
    )
    with pytest.raises(UnknownName, match=r"the file of '192\.0\.2\.1' knows no dns"):
        expand(campaign(Kind.DNS), [Target(service=None, address="192.0.2.1")], [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target_ip": "2001:503:ba3e::2:30", "resolved_ips": None}, "asks 2001:503:ba3e::2:30 over IPv6, no target"),
        ({"type": "traceroute"}, "measurement 2001 is traceroute, not ping"),
        ({"type": "ntp"}, "measurement 2001 is 'ntp', not dns, ping or traceroute"),
    ],
)
def test_a_service_file_that_errs_is_found_out(bench: Bench, change: dict[str, Any], said: str) -> None:
    text = refusal(bench, BUILT_IN | PING_6 | change, by=(Kind.PING,), targets=(SIX,))
    assert said in text
    assert text.endswith("the file of 'k-root' is wrong: name the id of the right one in `reuse`, by hand")


def test_a_service_file_that_names_what_is_not_there_is_found_out(bench: Bench) -> None:
    assert "there is no measurement 2001: the file of 'k-root' is wrong" in refusal(
        bench, by=(Kind.PING,), targets=(SIX,)
    )


def test_a_window_shorter_than_a_round_is_remarked_on(bench: Bench) -> None:
    trace = BUILT_IN | {"id": 5001, "type": "traceroute", "interval": 1800}
    assert remarks(reused(bench, BUILT_IN, trace)) == [
        "measurement 5001 (traceroute 193.0.14.129) asks each vantage point every 30 minutes: many had no turn in a "
        "window of 15, which `schedule.start` and `schedule.stop` can make longer"
    ]
    assert remarks(reused(bench, trace, window=Window(start=NOW - 1800, end=NOW))) == []
    assert remarks(reused(bench, trace | {"is_oneoff": True})) == []


def test_a_campaign_of_kinds_reads_the_vantage_points_that_it_chooses_where_their_family_works(tmp_path: Path) -> None:
    file = tmp_path / "kinds.toml"
    file.write_text("""
        name = "kinds"
        platform = "sandbox"
        targets = [{ service = "k-root", af = 4 }, { service = "k-root", af = 6 }]
        reuse = ["dns", "traceroute"]
        vantage_points = { count = 40, countries = ["DE", "NL", "US"] }
        resolve_names = false
    """)
    assert [one["id"] for one in workflow.plan_campaign(file, now=NOW)["measurements"]] == [10301, 11301, 5001, 6001]
    run = Run.open(workflow.run_campaign(file, tmp_path / "results", environ={}, clock=lambda: NOW).run)
    assert run.accepted is not None
    asked = {one.id: set(one.probes or ()) for one in run.accepted.measurements}
    assert list(asked) == [10301, 11301, 5001, 6001]
    assert asked[10301] == asked[5001]
    assert asked[11301] == asked[6001]
    both = asked[10301] & asked[11301]
    assert both
    assert len(asked[10301] | asked[11301]) == 40
    lacking = 40 - len(asked[11301])
    assert f"{lacking} of 40 vantage points have no working IPv6" in " ".join(run.accepted.remarks)
    assert [remark.split(" (")[0] for remark in run.accepted.remarks[:2]] == ["measurement 5001", "measurement 6001"]
    six = next(target for target in run.metrics["targets"] if target["af"] == 6)
    assert six["vantage_points"]["verdicts"].get("no-result", 0) < lacking


def test_what_is_neither_an_id_nor_a_kind_is_refused_with_what_is_possible() -> None:
    table = {"name": "x", "platform": "atlas", "targets": [{"service": "k-root"}]}
    assert campaign_from(table | {"reuse": ["dns", 77]}, Path("x.toml")).reuse == (Kind.DNS, 77)
    with pytest.raises(InvalidFile) as failure:
        campaign_from(table | {"reuse": ["dns", "chaos"]}, Path("x.toml"))
    assert "key 'reuse.2': input should be a valid integer" in str(failure.value)
    assert "or input should be 'dns', 'ping' or 'traceroute'" in str(failure.value)


# RIPE Atlas numbers the letters alike in each of its series: K 1, F 4, I 5, M 6, L 8, A 9, B 10, C 11, D 12 and so on.
@pytest.mark.parametrize(
    ("letter", "dns_4", "dns_6", "ping_4", "ping_6", "trace_4", "trace_6"),
    [
        ("a", 10309, 11309, 1009, 2009, 5009, 6009),
        ("b", 10310, 11310, 1010, 2010, 5010, 6010),
        ("c", 10311, 11311, 1011, 2011, 5011, 6011),
        ("d", 10312, 11312, 1012, 2012, 5012, 6012),
        ("e", 10313, 11313, 1013, 2013, 5013, 6013),
        ("f", 10304, 11304, 1004, 2004, 5004, 6004),
        ("g", 10314, 11314, 1014, 2014, 5014, 6014),
        ("h", 10315, 11315, 1015, 2015, 5015, 6015),
        ("i", 10305, 11305, 1005, 2005, 5005, 6005),
        ("j", 10316, 11316, 1016, 2016, 5016, 6016),
        ("k", 10301, 11301, 1001, 2001, 5001, 6001),
        ("l", 10308, 11308, 1008, 2008, 5008, 6008),
        ("m", 10306, 11306, 1006, 2006, 5006, 6006),
    ],
)
def test_the_root_letters_know_their_measurements(
    letter: str, dns_4: int, dns_6: int, ping_4: int, ping_6: int, trace_4: int, trace_6: int
) -> None:
    service = bundled_service(f"{letter}-root")
    known = [(one.id, one.kind, one.af, one.query) for one in service.measurements]
    assert known == [
        (dns_4, Kind.DNS, 4, "hostname.bind"),
        (dns_6, Kind.DNS, 6, "hostname.bind"),
        (ping_4, Kind.PING, 4, None),
        (ping_6, Kind.PING, 6, None),
        (trace_4, Kind.TRACEROUTE, 4, None),
        (trace_6, Kind.TRACEROUTE, 6, None),
    ]
    # Whose number somebody has seen, and whose follows from the others, stands in the file.
    said = {source.of: source.text for source in service.sources if source.of.startswith("measurement")}
    assert said["measurements of hostname.bind"].startswith("confirmed: ")
    told = [number for of in said for number in of.replace(",", "").split() if number.isdigit()]
    assert sorted(map(int, told)) == [ping_4, ping_6, trace_4, trace_6]
    inferred = {of for of, text in said.items() if text.startswith("inferred: ")}
    confirmed = {"k": [1001], "m": [5006]}.get(letter, [])
    assert len(inferred) == 1
    assert not any(str(number) in of for of in inferred for number in confirmed)
