"""What DNS queries got for an answer, read off the texts of results: whatever these hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.observe.refusals import Reason, Refusal, read_error
from catchment.platforms.local.icmp import told
from catchment.platforms.local.sockets import IcmpError, now


@pytest.mark.parametrize(
    ("af", "kind", "code", "reason"),
    [
        (4, 3, 0, Reason.NO_ROUTE),
        (4, 3, 1, Reason.HOST),
        (4, 3, 2, Reason.PROTOCOL),
        (4, 3, 3, Reason.PORT),
        (4, 3, 9, Reason.PROHIBITED),
        (4, 3, 13, Reason.PROHIBITED),
        (4, 3, 200, Reason.OTHER),
        (4, 11, 0, Reason.LOOP),
        (4, 12, 0, Reason.OTHER),
        (6, 1, 0, Reason.NO_ROUTE),
        (6, 1, 1, Reason.PROHIBITED),
        (6, 1, 3, Reason.HOST),
        (6, 1, 4, Reason.PORT),
        (6, 3, 0, Reason.LOOP),
        (6, 3, 3, Reason.OTHER),  # that type means something else in IPv4
    ],
)
def test_an_icmp_error_that_a_host_tells_is_read_by_its_code_and_not_by_its_words(
    af: int, kind: int, code: int, reason: Reason
) -> None:
    # Linux calls a prohibited host "No route to host", so words alone mislead.
    sender = "192.0.2.1" if af == 4 else "2001:db8::1"
    error = IcmpError(sender=sender, type=kind, code=code, reason="No route to host", quoted=b"", at=now(), ttl=None)
    assert read_error(f"err: {told(error)}", af) == Refusal(reason=reason, sender=sender)


def test_an_error_without_a_sender_is_read_by_its_words() -> None:
    assert read_error("TUCONNECT: connect failed: Connection refused", 4) == Refusal(reason=Reason.PORT)
    assert read_error("TUCONNECT: connect failed: Network is unreachable", 6) == Refusal(reason=Reason.NO_ROUTE)
    assert read_error("TCPREAD: read failed: Connection reset by peer", 4) == Refusal(reason=Reason.OTHER)
    assert read_error("err: x (ICMP type 3, code 3, from an unknown address)", 4) == Refusal(reason=Reason.OTHER)


def test_a_sender_that_is_no_address_is_nobody() -> None:
    assert read_error("err: x (ICMP type 3, code 3, from 999.1.1.1)", 4) == Refusal(reason=Reason.PORT)


@given(text=st.text() | st.from_regex(r"\(ICMP type [0-9]{1,4}, code [0-9]{1,4}, from [0-9a-f:.]{0,50}\)"))
def test_any_text_is_read(text: str) -> None:
    for af in (4, 6):
        assert read_error(text, af).reason in Reason
