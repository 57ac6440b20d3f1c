"""Published lists, fetched over HTTP: bounded in time and size, and every way to fail is one line."""

from __future__ import annotations

import email.utils
import ipaddress
import json
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from catchment.errors import CatchmentError

LIMIT_BYTES = 8 << 20
"""Of a list, uncompressed; the longest, F-root's, has 0.13 MB."""

_TIMEOUT_S = 60.0
_REDIRECTS = 5
_CHUNK = 1 << 14
_DEEPEST = 20
_LONGEST_SAID = 200
_HEADERS = {"User-Agent": "catchment", "Accept": "application/json"}


class ListUnavailable(CatchmentError):
    """A published list could not be fetched: try again later, or name another server."""


def fetch_list(url: str, *, timeout_s: float = _TIMEOUT_S, verify: bool | str = True) -> Mapping[str, Any]:
    """Fetch a JSON object within `timeout_s`, all in all. Raises ListUnavailable.

    `verify` is True for the usual authorities, or a PEM file. Redirects are followed only to https on the same host.
    """
    found: queue.SimpleQueue[Mapping[str, Any] | Exception] = queue.SimpleQueue()

    def fetch() -> None:
        try:
            found.put(_fetch(url, time.monotonic() + timeout_s, timeout_s, verify=verify))
        except Exception as error:  # noqa: BLE001  (raised below, in the thread that waits for it)
            found.put(error)

    # A server that sends a byte now and then holds a read for ever, whatever its timeout: so nobody waits for the read.
    threading.Thread(target=fetch, name="fetch_list", daemon=True).start()
    try:
        outcome = found.get(timeout=timeout_s)
    except queue.Empty:
        outcome = _too_slow(timeout_s)
    if isinstance(outcome, ListUnavailable):
        raise ListUnavailable(f"{url}: {outcome}") from outcome
    if isinstance(outcome, Exception):
        raise ListUnavailable(f"{url}: {_described(outcome, timeout_s)}") from outcome
    return outcome


def retry_after_s(response: requests.Response) -> float | None:
    """Return the wait that Retry-After asks for: seconds, or a date held against the server's own (RFC 9110)."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        until, now = (email.utils.parsedate_to_datetime(text) for text in (asked, response.headers.get("Date", "")))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):  # no date, or one with and one without a time zone
        return None


def _fetch(url: str, deadline: float, timeout_s: float, *, verify: bool | str) -> Mapping[str, Any]:
    with requests.Session() as session:
        session.trust_env = not _is_loopback(url)  # no proxy can reach this host
        session.auth = lambda request: request  # else a line of ~/.netrc would be shown to the server
        for _ in range(_REDIRECTS):
            with session.get(
                url, headers=_HEADERS, timeout=timeout_s, verify=verify, allow_redirects=False, stream=True
            ) as response:
                if not response.is_redirect:
                    return _read(response, deadline, timeout_s)
                url = _redirected(url, response.headers["Location"])
    raise ListUnavailable("it redirects without end: name another server")


def _redirected(url: str, location: str) -> str:
    onward = urljoin(url, location)
    there = urlsplit(onward)
    if there.scheme != "https" or there.hostname != urlsplit(url).hostname:
        raise ListUnavailable(
            f"it redirects to '{onward[:_LONGEST_SAID]}', which is not followed: name that server if you trust it"
        )
    return onward


def _read(response: requests.Response, deadline: float, timeout_s: float) -> Mapping[str, Any]:
    _refuse_failure(response)
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > LIMIT_BYTES:
            raise ListUnavailable(f"it sends more than {LIMIT_BYTES >> 20} MB, which is no list of sites")
        if time.monotonic() > deadline:
            raise _too_slow(timeout_s)
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair, which no file can hold
    except (ValueError, RecursionError) as error:
        what = "a web page" if body.lstrip()[:1] == b"<" else f"no JSON ({error})"
        raise ListUnavailable(f"it answers with {what}: name another server, or try again later") from error
    if not isinstance(document, dict):
        raise ListUnavailable("it answers with JSON that is no object: name another server, or try again later")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"'{name}' is no JSON number")


def _refuse_failure(response: requests.Response) -> None:
    """Raise ListUnavailable unless the answer is good."""
    if response.status_code == requests.codes.ok:
        return
    status = f"{response.status_code} {response.reason or ''}".strip()[:_LONGEST_SAID]
    if response.status_code == requests.codes.too_many_requests:
        wait_s = retry_after_s(response)
        when = "in some minutes" if wait_s is None else f"in {wait_s:.0f} s"
        raise ListUnavailable(f"{status}: it answers only so many requests: try again {when}")
    if response.status_code == requests.codes.not_found:
        raise ListUnavailable(f"{status}: it has no such list: name another server")
    raise ListUnavailable(f"{status}: try again later, or name another server")


def _described(failure: Exception, timeout_s: float) -> str:
    reason = _reason(failure)
    match failure:
        case requests.exceptions.SSLError():
            return (
                f"no connection that can be trusted ({reason}): check the clock of this host, or name the certificates "
                "of your proxy in REQUESTS_CA_BUNDLE"
            )
        case requests.exceptions.Timeout():
            return str(_too_slow(timeout_s))
        case (
            requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema() | requests.exceptions.MissingSchema()
        ):
            return f"that is no address of a server ({reason}): give it as https://host"
        case _:
            return f"cannot be reached ({reason}): check the network, or name another server"


def _reason(failure: BaseException) -> str:
    """Return the words of the innermost exception: requests and urllib3 wrap it as reason, argument or cause."""
    for _ in range(_DEEPEST):
        inner = (getattr(failure, "reason", None), *failure.args, failure.__cause__, failure.__context__)
        deeper = next((found for found in inner if isinstance(found, BaseException)), None)
        if deeper is None:
            break
        failure = deeper
    words = getattr(failure, "verify_message", None) or getattr(failure, "strerror", None) or str(failure)
    return str(words)[:_LONGEST_SAID] or type(failure).__name__


def _too_slow(timeout_s: float) -> ListUnavailable:
    return ListUnavailable(f"it did not answer in full within {timeout_s:g} s: try again later")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
