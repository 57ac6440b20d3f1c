"""The bundled services: one TOML file each, beside this module."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from catchment.campaign import load_service
from catchment.errors import UnknownName, hint
from catchment.model import Service

_FOLDER = Path(__file__).parent


def service_names() -> list[str]:
    """Return the names of the bundled services, in order."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def bundled_service(name: str) -> Service:
    """Return a bundled service. Raises UnknownName, which tells the nearest name."""
    known = service_names()
    if name not in known:
        nearest = hint(name, known, f"bundled are {', '.join(known)}; or name a TOML file")
        raise UnknownName(f"there is no service '{name}': {nearest}")
    return load_service(_FOLDER / f"{name}.toml")


def find_service(name: str) -> Service:
    """Return a service by its bundled name or the path of its TOML file. Raises UnknownName and InvalidFile."""
    if name.endswith(".toml") or "/" in name:
        return load_service(Path(name))
    return bundled_service(name)
