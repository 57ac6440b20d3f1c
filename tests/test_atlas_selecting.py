from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from catchment.campaign import Anchors, Asked, LeaveOut, VantagePoints
from catchment.errors import PlatformFailed, UnknownName
from catchment.model import Target
from catchment.platforms.atlas.selecting import Probe, asked, choose, describe, pick, whom_not_asked, works
from tests.atlas_server import Answer, Bench, Request, Script, error, ok, probe

V4, V6 = "system-ipv4-works", "system-ipv6-works"
MEMBERS = {1_000_001: [1, 2, 3], 1_000_002: [3, 4], 10301: []}


def api(probes: Sequence[Probe]) -> Script:
    """Answer as the API does: filter by what is asked, one page after the other."""

    def answer(request: Request) -> Answer:
        if request.path.startswith("/api/v2/measurements/"):
            assert request.params["optional_fields"] == "probes"
            number = int(request.path.split("/")[-2])
            if number not in MEMBERS:
                return error(404, "Not found.")
            return ok({"id": number, "probes": [{"id": one, "url": f"…/{one}/"} for one in MEMBERS[number]]})
        assert request.path == "/api/v2/probes/"
        found = [one for one in probes if _passes(one, request.params)]
        size, page = int(request.params["page_size"]), int(request.params.get("page", 1))
        asked = "&".join(f"{name}={value}" for name, value in request.params.items() if name != "page")
        more = f"https://{request.headers['host']}{request.path}?{asked}&page={page + 1}"
        following = more if page * size < len(found) else None
        return ok({"count": len(found), "next": following, "results": found[(page - 1) * size : page * size]})

    return answer


def _passes(one: Probe, params: dict[str, str]) -> bool:
    slugs = {tag["slug"] for tag in one["tags"]}
    checks: dict[str, Callable[[str], bool]] = {
        "status": lambda value: one["status"]["id"] == int(value),
        "is_public": lambda value: one["is_public"] == (value == "true"),
        "tags": lambda value: set(value.split(",")) <= slugs,
        "id__in": lambda value: str(one["id"]) in value.split(","),
        "country_code__in": lambda value: one["country_code"] in value.split(","),
        "asn_v4__in": lambda value: str(one["asn_v4"]) in value.split(","),
        "asn_v6__in": lambda value: str(one["asn_v6"]) in value.split(","),
        "is_anchor": lambda value: one["is_anchor"] == (value == "true"),
    }
    return all(check(params[name]) for name, check in checks.items() if name in params)


def chosen(bench: Bench, probes: Sequence[Probe], families: set[int] | None = None, **wanted: Any) -> list[int]:
    with bench.atlas(api(probes)) as (atlas, _):
        return [one["id"] for one in choose(atlas, VantagePoints(**wanted), families or {4}, seed=1)]


def test_only_connected_public_probes_that_work_in_one_of_the_families_are_asked(bench: Bench) -> None:
    probes = [
        probe(1),
        probe(2) | {"status": {"id": 2, "name": "Disconnected"}},
        probe(3) | {"is_public": False},
        probe(4, tags=[V6]),
        probe(5, tags=[V4, V6]),
        probe(6, tags=[]),
    ]
    assert chosen(bench, probes, {4}) == [1, 5]
    assert chosen(bench, probes, {6}) == [4, 5]
    assert chosen(bench, probes, {4, 6}) == [1, 4, 5]


def test_probes_are_whole_objects_in_order_of_their_ids(bench: Bench) -> None:
    probes = [probe(number) for number in (30, 4, 17)]
    with bench.atlas(api(probes)) as (atlas, _):
        assert choose(atlas, VantagePoints(), {4}, seed=1) == [probe(4), probe(17), probe(30)]


def test_the_same_seed_draws_the_same_probes_and_another_seed_others(bench: Bench) -> None:
    probes = [probe(number) for number in range(1, 1201)]
    with bench.atlas(api(probes)) as (atlas, server):
        first, again, other = (choose(atlas, VantagePoints(count=40), {4}, seed=seed) for seed in (1, 1, 2))
        assert len(server.requests) == 3 * 3
    assert len(first) == 40
    assert first == again
    assert first != other


