"""Campaign files: TOML in, a checked plan out."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catchment.campaign.plans import Campaign, Change, ChangeName, Schedule, VantagePoints
from catchment.campaign.tables import check, plain, read_toml
from catchment.errors import InvalidFile
from catchment.geo import CONTINENTS

_SHORTEST_INTERVAL_S = 60  # RIPE Atlas takes none shorter
_LONGEST_RUN_S = 366 * 86_400
_MOST_PREPENDED = 20
_MOST_VANTAGE_POINTS = 100_000
_FIRST_YEAR = 2010  # RIPE Atlas began then
_AT_A_SITE = {ChangeName.WITHDRAW, ChangeName.ANNOUNCE, ChangeName.PREPEND, ChangeName.NEW_SITE}


def load_campaign(path: Path) -> Campaign:
    """Read a campaign file; the files that it names are sought beside it.

    Raises InvalidFile, which names the file, the key and what is possible.
    """
    campaign = campaign_from(read_toml(path), path)
    targets = tuple(replace(target, service=_beside(target.service, path)) for target in campaign.targets)
    topology = campaign.sandbox.topology
    beside = None if topology is None else str((path.parent / topology).absolute())
    sandbox = replace(campaign.sandbox, topology=beside)
    return replace(campaign, targets=targets, sandbox=sandbox)


def campaign_from(table: dict[str, Any], path: Path) -> Campaign:
    """Check a campaign given as a table (of TOML or JSON) that was read from `path`. Raises InvalidFile."""
    campaign = check(Campaign, table, path)
    for problem in _problems(campaign):
        raise InvalidFile(f"{path}: {problem}")
    start, stop = _aware(campaign.schedule.start), _aware(campaign.schedule.stop)
    return replace(campaign, schedule=replace(campaign.schedule, start=start, stop=stop))


def campaign_table(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign as plain JSON values, without what is absent; `campaign_from` reads it back."""
    table: dict[str, Any] = plain(asdict(campaign))
    return table


def _beside(service: str, path: Path) -> str:
    return str(path.parent / service) if service.endswith(".toml") else service


def _aware(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _problems(campaign: Campaign) -> list[str]:
    found = []
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", campaign.name):
        found.append(f"key 'name': '{campaign.name}' names a folder: use lower-case letters, digits, '-', '_' and '.'")
    if not campaign.targets:
        found.append("'targets' is empty: name at least one service to measure")
    if not campaign.queries:
        found.append("'queries' is empty: name at least one, or leave the key out for DNS and ping")
    for name in ("targets", "queries", "reuse"):
        listed = getattr(campaign, name)
        if len(set(listed)) < len(listed):
            found.append(f"key '{name}': the same is there twice: it would be paid for twice")
    if campaign.reuse and campaign.schedule.interval_s is not None:
        found.append("key 'schedule.interval_s': what is reused runs already: leave it out")
    found += _schedule_problems(campaign.schedule)
    if campaign.vantage_points is not None:
        found += _vantage_point_problems(campaign.vantage_points)
    found += [f"key 'sandbox.changes': {problem}" for change in campaign.sandbox.changes for problem in _lacks(change)]
    return found


def _schedule_problems(schedule: Schedule) -> list[str]:
    found = []
    if schedule.interval_s is not None and schedule.interval_s < _SHORTEST_INTERVAL_S:
        found.append(f"key 'schedule.interval_s': {schedule.interval_s} s is too short: {_SHORTEST_INTERVAL_S} or more")
    if schedule.interval_s is not None and schedule.rounds is None and schedule.stop is None:
        found.append(
            "key 'schedule.interval_s': say when to end, by 'rounds' or 'stop': credits would be spent for ever"
        )
    if schedule.rounds is not None and (schedule.interval_s is None or schedule.rounds < 1):
        found.append("key 'schedule.rounds': needs 'interval_s', and at least one round")
    if schedule.rounds is not None and schedule.stop is not None:
        found.append("key 'schedule.rounds': 'stop' says when to end already: leave out one of them")
    for name, time in (("start", schedule.start), ("stop", schedule.stop)):
        if time is not None and time.year < _FIRST_YEAR:
            found.append(f"key 'schedule.{name}': {time} was before there was anything to measure")
    start, stop = _aware(schedule.start), _aware(schedule.stop)
    if start is not None and stop is not None and stop <= start:
        found.append("key 'schedule.stop': it lies before 'start': swap them")
    return found


def _vantage_point_problems(wanted: VantagePoints) -> list[str]:
    found = []
    if not 1 <= wanted.count <= _MOST_VANTAGE_POINTS:
        found.append(f"key 'vantage_points.count': at least one, at most {_MOST_VANTAGE_POINTS:,}")
    if wanted.area not in {"WW", *CONTINENTS}:
        found.append(f"key 'vantage_points.area': '{wanted.area}' is none of WW, {', '.join(CONTINENTS)}")
    wrong = [code for code in wanted.countries if not re.fullmatch(r"[A-Z]{2}", code)]
    if wrong:
        found.append(f"key 'vantage_points.countries': '{wrong[0]}' is no ISO 3166-1 code: write it like DE")
    return found


def _lacks(change: Change) -> list[str]:
    found = []
    if change.change in _AT_A_SITE and change.site is None:
        found.append(f"'{change.change}' needs the code of a 'site'")
    if not 0 <= change.after_s < _LONGEST_RUN_S:  # also of what is not a number
        found.append("'after_s' is a number of seconds, not negative")
    if not 0 <= change.prepend <= _MOST_PREPENDED:
        found.append(f"'prepend' is a number from 0 to {_MOST_PREPENDED}")
    return found
