"""RIPE's own command line, unmodified, against a served sandbox: what it shows must be what the sandbox delivered."""

from __future__ import annotations

import json
import os
import re
import socketserver
import ssl
import subprocess
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import trustme

from catchment.platforms.sandbox import Sandbox, open_sandbox
from catchment.platforms.sandbox.api.measurements import Measurement
from catchment.platforms.sandbox.internet.replies import Hop, Lost, Reply
from catchment.platforms.topology.elements import VantagePoint
from tests.fake_internet import KEY, START, V4, V6, FakeInternet, vantage

SPEED = 300.0
COMMAND = Path(sysconfig.get_path("scripts")) / "ripe-atlas"
POINTS = (
    *(vantage(number, ipv6=number % 2 == 0) for number in range(1, 5)),
    *(vantage(number, country="NL", asn=64_501, latitude=52.37, longitude=4.89) for number in range(5, 9)),
    vantage(9, country="US", asn=64_502, latitude=40.71, longitude=-74.01),
)
TARGET = ("--target", V4)
Row = dict[str, Any]


@dataclass
class EachItsOwn(FakeInternet):
    """Answers every vantage point in a way of its own, so that nothing of one can pass for another's."""

    points: tuple[VantagePoint, ...] = POINTS

    def dns(self, vantage: VantagePoint, *_: Any, nsid: bool, **__: Any) -> Reply | Lost:
        text = f"ns{vantage.id}.site.example"
        return Reply(rtt_ms=vantage.id + 0.125, rcode="NOERROR", text=text, nsid=text if nsid else None)

    def ping(self, vantage: VantagePoint, *asked: Any, **_: Any) -> tuple[float | None, ...] | Lost:
        _address, packets = asked
        return tuple(vantage.id + number / 4 for number in range(packets))

    def traceroute(self, vantage: VantagePoint, address: str, **_: Any) -> tuple[Hop, ...] | Lost:
        near, far = vantage.id + 0.25, vantage.id + 0.5
        return (
            Hop(number=1, address=f"10.0.0.{vantage.id}", rtts_ms=(near, near, near)),
            Hop(number=2, address=None, rtts_ms=()),
            Hop(number=3, address=address, rtts_ms=(far, far, far)),
        )


