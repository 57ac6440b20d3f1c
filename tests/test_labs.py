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
from catchment.errors import Interrupted, PlatformFailed, UnknownName
from catchment.platforms.lab.client import Lab, attach
from catchment.platforms.lab.wiring import check_lab
from catchment.platforms.topology import load_topology
from catchment.store import Run
from catchment.terminal import show_lab, show_story
from catchment.workflow.labs import keeping
from catchment.workflow.labs.happenings import in_words
from catchment.workflow.labs.routing import as_routed
from catchment.workflow.labs.stories import read_story
from catchment.workflow.labs.summing_up import busy, likeness
from catchment.workflow.planning import load_plan
from tests.conftest import ROOT
from tests.namespaces import needs_namespaces
from tests.small_labs import processes_of

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


def _side(**of: Any) -> dict[str, Any]:
    usual = {"site": "fra", "verdict": "ok", "identity": "fra1", "rtt_ms": 9.0, "ping_ms_min": 8.9, "as_path": [1, 9]}
    return usual | of


def _row(
    vantage: str, before: dict[str, Any], after: dict[str, Any] | None, target: str = "192.0.2.53"
) -> dict[str, Any]:
    return {
        "vantage": vantage, "place": "Paris", "service": "x", "target": target, "af": 4, "before": before,
        "after": after,
    }  # fmt: skip


def _shown(rows: list[dict[str, Any]], servers: list[dict[str, Any]], width: int = 200, **more: Any) -> str:
    story = {
        "run": "results/x/run",
        "story": {"title": "A title", "text": []},
        "targets": [{"service": "x", "target": "192.0.2.53", "af": 4, "servers": servers, "likeness": None}],
        "vantage_points": rows,
        "networks": {"1": "One", "2": "Two", "9": "x (the service)"},
        "as_routed": {"of": 2, "agree": 2, "differing": []},
        "happened": "It was\x07 heard.",
    }
    console = Console(width=width, record=True, file=StringIO())
    console.print(show_story(story | dict.fromkeys(("convergence", "comparison", "walk")) | more))
    return console.export_text()


def test_what_a_server_calls_itself_cannot_break_the_story() -> None:
    identity = "[red]\x1b[31m" + "x" * 5000
    side = _side(site=None, verdict="intercepted-foreign-identity", identity=identity, rtt_ms=None, as_path=[])
    text = _shown([_row("lab:1", side, side)], [{"text": identity, "answers": 1}])
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text
    assert len(text) < 3000


def test_a_row_tells_the_verdict_with_the_ping_and_the_path_where_it_changed() -> None:
    dead = _side(site=None, verdict="dns-dead", identity=None, rtt_ms=None, ping_ms_min=2.1)
    longer = _side(site="ber", rtt_ms=12.04, as_path=[1, 2, 9], bgp_path=[1, 2, 9, 9, 9])
    went = {"fate": "changed", "converged_after_s": -0.0, "rtt_changed_after_s": None, "settled_at_once": True}
    went |= {"on_the_way": [], "lost": 0, "loss_window_s": None, "loss_window_open": False, "vantage": "lab:2"}
    stream = {"targets": [{"target": "192.0.2.53", "vantage_points": [went], "resolution_s": 0.02}]}
    rows = [_row("lab:1", _side(), dead), _row("lab:2", _side(), longer)]
    wide = _shown(rows, [], convergence=stream).splitlines()
    row = next(line for line in wide if line.startswith("lab:1"))
    assert row.split() == ["lab:1", "Paris", "fra", "9.0", "dns-dead,", "ping", "2.1"]
    row = next(line for line in wide if line.startswith("lab:2"))
    assert row.split() == [
        "lab:2",
        "Paris",
        "fra",
        "9.0",
        "ber",
        "12.0",
        "first",
        "query",
        "1",
        "9",
        "→",
        "…",
        "2",
        "9\N{MULTIPLICATION SIGN}3",
    ]
    assert "Catchment of 2 vantage points: fra 2 → dns-dead 1, ber 1." in wide
    assert "AS 1 One, 2 Two, 9 x (the service)." in wide
    assert not any("Lost" in line for line in wide)
    assert (
        "AS paths: lab:2 1 9 → … 2 9\N{MULTIPLICATION SIGN}3." in _shown(rows, [], 70, convergence=stream).splitlines()
    )


