"""Use a lab: open one, or attach to one that runs, and have it change and measure.

with open_lab(blueprint, name="frankfurt") as lab:
    results = list(lab.measure(measurements, queries, {"lab:7": "vp7"}))
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catchment.errors import PlatformFailed
from catchment.platforms.lab import folders
from catchment.platforms.lab.blueprint import Blueprint
from catchment.platforms.lab.contact import Contact
from catchment.platforms.lab.conversation import peer, plain
from catchment.platforms.lab.results import Results
from catchment.platforms.lab.starting import let_go, start

if TYPE_CHECKING:  # a lab that is only opened or changed needs none of what measuring needs
    from catchment.campaign import Query
    from catchment.store import Measurement

_END_TIMEOUT_S = 5.0
_SETTLE_TIMEOUT_S = 60.0
_PAUSE_S = 0.05
# News may be under way that no router shows: TCP may hold it back for a round trip and a late acknowledgement (Nagle's
# algorithm), and then it has one way to go.
_QUIET_S = 0.15
_QUIET_WAYS = 4
_MOST_NAMED = 3
_MOST_OFFERED = 8


class Lab:
    """A lab that runs. Every method raises PlatformFailed: the lab's own complaint, or that it runs no more.

    Methods may be called from several threads: each call is a connection of its own.
    """

    def __init__(self, name: str, folder: Path, starter: socket.socket | None = None) -> None:
        self.name = name
        self.folder = folder
        self._contact = Contact(name, folder, starter)

    @property
    def pid(self) -> int:
        """Return the number of its first process: all the others end with it."""
        with self._contact.connect() as connection:
            pid, _ = peer(connection)
        return pid

    def apply(self, blueprint: Blueprint) -> float:
        """Bring it to what another blueprint says; return the time (seconds since 1970) just before the first step.

        The nodes and wires must be the same; their addresses, routes, delays and programs may differ. When this returns
        all is done at the routers and servers that change; what BGP makes of it takes its time.
        """
        return float(self._contact.ask(do="apply", blueprint=plain(blueprint)))

    def measure(
        self,
        measurements: Sequence[Measurement],
        queries: Mapping[int, Query],
        vantages: Mapping[str, str],
        *,
        rate_per_s: float,
        timeout_s: float = 2.0,
    ) -> Results:
        """Have a round of measurements made: `queries` by measurement id, `vantages` with the node of each.

        It begins at once. The results come as local.rounds makes them.
        """
        return self._measure(
            do="measure",
            measurements=[asdict(one) for one in measurements],
            queries={str(number): asdict(query) for number, query in queries.items()},
            vantages=dict(vantages),
            rate_per_s=rate_per_s,
            timeout_s=timeout_s,
        )

    def stream(
        self,
        measurement: Measurement,
        query: Query,
        vantages: Mapping[str, str],
        *,
        per_s: float,
        seconds: float,
        timeout_s: float = 1.0,
    ) -> Results:
        """Have each vantage point send `per_s` queries a second, for `seconds` or until `end_streams`.

        It begins at once, and nobody has to read along: the results are kept until they are.
        """
        return self._measure(
            do="stream",
            measurement=asdict(measurement),
            query=asdict(query),
            vantages=dict(vantages),
            per_s=per_s,
            seconds=seconds,
            timeout_s=timeout_s,
        )

    def end_streams(self) -> None:
        """Have all streams end: no more queries are sent, and what is under way is waited for."""
        self._contact.ask(do="end-streams")

    def bird(self, node: str, command: str) -> str:
        """Return what the BIRD of a node says to a command."""
        return str(self._contact.ask(do="bird", node=node, command=command))

    def wire(
        self, name: str, *, delay_ms: float | None = None, loss: float | None = None, is_cut: bool | None = None
    ) -> None:
        """Change what a wire is like: the delay of one way, the share of packets lost, whether none passes."""
        self._contact.ask(do="wire", name=name, delay_ms=delay_ms, loss=loss, is_cut=is_cut)

    def wires(self) -> dict[str, dict[str, Any]]:
        """Return the wires by name: the nodes at their ends (near, far), delay_ms of one way, loss, is_cut."""
        return dict(self._contact.ask(do="wires"))

    def wires_between(self, near: str | int, far: str | int) -> list[str]:
        """Return the names of the wires between two nodes; an AS number stands for all nodes of the network."""
        wires = self.wires()
        found = [
            name
            for name, wire in wires.items()
            for one, other in ((wire["near"], wire["far"]), (wire["far"], wire["near"]))
            if _is(one, near) and _is(other, far)
        ]
        if not found:
            ends = sorted({end for wire in wires.values() for end in (wire["near"], wire["far"])})
            listed = ", ".join(ends[:_MOST_OFFERED]) + (" …" if len(ends) > _MOST_OFFERED else "")
            raise PlatformFailed(
                f"lab '{self.name}': no wire leads from {near} to {far}: name two neighbours of {listed}"
            )
        return list(dict.fromkeys(found))

    def status(self) -> dict[str, Any]:
        """Return how it is: up_s, left_s (None: no end is set), nodes, wires, the programs that `died`.

        `restarted` are those that had died and run again, until `died` has told of them.
        """
        return dict(self._contact.ask(do="status"))

    def died(self) -> list[str]:
        """Return the programs that ended by themselves: the dead, and those that `apply` started anew.

        The latter are named until they have been told once, by this.
        """
        return list(self._contact.ask(do="died"))

    def hold(self) -> int:
        """Return a descriptor that keeps it from ending for want of use, until it is closed by all who have it.

        Programs that are started inherit it. What ends the lab otherwise still does.
        """
        connection, _ = self._contact.asked(do="hold")
        connection.settimeout(None)
        connection.set_inheritable(True)
        return connection.detach()

    def settle(self, *, timeout_s: float = _SETTLE_TIMEOUT_S) -> None:
        """Wait until every BGP session is established and no route has changed for a while."""
        longest_ms = max((wire["delay_ms"] for wire in self.wires().values()), default=0.0)
        quiet_s = _QUIET_S + _QUIET_WAYS * longest_ms / 1000
        end = time.monotonic() + timeout_s
        before, since = None, time.monotonic()
        while True:
            now = self._contact.ask(do="sessions")
            if now != before or now["pending"]:
                before, since = now, time.monotonic()
            elif time.monotonic() - since >= quiet_s:
                return
            if time.monotonic() > end:
                raise PlatformFailed(f"lab '{self.name}': after {timeout_s:g} s {_unsettled(now['pending'])}")
            time.sleep(_PAUSE_S)

    def down(self) -> None:
        """End it, and wait until nothing of it is left; one that does not answer is killed."""
        try:
            held = folders.look_at(self.folder)
        except OSError:
            return  # it took its folder away
        try:
            self.end(held)
        finally:
            os.close(held)

    def end(self, held: int) -> None:
        """End it as `down` does; `held` is its folder, open, which may be gone."""
        pid = None
        with suppress(PlatformFailed):
            pid = self.pid
            self._contact.ask(do="down")
        if folders.is_gone(held, self.folder, within_s=_END_TIMEOUT_S):
            return
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not folders.is_gone(held, self.folder, within_s=_END_TIMEOUT_S):
            raise PlatformFailed(f"lab '{self.name}' does not end: kill the process that `fuser {self.folder}` names")

    def _measure(self, **request: Any) -> Results:
        connection = self._contact.send(**request)
        connection.settimeout(None)
        return Results(connection, self.name)


@contextmanager
def open_lab(
    blueprint: Blueprint, *, name: str, for_s: float | None = None, idle_s: float = 600, detach: bool = False
) -> Iterator[Lab]:
    """Start a lab, wait until its routes have settled, and yield it. It ends with the context, and after `for_s`.

    One that is to be detached goes on after a context that ended well, in the background, until `down`, after `for_s`,
    or when nobody has used it for `idle_s`. Raises PlatformFailed in one line: a lab of the name runs, programs are
    missing, namespaces cannot be had, a configuration is wrong, or BGP does not come up.
    """
    folder, held, starter = start(blueprint, name, for_s=for_s, idle_s=idle_s)
    lab = Lab(name, folder, starter)
    is_wanted = False
    try:
        lab.settle()
        yield lab
        if detach:
            with suppress(OSError):  # it has ended in the meantime, as whoever uses it next will hear
                let_go(starter)
            is_wanted = True
    finally:
        if not is_wanted:
            lab.end(held)
        starter.close()
        os.close(held)


def attach(name: str) -> Lab:
    """Return a lab that runs. Raises PlatformFailed where none of the name does."""
    found = running_labs()
    if name not in found:
        those = f"those that run: {', '.join(found)}" if found else "none runs"
        raise PlatformFailed(f"no lab '{name}' runs ({those}): start one with `catchment lab up`")
    return Lab(name, folders.folder_of(name))


def running_labs() -> list[str]:
    """Return the names of the labs of this user that run. What is left of killed ones is taken away."""
    return folders.running()


def _is(node: str, named: str | int) -> bool:
    """Tell whether a node is the one of a name, or one of those of an AS number: a router, a site, a server."""
    return node == named if isinstance(named, str) else node == f"as{named}" or node.startswith(f"as{named}-")


def _unsettled(pending: Sequence[str]) -> str:
    if not pending:
        return "routes still change: look with `show protocols all` at its routers, or end it"
    more = f" and {len(pending) - _MOST_NAMED} more" if len(pending) > _MOST_NAMED else ""
    return f"BGP is not established: {', '.join(pending[:_MOST_NAMED])}{more}: mend these sessions or their wires"
