"""Paths that DuckDB would take for patterns, and tiers of many parts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from catchment.engine import parts, quote, quote_path
from catchment.errors import CatchmentError


def write(file: Path, number: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"COPY (SELECT {number} AS number) TO {quote(file)} (FORMAT parquet)")
    return file


def numbers(sql: str) -> list[int]:
    return [number for (number,) in duckdb.execute(f"SELECT number FROM {sql} ORDER BY number").fetchall()]


@pytest.mark.parametrize("name", ["run[2]", "run*", "ru?", "[a-z]un", "back\\slash", "it's", "ünï", "a b", "{a,b}"])
def test_a_tier_is_read_from_its_own_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    for other in ("run2", "run", "back/slash", "runx"):
        write(tmp_path / other / "part-0.parquet", 7)
    write(tmp_path / name / "part-0.parquet", 1)
    assert numbers(parts(tmp_path / name)) == [1]
    assert numbers(f"read_parquet({quote_path(tmp_path / name / 'part-0.parquet')})") == [1]


def test_a_folder_whose_name_holds_an_equals_sign_is_no_column(tmp_path: Path) -> None:
    write(tmp_path / "number=7" / "seed=5" / "part-0.parquet", 1)
    assert duckdb.execute(f"SELECT * FROM {parts(tmp_path / 'number=7' / 'seed=5')}").fetchall() == [(1,)]


@given(st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_folder_is_read_or_refused_in_one_line(name: str) -> None:
    assume(name not in {".", ".."} and len(name.encode()) < 200)
    with tempfile.TemporaryDirectory() as root:
        write(Path(root) / name / "part-0.parquet", 1)
        if "\\" in name and set(name) & set("*?["):
            with pytest.raises(CatchmentError, match="rename file or folder"):
                parts(Path(root) / name)
        else:
            assert numbers(parts(Path(root) / name)) == [1]


def test_all_parts_of_a_tier_are_read(tmp_path: Path) -> None:
    for number in range(300):
        write(tmp_path / f"part-{number}.parquet", number)
    (tmp_path / "notes.txt").write_text("no part")
    assert numbers(parts(tmp_path)) == list(range(300))


def test_a_tier_without_parts_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(CatchmentError, match="`catchment derive` rebuilds"):
        parts(tmp_path)
