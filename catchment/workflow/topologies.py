"""Runs of labs: by one name two topologies mean two hosts, and nothing can be said of both together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catchment import store
from catchment.campaign import PlatformName
from catchment.campaign.own_vantages import lab_name
from catchment.errors import InvalidRun
from catchment.store import Run


def lab_topology(runs: Sequence[Run]) -> Path | None:
    """Return the topology file of the last run that is of a lab and has one."""
    return next(iter(_of_labs(runs)[::-1]), None)


def check_labs(runs: Sequence[Run]) -> None:
    """Raise InvalidRun where a vantage point of a lab is in another network or place in one run than in another.

    A topology may have been changed between the runs: what was built on meanwhile is no matter.
    """
    files = _of_labs(runs)
    if len(files) < 2:
        return
    from catchment.platforms.topology import load_topology  # noqa: PLC0415  (only runs of labs wait for it)

    known: dict[int, tuple[object, Path, str]] = {}
    for file in files:
        topology = load_topology(file)
        for vantage in topology.vantage_points:
            host = vantage.asn, vantage.latitude, vantage.longitude
            before, first, name = known.setdefault(vantage.id, (host, file, topology.name))
            if before != host:
                raise InvalidRun(
                    f"{lab_name(vantage.id)} of {first.parent} (topology '{name}') and of {file.parent} (topology "
                    f"'{topology.name}') are different hosts: name runs of one topology"
                )


def _of_labs(runs: Sequence[Run]) -> list[Path]:
    files = [store.topology_file(run.path) for run in runs if PlatformName.LAB in run.header.platforms]
    return [file for file in dict.fromkeys(files) if file.is_file()]
