from __future__ import annotations

import base64
import email.utils
import gc
import json
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import dns.edns
import dns.message
import dns.rcode
import dns.rdataclass
import pytest
import requests

from catchment import workflow
from catchment.errors import UnknownName
from catchment.model import Kind
from catchment.platforms.sandbox import FAULTS, Sandbox, find_faults, open_sandbox
from catchment.platforms.sandbox.api.endings import Broken, Ending
from catchment.platforms.sandbox.api.endpoints import Api
from catchment.platforms.sandbox.api.exchange import Request, Response
from catchment.platforms.sandbox.api.faults import Front, FrontFault, ResultFault, SpoiltLedger, Troubled
from catchment.platforms.sandbox.api.faults.fault import chance
from catchment.platforms.sandbox.api.measurements import BuiltInTarget
from catchment.platforms.sandbox.api.server import serving
from catchment.platforms.sandbox.clock import Clock
from catchment.platforms.sandbox.internet.replies import Reply
from tests.conftest import ROOT
from tests.fake_internet import (
    KEY,
    START,
    V4,
    FakeInternet,
    dns_definition,
    ping_definition,
    post_body,
    traceroute_definition,
    vantage,
)

Row = dict[str, Any]
K_ROOT = BuiltInTarget(id=10301, kind=Kind.DNS, af=4, query="hostname.bind", address=V4)
POINTS = tuple(vantage(number) for number in range(201, 301))
# Its message does not fill the last group of Base64, so that this is padded.
ANSWER = Reply(rtt_ms=12.3456, rcode="NOERROR", text="fra10.example-dns.net", nsid="fra10.example-dns.net")
BROKEN_BODIES: list[Any] = [[], {}, {"definitions": [], "probes": [{}]}, {"definitions": 1, "probes": []}]
ALL = [{"requested": -1, "type": "area", "value": "WW"}]


class World:
    """A sandbox of 100 vantage points in which some faults are at work, asked without sockets."""

    def __init__(self, *names: str, seed: int = 1) -> None:
        faults = find_faults(names)
        self.clock = Clock(START, monotonic=lambda: 0.0)
        self.api = Api(
            Troubled(FakeInternet(POINTS, answer=ANSWER), faults, seed=seed),
            self.clock,
            key=KEY,
            built_ins=(K_ROOT,),
            make_ledger=partial(SpoiltLedger, faults=faults, seed=seed),
        )
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


# By name


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


# POST


@pytest.mark.parametrize(
    ("name", "ending", "sent"),
    [
        ("lost-answer", Ending.RESET, None),
        ("lost-answer-closed", Ending.CLOSE, None),
        ("lost-answer-stalled", Ending.STALL, None),
        ("lost-answer-half", Ending.CLOSE, 13),  # of {"measurements":[1000001]}
    ],
)
def test_two_posts_are_accepted_and_nobody_is_told(name: str, ending: Ending, sent: int | None) -> None:
    world = World(name)
    for posted in (1, 2):
        answer = world.post()
        assert isinstance(answer, Broken)
        assert answer.ending is ending
        assert answer.sent == sent
        assert created(world) == posted
    assert world.post().status == 201


@pytest.mark.parametrize("status", [500, 502, 504])
def test_two_posts_are_accepted_and_a_proxy_says_that_they_failed(status: int) -> None:
    world = World(f"lost-answer-{status}")
    answers = [world.post() for _ in range(3)]
    assert [answer.status for answer in answers] == [status, status, 201]
    assert answers[0].content().startswith(b"<html>")
    assert created(world) == 3


def test_two_posts_are_accepted_with_an_answer_that_nobody_can_read() -> None:
    world = World("lost-answer-unreadable")
    assert [world.post().content() for _ in range(2)] == [b"Created", b"Created"]
    assert created(world) == 2
    assert json.loads(world.post().content())["measurements"] == [1_000_003]


def test_two_posts_fail_before_anything_happens() -> None:
    world = World("post-reset")
    assert [isinstance(world.post(), Broken) for _ in range(2)] == [True, True]
    assert created(world) == 0
    assert world.post().status == 201
    world = World("post-503")
    assert [world.post().status for _ in range(3)] == [503, 503, 201]
    assert created(world) == 1


