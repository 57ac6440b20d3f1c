"""What was said instead of an answer, by whom, and what that means: each sends an operator to somebody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from catchment.metrics import Numbers
from catchment.model import Failure
from catchment.observe.refusals import Reason, Refusal, read_error
from catchment.observe.traceroutes import FAR_BEYOND
from catchment.workflow.explaining.cases import Case
from catchment.workflow.explaining.wording import part_of, plain, said

_MOST = 3
_BY_SOMEBODY = {
    Reason.PORT: "{who} refuses {what} in the target's place: something on the way rejects it.",
    Reason.PROTOCOL: "{who} refuses the whole protocol in the target's place: something on the way rejects it.",
    Reason.NO_ROUTE: "{who} has no route to it.",
    Reason.HOST: "{who} cannot find its host: nothing answers to that address there.",
    Reason.PROHIBITED: "{who} forbids it: this is filtered there.",
    Reason.LOOP: "{who} says that packets had gone as many hops as they might: they go round in a loop.",
    Reason.OTHER: "{who} sent {text}.",
}
_BY_THE_TARGET = {
    Reason.PORT: "{who} refuses {what}: no server listens there.",
    Reason.PROTOCOL: "{who} refuses the whole protocol: no server listens there.",
}
_BY_NOBODY = {
    Reason.PORT: "Somebody refuses {what} ({text}): no server listens there, or something rejects it.",
    Reason.PROTOCOL: "Somebody refuses the whole protocol ({text}).",
    Reason.NO_ROUTE: "There is no route to it, as the vantage point was told ({text}).",
    Reason.HOST: "Its host cannot be found, as the vantage point was told ({text}).",
    Reason.PROHIBITED: "Somebody forbids it ({text}).",
    Reason.LOOP: "Packets go round in a loop, as the vantage point was told ({text}).",
    Reason.OTHER: "Instead of an answer came {text}.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What somebody refused: so many DNS queries and traceroutes; `text` is how that was told first.

    `hop` is how far out it answered traceroutes, at most where not `is_certain`; None where nobody knows.
    """

    refusal: Refusal
    queries: int
    traceroutes: int
    text: str | None
    is_first: bool
    hop: int | None
    is_certain: bool

    def told(self) -> Numbers:
        """Return it as `--json` prints it."""
        return {
            "reason": self.refusal.reason.value,
            "by": self.refusal.sender,
            "hop": 1 if self.is_first else self.hop,
            "queries": self.queries,
            "traceroutes": self.traceroutes,
        }


def refusals(case: Case) -> list[Refused]:
    """Return who refused what at a target that is silent, the most frequent first."""
    texts: dict[Refusal, str] = {}
    queries, traceroutes = Counter[Refusal](), Counter[Refusal]()
    for one in case.observations:
        if one["failure"] == Failure.NETWORK and one["failure_detail"] is not None:
            refusal = read_error(one["failure_detail"], case.assignment["af"])
            texts.setdefault(refusal, one["failure_detail"])
            queries[refusal] += 1
    for trace in case.traces:
        traceroutes.update(trace.refusals)
    every = sorted(
        dict.fromkeys((*queries, *traceroutes)), key=lambda one: queries[one] + traceroutes[one], reverse=True
    )
    return [_refused(case, one, queries[one], traceroutes[one], texts.get(one)) for one in every]


def _refused(case: Case, refusal: Refusal, queries: int, traceroutes: int, text: str | None) -> Refused:
    hop, is_certain = _hop(case, refusal.sender)
    return Refused(
        refusal=refusal,
        queries=queries,
        traceroutes=traceroutes,
        text=text,
        is_first=any(refusal.sender in trace.first_routers for trace in case.traces),
        hop=hop,
        is_certain=is_certain,
    )


def _hop(case: Case, sender: str | None) -> tuple[int | None, bool]:
    """Return the first hop at which somebody answered, and whether the one before it had answered too.

    Routers refuse only so often in a second: who stayed silent to some packets seems to be farther out.
    """
    found = [
        (hop.number, hop.number == 1 or hop.number - 1 in answered)
        for trace in case.traces
        for answered in [{hop.number for hop in trace.hops if hop.address is not None}]
        for hop in trace.hops
        if hop.address == sender and sender is not None and hop.number < FAR_BEYOND
    ]
    return min(found, key=lambda one: (one[0], not one[1]), default=(None, False))


def is_refused_by_target(case: Case, found: Sequence[Refused]) -> bool:
    """Tell whether the target itself says that it does not listen: so it can be reached."""
    return any(
        one.refusal.sender == case.assignment["target"] and one.refusal.reason in {Reason.PORT, Reason.PROTOCOL}
        for one in found
    )


def refusing(case: Case, found: Sequence[Refused]) -> Iterator[str]:
    """Yield sentences: who refused, how, and to how many packets."""
    row = case.assignment
    asked = row["timeouts"] + row["network_failures"]
    for one in found[:_MOST]:
        counts = [part_of(one.queries, max(asked, one.queries), "DNS query", "DNS queries")] if one.queries else []
        if one.traceroutes:
            counts.append(part_of(one.traceroutes, len(case.traces), "traceroute"))
        how = "That came for" if one.refusal.sender is None else "It said so to"
        yield f"{_meaning(case, one)} {how} {' and '.join(counts)}."
    if len(found) > _MOST:
        yield f"So did {len(found) - _MOST:,} more (--json)."


def _meaning(case: Case, one: Refused) -> str:
    words = _BY_SOMEBODY
    if one.refusal.sender is None:
        words = _BY_NOBODY
    elif one.refusal.sender == case.assignment["target"]:
        words = _BY_SOMEBODY | _BY_THE_TARGET
    return words[one.refusal.reason].format(
        who=_who(case, one),
        what="DNS" if one.queries else "the traceroute",
        text="an ICMP error" if one.text is None else said(one.text),
    )


def _who(case: Case, one: Refused) -> str:
    sender = plain(one.refusal.sender)
    if one.refusal.sender == case.assignment["target"]:
        return f"{sender} itself"
    if any(trace.source == one.refusal.sender for trace in case.traces):
        return f"{sender}, the vantage point itself,"
    if one.is_first:
        return f"{sender}, the first router,"
    if one.hop is None:
        return sender
    return f"{sender}, {'router' if one.is_certain else 'at most router'} {one.hop} on the way,"