def test_who_is_answered_from_elsewhere_than_routes_lead_is_counted() -> None:
    def route(when: str, vantage: str, **of: Any) -> dict[str, Any]:
        usual = {"site": "fra", "servers": ["fra1"], "hijacked": False, "failed": False, "rtt_ms": 9.0}
        return {"when": when, "vantage": vantage, "address": "192.0.2.53"} | usual | of

    nobody = _side(site=None, verdict="dns-dead", identity=None)
    rows = [_row("lab:1", _side(), nobody), _row("lab:2", _side(), nobody), _row("lab:3", _side(), _side())]
    truth = [route("before", f"lab:{number}") for number in (1, 2, 3)]
    truth += [route("after", "lab:1", failed=True), route("after", "lab:2", site="ber", servers=["ber1"])]
    truth += [route("after", "lab:3", site="as7", servers=["stranger"], hijacked=True)]
    found = as_routed(rows, truth, ("before", "after"))
    assert (found["agree"], found["of"]) == (4, 6)
    assert found["differing"] == [
        {"when": "after", "vantage": "lab:2", "target": "192.0.2.53", "measured": "dns-dead", "routed": "ber"},
        {"when": "after", "vantage": "lab:3", "target": "192.0.2.53", "measured": "fra", "routed": "as7"},
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_terminal_a_story_breaks_between_words_and_nowhere_else(width: int) -> None:
    gone = _side(site=None, verdict="unreachable", identity=None, rtt_ms=None, ping_ms_min=None)
    rows = [_row(f"lab:{number}", _side(rtt_ms=114.4), gone) | {"place": "Frankfurt am Main"} for number in (1, 10)]
    went: dict[str, Any] = {
        "fate": "silent",
        "converged_after_s": None,
        "rtt_changed_after_s": None,
        "settled_at_once": False,
    }
    went |= {"lost": 100, "loss_window_s": 6.715, "loss_window_open": True}
    went |= {"on_the_way": [{"site": "ber"}, {"site": "nrt"}, {"site": "sin"}]}
    streams = [went | {"vantage": row["vantage"]} for row in rows]
    stream = {"targets": [{"target": "192.0.2.53", "vantage_points": streams, "resolution_s": 0.02}]}
    text = _shown(rows, [], width, convergence=stream)
    words = text.split()
    for word in ("Point", "Before", "Settled", "Lost", "lab:10", "114.4", "Frankfurt", "unreachable,", "6.715", "100"):
        assert word in words
    assert "≥ 6.715" in text
    assert {"ber,", "nrt,", "sin"} <= set(words)


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_terminal_a_walk_breaks_between_words_and_nowhere_else(width: int) -> None:
    services = ("walk-root", "walk-tld", "walk-authoritative")
    targets: list[dict[str, Any]] = [
        {"service": name, "target": f"192.0.2.{number}", "af": 4, "servers": [], "likeness": None}
        for number, name in enumerate(services)
    ]
    rows = [
        _row("lab:7", _side(rtt_ms=154.3), _side(site="jfk", rtt_ms=221.3), target["target"])
        | {"service": target["service"], "place": "Frankfurt am Main"}
        for target in targets
    ]
    sums = {"before": {"total_ms": 462.9}, "after": {"total_ms": 663.9}}
    walk = [{"vantage": "lab:7", "place": "Frankfurt am Main", "af": 4, **sums}]
    text = _shown(rows, [], width, walk=walk, targets=targets)
    words = text.split()
    assert {"Point", "authoritative,", "lab:7", "Frankfurt", "fra", "154.3", "221.3", "462.9", "663.9"} <= set(words)


def test_round_trips_that_are_longer_than_the_cables_are_told_with_the_worst() -> None:
    assert busy([("lab:1 before", 87.9, 86.0), ("lab:2 before", None, 20.0), ("lab:3 before", 20.0, None)]) == []
    (told,) = busy([("lab:1 before", 88.1, 86.0), ("lab:1 after", 185.7, 90.0), ("lab:8 after", 2.2, 2.0)])
    assert told == (
        "2 of 3 median round trips took 2 ms or more longer than the cables do, lab:1 after 185.7 instead of 90.0 ms "
        "(+95.7 ms): this host is busy: run it again when less runs beside it"
    )


def test_another_family_is_like_the_first_or_says_who_differs() -> None:
    target, other = {"service": "x", "target": "2001:db8::53"}, "2001:db8::53"
    rows = [_row(f"lab:{number}", _side(), _side()) for number in (1, 2, 3)]
    assert likeness(rows, rows[0]) is None
    rows += [_row("lab:1", _side(), _side(rtt_ms=9.5), other), _row("lab:2", _side(), _side(site="ber"), other)]
    assert likeness(rows, target) == {
        "to": "192.0.2.53", "differing": ["lab:2"], "lacking": ["lab:3"], "rtt_differs_ms": 0.5,
    }  # fmt: skip


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
    [
        ("status",), ("down",), ("change", "withdraw", "--site", "fra"), ("exec", "vp1", "true"), ("down", "x"),
        ("bird", "as1", "show", "status"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_without_a_lab_one_line_says_how_to_raise_one(lab: Invoke, own: Path, words: tuple[str, ...]) -> None:
    done = lab(*words)
    assert isinstance(done.exception, PlatformFailed)
    assert str(done.exception) == "no lab is up: `catchment lab up TOPOLOGY` raises one"


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("withdraw",), "--site"),
        (("hijack",), "--asn"),
        (("hijack", "--asn", "1", "--site", "fra"), "no use for --site"),
        (("withdraw", "--site", "fra", "--prepend", "2"), "no use for --prepend"),
        (("leak", "--asn", "1", "--more-specific"), "no use for --more-specific"),
        (("reset", "--service", "x"), "no use for --service"),
    ],
)
def test_a_change_says_which_option_it_lacks_or_has_no_use_for(
    lab: Invoke, own: Path, words: tuple[str, ...], option: str
) -> None:
    done = lab("change", *words)
    assert done.exit_code == 2
    assert option in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("word", ["status", "down"])
