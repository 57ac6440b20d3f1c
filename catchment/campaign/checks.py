"""What is wrong with a campaign that has the right shape: which key, and what to do."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from itertools import chain

from catchment.campaign.own_checks import SENT_BY_THIS_HOST, Problem, own_problems
from catchment.campaign.plans import (
    Budget,
    Campaign,
    Change,
    ChangeName,
    LeaveOut,
    Limits,
    Protocol,
    Query,
    Schedule,
    VantagePoints,
)
from catchment.campaign.regions import AREAS, REGIONS
from catchment.errors import hint
from catchment.geo import CONTINENT_OF
from catchment.model import Kind

MOST_PACKETS = 16
"""As many packets a ping, or each hop of a traceroute, may take at RIPE Atlas."""

_SHORTEST_INTERVAL_S = 60  # RIPE Atlas takes none shorter
_LONGEST_RUN_S = 366 * 86_400
_MOST_PREPENDED = 20
_MOST_VANTAGE_POINTS = 100_000
_MOST_ASN = (1 << 32) - 1
_FIRST_YEAR = 2010  # RIPE Atlas began then
_AT_A_SITE = {*ChangeName} - {ChangeName.LEAK, ChangeName.HIJACK}
_PROTOCOLS: dict[Kind, tuple[Protocol, ...]] = {
    Kind.DNS: (Protocol.UDP, Protocol.TCP),
    Kind.PING: (),
    Kind.TRACEROUTE: (Protocol.ICMP, Protocol.UDP, Protocol.TCP),
}

_USUAL_QUERIES = next(one.default for one in fields(Campaign) if one.name == "queries")
_EVERYWHERE = "WW"
_SOURCES = ("regions", "countries", "asns", "prefixes", "ids", "measurements")


def problems(campaign: Campaign) -> Iterator[Problem]:
    """Yield what is wrong with a campaign."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", campaign.name):
        yield "name", f"'{campaign.name}' names a folder: use lower-case letters, digits, '-', '_' and '.'"
    if not campaign.targets:
        yield "targets", "is empty: name at least one service to measure"
    if not campaign.queries:
        yield "queries", "is empty: name at least one, or leave the key out for DNS and ping"
    for name in ("targets", "queries", "reuse"):
        listed = getattr(campaign, name)
        if len(set(listed)) < len(listed):
            yield name, "the same is there twice: leave out one of them"
    yield from chain.from_iterable(map(_of_query, campaign.queries))
    yield from _not(campaign.reuse, _is_reusable, "reuse", "is no measurement's number, nor dns, ping or traceroute")
    if campaign.reuse and campaign.schedule.interval_s is not None:
        yield "schedule.interval_s", "what is reused runs already: leave it out"
    if campaign.reuse and campaign.queries != _USUAL_QUERIES:
        yield "queries", "what is reused asks already: leave it out, or measure it in a campaign of its own"
    is_ours = campaign.platform in SENT_BY_THIS_HOST
    yield from _of_schedule(
        campaign.schedule, is_reused=bool(campaign.reuse), shortest_s=1 if is_ours else _SHORTEST_INTERVAL_S
    )
    if is_ours:
        yield from own_problems(campaign)
    if campaign.vantage_points is not None:
        for name, complaint in _of_vantage_points(campaign.vantage_points):
            yield f"vantage_points.{name}", complaint
    yield from _of_limits(campaign)
    yield from (("sandbox.changes", lack) for change in campaign.sandbox.changes for lack in _lacks(change))
    yield from (("lab.changes", lack) for change in campaign.lab.changes for lack in _lacks(change))


