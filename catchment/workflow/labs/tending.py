"""Raise a lab, look at it, run a command in it, end it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from catchment.campaign import load_campaign, read_toml
from catchment.errors import InvalidFile, UnknownName, hint
from catchment.metrics import Numbers
from catchment.platforms.lab.client import Lab, attach, open_lab
from catchment.platforms.lab.numbering import server_name, site_name
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology import Topology, load_topology
from catchment.platforms.topology.epochs import Epoch
from catchment.workflow.labs.happenings import in_words, names_of, towns_of
from catchment.workflow.labs.keeping import Standing, find_lab, is_alone, is_busy, keep, standing_labs
from catchment.workflow.labs.routing import epochs_after, routes_now

# What measures there, names itself by its host; `hostname`, because /proc lets root alone set it.
_AS_HOST = 'hostname "$0" 2>/dev/null; exec "$@"'


def raise_lab(file: Path, name: str | None = None, *, for_s: float | None = None, idle_s: float = 600.0) -> Numbers:
    """Raise the lab of a topology file, or of a campaign's, and leave it up; return what `lab status` tells of it.

    It ends by itself `for_s` after it was raised, or when nobody has used it for `idle_s`. Raises CatchmentError.
    """
    topology = _topology_of(file)
    called = name or re.sub(r"[^A-Za-z0-9._-]+", "-", topology.name).strip("-._")[:40] or "lab"
    start = epochs_after(topology, ())
    with open_lab(blueprint(topology, start), name=called, for_s=for_s, idle_s=idle_s, detach=True) as lab:
        standing = Standing(name=called, topology=topology)
        keep(standing)
        return _told(standing, lab) | {"idle_s": idle_s}


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
            for one in standing_labs()
        ]
    }


def look_at_lab(name: str | None = None) -> Numbers:
    """Return what there is in a lab, and where its vantage points' packets go by BIRD's routes. Raises CatchmentError.

    The name may be left out where one is up. Where routers do not answer, what only they know is not told.
    """
    standing = find_lab(name)
    return _told(standing, attach(standing.name))


def end_lab(name: str | None = None) -> Numbers:
    """End a lab; the name may be left out where one is up. Raises CatchmentError."""
    standing = find_lab(name)
    attach(standing.name).down()
    return {"lab": standing.name}


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
    places = towns_of(topology)
    rows = routes_now(lab, topology, present, routers_may_be_silent=True)
    status = lab.status()
    services = [_service(epoch, status["died"]) for epoch in present.values()]
    dead = {(told["service"], site["site"]) for told in services for site in told["sites"] if not site["alive"]}
    return {
        "lab": standing.name,
        "is_alone": is_alone(standing.name),
        "topology": topology.name,
        **status,
        "changes": [in_words(change, topology) for change in standing.changes],
        "unfinished": _unfinished(standing),
        "services": services,
        "networks": names_of(topology),
        "vantage_points": [
            {"place": places[row["vantage"]], **row, "failed": row["failed"] or (row["service"], row["site"]) in dead}
            for row in rows
        ],
    }


def _unfinished(standing: Standing) -> Numbers | None:
    """Return what a lab is being changed to, and whether somebody is still at it."""
    if standing.wanted is None:
        return None
    return {
        "at_work": is_busy(standing.name),
        "wanted": [in_words(change, standing.topology) for change in standing.wanted],
    }


def _service(epoch: Epoch, died: Sequence[str]) -> Numbers:
    return {
        "service": epoch.service.name,
        "addresses": list(epoch.service.addresses),
        "sites": [_site(epoch, position, died) for position in range(len(epoch.service.sites))],
        "hijackers": [hijack.asn for hijack in epoch.hijacks],
        "leakers": sorted(epoch.leakers),
    }


def _site(epoch: Epoch, position: int, died: Sequence[str]) -> Numbers:
    """Return how a site is: what it was told to be, and which of its programs died by themselves."""
    site, node = epoch.service.sites[position], site_name(epoch.service, position)
    number = len(site.identities)
    servers = [node] if number == 1 else [server_name(node, at) for at in range(number)]
    dead = number if site.code in epoch.failed else sum(f"NSD of {server}" in died for server in servers)
    return {
        "site": site.code,
        "place": site.place,
        "servers": number,
        "servers_dead": dead,
        "announced": site.announced,
        "router_died": f"BIRD of {node}" in died,
        "alive": dead < number,
        "prepend": max((upstream.prepend for upstream in site.upstreams), default=0),
    }


def ask_bird(name: str | None, node: str, command: str) -> str:
    """Return what the BIRD of a node says to a command, in a lab that is up. Raises CatchmentError."""
    return _with_node(name, node).bird(node, command)


def _with_node(name: str | None, node: str) -> Lab:
    """Return a lab that is up, once it is known to have a node. Raises CatchmentError."""
    standing = find_lab(name)
    lab = attach(standing.name)
    nodes = list(lab.status()["nodes"])
    if node not in nodes:
        listed = f"there are {', '.join(nodes[:20])}"
        raise UnknownName(f"lab '{standing.name}' has no node '{node}': {hint(node, nodes, listed)}")
    return lab


def command_within(name: str | None, node: str, command: Sequence[str]) -> list[str]:
    """Return the words that run a command in a namespace of a lab that is up, on a host of that name, as it sees it.

    Raises CatchmentError. The lab does not end for want of use while this process or one that it starts is there.
    """
    lab = _with_node(name, node)
    lab.hold()
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    enter = ["nsenter", "--target", str(lab.pid), *user, "--mount", "--pid", "--net", f"--wd={os.getcwd()}"]
    return [*enter, "ip", "netns", "exec", node, "unshare", "--uts", "sh", "-c", _AS_HOST, node, *command]