def test_a_lab_is_named_by_an_argument_or_by_an_option_and_not_by_both(lab: Invoke, own: Path, word: str) -> None:
    done = lab(word, "one", "--name", "two")
    assert done.exit_code == 2
    assert "'one' and --name two both name a lab" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("words", [("exec", "vp1"), ("bird", "as1")], ids=" ".join)
def test_the_name_of_a_lab_comes_before_the_node(lab: Invoke, own: Path, words: tuple[str, ...]) -> None:
    for option in (("--name", "leak", "--"), ("--name=leak",)):
        done = lab(*words, *option, "true")
        assert done.exit_code == 2
        assert "`--name LAB` comes before the node" in done.stderr


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


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder with a lab of the leak's topology, for several tests."""
    needs_namespaces()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        workflow.raise_lab(FOLDER / "leak.toml", "ours")
        patch.undo()
        yield Path(folder)
        patch.setenv("XDG_RUNTIME_DIR", folder)
        workflow.end_lab("ours")
        assert list(Path(folder).glob("catchment/*")) == []


@pytest.fixture
def ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a lab that is up, and take back what was changed in it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("CATCHMENT_RESULTS", f"{folder}/results")
    yield folder
    workflow.change_lab("ours", None)


def sites() -> str:
    return " ".join(row["site"] or "–" for row in workflow.look_at_lab("ours")["vantage_points"])


START = "fra fra fra fra fra jfk jfk fra fra"


def test_changes_add_up_and_are_taken_back(lab: Invoke, ours: Path) -> None:
    assert sites() == START
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
    assert re.search(r"^lab:1 +London +192\.0\.2\.53 +jfk ", status.stdout, re.MULTILINE)
    assert "as64504 (Singapore Net)" in status.stdout

    wrong = lab("change", "fail", "--site", "lhr")
    assert isinstance(wrong.exception, UnknownName)
    assert "leak has no site 'lhr'" in str(wrong.exception)
    reset = json.loads(lab("change", "reset", "--json").stdout)
    assert (reset["moved"], reset["changes"]) == (7, [])
    assert sites() == START


