"""Labs that stay up, and what was changed in each; and one for a campaign, up already or not.

Beside its socket a lab keeps its topology and all changes that were made in it: a later one adds up to them.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from catchment.campaign import Change, check, plain
from catchment.errors import Interrupted, PlatformFailed, UnknownName, asked_to_stop, hint
from catchment.platforms.lab.client import Lab, attach, open_lab, running_labs
from catchment.platforms.lab.folders import folder_of
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.topology import Topology, load_topology, write_topology
from catchment.workflow.importing import Say
from catchment.workflow.labs.routing import epochs_after

_TOPOLOGY, _CHANGES = "topology.toml", "changes.json"
_IDLE_S = 60.0  # of a lab for one campaign: so long may its owner be silent before it ends by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A lab that stays up: its name, what it was made of, and what was changed in it since.

    `wanted` are the changes of somebody who is at work in it, or was killed then; None: nobody is.
    """

    name: str
    topology: Topology
    changes: tuple[Change, ...] = ()
    wanted: tuple[Change, ...] | None = None


@contextmanager
def lab_for(topology: Topology, changes: Sequence[Change], say: Say) -> Iterator[Lab]:
    """Yield a lab of a topology, for a campaign that makes `changes` in it: one that is up, or one that ends then.

    One that is up is left as it was; it is only used while it is whole and unchanged, and nobody else is at work in it:
    `say` is told why not. Raises CatchmentError.
    """
    with ExitStack() as stack:
        standing = _unused(stack, topology, say)
        if standing is None:
            yield stack.enter_context(_own_lab(topology))
            return
        lab = attach(standing.name)
        lab.died()  # what was started anew before is no news of this campaign
        write_changes(replace(standing, wanted=tuple(changes)))
        try:
            yield lab
        except PlatformFailed as error:
            died = lab.died()
            if not died:
                raise
            what = f"{_started_anew(lab, died)}; what was measured would mislead"
            raise PlatformFailed(f"{what}: run it again") from error
        finally:
            _put_back(standing, lab)
            with suppress(PlatformFailed):  # who uses it next waits again
                lab.settle()


def _unused(stack: ExitStack, topology: Topology, say: Say) -> Standing | None:
    """Return a lab of a topology that is as it was raised; nobody else changes it until the stack is closed."""
    why = None
    for standing in standing_labs():
        if standing.topology != topology:
            continue
        try:
            stack.enter_context(_alone(standing.name))
            now, died = find_lab(standing.name), attach(standing.name).status()["died"]
        except (PlatformFailed, UnknownName) as error:
            stack.close()
            why = _without_advice(str(error))
            continue
        mend = f"`{reset_command(standing.name)}`"
        if died:
            why = f"in the lab '{standing.name}' {', '.join(died)} ended by itself ({mend} starts it anew)"
        elif now.changes or now.wanted is not None:
            why = f"the lab '{standing.name}' was changed ({mend} takes that back)"
        else:
            return now
        stack.close()
    if why is not None:
        say(f"{why}: raising another one, which ends with this run")
    return None


@contextmanager
def _own_lab(topology: Topology) -> Iterator[Lab]:
    """Yield a lab that was raised for one campaign. Raises PlatformFailed, which says to run that again."""
    name = f"run-{secrets.token_hex(4)}"
    is_up = False
    try:
        with open_lab(blueprint(topology, epochs_after(topology, ())), name=name, idle_s=_IDLE_S) as lab:
            is_up = True
            yield lab
    except PlatformFailed as error:
        if not is_up or "run it again" in str(error):
            raise
        raise PlatformFailed(f"{_without_advice(str(error))}: run it again") from error


def _without_advice(complaint: str) -> str:
    """Leave out what a complaint about a lab that stays up says to do."""
    what, _, advice = complaint.rpartition(": ")
    return what if advice and what else complaint


@contextmanager
def changing(standing: Standing, lab: Lab, wanted: tuple[Change, ...]) -> Iterator[None]:
    """Keep a note of what a lab is to become while it is made so; where that fails, put it back.

    The note outlives a process that is killed: who changes the lab next puts it back first. Raises Interrupted at
    Ctrl-C, and PlatformFailed where a program died meanwhile and is started anew by this; both say what stands.
    """
    half_made = f"the change stays half made: `{reset_command(standing.name)}` takes it back"
    undone = "the change is taken back" if wanted else "all changes stand as before"
    try:
        write_changes(replace(standing, wanted=wanted))
        yield
        write_changes(replace(standing, changes=wanted))
    except BaseException as error:
        is_back, died = False, list[str]()
        with suppress(PlatformFailed, OSError, KeyboardInterrupt):  # then the note stays, and says so
            died = lab.died() if isinstance(error, PlatformFailed) else []
            _put_back(standing, lab)
            is_back = True
            lab.settle()
        if isinstance(error, KeyboardInterrupt) or asked_to_stop.is_set():
            raise Interrupted(f"interrupted: {undone if is_back else half_made}") from error
        if isinstance(error, PlatformFailed) and is_back and died:
            raise PlatformFailed(f"{_started_anew(lab, died)}; {undone}: try it again") from error
        raise


