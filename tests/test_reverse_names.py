"""Names from the reverse DNS, asked of servers on loopback only."""

from __future__ import annotations

import threading
import time

import dns.message
import dns.name
import dns.resolver
import pytest

from catchment.errors import PlatformFailed
from catchment.platforms import reverse_names
from catchment.platforms.reverse_names import is_public, nameserver_of, resolve_names
from tests.dns_server import DnsServer, Respond, answering, pointers

ROUTER, OTHER, SIX = "193.0.0.1", "193.0.0.2", "2001:67c::1"


def ask(server: DnsServer, *addresses: str, timeout_s: float = 2.0, at_once: int = 50) -> dict[str, str | None]:
    return resolve_names(addresses, nameservers=["127.0.0.1"], port=server.port, timeout_s=timeout_s, at_once=at_once)


def told_by(respond: Respond, *addresses: str, timeout_s: float = 2.0) -> dict[str, str | None]:
    with answering(respond) as server:
        return ask(server, *addresses, timeout_s=timeout_s)


def test_the_names_of_addresses_of_both_families_are_told() -> None:
    known = pointers({ROUTER: ["ae1.cr2.ams3.example.net."], SIX: ["be4.fra1.example.org."]})
    assert told_by(known, ROUTER, SIX) == {ROUTER: "ae1.cr2.ams3.example.net", SIX: "be4.fra1.example.org"}


def test_an_address_is_asked_about_by_its_reverse_name_and_once() -> None:
    with answering(pointers({})) as server:
        ask(server, ROUTER, ROUTER)
        assert server.asked == ["1.0.0.193.in-addr.arpa."]


@pytest.mark.parametrize("known", [{}, {ROUTER: []}], ids=["NXDOMAIN", "no PTR"])
def test_an_address_without_a_name_has_none(known: dict[str, list[str | dns.name.Name]]) -> None:
    assert told_by(pointers(known), ROUTER) == {ROUTER: None}


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP"])
def test_whom_the_resolver_could_not_tell_may_be_asked_about_again(rcode: str) -> None:
    assert told_by(pointers({ROUTER: ["a.example."]}, otherwise=rcode), ROUTER, OTHER) == {ROUTER: "a.example"}


def test_a_silent_server_costs_no_more_than_the_time_allowed() -> None:
    began = time.monotonic()
    assert told_by(pointers({}, otherwise=None), *(f"193.0.0.{host}" for host in range(1, 51)), timeout_s=0.5) == {}
    assert time.monotonic() - began < 20  # one after another they take 25 seconds


def test_what_is_no_dns_message_is_no_answer() -> None:
    assert told_by(lambda _: b"\xff<html>", ROUTER, timeout_s=0.3) == {}


def test_of_several_names_the_first_of_the_alphabet_counts() -> None:
    assert told_by(pointers({ROUTER: ["c.example.", "a.example.", "b.example."]}), ROUTER) == {ROUTER: "a.example"}


def test_hostile_names_come_out_printable_and_short() -> None:
    escapes = dns.name.Name([b"\x1b[31m\x00\xff\n", "\u202e".encode(), b"<script>", b""])
    deep = dns.name.Name([b"\x07"] * 64 + [b""])
    long = dns.name.Name([b"\x80" * 63] * 3 + [b"\x80" * 61, b""])
    names = told_by(pointers({ROUTER: [escapes], OTHER: [deep], SIX: [long]}), ROUTER, OTHER, SIX)
    assert names[ROUTER] == r"\027[31m\000\255\010.\226\128\174.<script>"
    assert names[OTHER] == ".".join([r"\007"] * 64)[:253]
    assert names[SIX] == r"\128" * 63 + "."  # 4 * 63 + 1 of 1,004 characters
    assert all(name is not None and name.isprintable() and name.isascii() for name in names.values())


def test_the_root_is_no_name() -> None:
    assert told_by(pointers({ROUTER: [dns.name.root]}), ROUTER) == {ROUTER: None}


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.254.1.1", "127.0.0.1", "192.0.2.1", "198.51.100.1",
     "203.0.113.1", "0.0.0.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "fd00::1", "fe80::1", "::1", "::",
     "ff02::1", "2001:db8::1", "3fff::1", "::ffff:8.8.8.8", "fe80::1%eth0", "", "router", "8.8.8.8.8"],
)  # fmt: skip
def test_nobody_is_asked_about_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)
    with answering(pointers({})) as server:
        assert ask(server, address) == {}
        assert server.asked == []


@pytest.mark.parametrize("address", ["8.8.8.8", "193.0.0.1", "2001:67c::1", "2a00::1"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_only_so_many_are_asked_about_at_once() -> None:
    lock, now, most = threading.Lock(), [0], [0]
    original = reverse_names._name_of

    def counted(resolver: dns.resolver.Resolver, address: str) -> tuple[bool, str | None]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            return original(resolver, address)
        finally:
            with lock:
                now[0] -= 1

    with pytest.MonkeyPatch.context() as patch, answering(pointers({}, otherwise=None)) as server:
        patch.setattr(reverse_names, "_name_of", counted)
        ask(server, *(f"193.0.0.{host}" for host in range(1, 10)), timeout_s=0.1, at_once=3)
    assert most == [3]


def test_progress_is_told_for_every_address() -> None:
    told: list[int] = []
    with answering(pointers({})) as server:
        resolve_names([ROUTER, OTHER, "10.0.0.1"], nameservers=["127.0.0.1"], port=server.port, progress=told.append)
    assert told == [1, 2]


def test_who_loses_patience_need_not_wait_for_all() -> None:
    began = time.monotonic()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with answering(pointers({}, otherwise=None)) as server, pytest.raises(KeyboardInterrupt):
        resolve_names(
            [f"193.0.{net}.1" for net in range(200)], nameservers=["127.0.0.1"], port=server.port, timeout_s=0.2,
            at_once=2, progress=stop,
        )  # fmt: skip
    assert time.monotonic() - began < 15  # all of them take twenty seconds


def test_a_host_without_a_resolver_is_told_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", missing)
    with pytest.raises(PlatformFailed, match="no DNS resolver: name one by CATCHMENT_RESOLVER"):
        resolve_names([ROUTER])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("", None),
    ],
)
def test_a_resolver_is_named_by_address_and_port(text: str, expected: tuple[str, int] | None) -> None:
    assert nameserver_of({"CATCHMENT_RESOLVER": text}) == expected


@pytest.mark.parametrize(
    "text", ["resolver", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:65536", "[::1", "]"]
)
def test_what_names_no_resolver_is_one_line_that_says_how(text: str) -> None:
    with pytest.raises(PlatformFailed, match="is no resolver: write it like") as caught:
        nameserver_of({"CATCHMENT_RESOLVER": text})
    assert "\n" not in str(caught.value)
