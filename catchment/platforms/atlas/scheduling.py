"""From a campaign to measurements: each asked for once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catchment.campaign import Campaign, Protocol, Query, VantagePoints
from catchment.errors import PlatformFailed
from catchment.model import Kind, Target
from catchment.platforms.atlas.adopting import find_part
from catchment.platforms.atlas.client import Atlas, PlatformUnsure, Refused
from catchment.platforms.atlas.clock import in_iso
from catchment.platforms.atlas.costs import SIZE_BYTES, credits_per_result, times
from catchment.platforms.atlas.failures import clean
from catchment.platforms.atlas.selecting import Probe, asked
from catchment.store import Accepted, Measurement

START_AFTER_S = 60
"""New measurements start so long after the first POST: all at once, even if one of the POSTs takes some tries."""

_TAG = "catchment"
_TRIES = 3  # of a POST whose answer gets lost
_MOST_REFUSALS = 5  # of one that the server has no time for
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 120.0
_AT_LEAST_S = 15  # before its start, a measurement has to be with RIPE Atlas
_UDP_PAYLOAD_BYTES = 1232  # DNS flag day 2020: fits every path without fragments
_LONGEST_DESCRIPTION = 250


Span = tuple[float, float | None]
"""Start and stop, in seconds since 1970 UTC; without a stop it is a one-off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One POST: what it asks of which targets, and the probes that answer all of it."""

    name: str
    wanted: list[tuple[Target, Query]]
    probes: tuple[int, ...]


def divide(campaign: Campaign, targets: Sequence[Target], probes: Sequence[Probe]) -> dict[str, tuple[int, ...]]:
    """Return the parts of a campaign, one POST each, by name: who is asked in one address family, 1,000 at most.

    Probes are asked in the families that work there. Raises PlatformFailed where one works nowhere.
    """
    largest = campaign.limits.probes_per_measurement
    parts = {}
    for af in sorted({target.af for target in targets}):
        ids = asked(probes, af, campaign.vantage_points or VantagePoints())
        if not ids:
            raise PlatformFailed(f"IPv{af} works at none of the {len(probes)} probes chosen: choose others")
        for number, first in enumerate(range(0, len(ids), largest), start=1):
            parts[f"v{af}-{number}"] = tuple(ids[first : first + largest])
    return parts


def schedule(  # noqa: PLR0913  (what is asked, what stands already, time, and whom to tell)
    atlas: Atlas,
    *,
    campaign: Campaign,
    targets: Sequence[Target],
    accepted: Accepted,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    record: Callable[[Accepted], None],
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, float], None] = lambda *_: None,
) -> Accepted:
    """Ask for all that a run lacks of its measurements, a POST for each part, and return it with them.

    `record` is given the run before every POST and after it, and has it on disk when it returns: whoever goes on from
    there asks for nothing twice. Where an answer is lost, here or in an earlier process, the part is asked for again
    only when the API's lists would show it by then, and do not. A part whose time is over is left out, with a remark,
    if there are others. Raises PlatformFailed; PlatformUnsure where answers were lost time and again.
    """
    asking = _Asking(
        atlas=atlas, campaign=campaign, clock=clock, sleep=sleep, record=record, say=say, accepted=accepted
    )
    for number, part in enumerate(_parts(campaign, targets, accepted)):
        progress(f"{len(asking.accepted.measurements)} measurements accepted", number / len(accepted.parts))
        if not any(one.part == part.name for one in accepted.measurements):
            asking.settle(part)
    progress(f"{len(asking.accepted.measurements)} measurements accepted", 1.0)
    return asking.accepted


@dataclass(slots=True, kw_only=True)
class _Asking:
    """A run that asks for its parts, one by one: what stands at the API, and when measurements are to begin."""

    atlas: Atlas
    campaign: Campaign
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    record: Callable[[Accepted], None]
    say: Callable[[str], None]
    accepted: Accepted
    span: Span | None = None  # of all parts, so that they begin together, as long as it lies in the time to come

    def settle(self, part: _Part) -> None:
        """Ask for a part, and ask again, until it is known what came of it."""
        lost_answers, refusals = 0, 0
        while True:
            if part.name in self.accepted.unsure and self._is_found(part):
                return
            span = self._span(part)
            if span is None:
                return
            self._note(self.accepted.asking(part.name, self.clock()))
            try:
                found = _ask(self.atlas, self.campaign, part, self.accepted.tag, span)
            except PlatformUnsure as lost:
                lost_answers += 1
                if lost_answers == _TRIES:
                    raise
                self.say(f"{lost}: looking whether it was done, for five minutes, before asking again")
            except PlatformFailed as failure:
                self._note(self.accepted.settled(part.name))
                refusals += 1
                pause_s = _pause_s(failure, refusals)
                if pause_s is None:
                    raise
                self.say(f"{failure}: asking again in {pause_s:.0f} s")
                self.sleep(pause_s)
            else:
                remark = _late_start(self.campaign, part, span)
                self._note(self.accepted.settled(part.name, found, remark=remark))
                return

    def _is_found(self, part: _Part) -> bool:
        """Look for a part whose answer was lost; tell whether it is there."""
        since = self.accepted.unsure[part.name]
        tag, count = self.accepted.tag, len(part.wanted)
        found = find_part(self.atlas, tag, part.name, count, since=since, clock=self.clock, sleep=self.sleep)
        if found:
            priced = [
                replace(one, probes=part.probes, credits_per_result=_price(self.campaign, query))
                for one, (_, query) in zip(found, part.wanted, strict=True)  # ids rise in the order of the definitions
            ]
            self._note(self.accepted.settled(part.name, priced))
        return bool(found)

    def _span(self, part: _Part) -> Span | None:
        """Return when a part is to be measured; None where its time is over, and there are others."""
        if self.span is None or self.span[0] < self.clock() + _AT_LEAST_S:
            try:
                self.span = _future(self.campaign, self.clock(), is_begun=self.accepted.may_cost)
            except PlatformFailed as late:
                if not self.accepted.measurements:
                    raise
                remark = f"part {part.name}, {len(part.probes)} vantage points, was not asked for: {late}"
                self._note(self.accepted.settled(part.name, remark=remark))
                return None
        return self.span

    def _note(self, accepted: Accepted) -> None:
        self.accepted = accepted
        self.record(accepted)


def _pause_s(failure: PlatformFailed, refusals: int) -> float | None:
    """Return how long to wait before a POST that was refused for now is sent again; None: it is not to be."""
    if not isinstance(failure, Refused) or not failure.may_pass or refusals == _MOST_REFUSALS:
        return None
    pause_s = _FIRST_PAUSE_S * 2.0**refusals if failure.retry_after_s is None else failure.retry_after_s
    return pause_s if pause_s <= _LONGEST_PAUSE_S else None


def _ask(atlas: Atlas, campaign: Campaign, part: _Part, run_tag: str, span: Span) -> list[Measurement]:
    start, stop = span
    ids = atlas.create(
        [definition(campaign, target, query, run_tag, part.name) for target, query in part.wanted],
        part.probes,
        tag=run_tag,
        start=start,
        stop=stop,
        one_off=campaign.schedule.interval_s is None,
    )
    return [
        Measurement(
            id=number,
            kind=query.kind,
            target=target.address,
            af=target.af,
            query=query.name if query.kind is Kind.DNS else None,
            nsid=query.kind is Kind.DNS and query.nsid,
            probes=part.probes,
            start=start,
            stop=stop,
            interval_s=campaign.schedule.interval_s,
            reused=False,
            part=part.name,
            credits_per_result=_price(campaign, query),
        )
        for number, (target, query) in zip(ids, part.wanted, strict=True)
    ]


def _price(campaign: Campaign, query: Query) -> int:
    return credits_per_result(query, one_off=campaign.schedule.interval_s is None)


def definition(campaign: Campaign, target: Target, query: Query, run_tag: str, part: str) -> dict[str, Any]:
    """Return the API's definition of one measurement: `type` and options by name, tagged with the run and its part."""
    asks = f"{query.kind.value} {query.name}" if query.kind is Kind.DNS else query.kind.value
    description = f"{run_tag}-{part} {campaign.name}: {asks} of {target.service or target.address}"
    common: dict[str, Any] = {
        "type": query.kind.value,
        "af": target.af,
        "target": target.address,
        "description": clean(description, longest=_LONGEST_DESCRIPTION),
        "tags": [_TAG, run_tag, f"{run_tag}-{part}"],
        "resolve_on_probe": False,
    }
    if campaign.schedule.interval_s is not None:
        common["interval"] = campaign.schedule.interval_s
    match query.kind:
        case Kind.DNS:
            own = {
                "query_class": "CHAOS",
                "query_type": "TXT",
                "query_argument": query.name,
                "set_nsid_bit": query.nsid,
                "set_rd_bit": False,
                "udp_payload_size": _UDP_PAYLOAD_BYTES,
                "include_abuf": True,  # NSID, rcode and class stand nowhere else
                "retry": 0,  # the time of a repeated query is no round trip
                "use_probe_resolver": False,
                "protocol": (query.protocol or Protocol.UDP).value,
            }
        case Kind.PING:
            own = {"packets": query.packets, "size": SIZE_BYTES}
        case Kind.TRACEROUTE:
            # Anycast servers answer an echo request, but often drop UDP to other ports than their own: with ICMP the
            # trace ends at the server. 16 Paris variations show where several paths are in use.
            protocol = (query.protocol or Protocol.ICMP).value
            own = {"protocol": protocol, "packets": query.packets, "size": SIZE_BYTES, "paris": 16, "max_hops": 32}
    return common | own


