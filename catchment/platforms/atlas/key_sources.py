"""Where keys are sought: the one that is given, variables of the environment, files of other tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from catchment.platforms.atlas.key_files import KeyFiles
from catchment.platforms.atlas.keys import EVERY_USE, Key, Keys, Use

_OF_VARIABLES = {  # those of ripe-atlas-tools, Blaeu, others, and cousteau's README; the first goes first
    "ATLAS_CREATE_KEY": (Use.CREATE, Use.STOP),
    "ATLAS_FETCH_KEY": (Use.FETCH,),
    "ATLASAUTH": EVERY_USE,
    "RIPE_ATLAS_API_KEY": EVERY_USE,
    "ATLAS_API_KEY": EVERY_USE,
}
VARIABLES = tuple(_OF_VARIABLES)
"""The environment variables in which keys are sought."""


def find_keys(environ: Mapping[str, str], *, given: str | None = None, home: Path | None = None) -> Keys:
    """Return for each use the first key that serves it: the one `given`, of the environment, of other tools' files.

    A key that is given serves everything; a name among the `fetch_aliases` of ripe-atlas-tools stands for that key, and
    serves reading. Files are sought below `home`; without it none is read.
    """
    files = None if home is None else KeyFiles(home=home, config=_config_folder(environ, home))
    found: dict[Use, Key] = {}
    for key, uses in _sources(environ, given, files):
        for use in uses:
            found.setdefault(use, key)
        if len(found) == len(EVERY_USE):
            break
    return Keys(
        create=found.get(Use.CREATE),
        fetch=found.get(Use.FETCH),
        stop=found.get(Use.STOP),
        warnings=() if files is None else tuple(dict.fromkeys(files.warnings)),
    )


def _sources(
    environ: Mapping[str, str], given: str | None, files: KeyFiles | None
) -> Iterator[tuple[Key, tuple[Use, ...]]]:
    """Yield keys and what they serve, the first first; a file is read only if nothing before it ends the search."""
    if given is not None:
        alias = None if files is None else files.alias(given.strip())
        yield (Key(value=given.strip(), source="--key"), EVERY_USE) if alias is None else (alias, (Use.FETCH,))
    for name, uses in _OF_VARIABLES.items():
        value = environ.get(name, "").strip()
        if value:
            yield Key(value=value, source=name), uses
    if files is not None:
        yield from files.keys()


def _config_folder(environ: Mapping[str, str], home: Path) -> Path:
    given = Path(environ.get("XDG_CONFIG_HOME", ""))
    return given if given.is_absolute() else home / ".config"  # relative ones have to be ignored, says XDG
