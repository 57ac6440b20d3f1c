"""Measure in a lab that is up: rounds of all queries, and a stream of one of them while its routes change."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from catchment.campaign import Campaign, Query
from catchment.campaign import Lab as LabPlan
from catchment.campaign.own_vantages import lab_name
from catchment.errors import PlatformFailed
from catchment.model import Kind, Target
from catchment.platforms.lab.client import Lab
from catchment.platforms.lab.numbering import vantage_name
from catchment.platforms.lab.wiring import blueprint
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.topology import Topology
from catchment.platforms.topology.elements import VantagePoint
from catchment.platforms.topology.epochs import Epoch
from catchment.store import Accepted, Measurement, ResultWriter, Stage
from catchment.workflow.estimating import TURNS_IN_LAB
from catchment.workflow.importing import Progress

_RATE_PER_S = 200.0  # of a round: the lab's servers are nobody's but ours
_TIMEOUT_S, _STREAM_TIMEOUT_S = 2.0, 1.0
_NAP_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a lab changes to, `after_s` from when its routes may change."""

    after_s: float
    epochs: Mapping[str, Epoch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A lab that is up, and what is measured in it; the queries of `stream` go on and on while its routes change."""

    lab: Lab
    topology: Topology
    measurements: Sequence[Measurement]
    queries: Mapping[int, Query]
    stream: Measurement
    vantages: Mapping[str, str]
    writer: ResultWriter

    def asks(self, row: Mapping[str, Any]) -> bool:
        """Tell whether the vantage point of a row about routes is asked, and its address is measured."""
        return row["vantage"] in self.vantages and any(one.target == row["address"] for one in self.measurements)

    def check_alive(self) -> None:
        """Raise PlatformFailed where a router or server has ended that nobody told to: what came would mislead."""
        died = self.lab.died()
        if died:
            raise PlatformFailed(
                f"in the lab '{self.lab.name}' {', '.join(died)} ended by itself, so what was measured would mislead: "
                "run it again"
            )

    def round(self, progress: Progress) -> None:
        """Ask everything once, of everybody, and DNS some times more. Raises PlatformFailed."""
        again = [one for one in self.measurements if one.kind is Kind.DNS]
        turns = [self.measurements, *([again] * (TURNS_IN_LAB - 1))]
        whole = sum(len(one.vantage_points or ()) for turn in turns for one in turn)
        with closing(self._measured(turns)) as results:
            for number, result in enumerate(results, start=1):
                self.writer.write(result)
                progress("a round of queries", number / max(number, whole))
        self.check_alive()

    def _measured(self, turns: Sequence[Sequence[Measurement]]) -> Generator[dict[str, Any], None, None]:
        for turn in filter(None, turns):
            results = self.lab.measure(turn, self.queries, self.vantages, rate_per_s=_RATE_PER_S, timeout_s=_TIMEOUT_S)
            with closing(results):
                yield from results

    def change(self, plan: LabPlan, steps: Sequence[Step], progress: Progress) -> tuple[Bench, dict[float, float]]:
        """Change the routes amid a stream of queries; return when each step began, in seconds since 1970 UTC.

        The first step comes `before_s` after the start, the others as much later as they say; the times are by what
        they say. What is returned with them knows when the stream was. Raises PlatformFailed: at once where the lab
        refuses a step, for what the stream would tell then is of no use.
        """
        first_s = plan.before_s - steps[0].after_s
        seconds = first_s + steps[-1].after_s + plan.settle_s
        changed_at: dict[float, float] = {}
        is_over = threading.Event()
        start = time.time()

        def direct() -> None:
            try:
                for step in steps:
                    if is_over.wait(max(0.0, start + first_s + step.after_s - time.time())):
                        return
                    self.check_alive()
                    changed_at[step.after_s] = self.lab.apply(blueprint(self.topology, step.epochs))
            except BaseException:
                with suppress(PlatformFailed):  # the lab may be gone, and its streams with it
                    self.lab.end_streams()
                raise
            is_over.wait(max(0.0, start + seconds - time.time()))

        with ThreadPoolExecutor(max_workers=1) as beside, self._streamed(plan.stream_per_s, seconds) as results:
            director = beside.submit(direct)
            try:
                for result in results:
                    self.writer.write(result)
                    progress("a stream of queries amid the change", min(1.0, (time.time() - start) / seconds))
                while not director.done():
                    is_over.wait(_NAP_S)
                    progress("waiting for routes to settle", min(1.0, (time.time() - start) / seconds))
            finally:
                is_over.set()
            director.result()
        return replace(self, stream=replace(self.stream, start=start, stop=start + seconds)), changed_at

    @contextmanager
    def _streamed(self, per_s: float, seconds: float) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the results of the stream, which begins at once; where it is of no queries there are none."""
        if per_s == 0:
            yield iter(())
            return
        query = self.queries[self.stream.id]
        vantages = {name: self.vantages[name] for name in self.stream.vantage_points or ()}
        results = self.lab.stream(
            self.stream, query, vantages, per_s=per_s, seconds=seconds, timeout_s=_STREAM_TIMEOUT_S
        )
        with closing(results):
            yield results

    def finish(self) -> Accepted:
        """Return what was asked, and what came of it, when all results are stored."""
        files = self.writer.finish()
        asked = (*self.measurements, *([self.stream] if self.stream.id in files else []))
        return Accepted(
            tag="",
            stage=Stage.NAMED,  # the lab's own names of its routers are stored: there is nobody to ask
            measurements=tuple(one.done(files) for one in asked),
        )


def make_bench(
    lab: Lab,
    topology: Topology,
    plan: Campaign,
    targets: Sequence[Target],
    asked: Sequence[VantagePoint],
    writer: ResultWriter,
    now: float,
) -> Bench:
    """Return what a campaign measures in a lab, from `now` on: it asks these vantage points, those with IPv6 by IPv6.

    The stream is of the first target whose service changes, else of the first, and by the first DNS query.
    """
    names = {
        4: tuple(lab_name(vantage.id) for vantage in asked),
        6: tuple(lab_name(vantage.id) for vantage in asked if vantage.ipv6),
    }
    changing = {change.service for change in plan.lab.changes}
    streamed = next((target for target in targets if target.service in changing), targets[0])
    query = next((query for query in plan.queries if query.kind is Kind.DNS), Query(kind=Kind.DNS))
    measurements, queries = own_measurements(plan.queries, targets, names[4], now, None, None)
    (stream,), _ = own_measurements((query,), (streamed,), names[streamed.af], now, None, None)
    stream = replace(stream, id=1 + max(one.id for one in measurements))
    return Bench(
        lab=lab,
        topology=topology,
        measurements=[replace(one, vantage_points=names[one.af]) for one in measurements],
        queries={**queries, stream.id: query},
        stream=stream,
        vantages={lab_name(vantage.id): vantage_name(vantage.id) for vantage in asked},
        writer=writer,
    )