def test_posts_are_refused_in_ripe_atlas_s_own_words() -> None:
    def refusal(name: str) -> Row:
        world = World(name)
        probes = [{"requested": 20, "type": "area", "value": "WW"}]
        answers = [world.post(dns_definition(), ping_definition(), probes=probes) for _ in range(3)]
        assert created(world) == 0
        assert len({answer.content() for answer in answers}) == 1
        error: Row = json.loads(answers[0].content())["error"]
        assert error["status"] == answers[0].status
        return error

    day = refusal("daily-results-full")
    assert (day["status"], day["code"], day["detail"]) == (400, 102, "There was a problem with your request")
    assert day["errors"] == [
        {
            "source": {"pointer": ""},
            "detail": "Executing this measurement request will increase your current (99999) number of results by 40.0 "
            "totalling 100039.0 which is higher than your maximum daily results limit 100000. Please stop some of "
            "your currently running measurements and try again.",
        }
    ]
    target = refusal("target-full")
    detail = f"We do not allow more than 25 concurrent measurements to the same target: {V4}."
    assert [target["status"], target["errors"][0]["detail"]] == [400, detail]
    assert refusal("credits-out")["status"] == 402


def test_a_body_that_is_nonsense_is_refused_by_a_fault_too() -> None:
    for name in ("daily-results-full", "target-full", "credits-out"):
        for body in BROKEN_BODIES:
            assert World(name).ask("POST", "measurements/", body).status == 400


# Any answer


@pytest.mark.parametrize("name", ["rate-limited", "rate-limited-seconds", "rate-limited-date"])
def test_one_of_three_requests_is_too_many(name: str) -> None:
    world = World(name)
    answers = [world.ask("GET", "probes/") for _ in range(9)]
    assert Counter(answer.status for answer in answers) == {200: 6, 429: 3}
    refused = next(answer for answer in answers if answer.status == 429)
    later = email.utils.formatdate(START + 20, usegmt=True)
    asked = {"rate-limited": None, "rate-limited-seconds": "20", "rate-limited-date": later}
    assert refused.headers.get("Retry-After") == asked[name]
    posts = [world.post().status for _ in range(3)]
    assert sorted(posts) == [201, 201, 429]
    assert created(world) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_one_of_three_requests_is_an_error_but_no_post(status: int) -> None:
    world = World(f"error-{status}")
    assert [world.post().status for _ in range(3)] == [201] * 3
    assert Counter(world.ask("GET", "probes/").status for _ in range(9)) == {200: 6, status: 3}


@pytest.mark.parametrize(("name", "ending"), [("reset", Ending.RESET), ("closed", Ending.CLOSE)])
def test_one_of_three_requests_is_not_answered(name: str, ending: Ending) -> None:
    world = World(name)
    answers = [world.ask("GET", "probes/") for _ in range(9)]
    broken = [answer for answer in answers if isinstance(answer, Broken)]
    assert [(answer.ending, answer.sent) for answer in broken] == [(ending, None)] * 3


def test_the_first_two_requests_meet_silence() -> None:
    world = World("stall")
    first, second, third = (world.ask("GET", "probes/") for _ in range(3))
    assert [isinstance(answer, Broken) and answer.ending for answer in (first, second)] == [Ending.STALL] * 2
    assert not isinstance(third, Broken)


def test_answers_are_halves_or_none() -> None:
    world = World("half-answer")
    answers = [world.ask("GET", "credits/") for _ in range(3)]
    (half,) = (answer for answer in answers if isinstance(answer, Broken))
    assert half.sent == len(answers[0].content()) // 2
    for name, body in (("not-json", b'upstream connect error {"results": ['), ("empty-body", b"")):
        world = World(name)
        bodies = [world.ask("GET", "credits/").content() for _ in range(3)]
        assert bodies.count(body) == 1


def test_a_network_wants_a_login_first() -> None:
    world = World("captive-portal")
    for answer in (world.post(), world.ask("GET", "probes/")):
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
        assert b"log in" in answer.content()
    assert created(world) == 0
    later = World("captive-portal-later")
    pages = [later.ask("GET", "probes/").content().startswith(b"<!DOCTYPE") for _ in range(8)]
    assert pages == [False, False, False, True, True, True, False, False]
    answer = World("redirect").ask("GET", "probes/")
    assert (answer.status, answer.headers["Location"][:26]) == (302, "https://login.example.net/")


