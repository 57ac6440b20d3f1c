"""The API on loopback: HTTP/1.1 over TLS, with a certificate authority made for the run."""

from __future__ import annotations

import email.utils
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol

import trustme

from catchment.errors import PlatformFailed
from catchment.platforms.sandbox.api.conversation import Conversation
from catchment.platforms.sandbox.api.endings import Broken, Ending
from catchment.platforms.sandbox.api.exchange import Refusal, Request, Response

HOST = "127.0.0.1"
_LARGEST_BODY = 16 << 20
_PATIENCE_S = 60.0  # with a client that opens a connection and says nothing
_FAREWELL_S = 5.0
_DRAINING_S = 1.0
_STALL_S = 600.0  # longer than any client waits
_RESET_AT_ONCE = struct.pack("ii", 1, 0)
_BLOCK = 1 << 16


class Responding(Protocol):
    """What answers requests: the API, or a fault in front of it."""

    def respond(self, request: Request) -> Response: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that runs: `ca_file` is what its clients must trust, `failures` what went wrong inside of it."""

    host: str
    port: int
    ca_file: Path
    authority: trustme.CA = field(repr=False)
    failures: list[Exception] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Return `host:port`."""
        return f"{self.host}:{self.port}"


@contextmanager
def serving(
    api: Responding,
    *,
    folder: Path,
    port: int = 0,
    now: Callable[[], float] = time.time,
    beside: Serving | None = None,
) -> Iterator[Serving]:
    """Serve an API until the end of the context; port 0 is any free one. Its answers are dated by `now`.

    The CA is written into `folder`, under a name with the port in it: another server may have its own there. One that
    runs `beside` another has the same CA. Raises PlatformFailed where the port cannot be had.
    """
    authority = trustme.CA() if beside is None else beside.authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    failures: list[Exception] = [] if beside is None else beside.failures
    try:
        server = _Server((HOST, port), api, context, failures, now)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise PlatformFailed(f"port {port} on {HOST}: {reason}: name another port, or 0 for any free one") from error
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="sandbox", daemon=True)
    thread.start()
    try:
        port = server.server_address[1]
        if beside is None:
            folder.mkdir(parents=True, exist_ok=True)
            authority.cert_pem.write_to_path(str(folder / f"ca-{port}.pem"))
        ca_file = folder / f"ca-{port}.pem" if beside is None else beside.ca_file
        yield Serving(host=HOST, port=port, ca_file=ca_file, authority=authority, failures=failures)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_FAREWELL_S)


class _Server(socketserver.TCPServer):
    """A thread for each connection. Closing it ends those that wait for a client's next request."""

    allow_reuse_address = True
    request_queue_size = 128
    server_address: tuple[str, int]

    def __init__(
        self,
        address: tuple[str, int],
        api: Responding,
        context: ssl.SSLContext,
        failures: list[Exception],
        now: Callable[[], float],
    ) -> None:
        self.api = api
        self.now = now
        self.failures = failures
        self._context = context
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a new connection in a thread of its own: a slow handshake must not keep others waiting."""
        thread = threading.Thread(target=self._converse, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections[thread] = request
        thread.start()

    def server_close(self) -> None:
        """Hang up on every client and wait until all threads are done."""
        super().server_close()
        with self._lock:
            open_now = list(self._connections.items())
        for _, connection in open_now:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in open_now:
            thread.join(_FAREWELL_S)

    def _converse(self, connection: socket.socket, client_address: Any) -> None:
        # A duplicate stays for hanging up from another thread: the TLS socket takes the first one over.
        with connection, suppress(OSError):
            connection.settimeout(_PATIENCE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._context.wrap_socket(connection.dup(), server_side=True) as secured:
                self.finish_request(secured, client_address)
        with self._lock:
            self._connections.pop(threading.current_thread(), None)


class _Handler(BaseHTTPRequestHandler):
    """One connection: as many requests as its client likes."""

    protocol_version = "HTTP/1.1"
    server_version = "catchment-sandbox"
    sys_version = ""
    wbufsize = _BLOCK
    server: _Server

    def parse_request(self) -> bool:
        """Let every method through to the API, which knows what it allows."""
        parsed = super().parse_request()
        if parsed and not hasattr(self, f"do_{self.command}"):
            setattr(self, f"do_{self.command}", self._answer)
        return parsed

    def finish(self) -> None:
        """Close both directions, also where what is left to send cannot be sent: the socket stays open until then."""
        with suppress(OSError):
            super().finish()
        self.rfile.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: a line could hold a key, and would go amid a progress bar."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return a time for headers, by default that of the sandbox: its clients go by it."""
        return email.utils.formatdate(self.server.now() if timestamp is None else timestamp, usegmt=True)

    def _answer(self) -> None:
        unread = False
        try:
            response = self.server.api.respond(self._read())
        except Refusal as refusal:
            unread = self.close_connection = True
            response = refusal.response()
        except Exception as error:  # noqa: BLE001  (a client gets an answer, whatever happens here)
            self.server.failures.append(error)
            response = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "The sandbox failed.").response()
        try:
            self._write(response)
            if unread:
                self._drain()
        except OSError:
            self.close_connection = True  # the client has gone
        except Exception as error:  # noqa: BLE001  (amid a stream, where nothing can be said any more)
            self.server.failures.append(error)
            self.close_connection = True

    def _read(self) -> Request:
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or len(length) > 18 or "Transfer-Encoding" in self.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "Send the body with its length.")
        if int(length) > _LARGEST_BODY:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large.")
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(length)) if int(length) else b""
        return Request(method=self.command, path=path, query=query, headers=headers, body=body)

    def _drain(self, patience_s: float = _DRAINING_S) -> None:
        """Read what the client still sends: to close on unread bytes is a reset, which may overtake the answer."""
        self.connection.settimeout(patience_s)
        for _ in range(_LARGEST_BODY // _BLOCK):
            if not self.rfile.read1(_BLOCK):
                return

    def _write(self, response: Response) -> None:
        if isinstance(response, Conversation):
            self.close_connection = True
            response.converse(self.connection)
            return
        broken = response if isinstance(response, Broken) else None
        if broken is None or broken.sent is not None:
            self._send(response, None if broken is None else broken.sent)
        if broken is not None:
            self._break_off(broken.ending)

    def _send(self, response: Response, most: int | None) -> None:
        """Send the head, and the body or the first bytes of it."""
        self.send_response_only(response.status)
        usual = {"Server": self.version_string(), "Date": self.date_time_string()}
        for name, value in {**usual, **response.headers}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        if isinstance(response.body, bytes):
            if response.status != HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body[:most])
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in filter(None, response.body if most is None else _first(most, response.body)):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if most is None:
                self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _break_off(self, ending: Ending) -> None:
        self.close_connection = True
        if ending is Ending.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
        elif ending is Ending.STALL:
            self._drain(_STALL_S)  # until the client hangs up, or the server does when it is closed


def _first(most: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the first bytes of a body that is made while it is sent."""
    for chunk in chunks:
        yield chunk[:most]
        most -= len(chunk)
        if most <= 0:
            return
