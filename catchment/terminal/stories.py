"""The story of a lab's run, on one screen: what it is about, what became of whom, and what happened."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import many, seconds
from catchment.terminal.as_paths import as_paths, named
from catchment.terminal.cells import clip, harmless, ms, target_title
from catchment.terminal.columns import Beside, Column, table_of, width_of
from catchment.terminal.courses import few, gap, settled, who

_LONGEST = 2000
_QUOTED = 40
_MOST_NAMED, _MOST_STEPS = 10, 3
_NOTHING = "–"


def show_story(story: Numbers) -> RenderableType:
    """Lay out a lab's run: what it is about, a row for each vantage point, and what happened."""
    parts: list[RenderableType] = [Text(clip(story["story"]["title"], _LONGEST), style="bold cyan")]
    parts += [Text(clip(paragraph, _LONGEST)) for paragraph in story["story"]["text"]]
    parts.append("")
    parts += _of_one_service(story) if story["walk"] is None else _of_walks(story)
    parts += [_dim(line) for line in _footnotes(story)]
    parts += ["", Text("What happened", style="bold underline"), Text(clip(story["happened"], _LONGEST), style="bold")]
    return Group(*parts, *map(_dim, _commands(story)))


def _dim(text: str) -> Text:
    return Text(text, style="dim")


def _of_one_service(story: Numbers) -> Iterator[RenderableType]:
    """Yield a table for each target; of one that goes like the first of its service, only who goes another way."""
    for target in story["targets"]:
        rows = [row for row in story["vantage_points"] if row["target"] == target["target"]]
        likeness, name = target["likeness"], f"IPv{harmless(target['af'])} ({harmless(target['target'])})"
        if likeness is None:
            yield target_title(target)
            yield _Places(rows, _streams(story, target["target"]))
            yield Text(_catchments(rows))
            continue
        others = [row for row in rows if row["vantage"] in likeness["differing"]]
        alike = len(rows) - len(others)
        if alike:
            same = "the same sites and AS paths" if not others else f"{alike} of {len(rows)} as above"
            yield Text(f"{name}: {same}, round trips within {ms(likeness['rtt_differs_ms'])} ms of those above.")
        if others:
            yield Text(f"{name}{', the others' if alike else ''}:", style="bold" if not alike else "")
            yield _Places(others, _streams(story, target["target"]))
        if likeness["lacking"]:
            yield Text(f"{name}: not asked by {', '.join(map(harmless, likeness['lacking']))}.")


@dataclass(frozen=True, slots=True)
class _Places:
    """A row for each vantage point, with the AS paths that changed: where these make it too wide, they stand below."""

    rows: Sequence[Numbers]
    streams: Mapping[str, Numbers]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        columns, streams = self._columns(), _stream_columns([self.streams.get(row["vantage"]) for row in self.rows])
        paths: Column = ("AS path", [as_paths(row["before"], row["after"]) for row in self.rows])
        whole = table_of([*columns, *streams, paths])
        if width_of(whole, console, options).maximum <= options.max_width:
            yield whole
        else:
            yield Beside(columns, streams, "After")
            yield from _changed_paths("AS paths", self.rows)

    def _columns(self) -> list[Column]:
        rows, sides = self.rows, [side for row in self.rows for side in (row["before"], row["after"])]
        has_pings = any(side and side["ping_ms_min"] is not None for side in sides)
        return [
            ("Point", [row["vantage"] for row in rows]),
            ("Place", [row["place"] for row in rows]),
            ("Before", [_outcome(row["before"], has_pings=has_pings) for row in rows]),
            (">ms", [_rtt(row["before"]) for row in rows]),
            ("After", [_outcome(row["after"], row["before"], has_pings=has_pings) for row in rows]),
            (">ms", [_rtt(row["after"]) for row in rows]),
        ]


def _changed_paths(title: str, rows: Sequence[Numbers]) -> Iterator[Text]:
    """Yield the AS paths that changed, in a line; those of several vantage points may be the same."""
    points: dict[str, list[str]] = {}
    for row in rows:
        points.setdefault(as_paths(row["before"], row["after"]), []).append(harmless(row["vantage"]))
    told = [f"{', '.join(names)} {path}" for path, names in points.items() if path]
    if told:
        yield Text(f"{title}: {'; '.join(told)}.")


def _stream_columns(streams: Sequence[Numbers | None]) -> list[Column]:
    return [
        ("On the way", [_on_the_way(one) if one else "" for one in streams]),
        (">Settled s", [settled(one) if one else "" for one in streams]),
        (">Lost", [str(one["lost"]) if one and one["lost"] else "" for one in streams]),
        (">Gap s", [gap(one) if one else "" for one in streams]),
    ]


def _streams(story: Numbers, target: str) -> dict[str, Numbers]:
    """Return how the vantage points of a target went through the changes, by their names."""
    if story["convergence"] is None:
        return {}
    targets = [one for one in story["convergence"]["targets"] if one["target"] == target]
    return {one["vantage"]: one for target in targets for one in target["vantage_points"]}


