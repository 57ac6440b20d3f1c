"""How a user names a run: by its path, or its campaign, cut to a window of time."""

from __future__ import annotations

import glob
import os
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catchment.errors import InvalidRun, UnknownName, hint
from catchment.model import Window
from catchment.store.headers import HEADER
from catchment.store.runs import METRICS, Run, is_complete, read_metrics

_DEFAULT_ROOT = "results"
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_LAST_S = 1.0  # before a change: hardly an answer is under way for longer, and what does take longer is not the network


def results_root(given: Path | None) -> Path:
    """Return the folder of stored runs: as given, or CATCHMENT_RESULTS, or ./results."""
    return given or Path(os.environ.get("CATCHMENT_RESULTS") or _DEFAULT_ROOT)


def stored_campaigns(root: Path) -> list[str]:
    """Return the names of the campaigns that have a run below the root, whole or not."""
    runs = [file.parent for name in (METRICS, HEADER) for file in root.glob(f"*/*/{name}")]
    return sorted({run.parent.name for run in runs if not run.name.startswith(".")})


def stored_runs(root: Path, campaign: str | None = None) -> list[Path]:
    """Return the complete runs below the root, each campaign's in the order in which they were measured."""
    folders = [file.parent for file in root.glob(f"{_pattern(campaign)}/*/{METRICS}")]
    whole = [folder for folder in folders if not folder.name.startswith(".")]  # hidden ones are still being built
    return sorted(whole, key=lambda path: (path.parent.name, _measured_until(path), path.name))


def unfinished_runs(root: Path, campaign: str | None = None) -> list[Path]:
    """Return the runs below the root that were begun and are not complete."""
    folders = [file.parent for file in root.glob(f"{_pattern(campaign)}/*/{HEADER}")]
    return sorted(path for path in folders if not path.name.startswith(".") and not is_complete(path))


def _pattern(campaign: str | None) -> str:
    return "*" if campaign is None else glob.escape(campaign)


def _measured_until(path: Path) -> str:
    try:
        return str(read_metrics(path).get("to"))
    except InvalidRun:
        return ""  # listed first; opening it says what is wrong


def find_run(name: str, root: Path, start: str | None = None, end: str | None = None) -> tuple[Run, Window]:
    """Open a run by its path or name, cut to the window in brackets behind it or between two times.

    `[before]` and `[after]` are the windows around the change that a campaign was planned for. Raises UnknownName and
    InvalidRun.
    """
    around = re.fullmatch(r"(?P<run>.+?)\[(?P<side>before|after)\]", name)
    if around is not None:
        run = Run.open(find_folder(around["run"], root))
        window = _around_change(run, around["side"])
    else:
        text, window = split_window(name)
        other = re.fullmatch(r"(?P<run>.+?)\[(?P<window>[^\]\[]*)\]", text)
        if other is not None and not Path(text).exists():
            raise UnknownName(
                f"'{other['window']}' is no window of '{other['run']}': in brackets stands before, after, or FROM..TO"
            )
        run = Run.open(find_folder(text, root))
    if start is not None or end is not None:
        if window != Window():
            raise UnknownName(f"'{name}' has a window already: give it in brackets, or by --from and --to")
        window = window_between(start, end)
    return run, window


def find_folder(text: str, root: Path) -> Path:
    """Return the folder of a run: a path (it has a slash, or is a run) or a name below the root.

    A name is `campaign` (its latest run), `campaign~1` (the one before), or `campaign@run`. Raises UnknownName.
    """
    path = Path(text)
    if "/" in text or (path / HEADER).exists():
        return path
    campaign, _, run = text.partition("@")
    if run:
        return root / campaign / run
    campaign, _, back = text.partition("~")
    known = stored_campaigns(root)
    runs = stored_runs(root, campaign) if campaign in known else []
    if campaign not in known:
        nearest = hint(campaign, known, "`catchment runs` lists those stored")
        raise UnknownName(f"there is no run or campaign '{text}' in {root}: {nearest}")
    if (back and not back.isdecimal()) or int(back or 0) >= len(runs):
        there = f"{len(runs)} complete run{'' if len(runs) == 1 else 's'}"
        listed = f"`catchment runs {shlex.quote(campaign)}` lists what is there"
        raise UnknownName(f"campaign '{campaign}' has {there}, so '{text}' names none: {listed}")
    return runs[-1 - int(back or 0)]


