from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from catchment.platforms.sandbox.api.acceptance import Limits
from catchment.platforms.sandbox.api.exchange import Request
from catchment.platforms.sandbox.api.measurements import Lags
from tests.fake_internet import (
    KEY,
    START,
    V4,
    FakeInternet,
    dns_definition,
    everybody,
    ping_definition,
    post_body,
    traceroute_definition,
    vantage,
)
from tests.sandbox_client import READ_ONLY, Client

REPORTING = {101, 102, 103, 106, 6001}
Row = dict[str, Any]


# Keys


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "measurements/"), ("GET", "measurements/my/"), ("PATCH", "measurements/1000001/"),
        ("DELETE", "measurements/1000001/"), ("GET", "credits/"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", [None, "", "no-such-key", KEY[:-1], "ключ"])
def test_what_needs_a_key_is_refused_without_a_known_one(method: str, path: str, key: str | None) -> None:
    client = Client()
    client.post()
    error = client.refused(method, path, post_body(), key=key)
    assert (error["status"], error["code"], error["title"]) == (401, 104, "Unauthorized")


def test_a_key_without_the_grant_is_forbidden_what_it_may_not() -> None:
    client = Client()
    assert client.get("measurements/my/", key=READ_ONLY)["results"] == []
    error = client.refused("POST", "measurements/", post_body(), key=READ_ONLY)
    assert (error["status"], error["code"], error["title"]) == (403, 104, "Forbidden")


def test_the_old_form_of_the_key_is_understood_and_never_repeated() -> None:
    client = Client()
    client.post(*[ping_definition()] * 3)
    client.clock.advance(20)
    page = client.get(f"measurements/my/?key={KEY}&page_size=1")
    assert page["count"] == 3
    assert KEY not in page["next"]


def test_no_answer_and_no_representation_holds_the_key() -> None:
    client = Client()
    for method, path, body in (("POST", "measurements/", b"{"), ("GET", "credits/", None), ("GET", "nowhere/", None)):
        response = client.ask(method, path, body, key=KEY)
        assert KEY not in repr(response) + response.content().decode()
    request = Request(method="GET", path="/x", query=f"key={KEY}", headers={"authorization": f"Key {KEY}"})
    assert KEY not in repr(request)
    assert KEY not in repr(client.api)


def test_reading_needs_no_key_and_a_wrong_one_does_not_matter() -> None:
    client = Client()
    assert client.get("probes/101/", key="no-such-key")["id"] == 101
    assert client.get("measurements/10301/")["id"] == 10301


# Envelopes


def test_both_slash_styles_are_the_same_place() -> None:
    client = Client()
    client.post()
    client.clock.advance(30)
    for path in ("measurements/1000001", "measurements/1000001/results", "measurements/1000001/latest", "probes"):
        assert client.ask("GET", path).content() == client.ask("GET", f"{path}/").content()


@pytest.mark.parametrize(
    "path",
    ["", "nowhere/", "measurements/1000001/", "measurements/x/", "measurements/7/results/", "probes/1/", "probes/٣/"],
)
def test_what_is_not_there_is_not_found(path: str) -> None:
    error = Client().refused("GET", path)
    assert (error["status"], error["title"], error["detail"]) == (404, "Not Found", "Not found.")


@pytest.mark.parametrize(("method", "path"), [("PUT", "measurements/"), ("DELETE", "probes/1/"), ("POST", "credits/")])
def test_a_method_that_a_place_does_not_know_is_refused(method: str, path: str) -> None:
    assert Client().refused(method, path) == {
        "detail": f'Method "{method}" not allowed.', "status": 405, "title": "Method Not Allowed", "code": 104,
    }  # fmt: skip


def test_an_invalid_definition_is_answered_with_the_envelope_of_ripe_atlas() -> None:
    definition = {key: value for key, value in dns_definition().items() if key != "af"}
    assert Client().refused("POST", "measurements/", post_body(definition), key=KEY) == {
        "status": 400,
        "code": 102,
        "title": "Bad Request",
        "detail": "There were problems with your request",
        "errors": [{"source": {"pointer": "/definitions/0/af"}, "detail": "This field is required."}],
    }


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"nan"])
def test_a_body_that_is_not_json_is_a_bad_request(body: bytes) -> None:
    error = Client().refused("POST", "measurements/", body, key=KEY)
    assert (error["status"], error["code"]) == (400, 102)


