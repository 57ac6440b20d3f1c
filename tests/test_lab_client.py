"""How labs start and end, who keeps them up, and that nothing stays behind, whatever kills them."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catchment.campaign import Query
from catchment.errors import PlatformFailed
from catchment.model import Kind
from catchment.platforms.lab import client
from catchment.platforms.lab.blueprint import Blueprint, Node, Role, Wire
from catchment.platforms.lab.client import Lab, attach, open_lab, running_labs
from tests.small_labs import (
    VANTAGE,
    all_gone,
    anycast,
    asked,
    namespaces_of,
    pings,
    process_of,
    processes_of,
    two_ends,
    until,
    wire,
    with_bird,
)

pytestmark = pytest.mark.usefixtures("home")

ROOT = Path(__file__).parent.parent
NOBODY = "65534"
SLEEP = ["sleep", "3.5"]


def test_a_second_lab_of_the_name_is_refused_and_one_of_another_name_lives_beside(lab: Lab) -> None:
    refused = pytest.raises(PlatformFailed, match=r"a lab 'anycast' runs already: end it .*or choose another name")
    with refused, open_lab(two_ends(), name="anycast"):
        pass
    with open_lab(two_ends(1.0), name="beside") as other:
        assert running_labs() == ["anycast", "beside"]
        other.wire("w", delay_ms=3.0)
        assert lab.status()["wires"].keys() == {"w0", "w1", "w2"}
        assert len(pings(other, "198.18.0.1", 3)) == 3  # the same address as in the first
    assert running_labs() == ["anycast"]


def test_a_lab_that_is_left_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patience_s = 50.0
    monkeypatch.setattr(client, "_END_TIMEOUT_S", patience_s)
    mounts = Path("/proc/self/mounts").read_text()
    with open_lab(two_ends(), name="short") as lab:
        processes = processes_of(lab.pid)
        namespaces = namespaces_of(processes)
        assert len(processes) >= 3
        assert len(namespaces) >= 3
        begun = time.monotonic()
    assert time.monotonic() - begun < patience_s  # then it would have been killed
    assert all_gone(processes, namespaces)
    assert not (home / "catchment" / "lab-short").exists()
    assert Path("/proc/self/mounts").read_text() == mounts
    with pytest.raises(PlatformFailed, match=r"lab 'short' does not run: start it with"):
        lab.status()


def test_it_ends_when_its_time_is_over_and_says_so() -> None:
    with open_lab(two_ends(), name="timed", for_s=5) as lab:
        processes = processes_of(lab.pid)
        assert 0 < lab.status()["left_s"] <= 5
        assert until(lambda: all_gone(processes, set()))
        with pytest.raises(PlatformFailed, match=r"lab 'timed' does not run \(its 5 s were over\)"):
            lab.status()
    assert "timed" not in running_labs()


def test_a_detached_lab_goes_on_until_it_is_told_to_end_and_can_be_attached_to() -> None:
    with open_lab(two_ends(), name="behind", detach=True) as lab:
        processes = processes_of(lab.pid)
    found = attach("behind")
    assert found.status()["wires"].keys() == {"w"}
    assert os.getsid(found.pid) != os.getsid(0)
    found.down()
    assert all_gone(processes, set())
    with pytest.raises(PlatformFailed, match=r"no lab 'behind' runs \(.*\): start one"):
        attach("behind")
    found.down()  # is no error


def test_a_detached_lab_that_nobody_uses_ends_but_not_while_it_measures_or_is_held() -> None:
    with (
        open_lab(two_ends(), name="held", detach=True, idle_s=2) as held,
        open_lab(two_ends(), name="idle", detach=True, idle_s=2) as idle,
    ):
        processes = processes_of(idle.pid) | processes_of(held.pid)
        (measurement,), queries = asked(Query(kind=Kind.DNS), "198.18.0.1")
        stream = idle.stream(measurement, queries[measurement.id], VANTAGE, per_s=20, seconds=3.5, timeout_s=0.2)
        held_by = held.hold()
    with subprocess.Popen(SLEEP, close_fds=False):  # as whoever is exec'ed has it
        os.close(held_by)
        assert len(list(stream)) > 20
        assert {"held", "idle"} <= {*running_labs()}
    assert until(lambda: all_gone(processes, set()))
    assert not {"held", "idle"} & {*running_labs()}


def test_a_detached_lab_whose_context_fails_is_not_left_behind() -> None:
    with pytest.raises(ValueError, match="no room"), open_lab(two_ends(), name="ghost", detach=True):
        raise ValueError("no room for its topology")
    assert "ghost" not in running_labs()


@pytest.mark.parametrize(
    ("for_s", "idle_s"), [(math.inf, 60), (math.nan, 60), (0, 60), (None, math.inf), (None, math.nan), (None, -1)]
)
def test_a_limit_that_is_no_time_is_refused(for_s: float | None, idle_s: float) -> None:
    refused = pytest.raises(PlatformFailed, match=r"^a lab cannot end after .* s: give a number of seconds")
    with refused, open_lab(two_ends(), name="never", for_s=for_s, idle_s=idle_s):
        pass


def test_a_lab_may_be_up_for_longer_than_the_kernel_can_wait() -> None:
    month_s = 30 * 86_400
    with open_lab(two_ends(), name="long", for_s=month_s, idle_s=1e300) as lab:
        assert month_s - 60 < lab.status()["left_s"] <= month_s


_CROWD = """
import resource
from catchment.platforms.lab.client import open_lab
from tests.test_lab_client import chain
resource.setrlimit(resource.RLIMIT_NOFILE, (140, 140))
with open_lab(chain(160), name="crowd") as lab:
    print(len(lab.status()["nodes"]))