def _future(campaign: Campaign, now: float, *, is_begun: bool) -> Span:
    """Return start and stop, in the time to come. What has begun goes on after its start has passed, with the rest.

    Raises PlatformFailed where nothing of the schedule is left, or nothing from before a planned change.
    """
    schedule, name = campaign.schedule, campaign.name
    start, stop = times(schedule, now + START_AFTER_S)
    if start <= now and not is_begun:
        raise PlatformFailed(f"the campaign '{name}' would start at {in_iso(start)}, which is past: mend its schedule")
    start = max(start, now + _AT_LEAST_S) if start <= now else start
    if schedule.change_at is not None and start >= schedule.change_at.timestamp():
        raise PlatformFailed(
            f"the campaign '{name}' would start at {in_iso(start)}, when its change is over: plan another one"
        )
    if stop is not None and stop <= start:
        raise PlatformFailed(
            f"the campaign '{name}' would start at {in_iso(start)}, and no whole round is left until it stops: mend "
            "its schedule"
        )
    return start, stop


def _late_start(campaign: Campaign, part: _Part, span: Span) -> str | None:
    """Say how much later than planned a part begins, if it does."""
    start, _ = span
    planned, _ = times(campaign.schedule, start)
    if start <= planned:
        return None
    return f"part {part.name}, {len(part.probes)} vantage points, begins {(start - planned) / 60:.0f} minutes late"


def _parts(campaign: Campaign, targets: Sequence[Target], accepted: Accepted) -> list[_Part]:
    parts = []
    for name, probes in accepted.parts.items():
        of_family = [target for target in targets if name.startswith(f"v{target.af}-")]
        wanted = [(target, query) for target in of_family for query in campaign.queries]
        parts.append(_Part(name=name, wanted=wanted, probes=probes))
    return parts
