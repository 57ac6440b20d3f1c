"""A service as the text of its TOML file, laid out for readers: one line for each site, pattern and correction."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from catchment.model import Service

_ORDER = (
    "name",
    "operator",
    "answers",
    "answers_since",
    "open_list",
    "addresses",
    "patterns",
    "overrides",
    "measurements",
    "sources",
    "neighbours",
    "hop_names",
    "sites_of",
    "corrections",
    "sites",
)


def service_to_toml(service: Service, heading: str = "") -> str:
    """Return the text of a service file, with a heading as comment; reading it back gives an equal service.

    What has its default value is left out. Raises UnicodeEncodeError for a text with half a surrogate pair, which no
    file can hold.
    """
    known = dict(_told(service))
    lines = [f"# {_shown(line)}".rstrip() for line in heading.splitlines()]
    for key in _ORDER:
        if key in known:
            lines += _lines(key, known[key])
    text = "\n".join(lines) + "\n"
    text.encode()
    return text


def _lines(key: str, value: Any) -> list[str]:
    if isinstance(value, tuple) and is_dataclass(value[0]):
        return [f"{key} = [", *(f"  {_value(entry)}," for entry in value), "]"]
    return [f"{key} = {_value(value)}"]


def _told(entry: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a dataclass that its defaults do not tell already."""
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.default is MISSING or value != field.default:
            yield field.name, value


def _value(value: Any) -> str:
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
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return f"{{ {', '.join(f'{key} = {_value(inner)}' for key, inner in _told(value))} }}"


def _string(text: str) -> str:
    """Quote a text: literally where that is easier to read (regular expressions), else with escapes."""
    if text.isprintable() and "'" not in text and ("\\" in text or '"' in text):
        return f"'{text}'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    return _shown(character)


def _shown(text: str) -> str:
    r"""Return text with its control and invisible characters as \uXXXX, which TOML reads in strings."""
    return "".join(
        character
        if character.isprintable() or "\ud800" <= character <= "\udfff"
        else f"\\u{ord(character):04x}"
        if ord(character) <= 0xFFFF
        else f"\\U{ord(character):08x}"
        for character in text
    )
