"""Faults that are switched on in a sandbox: by name, and on the wire."""

from __future__ import annotations

import email.utils
import gc
import json
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from catchment import workflow
from catchment.errors import UnknownName
from catchment.platforms.sandbox import FAULTS, Sandbox, find_faults, open_sandbox
from catchment.platforms.sandbox.api import server as api_server
from catchment.platforms.sandbox.api.endings import Broken
from catchment.platforms.sandbox.api.exchange import Request, Response
from catchment.platforms.sandbox.api.faults import ResultFault
from catchment.platforms.sandbox.api.server import serving
from tests.conftest import ROOT
from tests.fake_internet import (
    KEY,
    START,
    FakeInternet,
    dns_definition,
    ping_definition,
    post_body,
    vantage,
)
from tests.faulty_world import ALL, POINTS, Row, World


def test_a_name_that_is_none_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="the sandbox has no fault 'lost-anser': did you mean 'lost-answer'"):
        find_faults(["late-listing", "lost-anser"])
    with pytest.raises(UnknownName, match="`catchment sandbox serve --list-faults` lists all"):
        find_faults(["zzz"])


def test_a_fault_is_described_in_a_line_and_named_in_words_with_hyphens() -> None:
    for name, fault in FAULTS.items():
        assert name == fault.name
        assert name.replace("-", "").isalnum()
        assert name == name.lower()
        assert 0 < len(fault.about) < 110
        assert "\n" not in fault.about


def test_a_fault_that_is_named_twice_strikes_once() -> None:
    assert [fault.name for fault in find_faults(["reset", "stall", "reset"])] == ["reset", "stall"]


def test_without_faults_nothing_goes_wrong() -> None:
    world = World()
    assert len(world.results()) == 100
    assert world.get("measurements/my/")["count"] == 1


def test_the_same_seed_has_the_same_faults_and_another_has_others() -> None:
    def struck(seed: int) -> tuple[list[int], list[bytes]]:
        world = World("error-500", "ping-lost", seed=seed)
        number = json.loads(world.post(ping_definition()).content())["measurements"][0]
        world.clock.advance(300)
        statuses = [world.ask("GET", "probes/").status for _ in range(6)]
        while (answer := world.ask("GET", f"measurements/{number}/results/", format="txt")).status != 200:
            pass
        return statuses, answer.content().splitlines()

    assert struck(1) == struck(1)
    assert struck(1)[0] != struck(2)[0]
    assert struck(1)[1] != struck(2)[1]
    assert sorted(Counter(struck(2)[0]).items()) == [(200, 4), (500, 2)]


def seen(*names: str) -> list[object]:
    """Return what a client sees that asks for many things, some of them again and again."""
    world = World(*names, points=[vantage(number) for number in range(1, 122)])
    answers = [world.post(dns_definition(tags=["mine"])) for _ in range(3)]
    world.clock.advance(50)
    answers += [world.ask("GET", "measurements/my/", **asked) for asked in ({}, {"tags": "other"})]
    answers += [world.ask("GET", "measurements/1000001/")]
    world.clock.advance(50)
    answers += [world.ask("GET", "measurements/1000001/results/", format="txt") for _ in range(2)]
    answers += [world.ask("GET", "probes/", page_size=500) for _ in range(4)]
    endings = [(one.ending, one.sent) if isinstance(one, Broken) else None for one in answers]
    return [(one.status, one.headers, one.content(), ending) for one, ending in zip(answers, endings, strict=True)]


def test_a_client_sees_every_fault() -> None:
    plain = seen()
    assert plain == seen()
    # What changes results has a test of its own.
    others = [name for name, fault in FAULTS.items() if not isinstance(fault, ResultFault)]
    assert [name for name in others if seen(name) == plain] == []


Serve = Callable[..., Sandbox]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    opened: list[Any] = []

    def opening(*faults: str) -> Sandbox:
        opened.append(open_sandbox(FakeInternet(POINTS), start=START, folder=tmp_path, key=KEY, faults=faults))
        sandbox: Sandbox = opened[-1].__enter__()
        return sandbox

    yield opening
    for context in opened:
        context.__exit__(None, None, None)


def ask(sandbox: Sandbox, method: str, path: str, body: Any = None, *, timeout: float = 60.0) -> requests.Response:
    with requests.Session() as session:
        return session.request(
            method,
            f"https://{sandbox.server}/api/v2/{path}",
            json=body,
            headers={"Authorization": f"Key {KEY}"},
            verify=str(sandbox.ca_file),
            timeout=timeout,
        )


