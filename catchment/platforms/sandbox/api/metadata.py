"""Measurements as RIPE Atlas describes them: times are unix seconds, for clients that cannot read another form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from catchment.platforms.sandbox.api.acceptance import results_in_a_day
from catchment.platforms.sandbox.api.measurements import STOPPED, Measurement, Status
from catchment.platforms.topology.elements import Topology

_USER_ID = 1
_PREFIX_LENGTHS = {4: 24, 6: 48}

ON_DEMAND: dict[str, Callable[[Measurement, str], Any]] = {
    "probes": lambda measurement, origin: [
        {"id": vantage, "url": f"{origin}/api/v2/probes/{vantage}/"} for vantage in measurement.participants
    ],
    "probe_sources": lambda measurement, _: list(measurement.sources),
    "participation_requests": lambda _, __: [],
}
"""Fields that are in the object only where they are asked for by name."""


def measurement_object(
    measurement: Measurement, status: Status, *, end_lag_s: float, origin: str, topology: Topology
) -> dict[str, Any]:
    """Return the object of GET /measurements/{id}/; `origin` is the server as the client calls it."""
    definition, schedule = measurement.definition, measurement.schedule
    last = schedule.last_arrival if measurement.stopped_at is None else measurement.stopped_at
    ended = None if status != STOPPED or last is None else int(last + end_lag_s)
    asked_end = None if schedule.end is None else int(schedule.end)
    address = ip_address(definition.address)
    prefix = ip_network((definition.address, _PREFIX_LENGTHS[definition.af]), strict=False)
    announced = [
        service.asn for service in topology.services if any(ip_address(own) == address for own in service.addresses)
    ]
    described = {
        "id": measurement.id,
        "type": definition.kind.value,
        "af": definition.af,
        "target": definition.target,
        "target_ip": definition.address,
        "target_asn": announced[0] if announced else None,
        "target_prefix": str(prefix) if announced else None,
        "resolved_ips": [definition.address],
        "description": definition.description,
        "creation_time": int(measurement.created),
        "start_time": schedule.start,
        "stop_time": asked_end if asked_end is not None else ended,
        "status": {"id": status[0], "name": status[1], "when": ended},
        "interval": schedule.interval_s,
        "spread": schedule.spread,
        "is_oneoff": measurement.is_oneoff,
        "is_public": definition.is_public,
        "is_all_scheduled": True,
        "in_wifi_group": False,
        "resolve_on_probe": False,
        "participant_count": len(measurement.participants),
        "probes_requested": measurement.requested,
        "probes_scheduled": len(measurement.participants),
        "group": None if measurement.group is None else f"{origin}/api/v2/measurements/groups/{measurement.group}/",
        "group_id": measurement.group,
        "result": f"{origin}/api/v2/measurements/{measurement.id}/results/",
        "credits_per_result": measurement.credits_per_result,
        "estimated_results_per_day": int(results_in_a_day(measurement)),
        "tags": list(definition.tags),
        "auto_topup": False,
        "auto_topup_prb_days_off": 7,
        "auto_topup_prb_similarity": 0.5,
        "bill_to_user_id": None if measurement.is_built_in else _USER_ID,
        "user_id": None if measurement.is_built_in else _USER_ID,
    }
    return described | dict(definition.options)


def with_fields(found: Mapping[str, Any], fields: str | None) -> dict[str, Any]:
    """Return only the fields that a client names, separated by commas; all where it names none."""
    if not fields:
        return dict(found)
    return {name: found[name] for name in fields.split(",") if name in found}
