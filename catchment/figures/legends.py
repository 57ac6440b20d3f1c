"""What the legends of maps say: sites, verdicts and moves, each with its mark and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from catchment.figures.dots import Change, Dot
from catchment.figures.marks import (
    Mark,
    assigned_mark,
    gained_mark,
    lost_mark,
    moved_mark,
    site_mark,
    stayed_mark,
    unassigned_mark,
    unused_site_mark,
)
from catchment.figures.palette import Style
from catchment.figures.sheet import Entry
from catchment.model import ASSIGNED, INTERCEPTED, PLACED, Site, Verdict

_MOST_ROWS = 14
_SYMBOL_AREA = 40.0
_ANY_SITE = Style(colour="#a4aab0", marker="o")
# Verdicts in groups, with what is said of a vantage point that lost its site to one of them, and of one that found one.
_WITHOUT_A_SITE = (
    (INTERCEPTED, "intercepted", "was intercepted"),
    ((Verdict.TIMEOUT, Verdict.UNREACHABLE, Verdict.DNS_DEAD), "no answer", "had no answer"),
    ((Verdict.PROBE_FAILED,), "could not send", "could not send"),
    ((Verdict.NO_RESULT,), "never reported", "had not reported"),
    ((Verdict.UNKNOWN_IDENTITY, Verdict.NO_IDENTITY), "no site named", "named no site"),
    ((Verdict.MALFORMED,), "unreadable answer", "was unreadable"),
)


def site_entries(counts: Counter[str], sites: Sequence[Site], styles: Mapping[str, Style], results: int) -> list[Entry]:
    """Return the sites by how many vantage points reached each; shares are of the `results`."""
    towns = {site.code: site.town for site in sites}
    ranked = sorted(counts, key=lambda code: (-counts[code], code))
    entries = [Entry(text="site", count="vantage points", share="share", is_heading=True)] if ranked else []
    entries += [
        Entry(
            text=f"{code} {towns.get(code, '')}",
            mark=site_mark(styles[code], _SYMBOL_AREA),
            count=f"{counts[code]:,}",
            share=_share(counts[code], results),
        )
        for code in ranked[: _rows(ranked)]
    ]
    rest = ranked[_rows(ranked) :]
    if rest:
        total = sum(counts[code] for code in rest)
        entries.append(Entry(text=f"+ {len(rest)} more sites", count=f"{total:,}", share=_share(total, results)))
    return entries


def verdict_entries(shown: Sequence[Dot], results: int) -> list[Entry]:
    """Return what the marks mean that are not simply a site's, each with how many there are."""
    verdicts = Counter(dot.verdict for dot in shown if dot.verdict not in PLACED)
    entries = []
    for verdict in Verdict:
        if verdicts[verdict] == 0:
            continue
        if verdict in ASSIGNED:
            mark = assigned_mark(_ANY_SITE, verdict, _SYMBOL_AREA)
        else:
            mark = unassigned_mark(verdict, _SYMBOL_AREA)
        entries.append(Entry(text=str(verdict), mark=mark, count=f"{verdicts[verdict]:,}"))
    without = sum(dot.verdict not in (*ASSIGNED, Verdict.NO_RESULT) for dot in shown)
    if without:
        entries.append(Entry(text="without a site", count=f"{without:,}", share=_share(without, results)))
    heading = [Entry(text="doubtful or unassigned", is_heading=True)]
    return heading + entries if entries else []


def move_entries(changes: Sequence[Change], styles: Mapping[str, Style]) -> list[Entry]:
    """Return the moves by how many vantage points made each."""
    paired = [(c.before, c.after) for c in changes if c.before is not None and c.after is not None]
    moves = Counter(pair for pair in paired if pair[0] != pair[1])
    ranked = sorted(moves, key=lambda move: (-moves[move], move))
    entries = [Entry(text="move", count="vantage points", share="share", is_heading=True)] if ranked else []
    entries += [
        Entry(
            text=f"{move[0]} → {move[1]}",
            mark=moved_mark(styles[move[0]], styles[move[1]], _SYMBOL_AREA * 0.55),
            count=f"{moves[move]:,}",
            share=_share(moves[move], len(paired)),
        )
        for move in ranked[: _rows(ranked)]
    ]
    rest = ranked[_rows(ranked) :]
    if rest:
        total = sum(moves[move] for move in rest)
        entries.append(Entry(text=f"+ {len(rest)} more moves", count=f"{total:,}", share=_share(total, len(paired))))
    return entries


def change_entries(changes: Sequence[Change], styles: Mapping[str, Style]) -> list[Entry]:
    """Return how many moved and stayed, and by what was the matter how many lost their site, found one or had none."""
    first = next(iter(styles.values()), _ANY_SITE)
    paired = [change for change in changes if change.before is not None and change.after is not None]
    moved = sum(change.before != change.after for change in paired)
    lost = Counter(change.verdict_after for change in changes if change.before is not None and change.after is None)
    gained = Counter(change.verdict_before for change in changes if change.before is None and change.after is not None)
    neither = len(changes) - len(paired) - lost.total() - gained.total()
    entries = [
        Entry(
            text="moved: ring → dot",
            mark=moved_mark(_ANY_SITE, Style(colour="#5f6468", marker="o"), _SYMBOL_AREA * 0.55),
            count=f"{moved:,}",
            share=_share(moved, len(paired)),
        ),
        Entry(
            text="stayed",
            mark=stayed_mark(first, _SYMBOL_AREA),
            count=f"{len(paired) - moved:,}",
            share=_share(len(paired) - moved, len(paired)),
        ),
    ]
    for verdicts, text, _ in _WITHOUT_A_SITE:
        mark = lost_mark(_ANY_SITE, verdicts[0], _SYMBOL_AREA * 0.7)
        entries += _counted(f"lost: {text}", mark, sum(lost[verdict] for verdict in verdicts))
    for verdicts, _, text in _WITHOUT_A_SITE:
        mark = gained_mark(_ANY_SITE, _SYMBOL_AREA * 0.7)
        entries += _counted(f"gained: {text}", mark, sum(gained[verdict] for verdict in verdicts))
    return entries + _counted("no site before or after", unassigned_mark(Verdict.NO_RESULT, _SYMBOL_AREA), neither)


def _counted(text: str, mark: Mark, count: int) -> list[Entry]:
    return [Entry(text=text, mark=mark, count=f"{count:,}")] if count else []


def notes(text: str, outside: int, has_ticks: bool) -> list[Entry]:  # noqa: FBT001
    """Return `text` with how many lie outside the map, and what else it shows."""
    ticks = [Entry(text="listed, served nobody here", mark=unused_site_mark())] if has_ticks else []
    return [Entry(text=text, count=f"{outside:,}"), *ticks] if outside else ticks


def _rows(ranked: Sequence[object]) -> int:
    """Return how many get a row of their own; a row that says "+ 1 more" takes as much room as the one itself."""
    return len(ranked) if len(ranked) <= _MOST_ROWS + 1 else _MOST_ROWS


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else ""
