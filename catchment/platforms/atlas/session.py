"""One HTTP session with the API: timeouts, tries, and one kind of failure for all that can go wrong.

JSON is asked for through cousteau's request classes (`verbs`). Streams go through the same session, because cousteau
holds whole answers in memory. Whatever comes out of here, JSON included, holds no key, also where the server says it
again.
"""

from __future__ import annotations

import contextlib
import email.utils
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

import requests
import urllib3

from catchment import __version__
from catchment.errors import PlatformFailed
from catchment.platforms.atlas import failures
from catchment.platforms.atlas.endpoint import Endpoint
from catchment.platforms.atlas.failures import PlatformUnsure, Refused
from catchment.platforms.atlas.hiding import Hiding
from catchment.platforms.atlas.keys import Key, Permission
from catchment.platforms.atlas.verbs import InSession
from catchment.services.fetching import retry_after_s

API = "/api/v2"
CHUNK = 65_536
TIMEOUT_S = (5.0, 60.0)
"""For connecting, and for each read."""

_AGENT = f"catchment/{__version__}"
_TRIES = 5
_LONGEST_BACKOFF_S = 30.0
_LONGEST_RETRY_AFTER_S = 120.0  # nobody wants to watch a program that keeps silent for longer
_LONGEST_MESSAGE = 1200
_LONGEST_TRACED = 200
_LONGEST_SAID = 600


