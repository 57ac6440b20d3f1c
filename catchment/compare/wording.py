"""What a comparison found, in a few sentences: first what concerns most vantage points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from catchment.compare.moves import NAMELESS
from catchment.metrics import Numbers
from catchment.model import Level, Verdict

_NAMED = 3
_QUOTED = 60
# An alarm goes before the moves if it concerns more vantage points than these, and a twentieth of those that there are:
# one of a thousand probes is always filtered, or caught by a box of its own.
_NOTICED = 20
_SILENT = (Verdict.UNREACHABLE, Verdict.TIMEOUT)
_SEVERAL = 2

Alarm = tuple[int, str]
"""How many vantage points it concerns, and what it says."""


def summary(found: Numbers, level: Level = Level.SITE) -> str:
    """Say in a few sentences what the comparison of one target found: first what concerns most vantage points."""
    alarms = [*_caught(found), *_vanished(found), *_dead(found), *_appeared(found)]
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
        return [f"No identity names the server of {_many(nameless)}: compare with --level site."]
    if paired == 0:
        return ["No vantage point reached a site both before and after."]
    if moved == 0:
        return [f"None of {_many(paired)}{' that did both times' if _outweighed(found) else ''} moved{where}."]
    return [f"{moved} of {_many(paired)} moved{where} ({100 * moved / paired:.1f} %): {_named_moves(found)}."]


def _caught(found: Numbers) -> Iterator[Alarm]:
    caught = found["caught"]
    if caught["alone"]:
        count = caught["alone"]
        yield count, f"{count} of {_many(caught['of'])} now {_s(count, 'hears', 'hear')} {_names(caught)}."
    partly = caught["vantage_points"] - caught["alone"]
    if partly:
        heard = "" if caught["alone"] else f" {_names(caught)}"
        who = f"{partly} more" if caught["alone"] else f"{partly} of {_many(caught['of'])}"
        yield partly, f"{who} now and then {_s(partly, 'hears', 'hear')}{heard or ' somebody else'}."


def _names(caught: Numbers) -> str:
    identities = caught["identities"]
    texts = [f"'{_cut(one['text'])}'" for one in identities[:_NAMED]]
    if len(identities) == 1:
        return f"{texts[0]}, which is none of the service's"
    more = f" and {len(identities) - _NAMED} more" if len(identities) > _NAMED else ""
    return f"identities that are none of the service's: {', '.join(texts)}{more}"


def _vanished(found: Numbers) -> Iterator[Alarm]:
    """Yield who gets no answer at all any more."""
    verdicts = {one["verdict"]: one["vantage_points"] for one in found["lost"] if one["verdict"] in _SILENT}
    gone, reached = sum(verdicts.values()), found["reached"]
    if not gone:
        return
    counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    said = f"{gone} of {_many(reached)} that reached a site {_s(gone, 'reaches', 'reach')} none now ({counted})"
    there = [one for one in found["lost_at"] if one["vantage_points"]]
    if gone == reached >= _SEVERAL:
        pinged = Verdict.UNREACHABLE in verdicts
        why = "the address seems to be withdrawn"
        yield gone, f"{said}: {why}." if pinged else f"{said}: {why}, or its servers are dead; a ping would tell."
    elif len(there) == 1 and gone < reached:
        all_of = "all" if there[0]["of"] == gone else f"{gone} of the {there[0]['of']}"
        yield gone, f"{said}: {all_of} that were at {there[0]['site']}."
    else:
        yield gone, f"{said}."


def _dead(found: Numbers) -> Iterator[Alarm]:
    """Yield the sites at which all whose pings are answered get no DNS any more."""
    dead = [one for one in found["dead"] if one["vantage_points"] == one["of"]]
    if not dead:
        return
    count = sum(one["vantage_points"] for one in dead)
    sites = [one["site"] for one in dead]
    routes = "its route stays" if len(sites) == 1 else "their routes stay"
    seem = "seem" if count >= _SEVERAL else "may be"
    yield (
        count,
        f"{_many(count)}: pings are answered, DNS is not: the servers at {_listed(sites)} {seem} dead while {routes}.",
    )


def _appeared(found: Numbers) -> Iterator[Alarm]:
    """Yield who reaches a site now, where nobody did before."""
    count = found["only_after"]
    if count >= _SEVERAL and not found["paired"] and not found["only_before"]:
        counted = ", ".join(f"{one['vantage_points']} {one['verdict']}" for one in found["found"][:_NAMED])
        yield count, f"{_many(count)} reach a site now, and none did before ({counted})."


def _unpaired(found: Numbers) -> list[str]:
    """Say how many more reached a site on one side only, and what was the matter on the other."""
    told = Counter[str]()
    for verdict in _SILENT:
        told[verdict] = sum(one["vantage_points"] for one in found["lost"] if one["verdict"] == verdict)
    told[Verdict.DNS_DEAD] = sum(one["of"] for one in found["dead"] if one["vantage_points"] == one["of"])
    if found["caught"]["alone"]:
        told[Verdict.FOREIGN_IDENTITY] = found["caught"]["alone"]
    lost = [(one["verdict"], one["vantage_points"] - told[one["verdict"]]) for one in found["lost"]]
    new = [] if any(_appeared(found)) else [(one["verdict"], one["vantage_points"]) for one in found["found"]]
    sides = []
    for side, other, verdicts in (("before", "after", lost), ("after", "before", new)):
        some = [(verdict, count) for verdict, count in verdicts if count > 0]
        if some:
            reasons = ", ".join(f"{verdict} {count}" for verdict, count in some[:_NAMED])
            sides.append(f"{sum(count for _, count in some)} reached a site only {side} ({other}: {reasons})")
    return [f"{', '.join(sides)}."] if sides else []


def _ways(found: Numbers) -> list[str]:
    """Say who takes a longer way to the same site; a few of many are chance, and as many may be faster."""
    paths, slower, faster = found["paths"], found["slower"], found["faster"]
    told = []
    noticed = _NOTICED * slower["vantage_points"] >= slower["of"]
    is_leak = paths is not None and paths["slower"] and _NOTICED * paths["slower"] >= paths["compared"]
    if slower["vantage_points"] > 2 * faster["vantage_points"] and noticed and not is_leak:
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


def _many(count: int) -> str:
    return f"{count} vantage point{'' if count == 1 else 's'}"


def _s(count: int, one: str, more: str) -> str:
    return one if count == 1 else more


def _listed(texts: Sequence[str]) -> str:
    named = [_cut(text) for text in texts[:_NAMED]]
    if len(texts) > _NAMED:
        return f"{', '.join(named)} and {len(texts) - _NAMED} more"
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def _cut(text: str) -> str:
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
