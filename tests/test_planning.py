"""What a plan says of a campaign, and how the terminal shows it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from catchment import terminal, workflow
from catchment.errors import InvalidFile
from catchment.workflow.planning import load_plan
from tests.conftest import ROOT

NOON = 1_795_262_400.0
BOTH = '{ service = "demo-dns" }, { service = "demo-dns", af = 6 }'


def planned(folder: Path, targets: str) -> tuple[str, list[str]]:
    """Return the summary of a campaign's plan and the lines by which the terminal shows it."""
    file = folder / "campaign.toml"
    file.write_text(
        f'name = "small"\nplatform = "sandbox"\ntargets = [{targets}]\nvantage_points = {{ count = 60 }}\n'
        'queries = [{ kind = "dns" }]\n'
    )
    plan = workflow.plan_campaign(file, now=NOON)
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal.show_plan(plan))
    assert isinstance(console.file, io.StringIO)
    return plan["summary"], console.file.getvalue().splitlines()


def test_of_ipv6_a_plan_knows_only_the_most_that_it_can_cost(tmp_path: Path) -> None:
    summary, lines = planned(tmp_path, BOTH)
    # A one-off DNS result costs 20 credits.
    assert summary == "60 vantage points, at most 120 results, 2,400 credits (not every vantage point has IPv6)"
    (six,) = (line for line in lines if "2001:db8:53::53" in line)
    assert six.split()[-6:] == ["at", "most", "60", "at", "most", "1,200"]
    (four,) = (line for line in lines if "198.51.100.53" in line)
    assert four.split()[-2:] == ["60", "1,200"]
    assert "most" not in four


@pytest.mark.parametrize("targets", ['{ service = "demo-dns" }', '{ service = "demo-dns", af = 4 }'])
def test_of_ipv4_alone_a_plan_says_what_it_costs(tmp_path: Path, targets: str) -> None:
    summary, lines = planned(tmp_path, targets)
    assert summary == "60 vantage points, 60 results, 1,200 credits"
    assert not any("at most" in line for line in lines)


def test_one_address_under_two_services_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = (ROOT / "campaigns" / "services" / "example-dns.toml").read_text()
        (tmp_path / f"{name}.toml").write_text(text.replace('name = "example-dns"', f'name = "{name}"'))
    file = tmp_path / "campaign.toml"
    targets = ", ".join(f'{{ service = "{tmp_path / name}.toml" }}' for name in ("one", "two"))
    file.write_text(f'name = "x"\nplatform = "sandbox"\ntargets = [{targets}]\n')
    with pytest.raises(InvalidFile, match=r"'one' and 'two' have the address 192\.0\.2\.53 both"):
        load_plan(file)
