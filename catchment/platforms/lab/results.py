"""What is measured in a lab, on its way to who asked."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from catchment.errors import PlatformFailed
from catchment.platforms.lab.conversation import lines


class Results(Iterator[dict[str, Any]]):
    """Results as they come. They are taken in meanwhile, so that nobody who measures has to wait for who reads."""

    def __init__(self, connection: socket.socket, lab: str) -> None:
        self._connection = connection
        self._lab = lab
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._is_over = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __next__(self) -> dict[str, Any]:
        """Return the next result. Raises PlatformFailed where the lab ends before all have come."""
        got = None if self._is_over else self._messages.get()
        if got is not None and "result" in got:
            result: dict[str, Any] = got["result"]
            return result
        is_early, self._is_over = not self._is_over, True
        if is_early and got is None:
            raise PlatformFailed(f"lab '{self._lab}' ended in the midst of measuring: start it anew, and measure again")
        if got is not None and "error" in got:
            raise PlatformFailed(f"lab '{self._lab}': {got['error']}")
        raise StopIteration

    def close(self) -> None:
        """Want no more: who measures stops at the next result."""
        self._is_over = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join()

    def _read(self) -> None:
        with self._connection, suppress(OSError, ValueError):
            for message in lines(self._connection):
                self._messages.put(message)
        self._messages.put(None)
