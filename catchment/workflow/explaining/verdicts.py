"""Why a vantage point got its verdict, in plain sentences that a newcomer understands and an operator can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from catchment.assign import RULES
from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.model import Outcome, Verdict
from catchment.workflow.explaining.cases import Case, asked_for, judged_packet
from catchment.workflow.explaining.circumstances import circumstances
from catchment.workflow.explaining.refusing import is_refused_by_target, refusals, refusing
from catchment.workflow.explaining.wording import counted, km, least_time, listed, ms, part_of, plain, said

_ECHO = ("ping or traceroute", "pings and traceroutes")
_QUERY = ("DNS query", "DNS queries")
_SEVERAL = 2
_SOMEBODY = "Somebody else answered in the service's place:"


def explain(case: Case) -> list[str]:
    """Return the sentences: where it is, what was judged and by which rules, then what else bears on it."""
    return [_where(case), _VERDICTS[Verdict(case.assignment["verdict"])](case), *_rules(case), *circumstances(case)]


def _where(case: Case) -> str:
    place = case.place
    asn = place["asn_v6"] if case.assignment["af"] == 6 else place["asn_v4"]
    network = "an unknown AS" if asn is None else f"AS{asn}"
    country = plain(place["country"]) if place["country"] else "an unknown country"
    anchor = ", an anchor," if place["is_anchor"] else ""
    if place["latitude"] is None or place["longitude"] is None:
        where = f"is in {country}, {network}; nobody knows where, so no distance can be told."
    else:
        where = f"says that it is at {_degrees(place['latitude'], place['longitude'])} in {country}, {network}."
        where += _default_place(case)
    # What its host says of it comes before what the platform found out.
    tags = sorted(place["tags"] or (), key=lambda tag: tag.startswith("system-"))
    tagged = f" Its tags: {listed([plain(tag) for tag in tags])}." if tags else ""
    return f"{plain(place['vantage'])}{anchor} {where}{tagged}"


def _default_place(case: Case) -> str:
    """Say of a place that is hardly its own that it may be made up."""
    signs = []
    if all(float(case.place[key]).is_integer() for key in ("latitude", "longitude")):
        signs.append("these are whole degrees")
    if case.same_place >= _SEVERAL:
        signs.append(f"{case.same_place:,} other vantage points say exactly the same")
    if not signs:
        return ""
    reason = " and ".join(signs)
    return f" {reason[0].upper()}{reason[1:]}: that looks like the default of a country or town."


def _degrees(latitude: float, longitude: float) -> str:
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):.2f}° {north} {abs(longitude):.2f}° {east}"


def _rules(case: Case) -> Iterator[str]:
    for rule in dict.fromkeys((case.assignment["rule"], case.assignment["site_rule"])):
        if rule is not None:
            yield f"Rule {rule}: {RULES[rule]}."


def _reached(case: Case) -> str:
    if case.assignment["site_rule"] is None:
        return f"It reached {case.assigned_site}. No server said so, but what else was measured tells it."
    return f"It reached {case.assigned_site}: {_naming(case, 'it')}."


def _repaired(case: Case) -> str:
    return f"It reached {case.assigned_site}: {_naming(case, 'it')}. That identity was damaged on its way."


def _naming(case: Case, site: str) -> str:
    """Say how many answers named the site, and how."""
    row = case.assignment
    named = [one for one in case.with_outcome(Outcome.IDENTIFIED) if one["site"] == row["site"]]
    share = part_of(len(named), case.answers, "answer")
    names = Counter(one["judged_identity"] for one in named)
    is_most = all(names[row["identity"]] > count for name, count in names.items() if name != row["identity"])
    if not is_most:
        texts = [f"{said(name)} {count:,}" for name, count in names.most_common()]
        return f"{share} named {site}, as {listed(texts)}"
    sources = Counter(
        one["identity_source"] if one["identity"] == row["identity"] else one["second_identity_source"]
        for one in named
        if row["identity"] == one["judged_identity"]
    )
    details = [f"in {plain(source)}" for source, _ in sources.most_common(1)]
    details += [f"server {plain(row['server'])}"] if row["server"] is not None else []
    inside = f" ({', '.join(details)})" if details else ""
    often = "most often " if len(names) > 1 else ""
    return f"{share} named {site}, {often}as {said(row['identity'])}{inside}"


def _impossible(case: Case) -> str:
    if case.assignment["rule"] == "faster-than-ping":
        return f"{_accusation(case)}. Pings take longer: so a box on the way answered in the name of that site."
    return (
        f"{_accusation(case)}. So something nearer answered in the name of that site, such as a box on the way that "
        "replays answers, or the vantage point is not where it says."
    )


def _mislocated(case: Case) -> str:
    others = [
        f"{plain(row['service'])} at {row['target']} named {plain(row['site'])}, {km(row['distance_km'])} away, "
        f"and {_back_in(row)}"
        for row in case.elsewhere
        if row["verdict"] == Verdict.MISLOCATED
    ]
    return (
        f"{_accusation(case)}. The same holds at {many(len(others), 'other target')} ({listed(others, '; ')}), and "
        "there is a place from which all of them could be reached in these times. So the vantage point is not where it "
        "says."
    )


def _accusation(case: Case) -> str:
    named = _naming(case, case.assigned_site)
    return f"{named[0].upper()}{named[1:]}. But {_too_fast(case)}"


def _too_fast(case: Case) -> str:
    row = case.assignment
    if row["distance_km"] is None:
        return f"{_back_in(row)}, faster than light allows"
    return f"{_back_in(row)}, and that site is {km(row['distance_km'])} away: {least_time(row['distance_km'])}"


def _back_in(row: Numbers) -> str:
    rtt_ms, packet = judged_packet(row)
    time = "too early" if rtt_ms is None else f"in {ms(rtt_ms)}"
    return f"{'an' if packet == 'answer' else 'a'} {packet} came back {time}"


def _foreign(case: Case) -> str:
    row, foreign = case.assignment, case.with_outcome(Outcome.FOREIGN)
    share = part_of(row["foreign_identity"], case.answers, "answer")
    if row["rule"] == "class-mismatch":
        classes = Counter((one["question_class"], one["class"]) for one in foreign if one["rule"] == "class-mismatch")
        asked, came = classes.most_common(1)[0][0] if classes else ("one", "another")
        return (
            f"{_SOMEBODY} asked in class {plain(asked)}, it answered in class {plain(came)} with "
            f"{said(row['identity'])} ({share} without an identity of {case.name}). Servers answer in the class of the "
            "question."
        )
    return f"{_SOMEBODY} {said(row['identity'])}, which is no identity of {case.name}, in {share}{asked_for(foreign)}."


def _unknown(case: Case) -> str:
    row = case.assignment
    share = part_of(row["unknown_identity"], case.answers, "answer")
    if row["rule"] == "nothing-to-match":
        return f"The identity is {said(row['identity'])} in {share}, but the file of {case.name} tells no site by it."
    return (
        f"The identity is {said(row['identity'])} in {share}. It has the form of those of {case.name}, but names no "
        "site in its file: the site is new, or the file is old. Until the file lists it, no site is assigned."
    )


def _error(case: Case) -> str:
    errors = case.with_outcome(Outcome.ERROR)
    share = part_of(case.assignment["errors"], case.answers, "answer")
    return (
        f"{_SOMEBODY} an error ({counted(one['rcode'] for one in errors)}) in {share}{asked_for(errors)}. {case.name} "
        "itself always answers that query with an identity."
    )


def _empty(case: Case) -> str:
    empty = case.with_outcome(Outcome.EMPTY)
    share = part_of(case.assignment["empty"], case.answers, "answer")
    return (
        f"{_SOMEBODY} no usable identity ({counted(one['rcode'] for one in empty)}) in {share}{asked_for(empty)}. "
        f"{case.name} itself always gives one."
    )


def _no_identity(case: Case) -> str:
    row = case.assignment
    if row["rule"] == "witnesses-disagree":
        sites = sorted({one["site"] for one in case.evidence if one["possible"] is not False})
        return (
            "The target answers, but no identity tells which site, and what else was measured contradicts itself: it "
            f"speaks for {listed([case.site(code) for code in sites], ' and for ')}. So no site is assigned."
        )
    if row["rule"] == "no-identity-asked":
        return (
            f"The target answered {part_of(row['pings_answered'], case.echoes, *_ECHO)}, so it can be reached. No "
            "query for an identity has a result, and nothing else tells which site it was."
        )
    replies = [*case.with_outcome(Outcome.ERROR), *case.with_outcome(Outcome.EMPTY)]
    if not case.answers:
        beside = case.with_outcome(Outcome.BESIDE)
        return (
            f"{many(row['beside'], 'reply', 'replies')} came back ({counted(one['rcode'] for one in beside)})"
            f"{asked_for(beside)}, which is no query for an identity; nothing else tells which site it was."
        )
    return (
        f"No usable identity in {part_of(row['errors'] + row['empty'], case.answers, 'answer')}"
        f"{asked_for(replies)} ({counted(one['rcode'] for one in replies)}). {case.name} does not promise one to that "
        "query, so this may well be the service itself; nothing else tells which site it was."
    )


def _unreachable(case: Case) -> str:
    row = case.assignment
    pings = many(row["pings_lost"], *_ECHO)
    refused = _refused(case)
    if row["rule"] == "ping-silent":
        return f"{refused or f'Nothing came back: {pings}, no answer.'} DNS was not asked."
    if refused is not None:
        return f"{refused} All else had no answer."
    return (
        f"Nothing came back: {many(row['timeouts'] + row['network_failures'], *_QUERY)} and {pings}, no answer. The "
        "target cannot be reached from here, or all of this is filtered."
    )


def _refused(case: Case) -> str | None:
    """Say who refused what was sent, and what follows from that; None where nobody did."""
    found = refusals(case)
    if not found:
        return None
    follows = ["So its host can be reached."] if is_refused_by_target(case, found) else []
    return " ".join([*refusing(case, found), *follows])


def _dns_dead(case: Case) -> str:
    row = case.assignment
    fastest = "" if row["ping_ms_min"] is None else f", the fastest ping in {ms(row['ping_ms_min'])}"
    answered = f"The target answered {part_of(row['pings_answered'], case.echoes, *_ECHO)}{fastest}, but no DNS"
    found = refusals(case)
    if found:
        silent = f"{many(row['timeouts'], *_QUERY)} had no answer at all."
        return " ".join([f"{answered}.", *refusing(case, found), *([silent] if row["timeouts"] else [])])
    return (
        f"{answered}: {many(row['timeouts'] + row['network_failures'], *_QUERY)} without an answer. So the way there "
        "works; DNS is filtered on it, or the server does not answer."
    )


def _timeout(case: Case) -> str:
    row = case.assignment
    queries, traces = row["timeouts"] + row["network_failures"], row["pings_lost"]
    asked = [many(queries, *_QUERY)] if queries else []
    asked += [many(traces, "traceroute")] if traces else []
    more = "No ping was sent" if traces else "Nothing else was asked"
    refused = _refused(case)
    if refused is not None:
        return f"{refused} {more}."
    return (
        f"Nothing came back: {' and '.join(asked)}, no answer. {more}, so nobody knows whether the target can be "
        "reached at all: a ping would tell."
    )


def _probe_failed(case: Case) -> str:
    times = many(case.assignment["send_failures"], "time")
    return (
        f"The vantage point could not send what it was asked to, {times}. That says something of the vantage point, "
        "and nothing of the service."
    )


def _malformed(case: Case) -> str:
    return f"What came back can be read by nobody: {many(case.assignment['malformed'], 'result')}, broken or cut off."


def _no_result(_: Case) -> str:
    return "It was asked, but no result of it ever came: it was not connected, or its results were lost."


_VERDICTS: dict[Verdict, Callable[[Case], str]] = {
    Verdict.OK: _reached,
    Verdict.REPAIRED: _repaired,
    Verdict.IMPOSSIBLE_RTT: _impossible,
    Verdict.MISLOCATED: _mislocated,
    Verdict.FOREIGN_IDENTITY: _foreign,
    Verdict.UNKNOWN_IDENTITY: _unknown,
    Verdict.INTERCEPTED_ERROR: _error,
    Verdict.INTERCEPTED_EMPTY: _empty,
    Verdict.NO_IDENTITY: _no_identity,
    Verdict.UNREACHABLE: _unreachable,
    Verdict.DNS_DEAD: _dns_dead,
    Verdict.TIMEOUT: _timeout,
    Verdict.PROBE_FAILED: _probe_failed,
    Verdict.MALFORMED: _malformed,
    Verdict.NO_RESULT: _no_result,
}
