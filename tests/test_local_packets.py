from __future__ import annotations

import base64
import ipaddress
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import hypothesis
import hypothesis.strategies as st
import pytest

from catchment.platforms.local import packets

QUERY = packets.with_id(packets.identity_query("hostname.bind", nsid=True), 0x1234)


def internet_checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0")) for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def test_an_identity_query_asks_for_chaos_txt_and_nsid_and_nothing_else() -> None:
    query = dns.message.from_wire(QUERY)
    assert query.id == 0x1234
    assert query.flags == dns.flags.Flag(0)  # no recursion: it is the server itself that is asked
    assert [rrset.to_text() for rrset in query.question] == ["hostname.bind. CH TXT"]
    assert (query.edns, query.payload, query.ednsflags) == (0, 1232, 0)
    assert [(option.otype, option.to_wire()) for option in query.options] == [(dns.edns.OptionType.NSID, b"")]


def test_without_nsid_the_query_has_no_edns() -> None:
    assert dns.message.from_wire(packets.identity_query("id.server", nsid=False)).edns == -1


def test_what_scapy_reads_of_a_reply_is_what_dnspython_put_into_it() -> None:
    made = dns.message.make_response(dns.message.from_wire(QUERY))
    made.answer.append(dns.rrset.from_text("hostname.bind.", 0, "CH", "TXT", '"b1-fra" "two\\255"'))
    wire = made.to_wire()
    assert packets.answers_query(wire, QUERY)
    assert packets.printed_answers(wire) == [{"TYPE": "TXT", "NAME": "hostname.bind", "RDATA": ["b1-fra", "two\\255"]}]
    assert packets.counts(wire) == {"ID": 0x1234, "QDCOUNT": 1, "ANCOUNT": 1, "NSCOUNT": 0, "ARCOUNT": 1}


def test_a_recorded_answer_is_printed_as_the_probe_printed_it() -> None:
    wire = base64.b64decode("GzWEAAABAAEAAAAAAmlkBnNlcnZlcgAAEAADwAwAEAADAAAAPAAEA0pOQg==")
    assert packets.printed_answers(wire) == [{"TYPE": "TXT", "NAME": "id.server", "RDATA": ["JNB"]}]
    assert packets.counts(wire)["ID"] == 6965


def test_only_two_answers_are_printed_and_only_txt_ones() -> None:
    made = dns.message.make_response(dns.message.from_wire(QUERY))
    for kind, text in (("A", "192.0.2.1"), ("TXT", '"one"'), ("TXT", '"two"')):
        made.answer.append(dns.rrset.from_text("hostname.bind.", 0, "IN", kind, text))
    assert [found["RDATA"] for found in packets.printed_answers(made.to_wire())] == [["one"]]


@pytest.mark.parametrize(
    ("change", "is_ours"),
    [
        (lambda m: m, True),
        (lambda m: m[:12] + m[12:].replace(b"\x08hostname", b"\x08HOSTNAME"), True),  # 0x20 of some boxes
        (lambda m: b"\x12\x35" + m[2:], False),  # another id
        (lambda m: m[:2] + bytes([m[2] & 0x7F]) + m[3:], False),  # a query
        (lambda m: m.replace(b"\x08hostname", b"\x08hostnamf"), False),  # another name
        (lambda m: m.replace(b"\0\x10\0\x03", b"\0\x10\0\x01"), False),  # another class
        (lambda m: m[:11], False),
        (lambda m: m[:3] + b"\x85" + bytes(8), True),  # an error without the question
        (lambda m: m[:4] + bytes(2) + m[6:], False),  # an answer without the question
        (lambda _: b"", False),
    ],
)
def test_a_reply_is_known_by_its_id_and_its_question(change: Any, is_ours: bool) -> None:
    made = dns.message.make_response(dns.message.from_wire(QUERY))
    made.answer.append(dns.rrset.from_text("hostname.bind.", 0, "CH", "TXT", '"b1-fra"'))
    assert packets.answers_query(change(made.to_wire()), QUERY) is is_ours


@hypothesis.given(st.binary(max_size=300))
def test_whatever_bytes_come_nothing_breaks(rest: bytes) -> None:
    message = QUERY[:2] + b"\x84\0" + b"\0\1\xff\xff\xff\xff\xff\xff" + rest
    packets.answers_query(message, QUERY)
    for found in packets.printed_answers(message):
        assert found["TYPE"] == "TXT"
        assert "".join([found["NAME"], *found["RDATA"]]).isascii()


def test_a_name_that_points_to_itself_ends() -> None:
    message = QUERY[:2] + b"\x84\0\0\1\0\1\0\0\0\0" + QUERY[12:31] + b"\xc0\x1f\0\x10\0\3\0\0\0\0\0\2\1x"
    assert all(found["RDATA"] == ["x"] for found in packets.printed_answers(message))


def test_an_echo_request_has_its_number_and_a_right_checksum() -> None:
    request = packets.echo_request(4, 0x0102, 0x0304, b"data!")
    assert request[:2] == b"\x08\0"
    assert request[4:] == b"\1\2\3\4data!"
    assert internet_checksum(request) == 0
    assert packets.echo_request(6, 0x0102, 0x0304, b"data!") == b"\x80\0\0\0\1\2\3\4data!"


@pytest.mark.parametrize(
    ("source", "target", "protocol"),
    [("192.0.2.1", "198.51.100.2", 17), ("2001:db8::1", "2001:db8::2", 17), ("192.0.2.1", "198.51.100.2", 6)],
)
def test_transport_checksums_cover_the_addresses(source: str, target: str, protocol: int) -> None:
    if protocol == 17:
        packet = packets.udp_probe(source, target, (16400, 33434), b"odd")
        assert packet[:6] == (16400).to_bytes(2) + (33434).to_bytes(2) + (11).to_bytes(2)
        assert packet[8:] == b"odd"
    else:
        packet = packets.tcp_syn(source, target, (16400, 53), 0x01020304)
        assert packet[:8] == (16400).to_bytes(2) + (53).to_bytes(2) + b"\1\2\3\4"
        assert packet[13] == 0x02  # SYN
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    assert internet_checksum(addresses + len(packet).to_bytes(4) + protocol.to_bytes(4) + packet) == 0
