"""A lab that runs: built from a blueprint, and brought to what another one says. Nobody but its supervisor has one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from catchment.errors import PlatformFailed
from catchment.platforms.lab import bird_control, namespaces
from catchment.platforms.lab.blueprint import Blueprint, Node
from catchment.platforms.lab.conversation import line
from catchment.platforms.lab.daemons import (
    Daemon,
    Program,
    check_birds,
    check_servers,
    start_bird,
    start_nsd,
    wait_ready,
)
from catchment.platforms.lab.differences import check_same, differences

_TOLD_TIMEOUT_S = 10.0
_LAST_BREATH_S = 0.5  # of a program that says nothing more, and ends
_MOST_OFFERED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a wire is like now: the delay of one way, the share of packets that are lost, whether none passes."""

    delay_ms: float
    loss: float = 0.0
    is_cut: bool = False


class RunningLab:
    """The namespaces, the forwarder and the programs of a lab."""

    def __init__(self, blueprint: Blueprint, *, name: str) -> None:
        """Build it; the name is for commands that complaints advise. Raises PlatformFailed."""
        self.blueprint = blueprint
        self._name = name
        self._namespaces = namespaces.Namespaces()
        self._wire_numbers = {wire.name: at for at, wire in enumerate(blueprint.wires)}
        self._conditions = {wire.name: Condition(delay_ms=wire.delay_ms) for wire in blueprint.wires}
        self._daemons: dict[tuple[str, Program], Daemon] = {}
        self._told: set[str] = set()  # the dead whose death `died` told
        self._untold: set[str] = set()  # those that died, and were let go of before `died` told it
        self._tried: list[Blueprint] = []  # begun since `blueprint`, and not completed
        self._forwarder, self._cables = _start_forwarder()
        self._namespaces.build(blueprint)
        for wire in blueprint.wires:
            self._tell(wire.name)
        for node in blueprint.nodes.values():
            if node.bird is not None:
                self._run(start_bird(self._namespaces, node.name, node.bird))
            if node.nsd is not None:
                self._run(start_nsd(self._namespaces, node.name, node.nsd))
        wait_ready(self._daemons.values())

    def broken(self) -> str | None:
        """Return what ended that the lab cannot do without; None while all is well."""
        return None if self._forwarder.poll() is None else "its forwarder ended"

    def take_note(self) -> None:
        """Take note of programs that ended."""
        for daemon in self._daemons.values():
            daemon.process.poll()

    def require(self, node: str) -> None:
        """Raise PlatformFailed unless there is a node of the name."""
        if node not in self.blueprint.nodes:
            raise PlatformFailed(f"the lab has no node '{node}': name one of {_some(self.blueprint.nodes)}")

    def status(self) -> dict[str, Any]:
        """Return what is there: nodes and their roles, wires, the programs that `died`, those `restarted` since.

        To look changes nothing: what is told here is still news to `died`.
        """
        nodes = {name: node.role.value for name, node in self.blueprint.nodes.items()}
        dead = self._dead()
        return {
            "nodes": nodes,
            "wires": self.wires(),
            "died": sorted(dead),
            "restarted": sorted(self._untold - dead),
        }

    def wires(self) -> dict[str, dict[str, Any]]:
        """Return the wires: the nodes at their ends, and what they are like."""
        return {
            wire.name: {"near": wire.near, "far": wire.far, **asdict(self._conditions[wire.name])}
            for wire in self.blueprint.wires
        }

    def died(self) -> list[str]:
        """Return the programs that ended by themselves: the dead, and, once, those that were started anew since."""
        dead = self._dead()
        found = dead | self._untold
        self._told, self._untold = dead, set()
        return sorted(found)

    def _dead(self) -> set[str]:
        return {daemon.name for daemon in self._daemons.values() if daemon.process.poll() is not None}

    def bird(self, node: str, command: str) -> str:
        """Return what a node's BIRD says to a command. Raises PlatformFailed."""
        daemon = self._daemons.get((node, Program.BIRD))
        if daemon is None:
            raise PlatformFailed(f"no BIRD runs at '{node}': name one of {_some(self._with_bird())}")
        if "\n" in command:
            raise PlatformFailed("a command of BIRD is one line: give them one by one")
        return self._asked(daemon, command)

    def sessions(self) -> dict[str, Any]:
        """Return how BGP stands in all of the lab: sessions established, those that are not, changes of routes."""
        established, pending, changes = 0, [], 0
        for node in self._with_bird():
            found = bird_control.sessions(self._asked(self._daemons[node, Program.BIRD], "show protocols all"))
            established += found.established
            pending += [f"{node}: {each}" for each in found.pending]
            changes += found.changes
        return {"established": established, "pending": pending, "changes": changes}

    def change_wire(self, name: str, **changed: Any) -> None:
        """Change what a wire is like, from the next packet on. Raises PlatformFailed."""
        if name not in self._conditions:
            raise PlatformFailed(f"the lab has no wire '{name}': name one of {_some(self._conditions)}")
        self._conditions[name] = replace(self._conditions[name], **changed)
        self._tell(name)

    def apply(self, new: Blueprint) -> float:
        """Bring the lab to what another blueprint says; return the time (since 1970) just before the first step.

        Before that, new configurations are looked through, and servers are started at addresses that nobody can reach
        yet. Then come addresses, wires and servers, then the routes, and then what is taken away. Raises
        PlatformFailed: where a configuration is wrong or a node or wire is new nothing has changed, and where a step
        fails some has; then the next blueprint, the old one or another, is brought about from whatever is there.
        """
        check_same(self.blueprint, new)
        self._check_configs(new.nodes)
        there = (self.blueprint, *self._tried)
        gain, lose = differences(there, new)
        self._start_servers(new.nodes[name] for name in gain if gain[name].addresses)
        began = time.time()
        self._tried.append(new)
        self._namespaces.change({name: namespaces.added(node.addresses, node.routes) for name, node in gain.items()})
        for wire in new.wires:
            if wire.delay_ms != self._conditions[wire.name].delay_ms:
                self.change_wire(wire.name, delay_ms=wire.delay_ms)
        self._start_servers(new.nodes.values())
        self._route(new.nodes)
        for node in new.nodes.values():
            if node.nsd is None:
                self._stop(node.name, Program.NSD)
        self._namespaces.change(
            {name: namespaces.removed(node.addresses, node.routes) for name, node in lose.items()},
            may_fail=len(there) > 1,  # what was tried in vain may not be there
        )
        self.blueprint, self._tried = new, []
        return began

    def _check_configs(self, nodes: Mapping[str, Node]) -> None:
        """Have every new configuration looked through: by the BIRD that is to have it, or before a program starts."""
        for daemon, config in self._to_configure(nodes):
            daemon.new_config.write_text(config, encoding="utf-8")
            with self._named(daemon):
                bird_control.check(daemon.control, daemon.new_config)
        check_birds(dict(self._to_start(nodes)))
        check_servers({node.name: node.nsd for node in self._to_serve(nodes.values()) if node.nsd is not None})

    def _route(self, nodes: Mapping[str, Node]) -> None:
        """Bring every BIRD to what it is to do."""
        for daemon, config in self._to_configure(nodes):
            os.replace(daemon.new_config, daemon.config)
            self._daemons[daemon.node, Program.BIRD] = replace(daemon, given="")  # whatever it makes of it
            with self._named(daemon):
                bird_control.configure(daemon.control)
            self._daemons[daemon.node, Program.BIRD] = replace(daemon, given=config)
        wait_ready([self._run(start_bird(self._namespaces, name, config)) for name, config in self._to_start(nodes)])
        for name, node in nodes.items():
            if node.bird is None:
                self._stop(name, Program.BIRD)

    def _to_start(self, nodes: Mapping[str, Node]) -> list[tuple[str, str]]:
        """Return the nodes at which a BIRD is to run and none does, each with its configuration."""
        wanted = [(name, node.bird) for name, node in nodes.items() if not self._is_alive(name, Program.BIRD)]
        return [(name, config) for name, config in wanted if config is not None]

    def _to_configure(self, nodes: Mapping[str, Node]) -> list[tuple[Daemon, str]]:
        """Return the BIRDs that run and are to have another configuration, each with that."""
        alive = [self._daemons[name, Program.BIRD] for name in nodes if self._is_alive(name, Program.BIRD)]
        pairs = [(daemon, nodes[daemon.node].bird) for daemon in alive]
        return [(daemon, config) for daemon, config in pairs if config is not None and config != daemon.given]

    def _to_serve(self, nodes: Iterable[Node]) -> list[Node]:
        """Return the nodes at which an NSD is to run, and none does, or one that has other files."""
        return [
            node
            for node in nodes
            if node.nsd is not None
            and not (self._is_alive(node.name, Program.NSD) and self._daemons[node.name, Program.NSD].given == node.nsd)
        ]

    def _start_servers(self, nodes: Iterable[Node]) -> None:
        """Start the NSDs that are to run at some nodes."""
        started = []
        for node in self._to_serve(nodes):
            self._stop(node.name, Program.NSD)
            started.append(self._run(start_nsd(self._namespaces, node.name, node.nsd or {})))
        try:
            wait_ready(started)
        except PlatformFailed:
            for daemon in started:
                self._stop(daemon.node, Program.NSD)
            raise

    def _run(self, daemon: Daemon) -> Daemon:
        self._forget(daemon.node, daemon.program)
        self._daemons[daemon.node, daemon.program] = daemon
        return daemon

    def _stop(self, node: str, program: Program) -> None:
        daemon = self._forget(node, program)
        if daemon is not None:
            daemon.stop()

    def _forget(self, node: str, program: Program) -> Daemon | None:
        """Know a program no more; if it died by itself, and nobody was told, that is kept."""
        daemon = self._daemons.pop((node, program), None)
        if daemon is not None and daemon.process.poll() is not None:
            self._untold |= {daemon.name} - self._told
            self._told.discard(daemon.name)
        return daemon

    def _is_alive(self, node: str, program: Program) -> bool:
        return (node, program) in self._daemons and self._daemons[node, program].process.poll() is None

    def _with_bird(self) -> list[str]:
        return [node for node, program in self._daemons if program is Program.BIRD]

    def _asked(self, daemon: Daemon, command: str) -> str:
        try:
            return bird_control.ask(daemon.control, command)
        except OSError as error:
            raise self._silent(daemon) from error

    @contextmanager
    def _named(self, daemon: Daemon) -> Iterator[None]:
        """Have what a BIRD complains of say whose complaint it is."""
        try:
            yield
        except PlatformFailed as error:
            raise PlatformFailed(f"{daemon.name}: {error}") from error
        except OSError as error:
            raise self._silent(daemon) from error

    def _silent(self, daemon: Daemon) -> PlatformFailed:
        """Return the complaint about a BIRD that does not answer; the next change starts one that ended anew."""
        with suppress(subprocess.TimeoutExpired):
            daemon.process.wait(_LAST_BREATH_S)
            mend = f"`catchment lab change reset --name {self._name}`"
            return PlatformFailed(f"{daemon.name} ended by itself: {mend} starts it anew")
        end = f"`catchment lab down {self._name}`"
        return PlatformFailed(f"{daemon.name} does not answer: end the lab ({end}), and start it anew")

    def _tell(self, name: str) -> None:
        """Tell the forwarder what a wire is like, and wait until it knows."""
        ends = namespaces.ends(self._wire_numbers[name])
        try:
            self._cables.sendall(line({"ends": ends, **asdict(self._conditions[name])}))
            if self._cables.recv(len(line({}))):
                return
        except OSError:
            pass
        raise PlatformFailed("the lab's forwarder does not answer: end the lab, and start it anew")


def _start_forwarder() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    ours.settimeout(_TOLD_TIMEOUT_S)
    with theirs:
        argv = [sys.executable, "-P", "-m", "catchment.platforms.lab.forwarder"]
        return subprocess.Popen(argv, stdin=theirs.fileno()), ours  # noqa: S603


def _some(names: Collection[str]) -> str:
    first = ", ".join(islice(names, _MOST_OFFERED))
    return first if len(names) <= _MOST_OFFERED else f"{first} …"
