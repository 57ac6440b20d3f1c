"""Files in which users of other tools keep their keys."""

from __future__ import annotations

import configparser
import os
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from catchment.platforms.atlas.keys import EVERY_USE, KEYS_PAGE, Key, Use

_LARGEST_FILE = 1 << 16


class KeyFiles:
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

    def keys(self) -> Iterator[tuple[Key, tuple[Use, ...]]]:
        """Yield the keys of each file in turn."""
        for file, read, names in (
            (self._tools, _read_tools, {"create": (Use.CREATE, Use.STOP), "fetch": (Use.FETCH,)}),
            (self._home / ".atlas" / "auth", _read_first_line, {"": EVERY_USE}),
            (
                self._home / ".config" / "goat.ini",
                _read_goat,
                {
                    "create_measurements": (Use.CREATE,),
                    "list_measurements": (Use.FETCH,),
                    "stop_measurements": (Use.STOP,),
                },
            ),
            (self._home / ".config" / "ripe-atlas" / "config.toml", _read_keltia, {"API_key": EVERY_USE}),
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
