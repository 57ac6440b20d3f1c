"""Time the identity of a million observations against reading them.

    python -m benchmarks.identity_speed [--results 1000000]

Results of all services that publish identities are written as NDJSON and read into the tier of observations, which is
the time to compare with. Then each distinct string is decided once and joined back, and every observation has its site.
Twice: with about 5,000 distinct strings, published ones and other servers of the same sites; and with 50,000, of which
nine tenths belong to nobody and are held against every published identity.
"""

from __future__ import annotations

import argparse
import base64
import random
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

from benchmarks.generate_results import answer_message
from catchment.assign.identity import identify
from catchment.engine import connection, fill_table, quote_path
from catchment.model import Service
from catchment.observe import observe, sniff
from catchment.services import bundled_service, service_names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    named = [bundled_service(name) for name in service_names()]
    services = [service for service in named if any(site.identities for site in service.sites)]
    identify(named[0], ["warm"])
    for title, foreign, distinct in (("identities of the services", 0.0, 5_000), ("most are foreign", 0.9, 50_000)):
        rng = random.Random(asked.seed)
        texts = {service.name: strings(service, distinct // len(services), foreign, rng) for service in services}
        with tempfile.TemporaryDirectory(prefix="catchment-benchmark-") as folder:
            run(title, services, texts, asked.results, Path(folder), rng)


def strings(service: Service, count: int, foreign: float, rng: random.Random) -> list[str]:
    """Return distinct identities: published, of other servers at the same sites, and of somebody else."""
    published = [text for site in service.sites for text in site.identities]
    found = dict.fromkeys(published[: int(count * (1 - foreign))])
    numbered = [text for text in published if re.search(r"\d", text)]
    while numbered and len(found) < int(count * (1 - foreign)):
        found[re.sub(r"\d", str(rng.randrange(1000)), rng.choice(numbered), count=1)] = None
    while foreign and len(found) < count:
        found[f"{rng.choice(('dns', 'ns', 'res', 'cache'))}{rng.randrange(10**5)}.pop{rng.randrange(99)}.example"] = (
            None
        )
    return list(found)


def run(
    title: str,
    services: Sequence[Service],
    texts: dict[str, list[str]],
    results: int,
    folder: Path,
    rng: random.Random,
) -> None:
    write_results(folder / "results.ndjson", services, texts, results, rng)
    observations = folder / "observations.parquet"
    with connection(folder) as con:
        start = time.perf_counter()
        observe(con, [sniff(folder / "results.ndjson")], services, observations, folder)
        reading = time.perf_counter() - start
        start = time.perf_counter()
        distinct, rules = decide(con, services, observations)
        deciding = time.perf_counter() - start
    print(f"{title}: {results:,} observations, {distinct:,} distinct strings")
    print("  " + ", ".join(f"{rule} {count:,}" for rule, count in rules))
    print(f"  reading {reading:.2f} s, identity {deciding:.2f} s: {deciding / reading:.2f} of the time of reading")


def decide(
    con: duckdb.DuckDBPyConnection, services: Sequence[Service], observations: Path
) -> tuple[int, list[tuple[str, int]]]:
    table = f"read_parquet({quote_path(observations)})"
    rows: list[tuple[object, ...]] = []
    for service in services:
        seen = con.execute(
            f"SELECT DISTINCT identity FROM {table} WHERE service = ? AND identity IS NOT NULL", [service.name]
        ).fetchall()
        for found in identify(service, (text for (text,) in seen)):
            site = None if found.site is None else found.site.code
            rows.append((service.name, found.identity, found.outcome, site, found.server, found.rule))
    columns = ("service", "identity", "outcome", "site", "server", "rule")
    fill_table(con, f"identities ({', '.join(f'{column} VARCHAR' for column in columns)})", rows)
    con.execute(
        f"""CREATE TEMP TABLE identified AS SELECT o.vantage, o.service, o.measured_at, i.site, i.outcome, i.rule
        FROM {table} AS o LEFT JOIN identities AS i USING (service, identity)"""
    )
    rules = con.execute("SELECT rule, count(*) FROM identified GROUP BY rule ORDER BY count(*) DESC, rule").fetchall()
    return len(rows), rules


def write_results(
    path: Path, services: Sequence[Service], texts: dict[str, list[str]], results: int, rng: random.Random
) -> None:
    replies = []
    for service in services:
        for text in texts[service.name]:
            message = base64.b64encode(answer_message(text)).decode()
            replies.append((service.addresses[0].address, message, len(message) * 3 // 4))
    with path.open("w", encoding="utf-8") as out:
        for number in range(results):
            # Every string once, then at random.
            address, message, size = replies[number] if number < len(replies) else rng.choice(replies)
            at = 1_700_000_000 + number // 50
            out.write(
                f'{{"af":4,"dst_addr":"{address}","from":"192.0.2.1","fw":5080,"lts":9,"msm_id":10000001,'
                f'"msm_name":"Tdig","prb_id":{number % 12_000 + 1},"proto":"UDP","result":{{"ANCOUNT":1,"ARCOUNT":0,'
                f'"ID":0,"NSCOUNT":0,"QDCOUNT":1,"abuf":"{message}","rt":{5 + number % 500 / 10},"size":{size}}},'
                f'"src_addr":"192.0.2.1","timestamp":{at},"type":"dns"}}\n'
            )


if __name__ == "__main__":
    main()
