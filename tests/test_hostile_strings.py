"""Whatever strings come from the network or from files: they come out harmless, wherever they come out."""

from __future__ import annotations

import base64
import datetime
import io
import itertools
import json
import os
import re
import sys
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dns.edns
import dns.message
import dns.rrset
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from catchment import figures, terminal, workflow
from catchment.cli import app, printing
from catchment.errors import CatchmentError
from catchment.figures.lettering import printable
from catchment.model import Grouping, Site, Verdict, Window
from catchment.platforms.atlas.failures import clean
from catchment.store import Run
from tests.atlas_results import TARGET, dns_error, dns_result, head, place
from tests.conftest import ROOT

LONGEST_WORD = 65_000

TRICKS = (
    "\x1b]0;owned\x07", "\x1b[31m", "\x1b[2J", "\x9b31m", "\x90q\x9c", "a\x00b", "\x7f", "\x85", "\r", "one\ntwo", "\t",
    "\u202eevil", "\u200f", "\u2066x", "a\u200db", "\u200b", "\ufeff", "\u2028", "\u2029", "\u00ad", "\U000e0041",
    "\ud800", "\ue000", "\udcff", "a" + "\u0301" * 40, "\u0489" * 9, "\ufe0f", "\u3164", "\u115f",
    "<script>alert(1)</script>", "--><script>", "]]>", "&lt;&#0;", "[red]x[/red]", "[link=http://e.test]y[/link]",
    "[/]", ":smile:", "../../etc/passwd", "/abs", "con", "=cmd|' /C calc'!A0", "+1", "-x", "@x", "'; DROP TABLE x; --",
    '"}],', "\\", "\\x1b", "%s%n", "{0}{}", "{x", "$x^2$", "$\\frac{1}{", "w" * LONGEST_WORD, "東京", "עברית",
)  # fmt: skip
"""One of each kind of nuisance that somebody may send."""

FORBIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
LONGEST_LINE = 1100  # a pipe is taken to be 1000 wide, and a message may be as long

hostile = st.lists(st.one_of(st.sampled_from(TRICKS), st.text(max_size=12)), min_size=1, max_size=4).map("".join)
at_once = "".join(trick for trick in TRICKS if len(trick) < LONGEST_WORD)
every_trick = example(at_once)


def assert_harmless(printed: str) -> None:
    """Of what a terminal shows: no control or invisible character, no heap of marks, no endless line."""
    assert {unicodedata.category(character) for character in printed if character != "\n"} & FORBIDDEN == set()
    assert max(map(len, printed.split("\n"))) <= LONGEST_LINE
    kinds = "".join(unicodedata.category(character)[0] for character in printed)
    assert "MMM" not in kinds


