"""The stream: subscriptions, frames over a WebSocket and as lines, and cousteau's AtlasStream against it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket
from hypothesis import given
from hypothesis import strategies as st
from ripe.atlas.cousteau import AtlasStream

from catchment.platforms.sandbox import Sandbox, open_sandbox
from catchment.platforms.sandbox.api import server as api_server
from catchment.platforms.sandbox.api.measurements import Measurement
from catchment.platforms.sandbox.api.subscriptions import Subscriptions, read_wanted
from tests.fake_internet import START, FakeInternet, dns_definition, everybody, ping_definition, vantage
from tests.sandbox_client import Client, Row

POINTS = tuple(vantage(number) for number in range(1, 6))


class Listener:
    """A client's subscriptions at a sandbox whose time stands still."""

    def __init__(self) -> None:
        self.client = Client(FakeInternet(points=POINTS))
        self.subscriptions = Subscriptions(self.client.api.ledger)

    def say(self, event: str, **parameters: Any) -> list[tuple[str, Any]]:
        return list(self.subscriptions.hear([event, parameters], self.client.clock.now()))

    def subscribe(self, **parameters: Any) -> list[tuple[str, Any]]:
        return self.say("atlas_subscribe", **{"streamType": "result"} | parameters)

    def news(self, after_s: float) -> list[Row]:
        self.client.clock.advance(after_s)
        frames = list(self.subscriptions.news(self.client.clock.now()))
        assert {name for name, _ in frames} <= {"atlas_result"}
        return [result for _, result in frames]

    def periodic(self, **changes: Any) -> int:
        return self.client.post(ping_definition(interval=60, spread=30, **changes), is_oneoff=False)[0]


def arrivals(results: list[Row]) -> list[int]:
    return [result["stored_timestamp"] for result in results]


# Subscriptions


def test_results_are_told_once_each_as_they_arrive() -> None:
    listener = Listener()
    number = listener.periodic()
    assert listener.subscribe(msm=number) == [("atlas_subscribed", {"streamType": "result", "msm": number})]
    told: list[Row] = []
    for second in range(1, 301):
        fresh = listener.news(1)
        assert all(stored == START + second for stored in arrivals(fresh))
        told += fresh
    delivered = listener.client.get(f"measurements/{number}/results/")
    assert sorted(told, key=str) == sorted(delivered, key=str)
    assert len(told) > 15


def test_those_that_came_while_nobody_looked_come_in_the_order_of_their_arrival() -> None:
    listener = Listener()
    listener.subscribe(msm=listener.periodic())
    told = listener.news(600)
    assert arrivals(told) == sorted(arrivals(told))
    assert len(set(arrivals(told))) > 10


def test_a_backlog_is_what_came_before_and_is_sent_between_the_welcome_and_its_end() -> None:
    listener = Listener()
    number = listener.periodic()
    listener.client.clock.advance(500)
    frames = listener.subscribe(msm=number, sendBacklog=True)
    asked = {"streamType": "result", "msm": number, "sendBacklog": True}
    assert (frames[0], frames[-1]) == (("atlas_subscribed", asked), ("atlas_backlog_sent", asked))
    backlog = [result for name, result in frames[1:-1] if name == "atlas_result"]
    news = listener.news(500)
    delivered = listener.client.get(f"measurements/{number}/results/")
    assert len(backlog) == len(frames) - 2 > 0 < len(news)
    assert sorted(backlog + news, key=str) == sorted(delivered, key=str)


def test_a_backlog_is_an_hour_long_at_most() -> None:
    listener = Listener()
    number = listener.periodic()
    listener.client.clock.advance(86_400)
    backlog = [result for name, result in listener.subscribe(msm=number, sendBacklog=True) if name == "atlas_result"]
    assert len(backlog) == 60 * len(POINTS)
    assert min(arrivals(backlog)) > START + 86_400 - 3600


