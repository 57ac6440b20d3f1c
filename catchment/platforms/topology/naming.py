"""Names for the servers of a site that publishes none, made from the forms of a service's identities."""

from __future__ import annotations

import re
from collections.abc import Sequence

from catchment.model import Pattern

_OPENING = re.compile(r"\((?:\?:|\?P<(?P<name>\w+)>|(?!\?))")
_CLASS = re.compile(r"\[(?!\^)(?P<members>(?:\\.|[^\]\\])+)\]")
_COUNT = re.compile(r"(?:(?P<sign>[?*+])|\{(?P<least>\d+)(?:,\d*)?\})[?+]?")
_LETTERS = {"w": "a", "s": " "}


def made_identity(patterns: Sequence[Pattern], codes: Sequence[str], server: int) -> str | None:
    """Return the name of a server in the first form that can hold one of the site's codes, None where none can.

    The group `site` takes the code, the group `server` the number; all else is written as shortly as the form allows.
    Where a form is too difficult, the bare code in upper case may be a name. A name that is returned matches its form,
    whatever the letter case.
    """
    for pattern in patterns:
        for code in codes:
            for text in (_Form(pattern.regex, code, server).filled(), code.upper()):
                match = re.fullmatch(pattern.regex, text, re.IGNORECASE) if text is not None else None
                if match is not None and (match["site"] or "").casefold() == code.casefold():
                    return text
    return None


class _Form:
    """A regular expression that is read from left to right and written down as one string that it matches."""

    def __init__(self, regex: str, code: str, server: int) -> None:
        self._regex = regex
        self._at = 0
        self._code = code
        self._server = server
        self._in_server = False

    def filled(self) -> str | None:
        """Return a string, or None where the expression holds something that is not understood here."""
        try:
            text = self._choice()
        except ValueError:
            return None
        return text if self._at == len(self._regex) else None

    def _choice(self) -> str:
        """Return the first of the alternatives; the others are only passed over."""
        text = self._sequence()
        while self._regex[self._at : self._at + 1] == "|":
            self._at += 1
            self._sequence()
        return text

    def _sequence(self) -> str:
        written = []
        while self._at < len(self._regex) and self._regex[self._at] not in "|)":
            start = self._at
            text = self._atom()
            needed = "(?P<site>" in self._regex[start : self._at]
            count = max(self._least(), int(needed))
            # Several digits of a server's number are one number, with zeros before it.
            written.append(text.zfill(count) if self._in_server and text.isdigit() and count else text * count)
        return "".join(written)

    def _atom(self) -> str:
        opening, members = _OPENING.match(self._regex, self._at), _CLASS.match(self._regex, self._at)
        if opening is not None:
            self._at = opening.end()
            return self._group(opening["name"])
        if members is not None:
            self._at = members.end()
            return self._member(members["members"])
        character = self._regex[self._at]
        if character in "([{*+?":
            raise ValueError(f"not understood: {self._regex[self._at :]}")
        self._at += 1
        if character in "^$":
            return ""
        if character == "\\":
            self._at += 1
            return self._escaped(self._regex[self._at - 1 : self._at])
        return "a" if character == "." else character

    def _group(self, name: str | None) -> str:
        before, self._in_server = self._in_server, self._in_server or name == "server"
        text = self._choice()
        if self._regex[self._at : self._at + 1] != ")":
            raise ValueError("a group is not closed")
        self._at += 1
        self._in_server = before
        return self._code if name == "site" else text

    def _member(self, members: str) -> str:
        """Return one of the characters of a class: the first, in a server's name the one of its number."""
        if members[0] == "\\":
            return self._escaped(members[1])
        if members.startswith("0-9"):
            return self._escaped("d")
        offset = self._server - 1 if self._in_server and members[1:2] == "-" else 0
        return chr(ord(members[0]) + offset)

    def _escaped(self, character: str) -> str:
        if character == "d":
            return str(self._server) if self._in_server else "1"
        if character.isalnum() and character not in _LETTERS:
            raise ValueError(f"not understood: \\{character}")
        return _LETTERS.get(character, character)

    def _least(self) -> int:
        """Return how often the atom just read must be there at least."""
        count = _COUNT.match(self._regex, self._at)
        if count is None:
            return 1
        self._at = count.end()
        return int(count["least"]) if count["least"] is not None else int(count["sign"] == "+")