def test_lists_may_be_forbidden_or_heed_no_tags() -> None:
    world = World("list-forbidden")
    assert world.ask("GET", "measurements/my/").status == 403
    assert world.get("measurements/")["count"] == 1
    world = World("tags-ignored")
    world.measure(dns_definition(tags=["mine"]))
    assert World().get("measurements/", tags="mine")["count"] == 0
    for path in ("measurements/", "measurements/my/"):
        page = world.get(path, tags="other", page_size=1)
        assert page["count"] > 0
        assert page["warnings"][0]["source"] == {"parameter": "tags"}
        assert "tags=" not in (page["next"] or "")
    assert "warnings" not in world.get("measurements/", type="dns")


def test_answers_come_with_warnings() -> None:
    world = World("list-warnings")
    assert world.get("probes/")["warnings"][0]["detail"] == ["This version of the API will change next month."]
    assert "warnings" not in world.get("probes/201/")
    world = World("post-warnings")
    answer = json.loads(world.post().content())
    assert answer["measurements"] == [1_000_001]
    assert len(answer["warnings"]) == 1
    assert "warnings" not in json.loads(world.ask("POST", "measurements/", {}).content())


def test_a_page_may_hold_less_than_was_asked_for() -> None:
    spoilt = World("pages-capped")
    spoilt.measure(*[ping_definition()] * 3)
    assert len(spoilt.get("probes/", page_size=500)["results"]) == 100
    assert len(spoilt.get("probes/", page_size=7)["results"]) == 7
    assert spoilt.ask("GET", "probes/", page_size="many").status == 400


# Results of a request


def test_results_are_not_found_or_none_or_few_at_first() -> None:
    world = World("results-404")
    number = json.loads(world.post().content())["measurements"][0]
    world.clock.advance(100)
    statuses = [world.ask("GET", f"measurements/{number}/results/").status for _ in range(8)]
    assert statuses == [404] * 6 + [200] * 2
    assert world.ask("GET", "measurements/10301/results/").status == 200
    world = World("results-late")
    number = json.loads(world.post().content())["measurements"][0]
    world.clock.advance(100)
    assert [len(world.lines(number)) for _ in range(4)] == [0, 0, 0, 100]
    world = World("results-growing")
    number = json.loads(world.post().content())["measurements"][0]
    world.clock.advance(100)
    assert [len(world.lines(number)) for _ in range(6)] == [20, 40, 60, 80, 100, 100]


def test_who_looks_late_finds_all_at_once() -> None:
    for name in ("results-404", "results-late", "results-growing"):
        assert len(World(name).results()) == 100


def test_results_come_in_no_order_or_twice_or_among_what_is_none() -> None:
    plain = World()
    expected = plain.lines(plain.measure())
    mixed = World("results-out-of-order")
    number = mixed.measure()
    assert mixed.lines(number) != expected
    assert sorted(mixed.lines(number)) == sorted(expected)
    assert sorted(mixed.get(f"measurements/{number}/results/"), key=str) == sorted(map(json.loads, expected), key=str)
    world = World("results-twice")
    number = world.measure()
    twice = Counter(world.lines(number))
    assert set(twice) == set(expected)
    assert 3 <= list(twice.values()).count(2) <= 25
    world = World("results-spoilt")
    number = world.measure()
    for spoilt in (world.lines(number), world.lines(number)):
        assert [line for line in spoilt if line in expected] == expected
        assert len(spoilt) > len(expected)
    assert world.lines(number) == expected


def test_a_stream_ends_well_but_amid_a_line() -> None:
    plain, world = World(), World("stream-half-line")
    expected, number = plain.lines(plain.measure()), world.measure()
    for _ in range(2):
        *whole, half = world.lines(number)
        assert whole == expected[: len(whole)]
        assert half == expected[len(whole)][: len(half)] != expected[len(whole)]
    assert world.lines(number) == expected


