from __future__ import annotations

import base64
import bz2
import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from ripe.atlas.sagan import DnsResult, PingResult, Result

from catchment.campaign import load_service
from catchment.campaign.own_vantages import vantage_number
from catchment.engine import connection
from catchment.errors import InvalidFile
from catchment.model import Window
from catchment.observe import Reading, observe, sniff
from tests.atlas_results import NOON, TARGET, dns_error, dns_result, head, message, ping_result
from tests.conftest import EXAMPLE_SERVICE

Row = dict[str, Any]
SERVICE = load_service(EXAMPLE_SERVICE)
REPLY = dns_result(1)["result"]
RECORDED_DNS = (
    "opendns-hostname-bind-2017-06-26",
    "local-resolvers-id-server-2017-07-10",
    "cloudflare-ns-id-server-africa-2015-03-21",
    "cloudflare-ns-id-server-africa-2015-03-27",
    "firmware-variety-dns",
)


@dataclass(frozen=True)
class Observed:
    reading: Reading
    rows: list[Row]

    @property
    def only(self) -> Row:
        (row,) = self.rows
        return row

    def of(self, column: str) -> list[Any]:
        return [row[column] for row in self.rows]


def read_files(folder: Path, *files: Path, window: Window = Window()) -> Observed:
    folder.mkdir(exist_ok=True)
    to = folder / "observations.parquet"
    with connection(folder / "spill") as con:
        reading = observe(con, [sniff(file) for file in files], [SERVICE], to, folder, window=window)
        found = con.execute(f"SELECT * FROM read_parquet('{to}')")
        names = [column[0] for column in found.description or ()]
        return Observed(reading, [dict(zip(names, row, strict=True)) for row in found.fetchall()])


@pytest.fixture
def observed(tmp_path: Path) -> Callable[..., Observed]:
    def read(*results: Row, window: Window = Window()) -> Observed:
        path = tmp_path / "results.ndjson"
        path.write_text("\n".join(map(json.dumps, results)))
        return read_files(tmp_path / "work", path, window=window)

    return read


def without(result: Row, *keys: str) -> Row:
    return {key: value for key, value in result.items() if key not in keys}


def resultset(*items: Row, probe: int = 9) -> Row:
    return without(head(probe, "dns", 90_000_004), "dst_addr", "dst_name", "af") | {"resultset": list(items)}


def item(seconds: int = 0, target: str = TARGET, **more: Any) -> Row:
    return {"time": NOON + seconds, "dst_addr": target, "af": 4, "src_port": 5353, **more}


def traceroute(*hops: Row, **changes: Any) -> Row:
    result = head(5, "traceroute", 90_000_003) | {"endtime": NOON + 9, "paris_id": 3, "proto": "ICMP"}
    return result | {"result": list(hops)} | changes


def hop(number: int, *packets: Row) -> Row:
    return {"hop": number, "result": list(packets)}


def reply_from(address: str, rtt: float, **more: Any) -> Row:
    return {"from": address, "rtt": rtt, "size": 28, "ttl": 60, **more}


# --- DNS results


def test_an_answer_holds_who_was_asked_and_who_answered(observed: Callable[..., Observed]) -> None:
    assert observed(dns_result(6019, "fra1.example-dns.net", nsid=b"n1", src_port=5353)).only == {
        "vantage": "atlas:6019",
        "service": "example-dns",
        "target": TARGET,
        "af": 4,
        "kind": "dns",
        "measured_at": float(NOON),
        "rtt_ms": 20.0,
        "query": "hostname.bind",
        "identity": "fra1.example-dns.net",
        "identity_source": "hostname.bind",
        "second_identity": "n1",
        "second_identity_source": "nsid",
        "rcode": "NOERROR",
        "class": "CH",
        "question_class": "CH",
        "failure": None,
        "failure_detail": None,
        "flow": 5353,
        "hop": None,
        "hop_rtt_ms": None,
        "hop_gap": None,
        "measurement_id": 90_000_001,
        "raw_file": "results.ndjson",
        "raw_record": 1,
        "raw_item": 0,
    }


@pytest.mark.parametrize("firmware", [0, 1, "4400", "4460", 4610, 5130, None])
def test_the_number_of_the_firmware_does_not_matter(observed: Callable[..., Observed], firmware: object) -> None:
    assert observed(dns_result(1, fw=firmware)).only["identity"] == "fra1.example-dns.net"


def test_keys_of_firmware_before_4460_are_understood(observed: Callable[..., Observed]) -> None:
    old = without(dns_result(1), "dst_addr", "dst_name", "af", "type")
    row = observed(old | {"addr": TARGET, "name": "ns.example.net", "pf": 4}).only
    assert (row["target"], row["service"], row["af"], row["kind"]) == (TARGET, "example-dns", 4, "dns")


def test_numbers_given_as_text_are_numbers(observed: Callable[..., Observed]) -> None:
    row = observed(dns_result(1, prb_id="17", msm_id="5", timestamp=str(NOON), af="4", rtt_ms="12.5")).only
    assert [row[key] for key in ("vantage", "measurement_id", "measured_at", "af", "rtt_ms")] == [
        "atlas:17", 5, NOON, 4, 12.5
    ]  # fmt: skip


def test_the_time_of_the_query_alone_is_preferred(observed: Callable[..., Observed]) -> None:
    assert observed(dns_result(1, result=REPLY | {"rt": 61.5, "qt": 20.25})).only["rtt_ms"] == 20.25


