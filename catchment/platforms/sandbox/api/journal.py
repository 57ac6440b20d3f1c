"""What the sandbox accepted, on disk before the client is told: a killed sandbox goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catchment.errors import InvalidFile
from catchment.store import sync


class Journal:
    """A file of JSON lines that only grows; `entries` are those it held when it was opened.

    One entry is one change, whole or not at all: the end of a line that was cut off by a kill is taken away. Raises
    InvalidFile where the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            held = path.read_bytes() if path.exists() else b""
            whole = held[: held.rfind(b"\n") + 1]
            if whole != held:
                os.truncate(path, len(whole))
        except OSError as error:
            raise InvalidFile(f"{path}: {error.strerror}: name a journal that can be read and written") from error
        try:
            self.entries: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise InvalidFile(f"{path}: not a sandbox's journal: name another file, or remove it") from error
        if not all(isinstance(entry, dict) and isinstance(entry.get("at"), int | float) for entry in self.entries):
            raise InvalidFile(f"{path}: not a sandbox's journal: name another file, or remove it")

    @property
    def start(self) -> float | None:
        """Return when the first sandbox on this journal began; None where it is new."""
        return self.entries[0]["at"] if self.entries else None

    @property
    def latest(self) -> float | None:
        """Return the time of the last entry; None where there is none."""
        return max((entry["at"] for entry in self.entries), default=None)

    def append(self, what: str, at: float, content: Mapping[str, Any]) -> None:
        """Write a change that happened `at` a time of the sandbox; when this returns it is on the disk.

        Raises InvalidFile where it cannot be written.
        """
        line = json.dumps({"what": what, "at": at, **content}, separators=(",", ":")) + "\n"
        try:
            self._write(line.encode())
        except OSError as error:
            raise InvalidFile(f"{self._path}: {error.strerror}: name a journal that can be written") from error

    def _write(self, line: bytes) -> None:
        is_new = not self._path.exists()
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync(self._path.parent)  # else the name of the file may be lost where its content is not
