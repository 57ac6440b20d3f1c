"""Participation requests: probes that are to join a running measurement, or to leave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catchment.platforms.sandbox.api.acceptance import Limits, check_participants
from catchment.platforms.sandbox.api.exchange import Problem, invalid
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import Measurement
from catchment.platforms.sandbox.api.parameters import listed, whole
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.sources import choose, read_source

_FIRST_ID = 1


def participate(
    body: Any, measurement: Measurement, ledger: Ledger, probes: Probes, *, now: float, limits: Limits, origin: str
) -> list[int]:
    """Fulfil the requests in the body of a POST, all or none; return their ids. Raises Refusal, with all reasons."""
    if not isinstance(body, list) or not body:
        raise invalid([Problem(detail='Expected a list of requests, each with an "action".')])
    if measurement.is_oneoff:
        raise invalid([Problem(detail="The probes of a one-off measurement cannot be changed.")])
    if measurement.over_at is not None and now >= measurement.over_at:
        raise invalid([Problem(detail="This measurement has stopped: its probes cannot be changed.")])
    with ledger.lock:
        added: set[int] = set()
        removed: set[int] = set()
        problems: list[Problem] = []
        first = max(ledger.requests(), default=_FIRST_ID - 1) + 1
        for number, entry in enumerate(body):
            place, action = f"/{number}", entry.get("action") if isinstance(entry, Mapping) else None
            if action not in ("add", "remove"):
                problems.append(Problem(pointer=f"{place}/action", detail=f'"{action}" is not a valid choice.'))
                continue
            source, wrong = read_source(entry, place, probes, ledger.members)
            if source is not None and action == "remove" and source.type != "probes":
                wrong.append(Problem(pointer=f"{place}/type", detail='Only "probes" can be removed.'))
            problems += wrong
            if source is None or wrong:
                continue
            if action == "remove":
                removed |= {*listed(whole(0))(source.value)} & {*measurement.participants}
            else:
                taken = {*measurement.participants, *added}
                families, key = [measurement.definition.af], f"{measurement.id} {first + number}"
                added |= {*choose([source], families, probes, ledger.members, key, without=taken)}
        if problems:
            raise invalid(problems)
        check_participants(len({*measurement.participants} - removed | added), limits)
        requests = [
            {
                "id": id_,
                "measurement": f"{origin}/api/v2/measurements/{measurement.id}/",
                "measurement_id": measurement.id,
                "action": entry["action"],
                "type": entry["type"],
                "value": str(entry["value"]),
                "requested": entry["requested"],
                "created": int(now),
                "logs": [],
            }
            for id_, entry in enumerate(body, start=first)
        ]
        ledger.participate(measurement, requests, added=sorted(added), removed=sorted(removed))
    return [request["id"] for request in requests]
