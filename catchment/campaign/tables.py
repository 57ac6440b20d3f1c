"""TOML and JSON tables in, checked dataclasses out: unknown keys are errors that name the nearest known key."""

from __future__ import annotations

import tomllib
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from catchment.errors import InvalidFile, hint

Checked = TypeVar("Checked")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises InvalidFile."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidFile(f"{path}: {error.strerror}: name a file that can be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path}: not a TOML file: {error}") from error


def check(form: type[Checked], table: dict[str, Any], path: Path) -> Checked:
    """Return the dataclass `form` made of a table read from `path`. Raises InvalidFile, which names file and key."""
    try:
        checked: Checked = _adapter(form).validate_python(table)  # type: ignore[arg-type]
    except ValidationError as error:
        # A misspelt key shows up twice, as unknown and as missing: the unknown one is what the user wrote.
        first = min(error.errors(), key=lambda found: found["type"] != "unexpected_keyword_argument")
        where, message = first["loc"], first["msg"]
        if not isinstance(first["input"], dict) and _at(table, where[:-1]) is first["input"]:
            # What may be of several forms is complained about once for each, under the form's name.
            where = where[:-1]
            forms = [found["msg"] for found in error.errors() if found["loc"][:-1] == where]
            message = "; or ".join(each[0].lower() + each[1:] for each in forms)
        raise InvalidFile(f"{path}: {_complaint(form, where, first['type'], message)}") from error
    return checked


def _at(table: Any, where: tuple[str | int, ...]) -> Any:
    """Return what stands at `where` in a table that was read; None where nothing does."""
    for part in where:
        try:
            table = table[part]
        except (KeyError, IndexError, TypeError):
            return None
    return table


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)


def _complaint(form: type, where: tuple[str | int, ...], kind: str, message: str) -> str:
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in where)
    if kind == "unexpected_keyword_argument":
        known = _keys_at(form, where[:-1])
        return f"unknown key '{key}': " + hint(str(where[-1]), known, f"known are {', '.join(known)}", cutoff=0.5)
    if kind in {"missing_argument", "missing"}:
        return f"key '{key}' is missing"
    return f"key '{key}': {message[0].lower()}{message[1:]}"


def _keys_at(form: type, where: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the table at `where` inside `form` may hold."""
    here: Any = form
    for part in where:
        if isinstance(part, int):
            continue
        here = get_type_hints(here)[part]
        while not is_dataclass(here):
            here = next(inner for inner in get_args(here) if is_dataclass(inner) or get_args(inner))
    return [field.name for field in fields(here)]


def plain(value: Any) -> Any:
    """Return a value as JSON holds it, without what is absent or empty; dates as ISO 8601."""
    match value:
        case dict():
            return {key: plain(inner) for key, inner in value.items() if inner is not None and inner != ()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case date():
            return value.isoformat()
        case _:
            return value