def test_a_timeout_is_an_observation_not_an_error(observed: Callable[..., Observed]) -> None:
    found = observed(dns_error(1))
    assert (found.only["failure"], found.only["failure_detail"]) == ("timeout", "timeout: 5000")
    assert (found.only["rtt_ms"], found.only["rcode"], found.only["identity"]) == (None, None, None)
    assert found.reading.rejected == 0


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"timeout": 5000}, "timeout"),
        ({"getaddrinfo": "Name or service not known"}, "probe-failed"),
        ({"nameserver": "no local resolvers found"}, "probe-failed"),
        ({"senderror": "AF_INET, Network is unreachable"}, "probe-failed"),
        ({"socket": "Address family not supported"}, "probe-failed"),
        ({"TUDNS": 8}, "probe-failed"),
        ({"TUSOCKET": "x"}, "probe-failed"),
        ({"TU_BAD_ADDR": "true"}, "probe-failed"),
        ({"TU_OUT_OF_ADDRESS": "x"}, "probe-failed"),
        ({"TUCONNECT": "Connection refused"}, "network"),
        ({"TU_READ_ERR": "Connection reset by peer"}, "network"),
        ({"TCPREAD": "x"}, "network"),
        ({"TCPREADSIZE": 3}, "network"),
        ({"err": "x"}, "network"),
        ({"idmismatch": "mismatch id from tcp"}, "malformed"),
        ("a text", "network"),
    ],
)
def test_an_error_is_a_failure_of_its_kind(observed: Callable[..., Observed], error: Any, failure: str) -> None:
    row = observed(dns_error(1, error)).only
    assert row["failure"] == failure
    assert str(next(iter(error.values())) if isinstance(error, dict) else error) in row["failure_detail"]


def test_a_reply_beside_an_error_is_an_answer(observed: Callable[..., Observed]) -> None:
    row = observed(dns_result(1) | {"error": {"timeout": 5000}}).only
    assert (row["identity"], row["failure"]) == ("fra1.example-dns.net", None)


def test_an_error_rcode_is_an_answer_without_identity(observed: Callable[..., Observed]) -> None:
    row = observed(dns_result(1, None, rcode="REFUSED")).only
    assert (row["rcode"], row["failure"], row["identity"], row["rtt_ms"]) == ("REFUSED", None, None, 20.0)


@pytest.mark.parametrize("data", ["fra1", ["fra1"]])
def test_answers_stand_in_for_a_message_that_was_not_kept(observed: Callable[..., Observed], data: object) -> None:
    answers = [{"TYPE": "TXT", "NAME": "id.server", "RDATA": data}]
    row = observed(dns_result(1, result={"rt": 7.5, "answers": answers})).only
    assert [row[key] for key in ("identity", "identity_source", "rcode", "rtt_ms")] == [
        "fra1",
        "id.server",
        "NOERROR",
        7.5,
    ]


def test_the_message_counts_and_not_the_probes_reading_of_it(observed: Callable[..., Observed]) -> None:
    other = REPLY | {"answers": [{"TYPE": "TXT", "NAME": "id.server", "RDATA": ["other"]}]}
    bare = dns_result(2, result={"rt": 1, "answers": other["answers"]})
    assert observed(dns_result(1, result=other), bare).of("identity") == ["fra1.example-dns.net", "other"]


def test_a_reply_without_message_and_answers_is_an_answer_that_says_nothing(observed: Callable[..., Observed]) -> None:
    row = observed(dns_result(1, result={"rt": 7.5, "size": 40, "ANCOUNT": 0})).only
    assert [row[key] for key in ("failure", "rcode", "identity", "rtt_ms")] == [None, None, None, 7.5]


@pytest.mark.parametrize("result", [{}, {"error": None}, {"result": None}])
def test_a_result_with_neither_reply_nor_error_is_malformed(observed: Callable[..., Observed], result: Row) -> None:
    assert observed(without(dns_error(1), "error") | result).only["failure"] == "malformed"


@pytest.mark.parametrize("abuf", ["AAAA", "x", "????", "\u6771\u4eac\u6771\u4eac\u6771", "AAAAAAAAAAAAA"])
def test_a_message_that_nobody_can_read_is_malformed(observed: Callable[..., Observed], abuf: str) -> None:
    row = observed(dns_result(1, result={"rt": 7.5, "abuf": abuf})).only
    assert (row["failure"], row["identity"]) == ("malformed", None)


def test_a_class_in_answer_to_a_chaos_question_is_shown(observed: Callable[..., Observed]) -> None:
    row = observed(dns_result(1, "PowerDNS", answer_class="IN")).only
    assert (row["class"], row["identity"]) == ("IN", "PowerDNS")


def test_a_timeout_takes_its_query_from_its_measurement(observed: Callable[..., Observed]) -> None:
    rows = observed(dns_error(1), dns_error(2, msm_id=7), dns_result(3, query="id.server")).rows
    assert {row["vantage"]: row["query"] for row in rows} == {
        "atlas:1": "id.server", "atlas:2": None, "atlas:3": "id.server"
    }  # fmt: skip


# --- Result sets


def test_items_of_a_result_set_have_times_and_targets_of_their_own(observed: Callable[..., Observed]) -> None:
    found = observed(resultset(item(1, result=REPLY), item(2, "192.168.1.1", result=REPLY | {"qt": 3.5})))
    assert [[row[key] for key in ("target", "measured_at", "rtt_ms", "flow", "raw_item")] for row in found.rows] == [
        [TARGET, NOON + 1, 20.0, 5353, 1],
        ["192.168.1.1", NOON + 2, 3.5, 5353, 2],
    ]


def test_items_of_a_result_set_fail_one_by_one(observed: Callable[..., Observed]) -> None:
    found = observed(
        resultset(
            item(1, result=REPLY),
            item(2, error={"timeout": 5000}),
            item(3, error={"nameserver": "no local resolvers found"}),
            item(4),
            item(5, result={"rt": 2, "abuf": "AAAA"}),
        )
    )
    assert found.of("failure") == [None, "timeout", "probe-failed", "malformed", "malformed"]
    assert found.reading.records == 1


def test_answers_stand_in_for_the_message_of_an_item(observed: Callable[..., Observed]) -> None:
    answers = [{"TYPE": "TXT", "NAME": "id.server", "RDATA": ["x"]}]
    found = observed(resultset(item(1, result=REPLY), item(2, result={"rt": 2, "answers": answers})))
    assert found.of("identity") == ["fra1.example-dns.net", "x"]


