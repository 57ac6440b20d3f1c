"""A service as the text of its TOML file, laid out for readers: one line for each site, pattern and correction."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

from catchment.campaign.toml_text import shown, told_keys, toml_value
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
    known = dict(told_keys(service))
    lines = [f"# {shown(line)}".rstrip() for line in heading.splitlines()]
    for key in _ORDER:
        if key in known:
            lines += _lines(key, known[key])
    text = "\n".join(lines) + "\n"
    text.encode()
    return text


def _lines(key: str, value: Any) -> list[str]:
    if isinstance(value, tuple) and is_dataclass(value[0]):
        return [f"{key} = [", *(f"  {toml_value(entry)}," for entry in value), "]"]
    return [f"{key} = {toml_value(value)}"]
