from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from catchment import terminal, workflow
from catchment.assign import RULES
from catchment.cli.printing import show_progress
from catchment.model import Grouping, Window
from catchment.schemas import OBSERVATIONS
from catchment.store import Run
from catchment.terminal import vantage_points
from catchment.terminal.columns import Beside
from catchment.terminal.interception import tell_interception
from tests.atlas_results import NOON, dns_result, place


def printed(renderable: Any, width: int = 200) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
    console.print(renderable)
    console.file.close()
    return console.export_text()


@given(st.text())
def test_no_text_reaches_the_terminal_with_control_or_invisible_characters(text: str) -> None:
    shown = terminal.harmless(text)
    assert all(unicodedata.category(character)[0] not in "CZ" or character == " " for character in shown)


def test_plain_text_is_shown_as_it_is() -> None:
    assert terminal.harmless("ns1.nl-ams.k.ripe.net São Paulo [bold]") == "ns1.nl-ams.k.ripe.net São Paulo [bold]"


def test_escapes_and_right_to_left_marks_are_written_out() -> None:
    assert terminal.harmless("\x1b[31m\u202eabc\n\U000e0001") == "\\x1b[31m\\u202eabc\\x0a\\U000e0001"


def test_markup_in_an_identity_is_not_interpreted() -> None:
    entry = {"identity": "[red]x[/red]", "site": None, "town": None, "country": None, "server": None, "rule": "r"}
    assert "[red]x[/red]" in printed(terminal.show_identities({"identities": [entry]}))


def test_a_run_shows_sites_and_what_has_none(sample: dict[str, Run]) -> None:
    text = printed(terminal.show_run(workflow.show(sample["before"])))
    for word in (
        "fra",
        "Frankfurt am Main, DE",
        "intercepted-error",
        "dns-dead",
        "of 400 vantage points assigned",
        "98.616",
    ):
        assert word in text


def test_groups_show_their_sites(sample: dict[str, Run]) -> None:
    text = printed(terminal.show_run(workflow.show(sample["before"], by=Grouping.CONTINENT)))
    assert "europe" in text
    assert "Continent" in text


def test_a_comparison_shows_moves_and_what_was_left_out(sample: dict[str, Run]) -> None:
    numbers = workflow.compare_runs((sample["before"], Window()), (sample["after"], Window()), by=Grouping.COUNTRY)
    text = printed(terminal.show_comparison(numbers))
    assert numbers["targets"][0]["summary"] in text.replace("\n", " ")
    for word in ("Not compared: ", "both assigned with example-dns", "Total variation", "Country"):
        assert word in text


def test_many_sites_are_summed_up_after_a_screen_of_them() -> None:
    rtt = {"p25": 1.0, "p50": 1.0, "p75": 1.0, "p90": 1.0}
    site = {"town": "T", "country": "DE", "vantage_points": 2, "share": 0.01, "share_assigned": 0.01, "rtt_ms": rtt}
    sites = [{"site": f"s{number}", **site} for number in range(50)]
    target = {"vantage_points": {"total": 100, "assigned": 100, "verdicts": {"ok": 100}}, "sites": sites}
    text = printed(terminal.runs._sites_table(target))
    assert "s39" in text
    assert "s40" not in text
    assert "10 more sites" in text
    assert " 20 " in text


def test_a_narrow_terminal_loses_no_number(sample: dict[str, Run]) -> None:
    numbers = workflow.show(sample["before"])
    text = printed(terminal.show_run(numbers), width=60)
    assert "…" not in text
    assert all(str(site["vantage_points"]) in text for site in numbers["targets"][0]["sites"])


def test_all_who_were_intercepted_are_named_with_the_reason(sample: dict[str, Run]) -> None:
    numbers = workflow.show(sample["before"], by=Grouping.VERDICT)
    text = printed(terminal.show_run(numbers))
    listed = [one for group in numbers["targets"][0]["groups"] for one in group.get("listed", [])]
    assert 3 < len(listed) < 40
    for one in listed:
        assert f"{one['vantage']} " in text
        assert RULES[one["rule"]] in text
    assert "Somebody else answered" in text
    assert "By country: " in text
    assert "By AS: AS" in text


