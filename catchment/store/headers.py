"""campaign.json: what a run set out to measure, resolved and frozen."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import catchment
from catchment.campaign import Campaign, campaign_from, campaign_table, service_from, service_table
from catchment.errors import InvalidRun
from catchment.model import Service, Target, Window

FORMAT = 1
HEADER = "campaign.json"
AND = "+"
"""Stands between the platforms of a merged run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a run set out to measure, resolved and frozen: the content of campaign.json.

    `plan` is the campaign of a run that was measured here; an import has none. Of several runs merged into one,
    `platform` names all of theirs (atlas+local), and `change` is the change of routes that all of them were planned
    around, until the routes had settled. `imported` are the raw files of an import, each with its size in bytes.
    """

    campaign: str
    platform: str
    created: str
    catchment: str
    services: tuple[Service, ...]
    targets: tuple[Target, ...]
    cut: Window = field(default=Window())
    plan: Campaign | None = None
    change: Window | None = None
    imported: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_plan(
        cls,
        plan: Campaign,
        services: Sequence[Service],
        targets: Sequence[Target],
        *,
        created: str,
        cut: Window = Window(),
    ) -> Header:
        """Return what a run that is created now, by this version, sets out to measure of a campaign."""
        return cls(
            campaign=plan.name,
            platform=plan.platform,
            created=created,
            catchment=catchment.__version__,
            services=tuple(services),
            targets=tuple(targets),
            cut=cut,
            plan=plan,
        )

    @property
    def platforms(self) -> tuple[str, ...]:
        """Return where the results come from: one platform, or several in a merged run."""
        return tuple(self.platform.split(AND))

    def moving(self) -> Window | None:
        """Return the span of time in which routes move for a planned change; None where none was planned."""
        schedule = None if self.plan is None else self.plan.schedule
        if schedule is None or schedule.change_at is None:
            return self.change
        at = schedule.change_at.timestamp()
        return Window(start=at, end=at + schedule.settle_s)


def read_header(path: Path) -> Header:
    """Read what a run set out to measure. Raises InvalidRun where it was damaged or made by a later version."""
    file = path / HEADER
    if not file.is_file():
        raise InvalidRun(f"{path}: not a run (no {HEADER}): `catchment runs` lists those stored")
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        if table["format"] != FORMAT:
            raise InvalidRun(
                f"{path}: stored in format {table['format']}; this version reads {FORMAT}: update catchment"
            )
        return Header(
            campaign=table["campaign"],
            platform=table["platform"],
            created=table["created"],
            catchment=table["catchment"],
            services=tuple(service_from(service, file) for service in table["services"]),
            targets=tuple(Target(**target) for target in table["targets"]),
            cut=Window(**table["cut"]),
            plan=campaign_from(table["plan"], file, is_frozen=True) if "plan" in table else None,
            change=Window(**table["change"]) if "change" in table else None,
            imported={str(name): int(size) for name, size in table.get("imported", {}).items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRun(f"{file}: damaged ({error}): import or measure the run anew") from error


def write_header(path: Path, header: Header) -> None:
    """Write what a run set out to measure."""
    table = {
        "format": FORMAT,
        "campaign": header.campaign,
        "platform": header.platform,
        "created": header.created,
        "catchment": header.catchment,
        "targets": [asdict(target) for target in header.targets],
        "cut": asdict(header.cut),
        "services": [service_table(service) for service in header.services],
    }
    if header.plan is not None:
        table["plan"] = campaign_table(header.plan)
    if header.change is not None:
        table["change"] = asdict(header.change)
    if header.imported:
        table["imported"] = dict(header.imported)
    write_json(path / HEADER, table)


def sync(place: Path) -> None:
    """Have a file, or the names in a folder, on the disk when this returns."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(file: Path, table: Any, *, durable: bool = False, indent: int | None = 1) -> None:
    """Write JSON, in ASCII, by a temporary name; if durable, it is on the disk when this returns."""
    temporary = file.with_name(f".{file.name}.partial")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(table, indent=indent, allow_nan=False) + "\n")
        if durable:
            stream.flush()
            os.fsync(stream.fileno())
    temporary.replace(file)
    if durable:
        sync(file.parent)
