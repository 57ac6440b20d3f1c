"""The process that is ended: the command line, told to end itself at a file operation, on a host with a wrong clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kill_points import Point, Way

TAKEN_S = 0.02
"""For a child to read what was sent, or to heed a signal."""

_LONGEST_S = 60.0
_PLAIN = "from catchment.cli import main; main()\n"
_CLOCK = """
import time
def shift(first_s, then_s, after_s, real=time.time, since=time.monotonic, begun=time.monotonic()):
    time.time = lambda: real() + (first_s if since() < begun + after_s else then_s)
"""
_WATCHED = """
import atexit, os, resource, signal, sys
below, at, number, size, counted = sys.argv[1:6]
del sys.argv[1:6]
at, number, size, done = int(at), int(number), int(size), 0
changes = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.link", "os.symlink"}
def watch(event, given):
    global done
    if event not in changes or not isinstance(given[0], str | bytes):
        return
    path = os.fsdecode(given[0])
    if event in {"os.remove", "os.rmdir", "os.mkdir"} and given[-1] >= 0:
        path = os.path.join(os.readlink(f"/proc/self/fd/{given[-1]}"), path)
    if not os.path.abspath(path).startswith(below):
        return
    done += 1
    if done == at and size < 0:
        os.kill(os.getpid(), number)
    elif done == at:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.addaudithook(watch)
if counted:
    atexit.register(lambda: os.write(os.open(counted, os.O_WRONLY | os.O_CREAT), str(done).encode()))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongClock:
    """How wrong the clock of a host is: by `first_s`, and once the process has run for `after_s`, by `then_s`."""

    first_s: float
    then_s: float
    after_s: float


class Child:
    """The command line in a process of its own, in the folder `cwd`, to be ended at a point (None: nowhere).

    It counts file operations `below` a folder, into the file `counted`. `before` is Python that it runs first.
    """

    def __init__(
        self,
        words: Sequence[str],
        point: Point | None,
        *,
        cwd: Path,
        environ: Mapping[str, str],
        below: Path,
        counted: Path | None = None,
        clock: WrongClock | None = None,
        before: str = "",
    ) -> None:
        self.point = point
        program = before + _PLAIN
        if clock is not None:  # before anybody takes hold of the right one
            program = f"{_CLOCK}shift({clock.first_s}, {clock.then_s}, {clock.after_s})\n{program}"
        given: list[str] = []
        in_files = point is not None and point.way in {Way.OPERATION, Way.BYTE}
        if in_files or counted is not None:
            at, number, size = (0, 0, -1) if point is None else (point.at, point.number.value, point.size)
            given = [str(below), str(at), str(number), str(size), str(counted or "")]
            program = _WATCHED + program
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *given, *words],
            cwd=cwd,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        """Send the signal; of SIGKILL, wait until it is gone."""
        number = signal.SIGKILL if self.point is None else self.point.number
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()
        else:
            time.sleep(TAKEN_S)

    def wait(self) -> tuple[int, str]:
        """Wait until it has ended, or end it where that is its time; return exit code and what it said on stderr."""
        timed = self.point is not None and self.point.way is Way.TIME
        with self.process:
            try:
                said = self.process.communicate(timeout=self.point.after_s if self.point and timed else _LONGEST_S)[1]
            except subprocess.TimeoutExpired:
                self.process.kill()
                said = self.process.communicate()[1]
                if not timed:
                    said += f"\nwas still at work after {_LONGEST_S:.0f} s"
        return self.process.returncode, said
