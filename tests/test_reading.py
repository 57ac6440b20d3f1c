from __future__ import annotations

import bz2
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catchment.errors import InvalidFile
from catchment.observe import reading
from catchment.observe.reading import (
    LONGEST_RECORD,
    ResultFile,
    is_blank,
    name_rejected,
    printable,
    records,
    rewrite_as_lines,
    sniff,
)

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "bzip2": bz2.compress,
    "none": bytes,
}
# 3 MB of lines of uneven length, so that what is compressed spans several blocks of every library.
LINES = [json.dumps({"prb_id": n, "timestamp": n * 7919 % 10_007, "x": "y" * (n % 97)}).encode() for n in range(30_000)]
BODY = b"\n".join(LINES)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet='a"\\[]{},\n é\U0001f600'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='k"\\[]{},'), inner, max_size=3),
    max_leaves=8,
)


def a_file(folder: Path, content: bytes, name: str = "results.json") -> ResultFile:
    path = folder / name
    path.write_bytes(content)
    return sniff(path)


def reasons(folder: Path, *lines: bytes) -> list[str]:
    file = a_file(folder, b"\n".join(lines))
    return [entry.reason for entry in name_rejected(file, range(1, len(lines) + 1))]


@pytest.mark.parametrize("compression", PACK)
@pytest.mark.parametrize("name", ["a.json", "a.gz", "a.zst", "a.bz2", "a"])
def test_compression_is_told_by_content_and_never_by_name(tmp_path: Path, compression: str, name: str) -> None:
    file = a_file(tmp_path, PACK[compression](b'{"prb_id": 1}\n'), name)
    assert (file.compression, [record.strip() for record in records(file)]) == (compression, [b'{"prb_id": 1}'])


@pytest.mark.parametrize("compression", PACK)
def test_an_array_is_told_from_lines_behind_blanks_and_a_byte_order_mark(tmp_path: Path, compression: str) -> None:
    pack = PACK[compression]
    assert a_file(tmp_path, pack(b"\xef\xbb\xbf \r\n\t[1]")).layout == "array"
    assert a_file(tmp_path, pack(b"\xef\xbb\xbf \r\n\t{}")).layout == "ndjson"


def test_blanks_longer_than_a_block_do_not_hide_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 4)
    assert a_file(tmp_path, b"\n" * 50 + b"[{}]").layout == "array"


@pytest.mark.parametrize("content", [b"", b" \r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n \n"])
@pytest.mark.parametrize("compression", PACK)
def test_a_file_without_content_is_refused_in_one_line(tmp_path: Path, content: bytes, compression: str) -> None:
    with pytest.raises(InvalidFile, match=r"^[^\n]*holds no results[^\n]*$"):
        a_file(tmp_path, PACK[compression](content))


def test_a_file_that_cannot_be_opened_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"nowhere\.json: No such file"):
        sniff(tmp_path / "nowhere.json")


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x1f\x8bgarbage", b"\x28\xb5\x2f\xfdgarbage", b"BZhgarbage"])
def test_a_magic_number_without_a_stream_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidFile, match=r"damaged (gzip|zstd|bzip2) file|holds no results"):
        a_file(tmp_path, content)


def test_a_file_bears_the_name_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    assert (sniff(path).name, sniff(path, "2-a.json").name) == ("a.json", "2-a.json")


def test_zstd_cut_short_keeps_every_whole_line_and_yields_the_cut_one_last(tmp_path: Path) -> None:
    cut = zstandard.compress(BODY)[:-20_000]
    whole = zstandard.ZstdDecompressor().decompressobj().decompress(cut)
    assert list(records(a_file(tmp_path, cut))) == whole.split(b"\n")


def test_gzip_cut_short_keeps_every_whole_line(tmp_path: Path) -> None:
    cut = gzip.compress(BODY)[:-20_000]
    whole = zlib.decompressobj(31).decompress(cut).split(b"\n")[:-1]
    assert list(records(a_file(tmp_path, cut)))[: len(whole)] == whole


def test_bzip2_cut_short_keeps_every_whole_line(tmp_path: Path) -> None:
    cut = bz2.compress(BODY, 1)[:-20_000]
    whole = bz2.BZ2Decompressor().decompress(cut).split(b"\n")[:-1]
    assert list(records(a_file(tmp_path, cut)))[: len(whole)] == whole


@pytest.mark.parametrize("lost", [1, 8, 20])
def test_a_small_gzip_without_its_end_is_still_read(tmp_path: Path, lost: int) -> None:
    assert len(list(records(a_file(tmp_path, gzip.compress(b"\n".join(LINES[:100]))[:-lost])))) >= 90


