from __future__ import annotations

import duckdb
import pytest

from catchment.engine import parts
from catchment.schemas import ASSIGNMENTS, EVIDENCE, OBSERVATIONS, VANTAGE_POINTS, Column, declared, selected
from catchment.store import Run

TIERS = {
    "vantage_points": VANTAGE_POINTS,
    "observations": OBSERVATIONS,
    "assignments": ASSIGNMENTS,
    "evidence": EVIDENCE,
}


@pytest.mark.parametrize("name", ["before", "after"])
@pytest.mark.parametrize("tier", TIERS)
def test_a_stored_tier_has_exactly_the_declared_columns_in_order(sample: dict[str, Run], tier: str, name: str) -> None:
    described = duckdb.execute(f"DESCRIBE SELECT * FROM {parts(sample[name].path / tier)}").fetchall()
    assert [(column, type_) for column, type_, *_ in described] == [
        (column.name, column.type) for column in TIERS[tier]
    ]


@pytest.mark.parametrize("tier", TIERS)
def test_a_stored_tier_of_the_sample_holds_rows(sample: dict[str, Run], tier: str) -> None:
    assert duckdb.execute(f"SELECT count(*) > 0 FROM {parts(sample['before'].path / tier)}").fetchall() == [(True,)]


@pytest.mark.parametrize("columns", TIERS.values(), ids=TIERS)
def test_a_column_is_declared_once_and_says_what_it_means(columns: tuple[Column, ...]) -> None:
    assert len({column.name for column in columns}) == len(columns)
    assert all(column.meaning.strip() for column in columns)


@pytest.mark.parametrize("columns", TIERS.values(), ids=TIERS)
def test_what_is_selected_has_the_types_that_are_declared(columns: tuple[Column, ...]) -> None:
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE empty ({declared(columns)})")
        described = con.execute(f"DESCRIBE SELECT {selected(columns)} FROM empty").fetchall()
    assert [row[:2] for row in described] == [(column.name, column.type) for column in columns]
