"""Labs that stay up: raise one, look at it, change its routes, end it; and one for a campaign, up already or not.

Beside its socket a lab keeps its topology and all changes that were made in it: a later one adds up to them.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from catchment.campaign import Change, check, load_campaign, plain, read_toml
from catchment.errors import InvalidFile, PlatformFailed, UnknownName, hint
from catchment.metrics import Numbers, rounded
from catchment.platforms.lab.client import Lab, attach, open_lab, running_labs
from catchment.platforms.lab.folders import folder_of
from catchment.platforms.lab.routes import truth
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology import Topology, load_topology, write_topology
from catchment.platforms.topology.elements import VantagePoint
from catchment.platforms.topology.epochs import Epoch, epochs
from catchment.workflow.words import in_words

_TOPOLOGY, _CHANGES = "topology.toml", "changes.json"
_IDLE_S = 60.0  # of a lab for one campaign: so long may its owner be silent before it ends by itself

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A lab that stays up: its name, what it was made of, and what was changed in it since."""

    name: str
    topology: Topology
    changes: tuple[Change, ...] = ()


def epochs_after(topology: Topology, changes: Sequence[Change], measured: Sequence[str] = ()) -> dict[str, Epoch]:
    """Return what each service of a topology is like when all changes have happened, in the order of their times.

    `measured` are those that a change is about which names none. Raises CatchmentError where one cannot be made.
    """
    happened = [replace(change, after_s=0.0) for change in changes]
    return {name: past[-1] for name, past in epochs(topology, happened, seed=0, measured=measured).items()}


def routes_now(lab: Lab, topology: Topology, present: Mapping[str, Epoch]) -> list[Row]:
    """Return what BIRD's tables say of each vantage point and address: site, AS path, round trip."""
    rows = truth(lab.bird, topology, blueprint(topology, present), present)
    return [asdict(row) | {"vantage": f"lab:{row.vantage}", "rtt_ms": rounded(row.rtt_ms)} for row in rows]


def lab_name(vantage: VantagePoint) -> str:
    """Return what tables call a lab's vantage point."""
    return f"lab:{vantage.id}"


@contextmanager
def lab_for(topology: Topology) -> Iterator[tuple[Lab, tuple[Change, ...]]]:
    """Yield a lab of a topology and what was changed in it: one that is up, left as it was, or one that ends then."""
    standing = next((one for one in _standing() if one.topology == topology), None)
    if standing is None:
        plan = blueprint(topology, epochs_after(topology, ()))
        with open_lab(plan, name=f"run-{secrets.token_hex(4)}", idle_s=_IDLE_S) as lab:
            yield lab, ()
        return
    with _alone(standing.name):
        lab = attach(standing.name)
        try:
            yield lab, standing.changes
        finally:
            lab.apply(blueprint(topology, epochs_after(topology, standing.changes)))


def raise_lab(file: Path, name: str | None = None, *, for_s: float | None = None, idle_s: float = 600.0) -> Numbers:
    """Raise the lab of a topology file, or of a campaign's, and leave it up; return what `lab status` tells of it.

    It ends by itself `for_s` after it was raised, or when nobody has used it for `idle_s`. Raises CatchmentError.
    """
    topology = _topology_of(file)
    called = name or re.sub(r"[^A-Za-z0-9._-]+", "-", topology.name).strip("-._")[:40] or "lab"
    start = epochs_after(topology, ())
    with open_lab(blueprint(topology, start), name=called, for_s=for_s, idle_s=idle_s, detach=True) as lab:
        standing = Standing(name=called, topology=topology)
        write_changes(standing)
        write_topology(topology, folder_of(called) / _TOPOLOGY)  # last: with it the lab is one that stays
        return _told(standing, lab)


def list_labs() -> Numbers:
    """Return the labs that are up, each with its topology and what was changed in it."""
    return {
        "labs": [
            {
                "lab": one.name,
                "topology": one.topology.name,
                "networks": len(one.topology.networks),
                "vantage_points": len(one.topology.vantage_points),
                "changes": [in_words(change, one.topology) for change in one.changes],
            }
            for one in _standing()
        ]
    }


def look_at_lab(name: str | None = None) -> Numbers:
    """Return what there is in a lab, and where its vantage points' packets go by BIRD's routes. Raises CatchmentError.

    The name may be left out where one is up.
    """
    standing = find_lab(name)
    return _told(standing, attach(standing.name))


