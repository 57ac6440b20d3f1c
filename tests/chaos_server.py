"""A name server on loopback, over UDP and TCP, that answers CHAOS TXT and NSID as it is told to."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache

import dns.edns
import dns.message
import dns.rrset
import pytest

Respond = Callable[[bytes], Sequence[bytes]]
"""From a query to the messages that are sent back, in order."""

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def reply(query: bytes, text: str = "b1-fra", nsid: bytes = b"b1-fra") -> bytes:
    """Return a reply that names the server twice."""
    return query[:2] + _rest_of_reply(query[2:], text, nsid)


@lru_cache
def _rest_of_reply(query: bytes, text: str, nsid: bytes) -> bytes:
    asked = dns.message.from_wire(bytes(2) + query)
    made = dns.message.make_response(asked)
    made.answer.append(dns.rrset.from_text(asked.question[0].name, 0, "CH", "TXT", f'"{text}"'))
    if asked.edns >= 0 and any(option.otype == dns.edns.OptionType.NSID for option in asked.options):
        made.use_edns(0, payload=1232, options=[dns.edns.NSIDOption(nsid)])
    return made.to_wire()[2:]


@contextmanager
def naming(respond: Respond = lambda query: [reply(query)], *, af: int = 4) -> Iterator[int]:
    """Answer queries at the loopback address of a family; the value is the port, of UDP and TCP."""
    stopping = threading.Event()
    with ExitStack() as opened:
        datagrams, connections = _bound(af, opened)
        connections.listen()
        for line in (datagrams, connections):
            line.settimeout(0.02)
        threads = [
            threading.Thread(target=_serve_udp, args=(datagrams, respond, stopping)),
            threading.Thread(target=_serve_tcp, args=(connections, respond, stopping)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield datagrams.getsockname()[1]
        finally:
            stopping.set()
            for thread in threads:
                thread.join(timeout=5)


def needs_loopback(af: int) -> None:
    """Skip who calls, by name, where this host's loopback lacks a family, as many containers lack IPv6; in CI fail."""
    try:
        with socket.socket(_FAMILIES[af], socket.SOCK_DGRAM) as line:
            line.bind((LOOPBACK[af], 0))
    except OSError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have {LOOPBACK[af]} on its loopback: {error}")
        pytest.skip(f"no {LOOPBACK[af]} on this host's loopback ({error})")


@contextmanager
def nobody_at(af: int) -> Iterator[int]:
    """Keep a port at the loopback address of a family, of UDP and TCP, where nobody listens."""
    with ExitStack() as opened:
        datagrams, _ = _bound(af, opened)
        datagrams.connect(datagrams.getsockname())  # what others send to it is no longer for it
        yield datagrams.getsockname()[1]


def _bound(af: int, opened: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return a datagram and a stream socket with the same port, which listen to nobody yet."""
    needs_loopback(af)
    for _ in range(20):  # until a port is free for both
        datagrams = opened.enter_context(socket.socket(_FAMILIES[af], socket.SOCK_DGRAM))
        connections = opened.enter_context(socket.socket(_FAMILIES[af], socket.SOCK_STREAM))
        datagrams.bind((LOOPBACK[af], 0))
        with suppress(OSError):
            connections.bind(datagrams.getsockname())
            return datagrams, connections
    raise OSError("no port is free")


def _serve_udp(line: socket.socket, respond: Respond, stopping: threading.Event) -> None:
    while not stopping.is_set():
        with suppress(TimeoutError):
            query, sender = line.recvfrom(4096)
            for message in respond(query):
                line.sendto(message, sender)


def _serve_tcp(line: socket.socket, respond: Respond, stopping: threading.Event) -> None:
    while not stopping.is_set():
        with suppress(TimeoutError, ConnectionError):
            connection, _ = line.accept()
            with connection:
                connection.settimeout(2)
                length = int.from_bytes(connection.recv(2, socket.MSG_WAITALL))
                query = connection.recv(length, socket.MSG_WAITALL)
                for message in respond(query):
                    connection.sendall(len(message).to_bytes(2))
                    connection.sendall(message)