def test_a_field_that_nothing_reads_is_accepted_with_a_warning() -> None:
    client = Client()
    body = post_body(
        dns_definition(),
        ping_definition(packet_size=64, **{"a/b~c": 1}),
        probes=[everybody(tags_include="nat")],
        bogus=1,
    )
    response = client.ask("POST", "measurements/", body, key=KEY)
    ignored = ["This field is not implemented, it has been ignored."]
    assert (response.status, json.loads(response.content())) == (
        201,
        {
            "measurements": [1_000_001, 1_000_002],
            "warnings": [
                {"source": {"pointer": pointer}, "detail": ignored}
                for pointer in (
                    "/bogus", "/definitions/1/packet_size", "/definitions/1/a~1b~0c", "/probes/0/tags_include",
                )
            ],
        },
    )  # fmt: skip


def test_a_field_of_another_kind_of_measurement_is_warned_about() -> None:
    body = post_body(ping_definition(set_nsid_bit=True, bogus=1), traceroute_definition(paris=0))
    warnings = json.loads(Client().ask("POST", "measurements/", body, key=KEY).content())["warnings"]
    assert [warning["source"]["pointer"] for warning in warnings] == [
        "/definitions/0/set_nsid_bit", "/definitions/0/bogus",
    ]  # fmt: skip


def test_a_body_of_known_fields_is_accepted_without_a_warning() -> None:
    body = post_body(dns_definition(), ping_definition(), traceroute_definition(), bill_to="me@example.net")
    response = Client().ask("POST", "measurements/", body, key=KEY)
    assert json.loads(response.content()) == {"measurements": [1_000_001, 1_000_002, 1_000_003]}


def test_a_broken_limit_is_answered_with_the_envelope_of_ripe_atlas() -> None:
    client = Client(limits=Limits(measurements_per_target=1))
    client.post()
    error = client.refused("POST", "measurements/", post_body(), key=KEY)
    assert (error["code"], error["detail"]) == (102, "There was a problem with your request")
    assert error["errors"] == [
        {
            "source": {"pointer": ""},
            "detail": f"We do not allow more than 1 concurrent measurements to the same target: {V4}.",
        }
    ]


# Measurements


