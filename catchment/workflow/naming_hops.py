"""Ask for the names of the last routers before the targets, and judge again: such a name often holds the town."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from catchment import store
from catchment.campaign import PlatformName
from catchment.engine import parts
from catchment.errors import CatchmentError
from catchment.metrics import iso_time
from catchment.model import Kind
from catchment.platforms.connecting import router_names
from catchment.platforms.reverse_names import is_public, nameserver_of, resolve_names
from catchment.store import Accepted, Header, Stage
from catchment.workflow.importing import Imported, Progress, Say, derive, rebuild
from catchment.workflow.loading import workbench

_FIRST, _BATCH = 20, 200  # so many names are stored at a time; after one without any answer the resolver is given up
_NAMING = 0.5  # of the whole; the rest is judging again

"""Told in a line what the user waits for."""

Ask = Callable[[Sequence[str], Callable[[int], None]], Mapping[str, str | None]]
"""Asks for the names of addresses and tells how many are done; those of whom nobody could tell are left out."""


def derive_with_names(
    path: Path,
    *,
    service: str | None = None,
    environ: Mapping[str, str],
    clock: Callable[[], float] = time.time,
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
) -> Imported:
    """Rebuild every table of a stored run, and ask for the names of its routers that are not known yet.

    `say` is told when the DNS is asked. Raises CatchmentError; that names cannot be had is a warning.
    """
    done = derive(path, service=service, progress=lambda text, share: progress(text, share / 2))
    with store.locked(path):
        return judge_by_names(
            done, environ=environ, clock=clock, progress=lambda text, share: progress(text, (1 + share) / 2), say=say
        )


def is_naming_due(header: Header, accepted: Accepted | None) -> bool:
    """Tell whether a measured run still has to ask for names: its campaign wants them, and it traced routes."""
    return (
        header.plan is not None
        and header.plan.resolve_names
        and accepted is not None
        and accepted.stage is not Stage.NAMED
        and any(measurement.kind is Kind.TRACEROUTE for measurement in accepted.measurements)
    )


def judge_by_names(
    done: Imported,
    *,
    environ: Mapping[str, str],
    clock: Callable[[], float],
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
) -> Imported:
    """Ask for the names of the last routers of a derived run whose lock is held; derive it again if that brought any.

    What goes wrong with names is told as a warning.
    """
    path, header, warnings = done.run, store.read_header(done.run), list[str]()
    held = store.load_hop_names(path)
    if held.damaged:
        warnings.append(f"{len(held.damaged)} lines of hop_names.ndjson are left aside, the first: {held.damaged[0]}")
    nameless = [address for address in _last_routers(path) if address not in held.names]
    if header.platform != PlatformName.SANDBOX or header.plan is None:
        nameless = [address for address in nameless if is_public(address)]
        if nameless:
            say(f"asking the DNS for the names of {len(nameless)} routers")
    try:
        lacking = _ask_all(path, nameless, _whom_to_ask(header, path, environ), clock, progress) if nameless else 0
        if lacking:
            warnings.append(
                f"the DNS tells nothing of {lacking} of {len(nameless)} routers before the targets: "
                f"`catchment derive {shlex.quote(str(path))} --resolve` asks again"
            )
    except CatchmentError as error:
        warnings.append(f"the routers before the targets stay without names: {error}")
    if set(store.read_hop_names(path)) - set(held.names.items()):
        done = rebuild(path, header, lambda text, share: progress(text, _NAMING + (1 - _NAMING) * share))
    return replace(done, warnings=(*done.warnings, *warnings))


def _last_routers(path: Path) -> list[str]:
    with workbench() as (con, _):
        rows = con.execute(
            f"SELECT DISTINCT hop FROM {parts(path / store.OBSERVATIONS)} WHERE hop IS NOT NULL ORDER BY hop"
        ).fetchall()
    return [address for (address,) in rows]


def _ask_all(path: Path, addresses: Sequence[str], ask: Ask, clock: Callable[[], float], progress: Progress) -> int:
    """Ask for names and store them; return of how many addresses nobody could tell.

    The first few are of all networks, so that a resolver which tells nothing of them is dead and not just their zone.
    """
    total, told = len(addresses), 0
    first = addresses[:: -(-total // _FIRST)]
    ordered = list(dict.fromkeys([*first, *addresses]))
    for start, end in pairwise(sorted({0, *range(len(first), total, _BATCH), total})):

        def tell(count: int, start: int = start) -> None:
            progress(f"asking the DNS for the names of {total} routers", _NAMING * (start + count) / total)

        tell(0)
        found = ask(ordered[start:end], tell)
        if not found:
            break
        store.write_hop_names(path, found, resolved_at=iso_time(int(clock())) or "")
        told += len(found)
    return total - told


def _whom_to_ask(header: Header, path: Path, environ: Mapping[str, str]) -> Ask:
    """Return who knows the names of a run's routers: its own sandbox, or the DNS. Raises CatchmentError."""
    if header.platform == PlatformName.SANDBOX and header.plan is not None:
        sandbox = header.plan.sandbox
        if store.topology_file(path).exists():
            sandbox = replace(sandbox, topology=str(store.topology_file(path)))
        name = router_names(sandbox, header.services)
        return lambda addresses, _: {address: name(address) for address in addresses}
    server = nameserver_of(environ)
    if server is None:
        return lambda addresses, tell: resolve_names(addresses, progress=tell)
    host, port = server
    return lambda addresses, tell: resolve_names(addresses, nameservers=[host], port=port, progress=tell)
