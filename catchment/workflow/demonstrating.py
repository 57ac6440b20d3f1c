"""The demo: a campaign on the sandbox, a fire in Frankfurt, the campaign again, and who moved."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from catchment import store
from catchment.errors import InvalidRun
from catchment.metrics import Numbers
from catchment.model import Window
from catchment.workflow.drawing import draw_map
from catchment.workflow.importing import Progress
from catchment.workflow.measuring import run_campaign
from catchment.workflow.showing import compare_runs, show

_BEFORE = """\
# The demo's first campaign: which site of an invented service does each vantage point of a simulated Internet reach?
name = "demo"
platform = "sandbox"
targets = [{ service = "demo-dns", af = 4 }]
queries = [{ kind = "dns", name = "hostname.bind", nsid = true }, { kind = "ping" }]

[vantage_points]
count = 1000

[schedule]
interval_s = 240
rounds = 3

[sandbox]
seed = 10
"""
_FIRE = '\n# Fire in Frankfurt: the site withdraws its route.\nchanges = [{ change = "withdraw", site = "fra" }]\n'
_LIVE = """\
# Live: which site of K-root does each RIPE Atlas probe reach? Reads public measurements: no key, no credits.
name = "k-root"
platform = "atlas"
targets = [{ service = "k-root", af = 4 }]
reuse = [10301, 1001] # hostname.bind and ping, every 4 minutes
"""
_EARLIER_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of the demo: what it does, the work that gives its numbers, and how the terminal lays these out."""

    name: str
    title: str
    layout: str
    work: Callable[[Progress], Numbers]


def demo_steps(out: Path, *, clock: Callable[[], float] = time.time) -> Iterator[Step]:
    """Yield the steps of the demo, to be done in this order; everything is written below `out`.

    Raises InvalidRun where an earlier demo lies there.
    """
    before, after = out / "before", out / "after"
    campaigns = {"before.toml": _BEFORE, "after.toml": _BEFORE + _FIRE, "k-root.toml": _LIVE}
    for name in (*campaigns, "before", "after", "map.png", "moves.png"):
        if (out / name).exists():
            raise InvalidRun(f"{out / name}: an earlier demo is there: choose another --out, or remove that folder")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in campaigns.items():
        (out / name).write_text(text, encoding="utf-8")

    def measure_before(progress: Progress) -> Numbers:
        done = run_campaign(
            out / "before.toml", out, before, environ={}, clock=lambda: clock() - _EARLIER_S, progress=progress
        )
        draw_map([(store.Run.open(before), Window())], out / "map.png", progress=_last(progress))
        return show(store.Run.open(done.run))

    def measure_after(progress: Progress) -> Numbers:
        run_campaign(out / "after.toml", out, after, environ={}, clock=clock, progress=progress)
        sides = (store.Run.open(before), Window()), (store.Run.open(after), Window())
        draw_map(sides, out / "moves.png", progress=_last(progress))
        return compare_runs(*sides)

    yield Step(
        name="before",
        title="A campaign on a simulated Internet: which site of 'demo-dns' does each vantage point reach?",
        layout="show_run",
        work=measure_before,
    )
    yield Step(
        name="comparison",
        title="An hour later: fire in Frankfurt. The site withdraws its route, and the campaign runs again.",
        layout="show_comparison",
        work=measure_after,
    )
    yield Step(
        name="next", title="What is here now, and what to try next:", layout="show_next", work=lambda _: _next(out)
    )


def _last(progress: Progress) -> Progress:
    """Return a progress for what comes when all else is done."""
    return lambda text, _: progress(text, 1.0)


def _next(out: Path) -> Numbers:
    files = {
        "map.png": "the catchment of each site",
        "moves.png": "who moved when Frankfurt burned",
        "before.toml": "the campaign; edit it, and run it again",
        "after.toml": "the same with the fire",
        "k-root.toml": "a campaign on the real Internet",
        "before": "a run: its raw results, tables, and truth.ndjson, what the simulated Internet really did",
        "after": "the run after the fire",
    }
    before, after, live = (shlex.quote(str(out / name)) for name in ("before", "after", "k-root.toml"))
    commands = {
        f"catchment run {live}": "live: what thousands of probes just measured of K-root; no key, no credits",
        f"catchment show {after} --by country": "the same by country, or by asn, continent, verdict",
        f"catchment show {after} --sites observed": "the nearest of the sites that are still there",
        f"catchment compare {before} {after} --by continent": "whom the fire hit",
        f"catchment map {before} {after} --region europe -o europe.svg": "a closer look",
        f"catchment plan {shlex.quote(str(out / 'before.toml'))}": "what a campaign would cost on RIPE Atlas",
    }
    return {
        "files": [{"file": str(out / name), "what": what} for name, what in files.items()],
        "next": [{"command": command, "what": what} for command, what in commands.items()],
    }
