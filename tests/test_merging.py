"""Several runs merged into one: the sums of their parts, each result once, and what they knew besides kept."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catchment import store, workflow
from catchment.campaign import Campaign, CampaignTarget, PlatformName, Query, Schedule, service_to_toml
from catchment.campaign.own_vantages import vantage_number
from catchment.errors import CatchmentError, InvalidFile, InvalidRun, UnknownName
from catchment.importers import Probes, point_row, write_asked
from catchment.model import Address, Grouping, Kind, Service, Target, Verdict, Window
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.topology import Topology, load_topology, write_topology
from catchment.services import bundled_service
from catchment.store import Accepted, Header, Measurement, ResultWriter, Run, Stage
from catchment.workflow.importing import Imported, rebuild
from catchment.workflow.loading import workbench
from tests.atlas_results import dns_error, dns_result, ping_result, place, traceroute_result
from tests.campaigns import CAMPAIGN, NOON, interrupted
from tests.campaigns import run as run_campaign

SERVICE = bundled_service("demo-dns")
ADDRESS = "198.51.100.53"
OTHER = "198.51.100.54"
ONCE = Schedule()
# A reply without a question does not tell what was asked; the measurement does.
BARE = {"result": {"rt": 12.0, "size": 12, "abuf": base64.b64encode(b"\x01\x02\x84\x01" + bytes(8)).decode()}}
TOPOLOGIES = Path(__file__).parents[1] / "campaigns" / "lab" / "topologies"
FRANKFURT, WARSAW = (50.1, 8.7), (52.2, 21.0)
Result = dict[str, Any]


def own_run(
    path: Path,
    *results: Result,
    vantage_points: Sequence[str] = ("local:one",),
    at: tuple[float, float] | None = FRANKFURT,
    created: str = "2026-11-21T13:00:00Z",
    service: Service = SERVICE,
    targets: Sequence[str] = (ADDRESS,),
    schedule: Schedule = ONCE,
    hop_names: dict[str, str] | None = None,
    is_derived: bool = False,
) -> Run:
    """Make a run of own packets: what the results are of, each vantage point asked by the same measurements.

    Its tables are empty unless it is derived: merging needs none of them.
    """
    plan = Campaign(
        name="mine",
        platform=PlatformName.LOCAL,
        targets=(CampaignTarget(service=service.name),),
        schedule=schedule,
    )
    header = Header(
        campaign="mine",
        platform="local",
        created=created,
        catchment="1",
        services=(service,),
        targets=tuple(Target(service=service.name, address=address) for address in targets),
        plan=plan,
    )
    store.begin_run(path, header)
    with ResultWriter(path) as writer:
        for result in results:
            writer.write(result)
        files = writer.finish()
    asked = {(1_795_000_000_000 + number, Kind.DNS, address) for number, address in enumerate(targets)}
    asked |= {(result["msm_id"], Kind(result["type"]), result["dst_addr"]) for result in results}
    measurements = tuple(
        Measurement(
            id=number, kind=kind, target=target, af=4, query=None, nsid=True, probes=None,
            vantage_points=tuple(vantage_points), start=NOON, stop=NOON + 60, interval_s=None, reused=False,
            files=(files[number][0],) if number in files else (), results=files.get(number, ("", 0))[1],
        )
        for number, kind, target in sorted(asked)
    )  # fmt: skip
    store.write_accepted(path, Accepted(tag="", stage=Stage.COLLECTED, measurements=measurements))
    with workbench() as (con, _):
        latitude, longitude = at or (None, None)
        rows = tuple(point_row(name, latitude, longitude, "DE") for name in vantage_points)
        write_asked(con, Probes(rows=rows), store.part_of(path, store.VANTAGE_POINTS))
    if hop_names:
        store.write_hop_names(path, hop_names, resolved_at=created)
    if is_derived:
        rebuild(path, header, lambda *_: None)
    else:
        for tier in (store.OBSERVATIONS, store.ASSIGNMENTS, store.EVIDENCE):
            (path / tier).mkdir()
        store.write_metrics(path, {"to": created})
    return Run.open(path)


def answer(name: str, site: str = "fra", second: float = 0.25, measurement: int = 0, **more: Any) -> Result:
    """Return an answer of a site to a vantage point of ours, at a time with a fraction."""
    keys = {"prb_id": vantage_number(name), "vantage": name, "timestamp": NOON + second, "dst_addr": ADDRESS}
    number = 1_795_000_000_000 + measurement
    return dns_result(1, f"{site}1.demo-dns.example", **{"msm_id": number, "dst_name": ADDRESS, **keys, **more})


def merged(folder: Path, *given: Path, name: str = "merged", **options: Any) -> tuple[Run, Imported]:
    out = folder / "all" / name
    done = workflow.import_results(list(given), out, root=folder / "results", **options)
    return Run.open(out), done


def judged(*runs: Run) -> list[tuple[Any, ...]]:
    """Return the assignments of runs but for the window, which is that of the run."""
    rows: list[tuple[Any, ...]] = []
    for run in runs:
        columns = [name for name in run.assignments.columns if name not in {"window_start", "window_end"}]
        rows += run.assignments.select(*columns).fetchall()
    return sorted(rows, key=str)


def tables(run: Run) -> dict[str, bytes]:
    return {
        str(file.relative_to(run.path)): file.read_bytes()
        for file in sorted(run.path.rglob("*"))
        if file.is_file() and file.name != "campaign.json"
    }


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_campaign(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, simulated: Run) -> tuple[Run, Run, Run]:
    """Return a run on the sandbox and two of hosts: one of them asked in vain, the other in part."""
    root = tmp_path_factory.mktemp("parts") / "results"
    here = own_run(
        root / "here" / "one",
        answer("local:one"),
        answer("local:one", "waw", 30.5),
        ping_result(1, 5.5, **head("local:one", 1_795_000_000_007)),
        is_derived=True,
    )
    there = own_run(
        root / "there" / "one",
        dns_error(1, {"timeout": 2000}, **head("local:two", 1_795_000_000_000)),
        vantage_points=("local:two", "local:silent"),
        at=WARSAW,
        is_derived=True,
    )
    return simulated, here, there


def head(name: str, measurement: int) -> Result:
    return {
        "prb_id": vantage_number(name),
        "vantage": name,
        "msm_id": measurement,
        "timestamp": NOON + 1.5,
        "dst_addr": ADDRESS,
        "dst_name": ADDRESS,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, parts: tuple[Run, Run, Run]) -> Run:
    return merged(tmp_path_factory.mktemp("whole"), *(run.path for run in parts))[0]


# --- The sum of the parts


def test_the_assignments_are_those_of_the_parts_together(whole: Run, parts: tuple[Run, Run, Run]) -> None:
    assert judged(whole) == judged(*parts)
    verdicts = dict(whole.assignments.filter("vantage NOT LIKE 'atlas:%'").select("vantage, verdict").fetchall())
    assert verdicts == {"local:one": Verdict.OK, "local:two": Verdict.TIMEOUT, "local:silent": Verdict.NO_RESULT}


def test_every_vantage_point_keeps_its_place(whole: Run, parts: tuple[Run, Run, Run]) -> None:
    together = sorted((row for run in parts for row in run.vantage_points.fetchall()), key=str)
    assert sorted(whole.vantage_points.fetchall(), key=str) == together
    assert len(together) == 63


def test_the_raw_files_stay_byte_for_byte(whole: Run, parts: tuple[Run, Run, Run]) -> None:
    contents = {file.read_bytes() for run in parts for file in (run.path / "raw").iterdir()}
    assert {file.read_bytes() for file in (whole.path / "raw").iterdir()} == contents
    names = {file.name for file in (whole.path / "raw").iterdir()}
    # The two hosts have a measurement of the same number.
    assert {"1795000000000.ndjson.gz", "2-1795000000000.ndjson.gz", "1000001.ndjson.gz"} <= names


def test_the_measurements_are_known_with_the_files_that_they_have_now(whole: Run, parts: tuple[Run, Run, Run]) -> None:
    assert whole.accepted is not None
    each = [run.accepted for run in parts]
    assert len(whole.accepted.measurements) == sum(len(one.measurements) for one in each if one is not None) == 5
    for measurement in whole.accepted.measurements:
        lines = [gzip.decompress((whole.path / "raw" / name).read_bytes()) for name in measurement.files or ()]
        results = [json.loads(line) for line in b"".join(lines).splitlines()]
        assert len(results) == measurement.results
        assert {result["msm_id"] for result in results} <= {measurement.id}
    shown = workflow.show(whole)["measurements"]
    assert sorted(one["results"] for one in shown) == [1, 1, 2, 60, 60]


def test_the_header_says_where_all_of_it_comes_from(whole: Run) -> None:
    assert (whole.header.platform, whole.header.platforms) == ("local+sandbox", ("local", "sandbox"))
    assert (whole.header.campaign, whole.header.plan) == ("all", None)
    assert whole.header.targets == (Target(service="demo-dns", address=ADDRESS),)
    assert whole.header.services == (SERVICE,)


def test_whatever_is_made_of_a_run_can_be_made_of_a_merged_one(whole: Run, parts: tuple[Run, Run, Run]) -> None:
    groups = workflow.show(whole, by=Grouping.COUNTRY)["targets"][0]["groups"]
    assert sum(group["vantage_points"] for group in groups) == sum(
        workflow.show(run)["targets"][0]["vantage_points"]["total"] for run in parts
    )
    compared = workflow.compare_runs((parts[0], Window()), (whole, Window()))["targets"][0]
    assert (compared["moved"], compared["only_before"], compared["paired"] > 40) == (0, 0, True)
    told = workflow.explain_vantage(whole, "one")
    assert (told["vantage"], told["platform"]) == ("local:one", "local+sandbox")


def test_deriving_a_merged_run_changes_nothing(tmp_path: Path, whole: Run) -> None:
    path = shutil.copytree(whole.path, tmp_path / "all" / "copy")
    before = tables(Run.open(path))
    workflow.derive(path)
    assert tables(Run.open(path)) == before


def test_merging_again_gives_the_same_tables_in_whatever_order_the_parts_are_named(
    tmp_path: Path, whole: Run, parts: tuple[Run, Run, Run]
) -> None:
    again, _ = merged(tmp_path, *(run.path for run in reversed(parts)))
    assert tables(again) == tables(whole)


def test_the_same_run_twice_counts_once(tmp_path: Path, whole: Run, parts: tuple[Run, Run, Run]) -> None:
    copy = shutil.copytree(parts[1].path, tmp_path / "results" / "copy" / "one")
    again, _ = merged(tmp_path, *(run.path for run in parts), parts[1].path, copy)
    assert tables(again) == tables(whole)


def test_a_merged_run_and_one_of_its_parts_are_the_merged_run(
    tmp_path: Path, whole: Run, parts: tuple[Run, Run, Run]
) -> None:
    again, _ = merged(tmp_path, parts[2].path, whole.path)
    assert judged(again) == judged(whole)
    assert again.metrics["input"] == whole.metrics["input"]
    assert again.header.platform == "local+sandbox"
    assert len(again.accepted.measurements if again.accepted else ()) == 5


def test_a_merged_run_grows_by_another(tmp_path: Path, parts: tuple[Run, Run, Run]) -> None:
    two, _ = merged(tmp_path, parts[0].path, parts[1].path, name="two")
    assert judged(merged(tmp_path, two.path, parts[2].path, name="three")[0]) == judged(*parts)


def test_results_that_two_runs_share_count_once(tmp_path: Path) -> None:
    shared = answer("lab:1", second=1)
    first = own_run(tmp_path / "a" / "one", shared, vantage_points=("lab:1",))
    second = own_run(tmp_path / "b" / "one", shared, answer("lab:1", second=2), vantage_points=("lab:1",))
    run, done = merged(tmp_path, first.path, second.path)
    assert run.observations.aggregate("count(*)").fetchall() == [(2,)]
    assert "1 results were there twice; one of each counts" in done.warnings


def test_merged_runs_that_measured_at_other_times_are_two_windows_of_one(tmp_path: Path) -> None:
    first = own_run(tmp_path / "a" / "one", answer("lab:1", "fra", 0), vantage_points=("lab:1",))
    second = own_run(tmp_path / "b" / "one", answer("lab:1", "waw", 600, measurement=1), vantage_points=("lab:1",))
    run, _ = merged(tmp_path, first.path, second.path)
    sides = (run, Window(end=NOON + 300)), (run, Window(start=NOON + 300))
    (move,) = workflow.compare_runs(*sides)["targets"][0]["moves"]
    assert (move["from"], move["to"], move["vantage_points"]) == ("fra", "waw", 1)


def test_nobody_reported_is_a_result_of_merged_runs_too(tmp_path: Path) -> None:
    runs = [own_run(tmp_path / name / "one", vantage_points=(f"local:{name}",)) for name in ("a", "b")]
    run, _ = merged(tmp_path, *(one.path for one in runs))
    assert run.assignments.select("vantage, verdict").fetchall() == [
        ("local:a", Verdict.NO_RESULT),
        ("local:b", Verdict.NO_RESULT),
    ]
    workflow.derive(run.path)
    assert len(judged(run)) == 2


def test_who_was_silent_in_one_run_and_answered_in_another_answered(tmp_path: Path) -> None:
    silent = own_run(tmp_path / "a" / "one")
    heard = own_run(tmp_path / "b" / "one", answer("local:one"))
    run, _ = merged(tmp_path, silent.path, heard.path)
    assert run.assignments.select("vantage, site").fetchall() == [("local:one", "fra")]


# --- What the runs know besides


def test_of_two_places_that_of_the_later_run_counts_and_it_is_told(tmp_path: Path) -> None:
    later = own_run(tmp_path / "a" / "one", answer("local:one"), at=WARSAW, created="2026-11-22T00:00:00Z")
    earlier = own_run(tmp_path / "b" / "one", answer("local:one", second=5), created="2026-11-21T00:00:00Z")
    run, done = merged(tmp_path, later.path, earlier.path)
    assert run.vantage_points.select("latitude, longitude").fetchall() == [WARSAW]
    assert (
        "1 vantage point is at different places in the runs (local:one); those of the later run count" in done.warnings
    )


def test_which_run_is_the_later_does_not_hang_on_how_its_path_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    a = own_run(tmp_path / "a" / "one", answer("local:one"))
    b = own_run(tmp_path / "b" / "one", answer("local:one", second=5), at=WARSAW)  # created in the same second
    some, _ = merged(tmp_path, Path("a/one"), b.path)
    other, _ = merged(tmp_path, a.path, Path("b/one"), name="other")
    assert tables(some) == tables(other)


def test_hosts_that_go_by_one_name_are_told(tmp_path: Path) -> None:
    later: dict[str, dict[str, Any]] = {
        "local:same": {"second": 60, "src_addr": "10.0.0.1"},
        "local:elsewhere": {"second": 60, "src_addr": "10.0.0.2"},
        "local:other-family": {"second": 60, "src_addr": "2001:db8::1"},  # nobody knows
        "local:nowhere": {"second": 60},
        "local:meanwhile": {"second": 1, "src_addr": "10.0.0.1"},
    }
    at_first = [answer(name, second=second, src_addr="10.0.0.1") for name in later for second in (0, 2)]
    first = own_run(tmp_path / "a" / "one", *at_first, vantage_points=[*later])
    afterwards = [answer(name, **how) for name, how in later.items()]
    second = own_run(tmp_path / "b" / "one", *afterwards, vantage_points=[*later])
    _, done = merged(tmp_path, first.path, second.path)
    told = [line for line in done.warnings if "is taken for one host" in line]
    assert [line.split()[0] for line in told] == ["local:elsewhere", "local:meanwhile"]
    assert "(10.0.0.1, 10.0.0.2)" in told[0]
    assert all("under a name of its own on each" in line for line in told)
    assert all("local.name in a campaign" in line and "`catchment here --name NAME`" in line for line in told)


def test_a_run_and_one_that_holds_it_are_of_the_same_hosts(tmp_path: Path) -> None:
    first = own_run(tmp_path / "a" / "one", answer("local:one", src_addr="10.0.0.1"))
    second = own_run(tmp_path / "b" / "one", answer("local:one", second=60, src_addr="10.0.0.1"))
    both, _ = merged(tmp_path, first.path, second.path)
    assert not any("taken for" in line for line in merged(tmp_path, both.path, first.path, name="again")[1].warnings)


def test_vantage_points_of_labs_are_not_taken_for_hosts(tmp_path: Path) -> None:
    runs = [
        own_run(tmp_path / name / "one", answer("lab:1", src_addr=f"10.0.0.{at}", second=at), vantage_points=("lab:1",))
        for at, name in enumerate("ab", start=1)
    ]
    assert not any("taken for" in line for line in merged(tmp_path, *(run.path for run in runs))[1].warnings)


def test_hosts_with_names_of_their_own_that_began_at_the_same_time_stay_apart(tmp_path: Path) -> None:
    # As two hosts with one campaign file and a start: each one's queries are its own.
    runs, ids = [], set()
    for name, query in (("a", "hostname.bind"), ("b", "id.server")):
        asked = [Query(kind=Kind.DNS, name=query)]
        targets = [Target(service="demo-dns", address=ADDRESS)]
        (one,), _ = own_measurements(asked, targets, [f"local:{name}"], NOON, 60, NOON + 120)
        ids.add(one.id)
        of_it = {**head(f"local:{name}", one.id), "src_addr": "10.0.0.1"}
        result = (
            dns_result(1, "fra1.demo-dns.example", **of_it) if name == "a" else dns_result(1, None, **of_it, **BARE)
        )
        runs.append(own_run(tmp_path / name / "one", result, vantage_points=(f"local:{name}",), is_derived=True))
    assert len(ids) == 2
    run, done = merged(tmp_path, *(one.path for one in runs))
    assert judged(run) == judged(*runs)
    assert {row[0] for row in run.assignments.select("verdict").fetchall()} == {Verdict.OK, Verdict.NO_IDENTITY}
    assert not any("taken for" in line for line in done.warnings)


def test_a_place_that_only_the_earlier_run_knows_is_kept(tmp_path: Path) -> None:
    nowhere = own_run(tmp_path / "a" / "one", answer("local:one"), at=None, created="2026-11-22T00:00:00Z")
    known = own_run(tmp_path / "b" / "one", answer("local:one", second=5), created="2026-11-21T00:00:00Z")
    run, done = merged(tmp_path, nowhere.path, known.path)
    assert run.vantage_points.select("latitude, longitude").fetchall() == [FRANKFURT]
    assert not any("different places" in line for line in done.warnings)


def test_the_latest_version_of_a_service_counts_and_another_can_be_had(tmp_path: Path) -> None:
    without = replace(SERVICE, sites=tuple(site for site in SERVICE.sites if site.code != "fra"))
    older = own_run(tmp_path / "a" / "one", answer("local:one"), created="2026-11-21T00:00:00Z")
    newer = own_run(
        tmp_path / "b" / "one", answer("local:two"), vantage_points=("local:two",), service=without,
        created="2026-11-22T00:00:00Z",
    )  # fmt: skip
    run, done = merged(tmp_path, newer.path, older.path)
    assert run.header.services == (without,)
    assert {row[0] for row in run.assignments.select("verdict").fetchall()} == {Verdict.UNKNOWN_IDENTITY}
    (told,) = [line for line in done.warnings if "different versions" in line]
    assert f"different versions of demo-dns; that of {newer.path}, the latest, counts" in told
    assert f"`catchment derive {run.path} --service FILE`" in told
    (tmp_path / "full.toml").write_text(service_to_toml(SERVICE))
    chosen, done = merged(tmp_path, newer.path, older.path, name="chosen", service=str(tmp_path / "full.toml"))
    assert {row[0] for row in chosen.assignments.select("site").fetchall()} == {"fra"}
    assert not any("different versions" in line for line in done.warnings)
    workflow.derive(run.path, service=str(tmp_path / "full.toml"))
    assert judged(run) == judged(chosen)


def test_runs_of_different_services_are_one_run_with_both(tmp_path: Path) -> None:
    root = bundled_service("k-root")
    to_root = answer("local:one", dst_addr="193.0.14.129", measurement=9)
    runs = [
        own_run(tmp_path / "a" / "one", answer("local:one"), is_derived=True),
        own_run(tmp_path / "b" / "one", to_root, service=root, targets=("193.0.14.129",), is_derived=True),
    ]
    run, _ = merged(tmp_path, *(one.path for one in runs))
    assert [service.name for service in run.header.services] == ["demo-dns", "k-root"]
    assert [target.address for target in run.header.targets] == [ADDRESS, "193.0.14.129"]
    assert judged(run) == judged(*runs)


def test_an_address_that_the_latest_version_has_no_more_is_no_target_and_nobody_was_silent_there(
    tmp_path: Path,
) -> None:
    two = replace(SERVICE, addresses=(*SERVICE.addresses, Address(address="203.0.113.9")))
    wide = own_run(
        tmp_path / "a" / "one",
        answer("local:one"),
        answer("local:one", measurement=1, dst_addr="203.0.113.9", dst_name="203.0.113.9"),
        service=two,
        targets=(ADDRESS, "203.0.113.9"),
    )
    later = own_run(
        tmp_path / "b" / "one", answer("local:two"), vantage_points=("local:two",), created="2026-11-22T00:00:00Z"
    )
    run, done = merged(tmp_path, wide.path, later.path)
    assert [target.address for target in run.header.targets] == [ADDRESS]
    assert {row[0] for row in run.assignments.select("verdict").fetchall()} == {Verdict.OK}
    assert "1 results are toward addresses that are not of demo-dns; they count nowhere" in done.warnings


def test_an_address_that_goes_by_two_names_is_refused_until_one_of_them_is_chosen(tmp_path: Path) -> None:
    other = replace(SERVICE, name="other-dns")
    runs = [
        own_run(tmp_path / name / "one", answer(f"local:{name}"), vantage_points=(f"local:{name}",), service=service)
        for name, service in (("a", SERVICE), ("b", other))
    ]
    told = refused(tmp_path, *(run.path for run in runs))
    assert told.startswith(f"{ADDRESS} is demo-dns in {runs[0].path} and other-dns in {runs[1].path}: ")
    assert "choose one with --service FILE" in told
    (tmp_path / "other.toml").write_text(service_to_toml(other))
    run, _ = merged(tmp_path, *(run.path for run in runs), service=str(tmp_path / "other.toml"))
    assert run.header.services == (other,)
    assert run.header.targets == (Target(service="other-dns", address=ADDRESS),)
    assert run.assignments.select("vantage, service, site").fetchall() == [
        ("local:a", "other-dns", "fra"),
        ("local:b", "other-dns", "fra"),
    ]


def test_a_service_that_is_chosen_takes_its_own_addresses_and_leaves_the_others(tmp_path: Path) -> None:
    two = replace(SERVICE, name="two-dns", addresses=(*SERVICE.addresses, replace(SERVICE.addresses[0], address=OTHER)))
    first = own_run(tmp_path / "a" / "one", answer("local:a"), vantage_points=("local:a",), service=two)
    second = own_run(
        tmp_path / "b" / "one",
        answer("local:b", measurement=1, dst_addr=OTHER, dst_name=OTHER),
        vantage_points=("local:b",),
        service=two,
        targets=(ADDRESS, OTHER),
    )
    (tmp_path / "one.toml").write_text(service_to_toml(SERVICE))
    run, done = merged(tmp_path, first.path, second.path, service=str(tmp_path / "one.toml"))
    assert [(target.service, target.address) for target in run.header.targets] == [
        (SERVICE.name, ADDRESS),
        ("two-dns", OTHER),
    ]
    assert f"{SERVICE.name} has {ADDRESS}, 2001:db8:53::53 now, and two-dns not any more" in done.warnings
    assert run.assignments.filter("site IS NOT NULL").select("vantage, service, site").fetchall() == [
        ("local:a", SERVICE.name, "fra"),
        ("local:b", "two-dns", "fra"),
    ]


def lab_run(path: Path, topology: Topology, second: float) -> Run:
    """Make a run that looks like one of a lab, of which the first vantage point answered."""
    run = own_run(path, answer("lab:1", second=second), vantage_points=("lab:1",), is_derived=True)
    store.write_header(path, replace(run.header, platform="lab"))
    write_topology(topology, store.topology_file(path))
    return Run.open(path)


def test_vantage_points_of_different_topologies_are_not_taken_for_the_same_hosts(tmp_path: Path) -> None:
    paths, leak = (load_topology(TOPOLOGIES / f"{name}.toml") for name in ("two-paths", "leak"))
    # lab:1 is in AS 64501 in Frankfurt in the one, and in AS 64502 in London in the other.
    first, again = (lab_run(tmp_path / "a" / str(at), paths, at) for at in (1, 2))
    other = lab_run(tmp_path / "b" / "one", leak, 3)
    told = refused(tmp_path, first.path, other.path)
    assert told == (
        f"lab:1 of {first.path} (topology 'two-paths') and of {other.path} (topology 'leak') are different hosts: name "
        "runs of one topology"
    )
    with pytest.raises(InvalidRun, match="are different hosts: name runs of one topology"):
        workflow.compare_runs((first, Window()), (other, Window()))
    both, _ = merged(tmp_path, first.path, again.path)
    assert both.observations.aggregate("count(*)").fetchall() == [(2,)]
    with pytest.raises(InvalidRun, match="are different hosts"):  # a merged run knows it still
        merged(tmp_path, both.path, other.path, name="all")


def test_a_topology_that_was_built_on_between_two_runs_has_the_same_hosts(tmp_path: Path) -> None:
    before = load_topology(TOPOLOGIES / "two-paths.toml")
    after = replace(before, links=tuple(replace(link, delay_ms=30.0) for link in before.links))
    assert after != before
    runs = [lab_run(tmp_path / str(at) / "one", topology, at) for at, topology in enumerate((before, after))]
    assert workflow.compare_runs(*((run, Window()) for run in runs))["targets"][0]["paired"] == 1
    assert merged(tmp_path, *(run.path for run in runs))[0].assignments.select("site").fetchall() == [("fra",)]


def test_names_of_routers_are_those_of_all_runs_and_the_later_asked_counts(tmp_path: Path) -> None:
    routers = {"192.0.2.1": "ae1.fra.example.net", "192.0.2.2": "old.example.net"}
    trace = traceroute_result(1, "192.0.2.1", 5.0, **head("local:one", 1_795_000_000_009))
    first = own_run(tmp_path / "a" / "one", trace, hop_names=routers, created="2026-11-21T00:00:00Z")
    later = {"192.0.2.2": "new.example.net", "192.0.2.3": "x.example.net"}
    second = own_run(tmp_path / "b" / "one", answer("local:one"), hop_names=later, created="2026-11-22T00:00:00Z")
    with (first.path / "hop_names.ndjson").open("ab") as stream:
        stream.write(b'{"address": "192.0.2.2", "na')  # a line that was torn is nobody's
    run, _ = merged(tmp_path, second.path, first.path)
    assert store.read_hop_names(run.path) == [
        ("192.0.2.1", "ae1.fra.example.net"),
        ("192.0.2.2", "new.example.net"),
        ("192.0.2.3", "x.example.net"),
    ]
    assert store.load_hop_names(run.path).damaged == ()


def planned(change: str, settle_s: int = 30) -> Schedule:
    at = datetime.fromisoformat(change).replace(tzinfo=UTC)
    return Schedule(interval_s=60, change_at=at, settle_s=settle_s)


def test_runs_around_one_change_have_its_windows_when_they_are_merged(tmp_path: Path) -> None:
    change = NOON + 600
    at = datetime.fromtimestamp(change, UTC).isoformat()
    runs = [
        own_run(
            tmp_path / name / "one",
            answer(f"local:{name}", second=0),
            answer(f"local:{name}", "waw", second=900),
            vantage_points=(f"local:{name}",),
            schedule=planned(at, settle_s),
        )
        for name, settle_s in (("a", 30), ("b", 90))
    ]
    run, _ = merged(tmp_path, *(one.path for one in runs))
    sides = [store.find_run(f"{run.path}[{side}]", tmp_path) for side in ("before", "after")]
    assert [window for _, window in sides] == [Window(end=change), Window(start=change + 90)]
    assert workflow.compare_runs(*sides)["targets"][0]["moved"] == 2
    both, _ = merged(tmp_path, run.path, runs[0].path, name="again")
    assert both.header.moving() == Window(start=change, end=change + 90)


def test_runs_around_different_changes_have_no_such_windows(tmp_path: Path) -> None:
    runs = [
        own_run(tmp_path / name / "one", answer(f"local:{name}"), vantage_points=(f"local:{name}",), schedule=schedule)
        for name, schedule in (
            ("a", planned("2026-11-21T12:00:00")),
            ("b", planned("2026-11-21T12:01:00")),
            ("c", ONCE),
        )
    ]
    for number, pair in enumerate([(runs[0], runs[1]), (runs[0], runs[2])]):
        run, _ = merged(tmp_path, *(one.path for one in pair), name=str(number))
        with pytest.raises(UnknownName, match=r"has no `schedule.change_at`"):
            store.find_run(f"{run.path}[before]", tmp_path)


def test_imports_that_were_cut_are_merged_as_wide_as_all_together_and_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "results.ndjson"
    results = [dns_result(1, "fra1.demo-dns.example", dst_addr=ADDRESS, timestamp=NOON + at) for at in (0, 60, 120)]
    file.write_text("".join(json.dumps(result) + "\n" for result in results))
    cuts = {"first": Window(start=NOON, end=NOON + 30), "second": Window(start=NOON + 30, end=NOON + 90)}
    for name, cut in cuts.items():
        workflow.import_results([file], tmp_path / "results" / "cut" / name, cut=cut)
    runs = [tmp_path / "results" / "cut" / name for name in cuts]
    run, done = merged(tmp_path, *runs)
    assert run.header.cut == Window(start=NOON, end=NOON + 90)
    assert run.observations.select("measured_at").fetchall() == [(NOON,), (NOON + 60,)]
    assert sum("was cut to a window" in line for line in done.warnings) == 2
    narrow, _ = merged(tmp_path, *runs, name="narrow", cut=Window(start=NOON + 30))
    assert narrow.header.cut == Window(start=NOON + 30, end=NOON + 90)
    open_ended, _ = merged(tmp_path, runs[0], own_run(tmp_path / "a" / "one", answer("local:one")).path, name="open")
    assert open_ended.header.cut == Window()


# --- Files that come along


def test_files_come_along_with_their_probe_list(tmp_path: Path, parts: tuple[Run, Run, Run]) -> None:
    file, probes = tmp_path / "1795000000000.ndjson.gz", tmp_path / "probes.json"
    lines = [dns_result(number, "waw1.demo-dns.example", dst_addr=ADDRESS, timestamp=NOON) for number in (9001, 9002)]
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    probes.write_text(json.dumps([place(9001, *WARSAW, "PL")]))
    run, done = merged(tmp_path, file, parts[1].path, probes=probes)
    assert run.header.platform == "import+local"
    places = {row[0]: row[1:] for row in run.vantage_points.select("vantage, latitude, longitude").fetchall()}
    assert places == {"atlas:9001": WARSAW, "atlas:9002": (None, None), "local:one": FRANKFURT}
    assert "1 vantage point is not in the probe list: it has no place, so no distance" in done.warnings
    assert (run.path / "raw" / "2-1795000000000.ndjson.gz").read_bytes() == file.read_bytes()
    sites = dict(run.assignments.select("vantage, site").fetchall())
    assert sites == {"atlas:9001": "waw", "atlas:9002": "waw", "local:one": "fra"}
    workflow.derive(run.path)
    assert dict(Run.open(run.path).assignments.select("vantage, site").fetchall()) == sites


def test_the_places_that_runs_know_go_before_those_of_the_probe_list(tmp_path: Path) -> None:
    file, probes = tmp_path / "more.ndjson", tmp_path / "probes.json"
    file.write_text(json.dumps(dns_result(1, "waw1.demo-dns.example", dst_addr=ADDRESS, timestamp=NOON)))
    probes.write_text(json.dumps([place(1, *FRANKFURT)]))
    known = workflow.import_results([file], tmp_path / "results" / "x" / "one", probes=probes).run
    probes.write_text(json.dumps([place(1, *WARSAW)]))
    run, done = merged(tmp_path, known, file, probes=probes)
    assert run.vantage_points.select("latitude, longitude").fetchall() == [FRANKFURT]
    assert "1 results were there twice; one of each counts" in done.warnings


def test_without_a_probe_list_only_those_that_no_run_knows_are_without_a_place(
    tmp_path: Path, parts: tuple[Run, Run, Run]
) -> None:
    file = tmp_path / "more.ndjson"
    file.write_text(json.dumps(dns_result(9001, "waw1.demo-dns.example", dst_addr=ADDRESS, timestamp=NOON)))
    _, done = merged(tmp_path, parts[1].path, file)
    assert [line for line in done.warnings if "place" in line] == [
        "1 vantage point is not in the runs that are merged, and no --probes names them: it has no place, so no "
        "distance"
    ]
    _, alone = merged(tmp_path, parts[1].path, name="alone")
    assert not alone.warnings


def test_runs_are_found_by_name(tmp_path: Path) -> None:
    one = own_run(tmp_path / "results" / "mine" / "one", answer("local:one", second=0))
    two = own_run(tmp_path / "results" / "mine" / "two", answer("local:one", second=60))
    run, _ = merged(tmp_path, Path("mine~1"), Path("mine"))
    assert run.observations.aggregate("count(*)").fetchall() == [(2,)]
    same, _ = merged(tmp_path, Path("mine@one"), one.path, two.path, name="same")
    assert tables(same) == tables(run)


# --- What is refused, in one line, with nothing left behind


def refused(folder: Path, *given: Path, **options: Any) -> str:
    with pytest.raises(CatchmentError) as caught:
        merged(folder, *given, **options)
    assert "\n" not in str(caught.value)
    assert not (folder / "all").exists()
    return str(caught.value)


def test_a_run_that_is_not_whole_is_not_merged(tmp_path: Path, parts: tuple[Run, Run, Run]) -> None:
    begun = interrupted(tmp_path, CAMPAIGN)
    assert refused(tmp_path, parts[1].path, begun).startswith(f"{begun}: not all results are here yet: `catchment res")
    underived = shutil.copytree(parts[2].path, tmp_path / "underived")
    (underived / "metrics.json").unlink()
    assert "not complete: `catchment derive " in refused(tmp_path, parts[1].path, underived)


def test_a_run_that_has_lost_results_is_not_merged(tmp_path: Path, parts: tuple[Run, Run, Run], whole: Run) -> None:
    for name, run, complaint in (
        ("measured", parts[1], "gone since it was m"),
        ("merged", whole, "gone since it was i"),
    ):
        copy = shutil.copytree(run.path, tmp_path / name)
        (copy / "raw" / "1795000000000.ndjson.gz").unlink()
        assert complaint in refused(tmp_path, copy, parts[2].path)
    with pytest.raises(InvalidRun, match=r"1795000000000.ndjson.gz: gone since it was imported: put it back, or "):
        workflow.derive(tmp_path / "merged")
    store.write_header(tmp_path / "merged", replace(whole.header, imported={}))  # as earlier versions merged
    with pytest.raises(InvalidRun, match=r"some of its results are gone from .*raw: merge the runs anew"):
        workflow.derive(tmp_path / "merged")
    copy = shutil.copytree(parts[1].path, tmp_path / "damaged")
    (copy / "raw" / "1795000000000.ndjson.gz").write_bytes(b"\x1f\x8b")
    assert "damaged" in refused(tmp_path, copy)


def test_an_import_without_its_raw_files_is_not_merged(tmp_path: Path) -> None:
    file = tmp_path / "more.ndjson"
    file.write_text(json.dumps(dns_result(1, "waw1.demo-dns.example", dst_addr=ADDRESS)))
    run = workflow.import_results([file], tmp_path / "results" / "x" / "one").run
    (run / "raw" / "more.ndjson").unlink()
    assert "more.ndjson: gone since it was imported: put it back" in refused(tmp_path, run)
    (run / "raw").rmdir()
    assert "import the run anew" in refused(tmp_path, run)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("nothing.json", "nothing.json: no such file, and there is no run or campaign 'nothing.json'"),
        ("no/such/run", "no/such/run: no such file"),
        ("mine[12:00..13:00]", "a run is merged whole: leave the window out, and cut with --from and --to"),
        ("mine[before]", "a run is merged whole"),
        ("results/mine/one[before]", "a run is merged whole"),
        ("elsewhere/one[..12:00]", "a run is merged whole"),
        ("mine~7", "names none"),
    ],
)
def test_a_name_of_nothing_is_refused(tmp_path: Path, given: str, told: str) -> None:
    own_run(tmp_path / "results" / "mine" / "one", answer("local:one"))
    assert told in refused(tmp_path, Path("mine"), Path(given))


def test_a_folder_of_runs_is_refused_with_the_name_of_one(tmp_path: Path) -> None:
    run = own_run(tmp_path / "results" / "mine" / "one", answer("local:one"))
    assert f"name {run.path} itself to merge it" in refused(tmp_path, tmp_path / "results" / "mine")


def test_a_service_that_nobody_measured_is_refused(tmp_path: Path, parts: tuple[Run, Run, Run]) -> None:
    told = refused(tmp_path, parts[1].path, service="k-root")
    assert f"no result is toward an address of 'k-root', but toward {ADDRESS}" in told


def test_a_place_that_is_taken_is_refused(tmp_path: Path, parts: tuple[Run, Run, Run]) -> None:
    with pytest.raises(InvalidRun, match="exists already: choose another --out"):
        workflow.import_results([parts[1].path, parts[2].path], parts[1].path)


def test_nothing_is_no_import(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="there is no file of results"):
        workflow.import_results([], tmp_path / "x" / "y")


def test_the_command_line_merges_runs_by_name_and_by_path(
    tmp_path: Path, catchment: Callable[..., subprocess.CompletedProcess[str]], parts: tuple[Run, Run, Run]
) -> None:
    own_run(tmp_path / "results" / "mine" / "one", answer("local:nine"), vantage_points=("local:nine",))
    done = catchment("import", "mine", parts[0].path, parts[2].path, "--out", "results/all/one", "--json")
    assert done.returncode == 0, done.stderr
    total = json.loads(done.stdout)["targets"][0]["vantage_points"]["total"]
    assert total == Run.open(tmp_path / "results" / "all" / "one").metrics["targets"][0]["vantage_points"]["total"]
    told = json.loads(catchment("show", "all", "--vantage", "local:nine", "--json").stdout)
    assert told["targets"][0]["assignment"]["site"] == "fra"
    wrong = catchment("import", "mine", "mine[before]", "--out", "results/all/two")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