def harmless_bytes(raw: bytes) -> str:
    """How an identity of these bytes is stored."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in raw)


# The pieces.


@given(hostile)
@every_trick
def test_harmless_text_has_nothing_to_obey_and_does_not_change_any_more(text: str) -> None:
    shown = terminal.harmless(text)
    assert {unicodedata.category(character) for character in shown} & FORBIDDEN == set()
    assert "MMM" not in "".join(unicodedata.category(character)[0] for character in shown)
    assert terminal.harmless(shown) == shown


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_is_shown_as_it_is(text: str) -> None:
    assert terminal.harmless(text) == text


def test_what_shows_nothing_is_written_out_and_what_readers_know_is_not() -> None:
    assert terminal.harmless("a\u3164\ufe0f\u034fb") == "a\\u3164\\ufe0f\\u034fb"
    assert terminal.harmless("Tromsø, 東京, Việt, e\u0323\u0302") == "Tromsø, 東京, Việt, e\u0323\u0302"
    assert terminal.harmless("e" + "\u0301" * 4 + "e\u0301") == "e\u0301\u0301\\u0301\\u0301e\u0301"


@given(hostile, st.integers(6, 200))
@example("w" * LONGEST_WORD, 60)
def test_what_is_clipped_keeps_both_ends_and_tells_how_much_is_left_out(text: str, width: int) -> None:
    shown, clipped = terminal.harmless(text), terminal.clip(text, width)
    if len(shown) <= width:
        assert clipped == shown
        return
    found = re.fullmatch(r"(.+)…\(([\d,]+) more characters\)…(.+)", clipped)
    assert found is not None
    start, left_out, end = found.groups()
    assert shown.startswith(start)
    assert shown.endswith(end)
    assert len(start) + len(end) == width
    assert int(left_out.replace(",", "")) == len(shown) - width


@given(hostile)
@every_trick
@example("a\u0301\u0301\x1b\u0301")
def test_text_on_a_figure_is_one_short_line_that_the_font_can_draw(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= 300
    assert {unicodedata.category(character) for character in shown} & FORBIDDEN == set()
    assert "MMM" not in "".join(unicodedata.category(character)[0] for character in shown)


# Messages.


@settings(max_examples=50)
@given(hostile)
@every_trick
def test_a_problem_and_a_warning_are_one_short_line_each_with_the_advice_at_the_end(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stderr = io.StringIO()
        patch.setattr(sys, "stderr", stderr)
        printing.complain(f"{text}: name another file")
        printing.report((f"{clean(text)}: look there",))
    assert_harmless(stderr.getvalue())
    problem, warning = stderr.getvalue().splitlines()
    assert problem.startswith("catchment: ")
    assert problem.endswith(": name another file")
    assert warning.startswith("warning: ")
    assert warning.endswith(": look there")


def test_progress_shows_names_as_they_are_written_and_not_as_they_act(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    with printing.show_progress() as progress:
        progress("read \x1b]0;owned\x07[red]x[/red]" + "w" * LONGEST_WORD, 0.5)
    shown = screen.getvalue()
    assert "read \\x1b]0;owned\\x07[red]x[/red]w" in shown
    assert "\x1b]0;" not in shown
    assert "w" * 200 not in shown


def test_a_terminal_that_lacks_the_letters_of_a_town_shows_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", screen)
    printing.print_numbers({"files": ["Zürich.png", "東京.png"]}, "show_files", as_json=False)
    screen.seek(0)
    assert screen.read() == "wrote Zürich.png\nwrote \\u6771\\u4eac.png\n"


# Every layout of the terminal, with every text of its numbers replaced.

FROM_OUTSIDE = {
    "run", "before", "after", "campaign", "service", "operator", "site", "sites", "code", "town", "country",
    "identity", "identities", "second_identity", "second_site", "server", "text", "key", "name", "file", "files",
    "command", "what", "summary", "explanation", "of", "reason", "regex", "targets", "origin", "failure_detail",
    "raw_file", "hop", "rcode", "query", "url", "removed", "addresses_unknown", "environment", "list_date",
    "corrected", "published", "error", "target", "status", "trouble", "next", "notes", "as_of", "runs_out_at",
    "lab", "topology", "change", "changes", "place", "as_name", "title", "happened", "vantage",
}  # fmt: skip
"""What holds a text that may be anybody's; the other texts are from lists of our own."""

TOLD_BY = {"shares", "outcomes", "environment"}
"""Tables whose keys are anybody's too."""


def poisoned(value: Any, text: str, key: str = "") -> Any:
    """Return numbers, of lists the first few, in which every text that may be anybody's is replaced."""
    match value:
        case str():
            return text if key in FROM_OUTSIDE else value
        case list() | tuple():
            return [poisoned(inner, text, key) for inner in value[:3]]
        case dict() if key in TOLD_BY:
            return {f"{text}{number}": poisoned(one, text, key) for number, one in enumerate(value.values())}
        case dict():
            return {name: poisoned(inner, text, name) for name, inner in value.items()}
        case _:
            return value


