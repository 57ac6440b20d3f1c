from __future__ import annotations

import bz2
import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catchment.engine import connection
from catchment.errors import InvalidFile
from catchment.observe import Reading, observe, sniff
from catchment.observe.reading import LONGEST_RECORD, records
from catchment.observe.staging import Form, Staged, stage
from tests.atlas_results import NOON, TARGET, dns_error, dns_result, head, ping_result

Result = dict[str, Any]
TRACEROUTE = head(5, "traceroute", 90_000_003) | {
    "endtime": NOON + 9,
    "paris_id": 1,
    "result": [{"hop": 1, "result": [{"from": TARGET, "rtt": 9.5, "size": 28, "ttl": 60}, {"x": "*"}]}],
}
GOOD, OTHER = (json.dumps(dns_result(probe)).encode() for probe in (1, 2))


@pytest.fixture
def staged(tmp_path: Path) -> Callable[..., Staged]:
    def read(*results: Result, content: bytes | None = None) -> Staged:
        path = tmp_path / "results"
        path.write_bytes("\n".join(map(json.dumps, results)).encode() if content is None else content)
        with connection(tmp_path / "spill") as con:
            return stage(con, sniff(path), 0, tmp_path)

    return read


def without(result: Result, *keys: str) -> Result:
    return {key: value for key, value in result.items() if key not in keys}


def as_array(*elements: bytes) -> bytes:
    return b"[" + b",".join(elements) + b"]"


@pytest.mark.parametrize(
    ("result", "form"),
    [
        (dns_result(1), Form.DNS),
        (dns_error(1), Form.DNS),
        (ping_result(1, 5.0), Form.PING),
        (TRACEROUTE, Form.TRACEROUTE),
        (dns_result(1, type="DNS"), Form.DNS),
        (without(dns_result(1), "type"), Form.DNS),
        (without(ping_result(1, 5.0), "type"), Form.PING),
        (without(ping_result(1, 5.0), "type", "msm_name"), Form.PING),
        (without(TRACEROUTE, "type") | {"msm_name": "Traceroute"}, Form.TRACEROUTE),
        (without(TRACEROUTE, "type"), Form.TRACEROUTE),
        (without(dns_result(1), "type", "msm_name"), Form.DNS),
    ],
)
def test_the_kind_is_told_by_type_or_name_or_shape(staged: Callable[..., Staged], result: Result, form: Form) -> None:
    assert list(staged(result).tables) == [form]


def test_kinds_mixed_in_one_file_are_staged_each(staged: Callable[..., Staged]) -> None:
    found = staged(TRACEROUTE, dns_result(1), ping_result(2, 5.0), dns_error(3))
    assert set(found.tables) == {Form.DNS, Form.PING, Form.TRACEROUTE}
    assert (found.records, found.rejected) == (4, ())


def test_other_types_are_counted_by_name(staged: Callable[..., Staged]) -> None:
    found = staged(head(1, "http", 5), head(2, "sslcert", 6), head(3, "http", 5), dns_result(4))
    assert found.other_types == {"http": 2, "sslcert": 1}


@pytest.mark.parametrize("answers", [None, [{"TYPE": "TXT", "NAME": "id.server", "RDATA": ["fra1"]}]])
def test_answers_are_read_only_where_a_message_is_missing(staged: Callable[..., Staged], answers: object) -> None:
    result = dns_result(2)
    result["result"] = {"rt": 5.0, "answers": answers}
    assert list(staged(dns_result(1), result).tables) == [Form.DNS_ANSWERS]


def test_a_file_without_anything_usable_has_no_tables(staged: Callable[..., Staged]) -> None:
    found = staged(content=b"<html>\n{}\n[]\n")
    assert (found.tables, found.records, found.rejected) == ({}, 3, (1, 2, 3))


@pytest.mark.parametrize(
    "bad",
    [b"<html>", b"\x00", b"null", b"5", b'"x"', b"[]", b"{}", GOOD[:90], b'{"prb_id": 1}', b'{"timestamp": 1}', b"\xff",
     b'{"prb_id": "one", "timestamp": 1}', b'{"prb_id": 18446744073709551616, "timestamp": 1}', b"[" * 5000,
     GOOD + GOOD, GOOD.replace(b"Tdig", b"T\xffig"), GOOD + b","],
)  # fmt: skip
def test_a_bad_line_costs_only_itself(staged: Callable[..., Staged], bad: bytes) -> None:
    found = staged(content=b"\n".join([GOOD, b"", bad, b" ", OTHER]))
    assert (found.records, found.rejected, list(found.tables)) == (3, (2,), [Form.DNS])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"\n \t\n"])
def test_line_ends_of_any_system_make_the_same_records(staged: Callable[..., Staged], end: bytes) -> None:
    found = staged(content=end.join([GOOD, b"bad", OTHER]) + end)
    assert (found.records, found.rejected) == (3, (2,))


