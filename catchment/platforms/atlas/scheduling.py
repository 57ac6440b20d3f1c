"""From a campaign to measurements: asked for, and found again where the answer was lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from catchment.campaign import Campaign, Query
from catchment.errors import PlatformFailed
from catchment.model import Kind, Target
from catchment.platforms.atlas.client import Atlas
from catchment.platforms.atlas.costs import PACKETS, SIZE_BYTES, times
from catchment.platforms.atlas.failures import clean
from catchment.platforms.atlas.measurements import Measurement, read_measurement
from catchment.platforms.atlas.selecting import Probe, works

START_AFTER_S = 60
"""New measurements start so long after the first POST: all at once, even if one of the POSTs takes some tries."""

LISTED_AFTER_S = 120
"""After so long a new measurement is taken to stand in the API's lists; how long it takes is not documented."""

_TAG = "catchment"
_MOST_OF_A_RUN = 1000
_UDP_PAYLOAD_BYTES = 1232  # DNS flag day 2020: fits every path without fragments
_LONGEST_DESCRIPTION = 250


def schedule(  # noqa: PLR0913  (what is asked, whom, when, what is there already, and whom to tell)
    atlas: Atlas,
    *,
    campaign: Campaign,
    targets: Sequence[Target],
    probes: Sequence[Probe],
    run_tag: str,
    now: float,
    record: Callable[[list[Measurement]], None],
    known: Sequence[Measurement] = (),
    progress: Callable[[str, float], None] = lambda *_: None,
) -> list[Measurement]:
    """Ask for all measurements of a campaign: one POST per address family and 1,000 probes, which answer all.

    `record` gets all that is accepted so far after every POST, before anything else happens. What `adopt` found is
    taken as it is (`known`), not asked for again. Raises PlatformFailed; PlatformUnsure where a POST's answer was lost.
    """
    parts = _parts(targets, probes, campaign.limits.probes_per_measurement)
    accepted: list[Measurement] = []
    for number, (name, asked, chunk) in enumerate(parts):
        progress(f"{len(accepted)} measurements accepted", number / len(parts))
        wanted = [(target, query) for target in asked for query in campaign.queries]
        found = [one for one in known if one.part == name]
        if not found:
            start, stop = _future(campaign, now)
            ids = atlas.create(
                [definition(campaign, target, query, run_tag, name) for target, query in wanted],
                chunk,
                tag=run_tag,
                start=start,
                stop=stop,
                one_off=campaign.schedule.interval_s is None,
            )
            found = [
                Measurement(
                    id=number,
                    kind=query.kind,
                    target=target.address,
                    af=target.af,
                    query=query.name if query.kind is Kind.DNS else None,
                    nsid=query.kind is Kind.DNS and query.nsid,
                    probes=None,
                    start=start,
                    stop=stop,
                    interval_s=campaign.schedule.interval_s,
                    reused=False,
                    part=name,
                )
                for number, (target, query) in zip(ids, wanted, strict=True)
            ]
        elif len(found) != len(wanted):
            raise PlatformFailed(
                f"{atlas.endpoint.server}: lists {len(found)} of the {len(wanted)} measurements of part {name} of this "
                f"run (tag '{run_tag}'): try again in some minutes"
            )
        accepted += [replace(one, probes=tuple(chunk)) for one in found]
        record(list(accepted))
    progress(f"{len(accepted)} measurements accepted", 1.0)
    return accepted


def definition(campaign: Campaign, target: Target, query: Query, run_tag: str, part: str) -> dict[str, Any]:
    """Return the API's definition of one measurement: `type` and options by name, tagged with the run and its part."""
    asks = f"{query.kind.value} {query.name}" if query.kind is Kind.DNS else query.kind.value
    description = f"{_TAG} {campaign.name}: {asks} of {target.service or target.address} ({run_tag}-{part})"
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
                "protocol": "UDP",
            }
        case Kind.PING:
            own = {"packets": PACKETS, "size": SIZE_BYTES}
        case Kind.TRACEROUTE:
            # Anycast servers answer an echo request, but often drop UDP to other ports than their own: with ICMP the
            # trace ends at the server. 16 Paris variations show where several paths are in use.
            own = {"protocol": "ICMP", "packets": PACKETS, "size": SIZE_BYTES, "paris": 16, "max_hops": 32}
    return common | own


def adopt(atlas: Atlas, run_tag: str, *, sleep: Callable[[float], None]) -> list[Measurement]:
    """Return the measurements that carry a run's tag, once new ones had time to appear in the API's lists."""
    sleep(LISTED_AFTER_S)
    ids = set()
    for entries, count in atlas.batches("/measurements/", tags=run_tag):
        if count > _MOST_OF_A_RUN:  # the API ignores some filters, with no more than a warning; it has 200 million
            raise PlatformFailed(
                f"{atlas.endpoint.server}: lists {count} measurements for the tag '{run_tag}', so it heeds no tag: "
                "look for them there by hand, and remove the run"
            )
        ids |= {int(entry["id"]) for entry in entries}
    adopted = []
    for number in sorted(ids):
        found = atlas.get(f"/measurements/{number}/")
        measurement = read_measurement(atlas, number, found)
        part = next((tag for tag in map(str, found.get("tags") or ()) if tag.startswith(f"{run_tag}-")), None)
        if part is not None:
            adopted.append(replace(measurement, part=part.removeprefix(f"{run_tag}-"), reused=False))
    return adopted


def _future(campaign: Campaign, now: float) -> tuple[float, float | None]:
    start, stop = times(campaign.schedule, now + START_AFTER_S)
    if start <= now or (stop is not None and stop <= start):
        late, when = ("start", start) if start <= now else ("stop", stop or start)
        raise PlatformFailed(
            f"the campaign '{campaign.name}' would {late} at {_iso(when)}, which is too early: mend its schedule"
        )
    return start, stop


def _parts(
    targets: Sequence[Target], probes: Sequence[Probe], largest: int
) -> list[tuple[str, list[Target], list[int]]]:
    """Return name, targets and probe ids of every POST: probes are asked in the address families that work there."""
    parts = []
    for af in sorted({target.af for target in targets}):
        ids = sorted(int(probe["id"]) for probe in probes if works(probe, af))
        if not ids:
            raise PlatformFailed(f"IPv{af} works at none of the {len(probes)} probes chosen: choose others")
        of_family = [target for target in targets if target.af == af]
        parts += [
            (f"v{af}-{number + 1}", of_family, ids[start : start + largest])
            for number, start in enumerate(range(0, len(ids), largest))
        ]
    return parts


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
