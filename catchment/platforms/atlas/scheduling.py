"""From a campaign to measurements: each asked for once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from catchment.campaign import Campaign, Protocol, Query, VantagePoints
from catchment.errors import PlatformFailed
from catchment.model import Kind, Target
from catchment.platforms.atlas.adopting import find_part
from catchment.platforms.atlas.client import Atlas, PlatformUnsure
from catchment.platforms.atlas.costs import SIZE_BYTES, times
from catchment.platforms.atlas.failures import clean
from catchment.platforms.atlas.measurements import Measurement
from catchment.platforms.atlas.selecting import Probe, asked

START_AFTER_S = 60
"""New measurements start so long after the first POST: all at once, even if one of the POSTs takes some tries."""

_TAG = "catchment"
_TRIES = 3  # of a POST whose answer gets lost
_AT_LEAST_S = 15  # before its start, a measurement has to be with RIPE Atlas
_UDP_PAYLOAD_BYTES = 1232  # DNS flag day 2020: fits every path without fragments
_LONGEST_DESCRIPTION = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands at RIPE Atlas of a run: the measurements it has, and the parts that it may have.

    A part is in `unsure`, with the server's time, from before it is asked for until it is known what came of that.
    """

    measurements: tuple[Measurement, ...] = ()
    unsure: Mapping[str, float] = field(default_factory=dict)

    def asking(self, part: str, now: float) -> Standing:
        """Return it with a part that is about to be asked for."""
        return replace(self, unsure={**self.unsure, part: now})

    def settled(self, part: str, found: Sequence[Measurement] = ()) -> Standing:
        """Return it with what came of a part: its measurements, or nothing."""
        unsure = {name: at for name, at in self.unsure.items() if name != part}
        return Standing(measurements=(*self.measurements, *found), unsure=unsure)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One POST: what it asks of which targets, and the probes that answer all of it."""

    name: str
    wanted: list[tuple[Target, Query]]
    probes: tuple[int, ...]


def schedule(  # noqa: PLR0913  (what is asked, whom, when, what stands already, and whom to tell)
    atlas: Atlas,
    *,
    campaign: Campaign,
    targets: Sequence[Target],
    probes: Sequence[Probe],
    run_tag: str,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    record: Callable[[Standing], None],
    standing: Standing = Standing(),
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, float], None] = lambda *_: None,
) -> tuple[Measurement, ...]:
    """Ask for all measurements of a campaign: one POST per address family and 1,000 probes, which answer all.

    `record` is given what stands before every POST and after it, and has it on disk when it returns: whoever goes on
    from there asks for nothing twice. Where an answer is lost, here or in an earlier process, the part is asked for
    again only when the API's lists would show it by then, and do not. Raises PlatformFailed; PlatformUnsure where
    answers were lost time and again.
    """
    parts = _parts(targets, probes, campaign)
    start, stop = _future(campaign, clock(), is_begun=standing != Standing())
    for number, part in enumerate(parts):
        progress(f"{len(standing.measurements)} measurements accepted", number / len(parts))
        if any(one.part == part.name for one in standing.measurements):
            continue
        for attempt in range(_TRIES):
            found: list[Measurement] = []
            if part.name in standing.unsure:
                found = find_part(
                    atlas,
                    run_tag,
                    part.name,
                    len(part.wanted),
                    since=standing.unsure[part.name],
                    clock=clock,
                    sleep=sleep,
                )
            if not found:
                if start < clock() + _AT_LEAST_S:
                    start, stop = _future(campaign, clock(), is_begun=True)
                standing = standing.asking(part.name, clock())
                record(standing)
                try:
                    found = _ask(atlas, campaign, part, run_tag, start, stop)
                except PlatformUnsure as lost:
                    if attempt == _TRIES - 1:
                        raise
                    say(f"{lost}: looking for them, for five minutes, before asking again")
                    continue
                except PlatformFailed:
                    record(standing.settled(part.name))
                    raise
            standing = standing.settled(part.name, [replace(one, probes=part.probes) for one in found])
            record(standing)
            break
    progress(f"{len(standing.measurements)} measurements accepted", 1.0)
    return standing.measurements


def _ask(
    atlas: Atlas, campaign: Campaign, part: _Part, run_tag: str, start: float, stop: float | None
) -> list[Measurement]:
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
        )
        for number, (target, query) in zip(ids, part.wanted, strict=True)
    ]


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


def _future(campaign: Campaign, now: float, *, is_begun: bool) -> tuple[float, float | None]:
    """Return start and stop, in the time to come. What has begun goes on after its start has passed, with the rest."""
    start, stop = times(campaign.schedule, now + START_AFTER_S)
    if is_begun and start <= now:
        start = now + START_AFTER_S
    if start <= now:
        raise PlatformFailed(
            f"the campaign '{campaign.name}' would start at {_iso(start)}, which is past: mend its schedule"
        )
    if stop is not None and stop <= start:
        raise PlatformFailed(
            f"the campaign '{campaign.name}' would start at {_iso(start)}, and no whole round is left until it stops: "
            "mend its schedule"
        )
    return start, stop


def _parts(targets: Sequence[Target], probes: Sequence[Probe], campaign: Campaign) -> list[_Part]:
    """Return every POST: probes are asked in the address families that work there."""
    largest = campaign.limits.probes_per_measurement
    parts = []
    for af in sorted({target.af for target in targets}):
        ids = asked(probes, af, campaign.vantage_points or VantagePoints())
        if not ids:
            raise PlatformFailed(f"IPv{af} works at none of the {len(probes)} probes chosen: choose others")
        wanted = [(target, query) for target in targets if target.af == af for query in campaign.queries]
        parts += [
            _Part(name=f"v{af}-{number + 1}", wanted=wanted, probes=tuple(ids[first : first + largest]))
            for number, first in enumerate(range(0, len(ids), largest))
        ]
    return parts


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
