"""How a lab is reached: each request is a connection of its own to its control socket."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from catchment.errors import PlatformFailed
from catchment.platforms.lab import folders
from catchment.platforms.lab.conversation import line, lines

_ANSWER_TIMEOUT_S = 60.0
_LAST_WORD_TIMEOUT_S = 5.0


class Contact:
    """Asks a lab. Every method raises PlatformFailed: the lab's own complaint, or that it runs no more."""

    def __init__(self, name: str, folder: Path, starter: socket.socket | None) -> None:
        self._name = name
        self._folder = folder
        self._starter = starter  # the connection to the lab of who started it

    def ask(self, **request: Any) -> Any:
        """Return what the lab answers."""
        connection, answer = self.asked(**request)
        connection.close()
        return answer

    def asked(self, **request: Any) -> tuple[socket.socket, Any]:
        """Return the connection over which the lab answered, and what."""
        with ExitStack() as closing:
            connection = closing.enter_context(self.send(**request))
            try:
                answer = next(lines(connection), None)
            except TimeoutError as error:
                raise PlatformFailed(
                    f"lab '{self._name}' does not answer: end it (`catchment lab down {self._name}`), and start it anew"
                ) from error
            except OSError as error:
                raise self._gone() from error
            if answer is None:
                raise self._gone()
            if "error" in answer:
                raise PlatformFailed(f"lab '{self._name}': {answer['error']}")
            closing.pop_all()
        return connection, answer["ok"]

    def send(self, **request: Any) -> socket.socket:
        """Return the connection over which the lab is going to answer."""
        connection = self.connect()
        try:
            connection.sendall(line(request))
        except OSError as error:
            connection.close()
            raise self._gone() from error
        return connection

    def connect(self) -> socket.socket:
        """Return a connection to the lab."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_ANSWER_TIMEOUT_S)
        try:
            connection.connect(str(self._folder / folders.SOCKET))
        except OSError as error:
            connection.close()
            raise self._gone() from error
        return connection

    def _gone(self) -> PlatformFailed:
        """Return the complaint that it runs no more, with the reason if it told us."""
        why = ""
        if self._starter is not None and self._starter.fileno() >= 0:
            self._starter.settimeout(_LAST_WORD_TIMEOUT_S)
            with suppress(OSError, ValueError):
                last = next(lines(self._starter), {})
                why = f" ({last['ended']})" if "ended" in last else ""
        return PlatformFailed(f"lab '{self._name}' does not run{why}: start it with `catchment lab up`")
