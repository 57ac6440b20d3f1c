"""What the sandbox writes, held against what the project's own parser reads back, for every age of firmware."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from ripe.atlas.sagan import Result

from catchment.campaign import load_service
from catchment.engine import connection
from catchment.observe import observe, sniff
from catchment.platforms.sandbox.api.definitions import Definition, read_definition
from catchment.platforms.sandbox.api.results import Sending, make_result
from catchment.platforms.sandbox.internet.replies import Hop, Lost, Reply
from tests.conftest import EXAMPLE_SERVICE
from tests.fake_internet import (
    ANSWER,
    HOPS,
    START,
    V4,
    FakeInternet,
    dns_definition,
    ping_definition,
    traceroute_definition,
    vantage,
)

FIRMWARE = (
    4400, 4460, 4470, 4480, 4500, 4520, 4540, 4550, 4560, 4570, 4600, 4610, 4650, 4670, 4700, 4720, 4750, 4780, 4790,
    4910, 4940, 5000, 5010, 5020, 5040, 5080, 5120,
)  # fmt: skip
Row = dict[str, Any]


def definition(given: Row) -> Definition:
    found, problems = read_definition(given)
    assert found is not None, problems
    return found


def sending(asked: Row, firmware: int = 5120, **changes: Any) -> Sending:
    usual: Row = {
        "measurement": 1_000_001, "group": 1_000_001, "definition": definition(asked), "interval_s": None,
        "vantage": vantage(firmware, firmware=firmware), "source": "192.168.1.20", "public": "240.0.0.10", "turn": 0,
        "at": START + 5, "stored_at": START + 40,
    }  # fmt: skip
    return Sending(**usual | changes)


def result(asked: Row, internet: FakeInternet | None = None, firmware: int = 5120, **changes: Any) -> Row:
    return make_result(internet or FakeInternet(), sending(asked, firmware, **changes), after_s=5.0)


@pytest.fixture
def observed(tmp_path: Path) -> Callable[[Iterable[Row]], dict[int, Row]]:
    """Return a function that reads results with the project's parser; rows by the number of the vantage point."""

    def read(results: Iterable[Row]) -> dict[int, Row]:
        path, to = tmp_path / "results.ndjson", tmp_path / "observations.parquet"
        path.write_text("".join(json.dumps(entry) + "\n" for entry in results))
        with connection(tmp_path / "spill") as con:
            reading = observe(con, [sniff(path)], [load_service(EXAMPLE_SERVICE)], to, tmp_path)
            assert (reading.rejected, reading.duplicates) == (0, 0)
            found = con.execute(f"SELECT * FROM read_parquet('{to}')")
            names = [column[0] for column in found.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return {int(row["vantage"].removeprefix("atlas:")): row for row in rows}

    return read


@pytest.mark.parametrize(
    "reply",
    [
        ANSWER,
        replace(ANSWER, nsid=None),
        replace(ANSWER, text=None),
        replace(ANSWER, rcode="REFUSED", text=None, nsid=None),
        replace(ANSWER, rcode="SERVFAIL", text=None, nsid=None),
        replace(ANSWER, text=None, nsid=None),
        replace(ANSWER, text="PowerDNS Recursor", nsid=None, answer_class="IN"),
    ],
    ids=["both", "txt", "nsid", "refused", "servfail", "empty", "foreign class"],
)
def test_every_reply_is_read_back_from_every_firmware(
    observed: Callable[[Iterable[Row]], dict[int, Row]], reply: Reply
) -> None:
    rows = observed(result(dns_definition(), FakeInternet(answer=reply), firmware) for firmware in FIRMWARE)
    assert list(rows) == list(FIRMWARE)
    for row in rows.values():
        assert (row["kind"], row["target"], row["af"], row["query"]) == ("dns", V4, 4, "hostname.bind")
        assert (row["rcode"], row["failure"], row["rtt_ms"]) == (reply.rcode, None, 12.346)
        assert row["class"] == (reply.answer_class if reply.text is not None else "CH")
        assert row["identity"] == (reply.nsid if reply.text is None else reply.text)
        assert row["second_identity"] == (None if reply.text is None else reply.nsid)
        assert (row["measurement_id"], row["measured_at"]) == (1_000_001, START + 5)


def test_a_garbled_reply_has_an_rcode_and_no_identity(observed: Callable[[Iterable[Row]], dict[int, Row]]) -> None:
    internet = FakeInternet(answer=replace(ANSWER, garbled=True))
    rows = observed(result(dns_definition(), internet, firmware) for firmware in FIRMWARE)
    assert [row["identity"] for row in rows.values()] == [None] * len(FIRMWARE)
    assert {row["rcode"] for row in rows.values()} == {"NOERROR"}


@pytest.mark.parametrize(("reason", "failure"), [("timeout", "timeout"), ("cannot-send", "probe-failed")])
@pytest.mark.parametrize("asked", [dns_definition(), ping_definition(), traceroute_definition()], ids=str)
def test_what_is_lost_is_lost_for_the_reason_that_it_was(
    observed: Callable[[Iterable[Row]], dict[int, Row]], reason: Any, failure: str, asked: Row
) -> None:
    lost = Lost(reason=reason)
    internet = FakeInternet(answer=lost, rtts_ms=lost, hops=lost)
    rows = observed(result(asked, internet, firmware) for firmware in FIRMWARE)
    expected = "not-reached" if failure == "timeout" and asked["type"] == "traceroute" else failure
    assert [row["failure"] for row in rows.values()] == [expected] * len(FIRMWARE)
    assert {row["rtt_ms"] for row in rows.values()} == {None}
    assert {row["target"] for row in rows.values()} == {V4}


def test_a_ping_is_read_back_with_its_least_round_trip(observed: Callable[[Iterable[Row]], dict[int, Row]]) -> None:
    rows = observed(result(ping_definition(), firmware=firmware) for firmware in FIRMWARE)
    assert [(row["kind"], row["rtt_ms"], row["failure"]) for row in rows.values()] == [("ping", 10.25, None)] * len(
        FIRMWARE
    )


def test_a_traceroute_is_read_back_with_the_round_trip_to_its_target(
    observed: Callable[[Iterable[Row]], dict[int, Row]],
) -> None:
    rows = observed(result(traceroute_definition(), firmware=firmware, turn=17) for firmware in FIRMWARE)
    assert [(row["kind"], row["rtt_ms"], row["failure"]) for row in rows.values()] == [
        ("traceroute", 9.25, None)
    ] * len(FIRMWARE)
    # Sixteen Paris ids, from 1; firmware before 4460 wrote the key with a hyphen.
    assert {row["flow"] for firmware, row in rows.items() if firmware >= 4460} == {2}


@pytest.mark.parametrize("firmware", FIRMWARE[1:])
@pytest.mark.parametrize("asked", [dns_definition(), ping_definition(), traceroute_definition()], ids=str)
def test_ripe_s_own_parser_reads_every_firmware_without_an_error(asked: Row, firmware: int) -> None:
    found = Result.get(result(asked, firmware=firmware))
    assert (found.is_error, found.is_malformed) == (False, False)
    assert (found.probe_id, found.measurement_id, found.created_timestamp) == (firmware, 1_000_001, START + 5)


def test_old_firmware_wrote_other_keys() -> None:
    ancient, old = result(ping_definition(), firmware=4400), result(ping_definition(), firmware=4460)
    assert {"addr", "name", "srcaddr", "mode"} <= ancient.keys()
    assert not {"dst_addr", "src_addr", "af", "type", "msm_name"} & ancient.keys()
    assert (ancient["mode"], old["af"], old["proto"], old["type"]) == ("ICMP4", 4, "ICMP", "ping")
    assert result(dns_definition(), firmware=4400)["pf"] == 4
    assert "paris-id" in result(traceroute_definition(), firmware=4400)


@pytest.mark.parametrize(
    ("key", "first", "asked"),
    [
        ("lts", 4540, ping_definition()),
        ("lts", 4650, dns_definition()),
        ("lts", 4650, traceroute_definition()),
        ("msm_name", 4550, dns_definition()),
        ("group_id", 4610, ping_definition()),
        ("ttr", 4910, traceroute_definition()),
        ("mver", 5000, dns_definition()),
    ],
)
def test_a_key_came_with_its_firmware(key: str, first: int, asked: Row) -> None:
    holds = {firmware: key in result(asked, firmware=firmware) for firmware in FIRMWARE}
    assert holds == {firmware: firmware >= first for firmware in FIRMWARE}


@pytest.mark.parametrize(
    ("recording", "asked"),
    [
        ("opendns-hostname-bind-2017-06-26", dns_definition(set_nsid_bit=False)),
        ("cloudflare-ns-id-server-africa-2015-03-21", dns_definition(query_argument="id.server")),
        ("google-ping-2017-06-26", ping_definition()),
        ("google-traceroute-2017-06-26", traceroute_definition()),
        ("firmware-variety-ping", ping_definition()),
        ("firmware-variety-traceroute", traceroute_definition()),
    ],
)
def test_results_have_the_keys_of_real_ones_of_the_same_firmware(recordings: Path, recording: str, asked: Row) -> None:
    seen: dict[int, list[set[str]]] = {}
    with gzip.open(recordings / "atlas" / f"{recording}.ndjson.gz", "rt") as lines:
        for real in map(json.loads, islice(lines, 2000)):
            if int(real["fw"]) >= 4460 and "error" not in real:
                seen.setdefault(int(real["fw"]), []).append(set(real))
    assert seen
    for firmware, keys in seen.items():
        mine = set(result(asked, firmware=firmware, interval_s=360))
        assert set.intersection(*keys) <= mine
        # The controller adds `stored_timestamp` since; a probe whose pings are all lost has neither of the others.
        assert mine - set[str]().union(*keys) <= {"stored_timestamp", "src_addr", "ttl"}


def test_txt_data_is_a_string_before_4720_and_a_list_from_then_on() -> None:
    data = {
        firmware: result(dns_definition(), firmware=firmware)["result"]["answers"][0]["RDATA"] for firmware in FIRMWARE
    }
    assert data == {firmware: ANSWER.text if firmware < 4720 else [ANSWER.text] for firmware in FIRMWARE}


def test_some_firmware_wrote_its_number_as_a_text_in_dns_results_only() -> None:
    assert [result(dns_definition(), firmware=firmware)["fw"] for firmware in (4550, 4560, 4570, 4600)] == [
        4550, "4560", "4570", 4600,
    ]  # fmt: skip
    assert result(ping_definition(), firmware=4560)["fw"] == 4560


def test_the_rcode_is_nowhere_but_in_the_message() -> None:
    refused = FakeInternet(answer=replace(ANSWER, rcode="REFUSED", text=None, nsid=None))
    reply = result(dns_definition(), refused)["result"]
    assert "answers" not in reply
    assert base64.b64decode(reply["abuf"])[3] & 15 == 5
    assert reply["size"] == len(base64.b64decode(reply["abuf"]))
    assert int.from_bytes(base64.b64decode(reply["abuf"])[:2]) == reply["ID"]


def test_a_probe_that_cannot_send_says_so_in_the_words_of_each_kind() -> None:
    lost = Lost(reason="cannot-send")
    internet = FakeInternet(answer=lost, rtts_ms=lost, hops=lost)
    errors = [result(dns_definition(), internet, vantage=vantage(number))["error"] for number in (1, 2)]
    assert errors == [{"socket": "Network is unreachable"}, {"senderror": "Network is unreachable"}]
    ping = result(ping_definition(), internet)
    assert ping["result"] == [{"error": "sendto failed: Network is unreachable"}] * 3
    assert (ping["min"], ping["avg"], ping["max"], ping["rcvd"]) == (-1, -1, -1, 0)
    trace = result(traceroute_definition(), internet)["result"]
    assert trace == [{"hop": 1, "error": "connect failed: Network is unreachable"}]


def test_a_ping_sums_up_its_packets() -> None:
    found = result(ping_definition(), interval_s=240)
    assert found["result"] == [{"rtt": 10.5}, {"x": "*"}, {"rtt": 10.25}]
    assert (found["min"], found["avg"], found["max"], found["sent"], found["rcvd"]) == (10.25, 10.375, 10.5, 3, 2)
    assert (found["step"], result(ping_definition())["step"]) == (240, None)


def test_the_ttl_of_a_ping_changes_with_the_way_and_with_nothing_else() -> None:
    # 64 at the server, less one for each of the two routers between.
    kept = {
        result(ping_definition(), turn=turn, vantage=vantage(number))["ttl"] for turn in range(9) for number in (1, 2)
    }
    assert kept == {62}
    longer = (*HOPS[:2], Hop(number=3, address="10.0.0.3", rtts_ms=(8.0,)), replace(HOPS[2], number=4))
    assert result(ping_definition(), FakeInternet(hops=longer))["ttl"] == 61


def test_ping_and_traceroute_show_the_same_ttl_of_the_target() -> None:
    last = result(traceroute_definition())["result"][-1]["result"]
    assert {packet["ttl"] for packet in last} == {result(ping_definition())["ttl"]}


def test_a_ping_of_zero_milliseconds_is_no_loss() -> None:
    found = result(ping_definition(), FakeInternet(rtts_ms=(0.0, None, None)))
    assert (found["min"], found["rcvd"]) == (0.0, 1)


def test_sizes_lost_their_headers_at_4570() -> None:
    assert [result(ping_definition(size=12), firmware=firmware)["size"] for firmware in (4560, 4570)] == [20, 12]


def test_over_tcp_the_connection_counts_in_rt_from_5010_on() -> None:
    asked = dns_definition(protocol="TCP")
    old, new = result(asked, firmware=5000)["result"], result(asked, firmware=5010)["result"]
    assert ("qt" in old, old["rt"], new["rt"], new["qt"]) == (False, 12.346, 24.691, 12.346)


def hop_numbers(hops: tuple[Hop, ...] | Lost, **changes: Any) -> list[int]:
    found = result(traceroute_definition(**changes), FakeInternet(hops=hops))["result"]
    return [hop["hop"] for hop in found]


def test_five_silent_hops_end_a_traceroute_with_hop_255() -> None:
    router = Hop(number=1, address="10.0.0.1", rtts_ms=(1.0, 1.0, 1.0))
    silent = Hop(number=2, address=None, rtts_ms=())
    assert hop_numbers((router, silent)) == [1, 2, 3, 4, 5, 6, 255]
    assert hop_numbers(Lost(reason="timeout")) == [1, 2, 3, 4, 5, 255]
    found = result(traceroute_definition(), FakeInternet(hops=(router,)))["result"]
    assert found[-1] == {"hop": 255, "result": [{"x": "*"}] * 3}


def test_a_target_behind_five_silent_hops_answers_the_packet_of_hop_255() -> None:
    hops = (Hop(number=1, address="10.0.0.1", rtts_ms=(1.0,)), Hop(number=8, address=V4, rtts_ms=(9.0, 9.0, 9.5)))
    found = result(traceroute_definition(), FakeInternet(hops=hops))["result"]
    assert [hop["hop"] for hop in found] == [1, 2, 3, 4, 5, 6, 255]
    assert [packet["rtt"] for packet in found[-1]["result"]] == [9.0, 9.0, 9.5]


def test_a_traceroute_begins_and_ends_where_it_was_told_to() -> None:
    assert hop_numbers(HOPS, first_hop=2) == [2, 3]
    assert hop_numbers(HOPS, max_hops=2) == [1, 2]


def test_packets_that_no_router_answered_are_stars() -> None:
    hops = (Hop(number=1, address="10.0.0.1", rtts_ms=(1.0,)), *HOPS[1:])
    first = result(traceroute_definition(), FakeInternet(hops=hops))["result"][0]["result"]
    assert [packet.get("rtt", packet.get("x")) for packet in first] == [1.0, "*", "*"]


def test_a_traceroute_ends_before_it_is_stored() -> None:
    for hops in (HOPS, Lost(reason="timeout")):
        found = result(traceroute_definition(), FakeInternet(hops=hops))
        assert START + 5 <= found["endtime"] <= found["stored_timestamp"]


def test_the_internet_is_told_the_name_of_a_chaos_query_only() -> None:
    internet = FakeInternet()
    result(dns_definition(query_argument="id.server", set_nsid_bit=False), internet, turn=3)
    result(dns_definition(query_class="IN", query_type="SOA", query_argument="."), internet)
    assert [(name, nsid, after_s, turn) for _, _, name, nsid, after_s, turn in internet.asked] == [
        ("id.server", False, 5.0, 3),
        (None, True, 5.0, 0),
    ]


def test_the_same_sending_gives_the_same_result_and_another_turn_another_id() -> None:
    first, again, later = (result(dns_definition(), turn=turn)["result"] for turn in (0, 0, 1))
    assert first == again
    assert first["ID"] != later["ID"]


def test_five_thousand_results_take_less_than_a_second() -> None:
    internet, one = FakeInternet(), sending(dns_definition())
    taken_s = []
    for _ in range(3):  # the best of three: the machine may be busy
        began = time.process_time()
        for turn in range(5000):
            make_result(internet, replace(one, turn=turn), after_s=5.0)
        taken_s.append(time.process_time() - began)
    assert min(taken_s) < 1.0
