"""Tell how much the generated world is like the real one: three numbers for each service and seed.

    python benchmarks/world_realism.py [--seeds 1 2 3 4 5] [--sites] [SERVICE…]

Real anycast services (root letters, published and recomputed from RIPE Atlas's public results) have a median round trip
of 10 to 60 ms, 20 to 60 % of vantage points that reach their nearest site, and 3 to 35 % that reach one more than
2,000 km beyond it. Only vantage points without trouble count; the round trip is without jitter. Numbers outside are
marked, and the script then exits with 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np

from catchment.geo import nearest
from catchment.model import Service
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.sandbox.internet.truth import truth
from catchment.platforms.topology.elements import Topology
from catchment.platforms.topology.hosting import host
from catchment.platforms.topology.world import make_world
from catchment.services import find_service

MEDIAN_RTT_MS = (10.0, 60.0)
CLOSEST_HIT = (0.20, 0.60)
FAR_BEYOND = (0.03, 0.35)
BEYOND_KM = 2000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Realism:
    """What one service looks like from one world; `sites` counts the vantage points of each site."""

    median_rtt_ms: float
    closest_hit: float
    far_beyond: float
    sites: Counter[str]

    @property
    def is_plausible(self) -> bool:
        return all(
            low <= value <= high
            for value, (low, high) in (
                (self.median_rtt_ms, MEDIAN_RTT_MS),
                (self.closest_hit, CLOSEST_HIT),
                (self.far_beyond, FAR_BEYOND),
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("services", nargs="*", metavar="SERVICE", default=["demo-dns", "demo-cdn", "k-root"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--sites", action="store_true", help="print the largest catchments, too")
    asked = parser.parse_args()
    print(f"{'service':14} seed  median RTT  closest hit  beyond {BEYOND_KM:.0f} km   world   host")
    plausible = True
    for name in asked.services:
        for seed in asked.seeds:
            found, world_s, host_s = look(find_service(name), seed)
            plausible &= found.is_plausible
            print(
                f"{name:14} {seed:4} {found.median_rtt_ms:8.1f} ms {found.closest_hit:12.1%} {found.far_beyond:15.1%}"
                f" {world_s:6.2f} s {host_s:5.2f} s{'' if found.is_plausible else '  outside'}"
            )
            if asked.sites:
                print("    " + ", ".join(f"{site} {count}" for site, count in found.sites.most_common(15)))
    sys.exit(0 if plausible else 1)


def look(service: Service, seed: int) -> tuple[Realism, float, float]:
    """Return what the default world of a seed makes of a service, and the seconds to make the world and to host it."""
    start = time.perf_counter()
    world = make_world(seed)
    made = time.perf_counter()
    hosted = host(world, service, seed=seed)
    return realism(hosted, seed), made - start, time.perf_counter() - made


def realism(topology: Topology, seed: int) -> Realism:
    """Return the numbers of the first service of a topology."""
    service = topology.services[0]
    healthy = {vantage.id: vantage for vantage in topology.vantage_points if vantage.trouble is None}
    rows = [
        row
        for row in truth(Internet(topology, seed=seed))
        if row.vantage in healthy and row.address == service.addresses[0] and row.sites
    ]
    index, nearest_km = nearest(
        np.array([healthy[row.vantage].latitude for row in rows]),
        np.array([healthy[row.vantage].longitude for row in rows]),
        np.array([site.latitude for site in service.sites]),
        np.array([site.longitude for site in service.sites]),
    )
    distance_km = np.array([row.distance_km for row in rows], dtype=np.float64)
    hits = [row.sites[0] == service.sites[at].code for row, at in zip(rows, index, strict=True)]
    return Realism(
        median_rtt_ms=float(np.median(np.array([row.rtt_ms for row in rows], dtype=np.float64))),
        closest_hit=float(np.mean(hits)),
        far_beyond=float(np.mean(distance_km - nearest_km > BEYOND_KM)),
        sites=Counter(row.sites[0] for row in rows),
    )


if __name__ == "__main__":
    main()