def listing(count: int) -> dict[str, Any]:
    one = {"country": None, "asn": None, "rule": "dns-silent", "identity": None, "rcode": None, "site": None}
    one["others"] = None
    entries = [{"vantage": f"atlas:{n}", **one, "distance_km": None, "rtt_ms_min": None} for n in range(count)]
    return {"groups": [{"key": "timeout", "listed": entries}]}


def test_of_many_vantage_points_the_first_are_listed_and_the_others_counted() -> None:
    text = "".join(printed(part) for part in vantage_points.list_vantage_points(listing(25)))
    assert "timeout: 25 vantage points" in text
    assert "atlas:19 " in text
    assert "atlas:20" not in text
    assert "5 more: --json lists them all" in text
    whole = "".join(printed(part) for part in vantage_points.list_vantage_points(listing(20)))
    assert "more" not in whole


def test_who_was_intercepted_is_listed_before_who_was_not_answered() -> None:
    (lost,) = listing(9)["groups"]
    groups = [lost, {**lost, "key": "intercepted-error"}]
    text = "".join(printed(part) for part in vantage_points.list_vantage_points({"groups": groups}))
    assert text.index("intercepted-error: 9") < text.index("timeout: 9")


def test_what_nobody_can_be_told_of_has_no_column() -> None:
    text = "".join(printed(part) for part in vantage_points.list_vantage_points(listing(1)))
    assert "Vantage point" in text
    assert "Came back" not in text


def hijacked(import_lines: Callable[..., Run]) -> Run:
    """Return a run in which a hijack has begun: two of three vantage points are answered by somebody else as well."""
    return import_lines(
        *(dns_result(probe, timestamp=NOON + second) for probe in (1, 2, 3) for second in (0, 1)),
        dns_result(1, "ns1.hijacker.example", timestamp=NOON + 60),
        dns_result(2, None, rcode="REFUSED", timestamp=NOON + 30),
        dns_result(4, "ns1.hijacker.example", timestamp=NOON + 90),
        probes=[place(probe) for probe in (1, 2, 3, 4)],
    )


def test_a_hijack_under_way_is_told_whatever_is_shown(import_lines: Callable[..., Run]) -> None:
    run = hijacked(import_lines)
    for by in (None, Grouping.COUNTRY, Grouping.VERDICT):
        text = printed(terminal.show_run(workflow.show(run, by=by)))
        assert "Somebody else answered 1 of 4 vantage points (25.0 %): no-pattern-matches 1." in text
        assert (
            "2 more vantage points were now and then answered by somebody else: “ns1.hijacker.example” 1 answer, first "
            "2026-11-01T12:01:00Z; REFUSED 1 answer, first 2026-11-01T12:00:30Z."
        ) in text
        assert "Answers that are not the service's: “ns1.hijacker.example” 2." in text
    alone = printed(terminal.show_run(workflow.show(run, Window(end=float(NOON + 45)))))
    assert "1 vantage point was now and then answered by somebody else: REFUSED 1 answer" in alone
    assert "not the service's" not in alone
    before = printed(terminal.show_run(workflow.show(run, Window(end=float(NOON + 5)))))
    assert "omebody else" not in before


def test_who_is_answered_by_somebody_else_now_and_then_is_listed_first(import_lines: Callable[..., Run]) -> None:
    text = printed(terminal.show_run(workflow.show(hijacked(import_lines), by=Grouping.VERDICT)))
    lines = text.splitlines()
    title = lines.index("ok, but now and then answered by somebody else: 2 vantage points")
    assert "First (UTC)" in lines[title + 1]
    assert [line.split() for line in lines[title + 2 : title + 4]] == [
        ["atlas:1", "DE", "64500", "fra", "“ns1.hijacker.example”", "1", "2026-11-01T12:01:00"],
        ["atlas:2", "DE", "64500", "fra", "REFUSED", "1", "2026-11-01T12:00:30"],
    ]
    assert lines.index("intercepted-foreign-identity: 1 vantage point") > title


