"""What of a topology a lab cannot play, and what it says to that."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from catchment.campaign import Change, ChangeName
from catchment.errors import InvalidFile
from catchment.platforms.lab.wiring import blueprint, check_lab
from catchment.platforms.topology.elements import (
    AnycastService,
    Interception,
    Interceptor,
    TieBreak,
    Topology,
    Trouble,
)
from catchment.platforms.topology.epochs import epochs
from tests.small_internets import links_of, site_of, small_internet, vantage_point

FRA = site_of("fra", "1@FRA")
PLAIN = small_internet(
    "1@FRA>3@LON=2", FRA, tie_break=TieBreak.LOWEST_ID, vantage_points=(vantage_point(7, "1@FRA", ipv6=True),)
)


def with_site(topology: Topology, **more: Any) -> Topology:
    """Give the only site of the service other values."""
    service = topology.services[0]
    return replace(topology, services=(replace(service, sites=(replace(service.sites[0], **more),)),))


def second_service(*addresses: str) -> AnycastService:
    return AnycastService(name="other", asn=64600, addresses=addresses, answers=("id.server",), sites=(FRA,))


def test_what_a_lab_can_play_is_accepted() -> None:
    check_lab(replace(PLAIN, services=(*PLAIN.services, second_service("198.51.100.53", "2001:db8:54::53"))))


@pytest.mark.parametrize(
    ("topology", "words"),
    [
        (replace(PLAIN, tie_break=TieBreak.NEAREST_EXIT), 'set tie_break = "lowest-id"'),
        (small_internet("1@FRA>3@LON 1@NYC>2@NYC", FRA, tie_break=TieBreak.LOWEST_ID), "AS 1 has 2 places"),
        (with_site(PLAIN, identities=('say "hi"',)), "NSD cannot answer"),
        (with_site(PLAIN, identities=("x" * 256,)), "NSD cannot answer"),
        (with_site(PLAIN, upstreams=(replace(FRA.upstreams[0], prepend=101),)), "prepends 101 times"),
        (with_site(PLAIN, upstreams=(replace(FRA.upstreams[0], delay_ms=1001.0),)), "1000 is the most"),
        (replace(PLAIN, links=links_of("1@FRA>3@LON=5000")), "1000 is the most"),
        (replace(PLAIN, vantage_points=(vantage_point(7, "1@FRA", last_mile_ms=math.nan),)), "takes nan ms"),
        (replace(PLAIN, services=(*PLAIN.services, second_service("192.0.2.54"))), "both in 192.0.2.0/24"),
        (replace(PLAIN, services=(*PLAIN.services, second_service("2001:db8:53:1::1"))), "both in 2001:db8:53::/48"),
        (replace(PLAIN, services=(second_service("127.0.0.53"),)), "no host can have"),
        (replace(PLAIN, services=(second_service("ff02::1"),)), "no host can have"),
        (replace(PLAIN, services=(second_service("100.64.3.4"),)), "the lab's own"),
        (replace(PLAIN, services=(second_service("198.19.255.1"),)), "the lab's own"),
        (replace(PLAIN, services=(second_service("3fff:fff::53"),)), "the lab's own"),
        (
            replace(PLAIN, vantage_points=(vantage_point(7, "1@FRA", trouble=Trouble.FLAPPING, second_asn=2),)),
            "'flapping'",
        ),
        (replace(PLAIN, vantage_points=(vantage_point(7, "1@FRA", connected=False),)), "not connected"),
        (replace(PLAIN, vantage_points=(vantage_point(10**15, "1@FRA"),)), "too many digits"),
        (replace(PLAIN, vantage_points=tuple(vantage_point(at, "1@FRA") for at in range(2001))), "2001 vantage points"),
        (replace(PLAIN, interceptors=(Interceptor(answer=Interception.EMPTY, vantage_points=(7,)),)), "interceptors"),
        (replace(PLAIN, services=(replace(PLAIN.services[0], asn=2**32),)), "BGP has no AS 4294967296"),
    ],
)
def test_what_a_lab_cannot_play_is_refused_in_one_line(topology: Topology, words: str) -> None:
    with pytest.raises(InvalidFile, match=r"\A[^\n]*\Z") as refused:
        check_lab(topology)
    assert words in str(refused.value)


def test_a_service_may_have_two_addresses_in_one_prefix() -> None:
    check_lab(replace(PLAIN, services=(second_service("198.51.100.1", "198.51.100.2"),)))


def test_a_change_that_a_lab_cannot_play_is_refused_as_well() -> None:
    changes = [Change(change=ChangeName.PREPEND, site="fra", prepend=500)]
    with pytest.raises(InvalidFile, match="prepends 500 times"):
        blueprint(PLAIN, {name: past[-1] for name, past in epochs(PLAIN, changes, seed=1).items()})