def test_a_change_says_what_ends_at_the_dead_and_nowhere_and_what_is_so_already(lab: Invoke, ours: Path) -> None:
    failed, headings, *rows = lab("change", "fail", "--site", "fra").stdout.splitlines()
    assert (
        failed == "The servers in Frankfurt am Main (fra) die, and their route stays: of 9 ways now 7 to dead servers."
    )
    assert headings.split() == ["Point", "Address", "Before", "ms", "After", "ms"]  # no AS path is another one
    assert [row[:4] for row in rows] == ["lab:"] * 7
    again = lab("change", "fail", "--site", "fra").stdout
    assert again.startswith("The servers in Frankfurt am Main (fra) die, and their route stays: that is so already")
    assert len(workflow.look_at_lab("ours")["changes"]) == 1
    back = lab("change", "recover", "--site", "fra").stdout.splitlines()[0]
    assert back == "The servers in Frankfurt am Main (fra) are back: of 9 ways now 7 to a site again."
    workflow.change_lab("ours", Change(change=ChangeName.WITHDRAW, site="jfk"))
    gone = workflow.change_lab("ours", Change(change=ChangeName.WITHDRAW, site="fra"))
    assert (gone["moved"], gone["nowhere"]) == (0, 9)


def test_commands_run_at_the_nodes_of_a_lab(lab: Invoke, catchment: Command, ours: Path) -> None:
    assert "no node 'vp77'" in catchment("lab", "exec", "vp77", "true").stderr
    inside = catchment("lab", "exec", "vp1", "--", "ping", "-c5", "-i0.2", "-W2", "192.0.2.53")
    assert "5 received" in inside.stdout
    # London to Frankfurt and back: 640 km each way, 1.3 times that in cables, and 3 ms of last mile.
    took_ms = min(map(float, re.findall(r"time=([\d.]+)", inside.stdout)))  # others may have waited for a processor
    least_ms = 3 + 2 * 640 * 1.3 / (2 * 98.616)
    assert least_ms - 0.2 < took_ms < least_ms + 10
    # Each node is a host of its own, so two that look are two vantage points.
    names = {catchment("lab", "exec", node, "hostname").stdout.strip() for node in ("vp1", "vp2")}
    assert names == {"vp1", "vp2"}
    assert catchment("lab", "exec", "vp1", "--", "sh", "-c", "exit 7").returncode == 7
    routes = lab("bird", "as64502", "show", "route", "for", "192.0.2.53", "all")
    assert "BGP.as_path: 64501 64496" in routes.stdout
    assert isinstance(lab("up", FOLDER / "leak.toml", "--name", "ours").exception, PlatformFailed)


def test_what_cannot_run_at_a_node_is_named_with_the_exit_code_of_shells(catchment: Command, ours: Path) -> None:
    text = ours / "text"
    text.write_text("")
    try:
        for program, code, advice in (("no-such-program", 127, "install it"), (text, 126, "chmod")):
            done = catchment("lab", "exec", "vp1", program)
            assert (done.returncode, done.stdout, len(lines(done.stderr))) == (code, "", 1)
            assert done.stderr.startswith("catchment: ")
            assert f"'{program}'" in done.stderr
            assert advice in done.stderr
    finally:
        text.unlink()


