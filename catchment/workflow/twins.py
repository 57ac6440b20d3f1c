"""Hosts that go by one name in several runs, and may be several: they cannot be told apart once runs are merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import duckdb

from catchment.campaign.own_vantages import is_host_name
from catchment.engine import quote_path
from catchment.store import Run
from catchment.workflow.merging import Merged

_MENTIONED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """A host that measured, by one run: from when to when, and from which addresses."""

    vantage: str
    start: float
    end: float
    sources: frozenset[str]

    def differs(self, other: _Host) -> bool:
        """Tell whether another run may mean another host: it was elsewhere, or measured at the same time."""
        elsewhere = any(
            mine and theirs and not mine & theirs
            for mine, theirs in zip(self._by_family(), other._by_family(), strict=True)
        )
        return elsewhere or (self.start <= other.end and other.start <= self.end)

    def _by_family(self) -> tuple[frozenset[str], frozenset[str]]:
        v6 = frozenset(source for source in self.sources if ":" in source)
        return self.sources - v6, v6


def say_twins(con: duckdb.DuckDBPyConnection, merged: Merged) -> list[str]:
    """Say which names may be those of several hosts, by where and when they measured.

    Files that runs share count once, so a run and one that holds it are not at odds.
    """
    found: dict[str, list[_Host]] = defaultdict(list)
    for run in merged.runs if len(merged.runs) > 1 else ():
        for host in _hosts(con, run, [path for path, of in merged.files.values() if of is run]):
            found[host.vantage].append(host)
    return [
        _told(name, hosts)
        for name, hosts in sorted(found.items())
        if any(one.differs(other) for one, other in combinations(hosts, 2))
    ]


def _told(name: str, hosts: Sequence[_Host]) -> str:
    sources = sorted(frozenset[str]().union(*(host.sources for host in hosts)))
    some = ", ".join(sources[:_MENTIONED]) + (", …" if len(sources) > _MENTIONED else "")
    return (
        f"{name} measured from several addresses, or at the same time in several runs ({some}), and is taken for one "
        "host: where it is not, measure under a name of its own on each: local.name in a campaign, or `catchment here "
        "--name NAME`"
    )


def _hosts(con: duckdb.DuckDBPyConnection, run: Run, files: Sequence[Path]) -> list[_Host]:
    """Return the hosts that measured, by the results in those of a run's files that are of hosts."""
    named = {
        name
        for one in (run.accepted.measurements if run.accepted else ())
        if any(map(is_host_name, one.vantage_points or ()))
        for name in one.files or ()
    }
    of_hosts = [quote_path(file) for file in files if file.name in named]
    if not of_hosts:
        return []
    rows = con.execute(
        f"""SELECT vantage, min(timestamp), max(timestamp), list(DISTINCT src_addr) FILTER (WHERE src_addr IS NOT NULL)
        FROM read_json([{", ".join(of_hosts)}], format = 'newline_delimited', ignore_errors = true,
            columns = {{'vantage': 'VARCHAR', 'timestamp': 'DOUBLE', 'src_addr': 'VARCHAR'}})
        WHERE timestamp IS NOT NULL GROUP BY vantage"""
    ).fetchall()
    return [
        _Host(vantage=vantage, start=start, end=end, sources=frozenset(sources or ()))
        for vantage, start, end, sources in rows
        if vantage is not None and is_host_name(vantage)
    ]
