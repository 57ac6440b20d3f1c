"""What is wrong with a campaign whose packets this host sends itself, to the Internet or in a lab."""

from __future__ import annotations

from collections.abc import Iterator

from catchment.campaign.plans import Campaign, ChangeName, Lab, PlatformName, Schedule, VantagePoints

SENT_BY_THIS_HOST = (PlatformName.LOCAL, PlatformName.LAB)
LEAST_PER_S, MOST_PER_S = 0.01, 100.0
"""As many packets a second this host may send: from one in a hundred seconds to a resolver's load, and no flood."""

PACKETS_OF_TCP = 5
"""As many packets of ours a DNS query over TCP takes, from the handshake to the end of the connection."""

_MOST_STREAMED_PER_S = 1000.0  # to nobody but the lab's own servers
_LONGEST_STREAM_S = 600

Problem = tuple[str, str]
"""The key that is wrong, and why."""


def own_problems(campaign: Campaign) -> Iterator[Problem]:
    """Yield what is wrong with a campaign on platform local or lab."""
    if campaign.reuse:
        yield "reuse", f"platform '{campaign.platform}' has no public measurements: leave it out"
    if campaign.platform is PlatformName.LAB:
        yield from _of_places(campaign)
        yield from _of_lab(campaign.lab)
        return
    if campaign.vantage_points is not None:
        yield "vantage_points", "this host is the only one: leave it out, and say where it is in local.place"
    if not LEAST_PER_S <= campaign.local.rate_per_s <= MOST_PER_S:
        yield "local.rate_per_s", f"at least {LEAST_PER_S:g}, and at most {MOST_PER_S:g}"


def _of_places(campaign: Campaign) -> Iterator[Problem]:
    wanted = campaign.vantage_points
    if wanted is not None and wanted != VantagePoints(ids=wanted.ids):
        yield "vantage_points", "a lab's are chosen by 'ids', or all measure: leave out all else"
    if campaign.schedule != Schedule():
        yield "schedule", "a lab's campaign measures before and after its changes: leave it out"


def _of_lab(lab: Lab) -> Iterator[Problem]:
    if lab.topology is None:
        yield "lab.topology", "is missing: name the file of the topology that the lab is made of"
    if not 0 <= lab.stream_per_s <= _MOST_STREAMED_PER_S:
        yield "lab.stream_per_s", f"from 0, for no stream, to {_MOST_STREAMED_PER_S:g}"
    for name in ("before_s", "settle_s"):
        if not 0 < getattr(lab, name) <= _LONGEST_STREAM_S:
            yield f"lab.{name}", f"more than 0 s, and at most {_LONGEST_STREAM_S}"
    for change in lab.changes:
        if change.change in {ChangeName.LEAK, ChangeName.HIJACK} and change.asn is None:
            yield "lab.changes", f"'{change.change}' needs the 'asn' of the network that does it"
        if change.change is ChangeName.NEW_SITE:
            yield "lab.changes", "a running lab gets no new site: put it into the topology, with announced = false"
