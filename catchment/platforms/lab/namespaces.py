"""The network namespaces of a lab, and the wires between them: made by `ip`, from within namespaces of our own.

A lab lives in user, mount, pid and network namespaces of its own, so that the kernel takes all of it away with its
first process. The network namespace of that process is the hub, in which each wire has two halves of its own: what
comes into the one goes out of the other, by the hand of the forwarder. MAC addresses are given, and neighbours know
each other's from the beginning: no first packet waits for ARP.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from catchment.errors import PlatformFailed
from catchment.platforms.lab.blueprint import Blueprint, Node, StaticRoute, Wire

_CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_PLACES = Path("/run/netns")  # where `ip netns` looks for them, too
_IP_TIMEOUT_S = 60
# Nodes, for each `ip` at work has a file open; and cables, for `ip` keeps all namespaces open that it is told of.
_AT_ONCE = 50
_libc = ctypes.CDLL(None, use_errno=True)

_IN_THE_HUB = {"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/default/disable_ipv6": "1"}
_IN_A_NODE = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
    "net/ipv6/conf/default/addr_gen_mode": "0",  # link-local addresses by MAC, as _link_local has them
    # Each traceroute is answered, whoever else asks at the time.
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv4/icmp_ratemask": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv4/ping_group_range": "0 0",
    # Servers behind a load balancer are chosen by flow, ports included.
    "net/ipv4/fib_multipath_hash_policy": "1",
    "net/ipv6/fib_multipath_hash_policy": "1",
    # A server may be ready before its address is there.
    "net/ipv4/ip_nonlocal_bind": "1",
    "net/ipv6/ip_nonlocal_bind": "1",
}


def hide_run() -> None:
    """Mount an empty /run that only this process and its children see. Raises PlatformFailed."""
    if _libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755"):
        reason = os.strerror(ctypes.get_errno())
        raise PlatformFailed(f"a lab needs a /run of its own: {reason}: run it where user namespaces are allowed")
    _PLACES.mkdir()


class Namespaces:
    """The namespaces of a lab, by name. Who makes it is in the hub, and stays there."""

    def __init__(self) -> None:
        self._hub = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Be in a namespace: what this thread opens or starts meanwhile is there, and stays. Raises OSError."""
        place = os.open(_PLACES / name, os.O_RDONLY)  # not kept: a lab may have more of them than one may have open
        try:
            _enter(place)
        finally:
            os.close(place)
        try:
            yield
        finally:
            _enter(self._hub)

    def open_socket(self, name: str, family: int, kind: int, protocol: int) -> socket.socket:
        """Open a socket in a namespace. Raises OSError."""
        with self.inside(name):
            return socket.socket(family, kind, protocol)

    def make(self, name: str) -> None:
        """Make a namespace. Raises OSError."""
        place = _PLACES / name
        place.touch()
        _check(_libc.unshare(_CLONE_NEWNET))
        try:
            _check(_libc.mount(b"/proc/thread-self/ns/net", os.fsencode(place), None, _MS_BIND, None))
        finally:
            _enter(self._hub)

    def build(self, blueprint: Blueprint) -> None:
        """Make all nodes and wires of a lab, with their addresses and routes. Raises PlatformFailed."""
        try:
            _set(_IN_THE_HUB)
            for name in blueprint.nodes:
                self.make(name)
                with self.inside(name):
                    _set(_IN_A_NODE)
        except OSError as error:
            raise PlatformFailed(f"a lab's namespaces cannot be had: {error}: {_LIMITS}") from error
        cables = [list(_cable(at, wire)) for at, wire in enumerate(blueprint.wires)]
        for first in range(0, len(cables), _AT_ONCE):
            self._carry_out([(None, [line for each in cables[first : first + _AT_ONCE] for line in each])])
        self.change({name: list(_equipment(node, blueprint.wires)) for name, node in blueprint.nodes.items()})

    def change(self, commands: Mapping[str, Sequence[str]], *, may_fail: bool = False) -> None:
        """Carry out commands of `ip` in namespaces. Raises PlatformFailed, unless each may fail by itself."""
        self._carry_out([(name, each) for name, each in commands.items() if each], may_fail=may_fail)

    def _carry_out(self, commands: Sequence[tuple[str | None, Sequence[str]]], *, may_fail: bool = False) -> None:
        """Carry out commands in namespaces (None: in the hub), several at once; none is under way when this ends."""
        failed: list[PlatformFailed] = []
        for first in range(0, len(commands), _AT_ONCE):
            some = commands[first : first + _AT_ONCE]
            for each in [self._start(each, name, goes_on=may_fail) for name, each in some]:
                try:
                    batch(each)
                except PlatformFailed as error:
                    failed.append(error)
            if failed and not may_fail:
                raise failed[0]

    def _start(self, commands: Sequence[str], name: str | None, *, goes_on: bool) -> subprocess.Popen[str]:
        """Start `ip` in the hub or in a namespace; its commands are under way. It ends, or goes on, when one fails."""
        with tempfile.TemporaryFile() as file, nullcontext() if name is None else self.inside(name):
            file.write("".join(f"{command}\n" for command in commands).encode())
            file.seek(0)
            return subprocess.Popen(  # noqa: S603  (nothing of it comes from outside)
                ["ip", *(["-force"] if goes_on else []), "-batch", "-"],  # noqa: S607  (wherever it is installed)
                stdin=file,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )


