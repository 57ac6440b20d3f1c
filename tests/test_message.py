from __future__ import annotations

import base64
import json

import dns.edns
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.observe.message import KEY_START, UNREADABLE, Reply, decode_key, from_wire
from tests.atlas_results import message

# Real replies, and what RIPE's own software prints of them (reference: Atlas result formats, §4.1).
CLOUDFLARE = "GzWEAAABAAEAAAAAAmlkBnNlcnZlcgAAEAADwAwAEAADAAAAPAAEA0pOQg=="
HOSTNAME_BIND = "MDmAAAABAAEAAAAACGhvc3RuYW1lBGJpbmQAABAAA8AMABAAAwAAAAAAHBtuczIubmwtYW1zLmF1dGhkbnMucmlwZS5uZXQ="
NSID_ONLY = (
    "MDmEAAABAAEAAAABA3d3dwRyaXBlA25ldAAAAQABwAwABQABAAAAPAAhA3d3dwRyaXBlA25ldANjZG4KY2xvdWRmbGFyZQNuZXQAAAApBNAAAAAAAB8A"
    "AwAbbnMxLm5sLWFtcy5hdXRoZG5zLnJpcGUubmV0"
)
REFUSED = "MDmABQABAAAAAAAAB3ZlcnNpb24Gc2VydmVyAAAQAAM="

replies = st.builds(
    message,
    st.none() | st.binary(max_size=60),
    rcode=st.sampled_from(["NOERROR", "REFUSED", "SERVFAIL", "NOTIMP"]),
    nsid=st.none() | st.binary(max_size=20),
    query=st.sampled_from(["hostname.bind", "id.server", "version.bind"]),
)


def key_of(wire: bytes) -> str:
    return base64.b64encode(wire).decode()[KEY_START - 1 :]


def with_answers(*texts: str, nsid: bytes | None = None, query: str = "hostname.bind") -> bytes:
    reply = dns.message.from_wire(message(query=query, nsid=nsid))
    for text in texts:  # one set each, for dnspython shuffles within a set
        reply.answer.append(dns.rrset.from_text(f"{query}.", 0, "CH", "TXT", text))
    return reply.to_wire()


def test_the_identity_of_a_chaos_answer_is_its_text() -> None:
    assert decode_key(CLOUDFLARE[3:]) == Reply(
        query="id.server", identity="JNB", identity_source="id.server", rcode="NOERROR", answer_class="CH",
        question_class="CH",
    )  # fmt: skip


def test_hostname_bind_is_named_as_the_source() -> None:
    reply = from_wire(base64.b64decode(HOSTNAME_BIND))
    assert (reply.identity, reply.identity_source) == ("ns2.nl-ams.authdns.ripe.net", "hostname.bind")


def test_an_nsid_is_read_where_there_is_no_text() -> None:
    assert from_wire(base64.b64decode(NSID_ONLY)) == Reply(
        query="A www.ripe.net",
        identity="ns1.nl-ams.authdns.ripe.net",
        identity_source="nsid",
        rcode="NOERROR",
        answer_class="IN",
        question_class="IN",
    )


def test_a_refusal_has_an_rcode_and_no_identity() -> None:
    assert from_wire(base64.b64decode(REFUSED)) == Reply(
        query="version.server", rcode="REFUSED", answer_class="CH", question_class="CH"
    )


@pytest.mark.parametrize("golden", [CLOUDFLARE, HOSTNAME_BIND, NSID_ONLY, REFUSED])
def test_a_key_says_the_same_as_the_whole_message(golden: str) -> None:
    assert decode_key(golden[KEY_START - 1 :]) == from_wire(base64.b64decode(golden))


def test_text_and_nsid_in_one_reply_are_two_identities() -> None:
    reply = from_wire(message("fra1", nsid=b"fra1.nsid"))
    assert (reply.identity, reply.identity_source) == ("fra1", "hostname.bind")
    assert (reply.second_identity, reply.second_identity_source) == ("fra1.nsid", "nsid")


def test_an_empty_text_is_an_identity_of_no_letters() -> None:
    reply = from_wire(message(""))
    assert (reply.identity, reply.identity_source, reply.rcode) == ("", "hostname.bind", "NOERROR")


def test_an_nsid_comes_before_an_empty_text() -> None:
    reply = from_wire(message("", nsid=b"fra1"))
    assert (reply.identity, reply.identity_source) == ("fra1", "nsid")
    assert (reply.second_identity, reply.second_identity_source) == ("", "hostname.bind")


