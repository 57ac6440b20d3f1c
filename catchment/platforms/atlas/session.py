"""One HTTP session with the API: timeouts, tries, and one kind of failure for all that can go wrong.

JSON is asked for through cousteau's request classes, which know neither timeout nor session and lose the HTTP status;
here they get all three. Streams go through the same session, because cousteau holds whole answers in memory.
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import json
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from ripe.atlas.cousteau import AtlasCreateRequest, AtlasRequest, AtlasStopRequest

from catchment import __version__
from catchment.errors import PlatformFailed
from catchment.platforms.atlas import failures
from catchment.platforms.atlas.failures import PlatformUnsure, Refused

API = "/api/v2"
CHUNK = 65_536
_AGENT = f"catchment/{__version__}"
_TRIES = 5
_LONGEST_BACKOFF_S = 30.0
_LONGEST_RETRY_AFTER_S = 120.0  # nobody wants to watch a program that keeps silent for longer
_LONGEST_MESSAGE = 1200
_MAY_EXIST = "the measurements may exist now: look under https://{server}/measurements/ before asking again"

Answer = tuple[requests.Response, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the API is: host (and port), what to trust (True: the usual authorities, or a PEM file), and the key.

    `key_source` names where the key was found, for messages. Raises PlatformFailed where server or key cannot be one.
    """

    server: str = "atlas.ripe.net"
    verify: str | bool = True
    key: str | None = field(default=None, repr=False)
    key_source: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?", self.server):
            raise PlatformFailed(f"'{failures.clean(self.server)}' is no server: give it as host or host:port")
        if isinstance(self.verify, str):
            try:
                ssl.create_default_context(cafile=self.verify)
            except OSError as error:
                raise PlatformFailed(f"{self.verify}: no file of certificates that can be read: {error}") from error
        # requests would show a key that it cannot send.
        if self.key is not None and not (self.key and all("!" <= char <= "~" for char in self.key)):
            raise PlatformFailed(
                f"the key of {self.key_source or 'this command'} holds characters that no key has: copy it anew from "
                f"{failures.KEYS_PAGE}"
            )

    @property
    def is_loopback(self) -> bool:
        """Tell whether the server is this host, which no proxy can reach."""
        host = urlsplit(f"//{self.server}").hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


class _InSession:
    """What cousteau's request classes lack: session, timeout, the response with its status, the exception itself."""

    http_method_args: dict[str, Any]

    def __init__(self, *, session: requests.Session, timeout_s: tuple[float, float], **options: Any) -> None:
        super().__init__(**options)
        self.http_methods = {"GET": session.get, "POST": session.post, "DELETE": session.delete}
        # The API redirects nobody; a captive portal does, to a page that is no answer.
        self.http_method_args |= {"timeout": timeout_s, "allow_redirects": False}
        self.response: requests.Response | None = None
        self.failure: requests.RequestException | None = None

    def get_http_method(self, method: str) -> requests.Response:
        """Send the request, and keep what cousteau would lose."""
        try:
            self.response = super().get_http_method(method)  # type: ignore[misc]
        except requests.RequestException as failure:
            self.failure = failure
            raise
        return self.response


class Get(_InSession, AtlasRequest):  # type: ignore[misc]
    """A request for JSON."""


class Create(_InSession, AtlasCreateRequest):  # type: ignore[misc]
    """A request for new measurements."""


class Stop(_InSession, AtlasStopRequest):  # type: ignore[misc]
    """A request to stop a measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, for messages; what the key must allow (None: no key is shown); how often it may be asked.

    What may happen only `once` is repeated only where it certainly has not happened.
    """

    what: str
    permission: str | None = None
    once: bool = False
    may_be_empty: bool = False