def test_a_measurement_tells_all_that_clients_ask_for() -> None:
    client = Client()
    (number,) = client.post(dns_definition(tags=["catchment", "run-7"]))
    client.clock.advance(10)
    found = client.get(f"measurements/{number}/")
    expected = {
        "id": 1_000_001, "type": "dns", "af": 4, "target": V4, "target_ip": V4, "target_asn": 64_511,
        "target_prefix": "192.0.2.0/24", "resolved_ips": [V4], "description": "who answers?", "creation_time": START,
        "start_time": START, "stop_time": None, "status": {"id": 2, "name": "Ongoing", "when": None}, "interval": None,
        "is_oneoff": True, "is_public": True, "participant_count": 6, "probes_requested": -1, "probes_scheduled": 6,
        "group_id": 1_000_001, "credits_per_result": 20, "estimated_results_per_day": 6,
        "tags": ["catchment", "run-7"], "query_class": "CHAOS", "query_type": "TXT", "query_argument": "hostname.bind",
        "set_nsid_bit": True, "set_rd_bit": False, "udp_payload_size": 1232, "include_abuf": True, "retry": 0,
        "timeout": 5000, "result": "https://127.0.0.1:8443/api/v2/measurements/1000001/results/",
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert len(found) >= 50
    assert "probes" not in found
    client.clock.advance(1000)
    stopped = client.get(f"measurements/{number}/")
    assert (stopped["status"]["id"], stopped["status"]["name"]) == (4, "Stopped")
    assert isinstance(stopped["stop_time"], int)


def test_the_participants_are_told_where_they_are_asked_for() -> None:
    client = Client()
    (number,) = client.post(probes=[everybody(type="probes", value="101,102")])
    listed = [{"id": vantage, "url": f"https://127.0.0.1:8443/api/v2/probes/{vantage}/"} for vantage in (101, 102)]
    early = client.get(f"measurements/{number}/", fields="probes,probes_scheduled,participant_count,is_all_scheduled")
    assert early == {"probes": [], "probes_scheduled": 0, "participant_count": None, "is_all_scheduled": False}
    client.clock.advance(2)
    assert client.get(f"measurements/{number}/", optional_fields="probes")["probes"] == listed
    assert client.get(f"measurements/{number}/", fields="probes,status") == {
        "probes": listed, "status": {"id": 1, "name": "Scheduled", "when": None},
    }  # fmt: skip


def test_a_list_tells_what_is_told_on_demand_only_like_the_measurement_itself() -> None:
    (own,) = Client().get("measurements/", optional_fields="probes", id__in=10301)["results"]
    assert [probe["id"] for probe in own["probes"]] == [101, 102, 103, 105, 106, 6001]
    (own,) = Client().get("measurements/", id__in=10301)["results"]
    assert "probes" not in own


def test_a_new_measurement_is_there_at_once_by_its_id_and_late_in_lists() -> None:
    client = Client()
    (number,) = client.post()
    assert client.get(f"measurements/{number}/")["id"] == number
    assert [found["id"] for found in client.get("measurements/")["results"]] == [10301]
    assert client.get("measurements/my/", key=KEY)["results"] == []
    client.clock.advance(20)
    assert [found["id"] for found in client.get("measurements/")["results"]] == [10301, number]
    assert [found["id"] for found in client.get("measurements/my/", key=KEY)["results"]] == [number]


@pytest.fixture
def library() -> Client:
    """Return a client of a sandbox with seven measurements: 10301 and 1000001 to 1000006."""
    client = Client()
    client.post(
        dns_definition(tags=["run-1"], description="catchment a1"),
        ping_definition(tags=["run-1", "x"], description="catchment a2"),
        traceroute_definition(description="other"),
    )
    client.post(ping_definition(target="198.51.100.9", description="b catchment", interval=120), is_oneoff=False)
    client.post(
        ping_definition(af=6, target="2001:db8::1"),
        dns_definition(query_argument="id.server", af=6, target="2001:db8::1"),
    )
    client.clock.advance(30)
    return client


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, [10301, 1, 2, 3, 4, 5, 6]),
        ({"id__in": "1000002,1000004,5"}, [2, 4]),
        ({"id__gt": "1000004"}, [5, 6]),
        ({"id__lte": "1000001"}, [10301, 1]),
        ({"type": "ping"}, [2, 4, 5]),
        ({"type__in": "ping,traceroute", "af": "4"}, [2, 3, 4]),
        ({"target": "198.51.100.9"}, [4]),
        ({"target__startswith": "2001:"}, [5, 6]),
        ({"target_ip": "198.51.100.0/24"}, [4]),
        ({"target_ip": "198.51.100"}, [4]),
        ({"target_ip": "198.51"}, [4]),
        ({"target_ip": "198.51.100.9"}, [4]),
        ({"target_ip": "198.51.10"}, []),  # 198.51.10.0/24
        ({"target_ip": "2001:db8"}, [5, 6]),
        ({"target_ip": "2001:db8:0:0::1"}, [5, 6]),
        ({"tags": "run-1"}, [1, 2]),
        ({"tags": "x,run-1"}, [2]),
        ({"description__contains": "catchment"}, [1, 2, 4]),
        ({"description__startswith": "catchment"}, [1, 2]),
        ({"description": "other"}, [3]),
        ({"is_oneoff": "false"}, [10301, 4]),
        ({"status": "2", "is_oneoff": "true"}, [1, 2, 3, 5, 6]),
        ({"status__in": "4,6"}, []),
        ({"interval": "120"}, [4]),
        ({"start_time__gte": str(START)}, [1, 2, 3, 4, 5, 6]),
        ({"sort": "-id", "type": "dns"}, [6, 1, 10301]),
        ({"sort": "type", "af": "6"}, [6, 5]),
    ],
    ids=str,
)
def test_a_filter_leaves_what_it_says(library: Client, parameters: Row, found: list[int]) -> None:
    expected = [number if number == 10301 else 1_000_000 + number for number in found]
    page = library.get("measurements/", **parameters)
    assert [entry["id"] for entry in page["results"]] == expected
    assert (page["count"], page["previous"], "warnings" in page) == (len(expected), None, False)


@pytest.mark.parametrize("sort", ["id", "-id", "type", "-interval", "status.name", "stop_time"])
@pytest.mark.parametrize("page_size", [1, 2, 3, 7])
def test_following_the_cursor_finds_each_measurement_once_in_order(library: Client, sort: str, page_size: int) -> None:
    whole = [entry["id"] for entry in library.get("measurements/", sort=sort)["results"]]
    pages = list(library.follow("measurements/", sort=sort, page_size=page_size))
    assert [entry["id"] for page in pages for entry in page["results"]] == whole
    assert {page["count"] for page in pages} == {7}
    assert sorted(whole) == [10301, *range(1_000_001, 1_000_007)]


