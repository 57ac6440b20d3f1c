"""Labs from the command line: raised, looked at, changed, used by campaigns, ended; and the files in campaigns/lab."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from catchment import workflow
from catchment.assign.identity import identify
from catchment.campaign import Change, ChangeName, PlatformName
from catchment.cli import app
from catchment.errors import PlatformFailed, UnknownName
from catchment.platforms.lab.wiring import check_lab
from catchment.platforms.topology import load_topology
from catchment.store import Run
from catchment.terminal import show_story
from catchment.workflow.keeping import find_lab_alone
from catchment.workflow.planning import load_plan
from catchment.workflow.stories import read_story
from catchment.workflow.words import in_words
from tests.conftest import ROOT
from tests.namespaces import needs_namespaces

pytestmark = pytest.mark.xdist_group("lab")

FOLDER = ROOT / "campaigns" / "lab"
CAMPAIGNS, TOPOLOGIES = sorted(FOLDER.glob("*.toml")), sorted((FOLDER / "topologies").glob("*.toml"))
STORIES = {
    "fire-route-kept", "fire-withdrawn", "hijack", "hijack-partly", "leak", "one-ip-two-servers", "resolver-walk",
    "two-paths", "vanished",
}  # fmt: skip
DOCUMENTATION = [
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]

Command = Callable[..., subprocess.CompletedProcess[str]]
Invoke = Callable[..., Result]


def test_there_is_a_campaign_for_each_story() -> None:
    assert {file.stem for file in CAMPAIGNS} == STORIES


@pytest.mark.parametrize("file", CAMPAIGNS, ids=lambda file: file.stem)
def test_a_story_tells_what_it_is_about_and_fits_its_topology(file: Path) -> None:
    campaign, services, targets = load_plan(file)
    assert (campaign.name, campaign.platform) == (file.stem, PlatformName.LAB)
    told = read_story(file)
    assert len(told["text"]) >= 2
    assert not any("catchment lab run" in text for text in told["text"])
    assert f"catchment lab run campaigns/lab/{file.name}" in file.read_text(encoding="utf-8")
    topology = load_topology(Path(campaign.lab.topology or ""))
    known = {service.name: service for service in topology.services}
    for service in services:
        there = known[service.name]
        assert {entry.address for entry in service.addresses} == set(there.addresses)
        assert {(site.code, site.latitude, site.longitude) for site in service.sites} == {
            (site.code, site.latitude, site.longitude) for site in there.sites
        }
        for site in there.sites:
            assert {found.site and found.site.code for found in identify(service, site.identities)} == {site.code}
    assert {target.service for target in targets} <= known.keys()
    assert campaign.lab.changes


@pytest.mark.parametrize("file", TOPOLOGIES, ids=lambda file: file.stem)
def test_a_topology_is_one_for_labs_and_takes_nobodys_numbers(file: Path) -> None:
    topology = load_topology(file)
    check_lab(topology)
    assert 4 <= len(topology.vantage_points) <= 12
    for asn in [*(one.asn for one in topology.networks), *(one.asn for one in topology.services)]:
        assert 64496 <= asn <= 64511 or 65536 <= asn <= 65551  # RFC 5398
    for service in topology.services:
        for address in service.addresses:
            assert any(ipaddress.ip_address(address) in block for block in DOCUMENTATION)


def test_the_story_is_the_comment_at_the_head_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(
        "# A title.\n#\n# One\n# paragraph.\n#\n#     catchment lab run x\n#\n# Another.\nname = 1\n# not this\n"
    )
    assert read_story(file) == {"title": "A title.", "text": ["One paragraph.", "Another."]}
    file.write_text("name = 1\n")
    assert read_story(file) == {"title": "x", "text": []}


def test_changes_are_told_in_words() -> None:
    topology = load_topology(FOLDER / "topologies" / "hijack.toml")
    withdrawn = Change(change=ChangeName.WITHDRAW, site="FRA")
    hijacked = Change(change=ChangeName.HIJACK, asn=64510, more_specific=True)
    assert in_words(withdrawn, topology) == "Frankfurt am Main (fra) withdraws its route"
    assert in_words(hijacked, topology) == (
        "AS 64510 (Madrid Hosting) announces a part of the service's prefix as its own"
    )
    assert in_words(Change(change=ChangeName.LEAK, asn=7), topology).startswith("AS 7 tells ")


def test_what_a_server_calls_itself_cannot_break_the_story() -> None:
    judged = {"site": None, "verdict": "intercepted-foreign-identity", "identity": "[red]\x1b[31m" + "x" * 5000}
    servers = [{"text": judged["identity"], "answers": 1}]
    row: dict[str, Any] = {"vantage": "lab:1", "place": "Paris", "target": "192.0.2.53"}
    row |= {side: {**judged, "rtt_ms": None, "ping_ms_min": None, "as_path": []} for side in ("before", "after")}
    numbers = {"target": "192.0.2.53", "sites": [], "vantage_points": {"verdicts": {"intercepted-foreign-identity": 1}}}
    story = {
        "story": {"title": "A title", "text": []},
        "targets": [{"service": "x", "target": "192.0.2.53", "af": 4, "servers": servers}],
        "before": {"targets": [numbers]},
        "after": {"targets": [numbers]},
        "vantage_points": [row],
        "happened": "It was\x07 heard.",
    } | dict.fromkeys(("convergence", "comparison", "walk"))
    console = Console(width=200, record=True, file=StringIO())
    console.print(show_story(story))
    text = console.export_text()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text
    assert len(text) < 3000
    assert "no route" in text


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder for labs and runs that nobody else has; no lab is left in it."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setenv("CATCHMENT_RESULTS", f"{folder}/results")
        yield Path(folder)
        assert list(Path(folder).glob("catchment/*")) == []


@pytest.fixture
def lab() -> Invoke:
    """Return a function that runs `catchment lab` in this process: what it needs is imported once."""
    return lambda *words: CliRunner().invoke(app, ["lab", *map(str, words)])


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    "words",
    [("status",), ("down",), ("change", "withdraw", "--site", "fra"), ("exec", "vp1", "true"), ("down", "x")],
    ids=" ".join,
)
def test_without_a_lab_one_line_says_how_to_raise_one(catchment: Command, own: Path, words: tuple[str, ...]) -> None:
    done = catchment("lab", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert lines(done.stderr) == ["catchment: no lab is up: `catchment lab up TOPOLOGY` raises one"]


def test_a_change_says_which_option_it_lacks(catchment: Command, own: Path) -> None:
    for words, option in ((("withdraw",), "--site"), (("hijack", "--site", "fra"), "--asn")):
        done = catchment("lab", "change", *words)
        assert done.returncode == 2
        assert option in done.stderr


def test_a_campaign_of_another_platform_is_no_story(catchment: Command, own: Path) -> None:
    done = catchment("lab", "run", ROOT / "campaigns" / "k-root.toml")
    assert done.returncode == 1
    assert "platform 'atlas'" in lines(done.stderr)[0]
    assert "`catchment run" in lines(done.stderr)[0]


def test_a_topology_that_no_lab_can_play_is_refused_before_anything_is_raised(
    catchment: Command, own: Path, tmp_path: Path
) -> None:
    file = tmp_path / "two-places.toml"
    text = (FOLDER / "topologies" / "leak.toml").read_text(encoding="utf-8")
    file.write_text(text.replace('places = ["ZRH"]', 'places = ["ZRH", "CDG"]'), encoding="utf-8")
    done = catchment("lab", "up", file)
    assert done.returncode == 1
    assert "AS 64507 has 2 places" in lines(done.stderr)[0]
    assert len(lines(done.stderr)) == 1


def test_a_lab_stays_up_adds_changes_up_and_goes_when_told(lab: Invoke, catchment: Command, own: Path) -> None:
    needs_namespaces()
    up = lab("up", FOLDER / "leak.toml", "--name", "ours", "--json")
    assert up.exit_code == 0, up.stderr
    try:
        start = {row["vantage"]: row["site"] for row in json.loads(up.stdout)["vantage_points"]}
        assert " ".join(start[f"lab:{number}"] for number in range(1, 10)) == "fra fra fra fra fra jfk jfk fra fra"

        leaked = json.loads(lab("change", "leak", "--asn", "64504", "--json").stdout)
        assert (leaked["moved"], leaked["rerouted"], leaked["convergence"]) == (0, 3, None)
        streamed = lab("change", "withdraw", "--site", "fra", "--stream", "1", "--json")
        assert streamed.exit_code == 0, streamed.stderr
        withdrawn = json.loads(streamed.stdout)
        # All that were in Frankfurt have New York's route of a peer or provider.
        assert withdrawn["moved"] == 7
        assert withdrawn["convergence"]["targets"][0]["totals"]["changed"] == 7
        assert {row["after"]["site"] for row in withdrawn["vantage_points"]} == {"jfk"}

        status = lab("status")
        assert "changed: AS 64504 (Singapore Net) tells its providers" in status.stdout
        assert "changed: Frankfurt am Main (fra) withdraws its route" in status.stdout

        wrong = lab("change", "fail", "--site", "lhr")
        assert isinstance(wrong.exception, UnknownName)
        assert "leak has no site 'lhr'" in str(wrong.exception)
        assert "no node 'vp77'" in catchment("lab", "exec", "vp77", "true").stderr
        inside = catchment("lab", "exec", "vp1", "ping", "-c1", "-W2", "192.0.2.53")
        assert "1 received" in inside.stdout
        # Of the leak is left that London reaches New York by Singapore and Frankfurt, and New York London directly:
        # 10,850 + 10,260 + 6,200 km there and 5,570 km back, 1.3 times that in cables, and 3 ms of last mile.
        took = re.search(r"time=([\d.]+)", inside.stdout)
        assert took is not None
        assert float(took[1]) == pytest.approx(3 + (27_310 + 5_570) * 1.3 / (2 * 98.616), abs=10)

        reset = json.loads(lab("change", "reset", "--json").stdout)
        assert (reset["moved"], reset["changes"]) == (7, [])
        assert {row["vantage"]: row["after"]["site"] for row in reset["vantage_points"]} == start
        again = lab("up", FOLDER / "leak.toml", "--name", "ours")
        assert isinstance(again.exception, PlatformFailed)
        assert "runs already" in str(again.exception)
    finally:
        down = lab("down")
    assert (down.exit_code, down.stdout) == (0, "ours is down.\n")


def test_a_campaign_uses_the_lab_that_is_up_and_leaves_it_as_it_was(lab: Invoke, own: Path) -> None:
    needs_namespaces()
    assert lab("up", FOLDER / "topologies" / "frankfurt-berlin.toml").exit_code == 0
    try:
        assert lab("change", "fail", "--site", "ber").exit_code == 0
        done = lab("run", FOLDER / "fire-route-kept.toml", "--out", own / "run")
        assert done.exit_code == 0, done.stderr
        # Berlin's servers were dead already: who is led there had no answer from the start.
        assert done.stdout.startswith("Fire in Frankfurt, and the route is kept")
        assert "What happened" in done.stdout
        told = (own / "run" / "truth.ndjson").read_text(encoding="utf-8").splitlines()
        rows: list[dict[str, Any]] = [json.loads(line) for line in told]
        assert " ".join(row["site"] for row in rows if row["when"] == "before") == "fra fra fra fra ber ber ber"
        assert [row["failed"] for row in rows if row["when"] == "before"] == [False] * 4 + [True] * 3
        status = json.loads(lab("status", "--json").stdout)
        assert " ".join(row["site"] for row in status["vantage_points"][:7]) == "fra fra fra fra ber ber ber"
        assert status["changes"] == ["the servers in Berlin (ber) die, and their route stays"]
        assert [row["failed"] for row in status["vantage_points"]][:7] == [False] * 4 + [True] * 3
    finally:
        assert lab("down", "frankfurt-berlin").exit_code == 0


def test_a_campaign_without_changes_has_one_round_and_no_sides(lab: Invoke, own: Path) -> None:
    needs_namespaces()
    file = own / "plain.toml"
    file.write_text(
        f"""# Two of them.
