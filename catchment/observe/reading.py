"""Files of results: what they are (by content, never by name), and which of their records nobody can read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import zstandard

from catchment.errors import InvalidFile

Compression = Literal["none", "gzip", "zstd", "bzip2"]
Layout = Literal["ndjson", "array"]

_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_EXCERPT = 120
LONGEST_RECORD = 2 << 20
"""Bytes. No result comes near it; longer ones need not be read, but must not stop the others."""

_BLOCK = _BUFFER = 1 << 20
_BY_SUFFIX: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2"}
# Whatever a damaged compressed stream raises, in the words of three libraries.
DAMAGED = (EOFError, OSError, zlib.error, zstandard.ZstdError)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],"]', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A file of results as found: its name in the run, how it is compressed, and whether it is lines or an array.

    `has_mark` tells that it begins with a byte order mark, as some editors leave.
    """

    path: Path
    name: str
    compression: Compression
    layout: Layout
    has_mark: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A record that cannot be used: which one of its file (from 1, blank lines left out), why, and how it begins."""

    file: str
    record: int
    reason: str
    excerpt: str


def sniff(path: Path, name: str | None = None) -> ResultFile:
    """Tell what a file is by its first bytes. Raises InvalidFile where it is empty or cannot be opened."""
    if path.exists() and not path.is_file():
        raise InvalidFile(f"{path}: not a file but a folder, pipe or device: write it to a file first")
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise InvalidFile(f"{path}: {error.strerror}: name a file that can be read") from error
    compression: Compression = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "none")
    start, has_mark = b"", False
    with open_bytes(path, compression) as stream:
        while not start:
            try:
                block = stream.read1(_BLOCK)
            except DAMAGED as error:
                raise InvalidFile(f"{path}: damaged {compression} file: fetch it again") from error
            if not block:
                raise InvalidFile(f"{path}: holds no results: fetch it again, or name another file")
            has_mark = has_mark or block.startswith(_BYTE_ORDER_MARK)
            start = block.removeprefix(_BYTE_ORDER_MARK).lstrip()
    layout: Layout = "array" if start.startswith(b"[") else "ndjson"
    return ResultFile(path=path, name=name or path.name, compression=compression, layout=layout, has_mark=has_mark)


def is_blank(path: Path) -> bool:
    """Tell whether a file, compressed as its name says, holds nothing. Raises InvalidFile where it is damaged."""
    compression = _BY_SUFFIX.get(path.suffix, "none")
    try:
        if compression != "none" and path.stat().st_size == 0:
            raise EOFError("it is empty")  # nothing, compressed, takes some bytes
        with open_bytes(path, compression) as stream:
            first = stream.read(1)
            while stream.read(_BLOCK):
                pass
    except DAMAGED as error:
        raise InvalidFile(f"{path}: damaged ({error})") from error
    return first == b""


def open_bytes(path: Path, compression: Compression) -> io.BufferedIOBase:
    """Open a file for reading its uncompressed bytes."""
    match compression:
        case "gzip":
            return gzip.open(path, "rb")
        case "bzip2":
            return bz2.open(path, "rb")
        case "zstd":
            return cast(io.BufferedIOBase, zstandard.open(path, "rb"))
        case "none":
            return cast(io.BufferedIOBase, path.open("rb", buffering=_BUFFER))


def rewrite_as_lines(file: ResultFile, to: Path) -> ResultFile:
    """Copy a file to NDJSON compressed with zstd, record by record, as far as it can be read.

    For what DuckDB cannot read itself: bzip2, streams that end early, arrays with a damaged element.
    """
    writer = zstandard.ZstdCompressor(level=1)
    with to.open("wb") as out, writer.stream_writer(out) as lines:
        for record in records(file):
            lines.write(record[: LONGEST_RECORD // 2].replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")
    return ResultFile(path=to, name=file.name, compression="zstd", layout="ndjson")


def records(file: ResultFile) -> Iterator[bytes]:
    """Yield the text of each record that is not blank; what follows a damaged place is left out."""
    with open_bytes(file.path, file.compression) as stream:
        if file.has_mark:
            stream.read(len(_BYTE_ORDER_MARK))
        if file.layout == "array":
            yield from filter(bytes.strip, _elements(stream))
        elif file.compression == "none":
            yield from filter(bytes.strip, stream)
        else:
            yield from filter(bytes.strip, _lines(stream))


def mentions(file: ResultFile, text: bytes) -> int:
    """Count how often a text stands in a file."""
    found, rest = 0, b""
    with open_bytes(file.path, file.compression) as stream:
        for block in _blocks(stream):
            found += (rest + block).count(text)
            rest = block[1 - len(text) :]
    return found


def name_rejected(file: ResultFile, ordinals: Sequence[int]) -> list[Rejected]:
    """Return why the records with these ordinals (from 1, rising, among those not blank) cannot be used."""
    found, position, named = records(file), 0, []
    for ordinal in ordinals:
        text = next(islice(found, ordinal - position - 1, None))
        position = ordinal
        excerpt = printable(text[:_EXCERPT])
        named.append(Rejected(file=file.name, record=ordinal, reason=_reason(text), excerpt=excerpt))
    return named


def printable(raw: bytes) -> str:
    r"""Return bytes as text in which all but printable ASCII is written \xNN."""
    return "".join(chr(byte) if 0x20 <= byte <= 0x7E else f"\\x{byte:02x}" for byte in raw)


def _reason(text: bytes) -> str:
    try:
        record = json.loads(text)
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError) as error:
        return "not JSON: " + str(error).split(": line")[0].lower()
    if not isinstance(record, dict):
        return f"not a result but {'null' if record is None else type(record).__name__}"
    for key, meaning in (("prb_id", "vantage point"), ("timestamp", "time")):
        if not isinstance(record.get(key), int | float | str):
            return f"not a RIPE Atlas result: it has no {meaning} ({key})"
    return "not a RIPE Atlas result"


def _lines(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield lines; unlike the stream's own iterator, with what stood before a damaged place."""
    rest = b""
    for block in _blocks(stream):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    yield rest


def _elements(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the elements of JSON arrays, one array or several one behind the other, and whatever stands between them.

    An element that is cut off comes as far as it goes.
    """
    buffer, scan, start, depth = b"", 0, 0, 0
    for block in _blocks(stream):
        buffer, scan, start = buffer[start:] + block, scan - start, 0
        for token in _TOKEN.finditer(buffer, scan):
            mark = token.group()
            if mark == b'"':
                break  # a string that goes on in the next block
            scan = token.end()
            if depth == 0:
                if mark == b"[":
                    yield buffer[start : token.start()]
                    start, depth = scan, 1
            elif mark in (b"[", b"{"):
                depth += 1
            elif mark in (b"]", b"}") and (depth > 1 or mark == b"]"):  # a stray } stays with its element
                depth -= 1
            if (depth == 0 and mark == b"]") or (depth == 1 and mark == b","):
                yield buffer[start : token.start()]
                start = scan
    yield buffer[start:]


def _blocks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield what can be read, in the steps in which it is decompressed: so nothing before a damaged place is lost."""
    try:
        while block := stream.read1(_BLOCK):
            yield block
    except DAMAGED:
        return
