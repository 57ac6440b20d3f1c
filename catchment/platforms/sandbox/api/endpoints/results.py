"""Results: all of a measurement, and the latest of each probe."""

from __future__ import annotations

from catchment.platforms.sandbox.api.endpoints.routes import Office, Route, not_found
from catchment.platforms.sandbox.api.exchange import Request, Response, stream_of
from catchment.platforms.sandbox.api.fields import read_time
from catchment.platforms.sandbox.api.keys import Grant
from catchment.platforms.sandbox.api.measurements import Measurement
from catchment.platforms.sandbox.api.parameters import one_of, parameter, ranges, whole

_FORM = one_of("json", "txt")
_LATEST_CACHED_S = 300
_DAY_S = 86_400


class ResultEndpoints:
    """Answers what is asked about results."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._latest_at: dict[tuple[int, str], float] = {}
        self.routes = (
            Route("GET", r"measurements/(?P<number>\d+)/results", self._results),
            Route("GET", r"measurements/(?P<number>\d+)/latest", self._latest),
            Route("GET", r"measurements-latest/(?P<number>\d+)", self._latest),  # its old place, where Blaeu looks
        )

    def _results(self, request: Request, number: int) -> Response:
        measurement, now = self._find(number, request), self._office.clock.now()
        ledger = self._office.ledger
        if now < measurement.created + ledger.lags.results_s:
            raise not_found()
        results = ledger.results(
            measurement,
            now=now,
            since=parameter(request, "start", read_time, None),
            until=parameter(request, "stop", read_time, None),
            vantage_points=_asked_for(request, measurement),
        )
        return stream_of(results, parameter(request, "format", _FORM, "json"))

    def _latest(self, request: Request, number: int) -> Response:
        measurement, now = self._find(number, request), self._office.clock.now()
        asked = (number, request.query)
        if now - self._latest_at.get(asked, float("-inf")) >= _LATEST_CACHED_S:
            self._latest_at[asked] = now
        # Results are made anew each time; those of a cached answer are the ones that had arrived when it was made.
        then = self._latest_at[asked]
        lookback_days = parameter(request, "lookback_days", whole(0, 16_384), 7)
        results = self._office.ledger.latest(
            measurement,
            now=then,
            since=then - lookback_days * _DAY_S if lookback_days else None,
            versions=parameter(request, "versions", whole(1, 10), 1),
            vantage_points=_asked_for(request, measurement),
        )
        return stream_of(results, parameter(request, "format", _FORM, "json"))

    def _find(self, number: int, request: Request) -> Measurement:
        measurement = self._office.find(number, request)
        if not measurement.definition.is_public:
            self._office.keys.check(request.key, Grant.RESULTS)
        return measurement


def _asked_for(request: Request, measurement: Measurement) -> frozenset[int] | None:
    """Return the participants that `probe_ids` names by numbers and ranges; None where it names none."""
    wanted = parameter(request, "probe_ids", ranges, None)
    if wanted is None:
        return None
    return frozenset(
        vantage for vantage in measurement.ever_participants if any(first <= vantage <= last for first, last in wanted)
    )