"""


def chain(length: int) -> Blueprint:
    """Return so many nodes, with a wire from each to the next."""
    nodes = {name: Node(name=name, role=Role.NETWORK) for name in (f"n{at}" for at in range(length))}
    ends = zip(list(nodes), list(nodes)[1:], strict=False)
    wires = [
        Wire(name=f"w{at}", near=near, far=far, near_addresses=(), far_addresses=(), delay_ms=0.0)
        for at, (near, far) in enumerate(ends)
    ]
    return Blueprint(nodes=nodes, wires=tuple(wires))


def test_a_lab_may_have_more_nodes_than_a_process_may_have_files() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CROWD], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("160", 0), done.stderr


def test_wires_are_found_by_the_nodes_and_as_numbers_at_their_ends(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lab.wires_between(64500, "fra") == lab.wires_between("fra", 64500) == ["w1"]
    assert lab.wires_between("vp7", "as64500") == ["w0"]
    with pytest.raises(
        PlatformFailed, match=r"no wire leads from fra to ber: name two neighbours of as64500, ber, fra"
    ):
        lab.wires_between("fra", "ber")
    ends = {"u1": ("as64500-fra", "as1"), "s2": ("as64500-fra", "as64500-fra.1"), "l3": ("as1", "as6450")}
    wires = {name: {"near": near, "far": far} for name, (near, far) in ends.items()}
    monkeypatch.setattr(Lab, "wires", lambda _: wires)
    assert lab.wires_between(1, 64500) == ["u1"]
    assert lab.wires_between(6450, 1) == ["l3"]
    assert lab.wires_between(64500, 64500) == ["s2"]


@pytest.mark.parametrize("victim", ["supervisor", "unshare", "forwarder"])
def test_whatever_is_killed_takes_everything_with_it(home: Path, victim: str) -> None:
    with open_lab(two_ends(), name=f"kill-{victim}") as lab:
        processes = processes_of(lab.pid)
        parent = int(Path(f"/proc/{lab.pid}/stat").read_text().rpartition(")")[2].split()[1])
        namespaces = namespaces_of(processes)
        forwarder = process_of(lab, "forwarder")
        os.kill({"supervisor": lab.pid, "unshare": parent, "forwarder": forwarder}[victim], signal.SIGKILL)
        assert until(lambda: all_gone({*processes, parent}, namespaces))
        with pytest.raises(
            PlatformFailed, match="does not run" + (r" \(its forwarder ended\)" * (victim == "forwarder"))
        ):
            lab.status()
    assert not (home / "catchment" / f"lab-kill-{victim}").exists()


_CLIENT = """
import sys, time
from catchment.platforms.lab.client import open_lab
from tests.small_labs import two_ends
with open_lab(two_ends(), name="orphan", detach=sys.argv[1:] == ["detach"]) as lab:
    print(lab.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("words", [[], ["detach"]])
def test_a_client_that_is_killed_before_it_let_go_takes_its_lab_with_it(home: Path, words: list[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", _CLIENT, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        processes = processes_of(int(user.stdout.readline()))
        namespaces = namespaces_of(processes)
        user.kill()
    assert until(lambda: all_gone(processes, namespaces))
    assert not (home / "catchment" / "lab-orphan").exists()


def test_what_a_killed_lab_left_is_taken_away_by_whoever_comes_next(home: Path) -> None:
    with open_lab(two_ends(), name="left", detach=True) as lab:
        processes = processes_of(lab.pid)
        os.kill(lab.pid, signal.SIGKILL)
    assert until(lambda: all_gone(processes, set()))
    assert (home / "catchment" / "lab-left" / "control").exists()
    assert until(lambda: "left" not in running_labs())  # `unshare` has yet to see that its child is gone
    assert not (home / "catchment" / "lab-left").exists()
    with open_lab(two_ends(), name="left") as again:
        assert again.status()["died"] == []


def test_what_does_not_start_is_told_in_one_line_and_leaves_nothing(home: Path) -> None:
    site = anycast().nodes["fra"]
    assert site.nsd is not None
    bad_server = {"nsd.conf": site.nsd["nsd.conf"].replace("identity", "identty")}
    for blueprint, complaint in [
        (
            with_bird(anycast(), "fra", "router id 10.255.0.1; protocol bgp {"),
            "BIRD of fra does not start: .*syntax error",
        ),
        (
            replace(anycast(), nodes={**anycast().nodes, "fra": replace(site, nsd=bad_server)}),
            "NSD of fra does not start: .*syntax",
        ),
        (replace(two_ends(), wires=(*two_ends().wires, wire("w", "b", "vp7", 1, 0))), "two wires have one name"),
        (replace(two_ends(), wires=(wire("a-name-that-is-long", "b", "vp7", 1, 0),)), "cannot name a node or a wire"),
    ]:
        with pytest.raises(PlatformFailed, match=complaint) as caught, open_lab(blueprint, name="broken"):
            pass
        assert "\n" not in str(caught.value)
        assert not (home / "catchment" / "lab-broken").exists()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Return a folder for temporary files of an ordinary user, with a short path."""
    with tempfile.TemporaryDirectory(prefix="labs-") as folder:
        if os.geteuid() == 0:
            os.chown(folder, int(NOBODY), int(NOBODY))
        yield Path(folder)


def test_an_ordinary_user_has_labs_too(temporary: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("all tests of this file are an ordinary user's here")
    as_nobody = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "env", "-u", "XDG_RUNTIME_DIR"]
    modules = os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])
    same = f"python3.{sys.version_info.minor}"
    for python in filter(None, (sys.executable, shutil.which(same, path="/usr/bin:/usr/local/bin"))):
        settings = [f"TMPDIR={temporary}", f"PYTHONPATH={modules}", "PYTHONDONTWRITEBYTECODE=1"]
        command = [*as_nobody, *settings, python]
        trial = subprocess.run(
            [*command, "-c", "import duckdb, tests.small_labs"], capture_output=True, text=True, cwd="/", check=False
        )
        if trial.returncode == 0:
            break
    else:
        pytest.skip(f"no {same} with our dependencies that user {NOBODY} can read ({trial.stderr.strip()[-200:]})")
    done = subprocess.run(
        [*command, "-m", "tests.small_labs"], capture_output=True, text=True, cwd="/", timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["user"], found["before"], found["after"], found["died"]) == (int(NOBODY), "fra", "ber", [])
    assert 10 <= min(found["rtts"]) < 100
    assert found["left"] == []
    assert not (temporary / f"catchment-{NOBODY}").exists()
