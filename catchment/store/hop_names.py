"""hop_names.ndjson: what the reverse DNS said of a run's routers when it was asked. Facts, as results are (tier 0)."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catchment.errors import InvalidRun

FILE = "hop_names.ndjson"
_LONGEST_NAME = 253  # characters of a domain name as text (RFC 1035, 2.3.4)
_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class HopNames:
    """The routers that were asked about, by address, with their names; None has none.

    `damaged` says which lines of the file are left aside, and why.
    """

    names: dict[str, str | None] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()


def load_hop_names(run: Path) -> HopNames:
    """Read what is stored of a run's routers; of several lines on one address the last counts.

    Nothing where there is no file. Raises InvalidRun where it cannot be opened.
    """
    names: dict[str, str | None] = {}
    damaged = []
    for number, line in enumerate(_lines(run), start=1):
        if not line.strip():
            continue
        try:
            address, name = _read(line)
        except ValueError as error:
            damaged.append(f"line {number} is {error}")
        else:
            names[address] = name
    return HopNames(names=names, damaged=tuple(damaged))


def read_hop_names(run: Path) -> list[tuple[str, str]]:
    """Return each router of a run that has a name, with it, in the order of the addresses as text."""
    return sorted((address, name) for address, name in load_hop_names(run).names.items() if name is not None)


def write_hop_names(run: Path, names: Mapping[str, str | None], *, resolved_at: str) -> None:
    """Add names to those stored, as they were at a time (ISO 8601). They are on the disk when this returns."""
    table = ({"address": address, "name": name, "resolved_at": resolved_at} for address, name in sorted(names.items()))
    lines = "".join(json.dumps(entry) + "\n" for entry in table)
    with (run / FILE).open("ab+") as stream:
        if stream.tell() > 0:
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":  # of a process that was killed while it wrote
                stream.write(b"\n")
        stream.write(lines.encode("ascii"))
        stream.flush()
        os.fsync(stream.fileno())


def unite_hop_names(runs: Iterable[Path], to: Path) -> None:
    """Write what is stored of the routers of several runs as the names of the run `to`, the oldest first.

    So of several lines on one address that counts which was asked for last. Raises InvalidRun.
    """
    lines = {line for run in runs for line in _lines(run) if _is_ours(line)}
    if lines:
        ordered = sorted(lines, key=lambda line: (str(json.loads(line).get("resolved_at")), line))
        (to / FILE).write_bytes(b"".join(line + b"\n" for line in ordered))


def _lines(run: Path) -> list[bytes]:
    try:
        return (run / FILE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidRun(f"{run / FILE}: {error.strerror}: make it readable, or remove it") from error


def _is_ours(line: bytes) -> bool:
    try:
        _read(line)
    except ValueError:
        return False
    return True


def _read(line: bytes) -> tuple[str, str | None]:
    """Read a line. Raises ValueError where it is none of ours: a name goes to terminals and pages."""
    if len(line) > _LONGEST_LINE:
        raise ValueError("too long")
    try:
        entry = json.loads(line)
        address, name = str(ipaddress.ip_address(str(entry["address"]).replace("%", " "))), entry["name"]  # no zones
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ValueError("no object with an address and a name") from error
    if name is None:
        return address, None
    if not isinstance(name, str) or not name.isascii() or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
        raise ValueError("without a name that could be one")
    return address, name