def test_a_draw_is_even_over_all_pages(bench: Bench) -> None:
    ids = chosen(bench, [probe(number) for number in range(1, 2001)], count=1000)
    thirds = [sum(start < number <= start + 500 for number in ids) for start in (0, 500, 1000, 1500)]
    # Hypergeometric: 250 expected in each quarter, standard deviation 13.7.
    assert all(195 <= count <= 305 for count in thirds)


def test_a_probe_that_goes_changes_only_its_own_place(bench: Bench) -> None:
    probes = [probe(number) for number in range(1, 301)]
    before = chosen(bench, probes, count=50)
    gone = before[7]
    after = chosen(bench, [one for one in probes if one["id"] != gone], count=50)
    assert set(before) - set(after) == {gone}


def test_all_are_taken_where_there_are_fewer_than_asked(bench: Bench) -> None:
    assert chosen(bench, [probe(1), probe(2)], count=50) == [1, 2]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"count": 3}, ["only 2 connected probes fit the campaign, which wants 3"]),
        ({"count": 3, "countries": ("NL",), "ids": (1,)}, ["only 2 connected probes fit the campaign, which wants 3"]),
        ({"count": 2}, []),
        ({"count": 3, "ids": (1, 2)}, []),
    ],
    ids=["too few", "too few besides those named", "enough", "named by id alone"],
)
def test_that_there_are_fewer_than_asked_is_told(bench: Bench, wanted: dict[str, Any], told: list[str]) -> None:
    with bench.atlas(api([probe(1, country="NL"), probe(2, country="NL")])) as (atlas, _):
        choose(atlas, VantagePoints(**wanted), {4}, seed=1)
        assert atlas.warnings == told


def test_countries_and_asns_add_up(bench: Bench) -> None:
    probes = [probe(1, country="NL"), probe(2, country="DE"), probe(3, country="FR"), probe(4, country="JP")]
    assert chosen(bench, probes, countries=("nl", "DE"), asns=(64504,)) == [1, 2, 4]


def test_the_asn_is_that_of_the_family_that_is_measured(bench: Bench) -> None:
    both = probe(1, tags=[V4, V6]) | {"asn_v4": 100, "asn_v6": 200}
    other = probe(2, tags=[V4, V6]) | {"asn_v4": 200, "asn_v6": 100}
    assert chosen(bench, [both, other], {4}, asns=(100,)) == [1]
    assert chosen(bench, [both, other], {6}, asns=(100,)) == [2]


def test_an_area_is_a_continent_and_counts_only_alone(bench: Bench) -> None:
    probes = [probe(1, country="NL"), probe(2, country="JP"), probe(3, country="BR")]
    assert chosen(bench, probes, area="asia") == [2]
    assert chosen(bench, probes, area="ww") == [1, 2, 3]
    assert chosen(bench, probes, area="asia", countries=("BR",)) == [3]


def test_probes_named_by_id_are_all_kept_beyond_the_count(bench: Bench) -> None:
    probes = [probe(number) for number in range(1, 21)]
    assert chosen(bench, probes, count=3, ids=(5, 6, 7, 8, 9)) == [5, 6, 7, 8, 9]
    assert len(chosen(bench, probes, count=7, ids=(5, 6, 7), countries=("NL",))) == 7


def test_a_probe_named_by_id_needs_to_work_in_one_family_only(bench: Bench) -> None:
    probes = [probe(1, tags=[V4]), probe(2, tags=[V6]), probe(3, tags=[])]
    assert chosen(bench, probes, {4, 6}, ids=(1, 2, 3)) == [1, 2]


def test_named_probes_that_are_left_out_are_told(bench: Bench) -> None:
    with bench.atlas(api([probe(1)])) as (atlas, _):
        choose(atlas, VantagePoints(ids=(1, 2, 3)), {4}, seed=1)
        assert atlas.warnings == [
            "2 of the probes named are left out (not connected, or the campaign's conditions do not allow them): 2, 3"
        ]


