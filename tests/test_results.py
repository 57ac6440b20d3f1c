"""Every run committed in results/ is a regression test: what derives from its raw files today is what is stored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from catchment import workflow
from tests.conftest import ROOT

RUNS = sorted(file.parent for file in (ROOT / "results").glob("*/*/metrics.json"))


def test_there_is_a_committed_run() -> None:
    assert RUNS


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}@{run.name}")
def test_a_committed_run_derives_to_the_tables_stored(run: Path, tmp_path: Path) -> None:
    again = tmp_path / run.name
    shutil.copytree(run, again)
    workflow.derive(again)
    for tier in ("observations", "assignments", "evidence"):
        new, stored = (f"SELECT * FROM read_parquet('{folder / tier}/*.parquet')" for folder in (again, run))
        assert duckdb.execute(f"{new} EXCEPT ALL {stored}").fetchall() == []
        assert duckdb.execute(f"{stored} EXCEPT ALL {new}").fetchall() == []
    assert json.loads((again / "metrics.json").read_text()) == json.loads((run / "metrics.json").read_text())
