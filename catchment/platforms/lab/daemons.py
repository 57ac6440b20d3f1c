"""The programs of a lab's nodes: BIRD for routes, NSD for DNS. Each runs in its node's namespace and has a folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from catchment.errors import PlatformFailed
from catchment.platforms.lab import bird_control
from catchment.platforms.lab.blueprint import Blueprint
from catchment.platforms.lab.namespaces import Namespaces

_HOME = Path("/run/catchment-lab")
_CONFIG, _CONTROL, _LOG = "bird.conf", "bird.ctl", "log"
_MAIN_FILE = "nsd.conf"
_STARTED = b"nsd started"
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 5.0
_PAUSE_S = 0.002
_USUAL_PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")
_PACKAGES = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "setsid": "util-linux",
    "nsenter": "util-linux",
    "bird": "bird2",
    "nsd": "nsd",
    "nsd-checkconf": "nsd",
}


class Program(StrEnum):
    """What runs at a node."""

    BIRD = "BIRD"
    NSD = "NSD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A program that was started at a node: `given` is the configuration or the files that it has, in `folder`."""

    program: Program
    node: str
    folder: Path
    given: str | Mapping[str, str]
    process: subprocess.Popen[bytes]

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return f"{self.program} of {self.node}"

    @property
    def control(self) -> Path:
        """Return where BIRD listens."""
        return self.folder / _CONTROL

    @property
    def config(self) -> Path:
        """Return the file that BIRD reads."""
        return self.folder / _CONFIG

    @property
    def new_config(self) -> Path:
        """Return the file in which BIRD may look through a configuration before it has it."""
        return self.folder / f"{_CONFIG}.new"

    def is_ready(self) -> bool:
        """Tell whether it serves. Raises PlatformFailed where it ended instead, with its own words."""
        if self.process.poll() is not None:
            raise PlatformFailed(f"{self.name} does not start: {_why(self.folder)}")
        if self.program is Program.BIRD:
            return bird_control.is_listening(self.control)
        return _STARTED in (self.folder / _LOG).read_bytes()

    def stop(self) -> None:
        """End it and all its children, at once."""
        group = self.process.pid
        if self.program is Program.BIRD:
            self.process.terminate()  # it takes its routes out of the kernel
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_TIMEOUT_S)
        if self.process.poll() is not None and Path(f"/proc/{group}").exists():
            return  # its number is another's by now, so it has no children either: they would have kept it
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()
        # Its orphans are ours, and they answer until they are gone.
        end = time.monotonic() + _STOP_TIMEOUT_S
        with suppress(ProcessLookupError, ChildProcessError):
            while time.monotonic() < end:
                os.waitpid(-group, os.WNOHANG)
                os.killpg(group, 0)
                time.sleep(_PAUSE_S / 4)


def search_path(environ: Mapping[str, str] = os.environ) -> str:
    """Return where programs are looked for: an ordinary user's PATH has no /usr/sbin."""
    return os.pathsep.join([*filter(None, environ.get("PATH", "").split(os.pathsep)), *_USUAL_PLACES])


def missing(blueprint: Blueprint, path: str) -> str | None:
    """Return which programs a lab needs and are not here, and what to install; None where all are."""
    wanted = ["ip", "unshare", "setsid", "nsenter"]
    wanted += ["bird"] if any(node.bird is not None for node in blueprint.nodes.values()) else []
    wanted += ["nsd", "nsd-checkconf"] if any(node.nsd is not None for node in blueprint.nodes.values()) else []
    gone = [program for program in wanted if shutil.which(program, path=path) is None]
    if not gone:
        return None
    packages = sorted({_PACKAGES[program] for program in gone})
    return f"a lab needs {', '.join(gone)}: install the packages {' '.join(packages)} (so Debian and Ubuntu call them)"


def start_bird(namespaces: Namespaces, node: str, config: str) -> Daemon:
    """Start the BIRD of a node."""
    folder = _fresh(node, Program.BIRD.lower(), {_CONFIG: config})
    argv = ["bird", "-f", "-c", str(folder / _CONFIG), "-s", str(folder / _CONTROL), "-P", str(folder / "pid")]
    process = _start(namespaces, node, folder, argv)
    return Daemon(program=Program.BIRD, node=node, folder=folder, given=config, process=process)


def start_nsd(namespaces: Namespaces, node: str, files: Mapping[str, str]) -> Daemon:
    """Start the NSD of a node, in the folder of its files."""
    folder = _fresh(node, Program.NSD.lower(), files)
    process = _start(namespaces, node, folder, ["nsd", "-d", "-c", _MAIN_FILE, "-l", str(folder / _LOG)])
    return Daemon(program=Program.NSD, node=node, folder=folder, given=dict(files), process=process)


def check_birds(configs: Mapping[str, str]) -> None:
    """Have configurations of BIRD looked through, by node, where none runs that could. Raises PlatformFailed."""
    _check(Program.BIRD, {node: {_CONFIG: config} for node, config in configs.items()}, ["bird", "-p", "-c", _CONFIG])


def check_servers(files: Mapping[str, Mapping[str, str]]) -> None:
    """Have configurations of NSD looked through, by node. Raises PlatformFailed."""
    _check(Program.NSD, files, ["nsd-checkconf", _MAIN_FILE])


def _check(program: Program, files: Mapping[str, Mapping[str, str]], argv: list[str]) -> None:
    started = []
    for node, given in files.items():
        folder = _fresh(node, f"{program}.new".lower(), given)
        with (folder / _LOG).open("ab") as log:
            process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
        started.append((node, folder, process))
    failed = [(node, folder) for node, folder, process in started if process.wait()]
    for node, folder in failed[:1]:
        raise PlatformFailed(f"{program} of {node}: {_why(folder)}")


def wait_ready(daemons: Iterable[Daemon]) -> None:
    """Wait until all of them serve. Raises PlatformFailed."""
    end = time.monotonic() + _START_TIMEOUT_S
    for daemon in daemons:
        while not daemon.is_ready():
            if time.monotonic() > end:
                raise PlatformFailed(f"{daemon.name} is not ready after {_START_TIMEOUT_S:g} s: have a smaller lab")
            time.sleep(_PAUSE_S)


def _why(folder: Path) -> str:
    """Return what a program said of its end."""
    said = (folder / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in said if "error" in line), said[-1] if said else "it said nothing").strip()


def _fresh(node: str, place: str, files: Mapping[str, str]) -> Path:
    folder = _HOME / node / place
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _start(namespaces: Namespaces, node: str, folder: Path, argv: list[str]) -> subprocess.Popen[bytes]:
    with (folder / _LOG).open("ab") as log, namespaces.inside(node):
        return subprocess.Popen(  # noqa: S603  (nothing of it comes from outside)
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a group of its own, that ends as one
        )
