"""Tier 0 of a run whose packets this host sends: results are appended as they come, and compressed when all are there.

While it is measured a measurement has the file raw/<id>.ndjson, afterwards raw/<id>.ndjson.gz. Where a process was
killed between the two there are both, and they hold the same.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
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

    What was written outlives this process; what was flushed, the power that this host loses. What either left behind is
    mended when a writer is made: a last line without its end goes, as do lines of zeros before that, and what was half
    compressed. Raises InvalidRun where files cannot be opened, or are damaged.
    """

    def __init__(self, run: Path) -> None:
        self._folder = raw_folder(run)
        self._streams: dict[int, BinaryIO] = {}
        try:
            self._folder.mkdir(exist_ok=True)
            for stale in self._folder.glob(f".*{_WHOLE}.partial"):
                stale.unlink()
            for number, file in self._growing().items():
                _mend(file, self._whole(number))
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
        stream.flush()

    def flush(self) -> None:
        """Have all that was written on the disk when this returns."""
        for stream in self._streams.values():
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
        return {number: (file.name, sum(1 for _ in _lines(file))) for number, file in self._files(_WHOLE).items()}

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
            with partial.open("wb") as copy:
                copy.writelines(_lines(whole))
            partial.replace(file)
            whole.unlink()
        return file.open("ab")


def read_results(run: Path, number: int) -> Iterator[dict[str, Any]]:
    """Yield the results that there are of a measurement, also while it is measured. Raises InvalidRun."""
    for file in (raw_folder(run) / f"{number}{ending}" for ending in (_GROWING, _WHOLE)):
        for line in _lines(file) if file.exists() else ():
            try:
                result = json.loads(line)
            except ValueError as error:
                raise _damaged(file) from error
            if not isinstance(result, dict):
                raise _damaged(file)
            yield result


def _lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file, compressed or not. Raises InvalidRun where it is damaged."""
    try:
        with gzip.open(file) if file.name.endswith(_WHOLE) else file.open("rb") as stream:
            yield from stream
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(file) from error


def _damaged(file: Path) -> InvalidRun:
    return InvalidRun(f"{file}: damaged: measure the run anew, or remove the file to go on without its results")


def _mend(file: Path, whole: Path) -> None:
    """Leave one of a file that grew and what was made of it, and of that no half line."""
    if whole.exists():
        try:
            for _ in _lines(whole):
                pass
        except InvalidRun:
            whole.unlink()  # what it was made of is still there
        else:
            file.unlink()
            return
    _cut_torn_line(file)


def _cut_torn_line(file: Path) -> None:
    """Cut what follows the last line that has its end, and lines before that which hold zeros: they were never written.

    Where a host loses its power a file may have grown, and what belongs there is not on the disk yet.
    """
    with file.open("r+b") as stream:
        end = _end_of_lines(stream, stream.seek(0, os.SEEK_END))
        while end > 0:
            start = _end_of_lines(stream, end - 1)
            stream.seek(start)
            if b"\0" not in stream.read(end - start):
                break
            end = start
        stream.truncate(end)


def _end_of_lines(stream: BinaryIO, end: int) -> int:
    """Return where the last line ends that is whole before a place."""
    while end > 0:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        last = stream.read(end - start).rfind(b"\n")
        if last >= 0:
            return start + last + 1
        end = start
    return 0


def _compress(file: Path, to: Path) -> None:
    partial = to.with_name(f".{to.name}.partial")
    with file.open("rb") as source, partial.open("wb") as stream:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=stream, mtime=0) as packed:
            shutil.copyfileobj(source, packed, _BLOCK)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(to)
    file.unlink()
