"""Measurements that were asked for, and whose ids nobody has: found again in the API's lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from catchment.errors import PlatformFailed
from catchment.platforms.atlas.client import Atlas, Refused
from catchment.platforms.atlas.measurements import read_measurement
from catchment.store import Measurement

LISTED_AFTER_S = 300
"""After so long a new measurement is taken to stand in the API's lists; how long it takes is not documented."""

_MOST_OF_A_RUN = 1000
_LONGEST_POST_S = 900  # with all its tries, and what Retry-After asks for between them
_FIRST_PAUSE_S, _PAUSE_GROWTH = 5.0, 1.5


def listed_by(since: float, now: float) -> float:
    """Return when lists show what was asked for from a time on: not soon after, as a POST may be tried for minutes."""
    return min(since + _LONGEST_POST_S, now) + LISTED_AFTER_S


def find_part(
    atlas: Atlas,
    run_tag: str,
    part: str,
    count: int,
    *,
    since: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> list[Measurement]:
    """Return the `count` measurements of one part of a run, asked for at the server's time `since`.

    None are returned once lists would show them and do not: then there are none. One part is made whole or not at all,
    so half of one in the lists means that the other half is not listed yet. Raises PlatformFailed.
    """
    listed_at = listed_by(since, clock())
    pause_s = _FIRST_PAUSE_S
    while True:
        late_s = clock() - listed_at
        found = [one for one in find_run(atlas, run_tag) if one.part == part]
        if len(found) == count or (not found and late_s >= 0):
            return found
        if len(found) > count or late_s >= LISTED_AFTER_S:
            numbers = ", ".join(str(one.id) for one in found)
            raise PlatformFailed(
                f"{atlas.endpoint.server}: lists {len(found)} of the {count} measurements of part {part} of this run "
                f"(tag '{run_tag}': {numbers}): "
                + ("try again in some minutes" if len(found) < count else "stop those that are too many there")
            )
        sleep(pause_s if late_s >= 0 else min(pause_s, -late_s))
        pause_s *= _PAUSE_GROWTH


def find_run(atlas: Atlas, run_tag: str) -> list[Measurement]:
    """Return the measurements that carry a run's tag and stand in the API's lists by now, ordered by id.

    They are sought in the account's own list, if its key may, and by tag and by description in everybody's. Raises
    PlatformFailed.
    """
    numbers: set[int] = set()
    heeded = False
    for path, filters in (
        ("/measurements/my/", {"tags": run_tag}),
        ("/measurements/", {"tags": run_tag}),
        ("/measurements/", {"description__contains": run_tag}),
    ):
        try:
            for entries, total in atlas.batches(path, **filters):
                if (
                    total > _MOST_OF_A_RUN
                ):  # the API ignores some filters, with no more than a warning; it has 200 million
                    break
                heeded = True
                numbers |= set(_numbers(entries))
        except Refused as refusal:
            if not refusal.is_forbidden:
                raise
    if not heeded:
        raise PlatformFailed(
            f"{atlas.endpoint.server}: its lists heed neither the tag '{run_tag}' nor a description that holds it: "
            "look for the measurements there by hand, and remove the run"
        )
    found = []
    for number in sorted(numbers):
        described = atlas.get(f"/measurements/{number}/")
        part = _part(described, run_tag)
        if part is not None:
            found.append(replace(read_measurement(atlas, number, described), part=part, reused=False))
    return found


def _numbers(entries: list[Any]) -> Iterator[int]:
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("id"), int):
            yield entry["id"]


def _part(described: Any, run_tag: str) -> str | None:
    """Return which part of a run a measurement belongs to, by its tags or its description; None: to none."""
    if not isinstance(described, dict):
        return None
    tags = described.get("tags")
    texts = [*map(str, tags if isinstance(tags, list) else ()), str(described.get("description") or "")]
    matches = (re.search(rf"{re.escape(run_tag)}-(v[46]-\d+)\b", text) for text in texts)
    return next((match[1] for match in matches if match is not None), None)
