from __future__ import annotations

import email.utils
import json
import re
import socket
import threading
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import trustme
from hypothesis import given

from catchment import __version__
from catchment.errors import PlatformFailed
from catchment.platforms.atlas.client import (
    Atlas,
    Endpoint,
    PlatformUnsure,
    Refused,
    StreamBroken,
    _split,
)
from catchment.platforms.atlas.failures import clean
from catchment.platforms.atlas.hiding import Hiding
from catchment.platforms.atlas.keys import Key, Keys
from tests.atlas_server import (
    KEY,
    SHORT_PATIENCE_S,
    Answer,
    AtlasServer,
    Bench,
    Fault,
    Request,
    error,
    html,
    keys_of,
    ndjson,
    ok,
    serving,
)

PING = {"type": "ping", "af": 4, "target": "198.51.100.53", "description": "test", "tags": ["run-1"], "packets": 3}


def one_line(failure: pytest.ExceptionInfo[PlatformFailed]) -> str:
    message = str(failure.value)
    assert "\n" not in message
    assert message.isprintable()
    assert KEY not in message
    return message


def create(atlas: Atlas, *definitions: dict[str, Any]) -> list[int]:
    return atlas.create(definitions or [PING], [7, 9], tag="run-1", start=1_700_000_000, stop=None, one_off=True)


def test_json_is_asked_for_by_our_own_name_without_the_key(bench: Bench) -> None:
    with bench.atlas([ok({"id": 5})]) as (atlas, server):
        assert atlas.get("/measurements/5/", fields=["id", "af"], public=True, absent=None) == {"id": 5}
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/api/v2/measurements/5/")
    assert request.params == {"fields": "id,af", "public": "true"}
    assert request.headers["user-agent"] == f"catchment/{__version__}"
    assert "authorization" not in request.headers


