from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from catchment.campaign import Change, ChangeName, load_service
from catchment.errors import InvalidFile, UnknownName
from catchment.platforms.sandbox.internet.announcing import announcements
from catchment.platforms.topology.elements import Topology
from catchment.platforms.topology.epochs import Epoch, epochs
from catchment.platforms.topology.hosting import host
from catchment.platforms.topology.world import make_world
from tests.small_internets import site_of, small_internet

SERVICES = Path(__file__).parents[1] / "catchment" / "services"

# Tier 1s 1 and 2 peer. The sites hang on 1 and 2, AS 3 buys from 1, AS 4 from 2, AS 5 from both.
LINKS = "1@FRA-2@FRA 3@FRA>1@FRA 4@FRA>2@FRA 5@FRA>1@FRA 5@FRA>2@FRA"


def world() -> Topology:
    return small_internet(LINKS, site_of("fra", "1@FRA 2@FRA"), site_of("lon", "2@LON", announced=False))


def history(*changes: Change) -> tuple[Epoch, ...]:
    return epochs(world(), changes, seed=1)["example"]


def announced(epoch: Epoch) -> list[tuple[str, int, int]]:
    return [(told.site, told.upstream.asn, told.upstream.prepend) for told in announcements(epoch)]


def test_without_changes_there_is_one_epoch_without_end() -> None:
    (only,) = history()
    assert (only.after_s, only.until_s) == (0, None)
    assert announced(only) == [("fra", 1, 0), ("fra", 2, 0)]


def test_epochs_lie_between_the_times_of_the_changes_whatever_their_order() -> None:
    found = history(
        Change(change=ChangeName.WITHDRAW, site="lon", after_s=60),
        Change(change=ChangeName.ANNOUNCE, site="lon", after_s=30),
    )
    assert [(epoch.after_s, epoch.until_s) for epoch in found] == [(0, 30), (30, 60), (60, None)]
    assert [("lon", 2, 0) in announced(epoch) for epoch in found] == [False, True, False]


def test_changes_at_one_time_make_one_epoch_and_those_at_the_start_none_more() -> None:
    found = history(
        Change(change=ChangeName.ANNOUNCE, site="lon"),
        Change(change=ChangeName.WITHDRAW, site="fra", after_s=9),
        Change(change=ChangeName.PREPEND, site="lon", after_s=9),
    )
    assert [announced(epoch) for epoch in found] == [[("fra", 1, 0), ("fra", 2, 0), ("lon", 2, 0)], [("lon", 2, 3)]]


def test_a_change_before_the_start_has_happened_at_the_start() -> None:
    (only,) = history(Change(change=ChangeName.WITHDRAW, site="fra", after_s=-5))
    assert (only.after_s, announced(only)) == (0, [])


def test_prepending_is_at_all_upstreams_of_the_site_and_replaces_what_was_before() -> None:
    found = history(
        Change(change=ChangeName.PREPEND, site="FRA", prepend=2, after_s=1),
        Change(change=ChangeName.PREPEND, site="fra", prepend=0, after_s=2),
    )
    assert [announced(epoch) for epoch in found[1:]] == [[("fra", 1, 2), ("fra", 2, 2)], [("fra", 1, 0), ("fra", 2, 0)]]


def test_all_sites_may_be_withdrawn() -> None:
    assert announced(history(Change(change=ChangeName.WITHDRAW, site="fra"))[0]) == []


def test_a_hijacker_announces_the_prefix_as_its_own_and_answers_with_a_foreign_identity() -> None:
    (epoch,) = history(Change(change=ChangeName.HIJACK, asn=4))
    assert [told.origin for told in announcements(epoch) if told.site == "as4"] == [4]
    assert epoch.is_hijacked("as4")
    assert not epoch.is_hijacked("fra")
    assert epoch.site("as4").identities == ("ns1.hijacker.example",)


def test_of_a_hijack_with_a_longer_prefix_only_the_false_announcement_is_longer() -> None:
    (epoch,) = history(Change(change=ChangeName.HIJACK, asn=4, more_specific=True))
    assert {told.site: told.more_specific for told in announcements(epoch)} == {"fra": False, "as4": True}


def test_a_change_without_service_is_one_of_the_first_service_that_has_the_site() -> None:
    one = world()
    other = replace(one.services[0], name="other", addresses=("192.0.2.99",), sites=(site_of("tyo", "1@TYO"),))
    topology = replace(one, services=(other, one.services[0]))
    found = epochs(topology, [Change(change=ChangeName.WITHDRAW, site="fra")], seed=1)
    assert announced(found["example"][0]) == []
    assert announced(found["other"][0]) == [("tyo", 1, 0)]


def test_a_change_without_service_is_one_of_those_measured() -> None:
    one = world()
    topology = replace(one, services=(replace(one.services[0], name="other", addresses=("192.0.2.99",)), *one.services))
    found = epochs(topology, [Change(change=ChangeName.WITHDRAW, site="fra")], seed=1, measured=["example"])
    assert [announced(found[name][0]) == [] for name in ("example", "other")] == [True, False]