def test_the_cursor_is_the_last_sort_key_in_base64(library: Client) -> None:
    following = library.get("measurements/", page_size=2)["next"]
    cursor = dict(part.split("=", 1) for part in urlsplit(following).query.split("&"))["after"]
    assert json.loads(base64.b64decode(cursor.replace("%3D", "="))) == [1_000_001]


def test_a_filter_that_atlas_ignores_is_warned_about(library: Client) -> None:
    page = library.get("measurements/", query_argument="hostname.bind")
    assert page["count"] == 7
    assert page["warnings"] == [
        {
            "source": {"parameter": "query_argument"},
            "detail": ["Filtering by this field is not implemented, this parameter has been ignored."],
        }
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        {"page_size": "501"}, {"page_size": "x"}, {"page_size": "-1"}, {"sort": "colour"}, {"after": "!"},
        {"after": "e30="}, {"after": "WyJ4Il0="}, {"af": "four"}, {"is_oneoff": "maybe"}, {"target_ip": "x"},
        {"id__in": "1,x"},
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_is_a_bad_request(library: Client, parameters: Row) -> None:
    error = library.refused("GET", "measurements/", **parameters)
    assert (error["status"], error["code"]) == (400, 102)
    assert error["errors"][0]["source"] == {"parameter": next(iter(parameters))}


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("measurements/", "current_probes", "101"),
        ("measurements/", "format", "txt"),
        ("measurements/10301/", "format", "txt"),
        ("measurements/", "format[datetime]", "json"),
        ("probes/", "favourite", "true"),
        ("probes/", "include", "probe_sources"),
        ("probes/101/", "format", "txt"),
    ],
)
def test_what_atlas_heeds_and_the_sandbox_does_not_is_refused_rather_than_ignored(
    library: Client, place: str, name: str, value: str
) -> None:
    assert library.refused("GET", place, **{name: value})["errors"] == [
        {"source": {"parameter": name}, "detail": "The sandbox does not simulate this."}
    ]


@pytest.mark.parametrize(
    ("form", "created", "connected"),
    [
        ("unix", START, START),
        ("timestamp", START, START),
        ("iso-8601", "2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z"),
    ],
)
def test_times_come_in_the_form_that_a_client_wants(
    library: Client, form: str, created: int | str, connected: int | str
) -> None:
    wanted = {"format[datetime]": form}
    (listed,) = library.get("measurements/", id__in=1_000_004, **wanted)["results"]
    assert (listed["creation_time"], listed["start_time"]) == (created, created)
    assert (listed["stop_time"], listed["interval"]) == (None, 120)
    assert library.get("measurements/1000004/", **wanted) == listed
    assert library.get("probes/101/", **wanted)["last_connected"] == connected
    assert library.refused("GET", "probes/", **{"format[datetime]": "stardate"})["status"] == 400


def test_a_stopped_measurement_tells_when_in_the_form_that_a_client_wants() -> None:
    client = Client(lags=Lags(end_s=60))
    (number,) = client.post()
    client.clock.advance(3600)
    # 10 s of spread, 60 s for the last result, 60 s until the status says so: 12:02:10.
    assert client.get(f"measurements/{number}/", fields="status")["status"]["when"] == START + 130
    shown = client.get(f"measurements/{number}/", **{"fields": "status", "format[datetime]": "iso-8601"})
    assert shown["status"]["when"] == "2026-11-01T12:02:10Z"


def test_a_page_of_size_zero_only_counts(library: Client) -> None:
    page = library.get("measurements/", page_size=0)
    assert (page["count"], page["next"], page["results"]) == (7, None, [])


def test_only_the_fields_asked_for_are_told(library: Client) -> None:
    page = library.get("measurements/", fields="id,tags,no_such", id__in=1_000_002)
    assert page["results"] == [{"id": 1_000_002, "tags": ["run-1", "x"]}]