def test_what_died_is_told_and_the_next_change_mends_it(lab: Invoke, ours: Path) -> None:
    of_lab = processes_of(attach("ours").pid)
    for each in [one for one in of_lab if "/as64496-jfk/nsd/" in Path(f"/proc/{one}/cmdline").read_text()]:
        os.kill(each, signal.SIGKILL)
    lab("bird", "as64507", "down")  # the network of vantage point 5
    mend = "`catchment lab change reset --name ours`"
    with pytest.raises(PlatformFailed, match=f"BIRD of as64507 ended by itself: {mend} starts it anew"):
        workflow.ask_bird("ours", "as64507", "show status")
    told = json.loads(lab("status", "--json").stdout)
    assert told["died"] == ["BIRD of as64507", "NSD of as64496-jfk"]
    sites = {site["site"]: (site["alive"], site["servers_dead"]) for site in told["services"][0]["sites"]}
    assert sites == {"fra": (True, 0), "jfk": (False, 1)}
    assert [row["unread"] for row in told["vantage_points"]] == [*[None] * 4, "as64507", *[None] * 4]
    shown = lab("status").stdout
    assert "ended by itself: BIRD of as64507, NSD of as64496-jfk: `catchment lab change reset` starts it anew" in shown
    assert re.search(r"^lab:5 +Zurich +192\.0\.2\.53 +unknown: as64507 does not answer +– *$", shown, re.MULTILINE)
    assert re.search(r"^lab:6 +New York +192\.0\.2\.53 +jfk, dead ", shown, re.MULTILINE)
    assert re.search(r"^leak +jfk +JFK +1 +announced +dead *$", shown, re.MULTILINE)

    failed = lab("change", "fail", "--site", "fra")
    assert failed.exit_code == 0, failed.exception
    mended, what, *_ = failed.stdout.splitlines()
    assert mended == "Had ended by itself, and was started anew first: BIRD of as64507, NSD of as64496-jfk."
    assert what.endswith("of 9 ways now 7 to dead servers.")
    after = workflow.look_at_lab("ours")
    assert (after["died"], [site["alive"] for site in after["services"][0]["sites"]]) == ([], [False, True])
    assert workflow.change_lab("ours", None)["mended"] == []


def test_a_change_amid_which_a_router_dies_says_that_it_is_taken_back_and_the_router_runs(ours: Path) -> None:
    told = (
        r"^lab 'ours': BIRD of as64502 ended by itself, and was started anew; the change is taken back: try it again$"
    )
    with keeping.find_lab_alone("ours") as (standing, lab, _), pytest.raises(PlatformFailed, match=told):  # noqa: SIM117
        with keeping.changing(standing, lab, (Change(change=ChangeName.WITHDRAW, site="fra"),)):
            lab.bird("as64502", "down")
            lab.settle()
    now = workflow.look_at_lab("ours")
    assert (now["died"], now["restarted"], now["changes"], now["unfinished"]) == ([], [], [], None)
    assert " ".join(row["site"] or "–" for row in now["vantage_points"]) == START  # its routes are there again


def test_a_look_at_a_lab_says_what_runs_again_and_has_no_blank_at_the_end_of_its_first_line() -> None:
    numbers = json.loads((ROOT / "tests" / "data" / "screens.json").read_text(encoding="utf-8"))["show_lab unfinished"]
    console = Console(width=300, record=True, file=StringIO())
    console.print(show_lab(numbers | {"died": [], "restarted": ["BIRD of as64502"], "left_s": None, "idle_s": None}))
    shown = console.export_text().splitlines()
    assert shown[0].endswith(" wires.")
    assert "ended by itself, runs again: BIRD of as64502" in shown


def test_a_change_that_is_interrupted_says_whether_it_is_taken_back(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keeping.find_lab_alone("ours") as (standing, lab, _):
        wanted = (Change(change=ChangeName.FAIL, site="fra"),)
        with pytest.raises(Interrupted, match=r"^interrupted: the change is taken back$"):  # noqa: SIM117
            with keeping.changing(standing, lab, wanted):
                raise KeyboardInterrupt
        assert keeping.find_lab("ours").wanted is None
        monkeypatch.setattr(Lab, "apply", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))  # pressed once more
        half_made = r"^interrupted: the change stays half made: `catchment lab change reset` takes it back$"
        with pytest.raises(Interrupted, match=half_made):  # noqa: SIM117
            with keeping.changing(standing, lab, wanted):
                raise KeyboardInterrupt
        monkeypatch.undo()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(ours))
    assert workflow.look_at_lab("ours")["unfinished"] is not None


