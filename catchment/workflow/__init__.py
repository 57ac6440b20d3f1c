"""The verbs that the command line and the Python API share: plan, run, resume, import, derive, show, compare, map.

What measures is imported when it is first asked for: the platforms bring many modules, which reading stored runs need
not pay for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from catchment.workflow.describing import describe_service, identify_strings, list_services
from catchment.workflow.drawing import draw_map
from catchment.workflow.importing import Imported, derive, import_results
from catchment.workflow.showing import change_in, compare_runs, list_runs, show

if TYPE_CHECKING:
    from catchment.workflow.converging import show_convergence
    from catchment.workflow.demonstrating import demo_steps
    from catchment.workflow.explaining import explain_vantage
    from catchment.workflow.here.looking import look_from_here
    from catchment.workflow.labs.changing import change_lab
    from catchment.workflow.labs.stories import run_story, tell_story
    from catchment.workflow.labs.tending import ask_bird, command_within, end_lab, list_labs, look_at_lab, raise_lab
    from catchment.workflow.managing import check_stopped, read_account, stop_run
    from catchment.workflow.measuring import resume_run, run_campaign
    from catchment.workflow.naming_hops import derive_with_names
    from catchment.workflow.planning import check_plan, plan_campaign
    from catchment.workflow.simulating import list_faults, save_topology, serve_sandbox
    from catchment.workflow.standing import show_unfinished, what_next
    from catchment.workflow.updating import restore_bundled, update_service

__all__ = [
    "Imported",
    "ask_bird",
    "change_in",
    "change_lab",
    "check_plan",
    "check_stopped",
    "command_within",
    "compare_runs",
    "demo_steps",
    "derive",
    "derive_with_names",
    "describe_service",
    "draw_map",
    "end_lab",
    "explain_vantage",
    "identify_strings",
    "import_results",
    "list_faults",
    "list_labs",
    "list_runs",
    "list_services",
    "look_at_lab",
    "look_from_here",
    "plan_campaign",
    "raise_lab",
    "read_account",
    "restore_bundled",
    "resume_run",
    "run_campaign",
    "run_story",
    "save_topology",
    "serve_sandbox",
    "show",
    "show_convergence",
    "show_unfinished",
    "stop_run",
    "tell_story",
    "update_service",
    "what_next",
]

_LATER = {
    "ask_bird": "labs.tending",
    "change_lab": "labs.changing",
    "check_plan": "planning",
    "check_stopped": "managing",
    "command_within": "labs.tending",
    "demo_steps": "demonstrating",
    "derive_with_names": "naming_hops",
    "end_lab": "labs.tending",
    "explain_vantage": "explaining",
    "list_faults": "simulating",
    "list_labs": "labs.tending",
    "look_at_lab": "labs.tending",
    "look_from_here": "here.looking",
    "plan_campaign": "planning",
    "raise_lab": "labs.tending",
    "read_account": "managing",
    "restore_bundled": "updating",
    "resume_run": "measuring",
    "run_campaign": "measuring",
    "run_story": "labs.stories",
    "save_topology": "simulating",
    "serve_sandbox": "simulating",
    "show_convergence": "converging",
    "show_unfinished": "standing",
    "stop_run": "managing",
    "tell_story": "labs.stories",
    "update_service": "updating",
    "what_next": "standing",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
