"""Measurements of a run are stopped, the account is read; and no key is ever in what a run wrote or said."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from catchment import store, terminal, workflow
from catchment.errors import InvalidRun, PlatformFailed
from catchment.platforms import connecting
from catchment.platforms.sandbox import Sandbox
from catchment.store import Stage
from tests.atlas_server import KEY, Answer, Bench, Request, error, ok, serving
from tests.campaigns import NOON, ON_ATLAS, copied, environment, interrupted, sandbox_in, toward

CAMPAIGN = ON_ATLAS.replace("60", "20")
PERIODIC = CAMPAIGN + "schedule = { interval_s = 900, rounds = 8 }\n"
Catchment = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interrupt a run on RIPE Atlas that waits for its results; who changes the run takes a copy."""
    folder = tmp_path_factory.mktemp("cut")
    with sandbox_in(folder / "sandbox") as sandbox:
        return interrupted(folder, PERIODIC, **toward(sandbox))


def ids(path: Path) -> list[int]:
    accepted = store.read_accepted(path)
    assert accepted is not None
    return [one.id for one in accepted.measurements]


def forget(path: Path, **changes: Any) -> None:
    """Bring a run back to before it knew what came of its first question."""
    accepted = store.read_accepted(path)
    assert accepted is not None
    store.write_accepted(path, replace(accepted, measurements=(), stage=Stage.SCHEDULING, **changes))


def whats(stopped: dict[str, Any]) -> dict[int, str]:
    return {one["id"]: one["what"] for one in stopped["measurements"]}


def shown(layout: Callable[[Any], Any], numbers: dict[str, Any]) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(layout(numbers))
    return out.getvalue()


def test_a_run_is_stopped_and_a_second_time_does_no_harm(tmp_path: Path, sandbox: Sandbox) -> None:
    path = interrupted(tmp_path, PERIODIC, **toward(sandbox))
    sandbox.clock.advance(1000)
    said: list[str] = []
    stopped = workflow.stop_run(path, **toward(sandbox), say=said.append)
    assert len(ids(path)) == 2
    assert whats(stopped) == dict.fromkeys(ids(path), "stopped")
    assert stopped["next"] == f"catchment resume {path}"
    assert said == ["key: ATLAS_CREATE_KEY"]
    workflow.check_stopped(stopped)
    sandbox.clock.advance(1000)
    again = workflow.stop_run(path, **toward(sandbox, key=None))
    assert whats(again) == dict.fromkeys(ids(path), "over")
    assert {one["status"] for one in again["measurements"]} == {"Stopped"}
    text = shown(terminal.show_stopped, stopped) + shown(terminal.show_stopped, again)
    assert "stopped" in text
    assert "was over already (Stopped)" in text
    assert f"To fetch what was measured: catchment resume {path}" in text


def test_what_was_measured_before_it_was_stopped_is_fetched(tmp_path: Path, sandbox: Sandbox) -> None:
    path = interrupted(tmp_path, PERIODIC, **toward(sandbox))
    sandbox.clock.advance(1500)
    workflow.stop_run(path, **toward(sandbox))
    workflow.resume_run(path, **toward(sandbox))
    assert sandbox.clock.now() < NOON + 3600  # of eight rounds, a quarter of an hour each
    counts = store.Run.open(path).metrics["targets"][0]["vantage_points"]
    assert counts["total"] > 0
    assert workflow.stop_run(path, **toward(sandbox))["next"] is None


def test_a_run_is_stopped_while_another_process_is_at_work_on_it(tmp_path: Path, sandbox: Sandbox) -> None:
    path = interrupted(tmp_path, PERIODIC, **toward(sandbox))
    with store.locked(path):
        assert set(whats(workflow.stop_run(path, **toward(sandbox))).values()) == {"stopped"}


def test_measurements_whose_ids_were_lost_are_found_by_tag_and_stopped(tmp_path: Path, sandbox: Sandbox) -> None:
    path = interrupted(tmp_path, PERIODIC, **toward(sandbox))
    lost = ids(path)
    forget(path, unsure={"v4-1": sandbox.clock.now()})
    said: list[str] = []
    before = sandbox.clock.now()
    stopped = workflow.stop_run(path, **toward(sandbox), say=said.append)
    assert whats(stopped) == dict.fromkeys(lost, "stopped")
    assert sandbox.clock.now() - before >= 120  # lists lag behind, so that two may hide where none is seen
    assert any("an answer of 127.0.0.1" in line for line in said)
    assert "the run has not asked for all of its measurements yet" in stopped["notes"][0]
    later = workflow.stop_run(path, **toward(sandbox))
    assert whats(later) == dict.fromkeys(lost, "over")