def test_ctrl_c_amid_a_change_says_that_it_is_taken_back(ours: Path) -> None:
    words = ["lab", "change", "withdraw", "--site", "fra", "--stream", "99"]
    with subprocess.Popen(
        [sys.executable, "-c", "from catchment.cli import main; main()", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as running:  # fmt: skip
        end = time.monotonic() + 100
        while sites() == START and time.monotonic() < end:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "")
    assert lines(err) == ["catchment: interrupted: the change is taken back"]
    attach("ours").settle()
    assert sites() == START
    assert workflow.look_at_lab("ours")["unfinished"] is None


def test_a_look_from_a_node_tells_dead_servers_from_a_lost_route_and_who_says_so(
    catchment: Command, ours: Path
) -> None:
    def look_from(node: str, *words: str) -> dict[str, Any]:
        program = [sys.executable, "-c", "from catchment.cli import main; main()", "here"]
        options = ["--rate", "50", "--queries", "1", "--no-names", "--json"]
        done = catchment("lab", "exec", node, "--", *program, FOLDER / "services" / "leak.toml", *options, *words)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return {"vantage": found["vantage"], **found["targets"][0]}

    workflow.change_lab("ours", Change(change=ChangeName.FAIL, site="fra"))
    dead = look_from("vp1")
    assert (dead["vantage"], dead["verdict"]) == ("local:vp1", "dns-dead")
    assert "192.0.2.53 itself refuses DNS: no server listens there." in dead["explanation"][1]
    for site in ("fra", "jfk"):
        workflow.change_lab("ours", Change(change=ChangeName.WITHDRAW, site=site))
    gone = look_from("vp2", "--name", "attic")
    assert (gone["vantage"], gone["verdict"]) == ("local:attic", "unreachable")
    # Dublin's router heard of no other site. Linux refuses a packet a second or so, and drops the others.
    (refused,) = gone["refusals"]
    assert (refused["reason"], refused["hop"]) == ("no-route", 1)
    assert f"{refused['by']}, the first router, has no route to it." in gone["explanation"][1]
    assert [hop["error"] for hop in gone["path"]["hops"] if hop["address"] == refused["by"]] == ["!N"]


def test_a_change_that_cannot_be_noted_is_taken_back(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(standing: keeping.Standing) -> None:
        if standing.wanted is None and standing.changes:
            raise OSError(28, "No space left on device", "changes.json")
        write(standing)

    write = keeping.write_changes
    monkeypatch.setattr(keeping, "write_changes", refuse)
    with pytest.raises(OSError, match="No space left"):
        workflow.change_lab("ours", Change(change=ChangeName.WITHDRAW, site="fra"))
    monkeypatch.undo()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(ours))
    attach("ours").settle()
    assert sites() == START
    assert workflow.look_at_lab("ours")["changes"] == []
    assert workflow.look_at_lab("ours")["unfinished"] is None


def test_after_a_kill_amid_a_change_status_says_so_and_the_next_change_puts_it_back(ours: Path, lab: Invoke) -> None:
    words = ["lab", "change", "withdraw", "--site", "fra", "--stream", "9"]
    with subprocess.Popen(
        [sys.executable, "-c", "from catchment.cli import main; main()", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as running:  # fmt: skip
        end = time.monotonic() + 100
        while sites() == START and time.monotonic() < end:
            time.sleep(0.05)
        wanted = ["Frankfurt am Main (fra) withdraws its route"]
        assert workflow.look_at_lab("ours")["unfinished"] == {"at_work": True, "wanted": wanted}
        running.kill()
        running.communicate(timeout=60)
    assert workflow.look_at_lab("ours")["unfinished"] == {"at_work": False, "wanted": wanted}
    assert "somebody who was killed left it amid a change" in lab("status").stdout
    changed = workflow.change_lab("ours", Change(change=ChangeName.FAIL, site="jfk"))
    assert (changed["changes"], sites()) == (["the servers in New York (jfk) die, and their route stays"], START)


def test_a_lab_in_which_somebody_is_at_work_is_left_alone(ours: Path) -> None:
    with (
        keeping.find_lab_alone("ours"),
        pytest.raises(PlatformFailed, match="another process is at work in the lab 'ours': wait until it is done"),
    ):
        workflow.change_lab("ours", Change(change=ChangeName.FAIL, site="fra"))
    assert workflow.look_at_lab("ours")["changes"] == []


def test_a_campaign_uses_a_lab_that_is_up_only_while_that_is_unchanged_and_nobody_is_at_work(ours: Path) -> None:
    topology, told = load_topology(FOLDER / "topologies" / "leak.toml"), list[str]()
    leak = (Change(change=ChangeName.LEAK, asn=64504),)
    with keeping.lab_for(topology, leak, told.append) as lab:
        assert (lab.name, told) == ("ours", [])
        assert workflow.look_at_lab("ours")["unfinished"] is not None
        with keeping.lab_for(topology, leak, told.append) as other:
            assert other.name != "ours"
    assert "another process is at work in the lab 'ours': raising another one" in told.pop()
    assert workflow.look_at_lab("ours")["unfinished"] is None
    workflow.change_lab("ours", Change(change=ChangeName.FAIL, site="jfk"))
    with keeping.lab_for(topology, leak, told.append) as other:
        assert other.name != "ours"
        os.kill(other.pid, signal.SIGKILL)
        with pytest.raises(PlatformFailed, match="does not run"):
            other.status()
    assert told[0].startswith("the lab 'ours' was changed")


def test_a_lab_that_is_killed_under_a_campaign_means_to_run_that_again(own: Path) -> None:
    needs_namespaces()
    topology = load_topology(FOLDER / "topologies" / "leak.toml")
    with (
        pytest.raises(PlatformFailed, match=r"does not run.*: run it again$"),
        keeping.lab_for(topology, (), print) as lab,
    ):
        os.kill(lab.pid, signal.SIGKILL)
        lab.bird("as64501", "show status")


def plain(folder: Path) -> Path:
    """Return the file of a campaign that changes nothing."""
    file = folder / "plain.toml"
    file.write_text(
        f"""# Two of them.
#
# And no change.
name = "plain"
platform = "lab"
targets = [{{ service = "{FOLDER}/services/leak.toml" }}]
vantage_points = {{ ids = [6, 2] }}
lab = {{ topology = "{FOLDER}/topologies/leak.toml" }}
"""
    )
    return file


def test_a_router_that_dies_makes_no_story(lab: Invoke, ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure_amid_a_death(self: Lab, *args: Any, **options: Any) -> Any:
        monkeypatch.setattr(Lab, "measure", measure)
        self.bird("as64501", "down")
        return self.measure(*args, **options)

    measure = Lab.measure
    monkeypatch.setattr(Lab, "measure", measure_amid_a_death)
    done = lab("run", plain(ours))
    assert isinstance(done.exception, PlatformFailed)
    assert re.search("as64501.* ended by itself, and was started anew;.*: run it again$", str(done.exception))
    assert not (ours / "results").exists()
    assert sites() == START  # its routes are there again


def test_a_campaign_leaves_a_lab_alone_in_which_a_router_died(lab: Invoke, ours: Path) -> None:
    topology, told = load_topology(FOLDER / "topologies" / "leak.toml"), list[str]()
    lab("bird", "as64501", "down")
    with pytest.raises(PlatformFailed, match="ended by itself"):
        attach("ours").settle()
    with keeping.lab_for(topology, (), told.append) as other:
        assert other.name != "ours"
    (why,) = told
    assert why.startswith(
        "in the lab 'ours' BIRD of as64501 ended by itself (`catchment lab change reset` starts it anew): raising "
        "another one"
    )
    assert workflow.look_at_lab("ours")["died"] == ["BIRD of as64501"]
    workflow.change_lab("ours", None)
    with keeping.lab_for(topology, (), told.append) as mended:
        assert mended.name == "ours"


def test_a_campaign_without_changes_has_one_round_and_no_sides_and_is_told_again(lab: Invoke, ours: Path) -> None:
    file = plain(ours)
    told = json.loads(lab("run", file, "--json").stdout)
    assert [(row["vantage"], row["before"]["site"], row["after"]) for row in told["vantage_points"]] == [
        ("lab:2", "fra", None),
        ("lab:6", "jfk", None),
    ]
    assert (told["comparison"], told["convergence"], told["walk"]) == (None, None, None)
    assert told["happened"] == "Nothing was changed."
    assert told["story"] == {"title": "Two of them.", "text": ["And no change."]}
    assert (told["as_routed"]["agree"], told["as_routed"]["of"]) == (2, 2)
    again = lab("story", "plain", "--json")
    assert json.loads(again.stdout) == told
    assert [one["results"] for one in workflow.show(Run.open(Path(told["run"])))["measurements"]] == [
        6,
        2,
    ]  # DNS three times


def test_what_is_gone_of_a_finished_run_of_a_lab_is_told_and_never_measured_anew(
    lab: Invoke, catchment: Command, ours: Path
) -> None:
    path = Path(json.loads(lab("run", plain(ours), "--json").stdout)["run"])
    (path / "metrics.json").unlink()
    file = min((path / "raw").iterdir())
    file.unlink()
    kept = {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}
    for command in ("derive", "resume"):
        done = catchment(command, str(path))
        assert done.returncode == 1
        assert f"{file}: gone since it was measured: put it back, or measure anew" in " ".join(done.stderr.split())
    assert {one: one.read_bytes() for one in path.rglob("*") if one.is_file()} == kept


def test_of_several_labs_one_must_be_named(lab: Invoke, catchment: Command, own: Path) -> None:
    needs_namespaces()
    raised = [workflow.raise_lab(FOLDER / "topologies" / "leak.toml", name) for name in ("one", "two")]
    try:
        console = Console(width=300, record=True, file=StringIO())
        console.print(show_lab(raised[1]))
        *_, tries = lines(console.export_text())
        assert tries.split("; ")[0] == "Try: catchment lab change withdraw --site fra --stream 3 --name two"
        assert tries.split("; ")[1].startswith("catchment lab exec --name two vp1 ")
        assert tries.split("; ")[2] == "catchment lab down two"
        misplaced = catchment("lab", "exec", "vp1", "true", "--name", "two")
        assert misplaced.returncode == 2
        assert "`--name LAB` comes before the node" in misplaced.stderr
        assert keeping.reset_command("two") == "catchment lab change reset --name two"
        listed = json.loads(catchment("lab", "status", "--json").stdout)
        assert [(one["lab"], one["topology"]) for one in listed["labs"]] == [("one", "leak"), ("two", "leak")]
        with pytest.raises(UnknownName, match="2 labs are up: name one of one, two"):
            workflow.end_lab()
        with pytest.raises(UnknownName, match="did you mean 'two'"):
            workflow.look_at_lab("tow")
        for words in (("two",), ("--name", "two")):
            assert json.loads(lab("status", *words, "--json").stdout)["lab"] == "two"
        workflow.raise_lab(FOLDER / "topologies" / "leak.toml", "three")
        assert lab("down", "--name", "three").stdout == "three is down.\n"
        assert [one["lab"] for one in workflow.list_labs()["labs"]] == ["one", "two"]
    finally:
        for name in ("one", "two"):
            workflow.end_lab(name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_who_interrupts_a_story_leaves_nothing_behind(own: Path, number: signal.Signals) -> None:
    needs_namespaces()
    # Whoever runs the tests may have said nohup, and children inherit that.
    heeding = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); from catchment.cli import main; main()"
    words = [sys.executable, "-c", heeding, "lab", "run", str(FOLDER / "leak.toml")]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=own,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as running:  # fmt: skip
        end = time.monotonic() + 100
        while not list(own.glob("results/leak/*/raw/*.ndjson")) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)  # amid the first round, or the stream
        assert list(own.glob("results/leak/*/raw/*.ndjson"))
        running.send_signal(number)
        out, err = running.communicate(timeout=100)
    assert (running.returncode, out) == (130, "")
    assert lines(err) == ["catchment: interrupted, what was measured is thrown away: nothing is left behind"]
    assert not (own / "results").exists()