def test_an_empty_result_set_is_not_dropped_silently(observed: Callable[..., Observed]) -> None:
    found = observed(resultset(), dns_result(1))
    assert len({row["raw_record"] for row in found.rows}) + found.reading.rejected == found.reading.records == 2


# --- Targets


def test_an_address_is_one_target_however_it_is_written(observed: Callable[..., Observed]) -> None:
    written = ["2001:DB8::53", "2001:db8:0:0:0:0:0:53", "2001:0db8::0053"]
    found = observed(*(dns_result(probe, dst_addr=text, af=6) for probe, text in enumerate(written)))
    assert (set(found.of("target")), set(found.of("af"))) == ({"2001:db8::53"}, {6})


def test_a_name_that_is_an_address_tells_the_target(observed: Callable[..., Observed]) -> None:
    assert observed(without(dns_error(1), "dst_addr")).only["target"] == TARGET


def test_a_missing_target_is_that_of_its_measurement(observed: Callable[..., Observed]) -> None:
    rows = observed(dns_result(1), without(dns_error(2), "dst_addr", "dst_name")).rows
    assert [(row["target"], row["service"]) for row in rows] == [(TARGET, "example-dns")] * 2


def test_a_missing_target_is_not_guessed_from_another_measurement(observed: Callable[..., Observed]) -> None:
    rows = observed(dns_result(1), without(dns_error(2, msm_id=7), "dst_addr", "dst_name")).rows
    assert [row["target"] for row in rows] == [TARGET, None]


def test_a_missing_target_is_not_guessed_from_several(observed: Callable[..., Observed]) -> None:
    nameless = without(dns_error(3), "dst_addr", "dst_name")
    assert observed(dns_result(1), dns_result(2, dst_addr="192.0.2.54"), nameless).of("target")[-1] is None


@pytest.mark.parametrize("name", ["ns.example.net", None])
def test_a_host_name_alone_leaves_the_target_to_the_siblings(
    observed: Callable[..., Observed], name: str | None
) -> None:
    unresolved = without(dns_error(2, {"getaddrinfo": "x"}), "dst_addr") | {"dst_name": "ns.example.net"}
    nameless = unresolved if name else without(dns_error(3), "dst_addr", "dst_name")
    found = observed(dns_result(1), unresolved, nameless)
    assert found.rows[-1]["target"] == TARGET


def test_two_forms_of_an_address_are_one_target_for_the_siblings(observed: Callable[..., Observed]) -> None:
    written = [dns_result(1, dst_addr="2001:DB8::53", af=6), dns_result(2, dst_addr="2001:db8::53", af=6)]
    assert set(observed(*written, without(dns_error(3), "dst_addr", "dst_name")).of("target")) == {"2001:db8::53"}


def test_what_is_not_the_services_is_counted_and_kept(observed: Callable[..., Observed]) -> None:
    found = observed(dns_result(1), dns_result(2, dst_addr="192.0.2.99"), ping_result(3, 5.0, dst_addr="192.0.2.98"))
    assert (found.reading.off_target, len(found.rows)) == (2, 3)
    assert found.of("service").count(None) == 2


def test_an_address_family_beyond_a_byte_does_not_stop_the_rest(observed: Callable[..., Observed]) -> None:
    assert len(observed(dns_result(1), dns_result(2, af=300, dst_addr="ns.example.net")).rows) == 2


# --- Pings


def test_the_least_time_of_a_ping_counts(observed: Callable[..., Observed]) -> None:
    row = observed(ping_result(1, 9.5, 7.25, 8.0)).only
    assert (row["kind"], row["rtt_ms"], row["failure"], row["rcode"]) == ("ping", 7.25, None, None)


def test_a_ping_without_replies_timed_out(observed: Callable[..., Observed]) -> None:
    row = observed(ping_result(1)).only
    assert (row["rtt_ms"], row["failure"]) == (None, "timeout")


def test_duplicate_replies_to_a_ping_do_not_count(observed: Callable[..., Observed]) -> None:
    packets = [{"x": "*"}, {"rtt": 1.5, "dup": 1}, {"rtt": 7.25}]
    assert observed(ping_result(1, 7.25, result=packets)).only["rtt_ms"] == 7.25


def test_duplicate_replies_alone_are_no_answer(observed: Callable[..., Observed]) -> None:
    packets = [{"x": "*"}, {"rtt": 1635.4, "dup": 1}]
    assert observed(ping_result(1, result=packets)).only["failure"] == "timeout"


def test_a_ping_that_could_not_be_sent_is_the_probes_failure(observed: Callable[..., Observed]) -> None:
    row = observed(ping_result(1, result=[{"error": "connect failed: Network is unreachable"}] * 3)).only
    assert (row["failure"], row["failure_detail"]) == ("probe-failed", "connect failed: Network is unreachable")


def test_one_reply_outweighs_packets_that_could_not_be_sent(observed: Callable[..., Observed]) -> None:
    row = observed(ping_result(1, 7.25, result=[{"error": "sendto failed"}, {"rtt": 7.25}])).only
    assert (row["rtt_ms"], row["failure"]) == (7.25, None)


@pytest.mark.parametrize(("received", "least", "rtt_ms"), [("3", "57.876", 57.876), ("0", "-1", None)])
def test_old_pings_without_packets_tell_their_least_time_as_text(
    observed: Callable[..., Observed], received: str, least: str, rtt_ms: float | None
) -> None:
    old = without(ping_result(1), "result", "af", "msm_name") | {"fw": 0, "rcvd": received, "min": least, "sent": "3"}
    row = observed(old).only
    assert (row["rtt_ms"], row["failure"]) == (rtt_ms, None if rtt_ms else "timeout")


def test_a_ping_with_neither_packets_nor_counts_is_malformed(observed: Callable[..., Observed]) -> None:
    assert observed(without(ping_result(1), "result", "rcvd")).only["failure"] == "malformed"


# --- Traceroutes


