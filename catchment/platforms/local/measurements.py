"""What this host is to measure, in the form in which runs keep what a platform accepted."""

from __future__ import annotations

from collections.abc import Sequence

from catchment.campaign import Query
from catchment.model import Kind, Target
from catchment.store import Measurement

_PER_START = 1000  # measurements that may begin in the same millisecond


def own_measurements(
    queries: Sequence[Query],
    targets: Sequence[Target],
    vantage_names: Sequence[str],
    start: float,
    interval_s: int | None,
    stop: float | None,
) -> tuple[list[Measurement], dict[int, Query]]:
    """Return a measurement for each target and query, and the query of each measurement by its id.

    `start` and `stop` are seconds since 1970. Ids tell the start in milliseconds, so that hosts whose runs are merged
    hardly ever have the same; they are whole numbers to JavaScript, and far above those of RIPE Atlas.
    """
    first = int(start * 1000) * _PER_START
    measurements, query_of = [], {}
    for number, (target, query) in enumerate((target, query) for target in targets for query in queries):
        is_dns = query.kind is Kind.DNS
        measurements.append(
            Measurement(
                id=first + number,
                kind=query.kind,
                target=target.address,
                af=target.af,
                query=query.name if is_dns else None,
                nsid=query.nsid and is_dns,
                probes=None,
                vantage_points=tuple(vantage_names),
                start=start,
                stop=stop,
                interval_s=interval_s,
                reused=False,
            )
        )
        query_of[first + number] = query
    return measurements, query_of
