from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys

import pytest

from tests.busy_machines import once_of
from tests.veth_chain import ROOT

pytestmark = pytest.mark.xdist_group("packets")

BENCHMARK = ROOT / "benchmarks" / "rtt_bias.py"


def bias(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCHMARK, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=300,
        check=False,
    )


@once_of(3)
def test_our_rtts_are_nearer_to_the_kernels_than_those_of_fping() -> None:
    missing = [tool for tool in ("fping", "ping", "ip", "unshare") if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root, fping and ping (missing: {', '.join(missing) or 'root'})")
    done = bias("--packets", "40", "--delay-ms", "0", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["tool"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {"ours", "fping", "ping"}
    assert all(row["packets"] >= 35 for row in rows.values())
    assert abs(rows["ours"]["p50"]) < abs(rows["fping"]["p50"])
    assert abs(rows["ours"]["p50"]) < 50  # microseconds


def test_without_root_it_says_that_it_needs_it() -> None:
    code = f"import os, runpy; os.geteuid = lambda: 1000; runpy.run_path({str(BENCHMARK)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tool_that_fails_is_told_with_what_it_says() -> None:
    benchmark = runpy.run_path(str(BENCHMARK))
    with pytest.raises(SystemExit, match=r"exit status 4: icmp: unknown protocol$"):
        benchmark["told_by"](["sh", "-c", "echo icmp: unknown protocol >&2; exit 4"])