@dataclass
class Shell:
    """A user's shell: a home with RIPE's configuration in it, and what the environment says of trust."""

    sandbox: Sandbox
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        configuration = self.home / "ripe-atlas-tools" / "rc"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(
            f"authorisation:\n  create: {KEY}\n  fetch: {KEY}\n"
            f"ripe-ncc:\n  endpoint: https://{self.sandbox.server}\n"
            f"  stream-base-url: https://{self.sandbox.stream_server}\n"
        )
        self.trust(self.sandbox.ca_file)

    def trust(self, authorities: Path) -> None:
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "WEBSOCKET_CLIENT_CA_BUNDLE"):
            self.environment[name] = str(authorities)

    def run(self, *words: str) -> str:
        """Run `ripe-atlas` and return what it printed. It ends with status 0 even where it says what went wrong."""
        known = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        home = {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home), "TZ": "UTC"}
        ran = subprocess.run(
            [str(COMMAND), *words],
            env=known | home | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def measure(self, *words: str) -> tuple[Measurement, str]:
        """Run `ripe-atlas measure`; return the measurement and what was printed of its results."""
        welcome, _, shown = self.run("measure", *words).partition("Subscribing to stream...")
        created = re.search(r"Measurement (\d+) was created", welcome)
        assert created is not None
        assert f"https://{self.sandbox.server}/measurements/{created[1]}/" in welcome
        return self.measurement(int(created[1])), shown

    def measurement(self, number: int) -> Measurement:
        found = self.sandbox.api.ledger.get(number)
        assert found is not None
        return found

    def delivered(self, measurement: Measurement) -> list[Row]:
        """Return the results that have arrived, once all that were under way have."""
        self.sandbox.clock.advance(400)
        return list(self.sandbox.api.ledger.results(measurement, now=self.sandbox.clock.now()))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("ripe")
    assert COMMAND.exists(), "install catchment with its dev extra: ripe-atlas is part of it"
    with open_sandbox(EachItsOwn(), start=START, speed=SPEED, folder=folder / "tls", key=KEY) as sandbox:
        yield Shell(sandbox, folder / "home")
    assert sandbox.failures == []


def numbers(output: str, pattern: str) -> list[int]:
    return [int(number) for number in re.findall(pattern, output)]


# Measuring, with the results from the stream


def test_chaos_queries_are_answered_by_the_probes_of_a_country(shell: Shell) -> None:
    chaos = ("--query-class", "CHAOS", "--query-type", "TXT", "--query-argument", "hostname.bind", "--set-nsid-bit")
    measurement, shown = shell.measure("dns", *chaos, *TARGET, "--from-country", "DE", "--probes", "4")
    definition = measurement.definition
    assert (definition.options["query_class"], definition.options["set_nsid_bit"]) == ("CHAOS", True)
    assert (measurement.participants, measurement.is_oneoff) == ((1, 2, 3, 4), True)
    assert sorted(numbers(shown, r"Probe #(\d+)")) == [1, 2, 3, 4]
    for probe in shown.split("Probe #")[1:]:
        number = int(probe.split()[0])
        assert f"CH     TXT    ns{number}.site.example" in probe
        assert f"Query time: {number}.125 msec" in probe
        assert f"SERVER: {V4}#53" in probe
        assert "status: NOERROR" in probe
    assert shown.rstrip().endswith("Disconnected from stream")


def test_a_ping_shows_every_packet_of_every_probe(shell: Shell) -> None:
    measurement, shown = shell.measure("ping", *TARGET, "--packets", "2", "--from-probes", "2,3,9")
    results = {result["prb_id"]: result for result in shell.delivered(measurement)}
    lines = [line for line in shown.splitlines() if line.startswith("48 bytes")]
    assert sorted(lines) == sorted(
        f"48 bytes from {V4} via probe #{number} ({results[number]['from']}): ttl=62 "
        f"times={number}.0 ms, {number}.25 ms"
        for number in (2, 3, 9)
    )
    assert "6 packets transmitted, 6 received, 0.0% loss" in shown


def test_a_traceroute_shows_every_hop(shell: Shell) -> None:
    _, shown = shell.measure("traceroute", *TARGET, "--protocol", "UDP", "--from-asn", "64501", "--probes", "4")
    assert sorted(numbers(shown, r"Probe #(\d+)")) == [5, 6, 7, 8]
    for probe in shown.split("Probe #")[1:]:
        number = int(probe.split()[0])
        rows = [line.split() for line in probe.splitlines() if re.match(r" +\d+ \S", line)]
        assert [(row[0], row[1]) for row in rows] == [("1", f"10.0.0.{number}"), ("2", "*"), ("3", V4)]
        assert [row[2] for row in rows] == [f"{number}.25", "*", f"{number}.5"]


def test_what_is_streamed_is_what_is_delivered_byte_for_byte(shell: Shell) -> None:
    measurement, shown = shell.measure("ping", "--target", V6, "--renderer", "raw", "--probes", "2")
    streamed = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert sorted(result["prb_id"] for result in streamed) == [2, 4]  # those that speak IPv6
    assert sorted(streamed, key=str) == sorted(shell.delivered(measurement), key=str)


def test_no_more_is_streamed_than_the_limit(shell: Shell) -> None:
    _, shown = shell.measure("ping", *TARGET, "--from-area", "WW", "--probes", "9", "--stream-limit", "3")
    assert shown.count("48 bytes") == 3


@pytest.mark.parametrize(
    ("source", "participants"),
    [
        (("--from-region", "europe"), (1, 2, 3, 4, 5, 6, 7, 8)),
        (("--from-countries", "NL,US"), (5, 6, 7, 8, 9)),
        (("--from-area", "West"), (9,)),
        (("--from-prefix", "240.0.16.0/20"), (5, 6, 7, 8)),
        (("--from-country", "DE", "--include-tag", "system-ipv6-works"), (2, 4)),
    ],
    ids=str,
)
def test_probes_are_those_of_the_source(shell: Shell, source: Sequence[str], participants: tuple[int, ...]) -> None:
    measurement, _ = shell.measure("ping", *TARGET, "--no-report", *source)
    assert measurement.participants == participants


def test_probes_are_those_of_another_measurement(shell: Shell) -> None:
    first, _ = shell.measure("ping", *TARGET, "--no-report", "--from-country", "DE", "--probes", "4")
    second, _ = shell.measure("ping", *TARGET, "--no-report", "--from-measurement", str(first.id))
    assert second.participants == first.participants == (1, 2, 3, 4)


def test_a_wrong_key_is_told_in_the_words_of_the_api(shell: Shell) -> None:
    said = shell.run("measure", "ping", *TARGET, "--auth", "no-such-key")
    assert "There was a problem communicating with the RIPE Atlas API" in said
    assert '"detail": "The provided API key does not exist"' in said


# Reports


@pytest.fixture(scope="module")
def chaos(shell: Shell) -> Measurement:
    words = ("--query-class", "CHAOS", "--query-type", "TXT", "--query-argument", "id.server", "--no-report")
    measurement, _ = shell.measure("dns", *words, *TARGET, "--probes", "9", "--description", "who is it?")
    assert len(shell.delivered(measurement)) == 9
    return measurement


def test_a_report_shows_all_results(shell: Shell, chaos: Measurement) -> None:
    shown = shell.run("report", str(chaos.id))
    for probe in shown.split("Probe #")[1:]:
        assert f"CH     TXT    ns{probe.split()[0]}.site.example" in probe
    assert sorted(numbers(shown, r"Probe #(\d+)")) == list(range(1, 10))
    compact = shell.run("report", str(chaos.id), "--renderer", "dns_compact")
    assert sorted(re.findall(r"Probe +#(\d+): .* NOERROR .* TXT (\S+)", compact)) == [
        (str(number), f"ns{number}.site.example") for number in range(1, 10)
    ]


def test_a_report_of_a_window_or_of_some_probes_is_what_was_delivered_then_and_there(
    shell: Shell, chaos: Measurement
) -> None:
    delivered = shell.delivered(chaos)
    window = ("--start-time", "2026-11-01T00:00:00", "--stop-time", "2099-01-01T00:00:00")
    for words, expected in (
        (window, delivered),
        (("--start-time", "2098-01-01T00:00:00"), None),
        (("--probes", "3,7"), [result for result in delivered if result["prb_id"] in (3, 7)]),
    ):
        shown = shell.run("report", str(chaos.id), "--renderer", "raw", *words)
        if expected is None:
            assert "There aren't any results" in shown
        else:
            lines = [json.loads(line) for line in shown.splitlines()]
            assert sorted(lines, key=str) == sorted(expected, key=str)


def test_a_report_by_country_asks_for_the_probes_too(shell: Shell, chaos: Measurement) -> None:
    shown = shell.run("report", str(chaos.id), "--renderer", "dns_compact", "--aggregate-by", "country")
    groups = {group[:2]: numbers(group, r"Probe +#(\d+)") for group in shown.split("COUNTRY_CODE: ")[1:]}
    assert groups == {"DE": [1, 2, 3, 4], "NL": [5, 6, 7, 8], "US": [9]}


def test_a_report_of_nothing_says_so(shell: Shell) -> None:
    assert "[404 Not Found]" in shell.run("report", "1999999")


# Searching and looking up


def test_a_measurement_is_found_and_described(shell: Shell, chaos: Measurement) -> None:
    shell.sandbox.clock.advance(1000)
    words = ("measurement-search", "--search", "who is it", "--type", "dns", "--ids-only")
    assert numbers(shell.run(*words, "--status", "stopped"), r"\d+") == [chaos.id]
    assert numbers(shell.run(*words, "--status", "ongoing"), r"\d+") == []
    told = {
        name.strip(): value.strip()
        for name, value in (line.split("  ", 1) for line in shell.run("measurement-info", str(chaos.id)).splitlines())
    }
    expected = {"ID": str(chaos.id), "Type": "DNS", "Status": "Stopped", "Description": "who is it?", "Target Name": V4}
    assert expected.items() <= told.items()
    assert (told["Probes Requested"], told["Probes Scheduled"]) == ("9", "9")
    assert "does not appear to exist" in shell.run("measurement-info", "1999999")


def test_probes_are_found_and_described(shell: Shell) -> None:
    for words, found in (
        (("--country", "NL"), [5, 6, 7, 8]),
        (("--asn", "64502"), [9]),
        (("--center=40.7,-74.0", "--radius", "50"), [9]),
        (("--prefix", "240.0.16.0/20", "--limit", "2"), [5, 6]),
        (("--tag", "system-ipv6-works"), [2, 4]),
        (("--status", "2"), []),
    ):
        assert numbers(shell.run("probe-search", *words, "--ids-only"), r"\d+") == found
    told = shell.run("probe-info", "9")
    assert re.search(r"Country +US\n", told)
    assert re.search(r"Coordinates +40.71,-74.01\n", told)
    assert re.search(r"Status +Connected\n", told)
    assert "does not appear to exist" in shell.run("probe-info", "77")


# Listening to a measurement that runs


class Impostor(socketserver.ThreadingTCPServer):
    """A proxy behind which the sandbox is atlas.ripe.net: `stream` looks a measurement up there, whatever is set."""

    daemon_threads = True

    def __init__(self, sandbox: Sandbox, authority: trustme.CA) -> None:
        self.sandbox = sandbox
        self.asked: list[str] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("atlas.ripe.net").configure_cert(self.context)
        super().__init__(("127.0.0.1", 0), _Tunnel)


class _Tunnel(socketserver.StreamRequestHandler):
    server: Impostor

    def handle(self) -> None:
        asked = _head(self.rfile)
        assert asked.startswith("CONNECT atlas.ripe.net:443 ")
        self.request.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with self.server.context.wrap_socket(self.request, server_side=True) as inner, inner.makefile("rb") as stream:
            path = _head(stream).split()[1]
            self.server.asked.append(path)
            body = self._fetch(path)
            inner.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def _fetch(self, path: str) -> bytes:
        trusted = ssl.create_default_context(cafile=str(self.server.sandbox.ca_file))
        connection = HTTPSConnection(self.server.sandbox.server, context=trusted, timeout=10)
        try:
            connection.request("GET", path)
            answer: HTTPResponse = connection.getresponse()
            return answer.read()
        finally:
            connection.close()


def _head(stream: Any) -> str:
    """Return the first line of a request; its headers are read too."""
    first: bytes = stream.readline()
    while stream.readline().strip():
        pass
    return first.decode()


@contextmanager
def posing_as_ripe(shell: Shell, folder: Path) -> Iterator[Impostor]:
    authority = trustme.CA()
    bundle = folder / "both.pem"
    bundle.write_bytes(shell.sandbox.ca_file.read_bytes() + authority.cert_pem.bytes())
    with Impostor(shell.sandbox, authority) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        before = dict(shell.environment)
        proxied = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.server_address[1]}", "NO_PROXY": "127.0.0.1"}
        shell.trust(bundle)
        shell.environment |= proxied
        try:
            yield proxy
        finally:
            shell.environment = before
            proxy.shutdown()


def test_the_results_of_a_running_measurement_are_streamed(shell: Shell, tmp_path: Path) -> None:
    measurement, _ = shell.measure("ping", *TARGET, "--interval", "60", "--from-country", "NL", "--probes", "4")
    assert measurement.schedule.interval_s == 60
    with posing_as_ripe(shell, tmp_path) as proxy:
        shown = shell.run("stream", str(measurement.id), "--limit", "6", "--renderer", "raw", "--timeout", "20")
    assert proxy.asked == [f"/api/v2/measurements/{measurement.id}/"]
    streamed = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert len(streamed) == 6
    delivered = [json.dumps(result) for result in shell.delivered(measurement)]
    assert {json.dumps(result) for result in streamed} <= {*delivered}
    assert len({json.dumps(result) for result in streamed}) == 6
