"""RIPE Atlas's API v2: requests in, responses out. It knows nothing of sockets, and of time only what its clock says.

Faults belong in front of it: something with a `respond` of its own that spoils what this one says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from urllib.parse import unquote

from catchment.platforms.sandbox.api.acceptance import USUAL_LIMITS, Limits
from catchment.platforms.sandbox.api.endpoints.account import AccountEndpoints
from catchment.platforms.sandbox.api.endpoints.measurements import MeasurementEndpoints
from catchment.platforms.sandbox.api.endpoints.probes import ProbeEndpoints
from catchment.platforms.sandbox.api.endpoints.results import ResultEndpoints
from catchment.platforms.sandbox.api.endpoints.routes import Office, Route, not_found
from catchment.platforms.sandbox.api.exchange import Refusal, Request, Response
from catchment.platforms.sandbox.api.keys import Grant, Keys
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.clock import Clock

__all__ = ["USUAL_BALANCE", "Api", "Grant"]

USUAL_BALANCE = 10_000_000
_LONGEST_NUMBER = 18


class Api:
    """RIPE Atlas's API in front of what a ledger holds, for the one account that has `key` and `balance` credits.

    `other_keys` are further keys of the account, with what each is granted; `key` is granted everything.
    """

    def __init__(
        self,
        ledger: Ledger,
        probes: Probes,
        clock: Clock,
        *,
        key: str,
        other_keys: Mapping[str, Collection[Grant]] | None = None,
        balance: int = USUAL_BALANCE,
        limits: Limits = USUAL_LIMITS,
    ) -> None:
        self.ledger = ledger
        office = Office(
            clock=clock,
            ledger=ledger,
            probes=probes,
            keys=Keys({key: frozenset(Grant), **(other_keys or {})}, since=ledger.start),
            limits=limits,
            balance=balance,
        )
        nouns = (MeasurementEndpoints, ResultEndpoints, ProbeEndpoints, AccountEndpoints)
        self._keys = office.keys
        self._routes = tuple(route for noun in nouns for route in noun(office).routes)

    def respond(self, request: Request) -> Response:
        """Answer a request; what the API refuses is answered with RIPE Atlas's envelope."""
        try:
            return self._route(request)
        except Refusal as refusal:
            return refusal.response()

    def _route(self, request: Request) -> Response:
        path = re.sub("/+", "/", unquote(request.path)).strip("/")
        found = [
            (route, match)
            for route in self._routes
            if (match := re.fullmatch(f"api/v2/{route.path}", path, re.ASCII)) is not None
        ]
        if not found:
            raise not_found()
        for route, match in found:
            if route.method == request.method:
                return self._answer(route, request, match.groupdict())
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f'Method "{request.method}" not allowed.')

    def _answer(self, route: Route, request: Request, named: Mapping[str, str]) -> Response:
        if route.grant is not None:
            self._keys.check(request.key, route.grant)
        if len(named.get("number", "")) > _LONGEST_NUMBER:
            raise not_found()
        return route.handler(request, **{name: int(text) if name == "number" else text for name, text in named.items()})
