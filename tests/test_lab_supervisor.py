"""Labs that run: what they answer, what they change, and that nothing stays behind, whatever kills them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catchment.campaign import Query
from catchment.errors import PlatformFailed
from catchment.model import Kind
from catchment.platforms.lab.blueprint import Blueprint
from catchment.platforms.lab.client import Lab, attach, open_lab, running_labs
from tests.namespaces import needs_namespaces
from tests.small_labs import (
    SERVICE,
    VANTAGE,
    all_namespaces,
    anycast,
    asked,
    identity,
    is_alive,
    namespaces_of,
    pings,
    processes_of,
    two_ends,
    who,
    wire,
    with_bird,
)

ROOT = Path(__file__).parent.parent
NOBODY = "65534"
WAIT_S = 5


@pytest.fixture(scope="module", autouse=True)
def home() -> Iterator[Path]:
    """Keep the folders of these labs apart from all others, in a place with a short path."""
    needs_namespaces()
    folder = Path(tempfile.mkdtemp(prefix="labs-"))
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before
    left = [str(path) for path in folder.rglob("*")]
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[Lab]:
    with open_lab(anycast(), name="anycast") as opened:
        yield opened


def until(is_so: Callable[[], bool]) -> bool:
    """Wait for something to become so."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.01)
    return is_so()


def workers(lab: Lab) -> set[int]:
    """Return the processes that measure: forked from the prober, which came first."""
    probers = [each for each in processes_of(lab.pid) if b"lab.prober" in Path(f"/proc/{each}/cmdline").read_bytes()]
    return {*probers} - {min(probers)}


def all_gone(processes: set[int], namespaces: set[str]) -> bool:
    """Tell whether neither the processes of a lab nor its namespaces are on the host any more."""
    return not any(is_alive(each) for each in processes) and not namespaces & all_namespaces()


# What it does


def test_a_lab_is_up_when_its_routes_are_and_its_servers_say_who_they_are(lab: Lab) -> None:
    lab.apply(anycast())
    lab.settle()
    assert identity(lab) == "fra"
    rtts = pings(lab, SERVICE)
    assert len(rtts) == 15
    assert min(rtts) == pytest.approx(6.4, abs=0.4)
    assert "fra" not in lab.bird("as64500", "show protocols")
    assert "via 198.18.0.3 on w1" in lab.bird("as64500", "show route for 192.0.2.53 primary")
    status = lab.status()
    assert status["nodes"] == {"vp7": "vantage-point", "as64500": "network", "fra": "site", "ber": "site"}
    assert (status["died"], status["left_s"], status["up_s"] > 0) == ([], None, True)


def test_a_withdrawn_site_is_left_within_a_stream_that_sees_it_and_loses_nothing(lab: Lab) -> None:
    (measurement,), queries = asked(Query(kind=Kind.DNS), SERVICE)
    stream = lab.stream(measurement, queries[measurement.id], VANTAGE, per_s=200, seconds=30, timeout_s=0.5)
    time.sleep(0.3)
    asked_at = time.time()
    began = lab.apply(anycast(withdrawn=["fra"]))
    returned_at = time.time()
    time.sleep(0.3)
    lab.end_streams()
    results = list(stream)
    assert asked_at <= began <= returned_at
    assert returned_at - began < 0.5
    sites = [who(result) or "nobody" for result in sorted(results, key=lambda result: result["timestamp"])]
    assert {*sites} == {"fra", "ber"}
    assert sites == sorted(sites, reverse=True)  # all of fra, then all of ber
    first = min(result["timestamp"] for result in results if who(result) == "ber")
    assert -0.02 < first - began < 0.5
    lab.apply(anycast())
    lab.settle()
    assert identity(lab) == "fra"


def test_a_site_whose_servers_die_still_has_its_route_and_answers_pings(lab: Lab) -> None:
    lab.apply(anycast(dead=["fra"]))
    assert identity(lab) is None
    assert len(pings(lab, SERVICE, 3)) == 3
    lab.apply(anycast())
    assert identity(lab) == "fra"


def test_addresses_routes_and_delays_follow_the_blueprint(lab: Lab) -> None:
    new = anycast()
    router = new.nodes["as64500"]
    nodes = {**new.nodes, "as64500": replace(router, addresses=("203.0.113.9/32",))}
    wires = tuple(replace(each, delay_ms=5.0) if each.name == "w0" else each for each in new.wires)
    lab.apply(Blueprint(nodes=nodes, wires=wires))
    assert min(pings(lab, "203.0.113.9", 5)) == pytest.approx(10.5, abs=0.5)
    assert pings(lab, "10.255.0.1", 2) == []
    lab.apply(anycast())
    assert pings(lab, "203.0.113.9", 2) == []
    assert min(pings(lab, "10.255.0.1", 5)) == pytest.approx(2.5, abs=0.5)


