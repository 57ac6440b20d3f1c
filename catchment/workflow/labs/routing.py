"""Where packets go in a lab by BIRD's own tables, kept with its runs, and held against what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from catchment.campaign import Change
from catchment.campaign.own_vantages import lab_name
from catchment.errors import PlatformFailed
from catchment.metrics import Numbers, rounded
from catchment.platforms.lab.client import Lab
from catchment.platforms.lab.routes import Read, Truth, truth
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology import Topology
from catchment.platforms.topology.epochs import Epoch, epochs

_TIMES = "changes.ndjson"  # in a lab's run: when each step of its changes was really made

Row = dict[str, Any]


def epochs_after(topology: Topology, changes: Sequence[Change], measured: Sequence[str] = ()) -> dict[str, Epoch]:
    """Return what each service of a topology is like when all changes have happened, in the order of their times.

    `measured` are those that a change is about which names none. Raises CatchmentError where one cannot be made.
    """
    happened = [replace(change, after_s=0.0) for change in changes]
    return {name: past[-1] for name, past in epochs(topology, happened, seed=0, measured=measured).items()}


def routes_now(
    lab: Lab, topology: Topology, present: Mapping[str, Epoch], *, routers_may_be_silent: bool = False
) -> list[Row]:
    """Return what BIRD's tables say of each vantage point and address: site, AS path, round trip.

    `as_path` are the networks that packets cross, `bgp_path` the same with what was prepended. Raises PlatformFailed
    where a router does not answer, unless that may be: then `unread` names it.
    """
    read = _patient(lab.bird) if routers_may_be_silent else lab.bird
    return [_row(one) for one in truth(read, topology, blueprint(topology, present), present)]


def _patient(read: Read) -> Read:
    """Return what bears with routers that do not answer, and asks them no more."""
    silent = set[str]()

    def bear(node: str, command: str) -> str | None:
        if node not in silent:
            try:
                return read(node, command)
            except PlatformFailed:
                silent.add(node)
        return None

    return bear


def _row(one: Truth) -> Row:
    """Return a row of BIRD's tables; where packets go another way than their network was told, `as_path` is it."""
    is_way = tuple(dict.fromkeys(one.announced_path)) == one.as_path
    return (
        asdict(one)
        | {"vantage": lab_name(one.vantage), "rtt_ms": rounded(one.rtt_ms)}
        | {"bgp_path": list(one.announced_path if is_way else one.as_path)}
    )


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
