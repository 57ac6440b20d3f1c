"""Values as TOML that a person likes to read."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields
from typing import Any


def told_keys(entry: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a dataclass that its defaults do not tell already."""
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.default is MISSING or value != field.default:
            yield field.name, value


def toml_value(value: Any, left_out: Collection[str] = ()) -> str:
    """Return a value as TOML, on one line; a dataclass is a table, without what its defaults tell and these keys.

    Texts are quoted so that no control or invisible character of theirs stands in the file.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _string(value)
        case datetime.date():
            return value.isoformat()
        case tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case _:
            told = (f"{key} = {toml_value(inner)}" for key, inner in told_keys(value) if key not in left_out)
            return f"{{ {', '.join(told)} }}"


def _string(text: str) -> str:
    """Quote a text: literally where that is easier to read (regular expressions), else with escapes."""
    if text.isprintable() and "'" not in text and ("\\" in text or '"' in text):
        return f"'{text}'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    return shown(character)


def shown(text: str) -> str:
    r"""Return text with its control and invisible characters as \uXXXX, which TOML reads in strings."""
    return "".join(
        character
        if character.isprintable() or "\ud800" <= character <= "\udfff"
        else f"\\u{ord(character):04x}"
        if ord(character) <= 0xFFFF
        else f"\\U{ord(character):08x}"
        for character in text
    )