@pytest.mark.parametrize(
    ("name", "ending", "times"),
    [("stream-cut", Ending.CLOSE, 2), ("stream-reset", Ending.RESET, 2), ("stream-stall", Ending.STALL, 1)],
)
def test_a_stream_breaks_off(name: str, ending: Ending, times: int) -> None:
    world = World(name)
    number = world.measure()
    answers = [world.ask("GET", f"measurements/{number}/results/") for _ in range(3)]
    assert [isinstance(answer, Broken) for answer in answers] == [True] * times + [False] * (3 - times)
    for answer in answers[:times]:
        assert isinstance(answer, Broken)
        assert answer.ending is ending
        assert answer.sent is not None


# The course of a measurement


def test_a_measurement_stands_in_lists_only_after_long() -> None:
    world = World("late-listing")
    world.post()
    world.clock.advance(99)
    assert world.get("measurements/my/")["count"] == 0
    assert world.get("measurements/1000001/")["id"] == 1_000_001
    world.clock.advance(1)
    assert world.get("measurements/my/")["count"] == 1


def test_a_status_stays_behind() -> None:
    world = World("slow-start")
    world.post()
    seen = []
    for _ in range(4):
        seen.append(world.status(1_000_001)[0])
        world.clock.advance(89)
    assert seen == [0, 0, 1, 4]  # after 0, 89, 178 and 267 s
    assert world.status(10301) == (2, "Ongoing")


@pytest.mark.parametrize(
    ("name", "status"),
    [("no-suitable-probes", (6, "No suitable probes")), ("failed", (7, "Failed")), ("denied", (8, "Denied"))],
)
def test_a_measurement_comes_to_nothing(name: str, status: tuple[int, str]) -> None:
    world = World(name)
    number = world.measure()
    assert world.status(number) == status
    assert world.lines(number) == []
    assert world.get("credits/")["current_balance"] == 10_000_000
    assert world.get("measurements/10301/")["status"]["id"] == 2


def test_probes_are_found_after_all() -> None:
    world = World("no-suitable-probes-yet")
    number = json.loads(world.post().content())["measurements"][0]
    world.clock.advance(89)
    assert world.status(number) == (6, "No suitable probes")
    assert world.lines(number) == []
    world.clock.advance(16)
    assert world.status(number) == (2, "Ongoing")
    world.clock.advance(60)
    assert len(world.lines(number)) == 100


def test_a_measurement_is_forced_to_stop_in_the_middle() -> None:
    world = World("forced-stop")
    number = world.measure(dns_definition(interval=300), is_oneoff=False, start_time=START, stop_time=START + 3600)
    assert world.status(number)[0] == 2
    world.clock.advance(3600)
    assert world.status(number) == (5, "Forced to stop")
    assert {json.loads(line)["timestamp"] < START + 1800 for line in world.lines(number)} == {True}
    assert len(world.lines(number)) == 600
    one_off = World("forced-stop")
    number = one_off.measure()
    assert one_off.status(number) == (5, "Forced to stop")
    assert 30 <= len(one_off.lines(number)) <= 70


# Probes


def test_some_probes_never_answer() -> None:
    world = World("silent-probes")
    number = world.measure()
    assert 65 <= len(world.lines(number)) <= 92
    assert world.get(f"measurements/{number}/")["participant_count"] == 100
    assert world.get("credits/")["past_day_measurement_results"] == len(world.lines(number))


def test_some_probes_tell_no_place() -> None:
    probes = World("placeless-probes").get("probes/", page_size=500)["results"]
    placeless = [probe for probe in probes if probe["geometry"] is None]
    assert 3 <= len(placeless) <= 25
    assert {probe["country_code"] for probe in placeless} == {"", None}


# Results


def test_every_fault_of_results_changes_a_share_of_them_and_leaves_who_measured_what_and_when() -> None:
    definitions = {Kind.DNS: dns_definition(), Kind.PING: ping_definition(), Kind.TRACEROUTE: traceroute_definition()}
    plain = {kind: World().results(definition) for kind, definition in definitions.items()}
    for name, fault in FAULTS.items():
        if isinstance(fault, ResultFault) and name != "dns-list-rdata":  # which these probes print anyway
            for kind, definition in definitions.items():
                spoilt = World(name).results(definition)
                assert [[one[key] for key in ("prb_id", "msm_id", "timestamp")] for one in spoilt] == [
                    [one[key] for key in ("prb_id", "msm_id", "timestamp")] for one in plain[kind]
                ]
                differing = sum(one != other for one, other in zip(spoilt, plain[kind], strict=True))
                assert (3 <= differing <= 25) if kind in fault.kinds else differing == 0, name


