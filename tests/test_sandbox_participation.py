"""What changes of a measurement while it runs: its probes, its tags, who may see it; and how each is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catchment.platforms.sandbox.api.acceptance import Limits
from catchment.platforms.sandbox.api.journal import Journal
from catchment.platforms.sandbox.api.keys import Grant
from tests.fake_internet import KEY, START, FakeInternet, dns_definition, everybody, ping_definition, vantage
from tests.sandbox_client import READ_ONLY, Client, Row

CREATE_ONLY = "00000000-0000-4000-8000-0000000000c0"
DOWNLOAD = "00000000-0000-4000-8000-0000000000d0"
KEYS = {READ_ONLY: {Grant.LIST}, CREATE_ONLY: {Grant.CREATE}, DOWNLOAD: {Grant.RESULTS}}
POINTS = tuple(vantage(number, country=country) for number, country in enumerate(("DE", "DE", "NL", "NL", "US"), 1))


def add(**changes: Any) -> Row:
    return {"action": "add", "requested": 1, "type": "country", "value": "NL"} | changes


def remove(value: str) -> Row:
    return {"action": "remove", "requested": 1, "type": "probes", "value": value}


def running(client: Client, probes: str = "1,2", **definition: Any) -> int:
    """Create a periodic measurement, of which every probe measures at 0, 60, 120 … s after the start."""
    source = everybody(type="probes", value=probes)
    (number,) = client.post(ping_definition(interval=60, spread=0, **definition), probes=[source], is_oneoff=False)
    return number


def rounds(client: Client, number: int) -> dict[int, list[int]]:
    """Return at which seconds after the start each probe has measured."""
    found: dict[int, list[int]] = {}
    for result in client.get(f"measurements/{number}/results/"):
        found.setdefault(result["prb_id"], []).append(result["timestamp"] - START)
    return found


@pytest.fixture
def client() -> Client:
    return Client(FakeInternet(points=POINTS), other_keys=KEYS)


def ask(client: Client, number: int, *requests: Row) -> list[int]:
    response = client.ask("POST", f"measurements/{number}/participation-requests/", list(requests), key=KEY)
    assert response.status == 201, response.content()
    return list(json.loads(response.content())["request_ids"])


# Probes that join and leave


def test_probes_measure_from_when_they_joined_and_until_they_left(client: Client) -> None:
    number = running(client)
    client.clock.advance(90)
    assert ask(client, number, add(type="probes", value="3"), remove("1")) == [1, 2]
    client.clock.advance(120)  # 210 s after the start; within 60 s all that was measured has arrived
    ask(client, number, add(type="probes", value="1"))
    client.clock.advance(90)
    client.api.ledger.stop(client.api.ledger.own()[0])
    client.clock.advance(1000)
    assert rounds(client, number) == {1: [0, 60, 240], 2: [0, 60, 120, 180, 240], 3: [120, 180, 240]}


def test_who_joins_is_told_with_the_measurement(client: Client) -> None:
    number = running(client)
    client.clock.advance(30)
    (request,) = ask(client, number, add(requested=2))
    shown = client.get(f"measurements/{number}/", optional_fields="probes,participation_requests")
    assert [probe["id"] for probe in shown["probes"]] == [1, 2, 3, 4]
    assert (shown["participant_count"], shown["probes_scheduled"]) == (4, 4)
    (entry,) = shown["participation_requests"]
    assert entry == client.get(f"participation-requests/{request}/", key=KEY)
    assert {name: entry[name] for name in ("action", "requested", "type", "value", "measurement_id")} == {
        "action": "add", "requested": 2, "type": "country", "value": "NL", "measurement_id": number,
    }  # fmt: skip
    listed = client.get(f"measurements/{number}/participation-requests/", key=KEY)
    assert (listed["count"], listed["results"]) == (1, [entry])


def test_each_result_of_a_changing_measurement_is_charged_once(client: Client) -> None:
    number = running(client)
    before = client.get("credits/", key=KEY)["current_balance"]
    client.clock.advance(90)
    ask(client, number, add(type="probes", value="3"), remove("1"))
    client.clock.advance(300)
    results = client.get(f"measurements/{number}/results/")
    assert before - client.get("credits/", key=KEY)["current_balance"] == 3 * len(results) > 0


def test_a_probe_that_takes_part_already_is_not_added_again(client: Client) -> None:
    number = running(client, probes="3")
    ask(client, number, add(requested=5))
    (measurement,) = client.api.ledger.own()
    assert measurement.participants == (3, 4)
    assert set(measurement.terms) == {4}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ([1], "/0/action"),
        ([add(action="swap")], "/0/action"),
        ([add(), {"action": "add", "requested": 1, "type": "country"}], "/1/value"),
        ([{"action": "remove", "requested": 1, "type": "country", "value": "NL"}], "/0/type"),
        ([add(type="msm", value="1000099")], "/0/value"),
        ([add(requested=0)], "/0/requested"),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_and_changes_nothing(client: Client, body: Any, pointer: str) -> None:
    number = running(client)
    error = client.refused("POST", f"measurements/{number}/participation-requests/", body, key=KEY)
    assert (error["status"], error["errors"][0]["source"]) == (400, {"pointer": pointer})
    (measurement,) = client.api.ledger.own()
    assert (measurement.participants, measurement.requests) == ((1, 2), ())


def test_probes_of_what_is_over_or_a_one_off_are_not_changed(client: Client) -> None:
    (oneoff,) = client.post(ping_definition())
    over = running(client)
    client.api.ledger.stop(client.api.ledger.own()[1])
    for number, word in ((oneoff, "one-off"), (over, "stopped")):
        error = client.refused("POST", f"measurements/{number}/participation-requests/", [add()], key=KEY)
        assert word in error["errors"][0]["detail"]


def test_no_more_probes_join_than_a_measurement_may_have() -> None:
    client = Client(FakeInternet(points=POINTS), limits=Limits(probes_per_measurement=3))
    number = running(client)
    error = client.refused("POST", f"measurements/{number}/participation-requests/", [add(requested=2)], key=KEY)
    assert "You requested 4 probes" in error["errors"][0]["detail"]
    ask(client, number, add(requested=2), remove("1"))


# Tags


def test_tags_come_and_go(client: Client) -> None:
    number = running(client, tags=["a"])
    response = client.ask("POST", f"measurements/{number}/tags/", {"tag": "b-2"}, key=KEY)
    assert (response.status, json.loads(response.content())) == (201, {"tag": "b-2"})
    assert client.get(f"measurements/{number}/")["tags"] == ["a", "b-2"]
    assert client.get(f"measurements/{number}/tags/", key=KEY)["results"] == [{"tag": "a"}, {"tag": "b-2"}]
    removed = client.ask("DELETE", f"measurements/{number}/tags/a/", key=KEY)
    assert (removed.status, removed.content()) == (204, b"")
    client.clock.advance(20)
    assert client.get("measurements/", tags="a")["results"] == []
    assert [found["id"] for found in client.get("measurements/", tags="b-2")["results"]] == [number]


def test_wrong_tags_are_refused(client: Client) -> None:
    number = running(client)
    for body in ({}, {"tag": "No Tag"}, {"tag": 1}, ["x"]):
        error = client.refused("POST", f"measurements/{number}/tags/", body, key=KEY)
        assert (error["status"], error["errors"][0]["source"]) == (400, {"pointer": "/tag"})
    assert client.refused("DELETE", f"measurements/{number}/tags/none/", key=KEY)["status"] == 404
    assert client.refused("GET", f"measurements/{number}/tags/")["status"] == 401


# Keys, and what is not for everybody


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "participation-requests/", [add()]), ("POST", "tags/", {"tag": "x"}), ("DELETE", "tags/a/", None),
        ("PATCH", "", {"is_public": True}),
    ],
)  # fmt: skip
def test_changes_need_the_grant_of_changing(client: Client, method: str, path: str, body: Any) -> None:
    number = running(client, tags=["a"])
    assert client.refused(method, f"measurements/{number}/{path}", body)["status"] == 401
    assert client.refused(method, f"measurements/{number}/{path}", body, key=READ_ONLY)["status"] == 403
    assert client.refused(method, f"measurements/10301/{path}", body, key=KEY)["status"] == 403


def test_a_private_measurement_shows_its_results_to_who_may_download_them(client: Client) -> None:
    (number,) = client.post(dns_definition(is_public=False))
    client.clock.advance(100)
    for place in ("results/", "latest/"):
        path = f"measurements/{number}/{place}"
        assert client.refused("GET", path)["status"] == 401
        assert client.refused("GET", path, key="no-such-key")["status"] == 401
        assert client.refused("GET", path, key=CREATE_ONLY)["status"] == 403
        assert len(client.get(path, key=DOWNLOAD)) == len(client.get(path, key=KEY)) == 5


def test_a_private_measurement_is_seen_by_its_owner_only(client: Client) -> None:
    (number,) = client.post(dns_definition(is_public=False))
    client.clock.advance(100)
    assert client.refused("GET", f"measurements/{number}/")["status"] == 401
    assert client.get(f"measurements/{number}/", key=CREATE_ONLY)["is_public"] is False
    assert [found["id"] for found in client.get("measurements/")["results"]] == [10301]
    assert [found["id"] for found in client.get("measurements/", key=KEY)["results"]] == [10301, number]
    assert [found["id"] for found in client.get("measurements/my/", key=READ_ONLY)["results"]] == [number]


def test_what_was_private_becomes_public_and_never_the_other_way(client: Client) -> None:
    (number,) = client.post(dns_definition(is_public=False))
    client.clock.advance(100)
    assert client.ask("PATCH", f"measurements/{number}/", {"is_public": True}, key=KEY).status == 200
    assert len(client.get(f"measurements/{number}/results/")) == 5
    error = client.refused("PATCH", f"measurements/{number}/", {"is_public": False}, key=KEY)
    assert (error["status"], error["errors"][0]["source"]) == (400, {"pointer": "/is_public"})


def test_keys_are_described_and_never_shown(client: Client) -> None:
    assert client.refused("GET", "keys/")["status"] == 401
    listed = client.get("keys/", key=READ_ONLY)
    grants = [[grant["permission"] for grant in key["grants"]] for key in listed["results"]]
    assert grants == [[*map(str, Grant)], ["list_measurements"], ["create_measurements"], ["download_results"]]
    assert len({key["uuid"] for key in listed["results"]}) == 4
    told = json.dumps(listed) + json.dumps(client.get("keys/permissions/", key=KEY))
    assert not [key for key in (KEY, *KEYS) if key in told]


def test_there_is_nothing_to_check_of_a_measurement_without_alarms(client: Client) -> None:
    (number,) = client.post(ping_definition())
    for asked in (number, 10301):
        assert client.refused("GET", f"measurements/{asked}/status-check/")["status"] == 403
    assert client.refused("GET", "measurements/1000099/status-check/")["status"] == 404


# Anchors and tags of probes


def test_anchors_are_the_probes_that_are_anchors() -> None:
    client = Client()
    (anchor,) = client.get("anchors/")["results"]
    probe = client.get("probes/6001/")
    assert (anchor["probe"], anchor["ip_v4"], anchor["as_v4"], anchor["country"], anchor["geometry"]) == (
        6001, probe["address_v4"], 64_500, "DE", probe["geometry"],
    )  # fmt: skip
    assert client.get("anchors/6001/") == anchor
    assert client.refused("GET", "anchors/101/")["status"] == 404
    assert client.get("anchor-measurements/") == {"count": 0, "next": None, "previous": None, "results": []}


def test_all_tags_of_probes_are_listed_once_and_in_pages() -> None:
    client = Client()
    pages = list(client.follow("probes/tags/", page_size=3))
    slugs = [tag["slug"] for page in pages for tag in page["results"]]
    assert slugs == sorted({tag["slug"] for probe in client.get("probes/")["results"] for tag in probe["tags"]})
    assert "system-anchor" in slugs
    assert len(pages) == -(-len(slugs) // 3)


def test_probes_come_as_lines_on_wish() -> None:
    client = Client()
    response = client.ask("GET", "probes/", format="txt", fields="id,country_code", country_code="DE")
    assert response.headers["Content-Type"].startswith("text/plain")
    lines = [json.loads(line) for line in response.content().splitlines()]
    assert lines == client.get("probes/", fields="id,country_code", country_code="DE")["results"] != []


# The journal


def test_a_killed_sandbox_goes_on_with_the_same_probes_tags_and_rights(tmp_path: Path) -> None:
    def opened() -> Client:
        journal = Journal(tmp_path / "journal.ndjson")
        client = Client(FakeInternet(points=POINTS), other_keys=KEYS, journal=journal)
        client.clock.advance((journal.latest or START) - START)
        return client

    client = opened()
    number = running(client, is_public=False)
    client.clock.advance(90.25)
    ask(client, number, add(requested=2), remove("1"))
    client.ask("POST", f"measurements/{number}/tags/", {"tag": "x"}, key=KEY)
    client.clock.advance(100.5)
    client.ask("PATCH", f"measurements/{number}/", {"is_public": True, "description": "new"}, key=KEY)
    again = opened()
    assert again.api.ledger.own() == client.api.ledger.own()
    assert rounds(again, number) == rounds(client, number) != {}
    assert ask(again, number, add(type="probes", value="5")) == [3]
