"""Topology files: TOML that a person can read and change, one line for each place, network, link and vantage point."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

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
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidFile(f"{path}: {error.strerror}: name a file that can be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path}: not a TOML file: {error}") from error
    try:
        topology = _adapter().validate_python(table)
    except ValidationError as error:
        # A misspelt key shows up twice, as unknown and as missing: the unknown one is what the user wrote.
        first = min(error.errors(), key=lambda found: found["type"] != "unexpected_keyword_argument")
        raise InvalidFile(f"{path}: {_complaint(first['loc'], first['type'], first['msg'])}") from error
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


@cache
def _adapter() -> TypeAdapter[Topology]:
    return TypeAdapter(Topology)


def _complaint(where: tuple[str | int, ...], kind: str, message: str) -> str:
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in where)
    if kind == "unexpected_keyword_argument":
        known = _keys_at(where[:-1])
        near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
        return f"unknown key '{key}': " + (f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}")
    if kind in {"missing_argument", "missing"}:
        return f"key '{key}' is missing: add it"
    return f"key '{key}': {message[0].lower()}{message[1:]}"


def _keys_at(where: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the table at `where` in a topology may hold."""
    form: Any = Topology
    for part in where:
        if isinstance(part, str):
            form = next(inner for inner in get_args(get_type_hints(form)[part]) if is_dataclass(inner))
    return [field.name for field in fields(form)]
