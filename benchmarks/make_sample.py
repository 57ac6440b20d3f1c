"""Write the sample in tests/data/frankfurt: one anycast service before and after a fire in Frankfurt.

    python benchmarks/make_sample.py tests/data/frankfurt

Made up, in the shapes of real RIPE Atlas results: 400 vantage points ask 192.0.2.53 for hostname.bind with NSID three
times and ping it once. Among them are timeouts, somebody else's answers, vantage points that flap, and two that are not
where they say. The same seed gives the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import airportsdata
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from geopy.distance import geodesic

from catchment.campaign import load_service
from catchment.geo import CONTINENT_OF, LIGHT_KM_PER_MS
from catchment.model import Site

SERVICE = Path(__file__).parent.parent / "campaigns" / "services" / "example-dns.toml"
VANTAGE_POINTS = 400
# RIPE Atlas has most of its probes in Europe.
CONTINENTS = {"europe": 0.58, "north-america": 0.2, "asia": 0.13}
CONTINENTS |= dict.fromkeys(("africa", "oceania", "south-america"), 0.03)
BEFORE, AFTER = 1_793_527_200, 1_793_534_400  # 2026-11-01, 10:00 and 12:00 UTC
ROUND_S = 240


@dataclass(frozen=True)
class Vantage:
    probe: int
    latitude: float
    longitude: float
    country: str
    asn: int
    place: tuple[float, float]  # where it really is
    temper: float  # decides its oddities, once for both runs
    preference: tuple[str, ...]  # sites, best first


def main() -> None:
    folder = Path(sys.argv[1])
    rng = random.Random(20261101)
    sites = {site.code: site for site in load_service(SERVICE).sites}
    vantages = [make_vantage(6000 + number, sites, rng) for number in range(VANTAGE_POINTS)]
    probes = [
        {
            "id": vantage.probe,
            "latitude": vantage.latitude,
            "longitude": vantage.longitude,
            "asn_v4": vantage.asn,
            "asn_v6": None,
            "country_code": vantage.country,
            "is_anchor": vantage.probe % 12 == 0,
            "tags": ["system-ipv4-works"],
        }
        for vantage in vantages
    ]
    (folder / "probes.json").write_text(json.dumps({"objects": probes}) + "\n")
    write(folder / "before.ndjson.gz", results(vantages, sites, BEFORE, frozenset(), rng))
    write(folder / "after.ndjson.gz", results(vantages, sites, AFTER, frozenset({"fra"}), rng))


def make_vantage(probe: int, sites: dict[str, Site], rng: random.Random) -> Vantage:
    continent = rng.choices(list(CONTINENTS), list(CONTINENTS.values()))[0]
    airports = [a for a in AIRPORTS if CONTINENT_OF.get(a["country"]) == continent]
    airport = rng.choice(airports)
    here = round(airport["lat"] + rng.gauss(0, 0.2), 4), round(airport["lon"] + rng.gauss(0, 0.2), 4)
    # BGP does not see kilometres: some prefer a site that is far away.
    costs = {code: distance_km(here, site) * rng.lognormvariate(0, 0.25) for code, site in sites.items()}
    temper = rng.random()
    said = (-33.87, 151.21) if temper < 0.005 else here  # a probe that moved from Sydney and never said so
    return Vantage(
        probe=probe,
        latitude=said[0],
        longitude=said[1],
        country="AU" if temper < 0.005 else airport["country"],
        asn=rng.randrange(200, 64_000),
        place=here,
        temper=temper,
        preference=tuple(sorted(costs, key=lambda code: costs[code])),
    )


AIRPORTS: list[Any] = sorted(airportsdata.load("IATA").values(), key=lambda airport: airport["iata"])


def distance_km(here: tuple[float, float], site: Site) -> float:
    return float(geodesic(here, (site.latitude, site.longitude)).km)


def results(
    vantages: list[Vantage], sites: dict[str, Site], start: int, down: frozenset[str], rng: random.Random
) -> list[dict[str, Any]]:
    found = []
    for turn in range(3):
        for vantage in vantages:
            time = start + turn * ROUND_S + vantage.probe % ROUND_S
            reachable = [code for code in vantage.preference if code not in down]
            flaps = 0.97 < vantage.temper < 0.985 and turn == 1
            site = sites[reachable[1 if flaps else 0]]
            rtt_ms = distance_km(vantage.place, site) * 1.5 / LIGHT_KM_PER_MS + 1.5 + rng.expovariate(1 / 6)
            found.append(dns_result(vantage, site, time, rtt_ms, rng))
            if turn == 0:
                found.append(ping_result(vantage, time, rtt_ms))
    return found


def dns_result(vantage: Vantage, site: Site, time: int, rtt_ms: float, rng: random.Random) -> dict[str, Any]:
    head = {"fw": 5120, "mver": "2.6.4", "lts": 20, "dst_addr": "192.0.2.53", "af": 4, "src_addr": "198.51.100.7"}
    head |= {"proto": "UDP", "prb_id": vantage.probe, "msm_id": 90_000_001, "timestamp": time, "type": "dns"}
    head |= {"msm_name": "Tdig", "from": "198.51.100.7", "dst_name": "192.0.2.53"}
    if rng.random() < 0.015 or 0.94 < vantage.temper < 0.95:
        return head | {"error": {"timeout": 5000}}
    options: list[dns.edns.Option] = [dns.edns.NSIDOption(b"")]
    query = dns.message.make_query("hostname.bind.", "TXT", "CH", options=options, id=rng.getrandbits(16))
    query.flags = 0
    reply = dns.message.make_response(query)
    answers = {}
    if 0.95 < vantage.temper < 0.955:
        reply.set_rcode(dns.rcode.REFUSED)
        rtt_ms = 2 + rng.random()
    else:
        foreign = 0.955 < vantage.temper < 0.965
        identity = "resolver.isp.example" if foreign else f"{site.code}{1 + vantage.probe % 3}.example-dns.net"
        reply.flags |= dns.flags.AA
        reply.answer.append(dns.rrset.from_text("hostname.bind.", 0, "CH", "TXT", f'"{identity}"'))
        if not foreign:
            reply.use_edns(0, options=[dns.edns.NSIDOption(identity.encode())])
        answers = {"answers": [{"TYPE": "TXT", "NAME": "hostname.bind", "RDATA": [identity]}]}
        rtt_ms = 2 + rng.random() if foreign else rtt_ms
    wire = reply.to_wire()
    body = {"rt": round(rtt_ms, 3), "size": len(wire), "abuf": base64.b64encode(wire).decode(), "ID": query.id}
    return head | {"result": body | {"ANCOUNT": len(answers), "QDCOUNT": 1, "NSCOUNT": 0, "ARCOUNT": 1} | answers}


def ping_result(vantage: Vantage, time: int, rtt_ms: float) -> dict[str, Any]:
    times = [round(rtt_ms + extra, 3) for extra in (0.2, 0.0, 0.4)]
    head = {"fw": 5120, "mver": "2.6.4", "lts": 20, "dst_addr": "192.0.2.53", "af": 4, "src_addr": "198.51.100.7"}
    head |= {"proto": "ICMP", "prb_id": vantage.probe, "msm_id": 90_000_002, "timestamp": time, "type": "ping"}
    head |= {"msm_name": "Ping", "from": "198.51.100.7", "dst_name": "192.0.2.53", "size": 48, "ttl": 55, "step": None}
    return head | {
        "sent": 3,
        "rcvd": 3,
        "dup": 0,
        "min": min(times),
        "max": max(times),
        "avg": round(sum(times) / 3, 3),
        "result": [{"rtt": value} for value in times],
    }


def write(path: Path, found: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(result, separators=(",", ":")) + "\n" for result in found)
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as stream:
        stream.write(lines.encode())


if __name__ == "__main__":
    main()
