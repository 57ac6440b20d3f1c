"""What is said between those who use a lab and its supervisor: a line of JSON each, and a blueprint in it."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from catchment.platforms.lab.blueprint import Blueprint, Node, Role, StaticRoute, Wire

MOST_BYTES = 64 << 20
"""No request is longer: two thousand routers fit."""

_CREDENTIALS = struct.Struct("iII")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # of a file and of a namespace
_WIRE_NAME = re.compile(r"(?!lo$|all$|default$)[A-Za-z0-9][A-Za-z0-9_-]{0,14}")  # of an interface
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def line(message: Mapping[str, Any]) -> bytes:
    """Return a message as it is sent."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def lines(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """Yield the messages that come over a connection, until it is closed. Raises OSError and ValueError."""
    rest = b""
    while got := connection.recv(1 << 16):
        *whole, rest = (rest + got).split(b"\n")
        for each in whole:
            yield message(each)


def message(text: bytes) -> dict[str, Any]:
    """Return the message in a line. Raises ValueError."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end of a connection of this host. Raises OSError."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = _CREDENTIALS.unpack(found)
    return int(pid), int(user)


def plain(blueprint: Blueprint) -> dict[str, Any]:
    """Return a blueprint as JSON has it."""
    nodes = {
        name: {
            "name": node.name,
            "role": node.role.value,
            "addresses": list(node.addresses),
            "routes": [asdict(route) for route in node.routes],
            "bird": node.bird,
            "nsd": None if node.nsd is None else dict(node.nsd),
        }
        for name, node in blueprint.nodes.items()
    }
    return {
        "nodes": nodes,
        "wires": [asdict(wire) for wire in blueprint.wires],
        "routers": dict(blueprint.routers),
    }


def as_blueprint(table: Mapping[str, Any]) -> Blueprint:
    """Return the blueprint in a message. Raises ValueError, which says what in it cannot be built."""
    try:
        nodes = {name: _node(node) for name, node in table["nodes"].items()}
        wires = tuple(_wire(wire) for wire in table["wires"])
        routers = dict(table.get("routers", {}))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a blueprint: {type(error).__name__}: {error}") from error
    for name, node in nodes.items():
        if name != node.name:
            raise ValueError(f"node '{node.name}' stands under the name '{name}'")
    if len({wire.name for wire in wires}) < len(wires):
        raise ValueError("two wires have one name")
    for wire in wires:
        for end in (wire.near, wire.far):
            if end not in nodes:
                raise ValueError(f"wire '{wire.name}' leads to '{end}', which is no node")
        if wire.near == wire.far:
            raise ValueError(f"wire '{wire.name}' leads from '{wire.near}' to itself")
    return Blueprint(nodes=nodes, wires=wires, routers=routers)


def _node(table: Mapping[str, Any]) -> Node:
    bird, nsd = table["bird"], table["nsd"]
    if not (bird is None or isinstance(bird, str)):
        raise ValueError(f"node '{table['name']}': 'bird' is not a text")
    for file, text in ({} if nsd is None else nsd).items():
        if not _FILE_NAME.fullmatch(file) or not isinstance(text, str):
            raise ValueError(f"node '{table['name']}': '{file}' is no file of NSD")
    return Node(
        name=_named(_NAME, table["name"]),
        role=Role(table["role"]),
        addresses=tuple(_interface(address) for address in table["addresses"]),
        routes=tuple(_route(route) for route in table["routes"]),
        bird=bird,
        nsd=nsd,
    )


def _wire(table: Mapping[str, Any]) -> Wire:
    return Wire(
        name=_named(_WIRE_NAME, table["name"]),
        near=_named(_NAME, table["near"]),
        far=_named(_NAME, table["far"]),
        near_addresses=tuple(_interface(address) for address in table["near_addresses"]),
        far_addresses=tuple(_interface(address) for address in table["far_addresses"]),
        delay_ms=as_delay_ms(table["delay_ms"]),
    )


def as_delay_ms(value: object) -> float:
    """Return a delay that a wire can have. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 60_000:
        raise ValueError(f"a delay is from 0 to 60000 ms: not {value!r}")
    return float(value)


def as_loss(value: object) -> float:
    """Return a share of packets that are lost. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"a loss is a share from 0 to 1: not {value!r}")
    return float(value)


def _named(form: re.Pattern[str], name: str) -> str:
    if not form.fullmatch(name):
        raise ValueError(f"'{name}' cannot name a node or a wire: use letters, digits and '-' (a wire: 15 at most)")
    return name


def _text(value: object) -> str:
    """Return what is to be read as an address: `ipaddress` would make one of a number, too."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no address")
    return value


def _interface(address: object) -> str:
    if "/" not in _text(address):
        raise ValueError(f"address {address!r} has no prefix length")
    return str(ip_interface(_text(address)))


def _route(table: Mapping[str, Any]) -> StaticRoute:
    via = tuple(str(ip_address(_text(gateway))) for gateway in table["via"])
    if not via:
        raise ValueError(f"the route to {table['prefix']} has no gateway")
    everywhere = "::/0" if ":" in via[0] else "0.0.0.0/0"
    prefix = everywhere if table["prefix"] == "default" else table["prefix"]
    source = table["source"]
    return StaticRoute(
        prefix=str(ip_network(_text(prefix))),
        via=via,
        source=None if source is None else str(ip_address(_text(source))),
    )
