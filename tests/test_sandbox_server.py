from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ripe.atlas.cousteau import (
    AnchorRequest,
    AtlasChangeRequest,
    AtlasChangeSource,
    AtlasCreateRequest,
    AtlasLatestRequest,
    AtlasResultsRequest,
    AtlasSource,
    AtlasStopRequest,
    Dns,
    Measurement,
    MeasurementRequest,
    MeasurementTagger,
    Ping,
    Probe,
    ProbeRequest,
    Traceroute,
)

from catchment.campaign import Campaign, CampaignTarget, PlatformName, Query, Schedule
from catchment.errors import PlatformFailed
from catchment.model import Address, BuiltIn, Kind, Service, Target
from catchment.platforms.atlas.client import Atlas, Endpoint
from catchment.platforms.atlas.scheduling import definition
from catchment.platforms.sandbox import Lags, Sandbox, built_in_targets, open_sandbox
from catchment.platforms.sandbox.api import server as api_server
from catchment.platforms.sandbox.api.exchange import Request, Response
from catchment.platforms.sandbox.api.server import Serving, serving
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.sandbox.internet.truth import truth
from catchment.platforms.topology import host, make_world
from catchment.services import bundled_service
from tests.atlas_server import keys_of
from tests.fake_internet import START, V4, V6, FakeInternet, vantage

SERVICE = Service(
    name="example-dns",
    operator="Example",
    addresses=(
        Address(address="198.51.100.53", until=datetime.date(2020, 1, 1)),
        Address(address=V4),
        Address(address=V6),
    ),
    measurements=(
        BuiltIn(id=10301, kind=Kind.DNS, af=4, query="hostname.bind"),
        BuiltIn(id=11301, kind=Kind.DNS, af=6, query="hostname.bind"),
    ),
)