_LIMITS = "have a smaller lab, or raise the limits in /proc/sys/user"


def batch(started: subprocess.Popen[str]) -> None:
    """Wait for commands of `ip`. Raises PlatformFailed."""
    try:
        _, said = started.communicate(timeout=_IP_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        started.kill()
        started.communicate()
        raise PlatformFailed(f"ip is not done after {_IP_TIMEOUT_S} s: have a smaller lab") from error
    if started.returncode:
        raise PlatformFailed(f"ip: {' '.join(said.split())}: mend the topology, or end what else has these names")


def ends(at: int) -> tuple[str, str]:
    """Return the names of a wire's halves in the hub; `at` counts the wires of the lab from 0."""
    return f"h{at}a", f"h{at}b"


def added(addresses: Sequence[str], routes: Sequence[StaticRoute]) -> list[str]:
    """Return the commands that give a node addresses and routes."""
    return [
        *(f"address replace {address} dev lo{_NO_CHECK if ':' in address else ''}" for address in addresses),
        *(f"route replace {_path(route)}" for route in routes),
    ]


def removed(addresses: Sequence[str], routes: Sequence[StaticRoute]) -> list[str]:
    """Return the commands that take addresses and routes from a node."""
    return [
        *(f"route delete {_path(route)}" for route in routes),
        *(f"address delete {address} dev lo" for address in addresses),
    ]


_NO_CHECK = " nodad"


def _path(route: StaticRoute) -> str:
    source = "" if route.source is None else f" src {route.source}"
    if len(route.via) == 1:
        return f"{route.prefix} via {route.via[0]}{source}"
    return f"{route.prefix}{source} {' '.join(f'nexthop via {gateway}' for gateway in route.via)}"


def _cable(at: int, wire: Wire) -> Iterator[str]:
    """Yield the commands of the hub that make a wire."""
    for half, node in zip(ends(at), (wire.near, wire.far), strict=True):
        yield f"link add {half} type veth peer name {wire.name} netns {_PLACES / node}"
        yield f"link set {half} up"


def _equipment(node: Node, wires: Sequence[Wire]) -> Iterator[str]:
    """Yield the commands that make a node what it is, once its wires are there."""
    yield "link set lo up"
    yield from added(node.addresses, ())
    for at, wire in enumerate(wires):
        sides = ((wire.near, wire.near_addresses), (wire.far, wire.far_addresses))
        for side, (owner, addresses) in enumerate(sides):
            if owner == node.name:
                yield from _plug(wire.name, addresses, _mac(at, side), _mac(at, 1 - side), sides[1 - side][1])
    yield from added((), node.routes)


def _plug(
    wire: str, addresses: Sequence[str], mac: Sequence[int], other_mac: Sequence[int], others: Sequence[str]
) -> Iterator[str]:
    yield f"link set {wire} address {_written(mac)}"
    for address in addresses:
        yield f"address add {address} dev {wire}{_NO_CHECK if ':' in address else ''}"
    yield f"link set {wire} up"
    for neighbour in (*(address.partition("/")[0] for address in others), _link_local(other_mac)):
        yield f"neighbour replace {neighbour} lladdr {_written(other_mac)} dev {wire} nud permanent"


def _mac(at: int, side: int) -> tuple[int, ...]:
    """Return the address of one end of a wire: one of those that everybody may give."""
    return (2, 0, side, at >> 16 & 255, at >> 8 & 255, at & 255)


def _written(mac: Sequence[int]) -> str:
    return ":".join(f"{each:02x}" for each in mac)


def _link_local(mac: Sequence[int]) -> str:
    """Return the IPv6 address that an interface gives itself by its MAC address (RFC 4291, appendix A)."""
    a, b, c, d, e, f = mac
    return f"fe80::{a ^ 2:x}{b:02x}:{c:x}ff:fe{d:02x}:{e:x}{f:02x}"


def _set(values: Mapping[str, str]) -> None:
    """Write settings of the kernel for the network namespace that this is in; an older kernel lacks some."""
    for key, value in values.items():
        with suppress(FileNotFoundError):
            Path("/proc/sys", key).write_text(value, encoding="ascii")


def _enter(namespace: int) -> None:
    _check(_libc.setns(namespace, _CLONE_NEWNET))


def _check(returned: int) -> None:
    if returned:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
