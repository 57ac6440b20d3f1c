"""Faults of any answer: too many requests, a server or proxy in trouble, a network that wants a password first."""

from __future__ import annotations

import email.utils
import json
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from catchment.platforms.sandbox.api.endings import Ending
from catchment.platforms.sandbox.api.exchange import Refusal, Response, json_response
from catchment.platforms.sandbox.api.faults.breaking import Answer, ended, half, page
from catchment.platforms.sandbox.api.faults.concerns import (
    Concerns,
    Strikes,
    all_but_posts,
    always,
    between,
    every,
    everything,
    first,
    lists,
    own_lists,
    posts,
    tagged_lists,
)
from catchment.platforms.sandbox.api.faults.fault import FrontFault, Struck
from catchment.platforms.sandbox.api.filters import ignored

_RETRY_AFTER_S = 20
_SKEW_S = 180
_LARGEST_PAGE = 100
_PORTAL = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please log in to this network.</body></html>"
_ONE_OF_THREE = every(3)


def _too_many(retry_after: Callable[[float], str] | None = None) -> Answer:
    def answer(struck: Struck) -> Response:
        refusal = Refusal(HTTPStatus.TOO_MANY_REQUESTS, "Request was throttled.").response()
        headers = {} if retry_after is None else {"Retry-After": retry_after(struck.now)}
        return replace(refusal, headers={**refusal.headers, **headers})

    return answer


def _portal(_: Struck) -> Response:
    return Response(status=HTTPStatus.OK.value, headers={"Content-Type": "text/html"}, body=_PORTAL)


def _redirect(struck: Struck) -> Response:
    location = f"https://login.example.net/?{urlencode({'to': struck.request.origin})}"
    return Response(status=HTTPStatus.FOUND.value, headers={"Location": location})


def _no_json(_: Struck) -> Response:
    headers = {"Content-Type": "application/json"}
    return Response(status=HTTPStatus.OK.value, headers=headers, body=b'upstream connect error {"results": [')


def _empty(_: Struck) -> Response:
    return Response(status=HTTPStatus.OK.value, headers={"Content-Type": "application/json"})


def _forbidden(_: Struck) -> Response:
    raise Refusal(HTTPStatus.FORBIDDEN, "You do not have permission to perform this action.")


def _tags_ignored(struck: Struck) -> Response:
    others = {name: value for name, value in struck.request.parameters.items() if name != "tags"}
    answer = struck.ask(replace(struck.request, query=urlencode(others)))
    return _warned(answer, ignored("tags"))


def _with_remarks(struck: Struck) -> Response:
    warning = {"source": {"parameter": ""}, "detail": ["This version of the API will change next month."]}
    return _warned(struck.answer(), warning)


def _warned(answer: Response, warning: dict[str, Any]) -> Response:
    """Return an answer with one warning more; one that is no JSON object has no place for it."""
    body = answer.content()
    content = json.loads(body) if answer.headers.get("Content-Type") == "application/json" else None
    if not isinstance(content, dict) or "error" in content:
        return replace(answer, body=body)
    changed = json_response(content | {"warnings": [*content.get("warnings", []), warning]})
    return replace(answer, body=changed.body)


def _capped(struck: Struck) -> Response:
    asked = struck.request.parameters.get("page_size", "")
    if not asked.isdecimal() or int(asked) <= _LARGEST_PAGE:
        return struck.answer()
    smaller = struck.request.parameters | {"page_size": str(_LARGEST_PAGE)}
    return struck.ask(replace(struck.request, query=urlencode(smaller)))


def _dated(skew_s: float) -> Answer:
    def answer(struck: Struck) -> Response:
        plain = struck.answer()
        return replace(plain, headers={**plain.headers, "Date": _http_date(struck.now + skew_s)})

    return answer


def _http_date(at: float) -> str:
    return email.utils.formatdate(at, usegmt=True)


def _fault(
    name: str, about: str, answer: Answer, concerns: Concerns = all_but_posts, strikes: Strikes = _ONE_OF_THREE
) -> FrontFault:
    return FrontFault(name=name, about=about, concerns=concerns, strikes=strikes, answer=answer)


_THIRD = "one of three requests, but for POSTs,"

ANSWER_FAULTS = (
    _fault("rate-limited", "one of three requests is answered 429, without Retry-After", _too_many(), everything),
    _fault(
        "rate-limited-seconds",
        f"one of three requests is answered 429, with Retry-After: {_RETRY_AFTER_S} (seconds)",
        _too_many(lambda _: str(_RETRY_AFTER_S)),
        everything,
    ),
    _fault(
        "rate-limited-date",
        "one of three requests is answered 429, with a date in Retry-After",
        _too_many(lambda now: _http_date(now + _RETRY_AFTER_S)),
        everything,
    ),
    *(
        _fault(f"error-{status.value}", f"{_THIRD} is answered {status.value}", page(status))
        for status in (
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.BAD_GATEWAY,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.GATEWAY_TIMEOUT,
        )
    ),
    _fault("reset", f"{_THIRD} ends in a reset connection", ended(Ending.RESET)),
    _fault("closed", f"{_THIRD} ends in a closed connection", ended(Ending.CLOSE)),
    _fault("stall", "two requests are never answered", ended(Ending.STALL), strikes=first(2)),
    _fault("half-answer", f"{_THIRD} is half answered", half),
    _fault("not-json", f"{_THIRD} is answered by what is no JSON", _no_json),
    _fault("empty-body", f"{_THIRD} is answered 200, with nothing in it", _empty),
    _fault("captive-portal", "every answer is the page of a network that wants a login", _portal, everything, always),
    _fault(
        "captive-portal-later",
        "the 4th to 6th answer is the page of a network that wants a login",
        _portal,
        everything,
        between(4, 6),
    ),
    _fault("redirect", "every answer redirects to the page of a network", _redirect, everything, always),
    _fault("list-forbidden", "/measurements/my/ is forbidden (403)", _forbidden, own_lists, always),
    _fault("tags-ignored", "lists heed no tags, and say so in a warning", _tags_ignored, tagged_lists, always),
    _fault("list-warnings", "lists come with a warning", _with_remarks, lists, always),
    _fault("post-warnings", "an accepted POST is answered with a warning", _with_remarks, posts, always),
    _fault("pages-capped", f"a page holds {_LARGEST_PAGE} at most, whatever is asked for", _capped, lists, always),
    _fault("date-ahead", f"the Date of answers is {_SKEW_S // 60} minutes ahead", _dated(_SKEW_S), everything, always),
    _fault(
        "date-behind", f"the Date of answers is {_SKEW_S // 60} minutes behind", _dated(-_SKEW_S), everything, always
    ),
)
