"""Measurements that are there already: checked before they are trusted, and read without a key."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from catchment.campaign import Campaign
from catchment.errors import UnknownName
from catchment.model import Kind, Service, Target, Window
from catchment.platforms.atlas.client import Atlas, Refused
from catchment.platforms.atlas.failures import clean
from catchment.platforms.atlas.measurements import IDENTITY_QUERIES, Measurement, addresses_of, read_measurement


def reuse(
    atlas: Atlas, campaign: Campaign, targets: Sequence[Target], window: Window, services: Sequence[Service] = ()
) -> list[Measurement]:
    """Return the measurements that a campaign reuses, for what they measured in the window.

    Each is trusted only after its own metadata says that it asks one of the targets, and (DNS) for an identity. Where
    the metadata hold a name in place of an address, the services' own list of built-in measurements decides. Raises
    UnknownName where it does not or is not there, and PlatformFailed.
    """
    listed = {entry.id: service.name for service in services for entry in service.measurements}
    reused = []
    for number in (one for one in campaign.reuse if isinstance(one, int)):
        try:
            found = atlas.get(f"/measurements/{number}/")
        except Refused as refusal:
            if refusal.status != 404:
                raise
            raise UnknownName(f"{atlas.endpoint.server}: there is no measurement {number}: mend `reuse`") from refusal
        measurement = read_measurement(atlas, number, found)
        addresses = addresses_of(found)
        target = next((one for one in targets if ipaddress.ip_address(one.address) in addresses), None)
        if not addresses and number in listed:
            of_service = (listed[number], measurement.af)
            target = next((one for one in targets if (one.service, one.af) == of_service), None)
        if target is None or target.af != measurement.af:
            known = ", ".join(one.address for one in targets)
            asked = clean(found.get("target_ip") or found.get("target"), longest=80)
            raise UnknownName(f"measurement {number} asks {asked}, no target of this campaign ({known}): mend `reuse`")
        if measurement.kind is Kind.DNS and measurement.query is None and not measurement.nsid:
            raise UnknownName(
                f"measurement {number} asks for {clean(found.get('query_argument'), longest=80)}, which tells no "
                f"identity (CHAOS TXT {' or '.join(IDENTITY_QUERIES)}, or NSID, would): mend `reuse`"
            )
        ended = found.get("stop_time")
        if isinstance(ended, int | float) and window.start is not None and ended < window.start:
            raise UnknownName(f"measurement {number} ended at {_iso(ended)}, before the window: mend `schedule.start`")
        begin = measurement.start if window.start is None else window.start
        reused.append(replace(measurement, target=target.address, start=begin, stop=window.end))
    return reused


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
