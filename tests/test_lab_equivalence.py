"""The sandbox's BGP held against real one: BIRD plays the same topologies, and packets go the same ways."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.lab_equivalence import differences, random_changes, random_topology, ways_of_sandbox
from catchment.campaign import Change, load_campaign
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology import load_topology
from tests.conftest import ROOT
from tests.namespaces import needs_namespaces

SEEDS = (2, 4, 8)  # 11, 19 and 15 networks; one service, two, two


def named(what: object) -> str:
    """Return a name for a lab that no other test run of this machine has."""
    return f"equivalence-{what}-{os.getpid()}"


@pytest.mark.parametrize("seed", SEEDS)
def test_sandbox_and_lab_send_every_packet_the_same_way_before_and_after_each_change(seed: int) -> None:
    needs_namespaces()
    topology = random_topology(seed)
    changes = random_changes(topology, seed)
    assert list(differences(topology, changes, name=named(seed))) == []


def stories() -> dict[Path, list[Sequence[Change]]]:
    """Return the topologies of the stories, with the changes of each story that plays there."""
    found: defaultdict[Path, list[Sequence[Change]]] = defaultdict(list)
    for file in sorted((ROOT / "campaigns" / "lab").glob("*.toml")):
        lab = load_campaign(file).lab
        if lab.topology is not None:
            found[Path(lab.topology)].append(lab.changes)
    return found


@pytest.mark.parametrize("file", stories(), ids=lambda file: file.stem)
def test_the_stories_of_the_lab_go_the_same_way_in_the_sandbox(file: Path) -> None:
    needs_namespaces()
    assert list(differences(load_topology(file), *stories()[file], name=named(file.stem))) == []


def test_the_histories_that_are_compared_have_everything_in_them() -> None:
    for seed in SEEDS:
        topology = random_topology(seed)
        changes = random_changes(topology, seed)
        ways = ways_of_sandbox(Internet(topology, changes=changes))
        assert {change.change for change in changes} == {"announce", "withdraw", "prepend", "leak", "hijack"}
        assert len({tuple(sorted(moved.items())) for moved in ways.values()}) >= 5  # nearly each moves somebody
    sites = [site for seed in SEEDS for service in random_topology(seed).services for site in service.sites]
    assert {site.local for site in sites} == {site.announced for site in sites} == {True, False}
    assert {link.af for seed in SEEDS for link in random_topology(seed).links} == {None, 4, 6}