@pytest.fixture(scope="module")
def layouts(sample: dict[str, Run]) -> dict[str, Any]:
    """Return numbers for each layout, real ones where they are quickly had."""
    before, after = (sample["before"], Window()), (sample["after"], Window())
    vantages = sample["before"].assignments.filter("verdict <> 'ok'").project("vantage").fetchall()
    shown = workflow.show(sample["before"])
    case = {"identity": "i", "site": "s", "second_identity": "j", "second_site": "t", "answers": 1}
    shown["targets"][0]["witnesses"] |= {"disagree": 1, "cases": [case]}
    site = {"site": "s", "town": "t", "country": "c", "since": "2026-01-01"}
    caught = {
        "vantage_points": 1, "identities": [{"text": "i", "vantage_points": 1}], "listed": [{"vantage": "v"}],
        "countries": {"c": 1}, "asns": {"a": 1}, "news": True,
    }  # fmt: skip
    paths = {
        "compared": 1, "changed": 1, "longer": 1, "countries_joined": {"c": 1}, "countries_left": {"d": 1},
        "listed": [
            {"vantage": "v", "site": "s", "rtt_ms_before": 1.0, "rtt_ms_after": 2.0, "before": ["h"], "after": ["*"]}
        ],
    }  # fmt: skip
    heard = {"site": None, "text": "i", "first_s": 0.0, "last_s": 1.0}
    converged = {
        "service": "s", "target": "t", "af": 4, "summary": "s", "resolution_s": 1.0,
        "vantage_points": [{
            "vantage": "v", "fate": "changed", "before": [heard], "on_the_way": [heard], "after": [{"site": "s"}],
            "converged_after_s": 1.0, "queries": 1, "lost": 1, "loss_window_s": 1.0, "loss_window_open": True,
            "strays": [heard], "settled_at_once": True, "rtt_ms_before": 1.0, "rtt_ms_after": 2.0,
            "rtt_changed_after_s": 1.0,
        }],
    }  # fmt: skip
    asked: dict[str, Any] = {
        "id": 1, "kind": "dns", "query": "q", "target": "t", "start": None, "stop": None, "interval_s": None,
        "reused": False, "asked": 1, "participants": None, "results": None, "status": "s",
        "credits": 7,
    }  # fmt: skip
    return {
        "show_run": shown,
        "show_run by country": workflow.show(sample["before"], by=Grouping.COUNTRY),
        "show_run by verdict": workflow.show(sample["before"], by=Grouping.VERDICT),
        "show_vantage_point": workflow.explain_vantage(sample["before"], vantages[0][0]),
        "show_comparison": workflow.compare_runs(before, after, by=Grouping.COUNTRY),
        "show_comparison of ways": {
            **dict.fromkeys(("before", "after"), "r"), "service_digest": {"s": "d"}, "level": "site",
            "targets": [
                workflow.compare_runs(before, after)["targets"][0] | {"caught": caught, "freed": caught, "paths": paths}
            ],
        },
        "show_convergence": {"run": "r", "change_at": "t", "targets": [converged]},
        "show_runs": workflow.list_runs(sample["before"].path.parent.parent)["runs"],
        "show_services": workflow.list_services(datetime.date(2026, 11, 1)),
        "show_service": workflow.describe_service("k-root"),
        "show_identities": workflow.identify_strings("k-root", ["ns1.nl-ams.k.ripe.net", "?"]),
        "show_plan": workflow.plan_campaign(ROOT / "campaigns" / "own-service.toml"),
        "show_files": {"files": ["map.png"]},
        "show_next": {"files": [{"file": "f", "what": "w"}], "next": [{"command": "c", "what": "w"}]},
        "show_served": {"environment": {"A": "b"}, "server": "s", "stream_server": "s", "speed": 1.0},
        "show_restored": {"service": "s", "removed": "r", "digest_after": "d"},
        "show_update": {
            **{key: [site] for key in ("added", "reopened", "closed")},
            "moved": [{"site": "s", "from": site, "to": site, "distance_km": 1.0}],
            **{key: [{"site": "s", "identity": "i"}] for key in ("identities_added", "identities_gone")},
            **dict.fromkeys(("service", "url", "list_date", "digest_before", "digest_after", "file"), "x"),
            "corrections_dropped": [{"site": "s", "key": "k", "corrected": "c", "published": "p", "reason": "r"}],
            "addresses_unknown": ["a"],
        },
        "show_unfinished": {
            "run": "r", "stage": "scheduling", "unsure": ["v4-1"], "trouble": "t", "next": "n",
            "measurements": [asked | {"participants": 1, "results": 1}, asked | {"reused": True, "interval_s": 240}],
        },
        "show_run measured": shown | {"measurements": [asked, asked | {"participants": 1, "results": 1}]},
        "show_stopped": {
            "run": "r", "notes": ["n"], "next": "n",
            "measurements": [{"id": 1, "what": "over", "status": "s", "problem": None}],
        },
        "show_account": {
            **dict.fromkeys(("balance", "credits_per_day", "estimated_daily_income", "runs_out_in_s"), 90_000),
            "estimated_daily_expenditure": None, "server": "s", "as_of": "a", "runs_out_at": "r",
            "past_day": {"results": 1, "credits": None},
        },
        "show_faults": {"faults": [{"name": "f", "about": "a"}]},
        # Numbers of the lab and of `here`, recorded there: a hijack, servers behind a load balancer, a walk.
        **json.loads((ROOT / "tests" / "data" / "screens.json").read_text()),
    }  # fmt: skip


