"""The first process of a lab: it owns everything there, answers on a socket, and takes all with it when it ends.

It ends when it is told to, after its time, when nobody has asked for anything for long, and, unless it was detached,
with who started it. The kernel ends all other processes of the lab then, and with them go the namespaces.

Each connection brings one request, a line of JSON with what to `do`, and gets one line: what came of it (`ok`), or an
`error`. What is measured comes as lines with a `result` each; the last one says that it is `done`.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catchment.errors import CatchmentError, PlatformFailed
from catchment.platforms.lab import folders
from catchment.platforms.lab.conversation import (
    END,
    MOST_BYTES,
    ORDER,
    as_blueprint,
    as_delay_ms,
    as_loss,
    line,
    lines,
    message,
)
from catchment.platforms.lab.namespaces import hide_run
from catchment.platforms.lab.running import RunningLab

_PROBER = "catchment.platforms.lab.prober"
_SEND_TIMEOUT_S = 5.0
_CREDENTIALS = struct.Struct("iII")


@dataclass(slots=True)
class _Talk:
    """A connection whose request is not whole yet."""

    connection: socket.socket
    got: bytearray = field(default_factory=bytearray)


class Supervisor:
    """Answers requests about a lab, until something ends it."""

    def __init__(
        self, lab: RunningLab, listener: socket.socket, owner: socket.socket, *, ends_with_owner: bool, **limits: Any
    ) -> None:
        self._lab = lab
        self._listener = listener
        self._owner = owner
        self._ends_with_owner = ends_with_owner
        self._started = time.monotonic()
        self._for_s: float | None = limits["for_s"]
        self._idle_s: float = limits["idle_s"]
        self._quiet_since = self._started
        self._open = 0  # connections, rounds and streams
        self._ended: str | None = None
        self._selector = selectors.DefaultSelector()
        self._prober: tuple[subprocess.Popen[bytes], socket.socket] = _start_prober()

    def run(self) -> str:
        """Answer until the lab is to end; return why."""
        signals, wake = socket.socketpair()
        for end in (signals, wake):
            end.settimeout(0)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note_signal)
        self._watch(self._listener, self._accept)
        self._watch(signals, lambda: self._reap(signals))
        if self._ends_with_owner:
            self._watch(self._owner, lambda: self._end("who started it went away"))
        while self._ended is None:
            for key, _ in self._selector.select(self._patience_s()):
                key.data()
            self._look_at_the_time()
        return self._ended

    def _watch(self, what: socket.socket | int, then: Callable[[], None]) -> None:
        self._selector.register(what, selectors.EVENT_READ, then)

    def _end(self, why: str) -> None:
        self._ended = self._ended or why

    def _note_signal(self, number: int, _: object) -> None:
        self._end(f"it got {signal.Signals(number).name}")

    def _reap(self, signals: socket.socket) -> None:
        """Take note of children that ended; the first process of a namespace gets all its orphans."""
        with suppress(BlockingIOError):
            signals.recv(4096)
        self._prober[0].poll()
        self._lab.take_note()
        broken = self._lab.broken()
        if broken is not None:
            self._end(broken)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _patience_s(self) -> float | None:
        """Return how long nothing need happen before the lab ends by itself."""
        ends = [end for end, _ in self._limits()]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _look_at_the_time(self) -> None:
        for end, why in self._limits():
            if time.monotonic() >= end:
                self._end(why)

    def _limits(self) -> list[tuple[float, str]]:
        limits = []
        if self._for_s is not None:
            limits.append((self._started + self._for_s, f"its {self._for_s:g} s were over"))
        if not self._open and not self._ends_with_owner:
            limits.append((self._quiet_since + self._idle_s, f"nobody used it for {self._idle_s:g} s"))
        return limits

    def _opened(self) -> None:
        self._open += 1

    def _closed(self) -> None:
        self._open -= 1
        self._quiet_since = time.monotonic()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # whoever wanted it has gone again
            return
        _, user, _ = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if user != os.getuid():
            connection.close()
            return
        connection.settimeout(_SEND_TIMEOUT_S)
        talk = _Talk(connection)
        self._opened()
        self._watch(connection, lambda: self._hear(talk))

    def _hear(self, talk: _Talk) -> None:
        """Take in some of a request; answer it once it is whole."""
        try:
            more = talk.connection.recv(1 << 20)
        except OSError:
            more = b""
        talk.got += more
        if more and b"\n" not in more and len(talk.got) <= MOST_BYTES:
            return
        self._selector.unregister(talk.connection)
        with talk.connection:
            if b"\n" in talk.got:
                answer = self._answer(bytes(talk.got.partition(b"\n")[0]), talk.connection)
                if answer is not None:
                    with suppress(OSError):  # whoever asked has gone, or does not read
                        talk.connection.sendall(line(answer))
        self._closed()

    def _answer(self, request: bytes, connection: socket.socket) -> dict[str, Any] | None:
        """Return what is said to a request; None where a prober says it."""
        try:
            return self._do(message(request), request, connection)
        except CatchmentError as error:
            return {"error": str(error)}
        except Exception as error:  # noqa: BLE001  (no request may end the lab, whatever is wrong with it)
            return {"error": f"not a request that can be met: {type(error).__name__}: {error}"}

    def _do(self, asked: dict[str, Any], request: bytes, connection: socket.socket) -> dict[str, Any] | None:
        answer: Any = None
        match asked["do"]:
            case "status":
                left_s = None if self._for_s is None else self._started + self._for_s - time.monotonic()
                answer = {"up_s": time.monotonic() - self._started, "left_s": left_s, **self._lab.status()}
            case "bird":
                answer = self._lab.bird(asked["node"], asked["command"])
            case "sessions":
                answer = self._lab.sessions()
            case "apply":
                answer = self._lab.apply(as_blueprint(asked["blueprint"]))
            case "wire":
                self._lab.change_wire(asked["name"], **_condition(asked))
            case "measure" | "stream":
                self._measure(asked, request, connection)
                return None
            case "end-streams":
                self._prober[1].send(END)
            case "down":
                self._end("it was told to")
            case unknown:
                raise PlatformFailed(f"a lab cannot do {unknown!r}: use the version of catchment that started it")
        return {"ok": answer}

    def _measure(self, asked: dict[str, Any], request: bytes, connection: socket.socket) -> None:
        """Have the prober measure, and answer over the connection itself."""
        for node in asked["vantages"].values():
            self._lab.require(node)
        if self._prober[0].poll() is not None:
            self._prober = _start_prober()
        held, theirs = os.pipe()
        with open(os.memfd_create("request"), "wb") as file:
            file.write(request)
            file.flush()
            socket.send_fds(self._prober[1], [ORDER], [connection.fileno(), file.fileno(), theirs])
        os.close(theirs)
        self._opened()

        def over() -> None:
            self._selector.unregister(held)
            os.close(held)
            self._closed()

        self._watch(held, over)


def _condition(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a request says that a wire is like from now on. Raises ValueError."""
    changed: dict[str, Any] = {}
    if asked.get("delay_ms") is not None:
        changed["delay_ms"] = as_delay_ms(asked["delay_ms"])
    if asked.get("loss") is not None:
        changed["loss"] = as_loss(asked["loss"])
    if asked.get("is_cut") is not None:
        changed["is_cut"] = bool(asked["is_cut"])
    return changed


def _start_prober() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_SEND_TIMEOUT_S)
    with theirs:
        return subprocess.Popen([sys.executable, "-P", "-m", _PROBER], stdin=theirs.fileno()), ours  # noqa: S603


def main() -> None:
    """Be the first process of a lab. Arguments: descriptors of its folder, its socket, and who starts it."""
    held, listener, owner = map(int, sys.argv[1:])
    with socket.socket(fileno=owner) as starter:
        order = next(lines(starter))
        folder = Path(order["folder"])
        try:
            hide_run()
            lab = RunningLab(as_blueprint(order["blueprint"]))
            control = socket.socket(fileno=listener)
            control.listen()
            supervisor = Supervisor(
                lab,
                control,
                starter,
                ends_with_owner=not order["detach"],
                for_s=order["for_s"],
                idle_s=order["idle_s"],
            )
            starter.sendall(line({"ready": True}))
            why = supervisor.run()
            last = {"ended": why}
        except (CatchmentError, ValueError, OSError) as error:
            last = {"error": str(error)}
        folders.remove(held, folder)
        with suppress(OSError):
            starter.sendall(line(last))
    os._exit(0)  # the kernel ends all others with the first process


if __name__ == "__main__":
    main()