def aware(time: datetime | None) -> datetime | None:
    """Return a time with a zone: UTC unless it says else."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _of_query(query: Query) -> Iterator[Problem]:
    allowed = _PROTOCOLS[query.kind]
    if query.protocol is not None and query.protocol not in allowed:
        choice = f"choose {' or '.join(allowed)}" if allowed else "leave it out"
        yield "queries.protocol", f"there is no {query.kind} over {query.protocol}: {choice}"
    if not 1 <= query.packets <= MOST_PACKETS:
        yield "queries.packets", f"{query.packets} is not from 1 to {MOST_PACKETS}"
    elif query.kind is Kind.DNS and query.packets != Query(kind=Kind.DNS).packets:
        yield "queries.packets", "a DNS query is one packet: leave it out"


def _of_schedule(schedule: Schedule, *, is_reused: bool, shortest_s: int) -> Iterator[Problem]:
    interval_s, rounds = schedule.interval_s, schedule.rounds
    start, stop = aware(schedule.start), aware(schedule.stop)
    if start is not None and stop is not None and stop <= start:
        yield "schedule.stop", "it does not come after 'start': mend one of them"
    if interval_s is not None and interval_s < shortest_s:
        yield "schedule.interval_s", f"{interval_s} s is too short: {shortest_s} or more"
    if schedule.change_at is not None:
        yield from _around_change(schedule)
    elif interval_s is not None and rounds is None and stop is None:
        ends = "by 'rounds', 'stop' or 'change_at'"
        yield "schedule.interval_s", f"say when to end, {ends}: credits would be spent for ever"
    if rounds is not None and (interval_s is None or rounds < 1):
        yield "schedule.rounds", "needs 'interval_s', and at least one round"
    if rounds is not None and stop is not None:
        yield "schedule.rounds", "'stop' says when to end already: leave out one of them"
    if stop is not None and interval_s is None and not is_reused:
        yield "schedule.stop", "what asks only once has no end: give 'interval_s' as well, or leave it out"
    for name in ("start", "stop", "change_at"):
        time = getattr(schedule, name)
        if time is not None and time.year < _FIRST_YEAR:
            yield f"schedule.{name}", f"{time} was before there was anything to measure"


def _of_limits(campaign: Campaign) -> Iterator[Problem]:
    for field in fields(Budget):
        most = getattr(campaign.budget, field.name)
        if most is not None and most < 0:
            yield f"budget.{field.name}", f"{most} is less than nothing: leave it out where there is no limit"
    for field in fields(Limits):
        if getattr(campaign.limits, field.name) < 1:
            yield f"limits.{field.name}", "at least 1; leave it out for what RIPE Atlas allows everybody"


def _around_change(schedule: Schedule) -> Iterator[Problem]:
    for name in ("start", "stop", "rounds"):
        if getattr(schedule, name) is not None:
            yield f"schedule.{name}", "'change_at' says when to measure already, with 'before_s' and 'after_s'"
    if schedule.interval_s is None:
        yield "schedule.change_at", "needs 'interval_s': how often to measure before and after"
        return
    if schedule.settle_s < 0:
        yield "schedule.settle_s", "a number of seconds, not negative"
    for name, settling_s in (("before_s", 0), ("after_s", schedule.settle_s)):
        if not schedule.interval_s <= getattr(schedule, name) - settling_s < _LONGEST_RUN_S:
            beyond = " beyond 'settle_s'" if settling_s else ""
            yield f"schedule.{name}", f"leaves no time for a round of {schedule.interval_s} s{beyond}, or is too long"


def _of_vantage_points(wanted: VantagePoints) -> Iterator[Problem]:
    yield from _as_of_a_run(wanted)
    if not 1 <= wanted.count <= _MOST_VANTAGE_POINTS:
        yield "count", f"at least one, at most {_MOST_VANTAGE_POINTS:,}"
    yield from _unknown([wanted.area], AREAS, "area")
    others = [name for name in _SOURCES if getattr(wanted, name)]
    if wanted.area != _EVERYWHERE and others:
        yield "area", f"'{others[0]}' is named as well, and would count alone: leave out one of them"
    yield from _unknown(wanted.regions, REGIONS, "regions")
    yield from _not(wanted.countries, CONTINENT_OF.__contains__, "countries", "is no ISO 3166-1 code: write it like DE")
    yield from _not(wanted.asns, _is_asn, "asns", "is no AS number: write it like 3333")
    yield from _not(wanted.prefixes, _is_prefix, "prefixes", "is no IPv4 or IPv6 prefix: write it like 193.0.0.0/21")
    yield from _not(wanted.ids, _is_id, "ids", "is no probe's number")
    yield from _not(wanted.measurements, _is_id, "measurements", "is no measurement's number")
    for name in ("include_tags", "exclude_tags"):
        yield from _not(getattr(wanted, name), _is_slug, name, "is no tag: write it like system-ipv4-works")
    for tag in sorted({*wanted.include_tags} & {*wanted.exclude_tags}):
        yield "exclude_tags", f"'{tag}' is in 'include_tags' too: nobody has it and lacks it"
    for name in ("most_per_asn", "most_per_country"):
        most = getattr(wanted, name)
        if most is not None and most < 1:
            yield name, "at least 1; leave it out where there is no limit"
    if wanted.leave_out is not None:
        yield from _of_those_left_out(wanted.leave_out)


def _of_those_left_out(leave_out: LeaveOut) -> Iterator[Problem]:
    if leave_out.run is None and not leave_out.ids:
        yield "leave_out", "name the 'run' that judged them, or their 'ids'"
    if not leave_out.verdicts:
        yield "leave_out.verdicts", "is empty: name at least one, or leave the key out for the usual ones"
    yield from _not(leave_out.ids, _is_id, "leave_out.ids", "is no probe's number")


def _as_of_a_run(wanted: VantagePoints) -> Iterator[Problem]:
    """Yield what contradicts that the vantage points are the very same as those of a run."""
    if wanted.same_as is None:
        if wanted.asked is not None:
            yield "asked", "is filled in where 'same_as' names a run: leave it out"
        return
    alone = VantagePoints(same_as=wanted.same_as, asked=wanted.asked)
    for field in fields(wanted):
        if getattr(wanted, field.name) != getattr(alone, field.name):
            yield field.name, "'same_as' takes the very vantage points of a run: leave out one of the two"


def _unknown(given: Sequence[str], known: Collection[str], key: str) -> Iterator[Problem]:
    for name in given:
        if name not in known:
            near = hint(name, sorted(known), "", cutoff=0.6)
            yield key, f"'{name}' is none of {', '.join(known)}{near and ': '}{near}"


def _not(given: Sequence[object], fits: Callable[[object], bool], key: str, complaint: str) -> Iterator[Problem]:
    for one in given:
        if not fits(one):
            yield key, f"'{one}' {complaint}"


def _is_reusable(measurement: object) -> bool:
    return isinstance(measurement, Kind) or _is_id(measurement)


def _is_id(number: object) -> bool:
    return isinstance(number, int) and number > 0


def _is_asn(number: object) -> bool:
    return isinstance(number, int) and 0 < number <= _MOST_ASN


def _is_slug(text: object) -> bool:
    return re.fullmatch("[a-z0-9-]+", str(text)) is not None


def _is_prefix(text: object) -> bool:
    try:
        ipaddress.ip_network(str(text))
    except ValueError:  # bits of a host as well: 193.0.0.1/21 may be meant as /32
        return False
    return True


def _lacks(change: Change) -> Iterator[str]:
    if change.change in _AT_A_SITE and change.site is None:
        yield f"'{change.change}' needs the code of a 'site'"
    if not 0 <= change.after_s < _LONGEST_RUN_S:  # also of what is not a number
        yield "'after_s' is a number of seconds, not negative"
    if not 0 <= change.prepend <= _MOST_PREPENDED:
        yield f"'prepend' is a number from 0 to {_MOST_PREPENDED}"
