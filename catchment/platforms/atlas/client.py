"""What can be asked of the RIPE Atlas API. Failures are PlatformFailed, of one line in which the key never stands."""

from __future__ import annotations

import json
import random as _random
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from ripe.atlas.cousteau import AtlasSource, Dns, Ping, Traceroute

from catchment.errors import PlatformFailed
from catchment.platforms.atlas import failures
from catchment.platforms.atlas.endpoint import Endpoint
from catchment.platforms.atlas.failures import PlatformUnsure, Refused, StreamBroken
from catchment.platforms.atlas.keys import Permission
from catchment.platforms.atlas.session import API, CHUNK, TIMEOUT_S, Answer, Question, Session, size_of
from catchment.platforms.atlas.verbs import Create, Get, Stop

__all__ = ["TIMEOUT_S", "Atlas", "Endpoint", "PlatformUnsure", "Refused", "StreamBroken"]

_LONGEST_LINE = 16_777_216  # results are a few kB; a line without end is no result
# Public data is read without a key, so that one which may only create never stands in the way.
_PERMISSIONS = {"/measurements/my/": Permission.LIST, "/credits/": Permission.CREDITS}
_MAY_BE_PRIVATE = re.compile(r"/measurements/\d+/")
_FORMS = {"dns": Dns, "ping": Ping, "traceroute": Traceroute}