def test_a_result_is_spoilt_in_the_same_way_whenever_it_is_read() -> None:
    world = World("dns-timeout", "hop-late", "fw-text")
    number = world.measure()
    assert world.lines(number) == world.lines(number)
    assert world.get(f"measurements/{number}/results/") == [json.loads(line) for line in world.lines(number)]
    assert {str(one) for one in world.get(f"measurements/{number}/latest/")} == {
        str(json.loads(line)) for line in world.lines(number)
    }


def test_a_probe_gets_no_answer() -> None:
    for _, spoilt in changed("dns-timeout"):
        assert spoilt["error"] == {"timeout": 5000}
        assert "result" not in spoilt
    for _, spoilt in changed("dns-getaddrinfo"):
        assert list(spoilt["error"]) == ["getaddrinfo"]
        assert not {"result", "dst_addr", "src_addr", "af"} & set(spoilt)


def test_an_answer_says_less_than_it_should() -> None:
    for _, spoilt in changed("dns-refused"):
        answer = spoilt["result"]
        assert message(spoilt).rcode() == dns.rcode.REFUSED
        assert (answer["ANCOUNT"], "answers" in answer, "error" in spoilt) == (0, False, False)
        assert answer["size"] == len(base64.b64decode(answer["abuf"]))
    for _, spoilt in changed("dns-no-answers"):
        assert message(spoilt).rcode() == dns.rcode.NOERROR
        assert (message(spoilt).answer, message(spoilt).options) == ([], ())
        assert "answers" not in spoilt["result"]


def test_a_box_on_the_way_answers_in_the_wrong_class() -> None:
    for plain, spoilt in changed("dns-wrong-class"):
        asked, answer = message(spoilt).question[0], message(spoilt).answer[0]
        assert (asked.rdclass, answer.rdclass) == (dns.rdataclass.CH, dns.rdataclass.IN)
        assert spoilt["result"]["answers"][0]["RDATA"] == ["PowerDNS Recursor"]
        assert spoilt["result"]["ID"] == plain["result"]["ID"] == message(spoilt).id


def test_edns_holds_what_few_expect() -> None:
    for plain, spoilt in changed("dns-binary-nsid"):
        (nsid,) = message(spoilt).options
        assert isinstance(nsid, dns.edns.NSIDOption)
        with pytest.raises(UnicodeDecodeError):
            nsid.nsid.decode()
        assert spoilt["result"]["answers"] == plain["result"]["answers"]
    for _, spoilt in changed("dns-more-options"):
        types = [int(option.otype) for option in message(spoilt).options]
        assert types == [3, 15, 8, 65_001]  # NSID, EDE (RFC 8914), ECS (RFC 7871)


def test_txt_data_and_base64_come_in_both_forms() -> None:
    for plain, spoilt in changed("dns-string-rdata"):
        assert plain["result"]["answers"][0]["RDATA"] == [spoilt["result"]["answers"][0]["RDATA"]]
    for plain, spoilt in changed("dns-unpadded"):
        assert plain["result"]["abuf"].rstrip("=") == spoilt["result"]["abuf"] != plain["result"]["abuf"]
    old = FakeInternet((vantage(9, firmware=4670),))
    faults = find_faults(["dns-list-rdata"])
    change = next(fault.change for fault in faults if isinstance(fault, ResultFault))
    clock = Clock(START, monotonic=lambda: 0.0)
    api = Api(old, clock, key=KEY, built_ins=(K_ROOT,))
    found = api.ledger.get(10301)
    assert found is not None
    result = next(api.ledger.results(found, now=START))
    assert result["result"]["answers"][0]["RDATA"] == "fra1.example-dns.net"
    listed = change(result, chance(1))
    assert listed["result"]["answers"][0]["RDATA"] == ["fra1.example-dns.net"]


def test_one_of_two_resolvers_fails() -> None:
    for plain, spoilt in changed("dns-resultset"):
        first, second = spoilt["resultset"]
        assert "result" not in spoilt
        assert first["result"] == plain["result"]
        assert second["error"] == {"timeout": 5000}
        assert [(one["subid"], one["submax"], one["dst_port"]) for one in (first, second)] == [
            (1, 2, "53"),
            (2, 2, "53"),
        ]