def end_lab(name: str | None = None) -> Numbers:
    """End a lab; the name may be left out where one is up. Raises CatchmentError."""
    standing = find_lab(name)
    attach(standing.name).down()
    return {"lab": standing.name}


def find_lab(name: str | None) -> Standing:
    """Return the lab of a name, or the one that is up. Raises UnknownName and PlatformFailed."""
    found = {one.name: one for one in _standing()}
    if not found:
        raise PlatformFailed("no lab is up: `catchment lab up TOPOLOGY` raises one")
    listed = ", ".join(found)
    if name is None:
        if len(found) > 1:
            raise UnknownName(f"{len(found)} labs are up: name one of {listed}")
        return next(iter(found.values()))
    if name not in found:
        raise UnknownName(f"no lab '{name}' is up: {hint(name, list(found), f'there is {listed}')}")
    return found[name]


@contextmanager
def find_lab_alone(name: str | None) -> Iterator[tuple[Standing, Lab]]:
    """Yield a lab that is up, as `find_lab` finds it; nobody else changes it meanwhile. Raises CatchmentError."""
    chosen = find_lab(name).name
    with _alone(chosen):
        yield find_lab(chosen), attach(chosen)


def write_changes(standing: Standing) -> None:
    """Keep what was changed in a lab."""
    file = folder_of(standing.name) / _CHANGES
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps([plain(asdict(change)) for change in standing.changes]), encoding="utf-8")
    fresh.replace(file)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep other processes from changing a lab. Raises PlatformFailed where one does already."""
    descriptor = os.open(folder_of(name) / _TOPOLOGY, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise PlatformFailed(f"another process is at work in the lab '{name}': wait until it is done") from error
    finally:
        os.close(descriptor)


def _standing() -> list[Standing]:
    """Return the labs that are up to stay. One that was raised for a single campaign keeps no topology here."""
    found = []
    for name in running_labs():
        folder = folder_of(name)
        if not (folder / _TOPOLOGY).exists():
            continue
        with suppress(OSError, ValueError):  # it ends just now
            entries = json.loads((folder / _CHANGES).read_text(encoding="utf-8"))
            changes = tuple(check(Change, entry, folder / _CHANGES) for entry in entries)
            found.append(Standing(name=name, topology=load_topology(folder / _TOPOLOGY), changes=changes))
    return found


def _topology_of(file: Path) -> Topology:
    """Read a topology file, or the one that a campaign names. Raises InvalidFile."""
    table = read_toml(file)
    if "platform" not in table:
        return load_topology(file)
    named = load_campaign(file).lab.topology
    if named is None:
        raise InvalidFile(f"{file}: no campaign of a lab: name a topology file, or a campaign with `lab.topology`")
    return load_topology(Path(named))


def _told(standing: Standing, lab: Lab) -> Numbers:
    topology, present = standing.topology, epochs_after(standing.topology, standing.changes)
    return {
        "lab": standing.name,
        "topology": topology.name,
        **lab.status(),
        "changes": [in_words(change, topology) for change in standing.changes],
        "services": [_service(epoch) for epoch in present.values()],
        "vantage_points": routes_now(lab, topology, present),
    }


def _service(epoch: Epoch) -> Numbers:
    return {
        "service": epoch.service.name,
        "addresses": list(epoch.service.addresses),
        "sites": [
            {
                "site": site.code,
                "place": site.place,
                "servers": len(site.identities),
                "announced": site.announced,
                "alive": site.code not in epoch.failed,
                "prepend": max((upstream.prepend for upstream in site.upstreams), default=0),
            }
            for site in epoch.service.sites
        ],
        "hijackers": [hijack.asn for hijack in epoch.hijacks],
        "leakers": sorted(epoch.leakers),
    }


def command_within(name: str | None, node: str, command: Sequence[str]) -> list[str]:
    """Return the words that run a command in a namespace of a lab that is up. Raises CatchmentError."""
    standing = find_lab(name)
    lab = attach(standing.name)
    nodes = list(lab.status()["nodes"])
    if node not in nodes:
        listed = f"there are {', '.join(nodes[:20])}"
        raise UnknownName(f"lab '{standing.name}' has no node '{node}': {hint(node, nodes, listed)}")
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    enter = ["nsenter", "--target", str(lab.pid), *user, "--mount", "--pid", "--net"]
    return [*enter, "ip", "netns", "exec", node, *command]
