"""Measure rounds and print the results: run by tests in a namespace, or as a user without privileges.

    python -m tests.local_measuring '{"rounds": [{"targets": [...], "queries": [...]}], "user": 65534}'

Before that, each address of "wait_for" has to answer.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from catchment.campaign import Query, check
from catchment.model import Kind, Target
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.local.privileges import missing_privileges
from catchment.platforms.local.rounds import measure_round
from catchment.platforms.local.vantages import Vantage

_PATIENCE_S = 20.0


def wait_for(address: str) -> None:
    """Wait until a host says that nobody listens at a port: then the links are up (of IPv6 that takes a second)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.settimeout(0.05)
            line.connect((address, 9))
            try:
                line.send(b"")
                line.recv(1)
            except ConnectionRefusedError:
                return
            except OSError:  # nothing yet, or a router that has no neighbour yet
                time.sleep(0.02)
    raise TimeoutError(f"{address} does not answer")


def main(wish: dict[str, Any]) -> None:
    """Print each result with the number of its round and its place in that.

    At last what privileges pings lack, and how long each round took (s).
    """
    if "user" in wish:  # the interpreter may lie where that user cannot read it, so it is not started anew
        os.setgroups([])
        os.setresgid(*[wish["user"]] * 3)
        os.setresuid(*[wish["user"]] * 3)
    for address in wish.get("wait_for", ()):
        wait_for(address)
    took_s = []
    for number, of_round in enumerate(wish["rounds"]):
        began = time.monotonic()
        queries = [check(Query, query, Path("query")) for query in of_round["queries"]]
        targets = [Target(service=None, address=address) for address in of_round["targets"]]
        asked = own_measurements(queries, targets, ["local:test"], time.time(), None, None)
        timeout_s = of_round.get("timeout_s", 1.0)
        places = {one.id: place for place, one in enumerate(asked[0])}
        for result in measure_round([Vantage(name="local:test")], *asked, rate_per_s=200.0, timeout_s=timeout_s):
            tell({"round": number, "place": places[result["msm_id"]], "result": result})
        took_s.append(time.monotonic() - began)
    missing = missing_privileges([Query(kind=Kind.PING), Query(kind=Kind.TRACEROUTE)])
    tell({"missing": missing, "took_s": took_s})


def tell(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
