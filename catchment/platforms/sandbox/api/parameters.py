"""The parameters of a query, read and checked."""

from __future__ import annotations

import re

from catchment.platforms.sandbox.api.definitions import read_time
from catchment.platforms.sandbox.api.exchange import Problem, Request, invalid
from catchment.platforms.sandbox.api.measurements import Measurement


def time(request: Request, name: str) -> int | None:
    """Return a time given as unix seconds or in ISO 8601; None where there is none."""
    given = request.parameters.get(name)
    try:
        return read_time(given) if given else None
    except ValueError as error:
        raise invalid([Problem(parameter=name, detail=str(error))]) from error


def whole_number(request: Request, name: str, usual: int, least: int, most: int) -> int:
    """Return a number between two bounds, both included; `usual` where there is none."""
    given = request.parameters.get(name, str(usual))
    if not (given.isdecimal() and len(given) < 9 and least <= int(given) <= most):
        raise invalid([Problem(parameter=name, detail=f"Enter a whole number from {least} to {most}.")])
    return int(given)


def form(request: Request) -> str:
    """Return the form of a list of results: `json`, or `txt` for one a line."""
    asked = request.parameters.get("format", "json")
    if asked not in {"json", "txt"}:
        raise invalid([Problem(parameter="format", detail=f'"{asked}" is not a valid choice.')])
    return asked


def vantage_points(request: Request, measurement: Measurement) -> frozenset[int] | None:
    """Return the participants that `probe_ids` names by numbers and ranges (1,2,10-20); None where it names none."""
    given = request.parameters.get("probe_ids")
    if not given:
        return None
    chosen: set[int] = set()
    for part in given.split(","):
        matched = re.fullmatch(r"\s*(\d{1,12})\s*(?:-\s*(\d{1,12})\s*)?", part, re.ASCII)
        if matched is None:
            raise invalid([Problem(parameter="probe_ids", detail="Enter probe ids and ranges: 1,2,10-20")])
        first, last = int(matched[1]), int(matched[2] or matched[1])
        chosen.update(vantage for vantage in measurement.participants if first <= vantage <= last)
    return frozenset(chosen)
