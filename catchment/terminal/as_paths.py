"""AS paths before and after a change, in few words, and what their networks are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from catchment.metrics import Numbers
from catchment.terminal.cells import clip

_QUOTED = 40
_NUMBER = re.compile(r"\b\d+")
_TIMES = "\N{MULTIPLICATION SIGN}"


def as_path(side: Numbers | None) -> str:
    """Show an AS path; a network that is named several times in a row once, with how often."""
    return " ".join(_networks(side)) or "no route"


def as_paths(before: Numbers | None, after: Numbers | None) -> str:
    """Show an AS path where it changed, without what both begin with; that of one side alone as it is."""
    if before is None or after is None:
        return as_path(before or after)
    was, now = _networks(before), _networks(after)
    if was == now:
        return ""
    if not was or not now:
        return f"no route before, {as_path(after)}" if now else "no route"
    same = 0
    while same < min(len(was), len(now)) - 1 and was[same] == now[same]:
        same += 1
    return f"{' '.join(was)} → {' '.join(['…', *now[same:]] if same else now)}"


def named(rows: Sequence[Numbers], names: Mapping[str, str]) -> str:
    """Name the networks of the AS paths that rows with `before` and `after` show; nothing where none is shown."""
    shown = {word for row in rows for word in _NUMBER.findall(as_paths(row["before"], row["after"]))}
    asns = sorted(int(word) for word in shown)
    told = [f"{asn} {clip(names[str(asn)], _QUOTED)}" for asn in asns if str(asn) in names]
    return f"AS {', '.join(told)}." if told else ""


def _networks(side: Numbers | None) -> list[str]:
    path = (side or {}).get("bgp_path") or (side or {}).get("as_path") or ()
    counts = Counter(path)
    return [f"{asn}{_TIMES}{counts[asn]}" if counts[asn] > 1 else f"{asn}" for asn in dict.fromkeys(path)]
