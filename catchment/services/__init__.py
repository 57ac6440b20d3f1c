"""The services that have a name: bundled ones, a TOML file each beside this module, and the user's own versions.

Own ones lie in a folder of the user's, where `catchment services update` puts them; a name finds them before the
bundled one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from catchment.campaign import load_service, load_uncorrected
from catchment.errors import CatchmentError, InvalidFile, UnknownName, hint
from catchment.model import Service

_FOLDER = Path(__file__).parent


def service_names() -> list[str]:
    """Return the names of the bundled services, in order."""
    return _names_in(_FOLDER)


def known_names() -> list[str]:
    """Return the names of all services that need no path: bundled and own, in order."""
    return sorted({*service_names(), *_names_in(own_folder())})


def own_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the user's own versions, there or not yet.

    It is $CATCHMENT_SERVICES, else catchment/services in $XDG_DATA_HOME (XDG Base Directory Specification 0.8); a
    relative one is in the working directory.
    """
    if given := environ.get("CATCHMENT_SERVICES"):
        return Path(os.path.expanduser(given)).absolute()
    data = environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # such a one is to be ignored, says the specification
        data = os.path.expanduser("~/.local/share")
    return Path(data) / "catchment" / "services"


def service_file(name: str) -> Path:
    """Return the file of a named service: the user's own version, else the bundled one. Raises UnknownName.

    The own one counts even if it cannot be read: nobody should get another version than the one in his folder.
    """
    own = own_folder() / f"{name}.toml"
    return own if os.path.lexists(own) else bundled_file(name)


def bundled_file(name: str) -> Path:
    """Return the file of a bundled service. Raises UnknownName, which tells the nearest name."""
    if name in service_names():
        return _FOLDER / f"{name}.toml"
    known = known_names()
    otherwise = f"known by name are {', '.join(known)}; or name a TOML file"
    raise UnknownName(f"there is no service '{name}': {hint(name, known, otherwise)}")


def is_bundled(file: Path) -> bool:
    """Tell whether a service's file came with catchment."""
    return file.parent == _FOLDER


@cache
def bundled_service(name: str) -> Service:
    """Return a bundled service, whether or not there is an own version of it. Raises UnknownName."""
    return load_service(bundled_file(name), lambda other: load_uncorrected(bundled_file(other)))


def find_service(name: str) -> Service:
    """Return a service by its name or the path of its TOML file. Raises UnknownName and InvalidFile."""
    if is_path(name):
        return load_service(Path(name), _lend)
    file = _readable_file(name)
    service = load_service(file, _lend)
    if service.name != name:
        raise InvalidFile(f"{file}: key 'name' is '{service.name}', but the file is called {name}.toml: mend either")
    return service


def usable_services() -> tuple[list[Service], list[str]]:
    """Return the services that have a name, and a warning for each file of the user's that is of no use.

    The bundled version then stands in for it. Those that have a bundled version come last: where services share an
    address, the last one has it.
    """
    services, warnings = list[Service](), list[str]()
    bundled = service_names()
    for name in (*(name for name in known_names() if name not in bundled), *bundled):
        try:
            services.append(find_service(name))
        except CatchmentError as error:
            warnings.append(f"{error}; until then it is {'the bundled version' if name in bundled else 'left out'}")
            services += [bundled_service(name)] if name in bundled else []
    return services, warnings


def is_path(name: str) -> bool:
    """Tell whether a service is named by the path of its file."""
    return name.endswith(".toml") or "/" in name


def _lend(name: str) -> Service:
    return load_uncorrected(_readable_file(name))


def _readable_file(name: str) -> Path:
    """Return the file of a named service. Raises UnknownName, and InvalidFile where it is a link to nowhere."""
    file = service_file(name)
    if file.is_symlink() and not file.exists():
        raise InvalidFile(f"{file}: a link to '{os.readlink(file)}', where nothing is: mend the link, or remove it")
    return file


def _names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml") if path.stem.isprintable())
