"""What a plan says of a campaign, and how the terminal shows it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from catchment import terminal, workflow
from catchment.errors import InvalidFile
from catchment.metrics import Numbers
from catchment.store import Run
from catchment.workflow.planning import load_plan
from tests.campaigns import NOON
from tests.conftest import ROOT

BOTH = '{ service = "demo-dns" }, { service = "demo-dns", af = 6 }'
SMALL = 'vantage_points = { count = 60 }\nqueries = [{ kind = "dns" }]\n'


def plan_of(folder: Path, text: str, *, platform: str = "atlas", targets: str = '{ service = "demo-dns" }') -> Numbers:
    file = folder / "campaign.toml"
    file.write_text(f'name = "small"\nplatform = "{platform}"\ntargets = [{targets}]\n{text}')
    return workflow.plan_campaign(file, folder / "results", now=NOON)


def shown(plan: Numbers) -> list[str]:
    """Return the lines by which the terminal shows a plan."""
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal.show_plan(plan))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_of_ipv6_a_plan_knows_only_the_most_that_it_can_cost(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SMALL, targets=BOTH)
    # A one-off DNS result costs 20 credits.
    assert plan["summary"] == "60 vantage points, at most 120 results, 2,400 credits (not every vantage point has IPv6)"
    assert not plan["exact"]
    (six,) = (line for line in shown(plan) if "2001:db8:53::53" in line)
    assert six.split()[-9:] == ["at", "most", "60", "at", "most", "60", "at", "most", "1,200"]
    (four,) = (line for line in shown(plan) if "198.51.100.53" in line)
    assert four.split()[-3:] == ["60", "60", "1,200"]
    assert "most" not in four


def test_where_all_have_both_families_each_is_asked_as_often(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "vantage_points = { count = 60, every_family = true }", targets=BOTH)
    assert plan["summary"] == "60 vantage points, 240 results, 3,120 credits"
    assert not any("at most" in line for line in shown(plan))


@pytest.mark.parametrize("targets", ['{ service = "demo-dns" }', '{ service = "demo-dns", af = 4 }'])
def test_of_ipv4_alone_a_plan_says_what_it_costs(tmp_path: Path, targets: str) -> None:
    plan = plan_of(tmp_path, SMALL, targets=targets)
    assert plan["summary"] == "60 vantage points, 60 results, 1,200 credits"
    assert not any("at most" in line for line in shown(plan))


def test_in_the_sandbox_a_plan_knows_how_many_have_ipv6(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SMALL, platform="sandbox", targets=BOTH)
    done = workflow.run_campaign(tmp_path / "campaign.toml", tmp_path, environ={}, clock=lambda: NOON)
    accepted = Run.open(done.run).accepted
    assert accepted is not None
    assert plan["exact"]
    assert [one["probes"] for one in plan["measurements"]] == [len(one.probes or ()) for one in accepted.measurements]
    assert plan["measurements"][0]["probes"] == 60
    assert 10 < plan["measurements"][1]["probes"] < 60
    assert "most" not in plan["summary"]


def test_a_plan_has_what_scripts_count_on(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'queries = [{ kind = "traceroute", protocol = "UDP", packets = 2 }]')
    keys = {"probes", "measurements", "results", "credits", "results_per_day", "credits_per_day", "limits"}
    assert keys < set(plan)
    (measurement,) = plan["measurements"]
    assert (measurement["protocol"], measurement["packets"], measurement["credits"]) == ("UDP", 2, 50 * 2 * 20)
    assert all({"name", "value", "limit", "ok", "key", "over", "remedies", "advice"} < set(x) for x in plan["limits"])
    json.dumps(plan)


def test_parts_that_ask_the_same_are_shown_as_one(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'vantage_points = { count = 2500 }\nqueries = [{ kind = "ping", packets = 1 }]')
    assert len(plan["measurements"]) == 3
    (line,) = (line for line in shown(plan) if "198.51.100.53" in line)
    assert line.split() == ["ping", "1", "packet,", "in", "3", "parts", "198.51.100.53", "2,500", "2,500", "5,000"]


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("", "each is asked once"),
        ("start = 2026-11-22T19:00:00Z", "each is asked once, at 2026-11-22T19:00:00Z"),
        ("interval_s = 300\nrounds = 4", "4 rounds, one every 300 s, from the start of the run"),
        (
            "interval_s = 300\nchange_at = 2026-11-22T19:00:00Z\nbefore_s = 600",
            "14 rounds, one every 300 s, from 2026-11-22T18:50:00Z to 2026-11-22T20:00:00Z, around the change at "
            "2026-11-22T19:00:00Z",
        ),
    ],
)
def test_a_plan_says_when_it_measures(tmp_path: Path, schedule: str, told: str) -> None:
    assert shown(plan_of(tmp_path, f"{SMALL}[schedule]\n{schedule}"))[1] == told


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ("start = 2026-11-20T19:00:00Z", "key 'schedule.start': 2026-11-20 19:00:00\\+00:00 is past"),
        (
            "interval_s = 300\nchange_at = 2026-11-21T12:30:00Z",
            "key 'schedule.change_at': to measure 3600 s before .* it is too late",
        ),
        ("interval_s = 300\nstop = 2026-11-21T12:03:00Z", "key 'schedule.stop': there is no time for one whole round"),
    ],
)
def test_a_time_that_cannot_be_kept_is_told_with_its_key(tmp_path: Path, schedule: str, complaint: str) -> None:
    with pytest.raises(InvalidFile, match=complaint):
        plan_of(tmp_path, f"{SMALL}[schedule]\n{schedule}")


MANY = """queries = [{ kind = "dns" }]
vantage_points = { count = 500 }
[schedule]
interval_s = 300
rounds = 1000
"""


def test_what_exceeds_limits_is_told_by_how_much_and_what_would_keep_them_all(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, MANY)
    with pytest.raises(InvalidFile) as caught:
        workflow.check_plan(plan)
    assert str(caught.value) == (
        "the campaign comes to 144,000 results per day, 44,000 more than the 100,000 allowed, and to 1,440,000 credits "
        "per day, 440,000 more than the 1,000,000 allowed: lower vantage_points.count to 347, or raise "
        "schedule.interval_s to 432, or lower schedule.rounds to 200, or raise limits.results_per_day and "
        "limits.credits_per_day where RIPE Atlas grants you more; nothing was asked for"
    )
    lines = shown(plan)
    assert any("too much by 44,000" in line for line in lines)
    assert any(line.startswith("results per day: lower vantage_points.count to 347, or") for line in lines)


def test_a_budget_of_its_own_can_be_raised(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SMALL + "budget = { results = 59 }")
    with pytest.raises(InvalidFile, match=r"to 59, or raise budget\.results; nothing was asked for"):
        workflow.check_plan(plan)


def test_granted_limits_are_those_of_the_campaign(tmp_path: Path) -> None:
    limits = "[limits]\nresults_per_day = 200_000\ncredits_per_day = 2_000_000\n"
    workflow.check_plan(plan_of(tmp_path, MANY + limits))


def test_of_vantage_points_named_one_by_one_fewer_are_to_be_named(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "vantage_points = { ids = [1, 2, 3, 4, 5] }\nbudget = { credits = 70 }")
    assert plan["probes"] == 5
    with pytest.raises(InvalidFile, match=r"name only 2 of the vantage_points\.ids, or raise budget\.credits"):
        workflow.check_plan(plan)


def test_what_is_reused_is_named_by_its_numbers_and_costs_nothing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'reuse = ["dns", 1001]', targets='{ service = "k-root" }')
    assert [one["id"] for one in plan["measurements"]] == [10301, 1001]
    assert [(one["kind"], one["target"]) for one in plan["measurements"]] == [
        ("dns", "193.0.14.129"),
        ("ping", "193.0.14.129"),
    ]
    assert (plan["credits"], plan["results"], plan["limits"]) == (0, None, [])  # how much it is, nobody knows before
    assert plan["summary"] == (
        "reads what was measured from 2026-11-21T11:43:00Z to 2026-11-21T11:58:00Z: no key, no credits"
    )
    assert any(line.startswith("10301 dns hostname.bind (reused)") for line in shown(plan))


def test_one_address_under_two_services_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = (ROOT / "campaigns" / "services" / "example-dns.toml").read_text()
        (tmp_path / f"{name}.toml").write_text(text.replace('name = "example-dns"', f'name = "{name}"'))
    file = tmp_path / "campaign.toml"
    targets = ", ".join(f'{{ service = "{tmp_path / name}.toml" }}' for name in ("one", "two"))
    file.write_text(f'name = "x"\nplatform = "sandbox"\ntargets = [{targets}]\n')
    with pytest.raises(InvalidFile, match=r"'one' and 'two' have the address 192\.0\.2\.53 both"):
        load_plan(file)