def test_measurements_that_are_reused_go_on(tmp_path: Path, bench: Bench, cut_short: Path) -> None:
    path = copied(cut_short, tmp_path)
    accepted = store.read_accepted(path)
    assert accepted is not None
    store.write_accepted(
        path, replace(accepted, measurements=tuple(replace(one, reused=True) for one in accepted.measurements))
    )
    with serving(bench.authority, []) as server:
        stopped = workflow.stop_run(path, environ=environment(server.address, bench.ca_file))
        assert server.requests == []
    assert (stopped["measurements"], stopped["next"]) == ([], None)
    assert "nothing to stop" in shown(terminal.show_stopped, stopped)


def test_nothing_is_stopped_that_does_not_carry_the_tag_of_the_run(
    tmp_path: Path, cut_short: Path, sandbox: Sandbox
) -> None:
    interrupted(tmp_path, PERIODIC, name="other", **toward(sandbox))
    path = copied(cut_short, tmp_path)
    forget(path, tag="catchment-0123456789abcdef", unsure={"v4-1": NOON})
    assert workflow.stop_run(path, **toward(sandbox))["measurements"] == []


def test_an_imported_run_has_nothing_to_stop(sample: dict[str, store.Run]) -> None:
    with pytest.raises(InvalidRun, match="was imported, not measured"):
        workflow.stop_run(sample["before"].path, environ={})


def test_a_run_on_the_sandbox_of_its_own_is_stopped_in_its_journal(tmp_path: Path) -> None:
    path = interrupted(tmp_path, PERIODIC.replace("atlas", "sandbox"))
    with store.locked(path), pytest.raises(InvalidRun, match="another process is at work on it"):
        workflow.stop_run(path, environ={}, clock=lambda: NOON + 1000)
    stopped = workflow.stop_run(path, environ={}, clock=lambda: NOON + 1000)
    assert set(whats(stopped).values()) == {"stopped"}
    assert set(whats(workflow.stop_run(path, environ={}, clock=lambda: NOON + 1900)).values()) == {"over"}
    store.journal_file(path).unlink()
    with pytest.raises(InvalidRun, match=r"sandbox\.ndjson is lost"):
        workflow.stop_run(path, environ={}, clock=lambda: NOON + 1000)


ONGOING, STOPPED = ({"status": {"id": number, "name": name}} for number, name in ((2, "Ongoing"), (4, "Stopped")))


def answering(gets: dict[int, Any], deletes: dict[int, Answer]) -> Callable[[Request], Answer]:
    """Return a script: what is said of each measurement, in turn if it is a list, and when it is to be stopped."""

    def answer(request: Request) -> Answer:
        match = re.fullmatch(r"/api/v2/measurements/(\d+)/", request.path)
        assert match is not None
        if request.method == "DELETE":
            assert request.headers["authorization"] == f"Key {KEY}"
            return deletes[int(match[1])]
        found = gets[int(match[1])]
        said = (found.pop(0) if len(found) > 1 else found[0]) if isinstance(found, list) else found
        return said if isinstance(said, Answer) else ok(said)

    return answer


def test_each_measurement_has_a_fate_of_its_own(tmp_path: Path, bench: Bench, cut_short: Path) -> None:
    path = copied(cut_short, tmp_path)
    accepted = store.read_accepted(path)
    assert accepted is not None
    first = accepted.measurements[0]
    store.write_accepted(path, replace(accepted, measurements=tuple(replace(first, id=n) for n in range(1, 7))))
    missing = error(404, "Not found.")
    script = answering(
        {1: ONGOING, 2: STOPPED, 3: missing, 4: ONGOING, 5: [ONGOING, STOPPED], 6: missing},
        {
            1: Answer(status=204),
            3: missing,
            4: error(403, f"The key {KEY} may not."),
            5: error(400, "Stopped already."),
            6: Answer(status=204),
        },
    )
    with serving(bench.authority, script) as server:
        stopped = workflow.stop_run(path, environ=environment(server.address, bench.ca_file))
    assert whats(stopped) == {1: "stopped", 2: "over", 3: "gone", 4: "not stopped", 5: "over", 6: "stopped"}
    text = shown(terminal.show_stopped, stopped)
    assert "is not there any more" in text
    assert "could not be stopped" in text
    with pytest.raises(PlatformFailed, match="1 of 6 measurements are not stopped: ") as failure:
        workflow.check_stopped(stopped)
    assert "the key of ATLAS_CREATE_KEY must exist, be valid today and have the permission 'Stop a" in str(
        failure.value
    )
    assert f"`catchment stop {path}` tries again" in str(failure.value)
    assert KEY not in str(stopped)


def test_without_a_key_it_is_said_which_one_is_needed(tmp_path: Path, sandbox: Sandbox) -> None:
    path = interrupted(tmp_path, PERIODIC, **toward(sandbox))
    with pytest.raises(PlatformFailed, match="set ATLAS_CREATE_KEY to one with the permission 'Stop a measurement'"):
        workflow.check_stopped(workflow.stop_run(path, **toward(sandbox, key=None)))


