"""Hold the sites that pings and traceroutes alone give against the sandbox's truth, rule by rule.

    python benchmarks/witnesses.py [SEED …]

Measures two services of the sandbox from 1,000 vantage points by ping and traceroute, four times, and never asks for an
identity: as one measures an anycast address that is no DNS server. A site is right if the vantage point's packets go
there. Vantage points that are not where they say, or whose packets never come back, are counted apart.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import duckdb

from catchment import store, workflow
from catchment.engine import parts, quote_path

CAMPAIGN = """
name = "witnesses"
platform = "sandbox"
targets = [{ service = "demo-dns" }, { service = "demo-cdn" }]
queries = [{ kind = "ping" }, { kind = "traceroute" }]
vantage_points = { count = 1000 }
schedule = { interval_s = 900, rounds = 4 }
sandbox = { seed = SEED }
"""


def main() -> None:
    """Print for each rule how many vantage points it assigned, and how many of them rightly."""
    given: Counter[tuple[str, str, bool]] = Counter()
    for seed in [int(word) for word in sys.argv[1:] or ["1"]]:
        with tempfile.TemporaryDirectory() as folder:
            given.update(judge(measure(Path(folder), seed)))
    print(f"{'rule':24} {'confidence':10} {'judged':>8} {'right':>8} {'share':>7}")
    by_rule: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for (rule, confidence, is_right), count in given.items():
        by_rule[rule, confidence][0] += count
        by_rule[rule, confidence][1] += count * is_right
    for (rule, confidence), (judged, right) in sorted(by_rule.items(), key=lambda entry: -entry[1][0]):
        share = f"{right / judged:.4f}" if confidence != "none" else "–"
        print(f"{rule:24} {confidence:10} {judged:8,} {right:8,} {share:>7}")
    assigned = {key: counts for key, counts in by_rule.items() if key[1] != "none"}
    judged, right = (sum(counts[at] for counts in assigned.values()) for at in (0, 1))
    total = given.total()
    print(f"assigned {judged:,} of {total:,} ({judged / total:.3f}), {right / max(1, judged):.4f} of them rightly")


def measure(folder: Path, seed: int) -> Path:
    """Run the campaign on the world of a seed; return the run."""
    file = folder / "campaign.toml"
    file.write_text(CAMPAIGN.replace("SEED", str(seed)))
    return workflow.run_campaign(file, folder, folder / "run", environ={}).run


def judge(run: Path) -> Counter[tuple[str, str, bool]]:
    """Count rules, confidences and whether the site is right, of vantage points where nothing hides the truth."""
    rows = duckdb.connect().execute(
        f"""SELECT a.rule, coalesce(a.confidence, 'none'), coalesce(list_contains(t.sites, a.site), FALSE), count(*)
        FROM {parts(run / store.ASSIGNMENTS)} AS a
        JOIN read_json({quote_path(store.truth_file(run))}, format = 'newline_delimited') AS t
            ON a.vantage = 'atlas:' || t.vantage AND a.target = t.address
        WHERE coalesce(t.trouble, '') NOT IN ('mislocated', 'cut-off', 'cannot-send', 'offline') AND len(t.sites) > 0
        GROUP BY ALL"""
    )
    return Counter({(rule, confidence, right): count for rule, confidence, right, count in rows.fetchall()})


if __name__ == "__main__":
    main()
