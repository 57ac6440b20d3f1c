"""What passes between a client and the sandbox's API: requests, responses, and refusals in RIPE Atlas's envelope."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from catchment.errors import CatchmentError

_STREAMED_BYTES = 1 << 16
_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Request:
    """An HTTP request: `path` and `query` as they came (still percent-encoded), header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        # Header and query may hold the key, and whoever prints a request does not think of that.
        return f"Request({self.method} {self.path})"

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Return the query's parameters; of one given twice, the last."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def key(self) -> str | None:
        """Return the API key: of the header `Authorization: Key …`, else the older `?key=…`."""
        scheme, _, key = self.headers.get("authorization", "").strip().partition(" ")
        return key.strip() if scheme.lower() == "key" and key else self.parameters.get("key")

    @property
    def origin(self) -> str:
        """Return the beginning of every URL that the client can follow."""
        return f"https://{self.headers.get('host', 'atlas.ripe.net')}"

    def json(self) -> Any:
        """Return the body as JSON. Raises Refusal."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, json.JSONDecodeError) else "not JSON"
            raise Refusal(HTTPStatus.BAD_REQUEST, f"JSON parse error - {reason}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An HTTP response; a body given as an iterator of chunks is made while it is sent."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterator[bytes] = b""

    def content(self) -> bytes:
        """Return the whole body. One given as chunks is used up."""
        return self.body if isinstance(self.body, bytes) else b"".join(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong in a request, and where: a JSON pointer (RFC 6901) into its body, or a parameter of its query."""

    detail: str
    pointer: str = ""
    parameter: str | None = None

    def entry(self) -> dict[str, Any]:
        """Return the problem as the envelope lists it."""
        source = {"pointer": self.pointer} if self.parameter is None else {"parameter": self.parameter}
        return {"source": source, "detail": self.detail}


class Refusal(CatchmentError):
    """The API's answer to a request that it does not fulfil. Clients read it; it never reaches a user as it is."""

    def __init__(self, status: HTTPStatus, detail: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = tuple(problems)

    def response(self) -> Response:
        """Return the envelope. Its `code`, which RIPE calls deprecated, is 102 for what is malformed, else 104."""
        error: dict[str, Any] = {
            "status": self.status.value,
            "code": 102 if self.status == HTTPStatus.BAD_REQUEST else 104,
            "title": self.status.phrase,
            "detail": self.detail,
        }
        if self.problems:
            error["errors"] = [problem.entry() for problem in self.problems]
        return json_response({"error": error}, self.status)


def invalid(problems: Sequence[Problem]) -> Refusal:
    """Return the refusal of a request whose parts are wrong."""
    return Refusal(HTTPStatus.BAD_REQUEST, "There were problems with your request", problems)


def exceeded(detail: str) -> Refusal:
    """Return the refusal of a request that breaks a limit."""
    return Refusal(HTTPStatus.BAD_REQUEST, "There was a problem with your request", [Problem(detail=detail)])


def json_response(content: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return a response that holds a value as JSON."""
    body = json.dumps(content, separators=(",", ":")).encode()
    return Response(status=status.value, headers={"Content-Type": "application/json"}, body=body)


def lines_of(entries: Sequence[Mapping[str, Any]]) -> Response:
    """Return a response that holds an object a line."""
    body = b"".join(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in entries)
    return Response(status=HTTPStatus.OK.value, headers={"Content-Type": _PLAIN}, body=body)


def stream_of(entries: Iterator[dict[str, Any]], form: str) -> Response:
    """Return a response that holds many objects: one JSON array (`json`), or one object a line (`txt`)."""
    lines = form == "txt"
    content_type = _PLAIN if lines else "application/json"
    return Response(
        status=HTTPStatus.OK.value, headers={"Content-Type": content_type}, body=_chunks(entries, lines=lines)
    )


def _chunks(entries: Iterator[dict[str, Any]], *, lines: bool) -> Iterator[bytes]:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    before, between, after = ("", "\n", "\n") if lines else ("[", ",", "]")
    parts, size, lead = [before], len(before), ""
    for entry in entries:
        text = lead + encode(entry)
        lead = between
        parts.append(text)
        size += len(text)
        if size >= _STREAMED_BYTES:
            yield "".join(parts).encode()
            parts, size = [], 0
    if lead or not lines:  # no results are an empty array, or no line at all
        parts.append(after)
    yield "".join(parts).encode()