def test_a_traceroute_has_the_time_of_its_target(observed: Callable[..., Observed]) -> None:
    row = observed(
        traceroute(hop(1, reply_from("10.0.0.1", 1.0)), hop(2, reply_from(TARGET, 9.5), reply_from(TARGET, 8.5)))
    ).only
    assert [row[key] for key in ("kind", "rtt_ms", "failure", "flow")] == ["traceroute", 8.5, None, 3]


@pytest.mark.parametrize(
    "last",
    [
        hop(2, {"x": "*"}, {"x": "*"}),
        hop(255, {"x": "*"}),
        hop(2, reply_from("10.0.0.2", 2.0)),
        hop(2, reply_from("10.0.0.2", 2.0, err="H")),
        hop(2, {"from": TARGET, "late": 2, "size": 28, "ttl": 60}),
    ],
)
def test_a_traceroute_that_the_target_did_not_answer_in_time_did_not_reach_it(
    observed: Callable[..., Observed], last: Row
) -> None:
    row = observed(traceroute(hop(1, reply_from("10.0.0.1", 1.0)), last)).only
    assert (row["rtt_ms"], row["failure"]) == (None, "not-reached")


def test_the_last_packet_with_hop_255_can_reach_the_target(observed: Callable[..., Observed]) -> None:
    row = observed(traceroute(hop(1, {"x": "*"}), hop(255, {"x": "*"}, reply_from(TARGET, 9.5)))).only
    assert (row["rtt_ms"], row["failure"]) == (9.5, None)


def test_late_packets_between_do_not_hide_the_target(observed: Callable[..., Observed]) -> None:
    packets = [{"from": TARGET, "late": 2, "ttl": 60}, reply_from(TARGET, 9.5), reply_from(TARGET, 11.5, dup=True)]
    assert observed(traceroute(hop(2, *packets))).only["rtt_ms"] == 9.5


@pytest.mark.parametrize(
    "broken",
    [{"hop": 1, "error": "sendto failed: x"}, hop(1, {"error": "sendto failed: x"}), {"error": "sendto failed: x"}],
)
def test_a_traceroute_that_could_not_be_sent_is_the_probes_failure(
    observed: Callable[..., Observed], broken: Row
) -> None:
    row = observed(traceroute(broken)).only
    assert (row["failure"], row["failure_detail"]) == ("probe-failed", "sendto failed: x")


def test_an_error_of_a_router_is_not_the_probes_failure(observed: Callable[..., Observed]) -> None:
    assert observed(traceroute(hop(1, reply_from("10.0.0.1", 1.0, err="N")))).only["failure"] == "not-reached"


@pytest.mark.parametrize("target", [{"dst_addr": "2001:DB8::53"}, {"dst_name": "2001:db8:0:0:0:0:0:53"}])
def test_the_target_is_known_in_any_form_of_its_address(observed: Callable[..., Observed], target: Row) -> None:
    result = without(traceroute(hop(2, reply_from("2001:db8::53", 9.5)), af=6), "dst_addr", "dst_name") | target
    assert observed(result).only["rtt_ms"] == 9.5


# --- The last router before the target


def last_router(row: Row) -> tuple[str | None, float | None, int | None]:
    return row["hop"], row["hop_rtt_ms"], row["hop_gap"]


SILENT = {"x": "*"}
HOME, NEAR, FAR = reply_from("192.168.1.1", 0.5), reply_from("203.0.113.1", 4.0), reply_from("203.0.113.2", 9.0)
THERE = reply_from(TARGET, 9.5)


@pytest.mark.parametrize(
    ("hops", "expected"),
    [
        ([hop(1, HOME), hop(2, NEAR), hop(3, FAR), hop(4, THERE)], ("203.0.113.2", 9.0, 0)),
        ([hop(1, HOME), hop(2, NEAR), hop(3, SILENT), hop(4, SILENT, THERE)], ("203.0.113.1", 4.0, 2 - 1)),
        ([hop(1, HOME), hop(2, SILENT), hop(3, SILENT), hop(4, THERE)], ("192.168.1.1", 0.5, 2)),
        ([hop(1, THERE)], (None, None, None)),
        ([hop(1, SILENT), hop(2, THERE)], (None, None, None)),
        # The target answers again and again: what stands between its answers is not before it.
        ([hop(1, NEAR), hop(2, THERE), hop(3, FAR), hop(4, THERE)], ("203.0.113.1", 4.0, 0)),
        # Some load balancers send packets of one hop to the target and to a router.
        ([hop(1, NEAR), hop(2, FAR, THERE)], ("203.0.113.1", 4.0, 0)),
        # Hops in any order: their numbers count.
        ([hop(3, THERE), hop(1, NEAR), hop(2, FAR)], ("203.0.113.2", 9.0, 0)),
        # Paris traceroute after five silent hops: how far the target is nobody knows.
        ([hop(1, NEAR), *(hop(number, SILENT) for number in range(2, 7)), hop(255, THERE)], ("203.0.113.1", 4.0, None)),
        ([hop(1, NEAR), hop(255, SILENT)], (None, None, None)),
        ([hop(1, NEAR), hop(2, FAR)], (None, None, None)),
    ],
)  # fmt: skip
def test_the_last_router_before_the_target_is_told(
    observed: Callable[..., Observed], hops: list[Row], expected: tuple[str | None, float | None, int | None]
) -> None:
    assert last_router(observed(traceroute(*hops)).only) == expected


@pytest.mark.parametrize("packets", [
    [reply_from("203.0.113.9", 1.0, err="H")],
    [reply_from("203.0.113.9", 1.0, err=13)],
    [reply_from("203.0.113.9", 1.0, late=1)],
    [{"from": "203.0.113.9", "late": 2, "ttl": 60}],
    [{"x": "*"}, {"error": "sendto failed"}],
    [{"from": "203.0.113.9", "rtt": "NaN"}],
    [{"from": "203.0.113.9", "rtt": -1.0}],
    [{"rtt": 5.0}],
    [None, 5, []],
])  # fmt: skip
def test_what_is_no_answer_of_a_router_is_passed_over(observed: Callable[..., Observed], packets: list[Any]) -> None:
    row = observed(traceroute(hop(1, NEAR), hop(2, *packets), hop(3, THERE))).only
    assert last_router(row) == ("203.0.113.1", 4.0, 1)


