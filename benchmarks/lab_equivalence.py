"""Hold the sandbox's routes against BIRD's: which site each vantage point reaches, and by way of which networks.

    python -m benchmarks.lab_equivalence [SEED …]

Each seed is an Internet of 8 to 20 networks that both can play, with one or two services that are changed several
times. It is played as a lab, in network namespaces of this machine; before and after each change, the routes of every
vantage point are read from the routers and compared with those of the simulation. Prints every difference.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import combinations, product

from benchmarks.bgp_outcomes import Outcome, outcome
from catchment.campaign import Change, ChangeName
from catchment.errors import InvalidFile
from catchment.model import AddressFamily
from catchment.platforms.lab.client import open_lab
from catchment.platforms.lab.routes import truth as truth_of_lab
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.sandbox.internet.announcing import announcements
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.sandbox.internet.truth import truth as truth_of_sandbox
from catchment.platforms.topology.elements import (
    AnycastService,
    AnycastSite,
    Link,
    Network,
    Place,
    Relation,
    TieBreak,
    Topology,
    Upstream,
    VantagePoint,
)
from catchment.platforms.topology.epochs import Epoch

Ways = dict[tuple[int, str], tuple[str, tuple[int, ...]] | None]
"""The site and the AS path of each vantage point and address; None: it has no route."""

_TOWNS = (("FRA", 50.0, 8.6), ("NYC", 40.6, -73.8), ("TYO", 35.8, 140.4), ("SAO", -23.4, -46.5))
_PLACES = tuple(
    Place(code=code, town=code, country="ZZ", latitude=latitude, longitude=longitude)
    for code, latitude, longitude in _TOWNS
)
_ADDRESSES = (("192.0.2.53", "2001:db8:53::53"), ("198.51.100.53", "2001:db8:54::53"))
_KINDS = (ChangeName.WITHDRAW, ChangeName.ANNOUNCE, ChangeName.PREPEND, ChangeName.HIJACK, ChangeName.LEAK)
_TRIES = 10
_RUNS = 10
_RELATIONS = (Relation.PROVIDER, Relation.PROVIDER, Relation.PEER)


def main() -> None:
    seeds = [int(word) for word in sys.argv[1:] or ["1", "2", "3"]]
    wrong = 0
    for seed in seeds:
        topology = random_topology(seed)
        changes = random_changes(topology, seed)
        began = time.monotonic()
        found = list(differences(topology, changes, name=f"equivalence-{seed}"))
        size = f"{len(topology.networks)} networks, {len(topology.services)} services"
        print(
            f"seed {seed}: {size}, {len(changes)} changes: {len(found)} differences ({time.monotonic() - began:.1f} s)"
        )
        for line in found:
            print(f"  {line}")
        wrong += len(found)
    sys.exit(wrong > 0)


def differences(topology: Topology, *histories: Sequence[Change], name: str) -> Iterator[str]:
    """Play a topology and each history of changes both ways, and yield a line for each way that is not the same."""
    internets = [Internet(topology, changes=changes) for changes in histories]
    played = blueprint(topology, _present(internets[0], 0.0))
    with open_lab(played, name=name) as lab:
        for internet in internets:
            for after_s, simulated in ways_of_sandbox(internet).items():
                epochs = _present(internet, after_s)
                wanted = blueprint(topology, epochs)
                if wanted != played:
                    lab.apply(wanted)
                    lab.settle()
                    played = wanted
                rows = truth_of_lab(lab.bird, topology, wanted, epochs)
                real = {(row.vantage, row.address): _way(row.site, row.as_path) for row in rows}
                for key in sorted(simulated.keys() | real.keys()):
                    if simulated.get(key) != real.get(key):
                        yield (
                            f"after {after_s:g} s, vantage point {key[0]} to {key[1]}: "
                            f"{simulated.get(key)} in the sandbox, {real.get(key)} in the lab"
                        )


def ways_of_sandbox(internet: Internet) -> dict[float, Ways]:
    """Return the simulated ways at the beginning and after each change, by its time."""
    rows = truth_of_sandbox(internet)
    times = sorted({row.after_s for row in rows})
    return {
        at: {
            (row.vantage, row.address): _way(row.sites[0] if row.sites else None, row.as_path)
            for row in rows
            if row.after_s <= at and (row.until_s is None or at < row.until_s)
        }
        for at in times
    }


def _present(internet: Internet, after_s: float) -> dict[str, Epoch]:
    return {
        name: next(epoch for epoch in reversed(past) if epoch.after_s <= after_s)
        for name, past in internet.epochs.items()
    }


def _way(site: str | None, as_path: Sequence[int]) -> tuple[str, tuple[int, ...]] | None:
    return None if site is None else (site, tuple(as_path))


def random_topology(seed: int) -> Topology:
    """Return an Internet whose networks have one place each, and all of them a vantage point."""
    draw = random.Random(f"{seed}/topology")
    asns = draw.sample(range(1, 60_000), draw.randint(8, 20))
    place = {asn: draw.choice(_TOWNS)[0] for asn in asns}
    services = tuple(_service(draw, number, place) for number in range(draw.choice([1, 1, 2])))
    return Topology(
        name=f"equivalence-{seed}",
        tie_break=TieBreak.LOWEST_ID,
        places=_PLACES,
        networks=tuple(Network(asn=asn, name=f"AS {asn}", places=(place[asn],)) for asn in asns),
        links=tuple(_links(draw, asns, place)),
        services=services,
        vantage_points=tuple(
            VantagePoint(
                id=number,
                asn=asn,
                place=place[asn],
                latitude=0.0,
                longitude=0.0,
                country="ZZ",
                last_mile_ms=0.0,
                ipv6=draw.random() < 0.9,
            )
            for number, asn in enumerate(asns, start=1)
        ),
    )


def _links(draw: random.Random, asns: list[int], place: dict[int, str]) -> Iterator[Link]:
    """Yield links without circles of providers; sometimes who is above whom is another matter in each family."""
    families: list[AddressFamily | None] = [None] if draw.random() < 0.7 else [4, 6]
    for only in families:
        order = draw.sample(asns, len(asns))
        tops = draw.randint(1, 3)
        pairs = [(*pair, Relation.PEER) for pair in combinations(order[:tops], 2) if draw.random() < 0.9]
        for number, asn in enumerate(order[tops:], start=tops):
            above = draw.sample(order[:number], min(number, draw.choice([1, 1, 2, 2, 3])))
            pairs += [(asn, provider, Relation.PROVIDER) for provider in above]
        linked = {frozenset(pair[:2]) for pair in pairs}
        pairs += [
            (*pair, Relation.PEER)
            for pair in combinations(order, 2)
            if frozenset(pair) not in linked and draw.random() < 0.12
        ]
        pairs += [pair for pair in pairs if draw.random() < 0.08]  # two cables between the same networks
        for near, far, relation in pairs:
            limited: AddressFamily | None = draw.choice([4, 6]) if draw.random() < 0.15 else None
            yield Link(
                near=near,
                far=far,
                relation=relation,
                near_place=place[near],
                far_place=place[far],
                delay_ms=draw.choice([0.0, 0.5, 1.0, 3.0]),
                af=limited if only is None else only,
            )


def _service(draw: random.Random, number: int, place: dict[int, str]) -> AnycastService:
    asn = next(asn for asn in iter(lambda: draw.randrange(1, 60_000), None) if asn not in place)
    codes = draw.sample(["ams", "ber", "cdg", "dub", "ewr", "fra"], draw.randint(2, 4))
    return AnycastService(
        name=f"service-{number}",
        asn=asn,
        addresses=_ADDRESSES[number],
        answers=("hostname.bind", "nsid"),
        sites=tuple(_site(draw, code, place, is_first=code == codes[0]) for code in codes),
    )


def _site(draw: random.Random, code: str, place: dict[int, str], *, is_first: bool) -> AnycastSite:
    upstreams = tuple(
        Upstream(
            asn=asn,
            relation=draw.choice(_RELATIONS),
            place=place[asn],
            prepend=draw.choice([0, 0, 0, 1, 2]),
            delay_ms=0.5,
            af=draw.choice([4, 6]) if draw.random() < 0.1 else None,
        )
        for asn in draw.sample(sorted(place), draw.choice([1, 1, 2]))
    )
    return AnycastSite(
        code=code,
        place=upstreams[0].place,
        latitude=0.0,
        longitude=0.0,
        identities=(f"ns1.{code}.example.net",),
        upstreams=upstreams,
        local=not is_first and draw.random() < 0.25,
        announced=is_first or draw.random() < 0.85,
    )


def random_changes(topology: Topology, seed: int) -> tuple[Change, ...]:
    """Return a change of each kind, a second apart and in any order; one that moves somebody, if a few tries find it.

    A longer prefix is hijacked last, for it hides the rest. After a leak there is none after which the routes may be
    one thing or another: there nobody is wrong.
    """
    draw = random.Random(f"{seed}/changes")
    chosen: list[Change] = []
    for kind, more_specific in [
        *((kind, False) for kind in draw.sample(_KINDS, len(_KINDS))),
        (ChangeName.HIJACK, True),
    ]:
        last: Change | None = None
        for _ in range(_TRIES):
            change = _change(draw, kind, topology, after_s=1.0 + len(chosen), more_specific=more_specific)
            try:
                internet = Internet(topology, changes=[*chosen, change])
            except InvalidFile:
                continue  # a leak that never settles
            if not _has_one_outcome(internet, change.after_s, draw):
                continue
            ways, last = ways_of_sandbox(internet), change
            if ways[change.after_s] != ways[change.after_s - 1]:
                break
        chosen += [] if last is None else [last]
    return tuple(chosen)


def _has_one_outcome(internet: Internet, after_s: float, draw: random.Random) -> bool:
    """Tell whether the routes can settle in one way only, whoever acts first, after nothing or what was before."""
    before, now = (_present(internet, at) for at in (after_s - 1, after_s))
    for name, epoch in now.items():
        for af, longer in product(epoch.families, (False, True)) if epoch.leakers else ():
            told, earlier = (
                [one for one in announcements(e) if one.more_specific == longer] for e in (epoch, before[name])
            )
            starts: list[Outcome | None] = [
                {},
                outcome(internet.topology, earlier, before[name].leakers, af=af, draw=draw, start={}),
            ]
            ends = [
                outcome(internet.topology, told, epoch.leakers, af=af, draw=draw, start=start or {})
                for start in starts
                for _ in range(_RUNS)
            ]
            if None in ends or any(end != ends[0] for end in ends):
                return False
    return True


def _change(
    draw: random.Random, kind: ChangeName, topology: Topology, *, after_s: float, more_specific: bool
) -> Change:
    service = draw.choice(topology.services)
    return Change(
        change=kind,
        after_s=after_s,
        service=service.name,
        site=draw.choice(service.sites).code,
        asn=draw.choice(topology.networks).asn,
        prepend=draw.randint(0, 3),
        more_specific=more_specific,
    )


if __name__ == "__main__":
    main()
