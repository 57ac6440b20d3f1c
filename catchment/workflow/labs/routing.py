"""Where packets go in a lab by BIRD's own tables, kept with its runs, and held against what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from catchment.campaign import Change, own_vantages
from catchment.metrics import Numbers, rounded
from catchment.platforms.lab.client import Lab
from catchment.platforms.lab.numbering import network_name
from catchment.platforms.lab.routes import truth
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology import Topology
from catchment.platforms.topology.elements import VantagePoint
from catchment.platforms.topology.epochs import Epoch, epochs

_TIMES = "changes.ndjson"  # in a lab's run: when each step of its changes was really made
_TOLD_PATH = re.compile(r"BGP\.as_path:([ \d]*)")

Row = dict[str, Any]


def epochs_after(topology: Topology, changes: Sequence[Change], measured: Sequence[str] = ()) -> dict[str, Epoch]:
    """Return what each service of a topology is like when all changes have happened, in the order of their times.

    `measured` are those that a change is about which names none. Raises CatchmentError where one cannot be made.
    """
    happened = [replace(change, after_s=0.0) for change in changes]
    return {name: past[-1] for name, past in epochs(topology, happened, seed=0, measured=measured).items()}


def lab_name(vantage: VantagePoint) -> str:
    """Return what tables call a lab's vantage point."""
    return own_vantages.lab_name(vantage.id)


def routes_now(lab: Lab, topology: Topology, present: Mapping[str, Epoch]) -> list[Row]:
    """Return what BIRD's tables say of each vantage point and address: site, AS path, round trip.

    `as_path` are the networks that packets cross, `bgp_path` the same with what was prepended.
    """
    asns = {vantage.id: vantage.asn for vantage in topology.vantage_points}
    told: dict[tuple[int, str], list[int]] = {}
    rows = []
    for row in truth(lab.bird, topology, blueprint(topology, present), present):
        first = (asns[row.vantage], row.address)
        if row.as_path and first not in told:
            told[first] = _told_path(lab.bird, *first)
        bgp_path = told.get(first, [])
        is_way = tuple(dict.fromkeys(bgp_path)) == row.as_path
        rows.append(
            asdict(row)
            | {"vantage": own_vantages.lab_name(row.vantage), "rtt_ms": rounded(row.rtt_ms)}
            | {"bgp_path": bgp_path if is_way else list(row.as_path)}
        )
    return rows


def _told_path(read: Callable[[str, str], str], asn: int, address: str) -> list[int]:
    found = _TOLD_PATH.search(read(network_name(asn), f"show route for {address} primary all"))
    return [asn, *map(int, found[1].split())] if found is not None else [asn]


def write_routes(file: Path, rows: Sequence[Row]) -> None:
    """Store what BIRD's tables held, an object a line."""
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def write_times(run: Path, times: Mapping[float, float]) -> None:
    """Store when each step was made, in seconds since 1970 UTC, by the time that was planned for it."""
    rows = [{"after_s": after_s, "at": at} for after_s, at in times.items()]
    write_routes(run / _TIMES, rows)


def read_times(run: Path) -> dict[float, float]:
    """Return what `write_times` stored; nothing of a run without changes."""
    return {row["after_s"]: row["at"] for row in read_rows(run / _TIMES)}


def read_rows(file: Path) -> list[Row]:
    """Read a file of an object a line; one that is not there has none."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def as_routed(vantage_points: Sequence[Numbers], truth: Sequence[Row], sides: Sequence[str]) -> Numbers:
    """Return how many of the vantage points were answered from where BIRD's tables lead, and who was not."""
    routes = {(row["when"], row["vantage"], row["address"]): row for row in truth}
    pairs = [
        (side, row, routes[key])
        for row in vantage_points
        for side in sides
        if (key := (side, row["vantage"], row["target"])) in routes
    ]
    differing = [
        {
            "when": side,
            **{key: row[key] for key in ("vantage", "target")},
            "measured": None
            if row[side] is None
            else row[side]["site"] or row[side]["identity"] or row[side]["verdict"],
            "routed": None if _is_dead_end(route) else route["site"],
        }
        for side, row, route in pairs
        if not _agrees(row[side], route)
    ]
    return {"of": len(pairs), "agree": len(pairs) - len(differing), "differing": differing}


def _is_dead_end(route: Row) -> bool:
    return route["site"] is None or route["failed"] or route["rtt_ms"] is None


def _agrees(judged: Numbers | None, route: Row) -> bool:
    if judged is None:
        return False
    if _is_dead_end(route):
        return judged["site"] is None and judged["identity"] is None
    if judged["identity"] is None:
        return bool(judged["site"] == route["site"])
    return judged["identity"] in route["servers"]