class Answering:
    """Answers each request in the way its path asks for."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def respond(self, request: Request) -> Response:
        self.requests.append(request)
        match request.path:
            case "/stream":
                return Response(status=200, body=iter([b"one,", b"", b"two,", b"three"]))
            case "/endless":
                return Response(status=200, body=iter(lambda: b"x" * 65_536, None))
            case "/broken":
                raise RuntimeError("a bug with a secret in it")
            case "/broken-stream":
                return Response(status=200, body=_breaking())
            case "/empty":
                return Response(status=204)
            case _:
                return Response(status=200, body=request.body or b"hello")


def _breaking() -> Iterator[bytes]:
    yield b"begun"
    raise RuntimeError("a bug amid a stream")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    with serving(Answering(), folder=tmp_path / "tls") as running:
        yield running


def get(server: Serving, path: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        return session.get(f"https://{server.address}{path}", verify=str(server.ca_file), timeout=60, **options)


# HTTP over TLS


def test_a_client_that_trusts_the_run_s_own_authority_is_answered(server: Serving) -> None:
    assert get(server, "/").content == b"hello"
    with requests.Session() as session:
        url = f"https://localhost:{server.port}/"
        assert session.get(url, verify=str(server.ca_file), timeout=60).content == b"hello"


def test_a_client_that_does_not_trust_it_is_not(server: Serving) -> None:
    with requests.Session() as session, pytest.raises(requests.exceptions.SSLError):
        session.get(f"https://{server.address}/", timeout=60)


def test_every_run_has_an_authority_of_its_own(tmp_path: Path) -> None:
    with serving(Answering(), folder=tmp_path / "a") as one, serving(Answering(), folder=tmp_path / "b") as other:
        assert one.ca_file.read_bytes() != other.ca_file.read_bytes()
        assert b"PRIVATE KEY" not in one.ca_file.read_bytes()


def test_one_connection_serves_many_requests(server: Serving) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", server.port, context=context)) as connection:
        connection.connect()
        first = connection.sock
        for path, body in (
            ("/", b"hello"),
            ("/stream", b"one,two,three"),
            ("/empty", b""),
            ("/broken", None),
            ("/", b"hello"),
        ):
            connection.request("GET", path)
            answer = connection.getresponse().read()
            assert body is None or answer == body
            assert connection.sock is first


def test_a_body_arrives_whole_and_every_method_reaches_the_api(server: Serving) -> None:
    with requests.Session() as session:
        for method in ("POST", "PATCH", "DELETE", "PUT"):
            body = method.encode() * 50_000
            answer = session.request(
                method, f"https://{server.address}/x", data=body, verify=str(server.ca_file), timeout=60
            )
            assert answer.content == body


def test_a_bug_is_answered_with_an_envelope_and_leaves_the_terminal_alone(
    server: Serving, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = get(server, "/broken")
    assert (answer.status_code, answer.json()["error"]["title"]) == (500, "Internal Server Error")
    assert "secret" not in answer.text
    with pytest.raises(requests.exceptions.RequestException):
        get(server, "/broken-stream")
    assert [type(failure) for failure in server.failures] == [RuntimeError, RuntimeError]
    assert get(server, "/").content == b"hello"
    assert capfd.readouterr() == ("", "")


def test_a_body_too_large_or_of_unknown_length_is_refused(server: Serving) -> None:
    with requests.Session() as session:
        options: dict[str, Any] = {"verify": str(server.ca_file), "timeout": 10}
        answer = session.post(f"https://{server.address}/", data=iter([b"x"]), **options)
        assert answer.status_code == 411
        answer = session.post(f"https://{server.address}/", headers={"Content-Length": str(1 << 40)}, **options)
        assert answer.status_code == 413


def test_a_client_that_leaves_amid_a_stream_disturbs_nobody(server: Serving, capfd: pytest.CaptureFixture[str]) -> None:
    with requests.Session() as session:
        url = f"https://{server.address}/endless"
        with session.get(url, verify=str(server.ca_file), stream=True, timeout=60) as answer:
            assert len(next(answer.iter_content(1000))) == 1000
    assert get(server, "/").content == b"hello"
    assert capfd.readouterr() == ("", "")


def test_one_client_s_endless_stream_does_not_keep_another_waiting(server: Serving) -> None:
    with requests.Session() as session:
        url = f"https://{server.address}/endless"
        with session.get(url, verify=str(server.ca_file), stream=True, timeout=60) as answer:
            next(answer.iter_content(1000))
            assert get(server, "/").content == b"hello"


def test_a_server_closes_at_once_whatever_its_clients_are_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server, "_FAREWELL_S", 60.0)  # so long it waits for each thread that does not end
    with contextlib.ExitStack() as clients:
        with serving(Answering(), folder=tmp_path) as server:
            idle = clients.enter_context(requests.Session())
            idle.get(f"https://{server.address}/", verify=str(server.ca_file), timeout=60)
            silent = clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            busy = clients.enter_context(requests.Session())
            reading = clients.enter_context(
                busy.get(f"https://{server.address}/endless", verify=str(server.ca_file), stream=True, timeout=60)
            )
            next(reading.iter_content(1000))
            assert silent.fileno() > 0
            began = time.monotonic()
        assert time.monotonic() - began < 60
    assert not [thread for thread in threading.enumerate() if "_converse" in thread.name or thread.name == "sandbox"]


def test_a_port_in_use_is_told_in_one_line_with_what_to_do(tmp_path: Path) -> None:
    with serving(Answering(), folder=tmp_path) as server:
        expected = rf"^port {server.port} on 127\.0\.0\.1: [^\n]*in use[^\n]*: name another port[^\n]*$"
        with pytest.raises(PlatformFailed, match=expected), serving(Answering(), folder=tmp_path, port=server.port):
            pytest.fail("two servers on one port")


def test_a_sandbox_whose_port_is_in_use_leaves_no_journal(tmp_path: Path) -> None:
    journal = tmp_path / "journal.ndjson"
    with serving(Answering(), folder=tmp_path) as server:
        folder, port = tmp_path / "other", server.port
        with (
            pytest.raises(PlatformFailed, match="in use"),
            open_sandbox(FakeInternet(), start=START, folder=folder, port=port, journal=journal),
        ):
            pytest.fail("two servers on one port")
    assert not journal.exists()
    with open_sandbox(FakeInternet(), start=START, folder=tmp_path / "third", journal=journal):
        (line,) = journal.read_text().splitlines()
    assert json.loads(line) == {"what": "start", "at": START}


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_cannot_be_is_told_in_one_line(tmp_path: Path, port: int) -> None:
    with (
        pytest.raises(PlatformFailed, match=r"^[^\n]*no such port[^\n]*$"),
        serving(Answering(), folder=tmp_path, port=port),
    ):
        pytest.fail("a server on no port")


def test_a_port_is_free_again_as_soon_as_the_server_is_closed(tmp_path: Path) -> None:
    for is_last in (False, False, True):
        with serving(Answering(), folder=tmp_path) as server:
            get(server, "/")
        try:
            with serving(Answering(), folder=tmp_path, port=server.port) as again:
                assert (again.port, get(again, "/").content) == (server.port, b"hello")
        except PlatformFailed:
            assert not is_last  # somebody else on this machine may have taken the first one, and the second
        else:
            return


# The whole sandbox, and cousteau against it


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(FakeInternet(), start=START, services=[SERVICE], folder=tmp_path) as running:
        yield running
    assert running.failures == []


def options(sandbox: Sandbox) -> dict[str, Any]:
    return {"server": sandbox.server, "verify": str(sandbox.ca_file)}


def test_cousteau_creates_reads_and_stops_measurements(sandbox: Sandbox) -> None:
    definitions = [
        Dns(af=4, target=V4, description="who", query_class="CHAOS", query_type="TXT", query_argument="hostname.bind",
            set_nsid_bit=True, tags=["run-1"]),
        Ping(af=4, target=V4, description="how far", tags=["run-1"]),
        Traceroute(af=4, target=V4, description="which way", protocol="ICMP", tags=["run-1"]),
    ]  # fmt: skip
    source = AtlasSource(type="area", value="WW", requested=4, tags={"include": ["system-ipv4-works"]})
    request = AtlasCreateRequest(
        key=sandbox.key, measurements=definitions, sources=[source], is_oneoff=True, **options(sandbox)
    )
    worked, answer = request.create()
    assert (worked, answer) == (True, {"measurements": [1_000_001, 1_000_002, 1_000_003]})
    sandbox.clock.advance(200)

    found = Measurement(id=1_000_001, **options(sandbox))
    assert (found.status_id, found.type, found.target_ip, found.is_oneoff) == (4, "dns", V4, True)
    assert int(found.start_time.timestamp()) == START
    assert found.result_url == f"https://{sandbox.server}/api/v2/measurements/1000001/results/"

    worked, results = AtlasResultsRequest(msm_id=1_000_001, start=START, stop=START + 100, **options(sandbox)).create()
    assert worked
    assert {result["type"] for result in results} == {"dns"}
    assert len(results) in (3, 4)  # of four that were asked at most one never reports
    _, some = AtlasResultsRequest(msm_id=1_000_001, probe_ids=[results[0]["prb_id"]], **options(sandbox)).create()
    assert some == results[:1]
    worked, latest = AtlasLatestRequest(msm_id=1_000_003, **options(sandbox)).create()
    assert (worked, {result["type"] for result in latest}) == (True, {"traceroute"})

    listed = list(MeasurementRequest(tags="run-1", page_size=2, **options(sandbox)))
    assert [entry["id"] for entry in listed] == [1_000_001, 1_000_002, 1_000_003]
    assert AtlasStopRequest(msm_id=1_000_002, key=sandbox.key, **options(sandbox)).create() == (True, "")


def test_cousteau_changes_probes_and_tags_of_a_running_measurement(sandbox: Sandbox) -> None:
    (number,) = AtlasCreateRequest(
        key=sandbox.key,
        measurements=[Ping(af=4, target=V4, description="x", interval=60)],
        sources=[AtlasSource(type="probes", value="101", requested=1)],
        start_time=datetime.datetime.fromtimestamp(START + 60, datetime.UTC).replace(tzinfo=None),
        stop_time=datetime.datetime.fromtimestamp(START + 3600, datetime.UTC).replace(tzinfo=None),
        **options(sandbox),
    ).create()[1]["measurements"]
    joining = AtlasChangeSource(type="region", value="europe", requested=2, action="add", tags={"include": []})
    leaving = AtlasChangeSource(type="probes", value="101", requested=1, action="remove")
    request = AtlasChangeRequest(key=sandbox.key, msm_id=number, sources=[joining, leaving], **options(sandbox))
    assert request.create() == (True, {"request_ids": [1, 2]})
    found = Measurement(id=number, optional_fields=["probes"], **options(sandbox))
    assert (int(found.start_time.timestamp()), int(found.stop_time.timestamp())) == (START + 60, START + 3600)
    sandbox.clock.advance(60)
    found = Measurement(id=number, optional_fields=["probes"], **options(sandbox))
    # Those in Europe that are connected and public; 101 was one of them until it left.
    assert {probe["id"] for probe in found.meta_data["probes"]} < {102, 105, 6001}
    assert len(found.meta_data["probes"]) == 2

    tagger = MeasurementTagger(key=sandbox.key, **options(sandbox))
    assert tagger.add_tag(number, "before") == (True, {"tag": "before"})
    assert [entry["id"] for entry in MeasurementRequest(tags="before", **options(sandbox))] == [number]
    assert tagger.remove_tag(number, "before") == (True, "")
    assert list(MeasurementRequest(tags="before", **options(sandbox))) == []
    worked, answer = tagger.remove_tag(number, "before")
    assert (worked, answer["error"]["status"]) == (False, 404)


def test_cousteau_finds_anchors(sandbox: Sandbox) -> None:
    (anchor,) = AnchorRequest(**options(sandbox))
    assert (anchor["probe"], anchor["fqdn"]) == (6001, "de-6001-as64500.anchors.atlas.ripe.net")


def test_a_new_measurement_is_found_by_its_tag_no_sooner_than_lists_show_it(tmp_path: Path) -> None:
    with open_sandbox(FakeInternet(), start=START, folder=tmp_path, lags=Lags(listing_s=20)) as sandbox:
        request = AtlasCreateRequest(
            key=sandbox.key,
            measurements=[Ping(af=4, target=V4, description="x", tags=["run-1"])],
            sources=[AtlasSource(type="area", value="WW", requested=1)],
            is_oneoff=True,
            **options(sandbox),
        )
        assert request.create() == (True, {"measurements": [1_000_001]})
        found = []
        for wait_s in (0, 19.9, 0.1):
            sandbox.clock.advance(wait_s)
            found.append([entry["id"] for entry in MeasurementRequest(tags="run-1", **options(sandbox))])
    assert found == [[], [], [1_000_001]]


@pytest.mark.parametrize("interval_s", [None, 300])
def test_what_catchment_itself_asks_for_is_accepted_without_a_warning(tmp_path: Path, interval_s: int | None) -> None:
    campaign = Campaign(
        name="a name of some length",
        platform=PlatformName.ATLAS,
        targets=(CampaignTarget(service="example-dns"),),
        queries=tuple(Query(kind=kind) for kind in Kind),
        schedule=Schedule(interval_s=interval_s),
    )
    target, tag = Target(service="example-dns", address=V4), "catchment-0123456789abcdef"
    asked = [definition(campaign, target, query, tag, "v4-1") for query in campaign.queries]
    assert {given["type"] for given in asked} == {"dns", "ping", "traceroute"}
    with open_sandbox(FakeInternet(), start=START, folder=tmp_path) as sandbox:
        endpoint = Endpoint(server=sandbox.server, verify=str(sandbox.ca_file), keys=keys_of(sandbox.key))
        with Atlas(endpoint, sleep=sandbox.clock.advance) as atlas:
            times: dict[str, Any] = {"start": START + 60, "stop": None, "one_off": interval_s is None}
            assert atlas.create(asked, [101, 102], tag=tag, **times) == [1_000_001, 1_000_002, 1_000_003]
            assert atlas.warnings == []
            # The client does hear warnings: one for what nobody knows.
            atlas.create([asked[1] | {"bogus": 1}], [101], tag=tag, **times)
            (warning,) = atlas.warnings
            assert "/definitions/0/bogus" in warning


def test_cousteau_finds_probes_page_by_page(tmp_path: Path) -> None:
    internet = FakeInternet(points=tuple(vantage(number) for number in range(1, 121)))
    with open_sandbox(internet, start=START, folder=tmp_path) as sandbox:
        request = ProbeRequest(country_code="DE", tags=["system-ipv4-works"], **options(sandbox))
        assert [probe["id"] for probe in request] == list(range(1, 121))
        assert request.total_count == 120
        probe = Probe(id=7, **options(sandbox))
    assert (probe.country_code, probe.asn_v4, probe.status, probe.geometry["coordinates"]) == (
        "DE", 64_500, "Connected", [8.68, 50.11],
    )  # fmt: skip


def test_cousteau_is_told_of_errors_in_the_envelope(sandbox: Sandbox) -> None:
    request = AtlasCreateRequest(
        key="no-such-key",
        measurements=[Ping(af=4, target=V4, description="x")],
        sources=[AtlasSource(type="area", value="WW", requested=1)],
        is_oneoff=True,
        **options(sandbox),
    )
    worked, answer = request.create()
    assert (worked, answer["error"]["status"], answer["error"]["code"]) == (False, 401, 104)


def test_a_day_of_a_built_in_measurement_streams_as_lines(sandbox: Sandbox) -> None:
    with requests.Session() as session:
        url = f"https://{sandbox.server}/api/v2/measurements/10301/results/?format=txt"
        with session.get(url, verify=str(sandbox.ca_file), stream=True, timeout=60) as answer:
            assert answer.headers["Transfer-Encoding"] == "chunked"
            results = [json.loads(line) for line in answer.iter_lines()]
    # 360 rounds of 240 s in a day, of five vantage points; the last may be under way.
    assert 359 * 5 <= len(results) <= 360 * 5
    assert {result["dst_addr"] for result in results} == {V4}


def test_the_key_is_made_for_the_run_and_never_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", sandbox.key)
    assert sandbox.key not in repr(sandbox)
    with open_sandbox(FakeInternet(), start=START, folder=tmp_path / "other") as other:
        assert other.key != sandbox.key
    with open_sandbox(FakeInternet(), start=START, folder=tmp_path / "given", key="mine") as given:
        assert given.key == "mine"


def test_a_fast_sandbox_passes_a_schedule_in_a_moment(tmp_path: Path) -> None:
    seconds = [100.0]
    internet = FakeInternet()
    with open_sandbox(
        internet, start=START, speed=3600, services=[SERVICE], folder=tmp_path, monotonic=lambda: seconds[0]
    ) as sandbox:
        seconds[0] += 1
        assert sandbox.clock.now() == START + 3600
        worked, results = AtlasResultsRequest(msm_id=10301, start=START, **options(sandbox)).create()
    assert worked
    assert 5 * 14 <= len(results) <= 5 * 15


def test_built_in_measurements_go_to_the_present_address_of_their_family() -> None:
    assert [(target.id, target.address) for target in built_in_targets([SERVICE])] == [(10301, V4), (11301, V6)]


def test_a_sandbox_killed_after_a_post_goes_on_with_its_journal(tmp_path: Path) -> None:
    journal = tmp_path / "journal.ndjson"
    fetched: list[Any] = []
    for _ in range(2):
        with open_sandbox(
            FakeInternet(), start=START, folder=tmp_path / "tls", journal=journal, key="key-of-the-run"
        ) as sandbox:
            if not fetched:
                request = AtlasCreateRequest(
                    key="key-of-the-run",
                    measurements=[Ping(af=4, target=V4, description="x")],
                    sources=[AtlasSource(type="area", value="WW", requested=5)],
                    is_oneoff=True,
                    **options(sandbox),
                )
                assert request.create() == (True, {"measurements": [1_000_001]})
            sandbox.clock.advance(300)
            fetched.append(AtlasResultsRequest(msm_id=1_000_001, **options(sandbox)).create())
    assert fetched[0] == fetched[1]
    assert len(fetched[0][1]) >= 4
    assert "key-of-the-run" not in journal.read_text()


def test_untroubled_vantage_points_of_the_default_world_hear_a_server_that_the_truth_names(tmp_path: Path) -> None:
    service = bundled_service("k-root")
    internet = Internet(host(make_world(7, vantage_points=150), service), seed=7)
    address = next(entry.address for entry in service.addresses if entry.af == 4)
    servers = {row.vantage: row for row in truth(internet) if row.address == address}
    with open_sandbox(internet, start=START, services=[service], folder=tmp_path) as sandbox:
        worked, results = AtlasResultsRequest(msm_id=10301, start=START - 600, **options(sandbox)).create()
    assert worked
    heard = 0
    for result in results:
        row = servers[result["prb_id"]]
        if row.trouble is None and row.interception is None and "result" in result:
            (answer,) = result["result"]["answers"]
            assert "".join(answer["RDATA"]) in row.servers
            heard += 1
    assert heard > 150
