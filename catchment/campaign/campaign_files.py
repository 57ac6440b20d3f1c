"""Campaign files: TOML in, a checked plan out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from catchment.campaign.checks import aware, problems
from catchment.campaign.plans import Campaign
from catchment.campaign.tables import check, plain, read_toml
from catchment.errors import InvalidFile


def load_campaign(path: Path) -> Campaign:
    """Read a campaign file; the files that it names are sought beside it.

    Raises InvalidFile, which names the file, the key and what is possible.
    """
    campaign = campaign_from(read_toml(path), path)
    targets = tuple(replace(target, service=_beside(target.service, path)) for target in campaign.targets)
    sandbox = replace(campaign.sandbox, topology=_topology(campaign.sandbox.topology, path))
    lab = replace(campaign.lab, topology=_topology(campaign.lab.topology, path))
    return replace(campaign, targets=targets, sandbox=sandbox, lab=lab)


def campaign_from(table: dict[str, Any], path: Path, *, is_frozen: bool = False) -> Campaign:
    """Check a campaign given as a table (of TOML or JSON) that was read from `path`. Raises InvalidFile.

    One that is frozen in a run was good when it was measured, whatever is asked of new ones since.
    """
    campaign = check(Campaign, table, path)
    for key, complaint in () if is_frozen else problems(campaign):
        raise InvalidFile(f"{path}: key '{key}': {complaint}")
    schedule = campaign.schedule
    start, stop, change_at = aware(schedule.start), aware(schedule.stop), aware(schedule.change_at)
    return replace(campaign, schedule=replace(schedule, start=start, stop=stop, change_at=change_at))


def campaign_table(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign as plain JSON values, without what is absent; `campaign_from` reads it back."""
    table: dict[str, Any] = plain(asdict(campaign))
    return table


def _beside(service: str, path: Path) -> str:
    return str(path.parent / service) if service.endswith(".toml") else service


def _topology(named: str | None, path: Path) -> str | None:
    return None if named is None else str((path.parent / named).absolute())
