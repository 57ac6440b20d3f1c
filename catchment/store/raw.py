"""Tier 0 of a run whose packets this host sends: results are appended as they come, and compressed when all are there.

While it is measured a measurement has the file raw/<id>.ndjson, afterwards raw/<id>.ndjson.gz. Where a process was
killed between the two there are both, and they hold the same.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from catchment.errors import InvalidRun
from catchment.store.headers import sync
from catchment.store.runs import raw_folder

_GROWING, _WHOLE = ".ndjson", ".ndjson.gz"
_BLOCK = 1 << 16
_LEVEL = 6


class ResultWriter:
    """Appends Atlas-shaped results to a run, a file for each `msm_id`; for one process and one thread at a time.

    What a process that was killed left behind is mended when it is made: a last line without its end goes, and so does
    what was half compressed. Raises InvalidRun where the files cannot be opened.
    """

    def __init__(self, run: Path) -> None:
        self._folder = raw_folder(run)
        self._streams: dict[int, BinaryIO] = {}
        try:
            self._folder.mkdir(exist_ok=True)
            for stale in self._folder.glob(f".*{_WHOLE}.partial"):
                stale.unlink()
            for number, file in self._growing().items():
                if self._whole(number).exists():
                    file.unlink()
                else:
                    _cut_torn_line(file)
        except OSError as error:
            raise InvalidRun(f"{self._folder}: {error.strerror}: make it writable, then go on") from error

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the files; what was written stays."""
        self.close()

    def write(self, result: Mapping[str, Any]) -> None:
        """Append a result to the file of its measurement; one that was finished grows again."""
        number = int(result["msm_id"])
        stream = self._streams.get(number)
        if stream is None:
            stream = self._streams[number] = self._open(number)
        stream.write(json.dumps(result, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n")

    def flush(self) -> None:
        """Have all that was written on the disk when this returns."""
        for stream in self._streams.values():
            stream.flush()
            os.fsync(stream.fileno())
        if self._streams:
            sync(self._folder)

    def close(self) -> None:
        """Close the files; what was written is with the operating system."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()

    def finish(self) -> dict[int, tuple[str, int]]:
        """Compress every file; return of each measurement the name of its file, and how many results that holds.

        The same results give the same bytes. A measurement without results has no file.
        """
        self.close()
        for number, file in self._growing().items():
            if file.stat().st_size == 0:  # of a process that was killed before it wrote a whole line
                file.unlink()
            else:
                _compress(file, self._whole(number))
        sync(self._folder)
        return {number: (file.name, _count_lines(file)) for number, file in self._files(_WHOLE).items()}

    def _growing(self) -> dict[int, Path]:
        return self._files(_GROWING)

    def _whole(self, number: int) -> Path:
        return self._folder / f"{number}{_WHOLE}"

    def _files(self, ending: str) -> dict[int, Path]:
        """Return the files with an ending, by the number of their measurement, ascending; others are not ours."""
        named = {file.name.removesuffix(ending): file for file in self._folder.glob(f"*{ending}")}
        return dict(sorted((int(name), file) for name, file in named.items() if name.isdecimal()))

    def _open(self, number: int) -> BinaryIO:
        file, whole = self._folder / f"{number}{_GROWING}", self._whole(number)
        if whole.exists():
            partial = file.with_name(f".{whole.name}.partial")
            with gzip.open(whole) as source, partial.open("wb") as copy:
                shutil.copyfileobj(source, copy, _BLOCK)
            partial.replace(file)
            whole.unlink()
        return file.open("ab")


def _cut_torn_line(file: Path) -> None:
    """Cut what follows the last line that has its end."""
    with file.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _BLOCK)
            stream.seek(start)
            last = stream.read(end - start).rfind(b"\n")
            end = start if last < 0 else start + last + 1
            if last >= 0:
                break
        stream.truncate(end)


def _compress(file: Path, to: Path) -> None:
    partial = to.with_name(f".{to.name}.partial")
    with file.open("rb") as source, partial.open("wb") as stream:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=stream, mtime=0) as packed:
            shutil.copyfileobj(source, packed, _BLOCK)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(to)
    file.unlink()


def _count_lines(file: Path) -> int:
    with gzip.open(file) as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(_BLOCK), b""))