def test_tags_narrow_every_source(bench: Bench) -> None:
    probes = [
        probe(1, tags=[V4, "home"]),
        probe(2, tags=[V4, "home", "nat"]),
        probe(3, tags=[V4]),
    ]
    tags: dict[str, Any] = {"include_tags": ("home",), "exclude_tags": ("nat",)}
    assert chosen(bench, probes, **tags) == [1]
    assert chosen(bench, probes, ids=(1, 2, 3), **tags) == [1]


def test_many_ids_are_asked_for_some_hundred_at_once(bench: Bench) -> None:
    probes = [probe(number) for number in range(1, 1101)]
    with bench.atlas(api(probes)) as (atlas, server):
        shares: list[float] = []
        found = describe(atlas, [one["id"] for one in probes] + [999_999], lambda _, share: shares.append(share))
        assert found == probes
        assert len(server.requests) == 3
        assert all("status" not in request.params for request in server.requests)
    assert shares == sorted(shares)


def test_no_ids_ask_nothing(bench: Bench) -> None:
    with bench.atlas([]) as (atlas, server):
        assert describe(atlas, []) == []
        assert server.requests == []


def test_nobody_left_is_a_failure_that_says_what_to_do(bench: Bench) -> None:
    with bench.atlas(api([probe(1)])) as (atlas, _), pytest.raises(PlatformFailed, match="no connected probe fits"):
        choose(atlas, VantagePoints(countries=("AQ",)), {4}, seed=1)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"area": "erope"}, "did you mean 'europe'"),
        ({"area": "North"}, "there is no area 'North'"),
        ({"regions": ("northern_europ",)}, "did you mean 'northern_europe'"),
        ({"countries": ("UK",)}, "there is no country 'UK'"),
        ({"countries": ("Netherlands",)}, "two letters of ISO 3166"),
    ],
)
def test_areas_and_countries_that_do_not_exist_are_named(bench: Bench, wanted: dict[str, Any], said: str) -> None:
    with bench.atlas(api([])) as (atlas, _), pytest.raises(UnknownName, match=said):
        choose(atlas, VantagePoints(**wanted), {4}, seed=1)


def test_a_probe_without_tags_works_nowhere() -> None:
    assert not works({"id": 1}, 4)
    assert works({"id": 1, "tags": [V4]}, 4)
    assert works(probe(1), 4)
    assert not works(probe(1), 6)


def test_whom_an_address_family_does_not_reach_is_counted_for_each_family() -> None:
    probes = [probe(1, tags=[V4]), probe(2, tags=[V4, V6]), probe(3, tags=[V4]), probe(4, tags=[V6])]
    four, six = Target(service="a", address="192.0.2.1"), Target(service="a", address="2001:db8::1")
    other = Target(service="b", address="2001:db8::2")
    assert list(whom_not_asked(probes, [six, four, other])) == [
        "1 of 4 vantage points have no working IPv4 and were not asked about 192.0.2.1",
        "2 of 4 vantage points have no working IPv6 and were not asked about 2001:db8::1, 2001:db8::2",
    ]
    assert list(whom_not_asked(probes[1:2], [four, six])) == []


def at(number: int, latitude: float, longitude: float, **more: Any) -> Probe:
    return probe(number) | {"geometry": {"type": "Point", "coordinates": [longitude, latitude]}} | more


def picked(probes: Sequence[Probe], families: set[int] | None = None, **wanted: Any) -> list[int]:
    return [one["id"] for one in pick(probes, VantagePoints(**wanted), families or {4}, seed=1).probes]


