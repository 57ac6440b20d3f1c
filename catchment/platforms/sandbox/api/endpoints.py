"""RIPE Atlas's API v2: requests in, responses out. It knows nothing of sockets, and of time only what its clock says.

Faults belong in front of it: something with a `respond` of its own that spoils what this one says.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from catchment.platforms.sandbox.api.acceptance import (
    USUAL_LIMITS,
    Limits,
    accept,
    current_results_per_day,
    results_in_a_day,
)
from catchment.platforms.sandbox.api.catalogue import (
    MEASUREMENT_FILTERS,
    PROBE_FILTERS,
    SORTABLE_MEASUREMENTS,
    SORTABLE_PROBES,
)
from catchment.platforms.sandbox.api.exchange import (
    Problem,
    Refusal,
    Request,
    Response,
    invalid,
    json_response,
    stream_of,
)
from catchment.platforms.sandbox.api.journal import Journal
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.listing import cursor_page, numbered_page, select
from catchment.platforms.sandbox.api.measurements import ONGOING, USUAL_LAGS, BuiltInTarget, Lags, Measurement
from catchment.platforms.sandbox.api.metadata import ON_DEMAND, measurement_object, with_fields
from catchment.platforms.sandbox.api.parameters import form, time, vantage_points, whole_number
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.api.results import SimulatedInternet
from catchment.platforms.sandbox.clock import Clock

USUAL_BALANCE = 10_000_000
_LATEST_CACHED_S = 300
_DAY_S = 86_400


class Grant(StrEnum):
    """What a key may be allowed to do."""

    CREATE = "create_measurements"
    LIST = "list_measurements"
    UPDATE = "update_measurements"
    STOP = "stop_measurements"
    CREDITS = "read_credits"


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: its method, the form of its path below /api/v2/, who answers, and what the key must allow."""

    method: str
    path: str
    handler: Callable[..., Response]
    grant: Grant | None = None


