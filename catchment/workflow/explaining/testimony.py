"""Who speaks for the site, and who against it: confidence, second identities, routers, light, and somebody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from catchment.geo import light_allows
from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.model import ASSIGNED, Confidence, Kind, Verdict, Witness
from catchment.workflow.explaining.cases import ACCUSED, Case
from catchment.workflow.explaining.wording import counted, listed, ms, ms_number, part_of, plain, said

_SPOKE = {
    Witness.NEIGHBOUR: "The last router before the target, {said}, is a known neighbour of {site} ({times})",
    Witness.HOP_NAME: "The name of the last router before the target, {said}, holds the place of {site} ({times})",
    Witness.EXCHANGE: "The last router before the target, {said}, is at an exchange in the town of {site} ({times})",
}
_MOST_WITNESSES = 8
_A_PACKET = {Kind.DNS: "An answer", Kind.PING: "A ping", Kind.TRACEROUTE: "A traceroute"}


def testimony(case: Case) -> Iterator[str]:
    """Yield a sentence or two for each witness."""
    yield from _confidence(case)
    yield from _somebody_else(case)
    yield from _second_identity(case)
    yield from _contradictions(case)
    yield from _witnesses(case)
    yield from _routers(case)


def _confidence(case: Case) -> Iterator[str]:
    row = case.assignment
    if row["confidence"] is None:
        return
    confidence, by_server = Confidence(row["confidence"]), row["identified"] > 0
    if confidence is Confidence.LOW:
        reason = "light contradicts the site"
    elif not by_server:
        reason = "several witnesses agree" if confidence is Confidence.HIGH else "one witness alone named the site"
    elif row["verdict"] == Verdict.REPAIRED:
        reason = "the server named the site, but what it said was damaged"
    elif row["witnesses_disagree"]:
        reason = "the server named the site, but two identities in one reply contradict each other"
    elif case.of_others():
        reason = "the server named the site, but somebody else answered too"
    elif confidence is Confidence.HIGH:
        reason = "the server itself named the site, and nothing contradicts it"
    elif not light_allows(row["distance_km"], row["rtt_ms_min"]):
        reason = "the server named the site, but some answers came too fast for light"
    elif not light_allows(row["distance_km"], row["ping_ms_min"]) and row["rtt_ms_min"] < 2 * row["ping_ms_min"]:
        reason = "the server named the site, but pings came too fast for light, perhaps from another site"
    else:
        reason = "the server named the site, but another witness contradicts it"
    yield f"Confidence {confidence}: {reason}."


def _somebody_else(case: Case) -> Iterator[str]:
    """Tell who answered besides the service, of a vantage point whose site is known."""
    others = case.of_others()
    if case.assignment["verdict"] not in ASSIGNED or not others:
        return
    who = counted(said(one["judged_identity"]) if one["judged_identity"] else one["rcode"] for one in others)
    first, last = min(one["at"] for one in others), max(one["at"] for one in others)
    when = f"at {first}" if first == last else f"from {first} to {last}"
    yield f"Somebody else answered too, {part_of(len(others), case.answers, 'time')}, {when}: {who}."


def _second_identity(case: Case) -> Iterator[str]:
    """Say in a line that the second identity in a reply supports the first."""
    agree = [one for one in case.observations if one["witnesses"] == "agree"]
    if not agree:
        return
    sources = {one["second_identity_source"] for one in agree}
    who = plain(next(iter(sources)) or "").upper() if len(sources) == 1 else "The second identity"
    is_same = all(one["second_identity"] == one["identity"] for one in agree)
    what = "said the same" if is_same else "named the same site"
    yield f"{who} {what} in {part_of(len(agree), case.answers, 'reply', 'replies')}."


def _contradictions(case: Case) -> Iterator[str]:
    pairs = Counter(
        (one["identity"], one["second_identity"]) for one in case.observations if one["witnesses"] == "disagree"
    )
    if pairs:
        texts = [f"{said(first)} beside {said(second)} {count:,}" for (first, second), count in pairs.most_common()]
        count = many(sum(pairs.values()), "reply", "replies")
        yield f"Two identities contradict each other in {count}: {listed(texts)}."


def _witnesses(case: Case) -> Iterator[str]:
    """Tell what else was heard; of second identities it was told already."""
    heard = [one for one in case.evidence if one["site"] is not None and one["witness"] != Witness.SECOND_IDENTITY]
    if case.assignment["verdict"] in ACCUSED:  # where it is not known whence it measured, light tells nothing
        heard = [one for one in heard if one["witness"] != Witness.LIGHT]
    heard.sort(key=lambda one: -one["observations"])
    for one in heard[:_MOST_WITNESSES]:
        if one["witness"] == Witness.LIGHT:
            yield _light(case, one)
            continue
        spoke = _SPOKE[Witness(one["witness"])].format(
            said=said(one["said"]), site=case.site(one["site"]), times=many(one["observations"], "time")
        )
        doubt = ", but light rules that site out" if one["possible"] is False else ""
        yield f"{spoke}{doubt}."
    if len(heard) > _MOST_WITNESSES:
        rest = len(heard) - _MOST_WITNESSES
        yield f"The evidence holds {many(rest, 'more witness', 'more witnesses')} (--json)."


def _light(case: Case, one: Numbers) -> str:
    """Say what the fastest packet leaves possible, and which packet that was."""
    least_ms = ms_number(one["said"])
    kinds = [
        other["kind"]
        for other in case.observations
        if other["rtt_ms"] is not None and least_ms is not None and f"{other['rtt_ms']:.3f}" == f"{least_ms:.3f}"
    ]
    packet = _A_PACKET[Kind(kinds[0])] if kinds else "A packet"
    time = plain(one["said"]) if least_ms is None else ms(least_ms)
    return f"{packet} of {time}: light comes back so fast from no other site than {case.site(one['site'])}."


def _routers(case: Case) -> Iterator[str]:
    traces = [one for one in case.observations if one["kind"] == Kind.TRACEROUTE and one["hop"] is not None]
    if not traces:
        return
    (hop, times), *_ = Counter(one["hop"] for one in traces).most_common()
    here = [one for one in traces if one["hop"] == hop]
    fastest = min((one["hop_rtt_ms"] for one in here if one["hop_rtt_ms"] is not None), default=None)
    gaps = [one["hop_gap"] for one in here if one["hop_gap"] is not None]
    away = "" if fastest is None else f", {ms(fastest)} away"
    silent = f", with {many(min(gaps), 'silent router')} between it and the target" if gaps and min(gaps) > 0 else ""
    yield (
        f"The last router that answered before the target is {plain(hop)} in "
        f"{part_of(times, len(traces), 'traceroute')}{away}{silent}."
    )
