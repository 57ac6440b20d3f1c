from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.platforms.atlas.fetching import Found, Unfinished, probe_of, read_again, turn_of, turns_in


def lines(count: int, first: int = 1) -> list[bytes]:
    return [json.dumps({"prb_id": n, "timestamp": 10 * n}).encode() for n in range(first, first + count)]


def breaks_off(after: int) -> Iterator[bytes]:
    yield from lines(after, first=500_000)
    raise RuntimeError("broken")


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with Unfinished(tmp_path / "raw" / "1.ndjson.gz") as out:
        out.add(lines(3))
        assert [path.name for path in (tmp_path / "raw").iterdir()] == [".1.ndjson.gz.unfinished"]
        out.finish()
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["1.ndjson.gz"]


def test_without_a_finish_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Unfinished(tmp_path / "1.ndjson.gz") as out:
        out.add(lines(3))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_same_results_are_the_same_bytes_however_they_came(tmp_path: Path) -> None:
    every = lines(20_000)
    made = []
    for cuts in ([], [1], [7000, 7001, 13_000]):
        with Unfinished(tmp_path / "1.ndjson.gz") as out:
            for start, end in zip([0, *cuts], [*cuts, len(every)], strict=True):
                out.add(every[start:end])
            out.finish()
        made.append((tmp_path / "1.ndjson.gz").read_bytes())
    assert len(set(made)) == 1
    assert gzip.decompress(made[0]) == b"".join(line + b"\n" for line in every)
    assert made[0][4:8] == bytes(4)  # no time


@pytest.mark.parametrize("after", [0, 1, 50_000])
def test_what_breaks_off_is_as_if_it_had_never_come(tmp_path: Path, after: int) -> None:
    with Unfinished(tmp_path / "1.ndjson.gz") as out:
        out.add(lines(9000))
        for _ in range(2):
            with pytest.raises(RuntimeError):
                out.add(breaks_off(after))
        out.add(lines(1, first=9001))
        out.finish()
    assert out.found == Found(results=9001, participants=frozenset(range(1, 9002)))
    assert gzip.decompress((tmp_path / "1.ndjson.gz").read_bytes()).splitlines() == lines(9001)


def test_no_results_are_an_empty_file(tmp_path: Path) -> None:
    with Unfinished(tmp_path / "1.ndjson.gz") as out:
        out.add([])
        out.finish()
    assert gzip.decompress((tmp_path / "1.ndjson.gz").read_bytes()) == b""
    assert read_again(tmp_path / "1.ndjson.gz") == Found()


def test_it_is_told_now_and_then_how_many_there_are(tmp_path: Path) -> None:
    told: list[int] = []
    with Unfinished(tmp_path / "1.ndjson.gz") as out:
        out.add(lines(12_000), told=told.append)
    assert told == [5000, 10_000]


def test_what_was_fetched_is_counted_again_from_the_file(tmp_path: Path) -> None:
    with Unfinished(tmp_path / "1.ndjson.gz") as out:
        out.add([*lines(3), *lines(2), b'{"msm_id":5}'])
        out.finish()
    assert out.found == Found(results=6, participants=frozenset({1, 2, 3}))
    assert read_again(tmp_path / "1.ndjson.gz") == out.found
    keys = [(1, 10), (2, 20), (3, 30), (1, 10), (2, 20), (None, None)]
    assert list(turns_in(tmp_path / "1.ndjson.gz")) == keys


def test_a_file_cut_at_any_byte_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "1.ndjson.gz"
    with Unfinished(file) as out:
        out.add(lines(20))
        out.finish()
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert read_again(file) is None
    file.write_bytes(whole.replace(whole[40:41], bytes([whole[40] ^ 1]), 1))
    assert read_again(file) is None
    file.unlink()
    assert read_again(file) is None


def test_a_probe_is_read_from_the_key_and_never_from_a_text() -> None:
    texts = {"answers": [{"RDATA": ['"prb_id": 7, \\"prb_id\\": 8', "prb_id"]}], "name": "prb_id", "at": "timestamp"}
    line = json.dumps(texts | {"prb_id": 42, "stored_timestamp": 5, "timestamp": 4}).encode()
    assert turn_of(line) == (42, 4)
    assert probe_of(b'{"prb_id" : 6019}') == 6019
    assert probe_of(b'{"prb_id":null}') is None
    assert probe_of(b'{"prb_id":-1}') is None


@given(
    st.dictionaries(st.text(), st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=5)),
    st.integers(0, 10**7),
    st.booleans(),
)
def test_whatever_stands_beside_it_the_probe_is_found(others: dict[str, object], probe: int, first: bool) -> None:
    others.pop("prb_id", None)
    result = {"prb_id": probe, **others} if first else {**others, "prb_id": probe}
    assert probe_of(json.dumps(result, ensure_ascii=False).encode("utf-8", "surrogatepass")) == probe