def find_unfinished(text: str, root: Path) -> Path:
    """Return the folder of a run to go on with: as `find_folder`, but a campaign's name is its last unfinished run."""
    unfinished = unfinished_runs(root, text) if text in stored_campaigns(root) else []
    return unfinished[-1] if unfinished else find_folder(text, root)


def find_begun(text: str, root: Path) -> Path | None:
    """Return the folder of a run that was begun and is not whole, if that is what the text names; else None.

    A campaign's name is its last complete run, and this one only where there is none.
    """
    path = Path(text)
    if "/" in text or (path / HEADER).exists():
        return path if (path / HEADER).exists() and not is_complete(path) else None
    unfinished = unfinished_runs(root, text) if text in stored_campaigns(root) else []
    return unfinished[-1] if unfinished and not stored_runs(root, text) else None


def split_window(name: str) -> tuple[str, Window]:
    """Split `RUN[FROM..TO]` into the run and the window; without brackets the window is open."""
    match = re.fullmatch(r"(?P<run>.+?)\[(?P<start>[^\]\[]*)\.\.(?P<end>[^\]\[]*)\]", name)
    if match is None:
        return name, Window()
    return match["run"], window_between(match["start"] or None, match["end"] or None)


def sides_of(run: Run) -> tuple[Window, Window] | None:
    """Return the windows before and after the change of routes that a run was planned around; None where none was.

    A query that was under way when the change came may have been answered on either side of it, and is of neither: the
    window before ends earlier than the change by the longest round trip of the last second.
    """
    moving = run.header.moving()
    if moving is None or moving.start is None:
        return None
    under_way = f"measured_at >= {moving.start - _LAST_S!r} AND measured_at < {moving.start!r}"
    ((longest_ms,),) = run.observations.filter(under_way).aggregate("max(rtt_ms)").fetchall()
    under_way_s = 0.0 if longest_ms is None else min(longest_ms / 1000, _LAST_S)
    return Window(end=moving.start - under_way_s), Window(start=moving.end)


def _around_change(run: Run, side: str) -> Window:
    sides = sides_of(run)
    if sides is None:
        raise UnknownName(
            f"{run.path}: its campaign has no `schedule.change_at`: write [{side}] as a window of time, [FROM..TO]"
        )
    return sides[0] if side == "before" else sides[1]


def window_between(start: str | None, end: str | None) -> Window:
    """Return the window between two times as a user writes them; a time alone is on the day of the start."""
    first = None if start is None else parse_time(start, None)
    last = None if end is None else parse_time(end, first)
    if first is not None and last is not None and last <= first:
        raise UnknownName(f"the window {start}..{end} ends before it starts: give FROM..TO")
    return Window(start=None if first is None else first.timestamp(), end=None if last is None else last.timestamp())


def parse_time(text: str, day_of: datetime | None) -> datetime:
    """Read a time: ISO 8601 (UTC unless it says else), seconds since 1970, or a time of day."""
    try:
        if re.fullmatch(r"\d{9,}(\.\d+)?", text):
            found = datetime.fromtimestamp(float(text), UTC)
        elif day_of is not None and re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?Z?", text):
            time = datetime.fromisoformat(f"{day_of.date()}T{text.rstrip('Z').zfill(5)}").replace(tzinfo=UTC)
            found = time if time > day_of else time + timedelta(days=1)
        else:
            found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
        if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
            raise ValueError(f"year {found.year}")
    except (ValueError, OverflowError, OSError) as error:
        raise UnknownName(f"'{text}' is not a time: write it like 2026-11-21T19:00Z") from error
    return found
