"""Faults of the request for new measurements: done and not told, or not done."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from catchment.platforms.sandbox.api.endings import Ending
from catchment.platforms.sandbox.api.exchange import Response
from catchment.platforms.sandbox.api.faults.breaking import Answer, done, ended, half, page
from catchment.platforms.sandbox.api.faults.concerns import first, posts
from catchment.platforms.sandbox.api.faults.fault import FrontFault, Struck


def _unreadable(struck: Struck) -> Response:
    return replace(struck.answer(), headers={"Content-Type": "text/plain"}, body=b"Created")


def _post(name: str, about: str, answer: Answer) -> FrontFault:
    return FrontFault(name=name, about=about, concerns=posts, strikes=first(2), answer=answer)


_DONE = "the first two POSTs are accepted, and"

POST_FAULTS = (
    _post("lost-answer", f"{_DONE} the connection is reset", done(ended(Ending.RESET))),
    _post("lost-answer-closed", f"{_DONE} the connection is closed", done(ended(Ending.CLOSE))),
    _post("lost-answer-stalled", f"{_DONE} nothing follows", done(ended(Ending.STALL))),
    _post("lost-answer-half", f"{_DONE} half an answer comes", half),
    _post("lost-answer-unreadable", f"{_DONE} the answer is no JSON", _unreadable),
    *(
        _post(f"lost-answer-{status.value}", f"{_DONE} a proxy answers {status.value}", done(page(status)))
        for status in (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
    ),
    _post("post-reset", "the connection of the first two POSTs is reset before anything happens", ended(Ending.RESET)),
    _post(
        "post-503",
        "the first two POSTs are answered 503 before anything happens",
        page(HTTPStatus.SERVICE_UNAVAILABLE),
    ),
)
