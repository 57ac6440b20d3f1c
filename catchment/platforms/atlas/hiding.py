"""Secrets that must be in no text, also where a server says them again: whole or in part."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

HIDDEN = "(key)"
_SHORTEST = 8  # so many characters of a secret in a row are no accident, and fewer help nobody to guess the rest
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}  # unlike lower(), this keeps the length
_HYPHENS = ("-", "", "%2d")  # a key is a UUID; no encoder touches its other characters (RFC 3986, 2.3)


class Hiding:
    """Replaces some secrets in texts: whole or from eight characters on, in letters of either case.

    A server that was shown a key may say it again: in its complaint, in the address of a page, cut somewhere.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        shapes = {one.translate(_LOWER).replace("-", hyphen) for one in secrets for hyphen in _HYPHENS}
        self._pieces = {
            shape[start : start + _SHORTEST] for shape in shapes for start in range(max(1, len(shape) - _SHORTEST + 1))
        } - {""}

    def __call__(self, text: str) -> str:
        """Return a text without the secrets."""
        plain, is_secret = text.translate(_LOWER), bytearray(len(text))
        for piece in self._pieces:
            start = plain.find(piece)
            while start >= 0:
                is_secret[start : start + len(piece)] = b"\1" * len(piece)
                start = plain.find(piece, start + 1)
        runs = groupby(zip(text, is_secret, strict=True), key=lambda pair: pair[1])
        return "".join(HIDDEN if secret else "".join(char for char, _ in run) for secret, run in runs)

    def may_be_in(self, text: str) -> bool:
        """Tell, quickly for long texts, whether a secret is in one."""
        plain = text.lower()
        return any(piece in plain for piece in self._pieces)

    def from_json(self, value: Any) -> Any:
        """Return JSON without the secrets in its strings and names."""
        match value:
            case str():
                return self(value)
            case list():
                return [self.from_json(one) for one in value]
            case dict():
                return {self(name): self.from_json(one) for name, one in value.items()}
            case _:
                return value
