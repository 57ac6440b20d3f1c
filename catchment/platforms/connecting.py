"""From the name of a platform to one that is ready: RIPE Atlas itself, or a sandbox that speaks its language."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catchment.campaign import Campaign, PlatformName, Sandbox
from catchment.errors import PlatformFailed
from catchment.model import Service, Target
from catchment.platforms.atlas.client import Atlas, Endpoint
from catchment.platforms.atlas.clock import ServerClock, uptime
from catchment.platforms.atlas.key_sources import find_keys
from catchment.platforms.atlas.keys import KEYS_PAGE, Key, Keys, Permission

# What the sandbox is made of is imported where it is opened: RIPE Atlas itself needs none of it, and it takes 0.5 s.
if TYPE_CHECKING:
    from catchment.platforms.sandbox.internet.simulation import Internet
    from catchment.platforms.topology import Topology

SERVER, CA_FILE, SPEED = "CATCHMENT_ATLAS_SERVER", "CATCHMENT_ATLAS_CA", "CATCHMENT_ATLAS_SPEED"
"""Variables of the environment that name another server with the API of RIPE Atlas, whom it is certified by, and how
much faster than ours its time runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A platform that is ready: its API, its time, and how to wait there.

    `write_truth` writes to a file what really happened to these vantage points at these addresses, where that is known.
    """

    atlas: Atlas
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    write_truth: Callable[[Path, Collection[int], Collection[str]], None] | None = None


@contextmanager
def connect(  # noqa: PLR0913  (all but the first two have a usual value, or none)
    campaign: Campaign,
    services: Sequence[Service],
    *,
    environ: Mapping[str, str],
    key: str | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    journal: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    trace: Callable[[str], None] = lambda _: None,
    is_read_only: bool = False,
) -> Iterator[Platform]:
    """Yield the platform of a campaign. Raises PlatformFailed where there is no key for what needs one.

    `key` goes before the keys that are found elsewhere; who `is_read_only` needs none. `say` is told which key is used,
    and what the user waits for when RIPE Atlas does not answer at once; `trace` gets a line for each request.
    A sandbox has a clock of its own, which begins when it is opened and moves on when somebody sleeps; what it accepts
    is kept in the file `journal`, from which it goes on another time.
    """
    if campaign.platform is PlatformName.SANDBOX:
        with _sandbox(campaign, services, clock(), journal, trace) as platform:
            yield platform
        return
    needs = None if campaign.reuse or is_read_only else Permission.CREATE
    with connect_atlas(
        environ=environ, key=key, clock=clock, sleep=sleep, say=say, trace=trace, needs=needs
    ) as platform:
        yield platform


@contextmanager
def connect_atlas(
    *,
    environ: Mapping[str, str],
    key: str | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda _: None,
    trace: Callable[[str], None] = lambda _: None,
    needs: Permission | None = None,
) -> Iterator[Platform]:
    """Yield RIPE Atlas, or the server in its place that the environment names.

    Another server is shown no key from the files of other tools, which hold those of RIPE Atlas. Raises PlatformFailed,
    also where there is no key with the permission that the caller `needs`.
    """
    home = None if environ.get(SERVER) else environ.get("HOME")
    keys = find_keys(environ, given=key, home=Path(home) if home else None)
    if needs is not None and keys.serving(needs) is None:
        for warning in keys.warnings:
            say(f"warning: {warning}")
        raise PlatformFailed(
            "there is no API key, and new measurements need one: set ATLAS_CREATE_KEY in the environment to a key with "
            f"the permission '{needs}' ({KEYS_PAGE}), or read public measurements with `reuse` in the campaign"
            + (f" (keys in files are not shown to {environ[SERVER]})" if environ.get(SERVER) else "")
        )
    endpoint = Endpoint(server=environ.get(SERVER) or "atlas.ripe.net", verify=environ.get(CA_FILE) or True, keys=keys)
    there = ServerClock(
        clock=clock,
        ticks=uptime if clock is time.time else clock,
        sleep=sleep,
        speed=_speed(environ),
        ask=lambda: atlas.get("/probes/", page_size=1, fields="id"),
    )
    with Atlas(endpoint, sleep=there.sleep, heard=there.hear, say=say, trace=trace) as atlas:
        yield Platform(atlas=atlas, clock=there.now, sleep=there.sleep)


def _speed(environ: Mapping[str, str]) -> float:
    text = environ.get(SPEED) or "1"
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < math.inf:
        raise PlatformFailed(
            f"{SPEED}={text} is no speed: give a number above 0, as `catchment sandbox serve` tells it"
        )
    return speed


def build_topology(sandbox: Sandbox, services: Sequence[Service]) -> Topology:
    """Return the sandbox's Internet, with those services put into it that it does not know yet. Raises InvalidFile."""
    from catchment.platforms.topology import host, load_topology, make_world  # noqa: PLC0415

    topology = make_world(sandbox.seed) if sandbox.topology is None else load_topology(Path(sandbox.topology))
    known = {service.name for service in topology.services}
    for service in services:
        if service.name not in known:
            topology = host(topology, service, seed=sandbox.seed)
    return topology


def simulate(sandbox: Sandbox, services: Sequence[Service], targets: Sequence[Target] = ()) -> Internet:
    """Return the simulated Internet of a campaign. Raises CatchmentError where topology or changes do not fit."""
    from catchment.platforms.sandbox.internet.simulation import Internet  # noqa: PLC0415
    from catchment.platforms.topology.consistency import check_targets  # noqa: PLC0415

    topology = build_topology(sandbox, services)
    check_targets(topology, targets)
    measured = [service.name for service in services]
    return Internet(topology, seed=sandbox.seed, changes=sandbox.changes, measured=measured)


def router_names(sandbox: Sandbox, services: Sequence[Service]) -> Callable[[str], str | None]:
    """Return what the sandbox's reverse DNS says of an address (None: no name). Raises InvalidFile."""
    from catchment.platforms.sandbox.internet.router_names import RouterNames  # noqa: PLC0415

    return RouterNames(build_topology(sandbox, services), seed=sandbox.seed).name


@contextmanager
def _sandbox(
    campaign: Campaign,
    services: Sequence[Service],
    now: float,
    journal: Path | None,
    trace: Callable[[str], None],
) -> Iterator[Platform]:
    from catchment.platforms.sandbox import open_sandbox  # noqa: PLC0415
    from catchment.platforms.sandbox.internet.truth import truth, write_truth  # noqa: PLC0415

    targets = [
        Target(service=target.service, address=target.address)
        for target in campaign.targets
        if target.address is not None
    ]
    internet = simulate(campaign.sandbox, services, targets)

    def write(file: Path, vantage_points: Collection[int], addresses: Collection[str]) -> None:
        rows = truth(internet)
        write_truth([row for row in rows if row.vantage in vantage_points and row.address in addresses], file)

    with (
        tempfile.TemporaryDirectory(prefix="catchment-sandbox-") as folder,
        open_sandbox(internet, start=now, services=services, folder=Path(folder), journal=journal) as sandbox,
        Atlas(
            Endpoint(
                server=sandbox.server,
                verify=str(sandbox.ca_file),
                keys=Keys(create=Key(value=sandbox.key, source="the sandbox")),
            ),
            sleep=sandbox.clock.advance,
            trace=trace,
        ) as atlas,
    ):
        try:
            yield Platform(atlas=atlas, clock=sandbox.clock.now, sleep=sandbox.clock.advance, write_truth=write)
        except PlatformFailed:
            if sandbox.failures:
                first = sandbox.failures[0]
                raise PlatformFailed(f"the sandbox itself failed ({first!r}): please report this") from first
            raise