def test_a_description_can_be_changed() -> None:
    client = Client()
    (number,) = client.post()
    changed = client.ask("PATCH", f"measurements/{number}/", {"description": "new"}, key=KEY)
    assert (changed.status, json.loads(changed.content())["description"]) == (200, "new")
    assert client.get(f"measurements/{number}/")["description"] == "new"
    for wrong in ("", "x" * 251, 7, None):
        error = client.refused("PATCH", f"measurements/{number}/", {"description": wrong}, key=KEY)
        assert error["errors"][0]["source"] == {"pointer": "/description"}
    assert client.get(f"measurements/{number}/")["description"] == "new"


def test_deleting_a_measurement_stops_it_and_keeps_its_results() -> None:
    client = Client()
    (number,) = client.post(ping_definition(interval=60), is_oneoff=False)
    client.clock.advance(300)
    response = client.ask("DELETE", f"measurements/{number}", key=KEY)
    assert (response.status, response.content()) == (204, b"")
    client.clock.advance(3600)
    assert client.get(f"measurements/{number}/")["status"]["name"] == "Stopped"
    results = client.get(f"measurements/{number}/results/")
    assert 0 < len(results) <= 5 * len(REPORTING)
    assert client.refused("DELETE", "measurements/10301/", key=KEY)["status"] == 403


# Results


def test_right_after_its_creation_a_measurement_has_no_results_to_be_found() -> None:
    client = Client(lags=Lags(results_s=5))
    client.clock.advance(1000)
    (number,) = client.post()
    error = client.refused("GET", f"measurements/{number}/results/", format="txt")
    assert (error["status"], error["detail"]) == (404, "Not found.")
    client.clock.advance(4.9)
    assert client.refused("GET", f"measurements/{number}/results/")["status"] == 404
    client.clock.advance(0.1)
    assert client.get(f"measurements/{number}/results/") == []
    assert Client().get("measurements/10301/results/", start=START - 600) != []  # a built-in was there before


def test_results_come_as_one_array_or_one_a_line_and_grow() -> None:
    client = Client(lags=Lags(results_s=0))
    (number,) = client.post()
    assert client.ask("GET", f"measurements/{number}/results/").content() == b"[]"
    assert client.ask("GET", f"measurements/{number}/results/", format="txt").content() == b""
    client.clock.advance(200)
    as_array = client.get(f"measurements/{number}/results/")
    text = client.ask("GET", f"measurements/{number}/results/", format="txt").content()
    assert text.endswith(b"}\n")
    assert [json.loads(line) for line in text.splitlines()] == as_array
    assert {result["prb_id"] for result in as_array} == REPORTING
    assert {result["msm_id"] for result in as_array} == {number}


def test_results_are_made_while_they_are_sent() -> None:
    internet = FakeInternet()
    client = Client(internet)
    response = client.ask("GET", "measurements/10301/results/", format="txt")
    assert internet.asked == []
    assert not isinstance(response.body, bytes)
    next(response.body)
    # 64 KiB of a day that has 360 rounds of five results.
    assert 50 < len(internet.asked) < 360


@pytest.mark.parametrize(
    ("probe_ids", "found"),
    [("101", {101}), ("101,102", {101, 102}), ("1-102,6001", {101, 102, 6001}), ("7", set()), ("", REPORTING)],
)
def test_results_of_some_probes_are_asked_for_by_number_and_range(probe_ids: str, found: set[int]) -> None:
    client = Client()
    results = client.get("measurements/10301/results/", probe_ids=probe_ids, start=START - 900)
    assert {result["prb_id"] for result in results} == found


def test_results_of_a_window_include_both_its_ends() -> None:
    client = Client()
    times = sorted(result["timestamp"] for result in client.get("measurements/10301/results/", start=START - 3600))
    first, last = times[10], times[20]
    window = client.get("measurements/10301/results/", start=first, stop=last)
    assert sorted(result["timestamp"] for result in window) == [time for time in times if first <= time <= last]
    iso = client.get("measurements/10301/results/", start="2026-11-01T11:00:00Z")
    assert sorted(result["timestamp"] for result in iso) == times


@pytest.mark.parametrize(
    "parameters", [{"format": "xml"}, {"start": "soon"}, {"probe_ids": "1,x"}, {"probe_ids": "9-"}]
)
def test_results_that_cannot_be_are_a_bad_request(parameters: Row) -> None:
    error = Client().refused("GET", "measurements/10301/results/", **parameters)
    assert error["errors"][0]["source"] == {"parameter": next(iter(parameters))}


