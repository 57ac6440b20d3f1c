"""Which site this host reaches, on one screen: with packets that nobody sends, and with real ones in a namespace."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import dns.rrset
import pytest
from rich.console import Console

from catchment import terminal, workflow
from catchment.errors import CatchmentError, PlatformFailed, UnknownName
from catchment.metrics import Numbers
from catchment.model import Kind
from catchment.platforms.local.places import HostPlace, find_place
from catchment.platforms.local.rounds import measure_round
from catchment.platforms.reverse_names import RESOLVER
from catchment.store import Run
from catchment.workflow.here import looking
from catchment.workflow.here.looking import Look, has_route, look
from catchment.workflow.reaching import Means
from catchment.workflow.throwaway import throwaway_folder
from tests.conftest import ROOT
from tests.dns_server import answering, pointers
from tests.pretended_packets import FRANKFURT, PretendedPackets

BERLIN = HostPlace(name="Berlin, DE", latitude=52.52, longitude=13.405, country="DE")
V4, V6 = "198.51.100.53", "2001:db8:53::53"


def seen(packets: PretendedPackets | None = None, *, routed: str = "both", **wish: Any) -> Numbers:
    """Look with packets that nobody sends, by default from Berlin over IPv4, and ask the DNS nothing."""
    packets = packets or PretendedPackets()
    environ = wish.pop("environ", {})
    means = Means(environ=environ, clock=packets.clock.now, sleep=packets.clock.sleep)
    usual: dict[str, Any] = {"what": "demo-dns", "place": BERLIN, "af": 4, "with_names": False}
    is_routed: dict[str, Callable[[str], bool]] = {
        "both": lambda _: True,
        "IPv4": lambda address: ":" not in address,
        "none": lambda _: False,
    }
    return look(Look(**{**usual, **wish}), means, measure=packets, is_routed=is_routed[routed])


def only(found: Numbers) -> Numbers:
    (target,) = found["targets"]
    return dict(target)


def screen(found: Numbers, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(terminal.show_here(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def by_turns(*identities: str | None) -> PretendedPackets:
    return PretendedPackets(identify=lambda _, number: identities[number % len(identities)])


@cache
def usual() -> tuple[Numbers, PretendedPackets]:
    """Look at both families as usual, once for many tests."""
    packets = PretendedPackets()
    return seen(packets, af=None, rate_per_s=3.0), packets


def test_the_site_is_told_with_the_rule_that_names_it() -> None:
    target = usual()[0]["targets"][0]
    assert target["site"]["site"] == "fra"
    assert (target["site"]["town"], target["site"]["country"]) == ("Frankfurt am Main", "DE")
    assert (target["verdict"], target["site_rule"], target["confidence"]) == ("ok", "published-identity", "high")
    assert target["identity"] == FRANKFURT
    assert target["rtt_ms"] == {"min": 12.0, "median": 12.0, "ping_min": 11.5}


def test_the_nearest_site_costs_nothing_more() -> None:
    target = usual()[0]["targets"][0]
    assert target["is_nearest"]
    assert target["site"]["distance_km"] == pytest.approx(424, abs=2)  # Berlin to Frankfurt, as maps say
    assert target["geographic_inflation_ms"] == 0
    # 12 ms - 1.5 * 424 km / 98.616 km per ms
    assert target["latency_inflation_ms"] == pytest.approx(12 - 1.5 * 424 / 98.616, abs=0.05)


def test_light_tells_which_sites_are_possible() -> None:
    light = usual()[0]["targets"][0]["light"]
    # 12 ms * 102.1 km per ms + 100 km. As maps say, from Berlin: Frankfurt 424 km, Warsaw 517, Amsterdam 577,
    # Stockholm 811, London 932; the next one is in another continent.
    assert light["reach_km"] == pytest.approx(1325.2)
    assert light["sites"] == ["fra", "waw", "ams", "arn", "lhr"]
    assert (light["around"], light["allows"], light["of"]) == ("here", True, 14)


def test_both_families_are_asked_where_both_are_there() -> None:
    found, _ = usual()
    assert [(target["af"], target["target"]) for target in found["targets"]] == [(4, V4), (6, V6)]
    assert found["remarks"] == []
    text = screen(found)
    assert "demo-dns at 198.51.100.53 (IPv4)" in text
    assert "demo-dns at 2001:db8:53::53 (IPv6)" in text


def test_every_query_has_a_port_of_its_own() -> None:
    found, packets = usual()
    assert [one["flows"]["ports"] for one in found["targets"]] == [8, 8]
    assert [one["flows"]["answers"] for one in found["targets"]] == [8, 8]
    assert sum(kind is Kind.DNS for kind, *_ in packets.sent) == 2 * (8 + 1)  # and id.server once


def test_half_of_the_queries_leave_before_all_else_and_half_after() -> None:
    _, packets = usual()
    others = [at for at, (kind, *_) in enumerate(packets.sent) if kind is not Kind.DNS]
    assert (others[0], len(packets.sent) - 1 - others[-1]) == (8 + 1, 8)
    assert len(others) == 4
    assert packets.sent[0][1:2] + packets.sent[1][1:2] == (V4, V6)  # the two take turns


def test_the_pace_that_is_wished_is_kept() -> None:
    assert usual()[1].rates == [3.0]


def test_the_numbers_are_json() -> None:
    assert json.loads(json.dumps(usual()[0]))["constants"]["impossible_km_per_ms"] == 102.1


def test_a_farther_site_costs_the_difference() -> None:
    found = seen(PretendedPackets(identify=lambda *_: "iad1.demo-dns.example", rtt_ms=95.0, ping_ms=94.0))
    target = only(found)
    assert target["site"]["site"] == "iad"
    assert (target["is_nearest"], target["nearest"]["site"]) == (False, "fra")
    far_km = target["site"]["distance_km"]
    assert far_km == pytest.approx(6720, abs=40)  # Berlin to Ashburn
    assert target["geographic_inflation_ms"] == pytest.approx((far_km - 424) / 98.616, abs=0.1)
    assert "Frankfurt am Main, DE (fra), at 424 km" in screen(found)


def test_an_answer_that_is_too_fast_is_not_believed() -> None:
    target = only(seen(PretendedPackets(identify=lambda *_: "syd1.demo-dns.example", rtt_ms=3.0, ping_ms=2.0)))
    assert target["verdict"] == "impossible-rtt"
    assert target["light"]["allows"] is False
    assert target["geographic_inflation_ms"] is None


def test_without_a_place_no_distance_is_claimed_but_what_light_allows_is_told() -> None:
    found = seen(PretendedPackets(rtt_ms=1.0), place=None)
    target = only(found)
    assert target["site"]["site"] == "fra"
    assert target["site"]["distance_km"] is None
    assert (target["nearest"], target["is_nearest"], target["geographic_inflation_ms"]) == (None, None, None)
    # 1 ms * 102.1 + 100 km: this host is within 202 km of Frankfurt, so whatever is farther than 404 km from there is
    # farther from here as well. Amsterdam is 364 km from Frankfurt, London 638.
    assert target["light"]["reach_km"] == pytest.approx(202.1)
    assert (target["light"]["around"], target["light"]["sites"]) == ("fra", ["fra", "ams"])
    text = screen(found)
    assert "nobody said where (--place)" in text
    assert "no farther from fra; of the other sites 1 may be nearer" in " ".join(text.split())
    assert "Distance" not in text


def test_a_site_that_is_closed_is_not_among_those_that_may_be_nearer() -> None:
    found = deepcopy(usual()[0])
    for target in found["targets"]:
        target["light"] |= {"around": "old", "sites": []}
    text = " ".join(screen(found).split())
    assert "no farther from old; no other site may be nearer" in text


def test_an_ipv4_address_that_is_written_as_one_of_ipv6_is_ipv4() -> None:
    target = only(seen(what=f"::ffff:{V4}", af=None))
    assert (target["target"], target["af"], target["service"]) == (V4, 4, "demo-dns")
    with pytest.raises(UnknownName, match=rf"{V4} is no IPv6 address: leave out -6"):
        seen(what=f"::ffff:{V4}", af=6)


def test_folders_that_a_killed_look_left_behind_are_gone_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    names = {
        "stale": f"catchment-throwaway-{gone.stdout.strip()}-a",
        "running": f"catchment-throwaway-{os.getpid()}-b",
        "young": f"catchment-throwaway-{gone.stdout.strip()}-c",
        "foreign": "catchment-throwaways",
    }
    for name in names.values():
        (tmp_path / name / "here").mkdir(parents=True)
        if name != names["young"]:
            os.utime(tmp_path / name, (0, 0))
    with throwaway_folder() as folder:
        assert folder.parent == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == set(names.values()) - {names["stale"]}


def test_servers_that_take_turns_are_balanced_by_flow() -> None:
    packets = by_turns(FRANKFURT, "fra2.demo-dns.example")
    found = seen(packets)
    turns = only(found)["flows"]
    assert (turns["sites_differ"], turns["servers_differ"]) == ("one", "by-flow")
    assert "one site, 2 servers" in screen(found)
    assert sum(kind is Kind.DNS for kind, *_ in packets.sent) == 8 + 1  # what is clear is not asked again


def test_how_answers_differ_is_not_known_where_there_are_none() -> None:
    flows = only(seen(by_turns(None)))["flows"]
    assert (flows["queries"], flows["sites"], flows["servers"]) == (8, {}, {})
    assert (flows["sites_differ"], flows["servers_differ"]) == (None, None)


# Five queries before all else, of them id.server; four after it; and one more.
TWO_BLOCKS = [FRANKFURT] * 5 + ["ams1.demo-dns.example"] * 4


@pytest.mark.parametrize(("again", "told"), [(FRANKFURT, "by-flow"), (None, "unclear")])
def test_of_two_blocks_the_first_flow_is_asked_again(again: str | None, told: str) -> None:
    packets = PretendedPackets(identify=lambda _, number: [*TWO_BLOCKS, again][number])
    flows = only(seen(packets))["flows"]
    assert (flows["sites_differ"], flows["servers_differ"]) == (told, told)
    assert (flows["queries"], flows["ports"], flows["query"]) == (9, 8, "hostname.bind")
    assert [kind for kind, *_ in packets.sent[-5:]] == [Kind.DNS] * 5


def test_a_change_while_we_look_is_told_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "results" / "here" / "one"
    later = PretendedPackets(identify=lambda _, number: [*TWO_BLOCKS, "ams1.demo-dns.example"][number])
    flows = only(seen(later, out=out))["flows"]
    assert (flows["sites_differ"], flows["servers_differ"]) == ("over-time", "over-time")
    run = Run.open(out)
    assert run.accepted is not None
    assert sorted(one.results or 0 for one in run.accepted.measurements) == [1, 1, 1, 9]
    before = run.assignments.fetchall()
    workflow.derive(out)
    assert Run.open(out).assignments.fetchall() == before


def test_sites_that_take_turns_are_said_to() -> None:
    found = seen(by_turns(FRANKFURT, FRANKFURT, FRANKFURT, "ams1.demo-dns.example"))
    flows = only(found)["flows"]
    assert set(flows["sites"]) == {"fra", "ams"}
    assert flows["sites_differ"] == "by-flow"
    assert "2 sites (fra " in screen(found)


def test_a_family_without_a_route_is_left_out_and_said() -> None:
    found = seen(af=None, routed="IPv4")
    assert [target["af"] for target in found["targets"]] == [4]
    assert found["remarks"] == [f"no IPv6 route from this host to {V6}"]


def test_an_address_of_nobody_tells_its_identity_and_no_site(tmp_path: Path) -> None:
    found = seen(by_turns("a1", "a2"), what="2001:db8::77", af=6, out=tmp_path / "results" / "here" / "one")
    target = only(found)
    assert target["service"] is None
    assert (target["verdict"], target["site"], target["nearest"]) == ("unknown-identity", None, None)
    assert target["flows"]["servers"] == {"a1": 4, "a2": 4}
    assert target["rtt_ms"]["min"] == 12.0
    assert target["path"]["reached"]
    text = screen(found)
    assert "no service at 2001:db8::77 (IPv6)" in text
    assert "came from within 1,325 km" in text
    workflow.derive(tmp_path / "results" / "here" / "one")


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"what": "k-rot"}, "there is no service 'k-rot': did you mean 'k-root'"),
        ({"what": "dns.example.org"}, "there is no service 'dns.example.org': that is no address either"),
        ({"what": "999.1.1.1"}, "there is no service '999.1.1.1': that is no address either"),
        ({"what": "192.0.2.0/24"}, "192.0.2.0/24 is a prefix: name one address in it"),
        ({"what": "2001:db8::7/32"}, "2001:db8::/32 is a prefix: name one address in it"),
        ({"what": "folder/service.toml"}, "folder/service.toml: No such file or directory"),
        ({"what": "224.0.0.1"}, "224.0.0.1 is the address of no server"),
        ({"what": "fe80::1%eth0", "af": None}, "is the address of no server"),
        ({"what": "192.0.2.1", "af": 6}, "192.0.2.1 is no IPv6 address: leave out -6"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(wish: dict[str, Any], error: str) -> None:
    with pytest.raises(CatchmentError) as raised:
        seen(**wish)
    assert error in str(raised.value)
    assert len(str(raised.value)) < 150  # and no list of all services


def test_without_any_route_nothing_can_be_sent(tmp_path: Path) -> None:
    with pytest.raises(PlatformFailed, match=rf"^no IPv4 route from this host to {V4}: nothing could be sent"):
        seen(routed="none", out=tmp_path / "results" / "here" / "one")
    assert not (tmp_path / "results").exists()


def test_where_no_packet_leaves_nothing_is_kept(tmp_path: Path) -> None:
    packets = PretendedPackets(error={"socket": "Operation not permitted"})
    with pytest.raises(PlatformFailed, match=r"^nothing could be sent: Operation not permitted: connect this host"):
        seen(packets, out=tmp_path / "results" / "here" / "one")
    assert not (tmp_path / "results").exists()


def test_silence_is_an_answer_too() -> None:
    found = seen(PretendedPackets(identify=lambda *_: None, ping_ms=None, is_traced=False))
    target = only(found)
    assert target["verdict"] == "unreachable"
    assert (target["light"], target["site"]) == (None, None)
    text = " ".join(screen(found).split())
    assert "unreachable" in text
    assert "Nothing came back" in text
    assert "no answer to 8 queries for hostname.bind from 8 source ports" in text
    assert "none with an identity" not in text


def test_who_could_not_ping_does_not_call_unreachable_what_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "missing_privileges", lambda _: "no pings: have it granted")
    packets = PretendedPackets(
        identify=lambda *_: None, ping_error="socket failed: Operation not permitted", is_traced=False
    )
    target = only(seen(packets))
    assert (target["verdict"], target["rule"]) == ("timeout", "dns-and-traceroute-silent")
    assert "1 traceroute" in target["explanation"][1]


def refused(target: Numbers) -> str:
    return str(target["explanation"][1])


def test_a_server_that_refuses_is_said_to_and_not_filtered() -> None:
    text = f"Connection refused (ICMP type 3, code 3, from {V4})"
    found = seen(PretendedPackets(identify=lambda *_: None, dns_error={"err": text}))
    target = only(found)
    assert target["verdict"] == "dns-dead"
    assert f"{V4} itself refuses DNS: no server listens there." in refused(target)
    assert "filtered" not in refused(target)
    assert target["refusals"] == [
        {"reason": "port", "by": V4, "hop": 4, "queries": 9, "traceroutes": 0}
    ]  # id.server is asked once besides
    assert "itself refuses DNS: no server listens there." in " ".join(screen(found).split())


def test_a_router_without_a_route_is_named_and_marked() -> None:
    gateway = "10.0.0.1"
    packets = PretendedPackets(
        identify=lambda *_: None,
        dns_error={"err": f"Network is unreachable (ICMP type 3, code 0, from {gateway})"},
        ping_ms=None,
        refusing_hop={"from": gateway, "rtt": 3.0, "ttl": 64, "size": 76, "err": "N"},
    )
    found = seen(packets)
    target = only(found)
    assert (target["verdict"], target["path"]["hops"][0]["error"]) == ("unreachable", "!N")
    assert f"{gateway}, the first router, has no route to it." in refused(target)
    assert "all 9 DNS queries and the only traceroute" in refused(target)
    text = " ".join(screen(found).split())
    assert "Nothing came back" not in text
    assert "1 10.0.0.1 3.00 !N" in text


def test_a_router_that_refuses_only_now_and_then_may_be_nearer_than_it_seems() -> None:
    found = deepcopy(usual()[0])
    hops = found["targets"][0]["path"]["hops"]
    hops[0] |= {"address": None}
    assert "may be nearer" not in " ".join(screen(found).split())
    hops[1] |= {"error": "!N"}
    assert "may be nearer: routers refuse only so many packets a second" in " ".join(screen(found).split())


def test_what_was_lost_beside_answers_is_on_the_screen() -> None:
    text = " ".join(screen(seen(by_turns(FRANKFURT, None))).split())
    assert "Lost 4 of 9 DNS results timed out (“timeout: 2000”)" in text


def test_a_host_may_have_a_name_of_its_own() -> None:
    found = seen(name="Attic.1")
    assert found["vantage"] == "local:attic.1"
    assert only(found)["verdict"] == "ok"


def test_dns_that_is_dead_is_told_from_a_host_that_is() -> None:
    assert only(seen(PretendedPackets(identify=lambda *_: None)))["verdict"] == "dns-dead"


def test_a_look_that_is_kept_is_a_run_like_any_other(tmp_path: Path) -> None:
    out = tmp_path / "results" / "here" / "one"
    with answering(pointers({})) as server:
        found = seen(what=V4, out=out, environ={RESOLVER: server.address})
    assert server.asked == []  # names were not wanted
    assert found["run"] == str(out)
    assert only(found)["service"] == "demo-dns"  # whose address it is
    run = Run.open(out)
    assert [entry["target"] for entry in workflow.show(run)["targets"]] == [V4]
    before = run.assignments.fetchall()
    workflow.derive(out)
    assert Run.open(out).assignments.fetchall() == before
    assert workflow.explain_vantage(run, found["vantage"])["targets"][0]["explanation"] == only(found)["explanation"]
    with pytest.raises(CatchmentError, match="exists already"):
        seen(out=out)
    assert Run.open(out).assignments.fetchall() == before


def test_the_routers_on_the_way_have_their_names_and_speak_for_the_site() -> None:
    names = pointers({"193.0.0.1": ["ae1.ber1.example.net."], "193.0.0.2": ["ae1.fra1.example.net."]})
    packets = PretendedPackets(hops=("10.0.0.1", "193.0.0.1", "193.0.0.2"))
    with answering(names) as server:
        found = seen(packets, with_names=True, environ={RESOLVER: server.address})
    asked = {name for name in server.asked if name.endswith("arpa.")}
    assert asked == {"1.0.0.193.in-addr.arpa.", "2.0.0.193.in-addr.arpa."}
    hops = only(found)["path"]["hops"]
    assert [hop["name"] for hop in hops] == [None, "ae1.ber1.example.net", "ae1.fra1.example.net", None]
    assert any("holds the place of fra" in sentence for sentence in only(found)["explanation"])
    assert "ae1.ber1.example.net" in screen(found)


def test_a_resolver_that_cannot_be_asked_is_a_remark() -> None:
    (remark,) = seen(with_names=True, environ={RESOLVER: "nonsense:"})["remarks"]
    assert remark.startswith("the routers on the way stay without names: CATCHMENT_RESOLVER='nonsense:' is no resolver")


def test_who_may_not_ping_still_traces_by_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "missing_privileges", lambda _: "no pings: have it granted")
    told: list[str] = []
    asked: list[Any] = []

    def measure(vantages: Any, measurements: Any, queries: Any, **_: Any) -> Any:
        asked.extend(queries.values())
        raise PlatformFailed("enough")

    with pytest.raises(PlatformFailed, match="enough"):
        look(Look(what="demo-dns", af=4), Means(environ={}, say=told.append), measure=measure, is_routed=lambda _: True)
    assert told == ["no pings: have it granted"]
    assert [query.protocol for query in asked if query.kind is Kind.TRACEROUTE] == ["UDP"]


def test_hostile_texts_do_no_harm_on_the_screen() -> None:
    evil = "\x1b[2J[red]\u202eevil\n" + "x" * 150
    found = deepcopy(usual()[0])
    target = found["targets"][0]
    target |= {"service": None, "identity": evil}
    target["flows"] |= {"servers": {evil: 4, "b\x07": 4}, "servers_differ": "by-flow"}
    target["path"]["hops"][0] |= {"name": evil, "as_name": evil, "place": evil}
    text = screen(found)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[red]" in text  # as it stands, and not as markup


def test_loopback_has_a_route_and_a_book_has_none() -> None:
    assert has_route("127.0.0.1")
    assert not has_route("255.255.255.255")  # needs a permission that nobody asked for


def identify(name: str) -> Callable[[dns.message.Message], dns.message.Message]:
    """Return a respond of a server of that name."""

    def respond(query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.answer.append(dns.rrset.from_text(query.question[0].name, 0, "CH", "TXT", f'"{name}"'))
        if query.edns >= 0:
            reply.use_edns(0, options=[dns.edns.NSIDOption(name.encode())])
        return reply

    return respond


@pytest.mark.xdist_group("packets")
def test_real_packets_reach_a_server_on_loopback() -> None:
    with answering(identify("lo1")) as server:
        found = look(
            Look(what="127.0.0.1", rate_per_s=100.0, with_names=False),
            Means(environ={}),
            measure=partial(measure_round, port=server.port),
        )
    target = only(found)
    assert sorted(set(server.asked)) == ["hostname.bind.", "id.server."]
    assert target["flows"]["servers"] == {"lo1": 8}
    assert target["flows"]["ports"] == 8
    assert {(one["text"], one["source"]) for one in target["identities"]} >= {("lo1", "hostname.bind"), ("lo1", "nsid")}
    assert 0 < target["rtt_ms"]["min"] < 1000


_IN_A_NAMESPACE = """
import subprocess, sys, threading, socket
import dns.message
from catchment.cli import main
from tests.test_here import identify