class Atlas:
    """The RIPE Atlas API at one endpoint. Every method raises PlatformFailed, with one line that says what to do.

    `sleep` waits between tries, `random` (0 to 1) spreads them, `timeout_s` is for connecting and for each read;
    `heard` is told the server's time whenever it answers, `say` (in a line) which key is used and what went wrong when
    it is tried again, `trace` each request and each wait.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        sleep: Callable[[float], None],
        random: Callable[[], float] = _random.random,
        timeout_s: tuple[float, float] = TIMEOUT_S,
        heard: Callable[[float], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
        trace: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.endpoint = endpoint
        self.random = random
        self._session = Session(
            endpoint, sleep=sleep, random=random, timeout_s=timeout_s, heard=heard, say=say, trace=trace
        )
        self._private: set[str] = set()

    def __enter__(self) -> Atlas:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    @property
    def warnings(self) -> list[str]:
        """Return what the API, or who asked it, remarked on answers that were otherwise good."""
        return self._session.warnings

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON at a path below /api/v2; a sequence as parameter becomes a comma-separated list."""
        return self._get(path, _params(params))

    def pages(self, path: str, **params: Any) -> Iterator[Any]:
        """Yield every entry of a list, page after page."""
        for entries, _ in self.batches(path, **params):
            yield from entries

    def batches(self, path: str, **params: Any) -> Iterator[tuple[list[Any], int]]:
        """Yield the pages of a list, each with the number of entries that the whole list has.

        Follows `next` wherever it points on the same server: some lists count pages, others hand out cursors.
        """
        question = Question(what=f"reading {path}")
        page = self.get(path, **params)
        followed: set[str] = set()
        while True:
            if not isinstance(page, dict) or not isinstance(page.get("results"), list):
                raise PlatformFailed(
                    self._session.message(question, "the answer is no list: check the server's address")
                )
            count = page.get("count")
            yield page["results"], count if isinstance(count, int) else len(page["results"])
            following = page.get("next")
            if not following:
                return
            if following in followed:
                raise PlatformFailed(self._session.message(question, "its pages go round in a circle: try again later"))
            followed.add(following)
            page = self._get(self._below_api(question, following), {})

    def lines(self, path: str, **params: Any) -> Generator[bytes, None, None]:
        """Yield the lines of an NDJSON answer as they came, without line ends and in bounded memory.

        Raises StreamBroken where it ends before its end or holds what is no result; half a line is never yielded.
        """
        question, answer = self._read(
            f"fetching {path}",
            path,
            lambda question: self._session.open_stream(path, _params(params), question),
        )
        size_bytes = 0
        with answer.response as response:
            try:
                for line, is_ended in _split(response.iter_content(CHUNK)):
                    problem = _no_result(line, is_ended=is_ended)
                    if problem is not None:
                        form = PlatformFailed if problem == failures.WEB_PAGE else StreamBroken
                        raise form(self._session.message(question, problem))
                    size_bytes += len(line) + 1
                    yield line if question.key is None else self._session.without_key(line)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as failure:
                raise StreamBroken(self._session.message(question, failures.describe(failure))) from failure
            finally:
                self._session.trace(f"{question.what}: {size_of(size_bytes)} of results")

    def create(
        self,
        definitions: Sequence[dict[str, Any]],
        probes: Sequence[int],
        *,
        tag: str,
        start: float,
        stop: float | None,
        one_off: bool,
    ) -> list[int]:
        """Create measurements (`type` and the API's names of its options) on these probes; return their ids in order.

        Raises PlatformUnsure where the answer was lost and they may exist: under `tag`, which the definitions carry.
        """
        question = Question(
            what=f"creating {len(definitions)} measurements tagged '{tag}'",
            permission=Permission.CREATE,
            key=self._session.key_for(Permission.CREATE, "creating measurements"),
            once=True,
        )

        def send() -> Answer:
            # A pooled connection that the server is just closing would end in a failure that says nothing.
            self._session.close()
            request = self._session.request(
                Create,
                question,
                measurements=[_FORMS[definition["type"]](**_options(definition)) for definition in definitions],
                sources=[AtlasSource(type="probes", value=",".join(map(str, probes)), requested=len(probes))],
                # cousteau reads the fields of a datetime as UTC, and warns if given a number.
                start_time=datetime.fromtimestamp(int(start), UTC),
                stop_time=None if stop is None else datetime.fromtimestamp(int(stop), UTC),
                is_oneoff=one_off,
            )
            return self._session.send(request, request.create)

        body = self._session.exchange(question, send).body
        ids = body.get("measurements") if isinstance(body, dict) else None
        if not isinstance(ids, list) or [type(one) for one in ids] != [int] * len(definitions):
            problem = f"the answer holds no {len(definitions)} ids: {self._session.clean(body, 100)}"
            raise PlatformUnsure(self._session.message(question, problem))
        return ids

    def stop(self, measurement: int) -> None:
        """Stop a measurement; its results stay."""
        question = Question(
            what=f"stopping measurement {measurement}",
            permission=Permission.STOP,
            key=self._session.key_for(Permission.STOP, "stopping measurements"),
            may_be_empty=True,
        )

        def send() -> Answer:
            request = self._session.request(Stop, question, msm_id=measurement)
            request.url_path += "/"
            return self._session.send(request, request.create)

        self._session.exchange(question, send)

    def _get(self, path: str, params: dict[str, str]) -> Any:
        def send(question: Question) -> Answer:
            request = self._session.request(Get, question, url_path=f"{API}{path}")
            return self._session.send(request, request.get, **params)

        return self._read(f"reading {path.partition('?')[0]}", path, send)[1].body

    def _read(self, what: str, path: str, send: Callable[[Question], Answer]) -> tuple[Question, Answer]:
        """Ask without a key for what is public, with one for what is the account's, or turns out not to be public."""
        permission = next((name for start, name in _PERMISSIONS.items() if path.startswith(start)), None)
        found = _MAY_BE_PRIVATE.match(path)
        private = None if found is None or self.endpoint.keys.serving(Permission.RESULTS) is None else found[0]
        if permission is None and private in self._private:
            permission = Permission.RESULTS
        key = None if permission is None else self._session.key_for(permission, what)
        question = Question(what=what, permission=permission, key=key)
        try:
            return question, self._session.exchange(question, lambda: send(question))
        except Refused as refusal:
            if permission is not None or private is None or not refusal.is_forbidden:
                raise
        self._private.add(private)
        return self._read(what, path, send)

    def _below_api(self, question: Question, address: object) -> str:
        """Return path and query of the next page, below the API of this server."""
        parts = urlsplit(str(address))
        host = parts.netloc.lower().removesuffix(":443")
        same = (parts.scheme, host) == ("https", self.endpoint.server.lower().removesuffix(":443"))
        if not same or not parts.path.startswith(f"{API}/"):
            where = self._session.clean(address, 100)
            problem = f"its next page is elsewhere ({where}), which is not followed: check the server's address"
            raise PlatformFailed(self._session.message(question, problem))
        return parts.path.removeprefix(API) + (f"?{parts.query}" if parts.query else "")


def _params(given: dict[str, Any]) -> dict[str, str]:
    return {name: _param(value) for name, value in given.items() if value is not None}


def _param(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case _:
            return ",".join(map(_param, value))


def _options(definition: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in definition.items() if name != "type"}


def _split(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield lines that are not blank, each with whether a line end followed."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from ((line, True) for line in lines if line.strip())
        if len(rest) > _LONGEST_LINE:
            break
    if rest.strip():
        yield rest, False


def _no_result(line: bytes, *, is_ended: bool) -> str | None:
    """Return what is wrong with a line that should be a result, or None."""
    start, end = line.lstrip(), line.rstrip()
    if start.startswith(b"<"):
        return failures.WEB_PAGE
    looks_whole = start.startswith(b"{") and end.endswith(b"}") and is_ended and not start.startswith(b'{"error"')
    if looks_whole and b'"prb_id"' in line:
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return "the results broke off, or are none: try again later"
    if isinstance(found, list):
        return "a JSON array came in place of one result per line: check the server's address"
    if isinstance(found, dict) and ("prb_id" in found or "error" not in found):
        return None
    return f"{failures.clean(failures.said(found))}: try again later"
