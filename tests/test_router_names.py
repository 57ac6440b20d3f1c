"""Reverse names of the sandbox's routers."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import replace

import pytest

from catchment.platforms.sandbox.internet.addresses import Routers
from catchment.platforms.sandbox.internet.router_names import RouterNames
from catchment.platforms.topology import make_world
from catchment.platforms.topology.elements import Network, Place, Topology
from tests.small_internets import PLACES

WORLD = make_world(1, vantage_points=0)


def named(topology: Topology, *, seed: int = 1) -> dict[tuple[int, str], str | None]:
    names, routers = RouterNames(topology, seed=seed), Routers(topology)
    return {
        (network.asn, place): names.name(routers.address(network.asn, place, 4))
        for network in topology.networks
        for place in network.places
    }


def test_the_same_seed_gives_the_same_names_and_another_seed_others() -> None:
    assert named(WORLD) == named(WORLD)
    assert named(WORLD) != named(WORLD, seed=2)


def test_both_addresses_of_a_router_have_one_name() -> None:
    names, routers = RouterNames(WORLD, seed=1), Routers(WORLD)
    for network in WORLD.networks[:50]:
        place = network.places[0]
        assert names.name(routers.address(network.asn, place, 6)) == names.name(routers.address(network.asn, place, 4))


def test_a_network_names_all_its_routers_in_its_own_domain_or_none() -> None:
    found = named(WORLD)
    for network in WORLD.networks:
        names = [found[network.asn, place] for place in network.places]
        assert names.count(None) in (0, len(names))
        assert all(name.endswith(f".as{network.asn}.example") for name in names if name is not None)


def test_about_a_fifth_of_the_networks_names_no_routers() -> None:
    found = named(WORLD)
    silent = sum(found[network.asn, network.places[0]] is None for network in WORLD.networks)
    assert 0.14 < silent / len(WORLD.networks) < 0.26


def test_names_are_host_names() -> None:
    for name in filter(None, named(WORLD).values()):
        assert re.fullmatch(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+example", name)


def test_nearly_every_name_holds_its_own_town_and_a_few_another_of_the_network() -> None:
    towns = {place.code: place for place in WORLD.places}
    found = Counter[str]()
    for (asn, place), name in named(WORLD).items():
        if name is not None:
            others = next(network.places for network in WORLD.networks if network.asn == asn)
            own, wrong = holds(name, towns[place]), any(holds(name, towns[other]) for other in others if other != place)
            found["own" if own else "another" if wrong else "none"] += 1
    assert found["none"] == 0
    assert 0.005 < found["another"] / found.total() < 0.04


def holds(name: str, town: Place) -> bool:
    """Tell whether a name holds the code of a town, or how it begins to be written; CLLI leaves the vowels out."""
    letters = re.sub(r"[^a-z]", "", unicodedata.normalize("NFKD", town.town).lower())
    short = letters[:1] + re.sub(r"[aeiou]", "", letters[1:])
    host = name.rsplit(".as", maxsplit=1)[0]
    return any(
        re.search(rf"(?<![a-z]){re.escape(form)}", host)
        for form in (town.code.lower(), town.country.lower() + town.code.lower(), letters[:4], short[:3])
    )


def test_a_town_of_any_spelling_makes_a_host_name() -> None:
    odd = Place(code="FRA", town="S\u00e3o <b>\u6771\u4eac\x1b", country="DE", latitude=0, longitude=0)
    towns = tuple(replace(place, town=odd.town) for place in PLACES.values())
    networks = tuple(Network(asn=asn, name="N", places=tuple(PLACES)) for asn in range(64500, 64560))
    for name in filter(None, named(Topology(name="odd", places=towns, networks=networks)).values()):
        assert re.fullmatch(r"[a-z0-9.-]+", name)


@pytest.mark.parametrize("address", ["192.168.1.1", "192.0.2.53", "100.127.255.254", "8.8.8.8", "nobody", ""])
def test_an_address_of_no_router_has_no_name(address: str) -> None:
    assert RouterNames(WORLD, seed=1).name(address) is None
