"""Measurements: listed, made, looked at, changed and stopped."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from catchment.platforms.sandbox.api.acceptance import accept, ignored
from catchment.platforms.sandbox.api.account import spent
from catchment.platforms.sandbox.api.endpoints.routes import Office, Route, not_found, paged
from catchment.platforms.sandbox.api.exchange import Problem, Request, Response, invalid, json_response
from catchment.platforms.sandbox.api.fields import read_description, read_flag, read_tag
from catchment.platforms.sandbox.api.filters import MEASUREMENT_FILTERS, SORTABLE_MEASUREMENTS, select
from catchment.platforms.sandbox.api.keys import Grant, forbidden
from catchment.platforms.sandbox.api.listing import cursor_page
from catchment.platforms.sandbox.api.measurements import Measurement
from catchment.platforms.sandbox.api.metadata import ON_DEMAND, measurement_object, read_form
from catchment.platforms.sandbox.api.participation import participate

_ONE = r"measurements/(?P<number>\d+)"


class MeasurementEndpoints:
    """Answers what is asked about measurements, and does with them what their owner wants."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.routes = (
            Route("GET", "measurements", self._list),
            Route("POST", "measurements", self._create, Grant.CREATE),
            Route("GET", "measurements/my", self._list_own, Grant.LIST),
            Route("POST", "measurements/my", self._create, Grant.CREATE),
            Route("GET", _ONE, self._show),
            Route("PATCH", _ONE, self._change, Grant.UPDATE),
            Route("DELETE", _ONE, self._stop, Grant.STOP),
            Route("GET", f"{_ONE}/tags", self._tags, Grant.LIST),
            Route("POST", f"{_ONE}/tags", self._tag, Grant.UPDATE),
            Route("DELETE", f"{_ONE}/tags/(?P<tag>[^/]+)", self._untag, Grant.UPDATE),
            Route("GET", f"{_ONE}/participation-requests", self._requests, Grant.LIST),
            Route("POST", f"{_ONE}/participation-requests", self._participate, Grant.UPDATE),
            Route("GET", r"participation-requests/(?P<number>\d+)", self._request, Grant.LIST),
            Route("GET", f"{_ONE}/status-check", self._status_check),
        )

    def _create(self, request: Request) -> Response:
        office = self._office
        with office.ledger.lock:
            now = office.clock.now()
            balance = office.balance - spent(office.ledger, now)
            body = request.json()
            accepted = accept(body, office.ledger, office.probes, now=now, limits=office.limits, balance=balance)
        content: dict[str, Any] = {"measurements": [measurement.id for measurement in accepted]}
        warnings = ignored(body)
        return json_response(content | ({"warnings": warnings} if warnings else {}), HTTPStatus.CREATED)

    def _list(self, request: Request) -> Response:
        insider = self._office.keys.knows(request.key)
        listed = self._office.ledger.listed()
        return self._listed(request, [found for found in listed if insider or found.definition.is_public])

    def _list_own(self, request: Request) -> Response:
        return self._listed(request, [found for found in self._office.ledger.listed() if not found.is_built_in])

    def _listed(self, request: Request, measurements: Sequence[Measurement]) -> Response:
        objects = [self._object(measurement, request) for measurement in measurements]
        found, warnings = select(objects, MEASUREMENT_FILTERS, request)
        return json_response(cursor_page(found, request, warnings, SORTABLE_MEASUREMENTS))

    def _show(self, request: Request, number: int) -> Response:
        return json_response(read_form(request).show(self._object(self._office.find(number, request), request)))

    def _change(self, request: Request, number: int) -> Response:
        measurement, given = self._office.own(number), request.json()
        changes: dict[str, Any] = {}
        problems = []
        for name, read in (("description", read_description), ("is_public", read_flag)):
            if isinstance(given, dict) and name in given:
                try:
                    changes[name] = read(given[name])
                except ValueError as error:
                    problems.append(Problem(pointer=f"/{name}", detail=str(error)))
        if changes.get("is_public") is False and measurement.definition.is_public:
            detail = "A public measurement cannot be made private."
            problems.append(Problem(pointer="/is_public", detail=detail))
        if problems:
            raise invalid(problems)
        return json_response(self._object(self._office.ledger.alter(measurement, **changes), request))

    def _stop(self, _: Request, number: int) -> Response:
        self._office.ledger.stop(self._office.own(number))
        return Response(status=HTTPStatus.NO_CONTENT.value)

    def _tags(self, request: Request, number: int) -> Response:
        tags = self._office.own(number).definition.tags
        return paged([{"tag": tag} for tag in tags], request, sortable=("tag",))

    def _tag(self, request: Request, number: int) -> Response:
        given = request.json()
        try:
            tag = read_tag(given.get("tag") if isinstance(given, dict) else None)
        except ValueError as error:
            raise invalid([Problem(pointer="/tag", detail=str(error))]) from error
        with self._office.ledger.lock:
            measurement = self._office.own(number)
            tags = measurement.definition.tags
            if tag not in tags:
                self._office.ledger.alter(measurement, tags=[*tags, tag])
        return json_response({"tag": tag}, HTTPStatus.CREATED)

    def _untag(self, _: Request, number: int, tag: str) -> Response:
        with self._office.ledger.lock:
            measurement = self._office.own(number)
            tags = measurement.definition.tags
            if tag not in tags:
                raise not_found()
            self._office.ledger.alter(measurement, tags=[held for held in tags if held != tag])
        return Response(status=HTTPStatus.NO_CONTENT.value)

    def _requests(self, request: Request, number: int) -> Response:
        return paged(self._office.own(number).requests, request)

    def _participate(self, request: Request, number: int) -> Response:
        office, body = self._office, request.json()
        with office.ledger.lock:
            measurement, now = office.own(number), office.clock.now()
            limits, origin = office.limits, request.origin
            ids = participate(body, measurement, office.ledger, office.probes, now=now, limits=limits, origin=origin)
        return json_response({"request_ids": ids}, HTTPStatus.CREATED)

    def _request(self, _: Request, number: int) -> Response:
        found = self._office.ledger.requests().get(number)
        if found is None:
            raise not_found()
        return json_response(dict(found))

    def _status_check(self, request: Request, number: int) -> Response:
        self._office.find(number, request)
        raise forbidden()  # it is for alarms, which somebody has to have set up first

    def _object(self, measurement: Measurement, request: Request) -> dict[str, Any]:
        asked = ",".join(request.parameters.get(name, "") for name in ("fields", "optional_fields")).split(",")
        office, origin = self._office, request.origin
        status, end_lag_s = office.ledger.status(measurement), office.ledger.lags.end_s
        topology = office.probes.topology
        described = measurement_object(measurement, status, end_lag_s=end_lag_s, origin=origin, topology=topology)
        return described | {
            name: on_demand(measurement, status, origin) for name, on_demand in ON_DEMAND.items() if name in asked
        }
