"""Labs that run: what they answer, whatever they are asked, and what they measure."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from catchment.campaign import Query
from catchment.model import Kind
from catchment.platforms.lab.client import Lab
from catchment.platforms.lab.contact import Contact
from catchment.platforms.lab.conversation import lines
from catchment.platforms.lab.routes import path_of
from tests.busy_machines import once_of
from tests.small_labs import (
    PATIENCE_S,
    SERVICE,
    VANTAGE,
    anycast,
    asked,
    identity,
    is_alive,
    pings,
    process_of,
    until,
    who,
    workers,
)

pytestmark = pytest.mark.usefixtures("home")


@once_of(5)
def test_a_lab_is_up_when_its_routes_are_and_its_servers_say_who_they_are(lab: Lab) -> None:
    lab.apply(anycast())
    lab.settle()
    assert identity(lab) == "fra"
    rtts = pings(lab, SERVICE)
    assert len(rtts) == 15
    assert 6 <= min(rtts) < 10
    assert "fra" not in lab.bird("as64500", "show protocols")
    route = lab.bird("as64500", "show route for 192.0.2.53 primary all")
    assert "via 198.18.0.3 on w1" in route
    assert path_of(route, 64500) == (64500, 64496)
    status = lab.status()
    assert status["nodes"] == {"vp7": "vantage-point", "as64500": "network", "fra": "site", "ber": "site"}
    assert (status["died"], status["left_s"], status["up_s"] > 0) == ([], None, True)


def test_a_withdrawn_site_is_left_within_a_stream_that_sees_it_and_loses_nothing(lab: Lab) -> None:
    (measurement,), queries = asked(Query(kind=Kind.DNS), SERVICE)
    stream = lab.stream(measurement, queries[measurement.id], VANTAGE, per_s=200, seconds=60, timeout_s=PATIENCE_S)
    results = [next(stream)]
    asked_at = time.time()
    began = lab.apply(anycast(withdrawn=["fra"]))
    returned_at = time.time()
    lab.settle()
    for result in stream:
        results.append(result)
        if who(result) == "ber":
            break
    lab.end_streams()
    results += stream
    assert asked_at <= began <= returned_at
    assert returned_at - began < 5
    sites = [who(result) or "nobody" for result in sorted(results, key=lambda result: result["timestamp"])]
    assert {*sites} == {"fra", "ber"}
    assert sites == sorted(sites, reverse=True)  # all of fra, then all of ber
    first = min(result["timestamp"] for result in results if who(result) == "ber")
    assert -0.5 < first - began < 5
    lab.apply(anycast())
    lab.settle()
    assert identity(lab) == "fra"


def test_who_measures_is_started_anew_when_killed(lab: Lab) -> None:
    assert until(lambda: not workers(lab))
    prober = process_of(lab, "lab.prober")
    os.kill(prober, signal.SIGKILL)
    assert until(lambda: not is_alive(prober))
    assert identity(lab) == "fra"


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (b"\xff\xfe", "not a request"),
        (b"[]", "not a JSON object"),
        (b"{}", "KeyError"),
        (b'{"do": "fly"}', "cannot do 'fly'"),
        (b'{"do": ["fly"]}', "cannot do"),
        (b'{"do": "bird", "node": "nowhere", "command": "show status"}', "no BIRD runs at 'nowhere': name one of"),
        (b'{"do": "bird", "node": "fra", "command": "show nonsense"}', "BIRD says: syntax error"),
        (b'{"do": "bird", "node": "fra", "command": "down\\nshow status"}', "one line"),
        (b'{"do": "wire", "name": "w9", "delay_ms": 1}', "no wire 'w9': name one of w0, w1, w2"),
        (b'{"do": "wire", "name": "w0", "delay_ms": -1}', "from 0 to 60000 ms"),
        (b'{"do": "wire", "name": "w0", "loss": 2}', "share from 0 to 1"),
        (b'{"do": "apply", "blueprint": {"nodes": 1}}', "not a blueprint"),
        (b'{"do": "measure", "vantages": {"lab:7": "vp8"}}', "no node 'vp8'"),
        (b'{"do": "measure", "vantages": {"lab:7": "vp7"}}', "measuring failed: KeyError: 'measurements'"),
        (b"[" * 100_000, "RecursionError"),
    ],
)
def test_a_bad_request_is_answered_by_an_error_and_the_lab_goes_on(lab: Lab, request_: bytes, complaint: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(lab.folder / "control"))
        connection.sendall(request_ + b"\n")
        answer = json.loads(connection.makefile("rb").read())
    assert complaint in answer["error"]
    assert lab.status()["died"] == []


def test_half_a_request_and_a_user_who_hangs_up_hurt_nobody(lab: Lab) -> None:
    with socket.socket(socket.AF_UNIX) as half, socket.socket(socket.AF_UNIX) as gone:
        half.connect(str(lab.folder / "control"))
        half.sendall(b'{"do": "status"')
        gone.connect(str(lab.folder / "control"))
        gone.close()
        assert lab.status()["died"] == []
        half.sendall(b"}\n")
        assert b'"ok"' in half.recv(1 << 16)


def test_results_that_nobody_wants_any_more_end_their_stream(lab: Lab) -> None:
    (measurement,), queries = asked(Query(kind=Kind.DNS), SERVICE)
    assert until(lambda: not workers(lab))
    stream = lab.stream(measurement, queries[measurement.id], VANTAGE, per_s=100, seconds=60)
    assert next(stream)["type"] == "dns"
    assert len(workers(lab)) == 1
    stream.close()
    assert list(stream) == []
    assert until(lambda: not workers(lab))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else as well")
def test_another_user_gets_no_answer(lab: Lab) -> None:
    assert lab.folder.stat().st_mode & 0o777 == 0o700
    code = (
        "import os, socket, sys; held = os.open(sys.argv[1], os.O_PATH); os.setuid(65534);"
        "s = socket.socket(socket.AF_UNIX); s.connect(f'/proc/self/fd/{held}');"
        's.sendall(b\'{"do": "down"}\\n\'); print(s.recv(100))'
    )
    control = lab.folder / "control"
    control.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", code, control], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "b''\n" or "ConnectionResetError" in done.stderr or "BrokenPipeError" in done.stderr, done
    assert lab.status()["died"] == []


@once_of(3)
def test_a_reader_who_lags_gets_every_result_and_holds_up_no_query(lab: Lab) -> None:
    (measurement,), queries = asked(Query(kind=Kind.DNS), SERVICE)
    request = {"measurement": asdict(measurement), "query": asdict(queries[measurement.id]), "vantages": VANTAGE}
    limits = {"per_s": 400, "seconds": 1, "timeout_s": PATIENCE_S}
    with Contact(lab.name, lab.folder, None).send(do="stream", **request, **limits) as connection:
        time.sleep(2)  # its end holds a hundred results or so
        *results, last = lines(connection)
    assert last == {"done": True}
    assert {who(each["result"]) for each in results} == {"fra"}
    assert len(results) > 200


def test_a_stream_may_be_ended_as_soon_as_it_is_begun(lab: Lab) -> None:
    (measurement,), queries = asked(Query(kind=Kind.DNS), SERVICE)
    for _ in range(10):
        stream = lab.stream(measurement, queries[measurement.id], VANTAGE, per_s=5, seconds=60, timeout_s=PATIENCE_S)
        lab.end_streams()
        assert len(list(stream)) <= 2
