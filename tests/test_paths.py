"""The paths of packets: read out of raw traceroutes, named, and held against each other before and after."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.two_sides import Seen, compare_sides
from catchment import store, terminal, workflow
from catchment.assign.hop_names.gazetteer import town_in_name
from catchment.metrics.paths import Route, Router, is_same_way, named, read_route, stands_at
from catchment.model import Level, Window
from catchment.observe.traceroutes import Hop, read_trace
from catchment.places import Place
from catchment.places.exchanges import Exchange
from catchment.services import find_service
from catchment.store import Run
from tests.atlas_results import NOON, TARGET, dns_result, head, place
from tests.conftest import EXAMPLE_SERVICE

Import = Callable[..., Run]
NYC, LON, JNB, HOME = "198.51.100.1", "198.51.100.2", "198.51.100.3", "192.168.1.1"
NAMES = {
    NYC: "ae1.cr1.nyc1.as64501.example",
    LON: "xe-0.london2.as64502.example",
    JNB: "ae7.jnb1.as64503.example",
}
NEW_YORK = (40.7, -74.0)
Hit = tuple[str | None, float]


def trace(probe: int, *seen: Hit, rtt_ms: float = 90.0, **changes: Any) -> dict[str, Any]:
    """Return a traceroute past these routers (None keeps silent), each with its RTT in ms."""
    hops = [
        {"hop": number, "result": [{"x": "*"} if who is None else {"from": who, "rtt": ms, "ttl": 60, "size": 28}] * 3}
        for number, (who, ms) in enumerate([*seen, (TARGET, rtt_ms)], start=1)
    ]
    result = head(probe, "traceroute", 90_000_003) | {"msm_name": "Traceroute", "result": hops, "paris_id": 1}
    return result | {"endtime": NOON + 5, "proto": "ICMP"} | changes


def route(*seen: Hit, **changes: Any) -> Route:
    found = read_route(json.dumps(trace(1, *seen, **changes)).encode())
    assert found is not None
    return found


def test_a_path_has_each_router_with_its_least_time_and_that_of_the_target() -> None:
    result = trace(1, (HOME, 0.5), (NYC, 2.0))
    result["result"][1]["result"] = [{"from": NYC, "rtt": 3.5}, {"from": NYC, "rtt": 2.5}, {"x": "*"}]
    found = read_route(json.dumps(result).encode())
    assert found == Route(
        routers=(Router(address=HOME, rtt_ms=0.5), Router(address=NYC, rtt_ms=2.5)), rtt_ms=90.0, is_whole=True
    )


def test_of_several_routers_at_a_hop_the_one_with_most_answers_counts() -> None:
    result = trace(1, (NYC, 2.0))
    result["result"][0]["result"] = [{"from": LON, "rtt": 1.0}, {"from": NYC, "rtt": 2.0}, {"from": NYC, "rtt": 3.0}]
    found = read_route(json.dumps(result).encode())
    assert found is not None
    assert found.routers == (Router(address=NYC, rtt_ms=2.0),)


def test_a_late_reply_belongs_to_an_earlier_hop() -> None:
    result = trace(1, (NYC, 2.0))
    result["result"][0]["result"] = [{"from": LON, "rtt": 1.0, "late": 2}, {"from": NYC, "rtt": 2.0}]
    found = read_route(json.dumps(result).encode())
    assert found is not None
    assert found.routers == (Router(address=NYC, rtt_ms=2.0),)


def test_a_silent_router_keeps_its_place() -> None:
    assert route((HOME, 0.5), (None, 0.0), (LON, 70.0)).routers[1] == Router()


def test_a_traceroute_that_did_not_reach_its_target_has_no_path() -> None:
    result = trace(1, (NYC, 2.0))
    del result["result"][-1]
    assert read_route(json.dumps(result).encode()) is None


def test_a_target_reached_by_the_last_packet_of_paris_stands_at_an_unknown_distance() -> None:
    result = trace(1, (NYC, 2.0), (None, 0.0))
    result["result"][-1]["hop"] = 255
    found = read_route(json.dumps(result).encode())
    assert found is not None
    assert (len(found.routers), found.is_whole, found.rtt_ms) == (1, False, 90.0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'{"result": 5}',
        b'{"result": []}',
        b'{"dst_addr": "192.0.2.53", "result": {}}',
        b"[" * 9999,
    ],
)
def test_what_is_no_traceroute_has_no_path(raw: bytes) -> None:
    assert read_route(raw) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just(TARGET),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
_PACKET = st.fixed_dictionaries({"from": _JSON, "rtt": _JSON | st.integers()}) | _JSON
_HOP = st.fixed_dictionaries({"hop": _JSON | st.integers(-5, 300), "result": _JSON | st.lists(_PACKET, max_size=4)})


@settings(max_examples=50)
@given(st.lists(_HOP | _JSON, max_size=4))
def test_no_result_whatever_breaks_the_reader(entries: list[Any]) -> None:
    found = read_route(json.dumps({"dst_addr": TARGET, "result": entries}).encode())
    assert found is None or (found.rtt_ms is not None and 0 <= found.rtt_ms <= 1e9 and len(found.routers) <= 254)


@pytest.mark.parametrize("result", [None, 5, [], {}, {"result": None}, {"result": [None, {"hop": 1}, {"result": []}]}])
def test_what_is_no_traceroute_has_no_hops(result: Any) -> None:
    assert read_trace(result).hops == ()


def test_hops_are_read_with_all_who_answered_and_addresses_in_one_form() -> None:
    packets = [{"from": "2001:DB8::0:1", "rtt": 2.0}, {"from": "2001:db8::1", "rtt": 1.5}, {"from": "::2", "rtt": 1.0}]
    result = {"dst_addr": "2001:db8:53::53", "result": [{"hop": 2, "result": packets}, {"hop": 1, "result": ["x"]}]}
    found = read_trace(result)
    assert found.hops == (Hop(number=1), Hop(number=2, address="2001:db8::1", rtt_ms=1.5, others=("::2",)))
    assert (found.reached_at, found.rtt_ms) == (None, None)


def test_a_silent_router_may_be_any() -> None:
    assert is_same_way(route((HOME, 0.5), (NYC, 2.0)), route((HOME, 0.7), (None, 0.0)))
    assert not is_same_way(route((HOME, 0.5), (NYC, 2.0)), route((HOME, 0.5), (LON, 2.0)))
    assert not is_same_way(route((HOME, 0.5), (NYC, 2.0)), route((HOME, 0.5), (NYC, 2.0), (None, 0.0)))


def test_routers_get_their_names_and_the_towns_in_these() -> None:
    found = named(route((HOME, 0.5), (NYC, 2.0), (None, 0.0), (LON, 70.0)), NAMES, NEW_YORK)
    assert [(hop.name, hop.town, hop.country) for hop in found.routers] == [
        (None, None, None),
        (NAMES[NYC], "New York", "US"),
        (None, None, None),
        (NAMES[LON], "London", "GB"),
    ]
    assert found.countries == {"US", "GB"}
    assert [str(hop) for hop in found.routers] == [
        "192.168.1.1 0.5 ms",
        "ae1.cr1.nyc1.as64501.example (New York, US) 2.0 ms",
        "*",
        "xe-0.london2.as64502.example (London, GB) 70.0 ms",
    ]


def test_a_town_from_where_light_cannot_have_come_back_is_not_believed() -> None:
    # Johannesburg is 12,800 km from New York: light needs some 125 ms there and back.
    assert named(route((JNB, 30.0)), NAMES, NEW_YORK).countries == frozenset()
    assert named(route((JNB, 130.0)), NAMES, NEW_YORK).countries == {"ZA"}
    assert named(route((JNB, 30.0)), NAMES, None).countries == {"ZA"}


def test_a_router_in_the_lan_of_an_exchange_stands_there_whatever_its_name_says() -> None:
    at_de_cix = "80.81.192.10"
    assert named(route((at_de_cix, 90.0)), {at_de_cix: NAMES[JNB]}, NEW_YORK).countries == {"DE"}


def test_a_router_that_reaches_an_exchange_from_afar_stands_where_its_name_says() -> None:
    # Frankfurt is 6,200 km from New York: light needs some 60 ms there and back.
    at_de_cix = "80.81.192.10"
    (router,) = named(route((at_de_cix, 2.0)), {at_de_cix: NAMES[NYC]}, NEW_YORK).routers
    assert (router.town, router.country) == ("New York", "US")
    assert named(route((at_de_cix, 2.0)), {}, NEW_YORK).countries == frozenset()


def test_a_site_of_the_service_in_a_name_comes_before_any_other_town_and_after_the_exchange() -> None:
    service = find_service(str(EXAMPLE_SERVICE))
    name = "ae1.fra3.as64500.example"
    found = stands_at("192.0.2.1", name, 90.0, NEW_YORK, service)
    assert found in service.sites
    assert isinstance(stands_at("192.0.2.1", name, 90.0, NEW_YORK), Place)
    assert isinstance(stands_at("80.81.192.10", name, 90.0, NEW_YORK, service), Exchange)
    assert stands_at("192.0.2.1", name, 2.0, NEW_YORK, service) is None


@pytest.mark.parametrize(
    ("name", "town"),
    [
        ("ae2.ath2.as64500.example", "Athens"),
        ("core1.accra2.as64500.example", "Accra"),
        ("po3.cr2.capetown.za.as64500.example", "Cape Town"),
        ("lo0.core.net", None),
        ("ae1.fra1-lon2.carrier.example", None),  # a link has two ends
        ("", None),
    ],
)
def test_a_name_points_to_one_town_wherever_the_service_has_its_sites(name: str, town: str | None) -> None:
    found = town_in_name(name)
    assert (None if found is None else found.town) == town


def compared(before: Run, after: Run) -> dict[str, Any]:
    found: dict[str, Any] = workflow.compare_runs((before, Window()), (after, Window()))["targets"][0]
    return found


@pytest.fixture
def traced(import_lines: Import) -> Callable[..., Run]:
    """Return a function that imports these results of vantage points in New York, and names their routers."""

    def make(*results: dict[str, Any]) -> Run:
        probes = [place(number, *NEW_YORK, "US") for number in range(1, 9)]
        run = import_lines(*results, probes=probes)
        store.write_hop_names(run.path, NAMES, resolved_at="2026-11-01T12:00:00Z")
        return run

    return make


SHORT = ((HOME, 0.5), (NYC, 2.0), (LON, 70.0))
OTHER = ((HOME, 0.5), ("198.51.100.77", 2.0), (LON, 70.0))
LEAKED = ((HOME, 0.5), (NYC, 2.0), (JNB, 200.0), (LON, 250.0))


def test_a_leak_is_found_by_the_way_and_not_by_the_site(traced: Callable[..., Run]) -> None:
    before = traced(*(dns_result(n, rtt_ms=90.0) for n in range(1, 5)), *(trace(n, *SHORT) for n in range(1, 5)))
    after = traced(
        *(dns_result(n, rtt_ms=270.0) for n in range(1, 4)),
        dns_result(4, rtt_ms=90.0),
        *(trace(n, *LEAKED, rtt_ms=270.0) for n in range(1, 4)),
        trace(4, *SHORT, rtt_ms=91.0),
    )
    found = compared(before, after)
    paths = found["paths"]
    assert (found["moved"], paths["compared"], paths["changed"], paths["longer"], paths["slower"]) == (0, 4, 3, 3, 3)
    assert (paths["countries_joined"], paths["countries_left"], paths["leads_through"]) == ({"ZA": 3}, {}, ["ZA"])
    assert paths["rise_ms"] == 180.0
    assert [one["vantage"] for one in paths["listed"]] == ["atlas:1", "atlas:2", "atlas:3"]
    first = paths["listed"][0]
    assert (first["site"], first["rtt_ms_before"], first["rtt_ms_after"], first["joined"]) == (
        "fra",
        90.0,
        270.0,
        ["ZA"],
    )
    assert first["after"][2] == "ae7.jnb1.as64503.example (Johannesburg, ZA) 200.0 ms"
    assert found["summary"] == (
        "None of 4 vantage points moved. The path of 3 of 4 unmoved vantage points is another, and now leads through "
        "ZA (+180 ms): the same site by a longer way, as after a route leak."
    )


def seen(vantage: int, *ways: tuple[Hit, ...], rtt_ms: float = 90.0, site: str = "fra") -> Seen:
    """Return a vantage point in New York whose packets took these ways, the last one first."""
    traces = [json.dumps(trace(vantage, *way, rtt_ms=rtt_ms)).encode() for way in ways]
    return Seen(vantage=f"atlas:{vantage}", site=site, rtts_ms=[rtt_ms], traces=traces, place=NEW_YORK, country="US")


def paths_of(before: list[Seen], after: list[Seen], **names: str) -> dict[str, Any]:
    found: dict[str, Any] = compare_sides(before, after, [find_service(str(EXAMPLE_SERVICE))], names=NAMES | names)[
        "paths"
    ]
    return found


def test_another_way_that_takes_no_longer_is_counted_and_not_announced() -> None:
    found = compare_sides([seen(1, SHORT)], [seen(1, OTHER)])
    paths = found["paths"]
    assert (paths["changed"], paths["longer"], paths["slower"], paths["rise_ms"]) == (1, 0, 0, None)
    assert found["summary"] == "None of 1 vantage point moved."


def test_a_way_that_was_among_those_before_is_not_another() -> None:
    before = [seen(1, SHORT, OTHER)]
    for way in (SHORT, OTHER):
        assert paths_of(before, [seen(1, way)])["changed"] == 0


def test_the_last_traceroute_after_is_the_one_that_counts() -> None:
    assert paths_of([seen(1, SHORT)], [seen(1, SHORT, LEAKED)])["changed"] == 0
    assert paths_of([seen(1, SHORT)], [seen(1, LEAKED, SHORT)])["changed"] == 1


def test_a_way_is_slower_if_it_takes_more_than_the_slowest_of_those_before() -> None:
    def timed(*rtts_ms: float, way: tuple[Hit, ...] = SHORT) -> list[Seen]:
        traces = [json.dumps(trace(1, *way, rtt_ms=ms)).encode() for ms in rtts_ms]
        return [replace(seen(1), traces=traces)]

    def counts(before: list[Seen], after: list[Seen]) -> tuple[int, int]:
        paths = paths_of(before, after)
        return paths["slower"], paths["faster"]

    quick, queued = timed(90.0, 91.0, 140.0), timed(130.0, 131.0, 132.0, way=OTHER)
    assert counts(quick, queued) == (0, 0)
    assert counts(quick, timed(270.0, way=OTHER)) == (1, 0)
    # The same seen backwards is faster, and no slower.
    assert counts(timed(270.0, way=OTHER), quick) == (0, 1)
    assert counts(queued, quick) == (0, 0)


def test_a_way_is_slower_than_as_many_of_those_before_as_there_are_after() -> None:
    def ways(*rtts_ms: float, way: tuple[Hit, ...]) -> list[Seen]:
        return [replace(seen(1), traces=[json.dumps(trace(1, *way, rtt_ms=ms)).encode() for ms in rtts_ms])]

    # The one after is no slower than the slowest of three before, but than the last; as it is seen backwards.
    three, one = ways(90.0, 280.0, 95.0, way=SHORT), ways(270.0, way=OTHER)
    there, back = paths_of(three, one), paths_of(one, three)
    assert (there["slower"], there["faster"]) == (1, 0)
    assert (back["slower"], back["faster"]) == (0, 1)


@pytest.mark.parametrize("level", [Level.SITE, Level.COUNTRY])
@pytest.mark.parametrize("after", [{"site": "ber"}, {"flips": 1}])
def test_ways_to_another_site_of_the_country_and_of_who_flaps_are_no_detour(
    level: Level, after: dict[str, Any]
) -> None:
    before = [seen(n, SHORT) for n in range(1, 9)]
    moved = [replace(seen(n, LEAKED, rtt_ms=270.0), **after) for n in range(1, 9)]
    found = compare_sides(before, moved, [find_service(str(EXAMPLE_SERVICE))], level=level, names=NAMES)
    assert (found["paths"]["compared"], found["slower"]["of"]) == (0, 0)
    assert "leak" not in found["summary"]


def test_as_many_faster_ways_as_slower_ones_are_no_leak() -> None:
    one, other = range(1, 6), range(6, 11)
    before = [*(seen(n, SHORT) for n in one), *(seen(n, OTHER, rtt_ms=270.0) for n in other)]
    after = [*(seen(n, OTHER, rtt_ms=270.0) for n in one), *(seen(n, SHORT) for n in other)]
    found = compare_sides(before, after)
    assert (found["paths"]["slower"], found["paths"]["faster"], found["paths"]["compared"]) == (5, 5, 10)
    assert found["summary"] == "None of 10 vantage points moved."


def test_ways_of_those_who_moved_are_left_out() -> None:
    paths = paths_of([seen(1, SHORT), seen(2, SHORT)], [seen(1, LEAKED, site="ber"), seen(2, SHORT)])
    assert (paths["compared"], paths["changed"]) == (1, 0)


def test_where_one_side_has_no_traceroutes_there_are_no_paths() -> None:
    assert compare_sides([seen(1, SHORT)], [seen(1)])["paths"] is None
    assert compare_sides([seen(1)], [seen(1, SHORT)])["paths"] is None


def test_countries_of_the_vantage_point_and_of_the_site_are_no_detour() -> None:
    fra = "198.51.100.9"
    before, after = seen(1, ((HOME, 0.5), (LON, 70.0))), seen(1, ((HOME, 0.5), (NYC, 2.0), (fra, 80.0)))
    paths = paths_of([before], [after], **{fra: "ae1.frankfurt1.as64509.example"})
    assert (paths["changed"], paths["countries_joined"], paths["countries_left"]) == (1, {}, {"GB": 1})


def test_raw_files_that_are_gone_only_cost_the_paths(traced: Callable[..., Run]) -> None:
    before, after = (traced(dns_result(1), trace(1, *way)) for way in (SHORT, LEAKED))
    for file in store.raw_folder(after.path).iterdir():
        file.unlink()
    found = compared(before, after)
    assert (found["paired"], found["paths"]["compared"]) == (1, 0)


def test_hostile_names_of_routers_reach_no_terminal(traced: Callable[..., Run]) -> None:
    before, after = (
        traced(dns_result(1, rtt_ms=rtt_ms), trace(1, *way, rtt_ms=rtt_ms))
        for way, rtt_ms in ((SHORT, 90.0), (LEAKED, 270.0))
    )
    name = "[red]" + "x" * 200 + ".evil.example"
    store.write_hop_names(after.path, {JNB: name}, resolved_at="2026-11-01T12:00:00Z")
    numbers = workflow.compare_runs((before, Window()), (after, Window()))
    assert any(hop.startswith(name) for hop in numbers["targets"][0]["paths"]["listed"][0]["after"])
    out = io.StringIO()
    Console(file=out, width=250, highlight=False).print(terminal.show_comparison(numbers))
    assert "[red]xxx" in out.getvalue()
    assert "x" * 100 not in out.getvalue()
