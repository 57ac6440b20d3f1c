"""Faults of probes: some never answer, some tell no place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from catchment.platforms.sandbox.api.faults.fault import Fault, ProbeFault, chance
from catchment.platforms.sandbox.api.results import SimulatedInternet
from catchment.platforms.topology.elements import Trouble, VantagePoint

PROBE_FAULTS = (
    ProbeFault(
        name="silent-probes",
        about="one of five probes takes part and never answers",
        share=0.2,
        change=lambda vantage: replace(vantage, trouble=Trouble.OFFLINE),
    ),
    ProbeFault(
        name="placeless-probes",
        about="one of ten probes has no geometry, and no country or an empty one",
        share=0.1,
        change=lambda vantage: replace(vantage, placeless=True),
    ),
)


class Troubled:
    """A simulated Internet some of whose vantage points are in trouble."""

    def __init__(self, internet: SimulatedInternet, faults: Sequence[Fault], *, seed: int) -> None:
        found = [fault for fault in faults if isinstance(fault, ProbeFault)]
        points = [_troubled(vantage, found, seed) for vantage in internet.topology.vantage_points]
        self.topology = replace(internet.topology, vantage_points=tuple(points))
        self.dns = internet.dns
        self.ping = internet.ping
        self.traceroute = internet.traceroute
        self.reports = internet.reports


def _troubled(vantage: VantagePoint, faults: Sequence[ProbeFault], seed: int) -> VantagePoint:
    for fault in faults:
        if chance(seed, fault.name, vantage.id).random() < fault.share:
            vantage = fault.change(vantage)
    return vantage