def test_every_layout_is_tried(layouts: dict[str, Any]) -> None:
    assert {name.split()[0] for name in layouts} == {name for name in terminal.__all__ if name.startswith("show_")}


@settings(max_examples=10)
@given(text=hostile)
@every_trick
def test_no_layout_lets_anything_through(layouts: dict[str, Any], text: str) -> None:
    for name, numbers in layouts.items():
        assert_harmless(laid_out(name, poisoned(numbers, text), width=1000))


def test_no_layout_reads_markup_or_emoji_in_its_texts(layouts: dict[str, Any]) -> None:
    text = "[link=http://e.test]y[/link][red]x[/red]:smile:"
    for name, numbers in layouts.items():
        assert text in laid_out(name, poisoned(numbers, text), width=20_000), name


def laid_out(name: str, numbers: Any, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(getattr(terminal, name.split(maxsplit=1)[0])(numbers))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(printed, str)
    return printed


# The whole chain: results, probe list and service file in; tables, JSON and maps out.

LONGEST_TEXT, LONGEST_NSID = 40_000, 20_000  # there must be room for both in one reply


def toml(text: str) -> str:
    r"""Return a text as TOML with all its characters as \U; it has no halves of surrogate pairs."""
    return '"' + "".join(f"\\U{ord(character):08x}" for character in whole(text)) + '"'


def whole(text: str) -> str:
    """Return a text without lone halves of surrogate pairs: no JSON reader but Python's takes a record with one."""
    return text.encode("utf-8", "replace").decode()


TEXTS, EVERY_TRICK = (*TRICKS, whole(at_once)), len(TRICKS)
"""All tricks, and (under the number EVERY_TRICK) as many of them in one text as a result can hold."""


def code_of(number: int, text: str) -> str:
    return f"{whole(text)}{number}".lower()


def service_file(texts: Sequence[str]) -> str:
    """Describe a service with a site for each text; the site of number 3 also goes by the code hst3."""
    sites = [
        f"{{ code = {toml(code_of(number, text))}, codes = ['hst{number}'], town = {toml(f'{text}{number}')}, "
        f"country = {toml(text)}, latitude = {50 + number / 10}, longitude = 8, "
        f"identities = [{toml(f'{text}{number}')}] }}"
        for number, text in enumerate(texts)
    ]
    return f"""name = "hostile"
operator = {toml(texts[0])}
addresses = [{{ address = "{TARGET}" }}]
answers = ["hostname.bind", "nsid"]
patterns = [{{ regex = '(?s)(?P<site>hst[0-9]+|ber)(?P<server>-.*)?' }}]
sites = [{", ".join(sites)}, {{ code = "ber", town = "Berlin", country = "DE", latitude = 52.52, longitude = 13.4 }}]
sources = [{{ of = {toml(texts[0])}, text = {toml(texts[-1])}, date = 2026-01-01 }}]
hop_names = [{{ address = "198.51.100.1", name = {toml(texts[0])} }}]
"""


def strings_of(raw: bytes) -> list[bytes]:
    """Cut a text into the strings of a TXT record, of 255 bytes at most."""
    cut = raw[:LONGEST_TEXT]
    return [cut[start : start + 255] for start in range(0, len(cut), 255)] or [b""]


def reply(raw: bytes, nsid: bytes) -> dict[str, Any]:
    answer = dns.message.make_response(dns.message.make_query("hostname.bind.", "TXT", "CH", id=1234))
    answer.use_edns(0, options=[dns.edns.NSIDOption(nsid[:LONGEST_NSID])])
    quoted = " ".join('"' + "".join(f"\\{byte:03d}" for byte in text) + '"' for text in strings_of(raw))
    answer.answer.append(dns.rrset.from_text("hostname.bind.", 0, "CH", "TXT", quoted))
    return {"rt": 5.0, "abuf": base64.b64encode(answer.to_wire(max_size=65_535)).decode()}


def results_with(number: int, text: str) -> Iterator[bytes]:
    """Yield results that hold a text wherever one can stand."""
    raw = text.encode("utf-8", "surrogatepass")
    probe = itertools.count(number * 100)
    results = [
        dns_result(next(probe), result=reply(raw, raw)),
        dns_result(next(probe), result=reply(f"hst{number}-".encode() + raw, raw)),
        dns_result(next(probe), result=reply(b"ber", raw), dst_name=text),
        dns_result(next(probe), f"hst{number}"),
        dns_error(next(probe), {text: text, "getaddrinfo": text}),
        dns_error(next(probe)) | {"error": text},
        dns_result(next(probe), msm_id=777, dst_addr=text, dst_name=text),
        dns_result(next(probe), msm_id=778, dst_addr=f"fe80::1%{text}"),
        dns_result(next(probe), type=text),
        dns_result(next(probe), result={"rt": 5.0, "answers": [{"TYPE": "TXT", "NAME": text, "RDATA": [text, text]}]}),
        dns_result(next(probe), result={"rt": text, "abuf": text}),
        head(next(probe), "traceroute", 779) | {"result": [{"hop": 1, "result": [{"from": text, "rtt": 1.0}]}]},
        dns_result(next(probe), timestamp=text),
        dns_result(next(probe), result=reply(b"ber", f"hst{number}-".encode() + raw)),
    ]
    yield from (json.dumps(result).encode() for result in results)
    yield raw.replace(b"\n", b" ") or b"?"


def import_hostile(folder: Path, texts: Sequence[str]) -> Path:
    """Import results full of these texts as the run results/hostile/run."""
    (folder / "hostile.toml").write_text(service_file(texts), encoding="ascii")
    lines = [line for number, text in enumerate(texts) for line in results_with(number, text)]
    (folder / "results.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    probes = [
        place(number * 100 + probe, latitude=50 + number / 10, country=text, tags=[text, {"slug": text}])
        for number, text in enumerate(texts)
        for probe in range(12)
    ]
    (folder / "probes.json").write_text(json.dumps({"objects": probes}))
    run = folder / "results" / "hostile" / "run"
    told = said("import", folder / "results.ndjson", *brought(folder), "--out", run)
    assert "vantage points assigned" in told
    return run


def brought(folder: Path) -> tuple[str | Path, ...]:
    return "--service", folder / "hostile.toml", "--probes", folder / "probes.json"


def said(*words: str | Path) -> str:
    """Return what a command prints, all of it harmless; JSON in ASCII, however long its lines."""
    done = CliRunner().invoke(app, list(map(str, words)))
    if done.exception is not None:
        raise done.exception
    assert_harmless(done.stderr)
    if "--json" in words:
        assert re.fullmatch(r"[ -~\n]*", done.stdout)
        assert isinstance(json.loads(done.stdout), dict)
    else:
        assert_harmless(done.stdout)
        assert done.stdout.count("w") < LONGEST_WORD / 2  # what is too long is clipped
    return done.stdout


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run in which every trick stands wherever it can."""
    found = tmp_path_factory.mktemp("hostile")
    import_hostile(found, TEXTS)
    return found


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    return folder / "results" / "hostile" / "run"


@pytest.mark.parametrize("by", [None, Grouping.COUNTRY, Grouping.VERDICT])
def test_a_run_full_of_tricks_is_shown_harmlessly(run: Path, by: Grouping | None) -> None:
    said("show", run, *(() if by is None else ("--by", by)))


@pytest.mark.parametrize("number", [EVERY_TRICK, TRICKS.index("w" * LONGEST_WORD)])
@pytest.mark.parametrize("probe", [4, 13])
def test_a_vantage_point_full_of_tricks_is_explained_harmlessly(run: Path, number: int, probe: int) -> None:
    said("show", run, "--vantage", f"atlas:{number * 100 + probe}")


def test_as_json_a_run_full_of_tricks_is_whole(run: Path) -> None:
    for by in ("site", "country"):
        shown = json.loads(said("show", run, "--by", by, "--json"))
        assert {group["key"] for group in shown["targets"][0]["groups"]} >= {
            code_of(number, text) if by == "site" else whole(text) for number, text in enumerate(TEXTS)
        }


def test_every_identity_is_stored_in_full_as_printable_ascii(run: Path) -> None:
    stored = dict(Run.open(run).observations.filter("kind = 'dns'").project("vantage, identity").fetchall())
    for number, text in enumerate(TEXTS):
        raw = text.encode("utf-8", "surrogatepass")
        assert stored[f"atlas:{number * 100}"] == harmless_bytes(b" ".join(strings_of(raw)))


def test_files_of_a_run_full_of_tricks_hold_printable_ascii(run: Path) -> None:
    for name in ("campaign.json", "metrics.json", "rejected.ndjson"):
        assert re.fullmatch(rb"[ -~\n]+", (run / name).read_bytes()), name


def test_two_runs_full_of_tricks_are_compared_harmlessly(run: Path) -> None:
    said("compare", run, run, "--by", "country", "--level", "server")


def test_a_service_full_of_tricks_is_shown_harmlessly_and_as_json_in_full(folder: Path) -> None:
    said("services", "show", folder / "hostile.toml")
    service = json.loads(said("services", "show", folder / "hostile.toml", "--json"))
    assert [site["country"] for site in service["sites"][:-1]] == list(map(whole, TEXTS))


def test_identities_given_as_words_are_shown_harmlessly_and_as_json_in_full(folder: Path) -> None:
    texts = [text for text in TEXTS if "\x00" not in text]  # no word of a command can hold one
    said("services", "identify", folder / "hostile.toml", "--", *texts)
    found = json.loads(said("services", "identify", folder / "hostile.toml", "--json", "--", *texts))
    assert [entry["identity"] for entry in found["identities"]] == texts


def test_a_map_full_of_tricks_is_well_formed_and_draws_nothing_but_shapes(folder: Path, run: Path) -> None:
    before = files_in(folder)
    said("map", run, "-o", folder / "map.svg")
    assert files_in(folder) - before == {"map.svg"}
    assert_only_shapes((folder / "map.svg").read_bytes())


def assert_only_shapes(svg: bytes) -> None:
    """Of an SVG file: it is well-formed, and has no element or attribute that runs, loads or links anything."""
    shapes = {"svg", "g", "defs", "path", "use", "rect", "clipPath", "style", "image"}
    about = {"metadata", "RDF", "Work", "type", "format", "creator", "Agent", "title"}
    for element in ET.fromstring(svg).iter():  # noqa: S314  (we drew it)
        assert element.tag.rpartition("}")[2] in shapes | about
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            if name.endswith("href"):
                assert value.startswith(("#", "data:image/png;base64,"))
    assert not any(unicodedata.category(character) in FORBIDDEN for character in svg.decode() if character != "\n")


@settings(max_examples=2)
@given(hostile)
def test_a_title_or_site_of_any_text_draws_nothing_but_shapes(text: str) -> None:
    site = Site(code=text, town=text, country=text, latitude=50.0, longitude=8.0)
    dots = [figures.Dot(latitude=51.0, longitude=8.0, site=text, verdict=Verdict.OK)]
    changes = [
        figures.Change(
            latitude=51.0,
            longitude=8.0,
            before=text,
            after=f"{text}2",
            verdict_before=Verdict.OK,
            verdict_after=Verdict.OK,
        )
    ]
    words = {"title": text, "subtitle": text, "region": "europe"}
    with TemporaryDirectory() as name:
        figures.save(figures.catchment_map(dots, [site], **words), Path(name) / "map.pdf")
        figures.save(figures.moves_map(changes, [site], **words), Path(name) / "moves.svg")
        assert_only_shapes((Path(name) / "moves.svg").read_bytes())


@settings(max_examples=2)
@given(st.lists(hostile, min_size=1, max_size=3))
def test_whatever_texts_come_in_what_comes_out_is_harmless_and_stays_in_its_place(texts: list[str]) -> None:
    with TemporaryDirectory() as name:
        run = import_hostile(Path(name), texts)
        said("show", run, "--by", "verdict")
        said("show", run, "--vantage", "atlas:1")
        shown = json.loads(said("show", run, "--json"))
        raw = texts[0].encode("utf-8", "surrogatepass")
        assert harmless_bytes(b" ".join(strings_of(raw))) in {
            entry["text"] for entry in shown["targets"][0]["identities"]
        }
        said("compare", run, run, "--json")
        assert {path.parts[0] for path in map(Path, files_in(Path(name)))} == {
            "hostile.toml", "probes.json", "results", "results.ndjson",
        }  # fmt: skip
        assert all(path.startswith("results/hostile/run/") for path in files_in(Path(name)) if path.count("/"))


def test_results_of_endless_types_are_told_in_a_few_lines(folder: Path, tmp_path: Path) -> None:
    results = [dns_result(1, "hst1"), *(dns_result(number, type=f"kind{number}") for number in range(50))]
    (tmp_path / "r").write_text("".join(json.dumps(result) + "\n" for result in results))
    done = workflow.import_results([tmp_path / "r"], tmp_path / "run", service=str(folder / "hostile.toml"))
    told = [warning for warning in done.warnings if "kept" in warning]
    assert len(told) == 11
    assert told[-1].startswith("40 results of 40 more types")


# Names of files and folders.

NAMES = (
    "\x1b]0;owned\x07", "[red]x", "a\nb", "\u202egnp", "=1+1", "'; DROP TABLE x; --", "$x^2$", "%s{0}", "[a]*?", "-rf",
    "con", "w" * 240,
)  # fmt: skip


def test_files_and_runs_of_any_name_are_imported_shown_and_drawn(folder: Path, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_text(json.dumps(dns_result(1, "hst1")) + "\nbroken\n")
    name = "".join(NAMES[:-1])
    run = tmp_path / "results" / name / name
    said("import", *(tmp_path / name for name in NAMES), *brought(folder), "--out", run)
    assert files_in(run / "raw") == set(NAMES)
    said("runs", "--results", tmp_path / "results")
    rejected = (run / "rejected.ndjson").read_text(encoding="ascii").splitlines()
    assert [json.loads(line)["file"] for line in rejected] == sorted(NAMES)
    before = files_in(tmp_path)
    said("map", run)
    assert files_in(tmp_path) - before == {f"results/{name}/{name}/map.png"}


@pytest.mark.parametrize("what", ["file", "run"])
def test_a_name_that_is_no_text_is_refused_in_one_line(folder: Path, tmp_path: Path, what: str) -> None:
    odd, plain = tmp_path / os.fsdecode(b"\xff\xfe"), tmp_path / "plain"
    (odd if what == "file" else plain).write_text(json.dumps(dns_result(1, "hst1")) + "\n")
    given = (odd, "--out", plain / "run") if what == "file" else (plain, "--out", odd / "run")
    with pytest.raises(CatchmentError, match="not UTF-8") as refused:
        said("import", *given, *brought(folder))
    assert len(terminal.harmless(str(refused.value)).splitlines()) == 1
    assert files_in(tmp_path) == {str((odd if what == "file" else plain).relative_to(tmp_path))}


@pytest.mark.parametrize("key", ["addresses", "neighbours"])
def test_no_text_hides_in_the_zone_of_an_address(folder: Path, tmp_path: Path, key: str) -> None:
    text = (folder / "hostile.toml").read_text(encoding="ascii")
    if key == "addresses":
        text = text.replace(f'"{TARGET}"', '"fe80::1%../\\u001b[31m"')
    else:
        text += 'neighbours = [{ prefix = "fe80::1%\\u001b[31m/128", site = "ber" }]\n'
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(CatchmentError, match=f"key '{key}'"):
        said("services", "show", tmp_path / "s.toml")