def test_of_several_routers_of_a_hop_the_fastest_is_told_and_then_the_first_as_text(
    observed: Callable[..., Observed],
) -> None:
    slow = [reply_from("203.0.113.9", 8.0), reply_from("203.0.113.8", 7.5), reply_from("203.0.113.10", 7.5)]
    row = observed(traceroute(hop(1, *slow), hop(2, THERE))).only
    assert last_router(row) == ("203.0.113.10", 7.5, 0)


@pytest.mark.parametrize("number", [None, "x", -1, 0, 256, 2**31 - 1, -(2**31), 2**40, 1.5e300])
def test_a_hop_without_a_possible_number_is_none(observed: Callable[..., Observed], number: object) -> None:
    odd = {"hop": number, "result": [FAR]}
    assert last_router(observed(traceroute(hop(1, NEAR), odd, hop(3, THERE))).only) == ("203.0.113.1", 4.0, 1)


def test_a_target_at_a_hop_without_a_number_is_reached_from_nobody_knows_where(
    observed: Callable[..., Observed],
) -> None:
    row = observed(traceroute(hop(1, NEAR), {"result": [THERE]})).only
    assert (row["rtt_ms"], *last_router(row)) == (9.5, None, None, None)


@pytest.mark.parametrize(
    "router", ["<script>alert(1)</script>", "\x1b[31m", "fe80::1%eth0", "x" * 9000, "10.0.0.256", ""]
)
def test_a_router_whose_address_is_none_is_none(observed: Callable[..., Observed], router: str) -> None:
    row = observed(traceroute(hop(1, NEAR), hop(2, reply_from(router, 5.0)), hop(3, THERE))).only
    assert last_router(row) == (None, None, None)


def test_a_router_is_told_by_the_one_form_of_its_address(observed: Callable[..., Observed]) -> None:
    row = observed(traceroute(hop(1, reply_from("2001:DB8:0:0::7", 5.0)), hop(2, THERE))).only
    assert last_router(row) == ("2001:db8::7", 5.0, 0)


def test_traceroutes_that_differ_in_the_last_router_alone_are_two(observed: Callable[..., Observed]) -> None:
    one, other = traceroute(hop(1, NEAR), hop(2, THERE)), traceroute(hop(1, FAR), hop(2, THERE))
    found = observed(one, other, one)
    assert (found.reading.duplicates, found.of("hop")) == (1, ["203.0.113.1", "203.0.113.2"])


def test_pings_and_queries_have_no_last_router(observed: Callable[..., Observed]) -> None:
    found = observed(ping_result(1, 5.0), dns_result(2), traceroute(hop(1, NEAR), hop(2, THERE)))
    assert [last_router(row) for row in found.rows] == [
        (None, None, None), (None, None, None), ("203.0.113.1", 4.0, 0)
    ]  # fmt: skip


# --- The class that was asked


@pytest.mark.parametrize("answered", ["CH", "IN"])
def test_the_class_of_the_question_stands_beside_that_of_the_answer(
    observed: Callable[..., Observed], answered: str
) -> None:
    row = observed(dns_result(1, "PowerDNS", answer_class=answered)).only
    assert (row["class"], row["question_class"]) == (answered, "CH")


def test_without_a_message_nobody_knows_which_class_was_asked(observed: Callable[..., Observed]) -> None:
    answers = [{"TYPE": "TXT", "NAME": "id.server", "RDATA": ["fra1"]}]
    found = observed(dns_result(1, result={"rt": 5.0, "answers": answers}), dns_error(2), ping_result(3, 1.0))
    assert found.of("question_class") == [None, None, None]


# --- Duplicates, window, order


def test_the_same_result_twice_in_a_file_counts_once(observed: Callable[..., Observed]) -> None:
    found = observed(dns_result(1), dns_result(2), dns_result(1))
    assert (found.reading.duplicates, found.of("raw_record")) == (1, [1, 2])


def test_the_same_result_in_two_files_counts_once(tmp_path: Path) -> None:
    for name, probes in {"a": (1, 2), "b": (2, 3)}.items():
        (tmp_path / name).write_text("\n".join(json.dumps(dns_result(probe)) for probe in probes))
    found = read_files(tmp_path / "work", tmp_path / "a", tmp_path / "b")
    assert found.reading.duplicates == 1
    assert [(row["raw_file"], row["vantage"]) for row in found.rows] == [
        ("a", "atlas:1"),
        ("a", "atlas:2"),
        ("b", "atlas:3"),
    ]


@pytest.mark.parametrize(
    "pair",
    [
        (dns_result(1, rtt_ms=20.0), dns_result(1, rtt_ms=20.001)),
        (dns_result(1), dns_result(1, "fra2.example-dns.net")),
        (dns_result(1), dns_result(1, msm_id=7)),
        (dns_result(1), dns_result(1, timestamp=NOON + 1)),
        (dns_result(1), dns_error(1)),
        (dns_error(1), dns_error(1, {"socket": "x"})),
        (ping_result(1, 5.0), ping_result(1, 6.0)),
        (dns_result(1, src_port=1), dns_result(1, src_port=2)),
    ],
)
def test_results_that_differ_in_anything_measured_are_both_kept(
    observed: Callable[..., Observed], pair: tuple[Row, Row]
) -> None:
    found = observed(*pair)
    assert (found.reading.duplicates, len(found.rows)) == (0, 2)


def test_equal_items_of_one_result_set_are_no_duplicates(observed: Callable[..., Observed]) -> None:
    found = observed(*[resultset(item(1, result=REPLY), item(1, result=REPLY))] * 2)
    assert (found.reading.duplicates, found.of("raw_item")) == (1, [1, 2])


