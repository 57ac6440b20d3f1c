"""The first process of a lab: it owns everything there, answers on a socket, and takes all with it when it ends.

It ends when it is told to, after its time, and with who started it; once that one has let go of it, when nobody has
used it for long. The kernel ends all other processes of the lab then, and with them go the namespaces.

Each connection brings one request, a line of JSON with what to `do`, and gets one line: what came of it (`ok`), or an
`error`. What is measured comes as lines with a `result` each; the last one says that it is `done`. A connection that is
to `hold` the lab counts as use until it is closed.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
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
    MOST_BYTES,
    as_blueprint,
    as_delay_ms,
    as_loss,
    line,
    lines,
    message,
    peer,
)
from catchment.platforms.lab.namespaces import hide_run
from catchment.platforms.lab.orders import Orders
from catchment.platforms.lab.running import RunningLab

_SEND_TIMEOUT_S = 5.0
_LONGEST_NAP_S = 3600.0  # the kernel waits for 2^31 ms at most


@dataclass(slots=True)
class _Talk:
    """A connection whose request is not whole yet."""

    connection: socket.socket
    got: bytearray = field(default_factory=bytearray)


class Supervisor:
    """Answers requests about a lab, until something ends it."""

    def __init__(
        self,
        lab: RunningLab,
        listener: socket.socket,
        owner: socket.socket,
        *,
        for_s: float | None,
        idle_s: float,
    ) -> None:
        self._lab = lab
        self._listener = listener
        self._owner = owner
        self._ends_with_owner = True
        self._started = time.monotonic()
        self._for_s = for_s
        self._idle_s = idle_s
        self._quiet_since = self._started
        self._open = 0  # connections, rounds, streams, and who holds the lab
        self._ended: str | None = None
        self._selector = selectors.DefaultSelector()
        self._orders = Orders()

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
        self._watch(self._owner, self._hear_owner)
        while self._ended is None:
            for key, _ in self._selector.select(self._patience_s()):
                key.data()
            self._look_at_the_time()
        return self._ended

    def _watch(self, what: socket.socket | int, then: Callable[[], None]) -> None:
        self._selector.register(what, selectors.EVENT_READ, then)

    def _end(self, why: str) -> None:
        self._ended = self._ended or why

    def _hear_owner(self) -> None:
        """End with who started the lab, unless that one lets go of it: then it is as if it was used just now."""
        try:
            is_let_go = bool(self._owner.recv(4096))
        except OSError:
            is_let_go = False
        self._selector.unregister(self._owner)
        self._ends_with_owner = False
        self._quiet_since = time.monotonic()
        if not is_let_go:
            self._end("who started it went away")

    def _note_signal(self, number: int, _: object) -> None:
        self._end(f"it got {signal.Signals(number).name}")

    def _reap(self, signals: socket.socket) -> None:
        """Take note of children that ended; the first process of a namespace gets all its orphans."""
        with suppress(BlockingIOError):
            signals.recv(4096)
        self._orders.take_note()
        self._lab.take_note()
        broken = self._lab.broken()
        if broken is not None:
            self._end(broken)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _patience_s(self) -> float:
        """Return how long nothing need happen before the lab ends by itself, or before this is asked again."""
        ends = [end - time.monotonic() for end, _ in self._limits()]
        return max(0.0, min([_LONGEST_NAP_S, *ends]))

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
        _, user = peer(connection)
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
            case "died" | "wires" | "sessions" as what:
                answer = getattr(self._lab, what)()
            case "bird":
                answer = self._lab.bird(asked["node"], asked["command"])
            case "apply":
                answer = self._lab.apply(as_blueprint(asked["blueprint"]))
            case "wire":
                self._lab.change_wire(asked["name"], **_condition(asked))
            case "measure" | "stream":
                for node in asked["vantages"].values():
                    self._lab.require(node)
                self._use(self._orders.measure(request, connection))
                return None  # the prober says it
            case "end-streams":
                self._orders.end_streams()
            case "hold":
                self._use(os.dup(connection.fileno()))
            case "down":
                self._end("it was told to")
            case unknown:
                raise PlatformFailed(f"a lab cannot do {unknown!r}: use the version of catchment that started it")
        return {"ok": answer}

    def _use(self, held: int) -> None:
        """Count the lab as used until the other end of a descriptor, which is ours from now on, is closed."""
        self._opened()

        def look() -> None:
            with suppress(OSError):
                if os.read(held, 4096):
                    return  # nobody need say anything
            self._selector.unregister(held)
            os.close(held)
            self._closed()

        self._watch(held, look)


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


def main() -> None:
    """Be the first process of a lab. Arguments: descriptors of its folder, its socket, and who starts it."""
    held, listener, owner = map(int, sys.argv[1:])
    with socket.socket(fileno=owner) as starter:
        order = next(lines(starter))
        folder = Path(order["folder"])
        try:
            hide_run()
            lab = RunningLab(as_blueprint(order["blueprint"]), name=order["name"])
            control = socket.socket(fileno=listener)
            control.listen()
            supervisor = Supervisor(lab, control, starter, for_s=order["for_s"], idle_s=order["idle_s"])
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
