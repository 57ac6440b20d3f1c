"""Streams of queries amid a change of a lab."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from catchment import workflow
from catchment.campaign import Change, ChangeName
from catchment.errors import PlatformFailed
from catchment.platforms.lab.blueprint import Blueprint
from catchment.platforms.lab.client import Lab
from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("lab")

STREAM_S = 60


@pytest.mark.parametrize("per_s", [50, 1])
def test_a_change_that_the_lab_refuses_ends_the_stream_at_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, per_s: float
) -> None:
    complaints = ["BIRD of fra: syntax error"]
    apply = Lab.apply

    def refuse_once(lab: Lab, blueprint: Blueprint) -> float:
        if complaints:
            raise PlatformFailed(complaints.pop())
        return apply(lab, blueprint)

    workflow.raise_lab(ROOT / "campaigns" / "lab" / "topologies" / "two-paths.toml", "refusing")
    try:
        monkeypatch.setattr(Lab, "apply", refuse_once)
        begun = time.monotonic()
        with pytest.raises(PlatformFailed, match="BIRD of fra: syntax error"):
            workflow.change_lab(
                "refusing", Change(change=ChangeName.WITHDRAW, site="ber"), stream_s=STREAM_S, per_s=per_s
            )
        assert time.monotonic() - begun < STREAM_S / 2
        found = workflow.look_at_lab("refusing")
        assert (found["changes"], found["unfinished"]) == ([], None)
    finally:
        workflow.end_lab("refusing")
