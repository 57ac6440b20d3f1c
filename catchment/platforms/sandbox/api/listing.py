"""Lists as RIPE Atlas gives them: sorted, and cut into pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from catchment.platforms.sandbox.api.exchange import Problem, Refusal, Request, invalid
from catchment.platforms.sandbox.api.metadata import read_form
from catchment.platforms.sandbox.api.parameters import parameter, whole

_PAGE_SIZE, _LARGEST_PAGE = 50, 500

Entry = Mapping[str, Any]


def cursor_page(
    entries: Sequence[Entry], request: Request, warnings: Sequence[Entry], sortable: Sequence[str]
) -> dict[str, Any]:
    """Return a page that begins behind the cursor `after`: Base64 of the JSON array of the last entry's sort keys."""
    place, descending = _sort_key(request, sortable)
    ordered = sorted(entries, key=place, reverse=descending)
    size = _page_size(request)
    rest = ordered
    if "after" in request.parameters:
        after = _cursor(request.parameters["after"])
        try:
            rest = [entry for entry in ordered if (place(entry) < after if descending else place(entry) > after)]
        except TypeError as error:
            raise invalid([Problem(parameter="after", detail="Invalid cursor")]) from error
    page = rest[:size]
    following = None
    if page and len(rest) > size:
        keys = json.dumps(place(page[-1])).encode()
        following = _url(request, after=base64.b64encode(keys).decode())
    shown = [*map(read_form(request).show, page)]
    return _page(len(entries), shown, warnings, next_=following, previous=None)


def numbered_page(
    entries: Sequence[Entry],
    request: Request,
    warnings: Sequence[Entry],
    sortable: Sequence[str],
    *,
    lines: bool = False,
) -> dict[str, Any]:
    """Return the page that the parameter `page` numbers, from 1; `lines`: it may be asked for as lines of text."""
    place, descending = _sort_key(request, sortable)
    ordered = sorted(entries, key=place, reverse=descending)
    size = _page_size(request)
    try:
        number = whole(1)(request.parameters.get("page", "1"))
    except ValueError as error:
        raise Refusal(HTTPStatus.NOT_FOUND, "Invalid page.") from error
    if number > 1 and (number - 1) * size >= len(ordered):
        raise Refusal(HTTPStatus.NOT_FOUND, "Invalid page.")
    page = ordered[(number - 1) * size : number * size]
    following = _url(request, page=str(number + 1)) if size and number * size < len(ordered) else None
    previous = _url(request, page=str(number - 1)) if number > 1 else None
    form = read_form(request, lines=lines)
    return _page(len(entries), [*map(form.show, page)], warnings, next_=following, previous=previous)


def _page(
    count: int, page: Sequence[Entry], warnings: Sequence[Entry], *, next_: str | None, previous: str | None
) -> dict[str, Any]:
    content = {"count": count, "next": next_, "previous": previous, "results": page}
    return content | ({"warnings": list(warnings)} if warnings else {})


def _page_size(request: Request) -> int:
    return parameter(request, "page_size", whole(0, _LARGEST_PAGE), _PAGE_SIZE)


def _sort_key(request: Request, sortable: Sequence[str]) -> tuple[Callable[[Entry], list[Any]], bool]:
    """Return what entries are ordered by, ending in their id, and whether from the last to the first.

    Without another wish it is the first of what they can be sorted by.
    """
    asked = request.parameters.get("sort", sortable[0])
    name = asked.removeprefix("-")
    if name not in sortable:
        raise invalid([Problem(parameter="sort", detail=f'"{asked}" is not a valid choice.')])
    outer, _, inner = name.partition(".")

    def place(entry: Entry) -> list[Any]:
        if name == "id":
            return [entry["id"]]
        value = entry[outer][inner] if inner else entry[outer]
        return [value is not None, value if value is not None else 0, entry.get("id", 0)]

    return place, asked.startswith("-")


def _cursor(given: str) -> list[Any]:
    try:
        keys = json.loads(base64.b64decode(given + "=="))
    except (binascii.Error, ValueError) as error:
        raise invalid([Problem(parameter="after", detail="Invalid cursor")]) from error
    if not isinstance(keys, list):
        raise invalid([Problem(parameter="after", detail="Invalid cursor")])
    return keys


def _url(request: Request, **changed: str) -> str:
    """Return the URL of another page of the same list; the key, if it stood in the query, is not repeated."""
    parameters = {name: value for name, value in request.parameters.items() if name != "key"} | changed
    return f"{request.origin}{request.path}?{urlencode(parameters)}"
