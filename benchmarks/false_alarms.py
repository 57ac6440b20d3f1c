"""Count how often `compare` raises an alarm where nothing changed but the noise.

    python -m benchmarks.false_alarms [--seeds N] [--sizes N …] [--traceroutes] [--sandbox SEED …]

Both sides are drawn alike: each vantage point has its round trip and its site; its answers queue for some milliseconds,
every fifth is behind a busy radio link, one query in a hundred is lost, and traceroutes go by one of two routers as
their flow has it. Prints for each number of vantage points, and of answers and traceroutes on either side, how many of
N comparisons say that somebody is slower, that a route leaked, that servers died, or that somebody else answers (before
all else, or now and then); and how many notice it when one in twenty takes 200 ms more, and tell a leak when one in
twenty or half of them take another way as well. Then with round trips in whole milliseconds, of which every fifth takes
20 ms more; with a box before every fifth vantage point that answers one query in ten itself; and with one query in
twenty lost, at many small sites. With --traceroutes it varies these instead: how many there are, and one of the routers
takes 70 ms more, be it drawn for each of them or for all of a side. With --sandbox it also measures the simulated
Internet, without a route change, and holds the first half of each run against the second.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.two_sides import TARGET, Seen, compare_sides, lost
from catchment import store, workflow
from catchment.model import Verdict, Window

SIZES = (10, 30, 100, 300, 1000)
ALARMS = {
    "slower": "slower now",
    "leak": "as after a route leak",
    "dead": "seem dead",
    "caught": r"^\d+ of [\d,]+ vantage points? (now|no longer) |now and then hear",
}
_MORE_MS = 200.0
_QUEUED_MS = 20.0
_ROUTERS = "198.51.100.1", "198.51.100.2"
_LEAKED_BY = "203.0.113.1"
_CAMPAIGN = """
name = "quiet"
platform = "sandbox"
targets = [{ service = "demo-dns" }, { service = "demo-cdn" }]
vantage_points = { count = 1000 }
queries = [{ kind = "dns", name = "hostname.bind" }, { kind = "ping" }, { kind = "traceroute" }]
schedule = { interval_s = 900, rounds = 4 }
sandbox = { seed = SEED }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How many answers and traceroutes there are before and after, and what befalls them.

    `boxed` is the share of queries that a box before every fifth vantage point answers itself. Where sites are `ranked`
    few have most vantage points, and most have two or three. By the second router a traceroute takes `detour_ms` more.
    Where ways are `kept`, all traceroutes of a side go by the same: half of them change for good, to the better or to
    the worse.
    """

    answers: tuple[int, int]
    traces: tuple[int, int] = (3, 3)
    whole_ms: bool = False
    boxed: float = 0.0
    loss: float = 0.01
    sites: int = 40
    ranked: bool = False
    detour_ms: float = 0.0
    kept: bool = False

    def __str__(self) -> str:
        more = [
            "whole ms" * self.whole_ms,
            f"boxes {self.boxed:.0%}" * (self.boxed > 0),
            f"loss {self.loss:.0%}, {self.sites} sites" * self.ranked,
            f"detours +{self.detour_ms:.0f} ms" * (self.detour_ms > 0),
            "kept" * self.kept,
        ]
        asked = f"answers {self.answers[0]}:{self.answers[1]}, traceroutes {self.traces[0]}:{self.traces[1]}"
        return ", ".join([asked, *filter(None, more)])


NOISES = (
    *(Noise(answers=answers) for answers in ((1, 1), (4, 4), (20, 20), (20, 1))),
    *(Noise(answers=(4, 4), traces=traces) for traces in ((1, 3), (3, 1), (2, 3))),
    *(Noise(answers=answers, whole_ms=True) for answers in ((20, 20), (3, 60), (60, 3))),
    *(Noise(answers=answers, boxed=0.1) for answers in ((1, 1), (20, 20), (1, 20), (20, 1))),
    *(Noise(answers=answers, loss=0.05, sites=150, ranked=True) for answers in ((1, 1), (20, 1))),
)
TRACEROUTES = ((1, 3), (3, 1), (1, 2), (2, 3), (3, 3), (20, 1))
DETOURS = tuple(
    Noise(answers=(4, 4), traces=traces, detour_ms=detour_ms, kept=kept)
    for detour_ms, kept in ((0.0, False), (70.0, False), (70.0, True))
    for traces in TRACEROUTES
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--traceroutes", action="store_true")
    parser.add_argument("--sandbox", type=int, nargs="*", default=[])
    given = parser.parse_args()
    print("vantage points, noise before and after: alarms without a change; noticed where one in twenty is slower;")
    print("leaks told, of one in twenty and of half")
    for noise in DETOURS if given.traceroutes else NOISES:
        for size in given.sizes:
            found, noticed, told = count_alarms(size, noise, range(given.seeds)), 0, [0, 0]
            for seed in range(given.seeds // 10):
                found_then = alarms(compare_noise(size, noise, seed, slower=size // 20))
                noticed += bool(found_then & {"slower", "leak"})
                for number, leaked in enumerate((size // 20, size // 2)):
                    told[number] += "leak" in alarms(compare_noise(size, noise, seed, slower=leaked, by=_LEAKED_BY))
            rates = ", ".join(f"{alarm} {100 * found[alarm] / given.seeds:.1f} %" for alarm in ALARMS)
            told_of = f"noticed {noticed}, leaks {told[0]} and {told[1]} of {given.seeds // 10}"
            print(f"{size:5}, {noise}: {rates}; {told_of}", flush=True)
    for seed in given.sandbox:
        for target in compare_sandbox(seed):
            print(f"sandbox {seed}, {target['target']}: {target['summary']}", flush=True)


def count_alarms(size: int, noise: Noise, seeds: range) -> Counter[str]:
    """Return how many comparisons of nothing but noise raise which alarm."""
    return Counter(alarm for seed in seeds for alarm in alarms(compare_noise(size, noise, seed)))


def alarms(found: dict[str, Any]) -> set[str]:
    """Return which alarms the summary of a comparison raises."""
    return {alarm for alarm, words in ALARMS.items() if re.search(words, found["summary"])}


def compare_noise(
    size: int,
    noise: Noise,
    seed: int,
    *,
    slower: int = 0,
    by: str | None = None,
    hijacked: int = 0,
    share: float = 1.0,
) -> dict[str, Any]:
    """Return a comparison of two sides drawn alike, but for the first few vantage points, which are slower after.

    They are slower `by` another router, where it is given. Somebody else answers the first few `hijacked` after, a
    share of their queries.
    """
    rng = random.Random(f"{seed}/{size}/{noise}")
    base_ms = [rng.uniform(5.0, 80.0) for _ in range(size)]
    weights = [1 / rank if noise.ranked else 1.0 for rank in range(1, noise.sites + 1)]
    sites = rng.choices(range(noise.sites), weights, k=size) if noise.ranked else [n % noise.sites for n in range(size)]
    before, after = (
        [
            _seen(
                rng,
                noise,
                f"v:{number}",
                f"s{sites[number]}",
                base_ms=ms + (_MORE_MS if is_after and number < slower else 0.0),
                is_busy=number % 5 == 0,
                counts=(noise.answers[is_after], noise.traces[is_after]),
                evil=share if is_after and number < hijacked else 0.0,
                by=by if is_after and number < slower else None,
            )
            for number, ms in enumerate(base_ms)
        ]
        for is_after in (False, True)
    )
    return compare_sides(before, after, drawn=True)


def _seen(
    rng: random.Random,
    noise: Noise,
    vantage: str,
    site: str,
    *,
    base_ms: float,
    is_busy: bool,
    counts: tuple[int, int],
    evil: float,
    by: str | None,
) -> Seen:
    def packet_ms() -> float:
        if noise.whole_ms:
            return round(base_ms) + (_QUEUED_MS if rng.random() < 0.2 else 0.0)
        return base_ms + rng.expovariate(1 / 6.0) + (rng.expovariate(1 / 15.0) if is_busy else 0.0)

    answers, traces = counts
    boxed = noise.boxed if is_busy else 0.0
    heard, foreign = list[float](), Counter[str]()
    for _ in range(answers):
        if rng.random() < noise.loss:
            continue
        chance = rng.random()
        if chance < evil:
            foreign["ns1.hijacker.example"] += 1
        elif chance < evil + boxed:
            foreign["box.example"] += 1
        else:
            heard.append(packet_ms())
    routers: tuple[str, ...] = _ROUTERS if by is None else (by,)
    if noise.kept:
        routers = (rng.choice(routers),)
    traced = [_trace(rng, packet_ms, routers, noise.detour_ms) for _ in range(traces)]
    if not heard and not foreign:
        return lost(vantage, Verdict.DNS_DEAD, traces=traced)
    if foreign.total() > len(heard):
        return lost(vantage, Verdict.FOREIGN_IDENTITY, traces=traced, foreign=foreign)
    return Seen(vantage=vantage, site=site, rtts_ms=heard, traces=traced, foreign=foreign)


def _trace(rng: random.Random, packet_ms: Callable[[], float], routers: tuple[str, ...], detour_ms: float) -> bytes:
    router = rng.choice(routers)
    reply_ms = min(packet_ms() for _ in range(3)) + (detour_ms if router == _ROUTERS[1] else 0.0)
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
