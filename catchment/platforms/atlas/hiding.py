"""Secrets that must be in no text: found also where somebody sends them back encoded, in other letters, or in part."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

HIDDEN = "(key)"
_SHORTEST = 8  # so many characters of a secret in a row are no accident, and fewer help nobody to guess the rest
_CHARACTER = re.compile(r"%(?:25)*([0-9A-Fa-f]{2})|.", re.DOTALL)
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}  # unlike lower(), this keeps the length


class Hiding:
    """Replaces some secrets in texts: whole or from eight characters on, plain, percent-encoded, base64 or hexadecimal.

    A server that was shown a key may say it again: in its complaint, in the address of a page, cut somewhere.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        shapes = {shape.translate(_LOWER) for secret in secrets if secret for shape in _shapes(secret)}
        self._windows: dict[int, set[str]] = {}
        for shape in shapes:
            size = min(_SHORTEST, len(shape))
            self._windows.setdefault(size, set()).update(_pieces(shape, size, 1))
        self._marks = {piece for shape in shapes for piece in _pieces(shape, min(_SHORTEST, len(shape)), _SHORTEST)}

    def __call__(self, text: str) -> str:
        """Return a text without the secrets."""
        if not self._windows:
            return text
        characters = list(_CHARACTER.finditer(text))
        plain = "".join(chr(int(one[1], 16)) if one[1] else one[0] for one in characters).translate(_LOWER)
        is_secret = bytearray(len(plain))
        for size, windows in self._windows.items():
            for start in range(len(plain) - size + 1):
                if plain[start : start + size] in windows:
                    is_secret[start : start + size] = b"\1" * size
        shown = []
        for number, one in enumerate(characters):
            if not is_secret[number]:
                shown.append(one[0])
            elif number == 0 or not is_secret[number - 1]:
                shown.append(HIDDEN)
        return "".join(shown)

    def may_be_in(self, text: str) -> bool:
        """Tell, quickly for long texts, whether a secret may be in one; half a secret surely is found."""
        plain = (unquote(text) if "%" in text else text).lower() if self._marks else ""
        return any(mark in plain for mark in self._marks)

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


def _pieces(shape: str, size: int, step: int) -> Collection[str]:
    return {shape[start : start + size] for start in range(0, len(shape) - size + 1, step)}


def _shapes(secret: str) -> Iterator[str]:
    """Yield a secret in the ways in which it may come back."""
    yield secret
    if len(secret.replace("-", "")) >= _SHORTEST:
        yield secret.replace("-", "")
    content = secret.encode()
    yield content.hex()
    for lead in range(3):  # base64 takes three bytes at once: what stands before shifts the secret's characters
        coded = base64.b64encode(bytes(lead) + content).decode()
        whole = coded[(lead * 8 + 5) // 6 : (lead + len(content)) * 8 // 6]
        if len(whole) >= _SHORTEST:
            yield from {whole, whole.translate(str.maketrans("+/", "-_"))}