@pytest.mark.parametrize("compression", ["gzip", "bzip2"])
def test_what_was_kept_of_a_stream_cut_short_is_unchanged(tmp_path: Path, compression: str) -> None:
    kept = list(records(a_file(tmp_path, PACK[compression](BODY)[:-20_000])))
    assert len(kept) > 2
    assert kept[:-1] == LINES[: len(kept) - 1]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "bzip2"])
def test_streams_put_end_to_end_are_read_as_one(tmp_path: Path, compression: str) -> None:
    pack = PACK[compression]
    assert list(records(a_file(tmp_path, pack(b"1\n2\n") + pack(b"3\n")))) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("compression", PACK)
def test_blank_lines_are_no_records(tmp_path: Path, compression: str) -> None:
    file = a_file(tmp_path, PACK[compression](b"\n \n{}\r\n\r\n\t\n[]\n\n"))
    assert [record.strip() for record in records(file)] == [b"{}", b"[]"]


def test_a_rejected_record_bears_its_number_among_those_not_blank(tmp_path: Path) -> None:
    file = a_file(tmp_path, b"\n{}\n \r\nfirst\n\n\n{}\nsecond\n")
    named = name_rejected(file, [2, 4])
    assert [(entry.record, entry.excerpt.removesuffix("\\x0a")) for entry in named] == [(2, "first"), (4, "second")]


def test_a_rejected_record_names_its_file_as_the_run_does(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("x")
    assert name_rejected(sniff(tmp_path / "a.json", "3-a.json"), [1])[0].file == "3-a.json"


def test_an_excerpt_is_short_and_printable(tmp_path: Path) -> None:
    excerpt = name_rejected(a_file(tmp_path, b"\x1b[31m\xff" * 500), [1])[0].excerpt
    assert len(excerpt) <= 4 * 120
    assert excerpt.startswith("\\x1b[31m\\xff\\x1b")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"<html>", "not JSON"),
        (b"\x00\x00", "not JSON"),
        (b'{"prb_id": 1, "timestamp"', "not JSON"),
        (b'{"prb_id": 1, "timestamp": 2}}', "not JSON: extra data"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"null", "not a result but null"),
        (b'"text"', "not a result but str"),
        (b"5", "not a result but int"),
        (b"[{}]", "not a result but list"),
        (b'{"timestamp": 1}', "no vantage point (prb_id)"),
        (b'{"prb_id": null, "timestamp": 1}', "no vantage point (prb_id)"),
        (b'{"prb_id": {}, "timestamp": 1}', "no vantage point (prb_id)"),
        (b'{"prb_id": 1}', "no time (timestamp)"),
        (b'{"prb_id": 1, "timestamp": []}', "no time (timestamp)"),
        (b'{"prb_id": "one", "timestamp": 1}', "not a RIPE Atlas result"),
    ],
)
def test_a_rejected_record_is_told_why(tmp_path: Path, line: bytes, reason: str) -> None:
    found = reasons(tmp_path, b"{}", line)[1]
    assert reason in found
    assert "\n" not in found


@pytest.mark.parametrize(
    "array",
    [
        json.dumps([{"a": 1}, None, "x", 5, [1, [2]], {}]),
        json.dumps([{"a": 1}, None, "x", 5, [1, [2]], {}], indent=4),
        '\n [ {"a":1} ,null,\r\n"x"\t,5,[1,[2]],{}\n]\n',
    ],
)
def test_an_array_yields_its_elements_however_it_is_laid_out(tmp_path: Path, array: str) -> None:
    elements = [json.loads(record) for record in records(a_file(tmp_path, array.encode()))]
    assert elements == [{"a": 1}, None, "x", 5, [1, [2]], {}]


def test_brackets_quotes_and_backslashes_in_strings_do_not_end_an_element(tmp_path: Path) -> None:
    array = [{"x": "]},["}, {"x": '\\"]'}, {"x": "\\"}, {'"]{': "\\\\"}, "],"]
    assert [json.loads(record) for record in records(a_file(tmp_path, json.dumps(array).encode()))] == array


@pytest.mark.parametrize("cut", ['{"b": "unfinish', '{"b": "\\', '{"b": [1, 2', '{"b": 2}', "nul"])
def test_an_array_cut_short_yields_its_last_element_as_far_as_it_goes(tmp_path: Path, cut: str) -> None:
    assert list(records(a_file(tmp_path, b'[{"a": 1},' + cut.encode()))) == [b'{"a": 1}', cut.encode()]


