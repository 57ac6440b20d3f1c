"""A RIPE Atlas API on loopback, in front of a simulated Internet that knows the truth.

`open_sandbox` puts it together: `api` answers as RIPE Atlas does (`acceptance`, `ledger`, `results`, `probes`),
`server` speaks HTTP over TLS, `streaming` pushes results at a port of its own, and `clock` is a time of its own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from catchment.model import Service
from catchment.platforms.sandbox.api.acceptance import USUAL_LIMITS, Limits
from catchment.platforms.sandbox.api.endpoints import USUAL_BALANCE, Api
from catchment.platforms.sandbox.api.faults import FAULTS, Front, SpoiltLedger, Troubled, find_faults, spoil_account
from catchment.platforms.sandbox.api.journal import Journal
from catchment.platforms.sandbox.api.keys import Grant
from catchment.platforms.sandbox.api.measurements import USUAL_LAGS, BuiltInTarget, Lags
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.results import SimulatedInternet
from catchment.platforms.sandbox.api.server import serving
from catchment.platforms.sandbox.api.streaming import Streams
from catchment.platforms.sandbox.clock import Clock

__all__ = ["FAULTS", "BuiltInTarget", "Lags", "Limits", "Sandbox", "built_in_targets", "find_faults", "open_sandbox"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that runs: `server` is what clients call (127.0.0.1:PORT), `ca_file` what they trust.

    `stream_server` is where they hear of results as they arrive: RIPE Atlas has a host of its own for that.
    `failures` holds what went wrong inside of it, in case a client met a 500.
    """

    server: str
    stream_server: str
    ca_file: Path
    key: str = field(repr=False)
    clock: Clock
    api: Api
    failures: list[Exception]


@contextmanager
def open_sandbox(  # noqa: PLR0913  (all of them settings with a usual value)
    internet: SimulatedInternet,
    *,
    start: float,
    speed: float = 0.0,
    services: Sequence[Service] = (),
    folder: Path,
    port: int = 0,
    journal: Path | None = None,
    key: str | None = None,
    other_keys: Mapping[str, Collection[Grant]] | None = None,
    balance: int = USUAL_BALANCE,
    limits: Limits = USUAL_LIMITS,
    lags: Lags = USUAL_LAGS,
    faults: Sequence[str] = (),
    fault_seed: int = 1,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Sandbox]:
    """Open RIPE Atlas in front of a simulated Internet: a server on loopback, until the end of the context.

    Its time begins at `start` (seconds since 1970 UTC) and runs `speed` times as fast as `monotonic`; at 0 it stands
    still until `clock.advance` is called. The built-in measurements of `services` have run for a day by then. On an
    existing `journal` it goes on: never earlier than the last thing it holds, and with the same results as before.
    `key` is allowed everything, each of `other_keys` what it is granted.
    `faults` names what goes wrong (FAULTS has all), by chance drawn from `fault_seed`.

    Raises PlatformFailed where the port cannot be had, InvalidFile where the journal is none, UnknownName for a fault.
    """
    wrong = find_faults(faults)
    past = None if journal is None else Journal(journal)
    if past is not None and past.latest is not None:
        start = max(start, past.latest)
    clock = Clock(start, speed=speed, monotonic=monotonic)
    key = str(uuid.uuid4()) if key is None else key
    began = start if past is None or past.start is None else past.start
    troubled = Troubled(internet, wrong, seed=fault_seed)
    probes = Probes(troubled.topology, began)
    ledger = SpoiltLedger(
        troubled,
        clock,
        probes,
        faults=wrong,
        seed=fault_seed,
        start=began,
        built_ins=built_in_targets(services),
        lags=lags,
        journal=past,
    )
    limits, balance = spoil_account(limits, balance, wrong)
    api = Api(ledger, probes, clock, key=key, other_keys=other_keys, balance=balance, limits=limits)
    front = Front(api, wrong, seed=fault_seed, now=clock.now)
    with (
        serving(front, folder=folder, port=port, now=clock.now) as server,
        serving(Streams(api.ledger, clock), folder=folder, now=clock.now, beside=server) as streams,
    ):
        api.ledger.begin()  # not before: a port that cannot be had must leave no journal
        yield Sandbox(
            server=server.address,
            stream_server=streams.address,
            ca_file=server.ca_file,
            key=key,
            clock=clock,
            api=api,
            failures=server.failures,
        )


def built_in_targets(services: Sequence[Service]) -> tuple[BuiltInTarget, ...]:
    """Return the built-in measurements of services, each towards the service's present address of its family."""
    targets = []
    for service in services:
        present = {entry.af: entry.address for entry in reversed(service.addresses) if entry.until is None}
        targets += [
            BuiltInTarget(id=entry.id, kind=entry.kind, af=entry.af, query=entry.query, address=present[entry.af])
            for entry in service.measurements
            if entry.af in present
        ]
    return tuple(targets)