class Answer(NamedTuple):
    """A response, what its body says, and how long that is; of a stream neither is known yet."""

    response: requests.Response
    body: Any = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, for messages; the key that is shown, if any, and what it must allow; how often it may be asked.

    What may happen only `once` is repeated only where it certainly has not happened.
    """

    what: str
    permission: Permission | None = None
    key: Key | None = None
    once: bool = False
    may_be_empty: bool = False


class Session:
    """Connections to one endpoint. `sleep` waits between tries, `random` (0 to 1) spreads them.

    `timeout_s` is for connecting and for each read. `heard` is told the server's time whenever it answers, `say` which
    key is used, and why an answer is being waited for; `trace` gets a line for each request, failure and wait.
    `warnings` collects the API's remarks on answers that were good.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        sleep: Callable[[float], None],
        random: Callable[[], float],
        timeout_s: tuple[float, float],
        heard: Callable[[float], None],
        say: Callable[[str], None],
        trace: Callable[[str], None],
    ) -> None:
        self.endpoint = endpoint
        self.hiding = Hiding(key.value for key in endpoint.keys)
        self.warnings: list[str] = []
        self._sleep = sleep
        self._random = random
        self._say = say
        self._trace = trace
        self._told: set[str] = set()
        self._timeout_s = timeout_s
        self._http = requests.Session()
        self._http.trust_env = not endpoint.is_loopback
        # Without an `auth` of its own, requests lets a line of ~/.netrc replace the key.
        self._http.auth = lambda request: request
        self._http.hooks["response"].append(lambda response, **_: _tell_time(response, heard))

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        self._http.close()

    def key_for(self, permission: Permission, purpose: str) -> Key:
        """Return the key for a purpose, and say once where it is from. Raises Refused where there is none."""
        keys = self.endpoint.keys
        for warning in keys.warnings:
            self._tell(f"warning: {warning}")
        key = keys.serving(permission)
        if key is None:
            raise Refused(failures.no_key(purpose, permission), HTTPStatus.UNAUTHORIZED)
        self._tell(f"key: {key.source}")
        return key

    def _tell(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._say(line)

    def request(self, form: type[InSession], question: Question, **options: Any) -> Any:
        """Return one of cousteau's requests, to be sent through this session."""
        return form(
            session=self._http,
            timeout_s=self._timeout_s,
            server=self.endpoint.server,
            verify=self.endpoint.verify,
            user_agent=_AGENT,
            key=None if question.key is None else question.key.value,
            **options,
        )

    def send(self, request: Any, method: Callable[..., tuple[bool, Any]], **params: str) -> Answer:
        """Send a request of cousteau's by its own method; return the answer, or raise what it swallowed."""
        _, body = method(**params)
        if request.failure is not None:
            raise request.failure
        response = request.response
        if self.hiding.may_be_in(response.content.decode(errors="replace")):
            body = self.hiding.from_json(body)
        return Answer(response, body, len(response.content))

    def open_stream(self, path: str, params: dict[str, str], question: Question) -> Answer:
        """Ask for a stream; return the open response, without a body if it is good."""
        response = self._http.get(
            f"https://{self.endpoint.server}{API}{path}",
            params=params,
            headers={"User-Agent": _AGENT} | _authorization(question.key),
            verify=self.endpoint.verify,
            timeout=self._timeout_s,
            allow_redirects=False,
            stream=True,
        )
        if response.status_code == requests.codes.ok:
            return Answer(response)
        with response:
            start = next(response.iter_content(CHUNK), b"").decode(errors="replace")
        try:
            return Answer(response, json.loads(start), len(start))
        except ValueError:
            return Answer(response, start, len(start))

    def exchange(self, question: Question, send: Callable[[], Answer]) -> Answer:
        """Send until there is a good answer or no hope of one. Raises PlatformFailed."""
        for attempt in range(_TRIES):
            asked_s = None
            try:
                answer = send()
            except (OSError, ValueError, urllib3.exceptions.HTTPError) as failure:
                problem, again = self._failed(question, failure)
            else:
                self.trace(f"{_described(answer)} {1000 * answer.response.elapsed.total_seconds():.0f} ms")
                refused, again = self._judge(question, answer)
                if refused is None:
                    return answer
                problem, asked_s = refused, retry_after_s(answer.response)
            if not again or attempt == _TRIES - 1 or (asked_s or 0.0) > _LONGEST_RETRY_AFTER_S:
                raise problem
            if attempt == 0:
                self._say(f"trying again, {_TRIES - 1} times at most: {problem}")
            backoff_s = min(_LONGEST_BACKOFF_S, 2.0**attempt) * (0.5 + self._random())
            wait_s = backoff_s if asked_s is None else asked_s + self._random()
            self.trace(f"waiting {wait_s:.1f} s before try {attempt + 2} of {_TRIES}")
            self._sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def trace(self, line: str) -> None:
        """Tell whoever wants to know every step."""
        self._trace(self.clean(line, _LONGEST_MESSAGE))

    def clean(self, text: object, longest: int = _LONGEST_MESSAGE) -> str:
        """Return what a server said as one line without any key in it."""
        return failures.clean(text, self.hiding, longest)

    def without_key(self, line: bytes) -> bytes:
        """Return a line of a stream that was asked for with a key, without it."""
        text = line.decode(errors="surrogateescape")
        return self.hiding(text).encode(errors="surrogateescape") if self.hiding.may_be_in(text) else line

    def message(self, question: Question, problem: str) -> str:
        """Return the one line that says what was asked, what happened and what to do; no key ever stands in it."""
        return self.clean(f"{self.endpoint.server}: {question.what}: {problem}")

    def _failed(self, question: Question, failure: Exception) -> tuple[PlatformFailed, bool]:
        """Return what came of a request that got no whole answer, and whether it makes sense to ask again."""
        what = failures.describe(failure)
        self.trace(f"{question.what}: {what}")
        form = PlatformUnsure if question.once and not failures.was_never_sent(failure) else PlatformFailed
        problem = form(self.message(question, what))
        problem.__cause__ = failure
        return problem, form is PlatformFailed and not failures.is_hopeless(failure)

    def _judge(self, question: Question, answer: Answer) -> tuple[PlatformFailed | None, bool]:
        """Return what is wrong with an answer, if anything, and whether it makes sense to ask again."""
        response, body = answer.response, answer.body
        error = body.get("error") if isinstance(body, dict) else None
        if not 200 <= response.status_code < 300:
            return self._refusal(question, response, body, response.status_code)
        if isinstance(error, dict):
            status = error.get("status")
            return self._refusal(question, response, body, status if isinstance(status, int) else response.status_code)
        if isinstance(body, dict):
            self._remember(body.get("warnings"))
        if not isinstance(body, str) or (question.may_be_empty and not body.strip()):
            return None, False
        form = PlatformUnsure if question.once else PlatformFailed
        is_page = failures.is_html(body)
        problem = failures.WEB_PAGE if is_page else failures.NO_JSON
        return form(self.message(question, problem)), not question.once and not is_page

    def _refusal(
        self, question: Question, response: requests.Response, body: Any, status: int
    ) -> tuple[PlatformFailed, bool]:
        where, said = (
            self.clean(response.headers.get("Location", ""), 100),
            self.clean(failures.said(body), _LONGEST_SAID),
        )
        problem = ": ".join(filter(None, [f"{status} {response.reason or ''}".strip(), where, said]))
        if question.once and not _is_certainly_refused(status):
            return PlatformUnsure(self.message(question, problem)), False
        asked_s = retry_after_s(response)
        advice = failures.advise(status, key=question.key, permission=question.permission, words=said)
        if asked_s is not None and asked_s > _LONGEST_RETRY_AFTER_S:
            advice = f"the server asks to try again in {asked_s:.0f} s"
        again = status >= 500 or status in {requests.codes.request_timeout, requests.codes.too_many_requests}
        # What may happen once is not repeated here: it names a time to begin, which may be past by then.
        return Refused(self.message(question, f"{problem}: {advice}"), status, asked_s), again and not question.once

    def _remember(self, warnings: object) -> None:
        for where, what in failures.complaints(warnings):
            line = self.clean(f"{where}: {what}" if where else what, _LONGEST_SAID)
            if line not in self.warnings:
                self.warnings.append(line)


def _is_certainly_refused(status: int) -> bool:
    """Tell whether what was asked for was surely not done. A gateway that lost patience knows nothing of it."""
    return 300 <= status < 500 and status != requests.codes.request_timeout


def _authorization(key: Key | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Key {key.value}"}


def _described(answer: Answer) -> str:
    """Return what was asked and how it was answered: `GET /api/v2/probes/?page=2 200 12.3 kB`."""
    request = answer.response.request
    address = failures.clean(request.path_url, longest=_LONGEST_TRACED)
    size = "a stream" if answer.size_bytes is None else size_of(answer.size_bytes)
    return f"{request.method} {address} {answer.response.status_code} {size}"


def size_of(size_bytes: int) -> str:
    """Return a number of bytes as text."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1000:.1f} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1_000_000:.1f} MB"


def _tell_time(response: requests.Response, heard: Callable[[float], None]) -> None:
    with contextlib.suppress(TypeError, ValueError):  # no date, or none that can be read
        heard(email.utils.parsedate_to_datetime(response.headers.get("Date", "")).timestamp())