name = "plain"
platform = "lab"
targets = [{{ service = "{FOLDER}/services/leak.toml" }}]
vantage_points = {{ ids = [6, 2] }}
lab = {{ topology = "{FOLDER}/topologies/leak.toml" }}
"""
    )
    told = json.loads(lab("run", file, "--json").stdout)
    assert [(row["vantage"], row["before"]["site"], row["after"]) for row in told["vantage_points"]] == [
        ("lab:2", "fra", None),
        ("lab:6", "jfk", None),
    ]
    assert (told["comparison"], told["convergence"], told["walk"]) == (None, None, None)
    assert told["happened"] == "Nothing was changed."
    assert [one["results"] for one in workflow.show(Run.open(Path(told["run"])))["measurements"]] == [
        6,
        2,
    ]  # DNS three times


def test_of_several_labs_one_must_be_named(catchment: Command, own: Path) -> None:
    needs_namespaces()
    for name in ("one", "two"):
        workflow.raise_lab(FOLDER / "topologies" / "leak.toml", name)
    try:
        listed = json.loads(catchment("lab", "status", "--json").stdout)
        assert [(one["lab"], one["topology"]) for one in listed["labs"]] == [("one", "leak"), ("two", "leak")]
        with pytest.raises(UnknownName, match="2 labs are up: name one of one, two"):
            workflow.end_lab()
        with pytest.raises(UnknownName, match="did you mean 'two'"):
            workflow.look_at_lab("tow")
    finally:
        for name in ("one", "two"):
            workflow.end_lab(name)


def test_a_lab_in_which_somebody_is_at_work_is_left_alone(own: Path) -> None:
    needs_namespaces()
    workflow.raise_lab(FOLDER / "topologies" / "leak.toml", for_s=60)
    try:
        with (
            find_lab_alone("leak"),
            pytest.raises(PlatformFailed, match="another process is at work in the lab 'leak': wait until it is done"),
        ):
            workflow.change_lab("leak", Change(change=ChangeName.FAIL, site="fra"))
        assert workflow.look_at_lab()["changes"] == []
        assert 0 < workflow.look_at_lab()["left_s"] <= 60
    finally:
        workflow.end_lab()


def test_who_interrupts_a_story_leaves_nothing_behind(own: Path) -> None:
    needs_namespaces()
    words = [sys.executable, "-c", "from catchment.cli import main; main()", "lab", "run", str(FOLDER / "leak.toml")]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=own,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as running:  # fmt: skip
        end = time.monotonic() + 30
        while not list(own.glob("results/leak/*/raw/*.ndjson")) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)  # amid the first round, or the stream
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert lines(err) == ["catchment: interrupted before anything was asked for: nothing is left behind"]
    assert not (own / "results").exists()
