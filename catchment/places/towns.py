"""Which names are one town's."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

_TABLE = Path(__file__).parent / "towns.toml"
# Letters that Unicode does not take apart into a base letter and marks.
_LETTERS = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ı": "i", "ə": "a"})  # noqa: RUF001  (meant)
_APOSTROPHES = re.compile("['’‘`´ʻʼ]")  # noqa: RUF001  (these are meant)
_NO_WORDS = re.compile(r"[\W_]+")
_SAINT = re.compile(r"\b(?:st|ste)\b")
_FORT = re.compile(r"\bft\b")
_REMARK = re.compile(r"[,/(]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a code of a place stands for: the code in lower case, the town, its ISO country, and degrees."""

    code: str
    town: str
    country: str
    latitude: float
    longitude: float


@lru_cache(maxsize=65_536)
def town_key(town: str, country: str) -> tuple[str, str]:
    """Return (country, folded town), which is the same for all names of one town: by this, towns are compared.

    Spelling does not count, nor what follows a comma, a slash or a bracket; names in other languages, former names and
    common misspellings are in a table, and towns that only the bracket tells apart: `Frankfurt (Oder)`. Two towns of
    one name in one country are not told apart.
    """
    country = country.upper()
    whole, first = _folded(town, country), _folded(_REMARK.split(town, maxsplit=1)[0], country)
    names = _names()
    return country, names.get((country, whole)) or names.get((country, first)) or first or whole


def _folded(name: str, country: str) -> str:
    """Return a name in lower case without marks, punctuation and a last 'City', with 'St.' and 'Ft.' written out."""
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = _NO_WORDS.sub(" ", _APOSTROPHES.sub("", plain)).strip()
    plain = _FORT.sub("fort", _SAINT.sub("saint", plain))
    # Kansas City and Oklahoma City are not Kansas and Oklahoma; elsewhere, 'City' is only said to tell it from a state.
    return plain if country == "US" else plain.removesuffix(" city")


@cache
def _names() -> dict[tuple[str, str], str]:
    table: dict[str, dict[str, list[str]]] = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        (country, _folded(other, country)): _folded(name, country)
        for country, names in table.items()
        for name, others in names.items()
        for other in (name, *others)
    }
