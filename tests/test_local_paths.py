from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pytest

from catchment.platforms.local.paths import Answer, Path


def router(number: int, rtt_ms: float = 1.0) -> Answer:
    return Answer(sender=f"10.0.0.{number}", rtt_ms=rtt_ms, ttl=255, size=28)


def target(rtt_ms: float = 9.0) -> Answer:
    return Answer(sender="192.0.2.53", rtt_ms=rtt_ms, ttl=60, size=48, is_last=True)


def send_all(path: Path) -> list[int]:
    """Send what may be sent now; return how far each packet goes."""
    hops = []
    while path.next_hop() is not None:
        hops.append(path.hop_of(path.send()))
    return hops


def test_five_hops_are_asked_at_once_and_more_when_routers_answer() -> None:
    path = Path(2)
    assert send_all(path) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    path.answered(4, router(3))
    assert send_all(path) == [6, 6, 7, 7, 8, 8]
    assert not path.is_complete


def test_after_five_silent_hops_one_packet_may_go_all_the_way() -> None:
    path = Path(2)
    send_all(path)
    path.answered(0, router(1))
    assert send_all(path) == [6, 6]
    for number in path.under_way:
        assert path.next_hop() is None
        path.lost(number)
    assert send_all(path) == [255]
    path.lost(path.under_way[0])
    assert path.is_complete
    printed = list(path.printed())
    assert [hop["hop"] for hop in printed] == [1, 2, 3, 4, 5, 6, 255]
    assert printed[0]["result"] == [{"from": "10.0.0.1", "ttl": 255, "size": 28, "rtt": 1.0}, {"x": "*"}]
    assert printed[-1]["result"] == [{"x": "*"}]


def test_four_silent_hops_do_not_end_it() -> None:
    path = Path(1)
    assert send_all(path) == [1, 2, 3, 4, 5]
    for number in range(4):
        path.lost(number)
    path.answered(4, router(5))
    assert send_all(path) == [6, 7, 8, 9, 10]


def test_it_ends_at_the_first_hop_where_the_target_answered() -> None:
    path = Path(1)
    send_all(path)
    path.answered(4, target(5.0))  # hop 5
    path.answered(2, target(3.0))  # hop 3: that is how far it is
    path.answered(3, target(4.0))
    assert path.under_way == [0, 1]
    path.answered(1, router(2))
    path.lost(0)
    assert path.is_complete
    assert [hop["hop"] for hop in path.printed()] == [1, 2, 3]
    assert list(path.printed())[-1]["result"] == [{"from": "192.0.2.53", "ttl": 60, "size": 48, "rtt": 3.0}]


def test_a_router_that_lets_nobody_pass_is_the_end_and_says_why() -> None:
    path = Path(1)
    send_all(path)
    path.answered(0, router(1))
    path.answered(1, Answer(sender="10.0.0.2", rtt_ms=2.0, ttl=254, size=28, err="H", is_last=True))
    assert path.is_complete
    assert list(path.printed())[-1] == {
        "hop": 2,
        "result": [{"from": "10.0.0.2", "ttl": 254, "size": 28, "rtt": 2.0, "err": "H"}],
    }


def test_no_packet_may_go_further_than_32_hops() -> None:
    path = Path(1)
    while not path.is_complete:
        while path.next_hop() is not None:
            number = path.send()
            path.answered(number, router(path.hop_of(number)))
    assert [hop["hop"] for hop in path.printed()] == list(range(1, 33))


def test_what_comes_twice_or_too_late_changes_nothing() -> None:
    path = Path(1)
    send_all(path)
    path.answered(0, router(1, 1.0))
    path.answered(0, router(9, 7.0))
    path.lost(1)
    path.answered(1, router(2))
    path.answered(99, target())
    assert [hop["result"][0].get("from", "*") for hop in path.printed()][:2] == ["10.0.0.1", "*"]


def test_a_packet_that_cannot_be_sent_ends_it_with_the_reason() -> None:
    path = Path(3)
    path.send()
    path.failed(0, "sendto failed: Network is unreachable")
    path.send()
    path.lost(1)
    path.send()
    path.lost(2)
    assert path.is_complete
    assert next(path.printed())["result"][0] == {"error": "sendto failed: Network is unreachable"}


def test_an_rtt_of_zero_is_an_answer() -> None:
    path = Path(1)
    send_all(path)
    path.answered(0, target(0.0))
    assert list(path.printed()) == [{"hop": 1, "result": [{"from": "192.0.2.53", "ttl": 60, "size": 48, "rtt": 0.0}]}]


def test_nothing_is_sent_out_of_turn() -> None:
    path = Path(1)
    send_all(path)
    with pytest.raises(ValueError, match="no packet is to be sent"):
        path.send()


@hypothesis.given(
    packets=st.integers(1, 4),
    silent=st.sets(st.integers(1, 40)),
    length=st.integers(1, 40),
    order=st.randoms(use_true_random=False),
)
def test_whatever_order_answers_come_in_it_prints_what_a_traceroute_hop_by_hop_would(
    packets: int, silent: set[int], length: int, order: object
) -> None:
    path = Path(packets)
    while not path.is_complete:
        while path.next_hop() is not None:
            path.send()
        number = order.choice(path.under_way)  # type: ignore[attr-defined]
        hop = path.hop_of(number)
        if hop in silent:
            path.lost(number)
        else:
            path.answered(number, target() if hop >= length else router(hop))
    expected: list[tuple[int, str]] = []
    for hop in range(1, 33):
        expected.append((hop, "*" if hop in silent else "192.0.2.53" if hop >= length else f"10.0.0.{hop}"))
        if expected[-1][1] == "192.0.2.53":
            break
        if len(expected) >= 5 and all(sender == "*" for _, sender in expected[-5:]):
            expected.append((255, "192.0.2.53"))
            break
    found = [(hop["hop"], {packet.get("from", "*") for packet in hop["result"]}) for hop in path.printed()]
    assert found == [(hop, {sender}) for hop, sender in expected]
    assert all(len(hop["result"]) == (1 if hop["hop"] == 255 else packets) for hop in path.printed())
