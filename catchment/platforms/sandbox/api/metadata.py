"""Measurements as RIPE Atlas describes them, and the form in which a client wants such objects.

Times are unix seconds unless it asks for another form: many clients cannot read any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from catchment.platforms.sandbox.api.exchange import Request
from catchment.platforms.sandbox.api.measurements import SPECIFIED, STOPPED, Measurement, Status
from catchment.platforms.sandbox.api.parameters import one_of, parameter
from catchment.platforms.topology.elements import Topology

_USER_ID = 1
_PREFIX_LENGTHS = {4: 24, 6: 48}
_ISO = "iso-8601"
_TIMES = {"creation_time", "start_time", "stop_time", "when", "first_connected", "last_connected", "status_since"}

ON_DEMAND: dict[str, Callable[[Measurement, Status, str], Any]] = {
    "probes": lambda measurement, status, origin: [
        {"id": vantage, "url": f"{origin}/api/v2/probes/{vantage}/"} for vantage in _scheduled(measurement, status)
    ],
    "probe_sources": lambda measurement, _, __: list(measurement.sources),
    "participation_requests": lambda measurement, _, __: list(measurement.requests),
}
"""Fields that are in the object only where they are asked for by name."""


def measurement_object(
    measurement: Measurement, status: Status, *, end_lag_s: float, origin: str, topology: Topology
) -> dict[str, Any]:
    """Return the object of GET /measurements/{id}/; `origin` is the server as the client calls it."""
    definition, schedule = measurement.definition, measurement.schedule
    over = measurement.over_at
    ended = None if status != STOPPED or over is None else int(over + end_lag_s)
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
        "is_all_scheduled": status != SPECIFIED,
        "in_wifi_group": False,
        "resolve_on_probe": False,
        "participant_count": None if status == SPECIFIED else len(measurement.participants),
        "probes_requested": measurement.requested,
        "probes_scheduled": len(_scheduled(measurement, status)),
        "group": None if measurement.group is None else f"{origin}/api/v2/measurements/groups/{measurement.group}/",
        "group_id": measurement.group,
        "result": f"{origin}/api/v2/measurements/{measurement.id}/results/",
        "credits_per_result": measurement.credits_per_result,
        "estimated_results_per_day": int(measurement.results_in_a_day),
        "tags": list(definition.tags),
        "auto_topup": False,
        "auto_topup_prb_days_off": 7,
        "auto_topup_prb_similarity": 0.5,
        "bill_to_user_id": None if measurement.is_built_in else _USER_ID,
        "user_id": None if measurement.is_built_in else _USER_ID,
    }
    return described | dict(definition.options)


def _scheduled(measurement: Measurement, status: Status) -> tuple[int, ...]:
    """Return the probes that have been told to measure: at first there are none."""
    return () if status == SPECIFIED else measurement.participants


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How an object is shown: the `fields` that a client names (None: all), and times as numbers or in ISO 8601."""

    fields: tuple[str, ...] | None
    iso_times: bool

    def show(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return a measurement or a probe in this form."""
        names = found if self.fields is None else [name for name in self.fields if name in found]
        return {name: self._time(name, found[name]) for name in names}

    def _time(self, name: str, value: Any) -> Any:
        if name == "status":
            return {inner: self._time(inner, held) for inner, held in value.items()}
        if self.iso_times and name in _TIMES and isinstance(value, int):
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return value


def read_form(request: Request, *, lines: bool = False) -> Form:
    """Return the form that a request for objects asks for; `lines`, they can also be one on a line. Raises Refusal."""
    parameter(request, "format", one_of("json", "txt") if lines else one_of("json", beyond=("txt",)), "json")
    times = one_of("unix", "timestamp", _ISO, beyond=("json",))
    fields = request.parameters.get("fields")
    return Form(
        fields=tuple(fields.split(",")) if fields else None,
        iso_times=parameter(request, "format[datetime]", times, "unix") == _ISO,
    )