def _outcome(judged: Numbers | None, earlier: Numbers | None = None, *, has_pings: bool = False) -> Text:
    """Name the site that was reached, or what was the matter; what changed stands out."""
    if judged is None:
        return Text("")
    if judged["site"] is not None:
        return Text(harmless(judged["site"]), style="bold" if earlier and earlier["site"] != judged["site"] else "")
    if judged["identity"]:
        return Text(clip(judged["identity"], _QUOTED), style="bold red")
    ping = "no ping" if judged["ping_ms_min"] is None else f"ping {ms(judged['ping_ms_min'])}"
    return Text(harmless(judged["verdict"]) + (f", {ping}" if has_pings else ""), style="bold red")


def _rtt(judged: Numbers | None) -> str:
    return "" if judged is None or judged["rtt_ms"] is None else ms(judged["rtt_ms"])


def _on_the_way(stream: Numbers) -> str:
    return few([who(step) for step in stream["on_the_way"]], _MOST_STEPS)


def _catchments(rows: Sequence[Numbers]) -> str:
    """Say how many vantage points reached what."""
    sides = []
    for side in ("before", "after"):
        counts = Counter(_reached(row[side]) for row in rows if row[side] is not None)
        sides.append(", ".join(f"{clip(name, _QUOTED)} {count}" for name, count in counts.most_common(_MOST_NAMED)))
    return f"Catchment of {many(len(rows), 'vantage point')}: {' → '.join(dict.fromkeys(filter(None, sides)))}."


def _reached(judged: Numbers) -> str:
    return str(judged["site"] or judged["identity"] or judged["verdict"])


def _of_walks(story: Numbers) -> Iterator[RenderableType]:
    """Yield for each address family a table of what all services in turn cost each vantage point."""
    families = dict.fromkeys(target["af"] for target in story["targets"])
    for af in families:
        targets = [target for target in story["targets"] if target["af"] == af]
        if len(families) > 1:
            yield Text(f"IPv{harmless(af)}", style="bold")
        yield _walks(story, [row for row in story["walk"] if row["af"] == af], targets)
        for target in targets:
            rows = [row for row in story["vantage_points"] if row["target"] == target["target"]]
            if story["comparison"] is not None:
                yield from _changed_paths(f"AS paths to {clip(target['service'], _QUOTED)}", rows)


def _walks(story: Numbers, walks: Sequence[Numbers], targets: Sequence[Numbers]) -> Beside:
    cells = {(row["vantage"], row["target"]): row for row in story["vantage_points"]}
    streams = {name: went for target in targets for name, went in _streams(story, target["target"]).items()}
    columns: list[Column] = [
        ("Point", [walk["vantage"] for walk in walks]),
        ("Place", [walk["place"] for walk in walks]),
    ]
    for target in targets:
        rows = [cells.get((walk["vantage"], target["target"])) for walk in walks]
        columns.append((f"{target['service']}, ms", [_step(row) for row in rows]))
    columns.append((">Sum, ms", [_sum(walk) for walk in walks]))
    return Beside(columns, _stream_columns([streams.get(walk["vantage"]) for walk in walks]))


def _step(row: Numbers | None) -> str:
    """Show a step of a walk, and what it is afterwards where that is another site or nothing."""
    sides = [row[side] for side in ("before", "after") if row and row[side] is not None]
    if len(sides) > 1 and _reached(sides[0]) == _reached(sides[1]):
        sides = sides[1:]
    return " → ".join(f"{clip(_reached(side), _QUOTED)} {_rtt(side)}".rstrip() for side in sides) or _NOTHING


def _sum(walk: Numbers) -> str:
    return " → ".join(ms(walk[side]["total_ms"]) for side in ("before", "after") if walk[side] is not None)


def _footnotes(story: Numbers) -> Iterator[str]:
    """Yield what the tables' numbers are, and whether they agree with the routes."""
    sites = {_reached(row[side]) for row in story["vantage_points"] for side in ("before", "after") if row[side]}
    for target in story["targets"]:
        if len(target["servers"]) > len(sites) and not target["likeness"]:
            names = [f"{clip(one['text'], _QUOTED)} {one['answers']:,}" for one in target["servers"][:_MOST_NAMED]]
            yield f"Servers that answered, and how often: {', '.join(names)}."
    told = "ms: median round trip of DNS"
    if story["convergence"] is not None:
        spacing_s = story["convergence"]["targets"][0]["resolution_s"]
        every = "" if spacing_s is None else f", a query every {seconds(spacing_s)} s"
        told += f". Of the stream{every}, settled: seconds from the first change on; gap: seconds without an answer"
    yield f"{told}."
    legend = named(story["vantage_points"], story["networks"])
    if legend:
        yield legend
    routed = story["as_routed"]
    yield f"{routed['agree']} of {routed['of']} outcomes are what BIRD's tables lead to."


def _commands(story: Numbers) -> Iterator[str]:
    run = clip(story["run"], _LONGEST)
    if story["comparison"] is None:
        yield f"More: catchment show {shlex.quote(run)}"
        return
    before, after = (shlex.quote(f"{run}[{side}]") for side in ("before", "after"))
    yield f"More: catchment compare {before} {after}; catchment show {after}; catchment map {after}"
