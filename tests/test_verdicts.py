"""The whole chain on the sandbox, held against its truth: verdicts, sites, moves, and whether its world is real."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from benchmarks.verdicts import EXPECTED, Scores, measure, score
from catchment import store, workflow
from catchment.engine import parts, quote_path
from catchment.model import Verdict, Window
from catchment.store import Run

NOON = 1_795_262_400.0


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.open(measure(tmp_path_factory.mktemp("verdicts"), 1))


@pytest.fixture(scope="module")
def scores(measured: Run) -> Scores:
    return score(measured.path)


def test_every_clean_vantage_point_is_ok_and_at_its_true_site(scores: Scores) -> None:
    assert scores.clean > 1500
    assert scores.clean_wrong == []


@pytest.mark.parametrize("verdict", dict.fromkeys(EXPECTED.values()))
def test_every_imperfection_is_found_under_its_verdict_and_nothing_else_is(scores: Scores, verdict: Verdict) -> None:
    due = sum(count for (_, wanted, _), count in scores.given.items() if wanted is verdict)
    assert due >= 4
    assert scores.precision(verdict) == 1.0
    assert scores.recall(verdict) == 1.0


def test_who_flaps_between_two_sites_is_seen_to(scores: Scores) -> None:
    # Each of four rounds takes either way by chance: all four are alike once in eight times.
    assert scores.flapping_seen >= scores.flapping / 2


def test_the_world_looks_like_the_real_one(measured: Run) -> None:
    # Root letters: published by Schmidt et al. (PAM 2017) and recomputed from RIPE Atlas's public results.
    for target in measured.metrics["targets"]:
        assert 10 <= target["rtt_ms"]["p50"] <= 60
        assert 0.2 <= target["closest_hit"] <= 0.6
        placed = measured.assignments.filter(f"target = '{target['target']}' AND verdict IN ('ok', 'repaired')")
        far, all_ = placed.aggregate("count(*) FILTER (WHERE distance_km - nearest_km > 2000), count(*)").fetchall()[0]
        assert 0.03 <= far / all_ <= 0.35


def test_several_servers_of_a_site_are_seen_and_are_one_site(measured: Run) -> None:
    rows = measured.observations.filter("target = '198.51.100.53' AND identity LIKE 'fra%'").aggregate(
        "vantage, count(DISTINCT identity) AS servers"
    )
    assert rows.aggregate("max(servers)").fetchall()[0][0] > 1


CAMPAIGN = """
name = "fire"
platform = "sandbox"
targets = [{ service = "demo-dns" }]
vantage_points = { count = 1000 }
"""


def fire(folder: Path, name: str, changes: str) -> Run:
    file = folder / f"{name}.toml"
    file.write_text(f"{CAMPAIGN}sandbox = {{ seed = 3, changes = [{changes}] }}\n")
    return Run.open(workflow.run_campaign(file, folder, folder / name, environ={}, clock=lambda: NOON).run)


def true_sites(run: Run) -> dict[str, str]:
    """Return the site that each vantage point reaches, of those that reach one and have no trouble."""
    rows = duckdb.execute(
        f"""SELECT 'atlas:' || vantage, sites[1] FROM read_json({quote_path(store.truth_file(run.path))})
        WHERE len(sites) = 1 AND trouble IS NULL AND interception IS NULL"""
    ).fetchall()
    return dict(rows)


def assigned(run: Run) -> dict[str, str]:
    rows = duckdb.execute(
        f"SELECT vantage, site FROM {parts(run.path / 'assignments')} WHERE site IS NOT NULL"
    ).fetchall()
    return dict(rows)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fire(tmp_path_factory.mktemp("fire"), "before", "")


@pytest.mark.parametrize(
    "change",
    [
        '{ change = "withdraw", site = "fra" }',
        '{ change = "prepend", site = "ams", prepend = 3 }',
        '{ change = "leak" }',
    ],
    ids=["withdraw", "prepend", "leak"],
)
def test_a_comparison_names_who_moved_where_exactly_as_the_truth_does(before: Run, tmp_path: Path, change: str) -> None:
    after = fire(tmp_path, "after", change)
    comparison = workflow.compare_runs((before, Window()), (after, Window()))["targets"][0]
    was, is_ = true_sites(before), true_sites(after)
    clean = was.keys() & is_.keys() & assigned(before).keys() & assigned(after).keys()
    moved = {v for v in clean if was[v] != is_[v]}
    assert moved
    found_before, found_after = assigned(before), assigned(after)
    assert {v for v in clean if found_before[v] != found_after[v]} == moved
    truth = Counter((was[v], is_[v]) for v in moved)
    troubled = found_before.keys() & found_after.keys() - clean
    others = Counter((found_before[v], found_after[v]) for v in troubled if found_before[v] != found_after[v])
    named = {(move["from"], move["to"]): move["vantage_points"] for move in comparison["moves"]}
    assert named == dict(truth + others)


def test_two_runs_without_a_change_differ_in_nothing(before: Run, tmp_path: Path) -> None:
    again = fire(tmp_path, "again", "")
    comparison = workflow.compare_runs((before, Window()), (again, Window()))["targets"][0]
    assert comparison["moved"] == 0
    assert comparison["paired"] > 850


def test_a_new_site_that_nobody_listed_yet_is_unknown_and_not_foreign(before: Run, tmp_path: Path) -> None:
    after = fire(tmp_path, "after", '{ change = "new-site", site = "mad" }')
    drawn = {vantage for vantage, site in true_sites(after).items() if site == "mad"}
    verdicts = dict(after.assignments.select("vantage, verdict").fetchall())
    assert drawn
    assert {verdicts[vantage] for vantage in drawn} <= {Verdict.UNKNOWN_IDENTITY, Verdict.DNS_DEAD}


def test_a_hijack_by_a_longer_prefix_is_seen_everywhere(before: Run, tmp_path: Path) -> None:
    after = fire(tmp_path, "after", '{ change = "hijack", more_specific = true }')
    verdicts = after.metrics["targets"][0]["vantage_points"]["verdicts"]
    clean = len(true_sites(after))
    assert verdicts[Verdict.FOREIGN_IDENTITY] >= 0.98 * clean  # a lost packet here and there
    comparison = workflow.compare_runs((before, Window()), (after, Window()))["targets"][0]
    assert comparison["excluded"]["after: intercepted-foreign-identity"] > 800


def test_where_a_site_failed_dns_is_dead_and_nowhere_else(before: Run, tmp_path: Path) -> None:
    after = fire(tmp_path, "after", '{ change = "fail", site = "fra" }')
    assert true_sites(after) == true_sites(before)  # the route is as it was
    rows = map(json.loads, store.truth_file(after.path).read_text().splitlines())
    clean = {f"atlas:{row['vantage']}": row for row in rows if row["trouble"] is row["interception"] is None}
    verdicts = dict(after.assignments.select("vantage, verdict").fetchall())
    failed = {vantage for vantage, row in clean.items() if row["failed"]}
    assert failed == {vantage for vantage, row in clean.items() if row["sites"] == ["fra"]}
    assert len(failed) > 50
    assert {verdicts[vantage] for vantage in failed} == {Verdict.DNS_DEAD}
    # Of the others one query in a hundred is lost: this campaign asks once.
    others = Counter(verdicts[vantage] for vantage in clean.keys() - failed)
    assert set(others) <= {Verdict.OK, Verdict.DNS_DEAD}
    assert others[Verdict.OK] >= 0.97 * others.total()


def test_everything_withdrawn_makes_everything_unreachable(before: Run, tmp_path: Path) -> None:
    codes = [site.code for site in before.header.services[0].sites]
    changes = ", ".join(f'{{ change = "withdraw", site = "{code}" }}' for code in codes)
    after = fire(tmp_path, "after", changes)
    counts = after.metrics["targets"][0]["vantage_points"]
    assert counts["verdicts"][Verdict.UNREACHABLE] > 900
    # Caches on the way go on naming a far site, for a service that is no more.
    truth = map(json.loads, store.truth_file(after.path).read_text().splitlines())
    replayed = [row for row in truth if row["interception"] == "replay"]
    assert counts["assigned"] == len(replayed) < 20
