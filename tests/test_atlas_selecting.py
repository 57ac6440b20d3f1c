from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from catchment.campaign import VantagePoints
from catchment.errors import PlatformFailed, UnknownName
from catchment.model import Target
from catchment.platforms.atlas.selecting import Probe, choose, describe, whom_not_asked, works
from tests.atlas_server import Answer, Bench, Request, Script, ok, probe

V4, V6 = "system-ipv4-works", "system-ipv6-works"


def api(probes: Sequence[Probe]) -> Script:
    """Answer as the API does: filter by what is asked, one page after the other."""

    def answer(request: Request) -> Answer:
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
        assert atlas.warnings == ["2 of the probes named are left out (not connected, or tags do not fit): 2, 3"]


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
        ({"area": "North-Central"}, "there is no area 'North-Central'"),
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
