import contextlib
import datetime
import gzip
import http.server
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from catchment import workflow
from catchment.campaign import load_service, load_uncorrected
from catchment.errors import InvalidFile, UnknownName
from catchment.services import bundled_file, bundled_service, find_service, own_folder
from catchment.services.fetching import LIMIT_BYTES, ListUnavailable, fetch_list
from catchment.services.root_list import Merged, merge_list
from catchment.workflow.updating import LISTS

Catchment = Callable[..., subprocess.CompletedProcess[str]]
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]
NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)


def listed(town: str, country: str, latitude: float, longitude: float, *identities: str) -> dict[str, Any]:
    place = {"Town": town, "Country": country, "Latitude": latitude, "Longitude": longitude}
    return {**place, "Type": "Global", "Status": "operational", "IPv4": True, "IPv6": True, "Identifiers": identities}


SITES = (
    listed("Amsterdam", "NL", 52.366, 4.894, "b1-ams", "b2-ams", "b3-ams", "b9-ams"),
    listed("Reston", "US", 38.944, -77.456, "b1-iad", "b2-iad", "b3-iad", "b4-iad"),
    listed("Los Angeles", "US", 35.05, -118.25, "b1-lax", "b2-lax", "b3-lax", "b4-lax"),
    listed("Miami", "US", 25.775, -80.209, "b1-mia", "b2-mia", "b3-mia", "b4-mia"),
    listed("Santiago", "CL", -33.45, -70.667, "b1-scl", "b2-scl", "b3-scl", "b4-scl"),
    listed("Frankfurt", "DE", 50.1109, 8.6821),
    listed("Vienna", "AT", 48.2084, 16.3725, "b1-vie"),
)
LIST = {
    "Operator": "University of Southern California, Information Sciences Institute",
    "IPv4": "170.247.170.2",
    "IPv6": "2801:1b8:10::b",
    "Updated": "2026-10-01T20:23:27Z",
    "Sites": list(SITES),
}
"""The sites of the bundled B-root, but for one server more and one less in Amsterdam, Los Angeles one degree further
north, no Singapore, and Vienna."""


