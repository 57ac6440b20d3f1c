"""What can be asked of the RIPE Atlas API. Failures are PlatformFailed, of one line in which the key never stands."""

from __future__ import annotations

import json
import random as _random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from ripe.atlas.cousteau import AtlasSource, Dns, Ping, Traceroute

from catchment.errors import PlatformFailed
from catchment.platforms.atlas import failures
from catchment.platforms.atlas.failures import PlatformUnsure, Refused, StreamBroken
from catchment.platforms.atlas.keys import Key, find_key
from catchment.platforms.atlas.session import API, CHUNK, Answer, Create, Endpoint, Get, Question, Session, Stop

__all__ = ["Atlas", "Endpoint", "Key", "PlatformUnsure", "Refused", "StreamBroken", "find_key"]

_LONGEST_LINE = 16_777_216  # results are a few kB; a line without end is no result
# Public data is read without the key, so that a key which may only create never stands in the way.
_PERMISSIONS = {"/measurements/my/": "List your measurements", "/credits/": "credits read"}
_FORMS = {"dns": Dns, "ping": Ping, "traceroute": Traceroute}


class Atlas:
    """The RIPE Atlas API at one endpoint. Every method raises PlatformFailed, with one line that says what to do.

    `sleep` waits between tries, `random` (0 to 1) spreads them, `timeout_s` is for connecting and for each read;
    `heard` is told the server's time whenever it answers, `say` (in a line) what went wrong when it is tried again.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        sleep: Callable[[float], None],
        random: Callable[[], float] = _random.random,
        timeout_s: tuple[float, float] = (5.0, 60.0),
        heard: Callable[[float], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.endpoint = endpoint
        self._session = Session(endpoint, sleep=sleep, random=random, timeout_s=timeout_s, heard=heard, say=say)

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

    def lines(self, path: str, **params: Any) -> Iterator[bytes]:
        """Yield the lines of an NDJSON answer as they came, without line ends and in bounded memory.

        Raises StreamBroken where it ends before its end or holds what is no result; half a line is never yielded.
        """
        question = Question(what=f"fetching {path}")
        response, _ = self._session.exchange(question, lambda: self._session.open_stream(path, _params(params)))
        with response:
            try:
                for line, is_ended in _split(response.iter_content(CHUNK)):
                    problem = _no_result(line, is_ended=is_ended)
                    if problem is not None:
                        form = PlatformFailed if problem == failures.WEB_PAGE else StreamBroken
                        raise form(self._session.message(question, problem))
                    yield line
            except (requests.RequestException, urllib3.exceptions.HTTPError) as failure:
                raise StreamBroken(self._session.message(question, failures.describe(failure))) from failure

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
        self._need_key("create measurements")
        question = Question(
            what=f"creating {len(definitions)} measurements tagged '{tag}'",
            permission="Schedule a new measurement",
            once=True,
        )

        def send() -> Answer:
            # A pooled connection that the server is just closing would end in a failure that says nothing.
            self._session.close()
            request = self._session.request(
                Create,
                key=self.endpoint.key,
                measurements=[_FORMS[definition["type"]](**_options(definition)) for definition in definitions],
                sources=[AtlasSource(type="probes", value=",".join(map(str, probes)), requested=len(probes))],
                # cousteau reads the fields of a datetime as UTC, and warns if given a number.
                start_time=datetime.fromtimestamp(int(start), UTC),
                stop_time=None if stop is None else datetime.fromtimestamp(int(stop), UTC),
                is_oneoff=one_off,
            )
            return self._session.send(request, request.create)

        _, body = self._session.exchange(question, send)
        ids = body.get("measurements") if isinstance(body, dict) else None
        if not isinstance(ids, list) or [type(one) for one in ids] != [int] * len(definitions):
            problem = f"the answer holds no {len(definitions)} ids: {failures.clean(body, self.endpoint.key, 100)}"
            raise PlatformUnsure(self._session.message(question, problem, PlatformUnsure))
        return ids

    def stop(self, measurement: int) -> None:
        """Stop a measurement; its results stay."""
        self._need_key("stop measurements")
        question = Question(
            what=f"stopping measurement {measurement}", permission="stop measurements", may_be_empty=True
        )

        def send() -> Answer:
            request = self._session.request(Stop, key=self.endpoint.key, msm_id=measurement)
            request.url_path += "/"
            return self._session.send(request, request.create)

        self._session.exchange(question, send)

    def _get(self, path: str, params: dict[str, str]) -> Any:
        permission = next((name for start, name in _PERMISSIONS.items() if path.startswith(start)), None)
        if permission is not None:
            self._need_key(f"read {path.partition('?')[0]}")

        def send() -> Answer:
            key = None if permission is None else self.endpoint.key
            request = self._session.request(Get, key=key, url_path=f"{API}{path}")
            return self._session.send(request, request.get, **params)

        question = Question(what=f"reading {path.partition('?')[0]}", permission=permission)
        return self._session.exchange(question, send)[1]

    def _need_key(self, purpose: str) -> None:
        if self.endpoint.key is None:
            raise PlatformFailed(
                f"no RIPE Atlas key to {purpose}: set ATLAS_CREATE_KEY to one that you made at {failures.KEYS_PAGE}"
            )

    def _below_api(self, question: Question, address: object) -> str:
        """Return path and query of the next page, below the API of this server."""
        parts = urlsplit(str(address))
        host = parts.netloc.lower().removesuffix(":443")
        same = (parts.scheme, host) == ("https", self.endpoint.server.lower().removesuffix(":443"))
        if not same or not parts.path.startswith(f"{API}/"):
            where = failures.clean(address, self.endpoint.key, 100)
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
    if start.startswith(b"{") and end.endswith(b"}") and is_ended and not start.startswith(b'{"error"'):
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
