"""Definitions, sources, schedules, limits, credits and the journal: all that an accepted measurement is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.errors import InvalidFile
from catchment.model import Kind
from catchment.platforms.sandbox.api.acceptance import USUAL_LIMITS, Limits, accept
from catchment.platforms.sandbox.api.definitions import read_definition
from catchment.platforms.sandbox.api.exchange import Refusal
from catchment.platforms.sandbox.api.fields import read_time
from catchment.platforms.sandbox.api.journal import Journal
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import (
    NO_SUITABLE_PROBES,
    ONGOING,
    SCHEDULED,
    SPECIFIED,
    STOPPED,
    BuiltInTarget,
    Lags,
    Measurement,
    credits_per_result,
    from_entry,
)
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.schedule import Schedule
from catchment.platforms.sandbox.clock import Clock
from tests.fake_internet import (
    START,
    V4,
    V6,
    FakeInternet,
    dns_definition,
    everybody,
    ping_definition,
    post_body,
    traceroute_definition,
    vantage,
)

CONNECTED = (101, 102, 103, 105, 106, 6001)  # 104 is away; 105 looks well and never reports
REPORTING = (101, 102, 103, 106, 6001)
Row = dict[str, Any]


class Office:
    """A ledger with its clock, and a short way to put a body before it."""

    def __init__(self, internet: FakeInternet | None = None, *, journal: Journal | None = None, **options: Any) -> None:
        self.internet = internet or FakeInternet()
        start = START if journal is None or journal.start is None else journal.start
        now = START if journal is None or journal.latest is None else journal.latest
        self.clock = Clock(now, monotonic=lambda: 0.0)
        self.probes = Probes(self.internet.topology, start)
        self.ledger = Ledger(self.internet, self.clock, self.probes, start=start, journal=journal, **options)

    def post(self, body: Any, *, limits: Limits = USUAL_LIMITS, balance: int = 10**9) -> list[Measurement]:
        return accept(body, self.ledger, self.probes, now=self.clock.now(), limits=limits, balance=balance)

    def refused(self, body: Any, **options: Any) -> list[tuple[str, str]]:
        with pytest.raises(Refusal) as refusal:
            self.post(body, **options)
        assert refusal.value.status == 400
        return [(problem.pointer, problem.detail) for problem in refusal.value.problems]

    def results(self, measurement: Measurement, **options: Any) -> list[Row]:
        current = self.ledger.get(measurement.id)
        assert current is not None
        return list(self.ledger.results(current, now=self.clock.now(), **options))


# Definitions


@pytest.mark.parametrize("name", ["type", "af", "target", "description", "query_class", "query_type", "query_argument"])
def test_a_definition_without_a_required_field_is_refused_by_its_name(name: str) -> None:
    body = post_body({key: value for key, value in dns_definition().items() if key != name})
    assert (f"/definitions/0/{name}", "This field is required.") in Office().refused(body)


@pytest.mark.parametrize(
    ("changes", "pointer", "detail"),
    [
        ({"af": 5}, "/af", '"5" is not a valid choice.'),
        ({"af": True}, "/af", '"True" is not a valid choice.'),
        ({"af": None}, "/af", "This field may not be null."),
        ({"type": "sslcert"}, "/type", '"sslcert" is not a valid choice.'),
        ({"query_class": "CH"}, "/query_class", '"CH" is not a valid choice.'),
        ({"query_type": "NOPE"}, "/query_type", '"NOPE" is not a valid choice.'),
        ({"query_argument": "a" * 64}, "/query_argument", f'"{"a" * 64}" is not a valid DNS name.'),
        ({"udp_payload_size": 511}, "/udp_payload_size", "Ensure this value is greater than or equal to 512."),
        ({"retry": 11}, "/retry", "Ensure this value is less than or equal to 10."),
        ({"timeout": "5000"}, "/timeout", "A valid integer is required."),
        ({"set_nsid_bit": "yes"}, "/set_nsid_bit", "Must be a valid boolean."),
        ({"description": " "}, "/description", "This field may not be blank."),
        ({"interval": 59}, "/interval", "Ensure this value is greater than or equal to 60."),
        ({"tags": "a,b"}, "/tags", 'Expected a list of items but got type "str".'),
        ({"tags": ["a", "A b"]}, "/tags", '"A b" is not a valid tag: use the letters a to z, digits and hyphens.'),
        ({"tags": ["a\n"]}, "/tags", '"a\n" is not a valid tag: use the letters a to z, digits and hyphens.'),
        ({"tags": ["run_1"]}, "/tags", '"run_1" is not a valid tag: use the letters a to z, digits and hyphens.'),
        ({"description": "x" * 251}, "/description", "Ensure this field has no more than 250 characters."),
        ({"interval": 300}, "/interval", "A one-off measurement has no interval."),
        ({"target": "no.such.name.example"}, "/target", "This target cannot be resolved"),
        ({"target": V6}, "/target", "This target cannot be resolved"),
        ({"use_probe_resolver": True}, "/use_probe_resolver", "The sandbox does not simulate this."),
    ],
)
def test_what_is_wrong_in_a_definition_is_told_with_its_place(changes: Row, pointer: str, detail: str) -> None:
    body = post_body(ping_definition(), dns_definition(**changes))
    assert Office().refused(body) == [(f"/definitions/1{pointer}", detail)]


def test_a_definition_that_is_a_one_off_by_itself_has_no_interval_either() -> None:
    body = post_body(ping_definition(interval=60), ping_definition(interval=60, is_oneoff=True), is_oneoff=False)
    assert Office().refused(body) == [("/definitions/1/interval", "A one-off measurement has no interval.")]


def test_a_description_of_250_characters_and_a_slug_as_tag_are_accepted() -> None:
    (measurement,) = Office().post(post_body(ping_definition(description="x" * 250, tags=["run-7", "4"])))
    assert measurement.definition.tags == ("run-7", "4")


def test_all_that_is_wrong_is_told_at_once() -> None:
    body = post_body(dns_definition(af=5), traceroute_definition(protocol="SCTP"), probes=[everybody(requested=0)])
    assert [pointer for pointer, _ in Office().refused(body)] == [
        "/definitions/0/af", "/definitions/1/protocol", "/probes/0/requested",
    ]  # fmt: skip


@pytest.mark.parametrize("body", [None, [], "x", 7, {}])
def test_a_body_that_is_no_request_is_refused(body: Any) -> None:
    assert Office().refused(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*dns_definition(), *ping_definition(packets=1), "definitions", "probes", "requested"]),
                inner,
                max_size=9,
            )
        ),
        max_leaves=20,
    )
)
def test_no_json_at_all_makes_the_check_fail_otherwise_than_by_a_refusal(body: Any) -> None:
    for given_body in (body, {"definitions": body, "probes": body}, {"definitions": [body], "probes": [body]}):
        with pytest.raises(Refusal):
            Office().post(given_body)


def test_unset_fields_have_the_defaults_of_ripe_atlas() -> None:
    dns, ping, trace = Office().post(post_body(dns_definition(), ping_definition(), traceroute_definition()))
    assert (dns.definition.options["timeout"], dns.definition.options["include_abuf"]) == (5000, True)
    assert (ping.definition.options["packets"], ping.definition.options["size"]) == (3, 48)
    assert (trace.definition.options["packets"], trace.definition.options["first_hop"]) == (3, 1)


@pytest.mark.parametrize(
    ("given_time", "seconds"),
    [
        (1_793_534_400, 1_793_534_400),
        ("1793534400", 1_793_534_400),
        ("2026-11-01T12:00:00Z", 1_793_534_400),
        ("2026-11-01T13:00:00+01:00", 1_793_534_400),
        ("2026-11-01 12:00:00", 1_793_534_400),
    ],
)
def test_times_are_unix_seconds_or_iso_8601(given_time: Any, seconds: int) -> None:
    assert read_time(given_time) == seconds


@pytest.mark.parametrize("given_time", [True, -1, "yesterday", None, [], float("inf")])
def test_what_is_no_time_is_refused(given_time: Any) -> None:
    with pytest.raises(ValueError, match="Enter a valid unix timestamp"):
        read_time(given_time)


# Sources: who takes part


@pytest.mark.parametrize(
    ("source", "chosen"),
    [
        (everybody(), CONNECTED),
        (everybody(type="area", value="West"), (103,)),
        (everybody(type="country", value="de"), (101, 105, 6001)),
        (everybody(type="countries", value="NL,US"), (102, 103)),
        (everybody(type="country", value="AU"), (106,)),
        (everybody(type="region", value="europe"), (101, 102, 105, 6001)),
        (everybody(type="region", value="eu27"), (101, 102, 105, 6001)),
        (everybody(type="region", value="western_europe"), (101, 102, 105, 6001)),
        (everybody(type="region", value="americas"), (103,)),
        (everybody(type="region", value="arin"), (103,)),
        (everybody(type="region", value="australia_and_new_zealand"), (106,)),
        (everybody(type="region", value="apnic"), (106,)),
        (everybody(type="region", value="africa"), ()),
        (everybody(type="area", value="North-Central"), (101, 102, 105, 6001)),
        (everybody(type="area", value="South-East"), (106,)),
        (everybody(type="asn", value="64501"), (102,)),
        (everybody(type="asn", value=64_501), (102,)),
        (everybody(type="probes", value="101,102,104,999"), (101, 102)),
        (everybody(type="prefix", value="240.0.16.0/20"), (102,)),
        (everybody(tags={"include": ["system-ipv6-works"]}), (101, 6001)),
        (everybody(tags={"include": ["system-ipv4-works"], "exclude": ["system-anchor"]}), (101, 102, 103, 105, 106)),
    ],
    ids=str,
)
def test_a_source_describes_its_probes(source: Row, chosen: tuple[int, ...]) -> None:
    (measurement,) = Office().post(post_body(probes=[source]))
    assert measurement.participants == chosen


SHY = FakeInternet(
    points=(
        vantage(201), vantage(202, placeless=True), vantage(203, placeless=True), vantage(204, public=False),
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "chosen"),
    [
        (everybody(), (201, 202, 203)),
        (everybody(type="area", value="North-Central"), (201,)),
        (everybody(type="area", value="West"), ()),
        (everybody(type="country", value="DE"), (201,)),
        (everybody(type="asn", value="64500"), (201, 202, 203)),
        (everybody(type="probes", value="202,204"), (202,)),
    ],
    ids=str,
)
def test_a_probe_without_a_place_is_in_no_area_but_the_world_and_a_private_one_is_never_chosen(
    source: Row, chosen: tuple[int, ...]
) -> None:
    (measurement,) = Office(SHY).post(post_body(probes=[source]))
    assert measurement.participants == chosen


def test_sources_add_up_and_take_no_probe_twice() -> None:
    sources = [everybody(type="country", value="NL"), everybody(type="probes", value="102,103", requested=2)]
    (measurement,) = Office().post(post_body(probes=sources))
    assert (measurement.participants, measurement.requested) == ((102, 103), -1)


def test_no_more_probes_take_part_than_were_asked_for_and_a_fresh_sandbox_takes_the_same() -> None:
    internet = FakeInternet(points=tuple(vantage(number) for number in range(1, 201)))
    first, again = (Office(internet) for _ in range(2))
    chosen = [
        [office.post(post_body(probes=[everybody(requested=20)]))[0].participants for _ in range(3)]
        for office in (first, again)
    ]
    assert chosen[0] == chosen[1]
    assert [len(set(participants)) for participants in chosen[0]] == [20, 20, 20]
    assert len({*chosen[0], tuple(range(1, 21))}) == 4  # another draw for each POST


def test_the_probes_of_another_measurement_take_part_again() -> None:
    office = Office()
    (first,) = office.post(post_body(probes=[everybody(requested=3)]))
    (second,) = office.post(post_body(probes=[everybody(type="msm", value=str(first.id))]))
    assert second.participants == first.participants


def test_all_definitions_of_a_post_share_their_probes_and_ipv6_is_asked_of_those_that_have_it() -> None:
    office = Office()
    both = office.post(post_body(ping_definition(), ping_definition(af=6, target=V6)))
    assert [measurement.participants for measurement in both] == [(101, 6001), (101, 6001)]
    assert [measurement.group for measurement in both] == [both[0].id, both[0].id]


@pytest.mark.parametrize(
    ("source", "pointer", "detail"),
    [
        ({"type": "planet"}, "type", '"planet" is not a valid choice.'),
        ({"requested": None}, "requested", "This field is required."),
        ({"requested": "many"}, "requested", "A valid integer is required."),
        ({"value": "Middle-Earth"}, "value", '"Middle-Earth" is not a valid choice.'),
        ({"type": "region", "value": "Europe"}, "value", '"Europe" is not a valid choice.'),
        (
            {"type": "country", "value": "Germany"},
            "value",
            "Enter two-letter country codes (ISO 3166-1), separated by commas.",
        ),
        ({"type": "asn", "value": "x"}, "value", "A valid integer is required."),
        ({"type": "asn", "value": "65000"}, "value", "Your selected ASN is not covered by our network."),
        ({"type": "msm", "value": "1000005"}, "value", "There is no user-defined measurement 1000005."),
        ({"type": "msm", "value": "x"}, "value", "There is no user-defined measurement x."),
        ({"type": "probes", "value": "1,x"}, "value", "Enter a list of probe ids, separated by commas."),
        ({"type": "prefix", "value": "300.0.0.0/8"}, "value", "Enter a valid prefix."),
        ({"tags": {"include": "a"}}, "tags/include", "Expected a list of tags."),
    ],
)
def test_a_source_that_cannot_be_is_refused_with_its_place(source: Row, pointer: str, detail: str) -> None:
    body = post_body(probes=[everybody(), everybody(**source)])
    assert Office().refused(body) == [(f"/probes/1/{pointer}", detail)]


def test_without_a_suitable_probe_a_measurement_is_accepted_and_says_so() -> None:
    office = Office()
    (measurement,) = office.post(post_body(probes=[everybody(type="country", value="JP")]))
    assert office.ledger.status(measurement) == SPECIFIED
    office.clock.advance(2)
    assert office.ledger.status(measurement) == NO_SUITABLE_PROBES
    office.clock.advance(1000)
    assert (office.ledger.status(measurement), office.results(measurement)) == (NO_SUITABLE_PROBES, [])


# Schedules and results


def test_ids_count_up_from_above_a_million() -> None:
    office = Office()
    ids = [
        found.id
        for body in (post_body(ping_definition(), dns_definition()), post_body())
        for found in office.post(body)
    ]
    assert ids == [1_000_001, 1_000_002, 1_000_003]


def test_the_results_of_a_one_off_arrive_one_by_one_within_a_minute_and_some() -> None:
    office = Office()
    (measurement,) = office.post(post_body())
    counts = []
    for _ in range(80):
        counts.append(len(office.results(measurement)))
        office.clock.advance(1)
    assert counts[0] == counts[7] == 0  # nothing sooner than 8 s
    assert counts == sorted(counts)
    assert counts[71] == len(REPORTING)  # 10 s of spread, 60 s of delay
    assert {result["prb_id"] for result in office.results(measurement)} == set(REPORTING)


def test_a_result_is_stored_when_it_arrives() -> None:
    office = Office()
    (measurement,) = office.post(post_body(dns_definition(), traceroute_definition()))[1:]
    office.clock.advance(200)
    for result in office.results(measurement):
        assert START <= result["timestamp"] <= START + 10
        assert 30 <= result["stored_timestamp"] - result["timestamp"] <= 141


def test_the_internet_is_told_the_time_since_the_sandbox_began_and_the_round() -> None:
    office = Office()
    office.clock.advance(1000)
    (measurement,) = office.post(
        post_body(
            dns_definition(interval=100, spread=0), is_oneoff=False, probes=[everybody(type="probes", value="101")]
        )
    )
    office.clock.advance(350)
    office.results(measurement)
    assert [(after_s, turn) for *_, after_s, turn in office.internet.asked] == [
        (1000, 0), (1100, 1), (1200, 2), (1300, 3),
    ][: len(office.internet.asked)]  # fmt: skip
    assert len(office.internet.asked) in (3, 4)  # the fourth may still be under way


def test_a_periodic_measurement_runs_from_its_start_to_its_stop() -> None:
    office = Office()
    times: Row = {"start_time": START + 600, "stop_time": START + 600 + 1800}
    (measurement,) = office.post(post_body(ping_definition(interval=300), is_oneoff=False, **times))
    office.clock.advance(86_400)
    results = office.results(measurement)
    assert len(results) == 6 * len(REPORTING)
    assert [result["timestamp"] for result in results] == sorted(result["timestamp"] for result in results)
    for result in results:
        # A spread of half the interval, within each of the six rounds.
        assert 0 <= (result["timestamp"] - START - 600) % 300 <= 150
        assert START + 600 <= result["timestamp"] < START + 2400


@given(
    st.integers(60, 2000), st.none() | st.integers(0, 400), st.none() | st.integers(-50, 9000), st.integers(0, 20_000),
    st.integers(1, 5000), st.sampled_from(Kind),
)  # fmt: skip
def test_what_has_arrived_is_what_counting_one_by_one_finds(
    interval_s: int, spread_s: int | None, end: int | None, now: int, number: int, kind: Kind
) -> None:
    schedule = Schedule(kind=kind, start=1000, interval_s=interval_s, spread_s=spread_s, end=end)
    times = [schedule.measured_at(number, turn) for turn in range(20_000 // interval_s + 2)]
    counted = sum(at + schedule.delay_s(number) <= now and (end is None or at < end) for at in times)
    assert schedule.delivered(number, now) == counted
    assert times == sorted(times)


def test_results_can_be_cut_to_a_window_and_to_some_vantage_points() -> None:
    office = Office()
    (measurement,) = office.post(post_body(ping_definition(interval=60), is_oneoff=False))
    office.clock.advance(3600)
    everything = office.results(measurement)
    window = office.results(measurement, since=START + 600, until=START + 1200)
    assert window == [result for result in everything if START + 600 <= result["timestamp"] <= START + 1200]
    assert len(window) > 40
    some = office.results(measurement, vantage_points=frozenset({102, 106, 999}))
    assert some == [result for result in everything if result["prb_id"] in (102, 106)]


def test_the_status_lags_behind_what_really_is() -> None:
    office = Office(lags=Lags(probes_s=3, start_s=5, end_s=60))
    (measurement,) = office.post(post_body(start_time=START + 100))
    seen = []
    # The last result may come 10 s + 60 s after the start; 60 s later the status says so.
    for now in (0, 2, 3, 104, 105, 229, 230, 10_000):
        office.clock.advance(now - (office.clock.now() - START))
        seen.append(office.ledger.status(measurement))
    assert seen == [SPECIFIED, SPECIFIED, SCHEDULED, SCHEDULED, ONGOING, ONGOING, STOPPED, STOPPED]
    assert [status[0] for status in dict.fromkeys(seen)] == [0, 1, 2, 4]


def test_a_stopped_measurement_measures_no_more_and_what_was_under_way_arrives() -> None:
    office = Office()
    (measurement,) = office.post(post_body(ping_definition(interval=60, spread=0), is_oneoff=False))
    office.clock.advance(150)
    office.ledger.stop(measurement)
    office.clock.advance(10_000)
    stopped = office.ledger.get(measurement.id)
    assert stopped is not None
    assert office.ledger.status(stopped) == STOPPED
    assert {result["timestamp"] for result in office.results(stopped)} == {START, START + 60, START + 120}
    office.ledger.stop(stopped)
    assert office.ledger.get(measurement.id) == stopped


def test_to_stop_what_has_ended_by_itself_changes_nothing() -> None:
    office = Office(lags=Lags(end_s=60))
    (measurement,) = office.post(post_body())
    office.clock.advance(1000)
    office.ledger.stop(measurement)
    ended = office.ledger.get(measurement.id)
    assert ended is not None
    assert (office.ledger.status(ended), ended.over_at) == (STOPPED, START + 10 + 60)
    assert len(office.results(ended)) == len(REPORTING)


def test_a_one_off_stopped_before_its_last_result_is_over_when_it_was_stopped() -> None:
    office = Office(lags=Lags(end_s=60))
    (measurement,) = office.post(post_body(start_time=START + 100))
    office.clock.advance(50)
    office.ledger.stop(measurement)
    stopped = office.ledger.get(measurement.id)
    assert stopped is not None
    office.clock.advance(59)
    assert office.ledger.status(stopped) != STOPPED
    office.clock.advance(1)
    assert office.ledger.status(stopped) == STOPPED
    office.clock.advance(1000)
    assert office.results(stopped) == []


def test_the_latest_results_are_the_last_of_each_vantage_point() -> None:
    office = Office()
    (measurement,) = office.post(post_body(ping_definition(interval=60, spread=0), is_oneoff=False))
    office.clock.advance(600)
    everything = office.results(measurement)
    latest = list(
        office.ledger.latest(measurement, now=office.clock.now(), since=None, versions=2, vantage_points=None)
    )
    for number in REPORTING:
        mine = [result for result in everything if result["prb_id"] == number]
        assert [result for result in latest if result["prb_id"] == number] == mine[:-3:-1]


def test_new_measurements_appear_in_lists_late() -> None:
    office = Office(lags=Lags(listing_s=20))
    (measurement,) = office.post(post_body())
    assert (office.ledger.listed(), office.ledger.get(measurement.id)) == ([], measurement)
    office.clock.advance(19.9)
    assert office.ledger.listed() == []
    office.clock.advance(0.1)
    assert office.ledger.listed() == [measurement]


def test_a_start_in_the_past_or_a_stop_before_the_start_is_refused() -> None:
    office = Office()
    assert office.refused(post_body(start_time=START - 3600)) == [
        ("/start_time", "The start time must not lie in the past.")
    ]
    body = post_body(is_oneoff=False, start_time=START + 100, stop_time=START + 100)
    assert office.refused(body) == [("/stop_time", "The stop time must be later than the start time.")]


# Built-in measurements


def test_built_in_measurements_have_run_for_a_day_when_the_sandbox_begins() -> None:
    targets = (
        BuiltInTarget(id=10301, kind=Kind.DNS, af=4, query="hostname.bind", address=V4),
        BuiltInTarget(id=6001, kind=Kind.TRACEROUTE, af=6, query=None, address=V6),
        BuiltInTarget(id=10001, kind=Kind.DNS, af=4, query="SOA .", address=V4),
    )
    office = Office(built_ins=targets)
    dns, trace, soa = (office.ledger.get(target.id) for target in targets)
    assert dns is not None
    assert trace is not None
    assert soa is not None
    assert (dns.participants, trace.participants) == (CONNECTED, (101, 6001))
    last_quarter = office.results(dns, since=START - 900)
    # One round every 240 s: three or four in 15 minutes, of each vantage point.
    assert 3 * len(REPORTING) <= len(last_quarter) <= 4 * len(REPORTING)
    assert all("group_id" not in result for result in last_quarter)
    assert len(office.results(trace, since=START - 7200)) in (7, 8)  # two vantage points, every 1800 s
    assert all(after_s < 0 for *_, after_s, _ in office.internet.asked)
    assert (soa.definition.options["query_class"], soa.definition.options["query_type"]) == ("IN", "SOA")
    assert dns.credits_per_result == 0
    assert office.ledger.status(dns) == ONGOING


# Limits and credits


@pytest.mark.parametrize(
    ("asked", "periodic", "oneoff"),
    [
        (dns_definition(), 10, 20),
        (dns_definition(protocol="TCP"), 20, 40),
        (ping_definition(), 3, 6),
        (ping_definition(packets=5, size=1499), 5, 10),
        (ping_definition(size=1500), 6, 12),
        (traceroute_definition(), 30, 60),
        (traceroute_definition(packets=1, size=1500), 20, 40),
    ],
    ids=str,
)
def test_results_cost_what_ripe_atlas_says(asked: Row, periodic: int, oneoff: int) -> None:
    definition, _ = read_definition(asked)
    assert definition is not None
    assert credits_per_result(definition, is_oneoff=False) == periodic
    assert credits_per_result(definition, is_oneoff=True) == oneoff


def test_the_worked_sizes_of_a_day() -> None:
    internet = FakeInternet(points=tuple(vantage(number) for number in range(1, 501)))
    office = Office(internet)
    (periodic,) = office.post(
        post_body(dns_definition(interval=300), is_oneoff=False), limits=Limits(results_per_day=144_000)
    )
    assert periodic.results_in_a_day == 144_000
    (short,) = office.post(
        post_body(dns_definition(interval=300), is_oneoff=False, stop_time=START + 1500),
        limits=Limits(results_per_day=144_000 + 2500),
    )
    assert short.results_in_a_day == 2500


def test_more_results_a_day_than_allowed_are_refused_in_the_words_of_ripe_atlas() -> None:
    office = Office()
    office.post(post_body(ping_definition(interval=60), is_oneoff=False))  # 6 probes x 1440 rounds
    body = post_body(ping_definition(interval=240), is_oneoff=False)  # 6 x 360
    assert office.refused(body, limits=Limits(results_per_day=10_000)) == [
        (
            "",
            "Executing this measurement request will increase your current (8640) number of results by 2160.0 "
            "totalling 10800.0 which is higher than your maximum daily results limit 10000. Please stop some of your "
            "currently running measurements and try again.",
        )
    ]
    assert len(office.post(body, limits=Limits(results_per_day=10_800))) == 1


def test_a_one_off_counts_for_a_day_and_a_periodic_measurement_while_it_runs() -> None:
    office, limits = Office(), Limits(results_per_day=2166)
    office.post(post_body())  # 6 results
    (periodic,) = office.post(post_body(ping_definition(interval=240), is_oneoff=False), limits=limits)  # 6 x 360
    assert office.refused(post_body(), limits=limits)
    office.ledger.stop(periodic)
    office.clock.advance(1000)  # all has stopped, but the one-off was today
    assert "current (6)" in office.refused(post_body(), limits=Limits(results_per_day=11))[0][1]
    office.clock.advance(86_400)
    assert office.post(post_body(), limits=Limits(results_per_day=6))


def test_the_twenty_sixth_measurement_to_a_target_is_refused_until_others_have_stopped() -> None:
    office = Office()
    office.post(post_body(*[ping_definition()] * 24))
    office.post(post_body())
    detail = f"We do not allow more than 25 concurrent measurements to the same target: {V4}."
    assert office.refused(post_body()) == [("", detail)]
    assert office.post(post_body(ping_definition(target="198.51.100.1")))
    office.clock.advance(1000)
    assert office.post(post_body())


def test_the_hundred_and_first_measurement_at_a_time_is_refused() -> None:
    office = Office()
    targets = [f"198.51.100.{number}" for number in range(1, 102)]
    office.post(post_body(*[ping_definition(target=target) for target in targets[:100]]))
    ((pointer, detail),) = office.refused(post_body(ping_definition(target=targets[100])))
    assert (pointer, "more than 100 concurrent measurements" in detail) == ("", True)


def test_more_than_a_thousand_probes_are_refused() -> None:
    office = Office(FakeInternet(points=tuple(vantage(number) for number in range(1, 1003))))
    assert office.post(post_body(probes=[everybody(requested=1000)]))
    assert "1001 probes" in office.refused(post_body(probes=[everybody(requested=1001)]))[0][1]
    assert "1002 probes" in office.refused(post_body(probes=[everybody()]))[0][1]


def test_an_account_without_the_credits_is_refused_and_nothing_is_scheduled() -> None:
    office = Office()
    with pytest.raises(Refusal) as refusal:
        office.post(post_body(), balance=119)  # 6 probes x 20 credits
    assert (refusal.value.status, office.ledger.own()) == (402, [])
    assert office.post(post_body(), balance=120)


def test_a_refused_request_uses_no_id() -> None:
    office = Office()
    office.refused(post_body(), limits=Limits(results_per_day=1))
    assert office.post(post_body())[0].id == 1_000_001


# The journal


def test_a_sandbox_on_an_old_journal_goes_on_with_the_same_measurements_and_results(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    office = Office(journal=Journal(path))
    office.clock.advance(500)
    first, second = office.post(post_body(dns_definition(), traceroute_definition(tags=["a"])))
    (third,) = office.post(post_body(ping_definition(interval=60), is_oneoff=False))
    office.clock.advance(300)
    office.ledger.alter(first, description="another name")
    office.ledger.stop(third)
    again = Office(journal=Journal(path))
    assert again.ledger.own() == office.ledger.own()
    assert again.clock.now() == START + 800
    for number in (first.id, second.id, third.id):
        old, new = office.ledger.get(number), again.ledger.get(number)
        assert old is not None
        assert new is not None
        assert again.results(new) == office.results(old) != []
    assert office.internet.asked == again.internet.asked
    assert again.post(post_body())[0].id == third.id + 1


def test_an_accepted_measurement_is_in_the_journal_before_anybody_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    office = Office(journal=Journal(path))
    ids = [found.id for found in office.post(post_body(dns_definition(), ping_definition()))]
    held = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["what"] for entry in held] == ["start", "accepted"]
    assert [entry["id"] for entry in held[1]["measurements"]] == ids


def test_a_journal_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    office = Office(journal=Journal(tmp_path / "no-such-folder" / "journal.ndjson"))
    with pytest.raises(InvalidFile, match=r"^[^\n]*No such file[^\n]*: name a journal[^\n]*$"):
        office.post(post_body())
    assert office.ledger.own() == []


def test_a_line_cut_off_by_a_kill_counts_as_never_written_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    office = Office(journal=Journal(path))
    office.post(post_body(dns_definition(), ping_definition()))
    whole, kept = path.read_bytes(), office.ledger.own()
    office.post(post_body(traceroute_definition()))
    grown = path.read_bytes()
    for end in range(len(whole), len(grown), 7):
        path.write_bytes(grown[:end])
        again = Office(journal=Journal(path))
        assert again.ledger.own() == kept
        assert path.read_bytes() == whole
        assert again.post(post_body())[0].id == 1_000_003


@pytest.mark.parametrize("content", ["hello\n", "[1]\n", '{"at": "now"}\n', "{}\n"])
def test_another_file_is_no_journal(tmp_path: Path, content: str) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_text(content)
    with pytest.raises(InvalidFile, match=r"^[^\n]*not a sandbox's journal[^\n]*$"):
        Journal(path)


def test_a_journal_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"^[^\n]*Is a directory[^\n]*$"):
        Journal(tmp_path)


def test_a_measurement_survives_its_own_journal_entry() -> None:
    body = post_body(dns_definition(interval=300, spread=17, tags=["x"]), is_oneoff=False, stop_time=START + 900)
    (measurement,) = Office().post(body)
    assert from_entry(json.loads(json.dumps(measurement.entry()))) == measurement