def test_an_nsid_comes_before_the_version_of_the_software() -> None:
    reply = from_wire(message("NSD 4.9", nsid=b"fra1", query="version.bind"))
    assert (reply.identity, reply.identity_source) == ("fra1", "nsid")
    assert (reply.second_identity, reply.second_identity_source) == ("NSD 4.9", "version.bind")


def test_an_empty_nsid_is_none() -> None:
    assert from_wire(message("fra1", nsid=b"")).second_identity is None


def test_an_nsid_in_a_refusal_is_read() -> None:
    reply = from_wire(message(rcode="REFUSED", nsid=b"fra1"))
    assert (reply.rcode, reply.identity, reply.identity_source) == ("REFUSED", "fra1", "nsid")


def test_a_class_in_answer_to_a_chaos_question_is_kept_and_shown() -> None:
    reply = from_wire(message("PowerDNS Recursor", answer_class="IN"))
    assert (reply.identity, reply.answer_class, reply.question_class) == ("PowerDNS Recursor", "IN", "CH")


def test_a_binary_nsid_is_printable_and_costs_no_answer() -> None:
    reply = from_wire(message("fra1", nsid=b"\x00\x8fok\xff"))
    assert (reply.identity, reply.second_identity) == ("fra1", "\\x00\\x8fok\\xff")


def test_a_binary_text_is_printable() -> None:
    assert from_wire(message(b"\x1b[31m\xe2\x80\xae")).identity == "\\x1b[31m\\xe2\\x80\\xae"


def test_several_strings_of_a_text_are_joined_by_blanks() -> None:
    assert from_wire(with_answers('"fra1" "rack 2"')).identity == "fra1 rack 2"


def test_of_several_texts_the_first_is_the_identity() -> None:
    wire = with_answers('"fra1"', '"fra2"')
    assert from_wire(wire).identity == "fra1"


def test_other_edns_options_do_not_hide_the_nsid() -> None:
    reply = dns.message.from_wire(message("fra1"))
    options = [
        dns.edns.ECSOption("192.0.2.0", 24),
        dns.edns.EDEOption(dns.edns.EDECode.NO_REACHABLE_AUTHORITY),
        dns.edns.NSIDOption(b"n1"),
    ]
    reply.use_edns(0, options=options)
    assert from_wire(reply.to_wire()).second_identity == "n1"


def test_an_extended_rcode_is_read() -> None:
    reply = dns.message.from_wire(message(nsid=b"n1"))
    reply.set_rcode(dns.rcode.BADVERS)
    assert from_wire(reply.to_wire()).rcode == "BADVERS"


@pytest.mark.parametrize("length", range(12, len(message("fra1", rcode="REFUSED"))))
def test_a_message_cut_anywhere_still_tells_its_rcode(length: int) -> None:
    reply = from_wire(message("fra1", rcode="REFUSED")[:length])
    assert (reply.readable, reply.rcode, reply.identity) == (True, "REFUSED", None)


@pytest.mark.parametrize("length", range(12, len(message("fra1"))))
def test_a_message_cut_before_the_answer_that_it_announces_is_not_an_empty_one(length: int) -> None:
    reply = from_wire(message("fra1")[:length])
    assert (reply.readable, reply.rcode, reply.identity) == (False, "NOERROR", None)


def test_bytes_after_the_message_do_not_matter() -> None:
    wire = message("fra1", nsid=b"n1")
    assert from_wire(wire + b"\x00trailing\xff") == from_wire(wire)


def test_a_header_alone_is_an_empty_answer() -> None:
    # Measurement 10301, probe 11180, 2015-10-01: flags 0x8084, which is rcode 4; no question, no answer.
    assert decode_key("NSSAhAAAAAAAAAAA"[3:]) == Reply(rcode="NOTIMP")


@pytest.mark.parametrize("wire", [b"", b"\x00", b"\x12\x34\x80\x05", bytes(11)])
def test_less_than_a_header_is_unreadable(wire: bytes) -> None:
    assert from_wire(wire) == UNREADABLE
    assert not from_wire(wire).readable


@pytest.mark.parametrize("key", ["", "=", "A", "????", "\u6771\u4eac", "\ud800", "A\x00B", "<html>"])
def test_what_is_no_base64_is_unreadable(key: str) -> None:
    assert decode_key(key) == UNREADABLE


@pytest.mark.parametrize("identity", ["a", "ab", "abc"])
def test_missing_padding_does_not_matter(identity: str) -> None:
    key = key_of(message(identity))
    assert decode_key(key.rstrip("=")) == decode_key(key)
    assert decode_key(key).identity == identity


def test_an_answer_without_a_question_is_named_by_its_own_name() -> None:
    reply = dns.message.from_wire(message("fra1", query="id.server"))
    reply.question.clear()
    assert from_wire(reply.to_wire()).identity_source == "id.server"


