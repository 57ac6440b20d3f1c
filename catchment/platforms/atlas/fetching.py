"""Fetching results into files: NDJSON as the server sent it, gzip, in bounded memory; whole files or none.

Within one answer everything is kept as it came, also what is there twice: `observe` leaves that out. What an earlier
answer brought is neither asked for nor kept again.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from catchment.errors import asked_to_stop
from catchment.platforms.atlas.client import Atlas, StreamBroken
from catchment.platforms.atlas.slices import Slice
from catchment.store import sync

UNFINISHED = ".unfinished"

# Of recorded results, on one core: level 6 packs 43 MB/s of traceroutes and 76 to 131 MB/s of DNS results, level 4 81
# and 117 to 196 MB/s into files that are 10 to 20 % larger, level 1 140 and 196 to 306 MB/s into 30 to 40 % larger.
_LEVEL = 4
_GZIP = 31  # zlib's word for a gzip header: without name and time, so that the same results are the same bytes
_BLOCK = 1 << 17
_TOLD_EVERY = 5000
_EMPTY_TRIES = 3  # a proxy in trouble answers 200 and nothing
_TRIES = 6  # of a stream that breaks off; each begins anew
_FIRST_BACKOFF_S = 2.0
_PROBES_AT_ONCE = 500  # keeps the address of a request below 8 kB
# A quote inside a JSON string is always escaped, so that what a colon follows can only be a key. To find the key first
# is several times as fast as to search for the whole expression.
_PROBE, _PROBE_VALUE = b'"prb_id"', re.compile(rb"\s*:\s*(\d{1,18})")
_TIMESTAMP = re.compile(rb'"timestamp"\s*:\s*(\d{1,18})')

Turn = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How many results there are, and which probes sent them."""

    results: int = 0
    participants: frozenset[int] = frozenset()

    def __add__(self, other: Found) -> Found:
        return Found(results=self.results + other.results, participants=self.participants | other.participants)


class _Tally:
    """Counts the results that pass, and remembers who sent them."""

    def __init__(self) -> None:
        self.results = 0
        self._probes = set[bytes]()

    def passing(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            self.results += 1
            probe = _probe_in(line)
            if probe is not None:
                self._probes.add(probe)
            yield line

    @property
    def found(self) -> Found:
        return Found(results=self.results, participants=frozenset(map(int, self._probes)))


class Unfinished:
    """A file of results in the making: hidden, so that nobody takes for a result what is not whole.

    Without `finish`, nothing is left of it at the end of the context. `found` is what it holds by now.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found = Found()
        self._hidden = file.parent / f".{file.name}{UNFINISHED}"
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._size = 0

    def __enter__(self) -> Self:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._hidden.write_bytes(b"")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._hidden.unlink(missing_ok=True)

    def add(self, lines: Iterable[bytes], *, told: Callable[[int], None] = lambda _: None) -> None:
        """Append lines; `told` hears now and then how many there are. After an error it is as if none had come."""
        packer, tally = self._packer.copy(), _Tally()
        block, size = list[bytes](), 0
        with self._hidden.open("r+b") as out:
            out.seek(self._size)
            out.truncate()
            for line in tally.passing(lines):
                block.append(line)
                size += len(line)
                if size >= _BLOCK:
                    block.append(b"")
                    out.write(packer.compress(b"\n".join(block)))
                    block, size = [], 0
                if tally.results % _TOLD_EVERY == 0:
                    told(self.found.results + tally.results)
            block.append(b"")
            out.write(packer.compress(b"\n".join(block)))
            written = out.tell()
        self._packer, self._size, self.found = packer, written, self.found + tally.found

    def finish(self) -> None:
        """Give the file its name. It is on the disk when this returns."""
        with self._hidden.open("r+b") as out:
            out.seek(self._size)
            out.truncate()
            out.write(self._packer.flush())
            out.flush()
            os.fsync(out.fileno())
        self._hidden.replace(self.file)
        sync(self.file.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Fetches results from the API: `clock` and `sleep` are of the time there."""

    atlas: Atlas
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def fetch(
        self,
        measurement: int,
        piece: Slice,
        out: Unfinished,
        *,
        probes: Sequence[int] | None = None,
        leave_out: Callable[[bytes], bool] | None = None,
        told: Callable[[int], None] = lambda _: None,
        expects_some: bool = False,
    ) -> None:
        """Append the results of a slice to a file: of some probes only, and without those to `leave_out`.

        A stream that breaks off is begun anew, a few times; so is a slice that is empty, for who `expects_some`. Raises
        PlatformFailed, of one line; the file then holds what whole answers brought.
        """
        before = out.found.results
        for look in range(_EMPTY_TRIES if expects_some else 1):
            if look > 0:
                self._back_off(look - 1)
            for params in _requests(piece, probes):
                self._answer(f"/measurements/{measurement}/results/", params, look, out, leave_out, told)
            if out.found.results > before:
                return

    def _answer(
        self,
        path: str,
        params: dict[str, Any],
        look: int,
        out: Unfinished,
        leave_out: Callable[[bytes], bool] | None,
        told: Callable[[int], None],
    ) -> None:
        for attempt in range(_TRIES):
            # Answers may come out of a cache that heeds no header; Blaeu's way around it.
            once = f"dc{self.clock():.0f}-{look}-{attempt}"
            try:
                with closing(self.atlas.lines(path, format="txt", **params, defeatcaching=once)) as lines:
                    out.add(lines if leave_out is None else (line for line in lines if not leave_out(line)), told=told)
                return
            except StreamBroken as broken:
                # After Ctrl-C, C code may turn it into such an error: then nobody wants to try again.
                if attempt == _TRIES - 1 or asked_to_stop.is_set():
                    raise StreamBroken(f"{broken} (this was try {attempt + 1})") from broken
            self._back_off(attempt)

    def _back_off(self, attempt: int) -> None:
        self.sleep(_FIRST_BACKOFF_S * 2**attempt * (0.5 + self.atlas.random()))


def read_again(file: Path) -> Found | None:
    """Count what a file holds that was fetched before; None where there is none, or it is damaged."""
    tally = _Tally()
    try:
        if file.stat().st_size == 0:  # gzip takes it for whole
            return None
        with gzip.open(file) as lines:
            for _ in tally.passing(lines):
                pass
    except (OSError, EOFError, zlib.error):
        return None
    return tally.found


def turns_in(file: Path) -> Iterator[Turn]:
    """Yield what tells each result of a whole file from the others of its measurement: its probe and its time."""
    with gzip.open(file) as lines:
        yield from map(turn_of, lines)


def turn_of(line: bytes) -> Turn:
    """Return what tells a result from others of its measurement: its probe and its time, where it has them."""
    at = _TIMESTAMP.search(line)
    return probe_of(line), None if at is None else int(at[1])


def probe_of(line: bytes) -> int | None:
    """Return the probe that sent a result."""
    probe = _probe_in(line)
    return None if probe is None else int(probe)


def _probe_in(line: bytes) -> bytes | None:
    place = line.find(_PROBE)
    while place >= 0:
        value = _PROBE_VALUE.match(line, place + len(_PROBE))
        if value is not None:
            return value[1]
        place = line.find(_PROBE, place + 1)  # that one was a text, not a key
    return None


def _requests(piece: Slice, probes: Sequence[int] | None) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each request that it takes: chosen probes are asked for some hundred at once."""
    params: dict[str, Any] = {"start": piece.first, "stop": piece.last}
    if probes is None:
        yield params
        return
    for first in range(0, len(probes), _PROBES_AT_ONCE):
        yield params | {"probe_ids": probes[first : first + _PROBES_AT_ONCE]}