def test_the_key_is_shown_where_it_is_needed_even_if_a_netrc_file_knows_the_host(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with bench.atlas([ok({"current_balance": 10})]) as (atlas, server):
        atlas._session._http.trust_env = True
        monkeypatch.setenv("NO_PROXY", "*")
        assert atlas.get("/credits/") == {"current_balance": 10}
    assert server.requests[0].headers["authorization"] == f"Key {KEY}"


def test_a_proxy_is_not_asked_for_this_host(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with bench.atlas([ok([])]) as (atlas, _):
        assert atlas.get("/probes/") == []


def test_a_proxy_that_cannot_be_reached_is_said_so_and_has_passed_nothing_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with (
        Atlas(Endpoint(server="atlas.invalid", keys=keys_of(KEY)), sleep=bench.slept.append) as atlas,
        pytest.raises(PlatformFailed) as failure,
    ):
        create(atlas)
    assert type(failure.value) is PlatformFailed
    assert "the proxy cannot be reached, or refuses: check HTTPS_PROXY" in one_line(failure)


def test_pages_are_followed_wherever_the_server_points(bench: Bench) -> None:
    def answer(request: Request) -> Answer:
        if "after" in request.params:
            return ok({"count": 3, "next": None, "results": [3]})
        address = f"https://{request.headers['host']}/api/v2/probes/?after=WzEwXQ%3D%3D&page_size=2"
        return ok({"count": 3, "next": address, "results": [1, 2]})

    with bench.atlas(answer) as (atlas, server):
        assert list(atlas.pages("/probes/", page_size=2)) == [1, 2, 3]
    assert server.asked("after") == [None, "WzEwXQ=="]


@pytest.mark.parametrize(
    "following",
    ["https://example.org/api/v2/probes/?page=2", "http://{host}/api/v2/probes/?page=2", "https://{host}/login", 7],
)
def test_a_next_page_elsewhere_is_not_followed(bench: Bench, following: Any) -> None:
    def answer(request: Request) -> Answer:
        address = following.format(host=request.headers["host"]) if isinstance(following, str) else following
        return ok({"count": 2, "next": address, "results": [1]})

    with bench.atlas(answer) as (atlas, server):
        with pytest.raises(PlatformFailed) as failure:
            list(atlas.pages("/probes/"))
        assert len(server.requests) == 1
    assert "next page is elsewhere" in one_line(failure)


def test_pages_that_go_round_in_a_circle_end(bench: Bench) -> None:
    def answer(request: Request) -> Answer:
        address = f"https://{request.headers['host']}/api/v2/probes/?page=2"
        return ok({"count": 2, "next": address, "results": [1]})

    with bench.atlas(answer) as (atlas, _), pytest.raises(PlatformFailed, match="circle"):
        list(atlas.pages("/probes/"))


def test_a_server_that_fails_twice_is_asked_three_times_with_growing_pauses(bench: Bench) -> None:
    with bench.atlas([error(500, "broken"), html(502), ok(1)]) as (atlas, server):
        assert atlas.get("/probes/") == 1
        assert len(server.requests) == 3
    assert bench.slept == [1.0, 2.0]


def test_a_server_that_goes_on_failing_is_asked_five_times(bench: Bench) -> None:
    with bench.atlas(lambda _: error(500, "broken")) as (atlas, server):
        with pytest.raises(Refused) as failure:
            atlas.get("/probes/")
        assert len(server.requests) == 5
    assert bench.slept == [1.0, 2.0, 4.0, 8.0]
    assert one_line(failure).endswith("reading /probes/: 500 Reason: broken: the server has a problem: try again later")


def test_retry_after_is_honoured_in_seconds_and_as_a_date(bench: Bench) -> None:
    now = 1_700_000_000
    date, later = (email.utils.formatdate(at, usegmt=True) for at in (now, now + 12))
    script = [error(429, "slow down", Retry_After="7"), error(429, "slow down", Retry_After=later, Date=date), ok(1)]
    with bench.atlas(script) as (atlas, _):
        assert atlas.get("/probes/") == 1
    assert bench.slept == [7.5, 12.5]


def test_too_many_requests_without_retry_after_back_off(bench: Bench) -> None:
    with bench.atlas([error(429, "slow down"), ok(1)]) as (atlas, _):
        assert atlas.get("/probes/") == 1
    assert bench.slept == [1.0]


def test_nobody_waits_an_hour_in_silence(bench: Bench) -> None:
    with (
        bench.atlas([error(429, "slow down", Retry_After="3600")]) as (atlas, _),
        pytest.raises(Refused) as failure,
    ):
        atlas.get("/probes/")
    assert bench.slept == []
    assert "the server asks to try again in 3600 s" in one_line(failure)


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.CLOSE, Fault.HANG])
def test_a_connection_that_fails_is_tried_again(bench: Bench, fault: Fault) -> None:
    with bench.atlas([fault, ok({"id": 1})], patience_s=SHORT_PATIENCE_S) as (atlas, _):
        assert atlas.get("/measurements/1/") == {"id": 1}
    assert bench.slept == [1.0]


def test_a_server_that_hangs_is_given_up(bench: Bench) -> None:
    with bench.atlas(lambda _: Fault.HANG, patience_s=0.25) as (atlas, _), pytest.raises(PlatformFailed) as failure:
        atlas.get("/probes/")
    assert one_line(failure).endswith("reading /probes/: no answer in time: check the network, or try again later")


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (Fault.RESET, "the connection broke off"),
        (error(500, "Something is wrong"), "500"),
        (error(500, f"no {KEY}\x1b[31m"), r"no \(key\)"),
    ],
    ids=["reset", "500", "hostile"],
)
def test_that_it_is_tried_again_is_said_once_for_each_question(bench: Bench, first: Answer | Fault, why: str) -> None:
    said: list[str] = []
    with bench.atlas([first, first, ok({"id": 5}), first, ok({"id": 6})], say=said.append) as (atlas, _):
        atlas.get("/measurements/5/")
        assert len(said) == 1
        atlas.get("/measurements/6/")
    for number, line in zip((5, 6), said, strict=True):
        assert re.match(
            rf"trying again, 4 times at most: 127.0.0.1:\d+: reading /measurements/{number}/: .*{why}", line
        )
        assert line.isprintable()
        assert KEY not in line