def test_an_area_of_ripe_atlas_is_a_part_of_the_globe(bench: Bench) -> None:
    probes = [at(1, 52.4, 4.9), at(2, -26.2, 28.0), at(3, 1.3, 103.8), at(4, 40.7, -74.0), at(5, 35.7, 139.7)]
    nowhere = probe(6) | {"geometry": None}
    for area, number in [("North-Central", 1), ("South-Central", 2), ("South-East", 3), ("West", 4), ("North-East", 5)]:
        assert chosen(bench, [*probes, nowhere], area=area) == [number]
    assert chosen(bench, [*probes, nowhere]) == [1, 2, 3, 4, 5, 6]


def test_of_an_area_the_api_is_asked_for_its_edges_alone(bench: Bench) -> None:
    with bench.atlas(api([at(1, 52.4, 4.9), at(2, 40.7, -74.0)])) as (atlas, server):
        choose(atlas, VantagePoints(area="West"), {4}, seed=1)
        choose(atlas, VantagePoints(area="North-Central"), {4}, seed=1)
        edges = [{k: v for k, v in one.params.items() if "itude" in k} for one in server.requests]
    assert edges == [
        {"longitude__lt": "-25.0"},
        {"longitude__gte": "-25.0", "longitude__lt": "60.0", "latitude__gte": "36.0"},
    ]


def test_a_region_is_its_countries(bench: Bench) -> None:
    probes = [probe(number, country=code) for number, code in enumerate(("NL", "NO", "GB", "TT", "US", "JP"), start=1)]
    assert chosen(bench, probes, regions=("eu27",)) == [1]
    assert chosen(bench, probes, regions=("northern_europe",)) == [2, 3]
    assert chosen(bench, probes, regions=("ripencc", "lacnic")) == [1, 2, 3, 4]
    assert chosen(bench, probes, regions=("lacnic",), countries=("JP",)) == [4, 6]


def test_a_prefix_holds_probes_by_their_address_or_their_own_prefix(bench: Bench) -> None:
    networks: dict[str, Any] = {"address_v4": None, "prefix_v4": None, "address_v6": None, "prefix_v6": None}
    probes = [
        probe(1) | networks | {"prefix_v4": "193.0.0.0/21"},
        probe(2) | networks | {"address_v4": "193.0.6.9", "prefix_v4": "193.0.0.0/16"},
        probe(3) | networks | {"prefix_v4": "193.0.0.0/16"},
        probe(4) | networks | {"prefix_v6": "2001:67c:2e8::/48"},
        probe(5) | networks,
    ]
    assert chosen(bench, probes, prefixes=("193.0.0.0/21",)) == [1, 2]
    assert chosen(bench, probes, prefixes=("2001:67c::/32",)) == [4]
    assert chosen(bench, probes, prefixes=("193.0.0.0/16", "2001:67c::/32")) == [1, 2, 3, 4]


def test_the_probes_of_other_measurements_are_a_source(bench: Bench) -> None:
    probes = [probe(number) for number in range(1, 7)]
    assert chosen(bench, probes, measurements=(1_000_001,)) == [1, 2, 3]
    assert chosen(bench, probes, measurements=(1_000_001, 1_000_002)) == [1, 2, 3, 4]
    assert chosen(bench, probes, measurements=(1_000_002,), ids=(6,)) == [3, 4, 6]
    assert len(chosen(bench, probes, measurements=(1_000_001, 1_000_002), count=2)) == 2


@pytest.mark.parametrize(
    ("number", "said"), [(404, "there is no measurement 404"), (10301, "does not tell the probes of measurement 10301")]
)
def test_a_measurement_that_tells_no_probes_is_named(bench: Bench, number: int, said: str) -> None:
    with bench.atlas(api([probe(1)])) as (atlas, _), pytest.raises(UnknownName, match=said):
        choose(atlas, VantagePoints(measurements=(number,)), {4}, seed=1)


def test_anchors_are_in_or_out_or_alone(bench: Bench) -> None:
    probes = [probe(1), probe(2) | {"is_anchor": True}, probe(3)]
    assert chosen(bench, probes) == [1, 2, 3]
    assert chosen(bench, probes, anchors=Anchors.OUT) == [1, 3]
    assert chosen(bench, probes, anchors=Anchors.ONLY) == [2]


