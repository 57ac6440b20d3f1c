"""What a campaign takes over from earlier runs: whom they asked, and whom they found fault with."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from catchment import store
from catchment.campaign import Asked, Campaign, LeaveOut, PlatformName, VantagePoints
from catchment.errors import CatchmentError, InvalidRun

_PROBE = "atlas:"


def resolve(campaign: Campaign, root: Path, file: Path) -> Campaign:
    """Return a campaign in which `same_as` and `leave_out` hold the vantage points of the runs that they name.

    The runs are sought below `root`, by name, or by path as on the command line; the campaign then names the folder.
    Raises CatchmentError, which names the campaign's `file` and the key.
    """
    wanted = campaign.vantage_points
    if wanted is None:
        return campaign
    key = "same_as"
    try:
        wanted = _same(wanted, campaign.platform, root)
        key = "leave_out.run"
        wanted = replace(wanted, leave_out=_left_out(wanted.leave_out, campaign.platform, root))
    except CatchmentError as error:
        raise type(error)(f"{file}: key 'vantage_points.{key}': {error}") from error
    return replace(campaign, vantage_points=wanted)


def _same(wanted: VantagePoints, platform: PlatformName, root: Path) -> VantagePoints:
    if wanted.same_as is None:
        return wanted
    folder = _folder(wanted.same_as, platform, root)
    asked = whom_asked(folder)
    if not asked.v4 and not asked.v6:
        raise InvalidRun(f"{folder}: asked no probe of RIPE Atlas: name another run")
    return replace(wanted, same_as=str(folder), asked=asked)


def _left_out(leave_out: LeaveOut | None, platform: PlatformName, root: Path) -> LeaveOut | None:
    if leave_out is None or leave_out.run is None:
        return leave_out
    folder = _folder(leave_out.run, platform, root)
    judged = [vantage for vantage, _, verdict in _judged(folder) if verdict in leave_out.verdicts]
    return replace(leave_out, run=str(folder), ids=_ids([*map(_named, leave_out.ids), *judged]))


def whom_asked(folder: Path) -> Asked:
    """Return whom a run asked: as its measurements say, or else (imported, reused) everybody it judged.

    Raises InvalidRun where it has neither.
    """
    accepted = store.read_accepted(folder)
    if accepted is not None and accepted.measurements and all(one.probes for one in accepted.measurements):
        pairs = [(vantage, 6 if ":" in target else 4) for vantage, target in accepted.asked()]
    else:
        pairs = [(vantage, af) for vantage, af, _ in _judged(folder)]
    return Asked(v4=_ids([one for one, af in pairs if af == 4]), v6=_ids([one for one, af in pairs if af == 6]))


def _folder(text: str, platform: PlatformName, root: Path) -> Path:
    name = re.sub(r"\[[^\[\]]*\]$", "", text)  # whom a run asked, it asked in each of its windows
    folder = store.find_folder(name, root)
    simulated = PlatformName.SANDBOX in store.read_header(folder).platforms
    if simulated != (platform is PlatformName.SANDBOX):
        where = "the sandbox" if simulated else "the real Internet"
        raise InvalidRun(
            f"{folder}: its vantage points are those of {where}, this campaign's are not: name another run"
        )
    return folder


def _judged(folder: Path) -> list[tuple[str, int, str]]:
    """Return the vantage points of a run with the address families and verdicts that they have in it."""
    run = store.Run.open(folder)
    with run.connection:
        return run.assignments.project("vantage, af, verdict").distinct().fetchall()


def _ids(vantage_points: Collection[str]) -> tuple[int, ...]:
    numbers = {one.removeprefix(_PROBE) for one in vantage_points if one.startswith(_PROBE)}
    return tuple(sorted(int(number) for number in numbers if number.isdecimal()))


def _named(number: int) -> str:
    return f"{_PROBE}{number}"
