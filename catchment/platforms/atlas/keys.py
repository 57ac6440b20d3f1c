"""API keys of RIPE Atlas: where users keep them, and which of them serves what."""

from __future__ import annotations

import configparser
import os
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

KEYS_PAGE = "https://atlas.ripe.net/keys/"
_LARGEST_FILE = 1 << 16


class Permission(StrEnum):
    """What a key may be allowed to do, by the name that users see where they make keys."""

    CREATE = "Schedule a new measurement"
    STOP = "Stop a measurement"
    LIST = "List your measurements"
    RESULTS = "Download results of a measurement"
    CREDITS = "Get information about your credits"


class Use(Enum):
    """What some keep a key of its own for."""

    CREATE = "create"
    STOP = "stop"
    FETCH = "fetch"


_ALL = tuple(Use)
_OF_VARIABLES = {  # those of ripe-atlas-tools, Blaeu, others, and cousteau's README; the first goes first
    "ATLAS_CREATE_KEY": (Use.CREATE, Use.STOP),
    "ATLAS_FETCH_KEY": (Use.FETCH,),
    "ATLASAUTH": _ALL,
    "RIPE_ATLAS_API_KEY": _ALL,
    "ATLAS_API_KEY": _ALL,
}
VARIABLES = tuple(_OF_VARIABLES)
"""The environment variables in which keys are sought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key and the name of the place it was found in; only the place may be shown."""

    value: str = field(repr=False)
    source: str

    @property
    def can_be_sent(self) -> bool:
        """Tell whether it can stand in a header of HTTP. Libraries show in their messages what cannot."""
        return bool(self.value) and all("!" <= char <= "~" for char in self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of a user: to create measurements, to read what is not public, and where there is one, to stop.

    `warnings` are what is wrong with the files in which they were sought.
    """

    create: Key | None = None
    fetch: Key | None = None
    stop: Key | None = None
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Key]:
        return (key for key in (self.create, self.fetch, self.stop) if key is not None)

    def serving(self, permission: Permission) -> Key | None:
        """Return the key for what needs this permission; None where there is none."""
        match permission:
            case Permission.CREATE:
                return self.create
            case Permission.STOP:
                return self.stop or self.create
            case _:
                return self.fetch or self.create


def find_keys(environ: Mapping[str, str], *, given: str | None = None, home: Path | None = None) -> Keys:
    """Return for each use the first key that serves it: the one `given`, of the environment, of other tools' files.

    A key that is given serves everything; a name among the `fetch_aliases` of ripe-atlas-tools stands for that key, and
    serves reading. Files are sought below `home`, by default the environment's HOME; without either none is read.
    """
    if home is None and environ.get("HOME"):
        home = Path(environ["HOME"])
    folder = None if home is None else _Folder(home=home, config=_config_folder(environ, home))
    found: dict[Use, Key] = {}
    for key, uses in _sources(environ, given, folder):
        for use in uses:
            found.setdefault(use, key)
        if len(found) == len(_ALL):
            break
    return Keys(
        create=found.get(Use.CREATE),
        fetch=found.get(Use.FETCH),
        stop=found.get(Use.STOP),
        warnings=() if folder is None else tuple(dict.fromkeys(folder.warnings)),
    )


_Uses = tuple[Use, ...]


def _sources(environ: Mapping[str, str], given: str | None, folder: _Folder | None) -> Iterator[tuple[Key, _Uses]]:
    """Yield keys and what they serve, the first first; a file is read only if nothing before it ends the search."""
    if given is not None:
        alias = None if folder is None else folder.alias(given.strip())
        yield (Key(value=given.strip(), source="--key"), _ALL) if alias is None else (alias, (Use.FETCH,))
    for name, uses in _OF_VARIABLES.items():
        value = environ.get(name, "").strip()
        if value:
            yield Key(value=value, source=name), uses
    if folder is not None:
        yield from folder.keys()


def _config_folder(environ: Mapping[str, str], home: Path) -> Path:
    given = Path(environ.get("XDG_CONFIG_HOME", ""))
    return given if given.is_absolute() else home / ".config"  # relative ones have to be ignored, says XDG


class _Folder:
    """Files of other tools in which users keep keys. What is wrong with one is a warning that never shows its content.

    goat and keltia's ripe-atlas look below HOME only; ripe-atlas-tools heeds XDG_CONFIG_HOME.
    """

    def __init__(self, *, home: Path, config: Path) -> None:
        self.warnings: list[str] = []
        self._home = home
        self._tools = config / "ripe-atlas-tools" / "rc"

    def alias(self, name: str) -> Key | None:
        """Return the key that ripe-atlas-tools knows by a name, if it is one."""
        aliases = self._values(self._tools, _read_tools).get("fetch_aliases")
        value = aliases.get(name) if isinstance(aliases, dict) else None
        return self._key(self._tools, f"fetch_aliases.{name}", value)

    def keys(self) -> Iterator[tuple[Key, _Uses]]:
        """Yield the keys of each file in turn."""
        for file, read, names in (
            (self._tools, _read_tools, {"create": (Use.CREATE, Use.STOP), "fetch": (Use.FETCH,)}),
            (self._home / ".atlas" / "auth", _read_first_line, {"": _ALL}),
            (
                self._home / ".config" / "goat.ini",
                _read_goat,
                {
                    "create_measurements": (Use.CREATE,),
                    "list_measurements": (Use.FETCH,),
                    "stop_measurements": (Use.STOP,),
                },
            ),
            (self._home / ".config" / "ripe-atlas" / "config.toml", _read_keltia, {"API_key": _ALL}),
        ):
            values = self._values(file, read)
            for name, uses in names.items():
                key = self._key(file, name, values.get(name))
                if key is not None:
                    yield key, uses

    def _key(self, file: Path, name: str, value: object) -> Key | None:
        if value is None or value == "":
            return None
        where = f"{self._shown(file)} ({name})" if name else self._shown(file)
        key = Key(value=value.strip() if isinstance(value, str) else "", source=where)
        if not key.can_be_sent:
            self.warnings.append(f"{where}: passed over, because that is no key: copy it anew from {KEYS_PAGE}")
            return None
        if _is_open_to_all(file):
            shown = self._shown(file)
            self.warnings.append(f"{shown}: everybody on this host can read the key in it: `chmod 600 {shown}`")
        return key

    def _values(self, file: Path, read: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any]:
        try:
            return read(_text(file))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            self._pass_over(file, f"it cannot be read ({error.strerror})")
        except Exception:  # noqa: BLE001  (PyYAML lets whatever happens inside of it through, with the file's content)
            self._pass_over(file, "it is not what its program writes")
        return {}

    def _pass_over(self, file: Path, why: str) -> None:
        self.warnings.append(f"{self._shown(file)}: passed over in the search for a key, because {why}: mend the file")

    def _shown(self, file: Path) -> str:
        return f"~/{file.relative_to(self._home)}" if file.is_relative_to(self._home) else str(file)


def _is_open_to_all(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:  # gone by now
        return False


def _text(file: Path) -> str:
    """Return the text of a file. Raises OSError or ValueError where it is none, or is far too large for settings."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would keep us waiting
    with open(descriptor, "rb") as content:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("no regular file")
        text = content.read(_LARGEST_FILE + 1)
    if len(text) > _LARGEST_FILE:
        raise ValueError("too large")
    return text.decode("utf-8-sig")


def _read_tools(text: str) -> Mapping[str, Any]:
    import yaml  # noqa: PLC0415  (few keep their keys there)

    settings = _mapping(yaml.safe_load(text))
    return _mapping(settings.get("authorisation"))


def _read_first_line(text: str) -> Mapping[str, Any]:
    return {"": text.partition("\n")[0].strip()}


def _read_goat(text: str) -> Mapping[str, Any]:
    settings = configparser.ConfigParser(
        interpolation=None, strict=False, allow_no_value=True, inline_comment_prefixes=("#", ";")
    )
    settings.read_string(f"[goat]\n{text}")  # its first settings stand before any section
    found = settings["apikeys"] if settings.has_section("apikeys") else {}
    return {name: (value or "").strip("\"'` ") for name, value in found.items()}


def _read_keltia(text: str) -> Mapping[str, Any]:
    # Its library takes API_key, APIKey and api_key for the same.
    settings = tomllib.loads(text)
    return {"API_key": next((settings[name] for name in settings if name.replace("_", "").lower() == "apikey"), None)}


def _mapping(found: Any) -> Mapping[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise TypeError("no mapping")
    return found
