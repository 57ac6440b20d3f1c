"""Tell what happened in a lab's run: the catchment before, the stream through the changes, the catchment after."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from catchment import store
from catchment.campaign import PlatformName, Schedule, load_campaign
from catchment.errors import InvalidFile
from catchment.metrics import Numbers, measure, rounded
from catchment.model import Target, Window
from catchment.platforms.topology import Topology, load_topology
from catchment.workflow.converging import show_convergence
from catchment.workflow.importing import Progress, Say, part_of_progress
from catchment.workflow.keeping import lab_name
from catchment.workflow.loading import Side, load_run, workbench
from catchment.workflow.measuring import run_campaign
from catchment.workflow.showing import compare_runs
from catchment.workflow.words import in_words

_MEASURED = 0.8  # of the whole
_SIDES = ("before", "after")
_TOLD = ("site", "verdict", "identity", "rtt_ms", "ping_ms_min")


def tell_story(path: Path, file: Path | None = None) -> Numbers:
    """Return the story of a lab's run, as `lab run --json` prints it; its campaign `file` says what it is about.

    Of a campaign without changes there is a catchment before, and nothing else. Raises CatchmentError.
    """
    run = store.Run.open(path)
    plan = run.header.plan
    assert plan is not None  # noqa: S101  (only a lab's runs are told of, and they have one)
    topology = load_topology(store.topology_file(path))
    truth = _read_truth(store.truth_file(path))
    sides = _sides(run, truth)
    told: Numbers = {
        "campaign": run.header.campaign,
        "run": str(path),
        "story": read_story(file) if file is not None else {"title": run.header.campaign, "text": []},
        "changes": [{"after_s": change.after_s, "text": in_words(change, topology)} for change in plan.lab.changes],
        "before": None,
        "convergence": None,
        "after": None,
        "comparison": None,
    }
    judged = dict[str, list[Numbers]]()
    for name, side in zip(_SIDES, sides, strict=False):
        told[name], judged[name] = _judged(side)
    if len(sides) > 1:
        told["convergence"] = _convergence(run)
        told["comparison"] = compare_runs(*sides)
    told["targets"] = [
        {key: entry[key] for key in ("service", "target", "af")} | {"servers": entry["identities"]}
        for entry in run.metrics["targets"]
    ]
    told["vantage_points"] = _vantage_points(run, judged, truth, topology)
    told["walk"] = _walk(told["vantage_points"], run.header.targets)
    told["happened"] = " ".join(_happened(told))
    return told


def read_story(file: Path) -> Numbers:
    """Return what the comment at the head of a campaign file tells: its first line as `title`, then paragraphs.

    Lines of commands, which are indented, are left out.
    """
    paragraphs: list[list[str]] = [[]]
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").removeprefix(" ").rstrip()
        if not text:
            paragraphs.append([])
        elif not text.startswith(" "):
            paragraphs[-1].append(text)
    told = [" ".join(lines) for lines in paragraphs if lines]
    return {"title": told[0] if told else file.stem, "text": told[1:]}


def _sides(run: store.Run, truth: Sequence[Numbers]) -> list[Side]:
    """Return the run before and after its change; without one, all of it.

    A query that was under way at the change may have been answered on its other side: what was sent less than a round
    trip before is of neither.
    """
    schedule = run.header.plan.schedule if run.header.plan is not None else Schedule()
    if schedule.change_at is None:
        return [(run, Window())]
    change_at = schedule.change_at.timestamp()
    longest_ms = max((row["rtt_ms"] for row in truth if row["rtt_ms"] is not None), default=0.0)
    return [
        (run, Window(end=change_at - longest_ms / 1000)),
        (run, Window(start=change_at + schedule.settle_s)),
    ]


def _convergence(run: store.Run) -> Numbers | None:
    """Return how the target went through the changes that was asked all the time; None where none was."""
    streamed = [one.target for one in (run.accepted.measurements if run.accepted else ()) if one.stop is not None]
    return show_convergence(run, target=streamed[0]) if streamed else None


def _judged(side: Side) -> tuple[Numbers, list[Numbers]]:
    """Return the numbers of a run or of a window of it, and what was judged of each vantage point and target."""
    run, window = side
    with workbench() as (con, _):
        inside, services = load_run(con, run, window, run.header.services)
        numbers = measure(con, services, run.header.targets, inside)
        found = con.execute(
            """SELECT vantage, service, target, site, verdict, identity, rtt_ms_median AS rtt_ms, ping_ms_min
            FROM assignments"""
        )
        names = [column[0] for column in found.description or ()]
        rows = [dict(zip(names, map(rounded, row), strict=True)) for row in found.fetchall()]
    return numbers, rows


def _vantage_points(
    run: store.Run, judged: Mapping[str, Sequence[Numbers]], truth: Sequence[Numbers], topology: Topology
) -> list[Numbers]:
    """Return of each target and vantage point what was judged of it on each side, and its AS path then by BIRD."""
    paths = {(row["when"], row["vantage"], row["address"]): row["as_path"] for row in truth}
    towns = {place.code: place.town for place in topology.places}
    of_side = {(name, row["vantage"], row["target"]): row for name, rows in judged.items() for row in rows}

    def told(name: str, vantage: str, target: str) -> Numbers | None:
        row = of_side.get((name, vantage, target))
        if row is None:
            return None
        return {key: row[key] for key in _TOLD} | {"as_path": paths.get((name, vantage, target))}

    return [
        {
            "vantage": vantage,
            "place": towns[point.place],
            "service": target.service,
            "target": target.address,
            "af": target.af,
            **{name: told(name, vantage, target.address) for name in _SIDES},
        }
        for target in run.header.targets
        for point in topology.vantage_points
        if ("before", vantage := lab_name(point), target.address) in of_side
    ]


def _read_truth(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _walk(vantage_points: Sequence[Numbers], targets: Sequence[Target]) -> list[Numbers] | None:
    """Return what asking all services in turn costs each vantage point: the sum of its medians; None of one service.

    The total is None where a step has no answer.
    """
    if len({target.service for target in targets}) < 2:
        return None
    steps: dict[str, list[Numbers]] = {}
    for row in vantage_points:
        steps.setdefault(row["vantage"], []).append(row)
    return [
        {"vantage": vantage, "place": rows[0]["place"], **{side: _cost(rows, side) for side in _SIDES}}
        for vantage, rows in steps.items()
    ]


def _cost(rows: Sequence[Numbers], side: str) -> Numbers | None:
    if any(row[side] is None for row in rows):
        return None
    steps = [
        {"service": row["service"], "target": row["target"]} | {key: row[side][key] for key in ("site", "rtt_ms")}
        for row in rows
    ]
    times_ms = [step["rtt_ms"] for step in steps]
    return {"steps": steps, "total_ms": None if None in times_ms else rounded(sum(times_ms))}


def _happened(told: Numbers) -> Iterator[str]:
    """Yield sentences: what was done, and what came of it."""
    if told["comparison"] is None:
        yield "Nothing was changed."
        return
    changes = sorted(told["changes"], key=lambda change: change["after_s"])
    done = []
    for change in changes:
        later_s = change["after_s"] - changes[0]["after_s"]
        done.append(f"{later_s:g} s later {change['text']}" if later_s > 0 else change["text"])
    text = "; ".join(done)
    yield f"{text[:1].upper()}{text[1:]}."
    targets = told["comparison"]["targets"]
    names: dict[str, list[str]] = {}
    for target in targets:
        names.setdefault(target["summary"], []).append(_name(target, targets))
    for summary, those in names.items():
        yield summary if len(names) == 1 else f"{' and '.join(those)}: {summary}"
    costs = [[row[side]["total_ms"] for row in told["walk"] or () if row[side] is not None] for side in _SIDES]
    if all(costs) and None not in (*costs[0], *costs[1]):
        yield (
            f"The whole walk costs the median vantage point {median(costs[0]):.1f} ms before and "
            f"{median(costs[1]):.1f} ms after."
        )


def _name(target: Numbers, among: Sequence[Numbers]) -> str:
    """Name a target by what tells it from the others."""
    service = target["service"] if len({one["service"] for one in among}) > 1 else ""
    family = f"IPv{target['af']}" if len({one["af"] for one in among}) > 1 else ""
    return " over ".join(filter(None, (service, family)))


def run_story(
    file: Path,
    root: Path,
    out: Path | None = None,
    *,
    environ: Mapping[str, str],
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
) -> Numbers:
    """Run a campaign of a lab, as `run_campaign` does, and return its story. Raises CatchmentError."""
    platform = load_campaign(file).platform
    if platform is not PlatformName.LAB:
        raise InvalidFile(f"{file}: a campaign on platform '{platform}': `catchment run {shlex.quote(str(file))}`")
    done = run_campaign(file, root, out, environ=environ, progress=part_of_progress(progress, 0, _MEASURED), say=say)
    progress("telling what happened", _MEASURED)
    return tell_story(done.run, file) | {"warnings": list(done.warnings)}