def test_what_cannot_be_applied_changes_nothing(lab: Lab) -> None:
    wrong = with_bird(anycast(withdrawn=["fra"]), "ber", "router id 10.255.0.2; protocol bgp {")
    with pytest.raises(PlatformFailed, match=r"BIRD of ber: .*syntax error"):
        lab.apply(wrong)
    more = replace(anycast(), wires=(*anycast().wires, wire("w3", "fra", "ber", 3, 1.0)))
    with pytest.raises(PlatformFailed, match="cannot get or lose wires: end it"):
        lab.apply(more)
    fewer = replace(
        anycast(), nodes={k: v for k, v in anycast().nodes.items() if k != "vp7"}, wires=anycast().wires[1:]
    )
    with pytest.raises(PlatformFailed, match=r"cannot get or lose nodes \(vp7\)"):
        lab.apply(fewer)
    assert identity(lab) == "fra"


def test_a_program_that_died_is_named_and_applying_starts_it_anew(lab: Lab) -> None:
    victim = next(pid for pid in processes_of(lab.pid) if b"/fra/bird/" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(victim, signal.SIGKILL)
    assert until(lambda: lab.status()["died"] == ["BIRD of fra"])
    with pytest.raises(PlatformFailed, match="BIRD of fra does not answer: apply the blueprint again"):
        lab.bird("fra", "show status")
    lab.apply(anycast())
    lab.settle()
    assert lab.status()["died"] == []
    assert identity(lab) == "fra"


def test_who_measures_is_started_anew_when_killed(lab: Lab) -> None:
    assert until(lambda: not workers(lab))
    (prober,) = [each for each in processes_of(lab.pid) if b"lab.prober" in Path(f"/proc/{each}/cmdline").read_bytes()]
    os.kill(prober, signal.SIGKILL)
    assert until(lambda: not is_alive(prober))
    assert identity(lab) == "fra"


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (b"\xff\xfe", "not a request"),
        (b"[]", "not a JSON object"),
        (b"{}", "KeyError"),
        (b'{"do": "fly"}', "cannot do 'fly'"),
        (b'{"do": ["fly"]}', "cannot do"),
        (b'{"do": "bird", "node": "nowhere", "command": "show status"}', "no BIRD runs at 'nowhere': name one of"),
        (b'{"do": "bird", "node": "fra", "command": "show nonsense"}', "BIRD says: syntax error"),
        (b'{"do": "bird", "node": "fra", "command": "down\\nshow status"}', "one line"),
        (b'{"do": "wire", "name": "w9", "delay_ms": 1}', "no wire 'w9': name one of w0, w1, w2"),
        (b'{"do": "wire", "name": "w0", "delay_ms": -1}', "from 0 to 60000 ms"),
        (b'{"do": "wire", "name": "w0", "loss": 2}', "share from 0 to 1"),
        (b'{"do": "apply", "blueprint": {"nodes": 1}}', "not a blueprint"),
        (b'{"do": "measure", "vantages": {"lab:7": "vp8"}}', "no node 'vp8'"),
        (b'{"do": "measure", "vantages": {"lab:7": "vp7"}}', "measuring failed: KeyError: 'measurements'"),
        (b"[" * 100_000, "RecursionError"),
    ],
)
def test_a_bad_request_is_answered_by_an_error_and_the_lab_goes_on(lab: Lab, request_: bytes, complaint: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(lab.folder / "control"))
        connection.sendall(request_ + b"\n")
        answer = json.loads(connection.makefile("rb").read())
    assert complaint in answer["error"]
    assert lab.status()["died"] == []


def test_half_a_request_and_a_user_who_hangs_up_hurt_nobody(lab: Lab) -> None:
    with socket.socket(socket.AF_UNIX) as half, socket.socket(socket.AF_UNIX) as gone:
        half.connect(str(lab.folder / "control"))
        half.sendall(b'{"do": "status"')
        gone.connect(str(lab.folder / "control"))
        gone.close()
        assert lab.status()["died"] == []
        half.sendall(b"}\n")
        assert b'"ok"' in half.recv(1 << 16)


def test_results_that_nobody_wants_any_more_end_their_stream(lab: Lab) -> None:
    (measurement,), queries = asked(Query(kind=Kind.DNS), SERVICE)
    assert until(lambda: not workers(lab))
    stream = lab.stream(measurement, queries[measurement.id], VANTAGE, per_s=100, seconds=60)
    assert next(stream)["type"] == "dns"
    assert len(workers(lab)) == 1
    stream.close()
    assert list(stream) == []
    assert until(lambda: not workers(lab))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else as well")
def test_another_user_gets_no_answer(lab: Lab) -> None:
    assert lab.folder.stat().st_mode & 0o777 == 0o700
    code = (
        "import os, socket, sys; held = os.open(sys.argv[1], os.O_PATH); os.setuid(65534);"
        "s = socket.socket(socket.AF_UNIX); s.connect(f'/proc/self/fd/{held}');"
        's.sendall(b\'{"do": "down"}\\n\'); print(s.recv(100))'
    )
    control = lab.folder / "control"
    control.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", code, control], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == "b''\n" or "ConnectionResetError" in done.stderr or "BrokenPipeError" in done.stderr, done
    assert lab.status()["died"] == []