class Api:
    """RIPE Atlas's API in front of a simulated Internet, for the one account that has `key` and `balance` credits.

    `other_keys` are further keys of the account, with what each is granted; `key` is granted everything.
    """

    def __init__(  # noqa: PLR0913  (all of them settings with a usual value)
        self,
        internet: SimulatedInternet,
        clock: Clock,
        *,
        key: str,
        other_keys: Mapping[str, Collection[Grant]] | None = None,
        balance: int = USUAL_BALANCE,
        built_ins: Sequence[BuiltInTarget] = (),
        limits: Limits = USUAL_LIMITS,
        lags: Lags = USUAL_LAGS,
        journal: Journal | None = None,
    ) -> None:
        self._clock = clock
        self._topology = internet.topology
        self._grants = {**(other_keys or {}), key: frozenset(Grant)}
        self._balance = balance
        self._limits = limits
        start = clock.now() if journal is None or journal.start is None else journal.start
        self._probes = Probes(internet.topology, start)
        self.ledger = Ledger(
            internet, clock, self._probes, start=start, built_ins=built_ins, lags=lags, journal=journal
        )
        self._latest_at: dict[tuple[int, str], float] = {}
        self._routes = (
            Route("GET", "measurements", self._list_measurements),
            Route("POST", "measurements", self._create, Grant.CREATE),
            Route("GET", "measurements/my", self._list_own, Grant.LIST),
            Route("POST", "measurements/my", self._create, Grant.CREATE),
            Route("GET", r"measurements/(\d+)", self._measurement),
            Route("PATCH", r"measurements/(\d+)", self._change, Grant.UPDATE),
            Route("DELETE", r"measurements/(\d+)", self._stop, Grant.STOP),
            Route("GET", r"measurements/(\d+)/results", self._results),
            Route("GET", r"measurements/(\d+)/latest", self._latest),
            Route("GET", "probes", self._list_probes),
            Route("GET", r"probes/(\d+)", self._probe),
            Route("GET", "credits", self._credits, Grant.CREDITS),
        )

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
            raise _not_found()
        for route, match in found:
            if route.method == request.method:
                if route.grant is not None:
                    self._check_key(request.key, route.grant)
                return route.handler(request, *map(int, match.groups()))
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f'Method "{request.method}" not allowed.')

    def _check_key(self, given: str | None, grant: Grant) -> None:
        """Raise Refusal unless the key is known and allows this. The key itself is in no answer."""
        if not given:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Authentication credentials were not provided.")
        granted: Collection[Grant] | None = None
        for key, grants in self._grants.items():
            if hmac.compare_digest(key.encode(), given.encode("utf-8", "replace")):
                granted = grants
        if granted is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "The provided API key does not exist")
        if grant not in granted:
            raise Refusal(HTTPStatus.FORBIDDEN, "You do not have permission to perform this action.")

    def _create(self, request: Request) -> Response:
        with self.ledger.lock:
            now = self._clock.now()
            balance = self._balance - self._spent(now)
            accepted = accept(request.json(), self.ledger, self._probes, now=now, limits=self._limits, balance=balance)
        return json_response({"measurements": [measurement.id for measurement in accepted]}, HTTPStatus.CREATED)

    def _list_measurements(self, request: Request) -> Response:
        return self._listed(request, self.ledger.listed())

    def _list_own(self, request: Request) -> Response:
        return self._listed(request, [found for found in self.ledger.listed() if not found.is_built_in])

    def _listed(self, request: Request, measurements: Sequence[Measurement]) -> Response:
        objects = [self._object(measurement, request.origin) for measurement in measurements]
        found, warnings = select(objects, MEASUREMENT_FILTERS, request)
        return json_response(cursor_page(found, request, warnings, SORTABLE_MEASUREMENTS))

    def _measurement(self, request: Request, number: int) -> Response:
        measurement = self._find(number)
        content = self._object(measurement, request.origin)
        fields = request.parameters.get("fields")
        for name in f"{fields or ''},{request.parameters.get('optional_fields', '')}".split(","):
            if name in ON_DEMAND:
                content[name] = ON_DEMAND[name](measurement, request.origin)
        return json_response(with_fields(content, fields))

    def _change(self, request: Request, number: int) -> Response:
        measurement, given = self._own(number), request.json()
        description = given.get("description", measurement.definition.description) if isinstance(given, dict) else None
        if not isinstance(description, str) or not description.strip():
            raise invalid([Problem(pointer="/description", detail="Not a valid string.")])
        return json_response(self._object(self.ledger.describe(measurement, description), request.origin))

    def _stop(self, _: Request, number: int) -> Response:
        self.ledger.stop(self._own(number))
        return Response(status=HTTPStatus.NO_CONTENT.value)

    def _results(self, request: Request, number: int) -> Response:
        measurement = self._find(number)
        results = self.ledger.results(
            measurement,
            now=self._clock.now(),
            since=time(request, "start"),
            until=time(request, "stop"),
            vantage_points=vantage_points(request, measurement),
        )
        return stream_of(results, form(request))

    def _latest(self, request: Request, number: int) -> Response:
        measurement, now = self._find(number), self._clock.now()
        asked = (number, request.query)
        if now - self._latest_at.get(asked, float("-inf")) >= _LATEST_CACHED_S:
            self._latest_at[asked] = now
        # Results are made anew each time; those of a cached answer are the ones that had arrived when it was made.
        then = self._latest_at[asked]
        lookback_days, versions = (
            whole_number(request, "lookback_days", 7, 0, 16_384),
            whole_number(request, "versions", 1, 1, 10),
        )
        results = self.ledger.latest(
            measurement,
            now=then,
            since=then - lookback_days * _DAY_S if lookback_days else None,
            versions=versions,
            vantage_points=vantage_points(request, measurement),
        )
        return stream_of(results, form(request))

    def _list_probes(self, request: Request) -> Response:
        found, warnings = select(list(self._probes.objects.values()), PROBE_FILTERS, request)
        return json_response(numbered_page(found, request, warnings, SORTABLE_PROBES))

    def _probe(self, request: Request, number: int) -> Response:
        if number not in self._probes.objects:
            raise _not_found()
        return json_response(with_fields(self._probes.objects[number], request.parameters.get("fields")))

    def _credits(self, request: Request) -> Response:
        now = self._clock.now()
        own = self.ledger.own()
        delivered = {found.id: self.ledger.delivered(found, now) for found in own}
        before = {found.id: self.ledger.delivered(found, now - _DAY_S) for found in own}
        running = [found for found in own if self.ledger.status(found) == ONGOING and not found.is_oneoff]
        daily = int(sum(results_in_a_day(found) * found.credits_per_result for found in running))
        balance = self._balance - self._spent(now)
        urls = {name: f"{request.origin}/api/v2/credits/{name.replace('_', '-')}/" for name in _CREDIT_LISTS}
        content = {
            "current_balance": balance,
            "credit_checked": True,
            "max_daily_credits": self._limits.credits_per_day,
            "estimated_daily_income": 0,
            "estimated_daily_expenditure": daily,
            "estimated_daily_balance": -daily,
            "calculation_time": int(now),
            "estimated_runout_seconds": int(balance / daily * _DAY_S) if daily else None,
            "past_day_measurement_results": sum(delivered.values()) - sum(before.values()),
            "past_day_credits_spent": sum(
                (delivered[found.id] - before[found.id]) * found.credits_per_result for found in own
            ),
            "estimated_results_per_day": int(current_results_per_day(self.ledger, now)),
            "last_date_debited": int(now) if any(delivered.values()) else None,
            "last_date_credited": None,
        }
        return json_response(content | urls)

    def _spent(self, now: float) -> int:
        """Return what the results that have arrived so far cost."""
        return sum(self.ledger.delivered(found, now) * found.credits_per_result for found in self.ledger.own())

    def _find(self, number: int) -> Measurement:
        measurement = self.ledger.get(number)
        if measurement is None:
            raise _not_found()
        return measurement

    def _own(self, number: int) -> Measurement:
        measurement = self._find(number)
        if measurement.is_built_in:
            raise Refusal(HTTPStatus.FORBIDDEN, "You do not have permission to perform this action.")
        return measurement

    def _object(self, measurement: Measurement, origin: str) -> dict[str, Any]:
        return measurement_object(
            measurement,
            self.ledger.status(measurement),
            end_lag_s=self.ledger.lags.end_s,
            origin=origin,
            topology=self._topology,
        )


_CREDIT_LISTS = ("income_items", "expense_items", "transactions")


def _not_found() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "Not found.")
