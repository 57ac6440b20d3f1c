"""API keys of RIPE Atlas: where users keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

VARIABLES = ("ATLAS_CREATE_KEY", "ATLASAUTH", "RIPE_ATLAS_API_KEY", "ATLAS_API_KEY")
"""Environment variables, the first first: those of ripe-atlas-tools, Blaeu, others, and cousteau's README."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key and the name of the place it was found in; only the place may be shown."""

    value: str = field(repr=False)
    source: str


def find_key(environ: Mapping[str, str]) -> Key | None:
    """Return the first key that the environment holds, or None."""
    for name in VARIABLES:
        value = environ.get(name, "").strip()
        if value:
            return Key(value=value, source=name)
    return None
