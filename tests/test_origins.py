"""The AS of an address, asked of a server on loopback that answers as Team Cymru's does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import dns.message
import dns.rcode
import dns.rrset
import pytest

from catchment.platforms.origins import Origin, find_origins
from tests.dns_server import Respond, answering

ROUTER, SIX = "216.90.108.31", "2001:4860:b002::68"
# As https://www.team-cymru.com/ip-asn-mapping shows them.
KNOWN = {
    "31.108.90.216.origin.asn.cymru.com.": ["23028 | 216.90.108.0/24 | US | arin | 1998-09-25"],
    "8.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.b.0.6.8.4.1.0.0.2.origin6.asn.cymru.com.": [
        "15169 | 2001:4860::/32 | US | arin | 2005-03-14"
    ],
    "AS23028.asn.cymru.com.": ["23028 | US | arin | 2002-01-04 | TEAM-CYMRU, US"],
}


def texts(known: Mapping[str, Sequence[str]], *, otherwise: str | None = "NXDOMAIN") -> Respond:
    """Return a respond that has these texts; of other names it says `otherwise` (an rcode; None: nothing)."""
    lower = {name.lower(): found for name, found in known.items()}

    def respond(query: dns.message.Message) -> dns.message.Message | None:
        asked = query.question[0].name.to_text()
        reply = dns.message.make_response(query)
        found = lower.get(asked.lower())
        if found is None:
            if otherwise is None:
                return None
            reply.set_rcode(dns.rcode.from_text(otherwise))
        else:
            quoted = ['"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"' for text in found]
            reply.answer.append(dns.rrset.from_text(asked, 60, "IN", "TXT", *quoted))
        return reply

    return respond


def found_by(respond: Respond, *addresses: str, timeout_s: float = 2.0) -> dict[str, Origin]:
    with answering(respond) as server:
        return find_origins(addresses, nameservers=["127.0.0.1"], port=server.port, timeout_s=timeout_s)


def test_the_as_of_an_address_is_told_with_its_name() -> None:
    found = found_by(texts(KNOWN), ROUTER, SIX)
    assert found[ROUTER] == Origin(asn=23028, prefix="216.90.108.0/24", name="TEAM-CYMRU, US")
    assert found[SIX] == Origin(asn=15169, prefix="2001:4860::/32", name=None)


def test_an_as_is_asked_for_once_whatever_it_announces() -> None:
    known = KNOWN | {"1.108.90.216.origin.asn.cymru.com.": KNOWN["31.108.90.216.origin.asn.cymru.com."]}
    with answering(texts(known)) as server:
        find_origins([ROUTER, "216.90.108.1", ROUTER], nameservers=["127.0.0.1"], port=server.port)
    assert sorted(server.asked) == [
        "1.108.90.216.origin.asn.cymru.com.",
        "31.108.90.216.origin.asn.cymru.com.",
        "AS23028.asn.cymru.com.",
    ]


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.1.1", "100.64.0.1", "fd00::1", "fe80::1", "*", "192.0.2.1"])
def test_nobody_is_asked_about_an_address_that_is_not_public(address: str) -> None:
    with answering(texts(KNOWN)) as server:
        assert find_origins([address], nameservers=["127.0.0.1"], port=server.port) == {}
    assert server.asked == []


def test_of_several_prefixes_the_most_specific_counts_and_of_several_ases_the_first() -> None:
    name = "31.108.90.216.origin.asn.cymru.com."
    known = {name: ["7018 | 216.90.0.0/16 | US | arin | ", "23028 3356 | 216.90.108.0/24 | US | arin | "]}
    assert found_by(texts(known), ROUTER)[ROUTER].asn == 23028


@pytest.mark.parametrize(
    "text",
    ["", "|", "NA | NA", "0 | 216.90.108.0/24", "99999999999 | 216.90.108.0/24", "1 | 216.90.108.9/24", "\x00 |"],
)
def test_what_says_no_as_tells_none(text: str) -> None:
    assert found_by(texts({"31.108.90.216.origin.asn.cymru.com.": [text]}), ROUTER) == {}


def test_a_name_of_any_length_is_cut() -> None:
    known = KNOWN | {"AS23028.asn.cymru.com.": [f"23028 | US | arin | | {'x' * 200}"]}
    assert found_by(texts(known), ROUTER)[ROUTER].name == "x" * 80


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED"])
def test_who_cannot_tell_is_left_out(rcode: str) -> None:
    assert found_by(texts({}, otherwise=rcode), ROUTER, timeout_s=0.5) == {}


def test_a_dead_resolver_costs_no_more_than_the_time_allowed() -> None:
    began = time.monotonic()
    assert found_by(texts({}, otherwise=None), *(f"193.0.{host}.1" for host in range(30)), timeout_s=0.5) == {}
    assert time.monotonic() - began < 12  # one after another they take fifteen seconds


def test_names_are_asked_for_in_the_time_that_is_left() -> None:
    answer = texts({name: found for name, found in KNOWN.items() if not name.startswith("AS")}, otherwise=None)
    first_s, timeout_s = 1.0, 1.5

    def respond(query: dns.message.Message) -> dns.message.Message | bytes | None:
        reply = answer(query)
        if reply is not None:
            time.sleep(first_s)
        return reply

    with answering(respond) as server:
        began = time.monotonic()
        found = find_origins([ROUTER], nameservers=["127.0.0.1"], port=server.port, timeout_s=timeout_s)
        took_s = time.monotonic() - began
    assert found == {ROUTER: Origin(asn=23028, prefix="216.90.108.0/24")}
    assert took_s < first_s + timeout_s