def test_the_account_is_read_with_the_key_that_may_fetch(sandbox: Sandbox, tmp_path: Path) -> None:
    interrupted(tmp_path, PERIODIC, **toward(sandbox))
    sandbox.clock.advance(3600)
    options = toward(sandbox, key="a-key-that-creates")
    options["environ"]["ATLAS_FETCH_KEY"] = KEY
    said: list[str] = []
    account = workflow.read_account(**options, say=said.append)
    assert said == ["key: ATLAS_FETCH_KEY"]
    spent = account["past_day"]["credits"]
    assert account["balance"] == 10_000_000 - spent
    assert 0 < account["past_day"]["results"] < spent
    assert account["credits_per_day"] == 1_000_000
    assert account["runs_out_in_s"] > 0
    assert account["runs_out_at"] > "2026"
    text = shown(terminal.show_account, account)
    assert f"{10_000_000 - spent:,}" in text
    assert "run out in about" in text


def test_the_key_that_is_given_goes_first(sandbox: Sandbox) -> None:
    said: list[str] = []
    account = workflow.read_account(**toward(sandbox, key="another"), key=KEY, say=said.append)
    assert (account["balance"], said) == (10_000_000, ["key: --key"])
    with pytest.raises(
        PlatformFailed, match="the key of --key must exist, be valid today and have the permission 'Get"
    ):
        workflow.read_account(**toward(sandbox), key="another")


HOSTILE: tuple[Any, ...] = (None, "a lot", "\x1b[31m", "9" * 5000, [], {}, True, -1, 10**400, 1e308, 1.5, "2026-11-21")


@pytest.mark.parametrize("value", HOSTILE, ids=[str(value)[:12] for value in HOSTILE])
def test_whatever_stands_in_the_account_is_shown_harmlessly(bench: Bench, value: Any) -> None:
    names = ["current_balance", "max_daily_credits", "estimated_daily_income", "estimated_daily_expenditure"]
    names += ["calculation_time", "estimated_runout_seconds", "past_day_measurement_results", "past_day_credits_spent"]
    with serving(bench.authority, [ok(dict.fromkeys(names, value))]) as server:
        account = workflow.read_account(environ=environment(server.address, bench.ca_file))
    assert account["balance"] == (value if value in (-1, 1.5) else None)
    text = shown(terminal.show_account, account)
    assert "\x1b" not in text
    assert len(text) < 1500
    json.dumps(account, allow_nan=False)


@pytest.mark.parametrize("body", [{}, {"current_balance": float("nan")}])
def test_an_account_without_numbers_has_none(bench: Bench, body: Any) -> None:
    with serving(bench.authority, [ok(body)]) as server:
        account = workflow.read_account(environ=environment(server.address, bench.ca_file))
    assert account["balance"] is None
    assert "Balance" in shown(terminal.show_account, account)


def test_what_is_no_account_is_said_so(bench: Bench) -> None:
    with serving(bench.authority, [ok([])]) as server, pytest.raises(PlatformFailed, match="the answer is no account"):
        workflow.read_account(environ=environment(server.address, bench.ca_file))


def test_another_server_is_shown_no_key_of_other_tools(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / ".atlas").mkdir()
    (tmp_path / ".atlas" / "auth").write_text(KEY)
    environ = environment(bench_server := "127.0.0.1:1", bench.ca_file, key=None) | {"HOME": str(tmp_path)}
    with pytest.raises(PlatformFailed, match="there is no RIPE Atlas key for reading /credits/: set ATLAS_FETCH_KEY"):
        workflow.read_account(environ=environ)
    assert bench_server in environ.values()


def test_a_broken_file_is_said_where_a_key_is_missed(tmp_path: Path) -> None:
    (tmp_path / ".atlas").mkdir()
    (tmp_path / ".atlas" / "auth").write_text("two words")
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    said: list[str] = []
    with pytest.raises(PlatformFailed, match=r"there is no API key, .* 'Schedule a new measurement'"):
        workflow.run_campaign(
            tmp_path / "campaign.toml", tmp_path / "results", environ={"HOME": str(tmp_path)}, say=said.append
        )
    assert said == [
        "warning: ~/.atlas/auth: passed over, because that is no key: copy it anew from https://atlas.ripe.net/keys/"
    ]


# The key is nowhere


