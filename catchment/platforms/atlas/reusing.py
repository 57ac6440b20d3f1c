"""Measurements that are there already: checked before they are trusted, and read without a key."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catchment.campaign import Campaign
from catchment.errors import UnknownName
from catchment.model import BuiltIn, Kind, Service, Target, Window
from catchment.platforms.atlas.client import Atlas, Refused
from catchment.platforms.atlas.clock import in_iso
from catchment.platforms.atlas.failures import clean
from catchment.platforms.atlas.measurements import IDENTITY_QUERIES, addresses_of, read_measurement
from catchment.platforms.atlas.statuses import read_status
from catchment.store import Measurement

_END_OF_TIME = 253_402_300_800  # the year 10,000: no date can be written of a later time


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A measurement that a campaign names: by its id, or by a kind, for which a service's file has this `entry`."""

    id: int
    entry: BuiltIn | None = None
    service: str | None = None

    @property
    def remedy(self) -> str:
        """Return what to do where it is not what the campaign takes it for."""
        if self.entry is None:
            return "mend `reuse`"
        return f"the file of '{self.service}' is wrong: name the id of the right one in `reuse`, by hand"


def expand(campaign: Campaign, targets: Sequence[Target], services: Sequence[Service]) -> list[int]:
    """Return the ids of all that a campaign reuses: a kind stands for what the services' files know for the targets.

    Each is there once, however often it is named. Raises UnknownName where a file knows none of the kind.
    """
    return [one.id for one in _named(campaign, targets, services)]


def reuse(
    atlas: Atlas, campaign: Campaign, targets: Sequence[Target], window: Window, services: Sequence[Service] = ()
) -> list[Measurement]:
    """Return the measurements that a campaign reuses, for what they measured in the window.

    Each is trusted only after its own metadata says that it asks one of the targets, and (DNS) for an identity, and
    that it has public results of that time. Where the metadata hold a name in place of an address, the services' own
    list of built-in measurements decides. Raises UnknownName where one does not or is not there, or where none asks one
    of the targets; and PlatformFailed.
    """
    if window.start is not None and window.end is not None and window.start >= window.end:
        raise UnknownName(
            f"the window would begin at {in_iso(window.start)}, after its end at {in_iso(window.end)}: set "
            "`schedule.start` to a time that has passed, and `schedule.stop` to a later one"
        )
    listed = {entry.id: service.name for service in services for entry in service.measurements}
    reused = []
    for named in _named(campaign, targets, services):
        found = _look_up(atlas, named)
        problem = _unusable(found, named) or _outside(found, window)
        if problem is not None:
            raise UnknownName(f"measurement {named.id} {problem}")
        measurement = _read(atlas, named, found)
        target = _target(found, measurement, targets, listed.get(named.id))
        if target is None:
            known = ", ".join(one.address for one in targets)
            asked = clean(found.get("target_ip") or found.get("target"), longest=80)
            raise UnknownName(
                f"measurement {named.id} asks {asked} over IPv{measurement.af}, no target of this campaign ({known}): "
                f"{named.remedy}"
            )
        begin = measurement.start if window.start is None else window.start
        reused.append(replace(measurement, target=target.address, start=begin, stop=window.end))
    unasked = {one.address for one in targets} - {one.target for one in reused}
    if unasked:
        raise UnknownName(
            f"nothing in `reuse` asks {', '.join(sorted(unasked))}: add what does (the kind `dns` stands for what the "
            "service's file knows), or leave out the target"
        )
    return reused


def remarks(measurements: Sequence[Measurement]) -> list[str]:
    """Say which measurements ask so seldom that in their window some vantage points did not have their turn."""
    told = []
    for one in measurements:
        lasts_s = None if one.stop is None else one.stop - one.start
        if one.interval_s is not None and lasts_s is not None and lasts_s < one.interval_s:
            told.append(
                f"measurement {one.id} ({one.kind.value} {one.target}) asks each vantage point every "
                f"{one.interval_s / 60:.0f} minutes: many had no turn in a window of {lasts_s / 60:.0f}, which "
                "`schedule.start` and `schedule.stop` can make longer"
            )
    return told


def _named(campaign: Campaign, targets: Sequence[Target], services: Sequence[Service]) -> list[_Named]:
    by_name = {service.name: service for service in services}
    found: dict[int, _Named] = {}
    for wanted in campaign.reuse:
        if isinstance(wanted, int):
            found.setdefault(wanted, _Named(id=wanted))
            continue
        for target in targets:
            service = by_name.get(target.service or "")
            known = [] if service is None else [entry for entry in service.measurements if _is(entry, wanted, target)]
            if not known:
                raise UnknownName(
                    f"the file of '{target.service or target.address}' knows no {wanted.value} measurement over "
                    f"IPv{target.af} that RIPE Atlas runs all the time: name the id of one in `reuse`, or leave "
                    "`reuse` out to measure anew"
                )
            for entry in known:
                found.setdefault(entry.id, _Named(id=entry.id, entry=entry, service=target.service))
    return list(found.values())


