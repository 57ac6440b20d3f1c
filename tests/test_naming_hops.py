"""Names of the last routers before the targets: of the sandbox by itself, of all else from a DNS server on loopback."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment import store, workflow
from catchment.campaign import load_campaign
from catchment.errors import Interrupted, InvalidFile, InvalidRun
from catchment.platforms.connecting import CA_FILE, SERVER, router_names
from catchment.platforms.reverse_names import RESOLVER, resolve_names
from catchment.platforms.sandbox import open_sandbox
from catchment.platforms.sandbox.internet.simulation import Internet
from catchment.platforms.topology import host, make_world
from catchment.services import bundled_service
from catchment.store import Run, Stage
from catchment.workflow import importing, naming_hops
from tests.atlas_results import TARGET, traceroute_result
from tests.dns_server import answering, pointers

NOON = 1_795_262_400.0
CAMPAIGN = """
name = "routes"
platform = "sandbox"
targets = [{ service = "demo-dns" }]
queries = [{ kind = "dns" }, { kind = "traceroute" }]
vantage_points = { count = 60 }
"""
AMSTERDAM, FRANKFURT, NAMELESS = "193.0.0.1", "193.0.0.2", "193.0.0.3"
KNOWN = {AMSTERDAM: ["ae1.cr2.ams3.example."], FRANKFURT: ["fra1.example."]}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming_hops, "resolve_names", partial(resolve_names, timeout_s=0.3))


def run(folder: Path, text: str = CAMPAIGN, *, name: str = "run", **options: Any) -> Run:
    file = folder / "campaign.toml"
    file.write_text(text)
    options = {"environ": {}, "clock": lambda: NOON, **options}
    return Run.open(
        workflow.run_campaign(file, folder / "results", folder / "results" / "routes" / name, **options).run
    )


def stored(measured: Run) -> dict[str, str | None]:
    return store.load_hop_names(measured.path).names


def hops(measured: Run) -> set[str]:
    return {hop for (hop,) in measured.observations.filter("hop IS NOT NULL").select("hop").fetchall()}


def traces(*routers: str) -> list[dict[str, Any]]:
    return [traceroute_result(number, router, 9.0) for number, router in enumerate(routers, start=1)]


def resolve(measured: Run, server: str) -> tuple[str, ...]:
    done = workflow.derive_with_names(measured.path, environ={RESOLVER: server}, clock=lambda: NOON)
    return done.warnings


# --- On the sandbox


def test_a_run_on_the_sandbox_has_the_names_of_its_routers_without_any_dns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object, **__: object) -> dict[str, str | None]:
        raise AssertionError("the DNS was asked")

    monkeypatch.setattr(naming_hops, "resolve_names", asked)
    measured = run(tmp_path)
    assert measured.header.plan is not None
    name = router_names(measured.header.plan.sandbox, measured.header.services)
    assert len(hops(measured)) > 5
    assert stored(measured) == {hop: name(hop) for hop in hops(measured)}
    assert any(stored(measured).values())
    lines = [json.loads(line) for line in (measured.path / "hop_names.ndjson").read_text().splitlines()]
    assert {line["resolved_at"] for line in lines} == {"2026-11-21T12:00:00Z"}
    assert sorted(line["address"] for line in lines) == sorted(hops(measured))


@pytest.mark.parametrize(
    "text",
    [CAMPAIGN + "resolve_names = false\n", CAMPAIGN.replace('{ kind = "traceroute" }', '{ kind = "ping" }')],
    ids=["not asked for", "no routes traced"],
)
def test_without_routes_or_where_the_campaign_says_so_no_names_are_asked_for(tmp_path: Path, text: str) -> None:
    measured = run(tmp_path, text)
    assert not (measured.path / "hop_names.ndjson").exists()
    with pytest.raises(InvalidRun, match="complete already"):
        workflow.resume_run(measured.path, environ={})


def test_whether_names_are_asked_for_is_true_or_false(tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(CAMPAIGN + 'resolve_names = "perhaps"\n')
    with pytest.raises(InvalidFile, match="resolve_names"):
        load_campaign(tmp_path / "campaign.toml")


def test_a_run_that_stopped_while_naming_goes_on(tmp_path: Path) -> None:
    def impatient(text: str, _: float) -> None:
        if text.startswith("asking the DNS"):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="catchment resume"):
        run(tmp_path, progress=impatient)
    path = tmp_path / "results" / "routes" / "run"
    assert store.load_hop_names(path).names == {}
    workflow.resume_run(path, environ={}, clock=lambda: NOON)
    resumed = Run.open(path)
    assert set(stored(resumed)) == hops(resumed)
    assert resumed.accepted is not None
    assert resumed.accepted.stage is Stage.NAMED
    with pytest.raises(InvalidRun, match="complete already"):
        workflow.resume_run(path, environ={})


def test_progress_never_goes_back_while_a_run_is_named(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    run(tmp_path, progress=lambda text, share: told.append((text, share)))
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert any("names of" in text for text, _ in told)


def test_a_campaign_on_ripe_atlas_asks_nobody_about_addresses_that_are_not_public(tmp_path: Path) -> None:
    service = bundled_service("demo-dns")
    internet = Internet(host(make_world(1, vantage_points=300), service))
    folder = tmp_path / "sandbox"
    folder.mkdir()
    with (
        open_sandbox(internet, start=NOON, services=[service], folder=folder, key="the-key") as sandbox,
        answering(pointers({})) as dns_server,
    ):
        measured = run(
            tmp_path,
            CAMPAIGN.replace('"sandbox"', '"atlas"'),
            environ={
                SERVER: sandbox.server,
                CA_FILE: str(sandbox.ca_file),
                "ATLAS_CREATE_KEY": "the-key",
                RESOLVER: dns_server.address,
            },
            clock=sandbox.clock.now,
            sleep=sandbox.clock.advance,
        )
    assert len(hops(measured)) > 5
    assert (dns_server.asked, stored(measured)) == ([], {})
    assert measured.accepted is not None
    assert measured.accepted.stage is Stage.NAMED


# --- Of stored runs, by the DNS


def test_the_names_of_an_imported_run_are_asked_for_once(import_lines: Callable[..., Run]) -> None:
    measured = import_lines(*traces(AMSTERDAM, FRANKFURT, NAMELESS, AMSTERDAM))
    with answering(pointers(KNOWN)) as server:
        assert resolve(measured, server.address) == ()
        assert store.read_hop_names(measured.path) == [
            (AMSTERDAM, "ae1.cr2.ams3.example"), (FRANKFURT, "fra1.example")
        ]  # fmt: skip
        assert stored(measured)[NAMELESS] is None
        assert len(server.asked) == 3
        assert resolve(measured, server.address) == ()
        assert len(server.asked) == 3


def test_new_names_have_the_run_judged_again_and_no_names_do_not(
    import_lines: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Path] = []

    def rebuild(path: Path, *others: Any) -> workflow.Imported:
        judged.append(path)
        return importing.rebuild(path, *others)

    monkeypatch.setattr(naming_hops, "rebuild", rebuild)
    nameless, named = import_lines(*traces(NAMELESS)), import_lines(*traces(AMSTERDAM))
    with answering(pointers(KNOWN)) as server:
        resolve(nameless, server.address)
        assert judged == []
        resolve(named, server.address)
        assert judged == [named.path]


def test_routers_that_are_not_public_are_nobodys_business(import_lines: Callable[..., Run]) -> None:
    measured = import_lines(*traces("10.0.0.1", "100.64.0.1", "203.0.113.9"))
    with answering(pointers({})) as server:
        assert resolve(measured, server.address) == ()
        assert server.asked == []


def test_of_whom_the_dns_could_not_tell_another_try_may(import_lines: Callable[..., Run]) -> None:
    measured = import_lines(*traces(AMSTERDAM, FRANKFURT))
    with answering(pointers({AMSTERDAM: KNOWN[AMSTERDAM]}, otherwise="SERVFAIL")) as server:
        (warning,) = resolve(measured, server.address)
    assert "tells nothing of 1 of 2 routers" in warning
    assert f"`catchment derive {measured.path} --resolve` asks again" in warning
    with answering(pointers(KNOWN)) as server:
        assert resolve(measured, server.address) == ()
        assert server.asked == ["2.0.0.193.in-addr.arpa."]
    assert dict(store.read_hop_names(measured.path)) == {AMSTERDAM: "ae1.cr2.ams3.example", FRANKFURT: "fra1.example"}


def test_a_resolver_that_never_tells_anything_is_given_up(
    import_lines: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming_hops, "_FIRST", 2)
    monkeypatch.setattr(naming_hops, "_BATCH", 3)
    measured = import_lines(*traces(*(f"193.0.0.{host}" for host in range(1, 10))))
    with answering(pointers({}, otherwise="REFUSED")) as server:
        (warning,) = resolve(measured, server.address)
        assert len(set(server.asked)) == 2
    assert "tells nothing of 9 of 9 routers" in warning


def test_a_dead_resolver_is_known_within_one_time_out(import_lines: Callable[..., Run]) -> None:
    measured = import_lines(*traces(*(f"193.0.{host // 200}.{host % 200}" for host in range(600))))
    told: list[str] = []
    with answering(pointers({}, otherwise=None)) as server:
        environ = {RESOLVER: server.address}
        done = workflow.derive_with_names(measured.path, environ=environ, say=told.append)
        # 20 names are asked for side by side, each again while there is time.
        assert len(set(server.asked)) == 20
    assert told == ["asking the DNS for the names of 600 routers"]
    assert any("tells nothing of 600 of 600 routers" in warning for warning in done.warnings)


def test_a_zone_that_is_lame_does_not_make_a_resolver_dead(import_lines: Callable[..., Run]) -> None:
    lame, well = [f"193.0.0.{host}" for host in range(40)], [f"193.0.1.{host}" for host in range(4)]
    measured = import_lines(*traces(*lame, *well))
    with answering(pointers({address: ["a.example."] for address in well}, otherwise="SERVFAIL")) as server:
        (warning,) = resolve(measured, server.address)
    assert dict(store.read_hop_names(measured.path)) == dict.fromkeys(well, "a.example")
    assert "tells nothing of 40 of 44 routers" in warning


@given(total=st.integers(1, 700), first=st.integers(1, 30), batch=st.integers(1, 250))
def test_every_router_is_asked_about_once_and_the_first_batch_is_small(total: int, first: int, batch: int) -> None:
    asked: list[list[str]] = []

    def ask(addresses: Sequence[str], _: object) -> dict[str, str | None]:
        asked.append(list(addresses))
        return dict.fromkeys(addresses)

    addresses = [f"10.0.{number // 256}.{number % 256}" for number in range(total)]
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        for name, size in (("_FIRST", first), ("_BATCH", batch)):
            patched.setattr(naming_hops, name, size)
        lacking = naming_hops._ask_all(Path(folder), addresses, ask, lambda: NOON, lambda *_: None)
    assert lacking == 0
    assert sorted(chain.from_iterable(asked)) == sorted(addresses)
    assert 1 <= len(asked[0]) <= first
    assert all(1 <= len(some) <= batch for some in asked[1:])


@pytest.mark.parametrize("resolver", ["127.0.0.1:9", "nonsense"])
def test_a_resolver_that_is_none_is_a_warning_and_the_run_is_whole(
    import_lines: Callable[..., Run], resolver: str
) -> None:
    measured = import_lines(*traces(AMSTERDAM))
    (warning,) = resolve(measured, resolver)
    assert "routers before the targets" in warning
    assert "\n" not in warning
    assert Run.open(measured.path).observations.aggregate("count(*)").fetchall() == [(1,)]


def test_damaged_lines_of_names_are_told_and_the_others_count(import_lines: Callable[..., Run]) -> None:
    measured = import_lines(*traces(AMSTERDAM, FRANKFURT))
    known = json.dumps({"address": AMSTERDAM, "name": "told.before.example", "resolved_at": "2026-11-21T12:00:00Z"})
    (measured.path / "hop_names.ndjson").write_text(known + "\n{broken\n")
    with answering(pointers(KNOWN)) as server:
        (warning,) = resolve(measured, server.address)
        assert len(server.asked) == 1
    assert warning.startswith("1 lines of hop_names.ndjson are left aside, the first: line 2 is no object")
    assert store.read_hop_names(measured.path) == [(AMSTERDAM, "told.before.example"), (FRANKFURT, "fra1.example")]


def test_a_run_at_which_somebody_works_is_left_alone(import_lines: Callable[..., Run]) -> None:
    measured = import_lines(*traces(AMSTERDAM))
    with store.locked(measured.path), pytest.raises(InvalidRun, match="another process is at work"):
        workflow.derive_with_names(measured.path, environ={})


def test_the_command_derive_asks_for_names_if_told_to(
    import_lines: Callable[..., Run], catchment: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    measured = import_lines(*traces(AMSTERDAM))
    with answering(pointers(KNOWN)) as server:
        plain = catchment("derive", measured.path, "--json", **{RESOLVER: server.address})
        assert (plain.returncode, plain.stderr, server.asked) == (0, "", [])
        done = catchment("derive", measured.path, "--resolve", "--json", **{RESOLVER: server.address})
    assert (done.returncode, done.stderr) == (0, "asking the DNS for the names of 1 routers\n")
    assert json.loads(done.stdout)["targets"][0]["target"] == TARGET
    assert store.read_hop_names(measured.path) == [(AMSTERDAM, "ae1.cr2.ams3.example")]
