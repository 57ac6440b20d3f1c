"""Which targets of two runs belong together."""

from __future__ import annotations

from collections.abc import Sequence

from catchment.model import Target

TargetPair = tuple[Target, Target]


def pair_targets(before: Sequence[Target], after: Sequence[Target]) -> list[TargetPair]:
    """Pair the targets of two runs: by address, else by service and address family where each side has one such.

    So a service that was renumbered between the runs is still compared with itself.
    """
    by_address = {target.address: target for target in after}
    pairs = [(target, by_address[target.address]) for target in before if target.address in by_address]
    paired = {target.address for target, _ in pairs}
    left = [target for target in before if target.address not in paired and target.service is not None]
    right = [target for target in after if target.address not in paired and target.service is not None]
    for target in left:
        mine = [other for other in left if (other.service, other.af) == (target.service, target.af)]
        theirs = [other for other in right if (other.service, other.af) == (target.service, target.af)]
        if len(mine) == len(theirs) == 1:
            pairs.append((target, theirs[0]))
    return pairs


def unpaired_targets(pairs: Sequence[TargetPair], targets: Sequence[Target]) -> list[Target]:
    """Return those of one run's targets that are in none of the pairs."""
    paired = {target for pair in pairs for target in pair}
    return [target for target in targets if target not in paired]
