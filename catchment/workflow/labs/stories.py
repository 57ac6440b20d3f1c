"""Tell what happened in a lab's run: the catchment before, the stream through the changes, the catchment after."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from catchment import store
from catchment.campaign import PlatformName, load_campaign
from catchment.campaign.own_vantages import lab_name
from catchment.errors import InvalidFile, InvalidRun
from catchment.metrics import Numbers, iso_time, measure, rounded
from catchment.model import Window
from catchment.platforms.topology import Topology, load_topology
from catchment.workflow.converging import show_convergence
from catchment.workflow.importing import Progress, Say, part_of_progress
from catchment.workflow.labs.happenings import in_words, names_of, towns_of
from catchment.workflow.labs.routing import as_routed, read_rows, read_times
from catchment.workflow.labs.summing_up import SIDES, Timed, busy, happened, likeness, walk
from catchment.workflow.loading import Side, load_run, workbench
from catchment.workflow.measuring import run_campaign
from catchment.workflow.showing import compare_runs

_MEASURED = 0.8  # of the whole
_STORY = "story.json"  # in a lab's run: what its campaign's file says it is about
_MOST_NAMED = 3
_TOLD = ("site", "verdict", "identity", "rtt_ms", "ping_ms_min")


def tell_story(path: Path, file: Path | None = None) -> Numbers:
    """Return the story of a lab's run, as `lab run --json` prints it; its campaign `file` says what it is about.

    Without one that is what was stored with the run. Of a campaign without changes there is a catchment before, and
    nothing else. Raises CatchmentError.
    """
    run = store.Run.open(path)
    plan = run.header.plan
    if plan is None or plan.platform is not PlatformName.LAB:
        raise InvalidRun(f"{path}: no run of a lab: `catchment show {shlex.quote(str(path))}`")
    topology = load_topology(store.topology_file(path))
    truth, times = read_rows(store.truth_file(path)), read_times(path)
    sides: list[Side] = [(run, window) for window in store.sides_of(run) or (Window(),)]
    told: Numbers = {
        "campaign": run.header.campaign,
        "run": str(path),
        "story": _about(path, run.header.campaign) if file is None else read_story(file),
        "changes": [
            {"after_s": change.after_s, "at": iso_time(times.get(change.after_s)), "text": in_words(change, topology)}
            | {"later_s": _later_s(change.after_s, times)}
            for change in sorted(plan.lab.changes, key=lambda change: change.after_s)
        ],
        "before": None,
        "convergence": None,
        "after": None,
        "comparison": None,
    }
    judged = dict[str, list[Numbers]]()
    for name, side in zip(SIDES, sides, strict=False):
        told[name], judged[name] = _judged(side)
    if len(sides) > 1:
        told["convergence"] = _convergence(run)
        told["comparison"] = compare_runs(*sides)
    told["vantage_points"] = _vantage_points(run, judged, truth, topology)
    told["targets"] = [
        {key: entry[key] for key in ("service", "target", "af")}
        | {"servers": entry["identities"], "likeness": likeness(told["vantage_points"], entry)}
        for entry in run.metrics["targets"]
    ]
    told["networks"] = names_of(topology)
    told["walk"] = walk(told["vantage_points"], run.header.targets)
    told["as_routed"] = as_routed(told["vantage_points"], truth, [name for name in SIDES if told[name] is not None])
    told["happened"] = " ".join(happened(told))
    told["warnings"] = [*_warnings(told["as_routed"]), *busy(list(_times(told, truth)))]
    return told


def _about(path: Path, campaign: str) -> Numbers:
    """Return what was stored of what a run's story is about."""
    file = path / _STORY
    if not file.exists():
        return {"title": campaign, "text": []}
    kept: Numbers = json.loads(file.read_text(encoding="utf-8"))
    return kept


def _later_s(after_s: float, times: Mapping[float, float]) -> float:
    """Return how long after the first change one was really made, in seconds."""
    return rounded(times[after_s] - min(times.values())) if after_s in times else after_s


def _warnings(found: Numbers) -> Iterator[str]:
    """Yield what to say where a vantage point was not answered as BIRD's tables have it."""
    if not found["differing"]:
        return
    listed = [
        f"{one['vantage']} at {one['target']} {one['when']}: {one['measured']} instead of {one['routed'] or 'nobody'}"
        for one in found["differing"]
    ]
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    yield (
        f"{found['agree']} of {found['of']} were answered from where BIRD's tables lead ("
        f"{'; '.join(listed[:_MOST_NAMED])}{more}): this host may have been too busy: run it again"
    )


def _times(told: Numbers, truth: Sequence[Numbers]) -> Iterator[Timed]:
    """Yield the round trips of who was answered from where BIRD's tables lead, beside those of the cables there."""
    routes = {(row["when"], row["vantage"], row["address"]): row["rtt_ms"] for row in truth}
    differing = {tuple(one[key] for key in ("when", "vantage", "target")) for one in told["as_routed"]["differing"]}
    for row in told["vantage_points"]:
        for side in SIDES:
            key = side, row["vantage"], row["target"]
            if row[side] is not None and key not in differing:
                yield f"{row['vantage']} at {row['target']} {side}", row[side]["rtt_ms"], routes.get(key)


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
    paths = {
        (row["when"], row["vantage"], row["address"]): {key: row[key] for key in ("as_path", "bgp_path") if key in row}
        for row in truth
    }
    towns = towns_of(topology)
    of_side = {(name, row["vantage"], row["target"]): row for name, rows in judged.items() for row in rows}

    def told(name: str, vantage: str, target: str) -> Numbers | None:
        row = of_side.get((name, vantage, target))
        if row is None:
            return None
        return {key: row[key] for key in _TOLD} | paths.get((name, vantage, target), {"as_path": None})

    return [
        {
            "vantage": vantage,
            "place": towns[vantage],
            "service": target.service,
            "target": target.address,
            "af": target.af,
            **{name: told(name, vantage, target.address) for name in SIDES},
        }
        for target in run.header.targets
        for point in topology.vantage_points
        if ("before", vantage := lab_name(point.id), target.address) in of_side
    ]


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
    about = json.dumps(read_story(file))
    done = run_campaign(file, root, out, environ=environ, progress=part_of_progress(progress, 0, _MEASURED), say=say)
    (done.run / _STORY).write_text(about, encoding="utf-8")
    progress("telling what happened", _MEASURED)
    told = tell_story(done.run)
    return told | {"warnings": [*done.warnings, *told["warnings"]]}
