"""A server on loopback, over TLS, that answers what a test tells it to: also late, broken, or not at all."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

from catchment.platforms.atlas.client import Atlas, Endpoint
from catchment.platforms.atlas.keys import Key, Keys

# With a server that answers, on a machine that may be busy; and with one that hangs, and then answers.
PATIENCE_S, SHORT_PATIENCE_S = 30.0, 2.0
KEY = "1b2c3d4e-0000-4000-8000-5f6a7b8c9d0e"


class Fault(Enum):
    """Ways not to answer a request that was read."""

    HANG = "hang"
    RESET = "reset"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer; `cut` ends the connection after so many bytes of the body. An empty header is not sent."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: Any


Script = Callable[[Request], Answer | Fault]


def ok(body: Any, **headers: str) -> Answer:
    return Answer(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def html(status: int = 200) -> Answer:
    page = b"<!DOCTYPE html><html><body>Please log in to the hotel's network</body></html>"
    return Answer(status=status, body=page, content_type="text/html")


def error(status: int, detail: str, *errors: dict[str, Any], **headers: str) -> Answer:
    table: dict[str, Any] = {"status": status, "code": 102, "title": "Bad Request", "detail": detail}
    if errors:
        table["errors"] = list(errors)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, body={"error": table}, headers=named)


def ndjson(*results: dict[str, Any], cut: int | None = None) -> Answer:
    text = b"".join(json.dumps(result).encode() + b"\n" for result in results)
    return Answer(body=text, cut=cut, content_type="text/plain")


class AtlasServer:
    """Listens on a free port of 127.0.0.1 and remembers what it was asked."""

    def __init__(self, authority: trustme.CA, script: Script | Iterable[Answer | Fault], port: int = 0) -> None:
        self.requests: list[Request] = []
        self._steps = iter(()) if callable(script) else iter(script)
        self._script = script if callable(script) else lambda _: next(self._steps)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._over = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def asked(self, name: str) -> list[str | None]:
        """Return the value of a parameter in every request."""
        return [request.params.get(name) for request in self.requests]

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(plain)
            thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
            self._connections.append(connection)
            with connection.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    self.requests.append(request)
                    answer = self._script(request)
                    if isinstance(answer, Fault):
                        self._fail(connection, answer)
                        return
                    if not _send(connection, answer):
                        return

    def _fail(self, connection: socket.socket, fault: Fault) -> None:
        match fault:
            case Fault.HANG:
                self._over.wait(100)
            case Fault.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case Fault.CLOSE:
                pass


def _read(stream: Any) -> Request | None:
    line = stream.readline().decode()
    if not line.strip():
        return None
    method, target, _ = line.split()
    headers = {}
    while field_line := stream.readline().decode().strip():
        name, _, value = field_line.partition(":")
        headers[name.lower()] = value.strip()
    raw = stream.read(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    params = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Request(
        method=method, path=parts.path, params=params, headers=headers, body=json.loads(raw) if raw else None
    )


def _send(connection: socket.socket, answer: Answer) -> bool:
    """Send an answer; tell whether the connection stays."""
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    if answer.status == 204:
        body = b""
    headers = {"Content-Type": answer.content_type, "Content-Length": str(len(body))} | answer.headers
    head = f"HTTP/1.1 {answer.status} Reason\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items() if value
    )
    connection.sendall(head.encode() + b"\r\n" + body[: answer.cut])
    return answer.cut is None


def keys_of(value: str | None, source: str = "ATLASAUTH") -> Keys:
    """Return the keys of somebody who has one for everything, or none."""
    return Keys() if value is None else Keys(create=Key(value=value, source=source))


@contextmanager
def serving(authority: trustme.CA, script: Script | Iterable[Answer | Fault]) -> Iterator[AtlasServer]:
    server = AtlasServer(authority, script)
    try:
        yield server
    finally:
        server.close()


@dataclass(frozen=True, slots=True)
class Bench:
    """What tests need: a certificate authority on file, and the times that a client slept."""

    authority: trustme.CA
    ca_file: Path
    slept: list[float]

    @contextmanager
    def atlas(
        self,
        script: Script | Iterable[Answer | Fault],
        *,
        key: str | Keys | None = KEY,
        sleep: Callable[[float], None] | None = None,
        patience_s: float = PATIENCE_S,
        heard: Callable[[float], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
        trace: Callable[[str], None] = lambda _: None,
    ) -> Iterator[tuple[Atlas, AtlasServer]]:
        """Yield a client and the server that it talks to, for whose next bytes it waits so long."""
        with (
            serving(self.authority, script) as server,
            Atlas(
                Endpoint(
                    server=server.address,
                    verify=str(self.ca_file),
                    keys=keys_of(key) if key is None or isinstance(key, str) else key,
                ),
                sleep=sleep or self.slept.append,
                random=lambda: 0.5,
                timeout_s=(PATIENCE_S, patience_s),
                heard=heard,
                say=say,
                trace=trace,
            ) as atlas,
        ):
            yield atlas, server


_AUTHORITY: list[trustme.CA] = []


def make_bench(folder: Path) -> Bench:
    """Return a bench; its authority is made once, because that takes a while."""
    if not _AUTHORITY:
        _AUTHORITY.append(trustme.CA())
    ca_file = folder / "ca.pem"
    _AUTHORITY[0].cert_pem.write_to_path(str(ca_file))
    return Bench(_AUTHORITY[0], ca_file, [])


def probe(number: int, *, country: str = "NL", tags: Iterable[str] = ("system-ipv4-works",)) -> dict[str, Any]:
    """Return a probe as the API describes one."""
    return {
        "id": number,
        "type": "Probe",
        "asn_v4": 64500 + number,
        "asn_v6": None,
        "country_code": country,
        "geometry": {"type": "Point", "coordinates": [4.9, 52.4]},
        "is_anchor": False,
        "is_public": True,
        "status": {"id": 1, "name": "Connected"},
        "tags": [{"name": tag, "slug": tag} for tag in tags],
    }
