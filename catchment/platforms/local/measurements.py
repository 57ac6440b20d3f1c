"""What this host is to measure, in the form in which runs keep what a platform accepted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from catchment.campaign import Query
from catchment.model import Kind, Target
from catchment.store import Measurement

_FIRST_ID = 1 << 52  # far above those of RIPE Atlas; with what is added, still a whole number to JavaScript
_DIGITS = 6  # bytes of a digest


def own_measurements(
    queries: Sequence[Query],
    targets: Sequence[Target],
    vantage_names: Sequence[str],
    start: float,
    interval_s: int | None,
    stop: float | None,
) -> tuple[list[Measurement], dict[int, Query]]:
    """Return a measurement for each target and query, and the query of each measurement by its id.

    `start` and `stop` are seconds since 1970. Ids are digests of who asks what of whom from when on: the same whenever
    they are made, and others for other hosts and runs, also where these begin at the same time.
    """
    measurements, query_of = [], {}
    for number, (target, query) in enumerate((target, query) for target in targets for query in queries):
        is_dns = query.kind is Kind.DNS
        name = query.name if is_dns else None
        nsid = query.nsid and is_dns
        told = (*vantage_names, float(start), number, target.address, query.kind, name, nsid)
        identifier = _identifier(*told, query.protocol, query.packets)
        measurements.append(
            Measurement(
                id=identifier,
                kind=query.kind,
                target=target.address,
                af=target.af,
                query=name,
                nsid=nsid,
                probes=None,
                vantage_points=tuple(vantage_names),
                start=start,
                stop=stop,
                interval_s=interval_s,
                reused=False,
            )
        )
        query_of[identifier] = query
    return measurements, query_of


def _identifier(*told: object) -> int:
    digest = hashlib.sha256("\n".join(map(str, told)).encode()).digest()
    return _FIRST_ID | int.from_bytes(digest[:_DIGITS])