def test_letter_case_of_the_question_does_not_matter() -> None:
    assert from_wire(message("fra1", query="HostName.BIND")).query == "hostname.bind"


@pytest.mark.parametrize(("rdtype", "query"), [("SOA", "SOA ."), ("NS", "NS .")])
def test_a_query_for_no_text_is_named_by_its_type_too(rdtype: str, query: str) -> None:
    reply = dns.message.make_response(dns.message.make_query(".", rdtype))
    assert from_wire(reply.to_wire()).query == query


@given(replies, st.integers(0, 65_535), st.integers(0, 65_535))
def test_replies_that_differ_only_in_their_id_have_one_key(wire: bytes, one_id: int, other_id: int) -> None:
    one, other = one_id.to_bytes(2, "big") + wire[2:], other_id.to_bytes(2, "big") + wire[2:]
    assert key_of(one) == key_of(other)
    assert decode_key(key_of(one)) == from_wire(other)


@given(replies, replies)
def test_replies_with_one_key_say_the_same(one: bytes, other: bytes) -> None:
    assert (key_of(one) == key_of(other)) == (one[2:] == other[2:])


@given(st.binary(min_size=1, max_size=60), st.binary(min_size=1, max_size=30))
def test_any_bytes_make_printable_identities(identity: bytes, nsid: bytes) -> None:
    reply = from_wire(message(identity, nsid=nsid))
    assert reply.identity is not None
    assert reply.second_identity is not None
    assert (reply.identity + reply.second_identity).isascii()
    assert (reply.identity + reply.second_identity).isprintable()


@given(st.binary(max_size=120))
def test_no_bytes_make_the_decoder_fail(wire: bytes) -> None:
    reply = from_wire(wire)
    assert reply.readable or reply.identity is None


@given(replies, st.data())
def test_no_damage_to_a_reply_makes_the_decoder_fail(wire: bytes, data: st.DataObject) -> None:
    damaged = bytearray(wire)
    for place in data.draw(st.lists(st.integers(12, len(wire) - 1), max_size=5)):
        damaged[place] = data.draw(st.integers(0, 255))
    reply = from_wire(bytes(damaged))
    assert reply == UNREADABLE or reply.rcode is not None


@given(st.text(max_size=60))
def test_no_key_makes_the_decoder_fail(key: str) -> None:
    reply = decode_key(key)
    assert reply.readable or reply.identity is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["TYPE", "NAME", "RDATA", "TXT"]), inner),
    max_leaves=10,
)


@given(
    st.lists(json_values | st.fixed_dictionaries({"TYPE": st.just("TXT"), "NAME": json_values, "RDATA": json_values}))
)
def test_no_answers_of_a_probe_make_the_decoder_fail(answers: list[object]) -> None:
    text = json.dumps(answers)
    identity = decode_key(text).identity or ""
    assert identity.isascii()
    assert identity.isprintable() or not identity


@pytest.mark.parametrize("data", ["JNB", ["JNB"]])
def test_answers_without_a_message_hold_text_as_string_or_list(data: object) -> None:
    answers = [{"TYPE": "TXT", "NAME": "id.server", "RDATA": data}]
    assert decode_key(json.dumps(answers)) == Reply(
        query="id.server", identity="JNB", identity_source="id.server", rcode="NOERROR"
    )


def test_several_strings_of_answers_are_joined_by_blanks() -> None:
    answers = [{"TYPE": "TXT", "NAME": "ID.server.", "RDATA": ["fra1", "rack 2"]}]
    assert (decode_key(json.dumps(answers)).identity, decode_key(json.dumps(answers)).query) == (
        "fra1 rack 2",
        "id.server",
    )


def test_answers_before_the_text_are_passed_over() -> None:
    answers = [None, 5, {"TYPE": "SOA", "NAME": "."}, {"TYPE": "TXT", "NAME": "id.server", "RDATA": ["fra1"]}]
    assert decode_key(json.dumps(answers)).identity == "fra1"


def test_no_answers_are_an_answer_without_identity() -> None:
    assert decode_key("[]") == Reply(rcode="NOERROR")


def test_letters_beyond_ascii_in_answers_are_made_printable() -> None:
    answers = [{"TYPE": "TXT", "NAME": "id.server", "RDATA": ["é\x00"]}]
    assert decode_key(json.dumps(answers)).identity == "\\xc3\\xa9\\x00"


def test_answers_cut_short_are_unreadable() -> None:
    assert decode_key('[{"TYPE": "TXT"') == UNREADABLE
