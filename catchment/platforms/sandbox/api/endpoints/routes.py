"""What an endpoint is, and what all of them work with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from catchment.platforms.sandbox.api.acceptance import Limits
from catchment.platforms.sandbox.api.exchange import Refusal, Request, Response, json_response
from catchment.platforms.sandbox.api.filters import Filter, select
from catchment.platforms.sandbox.api.keys import Grant, Keys, forbidden
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.listing import Entry, numbered_page
from catchment.platforms.sandbox.api.measurements import Measurement
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.clock import Clock


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: its method, the form of its path below /api/v2/, who answers, and what the key must allow.

    The named groups of the path are what the handler gets beside the request; `number` as a number.
    """

    method: str
    path: str
    handler: Callable[..., Response]
    grant: Grant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What endpoints work with: the account and all that is known of measurements and probes."""

    clock: Clock
    ledger: Ledger
    probes: Probes
    keys: Keys
    limits: Limits
    balance: int

    def find(self, number: int, request: Request) -> Measurement:
        """Return a measurement. Raises Refusal where there is none, or the request lacks the key that it needs."""
        measurement = self.ledger.get(number)
        if measurement is None:
            raise not_found()
        if not measurement.definition.is_public:
            self.keys.check(request.key)
        return measurement

    def own(self, number: int) -> Measurement:
        """Return a measurement of the account; its key has been checked. Raises Refusal."""
        measurement = self.ledger.get(number)
        if measurement is None:
            raise not_found()
        if measurement.is_built_in:
            raise forbidden()
        return measurement


def not_found() -> Refusal:
    """Return the refusal of what is not there."""
    return Refusal(HTTPStatus.NOT_FOUND, "Not found.")


def paged(
    entries: Iterable[Entry], request: Request, filters: dict[str, Filter] | None = None, sortable: tuple[str, ...] = ()
) -> Response:
    """Return a list in pages that are numbered."""
    found, warnings = select([*entries], filters or {}, request)
    content: dict[str, Any] = numbered_page(found, request, warnings, sortable or ("id",))
    return json_response(content)
