"""What else bears on a verdict: light, the nearest site, other answers, other vantage points, and what was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from catchment.geo import LIGHT_KM_PER_MS, light_allows
from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.model import ASSIGNED, PLACED, Failure, Kind, Outcome, Verdict
from catchment.workflow.explaining.cases import ACCUSED, Case, judged_packet
from catchment.workflow.explaining.testimony import testimony
from catchment.workflow.explaining.wording import counted, km, least_time, listed, ms, part_of, plain, said

_FARTHER = 2  # times as long: no detour makes that of one place
_ANSWERED = (
    Verdict.FOREIGN_IDENTITY,
    Verdict.UNKNOWN_IDENTITY,
    Verdict.INTERCEPTED_ERROR,
    Verdict.INTERCEPTED_EMPTY,
    Verdict.NO_IDENTITY,
)
_DOUBTED = (Verdict.INTERCEPTED_ERROR, Verdict.INTERCEPTED_EMPTY, Verdict.NO_IDENTITY)
# What the verdict itself told of.
_WINNERS = {
    Verdict.FOREIGN_IDENTITY: (Outcome.FOREIGN,),
    Verdict.UNKNOWN_IDENTITY: (Outcome.UNKNOWN,),
    Verdict.INTERCEPTED_ERROR: (Outcome.ERROR,),
    Verdict.INTERCEPTED_EMPTY: (Outcome.EMPTY,),
    Verdict.NO_IDENTITY: (Outcome.ERROR, Outcome.EMPTY),
}
_NOT_ANSWERED = {
    Failure.TIMEOUT: "timed out",
    Failure.PROBE_FAILED: "could not be sent",
    Failure.NETWORK: "got an error for an answer",
    Failure.MALFORMED: "cannot be read",
    Failure.NOT_REACHED: "ended before the target",
}


def circumstances(case: Case) -> Iterator[str]:
    """Yield a sentence or two for each thing that there is to say."""
    yield from _light(case)
    yield from _nearest(case)
    yield from _pings(case)
    yield from _peers(case)
    yield from testimony(case)
    yield from _changes(case)
    yield from _other_answers(case)
    if (lacking := lost(case)) is not None:
        yield f"Lost: {lacking}."


def _light(case: Case) -> Iterator[str]:
    row = case.assignment
    rtt_ms, packet = judged_packet(row)
    if rtt_ms is None or not case.kilometres:
        return
    if row["site"] is not None and row["distance_km"] is None:
        yield f"Nobody knows where {case.assigned_site} is, so its distance cannot be told."
        return
    feasible = sum(light_allows(distance, rtt_ms) for distance in case.kilometres.values())
    share = _share_of_sites(case, feasible)
    if row["verdict"] in PLACED and not light_allows(row["distance_km"], rtt_ms):
        yield (
            f"That site is {km(row['distance_km'])} away: {least_time(row['distance_km'])}. The fastest {packet} took "
            f"{ms(rtt_ms)}: light does not allow that, but hardly any was so fast, so the clock may have been wrong."
        )
    elif row["verdict"] in PLACED:
        median = "" if row["rtt_ms_median"] is None else f" (median {ms(row['rtt_ms_median'])})"
        yield (
            f"That site is {km(row['distance_km'])} away: {least_time(row['distance_km'])}. The fastest {packet} took "
            f"{ms(rtt_ms)}{median}: light allows it. In that time it comes back from {share}."
        )
    elif row["verdict"] in _ANSWERED:
        code, distance = min(case.kilometres.items(), key=lambda one: one[1])
        meaning = f": none of them {'gave' if packet == 'answer' else 'answered'} this {packet}"
        yield (
            f"The fastest {packet} took {ms(rtt_ms)}. The nearest site, {case.site(code)}, is {km(distance)} away: "
            f"{least_time(distance)}. In {ms(rtt_ms)} light comes back from {share}{'' if feasible else meaning}."
        )


def _share_of_sites(case: Case, feasible: int) -> str:
    have = "has" if len(case.kilometres) == 1 else "have"
    sites = many(len(case.kilometres), "site")
    if feasible == 0:
        return f"none of the {sites} of {case.name} that {have} a place"
    if feasible == len(case.kilometres):
        return f"{'the only site' if feasible == 1 else f'all {sites}'} of {case.name} that {have} a place"
    return f"{feasible:,} of the {sites} of {case.name} that {have} a place"


def _nearest(case: Case) -> Iterator[str]:
    row = case.assignment
    nearest = row["nearest_site"]
    if nearest is None or row["verdict"] in {*_ANSWERED, *ACCUSED}:
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


def _peers(case: Case) -> Iterator[str]:
    """Say how the other vantage points fared, where it is in question who gave the answers."""
    total = case.peers.total()
    mine = Counter(one["rcode"] for one in case.observations if one["outcome"] in {Outcome.ERROR, Outcome.EMPTY})
    if case.assignment["verdict"] not in _DOUBTED or not total or not mine:
        return
    (most, count), *_ = case.peers.most_common(1)
    share = "all" if count == total else f"{min(100 * count / total, 99.9):.1f} %"
    who = "The one other vantage point" if total == 1 else f"Of {total:,} other vantage points {share}"
    got = mine.most_common(1)[0][0] or "no code"
    same = "so did this one" if got == most else f"this one got {plain(got)}"
    yield f"{who} got {plain(most)} here; {same}."


def _changes(case: Case) -> Iterator[str]:
    if len(case.flips) == 1:
        (change,) = case.flips
        yield f"It changed once, at {change['at']}, from {plain(change['from'])} to {plain(change['to'])}, and stayed."
    elif case.flips:
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
    texts = []
    told = _WINNERS.get(row["verdict"], ())
    told_of = {id(one) for one in case.of_others()} if row["verdict"] in ASSIGNED else set()
    for outcome, words in (
        (Outcome.FOREIGN, "with an identity that is not the service's"),
        (Outcome.UNKNOWN, "with an identity that names no site"),
        (Outcome.ERROR, "with an error"),
        (Outcome.EMPTY, "without an identity"),
    ):
        found = [one for one in case.with_outcome(outcome) if id(one) not in told_of]
        if found and outcome not in told:
            what = counted(one["identity"] if one["identity"] else one["rcode"] for one in found)
            texts.append(f"{len(found):,} {words} ({what})")
    if texts:
        yield f"There were other answers too: {', '.join(texts)}."


def lost(case: Case) -> str | None:
    """Say what was not answered, kind by kind, and why; None where all was."""
    texts = []
    for kind in Kind:
        of_kind = [one for one in case.observations if one["kind"] == kind]
        lost = Counter(one["failure"] for one in of_kind if one["failure"] is not None)
        texts += [
            f"{part_of(count, len(of_kind), f'{_NAMES[kind]} result')} {_NOT_ANSWERED[failure]}"
            f"{_details(of_kind, failure)}"
            for failure, count in lost.most_common()
        ]
    return "; ".join(texts) or None


_NAMES = {Kind.DNS: "DNS", Kind.PING: "ping", Kind.TRACEROUTE: "traceroute"}


def _details(observations: list[Numbers], failure: str) -> str:
    details = [one["failure_detail"] for one in observations if one["failure"] == failure and one["failure_detail"]]
    if not details:
        return ""
    return f" ({said(details[0])})" if len(set(details)) == 1 else f" ({counted(details)})"
