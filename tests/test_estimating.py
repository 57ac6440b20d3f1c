"""What a campaign of our own packets comes to, before anything is sent."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from catchment import terminal, workflow
from catchment.errors import InvalidFile
from catchment.metrics import Numbers
from catchment.platforms.topology import host, make_world, write_topology
from catchment.services import bundled_service
from tests.campaigns import NOON


def plan_of(folder: Path, text: str, platform: str = "local") -> Numbers:
    file = folder / "campaign.toml"
    file.write_text(f'name = "here"\nplatform = "{platform}"\ntargets = [{{ service = "demo-dns" }}]\n{text}')
    return workflow.plan_campaign(file, folder / "results", now=NOON)


def shown(plan: Numbers) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal.show_plan(plan))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_campaign_from_this_host_costs_packets_and_time_but_no_credits(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "schedule = { interval_s = 10, rounds = 30 }")
    # A query and three pings, thirty times, for 300 s.
    assert plan["summary"] == "from this host, 60 results, 120 packets at most, about 5 minutes, no credits"
    assert (plan["results"], plan["packets"], plan["duration_s"], plan["credits"]) == (60, 120, 300, 0)
    workflow.check_plan(plan)
    text = shown(plan)
    assert "30 rounds, one every 10 s" in text
    assert "Credits" not in text
    assert "RIPE" not in text


def test_what_asks_once_takes_as_long_as_its_packets(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'queries = [{ kind = "traceroute", packets = 2 }]\nlocal = { rate_per_s = 4 }')
    # Two packets to each of at most 32 routers at 4 a second: 16 s, and 5 s for the last to come back.
    assert (plan["packets"], plan["duration_s"], plan["results"]) == (64, 21, 1)
    assert plan["limits"] == []


def test_a_query_over_tcp_is_as_many_packets_in_the_plan_as_in_its_pace(tmp_path: Path) -> None:
    text = 'queries = [{ kind = "dns", protocol = "TCP" }]\nlocal = { rate_per_s = 0.1 }\n'
    plan = plan_of(tmp_path, text + "schedule = { interval_s = 20, rounds = 3 }")
    assert plan["packets"] == 3 * 5  # of ours: SYN, ACK, the query, ACK, FIN
    (limit,) = plan["limits"]
    assert (limit["value"], limit["ok"]) == (pytest.approx(50), False)


@pytest.mark.parametrize(("rate", "told"), [("1e-9", "at least 0.01, and at most 100"), ("nan", "at least 0.01")])
def test_a_pace_at_which_nothing_would_ever_come_is_refused(tmp_path: Path, rate: str, told: str) -> None:
    with pytest.raises(InvalidFile, match=rf"key 'local\.rate_per_s': {told}"):
        plan_of(tmp_path, f"local = {{ rate_per_s = {rate} }}")
    assert plan_of(tmp_path, "local = { rate_per_s = 0.01 }")["duration_s"] == 405  # four packets, and the last replies


@pytest.mark.parametrize(("interval_s", "is_kept"), [(7, True), (6, False)])
def test_a_round_must_be_sent_before_the_next_begins(tmp_path: Path, interval_s: int, is_kept: bool) -> None:
    # 32 packets of a traceroute, 32 more, 10 a second: 6.4 s.
    queries = 'queries = [{ kind = "traceroute", packets = 2 }]'
    plan = plan_of(tmp_path, f"{queries}\nschedule = {{ interval_s = {interval_s}, rounds = 2 }}")
    (limit,) = plan["limits"]
    assert (limit["value"], limit["ok"]) == (pytest.approx(6.4), is_kept)
    if not is_kept:
        assert limit["advice"] == "raise schedule.interval_s to 7, raise local.rate_per_s, or ask less"
        with pytest.raises(InvalidFile, match="nothing was sent"):
            workflow.check_plan(plan)


def test_the_campaigns_own_budget_of_results_is_kept(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "schedule = { interval_s = 10, rounds = 30 }\nbudget = { results = 59 }")
    with pytest.raises(InvalidFile, match=r"comes to 60\.0 results in the campaign's budget, 59 are allowed"):
        workflow.check_plan(plan)


def lab_plan(folder: Path, lab: str, more: str = "") -> Numbers:
    world = host(make_world(1, vantage_points=10), bundled_service("demo-dns"))
    write_topology(world, folder / "world.toml")
    return plan_of(folder, f'lab = {{ topology = "world.toml"{lab} }}\n{more}', "lab")


def test_a_lab_without_changes_measures_once(tmp_path: Path) -> None:
    plan = lab_plan(tmp_path, "")
    # Ten times three queries and a ping of three packets.
    assert (plan["probes"], plan["rounds"], plan["results"], plan["packets"]) == (10, 1, 40, 60)
    assert plan["summary"].startswith("10 vantage points of a lab, 40 results")


def test_a_lab_with_changes_measures_before_and_after_and_streams_meanwhile(tmp_path: Path) -> None:
    changes = ', stream_per_s = 10, before_s = 1, settle_s = 3, changes = [{ change = "withdraw", site = "fra" }]'
    plan = lab_plan(tmp_path, changes)
    # Two rounds of three DNS queries and a ping, and 10 queries a second for 4 s, from 10 vantage points each.
    assert plan["results"] == 2 * 4 * 10 + 10 * 4 * 10
    # Each row has all ten vantage points, once.
    rows = [line.split() for line in shown(plan).splitlines() if "hostname.bind" in line]
    assert [(row[:-3], row[-2:]) for row in rows] == [
        (["dns", "hostname.bind"], ["10", "60"]),
        (["a", "stream", "of", "dns", "hostname.bind"], ["10", "400"]),
    ]


def test_a_vantage_point_that_the_lab_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="the topology has no vantage point 77: name some of "):
        lab_plan(tmp_path, "", "vantage_points = { ids = [77] }")