def test_a_site_that_fails_goes_on_announcing_until_it_is_withdrawn_and_may_recover() -> None:
    found = history(
        Change(change=ChangeName.FAIL, site="FRA", after_s=1),
        Change(change=ChangeName.WITHDRAW, site="fra", after_s=2),
        Change(change=ChangeName.RECOVER, site="fra", after_s=3),
    )
    assert [epoch.failed for epoch in found] == [set(), {"fra"}, {"fra"}, set()]
    assert [announced(epoch) != [] for epoch in found] == [True, True, False, False]


def test_who_leaks_or_hijacks_is_chosen_by_whoever_knows_the_routes() -> None:
    asked = []

    def choose(change: Change, epoch: Epoch) -> int:
        asked.append((change.change, epoch.after_s, epoch.leakers))
        return 3 + len(asked)

    changes = [Change(change=ChangeName.LEAK, after_s=5), Change(change=ChangeName.HIJACK, after_s=9)]
    past = epochs(world(), changes, seed=1, choose=choose)["example"]
    assert asked == [(ChangeName.LEAK, 0, frozenset()), (ChangeName.HIJACK, 5, {4})]
    assert [epoch.leakers for epoch in past] == [set(), {4}, {4}]
    assert [hijack.asn for hijack in past[-1].hijacks] == [5]


def test_a_leak_that_names_no_service_leaks_the_routes_of_all() -> None:
    one = world()
    topology = replace(one, services=(replace(one.services[0], name="other", addresses=("192.0.2.99",)), *one.services))
    found = epochs(topology, [Change(change=ChangeName.LEAK, asn=5)], seed=1)
    assert [found[name][0].leakers for name in ("example", "other")] == [{5}, {5}]


def test_a_new_site_is_announced_from_its_time_on_and_may_be_withdrawn_again() -> None:
    changes = [
        Change(change=ChangeName.WITHDRAW, site="vie", after_s=20),
        Change(change=ChangeName.NEW_SITE, site="VIE", after_s=10),
    ]
    topology = host(make_world(1), load_service(SERVICES / "b-root.toml"))
    found = epochs(topology, changes, seed=1)["b-root"]
    assert ["vie" in {told.site for told in announcements(epoch)} for epoch in found] == [False, True, False]
    assert abs(found[1].site("vie").latitude - 48.1) < 0.2


def test_a_second_new_site_in_the_same_town_is_refused() -> None:
    topology = host(make_world(1), load_service(SERVICES / "b-root.toml"))
    changes = [Change(change=ChangeName.NEW_SITE, site=site, after_s=10) for site in ("lhr", "lcy")]
    with pytest.raises(InvalidFile, match="'b-root' has a site in London already: 'lhr': announce that one"):
        epochs(topology, changes, seed=1)


def test_a_new_site_cannot_be_withdrawn_before_it_is_there() -> None:
    with pytest.raises(UnknownName, match="no site 'tyo' then"):
        history(
            Change(change=ChangeName.WITHDRAW, site="tyo"), Change(change=ChangeName.NEW_SITE, site="tyo", after_s=9)
        )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (Change(change=ChangeName.WITHDRAW, site="fro"), "no site 'fro' then: did you mean 'fra'?"),
        (Change(change=ChangeName.RECOVER, site="lom"), "no site 'lom' then: did you mean 'lon'?"),
        (Change(change=ChangeName.HIJACK, asn=64500), "AS 64500 is a service's own: name one of 1, 2, 3, 4, 5"),
        (Change(change=ChangeName.LEAK, asn=64500), "AS 64500 is a service's own: name one of 1, 2, 3, 4, 5"),
        (Change(change=ChangeName.WITHDRAW, site="fra", service="exmaple"), "did you mean 'example'?"),
        (Change(change=ChangeName.LEAK, asn=55), "no AS 55: did you mean '5'?"),
        (Change(change=ChangeName.HIJACK, asn=999), "no AS 999: there are 1, 2, 3, 4, 5"),
        (Change(change=ChangeName.NEW_SITE, site="qqq"), "qqq"),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(change: Change, complaint: str) -> None:
    with pytest.raises(UnknownName) as error:
        history(change)
    assert complaint in str(error.value).lower().replace("as ", "AS ")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (Change(change=ChangeName.WITHDRAW), "names no site: add `site`"),
        (Change(change=ChangeName.FAIL), "names no site: add `site`"),
        (Change(change=ChangeName.LEAK), "'leak' names no network: add `asn`, the AS number of who leaks"),
        (Change(change=ChangeName.HIJACK), "'hijack' names no network: add `asn`, the AS number of who hijacks"),
        (Change(change=ChangeName.NEW_SITE, site="fra"), "has a site 'fra' already"),
    ],
)
def test_a_change_that_cannot_be_is_an_error_that_says_what_to_do(change: Change, complaint: str) -> None:
    with pytest.raises(InvalidFile, match=complaint):
        history(change)
