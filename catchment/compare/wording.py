"""What a comparison found, in a few sentences: first what concerns most vantage points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from catchment.compare.losses import SEVERAL
from catchment.compare.moves import NAMELESS
from catchment.compare.sides import UNHEARD
from catchment.compare.surplus import are_lost_together, is_news
from catchment.metrics import Numbers
from catchment.metrics.wording import cut, many
from catchment.model import Level, Verdict

_NAMED = 3
_QUOTED = 60
# An alarm goes before the moves if it concerns more vantage points than these, and a twentieth of those that there are:
# one of a thousand probes is always filtered, or caught by a box of its own.
_NOTICED = 20
_SILENT = (Verdict.UNREACHABLE, Verdict.TIMEOUT)

Alarm = tuple[int, str]
"""How many vantage points it concerns (none, where chance may have made it), and what it says."""


def summary(found: Numbers, level: Level = Level.SITE) -> str:
    """Say in a few sentences what the comparison of one target found: first what concerns most vantage points."""
    alarms = [*_caught(found), *_freed(found), *_vanished(found), *_dead(found), *_appeared(found)]
    known = found["reached"] or found["only_after"]
    first = [said for count, said in alarms if count > found["moved"] and _NOTICED * count >= known]
    others = [said for _, said in alarms if said not in first]
    moved = _moved(found, level) if found["paired"] or not first else []
    rest = _unpaired(found)
    if found["paired"] and _outweighed(found) and not first:
        return " ".join([*rest, *moved, *others, *_ways(found)])
    return " ".join([*first, *moved, *others, *rest, *_ways(found)])


def _moved(found: Numbers, level: Level) -> list[str]:
    paired, moved, nameless = found["paired"], found["moved"], found["excluded"].get(NAMELESS, 0)
    where = "" if level is Level.SITE else f" to another {level}"
    if paired == 0 and nameless:
        return [f"No identity names the server of {_points(nameless)}: compare with --level site."]
    if paired == 0:
        return ["No vantage point reached a site both before and after."]
    if moved == 0:
        return [
            f"None of {_points(paired)}{' that reached a site both times' if _outweighed(found) else ''} moved{where}."
        ]
    return [f"{moved} of {_points(paired)} moved{where} ({100 * moved / paired:.1f} %): {_named_moves(found)}."]


def _caught(found: Numbers) -> Iterator[Alarm]:
    caught = found["caught"]
    alone, partly = _told(found, "caught")
    if alone:
        weight = alone if caught["news"] else 0
        yield weight, f"{alone} of {_points(caught['of'])} now {_s(alone, 'hears', 'hear')} {_names(caught, 'alone')}."
    if partly:
        heard = "" if alone else f" {_names(caught, 'vantage_points')}"
        who = f"{partly} more" if alone else f"{partly} of {_points(caught['of'])}"
        yield partly, f"{who} now and then {_s(partly, 'hears', 'hear')}{heard or ' somebody else'}."


def _freed(found: Numbers) -> Iterator[Alarm]:
    """Yield who was answered by somebody else and is no more."""
    freed = found["freed"]
    count = sum(_told(found, "freed"))
    whose = "vantage_points" if freed["news"] else "alone"
    if count:
        weight = count if freed["news"] else 0
        yield (
            weight,
            f"{count} of {_points(freed['of'])} no longer {_s(count, 'hears', 'hear')} {_names(freed, whose)}.",
        )


def _told(found: Numbers, change: str) -> tuple[int, int]:
    """Count who is worth a sentence: heard nobody else, and chance turned nobody round; and the rest, if it is news."""
    one, other = found[change], found["freed" if change == "caught" else "caught"]
    alone = one["alone"] if one["news"] or not other["alike"]["alone"] else 0
    return alone, one["vantage_points"] - one["alone"] if one["news"] else 0


def _names(caught: Numbers, whose: str) -> str:
    """Name whom they hear, the most frequent first: all `vantage_points` that are caught, or those `alone`."""
    heard = sorted((one for one in caught["identities"] if one[whose]), key=lambda one: -one[whose])
    texts = [f"'{cut(one['text'], _QUOTED)}'" for one in heard[:_NAMED]]
    different = caught["different"][whose]
    if different == 1:
        return f"{texts[0]}, which is none of the service's"
    more = f" and {different - _NAMED} more" if different > _NAMED else ""
    return f"identities that are none of the service's: {', '.join(texts)}{more}"


def _vanished(found: Numbers) -> Iterator[Alarm]:
    """Yield who gets no answer at all any more."""
    verdicts = _silent(found["lost"])
    gone, reached = sum(verdicts.values()), found["reached"]
    if not gone:
        return
    reach = _s(gone, "reaches", "reach")
    said = f"{gone} of {_points(reached)} that reached a site {reach} none now ({_counted(verdicts)})"
    if back := _came_back(found):
        count = sum(back.values())
        said += f"; {count} that reached none before {_s(count, 'does', 'do')} now ({_counted(back)})"
    there = [one for one in found["lost_at"] if one["vantage_points"]]
    if gone == reached >= SEVERAL and not back:
        pinged = Verdict.UNREACHABLE in verdicts
        why = "the address seems to be withdrawn"
        yield gone, f"{said}: {why}." if pinged else f"{said}: {why}, or its servers are dead; a ping would tell."
    elif len(there) == 1 and gone < reached and not back:
        all_of = "all" if there[0]["of"] == gone else f"{gone} of the {there[0]['of']}"
        yield gone, f"{said}: {all_of} that were at {there[0]['site']}."
    else:
        yield gone, f"{said}."


def _came_back(found: Numbers) -> dict[str, int]:
    """Count who got no answer at all before and reaches a site now, beside those who are lost: chance makes as many."""
    return _silent(found["found"]) if _silent(found["lost"]) and not any(_appeared(found)) else {}


def _silent(entries: Sequence[Numbers]) -> dict[str, int]:
    return {one["verdict"]: one["vantage_points"] for one in entries if one["verdict"] in _SILENT}


def _counted(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())


def _dead(found: Numbers) -> Iterator[Alarm]:
    """Yield the sites at which all whose pings are answered get no DNS any more, more than lose a query elsewhere."""
    dead = _dead_sites(found)
    if not dead:
        return
    count = sum(one["vantage_points"] for one in dead)
    sites = [one["site"] for one in dead]
    routes = "its route stays" if len(sites) == 1 else "their routes stay"
    yield (
        count,
        f"{_points(count)}: pings are answered, DNS is not: the servers at {_listed(sites)} seem dead while {routes}.",
    )


def _dead_sites(found: Numbers) -> list[Numbers]:
    beside = found["dead_beside"]
    return [
        one
        for one in found["dead"]
        if one["vantage_points"] == one["of"] >= SEVERAL
        and are_lost_together(
            one["of"], lost_elsewhere=beside["vantage_points"], elsewhere=beside["of"], groups=beside["sites"]
        )
    ]


def _appeared(found: Numbers) -> Iterator[Alarm]:
    """Yield who reaches a site now, where nobody did before."""
    heard = {one["verdict"]: one["vantage_points"] for one in found["found"] if one["verdict"] not in UNHEARD}
    count = sum(heard.values())
    if count >= SEVERAL and not found["paired"] and not found["only_before"]:
        counted = _counted(dict(list(heard.items())[:_NAMED]))
        yield count, f"{_points(count)} reach a site now, and none did before ({counted})."


def _unpaired(found: Numbers) -> list[str]:
    """Say how many more reached a site on one side only, and what was the matter on the other."""
    told = Counter(_silent(found["lost"]))
    told[Verdict.DNS_DEAD] = sum(one["of"] for one in _dead_sites(found))
    told[Verdict.FOREIGN_IDENTITY], _ = _told(found, "caught")
    freed, _ = _told(found, "freed")
    back = Counter(_came_back(found)) + Counter({Verdict.FOREIGN_IDENTITY: freed})
    lost = [(one["verdict"], one["vantage_points"] - told[one["verdict"]]) for one in found["lost"]]
    new = [(one["verdict"], one["vantage_points"] - back[one["verdict"]]) for one in found["found"]]
    if any(_appeared(found)):
        new = [(verdict, count) for verdict, count in new if verdict in UNHEARD]
    sides = []
    for side, other, verdicts in (("before", "after", lost), ("after", "before", new)):
        some = [(verdict, count) for verdict, count in verdicts if count > 0]
        if some:
            reasons = ", ".join(f"{verdict} {count}" for verdict, count in some[:_NAMED])
            sides.append(f"{sum(count for _, count in some)} reached a site only {side} ({other}: {reasons})")
    return [f"{', '.join(sides)}."] if sides else []


def _ways(found: Numbers) -> list[str]:
    """Say who takes a longer way to the same site, if more do than chance explains."""
    paths, slower, faster = found["paths"], found["slower"], found["faster"]
    told = []
    is_leak = paths is not None and all(
        is_news(ways["slower"], ways["faster"], paths["compared"]) for ways in (paths, paths["alike"])
    )
    if not is_leak and is_news(slower["vantage_points"], faster["vantage_points"], slower["of"]):
        count = slower["vantage_points"]
        ending = ": the same site, by a longer way or over a busier one" + (
            "" if paths else "; a traceroute would tell"
        )
        told.append(
            f"{count} of {slower['of']} that stayed {_s(count, 'is', 'are')} slower now (median "
            f"{slower['rtt_ms_before']:.1f} → {slower['rtt_ms_after']:.1f} ms){ending}."
        )
    if is_leak:
        through, by = paths["leads_through"], f"+{paths['rise_ms']:.0f} ms"
        where = f", and now leads through {_listed(through)} ({by})" if through else f", and slower ({by})"
        told.append(
            f"The path of {paths['slower']} of {paths['compared']} unmoved vantage points is another{where}: the same "
            "site by a longer way, as after a route leak."
        )
    return told


def _outweighed(found: Numbers) -> bool:
    """Tell whether more vantage points lost or found a site altogether than can be compared."""
    return bool(max(found["only_before"], found["only_after"]) > found["paired"])


def _named_moves(found: Numbers) -> str:
    top = ", ".join(f"{move['from']} → {move['to']} {move['vantage_points']}" for move in found["moves"][:_NAMED])
    more = len(found["moves"]) - _NAMED
    others = f" and {more} other moves" if more > 1 else " and one other move" if more == 1 else ""
    latency = found["rtt_ms"]["moved"]
    if latency["before"] is None or latency["after"] is None:
        return top + others
    return f"{top}{others}; their median RTT went from {latency['before']:.1f} to {latency['after']:.1f} ms"


def _points(count: int) -> str:
    return many(count, "vantage point")


def _s(count: int, one: str, more: str) -> str:
    return one if count == 1 else more


def _listed(texts: Sequence[str]) -> str:
    named = [cut(text, _QUOTED) for text in texts[:_NAMED]]
    if len(texts) > _NAMED:
        return f"{', '.join(named)} and {len(texts) - _NAMED} more"
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
