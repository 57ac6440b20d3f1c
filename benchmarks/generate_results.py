"""Write a large NDJSON file of made-up RIPE Atlas DNS results, and the probe list that goes with it.

    python benchmarks/generate_results.py --megabytes 500 results.ndjson probes.json

The mix follows what real recordings hold: hostname.bind answers of K-root, `resultset` entries, results with no
`answers` (only the message, `abuf`), TXT data as a plain string (firmware up to 4720) and as a list, timeouts and other
errors, interception, and a few malformed lines. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from catchment.services import bundled_service

TARGET = "193.0.14.129"
FOREIGN = ("dns1", "eero", "localhost.localdomain", "resolver-3.example.net")
MALFORMED = ('{"af":4,"prb_id":1,"timestamp":14', "<html>504</html>", "\x00\x00\x00", '{"prb_id":1,},', "[]", "null")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("probes", type=Path)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--vantage-points", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    write_probes(asked.probes, asked.vantage_points, rng)
    written = write_results(asked.results, asked.megabytes * 1_000_000, asked.vantage_points, rng)
    print(f"{written:,} results in {asked.results}")


def write_probes(path: Path, count: int, rng: random.Random) -> None:
    """Write an archive-shaped probe list: positions near K-root's sites, where people are."""
    sites = [
        site for site in bundled_service("k-root").sites if site.latitude is not None and site.longitude is not None
    ]
    probes = []
    for number in range(1, count + 1):
        site = rng.choice(sites)
        assert site.latitude is not None
        assert site.longitude is not None
        probes.append(
            {
                "id": number,
                "latitude": round(max(-89.0, min(89.0, site.latitude + rng.gauss(0, 3))), 4),
                "longitude": round((site.longitude + rng.gauss(0, 4) + 180) % 360 - 180, 4),
                "asn_v4": rng.randrange(1, 65_000),
                "asn_v6": None,
                "country_code": site.country,
                "is_anchor": number % 20 == 0,
                "tags": ["system-ipv4-works"],
            }
        )
    path.write_text(json.dumps({"objects": probes}))


def write_results(path: Path, size: int, vantage_points: int, rng: random.Random) -> int:
    """Write results until `size` bytes are reached; return how many were written."""
    identities = [text for site in bundled_service("k-root").sites for text in site.identities]
    home = [rng.choice(identities) for _ in range(vantage_points + 1)]
    messages = {text: split_message(answer_message(text)) for text in (*identities, *FOREIGN)}
    refused = split_message(refused_message())
    written = results = 0
    with path.open("w", encoding="utf-8") as out:
        while written < size:
            for vantage in range(1, vantage_points + 1):
                line = result_line(vantage, home[vantage], results, messages, refused, rng)
                written += out.write(line + "\n")
                results += 1
                if results % 50_000 == 0:
                    written += out.write(MALFORMED[results // 50_000 % len(MALFORMED)] + "\n")
                if written >= size:
                    break
    return results


def answer_message(identity: str) -> bytes:
    query = dns.message.make_query("hostname.bind.", "TXT", "CH")
    query.id = 0
    query.flags = 0
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    answer.answer.append(dns.rrset.from_text("hostname.bind.", 0, "CH", "TXT", f'"{identity}"'))
    return answer.to_wire()


def refused_message() -> bytes:
    query = dns.message.make_query("hostname.bind.", "TXT", "CH")
    answer = dns.message.make_response(query)
    answer.set_rcode(dns.rcode.REFUSED)
    return answer.to_wire()


def split_message(wire: bytes) -> tuple[int, str]:
    """Split a message into its third byte and the Base64 of what follows, so that only the id must be encoded anew."""
    return wire[2], base64.b64encode(wire[3:]).decode()


def result_line(
    vantage: int,
    identity: str,
    number: int,
    messages: dict[str, tuple[int, str]],
    refused: tuple[int, str],
    rng: random.Random,
) -> str:
    time = 1_700_000_000 + number // 50
    firmware = 4610 if vantage % 6 == 0 else (5080 if vantage % 2 else 4790)
    head = (
        f'{{"af":4,"dst_addr":"{TARGET}","from":"192.0.2.{vantage % 250}","fw":{firmware},"group_id":10301,'
        f'"lts":{number % 100},"msm_id":10301,"msm_name":"Tdig","prb_id":{vantage},"proto":"UDP",'
    )
    tail = f'"src_addr":"192.0.2.{vantage % 250}","stored_timestamp":{time + 72},"timestamp":{time},"type":"dns"}}'
    draw = rng.random()
    if draw < 0.05:
        error = '{"timeout":5000}' if draw < 0.045 else '{"getaddrinfo":"Name or service not known"}'
        return f'{head}"error":{error},{tail}'
    body = reply(identity, draw, firmware, messages, refused, rng)
    if vantage % 5:
        return f'{head}"result":{body},{tail}'
    item = f'"lts":{number % 100},"src_addr":"192.0.2.1","af":4,"proto":"UDP","dst_addr":"{TARGET}","submax":2'
    answered = f'{{{item},"subid":1,"time":{time},"result":{body}}}'
    lost = f'{{{item},"subid":2,"time":{time},"error":{{"timeout":5000}}}}'
    start = f'{{"from":"192.0.2.1","fw":{firmware},"msm_id":10301,"msm_name":"Tdig","prb_id":{vantage},'
    return f'{start}"resultset":[{answered},{lost}],{tail}'


def reply(
    identity: str,
    draw: float,
    firmware: int,
    messages: dict[str, tuple[int, str]],
    refused: tuple[int, str],
    rng: random.Random,
) -> str:
    shown = identity if draw > 0.06 else FOREIGN[int(draw * 1e6) % len(FOREIGN)]
    third_byte, rest = refused if 0.06 < draw < 0.065 else messages[shown]
    abuf = base64.b64encode(bytes((rng.getrandbits(8), rng.getrandbits(8), third_byte))).decode() + rest
    size = len(abuf) * 3 // 4
    rtt_ms = round(5 + rng.expovariate(1 / 30), 3)
    body = f'"ARCOUNT":0,"ID":{rng.getrandbits(16)},"NSCOUNT":0,"QDCOUNT":1,"abuf":"{abuf}","rt":{rtt_ms},"size":{size}'
    if draw > 0.75 or 0.06 < draw < 0.065:
        return f'{{"ANCOUNT":{int(draw > 0.75)},{body}}}'
    text = f'"{shown}"' if firmware < 4720 else f'["{shown}"]'
    return f'{{"ANCOUNT":1,{body},"answers":[{{"NAME":"hostname.bind","RDATA":{text},"TYPE":"TXT"}}]}}'


if __name__ == "__main__":
    main()