# How it starts and ends


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


def test_a_lab_that_is_left_leaves_nothing(home: Path) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    with open_lab(two_ends(), name="short") as lab:
        processes = processes_of(lab.pid)
        namespaces = namespaces_of(processes)
        assert len(processes) >= 3
        assert len(namespaces) >= 3
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
    assert all_gone(processes, namespaces)
    assert not (home / "catchment" / "lab-short").exists()
    assert Path("/proc/self/mounts").read_text() == mounts
    with pytest.raises(PlatformFailed, match=r"lab 'short' does not run: start it with"):
        lab.status()


def test_it_ends_when_its_time_is_over_and_says_so() -> None:
    with open_lab(two_ends(), name="timed", for_s=0.5) as lab:
        processes = processes_of(lab.pid)
        assert 0 < lab.status()["left_s"] <= 0.5
        assert until(lambda: all_gone(processes, set()))
        with pytest.raises(PlatformFailed, match=r"lab 'timed' does not run \(its 0.5 s were over\)"):
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


def test_a_detached_lab_that_nobody_uses_ends_but_not_while_it_measures() -> None:
    with open_lab(two_ends(), name="idle", detach=True, idle_s=0.4) as lab:
        processes = processes_of(lab.pid)
        (measurement,), queries = asked(Query(kind=Kind.DNS), "198.18.0.1")
        stream = lab.stream(measurement, queries[measurement.id], VANTAGE, per_s=20, seconds=1, timeout_s=0.2)
    assert len(list(stream)) >= 15
    assert "idle" in running_labs()
    assert until(lambda: all_gone(processes, set()))
    assert "idle" not in running_labs()


@pytest.mark.parametrize("victim", ["supervisor", "unshare", "forwarder"])
def test_whatever_is_killed_takes_everything_with_it(home: Path, victim: str) -> None:
    with open_lab(two_ends(), name=f"kill-{victim}") as lab:
        processes = processes_of(lab.pid)
        parent = int(Path(f"/proc/{lab.pid}/stat").read_text().rpartition(")")[2].split()[1])
        namespaces = namespaces_of(processes)
        forwarder = next(each for each in processes if b"forwarder" in Path(f"/proc/{each}/cmdline").read_bytes())
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
with open_lab(two_ends(), name="orphan") as lab:
    print(lab.pid, flush=True)
    time.sleep(60)
"""


def test_a_client_that_is_killed_takes_its_lab_with_it(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _CLIENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        processes = processes_of(int(client.stdout.readline()))
        namespaces = namespaces_of(processes)
        client.kill()
    assert until(lambda: all_gone(processes, namespaces))
    assert not (home / "catchment" / "lab-orphan").exists()


def test_what_a_killed_lab_left_is_taken_away_by_whoever_comes_next(home: Path) -> None:
    with open_lab(two_ends(), name="left", detach=True) as lab:
        processes = processes_of(lab.pid)
        os.kill(lab.pid, signal.SIGKILL)
    assert until(lambda: all_gone(processes, set()))
    assert (home / "catchment" / "lab-left" / "control").exists()
    assert "left" not in running_labs()
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


def test_a_session_that_does_not_come_up_is_named(lab: Lab) -> None:
    lab.apply(with_bird(anycast(), "ber", "router id 10.255.0.2; protocol device { }"))
    with pytest.raises(PlatformFailed, match=r"after 0.5 s BGP is not established: as64500: b2 \("):
        lab.settle(timeout_s=0.5)
    lab.apply(anycast())
    lab.settle()


def test_an_ordinary_user_has_labs_too() -> None:
    if os.geteuid() != 0:
        pytest.skip("all tests of this file are an ordinary user's here")
    as_nobody = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "env", "-u", "XDG_RUNTIME_DIR"]
    modules = os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])
    same = f"python3.{sys.version_info.minor}"
    for python in filter(None, (sys.executable, shutil.which(same, path="/usr/bin:/usr/local/bin"))):
        command = [*as_nobody, f"PYTHONPATH={modules}", "PYTHONDONTWRITEBYTECODE=1", python]
        trial = subprocess.run(
            [*command, "-c", "import duckdb, tests.small_labs"], capture_output=True, text=True, cwd="/", check=False
        )
        if trial.returncode == 0:
            break
    else:
        pytest.skip(f"no {same} with our dependencies that user {NOBODY} can read ({trial.stderr.strip()[-200:]})")
    done = subprocess.run(
        [*command, "-m", "tests.small_labs"], capture_output=True, text=True, cwd="/", timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["user"], found["before"], found["after"], found["died"]) == (int(NOBODY), "fra", "ber", [])
    assert min(found["rtts"]) == pytest.approx(10.4, abs=0.4)
    assert found["left"] == []
    assert not Path(tempfile.gettempdir(), f"catchment-{NOBODY}").exists()
