"""Results of own packets: appended as they come, whole after a crash, compressed at the end."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from catchment.errors import InvalidRun
from catchment.store import ResultWriter


def result(measurement: int, second: float = 1.5) -> dict[str, object]:
    return {"msm_id": measurement, "prb_id": 7, "timestamp": second, "type": "ping"}


def write(run: Path, *results: dict[str, object]) -> dict[int, tuple[str, int]]:
    with ResultWriter(run) as writer:
        for one in results:
            writer.write(one)
        return writer.finish()


def read(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def test_each_measurement_has_its_file_with_its_results_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    found = write(tmp_path, result(12, 3.25), result(7, 1), result(12, 2.5))
    assert found == {7: ("7.ndjson.gz", 1), 12: ("12.ndjson.gz", 2)}
    assert read(tmp_path / "raw" / "12.ndjson.gz") == [result(12, 3.25), result(12, 2.5)]
    assert sorted(file.name for file in (tmp_path / "raw").iterdir()) == ["12.ndjson.gz", "7.ndjson.gz"]


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    for run in (tmp_path / "first", tmp_path / "second"):
        run.mkdir()
        write(run, result(7))
    assert (tmp_path / "first/raw/7.ndjson.gz").read_bytes() == (tmp_path / "second/raw/7.ndjson.gz").read_bytes()


def test_while_it_is_measured_a_result_that_was_flushed_is_a_line_of_a_plain_file(tmp_path: Path) -> None:
    with ResultWriter(tmp_path) as writer:
        writer.write(result(7))
        writer.flush()
        assert json.loads((tmp_path / "raw" / "7.ndjson").read_bytes()) == result(7)


@pytest.mark.parametrize("torn", [b'{"msm_id": 7, "time', b"x" * 200_000, b""])
def test_a_line_without_its_end_is_cut_when_it_goes_on(tmp_path: Path, torn: bytes) -> None:
    with ResultWriter(tmp_path) as writer:
        writer.write(result(7, 1))
    with (tmp_path / "raw" / "7.ndjson").open("ab") as stream:
        stream.write(torn)
    assert write(tmp_path, result(7, 2)) == {7: ("7.ndjson.gz", 2)}
    assert read(tmp_path / "raw" / "7.ndjson.gz") == [result(7, 1), result(7, 2)]


def test_a_file_with_nothing_but_half_a_line_is_none(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "7.ndjson").write_bytes(b'{"msm')
    assert write(tmp_path) == {}
    assert list((tmp_path / "raw").iterdir()) == []


def test_killed_between_compressing_and_removing_the_results_are_there_once(tmp_path: Path) -> None:
    write(tmp_path, result(7))
    (tmp_path / "raw" / "7.ndjson").write_text(json.dumps(result(7)) + "\n")
    (tmp_path / "raw" / ".9.ndjson.gz.partial").write_bytes(b"\x1f\x8b half")
    assert write(tmp_path) == {7: ("7.ndjson.gz", 1)}
    assert [file.name for file in (tmp_path / "raw").iterdir()] == ["7.ndjson.gz"]


def test_a_measurement_that_was_finished_can_grow_again(tmp_path: Path) -> None:
    write(tmp_path, result(7, 1))
    assert write(tmp_path, result(7, 2)) == {7: ("7.ndjson.gz", 2)}
    assert read(tmp_path / "raw" / "7.ndjson.gz") == [result(7, 1), result(7, 2)]


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "notes.ndjson").write_text("mine")
    assert write(tmp_path, result(7)) == {7: ("7.ndjson.gz", 1)}
    assert (tmp_path / "raw" / "notes.ndjson").read_text() == "mine"


def test_what_was_flushed_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from catchment.store import ResultWriter
writer = ResultWriter(Path(sys.argv[1]))
for number in range(5):
    writer.write({"msm_id": 7, "timestamp": number})
writer.flush()
print("flushed", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"flushed\n"
        os.kill(process.pid, signal.SIGKILL)
    assert write(tmp_path) == {7: ("7.ndjson.gz", 5)}


def test_a_folder_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file in its place")
    with pytest.raises(InvalidRun, match="make it writable, then go on") as failure:
        ResultWriter(tmp_path)
    assert "\n" not in str(failure.value)