def test_a_window_takes_its_start_in_and_leaves_its_end_out(observed: Callable[..., Observed]) -> None:
    results = [dns_result(1, timestamp=NOON + second) for second in (9, 10, 19, 20)]
    found = observed(*results, window=Window(start=NOON + 10, end=NOON + 20))
    assert found.of("measured_at") == [NOON + 10, NOON + 19]
    assert found.reading.outside_window == 2


def test_an_open_window_is_cut_at_one_end(observed: Callable[..., Observed]) -> None:
    results = [dns_result(1, timestamp=NOON + second) for second in (0, 10, 20)]
    assert observed(*results, window=Window(start=NOON + 10)).of("raw_record") == [2, 3]
    assert observed(*results, window=Window(end=NOON + 10)).of("raw_record") == [1]


def test_rows_are_in_the_order_of_service_target_kind_vantage_and_time(observed: Callable[..., Observed]) -> None:
    results = [
        ping_result(1, 5.0),
        dns_result(10, timestamp=NOON + 1),
        dns_result(10),
        traceroute(hop(1, reply_from(TARGET, 5.0)), prb_id=1),
        dns_result(9, dst_addr="192.0.2.9"),
        dns_result(2, "ber1.example-dns.net"),
        dns_result(2),
        dns_result(1, dst_addr="192.0.2.10"),
    ]
    found = observed(*results)
    order = [(row["target"], row["kind"], int(row["vantage"][6:]), row["raw_record"]) for row in found.rows]
    assert order == [
        (TARGET, "dns", 2, 6), (TARGET, "dns", 2, 7), (TARGET, "dns", 10, 3), (TARGET, "dns", 10, 2),
        (TARGET, "ping", 1, 1), (TARGET, "traceroute", 1, 4), ("192.0.2.10", "dns", 1, 8), ("192.0.2.9", "dns", 9, 5),
    ]  # fmt: skip


# --- Vantage points of ours


def own(name: str, result: Row | None = None, number: int | None = None) -> Row:
    number = vantage_number(name) if number is None else number
    return (dns_result(1) if result is None else result) | {"prb_id": number, "vantage": name}


def test_a_result_of_ours_is_its_vantage_points_and_all_others_are_of_atlas(observed: Callable[..., Observed]) -> None:
    found = observed(
        own("local:host-1.example_net"),
        dns_result(6019),
        own("lab:7", ping_result(1, 5.0)),
        own("lab:7", dns_error(1, {"socket": "no route"})),
        own("lab:7", traceroute(hop(1, reply_from(TARGET, 5.0)))),
    )
    assert {(row["vantage"], row["kind"], row["failure"]) for row in found.rows} == {
        ("local:host-1.example_net", "dns", None),
        ("atlas:6019", "dns", None),
        ("lab:7", "ping", None),
        ("lab:7", "dns", "probe-failed"),
        ("lab:7", "traceroute", None),
    }


LONGEST = "local:" + "x" * 80