def interception(alone: int, partly: int, faster: int) -> str:
    nobody: dict[str, Any] = {"by_country": [], "by_asn": [], "identities": []}
    found = nobody | {"vantage_points": alone, "by_rule": {"r": alone}, "partly": nobody | {"vantage_points": partly}}
    target: dict[str, Any] = {
        "interception": found | {"faster_than_light": {"vantage_points": faster}},
        "vantage_points": {"total": 9},
        "foreign_identities": [{"text": f"x{number}", "answers": 1000} for number in range(7)],
        "sites": [{}],
    }
    return "".join(printed(line) for line in tell_interception(target, with_networks=False))


def test_answers_faster_than_light_are_no_interception() -> None:
    assert interception(0, 0, 1).startswith("1 vantage point had answers faster than light: a box that replays")
    assert "15 more had answers faster than light: a box that replays answers, or a vantage point that" in interception(
        2, 0, 15
    )
    assert "faster" not in interception(2, 0, 0)


def test_of_strange_identities_five_are_named() -> None:
    text = interception(0, 0, 0)
    assert text == (
        "Answers that are not the service's: “x0” 1,000, “x1” 1,000, “x2” 1,000, “x3” 1,000, “x4” 1,000, 2 more.\n"
    )


def changes(once: int, flapping: int, flips: int) -> str:
    moves = [{"from": "fra", "to": f"s{number}", "vantage_points": 1} for number in range(once)]
    found = {"changed_once": once, "flapping": flapping, "flips": flips, "changes": moves}
    return "".join(printed(line) for line in terminal.runs._changes(found))


def test_one_change_is_not_flapping() -> None:
    assert changes(0, 0, 0) == ""
    assert changes(1, 1, 1) == "1 vantage point changed site once (fra → s0 1).\n"
    assert changes(2, 4, 6) == (
        "2 vantage points changed site once (fra → s0 1, fra → s1 1), 2 flap between sites, 4 times in all.\n"
    )
    assert changes(0, 1, 2) == "1 vantage point flaps between sites, 2 times in all.\n"
    assert changes(7, 7, 7).endswith("fra → s4 1, …).\n")


def test_a_list_of_sites_newer_than_the_run_is_warned_about(sample: dict[str, Run]) -> None:
    def shown(as_of: str | None, kind: str = "listed") -> str:
        numbers = workflow.show(sample["before"])
        numbers["to"] = "2024-11-02T00:00:00Z"
        numbers["targets"][0]["site_set"] = {"kind": kind, "sites": 9, "placed": 8, "as_of": as_of}
        return printed(terminal.show_run(numbers))

    assert "newer" not in shown(None)
    for as_of, years in (("2025-11-01", None), ("2025-11-02", "1 year:"), ("2035-11-03", "11 years:")):
        text = shown(as_of)
        assert f"sites as of {as_of}" in text
        warned = f"The list of sites is newer than the run by {years} `--sites observed` counts those seen."
        assert (warned in text) == ("newer" in text) == (years is not None)
    assert "newer" not in shown("2035-11-03", "observed")
    assert "reach the nearest of 8 listed sites (" in shown(None)


def test_of_many_replies_without_an_identity_the_rare_ones_come_first() -> None:
    (group,) = listing(30)["groups"]
    for number, one in enumerate(group["listed"]):
        one["rcode"] = "REFUSED" if number else "NOERROR"
    text = "".join(printed(part) for part in vantage_points.list_vantage_points({"groups": [group]}))
    _, heading, noerror, refused, *_ = (line.split() for line in text.splitlines()[1:])
    assert heading == ["Came", "back", "Vantage", "points", "Which"]
    assert noerror == ["NOERROR", "1", "atlas:0"]
    assert refused[:2] == ["REFUSED", "29"]


