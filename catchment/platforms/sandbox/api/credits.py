"""What a result costs in RIPE Atlas's credits (its page "Credit system"): built-in measurements cost nothing."""

from __future__ import annotations

from catchment.model import Kind
from catchment.platforms.sandbox.api.definitions import Definition

_LARGEST_PACKET_BYTES = 1500


def credits_per_result(definition: Definition, *, is_oneoff: bool) -> int:
    """Return the credits that one result costs its owner; in a one-off measurement, twice as many."""
    options = definition.options
    match definition.kind:
        case Kind.DNS:
            cost = 20 if options["protocol"] == "TCP" else 10
        case Kind.PING:
            cost = options["packets"] * (options["size"] // _LARGEST_PACKET_BYTES + 1)
        case Kind.TRACEROUTE:
            cost = 10 * options["packets"] * (options["size"] // _LARGEST_PACKET_BYTES + 1)
    return int(cost) * (2 if is_oneoff else 1)
