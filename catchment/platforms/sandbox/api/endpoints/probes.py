"""Probes and anchors: what can be looked up of them."""

from __future__ import annotations

from catchment.platforms.sandbox.api.endpoints.routes import Office, Route, not_found, paged
from catchment.platforms.sandbox.api.exchange import Request, Response, json_response, lines_of
from catchment.platforms.sandbox.api.filters import PROBE_FILTERS, SORTABLE_PROBES, select
from catchment.platforms.sandbox.api.listing import numbered_page
from catchment.platforms.sandbox.api.metadata import read_form
from catchment.platforms.sandbox.api.probes import anchor_object


class ProbeEndpoints:
    """Answers what is asked about probes. No key is needed for any of it."""

    def __init__(self, office: Office) -> None:
        self._probes = office.probes
        self.routes = (
            Route("GET", "probes", self._list),
            Route("GET", r"probes/(?P<number>\d+)", self._probe),
            Route("GET", "probes/tags", self._tags),
            Route("GET", "anchors", self._anchors),
            Route("GET", r"anchors/(?P<number>\d+)", self._anchor),
            Route("GET", "anchor-measurements", self._anchor_measurements),
        )

    def _list(self, request: Request) -> Response:
        # Who does not ask for `is_public` gets the public ones: the others are nobody else's to measure with.
        either = "is_public" in request.parameters
        probes = [probe for probe in self._probes.objects.values() if either or probe["is_public"]]
        found, warnings = select(probes, PROBE_FILTERS, request)
        page = numbered_page(found, request, warnings, SORTABLE_PROBES, lines=True)
        return lines_of(page["results"]) if request.parameters.get("format") == "txt" else json_response(page)

    def _probe(self, request: Request, number: int) -> Response:
        if number not in self._probes.objects:
            raise not_found()
        return json_response(read_form(request).show(self._probes.objects[number]))

    def _tags(self, request: Request) -> Response:
        tags = {tag["slug"]: tag for probe in self._probes.objects.values() for tag in probe["tags"]}
        return paged([tags[slug] for slug in sorted(tags)], request, sortable=("slug", "name"))

    def _anchors(self, request: Request) -> Response:
        anchors = [anchor_object(probe) for probe in self._probes.objects.values() if probe["is_anchor"]]
        return paged(anchors, request)

    def _anchor(self, request: Request, number: int) -> Response:
        probe = self._probes.objects.get(number)
        if probe is None or not probe["is_anchor"]:
            raise not_found()
        return json_response(read_form(request).show(anchor_object(probe)))

    def _anchor_measurements(self, request: Request) -> Response:
        return paged([], request)  # anchors of the sandbox measure nothing among themselves
