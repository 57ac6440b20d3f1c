"""Which services and targets an import is about: told by the addresses that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from catchment import store
from catchment.engine import quote_path
from catchment.errors import InvalidFile
from catchment.model import Service, Target
from catchment.services import usable_services

_MENTIONED = 3


def candidates(header: store.Header) -> tuple[Sequence[Service], Sequence[str]]:
    """Return the services of which the addresses can be, with warnings: all that have a name, where none was named."""
    return (header.services, ()) if header.services else usable_services()


def settle_targets(
    con: duckdb.DuckDBPyConnection,
    observations: Path,
    header: store.Header,
    services: Sequence[Service],
    named: Service | None = None,
) -> store.Header:
    """Name the targets that were measured: the addresses of the services, or any, where no identity needs a service.

    Targets that the header has already stay, whether somebody reported or not. Raises InvalidFile where there are none,
    or none that is of the service `named`.
    """
    found = con.execute(
        f"""SELECT service, target, count(*), count(*) FILTER (WHERE identity IS NOT NULL)
        FROM read_parquet({quote_path(observations)}) WHERE target IS NOT NULL GROUP BY ALL ORDER BY 3 DESC, 2"""
    ).fetchall()
    ours = sorted((service, address) for service, address, _, _ in found if service is not None)
    targets = _united(header.targets, [Target(service=service, address=address) for service, address in ours])
    names = {target.service for target in targets}
    if targets and (named is None or named.name in names):
        served = tuple(sorted((one for one in services if one.name in names), key=lambda one: one.name))
        return replace(header, services=served, targets=targets)
    if not found:
        raise InvalidFile("no result lies in the window, or none tells its target: widen --from and --to")
    most = ", ".join(f"{address} ({count} results)" for _, address, count, _ in found[:_MENTIONED])
    if header.services:
        name = header.services[0].name if named is None else named.name
        raise InvalidFile(
            f"no result is toward an address of '{name}', but toward {most}: add it to a copy of the service"
        )
    if any(identities for _, _, _, identities in found):
        raise InvalidFile(
            f"no service that has a name has the address measured, {most}: describe yours with --service FILE.toml"
        )
    return replace(
        header, targets=tuple(sorted((Target(service=None, address=row[1]) for row in found), key=lambda t: t.address))
    )


def _united(known: Sequence[Target], found: Sequence[Target]) -> tuple[Target, ...]:
    """Return each target once; an address that is of a service is not besides one of none."""
    targets = dict.fromkeys([*known, *found])
    served = {target.address for target in targets if target.service is not None}
    return tuple(target for target in targets if target.service is not None or target.address not in served)
