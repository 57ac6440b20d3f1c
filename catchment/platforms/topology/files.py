"""Topology files: TOML that a person can read and change, one line for each place, network, link and vantage point."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from catchment.campaign import check, read_toml
from catchment.errors import InvalidFile
from catchment.platforms.topology.consistency import contradictions
from catchment.platforms.topology.elements import AnycastService, Topology

_COMMENTS = {
    "places": "Towns, by the code of their airport.",
    "networks": "Autonomous systems, and the places where they have routers.",
    "links": "Cables. relation: what `far` is to `near`. delay_ms: one way; left out, the distance decides.",
    "vantage_points": "Probes. said_*: where one says it is. trouble: what is wrong with it.",
    "interceptors": "Boxes that answer DNS queries in the service's place.",
    "services": "Anycast services: which site announces through which networks.",
}


def load_topology(path: Path) -> Topology:
    """Read a topology file. Raises InvalidFile, which names the file, the key and what to do."""
    topology = check(Topology, read_toml(path), path)
    wrong = next(contradictions(topology), None)
    if wrong is not None:
        raise InvalidFile(f"{path}: {wrong}")
    return topology


def write_topology(topology: Topology, path: Path) -> None:
    """Write a topology file that `load_topology` reads back as it was."""
    path.write_text(topology_text(topology), encoding="utf-8", newline="\n")


def topology_text(topology: Topology) -> str:
    """Return a topology as TOML: arrays of one-line tables, defaults left out, the services last."""
    lines = [f"name = {_value(topology.name)}", f"tie_break = {_value(topology.tie_break)}"]
    for key in ("places", "networks", "links", "vantage_points", "interceptors"):
        lines += ["", f"# {_COMMENTS[key]}", *_array(key, getattr(topology, key))]
    for number, service in enumerate(topology.services):
        lines += ["", *([f"# {_COMMENTS['services']}"] if number == 0 else []), *_service(service)]
    return "\n".join(lines) + "\n"


def _service(service: AnycastService) -> Iterator[str]:
    yield "[[services]]"
    for key in ("name", "asn", "addresses", "answers"):
        yield f"{key} = {_value(getattr(service, key))}"
    yield from _array("sites", service.sites)


def _array(key: str, elements: Iterable[Any]) -> Iterator[str]:
    rows = [f"  {_value(element)}," for element in elements]
    yield from [f"{key} = [", *rows, "]"] if rows else [f"{key} = []"]


def _value(value: Any) -> str:
    """Return a value as TOML, on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case StrEnum() | str():
            # JSON's strings are TOML's basic strings, but for DEL, which TOML wants escaped.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return repr(value)
        case tuple():
            return f"[{', '.join(_value(inner) for inner in value)}]"
        case _:
            keys = [field.name for field in fields(value) if getattr(value, field.name) != _default(field)]
            return f"{{ {', '.join(f'{key} = {_value(getattr(value, key))}' for key in keys)} }}"


def _default(field: Any) -> Any:
    return None if field.default is MISSING else field.default
