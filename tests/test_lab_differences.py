"""What a lab gets and loses on its way from one blueprint to another."""

from __future__ import annotations

from dataclasses import replace

from catchment.platforms.lab.blueprint import Blueprint, Node, Role, StaticRoute
from catchment.platforms.lab.differences import differences

DEFAULT = StaticRoute(prefix="0.0.0.0/0", via=("198.18.0.0",))
ELSEWHERE = replace(DEFAULT, via=("198.18.0.2",))
SHARED = StaticRoute(prefix="192.0.2.53/32", via=("198.18.0.4", "198.18.0.6"))


def lab(*addresses: str, routes: tuple[StaticRoute, ...] = ()) -> Blueprint:
    return Blueprint(nodes={"a": Node(name="a", role=Role.SITE, addresses=addresses, routes=routes)}, wires=())


def changed(new: Blueprint, *there: Blueprint) -> tuple[object, ...]:
    """Return the addresses and routes that node `a` gets, and those that it loses."""
    gain, lose = differences(there, new)
    return gain["a"].addresses, gain["a"].routes, lose["a"].addresses, lose["a"].routes


def test_what_is_there_stays_and_only_the_rest_comes_and_goes() -> None:
    was, new = lab("x", "y", routes=(DEFAULT, SHARED)), lab("y", "z", routes=(DEFAULT,))
    assert changed(new, was) == (("z",), (), ("x",), (SHARED,))
    assert changed(was, was) == ((), (), (), ())


def test_a_route_to_the_same_prefix_takes_the_place_of_the_old_one() -> None:
    assert changed(lab(routes=(ELSEWHERE,)), lab(routes=(DEFAULT,))) == ((), (ELSEWHERE,), (), ())


def test_of_what_was_tried_in_vain_nothing_is_taken_for_granted() -> None:
    was, tried = lab("x", "y", routes=(DEFAULT,)), lab("y", "z", routes=(ELSEWHERE, SHARED))
    assert changed(was, was, tried) == (("x", "y"), (DEFAULT,), ("z",), (SHARED,))
    assert changed(tried, was, tried) == (("y", "z"), (ELSEWHERE, SHARED), ("x",), ())
    assert changed(lab(), was, tried, was) == ((), (), ("x", "y", "z"), (DEFAULT, ELSEWHERE, SHARED))
