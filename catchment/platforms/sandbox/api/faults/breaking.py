"""What comes in place of an answer: a connection that ends, half of it, the page of a proxy."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from catchment.platforms.sandbox.api.endings import Broken, Ending
from catchment.platforms.sandbox.api.exchange import Response
from catchment.platforms.sandbox.api.faults.fault import Struck

Answer = Callable[[Struck], Response]

_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"


def done(answer: Answer) -> Answer:
    """Return an answer before which happens what the request wants."""

    def answer_after(struck: Struck) -> Response:
        struck.answer()
        return answer(struck)

    return answer_after


def ended(ending: Ending) -> Answer:
    """Return the answer that never comes."""
    return lambda _: Broken(status=HTTPStatus.OK.value, ending=ending)


def page(status: HTTPStatus) -> Answer:
    """Return what a proxy answers in place of the server behind it."""
    body = _PAGE.format(f"{status.value} {status.phrase}").encode()
    return lambda _: Response(status=status.value, headers={"Content-Type": "text/html"}, body=body)


def half(struck: Struck) -> Response:
    """Answer with the first half of what the API says."""
    answer = struck.answer()
    body = answer.content()
    return Broken(status=answer.status, headers=answer.headers, body=body, ending=Ending.CLOSE, sent=len(body) // 2)