def test_what_is_hopeless_or_good_is_not_said_to_be_tried_again(bench: Bench) -> None:
    said: list[str] = []
    with bench.atlas([error(404, "Not found"), ok({"id": 5})], say=said.append) as (atlas, _):
        with pytest.raises(Refused):
            atlas.get("/measurements/5/")
        atlas.get("/measurements/5/")
    assert said == []


def test_half_an_answer_is_asked_for_again(bench: Bench) -> None:
    with bench.atlas([Answer(body={"id": 12345}, cut=5), Answer(body=b'{"id": 12'), ok({"id": 12345})]) as (atlas, _):
        assert atlas.get("/measurements/1/") == {"id": 12345}


def reserved() -> socket.socket:
    """Return a socket that keeps a port on which nobody listens."""
    line = socket.socket()
    line.bind(("127.0.0.1", 0))
    return line


def test_a_port_where_nobody_listens_is_said_so(bench: Bench) -> None:
    with (
        reserved() as taken,
        Atlas(Endpoint(server=f"127.0.0.1:{taken.getsockname()[1]}"), sleep=bench.slept.append) as atlas,
        pytest.raises(PlatformFailed) as failure,
    ):
        port = taken.getsockname()[1]
        atlas.get("/probes/")
    assert f"127.0.0.1:{port}: reading /probes/: the connection was refused" in one_line(failure)
    assert len(bench.slept) == 4


def test_a_name_that_nobody_knows_is_said_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def know_nobody(*_: object) -> None:  # there are resolvers that know an address for every name
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", know_nobody)
    with Atlas(Endpoint(server="atlas.invalid"), sleep=bench.slept.append) as atlas:
        atlas._session._http.trust_env = False
        with pytest.raises(PlatformFailed, match="its name cannot be resolved: check the network"):
            atlas.get("/probes/")