@pytest.mark.parametrize(
    ("wanted", "kinds", "probes"),
    [
        ({}, {"ping", "dns"}, {1, 2, 3, 4, 5}),
        ({"type": "dns"}, {"dns"}, {1, 2, 3, 4, 5}),
        ({"prb": 3}, {"ping", "dns"}, {3}),
        ({"prb": "2,3", "type": "ping"}, {"ping"}, {2, 3}),
        ({"prb": [1, 5]}, {"ping", "dns"}, {1, 5}),
        ({"msm": 1_000_001}, {"ping"}, {1, 2, 3, 4, 5}),
        ({"msm": "1000001,1000002", "prb": 4}, {"ping", "dns"}, {4}),
        ({"msm": 1_000_001, "type": "dns"}, set(), set()),
        ({"prb": 99}, set(), set()),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_a_subscription_is_for_what_it_names(wanted: Row, kinds: set[str], probes: set[int]) -> None:
    listener = Listener()
    listener.periodic()
    listener.client.post(dns_definition(interval=60), is_oneoff=False)
    listener.client.clock.advance(20)  # until lists have them
    listener.subscribe(**wanted)
    told = listener.news(200)
    assert ({result["type"] for result in told}, {result["prb_id"] for result in told}) == (kinds, probes)


def test_both_spellings_of_the_stream_are_understood() -> None:
    assert read_wanted({"streamType": "result", "msm": 1001}) == read_wanted({"stream_type": "result", "msm": "1001"})


def test_who_unsubscribes_hears_no_more() -> None:
    listener = Listener()
    first, second = listener.periodic(), listener.periodic()
    listener.subscribe(msm=first)
    listener.subscribe(msm=second)
    assert {result["msm_id"] for result in listener.news(200)} == {first, second}
    assert listener.say("atlas_unsubscribe", stream_type="result", msm=first) == [
        ("atlas_unsubscribed", {"stream_type": "result", "msm": first})
    ]
    assert {result["msm_id"] for result in listener.news(200)} == {second}


def test_there_is_no_stream_of_what_is_not_public() -> None:
    listener = Listener()
    private = listener.periodic(is_public=False)
    public = listener.periodic()
    listener.client.clock.advance(20)
    ((name, error),) = listener.subscribe(msm=private)
    assert (name, str(private) in error["detail"]) == ("atlas_error", True)
    listener.subscribe()
    assert {result["msm_id"] for result in listener.news(400)} == {10301, public}


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (None, "array"),
        (["atlas_subscribe"], "array"),
        (["atlas_subscribe", []], "array"),
        (["atlas_dance", {}], "atlas_dance"),
        (["atlas_subscribe", {}], "streamType"),
        (["atlas_subscribe", {"streamType": "probestatus"}], "does not simulate"),
        (["atlas_subscribe", {"streamType": "nonsense"}], "nonsense"),
        (["atlas_subscribe", {"streamType": "result", "type": "http"}], "does not simulate"),
        (["atlas_subscribe", {"streamType": "result", "msm": "x"}], "whole number"),
        (["atlas_subscribe", {"streamType": "result", "msm": 1_000_099}], "1000099"),
        (["atlas_subscribe", {"streamType": "result", "sendBacklog": "perhaps"}], "true or false"),
    ],
    ids=str,
)
def test_what_cannot_be_understood_is_told(message: Any, word: str) -> None:
    listener = Listener()
    ((name, error),) = listener.subscriptions.hear(message, START)
    assert (name, word in error["detail"]) == ("atlas_error", True)
    assert listener.news(100) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["streamType", "stream_type", "msm", "prb", "type", "sendBacklog"])


@given(st.dictionaries(NAMES, JSON | st.sampled_from(["result", "dns", "10301", "true"])))
def test_no_subscription_breaks_the_stream(parameters: Row) -> None:
    frames = list(Subscriptions(Client().api.ledger).hear(["atlas_subscribe", parameters], START))
    assert frames[0][0] in {"atlas_subscribed", "atlas_error"}


# Over the network


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(FakeInternet(points=POINTS), start=START, folder=tmp_path) as running:
        yield running
    assert running.failures == []


def periodic(sandbox: Sandbox) -> Measurement:
    body: Any = {"definitions": [ping_definition(interval=60)], "probes": [everybody()], "is_oneoff": False}
    answer = requests.post(
        f"https://{sandbox.server}/api/v2/measurements/",
        json=body,
        headers={"Authorization": f"Key {sandbox.key}"},
        verify=str(sandbox.ca_file),
        timeout=60,
    )
    found = sandbox.api.ledger.get(answer.json()["measurements"][0])
    assert found is not None
    return found


def delivered(sandbox: Sandbox, measurement: Measurement) -> list[str]:
    return sorted(map(json.dumps, sandbox.api.ledger.results(measurement, now=sandbox.clock.now())))


@contextmanager
def cousteau(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[AtlasStream]:
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(sandbox.ca_file))
    stream = AtlasStream(base_url=f"https://{sandbox.stream_server}")
    stream.connect()
    with closing(stream.session):
        yield stream
        stream.disconnect()


