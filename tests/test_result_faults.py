"""Faults of results: of DNS, pings, traceroutes, and of what says who measured."""

from __future__ import annotations

import base64
import json

import dns.edns
import dns.message
import dns.rcode
import dns.rdataclass
import pytest

from catchment.model import Kind
from catchment.platforms.sandbox import FAULTS, find_faults
from catchment.platforms.sandbox.api.faults import ResultFault
from catchment.platforms.sandbox.api.faults.fault import chance
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.clock import Clock
from tests.fake_internet import (
    START,
    FakeInternet,
    dns_definition,
    ping_definition,
    traceroute_definition,
    vantage,
)
from tests.faulty_world import K_ROOT, POINTS, Row, World, changed, message


def test_every_fault_of_results_changes_a_share_of_them_and_leaves_who_measured_what_and_when() -> None:
    definitions = {Kind.DNS: dns_definition(), Kind.PING: ping_definition(), Kind.TRACEROUTE: traceroute_definition()}
    plain = {kind: World().results(definition) for kind, definition in definitions.items()}
    for name, fault in FAULTS.items():
        if isinstance(fault, ResultFault) and name != "dns-list-rdata":  # which these probes print anyway
            for kind, definition in definitions.items():
                spoilt = World(name).results(definition)
                assert [[one[key] for key in ("prb_id", "msm_id", "timestamp")] for one in spoilt] == [
                    [one[key] for key in ("prb_id", "msm_id", "timestamp")] for one in plain[kind]
                ]
                differing = sum(one != other for one, other in zip(spoilt, plain[kind], strict=True))
                assert (3 <= differing <= 25) if kind in fault.kinds else differing == 0, name


def test_a_result_is_spoilt_in_the_same_way_whenever_it_is_read() -> None:
    world = World("dns-timeout", "hop-late", "fw-text")
    number = world.measure()
    assert world.lines(number) == world.lines(number)
    assert world.get(f"measurements/{number}/results/") == [json.loads(line) for line in world.lines(number)]
    assert {str(one) for one in world.get(f"measurements/{number}/latest/")} == {
        str(json.loads(line)) for line in world.lines(number)
    }


def test_a_probe_gets_no_answer() -> None:
    for _, spoilt in changed("dns-timeout"):
        assert spoilt["error"] == {"timeout": 5000}
        assert "result" not in spoilt
    for _, spoilt in changed("dns-getaddrinfo"):
        assert list(spoilt["error"]) == ["getaddrinfo"]
        assert not {"result", "dst_addr", "src_addr", "af"} & set(spoilt)


def test_an_answer_says_less_than_it_should() -> None:
    for _, spoilt in changed("dns-refused"):
        answer = spoilt["result"]
        assert message(spoilt).rcode() == dns.rcode.REFUSED
        assert (answer["ANCOUNT"], "answers" in answer, "error" in spoilt) == (0, False, False)
        assert answer["size"] == len(base64.b64decode(answer["abuf"]))
    for _, spoilt in changed("dns-no-answers"):
        assert message(spoilt).rcode() == dns.rcode.NOERROR
        assert (message(spoilt).answer, message(spoilt).options) == ([], ())
        assert "answers" not in spoilt["result"]


def test_a_box_on_the_way_answers_in_the_wrong_class() -> None:
    for plain, spoilt in changed("dns-wrong-class"):
        asked, answer = message(spoilt).question[0], message(spoilt).answer[0]
        assert (asked.rdclass, answer.rdclass) == (dns.rdataclass.CH, dns.rdataclass.IN)
        assert spoilt["result"]["answers"][0]["RDATA"] == ["PowerDNS Recursor"]
        assert spoilt["result"]["ID"] == plain["result"]["ID"] == message(spoilt).id


def test_edns_holds_what_few_expect() -> None:
    for plain, spoilt in changed("dns-binary-nsid"):
        (nsid,) = message(spoilt).options
        assert isinstance(nsid, dns.edns.NSIDOption)
        with pytest.raises(UnicodeDecodeError):
            nsid.nsid.decode()
        assert spoilt["result"]["answers"] == plain["result"]["answers"]
    for _, spoilt in changed("dns-more-options"):
        types = [int(option.otype) for option in message(spoilt).options]
        assert types == [3, 15, 8, 65_001]  # NSID, EDE (RFC 8914), ECS (RFC 7871)