def test_unstable_probes_are_left_out_by_the_families_they_are_asked_in(bench: Bench) -> None:
    stable_4, stable_6 = "system-ipv4-stable-30d", "system-ipv6-stable-90d"
    probes = [
        probe(1, tags=[V4, "system-ipv4-stable-1d"]),
        probe(2, tags=[V4, stable_4]),
        probe(3, tags=[V4, V6, stable_4]),
        probe(4, tags=[V4, V6, stable_4, stable_6]),
    ]
    assert chosen(bench, probes, {4}, unstable=False) == [2, 3, 4]
    assert chosen(bench, probes, {4, 6}, unstable=False) == [2, 4]


def test_every_family_takes_those_that_work_in_all_of_them(bench: Bench) -> None:
    probes = [probe(1, tags=[V4]), probe(2, tags=[V6]), probe(3, tags=[V4, V6])]
    assert chosen(bench, probes, {4, 6}) == [1, 2, 3]
    assert chosen(bench, probes, {4, 6}, every_family=True) == [3]
    assert chosen(bench, probes, {4}, every_family=True) == [1, 3]


def test_those_to_leave_out_are_not_asked_even_if_named(bench: Bench) -> None:
    probes = [probe(number) for number in range(1, 6)]
    with bench.atlas(api(probes)) as (atlas, _):
        wanted = VantagePoints(countries=("NL",), ids=(1, 2), leave_out=LeaveOut(ids=(2, 3)))
        assert [one["id"] for one in choose(atlas, wanted, {4}, seed=1)] == [1, 4, 5]
        assert atlas.warnings == [
            "1 of the probes named are left out (not connected, or the campaign's conditions do not allow them): 2",
            "left out, as `leave_out` says: 1 that would fit",
            "only 3 connected probes fit the campaign, which wants 50",
        ]


def test_what_the_api_ignores_of_the_filters_is_tested_here(bench: Bench) -> None:
    probes = [
        probe(1),
        probe(2, country="DE"),
        probe(3) | {"is_public": False},
        probe(4) | {"status": {"id": 2, "name": "Disconnected"}},
        probe(5, tags=[]),
    ]

    def careless(request: Request) -> Answer:
        return ok({"count": len(probes), "next": None, "results": probes})

    with bench.atlas(careless) as (atlas, _):
        assert [one["id"] for one in choose(atlas, VantagePoints(countries=("NL",)), {4}, seed=1)] == [1]


def test_a_choice_is_the_same_in_whatever_order_the_probes_come() -> None:
    probes = [at(number, number % 60, number * 7 % 180, asn_v4=number % 40) for number in range(1, 301)]
    strata: dict[str, Any] = {"count": 30, "most_per_asn": 1, "most_per_country": 40, "spread": True}
    assert picked(probes, **strata) == picked(probes[::-1] + probes[:7], **strata)
    assert picked(probes, count=30) == picked(probes[::-1], count=30)


def test_too_few_for_all_strata_are_told_with_the_reason() -> None:
    probes = [probe(number) | {"asn_v4": number % 3} for number in range(1, 31)]
    choice = pick(probes, VantagePoints(count=20, most_per_asn=2, most_per_country=10), {4}, seed=1)
    assert len(choice.probes) == 6
    assert choice.remarks == [
        "only 6 connected probes are asked, not 20: 30 fit the campaign, but it allows at most 2 of an AS and 10 of a "
        "country"
    ]


def test_of_an_as_there_are_no_more_than_allowed_in_each_family() -> None:
    both = [probe(number, tags=[V4, V6]) | {"asn_v4": number, "asn_v6": 9} for number in range(1, 6)]
    four = [probe(number, tags=[V4]) | {"asn_v4": 7, "asn_v6": 9} for number in range(6, 11)]
    ids = picked([*both, *four], {4, 6}, most_per_asn=1)
    # All of `both` share one AS in IPv6, all of `four` another one in IPv4.
    assert [sum(number in range(1, 6) for number in ids), sum(number in range(6, 11) for number in ids)] == [1, 1]
    assert len(picked([*both, *four], {4}, most_per_asn=1)) == 6