def test_a_byte_order_mark_does_not_cost_the_first_result(staged: Callable[..., Staged]) -> None:
    assert staged(content=b"\xef\xbb\xbf" + GOOD + b"\n" + OTHER).rejected == ()


def test_an_array_behind_a_byte_order_mark_is_read(staged: Callable[..., Staged]) -> None:
    found = staged(content=b"\xef\xbb\xbf" + as_array(GOOD, OTHER))
    assert (found.records, found.rejected) == (2, ())


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_is_read_whatever_its_layout(staged: Callable[..., Staged], indent: int | None) -> None:
    found = staged(content=json.dumps([dns_result(1), ping_result(2, 5.0), TRACEROUTE], indent=indent).encode())
    assert (found.records, found.rejected, len(found.tables)) == (3, (), 3)


@pytest.mark.parametrize(
    "bad", [b"null", b'"s]{,"', b"5", b"[1, {}]", b"{}", b"{'a': 1}", b'{"x": "a\nb"}', b"\xff", b"nul"]
)
def test_a_bad_element_costs_only_itself(staged: Callable[..., Staged], bad: bytes) -> None:
    found = staged(content=as_array(GOOD, bad, OTHER))
    assert (found.records, found.rejected, list(found.tables)) == (3, (2,), [Form.DNS])


def test_an_array_cut_short_keeps_its_whole_elements(staged: Callable[..., Staged]) -> None:
    found = staged(content=as_array(GOOD, OTHER)[:-50])
    assert (found.records, found.rejected, list(found.tables)) == (2, (2,), [Form.DNS])


def test_an_array_of_old_pings_without_packets_and_dns_results_is_read(staged: Callable[..., Staged]) -> None:
    found = staged(content=json.dumps([without(ping_result(1, 5.0), "result"), dns_result(2)]).encode())
    assert set(found.tables) == {Form.DNS, Form.PING}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress, bytes])
@pytest.mark.parametrize("array", [True, False])
def test_every_compression_and_layout_is_staged_alike(
    staged: Callable[..., Staged], pack: Callable[[bytes], bytes], array: bool
) -> None:
    lines = [GOOD, b"{}", OTHER]
    found = staged(content=pack(as_array(*lines) if array else b"\n".join(lines)))
    assert (found.records, found.rejected, list(found.tables)) == (3, (2,), [Form.DNS])


@pytest.mark.parametrize("pack", [zstandard.compress, bytes])
def test_a_file_cut_short_keeps_its_whole_records(
    staged: Callable[..., Staged], pack: Callable[[bytes], bytes]
) -> None:
    whole = pack(
        b"\n".join(json.dumps(dns_result(probe, f"fra{probe * 7919 % 997}")).encode() for probe in range(3000))
    )
    found = staged(content=whole[: len(whole) // 2])
    assert found.records > 500
    assert found.rejected == (found.records,)


@pytest.mark.parametrize("array", [True, False])
def test_a_line_of_5_mb_does_not_stop_the_rest(staged: Callable[..., Staged], array: bool) -> None:
    long = json.dumps({"x": "y" * (LONGEST_RECORD + 1_000_000)}).encode()
    lines = [GOOD, long, OTHER]
    found = staged(content=as_array(*lines) if array else b"\n".join(lines))
    assert (found.records, found.rejected, list(found.tables)) == (3, (2,), [Form.DNS])


leaves: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 1e308, 10**20, 2**31, 2**40, "", "x", "5", "NaN", "inf", "[", "\x00", "\u202e", [], {},
     [None], [[]], [{}], [5], {"a": 1}]
)  # fmt: skip
SHAPES: list[Result] = [
    dns_result(1, src_port=4),
    dns_error(2),
    ping_result(3, 1.0, 2.0),
    TRACEROUTE,
    head(6, "dns", 10)
    | {
        "resultset": [
            {"time": NOON, "dst_addr": TARGET, "src_port": 5, "result": dns_result(1)["result"]},
            {"time": NOON + 1, "dst_addr": "::1", "error": {"timeout": 5}},
            {"result": {"rt": 5, "answers": [{"TYPE": "TXT", "NAME": "id.server", "RDATA": ["q"]}]}},
        ]
    },
]
JUNK = [b"", b" ", b"\r", b"xx", b"\x00", b"{", b"}", b"[", b"]", b'"', b"{}", b"[1]", b"null", b"\xff\xfe", b'{"a":"b',
        b"\x0b", b"\x1c", b",", b"NaN", b"{} {}", b"\\", b'{"prb_id":1,"timestamp":1,}', b"{'a':1}"]  # fmt: skip