def test_long_names_break_at_their_hyphens(sample: dict[str, Run]) -> None:
    for by in (None, Grouping.VERDICT):
        numbers = workflow.show(sample["before"], by=by)
        for width in (60, 80):
            words = [word.rstrip(":") for word in printed(terminal.show_run(numbers), width=width).split()]
            parts = {"intercepted-foreign-identity", "intercepted-foreign-", "intercepted-", "foreign-identity"}
            assert parts & set(words)
            assert not [word for word in words if word.startswith("intercepted-f") and word not in parts]


def test_a_table_breaks_places_before_long_words_and_those_before_numbers_and_names() -> None:
    rows = terminal.cells.table("Vantage point", "Place", "Identity", ">RTT ms", ">Share")
    terminal.cells.add_row(rows, "atlas:100000", "San José del Cabo, MX", "x" * 300, "88.2 → 172.7", "100.0 %")
    assert "San José del Cabo, MX" in printed(rows, width=400)
    middle, narrow = printed(rows, width=360), printed(rows, width=60)
    assert "x" * 300 in middle
    assert max(map(len, narrow.splitlines())) <= 60
    for text in ("atlas:100000", "172.7", "100.0 %", "Vantage"):
        assert text in middle
        assert text in narrow


def test_bars_that_have_no_room_are_all_as_much_shorter() -> None:
    for width, longest in ((80, 24), (12, 12)):
        full, half = (printed(terminal.cells.Bar(share, 1.0), width=width).strip() for share in (1.0, 0.5))
        assert (full, half) == ("█" * longest, "█" * (longest // 2))


def test_a_name_fits_where_its_longest_part_does() -> None:
    name = terminal.cells.Name("intercepted-foreign-identity")
    assert printed(name, width=80).rstrip() == "intercepted-foreign-identity"
    assert printed(name, width=20).split() == ["intercepted-foreign-", "identity"]
    assert printed(name, width=19).split() == ["intercepted-", "foreign-identity"]
    assert printed(name, width=12).split() == ["intercepted-", "foreign-", "identity"]


def test_counts_of_one_are_singular(import_lines: Callable[..., Run]) -> None:
    run = import_lines(dns_result(1), dns_result(1, "ber1.example-dns.net", timestamp=NOON + 1), probes=[place(1)])
    for by in (None, Grouping.VERDICT):
        text = printed(terminal.show_run(workflow.show(run, by=by)))
        assert not re.findall(r"\b1 (?:vantage points|times|sites|answers|years)\b", text)
        assert "1 of 1 vantage point assigned (ok 1)." in text


def test_what_a_forged_run_holds_is_shown_harmless(sample: dict[str, Run]) -> None:
    numbers = workflow.show(sample["before"], by=Grouping.VERDICT)
    forged = json.loads(re.sub(r'": "', r'": "\\u001b[31m\\u202e', json.dumps(numbers)))
    for target in forged["targets"]:
        target["vantage_points"]["verdicts"] = {"\x1b[31m": 1}
        target["interception"]["by_rule"] = {"\x1b[31m": 1}
        target["by"] = "verdict"
    assert forged["from"].startswith("\x1b")
    assert forged["targets"][0]["site_set"]["kind"].startswith("\x1b")
    assert not {"\x1b", "\u202e"} & set(printed(terminal.show_run(forged)))
    del forged["targets"][0]["groups"], forged["targets"][0]["by"]
    assert not {"\x1b", "\u202e"} & set(printed(terminal.show_run(forged)))


def trusted(medium: int, disagree: int) -> str:
    case = {"identity": "a\x1b", "second_identity": "b", "site": "fra", "second_site": None, "answers": 7}
    target: dict[str, Any] = {
        "vantage_points": {"confidence": {"high": 5, "medium": medium, "low": 0}},
        "witnesses": {"agree": 9, "disagree": disagree, "cases": [case]},
    }
    return "".join(printed(part) for part in terminal.runs._trust(target))


def test_confidence_and_witnesses_are_told_where_there_is_doubt() -> None:
    assert trusted(0, 0) == ""
    assert trusted(1, 0) == "Confidence in the site: high 5, medium 1, low 0.\n"
    assert trusted(0, 7) == (
        "Two identities in one reply agree in 9 answers and disagree in 7: “a\\x1b” (fra) beside “b” (no site) 7.\n"
    )


def test_a_vantage_point_is_shown_with_sentences_and_observations(sample: dict[str, Run]) -> None:
    told = workflow.explain_vantage(sample["before"], "6000")
    text = printed(terminal.show_vantage_point(told))
    for sentence in told["targets"][0]["explanation"]:
        assert sentence in " ".join(text.split())
    assert "example-dns at 192.0.2.53 (IPv4): ok, iad" in text
    for one in told["targets"][0]["observations"]:
        assert one["at"].removesuffix("Z") in text
        assert f"before.ndjson.gz:{one['raw_record']}, measurement {one['measurement_id']}" in text


def observed(count: int, **values: Any) -> dict[str, Any]:
    one = {column.name: None for column in OBSERVATIONS} | {"site": None, "rule": None, "kind": "dns", "raw_item": 0}
    observations = [one | {"at": f"at-{number:04}Z"} | values for number in range(count)]
    assignment = {"verdict": "timeout", "site": None}
    target: dict[str, Any] = {
        "service": None,
        "target": "192.0.2.53",
        "af": 4,
        "assignment": assignment,
        "explanation": [],
    }
    run = {"run": "r", "from": "f", "to": "t", "vantage": "atlas:1"}
    return run | {"targets": [target | {"observations": observations}]}


def test_of_hundreds_of_observations_the_first_and_last_are_shown() -> None:
    text = printed(terminal.show_vantage_point(observed(400)))
    assert [f"at-{number:04}" in text for number in (0, 14, 15, 384, 385, 399)] == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert "370 more: --json has them" in text
    assert "more" not in printed(terminal.show_vantage_point(observed(40)))


def test_hostile_observations_are_shown_harmless_and_short() -> None:
    hostile = "\x1b[31m[red]\u202e" + "x" * 60_000
    for values in (
        {"identity": hostile, "second_identity": hostile, "rcode": hostile, "query": hostile, "site": hostile},
        {"failure": "timeout", "failure_detail": hostile, "raw_file": hostile},
    ):
        text = printed(terminal.show_vantage_point(observed(1, **values)))
        assert not {"\x1b", "\u202e"} & set(text)
        assert "\\x1b[31m[red]" in text
        assert len(text) < 5_000


def test_the_measurement_is_named_unless_the_file_is_named_after_it() -> None:
    own = observed(1, raw_file="1000001.ndjson.gz", raw_record=96, measurement_id=1_000_001)
    assert "1000001.ndjson.gz:96" in printed(terminal.show_vantage_point(own))
    assert "measurement" not in printed(terminal.show_vantage_point(own))
    other = observed(1, raw_file="1000001.ndjson.gz", raw_record=96, measurement_id=100_000)
    assert "1000001.ndjson.gz:96, measurement 100000" in printed(terminal.show_vantage_point(other))


def test_what_came_back_is_told_in_few_words() -> None:
    for values, words in (
        ({"identity": "a", "second_identity": "a", "rcode": "NOERROR"}, "“a” twice"),
        ({"identity": "a", "second_identity": "b", "rcode": "NOERROR"}, "“a” and “b”"),
        ({"identity": "a", "rcode": "REFUSED"}, "REFUSED “a”"),
        ({"rcode": "NOERROR"}, "NOERROR"),
        ({"failure": "timeout", "failure_detail": "timeout: 5000"}, "timeout: 5000"),
        ({"failure": "network", "failure_detail": "reset"}, "network: reset"),
        ({"kind": "traceroute", "hop": "192.0.2.1"}, "answered, behind 192.0.2.1"),
    ):
        assert f"  {words}  " in printed(terminal.show_vantage_point(observed(1, **values))), words


def shown_lines(renderable: Any, width: int) -> list[str]:
    return [line.rstrip() for line in printed(renderable, width).splitlines()]


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_terminal_no_time_address_or_name_of_a_run_is_broken(width: int) -> None:
    run = {"from": "2026-11-22T14:02:34Z", "to": "2026-11-22T15:02:39Z", "vantage_points": 12_345, "assigned": 12_340}
    run |= {"campaign": "fire-withdrawn", "run": "2026-11-22T140230Z", "targets": ["frankfurt-berlin 2001:db8:53::53"]}
    words = printed(terminal.show_runs([run]), width).split()
    for word in ("fire-withdrawn", "2026-11-22T140230Z", "2026-11-22", "14:02:34Z", "15:02:39Z", "12345", "12340"):
        assert word in words
    for word in ("frankfurt-berlin", "2001:db8:53::53", "Campaign", "Assigned", "Vantage", "points", "Targets"):
        assert word in words


def test_runs_have_their_targets_one_below_the_other() -> None:
    run = {"from": "2026-11-22T14:02:34Z", "to": "2026-11-22T15:02:39Z", "vantage_points": 1, "assigned": 1}
    run |= {"campaign": "c", "run": "r", "targets": ["k-root 192.0.2.1", "k-root 2001:db8::1"]}
    wide = shown_lines(terminal.show_runs([run]), 200)
    assert "2026-11-22 14:02:34Z  2026-11-22 15:02:39Z" in wide[1]
    assert wide[1].endswith("k-root 192.0.2.1")
    assert wide[2].split() == ["k-root", "2001:db8::1"]


def test_what_has_no_room_beside_stands_below_with_the_names_in_each_table() -> None:
    names = [("Run", ["one", "two"]), ("Of", ["a", "b"])]
    shown = Beside(
        [*names, ("First", ["1" * 12] * 2), ("Second", ["2" * 12] * 2)], [("Third", ["3" * 12, ""])], names=2
    )
    assert [line.split() for line in shown_lines(shown, 60)] == [
        ["Run", "Of", "First", "Second", "Third"],
        ["one", "a", "1" * 12, "2" * 12, "3" * 12],
        ["two", "b", "1" * 12, "2" * 12],
    ]
    below = [["Run", "Of", "Third"], ["one", "a", "3" * 12]]
    assert [line.split() for line in shown_lines(shown, 40)] == [
        ["Run", "Of", "First", "Second"],
        ["one", "a", "1" * 12, "2" * 12],
        ["two", "b", "1" * 12, "2" * 12],
        *below,
    ]
    assert [line.split() for line in shown_lines(shown, 25)] == [
        ["Run", "Of", "First"],
        ["one", "a", "1" * 12],
        ["two", "b", "1" * 12],
        ["Run", "Of", "Second"],
        ["one", "a", "2" * 12],
        ["two", "b", "2" * 12],
        *below,
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_terminal_no_router_of_a_path_is_broken(sample: dict[str, Run], width: int) -> None:
    was, now = (
        ["lo0.fra1.as64501.example (Frankfurt, DE) 21.5 ms"],
        ["lo0.sin1.as64504.example (Singapore, SG) 156.1 ms"],
    )
    one = {"vantage": "lab:3", "site": "fra", "rtt_ms_before": 21.6, "rtt_ms_after": 291.5, "before": was, "after": now}
    paths = {"compared": 9, "changed": 1, "longer": 1, "countries_joined": {}, "countries_left": {}, "listed": [one]}
    numbers = workflow.compare_runs((sample["before"], Window()), (sample["after"], Window()))
    numbers["targets"] = [numbers["targets"][0] | {"paths": paths}]
    words = printed(terminal.show_comparison(numbers), width).split()
    for word in ("lo0.fra1.as64501.example", "(Frankfurt,", "lo0.sin1.as64504.example", "(Singapore,", "291.5"):
        assert word in words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_narrow_terminal_shows_the_whole_time_and_what_it_can_of_the_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    with show_progress() as update:
        update("judging which site each vantage point reaches", 0.8)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    last = [line for line in re.split(r"[\r\n]+", plain) if "judging" in line][-1]
    assert re.search(r" \d:\d\d:\d\d judging which site each [a-z ]*…$", last)
    assert len(last) <= 60