@pytest.mark.parametrize(
    "name",
    [
        "atlas:1", "local:", "local:Host", "local:a b", "local:a\n", "local:\u202ehost", "lab:", "lab:x", "lab:-7",
        "lab:7.0", "lab:\u0667", "net:192.0.2.0/24", "", "\x00", LONGEST + "x", "lab:" + "7" * 1_000_000, "lab:7'; --",
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_of_ours_is_not_taken(observed: Callable[..., Observed], name: str) -> None:
    number = vantage_number(name)
    assert observed(own(name), own(LONGEST)).of("vantage") == [
        name for _, name in sorted([(number, f"atlas:{number}"), (vantage_number(LONGEST), LONGEST)])
    ]


@pytest.mark.parametrize("vantage", [None, 7, 7.5, True, [], ["lab:7"], {"lab:7": "lab:7"}])
def test_a_name_that_is_no_text_is_not_taken(observed: Callable[..., Observed], vantage: object) -> None:
    number = vantage_number("lab:7")
    assert observed(dns_result(number, vantage=vantage)).only["vantage"] == f"atlas:{number}"


@pytest.mark.parametrize("number", [0, 1, 6019, 1 << 47, vantage_number("lab:8"), (1 << 63) - 1])
def test_a_name_is_taken_only_with_the_number_that_is_made_from_it(
    observed: Callable[..., Observed], number: int
) -> None:
    found = observed(own("lab:7", number=number), own("lab:9"))
    assert sorted(found.of("vantage")) == [f"atlas:{number}", "lab:9"]


def test_one_result_that_gives_the_name_is_enough_for_the_others_of_its_number(
    observed: Callable[..., Observed],
) -> None:
    found = observed(dns_result(vantage_number("lab:7"), src_port=1), own("lab:7"), own("lab:6", number=6))
    assert found.of("vantage") == ["atlas:6", "lab:7", "lab:7"]


def test_names_are_read_from_whatever_form_a_file_has(tmp_path: Path) -> None:
    results = [dns_result(1), own("lab:7"), resultset(item(1, result=REPLY), probe=2)]
    lines = "\n".join(map(json.dumps, results)).encode()
    forms = {
        "lines": lines,
        "gzip": gzip.compress(lines),
        "bzip2": bz2.compress(lines),
        "array": json.dumps(results).encode(),
        "arrays": b"".join(json.dumps([result]).encode() for result in results),
        "damaged": json.dumps(results).encode()[:-1] + b", {",
        "cut off": gzip.compress(lines + b"\n" + lines)[:-8],
    }
    for form, content in forms.items():
        (tmp_path / form).write_bytes(content)
        vantage_points = read_files(tmp_path / f"{form}-work", tmp_path / form).of("vantage")
        assert set(vantage_points) == {"atlas:1", "atlas:2", "lab:7"}, form


def test_a_name_in_one_file_holds_in_the_others_and_the_same_result_in_both_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps(own("lab:7")))
    (tmp_path / "b").write_text(json.dumps(own("lab:7")) + "\n" + json.dumps(dns_result(vantage_number("lab:7"))))
    found = read_files(tmp_path / "work", tmp_path / "a", tmp_path / "b")
    assert (found.reading.duplicates, found.of("vantage")) == (2, ["lab:7"])


def test_times_have_fractions(observed: Callable[..., Observed]) -> None:
    results = [own("lab:7", dns_result(1, timestamp=NOON + second)) for second in (0.25, 0.125)]
    found = observed(*results, window=Window(start=NOON + 0.125, end=NOON + 0.25))
    assert (found.of("measured_at"), found.reading.outside_window) == ([NOON + 0.125], 1)
    assert observed(*results).of("measured_at") == [NOON + 0.125, NOON + 0.25]


def test_files_with_results_of_ours_make_the_same_bytes(tmp_path: Path) -> None:
    results = [own(f"lab:{number % 9}", dns_result(1, timestamp=NOON + number / 8)) for number in range(300)]
    (tmp_path / "a").write_text("\n".join(map(json.dumps, [*results, dns_result(5)])))
    for run in ("one", "two"):
        read_files(tmp_path / run, tmp_path / "a")
    assert (tmp_path / "one" / "observations.parquet").read_bytes() == (
        tmp_path / "two" / "observations.parquet"
    ).read_bytes()


# --- What all of them have


def test_the_same_files_make_the_same_bytes(recordings: Path, tmp_path: Path) -> None:
    files = sorted((recordings / "atlas").glob("firmware-variety-*.gz"))
    files.append(recordings / "atlas" / "opendns-hostname-bind-2017-06-26.ndjson.gz")
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        with connection(tmp_path / "spill") as con:
            observe(con, [sniff(file) for file in files], [], tmp_path / run / "o.parquet", tmp_path / run)
    assert (tmp_path / "one" / "o.parquet").read_bytes() == (tmp_path / "two" / "o.parquet").read_bytes()


@pytest.mark.parametrize(
    "text",
    ["a'\"; DROP TABLE x --", "\x1b[31m\n\t", "\u202eevil", "\u6771\u4eac", "%s {} $1", "\\x41", b"\x00\xff\xfe"],
)
def test_hostile_identities_come_out_as_printable_ascii(observed: Callable[..., Observed], text: str | bytes) -> None:
    raw = text.encode() if isinstance(text, str) else text
    abuf = base64.b64encode(message(raw, nsid=raw)).decode()
    row = observed(dns_result(1, result={"rt": 7.5, "abuf": abuf})).only
    assert row["identity"] == row["second_identity"]
    assert row["identity"].isascii()
    assert row["identity"].isprintable()
    assert len(row["identity"]) == sum(1 if 0x20 <= byte < 0x7F else 4 for byte in raw)


def test_hostile_errors_come_out_as_printable_ascii(observed: Callable[..., Observed]) -> None:
    row = observed(dns_error(1, {"getaddrinfo": "it's \u202e\x1b[31m \u6771"})).only
    assert (row["failure"], row["failure_detail"].isascii(), row["failure_detail"].isprintable()) == (
        "probe-failed",
        True,
        True,
    )


def test_rejected_records_are_named_with_the_file_they_stand_in(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps(dns_result(1)) + "\n\nbad\n")
    (tmp_path / "b").write_text("null\n" + json.dumps(dns_result(2)))
    reading = read_files(tmp_path / "work", tmp_path / "a", tmp_path / "b").reading
    assert [(entry.file, entry.record) for entry in reading.named] == [("a", 2), ("b", 1)]


def test_several_files_of_nothing_usable_are_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("<html>\n")
    with pytest.raises(InvalidFile, match=r"^2 files: none of 2 records is a RIPE Atlas result[^\n]*$"):
        read_files(tmp_path / "work", tmp_path / "a", tmp_path / "b")


def test_each_file_read_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(json.dumps(dns_result(1)))
    told: list[str] = []
    with connection(tmp_path / "spill") as con:
        files = [sniff(tmp_path / name) for name in ("a", "b")]
        observe(con, files, [], tmp_path / "o.parquet", tmp_path, done=lambda file: told.append(file.name))
    assert told == ["a", "b"]


# --- Real recordings, against what is published of them and against independent readers


@pytest.fixture(scope="module")
def recorded(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[list[Row], Observed]]:
    """Return a function that reads a recording both ways: as plain JSON, and as observations."""

    def read(name: str) -> tuple[list[Row], Observed]:
        file = recordings / "atlas" / f"{name}.ndjson.gz"
        with gzip.open(file, "rt") as lines:
            return [json.loads(line) for line in lines], read_files(tmp_path_factory.mktemp(name), file)

    return read


Recorded = Callable[[str], tuple[list[Row], Observed]]


def test_opendns_refuses_hostname_bind_as_published(recorded: Recorded) -> None:
    _, found = recorded("opendns-hostname-bind-2017-06-26")
    assert Counter(found.of("rcode")) == {
        "REFUSED": 8986, "NOERROR": 47, "NOTIMP": 22, "SERVFAIL": 7, "FORMERR": 1, None: 181
    }  # fmt: skip
    assert Counter(found.of("failure")) == {None: 9063, "timeout": 181}


def test_texts_in_the_name_of_opendns_are_as_published(recorded: Recorded) -> None:
    _, found = recorded("opendns-hostname-bind-2017-06-26")
    texts = [text for text in found.of("identity") if text is not None]
    assert (len(texts), len(set(texts)), texts.count("")) == (31, 29, 2)


def independent_reading(reply: Row) -> tuple[str | None, str | None, str | None, float | None]:
    """Return failure, rcode, first text and RTT of a reply, by dnspython from the whole message."""
    if not reply.get("abuf"):
        return None, None, None, reply.get("qt", reply["rt"])
    wire = base64.b64decode(reply["abuf"] + "==")
    decoded = dns.message.from_wire(wire, ignore_trailing=True, continue_on_error=True)
    texts = [record.strings for rrset in decoded.answer for record in rrset if record.rdtype == dns.rdatatype.TXT]
    text = None
    if texts:
        text = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in b" ".join(texts[0]))
    # "Ask again over TCP" is no answer, and not an empty one either.
    cut = decoded.flags & dns.flags.TC and not texts and not decoded.options and decoded.rcode() == dns.rcode.NOERROR
    failure = "malformed" if cut else None
    return failure, dns.rcode.to_text(decoded.rcode()), text, reply.get("qt", reply["rt"])


