from __future__ import annotations

import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from catchment import terminal, workflow
from catchment.assign import RULES
from catchment.model import Grouping, Window
from catchment.schemas import OBSERVATIONS
from catchment.store import Run
from catchment.terminal import vantage_points


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
