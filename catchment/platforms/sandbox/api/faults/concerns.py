"""Which requests a fault concerns, and which of those, by their number, it strikes.

What concerns a request returns the name under which it is counted: one for all of them, or one for each measurement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from catchment.platforms.sandbox.api.exchange import Request

Concerns = Callable[[Request], str | None]
Strikes = Callable[[int, int], bool]

_RESULTS = re.compile(r"measurements/(\d+)/(results|latest)", re.ASCII)


def place(request: Request) -> str:
    """Return what is asked for, below /api/v2/ and without slashes around it."""
    return re.sub("/+", "/", unquote(request.path)).strip("/").removeprefix("api/v2/")


def everything(_: Request) -> str | None:
    """Concern every request."""
    return "everything"


def posts(request: Request) -> str | None:
    """Concern requests for new measurements."""
    return "posts" if request.method == "POST" and place(request) in {"measurements", "measurements/my"} else None


def all_but_posts(request: Request) -> str | None:
    """Concern requests that a client may repeat without harm."""
    return None if request.method == "POST" else "others"


def lists(request: Request) -> str | None:
    """Concern lists of measurements and of probes."""
    return "lists" if request.method == "GET" and place(request) in {*_LISTS, "probes"} else None


def tagged_lists(request: Request) -> str | None:
    """Concern lists of the measurements with some tags."""
    asked = request.method == "GET" and place(request) in _LISTS and "tags" in request.parameters
    return "lists" if asked else None


def own_lists(request: Request) -> str | None:
    """Concern lists of the account's own measurements."""
    return "lists" if request.method == "GET" and place(request) == "measurements/my" else None


def results(request: Request) -> str | None:
    """Concern requests for results, counted for each measurement."""
    return None if measurement_of(request) is None else f"results of {measurement_of(request)}"


def measurement_of(request: Request) -> int | None:
    """Return the measurement whose results are asked for; None where no results are."""
    found = _RESULTS.fullmatch(place(request)) if request.method == "GET" else None
    return None if found is None else int(found[1])


def always(_: int, __: int) -> bool:
    """Strike each time."""
    return True


def first(count: int) -> Strikes:
    """Strike so many times, and then no more."""
    return lambda number, _: number <= count


def between(least: int, most: int) -> Strikes:
    """Strike from one request to another, both included."""
    return lambda number, _: least <= number <= most


def every(count: int) -> Strikes:
    """Strike one of so many; the seed says which."""
    return lambda number, seed: (number + seed) % count == 0


_LISTS = {"measurements", "measurements/my"}
