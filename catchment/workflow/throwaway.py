"""Folders for runs that nobody keeps: gone afterwards, and those of a process that was killed before the next one."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = "catchment-throwaway-"
_STALE_S = 86_400


@contextmanager
def throwaway_folder() -> Iterator[Path]:
    """Yield a folder that is gone afterwards, with all that is in it."""
    _sweep(time.time())
    with tempfile.TemporaryDirectory(prefix=f"{_NAME}{os.getpid()}-") as folder:
        yield Path(folder)


def _sweep(now: float) -> None:
    """Remove folders of ours that are older than a day, and whose process is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_NAME}*"):
        with suppress(OSError):
            told = folder.lstat()
            process = folder.name.removeprefix(_NAME).partition("-")[0]
            is_running = process.isdecimal() and Path("/proc", process).exists()
            if told.st_uid == os.getuid() and now - told.st_mtime > _STALE_S and not is_running:
                shutil.rmtree(folder)