def damaged(draw: st.DrawFn, value: Any, *, chance: int = 20) -> Any:
    if draw(st.integers(0, chance)) == chance:
        return draw(leaves)
    if isinstance(value, dict):
        return {key: damaged(draw, inner) for key, inner in value.items() if draw(st.integers(0, chance)) != chance}
    if isinstance(value, list):
        return [damaged(draw, inner) for inner in value]
    return value


@st.composite
def hostile_line(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(JUNK))
    # `af` and `prb_id` stay: an af beyond a byte is a known defect, and one probe would repeat another's items.
    shape = draw(st.sampled_from(SHAPES))
    result = damaged(draw, shape)
    if isinstance(result, dict):
        result |= {"af": 4}
    return json.dumps(result).encode()


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=25)
@given(lines=st.lists(hostile_line(), min_size=1, max_size=8))
def test_whatever_the_lines_hold_they_are_counted_as_records_are_read(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    path = folder / "a.json"
    path.write_bytes(GOOD + b"\n" + b"\n".join(lines))
    with connection(folder / "spill") as con:
        reading = observe(con, [sniff(path)], [], folder / "o.parquet", folder)
        kinds = con.execute(
            f"SELECT kind, count(*) FROM read_parquet('{folder / 'o.parquet'}') GROUP BY kind"
        ).fetchall()
    assert reading.records == len(list(records(sniff(path))))
    assert reading.observations == dict(kinds)
    assert len(reading.named) == reading.rejected


def read_recordings(folder: Path, *files: Path) -> tuple[Reading, list[tuple[Any, ...]]]:
    with connection(folder / "spill") as con:
        reading = observe(con, [sniff(file) for file in files], [], folder / "o.parquet", folder)
        places = con.execute(
            f"SELECT raw_file, raw_record, count(*), kind FROM read_parquet('{folder / 'o.parquet'}') GROUP BY ALL"
        ).fetchall()
    return reading, places


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("opendns-hostname-bind-2017-06-26", 9244),
        ("local-resolvers-id-server-2017-07-10", 9026),
        ("google-ping-2017-06-26", 9232),
        ("google-traceroute-2017-06-26", 9263),
        ("cloudflare-ns-id-server-africa-2015-03-21", 2684),
        ("cloudflare-ns-id-server-africa-2015-03-27", 2726),
        ("firmware-variety-dns", 48),
        ("firmware-variety-ping", 15),
        ("firmware-variety-traceroute", 22),
    ],
)
def test_every_result_of_a_recording_is_accounted_for(recordings: Path, tmp_path: Path, name: str, number: int) -> None:
    file = recordings / "atlas" / f"{name}.ndjson.gz"
    reading, places = read_recordings(tmp_path, file)
    with gzip.open(file, "rt") as lines:
        results = [json.loads(line) for line in lines]
    # The probe's own reading of `abuf` is not compared: one result comes with its text both as string and as list.
    copies = Counter(json.dumps(result, sort_keys=True) for result in map(without_answers, results))
    assert reading.records == number == len(results)
    assert (reading.rejected, reading.other_types) == (0, {})
    assert reading.duplicates == len(results) - len(copies)
    assert len(places) + reading.duplicates == number
    items = {record: len(result.get("resultset", [None])) for record, result in enumerate(results, 1)}
    assert all(count == items[record] for _, record, count, _ in places)


def without_answers(result: Result) -> Result:
    return (
        result | {"result": without(result["result"], "answers")} if isinstance(result.get("result"), dict) else result
    )


def test_kinds_and_firmwares_read_together_lose_nothing(recordings: Path, tmp_path: Path) -> None:
    files = [recordings / "atlas" / f"firmware-variety-{kind}.ndjson.gz" for kind in ("dns", "ping", "traceroute")]
    reading, places = read_recordings(tmp_path, *files)
    found = Counter(kind for *_, kind in places)
    assert reading.records == 48 + 15 + 22
    assert sum(found.values()) + reading.duplicates == reading.records
    assert (found["ping"], reading.rejected) == (15, 0)


def test_a_file_of_nothing_usable_is_refused_in_one_printable_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"<html>\x1b[31m\n\xff</html>\n")
    with connection(tmp_path / "spill") as con, pytest.raises(InvalidFile) as refusal:
        observe(con, [sniff(path)], [], tmp_path / "o.parquet", tmp_path)
    assert str(refusal.value).isprintable()
    assert "none of 2 records is a RIPE Atlas result" in str(refusal.value)


def test_a_file_of_other_types_alone_is_refused_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("\n".join(json.dumps(head(1, kind, 5)) for kind in ("http", "sslcert", "http", "ev\x1bil\u202e")))
    with connection(tmp_path / "spill") as con, pytest.raises(InvalidFile, match="2 http, 1 sslcert") as refusal:
        observe(con, [sniff(path)], [], tmp_path / "o.parquet", tmp_path)
    assert str(refusal.value).isprintable()