def test_a_certificate_that_is_not_trusted_is_not_tried_again(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with (
        serving(bench.authority, [ok(1)]) as server,
        Atlas(Endpoint(server=server.address, verify=str(other), keys=keys_of(KEY)), sleep=bench.slept.append) as atlas,
    ):
        for ask in (lambda: atlas.get("/probes/"), lambda: create(atlas)):
            with pytest.raises(PlatformFailed) as failure:
                ask()
            assert type(failure.value) is PlatformFailed
            assert "its certificate is not trusted" in one_line(failure)
    assert bench.slept == []


def test_a_server_without_tls_is_said_so(bench: Bench) -> None:
    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        server = f"127.0.0.1:{listener.getsockname()[1]}"
        with (
            Atlas(Endpoint(server=server, keys=keys_of(KEY)), sleep=bench.slept.append) as atlas,
            pytest.raises(PlatformFailed) as failure,
        ):
            create(atlas)
        thread.join()
    assert type(failure.value) is PlatformFailed
    assert "what answers there speaks no TLS" in one_line(failure)


def test_a_file_of_certificates_that_is_none_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for file in (empty, tmp_path / "absent.pem"):
        with pytest.raises(PlatformFailed, match="no file of certificates that can be read") as failure:
            Endpoint(verify=str(file))
        assert str(file) in one_line(failure)


def test_a_web_page_in_place_of_an_answer_points_at_a_proxy(bench: Bench) -> None:
    with bench.atlas([html()]) as (atlas, _), pytest.raises(PlatformFailed) as failure:
        atlas.get("/probes/")
    assert "a web page came in place of an answer, probably from a proxy or captive portal" in one_line(failure)


def test_a_redirection_is_not_followed(bench: Bench) -> None:
    moved = Answer(status=302, body=b"", headers={"Location": "https://portal.example/login"})
    with bench.atlas([moved]) as (atlas, _), pytest.raises(Refused) as failure:
        atlas.get("/probes/")
    assert "302 Reason: https://portal.example/login: probably a proxy or captive portal" in one_line(failure)


def test_what_the_api_complains_about_is_told_in_its_own_words(bench: Bench) -> None:
    refusal = error(
        400,
        "There were problems with your request",
        {"source": {"pointer": "/definitions/0/af"}, "detail": "This field is required."},
        {"source": {"parameter": "tags"}, "detail": ["Too many.", "Too long."]},
        {"source": {"pointer": ""}, "detail": "We do not allow more than 25 concurrent measurements"},
    )
    with bench.atlas([refusal]) as (atlas, _), pytest.raises(Refused) as failure:
        create(atlas)
    assert one_line(failure).endswith(
        "creating 1 measurements tagged 'run-1': 400 Reason: There were problems with your request; "
        "/definitions/0/af: This field is required.; tags: Too many. Too long.; "
        "We do not allow more than 25 concurrent measurements: change the campaign, then run it again"
    )


def test_an_error_without_its_envelope_is_read_too(bench: Bench) -> None:
    bare = Answer(status=400, body={"status": 400, "detail": "This target cannot be resolved"})
    with bench.atlas([bare]) as (atlas, _), pytest.raises(Refused, match="This target cannot be resolved"):
        create(atlas)


def test_an_error_under_a_good_status_is_no_answer(bench: Bench) -> None:
    with (
        bench.atlas([ok({"error": {"status": 404, "detail": "Not found."}})]) as (atlas, _),
        pytest.raises(Refused, match=r"Not found\.") as failure,
    ):
        atlas.get("/measurements/1/")
    assert failure.value.status == 404


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_wrong_or_powerless_is_explained_and_not_shown(bench: Bench, status: int) -> None:
    echo = error(status, f"The provided API key {KEY.upper()} does not exist", {"detail": f"Key {KEY}"})
    with bench.atlas([echo]) as (atlas, _), pytest.raises(Refused) as failure:
        create(atlas)
    message = one_line(failure)
    assert KEY.upper() not in message
    assert "The provided API key (key) does not exist" in message
    assert "the key of ATLASAUTH must exist, be valid today and have the permission 'Schedule a new" in message


def test_what_is_not_public_is_asked_for_again_with_the_key_that_may_fetch(bench: Bench) -> None:
    keys = Keys(create=Key(value="the-key-to-create", source="A"), fetch=Key(value="the-key-to-fetch", source="B"))

    def answer(request: Request) -> Answer:
        if request.headers.get("authorization") != "Key the-key-to-fetch":
            return error(403, "Forbidden")
        return ndjson({"prb_id": 1}) if request.path.endswith("/results/") else ok({"id": 7})

    said: list[str] = []
    with bench.atlas(answer, key=keys, say=said.append) as (atlas, server):
        assert atlas.get("/measurements/7/") == {"id": 7}
        assert list(atlas.lines("/measurements/7/results/", format="txt")) == [b'{"prb_id": 1}']
        assert len(server.requests) == 3  # by the second question it is known not to be public
    assert said == ["key: B"]


def test_what_is_not_public_is_explained_with_and_without_a_key(bench: Bench) -> None:
    for keys, words in (
        (Keys(), "name a public measurement, or set ATLAS_FETCH_KEY to a key with the permission 'Download results"),
        (keys_of(KEY), "the key of ATLASAUTH must exist, be valid today and have the permission 'Download results of"),
    ):
        with (
            bench.atlas(lambda _: error(403, "Forbidden"), key=keys) as (atlas, _),
            pytest.raises(Refused, match=words),
        ):
            atlas.get("/measurements/1/")


def test_without_a_key_nothing_is_sent(bench: Bench) -> None:
    with bench.atlas([], key=None) as (atlas, server):
        for ask, todo in (
            (lambda: create(atlas), "set ATLAS_CREATE_KEY to one with the permission 'Schedule a new measurement'"),
            (lambda: atlas.stop(1), "set ATLAS_CREATE_KEY to one with the permission 'Stop a measurement'"),
            (lambda: atlas.get("/credits/"), "set ATLAS_FETCH_KEY to one with the permission 'Get information about"),
            (lambda: atlas.get("/measurements/my/"), "set ATLAS_FETCH_KEY to one with the permission 'List your meas"),
        ):
            with pytest.raises(PlatformFailed, match=todo):
                ask()
        assert server.requests == []


def test_strings_of_the_server_are_cut_and_cleaned(bench: Bench) -> None:
    with (
        bench.atlas([error(400, "\x1b[31mred\x07\n\u202eevil " + "x" * 5000)]) as (atlas, _),
        pytest.raises(Refused) as failure,
    ):
        create(atlas)
    message = one_line(failure)
    assert "[31mred evil xxx" in message
    assert len(message) < 800


def test_warnings_in_good_answers_are_kept_once(bench: Bench) -> None:
    warning = {"source": {"parameter": "tls"}, "detail": ["Filtering by this field is not implemented."]}
    page = {"count": 0, "next": None, "results": [], "warnings": [warning]}
    with bench.atlas([ok(page), ok(page)]) as (atlas, _):
        list(atlas.pages("/measurements/", tls=True))
        list(atlas.pages("/measurements/", tls=True))
        assert atlas.warnings == ["tls: Filtering by this field is not implemented."]


def test_measurements_are_created_on_named_probes(bench: Bench) -> None:
    dns = {
        "type": "dns", "af": 4, "target": "198.51.100.53", "description": "d", "query_class": "CHAOS",
        "query_type": "TXT", "query_argument": "hostname.bind", "set_nsid_bit": True, "tags": ["run-1"],
    }  # fmt: skip
    with bench.atlas([Answer(status=201, body={"measurements": [1_000_001, 1_000_002]})]) as (atlas, server):
        ids = atlas.create([dns, PING], [7, 9], tag="run-1", start=1_700_000_000.9, stop=1_700_003_600.0, one_off=False)
    assert ids == [1_000_001, 1_000_002]
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/v2/measurements/")
    assert request.headers["authorization"] == f"Key {KEY}"
    assert request.headers["user-agent"] == f"catchment/{__version__}"
    assert request.body == {
        "definitions": [dns, PING],
        "probes": [{"type": "probes", "value": "7,9", "requested": 2}],
        "is_oneoff": False,
        "start_time": 1_700_000_000,
        "stop_time": 1_700_003_600,
    }


@pytest.mark.parametrize(
    "fault",
    [Fault.RESET, Fault.CLOSE, Fault.HANG, html(502), *(error(status, "x") for status in (408, 500, 503, 504, 599))],
)
def test_a_post_whose_answer_is_lost_is_never_sent_twice(bench: Bench, fault: Answer | Fault) -> None:
    answers = [fault, Answer(status=201, body={"measurements": [1]})]
    with bench.atlas(answers, patience_s=SHORT_PATIENCE_S) as (atlas, server):
        with pytest.raises(PlatformUnsure) as failure:
            create(atlas)
        assert len(server.requests) == 1
    assert "tagged 'run-1'" in one_line(failure)
    assert "tagged 'run-1'" in one_line(failure)


@pytest.mark.parametrize(
    "body", [b'{"measurements": [10', b"", {"measurements": [1, 2]}, {"measurements": ["1"]}, {}, [1], b"<html>"]
)
def test_an_accepted_post_with_an_unreadable_answer_may_have_made_measurements(bench: Bench, body: Any) -> None:
    with bench.atlas([Answer(status=201, body=body)]) as (atlas, server), pytest.raises(PlatformUnsure):
        create(atlas)
    assert len(server.requests) == 1


def test_a_post_that_was_throttled_is_left_to_whoever_knows_when_it_is_to_begin(bench: Bench) -> None:
    with bench.atlas([error(429, "slow down", Retry_After="7")]) as (atlas, server):
        with pytest.raises(Refused, match="too many requests") as failure:
            create(atlas)
        assert len(server.requests) == 1
    assert (failure.value.may_pass, failure.value.retry_after_s, bench.slept) == (True, 7.0, [])


def test_a_post_to_a_port_that_opens_late_is_tried_again(bench: Bench) -> None:
    taken = reserved()
    port = taken.getsockname()[1]
    servers: list[AtlasServer] = []

    def open_port(_: float) -> None:
        taken.close()
        servers.append(AtlasServer(bench.authority, [Answer(status=201, body={"measurements": [1]})], port))

    endpoint = Endpoint(server=f"127.0.0.1:{port}", verify=str(bench.ca_file), keys=keys_of(KEY))
    with Atlas(endpoint, sleep=open_port) as atlas:
        assert create(atlas) == [1]
    (server,) = servers
    server.close()
    assert len(server.requests) == 1


def test_a_post_to_a_port_where_nobody_listens_has_made_nothing(bench: Bench) -> None:
    with (
        reserved() as taken,
        Atlas(
            Endpoint(server=f"127.0.0.1:{taken.getsockname()[1]}", keys=keys_of(KEY)), sleep=bench.slept.append
        ) as atlas,
        pytest.raises(PlatformFailed) as failure,
    ):
        create(atlas)
    assert type(failure.value) is PlatformFailed
    assert "the connection was refused" in one_line(failure)


def test_a_measurement_is_stopped_and_a_second_try_does_no_harm(bench: Bench) -> None:
    with bench.atlas([Fault.RESET, Answer(status=204)]) as (atlas, server):
        atlas.stop(1_000_001)
    assert {(request.method, request.path) for request in server.requests} == {
        ("DELETE", "/api/v2/measurements/1000001/")
    }
    assert server.requests[-1].headers["authorization"] == f"Key {KEY}"


def test_results_are_streamed_line_by_line_as_they_came(bench: Bench) -> None:
    text = b'{"prb_id":1, "x": 1}\n\n{"prb_id":2,"error":{"timeout":5000}}\n{"error":{"timeout":5000},"prb_id":3}'
    with bench.atlas([Answer(body=text)]) as (atlas, server):
        assert list(atlas.lines("/measurements/1/results/", format="txt")) == [
            line for line in text.split(b"\n") if line
        ]
    assert server.requests[0].headers["user-agent"] == f"catchment/{__version__}"


def test_no_results_are_no_lines(bench: Bench) -> None:
    with bench.atlas([Answer(body=b"")]) as (atlas, _):
        assert list(atlas.lines("/measurements/1/results/")) == []


def test_the_start_of_a_stream_is_asked_for_again(bench: Bench) -> None:
    with bench.atlas([Fault.RESET, error(503, "later"), ndjson({"prb_id": 1})]) as (atlas, _):
        assert list(atlas.lines("/measurements/1/results/")) == [b'{"prb_id": 1}']


@pytest.mark.parametrize("cut", [0, 10, 14, 20])
def test_a_stream_that_breaks_off_never_yields_half_a_line(bench: Bench, cut: int) -> None:
    lines = [b'{"prb_id": 1}', b'{"prb_id": 2}']
    got = []
    with (
        bench.atlas([ndjson({"prb_id": 1}, {"prb_id": 2}, cut=cut)]) as (atlas, _),
        pytest.raises(StreamBroken) as failure,
    ):
        for line in atlas.lines("/measurements/1/results/"):
            got.append(line)  # noqa: PERF402  (what came before the failure is what counts)
    assert got in ([], lines[: cut // 14])
    assert "the connection broke off" in one_line(failure)


def test_a_stream_without_a_length_that_ends_within_a_line_is_broken(bench: Bench) -> None:
    half = Answer(body=b'{"prb_id": 1}\n{"prb_id": 2, "x": [', headers={"Content-Length": ""}, cut=999)
    with bench.atlas([half]) as (atlas, _), pytest.raises(StreamBroken, match="broke off"):
        list(atlas.lines("/measurements/1/results/"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><body>log in</body></html>", "a web page came in place of an answer"),
        (b'{"error": {"status": 500, "detail": "Database is away"}}', "Database is away"),
        (b'{"prb_id": 1}\n{"error":{"detail": "Database is away"}}\n', "Database is away"),
        (b'[{"prb_id": 1}]', "a JSON array came in place of one result per line"),
        (b'[{"prb_id": 1},\n{"prb_id": 2}]\n', "broke off, or are none"),
    ],
)
def test_what_is_no_results_is_not_taken_for_them(bench: Bench, body: bytes, said: str) -> None:
    with bench.atlas([Answer(body=body)]) as (atlas, _), pytest.raises(PlatformFailed, match=said):
        list(atlas.lines("/measurements/1/results/"))


def test_results_that_are_not_there_are_told_by_status(bench: Bench) -> None:
    with bench.atlas([error(404, "Not found.")]) as (atlas, _), pytest.raises(Refused, match=r"Not found\.") as failure:
        list(atlas.lines("/measurements/1/results/"))
    assert failure.value.status == 404


@given(lines=st.lists(st.binary(min_size=1).filter(lambda line: line.strip() and b"\n" not in line)), data=st.data())
def test_lines_are_the_same_however_the_network_cuts_them(lines: list[bytes], data: st.DataObject) -> None:
    text = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert [line for line, _ in _split(chunks)] == lines


@given(st.text())
def test_whatever_a_server_says_becomes_one_printable_line(text: str) -> None:
    line = clean(text + KEY + text, Hiding([KEY]))
    assert line.isprintable()
    assert KEY not in line


def test_a_post_that_is_in_doubt_is_not_repeated_by_what_the_body_says(bench: Bench) -> None:
    for body in ({"error": {"status": 503}}, {"error": {"detail": "no status"}}):
        with bench.atlas([ok(body), ok({})]) as (atlas, server), pytest.raises(PlatformUnsure):
            create(atlas)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [402, 403])
def test_who_has_no_credits_left_needs_credits_and_no_other_key(bench: Bench, status: int) -> None:
    with (
        bench.atlas([error(status, "You do not have enough credits.")]) as (atlas, _),
        pytest.raises(Refused, match=r"enough credits\.: get more credits, or ask for less"),
    ):
        create(atlas)


def test_a_key_of_its_own_stops_measurements(bench: Bench) -> None:
    keys = Keys(create=Key(value="creates", source="A"), stop=Key(value="stops", source="B"))
    said: list[str] = []
    with bench.atlas([Answer(status=204), Answer(status=204)], key=keys, say=said.append) as (atlas, server):
        atlas.stop(1)
        atlas.stop(2)
    assert [request.headers["authorization"] for request in server.requests] == ["Key stops"] * 2
    assert said == ["key: B"]


def test_what_is_wrong_with_key_files_is_said_when_a_key_is_first_needed(bench: Bench) -> None:
    said: list[str] = []
    keys = Keys(create=Key(value=KEY, source="A"), warnings=("~/.atlas/auth: everybody can read it",))
    with bench.atlas([ok(1), ok({}), ok({})], key=keys, say=said.append) as (atlas, _):
        atlas.get("/probes/")
        assert said == []
        atlas.get("/credits/")
        atlas.get("/credits/")
    assert said == ["warning: ~/.atlas/auth: everybody can read it", "key: A"]


def test_every_request_failure_and_wait_is_traced(bench: Bench) -> None:
    traced: list[str] = []
    script: list[Answer | Fault] = [
        ok({"x": "y" * 12_300}),
        Fault.RESET,
        error(429, "slow down", Retry_After="7"),
        ok(1),
        Answer(status=201, body={"measurements": [1]}),
        ndjson({"prb_id": 1}, {"prb_id": 2}),
    ]
    with bench.atlas(script, trace=traced.append) as (atlas, _):
        atlas.get("/probes/", page_size=500, tags=["a", "b"])
        atlas.get("/probes/")
        create(atlas)
        list(atlas.lines("/measurements/1/results/", format="txt"))
    assert [re.sub(r"\d+ ms", "N ms", line) for line in traced] == [
        "GET /api/v2/probes/?page_size=500&tags=a%2Cb 200 12.3 kB N ms",
        traced[1],
        "waiting 1.0 s before try 2 of 5",
        "GET /api/v2/probes/ 429 86 B N ms",
        "waiting 7.5 s before try 3 of 5",
        "GET /api/v2/probes/ 200 1 B N ms",
        "POST /api/v2/measurements/ 201 21 B N ms",
        "GET /api/v2/measurements/1/results/?format=txt 200 a stream N ms",
        "fetching /measurements/1/results/: 28 B of results",
    ]
    assert traced[1].startswith("reading /probes/: the connection broke off")


def echo(request: Request) -> Answer:
    """Say the key again wherever a server can."""
    key = request.headers.get("authorization", f"Key {KEY}")
    where = {"detail": [key, key[:22], key[22:]], "source": {"parameter": key.upper()}}
    if request.path.endswith("/results/"):
        return ndjson({"prb_id": 1, "from": KEY}) if "authorization" in request.headers else error(403, key, where)
    if request.path.endswith("/probes/") and "page" not in request.params:
        address = f"https://{request.headers['host']}/api/v2/probes/?page=2&key={KEY}"
        return ok({"count": 2, "next": address, "results": [{"description": KEY}], "warnings": [where]})
    if request.path.endswith("/probes/"):
        return ok({"count": 2, "next": f"https://elsewhere.example/{KEY[:18]}", "results": [KEY]})
    return Answer(status=400, body={"error": {"detail": key, "errors": [where]}}, headers={"Location": f"/{KEY}"})


def test_a_server_that_says_the_key_again_is_not_quoted(bench: Bench) -> None:
    told: list[str] = []
    with bench.atlas(echo, say=told.append, trace=told.append) as (atlas, _):
        got: list[Any] = []
        with pytest.raises(PlatformFailed) as elsewhere:
            got.extend(entries for entries, _ in atlas.batches("/probes/"))
        got += list(atlas.lines("/measurements/1/results/"))
        for ask in (lambda: create(atlas), lambda: atlas.stop(1), lambda: atlas.get("/credits/")):
            with pytest.raises(Refused) as refused:
                ask()
            told += [str(refused.value), repr(refused.value)]
        told += [str(elsewhere.value), repr(got), repr(atlas.endpoint), *atlas.warnings]
    assert sum("(key)" in line for line in told) > 5
    for line in told:
        assert not any(part.lower() in line.lower() for part in (KEY, KEY[:18], KEY[18:], *KEY.split("-")[::4])), line


def test_the_results_of_a_public_measurement_are_left_as_they_came(bench: Bench) -> None:
    line = json.dumps({"prb_id": 1, "answer": KEY}).encode()
    with bench.atlas([Answer(body=line + b"\n")]) as (atlas, _):
        assert list(atlas.lines("/measurements/1/results/")) == [line]


def test_an_endpoint_never_shows_its_key() -> None:
    assert KEY not in repr(Endpoint(keys=keys_of(KEY)))


@pytest.mark.parametrize("key", ["", "two words", "line\nend", "ключ"])
def test_a_key_that_cannot_be_sent_is_refused_unshown(key: str) -> None:
    with pytest.raises(PlatformFailed, match="copy it anew") as failure:
        Endpoint(keys=keys_of(key))
    assert not key or key not in str(failure.value)


@pytest.mark.parametrize("server", ["https://atlas.ripe.net", "atlas.ripe.net/api", "", "a b\n", "user@"])
def test_a_server_that_is_none_is_refused(server: str) -> None:
    with pytest.raises(PlatformFailed, match="give it as host or host:port"):
        Endpoint(server=server)


def test_nothing_is_printed(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    with bench.atlas([Answer(status=201, body={"measurements": [1]})]) as (atlas, _):
        create(atlas)
    assert capfd.readouterr() == ("", "")


def test_a_long_stream_is_read_in_little_memory(bench: Bench) -> None:
    import tracemalloc  # noqa: PLC0415

    line = json.dumps({"prb_id": 1, "abuf": "A" * 1000}).encode() + b"\n"
    body = line * 20_000
    with bench.atlas([Answer(body=body)]) as (atlas, _):
        tracemalloc.start()
        try:
            count = sum(1 for _ in atlas.lines("/measurements/1/results/"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert count == 20_000
    # The server, in the same process, copies the body once, to put the header before it.
    assert peak < 1.5 * len(body)
