from __future__ import annotations

import base64

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.platforms.sandbox.api.messages import Question, WireMessage, reply_message
from catchment.platforms.sandbox.internet.replies import Reply

CHAOS = Question(name="hostname.bind", edns_payload=1232)


def reply(**changes: object) -> Reply:
    return Reply(**{"rtt_ms": 1.0, "rcode": "NOERROR", "text": "fra1", "nsid": None} | changes)  # type: ignore[arg-type]


def decoded(message: WireMessage, message_id: int = 4711) -> dns.message.Message:
    return dns.message.from_wire(base64.b64decode(message.abuf(message_id)))


@pytest.mark.parametrize("message_id", [0, 1, 255, 256, 65_535])
def test_only_the_id_differs_from_one_message_to_the_next(message_id: int) -> None:
    message = reply_message(CHAOS, reply())
    assert decoded(message, message_id).id == message_id
    assert message.abuf(message_id)[4:] == message.abuf(0)[4:]


def test_an_answer_holds_its_question_text_class_and_nsid() -> None:
    message = reply_message(CHAOS, reply(nsid="ns1.fra"))
    found = decoded(message)
    assert found.question[0].to_text() == "hostname.bind. CH TXT"
    assert [rrset.to_text() for rrset in found.answer] == ['hostname.bind. 0 CH TXT "fra1"']
    assert [option.nsid for option in found.options if isinstance(option, dns.edns.NSIDOption)] == [b"ns1.fra"]
    assert (found.flags & dns.flags.QR, found.flags & dns.flags.AA, found.flags & dns.flags.RD) == (
        dns.flags.QR, dns.flags.AA, 0,
    )  # fmt: skip
    assert (message.answer_count, message.additional_count, message.texts) == (1, 1, (("fra1",),))
    assert message.size == len(base64.b64decode(message.abuf(0)))


def test_a_query_without_edns_gets_an_answer_without_edns() -> None:
    message = reply_message(Question(name="id.server"), reply())
    assert decoded(message).opt is None
    assert message.additional_count == 0


def test_a_refusal_says_so_in_the_header_only() -> None:
    found = decoded(reply_message(CHAOS, reply(rcode="REFUSED", text=None)))
    assert (found.rcode(), found.answer) == (dns.rcode.REFUSED, [])


def test_a_refusal_is_byte_for_byte_what_a_real_server_sent() -> None:
    # From the golden outputs of the probes' firmware: version.server, id 12345, flags 0x8005.
    refused = reply_message(Question(name="version.server"), reply(rcode="REFUSED", text=None))
    assert refused.abuf(12_345) == "MDmABQABAAAAAAAAB3ZlcnNpb24Gc2VydmVyAAAQAAM="


@pytest.mark.parametrize(
    ("rcode", "text", "authoritative", "flags"),
    [
        ("NOERROR", "fra1", True, 0x8400),  # QR, AA (RFC 1035, 4.1.1)
        ("NOERROR", None, True, 0x8400),
        ("REFUSED", None, True, 0x8005),
        ("SERVFAIL", None, True, 0x8002),
        ("NOERROR", "cache1", False, 0x8080),  # QR, RA
        ("NOERROR", None, False, 0x8080),
        ("REFUSED", None, False, 0x8085),
    ],
)
def test_the_header_tells_the_service_s_own_answer_from_one_given_in_its_place(
    rcode: str, text: str | None, authoritative: bool, flags: int
) -> None:
    given = reply(rcode=rcode, text=text, authoritative=authoritative)
    for question, asked in ((CHAOS, 0), (Question(name="id.server", recursion_desired=True), 0x0100)):
        raw = base64.b64decode(reply_message(question, given).abuf(1))
        assert int.from_bytes(raw[2:4]) == flags | asked


def test_replies_that_differ_in_their_time_only_are_put_together_once() -> None:
    assert reply_message(CHAOS, reply(rtt_ms=1.0)) is reply_message(CHAOS, reply(rtt_ms=2.0))


def test_a_box_that_answers_in_the_wrong_class_is_written_as_it_answered() -> None:
    found = decoded(reply_message(CHAOS, reply(answer_class="IN")))
    assert (found.question[0].rdclass, found.answer[0].rdclass) == (dns.rdataclass.CH, dns.rdataclass.IN)


@pytest.mark.parametrize("text", ["fra1", "x", "", None])
@pytest.mark.parametrize("nsid", ["fra1", None])
def test_a_garbled_message_is_cut_off_behind_its_header_and_cannot_be_read_to_its_end(
    text: str | None, nsid: str | None
) -> None:
    whole, cut = (reply_message(CHAOS, reply(text=text, nsid=nsid, garbled=garbled)) for garbled in (False, True))
    raw = base64.b64decode(cut.abuf(7))
    assert 12 < len(raw) < whole.size
    assert base64.b64decode(whole.abuf(7)).startswith(raw)
    assert cut.texts == ()
    found = dns.message.from_wire(raw, continue_on_error=True)
    assert found.errors
    assert found.answer == []


def test_a_long_text_is_cut_into_strings_of_255_bytes() -> None:
    message = reply_message(CHAOS, reply(text="a" * 300))
    assert message.texts == (("a" * 255, "a" * 45),)
    assert decoded(message).answer[0][0].strings == (b"a" * 255, b"a" * 45)


def test_bytes_that_no_terminal_shows_are_printed_as_numbers() -> None:
    assert reply_message(CHAOS, reply(text="a\x07é")).texts == (("a\\007\\195\\169",),)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=600), st.text(max_size=60).filter(str.isprintable))
def test_any_text_comes_back_byte_for_byte(text: str, nsid: str) -> None:
    found = decoded(reply_message(CHAOS, reply(text=text, nsid=nsid)))
    assert b"".join(found.answer[0][0].strings) == text.encode()
    assert [option.nsid for option in found.options if isinstance(option, dns.edns.NSIDOption)] == [nsid.encode()]