@pytest.mark.parametrize("array", [b"[]", b"[ ]\n", b"[", b"[\n"])
def test_an_empty_array_holds_no_records(tmp_path: Path, array: bytes) -> None:
    assert list(records(a_file(tmp_path, array))) == []


@pytest.mark.parametrize("content", [b'[{"a": 1}]\n[{"a": 2}]', b'[{"a": 1}},{"a": 2}]'])
def test_what_follows_an_array_is_not_dropped_silently(tmp_path: Path, content: bytes) -> None:
    assert len(list(records(a_file(tmp_path, content)))) > 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    array=st.lists(st.dictionaries(st.text(), json_values, max_size=3) | json_values, max_size=5),
    block=st.integers(1, 64),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_any_array_comes_apart_into_its_elements_wherever_blocks_end(
    tmp_path: Path, array: list[Any], block: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(array, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_BLOCK", block)
        assert [json.loads(record) for record in records(a_file(tmp_path, text))] == array


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=80), block=st.integers(1, 16))
def test_any_bytes_at_all_can_be_taken_apart(tmp_path: Path, content: bytes, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_BLOCK", block)
        file = a_file(tmp_path, b"[" + content)
        number = len(list(records(file)))
        assert [entry.record for entry in name_rejected(file, range(1, number + 1))] == list(range(1, number + 1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(st.text(alphabet="ab ,{}[]\t\x00é").map(str.encode), min_size=1), block=st.integers(1, 16))
def test_compressed_and_plain_lines_are_the_same_records(tmp_path: Path, lines: list[bytes], block: int) -> None:
    content = b"x\n" + b"\n".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_BLOCK", block)
        plain = [record.rstrip(b"\n") for record in records(a_file(tmp_path, content))]
        assert plain == list(records(a_file(tmp_path, gzip.compress(content))))
        assert plain == [line for line in content.split(b"\n") if line.strip()]


def test_rewriting_keeps_records_and_their_order(tmp_path: Path) -> None:
    file = a_file(tmp_path, json.dumps([{"a": 1}, None, {"b": "é\n"}], indent=1).encode(), "a.json")
    rewritten = rewrite_as_lines(file, tmp_path / "again")
    assert [json.loads(record) for record in records(rewritten)] == [{"a": 1}, None, {"b": "é\n"}]
    assert rewritten.name == "a.json"


def test_rewriting_cuts_off_what_is_longer_than_any_result(tmp_path: Path) -> None:
    file = a_file(tmp_path, b"x" * (LONGEST_RECORD + 1) + b"\ny")
    first, second = records(rewrite_as_lines(file, tmp_path / "again"))
    assert (len(first) <= LONGEST_RECORD, second) == (True, b"y")


@given(st.binary())
def test_whatever_the_bytes_printable_leaves_only_printable_ascii(raw: bytes) -> None:
    text = printable(raw)
    assert all(0x20 <= ord(character) <= 0x7E for character in text)


@given(st.text(alphabet=[chr(code) for code in range(0x20, 0x7F)]))
def test_printable_leaves_printable_ascii_as_it_is(text: str) -> None:
    assert printable(text.encode()) == text


def test_printable_writes_other_bytes_in_hexadecimal() -> None:
    assert printable("né\x00\x7f".encode()) == "n\\xc3\\xa9\\x00\\x7f"


@pytest.mark.parametrize(
    ("name", "content", "blank"),
    [
        ("1.ndjson", b"", True),
        ("1.ndjson", b"{}", False),
        ("1.ndjson.gz", gzip.compress(b"", mtime=0), True),
        ("1.ndjson.gz", gzip.compress(b"\n", mtime=0), False),
        ("1.ndjson.zst", zstandard.compress(b""), True),
        ("1.ndjson.bz2", bz2.compress(b"{}"), False),
    ],
)
def test_a_file_is_blank_where_nothing_is_in_it_however_compressed(
    tmp_path: Path, name: str, content: bytes, blank: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_blank(tmp_path / name) is blank


@pytest.mark.parametrize(
    "content", [b"", b"{}", gzip.compress(b"{}" * 9999, mtime=0)[:-9], gzip.compress(b"", mtime=0)[:5]]
)
def test_a_compressed_file_that_cannot_be_read_to_its_end_is_not_blank_but_damaged(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "1.ndjson.gz").write_bytes(content)
    with pytest.raises(InvalidFile, match=r"1\.ndjson\.gz: damaged \("):
        is_blank(tmp_path / "1.ndjson.gz")