def test_txt_data_and_base64_come_in_both_forms() -> None:
    for plain, spoilt in changed("dns-string-rdata"):
        assert plain["result"]["answers"][0]["RDATA"] == [spoilt["result"]["answers"][0]["RDATA"]]
    for plain, spoilt in changed("dns-unpadded"):
        assert plain["result"]["abuf"].rstrip("=") == spoilt["result"]["abuf"] != plain["result"]["abuf"]
    old = FakeInternet((vantage(9, firmware=4670),))
    faults = find_faults(["dns-list-rdata"])
    change = next(fault.change for fault in faults if isinstance(fault, ResultFault))
    clock = Clock(START, monotonic=lambda: 0.0)
    ledger = Ledger(old, clock, Probes(old.topology, START), start=START, built_ins=(K_ROOT,))
    found = ledger.get(10301)
    assert found is not None
    result = next(ledger.results(found, now=START))
    assert result["result"]["answers"][0]["RDATA"] == "fra1.example-dns.net"
    listed = change(result, chance(1))
    assert listed["result"]["answers"][0]["RDATA"] == ["fra1.example-dns.net"]


def test_one_of_two_resolvers_fails() -> None:
    for plain, spoilt in changed("dns-resultset"):
        first, second = spoilt["resultset"]
        assert "result" not in spoilt
        assert first["result"] == plain["result"]
        assert second["error"] == {"timeout": 5000}
        assert [(one["subid"], one["submax"], one["dst_port"]) for one in (first, second)] == [
            (1, 2, "53"),
            (2, 2, "53"),
        ]


def test_hops_are_silent_late_doubled_or_errors() -> None:
    for _, spoilt in changed("hop-255", traceroute_definition()):
        numbers = [hop["hop"] for hop in spoilt["result"]]
        assert numbers[-1] == 255
        assert numbers[:-1] == list(range(1, len(numbers)))
        assert all(packet == {"x": "*"} for hop in spoilt["result"][-6:] for packet in hop["result"])

    def packets(result: Row) -> list[Row]:
        return [packet for hop in result["result"] for packet in hop["result"]]

    for plain, spoilt in changed("hop-late", traceroute_definition()):
        (late,) = (packet for packet in packets(spoilt) if "late" in packet)
        assert "rtt" not in late
        assert len(packets(spoilt)) == len(packets(plain)) + 1
    for plain, spoilt in changed("hop-twice", traceroute_definition()):
        (doubled,) = (packet for packet in packets(spoilt) if packet.get("dup"))
        assert len(packets(spoilt)) == len(packets(plain)) + 1
        assert "rtt" in doubled
    errors = {
        packet["err"]
        for _, spoilt in changed("hop-error", traceroute_definition())
        for packet in packets(spoilt)
        if "err" in packet
    }
    assert errors <= {"N", "H", "A", "P", "p", "h", 13}
    assert len(errors) > 1


def test_pings_are_lost_doubled_or_errors_and_their_summary_says_so() -> None:
    for _, spoilt in changed("ping-lost", ping_definition()):
        assert [spoilt[name] for name in ("min", "avg", "max", "rcvd", "sent")] == [-1, -1, -1, 0, 3]
        assert "ttl" not in spoilt
    for plain, spoilt in changed("ping-twice", ping_definition()):
        assert (spoilt["dup"], spoilt["rcvd"], spoilt["avg"]) == (1, plain["rcvd"], plain["avg"])
        assert len(spoilt["result"]) == 4
    for _, spoilt in changed("ping-error", ping_definition()):
        # 10.5, lost, 10.25: without the first
        assert [spoilt[name] for name in ("min", "avg", "max", "rcvd", "sent")] == [10.25, 10.25, 10.25, 1, 3]
        assert "error" in spoilt["result"][0]


def test_firmware_and_clock_are_told_in_odd_ways() -> None:
    assert {spoilt["fw"] for _, spoilt in changed("fw-text")} == {str(POINTS[0].firmware)}
    assert {spoilt["lts"] for _, spoilt in changed("lts-unknown")} == {-1}
