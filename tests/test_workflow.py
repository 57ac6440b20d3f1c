"""Importing and deriving: what is kept, what is left out and counted, what is refused in one line."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import zstandard

from catchment import workflow
from catchment.errors import CatchmentError, InvalidFile, InvalidRun, UnknownName
from catchment.model import Grouping, SiteSet, Window
from catchment.store import Run
from tests.atlas_results import NOON, dns_result, place
from tests.conftest import EXAMPLE_SERVICE, SAMPLE

Import = Callable[..., Run]


def lines(*results: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(result).encode() + b"\n" for result in results)


def bring(file: Path, out: Path, **options: Any) -> workflow.Imported:
    options.setdefault("service", str(EXAMPLE_SERVICE))
    return workflow.import_results([file], out, **options)


def contents(run: Path) -> dict[str, str]:
    """Return the digest of every file of a run, but for the one that says when it was made."""
    return {
        str(file.relative_to(run)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(run.rglob("*"))
        if file.is_file() and file.name != "campaign.json"
    }


def test_deriving_twice_gives_identical_files(tmp_path: Path) -> None:
    run = tmp_path / "run"
    bring(SAMPLE / "before.ndjson.gz", run, probes=SAMPLE / "probes.json")
    imported = contents(run)
    workflow.derive(run)
    derived = contents(run)
    workflow.derive(run)
    assert imported == derived == contents(run)


def test_raw_files_are_kept_byte_for_byte(tmp_path: Path) -> None:
    bring(SAMPLE / "before.ndjson.gz", tmp_path / "run")
    kept = tmp_path / "run" / "raw" / "before.ndjson.gz"
    assert kept.read_bytes() == (SAMPLE / "before.ndjson.gz").read_bytes()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("results.json", bytes),
        ("results.json", gzip.compress),
        ("results.json", bz2.compress),
        ("results.txt", zstandard.ZstdCompressor().compress),
        ("results.gz", bytes),
        ("results.json", lambda text: b"[" + b",".join(text.splitlines()) + b"]"),
        ("results.json", lambda text: gzip.compress(b"[\n" + b",\n".join(text.splitlines()) + b"\n]")),
    ],
    ids=["ndjson", "gz", "bz2", "zst", "plain named gz", "array", "array gz"],
)
def test_a_file_is_read_by_its_content(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / name
    file.write_bytes(pack(lines(*(dns_result(probe) for probe in range(1, 6)))))
    done = bring(file, tmp_path / "run")
    assert done.reading.records == 5
    assert done.warnings == ("without --probes the vantage points have no place: no distances, no map",)
    assert len(Run.open(tmp_path / "run").assignments.fetchall()) == 5


def test_bad_lines_are_counted_and_named_and_the_rest_is_used(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    good = [json.dumps(dns_result(probe)).encode() for probe in (1, 2, 3)]
    bad = [b"<html>504 Gateway Time-out</html>", good[0][:50], b"\x00\x00", b'{"prb_id": 1}', b"null", b"[]"]
    file.write_bytes(b"\n".join([good[0], *bad, good[1], b"", good[2]]) + b"\n")
    done = bring(file, tmp_path / "run", probes=SAMPLE / "probes.json")
    assert (done.reading.records, done.reading.rejected) == (9, 6)
    assert "6 of 9 records are unusable" in done.warnings[0]
    named = [json.loads(line) for line in (tmp_path / "run" / "rejected.ndjson").read_text().splitlines()]
    assert [entry["record"] for entry in named] == [2, 3, 4, 5, 6, 7]
    assert named[0]["excerpt"].startswith("<html>")
    assert len(Run.open(tmp_path / "run").assignments.fetchall()) == 3


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "holds no results"),
        (b"\n \n", "holds no results"),
        (b"<html><body>Service Unavailable</body></html>\n", "none of 1 records is a RIPE Atlas result"),
        (b"a,b,c\n1,2,3\n", "none of 2 records is a RIPE Atlas result"),
        (b'{"error": {"status": 404, "detail": "Not found."}}\n', "it has no vantage point (prb_id)"),
        (b"[]", "none of 0 records"),
        (gzip.compress(b'{"a": 1}\n')[:10], "fetch it again"),
        (b'{"prb_id": 1, "timestamp": 1, "type": "sslcert"}\n', "no DNS, ping or traceroute result"),
    ],
    ids=["empty", "blank", "html", "csv", "error", "empty array", "damaged gz", "other type"],
)
def test_a_file_that_holds_no_results_is_one_line_and_leaves_nothing(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "results.json"
    file.write_bytes(content)
    with pytest.raises(InvalidFile) as caught:
        bring(file, tmp_path / "results" / "run")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_one_unusable_file_among_many_is_set_aside_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "a.json").write_bytes(lines(dns_result(1)))
    (folder / "b.json").write_bytes(b"")
    (folder / "c.json").write_bytes(lines(dns_result(2)))
    done = bring(folder, tmp_path / "run")
    assert done.reading.records == 2
    assert done.warnings[0].startswith("b.json: set aside: holds no results")
    assert (tmp_path / "run" / "raw" / "b.json").exists()


def test_a_file_without_a_single_usable_record_is_named_and_an_empty_array_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "a.json").write_bytes(lines(dns_result(1)))
    (folder / "b.toml").write_bytes(b'name = "leak"\nplatform = "lab"\n')
    (folder / "c.json").write_bytes(b"[]")
    (folder / "d.json").write_bytes(lines(dns_result(2)) + b"<html>\n")
    done = bring(folder, tmp_path / "run")
    assert done.warnings[0] == "b.toml: not one record is usable, so nothing in it is a result"
    assert done.warnings[1].startswith("3 of 5 records are unusable and counted apart, the first in b.toml record 1")
    assert not any("c.json" in line or "d.json" in line for line in done.warnings)
    assert (tmp_path / "run" / "raw" / "b.toml").exists()


def test_a_result_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(lines(dns_result(1), dns_result(2)))
    done = workflow.import_results(
        [tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "run", service=str(EXAMPLE_SERVICE)
    )
    assert (done.reading.records, done.reading.duplicates) == (4, 2)
    assert "2 results were there twice" in done.warnings[0]


def test_a_probe_that_the_list_lacks_is_assigned_and_counted(tmp_path: Path) -> None:
    (tmp_path / "probes.json").write_text(json.dumps([place(1)]))
    (tmp_path / "results.json").write_bytes(lines(dns_result(1), dns_result(2)))
    done = bring(tmp_path / "results.json", tmp_path / "run", probes=tmp_path / "probes.json")
    assert done.warnings == ("1 vantage point is not in the probe list: it has no place, so no distance",)
    assert len(Run.open(tmp_path / "run").assignments.fetchall()) == 2


def test_an_existing_run_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("kept")
    with pytest.raises(InvalidRun, match="exists already"):
        bring(SAMPLE / "before.ndjson.gz", tmp_path / "run")
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["mine"]


def test_an_unknown_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="there is no service 'k-rooot': did you mean 'k-root'"):
        bring(SAMPLE / "before.ndjson.gz", tmp_path / "run", service="k-rooot")


def test_results_toward_no_address_of_the_service_say_whose_they_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"no result is toward an address of 'k-root', but toward 192\.0\.2\.53"):
        bring(SAMPLE / "before.ndjson.gz", tmp_path / "run", service="k-root")


def test_results_toward_other_addresses_are_counted(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(lines(dns_result(1), dns_result(2, dst_addr="192.0.2.99")))
    done = bring(tmp_path / "r.json", tmp_path / "run")
    assert "1 results are toward addresses that are not of example-dns" in done.warnings[0]


def test_an_identity_without_a_service_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"describe yours with --service FILE\.toml"):
        bring(SAMPLE / "before.ndjson.gz", tmp_path / "run", service=None)


def test_an_import_can_be_cut_to_a_window_and_stays_so(tmp_path: Path) -> None:
    cut = Window(start=float(NOON - 7200), end=float(NOON - 7200 + 240))
    done = bring(SAMPLE / "before.ndjson.gz", tmp_path / "run", cut=cut)
    assert done.reading.outside_window == 800
    before = contents(tmp_path / "run")
    workflow.derive(tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_window_without_observations_says_when_the_run_was_measured(sample: dict[str, Run]) -> None:
    with pytest.raises(UnknownName, match="the run was measured 2026-11-01T10:00:00Z"):
        workflow.show(sample["before"], Window(start=0.0, end=1.0))


def test_derive_with_another_version_of_the_service_changes_the_sites(tmp_path: Path) -> None:
    bring(SAMPLE / "before.ndjson.gz", tmp_path / "run", probes=SAMPLE / "probes.json")
    other = tmp_path / "other.toml"
    other.write_text(EXAMPLE_SERVICE.read_text().replace('code = "fra"', 'code = "fft", codes = ["fra"]'))
    workflow.derive(tmp_path / "run", service=str(other))
    run = Run.open(tmp_path / "run")
    sites = {site["site"] for site in workflow.show(run)["targets"][0]["sites"]}
    assert "fft" in sites
    assert "fra" not in sites


def test_a_derive_that_fails_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    bring(SAMPLE / "before.ndjson.gz", tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(CatchmentError):
        workflow.derive(tmp_path / "run", service="k-root")
    assert contents(tmp_path / "run") == before


def test_a_run_whose_tables_were_lost_is_mended_by_derive(tmp_path: Path) -> None:
    run = tmp_path / "run"
    bring(SAMPLE / "before.ndjson.gz", run, probes=SAMPLE / "probes.json")
    before = contents(run)
    (run / "metrics.json").unlink()
    (run / "assignments" / "part-0.parquet").unlink()
    with pytest.raises(InvalidRun, match="not complete"):
        Run.open(run)
    workflow.derive(run)
    assert contents(run) == before


@pytest.mark.parametrize(("left", "complaint"), [(None, "gone since it was imported"), (1, "when it was imported")])
def test_a_run_that_lost_raw_results_keeps_its_tables(tmp_path: Path, left: int | None, complaint: str) -> None:
    names = ["first.ndjson", "second.ndjson"]
    for number, name in enumerate(names, start=1):
        (tmp_path / name).write_bytes(lines(*(dns_result(10 * number + one, "fra1") for one in range(3))))
    files, out = [tmp_path / name for name in names], tmp_path / "results" / "x" / "one"
    run = workflow.import_results(files, out, service=str(EXAMPLE_SERVICE)).run
    before = contents(run / "observations")
    raw = run / "raw" / "second.ndjson"
    if left is None:
        raw.unlink()
    else:  # whole lines, so that nothing looks broken
        raw.write_bytes(b"".join(raw.read_bytes().splitlines(keepends=True)[:left]))
    with pytest.raises(InvalidRun, match=f"second.ndjson: .*{complaint}"):
        workflow.derive(run)
    assert contents(run / "observations") == before
    (tmp_path / "second.ndjson").replace(raw)
    workflow.derive(run)
    assert contents(run / "observations") == before


def test_hostile_identities_are_stored_as_printable_text(import_lines: Import) -> None:
    hostile = "\x1b[31mred\x00<script>\u202e=cmd()"
    run = import_lines(dns_result(1, hostile))
    text = run.observations.to_dicts()[0]["identity"]
    assert text.isascii()
    assert text.isprintable()
    assert "\\x1b[31mred\\x00<script>" in text


def test_a_map_needs_places(import_lines: Import, tmp_path: Path) -> None:
    run = import_lines(dns_result(1))
    with pytest.raises(UnknownName, match="--probes"):
        workflow.draw_map([(run, Window())], tmp_path / "map.png")


def test_maps_are_drawn_of_one_run_and_of_what_moved(sample: dict[str, Run], tmp_path: Path) -> None:
    before, after = (sample["before"], Window()), (sample["after"], Window())
    assert workflow.draw_map([before], tmp_path / "map.svg") == [tmp_path / "map.svg"]
    workflow.draw_map([before, after], tmp_path / "moves.png", region="europe")
    assert ElementTree.parse(tmp_path / "map.svg").getroot().tag.endswith("svg")  # noqa: S314  (we wrote it)
    assert (tmp_path / "moves.png").read_bytes().startswith(b"\x89PNG")


def test_each_target_has_a_map_of_its_own(import_lines: Import, tmp_path: Path) -> None:
    run = import_lines(
        dns_result(1, "ns1.nl-ams.k.ripe.net", dst_addr="193.0.14.129"),
        dns_result(1, "ns1.de-fra.k.ripe.net", dst_addr="2001:7fd::1", af=6),
        service="k-root",
        probes=[place(1)],
    )
    files = workflow.draw_map([(run, Window())], tmp_path / "map.png")
    assert [file.name for file in files] == ["map-193.0.14.129.png", "map-2001-7fd--1.png"]


def test_a_path_is_never_read_as_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "in[1].json").write_bytes(lines(dns_result(1)))
    (tmp_path / "in1.json").write_bytes(lines(dns_result(1), dns_result(2)))
    done = bring(tmp_path / "in[1].json", tmp_path / "run[2]")
    bring(tmp_path / "in1.json", tmp_path / "run2")
    assert done.reading.records == 1
    numbers = workflow.show(Run.open(tmp_path / "run[2]"), by=Grouping.SITE)
    assert numbers["targets"][0]["vantage_points"]["total"] == 1


def test_a_raw_file_with_a_hidden_name_is_derived_too(tmp_path: Path) -> None:
    (tmp_path / ".hidden.json").write_bytes(lines(dns_result(1)))
    bring(tmp_path / ".hidden.json", tmp_path / "run")
    before = contents(tmp_path / "run")
    workflow.derive(tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_pipe_is_refused_in_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidFile, match="not a file but a folder, pipe or device"):
        bring(tmp_path / "pipe", tmp_path / "run")


def test_a_window_that_holds_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="no result lies in the window"):
        bring(SAMPLE / "before.ndjson.gz", tmp_path / "run", cut=Window(start=4e9))


def test_a_run_with_damaged_numbers_is_named_and_the_others_are_listed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        bring(SAMPLE / "before.ndjson.gz", tmp_path / "campaign" / name)
    (tmp_path / "campaign" / "a" / "metrics.json").write_text("{")
    listed = workflow.list_runs(tmp_path)
    assert [run["run"] for run in listed["runs"]] == ["b"]
    assert "catchment derive" in listed["damaged"][0]
    with pytest.raises(InvalidRun, match="damaged"):
        workflow.show(Run.open(tmp_path / "campaign" / "a"))


def test_observed_sites_include_those_that_answered_only_sometimes(import_lines: Import) -> None:
    ber = "ber1.example-dns.net"
    answers = [dns_result(1, timestamp=NOON + n) for n in range(3)]
    run = import_lines(*answers, dns_result(1, ber, timestamp=NOON + 9), probes=[place(1, 52.5, 13.4)])
    target = workflow.show(run, site_set=SiteSet.OBSERVED)["targets"][0]
    assert (target["site_set"]["sites"], target["closest_hit"]) == (2, 0.0)
