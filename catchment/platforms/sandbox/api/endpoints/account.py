"""The account: its credits and its keys."""

from __future__ import annotations

from catchment.platforms.sandbox.api.account import credits_object
from catchment.platforms.sandbox.api.endpoints.routes import Office, Route
from catchment.platforms.sandbox.api.exchange import Request, Response, json_response
from catchment.platforms.sandbox.api.keys import Grant, permissions


class AccountEndpoints:
    """Answers what is asked about the account. Keys are read only: who may add one may do everything."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.routes = (
            Route("GET", "credits", self._credits, Grant.CREDITS),
            Route("GET", "keys", self._keys),
            Route("GET", "keys/permissions", self._permissions),
        )

    def _credits(self, request: Request) -> Response:
        office = self._office
        content = credits_object(
            office.ledger,
            office.clock.now(),
            balance=office.balance,
            credits_per_day=office.limits.credits_per_day,
            origin=request.origin,
        )
        return json_response(content)

    def _keys(self, request: Request) -> Response:
        self._office.keys.check(request.key)
        return _whole_list(self._office.keys.objects())

    def _permissions(self, request: Request) -> Response:
        self._office.keys.check(request.key)
        return _whole_list(permissions())


def _whole_list(entries: list[dict[str, object]]) -> Response:
    """Return a list that always fits on one page."""
    return json_response({"count": len(entries), "next": None, "previous": None, "results": entries})
