"""Where a process is ended, and how: at a request, amid an answer, at a file operation, amid a file, at any time."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from catchment.platforms.sandbox.api.endings import Broken, Ending
from catchment.platforms.sandbox.api.exchange import Request, Response
from catchment.platforms.sandbox.clock import Clock

_MOST_OF_A_FILE = 4000  # bytes; nearly every file operation is followed by a file that is longer
_MOST_OF_A_RUN = 0.9  # of the time that an undisturbed one takes: a run on an idle machine is quicker
_SHARE_AT_POSTS = 1 / 2
_TAKEN_S = 0.02  # for the child to read what was sent, or to heed a signal
_LONGEST_S = 60.0
_PLAIN = "from catchment.cli import main; main()"
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
KILLED = {-signal.SIGKILL, -signal.SIGXFSZ}
"""Exit codes of a process that had no say in its end: the kernel ended it, the second amid a write."""


class Way(StrEnum):
    """What the end of a process comes with."""

    BEFORE = "a request came"  # and was not handled
    AFTER = "a request was handled"  # and not answered
    AMID = "amid an answer"
    OPERATION = "before a file operation"
    BYTE = "amid a file"
    TIME = "at any time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What an undisturbed run has: requests, how many of them POSTs, file operations, and seconds that it takes."""

    requests: int
    posts: int
    operations: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a process is ended: at the `at`-th request (of the POSTs, where `posts`) or file operation, from 1.

    `share` is how much of an answer has been sent, `size` how many bytes a file has, `after_s` how long it has run.
    """

    way: Way
    at: int = 0
    posts: bool = False
    share: float = 0.0
    size: int = -1
    after_s: float = 0.0
    number: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        match self.way:
            case Way.TIME:
                return f"after {self.after_s:.2f} s"
            case Way.OPERATION:
                return f"before file operation {self.at}"
            case Way.BYTE:
                return f"at byte {self.size} of a file, after file operation {self.at}"
        which = f"{'POST' if self.posts else 'request'} {self.at}"
        at_byte = f", {self.share:.0%} of its answer" if self.way is Way.AMID else ""
        return f"{self.way} ({which}{at_byte})"


def draw_point(draw: random.Random, usual: Usual, *, number: signal.Signals = signal.SIGKILL) -> Point:
    """Return any point of an undisturbed run; half of those at requests are at POSTs, which are few and dear."""
    ways = list(Way)
    if number is not signal.SIGKILL:  # Python itself answers a Ctrl-C that comes before the program has begun
        ways = [way for way in ways if way not in {Way.BYTE, Way.TIME}]
    way = draw.choice(ways)
    match way:
        case Way.TIME:
            return Point(way=way, after_s=draw.uniform(0, _MOST_OF_A_RUN * usual.seconds))
        case Way.OPERATION:
            return Point(way=way, at=draw.randint(1, usual.operations), number=number)
        case Way.BYTE:
            return Point(way=way, at=draw.randint(1, usual.operations), size=draw.randrange(_MOST_OF_A_FILE))
    posts = draw.random() < _SHARE_AT_POSTS
    at = draw.randint(1, usual.posts if posts else usual.requests)
    return Point(way=way, at=at, posts=posts, share=draw.random(), number=number)


class Stopwatch:
    """Tells seconds, and stands still while it is stopped: no time passes where nobody runs."""

    def __init__(self) -> None:
        self._passed_s = 0.0
        self._since: float | None = None
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            return self._passed_s + (0.0 if self._since is None else time.monotonic() - self._since)

    def go(self) -> None:
        with self._lock:
            self._since = time.monotonic() if self._since is None else self._since

    def stop(self) -> None:
        with self._lock:
            self._passed_s += 0.0 if self._since is None else time.monotonic() - self._since
            self._since = None


class Child:
    """The command line in a process of its own, in the folder `cwd`, to be ended at a point (None: nowhere)."""

    def __init__(
        self,
        words: Sequence[str],
        point: Point | None,
        *,
        cwd: Path,
        environ: Mapping[str, str],
        below: Path,
        counted: Path | None = None,
    ) -> None:
        self.point = point
        program = _PLAIN
        given: list[str] = []
        in_files = point is not None and point.way in {Way.OPERATION, Way.BYTE}
        if in_files or counted is not None:
            at, number, size = (0, 0, -1) if point is None else (point.at, point.number.value, point.size)
            given = [str(below), str(at), str(number), str(size), str(counted or "")]
            program = _WATCHED + _PLAIN
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
            time.sleep(_TAKEN_S)

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


class Tripwire:
    """Stands in front of an API and ends the child at its point; `looked` is when each measurement was last read.

    While nobody runs and while a request is handled, the sandbox's time stands still.
    """

    def __init__(self, respond: Callable[[Request], Response], watch: Stopwatch, clock: Clock) -> None:
        self._respond = respond
        self._watch = watch
        self._clock = clock
        self._child: Child | None = None
        self.requests = self.posts = 0
        self.is_at_post = False
        self.looked: dict[int, float] = {}
        self.before_handling: Callable[[Request], None] = lambda _: None

    def arm(self, child: Child) -> None:
        self._child = child
        self.requests = self.posts = 0
        self.is_at_post = False

    def respond(self, request: Request) -> Response:
        self._watch.stop()
        self.requests += 1
        self.posts += request.method == "POST"
        self.before_handling(request)
        way = self._due(is_post=request.method == "POST")
        self.is_at_post = way is not None and request.method == "POST"
        if way is Way.BEFORE and not self._end():
            return Response(status=503)
        results = re.search(r"/measurements/(\d+)/results", request.path)
        if results is not None:
            self.looked[int(results[1])] = self._clock.now()
        response = self._respond(request)
        if way is Way.AFTER and not self._end():
            return Response(status=503)
        if way is Way.AMID:
            return self._cut(response)
        self._watch.go()
        return response

    def _due(self, *, is_post: bool) -> Way | None:
        point = None if self._child is None else self._child.point
        if point is None or point.way not in {Way.BEFORE, Way.AFTER, Way.AMID} or (point.posts and not is_post):
            return None
        return point.way if point.at == (self.posts if point.posts else self.requests) else None

    def _end(self) -> bool:
        """End the child; tell whether it may still be there."""
        assert self._child is not None
        assert self._child.point is not None
        self._child.end()
        if self._child.point.number == signal.SIGKILL:
            return False
        self._watch.go()
        return True

    def _cut(self, response: Response) -> Response:
        """Return the first bytes of an answer; when the child has taken them, it is ended."""
        assert self._child is not None
        assert self._child.point is not None
        threading.Timer(_TAKEN_S, self._end).start()
        if isinstance(response, Broken):  # it is lost anyway
            return response
        content = response.content()
        sent = int(len(content) * self._child.point.share)
        headers = response.headers
        return Broken(status=response.status, headers=headers, body=content, sent=sent, ending=Ending.STALL)
