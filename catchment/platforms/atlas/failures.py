"""What can go wrong between here and RIPE Atlas, as one line each that says what to do next."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import requests
import urllib3

from catchment.errors import PlatformFailed
from catchment.platforms.atlas.keys import KEYS_PAGE, Key, Permission

_LONGEST_SAID = 600
_LONGEST_READ = 20_000  # of what a server says, before it is cleaned
WEB_PAGE = "a web page came in place of an answer, probably from a proxy or captive portal: check the network"
NO_JSON = "the answer is no JSON, or half of it: try again later"
_NO_CREDITS = "get more credits, or ask for less"
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG"}
_HAPPENED: dict[tuple[type[BaseException], ...], str] = {
    (ssl.SSLCertVerificationError,): "its certificate is not trusted ({reason}): check the clock of this host, or name "
    "the certificates of your proxy in REQUESTS_CA_BUNDLE",
    (requests.exceptions.ProxyError,): "the proxy cannot be reached, or refuses: check HTTPS_PROXY",
    (urllib3.exceptions.NameResolutionError,): "its name cannot be resolved: check the network",
    (ConnectionRefusedError,): "the connection was refused: check the server's address, and whether it runs",
    (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError): "no answer in time: check the network, or try "
    "again later",
}


class Refused(PlatformFailed):
    """The API answered, and the answer is no: `status` is the HTTP status code, `retry_after_s` what it asks to wait.

    Where there is no key for what needs one, it is not asked: the answer would be 401.
    """

    def __init__(self, message: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def is_forbidden(self) -> bool:
        """Tell whether the key was what was wrong, or that there was none."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

    @property
    def is_missing(self) -> bool:
        """Tell whether there is no such thing, or not yet."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def may_pass(self) -> bool:
        """Tell whether the same may be answered well at another time."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status == HTTPStatus.TOO_MANY_REQUESTS


class PlatformUnsure(PlatformFailed):
    """Measurements were asked for and the answer was lost: they may exist, and cost credits."""


class StreamBroken(PlatformFailed):
    """A stream of results ended before its end: what came until then is not whole. Asking again may help."""


def clean(text: object, hide: Callable[[str], str] = str, longest: int = _LONGEST_SAID) -> str:
    """Return what a server said as one line: without what is to be hidden, without control characters, not too long."""
    line = hide(str(text)[:_LONGEST_READ])
    # isprintable() leaves out terminal escapes as well as the invisible marks that turn the direction of writing.
    line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def is_html(text: str) -> bool:
    """Tell whether an answer is a web page."""
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def envelope(body: object) -> dict[str, Any] | None:
    """Return the API's error object, which comes enveloped in `error` or (older) as the body itself; None: no error."""
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, dict):
        return error
    return body if "detail" in body and "results" not in body else None


def said(body: object) -> str:
    """Return in the API's own words what was wrong: `detail`, then where (a JSON pointer or parameter) and what."""
    error = envelope(body)
    if error is None:
        if isinstance(body, str) and is_html(body):
            return "a web page"
        return str(body or "")
    words = [str(error.get("detail") or error.get("title") or "")]
    words += [f"{where}: {what}" if where else what for where, what in complaints(error.get("errors"))]
    return "; ".join(word for word in words if word)


def complaints(entries: object) -> Iterator[tuple[str, str]]:
    """Yield where and what of each entry of the API's `errors` or `warnings`."""
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict):
            yield "", str(entry)
            continue
        source, detail = entry.get("source"), entry.get("detail", "")
        where = str(source.get("pointer") or source.get("parameter") or "") if isinstance(source, dict) else ""
        yield where, " ".join(map(str, detail)) if isinstance(detail, list) else str(detail)


def no_key(purpose: str, permission: Permission) -> str:
    """Return what to do where there is no key at all for what needs a permission."""
    variable = "ATLAS_CREATE_KEY" if permission in {Permission.CREATE, Permission.STOP} else "ATLAS_FETCH_KEY"
    return (
        f"there is no RIPE Atlas key for {purpose}: set {variable} to one with the permission '{permission}'; "
        f"{KEYS_PAGE} makes them"
    )


def advise(status: int, *, key: Key | None, permission: Permission | None, words: str = "") -> str:
    """Return what to do about an HTTP status that came with these words.

    `permission` is what the `key` had to allow; None where none was shown.
    """
    if permission is Permission.CREATE and status in {402, 403} and "credit" in words.lower():
        return _NO_CREDITS
    if status in {401, 403}:
        if key is None or permission is None:
            return (
                "it is not for everybody: name a public measurement, or set ATLAS_FETCH_KEY to a key with the "
                f"permission '{Permission.RESULTS}' ({KEYS_PAGE})"
            )
        return (
            f"the key of {key.source} must exist, be valid today and have the permission '{permission}': see "
            f"{KEYS_PAGE}, then try again"
        )
    if 300 <= status < 400:
        return "probably a proxy or captive portal stands in between: check the network"
    if status >= 500:
        return "the server has a problem: try again later"
    return {
        400: "change the campaign, then run it again",
        402: _NO_CREDITS,
        404: "check the number",
        429: "too many requests: try again in some minutes",
    }.get(status, "check the server's address and the network")


def was_never_sent(failure: BaseException) -> bool:
    """Tell whether a request certainly did not reach the server: there was no connection, or no trust in it."""
    return any(
        isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
        for cause in causes(failure)
    ) or is_hopeless(failure)


def is_hopeless(failure: BaseException) -> bool:
    """Tell whether asking again cannot help: what listens there is not trusted, or speaks no TLS."""
    return any(
        isinstance(cause, ssl.SSLCertVerificationError | requests.exceptions.InvalidURL) or _is_not_tls(cause)
        for cause in causes(failure)
    )


def describe(failure: BaseException) -> str:
    """Return what happened to a request that got no answer, and what to do."""
    chain = list(causes(failure))
    if any(_is_not_tls(cause) for cause in chain):
        return "what answers there speaks no TLS: check the server's address and the proxy settings"
    for kinds, text in _HAPPENED.items():
        for cause in chain:
            if isinstance(cause, kinds):
                return text.format(reason=clean(getattr(cause, "verify_message", "")))
    return f"the connection broke off ({clean(chain[-1], longest=120)}): check the network, or try again later"


def _is_not_tls(cause: BaseException) -> bool:
    return isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS


def causes(failure: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that led to it: requests and urllib3 wrap those as causes, reasons and arguments."""
    waiting: list[BaseException] = [failure]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args]
        waiting += [found for found in inner if isinstance(found, BaseException)]