def test_those_of_an_unknown_as_or_country_count_as_of_one() -> None:
    probes = [probe(number) | {"asn_v4": None, "country_code": None if number % 2 else ""} for number in range(1, 9)]
    assert len(picked(probes, most_per_asn=3)) == 3
    assert len(picked(probes, most_per_country=2)) == 2


def test_those_named_by_id_count_in_the_strata_too() -> None:
    probes = [probe(number) | {"asn_v4": 1 if number < 5 else number} for number in range(1, 9)]
    ids = picked(probes, most_per_asn=2, ids=(1, 2, 3), countries=("NL",))
    assert len({1, 2, 3} & {*ids}) == 2
    assert 4 not in ids
    assert {5, 6, 7, 8} < {*ids}


def same(*, v4: Sequence[int] = (), v6: Sequence[int] = ()) -> VantagePoints:
    return VantagePoints(same_as="results/x/before", asked=Asked(v4=tuple(v4), v6=tuple(v6)))


def test_the_same_as_a_run_are_all_that_it_asked_connected_or_not(bench: Bench) -> None:
    probes = [probe(1), probe(2) | {"status": {"id": 2, "name": "Disconnected"}, "tags": []}, probe(3), probe(9)]
    with bench.atlas(api(probes)) as (atlas, _):
        found = choose(atlas, same(v4=(1, 2, 3, 4), v6=(3,)), {4, 6}, seed=1)
        assert [one["id"] for one in found] == [1, 2, 3, 4]
        assert atlas.warnings == [
            "2 of the 4 vantage points of results/x/before are not connected today, and are asked all the same: 2, 4"
        ]
    assert asked(found, 4, same(v4=(1, 2, 3, 4), v6=(3,))) == [1, 2, 3, 4]
    assert asked(found, 6, same(v4=(1, 2, 3, 4), v6=(3,))) == [3]


def test_a_family_that_the_run_did_not_ask_is_asked_where_it_works() -> None:
    probes = [probe(1, tags=[V4, V6]), probe(2)]
    assert asked(probes, 6, same(v4=(1, 2))) == [1]
    assert asked(probes, 4, VantagePoints()) == [1, 2]


def test_whom_a_run_asked_has_to_be_known_before_it_is_asked_again(bench: Bench) -> None:
    with bench.atlas([]) as (atlas, _), pytest.raises(ValueError, match="looked up before"):
        choose(atlas, VantagePoints(same_as="before"), {4}, seed=1)


def test_whom_the_run_did_not_ask_over_a_family_is_told() -> None:
    targets = [Target(service="a", address="192.0.2.1"), Target(service="a", address="2001:db8::1")]
    wanted = same(v4=(1, 2), v6=(2,))
    assert list(whom_not_asked([probe(1), probe(2)], targets, wanted)) == [
        "1 of 2 vantage points were not asked over IPv6 before and were not asked about 2001:db8::1"
    ]


def test_what_the_api_says_wrongly_of_a_probe_is_taken_as_not_known() -> None:
    odd: list[Any] = [None, [], {}, "x", 1e400, -5, True]
    keys = ("asn_v4", "asn_v6", "country_code", "geometry", "prefix_v4", "address_v6", "is_anchor", "status")
    probes = [probe(number) | dict.fromkeys(keys, value) for number, value in enumerate(odd, start=1)]
    probes += [probe(9) | {"geometry": {"coordinates": [value, 5.0]}} for value in ("4", None, 1e400)]
    wanted: dict[str, Any] = {"asns": (64501,), "countries": ("NL",), "prefixes": ("192.0.2.0/24",)}
    strata: dict[str, Any] = {"most_per_asn": 1, "most_per_country": 1, "spread": True}
    assert picked(probes, **wanted, **strata) == [9]
    assert picked(probes, area="West") == []
    assert len(picked(probes, most_per_asn=9, most_per_country=9, spread=True)) > 1