def test_the_latest_results_are_a_flat_list_that_is_up_to_five_minutes_old() -> None:
    client = Client()
    first = client.get("measurements/10301/latest/")
    assert sorted(result["prb_id"] for result in first) == sorted(REPORTING)
    client.clock.advance(299)
    assert client.get("measurements/10301/latest/") == first
    client.clock.advance(1)
    fresh = client.get("measurements/10301/latest/")
    assert min(result["timestamp"] for result in fresh) > START - 300
    assert fresh != first
    assert len(client.get("measurements/10301/latest/", versions=3)) == 15
    assert client.get("measurements/10301/latest/", probe_ids="101")[0]["prb_id"] == 101
    assert len(client.get("measurements-latest/10301/", versions=3)) == 15  # where it once was
    assert client.refused("GET", "measurements/10301/latest/", versions=11)["status"] == 400


# Probes


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, [101, 102, 103, 104, 105, 106, 6001]),
        ({"id__in": "102,103,7"}, [102, 103]),
        ({"country_code": "NL"}, [102]),
        ({"country_code__in": "NL,US"}, [102, 103]),
        ({"asn": "64501"}, [102]),
        ({"asn_v4": "64502"}, [103]),
        ({"asn_v6": "64500"}, [101, 6001]),
        ({"asn_v4__in": "64501,64502"}, [102, 103]),
        ({"status": "2"}, [104]),
        ({"status_name": "Disconnected"}, [104]),
        ({"tags": "system-ipv4-works,system-ipv6-works"}, [101, 6001]),
        ({"is_anchor": "true"}, [6001]),
        ({"prefix_v4": "240.0.16.0/20"}, [102]),
        ({"prefix_v6": "2001:db8::/32"}, [101, 6001]),
        ({"radius": "52.37,4.89:50"}, [102]),
        ({"radius": "50.11,8.68:400", "id__lt": "104"}, [101, 102]),  # Frankfurt to Amsterdam: 365 km
        ({"firmware_version": "4460"}, [103]),
        ({"latitude__lt": "0"}, [106]),
        ({"latitude__gte": "52.3"}, [102]),
        ({"latitude__gte": "40.71", "latitude__lt": "50.11"}, [103]),
        ({"longitude__lte": "-74.01"}, [103]),
        ({"sort": "-id", "id__gte": "105"}, [6001, 106, 105]),
        ({"sort": "country_code", "id__in": "101,102,106"}, [106, 101, 102]),
    ],
    ids=str,
)
def test_a_filter_of_probes_leaves_what_it_says(parameters: Row, found: list[int]) -> None:
    page = Client().get("probes/", **parameters)
    assert [probe["id"] for probe in page["results"]] == found
    assert (page["count"], "warnings" in page) == (len(found), False)


def test_probes_come_page_by_page() -> None:
    client = Client(FakeInternet(points=tuple(vantage(number) for number in range(1, 122))))
    pages = list(client.follow("probes/", country_code="DE"))
    assert [len(page["results"]) for page in pages] == [50, 50, 21]
    assert [page["previous"] is None for page in pages] == [True, False, False]
    assert [probe["id"] for page in pages for probe in page["results"]] == list(range(1, 122))
    assert client.refused("GET", "probes/", page=4)["status"] == 404
    assert client.refused("GET", "probes/", page_size=501)["status"] == 400


def test_a_probe_is_found_by_its_id() -> None:
    assert Client().get("probes/103/")["country_code"] == "US"
    assert Client().get("probes/103/", fields="id,asn_v4") == {"id": 103, "asn_v4": 64_502}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("radius", "Berlin"),
        ("radius", "52,13"),
        ("prefix_v4", "x"),
        ("asn", "AS3320"),
        ("latitude__gte", "north"),
        ("latitude__gte", "nan"),
        ("radius", "nan,0:1"),
        ("radius", "95,0:1"),
        ("is_anchor", "2"),
        ("status", "up"),
    ],
)
def test_a_filter_of_probes_that_cannot_be_read_is_a_bad_request(name: str, value: str) -> None:
    error = Client().refused("GET", "probes/", **{name: value})
    (problem,) = error["errors"]
    assert problem["source"] == {"parameter": name}
    assert problem["detail"].startswith("Enter ")  # in the API's words, not in Python's


