"""The platform of a run: as it was when the run began, and whatever it is reached for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from catchment import store
from catchment.campaign import PlatformName
from catchment.errors import InvalidRun
from catchment.platforms.connecting import Platform, connect
from catchment.store import Header
from catchment.workflow.importing import Progress, Say, part_of_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What comes from outside: settings, key, time, and whom to tell."""

    environ: Mapping[str, str]
    key: str | None = None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    progress: Progress = lambda *_: None
    say: Say = lambda _: None
    trace: Say = lambda _: None

    def part(self, first: float, last: float) -> Progress:
        """Return a progress whose whole is a part of this one's."""
        return part_of_progress(self.progress, first, last)


@contextmanager
def reach(path: Path, header: Header, means: Means, *, is_read_only: bool) -> Iterator[Platform]:
    """Yield the platform of a run that was measured; a sandbox goes on from the run's own journal and topology.

    Who `is_read_only` needs no key to create measurements. Raises InvalidRun where the sandbox is lost, PlatformFailed.
    """
    plan, journal, accepted = header.plan, store.journal_file(path), store.read_accepted(path)
    assert plan is not None  # noqa: S101  (only runs with a plan were measured)
    if plan.platform is PlatformName.SANDBOX and accepted and accepted.may_cost and not journal.exists():
        raise InvalidRun(
            f"{path}: {journal.name} is lost, and with it the sandbox that was measured: remove the folder, and run "
            "the campaign anew"
        )
    if store.topology_file(path).exists():
        plan = replace(plan, sandbox=replace(plan.sandbox, topology=str(store.topology_file(path))))
    with connect(
        plan,
        header.services,
        environ=means.environ,
        key=means.key,
        clock=means.clock,
        sleep=means.sleep,
        journal=journal,
        say=means.say,
        trace=means.trace,
        is_read_only=is_read_only,
    ) as platform:
        yield platform
