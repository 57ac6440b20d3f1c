"""What a fault is: a name, a line that says what goes wrong, and the place in the sandbox where it does.

All chance is drawn from a seed and from what is struck, and requests are counted: no fault depends on how fast things
go. What in the world takes time takes time of the sandbox's clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catchment.model import Kind
from catchment.platforms.sandbox.api.acceptance import Limits
from catchment.platforms.sandbox.api.exchange import Request, Response
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import Measurement, Status
from catchment.platforms.topology.elements import VantagePoint

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong, by name; `about` says in a line what."""

    name: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A request that a fault strikes, the `number`-th (from 1) of those that it could.

    `ask` passes a request on: what is not asked does not happen. `now` is the time of the sandbox.
    """

    request: Request
    number: int
    draw: random.Random
    now: float
    ledger: Ledger
    ask: Callable[[Request], Response]

    def answer(self) -> Response:
        """Let happen what the request wants, and return the answer."""
        return self.ask(self.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontFault(Fault):
    """A fault in front of the API.

    `concerns` returns under which name a request is counted (None: not at all), `strikes` tells by number and seed
    which of those are struck, and `answer` says what the client gets instead. It may raise Refusal.
    """

    concerns: Callable[[Request], str | None]
    strikes: Callable[[int, int], bool]
    answer: Callable[[Struck], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFault(Fault):
    """A fault of the account: what becomes of its `limits` and of its `balance` of credits."""

    limits: Callable[[Limits], Limits] = lambda usual: usual
    balance: Callable[[int], int] = lambda usual: usual


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseFault(Fault):
    """A fault in the course of the account's own measurements.

    `accepted` changes one as it is accepted; `forced_at` tells when it is forced to stop (None: it is not); `told`
    changes its status by the time; lists lack it for `unlisted_s`.
    """

    accepted: Callable[[Measurement], Measurement] = lambda measurement: measurement
    forced_at: Callable[[Measurement], float | None] = lambda _: None
    told: Callable[[Measurement, float, Status], Status] = lambda _, __, status: status
    unlisted_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFault(Fault):
    """A fault in a share of the results of some kinds: `change` returns what becomes of one, and leaves it as it is."""

    kinds: frozenset[Kind] = frozenset(Kind)
    share: float = 0.1
    change: Callable[[Result, random.Random], Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFault(Fault):
    """A fault of a share of the probes."""

    share: float
    change: Callable[[VantagePoint], VantagePoint]


def chance(*key: object) -> random.Random:
    """Return chance that is the same for the same key."""
    return random.Random("/".join(map(str, key)))  # noqa: S311  (no secret)
