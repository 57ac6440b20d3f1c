"""What the supervisor of a lab has the prober do, who measures in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress

from catchment.errors import PlatformFailed

ORDER, END = b"order", b"end"
"""What is said: an order comes with the user's connection, a file that holds the request, and something to hold as long
as it takes; the end is that of all streams."""

_PROBER = "catchment.platforms.lab.prober"
_SEND_TIMEOUT_S = 5.0


class Orders:
    """The way to the prober. One that died is started anew."""

    def __init__(self) -> None:
        self._process, self._socket = _start()

    def take_note(self) -> None:
        """Take note if it ended."""
        self._process.poll()

    def measure(self, request: bytes, connection: socket.socket) -> int:
        """Have a request met over the user's connection; return a descriptor that is at its end when it is.

        Raises PlatformFailed.
        """
        held, theirs = os.pipe()
        try:
            with open(os.memfd_create("request"), "wb") as file:
                file.write(request)
                file.flush()
                self._send(ORDER, connection.fileno(), file.fileno(), theirs)
        except BaseException:
            os.close(held)
            raise
        finally:
            os.close(theirs)
        return held

    def end_streams(self) -> None:
        """Have all streams end. Raises PlatformFailed."""
        self._send(END)

    def _send(self, what: bytes, *descriptors: int) -> None:
        if self._process.poll() is not None:
            self._socket.close()
            self._process, self._socket = _start()
        try:
            socket.send_fds(self._socket, [what], descriptors)
        except OSError as error:
            with suppress(ProcessLookupError):
                self._process.kill()  # the next order finds another one
            raise PlatformFailed("the lab's prober does not answer: measure again") from error


def _start() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_SEND_TIMEOUT_S)
    with theirs:
        return subprocess.Popen([sys.executable, "-P", "-m", _PROBER], stdin=theirs.fileno()), ours  # noqa: S603
