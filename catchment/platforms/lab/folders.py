"""The folders of labs that run: one each, with its control socket and its log, seen by nobody else.

A lab runs as long as somebody holds the lock of its folder: its supervisor, to its last breath. What a lab left that
was killed is taken away by whoever comes next.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from catchment.errors import PlatformFailed

SOCKET, LOG = "control", "log"

_PREFIX = "lab-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_LONGEST_SOCKET = 107  # sun_path has 108 bytes, the last of them zero
_ATTEMPTS = 10
_LOOK_S = 0.1
_PAUSE_S = 0.002


def parent(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of all our labs, which need not exist."""
    own = environ.get("XDG_RUNTIME_DIR", "")
    with suppress(OSError):
        found = os.stat(own)
        if os.path.isabs(own) and found.st_uid == os.geteuid() and os.access(own, os.W_OK | os.X_OK):
            return Path(own) / "catchment"
    return Path(tempfile.gettempdir()) / f"catchment-{os.geteuid()}"


def folder_of(name: str) -> Path:
    """Return the folder of a lab, which need not exist. Raises PlatformFailed for what cannot be a name."""
    if not _NAME.fullmatch(name):
        raise PlatformFailed(f"'{name}' cannot name a lab: use up to 40 letters, digits, '-', '_' and '.'")
    folder = parent() / f"{_PREFIX}{name}"
    if len(os.fsencode(folder / SOCKET)) > _LONGEST_SOCKET:
        raise PlatformFailed(f"{folder}: too long a path for a socket: set XDG_RUNTIME_DIR or TMPDIR to a shorter one")
    return folder


def claim(name: str) -> int:
    """Make the folder of a lab, empty, and return the descriptor that holds its lock.

    Raises PlatformFailed where a lab of the name runs, or the folder cannot be ours alone.
    """
    folder = folder_of(name)
    for _ in range(_ATTEMPTS):
        try:
            _make_ours(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
            held = look_at(folder)
        except FileNotFoundError:
            continue  # a lab that ended just now took it away
        except OSError as error:
            raise PlatformFailed(f"{folder}: {error.strerror}: set XDG_RUNTIME_DIR or TMPDIR to another one") from error
        # Somebody may look at it for a moment, to list what runs.
        if _is_free(held, within_s=_LOOK_S):
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(folder), os.fstat(held)):
                    _empty(held)
                    return held
            os.close(held)
            continue
        os.close(held)
        raise PlatformFailed(
            f"a lab '{name}' runs already: end it (`catchment lab down {name}`), or choose another name"
        )
    raise PlatformFailed(f"{folder}: vanishes time and again: choose another name for the lab")


def look_at(folder: Path) -> int:
    """Open the folder of a lab, so that its end can be waited for even when the folder is gone. Raises OSError."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def is_gone(held: int, folder: Path, *, within_s: float = 0.0) -> bool:
    """Wait until all processes of a lab have ended, and leave nothing of its folder; False where some go on."""
    if not _is_free(held, within_s=within_s):
        return False
    with suppress(OSError):
        if os.path.samestat(os.stat(folder), os.fstat(held)):
            remove(held, folder)
    return True


def running() -> list[str]:
    """Return the names of the labs that run, in order; the folders of those that were killed are taken away."""
    try:
        folders = sorted(Path(entry) for entry in os.scandir(parent()) if entry.name.startswith(_PREFIX))
    except OSError:
        return []
    return [folder.name.removeprefix(_PREFIX) for folder in folders if not _is_left_over(folder)]


def _is_left_over(folder: Path) -> bool:
    try:
        held = look_at(folder)
    except OSError:
        return True
    try:
        return is_gone(held, folder)
    finally:
        os.close(held)


def _is_free(held: int, *, within_s: float) -> bool:
    """Wait until nobody else holds the lock of a folder that is open; then we do. False: somebody still does."""
    end = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True


def remove(held: int, folder: Path) -> None:
    """Remove the folder of a lab that is open, also where its path is hidden by what is mounted over it."""
    with suppress(OSError):
        _empty(held)
        up = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=held)
        try:
            os.rmdir(folder.name, dir_fd=up)
            above = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=up)
            try:
                os.rmdir(folder.parent.name, dir_fd=above)  # unless another lab has its folder there
            finally:
                os.close(above)
        finally:
            os.close(up)


def _empty(held: int) -> None:
    for name in os.listdir(held):
        os.unlink(name, dir_fd=held)


def _make_ours(folder: Path) -> None:
    """Make a folder that nobody else can look into; another user may have made one of the name first."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PlatformFailed(f"{folder}: is not ours alone: remove it, or set XDG_RUNTIME_DIR to a folder of yours")
