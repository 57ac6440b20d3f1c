"""Where a process is ended, and how: at a request, amid an answer, at a file operation, amid a file, at any time."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from enum import StrEnum

_MOST_OF_A_FILE = 4000  # bytes; nearly every file operation is followed by a file that is longer
_MOST_OF_A_RUN = 0.9  # of the time that an undisturbed one takes: a run on an idle machine is quicker
_SHARE_AT_POSTS = 1 / 2
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
