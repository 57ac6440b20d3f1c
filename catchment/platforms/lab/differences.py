"""What one blueprint of a lab has that another has not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from catchment.errors import PlatformFailed
from catchment.platforms.lab.blueprint import Blueprint, Node

_MOST_NAMED = 3
_T = TypeVar("_T")


def differences(there: Sequence[Blueprint], new: Blueprint) -> tuple[dict[str, Node], dict[str, Node]]:
    """Return the nodes, each with just the addresses and routes that it gets, and with those that it loses.

    `there` is what the lab is; several: the last one that was brought about, and those that were tried since in vain.
    Of these anything may be there or not: all of the new one is to get, and all of theirs to lose.
    """
    gain, lose = {}, {}
    for name, node in new.nodes.items():
        old = [blueprint.nodes[name] for blueprint in there]
        addresses = [address for was in old for address in was.addresses]
        routes = [route for was in old for route in was.routes]
        is_sure = len(there) == 1
        kept = {route.prefix for route in node.routes}  # a new route to the same prefix takes the old one's place
        gain[name] = replace(
            node,
            addresses=_without(node.addresses, addresses if is_sure else ()),
            routes=_without(node.routes, routes if is_sure else ()),
        )
        lose[name] = replace(
            node,
            addresses=_without(addresses, node.addresses),
            routes=_without((route for route in routes if route.prefix not in kept), ()),
        )
    return gain, lose


def _without(these: Iterable[_T], others: Iterable[_T]) -> tuple[_T, ...]:
    """Return each of these once, in order, but for the others."""
    left_out = set(others)
    return tuple(dict.fromkeys(each for each in these if each not in left_out))


def check_same(old: Blueprint, new: Blueprint) -> None:
    """Raise PlatformFailed where a blueprint has other nodes or wires: those would have to be built."""
    was, wires = (tuple(replace(wire, delay_ms=0.0) for wire in each.wires) for each in (old, new))
    if old.nodes.keys() != new.nodes.keys() or was != wires:
        differing = sorted(old.nodes.keys() ^ new.nodes.keys())
        what = f"nodes ({', '.join(differing[:_MOST_NAMED])})" if differing else "wires"
        raise PlatformFailed(f"a lab that runs cannot get or lose {what}: end it, and start it with them")