@pytest.mark.parametrize("name", RECORDED_DNS)
def test_every_recorded_reply_is_read_as_dnspython_reads_it(recorded: Recorded, name: str) -> None:
    results, found = recorded(name)
    for row in found.rows:
        result = results[row["raw_record"] - 1]
        part = result["resultset"][row["raw_item"] - 1] if row["raw_item"] else result
        if "result" not in part:
            assert row["failure"] == ("timeout" if "timeout" in part["error"] else "probe-failed")
            continue
        text = row["identity"]
        if row["identity_source"] == "nsid":
            text = row["second_identity"] if row["second_identity_source"] != "nsid" else None
        assert (row["failure"], row["rcode"], text, row["rtt_ms"]) == independent_reading(part["result"])


@pytest.mark.parametrize("name", RECORDED_DNS)
def test_every_recorded_reply_is_read_as_sagan_reads_it(recorded: Recorded, name: str) -> None:
    results, found = recorded(name)
    by_place = {(row["raw_record"], row["raw_item"]): row for row in found.rows}
    skipped: Counter[str] = Counter()
    for record, result in enumerate(results, 1):
        parsed = DnsResult(result, on_error=Result.ACTION_IGNORE, on_malformation=Result.ACTION_IGNORE)
        for number, reply in enumerate(parsed.responses, 1 if "resultset" in result else 0):
            row = by_place.get((record, number))
            if row is None:
                skipped["duplicate"] += 1
            elif reply.abuf is None:
                skipped["no message"] += 1  # sagan tells nothing of errors in a result set
            elif reply.abuf.is_malformed:
                skipped["malformed for sagan"] += 1
            else:
                answers = [answer for answer in reply.abuf.answers if answer.type == "TXT"]
                options = reply.abuf.edns0.options if reply.abuf.edns0 else []
                nsid = next((option.nsid for option in options if option.nsid), None)
                text = " ".join(answers[0].data) if answers else None
                if text is not None and "\\" in text:
                    skipped["escaped"] += 1  # decimal with sagan, hexadecimal with us
                    continue
                assert row["rcode"] == reply.abuf.header.return_code
                assert row["rtt_ms"] == pytest.approx(reply.response_time, abs=5e-4)
                ours = {row["identity"], row["second_identity"]} - {None}
                assert ours == {text, nsid} - {None}
    assert skipped == {
        "local-resolvers-id-server-2017-07-10": {"no message": 1031 + 312},
        "firmware-variety-dns": {"duplicate": 6, "no message": 4, "escaped": 2},
    }.get(name, {})


@pytest.mark.parametrize("name", ["google-ping-2017-06-26", "firmware-variety-ping"])
def test_every_recorded_ping_has_the_least_time_that_sagan_reads(recorded: Recorded, name: str) -> None:
    results, found = recorded(name)
    for row in found.rows:
        result = results[row["raw_record"] - 1]
        parsed = PingResult(result, on_error=Result.ACTION_IGNORE, on_malformation=Result.ACTION_IGNORE)
        least = None if parsed.rtt_min is None else pytest.approx(float(parsed.rtt_min), abs=1e-3)
        assert row["rtt_ms"] == least
        packets = [packet["rtt"] for packet in result.get("result", []) if "rtt" in packet and "dup" not in packet]
        assert row["rtt_ms"] == (min(packets) if packets else least)


@pytest.mark.parametrize(
    ("name", "number"), [("google-traceroute-2017-06-26", 9181), ("firmware-variety-traceroute", 2)]
)
def test_every_recorded_traceroute_that_reaches_its_target_is_told(recorded: Recorded, name: str, number: int) -> None:
    results, found = recorded(name)
    for row in found.rows:
        result = results[row["raw_record"] - 1]
        packets = [packet for each in result["result"] for packet in each.get("result", [])]
        target = result.get("dst_addr", result["dst_name"])
        times = [packet["rtt"] for packet in packets if packet.get("from") == target and "rtt" in packet]
        assert row["rtt_ms"] == min(times, default=None)
        assert (row["failure"] is None) == bool(times)
    assert found.of("failure").count(None) == number


def independent_last_router(result: Row) -> tuple[str | None, float | None, int | None]:
    """Return the last router before the target, as plain Python finds it in a result."""
    target = result.get("dst_addr", result["dst_name"])
    reached = [
        each["hop"]
        for each in result["result"]
        if any(packet.get("from") == target and "rtt" in packet for packet in each.get("result", []))
    ]
    for each in reversed(result["result"]):
        if reached and each["hop"] < min(reached):
            answers = [
                (packet["rtt"], packet["from"])
                for packet in each.get("result", [])
                if "rtt" in packet and not {"err", "late"} & packet.keys()
            ]
            if answers:
                gap = None if min(reached) == 255 else min(reached) - each["hop"] - 1
                return min(answers)[1], min(answers)[0], gap
    return None, None, None


@pytest.mark.parametrize(
    ("name", "number"), [("google-traceroute-2017-06-26", 9263), ("firmware-variety-traceroute", None)]
)
def test_every_recorded_traceroute_has_the_last_router_that_an_independent_count_finds(
    recorded: Recorded, name: str, number: int | None
) -> None:
    results, found = recorded(name)
    assert number in (None, len(found.rows))
    for row in found.rows:
        assert last_router(row) == independent_last_router(results[row["raw_record"] - 1])
    assert any(row["hop"] for row in found.rows)
