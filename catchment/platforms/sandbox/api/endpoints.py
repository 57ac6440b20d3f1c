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

from catchment.platforms.sandbox.api.acceptance import USUAL_LIMITS, Limits, accept, ignored
from catchment.platforms.sandbox.api.account import credits_object, spent
from catchment.platforms.sandbox.api.definitions import read_description, read_time
from catchment.platforms.sandbox.api.exchange import (
    Problem,
    Refusal,
    Request,
    Response,
    invalid,
    json_response,
    stream_of,
)
from catchment.platforms.sandbox.api.filters import (
    MEASUREMENT_FILTERS,
    PROBE_FILTERS,
    SORTABLE_MEASUREMENTS,
    SORTABLE_PROBES,
    select,
)
from catchment.platforms.sandbox.api.journal import Journal
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.listing import cursor_page, numbered_page
from catchment.platforms.sandbox.api.measurements import USUAL_LAGS, BuiltInTarget, Lags, Measurement
from catchment.platforms.sandbox.api.metadata import ON_DEMAND, measurement_object, read_form
from catchment.platforms.sandbox.api.parameters import one_of, parameter, ranges, whole
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
            balance = self._balance - spent(self.ledger, now)
            body = request.json()
            accepted = accept(body, self.ledger, self._probes, now=now, limits=self._limits, balance=balance)
        content: dict[str, Any] = {"measurements": [measurement.id for measurement in accepted]}
        warnings = ignored(body)
        return json_response(content | ({"warnings": warnings} if warnings else {}), HTTPStatus.CREATED)

    def _list_measurements(self, request: Request) -> Response:
        return self._listed(request, self.ledger.listed())

    def _list_own(self, request: Request) -> Response:
        return self._listed(request, [found for found in self.ledger.listed() if not found.is_built_in])

    def _listed(self, request: Request, measurements: Sequence[Measurement]) -> Response:
        objects = [self._object(measurement, request) for measurement in measurements]
        found, warnings = select(objects, MEASUREMENT_FILTERS, request)
        return json_response(cursor_page(found, request, warnings, SORTABLE_MEASUREMENTS))

    def _measurement(self, request: Request, number: int) -> Response:
        return json_response(read_form(request).show(self._object(self._find(number), request)))

    def _change(self, request: Request, number: int) -> Response:
        measurement, given = self._own(number), request.json()
        description = given.get("description", measurement.definition.description) if isinstance(given, dict) else None
        try:
            checked = read_description(description)
        except ValueError as error:
            raise invalid([Problem(pointer="/description", detail=str(error))]) from error
        return json_response(self._object(self.ledger.describe(measurement, checked), request))

    def _stop(self, _: Request, number: int) -> Response:
        self.ledger.stop(self._own(number))
        return Response(status=HTTPStatus.NO_CONTENT.value)

    def _results(self, request: Request, number: int) -> Response:
        measurement, now = self._find(number), self._clock.now()
        if now < measurement.created + self.ledger.lags.results_s:
            raise _not_found()
        results = self.ledger.results(
            measurement,
            now=now,
            since=parameter(request, "start", read_time, None),
            until=parameter(request, "stop", read_time, None),
            vantage_points=_asked_for(request, measurement),
        )
        return stream_of(results, parameter(request, "format", _RESULTS_FORM, "json"))

    def _latest(self, request: Request, number: int) -> Response:
        measurement, now = self._find(number), self._clock.now()
        asked = (number, request.query)
        if now - self._latest_at.get(asked, float("-inf")) >= _LATEST_CACHED_S:
            self._latest_at[asked] = now
        # Results are made anew each time; those of a cached answer are the ones that had arrived when it was made.
        then = self._latest_at[asked]
        lookback_days = parameter(request, "lookback_days", whole(0, 16_384), 7)
        results = self.ledger.latest(
            measurement,
            now=then,
            since=then - lookback_days * _DAY_S if lookback_days else None,
            versions=parameter(request, "versions", whole(1, 10), 1),
            vantage_points=_asked_for(request, measurement),
        )
        return stream_of(results, parameter(request, "format", _RESULTS_FORM, "json"))

    def _list_probes(self, request: Request) -> Response:
        # Who does not ask for `is_public` gets the public ones: the others are nobody else's to measure with.
        either = "is_public" in request.parameters
        probes = [probe for probe in self._probes.objects.values() if either or probe["is_public"]]
        found, warnings = select(probes, PROBE_FILTERS, request)
        return json_response(numbered_page(found, request, warnings, SORTABLE_PROBES))

    def _probe(self, request: Request, number: int) -> Response:
        if number not in self._probes.objects:
            raise _not_found()
        return json_response(read_form(request).show(self._probes.objects[number]))

    def _credits(self, request: Request) -> Response:
        most = self._limits.credits_per_day
        content = credits_object(
            self.ledger, self._clock.now(), balance=self._balance, credits_per_day=most, origin=request.origin
        )
        return json_response(content)

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

    def _object(self, measurement: Measurement, request: Request) -> dict[str, Any]:
        asked = ",".join(request.parameters.get(name, "") for name in ("fields", "optional_fields")).split(",")
        described = measurement_object(
            measurement,
            self.ledger.status(measurement),
            end_lag_s=self.ledger.lags.end_s,
            origin=request.origin,
            topology=self._topology,
        )
        return described | {
            name: on_demand(measurement, request.origin) for name, on_demand in ON_DEMAND.items() if name in asked
        }


_RESULTS_FORM = one_of("json", "txt")


def _not_found() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "Not found.")


def _asked_for(request: Request, measurement: Measurement) -> frozenset[int] | None:
    """Return the participants that `probe_ids` names by numbers and ranges; None where it names none."""
    wanted = parameter(request, "probe_ids", ranges, None)
    if wanted is None:
        return None
    return frozenset(
        vantage for vantage in measurement.participants if any(first <= vantage <= last for first, last in wanted)
    )
