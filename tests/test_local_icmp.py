from __future__ import annotations

import pytest

from catchment.model import AddressFamily
from catchment.platforms.local.icmp import is_final, is_of_a_hop, is_of_a_port, letter, told
from catchment.platforms.local.sockets import Clocks, IcmpError, Moment


def error(kind: int, code: int, sender: str | None = "192.0.2.1") -> IcmpError:
    at = Moment(0, Clocks(0, 0, 0))
    return IcmpError(sender=sender, type=kind, code=code, reason="No route to host", quoted=b"", at=at, ttl=64)


@pytest.mark.parametrize(
    ("af", "kind", "code", "final", "hop", "port", "printed"),
    [
        (4, 3, 0, True, False, False, "N"),  # RFC 792: net, host, protocol, port unreachable
        (4, 3, 1, True, False, False, "H"),
        (4, 3, 2, True, False, False, "P"),
        (4, 3, 3, True, False, True, "p"),
        (4, 3, 4, False, False, False, 4),  # fragmentation needed: it is sent again, smaller
        (4, 3, 13, True, False, False, "A"),  # RFC 1812: prohibited
        (4, 3, 10, True, False, False, 10),
        (4, 4, 0, False, False, False, None),  # source quench
        (4, 5, 1, False, False, False, None),  # redirect
        (4, 11, 0, True, True, False, None),  # time exceeded
        (4, 12, 0, True, False, False, None),
        (6, 1, 0, True, False, False, "N"),  # RFC 4443: no route, prohibited, beyond scope, address, port
        (6, 1, 1, True, False, False, "A"),
        (6, 1, 2, True, False, False, "h"),
        (6, 1, 3, True, False, False, "H"),
        (6, 1, 4, True, False, True, "p"),
        (6, 2, 0, False, False, False, None),  # packet too big
        (6, 3, 0, True, True, False, None),
        (6, 4, 1, True, False, False, None),
    ],
)
def test_what_an_error_means(
    af: AddressFamily, kind: int, code: int, final: bool, hop: bool, port: bool, printed: str | int | None
) -> None:
    found = error(kind, code)
    assert (is_final(af, found), is_of_a_hop(af, found), is_of_a_port(af, found)) == (final, hop, port)
    assert letter(af, found) == printed


def test_an_error_is_told_in_one_line() -> None:
    assert told(error(3, 1)) == "No route to host (ICMP type 3, code 1, from 192.0.2.1)"
    assert told(error(3, 1, None)) == "No route to host (ICMP type 3, code 1, from an unknown address)"