def _started_anew(lab: Lab, died: Sequence[str]) -> str:
    return f"lab '{lab.name}': {', '.join(died)} ended by itself, and was started anew"


def _put_back(standing: Standing, lab: Lab) -> None:
    """Bring a lab to what is noted of it; what died there is started anew."""
    lab.apply(blueprint(standing.topology, epochs_after(standing.topology, standing.changes)))
    write_changes(replace(standing, wanted=None))


def find_lab(name: str | None) -> Standing:
    """Return the lab of a name, or the one that is up. Raises UnknownName and PlatformFailed."""
    found = {one.name: one for one in standing_labs()}
    if not found:
        raise PlatformFailed("no lab is up: `catchment lab up TOPOLOGY` raises one")
    listed = ", ".join(found)
    if name is None:
        if len(found) > 1:
            raise UnknownName(f"{len(found)} labs are up: name one of {listed}")
        return next(iter(found.values()))
    if name not in found:
        raise UnknownName(f"no lab '{name}' is up: {hint(name, list(found), f'there is {listed}')}")
    return found[name]


@contextmanager
def find_lab_alone(name: str | None) -> Iterator[tuple[Standing, Lab, list[str]]]:
    """Yield a lab that is up, as `find_lab` finds it, and what died there; nobody else changes it meanwhile.

    What died is started anew, and what somebody began to change in it who was killed then is taken back. Raises
    CatchmentError.
    """
    chosen = find_lab(name).name
    with _alone(chosen):
        standing, lab = find_lab(chosen), attach(chosen)
        died = lab.died()
        if died or standing.wanted is not None:
            _put_back(standing, lab)
        lab.settle()  # a run that used it may have put it back just now
        yield replace(standing, wanted=None), lab, died


def reset_command(name: str) -> str:
    """Return the command that takes back all changes of a lab and starts anew what died there."""
    return f"catchment lab change reset{'' if is_alone(name) else f' --name {name}'}"


def is_alone(name: str) -> bool:
    """Tell whether no other lab is up to stay: then nobody need name this one."""
    return all(one.name == name for one in standing_labs())


def keep(standing: Standing) -> None:
    """Make a lab that was raised just now one that stays."""
    write_changes(standing)
    write_topology(standing.topology, folder_of(standing.name) / _TOPOLOGY)  # last: what has one is whole


def write_changes(standing: Standing) -> None:
    """Keep what was changed in a lab, and what is wanted of it."""
    file = folder_of(standing.name) / _CHANGES
    fresh = file.with_suffix(".new")
    kept = {"changes": _plain(standing.changes), "wanted": None if standing.wanted is None else _plain(standing.wanted)}
    fresh.write_text(json.dumps(kept), encoding="utf-8")
    fresh.replace(file)


def _plain(changes: Sequence[Change]) -> list[Any]:
    return [plain(asdict(change)) for change in changes]


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep other processes from changing a lab. Raises PlatformFailed where one does already."""
    try:
        descriptor = os.open(folder_of(name) / _TOPOLOGY, os.O_RDONLY)
    except FileNotFoundError as error:
        raise PlatformFailed(f"the lab '{name}' ended just now: `catchment lab up TOPOLOGY` raises another") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise PlatformFailed(f"another process is at work in the lab '{name}': wait until it is done") from error
    finally:
        os.close(descriptor)


def is_busy(name: str) -> bool:
    """Tell whether another process is at work in a lab."""
    try:
        with _alone(name):
            return False
    except PlatformFailed:
        return True


def standing_labs() -> list[Standing]:
    """Return the labs that are up to stay. One that was raised for a single campaign keeps no topology here."""
    found = []
    for name in running_labs():
        folder = folder_of(name)
        if not (folder / _TOPOLOGY).exists():
            continue
        with suppress(OSError, ValueError):  # it ends just now
            kept = json.loads((folder / _CHANGES).read_text(encoding="utf-8"))
            changes, wanted = (
                None if kept[key] is None else tuple(check(Change, entry, folder / _CHANGES) for entry in kept[key])
                for key in ("changes", "wanted")
            )
            topology = load_topology(folder / _TOPOLOGY)
            found.append(Standing(name=name, topology=topology, changes=changes or (), wanted=wanted))
    return found
