"""A sandbox in which faults are at work, without sockets, for tests of what they do."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import dns.edns
import dns.message
import dns.rcode
import dns.rdataclass

from catchment.model import Kind
from catchment.platforms.sandbox import find_faults
from catchment.platforms.sandbox.api.acceptance import USUAL_LIMITS
from catchment.platforms.sandbox.api.endpoints import USUAL_BALANCE, Api
from catchment.platforms.sandbox.api.exchange import Request, Response
from catchment.platforms.sandbox.api.faults import Front, SpoiltLedger, Troubled, spoil_account
from catchment.platforms.sandbox.api.measurements import BuiltInTarget
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.clock import Clock
from catchment.platforms.sandbox.internet.replies import Reply
from catchment.platforms.topology.elements import VantagePoint
from tests.fake_internet import (
    KEY,
    START,
    V4,
    FakeInternet,
    post_body,
    vantage,
)

Row = dict[str, Any]
K_ROOT = BuiltInTarget(id=10301, kind=Kind.DNS, af=4, query="hostname.bind", address=V4)
POINTS = tuple(vantage(number) for number in range(201, 301))
# Its message does not fill the last group of Base64, so that this is padded.
ANSWER = Reply(rtt_ms=12.3456, rcode="NOERROR", text="fra10.example-dns.net", nsid="fra10.example-dns.net")
ALL = [{"requested": -1, "type": "area", "value": "WW"}]


class World:
    """A sandbox in which some faults are at work, asked without sockets."""

    def __init__(self, *names: str, seed: int = 1, points: Sequence[VantagePoint] = POINTS) -> None:
        faults = find_faults(names)
        self.clock = Clock(START, monotonic=lambda: 0.0)
        internet = Troubled(FakeInternet(tuple(points), answer=ANSWER), faults, seed=seed)
        probes = Probes(internet.topology, START)
        ledger = SpoiltLedger(internet, self.clock, probes, faults=faults, seed=seed, start=START, built_ins=(K_ROOT,))
        limits, balance = spoil_account(USUAL_LIMITS, USUAL_BALANCE, faults)
        self.api = Api(ledger, probes, self.clock, key=KEY, limits=limits, balance=balance)
        self._front = Front(self.api, faults, seed=seed, now=self.clock.now)

    def ask(self, method: str, path: str, body: Any = None, **parameters: Any) -> Response:
        return self._front.respond(
            Request(
                method=method,
                path=f"/api/v2/{path}",
                query=urlencode(parameters),
                headers={"host": "127.0.0.1:8443", "authorization": f"Key {KEY}"},
                body=b"" if body is None else json.dumps(body).encode(),
            )
        )

    def get(self, path: str, **parameters: Any) -> Any:
        response = self.ask("GET", path, **parameters)
        assert response.status == 200, response.content()
        return json.loads(response.content())

    def post(self, *definitions: Row, **more: Any) -> Response:
        return self.ask("POST", "measurements/", post_body(*definitions, **{"probes": ALL} | more))

    def measure(self, *definitions: Row, **more: Any) -> int:
        """Create a measurement, let it measure, and return its id."""
        number: int = json.loads(self.post(*definitions, **more).content())["measurements"][0]
        self.clock.advance(300)
        return number

    def lines(self, number: int, **parameters: Any) -> list[bytes]:
        response = self.ask("GET", f"measurements/{number}/results/", format="txt", **parameters)
        assert response.status == 200, response.content()
        return response.content().splitlines(keepends=True)

    def results(self, *definitions: Row) -> list[Row]:
        return [json.loads(line) for line in self.lines(self.measure(*definitions))]

    def status(self, number: int) -> tuple[int, str]:
        status = self.get(f"measurements/{number}/")["status"]
        return status["id"], status["name"]


def created(world: World) -> int:
    return len(world.api.ledger.own())


def changed(name: str, *definitions: Row) -> list[tuple[Row, Row]]:
    """Return the results that a fault changes, each with what it would be without."""
    plain, spoilt = World().results(*definitions), World(name).results(*definitions)
    assert len(plain) == len(spoilt) == 100
    pairs = [(one, other) for one, other in zip(plain, spoilt, strict=True) if one != other]
    assert 3 <= len(pairs) <= 25, "one of ten"
    return pairs


def message(result: Row) -> dns.message.Message:
    return dns.message.from_wire(base64.b64decode(result["result"]["abuf"]))