class Session:
    """Connections to one endpoint. `sleep` waits between tries, `random` (0 to 1) spreads them.

    `timeout_s` is for connecting and for each read. `heard` is told the server's time whenever it answers, `say` why
    an answer is being waited for. `warnings` collects the API's remarks on answers that were good.
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
    ) -> None:
        self.endpoint = endpoint
        self.warnings: list[str] = []
        self._sleep = sleep
        self._random = random
        self._say = say
        self._timeout_s = timeout_s
        self._http = requests.Session()
        self._http.trust_env = not endpoint.is_loopback
        # Without an `auth` of its own, requests lets a line of ~/.netrc replace the key.
        self._http.auth = lambda request: request
        self._http.hooks["response"].append(lambda response, **_: _tell_time(response, heard))

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        self._http.close()

    def request(self, form: type[_InSession], **options: Any) -> Any:
        """Return one of cousteau's requests, to be sent through this session."""
        return form(
            session=self._http,
            timeout_s=self._timeout_s,
            server=self.endpoint.server,
            verify=self.endpoint.verify,
            user_agent=_AGENT,
            **options,
        )

    @staticmethod
    def send(request: Any, method: Callable[..., tuple[bool, Any]], **params: str) -> Answer:
        """Send a request of cousteau's by its own method; return response and body, or raise what it swallowed."""
        _, body = method(**params)
        if request.failure is not None:
            raise request.failure
        return request.response, body

    def open_stream(self, path: str, params: dict[str, str]) -> Answer:
        """Ask for a stream; return the open response, and as body None if it is good."""
        response = self._http.get(
            f"https://{self.endpoint.server}{API}{path}",
            params=params,
            headers={"User-Agent": _AGENT},
            verify=self.endpoint.verify,
            timeout=self._timeout_s,
            allow_redirects=False,
            stream=True,
        )
        if response.status_code == requests.codes.ok:
            return response, None
        with response:
            start = next(response.iter_content(CHUNK), b"").decode(errors="replace")
        try:
            return response, json.loads(start)
        except ValueError:
            return response, start

    def exchange(self, question: Question, send: Callable[[], Answer]) -> Answer:
        """Send until there is a good answer or no hope of one. Raises PlatformFailed."""
        for attempt in range(_TRIES):
            backoff_s = min(_LONGEST_BACKOFF_S, 2.0**attempt) * (0.5 + self._random())
            try:
                response, body = send()
            except (OSError, ValueError, urllib3.exceptions.HTTPError) as failure:
                unsent = failures.was_never_sent(failure)
                if failures.is_hopeless(failure) or (question.once and not unsent) or attempt == _TRIES - 1:
                    form = PlatformUnsure if question.once and not unsent else PlatformFailed
                    raise form(self.message(question, failures.describe(failure), form)) from failure
                self._say_once(attempt, self.message(question, failures.describe(failure)))
                self._sleep(backoff_s)
                continue
            problem, again = self._judge(question, response, body)
            if problem is None:
                return response, body
            asked_s = _retry_after_s(response)
            if not again or attempt == _TRIES - 1 or (asked_s or 0.0) > _LONGEST_RETRY_AFTER_S:
                raise problem
            self._say_once(attempt, str(problem))
            self._sleep(backoff_s if asked_s is None else asked_s + self._random())
        raise AssertionError("the last try returns or raises")

    def _say_once(self, attempt: int, problem: str) -> None:
        if attempt == 0:
            self._say(f"trying again, {_TRIES - 1} times at most: {problem}")

    def message(self, question: Question, problem: str, form: type[PlatformFailed] = PlatformFailed) -> str:
        """Return the one line that says what was asked, what happened and what to do; the key never stands in it."""
        server = self.endpoint.server
        line = f"{server}: {question.what}: {problem}"
        if form is PlatformUnsure:
            line += f"; {_MAY_EXIST.format(server=server)}"
        return failures.clean(line, self.endpoint.key, _LONGEST_MESSAGE)

    def _judge(self, question: Question, response: requests.Response, body: Any) -> tuple[PlatformFailed | None, bool]:
        """Return what is wrong with an answer, if anything, and whether it makes sense to ask again."""
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
        return form(self.message(question, problem, form)), not question.once and not is_page

    def _refusal(
        self, question: Question, response: requests.Response, body: Any, status: int
    ) -> tuple[PlatformFailed, bool]:
        key = self.endpoint.key
        where = failures.clean(response.headers.get("Location", ""), key, 100)
        words = [f"{status} {response.reason or ''}".strip(), where, failures.clean(failures.said(body), key)]
        problem = ": ".join(word for word in words if word)
        if question.once and status >= 500 and status != requests.codes.service_unavailable:
            return PlatformUnsure(self.message(question, problem, PlatformUnsure)), False
        asked_s = _retry_after_s(response)
        advice = failures.advise(status, key_source=self._key_source, permission=question.permission)
        if asked_s is not None and asked_s > _LONGEST_RETRY_AFTER_S:
            advice = f"the server asks to try again in {asked_s:.0f} s"
        again = status >= 500 or status == requests.codes.too_many_requests
        return Refused(self.message(question, f"{problem}: {advice}"), status), again

    @property
    def _key_source(self) -> str | None:
        return None if self.endpoint.key is None else self.endpoint.key_source or "this command"

    def _remember(self, warnings: object) -> None:
        for where, what in failures.complaints(warnings):
            line = failures.clean(f"{where}: {what}" if where else what, self.endpoint.key)
            if line not in self.warnings:
                self.warnings.append(line)


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the wait that Retry-After asks for: seconds, or a date held against the server's own (RFC 9110)."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        until, now = (email.utils.parsedate_to_datetime(text) for text in (asked, response.headers.get("Date", "")))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):  # no date, or one with and one without a time zone
        return None


def _tell_time(response: requests.Response, heard: Callable[[float], None]) -> None:
    with contextlib.suppress(TypeError, ValueError):  # no date, or none that can be read
        heard(email.utils.parsedate_to_datetime(response.headers.get("Date", "")).timestamp())
