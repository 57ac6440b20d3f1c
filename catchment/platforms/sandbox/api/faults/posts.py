"""Faults of the request for new measurements: done and not told, not done, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from catchment.platforms.sandbox.api.endings import Broken, Ending
from catchment.platforms.sandbox.api.exchange import Problem, Refusal, Request, Response, exceeded, invalid
from catchment.platforms.sandbox.api.faults.concerns import Strikes, always, first, posts
from catchment.platforms.sandbox.api.faults.fault import FrontFault, Struck

_MOST_A_DAY, _MOST_OF_A_TARGET = 100_000, 25
_TWICE = first(2)
_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"


def error_page(status: HTTPStatus) -> Response:
    """Return what a proxy answers in place of the server behind it."""
    page = _PAGE.format(f"{status.value} {status.phrase}")
    return Response(status=status.value, headers={"Content-Type": "text/html"}, body=page.encode())


def _lost(ending: Ending) -> Callable[[Struck], Response]:
    def answer(struck: Struck) -> Response:
        return Broken(status=struck.answer().status, ending=ending)

    return answer


def _half(struck: Struck) -> Response:
    answer = struck.answer()
    body = answer.content()
    return Broken(status=answer.status, headers=answer.headers, body=body, ending=Ending.CLOSE, sent=len(body) // 2)


def _unreadable(struck: Struck) -> Response:
    return replace(struck.answer(), headers={"Content-Type": "text/plain"}, body=b"Created")


def _answered(status: HTTPStatus) -> Callable[[Struck], Response]:
    def answer(struck: Struck) -> Response:
        struck.answer()
        return error_page(status)

    return answer


def _not_done(_: Struck) -> Response:
    return Broken(status=HTTPStatus.OK.value, ending=Ending.RESET)


def _full_day(struck: Struck) -> Response:
    definitions, probes = _asked(struck.request)
    more, current = float(len(definitions) * probes), _MOST_A_DAY - 1
    raise exceeded(
        f"Executing this measurement request will increase your current ({current}) number of results by {more} "
        f"totalling {current + more} which is higher than your maximum daily results limit {_MOST_A_DAY}. "
        "Please stop some of your currently running measurements and try again."
    )


def _full_target(struck: Struck) -> Response:
    target = _asked(struck.request)[0][0].get("target")
    raise exceeded(
        f"We do not allow more than {_MOST_OF_A_TARGET} concurrent measurements to the same target: {target}."
    )


def _no_credits(struck: Struck) -> Response:
    definitions, probes = _asked(struck.request)
    detail = f"Your account does not have enough credits: this needs {10 * len(definitions) * probes}, you have 0."
    raise Refusal(HTTPStatus.PAYMENT_REQUIRED, detail)


def _asked(request: Request) -> tuple[list[dict[str, object]], int]:
    """Return the definitions of a request, and from how many probes it wants results. Raises Refusal."""
    body = request.json()
    try:
        return [dict(one) for one in body["definitions"]], sum(int(source["requested"]) for source in body["probes"])
    except (KeyError, TypeError, ValueError) as error:
        raise invalid([Problem(detail="This field is required.")]) from error


def _post(name: str, about: str, answer: Callable[[Struck], Response], strikes: Strikes = _TWICE) -> FrontFault:
    return FrontFault(name=name, about=about, concerns=posts, strikes=strikes, answer=answer)


_DONE = "the first two POSTs are accepted, and"
_REFUSED = "every POST is refused:"

POST_FAULTS = (
    _post("lost-answer", f"{_DONE} the connection is reset", _lost(Ending.RESET)),
    _post("lost-answer-closed", f"{_DONE} the connection is closed", _lost(Ending.CLOSE)),
    _post("lost-answer-stalled", f"{_DONE} nothing follows", _lost(Ending.STALL)),
    _post("lost-answer-half", f"{_DONE} half an answer comes", _half),
    _post("lost-answer-unreadable", f"{_DONE} the answer is no JSON", _unreadable),
    *(
        _post(f"lost-answer-{status.value}", f"{_DONE} a proxy answers {status.value}", _answered(status))
        for status in (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
    ),
    _post("post-reset", "the connection of the first two POSTs is reset before anything happens", _not_done),
    _post(
        "post-503",
        "the first two POSTs are answered 503 before anything happens",
        lambda _: error_page(HTTPStatus.SERVICE_UNAVAILABLE),
    ),
    _post("daily-results-full", f"{_REFUSED} too many results a day", _full_day, always),
    _post("target-full", f"{_REFUSED} too many measurements of the target", _full_target, always),
    _post("credits-out", f"{_REFUSED} not enough credits (402)", _no_credits, always),
)
