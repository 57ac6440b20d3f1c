from __future__ import annotations

from functools import partial

import pytest

from catchment.campaign import Change, ChangeName
from catchment.errors import UnknownName
from catchment.platforms.sandbox.internet.announcing import announcements, choose_culprit
from catchment.platforms.sandbox.internet.routing import routes
from catchment.platforms.topology.elements import Topology
from catchment.platforms.topology.epochs import Epoch, epochs
from tests.small_internets import site_of, small_internet, vantage_point

# Tier 1s 1 and 2 peer. The sites hang on 1 and 2, AS 3 buys from 1, AS 4 from 2, AS 5 from both.
LINKS = "1@FRA-2@FRA 3@FRA>1@FRA 4@FRA>2@FRA 5@FRA>1@FRA 5@FRA>2@FRA"


def history(*changes: Change, topology: Topology, seed: int = 1) -> tuple[Epoch, ...]:
    return epochs(topology, changes, seed=seed, choose=partial(choose_culprit, topology, seed=seed))["example"]


def test_the_leaker_that_is_chosen_has_two_providers_and_really_changes_a_way() -> None:
    # Only AS 5 has two providers. With the site behind AS 1 alone, AS 2 and its customer 4 prefer the way over 5.
    topology = small_internet(LINKS, site_of("fra", "1@FRA"), vantage_points=(vantage_point(1, "4@FRA"),))
    before, after = history(Change(change=ChangeName.LEAK, after_s=5), topology=topology)
    assert (before.leakers, after.leakers) == (frozenset(), frozenset({5}))
    ways = [routes(topology, announcements(epoch), epoch.leakers, af=4).path(4, "FRA") for epoch in (before, after)]
    assert ways[0] != ways[1]


def test_who_would_move_nobody_is_not_chosen() -> None:
    # AS 8 and 9 also have two providers, but both hold the site themselves.
    links = f"{LINKS} 1@FRA-6@FRA 2@FRA-6@FRA 8@FRA>1@FRA 8@FRA>6@FRA 9@FRA>1@FRA 9@FRA>6@FRA"
    for seed in range(10):
        topology = small_internet(links, site_of("fra", "1@FRA 6@FRA"))
        assert history(Change(change=ChangeName.LEAK), topology=topology, seed=seed)[0].leakers == {5}


def test_a_leak_that_matters_for_one_family_only_is_found() -> None:
    # Over IPv4 AS 1 and 2 both have the site themselves; over IPv6 2 has not, and prefers what its customer 5 leaks.
    topology = small_internet(LINKS, site_of("fra", "1@FRA 2@FRA/4"), vantage_points=(vantage_point(1, "4@FRA"),))
    assert history(Change(change=ChangeName.LEAK), topology=topology)[0].leakers == {5}


def test_where_no_leak_matters_one_must_be_named() -> None:
    # AS 1 and 2 have the site from itself: nothing that AS 5 says is better.
    with pytest.raises(UnknownName, match="found no network whose leak matters"):
        history(Change(change=ChangeName.LEAK), topology=small_internet(LINKS, site_of("fra", "1@FRA 2@FRA")))


def test_the_hijacker_that_is_chosen_is_the_same_for_the_same_seed_and_catches_somebody_else() -> None:
    links = " ".join(f"{asn}@FRA>{asn % 3 + 1}@FRA {asn + 20}@FRA>{asn}@FRA" for asn in range(10, 30))
    topology = small_internet(f"1@FRA-2@FRA 2@FRA-3@FRA 1@FRA-3@FRA {links}", site_of("fra", "1@FRA"))
    chosen = {
        seed: history(Change(change=ChangeName.HIJACK), topology=topology, seed=seed)[0].hijacks[0].asn
        for seed in (1, 1, 2, 3, 4, 5)
    }
    again = {
        seed: history(Change(change=ChangeName.HIJACK), topology=topology, seed=seed)[0].hijacks[0].asn
        for seed in chosen
    }
    assert chosen == again
    assert len(set(chosen.values())) > 1
