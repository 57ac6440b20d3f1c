"""The stream of results as they arrive: frames in a WebSocket (RFC 6455), or the same as lines of a plain answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, TextMessage
from wsproto.utilities import ProtocolError

from catchment.platforms.sandbox.api.conversation import Conversation
from catchment.platforms.sandbox.api.exchange import Refusal, Request, Response
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.subscriptions import Frame, Subscriptions
from catchment.platforms.sandbox.clock import Clock

_LOOK_S = 0.05  # how often, of real time, it looks whether results have arrived
_PATIENCE_S = 60.0  # with a client that does not take what it is sent
_BLOCK = 1 << 16
_LONGEST_MESSAGE = 1 << 16
_MOST_DRAINED = 1000  # blocks
_TOO_BIG = 1009  # RFC 6455, 7.4.1
_PLAIN_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Streams:
    """What answers at the stream's own address: GET /stream/, as RIPE Atlas has it on a host of its own."""

    ledger: Ledger
    clock: Clock

    def respond(self, request: Request) -> Response:
        """Answer a request: with a WebSocket where it asks for one, else with lines for what its query wants."""
        try:
            if request.path.strip("/") != "stream":
                raise Refusal(HTTPStatus.NOT_FOUND, "Not found.")
            if request.method != "GET":
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f'Method "{request.method}" not allowed.')
            if "upgrade" not in request.headers:
                return Conversation(status=HTTPStatus.OK, converse=partial(self._lines, request))
            converse = partial(self._websocket, _upgraded(request))
            return Conversation(status=HTTPStatus.SWITCHING_PROTOCOLS, converse=converse)
        except Refusal as refusal:
            return refusal.response()

    def _lines(self, request: Request, connection: socket.socket) -> None:
        subscriptions = Subscriptions(self.ledger)

        def send(frames: Iterable[Frame]) -> bool:
            is_welcome = True
            for frame in frames:
                connection.sendall(_text(frame).encode() + b"\n")
                is_welcome = frame[0] != "atlas_error"
            return is_welcome

        connection.sendall(_PLAIN_HEAD)
        asked = ["atlas_subscribe", dict(request.parameters)]
        if send(subscriptions.hear(asked, self.clock.now())):
            while _received(connection) != b"":
                send(subscriptions.news(self.clock.now()))

    def _websocket(self, websocket: WSConnection, connection: socket.socket) -> None:
        subscriptions, text = Subscriptions(self.ledger), ""

        def send(frames: Iterable[Frame]) -> None:
            # One at a time: who waits for the socket to be readable overlooks a second frame in the same TLS record.
            for frame in frames:
                connection.sendall(websocket.send(TextMessage(data=_text(frame))))

        connection.sendall(websocket.send(AcceptConnection()))
        while (received := _received(connection)) != b"":
            try:
                websocket.receive_data(received or b"")
                for event in websocket.events():
                    match event:
                        case TextMessage():
                            text += event.data
                            if len(text) > _LONGEST_MESSAGE:
                                connection.sendall(websocket.send(CloseConnection(code=_TOO_BIG)))
                                _drain(connection)
                                return
                            if event.message_finished:
                                send(subscriptions.hear(_json(text), self.clock.now()))
                                text = ""
                        case Ping():
                            connection.sendall(websocket.send(event.response()))
                        case CloseConnection():
                            connection.sendall(websocket.send(event.response()))
                            return
            except ProtocolError:
                return
            send(subscriptions.news(self.clock.now()))


def _upgraded(request: Request) -> WSConnection:
    """Return a WebSocket at its beginning. Raises Refusal where the request does not ask for one rightly."""
    websocket = WSConnection(ConnectionType.SERVER)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
    try:
        websocket.initiate_upgrade_connection(headers, request.path)
    except (ProtocolError, h11.ProtocolError, ValueError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"This is no WebSocket request: {error}") from error
    return websocket


def _received(connection: socket.socket) -> bytes | None:
    """Return what a client sends within a moment: nothing at all (None), or that it has gone (b"")."""
    connection.settimeout(_LOOK_S)
    try:
        return connection.recv(_BLOCK)
    except TimeoutError:
        return None
    finally:
        connection.settimeout(_PATIENCE_S)


def _drain(connection: socket.socket) -> None:
    """Read what a client still sends: to close on unread bytes is a reset, which may overtake the farewell."""
    for _ in range(_MOST_DRAINED):
        if not _received(connection):
            return


def _json(text: str) -> object:
    """Return a client's message; None where it is no JSON, which no message is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(frame: Frame) -> str:
    return json.dumps(frame, separators=(",", ":"))