for words in ("link set lo up", "addr add 198.51.100.53/32 dev lo", "addr add 2001:db8:53::53/128 dev lo nodad"):
    subprocess.run(["ip", *words.split()], check=True)

def serve(listener, respond):
    while True:
        wire, sender = listener.recvfrom(4096)
        listener.sendto(respond(dns.message.from_wire(wire)).to_wire(), sender)

for family, address, name in (
    (socket.AF_INET, "198.51.100.53", "fra1.demo-dns.example"),
    (socket.AF_INET6, "2001:db8:53::53", "fra2.demo-dns.example"),
):
    listener = socket.socket(family, socket.SOCK_DGRAM)
    listener.bind((address, 53))
    threading.Thread(target=serve, args=(listener, identify(name)), daemon=True).start()
sys.argv = ["catchment", *sys.argv[1:]]
main()
"""


def in_namespace(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a network namespace of its own, where demo-dns has its addresses on the loopback."""
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
    able = shutil.which("unshare") is not None and shutil.which("ip") is not None
    if not able or subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:
        if os.environ.get("CI"):
            pytest.fail("CI must be able to make network namespaces")
        pytest.skip("network namespaces cannot be made here")
    return subprocess.run(
        [*unshare, sys.executable, "-c", textwrap.dedent(_IN_A_NAMESPACE), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
    )


@pytest.mark.xdist_group("packets")
def test_the_command_looks_at_both_families_with_real_packets(tmp_path: Path) -> None:
    done = in_namespace(
        tmp_path, "here", "demo-dns", "--place", "FRA", "--rate", "100", "--no-names", "--json",
        "--out", "results/here/one",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert [(one["af"], one["verdict"], one["identity"]) for one in found["targets"]] == [
        (4, "ok", "fra1.demo-dns.example"),
        (6, "ok", "fra2.demo-dns.example"),
    ]
    assert all(one["site"]["distance_km"] < 20 for one in found["targets"])  # from the airport to the town
    assert all(one["path"]["reached"] for one in found["targets"])
    assert all(one["rtt_ms"]["ping_min"] < 100 for one in found["targets"])
    assert (tmp_path / "results" / "here" / "one" / "metrics.json").exists()


@pytest.mark.xdist_group("packets")
def test_the_command_says_in_a_line_that_there_is_no_network(tmp_path: Path) -> None:
    done = in_namespace(tmp_path, "here", "k-root", "--no-names")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "catchment: no IPv4 route from this host to 193.0.14.129, and no IPv6 route from this host to"
    )


Catchment = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["k-root", "--rate", "101"], "at most 100 packets a second"),
        (["k-root", "--rate", "0"], "at least 0.01"),
        (["k-root", "--rate", "0.0000001"], "at least 0.01"),
        (["k-root", "--rate", "nan"], "at least 0.01"),
        (["k-root", "-4", "-6"], "leave out one of them"),
        (["k-root", "--geocode"], "give it as well"),
        (["k-root", "--queries", "0"], "--queries"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(catchment: Catchment, words: list[str], told: str) -> None:
    done = catchment("here", *words)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_a_place_that_may_be_two_is_told_before_anything_is_sent(catchment: Catchment) -> None:
    done = catchment("here", "k-root", "--place", "Berlin")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "catchment: 'Berlin' may be 'Berlin, DE' or 'Berlin, US': say which\n"


def test_help_has_examples(catchment: Catchment) -> None:
    shown = catchment("here", "--help").stdout
    assert "catchment here k-root --place" in shown
    assert find_place("Berlin, DE").country == "DE"
