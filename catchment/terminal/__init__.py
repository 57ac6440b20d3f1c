"""What the terminal shows: tables of numbers. Values in, renderables out; every text from outside is made harmless."""

from catchment.terminal.account import show_account, show_stopped
from catchment.terminal.cells import clip, harmless
from catchment.terminal.comparisons import show_comparison
from catchment.terminal.convergence import show_convergence
from catchment.terminal.faults import show_faults
from catchment.terminal.here import show_here
from catchment.terminal.labs import show_ended_lab, show_lab, show_lab_change, show_labs
from catchment.terminal.measurements import show_unfinished
from catchment.terminal.plans import show_next, show_plan, show_served
from catchment.terminal.runs import show_files, show_run, show_runs
from catchment.terminal.services import show_identities, show_restored, show_service, show_services, show_update
from catchment.terminal.stories import show_story
from catchment.terminal.vantage_points import show_vantage_point

__all__ = [
    "clip",
    "harmless",
    "show_account",
    "show_comparison",
    "show_convergence",
    "show_ended_lab",
    "show_faults",
    "show_files",
    "show_here",
    "show_identities",
    "show_lab",
    "show_lab_change",
    "show_labs",
    "show_next",
    "show_plan",
    "show_restored",
    "show_run",
    "show_runs",
    "show_served",
    "show_service",
    "show_services",
    "show_stopped",
    "show_story",
    "show_unfinished",
    "show_update",
    "show_vantage_point",
]
