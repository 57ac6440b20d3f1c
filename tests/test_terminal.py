from __future__ import annotations

import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from catchment import terminal, workflow
from catchment.model import Grouping, Window
from catchment.store import Run


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
