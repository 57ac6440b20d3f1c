"""Hold the verdicts on the sandbox against its truth: precision and recall of each, and every confusion.

    python benchmarks/verdicts.py [SEED …]

Measures two services of the sandbox from 1,000 vantage points, with pings, four times; without a route change. A site
is right if truth.ndjson has it; a verdict is right if it is the one that names what is wrong with the vantage point.
A vantage point in the wrong place, or an answer out of a cache, can be found out only where light contradicts it:
behind a satellite hardly ever. Whether it does is worked out from the true places and delays; where it does not, `ok`
is right, and where a millisecond or two decide, neither counts. Prints a table a seed, then how often a clean vantage
point was accused or put to a wrong site: neither may be.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from geopy.distance import geodesic

from catchment import store, workflow
from catchment.engine import parts, quote_path
from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM
from catchment.model import ASSIGNED, Site, Verdict

CAMPAIGN = """
name = "verdicts"
platform = "sandbox"
targets = [{ service = "demo-dns" }, { service = "demo-cdn" }]
vantage_points = { count = 1000 }
schedule = { interval_s = 240, rounds = 4 }
sandbox = { seed = SEED }
"""
EXPECTED = {
    None: Verdict.OK,
    "flapping": Verdict.OK,
    "mislocated": Verdict.MISLOCATED,
    "dns-blocked": Verdict.DNS_DEAD,
    "cut-off": Verdict.UNREACHABLE,
    "cannot-send": Verdict.PROBE_FAILED,
    "offline": Verdict.NO_RESULT,
    "garbled": Verdict.MALFORMED,
    "damaged": Verdict.REPAIRED,
    "foreign": Verdict.FOREIGN_IDENTITY,
    "refused": Verdict.INTERCEPTED_ERROR,
    "empty": Verdict.INTERCEPTED_EMPTY,
    "replay": Verdict.IMPOSSIBLE_RTT,
}
_CACHE_MS = 8.0  # a cache answers within this after the last mile
_JITTER_MS = 5.0  # the least of four answers is hardly ever later than this


@dataclass
class Scores:
    """What was due and what was given, for each vantage point and target, and what became of the clean ones."""

    given: Counter[tuple[str, Verdict, Verdict]] = field(default_factory=Counter)  # what is wrong, due, given
    on_the_edge: int = 0
    clean: int = 0
    clean_wrong: list[str] = field(default_factory=list)
    flapping: int = 0
    flapping_seen: int = 0

    def add(self, other: Scores) -> None:
        self.given.update(other.given)
        self.on_the_edge += other.on_the_edge
        self.clean += other.clean
        self.clean_wrong += other.clean_wrong
        self.flapping += other.flapping
        self.flapping_seen += other.flapping_seen

    def precision(self, verdict: Verdict) -> float | None:
        return _share(self.given, lambda _, given: given is verdict, lambda due, _: due is verdict)

    def recall(self, verdict: Verdict) -> float | None:
        return _share(self.given, lambda due, _: due is verdict, lambda _, given: given is verdict)


def _share(given: Counter[tuple[str, Verdict, Verdict]], among: Any, right: Any) -> float | None:
    of = sum(count for (_, *pair), count in given.items() if among(*pair))
    return sum(count for (_, *pair), count in given.items() if among(*pair) and right(*pair)) / of if of else None


def main() -> None:
    seeds = [int(word) for word in sys.argv[1:] or ["1"]]
    total = Scores()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            scores = score(measure(Path(folder), seed))
        show(f"seed {seed}", scores)
        total.add(scores)
    if len(seeds) > 1:
        show(f"all {len(seeds)} seeds", total)


def measure(folder: Path, seed: int) -> Path:
    file = folder / "campaign.toml"
    file.write_text(CAMPAIGN.replace("SEED", str(seed)))
    return workflow.run_campaign(file, folder, folder / "run", environ={}).run


def score(run: Path) -> Scores:
    services = store.read_header(run).services
    sites = {(service.name, site.code): site for service in services for site in service.sites}
    table = duckdb.connect().execute(
        f"""SELECT coalesce(t.trouble, t.interception) AS what, a.verdict, a.site, t.sites, a.flips, a.vantage,
            a.target, t.service, t.rtt_ms, t.last_mile_ms, v.latitude, v.longitude
        FROM {parts(run / "assignments")} AS a
        JOIN {parts(run / "vantage_points")} AS v USING (vantage)
        JOIN read_json({quote_path(store.truth_file(run))}, format = 'newline_delimited') AS t
            ON a.vantage = 'atlas:' || t.vantage AND a.target = t.address
        ORDER BY ALL"""
    )
    names = [column[0] for column in table.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in table.fetchall()]
    surely = Counter(row["vantage"] for row in rows if _light_contradicts(row, sites, _JITTER_MS))
    perhaps = Counter(row["vantage"] for row in rows if _light_contradicts(row, sites, 0.0))
    scores = Scores()
    for row in rows:
        if surely[row["vantage"]] != perhaps[row["vantage"]]:
            scores.on_the_edge += 1
            continue
        due, given = _due(row, sites, surely[row["vantage"]]), Verdict(row["verdict"])
        scores.given[row["what"] or "clean", due, given] += 1
        if row["what"] is None:
            scores.clean += 1
            if given not in ASSIGNED or given is not Verdict.OK or [row["site"]] != row["sites"]:
                scores.clean_wrong.append(
                    f"{row['vantage']} {row['target']}: {given} {row['site']}, truly {row['sites']}"
                )
        if row["what"] == "flapping" and len(row["sites"]) > 1:
            scores.flapping += 1
            scores.flapping_seen += row["flips"] > 0 and row["site"] in row["sites"]
    return scores


def _due(row: dict[str, Any], sites: dict[tuple[str, str], Site], contradicted: int) -> Verdict:
    if row["what"] not in {"mislocated", "replay"}:
        return EXPECTED[row["what"]]
    if not _light_contradicts(row, sites, _JITTER_MS):
        return Verdict.OK
    return Verdict.MISLOCATED if row["what"] == "mislocated" and contradicted > 1 else Verdict.IMPOSSIBLE_RTT


def _light_contradicts(row: dict[str, Any], sites: dict[tuple[str, str], Site], jitter_ms: float) -> bool:
    """Tell whether light cannot have brought the answer from where it seems to come to where the vantage point says."""
    here = row["latitude"], row["longitude"]
    if row["what"] == "mislocated":
        claimed_km = _km(here, sites[row["service"], row["sites"][0]])
        rtt_ms = float(row["rtt_ms"]) + jitter_ms
    elif row["what"] == "replay":
        claimed_km = max(_km(here, site) for (service, _), site in sites.items() if service == row["service"])
        rtt_ms = float(row["last_mile_ms"]) + _CACHE_MS + jitter_ms
    else:
        return False
    return claimed_km > rtt_ms * IMPOSSIBLE_KM_PER_MS + IMPOSSIBLE_SLACK_KM


def _km(here: tuple[float, float], site: Site) -> float:
    return float(geodesic(here, (site.latitude, site.longitude)).km)


def show(title: str, scores: Scores) -> None:
    print(f"{title}: {sum(scores.given.values())} vantage points and targets")
    print(f"{'verdict':30} {'precision':>9} {'recall':>9}")
    for verdict in dict.fromkeys(EXPECTED.values()):
        cells = (scores.precision(verdict), scores.recall(verdict))
        print(f"{verdict:30} " + " ".join("        –" if cell is None else f"{cell:9.3f}" for cell in cells))
    for (what, due, given), count in sorted(scores.given.items()):
        if due is not given:
            print(f"  {what}: {given} where {due} was due: {count}")
        elif what in {"mislocated", "replay"} and due is Verdict.OK:
            print(f"  {what}: not contradicted by light, and so {given}: {count}")
    print(f"on the edge of what light allows: {scores.on_the_edge}")
    print(f"clean: {scores.clean}, wrong site or accused: {len(scores.clean_wrong)}")
    print(f"flapping between two sites: {scores.flapping}, of which two were seen: {scores.flapping_seen}")
    for line in scores.clean_wrong[:10]:
        print(f"  {line}")


if __name__ == "__main__":
    main()