def sends(body: bytes | str | dict[str, Any], status: int = 200, **headers: str) -> Answer:
    sent = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in ({"Content_Length": str(len(sent))} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        with contextlib.suppress(OSError):  # the client has heard enough
            request.wfile.write(sent)

    return answer


@contextlib.contextmanager
def serving(answers: dict[str, Answer], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve answers by path on loopback; other paths are unknown. Yield the server's address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.get(self.path, sends("not here", 404))(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the user's own versions: of this test, not of who runs it."""
    monkeypatch.setenv("CATCHMENT_SERVICES", str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def context_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


# Fetching.


def test_a_list_is_fetched_as_it_stands() -> None:
    with serving({"/list": sends(LIST)}) as server:
        assert fetch_list(f"{server}/list") == json.loads(json.dumps(LIST))


def test_a_list_may_be_compressed() -> None:
    body = gzip.compress(json.dumps(LIST).encode())
    with serving({"/list": sends(body, Content_Encoding="gzip")}) as server:
        assert fetch_list(f"{server}/list") == json.loads(json.dumps(LIST))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (sends("no", 404), "404 Not Found: it has no such list: name another server"),
        (sends("no", 500), "500 Internal Server Error: try again later"),
        (sends("no", 429, Retry_After="120"), "only so many requests: try again in 120 s"),
        (
            sends("no", 429, Retry_After="Sun, 06 Nov 2094 08:51:37 GMT", Date="Sun, 06 Nov 2094 08:49:37 GMT"),
            "try again in",
        ),
        (sends("no", 429), "try again in some minutes"),
        (sends("no", 429, Retry_After="soon"), "try again in some minutes"),
        (sends("\n<html>hello"), "it answers with a web page"),
        (sends('{"Sites": ['), "it answers with no JSON"),
        (sends(b"\xff\xfe\xfd"), "it answers with no JSON"),
        (sends('{"Latitude": NaN}'), "no JSON ('NaN' is no JSON number)"),
        (sends('{"Town": "\\ud800"}'), "it answers with no JSON"),
        (sends("[" * 100_000), "it answers with no JSON"),
        (sends("[1, 2]"), "JSON that is no object"),
        (sends(b" " * (LIMIT_BYTES + 1)), "more than 8 MB"),
        (sends(gzip.compress(b" " * (LIMIT_BYTES * 4)), Content_Encoding="gzip"), "more than 8 MB"),
        (sends(b"no gzip", Content_Encoding="gzip"), "cannot be reached"),
        (sends("", 302, Location="https://example.org/"), "redirects to 'https://example.org/', which is not followed"),
        (sends("", 302, Location="/list"), "which is not followed"),
        (sends("{}", 200, Content_Length="5000"), "cannot be reached"),
    ],
)
def test_what_is_no_list_is_one_line_that_names_the_server(answer: Answer, complaint: str) -> None:
    with serving({"/list": answer}) as server, pytest.raises(ListUnavailable) as caught:
        fetch_list(f"{server}/list", timeout_s=20)
    assert str(caught.value).startswith(f"{server}/list: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_dribbles_is_given_up_in_time() -> None:
    over = threading.Event()

    def dribble(request: http.server.BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not over.wait(0.05):
            request.wfile.write(b"a")

    with serving({"/list": dribble}) as server:
        began = time.monotonic()
        with pytest.raises(ListUnavailable, match=r"did not answer in full within 0\.3 s"):
            fetch_list(f"{server}/list", timeout_s=0.3)
        assert time.monotonic() - began < 30  # it dribbles on for ever
        over.set()
        for thread in threading.enumerate():
            if thread.name == "fetch_list":
                thread.join()


def test_nobody_there_and_no_address_at_all() -> None:
    with pytest.raises(ListUnavailable, match=r"cannot be reached \(Connection refused\)"):
        fetch_list("http://127.0.0.1:1/list")
    for url in ("root-servers.org/list", "ftp://127.0.0.1/list", "http://[::1/list", "http://x y/list"):
        with pytest.raises(ListUnavailable, match=r"no address of a server|cannot be reached"):
            fetch_list(url)


def test_a_certificate_counts_and_https_on_the_same_host_is_followed(authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    answers = {
        "/list": sends(LIST),
        "/moved": sends("", 301, Location="/list"),
        "/round": sends("", 301, Location="/round"),
        "/down": sends("", 301, Location="http://127.0.0.1:1/list"),
    }
    with serving(answers, context_of(authority)) as server:
        assert fetch_list(f"{server}/moved", verify=str(tmp_path / "ca.pem"))["IPv4"] == LIST["IPv4"]
        with pytest.raises(ListUnavailable, match="redirects without end"):
            fetch_list(f"{server}/round", verify=str(tmp_path / "ca.pem"))
        with pytest.raises(ListUnavailable, match=r"http://127\.0\.0\.1:1/list', which is not followed"):
            fetch_list(f"{server}/down", verify=str(tmp_path / "ca.pem"))
        with pytest.raises(ListUnavailable, match="no connection that can be trusted"):
            fetch_list(f"{server}/list")


# Updating.


@contextlib.contextmanager
def publishing(document: dict[str, Any], letter: str = "B") -> Iterator[str]:
    with serving({f"/root/{letter}/json/": sends(document)}) as server:
        yield server


def test_an_update_says_what_changed_and_becomes_the_own_version(own: Path) -> None:
    with publishing(LIST) as server:
        update = workflow.update_service("b-root", now=NOW, server=server)
    assert [(site["site"], site["town"], site["country"]) for site in update["added"]] == [("vie", "Vienna", "AT")]
    assert [(site["site"], site["until"]) for site in update["closed"]] == [("sin", "2026-11-22")]
    assert [(move["site"], move["from"]["latitude"], move["to"]["latitude"]) for move in update["moved"]] == [
        ("lax", 34.05, 35.05)
    ]
    assert update["moved"][0]["distance_km"] == pytest.approx(111, abs=1)  # a degree of a meridian
    assert update["identities_added"] == [
        {"site": "ams", "identity": "b9-ams"},
        {"site": "vie", "identity": "b1-vie"},
    ]
    assert {"site": "ams", "identity": "b4-ams"} in update["identities_gone"]
    assert (update["service"], update["list_date"], update["fetched"]) == (
        "b-root",
        "2026-10-01",
        "2026-11-22T12:00:00Z",
    )
    assert update["digest_before"] != update["digest_after"]
    assert update["file"] == str(own / "b-root.toml")
    assert [file.name for file in own.iterdir()] == ["b-root.toml"]
    found = find_service("b-root")
    assert {site.code: site.until for site in found.sites}["sin"] == NOW.date()
    assert [entry.address for entry in found.addresses] == [
        entry.address for entry in bundled_service("b-root").addresses
    ]


def test_the_name_of_an_own_version_is_described_as_such(own: Path) -> None:
    with publishing(LIST) as server:
        workflow.update_service("b-root", now=NOW, server=server)
    short = {service["name"]: service for service in workflow.list_services(NOW.date())}
    assert (short["b-root"]["origin"], short["b-root"]["source_date"]) == (str(own / "b-root.toml"), "2026-10-01")
    assert (short["b-root"]["sites"], short["b-root"]["active_sites"]) == (8, 7)
    assert short["b-root"]["bundled_date"] is not None
    assert short["k-root"]["origin"] == "bundled"
    assert workflow.describe_service("b-root")["origin"] == str(own / "b-root.toml")
    assert workflow.describe_service(str(own / "b-root.toml"))["bundled_date"] is None


def test_a_second_update_finds_nothing_new_and_leaves_the_file_alone(own: Path) -> None:
    with publishing(LIST) as server:
        workflow.update_service("b-root", now=NOW, server=server)
        before = (own / "b-root.toml").read_bytes()
        update = workflow.update_service("b-root", now=NOW + datetime.timedelta(days=9), server=server)
    assert update["file"] is None
    assert not any(update[key] for key in ("added", "closed", "reopened", "moved", "identities_added"))
    assert update["digest_before"] == update["digest_after"]
    assert (own / "b-root.toml").read_bytes() == before


def test_a_later_list_that_says_the_same_renews_the_date_of_an_own_version_only(own: Path) -> None:
    with publishing(LIST) as server:
        workflow.update_service("b-root", now=NOW, server=server)
    with publishing(LIST | {"Updated": "2026-11-20T00:00:00Z"}) as server:
        update = workflow.update_service("b-root", now=NOW, server=server)
    assert update["file"] == str(own / "b-root.toml")
    assert update["digest_before"] == update["digest_after"]
    assert workflow.describe_service("b-root")["source_date"] == "2026-11-20"


@pytest.mark.parametrize("name", LISTS)
def test_the_list_that_the_bundled_version_was_made_of_says_nothing_new(recordings: Path, own: Path, name: str) -> None:
    document = json.loads((recordings / "sites" / f"root-{name[0]}-2025.json").read_text())
    with publishing(document, name[0].upper()) as server:
        update = workflow.update_service(name, now=NOW, server=server)
    assert (update["added"], update["closed"], update["moved"], update["file"]) == ([], [], [], None)
    assert not own.exists()


@pytest.mark.parametrize("name", LISTS)
def test_every_letter_is_brought_up_to_its_real_list(recordings: Path, name: str, tmp_path: Path) -> None:
    document = json.loads((recordings / "sites" / f"root-{name[0]}-2025.json").read_text())
    gone = document["Sites"].pop()
    document["Sites"] = [site for site in document["Sites"] if site["Town"] != gone["Town"]]
    out = tmp_path / "out.toml"
    with publishing(document, name[0].upper()) as server:
        update = workflow.update_service(name, now=NOW, out=out, server=server)
    assert [site["country"] for site in update["closed"]] == [gone["Country"]]
    closed = {site.code: site.until for site in load_service(out).sites}
    assert closed[update["closed"][0]["site"]] == NOW.date()
    assert load_uncorrected(out).corrections == load_uncorrected(bundled_file(name)).corrections


def test_an_output_file_is_written_even_without_changes_and_is_no_own_version(own: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "b.toml"
    with publishing(LIST) as server:
        workflow.update_service("b-root", now=NOW, out=out, server=server)
    assert find_service(str(out)) != bundled_service("b-root")
    assert find_service("b-root") == bundled_service("b-root")
    assert not own.exists()


def test_going_back_removes_the_own_version(own: Path) -> None:
    with publishing(LIST) as server:
        workflow.update_service("b-root", now=NOW, server=server)
    assert workflow.restore_bundled("b-root")["removed"] == str(own / "b-root.toml")
    assert find_service("b-root") == bundled_service("b-root")
    assert workflow.restore_bundled("b-root")["removed"] is None


def test_what_is_nowhere_else_is_not_removed(own: Path) -> None:
    own.mkdir()
    (own / "mine.toml").write_text('name = "mine"\noperator = "we"\naddresses = [{ address = "192.0.2.1" }]')
    with pytest.raises(UnknownName, match="there is no service 'mine'"):
        workflow.restore_bundled("mine")
    assert (own / "mine.toml").exists()


def test_a_service_without_a_published_list_names_those_that_have_one() -> None:
    with pytest.raises(UnknownName, match="'quad9' stand in no published list: those of a-root, b-root"):
        workflow.update_service("quad9", now=NOW)
    with pytest.raises(UnknownName, match="did you mean 'k-root'"):
        workflow.update_service("k-rot", now=NOW)


def test_the_list_of_another_service_is_refused(own: Path) -> None:
    with (
        publishing(LIST | {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}) as server,
        pytest.raises(InvalidFile, match=r"the list is of 192\.0\.2\.1, 2001:db8::1, none of which b-root has"),
    ):
        workflow.update_service("b-root", now=NOW, server=server)
    assert not own.exists()


def test_a_new_address_is_told_and_left_to_the_user() -> None:
    with publishing(LIST | {"IPv4": "192.0.2.1"}) as server:
        update = workflow.update_service("b-root", now=NOW, server=server)
    assert update["addresses_unknown"] == ["192.0.2.1"]


def test_a_damaged_list_changes_nothing(own: Path) -> None:
    with (
        publishing(LIST | {"Sites": [listed("Nowhere", "Utopia", 0.0, 0.0)]}) as server,
        pytest.raises(InvalidFile, match=r"/root/B/json/: site 1: key 'Country'"),
    ):
        workflow.update_service("b-root", now=NOW, server=server)
    assert not own.exists()


def test_a_place_that_cannot_be_written_is_one_line_and_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with publishing(LIST) as server, pytest.raises(InvalidFile, match="name another place with -o"):
        workflow.update_service("b-root", now=NOW, out=tmp_path / "file" / "b.toml", server=server)
    (tmp_path / "b.toml").mkdir()
    with publishing(LIST) as server, pytest.raises(InvalidFile, match="Is a directory"):
        workflow.update_service("b-root", now=NOW, out=tmp_path / "b.toml", server=server)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.toml", "file"]


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"CATCHMENT_SERVICES": "/mine", "XDG_DATA_HOME": "/data"}, "/mine"),
        ({"CATCHMENT_SERVICES": "~/mine"}, "~/mine"),
        ({"XDG_DATA_HOME": "/data"}, "/data/catchment/services"),
        ({"XDG_DATA_HOME": "relative"}, "~/.local/share/catchment/services"),
        ({}, "~/.local/share/catchment/services"),
    ],
)
def test_own_versions_lie_where_the_environment_says(environ: dict[str, str], folder: str) -> None:
    assert own_folder(environ) == Path(folder).expanduser()


def test_a_relative_folder_is_in_the_working_directory(
    catchment: Catchment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert own_folder({"CATCHMENT_SERVICES": "here"}) == tmp_path / "here"
    with publishing(LIST) as server:
        done = catchment("services", "update", "b-root", "--server", server, "--json", CATCHMENT_SERVICES="here")
        home = {"CATCHMENT_SERVICES": "~/there", "HOME": str(tmp_path)}
        elsewhere = catchment("services", "update", "b-root", "--server", server, "--json", **home)
    assert json.loads(done.stdout)["file"] == str(tmp_path / "here" / "b-root.toml")
    assert json.loads(elsewhere.stdout)["file"] == str(tmp_path / "there" / "b-root.toml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "there"]
    assert "a relative one" in catchment("services", "update", "--help").stdout


@pytest.mark.parametrize("out", ["", ".", "/", "..", "missing/.."])
def test_a_folder_is_no_output_file(catchment: Catchment, out: str) -> None:
    with publishing(LIST) as server:
        done = catchment("services", "update", "b-root", "--server", server, "-o", out)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "-o" in done.stderr


def test_a_list_that_closes_more_than_half_of_the_sites_needs_force(catchment: Catchment, own: Path) -> None:
    with publishing(LIST | {"Sites": list(SITES[:4])}) as server:
        assert len(workflow.update_service("b-root", now=NOW, server=server)["closed"]) == 3  # of 7
        assert workflow.restore_bundled("b-root")["removed"]
    with publishing(LIST | {"Sites": list(SITES[:3])}) as server:
        with pytest.raises(InvalidFile, match=r"/root/B/json/: the list would close 4 of 7 active sites: .*--force"):
            workflow.update_service("b-root", now=NOW, server=server)
        assert not any(own.iterdir())
        done = catchment("services", "update", "b-root", "--server", server, "--force", "--json")
    assert len(json.loads(done.stdout)["closed"]) == 4


def mended(recordings: Path) -> dict[str, Any]:
    """Return E-root's list with two errors less: Cameroon is Yaounde, and Feldkirch is in Austria."""
    document: dict[str, Any] = json.loads((recordings / "sites" / "root-e-2025.json").read_text())
    for site in document["Sites"]:
        if site["Town"] == "Cameroon":
            site["Town"] = "Yaoundé"
        if site["Town"] == "Feldkirch":
            site["Country"] = "AT"
    return document


def test_an_error_that_the_operator_mends_needs_no_correction_any_more(
    recordings: Path, own: Path, catchment: Catchment
) -> None:
    with publishing(mended(recordings), "E") as server:
        update = workflow.update_service("e-root", now=NOW, server=server)
        again = workflow.update_service("e-root", now=NOW, server=server)
        assert workflow.restore_bundled("e-root")["removed"]
        printed = catchment("services", "update", "e-root", "--server", server)
    dropped = {(row["site"], row["key"]): (row["corrected"], row["published"]) for row in update["corrections_dropped"]}
    assert dropped == {("nsi", "town"): ("Yaounde", "Yaoundé"), ("hoh", "country"): ("AT", "AT")}
    assert (update["added"], update["closed"]) == ([], [])
    assert [(move["site"], move["to"]["town"]) for move in update["moved"]] == [("nsi", "Yaoundé")]
    assert (again["file"], again["corrections_dropped"]) == (None, [])
    assert "correction dropped" in printed.stdout
    assert "town Yaounde, the list now has Yaoundé" in printed.stdout
    named = {correction.site for correction in load_uncorrected(own / "e-root.toml").corrections}
    assert "bgr" in named
    assert not named & {"nsi", "hoh"}


def test_what_a_list_makes_impossible_names_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    # No list is known to do so; a fault of ours would.
    monkeypatch.setattr("catchment.workflow.updating.merge_list", doubling)
    with (
        publishing(LIST) as server,
        pytest.raises(InvalidFile, match=r"/root/B/json/: with this list, .*'Amsterdam, NL' is there twice") as caught,
    ):
        workflow.update_service("b-root", now=NOW, server=server)
    assert str(caught.value).isprintable()


def doubling(*given: Any, **more: Any) -> Merged:
    merged = merge_list(*given, **more)
    twin = replace(merged.service.sites[0], code="twin", identities=())
    return replace(merged, service=replace(merged.service, sites=(*merged.service.sites, twin)))


def test_a_broken_own_version_is_told_and_can_be_removed(own: Path, catchment: Catchment) -> None:
    own.mkdir()
    (own / "b-root.toml").symlink_to(own / "nowhere.toml")
    with pytest.raises(InvalidFile, match=r"b-root\.toml: a link to '.*/nowhere\.toml', where nothing is"):
        workflow.update_service("b-root", now=NOW)
    done = catchment("services", "update", "b-root", "--bundled")
    assert f"{own / 'b-root.toml'} is removed" in done.stdout
    (own / "b-root.toml").mkdir()
    done = catchment("services", "update", "b-root", "--bundled")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "remove it by hand" in done.stderr


def test_the_command_line_updates_lists_and_goes_back(catchment: Catchment, own: Path) -> None:
    hostile = listed("Wien [red]x[/red]", "AT", 48.2084, 16.3725, "b1-vie")
    with publishing(LIST | {"Sites": [*SITES[:-1], hostile]}) as server:
        update = catchment("services", "update", "b-root", CATCHMENT_ROOT_SERVERS=server)
        again = catchment("services", "update", "b-root", "--server", server, "--json")
    assert (update.returncode, update.stderr) == (0, "")
    for words in ("added", "Wien [red]x[/red]", "closed", "Singapore", "until", "moved", "111 km", "b9-ams"):
        assert words in update.stdout
    assert f"Written: {own / 'b-root.toml'}" in update.stdout
    assert json.loads(again.stdout)["file"] is None
    assert "version in" in catchment("services", "list").stdout
    assert str(own) in catchment("services", "show", "b-root").stdout
    back = catchment("services", "update", "b-root", "--bundled")
    assert f"{own / 'b-root.toml'} is removed" in back.stdout
    assert catchment("services", "update", "b-root", "--bundled", "-o", "x.toml").returncode == 2


def test_a_server_that_has_enough_is_one_line_on_stderr(catchment: Catchment) -> None:
    with serving({"/root/K/json/": sends("no", 429, Retry_After="77")}) as server:
        done = catchment("services", "update", "k-root", "--server", server, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "try again in 77 s" in done.stderr