def _is(entry: BuiltIn, kind: Kind, target: Target) -> bool:
    """Tell whether an entry of a service's file is of this kind, toward the target, and may tell a site."""
    asks_identity = kind is not Kind.DNS or entry.query is None or entry.query in IDENTITY_QUERIES
    return entry.kind is kind and entry.af == target.af and asks_identity


def _look_up(atlas: Atlas, named: _Named) -> Mapping[str, Any]:
    """Return what the API says of a measurement."""
    try:
        found = atlas.get(f"/measurements/{named.id}/")
    except Refused as refusal:
        if refusal.is_missing:
            raise UnknownName(
                f"{atlas.endpoint.server}: there is no measurement {named.id}: {named.remedy}"
            ) from refusal
        if refusal.is_forbidden:
            raise UnknownName(f"measurement {named.id} is not public: {named.remedy}") from refusal
        raise
    if not isinstance(found, dict):
        said = clean(found, longest=80)
        raise UnknownName(f"{atlas.endpoint.server}: measurement {named.id} is '{said}', not dns, ping or traceroute")
    return found


def _unusable(found: Mapping[str, Any], named: _Named) -> str | None:
    """Say what in a measurement's metadata forbids to read it for any target and time, or return None."""
    number = found.get("id")
    if isinstance(number, int) and number != named.id:
        return f"is {number} in its own metadata: {named.remedy}"
    if found.get("is_public") is False:
        return f"is not public: {named.remedy}"
    if found.get("use_probe_resolver"):
        return f"asks the resolver of each vantage point, which answers for itself, not the target: {named.remedy}"
    status = read_status(found)
    if status.never_ran:
        return f"has no results: its status is '{status.name}': {named.remedy}"
    return None


def _outside(found: Mapping[str, Any], window: Window) -> str | None:
    """Say why a measurement has nothing of a window, or return None."""
    began, ended = _time(found.get("start_time")), _time(found.get("stop_time"))
    remedy = "set `schedule.start` and `schedule.stop` to a time when it ran"
    if ended is not None and window.start is not None and ended <= window.start:
        since = "" if began is None else f" (it began at {in_iso(began)})"
        return f"ended at {in_iso(ended)}{since}, before the window, which begins at {in_iso(window.start)}: {remedy}"
    if began is not None and window.end is not None and began >= window.end:
        return f"begins at {in_iso(began)}, after the window, which ends at {in_iso(window.end)}: {remedy}"
    status = read_status(found)
    if began is None and status.is_to_come:
        return f"has not begun (its status is '{status.name}'): run this again when it has"
    return None


def _read(atlas: Atlas, named: _Named, found: Mapping[str, Any]) -> Measurement:
    """Return the measurement, if it is of the kind that the campaign takes it for, and (DNS) can tell an identity."""
    try:
        measurement = read_measurement(atlas, named.id, found)
    except UnknownName as error:
        raise UnknownName(f"{error}: {named.remedy}") from error
    if named.entry is not None and measurement.kind is not named.entry.kind:
        raise UnknownName(f"measurement {named.id} is {measurement.kind}, not {named.entry.kind}: {named.remedy}")
    if measurement.kind is Kind.DNS and not any(_identities(found, measurement)):
        asked = clean(" ".join(str(found.get(f"query_{part}")) for part in ("class", "type", "argument")), longest=80)
        raise UnknownName(
            f"measurement {named.id} asks for {asked}, and keeps no answer that tells an identity (CHAOS TXT "
            f"{' or '.join(IDENTITY_QUERIES)}, or NSID, would): {named.remedy}"
        )
    return measurement


def _identities(found: Mapping[str, Any], measurement: Measurement) -> Iterator[str]:
    """Yield what in the answers tells an identity."""
    # The name that is really asked then begins with the probe's number, and no server knows it.
    if measurement.query is not None and not found.get("prepend_probe_id"):
        yield measurement.query
    if measurement.nsid and found.get("include_abuf") is not False:  # it stands nowhere else
        yield "nsid"


def _target(
    found: Mapping[str, Any], measurement: Measurement, targets: Sequence[Target], service: str | None
) -> Target | None:
    """Return the target that a measurement asks; `service` lists it as its own."""
    addresses = addresses_of(found)
    for target in targets:
        by_name = service is not None and target.service == service
        asked = ipaddress.ip_address(target.address) in addresses if addresses else by_name
        if asked and target.af == measurement.af:
            return target
    return None


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < _END_OF_TIME else None
