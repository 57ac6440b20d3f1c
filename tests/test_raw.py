"""Results of own packets: appended as they come, whole after a crash, compressed at the end."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from catchment.errors import InvalidRun
from catchment.store import ResultWriter, read_results


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


def test_while_it_is_measured_a_result_is_a_line_of_a_plain_file(tmp_path: Path) -> None:
    with ResultWriter(tmp_path) as writer:
        writer.write(result(7))
        assert list(read_results(tmp_path, 7)) == [result(7)]
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


@pytest.mark.parametrize("zeros", [bytes(40) + b"\n", bytes(200_000) + b"\n" + bytes(9), bytes(7) + b'{"msm_id":7}\n'])
def test_zeros_that_a_loss_of_power_left_are_cut_when_it_goes_on(tmp_path: Path, zeros: bytes) -> None:
    with ResultWriter(tmp_path) as writer:
        writer.write(result(7, 1))
    with (tmp_path / "raw" / "7.ndjson").open("ab") as stream:
        stream.write(zeros)
    assert write(tmp_path, result(7, 2)) == {7: ("7.ndjson.gz", 2)}
    assert read(tmp_path / "raw" / "7.ndjson.gz") == [result(7, 1), result(7, 2)]


def test_of_a_file_and_what_was_half_made_of_it_the_file_counts(tmp_path: Path) -> None:
    write(tmp_path, result(7, 1), result(7, 2))
    whole, lines = tmp_path / "raw" / "7.ndjson.gz", [result(7, 1), result(7, 2)]
    (tmp_path / "raw" / "7.ndjson").write_bytes(gzip.decompress(whole.read_bytes()))
    whole.write_bytes(whole.read_bytes()[:-12])
    assert write(tmp_path, result(7, 3)) == {7: ("7.ndjson.gz", 3)}
    assert read(whole) == [*lines, result(7, 3)]


@pytest.mark.parametrize("damage", [lambda raw: raw[:-12], lambda raw: raw[:20] + b"\xff" * 9 + raw[29:]])
def test_a_damaged_file_is_told_in_a_line(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write(tmp_path, *[result(7, second) for second in range(100)])
    file = tmp_path / "raw" / "7.ndjson.gz"
    file.write_bytes(damage(file.read_bytes()))
    for going_on in (
        lambda: list(read_results(tmp_path, 7)),
        lambda: write(tmp_path),
        lambda: write(tmp_path, result(7)),
    ):
        with pytest.raises(
            InvalidRun, match=r"7\.ndjson\.gz: damaged: measure the run anew, or remove the file"
        ) as raised:
            going_on()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("line", [b"no JSON\n", b"[1]\n", b"\xff\n"])
def test_a_line_that_is_no_result_is_told_in_a_line(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "7.ndjson").write_bytes(line + json.dumps(result(7)).encode() + b"\n")
    with pytest.raises(InvalidRun, match=r"7\.ndjson: damaged"):
        list(read_results(tmp_path, 7))


def test_what_was_written_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from catchment.store import ResultWriter
writer = ResultWriter(Path(sys.argv[1]))
for number in range(5):
    writer.write({"msm_id": 7, "timestamp": number})
print("written", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
    assert write(tmp_path) == {7: ("7.ndjson.gz", 5)}


def test_a_folder_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file in its place")
    with pytest.raises(InvalidRun, match="make it writable, then go on") as failure:
        ResultWriter(tmp_path)
    assert "\n" not in str(failure.value)