def test_cousteau_hears_results_as_they_arrive(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    measurement = periodic(sandbox)
    sandbox.clock.advance(500)
    with cousteau(sandbox, monkeypatch) as stream:
        stream.subscribe("result", msm=measurement.id, sendBacklog=True)
        heard = []
        events = stream.iter(seconds=10)
        assert next(events)[0] == "atlas_subscribed"
        # Many results at once, and a client that waits for the socket: all of them must come through.
        for name, payload in events:
            if name == "atlas_backlog_sent":
                break
            heard.append(json.dumps(payload))
        assert sorted(heard) == delivered(sandbox, measurement) != []
        sandbox.clock.advance(500)
        due = len(delivered(sandbox, measurement)) - len(heard)
        heard += [json.dumps(payload) for _, (name, payload) in zip(range(due), events, strict=False)]
        assert sorted(heard) == delivered(sandbox, measurement)
        stream.unsubscribe("result", msm=measurement.id, sendBacklog=True)
        assert next(events)[0] == "atlas_unsubscribed"
        sandbox.clock.advance(500)
        assert list(stream.iter(seconds=0.3)) == []


def test_cousteau_is_told_of_an_error(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with cousteau(sandbox, monkeypatch) as stream:
        stream.subscribe("result", msm=1_000_099)
        assert next(stream.iter(seconds=5)) == (
            "atlas_error", {"detail": "There is no public measurement 1000099."},
        )  # fmt: skip


def test_the_same_frames_come_as_lines(sandbox: Sandbox) -> None:
    measurement = periodic(sandbox)
    sandbox.clock.advance(500)
    url = f"https://{sandbox.stream_server}/stream/?streamType=result&sendBacklog=true&msm={measurement.id}"
    with (
        requests.Session() as session,
        session.get(url, verify=str(sandbox.ca_file), stream=True, timeout=60) as answer,
    ):
        frames = (json.loads(line) for line in answer.iter_lines(chunk_size=1))
        asked = {"streamType": "result", "sendBacklog": "true", "msm": str(measurement.id)}
        assert next(frames) == ["atlas_subscribed", asked]
        heard = []
        for name, payload in frames:
            if name == "atlas_backlog_sent":
                break
            heard.append(json.dumps(payload))
        assert sorted(heard) == delivered(sandbox, measurement) != []
        sandbox.clock.advance(60)
        assert next(frames)[0] == "atlas_result"


def test_lines_for_nothing_that_there_is_end_with_the_error(sandbox: Sandbox) -> None:
    url = f"https://{sandbox.stream_server}/stream/?streamType=result&msm=5"
    answer = requests.get(url, verify=str(sandbox.ca_file), timeout=60)
    assert answer.json() == ["atlas_error", {"detail": "There is no public measurement 5."}]


def test_other_places_and_methods_are_refused_in_the_envelope(sandbox: Sandbox) -> None:
    for method, path, status in (("GET", "/", 404), ("POST", "/stream/", 405), ("GET", "/api/v2/probes/", 404)):
        answer = requests.request(
            method, f"https://{sandbox.stream_server}{path}", verify=str(sandbox.ca_file), timeout=60
        )
        assert (answer.status_code, answer.json()["error"]["status"]) == (status, status)


def test_a_handshake_that_is_none_is_refused(sandbox: Sandbox) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "1"}
    answer = requests.get(
        f"https://{sandbox.stream_server}/stream/", headers=headers, verify=str(sandbox.ca_file), timeout=60
    )
    assert answer.status_code == 400


@contextmanager
def connected(sandbox: Sandbox) -> Iterator[websocket.WebSocket]:
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    connection = websocket.create_connection(
        f"wss://{sandbox.stream_server}/stream/?client=test", sslopt={"context": context}, timeout=60
    )
    try:
        yield connection
    finally:
        connection.close()
        if connection.sock is not None:  # one that the server has closed stays open otherwise
            connection.sock.close()


def test_a_websocket_answers_pings_and_says_goodbye(sandbox: Sandbox) -> None:
    with connected(sandbox) as client:
        client.ping(b"there?")
        opcode, data = client.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"there?")
        client.send_close(1000)
        opcode, data = client.recv_data(control_frame=True)
        assert (opcode, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, b"\x03\xe8")


def test_nonsense_is_answered_and_a_message_too_long_ends_the_conversation(sandbox: Sandbox) -> None:
    with connected(sandbox) as client:
        client.send("{")
        assert json.loads(client.recv())[0] == "atlas_error"
        client.send("x" * 200_000)
        opcode, data = client.recv_data(control_frame=True)
        assert (opcode, int.from_bytes(data[:2])) == (websocket.ABNF.OPCODE_CLOSE, 1009)


def test_a_client_that_breaks_the_protocol_or_leaves_disturbs_nobody(sandbox: Sandbox) -> None:
    for last_words in (b"\xff" * 100, b"", b"\x81\x05hello"):
        with connected(sandbox) as client:
            assert client.sock is not None
            client.sock.sendall(last_words)
            client.sock.shutdown(socket.SHUT_WR)
    with connected(sandbox) as client:
        client.send('["atlas_subscribe", {"streamType": "result"}]')
        assert json.loads(client.recv()) == ["atlas_subscribed", {"streamType": "result"}]


def test_a_sandbox_closes_at_once_whoever_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_server, "_FAREWELL_S", 60.0)  # so long it waits for each thread that does not end
    with open_sandbox(FakeInternet(points=POINTS), start=START, folder=tmp_path) as sandbox:
        context = ssl.create_default_context(cafile=str(sandbox.ca_file))
        address = f"wss://{sandbox.stream_server}/stream/"
        client = websocket.create_connection(address, sslopt={"context": context}, timeout=60)
        began = time.monotonic()
    assert time.monotonic() - began < 60
    client.close()
    assert not [thread for thread in threading.enumerate() if "_converse" in thread.name]


def test_both_servers_are_trusted_by_one_certificate_authority(sandbox: Sandbox, tmp_path: Path) -> None:
    assert sandbox.stream_server != sandbox.server
    assert [file.name for file in tmp_path.glob("*.pem")] == [sandbox.ca_file.name]
