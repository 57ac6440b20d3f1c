"""A DNS server on loopback that answers as it is told to, and remembers what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

MOST_QUERIES = 2000
Respond = Callable[[dns.message.Message], dns.message.Message | bytes | None]


@dataclass
class DnsServer:
    """A server that runs: its port on 127.0.0.1, and the names that it was asked for."""

    port: int
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def answering(respond: Respond) -> Iterator[DnsServer]:
    """Answer DNS queries over UDP with what `respond` makes of them; None keeps silent."""
    stopping = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.05)
        server = DnsServer(port=listener.getsockname()[1])

        def serve() -> None:
            while not stopping.is_set() and len(server.asked) < MOST_QUERIES:
                try:
                    wire, sender = listener.recvfrom(4096)
                    query = dns.message.from_wire(wire)
                except (TimeoutError, dns.exception.DNSException):
                    continue
                server.asked.append(query.question[0].name.to_text())
                reply = respond(query)
                if reply is not None:
                    listener.sendto(reply if isinstance(reply, bytes) else reply.to_wire(), sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stopping.set()
            thread.join(timeout=5)


def pointers(names: Mapping[str, Sequence[str | dns.name.Name]], *, otherwise: str | None = "NXDOMAIN") -> Respond:
    """Return a respond that knows the names of addresses; of others it says `otherwise` (an rcode; None: nothing)."""
    known = {dns.reversename.from_address(address): found for address, found in names.items()}

    def respond(query: dns.message.Message) -> dns.message.Message | None:
        asked = query.question[0].name
        reply = dns.message.make_response(query)
        if asked not in known:
            if otherwise is None:
                return None
            reply.set_rcode(dns.rcode.from_text(otherwise))
        elif known[asked]:
            reply.answer.append(dns.rrset.RRset(asked, dns.rdataclass.IN, dns.rdatatype.PTR))
            for found in known[asked]:
                name = found if isinstance(found, dns.name.Name) else dns.name.from_text(found)
                wire = name.to_wire() or b""
                reply.answer[0].add(dns.rdata.from_wire(reply.answer[0].rdclass, "PTR", wire, 0, len(wire)), 60)
        return reply

    return respond
