"""Requests as cousteau makes them, but with what it lacks: timeouts, a session, and the HTTP status."""

from __future__ import annotations

from typing import Any

import requests
from ripe.atlas.cousteau import AtlasCreateRequest, AtlasRequest, AtlasStopRequest


class InSession:
    """What cousteau's request classes lack: session, timeout, the response with its status, the exception itself."""

    http_method_args: dict[str, Any]

    def __init__(self, *, session: requests.Session, timeout_s: tuple[float, float], **options: Any) -> None:
        super().__init__(**options)
        self.http_methods = {"GET": session.get, "POST": session.post, "DELETE": session.delete}
        # The API redirects nobody; a captive portal does, to a page that is no answer.
        self.http_method_args |= {"timeout": timeout_s, "allow_redirects": False}
        self.response: requests.Response | None = None
        self.failure: requests.RequestException | None = None

    def get_http_method(self, method: str) -> requests.Response:
        """Send the request, and keep what cousteau would lose."""
        try:
            self.response = super().get_http_method(method)  # type: ignore[misc]
        except requests.RequestException as failure:
            self.failure = failure
            raise
        return self.response


class Get(InSession, AtlasRequest):  # type: ignore[misc]
    """A request for JSON."""


class Create(InSession, AtlasCreateRequest):  # type: ignore[misc]
    """A request for new measurements."""


class Stop(InSession, AtlasStopRequest):  # type: ignore[misc]
    """A request to stop a measurement."""
