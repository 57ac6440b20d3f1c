"""Count how often `compare` raises an alarm where nothing changed but the noise.

    python -m benchmarks.false_alarms [--seeds N] [--sandbox SEED …]

Both sides are drawn alike: each vantage point has its round trip and its site; its answers queue for some milliseconds,
every fifth is behind a busy radio link, one query in a hundred is lost, and traceroutes go by one of two routers as
their flow has it. Prints for each number of vantage points, and of answers on either side, how many of N comparisons
say that somebody is slower, that a route leaked, or that servers died; and how many notice it when one in twenty takes
200 ms more. With --sandbox it also measures the simulated Internet, without a route change, and holds the first half of
each run against the second.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.two_sides import TARGET, Seen, compare_sides, lost
from catchment import store, workflow
from catchment.model import Verdict, Window

SIZES = (10, 30, 100, 300, 1000)
ANSWERS = ((1, 1), (4, 4), (20, 20), (20, 1))
ALARMS = {"slower": "slower now", "leak": "as after a route leak", "dead": "seem dead"}
_SITES = 40
_TRACES = 3
_MORE_MS = 200.0
_CAMPAIGN = """
name = "quiet"
platform = "sandbox"
targets = [{ service = "demo-dns" }, { service = "demo-cdn" }]
vantage_points = { count = 1000 }
queries = [{ kind = "dns", name = "hostname.bind" }, { kind = "ping" }, { kind = "traceroute" }]
schedule = { interval_s = 900, rounds = 4 }
sandbox = { seed = SEED }
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--sandbox", type=int, nargs="*", default=[])
    given = parser.parse_args()
    print("vantage points, answers before and after: alarms without a change; noticed where one in twenty is slower")
    for size in SIZES:
        for answers in ANSWERS:
            found, noticed = count_alarms(size, answers, range(given.seeds)), 0
            for seed in range(given.seeds // 10):
                found_then = alarms(compare_noise(size, answers, seed, slower=size // 20))
                noticed += bool(found_then & {"slower", "leak"})
            rates = ", ".join(f"{alarm} {100 * found[alarm] / given.seeds:.1f} %" for alarm in ALARMS)
            print(
                f"{size:5} {answers[0]:3} {answers[1]:3}: {rates}; noticed {noticed} of {given.seeds // 10}", flush=True
            )
    for seed in given.sandbox:
        for target in compare_sandbox(seed):
            print(f"sandbox {seed}, {target['target']}: {target['summary']}", flush=True)


def count_alarms(size: int, answers: tuple[int, int], seeds: range) -> Counter[str]:
    """Return how many comparisons of nothing but noise raise which alarm."""
    return Counter(alarm for seed in seeds for alarm in alarms(compare_noise(size, answers, seed)))


def alarms(found: dict[str, Any]) -> set[str]:
    """Return which alarms the summary of a comparison raises."""
    return {alarm for alarm, words in ALARMS.items() if words in found["summary"]}


def compare_noise(size: int, answers: tuple[int, int], seed: int, slower: int = 0) -> dict[str, Any]:
    """Return a comparison of two sides drawn alike, but for the first few vantage points, which are slower after."""
    rng = random.Random(f"{seed}/{size}/{answers}")
    base_ms = [rng.uniform(5.0, 80.0) for _ in range(size)]
    before, after = (
        [_seen(rng, number, ms + (more_ms if number < slower else 0.0), count) for number, ms in enumerate(base_ms)]
        for count, more_ms in zip(answers, (0.0, _MORE_MS), strict=True)
    )
    return compare_sides(before, after)


def _seen(rng: random.Random, number: int, base_ms: float, answers: int) -> Seen:
    busy_ms = 15.0 if number % 5 == 0 else 0.0

    def packet_ms() -> float:
        return base_ms + rng.expovariate(1 / 6.0) + (rng.expovariate(1 / busy_ms) if busy_ms else 0.0)

    heard = [packet_ms() for _ in range(answers) if rng.random() >= 0.01]
    traces = [_trace(rng, packet_ms) for _ in range(_TRACES)]
    vantage, site = f"v:{number}", f"s{number % _SITES}"
    if not heard:
        return lost(vantage, Verdict.DNS_DEAD, traces=traces)
    return Seen(vantage=vantage, site=site, rtts_ms=heard, traces=traces)


def _trace(rng: random.Random, packet_ms: Callable[[], float]) -> bytes:
    router = rng.choice(["198.51.100.1", "198.51.100.2"])
    reply_ms = min(packet_ms() for _ in range(3))
    hops = [("192.168.1.1", 0.5), (router, reply_ms / 2), (TARGET.address, reply_ms)]
    result = [{"hop": hop, "result": [{"from": who, "rtt": ms}]} for hop, (who, ms) in enumerate(hops, start=1)]
    return json.dumps({"dst_addr": TARGET.address, "result": result}).encode()


def compare_sandbox(seed: int) -> Iterator[dict[str, Any]]:
    """Measure the simulated Internet for four rounds without a change; yield what its halves say of each target."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "campaign.toml"
        file.write_text(_CAMPAIGN.replace("SEED", str(seed)))
        run = store.Run.open(workflow.run_campaign(file, folder, folder / "run", environ={}).run)
        first, last = run.observations.aggregate("min(measured_at), max(measured_at)").fetchall()[0]
        sides = (run, Window(end=(first + last) / 2)), (run, Window(start=(first + last) / 2))
        yield from workflow.compare_runs(*sides)["targets"]


if __name__ == "__main__":
    main()