def test_a_lost_answer_is_a_reset_connection_and_a_measurement(serve: Serve) -> None:
    sandbox = serve("lost-answer")
    with pytest.raises(requests.ConnectionError):
        ask(sandbox, "POST", "measurements/", post_body(probes=ALL))
    assert [found.id for found in sandbox.api.ledger.own()] == [1_000_001]


def test_a_reset_is_one_on_the_wire(serve: Serve) -> None:
    sandbox = serve("post-reset")
    host, _, port = sandbox.server.partition(":")
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    with (
        socket.create_connection((host, int(port)), timeout=60) as plain,
        plain.dup() as below,  # what TLS makes of it differs from version to version
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        secured.sendall(b"POST /api/v2/measurements/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        with pytest.raises(ConnectionResetError):
            while below.recv(65_536):
                pass


def test_a_connection_is_closed_without_an_answer(serve: Serve) -> None:
    with pytest.raises(requests.ConnectionError):
        ask(serve("lost-answer-closed"), "POST", "measurements/", post_body(probes=ALL))


def test_half_an_answer_arrives(serve: Serve) -> None:
    sandbox = serve("lost-answer-half")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        ask(sandbox, "POST", "measurements/", post_body(probes=ALL))
    assert len(sandbox.api.ledger.own()) == 1


@pytest.mark.parametrize("name", ["stream-cut", "stream-reset"])
def test_a_stream_does_not_come_to_its_end(serve: Serve, name: str) -> None:
    sandbox = serve(name)
    assert ask(sandbox, "POST", "measurements/", post_body(probes=ALL)).status_code == 201
    sandbox.clock.advance(300)
    for _ in range(2):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            ask(sandbox, "GET", "measurements/1000001/results/?format=txt")
    assert len(ask(sandbox, "GET", "measurements/1000001/results/?format=txt").text.splitlines()) == 100
    assert sandbox.failures == []


def test_a_server_that_keeps_silent_can_be_closed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_server, "_FAREWELL_S", 60.0)  # so long it waits for each thread that does not end
    with open_sandbox(FakeInternet(), start=START, folder=tmp_path, key=KEY, faults=["stall"]) as sandbox:
        with pytest.raises(requests.ReadTimeout):
            ask(sandbox, "GET", "probes/", timeout=0.3)
        with requests.Session() as session:
            url = f"https://{sandbox.server}/api/v2/probes/"
            with pytest.raises(requests.ReadTimeout):
                session.get(url, verify=str(sandbox.ca_file), timeout=0.3)
            began = time.monotonic()
    assert time.monotonic() - began < 60


def test_a_client_that_goes_amid_an_answer_leaves_no_socket_open(tmp_path: Path) -> None:
    class Endless:
        def respond(self, _: Request) -> Response:
            return Response(status=200, body=iter(lambda: b"x" * 40_000, None))

    with serving(Endless(), folder=tmp_path) as server:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        with (
            socket.create_connection((server.host, server.port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname=server.host) as secured,
        ):
            secured.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert secured.recv(100)
    gc.collect()  # a socket that is left now is an unraisable ResourceWarning, and so a failure


def test_the_date_of_answers_is_wrong(serve: Serve) -> None:
    for name, skew_s in (("date-ahead", 180), ("date-behind", -180)):
        dated = ask(serve(name), "GET", "probes/").headers["Date"]
        assert dated == email.utils.formatdate(START + skew_s, usegmt=True)


def test_the_command_line_lists_faults_and_knows_no_others(
    catchment: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    told = json.loads(catchment("sandbox", "serve", "--list-faults", "--json").stdout)
    assert {fault["name"]: fault["about"] for fault in told["faults"]} == {
        name: fault.about for name, fault in FAULTS.items()
    }
    refused = catchment("sandbox", "serve", "--port", "0", "--fault", "stall", "--fault", "late-lising")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "catchment: the sandbox has no fault 'late-lising': did you mean 'late-listing'?\n"
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_is_served_with_the_faults_that_were_named(tmp_path: Path) -> None:
    options: Row = {"port": 0, "speed": 60.0, "environ": {}, "faults": ["error-502", "late-listing"], "fault_seed": 2}
    campaign = ROOT / "campaigns" / "k-root.toml"
    with workflow.serve_sandbox(campaign, tmp_path / "sandbox", **options) as served:
        assert served["faults"] == ["error-502", "late-listing"]
        with requests.Session() as session:
            url = f"https://{served['server']}/api/v2/probes/?page_size=1"
            statuses = [session.get(url, verify=served["ca_file"], timeout=60).status_code for _ in range(3)]
    assert sorted(statuses) == [200, 200, 502]
