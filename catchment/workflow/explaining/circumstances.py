"""What else bears on a verdict: light, the nearest site, other answers, other witnesses, and what was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, LIGHT_KM_PER_MS
from catchment.metrics import Numbers
from catchment.model import PLACED, Confidence, Failure, Kind, Outcome, Verdict, Witness
from catchment.workflow.explaining.cases import Case
from catchment.workflow.explaining.wording import counted, km, least_time, listed, many, ms, part_of, plain, said

_SPOKE = {
    Witness.SECOND_IDENTITY: "A second identity in the same reply, {said}, names {site} ({times})",
    Witness.NEIGHBOUR: "The last router before the target, {said}, is a known neighbour of {site} ({times})",
    Witness.HOP_NAME: "The name of the last router before the target, {said}, holds the place of {site} ({times})",
    Witness.EXCHANGE: "The last router before the target, {said}, is at an exchange in the town of {site} ({times})",
    Witness.LIGHT: "Light could come back in {said} from no other site than {site}",
}
_MOST_WITNESSES = 8
_FARTHER = 2  # times as long: no detour makes that of one place
_ANSWERED = (
    Verdict.FOREIGN_IDENTITY,
    Verdict.UNKNOWN_IDENTITY,
    Verdict.INTERCEPTED_ERROR,
    Verdict.INTERCEPTED_EMPTY,
    Verdict.NO_IDENTITY,
)
_NOT_ANSWERED = {
    Failure.TIMEOUT: "timed out",
    Failure.PROBE_FAILED: "could not be sent",
    Failure.NETWORK: "met an error on the way",
    Failure.MALFORMED: "cannot be read",
    Failure.NOT_REACHED: "ended before the target",
}


def circumstances(case: Case) -> Iterator[str]:
    """Yield a sentence or two for each thing that there is to say."""
    yield from _light(case)
    yield from _nearest(case)
    yield from _pings(case)
    yield from _confidence(case)
    yield from _flapping(case)
    yield from _other_answers(case)
    yield from _contradictions(case)
    yield from _witnesses(case)
    yield from _routers(case)
    yield from _lost(case)


def _light(case: Case) -> Iterator[str]:
    row, rtt_ms = case.assignment, case.rtt_ms
    if rtt_ms is None or not case.kilometres:
        return
    if row["site"] is not None and row["distance_km"] is None:
        yield f"Nobody knows where {case.site()} is, so its distance cannot be told."
        return
    feasible = sum(
        distance <= rtt_ms * IMPOSSIBLE_KM_PER_MS + IMPOSSIBLE_SLACK_KM for distance in case.kilometres.values()
    )
    sites = many(len(case.kilometres), "site")
    share = f"{feasible if feasible else 'none'} of the {sites} of {case.name} that have a place"
    if row["verdict"] in PLACED:
        median = "" if row["rtt_ms_median"] is None else f" (median {ms(row['rtt_ms_median'])})"
        yield (
            f"That site is {km(row['distance_km'])} away: {least_time(row['distance_km'])}. The fastest answer took "
            f"{ms(rtt_ms)}{median}: light allows it. In that time it comes back from {share}."
        )
    elif row["verdict"] in {Verdict.IMPOSSIBLE_RTT, Verdict.MISLOCATED}:
        yield f"In {ms(rtt_ms)} light comes back from {share}."
    elif row["verdict"] in _ANSWERED:
        code, distance = min(case.kilometres.items(), key=lambda one: one[1])
        meaning = ": none of them gave this answer" if feasible == 0 else ""
        yield (
            f"The fastest answer took {ms(rtt_ms)}. The nearest site, {case.site(code)}, is {km(distance)} away: "
            f"{least_time(distance)}. In {ms(rtt_ms)} light comes back from {share}{meaning}."
        )


def _nearest(case: Case) -> Iterator[str]:
    row = case.assignment
    nearest = row["nearest_site"]
    if nearest is None or row["verdict"] in _ANSWERED or row["verdict"] in {Verdict.IMPOSSIBLE_RTT, Verdict.MISLOCATED}:
        return
    if row["verdict"] not in PLACED:
        yield f"The nearest site is {case.site(nearest)}, {km(row['nearest_km'])} away."
    elif row["site"] == nearest:
        yield "It is the nearest site."
    elif row["distance_km"] is not None:
        farther_km = row["distance_km"] - row["nearest_km"]
        yield (
            f"The nearest site would be {case.site(nearest)}, {km(row['nearest_km'])} away. The answers came from "
            f"{km(farther_km)} farther, which costs light {ms(farther_km / LIGHT_KM_PER_MS)} there and back."
        )


def _pings(case: Case) -> Iterator[str]:
    answer_ms, ping_ms = case.assignment["rtt_ms_min"], case.assignment["ping_ms_min"]
    if case.answers and answer_ms is not None and ping_ms is not None and ping_ms > _FARTHER * answer_ms:
        yield (
            f"Pings to the same address take {ms(ping_ms)} at least, DNS answers {ms(answer_ms)}: they come from two "
            "places."
        )


def _confidence(case: Case) -> Iterator[str]:
    row = case.assignment
    if row["confidence"] is None:
        return
    confidence, by_server = Confidence(row["confidence"]), row["identified"] > 0
    if confidence is Confidence.LOW:
        reason = "light contradicts the site"
    elif not by_server:
        reason = "several witnesses agree" if confidence is Confidence.HIGH else "one witness alone named the site"
    elif confidence is Confidence.HIGH:
        reason = "the server itself named the site, and nothing contradicts it"
    elif row["verdict"] == Verdict.REPAIRED:
        reason = "the server named the site, but what it said was damaged"
    elif row["witnesses_disagree"]:
        reason = "the server named the site, but two identities in one reply contradict each other"
    else:
        reason = "the server named the site, but another witness contradicts it"
    yield f"Confidence {confidence}: {reason}."


def _flapping(case: Case) -> Iterator[str]:
    if case.flips:
        changes = [f"{flip['at']} {plain(flip['from'])} → {plain(flip['to'])}" for flip in case.flips]
        sites = many(case.assignment["sites_seen"], "site")
        yield f"It flapped between {sites}, {many(len(changes), 'time')}: {listed(changes)}."


def _other_answers(case: Case) -> Iterator[str]:
    """Tell what the answers say that lost to those of the verdict."""
    row = case.assignment
    sites = Counter(one["site"] for one in case.with_outcome(Outcome.IDENTIFIED) if one["site"] != row["site"])
    if sites:
        texts = [f"{case.site(code)} {count:,}" for code, count in sites.most_common()]
        yield f"Other answers named other sites: {listed(texts)}."
    winners = {
        Verdict.FOREIGN_IDENTITY: Outcome.FOREIGN,
        Verdict.UNKNOWN_IDENTITY: Outcome.UNKNOWN,
        Verdict.INTERCEPTED_ERROR: Outcome.ERROR,
        Verdict.INTERCEPTED_EMPTY: Outcome.EMPTY,
    }
    texts = []
    for outcome, words in (
        (Outcome.FOREIGN, "with an identity that is not the service's"),
        (Outcome.UNKNOWN, "with an identity that names no site"),
        (Outcome.ERROR, "with an error"),
        (Outcome.EMPTY, "without an identity"),
    ):
        found = case.with_outcome(outcome)
        if found and outcome != winners.get(row["verdict"]) and row["verdict"] != Verdict.NO_IDENTITY:
            what = counted(one["identity"] if one["identity"] else one["rcode"] for one in found)
            texts.append(f"{len(found):,} {words} ({what})")
    if texts:
        yield f"There were other answers too: {', '.join(texts)}."


def _contradictions(case: Case) -> Iterator[str]:
    pairs = Counter(
        (one["identity"], one["second_identity"]) for one in case.observations if one["witnesses"] == "disagree"
    )
    if pairs:
        texts = [f"{said(first)} beside {said(second)} {count:,}" for (first, second), count in pairs.most_common()]
        count = many(sum(pairs.values()), "reply", "replies")
        yield f"Two identities contradict each other in {count}: {listed(texts)}."


def _witnesses(case: Case) -> Iterator[str]:
    heard = sorted(case.evidence, key=lambda one: -one["observations"])
    for one in heard[:_MOST_WITNESSES]:
        witness = Witness(one["witness"])
        words = plain(one["said"]) if witness is Witness.LIGHT else said(one["said"])
        spoke = _SPOKE[witness].format(said=words, site=case.site(one["site"]), times=many(one["observations"], "time"))
        doubt = ", but light rules that site out" if one["possible"] is False else ""
        yield f"{spoke}{doubt}."
    if len(heard) > _MOST_WITNESSES:
        yield f"{many(len(heard) - _MOST_WITNESSES, 'more witness', 'more witnesses')} stand in the evidence (--json)."


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


def _lost(case: Case) -> Iterator[str]:
    texts = []
    for kind in Kind:
        of_kind = [one for one in case.observations if one["kind"] == kind]
        lost = Counter(one["failure"] for one in of_kind if one["failure"] is not None)
        texts += [
            f"{part_of(count, len(of_kind), f'{_NAMES[kind]} result')} {_NOT_ANSWERED[failure]}"
            f"{_details(of_kind, failure)}"
            for failure, count in lost.most_common()
        ]
    if texts:
        yield f"Lost: {'; '.join(texts)}."


_NAMES = {Kind.DNS: "DNS", Kind.PING: "ping", Kind.TRACEROUTE: "traceroute"}


def _details(observations: list[Numbers], failure: str) -> str:
    details = [one["failure_detail"] for one in observations if one["failure"] == failure and one["failure_detail"]]
    if not details:
        return ""
    return f" ({said(details[0])})" if len(set(details)) == 1 else f" ({counted(details)})"
