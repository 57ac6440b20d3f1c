from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catchment.geo import arc_km
from catchment.platforms.atlas.selecting.drawing import Quota, draw
from catchment.platforms.atlas.selecting.probes import Probe, place

AMSTERDAM, SYDNEY, SAO_PAULO, NAIROBI = (52.4, 4.9), (-33.9, 151.2), (-23.5, -46.6), (-1.3, 36.8)


def at(number: int, where: tuple[float, float] | None, asn: int = 0) -> Probe:
    geometry = None if where is None else {"type": "Point", "coordinates": [where[1], where[0]]}
    return {"id": number, "geometry": geometry, "asn_v4": asn}


def most(number: int) -> Quota:
    return Quota(number, lambda probe: [probe["asn_v4"]])


def ids(probes: Sequence[Probe]) -> list[int]:
    return [probe["id"] for probe in probes]


def like_ripe_atlas(number: int, seed: int = 7) -> list[Probe]:
    """Return probes of which six of seven are in Europe, the others all over the world."""
    dice = random.Random(seed)  # noqa: S311  (not for keys)
    europe = [(dice.uniform(43, 60), dice.uniform(-5, 25)) for _ in range(number * 6 // 7)]
    world = [(math.degrees(math.asin(dice.uniform(-0.8, 0.95))), dice.uniform(-180, 180)) for _ in range(number // 7)]
    return [at(one, where, dice.randrange(number // 4)) for one, where in enumerate([*europe, *world], start=1)]


def nearest_km(probes: Sequence[Probe]) -> list[float]:
    places = [place(probe) or (0.0, 0.0) for probe in probes]
    return [min(arc_km(*here, *there) for there in places if there is not here) for here in places]


def test_without_more_it_is_those_of_the_least_hash_of_seed_and_id() -> None:
    probes = [at(number, None) for number in range(1, 101)]
    ranked = sorted(range(1, 101), key=lambda number: hashlib.sha256(f"42 {number}".encode()).digest())
    assert ids(draw(probes, 12, seed=42)) == ranked[:12]


def test_none_and_more_than_there_are_can_be_drawn() -> None:
    probes = [at(number, AMSTERDAM) for number in range(1, 6)]
    for spread in (False, True):
        assert draw(probes, 0, seed=1, spread=spread) == []
        assert draw(probes, -3, seed=1, spread=spread) == []
        assert sorted(ids(draw(probes, 9, seed=1, spread=spread))) == [1, 2, 3, 4, 5]


def test_of_each_kind_there_are_as_many_as_the_quota_and_all_quotas_count() -> None:
    probes = [at(number, None, asn=number % 5) for number in range(1, 101)]
    of_asn = Counter(probe["asn_v4"] for probe in draw(probes, 100, seed=1, quotas=[most(3)]))
    assert of_asn == dict.fromkeys(range(5), 3)
    odd = Quota(4, lambda probe: ["odd"] if probe["id"] % 2 else [])
    found = draw(probes, 100, seed=1, quotas=[most(3), odd])
    assert sum(number % 2 for number in ids(found)) == 4
    assert max(Counter(probe["asn_v4"] for probe in found).values()) <= 3


def test_a_quota_that_is_partly_used_up_leaves_the_rest() -> None:
    probes = [at(number, None, asn=1) for number in range(1, 10)]
    quota = most(3)
    quota.take(at(99, None, asn=1))
    assert len(draw(probes, 9, seed=1, quotas=[quota])) == 2


def test_spread_takes_the_lonely_ones_beside_a_crowd() -> None:
    lonely = [at(1001, SYDNEY), at(1002, SAO_PAULO), at(1003, NAIROBI)]
    crowd = [at(number, (52.4 + number / 1000, 4.9)) for number in range(1, 201)]
    found = set(ids(draw([*crowd, *lonely], 4, seed=1, spread=True)))
    assert {1001, 1002, 1003} < found


def test_spread_fills_the_map_more_evenly_than_chance() -> None:
    probes = like_ripe_atlas(1400)
    evenly, by_chance = (draw(probes, 60, seed=3, spread=spread) for spread in (True, False))
    # Sixty on the land and sea of the whole world would be some 3,000 km apart.
    assert min(nearest_km(evenly)) > 10 * min(nearest_km(by_chance))
    assert sum(probe["id"] <= 1200 for probe in evenly) < 10
    assert sum(probe["id"] <= 1200 for probe in by_chance) > 40


def test_spread_keeps_away_from_those_who_are_taken_already() -> None:
    near = [at(number, (52.0 + number / 100, 5.0)) for number in range(1, 20)]
    assert ids(draw([*near, at(99, SYDNEY)], 1, seed=1, spread=True, beside=[at(500, AMSTERDAM)])) == [99]
    assert 99 not in ids(draw([*near, at(99, SYDNEY)], 3, seed=1, spread=True, beside=[at(500, SYDNEY)]))[:1]


def test_who_is_on_no_map_comes_last() -> None:
    probes = [*(at(number, None) for number in range(1, 50)), *(at(number, AMSTERDAM) for number in range(50, 60))]
    found = ids(draw(probes, 12, seed=1, spread=True))
    assert set(range(50, 60)) < set(found)
    assert len(found) == 12


def test_who_was_not_drawn_can_go_without_any_change() -> None:
    probes = like_ripe_atlas(350)
    for spread in (False, True):
        found = draw(probes, 40, seed=5, quotas=[most(2)], spread=spread)
        kept = [probe for probe in probes if probe["id"] in ids(found) or probe["id"] % 3]
        assert draw(kept, 40, seed=5, quotas=[most(2)], spread=spread) == found


def test_who_goes_moves_few_others() -> None:
    probes = like_ripe_atlas(700)
    before = set(ids(draw(probes, 80, seed=5, quotas=[most(2)], spread=True)))
    moved = []
    for gone in sorted(before)[::4]:
        rest = [probe for probe in probes if probe["id"] != gone]
        moved.append(len(before - {*ids(draw(rest, 80, seed=5, quotas=[most(2)], spread=True))} - {gone}))
    assert sum(moved) / len(moved) < 3
    assert max(moved) < 20


PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.none() | PLACES, st.integers(1, 5)), max_size=40),
    st.integers(0, 45),
    st.integers(1, 4),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_a_draw_keeps_its_number_its_quotas_and_no_order(
    given_probes: list[tuple[tuple[float, float] | None, int]],
    number: int,
    allowed: int,
    spread: bool,
    dice: random.Random,
) -> None:
    probes = [at(one, where, asn) for one, (where, asn) in enumerate(given_probes, start=1)]
    found = draw(probes, number, seed=9, quotas=[most(allowed)], spread=spread)
    possible = sum(min(allowed, count) for count in Counter(probe["asn_v4"] for probe in probes).values())
    assert len(found) == len(set(ids(found))) == min(number, possible)
    assert all(count <= allowed for count in Counter(probe["asn_v4"] for probe in found).values())
    dice.shuffle(probes)
    assert draw(probes, number, seed=9, quotas=[most(allowed)], spread=spread) == found


@pytest.mark.parametrize("spread", [False, True])
def test_another_seed_draws_others(spread: bool) -> None:
    probes = like_ripe_atlas(350)
    assert ids(draw(probes, 20, seed=1, spread=spread)) != ids(draw(probes, 20, seed=2, spread=spread))
