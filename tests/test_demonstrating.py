"""The demo: what a newcomer sees first."""

from __future__ import annotations

from pathlib import Path

import pytest

from catchment.campaign import load_campaign
from catchment.errors import InvalidRun
from catchment.store import Run
from catchment.workflow.demonstrating import demo_steps

NOON = 1_795_262_400.0


def test_the_demo_shows_catchments_a_fire_and_who_moved(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    told: list[float] = []
    steps = list(demo_steps(out, clock=lambda: NOON))
    shown = {step.layout: step.work(lambda _, done: told.append(done)) for step in steps}
    before = {site["site"]: site["vantage_points"] for site in shown["show_run"]["targets"][0]["sites"]}
    assert len(before) >= 12
    moves = shown["show_comparison"]["targets"][0]["moves"]
    assert {move["from"] for move in moves} == {"fra"}
    assert sum(move["vantage_points"] for move in moves) == before["fra"]
    assert len(moves) > 1
    for entry in shown["show_next"]["files"]:
        assert Path(entry["file"]).exists()
    for picture in ("map.png", "moves.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    assert min(told) >= 0
    assert max(told) <= 1
    assert Run.open(out / "before").metrics["to"] < Run.open(out / "after").metrics["from"]
    first, *others = [entry["command"] for entry in shown["show_next"]["next"]]
    assert first == f"catchment run {out / 'k-root.toml'}"
    assert load_campaign(out / "k-root.toml").reuse == (10301, 1001)
    assert all(command.startswith("catchment ") for command in others)


def test_an_earlier_demo_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    with pytest.raises(InvalidRun, match="an earlier demo is there: choose another --out"):
        next(demo_steps(tmp_path))
