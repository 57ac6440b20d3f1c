"""Lists as RIPE Atlas gives them: filtered by the query, sorted, and cut into pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from catchment.platforms.sandbox.api.exchange import Problem, Refusal, Request, invalid
from catchment.platforms.sandbox.api.metadata import with_fields

_PAGE_SIZE, _LARGEST_PAGE = 50, 500
_NOT_FILTERS = {"page", "page_size", "sort", "fields", "optional_fields", "after", "key", "format", "include"}
_IGNORED = "Filtering by this field is not implemented, this parameter has been ignored."

Entry = Mapping[str, Any]
Test = Callable[[Any, Any], bool]


def _whole(text: str) -> int:
    if not text.strip().lstrip("-").isdecimal() or len(text) > 15:
        raise ValueError("Enter a whole number.")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ValueError("Enter true or false.")
    return text.lower() in {"true", "1"}


def _listed(convert: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    return lambda text: [convert(part.strip()) for part in text.split(",") if part.strip()]


_ORDERINGS: dict[str, Test] = {
    "gt": lambda held, wanted: held > wanted,
    "gte": lambda held, wanted: held >= wanted,
    "lt": lambda held, wanted: held < wanted,
    "lte": lambda held, wanted: held <= wanted,
}
_TEXTS: dict[str, Test] = {
    "contains": lambda held, wanted: wanted in held,
    "startswith": lambda held, wanted: held.startswith(wanted),
    "endswith": lambda held, wanted: held.endswith(wanted),
}


def _where_known(held: Callable[[Entry], Any], test: Test) -> Test:
    return lambda entry, wanted: held(entry) is not None and test(held(entry), wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One filter: how its parameter is read (ValueError: it cannot be), and whether an entry passes."""

    read: Callable[[str], Any]
    passes: Callable[[Entry, Any], bool]


def whole_number(name: str, value: Callable[[Entry], Any] | None = None) -> dict[str, Filter]:
    """Return the filters of a number: itself, `__in`, and orderings."""
    held = value or (lambda entry: entry.get(name))
    filters = {
        name: Filter(read=_whole, passes=lambda entry, wanted: held(entry) == wanted),
        f"{name}__in": Filter(read=_listed(_whole), passes=lambda entry, wanted: held(entry) in wanted),
    }
    return filters | {
        f"{name}__{operator}": Filter(read=_whole, passes=_where_known(held, test))
        for operator, test in _ORDERINGS.items()
    }


def text(name: str) -> dict[str, Filter]:
    """Return the filters of a text: itself, `__in`, and parts of it. Letter case counts."""
    filters = {
        name: Filter(read=str, passes=lambda entry, wanted: entry.get(name) == wanted),
        f"{name}__in": Filter(read=_listed(str), passes=lambda entry, wanted: entry.get(name) in wanted),
    }
    return filters | {
        f"{name}__{operator}": Filter(read=str, passes=_where_known(lambda entry: entry.get(name), test))
        for operator, test in _TEXTS.items()
    }


def flag(name: str) -> dict[str, Filter]:
    """Return the filter of a yes or no."""
    return {name: Filter(read=_flag, passes=lambda entry, wanted: entry[name] is wanted)}


def every_tag(slugs: Callable[[Entry], set[str]]) -> dict[str, Filter]:
    """Return the filter for entries that have all tags named, separated by commas."""
    return {"tags": Filter(read=_listed(str), passes=lambda entry, wanted: slugs(entry).issuperset(wanted))}


def select(
    entries: Sequence[Entry], filters: Mapping[str, Filter], request: Request
) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Return the entries that pass all filters of a request, and a warning for each parameter that is none of them.

    Raises Refusal where a filter cannot be read.
    """
    found, warnings, problems = list(entries), [], []
    for name, value in request.parameters.items():
        if name in _NOT_FILTERS:
            continue
        if name not in filters:
            warnings.append({"source": {"parameter": name}, "detail": [_IGNORED]})
            continue
        try:
            wanted = filters[name].read(value)
        except ValueError as error:
            problems.append(Problem(parameter=name, detail=str(error)))
            continue
        found = [entry for entry in found if filters[name].passes(entry, wanted)]
    if problems:
        raise invalid(problems)
    return found, warnings


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
    return _page(entries, page, request, warnings, next_=following, previous=None)


def numbered_page(
    entries: Sequence[Entry], request: Request, warnings: Sequence[Entry], sortable: Sequence[str]
) -> dict[str, Any]:
    """Return the page that the parameter `page` numbers, from 1."""
    place, descending = _sort_key(request, sortable)
    ordered = sorted(entries, key=place, reverse=descending)
    size = _page_size(request)
    asked = request.parameters.get("page", "1")
    number = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
    if number < 1 or (number > 1 and (number - 1) * size >= len(ordered)):
        raise Refusal(HTTPStatus.NOT_FOUND, "Invalid page.")
    page = ordered[(number - 1) * size : number * size]
    following = _url(request, page=str(number + 1)) if size and number * size < len(ordered) else None
    previous = _url(request, page=str(number - 1)) if number > 1 else None
    return _page(entries, page, request, warnings, next_=following, previous=previous)


def _page(
    entries: Sequence[Entry],
    page: Sequence[Entry],
    request: Request,
    warnings: Sequence[Entry],
    *,
    next_: str | None,
    previous: str | None,
) -> dict[str, Any]:
    shown = [with_fields(entry, request.parameters.get("fields")) for entry in page]
    content = {"count": len(entries), "next": next_, "previous": previous, "results": shown}
    return content | ({"warnings": list(warnings)} if warnings else {})


def _page_size(request: Request) -> int:
    try:
        size = _whole(request.parameters.get("page_size", str(_PAGE_SIZE)))
    except ValueError as error:
        raise invalid([Problem(parameter="page_size", detail=str(error))]) from error
    if not 0 <= size <= _LARGEST_PAGE:
        detail = f"Ensure this value is less than or equal to {_LARGEST_PAGE}."
        raise invalid([Problem(parameter="page_size", detail=detail)])
    return size


def _sort_key(request: Request, sortable: Sequence[str]) -> tuple[Callable[[Entry], list[Any]], bool]:
    """Return what entries are ordered by, ending in their id, and whether from the last to the first."""
    asked = request.parameters.get("sort", "id")
    name = asked.removeprefix("-")
    if name not in sortable:
        raise invalid([Problem(parameter="sort", detail=f'"{asked}" is not a valid choice.')])
    outer, _, inner = name.partition(".")

    def place(entry: Entry) -> list[Any]:
        if name == "id":
            return [entry["id"]]
        value = entry[outer][inner] if inner else entry[outer]
        return [value is not None, value if value is not None else 0, entry["id"]]

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