SHY = FakeInternet(
    points=(
        vantage(201), vantage(202, placeless=True, ipv6=True), vantage(203, placeless=True), vantage(204, public=False),
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, [201, 202, 203]),
        ({"is_public": "true"}, [201, 202, 203]),
        ({"is_public": "false"}, [204]),
        ({"id__in": "201,204"}, [201]),
        ({"latitude__gte": "-90"}, [201]),
        ({"longitude__lt": "180"}, [201]),
        ({"latitude": "50.11"}, [201]),
        ({"radius": "50.11,8.68:20000"}, [201]),
        ({"country_code": "DE"}, [201]),
        ({"country_code__startswith": "D"}, [201]),
        ({"sort": "country_code"}, [202, 203, 201]),
    ],
    ids=str,
)
def test_filters_survive_probes_without_a_place_and_lists_leave_private_ones_out(
    parameters: Row, found: list[int]
) -> None:
    assert [probe["id"] for probe in Client(SHY).get("probes/", **parameters)["results"]] == found


def test_built_in_measurements_are_measured_by_public_probes_only() -> None:
    results = Client(SHY).get("measurements/10301/results/", start=START - 600)
    assert {result["prb_id"] for result in results} == {201, 202, 203}


# Credits


def test_credits_are_charged_for_each_result_that_has_arrived() -> None:
    client = Client(balance=10_000)
    assert client.get("credits/", key=KEY)["current_balance"] == 10_000
    client.post(dns_definition(), ping_definition(), traceroute_definition())
    for _ in range(15):
        client.clock.advance(10)
        # A one-off costs twice: 20 for DNS, 6 for a ping, 60 for a traceroute.
        arrived = {
            number: len(client.get(f"measurements/{number}/results/")) for number in (1_000_001, 1_000_002, 1_000_003)
        }
        spent = arrived[1_000_001] * 20 + arrived[1_000_002] * 6 + arrived[1_000_003] * 60
        found = client.get("credits/", key=KEY)
        assert found["current_balance"] == 10_000 - spent
        assert (found["past_day_credits_spent"], found["past_day_measurement_results"]) == (
            spent,
            sum(arrived.values()),
        )
    assert spent == 5 * (20 + 6 + 60)
    client.clock.advance(2 * 86_400)
    assert client.get("credits/", key=KEY)["past_day_credits_spent"] == 0


@pytest.mark.parametrize(
    ("definition", "per_result"),
    [
        (dns_definition(protocol="UDP"), 10),
        (dns_definition(protocol="TCP"), 20),
        (ping_definition(packets=5, size=1480), 5),
        (ping_definition(packets=5, size=1500), 10),
        (traceroute_definition(packets=2, size=40), 20),
        (traceroute_definition(packets=2, size=2000, protocol="TCP"), 40),
    ],
    ids=str,
)
def test_what_is_charged_are_the_results_that_were_delivered(definition: Row, per_result: int) -> None:
    client = Client(balance=1_000_000)
    (oneoff,) = client.post(definition)
    times: Row = {"is_oneoff": False, "start_time": START + 1000, "stop_time": START + 1000 + 5 * 300}
    (periodic,) = client.post(definition | {"interval": 300}, **times)
    client.clock.advance(4000)
    delivered = {number: len(client.get(f"measurements/{number}/results/")) for number in (oneoff, periodic)}
    assert delivered == {oneoff: 5, periodic: 5 * 5}  # five probes report, one of six never does; five rounds
    charged = 1_000_000 - client.get("credits/", key=KEY)["current_balance"]
    assert charged == 5 * 2 * per_result + 25 * per_result
    assert client.get(f"measurements/{oneoff}/")["credits_per_result"] == 2 * per_result
    assert client.get(f"measurements/{periodic}/")["credits_per_result"] == per_result


def test_a_periodic_measurement_is_expected_to_cost_its_rounds() -> None:
    client = Client()
    client.post(dns_definition(interval=300), is_oneoff=False)
    client.clock.advance(60)
    found = client.get("credits/", key=KEY)
    assert found["estimated_daily_expenditure"] == 6 * 288 * 10
    assert found["max_daily_credits"] == 1_000_000


def test_credits_that_are_spent_buy_nothing_more() -> None:
    client = Client(balance=150)
    client.post()  # six probes, 20 credits each: 120; the five that report cost 100
    client.clock.advance(200)
    assert client.get("credits/", key=KEY)["current_balance"] == 50
    assert client.refused("POST", "measurements/", post_body(), key=KEY)["status"] == 402
