"""Time `catchment import` against the same file read by orjson.loads and by ripe.atlas.sagan, in one run.

    python benchmarks/generate_results.py --megabytes 500 results.ndjson probes.json
    python benchmarks/import_speed.py results.ndjson probes.json

The import is a whole process: start-up, reading, assignment, metrics, all files written. orjson reads every line on one
core and keeps nothing. sagan reads a sample of lines (it would take minutes) and gives what the import needs of each
reply: identity, rcode and RTT. The three take turns; medians are printed.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import orjson
from ripe.atlas.sagan import Result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("probes", type=Path)
    parser.add_argument("--service", default="k-root")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sample", type=int, default=20_000, help="lines that sagan reads")
    asked = parser.parse_args()
    logging.disable()
    lines = sum(1 for _ in asked.results.open("rb"))
    seconds: dict[str, list[float]] = {"orjson": [], "catchment": [], "sagan": []}
    peaks = []
    for _ in range(asked.rounds):
        seconds["orjson"].append(read_with_orjson(asked.results))
        elapsed, peak_mb = run_import(asked.results, asked.probes, asked.service)
        seconds["catchment"].append(elapsed)
        peaks.append(peak_mb)
        seconds["sagan"].append(read_with_sagan(asked.results, asked.sample) / asked.sample * lines)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        f"{asked.results.stat().st_size / 1e6:.0f} MB, {lines:,} lines, {os.cpu_count()} cores, {asked.rounds} rounds"
    )
    for name, values in seconds.items():
        print(f"{name:10} {median[name]:8.2f} s  [{min(values):.2f} to {max(values):.2f}]")
    print(f"catchment takes {median['catchment'] / median['orjson']:.2f} times what orjson.loads takes")
    print(f"catchment is {median['sagan'] / median['catchment']:.0f} times as fast as sagan")
    print(f"catchment's peak memory: {max(peaks):.0f} MB")


def read_with_orjson(results: Path) -> float:
    start = time.perf_counter()
    with results.open("rb") as lines:
        for line in lines:
            try:
                orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
    return time.perf_counter() - start


def read_with_sagan(results: Path, sample: int) -> float:
    with results.open(encoding="utf-8") as stream:
        lines = list(islice(stream, sample))
    start = time.perf_counter()
    for line in lines:
        try:
            for response in Result.get(line).responses:
                if response.abuf is not None:
                    _ = [answer.data for answer in response.abuf.answers if hasattr(answer, "data")]
                    _ = response.abuf.header.return_code
                _ = response.response_time
        except Exception:  # noqa: BLE001  (the sample holds malformed lines, and sagan fails in many ways)
            continue
    return time.perf_counter() - start


def run_import(results: Path, probes: Path, service: str) -> tuple[float, float]:
    """Import in a process of its own; return its seconds and its peak memory in MB."""
    folder = Path(tempfile.mkdtemp(prefix="catchment-benchmark-"))
    words = [
        "import",
        str(results),
        "--service",
        service,
        "--probes",
        str(probes),
        "--out",
        str(folder / "runs" / "run"),
    ]
    try:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", "from catchment.cli import main; main()", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - start
        if status != 0:
            sys.exit(f"the import failed: run it by hand: catchment {' '.join(words)}")
        return elapsed, usage.ru_maxrss / 1024
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
