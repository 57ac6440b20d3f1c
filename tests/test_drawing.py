"""Maps of runs: what they count is what the other commands count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catchment import figures, workflow
from catchment.errors import UnknownName
from catchment.figures import Change
from catchment.model import Verdict, Window
from catchment.store import Run
from tests.atlas_results import dns_result, place

NOON = 1_795_262_400.0
HIJACK = """
name = "hijack"
platform = "sandbox"
targets = [{ service = "demo-dns" }]
queries = [{ kind = "dns" }]
vantage_points = { count = 150 }
schedule = { interval_s = 240, rounds = 4 }
sandbox = { seed = 5, changes = [{ change = "hijack", more_specific = true, after_s = 480 }] }
"""


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """Return a list that holds what was drawn, once a map of moves is."""
    seen: list[Change] = []

    def moves_map(changes: list[Change], *words: Any, **options: Any) -> Any:
        seen.extend(changes)
        return real(changes, *words, **options)

    real = figures.moves_map
    monkeypatch.setattr(figures, "moves_map", moves_map)
    return seen


def check(drawn: list[Change], compared: dict[str, Any]) -> None:
    """Hold the map against the comparison of the same two sides."""
    paired = [change for change in drawn if change.before is not None and change.after is not None]
    assert len(paired) == compared["paired"]
    assert sum(change.before != change.after for change in paired) == compared["moved"]
    lost = [change.verdict_after for change in drawn if change.after is None]
    gained = [change.verdict_before for change in drawn if change.before is None]
    assert (len(lost), len(gained)) == (compared["only_before"], compared["only_after"])
    for verdict in Verdict:
        assert lost.count(verdict) == compared["excluded"].get(f"after: {verdict}", 0)
        assert gained.count(verdict) == compared["excluded"].get(f"before: {verdict}", 0)


def test_the_map_of_moves_and_the_comparison_count_the_same(
    sample: dict[str, Run], drawn: list[Change], tmp_path: Path
) -> None:
    sides = (sample["before"], Window()), (sample["after"], Window())
    workflow.draw_map(sides, tmp_path / "moves.png", region="africa")
    (compared,) = workflow.compare_runs(*sides)["targets"]
    assert compared["moved"] > 20
    check(drawn, compared)


def test_a_hijack_is_interception_on_the_map_of_moves(tmp_path: Path, drawn: list[Change]) -> None:
    (tmp_path / "campaign.toml").write_text(HIJACK)
    done = workflow.run_campaign(tmp_path / "campaign.toml", tmp_path, environ={}, clock=lambda: NOON)
    run = Run.open(done.run)
    sides = (run, Window(end=NOON + 480)), (run, Window(start=NOON + 500))
    (file,) = workflow.draw_map(sides, tmp_path / "moves.svg")
    lost = [change.verdict_after for change in drawn if change.after is None]
    assert lost.count(Verdict.FOREIGN_IDENTITY) > 100
    (compared,) = workflow.compare_runs(*sides)["targets"]
    check(drawn, compared)
    assert "lost: intercepted" in file.read_text()


def test_who_has_no_place_or_was_not_there_before_is_counted(
    import_lines: Callable[..., Run], drawn: list[Change], tmp_path: Path
) -> None:
    known = [place(1, 52.5, 13.4), place(2, 48.1, 11.6), place(4, 50.1, 8.7)]
    berlin, london = "ber1.example-dns.net", "lon1.example-dns.net"
    before = import_lines(*(dns_result(number, berlin) for number in (1, 2, 3)), probes=known)
    after = import_lines(*(dns_result(number, london) for number in (1, 3, 4)), probes=known)
    workflow.draw_map([(before, Window()), (after, Window())], tmp_path / "moves.svg")
    assert [(one.before, one.after, one.place is None) for one in drawn] == [
        ("ber", "lon", False), ("ber", None, False), ("ber", "lon", True), (None, "lon", False)
    ]  # fmt: skip
    assert (drawn[1].verdict_after, drawn[3].verdict_before) == (Verdict.NO_RESULT, Verdict.NO_RESULT)
    assert "(1 vantage points without a place are not drawn)" in (tmp_path / "moves.svg").read_text()


def test_a_map_of_moves_needs_a_place(import_lines: Callable[..., Run], tmp_path: Path) -> None:
    run = import_lines(dns_result(1, "ber1.example-dns.net"))
    with pytest.raises(UnknownName, match="--probes FILE"):
        workflow.draw_map([(run, Window()), (run, Window())], tmp_path / "moves.svg")
