"""Labs that are brought to what another blueprint says, in whatever state they are."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from catchment.errors import PlatformFailed
from catchment.platforms.lab.blueprint import Blueprint, StaticRoute
from catchment.platforms.lab.client import Lab
from tests.busy_machines import once_of
from tests.small_labs import (
    SERVICE,
    SILENCE_S,
    anycast,
    identity,
    is_alive,
    is_silent,
    pings,
    process_of,
    until,
    wire,
    with_bird,
)

pytestmark = pytest.mark.usefixtures("home")

NEW = "203.0.113.9"


def test_a_site_whose_servers_die_still_has_its_route_and_answers_pings(lab: Lab) -> None:
    lab.apply(anycast(dead=["fra"]))
    assert identity(lab, timeout_s=SILENCE_S) is None
    assert len(pings(lab, SERVICE, 3)) == 3
    lab.apply(anycast())
    assert identity(lab) == "fra"


@once_of(5)
def test_addresses_routes_and_delays_follow_the_blueprint(lab: Lab) -> None:
    new = anycast()
    router = new.nodes["as64500"]
    nodes = {**new.nodes, "as64500": replace(router, addresses=(f"{NEW}/32",))}
    wires = tuple(replace(each, delay_ms=5.0) if each.name == "w0" else each for each in new.wires)
    lab.apply(Blueprint(nodes=nodes, wires=wires))
    assert 10 <= min(pings(lab, NEW)) < 100
    assert is_silent(lab, "10.255.0.1")
    lab.apply(anycast())
    assert is_silent(lab, NEW)
    assert 2 <= min(pings(lab, "10.255.0.1")) < 10


def test_what_cannot_be_applied_changes_nothing(lab: Lab) -> None:
    wrong = with_bird(anycast(withdrawn=["fra"]), "ber", "router id 10.255.0.2; protocol bgp {")
    with pytest.raises(PlatformFailed, match=r"BIRD of ber: .*syntax error"):
        lab.apply(wrong)
    more = replace(anycast(), wires=(*anycast().wires, wire("w3", "fra", "ber", 3, 1.0)))
    with pytest.raises(PlatformFailed, match="cannot get or lose wires: end it"):
        lab.apply(more)
    fewer = replace(
        anycast(), nodes={k: v for k, v in anycast().nodes.items() if k != "vp7"}, wires=anycast().wires[1:]
    )
    with pytest.raises(PlatformFailed, match=r"cannot get or lose nodes \(vp7\)"):
        lab.apply(fewer)
    assert identity(lab) == "fra"


def test_a_server_whose_files_are_wrong_changes_nothing_either(lab: Lab) -> None:
    fra, router = anycast().nodes["fra"], anycast().nodes["as64500"]
    assert fra.nsd is not None
    wrong = {"nsd.conf": fra.nsd["nsd.conf"].replace("identity", "identty")}
    nodes = {"fra": replace(fra, nsd=wrong), "as64500": replace(router, addresses=(f"{NEW}/32", *router.addresses))}
    with pytest.raises(PlatformFailed, match=r"NSD of fra: .*identty.*error"):
        lab.apply(replace(anycast(), nodes={**anycast().nodes, **nodes}))
    assert identity(lab) == "fra"
    assert is_silent(lab, NEW)


def test_after_a_step_that_failed_the_old_blueprint_brings_all_back(lab: Lab) -> None:
    router, site = anycast().nodes["as64500"], anycast().nodes["fra"]
    nowhere = StaticRoute(prefix="203.0.113.128/25", via=("10.99.99.99",))
    nodes = {
        "as64500": replace(router, addresses=(f"{NEW}/32",)),
        "fra": replace(site, routes=(nowhere,), addresses=()),
    }
    with pytest.raises(PlatformFailed, match=r"^lab 'anycast': ip: .*invalid gateway"):
        lab.apply(replace(anycast(), nodes={**anycast().nodes, **nodes}))
    assert pings(lab, NEW, 1)  # so far it came
    lab.apply(anycast())
    assert is_silent(lab, NEW)
    assert pings(lab, "10.255.0.1", 1)
    assert identity(lab) == "fra"


def test_a_router_that_does_not_answer_is_told_and_what_it_has_is_not_taken_for_granted(lab: Lab) -> None:
    victim = process_of(lab, "/fra/bird/")
    Path(f"/proc/{victim}/root/run/catchment-lab/fra/bird/bird.ctl").unlink()
    with pytest.raises(PlatformFailed, match=r"BIRD of fra does not answer: end the lab .`catchment lab down anycast`"):
        lab.apply(anycast(withdrawn=["fra"]))
    os.kill(victim, signal.SIGKILL)
    assert until(lambda: not is_alive(victim))
    wrong = with_bird(anycast(), "fra", "router id 10.255.0.1; protocol bgp {")
    with pytest.raises(PlatformFailed, match=r"BIRD of fra: .*syntax error"):  # by a BIRD that is started for this
        lab.apply(wrong)
    lab.apply(anycast(withdrawn=["fra"]))
    lab.settle()
    assert identity(lab) == "ber"
    lab.apply(anycast())
    lab.settle()


def test_a_program_that_was_started_anew_is_named_until_that_is_told(lab: Lab) -> None:
    lab.died()
    for name in ("fra", "ber"):
        victim = process_of(lab, f"/{name}/bird/")
        os.kill(victim, signal.SIGKILL)
        assert until(lambda victim=victim: not is_alive(victim))  # type: ignore[misc]
        if name == "fra":
            assert until(lambda: lab.died() == ["BIRD of fra"])
    lab.apply(anycast())
    lab.settle()
    for _ in range(2):  # to look at a lab uses up no news
        status = lab.status()
        assert (status["died"], status["restarted"]) == ([], ["BIRD of ber"])
    assert lab.died() == ["BIRD of ber"]  # the other one was told before
    assert (lab.died(), lab.status()["restarted"]) == ([], [])


def test_a_program_that_died_is_named_and_applying_starts_it_anew(lab: Lab) -> None:
    victim = process_of(lab, "/fra/bird/")
    os.kill(victim, signal.SIGKILL)
    assert until(lambda: lab.status()["died"] == ["BIRD of fra"])
    with pytest.raises(
        PlatformFailed, match="BIRD of fra ended by itself: `catchment lab change reset --name anycast` starts it anew"
    ):
        lab.bird("fra", "show status")
    lab.apply(anycast())
    lab.settle()
    assert lab.status()["died"] == []
    assert identity(lab) == "fra"


def test_a_session_that_does_not_come_up_is_named(lab: Lab) -> None:
    lab.apply(with_bird(anycast(), "ber", "router id 10.255.0.2; protocol device { }"))
    assert until(lambda: "Established" not in lab.bird("as64500", "show protocols b2"))
    with pytest.raises(PlatformFailed, match=r"after 0.5 s BGP is not established: as64500: b2 \("):
        lab.settle(timeout_s=0.5)
    lab.apply(anycast())
    lab.settle()