def texts(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield everything that stands in the files of a folder, unpacked."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        yield file, content.decode("latin-1")
        if file.suffix == ".gz":
            yield file, gzip.decompress(content).decode("latin-1")
        if file.suffix == ".parquet":
            with duckdb.connect() as con:
                yield file, str(con.execute("SELECT * FROM read_parquet(?)", [str(file)]).fetchall())


def leaks(text: str) -> list[str]:
    """Return the parts of the key that stand in a text: the key, its halves, its groups of eight and more."""
    parts = [KEY, KEY[:18], KEY[18:], *(group for group in KEY.split("-") if len(group) >= 8)]
    return [part for part in parts if part.lower() in text.lower()]


def check_no_leak(folder: Path, *outputs: subprocess.CompletedProcess[str]) -> None:
    seen = [file for file, text in texts(folder) if leaks(text)]
    assert seen == []
    for done in outputs:
        assert leaks(done.stdout + done.stderr) == []


def test_the_search_for_the_key_finds_it(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.ndjson.gz", "wt") as packed:
        packed.write(KEY[:18])
    with duckdb.connect() as con:
        con.execute(f"COPY (SELECT '{KEY.upper()}' AS x) TO '{tmp_path}/b.parquet'")
    found = {file.name for file, text in texts(tmp_path) if leaks(text)}
    assert found == {"a.ndjson.gz", "b.parquet"}


def test_the_key_is_in_nothing_that_commands_write_or_say(
    catchment: Catchment, tmp_path: Path, sandbox: Sandbox
) -> None:
    path = interrupted(tmp_path, PERIODIC, **toward(sandbox))
    environ = environment(sandbox.server, sandbox.ca_file)
    given = catchment("credits", "--key", KEY, "--json", "--verbose", **environ | {"ATLAS_CREATE_KEY": "another-key"})
    assert json.loads(given.stdout)["balance"] == 10_000_000
    assert "key: --key" in given.stderr
    assert re.search(r"GET /api/v2/credits/ 200 \d+ B \d+ ms", given.stderr)
    stopped = catchment("stop", path, "--verbose", **environ)
    assert stopped.returncode == 0
    assert len(re.findall(r"DELETE /api/v2/measurements/\d+/ 204 0 B \d+ ms", stopped.stderr)) == 2
    wrong = catchment("stop", path, "--key", KEY[:-1] + "\n", "--verbose", **environ)
    check_no_leak(path, given, stopped, wrong)
    assert all("Traceback" not in done.stderr for done in (given, stopped, wrong))


def echoing(request: Request) -> Answer:
    """Say back whatever came, in all ways that a server has."""
    key = request.headers.get("authorization", f"Key {KEY}")
    detail = {"detail": [key, key[:22], key.upper(), key.replace("-", "%2D")], "source": {"parameter": key}}
    if "stat" in request.path:
        return error(503, key, detail)
    if request.method == "GET" and re.search(r"/measurements/\d+/$", request.path):
        return ok({"status": {"id": 2, "name": key[:14]}, "warnings": [detail]})
    headers = {"Location": f"https://elsewhere.example/{key}", "Retry-After": "0"}
    return Answer(status=403, body={"error": {"detail": key, "errors": [detail]}}, headers=headers)


def test_a_server_that_says_the_key_again_is_not_quoted(
    catchment: Catchment, tmp_path: Path, bench: Bench, cut_short: Path
) -> None:
    path = copied(cut_short, tmp_path)
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    with serving(bench.authority, echoing) as server:
        environ = environment(server.address, bench.ca_file)
        account = catchment("credits", "--verbose", **environ)
        stopped = catchment("stop", path, "--verbose", "--json", **environ)
        measured = catchment("run", "campaign.toml", "--out", "results/small/other", **environ)
        assert any(request.headers.get("authorization") == f"Key {KEY}" for request in server.requests)
    assert (account.returncode, stopped.returncode, measured.returncode) == (1, 1, 1)
    assert "(key)" in account.stderr
    assert {one["what"] for one in json.loads(stopped.stdout)["measurements"]} == {"not stopped"}
    check_no_leak(tmp_path / "results", account, stopped, measured)


def test_the_key_is_in_nothing_that_a_run_writes_or_says(catchment: Catchment, tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    with sandbox_in(tmp_path / "sandbox", speed=2000) as sandbox:
        environ = environment(sandbox.server, sandbox.ca_file) | {connecting.SPEED: "2000"}
        out = tmp_path / "results" / "small" / "run"
        measured = catchment("run", "campaign.toml", "--out", out, "--verbose", **environ)
        assert measured.returncode == 0, measured.stderr
        refused = catchment("run", "campaign.toml", "--key", f"no-{KEY}", "--verbose", **environ)
    assert "POST /api/v2/measurements/ 201" in measured.stderr
    assert "key: ATLAS_CREATE_KEY" in measured.stderr
    assert "the key of --key must exist, be valid today" in refused.stderr
    assert len(list(texts(out))) > 10
    check_no_leak(tmp_path / "results", measured, refused)
