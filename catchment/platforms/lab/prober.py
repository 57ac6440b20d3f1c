"""The one who measures in a lab: sends packets from the namespaces of its vantage points.

It is started with the lab and loads then what measuring takes, so that a round begins at once. Each round and each
stream has a process of its own, forked from it, whose results go to the user's connection without a detour.

Sockets are opened within the namespace of their vantage point, and stay in it.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from catchment.campaign import Query
from catchment.campaign.tables import check
from catchment.errors import CatchmentError
from catchment.platforms.lab.conversation import line, message
from catchment.platforms.lab.namespaces import Namespaces
from catchment.platforms.lab.orders import END, ORDER
from catchment.platforms.local.rounds import measure_round
from catchment.platforms.local.streams import stream
from catchment.platforms.local.vantages import Vantage
from catchment.store import Measurement

_ASKED = Path("request")  # what complaints call it
_MOST_WAITING = 50_000  # results that a slow reader may leave, some 50 MB: then measuring waits too


def main() -> None:
    """Take orders over the socket that is the standard input, until its other end is closed."""
    working: dict[int, bool] = {}  # processes, and whether each makes a stream
    with socket.socket(fileno=os.dup(0)) as orders:

        def reap(*_: object) -> None:
            for process in list(working):
                with suppress(ChildProcessError):  # a second signal came in the midst of the first
                    if os.waitpid(process, os.WNOHANG)[0]:
                        del working[process]

        signal.signal(signal.SIGCHLD, reap)
        # A stream that is ended as soon as it is ordered hears of it once it listens.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        while True:
            what, descriptors, _, _ = socket.recv_fds(orders, len(ORDER), 3)
            if not what:
                return
            if what == END:
                for process in [each for each, is_stream in list(working.items()) if is_stream]:
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGTERM)
                continue
            connection, request, held = descriptors
            asked = _read(request)
            process = os.fork()
            if process == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                orders.close()
                _serve(connection, asked)
            working[process] = asked.get("do") == "stream"
            reap()  # it may have ended before it was noted
            os.close(connection)
            os.close(held)


def _read(file: int) -> dict[str, Any]:
    with os.fdopen(file, "rb") as request:
        request.seek(0)
        return message(request.read())


def _serve(connection: int, asked: Mapping[str, Any]) -> NoReturn:
    """Measure what is asked for, tell what comes of it over the connection, and end."""
    with socket.socket(fileno=connection) as user:
        # The supervisor's time limit made it one that never waits: that is a matter of the open file, not of a process.
        user.settimeout(None)
        told: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        teller = threading.Thread(target=_tell, args=(user, told))
        teller.start()
        try:
            for result in results(asked):
                told.put(line({"result": result}))
            last: dict[str, Any] = {"done": True}
        except CatchmentError as error:
            last = {"error": str(error)}
        except Exception as error:  # noqa: BLE001  (whatever it is, the user is told instead of waiting for ever)
            last = {"error": f"measuring failed: {type(error).__name__}: {error}: look at the request"}
        told.put(line(last))
        told.put(None)
        teller.join()
    os._exit(0)


def _tell(user: socket.socket, told: queue.Queue[bytes | None]) -> None:
    """Send what is to be told, beside the measuring: who reads slowly delays no packet."""
    try:
        while (text := told.get()) is not None:
            user.sendall(text)
    except OSError:
        os._exit(0)  # nobody wants to know any more


def results(asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the results of a round or a stream that is asked for. Raises CatchmentError."""
    namespaces = Namespaces()
    vantages = [_vantage(namespaces, name, node) for name, node in asked["vantages"].items()]
    if asked["do"] == "stream":
        is_ended = _on_request()
        until = time.monotonic() + asked["seconds"]
        yield from stream(
            vantages,
            check(Measurement, asked["measurement"], _ASKED),
            check(Query, asked["query"], _ASKED),
            per_s=asked["per_s"],
            is_over=lambda: bool(is_ended) or time.monotonic() > until,
            timeout_s=asked["timeout_s"],
        )
        return
    yield from measure_round(
        vantages,
        [check(Measurement, each, _ASKED) for each in asked["measurements"]],
        {int(number): check(Query, query, _ASKED) for number, query in asked["queries"].items()},
        rate_per_s=asked["rate_per_s"],
        timeout_s=asked["timeout_s"],
    )


def _vantage(namespaces: Namespaces, name: str, node: str) -> Vantage:
    def open_socket(family: int, kind: int, protocol: int) -> socket.socket:
        return namespaces.open_socket(node, family, kind, protocol)

    return Vantage(name=name, open_socket=open_socket)


def _on_request() -> list[int]:
    """Return a list that is no longer empty once the stream is to end."""
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return asked


if __name__ == "__main__":
    main()