def test_hops_are_silent_late_doubled_or_errors() -> None:
    for _, spoilt in changed("hop-255", traceroute_definition()):
        numbers = [hop["hop"] for hop in spoilt["result"]]
        assert numbers[-1] == 255
        assert numbers[:-1] == list(range(1, len(numbers)))
        assert all(packet == {"x": "*"} for hop in spoilt["result"][-6:] for packet in hop["result"])

    def packets(result: Row) -> list[Row]:
        return [packet for hop in result["result"] for packet in hop["result"]]

    for plain, spoilt in changed("hop-late", traceroute_definition()):
        (late,) = (packet for packet in packets(spoilt) if "late" in packet)
        assert "rtt" not in late
        assert len(packets(spoilt)) == len(packets(plain)) + 1
    for plain, spoilt in changed("hop-twice", traceroute_definition()):
        (doubled,) = (packet for packet in packets(spoilt) if packet.get("dup"))
        assert len(packets(spoilt)) == len(packets(plain)) + 1
        assert "rtt" in doubled
    errors = {
        packet["err"]
        for _, spoilt in changed("hop-error", traceroute_definition())
        for packet in packets(spoilt)
        if "err" in packet
    }
    assert errors <= {"N", "H", "A", "P", "p", "h", 13}
    assert len(errors) > 1


def test_pings_are_lost_doubled_or_errors_and_their_summary_says_so() -> None:
    for _, spoilt in changed("ping-lost", ping_definition()):
        assert [spoilt[name] for name in ("min", "avg", "max", "rcvd", "sent")] == [-1, -1, -1, 0, 3]
        assert "ttl" not in spoilt
    for plain, spoilt in changed("ping-twice", ping_definition()):
        assert (spoilt["dup"], spoilt["rcvd"], spoilt["avg"]) == (1, plain["rcvd"], plain["avg"])
        assert len(spoilt["result"]) == 4
    for _, spoilt in changed("ping-error", ping_definition()):
        # 10.5, lost, 10.25: without the first
        assert [spoilt[name] for name in ("min", "avg", "max", "rcvd", "sent")] == [10.25, 10.25, 10.25, 1, 3]
        assert "error" in spoilt["result"][0]


def test_firmware_and_clock_are_told_in_odd_ways() -> None:
    assert {spoilt["fw"] for _, spoilt in changed("fw-text")} == {str(POINTS[0].firmware)}
    assert {spoilt["lts"] for _, spoilt in changed("lts-unknown")} == {-1}


# On the wire

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


def ask(sandbox: Sandbox, method: str, path: str, body: Any = None, *, timeout: float = 5.0) -> requests.Response:
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
        socket.create_connection((host, int(port)), timeout=5) as plain,
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


def test_a_server_that_keeps_silent_can_be_closed_at_once(tmp_path: Path) -> None:
    with open_sandbox(FakeInternet(), start=START, folder=tmp_path, key=KEY, faults=["stall"]) as sandbox:
        with pytest.raises(requests.ReadTimeout):
            ask(sandbox, "GET", "probes/", timeout=0.3)
        with requests.Session() as session:
            url = f"https://{sandbox.server}/api/v2/probes/"
            with pytest.raises(requests.ReadTimeout):
                session.get(url, verify=str(sandbox.ca_file), timeout=0.3)
            began = time.monotonic()
    assert time.monotonic() - began < 2


def test_a_client_that_goes_amid_an_answer_leaves_no_socket_open(tmp_path: Path) -> None:
    class Endless:
        def respond(self, _: Request) -> Response:
            return Response(status=200, body=iter(lambda: b"x" * 40_000, None))

    with serving(Endless(), folder=tmp_path) as server:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        with (
            socket.create_connection((server.host, server.port), timeout=5) as plain,
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
            statuses = [session.get(url, verify=served["ca_file"], timeout=10).status_code for _ in range(3)]
    assert sorted(statuses) == [200, 200, 502]


def test_faults_in_front_of_the_api_are_all_tried_here_or_above() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    untried = [name for name, fault in FAULTS.items() if isinstance(fault, FrontFault) and f'"{name}"' not in source]
    assert [name for name in untried if not name.startswith(("error-5", "lost-answer-5"))] == []
