"""Every campaign file that we give to users, run whole: those on RIPE Atlas against a sandbox in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from catchment import workflow
from catchment.campaign import PlatformName
from catchment.platforms import connecting
from catchment.platforms.sandbox import open_sandbox
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology import host, make_world
from catchment.store import Run
from catchment.workflow import probing
from catchment.workflow.planning import load_plan
from tests.conftest import ROOT
from tests.pretended_packets import PretendedPackets

NOON = 1_795_262_400.0
FILES = sorted((ROOT / "campaigns").glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_campaign_runs_from_plan_to_catchments(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = workflow.plan_campaign(file, now=NOON)
    assert all(limit["ok"] for limit in plan["limits"])
    campaign, services, targets = load_plan(file)
    if campaign.platform is PlatformName.SANDBOX:
        run = Run.open(workflow.run_campaign(file, tmp_path, environ={}, clock=lambda: NOON).run)
    elif campaign.platform is PlatformName.LOCAL:
        packets = PretendedPackets(identify=lambda *_: "ns1.de-fra.k.ripe.net")
        monkeypatch.setattr(probing, "measure_round_here", packets)
        clock = packets.clock
        run = Run.open(workflow.run_campaign(file, tmp_path, environ={}, clock=clock.now, sleep=clock.sleep).run)
    else:
        world = make_world(1)
        for service in services:
            world = host(world, service)
        with open_sandbox(Internet(world), start=NOON, services=services, folder=tmp_path, key="k-e-y") as sandbox:
            environ = {connecting.SERVER: sandbox.server, connecting.CA_FILE: str(sandbox.ca_file)}
            environ |= {} if campaign.reuse else {"ATLAS_CREATE_KEY": "k-e-y"}
            done = workflow.run_campaign(
                file, tmp_path, environ=environ, clock=sandbox.clock.now, sleep=sandbox.clock.advance
            )
            run = Run.open(done.run)
            assert sandbox.failures == []
    assert run.path.parent.name == campaign.name
    assert [target["target"] for target in run.metrics["targets"]] == sorted(target.address for target in targets)
    for target in run.metrics["targets"]:
        counts = target["vantage_points"]
        assert counts["assigned"] / counts["total"] > 0.85
        assert target["distance_vantage_points"] > 0
    asked = run.accepted
    assert asked is not None
    assert len(asked.measurements) == len(campaign.reuse or campaign.queries) * len(targets)


def test_there_is_a_campaign_for_each_who_comes() -> None:
    names = {file.stem for file in FILES}
    assert names == {"b-root", "cloudflare-ns", "here", "k-root", "own-service", "route-change", "sandbox"}
