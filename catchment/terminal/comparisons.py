"""Two runs: who moved, who lost the service or was caught, and whose way is longer."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.terminal.cells import add_row, clip, harmless, ms, percent, table, target_title
from catchment.terminal.columns import Beside

_LONGEST = 1000  # of a summary, in which sites may have names of any length
_QUOTED = 60
_MOST_NETWORKS = 10
_MOST_NAMED = 5
_MOST_PATHS = 3
_MOST_HOPS = 5  # of either path; `--json` has more
_ALARM = "bold red"


def show_comparison(numbers: Numbers) -> RenderableType:
    """Lay out what moved between two runs."""
    parts: list[RenderableType] = [
        Text(f"before  {harmless(numbers['before'])}"),
        Text(f"after   {harmless(numbers['after'])}"),
        Text("both assigned with " + ", ".join(f"{k} {v}" for k, v in numbers["service_digest"].items()), style="dim"),
    ]
    for target in numbers["targets"]:
        parts += ["", target_title(target), Text(clip(target["summary"], _LONGEST), style="bold")]
        if target["moves"]:
            parts.append(_moves_table(target))
        parts += _heard(target["caught"], "Answered by somebody else now")
        parts += _heard(target["freed"], "No longer answered by somebody else")
        if target["sites"]:
            parts.append(_balance_table(target, numbers["level"]))
        if not target["paired"]:
            parts += _excluded(target)
            continue
        if "groups" in target:
            parts.append(_moved_groups_table(target))
        unmoved = target["rtt_ms"]["unmoved"]
        parts.append(
            Text(
                f"Total variation {percent(target['total_variation'])}. Of those that moved, "
                f"{target['moved_flapping']} flap within a run. Those that stayed: median RTT "
                f"{ms(unmoved['before'])} → {ms(unmoved['after'])} ms."
            )
        )
        parts += _delays(target)
        if target["paths"] is not None:
            parts += _paths(target["paths"])
        parts += _excluded(target)
    return Group(*parts)


def _heard(caught: Numbers, what: str) -> Iterator[Text]:
    """Yield who it is that answers, and whom."""
    if not caught["vantage_points"]:
        return
    names = [f"“{clip(one['text'], _QUOTED)}” {one['vantage_points']:,}" for one in caught["identities"]]
    networks = _counted({f"AS{key}" if key.isdecimal() else key: count for key, count in caught["asns"].items()})
    who = [clip(one["vantage"], _QUOTED) for one in caught["listed"]]
    more = caught["vantage_points"] - min(len(who), _MOST_NETWORKS)
    yield Text(
        f"{what}: {_first(names, _MOST_NAMED)}. By country: "
        f"{_first(_counted(caught['countries']), _MOST_NETWORKS)}; by AS: "
        f"{_first(networks, _MOST_NETWORKS)}. "
        f"{', '.join(who[:_MOST_NETWORKS])}{f' and {more:,} more' if more > 0 else ''}.",
        style=_ALARM if caught["news"] else "",
    )


def _delays(target: Numbers) -> Iterator[Text]:
    """Yield who takes longer to the same site, and who takes less."""
    for change in ("slower", "faster"):
        found = target[change]
        if found["vantage_points"]:
            listed = [
                f"{clip(one['vantage'], _QUOTED)} ({clip(one['site'], _QUOTED)}) {_rise(one)}"
                for one in found["listed"]
            ]
            yield Text(
                f"{change.capitalize()} at the same site: {found['vantage_points']:,} of {found['of']:,}, median "
                f"{_rise(found)} ms: {_first(listed, _MOST_NAMED)}."
            )


def _paths(paths: Numbers) -> Iterator[RenderableType]:
    """Yield how many paths to the same site are others, and where the first of them part."""
    compared = many(paths["compared"], "vantage point")
    joined, left = (_first(_counted(paths[f"countries_{key}"]), _MOST_NETWORKS) for key in ("joined", "left"))
    through = f" Now through {joined};" if paths["countries_joined"] else ""
    through += f" no more through {left}." if paths["countries_left"] else ""
    yield Text(
        f"Paths of {compared} that stayed: {paths['changed']:,} changed, {paths['longer']:,} longer."
        + (f"{through.rstrip(';.')}." if through else "")
    )
    if not paths["listed"]:
        return
    listed = paths["listed"][:_MOST_PATHS]
    ways = [_parting(one["before"], one["after"]) for one in listed]
    yield Beside(
        [
            ("Vantage point", [clip(one["vantage"], _QUOTED) for one in listed]),
            ("Site", [clip(one["site"], _QUOTED) for one in listed]),
            (">RTT before", [ms(one["rtt_ms_before"]) for one in listed]),
            (">after ms", [ms(one["rtt_ms_after"]) for one in listed]),
        ],
        [("Path was", [_way(was) for was, _ in ways]), ("is now", [_way(now) for _, now in ways])],
    )


def _parting(before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    """Leave out the hops that two paths begin with alike, but for their times."""
    same = 0
    for one, other in zip(before, after, strict=False):
        if _router(one) != _router(other):
            break
        same += 1
    return before[same:], after[same:]


def _router(hop: str) -> str:
    return hop.removesuffix(" ms").rpartition(" ")[0] or hop


def _way(hops: list[str]) -> Text:
    shown = [clip(hop, _QUOTED) for hop in hops[:_MOST_HOPS]]
    more = [f"… {len(hops) - _MOST_HOPS} more"] if len(hops) > _MOST_HOPS else []
    return Text("\n".join([*shown, *more]) or "–")


def _counted(counts: dict[str, int]) -> list[str]:
    return [f"{clip(key, _QUOTED)} {count:,}" for key, count in counts.items()]


def _first(texts: list[str], most: int) -> str:
    return ", ".join(texts[:most]) + (f" and {len(texts) - most:,} more" if len(texts) > most else "")


def _rise(one: Numbers) -> str:
    return f"{ms(one['rtt_ms_before'])} → {ms(one['rtt_ms_after'])}"


def _excluded(target: Numbers) -> list[Text]:
    reasons = ", ".join(f"{harmless(reason)} {count}" for reason, count in target["excluded"].items())
    return [Text(f"Not compared: {reasons}.")] if reasons else []


def _moves_table(target: Numbers) -> Table:
    rows = table("From", "To", ">Vantage points", ">RTT before", ">after ms")
    for move in target["moves"]:
        add_row(
            rows,
            move["from"],
            move["to"],
            str(move["vantage_points"]),
            ms(move["rtt_ms_before"]),
            ms(move["rtt_ms_after"]),
        )
    return rows


def _balance_table(target: Numbers, level: str) -> Table:
    """Lay out who was and is at each site: all of them, and how many of these are not compared."""
    rows = table(level.capitalize(), ">Before", ">After", ">Left", ">Joined", ">Not compared")
    for site in target["sites"]:
        counts = (str(site[key]) for key in ("all_before", "all_after", "left", "joined"))
        beside = [site[f"all_{side}"] - site[side] for side in ("before", "after")]
        add_row(rows, site["site"], *counts, " → ".join(map(str, beside)) if any(beside) else "")
    return rows


def _moved_groups_table(target: Numbers) -> Table:
    rows = table(target["by"].capitalize(), ">Compared", ">Moved", ">Share", ">RTT before", ">after ms")
    for group in target["groups"]:
        add_row(
            rows,
            "unknown" if group["key"] is None else group["key"],
            str(group["paired"]),
            str(group["moved"]),
            percent(group["moved_share"]),
            ms(group["rtt_ms"]["before"]),
            ms(group["rtt_ms"]["after"]),
        )
    return rows
