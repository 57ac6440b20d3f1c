"""Start a lab: its first process in namespaces of its own, and the words for what stands in the way."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import catchment
from catchment.errors import PlatformFailed
from catchment.platforms.lab import folders
from catchment.platforms.lab.blueprint import Blueprint
from catchment.platforms.lab.conversation import line, lines, plain
from catchment.platforms.lab.daemons import missing, search_path

_SUPERVISOR = "catchment.platforms.lab.supervisor"
_START_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 5.0
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21
_SETTINGS = {
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "1"),
    "/proc/sys/user/max_user_namespaces": ("0", "10000"),
    "/proc/sys/user/max_net_namespaces": ("0", "10000"),
}
"""What may keep an ordinary user from having namespaces: the value that does, and one that does not."""


def start(blueprint: Blueprint, name: str, *, for_s: float | None, idle_s: float) -> tuple[Path, int, socket.socket]:
    """Start a lab; return its folder, also as it is open, and the connection with which it ends, unless let go of.

    Raises PlatformFailed: what is missing, or does not start, and what to do.
    """
    for limit in (for_s, idle_s):
        if limit is not None and not 0 < limit < math.inf:
            raise PlatformFailed(f"a lab cannot end after {limit:g} s: give a number of seconds, 3e7 is a year")
    path = search_path()
    lacking = missing(blueprint, path)
    if lacking is not None:
        raise PlatformFailed(lacking)
    folder = folders.folder_of(name)
    claimed = folders.claim(name)
    held = folders.look_at(folder)
    ours, theirs = socket.socketpair()
    ours.settimeout(_START_TIMEOUT_S)
    limits = {"for_s": for_s, "idle_s": idle_s}
    try:
        try:
            with closing(socket.socket(socket.AF_UNIX)) as listener, theirs:
                listener.bind(str(folder / folders.SOCKET))
                _spawn(folder, (claimed, listener.fileno(), theirs.fileno()), path)
        finally:
            os.close(claimed)  # the lab has it now, and nobody else
        order = {"name": name, "folder": str(folder), "blueprint": plain(blueprint), **limits}
        _await_ready(ours, order, folder / folders.LOG)
    except BaseException:
        ours.close()
        folders.is_gone(held, folder, within_s=_END_TIMEOUT_S)
        os.close(held)
        raise
    return folder, held, ours


def let_go(starting: socket.socket) -> None:
    """Have a lab go on without who started it. Raises OSError where it runs no more."""
    starting.sendall(line({"let_go": True}))


def _spawn(folder: Path, descriptors: tuple[int, int, int], path: str) -> None:
    """Start the first process of a lab, as nobody's child, so that it depends on no terminal and no parent."""
    package = str(Path(catchment.__file__).parent.parent)
    environ = {**os.environ, "PATH": path}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [package, environ.get("PYTHONPATH")]))
    may = _may(Path("/proc/self/status").read_text(encoding="ascii"))
    namespaces = ["--net", "--mount", "--pid"] if may else ["--user", "--map-root-user", "--net", "--mount", "--pid"]
    argv = ["setsid", "--fork", "unshare", *namespaces, "--fork", "--kill-child", "--mount-proc"]
    argv += [sys.executable, "-P", "-m", _SUPERVISOR, *map(str, descriptors)]
    with (folder / folders.LOG).open("ab") as log:
        subprocess.run(  # noqa: S603  (nothing of it comes from outside)
            argv,
            cwd="/",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=descriptors,
            check=True,
        )


def _await_ready(starting: socket.socket, order: Mapping[str, Any], log: Path) -> None:
    """Tell a lab what to be, and wait until it is. Raises PlatformFailed."""
    try:
        starting.sendall(line(order))
        answer = next(lines(starting), None)
    except TimeoutError as error:
        raise PlatformFailed(f"the lab is not up after {_START_TIMEOUT_S:g} s: have a smaller one") from error
    except OSError:
        answer = None
    if answer is None:
        raise PlatformFailed(why_refused(log.read_text(encoding="utf-8", errors="replace")))
    if "error" in answer:
        raise PlatformFailed(answer["error"])


def _read(file: str) -> str | None:
    try:
        return Path(file).read_text(encoding="ascii")
    except OSError:
        return None


def why_refused(said: str, read: Callable[[str], str | None] = _read) -> str:
    """Return the line for a lab whose first process never spoke: from what was `said`, and the kernel's settings."""
    last = (said.strip().splitlines() or ["it said nothing"])[-1].strip()
    if "unshare:" not in said:
        return f"the lab does not start: {last}: look whether this Python can be run by your user"
    for file, (refuses, allows) in _SETTINGS.items():
        if (read(file) or "").strip() == refuses:
            key = file.removeprefix("/proc/sys/").replace("/", ".")
            return (
                f"a lab needs user namespaces, which {key}={refuses} forbids: `sudo sysctl {key}={allows}`, or be root"
            )
    return f"a lab needs namespaces of its own ({last}): in a container allow them (CAP_SYS_ADMIN), or run it outside"


def _may(status: str) -> bool:
    """Tell from /proc/self/status whether this process may have namespaces without a user namespace around them."""
    effective = next((row.split()[1] for row in status.splitlines() if row.startswith("CapEff:")), "0")
    return all(int(effective, 16) >> capability & 1 for capability in (_CAP_SYS_ADMIN, _CAP_NET_ADMIN))
